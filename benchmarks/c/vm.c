/* The fault path of one x86-64 process of 6.12 in C, as a yardstick: areas, tables, struct page, page cache, zero
 * page, fault-around and copy-on-write as the compiled model has them, over the same arrays. */
#include "translate.c"

enum { MINOR, MAJOR, BROKEN, BUS, OOM, DENIED, HOLE, BELOW_STACK, NO_FAULT = -1 };
enum { VM_WRITE = 2, VM_EXEC = 4, VM_ACCESS = 7, VM_SHARED = 8, VM_MAYWRITE = 32, VM_GROWSDOWN = 256 };
enum { REFS, MAPS, OBJECT, INDEX, FRAME_WORDS };
enum { IS_ANON = 1, EXCLUSIVE = 2, IS_DIRTY = 8, ONE_MAP = 16 };
enum { SIZE, SWAPS, BASE, OBJECT_WORDS };
enum { FREED, UNUSED, NR_FRAMES, NR_TABLES, FLUSHES, FLUSH_START, FLUSH_END, SPACE1 = 24 };
enum { ROOT, FILE_RSS = 2, ANON_RSS, SHMEM_RSS = 5, LEVELS };
enum { START, END, FLAGS, PGOFF, OF_FILE, TOUCHED, AREA_WORDS = 8 };
enum { VM_FAULTS = 5, UNTRANSLATABLE = 13, WRITTEN, VM_LAST };
enum { PROTNONE = 256, SPECIAL = 512, AROUND = 16 };
#define NX (1ull << 63)

struct vm {
	struct memory m;
	int32_t *frames, *cache;
	int64_t *objects, *st, *mm, zero;
};

static inline int64_t *entry_at(struct vm *v, int64_t at)
{
	return &v->m.words[(at - v->m.first) >> 3];
}

static inline int32_t *page_of_frame(struct vm *v, int64_t frame)
{
	return v->frames + (frame - (v->m.first >> 12)) * FRAME_WORDS;
}

static inline int64_t take(struct vm *v)
{
	int64_t at = v->st[FREED];

	if (at >= 0)
		v->st[FREED] = v->frames[at * FRAME_WORDS + REFS];
	else if (v->st[UNUSED] == v->st[NR_FRAMES])
		return -1;
	else
		at = v->st[UNUSED]++;
	return at + (v->m.first >> 12);
}

static inline void set_page(struct vm *v, int64_t frame, int refs, int maps, int object, int index)
{
	int32_t *page = page_of_frame(v, frame);

	page[REFS] = refs;
	page[MAPS] = maps;
	page[OBJECT] = object;
	page[INDEX] = index;
}

static inline void count(struct vm *v, const int32_t *page, int by)
{
	if (page[MAPS] & IS_ANON)
		v->mm[ANON_RSS] += by;
	else if (page[OBJECT] >= 0 && v->objects[page[OBJECT] * OBJECT_WORDS + SWAPS])
		v->mm[SHMEM_RSS] += by;
	else
		v->mm[FILE_RSS] += by;
}

static void flush(struct vm *v, int64_t va)
{
	int64_t start = va & -4096, *st = v->st;

	if (!st[FLUSHES]++) {
		st[FLUSH_START] = start;
		st[FLUSH_END] = start + 4096;
		return;
	}
	st[FLUSH_START] = st[FLUSH_START] < start ? st[FLUSH_START] : start;
	st[FLUSH_END] = st[FLUSH_END] > start + 4096 ? st[FLUSH_END] : start + 4096;
}

static int64_t provide(struct vm *v, int64_t va)
{
	int64_t at = v->mm[ROOT] + ((va >> 39 & 511) << 3);

	for (int level = 2; level >= 0; level--) {
		int64_t *above = entry_at(v, at);

		if (!(*above & PRESENT)) {
			int64_t frame = take(v);

			if (frame < 0)
				return -1;
			*above = frame << 12 | 0x67;
			v->mm[LEVELS + level]++;
			v->st[NR_TABLES]++;
		}
		at = (*above & PHYSICAL) + ((va >> (12 + 9 * level) & 511) << 3);
	}
	return at;
}

static inline int64_t protection(int64_t flags)
{
	int64_t bits = PRESENT | USER | ACCESSED;

	if (!(flags & VM_ACCESS))
		return PROTNONE | ACCESSED;
	if ((flags & (VM_SHARED | VM_WRITE)) == (VM_SHARED | VM_WRITE))
		bits |= WRITABLE;
	return flags & VM_EXEC ? bits : (int64_t)(bits | NX);
}

static inline int64_t writable(int64_t value, int64_t flags)
{
	return flags & VM_WRITE ? value | WRITABLE : value;
}

static int map_new(struct vm *v, const int64_t *area, int64_t *pte)
{
	int64_t frame = take(v);

	if (frame < 0)
		return OOM;
	set_page(v, frame, 1, ONE_MAP | IS_ANON | EXCLUSIVE, -1, 0);
	v->mm[ANON_RSS]++;
	*pte = writable(frame << 12 | protection(area[FLAGS]) | DIRTY, area[FLAGS]);
	return MINOR;
}

static inline void map_entry(struct vm *v, int64_t *pte, int64_t frame, int64_t value)
{
	int32_t *page = page_of_frame(v, frame);

	page[REFS]++;
	page[MAPS] += ONE_MAP;
	count(v, page, 1);
	*pte = value;
}

static void map_around(struct vm *v, const int64_t *area, const int64_t *object, int64_t va, int64_t *pte,
		       int64_t prot)
{
	int64_t page = va >> 12, first = area[START] >> 12, last = area[END] >> 12, start = page & -AROUND, end;

	start = start > first ? start : first;
	start = start > (page & -512) ? start : page & -512;
	end = start + AROUND < last ? start + AROUND : last;
	end = end < (page & -512) + 512 ? end : (page & -512) + 512;
	for (int64_t at = start; at < end; at++) {
		int64_t index = at - first + area[PGOFF];
		int32_t held;

		if (index << 12 >= object[SIZE] || !(held = v->cache[object[BASE] + index]) || pte[at - page])
			continue;
		int64_t frame = held + (v->m.first >> 12) - 1;

		map_entry(v, &pte[at - page], frame, (frame << 12 | prot) & ~ACCESSED);
	}
}

static int do_fault(struct vm *v, const int64_t *area, int64_t va, int64_t *pte, int write)
{
	int64_t index = (va >> 12) - (area[START] >> 12) + area[PGOFF], flags = area[FLAGS], frame, prot;
	const int64_t *object = v->objects + area[OF_FILE] * OBJECT_WORDS;
	int32_t *held = &v->cache[object[BASE] + index];
	int outcome = MINOR;

	if (index << 12 >= object[SIZE])
		return BUS;
	if (*held) {
		frame = *held + (v->m.first >> 12) - 1;
	} else {
		frame = take(v);
		if (frame < 0)
			return OOM;
		*held = frame - (v->m.first >> 12) + 1;
		set_page(v, frame, 1, 0, area[OF_FILE], index);
		outcome = object[SWAPS] ? MINOR : MAJOR;
	}
	if (write && (flags & (VM_SHARED | VM_MAYWRITE)) == VM_MAYWRITE) {
		int done = map_new(v, area, pte);

		return done == MINOR ? outcome : done;
	}
	prot = protection(object[SWAPS] ? flags : flags & ~VM_SHARED);
	if (write) {
		page_of_frame(v, frame)[MAPS] |= IS_DIRTY;
		map_entry(v, pte, frame, writable(frame << 12 | prot | DIRTY, flags));
		return outcome;
	}
	map_entry(v, pte, frame, frame << 12 | prot);
	map_around(v, area, object, va, pte, prot);
	return outcome;
}

static int wp_copy(struct vm *v, const int64_t *area, int64_t va, int64_t *pte)
{
	int64_t value = *pte, old = (value & PHYSICAL) >> 12, frame = take(v);
	int32_t *page;

	if (frame < 0)
		return OOM;
	*pte = 0;
	flush(v, va);
	set_page(v, frame, 1, ONE_MAP | IS_ANON | EXCLUSIVE, -1, 0);
	v->mm[ANON_RSS]++;
	*pte = writable(frame << 12 | protection(area[FLAGS]) | DIRTY, area[FLAGS]);
	if (value & SPECIAL)
		return BROKEN;
	page = page_of_frame(v, old);
	count(v, page, -1);
	page[MAPS] = (page[MAPS] - ONE_MAP) | (value & DIRTY ? IS_DIRTY : 0);
	if (page[REFS] > 1) {
		page[REFS]--;
	} else {
		page[REFS] = v->st[FREED];
		page[MAPS] = 0;
		v->st[FREED] = old - (v->m.first >> 12);
	}
	return BROKEN;
}

static int do_wp_page(struct vm *v, const int64_t *area, int64_t va, int64_t *pte)
{
	int64_t value = *pte;
	int32_t *page = page_of_frame(v, (value & PHYSICAL) >> 12);

	if (value & SPECIAL)
		return wp_copy(v, area, va, pte);
	if (page[MAPS] & IS_ANON && (page[MAPS] & EXCLUSIVE || page[REFS] == 1))
		page[MAPS] |= EXCLUSIVE;
	else if (!(page[MAPS] & IS_ANON) && (area[FLAGS] & (VM_WRITE | VM_SHARED)) == (VM_WRITE | VM_SHARED))
		page[MAPS] |= IS_DIRTY;
	else
		return wp_copy(v, area, va, pte);
	*pte = writable(value | ACCESSED | DIRTY, area[FLAGS]);
	flush(v, va);
	return BROKEN;
}

static int handle_fault(struct vm *v, const int64_t *area, int64_t va, int write)
{
	int64_t at = provide(v, va), *pte = entry_at(v, at), value;

	if (at < 0)
		return OOM;
	value = *pte;
	if (!value) {
		if (area[OF_FILE] >= 0)
			return do_fault(v, area, va, pte, write);
		if (write)
			return map_new(v, area, pte);
		*pte = v->zero << 12 | protection(area[FLAGS]) | SPECIAL;
		return MINOR;
	}
	if (!(value & PRESENT) && area[FLAGS] & VM_ACCESS) {
		int64_t kept = PHYSICAL | ACCESSED | DIRTY | SPECIAL, flags = area[FLAGS];

		if (area[OF_FILE] >= 0 && !v->objects[area[OF_FILE] * OBJECT_WORDS + SWAPS])
			flags &= ~VM_SHARED;
		*pte = (value & kept) | (protection(flags) & ~kept) | ACCESSED;
		return MINOR;
	}
	if (write && !(value & WRITABLE))
		return do_wp_page(v, area, va, pte);
	*pte = value | ACCESSED | (write ? DIRTY : 0);
	return MINOR;
}

static __attribute__((noinline)) int answer(struct vm *v, int64_t *areas, int64_t va, int kind, int64_t **found)
{
	int64_t low = 0, high = areas[0], *area, needed = kind == WRITE ? VM_WRITE : kind == FETCH ? VM_EXEC : VM_ACCESS;

	while (low < high) {
		int64_t middle = (low + high) >> 1;

		if (areas[(middle + 1) * AREA_WORDS + END] > va)
			high = middle;
		else
			low = middle + 1;
	}
	*found = area = areas + (low + 1) * AREA_WORDS;
	if (low == areas[0])
		return HOLE;
	if (area[START] > va)
		return area[FLAGS] & VM_GROWSDOWN ? BELOW_STACK : HOLE;
	return area[FLAGS] & needed ? handle_fault(v, area, va, kind == WRITE) : DENIED;
}

int64_t vm_run(int64_t *words, int64_t words_count, int64_t first, int32_t *frames, int32_t *cache,
	       int64_t *objects, int64_t *st, int64_t zero, struct slot *tlb, int64_t *areas, const int64_t *ops,
	       int64_t nr_ops, int64_t *state)
{
	struct vm v = { { words, words_count, first }, frames, cache, objects, st, st + SPACE1, zero };
	int64_t checksum = state[CHECKSUM], hits = 0, i;
	struct use use = { 0 };

	for (i = 0; i < nr_ops; i++) {
		int64_t va = ops[i] >> 4, *area;
		int kind = ops[i] & 15, outcome;

		if (kind >= 8) {
			invalidate(tlb, kind - 8, 0, va);
			continue;
		}
		while ((use = reference(tlb, &v.m, v.mm[ROOT], 0, va, kind, 1)).status == PAGE_FAULT) {
			outcome = answer(&v, areas, va, kind, &area);
			if (outcome == BELOW_STACK || outcome == OOM)
				goto out;
			state[VM_FAULTS + outcome]++;
			if (outcome >= BUS)
				break;
			if (kind == WRITE && !area[TOUCHED] && (area[FLAGS] & (VM_WRITE | VM_SHARED)) == VM_WRITE)
				area[TOUCHED] = ++state[WRITTEN];
		}
		if (use.status == TRANSLATED) {
			if (use.by == 0)
				hits++;
			else
				state[BY + use.by]++;
			checksum = (checksum * 31 + (use.address >> 12) + 7) & MASK;
		} else {
			if (use.status != PAGE_FAULT)
				state[UNTRANSLATABLE]++;
			checksum = (checksum * 31 + use.status + use.code + 11) & MASK;
		}
	}
out:
	state[CHECKSUM] = checksum;
	state[BY] += hits;
	state[VM_LAST] = use.status;
	state[VM_LAST + 1] = use.address;
	state[VM_LAST + 2] = use.level;
	state[VM_LAST + 3] = use.code;
	return i;
}
