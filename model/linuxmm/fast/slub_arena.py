"""Caches of SLUB as flat arrays: the primitives of `linuxmm.model.objects.slub_state` over one arena.

`slabs` (int32) has a record of 16 words a page frame, that of a slab at its first page: what the kernel keeps
in struct slab.  `links` (int16) has 512 words a page frame: number of a free object -> number of the one that
follows.  `st` (int64) has the heap of pages, the node of each CPU, and the caches one after another: their
numbers, a record of each CPU, a record of each node; at its end the first slab of each rank, for a cache that
is being shrunk.
"""

from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy import uintp as U  # noqa: N812
from numpy.typing import NDArray

from linuxmm.fast.arena import Int32s, Int64s
from linuxmm.model.objects import pages as model_pages
from linuxmm.model.objects import slub_state as model
from linuxmm.model.objects.slub_state import END, NOTHING
from linuxmm.spec.relink import Function

Int16s: TypeAlias = NDArray[np.int16]

# Words of a slab's record.
NODE: Final = 0
OBJECTS: Final = 1
INUSE: Final = 2
FROZEN: Final = 3
HEAD: Final = 4
ORDER: Final = 5
OWNER: Final = 6
"""Number of its cache, or one of the next two."""
PREV: Final = 7
NEXT: Final = 8
COUNT: Final = 9
LISTED: Final = 10
RECORD: Final = 16
NO_SLAB: Final = -1
LARGE: Final = -2
"""A block that kmalloc handed out whole."""
LINKS: Final = 512

# Words of the heap, at the start of `st`.
HEAP_LIMIT: Final = 0
HEAP_NEXT: Final = 1
HEAP_HELD: Final = 2
HEAP_BACK: Final = 3
NR_ORDERS: Final = 25
HEAP_WORDS: Final = HEAP_BACK + NR_ORDERS

# Words of a cache, then those of each CPU and each node.
SIZE: Final = 0
CACHE_ORDER: Final = 1
PER_SLAB: Final = 2
MIN_PARTIAL: Final = 3
CPU_PARTIAL: Final = 4
DOOMED: Final = 5
CPUS: Final = 6
CPU_SLAB: Final = 0
CPU_HEAD: Final = 1
CPU_TID: Final = 2
CPU_FIRST: Final = 3
CPU_WORDS: Final = 4
FIRST: Final = 0
LAST: Final = 1
LENGTH: Final = 2
NODE_SLABS: Final = 3
NODE_WORDS: Final = 4

# Words of slabs set aside, at the end of `st`: the last one of each rank.
NR_RANKS: Final = 1 << 13


class FastArena(NamedTuple):
    """All caches of a machine, and the pages that they take slabs from."""

    slabs: Int32s
    links: Int16s
    st: Int64s
    nr_cpus: int
    nr_nodes: int
    nr_caches: int


class FastCache(NamedTuple):
    """One cache in an arena; base is its first word in `st`, rank its number."""

    slabs: Int32s
    links: Int16s
    st: Int64s
    base: int
    rank: int
    nr_cpus: int
    nr_nodes: int
    size: int
    order: int
    objects: int
    min_partial: int
    cpu_partial: int


class FastSlab(NamedTuple):
    """One slab as it was read; at is its record's first word, first its first link."""

    slabs: Int32s
    links: Int16s
    at: int
    first: int
    node: int
    objects: int
    inuse: int
    frozen: bool
    head: int
    order: int


class FastCpuSlab(NamedTuple):
    """What a CPU holds, as it was read."""

    slab: int
    head: int


class FastPages(NamedTuple):
    """The heap of pages."""

    slabs: Int32s
    st: Int64s


def word_at(array: Int16s | Int32s | Int64s, index: int) -> int:
    return np.int64(array[U(index)])  # type: ignore[return-value]


def cache_words(nr_cpus: int, nr_nodes: int) -> int:
    """Words of a cache in `st`."""
    return CPUS + CPU_WORDS * nr_cpus + NODE_WORDS * nr_nodes


def cache_at(a: FastArena, index: int) -> FastCache:
    base = HEAP_WORDS + a.nr_cpus + index * cache_words(a.nr_cpus, a.nr_nodes)
    st = a.st
    return FastCache(
        a.slabs,
        a.links,
        st,
        base,
        index,
        a.nr_cpus,
        a.nr_nodes,
        word_at(st, base + SIZE),
        word_at(st, base + CACHE_ORDER),
        word_at(st, base + PER_SLAB),
        word_at(st, base + MIN_PARTIAL),
        word_at(st, base + CPU_PARTIAL),
    )


def pages_of(a: FastArena) -> FastPages:
    return FastPages(a.slabs, a.st)


# ---- primitives of a slab --------------------------------------------------------------------------------


def following(slab: FastSlab, number: int) -> int:
    return word_at(slab.links, slab.first + number)


def with_link(slab: FastSlab, number: int, after: int) -> FastSlab:
    slab.links[U(slab.first + number)] = after
    return slab


def with_list(slab: FastSlab, head: int, inuse: int) -> FastSlab:
    slab.slabs[U(slab.at + HEAD)] = head
    slab.slabs[U(slab.at + INUSE)] = inuse
    return FastSlab(
        slab.slabs,
        slab.links,
        slab.at,
        slab.first,
        slab.node,
        slab.objects,
        inuse,
        slab.frozen,
        head,
        slab.order,
    )


def with_frozen(slab: FastSlab, frozen: bool) -> FastSlab:
    slab.slabs[U(slab.at + FROZEN)] = 1 if frozen else 0
    return FastSlab(
        slab.slabs,
        slab.links,
        slab.at,
        slab.first,
        slab.node,
        slab.objects,
        slab.inuse,
        frozen,
        slab.head,
        slab.order,
    )


# ---- primitives of a cache -------------------------------------------------------------------------------


def slab_at(cache: FastCache, pfn: int) -> FastSlab:
    s = cache.slabs
    at = pfn * RECORD
    return FastSlab(
        s,
        cache.links,
        at,
        pfn * LINKS,
        word_at(s, at + NODE),
        word_at(s, at + OBJECTS),
        word_at(s, at + INUSE),
        s[U(at + FROZEN)] != 0,
        word_at(s, at + HEAD),
        word_at(s, at + ORDER),
    )


def with_slab(cache: FastCache, pfn: int, slab: FastSlab) -> FastCache:
    return cache


def add_slab(cache: FastCache, pfn: int, node: int, objects: int, order: int) -> FastCache:
    s = cache.slabs
    at = pfn * RECORD
    s[U(at + NODE)] = node
    s[U(at + OBJECTS)] = objects
    s[U(at + INUSE)] = 0
    s[U(at + FROZEN)] = 0
    s[U(at + HEAD)] = 0
    s[U(at + ORDER)] = order
    s[U(at + OWNER)] = cache.rank
    s[U(at + LISTED)] = 0
    first = pfn * LINKS
    number = 1
    while number < objects:
        cache.links[U(first + number - 1)] = number
        number += 1
    cache.links[U(first + objects - 1)] = END
    cache.st[U(node_at(cache, node) + NODE_SLABS)] += 1
    return cache


def drop_slab(cache: FastCache, pfn: int) -> FastCache:
    cache.slabs[U(pfn * RECORD + OWNER)] = NO_SLAB
    cache.st[U(node_at(cache, word_at(cache.slabs, pfn * RECORD + NODE)) + NODE_SLABS)] -= 1
    return cache


def cpu_at(cache: FastCache, cpu: int) -> int:
    return cache.base + CPUS + CPU_WORDS * cpu


def node_at(cache: FastCache, node: int) -> int:
    return cache.base + CPUS + CPU_WORDS * cache.nr_cpus + NODE_WORDS * node


def held_by(cache: FastCache, cpu: int) -> FastCpuSlab:
    at = cpu_at(cache, cpu)
    return FastCpuSlab(word_at(cache.st, at + CPU_SLAB), word_at(cache.st, at + CPU_HEAD))


def node_of_cpu(cache: FastCache, cpu: int) -> int:
    return word_at(cache.st, HEAP_WORDS + cpu)


def nr_nodes(cache: FastCache) -> int:
    return cache.nr_nodes


def nr_cpus(cache: FastCache) -> int:
    return cache.nr_cpus


def set_cpu(cache: FastCache, cpu: int, pfn: int, head: int) -> FastCache:
    at = cpu_at(cache, cpu)
    cache.st[U(at + CPU_SLAB)] = pfn
    cache.st[U(at + CPU_HEAD)] = head
    cache.st[U(at + CPU_TID)] += 1
    return cache


def cpu_first(cache: FastCache, cpu: int) -> int:
    return word_at(cache.st, cpu_at(cache, cpu) + CPU_FIRST)


def cpu_count(cache: FastCache, cpu: int) -> int:
    first = cpu_first(cache, cpu)
    return 0 if first == NOTHING else word_at(cache.slabs, first * RECORD + COUNT)


def push_cpu(cache: FastCache, cpu: int, pfn: int, count: int) -> FastCache:
    at = cpu_at(cache, cpu) + CPU_FIRST
    cache.slabs[U(pfn * RECORD + NEXT)] = cache.st[U(at)]
    cache.slabs[U(pfn * RECORD + COUNT)] = count
    cache.st[U(at)] = pfn
    return cache


def pop_cpu(cache: FastCache, cpu: int) -> FastCache:
    at = cpu_at(cache, cpu) + CPU_FIRST
    cache.st[U(at)] = cache.slabs[U(word_at(cache.st, at) * RECORD + NEXT)]
    return cache


def node_first(cache: FastCache, node: int) -> int:
    return word_at(cache.st, node_at(cache, node) + FIRST)


def node_count(cache: FastCache, node: int) -> int:
    return word_at(cache.st, node_at(cache, node) + LENGTH)


def node_slabs(cache: FastCache, node: int) -> int:
    return word_at(cache.st, node_at(cache, node) + NODE_SLABS)


def on_node(cache: FastCache, pfn: int) -> bool:
    return cache.slabs[U(pfn * RECORD + LISTED)] != 0  # type: ignore[no-any-return]


def add_partial(cache: FastCache, pfn: int, tail: bool) -> FastCache:
    s = cache.slabs
    st = cache.st
    own = pfn * RECORD
    at = node_at(cache, word_at(s, own + NODE))
    end = at + (LAST if tail else FIRST)
    other = word_at(st, end)
    s[U(own + PREV)] = other if tail else NOTHING
    s[U(own + NEXT)] = NOTHING if tail else other
    s[U(own + LISTED)] = 1
    if other == NOTHING:
        st[U(at + FIRST)] = pfn
        st[U(at + LAST)] = pfn
    else:
        s[U(other * RECORD + (NEXT if tail else PREV))] = pfn
        st[U(end)] = pfn
    st[U(at + LENGTH)] += 1
    return cache


def remove_partial(cache: FastCache, pfn: int) -> FastCache:
    s = cache.slabs
    st = cache.st
    own = pfn * RECORD
    at = node_at(cache, word_at(s, own + NODE))
    before = word_at(s, own + PREV)
    after = word_at(s, own + NEXT)
    if before == NOTHING:
        st[U(at + FIRST)] = after
    else:
        s[U(before * RECORD + NEXT)] = after
    if after == NOTHING:
        st[U(at + LAST)] = before
    else:
        s[U(after * RECORD + PREV)] = before
    s[U(own + LISTED)] = 0
    st[U(at + LENGTH)] -= 1
    return cache


def doomed_first(cache: FastCache) -> int:
    return word_at(cache.st, cache.base + DOOMED)


def push_doomed(cache: FastCache, pfn: int) -> FastCache:
    cache.slabs[U(pfn * RECORD + NEXT)] = cache.st[U(cache.base + DOOMED)]
    cache.st[U(cache.base + DOOMED)] = pfn
    return cache


def pop_doomed(cache: FastCache) -> FastCache:
    first = word_at(cache.st, cache.base + DOOMED)
    cache.st[U(cache.base + DOOMED)] = cache.slabs[U(first * RECORD + NEXT)]
    return cache


def rank_at(cache: FastCache, rank: int) -> int:
    return cache.st.size - NR_RANKS + rank


def ranked_first(cache: FastCache, rank: int) -> int:
    return word_at(cache.st, rank_at(cache, rank))


def push_ranked(cache: FastCache, rank: int, pfn: int) -> FastCache:
    at = rank_at(cache, rank)
    cache.slabs[U(pfn * RECORD + NEXT)] = cache.st[U(at)]
    cache.st[U(at)] = pfn
    return cache


def pop_ranked(cache: FastCache, rank: int) -> FastCache:
    at = rank_at(cache, rank)
    cache.st[U(at)] = cache.slabs[U(word_at(cache.st, at) * RECORD + NEXT)]
    return cache


# ---- pages -----------------------------------------------------------------------------------------------


def take_pages(pages: FastPages, order: int, node: int) -> tuple[FastPages, int]:
    st = pages.st
    last = word_at(st, HEAP_BACK + order)
    if last != NOTHING:
        st[U(HEAP_BACK + order)] = pages.slabs[U(last * RECORD + NEXT)]
        st[U(HEAP_HELD)] += 1 << order
        return pages, last
    pfn = (word_at(st, HEAP_NEXT) + (1 << order) - 1) >> order << order
    if pfn + (1 << order) > word_at(st, HEAP_LIMIT):
        return pages, NOTHING
    st[U(HEAP_NEXT)] = pfn + (1 << order)
    st[U(HEAP_HELD)] += 1 << order
    return pages, pfn


def give_pages(pages: FastPages, pfn: int, order: int) -> FastPages:
    st = pages.st
    pages.slabs[U(pfn * RECORD + NEXT)] = st[U(HEAP_BACK + order)]
    st[U(HEAP_BACK + order)] = pfn
    st[U(HEAP_HELD)] -= 1 << order
    return pages


PRIMITIVES: Final[dict[Function, Function]] = {
    model.following: following,
    model.with_link: with_link,
    model.with_list: with_list,
    model.with_frozen: with_frozen,
    model.slab_at: slab_at,
    model.with_slab: with_slab,
    model.add_slab: add_slab,
    model.drop_slab: drop_slab,
    model.held_by: held_by,
    model.node_of_cpu: node_of_cpu,
    model.nr_nodes: nr_nodes,
    model.nr_cpus: nr_cpus,
    model.set_cpu: set_cpu,
    model.cpu_first: cpu_first,
    model.cpu_count: cpu_count,
    model.push_cpu: push_cpu,
    model.pop_cpu: pop_cpu,
    model.node_first: node_first,
    model.node_count: node_count,
    model.node_slabs: node_slabs,
    model.on_node: on_node,
    model.add_partial: add_partial,
    model.remove_partial: remove_partial,
    model.doomed_first: doomed_first,
    model.push_doomed: push_doomed,
    model.pop_doomed: pop_doomed,
    model.ranked_first: ranked_first,
    model.push_ranked: push_ranked,
    model.pop_ranked: pop_ranked,
    model_pages.take_pages: take_pages,
    model_pages.give_pages: give_pages,
}
"""The model's primitives -> their form over the arena."""
