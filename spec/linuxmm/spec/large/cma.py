"""CMA's formulas: bits and pages, alignment, where the search goes on; who may reserve; what always holds.

Linux: mm/cma.c, mm/page_alloc.c:alloc_contig_range.  Seed 2.1.3.2 (F036).  3.5 to 6.12.
How CMA pageblocks serve movable requests, and how watermarks count them: `linuxmm.spec.alloc.watermark`.
"""

from dataclasses import dataclass
from typing import Final

from linuxmm.spec.arith import align_down, align_up
from linuxmm.spec.invariant import clause, invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula
from linuxmm.spec.step import Errno
from linuxmm.spec.vocabulary import PAGE_SHIFT

NOTHING: Final = -1
MIGRATE_TRIES: Final = 5


@formula("F036", source="mm/cma.c:cma_bitmap_aligned_mask; 3.5 to 6.12")
def aligned_mask(align: int, per_bit: int) -> int:
    """The low bits of a place in the bitmap that an alignment asks to be zero.

    align    order of the pages;  per_bit  order of the pages that one bit stands for
    """
    return 0 if align <= per_bit else (1 << (align - per_bit)) - 1


@behaviour(
    "large.cma-offset",
    since="3.5",
    until="3.18",
    features=("F036",),
    source="drivers/base/dma-contiguous.c:dma_alloc_from_contiguous, mm/cma.c:cma_alloc; from memory",
)
def offset_none(base: int, align: int, per_bit: int) -> int:
    """What is added to a place before it is aligned: nothing, places count from the area's first page."""
    return 0


@behaviour(
    "large.cma-offset",
    since="3.19",
    until="4.12",
    features=("F036",),
    source="mm/cma.c:cma_bitmap_aligned_offset; from memory",
)
def offset_to_next(base: int, align: int, per_bit: int) -> int:
    """The distance to the next aligned page: right only where it is 0 or half of the alignment."""
    if align <= per_bit:
        return 0
    return (align_up(base, 1 << align) - base) >> per_bit


@behaviour(
    "large.cma-offset",
    since="4.13",
    features=("F036",),
    source="mm/cma.c:cma_bitmap_aligned_offset; read in 6.1 and 6.12, the first release from memory",
)
def offset_from_last(base: int, align: int, per_bit: int) -> int:
    """The distance from the last aligned page."""
    return (base & ((1 << align) - 1)) >> per_bit


@formula("F036", source="mm/cma.c:cma_bitmap_pages_to_bits; 3.5 to 6.12")
def bits_of(pages: int, per_bit: int) -> int:
    """Bits that stand for so many pages."""
    return align_up(pages, 1 << per_bit) >> per_bit


@formula("F036", source="lib/bitmap.c:bitmap_find_next_zero_area_off")
def aligned_place(place: int, mask: int, offset: int) -> int:
    """The first place at or above one that is aligned, counted from `offset` places before the area."""
    return ((place + offset + mask) & ~mask) - offset


@formula("F036", source="mm/cma.c:cma_alloc; 3.5 to 6.12")
def page_of(base: int, place: int, per_bit: int) -> int:
    """The first page of a place."""
    return base + (place << per_bit)


@formula("F036", source="mm/cma.c:cma_alloc; 3.5 to 6.12")
def next_start(place: int, mask: int) -> int:
    """Where the search goes on after a place was busy."""
    return place + mask + 1


@formula("F036", source="mm/cma.c:cma_pages_valid; 3.5 to 6.12")
def in_area(base: int, count: int, pfn: int) -> bool:
    """Whether pages that begin here may be given back to the area."""
    return base <= pfn < base + count


@formula("F036", source="mm/page_alloc.c:alloc_contig_range; 3.5 to 6.12")
def isolated_span(start: int, end: int, order: int) -> tuple[int, int]:
    """The whole pageblocks around a range."""
    return align_down(start, 1 << order), align_up(end, 1 << order)


@behaviour(
    "large.cma-least-order",
    since="3.5",
    until="5.17",
    features=("F036",),
    source="mm/cma.c:cma_declare_contiguous; the last release from memory",
)
def least_order_of_blocks(pageblock_order: int, max_order: int) -> int:
    """The order to which an area is aligned: that of pageblocks, or of the largest block."""
    return max(pageblock_order, max_order)


@behaviour(
    "large.cma-least-order",
    since="5.18",
    features=("F036",),
    source="include/linux/cma.h; read in 6.1 and 6.12, the first release from memory",
)
def least_order_of_pageblocks(pageblock_order: int, max_order: int) -> int:
    """The order to which an area is aligned: that of pageblocks."""
    return pageblock_order


@dataclass(frozen=True, slots=True)
class Wanted:
    """What cma_declare_contiguous is asked for, in bytes; base 0: anywhere, limit 0: to the end of memory."""

    size: int
    base: int = 0
    limit: int = 0
    alignment: int = 0
    per_bit: int = 0
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Declared:
    """What is reserved, or looked for when `fixed` is false: [base, limit) holds it."""

    base: int
    size: int
    limit: int
    alignment: int
    fixed: bool


@formula("F036", source="mm/cma.c:cma_declare_contiguous_nid; read in 6.1 and 6.12")
def declared(
    wanted: Wanted, areas: int, most: int, least: int, memory_end: int, highmem: int
) -> Declared | Errno:
    """What a wish comes to, or why it is refused, the first reason first.

    areas    that there are, of at most `most`;  least  alignment in bytes
    highmem  where high memory begins
    """
    if areas == most:
        return Errno.ENOSPC
    if not wanted.size or wanted.alignment & (wanted.alignment - 1):
        return Errno.EINVAL
    alignment = max(wanted.alignment, least)
    if wanted.fixed and wanted.base & (alignment - 1):
        return Errno.EINVAL
    base, size = align_up(wanted.base, alignment), align_up(wanted.size, alignment)
    limit = align_down(wanted.limit, alignment)
    fixed = wanted.fixed and base != 0
    if (size >> PAGE_SHIFT) % (1 << wanted.per_bit):
        return Errno.EINVAL
    if fixed and base < highmem < base + size:
        return Errno.EINVAL
    if limit == 0 or limit > memory_end:
        limit = memory_end
    if base + size > limit:
        return Errno.EINVAL
    return Declared(base, size, limit, alignment, fixed)


@invariant(
    "large.cma.owned",
    features=("F036",),
    source="mm/cma.c:cma_alloc, cma_release",
    seed="2.1.3.2",
)
def owned(bit: bool, held: bool) -> bool:
    """A bit is set exactly while pages of it are handed out, or are being taken."""
    return bit == held


@invariant("large.cma.aligned", features=("F036",), source="mm/cma.c:cma_alloc", since="4.13", seed="2.1.3.2")
def well_placed(base: int, count: int, pfn: int, pages: int, align: int) -> bool:
    """What an area hands out lies inside it, in one piece, and begins at a page as aligned as was asked."""
    return base <= pfn and pfn + pages <= base + count and pfn & ((1 << align) - 1) == 0


RESTORED: Final = clause(
    "large.cma.restored",
    "An allocation that fails leaves bitmap, pageblock types and the number of free pages as they were.",
    features=("F036",),
    source="mm/cma.c:cma_alloc, mm/page_isolation.c:undo_isolate_page_range",
    since="3.18",
    seed="2.1.3.2",
)
LOWEST: Final = clause(
    "large.cma.lowest",
    "An area hands out its lowest aligned run of zero bits of which the pages can be emptied.",
    features=("F036",),
    source="mm/cma.c:cma_alloc",
    seed="2.1.3.2",
)
CONSERVED: Final = clause(
    "large.cma.conserved",
    "Pages that moved out of the way are in use elsewhere; no other page changes hands.",
    features=("F036",),
    source="mm/page_alloc.c:__alloc_contig_migrate_range",
    seed="2.1.3.2",
)


def zero_run(bitmap: int, bits: int, start: int, count: int, mask: int, offset: int) -> int:
    """The first aligned place at or above `start` with `count` zero bits; NOTHING when there is none.

    Requires  count > 0
    Source    lib/bitmap.c:bitmap_find_next_zero_area_off
    """
    place = aligned_place(start, mask, offset)
    while place + count <= bits:
        run = bitmap >> place & ((1 << count) - 1)
        if run == 0:
            return place
        place = aligned_place(place + run.bit_length(), mask, offset)
    return NOTHING
