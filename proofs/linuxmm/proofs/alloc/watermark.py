"""Theorems about watermarks: their order, and a test that flags and free pages can only relax."""

from typing import Annotated

from linuxmm.proofs.domain import Integer, Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, theorem
from linuxmm.spec.alloc.watermark import (
    above_mark,
    boosted,
    counts_highatomic_flag,
    counts_highatomic_harder,
    halved_mark,
    highatomic_limit_one_percent_aligned,
    highatomic_limit_one_percent_and_block,
    low_high_quarters_of_min,
    low_high_quarters_of_share,
    low_high_scaled,
    lowmem_reserve,
    mark_after_reserves_harder,
    mark_after_reserves_min_reserve,
    may_boost,
    min_free_kbytes,
    min_share,
    small_zone_min,
    unusable_free_v1,
    unusable_free_v2,
    unusable_free_v3,
    watermarks_ordered,
    zone_total_reserve,
)
from linuxmm.spec.arith import int_sqrt, mult_frac

Pages = Annotated[int, Integer(least=0)]
Change = Annotated[int, Integer()]
Flags = Annotated[int, Word(16)]
OrderUpTo10 = Annotated[int, each(range(11))]

ANY_SIZE = "any memory size"


def any_number(x: int) -> int:
    """Stands for a root of which nothing is known: over the multiples of 16 it takes every value."""
    return x // 16


# ---- sizes -----------------------------------------------------------------------------------------------


@theorem(
    "alloc.watermark.min-free-bounds",
    "The computed min_free_kbytes lies between 128 kB and its cap, whatever the square root gives.",
    proves=(min_free_kbytes,),
    features=("F017",),
    bounds=ANY_SIZE + ", any cap from 128 kB on",
    witness={"lowmem_kbytes": 1000, "cap": 65536},
    primitives={int_sqrt: any_number},
    mutants=(
        Mutant(min_free_kbytes, "has no cap", "cap)", "cap + int_sqrt(lowmem_kbytes * 16))"),
        Mutant(min_free_kbytes, "has no floor", "MIN_FREE_KBYTES_FLOOR", "0"),
    ),
)
def min_free_kbytes_bounds(lowmem_kbytes: Pages, cap: Pages) -> bool:
    assume(cap >= 128)
    result = min_free_kbytes(lowmem_kbytes, cap)
    return (result >= 128) & (result <= cap)


@theorem(
    "alloc.watermark.min-share",
    "A zone's share of the reserve is not above the reserve, and a larger zone never has a smaller share.",
    proves=(min_share,),
    features=("F017",),
    bounds="any reserve and zone size; low memory of 2**10 to 2**40 pages in powers of 16, and 1000003",
    witness={"pages_min": 1000, "managed": 500, "larger": 600, "lowmem_pages": 1 << 10},
    mutants=(
        Mutant(min_share, "adds a page", "// lowmem_pages", "// lowmem_pages + 1"),
        Mutant(
            min_share, "subtracts the zone", "pages_min * managed", "pages_min * (lowmem_pages - managed)"
        ),
    ),
)
def min_share_within(
    pages_min: Pages,
    managed: Pages,
    larger: Pages,
    lowmem_pages: Annotated[int, each((*(1 << shift for shift in range(10, 41, 4)), 1000003))],
) -> bool:
    assume(managed <= larger)
    assume(larger <= lowmem_pages)
    share = min_share(pages_min, managed, lowmem_pages)
    return (share <= pages_min) & (share <= min_share(pages_min, larger, lowmem_pages))


@theorem(
    "alloc.watermark.small-zone-min",
    "A zone that kernel allocations do not need keeps 32 to 128 pages.",
    proves=(small_zone_min,),
    features=("F017",),
    bounds=ANY_SIZE,
    witness={"managed": 1 << 20},
    mutants=(
        Mutant(small_zone_min, "has a higher limit", "128", "129"),
        Mutant(small_zone_min, "has no floor", "SWAP_CLUSTER_MAX", "0"),
    ),
)
def small_zone_min_bounds(managed: Pages) -> bool:
    result = small_zone_min(managed)
    return (result >= 32) & (result <= 128)


@theorem(
    "alloc.watermark.ordered",
    "min <= low <= high in every generation of the distances between watermarks.",
    proves=(low_high_quarters_of_min, low_high_quarters_of_share, low_high_scaled, watermarks_ordered),
    clauses=("alloc.watermark.ordered",),
    features=("F017",),
    bounds=ANY_SIZE + ", any watermark_scale_factor",
    witness={"minimum": 10, "share": 40, "managed": 100000, "scale": 10, "generation": 2},
    mutants=(
        Mutant(
            low_high_scaled, "takes the smaller distance off", "minimum + 2 * distance", "minimum - distance"
        ),
        Mutant(low_high_quarters_of_min, "swaps low and high", "* 5 // 4", "* 7 // 4"),
        Mutant(low_high_quarters_of_share, "swaps low and high", "share >> 2", "share"),
    ),
)
def ordered(
    minimum: Pages, share: Pages, managed: Pages, scale: Pages, generation: Annotated[int, each(range(3))]
) -> bool:
    if generation == 0:
        low, high = low_high_quarters_of_min(minimum, share, managed, scale)
    elif generation == 1:
        low, high = low_high_quarters_of_share(minimum, share, managed, scale)
    else:
        low, high = low_high_scaled(minimum, share, managed, scale)
    return watermarks_ordered(minimum, low, high)


@theorem(
    "alloc.watermark.lowmem-reserve-monotone",
    "The more memory the higher zones have, the more a zone keeps back from requests that could use them.",
    proves=(lowmem_reserve,),
    features=("F003", "F017"),
    bounds=ANY_SIZE + "; ratios 0 to 64, 128, 256 and 512",
    witness={"upper": 1000, "more": 5, "managed": 10, "ratio": 256},
    mutants=(
        Mutant(
            lowmem_reserve, "keeps the remainder instead", "upper_managed // ratio", "upper_managed % ratio"
        ),
        Mutant(
            lowmem_reserve,
            "compares with the own zone",
            "upper_managed // ratio",
            "(managed - upper_managed) // ratio",
        ),
    ),
)
def lowmem_reserve_monotone(
    upper: Pages, more: Pages, managed: Pages, ratio: Annotated[int, each((*range(65), 128, 256, 512))]
) -> bool:
    reserve = lowmem_reserve(upper, managed, ratio)
    return (reserve <= lowmem_reserve(upper + more, managed, ratio)) & (reserve >= 0) & (reserve <= upper)


@theorem(
    "alloc.watermark.lowmem-reserve-class",
    "Along the zone classes the reserve never falls: a request of a higher class leaves at least as much.",
    proves=(lowmem_reserve,),
    features=("F003",),
    bounds=ANY_SIZE
    + ", the five reserves of a zone of class DMA with each zone of any size, ratio 256 or 32",
    witness={"dma32": 1, "normal": 2, "high": 0, "movable": 5, "managed": 3, "ratio": 32},
    mutants=(
        Mutant(
            lowmem_reserve, "keeps the remainder instead", "upper_managed // ratio", "upper_managed % ratio"
        ),
        Mutant(lowmem_reserve, "is negative", "return upper_managed", "return -upper_managed"),
    ),
)
def lowmem_reserve_by_class(
    dma32: Pages,
    normal: Pages,
    high: Pages,
    movable: Pages,
    managed: Pages,
    ratio: Annotated[int, each((256, 32))],
) -> bool:
    total, previous, good = 0, 0, True
    for zone in (dma32, normal, high, movable):
        total += zone
        reserve = lowmem_reserve(total, managed, ratio)
        good = good & (previous <= reserve)
        previous = reserve
    return good


@theorem(
    "alloc.watermark.total-reserve",
    "What user space cannot count on is at most the zone, and grows with reserve and watermark.",
    proves=(zone_total_reserve,),
    features=("F017",),
    bounds=ANY_SIZE,
    witness={"managed": 100, "reserve": 5, "high": 7, "more": 1},
    mutants=(
        Mutant(zone_total_reserve, "may exceed the zone", "min(managed, ", "max(managed, "),
        Mutant(zone_total_reserve, "subtracts the watermark", "+ high", "- high"),
    ),
)
def total_reserve(managed: Pages, reserve: Pages, high: Pages, more: Pages) -> bool:
    result = zone_total_reserve(managed, reserve, high)
    return (
        (result <= managed)
        & (result <= zone_total_reserve(managed, reserve + more, high))
        & (result <= zone_total_reserve(managed, reserve, high + more))
    )


# ---- the test --------------------------------------------------------------------------------------------


@theorem(
    "alloc.watermark.mark-relaxes",
    "The mark that applies is between 0 and the watermark, and a request with more flags has no higher one.",
    proves=(mark_after_reserves_harder, mark_after_reserves_min_reserve),
    features=("F013", "F017"),
    bounds=ANY_SIZE + ", every subset of flags",
    witness={"mark": 100, "fewer": 0x20, "flags": 0x30, "since_6_3": True},
    mutants=(
        Mutant(
            mark_after_reserves_harder,
            "raises the mark for OOM victims",
            "mark -= mark // 2\n    elif",
            "mark += mark // 2\n    elif",
        ),
        Mutant(
            mark_after_reserves_harder,
            "OOM takes only an eighth off",
            "mark -= mark // 2\n    elif",
            "mark -= mark // 8\n    elif",
        ),
        Mutant(mark_after_reserves_min_reserve, "NON_BLOCK takes twice the mark", "mark // 4", "mark * 2"),
    ),
)
def mark_relaxes(
    mark: Pages, fewer: Flags, flags: Flags, since_6_3: Annotated[bool, each((False, True))]
) -> bool:
    assume(fewer & flags == fewer)
    if since_6_3:
        low, high = mark_after_reserves_min_reserve(mark, flags), mark_after_reserves_min_reserve(mark, fewer)
    else:
        low, high = mark_after_reserves_harder(mark, flags), mark_after_reserves_harder(mark, fewer)
    return (low >= 0) & (low <= high) & (high <= mark)


@theorem(
    "alloc.watermark.unusable-relaxes",
    "A request with more flags has no more unusable free pages, in every generation.",
    proves=(unusable_free_v1, unusable_free_v2, unusable_free_v3),
    features=("F013", "F017"),
    bounds=ANY_SIZE + ", orders 0 to 10, every subset of flags",
    witness={"order": 3, "fewer": 0, "flags": 0x80, "highatomic": 512, "cma": 100, "generation": 2},
    mutants=(
        Mutant(unusable_free_v1, "counts CMA only if allowed", "if not alloc_flags", "if alloc_flags"),
        Mutant(
            unusable_free_v2, "OOM victims lose the reserve", "if not alloc_flags & (", "if alloc_flags & ("
        ),
        Mutant(unusable_free_v3, "gives CMA back", "+= free_cma", "-= free_cma"),
    ),
)
def unusable_relaxes(
    order: OrderUpTo10,
    fewer: Flags,
    flags: Flags,
    highatomic: Pages,
    cma: Pages,
    generation: Annotated[int, each((1, 2, 3))],
) -> bool:
    assume(fewer & flags == fewer)
    if generation == 1:
        less = unusable_free_v1(order, flags, highatomic, cma)
        more = unusable_free_v1(order, fewer, highatomic, cma)
    elif generation == 2:
        less = unusable_free_v2(order, flags, highatomic, cma)
        more = unusable_free_v2(order, fewer, highatomic, cma)
    else:
        less = unusable_free_v3(order, flags, highatomic, cma)
        more = unusable_free_v3(order, fewer, highatomic, cma)
    return ((1 << order) - 1 <= less) & (less <= more)


@theorem(
    "alloc.watermark.list-relaxes",
    "A request with more flags still counts the HIGHATOMIC list if it did with fewer.",
    proves=(counts_highatomic_harder, counts_highatomic_flag),
    features=("F013",),
    bounds="every subset of flags",
    witness={"fewer": 0, "flags": 8},
    mutants=(
        Mutant(counts_highatomic_harder, "turns the answer round", "!= 0", "== 0"),
        Mutant(counts_highatomic_flag, "wants exactly one flag", "!= 0", "== ALLOC_OOM"),
    ),
)
def list_relaxes(fewer: Flags, flags: Flags) -> bool:
    assume(fewer & flags == fewer)
    return implies(counts_highatomic_harder(fewer), counts_highatomic_harder(flags)) & implies(
        counts_highatomic_flag(fewer), counts_highatomic_flag(flags)
    )


@theorem(
    "alloc.watermark.test-monotone",
    "If the test passes it passes with more free pages, a lower mark and a smaller reserve.",
    proves=(above_mark,),
    features=("F017",),
    bounds=ANY_SIZE,
    witness={"usable": 10, "mark": 3, "reserve": 2, "more": 4},
    mutants=(
        Mutant(above_mark, "turns the comparison round", "usable_free > mark", "usable_free < mark"),
        Mutant(above_mark, "subtracts the reserve", "mark + reserve", "mark - reserve"),
    ),
)
def monotone(usable: Change, mark: Change, reserve: Change, more: Pages) -> bool:
    passes = above_mark(usable, mark, reserve)
    return (
        implies(passes, above_mark(usable + more, mark, reserve))
        & implies(passes, above_mark(usable, mark - more, reserve))
        & implies(passes, above_mark(usable, mark, reserve - more))
    )


@theorem(
    "alloc.watermark.flags-relax",
    "Whatever passes the order-0 test with some flags passes it with more flags: each ALLOC_* flag only "
    "relaxes.",
    proves=(
        above_mark,
        mark_after_reserves_harder,
        mark_after_reserves_min_reserve,
        unusable_free_v2,
        unusable_free_v3,
    ),
    features=("F013", "F017"),
    bounds=ANY_SIZE + ", orders 0 and 9, every subset of flags, rules of 4.4 to 6.2 and of 6.3 on",
    witness={
        "order": 0,
        "free": 900,
        "mark": 600,
        "reserve": 10,
        "highatomic": 0,
        "cma": 0,
        "fewer": 0,
        "flags": 0x20,
        "since_6_3": True,
    },
    mutants=(
        Mutant(
            mark_after_reserves_harder, "raises the mark for HARDER", "mark -= mark // 4", "mark += mark // 4"
        ),
        Mutant(
            unusable_free_v3,
            "counts CMA only if allowed",
            "if not alloc_flags & ALLOC_CMA",
            "if alloc_flags & ALLOC_CMA",
        ),
    ),
)
def flags_relax(
    order: Annotated[int, each((0, 9))],
    free: Pages,
    mark: Pages,
    reserve: Pages,
    highatomic: Pages,
    cma: Pages,
    fewer: Flags,
    flags: Flags,
    since_6_3: Annotated[bool, each((False, True))],
) -> bool:
    assume(fewer & flags == fewer)
    if since_6_3:
        strict = above_mark(
            free - unusable_free_v3(order, fewer, highatomic, cma),
            mark_after_reserves_min_reserve(mark, fewer),
            reserve,
        )
        relaxed = above_mark(
            free - unusable_free_v3(order, flags, highatomic, cma),
            mark_after_reserves_min_reserve(mark, flags),
            reserve,
        )
    else:
        strict = above_mark(
            free - unusable_free_v2(order, fewer, highatomic, cma),
            mark_after_reserves_harder(mark, fewer),
            reserve,
        )
        relaxed = above_mark(
            free - unusable_free_v2(order, flags, highatomic, cma),
            mark_after_reserves_harder(mark, flags),
            reserve,
        )
    return implies(strict, relaxed)


@theorem(
    "alloc.watermark.halved",
    "The mark for the next order is half, rounded down, and keeps the order of marks.",
    proves=(halved_mark,),
    features=("F017",),
    bounds=ANY_SIZE,
    witness={"mark": 9, "more": 3},
    mutants=(
        Mutant(halved_mark, "doubles", ">>", "<<"),
        Mutant(halved_mark, "quarters", "1", "2"),
    ),
)
def halved(mark: Pages, more: Pages) -> bool:
    result = halved_mark(mark)
    return (2 * result <= mark) & (mark <= 2 * result + 1) & (result <= halved_mark(mark + more))


# ---- boost and reserve -----------------------------------------------------------------------------------


@theorem(
    "alloc.watermark.boost-bounded",
    "Boosting adds at most a pageblock, never lowers a boost within its maximum, and never exceeds the "
    "maximum.",
    proves=(boosted, may_boost),
    features=("F019",),
    bounds=ANY_SIZE + ", any watermark_boost_factor, pageblocks of 512 and 1024 pages",
    witness={"boost": 0, "high": 5000, "managed": 100000, "pageblock": 512, "factor": 15000, "small": False},
    mutants=(
        Mutant(boosted, "forgets the boost so far", "boost + pageblock_nr_pages", "pageblock_nr_pages"),
        Mutant(
            boosted, "has no limit", "min(boost + pageblock_nr_pages, maximum)", "boost + pageblock_nr_pages"
        ),
        Mutant(
            boosted, "adds two pageblocks", "boost + pageblock_nr_pages", "boost + 2 * pageblock_nr_pages"
        ),
    ),
)
def boost_bounded(
    boost: Pages,
    high: Pages,
    managed: Pages,
    pageblock: Annotated[int, each((512, 1024))],
    factor: Pages,
    small: Annotated[bool, each((False, True))],
) -> bool:
    maximum = max(pageblock, mult_frac(high, factor, 10000))
    assume(boost <= maximum)
    result = boosted(boost, high, managed, pageblock, factor, small)
    grows = may_boost(high, managed, pageblock, factor, small) & (boost < maximum)
    return (
        (boost <= result)
        & (result <= maximum)
        & (result <= boost + pageblock)
        & implies(grows, boost < result)
    )


@theorem(
    "alloc.watermark.highatomic-limit",
    "The reserve for high-order atomic requests is capped at 1 % plus one pageblock; since 6.7 in whole "
    "pageblocks.",
    proves=(highatomic_limit_one_percent_and_block, highatomic_limit_one_percent_aligned),
    features=("F013",),
    bounds=ANY_SIZE + ", pageblocks of 512 and 1024 pages",
    witness={"managed": 1000000, "pageblock": 512},
    mutants=(
        Mutant(
            highatomic_limit_one_percent_aligned,
            "rounds down",
            "managed // 100 + pageblock_nr_pages - 1",
            "managed // 100",
        ),
        Mutant(highatomic_limit_one_percent_aligned, "does not round", "& ~(pageblock_nr_pages - 1)", "& ~0"),
        Mutant(highatomic_limit_one_percent_and_block, "is ten percent", "// 100", "// 10"),
    ),
)
def highatomic_limit(managed: Pages, pageblock: Annotated[int, each((512, 1024))]) -> bool:
    old = highatomic_limit_one_percent_and_block(managed, pageblock)
    new = highatomic_limit_one_percent_aligned(managed, pageblock)
    return (
        (old == managed // 100 + pageblock)
        & (new % pageblock == 0)
        & (new < old)
        & implies(managed // 100 >= pageblock, new >= managed // 100)
    )
