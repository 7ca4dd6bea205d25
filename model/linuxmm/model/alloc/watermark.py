"""The watermark test over the state of a zone, and the reserve for high-order atomic requests.

Linux: mm/page_alloc.c:__zone_watermark_ok, zone_watermark_fast, reserve_highatomic_pageblock.
Seed 2.1.1.3 (F013, F014, F017).  2.4 to 6.12.
"""

from linuxmm.model.alloc.buddy import retag_range
from linuxmm.model.alloc.freelist import (
    CMA,
    HIGHATOMIC,
    NOTHING,
    Zone,
    boost_of,
    free_blocks,
    list_head,
    lowmem_reserve_of,
    managed_pages,
    nr_free_cma,
    nr_free_highatomic,
    nr_free_pages,
    pageblock_type,
    reserved_highatomic,
    set_pageblock_type,
    set_reserved_highatomic,
    watermark_of,
)
from linuxmm.model.alloc.movement import (
    claim_block,
    move_freepages_block,
    whole_block_in_zone,
)
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.buddy import migratetype_is_mergeable
from linuxmm.spec.alloc.gfp import (
    ALLOC_CMA,
    ALLOC_GFP_ATOMIC,
    ALLOC_MIN_RESERVE,
    ALLOC_NON_BLOCK,
    ALLOC_OOM,
    ALLOC_WMARK_MASK,
)
from linuxmm.spec.alloc.watermark import above_mark, halved_mark
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.vocabulary import MIGRATE_PCPTYPES

# ---- the reserve's size, as the test sees it --------------------------------------------------------------


@behaviour(
    "alloc.highatomic-pages",
    since="2.4.0",
    until="6.11",
    features=("F013",),
    source="mm/page_alloc.c:__zone_watermark_unusable_free; 4.4 to 6.11",
)
def highatomic_pages_reserved(zone: Zone) -> int:
    """The reserve counts with all its pages, used or free."""
    return reserved_highatomic(zone)


@behaviour(
    "alloc.highatomic-pages",
    since="6.12",
    features=("F013",),
    source="mm/page_alloc.c:__zone_watermark_unusable_free; 6.12",
)
def highatomic_pages_free(zone: Zone) -> int:
    """The reserve counts with its free pages only."""
    return nr_free_highatomic(zone)


# ---- the test --------------------------------------------------------------------------------------------


@behaviour(
    "alloc.watermark-ok",
    since="3.7",
    until="3.9",
    features=("F013", "F017"),
    source="mm/page_alloc.c:__zone_watermark_ok; 3.7 (3.8, 3.9: until the repair of 3.10-rc6)",
)
def watermark_ok_per_order_without_cma(
    rules: Rules, zone: Zone, order: int, mark: int, class_index: int, flags: int, free: int
) -> bool:
    """As before; CMA pages are also taken out of the test of each order, though its lists hold them."""
    cma = 0 if flags & ALLOC_CMA else nr_free_cma(zone)
    return watermark_ok_per_order(rules, zone, order, mark, class_index, flags | ALLOC_CMA, free - cma)


@behaviour(
    "alloc.watermark-ok",
    since="3.10",
    until="4.3",
    features=("F013", "F017"),
    source="mm/page_alloc.c:__zone_watermark_ok; 3.10.4 to 4.3",
)
@behaviour(
    "alloc.watermark-ok",
    since="2.4.0",
    until="3.6",
    features=("F013", "F017"),
    source="mm/page_alloc.c:zone_watermark_ok; 2.6.11 to 3.5",
)
def watermark_ok_per_order(
    rules: Rules, zone: Zone, order: int, mark: int, class_index: int, flags: int, free: int
) -> bool:
    """Whether enough stays free, also in blocks of each order: half the mark per order up."""
    mark = rules.mark_after_reserves(mark, flags)
    usable = free - rules.unusable_free(order, flags, 0, nr_free_cma(zone))
    if not above_mark(usable, mark, lowmem_reserve_of(zone, class_index)):
        return False
    free -= rules.unusable_free(order, ALLOC_CMA, 0, 0)
    at = 0
    while at < order:
        free -= free_blocks(zone, at) << at
        mark = halved_mark(mark)
        if free <= mark:
            return False
        at += 1
    return True


@behaviour(
    "alloc.watermark-ok",
    since="4.4",
    until="4.14",
    replaced_in=("4.4.155", "4.14.67"),
    features=("F013", "F017"),
    source="mm/page_alloc.c:__zone_watermark_ok; 4.4.0 to 4.13, 4.14.5 (where victims count as HARDER)",
)
def watermark_ok_harder_any_type(
    rules: Rules, zone: Zone, order: int, mark: int, class_index: int, flags: int, free: int
) -> bool:
    """Whether enough stays free, and one block is large enough; of any type at all for HARDER requests."""
    if not watermark_ok_any_block(rules, zone, 0, mark, class_index, flags, free - (1 << order) + 1):
        return False
    if order == 0:
        return True
    at = order
    while at <= rules.max_order:
        if flags & (ALLOC_NON_BLOCK | ALLOC_OOM) and free_blocks(zone, at) > 0:
            return True
        if has_usable_block(rules, zone, at, flags):
            return True
        at += 1
    return False


@behaviour(
    "alloc.watermark-ok",
    since="4.15",
    backports=("4.4.155", "4.14.67"),
    features=("F013", "F017"),
    source="mm/page_alloc.c:__zone_watermark_ok; 4.4.155, 4.14.67, 4.15 to 6.12",
)
def watermark_ok_any_block(
    rules: Rules, zone: Zone, order: int, mark: int, class_index: int, flags: int, free: int
) -> bool:
    """Whether enough stays free, and one block is large enough and of a type that the request may use."""
    mark = rules.mark_after_reserves(mark, flags)
    usable = free - rules.unusable_free(order, flags, rules.highatomic_pages(zone), nr_free_cma(zone))
    if not above_mark(usable, mark, lowmem_reserve_of(zone, class_index)):
        return False
    if order == 0:
        return True
    at = order
    while at <= rules.max_order:
        if has_usable_block(rules, zone, at, flags):
            return True
        at += 1
    return False


def has_usable_block(rules: Rules, zone: Zone, order: int, flags: int) -> bool:
    """Whether a list of exactly this order holds a block that the request may use.

    Source    mm/page_alloc.c:__zone_watermark_ok
    """
    migratetype = 0
    while migratetype < MIGRATE_PCPTYPES:
        if list_head(zone, order, migratetype) != NOTHING:
            return True
        migratetype += 1
    if flags & ALLOC_CMA and list_head(zone, order, CMA) != NOTHING:
        return True
    return rules.counts_highatomic(flags) and list_head(zone, order, HIGHATOMIC) != NOTHING


@behaviour(
    "alloc.watermark-fast",
    since="2.4.0",
    until="4.6",
    features=("F014", "F017"),
    source="mm/page_alloc.c:get_page_from_freelist; 2.6.24 to 4.6",
)
def watermark_fast_is_full(
    rules: Rules, zone: Zone, order: int, mark: int, class_index: int, flags: int
) -> bool:
    """The allocation path runs the whole test."""
    return rules.watermark_ok(rules, zone, order, mark, class_index, flags, nr_free_pages(zone))


@behaviour(
    "alloc.watermark-fast",
    since="4.7",
    until="5.8",
    features=("F014", "F017"),
    source="mm/page_alloc.c:zone_watermark_fast; 4.7 to 5.8",
)
def watermark_fast_ignoring_highatomic(
    rules: Rules, zone: Zone, order: int, mark: int, class_index: int, flags: int
) -> bool:
    """A single page passes if the free pages exceed the mark, the high-order atomic reserve included."""
    free = nr_free_pages(zone)
    if order == 0:
        cma = 0 if flags & ALLOC_CMA else nr_free_cma(zone)
        if above_mark(free - cma, mark, lowmem_reserve_of(zone, class_index)):
            return True
    return rules.watermark_ok(rules, zone, order, mark, class_index, flags, free)


@behaviour(
    "alloc.watermark-fast",
    since="5.9",
    until="6.2",
    features=("F014", "F017", "F018"),
    source="mm/page_alloc.c:zone_watermark_fast; 5.9 to 6.2, 6.1.158, 6.1.192",
)
def watermark_fast_unboosted_for_atomic(
    rules: Rules, zone: Zone, order: int, mark: int, class_index: int, flags: int
) -> bool:
    """A __GFP_ATOMIC request for a single page may ignore a boost of the min watermark."""
    free = nr_free_pages(zone)
    if rules.watermark_ok(rules, zone, order, mark, class_index, flags, free):
        return True
    if order != 0 or boost_of(zone) == 0 or flags & ALLOC_WMARK_MASK != 0 or not flags & ALLOC_GFP_ATOMIC:
        return False
    return rules.watermark_ok(rules, zone, 0, watermark_of(zone, 0), class_index, flags, free)


@behaviour(
    "alloc.watermark-fast",
    since="6.3",
    features=("F014", "F017", "F018"),
    source="mm/page_alloc.c:zone_watermark_fast; 6.3 to 6.12",
)
def watermark_fast_unboosted(
    rules: Rules, zone: Zone, order: int, mark: int, class_index: int, flags: int
) -> bool:
    """A request with ALLOC_MIN_RESERVE for a single page may ignore a boost of the min watermark.

    mark: the watermark with boost.  The kernel's short cut for single pages is left out: it accepts only what
    the whole test accepts (theorem alloc.watermark.fast-agrees).
    """
    free = nr_free_pages(zone)
    if rules.watermark_ok(rules, zone, order, mark, class_index, flags, free):
        return True
    if order != 0 or boost_of(zone) == 0 or flags & ALLOC_WMARK_MASK != 0 or not flags & ALLOC_MIN_RESERVE:
        return False
    return rules.watermark_ok(rules, zone, 0, watermark_of(zone, 0), class_index, flags, free)


def mark_of(zone: Zone, flags: int) -> int:
    """The watermark that a request is tested against, with boost.

    Source    include/linux/mmzone.h:wmark_pages
    """
    return watermark_of(zone, flags & ALLOC_WMARK_MASK) + boost_of(zone)


# ---- the high-order atomic reserve -----------------------------------------------------------------------


@behaviour(
    "alloc.reserve-highatomic",
    since="4.4",
    until="6.9",
    features=("F013",),
    source="mm/page_alloc.c:reserve_highatomic_pageblock; 4.4 to 6.8",
)
def reserve_highatomic_block(rules: Rules, zone: Zone, pfn: int, order: int) -> Zone:
    """Keep the pageblock of a high-order atomic allocation for such allocations."""
    limit = rules.highatomic_limit(managed_pages(zone), 1 << rules.pageblock_order)
    if reserved_highatomic(zone) >= limit or not migratetype_is_mergeable(pageblock_type(zone, pfn)):
        return zone
    zone = set_reserved_highatomic(zone, reserved_highatomic(zone) + (1 << rules.pageblock_order))
    zone = set_pageblock_type(zone, pfn, HIGHATOMIC)
    return move_freepages_block(rules, zone, pfn, HIGHATOMIC)[0]


@behaviour(
    "alloc.reserve-highatomic",
    since="6.10",
    features=("F013",),
    source="mm/page_alloc.c:reserve_highatomic_pageblock; 6.10 to 6.12",
)
def reserve_highatomic_whole(rules: Rules, zone: Zone, pfn: int, order: int) -> Zone:
    """As before, for a pageblock that lies wholly in the zone; larger allocations reserve all of theirs."""
    limit = rules.highatomic_limit(managed_pages(zone), 1 << rules.pageblock_order)
    if reserved_highatomic(zone) >= limit or not migratetype_is_mergeable(pageblock_type(zone, pfn)):
        return zone
    if order >= rules.pageblock_order:
        zone = retag_range(rules, zone, pfn, order, HIGHATOMIC)
        return set_reserved_highatomic(zone, reserved_highatomic(zone) + (1 << order))
    if not whole_block_in_zone(rules, zone, pfn):
        return zone
    zone = claim_block(rules, zone, pfn, HIGHATOMIC)
    return set_reserved_highatomic(zone, reserved_highatomic(zone) + (1 << rules.pageblock_order))
