"""Lists by group: each group has its own, and they share what the machine has once.

A group's lists are those of `linuxmm.model.reclaim`, which knows one set of them.  What is shared (zones,
reverse map, backing, shadows) is lent to the group that is worked on, and taken back afterwards.

Linux: mm/memcontrol.c:mem_cgroup_lruvec, mm/workingset.c.  Seed 2.9, 2.4.5 (F060, F046).  Since 3.3.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from immutables import Map

from linuxmm.model.memcg.counter import NOBODY, Tree
from linuxmm.model.memcg.groups import Place, preorder
from linuxmm.model.reclaim.accesses import bring_in
from linuxmm.model.reclaim.counters import WORKINGSET_REFAULT
from linuxmm.model.reclaim.outside import Backing, ReverseMap
from linuxmm.model.reclaim.rules import Rules
from linuxmm.model.reclaim.state import Lruvec, ZoneMarks, add_head, count, empty, remove
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.memcg.lists import Ages
from linuxmm.spec.reclaim.lists import EVICTABLE, NR_LISTS
from linuxmm.spec.registry import verb

_FEATURES: Final = ("F046", "F060")


@dataclass(frozen=True, slots=True)
class Lists:
    """Pages of all groups of a node.

    parent    the group above, NOBODY for the root, which is group 0; online  whether it has a directory
    groups    lists and clock of each group; what is shared stands in `shared` alone
    shared    zones, reverse map, backing and shadows
    owner     place -> the group whose clock the shadow there notes
    places    where shared walks stand, by the root of the tree and the priority
    swap      slots counted to groups, where version 2 counts them
    """

    parent: tuple[int, ...]
    online: tuple[bool, ...]
    groups: tuple[Lruvec, ...]
    shared: Lruvec
    owner: Map[int, int] = field(default_factory=Map)
    places: Map[tuple[int, int], Place] = field(default_factory=Map)
    swap: Tree | None = None


def no_lists(
    parent: tuple[int, ...],
    zones: tuple[ZoneMarks, ...],
    rmap: ReverseMap | None = None,
    backing: Backing | None = None,
) -> Lists:
    """Groups without a page.

    Requires  group 0 is the root
    """
    shared = empty(zones, rmap, backing)
    return Lists(parent, (True,) * len(parent), (shared,) * len(parent), shared)


def line(lists: Lists, group: int) -> tuple[int, ...]:
    """The group and those above it."""
    found = []
    while group != NOBODY:
        found.append(group)
        group = lists.parent[group]
    return tuple(found)


def enter(lists: Lists, group: int, clock: int) -> Lruvec:
    """The lists of a group, with all that it shares, and another's clock."""
    shared = lists.shared
    return replace(
        lists.groups[group],
        zones=shared.zones,
        rmap=shared.rmap,
        backing=shared.backing,
        shadows=shared.shadows,
        clock=clock,
    )


def leave(lists: Lists, group: int, v: Lruvec) -> Lists:
    """Take back what a group shared; its clock stays what it was."""
    was = lists.groups[group]
    own = replace(
        v, zones=was.zones, rmap=was.rmap, backing=was.backing, shadows=was.shadows, clock=was.clock
    )
    shared = replace(lists.shared, zones=v.zones, rmap=v.rmap, backing=v.backing, shadows=v.shadows)
    groups = (*lists.groups[:group], own, *lists.groups[group + 1 :])
    return replace(lists, groups=groups, shared=shared)


def aged(lists: Lists, ages: object) -> Lists:
    """The clocks after pages were evicted or became active."""
    assert isinstance(ages, tuple)
    moved: Ages = ages
    groups = list(lists.groups)
    for group, pages in moved:
        groups[group] = replace(groups[group], clock=groups[group].clock + pages)
    return replace(lists, groups=tuple(groups))


def clock_owner(kernel: Kernel, lists: Lists, own: int, target: int) -> int:
    """The group whose clock counts for a page of `own` when `target` is reclaimed."""
    found = kernel.behaviour("memcg.evictor").function(line(lists, own), line(lists, target))
    assert isinstance(found, int)
    return found


def _ages(kernel: Kernel, lists: Lists, own: int, target: int, evicted: int, activated: int) -> Lists:
    rule = kernel.behaviour("memcg.ages").function
    return aged(lists, rule(line(lists, own), line(lists, target), evicted, activated))


@verb("F060", source="mm/swap.c:folio_mark_accessed, workingset_activation; 3.3 to 6.12")
def use(kernel: Kernel, lists: Lists, group: int, step: Callable[[Lruvec], Lruvec]) -> Lists:
    """A step of one group's lists that reclaims nothing: an access, a lock, a page dropped."""
    clock = lists.groups[group].clock
    v = step(enter(lists, group, clock))
    return _ages(kernel, leave(lists, group, v), group, group, 0, v.clock - clock)


@verb("F046", "F060", source="mm/vmscan.c:shrink_lruvec, workingset_eviction; 3.15 to 6.12")
def evicting(
    kernel: Kernel, lists: Lists, group: int, target: int, step: Callable[[Lruvec], Lruvec]
) -> Lists:
    """A step of one group's lists that reclaims for `target`: shadows note a clock, and clocks go on."""
    holder = clock_owner(kernel, lists, group, target)
    before = enter(lists, group, lists.groups[holder].clock)
    v = step(before)
    fresh = [slot for slot in v.shadows if slot not in before.shadows]
    owner = lists.owner
    for slot in fresh:
        owner = owner.set(slot, holder)
    moved = v.clock - before.clock
    lists = replace(leave(lists, group, v), owner=owner)
    return _ages(kernel, lists, group, target, len(fresh), moved - len(fresh))


@verb(
    "F046", "F060", source="mm/filemap.c:filemap_add_folio; mm/workingset.c:workingset_refault; 3.3 to 6.12"
)
def bring(
    kernel: Kernel, rules: Rules, lists: Lists, group: int, page: int, slot: int, *, anon: bool = False
) -> Lists:
    """A page of a group holds the content of a place, and is active at once if it was evicted of late.

    The distance is measured by the clock that its shadow notes, against the lists that compete by that clock.
    """
    if slot not in lists.shared.shadows:
        return use(kernel, lists, group, lambda v: bring_in(rules, v, page, slot, anon=anon))
    evictor = lists.owner[slot]
    lists = replace(lists, owner=lists.owner.delete(slot))
    if not lists.online[evictor]:
        return use(kernel, lists, group, lambda v: _lost(kernel, rules, v, page, slot, anon))
    compared = kernel.behaviour("memcg.compared").function(evictor, preorder(lists.parent, evictor))
    assert isinstance(compared, tuple)
    sizes = tuple(sum(lists.groups[at].sizes[lru] for at in compared) for lru in range(NR_LISTS))
    clock = lists.groups[evictor].clock
    begun = enter(lists, group, clock)
    v = bring_in(rules, replace(begun, sizes=sizes), page, slot, anon=anon)
    own = tuple(mine + now - before for mine, now, before in zip(begun.sizes, v.sizes, sizes, strict=True))
    lists = leave(lists, group, replace(v, sizes=own))
    return _ages(kernel, lists, group, group, 0, v.clock - clock)


def _lost(kernel: Kernel, rules: Rules, v: Lruvec, page: int, slot: int, anon: bool) -> Lruvec:
    """The group whose clock was noted is gone: nobody can say how long ago it was."""
    v = replace(v, shadows=v.shadows.delete(slot))
    if kernel.behaviour("memcg.lost-owner").function():
        kind = (1 if anon else 2) if rules.shadows_anon() else 0
        v = count(v, WORKINGSET_REFAULT + kind)
    return bring_in(rules, v, page, slot, anon=anon)


@verb("F060", source="mm/memcontrol.c:mem_cgroup_css_offline; 3.19 to 6.12")
def close(lists: Lists, group: int) -> Lists:
    """Remove a group: its pages stay on its lists, and its number says nothing in shadows any more."""
    online = (*lists.online[:group], False, *lists.online[group + 1 :])
    return replace(lists, online=online)


@verb("F060", source="mm/memcontrol.c:mem_cgroup_reparent_charges, mem_cgroup_move_parent; 3.3 to 3.18")
def move_to_parent(lists: Lists, group: int) -> Lists:
    """Remove a group: its pages go to the group above, each to the head of the list that it is on."""
    above = lists.parent[group]
    source, target = enter(lists, group, 0), enter(lists, above, 0)
    for lru in range(NR_LISTS):
        for page in reversed(source.lists[lru]):
            moving = source.pages[page]
            source = remove(source, page, lru)
            source = replace(source, pages=source.pages.delete(page))
            target = add_head(replace(target, pages=target.pages.set(page, moving)), page, lru)
    return close(leave(leave(lists, group, source), above, target), group)


@verb("F060", source="mm/memcontrol.c:memory_stat_format, memcg_page_state; 4.0 to 6.12")
def figure(lists: Lists, group: int, name: str) -> int:
    """A line of memory.stat that counts events of lists: those of the group and of all below it.

    name  as /proc/vmstat calls it
    """
    return sum(lists.groups[at].counters.get(name, 0) for at in preorder(lists.parent, group))


def listed(lists: Lists, group: int) -> int:
    """Pages of one group on lists that reclaim scans."""
    return sum(lists.groups[group].sizes[lru] for lru in EVICTABLE)


def owned(lists: Lists, group: int) -> int:
    """Pages of one group, wherever they are."""
    return len(lists.groups[group].pages)
