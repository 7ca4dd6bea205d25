"""Migration: the contents of pages move to other frames, or stay as they were.

Linux: mm/migrate.c:migrate_pages, unmap_and_move.  Seed 2.2.3 (F039).  2.6.35 to 6.12.
"""

from dataclasses import replace

from linuxmm.model.alloc.freelist import pageblock_type, set_in_use
from linuxmm.model.alloc.isolate import capture_block, large_buddy
from linuxmm.model.alloc.request import free_to_zone
from linuxmm.model.defrag.rules import Rules
from linuxmm.model.defrag.state import NOTHING, Page, Run, with_zone
from linuxmm.model.defrag.targets import give_target, take_target
from linuxmm.spec.defrag import migration as m
from linuxmm.spec.defrag.migration import Outcome
from linuxmm.spec.registry import verb


def outcome(run: Run, pfn: int, number: int) -> tuple[Outcome, int]:
    """What becomes of a page in pass `number`, given a target, and its flags afterwards."""
    mode, others = run.control.mode, run.memory.outside
    flags = run.memory.pages[pfn].flags
    if flags & m.LOCKED:
        if not m.waits_for_lock(mode, number) or not others.unlocks(pfn, number):
            return Outcome.AGAIN, flags
        flags &= ~m.LOCKED
    if flags & m.DRIVER:
        return (Outcome.MOVED if others.driver_moves(pfn, number) else Outcome.AGAIN), flags
    if flags & m.WRITEBACK:
        met = m.writeback_outcome(mode, number)
        if met == 2:
            return Outcome.FAILED, flags
        if met == 1 or not others.written(pfn, number):
            return Outcome.AGAIN, flags
        flags &= ~m.WRITEBACK
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


def move(rules: Rules, run: Run, source: int, target: int, flags: int) -> Run:
    """Copy a page, let its entries point to the copy, and free the frame."""
    page = run.memory.pages[source]
    pages = run.memory.pages.delete(source).set(target, Page(flags, page.content))
    run = replace(run, memory=replace(run.memory, pages=pages), moved=(*run.moved, (source, target)))
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


@verb("F039", source="mm/migrate.c:migrate_pages; 2.6.35 to 6.12")
def migrate_pages(rules: Rules, run: Run) -> tuple[Run, int, bool]:
    """Move what was taken: (run, pages that stayed, whether targets ran out).

    Ensures   a page is at its new frame, or where it was; nothing is taken any more
    """
    waiting, failed, number, short = run.taken, 0, 0, False
    while waiting and number < rules.passes(run.control.mode) and not short:
        again: list[int] = []
        for at, pfn in enumerate(waiting):
            run, target = take_target(rules, run)
            if target == NOTHING:
                short = True
                again += waiting[at:]
                break
            became, flags = outcome(run, pfn, number)
            if became is Outcome.MOVED:
                run = move(rules, run, pfn, target, flags)
                run = replace(run, taken=tuple(page for page in run.taken if page != pfn))
                continue
            pages = run.memory.pages.set(pfn, run.memory.pages[pfn]._replace(flags=flags))
            run = give_target(replace(run, memory=replace(run.memory, pages=pages)), target)
            if became is Outcome.AGAIN:
                again.append(pfn)
            else:
                failed += 1
        waiting = tuple(again)
        number += 1
    return replace(run, taken=()), failed + len(waiting), short
