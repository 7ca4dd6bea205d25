"""Theorems about CMA: alignment of what is handed out, bits and their owners."""

from typing import Annotated, Final

from linuxmm.model.large.cma import Area, mark, unmark
from linuxmm.proofs.domain import Truth, Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, no, theorem
from linuxmm.spec.large.cma import (
    aligned_mask,
    aligned_place,
    bits_of,
    next_start,
    offset_from_last,
    owned,
    page_of,
    well_placed,
)

Pfn = Annotated[int, Word(52, below=1 << 40)]
Place = Annotated[int, Word(52, below=1 << 30)]
Align = Annotated[int, each((0, 1, 3, 4, 9))]
PerBit = Annotated[int, each((0, 1, 3, 9))]
BITS: Final = 64


@theorem(
    "large.cma.alignment",
    "The first page of a place that the search looks at is aligned as asked, no lower one at or above where "
    "it began is, and after a busy place the search goes on above it.",
    proves=(aligned_mask, offset_from_last, aligned_place, page_of, next_start, well_placed),
    clauses=("large.cma.aligned", "large.cma.lowest"),
    features=("F036",),
    bounds="any area and place of 52-bit frames, alignments of 1 to 512 pages, bits of 1 to 512 pages",
    witness={"base": 1 << 12, "start": 3, "lower": 4, "align": 4, "per_bit": 1},
    mutants=(
        Mutant(offset_from_last, "counts from the area", "(base & ((1 << align) - 1)) >> per_bit", "0"),
        Mutant(
            aligned_mask, "forgets what a bit stands for", "(1 << (align - per_bit)) - 1", "(1 << align) - 1"
        ),
        Mutant(aligned_place, "does not take the offset off", ") - offset", ")"),
        Mutant(aligned_place, "rounds down", "place + offset + mask", "place + offset"),
        Mutant(next_start, "stays", "place + mask + 1", "place"),
    ),
)
def alignment(base: Pfn, start: Place, lower: Place, align: Align, per_bit: PerBit) -> bool:
    assume(base & ((1 << per_bit) - 1) == 0)
    mask, offset = aligned_mask(align, per_bit), offset_from_last(base, align, per_bit)
    assume((start + offset) >= 0)
    place = aligned_place(start, mask, offset)
    pfn = page_of(base, place, per_bit)
    aligned = well_placed(base, 1 << 50, pfn, 1, align)
    wrong = page_of(base, lower, per_bit) & ((1 << align) - 1) == 0
    none_below = implies((lower >= start) & (lower < place), no(wrong))
    return aligned & (place >= start) & none_below & (next_start(place, mask) > place)


@theorem(
    "large.cma.bits",
    "Bits for a number of pages hold them all, and one bit less would not.",
    proves=(bits_of,),
    clauses=("large.cma.owned",),
    features=("F036",),
    bounds="any number of pages, bits of 1 to 512 pages",
    witness={"pages": 5, "per_bit": 1},
    mutants=(
        Mutant(bits_of, "rounds down", "align_up(pages, 1 << per_bit) >> per_bit", "pages >> per_bit"),
        Mutant(bits_of, "has one too many", ">> per_bit", "+ (1 << per_bit) >> per_bit"),
    ),
)
def bits(pages: Annotated[int, Word(52, below=1 << 40)], per_bit: PerBit) -> bool:
    assume(pages > 0)
    found = bits_of(pages, per_bit)
    return (found << per_bit >= pages) & ((found - 1) << per_bit < pages)


@theorem(
    "large.cma.bitmap-step",
    "Bits are set exactly while their pages are handed out: taking a free run sets its bits and no other, "
    "giving it back or failing clears them and no other, and what was set before is as it was.",
    proves=(mark, unmark, owned),
    clauses=("large.cma.owned", "large.cma.restored"),
    features=("F036",),
    method="inductive",
    bounds="a window of 64 bits; runs of 1 to 16 bits anywhere in it",
    witness={"bitmap": 0b11, "held": True, "x": 1, "place": 4, "count": 2, "fails": False},
    mutants=(
        Mutant(mark, "sets one bit too many", "((1 << bits) - 1)", "((2 << bits) - 1)"),
        Mutant(unmark, "clears one bit only", "((1 << bits) - 1)", "1"),
        Mutant(unmark, "clears everything", "area.bitmap & ~(((1 << bits) - 1) << place)", "0"),
    ),
)
def bitmap_step(
    bitmap: Annotated[int, Word(64)], held: Annotated[bool, Truth()],
    x: Annotated[int, each((0, 1, 7, 40, 63))], place: Annotated[int, each((0, 1, 4, 39, 47))],
    count: Annotated[int, each((1, 2, 16))],
    fails: Annotated[bool, Truth()],
) -> bool:  # fmt: skip
    area = Area(0, BITS, 0, bitmap)
    assume(owned(bitmap >> x & 1 == 1, held))
    run = ((1 << count) - 1) << place
    assume(bitmap & run == 0)
    taken = mark(area, place, count)
    inside = place <= x < place + count
    now = taken.bitmap >> x & 1 == 1
    back = unmark(taken, place, count)
    if fails:
        return (back.bitmap == bitmap) & owned(back.bitmap >> x & 1 == 1, held)
    return owned(now, True if inside else held)
