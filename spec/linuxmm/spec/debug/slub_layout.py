"""SLUB debugging: where the parts of one slot of a cache lie, to the byte.

Left red zone, object, right red zone, free pointer, the last allocation and the last free, the size that
was asked for, padding; in this order, each present or empty as the options of the cache say.

Linux: mm/slub.c:calculate_sizes.  Seed 2.13.2 (F077).  5.14 to 6.12.
"""

from typing import Final, NamedTuple

from linuxmm.spec.arith import align_down, align_up
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula

WORD: Final = 8
TRACK_SIZE: Final = 32


class SlubOptions(NamedTuple):
    """What decides the layout: slub_debug=ZPU, and what the cache's creator asked for.

    keeps  the object may be looked at while it is free: SLAB_TYPESAFE_BY_RCU or a constructor
    """

    red_zone: bool = False
    poison: bool = False
    store_user: bool = False
    keeps: bool = False
    kmalloc: bool = False


class AskedSize(NamedTuple):
    """How a kernel keeps the size that a kmalloc asked for.

    bytes     of its place behind the tracks; 0 when it is not kept
    red_zone  the bytes of the object behind that size belong to the right red zone
    """

    bytes: int
    red_zone: bool


@behaviour(
    "debug.slub.asked-size",
    since="5.14",
    until="6.0",
    features=("F077",),
    source="mm/slub.c:calculate_sizes; (5.14 to 6.0 unconfirmed)",
)
def asked_not_kept() -> AskedSize:
    """The size of the class is all that is known."""
    return AskedSize(0, False)


@behaviour(
    "debug.slub.asked-size",
    since="6.1",
    until="6.1",
    features=("F077",),
    source="mm/slub.c:calculate_sizes, set_orig_size; 6.1",
)
def asked_kept() -> AskedSize:
    """It is kept in an unsigned int, for who reads the traces of a cache."""
    return AskedSize(4, False)


@behaviour(
    "debug.slub.asked-size",
    since="6.2",
    until="6.17",
    features=("F077",),
    source="mm/slub.c:calculate_sizes, init_object, check_object; (6.2 to 6.17 unconfirmed)",
    replaced_in=("6.12.117",),
)
def asked_in_red_zone() -> AskedSize:
    """What a kmalloc did not ask for is red."""
    return AskedSize(4, True)


@behaviour(
    "debug.slub.asked-size",
    since="6.18",
    features=("F077",),
    source="mm/slub.c:calculate_sizes, init_object, check_object; 6.12.117 (6.18 unconfirmed)",
    backports=("6.12.117",),
)
def asked_in_red_zone_long() -> AskedSize:
    """What a kmalloc did not ask for is red; the size is kept in an unsigned long."""
    return AskedSize(8, True)


class SlubLayout(NamedTuple):
    """Offsets from the start of the slot; a part ends where the next begins.

    free_pointer  where the free pointer lies; before `tracks` when it is outside the object
    """

    object: int
    right_red_zone: int
    free_pointer: int
    tracks: int
    asked_size: int
    padding: int
    size: int

    @property
    def outside(self) -> bool:
        """Whether the free pointer lies behind the object, so that it can be checked while that is in use."""
        return self.free_pointer >= self.right_red_zone

    @property
    def zone_end(self) -> int:
        """Where the right red zone, or the padding in its place, ends."""
        return self.free_pointer if self.outside else self.tracks


@formula("F077", source="mm/slub.c:calculate_sizes")
def slub_layout(object_size: int, align: int, options: SlubOptions, asked: AskedSize) -> SlubLayout:
    """The layout of a slot of 64-bit SLUB, with stack depot and without KASAN.

    Requires  object_size > 0; align a power of two, at least 8
    Ensures   parts follow each other; object and slot are aligned
    Source    calculate_sizes; 6.1, 6.12
    """
    used = align_up(object_size, WORD)
    if options.red_zone and used == object_size:
        used += WORD
    left = align_up(WORD, align) if options.red_zone else 0
    keeps_asked = options.store_user and options.kmalloc and asked.bytes > 0
    moved = object_size < WORD or (keeps_asked and asked.red_zone)
    outside = options.keeps or options.poison or (options.red_zone and moved)
    tracks = used + WORD if outside else used
    pointer = used if outside else align_down(object_size // 2, WORD)
    size_asked = tracks + 2 * TRACK_SIZE if options.store_user else tracks
    padding = size_asked + asked.bytes if keeps_asked else size_asked
    end = padding + WORD if options.red_zone else padding
    size = align_up(end + left, align)
    return SlubLayout(
        left, left + object_size, left + pointer, left + tracks, left + size_asked, left + padding, size
    )
