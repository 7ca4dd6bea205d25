"""Giving pageblocks of the high-order atomic reserve back, before a request fails or a task is killed.

Linux: mm/page_alloc.c:unreserve_highatomic_pageblock.  Seed 2.1.1.1, 2.1.1.3 (F013, F017).  4.4 to 6.12.
"""

from linuxmm.model.alloc.buddy import retag_range
from linuxmm.model.alloc.freelist import (
    HIGHATOMIC,
    NOTHING,
    Zone,
    list_head,
    pageblock_type,
    reserved_highatomic,
    set_pageblock_type,
    set_reserved_highatomic,
)
from linuxmm.model.alloc.machine import Machine, with_zone, zone_at, zonelist_entry, zonelist_length
from linuxmm.model.alloc.movement import claim_block, move_freepages_block
from linuxmm.model.alloc.request import skips_zone
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.request import Request
from linuxmm.spec.kernel import Kernel, behaviour
from linuxmm.spec.registry import verb


@behaviour(
    "alloc.unreserve",
    since="2.4.0",
    until="4.3",
    features=("F013",),
    source="mm/page_alloc.c; before 4.4",
)
def unreserve_nothing(rules: Rules, zone: Zone, pfn: int, order: int, migratetype: int) -> tuple[Zone, bool]:
    """There is no high-order atomic reserve."""
    return zone, False


@behaviour(
    "alloc.unreserve",
    since="4.4",
    until="4.9",
    features=("F013",),
    source="mm/page_alloc.c:unreserve_highatomic_pageblock; 4.4 to 4.9",
)
def unreserve_first(rules: Rules, zone: Zone, pfn: int, order: int, migratetype: int) -> tuple[Zone, bool]:
    """As later, but the first pageblock with a free page is enough, whether or not its pages move."""
    return unreserve_block(rules, zone, pfn, order, migratetype)[0], True


@behaviour(
    "alloc.unreserve",
    since="4.10",
    until="6.9",
    features=("F013",),
    source="mm/page_alloc.c:unreserve_highatomic_pageblock; 4.10 to 6.8",
)
def unreserve_block(rules: Rules, zone: Zone, pfn: int, order: int, migratetype: int) -> tuple[Zone, bool]:
    """The pageblock takes the requester's type, and its free pages move; success if any did."""
    if pageblock_type(zone, pfn) == HIGHATOMIC:
        held = reserved_highatomic(zone)
        zone = set_reserved_highatomic(zone, held - min(1 << rules.pageblock_order, held))
    zone = set_pageblock_type(zone, pfn, migratetype)
    zone, moved, _ = move_freepages_block(rules, zone, pfn, migratetype)
    return zone, moved > 0


@behaviour(
    "alloc.unreserve",
    since="6.10",
    features=("F013",),
    source="mm/page_alloc.c:unreserve_highatomic_pageblock; 6.10 to 6.12",
)
def unreserve_whole(rules: Rules, zone: Zone, pfn: int, order: int, migratetype: int) -> tuple[Zone, bool]:
    """As before; a block of several pageblocks is given back whole."""
    held = reserved_highatomic(zone)
    zone = set_reserved_highatomic(zone, held - min(max(1 << rules.pageblock_order, 1 << order), held))
    if order < rules.pageblock_order:
        return claim_block(rules, zone, pfn, migratetype), True
    zone = rules.place_moved(zone, pfn, order, migratetype)
    return retag_range(rules, zone, pfn, order, migratetype), True


@verb("F013", "F017", source="mm/page_alloc.c:unreserve_highatomic_pageblock; 4.4 to 6.12")
def unreserve_highatomic(
    kernel: Kernel, rules: Rules, machine: Machine, request: Request, force: bool
) -> tuple[Machine, bool]:
    """Give one reserved pageblock with free pages to the request's type; (machine, whether one was given).

    force: give the last pageblock of a zone too
    """
    give = kernel.behaviour("alloc.unreserve").function
    for at in range(zonelist_length(machine, request.node)):
        index = zonelist_entry(machine, request.node, at)
        zone = zone_at(machine, index)
        if skips_zone(request, zone, False):
            continue
        if not force and reserved_highatomic(zone) <= 1 << rules.pageblock_order:
            continue
        for order in range(rules.max_order + 1):
            pfn = list_head(zone, order, HIGHATOMIC)
            if pfn == NOTHING:
                continue
            given = give(rules, zone, pfn, order, request.migratetype)
            assert isinstance(given, tuple)
            zone = given[0]
            machine = with_zone(machine, index, zone)
            if given[1]:
                return machine, True
    return machine, False
