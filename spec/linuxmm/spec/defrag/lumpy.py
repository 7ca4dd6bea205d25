"""Lumpy reclaim: the neighbours of the page that reclaim came upon are taken with it.

Linux: mm/vmscan.c:isolate_lru_pages, set_reclaim_mode, should_reclaim_stall.  Seed 2.2.1 (F037).
2.6.23 to 3.4.
"""

from typing import Final

from linuxmm.spec.arith import align_down
from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula
from linuxmm.spec.vocabulary import PAGE_ALLOC_COSTLY_ORDER

DEF_PRIORITY: Final = 12


@formula("F037", source="mm/vmscan.c:isolate_lru_pages; 2.6.23 to 3.4")
def lump(pfn: int, order: int) -> tuple[int, int]:
    """(first page, one past the last) of the aligned block around pfn."""
    first = align_down(pfn, 1 << order)
    return first, first + (1 << order)


@behaviour(
    "defrag.lumpy",
    since="2.6.23",
    until="2.6.27",
    features=("F037",),
    source="mm/vmscan.c:shrink_inactive_list; 2.6.24",
)
def lumpy_costly(order: int, priority: int, compaction: bool) -> tuple[bool, bool]:
    """(neighbours are taken, active ones too) for a request: always, active ones for costly orders."""
    return order > 0, order > PAGE_ALLOC_COSTLY_ORDER


@behaviour(
    "defrag.lumpy",
    since="2.6.28",
    until="2.6.37",
    features=("F037",),
    source="mm/vmscan.c:shrink_inactive_list; 2.6.32 (2.6.36, 2.6.37: from memory)",
)
def lumpy_urgent(order: int, priority: int, compaction: bool) -> tuple[bool, bool]:
    """(neighbours are taken, active ones too): the latter also when reclaim gets urgent."""
    return order > 0, order > PAGE_ALLOC_COSTLY_ORDER or (order > 0 and priority < DEF_PRIORITY - 2)


@behaviour(
    "defrag.lumpy",
    since="2.6.38",
    until="3.4",
    features=("F037",),
    source="mm/vmscan.c:set_reclaim_mode; 2.6.39 (3.3, 3.0.101+ read where it is used)",
)
def lumpy_without_compaction(order: int, priority: int, compaction: bool) -> tuple[bool, bool]:
    """(neighbours are taken, active ones too): where it matters, and only in a kernel without compaction."""
    wanted = order > PAGE_ALLOC_COSTLY_ORDER or (order > 0 and priority < DEF_PRIORITY - 2)
    return wanted and not compaction, wanted and not compaction


@behaviour(
    "defrag.lumpy",
    since="3.5",
    features=("F037",),
    source="mm/vmscan.c: lumpy reclaim is removed; 3.5",
)
def lumpy_never(order: int, priority: int, compaction: bool) -> tuple[bool, bool]:
    """(neighbours are taken, active ones too): never, compaction took its place."""
    return False, False


@behaviour(
    "defrag.lump-ends",
    since="2.6.23",
    until="2.6.37",
    features=("F037",),
    source="mm/vmscan.c:isolate_lru_pages; 2.6.24, 2.6.32",
)
def lump_goes_on(free: bool) -> bool:
    """Whether a neighbour that cannot be taken ends the block: never."""
    return False


@behaviour(
    "defrag.lump-ends",
    since="2.6.38",
    features=("F037",),
    source="mm/vmscan.c:isolate_lru_pages; 3.3, 3.0.101+ (last used in 3.4)",
)
def lump_ends_at_held(free: bool) -> bool:
    """Whether a neighbour that cannot be taken ends the block: unless it is free already."""
    return not free


@behaviour(
    "defrag.lumpy-stall",
    since="2.6.23",
    until="2.6.35",
    features=("F037",),
    source="mm/vmscan.c:shrink_inactive_list; 2.6.24, 2.6.32",
)
def stalls_costly(order: int, priority: int, kswapd: bool, taken: int, freed: int) -> bool:
    """Whether a second pass waits for writeback: for a costly order when not all was freed."""
    return freed < taken and not kswapd and order > PAGE_ALLOC_COSTLY_ORDER


@behaviour(
    "defrag.lumpy-stall",
    since="2.6.36",
    features=("F037",),
    source="mm/vmscan.c:should_reclaim_stall; 3.3, 3.0.101+ (last used in 3.4)",
)
def stalls_by_priority(order: int, priority: int, kswapd: bool, taken: int, freed: int) -> bool:
    """Whether a second pass waits for writeback: at once for a costly order, else when reclaim is desperate.

    Requires  the block's neighbours were taken
    """
    limit = DEF_PRIORITY if order > PAGE_ALLOC_COSTLY_ORDER else DEF_PRIORITY // 3
    return not kswapd and freed != taken and priority <= limit


@invariant("defrag.lumpy.block", features=("F037",), seed="2.2.1", source="mm/vmscan.c:isolate_lru_pages")
def inside_lump(pfn: int, around: int, order: int) -> bool:
    """Every page taken lies in the aligned block around the page that reclaim came upon."""
    first, end = lump(around, order)
    return first <= pfn < end
