"""KASAN with tags: sixteen bytes of memory have one tag, and so has every pointer to them.

A pointer carries its tag in the top byte, which the processor ignores when it translates.  An access is
forbidden when its tag is not that of every granule it touches.  In software mode a shadow byte holds the
tag and the compiler puts a check before each access; in hardware mode the processor's memory tagging (MTE)
keeps four bits and checks by itself.

Linux: mm/kasan/sw_tags.c, mm/kasan/hw_tags.c, mm/kasan/tags.c.  Seed 2.13.5 (F081).  Software tags since
5.0, hardware tags since 5.11; arm64.
"""

from collections.abc import Sequence
from enum import Enum
from fractions import Fraction
from typing import Final

from linuxmm.spec.invariant import invariant
from linuxmm.spec.registry import formula

GRANULE: Final = 16
GRANULE_SHIFT: Final = 4
TAG_KERNEL: Final = 0xFF
TAG_INVALID: Final = 0xFE
TAG_MAX: Final = 0xFD


class Mode(Enum):
    """Who checks: the compiler's code or the processor; the value is the least random tag."""

    SOFTWARE = 0x00
    HARDWARE = 0xF0


@formula("F081", source="include/linux/kasan-tags.h:KASAN_TAG_MIN")
def tags_of(mode: Mode) -> int:
    """How many tags a block may be given by chance.

    Source    KASAN_TAG_MIN, KASAN_TAG_MAX; 6.1, 6.12
    """
    return TAG_MAX - mode.value + 1


@formula("F081", source="mm/kasan/sw_tags.c:kasan_random_tag")
def random_tag(state: int) -> tuple[int, int]:
    """The next state of a CPU's generator and the tag that it gives, in software mode.

    state     32 bits
    Ensures   0 <= tag <= 0xfd; the lowest bit of the state alternates and 254 is even, so that two tags drawn
              one after the other on a CPU always differ
    Source    kasan_random_tag; 5.0 to 6.12
    """
    state = (1664525 * state + 1013904223) & 0xFFFF_FFFF
    return state, state % (TAG_MAX + 1)


@formula("F081", source="mm/kasan/sw_tags.c:kasan_check_range")
def access_is_forbidden(mode: Mode, pointer_tag: int, memory_tags: Sequence[int]) -> bool:
    """Whether an access through a pointer may not touch granules with these tags.

    The tag of native pointers, 0xff, matches everything; the processor compares the low four bits.
    Requires  at least one granule
    Source    kasan_check_range; ARM ARM, tag checks with TCMA1; 5.0 to 6.12
    """
    if pointer_tag == TAG_KERNEL:
        return False
    if mode is Mode.HARDWARE:
        return any(tag & 0xF != pointer_tag & 0xF for tag in memory_tags)
    return any(tag != pointer_tag for tag in memory_tags)


@formula("F081", source="mm/kasan/kasan.h:kasan_byte_accessible")
def may_be_freed(pointer_tag: int, memory_tag: int) -> bool:
    """Whether an object may be freed through a pointer: its first granule has the pointer's tag.

    Source    kasan_byte_accessible; 5.0 to 6.12
    """
    return pointer_tag in (TAG_KERNEL, memory_tag)


@formula("F081", source="mm/kasan/shadow.c:kasan_unpoison")
def granules(start: int, size: int) -> range:
    """The granules of a block: all that it touches, for a tag cannot open a part of one.

    Requires  start is a multiple of 16
    Source    kasan_unpoison; 5.0 to 6.12
    """
    return range(start >> GRANULE_SHIFT, (start + size + GRANULE - 1) >> GRANULE_SHIFT)


@formula("F081", source="include/linux/kasan-tags.h")
def odds_of_missing(mode: Mode) -> Fraction:
    """The chance that a wrong access is not seen because two blocks have the same tag.

    So for a freed object that was handed out again, and for an access that ends in another object.
    """
    return Fraction(1, tags_of(mode))


@formula("F081", source="mm/kasan/kasan.h:KASAN_GRANULE_SIZE")
def tag_bytes(mode: Mode, covered: int) -> int:
    """Bytes that the tags of `covered` bytes of memory take: one of sixteen, in hardware half of that."""
    per_byte = GRANULE if mode is Mode.SOFTWARE else 2 * GRANULE
    return covered // per_byte


@invariant(
    "debug.kasan.tags-agree", features=("F081",), seed="2.13.5", source="mm/kasan/common.c:__kasan_slab_alloc"
)
def tags_agree(pointer_tag: int, memory_tags: Sequence[int]) -> bool:
    """The granules of a live block have the tag of the pointer that was handed out."""
    return all(tag == pointer_tag for tag in memory_tags)
