"""Page tables of an address space: found, provided, freed, through one walk for every depth.

The walk is the generic one of five levels; a level that the format lacks costs nothing.  Tables are frames of
the page allocator, zeroed, one page each, and counted.

Linux: mm/memory.c (free_pgtables, __pte_alloc), include/linux/pgtable.h.  Seed 2.3.1 (F040, F059).
2.6.11 to 6.12; kernels before folded by hand.
"""

from collections.abc import Iterator

from linuxmm.hardware.bus import Bus, load_entry, store_entry
from linuxmm.hardware.tables import split_leaf
from linuxmm.model.vm.state import (
    NOTHING,
    Pages,
    bus_of,
    count_table,
    emptied,
    entry,
    flushing,
    forget_mm,
    give_frame,
    mm_at,
    new_mm,
    take_zeroed,
    with_bus,
    with_entry,
)
from linuxmm.spec.registry import verb
from linuxmm.spec.vm.folding import PGD, PMD, PTE, boundary, hardware_level, is_folded, is_table_free
from linuxmm.spec.vm.x86_entry import LARGE, PRESENT, leaf_base, table_base, table_entry
from linuxmm.spec.vm.x86_format import X86Format, entry_address, index_of, level_shift
from linuxmm.spec.vocabulary import PAGE_SIZE

# ---- the walk, on the primitives of memory alone ---------------------------------------------------------


def pgd_offset(fmt: X86Format, root: int, va: int) -> int:
    """Address of the top entry for `va`."""
    return entry_address(fmt, root, va, fmt.top)


def offset(fmt: X86Format, bus: Bus, at: int, va: int, level: int) -> tuple[Bus, int]:
    """Address of the entry of a generic `level` for `va`, given that of the level above (p4d_offset, ...).

    Requires  level is folded, or the entry at `at` points at a table
    """
    if is_folded(fmt, level):
        return bus, at
    bus, above, _ = load_entry(bus, at, 1 << fmt.entry_shift)
    return bus, entry_address(fmt, table_base(above), va, level)


def missing(fmt: X86Format, bus: Bus, at: int, level: int) -> tuple[Bus, bool]:
    """Whether the entry at `at` leads to no table of `level` below it (pgd_none, p4d_none and so on).

    A folded level is never missing; a large leaf leads to none.
    """
    if is_folded(fmt, level):
        return bus, False
    bus, above, _ = load_entry(bus, at, 1 << fmt.entry_shift)
    may_be_leaf = fmt.leaf_levels >> hardware_level(fmt, level + 1) & 1 == 1
    return bus, above & PRESENT == 0 or (may_be_leaf and above & LARGE != 0)


def generic_find(fmt: X86Format, bus: Bus, root: int, va: int, level: int) -> tuple[Bus, int]:
    """Address of the entry of a generic level for `va`; NOTHING where a table on the way is missing."""
    at = pgd_offset(fmt, root, va)
    below = PGD
    while below > level:
        below -= 1
        bus, absent = missing(fmt, bus, at, below)
        if absent:
            return bus, NOTHING
        bus, at = offset(fmt, bus, at, va, below)
    return bus, at


def link(fmt: X86Format, bus: Bus, at: int, level: int, frame: int) -> Bus:
    """Make the entry at `at` point at a table of a generic `level` in `frame` (pud_populate and so on).

    Requires  `level` is not folded; the frame is zeroed and used by nothing
    """
    return store_entry(
        bus, at, 1 << fmt.entry_shift, table_entry(fmt, hardware_level(fmt, level + 1), frame << 12)
    )


# ---- finding and providing -------------------------------------------------------------------------------


@verb("F040", "F059", source="include/linux/pgtable.h:pgd_offset to pte_offset_kernel; mm/pagewalk.c")
def find(pages: Pages, space: int, va: int, level: int = PTE) -> int:
    """Address of the entry of a generic level for `va`; NOTHING where a table on the way is missing."""
    return generic_find(pages.format, bus_of(pages), mm_at(pages, space).root, va, level)[1]


def create(pages: Pages, space: int) -> tuple[Pages, bool]:
    """A new address space without pages; False when no frame is left for its root.

    Source    kernel/fork.c:mm_alloc_pgd
    """
    pages, frame = take_zeroed(pages)
    if frame == NOTHING:
        return pages, False
    return new_mm(pages, space, frame * PAGE_SIZE), True


@verb("F040", "F059", source="mm/memory.c:__p4d_alloc, __pud_alloc, __pmd_alloc, __pte_alloc")
def provide(pages: Pages, space: int, va: int, level: int = PTE) -> tuple[Pages, int]:
    """Address of the entry of a generic level, with the tables on the way; NOTHING when frames run out.

    Ensures   tables that were there stay; those added are zeroed, and counted; they stay when frames run out
    """
    fmt = pages.format
    at = pgd_offset(fmt, mm_at(pages, space).root, va)
    for below in range(PGD - 1, level - 1, -1):
        if is_folded(fmt, below):
            continue
        above = entry(pages, at)
        if above & PRESENT == 0:
            pages, frame = take_zeroed(pages)
            if frame == NOTHING:
                return pages, NOTHING
            pages = with_bus(pages, link(fmt, bus_of(pages), at, below, frame))
            pages = count_table(pages, space, below, 1)
            above = entry(pages, at)
        at = entry_address(fmt, table_base(above), va, below)
    return pages, at


def leaves(pages: Pages, space: int, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(address, address of its entry, entry) of the page-table entries of a range that say something."""
    if start < end:
        yield from _leaves_below(pages, mm_at(pages, space).root, PGD, start, end)


def _leaves_below(
    pages: Pages, table: int, level: int, start: int, end: int
) -> Iterator[tuple[int, int, int]]:
    """Those below a table of a generic level that is not folded, which serves the whole range."""
    fmt = pages.format
    depth = hardware_level(fmt, level)
    shift = level_shift(fmt, depth)
    first = index_of(fmt, start, depth)
    base = (start >> shift << shift) - (first << shift)
    for number, value in said(
        pages, table + first * pages.entry_size, index_of(fmt, end - 1, depth) - first + 1
    ):
        va = base + (first + number << shift)
        if level == PTE:
            yield va, table + (first + number) * pages.entry_size, value
        elif value & PRESENT and not value & LARGE:
            below = next_level(fmt, level)
            yield from _leaves_below(
                pages, table_base(value), below, max(start, va), min(end, va + (1 << shift))
            )


def next_level(fmt: X86Format, level: int) -> int:
    """The next generic level below that is not folded."""
    below = level - 1
    while is_folded(fmt, below):
        below -= 1
    return below


def said(pages: Pages, at: int, most: int) -> Iterator[tuple[int, int]]:
    """(number, entry) of those of `most` entries from `at` on, in one table, that say something."""
    frame = pages.memory.frames.get(at // PAGE_SIZE)
    if frame is None:
        return
    first = at % PAGE_SIZE
    part = memoryview(frame)[first : first + most * pages.entry_size]
    words = part.cast("I") if pages.entry_size == 4 else part.cast("Q")
    for number, value in enumerate(words):
        if value:
            yield number, value


# ---- freeing ---------------------------------------------------------------------------------------------


@verb("F040", "F059", source="mm/memory.c:free_pgd_range, free_p4d_range, free_pud_range, free_pmd_range")
def free_tables(pages: Pages, space: int, start: int, end: int, floor: int = 0, ceiling: int = 0) -> Pages:
    """Free the tables of a range that serve no other area.

    floor, ceiling  where the area before ends and the one after starts; 0 for none
    Requires  no entry of the range maps anything
    Ensures   a table is given back after it was unlinked and then flushed, for a CPU may hold a pointer to it
    """
    if start >= end:
        return pages
    unlinked: list[tuple[int, int]] = []
    pages = _unlink_below(pages, mm_at(pages, space).root, PGD, (start, end), (floor, ceiling), unlinked)
    if unlinked:
        pages = flushing(pages, space, start, end)
    for table, level in unlinked:
        pages = _give_table(pages, space, table, level)
    return pages


def _unlink_below(
    pages: Pages,
    table: int,
    level: int,
    part: tuple[int, int],
    limits: tuple[int, int],
    unlinked: list[tuple[int, int]],
) -> Pages:
    """Unlink what hangs below the entries of one table of a generic level, and add it to `unlinked`."""
    fmt, (va, end) = pages.format, part
    below = next_level(fmt, level)
    span = 1 << level_shift(fmt, hardware_level(fmt, level))
    while va < end:
        stop = boundary(fmt, level, va, end)
        at = entry_address(fmt, table, va, hardware_level(fmt, level))
        value = entry(pages, at)
        if value & PRESENT and not value & LARGE:
            if below > PTE:
                pages = _unlink_below(pages, table_base(value), below, (va, stop), limits, unlinked)
            if is_table_free(va & -span, span, *limits):
                pages = with_entry(pages, at, 0)
                unlinked.append((table_base(value), below))
        va = stop
    return pages


def _give_table(pages: Pages, space: int, table: int, level: int) -> Pages:
    pages = emptied(pages, table // PAGE_SIZE)
    return count_table(give_frame(pages, table // PAGE_SIZE), space, level, -1)


def destroy(pages: Pages, space: int) -> Pages:
    """Free the root of an address space of which nothing else is left.

    Source    kernel/fork.c:__mmdrop
    """
    mm = mm_at(pages, space)
    if any(mm.counters.tables):
        raise ValueError(f"address space {space} still has tables: {mm.counters.tables}")
    frame = mm.root // PAGE_SIZE
    return forget_mm(give_frame(emptied(pages, frame), frame), space)


# ---- large leaves ----------------------------------------------------------------------------------------


@verb("F040", "F056", source="mm/huge_memory.c:__split_huge_pmd_locked")
def split(pages: Pages, space: int, va: int, level: int = PMD) -> tuple[Pages, bool]:
    """Replace the large leaf of a generic level over `va` by a table; False when no frame is left for it.

    Ensures   every translation is as before
    """
    at = find(pages, space, va, level)
    pages, frame = take_zeroed(pages)
    if frame == NOTHING:
        return pages, False
    bus = split_leaf(pages.format, bus_of(pages), at, hardware_level(pages.format, level), frame << 12)
    return count_table(with_bus(pages, bus), space, level - 1, 1), True


@verb("F040", "F056", source="mm/khugepaged.c:collapse_huge_page")
def collapse(pages: Pages, space: int, va: int) -> tuple[Pages, bool]:
    """Replace a page table whose entries map consecutive frames alike by a large leaf; False if they do not.

    Ensures   every translation is as before; accessed and dirty are those of any entry
    """
    fmt, size = pages.format, pages.entry_size
    at = find(pages, space, va, PMD)
    table = table_base(entry(pages, at))
    entries = [entry(pages, table + index * size) for index in range(1 << fmt.index_bits)]
    marks = 0x60
    base = leaf_base(fmt, entries[0], 0)
    alike = all(
        each & ~marks == (entries[0] & ~marks) + index * PAGE_SIZE for index, each in enumerate(entries)
    )
    if not alike or entries[0] & PRESENT == 0 or base & ((1 << level_shift(fmt, 1)) - 1):
        return pages, False
    leaf = entries[0] | LARGE
    for each in entries:
        leaf |= each & marks
    return _give_table(with_entry(pages, at, leaf), space, table, PTE), True
