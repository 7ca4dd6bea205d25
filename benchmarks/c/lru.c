/* Reads of files on the lists of Linux 6.12, over the arrays of linuxmm.fast.lru_arena: no swap, nothing mapped. */

#include <stdint.h>

enum { PREV, NEXT, SLOT, FLAGS, RECORD };
enum { ACTIVE = 1, REFERENCED = 2, LRU = 4, WORKINGSET = 1 << 9, FREE = 1 << 22 };
enum { INACTIVE_FILE = 2, ACTIVE_FILE = 3, WAITING = 5, FREE_LIST = 9, QUEUES = 10 };
enum {
	HEAD = 0, TAIL = 10, SIZE = 20, ISOLATED = 30, SAVED = 32, SCANNED = 36, ROTATED = 38, COST = 40,
	REFAULTS = 42, LOOKED = 44, CLOCK = 46, PREVIOUS, FRUITLESS, TAIL_DIRTY, FAILURES, IN_USE, SWAP, MANAGED,
	FREE_PAGES, MIN, LOW, HIGH, ENTERING, WALK, PRESSURE, SPACE_LEFT, SPACE_AT, COUNTERS
};
enum { SCAN_KSWAPD, SCAN_DIRECT, STEAL_KSWAPD, STEAL_DIRECT, PGACTIVATE, PGDEACTIVATE, PGREFILL,
       ALLOCSTALL = 11, PAGEOUTRUN, REFAULT_FILE = 21, ACTIVATE_FILE = 24, RESTORE_FILE = 27 };
enum { BATCH = 31, CLUSTER = 32, PRIORITY = 12, NONE = -1, HELD = -2 };

struct lists { int32_t *frames; int64_t *keys; int64_t *st; };
struct control { int64_t priority, target, scanned, reclaimed; int kswapd; };

static void link_head(struct lists *v, int64_t page, int at)
{
	int64_t first = v->st[HEAD + at];
	v->frames[page * RECORD + PREV] = NONE;
	v->frames[page * RECORD + NEXT] = (int32_t)first;
	if (first == NONE) v->st[TAIL + at] = page;
	else v->frames[first * RECORD + PREV] = (int32_t)page;
	v->st[HEAD + at] = page;
	v->st[SIZE + at]++;
}

static void link_tail(struct lists *v, int64_t page, int at)
{
	int64_t last = v->st[TAIL + at];
	v->frames[page * RECORD + PREV] = (int32_t)last;
	v->frames[page * RECORD + NEXT] = NONE;
	if (last == NONE) v->st[HEAD + at] = page;
	else v->frames[last * RECORD + NEXT] = (int32_t)page;
	v->st[TAIL + at] = page;
	v->st[SIZE + at]++;
}

static void unlink_page(struct lists *v, int64_t page, int at)
{
	int64_t before = v->frames[page * RECORD + PREV], after = v->frames[page * RECORD + NEXT];
	if (before == NONE) v->st[HEAD + at] = after;
	else v->frames[before * RECORD + NEXT] = (int32_t)after;
	if (after == NONE) v->st[TAIL + at] = before;
	else v->frames[after * RECORD + PREV] = (int32_t)before;
	v->st[SIZE + at]--;
}

static int list_of(const struct lists *v, int64_t page)
{
	return v->frames[page * RECORD + FLAGS] & ACTIVE ? ACTIVE_FILE : INACTIVE_FILE;
}

static void drain(struct lists *v)
{
	while (v->st[SIZE + WAITING]) {
		int64_t page = v->st[HEAD + WAITING];
		unlink_page(v, page, WAITING);
		link_head(v, page, list_of(v, page));
		v->frames[page * RECORD + FLAGS] |= LRU;
	}
}

static void mark_accessed(struct lists *v, int64_t page)
{
	int32_t *flags = &v->frames[page * RECORD + FLAGS];
	if ((*flags & ACTIVE) || !(*flags & REFERENCED)) {
		*flags |= REFERENCED;
		return;
	}
	*flags = (*flags | ACTIVE) & ~REFERENCED;
	if (*flags & LRU) {
		unlink_page(v, page, INACTIVE_FILE);
		link_head(v, page, ACTIVE_FILE);
		v->st[COUNTERS + PGACTIVATE]++;
	}
	v->st[CLOCK]++;
}

static void note_cost(struct lists *v, int64_t cost)
{
	int64_t pages = v->st[SIZE] + v->st[SIZE + 1] + v->st[SIZE + 2] + v->st[SIZE + 3];
	if (!cost) return;
	v->st[COST + 1] += cost;
	if (v->st[COST] + v->st[COST + 1] > pages / 4) {
		v->st[COST] /= 2;
		v->st[COST + 1] /= 2;
	}
}

static void refault(struct lists *v, int64_t page, int64_t slot)
{
	int64_t shadow = v->keys[slot];
	v->keys[slot] = HELD - page;
	v->st[COUNTERS + REFAULT_FILE]++;
	if (((v->st[CLOCK] - (shadow >> 28)) & ((1LL << 36) - 1)) > v->st[SIZE + ACTIVE_FILE]) return;
	v->frames[page * RECORD + FLAGS] |= ACTIVE;
	v->st[CLOCK]++;
	v->st[COUNTERS + ACTIVATE_FILE]++;
	v->st[REFAULTS + 1]++;
	if (shadow >> 1 & 1) {
		v->frames[page * RECORD + FLAGS] |= WORKINGSET;
		note_cost(v, CLUSTER);
		v->st[COUNTERS + RESTORE_FILE]++;
	}
}

static void drop(struct lists *v, int64_t page)
{
	int32_t *frame = &v->frames[page * RECORD];
	v->keys[frame[SLOT]] = (v->st[CLOCK] & ((1LL << 36) - 1)) << 28 | (frame[FLAGS] & WORKINGSET ? 2 : 0) | 1;
	v->st[CLOCK]++;
	frame[FLAGS] = FREE;
	link_head(v, page, FREE_LIST);
	v->st[FREE_PAGES]++;
}

static void shrink_inactive(struct lists *v, int64_t wanted, struct control *control)
{
	int64_t scanned = 0;
	drain(v);
	while (scanned < wanted && v->st[TAIL + INACTIVE_FILE] != NONE) {
		int64_t page = v->st[TAIL + INACTIVE_FILE];
		unlink_page(v, page, INACTIVE_FILE);
		drop(v, page);
		scanned++;
	}
	v->st[SCANNED + 1] += scanned;
	if (scanned) v->st[FRUITLESS] = 0;
	v->st[TAIL_DIRTY] = 0;
	v->st[COUNTERS + (control->kswapd ? SCAN_KSWAPD : SCAN_DIRECT)] += scanned;
	v->st[COUNTERS + (control->kswapd ? STEAL_KSWAPD : STEAL_DIRECT)] += scanned;
	control->scanned += scanned;
	control->reclaimed += scanned;
}

static void shrink_active(struct lists *v, int64_t wanted)
{
	int64_t scanned = 0;
	drain(v);
	while (scanned < wanted && v->st[TAIL + ACTIVE_FILE] != NONE) {
		int64_t page = v->st[TAIL + ACTIVE_FILE];
		unlink_page(v, page, ACTIVE_FILE);
		v->frames[page * RECORD + FLAGS] = (v->frames[page * RECORD + FLAGS] & ~ACTIVE) | WORKINGSET;
		link_head(v, page, INACTIVE_FILE);
		scanned++;
	}
	v->st[SCANNED + 1] += scanned;
	v->st[FRUITLESS] += scanned;
	v->st[COUNTERS + PGREFILL] += scanned;
	v->st[COUNTERS + PGDEACTIVATE] += scanned;
}

static int64_t ratio_of(int64_t pages)
{
	int64_t square = 10 * (pages >> 18), root = 0;
	while ((root + 1) * (root + 1) <= square) root++;
	return pages >> 18 ? root : 1;
}

static int takes_down(const struct lists *v)
{
	int64_t inactive = v->st[SIZE + INACTIVE_FILE], active = v->st[SIZE + ACTIVE_FILE];
	int refaulted = v->st[REFAULTS + 1] != v->st[LOOKED + 1];
	return (refaulted && active > 0) || inactive * ratio_of(inactive + active) < active;
}

static void shrink(struct lists *v, struct control *control)
{
	int64_t file = v->st[SIZE + INACTIVE_FILE] + v->st[SIZE + ACTIVE_FILE], start = control->reclaimed;
	int64_t inactive, active;
	int adjusted = !control->kswapd && control->priority == PRIORITY;
	if (v->st[SCANNED + 1] > file / 4) {
		v->st[SCANNED + 1] /= 2;
		v->st[ROTATED + 1] /= 2;
	}
	inactive = v->st[SIZE + INACTIVE_FILE] >> control->priority;
	active = v->st[SIZE + ACTIVE_FILE] >> control->priority;
	while (inactive || active) {
		int64_t now = inactive < CLUSTER ? inactive : CLUSTER;
		inactive -= now;
		if (now) shrink_inactive(v, now, control);
		now = active < CLUSTER ? active : CLUSTER;
		active -= now;
		if (now && takes_down(v)) shrink_active(v, now);
		if (control->reclaimed - start < control->target || adjusted) continue;
		break;
	}
}

static void end_reclaim(struct lists *v, int64_t priority)
{
	v->st[PREVIOUS] = priority;
	v->st[LOOKED] = v->st[REFAULTS];
	v->st[LOOKED + 1] = v->st[REFAULTS + 1];
}

static void kswapd(struct lists *v)
{
	struct control control = { PRIORITY, 0, 0, 0, 1 };
	int64_t freed = 0, priority = PRIORITY, target = v->st[HIGH] > CLUSTER ? v->st[HIGH] : CLUSTER;
	if (v->st[FAILURES] >= 16 || v->st[FREE_PAGES] > v->st[HIGH]) return;
	v->st[COUNTERS + PAGEOUTRUN]++;
	while (priority >= 1 && v->st[FREE_PAGES] <= v->st[HIGH]) {
		control.priority = priority;
		control.target = target;
		control.scanned = control.reclaimed = 0;
		shrink(v, &control);
		freed += control.reclaimed;
		if (control.scanned < target || !control.reclaimed) priority--;
	}
	v->st[FAILURES] = freed ? 0 : v->st[FAILURES] + 1;
	end_reclaim(v, priority);
}

static void direct_reclaim(struct lists *v)
{
	struct control control = { PRIORITY, CLUSTER, 0, 0, 0 };
	int64_t priority = PRIORITY;
	v->st[COUNTERS + ALLOCSTALL]++;
	for (;;) {
		control.priority = priority;
		shrink(v, &control);
		if (control.reclaimed >= control.target || priority == 0) break;
		priority--;
	}
	end_reclaim(v, priority);
}

int64_t lru_run(int32_t *frames, int64_t *keys, int64_t *st, const int64_t *words, int64_t count, int64_t places,
		int64_t *totals)
{
	struct lists lists = { frames, keys, st }, *v = &lists;
	for (int64_t at = 0; at < count; at++)
		if ((words[at] & 7) != 0 || words[at] < 0 || words[at] >> 3 >= places) return at;
	totals[0] += count;
	for (int64_t at = 0; at < count; at++) {
		int64_t slot = words[at] >> 3, held = keys[slot], page;
		if (held <= HELD) {
			mark_accessed(v, HELD - held);
			continue;
		}
		totals[1]++;
		if (st[FREE_PAGES] <= st[LOW]) kswapd(v);
		if (st[FREE_PAGES] <= st[MIN]) direct_reclaim(v);
		if (st[FREE_PAGES] <= 0) {
			totals[2]++;
			continue;
		}
		page = st[HEAD + FREE_LIST];
		unlink_page(v, page, FREE_LIST);
		frames[page * RECORD + SLOT] = (int32_t)slot;
		frames[page * RECORD + FLAGS] = 0;
		st[FREE_PAGES]--;
		st[ENTERING] = page;
		if (held == NONE) keys[slot] = HELD - page;
		else refault(v, page, slot);
		link_tail(v, page, WAITING);
		if (st[SIZE + WAITING] >= BATCH) drain(v);
		mark_accessed(v, page);
	}
	return count;
}
