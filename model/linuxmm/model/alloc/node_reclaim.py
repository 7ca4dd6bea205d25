"""Reclaim on a node before the walk leaves it: vm.zone_reclaim_mode (node reclaim).

A zone that fails its watermark is first reclaimed in, if its node is near enough.  The reclaim is a question
to the environment; its answer decides whether the zone is tried after all, and whether it counts as full.  A
request that asks in the middle of a walk is run again from its last entry when the answer comes: everything
is a function of what went in, so the walk arrives at the same question, and goes on with the machine of then.

Linux: mm/page_alloc.c:get_page_from_freelist, mm/vmscan.c:zone_reclaim, node_reclaim.  Seed 2.1.1.1 (F013,
F014).  2.6.18 to 6.12.
"""

from collections.abc import Callable
from typing import NamedTuple

from linuxmm.model.alloc.dialogue import NodeReclaimed
from linuxmm.model.alloc.freelist import NOTHING, Zone, nr_free_pages, set_in_use
from linuxmm.model.alloc.machine import (
    Machine,
    nr_online_nodes,
    turn_left,
    with_zone,
    zone_at,
    zone_node,
    zonelist_entry,
    zonelist_length,
)
from linuxmm.model.alloc.movement import MOVABLE
from linuxmm.model.alloc.request import cold_flag, first_zone, node_allowed, rmqueue, skips_zone, try_zone
from linuxmm.model.alloc.rules import Rules
from linuxmm.model.alloc.watermark import mark_of
from linuxmm.model.alloc.zonelist_eras import (
    EARLY,
    EARLY_OF_SEVERAL,
    LATE,
    LATE_ENDING_REMOTE,
    LATE_NOTING_LITTLE,
    forget_old,
    note_full,
    noted_full,
)
from linuxmm.model.alloc.zonelist_turns import reset_turns, spend, thisnode_only
from linuxmm.spec.alloc.gfp import (
    ALLOC_FAIR,
    ALLOC_HIGHATOMIC,
    ALLOC_NO_WATERMARKS,
    ALLOC_NOFRAGMENT,
    ALLOC_WMARK_MASK,
)
from linuxmm.spec.alloc.request import Request
from linuxmm.spec.kernel import Kernel, behaviour

# ---- what an answer means ----------------------------------------------------------------------------------


class Verdict(NamedTuple):
    """After reclaim in a zone: try it (0 no, 1 if its watermark holds now, 2 at once); is it full if not?"""

    tries: int
    full: bool


@behaviour(
    "alloc.node-reclaim",
    since="2.6.16",
    until="2.6.30",
    features=("F013", "F014"),
    source="mm/page_alloc.c:get_page_from_freelist; 2.6.18, 2.6.20, 2.6.24, 2.6.28",
)
def tries_after_success(answer: NodeReclaimed, at_min: bool) -> Verdict:
    """Success is trusted; anything else leaves the zone full."""
    return Verdict(2 if answer is NodeReclaimed.SUCCESS else 0, True)


@behaviour(
    "alloc.node-reclaim",
    since="2.6.31",
    until="3.0",
    features=("F013", "F014"),
    source="mm/page_alloc.c:get_page_from_freelist; 2.6.31, 2.6.32, 2.6.36, 2.6.39",
)
def tries_after_scan(answer: NodeReclaimed, at_min: bool) -> Verdict:
    """A scan is followed by another look at the watermark; where nothing was scanned, nothing is full."""
    if answer is NodeReclaimed.NOSCAN:
        return Verdict(0, False)
    return Verdict(0 if answer is NodeReclaimed.FULL else 1, True)


@behaviour(
    "alloc.node-reclaim",
    since="3.1",
    until="3.9",
    features=("F013", "F014"),
    source="mm/page_alloc.c:get_page_from_freelist; 3.1 to 3.9",
)
def tries_after_progress(answer: NodeReclaimed, at_min: bool) -> Verdict:
    """As before; a zone that was full for reclaim is not full for the cache."""
    if answer in (NodeReclaimed.NOSCAN, NodeReclaimed.FULL):
        return Verdict(0, False)
    return Verdict(1, True)


@behaviour(
    "alloc.node-reclaim",
    since="3.10",
    features=("F013", "F014"),
    source="mm/page_alloc.c:get_page_from_freelist; 3.10 to 4.3; 4.4 to 6.12, where nothing is noted",
)
def tries_noting_less(answer: NodeReclaimed, at_min: bool) -> Verdict:
    """As before; a zone counts as full only at the min mark, or if too little was reclaimed."""
    if answer in (NodeReclaimed.NOSCAN, NodeReclaimed.FULL):
        return Verdict(0, False)
    return Verdict(1, at_min or answer is NodeReclaimed.SOME)


# ---- how the era walks -------------------------------------------------------------------------------------


class Style(NamedTuple):
    """A walk: how full zones are cached (None: not at all), how turns are taken, whether it is cold-aware."""

    cache: int | None
    turns: int = 0
    cold: bool = True


NO_TURNS = 0
TURNS_ALONE = 1
TURNS_THEN_ALL = 2
TURNS_UNTIL_ANSWERED = 3
TURNS_ONCE = 4

STYLES: dict[str, Style] = {
    "walk_in_order": Style(None),
    "walk_caching": Style(EARLY),
    "walk_caching_on_several_nodes": Style(EARLY_OF_SEVERAL),
    "walk_caching_late": Style(LATE),
    "walk_caching_in_turns": Style(LATE, TURNS_ALONE),
    "walk_caching_in_turns_then_all": Style(LATE_NOTING_LITTLE, TURNS_THEN_ALL),
    "walk_caching_until_answered": Style(LATE_ENDING_REMOTE, TURNS_UNTIL_ANSWERED),
    "walk_fairly": Style(None, TURNS_UNTIL_ANSWERED),
    "walk_fairly_once": Style(None, TURNS_ONCE),
    "get_page_from_freelist": Style(None, cold=False),
}
"""The behaviour of `alloc.walk` -> its style; a test holds both together."""

Ask = Callable[[Machine, int], tuple[Machine, NodeReclaimed]]


Walk = Callable[[Rules, Machine, Request, int, bool], tuple[Machine, int, int]]


class Waits(Exception):
    """A walk came to a question about a zone that has no answer yet."""

    def __init__(self, machine: Machine, zone: int) -> None:
        super().__init__(zone)
        self.machine = machine
        self.zone = zone


def walk_by_tape(kernel: Kernel, nodes: int, tape: tuple[tuple[Machine, NodeReclaimed], ...]) -> Walk:
    """The era's walk with the answers so far; a question beyond them raises Waits."""
    answered = iter(tape)

    def ask(machine: Machine, zone: int) -> tuple[Machine, NodeReclaimed]:
        for known in answered:
            return known
        raise Waits(machine, zone)

    def walk(
        rules: Rules, machine: Machine, request: Request, flags: int, spread_dirty: bool
    ) -> tuple[Machine, int, int]:
        return walk_reclaiming(kernel, rules, machine, request, flags, spread_dirty, nodes, ask)

    return walk


class _Scan(NamedTuple):
    """Where a walk stands between two scans: is the cache set up (1), consulted (2); are turns taken."""

    consult: int
    fair: bool
    skipped: bool = False
    remote: bool = False


def _try_after_reclaim(
    rules: Rules, machine: Machine, request: Request, flags: int, index: int, tries: int
) -> tuple[Machine, int]:
    """The second look at a zone, and the request to it."""
    zone: Zone = zone_at(machine, index)
    mark = mark_of(zone, flags)
    free = nr_free_pages(zone)
    if tries == 0 or (
        tries == 1
        and not rules.watermark_ok(rules, zone, request.order, mark, request.class_index, flags, free)
    ):
        return machine, NOTHING
    zone, pfn = rmqueue(rules, zone, request.cpu, request.order, request.migratetype, flags)
    if pfn != NOTHING:
        if flags & ALLOC_HIGHATOMIC:
            zone = rules.reserve_highatomic(rules, zone, pfn, request.order)
        zone = set_in_use(zone, pfn, request.order, request.migratetype == MOVABLE)
    return with_zone(machine, index, zone), pfn


def _scan(
    kernel: Kernel,
    rules: Rules,
    machine: Machine,
    request: Request,
    flags: int,
    spread_dirty: bool,
    style: Style,
    state: _Scan,
    nodes: int,
    ask: Ask,
) -> tuple[Machine, int, int, _Scan]:
    node, cache, turns = request.node, style.cache, style.turns
    consult, fair, skipped, remote = state.consult, state.fair, False, False
    local = zone_node(zone_at(machine, first_zone(machine, request)))
    several = cache == EARLY or nr_online_nodes(machine) > 1
    verdict_of = kernel.behaviour("alloc.node-reclaim").function
    for at in range(zonelist_length(machine, node)):
        index = zonelist_entry(machine, node, at)
        zone = zone_at(machine, index)
        if skips_zone(request, zone, False):
            continue
        if cache is not None and consult == 2 and noted_full(machine, node, index):
            continue
        away = zone_node(zone) != local
        if flags & ALLOC_NOFRAGMENT and away:
            remote = True
            break
        if fair and turns == TURNS_ONCE:
            if turn_left(machine, index) <= 0:
                skipped = True
                continue
            if away and skipped:
                break
            fair = fair and not away
        elif fair:
            if away and turns == TURNS_UNTIL_ANSWERED:
                break
            if away:
                continue
            if turn_left(machine, index) <= 0:
                skipped = True
                continue
        if skips_zone(request, zone, spread_dirty):
            if cache == LATE:
                machine = note_full(machine, node, index)
            continue
        zone, passed, pfn = try_zone(rules, zone, request, flags)
        machine = with_zone(machine, index, zone)
        full = True
        if pfn == NOTHING and not passed and not flags & ALLOC_NO_WATERMARKS:
            if cache is not None and cache >= LATE and consult == 0 and several:
                machine, consult = forget_old(machine, node), 2
            if node_allowed(nodes, zone_node(zone)):
                if cache is not None and cache >= LATE and consult == 2 and noted_full(machine, node, index):
                    continue
                machine, answer = ask(machine, index)
                verdict = verdict_of(answer, flags & ALLOC_WMARK_MASK == 0)
                assert isinstance(verdict, Verdict)
                machine, pfn = _try_after_reclaim(rules, machine, request, flags, index, verdict.tries)
                full = verdict.full
        if pfn != NOTHING:
            return machine, pfn, index, _Scan(consult, fair, skipped, remote)
        if cache is not None and full and (cache < LATE_NOTING_LITTLE or consult == 2):
            machine = note_full(machine, node, index)
        if cache is not None and cache < LATE and consult == 0 and several:
            machine, consult = forget_old(machine, node), 2
    return machine, NOTHING, NOTHING, _Scan(consult, fair, skipped, remote)


def walk_reclaiming(
    kernel: Kernel,
    rules: Rules,
    machine: Machine,
    request: Request,
    flags: int,
    spread_dirty: bool,
    nodes: int,
    ask: Ask,
) -> tuple[Machine, int, int]:
    """The era's walk, reclaiming in zones of `nodes` (bit n: node n) that fail their watermark.

    Ensures   with nodes 0 exactly what the era's ordinary walk does
    """
    style = STYLES[kernel.behaviour("alloc.walk").name]
    spread_dirty = spread_dirty and style.cache not in (EARLY, EARLY_OF_SEVERAL)
    if style.cold:
        flags |= cold_flag(request.gfp)
    counts = style.turns != NO_TURNS and not (style.turns == TURNS_ALONE and thisnode_only(request.gfp))
    state = _Scan(0, style.turns != NO_TURNS and flags & ALLOC_FAIR != 0)
    again = first_zone(machine, request) != NOTHING
    while again:
        began_fair = state.fair
        machine, pfn, index, state = _scan(
            kernel, rules, machine, request, flags, spread_dirty, style, state, nodes, ask
        )
        if pfn != NOTHING:
            return spend(machine, index, request.order) if counts else machine, pfn, index
        again, flags = _again(style, state, flags, began_fair, nr_online_nodes(machine) > 1)
        machine = _turned(style, machine, request, state, began_fair, again)
        state = _next(style, state, began_fair)
    return machine, NOTHING, NOTHING


def _again(style: Style, state: _Scan, flags: int, fair: bool, several: bool) -> tuple[bool, int]:
    """Whether another scan follows, and its flags."""
    if flags & ALLOC_NOFRAGMENT:
        return True, flags & ~ALLOC_NOFRAGMENT
    if state.consult == 2:
        return True, flags
    if style.turns == TURNS_UNTIL_ANSWERED:
        return fair and (state.skipped or several), flags
    if style.turns == TURNS_ONCE:
        return state.skipped, flags
    return style.turns == TURNS_THEN_ALL and fair, flags


def _turned(
    style: Style, machine: Machine, request: Request, state: _Scan, fair: bool, again: bool
) -> Machine:
    """The machine after turns began anew, where they do."""
    if style.turns in (TURNS_UNTIL_ANSWERED, TURNS_ONCE):
        return reset_turns(machine, request) if state.skipped else machine
    if fair and style.turns != NO_TURNS and state.consult != 2:
        return reset_turns(machine, request)
    return machine


def _next(style: Style, state: _Scan, fair: bool) -> _Scan:
    """The next scan: without the cache; without turns, unless these wait until the cache is left alone."""
    if style.turns in (TURNS_ALONE, TURNS_THEN_ALL) and state.consult == 2:
        return _Scan(1, fair)
    if style.turns == TURNS_THEN_ALL:
        return _Scan(0, False)
    return _Scan(1 if state.consult == 2 else state.consult, False)
