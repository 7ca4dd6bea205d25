"""Free pages that change lists: moving a pageblock, claiming it, finding where to fall back to.

The steps that the generations of the placement policy share.

Linux: mm/page_alloc.c:move_freepages, find_suitable_fallback, boost_watermark.  Seed 2.1.1.2, 2.1.1.5, 2.2.2
(F016, F018, F030, F038).  2.6.24 to 6.12.
"""

from typing import Final

from linuxmm.model.alloc.buddy import rmqueue_smallest
from linuxmm.model.alloc.freelist import (
    CMA,
    NOTHING,
    Zone,
    account,
    add_head,
    add_tail,
    boost_factor_of,
    boost_of,
    free_list_of,
    free_order,
    list_head,
    managed_pages,
    movable_in_use,
    nr_free_cma,
    nr_free_pages,
    remove,
    set_boost,
    set_boosted_watermark,
    set_pageblock_type,
    spans,
    watermark_of,
)
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.gfp import ALLOC_CMA, ALLOC_KSWAPD, ALLOC_NOFRAGMENT
from linuxmm.spec.alloc.migratetype import fallback_type
from linuxmm.spec.alloc.watermark import boosted, may_boost
from linuxmm.spec.kernel import behaviour

UNMOVABLE: Final = 0
MOVABLE: Final = 1
RESERVE: Final = 6

RMQUEUE_NORMAL: Final = 0
"""The mode in which a batch begins."""


# ---- moving the free pages of a pageblock ------------------------------------------------------------------


@behaviour(
    "alloc.place-moved",
    since="2.6.24",
    until="5.9",
    features=("F016",),
    source="mm/page_alloc.c:move_freepages; 2.6.24 to 5.9",
)
def move_to_head(zone: Zone, pfn: int, order: int, migratetype: int) -> Zone:
    """A free block that changes its list goes to the head."""
    return add_head(remove(zone, pfn, order), pfn, order, migratetype)


@behaviour(
    "alloc.place-moved",
    since="5.10",
    until="6.9",
    features=("F016",),
    source="mm/page_alloc.c:move_to_free_list; 5.10 to 6.8",
)
def move_to_tail(zone: Zone, pfn: int, order: int, migratetype: int) -> Zone:
    """A free block that changes its list goes to the tail."""
    return add_tail(remove(zone, pfn, order), pfn, order, migratetype)


@behaviour(
    "alloc.place-moved",
    since="6.10",
    features=("F016",),
    source="mm/page_alloc.c:move_to_free_list; 6.10 to 6.12",
)
def move_to_tail_counted(zone: Zone, pfn: int, order: int, migratetype: int) -> Zone:
    """A free block that changes its list goes to the tail, and the counters of both types follow."""
    was = free_list_of(zone, pfn)
    zone = add_tail(remove(zone, pfn, order), pfn, order, migratetype)
    zone = account(zone, -(1 << order), was)
    return account(zone, 1 << order, migratetype)


def move_freepages(rules: Rules, zone: Zone, start: int, end: int, migratetype: int) -> tuple[Zone, int]:
    """Move every free block that starts in start..end-1 to the lists of `migratetype`; the pages moved.

    Source    mm/page_alloc.c:move_freepages; 2.6.24 to 6.12
    """
    moved = 0
    pfn = start
    while pfn < end:
        order = free_order(zone, pfn)
        if order == NOTHING:
            pfn += 1
        else:
            zone = rules.place_moved(zone, pfn, order, migratetype)
            moved += 1 << order
            pfn += 1 << order
    return zone, moved


def count_block(zone: Zone, start: int, end: int) -> tuple[int, int]:
    """(free pages, movable pages in use) between two pfns.

    Source    mm/page_alloc.c:prep_move_freepages_block (move_freepages up to 6.9)
    """
    free = 0
    movable = 0
    pfn = start
    while pfn < end:
        order = free_order(zone, pfn)
        if order == NOTHING:
            movable += movable_in_use(zone, pfn)
            pfn += 1
        else:
            free += 1 << order
            pfn += 1 << order
    return free, movable


def move_freepages_block(rules: Rules, zone: Zone, pfn: int, migratetype: int) -> tuple[Zone, int, int]:
    """Move the free pages of the pageblock that holds pfn; (zone, pages moved, movable pages in use).

    A pageblock cut by the start of the zone is moved from pfn on; one cut by the end is not moved.
    Source    mm/page_alloc.c:move_freepages_block; 2.6.24 to 6.9
    """
    start = pfn & ~((1 << rules.pageblock_order) - 1)
    end = start + (1 << rules.pageblock_order)
    if not spans(zone, start):
        start = pfn
    if not spans(zone, end - 1):
        return zone, 0, 0
    movable = count_block(zone, start, end)[1]
    zone, moved = move_freepages(rules, zone, start, end, migratetype)
    return zone, moved, movable


def whole_block_in_zone(rules: Rules, zone: Zone, pfn: int) -> bool:
    """Whether the pageblock that holds pfn lies wholly in the zone; since 6.10 others are left alone.

    Source    mm/page_alloc.c:prep_move_freepages_block; 6.10 to 6.12
    """
    start = pfn & ~((1 << rules.pageblock_order) - 1)
    return spans(zone, start) and spans(zone, start + (1 << rules.pageblock_order) - 1)


def claim_block(rules: Rules, zone: Zone, pfn: int, migratetype: int) -> Zone:
    """Move the free pages of a whole pageblock and give it the type.

    Source    mm/page_alloc.c:__move_freepages_block; 6.10 to 6.12
    """
    start = pfn & ~((1 << rules.pageblock_order) - 1)
    zone = move_freepages(rules, zone, start, start + (1 << rules.pageblock_order), migratetype)[0]
    return set_pageblock_type(zone, pfn, migratetype)


# ---- common steps ------------------------------------------------------------------------------------------


def find_fallback(zone: Zone, order: int, migratetype: int) -> int:
    """The first fallback type with a free block of exactly this order, or NOTHING.

    Source    mm/page_alloc.c:find_suitable_fallback
    """
    attempt = 0
    while attempt < 2:
        other = fallback_type(migratetype, attempt)
        if other != NOTHING and list_head(zone, order, other) != NOTHING:
            return other
        attempt += 1
    return NOTHING


def take_cma(rules: Rules, zone: Zone, order: int, flags: int) -> tuple[Zone, int]:
    """A block from the CMA lists, where the request may use them.

    Source    mm/page_alloc.c:__rmqueue_cma_fallback; 4.1 to 6.12
    """
    if not rules.cma or not flags & ALLOC_CMA:
        return zone, NOTHING
    return rmqueue_smallest(rules, zone, order, CMA)


def take_own_or_cma(rules: Rules, zone: Zone, order: int, migratetype: int) -> tuple[Zone, int, int]:
    """Take a block of the type asked for, or for MOVABLE of a CMA area; the type of its list comes last.

    Refuses   NOTHING when neither has one
    Source    mm/page_alloc.c:__rmqueue; 4.4 to 4.12
    """
    zone, pfn = rmqueue_smallest(rules, zone, order, migratetype)
    if pfn != NOTHING or migratetype != MOVABLE:
        return zone, pfn, migratetype
    zone, pfn = take_cma(rules, zone, order, ALLOC_CMA)
    return zone, pfn, CMA


def take_balancing_cma(rules: Rules, zone: Zone, order: int, flags: int) -> tuple[Zone, int]:
    """A block from CMA because over half of the zone's free memory is there.

    Source    mm/page_alloc.c:__rmqueue; 5.8 to 6.12
    """
    if not rules.cma or not flags & ALLOC_CMA or nr_free_cma(zone) <= nr_free_pages(zone) // 2:
        return zone, NOTHING
    return rmqueue_smallest(rules, zone, order, CMA)


def boost_watermark(rules: Rules, zone: Zone, flags: int) -> Zone:
    """Raise the zone's watermarks after a fallback that mixes types, and have kswapd woken.

    Source    mm/page_alloc.c:boost_watermark; 5.0 to 6.12
    """
    high = watermark_of(zone, 2)
    managed = managed_pages(zone)
    block = 1 << rules.pageblock_order
    factor = boost_factor_of(zone)
    small_too = rules.small_zones_boost()
    boosts = may_boost(high, managed, block, factor, small_too)
    if boosts:
        zone = set_boost(zone, boosted(boost_of(zone), high, managed, block, factor, small_too))
    if (boosts or rules.refused_boost_wakes()) and flags & ALLOC_KSWAPD:
        zone = set_boosted_watermark(zone, True)
    return zone


@behaviour(
    "alloc.small-zones-boost",
    since="2.4.0",
    until="5.6",
    features=("F018", "F030"),
    source="mm/page_alloc.c:boost_watermark; 5.0, 5.2, 5.4",
)
def small_zones_boosted() -> bool:
    """Zones below four pageblocks are boosted too."""
    return True


@behaviour(
    "alloc.small-zones-boost",
    since="5.7",
    features=("F018", "F019", "F030"),
    source="mm/page_alloc.c:boost_watermark; 5.7 to 6.12",
)
def small_zones_spared() -> bool:
    """Zones below four pageblocks are not boosted."""
    return False


@behaviour(
    "alloc.refused-boost",
    since="2.4.0",
    until="5.9",
    features=("F018", "F030"),
    source="mm/page_alloc.c:steal_suitable_fallback; 5.0, 5.2, 5.4, 5.7 to 5.9",
)
def refused_boost_wakes() -> bool:
    """kswapd is woken even if the boost was refused."""
    return True


@behaviour(
    "alloc.refused-boost",
    since="5.10",
    features=("F018", "F019", "F030"),
    source="mm/page_alloc.c:steal_suitable_fallback; 5.10.7, 5.14 to 6.12 (5.10.0 may still wake)",
)
def refused_boost_is_silent() -> bool:
    """kswapd is woken only for a boost."""
    return False


def smallest_order_to_search(rules: Rules, order: int, flags: int) -> int:
    """The smallest block that a fallback may take: a whole pageblock under ALLOC_NOFRAGMENT.

    Source    mm/page_alloc.c:__rmqueue_fallback; 5.0 to 6.12
    """
    if order < rules.pageblock_order and flags & ALLOC_NOFRAGMENT:
        return rules.pageblock_order
    return order
