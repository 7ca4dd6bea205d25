"""Caches and their pages as arrays, and back: the compiled SLUB's abstraction function and its inverse."""

from collections.abc import Iterator, Sequence

import numpy as np
from immutables import Map

from linuxmm.fast.slub_arena import (
    CACHE_ORDER,
    COUNT,
    CPU_FIRST,
    CPU_HEAD,
    CPU_PARTIAL,
    CPU_SLAB,
    CPU_TID,
    DOOMED,
    HEAP_BACK,
    HEAP_HELD,
    HEAP_LIMIT,
    HEAP_NEXT,
    HEAP_WORDS,
    LENGTH,
    LINKS,
    MIN_PARTIAL,
    NEXT,
    NO_SLAB,
    NODE_SLABS,
    NR_ORDERS,
    NR_RANKS,
    OWNER,
    PER_SLAB,
    RECORD,
    SIZE,
    FastArena,
    FastCache,
    add_partial,
    add_slab,
    cache_at,
    cache_words,
    cpu_at,
    cpu_first,
    held_by,
    node_at,
    node_first,
    push_cpu,
    slab_at,
    with_frozen,
    with_link,
    with_list,
)
from linuxmm.model.objects.pages import Heap
from linuxmm.model.objects.slub_state import NOTHING, Cache, CpuSlab, Slab
from linuxmm.spec.errors import ImpossibleProfile


def pack(caches: Sequence[Cache], pages: Heap) -> FastArena:
    """Arrays that hold caches, which share the CPUs and the nodes, and their heap.

    Errors    ImpossibleProfile for caches that do not, for objects of fewer than 8 bytes, for no cache
    """
    if not caches or len({(cache.node_of, len(cache.nodes)) for cache in caches}) != 1:
        raise ImpossibleProfile("expected at least one cache, and all with the same CPUs and nodes")
    node_of, nr_nodes = caches[0].node_of, len(caches[0].nodes)
    under_way = any(cache.doomed or cache.ranked for cache in caches)
    if under_way or any(
        cache.size < 8 or cache.order >= NR_ORDERS or cache.objects >= NR_RANKS for cache in caches
    ):
        raise ImpossibleProfile(
            "expected objects of 8 bytes or more, orders below 25, slabs of fewer than 8192 objects, "
            "no operation under way"
        )
    words = HEAP_WORDS + len(node_of) + len(caches) * cache_words(len(node_of), nr_nodes) + NR_RANKS
    a = FastArena(
        np.zeros(pages.limit * RECORD, np.int32),
        np.zeros(pages.limit * LINKS, np.int16),
        np.full(words, NOTHING, np.int64),
        len(node_of),
        nr_nodes,
        len(caches),
    )
    a.slabs[OWNER::RECORD] = NO_SLAB
    a.st[HEAP_WORDS : HEAP_WORDS + len(node_of)] = node_of
    a.st[[HEAP_LIMIT, HEAP_NEXT, HEAP_HELD]] = pages.limit, pages.next, pages.held
    for order, back in pages.back.items():
        for pfn in back:
            a.slabs[pfn * RECORD + NEXT] = a.st[HEAP_BACK + order]
            a.st[HEAP_BACK + order] = pfn
    for index, cache in enumerate(caches):
        _pack_cache(a, index, cache)
    return a


def _pack_cache(a: FastArena, index: int, cache: Cache) -> None:
    base = cache_at(a, index).base
    for word, value in (
        (SIZE, cache.size),
        (CACHE_ORDER, cache.order),
        (PER_SLAB, cache.objects),
        (MIN_PARTIAL, cache.min_partial),
        (CPU_PARTIAL, cache.cpu_partial),
        (DOOMED, NOTHING),
    ):
        a.st[base + word] = value
    fast = cache_at(a, index)
    for node in range(len(cache.nodes)):
        a.st[[node_at(fast, node) + LENGTH, node_at(fast, node) + NODE_SLABS]] = 0
    for pfn, slab in cache.slabs.items():
        add_slab(fast, pfn, slab.node, slab.objects, slab.order)
        record = with_frozen(with_list(slab_at(fast, pfn), slab.head, slab.inuse), slab.frozen)
        for number, after in slab.next.items():
            with_link(record, number, after)
    for cpu, held in enumerate(cache.cpus):
        at = cpu_at(fast, cpu)
        a.st[[at + CPU_SLAB, at + CPU_HEAD, at + CPU_TID]] = held.slab, held.head, held.tid
        a.st[at + CPU_FIRST] = NOTHING
        for pfn, count in reversed(held.partial):
            push_cpu(fast, cpu, pfn, count)
    for listed in cache.nodes:
        for pfn in listed:
            add_partial(fast, pfn, True)


def unpack_cache(a: FastArena, index: int, node_of: tuple[int, ...]) -> Cache:
    """The model's form of a cache."""
    fast = cache_at(a, index)
    owners = a.slabs[OWNER::RECORD]
    slabs = {int(pfn): _slab(fast, int(pfn)) for pfn in np.flatnonzero(owners == index)}
    cpus = tuple(_cpu_slab(fast, cpu) for cpu in range(a.nr_cpus))
    nodes = tuple(tuple(_listed(a, node_first(fast, node))) for node in range(a.nr_nodes))
    sizes = (fast.size, fast.order, fast.objects, fast.min_partial, fast.cpu_partial)
    return Cache(*sizes, Map(slabs), cpus, nodes, node_of)


def _slab(fast: FastCache, pfn: int) -> Slab:
    """A slab; the links of objects that are not free are what they were, as in the model."""
    slab = slab_at(fast, pfn)
    links = {number: int(fast.links[slab.first + number]) for number in range(slab.objects)}
    return Slab(slab.node, slab.objects, slab.inuse, bool(slab.frozen), slab.head, Map(links), slab.order)


def _cpu_slab(fast: FastCache, cpu: int) -> CpuSlab:
    held = held_by(fast, cpu)
    tid = int(fast.st[cpu_at(fast, cpu) + CPU_TID])
    partial = []
    pfn = cpu_first(fast, cpu)
    while pfn != NOTHING:
        partial.append((pfn, int(fast.slabs[pfn * RECORD + COUNT])))
        pfn = int(fast.slabs[pfn * RECORD + NEXT])
    return CpuSlab(held.slab, held.head, tuple(partial), tid)


def _listed(a: FastArena, pfn: int) -> Iterator[int]:
    while pfn != NOTHING:
        yield pfn
        pfn = int(a.slabs[pfn * RECORD + NEXT])


def unpack_heap(a: FastArena) -> Heap:
    """The model's form of the heap; an order from which nothing waits is not in `back`."""
    back = {}
    for order in range(NR_ORDERS):
        if waiting := tuple(_listed(a, int(a.st[HEAP_BACK + order])))[::-1]:
            back[order] = waiting
    limit, fresh, held = (int(a.st[word]) for word in (HEAP_LIMIT, HEAP_NEXT, HEAP_HELD))
    return Heap(limit, fresh, held, Map(back))
