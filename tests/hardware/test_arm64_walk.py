"""Arm64 descriptors, walks and syndromes, bit for bit."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxmm.hardware.bus import Bus, TableAccess, store_entry
from linuxmm.hardware.memory import Fault, Range, physical_memory, poisoned, read_word
from linuxmm.hardware.table_format import (
    Access,
    Arm64Tables,
    Outcome,
    PageFault,
    TableUnserved,
    Translated,
)
from linuxmm.spec.vm.arm64_entry import (
    SOFTWARE,
    Arm64Control,
    DescriptorFields,
    half_of,
    leaf_entry,
    leaf_fields,
    level_shift,
    split_entry,
    syndrome,
)
from linuxmm.spec.vm.x86_entry import FETCH, READ, WRITE

LOW, HIGH = 0x1000, 0x2000
VA = 0x0000_5555_5555_5ABC
KERNEL = 0xFFFF_8000_1010_0ABC
# Linux: PAGE_SHARED_EXEC and PAGE_KERNEL without software bits, attribute index 0 (normal memory).
USER_PAGE = 1 << 53 | 1 << 11 | 1 << 10 | 3 << 8 | 1 << 6 | 3
KERNEL_PAGE = 1 << 54 | 1 << 53 | 1 << 10 | 3 << 8 | 3


def space(va: int, leaf: int, level: int = 3, table_bits: int = 0) -> Bus:
    bus = Bus(physical_memory((Range(0x1000, 0x40000),)))
    table = HIGH if va >> 63 else LOW
    for at_level in range(level):
        at = table + 8 * ((va >> level_shift(at_level)) & 511)
        table = 0x10000 + 0x1000 * at_level
        bus = store_entry(bus, at, 8, table | 3 | table_bits)
    return store_entry(bus, table + 8 * ((va >> level_shift(level)) & 511), 8, leaf)


def outcome(bus: Bus, access: Access, control: Arm64Control | None = None) -> Outcome:
    return Arm64Tables(control or Arm64Control(), LOW, HIGH).translate(bus, access).result


T, F = True, False
FIELDS = [
    # user, read-only, AF, nG, DBM, contiguous, PXN, UXN
    (3, DescriptorFields(0x1234_5000, 0, 3, T, F, T, T, F, F, T, F, 0), 0x20_0000_1234_5F43),
    (3, DescriptorFields(0x1234_5000, 0, 3, F, F, T, F, F, T, T, T, 0), 0x70_0000_1234_5703),
    (2, DescriptorFields(0x8020_0000, 4, 3, F, T, T, F, T, F, F, T, 1 << 55), 0xC8_0000_8020_0791),
    (1, DescriptorFields(0xFFFF_C000_0000, 1, 0, T, T, F, F, F, F, T, T, 0), 0x60_FFFF_C000_00C5),
]


@pytest.mark.parametrize(("level", "fields", "word"), FIELDS)
def test_descriptors_bit_for_bit(level: int, fields: DescriptorFields, word: int) -> None:
    assert hex(leaf_entry(level, fields)) == hex(word)
    assert leaf_fields(level, word) == fields


@given(st.integers(1, 3), st.integers(0, (1 << 64) - 1), st.lists(st.booleans(), min_size=8, max_size=8))
def test_decoding_undoes_encoding(level: int, word: int, flags: list[bool]) -> None:
    base = (word & 0xFFFFFFFFF000) >> level_shift(level) << level_shift(level)
    fields = DescriptorFields._make((base, word >> 2 & 7, word & 3, *flags, word & SOFTWARE))
    assert leaf_fields(level, leaf_entry(level, fields)) == fields
    if level < 3:
        part = split_entry(leaf_entry(level, fields), level, 5)
        moved = base + 5 * (1 << level_shift(level + 1))
        assert leaf_fields(level + 1, part) == fields._replace(base=moved, contiguous=False)


def test_halves_of_the_address_space() -> None:
    assert [half_of(va) for va in (0, (1 << 48) - 1, 1 << 48, 0xFFFE_FFFF_FFFF_FFFF, 0xFFFF << 48)] == [
        0,
        0,
        2,
        2,
        1,
    ]


@pytest.mark.parametrize(
    ("kind", "user", "status", "level", "esr"),
    [
        (READ, True, 0x04, 0, 0x9200_0004),
        (WRITE, True, 0x04, 3, 0x9200_0047),
        (WRITE, True, 0x0C, 3, 0x9200_004F),
        (READ, False, 0x08, 2, 0x9600_000A),
        (FETCH, True, 0x0C, 3, 0x8200_000F),
        (FETCH, False, 0x0C, 1, 0x8600_000D),
    ],
)
def test_syndromes(kind: int, user: bool, status: int, level: int, esr: int) -> None:
    assert hex(syndrome(kind, user, status, level)) == hex(esr)


def test_a_page_is_found_and_every_access_reported() -> None:
    bus = space(VA, 0x1234_5000 | USER_PAGE)
    step = Arm64Tables(Arm64Control(), LOW, HIGH).translate(bus, Access(VA, WRITE))
    assert step.result == Translated(0x1234_5ABC, 4096, True, True, True, False)
    assert step.state.log == (
        TableAccess(0x1000 + 8 * 0xAA, 8, 0x10003),
        TableAccess(0x10000 + 8 * 0x155, 8, 0x11003),
        TableAccess(0x11000 + 8 * 0xAA, 8, 0x12003),
        TableAccess(0x12000 + 8 * 0x155, 8, 0x1234_5000 | USER_PAGE),
    )


def test_blocks_and_the_kernel_half() -> None:
    two_mib = space(KERNEL, 0x4020_0000 | KERNEL_PAGE & ~2, level=2)
    assert outcome(two_mib, Access(KERNEL, WRITE, user=False)) == Translated(
        0x4030_0ABC, 1 << 21, True, False, False, True
    )
    one_gib = space(VA, 0x8000_0000 | USER_PAGE & ~2, level=1)
    assert outcome(one_gib, Access(VA)) == Translated(
        0x8000_0000 | VA & 0x3FFF_FFFF, 1 << 30, True, True, True, False
    )


RO, UXN, PXN, AF, DBM, EL0 = 1 << 7, 1 << 54, 1 << 53, 1 << 10, 1 << 51, 1 << 6
PAGE = 0x1234_5000 | USER_PAGE
ABORTS = [
    # descriptor, access, control, ESR
    (0, Access(VA), Arm64Control(), 0x9200_0007),
    (PAGE & ~2, Access(VA), Arm64Control(), 0x9200_0007),
    (PAGE, Access(VA), Arm64Control(pa_bits=28), 0x9200_0003),
    (PAGE & ~AF, Access(VA), Arm64Control(), 0x9200_000B),
    (PAGE & ~AF & ~EL0, Access(VA), Arm64Control(), 0x9200_000B),
    (PAGE & ~EL0, Access(VA), Arm64Control(), 0x9200_000F),
    (PAGE | RO, Access(VA, WRITE), Arm64Control(), 0x9200_004F),
    (PAGE | RO | DBM, Access(VA, WRITE), Arm64Control(ha=True, hd=False), 0x9200_004F),
    (PAGE | UXN, Access(VA, FETCH), Arm64Control(), 0x8200_000F),
    (PAGE, Access(VA, FETCH), Arm64Control(wxn=True), 0x8200_000F),
    (PAGE & ~PXN, Access(VA, FETCH, user=False), Arm64Control(), 0x8600_000F),
    (PAGE, Access(VA, READ, user=False), Arm64Control(pan=True), 0x9600_000F),
    (PAGE & ~EL0 | RO, Access(VA, READ, user=False), Arm64Control(epan=True), 0x9600_000F),
]


@pytest.mark.parametrize(("leaf", "access", "control", "esr"), ABORTS)
def test_aborts(leaf: int, access: Access, control: Arm64Control, esr: int) -> None:
    bus = space(VA, leaf)
    step = Arm64Tables(control, LOW, HIGH).translate(bus, access)
    assert step.result == PageFault(access.va, esr)
    assert step.state.memory == bus.memory


@pytest.mark.parametrize(
    ("leaf", "access", "control"),
    [
        (PAGE, Access(VA, READ, user=False), Arm64Control(pan=False)),
        (PAGE & ~EL0 | RO, Access(VA, FETCH), Arm64Control()),
        (PAGE | RO & ~PXN, Access(VA, FETCH), Arm64Control(wxn=True)),
        (PAGE & ~EL0 & ~PXN, Access(VA, FETCH, user=False), Arm64Control()),
    ],
)
def test_permitted_accesses(leaf: int, access: Access, control: Arm64Control) -> None:
    assert isinstance(outcome(space(VA, leaf), access, control), Translated)


def test_the_hardware_manages_af_and_dirty_state() -> None:
    bus = space(VA, (PAGE | RO | DBM) & ~AF)
    tables = Arm64Tables(Arm64Control(ha=True, hd=True), LOW, HIGH)
    read = tables.translate(bus, Access(VA)).state
    assert read_word(read.memory, 0x12000 + 8 * 0x155) == PAGE | RO | DBM
    write = tables.translate(read, Access(VA, WRITE)).state
    assert read_word(write.memory, 0x12000 + 8 * 0x155) == PAGE | DBM


@pytest.mark.parametrize(
    ("bits", "access", "esr"),
    [
        (1 << 61, Access(VA), 0x9200_000F),
        (1 << 62, Access(VA, WRITE), 0x9200_004F),
        (1 << 60, Access(VA, FETCH), 0x8200_000F),
        (1 << 59, Access(VA, FETCH, user=False), 0x8600_000F),
    ],
)
def test_hierarchical_controls_limit_unless_disabled(bits: int, access: Access, esr: int) -> None:
    leaf = PAGE & ~EL0 & ~PXN if not access.user else PAGE
    bus = space(VA, leaf, table_bits=bits)
    assert outcome(bus, access) == PageFault(VA, esr)
    assert isinstance(outcome(bus, access, Arm64Control(hpd=True)), Translated)


def test_addresses_that_no_root_translates() -> None:
    bus = space(VA, PAGE)
    assert outcome(bus, Access(1 << 48)) == PageFault(1 << 48, 0x9200_0004)
    assert outcome(bus, Access(VA), Arm64Control(epd0=True)) == PageFault(VA, 0x9200_0004)
    top = store_entry(bus, LOW + 8 * 0xAA, 8, 0x10001)
    assert outcome(top, Access(VA)) == PageFault(VA, 0x9200_0004)


def test_a_table_that_memory_does_not_serve() -> None:
    bus = space(VA, PAGE)
    lost = replace(bus, memory=poisoned(bus.memory, 0x11))
    assert outcome(lost, Access(VA)) == TableUnserved(0x11000, Fault.POISONED, 0x9200_0016)


def test_a_path_ends_at_the_leaf_or_the_hole() -> None:
    tables = Arm64Tables(Arm64Control(), LOW, HIGH)
    assert [level for level, _ in tables.path(space(VA, PAGE), VA)] == [0, 1, 2, 3]
    assert [level for level, _ in tables.path(space(VA, PAGE & ~2, 2), VA)] == [0, 1, 2]
    assert tables.path(space(VA, PAGE), KERNEL) == ((0, HIGH + 8 * 256),)
    assert tables.path(space(VA, PAGE), 1 << 50) == ()
