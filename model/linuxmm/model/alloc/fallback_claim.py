"""Placement policies since 6.10: claim a whole pageblock, or take one block and leave its type alone.

Lists and pageblocks always agree: a free block stands on the list of its pageblock's type.

Linux: mm/page_alloc.c:__rmqueue_claim, __rmqueue_steal.  Seed 2.1.1.2, 2.1.1.5, 2.2.2 (F016, F018, F029,
F030, F038).  6.10 to 6.12.
"""

from typing import Final

from linuxmm.model.alloc.buddy import retag_range, rmqueue_smallest, take_block
from linuxmm.model.alloc.fallback_steal import fallback_block
from linuxmm.model.alloc.freelist import (
    CMA,
    HIGHATOMIC,
    NOTHING,
    Zone,
    list_head,
    pageblock_type,
    trace_extfrag,
)
from linuxmm.model.alloc.movement import (
    RMQUEUE_NORMAL,
    boost_watermark,
    claim_block,
    count_block,
    find_fallback,
    smallest_order_to_search,
    take_balancing_cma,
    take_cma,
    whole_block_in_zone,
)
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.gfp import ALLOC_NOFRAGMENT
from linuxmm.spec.alloc.migratetype import enough_to_retag
from linuxmm.spec.kernel import behaviour

RMQUEUE_CMA: Final = 1
RMQUEUE_CLAIM: Final = 2
RMQUEUE_STEAL: Final = 3


# ---- 6.10, 6.11 and early 6.12.y: lists and pageblocks always agree ----------------------------------------


def try_to_claim_block(
    rules: Rules, zone: Zone, pfn: int, at: int, order: int, migratetype: int, flags: int
) -> tuple[Zone, int]:
    """Take a whole pageblock over, if it is free or compatible enough, and the request from it.

    Refuses   NOTHING for a HIGHATOMIC pageblock, one cut by the zone's end, one with too much else in it
    Source    mm/page_alloc.c:try_to_steal_block; 6.12.y after the backport
    """
    block_type = pageblock_type(zone, pfn)
    if block_type == HIGHATOMIC:
        return zone, NOTHING
    if at >= rules.pageblock_order:
        zone = retag_range(rules, zone, pfn, at, migratetype)
        return take_block(rules, zone, pfn, at, order, migratetype), pfn
    zone = boost_watermark(rules, zone, flags)
    if not whole_block_in_zone(rules, zone, pfn):
        return zone, NOTHING
    block = 1 << rules.pageblock_order
    start = pfn & ~(block - 1)
    free, movable = count_block(zone, start, start + block)
    alike = rules.alike_pages(migratetype, block_type, block, free, movable)
    if not enough_to_retag(free, alike, block, rules.grouping_disabled):
        return zone, NOTHING
    zone = claim_block(rules, zone, pfn, migratetype)
    return rmqueue_smallest(rules, zone, order, migratetype)


@behaviour(
    "alloc.take",
    since="6.10",
    until="6.12",
    replaced_in=("6.12.117",),
    features=("F016", "F018", "F029", "F030", "F038"),
    source="mm/page_alloc.c:__rmqueue_fallback, steal_suitable_fallback; 6.10, 6.12.0",
)
def take_claiming_or_single(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int, mode: int
) -> tuple[Zone, int, int, int]:
    """CMA balance, own type, CMA, claim the pageblock or take a single block that keeps its type."""
    zone, pfn = take_balancing_cma(rules, zone, order, flags)
    if pfn != NOTHING:
        return zone, pfn, CMA, mode
    zone, pfn = rmqueue_smallest(rules, zone, order, migratetype)
    if pfn != NOTHING:
        return zone, pfn, migratetype, mode
    zone, pfn = take_cma(rules, zone, order, flags)
    if pfn != NOTHING:
        return zone, pfn, CMA, mode
    least = smallest_order_to_search(rules, order, flags)
    at, other, claims = fallback_block(rules, zone, order, migratetype, least)
    if at == NOTHING:
        return zone, NOTHING, migratetype, mode
    head = list_head(zone, at, other)
    if claims:
        zone, pfn = try_to_claim_block(rules, zone, head, at, order, migratetype, flags)
    elif at < rules.pageblock_order:
        zone = boost_watermark(rules, zone, flags)
    if pfn == NOTHING:
        pfn = head
        other = pageblock_type(zone, head)
        zone = take_block(rules, zone, head, at, order, other)
    zone = trace_extfrag(zone, pfn, order, at, migratetype, other)
    return zone, pfn, migratetype, mode


# ---- 6.12.y since the backport of the 6.15 rework ----------------------------------------------------------


def claim_fallback(rules: Rules, zone: Zone, order: int, migratetype: int, flags: int) -> tuple[Zone, int]:
    """Claim a whole pageblock of a fallback type, the largest free block first.

    Source    mm/page_alloc.c:__rmqueue_claim; 6.12.117
    """
    least = smallest_order_to_search(rules, order, flags)
    at = rules.max_order
    while at >= least:
        other = find_fallback(zone, at, migratetype)
        if other != NOTHING:
            if not rules.claims_block(at, migratetype, rules.pageblock_order, rules.grouping_disabled):
                return zone, NOTHING
            head = list_head(zone, at, other)
            zone, pfn = try_to_claim_block(rules, zone, head, at, order, migratetype, flags)
            if pfn != NOTHING:
                return trace_extfrag(zone, pfn, order, at, migratetype, other), pfn
        at -= 1
    return zone, NOTHING


def steal_smallest(rules: Rules, zone: Zone, order: int, migratetype: int) -> tuple[Zone, int]:
    """Take the smallest block of a fallback type; its pageblock and the leftovers keep their type.

    Source    mm/page_alloc.c:__rmqueue_steal; 6.12.117
    """
    at = order
    while at <= rules.max_order:
        other = find_fallback(zone, at, migratetype)
        if other != NOTHING:
            pfn = list_head(zone, at, other)
            zone = take_block(rules, zone, pfn, at, order, other)
            return trace_extfrag(zone, pfn, order, at, migratetype, other), pfn
        at += 1
    return zone, NOTHING


@behaviour(
    "alloc.take",
    since="6.13",
    backports=("6.12.117",),
    features=("F016", "F018", "F029", "F030", "F038"),
    source="mm/page_alloc.c:__rmqueue, __rmqueue_claim, __rmqueue_steal; 6.12.117",
)
def take_claim_then_steal(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int, mode: int
) -> tuple[Zone, int, int, int]:
    """CMA balance; then own type, CMA, claim, steal, beginning where the batch's last block was found."""
    zone, pfn = take_balancing_cma(rules, zone, order, flags)
    if pfn != NOTHING:
        return zone, pfn, CMA, mode
    if mode <= RMQUEUE_NORMAL:
        zone, pfn = rmqueue_smallest(rules, zone, order, migratetype)
        if pfn != NOTHING:
            return zone, pfn, migratetype, mode
    if mode <= RMQUEUE_CMA:
        zone, pfn = take_cma(rules, zone, order, flags)
        if pfn != NOTHING:
            return zone, pfn, CMA, RMQUEUE_CMA
    if mode <= RMQUEUE_CLAIM:
        zone, pfn = claim_fallback(rules, zone, order, migratetype, flags)
        if pfn != NOTHING:
            return zone, pfn, migratetype, RMQUEUE_NORMAL
    if not flags & ALLOC_NOFRAGMENT:
        zone, pfn = steal_smallest(rules, zone, order, migratetype)
        if pfn != NOTHING:
            return zone, pfn, migratetype, RMQUEUE_STEAL
    return zone, NOTHING, migratetype, mode
