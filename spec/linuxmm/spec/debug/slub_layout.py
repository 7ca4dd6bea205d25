"""SLUB debugging: where the parts of one slot of a cache lie, to the byte.

Left red zone, object, right red zone, free pointer, the last allocation and the last free, the size that
was asked for, padding; in this order, each present or empty as the options of the cache say.

Linux: mm/slub.c:calculate_sizes.  Seed 2.13.2 (F077).  6.1.
"""

from typing import Final, NamedTuple

from linuxmm.spec.arith import align_down, align_up
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


@formula("F077", source="mm/slub.c:calculate_sizes")
def slub_layout(object_size: int, align: int, options: SlubOptions) -> SlubLayout:
    """The layout of a slot of 64-bit SLUB, with stack depot and without KASAN.

    Requires  object_size > 0; align a power of two, at least 8
    Ensures   parts follow each other; object and slot are aligned
    Source    calculate_sizes; 6.1
    """
    used = align_up(object_size, WORD)
    if options.red_zone and used == object_size:
        used += WORD
    left = align_up(WORD, align) if options.red_zone else 0
    outside = options.keeps or options.poison or (options.red_zone and object_size < WORD)
    tracks = used + WORD if outside else used
    pointer = used if outside else align_down(object_size // 2, WORD)
    asked = tracks + 2 * TRACK_SIZE if options.store_user else tracks
    padding = asked + 4 if options.store_user and options.kmalloc else asked
    end = padding + WORD if options.red_zone else padding
    size = align_up(end + left, align)
    return SlubLayout(
        left, left + object_size, left + pointer, left + tracks, left + asked, left + padding, size
    )
