"""Two ways of walking the zonelist that came and went: the cache of full zones, and fair allocation.

The zonelist cache (2.6.20 to 4.3) remembers for a second which zones were full, and skips them in a first
scan.  Fair allocation (3.12 to 4.7) lets each local zone answer for high - low pages in turn.

Linux: mm/page_alloc.c:get_page_from_freelist.  Seed 2.1.1.1 (F013, F014).
"""

from typing import Final, NamedTuple

from linuxmm.model.alloc.freelist import NOTHING, set_in_use, watermark_of
from linuxmm.model.alloc.machine import (
    Machine,
    nr_online_nodes,
    with_zone,
    zone_at,
    zone_node,
    zonelist_entry,
    zonelist_length,
)
from linuxmm.model.alloc.movement import MOVABLE
from linuxmm.model.alloc.request import first_zone, rmqueue, skips_zone
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.gfp import ALLOC_FAIR, ALLOC_NO_WATERMARKS
from linuxmm.spec.alloc.request import Request
from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import verb

ZLC_PERIOD: Final = 1000
"""Milliseconds after which a zonelist forgets which zones were full."""


class FullZones(NamedTuple):
    """A zonelist's cache: zone numbers seen full, and when it was last cleared, in milliseconds."""

    zones: frozenset[int] = frozenset()
    cleared: int = 0


class Batches(NamedTuple):
    """NR_ALLOC_BATCH of every zone: pages that it may still hand out in this turn."""

    left: tuple[int, ...]


def _try_zone(rules: Rules, machine: Machine, r: Request, index: int, flags: int) -> tuple[Machine, int]:
    """The watermark test and the request to one zone."""
    zone, passes = rules.zone_passes(rules, zone_at(machine, index), r.order, r.class_index, flags)
    pfn = NOTHING
    if passes or flags & ALLOC_NO_WATERMARKS:
        zone, pfn = rmqueue(rules, zone, r.cpu, r.order, r.migratetype, flags)
        if pfn != NOTHING:
            zone = set_in_use(zone, pfn, r.order, r.migratetype == MOVABLE)
    return with_zone(machine, index, zone), pfn


def _eligible(machine: Machine, r: Request, spread_dirty: bool) -> list[int]:
    entries = (zonelist_entry(machine, r.node, at) for at in range(zonelist_length(machine, r.node)))
    return [i for i in entries if not skips_zone(r, zone_at(machine, i), spread_dirty)]


# ---- the cache of full zones -----------------------------------------------------------------------------


@behaviour(
    "alloc.zonelist-cache",
    since="2.6.20",
    until="4.3",
    features=("F013",),
    source="mm/page_alloc.c:zlc_setup, zlc_zone_worth_trying; 2.6.20 to 4.2",
)
@verb("F013", source="mm/page_alloc.c:get_page_from_freelist; 2.6.20 to 4.2")
def walk_with_cache(
    rules: Rules, machine: Machine, request: Request, flags: int, cache: FullZones, now: int
) -> tuple[Machine, int, int, FullZones]:
    """(machine, pfn, zone number, cache): zones noted as full are skipped, unless nothing else answers.

    now: milliseconds.  The cache is consulted after the first zone failed, on machines of several nodes
    Ensures   a request is answered whenever a walk without the cache would answer it
    """
    consulted = False
    for index in _eligible(machine, request, True):
        if consulted and index in cache.zones:
            continue
        machine, pfn = _try_zone(rules, machine, request, index, flags)
        if pfn != NOTHING:
            return machine, pfn, index, cache
        cache = FullZones(cache.zones | {index}, cache.cleared)
        if not consulted and nr_online_nodes(machine) > 1:
            consulted = True
            if now - cache.cleared > ZLC_PERIOD:
                cache = FullZones(frozenset(), now)
    if consulted:
        for index in _eligible(machine, request, True):
            machine, pfn = _try_zone(rules, machine, request, index, flags)
            if pfn != NOTHING:
                return machine, pfn, index, cache
    return machine, NOTHING, NOTHING, cache


@behaviour(
    "alloc.zonelist-cache",
    since="4.4",
    features=("F013",),
    source="mm/page_alloc.c:get_page_from_freelist; 4.4 to 6.12",
)
def walk_without_cache(
    rules: Rules, machine: Machine, request: Request, flags: int, cache: FullZones, now: int
) -> tuple[Machine, int, int, FullZones]:
    """Every eligible zone is tried each time."""
    for index in _eligible(machine, request, True):
        machine, pfn = _try_zone(rules, machine, request, index, flags)
        if pfn != NOTHING:
            return machine, pfn, index, cache
    return machine, NOTHING, NOTHING, cache


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


# ---- fair allocation -------------------------------------------------------------------------------------


def full_batches(machine: Machine) -> Batches:
    """Every zone may hand out high - low pages.

    Source    mm/page_alloc.c:__setup_per_zone_wmarks; 3.12 to 4.7
    """
    return Batches(tuple(watermark_of(z, 2) - watermark_of(z, 1) for z in machine.zones))


@behaviour(
    "alloc.fair-zones",
    since="3.12",
    until="4.7",
    features=("F014",),
    source="mm/page_alloc.c:get_page_from_freelist, reset_alloc_batches; 3.15 to 4.4",
)
@verb("F014", source="mm/page_alloc.c:get_page_from_freelist; 3.15 to 4.4")
def walk_fairly(
    rules: Rules, machine: Machine, request: Request, flags: int, batches: Batches
) -> tuple[Machine, int, int, Batches]:
    """(machine, pfn, zone number, batches): local zones take turns; then every zone, in order.

    flags: ALLOC_FAIR asks for turns
    Ensures   a request is answered whenever an ordinary walk would answer it
    """
    preferred = first_zone(machine, request)
    if preferred == NOTHING:
        return machine, NOTHING, NOTHING, batches
    local = zone_node(zone_at(machine, preferred))
    if flags & ALLOC_FAIR:
        flags &= ~ALLOC_FAIR
        skipped = False
        for index in _eligible(machine, request, True):
            if zone_node(zone_at(machine, index)) != local:
                break
            if batches.left[index] <= 0:
                skipped = True
                continue
            machine, pfn = _try_zone(rules, machine, request, index, flags)
            if pfn != NOTHING:
                return machine, pfn, index, _spent(batches, index, 1 << request.order)
        if skipped:
            batches = _reset(machine, batches, preferred)
    for index in _eligible(machine, request, True):
        machine, pfn = _try_zone(rules, machine, request, index, flags)
        if pfn != NOTHING:
            return machine, pfn, index, _spent(batches, index, 1 << request.order)
    return machine, NOTHING, NOTHING, batches


def _spent(batches: Batches, index: int, pages: int) -> Batches:
    left = batches.left
    return Batches((*left[:index], left[index] - pages, *left[index + 1 :]))


def _reset(machine: Machine, batches: Batches, preferred: int) -> Batches:
    """A new turn for the preferred zone and the lower ones of its node."""
    new = full_batches(machine).left
    top = machine.zones[preferred]
    again = [z.node == top.node and z.kind <= top.kind for z in machine.zones]
    pairs = zip(new, batches.left, again, strict=True)
    return Batches(tuple(fresh if reset else left for fresh, left, reset in pairs))
