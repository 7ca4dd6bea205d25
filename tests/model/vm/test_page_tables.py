"""Page tables of every depth: provided, found, freed and counted, through the one generic walk."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.hardware.bus import Bus
from linuxmm.hardware.memory import ZEROS
from linuxmm.hardware.table_format import Access, X86Tables
from linuxmm.model.vm.state import NOTHING, Pages, entry, small_pages, with_entry
from linuxmm.model.vm.table import collapse, create, destroy, find, free_tables, leaves, provide, split
from linuxmm.spec.vm.folding import PGD, PMD, PTE, PUD, entries_of, is_folded
from linuxmm.spec.vm.mapping import one_owner
from linuxmm.spec.vm.x86_entry import PRESENT, table_base
from linuxmm.spec.vm.x86_format import FORMATS, I386, X86_64, X86Format, level_shift

EACH = pytest.mark.parametrize("fmt", list(FORMATS.values()), ids=list(FORMATS))
PAGE = 4096
LEAF = 0x1234_067


def machine(fmt: X86Format, frames: int = 40) -> Pages:
    """One address space without tables."""
    pages, made = create(small_pages(frames, fmt), 1)
    assert made
    return pages


def addresses(fmt: X86Format) -> list[int]:
    """Pages of the lower half, near and far from each other."""
    top = (1 << (fmt.va_bits - 1)) - PAGE
    return [0, PAGE, 1 << level_shift(fmt, 1), (1 << level_shift(fmt, fmt.top)) - PAGE, top - PAGE, top]


def pointers(pages: Pages, table: int, level: int) -> list[tuple[int, int]]:
    """(entry, table) of every entry that points at a table, from a table of a hardware level on."""
    found: list[tuple[int, int]] = []
    for at in range(table, table + PAGE, pages.entry_size):
        value = entry(pages, at)
        if level and value & PRESENT and not value & 0x80:
            found += [(at, table_base(value)), *pointers(pages, table_base(value), level - 1)]
    return found


@EACH
def test_levels_that_are_missing_are_folded(fmt: X86Format) -> None:
    total = 1
    for level in range(PTE, PGD + 1):
        assert is_folded(fmt, level) == (fmt.top <= level < PGD)
        total *= entries_of(fmt, level)
    assert total * PAGE == 1 << fmt.va_bits


@EACH
def test_one_page_takes_a_table_for_each_level_below_the_root(fmt: X86Format) -> None:
    pages, at = provide(machine(fmt), 1, 0x7000)
    assert at != NOTHING
    assert find(pages, 1, 0x7000) == at
    assert sum(pages.mms[1].counters.tables) == fmt.top
    assert pages.tables == fmt.top + 1
    assert provide(pages, 1, 0x7000) == (pages, at)


@EACH
def test_frames_may_run_out_on_the_way(fmt: X86Format) -> None:
    before = machine(fmt, 1 + fmt.top)
    pages, at = provide(before, 1, 0x7000)
    assert at == NOTHING
    assert sum(pages.mms[1].counters.tables) == fmt.top - 1
    assert free_tables(pages, 1, 0x7000, 0x8000).mms == before.mms


@EACH
@settings(max_examples=12, deadline=None)
@given(places=st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_tables_have_one_owner_and_go_when_no_area_needs_them(fmt: X86Format, places: list[int]) -> None:
    start = machine(fmt)
    pages, mapped = start, {}
    for place in places:
        va = addresses(fmt)[place]
        pages, at = provide(pages, 1, va)
        pages = with_entry(pages, at, LEAF)
        mapped[va] = at
        for known in addresses(fmt):
            reached = find(pages, 1, known)
            assert (reached != NOTHING and entry(pages, reached) == LEAF) == (known in mapped)
    links = pointers(pages, pages.mms[1].root, fmt.top)
    assert one_owner(links)
    assert len(links) == sum(pages.mms[1].counters.tables) == pages.tables - 1
    end = 1 << (fmt.va_bits - 1)
    assert list(leaves(pages, 1, 0, end)) == [(va, mapped[va], LEAF) for va in sorted(mapped)]
    for at in mapped.values():
        pages = with_entry(pages, at, 0)
    pages = free_tables(pages, 1, 0, end)
    assert (pages.mms, pages.tables, pages.memory) == (start.mms, start.tables, start.memory)
    assert destroy(pages, 1).tables == 0


@EACH
def test_a_table_beside_an_area_stays(fmt: X86Format) -> None:
    pages, _ = provide(machine(fmt), 1, 0x7000)
    assert free_tables(pages, 1, 0x7000, 0x8000, floor=0x5000) == pages
    assert free_tables(pages, 1, 0x7000, 0x8000, ceiling=0x9000) == pages
    span = 1 << level_shift(fmt, 1)
    freed = free_tables(pages, 1, 0x7000, 0x8000, ceiling=span)
    assert sum(freed.mms[1].counters.tables) == fmt.top - 1


def test_a_space_with_tables_is_not_destroyed() -> None:
    pages, _ = provide(machine(I386), 1, 0)
    with pytest.raises(ValueError, match=r"address space 1 still has tables: \(1, 0, 0, 0\)"):
        destroy(pages, 1)


@EACH
def test_split_and_collapse_translate_alike(fmt: X86Format) -> None:
    pages, at = provide(machine(fmt), 1, 0, PMD)
    before = with_entry(pages, at, (1 << level_shift(fmt, 1)) | 0xE7)
    assert find(before, 1, 0) == NOTHING
    pages, done = split(before, 1, 0)
    assert done
    assert pages.mms[1].counters.tables[PTE] == before.mms[1].counters.tables[PTE] + 1
    for va in (0, 0x3123, (1 << level_shift(fmt, 1)) - 1):
        results = [
            X86Tables(fmt, pages.control, state.mms[1].root).translate(Bus(state.memory), Access(va)).result
            for state in (before, pages)
        ]
        addresses = [getattr(result, "address", None) for result in results]
        assert addresses[0] == addresses[1] == (1 << level_shift(fmt, 1)) + va
    again, done = collapse(pages, 1, 0)
    assert done
    assert again == before
    odd = with_entry(pages, find(pages, 1, 0x3000), 0)
    assert collapse(odd, 1, 0) == (odd, False)


def test_a_root_needs_a_frame() -> None:
    assert create(small_pages(1), 1)[1] is False
    pages, _ = provide(machine(X86_64), 1, 0, PUD)
    assert pages.mms[1].counters.tables == (0, 0, 1, 0)
    assert pages.memory.frames.get(pages.zero, ZEROS) == ZEROS
