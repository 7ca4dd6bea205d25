"""Placement policies up to 4.11: the largest block of a fallback type, and what it takes along.

A policy `take_*` answers with the block, the type of the list that it came from, and the mode (unused here).

Linux: mm/page_alloc.c:__rmqueue, __rmqueue_fallback.  Seed 2.1.1.2, 2.2.2 (F016, F038).  2.4 to 4.11.
"""

from linuxmm.model.alloc.buddy import retag_range, rmqueue_smallest, take_block
from linuxmm.model.alloc.freelist import (
    CMA,
    HIGHATOMIC,
    NOTHING,
    Zone,
    list_head,
    pageblock_type,
    set_pageblock_type,
    trace_extfrag,
)
from linuxmm.model.alloc.movement import (
    MOVABLE,
    RESERVE,
    UNMOVABLE,
    find_fallback,
    move_freepages_block,
    take_cma,
)
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.gfp import ALLOC_CMA
from linuxmm.spec.alloc.migratetype import enough_to_retag
from linuxmm.spec.kernel import behaviour

# ---- up to 2.6.23: one type --------------------------------------------------------------------------------


@behaviour(
    "alloc.take",
    since="2.4.0",
    until="2.6.23",
    features=("F012",),
    source="mm/page_alloc.c:__rmqueue; 2.6.11 to 2.6.22",
)
def take_single_type(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int, mode: int
) -> tuple[Zone, int, int, int]:
    """One list per order."""
    zone, pfn = rmqueue_smallest(rules, zone, order, UNMOVABLE)
    return zone, pfn, UNMOVABLE, mode


# ---- 2.6.24 to 4.0 -----------------------------------------------------------------------------------------


def _move_and_retag(rules: Rules, zone: Zone, pfn: int, migratetype: int) -> Zone:
    zone, moved, movable = move_freepages_block(rules, zone, pfn, migratetype)
    block = 1 << rules.pageblock_order
    alike = rules.alike_pages(migratetype, pageblock_type(zone, pfn), block, moved, movable)
    if enough_to_retag(moved, alike, block, rules.grouping_disabled):
        zone = set_pageblock_type(zone, pfn, migratetype)
    return zone


def fallback_from_largest(
    rules: Rules, zone: Zone, order: int, migratetype: int, leftovers_change_type: bool
) -> tuple[Zone, int]:
    """Take the largest block of a fallback type, with its pageblock's free pages where the policy claims it.

    leftovers_change_type: the rest of a block that is not claimed goes to the requester's lists
    Source    mm/page_alloc.c:__rmqueue_fallback; 2.6.24 to 4.11
    """
    at = rules.max_order
    while at >= order:
        other = find_fallback(zone, at, migratetype)
        if other != NOTHING:
            pfn = list_head(zone, at, other)
            leftovers = migratetype if leftovers_change_type else other
            claims = rules.claims_block(at, migratetype, rules.pageblock_order, rules.grouping_disabled)
            if claims and pageblock_type(zone, pfn) != HIGHATOMIC:
                if at < rules.pageblock_order:
                    zone = _move_and_retag(rules, zone, pfn, migratetype)
                leftovers = migratetype
            if at >= rules.pageblock_order:
                zone = retag_range(rules, zone, pfn, at, migratetype)
            zone = take_block(rules, zone, pfn, at, order, leftovers)
            return trace_extfrag(zone, pfn, order, at, migratetype, other), pfn
        at -= 1
    return zone, NOTHING


@behaviour(
    "alloc.take",
    since="2.6.24",
    until="3.4",
    features=("F016", "F038"),
    source="mm/page_alloc.c:__rmqueue_fallback, __rmqueue; 2.6.24 to 3.3",
)
def take_with_reserve(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int, mode: int
) -> tuple[Zone, int, int, int]:
    """Own type, largest block of a fallback type, RESERVE."""
    zone, pfn = rmqueue_smallest(rules, zone, order, migratetype)
    if pfn != NOTHING:
        return zone, pfn, migratetype, mode
    zone, pfn = fallback_from_largest(rules, zone, order, migratetype, False)
    if pfn != NOTHING:
        return zone, pfn, migratetype, mode
    zone, pfn = rmqueue_smallest(rules, zone, order, RESERVE)
    return zone, pfn, RESERVE, mode


@behaviour(
    "alloc.take",
    since="3.5",
    until="4.0",
    features=("F016", "F038"),
    source="mm/page_alloc.c:__rmqueue_fallback, __rmqueue; 3.5 to 3.19",
)
def take_cma_before_fallback(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int, mode: int
) -> tuple[Zone, int, int, int]:
    """Own type, CMA for MOVABLE, largest block of a fallback type, RESERVE.

    Up to 3.19 CMA was the first entry of MOVABLE's fallback list and so was sought from the largest order.
    """
    zone, pfn = rmqueue_smallest(rules, zone, order, migratetype)
    if pfn != NOTHING:
        return zone, pfn, migratetype, mode
    zone, pfn, came_from = _cma_or_fallback_largest(rules, zone, order, migratetype)
    if pfn != NOTHING:
        return zone, pfn, came_from, mode
    zone, pfn = rmqueue_smallest(rules, zone, order, RESERVE)
    return zone, pfn, RESERVE, mode


def _cma_or_fallback_largest(rules: Rules, zone: Zone, order: int, migratetype: int) -> tuple[Zone, int, int]:
    at = rules.max_order
    while at >= order:
        if rules.cma and migratetype == MOVABLE:
            pfn = list_head(zone, at, CMA)
            if pfn != NOTHING:
                zone = take_block(rules, zone, pfn, at, order, CMA)
                return trace_extfrag(zone, pfn, order, at, migratetype, CMA), pfn, CMA
        if find_fallback(zone, at, migratetype) != NOTHING:
            zone, pfn = fallback_from_largest(rules, zone, order, migratetype, True)
            return zone, pfn, migratetype
        at -= 1
    return zone, NOTHING, migratetype


@behaviour(
    "alloc.take",
    since="4.1",
    until="4.3",
    features=("F016", "F038"),
    source="mm/page_alloc.c:__rmqueue, __rmqueue_fallback, steal_suitable_fallback; 4.2",
)
def take_cma_then_largest_reserve(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int, mode: int
) -> tuple[Zone, int, int, int]:
    """Own type, CMA for MOVABLE, largest block of a fallback type, RESERVE."""
    zone, pfn, came_from, mode = take_cma_then_largest(rules, zone, order, migratetype, flags, mode)
    if pfn != NOTHING:
        return zone, pfn, came_from, mode
    zone, pfn = rmqueue_smallest(rules, zone, order, RESERVE)
    return zone, pfn, RESERVE, mode


@behaviour(
    "alloc.take",
    since="4.4",
    until="4.11",
    features=("F016", "F038"),
    source="mm/page_alloc.c:__rmqueue, __rmqueue_fallback, steal_suitable_fallback; 4.4, 4.10",
)
def take_cma_then_largest(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int, mode: int
) -> tuple[Zone, int, int, int]:
    """Own type, CMA for MOVABLE, largest block of a fallback type.

    CMA is decided by the request's type, not by ALLOC_CMA, up to 5.7.
    """
    zone, pfn = rmqueue_smallest(rules, zone, order, migratetype)
    if pfn != NOTHING:
        return zone, pfn, migratetype, mode
    if migratetype == MOVABLE:
        zone, pfn = take_cma(rules, zone, order, ALLOC_CMA)
        if pfn != NOTHING:
            return zone, pfn, CMA, mode
    zone, pfn = fallback_from_largest(rules, zone, order, migratetype, True)
    return zone, pfn, migratetype, mode
