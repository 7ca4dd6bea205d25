"""Soft limits of version 1: where the machine has too little, who exceeds its soft limit most gives first.

Linux: mm/memcontrol.c:mem_cgroup_soft_limit_reclaim, mem_cgroup_soft_reclaim.  Seed 2.9 (F060).
2.6.32 to 6.12, here since 3.3; before, pages stood on the lists of the machine as well.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from linuxmm.model.memcg.counter import NOBODY
from linuxmm.model.memcg.groups import Place, Settings, Walk, preorder, visit
from linuxmm.model.memcg.lists import Lists
from linuxmm.model.memcg.reclaim import Asked, Pass, reclaim_group, shrink_group
from linuxmm.model.reclaim.rules import Rules, control_at, control_of
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.reclaim.lists import SWAPPINESS
from linuxmm.spec.registry import verb
from linuxmm.spec.vocabulary import SWAP_CLUSTER_MAX

Usage = Callable[[Lists], tuple[int, ...]]
"""Pages charged to each group while its lists are these."""

MAX_LOOPS: Final = 100
MAX_GROUPS: Final = 2


@verb("F060", source="mm/memcontrol.c:mem_cgroup_soft_limit_reclaim, mem_cgroup_soft_reclaim; 3.3 to 6.12")
def soft_reclaim(
    kernel: Kernel,
    rules: Rules,
    lists: Lists,
    soft: tuple[int, ...],
    usage: Usage,
    order: int = 0,
) -> tuple[Lists, int]:
    """Version 1: before the machine's groups are scanned, those that exceed their soft limit most give pages.

    usage     pages charged to each group while the lists are these
    Ensures   nothing for a request of more than one page; otherwise of one group, or of two more in vain
    """
    if order > 0:
        return lists, 0
    tried: set[int] = set()
    total = 0
    while len(tried) <= MAX_GROUPS and not total:
        used = usage(lists)
        over = [
            (used[at] - soft[at], at) for at in range(len(soft)) if used[at] > soft[at] and at not in tried
        ]
        if not over:
            break
        group = max(over)[1]
        tried.add(group)
        lists, total = _soft_of(kernel, rules, lists, group, soft, usage)
    return lists, total


def _soft_of(
    kernel: Kernel,
    rules: Rules,
    lists: Lists,
    group: int,
    soft: tuple[int, ...],
    usage: Usage,
) -> tuple[Lists, int]:
    excess, total, loops = usage(lists)[group] - soft[group], 0, 0
    control = control_at(
        control_of(0, False, len(lists.shared.zones) - 1, SWAPPINESS), 0, SWAP_CLUSTER_MAX, 0, 0
    )
    order, walk = preorder(lists.parent, group), Walk()
    while True:
        place, walk, victim = visit(order, lists.places.get((group, 0), Place()), walk)
        lists = replace(lists, places=lists.places.set((group, 0), place))
        if victim == NOBODY:
            loops, walk = loops + 1, Walk()
            if loops >= 2 and (not total or total >= excess >> 2 or loops > MAX_LOOPS):
                return lists, total
            continue
        asked = Asked(0, Settings((0,) * len(soft), (0,) * len(soft)), usage(lists))
        lists, done = shrink_group(kernel, rules, lists, victim, asked, control, 0)
        total += done.reclaimed
        if usage(lists)[group] <= soft[group]:
            return lists, total


@verb("F060", source="mm/vmscan.c:shrink_zones, do_try_to_free_pages; 3.3 to 6.12, version 1")
def machine_reclaim(
    kernel: Kernel, rules: Rules, lists: Lists, soft: tuple[int, ...], usage: Usage, order: int = 0
) -> tuple[Lists, int, tuple[Pass, ...]]:
    """Direct reclaim of the machine: before each pass over all groups, those that exceed their soft limit.

    Ensures   (lists, pages reclaimed, passes); nobody is protected, version 1 has no memory.low
    """
    none = (0,) * len(soft)
    asked = Asked(0, Settings(none, none), usage(lists))

    def first(now: Lists) -> tuple[Lists, int]:
        return soft_reclaim(kernel, rules, now, soft, usage, order)

    return reclaim_group(kernel, rules, lists, asked, SWAP_CLUSTER_MAX, True, first)
