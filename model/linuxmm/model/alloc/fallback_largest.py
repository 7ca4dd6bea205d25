"""Placement policies up to 4.11: the largest block of a fallback type, and what it takes along.

A policy `take_*` answers with the block, the type of the list that it came from, and the mode (unused here).

Linux: mm/page_alloc.c:__rmqueue, __rmqueue_fallback.  Seed 2.1.1.2, 2.2.2 (F016, F038).  2.4 to 4.11.
"""

from typing import Final

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
    take_own_or_cma,
)
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.migratetype import enough_to_retag
from linuxmm.spec.kernel import behaviour

# ---- up to 2.6.23: one type --------------------------------------------------------------------------------


@behaviour(
    "alloc.take",
    since="2.6.0",
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


# ---- 2.6.24 to 4.11 ----------------------------------------------------------------------------------------

KEPT: Final = 0
"""The rest of a block stays with its type, unless the policy claims the pageblock."""
KEPT_UNLESS_RETAGGED: Final = 1
"""The rest of a block stays with its type, unless its pageblock changes type."""
TAKEN: Final = 2
"""The rest of a block goes to the lists of the requester's type."""


def _claim(
    rules: Rules, zone: Zone, pfn: int, order: int, migratetype: int, first_only: bool
) -> tuple[Zone, bool]:
    """Take over the pageblock of a free block; (zone, whether its type changed)."""
    if order >= rules.pageblock_order:
        if first_only:
            return set_pageblock_type(zone, pfn, migratetype), True
        return retag_range(rules, zone, pfn, order, migratetype), True
    zone, moved, movable = move_freepages_block(rules, zone, pfn, migratetype)
    block = 1 << rules.pageblock_order
    alike = rules.alike_pages(migratetype, pageblock_type(zone, pfn), block, moved, movable)
    if not enough_to_retag(moved, alike, block, rules.grouping_disabled):
        return zone, False
    return set_pageblock_type(zone, pfn, migratetype), True


def fallback_from_largest(
    rules: Rules,
    zone: Zone,
    order: int,
    migratetype: int,
    leftovers: int,
    first_only: bool,
    spares_highatomic: bool,
) -> tuple[Zone, int, int]:
    """Take the largest block of a fallback type, with its pageblock's free pages where the policy claims it.

    leftovers          where the rest of the block goes: KEPT, KEPT_UNLESS_RETAGGED or TAKEN
    first_only         a block larger than a pageblock changes the type of its first pageblock only
    spares_highatomic  a HIGHATOMIC pageblock is not claimed
    Ensures   (zone, pfn, type of the lists that the rest of the block went to)
    Source    mm/page_alloc.c:__rmqueue_fallback; 2.6.24 to 4.11
    """
    at = rules.max_order
    while at >= order:
        other = find_fallback(zone, at, migratetype)
        if other != NOTHING:
            pfn = list_head(zone, at, other)
            rest = migratetype if leftovers == TAKEN else other
            claims = rules.claims_block(at, migratetype, rules.pageblock_order, rules.grouping_disabled)
            if claims and not (spares_highatomic and pageblock_type(zone, pfn) == HIGHATOMIC):
                zone, retagged = _claim(rules, zone, pfn, at, migratetype, first_only)
                if retagged or leftovers == KEPT:
                    rest = migratetype
            zone = take_block(rules, zone, pfn, at, order, rest)
            return trace_extfrag(zone, pfn, order, at, migratetype, other), pfn, rest
        at -= 1
    return zone, NOTHING, migratetype


def _take_with_reserve(
    rules: Rules, zone: Zone, order: int, migratetype: int, mode: int, first_only: bool
) -> tuple[Zone, int, int, int]:
    zone, pfn = rmqueue_smallest(rules, zone, order, migratetype)
    if pfn != NOTHING:
        return zone, pfn, migratetype, mode
    zone, pfn, _ = fallback_from_largest(rules, zone, order, migratetype, KEPT, first_only, False)
    if pfn != NOTHING:
        return zone, pfn, migratetype, mode
    zone, pfn = rmqueue_smallest(rules, zone, order, RESERVE)
    return zone, pfn, migratetype, mode


@behaviour(
    "alloc.take",
    since="2.6.24",
    until="2.6.31",
    features=("F016", "F038"),
    source="mm/page_alloc.c:__rmqueue_fallback, __rmqueue; 2.6.24, 2.6.28, 2.6.31",
)
def take_with_reserve_first_pageblock(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int, mode: int
) -> tuple[Zone, int, int, int]:
    """Own type, largest block of a fallback type, RESERVE; the block counts as of the requested type."""
    return _take_with_reserve(rules, zone, order, migratetype, mode, True)


@behaviour(
    "alloc.take",
    since="2.6.32",
    until="3.4",
    features=("F016", "F038"),
    source="mm/page_alloc.c:__rmqueue_fallback, __rmqueue; 2.6.32 to 3.4",
)
def take_with_reserve(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int, mode: int
) -> tuple[Zone, int, int, int]:
    """As before; every pageblock of a block changes its type."""
    return _take_with_reserve(rules, zone, order, migratetype, mode, False)


def _take_cma_in_turn(
    rules: Rules, zone: Zone, order: int, migratetype: int, mode: int, leftovers: int, notes_list: bool
) -> tuple[Zone, int, int, int]:
    """Own type, CMA for MOVABLE, largest block of a fallback type, RESERVE.

    CMA is the first entry of MOVABLE's fallback list and so is sought from the largest order.
    notes_list: the block counts as of the list that the rest of it went to, not as of the requested type
    """
    zone, pfn = rmqueue_smallest(rules, zone, order, migratetype)
    if pfn != NOTHING:
        return zone, pfn, migratetype, mode
    zone, pfn, came_from = _cma_or_fallback_largest(rules, zone, order, migratetype, leftovers)
    if pfn != NOTHING:
        return zone, pfn, came_from if notes_list or came_from == CMA else migratetype, mode
    zone, pfn = rmqueue_smallest(rules, zone, order, RESERVE)
    return zone, pfn, RESERVE if notes_list else migratetype, mode


def _cma_or_fallback_largest(
    rules: Rules, zone: Zone, order: int, migratetype: int, leftovers: int
) -> tuple[Zone, int, int]:
    at = rules.max_order
    while at >= order:
        if rules.cma and migratetype == MOVABLE:
            pfn = list_head(zone, at, CMA)
            if pfn != NOTHING:
                zone = take_block(rules, zone, pfn, at, order, CMA)
                return trace_extfrag(zone, pfn, order, at, migratetype, CMA), pfn, CMA
        if find_fallback(zone, at, migratetype) != NOTHING:
            return fallback_from_largest(rules, zone, order, migratetype, leftovers, False, False)
        at -= 1
    return zone, NOTHING, migratetype


@behaviour(
    "alloc.take",
    since="3.5",
    until="3.12",
    features=("F016", "F038"),
    source="mm/page_alloc.c:__rmqueue_fallback, __rmqueue; 3.5 to 3.12",
)
def take_cma_before_fallback(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int, mode: int
) -> tuple[Zone, int, int, int]:
    """Own type, CMA for MOVABLE, largest block of a fallback type, RESERVE; the rest changes its type."""
    return _take_cma_in_turn(rules, zone, order, migratetype, mode, TAKEN, False)


@behaviour(
    "alloc.take",
    since="3.13",
    until="3.15",
    features=("F016", "F038"),
    source="mm/page_alloc.c:__rmqueue_fallback, try_to_steal_freepages; 3.13 to 3.15",
)
def take_cma_keeping_rest(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int, mode: int
) -> tuple[Zone, int, int, int]:
    """As before; the rest keeps its type unless the pageblock changes its own."""
    return _take_cma_in_turn(rules, zone, order, migratetype, mode, KEPT_UNLESS_RETAGGED, False)


@behaviour(
    "alloc.take",
    since="3.16",
    until="3.19",
    replaced_in=("3.18.30", "3.19.8"),
    features=("F016", "F038"),
    source="mm/page_alloc.c:__rmqueue_fallback; 3.16, 3.17 (3.18.0, 3.19.0 unconfirmed)",
)
def take_cma_noting_list(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int, mode: int
) -> tuple[Zone, int, int, int]:
    """As before; the block counts as of the list that the rest went to, RESERVE included."""
    return _take_cma_in_turn(rules, zone, order, migratetype, mode, KEPT_UNLESS_RETAGGED, True)


@behaviour(
    "alloc.take",
    since="3.18.30",
    until="3.17",
    backports=("3.18.30", "3.19.8"),
    features=("F016", "F038"),
    source="mm/page_alloc.c:__rmqueue_fallback, try_to_steal_freepages; 3.18.30, 3.19.8",
)
def take_cma_claiming_rest(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int, mode: int
) -> tuple[Zone, int, int, int]:
    """As before; the rest of a claimed block changes its type even if the pageblock does not."""
    return _take_cma_in_turn(rules, zone, order, migratetype, mode, KEPT, True)


@behaviour(
    "alloc.take",
    since="4.0",
    until="4.0",
    features=("F016", "F038"),
    source="mm/page_alloc.c:__rmqueue_fallback, try_to_steal_freepages; 4.0",
)
def take_cma_taking_rest(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int, mode: int
) -> tuple[Zone, int, int, int]:
    """As before; the rest always changes its type."""
    return _take_cma_in_turn(rules, zone, order, migratetype, mode, TAKEN, True)


@behaviour(
    "alloc.take",
    since="4.1",
    until="4.3",
    features=("F016", "F038"),
    source="mm/page_alloc.c:__rmqueue, __rmqueue_fallback, steal_suitable_fallback; 4.1, 4.3",
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


def _take_cma_first(
    rules: Rules, zone: Zone, order: int, migratetype: int, mode: int, spares_highatomic: bool
) -> tuple[Zone, int, int, int]:
    zone, pfn, came_from = take_own_or_cma(rules, zone, order, migratetype)
    if pfn != NOTHING:
        return zone, pfn, came_from, mode
    zone, pfn, _ = fallback_from_largest(rules, zone, order, migratetype, TAKEN, False, spares_highatomic)
    return zone, pfn, migratetype, mode


@behaviour(
    "alloc.take",
    since="4.4",
    until="4.9",
    features=("F016", "F038"),
    source="mm/page_alloc.c:__rmqueue, __rmqueue_fallback, steal_suitable_fallback; 4.4 to 4.9",
)
def take_cma_then_largest(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int, mode: int
) -> tuple[Zone, int, int, int]:
    """Own type, CMA for MOVABLE, largest block of a fallback type.

    CMA is decided by the request's type, not by ALLOC_CMA, up to 5.8.
    """
    return _take_cma_first(rules, zone, order, migratetype, mode, False)


@behaviour(
    "alloc.take",
    since="4.10",
    until="4.11",
    features=("F013", "F016", "F038"),
    source="mm/page_alloc.c:__rmqueue, __rmqueue_fallback, steal_suitable_fallback; 4.10, 4.11",
)
def take_cma_then_largest_sparing_reserve(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int, mode: int
) -> tuple[Zone, int, int, int]:
    """As before; a HIGHATOMIC pageblock is not claimed."""
    return _take_cma_first(rules, zone, order, migratetype, mode, True)
