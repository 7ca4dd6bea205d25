"""Groups in their tree: the order of reclaim, effective protection, removal.

Linux: mm/memcontrol.c:mem_cgroup_iter, mem_cgroup_css_offline.  Seed 2.9 (F060).
"""

from dataclasses import dataclass, replace
from typing import Final

from linuxmm.model.memcg.counter import NOBODY
from linuxmm.spec.kernel import Kernel, behaviour
from linuxmm.spec.memcg.protection import protection_of
from linuxmm.spec.registry import verb

_FEATURES: Final = ("F060",)


@verb("F060", source="kernel/cgroup/cgroup.c:css_next_descendant_pre")
def preorder(parent: tuple[int, ...], root: int) -> tuple[int, ...]:
    """A group and all below it, each before its children, children in the order in which they were made."""
    found = [root]
    for child, above in enumerate(parent):
        if above == root and child != root:
            found.extend(preorder(parent, child))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Place:
    """Where reclaim of a tree stands on one node, shared by all that reclaim it.

    position    the group visited last, NOBODY before the first; generation  rounds that were ended
    """

    position: int = NOBODY
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Walk:
    """One reclaimer's walk: the group it visited last and the round that it takes part in."""

    last: int = NOBODY
    generation: int = NOBODY


@verb("F060", source="mm/memcontrol.c:mem_cgroup_iter; 3.3 to 6.12, the first release from memory")
def visit(order: tuple[int, ...], place: Place, walk: Walk) -> tuple[Place, Walk, int]:
    """The next group of a shared walk; NOBODY ends it: the round is over, or another has ended it.

    order     of the tree that is reclaimed, from `preorder`
    """
    if walk.last == NOBODY:
        walk = Walk(NOBODY, place.generation)
    elif walk.generation != place.generation:
        return place, walk, NOBODY
    after = order.index(place.position) + 1 if place.position in order else 0
    if after == len(order):
        if walk.last != NOBODY:
            return Place(NOBODY, place.generation + 1), walk, NOBODY
        after = 0
    group = order[after]
    return replace(place, position=group), Walk(group, walk.generation), group


@dataclass(frozen=True, slots=True)
class Settings:
    """memory.min and memory.low of each group, in pages."""

    min: tuple[int, ...]
    low: tuple[int, ...]


@verb("F060", source="mm/memcontrol.c:mem_cgroup_calculate_protection; 4.18 to 6.12")
def effective(
    kernel: Kernel, parent: tuple[int, ...], usage: tuple[int, ...], setting: tuple[int, ...], root: int
) -> tuple[int, ...]:
    """Effective protection of every group below `root` when that one is reclaimed; 0 for it and all others.

    setting   min or low of each group; cgroup2 is mounted with memory_recursiveprot
    """
    counts = kernel.behaviour("memcg.protected-usage").function
    share = kernel.behaviour("memcg.effective").function
    claimed = [counts(used, own) for used, own in zip(usage, setting, strict=True)]
    found = [0] * len(parent)
    for group in preorder(parent, root)[1:]:
        above = parent[group]
        if usage[group] == 0:
            continue
        if above == root:
            found[group] = setting[group]
            continue
        siblings = sum(
            own
            for child, own in enumerate(claimed)
            if parent[child] == above and child != above and isinstance(own, int)
        )
        value = share(usage[group], usage[above], setting[group], found[above], siblings, True)
        assert isinstance(value, int)
        found[group] = value
    return tuple(found)


@verb("F060", source="mm/vmscan.c:shrink_node_memcgs; 4.18 to 6.12")
def protections(
    kernel: Kernel, parent: tuple[int, ...], usage: tuple[int, ...], settings: Settings, root: int
) -> tuple[int, ...]:
    """How each group below `root` is protected: not, LOW unless nothing else is left, or MIN."""
    least = effective(kernel, parent, usage, settings.min, root)
    low = effective(kernel, parent, usage, settings.low, root)
    below = preorder(parent, root)[1:]
    return tuple(
        protection_of(usage[at], least[at], low[at]) if at in below else 0 for at in range(len(parent))
    )


@dataclass(frozen=True, slots=True)
class Owned:
    """What belongs to groups, and is counted there.

    parent    the group above; pages  on lists, by group; objects  pages of kernel objects, by group
    online    whether the group has a directory
    """

    parent: tuple[int, ...]
    pages: tuple[int, ...]
    objects: tuple[int, ...]
    online: tuple[bool, ...]


@behaviour(
    "memcg.offline",
    since="2.6.29",
    until="3.18",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_reparent_charges, mem_cgroup_move_parent; read in 2.6.39 to 3.18",
)
def offline_to_parent(state: Owned, group: int) -> Owned:
    """Remove a group: its pages go to the group above, and it is gone."""
    return _reparent(_closed(state, group), group, True)


@behaviour(
    "memcg.offline",
    since="3.19",
    until="5.8",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_css_offline; read in 3.19 to 5.8",
)
def offline_in_place(state: Owned, group: int) -> Owned:
    """Remove a group: what it owns stays its own, and it lives without a directory until that is gone."""
    return _closed(state, group)


@behaviour(
    "memcg.offline",
    since="5.9",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_css_offline, memcg_reparent_objcgs; read in 5.9 to 6.12",
)
def offline_without_objects(state: Owned, group: int) -> Owned:
    """Remove a group: kernel objects go to the group above, pages on lists stay."""
    return _reparent(_closed(state, group), group, False)


def _closed(state: Owned, group: int) -> Owned:
    if group in state.parent or state.parent[group] == NOBODY:
        raise ValueError(f"group {group} has children or is the root: rmdir is refused")
    return replace(state, online=_set(state.online, group, False))


def _reparent(state: Owned, group: int, lists: bool) -> Owned:
    above = state.parent[group]
    objects = _moved(state.objects, group, above)
    return replace(state, objects=objects, pages=_moved(state.pages, group, above) if lists else state.pages)


def _moved(values: tuple[int, ...], group: int, above: int) -> tuple[int, ...]:
    return tuple(
        0 if at == group else value + (values[group] if at == above else 0) for at, value in enumerate(values)
    )


def _set(values: tuple[bool, ...], at: int, value: bool) -> tuple[bool, ...]:
    return (*values[:at], value, *values[at + 1 :])


@verb("F060", source="mm/memcontrol.c:mem_cgroup_move_account; 2.6.34 to 6.12, version 1 only")
def move_charge(state: Owned, source: int, target: int, pages: int, asked: bool) -> Owned:
    """A task moves: its pages go with it where move_charge_at_immigrate of the target asks for it.

    Requires  the source owns them
    """
    if not asked:
        return state
    moved = list(state.pages)
    moved[source] -= pages
    moved[target] += pages
    return replace(state, pages=tuple(moved))


@verb("F060", source="mm/memcontrol.c:mem_cgroup_update_tree, mem_cgroup_largest_soft_limit_node")
def largest_over_soft(usage: tuple[int, ...], soft: tuple[int, ...]) -> int:
    """Version 1: the group that exceeds its soft limit most, the last made of equals; NOBODY if none does."""
    excess = [used - limit for used, limit in zip(usage, soft, strict=True)]
    most = max(excess, default=0)
    return max(at for at, value in enumerate(excess) if value == most) if most > 0 else NOBODY
