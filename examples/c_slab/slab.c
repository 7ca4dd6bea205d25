// An object allocator for 256 KiB that speaks linuxmm's line protocol (docs/formats/protocol.md, "Objects").
// cc slab.c is correct; cc -DBUG_n slab.c, n from 1 to 16, plants one mistake.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096, PAGES = 64, CLASSES = 13, CACHES = CLASSES + 8, END = -1, ZERO_SIZE = 16 };
enum { UNUSED, SLAB, LARGE, INSIDE };

struct cache { char name[16]; int size, stride, order, inuse, used; };
struct page { int kind, cache, order, objects, inuse, head; }; // of the first page of a slab or of a large object

static unsigned char memory[PAGES * PAGE];
static struct cache caches[CACHES];
static struct page pages[PAGES];
static char held[PAGES * PAGE / 8]; // objects in use, by their first word
static long start;
static int objects;

static const int sizes[CLASSES] = { 8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192 };

static int order_of(int size)
{
    int order = 0;
    while (PAGE << order < size)
        order++;
    return order;
}

static int take_pages(int order, int kind)
{
    int size = 1 << order;
    for (int first = 0; first + size <= PAGES; first += size) {
        int free = 1;
        for (int at = first; at < first + size; at++)
            free &= pages[at].kind == UNUSED;
        if (!free)
            continue;
        for (int at = first; at < first + size; at++)
            pages[at].kind = INSIDE;
        pages[first].kind = kind;
        pages[first].order = order;
        return first;
    }
    return END;
}

static void give_pages(int first)
{
    for (int at = (1 << pages[first].order) - 1; at >= 0; at--)
        pages[first + at].kind = UNUSED;
}

static short *link_of(int slab, int number) // a free object keeps the number of the next one in its first bytes
{
    return (short *)(memory + slab * PAGE + number * caches[pages[slab].cache].stride);
}

static int new_slab(int which)
{
    int slab = take_pages(caches[which].order, SLAB);
    if (slab == END)
        return END;
    struct page *p = &pages[slab];
    p->cache = which;
    p->objects = (PAGE << p->order) / caches[which].stride;
#ifdef BUG_1 // counts an object that crosses the end of a slab
    p->objects += (PAGE << p->order) % caches[which].stride != 0;
#endif
    p->inuse = p->head = 0;
    for (int n = 0; n < p->objects; n++)
        *link_of(slab, n) = n + 1 < p->objects ? n + 1 : END;
    return slab;
}

static int alloc_object(int which, int zero)
{
    int slab = 0;
    while (slab < PAGES && (pages[slab].kind != SLAB || pages[slab].cache != which || pages[slab].head == END))
        slab++;
    if (slab == PAGES && (slab = new_slab(which)) == END)
        return 0;
    struct page *p = &pages[slab];
    int number = p->head, at = slab * PAGE + number * caches[which].stride;
    p->head = *link_of(slab, number);
#ifdef BUG_2 // the second object of a slab is handed out twice
    if (p->inuse == 1)
        p->head = number;
#endif
#ifdef BUG_3 // taking the second object of a slab loses the third
    if (p->inuse == 1 && p->head != END)
        p->head = *link_of(slab, p->head);
#endif
    p->inuse++;
    caches[which].inuse++;
    objects++;
    held[at / 8] = 1;
#ifdef BUG_4 // memory that was used before is not made zero
    zero = zero && p->inuse > 1;
#endif
    if (zero)
        memset(memory + at, 0, caches[which].size);
#ifdef BUG_5 // writes a red zone behind the object without room for it
    if (caches[which].size == caches[which].stride && at + caches[which].size < PAGES * PAGE)
        memory[at + caches[which].size] = 0xcc;
#endif
    return start + at;
}

static int class_of(int size)
{
    int which = 0;
#ifdef BUG_6 // takes the class below for 97 to 128 bytes
    if (size > 96 && size <= 128)
        return 4;
#endif
#ifdef BUG_7 // skips the class of 192 bytes
    if (size > 128 && size <= 192)
        return 7;
#endif
    while (sizes[which] < size)
        which++;
    return which;
}

static int kmalloc(int size, int zero)
{
    if (size == 0)
        return ZERO_SIZE;
    if (size <= sizes[CLASSES - 1])
        return alloc_object(class_of(size), zero);
    if (size > PAGES * PAGE)
        return 0;
    int first = take_pages(order_of(size), LARGE);
    if (first == END)
        return 0;
    if (zero)
        memset(memory + first * PAGE, 0, PAGE << pages[first].order);
    held[first * PAGE / 8] = 1;
    objects++;
    return start + first * PAGE;
}

static int slab_of(int at) // the first page of the slab or large object of an offset
{
    int page = at / PAGE;
    while (page > 0 && pages[page].kind == INSIDE)
        page--;
    return page;
}

static int is_held(long address)
{
    long at = address - start;
    if (at < 0 || at >= PAGES * PAGE)
        return 0;
#ifdef BUG_8 // believes that an object begins at any word of it
    for (int back = 0; back <= 8 && at - back >= 0; back += 8)
        if (at % 8 == 0 && held[(at - back) / 8])
            return 1;
#endif
    return at % 8 == 0 && held[at / 8];
}

static int release(long address, int which) // which: the cache that the caller names, END for kfree
{
    if (address == ZERO_SIZE)
        return which == END;
#ifdef BUG_9 // takes an object back that came back already, if its slab has others in use
    if (!is_held(address) && address > start && (address - start) % 8 == 0 && which == END &&
        pages[slab_of(address - start)].kind == SLAB && pages[slab_of(address - start)].inuse)
        held[(address - start) / 8] = 1, objects++;
#endif
    if (!is_held(address))
        return 0;
    int at = address - start, slab = slab_of(at);
    struct page *p = &pages[slab];
    if (p->kind == LARGE) {
        if (which != END)
            return 0;
        held[at / 8] = 0;
        objects--;
#ifndef BUG_10 // pages of a large object are lost
        give_pages(slab);
#endif
        return 1;
    }
#ifndef BUG_11 // takes objects of other caches
    if (which != END ? p->cache != which : p->cache >= CLASSES)
        return 0;
#endif
    int number = (at - slab * PAGE) / caches[p->cache].stride;
    held[at / 8] = 0;
#ifdef BUG_12 // an object that comes back as the second of its slab links to itself
    *link_of(slab, number) = number == 1 ? number : p->head;
#else
    *link_of(slab, number) = p->head;
#endif
    p->head = number;
    p->inuse--;
    caches[p->cache].inuse--;
#ifdef BUG_13 // what comes back to a cache stays counted
    if (p->cache < CLASSES)
#endif
        objects--;
    if (p->inuse == 0)
        give_pages(slab);
    return 1;
}

static int ksize(long address)
{
    if (!is_held(address))
        return 0;
    struct page *p = &pages[slab_of(address - start)];
    if (p->kind == LARGE)
        return PAGE << p->order;
#ifdef BUG_14 // answers the next power of two
    int size = 8;
    while (size < caches[p->cache].size)
        size *= 2;
    return size;
#else
    return p->cache < CLASSES ? caches[p->cache].size : 0;
#endif
}

static int krealloc(long address, int size)
{
    int usable = ksize(address);
    if (size == 0) {
        release(address, END);
        return ZERO_SIZE;
    }
    if (size <= usable)
        return address;
    int other = kmalloc(size, 0);
    if (!other)
        return 0;
#ifdef BUG_15 // forgets the last word
    usable -= 8;
#endif
    memcpy(memory + (other - start), memory + (address - start), usable);
    release(address, END);
    return other;
}

static long number(const char *line, const char *field)
{
    const char *at = strstr(line, field);
    return at ? strtol(at + strlen(field), NULL, 10) : 0;
}

static int named(const char *line, char *name)
{
    const char *at = strstr(line, "\"cache\":\"");
    if (!at || sscanf(at + 9, "%15[^\"]", name) != 1)
        return END;
    for (int which = CLASSES; which < CACHES; which++)
        if (caches[which].used && !strcmp(caches[which].name, name))
            return which;
    return END;
}

static const char *create(const char *name, int size, int align)
{
    int which = CLASSES;
    while (which < CACHES && caches[which].used)
        which++;
    if (which == CACHES)
        return "ENOMEM";
    struct cache *c = &caches[which];
    memset(c, 0, sizeof *c);
    strcpy(c->name, name);
    c->used = 1;
    c->size = size;
#ifdef BUG_16 // forgets the alignment that is asked for
    align = 8;
#endif
    align = align < 8 ? 8 : align;
    c->stride = (size + align - 1) / align * align;
    c->order = order_of(c->stride);
    return NULL;
}

static void print_slabs(void)
{
    const char *comma = "";
    printf("{\"slabs\":[");
    for (int slab = 0; slab < PAGES; slab++) {
        struct page *p = &pages[slab];
        if (p->kind != SLAB)
            continue;
        printf("%s[%ld,%d,%d,[", comma, start + (long)slab * PAGE, caches[p->cache].stride, p->objects);
        for (int n = p->head, met = 0; n >= 0 && met <= p->objects; met++) {
            printf("%s%d", met ? "," : "", n);
            n = n < p->objects ? *link_of(slab, n) : END;
        }
        printf("]]");
        comma = ",";
    }
    printf("]}\n");
}

static void answer(const char *error)
{
    if (error)
        printf("{\"error\":\"%s\"}\n", error);
    else
        puts("{\"ok\":true}");
}

static void init(long at)
{
    start = at;
    for (int n = 0; n < CLASSES; n++)
        caches[n] = (struct cache){ .size = sizes[n], .stride = sizes[n], .order = order_of(sizes[n]), .used = 1 };
}

int main(void)
{
    static char line[1 << 16], name[16];
    while (fgets(line, sizeof line, stdin)) {
        long address = number(line, "\"address\":"), size = number(line, "\"size\":"), found = -1;
        int zero = strstr(line, "\"zero\":true") != NULL, which = named(line, name);
        if (strstr(line, "\"op\":\"init_objects\"")) {
            init(number(line, "\"start\":"));
            answer(NULL);
        } else if (strstr(line, "\"op\":\"kmalloc\"")) {
            found = kmalloc(size, zero);
        } else if (strstr(line, "\"op\":\"cache_alloc\"")) {
            found = which == END ? 0 : alloc_object(which, zero);
        } else if (strstr(line, "\"op\":\"krealloc\"")) {
            if (ksize(address))
                found = krealloc(address, size);
            else
                answer("EINVAL");
        } else if (strstr(line, "\"op\":\"kfree\"")) {
            answer(release(address, END) ? NULL : "EINVAL");
        } else if (strstr(line, "\"op\":\"cache_free\"")) {
            answer(which != END && release(address, which) ? NULL : "EINVAL");
        } else if (strstr(line, "\"op\":\"ksize\"")) {
            if (ksize(address))
                printf("{\"size\":%d}\n", ksize(address));
            else
                answer("EINVAL");
        } else if (strstr(line, "\"op\":\"cache_create\"")) {
            answer(which == END ? create(name, size, number(line, "\"align\":")) : "EEXIST");
        } else if (strstr(line, "\"op\":\"cache_destroy\"")) {
            answer(which == END ? "ENOENT" : caches[which].inuse ? "EBUSY" : NULL);
            if (which != END && !caches[which].inuse)
                caches[which].used = 0;
        } else if (strstr(line, "\"op\":\"fill\"")) {
            memset(memory + (address - start), number(line, "\"value\":"), number(line, "\"length\":"));
            answer(NULL);
        } else if (strstr(line, "\"op\":\"read\"")) {
            printf("{\"bytes\":\"");
            for (long n = number(line, "\"length\":"), at = address - start; n > 0; n--, at++)
                printf("%02x", memory[at]);
            puts("\"}");
        } else if (strstr(line, "\"op\":\"objects\"")) {
            printf("{\"count\":%d}\n", objects);
        } else {
            print_slabs();
        }
        if (found > 0)
            printf("{\"address\":%ld}\n", found);
        else if (found == 0)
            answer("ENOMEM");
        fflush(stdout);
    }
    return 0;
}
