"""Empty a range of pages: isolate what can move, drop clean pages of files, migrate the rest, and try again.

alloc_contig_range empties a range so, for CMA, and hotplug before memory goes offline.  Whoever asks has
isolated the pageblocks, so that no page of the range is handed out meanwhile.

Linux: mm/page_alloc.c:__alloc_contig_migrate_range; mm/compaction.c:isolate_migratepages_range;
mm/vmscan.c:reclaim_clean_pages_from_list.  Seed 2.1.3.2, 2.2.3 (F036, F039).  3.5 to 6.12.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, NamedTuple

from immutables import Map

from linuxmm.model.alloc.freelist import Zone
from linuxmm.model.alloc.machine import Machine, zone_at
from linuxmm.model.alloc.request import alloc_fast, alloc_min, free_pages, zone_of
from linuxmm.model.alloc.rules import Rules
from linuxmm.model.defrag import migrate
from linuxmm.model.defrag.state import NOTHING, Outside, Page, Still
from linuxmm.model.defrag.trip import Migrate, Trip, Ways
from linuxmm.spec.alloc.gfp import GFP_HIGHMEM_BIT, GFP_MOVABLE_BIT, GFP_USER
from linuxmm.spec.alloc.request import request
from linuxmm.spec.defrag import migration as m
from linuxmm.spec.defrag.migration import Mode, worth_isolating
from linuxmm.spec.defrag.scanners import CLUSTER_MAX
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Errno
from linuxmm.spec.vocabulary import ZoneType

REGISTERED = (migrate,)
TRIES: Final = 5
"""A range is given up when pages stay for the fifth time."""
_HIGH: Final = (ZoneType.HIGHMEM, ZoneType.MOVABLE)


class Away(NamedTuple):
    """How one kernel empties a range.

    migrate, passes   of compaction's rules
    drops_clean       whether a clean page of a file is dropped instead of moved, by its flags (3.7)
    """

    migrate: Migrate[Machine]
    passes: Callable[[int], int]
    drops_clean: Callable[[int], bool]


@dataclass(frozen=True, slots=True)
class Dwellers:
    """What lives in a machine.

    pages    first page of a block -> what it holds; one that is not named is anonymous, and holds its number
    outside  what others do while a page is migrated
    moved    (from, to, order) of each block that moved, in order
    dropped  pages that were clean and are free now
    """

    pages: Map[int, Page] = field(default_factory=Map)
    outside: Outside = field(default_factory=Still)
    moved: tuple[tuple[int, int, int], ...] = ()
    dropped: tuple[int, ...] = ()


def away_of(kernel: Kernel) -> Away:
    """How a kernel empties a range.

    Errors    Unmodelled before 3.5
    """

    def rule(name: str) -> Callable[..., object]:
        return kernel.behaviour(name).function

    return Away(rule("defrag.migrate"), rule("defrag.passes"), rule("large.drops-clean"))  # type: ignore[arg-type]


@verb("F036", source="mm/page_alloc.c:__alloc_contig_migrate_range; 3.5 to 6.12")
def evacuate(
    away: Away, rules: Rules, machine: Machine, living: Dwellers, start: int, end: int, signal: bool = False
) -> tuple[Dwellers, Machine, Errno | None]:
    """Let every block that can move leave the pages start to end, of one zone.

    signal    a fatal signal is pending
    Ensures   every content is where it was, or at one new place, or was clean; what could not even be
              isolated is left alone, and is no error: whoever asks looks whether the range is free
    Refuses   EBUSY when pages stayed five times, ENOMEM without a page to move to, EINTR for a signal
    """
    index = zone_of(machine, start)
    at, tries = start, 0
    waiting: tuple[int, ...] = ()
    while at < end or waiting:
        if signal:
            return living, machine, Errno.EINTR
        if waiting:
            tries += 1
            if tries == TRIES:
                return living, machine, Errno.EBUSY
        else:
            zone = zone_at(machine, index)
            living, waiting, at = isolate_range(living, zone, at, end, rules.pageblock_order)
            tries = 0
        living, machine, waiting = drop_clean(away, rules, machine, living, waiting)
        living, machine, waiting, short = send_away(away, rules, machine, living, waiting, index)
        if short:
            return living, machine, Errno.ENOMEM
    return living, machine, None


def isolate_range(
    living: Dwellers, zone: Zone, at: int, end: int, block_order: int
) -> tuple[Dwellers, tuple[int, ...], int]:
    """Isolate from `at` on until 32 pages are, or the range ends: them, the last first, and where to go on.

    Source    mm/compaction.c:isolate_migratepages_range; 3.5 to 6.12
    """
    taken: tuple[int, ...] = ()
    pages = 0
    while at < end and pages < CLUSTER_MAX:
        edge = min(end, ((at >> block_order) + 1) << block_order)
        for pfn, (order, movable) in sorted(zone.in_use.items()):
            if pfn + (1 << order) <= at or edge <= pfn or pages >= CLUSTER_MAX:
                continue
            at = min(edge, pfn + (1 << order))
            page = living.pages.get(pfn) or Page(m.ANON, pfn)
            if not movable or not worth_isolating(page.flags, Mode.SYNC, True, True):
                continue
            living = replace(living, pages=living.pages.set(pfn, page))
            taken, pages = (pfn, *taken), pages + (1 << order)
        if pages < CLUSTER_MAX:
            at = edge
    return living, taken, at


def drop_clean(
    away: Away, rules: Rules, machine: Machine, living: Dwellers, waiting: tuple[int, ...]
) -> tuple[Dwellers, Machine, tuple[int, ...]]:
    """Free isolated pages that can be read again from their files.

    Source    mm/vmscan.c:reclaim_clean_pages_from_list; 3.7 to 6.12
    """
    kept: tuple[int, ...] = ()
    for pfn in waiting:
        if not away.drops_clean(living.pages[pfn].flags):
            kept = (*kept, pfn)
            continue
        machine = free_pages(rules, machine, 0, pfn, _order(machine, pfn))
        living = replace(living, pages=living.pages.delete(pfn), dropped=(*living.dropped, pfn))
    return living, machine, kept


def send_away(
    away: Away, rules: Rules, machine: Machine, living: Dwellers, waiting: tuple[int, ...], index: int
) -> tuple[Dwellers, Machine, tuple[int, ...], bool]:
    """Migrate what waits to where the page allocator has room: what stayed, and whether it had none."""
    ways: Ways[Machine] = Ways(
        partial(_target, rules, index),
        partial(_give_up, rules),
        partial(_left, rules),
        away.passes,
    )
    trip, short = away.migrate(ways, Trip(machine, living.pages, living.outside, Mode.SYNC, waiting))
    machine = trip.place
    moved = tuple((source, target, _order(machine, target)) for source, target in trip.moved)
    living = replace(living, pages=trip.pages, moved=(*living.moved, *moved))
    return living, machine, trip.waiting, short


def _order(machine: Machine, pfn: int) -> int:
    return zone_at(machine, zone_of(machine, pfn)).in_use[pfn][0]


def _target(rules: Rules, index: int, machine: Machine, source: int) -> tuple[Machine, int]:
    """A block to move to.

    Source    mm/migrate.c:alloc_migration_target; 5.9 to 6.12; before, alloc_migrate_target
    """
    zone = zone_at(machine, index)
    high = GFP_HIGHMEM_BIT if zone.kind in _HIGH else 0
    asked = request(_order(machine, source), GFP_USER | GFP_MOVABLE_BIT | high, node=zone.node)
    machine, target, _ = alloc_fast(rules, machine, asked)
    if target == NOTHING:
        machine, target, _ = alloc_min(rules, machine, asked, False)
    return machine, target


def _give_up(rules: Rules, machine: Machine, target: int) -> Machine:
    return free_pages(rules, machine, 0, target, _order(machine, target))


def _left(rules: Rules, machine: Machine, source: int, target: int) -> Machine:
    return free_pages(rules, machine, 0, source, _order(machine, source))
