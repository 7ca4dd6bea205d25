"""Tables of every x86 format mean what the specification says after any mapping, clearing and splitting."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map

from linuxmm.hardware.bus import Bus
from linuxmm.hardware.memory import Range, physical_memory, read_word
from linuxmm.hardware.table_format import Access, PageFault, Translated, X86Tables
from linuxmm.hardware.tables import clear_leaf, map_leaf, split_leaf
from linuxmm.spec.vm.mapping import (
    AddressMap,
    MapPage,
    Mapping,
    Operation,
    SplitPage,
    UnmapPage,
    after,
    one_owner,
    permits,
    refusals,
)
from linuxmm.spec.vm.x86_entry import NX, READ, Control
from linuxmm.spec.vm.x86_format import FORMATS, I386, X86Format, canonical, entry_address, level_shift

ROOT = 0x1000
CONTROL = Control(smap=False)


def pages_of(fmt: X86Format) -> list[int]:
    """Page numbers, of canonical addresses: two tables of the lower half, one of the upper."""
    large = 1 << (fmt.index_bits)
    top = canonical(fmt, (1 << fmt.va_bits) - 4096) >> 12
    return [0, 1, 2, large - 1, large, large + 1, top - 1, top]


def meaning(fmt: X86Format, bus: Bus) -> AddressMap:
    """What the tables mean at the pages of interest."""
    pages: Map[int, Mapping] = Map()
    tables = X86Tables(fmt, CONTROL, ROOT)
    for page in pages_of(fmt):
        found = tables.translate(bus, Access(page << 12, READ, user=False)).result
        if isinstance(found, Translated):
            said = Mapping(found.address >> 12, found.writable, found.user, found.executable, found.global_)
            pages = pages.set(page, said)
        else:
            assert isinstance(found, PageFault)
    return AddressMap(pages)


def pointers(fmt: X86Format, bus: Bus) -> list[tuple[int, int]]:
    """Entries that lead to tables on the way of the pages of interest."""
    found: set[tuple[int, int]] = set()
    for page in pages_of(fmt):
        path = X86Tables(fmt, CONTROL, ROOT).path(bus, page << 12)
        for (level, at), (_, below) in pairwise(path):
            word = read_word(bus.memory, at, 1 << fmt.entry_shift)
            assert isinstance(word, int)
            assert entry_address(fmt, word & 0xFFFFFFFFFF000, page << 12, level - 1) == below
            found.add((at, word & 0xFFFFFFFFFF000))
    return sorted(found)


@pytest.mark.parametrize("fmt", list(FORMATS.values()), ids=list(FORMATS))
@settings(max_examples=40)
@given(steps=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 7), st.integers(0, 15)), max_size=10))
def test_tables_mean_what_was_asked(fmt: X86Format, steps: list[tuple[int, int, int]]) -> None:
    bus, fresh, state = Bus(physical_memory((Range(0x1000, 0x40000),))), 0x2000, AddressMap()
    for what, place, bits in steps:
        page = pages_of(fmt)[place]
        executable = fmt is I386 or not bits & 8
        mapping = Mapping(0x100 + bits, bool(bits & 1), bool(bits & 2), executable, bool(bits & 4))
        operation: Operation = MapPage(page, mapping) if what else UnmapPage(page)
        if refusals(state, operation):
            continue
        if isinstance(operation, MapPage):
            leaf = mapping.frame << 12 | 1 | (bits & 3) << 1 | (bits & 4) << 6
            leaf |= 0 if mapping.executable else NX
            bus, fresh = map_leaf(fmt, bus, ROOT, page << 12, leaf, 0, fresh)
        else:
            bus = clear_leaf(fmt, CONTROL, bus, ROOT, page << 12)
        observed = meaning(fmt, bus)
        assert permits(state, operation, observed) == frozenset()
        assert one_owner(pointers(fmt, bus))
        state = after(state, operation)


@pytest.mark.parametrize("fmt", list(FORMATS.values()), ids=list(FORMATS))
def test_a_split_means_the_same(fmt: X86Format) -> None:
    leaf = 1 << level_shift(fmt, 1) | 0x1E7
    bus, fresh = map_leaf(fmt, Bus(physical_memory((Range(0x1000, 0x40000),))), ROOT, 0, leaf, 1, 0x2000)
    state = meaning(fmt, bus)
    assert len(state.pages) == 4
    at = X86Tables(fmt, CONTROL, ROOT).path(bus, 0)[-1][1]
    observed = meaning(fmt, split_leaf(fmt, bus, at, 1, fresh))
    assert permits(state, SplitPage(0), observed) == frozenset()
