"""Requests for pages: which flags a GFP word turns into, and which zones it may use.

Linux: mm/page_alloc.c:gfp_to_alloc_flags, alloc_flags_nofragment.  Seed 2.1.1.3, 2.1.1.5 (F017, F029).
"""

from typing import NamedTuple

from linuxmm.spec.alloc.gfp import (
    ALLOC_CMA,
    ALLOC_CPUSET,
    ALLOC_HIGHATOMIC,
    ALLOC_KSWAPD,
    ALLOC_MIN_RESERVE,
    ALLOC_NO_WATERMARKS,
    ALLOC_NOFRAGMENT,
    ALLOC_NON_BLOCK,
    ALLOC_OOM,
    GFP_DIRECT_RECLAIM_BIT,
    GFP_HIGH_BIT,
    GFP_KSWAPD_RECLAIM_BIT,
    GFP_MEMALLOC_BIT,
    GFP_NOMEMALLOC_BIT,
    gfp_migratetype,
    gfp_zone_highest,
)
from linuxmm.spec.kernel import behaviour


class Request(NamedTuple):
    """One request for 2**order pages.

    order        of the block
    gfp          canonical GFP word
    migratetype  of the lists to use first; UNMOVABLE for all while grouping is disabled
    class_index  highest zone class that may be used, as a ZoneType number
    cpu          that asks
    node         preferred NUMA node
    nodemask     bit n: node n may be used
    dirty_full   bit n: node n is over its dirty limit (matters to __GFP_WRITE only)
    """

    order: int
    gfp: int
    migratetype: int
    class_index: int
    cpu: int
    node: int
    nodemask: int
    dirty_full: int


def request(
    order: int,
    gfp: int,
    *,
    cpu: int = 0,
    node: int = 0,
    nodemask: int = -1,
    dirty_full: int = 0,
    grouping_disabled: bool = False,
) -> Request:
    """The request that a GFP word makes.

    Requires  order >= 0; at most one of DMA, DMA32, HIGHMEM; not both MOVABLE and RECLAIMABLE
    """
    migratetype = 0 if grouping_disabled else gfp_migratetype(gfp)
    return Request(order, gfp, migratetype, gfp_zone_highest(gfp), cpu, node, nodemask, dirty_full)


def is_movable(gfp: int) -> bool:
    """Whether the request states that its pages can be moved."""
    return gfp_migratetype(gfp) == 1


@behaviour(
    "alloc.slowpath-flags",
    since="2.6.0",
    until="6.2",
    replaced_in=("6.1.192",),
    features=("F017",),
    source="mm/page_alloc.c:gfp_to_alloc_flags; 2.6.32 to 6.0",
)
def slowpath_flags_harder(gfp: int, order: int, realtime: bool, cma: bool) -> int:
    """ALLOC_* flags of the slow path: HIGH; HARDER for who cannot reclaim, and for real-time tasks."""
    flags = ALLOC_CPUSET | (gfp & (GFP_HIGH_BIT | GFP_KSWAPD_RECLAIM_BIT))
    if not gfp & GFP_DIRECT_RECLAIM_BIT:
        if not gfp & GFP_NOMEMALLOC_BIT:
            flags |= ALLOC_NON_BLOCK
        flags &= ~ALLOC_CPUSET
    elif realtime:
        flags |= ALLOC_NON_BLOCK
    if cma and is_movable(gfp):
        flags |= ALLOC_CMA
    return flags


@behaviour(
    "alloc.slowpath-flags",
    since="6.3",
    backports=("6.1.192",),
    features=("F017",),
    source="mm/page_alloc.c:gfp_to_alloc_flags; 6.1.192, 6.12",
)
def slowpath_flags_min_reserve(gfp: int, order: int, realtime: bool, cma: bool) -> int:
    """ALLOC_* flags of the slow path: MIN_RESERVE for HIGH and real-time; two more for atomic requests."""
    flags = ALLOC_CPUSET | (gfp & (GFP_HIGH_BIT | GFP_KSWAPD_RECLAIM_BIT))
    if not gfp & GFP_DIRECT_RECLAIM_BIT:
        if not gfp & GFP_NOMEMALLOC_BIT:
            flags |= ALLOC_NON_BLOCK
            if order > 0 and flags & ALLOC_MIN_RESERVE:
                flags |= ALLOC_HIGHATOMIC
        if flags & ALLOC_MIN_RESERVE:
            flags &= ~ALLOC_CPUSET
    elif realtime:
        flags |= ALLOC_MIN_RESERVE
    if cma and is_movable(gfp):
        flags |= ALLOC_CMA
    return flags


@behaviour(
    "alloc.reserve-flags",
    since="2.4.0",
    until="4.12",
    features=("F017",),
    source="mm/page_alloc.c:gfp_to_alloc_flags; 2.6.32 to 4.12",
)
def reserve_flags_memdie(gfp: int, memalloc_task: bool, oom_victim: bool) -> int:
    """Access to the reserves: all of them for PF_MEMALLOC, __GFP_MEMALLOC and OOM victims."""
    if gfp & GFP_NOMEMALLOC_BIT:
        return 0
    if gfp & GFP_MEMALLOC_BIT or memalloc_task or oom_victim:
        return ALLOC_NO_WATERMARKS
    return 0


@behaviour(
    "alloc.reserve-flags",
    since="4.13",
    features=("F017",),
    source="mm/page_alloc.c:__gfp_pfmemalloc_flags; 4.15 to 6.12",
)
def reserve_flags_oom(gfp: int, memalloc_task: bool, oom_victim: bool) -> int:
    """Access to the reserves: all of them for PF_MEMALLOC and __GFP_MEMALLOC, half for OOM victims."""
    if gfp & GFP_NOMEMALLOC_BIT:
        return 0
    if gfp & GFP_MEMALLOC_BIT or memalloc_task:
        return ALLOC_NO_WATERMARKS
    return ALLOC_OOM if oom_victim else 0


def fastpath_flags(gfp: int, cma: bool, nofragment: int) -> int:
    """ALLOC_* flags of the first attempt: the low watermark, CMA for movable pages, NOFRAGMENT.

    Source    mm/page_alloc.c:__alloc_pages, prepare_alloc_pages
    """
    flags = 1 | ALLOC_CPUSET | nofragment
    if cma and is_movable(gfp):
        flags |= ALLOC_CMA
    return flags


@behaviour(
    "alloc.nofragment",
    since="2.4.0",
    until="4.20",
    features=("F029",),
    source="mm/page_alloc.c; before 5.0",
)
def nofragment_unknown(gfp: int, zone_kind: int, several_nodes: bool, dma32_populated: bool) -> int:
    """There is no ALLOC_NOFRAGMENT, and the fast path wakes nobody."""
    return 0


@behaviour(
    "alloc.nofragment",
    since="5.0",
    until="5.1",
    features=("F029",),
    source="mm/page_alloc.c:alloc_flags_nofragment; 5.0",
)
def nofragment_inert(gfp: int, zone_kind: int, several_nodes: bool, dma32_populated: bool) -> int:
    """Both paths of the function return the kswapd bit alone: the flag is never set."""
    return gfp & ALLOC_KSWAPD


@behaviour(
    "alloc.nofragment",
    since="5.2",
    features=("F029",),
    source="mm/page_alloc.c:alloc_flags_nofragment; 5.2 to 6.12",
)
def nofragment_normal_zone(gfp: int, zone_kind: int, several_nodes: bool, dma32_populated: bool) -> int:
    """ALLOC_NOFRAGMENT when the preferred zone is NORMAL and, among several nodes, its DMA32 is populated.

    zone_kind: of the preferred zone.  Needs CONFIG_ZONE_DMA32, which 32-bit kernels lack.
    """
    flags = gfp & ALLOC_KSWAPD
    if zone_kind != 2:
        return flags
    if several_nodes and not dma32_populated:
        return flags
    return flags | ALLOC_NOFRAGMENT
