"""The state of one zone, and the primitives through which every algorithm reads and changes it.

A primitive either answers a question or returns the zone after one elementary change.  The algorithms use
nothing else, and never use a zone again after changing it; so the same algorithms run over flat arrays that
are changed in place (`linuxmm.fast`) and over symbolic maps (`linuxmm.proofs`).

Linux: struct zone, struct free_area, struct per_cpu_pages (include/linux/mmzone.h).  Seed 2.1.1 (F012, F016,
F020).
"""

from dataclasses import dataclass, replace
from typing import Final

from immutables import Map

from linuxmm.model.alloc import events
from linuxmm.spec.alloc.pcp import PcpVars, with_pages
from linuxmm.spec.step import Event

NOTHING: Final = -1
"""What a primitive answers when there is no block."""

ISOLATE: Final = 4
CMA: Final = 5
HIGHATOMIC: Final = 3


@dataclass(frozen=True, slots=True)
class Pcp:
    """One CPU's lists in one zone: its numbers, and per list the heads, next to be handed out first."""

    vars: PcpVars
    lists: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Zone:
    """One zone of one node.

    node, kind      NUMA node and ZoneType number
    start, end      pfns of the span, end exclusive
    managed         pages under the allocator's control
    free            head of each free block -> (order, migratetype of its list)
    lists           [order][migratetype] -> heads, the next to be handed out first
    cached          head of each block on a CPU's list -> (order, migratetype noted when it was put there)
    in_use          head of each allocated block -> (order, 1 if its pages are on an LRU list or movable)
    types           pageblock types, from the pageblock of `start`
    pageblock_order order of a pageblock
    watermark       (min, low, high) without boost
    nr_free, nr_free_cma, nr_free_highatomic
                    the counters NR_FREE_PAGES (without ISOLATE), NR_FREE_CMA_PAGES, free HIGHATOMIC pages
    reserved_highatomic, nr_isolated
                    pages of reserved pageblocks; number of ISOLATE pageblocks
    log             events of the step in progress
    """

    node: int
    kind: int
    start: int
    end: int
    managed: int
    free: Map[int, tuple[int, int]]
    lists: tuple[tuple[tuple[int, ...], ...], ...]
    cached: Map[int, tuple[int, int]]
    in_use: Map[int, tuple[int, int]]
    types: tuple[int, ...]
    pageblock_order: int
    pcps: tuple[Pcp, ...]
    watermark: tuple[int, int, int] = (0, 0, 0)
    boost: int = 0
    boost_factor: int = 0
    lowmem_reserve: tuple[int, ...] = (0, 0, 0, 0, 0, 0)
    nr_free: int = 0
    nr_free_cma: int = 0
    nr_free_highatomic: int = 0
    reserved_highatomic: int = 0
    nr_isolated: int = 0
    boosted_watermark: bool = False
    below_high: bool = False
    reclaim_active: bool = False
    log: tuple[Event, ...] = ()


# ---- questions -------------------------------------------------------------------------------------------


def is_free_block(zone: Zone, pfn: int, order: int) -> bool:
    """Whether (pfn, order) is a free block of this zone."""
    entry = zone.free.get(pfn)
    return entry is not None and entry[0] == order


def free_order(zone: Zone, pfn: int) -> int:
    """The order of the free block that starts at pfn, or NOTHING."""
    entry = zone.free.get(pfn)
    return NOTHING if entry is None else entry[0]


def free_list_of(zone: Zone, pfn: int) -> int:
    """The migratetype of the list that holds the free block at pfn, or NOTHING."""
    entry = zone.free.get(pfn)
    return NOTHING if entry is None else entry[1]


def list_head(zone: Zone, order: int, migratetype: int) -> int:
    """The block that a free list hands out next, or NOTHING."""
    heads = zone.lists[order][migratetype]
    return heads[0] if heads else NOTHING


def free_blocks(zone: Zone, order: int) -> int:
    """The number of free blocks of an order, on all lists."""
    return sum(map(len, zone.lists[order]))


def pageblock_type(zone: Zone, pfn: int) -> int:
    """The migratetype of the pageblock that holds pfn."""
    return zone.types[(pfn >> zone.pageblock_order) - (zone.start >> zone.pageblock_order)]


def spans(zone: Zone, pfn: int) -> bool:
    """Whether pfn lies in the zone's span."""
    return zone.start <= pfn < zone.end


def movable_in_use(zone: Zone, pfn: int) -> int:
    """The number of pages that an in-use block starting at pfn adds to the movable pages of its pageblock.

    What the kernel counts page by page (on an LRU list, or driver-movable) is known here per block.
    """
    entry = zone.in_use.get(pfn)
    return 0 if entry is None or not entry[1] else 1 << entry[0]


def nr_free_pages(zone: Zone) -> int:
    """NR_FREE_PAGES: free pages except those in ISOLATE pageblocks."""
    return zone.nr_free


def nr_free_cma(zone: Zone) -> int:
    """NR_FREE_CMA_PAGES."""
    return zone.nr_free_cma


def nr_free_highatomic(zone: Zone) -> int:
    """Free pages of the high-order atomic reserve (a counter since 6.12)."""
    return zone.nr_free_highatomic


def reserved_highatomic(zone: Zone) -> int:
    """Pages of the pageblocks reserved for high-order atomic requests."""
    return zone.reserved_highatomic


def managed_pages(zone: Zone) -> int:
    """Pages under the allocator's control."""
    return zone.managed


def watermark_of(zone: Zone, which: int) -> int:
    """Watermark MIN (0), LOW (1) or HIGH (2), without boost."""
    return zone.watermark[which]


def boost_of(zone: Zone) -> int:
    """watermark_boost."""
    return zone.boost


def boost_factor_of(zone: Zone) -> int:
    """The sysctl watermark_boost_factor, in 1/10000."""
    return zone.boost_factor


def lowmem_reserve_of(zone: Zone, class_index: int) -> int:
    """Pages kept back from requests whose highest zone class is class_index."""
    return zone.lowmem_reserve[class_index]


def has_isolated(zone: Zone) -> bool:
    """Whether any pageblock of the zone is isolated."""
    return zone.nr_isolated != 0


def is_below_high(zone: Zone) -> bool:
    """ZONE_BELOW_HIGH."""
    return zone.below_high


def is_reclaim_active(zone: Zone) -> bool:
    """ZONE_RECLAIM_ACTIVE."""
    return zone.reclaim_active


# ---- free lists ------------------------------------------------------------------------------------------


def _with_list(zone: Zone, order: int, migratetype: int, heads: tuple[int, ...]) -> Zone:
    row = zone.lists[order]
    row = (*row[:migratetype], heads, *row[migratetype + 1 :])
    return replace(zone, lists=(*zone.lists[:order], row, *zone.lists[order + 1 :]))


def add_head(zone: Zone, pfn: int, order: int, migratetype: int) -> Zone:
    """Put a free block at the head of a list.

    Requires  no page of the block is free, cached or in use
    """
    zone = _with_list(zone, order, migratetype, (pfn, *zone.lists[order][migratetype]))
    return replace(zone, free=zone.free.set(pfn, (order, migratetype)))


def add_tail(zone: Zone, pfn: int, order: int, migratetype: int) -> Zone:
    """Put a free block at the tail of a list."""
    zone = _with_list(zone, order, migratetype, (*zone.lists[order][migratetype], pfn))
    return replace(zone, free=zone.free.set(pfn, (order, migratetype)))


def remove(zone: Zone, pfn: int, order: int) -> Zone:
    """Take a free block off its list.

    Requires  is_free_block(zone, pfn, order)
    """
    migratetype = zone.free[pfn][1]
    heads = zone.lists[order][migratetype]
    at = heads.index(pfn)
    zone = _with_list(zone, order, migratetype, heads[:at] + heads[at + 1 :])
    return replace(zone, free=zone.free.delete(pfn))


def account(zone: Zone, pages: int, migratetype: int) -> Zone:
    """Add `pages` (which may be negative) to the free-page counters that a list of this type feeds."""
    if migratetype == ISOLATE:
        return zone
    return add_free_of_type(add_nr_free(zone, pages), migratetype, pages)


def add_nr_free(zone: Zone, pages: int) -> Zone:
    """Add to NR_FREE_PAGES."""
    return replace(zone, nr_free=zone.nr_free + pages)


def add_free_of_type(zone: Zone, migratetype: int, pages: int) -> Zone:
    """Add to NR_FREE_CMA_PAGES or to the free HIGHATOMIC pages, if the type is one of those."""
    if migratetype == CMA:
        return replace(zone, nr_free_cma=zone.nr_free_cma + pages)
    if migratetype == HIGHATOMIC:
        return replace(zone, nr_free_highatomic=zone.nr_free_highatomic + pages)
    return zone


# ---- pageblocks, reserves, flags -------------------------------------------------------------------------


def set_pageblock_type(zone: Zone, pfn: int, migratetype: int) -> Zone:
    """Give the pageblock that holds pfn another type."""
    at = (pfn >> zone.pageblock_order) - (zone.start >> zone.pageblock_order)
    return replace(zone, types=(*zone.types[:at], migratetype, *zone.types[at + 1 :]))


def set_reserved_highatomic(zone: Zone, pages: int) -> Zone:
    """Change the size of the high-order atomic reserve."""
    return replace(zone, reserved_highatomic=pages)


def add_isolated(zone: Zone, pageblocks: int) -> Zone:
    """Count isolated pageblocks."""
    return replace(zone, nr_isolated=zone.nr_isolated + pageblocks)


def set_boost(zone: Zone, pages: int) -> Zone:
    """Change watermark_boost."""
    return replace(zone, boost=pages)


def set_boosted_watermark(zone: Zone, on: bool) -> Zone:
    """Set or clear ZONE_BOOSTED_WATERMARK: kswapd is to be woken after this allocation."""
    return replace(zone, boosted_watermark=on)


def is_boosted_watermark(zone: Zone) -> bool:
    """ZONE_BOOSTED_WATERMARK."""
    return zone.boosted_watermark


def set_below_high(zone: Zone, on: bool) -> Zone:
    """Set or clear ZONE_BELOW_HIGH."""
    return replace(zone, below_high=on)


# ---- per-CPU lists ---------------------------------------------------------------------------------------


def pcp_vars(zone: Zone, cpu: int) -> PcpVars:
    """The numbers of a CPU's lists."""
    return zone.pcps[cpu].vars


def set_pcp_vars(zone: Zone, cpu: int, v: PcpVars) -> Zone:
    """Change the numbers of a CPU's lists."""
    return _with_pcp(zone, cpu, Pcp(v, zone.pcps[cpu].lists))


def pcp_head(zone: Zone, cpu: int, index: int) -> int:
    """The block that a CPU's list hands out next, or NOTHING."""
    heads = zone.pcps[cpu].lists[index]
    return heads[0] if heads else NOTHING


def pcp_tail(zone: Zone, cpu: int, index: int) -> int:
    """The block that a CPU's list gives back next, or NOTHING."""
    heads = zone.pcps[cpu].lists[index]
    return heads[-1] if heads else NOTHING


def cached_type(zone: Zone, pfn: int) -> int:
    """The migratetype noted when the cached block at pfn was put on a CPU's list."""
    return zone.cached[pfn][1]


def pcp_add_head(zone: Zone, cpu: int, index: int, pfn: int, order: int, migratetype: int) -> Zone:
    """Put a block at the head of a CPU's list, and count it."""
    pcp = zone.pcps[cpu]
    zone = _with_pcp(zone, cpu, _listed(pcp, index, (pfn, *pcp.lists[index]), 1 << order))
    return replace(zone, cached=zone.cached.set(pfn, (order, migratetype)))


def pcp_add_tail(zone: Zone, cpu: int, index: int, pfn: int, order: int, migratetype: int) -> Zone:
    """Put a block at the tail of a CPU's list, and count it."""
    pcp = zone.pcps[cpu]
    zone = _with_pcp(zone, cpu, _listed(pcp, index, (*pcp.lists[index], pfn), 1 << order))
    return replace(zone, cached=zone.cached.set(pfn, (order, migratetype)))


def pcp_remove(zone: Zone, cpu: int, index: int, pfn: int) -> Zone:
    """Take a block off a CPU's list, and count it."""
    pcp = zone.pcps[cpu]
    heads = pcp.lists[index]
    at = heads.index(pfn)
    order = zone.cached[pfn][0]
    zone = _with_pcp(zone, cpu, _listed(pcp, index, heads[:at] + heads[at + 1 :], -(1 << order)))
    return replace(zone, cached=zone.cached.delete(pfn))


def _listed(pcp: Pcp, index: int, heads: tuple[int, ...], pages: int) -> Pcp:
    lists = (*pcp.lists[:index], heads, *pcp.lists[index + 1 :])
    return Pcp(with_pages(pcp.vars, pcp.vars.pages + pages), lists)


def _with_pcp(zone: Zone, cpu: int, pcp: Pcp) -> Zone:
    return replace(zone, pcps=(*zone.pcps[:cpu], pcp, *zone.pcps[cpu + 1 :]))


# ---- pages in use ----------------------------------------------------------------------------------------


def set_in_use(zone: Zone, pfn: int, order: int, movable: bool) -> Zone:
    """Note that a block was handed out; movable: its pages will be on an LRU list or driver-movable."""
    return replace(zone, in_use=zone.in_use.set(pfn, (order, 1 if movable else 0)))


def clear_in_use(zone: Zone, pfn: int) -> Zone:
    """Note that the block at pfn comes back (or was never seen handed out)."""
    return replace(zone, in_use=zone.in_use.delete(pfn)) if pfn in zone.in_use else zone


# ---- work ------------------------------------------------------------------------------------------------

ZONE_LOCK: Final = 0
PCP_LOCK: Final = 1


def count_work(zone: Zone, what: int) -> Zone:
    """Note a hold of zone->lock (ZONE_LOCK) or of a CPU's lists (PCP_LOCK: interrupts off before 5.14).

    The state does not depend on it; who measures cost replaces this primitive.
    """
    return zone


# ---- events ----------------------------------------------------------------------------------------------


def trace_zone_locked(zone: Zone, pfn: int, order: int, migratetype: int, percpu_refill: bool) -> Zone:
    """kmem:mm_page_alloc_zone_locked."""
    event = events.MmPageAllocZoneLocked(pfn, order, migratetype, percpu_refill)
    return replace(zone, log=(*zone.log, event))


def trace_pcpu_drain(zone: Zone, pfn: int, order: int, migratetype: int) -> Zone:
    """kmem:mm_page_pcpu_drain."""
    return replace(zone, log=(*zone.log, events.MmPagePcpuDrain(pfn, order, migratetype)))


def trace_extfrag(
    zone: Zone, pfn: int, alloc_order: int, fallback_order: int, alloc_type: int, fallback_type: int
) -> Zone:
    """kmem:mm_page_alloc_extfrag."""
    event = events.MmPageAllocExtfrag(
        pfn,
        alloc_order,
        fallback_order,
        alloc_type,
        fallback_type,
        fallback_order < zone.pageblock_order,
        pageblock_type(zone, pfn) == alloc_type,
    )
    return replace(zone, log=(*zone.log, event))
