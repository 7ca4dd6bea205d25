"""The walk of 2.4 through an address space, over the arena: one space, in which a place is an address.

Linux: mm->swap_address (mm/vmscan.c:swap_out_mm); 2.4.14 to 2.4.37.  Seed 2.4.1 (F004, F042).
"""

from typing import Final

from numpy import uintp as U  # noqa: N812

from linuxmm.fast.lru_arena import (
    FLAGS,
    HELD,
    MAPPED,
    RECORD,
    WALK,
    YOUNG,
    FastLruvec,
    frame_word,
    holder,
    unmap,
    word,
)
from linuxmm.model.reclaim import spaces
from linuxmm.model.reclaim.spaces import END_OF_SPACES
from linuxmm.model.reclaim.state import NOTHING
from linuxmm.spec.relink import Function


def nr_spaces(v: FastLruvec) -> int:
    return 1


def entry_from(v: FastLruvec) -> int:
    place = word(v, WALK)
    while place < v.keys.size:
        held = v.keys[U(place)]
        if held <= HELD and frame_word(v, HELD - held, FLAGS) & MAPPED:
            return place
        place += 1
    return NOTHING


def page_at(v: FastLruvec, address: int) -> int:
    return holder(v, address)


def start_space(v: FastLruvec) -> FastLruvec:
    if word(v, WALK) == END_OF_SPACES:
        v.st[U(WALK)] = 0
    return v


def walk_on(v: FastLruvec, address: int) -> FastLruvec:
    v.st[U(WALK)] = address + 1
    return v


def finish_space(v: FastLruvec) -> FastLruvec:
    v.st[U(WALK)] = END_OF_SPACES
    return v


def used_at(v: FastLruvec, address: int) -> tuple[FastLruvec, bool]:
    page = page_at(v, address)
    used = frame_word(v, page, FLAGS) & YOUNG != 0
    v.frames[U(page * RECORD + FLAGS)] = frame_word(v, page, FLAGS) & ~YOUNG
    return v, used


def unmap_at(v: FastLruvec, address: int) -> FastLruvec:
    v, _ = unmap(v, page_at(v, address))
    return v


SPACES: Final[dict[Function, Function]] = {
    getattr(spaces, own.__name__): own
    for own in (nr_spaces, entry_from, page_at, start_space, walk_on, finish_space, used_at, unmap_at)
}
"""The model's primitives of the walk -> their form over the arena."""
