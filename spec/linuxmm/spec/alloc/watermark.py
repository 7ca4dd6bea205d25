"""Watermarks: how much memory a zone keeps back, and who may go below.

All quantities are pages unless a name ends in _kbytes.

Linux: mm/page_alloc.c.  Seed 2.1.1.3, 2.1.1.5 (F013, F017, F018, F019, F030).
"""

from typing import Final

from linuxmm.spec.alloc.gfp import (
    ALLOC_CMA,
    ALLOC_HIGHATOMIC,
    ALLOC_MIN_RESERVE,
    ALLOC_NON_BLOCK,
    ALLOC_OOM,
    ALLOC_RESERVES,
)
from linuxmm.spec.arith import clamp, int_sqrt, mult_frac
from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.vocabulary import SWAP_CLUSTER_MAX

MIN_FREE_KBYTES_FLOOR: Final = 128


# ---- sizes -----------------------------------------------------------------------------------------------


@behaviour(
    "alloc.min-free-cap",
    since="2.6.0",
    until="5.6",
    features=("F017",),
    source="mm/page_alloc.c:init_per_zone_wmark_min; 2.6.11 to 5.4",
)
def min_free_kbytes_cap_64m() -> int:
    """Upper limit of the computed min_free_kbytes, in kB: 65536."""
    return 65536


@behaviour(
    "alloc.min-free-cap",
    since="5.7",
    features=("F017",),
    source="mm/page_alloc.c:calculate_min_free_kbytes; 5.7 to 6.12",
)
def min_free_kbytes_cap_256m() -> int:
    """Upper limit of the computed min_free_kbytes, in kB: 262144."""
    return 262144


def min_free_kbytes(lowmem_kbytes: int, cap: int) -> int:
    """The reserve that the kernel chooses: 4 * sqrt(lowmem), in kB.

    Ensures   128 <= result <= cap
    Source    mm/page_alloc.c:calculate_min_free_kbytes; 2.6 to 6.12
    """
    return clamp(int_sqrt(lowmem_kbytes * 16), MIN_FREE_KBYTES_FLOOR, cap)


def min_share(pages_min: int, managed: int, lowmem_pages: int) -> int:
    """A zone's proportional share of the reserve.

    Requires  lowmem_pages > 0
    """
    return pages_min * managed // lowmem_pages


def small_zone_min(managed: int) -> int:
    """WMARK_MIN of a zone that kernel allocations do not need: HIGHMEM (since 6.6 also MOVABLE).

    Source    mm/page_alloc.c:__setup_per_zone_wmarks
    """
    return clamp(managed // 1024, SWAP_CLUSTER_MAX, 128)


@behaviour(
    "alloc.watermark-distance",
    since="2.6.0",
    until="2.6.14",
    features=("F017",),
    source="mm/page_alloc.c:setup_per_zone_pages_min; 2.6.11 to 2.6.14",
)
def low_high_quarters_of_min(minimum: int, share: int, managed: int, scale_factor: int) -> tuple[int, int]:
    """(low, high) as 5/4 and 6/4 of min."""
    return minimum * 5 // 4, minimum * 6 // 4


@behaviour(
    "alloc.watermark-distance",
    since="2.6.15",
    until="4.5",
    features=("F017",),
    source="mm/page_alloc.c:setup_per_zone_pages_min, __setup_per_zone_wmarks; 2.6.15 to 4.5",
)
def low_high_quarters_of_share(minimum: int, share: int, managed: int, scale_factor: int) -> tuple[int, int]:
    """(low, high) as min plus a quarter and a half of the zone's share (not of a capped min)."""
    return minimum + (share >> 2), minimum + (share >> 1)


@behaviour(
    "alloc.watermark-distance",
    since="4.6",
    features=("F017",),
    source="mm/page_alloc.c:__setup_per_zone_wmarks; 4.6 to 6.12",
)
def low_high_scaled(minimum: int, share: int, managed: int, scale_factor: int) -> tuple[int, int]:
    """(low, high) as min plus one and two distances: a quarter of the share, or managed * scale / 10000.

    Ensures   min <= low <= high
    """
    distance = max(share >> 2, mult_frac(managed, scale_factor, 10000))
    return minimum + distance, minimum + 2 * distance


def lowmem_reserve(upper_managed: int, managed: int, ratio: int) -> int:
    """Pages of a zone kept back from requests that could use `upper_managed` pages of higher zones.

    Ensures   monotone in upper_managed
    Source    mm/page_alloc.c:setup_per_zone_lowmem_reserve
    """
    if ratio == 0 or managed == 0:
        return 0
    return upper_managed // ratio


def zone_total_reserve(managed: int, largest_lowmem_reserve: int, high: int) -> int:
    """Pages of a zone that user space cannot count on.

    Source    mm/page_alloc.c:calculate_totalreserve_pages; 2.6.17 to 6.12
    """
    return min(managed, largest_lowmem_reserve + high)


# ---- the test --------------------------------------------------------------------------------------------


@behaviour(
    "alloc.watermark-mark",
    since="2.4.0",
    until="6.2",
    replaced_in=("6.1.158",),
    features=("F013", "F017"),
    source="mm/page_alloc.c:__zone_watermark_ok; 2.6.11 to 6.2",
)
def mark_after_reserves_harder(mark: int, alloc_flags: int) -> int:
    """The mark that applies to a request: half for HIGH, then a quarter off for HARDER, half for OOM.

    Ensures   0 <= result <= mark; more flags never raise it
    """
    if alloc_flags & ALLOC_MIN_RESERVE:
        mark -= mark // 2
    if alloc_flags & ALLOC_OOM:
        mark -= mark // 2
    elif alloc_flags & ALLOC_NON_BLOCK:
        mark -= mark // 4
    return mark


@behaviour(
    "alloc.watermark-mark",
    since="6.3",
    backports=("6.1.158",),
    features=("F013", "F017"),
    source="mm/page_alloc.c:__zone_watermark_ok; 6.1.158, 6.3 to 6.12",
)
def mark_after_reserves_min_reserve(mark: int, alloc_flags: int) -> int:
    """The mark that applies: half for MIN_RESERVE, a quarter more off if also NON_BLOCK, half for OOM.

    Ensures   0 <= result <= mark; more flags never raise it
    """
    if alloc_flags & ALLOC_MIN_RESERVE:
        mark -= mark // 2
        if alloc_flags & ALLOC_NON_BLOCK:
            mark -= mark // 4
    if alloc_flags & ALLOC_OOM:
        mark -= mark // 2
    return mark


@behaviour(
    "alloc.watermark-unusable",
    since="2.6.38",
    until="3.2",
    features=("F017",),
    source="mm/page_alloc.c:__zone_watermark_ok; 2.6.38 to 3.2; 3.3 has it no more",
)
def unusable_free_off_by_two(order: int, alloc_flags: int, highatomic: int, free_cma: int) -> int:
    """Free pages that a request cannot count on: its own size and one more, two too many."""
    return (1 << order) + 1


@behaviour(
    "alloc.watermark-unusable",
    since="3.7",
    until="4.3",
    features=("F017",),
    source="mm/page_alloc.c:__zone_watermark_ok; 3.7 to 4.3",
)
def unusable_free_v1(order: int, alloc_flags: int, highatomic: int, free_cma: int) -> int:
    """Free pages that a request cannot count on: its own size less one, and CMA unless it may use it."""
    unusable = (1 << order) - 1
    if not alloc_flags & ALLOC_CMA:
        unusable += free_cma
    return unusable


@behaviour(
    "alloc.watermark-unusable",
    since="3.3",
    until="3.6",
    features=("F017",),
    source="mm/page_alloc.c:__zone_watermark_ok; 3.4, 3.5",
)
@behaviour(
    "alloc.watermark-unusable",
    since="2.4.0",
    until="2.6.37",
    features=("F017",),
    source="mm/page_alloc.c:zone_watermark_ok; 2.6.11 to 2.6.37",
)
def unusable_free_own_size(order: int, alloc_flags: int, highatomic: int, free_cma: int) -> int:
    """Free pages that a request cannot count on: its own size less one."""
    return (1 << order) - 1


@behaviour(
    "alloc.watermark-unusable",
    since="4.4",
    until="6.2",
    replaced_in=("6.1.158",),
    features=("F013", "F017"),
    source="mm/page_alloc.c:__zone_watermark_unusable_free; 4.4 to 6.2",
)
def unusable_free_v2(order: int, alloc_flags: int, highatomic: int, free_cma: int) -> int:
    """As before; the high-order atomic reserve counts unless the request is HARDER or an OOM victim's."""
    unusable = (1 << order) - 1
    if not alloc_flags & (ALLOC_NON_BLOCK | ALLOC_OOM):
        unusable += highatomic
    if not alloc_flags & ALLOC_CMA:
        unusable += free_cma
    return unusable


@behaviour(
    "alloc.watermark-unusable",
    since="6.3",
    backports=("6.1.158",),
    features=("F013", "F017"),
    source="mm/page_alloc.c:__zone_watermark_unusable_free; 6.1.158, 6.3 to 6.12",
)
def unusable_free_v3(order: int, alloc_flags: int, highatomic: int, free_cma: int) -> int:
    """As before; the reserve counts unless any reserve flag is set.

    highatomic: reserved pages up to 6.11, free pages of the reserve in 6.12
    """
    unusable = (1 << order) - 1
    if not alloc_flags & ALLOC_RESERVES:
        unusable += highatomic
    if not alloc_flags & ALLOC_CMA:
        unusable += free_cma
    return unusable


def above_mark(usable_free: int, mark: int, reserve: int) -> bool:
    """Whether the usable free pages exceed the mark and the zone's lowmem_reserve for the request."""
    return usable_free > mark + reserve


def halved_mark(mark: int) -> int:
    """The mark that applies to blocks of the next order, in the test of 2.4 to 4.3."""
    return mark >> 1


@behaviour(
    "alloc.watermark-highatomic-list",
    since="4.4",
    until="6.2",
    replaced_in=("6.1.158",),
    features=("F013",),
    source="mm/page_alloc.c:__zone_watermark_ok; 4.15 to 6.2",
)
def counts_highatomic_harder(alloc_flags: int) -> bool:
    """Whether a free HIGHATOMIC block satisfies the order part of the test: HARDER or OOM."""
    return alloc_flags & (ALLOC_NON_BLOCK | ALLOC_OOM) != 0


@behaviour(
    "alloc.watermark-highatomic-list",
    since="6.3",
    backports=("6.1.158",),
    features=("F013",),
    source="mm/page_alloc.c:__zone_watermark_ok; 6.1.158, 6.3 to 6.12",
)
def counts_highatomic_flag(alloc_flags: int) -> bool:
    """Whether a free HIGHATOMIC block satisfies the order part of the test: ALLOC_HIGHATOMIC or OOM."""
    return alloc_flags & (ALLOC_HIGHATOMIC | ALLOC_OOM) != 0


# ---- boost -----------------------------------------------------------------------------------------------


def boosted(
    boost: int, high: int, managed: int, pageblock_nr_pages: int, boost_factor: int, small_zones_too: bool
) -> int:
    """watermark_boost after a fallback that mixes pageblock types; unchanged where boosting is refused.

    boost_factor in 1/10000 of the high watermark; small_zones_too: 5.0 to 5.6 boosted every zone
    Ensures   result >= boost where boost <= max(pageblock_nr_pages, the maximum)
    Source    mm/page_alloc.c:boost_watermark; 5.0 to 6.12
    """
    if not may_boost(high, managed, pageblock_nr_pages, boost_factor, small_zones_too):
        return boost
    maximum = max(pageblock_nr_pages, mult_frac(high, boost_factor, 10000))
    return min(boost + pageblock_nr_pages, maximum)


def may_boost(
    high: int, managed: int, pageblock_nr_pages: int, boost_factor: int, small_zones_too: bool
) -> bool:
    """Whether a mixing fallback boosts this zone at all.

    Source    mm/page_alloc.c:boost_watermark
    """
    if boost_factor == 0:
        return False
    if not small_zones_too and pageblock_nr_pages * 4 > managed:
        return False
    return mult_frac(high, boost_factor, 10000) != 0


# ---- high-order atomic reserve ---------------------------------------------------------------------------


@behaviour(
    "alloc.highatomic-limit",
    since="4.4",
    until="6.7",
    features=("F013",),
    source="mm/page_alloc.c:reserve_highatomic_pageblock; 4.4 to 6.7",
)
def highatomic_limit_one_percent_and_block(managed: int, pageblock_nr_pages: int) -> int:
    """Reserve no further pageblock at or above this many reserved pages: 1 % plus one pageblock."""
    return managed // 100 + pageblock_nr_pages


@behaviour(
    "alloc.highatomic-limit",
    since="6.8",
    features=("F013",),
    source="mm/page_alloc.c:reserve_highatomic_pageblock; 6.8 to 6.12",
)
def highatomic_limit_one_percent_aligned(managed: int, pageblock_nr_pages: int) -> int:
    """1 % rounded up to pageblocks; none at all where 1 % is less than a pageblock."""
    if managed // 100 < pageblock_nr_pages:
        return 0
    return (managed // 100 + pageblock_nr_pages - 1) & ~(pageblock_nr_pages - 1)


# ---- invariants ------------------------------------------------------------------------------------------


@invariant(
    "alloc.watermark.ordered",
    features=("F017",),
    seed="2.1.1.3",
    source="mm/page_alloc.c:__setup_per_zone_wmarks",
)
def watermarks_ordered(minimum: int, low: int, high: int) -> bool:
    """min <= low <= high."""
    return minimum <= low <= high
