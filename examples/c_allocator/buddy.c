// A buddy allocator for a few thousand pages that speaks linuxmm's line protocol (docs/formats/protocol.md).
// cc buddy.c is correct; cc -DBUG_n buddy.c, n from 1 to 16, plants one mistake.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGES = 4096, ZONES = 8, ORDERS = 11, NONE = -1 };

static int max_order, pageblock_order, zones;
static int zone_start[ZONES], zone_end[ZONES];
static int zone_of[PAGES];             // NONE: not managed, or isolated
static int free_order[PAGES];          // of the free block that starts here, or NONE
static int held_order[PAGES];          // of the owned block that starts here, or NONE
static int next[PAGES], prev[PAGES];   // neighbours on a free list
static int list[ZONES][ORDERS];        // first block of each free list
static int free_pages[ZONES];
static int requests;

static void put(int pfn, int order)
{
    int *first = &list[zone_of[pfn]][order];
    free_order[pfn] = order;
    next[pfn] = *first;
    prev[pfn] = NONE;
    if (*first != NONE)
        prev[*first] = pfn;
    *first = pfn;
}

static void take(int pfn)
{
    int *first = &list[zone_of[pfn]][free_order[pfn]];
    if (prev[pfn] == NONE)
        *first = next[pfn];
    else
        next[prev[pfn]] = next[pfn];
    if (next[pfn] != NONE)
        prev[next[pfn]] = prev[pfn];
    free_order[pfn] = NONE;
}

static void give_back(int pfn, int order)
{
    free_pages[zone_of[pfn]] += 1 << order;
    for (; order < max_order; order++) {
        int buddy = pfn ^ (1 << order);
#ifdef BUG_2 // blocks of two pages are not merged
        if (order == 1)
            break;
#endif
        if (buddy >= PAGES || free_order[buddy] != order)
            break;
#ifndef BUG_3 // merges across the end of a zone
        if (zone_of[buddy] != zone_of[pfn])
            break;
#endif
        take(buddy);
        pfn &= ~(1 << order);
    }
    put(pfn, order);
}

static int split(int pfn, int from, int to)
{
    while (from > to) {
        from--;
        put(pfn + (1 << from), from);
#ifdef BUG_9 // a split from order 3 puts both halves on the list
        if (from == 2)
            put(pfn, from);
#endif
    }
    return pfn;
}

static int alloc(int order, int highest)
{
    int size = 1 << order, wanted = order;
    if (order > max_order)
        return NONE;
#ifdef BUG_11 // ignores which zones the request permits
    highest = zones - 1;
#endif
#ifdef BUG_6 // takes a block of half the size
    if (order == 3)
        wanted = 2;
#endif
    for (int zone = highest; zone >= 0; zone--) {
        for (int have = wanted; have <= max_order; have++) {
            int pfn = list[zone][have];
            if (pfn == NONE)
                continue;
#ifdef BUG_15 // does not split the largest blocks
            if (have == max_order && wanted < have)
                continue;
#endif
#ifdef BUG_1 // leaves a block of four pages on its list
            if (wanted != 2 || have != 2)
#endif
            take(pfn);
#ifdef BUG_14 // after eight requests the rest of a list gets lost
            if (requests > 8)
                list[zone][have] = NONE;
#endif
            split(pfn, have, wanted);
            free_pages[zone] -= size;
#ifdef BUG_4 // hands out the second page first
            if (order == 1)
                pfn++;
#endif
            held_order[pfn] = order;
#ifdef BUG_13 // counts a block of eight pages as seven
            free_pages[zone] += order == 3;
#endif
            return pfn;
        }
    }
#ifdef BUG_5 // drops a page when a request fails
    for (int zone = 0; zone < zones; zone++)
        if (list[zone][0] != NONE) {
            take(list[zone][0]);
            break;
        }
#endif
#ifdef BUG_12 // out of memory: hands out what lies behind it
    return zone_end[zones - 1] + size & ~(size - 1);
#endif
    return NONE;
}

static int release(int pfn, int order)
{
    if (pfn < 0 || pfn >= PAGES || order < 0 || order > max_order)
        return 0;
#ifdef BUG_7 // believes the order that it is told, when smaller
    if (held_order[pfn] > order)
        held_order[pfn] = order;
#endif
#ifdef BUG_8 // gives a free block back once more
    if (free_order[pfn] == order) {
        free_pages[zone_of[pfn]] += 1 << order;
        return 1;
    }
#endif
    if (held_order[pfn] != order)
        return 0;
    held_order[pfn] = NONE;
    give_back(pfn, order);
    return 1;
}

static long number(const char *line, const char *key)
{
    const char *at = strstr(line, key);
    return at ? strtol(at + strlen(key), NULL, 10) : NONE;
}

static void init(const char *line)
{
    max_order = number(line, "\"max_order\":");
    pageblock_order = number(line, "\"pageblock_order\":");
    memset(zone_of, NONE, sizeof zone_of);
    memset(free_order, NONE, sizeof free_order);
    memset(held_order, NONE, sizeof held_order);
    memset(list, NONE, sizeof list);
    for (const char *at = line; zones < ZONES && (at = strstr(at, "\"start\":")); at++, zones++) {
        zone_start[zones] = number(at, "\"start\":");
        zone_end[zones] = number(at, "\"end\":");
        for (int pfn = zone_start[zones]; pfn < zone_end[zones] && pfn < PAGES; pfn++)
            zone_of[pfn] = zones;
    }
#ifndef BUG_16 // hands out pages that do not exist
    char *at = strstr(line, "\"absent\":[") + 10;
    while (*at == '[' || *at == ',') {
        int start = strtol(at + 1 + (*at == ','), &at, 10);
        int end = strtol(at + 1, &at, 10);
        while (start < end && start < PAGES)
            zone_of[start++] = NONE;
        at++;
    }
#endif
#ifndef BUG_10 // hands out isolated pages
    for (char *block = strstr(line, "\"isolated\":[") + 12; *block && *block != ']'; block += *block == ',') {
        int start = strtol(block, &block, 10);
        for (int pfn = start; pfn < start + (1 << pageblock_order) && pfn < PAGES; pfn++)
            zone_of[pfn] = NONE;
    }
#endif
    for (int pfn = 0; pfn < PAGES; pfn++)
        if (zone_of[pfn] != NONE)
            give_back(pfn, 0);
}

static void print_lists(void)
{
    const char *comma = "";
    printf("{\"free\":[");
    for (int zone = 0; zone < zones; zone++)
        for (int order = 0; order <= max_order; order++)
            for (int pfn = list[zone][order]; pfn != NONE; pfn = next[pfn], comma = ",")
                printf("%s[%d,%d]", comma, pfn, order);
    printf("]}\n");
}

int main(void)
{
    static char line[1 << 16];
    while (fgets(line, sizeof line, stdin)) {
        if (strstr(line, "\"op\":\"init\"")) {
            init(line);
            puts("{\"ok\":true}");
        } else if (strstr(line, "\"op\":\"alloc\"")) {
            requests++;
            int pfn = alloc(number(line, "\"order\":"), number(line, "\"highest\":"));
            printf(pfn == NONE ? "{\"error\":\"ENOMEM\"}\n" : "{\"pfn\":%d}\n", pfn);
        } else if (strstr(line, "\"op\":\"free\"")) {
            int done = release(number(line, "\"pfn\":"), number(line, "\"order\":"));
            puts(done ? "{\"ok\":true}" : "{\"error\":\"EINVAL\"}");
        } else if (strstr(line, "\"op\":\"stats\"")) {
            printf("{\"counts\":[");
            for (int zone = 0; zone < zones; zone++)
                printf("%s%d", zone ? "," : "", free_pages[zone]);
            puts("]}");
        } else {
            print_lists();
        }
        fflush(stdout);
    }
    return 0;
}
