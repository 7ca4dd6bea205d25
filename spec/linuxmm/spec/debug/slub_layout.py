"""SLUB debugging: where the parts of one slot of a cache lie, to the byte.

Left red zone, object, right red zone, free pointer, the last allocation and the last free, the size that
was asked for, padding; in this order, each present or empty as the options of the cache say.

Linux: mm/slub.c:calculate_sizes.  Seed 2.13.2 (F077).  2.6.23 to 6.12.
"""

from typing import Final, NamedTuple

from linuxmm.spec.arith import align_down, align_up
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula

WORD: Final = 8


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
    since="2.6.23",
    until="6.0",
    features=("F077",),
    source="mm/slub.c:calculate_sizes, init_object; 3.0, 3.10, 4.9, 4.19, 5.10 (5.14 to 6.0 unconfirmed)",
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


class SlotForm(NamedTuple):
    """How kernels lay out the same slot.

    left      with red zones there is one on the left
    middle    a free pointer inside the object lies in its middle, and not at its start
    small     with red zones the free pointer of an object smaller than a word lies outside it
    track     bytes of a record of who allocated or freed: address, CPU, pid and time
    stack     return addresses in such a record; records of 32 bytes have a number of the stack depot
    """

    left: bool
    middle: bool
    small: bool
    track: int
    stack: int


NEWEST: Final = SlotForm(left=True, middle=True, small=True, track=32, stack=0)


@behaviour(
    "debug.slub.slot",
    since="2.6.23",
    until="3.0",
    features=("F077",),
    source="mm/slub.c:init_object, get_track; 3.0 (2.6.23 to 2.6.39 unconfirmed)",
)
def plain_tracks() -> SlotForm:
    """No red zone on the left; a track has one address."""
    return SlotForm(left=False, middle=False, small=False, track=24, stack=0)


@behaviour(
    "debug.slub.slot",
    since="3.1",
    until="4.5",
    features=("F077",),
    source="mm/slub.c:init_object, set_track; 3.10 (3.1 to 3.9, 3.11 to 4.5 unconfirmed)",
)
def stack_in_track() -> SlotForm:
    """No red zone on the left; a track has the sixteen last return addresses."""
    return SlotForm(left=False, middle=False, small=False, track=152, stack=16)


@behaviour(
    "debug.slub.slot",
    since="4.6",
    until="5.6",
    features=("F077",),
    source="mm/slub.c:init_object, set_track; 4.9, 4.19 (4.6 to 4.8, 5.0 to 5.6 unconfirmed)",
)
def red_on_both_sides() -> SlotForm:
    """Red zones on both sides."""
    return SlotForm(left=True, middle=False, small=False, track=152, stack=16)


@behaviour(
    "debug.slub.slot",
    since="5.7",
    until="5.12",
    features=("F077",),
    source="mm/slub.c:calculate_sizes; (5.7 to 5.12 unconfirmed)",
    replaced_in=("5.10.46",),
)
def pointer_in_the_middle() -> SlotForm:
    """The free pointer moves to the middle of the object."""
    return SlotForm(left=True, middle=True, small=False, track=152, stack=16)


@behaviour(
    "debug.slub.slot",
    since="5.13",
    until="5.18",
    features=("F077",),
    source="mm/slub.c:calculate_sizes; 5.10.228 (5.13 to 5.18 unconfirmed)",
    backports=("5.10.46",),
)
def small_objects_too() -> SlotForm:
    """The free pointer of a small object does not lie in its red zone."""
    return SlotForm(left=True, middle=True, small=True, track=152, stack=16)


@behaviour(
    "debug.slub.slot",
    since="5.19",
    features=("F077",),
    source="mm/slub.c:set_track; 6.1, 6.12 (5.19, 6.0 unconfirmed)",
)
def stack_in_depot() -> SlotForm:
    """A track has the number of a stack in the depot."""
    return NEWEST


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
def slub_layout(
    object_size: int, align: int, options: SlubOptions, asked: AskedSize, form: SlotForm = NEWEST
) -> SlubLayout:
    """The layout of a slot of 64-bit SLUB without KASAN.

    Requires  object_size > 0; align a power of two, at least 8
    Ensures   parts follow each other; object and slot are aligned
    Source    calculate_sizes; 3.0, 3.10, 4.9, 4.19, 5.10, 6.1, 6.12
    """
    used = align_up(object_size, WORD)
    if options.red_zone and used == object_size:
        used += WORD
    left = align_up(WORD, align) if options.red_zone and form.left else 0
    keeps_asked = options.store_user and options.kmalloc and asked.bytes > 0
    moved = (form.small and object_size < WORD) or (keeps_asked and asked.red_zone)
    outside = options.keeps or options.poison or (options.red_zone and moved)
    tracks = used + WORD if outside else used
    inside = align_down(object_size // 2, WORD) if form.middle else 0
    pointer = used if outside else inside
    size_asked = tracks + 2 * form.track if options.store_user else tracks
    padding = size_asked + asked.bytes if keeps_asked else size_asked
    end = padding + WORD if options.red_zone else padding
    size = align_up(end + left, align)
    return SlubLayout(
        left, left + object_size, left + pointer, left + tracks, left + size_asked, left + padding, size
    )
