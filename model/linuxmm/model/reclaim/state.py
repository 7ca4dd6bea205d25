"""One set of lists (a lruvec), the pages on them, and the primitives through which algorithms see both.

A lruvec belongs to a zone until 4.7 and to a node from 4.8 on.  As in the allocator's model, a primitive
answers a question or returns the state after one elementary change, and algorithms use nothing else.

Linux: struct lruvec, struct page (include/linux/mmzone.h, mm_types.h).  Seed 2.4 (F015, F042, F043, F044).
"""

from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from immutables import Map

from linuxmm.model.reclaim.caches import Shrinker
from linuxmm.model.reclaim.counters import NAMES
from linuxmm.model.reclaim.generations import Generations, no_generations
from linuxmm.model.reclaim.outside import UNMAP_FAILED, Backing, Mappings, References, ReverseMap, Store
from linuxmm.spec.reclaim.lists import DEF_PRIORITY, FILE
from linuxmm.spec.step import Event

NOTHING: Final = -1
"""What a primitive answers when there is no page, or no shadow."""

ACTIVE: Final = 1 << 0
REFERENCED: Final = 1 << 1
LRU: Final = 1 << 2
SWAPBACKED: Final = 1 << 3
ANON: Final = 1 << 4
DIRTY: Final = 1 << 5
WRITEBACK: Final = 1 << 6
LOCKED: Final = 1 << 7
MLOCKED: Final = 1 << 8
WORKINGSET: Final = 1 << 9
RECLAIM: Final = 1 << 10
SWAPCACHE: Final = 1 << 11
PINNED: Final = 1 << 12
"""Somebody holds another reference."""
UNEVICTABLE: Final = 1 << 13
"""PG_unevictable: it was put on the list of unevictable pages."""
LAZY: Final = 1 << 14
"""MADV_FREE gave it up where no flag of the kernel says so (4.5 to 4.11): its entry and itself are clean."""

WAITING: Final = -1
TAKEN: Final = 0
KEPT: Final = 1
SKIPPED: Final = 2
"""Queues of pages that are on no list: the CPU's batch, and those of a batch that reclaim judges."""


class Page(NamedTuple):
    """A page of memory that holds something.

    flags  PG_* of the kernel, and ANON, PINNED; zone: its index; mlocks: mlock_count (since 5.18)
    slot   the place in a mapping, or in swap, whose content it holds
    """

    flags: int
    slot: int
    zone: int = 0
    mlocks: int = 0


class Recent(NamedTuple):
    """What was reclaimed of late, of each kind."""

    scanned_anon: int
    scanned_file: int
    rotated_anon: int
    rotated_file: int
    cost_anon: int
    cost_file: int


class ZoneMarks(NamedTuple):
    """What reclaim knows of a zone: free pages and watermarks.

    hopeless  its pages were scanned many times without success (until 4.7)
    """

    managed: int
    free: int
    min: int
    low: int
    high: int
    hopeless: bool = False


@dataclass(frozen=True, slots=True)
class Lruvec:
    """Lists and what is counted beside them.

    pages     every page that has contents, on a list or not
    lists     heads first; the tail is scanned
    sizes     NR_LRU_BASE + list, as the kernel counts them
    by_zone   the same per zone
    isolated  NR_ISOLATED_ANON, NR_ISOLATED_FILE
    waiting   pages on the CPU's batch, oldest first
    queues    pages off the lists while a batch of them is judged: TAKEN, KEPT, SKIPPED
    shadows   slot -> word of a shadow entry
    clock     inactive_age, nonresident_age
    saved     nr_saved_scan, per list
    scanned, rotated, cost   of late: (anonymous, file)
    previous  prev_priority
    fruitless pages scanned since one was freed (zone->pages_scanned, until 4.11)
    refaults  WORKINGSET_ACTIVATE (anonymous, file) now, and when reclaim last looked
    many_dirty  PGDAT_DIRTY: the tail of the list is dirty pages
    failures  kswapd_failures
    spaces    first page of each address space, ascending (until 2.4)
    mms       of each: pages left to look at, and where (until 2.4.9); pressure: memory_pressure
    walk      where the walk through them goes on: (space, page), the page behind the last when it is through
    gens      lists by generation, and what is counted of them
    shrinkers caches outside the lists
    counters  what /proc/vmstat shows; log: events of the step in progress
    """

    zones: tuple[ZoneMarks, ...]
    pages: Map[int, Page] = field(default_factory=Map)
    lists: tuple[tuple[int, ...], ...] = ((), (), (), (), ())
    sizes: tuple[int, ...] = (0, 0, 0, 0, 0)
    by_zone: tuple[tuple[int, ...], ...] = ()
    isolated: tuple[int, int] = (0, 0)
    waiting: tuple[int, ...] = ()
    queues: tuple[tuple[int, ...], ...] = ((), (), ())
    shadows: Map[int, int] = field(default_factory=Map)
    clock: int = 0
    saved: tuple[int, ...] = (0, 0, 0, 0)
    scanned: tuple[int, int] = (0, 0)
    rotated: tuple[int, int] = (0, 0)
    cost: tuple[int, int] = (0, 0)
    previous: int = DEF_PRIORITY
    fruitless: int = 0
    refaults: tuple[int, int] = (0, 0)
    looked: tuple[int, int] = (0, 0)
    many_dirty: bool = False
    failures: int = 0
    spaces: tuple[int, ...] = (0,)
    walk: tuple[int, int] = (0, 0)
    mms: tuple[tuple[int, int], ...] = ()
    pressure: int = 0
    gens: Generations = field(default_factory=lambda: no_generations(1))
    rmap: ReverseMap = field(default_factory=Mappings)
    backing: Backing = field(default_factory=Store)
    shrinkers: tuple[Shrinker, ...] = ()
    counters: Map[str, int] = field(default_factory=Map)
    log: tuple[Event, ...] = ()


def empty(
    zones: tuple[ZoneMarks, ...], rmap: ReverseMap | None = None, backing: Backing | None = None
) -> Lruvec:
    """Lists without a page."""
    return Lruvec(
        zones,
        by_zone=((0, 0, 0, 0, 0),) * len(zones),
        gens=no_generations(len(zones)),
        rmap=Mappings() if rmap is None else rmap,
        backing=Store() if backing is None else backing,
    )


# ---- questions -------------------------------------------------------------------------------------------


def tail(v: Lruvec, lru: int) -> int:
    """The page that is scanned next, or NOTHING."""
    pages = v.lists[lru]
    return pages[-1] if pages else NOTHING


def size_of(v: Lruvec, lru: int) -> int:
    """Pages on a list, as counted."""
    return v.sizes[lru]


def size_below(v: Lruvec, lru: int, zone: int) -> int:
    """Pages of a list in zones up to `zone`."""
    return sum(counts[lru] for counts in v.by_zone[: zone + 1])


def has(v: Lruvec, page: int, flag: int) -> bool:
    """Whether a page has a flag."""
    return v.pages[page].flags & flag != 0


def zone_of(v: Lruvec, page: int) -> int:
    """The zone that a page belongs to."""
    return v.pages[page].zone


def slot_of(v: Lruvec, page: int) -> int:
    """The place whose content a page holds."""
    return v.pages[page].slot


def mapped(v: Lruvec, page: int) -> int:
    """Page-table entries that map a page."""
    return v.rmap.mapped(page)


def shadow_at(v: Lruvec, slot: int) -> int:
    """The shadow entry at a place, or NOTHING."""
    return v.shadows.get(slot, NOTHING)


def is_waiting(v: Lruvec, page: int) -> bool:
    """Whether a page waits on the CPU's batch."""
    return page in v.waiting


def waiting(v: Lruvec) -> int:
    """Pages on the CPU's batch."""
    return len(v.waiting)


def nr_zones(v: Lruvec) -> int:
    """Zones that the lists are of."""
    return len(v.zones)


def marks_of(v: Lruvec, zone: int) -> ZoneMarks:
    """What reclaim knows of a zone."""
    return v.zones[zone]


def managed(v: Lruvec) -> int:
    """Pages of every zone."""
    pages = 0
    for zone in range(nr_zones(v)):
        pages += marks_of(v, zone).managed
    return pages


def clock_of(v: Lruvec) -> int:
    """The clock of evictions and activations."""
    return v.clock


def saved_of(v: Lruvec, lru: int) -> int:
    """Pages of a list that were to be scanned, and are saved up for."""
    return v.saved[lru]


def recent(v: Lruvec) -> Recent:
    """What was reclaimed of late."""
    return Recent(*v.scanned, *v.rotated, *v.cost)


def previous_of(v: Lruvec) -> int:
    """The priority at which reclaim last ended."""
    return v.previous


def fruitless_of(v: Lruvec) -> int:
    """Pages scanned since one was freed."""
    return v.fruitless


def failures_of(v: Lruvec) -> int:
    """Runs of the daemon in a row that freed nothing."""
    return v.failures


def tail_is_dirty(v: Lruvec) -> bool:
    """Whether the tail of the list was dirty pages."""
    return v.many_dirty


def refaulted(v: Lruvec, kind: int) -> bool:
    """Whether refaults of a kind (0 anonymous, FILE) were activated since reclaim last looked."""
    which = 1 if kind == FILE else 0
    return v.refaults[which] != v.looked[which]


def in_use(v: Lruvec) -> int:
    """Pages that page tables map."""
    return sum(1 for page in v.pages if mapped(v, page))


# ---- elementary changes ------------------------------------------------------------------------------------


def flag(v: Lruvec, page: int, flags: int, on: bool) -> Lruvec:
    """Set or clear flags of a page."""
    old = v.pages[page]
    new = old.flags | flags if on else old.flags & ~flags
    return v if new == old.flags else replace(v, pages=v.pages.set(page, old._replace(flags=new)))


def set_mlocks(v: Lruvec, page: int, mlocks: int) -> Lruvec:
    """Change a page's mlock_count."""
    return replace(v, pages=v.pages.set(page, v.pages[page]._replace(mlocks=mlocks)))


def _counted(v: Lruvec, page: int, lru: int, change: int) -> Lruvec:
    zone = v.pages[page].zone
    row = _put(v.by_zone[zone], lru, v.by_zone[zone][lru] + change)
    rows = (*v.by_zone[:zone], row, *v.by_zone[zone + 1 :])
    return replace(v, sizes=_put(v.sizes, lru, v.sizes[lru] + change), by_zone=rows)


def _put(row: tuple[int, ...], at: int, value: int) -> tuple[int, ...]:
    return (*row[:at], value, *row[at + 1 :])


def _with_list(v: Lruvec, lru: int, pages: tuple[int, ...]) -> Lruvec:
    return replace(v, lists=(*v.lists[:lru], pages, *v.lists[lru + 1 :]))


def add_head(v: Lruvec, page: int, lru: int) -> Lruvec:
    """Put a page at the head of a list, and count it.

    Requires  the page is on no list
    """
    return flag(_counted(_with_list(v, lru, (page, *v.lists[lru])), page, lru, 1), page, LRU, True)


def add_tail(v: Lruvec, page: int, lru: int) -> Lruvec:
    """Put a page at the tail of a list, and count it."""
    return flag(_counted(_with_list(v, lru, (*v.lists[lru], page)), page, lru, 1), page, LRU, True)


def remove(v: Lruvec, page: int, lru: int) -> Lruvec:
    """Take a page off a list.

    Requires  the page is on it
    """
    pages = v.lists[lru]
    at = len(pages) - 1 if pages[-1] == page else pages.index(page)
    return flag(_counted(_with_list(v, lru, pages[:at] + pages[at + 1 :]), page, lru, -1), page, LRU, False)


def count_isolated(v: Lruvec, lru: int, pages: int) -> Lruvec:
    """Add to the pages that are off the lists for a while."""
    return replace(v, isolated=add_of_kind(v.isolated, lru, pages))


def add_page(v: Lruvec, page: int, flags: int, slot: int, zone: int) -> Lruvec:
    """A free page of a zone gets contents.

    Requires  the page is free, and the zone has a free page
    """
    return give_pages(replace(v, pages=v.pages.set(page, Page(flags, slot, zone))), zone, -1)


def _queued(v: Lruvec, queue: int) -> tuple[int, ...]:
    return v.waiting if queue == WAITING else v.queues[queue]


def _with_queue(v: Lruvec, queue: int, pages: tuple[int, ...]) -> Lruvec:
    if queue == WAITING:
        return replace(v, waiting=pages)
    return replace(v, queues=(*v.queues[:queue], pages, *v.queues[queue + 1 :]))


def push(v: Lruvec, queue: int, page: int) -> Lruvec:
    """Put a page at the end of a queue.

    Requires  the page is on no list and in no queue
    """
    return _with_queue(v, queue, (*_queued(v, queue), page))


def pop(v: Lruvec, queue: int) -> tuple[Lruvec, int]:
    """Take the oldest page from a queue; NOTHING when there is none."""
    pages = _queued(v, queue)
    return (_with_queue(v, queue, pages[1:]), pages[0]) if pages else (v, NOTHING)


def leave_batch(v: Lruvec, page: int) -> Lruvec:
    """Take a page out of the CPU's batch."""
    return replace(v, waiting=tuple(other for other in v.waiting if other != page))


def forget(v: Lruvec, page: int) -> Lruvec:
    """Free a page: its zone has one more.

    Requires  it is on no list
    """
    return give_pages(replace(v, pages=v.pages.delete(page)), v.pages[page].zone, 1)


def give_pages(v: Lruvec, zone: int, pages: int) -> Lruvec:
    """Pages that are on no list become free."""
    marks = v.zones[zone]._replace(free=v.zones[zone].free + pages)
    return replace(v, zones=(*v.zones[:zone], marks, *v.zones[zone + 1 :]))


def set_shadow(v: Lruvec, slot: int, word: int) -> Lruvec:
    """Leave a shadow entry at a place, or NOTHING."""
    if word == NOTHING:
        return replace(v, shadows=v.shadows.delete(slot)) if slot in v.shadows else v
    return replace(v, shadows=v.shadows.set(slot, word))


def set_clock(v: Lruvec, clock: int) -> Lruvec:
    """Set the clock of evictions and activations."""
    return replace(v, clock=clock)


def add_of_kind(pair: tuple[int, int], lru: int, pages: int) -> tuple[int, int]:
    """Add to the number of the kind that a list belongs to."""
    return (pair[0], pair[1] + pages) if lru & FILE else (pair[0] + pages, pair[1])


def add_recent(v: Lruvec, lru: int, scanned: int, rotated: int) -> Lruvec:
    """Note pages of a list's kind that were scanned, and those that went back."""
    return replace(
        v, scanned=add_of_kind(v.scanned, lru, scanned), rotated=add_of_kind(v.rotated, lru, rotated)
    )


def set_recent(v: Lruvec, anon: tuple[int, int], file: tuple[int, int]) -> Lruvec:
    """Change what is noted: (scanned, rotated) of each kind."""
    return replace(v, scanned=(anon[0], file[0]), rotated=(anon[1], file[1]))


def set_cost(v: Lruvec, cost: tuple[int, int]) -> Lruvec:
    """Change what reclaim of each kind cost."""
    return replace(v, cost=cost)


def set_saved(v: Lruvec, lru: int, pages: int) -> Lruvec:
    """Save pages of a list up."""
    return replace(v, saved=_put(v.saved, lru, pages))


def set_fruitless(v: Lruvec, pages: int) -> Lruvec:
    """Change the pages scanned since one was freed."""
    return replace(v, fruitless=pages)


def set_failures(v: Lruvec, failures: int) -> Lruvec:
    """Change the daemon's runs in vain."""
    return replace(v, failures=failures)


def set_tail_dirty(v: Lruvec, dirty: bool) -> Lruvec:
    """Note whether the tail of the list was dirty pages."""
    return replace(v, many_dirty=dirty)


def note_refault(v: Lruvec, file: bool) -> Lruvec:
    """A page that came back is active at once."""
    return replace(v, refaults=add_of_kind(v.refaults, FILE if file else 0, 1))


def end_reclaim(v: Lruvec, priority: int) -> Lruvec:
    """Reclaim ended at a priority, and has seen the refaults so far."""
    return replace(v, previous=priority, looked=v.refaults)


def count(v: Lruvec, counter: int, pages: int = 1) -> Lruvec:
    """Add to a counter of /proc/vmstat."""
    name = NAMES[counter]
    return v if not pages else replace(v, counters=v.counters.set(name, v.counters.get(name, 0) + pages))


def trace(v: Lruvec, event: Event) -> Lruvec:
    """Note an event."""
    return replace(v, log=(*v.log, event))


# ---- what others answer ------------------------------------------------------------------------------------


def references(v: Lruvec, page: int) -> tuple[Lruvec, References]:
    """Accessed bits of a page's entries, found and cleared."""
    rmap, found = v.rmap.test_and_clear(page)
    return (v if rmap is v.rmap else replace(v, rmap=rmap)), found


def unmap(v: Lruvec, page: int) -> tuple[Lruvec, int]:
    """Remove a page's entries; a dirty one makes the page dirty."""
    rmap, how, dirty = v.rmap.unmap(page)
    v = replace(v, rmap=rmap)
    return (flag(v, page, DIRTY, True) if dirty else v), how


def unmap_lazyfree(v: Lruvec, page: int) -> tuple[Lruvec, int]:
    """Remove a page's entries, unless one was dirtied since MADV_FREE; then swap backs it again."""
    rmap, how, dirty = v.rmap.unmap(page)
    if dirty:
        return flag(v, page, DIRTY | SWAPBACKED, True), UNMAP_FAILED
    return replace(v, rmap=rmap), how


def take_slot(v: Lruvec, page: int) -> tuple[Lruvec, bool]:
    """A slot of swap for a page; it is in the swap cache then, and dirty."""
    backing, taken = v.backing.take_slot(page)
    v = replace(v, backing=backing)
    return (flag(v, page, SWAPCACHE | DIRTY, True) if taken else v), taken


def give_slot(v: Lruvec, page: int) -> Lruvec:
    """A page's slot of swap is free again."""
    return flag(replace(v, backing=v.backing.give_slot(page)), page, SWAPCACHE, False)


def pageout(v: Lruvec, page: int) -> tuple[Lruvec, int]:
    """Write a page out."""
    backing, how = v.backing.pageout(page)
    return replace(v, backing=backing), how


def swap_free(v: Lruvec) -> int:
    """Free slots of swap."""
    return v.backing.swap_free()
