/* TLBs and page walks of one x86-64 CPU in C, as a yardstick: same banks, same slots, same checksum as the
 * compiled model.  Supervisor protection as by default (WP, SMEP, SMAP, NXE, PGE on); a page is mapped where a
 * reference finds none.  Everything that a build would fix is a constant. */
#include <stdint.h>

enum { READ, WRITE, FETCH, SUPERVISOR = 4 };
enum { DATA, CODE, SHARED, TABLES, SIZES = 3, BANKS = 12, BANK_SHIFT = 11 };
enum { TRANSLATED, PAGE_FAULT, NOT_CANONICAL, UNSERVED };
enum { PRESENT = 1, WRITABLE = 2, USER = 4, ACCESSED = 32, DIRTY = 64, LARGE = 128, GLOBAL = 256, NOEXEC = 1 };
enum { CHECKSUM, BY, FAULTS = 5, REFUSED, MAPPED, FRESH, NEXT, CONTEXT, LAST };
#define PHYSICAL 0x000FFFFFFFFFF000ll
#define RESERVED (((1ll << 52) - (1ll << 46)))
#define MASK ((1ll << 46) - 1)

static const int set_bits[BANKS] = { 4, 3, 0, 4, 0, 0, 7, 6, 2, 3, 0, 0 };
static const int ways[BANKS] = { 4, 4, 4, 8, 8, 0, 12, 12, 4, 4, 4, 2 };

struct slot { int64_t tag, data; };
struct memory { int64_t *words; int64_t count, first; };
struct walk { int status, level; int64_t table, entry; int above, rights, code; };
struct use { int status, level, code, by; int64_t address; };

static inline int64_t page_of(int64_t va, int level)
{
	return (va >> (12 + 9 * level)) & ((1ll << (36 - 9 * level)) - 1);
}

static inline struct slot *set_of(struct slot *tlb, int bank, int64_t page)
{
	return tlb + ((int64_t)bank << BANK_SHIFT) + (page & ((1 << set_bits[bank]) - 1)) * ways[bank];
}

static inline int find(const struct slot *set, int bank, int64_t page, int64_t pcid)
{
	int64_t mine = page << 18 | pcid << 2 | 1, shared = page << 18 | 3;
	int rank;

	for (rank = 0; rank < ways[bank]; rank++)
		if (set[rank].tag == mine || set[rank].tag == shared)
			break;
	return rank;
}

static inline void use_slot(struct slot *set, int rank, struct slot slot)
{
	for (; rank > 0; rank--)
		set[rank] = set[rank - 1];
	set[0] = slot;
}

static inline void insert(struct slot *tlb, int bank, int64_t page, int64_t pcid, int global, int64_t data)
{
	struct slot *set, slot = { global ? page << 18 | 3 : page << 18 | pcid << 2 | 1, data };
	int rank;

	if (!ways[bank])
		return;
	set = set_of(tlb, bank, page);
	rank = find(set, bank, page, pcid);
	if (rank == ways[bank]) {
		for (rank = 0; rank < ways[bank] && set[rank].tag; rank++)
			;
		if (rank == ways[bank])
			rank--;
	}
	use_slot(set, rank, slot);
}

static inline int lookup(struct slot *tlb, int unit, int64_t va, int64_t pcid, struct slot **set, int *rank)
{
#pragma GCC unroll 3
	for (int level = 0; level < SIZES; level++) {
		int bank = unit * SIZES + level;
		int64_t page;

		if (!ways[bank])
			continue;
		page = page_of(va, unit == TABLES ? level + 1 : level);
		*set = set_of(tlb, bank, page);
		*rank = find(*set, bank, page, pcid);
		if (*rank < ways[bank])
			return level;
	}
	return SIZES;
}

static __attribute__((noinline)) void invalidate(struct slot *tlb, int flush, int64_t target, int64_t va)
{
	for (int bank = 0; bank < BANKS; bank++) {
		int unit = bank / SIZES, level = bank % SIZES, table = unit == TABLES;
		int64_t count = (int64_t)ways[bank] << set_bits[bank];
		struct slot *slot = tlb + ((int64_t)bank << BANK_SHIFT), *end;

		if (flush < 2 && !table && ways[bank]) {
			slot = set_of(tlb, bank, page_of(va, level));
			count = ways[bank];
		}
		for (end = slot + count; slot < end; slot++) {
			int64_t pcid = slot->tag >> 2 & 0xFFFF;
			int global = slot->tag & 2, covers, drop;

			if (!slot->tag)
				continue;
			covers = slot->tag >> 18 == page_of(va, level + table);
			if (table)
				drop = flush == 0 || flush == 2 ? pcid == target :
				       flush == 1 ? covers && pcid == target : flush == 3 || flush == 4;
			else
				drop = flush == 0 ? covers && (global || pcid == target) :
				       flush == 1 ? covers && pcid == target && !global :
				       flush == 2 ? pcid == target && !global : flush == 3 || (flush == 4 && !global);
			if (drop)
				slot->tag = slot->data = 0;
		}
	}
}

static inline int denied(int kind, int user, int rights)
{
	if (user) {
		if (!(rights & USER))
			return 1;
		return kind == WRITE ? !(rights & WRITABLE) : kind == FETCH && rights & NOEXEC;
	}
	if (kind == FETCH)
		return rights & (NOEXEC | USER);
	return rights & USER || (kind == WRITE && !(rights & WRITABLE));
}

static inline int error_code(int kind, int user, int present, int reserved)
{
	return present | (kind == WRITE) << 1 | user << 2 | reserved << 3 | (kind == FETCH) << 4;
}

static inline int has_reserved(int64_t entry, int level, int leaf)
{
	int64_t mask = RESERVED;

	if (level > 0)
		mask |= leaf ? (1ll << (12 + 9 * level)) - (1ll << 13) : LARGE;
	return (entry & mask) != 0;
}

static inline struct walk walk_from(struct memory *m, int64_t va, int kind, int user, int level, int64_t table,
				    int rights)
{
	for (;; level--) {
		int64_t at = (table - m->first >> 3) + (va >> (12 + 9 * level) & 511), entry;
		int leaf, own;

		if (at < 0 || at >= m->count)
			return (struct walk){ UNSERVED, level, table, 0, rights, 0, 1 };
		entry = m->words[at];
		if (!(entry & PRESENT))
			return (struct walk){ PAGE_FAULT, level, table, entry, rights, 0, error_code(kind, user, 0, 0) };
		leaf = level == 0 || (level < 3 && entry & LARGE);
		if (has_reserved(entry, level, leaf))
			return (struct walk){ PAGE_FAULT, level, table, entry, rights, 0, error_code(kind, user, 1, 1) };
		own = (rights & entry & (WRITABLE | USER)) | ((rights | (entry >> 63)) & NOEXEC);
		if (leaf) {
			int64_t marked = entry | ACCESSED | (kind == WRITE ? DIRTY : 0);

			if (denied(kind, user, own))
				return (struct walk){ PAGE_FAULT, level, table, entry, rights, 0,
						      error_code(kind, user, 1, 0) };
			if (marked != entry)
				m->words[at] = marked;
			return (struct walk){ TRANSLATED, level, table, marked, rights, own, 0 };
		}
		if (!(entry & ACCESSED))
			m->words[at] = entry | ACCESSED;
		rights = own;
		table = entry & PHYSICAL;
	}
}

static inline struct use reference(struct slot *tlb, struct memory *m, int64_t root, int64_t pcid, int64_t va,
				   int kind, int user)
{
	int64_t above = va >> 47 & 0x1FFFF, base, data;
	int unit = kind == FETCH ? CODE : DATA, by = 0, level, rank;
	struct slot *set;
	struct walk walk;

	if (above != 0 && above != 0x1FFFF)
		return (struct use){ NOT_CANONICAL, 0, 0, 0, 0 };
	level = lookup(tlb, unit, va, pcid, &set, &rank);
	if (level == SIZES) {
		by = 1;
		level = lookup(tlb, SHARED, va, pcid, &set, &rank);
	}
	if (level != SIZES) {
		struct slot slot = set[rank];

		if (denied(kind, user, slot.data & 7)) {
			invalidate(tlb, 1, pcid, va);
			return (struct use){ PAGE_FAULT, 0, error_code(kind, user, 1, 0), by, 0 };
		}
		if (kind != WRITE || slot.data & DIRTY) {
			if (rank > 0)
				use_slot(set, rank, slot);
			if (by == 1)
				insert(tlb, unit * SIZES + level, page_of(va, level), pcid, slot.tag & 2, slot.data);
			return (struct use){ TRANSLATED, level, 0, by,
					     (slot.data & PHYSICAL) | (va & ((1ll << (12 + 9 * level)) - 1)) };
		}
	}
	level = lookup(tlb, TABLES, va, pcid, &set, &rank);
	by = level == SIZES ? 3 : 2;
	walk = level == SIZES ? walk_from(m, va, kind, user, 3, root, WRITABLE | USER) :
	       walk_from(m, va, kind, user, level, set[rank].data & PHYSICAL, set[rank].data & 7);
	if (walk.status != TRANSLATED) {
		invalidate(tlb, 1, pcid, va);
		return (struct use){ walk.status, 0, walk.code, by, 0 };
	}
	level = walk.level;
	base = walk.entry & PHYSICAL & ~((1ll << (12 + 9 * level)) - 1);
	data = base | (walk.entry & DIRTY) | walk.rights;
	insert(tlb, TABLES * SIZES + level, page_of(va, level + 1), pcid, 0, walk.table | walk.above);
	insert(tlb, SHARED * SIZES + level, page_of(va, level), pcid, walk.entry & GLOBAL, data);
	insert(tlb, unit * SIZES + level, page_of(va, level), pcid, walk.entry & GLOBAL, data);
	return (struct use){ TRANSLATED, level, 0, by, base | (va & ((1ll << (12 + 9 * level)) - 1)) };
}

static int64_t map_page(struct memory *m, int64_t root, int64_t va, int64_t leaf, int64_t fresh)
{
	int64_t table = root;

	for (int level = 3; level > 0; level--) {
		int64_t *at = &m->words[(table - m->first >> 3) + (va >> (12 + 9 * level) & 511)];

		if (!(*at & PRESENT)) {
			*at = fresh | 0x67;
			fresh += 4096;
		}
		table = *at & PHYSICAL;
	}
	m->words[(table - m->first >> 3) + (va >> 12 & 511)] = leaf;
	return fresh;
}

static void finish(int64_t *state, int64_t checksum, int64_t hits, const struct use *use)
{
	state[CHECKSUM] = checksum;
	state[BY] += hits;
	state[LAST] = use->status;
	state[LAST + 1] = use->address;
	state[LAST + 2] = use->level;
	state[LAST + 3] = use->code;
}

int64_t translate_run(int64_t *words, int64_t count, int64_t first, struct slot *tlb, const int64_t *contexts,
		      const int64_t *ops, int64_t nr_ops, int64_t leaf, int64_t *state)
{
	struct memory m = { words, count, first };
	int64_t root = contexts[2 * state[CONTEXT]], pcid = contexts[2 * state[CONTEXT] + 1];
	int64_t checksum = state[CHECKSUM], hits = 0;
	struct use use = { 0 };

	for (int64_t i = 0; i < nr_ops; i++) {
		int64_t va = ops[i] >> 4;
		int code = ops[i] & 15, kind = code & 3, user = !(code & SUPERVISOR);

		if (code >= 8) {
			if (code == 14) {
				state[CONTEXT] = va;
				root = contexts[2 * va];
				pcid = contexts[2 * va + 1];
			} else {
				invalidate(tlb, code - 8, pcid, va);
			}
			continue;
		}
		use = reference(tlb, &m, root, pcid, va, kind, user);
		if (use.status == PAGE_FAULT) {
			state[FAULTS]++;
			if (leaf && !(use.code & 1)) {
				if (state[FRESH] + (3 << 12) > first + (count << 3)) {
					finish(state, checksum, hits, &use);
					return i;
				}
				state[FRESH] = map_page(&m, root, va, state[NEXT] | leaf, state[FRESH]);
				state[NEXT] += 4096;
				state[MAPPED]++;
				use = reference(tlb, &m, root, pcid, va, kind, user);
			}
		}
		if (use.status == TRANSLATED) {
			if (use.by == 0)
				hits++;
			else
				state[BY + use.by]++;
			checksum = (checksum * 31 + (use.address >> 12) + 7) & MASK;
		} else {
			state[REFUSED]++;
			checksum = (checksum * 31 + use.status + use.code + 11) & MASK;
		}
	}
	finish(state, checksum, hits, &use);
	return -1;
}
