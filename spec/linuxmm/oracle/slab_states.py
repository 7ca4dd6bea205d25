"""Judge the exact states of SLUB's caches that a capture holds.

Linux: mm/slub.c, 5.17 to 6.12.  Seed 2.1.2.2 (F033).
"""

from collections.abc import Iterator

from linuxmm.oracle.checker.objects import SeenSlab, judge_limits, judge_order, judge_slab
from linuxmm.oracle.formats.areas import Slab, SlabCache, SlabState
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.verdict import Judgement


def judge_slabs(judgement: Judgement, state: SlabState, kernel: Kernel, cpus: int, mark: str) -> None:
    """Whether every cache keeps the clauses, and has the order and limits of this kernel.

    cpus  present, which are all possible ones
    """
    for name, cache in sorted(state.caches.items()):
        where = f"mark {mark}, cache {name}"
        judge_order(judgement, where, kernel, cache.size, cpus, (cache.objects_per_slab, 1 << cache.order))
        judge_limits(judgement, where, kernel, cache.size, cache.min_partial, cache.cpu_partial)
        for pfn, slab in seen_slabs(cache):
            judge_slab(judgement, slab, f"{where}, slab {pfn:#x}")
        judgement.events += 1


def seen_slabs(cache: SlabCache) -> Iterator[tuple[int, SeenSlab]]:
    """Every slab that a state shows, with its first page."""
    for held in cache.cpus.values():
        if held.slab is not None:
            yield held.slab.pfn, _seen(held.slab, held.free, 1, False)
        for slab in held.partial:
            yield slab.pfn, _seen(slab, (), 1, False)
    for node in cache.nodes.values():
        for slab in node.partial:
            yield slab.pfn, _seen(slab, (), 0, True)


def _seen(slab: Slab, cached: tuple[int, ...], holders: int, on_node: bool) -> SeenSlab:
    return SeenSlab(slab.objects, slab.inuse, slab.free, cached, bool(slab.frozen), holders, on_node)
