"""Lists of pages as flat arrays: the primitives of `linuxmm.model.reclaim.state` over one arena.

`frames` (int32) has four words, 16 bytes, a page frame: the links of its list, the place whose content it
holds, its flags.  `keys` (int64) has a word a place: nothing, the frame that holds its content, or the shadow
entry that was left there.  `st` (int64) has the rest of the lruvec.  There is one zone, a frame is mapped by
at most one entry, and nothing is locked by mlock.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy import uintp as U  # noqa: N812

from linuxmm.fast.arena import Int32s, Int64s
from linuxmm.fast.prefetch import ask
from linuxmm.model.reclaim import events, reclaimers, shrinkers, state, workload
from linuxmm.model.reclaim.counters import NAMES
from linuxmm.model.reclaim.outside import PAGE_SYNCED, UNMAPPED, References
from linuxmm.model.reclaim.rules import Control
from linuxmm.model.reclaim.state import DIRTY, LRU, NOTHING, SWAPCACHE, TAKEN, WAITING, Recent, ZoneMarks
from linuxmm.spec.reclaim.daemon import ZoneLook
from linuxmm.spec.reclaim.lists import FILE
from linuxmm.spec.relink import Function
from linuxmm.spec.step import Event

# Words of a frame.
PREV: Final = 0
"""Towards the head."""
NEXT: Final = 1
SLOT: Final = 2
FLAGS: Final = 3
RECORD: Final = 4

# Bits of FLAGS above the model's.
MAPPED: Final = 1 << 20
YOUNG: Final = 1 << 21
FREE: Final = 1 << 22

# Words of `st`.  Lists 0 to 4 are the model's, then its queues, then the free frames.
NR_QUEUES: Final = 10
QUEUE: Final = 6
"""List of a queue of the model: WAITING is the list before."""
FREE_LIST: Final = 9
HEAD: Final = 0
TAIL: Final = HEAD + NR_QUEUES
SIZE: Final = TAIL + NR_QUEUES
ISOLATED: Final = SIZE + NR_QUEUES
SAVED: Final = ISOLATED + 2
SCANNED: Final = SAVED + 4
ROTATED: Final = SCANNED + 2
COST: Final = ROTATED + 2
REFAULTS: Final = COST + 2
LOOKED: Final = REFAULTS + 2
CLOCK: Final = LOOKED + 2
PREVIOUS: Final = CLOCK + 1
FRUITLESS: Final = PREVIOUS + 1
TAIL_DIRTY: Final = FRUITLESS + 1
FAILURES: Final = TAIL_DIRTY + 1
IN_USE: Final = FAILURES + 1
SWAP: Final = IN_USE + 1
MANAGED: Final = SWAP + 1
FREE_PAGES: Final = MANAGED + 1
MIN: Final = FREE_PAGES + 1
LOW: Final = MIN + 1
HIGH: Final = LOW + 1
ENTERING: Final = HIGH + 1
"""The frame that got its content last."""
WALK: Final = ENTERING + 1
"""The place where the walk through the one address space goes on, or a place behind all."""
PRESSURE: Final = WALK + 1
SPACE_LEFT: Final = PRESSURE + 1
"""Pages of the one address space still to be looked at, and where that goes on (to 2.4.9)."""
SPACE_AT: Final = SPACE_LEFT + 1
COUNTERS: Final = SPACE_AT + 1
WORDS: Final = COUNTERS + len(NAMES)

HELD: Final = -2
"""A place whose content frame n holds has the word -2 - n."""


class FastLruvec(NamedTuple):
    """A lruvec in arrays."""

    frames: Int32s
    keys: Int64s
    st: Int64s


def word(v: FastLruvec, at: int) -> int:
    return np.int64(v.st[U(at)])  # type: ignore[return-value]


def frame_word(v: FastLruvec, page: int, which: int) -> int:
    return np.int64(v.frames[U(page * RECORD + which)])  # type: ignore[return-value]


# ---- lists -----------------------------------------------------------------------------------------------


def link_head(v: FastLruvec, page: int, at: int) -> None:
    frames, st = v.frames, v.st
    first = word(v, HEAD + at)
    frames[U(page * RECORD + PREV)] = NOTHING
    frames[U(page * RECORD + NEXT)] = first
    if first == NOTHING:
        st[U(TAIL + at)] = page
    else:
        frames[U(first * RECORD + PREV)] = page
    st[U(HEAD + at)] = page
    st[U(SIZE + at)] += 1


def link_tail(v: FastLruvec, page: int, at: int) -> None:
    frames, st = v.frames, v.st
    last = word(v, TAIL + at)
    frames[U(page * RECORD + PREV)] = last
    frames[U(page * RECORD + NEXT)] = NOTHING
    if last == NOTHING:
        st[U(HEAD + at)] = page
    else:
        frames[U(last * RECORD + NEXT)] = page
    st[U(TAIL + at)] = page
    st[U(SIZE + at)] += 1


def unlink(v: FastLruvec, page: int, at: int) -> None:
    frames, st = v.frames, v.st
    before = frame_word(v, page, PREV)
    after = frame_word(v, page, NEXT)
    if before == NOTHING:
        st[U(HEAD + at)] = after
    else:
        frames[U(before * RECORD + NEXT)] = after
    if after == NOTHING:
        st[U(TAIL + at)] = before
    else:
        frames[U(after * RECORD + PREV)] = before
    st[U(SIZE + at)] -= 1


def tail(v: FastLruvec, lru: int) -> int:
    return word(v, TAIL + lru)


def size_of(v: FastLruvec, lru: int) -> int:
    return word(v, SIZE + lru)


def size_below(v: FastLruvec, lru: int, zone: int) -> int:
    return word(v, SIZE + lru)


def add_head(v: FastLruvec, page: int, lru: int) -> FastLruvec:
    link_head(v, page, lru)
    v.frames[U(page * RECORD + FLAGS)] |= np.int32(LRU)
    return v


def add_tail(v: FastLruvec, page: int, lru: int) -> FastLruvec:
    link_tail(v, page, lru)
    v.frames[U(page * RECORD + FLAGS)] |= np.int32(LRU)
    return v


def remove(v: FastLruvec, page: int, lru: int) -> FastLruvec:
    unlink(v, page, lru)
    v.frames[U(page * RECORD + FLAGS)] &= np.int32(~LRU)
    return v


def ask_frame(v: FastLruvec, slot: int) -> None:
    """Have the frame brought in that holds the content of a place."""
    held = v.keys[U(slot)]
    if held <= HELD:
        ask(v.frames, (HELD - held) * RECORD)


def push(v: FastLruvec, queue: int, page: int) -> FastLruvec:
    if queue == TAKEN:  # its place's word is needed when it is judged
        ask(v.keys, frame_word(v, page, SLOT))
    link_tail(v, page, QUEUE + queue)
    return v


def pop(v: FastLruvec, queue: int) -> tuple[FastLruvec, int]:
    page = word(v, HEAD + QUEUE + queue)
    if page != NOTHING:
        unlink(v, page, QUEUE + queue)
    return v, page


def leave_batch(v: FastLruvec, page: int) -> FastLruvec:
    unlink(v, page, QUEUE + WAITING)
    return v


def waiting(v: FastLruvec) -> int:
    return word(v, SIZE + QUEUE + WAITING)


def is_waiting(v: FastLruvec, page: int) -> bool:
    """Asked between steps, when whatever is on no list waits."""
    return frame_word(v, page, FLAGS) & LRU == 0


def count_isolated(v: FastLruvec, lru: int, pages: int) -> FastLruvec:
    v.st[U(ISOLATED + (1 if lru & FILE else 0))] += pages
    return v


# ---- pages -----------------------------------------------------------------------------------------------


def has(v: FastLruvec, page: int, flag: int) -> bool:
    return frame_word(v, page, FLAGS) & flag != 0


def flag(v: FastLruvec, page: int, flags: int, on: bool) -> FastLruvec:
    old = frame_word(v, page, FLAGS)
    v.frames[U(page * RECORD + FLAGS)] = old | flags if on else old & ~flags
    return v


def zone_of(v: FastLruvec, page: int) -> int:
    return 0


def slot_of(v: FastLruvec, page: int) -> int:
    return frame_word(v, page, SLOT)


def mapped(v: FastLruvec, page: int) -> int:
    return 1 if frame_word(v, page, FLAGS) & MAPPED else 0


def holder(v: FastLruvec, slot: int) -> int:
    held = v.keys[U(slot)]
    return HELD - held if held <= HELD else NOTHING


def free_page(v: FastLruvec, slot: int) -> int:
    return word(v, HEAD + FREE_LIST)


def add_page(v: FastLruvec, page: int, flags: int, slot: int, zone: int) -> FastLruvec:
    """A shadow stays in the place's word until it was looked at."""
    unlink(v, page, FREE_LIST)
    v.frames[U(page * RECORD + SLOT)] = slot
    v.frames[U(page * RECORD + FLAGS)] = flags
    v.st[U(FREE_PAGES)] -= 1
    v.st[U(ENTERING)] = page
    if v.keys[U(slot)] == NOTHING:
        v.keys[U(slot)] = HELD - page
    return v


def forget(v: FastLruvec, page: int) -> FastLruvec:
    slot = frame_word(v, page, SLOT)
    if v.keys[U(slot)] == HELD - page:
        v.keys[U(slot)] = NOTHING
    v.frames[U(page * RECORD + FLAGS)] = FREE
    link_head(v, page, FREE_LIST)
    v.st[U(FREE_PAGES)] += 1
    return v


def shadow_at(v: FastLruvec, slot: int) -> int:
    found = v.keys[U(slot)]
    return found if found >= 0 else NOTHING


def set_shadow(v: FastLruvec, slot: int, shadow: int) -> FastLruvec:
    """A shadow is taken away only for the page that enters in its place."""
    v.keys[U(slot)] = shadow if shadow != NOTHING else HELD - word(v, ENTERING)
    return v


# ---- what is counted beside the lists --------------------------------------------------------------------


def nr_zones(v: FastLruvec) -> int:
    return 1


def marks_of(v: FastLruvec, zone: int) -> ZoneMarks:
    return ZoneMarks(word(v, MANAGED), word(v, FREE_PAGES), word(v, MIN), word(v, LOW), word(v, HIGH), False)


def looks(v: FastLruvec, zone: int) -> tuple[ZoneLook]:
    return (ZoneLook(word(v, MANAGED), word(v, FREE_PAGES) > word(v, HIGH), False),)


def clock_of(v: FastLruvec) -> int:
    return word(v, CLOCK)


def set_clock(v: FastLruvec, clock: int) -> FastLruvec:
    v.st[U(CLOCK)] = clock
    return v


def saved_of(v: FastLruvec, lru: int) -> int:
    return word(v, SAVED + lru)


def set_saved(v: FastLruvec, lru: int, pages: int) -> FastLruvec:
    v.st[U(SAVED + lru)] = pages
    return v


def recent(v: FastLruvec) -> Recent:
    return Recent(
        word(v, SCANNED),
        word(v, SCANNED + 1),
        word(v, ROTATED),
        word(v, ROTATED + 1),
        word(v, COST),
        word(v, COST + 1),
    )


def add_recent(v: FastLruvec, lru: int, scanned: int, rotated: int) -> FastLruvec:
    kind = 1 if lru & FILE else 0
    v.st[U(SCANNED + kind)] += scanned
    v.st[U(ROTATED + kind)] += rotated
    return v


def set_recent(v: FastLruvec, anon: tuple[int, int], file: tuple[int, int]) -> FastLruvec:
    v.st[U(SCANNED)] = anon[0]
    v.st[U(SCANNED + 1)] = file[0]
    v.st[U(ROTATED)] = anon[1]
    v.st[U(ROTATED + 1)] = file[1]
    return v


def set_cost(v: FastLruvec, cost: tuple[int, int]) -> FastLruvec:
    v.st[U(COST)] = cost[0]
    v.st[U(COST + 1)] = cost[1]
    return v


def previous_of(v: FastLruvec) -> int:
    return word(v, PREVIOUS)


def fruitless_of(v: FastLruvec) -> int:
    return word(v, FRUITLESS)


def set_fruitless(v: FastLruvec, pages: int) -> FastLruvec:
    v.st[U(FRUITLESS)] = pages
    return v


def failures_of(v: FastLruvec) -> int:
    return word(v, FAILURES)


def set_failures(v: FastLruvec, failures: int) -> FastLruvec:
    v.st[U(FAILURES)] = failures
    return v


def tail_is_dirty(v: FastLruvec) -> bool:
    return word(v, TAIL_DIRTY) != 0


def set_tail_dirty(v: FastLruvec, dirty: bool) -> FastLruvec:
    v.st[U(TAIL_DIRTY)] = 1 if dirty else 0
    return v


def refaulted(v: FastLruvec, kind: int) -> bool:
    which = 1 if kind == FILE else 0
    return word(v, REFAULTS + which) != word(v, LOOKED + which)


def note_refault(v: FastLruvec, file: bool) -> FastLruvec:
    v.st[U(REFAULTS + (1 if file else 0))] += 1
    return v


def end_reclaim(v: FastLruvec, priority: int) -> FastLruvec:
    v.st[U(PREVIOUS)] = priority
    v.st[U(LOOKED)] = word(v, REFAULTS)
    v.st[U(LOOKED + 1)] = word(v, REFAULTS + 1)
    return v


def count(v: FastLruvec, counter: int, pages: int = 1) -> FastLruvec:
    v.st[U(COUNTERS + counter)] += pages
    return v


def trace(v: FastLruvec, event: int) -> FastLruvec:
    return v


def no_event(a: int = 0, b: int = 0, c: int = 0, d: int = 0, e: int = 0) -> int:
    return 0


# ---- page tables, swap, the disk -------------------------------------------------------------------------


def in_use(v: FastLruvec) -> int:
    return word(v, IN_USE)


def map_page(v: FastLruvec, page: int) -> FastLruvec:
    flags = frame_word(v, page, FLAGS)
    if not flags & MAPPED:
        v.st[U(IN_USE)] += 1
    v.frames[U(page * RECORD + FLAGS)] = flags | MAPPED | YOUNG
    return v


def references(v: FastLruvec, page: int) -> tuple[FastLruvec, References]:
    flags = frame_word(v, page, FLAGS)
    young = flags & YOUNG != 0
    v.frames[U(page * RECORD + FLAGS)] = flags & ~YOUNG
    return v, References(1 if young else 0, False, False)


def unmap(v: FastLruvec, page: int) -> tuple[FastLruvec, int]:
    v.st[U(IN_USE)] -= 1
    v.frames[U(page * RECORD + FLAGS)] = frame_word(v, page, FLAGS) & ~(MAPPED | YOUNG)
    return v, UNMAPPED


def swap_free(v: FastLruvec) -> int:
    return word(v, SWAP)


def take_slot(v: FastLruvec, page: int) -> tuple[FastLruvec, bool]:
    if word(v, SWAP) == 0:
        return v, False
    v.st[U(SWAP)] -= 1
    return flag(v, page, SWAPCACHE | DIRTY, True), True


def give_slot(v: FastLruvec, page: int) -> FastLruvec:
    v.st[U(SWAP)] += 1
    return flag(v, page, SWAPCACHE, False)


def pageout(v: FastLruvec, page: int) -> tuple[FastLruvec, int]:
    return v, PAGE_SYNCED


def shrink_slab(rules: int, v: FastLruvec, control: Control, scanned: int) -> tuple[FastLruvec, Control]:
    """There are no caches outside the lists."""
    return v, control


PRIMITIVES: Final[dict[Function, Function]] = {
    **{
        getattr(state, own.__name__): own
        for own in (
            tail, size_of, size_below, has, zone_of, slot_of, mapped, shadow_at, is_waiting, waiting,
            nr_zones, marks_of, clock_of, saved_of, recent, previous_of, fruitless_of, failures_of,
            tail_is_dirty, refaulted, in_use, flag, add_head, add_tail, remove, count_isolated, add_page,
            push, pop,
            leave_batch, forget, set_shadow, set_clock, add_recent, set_recent, set_cost, set_saved,
            set_fruitless, set_failures, set_tail_dirty, note_refault, end_reclaim, count, trace, references,
            unmap, take_slot, give_slot, pageout, swap_free,
        )
    },
    state.unmap_lazyfree: unmap,
    reclaimers.looks: looks,
    shrinkers.shrink_slab: shrink_slab,
    workload.holder: holder,
    workload.free_page: free_page,
    workload.map_page: map_page,
    **{
        event: no_event
        for event in vars(events).values()
        if isinstance(event, type) and issubclass(event, Event) and event is not Event
    },
}  # fmt: skip
"""The model's primitives -> their form over the arena; nothing is noted of events."""
