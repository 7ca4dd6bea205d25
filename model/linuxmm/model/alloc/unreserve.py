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
    replaced_in=("4.4.155",),
    features=("F013",),
    source="mm/page_alloc.c:unreserve_highatomic_pageblock; 4.4.0, 4.5 to 4.9",
)
def unreserve_uncounted(
    rules: Rules, zone: Zone, pfn: int, order: int, migratetype: int
) -> tuple[Zone, bool]:
    """The first pageblock with a free page leaves the reserve, even if it had left before: counted twice."""
    zone = _count_out(rules, zone)
    zone = set_pageblock_type(zone, pfn, migratetype)
    return move_freepages_block(rules, zone, pfn, migratetype)[0], True


@behaviour(
    "alloc.unreserve",
    since="4.4.155",
    until="4.3",
    backports=("4.4.155",),
    features=("F013",),
    source="mm/page_alloc.c:unreserve_highatomic_pageblock; 4.4.155",
)
def unreserve_first(rules: Rules, zone: Zone, pfn: int, order: int, migratetype: int) -> tuple[Zone, bool]:
    """As since 4.10, but the first pageblock with a free page is enough, whether or not its pages move."""
    return unreserve_block(rules, zone, pfn, order, migratetype)[0], True


def _count_out(rules: Rules, zone: Zone) -> Zone:
    """A pageblock leaves the reserve."""
    held = reserved_highatomic(zone)
    return set_reserved_highatomic(zone, held - min(1 << rules.pageblock_order, held))


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
        zone = _count_out(rules, zone)
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


@behaviour(
    "alloc.unreserve-last",
    since="2.4.0",
    until="4.9",
    features=("F013",),
    source="mm/page_alloc.c:should_reclaim_retry; 4.7, 4.9",
)
def keeps_last_block() -> bool:
    """Whether the last reserved pageblock of a zone is given back before a task is killed: no."""
    return False


@behaviour(
    "alloc.unreserve-last",
    since="4.10",
    features=("F013",),
    source="mm/page_alloc.c:should_reclaim_retry; 4.10 to 6.12",
)
def gives_last_block() -> bool:
    """Whether the last reserved pageblock of a zone is given back before a task is killed: yes."""
    return True


@verb("F013", "F017", source="mm/page_alloc.c:unreserve_highatomic_pageblock; 4.4 to 6.12")
def unreserve_highatomic(
    kernel: Kernel, rules: Rules, machine: Machine, request: Request, force: bool
) -> tuple[Machine, bool]:
    """Give one reserved pageblock with free pages to the request's type; (machine, whether one was given).

    force: give the last pageblock of a zone too, where the kernel does that
    """
    if force and not kernel.behaviour("alloc.unreserve-last").function():
        return machine, False
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
