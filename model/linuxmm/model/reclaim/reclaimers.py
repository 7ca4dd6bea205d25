"""Who reclaims: a task that finds no memory, and the daemon of a node.

Linux: mm/vmscan.c:do_try_to_free_pages, balance_pgdat.  Seed 2.1.1.3, 2.4.1 (F015, F042).
"""

from linuxmm.model.reclaim.counters import ALLOCSTALL, PAGEOUTRUN
from linuxmm.model.reclaim.events import (
    MmVmscanDirectReclaimBegin,
    MmVmscanDirectReclaimEnd,
    MmVmscanKswapdSleep,
    MmVmscanKswapdWake,
)
from linuxmm.model.reclaim.eviction import age_node
from linuxmm.model.reclaim.gen_state import by_generations
from linuxmm.model.reclaim.rules import Control, Progress, Rules, control_at, control_of
from linuxmm.model.reclaim.shrinkers import shrink_node
from linuxmm.model.reclaim.state import (
    Lruvec,
    count,
    end_reclaim,
    failures_of,
    marks_of,
    nr_zones,
    set_failures,
    trace,
)
from linuxmm.spec.reclaim.daemon import ZoneLook, failures_after, gave_up, next_priority, target_of
from linuxmm.spec.reclaim.lists import DEF_PRIORITY, INACTIVE_ANON, INACTIVE_FILE, SWAPPINESS
from linuxmm.spec.registry import verb


@verb("F042", source="mm/vmscan.c:too_many_isolated, shrink_inactive_list; 2.6.32 to 6.12")
def must_wait(rules: Rules, v: Lruvec, lru: int, control: Control) -> bool:
    """Whether a direct reclaimer waits for those who have pages isolated; the daemon never does."""
    if control.kswapd:
        return False
    kind = 1 if lru == INACTIVE_FILE else 0
    return rules.too_many_isolated(
        v.sizes[INACTIVE_FILE if kind else INACTIVE_ANON], v.isolated[kind], control.io and control.fs
    )


@verb("F042", source="mm/vmscan.c:try_to_free_pages, do_try_to_free_pages")
def direct_reclaim(
    rules: Rules, v: Lruvec, order: int = 0, swappiness: int = SWAPPINESS, zone: int | None = None
) -> tuple[Lruvec, Progress]:
    """Reclaim 32 pages for a task: harder with every round, down to priority 0.

    zone      the highest zone that helps, by default any
    Ensures   ends after at most 13 rounds, with pages freed or with the answer that there were none
    """
    v = trace(count(v, ALLOCSTALL), MmVmscanDirectReclaimBegin(order))
    top = nr_zones(v) - 1 if zone is None else zone
    control = control_of(order, False, top, swappiness)
    priority = DEF_PRIORITY
    while True:
        v, control = shrink_node(
            rules, v, control_at(control, priority, control.target, control.scanned, control.reclaimed)
        )
        if control.reclaimed >= control.target or priority == 0:
            break
        priority -= 1
    v = end_reclaim(v, priority)
    v = trace(v, MmVmscanDirectReclaimEnd(control.reclaimed))
    return v, Progress(control.reclaimed, priority)


def looks(v: Lruvec, zone: int) -> tuple[ZoneLook, ...]:
    """The zones up to one, as the daemon looks at them for single pages."""
    return tuple(ZoneLook(z.managed, z.free > z.high, z.hopeless) for z in v.zones[: zone + 1])


@verb("F015", "F042", source="mm/vmscan.c:balance_pgdat, kswapd_shrink_node")
def kswapd(
    rules: Rules, v: Lruvec, swappiness: int = SWAPPINESS, zone: int | None = None
) -> tuple[Lruvec, Progress]:
    """The daemon reclaims until its zones are balanced, or it is at the end of its priorities.

    Ensures   ends; nothing is done when the node is balanced, or the daemon gave up on it
    """
    top = nr_zones(v) - 1 if zone is None else zone
    if gave_up(failures_of(v)) or rules.balanced(looks(v, top), 0):
        return trace(v, MmVmscanKswapdSleep()), Progress(0, DEF_PRIORITY)
    v = trace(count(v, PAGEOUTRUN), MmVmscanKswapdWake(0))
    control = control_of(0, True, top, swappiness)
    priority, freed = DEF_PRIORITY, 0
    while priority >= 1 and not rules.balanced(looks(v, top), 0):
        target = 0
        for number in range(top + 1):
            marks = marks_of(v, number)
            if marks.managed:
                target += target_of(marks.high)
        control = control_at(control, priority, target, 0, 0)
        if rules.generations and by_generations(v):
            v, control = age_node(rules, v, control)
        v, control = shrink_node(rules, v, control)
        freed += control.reclaimed
        priority = next_priority(control.priority, control.scanned, target, control.reclaimed)
    v = end_reclaim(set_failures(v, failures_after(failures_of(v), freed)), priority)
    return trace(v, MmVmscanKswapdSleep()), Progress(freed, priority)
