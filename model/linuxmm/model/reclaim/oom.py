"""The OOM killer: whom it chooses, who dies with it, and what the reaper does.

Linux: mm/oom_kill.c.  Seed 2.4, 2.9 (F004, F060).  2.4.0 to 6.12.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from linuxmm.spec.kernel import Kernel, behaviour
from linuxmm.spec.reclaim.oom import NEVER, OOM_SCORE_ADJ_MIN, Task
from linuxmm.spec.registry import verb

_FEATURES: Final = ("F004", "F060")
NOBODY: Final = -1
Badness = Callable[[Task, int], int]


class Outcome(Enum):
    """What becomes of a call."""

    KILL = "kill"
    WAIT = "wait for the victim before"
    RETURN = "return without a kill"
    PANIC = "panic"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A task in the order in which the killer walks them.

    init      the first task or a kernel thread: never killed
    eligible  it may use a node that the request may use
    dying     chosen before and not gone yet; its memory not reaped
    origin    it asked to be killed first (swapoff, KSM)
    group     the group whose memory.oom.group is set, from the top, that it lives in; NOBODY for none
    memory    tasks with the same number share a memory
    parent    position of its parent, NOBODY for none
    """

    pid: int
    task: Task
    memory: int
    init: bool = False
    eligible: bool = True
    dying: bool = False
    origin: bool = False
    group: int = NOBODY
    parent: int = NOBODY


class Request(NamedTuple):
    """The allocation that failed.

    may_fs     it may call into file systems
    grouped    a group's limit brought it here
    bound      a cpuset or memory policy limits the nodes
    current    position of the task that asks, NOBODY for none
    by_hand    somebody pressed sysrq-f
    panic      panic_on_oom: 0, 1 unless bound or grouped, 2 always
    allocating kill_allocating_task
    """

    total: int
    may_fs: bool = True
    grouped: bool = False
    bound: bool = False
    current: int = NOBODY
    by_hand: bool = False
    panic: int = 0
    allocating: bool = False


class Choice(NamedTuple):
    """What the killer does: positions of the tasks that get a signal, the chosen one first."""

    outcome: Outcome
    killed: tuple[int, ...] = ()


@behaviour(
    "reclaim.oom.select",
    since="2.4.0",
    until="5.2",
    features=_FEATURES,
    source="mm/oom_kill.c:select_bad_process, oom_evaluate_task; read in 2.4.0 to 5.2",
)
def first_of_most(points: Sequence[int]) -> int:
    """Position of the most points above zero, the first of equals; NOBODY if there is none."""
    most = max(points, default=0)
    return points.index(most) if most > 0 else NOBODY


@behaviour(
    "reclaim.oom.select",
    since="5.3",
    until="5.8",
    features=_FEATURES,
    source="mm/oom_kill.c:oom_evaluate_task; read in 5.3 to 5.8",
)
def last_of_most(points: Sequence[int]) -> int:
    """Position of the most points above zero, the last of equals."""
    most = max(points, default=0)
    return len(points) - 1 - tuple(reversed(points)).index(most) if most > 0 else NOBODY


@behaviour(
    "reclaim.oom.select",
    since="5.9",
    features=_FEATURES,
    source="mm/oom_kill.c:oom_evaluate_task; read in 5.9 to 6.12",
)
def last_of_most_signed(points: Sequence[int]) -> int:
    """Position of the most points, the last of equals; points may be negative, only NEVER is left out."""
    most = max(points, default=NEVER)
    return len(points) - 1 - tuple(reversed(points)).index(most) if most > NEVER else NOBODY


@behaviour(
    "reclaim.oom.child",
    since="2.4.0",
    until="2.5.999",
    features=_FEATURES,
    source="mm/oom_kill.c:oom_kill; read in 2.4.0 and 2.4.32",
)
def itself(chosen: int, tasks: Sequence[Candidate], points: Sequence[int]) -> int:
    """Who dies for the chosen one: nobody else."""
    return chosen


@behaviour(
    "reclaim.oom.child",
    since="2.6.0",
    until="2.6.35",
    features=_FEATURES,
    source="mm/oom_kill.c:oom_kill_process; read in 2.6.24, the first release from memory",
)
def first_child(chosen: int, tasks: Sequence[Candidate], points: Sequence[int]) -> int:
    """Who dies for the chosen one: its first child with a memory of its own that may be killed."""
    for position, child in enumerate(tasks):
        if child.parent == chosen and child.memory != tasks[chosen].memory and points[position] > 0:
            return position
    return chosen


@behaviour(
    "reclaim.oom.child",
    since="2.6.36",
    until="5.0",
    features=_FEATURES,
    source="mm/oom_kill.c:oom_kill_process; read in 2.6.36 to 4.20, the last release from memory",
)
def worst_child(chosen: int, tasks: Sequence[Candidate], points: Sequence[int]) -> int:
    """Who dies for the chosen one: the worst child with a memory of its own, the first of equals."""
    victim, most = chosen, 0
    for position, child in enumerate(tasks):
        own = child.memory != tasks[chosen].memory
        if child.parent == chosen and own and points[position] > most:
            victim, most = position, points[position]
    return victim


behaviour(
    "reclaim.oom.child",
    since="5.1",
    features=_FEATURES,
    source="mm/oom_kill.c:oom_kill_process; read in 5.2 to 6.12, the first release from memory",
)(itself)


def points_of(
    tasks: Sequence[Candidate], total: int, badness: Badness, grouped: bool = False
) -> tuple[int, ...]:
    """Points of each task; the least possible for one that is left out."""
    left_out = badness(Task(adjust=OOM_SCORE_ADJ_MIN), total)
    return tuple(
        left_out if each.init or (not each.eligible and not grouped) else badness(each.task, total)
        for each in tasks
    )


@verb("F004", "F060", source="mm/oom_kill.c:out_of_memory, oom_kill_process; composed for 3.14 to 6.12")
def out_of_memory(kernel: Kernel, tasks: Sequence[Candidate], request: Request) -> Choice:
    """Whom the killer chooses and who dies with it.

    Requires  tasks in the order in which the kernel walks them: processes by age, or groups from the top
    Ensures   the victim may be killed; all that share its memory die with it, and all of its oom.group
    """
    badness: Badness = kernel.behaviour("reclaim.oom.badness").function  # type: ignore[assignment]
    if not request.may_fs and not request.grouped:
        return Choice(Outcome.RETURN)
    everywhere = not request.bound and not request.grouped
    if not request.by_hand and (request.panic == 2 or (request.panic == 1 and everywhere)):
        return Choice(Outcome.PANIC)
    points = points_of(tasks, request.total, badness, request.grouped)
    asks = request.allocating and not request.grouped and request.current != NOBODY
    if asks and _killable(tasks[request.current]):
        return Choice(Outcome.KILL, dies_with(tasks, request.current))
    walked = [at for at, each in enumerate(tasks) if not each.init and (each.eligible or request.grouped)]
    if not request.by_hand and any(tasks[at].dying and not tasks[at].task.spared for at in walked):
        return Choice(Outcome.WAIT)
    origins = [at for at in walked if tasks[at].origin]
    if origins:
        return Choice(Outcome.KILL, dies_with(tasks, origins[-1]))
    chosen = kernel.behaviour("reclaim.oom.select").function(points)
    if not isinstance(chosen, int) or chosen == NOBODY:
        alone = request.by_hand or request.grouped
        return Choice(Outcome.RETURN if alone else Outcome.PANIC)
    victim = kernel.behaviour("reclaim.oom.child").function(chosen, tasks, points)
    assert isinstance(victim, int)
    return Choice(Outcome.KILL, dies_with(tasks, victim))


def _killable(each: Candidate) -> bool:
    return not each.init and each.eligible and each.task.adjust != OOM_SCORE_ADJ_MIN


def dies_with(tasks: Sequence[Candidate], victim: int) -> tuple[int, ...]:
    """The victim, those that share its memory, and those of its oom.group with theirs; in that order."""
    chosen = tasks[victim]
    killed = [victim]
    for position, each in enumerate(tasks):
        if position != victim and each.memory == chosen.memory and not each.init:
            killed.append(position)
    for position, each in enumerate(tasks):
        member = chosen.group != NOBODY and each.group == chosen.group
        if member and position not in killed and each.task.adjust != OOM_SCORE_ADJ_MIN and not each.init:
            killed.append(position)
    return tuple(killed)


@verb("F004", source="mm/oom_kill.c:oom_reap_task, __oom_reap_task_mm; 4.6 to 6.12")
def reap(tries: Sequence[bool], pinned: bool = False) -> tuple[int, bool]:
    """How often the reaper tries, and whether memory came back; the memory is passed over either way.

    tries   whether the lock of the memory was free, at each try a tenth of a second apart, ten at most
    pinned  the first task shares the memory: nothing is reaped
    """
    if pinned:
        return 0, False
    for number, free in enumerate(tries[:10], 1):
        if free:
            return number, True
    return min(len(tries), 10), False
