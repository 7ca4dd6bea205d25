"""Walks of the four x86 formats: where they end, what they read, and what they mark."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxmm.hardware.bus import Bus, TableAccess, store_entry
from linuxmm.hardware.memory import Fault, Range, physical_memory, poisoned, read_word
from linuxmm.hardware.strategies import controls
from linuxmm.hardware.table_format import (
    Access,
    GeneralProtection,
    Outcome,
    PageFault,
    TableUnserved,
    Translated,
    X86Tables,
)
from linuxmm.hardware.tables import clear_leaf, map_leaf, split_leaf
from linuxmm.spec.vm.mapping import marks_permitted
from linuxmm.spec.vm.x86_entry import FETCH, READ, WRITE, Control, table_base
from linuxmm.spec.vm.x86_format import (
    FORMATS,
    I386,
    PAE,
    X86_64,
    X86_64_LA57,
    X86Format,
    canonical,
    level_shift,
)

ROOT, FRESH = 0x1000, 0x10000
EMPTY = Bus(physical_memory((Range(0x1000, 0x100000),)))
VA = {I386: 0xC0101234, PAE: 0xC0101234, X86_64: 0x5555_5555_5ABC, X86_64_LA57: 0x55_5555_5555_5ABC}
LEAF = 0x0123_4000


def space(fmt: X86Format, leaf: int, level: int = 0, va: int | None = None) -> Bus:
    bus, _ = map_leaf(fmt, EMPTY, ROOT, VA[fmt] if va is None else va, leaf, level, FRESH)
    return replace(bus, log=())


def outcome(fmt: X86Format, bus: Bus, access: Access, control: Control | None = None) -> Outcome:
    return X86Tables(fmt, control or Control(), ROOT).translate(bus, access).result


@pytest.mark.parametrize("fmt", list(FORMATS.values()), ids=list(FORMATS))
def test_a_mapped_page_is_found_through_one_entry_a_level(fmt: X86Format) -> None:
    bus = space(fmt, LEAF | 0x7)
    access = Access(VA[fmt], WRITE)
    step = X86Tables(fmt, Control(), ROOT).translate(bus, access)
    page = Translated(LEAF | VA[fmt] & 0xFFF, 4096, True, True, True, False)
    assert step.result == page
    reads = [entry for entry in step.state.log if not entry.update]
    path = X86Tables(fmt, Control(), ROOT).path(bus, VA[fmt])
    assert [entry.address for entry in reads] == [at for _, at in path]
    assert [level for level, _ in path] == list(range(fmt.top, -1, -1))
    assert step.state.log[-1] == TableAccess(path[-1][1], 1 << fmt.entry_shift, LEAF | 0x67, True)


def test_the_log_of_a_first_read_and_of_a_second() -> None:
    bus = space(X86_64, LEAF | 0x5)
    tables = X86Tables(X86_64, Control(), ROOT)
    first = tables.translate(bus, Access(VA[X86_64])).state
    entries = [0x10067, 0x11067, 0x12067]
    places = [0x1000 + 8 * 0xAA, 0x10000 + 8 * 0x155, 0x11000 + 8 * 0xAA, 0x12000 + 8 * 0x155]
    upper = tuple(TableAccess(at, 8, entry) for at, entry in zip(places, entries, strict=False))
    assert first.log == (
        *upper,
        TableAccess(places[3], 8, LEAF | 0x5),
        TableAccess(places[3], 8, LEAF | 0x25, update=True),
    )
    second = tables.translate(replace(first, log=()), Access(VA[X86_64])).state
    assert second.log == (*upper, TableAccess(places[3], 8, LEAF | 0x25))


@pytest.mark.parametrize(
    ("fmt", "level", "leaf", "va", "address"),
    [
        (I386, 1, 0x0041_4087, 0xC012_3456, 0xA_0052_3456),
        (PAE, 1, 0xF_FFE0_0087, 0xC012_3456, 0xF_FFF2_3456),
        (X86_64, 1, 0x1_2340_0087, 0x5555_5555_5ABC, 0x1_2355_5ABC),
        (X86_64, 2, 0x1_4000_0087, 0x5555_5555_5ABC, 0x1_5555_5ABC),
        (X86_64_LA57, 2, 0x1_4000_0087, 0xFF55_5555_5555_5ABC, 0x1_5555_5ABC),
    ],
)
def test_large_pages(fmt: X86Format, level: int, leaf: int, va: int, address: int) -> None:
    found = outcome(fmt, space(fmt, leaf, level, va), Access(va, READ))
    assert found == Translated(address, 1 << level_shift(fmt, level), True, True, True, False)


FAULTS = [
    # leaf, access, control, error code
    (LEAF | 0x6, Access(VA[X86_64], WRITE), Control(), 0x6),
    (LEAF | 0x5, Access(VA[X86_64], WRITE), Control(), 0x7),
    (LEAF | 0x3, Access(VA[X86_64], READ), Control(), 0x5),
    (LEAF | 0x7 | 1 << 63, Access(VA[X86_64], FETCH), Control(), 0x15),
    (LEAF | 0x7 | 1 << 63, Access(VA[X86_64], READ), Control(nxe=False), 0xD),
    (LEAF | 0x7 | 1 << 47, Access(VA[X86_64], READ, user=False), Control(), 0x9),
    (LEAF | 0x7, Access(VA[X86_64], READ, user=False), Control(), 0x1),
    (LEAF | 0x7, Access(VA[X86_64], FETCH, user=False), Control(), 0x11),
]


@pytest.mark.parametrize(("leaf", "access", "control", "code"), FAULTS)
def test_faults_leave_the_leaf_alone(leaf: int, access: Access, control: Control, code: int) -> None:
    bus = space(X86_64, leaf)
    step = X86Tables(X86_64, control, ROOT).translate(bus, access)
    assert step.result == PageFault(access.va, code)
    assert step.state.memory == bus.memory


def test_every_level_has_to_grant_a_right() -> None:
    tables = X86Tables(X86_64, Control(), ROOT)
    bus = space(X86_64, LEAF | 0x7)
    for level, at in tables.path(bus, VA[X86_64])[:3]:
        word = read_word(bus.memory, at)
        assert isinstance(word, int)
        weaker = {
            0x7: (store_entry(bus, at, 8, word & ~0x2), Access(VA[X86_64], WRITE)),
            0x5: (store_entry(bus, at, 8, word & ~0x4), Access(VA[X86_64], READ)),
            0x15: (store_entry(bus, at, 8, word | 1 << 63), Access(VA[X86_64], FETCH)),
        }
        for code, (tampered, access) in weaker.items():
            assert outcome(X86_64, tampered, access) == PageFault(access.va, code), level


def test_entries_of_the_top_of_pae_give_no_rights_and_have_no_marks() -> None:
    bus = space(PAE, LEAF | 0x7)
    after = X86Tables(PAE, Control(), ROOT).translate(bus, Access(VA[PAE], WRITE)).state
    assert read_word(after.memory, ROOT + 8 * 3) == FRESH | 1
    tampered = store_entry(bus, ROOT + 8 * 3, 8, FRESH | 0x3)
    assert outcome(PAE, tampered, Access(VA[PAE])) == PageFault(VA[PAE], 0xD)


def test_what_is_not_an_address_and_what_memory_does_not_serve() -> None:
    assert outcome(X86_64, EMPTY, Access(1 << 47)) == GeneralProtection(1 << 47)
    assert outcome(X86_64, EMPTY, Access(0)) == PageFault(0, 0x4)
    bus = space(X86_64, LEAF | 0x7)
    lost = replace(bus, memory=poisoned(bus.memory, 0x11))
    assert outcome(X86_64, lost, Access(VA[X86_64])) == TableUnserved(0x11000, Fault.POISONED)
    wild = store_entry(bus, ROOT + 8 * 0xAA, 8, 0x200067)
    assert outcome(X86_64, wild, Access(VA[X86_64])) == TableUnserved(0x200000, Fault.ABSENT)


@pytest.mark.parametrize("fmt", list(FORMATS.values()), ids=list(FORMATS))
@given(data=st.data())
def test_marks_are_all_that_a_walk_changes(fmt: X86Format, data: st.DataObject) -> None:
    level = data.draw(st.sampled_from([0] + [n for n in (1, 2) if fmt.leaf_levels >> n & 1]))
    flags = data.draw(st.integers(0, 0x7F)) | (0x80 if level else 0)
    bus = space(fmt, flags, level)
    access = Access(VA[fmt], data.draw(st.integers(0, 2)), data.draw(st.booleans()))
    tables = X86Tables(fmt, data.draw(controls()), ROOT)
    step = tables.translate(bus, access)
    translated = isinstance(step.result, Translated)
    used = [entry.address for entry in step.state.log if not entry.update]
    for place, at in enumerate(used):
        before, now = (read_word(b.memory, at, 1 << fmt.entry_shift) for b in (bus, step.state))
        assert isinstance(before, int)
        assert isinstance(now, int)
        leaf = translated and place == len(used) - 1
        bare = fmt is PAE and place == 0
        assert marks_permitted(before, now, access.kind, leaf, translated and not bare)
    rest = replace(step.state.memory, frames=bus.memory.frames)
    assert rest == bus.memory


@pytest.mark.parametrize(
    ("before", "now", "kind", "leaf", "translated"),
    [
        (0x7, 0x67, READ, True, True),
        (0x7, 0x27, WRITE, True, True),
        (0x7, 0x47, WRITE, False, True),
        (0x7, 0x7, READ, False, True),
        (0x27, 0x7, READ, True, False),
        (0x7, 0x25, READ, True, True),
        (0x7, 0x67, WRITE, True, False),
    ],
)
def test_wrong_marks_are_rejected(before: int, now: int, kind: int, leaf: bool, translated: bool) -> None:
    assert not marks_permitted(before, now, kind, leaf, translated)


@pytest.mark.parametrize(("fmt", "level"), [(I386, 1), (PAE, 1), (X86_64, 1), (X86_64, 2), (X86_64_LA57, 2)])
def test_a_split_keeps_every_translation(fmt: X86Format, level: int) -> None:
    va, leaf = VA[fmt], (1 << level_shift(fmt, level)) | 0x1E7 | (1 << 63 if fmt is not I386 else 0)
    bus = space(fmt, leaf, level)
    tables = X86Tables(fmt, Control(), ROOT)
    at = tables.path(bus, va)[-1][1]
    after = split_leaf(fmt, bus, at, level, 0x50000)
    start = canonical(fmt, va >> level_shift(fmt, level) << level_shift(fmt, level) & (1 << fmt.va_bits) - 1)
    part = 1 << level_shift(fmt, level - 1)
    for offset in (0, 0x123, part - 1, part, 7 * part + 5, (1 << level_shift(fmt, level)) - 1):
        one = outcome(fmt, bus, Access(start + offset, WRITE))
        other = outcome(fmt, after, Access(start + offset, WRITE))
        assert isinstance(one, Translated)
        assert other == replace(one, size=part)


def test_a_cleared_leaf_faults_and_its_neighbour_stays() -> None:
    va = VA[X86_64]
    bus, _ = map_leaf(X86_64, space(X86_64, LEAF | 0x7), ROOT, va + 4096, 0x77007, 0, 0x40000)
    after = clear_leaf(X86_64, Control(), bus, ROOT, va)
    assert outcome(X86_64, after, Access(va)) == PageFault(va, 0x4)
    assert outcome(X86_64, after, Access(va + 4096)) == outcome(X86_64, bus, Access(va + 4096))
    assert clear_leaf(X86_64, Control(), after, ROOT, va).memory == after.memory


def test_tables_are_taken_only_where_they_are_missing() -> None:
    bus, fresh = map_leaf(X86_64, EMPTY, ROOT, VA[X86_64], LEAF | 7, 0, FRESH)
    assert fresh == FRESH + 3 * 4096
    _, again = map_leaf(X86_64, bus, ROOT, VA[X86_64] ^ 0x1000, LEAF | 7, 0, fresh)
    assert again == fresh
    word = read_word(bus.memory, ROOT + 8 * 0xAA)
    assert isinstance(word, int)
    assert table_base(word) == FRESH
