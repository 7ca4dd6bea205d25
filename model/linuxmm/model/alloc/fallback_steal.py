"""Placement policies from 4.12 to 6.9: move the chosen memory to the own lists, then take the request there.

Linux: mm/page_alloc.c:__rmqueue_fallback, steal_suitable_fallback.  Seed 2.1.1.2, 2.1.1.5, 2.2.2 (F016, F018,
F029, F030, F038).  4.12 to 6.9.
"""

from linuxmm.model.alloc.buddy import retag_range, rmqueue_smallest
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
    boost_watermark,
    find_fallback,
    move_freepages_block,
    smallest_order_to_search,
    take_balancing_cma,
    take_cma,
    take_own_or_cma,
)
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.gfp import ALLOC_CMA, ALLOC_NOFRAGMENT
from linuxmm.spec.alloc.migratetype import enough_to_retag
from linuxmm.spec.kernel import behaviour

# ---- 4.12 to 6.9: steal, then take from the own list -------------------------------------------------------


def fallback_block(
    rules: Rules, zone: Zone, order: int, migratetype: int, least: int
) -> tuple[int, int, bool]:
    """(order, type, may claim) of the block to fall back to; order NOTHING when there is none.

    The largest block, unless a MOVABLE request could not claim it: then the smallest that suffices.
    least: the smallest order to search
    Source    mm/page_alloc.c:__rmqueue_fallback; 4.13 to 6.12.0
    """
    at = rules.max_order
    while at >= least:
        other = find_fallback(zone, at, migratetype)
        if other != NOTHING:
            claims = rules.claims_block(at, migratetype, rules.pageblock_order, rules.grouping_disabled)
            if claims or migratetype != MOVABLE or at <= order:
                return at, other, claims
            return _smallest_fallback(rules, zone, order, migratetype)
        at -= 1
    return NOTHING, NOTHING, False


def _smallest_fallback(rules: Rules, zone: Zone, order: int, migratetype: int) -> tuple[int, int, bool]:
    at = order
    while at <= rules.max_order:
        other = find_fallback(zone, at, migratetype)
        if other != NOTHING:
            return (
                at,
                other,
                rules.claims_block(at, migratetype, rules.pageblock_order, rules.grouping_disabled),
            )
        at += 1
    return NOTHING, NOTHING, False


def steal_suitable_fallback(
    rules: Rules, zone: Zone, pfn: int, order: int, migratetype: int, flags: int, whole_block: bool
) -> Zone:
    """Move the chosen block, or all free pages of its pageblock, to the requester's lists.

    Source    mm/page_alloc.c:steal_suitable_fallback; 4.12 to 6.9
    """
    block_type = pageblock_type(zone, pfn)
    if block_type == HIGHATOMIC:
        return rules.place_moved(zone, pfn, order, migratetype)
    if order >= rules.pageblock_order:
        zone = retag_range(rules, zone, pfn, order, migratetype)
        return rules.place_moved(zone, pfn, order, migratetype)
    zone = boost_watermark(rules, zone, flags)
    if not whole_block:
        return rules.place_moved(zone, pfn, order, migratetype)
    zone, moved, movable = move_freepages_block(rules, zone, pfn, migratetype)
    if moved == 0:
        return rules.place_moved(zone, pfn, order, migratetype)
    block = 1 << rules.pageblock_order
    alike = rules.alike_pages(migratetype, block_type, block, moved, movable)
    if enough_to_retag(moved, alike, block, rules.grouping_disabled):
        zone = set_pageblock_type(zone, pfn, migratetype)
    return zone


def steal_once(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int, least: int
) -> tuple[Zone, bool, int]:
    """Steal from a fallback type and take the request from its own lists; (zone, stolen, pfn)."""
    at, other, claims = fallback_block(rules, zone, order, migratetype, least)
    if at == NOTHING:
        return zone, False, NOTHING
    pfn = list_head(zone, at, other)
    zone = steal_suitable_fallback(rules, zone, pfn, at, migratetype, flags, claims)
    zone = trace_extfrag(zone, pfn, order, at, migratetype, other)
    zone, pfn = rmqueue_smallest(rules, zone, order, migratetype)
    return zone, True, pfn


@behaviour(
    "alloc.steal",
    since="6.1",
    features=("F016", "F029", "F038"),
    source="mm/page_alloc.c:__rmqueue_fallback; 6.1 to 6.8",
)
@behaviour(
    "alloc.steal",
    since="2.4.0",
    until="5.1",
    features=("F016", "F038"),
    source="mm/page_alloc.c:__rmqueue_fallback; 4.13 to 5.0, where the flag is never set",
)
def steal_and_retry(rules: Rules, zone: Zone, order: int, migratetype: int, flags: int) -> tuple[Zone, int]:
    """ALLOC_NOFRAGMENT narrows requests below a pageblock."""
    least = smallest_order_to_search(rules, order, flags)
    zone, _, pfn = steal_once(rules, zone, order, migratetype, flags, least)
    return zone, pfn


@behaviour(
    "alloc.steal",
    since="5.2",
    until="6.0",
    features=("F016", "F029", "F038"),
    source="mm/page_alloc.c:__rmqueue, __rmqueue_fallback; 5.2 to 6.0, 5.15.135",
)
def steal_whole_pageblocks(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int
) -> tuple[Zone, int]:
    """ALLOC_NOFRAGMENT has larger requests steal pageblocks too, until these form a block or run out."""
    least = rules.pageblock_order if flags & ALLOC_NOFRAGMENT else order
    zone, stolen, pfn = steal_once(rules, zone, order, migratetype, flags, least)
    while stolen and pfn == NOTHING:
        zone, stolen, pfn = steal_once(rules, zone, order, migratetype, flags, least)
    return zone, pfn


@behaviour(
    "alloc.take",
    since="4.12",
    until="4.12",
    features=("F016", "F038"),
    source="mm/page_alloc.c:__rmqueue, __rmqueue_fallback; 4.12",
)
def take_stealing_largest(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int, mode: int
) -> tuple[Zone, int, int, int]:
    """Own type, CMA for MOVABLE, steal from the largest block."""
    zone, pfn, came_from = take_own_or_cma(rules, zone, order, migratetype)
    if pfn != NOTHING:
        return zone, pfn, came_from, mode
    at = rules.max_order
    while at >= order and pfn == NOTHING:
        other = find_fallback(zone, at, migratetype)
        if other != NOTHING:
            head = list_head(zone, at, other)
            claims = rules.claims_block(at, migratetype, rules.pageblock_order, rules.grouping_disabled)
            zone = steal_suitable_fallback(rules, zone, head, at, migratetype, 0, claims)
            zone = trace_extfrag(zone, head, order, at, migratetype, other)
            zone, pfn = rmqueue_smallest(rules, zone, order, migratetype)
        at -= 1
    return zone, pfn, migratetype, mode


@behaviour(
    "alloc.take",
    since="4.13",
    until="5.7",
    features=("F016", "F018", "F029", "F030", "F038"),
    source="mm/page_alloc.c:__rmqueue, __rmqueue_fallback; 4.13 to 5.7",
)
def take_stealing(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int, mode: int
) -> tuple[Zone, int, int, int]:
    """Own type, CMA for MOVABLE, steal."""
    zone, pfn = rmqueue_smallest(rules, zone, order, migratetype)
    if pfn != NOTHING:
        return zone, pfn, migratetype, mode
    if migratetype == MOVABLE:
        zone, pfn = take_cma(rules, zone, order, ALLOC_CMA)
        if pfn != NOTHING:
            return zone, pfn, CMA, mode
    zone, pfn = rules.steal(rules, zone, order, migratetype, flags)
    return zone, pfn, migratetype, mode


@behaviour(
    "alloc.take",
    since="5.8",
    until="6.9",
    features=("F016", "F018", "F029", "F030", "F038"),
    source="mm/page_alloc.c:__rmqueue, __rmqueue_fallback; 5.8 to 6.8",
)
def take_balancing_then_stealing(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int, mode: int
) -> tuple[Zone, int, int, int]:
    """CMA when it holds over half of the free pages, own type, CMA, steal."""
    zone, pfn = take_balancing_cma(rules, zone, order, flags)
    if pfn != NOTHING:
        return zone, pfn, CMA, mode
    zone, pfn = rmqueue_smallest(rules, zone, order, migratetype)
    if pfn != NOTHING:
        return zone, pfn, migratetype, mode
    zone, pfn = take_cma(rules, zone, order, flags)
    if pfn != NOTHING:
        return zone, pfn, CMA, mode
    zone, pfn = rules.steal(rules, zone, order, migratetype, flags)
    return zone, pfn, migratetype, mode
