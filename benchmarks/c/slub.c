/* SLUB and kmalloc of 6.12 in C, as a yardstick: same slabs, same lists, same checksum as the compiled model.
 * What a build would fix is a constant; a slab's record fills a cache line, links are 16-bit numbers. */
#include <stdint.h>
#include <string.h>

enum { ALLOC, FREE, FLUSH, KMALLOC, BULK_ALLOC, BULK_FREE, KREALLOC, KREALLOC_ZERO, KSIZE, SHRINK, DESTROY };
enum { NOTHING = -1, NO_SLAB = -1, LARGE = -2, ORDERS = 25, LINKS = 512, REMOTE = 15, EMPTY = -1, PROMOTED = 32 };
enum { CHECKSUM, ALLOCATED, FAILED, FREED, MOVED, COPIED, CLEARED, DESTROYED, BUSY };
#define MASK ((1ll << 62) - 1)

struct slab {
	int32_t node, objects, inuse, frozen, head, order, owner, prev, next, count, listed, pad[5];
};
struct cpu { int64_t slab, head, tid, first; };
struct node { int64_t first, last, length, slabs; };
struct cache { int64_t size, order, objects, min_partial, cpu_partial, doomed; };
struct heap { int64_t limit, next, held, back[ORDERS]; };
struct machine {
	struct slab *slabs;
	int16_t *links;
	int64_t *st;
	int64_t nr_cpus, nr_nodes;
	const int32_t *classes;
	int64_t nr_classes;
};

#define HEAP(m) ((struct heap *)(m)->st)

static inline struct cache *cache_at(struct machine *m, int64_t index)
{
	int64_t words = 6 + 4 * m->nr_cpus + 4 * m->nr_nodes;

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

static void discard_large(struct machine *m, int64_t pfn)
{
	m->slabs[pfn].owner = NO_SLAB;
	give_pages(m, pfn, m->slabs[pfn].order);
}

static void discard(struct machine *m, struct cache *c, int64_t pfn)
{
	node_of(m, c, m->slabs[pfn].node)->slabs--;
	discard_large(m, pfn);
}

static void discard_doomed(struct machine *m, struct cache *c)
{
	while (c->doomed != NOTHING) {
		int64_t pfn = c->doomed;

		c->doomed = m->slabs[pfn].next;
		discard(m, c, pfn);
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
	node_of(m, c, node)->slabs++;
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
						     int64_t pfn, int head, int tail, int count)
{
	struct slab *s = &m->slabs[pfn];
	int was_full = s->head == NOTHING;

	m->links[pfn * LINKS + tail] = s->head;
	s->head = head;
	s->inuse -= count;
	if (s->frozen)
		return;
	if (was_full) {
		put_cpu_partial(m, c, held, pfn, 1);
		discard_doomed(m, c);
	} else if (s->listed && !s->inuse && node_of(m, c, s->node)->length >= c->min_partial) {
		remove_partial(m, c, pfn);
		discard(m, c, pfn);
	}
}

static __attribute__((noinline)) void flush(struct machine *m, struct cache *c, struct cpu *held)
{
	if (held->slab != NOTHING)
		flush_slab(m, c, held);
	drain(m, c, held);
	discard_doomed(m, c);
}

static inline void free_list(struct machine *m, struct cache *c, int cpu, int64_t pfn, int head, int tail, int count)
{
	struct cpu *held = cpu_of(c, cpu);

	if (held->slab == pfn) {
		m->links[pfn * LINKS + tail] = held->head;
		held->head = head;
		held->tid++;
	} else {
		free_elsewhere(m, c, held, pfn, head, tail, count);
	}
}

static inline int64_t alloc(struct machine *m, struct cache *c, int64_t index, int cpu, int node, int remote)
{
	struct cpu *held = cpu_of(c, cpu);
	int64_t place;

	if ((held->slab == NOTHING || held->head == NOTHING || !matches(m, held->slab, node)) &&
	    !refill(m, c, index, held, cpu, node, remote))
		return EMPTY;
	place = held->slab << 16 | held->head;
	held->head = m->links[held->slab * LINKS + held->head];
	held->tid++;
	return place;
}

static int64_t grab_pages(struct machine *m, int64_t size)
{
	int order = get_order(size);
	int64_t pfn = take_pages(m, order);

	if (pfn == NOTHING)
		return EMPTY;
	m->slabs[pfn].owner = LARGE;
	m->slabs[pfn].order = order;
	return pfn << 16;
}

static int64_t grab(struct machine *m, int cpu, int64_t size)
{
	int64_t rank = (size + 7) >> 3, index;

	if (rank >= m->nr_classes)
		return grab_pages(m, size);
	index = m->classes[rank];
	return alloc(m, cache_at(m, index), index, cpu, NOTHING, 0);
}

static inline void release(struct machine *m, int cpu, int64_t place)
{
	int64_t pfn = place >> 16, owner = m->slabs[pfn].owner;

	if (owner == LARGE)
		discard_large(m, pfn);
	else
		free_list(m, cache_at(m, owner), cpu, pfn, place & 0xFFFF, place & 0xFFFF, 1);
}

static int64_t usable(struct machine *m, int64_t place)
{
	struct slab *s = &m->slabs[place >> 16];

	return s->owner == LARGE ? 4096ll << s->order : cache_at(m, s->owner)->size;
}

static int64_t address(struct machine *m, int64_t place)
{
	struct slab *s = &m->slabs[place >> 16];

	return (place >> 16 << 12) + (place & 0xFFFF) * (s->owner == LARGE ? 0 : cache_at(m, s->owner)->size);
}

static int64_t noted(int64_t checksum, int64_t value)
{
	return (checksum * 1000003 + value) & MASK;
}

static void free_bulk(struct machine *m, int cpu, int64_t *p, int64_t size)
{
	while (size) {
		int64_t place = p[--size], pfn = place >> 16, left = size;
		int head = place & 0xFFFF, tail = head, count = 1, lookahead = 3;

		if (m->slabs[pfn].owner == LARGE) {
			discard_large(m, pfn);
			continue;
		}
		m->links[pfn * LINKS + head] = NOTHING;
		while (size) {
			place = p[--size];
			if (place >> 16 != pfn) {
				if (!--lookahead)
					break;
				continue;
			}
			m->links[pfn * LINKS + (place & 0xFFFF)] = head;
			head = place & 0xFFFF;
			count++;
			if (size != --left) {
				p[size] = p[left];
				p[left] = place;
			}
		}
		size = left;
		free_list(m, cache_at(m, m->slabs[pfn].owner), cpu, pfn, head, tail, count);
	}
}

static int alloc_bulk(struct machine *m, int64_t index, int cpu, int64_t *p, int64_t count)
{
	struct cache *c = cache_at(m, index);

	for (int64_t i = 0; i < count; i++) {
		int64_t place = alloc(m, c, index, cpu, NOTHING, 0);

		if (place == EMPTY) {
			free_bulk(m, cpu, p, i);
			return 0;
		}
		p[i] = place;
	}
	return 1;
}

/* Empty slabs first go back; the fullest slabs come first, of equally full ones the last. */
static void shrink(struct machine *m, struct cache *c)
{
	for (int cpu = 0; cpu < m->nr_cpus; cpu++)
		flush(m, c, cpu_of(c, cpu));
	for (int64_t i = 0; i < m->nr_nodes; i++) {
		struct node *n = node_of(m, c, i);
		int64_t ranked[PROMOTED + 1], pfn, next;

		for (int rank = 1; rank <= PROMOTED; rank++)
			ranked[rank] = NOTHING;
		for (pfn = n->first; pfn != NOTHING; pfn = next) {
			struct slab *s = &m->slabs[pfn];
			int left = s->objects - s->inuse;

			next = s->next;
			if (s->inuse && left > PROMOTED)
				continue;
			remove_partial(m, c, pfn);
			if (!s->inuse) {
				s->next = c->doomed;
				c->doomed = pfn;
			} else {
				s->next = ranked[left];
				ranked[left] = pfn;
			}
		}
		for (int rank = PROMOTED; rank > 0; rank--) {
			int64_t chain = NOTHING;

			/* what was set aside last comes first: turned round, each goes to the front */
			for (pfn = ranked[rank]; pfn != NOTHING; pfn = next) {
				next = m->slabs[pfn].next;
				m->slabs[pfn].next = chain;
				chain = pfn;
			}
			for (pfn = chain; pfn != NOTHING; pfn = next) {
				next = m->slabs[pfn].next;
				add_partial(m, c, pfn, 0);
			}
		}
		discard_doomed(m, c);
	}
}

static int destroy(struct machine *m, struct cache *c)
{
	for (int cpu = 0; cpu < m->nr_cpus; cpu++)
		flush(m, c, cpu_of(c, cpu));
	for (int64_t i = 0; i < m->nr_nodes; i++) {
		struct node *n = node_of(m, c, i);
		int64_t pfn, next;

		for (pfn = n->first; pfn != NOTHING; pfn = next) {
			next = m->slabs[pfn].next;
			if (!m->slabs[pfn].inuse) {
				remove_partial(m, c, pfn);
				m->slabs[pfn].next = c->doomed;
				c->doomed = pfn;
			}
		}
		discard_doomed(m, c);
		if (n->slabs)
			return 0;
	}
	return 1;
}

static int64_t answered(struct machine *m, int64_t *slots, int64_t *totals, int64_t slot, int64_t place,
			int64_t checksum)
{
	slots[slot] = place;
	totals[place == EMPTY ? FAILED : ALLOCATED]++;
	return place == EMPTY ? checksum : noted(checksum, address(m, place));
}

static int64_t krealloc(struct machine *m, int cpu, int64_t size, int64_t *slots, int64_t slot, int64_t *totals,
			int64_t checksum, int zero)
{
	int64_t held = slots[slot], place, old, granted;

	if (!size) {
		if (held != EMPTY) {
			slots[slot] = EMPTY;
			totals[FREED]++;
			release(m, cpu, held);
		}
		return checksum;
	}
	old = held == EMPTY ? 0 : usable(m, held);
	if (old >= size) {
		totals[CLEARED] += zero ? old - size : 0;
		return checksum;
	}
	place = grab(m, cpu, size);
	if (place == EMPTY) {
		totals[FAILED]++;
		return checksum;
	}
	granted = usable(m, place);
	totals[CLEARED] += zero ? granted : 0;
	if (held != EMPTY) {
		release(m, cpu, held);
		totals[COPIED] += old;
		totals[MOVED]++;
		totals[FREED]++;
	}
	return answered(m, slots, totals, slot, place, checksum);
}

static __attribute__((noinline)) int64_t rarely(struct machine *m, int64_t word, int64_t *slots, int64_t *totals,
						int64_t checksum)
{
	int64_t slot = word >> 40, what = word >> 16 & 0xFFFFFF, count = 0, at;
	int code = word & 15, cpu = word >> 4 & 0xFF;

	switch (code) {
	case BULK_ALLOC:
		count = what >> 12;
		if (alloc_bulk(m, what & 0xFFF, cpu, slots + slot, count)) {
			totals[ALLOCATED] += count;
			for (at = slot; at < slot + count; at++)
				checksum = noted(checksum, address(m, slots[at]));
		} else {
			totals[FAILED]++;
			for (at = slot; at < slot + count; at++)
				slots[at] = EMPTY;
		}
		break;
	case BULK_FREE:
		for (at = slot; at < slot + what; at++)
			if (slots[at] != EMPTY)
				slots[slot + count++] = slots[at];
		totals[FREED] += count;
		free_bulk(m, cpu, slots + slot, count);
		for (at = slot; at < slot + what; at++)
			slots[at] = EMPTY;
		break;
	case KSIZE:
		if (slots[slot] != EMPTY)
			checksum = noted(checksum, usable(m, slots[slot]));
		break;
	case SHRINK:
		shrink(m, cache_at(m, what));
		break;
	case DESTROY:
		totals[destroy(m, cache_at(m, what)) ? DESTROYED : BUSY]++;
		break;
	default:
		checksum = krealloc(m, cpu, what, slots, slot, totals, checksum, code == KREALLOC_ZERO);
	}
	return checksum;
}

/* The number of the first operation with a field outside its limit, as the model checks before it runs. */
static int64_t misfit(const int64_t *words, int64_t count, int64_t cpus, int64_t nodes, int64_t caches,
		      int64_t nr_slots)
{
	for (int64_t i = 0; i < count; i++) {
		int64_t code = words[i] & 15, node = words[i] >> 12 & 15, slot = words[i] >> 40;
		int64_t what = words[i] >> 16 & 0xFFFFFF, used = 1;

		if (code == BULK_ALLOC) {
			used = what >> 12;
			what &= 0xFFF;
		} else if (code == BULK_FREE) {
			used = what;
			what = 0;
		} else if (code != ALLOC && code != FLUSH && code != SHRINK && code != DESTROY) {
			what = 0;
		}
		if (code > DESTROY || (words[i] >> 4 & 0xFF) >= cpus || (node > nodes && node != REMOTE) ||
		    what >= caches || slot + used > nr_slots || slot < 0)
			return i;
	}
	return count;
}

int64_t slub_run(struct slab *slabs, int16_t *links, int64_t *st, int64_t nr_cpus, int64_t nr_nodes,
		 int64_t nr_caches, const int64_t *words, int64_t count, const int32_t *classes,
		 int64_t nr_classes, int64_t *slots, int64_t nr_slots, int64_t *totals)
{
	struct machine m = { slabs, links, st, nr_cpus, nr_nodes, classes, nr_classes };
	int64_t checksum = totals[CHECKSUM], at = misfit(words, count, nr_cpus, nr_nodes, nr_caches, nr_slots);

	if (at < count)
		return at;
	for (at = 0; at < count; at++) {
		int64_t word = words[at], slot = word >> 40, what = word >> 16 & 0xFFFFFF, place;
		int code = word & 15, cpu = word >> 4 & 0xFF, node = word >> 12 & 15;
		struct cache *c;

		if (code == FREE) {
			place = slots[slot];
			if (place == EMPTY)
				continue;
			slots[slot] = EMPTY;
			totals[FREED]++;
			release(&m, cpu, place);
			continue;
		}
		if (code > KMALLOC) {
			checksum = rarely(&m, word, slots, totals, checksum);
			continue;
		}
		if (code == FLUSH) {
			c = cache_at(&m, what);
			flush(&m, c, cpu_of(c, cpu));
			continue;
		}
		if (code == KMALLOC) {
			int64_t rank = (what + 7) >> 3;

			if (!what) {
				slots[slot] = EMPTY;
				continue;
			}
			if (rank >= nr_classes) {
				checksum = answered(&m, slots, totals, slot, grab_pages(&m, what), checksum);
				continue;
			}
			what = classes[rank];
		}
		c = cache_at(&m, what);
		place = alloc(&m, c, what, cpu, node == REMOTE ? NOTHING : node - 1, node == REMOTE);
		slots[slot] = place;
		if (place == EMPTY) {
			totals[FAILED]++;
			continue;
		}
		totals[ALLOCATED]++;
		checksum = noted(checksum, (place >> 16 << 12) + (place & 0xFFFF) * c->size);
	}
	totals[CHECKSUM] = checksum;
	return count;
}
