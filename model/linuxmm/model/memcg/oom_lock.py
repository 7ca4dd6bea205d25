"""Who kills when a group and others of its tree run out of memory at once: one, while the others wait.

A task that finds no memory tries to mark its group and all below it.  Who succeeds kills and wakes the rest;
who does not waits for that, and tries its charge again.

Linux: mm/memcontrol.c:mem_cgroup_handle_oom, mem_cgroup_oom_lock, memcg_wakeup_oom.  Seed 2.9 (F060).
"""

from dataclasses import dataclass, replace
from typing import Final

from linuxmm.model.memcg.counter import NOBODY
from linuxmm.model.memcg.groups import preorder
from linuxmm.model.vm.explore import Finding, search
from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import Kernel, behaviour
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Refusal

_FEATURES: Final = ("F060",)
TRIES, KILLS, WAITS, WOKEN, OVER = range(5)


@dataclass(frozen=True, slots=True)
class Task:
    """A task whose charge is stuck in a group.

    phase   TRIES to mark the tree, KILLS, WAITS asleep, is WOKEN, or is OVER
    rounds  how often it may still find no memory after that
    """

    group: int
    phase: int = TRIES
    rounds: int = 0


@dataclass(frozen=True, slots=True)
class Ooms:
    """Marks by group, and the tasks.

    marks   until 3.0 how many trees cover a group; since then whether one does, 0 or 1
    """

    parent: tuple[int, ...]
    marks: tuple[int, ...]
    tasks: tuple[Task, ...]


def _marked(state: Ooms, group: int, change: int) -> Ooms:
    marks = list(state.marks)
    for at in preorder(state.parent, group):
        marks[at] = max(0, marks[at] + change)
    return replace(state, marks=tuple(marks))


@behaviour(
    "memcg.oom-lock",
    since="2.6.34",
    until="3.0",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_oom_lock; read in 2.6.34 to 3.0",
)
def lock_by_count(state: Ooms, group: int) -> tuple[Ooms, bool, bool]:
    """(marks, whether the tree is locked, whether the task takes its marks back later) after a try.

    Each group is counted once more, and it is locked if none had been; who fails keeps its counts until it
    wakes.
    """
    state = _marked(state, group, 1)
    return state, max(state.marks[at] for at in preorder(state.parent, group)) == 1, True


@behaviour(
    "memcg.oom-lock",
    since="3.1",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_oom_lock, mem_cgroup_oom_trylock; read in 3.4 to 6.1, 3.1 unconfirmed",
)
def lock_or_nothing(state: Ooms, group: int) -> tuple[Ooms, bool, bool]:
    """All groups are marked, or none where one is; who fails has nothing to take back."""
    if any(state.marks[at] for at in preorder(state.parent, group)):
        return state, False, False
    return _marked(state, group, 1), True, True


def related(parent: tuple[int, ...], one: int, other: int) -> bool:
    """Whether one of two groups is the other, or above it."""
    return other in preorder(parent, one) or one in preorder(parent, other)


def _changed(state: Ooms, number: int, phase: int) -> Ooms:
    task = replace(state.tasks[number], phase=phase)
    return replace(state, tasks=(*state.tasks[:number], task, *state.tasks[number + 1 :]))


def _leave(state: Ooms, number: int, takes_back: bool) -> Ooms:
    """Take marks back, wake who waits for the tree, and try the charge again."""
    group = state.tasks[number].group
    if takes_back:
        state = _marked(state, group, -1)
    for other, task in enumerate(state.tasks):
        if task.phase == WAITS and related(state.parent, task.group, group):
            state = _changed(state, other, WOKEN)
    task = state.tasks[number]
    again = replace(task, phase=TRIES if task.rounds else OVER, rounds=max(0, task.rounds - 1))
    return replace(state, tasks=(*state.tasks[:number], again, *state.tasks[number + 1 :]))


@verb("F060", source="mm/memcontrol.c:mem_cgroup_handle_oom; 2.6.34 to 3.11")
def step(kernel: Kernel, state: Ooms, number: int) -> Ooms:
    """The next step of one task.

    Requires  it neither waits nor is over
    """
    lock = kernel.behaviour("memcg.oom-lock").function
    task = state.tasks[number]
    if task.phase == TRIES:
        found = lock(state, task.group)
        assert isinstance(found, tuple)
        after, locked, _ = found
        assert isinstance(after, Ooms)
        return _changed(after, number, KILLS if locked else WAITS)
    return _leave(state, number, task.phase == KILLS or lock is lock_by_count)


@invariant(
    "memcg.oom.one-killer",
    features=_FEATURES,
    seed="2.9",
    since="2.6.34",
    source="mm/memcontrol.c:mem_cgroup_oom_lock",
)
def one_killer(state: Ooms) -> bool:
    """Of a group and all below it at most one task kills at a time."""
    killers = [task.group for task in state.tasks if task.phase == KILLS]
    return not any(
        related(state.parent, one, other) for at, one in enumerate(killers) for other in killers[at + 1 :]
    )


@invariant(
    "memcg.oom.somebody-kills",
    features=_FEATURES,
    seed="2.9",
    since="3.1",
    source="mm/memcontrol.c:mem_cgroup_oom_lock",
)
def somebody_kills(state: Ooms) -> bool:
    """Who waits does so for a task that kills in its tree; before 3.1 it may be one that waited itself."""
    killers = [task.group for task in state.tasks if task.phase == KILLS]
    return all(
        any(related(state.parent, task.group, group) for group in killers)
        for task in state.tasks
        if task.phase == WAITS
    )


@invariant(
    "memcg.oom.nobody-forgotten",
    features=_FEATURES,
    seed="2.9",
    since="2.6.34",
    source="mm/memcontrol.c:memcg_wakeup_oom",
)
def nobody_forgotten(state: Ooms) -> bool:
    """As long as somebody waits, somebody else is about to wake others."""
    phases = {task.phase for task in state.tasks}
    return WAITS not in phases or bool(phases & {TRIES, KILLS, WOKEN})


def explore(kernel: Kernel, parent: tuple[int, ...], groups: tuple[int, ...], rounds: int) -> Finding:
    """Every order of the steps of tasks that run out of memory in these groups, each `rounds` times more."""

    def steps(state: Ooms) -> list[tuple[str, Ooms]]:
        names = {TRIES: "tries", KILLS: "has killed", WOKEN: "goes on"}
        return [
            (f"task {number} {names[task.phase]}", step(kernel, state, number))
            for number, task in enumerate(state.tasks)
            if task.phase in names
        ]

    def judge(state: Ooms) -> Refusal | None:
        phases = ", ".join(f"{task.group}:{task.phase}" for task in state.tasks)
        for name, holds in (
            ("memcg.oom.one-killer", one_killer),
            ("memcg.oom.nobody-forgotten", nobody_forgotten),
            ("memcg.oom.somebody-kills", somebody_kills),
        ):
            if not holds(state):
                return Refusal(name, f"tasks {phases}, marks {state.marks}")
        return None

    start = Ooms(parent, (0,) * len(parent), tuple(Task(group, TRIES, rounds) for group in groups))
    assert NOBODY not in groups
    return search(start, steps, judge)
