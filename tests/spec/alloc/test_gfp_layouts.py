"""Numbers of GFP flags: the words that kernels print, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxmm.spec.alloc.gfp import (
    GFP_ATOMIC,
    GFP_ATOMIC_BIT,
    GFP_COLD_BIT,
    GFP_FS_BIT,
    GFP_HIGH_BIT,
    GFP_HIGHUSER_MOVABLE,
    GFP_KERNEL,
    GFP_KSWAPD_RECLAIM_BIT,
    GFP_MOVABLE_BIT,
    GFP_RECLAIMABLE_BIT,
    GFP_THISNODE_BIT,
    GFP_TRANSHUGE,
    GFP_WRITE_BIT,
    GFP_ZERO_BIT,
)
from linuxmm.spec.alloc.gfp_layouts import (
    LAYOUTS,
    WITHOUT_MEANING,
    decode_gfp,
    encode_gfp,
    gfp_names,
    gfp_number,
    layout_of,
)
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.kernel import Version, parse_version

PRINTED = [
    ("2.4.0", 0x7, GFP_KERNEL & ~GFP_FS_BIT | GFP_HIGH_BIT),
    ("2.4.22", 0x1F0, GFP_KERNEL | GFP_HIGH_BIT),
    ("2.6.18", 0xD0, GFP_KERNEL),
    ("2.6.18", 0x20, GFP_ATOMIC & ~GFP_ATOMIC_BIT),
    ("2.6.28", 0x1200D2, GFP_HIGHUSER_MOVABLE),
    ("3.10", 0x200DA, GFP_HIGHUSER_MOVABLE),
    ("3.10", 0x800D0, GFP_KERNEL | GFP_RECLAIMABLE_BIT),
    ("4.4", 0x24000C0, GFP_KERNEL),
    ("4.4", 0x24200CA, GFP_HIGHUSER_MOVABLE),
    ("4.9", 0x2080020, GFP_ATOMIC),
    ("4.10", 0x14000C0, GFP_KERNEL),
    ("4.15", 0x14200CA, GFP_HIGHUSER_MOVABLE),
    ("4.19", 0x6000C0, GFP_KERNEL),
    ("4.19", 0x6200CA, GFP_HIGHUSER_MOVABLE),
    ("4.19", 0x480020, GFP_ATOMIC),
    ("5.4", 0xCC0, GFP_KERNEL),
    ("5.4", 0x100CCA, GFP_HIGHUSER_MOVABLE),
    ("5.4", 0xA20, GFP_ATOMIC),
    ("6.12", 0x820, GFP_ATOMIC & ~GFP_ATOMIC_BIT),
]


@pytest.mark.parametrize(("version", "word", "canonical"), PRINTED)
def test_words_that_kernels_print(version: str, word: int, canonical: int) -> None:
    number = parse_version(version)
    assert decode_gfp(word, number) == canonical
    assert gfp_number(gfp_names(word, number), number) == word


@pytest.mark.parametrize(
    ("version", "word", "names"),
    [
        ("2.6.30", 0x100010, ("__GFP_WAIT", "__GFP_MOVABLE")),
        ("2.6.31", 0x18, ("__GFP_MOVABLE", "__GFP_WAIT")),
        ("3.10", 0x500000, ("__GFP_KMEMCG", "__GFP_NO_KSWAPD")),
        ("4.9", 0x1000100, ("__GFP_COLD", "__GFP_WRITE")),
        ("4.10", 0x1000100, ("__GFP_COLD", "__GFP_KSWAPD_RECLAIM")),
        ("2.4.5", 0x3, ("__GFP_WAIT", "__GFP_HIGH")),
        ("2.4.9", 0x80, ("__GFP_FS",)),
        ("2.4.10", 0x80, ("__GFP_HIGHIO",)),
        ("4.17", 0x800000, ("__GFP_WRITE",)),
        ("4.18", 0x100, ("__GFP_WRITE",)),
        ("2.6.12", 0x20000, ("__GFP_HARDWALL",)),
        ("2.6.14", 0x40000, ("__GFP_HARDWALL",)),
        ("2.6.15", 0x20000, ("__GFP_HARDWALL",)),
        ("2.6.23", 0x80000, ("__GFP_MOVABLE",)),
        ("2.6.24", 0x80000, ("__GFP_RECLAIMABLE",)),
        ("5.0", 0x100, ("__GFP_WRITE",)),
        ("5.1", 0x100, ("__GFP_ZERO",)),
        ("5.4", 0x100, ("__GFP_ZERO",)),
        ("5.17", 0x2000000, ("__GFP_NOLOCKDEP",)),
        ("6.1.192", 0x2000000, ("__GFP_SKIP_KASAN_UNPOISON",)),
        ("6.12", 0x200, ("0x200",)),
    ],
)
def test_one_bit_has_other_names_elsewhere(version: str, word: int, names: tuple[str, ...]) -> None:
    assert gfp_names(word, parse_version(version)) == names


def test_up_to_4_3_waiting_and_kswapd_are_told_otherwise() -> None:
    old = parse_version("3.10")
    assert decode_gfp(0x400000, old) & GFP_KSWAPD_RECLAIM_BIT == 0
    assert encode_gfp(GFP_TRANSHUGE & ~GFP_KSWAPD_RECLAIM_BIT, old) & 0x400010 == 0x400010
    assert decode_gfp(0x100, old) == GFP_COLD_BIT | GFP_KSWAPD_RECLAIM_BIT
    assert encode_gfp(GFP_KERNEL | GFP_WRITE_BIT | GFP_ZERO_BIT | GFP_THISNODE_BIT, old) == 0x10480D0
    assert encode_gfp(GFP_MOVABLE_BIT, parse_version("2.6.24")) == 0x100000


@pytest.mark.parametrize("version", ["2.4.6", "2.4.7", "2.4.8"])
def test_kernels_between_two_readings_are_not_guessed_at(version: str) -> None:
    with pytest.raises(Unmodelled) as caught:
        decode_gfp(0, parse_version(version))
    assert str(caught.value) == (
        f"numeric GFP words of kernel {version}: its flags have not been read; use text"
    )


def test_a_flag_that_a_kernel_lacks_is_named() -> None:
    with pytest.raises(ValueError, match=r"kernel 6\.12 has no flag '__GFP_ATOMIC'"):
        gfp_number(["__GFP_ATOMIC"], parse_version("6.12"))


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda one: str(one.since))
def test_layouts_are_sound(layout: object) -> None:
    (one,) = (known for known in LAYOUTS if known is layout)
    assert len(set(one.bits.values())) == len(one.bits)
    assert one.since <= one.until
    assert all(other is one or other.until < one.since or one.until < other.since for other in LAYOUTS)
    assert layout_of(one.since) is layout_of(one.until) is one


@given(st.sampled_from(LAYOUTS), st.integers(0, (1 << 32) - 1))
def test_numbers_names_and_canonical_words_agree(layout: object, word: int) -> None:
    (one,) = (known for known in LAYOUTS if known is layout)
    version: Version = one.since
    assert gfp_number(gfp_names(word, version), version) == word
    again = encode_gfp(decode_gfp(word, version), version)
    assert decode_gfp(again, version) == decode_gfp(word, version)
    meaningless = sum(bit for name, bit in one.bits.items() if name in WITHOUT_MEANING)
    known = sum(one.bits.values()) & ~meaningless
    assert again == word & known
