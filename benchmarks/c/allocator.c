/* The page allocator of 6.1.192 in C, as a yardstick: same blocks, same order, same checksum as the compiled
 * model.  One node, no CMA, no isolated pageblocks, requests that may sleep (so no high-order atomic reserve).
 * Everything that a build would fix is a constant.  With -DLOOK_AHEAD=8 it asks for the memory of later
 * operations as the compiled model does. */
#include <stdint.h>

enum { MAX_ORDER = 10, BLOCK_ORDER = 9, BLOCK = 1 << BLOCK_ORDER, TYPES = 3, LISTS = 14, ZONES = 2 };
enum { UNMOVABLE, MOVABLE, RECLAIMABLE };
enum { FREE = 0x100, CACHED = 0x200, IN_USE = 0x400, MOVABLE_PAGES = 0x80, ORDER = 0xF, TYPE_SHIFT = 4 };
enum { WMARK_LOW = 1, WMARK = 3, CPUSET = 0x40, NOFRAGMENT = 0x100, KSWAPD = 0x800 };
enum { OP_ALLOC, OP_FREE };

struct page { int32_t next, prev, tag; };

struct pcp { int64_t count, batch, high, factor, scale_max; };

/* List heads are pages behind the last frame. */
struct zone {
	struct page *pages;
	uint8_t *types;
	int64_t free_heads, pcp_heads, start, end, kind, managed, nr_free, boost, boost_factor, boosted;
	int64_t watermark[3], reserve[6], area_free[MAX_ORDER + 1];
	struct pcp pcp;
};

static const int8_t fallbacks[TYPES][2] = {
	{ RECLAIMABLE, MOVABLE }, { RECLAIMABLE, UNMOVABLE }, { UNMOVABLE, MOVABLE },
};

static inline int64_t head_of(struct zone *z, int64_t order, int64_t type)
{
	return z->free_heads + order * TYPES + type;
}

static inline void insert(struct page *p, int64_t before, int64_t after, int64_t node)
{
	p[node].next = after;
	p[node].prev = before;
	p[before].next = node;
	p[after].prev = node;
}

static inline void unlink_page(struct page *p, int64_t node)
{
	int32_t after = p[node].next, before = p[node].prev;
	p[before].next = after;
	p[after].prev = before;
}

static inline int64_t first_of(struct zone *z, int64_t order, int64_t type)
{
	int64_t head = head_of(z, order, type), pfn = z->pages[head].next;
	return pfn == head ? -1 : pfn;
}

static inline void add_head(struct zone *z, int64_t pfn, int64_t order, int64_t type)
{
	int64_t head = head_of(z, order, type);
	insert(z->pages, head, z->pages[head].next, pfn);
	z->pages[pfn].tag = FREE | order | type << TYPE_SHIFT;
	z->area_free[order]++;
}

static inline void add_tail(struct zone *z, int64_t pfn, int64_t order, int64_t type)
{
	int64_t head = head_of(z, order, type);
	insert(z->pages, z->pages[head].prev, head, pfn);
	z->pages[pfn].tag = FREE | order | type << TYPE_SHIFT;
	z->area_free[order]++;
}

static inline void take_off(struct zone *z, int64_t pfn, int64_t order)
{
	unlink_page(z->pages, pfn);
	z->pages[pfn].tag = 0;
	z->area_free[order]--;
}

static inline int spans(struct zone *z, int64_t pfn) { return pfn >= z->start && pfn < z->end; }

static inline int is_free(struct zone *z, int64_t pfn, int64_t order)
{
	return spans(z, pfn) && (z->pages[pfn].tag & (FREE | ORDER)) == (FREE | order);
}

static void free_one(struct zone *z, int64_t pfn, int64_t order, int64_t type)
{
	z->nr_free += 1LL << order;
	while (order < MAX_ORDER) {
		int64_t buddy = pfn ^ 1LL << order;
		if (!is_free(z, buddy, order))
			break;
		if (order >= BLOCK_ORDER) {
			int other = z->types[buddy >> BLOCK_ORDER];
			if (other != type && (other >= TYPES || type >= TYPES))
				break;
		}
		take_off(z, buddy, order);
		pfn &= buddy;
		order++;
	}
	if (order < MAX_ORDER - 1) {
		int64_t larger = pfn & ~(1LL << order);
		if (is_free(z, larger ^ 2LL << order, order + 1)) {
			add_tail(z, pfn, order, type);
			return;
		}
	}
	add_head(z, pfn, order, type);
}

static int64_t smallest(struct zone *z, int64_t order, int64_t type)
{
	for (int64_t at = order; at <= MAX_ORDER; at++) {
		int64_t pfn = first_of(z, at, type);
		if (pfn < 0)
			continue;
		take_off(z, pfn, at);
		while (at > order) {
			at--;
			add_head(z, pfn + (1LL << at), at, type);
		}
		return pfn;
	}
	return -1;
}

static int fallback_at(struct zone *z, int64_t order, int64_t type)
{
	for (int i = 0; i < 2; i++)
		if (first_of(z, order, fallbacks[type][i]) >= 0)
			return fallbacks[type][i];
	return -1;
}

static void move_to(struct zone *z, int64_t pfn, int64_t order, int64_t type)
{
	take_off(z, pfn, order);
	add_tail(z, pfn, order, type);
}

static void boost(struct zone *z, int64_t flags)
{
	int64_t high = z->watermark[2], most = high * z->boost_factor / 10000;
	if (!z->boost_factor || BLOCK * 4 > z->managed || !most)
		return;
	most = most > BLOCK ? most : BLOCK;
	z->boost = z->boost + BLOCK < most ? z->boost + BLOCK : most;
	if (flags & KSWAPD)
		z->boosted = 1;
}

static void steal(struct zone *z, int64_t pfn, int64_t order, int64_t type, int64_t flags, int whole)
{
	int block_type = z->types[pfn >> BLOCK_ORDER];
	if (order >= BLOCK_ORDER) {
		for (int64_t at = pfn; at < pfn + (1LL << order); at += BLOCK)
			z->types[at >> BLOCK_ORDER] = type;
		move_to(z, pfn, order, type);
		return;
	}
	boost(z, flags);
	int64_t start = pfn & ~(int64_t)(BLOCK - 1), end = start + BLOCK, moved = 0, movable = 0;
	if (whole) {
		if (start < z->start)
			start = pfn;
		if (end > z->end)
			end = start;
		for (int64_t at = start; at < end;) {
			int32_t tag = z->pages[at].tag;
			if (tag & FREE) {
				int64_t size = 1LL << (tag & ORDER);
				move_to(z, at, tag & ORDER, type);
				moved += size;
				at += size;
			} else {
				if (tag & IN_USE && tag & MOVABLE_PAGES)
					movable += 1LL << (tag & ORDER);
				at++;
			}
		}
	}
	if (!moved) {
		move_to(z, pfn, order, type);
		return;
	}
	int64_t alike = type == MOVABLE ? movable : block_type == MOVABLE ? BLOCK - moved - movable : 0;
	if (moved + alike >= BLOCK / 2)
		z->types[pfn >> BLOCK_ORDER] = type;
}

static int64_t steal_and_retry(struct zone *z, int64_t order, int64_t type, int64_t flags)
{
	int64_t least = order < BLOCK_ORDER && flags & NOFRAGMENT ? BLOCK_ORDER : order, at;
	int other = -1;
	for (at = MAX_ORDER; at >= least && (other = fallback_at(z, at, type)) < 0; at--)
		;
	if (other < 0)
		return -1;
	int claims = at >= BLOCK_ORDER / 2 || type != MOVABLE;
	if (!claims && at > order) {
		for (at = order; (other = fallback_at(z, at, type)) < 0; at++)
			;
		claims = at >= BLOCK_ORDER / 2;
	}
	steal(z, first_of(z, at, other), at, type, flags, claims);
	return smallest(z, order, type);
}

static inline int64_t take(struct zone *z, int64_t order, int64_t type, int64_t flags)
{
	int64_t pfn = smallest(z, order, type);
	return pfn >= 0 ? pfn : steal_and_retry(z, order, type, flags);
}

static inline int cached(int64_t order) { return order <= 3 || order == BLOCK_ORDER; }

static inline int64_t index_of(int64_t order, int64_t type)
{
	return order > 3 ? 12 + (type == MOVABLE) : 3 * order + type;
}

static void refill(struct zone *z, int64_t head, int64_t order, int64_t type, int64_t flags)
{
	int64_t blocks = z->pcp.batch, taken = 0;
	if (blocks > 1)
		blocks = blocks >> order > 2 ? blocks >> order : 2;
	while (taken < blocks) {
		int64_t pfn = take(z, order, type, flags);
		if (pfn < 0)
			break;
		insert(z->pages, z->pages[head].prev, head, pfn);
		z->pages[pfn].tag = CACHED | order | type << TYPE_SHIFT;
		z->pcp.count += 1LL << order;
		taken++;
	}
	z->nr_free -= taken << order;
}

static inline int64_t rmqueue(struct zone *z, int64_t order, int64_t type, int64_t flags)
{
	if (cached(order)) {
		int64_t head = z->pcp_heads + index_of(order, type);
		z->pcp.factor >>= 1;
		if (z->pages[head].next == head)
			refill(z, head, order, type, flags);
		int64_t pfn = z->pages[head].next;
		if (pfn != head) {
			unlink_page(z->pages, pfn);
			z->pcp.count -= 1LL << order;
			return pfn;
		}
	}
	int64_t pfn = take(z, order, type, flags);
	if (pfn >= 0)
		z->nr_free -= 1LL << order;
	return pfn;
}

static inline int watermark_ok(struct zone *z, int64_t order, int64_t mark, int64_t class)
{
	if (z->nr_free - ((1LL << order) - 1) <= mark + z->reserve[class])
		return 0;
	if (order == 0)
		return 1;
	for (int64_t at = order; at <= MAX_ORDER; at++)
		for (int type = 0; type < TYPES; type++)
			if (first_of(z, at, type) >= 0)
				return 1;
	return 0;
}

static inline int64_t try_zones(struct zone *zones, int n, int64_t order, int64_t type, int64_t class, int64_t flags)
{
	for (int i = n - 1; i >= 0; i--) {
		struct zone *z = &zones[i];
		if (z->kind > class || !watermark_ok(z, order, z->watermark[flags & WMARK] + z->boost, class))
			continue;
		int64_t pfn = rmqueue(z, order, type, flags);
		if (pfn >= 0) {
			z->pages[pfn].tag = IN_USE | order | (type == MOVABLE ? MOVABLE_PAGES : 0);
			return pfn;
		}
	}
	return -1;
}

static inline int64_t alloc_with(struct zone *zones, int n, int64_t order, int64_t type, int64_t class, int64_t flags)
{
	int64_t pfn = try_zones(zones, n, order, type, class, flags);
	if (pfn < 0 && flags & NOFRAGMENT)
		pfn = try_zones(zones, n, order, type, class, flags & ~NOFRAGMENT);
	return pfn;
}

static void drain(struct zone *z, int64_t pages, int64_t index)
{
	if (pages > z->pcp.count)
		pages = z->pcp.count;
	while (pages > 0) {
		int64_t head = z->pcp_heads + index;
		int64_t order = index >= 12 ? BLOCK_ORDER : index / 3;
		while (pages > 0 && z->pages[head].prev != head) {
			int64_t pfn = z->pages[head].prev;
			int64_t type = z->pages[pfn].tag >> TYPE_SHIFT & 7;
			unlink_page(z->pages, pfn);
			z->pages[pfn].tag = 0;
			z->pcp.count -= 1LL << order;
			free_one(z, pfn, order, type);
			pages -= 1LL << order;
		}
		index = index + 1 == LISTS ? 0 : index + 1;
	}
}

static inline int64_t to_give_back(struct pcp *p, int64_t order)
{
	int free_high = p->factor && order && order <= 3;
	if (free_high)
		return p->count;
	int64_t high = p->high;
	if (p->count < high)
		return 0;
	if (high < p->batch)
		return 1;
	int64_t batch = p->batch << p->factor;
	if (batch < high - p->batch && p->factor < p->scale_max)
		p->factor++;
	batch = batch > p->batch ? batch : p->batch;
	return batch < high - p->batch ? batch : high - p->batch;
}

static inline void free_block(struct zone *z, int64_t pfn, int64_t order)
{
	int64_t type = z->types[pfn >> BLOCK_ORDER];
	z->pages[pfn].tag = 0;
	if (!cached(order)) {
		free_one(z, pfn, order, type);
		return;
	}
	int64_t index = index_of(order, type), head = z->pcp_heads + index;
	insert(z->pages, head, z->pages[head].next, pfn);
	z->pages[pfn].tag = CACHED | order | type << TYPE_SHIFT;
	z->pcp.count += 1LL << order;
	int64_t pages = to_give_back(&z->pcp, order);
	if (pages > 0)
		drain(z, pages, index);
}

/* Everything free, MOVABLE, in blocks of the largest order, lowest first. */
void allocator_init(struct zone *zones, int n, struct page *pages, uint8_t *types, int64_t frames)
{
	for (int i = 0; i < n; i++) {
		struct zone *z = &zones[i];
		z->pages = pages;
		z->types = types;
		z->free_heads = frames + i * ((MAX_ORDER + 1) * TYPES + LISTS);
		z->pcp_heads = z->free_heads + (MAX_ORDER + 1) * TYPES;
		for (int64_t node = z->free_heads; node < z->pcp_heads + LISTS; node++)
			pages[node].next = pages[node].prev = node;
		for (int64_t pfn = z->start; pfn < z->end; pfn += 1 << MAX_ORDER)
			add_tail(z, pfn, MAX_ORDER, MOVABLE);
	}
}

/* Run operation words; as linuxmm.fast.allocator.run_words, with totals alike. */
int64_t allocator_run(struct zone *zones, int n, const int64_t *words, int64_t count, const int64_t *gfps,
		      int64_t *slots, int64_t *totals)
{
	int64_t checksum = totals[0];
	for (int64_t i = 0; i < count; i++) {
		int64_t word = words[i], slot = word >> 32;
#ifdef LOOK_AHEAD
		if (i + 2 * LOOK_AHEAD < count) {
			__builtin_prefetch(&slots[words[i + 2 * LOOK_AHEAD] >> 32], 1, 3);
			__builtin_prefetch(&zones[0].pages[slots[words[i + LOOK_AHEAD] >> 32] >> 4], 1, 3);
		}
#endif
		if ((word & 15) == OP_ALLOC) {
			int64_t order = word >> 4 & 15;
			const int64_t *gfp = gfps + (word >> 8 & 255) * 3;
			int64_t preferred = n - 1;
			while (preferred > 0 && zones[preferred].kind > gfp[2])
				preferred--;
			int64_t flags = WMARK_LOW | CPUSET | (gfp[0] & KSWAPD);
			if (zones[preferred].kind == 2)
				flags |= NOFRAGMENT;
			int64_t pfn = alloc_with(zones, n, order, gfp[1], gfp[2], flags);
			if (pfn < 0) {
				pfn = alloc_with(zones, n, order, gfp[1], gfp[2], CPUSET | (gfp[0] & KSWAPD));
				totals[4]++;
			}
			totals[pfn < 0 ? 2 : 1]++;
			slots[slot] = pfn < 0 ? -1 : pfn << 4 | order;
			checksum = (int64_t)(((uint64_t)checksum * 1000003 + (uint64_t)pfn) & ((1ULL << 62) - 1));
		} else if (slots[slot] != -1) {
			int64_t held = slots[slot];
			struct zone *z = zones;
			while (!spans(z, held >> 4))
				z++;
			slots[slot] = -1;
			totals[3]++;
			free_block(z, held >> 4, held & 15);
		}
	}
	totals[0] = checksum;
	return count;
}
