"""vmalloc's formulas: sizes with their guard, alignments, fits, limits; and what areas always satisfy.

An area is a half-open range of kernel addresses, guard page included.  A hole is a range that is free to use.

Linux: mm/vmalloc.c.  Seed 2.1.3.1 (F035).  2.4 to 6.12.
"""

from typing import Final

from linuxmm.spec.arith import align_up, clamp, floor_log2, roundup_pow_of_two
from linuxmm.spec.invariant import clause, invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula
from linuxmm.spec.vocabulary import PAGE_SHIFT, PAGE_SIZE

NOTHING: Final = -1
IOREMAP_MAX_SHIFT: Final = 7 + PAGE_SHIFT
"""IOREMAP_MAX_ORDER where an architecture says nothing else; x86-64 says 30, i386 22."""
NO_FIT: Final = 0
FULL: Final = 1
LEFT_EDGE: Final = 2
RIGHT_EDGE: Final = 3
NO_EDGE: Final = 4
VMAP_MAX_ALLOC: Final = 64
POOL_SIZES: Final = 256
BULK_MOST: Final = 100


@formula("F035", source="mm/vmalloc.c:__get_vm_area_node")
def area_size(size: int, guarded: bool) -> int:
    """Bytes of addresses that `size` bytes take: whole pages, and the guard page behind them."""
    pages = align_up(size, PAGE_SIZE)
    return pages + PAGE_SIZE if guarded else pages


@behaviour(
    "large.ioremap-align",
    since="2.4.0",
    until="2.5.999",
    features=("F035",),
    source="mm/vmalloc.c:get_vm_area; 2.4, from memory",
)
def ioremap_align_none(size: int, most: int) -> int:
    """The alignment of a mapping of device memory: whole pages."""
    return PAGE_SIZE


@behaviour(
    "large.ioremap-align",
    since="2.6.0",
    until="4.9",
    features=("F035",),
    source="mm/vmalloc.c:__get_vm_area_node; read in 2.6.24, the first and the last release from memory",
)
def ioremap_align_doubled(size: int, most: int) -> int:
    """The alignment of a mapping of device memory: the power of two above its size.

    Requires  size > 0;  most  the shift that it never exceeds
    """
    return 1 << clamp(floor_log2(size) + 1, PAGE_SHIFT, most)


@behaviour(
    "large.ioremap-align",
    since="4.10",
    features=("F035",),
    source="mm/vmalloc.c:__get_vm_area_node; read in 6.1 and 6.12, the first release from memory",
)
def ioremap_align_order(size: int, most: int) -> int:
    """The alignment of a mapping of device memory: the least power of two that holds it.

    Requires  size > 0
    """
    return 1 << clamp(floor_log2(roundup_pow_of_two(size)), PAGE_SHIFT, most)


@formula("F035", source="mm/vmalloc.c:is_within_this_va; 5.2 to 6.12")
def placed(hole_start: int, align: int, vstart: int) -> int:
    """The first aligned address of a hole at or above `vstart`.

    Requires  align is a power of two
    """
    return align_up(max(hole_start, vstart), align)


@formula("F035", source="mm/vmalloc.c:is_within_this_va; 5.2 to 6.12")
def fits(hole_start: int, hole_end: int, size: int, align: int, vstart: int) -> bool:
    """Whether an area fits a hole, aligned and at or above `vstart`."""
    return placed(hole_start, align, vstart) + size <= hole_end


@formula("F035", source="mm/vmalloc.c:__alloc_vmap_area; 5.18 to 6.12")
def search_length(size: int, align: int, vstart: int, vend: int) -> int:
    """How long a hole must be for the search to go down to it: long enough wherever it begins."""
    if align <= PAGE_SIZE or vend - vstart == size:
        return size
    return size + align - 1


@formula("F035", source="mm/vmalloc.c:classify_va_fit_type; 5.2 to 6.12")
def fit_type(hole_start: int, hole_end: int, start: int, size: int) -> int:
    """How an area lies in a hole: all of it, at its left edge, at its right edge, or inside."""
    if start < hole_start or start + size > hole_end:
        return NO_FIT
    if start == hole_start:
        return FULL if start + size == hole_end else LEFT_EDGE
    return RIGHT_EDGE if start + size == hole_end else NO_EDGE


@formula("F035", source="mm/vmalloc.c:compute_subtree_max_size, RB_DECLARE_CALLBACKS_MAX; 5.2 to 6.12")
def largest_below(own: int, left: int, right: int) -> int:
    """The size of the largest hole of a subtree: its root's own, or that of one of its children."""
    return max(own, max(left, right))


@formula("F035", source="mm/vmalloc.c:lazy_max_pages; 2.6.28 to 6.12")
def lazy_max_pages(cpus: int) -> int:
    """Pages of unmapped addresses that may wait for a flush: 32 MiB for each bit of the number of CPUs.

    Requires  cpus > 0 are online
    """
    return (floor_log2(cpus) + 1) * ((32 << 20) >> PAGE_SHIFT)


@formula("F035", source="mm/vmalloc.c:VMAP_BBMAP_BITS; 2.6.28 to 6.12")
def vmap_block_pages(word: int, cpus: int) -> int:
    """Pages of a CPU's block of addresses.

    word  bits of a long;  cpus  NR_CPUS
    Ensures   a power of two, at least twice the largest piece, at most 1024
    """
    space = (128 << 20) if word == 32 else (128 << 30)
    share = (space >> PAGE_SHIFT) // roundup_pow_of_two(cpus) // 16
    return min(1024, max(2 * word, share))


@formula("F035", source="mm/vmalloc.c:vb_alloc; 2.6.28 to 6.12")
def piece_pages(count: int) -> int:
    """Pages of a block that a mapping of `count` pages takes.

    Requires  count > 0
    """
    return roundup_pow_of_two(count)


@formula("F035", source="mm/vmalloc.c:addr_to_node_id; 6.9 to 6.12")
def node_of(address: int, nodes: int) -> int:
    """The vmap node that keeps the busy area at an address: zones of 16 pages go round the nodes."""
    return address // (16 << PAGE_SHIFT) % nodes


@formula("F035", source="mm/vmalloc.c:vmap_init_nodes; 6.9 to 6.12")
def vmap_nodes(cpus: int) -> int:
    """How many vmap nodes a 64-bit machine has: one for each possible CPU, up to 128."""
    return clamp(cpus, 1, 128)


@formula("F035", source="mm/vmalloc.c:__vmalloc_node_range; 5.13 to 6.12")
def huge_shift(size: int, nodes: int, anywhere: bool, pmd_shift: int) -> int:
    """The page size, as a shift, that a mapping which may be huge is tried with first.

    nodes  online;  anywhere  the pages may come from all of them
    """
    share = size // nodes if anywhere else size
    return pmd_shift if share >= 1 << pmd_shift else PAGE_SHIFT


# ---- what always holds -----------------------------------------------------------------------------------


@invariant(
    "large.vmalloc.disjoint",
    features=("F035",),
    source="mm/vmalloc.c:__insert_vmap_area, find_va_links",
    seed="2.1.3.1",
)
def apart(lower_end: int, upper_start: int) -> bool:
    """Two areas share no address: the lower one ends where the upper one begins, or below."""
    return lower_end <= upper_start


@invariant(
    "large.vmalloc.guard",
    features=("F035",),
    source="mm/vmalloc.c:__get_vm_area_node",
    seed="2.1.3.1",
)
def guard_kept(end: int, last_mapped_end: int) -> bool:
    """Behind the pages of an area with a guard stands one page that is not mapped."""
    return last_mapped_end + PAGE_SIZE <= end


@invariant(
    "large.vmalloc.flushed",
    features=("F035",),
    source="mm/vmalloc.c:__purge_vmap_area_lazy",
    seed="2.1.3.1",
)
def reusable(free: bool, stale: bool) -> bool:
    """An address becomes free only after a flush that followed its unmapping."""
    return not (free and stale)


@invariant(
    "large.vmalloc.augmented",
    features=("F035",),
    source="mm/vmalloc.c:augment_tree_propagate_check",
    since="5.2",
    seed="2.1.3.1",
)
def augmented(noted: int, own: int, left: int, right: int) -> bool:
    """Each node of the tree of holes knows the size of the largest hole below it."""
    return noted == largest_below(own, left, right)


@invariant("large.vmalloc.block", features=("F035",), source="mm/vmalloc.c:struct vmap_block", since="2.6.28")
def block_counts(pages: int, free: int, dirty: int) -> bool:
    """The pieces of a CPU's block that are free and those that came back are no more than all of it."""
    return free >= 0 and dirty >= 0 and free + dirty <= pages


LOWEST: Final = clause(
    "large.vmalloc.lowest",
    "An area takes the lowest hole that fits it; with an alignment above a page, a hole not above the first "
    "one that fits it wherever it begins.",
    features=("F035",),
    source="mm/vmalloc.c:find_vmap_lowest_match, alloc_vmap_area",
    seed="2.1.3.1",
)
TILED: Final = clause(
    "large.vmalloc.tiled",
    "Areas in use, areas that wait for a flush, and holes together are all addresses, each once.",
    features=("F035",),
    source="mm/vmalloc.c:free_vmap_area_list",
    seed="2.1.3.1",
)
PAGES: Final = clause(
    "large.vmalloc.pages",
    "A mapping has all of its pages or does not exist; what was taken for one that failed is given back.",
    features=("F035",),
    source="mm/vmalloc.c:__vmalloc_area_node",
    seed="2.1.3.1",
)


def lowest_start(holes: tuple[tuple[int, int], ...], size: int, align: int, vstart: int, vend: int) -> int:
    """Where the lowest hole that fits begins to be used; NOTHING when none does.

    holes  in the order of addresses
    """
    for start, end in holes:
        if fits(start, min(end, vend), size, align, vstart):
            return placed(start, align, vstart)
    return NOTHING


def permitted_starts(
    holes: tuple[tuple[int, int], ...], size: int, align: int, vstart: int, vend: int
) -> tuple[int, ...]:
    """Every place where an area may come to stand, lowest first (clause `large.vmalloc.lowest`).

    The tree's shape decides between them when the alignment is above a page.
    """
    length = search_length(size, align, vstart, vend)
    found: list[int] = []
    for start, end in holes:
        if fits(start, min(end, vend), size, align, vstart):
            found.append(placed(start, align, vstart))
            if length == size or min(end, vend) - max(start, vstart) >= length:
                break
    return tuple(found)


def surely_found(holes: tuple[tuple[int, int], ...], size: int, align: int, vstart: int, vend: int) -> int:
    """A place that an area does not come to stand above, when these holes, or larger ones, are there.

    The first hole that fits wherever it begins: the search never goes to the right of such a one.  NOTHING
    when there is none.
    Ensures   with an alignment of a page or less, the lowest place
    """
    length = search_length(size, align, vstart, vend)
    for start, end in holes:
        whole = min(end, vend) - max(start, vstart) >= length
        if whole and fits(start, min(end, vend), size, align, vstart):
            return placed(start, align, vstart)
    return NOTHING


def holes_between(taken: tuple[tuple[int, int], ...], vstart: int, vend: int) -> tuple[tuple[int, int], ...]:
    """What is left of an address space, lowest first.

    taken  ranges in use or waiting, in any order; none overlaps another
    """
    found: list[tuple[int, int]] = []
    at = vstart
    for start, end in sorted(taken):
        if at < min(start, vend):
            found.append((at, min(start, vend)))
        at = max(at, end)
    return (*found, (at, vend)) if at < vend else tuple(found)


TOP_DOWN: Final = clause(
    "large.vmalloc.top-down",
    "Areas of a chunk of per-CPU memory stand together at the highest base at which there is room for each.",
    features=("F035",),
    source="mm/vmalloc.c:pcpu_get_vm_areas, pvm_determine_end_from_reverse",
    seed="2.1.3.1",
)


def top_down_base(
    holes: tuple[tuple[int, int], ...], areas: tuple[tuple[int, int], ...], align: int, vend: int
) -> int:
    """The base at which areas that belong together come to stand; NOTHING when there is no room.

    areas     (offset from the base, bytes), multiples of `align`, a power of two, and apart
    Ensures   a multiple of `align`; every area lies in a hole below `vend`; no higher base has room
    Source    mm/vmalloc.c:pcpu_get_vm_areas; 5.2 to 6.12
    """
    top = vend & -align
    bases = {(min(end, top) & -align) - offset - size for _, end in holes for offset, size in areas}
    for base in sorted(bases, reverse=True):
        if base >= 0 and all(_has_room(holes, base + offset, size, top) for offset, size in areas):
            return base
    return NOTHING


def _has_room(holes: tuple[tuple[int, int], ...], start: int, size: int, top: int) -> bool:
    return start + size <= top and any(low <= start and start + size <= high for low, high in holes)
