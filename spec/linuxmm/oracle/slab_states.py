"""Judge the exact states of SLUB's caches that a capture holds.

Linux: mm/slub.c, 5.17 to 6.12.  Seed 2.1.2.2 (F033).
"""

from collections import Counter
from collections.abc import Iterator

from linuxmm.oracle.checker.objects import (
    SeenSlab,
    judge_limits,
    judge_order,
    judge_partial,
    judge_slab,
)
from linuxmm.oracle.formats.areas import Slab, SlabCache, SlabState
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.verdict import Judgement


def judge_slabs(
    judgement: Judgement, state: SlabState, kernel: Kernel, cpus: int, mark: str, *, orders: bool = True
) -> None:
    """Whether every cache keeps the clauses, and has the order and limits of this kernel.

    cpus    present, which are all possible ones
    orders  the command line leaves the orders to the kernel
    """
    for name, cache in sorted(state.caches.items()):
        where = f"mark {mark}, cache {name}"
        if orders:
            found = cache.objects_per_slab, 1 << cache.order
            judge_order(judgement, where, kernel, cache.size, cpus, found)
        judge_limits(judgement, where, kernel, cache.size, cache.min_partial, cache.cpu_partial, cache.flags)
        for number, node in cache.nodes.items():
            judge_partial(judgement, node.nr_partial, len(node.partial), f"{where}, node {number}")
        for pfn, slab in seen_slabs(cache):
            judge_slab(judgement, slab, f"{where}, slab {pfn:#x}")
        judgement.events += 1


def seen_slabs(cache: SlabCache) -> Iterator[tuple[int, SeenSlab]]:
    """Every slab that a state shows, with its first page; once for each place where it stands."""
    holders = Counter(slab.pfn for held in cache.cpus.values() for slab in (held.slab, *held.partial) if slab)
    listed = {slab.pfn for node in cache.nodes.values() for slab in node.partial}
    for held in cache.cpus.values():
        if held.slab is not None:
            pfn = held.slab.pfn
            yield pfn, _seen(held.slab, held.free, holders[pfn], pfn in listed)
        for slab in held.partial:
            yield slab.pfn, _seen(slab, (), holders[slab.pfn], slab.pfn in listed)
    for node in cache.nodes.values():
        for slab in node.partial:
            yield slab.pfn, _seen(slab, (), holders[slab.pfn], True)


def _seen(slab: Slab, cached: tuple[int, ...], holders: int, on_node: bool) -> SeenSlab:
    return SeenSlab(slab.objects, slab.inuse, slab.free, cached, bool(slab.frozen), holders, on_node)
