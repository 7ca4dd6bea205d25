"""Compaction of a zone: move pages from its start to its end until a block of the order is free.

Linux: mm/compaction.c:compact_zone, compact_finished, compaction_suitable.  Seed 2.2.3 (F039).
2.6.35 to 6.12.
"""

from dataclasses import replace

from linuxmm.model.alloc.freelist import (
    Zone,
    free_blocks,
    list_head,
    nr_free_pages,
    watermark_of,
)
from linuxmm.model.alloc.pcp import drain_pages_zone
from linuxmm.model.alloc.watermark import mark_of
from linuxmm.model.defrag.rules import Rules
from linuxmm.model.defrag.sources import isolate_migratepages
from linuxmm.model.defrag.state import NOTHING, Control, Memory, Run, with_marks, with_zone
from linuxmm.model.defrag.taken import capture, migrate_taken
from linuxmm.model.defrag.targets import CMA, MOVABLE, release_targets
from linuxmm.spec.alloc.fragmentation import extfrag_for_order, fragmentation_index
from linuxmm.spec.alloc.gfp import ALLOC_CMA
from linuxmm.spec.alloc.migratetype import fallback_type
from linuxmm.spec.alloc.retry import Compaction
from linuxmm.spec.defrag import defer
from linuxmm.spec.defrag.migration import Mode
from linuxmm.spec.defrag.scanners import block_end, block_start, cached_start
from linuxmm.spec.defrag.suitable import WHOLE
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.reclaim.daemon import compact_gap
from linuxmm.spec.registry import verb


@behaviour(
    "defrag.remembers",
    since="2.6.35",
    until="3.6",
    features=("F039",),
    source="mm/compaction.c:compact_zone; 3.0.101+",
)
def forgets() -> bool:
    """Every compaction begins at the ends of the zone."""
    return False


@behaviour(
    "defrag.remembers",
    since="3.7",
    features=("F039",),
    source="mm/compaction.c:compact_zone; 3.10, 4.9, 6.1, 6.12 read, first from memory",
)
def remembers_positions() -> bool:
    """Scanners go on where they stopped, and pageblocks that gave nothing are skipped."""
    return True


@behaviour(
    "defrag.finishes-failed",
    since="2.6.35",
    until="6.2",
    features=("F039",),
    source="mm/compaction.c:compact_zone; 6.1 read, last from memory",
)
def leaves_failed() -> bool:
    """After a page stayed, the next window or pageblock is looked at."""
    return False


@behaviour(
    "defrag.finishes-failed",
    since="6.3",
    features=("F039",),
    source="mm/compaction.c:compact_zone; 6.12 read, first from memory",
)
def finishes_failed() -> bool:
    """After a page stayed, the rest of its pageblock is taken, so that it can be marked."""
    return True


@behaviour(
    "defrag.resets",
    since="2.6.35",
    until="3.14",
    features=("F039",),
    source="mm/compaction.c:compact_finished; 3.10 read, last from memory",
)
def resets_with_marks() -> bool:
    """Whether positions are forgotten when the scanners meet: no, when the skip marks are."""
    return False


@behaviour(
    "defrag.resets",
    since="3.15",
    features=("F039",),
    source="mm/compaction.c:compact_finished; 3.18, 4.4, 6.1, 6.12 read, first from memory",
)
def resets_when_met() -> bool:
    """Whether positions are forgotten when the scanners meet: yes."""
    return True


@behaviour(
    "defrag.drains-within",
    since="2.6.35",
    until="3.18",
    features=("F039",),
    source="mm/page_alloc.c:__alloc_pages_direct_compact; 3.10, 3.18, from memory",
)
def drains_afterwards() -> bool:
    """Whether freed pages leave the CPU's list while compaction goes on: no, the request drains it then."""
    return False


@behaviour(
    "defrag.drains-within",
    since="3.19",
    features=("F039",),
    source="mm/compaction.c:compact_zone; 4.4, 4.9, 6.1, 6.12 read, first from memory",
)
def drains_behind_scanner() -> bool:
    """Whether freed pages leave the CPU's list while compaction goes on: once the scanner has gone by."""
    return True


@behaviour(
    "defrag.rescans",
    since="2.6.35",
    until="5.0",
    features=("F039",),
    source="mm/compaction.c:compact_zone; 3.0.101+, 4.9 read, last from memory",
)
def rescans_never() -> bool:
    """Whether a pageblock in which the scanner still stands after a migration is taken as a whole: no."""
    return False


@behaviour(
    "defrag.rescans",
    since="5.1",
    features=("F039",),
    source="mm/compaction.c:compact_zone; 6.1, 6.12 read, first from memory",
)
def rescans_the_rest() -> bool:
    """Whether a pageblock in which the scanner still stands after a migration is taken as a whole: yes."""
    return True


@behaviour(
    "defrag.ran-out",
    since="2.6.35",
    until="3.18",
    features=("F039",),
    source="mm/compaction.c:compact_zone; 3.0.101+, 3.10 read, last from memory",
)
def ends_in_part(met: bool) -> Compaction:
    """Without a target, compaction ends; COMPACT_PARTIAL, the older name of SUCCESS, promises nothing."""
    return Compaction.SUCCESS


@behaviour(
    "defrag.ran-out",
    since="3.19",
    features=("F039",),
    source="mm/compaction.c:compact_zone; 4.9, 6.1, 6.12 read, first from memory",
)
def ends_unless_met(met: bool) -> Compaction:
    """Without a target, compaction ends as contended, unless the scanners have met."""
    return Compaction.CONTINUE if met else Compaction.CONTENDED


@behaviour(
    "defrag.served-otherwise",
    since="2.6.35",
    until="4.0",
    features=("F039",),
    source="mm/compaction.c:compact_finished; 3.0.101+ (3.10 looks at the order of the request)",
)
def large_block_serves(rules: Rules, zone: Zone, order: int, own_type: int) -> bool:
    """Whether a block of another type would serve: one as large as a pageblock."""
    return order >= rules.alloc.pageblock_order and free_blocks(zone, order) > 0


@behaviour(
    "defrag.served-otherwise",
    since="4.1",
    features=("F039",),
    source="mm/compaction.c:__compact_finished, find_suitable_fallback; 4.9, 6.1, 6.12; first from memory",
)
def fallback_serves(rules: Rules, zone: Zone, order: int, own_type: int) -> bool:
    """Whether a block of another type would serve: one that may be taken with its pageblock, or of CMA."""
    if own_type == MOVABLE and rules.alloc.cma and list_head(zone, order, CMA) != NOTHING:
        return True
    a = rules.alloc
    for attempt in (0, 1):
        other = fallback_type(own_type, attempt)
        if other != NOTHING and list_head(zone, order, other) != NOTHING:
            return order >= a.pageblock_order or a.claims_block(
                order, own_type, a.pageblock_order, a.grouping_disabled
            )
    return False


def blocks_of(rules: Rules, zone: Zone) -> tuple[int, ...]:
    """Free blocks by order."""
    return tuple(free_blocks(zone, order) for order in range(rules.alloc.max_order + 1))


def compaction_suitable(rules: Rules, zone: Zone, c: Control) -> Compaction:
    """Whether compacting the zone for a request makes sense now.

    Source    mm/compaction.c:compaction_suitable; 2.6.35 to 6.12
    """
    if c.order == WHOLE:
        return Compaction.CONTINUE
    a, low = rules.alloc, watermark_of(zone, 1)
    base = rules.base_mark(c.order, watermark_of(zone, 0), low, mark_of(zone, c.flags))
    gap = compact_gap(c.order)
    free = nr_free_pages(zone)
    enough = a.watermark_ok(a, zone, 0, base + gap, c.class_index, ALLOC_CMA, free)
    asked = mark_of(zone, c.flags) if rules.remembers() else low + gap
    served = a.watermark_ok(a, zone, c.order, asked, c.class_index, c.flags, free)
    index = fragmentation_index(blocks_of(rules, zone), c.order)
    return rules.suitable(c.order, enough, served, index, c.threshold)


def compact_finished(rules: Rules, run: Run) -> tuple[Run, Compaction]:
    """Whether to go on, and how it ended otherwise.

    Source    mm/compaction.c:compact_finished; 2.6.35 to 6.12
    """
    c, block, zone = run.control, rules.alloc.pageblock_order, run.zone
    if rules.met(run.migrate_pfn, run.free_pfn, block):
        fresh = (zone.start, zone.start), rules.free_start(zone.end, block)
        marks = run.marks._replace(flush=run.marks.flush or c.direct)
        if rules.resets():
            marks = marks._replace(migrate=fresh[0], free=fresh[1])
        ended = Compaction.COMPLETE if c.whole_zone else Compaction.PARTIAL_SKIPPED
        return with_marks(run, marks), ended
    if c.stop_score >= 0:
        score = extfrag_for_order(blocks_of(rules, zone), min(9, rules.alloc.max_order))
        return run, Compaction.CONTINUE if score > c.stop_score else Compaction.SUCCESS
    if c.order == WHOLE:
        return run, Compaction.CONTINUE
    a = rules.alloc
    mark = mark_of(zone, c.flags) if rules.remembers() else watermark_of(zone, 1) + (1 << c.order)
    marked = a.watermark_ok(a, zone, c.order, mark, c.class_index, c.flags, nr_free_pages(zone))
    if not rules.looks(run.migrate_pfn, block, marked):
        return run, Compaction.CONTINUE
    for order in range(c.order, a.max_order + 1):
        if list_head(zone, order, c.own_type) != NOTHING or rules.served_otherwise(
            rules, zone, order, c.own_type
        ):
            return run, Compaction.SUCCESS
    return run, Compaction.CONTINUE


def begin(rules: Rules, memory: Memory, c: Control) -> Run:
    """Where the scanners start.

    Source    mm/compaction.c:compact_zone; 2.6.35 to 6.12
    """
    zone, marks, block = memory.zone, memory.marks, rules.alloc.pageblock_order
    last = rules.free_start(zone.end, block)
    if c.whole_zone or not rules.remembers():
        whole = c._replace(whole_zone=True, ignore_skips=c.ignore_skips or not rules.remembers())
        return Run(memory, whole, zone.start, last, search_order=c.order)
    d = marks.deferral
    if defer.restarting(d.considered, d.shift, rules.below(c.order, d.order_failed)):
        marks = cleared(rules, memory).marks
    sync = 0 if c.mode == Mode.ASYNC else 1
    migrate = cached_start(marks.migrate[sync], zone.start, zone.end, zone.start)
    free = cached_start(marks.free, zone.start, zone.end, last)
    pair = marks.migrate if migrate == marks.migrate[sync] else (migrate, migrate)
    marks = marks._replace(migrate=pair, free=free)
    c = c._replace(whole_zone=migrate <= max(marks.first_migrate, zone.start))
    return Run(replace(memory, marks=marks), c, migrate, free, search_order=c.order)


def cleared(rules: Rules, memory: Memory) -> Memory:
    """Forget skip marks and positions, as kswapd does before it sleeps.

    Source    mm/compaction.c:reset_isolation_suitable; 3.7 to 6.12.  Since 5.1 only pageblocks in which a
    sample of every eighth page shows a free page or one on a list; here all of them.
    """
    zone = memory.zone
    last = rules.free_start(zone.end, rules.alloc.pageblock_order)
    fresh = memory.marks._replace(
        migrate=(zone.start, zone.start),
        free=last,
        first_migrate=zone.start,
        first_free=last,
        skips=frozenset(),
        flush=False,
    )
    return replace(memory, marks=fresh)


@verb("F039", source="mm/compaction.c:compact_zone; 2.6.35 to 6.12")
def compact_zone(rules: Rules, memory: Memory, c: Control) -> tuple[Run, Compaction]:
    """Compact a zone: how it ended, and what was moved.

    Ensures   nothing is taken or in hand afterwards; the free pages are as many as before, but for a captured
              block
    Source    mm/compaction.c:compact_zone; 2.6.35 to 6.12
    """
    able = compaction_suitable(rules, memory.zone, c)
    if able is not Compaction.CONTINUE:
        return Run(memory, c), able
    run = begin(rules, memory, c)
    c = run.control
    last_moved: int = NOTHING
    run, result = compact_finished(rules, run)
    while result is Compaction.CONTINUE:
        here = run.migrate_pfn
        block = rules.alloc.pageblock_order
        finishing = last_moved != NOTHING and block_start(last_moved, block) == block_start(here, block)
        run = isolate_migratepages(rules, replace(run, finishing=finishing and rules.rescans()))
        if run.taken:
            last_moved = here if not rules.finishes_failed() else block_start(run.migrate_pfn - 1, block)
            run, stayed, short = migrate_taken(rules, run)
            result = Compaction.CONTINUE
            if short:
                result = rules.ran_out(rules.met(run.migrate_pfn, run.free_pfn, block))
            if result is not Compaction.CONTINUE:
                break
            if stayed:
                run, last_moved = after_failure(rules, run, last_moved)
        run, last_moved = drain_behind(rules, run, last_moved)
        if run.captured != NOTHING:
            result = Compaction.SUCCESS
            break
        run, result = compact_finished(rules, run)
    return finish(rules, run), result


def after_failure(rules: Rules, run: Run, last_moved: int) -> tuple[Run, int]:
    """A page stayed: give up its window, or finish its pageblock."""
    c, block = run.control, rules.alloc.pageblock_order
    if not rules.finishes_failed():
        if rules.order_windows(c.direct, c.mode):
            return replace(run, migrate_pfn=block_end(run.migrate_pfn - 1, c.order)), NOTHING
        return run, last_moved
    aligned = run.migrate_pfn == block_start(run.migrate_pfn, block)
    if aligned or c.ignore_skips or run.finishing or c.mode == Mode.SYNC:
        return run, last_moved
    run = isolate_migratepages(rules, replace(run, finishing=True))
    if run.taken:
        run, _, _ = migrate_taken(rules, run)
    return run, last_moved


def drain_behind(rules: Rules, run: Run, last_moved: int) -> tuple[Run, int]:
    """Free pages merge once the scanner has left their aligned block.

    Source    mm/compaction.c:compact_zone; 3.19 to 6.12
    """
    order = run.control.order
    if order <= 0 or last_moved == NOTHING or not rules.drains_within():
        return run, last_moved
    if last_moved >= block_start(run.migrate_pfn, order):
        return run, last_moved
    run = with_zone(run, drain_pages_zone(rules.alloc, run.zone, run.control.cpu))
    for source, _ in run.moved:
        run = capture(rules, run, source)
    return run, NOTHING


def finish(rules: Rules, run: Run) -> Run:
    """Free what is left in hand, and let the next free scanner see it again."""
    run, highest = release_targets(rules, run)
    if highest == NOTHING or not rules.remembers():
        return run
    start = block_start(highest, rules.alloc.pageblock_order)
    return with_marks(run, run.marks._replace(free=max(run.marks.free, start)))
