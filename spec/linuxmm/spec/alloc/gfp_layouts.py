"""The numbers of GFP flags in every era: words to names, names to words, and the canonical word of both.

A layout lists what moved; flags that were only added or dropped share one, since a kernel without a flag
never sets its bit.  Kernels between two readings with different layouts are not described.

A kernel of which only a patch was read shows its flags in the lines that the patch takes away.

Linux: include/linux/gfp.h (mm.h up to 2.4, gfp_types.h since 6.0).  Seed 2 intro (F003, F016, F017).
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final, NamedTuple

from linuxmm.spec.alloc.gfp import (
    CANONICAL_BITS,
    GFP_DIRECT_RECLAIM_BIT,
    GFP_KSWAPD_RECLAIM_BIT,
    GFP_RECLAIM,
)
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.kernel import Version
from linuxmm.spec.registry import formula

WITHOUT_MEANING: Final = frozenset(
    {"__GFP_HIGHIO", "__GFP_NO_GROW", "__GFP_NOTRACK", "__GFP_KMEMCG", "__GFP_NOACCOUNT"}
)
"""Flags that say nothing to the page allocator, and that no canonical bit stands for."""


class Layout(NamedTuple):
    """Flags and their bits from `since` to `until`, as branches; `source`: the releases that were read."""

    since: Version
    until: Version
    bits: Mapping[str, int]
    source: str


def _bits(text: str) -> dict[str, int]:
    """ "NAME=position ..." -> {"__GFP_NAME": bit}."""
    pairs = (item.split("=") for item in text.split())
    return {f"__GFP_{name}": 1 << int(position) for name, position in pairs}


_ZONES: Final = "DMA=0 HIGHMEM=1 DMA32=2"
_LOW: Final = f"{_ZONES} MOVABLE=3"
_ACCESS: Final = "HIGH=5 IO=6 FS=7"
_TRYING: Final = "NOFAIL=11 NORETRY=12"
_MIDDLE: Final = "COMP=14 ZERO=15 NOMEMALLOC=16 HARDWALL=17 THISNODE=18"

_2_6: Final = f"WAIT=4 {_ACCESS} COLD=8 NOWARN=9 REPEAT=10 {_TRYING} {_MIDDLE} RECLAIMABLE=19"
_UP_TO_2_6_30: Final = _bits(f"{_ZONES} {_2_6} NO_GROW=13 MOVABLE=20")
_2_6_13: Final = _bits(
    f"{_ZONES} WAIT=4 {_ACCESS} COLD=8 NOWARN=9 REPEAT=10 {_TRYING} NO_GROW=13 COMP=14 ZERO=15 NOMEMALLOC=16 "
    "HARDWALL=18"
)
_2_6_23: Final = _bits(f"{_ZONES} {_2_6.replace('RECLAIMABLE', 'MOVABLE')}")
_UP_TO_4_3: Final = _bits(f"{_LOW} {_2_6} MEMALLOC=13 NOTRACK=21 NO_KSWAPD=22 OTHER_NODE=23 WRITE=24")
_4_4: Final = (
    f"{_LOW} RECLAIMABLE=4 {_ACCESS} COLD=8 NOWARN=9 REPEAT=10 {_TRYING} MEMALLOC=13 {_MIDDLE} ATOMIC=19 "
    "NOTRACK=21 DIRECT_RECLAIM=22"
)
_UP_TO_4_9: Final = f"{_4_4} OTHER_NODE=23 WRITE=24 KSWAPD_RECLAIM=25"
_4_10: Final = f"{_4_4} ACCOUNT=20 WRITE=23 KSWAPD_RECLAIM=24 NOLOCKDEP=25"
_4_18: Final = (
    f"{_LOW} RECLAIMABLE=4 {_ACCESS} WRITE=8 NOWARN=9 RETRY_MAYFAIL=10 {_TRYING} MEMALLOC=13 {_MIDDLE} "
    "ATOMIC=19 ACCOUNT=20 DIRECT_RECLAIM=21 KSWAPD_RECLAIM=22 NOLOCKDEP=23"
)
_5_1: Final = (
    f"{_LOW} RECLAIMABLE=4 {_ACCESS} ZERO=8 ATOMIC=9 DIRECT_RECLAIM=10 KSWAPD_RECLAIM=11 WRITE=12 NOWARN=13 "
    "RETRY_MAYFAIL=14 NOFAIL=15 NORETRY=16 MEMALLOC=17 COMP=18 NOMEMALLOC=19 HARDWALL=20 THISNODE=21 "
    "ACCOUNT=22"
)
_6_4: Final = f"{_5_1} ZEROTAGS=23".replace("ATOMIC=9 ", "")


def _layout(since: str, until: str, bits: dict[str, int], source: str) -> Layout:
    first, last = (Version(*map(int, text.split("."))) for text in (since, until))
    return Layout(first, last, bits, source)


LAYOUTS: Final = (
    _layout("2.4.0", "2.4.5", _bits("WAIT=0 HIGH=1 IO=2 DMA=3 HIGHMEM=4"), "2.4.0; 2.4.5 in a patch"),
    _layout("2.4.9", "2.4.9", _bits(f"DMA=0 HIGHMEM=1 WAIT=4 {_ACCESS}"), "2.4.9 in a patch"),
    _layout(
        "2.4.10",
        "2.5.999",
        _bits("DMA=0 HIGHMEM=1 WAIT=4 HIGH=5 IO=6 HIGHIO=7 FS=8"),
        "2.4.10 in a patch, 2.4.16, 2.4.22, 2.4.32",
    ),
    _layout("2.6.0", "2.6.12", _UP_TO_2_6_30, "2.6.11, 2.6.12"),
    _layout("2.6.13", "2.6.14", _2_6_13, "2.6.13, 2.6.14"),
    _layout("2.6.15", "2.6.22", _UP_TO_2_6_30, "2.6.15 to 2.6.22"),
    _layout("2.6.23", "2.6.23", _2_6_23, "2.6.23"),
    _layout("2.6.24", "2.6.30", _UP_TO_2_6_30, "2.6.24 to 2.6.30"),
    _layout(
        "2.6.31",
        "3.7",
        _UP_TO_4_3,
        "2.6.31 to 3.7",
    ),
    _layout("3.8", "3.18", _UP_TO_4_3 | _bits("KMEMCG=20"), "3.8 to 3.18.30"),
    _layout("3.19", "4.3", _UP_TO_4_3 | _bits("NOACCOUNT=20"), "3.19.8, 4.0.5, 4.1.15, 4.3"),
    _layout("4.4", "4.4", _bits(f"{_UP_TO_4_9} NOACCOUNT=20"), "4.4.0, 4.4.155"),
    _layout("4.5", "4.9", _bits(f"{_UP_TO_4_9} ACCOUNT=20"), "4.5 to 4.9"),
    _layout("4.10", "4.12", _bits(_4_10), "4.10 to 4.12"),
    _layout(
        "4.13",
        "4.17",
        _bits(_4_10.replace("REPEAT", "RETRY_MAYFAIL")),
        "4.13 to 4.16; 4.17-rc in the patch of May 2018 that made the next layout",
    ),
    _layout("4.18", "5.0", _bits(_4_18), "4.18, 4.19.95, 4.20, 5.0.1"),
    _layout("5.1", "5.13", _bits(f"{_5_1} NOLOCKDEP=23"), "5.1 to 5.12"),
    _layout(
        "5.14",
        "5.17",
        _bits(f"{_5_1} ZEROTAGS=23 SKIP_KASAN_POISON=24 NOLOCKDEP=25"),
        "5.14 to 5.17",
    ),
    _layout(
        "5.18",
        "6.2",
        _bits(f"{_5_1} ZEROTAGS=23 SKIP_ZERO=24 SKIP_KASAN_UNPOISON=25 SKIP_KASAN_POISON=26 NOLOCKDEP=27"),
        "5.18, 5.19, 6.0, 6.1.0 to 6.1.158, 6.2",
    ),
    _layout(
        "6.3",
        "6.3",
        _bits(f"{_6_4} SKIP_ZERO=24 SKIP_KASAN_UNPOISON=25 SKIP_KASAN_POISON=26 NOLOCKDEP=27"),
        "6.3.8",
    ),
    _layout("6.4", "6.9", _bits(f"{_6_4} SKIP_ZERO=24 SKIP_KASAN=25 NOLOCKDEP=26"), "6.4 to 6.9"),
    _layout("6.10", "6.12", _bits(f"{_6_4} NO_OBJ_EXT=24"), "6.10, 6.12 without KASAN_HW_TAGS and LOCKDEP"),
)
"""Every layout that was read, by age.  Since 6.10 the last flags are numbered by what is configured."""


@cache
def layout_of(version: Version) -> Layout:
    """How a kernel numbers its GFP flags.

    Errors    Unmodelled for a kernel between two readings that differ
    """
    for layout in LAYOUTS:
        if layout.since.branch <= version.branch <= layout.until.branch:
            return layout
    raise Unmodelled(f"numeric GFP words of kernel {version}: its flags have not been read; use text")


@formula("F003", "F017", source="include/linux/gfp.h; 2.4.0 to 2.4.5, 2.4.9 to 6.12")
def gfp_names(word: int, version: Version) -> tuple[str, ...]:
    """The names of the flags in a kernel's word, lowest bit first; bits without a name as one number, last.

    Ensures   gfp_number(gfp_names(word, version), version) == word
    """
    bits = layout_of(version).bits
    names = sorted((name for name, bit in bits.items() if word & bit), key=lambda name: bits[name])
    rest = word & ~sum(bits.values())
    return (*names, hex(rest)) if rest else tuple(names)


@formula("F003", "F017", source="include/linux/gfp.h; 2.4.0 to 2.4.5, 2.4.9 to 6.12")
def gfp_number(names: Iterable[str], version: Version) -> int:
    """A kernel's word from names of flags, and numbers for bits without a name.

    Errors    ValueError naming a flag that this kernel lacks
    """
    bits = layout_of(version).bits
    word = 0
    for name in names:
        if name.startswith("0x"):
            word |= int(name, 16)
        elif name in bits:
            word |= bits[name]
        else:
            raise ValueError(f"kernel {version} has no flag {name!r}")
    return word


@formula("F003", "F017", source="include/linux/gfp.h; 2.4.0 to 2.4.5, 2.4.9 to 6.12")
def decode_gfp(word: int, version: Version) -> int:
    """The canonical word of the number that a kernel of `version` stores.

    Up to 4.3 __GFP_WAIT is what allows direct reclaim, and every request wakes kswapd that does not forbid it
    with __GFP_NO_KSWAPD.  Flags and bits that say nothing to the page allocator are dropped.
    Errors    Unmodelled for a kernel between two readings that differ
    """
    layout = layout_of(version)
    canonical = 0
    for name, bit in layout.bits.items():
        if word & bit and name in CANONICAL_BITS:
            canonical |= CANONICAL_BITS[name]
    if "__GFP_WAIT" not in layout.bits:
        return canonical
    canonical &= ~GFP_RECLAIM
    if word & layout.bits["__GFP_WAIT"]:
        canonical |= GFP_DIRECT_RECLAIM_BIT
    if not word & layout.bits.get("__GFP_NO_KSWAPD", 0):
        canonical |= GFP_KSWAPD_RECLAIM_BIT
    return canonical


@formula("F003", "F017", source="include/linux/gfp.h; 2.4.0 to 2.4.5, 2.4.9 to 6.12")
def encode_gfp(canonical: int, version: Version) -> int:
    """The number that a kernel of `version` stores for a canonical word, as far as its flags go.

    Ensures   decode_gfp(encode_gfp(decode_gfp(word, v), v), v) == decode_gfp(word, v)
    Errors    Unmodelled for a kernel between two readings that differ
    """
    bits = layout_of(version).bits
    word = 0
    for name, bit in bits.items():
        if name != "__GFP_WAIT" and canonical & CANONICAL_BITS.get(name, 0):
            word |= bit
    if "__GFP_WAIT" in bits:
        if canonical & GFP_DIRECT_RECLAIM_BIT:
            word |= bits["__GFP_WAIT"]
        if not canonical & GFP_KSWAPD_RECLAIM_BIT:
            word |= bits.get("__GFP_NO_KSWAPD", 0)
    return word
