"""SLOB's formulas: units, lists and headers.

A page is divided in units; free blocks of a page are linked in the order of their addresses.  A block of
kmalloc carries its size in front.

Linux: mm/slob.c.  Seed 2.1.2.3 (F034).  2.6.16 to 6.3.
"""

from typing import Final

from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.objects.sizes import PAGE_SIZE, get_order
from linuxmm.spec.registry import formula

UNIT: Final = 2
"""SLOB_UNIT since 2.6.23, with pages of up to 64 KiB: a 16-bit count, or a 16-bit offset."""
UNITS: Final = PAGE_SIZE // UNIT
SMALL: Final = 0
MEDIUM: Final = 1
LARGE: Final = 2
BREAK_SMALL: Final = 256
BREAK_MEDIUM: Final = 1024


@formula("F034", source="mm/slob.c:SLOB_UNITS")
def units_of(size: int) -> int:
    """Units that hold `size` bytes.

    Ensures   result * UNIT >= size
    """
    return (size + UNIT - 1) // UNIT


@behaviour(
    "objects.slob-lists",
    since="2.6.23",
    until="2.6.24",
    features=("F034",),
    source="mm/slob.c:slob_alloc; read in 2.6.24, the first release from memory",
)
def one_list(size: int) -> int:
    """The list whose pages serve a request: there is but one."""
    return SMALL


@behaviour(
    "objects.slob-lists",
    since="2.6.25",
    until="6.3",
    features=("F034",),
    source="mm/slob.c:slob_alloc; read in 2.6.28 to 6.1, the first release from memory",
)
def three_lists(size: int) -> int:
    """The list whose pages serve a request: small, medium or large ones."""
    return SMALL if size < BREAK_SMALL else MEDIUM if size < BREAK_MEDIUM else LARGE


@behaviour(
    "objects.slob-freed-list",
    since="2.6.23",
    until="2.6.35",
    features=("F034",),
    source="mm/slob.c:slob_free; read in 2.6.24 to 2.6.35",
)
def freed_to_small(size: int) -> int:
    """The list that a full page joins when a block of it comes back: that of small ones, whatever it was."""
    return SMALL


@behaviour(
    "objects.slob-freed-list",
    since="2.6.36",
    until="6.3",
    features=("F034",),
    source="mm/slob.c:slob_free; read in 2.6.36 to 6.1",
)
def freed_by_size(size: int) -> int:
    """The list that a full page joins when a block of it comes back: by the size of that block."""
    return three_lists(size)


@behaviour(
    "objects.slob-kmalloc-align",
    since="2.6.23",
    until="5.3",
    features=("F034",),
    source="mm/slob.c:__do_kmalloc_node; read to 5.3",
)
def kmalloc_align_least(size: int, least: int) -> int:
    """The alignment of an object of kmalloc in bytes: the architecture's."""
    return least


@behaviour(
    "objects.slob-kmalloc-align",
    since="5.4",
    until="6.3",
    features=("F034",),
    source="mm/slob.c:__do_kmalloc_node; 5.4 to 6.1",
)
def kmalloc_align_natural(size: int, least: int) -> int:
    """The alignment of an object of kmalloc in bytes: its size, if that is a power of two.

    Requires  size > 0
    """
    return max(least, size) if size & (size - 1) == 0 else least


@formula("F034", source="mm/slob.c:__do_kmalloc_node; 2.6.23 to 6.3")
def kmalloc_bytes(size: int, header: int) -> int:
    """Bytes that a request of kmalloc takes: with its header, or whole pages from a page less a header on.

    header    bytes in front of the object: its alignment, 8 on x86-64
    Requires  size > 0
    """
    if size < PAGE_SIZE - header:
        return units_of(size + header) * UNIT
    return PAGE_SIZE << get_order(size)


@formula("F034", source="mm/slob.c:ksize")
def usable_bytes(size: int) -> int:
    """What ksize answers for an object of a heap page."""
    return units_of(size) * UNIT


@formula("F034", source="mm/slob.c:slob_page_alloc")
def fragment(start: int, align: int, offset: int) -> int:
    """Units between a free block and the first place in it where an object may begin.

    start   of the block, in units from the page's start
    align   in units, at least 1; offset  the place that is aligned is this many units into the block taken
    Ensures   (start + result + offset) is a multiple of align and 0 <= result < align
    """
    return (align - (start + offset) % align) % align


@invariant("objects.slob.ordered", features=("F034",), seed="2.1.2.3", source="mm/slob.c:slob_free")
def block_ordered(start: int, units: int, following: int) -> bool:
    """A free block ends before the next one of its page begins, and does not touch it."""
    return units > 0 and start + units < following


@invariant("objects.slob.inside", features=("F034",), seed="2.1.2.3", source="mm/slob.c:slob_last")
def block_inside(start: int, units: int, total: int) -> bool:
    """A free block lies in its page."""
    return start >= 0 and units > 0 and start + units <= total
