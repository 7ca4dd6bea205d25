"""Theorems about how far a zone's counters may lag behind its free lists, and how far a boost may go."""

from typing import Annotated

from linuxmm.proofs.domain import Integer, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, theorem
from linuxmm.spec.alloc.vmstat import stat_pressure_threshold, stat_threshold
from linuxmm.spec.alloc.watermark import boosted
from linuxmm.spec.arith import floor_log2, mult_frac

Pages = Annotated[int, Integer(least=0)]
Cpus = Annotated[int, Integer(least=1)]


def any_logarithm(x: int) -> int:
    """Stands for floor_log2, of which only is known that it is not negative: x // 3 takes every value."""
    return x // 3


@theorem(
    "alloc.vmstat.threshold-bounds",
    "One CPU's difference moves by at least 2 and at most 125 pages before it is folded, so that it fits a "
    "signed byte.",
    proves=(stat_threshold,),
    features=("F013",),
    bounds="any number of CPUs and pages, pages of 4, 16 and 64 KiB, whatever the logarithm gives",
    primitives={floor_log2: any_logarithm},
    witness={"cpus": 2, "managed": 100000, "page_shift": 12},
    mutants=(
        Mutant(stat_threshold, "has a higher limit", "min(MAX_THRESHOLD, ", "min(MAX_THRESHOLD + 3, "),
        Mutant(stat_threshold, "counts no CPU", "(floor_log2(cpus) + 1)", "floor_log2(cpus)"),
        Mutant(stat_threshold, "forgets zones below 128 MiB", "(1 + memory)", "memory"),
    ),
)
def threshold_bounds(cpus: Cpus, managed: Pages, page_shift: Annotated[int, each((12, 14, 16))]) -> bool:
    result = stat_threshold(cpus, managed, page_shift)
    return (result >= 2) & (result <= 125)


@theorem(
    "alloc.vmstat.pressure-hides-little",
    "While kswapd is awake all CPUs together hide at most the pages between the min and the low watermark, "
    "where these are at least a page a CPU; a difference is never below 1 or above 125 pages.",
    proves=(stat_pressure_threshold,),
    features=("F013",),
    bounds="any number of CPUs, any watermarks in order",
    witness={"cpus": 4, "minimum": 100, "low": 125},
    mutants=(
        Mutant(stat_pressure_threshold, "divides by fewer CPUs", "// cpus", "// max(cpus - 1, 1)"),
        Mutant(stat_pressure_threshold, "may be 0", "max(1, ", "max(0, "),
        Mutant(
            stat_pressure_threshold, "has a higher limit", "min(MAX_THRESHOLD, ", "min(MAX_THRESHOLD + 1, "
        ),
    ),
)
def pressure_hides_little(cpus: Cpus, minimum: Pages, low: Pages) -> bool:
    assume(minimum <= low)
    result = stat_pressure_threshold(cpus, minimum, low)
    return (result >= 1) & (result <= 125) & implies(low - minimum >= cpus, cpus * result <= low - minimum)


@theorem(
    "alloc.watermark.boost-any",
    "Whatever the boost was, even above a maximum that was lowered since, boosting leaves it between the "
    "smaller and the larger of the two, and adds at most a pageblock.",
    proves=(boosted,),
    features=("F019",),
    bounds="any boost, high watermark, zone and watermark_boost_factor, pageblocks of 1, 512 and 1024 pages",
    witness={"boost": 9000, "high": 5000, "managed": 100000, "order": 9, "factor": 15000, "small": False},
    mutants=(
        Mutant(
            boosted, "has no limit", "min(boost + pageblock_nr_pages, maximum)", "boost + pageblock_nr_pages"
        ),
        Mutant(
            boosted, "adds two pageblocks", "boost + pageblock_nr_pages", "boost + 2 * pageblock_nr_pages"
        ),
        Mutant(boosted, "forgets the boost so far", "boost + pageblock_nr_pages", "pageblock_nr_pages"),
    ),
)
def boost_any(
    boost: Pages,
    high: Pages,
    managed: Pages,
    order: Annotated[int, each((0, 9, 10))],
    factor: Pages,
    small: Annotated[bool, each((False, True))],
) -> bool:
    maximum = max(1 << order, mult_frac(high, factor, 10000))
    result = boosted(boost, high, managed, 1 << order, factor, small)
    return (
        (result >= min(boost, maximum)) & (result <= max(boost, maximum)) & (result <= boost + (1 << order))
    )
