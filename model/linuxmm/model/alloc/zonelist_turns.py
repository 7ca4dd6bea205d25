"""Fair allocation: the zones of a node take turns, each for high - low pages (3.12 to 4.7).

A request first asks the local zones whose turn is not over.  When none of these answers, the turns of the
node begin anew, and every zone is asked, as in any other kernel.

Since 3.17 the kernel keeps "the turn is over" in a flag of its own.  Here it is read off the pages left; the
two differ only where watermarks are set up again while the flag stands.

Linux: mm/page_alloc.c:get_page_from_freelist, reset_alloc_batches, prepare_slowpath.  Seed 2.1.1.1 (F014).
"""

from linuxmm.model.alloc.freelist import NOTHING, watermark_of
from linuxmm.model.alloc.machine import (
    Machine,
    nr_online_nodes,
    nr_zones,
    set_turn_left,
    turn_left,
    with_zone,
    zone_at,
    zone_kind,
    zone_node,
    zonelist_entry,
    zonelist_length,
)
from linuxmm.model.alloc.request import cold_flag, first_zone, skips_zone, try_zone
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.gfp import ALLOC_FAIR, GFP_NORETRY_BIT, GFP_NOWARN_BIT, GFP_THISNODE_BIT
from linuxmm.spec.alloc.request import Request
from linuxmm.spec.kernel import behaviour

# ---- turns -----------------------------------------------------------------------------------------------


def new_turn(machine: Machine, index: int) -> Machine:
    """Let a zone hand out high - low pages."""
    zone = zone_at(machine, index)
    return set_turn_left(machine, index, watermark_of(zone, 2) - watermark_of(zone, 1))


@behaviour(
    "alloc.turns",
    since="3.12",
    until="4.7",
    features=("F014",),
    source="mm/page_alloc.c:__setup_per_zone_wmarks; 3.13, 3.14, 4.4, 4.7",
)
def new_turns(machine: Machine) -> Machine:
    """Every zone begins its turn, as after its watermarks were computed."""
    index = 0
    while index < nr_zones(machine):
        machine = new_turn(machine, index)
        index += 1
    return machine


@behaviour("alloc.turns", since="4.8", features=("F014",), source="mm/page_alloc.c; 4.9 to 6.12")
@behaviour(
    "alloc.turns", since="2.4.0", until="3.11", features=("F014",), source="mm/page_alloc.c; 2.6.11 to 3.10"
)
def no_turns(machine: Machine) -> Machine:
    """Zones do not take turns."""
    return machine


def reset_turns(machine: Machine, request: Request) -> Machine:
    """A new turn for the preferred zone and the lower ones of its node.

    Source    mm/page_alloc.c:reset_alloc_batches (prepare_slowpath up to 3.14); 3.12 to 4.7
    """
    preferred = first_zone(machine, request)
    if preferred == NOTHING:
        return machine
    top = zone_at(machine, preferred)
    index = 0
    while index < nr_zones(machine):
        zone = zone_at(machine, index)
        if zone_node(zone) == zone_node(top) and zone_kind(zone) <= zone_kind(top):
            machine = new_turn(machine, index)
        index += 1
    return machine


def spend(machine: Machine, index: int, order: int) -> Machine:
    """Count a block that a zone handed out against its turn."""
    return set_turn_left(machine, index, turn_left(machine, index) - (1 << order))


def thisnode_only(gfp: int) -> bool:
    """Whether a request is of the kind (GFP_THISNODE) that takes no part in turns up to 3.15.

    Source    include/linux/gfp.h:gfp_thisnode_allocation; 3.13, 3.14
    """
    mask = GFP_THISNODE_BIT | GFP_NOWARN_BIT | GFP_NORETRY_BIT
    return gfp & mask == mask


# ---- the flag of the first attempt -------------------------------------------------------------------------


@behaviour(
    "alloc.nofragment",
    since="3.12",
    until="3.14",
    features=("F014",),
    source="mm/page_alloc.c:get_page_from_freelist; 3.13, 3.14",
)
def fair_first_attempt_of_most(gfp: int, zone_kind: int, several_nodes: bool, dma32_populated: bool) -> int:
    """The first attempt takes turns, except for GFP_THISNODE."""
    return 0 if thisnode_only(gfp) else ALLOC_FAIR


@behaviour(
    "alloc.nofragment",
    since="3.15",
    until="4.7",
    features=("F014",),
    source="mm/page_alloc.c:__alloc_pages_nodemask; 3.15 to 4.7",
)
def fair_first_attempt(gfp: int, zone_kind: int, several_nodes: bool, dma32_populated: bool) -> int:
    """The first attempt takes turns."""
    return ALLOC_FAIR


# ---- 4.4 to 4.7 ------------------------------------------------------------------------------------------


@behaviour(
    "alloc.walk",
    since="4.4",
    until="4.6",
    features=("F013", "F014"),
    source="mm/page_alloc.c:get_page_from_freelist; 4.4.155, 4.6",
)
def walk_fairly(
    rules: Rules, machine: Machine, request: Request, flags: int, spread_dirty: bool
) -> tuple[Machine, int, int]:
    """Local zones take turns; then, if one was passed over or there are other nodes, every zone is asked.

    Ensures   a request is answered whenever an ordinary walk would answer it
    """
    flags |= cold_flag(request.gfp)
    fair = flags & ALLOC_FAIR != 0
    preferred = first_zone(machine, request)
    again = preferred != NOTHING
    while again:
        skipped = False
        at = 0
        while at < zonelist_length(machine, request.node):
            index = zonelist_entry(machine, request.node, at)
            at += 1
            zone = zone_at(machine, index)
            if skips_zone(request, zone, False):
                continue
            if fair and zone_node(zone) != zone_node(zone_at(machine, preferred)):
                break
            if fair and turn_left(machine, index) <= 0:
                skipped = True
                continue
            if skips_zone(request, zone, spread_dirty):
                continue
            zone, _, pfn = try_zone(rules, zone, request, flags)
            machine = with_zone(machine, index, zone)
            if pfn != NOTHING:
                return spend(machine, index, request.order), pfn, index
        again = fair and (skipped or nr_online_nodes(machine) > 1)
        fair = False
        if skipped:
            machine = reset_turns(machine, request)
    return machine, NOTHING, NOTHING


@behaviour(
    "alloc.walk",
    since="4.7",
    until="4.7",
    features=("F014",),
    source="mm/page_alloc.c:get_page_from_freelist; 4.7",
)
def walk_fairly_once(
    rules: Rules, machine: Machine, request: Request, flags: int, spread_dirty: bool
) -> tuple[Machine, int, int]:
    """As before; if no local zone was passed over, the first pass goes on with the other nodes."""
    flags |= cold_flag(request.gfp)
    fair = flags & ALLOC_FAIR != 0
    preferred = first_zone(machine, request)
    again = preferred != NOTHING
    while again:
        again = False
        skipped = False
        at = 0
        while at < zonelist_length(machine, request.node):
            index = zonelist_entry(machine, request.node, at)
            at += 1
            zone = zone_at(machine, index)
            if skips_zone(request, zone, False):
                continue
            if fair:
                if turn_left(machine, index) <= 0:
                    skipped = True
                    continue
                if zone_node(zone) != zone_node(zone_at(machine, preferred)):
                    if skipped:
                        break
                    fair = False
            if skips_zone(request, zone, spread_dirty):
                continue
            zone, _, pfn = try_zone(rules, zone, request, flags)
            machine = with_zone(machine, index, zone)
            if pfn != NOTHING:
                return spend(machine, index, request.order), pfn, index
        if skipped:
            again = True
            fair = False
            machine = reset_turns(machine, request)
    return machine, NOTHING, NOTHING
