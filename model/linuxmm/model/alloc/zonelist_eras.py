"""How the zonelist was walked up to 4.3: the cache of full zones, and its interplay with fair turns.

The zonelist cache (2.6.20 to 4.3) remembers for a second which zones were full, and skips them in a first
scan; a second scan leaves no zone out.  So it changes where a request is answered, never whether.

Linux: mm/page_alloc.c:get_page_from_freelist, zlc_setup.  Seed 2.1.1.1 (F013, F014).
"""

from typing import Final

from linuxmm.model.alloc.freelist import NOTHING
from linuxmm.model.alloc.machine import (
    Machine,
    clock,
    forgotten_at,
    full_zones,
    nr_online_nodes,
    set_forgotten_at,
    set_full_zones,
    turn_left,
    with_zone,
    zone_at,
    zone_node,
    zonelist_entry,
    zonelist_length,
)
from linuxmm.model.alloc.request import cold_flag, first_zone, get_page_from_freelist, skips_zone, try_zone
from linuxmm.model.alloc.rules import Rules
from linuxmm.model.alloc.zonelist_turns import reset_turns, spend, thisnode_only
from linuxmm.spec.alloc.gfp import ALLOC_FAIR
from linuxmm.spec.alloc.request import Request
from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import behaviour

ZLC_PERIOD: Final = 1000
"""Milliseconds after which a zonelist forgets which zones were full."""


@behaviour(
    "alloc.walk",
    since="4.8",
    until="4.14",
    features=("F014", "F017"),
    source="mm/page_alloc.c:get_page_from_freelist; 4.8 to 4.14",
)
@behaviour(
    "alloc.walk",
    since="2.6.0",
    until="2.6.19",
    features=("F014", "F017"),
    source="mm/page_alloc.c:__alloc_pages, get_page_from_freelist; 2.6.11, 2.6.15 to 2.6.19",
)
def walk_in_order(
    rules: Rules, machine: Machine, request: Request, flags: int, spread_dirty: bool
) -> tuple[Machine, int, int]:
    """Every eligible zone is tried in order; __GFP_COLD asks for a cold page."""
    return get_page_from_freelist(rules, machine, request, flags | cold_flag(request.gfp), spread_dirty)


# ---- the cache of full zones -----------------------------------------------------------------------------

EARLY: Final = 0
"""The cache is consulted after the first zone was tried."""
EARLY_OF_SEVERAL: Final = 1
"""As before; only on machines of several nodes."""
LATE: Final = 2
"""The cache is consulted once a zone failed its watermark.  A node over its dirty limit is full."""
LATE_NOTING_LITTLE: Final = 3
"""As before; full zones are noted only while the cache is consulted, and the dirty limit notes nothing."""
LATE_ENDING_REMOTE: Final = 4
"""As before; a scan in turns ends at the first remote zone."""


def note_full(machine: Machine, node: int, index: int) -> Machine:
    """Remember that a zone was full.

    Source    mm/page_alloc.c:zlc_mark_zone_full; 2.6.20 to 4.3
    """
    return set_full_zones(machine, node, full_zones(machine, node) | 1 << index)


def noted_full(machine: Machine, node: int, index: int) -> bool:
    """Whether a zone is remembered as full."""
    return full_zones(machine, node) >> index & 1 != 0


def forget_old(machine: Machine, node: int) -> Machine:
    """Forget which zones were full, if that was over a second ago.

    Source    mm/page_alloc.c:zlc_setup; 2.6.20 to 4.3
    """
    if clock(machine) <= forgotten_at(machine, node) + ZLC_PERIOD:
        return machine
    return set_forgotten_at(set_full_zones(machine, node, 0), node, clock(machine))


@behaviour(
    "alloc.forget-full",
    since="3.1",
    until="4.3",
    features=("F013",),
    source="mm/page_alloc.c:__alloc_pages_direct_reclaim, zlc_clear_zones_full; 3.4, 3.10, 4.1",
)
def forget_full(machine: Machine, node: int) -> Machine:
    """After reclaim made progress the zonelist forgets which zones were full."""
    return set_full_zones(machine, node, 0)


@behaviour("alloc.forget-full", since="4.4", features=("F013",), source="mm/page_alloc.c; 4.4 to 6.12")
@behaviour(
    "alloc.forget-full",
    since="2.4.0",
    until="3.0",
    features=("F013",),
    source="mm/page_alloc.c:__alloc_pages_direct_reclaim; 2.6.24, 2.6.39",
)
def forget_nothing(machine: Machine, node: int) -> Machine:
    """After reclaim the zonelist remembers what it did."""
    return machine


def scan_noting_full(
    rules: Rules,
    machine: Machine,
    request: Request,
    flags: int,
    spread_dirty: bool,
    style: int,
    fair: bool,
    consult: int,
) -> tuple[Machine, int, int, int, bool]:
    """One scan; (machine, pfn, zone number, consult, whether a zone was passed over because of its turn).

    style    EARLY to LATE_ENDING_REMOTE
    consult  0: the cache was not set up; 1: it was, and is not consulted; 2: it is consulted
    """
    node = request.node
    preferred = first_zone(machine, request)
    several = style == EARLY or nr_online_nodes(machine) > 1
    skipped = False
    at = 0
    while at < zonelist_length(machine, node):
        index = zonelist_entry(machine, node, at)
        at += 1
        zone = zone_at(machine, index)
        if skips_zone(request, zone, False) or (consult == 2 and noted_full(machine, node, index)):
            continue
        if fair:
            if zone_node(zone) != zone_node(zone_at(machine, preferred)):
                if style == LATE_ENDING_REMOTE:
                    break
                continue
            if turn_left(machine, index) <= 0:
                skipped = True
                continue
        if skips_zone(request, zone, spread_dirty):
            if style == LATE:
                machine = note_full(machine, node, index)
            continue
        zone, passed, pfn = try_zone(rules, zone, request, flags)
        machine = with_zone(machine, index, zone)
        if pfn != NOTHING:
            return machine, pfn, index, consult, skipped
        if style >= LATE and not passed and consult == 0 and several:
            machine = forget_old(machine, node)
            consult = 2
        if style < LATE_NOTING_LITTLE or consult == 2:
            machine = note_full(machine, node, index)
        if style < LATE and consult == 0 and several:
            machine = forget_old(machine, node)
            consult = 2
    return machine, NOTHING, NOTHING, consult, skipped


def walk_noting_full(
    rules: Rules,
    machine: Machine,
    request: Request,
    flags: int,
    spread_dirty: bool,
    style: int,
    fair: bool,
) -> tuple[Machine, int, int]:
    """A scan; and, if the cache was consulted, another that does not consult it.

    Ensures   a request is answered whenever a walk without the cache would answer it
    """
    if first_zone(machine, request) == NOTHING:
        return machine, NOTHING, NOTHING
    machine, pfn, index, consult, _ = scan_noting_full(
        rules, machine, request, flags, spread_dirty, style, fair, 0
    )
    if pfn == NOTHING and consult == 2:
        machine, pfn, index, _, _ = scan_noting_full(
            rules, machine, request, flags, spread_dirty, style, fair, 1
        )
    return machine, pfn, index


@behaviour(
    "alloc.walk",
    since="2.6.20",
    until="2.6.30",
    features=("F013", "F014"),
    source="mm/page_alloc.c:get_page_from_freelist; 2.6.20, 2.6.24, 2.6.26 to 2.6.30",
)
def walk_caching(
    rules: Rules, machine: Machine, request: Request, flags: int, spread_dirty: bool
) -> tuple[Machine, int, int]:
    """Zones noted as full are passed over, once the first zone was tried."""
    flags |= cold_flag(request.gfp)
    return walk_noting_full(rules, machine, request, flags, False, EARLY, False)


@behaviour(
    "alloc.walk",
    since="2.6.31",
    until="3.0",
    features=("F013", "F014"),
    source="mm/page_alloc.c:get_page_from_freelist; 2.6.31, 2.6.32, 2.6.36, 2.6.39",
)
def walk_caching_on_several_nodes(
    rules: Rules, machine: Machine, request: Request, flags: int, spread_dirty: bool
) -> tuple[Machine, int, int]:
    """As before, on machines of several nodes."""
    flags |= cold_flag(request.gfp)
    return walk_noting_full(rules, machine, request, flags, False, EARLY_OF_SEVERAL, False)


@behaviour(
    "alloc.walk",
    since="3.1",
    until="3.11",
    features=("F013", "F014"),
    source="mm/page_alloc.c:get_page_from_freelist; 3.1 to 3.11",
)
def walk_caching_late(
    rules: Rules, machine: Machine, request: Request, flags: int, spread_dirty: bool
) -> tuple[Machine, int, int]:
    """As before, once a zone failed its watermark; a node over its dirty limit counts as full (since 3.3)."""
    flags |= cold_flag(request.gfp)
    return walk_noting_full(rules, machine, request, flags, spread_dirty, LATE, False)


@behaviour(
    "alloc.walk",
    since="3.12",
    until="3.14",
    features=("F013", "F014"),
    source="mm/page_alloc.c:get_page_from_freelist, prepare_slowpath; 3.13, 3.14 (3.12.0: remote zones too)",
)
def walk_caching_in_turns(
    rules: Rules, machine: Machine, request: Request, flags: int, spread_dirty: bool
) -> tuple[Machine, int, int]:
    """The first attempt takes turns among local zones; if it fails, their turns begin anew."""
    flags |= cold_flag(request.gfp)
    fair = flags & ALLOC_FAIR != 0
    machine, pfn, index = walk_noting_full(rules, machine, request, flags, spread_dirty, LATE, fair)
    if pfn == NOTHING:
        return reset_turns(machine, request) if fair else machine, NOTHING, NOTHING
    return machine if thisnode_only(request.gfp) else spend(machine, index, request.order), pfn, index


@behaviour(
    "alloc.walk",
    since="3.15",
    until="3.16",
    features=("F013", "F014"),
    source="mm/page_alloc.c:get_page_from_freelist, __alloc_pages_nodemask; 3.15, 3.16",
)
def walk_caching_in_turns_then_all(
    rules: Rules, machine: Machine, request: Request, flags: int, spread_dirty: bool
) -> tuple[Machine, int, int]:
    """As before; then every zone is asked without turns before the slow path begins."""
    flags |= cold_flag(request.gfp)
    fair = flags & ALLOC_FAIR != 0
    style = LATE_NOTING_LITTLE
    machine, pfn, index = walk_noting_full(rules, machine, request, flags, spread_dirty, style, fair)
    if pfn == NOTHING and fair:
        machine = reset_turns(machine, request)
        machine, pfn, index = walk_noting_full(rules, machine, request, flags, spread_dirty, style, False)
    return spend(machine, index, request.order) if pfn != NOTHING else machine, pfn, index


@behaviour(
    "alloc.walk",
    since="3.17",
    until="4.3",
    features=("F013", "F014"),
    source="mm/page_alloc.c:get_page_from_freelist; 3.17 to 4.1, 4.3",
)
def walk_caching_until_answered(
    rules: Rules, machine: Machine, request: Request, flags: int, spread_dirty: bool
) -> tuple[Machine, int, int]:
    """Scans in turns, consulting the cache, then without, as long as one may have left out a zone.

    Turns begin anew only if a zone was passed over.
    """
    flags |= cold_flag(request.gfp)
    fair = flags & ALLOC_FAIR != 0
    consult = 0
    again = first_zone(machine, request) != NOTHING
    while again:
        machine, pfn, index, consult, skipped = scan_noting_full(
            rules, machine, request, flags, spread_dirty, LATE_ENDING_REMOTE, fair, consult
        )
        if pfn != NOTHING:
            return spend(machine, index, request.order), pfn, index
        again = consult == 2 or (fair and (skipped or nr_online_nodes(machine) > 1))
        fair = False
        if skipped:
            machine = reset_turns(machine, request)
        if consult == 2:
            consult = 1
    return machine, NOTHING, NOTHING


@invariant(
    "alloc.zonelist.cache-never-refuses",
    features=("F013",),
    seed="2.1.1.1",
    source="mm/page_alloc.c:get_page_from_freelist",
    since="2.6.20",
    until="4.3",
)
def cache_never_refuses(with_cache: bool, without: bool) -> bool:
    """The cache of full zones changes where a request is answered, never whether."""
    return with_cache == without
