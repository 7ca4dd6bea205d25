"""The bulk allocator: single pages from one CPU's list, as many as it gives without leaving the zone.

Linux: mm/page_alloc.c:__alloc_pages_bulk.  Seed 2.1.1.4 (F022, F026, F028).  5.13 to 6.12.  The RFC of 2017
("Fast noirq bulk page allocator") had the same meaning for its caller and no user in the tree.
"""

from typing import NamedTuple, TypeAlias

from linuxmm.model.alloc.freelist import NOTHING, PCP_LOCK, count_work, set_in_use
from linuxmm.model.alloc.machine import (
    Machine,
    with_zone,
    zone_at,
    zone_kind,
    zone_node,
    zonelist_entry,
    zonelist_length,
)
from linuxmm.model.alloc.movement import MOVABLE
from linuxmm.model.alloc.pcp import pop_pcplist
from linuxmm.model.alloc.request import alloc_fast, alloc_min, first_zone, skips_zone
from linuxmm.model.alloc.rules import Rules
from linuxmm.model.alloc.watermark import mark_of
from linuxmm.spec.alloc.bulk import BULK_SINGLE
from linuxmm.spec.alloc.request import Request, fastpath_flags
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.registry import verb

Entries: TypeAlias = tuple[int, ...]
"""The caller's array: pages, NOTHING where there is none; it is read and written through three primitives."""


def nr_entries(array: Entries) -> int:
    """Length of the array."""
    return len(array)


def entry_at(array: Entries, at: int) -> int:
    """The page in an entry, or NOTHING."""
    return array[at]


def with_entry(array: Entries, at: int, pfn: int) -> Entries:
    """The array after a page was put into an entry."""
    return (*array[:at], pfn, *array[at + 1 :])


class Bulk(NamedTuple):
    """What a bulk request did.

    array      the entries, NOTHING where there is no page
    returned   what the caller gets: entries filled from the front
    single     whether one ordinary allocation answered
    """

    machine: Machine
    array: Entries
    returned: int
    single: bool


@verb("F022", "F026", "F028", source="mm/page_alloc.c:__alloc_pages_bulk; 5.13 to 6.12")
def alloc_bulk(
    kernel: Kernel,
    rules: Rules,
    machine: Machine,
    request: Request,
    array: Entries,
    *,
    accounted: bool = False,
    page_owner: bool = False,
) -> Bulk:
    """Fill the empty entries of `array` (the list form: all empty) with single pages.

    accounted   __GFP_ACCOUNT with memory cgroups; page_owner: page_owner=on
    Requires  request.order == 0
    Ensures   entries that were filled are left alone; stops silently at the first failure; if nothing was
              got, one ordinary allocation is tried
    Errors    Unmodelled before 5.13
    """
    refuses = kernel.behaviour(BULK_SINGLE).function
    return Bulk(*fill_entries(rules, machine, request, array, bool(refuses(accounted, page_owner))))


def fill_entries(
    rules: Rules, machine: Machine, request: Request, array: Entries, refused: bool
) -> tuple[Machine, Entries, int, bool]:
    """As `alloc_bulk`; refused: the request may only have one ordinary allocation.

    Ensures   (machine, array, returned, single) as in `Bulk`
    """
    filled = 0
    while filled < nr_entries(array) and entry_at(array, filled) != NOTHING:
        filled += 1
    if filled == nr_entries(array):
        return machine, array, filled, False
    if refused or nr_entries(array) - filled == 1:
        return fill_one(rules, machine, request, array, filled)
    index = local_zone_for(rules, machine, request, nr_entries(array))
    if index == NOTHING:
        return fill_one(rules, machine, request, array, filled)
    return fill_from_pcplist(rules, machine, request, array, filled, index)


def local_zone_for(rules: Rules, machine: Machine, request: Request, pages: int) -> int:
    """The first zone of the preferred node that keeps its low mark after `pages` pages; NOTHING if none.

    Source    mm/page_alloc.c:__alloc_pages_bulk
    """
    preferred = first_zone(machine, request)
    if preferred == NOTHING:
        return NOTHING
    flags = fastpath_flags(request.gfp, rules.cma, 0)
    kind = zone_kind(zone_at(machine, preferred))
    at = 0
    while at < zonelist_length(machine, request.node):
        index = zonelist_entry(machine, request.node, at)
        at += 1
        zone = zone_at(machine, index)
        if skips_zone(request, zone, False):
            continue
        if zone_node(zone) != zone_node(zone_at(machine, preferred)):
            return NOTHING
        if rules.watermark_fast(rules, zone, 0, mark_of(zone, flags) + pages, kind, flags):
            return index
    return NOTHING


def fill_from_pcplist(
    rules: Rules, machine: Machine, request: Request, array: Entries, filled: int, index: int
) -> tuple[Machine, Entries, int, bool]:
    """Pop pages off the CPU's list of one zone, under one hold of its lock."""
    flags = fastpath_flags(request.gfp, rules.cma, 0)
    zone = count_work(zone_at(machine, index), PCP_LOCK)
    taken = 0
    while filled < nr_entries(array):
        if entry_at(array, filled) == NOTHING:
            zone, pfn = pop_pcplist(rules, zone, request.cpu, 0, request.migratetype, flags)
            if pfn == NOTHING:
                break
            zone = set_in_use(zone, pfn, 0, request.migratetype == MOVABLE)
            array = with_entry(array, filled, pfn)
            taken += 1
        filled += 1
    machine = with_zone(machine, index, zone)
    if taken == 0:
        return fill_one(rules, machine, request, array, filled)
    return machine, array, filled, False


def fill_one(
    rules: Rules, machine: Machine, request: Request, array: Entries, filled: int
) -> tuple[Machine, Entries, int, bool]:
    """One ordinary allocation into the first empty entry."""
    machine, pfn, _ = alloc_fast(rules, machine, request)
    if pfn == NOTHING:
        machine, pfn, _ = alloc_min(rules, machine, request, False)
    if pfn == NOTHING:
        return machine, array, filled, True
    return machine, with_entry(array, filled, pfn), filled + 1, True
