"""Ages of pages, and the walk of 2.4.0 to 2.4.9 through the one address space, over the arena.

Linux: mm/vmscan.c:swap_out_mm, reclaim_page; 2.4.0 to 2.4.9.  Seed 2.4.1 (F004, F042).
"""

from typing import Final

from numpy import uintp as U  # noqa: N812

from linuxmm.fast.lru_arena import (
    FLAGS,
    HELD,
    MAPPED,
    PRESSURE,
    RECORD,
    SPACE_AT,
    SPACE_LEFT,
    TAIL,
    FastLruvec,
    frame_word,
    in_use,
    word,
)
from linuxmm.model.reclaim import ages
from linuxmm.model.reclaim.ages import AGE_BITS, AGE_SHIFT, CLEAN_LIST
from linuxmm.model.reclaim.state import NOTHING
from linuxmm.spec.relink import Function


def age_of(v: FastLruvec, page: int) -> int:
    return frame_word(v, page, FLAGS) >> AGE_SHIFT


def set_age(v: FastLruvec, page: int, age: int) -> FastLruvec:
    flags = frame_word(v, page, FLAGS) & ~AGE_BITS
    v.frames[U(page * RECORD + FLAGS)] = flags | age << AGE_SHIFT
    return v


def oldest_clean(v: FastLruvec, zone: int) -> int:
    return word(v, TAIL + CLEAN_LIST)


def pressure_of(v: FastLruvec) -> int:
    return word(v, PRESSURE)


def set_pressure(v: FastLruvec, pressure: int) -> FastLruvec:
    v.st[U(PRESSURE)] = pressure
    return v


def left_of(v: FastLruvec, space: int) -> int:
    return word(v, SPACE_LEFT)


def position_of(v: FastLruvec, space: int) -> int:
    return word(v, SPACE_AT)


def set_walk(v: FastLruvec, space: int, left: int, position: int) -> FastLruvec:
    v.st[U(SPACE_LEFT)] = left
    v.st[U(SPACE_AT)] = 0 if position == NOTHING else position
    return v


def next_space(v: FastLruvec) -> tuple[FastLruvec, int]:
    return v, 0


def rss_of(v: FastLruvec, space: int) -> int:
    return in_use(v)


def entry_in(v: FastLruvec, space: int, address: int) -> int:
    place = address
    while place < v.keys.size:
        held = v.keys[U(place)]
        if held <= HELD and frame_word(v, HELD - held, FLAGS) & MAPPED:
            return place
        place += 1
    return NOTHING


AGES: Final[dict[Function, Function]] = {
    getattr(ages, own.__name__): own
    for own in (
        age_of, set_age, oldest_clean, pressure_of, set_pressure, left_of, position_of, set_walk, next_space,
        rss_of, entry_in,
    )
}  # fmt: skip
"""The model's primitives of reclaim by age -> their form over the arena."""
