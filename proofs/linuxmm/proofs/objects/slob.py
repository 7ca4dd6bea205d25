"""Theorems about SLOB's blocks: cutting and joining keep free and used blocks tiling the page."""

from typing import Annotated

from linuxmm.model.objects.slob import join, split
from linuxmm.proofs.domain import Integer, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, theorem
from linuxmm.spec.objects.slob import UNITS, block_inside, block_ordered, fragment

Units = Annotated[int, Integer(least=0, below=UNITS + 1)]


def covers(blocks: tuple[tuple[int, int], ...], unit: int) -> bool:
    """Whether a unit lies in one of the blocks."""
    found = False
    for start, length in blocks:
        found = found | ((start <= unit) & (unit < start + length))
    return found


def apart(blocks: tuple[tuple[int, int], ...]) -> bool:
    """Whether blocks are in order, inside the page, and do not touch."""
    good = True
    for at, (start, length) in enumerate(blocks):
        good = good & block_inside(start, length, UNITS)
        if at + 1 < len(blocks):
            good = good & block_ordered(start, length, blocks[at + 1][0])
    return good


@theorem(
    "objects.slob.split",
    "What is left of a block that is cut is free exactly where it was free and was not taken, in order, and "
    "inside the block; the cut is aligned.",
    proves=(split, fragment),
    clauses=("objects.slob.inside", "objects.slob.ordered"),
    features=("F034",),
    method="inductive",
    bounds="every block of a page of 2048 units, every cut, alignments of 1 to 2048 units, offsets 0 and 4",
    witness={"start": 3, "length": 100, "units": 10, "align": 4, "offset": 4, "unit": 5},
    mutants=(
        Mutant(split, "loses the front", "return (*before, *after)", "return after"),
        Mutant(split, "keeps what was taken", "(begin + units, start", "(begin, start"),
        Mutant(fragment, "ignores the header", "(start + offset) % align", "start % align"),
    ),
)
def splits(
    start: Units,
    length: Units,
    units: Units,
    align: Annotated[int, each((1, 4, 32, 2048))],
    offset: Annotated[int, each((0, 4))],
    unit: Units,
) -> bool:
    begin = start + fragment(start, align, offset)
    assume((units > 0) & (start + length <= UNITS) & (begin + units <= start + length))
    left = split(start, length, begin, units)
    was: bool = (start <= unit) & (unit < start + length)
    taken: bool = (begin <= unit) & (unit < begin + units)
    aligned: bool = (begin + offset) % align == 0
    return (covers(left, unit) == (was & (taken ^ True))) & apart(left) & aligned


@theorem(
    "objects.slob.join",
    "A block that comes back between its free neighbours is free with them, and nothing else is; no two free "
    "blocks touch.",
    proves=(join, block_ordered, block_inside),
    clauses=("objects.slob.inside", "objects.slob.ordered"),
    features=("F034",),
    method="inductive",
    bounds="any three blocks of a page of 2048 units",
    witness={"first": 0, "length": 4, "begin": 4, "units": 2, "second": 9, "more": 5, "unit": 8},
    mutants=(
        Mutant(join, "does not join behind", "if begin + units == after[0]:", "if False:"),
        Mutant(join, "does not join in front", "if before[0] + before[1] == begin:", "if False:"),
        Mutant(join, "loses the block behind", "units + after[1]", "units"),
    ),
)
def joins(
    first: Units, length: Units, begin: Units, units: Units, second: Units, more: Units, unit: Units
) -> bool:
    assume((length > 0) & (units > 0) & (more > 0) & (second + more <= UNITS))
    assume((first + length <= begin) & (begin + units <= second))
    made = join((first, length), begin, units, (second, more))
    were = ((first, length), (begin, units), (second, more))
    return (covers(made, unit) == covers(were, unit)) & apart(made)
