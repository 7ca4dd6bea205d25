"""Theorems about swap: counts of slots are their references, free ones are where searches look."""

from typing import Annotated, Final

from linuxmm.model.reclaim.swap import Count, continue_count, drop, duplicate
from linuxmm.proofs.domain import Integer, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, theorem
from linuxmm.spec.reclaim.swap import (
    SWAP_CONT_MAX,
    SWAP_MAP_MAX,
    counted,
    uses,
    window_by_hits,
)
from linuxmm.spec.reclaim.swap_slots import bounded, bounds_freed, bounds_taken, caches_active, goal
from linuxmm.spec.step import Err

Low = Annotated[int, Integer(least=0, below=SWAP_MAP_MAX + 1)]
Digit = Annotated[int, Integer(least=0, below=SWAP_CONT_MAX + 1)]
Number = Annotated[int, Integer(least=0)]
MORE, LESS, LONGER = range(3)
_FEATURES: Final = ("F004",)


def in_range(count: Count) -> bool:
    """Whether the parts of a count fit where they stand."""
    good: bool = (count.low >= 0) & (count.low <= SWAP_MAP_MAX)
    for digit in count.digits:
        good = good & (digit >= 0) & (digit <= SWAP_CONT_MAX)
    return good


@theorem(
    "reclaim.swap.uses",
    "Whatever becomes of a slot's count, it is the number of references to the slot, and its parts fit their "
    "bytes; one more is refused only where every byte is at its highest, and changes nothing.",
    proves=(duplicate, drop, continue_count, uses),
    clauses=("reclaim.swap.uses",),
    features=_FEATURES,
    method="inductive",
    bounds="any number of references; counts with none to three digits",
    witness={
        "step": MORE,
        "length": 2,
        "low": 62,
        "first": 127,
        "second": 3,
        "third": 0,
        "references": 32255,
    },
    mutants=(
        Mutant(duplicate, "goes on too early", "count.low < SWAP_MAP_MAX", "count.low < SWAP_MAP_MAX - 1"),
        Mutant(duplicate, "does not carry", "digits[place] = 0", "digits[place] = digit"),
        Mutant(drop, "borrows one too few", "low=SWAP_MAP_MAX, digits", "low=SWAP_MAP_MAX - 1, digits"),
    ),
)
def references_counted(
    step: Annotated[int, each((MORE, LESS, LONGER))],
    length: Annotated[int, each(range(4))],
    low: Low,
    first: Digit,
    second: Digit,
    third: Digit,
    references: Number,
) -> bool:
    digits = (first, second, third)[:length]
    assume(counted(low, digits, references))
    count = Count(low, digits)
    if step == LONGER:
        longer = continue_count(count)
        return in_range(longer) & counted(longer.low, longer.digits, references)
    if step == LESS:
        assume(references > 0)
        fewer = drop(count)
        return in_range(fewer) & counted(fewer.low, fewer.digits, references - 1)
    more = duplicate(count)
    if isinstance(more, Err):
        highest: bool = references == (SWAP_MAP_MAX + 1) * (SWAP_CONT_MAX + 1) ** length - 1
        return highest
    return in_range(more) & counted(more.low, more.digits, references + 1)


@theorem(
    "reclaim.swap.window",
    "A window of readahead holds at least the page that is wanted, and at most what page-cluster allows "
    "or half of the window before.",
    proves=(window_by_hits,),
    features=_FEATURES,
    bounds="every slot, page-cluster of 0 to 6",
    witness={"previous": 8, "offset": 9, "hits": 0, "order": 3, "last": 0},
    mutants=(
        Mutant(window_by_hits, "is not bounded", "min(pages, most)", "pages"),
        Mutant(window_by_hits, "reads nothing far off", "2 if near else 1", "2 if near else 0"),
        Mutant(window_by_hits, "never shrinks", "last // 2", "last"),
    ),
)
def window_bounded(
    previous: Number, offset: Number, hits: Number, order: Annotated[int, each(range(7))], last: Number
) -> bool:
    most = 1 << order
    window = window_by_hits(previous, offset, hits, most, last)
    return (window >= 1) & (window <= max(most, last // 2))


TAKEN, FREED = range(2)


@theorem(
    "reclaim.swap.bounds",
    "A free slot of a device stays between the lowest and the highest that searches go by, whatever run of "
    "other slots is taken, or freed with it or without it.",
    proves=(bounds_taken, bounds_freed, bounded),
    clauses=("reclaim.swap.bounds",),
    features=_FEATURES,
    method="inductive",
    bounds="devices and runs of any size; the last free slot of a device that gets full is apart",
    witness={"step": TAKEN, "slot": 5, "low": 1, "high": 9, "first": 1, "slots": 2},
    mutants=(
        Mutant(bounds_taken, "skips one more", "low += slots", "low += slots + 1"),
        Mutant(bounds_taken, "lowers too far", "high -= slots", "high -= slots + 1"),
        Mutant(bounds_freed, "ends too early", "first + slots - 1", "first"),
    ),
)
def free_slots_found(
    step: Annotated[int, each((TAKEN, FREED))],
    slot: Number,
    low: Number,
    high: Number,
    first: Number,
    slots: Number,
) -> bool:
    assume(slots >= 1)
    inside = (first <= slot) & (slot < first + slots)
    if step == TAKEN:
        assume(bounded(slot, low, high) & ((slot < first) | (slot >= first + slots)))
        assume(bounded(first, low, high) & bounded(first + slots - 1, low, high))
        lowest, highest = bounds_taken(low, high, first, slots)
        kept: bool = bounded(slot, lowest, highest)
        return kept
    assume(bounded(slot, low, high) | inside)
    lowest, highest = bounds_freed(low, high, first, slots)
    found: bool = bounded(slot, lowest, highest)
    return found


@theorem(
    "reclaim.swap.caches",
    "CPUs begin to keep slots only with more than two batches a CPU to spare, so that they do not stop at "
    "once; a batch is never more than what is free, nor more than 64.",
    proves=(caches_active, goal),
    features=_FEATURES,
    bounds="any number of CPUs and slots, batches of 64",
    witness={"free": 700, "cpus": 2, "wanted": 64, "size": 1},
    mutants=(
        Mutant(caches_active, "begins early", "cpus * 5 * batch", "cpus * batch"),
        Mutant(goal, "asks for more", "free // size", "free"),
        Mutant(goal, "has no limit", "min(wanted, SLOTS_CACHED,", "min(wanted,"),
    ),
)
def caches_bounded(
    free: Number,
    cpus: Annotated[int, each((1, 2, 8))],
    wanted: Number,
    size: Annotated[int, each((1, 4, 512))],
) -> bool:
    assume(caches_active(False, free, cpus, 64))
    runs = goal(wanted, free, size)
    good: bool = caches_active(True, free, cpus, 64) & (runs * size <= free) & (runs <= 64)
    return good
