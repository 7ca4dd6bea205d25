"""Migration: the contents of pages move to other frames, or stay as they were.

Linux: mm/migrate.c:migrate_pages, unmap_and_move, migrate_pages_batch.  Seed 2.2.3 (F039).  2.6.35 to 6.12.
"""

from dataclasses import replace
from typing import Final

from immutables import Map

from linuxmm.model.alloc.freelist import pageblock_type, set_in_use
from linuxmm.model.alloc.isolate import capture_block, large_buddy
from linuxmm.model.alloc.request import free_to_zone
from linuxmm.model.defrag.rules import Rules
from linuxmm.model.defrag.state import NOTHING, Page, Run, with_zone
from linuxmm.model.defrag.targets import give_target, take_target
from linuxmm.spec.defrag import migration as m
from linuxmm.spec.defrag.migration import FORCE_AFTER, Mode, Outcome
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import verb

BATCH: Final = 512
"""NR_MAX_BATCHED_MIGRATION: pages that get targets before the first of them moves."""


def unmapped(run: Run, pfn: int, mode: Mode, number: int) -> tuple[Outcome, int]:
    """Whether a page can be locked and unmapped in pass `number`: MOVED if so; and its flags afterwards."""
    others = run.memory.outside
    flags = run.memory.pages[pfn].flags
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


def carried(run: Run, pfn: int, flags: int, mode: Mode, number: int) -> tuple[Outcome, int]:
    """Whether a page that is locked and unmapped goes over to its target; and its flags afterwards."""
    others = run.memory.outside
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


def noted(run: Run, pfn: int, flags: int) -> Run:
    """The run after a page that did not move got other flags."""
    pages = run.memory.pages.set(pfn, run.memory.pages[pfn]._replace(flags=flags))
    return replace(run, memory=replace(run.memory, pages=pages))


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


def move(rules: Rules, run: Run, source: int, target: int, flags: int) -> Run:
    """Copy a page, let its entries point to the copy, and free the frame."""
    pages = carry(run.memory.pages, source, target, flags)
    left = tuple(page for page in run.taken if page != source)
    moved = (*run.moved, (source, target))
    run = replace(run, memory=replace(run.memory, pages=pages), taken=left, moved=moved)
    run = with_zone(run, free_to_zone(rules.alloc, run.zone, run.control.cpu, source, 0))
    return capture(rules, run, source)


def capture(rules: Rules, run: Run, freed: int) -> Run:
    """Take the block that a page has just merged into for the request, where the kernel does that.

    Source    mm/page_alloc.c:compaction_capture, __free_one_page; 5.1 to 6.12
    """
    c = run.control
    if not c.capture or run.captured != NOTHING:
        return run
    head, order = large_buddy(rules.alloc, run.zone, freed)
    if order < c.order:
        return run
    first = freed >> c.order << c.order
    if not rules.captures(
        c.order, c.order, pageblock_type(run.zone, head), c.own_type, rules.alloc.pageblock_order
    ):
        return run
    zone = set_in_use(capture_block(rules.alloc, run.zone, first, c.order), first, c.order, c.own_type == 1)
    return replace(with_zone(run, zone), captured=first)


@behaviour(
    "defrag.migrate",
    since="2.6.35",
    until="6.2",
    features=("F039",),
    source="mm/migrate.c:migrate_pages; 6.1 read, last from memory",
)
@verb("F039", source="mm/migrate.c:migrate_pages; 2.6.35 to 6.2")
def migrate_in_turn(rules: Rules, run: Run) -> tuple[Run, int, bool]:
    """Move what was taken, one page after the other: (run, pages that stayed, whether targets ran out).

    Ensures   a page is at its new frame, or where it was; nothing is taken any more
    """
    waiting, failed, number, short, mode = run.taken, 0, 0, False, run.control.mode
    while waiting and number < rules.passes(mode) and not short:
        again: list[int] = []
        for at, pfn in enumerate(waiting):
            run, target = take_target(rules, run)
            if target == NOTHING:
                short = True
                again += waiting[at:]
                break
            became, flags = unmapped(run, pfn, mode, number)
            if became is Outcome.MOVED:
                became, flags = carried(run, pfn, flags, mode, number)
            if became is Outcome.MOVED:
                run = move(rules, run, pfn, target, flags)
                continue
            run = give_target(rules, noted(run, pfn, flags), target)
            if became is Outcome.AGAIN:
                again.append(pfn)
            else:
                failed += 1
        waiting = tuple(again)
        number += 1
    return replace(run, taken=()), failed + len(waiting), short


@behaviour(
    "defrag.migrate",
    since="6.3",
    features=("F039",),
    source="mm/migrate.c:migrate_pages, migrate_pages_sync; 6.12 read, first from memory",
)
@verb("F039", source="mm/migrate.c:migrate_pages; 6.3 to 6.12")
def migrate_in_batches(rules: Rules, run: Run) -> tuple[Run, int, bool]:
    """Move what was taken in batches: all of a batch get targets before the first moves.

    What stays when nothing may wait is tried again, each page by itself, where waiting is allowed.
    Ensures   a page is at its new frame, or where it was; nothing is taken any more
    """
    waiting, stayed, short, mode = run.taken, 0, False, run.control.mode
    while waiting and not short:
        batch, waiting = waiting[:BATCH], waiting[BATCH:]
        run, left, short = migrate_batch(rules, run, batch, Mode.ASYNC, 0, rules.passes(Mode.ASYNC))
        if mode is Mode.ASYNC or short:
            stayed += len(left)
            continue
        for at, pfn in enumerate(left):
            once_more = rules.passes(mode) - rules.passes(Mode.ASYNC)
            run, rest, short = migrate_batch(rules, run, (pfn,), mode, FORCE_AFTER + 1, once_more)
            stayed += len(rest)
            if short:
                stayed += len(left) - at - 1
                break
    return replace(run, taken=()), stayed + len(waiting), short


def migrate_batch(
    rules: Rules, run: Run, batch: tuple[int, ...], mode: Mode, first: int, passes: int
) -> tuple[Run, tuple[int, ...], bool]:
    """Unmap a batch, then move it: (run, pages that stayed, whether targets ran out).

    first   number of the first pass, which says how patient it is
    Source    mm/migrate.c:migrate_pages_batch; 6.3 to 6.12
    """
    run, ready, stayed, short = unmap_batch(rules, run, batch, mode, first, passes)
    for number in range(first, first + passes):
        again: list[tuple[int, int, int]] = []
        for pfn, target, flags in ready:
            became, flags = carried(run, pfn, flags, mode, number)
            if became is Outcome.MOVED:
                run = move(rules, run, pfn, target, flags)
            elif became is Outcome.AGAIN and not flags & m.WRITEBACK:
                again.append((pfn, target, flags))
            else:
                run = give_target(rules, noted(run, pfn, flags), target)
                stayed = (*stayed, pfn)
        ready = tuple(again)
    for pfn, target, flags in ready:
        run = give_target(rules, noted(run, pfn, flags), target)
        stayed = (*stayed, pfn)
    return run, stayed, short


def unmap_batch(
    rules: Rules, run: Run, batch: tuple[int, ...], mode: Mode, first: int, passes: int
) -> tuple[Run, tuple[tuple[int, int, int], ...], tuple[int, ...], bool]:
    """Give each page of a batch a target: (run, (page, target, flags) of each, pages that stay, short)."""
    ready: list[tuple[int, int, int]] = []
    failed: list[int] = []
    waiting = batch
    for number in range(first, first + passes):
        again: list[int] = []
        for at, pfn in enumerate(waiting):
            run, target = take_target(rules, run)
            if target == NOTHING:
                return run, tuple(ready), (*failed, *again, *waiting[at:]), True
            became, flags = unmapped(run, pfn, mode, number)
            if became is Outcome.MOVED:
                ready.append((pfn, target, flags))
                continue
            run = give_target(rules, noted(run, pfn, flags), target)
            (again if became is Outcome.AGAIN else failed).append(pfn)
        waiting = tuple(again)
    return run, tuple(ready), (*failed, *waiting), False
