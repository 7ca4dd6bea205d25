"""Lists by generation as flat arrays: the primitives of `linuxmm.model.reclaim.gen_state` over the arena.

Behind the words of `lru_arena` stand those of generations; a page's generation and uses are in its flags.
A list is found by its ends alone, so a page leaves whatever generation's list it stands on.
"""

from typing import Final

import numpy as np
from numpy import uintp as U  # noqa: N812

from linuxmm.fast.lru_arena import (
    FLAGS,
    FREE,
    MAPPED,
    NEXT,
    PREV,
    RECORD,
    SIZE,
    WORDS,
    FastLruvec,
    frame_word,
    holder,
    word,
)
from linuxmm.model.reclaim import ageing, eviction, gen_accesses, gen_lists, gen_state
from linuxmm.model.reclaim.generations import GENS, KINDS, NR_RATES, TIERS
from linuxmm.model.reclaim.rules import Control
from linuxmm.model.reclaim.state import LRU, NOTHING, SWAPBACKED
from linuxmm.spec.relink import Function

LISTS: Final = GENS * KINDS
ENABLED: Final = WORDS
MAX_SEQ: Final = ENABLED + 1
MIN_SEQ: Final = MAX_SEQ + 1
BIRTH: Final = MIN_SEQ + KINDS
NOW: Final = BIRTH + GENS
TTL: Final = NOW + 1
WALKS: Final = TTL + 1
STARVED: Final = WALKS + 1
SKEWED: Final = STARVED + 1
MIXED: Final = SKEWED + 1
GEN_HEAD: Final = MIXED + 1
GEN_TAIL: Final = GEN_HEAD + LISTS
GEN_SIZE: Final = GEN_TAIL + LISTS
RATES: Final = GEN_SIZE + LISTS
ALL_WORDS: Final = RATES + NR_RATES * KINDS * TIERS


def by_generations(v: FastLruvec) -> bool:
    return word(v, ENABLED) != 0


def youngest(v: FastLruvec) -> int:
    return word(v, MAX_SEQ)


def oldest(v: FastLruvec, kind: int) -> int:
    return word(v, MIN_SEQ + kind)


def gen_tail(v: FastLruvec, generation: int, kind: int, zone: int) -> int:
    return word(v, GEN_TAIL + generation * KINDS + kind)


def gen_size(v: FastLruvec, generation: int, kind: int, zone: int) -> int:
    return word(v, GEN_SIZE + generation * KINDS + kind)


def flags_of(v: FastLruvec, page: int) -> int:
    return frame_word(v, page, FLAGS)


def rate(v: FastLruvec, which: int, kind: int, tier: int) -> int:
    return word(v, RATES + (which * KINDS + kind) * TIERS + tier)


def now_of(v: FastLruvec) -> int:
    return word(v, NOW)


def birth_of(v: FastLruvec, generation: int) -> int:
    return word(v, BIRTH + generation)


def ttl_of(v: FastLruvec) -> int:
    return word(v, TTL)


def walks_tables(v: FastLruvec) -> bool:
    return word(v, WALKS) != 0


def next_mapped(v: FastLruvec, page: int) -> int:
    page += 1
    while page * RECORD < v.frames.size:
        if frame_word(v, page, FLAGS) & (MAPPED | FREE) == MAPPED:
            return page
        page += 1
    return NOTHING


def passed_over(v: FastLruvec, page: int) -> bool:
    return False


def at_place(v: FastLruvec, place: int) -> int:
    return holder(v, place) if 0 <= place < v.keys.size else NOTHING


def _kind(v: FastLruvec, page: int) -> int:
    return 0 if frame_word(v, page, FLAGS) & SWAPBACKED else 1


def link(v: FastLruvec, page: int, generation: int, to_tail: bool) -> FastLruvec:
    frames, st = v.frames, v.st
    at = generation * KINDS + _kind(v, page)
    first, last = word(v, GEN_HEAD + at), word(v, GEN_TAIL + at)
    frames[U(page * RECORD + PREV)] = last if to_tail else NOTHING
    frames[U(page * RECORD + NEXT)] = NOTHING if to_tail else first
    if first == NOTHING:
        st[U(GEN_HEAD + at)] = page
        st[U(GEN_TAIL + at)] = page
    elif to_tail:
        frames[U(last * RECORD + NEXT)] = page
        st[U(GEN_TAIL + at)] = page
    else:
        frames[U(first * RECORD + PREV)] = page
        st[U(GEN_HEAD + at)] = page
    frames[U(page * RECORD + FLAGS)] |= np.int32(LRU)
    return v


def unlink(v: FastLruvec, page: int) -> FastLruvec:
    frames, st = v.frames, v.st
    before, after = frame_word(v, page, PREV), frame_word(v, page, NEXT)
    kind = _kind(v, page)
    if before != NOTHING:
        frames[U(before * RECORD + NEXT)] = after
    if after != NOTHING:
        frames[U(after * RECORD + PREV)] = before
    if before == NOTHING or after == NOTHING:
        for generation in range(GENS):
            at = generation * KINDS + kind
            if word(v, GEN_HEAD + at) == page:
                st[U(GEN_HEAD + at)] = after
            if word(v, GEN_TAIL + at) == page:
                st[U(GEN_TAIL + at)] = before
    frames[U(page * RECORD + FLAGS)] &= np.int32(~LRU)
    return v


def gen_count(v: FastLruvec, generation: int, kind: int, zone: int, pages: int) -> FastLruvec:
    v.st[U(GEN_SIZE + generation * KINDS + kind)] += pages
    return v


def list_count(v: FastLruvec, lru: int, zone: int, pages: int) -> FastLruvec:
    v.st[U(SIZE + lru)] += pages
    return v


def set_youngest(v: FastLruvec, seq: int) -> FastLruvec:
    v.st[U(MAX_SEQ)] = seq
    v.st[U(BIRTH + seq % GENS)] = word(v, NOW)
    return v


def set_oldest(v: FastLruvec, kind: int, seq: int) -> FastLruvec:
    v.st[U(MIN_SEQ + kind)] = seq
    return v


def set_rate(v: FastLruvec, which: int, kind: int, tier: int, value: int) -> FastLruvec:
    v.st[U(RATES + (which * KINDS + kind) * TIERS + tier)] = value
    return v


def note_starved(v: FastLruvec) -> FastLruvec:
    v.st[U(STARVED)] += 1
    return v


def note_skew(v: FastLruvec) -> FastLruvec:
    v.st[U(SKEWED)] = 1
    return v


def set_enabled(v: FastLruvec, on: bool) -> FastLruvec:
    v.st[U(ENABLED)] = 1 if on else 0
    for place in range(v.keys.size):
        if v.keys[U(place)] >= 0:
            v.st[U(MIXED)] = 1
    return v


GENERATIONS: Final[dict[Function, Function]] = {
    getattr(gen_state, own.__name__): own
    for own in (
        by_generations, youngest, oldest, gen_tail, gen_size, flags_of, rate, now_of, birth_of, ttl_of,
        walks_tables, next_mapped, passed_over, at_place, link, unlink, gen_count, list_count, set_youngest,
        set_oldest, set_rate, note_starved, note_skew, set_enabled,
    )
}  # fmt: skip
"""The model's primitives of generations -> their form over the arena."""


# ---- kernels without them ----------------------------------------------------------------------------------


def _page(rules: object, v: FastLruvec, page: int) -> FastLruvec:
    return v


def _page_and(rules: object, v: FastLruvec, page: int, more: bool) -> FastLruvec:
    return v


def _page_alone(v: FastLruvec, page: int) -> FastLruvec:
    return v


def _page_alone_and(v: FastLruvec, page: int, more: bool) -> FastLruvec:
    return v


def _page_under(rules: object, v: FastLruvec, page: int, control: Control) -> FastLruvec:
    return v


def _pass(rules: object, v: FastLruvec, control: Control) -> tuple[FastLruvec, Control]:
    return v, control


def _never(v: FastLruvec) -> bool:
    return False


def _of_no_page(v: FastLruvec, page: int) -> bool:
    return False


WITHOUT: Final[dict[Function, Function]] = {
    gen_state.by_generations: _never,
    gen_accesses.has_generation: _of_no_page,
    gen_accesses.note_use: _page_alone,
    gen_accesses.give_up: _page,
    gen_accesses.move_to_end: _page,
    gen_accesses.gen_evict: _page,
    gen_accesses.gen_refault: _page_and,
    gen_lists.gen_add: _page_and,
    gen_lists.gen_delete: _page_alone_and,
    ageing.look_around: _page_under,
    eviction.shrink_generations: _pass,
    eviction.age_node: _pass,
}
"""What is never reached in a kernel whose rules have no lists by generation: nothing of it is compiled."""
