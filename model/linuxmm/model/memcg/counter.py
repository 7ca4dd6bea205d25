"""Charging a tree of counters, one counter at a time, with any number of charges under way at once.

A charge climbs from its group to the root of the tree; where it does not fit, that counter gives it back, and
then those below from the bottom up.  An uncharge climbs likewise.  Other charges run between any two steps.

Linux: mm/page_counter.c, kernel/res_counter.c.  Seed 2.9 (F060).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from linuxmm.model.vm.explore import Finding, search
from linuxmm.spec.memcg.counter import adds_first, fits, less, limit_kept, sum_kept, watermark_after
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Refusal

CLIMBS, DOUBTS, UNDOES, HOLDS, LEAVES, OVER = range(6)
NOBODY: Final = -1
Level = Callable[[int, int, int], tuple[bool, bool]]


@dataclass(frozen=True, slots=True)
class Charge:
    """One charge on its way.

    group   where it starts; depth  counters from there to the root, both included
    phase   CLIMBS, DOUBTS (added where it does not fit), UNDOES, HOLDS, LEAVES (uncharges) or OVER
    at      the level that the next step is about, 0 for the group's own counter
    failed  the level where it did not fit
    forced  no limit holds it up
    """

    group: int
    pages: int
    depth: int
    phase: int = CLIMBS
    at: int = 0
    failed: int = NOBODY
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Tree:
    """Counters by group.

    parent     the group above, NOBODY at the top
    over       pages forced on a counter, or above its limit when that was lowered
    """

    parent: tuple[int, ...]
    limit: tuple[int, ...]
    usage: tuple[int, ...]
    watermark: tuple[int, ...]
    failcnt: tuple[int, ...]
    over: tuple[int, ...]


def tree(parent: tuple[int, ...], limit: tuple[int, ...]) -> Tree:
    """Counters that nothing is charged to."""
    none = (0,) * len(parent)
    return Tree(parent, limit, none, none, none, none)


def path(state: Tree, group: int) -> tuple[int, ...]:
    """The group and those above it."""
    found = []
    while group != NOBODY:
        found.append(group)
        group = state.parent[group]
    return tuple(found)


def holds(charge: Charge, level: int) -> bool:
    """Whether the counter at a level counts the pages of a charge."""
    if charge.phase == CLIMBS:
        return level < charge.at
    if charge.phase == DOUBTS:
        return level <= charge.at
    if charge.phase == UNDOES:
        return (charge.at <= level) & (level < charge.failed)
    if charge.phase == HOLDS:
        return level < charge.depth
    if charge.phase == LEAVES:
        return (charge.at <= level) & (level < charge.depth)
    return False


def delta(charge: Charge) -> int:
    """What the next step adds to the counter at `charge.at`, if it adds anything."""
    if charge.phase == CLIMBS:
        return charge.pages
    if charge.phase in (DOUBTS, UNDOES, LEAVES):
        return -charge.pages
    return 0


def advance(charge: Charge, added: bool, stays: bool) -> Charge:
    """The charge after its next step.

    added, stays  of a charge that climbs: whether the counter took it, and whether it fits
    """
    if charge.phase == CLIMBS:
        if stays:
            phase = HOLDS if charge.at + 1 == charge.depth else CLIMBS
            return replace(charge, phase=phase, at=charge.at + 1)
        if added:
            return replace(charge, phase=DOUBTS, failed=charge.at)
        return _undo(charge, charge.at)
    if charge.phase == DOUBTS:
        return _undo(charge, charge.failed)
    if charge.phase == HOLDS:
        return replace(charge, phase=LEAVES, at=0)
    last = charge.failed if charge.phase == UNDOES else charge.depth
    return replace(charge, phase=OVER if charge.at + 1 == last else charge.phase, at=charge.at + 1)


def _undo(charge: Charge, failed: int) -> Charge:
    return replace(charge, phase=OVER if failed == 0 else UNDOES, at=0, failed=failed)


@verb("F060", source="mm/page_counter.c:page_counter_try_charge, page_counter_charge, page_counter_uncharge")
def step(state: Tree, charge: Charge, level: Level = adds_first) -> tuple[Tree, Charge]:
    """The next step of a charge.

    level     how one counter takes a charge: `adds_first`, or `checks_first` before 3.19
    Requires  it is not OVER
    """
    if charge.phase == HOLDS:
        return state, advance(charge, True, True)
    group = path(state, charge.group)[charge.at]
    usage = state.usage[group]
    added, stays = True, True
    if charge.phase == CLIMBS and not charge.forced:
        added, stays = level(usage, charge.pages, state.limit[group])
    change = delta(charge) if added else 0
    usage = usage + change if change >= 0 else less(usage, -change)
    counted = replace(state, usage=_set(state.usage, group, usage))
    if charge.phase == CLIMBS and stays:
        seen = watermark_after(state.watermark[group], usage)
        counted = replace(counted, watermark=_set(state.watermark, group, seen))
    if not stays:
        counted = replace(counted, failcnt=_set(state.failcnt, group, state.failcnt[group] + 1))
    over = state.over[group] + charge.pages if charge.forced and charge.phase == CLIMBS else state.over[group]
    over = min(over, max(0, usage - state.limit[group]))
    return replace(counted, over=_set(state.over, group, over)), advance(charge, added, stays)


@verb("F060", source="mm/page_counter.c:page_counter_try_charge")
def try_charge(state: Tree, group: int, pages: int, level: Level = adds_first) -> tuple[Tree, int]:
    """A charge that nothing comes between; the group that it failed at, or NOBODY."""
    line = path(state, group)
    charge = Charge(group, pages, len(line))
    while charge.phase not in (HOLDS, OVER):
        state, charge = step(state, charge, level)
    return state, NOBODY if charge.phase == HOLDS else line[charge.failed]


@verb("F060", source="mm/page_counter.c:page_counter_charge")
def force_charge(state: Tree, group: int, pages: int) -> Tree:
    """A charge that no limit holds up."""
    charge = Charge(group, pages, len(path(state, group)), forced=True)
    while charge.phase != HOLDS:
        state, charge = step(state, charge)
    return state


@verb("F060", source="mm/page_counter.c:page_counter_uncharge")
def uncharge(state: Tree, group: int, pages: int) -> Tree:
    """Take pages out of a group and those above."""
    charge = Charge(group, pages, len(path(state, group)), LEAVES)
    while charge.phase != OVER:
        state, charge = step(state, charge)
    return state


@verb("F060", source="mm/page_counter.c:page_counter_set_max; 3.19 to 6.12")
def set_max(state: Tree, group: int, limit: int) -> Tree | None:
    """Set a limit that usage does not exceed; None, which is EBUSY, where it does."""
    if state.usage[group] > limit:
        return None
    return replace(state, limit=_set(state.limit, group, limit), over=_set(state.over, group, 0))


@verb("F060", source="mm/memcontrol.c:memory_max_write; 4.0 to 6.12")
def exchange_max(state: Tree, group: int, limit: int) -> Tree:
    """Set a limit whatever is used; what exceeds it is over."""
    over = max(0, state.usage[group] - limit)
    return replace(state, limit=_set(state.limit, group, limit), over=_set(state.over, group, over))


def _set(values: tuple[int, ...], at: int, value: int) -> tuple[int, ...]:
    return (*values[:at], value, *values[at + 1 :])


# ---- what holds between steps ----------------------------------------------------------------------------


def due(state: Tree, charge: Charge, group: int) -> int:
    """What one charge owes to a counter: counted by the one below and not by it, or the other way."""
    line = path(state, charge.group)
    if group not in line or group == charge.group:
        return 0
    level = line.index(group)
    return charge.pages * (holds(charge, level - 1) - holds(charge, level))


def doubtful(state: Tree, charge: Charge, group: int) -> int:
    """Pages of a charge that a counter holds and is about to give back, because they do not fit there."""
    line = path(state, charge.group)
    return charge.pages if charge.phase == DOUBTS and line[charge.at] == group else 0


def judge(state: Tree, charges: tuple[Charge, ...]) -> Refusal | None:
    """Whether every counter agrees with its own pages, its children's counters and what is under way."""
    for group, usage in enumerate(state.usage):
        own = sum(charge.pages for charge in charges if charge.group == group and holds(charge, 0))
        below = sum(state.usage[child] for child, parent in enumerate(state.parent) if parent == group)
        owed = sum(due(state, charge, group) for charge in charges)
        doubt = sum(doubtful(state, charge, group) for charge in charges)
        figures = f"group {group}: usage {usage}, due {owed}, own {own}, children {below}"
        if not sum_kept(usage, owed, own, below):
            return Refusal("memcg.counter.sum", figures)
        if not limit_kept(usage, doubt, state.over[group], state.limit[group]):
            return Refusal("memcg.counter.limit", f"{figures}, limit {state.limit[group]}, doubtful {doubt}")
    return None


def explore(state: Tree, charges: tuple[Charge, ...], level: Level = adds_first) -> Finding:
    """Every order of the steps of all charges; each that gets its pages gives them back later."""

    def steps(at: tuple[Tree, tuple[Charge, ...]]) -> list[tuple[str, tuple[Tree, tuple[Charge, ...]]]]:
        found = []
        for number, charge in enumerate(at[1]):
            if charge.phase != OVER:
                after, moved = step(at[0], charge, level)
                name = f"charge {number}: phase {charge.phase} level {charge.at}"
                found.append((name, (after, (*at[1][:number], moved, *at[1][number + 1 :]))))
        return found

    return search((state, charges), steps, lambda at: judge(at[0], at[1]))


def room(state: Tree, group: int, pages: int) -> bool:
    """Whether a charge fits in a group and in all above it, when nothing else is under way."""
    return all(fits(state.usage[at], pages, state.limit[at]) for at in path(state, group))
