"""Lists of pages as arrays when nothing is on them, and the model's form of what is there now."""

from collections.abc import Iterator

import numpy as np
from immutables import Map

from linuxmm.fast.lru_arena import (
    CLOCK,
    COST,
    COUNTERS,
    FAILURES,
    FLAGS,
    FREE,
    FREE_LIST,
    FREE_PAGES,
    FRUITLESS,
    HEAD,
    HIGH,
    ISOLATED,
    LOOKED,
    LOW,
    MANAGED,
    MAPPED,
    MIN,
    NEXT,
    NR_QUEUES,
    PRESSURE,
    PREV,
    PREVIOUS,
    QUEUE,
    RECORD,
    REFAULTS,
    ROTATED,
    SAVED,
    SCANNED,
    SIZE,
    SLOT,
    SPACE_AT,
    SPACE_LEFT,
    SWAP,
    TAIL,
    WALK,
    YOUNG,
    FastLruvec,
    tail_is_dirty,
)
from linuxmm.fast.lru_gens import (
    ALL_WORDS,
    BIRTH,
    ENABLED,
    GEN_HEAD,
    GEN_SIZE,
    GEN_TAIL,
    LISTS,
    MAX_SEQ,
    MIN_SEQ,
    MIXED,
    NOW,
    RATES,
    SKEWED,
    STARVED,
    TTL,
    WALKS,
)
from linuxmm.model.reclaim.ages import AGE_BITS
from linuxmm.model.reclaim.counters import NAMES
from linuxmm.model.reclaim.generations import GENS, Generations
from linuxmm.model.reclaim.outside import PAGE_SYNCED, Entry, Mappings, Store
from linuxmm.model.reclaim.state import KEPT, NOTHING, SKIPPED, TAKEN, WAITING, Lruvec, Page, ZoneMarks
from linuxmm.spec.errors import ImpossibleProfile
from linuxmm.spec.reclaim.lists import DEF_PRIORITY, NR_LISTS

_ALL_FLAGS = (1 << 20) - 1 | AGE_BITS


def fresh(marks: ZoneMarks, places: int, swap: int) -> FastLruvec:
    """Arrays of a zone of which every page is free.

    Errors    ImpossibleProfile for no page, no place, more of either than numbers of 31 bits tell apart
    """
    most = (1 << 31) - 3
    if not 0 < marks.managed <= most >> 2 or not 0 < places <= most or swap < 0:
        raise ImpossibleProfile(
            f"expected 1 to {most >> 2} pages, 1 to {most} places and swap, "
            f"got {marks.managed}, {places} and {swap}"
        )
    frames = np.zeros(marks.managed * RECORD, np.int32)
    numbers = np.arange(marks.managed, dtype=np.int32)
    frames[PREV::RECORD] = numbers - 1
    frames[NEXT::RECORD] = numbers + 1
    frames[NEXT - RECORD :: RECORD] = NOTHING
    frames[FLAGS::RECORD] = FREE
    st = np.zeros(ALL_WORDS, np.int64)
    st[HEAD : HEAD + NR_QUEUES] = NOTHING
    st[TAIL : TAIL + NR_QUEUES] = NOTHING
    st[[HEAD + FREE_LIST, TAIL + FREE_LIST, SIZE + FREE_LIST]] = 0, marks.managed - 1, marks.managed
    st[[MANAGED, FREE_PAGES, MIN, LOW, HIGH]] = marks.managed, marks.managed, marks.min, marks.low, marks.high
    st[[PREVIOUS, SWAP]] = DEF_PRIORITY, swap
    st[[MAX_SEQ, WALKS]] = 3, 1
    st[GEN_HEAD : GEN_TAIL + LISTS] = NOTHING
    return FastLruvec(frames, np.full(places, NOTHING, np.int64), st)


def unpack(v: FastLruvec) -> Lruvec:
    """The model's form; a page has the number of its place, so it does not matter which frame holds it."""

    def pair(at: int) -> tuple[int, int]:
        return int(v.st[at]), int(v.st[at + 1])

    def listed(at: int) -> tuple[int, ...]:
        return tuple(_slots(v, int(v.st[HEAD + at])))

    st = v.st
    flags, slots = v.frames[FLAGS::RECORD], v.frames[SLOT::RECORD]
    used = np.flatnonzero((flags & FREE) == 0)
    pages = {int(slots[page]): Page(int(flags[page]) & _ALL_FLAGS, int(slots[page])) for page in used}
    entries = {
        int(slots[page]): (Entry(young=bool(flags[page] & YOUNG), address=int(slots[page])),)
        for page in used
        if flags[page] & MAPPED
    }
    sizes = tuple(int(st[SIZE + lru]) for lru in range(NR_LISTS))
    marks = ZoneMarks(int(st[MANAGED]), int(st[FREE_PAGES]), int(st[MIN]), int(st[LOW]), int(st[HIGH]))
    return Lruvec(
        (marks,),
        pages=Map(pages),
        lists=tuple(listed(lru) for lru in range(NR_LISTS)),
        sizes=sizes,
        by_zone=(sizes,),
        isolated=pair(ISOLATED),
        waiting=listed(QUEUE + WAITING),
        queues=tuple(listed(QUEUE + queue) for queue in (TAKEN, KEPT, SKIPPED)),
        shadows=Map({int(at): int(v.keys[at]) for at in np.flatnonzero(v.keys >= 0)}),
        clock=int(st[CLOCK]),
        saved=(*pair(SAVED), *pair(SAVED + 2)),
        scanned=pair(SCANNED),
        rotated=pair(ROTATED),
        cost=pair(COST),
        previous=int(st[PREVIOUS]),
        fruitless=int(st[FRUITLESS]),
        refaults=pair(REFAULTS),
        looked=pair(LOOKED),
        many_dirty=tail_is_dirty(v),
        failures=int(st[FAILURES]),
        walk=(0, int(st[WALK])),
        mms=(pair(SPACE_LEFT),) if st[SPACE_LEFT] or st[SPACE_AT] else (),
        pressure=int(st[PRESSURE]),
        gens=_generations(v),
        rmap=Mappings(Map(entries)),
        backing=Store(int(st[SWAP]), PAGE_SYNCED),
        counters=counters_of(v),
    )


def counters_of(v: FastLruvec) -> Map[str, int]:
    """What /proc/vmstat shows; what is 0 is left out."""
    shown = v.st[COUNTERS : COUNTERS + len(NAMES)].tolist()
    return Map({name: pages for name, pages in zip(NAMES, shown, strict=True) if pages})


def _generations(v: FastLruvec) -> Generations:
    st = v.st
    return Generations(
        enabled=bool(st[ENABLED]),
        max_seq=int(st[MAX_SEQ]),
        min_seq=(int(st[MIN_SEQ]), int(st[MIN_SEQ + 1])),
        births=tuple(int(birth) for birth in st[BIRTH : BIRTH + GENS]),
        now=int(st[NOW]),
        lists=tuple(tuple(_slots(v, int(st[GEN_HEAD + at]))) for at in range(LISTS)),
        sizes=tuple(int(size) for size in st[GEN_SIZE : GEN_SIZE + LISTS]),
        rates=tuple(int(value) for value in st[RATES:ALL_WORDS]),
        ttl=int(st[TTL]),
        walks=bool(st[WALKS]),
        starved=int(st[STARVED]),
        skewed=bool(st[SKEWED]),
        mixed=bool(st[MIXED]),
    )


def _slots(v: FastLruvec, page: int) -> Iterator[int]:
    while page != NOTHING:
        yield int(v.frames[page * RECORD + SLOT])
        page = int(v.frames[page * RECORD + NEXT])
