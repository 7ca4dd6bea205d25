"""Theorems about swap: counts of slots are their references, windows of readahead are bounded."""

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
