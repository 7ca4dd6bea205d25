"""x86 entries and addresses, bit for bit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxmm.spec.vm.x86_entry import (
    FETCH,
    READ,
    WRITE,
    Control,
    EntryFields,
    denied,
    error_code,
    has_reserved,
    ignored_mask,
    is_leaf,
    leaf_base,
    leaf_entry,
    leaf_fields,
    reserved_mask,
    split_entry,
    table_entry,
)
from linuxmm.spec.vm.x86_format import (
    FORMATS,
    I386,
    PAE,
    X86_64,
    X86_64_LA57,
    X86Format,
    canonical,
    entry_address,
    from_indices,
    index_of,
    is_canonical,
    level_shift,
    page_number,
)

VA = 0xFFFF_8A3C_5F1E_2D4B


@pytest.mark.parametrize(
    ("fmt", "va", "indices"),
    [
        (I386, 0xC0101234, (0x300, 0x101)),
        (PAE, 0xC0101234, (3, 0, 0x101)),
        (X86_64, VA, (0x114, 0xF1, 0xF8, 0x1E2)),
        (X86_64_LA57, VA, (0x1FF, 0x114, 0xF1, 0xF8, 0x1E2)),
        (X86_64, 0x7FFF_FFFF_F000, (255, 511, 511, 511)),
    ],
)
def test_an_address_is_cut_into_indices(fmt: X86Format, va: int, indices: tuple[int, ...]) -> None:
    assert tuple(index_of(fmt, va, level) for level in range(fmt.top, -1, -1)) == indices
    assert from_indices(fmt, indices, va & 0xFFF) == va


def test_entries_are_found_by_index() -> None:
    assert entry_address(X86_64, 0x1000, VA, 3) == 0x1000 + 8 * 0x114
    assert entry_address(I386, 0x1000, 0xC0101234, 1) == 0x1000 + 4 * 0x300


@pytest.mark.parametrize(
    ("fmt", "va", "expected"),
    [
        (X86_64, 0x0000_7FFF_FFFF_FFFF, True),
        (X86_64, 0x0000_8000_0000_0000, False),
        (X86_64, 0xFFFF_7FFF_FFFF_FFFF, False),
        (X86_64, 0xFFFF_8000_0000_0000, True),
        (X86_64_LA57, 0x0000_8000_0000_0000, True),
        (X86_64_LA57, 0x00FF_FFFF_FFFF_FFFF, True),
        (X86_64_LA57, 0x0100_0000_0000_0000, False),
        (X86_64_LA57, 0xFF00_0000_0000_0000, True),
        (PAE, 0xFFFF_FFFF, True),
        (PAE, 0x1_0000_0000, False),
    ],
)
def test_canonical_addresses(fmt: X86Format, va: int, expected: bool) -> None:
    assert is_canonical(fmt, va) is expected


@given(st.sampled_from(list(FORMATS.values())), st.integers(0, (1 << 64) - 1))
def test_words_may_be_signed(fmt: X86Format, va: int) -> None:
    signed = va - (1 << 64) if va >> 63 else va
    assert is_canonical(fmt, va) == is_canonical(fmt, signed)
    for level in range(fmt.top + 1):
        assert index_of(fmt, va, level) == index_of(fmt, signed, level)
        assert page_number(fmt, va, level) == page_number(fmt, signed, level)
    low = va & ((1 << fmt.va_bits) - 1)
    assert is_canonical(fmt, canonical(fmt, low))


BASE = {0: 0x1_2345_6000, 1: 0x1_2340_0000, 2: 0x1_4000_0000}


@pytest.mark.parametrize(
    ("fmt", "level", "fields", "word"),
    [
        (X86_64, 0, EntryFields(BASE[0], True, True, False, True, True, False, 0, 0), 0x8000_0001_2345_6067),
        (X86_64, 1, EntryFields(BASE[1], True, False, True, True, True, True, 0, 0), 0x1_2340_01E3),
        (X86_64, 1, EntryFields(BASE[1], False, True, True, False, False, False, 7, 0), 0x1_2340_109D),
        (
            X86_64,
            2,
            EntryFields(BASE[2], True, False, False, True, True, True, 2, 0x200),
            0x8000_0001_4000_03F3,
        ),
        (
            X86_64,
            0,
            EntryFields(BASE[0], False, True, True, False, False, False, 4, 1 << 58),
            0x400_0001_2345_6085,
        ),
        (PAE, 1, EntryFields(0xF_FFE0_0000, True, True, True, False, False, False, 0, 0), 0xF_FFE0_0087),
        (I386, 1, EntryFields(0xA_0040_0000, True, True, True, True, True, True, 0, 0), 0x0041_41E7),
        (I386, 0, EntryFields(0x0040_1000, True, False, True, True, True, True, 1, 0xE00), 0x0040_1F6B),
    ],
)
def test_entries_bit_for_bit(fmt: X86Format, level: int, fields: EntryFields, word: int) -> None:
    assert hex(leaf_entry(fmt, level, fields)) == hex(word)
    assert leaf_fields(fmt, level, word) == fields
    assert not has_reserved(fmt, Control(), word, level)


@st.composite
def leaves(draw: st.DrawFn) -> tuple[X86Format, int, EntryFields]:
    fmt = draw(st.sampled_from(list(FORMATS.values())))
    level = draw(st.sampled_from([0] + [n for n in (1, 2) if fmt.leaf_levels >> n & 1]))
    bits = 32 if fmt is I386 and level == 0 else fmt.phys_bits
    shift = level_shift(fmt, level)
    base = draw(st.integers(0, (1 << bits - shift) - 1)) << shift
    flags = [draw(st.booleans()) for _ in range(6)]
    flags[2] = flags[2] or fmt is I386
    pat, ignored = draw(st.integers(0, 7)), draw(st.integers(0, (1 << 64) - 1)) & ignored_mask(fmt)
    return fmt, level, EntryFields._make((base, *flags, pat, ignored))


@given(leaves())
def test_decoding_undoes_encoding(leaf: tuple[X86Format, int, EntryFields]) -> None:
    fmt, level, fields = leaf
    word = leaf_entry(fmt, level, fields)
    assert word < 1 << (8 << fmt.entry_shift)
    assert leaf_fields(fmt, level, word) == fields
    assert not has_reserved(fmt, Control(), word, level)
    assert is_leaf(fmt, Control(), word, level)


@pytest.mark.parametrize(
    ("fmt", "level", "leaf", "mask"),
    [
        (X86_64, 0, True, 0x000F_C000_0000_0000),
        (X86_64, 1, True, 0x000F_C000_001F_E000),
        (X86_64, 2, True, 0x000F_C000_3FFF_E000),
        (X86_64, 1, False, 0x000F_C000_0000_0080),
        (X86_64, 3, False, 0x000F_C000_0000_0080),
        (X86_64_LA57, 4, False, 0x80),
        (PAE, 2, False, 0x7FFF_FFF0_0000_01E6),
        (PAE, 1, True, 0x7FFF_FFF0_001F_E000),
        (PAE, 0, True, 0x7FFF_FFF0_0000_0000),
        (I386, 1, True, 0x003E_0000),
        (I386._replace(phys_bits=40), 1, True, 0x0020_0000),
        (I386, 1, False, 0),
        (I386, 0, True, 0),
    ],
)
def test_reserved_bits(fmt: X86Format, level: int, leaf: bool, mask: int) -> None:
    assert hex(reserved_mask(fmt, level, leaf)) == hex(mask)


def test_bit_63_is_reserved_without_nxe_and_in_the_top_of_pae() -> None:
    nx = 1 << 63 | 1
    assert not has_reserved(X86_64, Control(nxe=True), nx, 0)
    assert has_reserved(X86_64, Control(nxe=False), nx, 0)
    assert has_reserved(PAE, Control(nxe=True), nx, 2)
    assert has_reserved(X86_64, Control(), 1 | 1 << 7, 3)
    assert has_reserved(X86_64._replace(leaf_levels=0b010), Control(), 0x4000_0081, 2)


def test_large_pages_of_the_two_level_format_need_pse() -> None:
    assert is_leaf(I386, Control(pse=True), 0x83, 1)
    assert not is_leaf(I386, Control(pse=False), 0x83, 1)
    assert is_leaf(PAE, Control(pse=False), 0x83, 1)
    assert leaf_base(I386, 0x0041_4083, 1) == 0xA_0040_0000


N, W, U = 1, 2, 4
TABLE = [
    # control, kind, user, rights, denied
    (Control(), READ, True, U, False),
    (Control(), READ, True, W, True),
    (Control(), WRITE, True, U, True),
    (Control(), WRITE, True, U | W, False),
    (Control(), FETCH, True, U | W | N, True),
    (Control(), FETCH, True, U, False),
    (Control(), READ, False, 0, False),
    (Control(wp=True), WRITE, False, 0, True),
    (Control(wp=False), WRITE, False, 0, False),
    (Control(smap=True), READ, False, U, True),
    (Control(smap=True, ac=True), READ, False, U, False),
    (Control(smap=True, wp=False), WRITE, False, U | W, True),
    (Control(smap=False), WRITE, False, U | W, False),
    (Control(smap=True, ac=True), WRITE, False, U, True),
    (Control(smep=True), FETCH, False, U, True),
    (Control(smep=False, smap=True), FETCH, False, U, False),
    (Control(smep=False), FETCH, False, U | N, True),
    (Control(smep=True, ac=True), FETCH, False, U, True),
]


@pytest.mark.parametrize(("control", "kind", "user", "rights", "expected"), TABLE)
def test_protection(control: Control, kind: int, user: bool, rights: int, expected: bool) -> None:
    assert denied(control, kind, user, rights) is expected


@pytest.mark.parametrize(
    ("fmt", "control", "kind", "user", "present", "reserved", "code"),
    [
        (X86_64, Control(), READ, False, False, False, 0x00),
        (X86_64, Control(), READ, True, False, False, 0x04),
        (X86_64, Control(), WRITE, True, False, False, 0x06),
        (X86_64, Control(), WRITE, True, True, False, 0x07),
        (X86_64, Control(), FETCH, True, True, False, 0x15),
        (X86_64, Control(), READ, False, True, True, 0x09),
        (X86_64, Control(smep=False, nxe=False), FETCH, True, False, False, 0x04),
        (I386, Control(smep=False, nxe=True), FETCH, True, False, False, 0x04),
        (I386, Control(smep=True, nxe=False), FETCH, False, True, False, 0x11),
    ],
)
def test_error_codes(
    fmt: X86Format, control: Control, kind: int, user: bool, present: bool, reserved: bool, code: int
) -> None:
    assert error_code(fmt, control, kind, user, present, reserved) == code


def test_table_entries() -> None:
    assert table_entry(X86_64, 3, 0x5000) == 0x5067
    assert table_entry(PAE, 2, 0x5000) == 0x5001


@given(leaves(), st.integers(0, 1023))
def test_a_split_leaf_says_the_same(leaf: tuple[X86Format, int, EntryFields], index: int) -> None:
    fmt, level, fields = leaf
    if level == 0:
        return
    if fmt is I386:
        fields = fields._replace(base=fields.base & 0xFFFFFFFF)
    index &= (1 << fmt.index_bits) - 1
    part = split_entry(fmt, leaf_entry(fmt, level, fields), level, index)
    moved = fields.base + (index << level_shift(fmt, level - 1))
    assert leaf_fields(fmt, level - 1, part) == fields._replace(base=moved)
    assert not has_reserved(fmt, Control(), part, level - 1)
