/* SLUB and kmalloc of 6.12 in C, as a yardstick: same slabs, same lists, same checksum as the compiled model.
 * What a build would fix is a constant; a slab's record fills a cache line, links are 16-bit numbers. */
#include <stdint.h>
#include <string.h>

enum { ALLOC, FREE, FLUSH, KMALLOC };
enum { NOTHING = -1, NO_SLAB = -1, LARGE = -2, ORDERS = 25, LINKS = 512, REMOTE = 15, EMPTY = -1 };
enum { CHECKSUM, ALLOCATED, FAILED, FREED };
#define MASK ((1ll << 62) - 1)

struct slab {
	int32_t node, objects, inuse, frozen, head, order, owner, prev, next, count, listed, pad[5];
};
struct cpu { int64_t slab, head, tid, first; };
struct node { int64_t first, last, length; };
struct cache { int64_t size, order, objects, min_partial, cpu_partial, doomed; };
struct heap { int64_t limit, next, held, back[ORDERS]; };
struct machine {
	struct slab *slabs;
	int16_t *links;
	int64_t *st;
	int64_t nr_cpus, nr_nodes;
};

#define HEAP(m) ((struct heap *)(m)->st)

static inline struct cache *cache_at(struct machine *m, int64_t index)
{
	int64_t words = 6 + 4 * m->nr_cpus + 3 * m->nr_nodes;

	return (struct cache *)(m->st + sizeof(struct heap) / 8 + m->nr_cpus + index * words);
}

static inline struct cpu *cpu_of(struct cache *c, int cpu)
{
	return (struct cpu *)(c + 1) + cpu;
}

static inline struct node *node_of(struct machine *m, struct cache *c, int64_t node)
{
	return (struct node *)((struct cpu *)(c + 1) + m->nr_cpus) + node;
}

static inline int64_t node_of_cpu(struct machine *m, int cpu)
{
	return m->st[sizeof(struct heap) / 8 + cpu];
}

static int64_t take_pages(struct machine *m, int order)
{
	struct heap *h = HEAP(m);
	int64_t pfn = h->back[order];

	if (pfn != NOTHING) {
		h->back[order] = m->slabs[pfn].next;
	} else {
		pfn = (h->next + (1ll << order) - 1) >> order << order;
		if (pfn + (1ll << order) > h->limit)
			return NOTHING;
		h->next = pfn + (1ll << order);
	}
	h->held += 1ll << order;
	return pfn;
}

static void give_pages(struct machine *m, int64_t pfn, int order)
{
	struct heap *h = HEAP(m);

	m->slabs[pfn].next = h->back[order];
	h->back[order] = pfn;
	h->held -= 1ll << order;
}

static void add_partial(struct machine *m, struct cache *c, int64_t pfn, int tail)
{
	struct slab *s = &m->slabs[pfn];
	struct node *n = node_of(m, c, s->node);

	s->listed = 1;
	if (tail) {
		s->prev = n->last;
		s->next = NOTHING;
		if (n->last == NOTHING)
			n->first = pfn;
		else
			m->slabs[n->last].next = pfn;
		n->last = pfn;
	} else {
		s->next = n->first;
		s->prev = NOTHING;
		if (n->first == NOTHING)
			n->last = pfn;
		else
			m->slabs[n->first].prev = pfn;
		n->first = pfn;
	}
	n->length++;
}

static void remove_partial(struct machine *m, struct cache *c, int64_t pfn)
{
	struct slab *s = &m->slabs[pfn];
	struct node *n = node_of(m, c, s->node);

	if (s->prev == NOTHING)
		n->first = s->next;
	else
		m->slabs[s->prev].next = s->next;
	if (s->next == NOTHING)
		n->last = s->prev;
	else
		m->slabs[s->next].prev = s->prev;
	s->listed = 0;
	n->length--;
}

static void discard(struct machine *m, int64_t pfn)
{
	m->slabs[pfn].owner = NO_SLAB;
	give_pages(m, pfn, m->slabs[pfn].order);
}

static void discard_doomed(struct machine *m, struct cache *c)
{
	while (c->doomed != NOTHING) {
		int64_t pfn = c->doomed;

		c->doomed = m->slabs[pfn].next;
		discard(m, pfn);
	}
}

static void let_go(struct machine *m, struct cache *c, int64_t pfn, int tail)
{
	struct slab *s = &m->slabs[pfn];

	s->frozen = 0;
	if (!s->inuse && node_of(m, c, s->node)->length >= c->min_partial) {
		s->next = c->doomed;
		c->doomed = pfn;
	} else if (s->head != NOTHING) {
		add_partial(m, c, pfn, tail);
	}
}

static void drain(struct machine *m, struct cache *c, struct cpu *held)
{
	while (held->first != NOTHING) {
		int64_t pfn = held->first;

		held->first = m->slabs[pfn].next;
		let_go(m, c, pfn, 1);
	}
}

static void flush_slab(struct machine *m, struct cache *c, struct cpu *held)
{
	int64_t pfn = held->slab;
	struct slab *s = &m->slabs[pfn];
	int16_t *links = m->links + pfn * LINKS;
	int freed_elsewhere = s->head != NOTHING;

	if (held->head != NOTHING) {
		int tail = held->head, count = 1;

		for (; links[tail] != NOTHING; count++)
			tail = links[tail];
		links[tail] = s->head;
		s->head = held->head;
		s->inuse -= count;
	}
	held->slab = held->head = NOTHING;
	held->tid++;
	let_go(m, c, pfn, freed_elsewhere);
}

static void put_cpu_partial(struct machine *m, struct cache *c, struct cpu *held, int64_t pfn, int may_drain)
{
	int count = held->first == NOTHING ? 0 : m->slabs[held->first].count;

	if (may_drain && held->first != NOTHING && count >= c->cpu_partial) {
		drain(m, c, held);
		count = 0;
	}
	m->slabs[pfn].next = held->first;
	m->slabs[pfn].count = count + 1;
	held->first = pfn;
}

static void use(struct machine *m, struct cpu *held, int64_t pfn)
{
	struct slab *s = &m->slabs[pfn];

	held->slab = pfn;
	held->head = s->head;
	held->tid++;
	s->head = NOTHING;
	s->inuse = s->objects;
	s->frozen = 1;
}

static int get_order(int64_t size)
{
	return size <= 4096 ? 0 : 64 - __builtin_clzll((size - 1) >> 12);
}

static int grow(struct machine *m, struct cache *c, int64_t index, struct cpu *held, int64_t node)
{
	int order = c->order;
	int64_t pfn = take_pages(m, order);
	int16_t *links;
	struct slab *s;

	if (pfn == NOTHING)
		pfn = take_pages(m, order = get_order(c->size));
	if (pfn == NOTHING)
		return 0;
	s = &m->slabs[pfn];
	s->node = node;
	s->objects = (4096ll << order) / c->size;
	s->inuse = s->frozen = s->head = s->listed = 0;
	s->order = order;
	s->owner = index;
	links = m->links + pfn * LINKS;
	for (int n = 1; n < s->objects; n++)
		links[n - 1] = n;
	links[s->objects - 1] = NOTHING;
	use(m, held, pfn);
	return 1;
}

static inline int matches(struct machine *m, int64_t pfn, int node)
{
	return node == NOTHING || m->slabs[pfn].node == node;
}

static __attribute__((noinline)) int refill(struct machine *m, struct cache *c, int64_t index, struct cpu *held,
					    int cpu, int node, int remote)
{
	int64_t wanted = node == NOTHING ? node_of_cpu(m, cpu) : node, place = wanted, pfn;
	struct node *n;

	if (held->slab != NOTHING) {
		if (!matches(m, held->slab, node)) {
			flush_slab(m, c, held);
			discard_doomed(m, c);
		} else if (m->slabs[held->slab].head == NOTHING) {
			m->slabs[held->slab].frozen = 0;
			held->slab = held->head = NOTHING;
			held->tid++;
		} else {
			use(m, held, held->slab);
			return 1;
		}
	}
	while (held->first != NOTHING) {
		pfn = held->first;
		held->first = m->slabs[pfn].next;
		if (matches(m, pfn, node)) {
			use(m, held, pfn);
			return 1;
		}
		let_go(m, c, pfn, 1);
		discard_doomed(m, c);
	}
	n = node_of(m, c, wanted);
	if (!n->length) {
		place = NOTHING;
		for (int64_t at = 0; remote && at < m->nr_nodes; at++)
			if (at != wanted && node_of(m, c, at)->length > c->min_partial) {
				place = at;
				break;
			}
		if (place == NOTHING)
			return grow(m, c, index, held, wanted);
		n = node_of(m, c, place);
	}
	pfn = n->first;
	remove_partial(m, c, pfn);
	for (int count = 0; c->cpu_partial && n->length && count <= c->cpu_partial / 2; count++) {
		int64_t other = n->first;

		remove_partial(m, c, other);
		put_cpu_partial(m, c, held, other, 0);
	}
	use(m, held, pfn);
	return 1;
}

static __attribute__((noinline)) void free_elsewhere(struct machine *m, struct cache *c, struct cpu *held,
						     int64_t pfn, int number)
{
	struct slab *s = &m->slabs[pfn];
	int was_full = s->head == NOTHING;

	m->links[pfn * LINKS + number] = s->head;
	s->head = number;
	s->inuse--;
	if (s->frozen)
		return;
	if (was_full) {
		put_cpu_partial(m, c, held, pfn, 1);
		discard_doomed(m, c);
	} else if (s->listed && !s->inuse && node_of(m, c, s->node)->length >= c->min_partial) {
		remove_partial(m, c, pfn);
		discard(m, pfn);
	}
}

static __attribute__((noinline)) void flush(struct machine *m, struct cache *c, struct cpu *held)
{
	if (held->slab != NOTHING)
		flush_slab(m, c, held);
	drain(m, c, held);
	discard_doomed(m, c);
}

/* The number of the first operation with a field outside its limit, as the model checks before it runs. */
static int64_t misfit(const int64_t *words, int64_t count, int64_t cpus, int64_t nodes, int64_t caches,
		      int64_t nr_slots)
{
	for (int64_t i = 0; i < count; i++) {
		int64_t code = words[i] & 7, node = words[i] >> 11 & 15, slot = words[i] >> 39;

		if (code > KMALLOC || (words[i] >> 3 & 0xFF) >= cpus || (node > nodes && node != REMOTE) ||
		    ((code == ALLOC || code == FLUSH) && (words[i] >> 15 & 0xFFFFFF) >= caches) ||
		    slot >= nr_slots || slot < 0)
			return i;
	}
	return count;
}

int64_t slub_run(struct slab *slabs, int16_t *links, int64_t *st, int64_t nr_cpus, int64_t nr_nodes,
		 int64_t nr_caches, const int64_t *words, int64_t count, const int32_t *classes,
		 int64_t nr_classes, int64_t *slots, int64_t nr_slots, int64_t *totals)
{
	struct machine m = { slabs, links, st, nr_cpus, nr_nodes };
	int64_t checksum = totals[CHECKSUM], at = misfit(words, count, nr_cpus, nr_nodes, nr_caches, nr_slots);

	if (at < count)
		return at;
	for (at = 0; at < count; at++) {
		int64_t word = words[at], slot = word >> 39, what = word >> 15 & 0xFFFFFF, held_by = slots[slot];
		int code = word & 7, cpu = word >> 3 & 0xFF, place = word >> 11 & 15, node;
		struct cache *c;
		struct cpu *held;

		if (code == FREE) {
			int64_t pfn = held_by >> 16;

			if (held_by == EMPTY)
				continue;
			slots[slot] = EMPTY;
			totals[FREED]++;
			if (slabs[pfn].owner == LARGE) {
				discard(&m, pfn);
				continue;
			}
			c = cache_at(&m, slabs[pfn].owner);
			held = cpu_of(c, cpu);
			if (held->slab == pfn) {
				links[pfn * LINKS + (held_by & 0xFFFF)] = held->head;
				held->head = held_by & 0xFFFF;
				held->tid++;
			} else {
				free_elsewhere(&m, c, held, pfn, held_by & 0xFFFF);
			}
			continue;
		}
		if (code == FLUSH) {
			c = cache_at(&m, what);
			flush(&m, c, cpu_of(c, cpu));
			continue;
		}
		if (code == KMALLOC) {
			int64_t rank = (what + 7) >> 3, pfn;

			if (!what) {
				slots[slot] = EMPTY;
				continue;
			}
			if (rank >= nr_classes) {
				int order = get_order(what);

				pfn = take_pages(&m, order);
				slots[slot] = pfn == NOTHING ? EMPTY : pfn << 16;
				totals[pfn == NOTHING ? FAILED : ALLOCATED]++;
				if (pfn != NOTHING) {
					slabs[pfn].owner = LARGE;
					slabs[pfn].order = order;
					checksum = (checksum * 1000003 + (pfn << 12)) & MASK;
				}
				continue;
			}
			what = classes[rank];
		}
		c = cache_at(&m, what);
		held = cpu_of(c, cpu);
		node = place == REMOTE ? NOTHING : place - 1;
		if ((held->slab == NOTHING || held->head == NOTHING || !matches(&m, held->slab, node)) &&
		    !refill(&m, c, what, held, cpu, node, place == REMOTE)) {
			totals[FAILED]++;
			slots[slot] = EMPTY;
			continue;
		}
		totals[ALLOCATED]++;
		slots[slot] = held->slab << 16 | held->head;
		checksum = (checksum * 1000003 + (held->slab << 12) + held->head * c->size) & MASK;
		held->head = links[held->slab * LINKS + held->head];
		held->tid++;
	}
	totals[CHECKSUM] = checksum;
	return count;
}
