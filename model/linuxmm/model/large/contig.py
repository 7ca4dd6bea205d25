"""alloc_contig_range: empty a range of pages, and take it off the free lists whole.

Isolation, merging and counters are those of the page allocator (`linuxmm.model.alloc.isolate`); what lives in
the range is asked to leave.

Linux: mm/page_alloc.c:alloc_contig_range.  Seed 2.1.3.2 (F036).  3.5 to 6.12.
"""

from typing import NamedTuple, Protocol, Self, TypeVar

from linuxmm.model.alloc.buddy import free_one_page
from linuxmm.model.alloc.freelist import (
    ISOLATE,
    NOTHING,
    Zone,
    free_order,
    pageblock_type,
    set_in_use,
    spans,
)
from linuxmm.model.alloc.isolate import (
    isolate_free_page,
    isolate_pageblock,
    large_buddy,
    split_free_page,
    unisolate_pageblock,
)
from linuxmm.model.alloc.machine import Machine, with_zone, zone_at
from linuxmm.model.alloc.pcp import drain_pages_zone
from linuxmm.model.alloc.request import zone_of
from linuxmm.model.alloc.rules import Rules
from linuxmm.model.defrag.evacuate import Away
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.large.cma import isolated_span
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Errno


class Guests(Protocol):
    """Who lives in the range: the questions that the kernel leaves to migration and reclaim."""

    def unmovable(self, machine: Machine, start: int, end: int) -> bool:
        """Whether something in a pageblock can never leave, so that it is not even isolated."""

    def leave(
        self, away: Away, rules: Rules, machine: Machine, start: int, end: int
    ) -> tuple[Self, Machine, Errno | None]:
        """Move what can leave elsewhere: None when nothing stands in the way, though some may stay.

        EBUSY when something stayed after five tries, ENOMEM when there is no room, EINTR for a fatal signal
        """


G = TypeVar("G", bound=Guests)


class Contig(NamedTuple):
    """How alloc_contig_range of a kernel differs.

    span   order to whose multiples the isolated range is widened, by that of pageblocks and of largest blocks
    split  whether free blocks across an end of the range are split at it
    """

    span: int
    split: bool


@behaviour(
    "large.contig-span",
    since="3.5",
    until="5.17",
    features=("F036",),
    source="mm/page_alloc.c:pfn_max_align_down; the last release from memory",
)
def span_of_blocks(pageblock_order: int, max_order: int) -> Contig:
    """The range is widened to multiples of the largest block, so that no block lies across its ends."""
    return Contig(max(pageblock_order, max_order), False)


@behaviour(
    "large.contig-span",
    since="5.18",
    until="6.9",
    features=("F036",),
    source="mm/page_isolation.c:isolate_single_pageblock; read in 6.1, the first release from memory",
)
def span_of_pageblocks_split(pageblock_order: int, max_order: int) -> Contig:
    """The range is widened to pageblocks; a free block across its ends is split there."""
    return Contig(pageblock_order, True)


@behaviour(
    "large.contig-span",
    since="6.10",
    features=("F036",),
    source="mm/page_alloc.c:move_freepages_block_isolate; read in 6.12",
)
def span_of_pageblocks(pageblock_order: int, max_order: int) -> Contig:
    """The range is widened to pageblocks; isolation itself splits blocks."""
    return Contig(pageblock_order, False)


@verb("F036", source="mm/page_alloc.c:alloc_contig_range; 3.5 to 6.12")
def alloc_contig_range(
    contig: Contig, away: Away, rules: Rules, machine: Machine, guests: G, start: int, end: int, was: int
) -> tuple[Machine, G, Errno | None]:
    """Take the pages start to end, whatever lives there.

    Requires  the range lies in one zone;  was  the type that its pageblocks get back
    Ensures   all pages are the caller's, one by one; or nothing changed but guests that moved
    Refuses   EBUSY, ENOMEM, EINTR
    """
    index = zone_of(machine, start)
    low, high = isolated_span(start, end, contig.span)
    block = 1 << rules.pageblock_order
    for pfn in range(low, high, block):
        busy = pageblock_type(zone_at(machine, index), pfn) == ISOLATE
        if busy or guests.unmovable(machine, pfn, pfn + block):
            return undo(rules, machine, index, low, pfn, was), guests, Errno.EBUSY
        machine = with_zone(machine, index, isolate_pageblock(rules, zone_at(machine, index), pfn))
    zone = split_at(rules, zone_at(machine, index), (low, high)) if contig.split else zone_at(machine, index)
    for cpu in range(len(zone.pcps)):
        zone = drain_pages_zone(rules, zone, cpu)
    guests, machine, errno = guests.leave(away, rules, with_zone(machine, index, zone), start, end)
    if errno is not None and errno is not Errno.EBUSY:
        return undo(rules, machine, index, low, high, was), guests, errno
    zone, taken = take_isolated(rules, zone_at(machine, index), start, end)
    machine = undo(rules, with_zone(machine, index, zone), index, low, high, was)
    return machine, guests, None if taken else Errno.EBUSY


def undo(rules: Rules, machine: Machine, index: int, low: int, high: int, was: int) -> Machine:
    """Give pageblocks their type back.

    Source    mm/page_isolation.c:undo_isolate_page_range; 3.5 to 6.12
    """
    zone = zone_at(machine, index)
    for pfn in range(low, high, 1 << rules.pageblock_order):
        if pageblock_type(zone, pfn) == ISOLATE:
            zone = unisolate_pageblock(rules, zone, pfn, was)
    return with_zone(machine, index, zone)


def split_at(rules: Rules, zone: Zone, boundaries: tuple[int, ...]) -> Zone:
    """Split the free blocks that lie across a boundary.

    Source    mm/page_isolation.c:isolate_single_pageblock; 5.18 to 6.9
    """
    for boundary in boundaries:
        if spans(zone, boundary):
            head, order = large_buddy(rules, zone, boundary)
            if order != NOTHING and head < boundary:
                zone = split_free_page(rules, zone, head, order, boundary - head)
    return zone


def take_isolated(rules: Rules, zone: Zone, start: int, end: int) -> tuple[Zone, bool]:
    """Take a range off the free lists, if all of it is there, and free what the blocks hold beyond it.

    Source    mm/page_alloc.c:test_pages_isolated, isolate_freepages_range, free_contig_range
    """
    outer, order = large_buddy(rules, zone, start)
    blocks: list[tuple[int, int]] = []
    at = outer if order != NOTHING else start
    while at < end:
        order = free_order(zone, at)
        if order == NOTHING or pageblock_type(zone, at) != ISOLATE:
            return zone, False
        blocks.append((at, order))
        at += 1 << order
    for head, order in blocks:
        zone = isolate_free_page(rules, zone, head, order)
    for pfn in (*range(outer, start), *range(end, at)):
        zone = free_one_page(rules, zone, pfn, 0, ISOLATE, False)
    for pfn in range(start, end):
        zone = set_in_use(zone, pfn, 0, False)
    return zone, True
