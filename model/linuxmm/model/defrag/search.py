"""Searches of free lists for a pageblock to empty, and for targets, and what they do to the lists' order.

Linux: mm/compaction.c:fast_find_migrateblock, fast_isolate_freepages.  Seed 2.2.3 (F039).  5.1 to 6.12.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

from linuxmm.model.alloc.freelist import Zone
from linuxmm.model.defrag.rules import Rules
from linuxmm.model.defrag.state import NOTHING, Run, with_marks, with_zone
from linuxmm.model.defrag.targets import isolate_block, isolate_one
from linuxmm.spec.defrag.migration import Mode
from linuxmm.spec.defrag.scanners import (
    block_end,
    block_start,
    rotated_to_back,
    rotated_to_front,
    search_end,
    search_limit,
    search_marks,
)
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.vocabulary import PAGE_ALLOC_COSTLY_ORDER

MOVABLE: Final = 1


class Asked(NamedTuple):
    """What a search knows of the compaction: its order, the scanners, and its failures in a row.

    start        of the zone
    block_order  pageblock_order
    """

    order: int
    start: int
    migrate_pfn: int
    free_pfn: int
    failures: int
    block_order: int


class Target(NamedTuple):
    """What a search for a target found: a free block, or NOTHING, and which lists it turned round.

    preferred     whether the block is in the part that is preferred
    highest       the highest pageblock that it saw a free block in, 0 for none
    search_order  where the next search begins;  seen  blocks
    rotated       (order, heads) of each list that was looked at
    """

    page: int
    order: int
    preferred: bool
    highest: int
    search_order: int
    rotated: tuple[tuple[int, tuple[int, ...]], ...]
    seen: int


def search_target(asked: Asked, heads_of: Callable[[int], tuple[int, ...]], first: int, deep: bool) -> Target:
    """Search the MOVABLE lists from their tails for a block near the free scanner.

    heads_of  the MOVABLE list of an order
    first     the order that the last search worked down to;  deep  whether the free scanner has not moved yet
    Source    mm/compaction.c:fast_isolate_freepages; 5.1 to 6.12
    """
    limit = max(1, search_limit(asked.failures) >> 1)
    if deep:
        limit = (1 << asked.block_order) >> 1
    preferred, least = search_marks(asked.migrate_pfn, asked.free_pfn, asked.block_order)
    first = min(asked.order - 1, first)
    highest, seen = 0, 0
    rotated: list[tuple[int, tuple[int, ...]]] = []
    for order in (*range(first, -1, -1), *range(asked.order - 1, first, -1)):
        heads = heads_of(order)
        high, looked, last, page = 0, 0, NOTHING, NOTHING
        for head in reversed(heads):
            looked += 1
            if head >= highest:
                highest = max(block_start(head, asked.block_order), asked.start)
            if head >= preferred:
                page = last = head
                break
            if head >= least and head > high:
                high, limit = head, limit >> 1
            if looked >= limit:
                last = head
                break
        near = page != NOTHING
        if not near and high:
            page = last = high
        if last != NOTHING:
            rotated.append((order, rotated_to_front(heads, last)))
        seen += looked
        if page != NOTHING:
            return Target(page, order, near, highest, order if near else first, tuple(rotated), seen)
        if heads and looked >= limit:
            limit = max(1, limit >> 1)
    return Target(NOTHING, 0, False, highest, first, tuple(rotated), seen)


def search_order_after(order: int, asked: int) -> int:
    """Where the next search begins after one without success.

    Source    mm/compaction.c:next_search_order; 5.1 to 6.12
    """
    return order - 1 if order > 0 else asked - 1


def search_source(
    asked: Asked, heads_of: Callable[[int], tuple[int, ...]], hidden: Callable[[int], bool]
) -> tuple[int, tuple[tuple[int, tuple[int, ...]], ...], int]:
    """Search the MOVABLE lists from their heads for a block whose pageblock is worth emptying.

    hidden  whether the pageblock of a page is not looked at
    Ensures   (block or NOTHING, (order, heads) of each list turned round, blocks seen)
    Source    mm/compaction.c:fast_find_migrateblock; 5.1 to 6.12
    """
    limit = search_limit(asked.failures)
    end = search_end(asked.migrate_pfn, asked.free_pfn, asked.migrate_pfn == asked.start, asked.block_order)
    seen, rotated = 0, []
    for order in range(asked.order - 1, PAGE_ALLOC_COSTLY_ORDER - 1, -1):
        if seen >= limit:
            break
        heads = heads_of(order)
        for head in heads:
            seen += 1
            over = seen > limit
            if over or (head < end and not hidden(head)):
                rotated.append((order, rotated_to_back(heads, head)))
                if not over:
                    return head, tuple(rotated), seen
                break
    return NOTHING, tuple(rotated), seen


def searches_source(asked: Asked, ignore_skips: bool, finishing: bool, direct: bool, own_type: int) -> bool:
    """Whether a compaction searches the lists for its next source: for a costly order, between pageblocks.

    Source    mm/compaction.c:fast_find_migrateblock; 5.1 to 6.12
    """
    pfn = asked.migrate_pfn
    between = pfn == asked.start or pfn == block_start(pfn, asked.block_order)
    if ignore_skips or finishing or not between or asked.order <= PAGE_ALLOC_COSTLY_ORDER:
        return False
    return not direct or own_type == MOVABLE


def movable_heads(zone: Zone) -> Callable[[int], tuple[int, ...]]:
    """The MOVABLE lists of a zone, by order."""
    return lambda order: zone.lists[order][MOVABLE]


def with_rotated(zone: Zone, rotated: tuple[tuple[int, tuple[int, ...]], ...]) -> Zone:
    """The zone with some MOVABLE lists in another order."""
    for order, heads in rotated:
        zone = with_heads(zone, order, heads)
    return zone


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
    asked = Asked(c.order, zone.start, pfn, run.free_pfn, run.failures, order)
    finishing = run.finishing and rules.finishes_failed()
    if not searches_source(asked, c.ignore_skips, finishing, c.direct, c.own_type):
        return run, pfn
    hidden = run.marks.skips
    found, rotated, seen = search_source(
        asked, movable_heads(zone), lambda pfn: block_start(pfn, order) in hidden
    )
    run = with_zone(run, with_rotated(zone, rotated))
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
    beginning = run.free_pfn >= run.marks.first_free
    asked = Asked(c.order, zone.start, run.migrate_pfn, run.free_pfn, run.failures, block)
    found = search_target(asked, movable_heads(zone), run.search_order, beginning)
    run = with_zone(run, with_rotated(zone, found.rotated))
    run = replace(run, free_scanned=run.free_scanned + found.seen, search_order=found.search_order)
    if found.preferred:
        run = replace(run, failures=0)
    taken = False
    if found.page != NOTHING:
        run, taken = isolate_one(rules, run, found.page, found.order)
    if not taken:
        run = replace(run, search_order=search_order_after(found.search_order, c.order))
        return _not_found(rules, run, found, beginning)
    run = _remember(run, found.highest, block)
    run = replace(run, hand=((found.page, found.order),))
    return around(rules, run, found.page)


def _remember(run: Run, highest: int, block: int) -> Run:
    if highest and highest >= run.marks.free:
        return with_marks(run, run.marks._replace(free=highest - (1 << block)))
    return run


def _not_found(rules: Rules, run: Run, found: Target, beginning: bool) -> Run:
    """Start the scan lower, if the search showed that nothing is above."""
    run = replace(run, failures=run.failures + 1)
    block = rules.alloc.pageblock_order
    _, least = search_marks(run.migrate_pfn, run.free_pfn, block)
    at = NOTHING
    if beginning and found.highest >= least:
        at = found.highest
    elif beginning and run.control.direct:
        at = least
    if at == NOTHING:
        return _remember(run, found.highest, block)
    return around(rules, _remember(replace(run, free_pfn=at), found.highest, block), at)


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
