"""The reclaim daemon of a node as steps: it is asked, wakes, balances, naps, and sleeps or goes on.

A node is its lists, the largest free block of each zone, the boosts of its watermarks, and the daemon.  What
others change meanwhile (pages that come free, blocks that compaction makes) is theirs.

Linux: mm/vmscan.c:kswapd, balance_pgdat, wakeup_kswapd, throttle_direct_reclaim.  Seed 2.1.1.3, 2.4.1
(F015, F017, F042).  2.6.0 to 6.12.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple

from linuxmm.model.reclaim.counters import PAGEOUTRUN
from linuxmm.model.reclaim.events import MmVmscanKswapdSleep, MmVmscanKswapdWake
from linuxmm.model.reclaim.eviction import age_node
from linuxmm.model.reclaim.gen_state import by_generations
from linuxmm.model.reclaim.profile import rules_for
from linuxmm.model.reclaim.rules import Control, Rules, control_at, control_of
from linuxmm.model.reclaim.shrinkers import shrink_node
from linuxmm.model.reclaim.state import (
    Lruvec,
    count,
    end_reclaim,
    failures_of,
    nr_zones,
    set_failures,
    size_below,
    trace,
)
from linuxmm.spec.kernel import Kernel, Version
from linuxmm.spec.reclaim.daemon import (
    ZoneLook,
    failures_after,
    gave_up,
    next_priority,
    reserve_is_fine,
    target_of,
)
from linuxmm.spec.reclaim.daemon_turns import (
    NO_ZONE,
    Asker,
    Wish,
    boost_is_gentle,
    boost_left,
    compaction_wish,
    heard,
    sleeps_well,
)
from linuxmm.spec.reclaim.lists import DEF_PRIORITY, EVICTABLE, SWAPPINESS
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Refusal

NO_WISH = Wish(0, NO_ZONE)


class DaemonRules(NamedTuple):
    """What a kernel's daemon does in its own way.

    wish, zone, wakes, wakes_compaction, order   see `linuxmm.spec.reclaim.daemon_turns`
    boosts      watermarks may be boosted (5.0)
    counts      runs that free nothing are counted, and the node is given up after 16 (4.12)
    naps        it naps before it sleeps (2.6.33)
    notes_first a wish is noted before it is asked whether to wake (2.6.38)
    notes_zone  the next wish decides whether it sleeps (4.8)
    compacts    a daemon of compaction takes over (4.6)
    throttles   direct reclaimers wait when reserves run low (3.6)
    """

    reclaim: Rules
    wish: Callable[[Wish, int, int], Wish]
    zone: Callable[[int, int, int], int]
    wakes: Callable[[Asker], bool]
    wakes_compaction: Callable[[bool], bool]
    order: Callable[[int, int], int]
    boosts: bool
    counts: bool
    naps: bool
    notes_first: bool
    notes_zone: bool
    compacts: bool
    throttles: bool


@lru_cache(maxsize=64)
def daemon_rules(kernel: Kernel, generations: bool = False) -> DaemonRules:
    """The daemon of a kernel.

    Errors    Unmodelled before 2.6
    """

    def rule(name: str) -> Any:
        return kernel.behaviour(f"reclaim.kswapd.{name}").function

    branch = kernel.version.branch
    return DaemonRules(
        rules_for(kernel, generations=generations),
        rule("wish"),
        rule("zone"),
        rule("wakes"),
        rule("wakes-compaction"),
        rule("order"),
        boosts=branch >= Version(5, 0),
        counts=branch >= Version(4, 12),
        naps=branch >= Version(2, 6, 33),
        notes_first=branch >= Version(2, 6, 38),
        notes_zone=branch >= Version(4, 8),
        compacts=branch >= Version(4, 6),
        throttles=branch >= Version(3, 6),
    )


class Phase(Enum):
    """What the daemon is doing: AWAKE it balances next, NAPPING it sleeps for a tenth of a second."""

    AWAKE = "awake"
    NAPPING = "napping"
    ASLEEP = "asleep"


@dataclass(frozen=True, slots=True)
class Node:
    """A node and its daemon.

    largest    order of the largest free block of each zone; boosts: pages that each watermark is raised by
    wish       what requests noted; run: what the daemon is at; reached: order that it reclaimed
               for in the end
    compaction what the daemon of compaction is asked for
    waiters    direct reclaimers that wait for it
    normal     the highest zone that lowmem requests use (ZONE_NORMAL)
    quick      kswapd_low_wmark_hit_quickly, kswapd_high_wmark_hit_quickly
    """

    v: Lruvec
    largest: tuple[int, ...]
    boosts: tuple[int, ...]
    wish: Wish = NO_WISH
    run: Wish = NO_WISH
    reached: int = 0
    phase: Phase = Phase.ASLEEP
    compaction: Wish = NO_WISH
    waiters: int = 0
    normal: int = 0
    quick: tuple[int, int] = (0, 0)


def node_of(v: Lruvec, normal: int = 0, largest: int = 10) -> Node:
    """A node whose daemon has not been asked yet."""
    zones = nr_zones(v)
    return Node(v, (largest,) * zones, (0,) * zones, run=Wish(0, zones - 1), normal=normal)


# ---- questions ---------------------------------------------------------------------------------------------


def looks(node: Node, order: int, zone: int) -> tuple[ZoneLook, ...]:
    """The zones up to one, as the daemon looks at them for a block: the high mark, with its boost."""
    return tuple(
        ZoneLook(marks.managed, marks.free > marks.high + boost and largest >= order, marks.hopeless)
        for marks, boost, largest in zip(node.v.zones[: zone + 1], node.boosts, node.largest, strict=False)
    )


def balanced(rules: DaemonRules, node: Node, order: int, zone: int) -> bool:
    """Whether the node needs no reclaim for a block of an order, up to a zone."""
    return rules.reclaim.balanced(looks(node, order, zone), order)


def hopeless(rules: DaemonRules, node: Node) -> bool:
    """Whether the daemon has given the node up."""
    return rules.counts and gave_up(failures_of(node.v))


def may_go_on(rules: DaemonRules, node: Node) -> bool:
    """Whether direct reclaimers need not wait: half of the reserve of lowmem is free.

    Source    mm/vmscan.c:allow_direct_reclaim; 3.6 to 6.12
    """
    if hopeless(rules, node):
        return True
    free = reserve = 0
    for zone, marks in enumerate(node.v.zones[: node.normal + 1]):
        below = sum(size_below(node.v, lru, zone) for lru in EVICTABLE)
        above = sum(size_below(node.v, lru, zone - 1) for lru in EVICTABLE)
        if marks.managed and below > above:
            free += marks.free
            reserve += marks.min
    return reserve_is_fine(free, reserve)


# ---- requests ----------------------------------------------------------------------------------------------


@verb("F017", "F042", source="mm/vmscan.c:wakeup_kswapd; 2.6.0 to 6.12")
def wake(rules: DaemonRules, node: Node, order: int, zone: int, direct: bool = True) -> Node:
    """A request below the low mark asks for a block: the wish is noted, and the daemon woken if it is to be.

    direct    the request may reclaim by itself
    Ensures   a daemon that is awake sees the wish when it is through
    """
    marks = node.v.zones[zone]
    low = marks.free > marks.low and node.largest[zone] >= order
    asker = Asker(
        low, balanced(rules, node, order, zone), any(node.boosts[: zone + 1]), hopeless(rules, node)
    )
    if not rules.notes_first and not rules.wakes(asker):
        return node
    node = replace(node, wish=rules.wish(node.wish, order, zone))
    if node.phase is Phase.AWAKE:
        return node
    if rules.wakes(asker):
        return _woken(rules, node)
    if rules.wakes_compaction(direct):
        return replace(node, compaction=compaction_wish(node.compaction, order, zone))
    return node


def _woken(rules: DaemonRules, node: Node) -> Node:
    """The daemon gets up; out of a nap it takes what it was at along."""
    if node.phase is Phase.NAPPING:
        zone = rules.zone(node.wish.zone, node.run.zone, nr_zones(node.v) - 1)
        order = max(node.wish.order, node.reached)
        low, high = node.quick
        node = replace(node, wish=Wish(order, zone), quick=(low + 1, high))
    return replace(node, phase=Phase.AWAKE)


@verb("F042", source="mm/vmscan.c:throttle_direct_reclaim, allow_direct_reclaim; 3.6 to 6.12")
def throttle(rules: DaemonRules, node: Node, kernel_thread: bool = False, killed: bool = False) -> Node:
    """A direct reclaimer begins: it waits when reserves run low, and the daemon is woken for lowmem.

    Ensures   kernel threads and whoever is being killed never wait
    """
    if not rules.throttles or kernel_thread or killed or may_go_on(rules, node):
        return node
    node = replace(node, waiters=node.waiters + 1)
    if node.phase is Phase.AWAKE:
        return node
    zone = node.wish.zone
    lower = Wish(node.wish.order, min(zone, node.normal) if zone != NO_ZONE else node.normal)
    return _woken(rules, replace(node, wish=lower))


# ---- the daemon --------------------------------------------------------------------------------------------


@verb("F015", "F017", "F042", source="mm/vmscan.c:kswapd, balance_pgdat; 2.6.0 to 6.12")
def run(rules: DaemonRules, node: Node, swappiness: int = SWAPPINESS) -> Node:
    """The daemon takes the wish over, balances, and tries to sleep: it naps, or goes on for smaller blocks.

    Requires  it is awake
    Ensures   the wish of those who ask meanwhile is for the next run
    """
    if node.phase is not Phase.AWAKE:
        raise ValueError(f"the daemon is {node.phase.value}: expected it awake")
    zone = rules.zone(node.wish.zone, node.run.zone, nr_zones(node.v) - 1)
    node = replace(node, run=Wish(node.wish.order, zone), wish=NO_WISH)
    node = replace(node, v=trace(node.v, MmVmscanKswapdWake(node.run.order)))
    return lie_down(rules, balance(rules, node, swappiness))


@verb("F015", "F017", "F042", source="mm/vmscan.c:balance_pgdat; 2.6.0 to 6.12")
def balance(rules: DaemonRules, node: Node, swappiness: int = SWAPPINESS) -> Node:
    """Reclaim until the node is balanced for what was asked, or the priorities are at their end.

    Boosted watermarks of a balanced node are worked off first, without writing or swapping.
    Ensures   ends; boosts that it found are taken back, and the daemon of compaction takes over
    """
    order, zone = node.run
    boosts = node.boosts if rules.boosts else (0,) * len(node.boosts)
    boosted = boost = sum(boosts[: zone + 1])
    priority, freed = DEF_PRIORITY, 0
    node = replace(node, v=count(node.v, PAGEOUTRUN))
    done = False
    while priority >= 1:
        fine = balanced(rules, node, order, zone)
        if not fine and boost:
            boost, priority = 0, DEF_PRIORITY
            continue
        done = fine and not boost
        if done:
            break
        gentle = boost_is_gentle(boost, priority)
        node, control = _round(rules, node, zone, priority, boost > 0, swappiness)
        freed += control.reclaimed
        order = rules.order(order, freed)
        if node.waiters and may_go_on(rules, node):
            node = replace(node, waiters=0)
        boost = boost_left(boost, control.reclaimed)
        if boost and not control.reclaimed:
            break
        following = next_priority(control.priority, control.scanned, control.target, control.reclaimed)
        priority = control.priority if gentle and control.reclaimed else following
    failures = failures_of(node.v)
    failures = failures if done and not freed else failures_after(failures, freed)
    v = set_failures(node.v, failures) if rules.counts else node.v
    node = replace(node, v=end_reclaim(v, priority))
    return _balanced_for(rules, node, order, zone, boosted > 0)


def _balanced_for(rules: DaemonRules, node: Node, order: int, zone: int, boosted: bool) -> Node:
    """A run is over: boosts up to the zone are gone, and compaction is asked for large blocks."""
    node = replace(node, reached=order)
    if not boosted:
        return node
    boosts = tuple(0 if at <= zone else boost for at, boost in enumerate(node.boosts))
    return replace(node, boosts=boosts, compaction=compaction_wish(node.compaction, PAGEBLOCK_ORDER, zone))


PAGEBLOCK_ORDER = 9


def _round(
    rules: DaemonRules, node: Node, zone: int, priority: int, for_boost: bool, swappiness: int
) -> tuple[Node, Control]:
    """One pass at a priority."""
    target = sum(
        target_of(marks.high + boost)
        for marks, boost in zip(node.v.zones[: zone + 1], node.boosts, strict=False)
        if marks.managed
    )
    control = control_at(control_of(node.run.order, True, zone, swappiness), priority, target, 0, 0)
    control = control._replace(writes=not for_boost, swaps=not for_boost)
    v = node.v
    if rules.reclaim.generations and by_generations(v):
        v, control = age_node(rules.reclaim, v, control)
    v, control = shrink_node(rules.reclaim, v, control)
    return replace(node, v=v), control


@verb("F042", source="mm/vmscan.c:kswapd_try_to_sleep, prepare_kswapd_sleep; 2.6.33 to 6.12")
def lie_down(rules: DaemonRules, node: Node) -> Node:
    """The daemon naps if its node is balanced or given up, and lets whoever waits go on; else it stays awake.

    What counts is the wish of those who asked meanwhile; but a run that ended with a smaller order than was
    asked for leaves the rest to compaction, and may nap for that.
    """
    if rules.notes_zone and node.reached >= node.run.order:
        zone = rules.zone(node.wish.zone, node.run.zone, nr_zones(node.v) - 1)
        node = replace(node, run=Wish(node.wish.order, zone), reached=node.wish.order)
    node = replace(node, waiters=0)
    larger = not rules.notes_zone and node.wish.order > node.run.order
    if larger or not _may_sleep(rules, node):
        low, high = node.quick
        return replace(node, quick=(low, high + rules.naps))
    if rules.compacts:
        wish = compaction_wish(node.compaction, node.run.order, node.run.zone)
        node = replace(node, compaction=wish)
    return replace(node, phase=Phase.NAPPING) if rules.naps else _asleep(node)


def _may_sleep(rules: DaemonRules, node: Node) -> bool:
    return hopeless(rules, node) or balanced(rules, node, node.reached, node.run.zone)


def _asleep(node: Node) -> Node:
    return replace(node, phase=Phase.ASLEEP, waiters=0, v=trace(node.v, MmVmscanKswapdSleep()))


@verb("F042", source="mm/vmscan.c:kswapd_try_to_sleep; 2.6.33 to 6.12")
def nap_is_over(rules: DaemonRules, node: Node) -> Node:
    """A tenth of a second passed and nobody asked: the daemon sleeps if all is still well, else it goes on.

    Requires  it naps
    """
    if node.phase is not Phase.NAPPING:
        raise ValueError(f"the daemon is {node.phase.value}: expected it napping")
    if _may_sleep(rules, node):
        return _asleep(node)
    low, high = node.quick
    return replace(node, phase=Phase.AWAKE, quick=(low, high + 1))


# ---- what must hold ----------------------------------------------------------------------------------------


def judge_wake(rules: DaemonRules, after: Node, order: int, zone: int) -> Refusal | None:
    """Whether a request that just asked was heard (4.8 on)."""
    if heard(after.wish, order, zone):
        return None
    return Refusal("reclaim.kswapd.heard", f"asked for order {order}, zone {zone}: noted is {after.wish}")


def judge_sleep(rules: DaemonRules, after: Node) -> Refusal | None:
    """Whether a daemon that just fell asleep may."""
    fine = balanced(rules, after, after.reached, after.run.zone)
    if sleeps_well(after.phase is Phase.ASLEEP, fine, hopeless(rules, after), after.waiters):
        return None
    why = f"asleep, balanced: {fine}, given up: {hopeless(rules, after)}, {after.waiters} wait"
    return Refusal("reclaim.kswapd.sleeps", why)
