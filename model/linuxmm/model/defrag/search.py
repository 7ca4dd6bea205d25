"""Searches of free lists for a pageblock to empty, and for targets, and what they do to the lists' order.

Linux: mm/compaction.c:fast_find_migrateblock, fast_isolate_freepages.  Seed 2.2.3 (F039).  5.1 to 6.12.
"""

from dataclasses import replace
from typing import Final

from linuxmm.model.alloc.freelist import Zone, free_blocks
from linuxmm.model.defrag.rules import Rules
from linuxmm.model.defrag.state import NOTHING, Run, with_marks, with_zone
from linuxmm.model.defrag.targets import isolate_block, isolate_one
from linuxmm.spec.defrag.migration import Mode
from linuxmm.spec.defrag.scanners import (
    block_end,
    block_start,
    rotated_to_back,
    rotated_to_back_unless_first,
    rotated_to_front,
    rotated_to_front_unless_last,
    search_end,
    search_limit,
    search_marks,
)
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.vocabulary import PAGE_ALLOC_COSTLY_ORDER

MOVABLE: Final = 1

behaviour(
    "defrag.rotate-front",
    since="5.1",
    until="6.5",
    features=("F039",),
    source="mm/compaction.c:move_freelist_head; 6.1 read, last from memory",
)(rotated_to_front_unless_last)
behaviour(
    "defrag.rotate-front",
    since="6.6",
    features=("F039",),
    source="mm/compaction.c:move_freelist_head; 6.12 read, first from memory",
)(rotated_to_front)
behaviour(
    "defrag.rotate-back",
    since="5.1",
    until="6.5",
    features=("F039",),
    source="mm/compaction.c:move_freelist_tail; 6.1 read, last from memory",
)(rotated_to_back_unless_first)
behaviour(
    "defrag.rotate-back",
    since="6.6",
    features=("F039",),
    source="mm/compaction.c:move_freelist_tail; 6.12 read, first from memory",
)(rotated_to_back)


def with_heads(zone: Zone, order: int, heads: tuple[int, ...]) -> Zone:
    """The zone with a free list of MOVABLE in another order.

    Requires  the same blocks
    """
    row = zone.lists[order]
    row = (*row[:MOVABLE], heads, *row[MOVABLE + 1 :])
    return replace(zone, lists=(*zone.lists[:order], row, *zone.lists[order + 1 :]))


@behaviour(
    "defrag.find-source",
    since="2.6.35",
    until="5.0",
    features=("F039",),
    source="mm/compaction.c:isolate_migratepages; 3.0.101+, 4.9",
)
def source_in_order(rules: Rules, run: Run) -> tuple[Run, int]:
    """The next page to look at: where the scanner stands."""
    return run, run.migrate_pfn


@behaviour(
    "defrag.find-source",
    since="5.1",
    features=("F039",),
    source="mm/compaction.c:fast_find_migrateblock; 6.1, 6.12 read, first from memory",
)
def source_from_lists(rules: Rules, run: Run) -> tuple[Run, int]:
    """The next page to look at: in a pageblock with a large free block, if one is found quickly."""
    c, order, zone = run.control, rules.alloc.pageblock_order, run.zone
    pfn = run.migrate_pfn
    at_start = pfn == zone.start
    aligned = at_start or pfn == block_start(pfn, order)
    unfit = c.ignore_skips or not aligned or (run.finishing and rules.finishes_failed())
    if unfit or c.order <= PAGE_ALLOC_COSTLY_ORDER or (c.direct and c.own_type != MOVABLE):
        return run, pfn
    limit = search_limit(run.failures)
    end = search_end(pfn, run.free_pfn, at_start, order)
    seen, found = 0, NOTHING
    at = c.order - 1
    while at >= PAGE_ALLOC_COSTLY_ORDER and found == NOTHING and seen < limit:
        for head in zone.lists[at][MOVABLE]:
            seen += 1
            if seen > limit:
                run = with_zone(run, with_heads(zone, at, rules.rotate_back(zone.lists[at][MOVABLE], head)))
                break
            if head < end and block_start(head, order) not in run.marks.skips:
                heads = rules.rotate_back(zone.lists[at][MOVABLE], head)
                run = with_zone(run, with_heads(zone, at, heads))
                found = head
                break
        zone = run.zone
        at -= 1
    run = replace(run, scanned=run.scanned + seen)
    if found == NOTHING:
        run = replace(run, failures=run.failures + 1)
        if run.fast_start > 0:
            return replace(run, migrate_pfn=run.fast_start, fast_start=-1), run.fast_start
        return run, pfn
    if run.fast_start != -1:
        run = replace(run, fast_start=min(run.fast_start or found, found))
    start = block_start(found, order)
    if not rules.finishes_failed():
        run = with_marks(run, run.marks._replace(skips=run.marks.skips | {start}))
    return replace(run, failures=0), max(start, zone.start)


@behaviour(
    "defrag.find-target",
    since="2.6.35",
    until="5.0",
    features=("F039",),
    source="mm/compaction.c:isolate_freepages; 3.0.101+, 4.9",
)
def target_in_order(rules: Rules, run: Run) -> Run:
    """No search: the scanner finds targets."""
    return run


def _orders(run: Run, first: int) -> tuple[int, ...]:
    """The orders of a search: from where the last one worked down, then from the top."""
    return (*range(first, -1, -1), *range(run.control.order - 1, first, -1))


@behaviour(
    "defrag.find-target",
    since="5.1",
    features=("F039",),
    source="mm/compaction.c:fast_isolate_freepages; 6.1, 6.12 read, first from memory",
)
def target_from_lists(rules: Rules, run: Run) -> Run:
    """A free block near the free scanner, from the tails of the free lists, and its neighbours."""
    c, block, zone = run.control, rules.alloc.pageblock_order, run.zone
    if c.order <= 0:
        return run
    limit = max(1, search_limit(run.failures) >> 1)
    beginning = run.free_pfn >= run.marks.first_free
    if beginning:
        limit = (1 << block) >> 1
    preferred, least = search_marks(run.migrate_pfn, run.free_pfn, block)
    first = min(c.order - 1, run.search_order)
    highest, page, page_order, aborted = 0, NOTHING, 0, False
    for order in _orders(run, first):
        if page != NOTHING or aborted or not free_blocks(run.zone, order):
            continue
        heads = run.zone.lists[order][MOVABLE]
        high, looked, last = 0, 0, NOTHING
        for head in reversed(heads):
            looked += 1
            last = head
            if head >= highest:
                highest = max(block_start(head, block), zone.start)
            if head >= preferred:
                run, page = replace(run, failures=0, search_order=order), head
                break
            if head >= least and head > high:
                high, limit = head, limit >> 1
            if looked >= limit:
                break
        else:
            last = NOTHING
        if page == NOTHING and high:
            page = last = high
        if last != NOTHING:
            run = with_zone(run, with_heads(run.zone, order, rules.rotate_front(heads, last)))
        run = replace(run, free_scanned=run.free_scanned + looked)
        if page != NOTHING:
            page_order = order
            run, taken = isolate_one(rules, run, page, order)
            if not taken:
                page, aborted = NOTHING, True
        if looked >= limit:
            limit = max(1, limit >> 1)
    if page == NOTHING:
        return _not_found(rules, run, highest, least, beginning, first)
    run = _remember(run, highest, block)
    run = replace(run, hand=((page, page_order),))
    return around(rules, run, page)


def _remember(run: Run, highest: int, block: int) -> Run:
    if highest and highest >= run.marks.free:
        return with_marks(run, run.marks._replace(free=highest - (1 << block)))
    return run


def _not_found(rules: Rules, run: Run, highest: int, least: int, beginning: bool, first: int) -> Run:
    """Start the scan lower, if the search showed that nothing is above."""
    wrapped = first - 1 if first > 0 else run.control.order - 1
    run = replace(run, failures=run.failures + 1, search_order=wrapped)
    at = NOTHING
    if beginning and highest >= least:
        at = highest
    elif beginning and run.control.direct:
        at = least
    block = rules.alloc.pageblock_order
    if at == NOTHING:
        return _remember(run, highest, block)
    return around(rules, _remember(replace(run, free_pfn=at), highest, block), at)


def around(rules: Rules, run: Run, pfn: int) -> Run:
    """Isolate what else is free in the pageblock, unless there is enough; the hand is ready afterwards.

    Source    mm/compaction.c:fast_isolate_around; 5.1 to 6.12
    """
    c, block = run.control, rules.alloc.pageblock_order
    found = run.hand
    if run.in_hand < run.wanted and not (c.direct and c.mode == Mode.ASYNC):
        start = max(block_start(pfn, block), run.zone.start)
        end = min(block_end(pfn, block), run.zone.end)
        run, at, more = isolate_block(rules, run, start, end, 1)
        found = (*found, *more)
        run = replace(run, hand=found)
        full = at == end if rules.finishes_failed() else run.in_hand < run.wanted
        if full:
            marks = run.marks
            run = with_marks(run, marks._replace(skips=marks.skips | {block_start(pfn, block)}))
    return replace(run, hand=rules.to_targets(found))
