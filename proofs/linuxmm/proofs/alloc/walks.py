"""Theorems about walks over a zonelist: the cache of full zones, turns, and ALLOC_NOFRAGMENT.

What a zone holds is left open: whether it is barred to the request, over its dirty limit, remembered as full,
at the end of its turn, and what it answers with and without ALLOC_NOFRAGMENT.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from immutables import Map

from linuxmm.model.alloc import freelist, machine, request
from linuxmm.model.alloc.freelist import NOTHING, Zone
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.request import get_page_from_freelist, try_zones
from linuxmm.model.alloc.rules import Rules
from linuxmm.model.alloc.zonelist_eras import (
    scan_noting_full,
    walk_caching,
    walk_caching_in_turns,
    walk_caching_in_turns_then_all,
    walk_caching_late,
    walk_caching_on_several_nodes,
    walk_caching_until_answered,
    walk_in_order,
    walk_noting_full,
)
from linuxmm.model.alloc.zonelist_turns import walk_fairly, walk_fairly_once
from linuxmm.proofs.alloc.ghost import PRIMITIVES, Total, rules_of
from linuxmm.proofs.domain import Integer, MapOf, Table, Truth, Word, each, table
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.sym import as_state
from linuxmm.proofs.theorem import assume, implies, no, theorem
from linuxmm.spec.alloc.gfp import ALLOC_FAIR, ALLOC_NOFRAGMENT
from linuxmm.spec.alloc.request import Request


@dataclass(frozen=True, slots=True)
class Seen:
    """Stands for a zone.

    node    that it belongs to
    barred  do class or node mask forbid it;  dirty: is it over its dirty limit
    passes  does it pass its watermark;  wide, narrow: does it have a block, without and with ALLOC_NOFRAGMENT
    """

    node: int
    barred: bool
    dirty: bool
    passes: bool
    wide: bool
    narrow: bool


def zone_node(zone: Zone) -> int:
    return as_state(zone, Seen).node


def zone_kind(zone: Zone) -> int:
    return 2


def watermark_of(zone: Zone, which: int) -> int:
    return 100 * which


def skips_zone(asked: Request, zone: Zone, spread_dirty: bool) -> bool:
    seen = as_state(zone, Seen)
    return seen.barred or (spread_dirty and seen.dirty)


def first_zone(whole: Machine, asked: Request) -> int:
    for index in whole.zonelists[asked.node]:
        if no(as_state(whole.zones[index], Seen).barred):
            return index
    return NOTHING


def try_zone(rules: Rules, zone: Zone, asked: Request, flags: int) -> tuple[Zone, bool, int]:
    seen = as_state(zone, Seen)
    found = seen.narrow if flags & ALLOC_NOFRAGMENT else seen.wide
    return (zone, True, 0) if found else (zone, seen.passes, NOTHING)


WALKING: Final[dict[Callable[..., Any], Callable[..., Any]]] = {
    **PRIMITIVES,
    freelist.watermark_of: watermark_of,
    machine.zone_node: zone_node,
    machine.zone_kind: zone_kind,
    request.skips_zone: skips_zone,
    request.first_zone: first_zone,
    request.try_zone: try_zone,
}

NODES: Final = ((0,), (0, 0), (0, 1), (0, 0, 1))
"""The zones of a zonelist, by their nodes."""
Layout = Annotated[tuple[int, ...], each(NODES)]
Facts = Annotated[Total, MapOf((Word(8), Word(8)), Truth())]
Turns = Annotated[Total, MapOf((Word(8),), Integer(), 0)]
Flag = Annotated[bool, Truth()]
ASKED: Final = Request(0, 0, 0, 2, 0, 0, -1, 0)


def zones_of(nodes: tuple[int, ...], facts: Total) -> tuple[Seen, ...]:
    """The zones, as the facts have them."""
    return tuple(Seen(node, *(facts[at, fact] for fact in range(5))) for at, node in enumerate(nodes))


def machine_of(zones: tuple[Seen, ...], notes: dict[int, int]) -> Machine:
    """A machine of these zones, all of them on the zonelist of node 0."""
    places = tuple(range(len(zones)))
    nodes = 1 + max(zone.node for zone in zones)
    return Machine(as_state(zones, tuple), (places, places), nodes, Map(notes))


@theorem(
    "alloc.walk.same-answer",
    "The cache of full zones and the turns among zones change where a request is answered, never whether: "
    "every walk ends, answers with a zone that a plain walk could have taken, and answers whenever a plain "
    "walk does.  Only the first attempt of 3.12 to 3.14, which asks local zones alone, may leave it to the "
    "slow path.",
    proves=(
        walk_in_order,
        walk_caching,
        walk_caching_on_several_nodes,
        walk_caching_late,
        walk_caching_in_turns,
        walk_caching_in_turns_then_all,
        walk_caching_until_answered,
        walk_fairly,
        walk_fairly_once,
    ),
    clauses=("alloc.zonelist.cache-never-refuses",),
    features=("F013", "F014"),
    method="bounded",
    bounds="up to three zones on two nodes, whatever is noted of them, with and without ALLOC_FAIR, the "
    "walks of 2.6.0 to 4.14",
    primitives=WALKING,
    witness={
        "facts": table({(0, 3): True}),
        "turns": Table(0),
        "full": 0,
        "fair": False,
        "nodes": (0,),
        "walk": 1,
    },
    mutants=(
        Mutant(walk_noting_full, "scans once", "if pfn == NOTHING and consult == 2:", "if False:"),
        Mutant(scan_noting_full, "forgets that one was passed over", "skipped = True", "skipped = False"),
        Mutant(
            walk_fairly,
            "stops after the turns",
            "again = fair and (skipped or",
            "again = False and (skipped or",
        ),
        Mutant(
            walk_fairly_once,
            "stops after the turns",
            "if skipped:\n            again = True",
            "if False:\n            again = True",
        ),
        Mutant(
            walk_caching_until_answered,
            "stops while it consults",
            "again = consult == 2 or",
            "again = False or",
        ),
        Mutant(
            scan_noting_full,
            "answers with the zone before",
            "return machine, pfn, index, consult",
            "return machine, pfn, max(index - 1, 0), consult",
        ),
    ),
)
def same_answer(
    facts: Facts,
    turns: Turns,
    full: Annotated[int, Word(64, below=8)],
    fair: Annotated[bool, each((False, True))],
    nodes: Layout,
    walk: Annotated[int, each(range(9))],
) -> bool:
    walks = (
        walk_in_order,
        walk_caching,
        walk_caching_on_several_nodes,
        walk_caching_late,
        walk_caching_in_turns_then_all,
        walk_caching_until_answered,
        walk_fairly,
        walk_fairly_once,
        walk_caching_in_turns,
    )
    zones = zones_of(nodes, facts)
    notes: dict[int, int] = {1 + at: turns[at] for at in range(len(nodes))} if fair else {}
    if 1 <= walk <= 5 or walk == 8:
        notes[1 + len(nodes)] = full
    whole = machine_of(zones, notes)
    _, pfn, index = walks[walk](rules_of(4, 9), whole, ASKED, ALLOC_FAIR if fair else 0, False)
    could = [no(zone.barred) & zone.wide for zone in zones]
    if pfn == NOTHING:
        return no(any_of(could)) if walk < 8 or not fair else True
    return could[index]


def any_of(facts: list[bool]) -> bool:
    """Whether one of the facts holds."""
    found = False
    for fact in facts:
        found = found | fact
    return found


@theorem(
    "alloc.nofragment.walk",
    "Where every zone that has a block under ALLOC_NOFRAGMENT has one without, a walk answers with the flag "
    "exactly if it does without.",
    proves=(get_page_from_freelist, try_zones),
    features=("F018", "F029", "F030"),
    method="bounded",
    bounds="up to three zones on two nodes, every state of them, with and without spreading of dirty pages",
    primitives=WALKING,
    witness={"facts": table({(0, 3): True}), "nodes": (0, 1), "spread": False},
    mutants=(
        Mutant(get_page_from_freelist, "does not try again", "if pfn == NOTHING and ", "if False and "),
        Mutant(get_page_from_freelist, "tries again with the flag", "flags & ~ALLOC_NOFRAGMENT", "flags"),
        Mutant(try_zones, "ends at any remote zone", "if flags & ALLOC_NOFRAGMENT and remote", "if remote"),
    ),
)
def nofragment_walk(facts: Facts, nodes: Layout, spread: Flag) -> bool:
    zones = zones_of(nodes, facts)
    for zone in zones:
        assume(implies(zone.narrow, zone.wide))
    whole = machine_of(zones, {})
    without = get_page_from_freelist(rules_of(4, 9), whole, ASKED, 0, spread)[1]
    with_flag = get_page_from_freelist(rules_of(4, 9), whole, ASKED, ALLOC_NOFRAGMENT, spread)[1]
    could = any_of([no(zone.barred) & zone.wide & no(spread & zone.dirty) for zone in zones])
    return ((without != NOTHING) == could) & ((with_flag != NOTHING) == could)
