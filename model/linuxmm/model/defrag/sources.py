"""The migration scanner: pages that can be moved, from the start of the zone up.

Linux: mm/compaction.c:isolate_migratepages, isolate_migratepages_block.  Seed 2.2.3 (F039).
2.6.35 to 3.6, 4.6 to 6.12.
"""

from dataclasses import replace

from linuxmm.model.alloc.freelist import NOTHING, free_order, pageblock_type
from linuxmm.model.defrag.rules import Rules
from linuxmm.model.defrag.state import Run, with_marks
from linuxmm.model.defrag.targets import CMA, MOVABLE
from linuxmm.spec.defrag.migration import Mode, worth_isolating
from linuxmm.spec.defrag.scanners import CLUSTER_MAX, block_end, block_start, may_migrate_from
from linuxmm.spec.kernel import behaviour


@behaviour(
    "defrag.order-windows",
    since="2.6.35",
    until="4.7",
    features=("F039",),
    source="mm/compaction.c:isolate_migratepages_block; 3.0.101+, 3.10 read, last from memory",
)
def windows_never(direct: bool, mode: int) -> bool:
    """Whether an aligned window of the order is given up for one page that stays: never."""
    return False


@behaviour(
    "defrag.order-windows",
    since="4.8",
    features=("F039",),
    source="mm/compaction.c:isolate_migratepages_block; 6.1, 6.12 read, first from memory",
)
def windows_when_optimistic(direct: bool, mode: int) -> bool:
    """Whether an aligned window of the order is given up for one page that stays: if nothing may wait."""
    return direct and mode == Mode.ASYNC


@behaviour(
    "defrag.marks-taken",
    since="2.6.35",
    until="5.0",
    features=("F039",),
    source="mm/compaction.c:update_pageblock_skip; 4.9 read, last from memory",
)
def marks_none(fresh: bool, first: bool) -> bool:
    """Whether a pageblock that gave pages is not looked at again soon: it is."""
    return False


@behaviour(
    "defrag.marks-taken",
    since="5.1",
    until="6.5",
    features=("F039",),
    source="mm/compaction.c:test_and_set_skip; 6.1 read, both ends from memory",
)
def marks_if_first(fresh: bool, first: bool) -> bool:
    """Whether a pageblock that gave pages is not looked at again soon: if its first page was taken."""
    return first


@behaviour(
    "defrag.marks-taken",
    since="6.6",
    features=("F039",),
    source="mm/compaction.c:isolate_migratepages_block; 6.12 read, first from memory",
)
def marks_if_begun(fresh: bool, first: bool) -> bool:
    """Whether a pageblock that gave pages is not looked at again soon: if the scan began with it."""
    return fresh


@behaviour(
    "defrag.next-source",
    since="2.6.35",
    until="5.0",
    features=("F039",),
    source="mm/compaction.c:update_pageblock_skip; 4.9 read, last from memory",
)
def source_same(end: int, order: int) -> int:
    """Where the next compaction begins after a pageblock that is done with: at the pageblock."""
    return end - (1 << order)


@behaviour(
    "defrag.next-source",
    since="5.1",
    features=("F039",),
    source="mm/compaction.c:update_cached_migrate, which rounds an end up once more; 6.1, 6.12; "
    "first from memory",
)
def source_after_next(end: int, order: int) -> int:
    """Where the next compaction begins after a pageblock that is done with: past the one that follows."""
    return end + (1 << order)


def may_give(rules: Rules, run: Run, start: int) -> bool:
    """Whether pages are taken from a pageblock.

    Source    mm/compaction.c:suitable_migration_source; 2.6.35 to 6.12
    """
    c = run.control
    if c.mode != Mode.ASYNC or not c.direct:
        return True
    block = pageblock_type(run.zone, start)
    return block in (MOVABLE, CMA) if c.own_type == MOVABLE else block == c.own_type


def can_be_taken(run: Run, pfn: int) -> bool:
    """Whether a page that is not free is one to move: of one page, with contents, and worth isolating."""
    used = run.zone.in_use.get(pfn)
    page = run.memory.pages.get(pfn)
    if used is None or page is None or used[0] != 0 or not used[1]:
        return False
    c = run.control
    return worth_isolating(page.flags, c.mode, c.may_enter_fs, c.unevictable)


def isolate_in(rules: Rules, run: Run, low: int, end: int) -> Run:
    """Take pages from `low` up to the end of the pageblock, at most 32, and note how far the scan came.

    Source    mm/compaction.c:isolate_migratepages_block; 2.6.35 to 6.12
    """
    order = run.control.order
    windows = rules.order_windows(run.control.direct, run.control.mode)
    edge = block_end(low, order) if windows else end
    at, took, first = low, 0, NOTHING
    start = block_start(low, rules.alloc.pageblock_order)
    while at < end:
        if windows and at >= edge:
            if took:
                break
            edge = block_end(at, order)
        run = replace(run, scanned=run.scanned + 1)
        free = free_order(run.zone, at)
        if free != NOTHING:
            at += 1 << free
            continue
        used = run.zone.in_use.get(at)
        if can_be_taken(run, at):
            run = replace(run, taken=(at, *run.taken), isolated=run.isolated + 1)
            first = at if first == NOTHING else first
            took += 1
            at += 1
            if len(run.taken) >= CLUSTER_MAX and not run.finishing:
                break
            continue
        at += 1 if used is None else 1 << used[0]
        if windows:
            run = replace(run, taken=run.taken[took:])
            took = 0
            if at < edge:
                at = edge
                edge += 1 << order
    at = min(at, end)
    fresh = low in (start, run.zone.start)
    if took and not run.control.ignore_skips and rules.marks_taken(fresh, first == start):
        run = skip(run, start)
    if at == end and (not took or run.finishing):
        run = skip(run, start) if fresh and not took else run
        run = remember_source(rules, run, end)
    return replace(run, migrate_pfn=at, wanted=len(run.taken), scans=(*run.scans, (True, low, at)))


def skip(run: Run, start: int) -> Run:
    """Mark a pageblock so that it is not looked at again soon.

    Source    mm/compaction.c:set_pageblock_skip; 3.7 to 6.12
    """
    return with_marks(run, run.marks._replace(skips=run.marks.skips | {start}))


def remember_source(rules: Rules, run: Run, pfn: int) -> Run:
    """Remember that the pageblock that ends at pfn is done with.

    Source    mm/compaction.c:update_cached_migrate; 3.7 to 6.12
    """
    quick, thorough = run.marks.migrate
    pfn = rules.next_source(pfn, rules.alloc.pageblock_order)
    quick = max(quick, pfn)
    if run.control.mode != Mode.ASYNC:
        thorough = max(thorough, pfn)
    return with_marks(run, run.marks._replace(migrate=(quick, thorough)))


def isolate_migratepages(rules: Rules, run: Run) -> Run:
    """Take pages from the first pageblock, from the scanner's position up, that may give some.

    Ensures   never from the free scanner's pageblock or above
    Source    mm/compaction.c:isolate_migratepages; 2.6.35 to 6.12
    """
    order = rules.alloc.pageblock_order
    before, failures = run.migrate_pfn, run.failures
    run, low = rules.find_source(rules, run)
    found = low != before and run.failures <= failures and run.failures == 0
    end = block_end(low, order)
    while may_migrate_from(end, run.free_pfn):
        start = max(block_start(low, order), run.zone.start)
        fresh = low in (block_start(low, order), run.zone.start) and not found
        hidden = fresh and not run.control.ignore_skips and block_start(low, order) in run.marks.skips
        if not hidden and may_give(rules, run, start):
            return isolate_in(rules, run, low, min(end, run.zone.end))
        if not hidden:
            run = remember_source(rules, run, end)
        found = False
        low = end
        run = replace(run, migrate_pfn=low)
        end += 1 << order
    if not rules.remembers():
        run = replace(run, migrate_pfn=max(run.migrate_pfn, end))
    return run
