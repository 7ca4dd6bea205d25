"""Requests for pages: which flags a GFP word turns into, and which zones it may use.

Linux: mm/page_alloc.c:gfp_to_alloc_flags, alloc_flags_nofragment.  Seed 2.1.1.3, 2.1.1.5 (F017, F029).
"""

from typing import NamedTuple

from linuxmm.spec.alloc.gfp import (
    ALLOC_CMA,
    ALLOC_CPUSET,
    ALLOC_GFP_ATOMIC,
    ALLOC_HIGHATOMIC,
    ALLOC_KSWAPD,
    ALLOC_MIN_RESERVE,
    ALLOC_NO_WATERMARKS,
    ALLOC_NOFRAGMENT,
    ALLOC_NON_BLOCK,
    ALLOC_OOM,
    GFP_ATOMIC_BIT,
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


def _with_cma(flags: int, gfp: int, cma: bool) -> int:
    return flags | ALLOC_CMA if cma and is_movable(gfp) else flags


def _harder(gfp: int, atomic: bool, reserves: bool, realtime: bool, cma: bool) -> int:
    flags = ALLOC_CPUSET | (gfp & (GFP_HIGH_BIT | GFP_KSWAPD_RECLAIM_BIT))
    if atomic:
        flags &= ~ALLOC_CPUSET
        if reserves:
            flags |= ALLOC_NON_BLOCK
    elif realtime:
        flags |= ALLOC_NON_BLOCK
    return _with_cma(flags, gfp, cma)


@behaviour(
    "alloc.slowpath-flags",
    since="2.4.0",
    until="2.5.999",
    features=("F017",),
    source="mm/page_alloc.c:__alloc_pages; 2.4.16, 2.4.22, 2.4.32",
)
def slowpath_flags_quarter(gfp: int, order: int, realtime: bool, cma: bool) -> int:
    """Who cannot wait may use memory down to a quarter of the min mark, for which HARDER stands."""
    return 0 if gfp & GFP_DIRECT_RECLAIM_BIT else ALLOC_NON_BLOCK


@behaviour(
    "alloc.slowpath-flags",
    since="2.6.0",
    until="2.6.37",
    features=("F017",),
    source="mm/page_alloc.c:gfp_to_alloc_flags; 2.6.31 to 2.6.37 (part of __alloc_pages before)",
)
def slowpath_flags_waiting(gfp: int, order: int, realtime: bool, cma: bool) -> int:
    """ALLOC_* flags of the slow path: HIGH; HARDER for who cannot wait, and for real-time tasks."""
    return _harder(gfp, not gfp & GFP_DIRECT_RECLAIM_BIT, True, realtime, cma)


@behaviour(
    "alloc.slowpath-flags",
    since="2.6.38",
    until="3.15",
    features=("F017",),
    source="mm/page_alloc.c:gfp_to_alloc_flags; 2.6.38 to 3.15",
)
def slowpath_flags_nomemalloc(gfp: int, order: int, realtime: bool, cma: bool) -> int:
    """As before; __GFP_NOMEMALLOC keeps who cannot wait from HARDER."""
    return _harder(gfp, not gfp & GFP_DIRECT_RECLAIM_BIT, not gfp & GFP_NOMEMALLOC_BIT, realtime, cma)


@behaviour(
    "alloc.slowpath-flags",
    since="3.16",
    until="4.3",
    features=("F017",),
    source="mm/page_alloc.c:gfp_to_alloc_flags; 3.16 to 4.3",
)
def slowpath_flags_not_no_kswapd(gfp: int, order: int, realtime: bool, cma: bool) -> int:
    """As before; a request that does without kswapd too is not atomic."""
    atomic = not gfp & GFP_DIRECT_RECLAIM_BIT and gfp & GFP_KSWAPD_RECLAIM_BIT != 0
    return _harder(gfp, atomic, not gfp & GFP_NOMEMALLOC_BIT, realtime, cma)


@behaviour(
    "alloc.slowpath-flags",
    since="4.4",
    until="5.8",
    features=("F013", "F017"),
    source="mm/page_alloc.c:gfp_to_alloc_flags, get_page_from_freelist; 4.4 to 5.8",
)
def slowpath_flags_harder(gfp: int, order: int, realtime: bool, cma: bool) -> int:
    """As before; atomic is who states __GFP_ATOMIC.

    ALLOC_HIGHATOMIC, which these kernels do not have, stands for "HARDER of a high order": the pageblock of
    such a request is reserved.
    """
    atomic = gfp & GFP_ATOMIC_BIT != 0
    flags = _harder(gfp, atomic, not gfp & GFP_NOMEMALLOC_BIT, realtime, cma)
    if order > 0 and flags & ALLOC_NON_BLOCK:
        flags |= ALLOC_HIGHATOMIC
    return flags


def _noting_atomic(flags: int, gfp: int) -> int:
    return flags | ALLOC_GFP_ATOMIC if gfp & GFP_ATOMIC_BIT else flags


@behaviour(
    "alloc.slowpath-flags",
    since="5.9",
    until="6.2",
    replaced_in=("6.1.158",),
    features=("F013", "F017"),
    source="mm/page_alloc.c:gfp_to_alloc_flags, zone_watermark_fast; 5.9 to 6.2",
)
def slowpath_flags_harder_noting_atomic(gfp: int, order: int, realtime: bool, cma: bool) -> int:
    """As before; the watermark test looks at __GFP_ATOMIC itself."""
    return _noting_atomic(slowpath_flags_harder(gfp, order, realtime, cma), gfp)


def _min_reserve(gfp: int, highatomic: bool, realtime: bool, cma: bool) -> int:
    flags = ALLOC_CPUSET | (gfp & (GFP_HIGH_BIT | GFP_KSWAPD_RECLAIM_BIT))
    if not gfp & GFP_DIRECT_RECLAIM_BIT:
        if not gfp & GFP_NOMEMALLOC_BIT:
            flags |= ALLOC_NON_BLOCK
            if highatomic:
                flags |= ALLOC_HIGHATOMIC
        if flags & ALLOC_MIN_RESERVE:
            flags &= ~ALLOC_CPUSET
    elif realtime:
        flags |= ALLOC_MIN_RESERVE
    return _with_cma(flags, gfp, cma)


@behaviour(
    "alloc.slowpath-flags",
    since="6.3",
    until="6.12",
    replaced_in=("6.12.117",),
    features=("F013", "F017"),
    source="mm/page_alloc.c:gfp_to_alloc_flags; 6.3 to 6.12.0, 6.6.87",
)
def slowpath_flags_non_block(gfp: int, order: int, realtime: bool, cma: bool) -> int:
    """MIN_RESERVE for HIGH and real-time; NON_BLOCK for who cannot reclaim, HIGHATOMIC too at high orders."""
    return _min_reserve(gfp, order > 0, realtime, cma)


@behaviour(
    "alloc.slowpath-flags",
    since="6.13",
    backports=("6.12.117",),
    features=("F013", "F017"),
    source="mm/page_alloc.c:gfp_to_alloc_flags; 6.12.117",
)
def slowpath_flags_min_reserve(gfp: int, order: int, realtime: bool, cma: bool) -> int:
    """As before; HIGHATOMIC only for those that state __GFP_HIGH."""
    return _min_reserve(gfp, order > 0 and gfp & GFP_HIGH_BIT != 0, realtime, cma)


@behaviour(
    "alloc.slowpath-flags",
    since="6.1.158",
    until="6.0",
    backports=("6.1.158",),
    features=("F013", "F017"),
    source="mm/page_alloc.c:gfp_to_alloc_flags, zone_watermark_fast; 6.1.158, 6.1.192",
)
def slowpath_flags_min_reserve_noting_atomic(gfp: int, order: int, realtime: bool, cma: bool) -> int:
    """As before; the watermark test still looks at __GFP_ATOMIC itself."""
    return _noting_atomic(slowpath_flags_min_reserve(gfp, order, realtime, cma), gfp)


@behaviour(
    "alloc.reserve-flags",
    since="2.4.0",
    until="4.13",
    features=("F017",),
    source="mm/page_alloc.c:gfp_to_alloc_flags, gfp_pfmemalloc_allowed; 2.6.32 to 4.13",
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
    since="4.14",
    features=("F017",),
    source="mm/page_alloc.c:__gfp_pfmemalloc_flags; 4.14 to 6.12",
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
    "alloc.nofragment", since="4.8", until="4.20", features=("F029",), source="mm/page_alloc.c; before 5.0"
)
@behaviour(
    "alloc.nofragment", since="2.4.0", until="3.11", features=("F029",), source="mm/page_alloc.c; before 5.0"
)
def nofragment_unknown(gfp: int, zone_kind: int, several_nodes: bool, dma32_populated: bool) -> int:
    """There is no ALLOC_NOFRAGMENT, and the fast path wakes nobody."""
    return 0


@behaviour(
    "alloc.nofragment",
    since="5.0",
    until="5.0",
    features=("F029",),
    source="mm/page_alloc.c:alloc_flags_nofragment; 5.0.1",
)
def nofragment_inert(gfp: int, zone_kind: int, several_nodes: bool, dma32_populated: bool) -> int:
    """Both paths of the function return the kswapd bit alone: the flag is never set."""
    return gfp & ALLOC_KSWAPD


@behaviour(
    "alloc.nofragment",
    since="5.1",
    features=("F029",),
    source="mm/page_alloc.c:alloc_flags_nofragment; 5.1 to 6.12",
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
