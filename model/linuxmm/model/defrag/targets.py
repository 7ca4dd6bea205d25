"""The free scanner: blocks near the end of the zone are isolated, to be filled with pages from its start.

Linux: mm/compaction.c:isolate_freepages, isolate_freepages_block, compaction_alloc.  Seed 2.2.3 (F039).
2.6.35 to 6.12.
"""

from dataclasses import replace
from typing import Final

from linuxmm.model.alloc.freelist import (
    ISOLATE,
    NOTHING,
    clear_in_use,
    free_order,
    nr_free_pages,
    pageblock_type,
    set_in_use,
    watermark_of,
)
from linuxmm.model.alloc.isolate import isolate_free_page
from linuxmm.model.alloc.request import free_to_zone
from linuxmm.model.defrag.rules import Rules
from linuxmm.model.defrag.state import Run, with_marks, with_zone
from linuxmm.spec.alloc.gfp import ALLOC_CMA
from linuxmm.spec.defrag.migration import Mode
from linuxmm.spec.defrag.scanners import (
    CLUSTER_MAX,
    block_end,
    block_start,
    free_limit,
    halves_left,
    isolation_mark,
)
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import verb

MOVABLE: Final = 1
CMA: Final = 5


def isolate_one(rules: Rules, run: Run, pfn: int, order: int) -> tuple[Run, bool]:
    """Take a free block as a target, unless the watermark forbids it.

    Requires  (pfn, order) is a free block
    Source    mm/page_alloc.c:__isolate_free_page; 2.6.35 to 6.12
    """
    zone = run.zone
    if pageblock_type(zone, pfn) != ISOLATE:
        mark = isolation_mark(watermark_of(zone, 0), order)
        if not rules.alloc.watermark_ok(rules.alloc, zone, 0, mark, 0, ALLOC_CMA, nr_free_pages(zone)):
            return run, False
    run = with_zone(run, isolate_free_page(rules.alloc, zone, pfn, order))
    return replace(run, isolated=run.isolated + (1 << order)), True


def isolate_block(
    rules: Rules, run: Run, at: int, end: int, stride: int
) -> tuple[Run, int, tuple[tuple[int, int], ...]]:
    """Isolate free blocks from `at`, until as many pages are in hand as are to be moved: (run, next, blocks).

    Source    mm/compaction.c:isolate_freepages_block; 4.0 to 6.12
    """
    found: list[tuple[int, int]] = []
    had = run.in_hand
    scanned, low = 0, at
    while at < end:
        scanned += 1
        order = free_order(run.zone, at)
        if order == NOTHING:
            used = run.zone.in_use.get(at)
            at += stride if used is None else (1 << used[0]) - 1 + stride
            continue
        run, taken = isolate_one(rules, run, at, order)
        if not taken:
            break
        found.append((at, order))
        scanned += (1 << order) - 1
        had += 1 << order
        at += 1 << order
        if run.wanted <= had:
            break
        at += stride - 1
    at = min(at, end)
    scans = (*run.scans, (False, low, at))
    return replace(run, free_scanned=run.free_scanned + scanned, scans=scans), at, tuple(found)


@behaviour(
    "defrag.to-targets",
    since="2.6.35",
    until="6.8",
    features=("F039",),
    source="mm/compaction.c:split_map_pages; 6.1 read, last from memory",
)
def to_single_pages(blocks: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """Blocks become single pages, the last page of the last block first."""
    return tuple((pfn + at, 0) for pfn, order in reversed(blocks) for at in range((1 << order) - 1, -1, -1))


@behaviour(
    "defrag.to-targets",
    since="6.9",
    features=("F039",),
    source="mm/compaction.c:compaction_alloc_noprof; 6.12 read, first from memory",
)
def to_blocks(blocks: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """Blocks stay whole, by order, until a page is needed."""
    return tuple(sorted(blocks, key=lambda block: block[1]))


@behaviour(
    "defrag.wanted",
    since="2.6.35",
    until="6.8",
    features=("F039",),
    source="mm/compaction.c:compaction_alloc; 6.1 read, last from memory",
)
def wanted_throughout(wanted: int, pages: int) -> int:
    """Targets that are looked for after some were handed out: as many as when the migration began."""
    return wanted


@behaviour(
    "defrag.wanted",
    since="6.9",
    features=("F039",),
    source="mm/compaction.c:compaction_alloc_noprof; 6.12 read, first from memory",
)
def wanted_still(wanted: int, pages: int) -> int:
    """Targets that are looked for after some were handed out: the rest."""
    return wanted - pages


@behaviour(
    "defrag.next-targets",
    since="2.6.35",
    until="6.5",
    features=("F039",),
    source="mm/compaction.c:update_pageblock_skip; 6.1 read, last from memory",
)
def targets_here(start: int, order: int) -> int:
    """Where the next compaction looks for targets after a pageblock without any: there again."""
    return start


@behaviour(
    "defrag.next-targets",
    since="6.6",
    features=("F039",),
    source="mm/compaction.c:isolate_freepages; 6.12 read, first from memory",
)
def targets_below(start: int, order: int) -> int:
    """Where the next compaction looks for targets after a pageblock without any: below it."""
    return start - (1 << order)


@behaviour(
    "defrag.samples",
    since="2.6.35",
    until="5.0",
    features=("F039",),
    source="mm/compaction.c:isolate_freepages; 4.4 read, last from memory",
)
def samples_nothing() -> bool:
    """Whether a scan for targets that nothing may wait for looks at every 32nd page first: no."""
    return False


@behaviour(
    "defrag.samples",
    since="5.1",
    features=("F039",),
    source="mm/compaction.c:isolate_freepages; 6.1, 6.12 read, first from memory",
)
def samples_when_async() -> bool:
    """Whether a scan for targets that nothing may wait for looks at every 32nd page first: yes.

    A pageblock that was scanned to its end is marked, whatever it gave.
    """
    return True


@behaviour(
    "defrag.settles",
    since="2.6.35",
    until="3.18",
    features=("F039",),
    source="mm/compaction.c:update_pageblock_skip; 3.10, 3.18 read",
)
def settles_at_first() -> bool:
    """Whether positions are kept as they were when a run first found something: yes."""
    return True


@behaviour(
    "defrag.settles",
    since="3.19",
    features=("F039",),
    source="mm/compaction.c:update_pageblock_skip; 6.1 read, first from memory",
)
def settles_never() -> bool:
    """Whether positions are kept as they were when a run first found something: no."""
    return False


@behaviour(
    "defrag.target-block",
    since="2.6.35",
    until="3.14",
    features=("F039",),
    source="mm/compaction.c:suitable_migration_target; 3.0.101+, 3.10 read, last from memory",
)
def target_large_or_movable(
    largest: int, block_type: int, order: int, pageblock_order: int, any_block: bool
) -> bool:
    """Whether a pageblock may hold targets: a free one, or one of MOVABLE or CMA.

    largest: order of the free block that begins the pageblock, -1 when none does
    """
    if block_type in (ISOLATE, 6):
        return False
    return largest >= pageblock_order or block_type in (MOVABLE, CMA)


@behaviour(
    "defrag.target-block",
    since="3.15",
    until="6.8",
    features=("F039",),
    source="mm/compaction.c:suitable_migration_target; 4.4, 6.1 read, both ends from memory",
)
def target_not_free(largest: int, block_type: int, order: int, pageblock_order: int, any_block: bool) -> bool:
    """Whether a pageblock may hold targets: one of MOVABLE or CMA that is not free as a whole."""
    return largest < pageblock_order and (any_block or block_type in (MOVABLE, CMA))


@behaviour(
    "defrag.target-block",
    since="6.9",
    features=("F039",),
    source="mm/compaction.c:suitable_migration_target; 6.12 read, first from memory",
)
def target_not_served(
    largest: int, block_type: int, order: int, pageblock_order: int, any_block: bool
) -> bool:
    """As before; it must not begin with a free block of the order asked for."""
    limit = order if order > 0 else pageblock_order
    return largest < limit and (any_block or block_type in (MOVABLE, CMA))


def may_hold_targets(rules: Rules, run: Run, start: int) -> bool:
    """Whether the pageblock at `start` may hold targets."""
    c = run.control
    largest = free_order(run.zone, start)
    return rules.target_block(
        largest, pageblock_type(run.zone, start), c.order, rules.alloc.pageblock_order, c.any_block
    )


@behaviour(
    "defrag.scan-free",
    since="2.6.35",
    until="3.15",
    features=("F039",),
    source="mm/compaction.c:isolate_freepages; 3.0.101+, 3.10 read, last from memory",
)
def scan_whole_blocks(rules: Rules, run: Run) -> Run:
    """Empty whole pageblocks of their free pages, from the end of the zone down, until there are enough."""
    size = 1 << rules.alloc.pageblock_order
    at, low = run.free_pfn, run.migrate_pfn + size
    high = min(low, at)
    while at > low and run.wanted > run.in_hand:
        if may_scan(rules, run, at):
            run, found = empty_block(
                rules, run, at, min(block_end(at, rules.alloc.pageblock_order), run.zone.end)
            )
            high = max(high, at) if found else high
        at -= size
    return replace(run, free_pfn=high)


@behaviour(
    "defrag.scan-free",
    since="3.16",
    until="3.19",
    features=("F039",),
    source="mm/compaction.c:isolate_freepages; 3.18 read, both ends from memory",
)
def scan_rests(rules: Rules, run: Run) -> Run:
    """Empty the rest of a pageblock, and whole ones below it, until there are enough."""
    order = rules.alloc.pageblock_order
    size, low = 1 << order, free_limit(run.migrate_pfn, order)
    at, start = run.free_pfn, block_start(run.free_pfn, order)
    while start >= low and run.wanted > run.in_hand:
        end = min(start + size, run.zone.end)
        if may_scan(rules, run, start):
            run, _ = empty_block(rules, run, at, end)
            run = replace(run, free_pfn=start - size)
        start -= size
        at = start
    return replace(run, free_pfn=run.migrate_pfn) if start < low else run


def may_scan(rules: Rules, run: Run, start: int) -> bool:
    """Whether the free scanner looks at the pageblock at `start`."""
    skipped = (
        not run.control.ignore_skips and block_start(start, rules.alloc.pageblock_order) in run.marks.skips
    )
    return start < run.zone.end and not skipped and may_hold_targets(rules, run, start)


def empty_block(rules: Rules, run: Run, at: int, end: int) -> tuple[Run, bool]:
    """Isolate every free block from `at` that the watermark allows: (run, whether there was one).

    Source    mm/compaction.c:isolate_freepages_block; 2.6.35 to 3.19
    """
    found: list[tuple[int, int]] = []
    page = at
    while page < end:
        order = free_order(run.zone, page)
        run = replace(run, free_scanned=run.free_scanned + 1)
        done = False
        if order != NOTHING:
            run, done = isolate_one(rules, run, page, order)
        if done:
            found.append((page, order))
        page += 1 << order if done else 1
    run = replace(run, hand=(*rules.to_targets(tuple(found)), *run.hand))
    run = replace(run, scans=(*run.scans, (False, at, min(page, end))))
    if rules.remembers() and not found:
        run = skip_targets(rules, run, block_start(at, rules.alloc.pageblock_order))
    return replace(run, found_targets=run.found_targets or bool(found)), bool(found)


@behaviour(
    "defrag.scan-free",
    since="4.0",
    until="4.2",
    features=("F039",),
    source="mm/compaction.c:isolate_freepages; from memory, between 3.18 and 4.4",
)
def scan_until_met(rules: Rules, run: Run) -> Run:
    """As later; a scanner that came to the other's pageblock stands where that one stands."""
    run = scan_enough(rules, run)
    low = free_limit(run.migrate_pfn, rules.alloc.pageblock_order)
    return replace(run, free_pfn=run.migrate_pfn) if run.free_pfn < low else run


@behaviour(
    "defrag.scan-free",
    since="4.3",
    features=("F039",),
    source="mm/compaction.c:isolate_freepages; 4.4, 4.9, 6.1, 6.12 read, first from memory",
)
def scan_enough(rules: Rules, run: Run) -> Run:
    """Isolate as many free pages as are to be moved, from where the last scan ended down."""
    run = rules.find_target(rules, run)
    if run.hand:
        return run
    order = rules.alloc.pageblock_order
    size = 1 << order
    at = run.free_pfn
    start = block_start(at, order)
    end = min(start + size, run.zone.end)
    low = free_limit(run.migrate_pfn, order)
    stride = CLUSTER_MAX if rules.samples() and run.control.mode == Mode.ASYNC else 1
    found: tuple[tuple[int, int], ...] = ()
    while start >= low:
        if may_scan(rules, run, start):
            before = sum(1 << o for _, o in found)
            run, at, more = isolate_block(rules, replace(run, hand=found), at, end, stride)
            found = (*found, *more)
            if at == end and (rules.samples() or not more):
                run = skip_targets(rules, run, start)
            if sum(1 << o for _, o in found) >= run.wanted:
                at = start - size if at >= end else at
                break
            if at < end:
                break
            more_seen = sum(1 << o for _, o in found) > before
            stride = 1 if more_seen or not rules.samples() else min(CLUSTER_MAX, stride << 1)
        end = start
        start -= size
        at = start
    return replace(run, free_pfn=at, hand=rules.to_targets(found))


def skip_targets(rules: Rules, run: Run, start: int) -> Run:
    """Remember that a pageblock has no more targets.

    Source    mm/compaction.c:update_pageblock_skip; 3.7 to 6.12
    """
    marks = run.marks._replace(skips=run.marks.skips | {start})
    if not (run.found_targets and rules.settles()):
        next_one = rules.next_targets(start, rules.alloc.pageblock_order)
        marks = marks._replace(free=min(marks.free, next_one))
    return with_marks(run, marks)


def take_target(rules: Rules, run: Run) -> tuple[Run, int]:
    """The next page to move to, or NOTHING.

    Source    mm/compaction.c:compaction_alloc; 2.6.35 to 6.12
    """
    if not run.hand:
        run = rules.scan_free(rules, run)
    if not run.hand:
        return run, NOTHING
    (pfn, order), rest = run.hand[0], run.hand[1:]
    run = replace(run, hand=(*halves_left(pfn, order), *rest), wanted=rules.wanted_after(run.wanted, 1))
    return with_zone(run, set_in_use(run.zone, pfn, 0, True)), pfn


def give_target(rules: Rules, run: Run, pfn: int) -> Run:
    """A target was not used.

    Source    mm/compaction.c:compaction_free; 2.6.35 to 6.12
    """
    wanted = rules.wanted_after(run.wanted, -1)
    return replace(with_zone(run, clear_in_use(run.zone, pfn)), hand=((pfn, 0), *run.hand), wanted=wanted)


@verb("F039", source="mm/compaction.c:release_freepages, release_free_list; 2.6.35 to 6.12")
def release_targets(rules: Rules, run: Run) -> tuple[Run, int]:
    """Free what is left in hand: (run, the highest page or NOTHING)."""
    highest = NOTHING
    for pfn, order in run.hand:
        run = with_zone(run, free_to_zone(rules.alloc, run.zone, run.control.cpu, pfn, order))
        highest = max(highest, pfn)
    return replace(run, hand=()), highest
