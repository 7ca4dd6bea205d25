"""Sizes and alignments that the object allocators share: size classes of kmalloc, alignment of a cache.

Sizes are bytes.  A page has 4096 bytes, a pointer 8 unless a formula takes it.

Linux: include/linux/slab.h, mm/slab_common.c.  Seed 2.1.2 (F032, F033).  2.6.12 to 6.12.
"""

from typing import Final

from linuxmm.spec.arith import align_up, floor_log2, roundup_pow_of_two
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula

PAGE_SHIFT: Final = 12
PAGE_SIZE: Final = 1 << PAGE_SHIFT
POINTER: Final = 8
CACHE_LINE: Final = 64
ZERO_SIZE_PTR: Final = 16
"""What kmalloc(0) answers since 2.6.22: an address that nobody may use and kfree ignores."""
SLUB_LEAST: Final = 8
"""KMALLOC_MIN_SIZE of SLUB where DMA needs no larger alignment."""
SLAB_LEAST: Final = 32
"""KMALLOC_MIN_SIZE of SLAB where DMA needs no larger alignment."""


@formula("F012", "F033", source="include/asm-generic/getorder.h:get_order")
def get_order(size: int) -> int:
    """The order of the smallest block of pages that holds `size` bytes.

    Requires  size > 0
    """
    if size <= PAGE_SIZE:
        return 0
    return floor_log2((size - 1) >> PAGE_SHIFT) + 1


@formula("F032", "F033", source="include/linux/slab.h:kmalloc_index, __kmalloc_index; 2.6.36 to 6.12")
def kmalloc_class(size: int, least: int) -> int:
    """The size of the class that serves a request of kmalloc: a power of two, 96 or 192.

    least     KMALLOC_MIN_SIZE, a power of two: the smallest class
    Requires  size > 0
    Ensures   result >= size and result >= least; below twice the size where size > least
    """
    if size <= least:
        return least
    if least <= 32 and 64 < size <= 96:
        return 96
    if least <= 64 and 128 < size <= 192:
        return 192
    return roundup_pow_of_two(size)


@formula("F032", source="include/linux/kmalloc_sizes.h; 2.6.12 to 3.8")
def kmalloc_class_of_table(size: int, line: int) -> int:
    """The class of SLAB's old table: it begins at 32, and has 96 and 192 only where cache lines are shorter.

    line      L1_CACHE_BYTES
    Requires  size > 0
    Ensures   result >= size
    """
    if size <= SLAB_LEAST:
        return SLAB_LEAST
    if line < 64 and 64 < size <= 96:
        return 96
    if line < 128 and 128 < size <= 192:
        return 192
    return roundup_pow_of_two(size)


@behaviour(
    "objects.slub-kmalloc-largest",
    since="2.6.22",
    until="2.6.22",
    features=("F033",),
    source="include/linux/slub_def.h:KMALLOC_SHIFT_HIGH; 2.6.22",
)
def slub_largest_by_order(max_order: int) -> int:
    """The largest class of SLUB: any block of pages, up to 32 MiB; max_order: largest order of a block."""
    return 1 << min(max_order + PAGE_SHIFT, 25)


@behaviour(
    "objects.slub-kmalloc-largest",
    since="2.6.23",
    until="2.6.25",
    features=("F033",),
    source="include/linux/slub_def.h:kmalloc; read in 2.6.24, the limits of the span from memory",
)
def slub_largest_half_page(max_order: int) -> int:
    """The largest class of SLUB: half a page; larger requests go to the page allocator."""
    return PAGE_SIZE // 2


@behaviour(
    "objects.slub-kmalloc-largest",
    since="2.6.26",
    until="2.6.28",
    features=("F033",),
    source="include/linux/slub_def.h:kmalloc; read in 2.6.28, the limits of the span from memory",
)
def slub_largest_page(max_order: int) -> int:
    """The largest class of SLUB: one page."""
    return PAGE_SIZE


@behaviour(
    "objects.slub-kmalloc-largest",
    since="2.6.29",
    features=("F033",),
    source="include/linux/slab.h:KMALLOC_SHIFT_HIGH; read in 2.6.31 to 6.12, the first release from memory",
)
def slub_largest_two_pages(max_order: int) -> int:
    """The largest class of SLUB: two pages."""
    return 2 * PAGE_SIZE


@behaviour(
    "objects.slab-kmalloc-largest",
    since="2.6.12",
    until="6.0",
    features=("F032",),
    source="include/linux/slab.h:KMALLOC_SHIFT_HIGH; 3.10, 6.0; before 3.9 by table",
)
def slab_largest_by_order(max_order: int) -> int:
    """The largest class of SLAB: any block of pages, up to 32 MiB; max_order: largest order of a block."""
    return 1 << min(max_order + PAGE_SHIFT, 25)


@behaviour(
    "objects.slab-kmalloc-largest",
    since="6.1",
    until="6.7",
    features=("F032",),
    source="include/linux/slab.h:KMALLOC_SHIFT_HIGH; 6.1",
)
def slab_largest_two_pages(max_order: int) -> int:
    """The largest class of SLAB: two pages, as SLUB's."""
    return 2 * PAGE_SIZE


@formula("F033", source="mm/slub.c:kmalloc_large_node; mm/slab_common.c")
def kmalloc_granted(size: int, least: int, largest: int) -> int:
    """Bytes that kmalloc reserves for a request: its class, or whole pages of a power of two.

    Requires  size > 0; largest is a class
    """
    if size <= largest:
        return kmalloc_class(size, least)
    return PAGE_SIZE << get_order(size)


@formula("F033", source="mm/slab_common.c:calculate_alignment; 2.6.24 to 6.12")
def calculate_alignment(size: int, align: int, line: int, hwcache: bool) -> int:
    """The alignment of a cache's objects; SLAB_HWCACHE_ALIGN asks for as much of a cache line as is used.

    align, line  what the creator asks for (a power of two, or 0); bytes of a cache line
    Requires  size > 0
    Ensures   a power of two, at least a pointer's size
    """
    if hwcache:
        wanted = line
        while size <= wanted // 2:
            wanted //= 2
        align = max(align, wanted)
    return align_up(max(align, POINTER), POINTER)


@formula("F033", source="mm/slub.c:calculate_alignment; 2.6.22")
def calculate_alignment_all_or_nothing(size: int, align: int, line: int, hwcache: bool) -> int:
    """The alignment of a cache's objects: a whole cache line if the object fills more than half of one.

    Ensures   a power of two, at least a pointer's size
    """
    if hwcache and size > line // 2:
        return max(align, line)
    return align_up(max(align, POINTER), POINTER)
