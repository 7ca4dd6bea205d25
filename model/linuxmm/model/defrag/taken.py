"""What compaction took goes to where its free scanner stands.

Linux: mm/compaction.c:compaction_alloc, compaction_free; mm/page_alloc.c:compaction_capture.
Seed 2.2.3 (F039).  2.6.35 to 6.12.
"""

from dataclasses import replace
from functools import partial

from linuxmm.model.alloc.freelist import pageblock_type, set_in_use
from linuxmm.model.alloc.isolate import capture_block, large_buddy
from linuxmm.model.alloc.request import free_to_zone
from linuxmm.model.defrag.rules import Rules
from linuxmm.model.defrag.state import NOTHING, Run, with_zone
from linuxmm.model.defrag.targets import give_target, take_target
from linuxmm.model.defrag.trip import Trip, Ways


def migrate_taken(rules: Rules, run: Run) -> tuple[Run, int, bool]:
    """Move what was taken: (run, pages that stayed, whether targets ran out).

    Ensures   a page is at its new frame, or where it was; nothing is taken any more
    """
    ways: Ways[Run] = Ways(
        lambda place, source: take_target(rules, place),
        partial(give_target, rules),
        partial(left_behind, rules),
        rules.passes,
    )
    memory = run.memory
    trip = Trip(run, memory.pages, memory.outside, run.control.mode, run.taken)
    trip, short = rules.migrate(ways, trip)
    run = trip.place
    run = replace(
        run, memory=replace(run.memory, pages=trip.pages), taken=(), moved=(*run.moved, *trip.moved)
    )
    return run, len(trip.waiting), short


def left_behind(rules: Rules, run: Run, source: int, target: int) -> Run:
    """Free the frame that a page has left."""
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
