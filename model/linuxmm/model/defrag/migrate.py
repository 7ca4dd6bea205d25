"""Migration: the contents of pages move to other frames, or stay as they were.

Linux: mm/migrate.c:migrate_pages, unmap_and_move, migrate_pages_batch.  Seed 2.2.3 (F039).  2.6.35 to 6.12.
"""

from dataclasses import replace
from typing import Final, TypeVar

from immutables import Map

from linuxmm.model.defrag.state import NOTHING, Page
from linuxmm.model.defrag.trip import Trip, Ways
from linuxmm.spec.defrag import migration as m
from linuxmm.spec.defrag.migration import FORCE_AFTER, Mode, Outcome
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import verb

S = TypeVar("S")
BATCH: Final = 512
"""NR_MAX_BATCHED_MIGRATION: pages that get targets before the first of them moves."""


def unmapped(trip: Trip[S], pfn: int, mode: Mode, number: int) -> tuple[Outcome, int]:
    """Whether a page can be locked and unmapped in pass `number`: MOVED if so; and its flags afterwards."""
    others = trip.outside
    flags = trip.pages[pfn].flags
    if flags & m.LOCKED:
        if not m.waits_for_lock(mode, number) or not others.unlocks(pfn, number):
            return Outcome.AGAIN, flags
        flags &= ~m.LOCKED
    if flags & m.WRITEBACK and not flags & m.DRIVER:
        met = m.writeback_outcome(mode, number)
        if met == 2:
            return Outcome.FAILED, flags
        if met == 1 or not others.written(pfn, number):
            return Outcome.AGAIN, flags
        flags &= ~m.WRITEBACK
    return Outcome.MOVED, flags


def carried(trip: Trip[S], pfn: int, flags: int, mode: Mode, number: int) -> tuple[Outcome, int]:
    """Whether a page that is locked and unmapped goes over to its target; and its flags afterwards."""
    others = trip.outside
    if flags & m.DRIVER:
        return (Outcome.MOVED if others.driver_moves(pfn, number) else Outcome.AGAIN), flags
    if flags & m.DIRTY and flags & m.OPAQUE:
        if not m.written_first(mode):
            return Outcome.FAILED, flags
        return Outcome.AGAIN, (flags & ~m.DIRTY) | m.WRITEBACK
    in_cache = not flags & m.ANON or flags & m.SWAPCACHE != 0
    if flags & m.PINNED and others.lets_go(pfn, number):
        flags &= ~m.PINNED
    private = flags & m.PRIVATE != 0
    held = m.expected_references(in_cache, 1, private) + (1 if flags & m.PINNED else 0)
    return (Outcome.MOVED if m.references_right(held, in_cache, 1, private) else Outcome.AGAIN), flags


def noted(trip: Trip[S], pfn: int, flags: int) -> Trip[S]:
    """The trip after a page that did not move got other flags."""
    return replace(trip, pages=trip.pages.set(pfn, trip.pages[pfn]._replace(flags=flags)))


def held(pages: Map[int, Page], pfn: int) -> Page:
    """What a page holds: a primitive."""
    return pages[pfn]


def lift(pages: Map[int, Page], pfn: int) -> Map[int, Page]:
    """The pages when one holds nothing any more: a primitive."""
    return pages.delete(pfn)


def lay(pages: Map[int, Page], pfn: int, page: Page, flags: int) -> Map[int, Page]:
    """The pages when one holds what another held, with other flags: a primitive."""
    return pages.set(pfn, Page(flags, page.content))


def carry(pages: Map[int, Page], source: int, target: int, flags: int) -> Map[int, Page]:
    """What pages hold after one went over to another.

    Source    mm/migrate.c:folio_migrate_mapping, folio_migrate_copy; 2.6.35 to 6.12
    """
    page = held(pages, source)
    return lay(lift(pages, source), target, page, flags)


def move(ways: Ways[S], trip: Trip[S], source: int, target: int, flags: int) -> Trip[S]:
    """Copy a page, let its entries point to the copy, and free the frame."""
    pages = carry(trip.pages, source, target, flags)
    place = ways.left(trip.place, source, target)
    return replace(trip, place=place, pages=pages, moved=(*trip.moved, (source, target)))


def next_target(ways: Ways[S], trip: Trip[S], source: int) -> tuple[Trip[S], int]:
    """A page to move to, or NOTHING."""
    place, target = ways.target(trip.place, source)
    return replace(trip, place=place), target


def stays(ways: Ways[S], trip: Trip[S], pfn: int, flags: int, target: int) -> Trip[S]:
    """A page does not move now: its target goes back."""
    return noted(replace(trip, place=ways.unused(trip.place, target)), pfn, flags)


@behaviour(
    "defrag.migrate",
    since="2.6.35",
    until="6.2",
    features=("F039",),
    source="mm/migrate.c:migrate_pages; 6.1 read, last from memory",
)
@verb("F039", source="mm/migrate.c:migrate_pages; 2.6.35 to 6.2")
def migrate_in_turn(ways: Ways[S], trip: Trip[S]) -> tuple[Trip[S], bool]:
    """Move what waits, one page after the other: the trip, and whether targets ran out.

    Ensures   a page is at its new frame, or where it was, and then it waits: those given up come first
    """
    waiting, number, short, mode = trip.waiting, 0, False, trip.mode
    failed: list[int] = []
    while waiting and number < ways.passes(mode) and not short:
        again: list[int] = []
        for at, pfn in enumerate(waiting):
            trip, target = next_target(ways, trip, pfn)
            if target == NOTHING:
                short = True
                again += waiting[at:]
                break
            became, flags = unmapped(trip, pfn, mode, number)
            if became is Outcome.MOVED:
                became, flags = carried(trip, pfn, flags, mode, number)
            if became is Outcome.MOVED:
                trip = move(ways, trip, pfn, target, flags)
                continue
            trip = stays(ways, trip, pfn, flags, target)
            (again if became is Outcome.AGAIN else failed).append(pfn)
        waiting = tuple(again)
        number += 1
    return replace(trip, waiting=(*failed, *waiting)), short


@behaviour(
    "defrag.migrate",
    since="6.3",
    features=("F039",),
    source="mm/migrate.c:migrate_pages, migrate_pages_sync; 6.12 read, first from memory",
)
@verb("F039", source="mm/migrate.c:migrate_pages; 6.3 to 6.12")
def migrate_in_batches(ways: Ways[S], trip: Trip[S]) -> tuple[Trip[S], bool]:
    """Move what waits in batches: all of a batch get targets before the first moves.

    What stays when nothing may wait is tried again, each page by itself, where waiting is allowed.
    Ensures   a page is at its new frame, or where it was, and then it waits
    """
    waiting, short, mode = trip.waiting, False, trip.mode
    stayed: tuple[int, ...] = ()
    while waiting and not short:
        batch, waiting = waiting[:BATCH], waiting[BATCH:]
        trip, left, short = migrate_batch(ways, trip, batch, Mode.ASYNC, 0, ways.passes(Mode.ASYNC))
        if mode is Mode.ASYNC or short:
            stayed += left
            continue
        for at, pfn in enumerate(left):
            once_more = ways.passes(mode) - ways.passes(Mode.ASYNC)
            trip, rest, short = migrate_batch(ways, trip, (pfn,), mode, FORCE_AFTER + 1, once_more)
            stayed += rest
            if short:
                stayed += left[at + 1 :]
                break
    return replace(trip, waiting=(*stayed, *waiting)), short


def migrate_batch(
    ways: Ways[S], trip: Trip[S], batch: tuple[int, ...], mode: Mode, first: int, passes: int
) -> tuple[Trip[S], tuple[int, ...], bool]:
    """Unmap a batch, then move it: (trip, pages that stayed, whether targets ran out).

    first   number of the first pass, which says how patient it is
    Source    mm/migrate.c:migrate_pages_batch; 6.3 to 6.12
    """
    trip, ready, stayed, short = unmap_batch(ways, trip, batch, mode, first, passes)
    for number in range(first, first + passes):
        again: list[tuple[int, int, int]] = []
        for pfn, target, flags in ready:
            became, flags = carried(trip, pfn, flags, mode, number)
            if became is Outcome.MOVED:
                trip = move(ways, trip, pfn, target, flags)
            elif became is Outcome.AGAIN and not flags & m.WRITEBACK:
                again.append((pfn, target, flags))
            else:
                trip = stays(ways, trip, pfn, flags, target)
                stayed = (*stayed, pfn)
        ready = tuple(again)
    for pfn, target, flags in ready:
        trip = stays(ways, trip, pfn, flags, target)
        stayed = (*stayed, pfn)
    return trip, stayed, short


def unmap_batch(
    ways: Ways[S], trip: Trip[S], batch: tuple[int, ...], mode: Mode, first: int, passes: int
) -> tuple[Trip[S], tuple[tuple[int, int, int], ...], tuple[int, ...], bool]:
    """Give each page of a batch a target: (trip, (page, target, flags) of each, pages that stay, short)."""
    ready: list[tuple[int, int, int]] = []
    failed: list[int] = []
    waiting = batch
    for number in range(first, first + passes):
        again: list[int] = []
        for at, pfn in enumerate(waiting):
            trip, target = next_target(ways, trip, pfn)
            if target == NOTHING:
                return trip, tuple(ready), (*failed, *again, *waiting[at:]), True
            became, flags = unmapped(trip, pfn, mode, number)
            if became is Outcome.MOVED:
                ready.append((pfn, target, flags))
                continue
            trip = stays(ways, trip, pfn, flags, target)
            (again if became is Outcome.AGAIN else failed).append(pfn)
        waiting = tuple(again)
    return trip, tuple(ready), (*failed, *waiting), False
