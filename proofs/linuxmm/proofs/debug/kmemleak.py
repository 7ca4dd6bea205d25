"""Theorems about the scan for leaks: what stays white is what no pointer leads to."""

from typing import Annotated

from linuxmm.proofs.domain import Integer, Truth, Word
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import implies, no, theorem
from linuxmm.spec.debug.kmemleak import Tracked, is_grey, is_leak, is_white, lookup, mark, refer

Pointer = Annotated[int, Word(64)]
Found = Annotated[int, Integer(least=0)]
Needed = Annotated[int, Integer(least=-1)]
Flag = Annotated[bool, Truth()]
FIRST, SECOND, SIZE = 0x1000, 0x2000, 0x40


@theorem(
    "debug.kmemleak.colours",
    "No block is white and grey; one that is neither is black; one more pointer never makes grey white.",
    proves=(is_white, is_grey),
    features=("F080",),
    method="inductive",
    bounds="any counts",
    witness={"count": 0, "min_count": 1},
    mutants=(
        Mutant(is_grey, "needs one more", "count >= min_count", "count > min_count"),
        Mutant(is_white, "is white once enough were found", "count < min_count", "count <= min_count"),
    ),
)
def colours_exclude(count: Found, min_count: Needed) -> bool:
    white, grey = is_white(count, min_count), is_grey(count, min_count)
    return (
        no(white & grey)
        & ((white | grey) == (min_count != -1))
        & implies(grey, is_grey(count + 1, min_count))
    )


def _points(word: int, start: int) -> bool:
    return (word >= start) & (word < start + SIZE)


@theorem(
    "debug.kmemleak.reachable",
    "With one root word and two objects of one word, an object stays white exactly when no chain of "
    "pointers, to its start or inside, leads to it from the root.",
    proves=(mark, refer, lookup),
    features=("F080",),
    method="bounded",
    bounds="every three 64-bit words; two objects that need one pointer, unchanged since the last scan",
    witness={"root": 0x1008, "one": 0x2000, "two": 0},
    mutants=(
        Mutant(
            lookup,
            "accepts pointers to the start only",
            "block.pointer <= pointer",
            "block.pointer == pointer",
        ),
        Mutant(lookup, "accepts the byte behind", "pointer < block.pointer", "pointer <= block.pointer"),
        Mutant(
            mark,
            "does not scan what is grey",
            "done = _scan_grey(marked, grey, words, 0)",
            "done = len(grey)",
        ),
    ),
)
def white_is_unreachable(root: Pointer, one: Pointer, two: Pointer) -> bool:
    blocks = (Tracked(FIRST, SIZE), Tracked(SECOND, SIZE))
    marked = mark(blocks, (root,), ((one,), (two,)), (False, False))
    first = _points(root, FIRST) | (_points(root, SECOND) & _points(two, FIRST))
    second = _points(root, SECOND) | (_points(root, FIRST) & _points(one, SECOND))
    return ((marked[0].found > 0) == first) & ((marked[1].found > 0) == second)


@theorem(
    "debug.kmemleak.reported",
    "A reported block is white, at least five seconds old when the scan began, and was not reported before.",
    proves=(is_leak,),
    features=("F080",),
    bounds="any counts and times",
    witness={"count": 0, "min_count": 1, "created": 0, "reported": False, "began": 5},
    mutants=(
        Mutant(is_leak, "forgets the age", "block.created + MIN_AGE_SECONDS", "block.created"),
        Mutant(is_leak, "reports again", "not block.reported", "True"),
    ),
)
def reported_is_old_and_white(
    count: Found, min_count: Needed, created: Found, reported: Flag, began: Found
) -> bool:
    block = Tracked(FIRST, SIZE, min_count, count, created=created, reported=reported)
    return is_leak(block, began) == (
        (count < min_count) & (min_count != -1) & no(reported) & (began - created >= 5)
    )
