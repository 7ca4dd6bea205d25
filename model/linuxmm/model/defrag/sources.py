"""The migration scanner: pages that can be moved, from the start of the zone up.

Linux: mm/compaction.c:isolate_migratepages, isolate_migratepages_block.  Seed 2.2.3 (F039).
2.6.35 to 6.12.
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
def source_same(low: int, end: int, order: int) -> int:
    """Where the next compaction begins after a pageblock without any: where its scan began."""
    return low


@behaviour(
    "defrag.next-source",
    since="5.1",
    features=("F039",),
    source="mm/compaction.c:update_cached_migrate, which rounds an end up once more; 6.1, 6.12; "
    "first from memory",
)
def source_after_next(low: int, end: int, order: int) -> int:
    """Where the next compaction begins after a pageblock that is done with: past the one that follows."""
    return end + (1 << order)


@behaviour(
    "defrag.may-give",
    since="2.6.35",
    until="4.11",
    features=("F039",),
    source="mm/compaction.c:migrate_async_suitable; 3.10, 3.18, 4.4 read, last from memory",
)
def gives_if_movable(block_type: int, own_type: int, direct: bool, mode: int) -> bool:
    """Whether pages are taken from a pageblock of a type: where nothing may wait, of MOVABLE and CMA only."""
    return mode != Mode.ASYNC or block_type in (MOVABLE, CMA)


@behaviour(
    "defrag.may-give",
    since="4.12",
    features=("F039",),
    source="mm/compaction.c:suitable_migration_source; 6.1, 6.12 read, first from memory",
)
def gives_if_alike(block_type: int, own_type: int, direct: bool, mode: int) -> bool:
    """Whether pages are taken from a pageblock of a type: for a request that may not wait, of its own."""
    if mode != Mode.ASYNC or not direct:
        return True
    return block_type in (MOVABLE, CMA) if own_type == MOVABLE else block_type == own_type


@behaviour(
    "defrag.at-free-scanner",
    since="2.6.35",
    until="3.17",
    features=("F039",),
    source="mm/compaction.c:isolate_migratepages; 3.0.101+, 3.10 read, last from memory",
)
def stands_past(migrate_pfn: int, end: int, free_pfn: int) -> int:
    """Where the migration scanner stands in the free scanner's pageblock: past it."""
    return max(migrate_pfn, end)


@behaviour(
    "defrag.at-free-scanner",
    since="3.18",
    until="4.2",
    features=("F039",),
    source="mm/compaction.c:isolate_migratepages; 3.18 read, last from memory",
)
def stands_with(migrate_pfn: int, end: int, free_pfn: int) -> int:
    """Where the migration scanner stands in the free scanner's pageblock: where that one stands."""
    return free_pfn


@behaviour(
    "defrag.at-free-scanner",
    since="4.3",
    features=("F039",),
    source="mm/compaction.c:isolate_migratepages; 4.4, 6.1, 6.12 read, first from memory",
)
def stands_there(migrate_pfn: int, end: int, free_pfn: int) -> int:
    """Where the migration scanner stands in the free scanner's pageblock: where it was."""
    return migrate_pfn


def may_give(rules: Rules, run: Run, start: int) -> bool:
    """Whether pages are taken from the pageblock at `start`."""
    c = run.control
    return rules.may_give(pageblock_type(run.zone, start), c.own_type, c.direct, c.mode)


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
        run = skip(run, start) if (fresh or not rules.rescans()) and not took else run
        run = remember_source(rules, run, low, end)
    run = replace(run, found_sources=run.found_sources or took > 0)
    return replace(run, migrate_pfn=at, wanted=len(run.taken), scans=(*run.scans, (True, low, at)))


def skip(run: Run, start: int) -> Run:
    """Mark a pageblock so that it is not looked at again soon.

    Source    mm/compaction.c:set_pageblock_skip; 3.7 to 6.12
    """
    return with_marks(run, run.marks._replace(skips=run.marks.skips | {start}))


def remember_source(rules: Rules, run: Run, low: int, end: int) -> Run:
    """Remember that the pageblock that ends there, scanned from `low` on, is done with.

    Source    mm/compaction.c:update_cached_migrate; 3.7 to 6.12
    """
    if run.found_sources and rules.settles():
        return run
    quick, thorough = run.marks.migrate
    pfn = rules.next_source(low, end, rules.alloc.pageblock_order)
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
        if not hidden and rules.rescans():
            run = remember_source(rules, run, low, end)
        found = False
        low = end
        run = replace(run, migrate_pfn=low)
        end += 1 << order
    return replace(run, migrate_pfn=rules.at_free_scanner(run.migrate_pfn, end, run.free_pfn))
