"""The rules of the page allocator that differ between kernels, as one record of functions.

A kernel profile resolves them once (`linuxmm.model.alloc.profile`); the algorithms take the record and never
ask for a version.
"""

from collections.abc import Callable
from typing import NamedTuple

from linuxmm.model.alloc.freelist import Zone
from linuxmm.model.alloc.machine import Machine
from linuxmm.spec.alloc.pcp import PcpVars
from linuxmm.spec.alloc.request import Request


class Rules(NamedTuple):
    """Everything that the allocator of one kernel does in its own way.

    max_order          largest order of a block
    pageblock_order    order of a pageblock
    grouping_disabled  page_group_by_mobility_disabled: the machine is too small
    cma                CONFIG_CMA
    nr_pcp_lists       lists of one CPU in one zone

    Free lists
    may_absorb(zone, order, type, buddy_type)       merge across pageblocks of different types?
    merges_alike(type)                              merge pageblocks of the same type?
    absorb(rules, zone, buddy, order, type)         what a merge does to the buddy's pageblocks
    wants_tail(rules, zone, pfn, order)             place a freed block at the tail?
    place_moved(zone, pfn, order, type)             put a block that changes lists

    Handing out
    take(rules, zone, order, type, flags, mode)     -> (zone, pfn, type of the list, mode), free lists only
    claims_block, alike_pages                       formulas of linuxmm.spec.alloc.migratetype
    small_zones_boost, refused_boost_wakes          boost zones below four pageblocks, wake if refused?
    steal(rules, zone, order, type, flags)          -> (zone, pfn): fall back by stealing, 4.12 to 6.9
    account_removed, account_taken, account_done    when the free-page counters follow a block
    account_isolated, retag_isolated, unisolate, putback_to_tail, make_movable
                                                    isolation of pageblocks and of free blocks

    take_highatomic(rules, zone, order, type, flags)  take, and the high-order atomic reserve
    free_large(rules, zone, pfn, order)             free a block past the per-CPU lists
    zone_passes(rules, zone, order, class, flags)   the watermark test of the zonelist walk
    walk(rules, machine, request, flags, dirty)     walk a zonelist -> (machine, pfn, zone number)
    slowpath_flags, reserve_flags, nofragment       formulas of linuxmm.spec.alloc.request

    Per-CPU lists
    pcp_allowed(order, pageblock_order), pcp_index(order, type), pcp_order(index, pageblock_order)
    pcp_alloc, pcp_refill, pcp_commit               formulas of linuxmm.spec.alloc.pcp
    pcp_serves(rules, type, flags)                  may a request use the lists at all?
    pcp_take(rules, zone, cpu, order, type, flags), pcp_put(rules, zone, cpu, pfn, order)
                                                    hand out from the lists, take back
    pcp_drain(rules, zone, cpu, pages, index)       give back pages, index first
    drained_type(zone, pfn)                         list of a block that is given back

    Watermarks: formulas of linuxmm.spec.alloc.watermark
    watermark_ok(rules, zone, order, mark, class, flags, free), watermark_fast(the same without free)
    reserve_highatomic(rules, zone, pfn, order)     after a high-order atomic allocation
    """

    max_order: int
    pageblock_order: int
    grouping_disabled: bool
    cma: bool
    nr_pcp_lists: int
    may_absorb: Callable[[Zone, int, int, int], bool]
    merges_alike: Callable[[int], bool]
    absorb: "Callable[[Rules, Zone, int, int, int], Zone]"
    wants_tail: "Callable[[Rules, Zone, int, int], bool]"
    place_moved: Callable[[Zone, int, int, int], Zone]
    take: "Callable[[Rules, Zone, int, int, int, int], tuple[Zone, int, int, int]]"
    steal: "Callable[[Rules, Zone, int, int, int], tuple[Zone, int]]"
    claims_block: Callable[[int, int, int, bool], bool]
    alike_pages: Callable[[int, int, int, int, int], int]
    small_zones_boost: Callable[[], bool]
    refused_boost_wakes: Callable[[], bool]
    account_removed: Callable[[Zone, int, int], Zone]
    account_taken: Callable[[Zone, int, int], Zone]
    account_done: Callable[[Zone, int], Zone]
    account_isolated: Callable[[Zone, int, int], Zone]
    retag_isolated: "Callable[[Rules, Zone, int, int], tuple[Zone, int]]"
    unisolate: "Callable[[Rules, Zone, int, int], Zone]"
    putback_to_tail: Callable[[], bool]
    make_movable: "Callable[[Rules, Zone, int], Zone]"
    pcp_allowed: Callable[[int, int], bool]
    pcp_index: Callable[[int, int], int]
    pcp_order: Callable[[int, int], int]
    pcp_alloc: Callable[[PcpVars], PcpVars]
    pcp_refill: Callable[[PcpVars, int, bool], tuple[PcpVars, int]]
    pcp_commit: Callable[[PcpVars, int, bool, bool], tuple[PcpVars, int]]
    pcp_serves: "Callable[[Rules, int, int], bool]"
    pcp_take: "Callable[[Rules, Zone, int, int, int, int], tuple[Zone, int]]"
    pcp_put: "Callable[[Rules, Zone, int, int, int], Zone]"
    pcp_drain: "Callable[[Rules, Zone, int, int, int], Zone]"
    drained_type: Callable[[Zone, int], int]
    mark_after_reserves: Callable[[int, int], int]
    unusable_free: Callable[[int, int, int, int], int]
    counts_highatomic: Callable[[int], bool]
    highatomic_pages: Callable[[Zone], int]
    highatomic_limit: Callable[[int, int], int]
    take_highatomic: "Callable[[Rules, Zone, int, int, int], tuple[Zone, int, int]]"
    free_large: "Callable[[Rules, Zone, int, int], Zone]"
    zone_passes: "Callable[[Rules, Zone, int, int, int], tuple[Zone, bool]]"
    walk: "Callable[[Rules, Machine, Request, int, bool], tuple[Machine, int, int]]"
    slowpath_flags: Callable[[int, int, bool, bool], int]
    reserve_flags: Callable[[int, bool, bool], int]
    nofragment: Callable[[int, int, bool, bool], int]
    watermark_ok: "Callable[[Rules, Zone, int, int, int, int, int], bool]"
    watermark_fast: "Callable[[Rules, Zone, int, int, int, int], bool]"
    reserve_highatomic: "Callable[[Rules, Zone, int, int], Zone]"
