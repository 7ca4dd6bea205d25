"""The OOM killer's choice: how bad a task is, in every era, and what of a machine counts as all memory.

Linux: mm/oom_kill.c.  Seed 2.4, 2.9 (F004, F060).  2.4.0 to 6.12.
"""

from typing import Final, NamedTuple

from linuxmm.spec.invariant import clause, invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula
from linuxmm.spec.vocabulary import PAGE_SIZE

_FEATURES: Final = ("F004", "F060")
OOM_SCORE_ADJ_MIN: Final = -1000
OOM_DISABLE: Final = -17
NEVER: Final = -(1 << 63)
"""LONG_MIN: a task that is not to be killed, since 5.9; until 5.8 it has no points."""


class Task(NamedTuple):
    """What the killer looks at in a task; memory in pages, times in seconds.

    tables      bytes of its page tables
    children    total_vm of each child with a memory of its own
    adjust      oom_score_adj, -1000 to 1000, since 2.6.36; shift  oom_adj, -17 to 15, 2.6.11 to 2.6.35
    admin, raw  it may administer the system, or touch hardware
    elsewhere   none of its nodes is one of the requester's
    spared      its memory was reaped, or is borrowed from the parent that waits in vfork (4.6 on)
    """

    rss: int = 0
    swap: int = 0
    tables: int = 0
    total_vm: int = 0
    children: tuple[int, ...] = ()
    adjust: int = 0
    shift: int = 0
    cpu: int = 0
    run: int = 0
    nice: int = 0
    admin: bool = False
    raw: bool = False
    elsewhere: bool = False
    spared: bool = False


@formula("F004", source="mm/oom_kill.c:int_sqrt; 2.4")
def rough_root(x: int) -> int:
    """The 2.4 killer's own square root: rough, and never zero."""
    out = x
    while x > 1:
        x >>= 2
        out >>= 1
    if x:
        out -= out >> 2
    return max(out, 1)


@formula("F004", source="lib/int_sqrt.c; 2.6")
def whole_root(x: int) -> int:
    """The largest number whose square is at most x."""
    low, high = 0, x + 1
    while high - low > 1:
        middle = (low + high) // 2
        if middle * middle <= x:
            low = middle
        else:
            high = middle
    return low


@formula("F004", source="mm/oom_kill.c:badness; 2.4.0 to 2.6.35")
def privileged(points: int, task: Task) -> int:
    """Points after niceness and rights: doubled for a niced task, a quarter for each right that it has."""
    if task.nice > 0:
        points *= 2
    if task.admin:
        points //= 4
    if task.raw:
        points //= 4
    return points


@behaviour(
    "reclaim.oom.badness",
    since="2.4.0",
    until="2.5.999",
    features=_FEATURES,
    source="mm/oom_kill.c:badness; read in 2.4.0 and 2.4.32",
)
def badness_by_size(task: Task, total: int) -> int:
    """Points: its address space, less for a task that has used the CPU or lives long."""
    points = task.total_vm // rough_root(task.cpu >> 3)
    return privileged(points // rough_root(rough_root(task.run >> 10)), task)


def _aged(points: int, task: Task) -> int:
    used = whole_root(task.cpu >> 3)
    lived = whole_root(whole_root(task.run >> 10))
    points = points // used if used else points
    return points // lived if lived else points


@behaviour(
    "reclaim.oom.badness",
    since="2.6.0",
    until="2.6.17",
    features=_FEATURES,
    source="mm/oom_kill.c:badness; read in 2.6.11 and 2.6.12, the first and last release from memory",
)
def badness_with_children(task: Task, total: int) -> int:
    """Likewise with the whole size of all children, shifted by oom_adj."""
    points = privileged(_aged(task.total_vm + sum(task.children), task), task)
    return points << task.shift if task.shift >= 0 else points >> -task.shift


@behaviour(
    "reclaim.oom.badness",
    since="2.6.18",
    until="2.6.35",
    features=_FEATURES,
    source="mm/oom_kill.c:badness; read in 2.6.18 to 2.6.35",
)
def badness_with_half_children(task: Task, total: int) -> int:
    """Likewise with half of the children, an eighth for a task on other nodes; -17 is never killed."""
    if task.shift == OOM_DISABLE:
        return 0
    points = _aged(task.total_vm + sum(child // 2 + 1 for child in task.children), task)
    points = privileged(points, task)
    if task.elsewhere:
        points //= 8
    if task.shift > 0:
        return max(points, 1) << task.shift
    return points >> -task.shift


@formula("F004", source="mm/oom_kill.c:oom_badness; 2.6.36 to 3.5")
def thousandths(pages: int, task: Task, total: int) -> int:
    """Thousandths of all memory, 1 to 1000; a task that may administer has 30 less."""
    points = pages * 1000 // max(total, 1) - (30 if task.admin else 0) + task.adjust
    return min(max(points, 1), 1000)


@behaviour(
    "reclaim.oom.badness",
    since="2.6.36",
    until="2.6.37",
    features=_FEATURES,
    source="mm/oom_kill.c:oom_badness; read in 2.6.36 and 2.6.37, the last release from memory",
)
def badness_of_rss(task: Task, total: int) -> int:
    """Points: resident and swapped pages in thousandths of all memory."""
    if task.adjust == OOM_SCORE_ADJ_MIN:
        return 0
    return thousandths(task.rss + task.swap, task, total)


@behaviour(
    "reclaim.oom.badness",
    since="2.6.38",
    until="3.4",
    features=_FEATURES,
    source="mm/oom_kill.c:oom_badness; read in 2.6.39 and 3.4, the first release from memory",
)
def badness_with_tables(task: Task, total: int) -> int:
    """Likewise with the pages of page tables."""
    if task.adjust == OOM_SCORE_ADJ_MIN:
        return 0
    return thousandths(task.rss + task.swap + task.tables // PAGE_SIZE, task, total)


@formula("F004", source="mm/oom_kill.c:oom_badness; 3.5 to 6.12")
def footprint(task: Task) -> int:
    """Pages that the death of a task gives back: resident, swapped, and those of its page tables."""
    return task.rss + task.swap + task.tables // PAGE_SIZE


@behaviour(
    "reclaim.oom.badness",
    since="3.5",
    until="3.13",
    features=_FEATURES,
    source="mm/oom_kill.c:oom_badness; read in 3.5 and 3.10, the last release from memory",
)
def badness_in_pages(task: Task, total: int) -> int:
    """Points are pages; oom_score_adj counts in thousandths of all memory, one who may administer 30 less."""
    if task.adjust == OOM_SCORE_ADJ_MIN:
        return 0
    return max(footprint(task) + (task.adjust - (30 if task.admin else 0)) * (total // 1000), 1)


@behaviour(
    "reclaim.oom.badness",
    since="3.14",
    until="4.16",
    features=_FEATURES,
    source="mm/oom_kill.c:oom_badness; read in 3.14 to 4.15, the last release from memory",
)
def badness_less_three_percent(task: Task, total: int) -> int:
    """Likewise; one who may administer has three in a hundred of its own pages less."""
    if task.adjust == OOM_SCORE_ADJ_MIN or task.spared:
        return 0
    points = footprint(task)
    if task.admin:
        points -= points * 3 // 100
    return max(points + task.adjust * (total // 1000), 1)


@behaviour(
    "reclaim.oom.badness",
    since="4.17",
    until="5.8",
    features=_FEATURES,
    source="mm/oom_kill.c:oom_badness; read in 4.18 to 5.8, the first release from memory",
)
def badness_alike(task: Task, total: int) -> int:
    """Likewise, whatever its rights."""
    if task.adjust == OOM_SCORE_ADJ_MIN or task.spared:
        return 0
    return max(footprint(task) + task.adjust * (total // 1000), 1)


@behaviour(
    "reclaim.oom.badness",
    since="5.9",
    features=_FEATURES,
    source="mm/oom_kill.c:oom_badness; read in 5.9 to 6.12",
)
def badness_signed(task: Task, total: int) -> int:
    """Likewise; points may be negative, and stay apart from a task that is never killed."""
    if task.adjust == OOM_SCORE_ADJ_MIN or task.spared:
        return NEVER
    return footprint(task) + task.adjust * (total // 1000)


@formula("F004", source="mm/oom_kill.c:constrained_alloc; 2.6.36 to 6.12")
def all_memory(ram: int, swap: int, limit: int, grouped: bool) -> int:
    """Pages that points are measured against.

    ram    of the machine, or of the nodes that the request is bound to by its cpuset or memory policy
    limit  of the group, with what it may swap, where a group's limit brought the killer
    """
    return max(limit, 1) if grouped else ram + swap


VICTIM: Final = clause(
    "reclaim.oom.victim",
    "The killer chooses a task with the most points among those it may kill.",
    features=_FEATURES,
    source="mm/oom_kill.c:select_bad_process",
    seed="2.4",
)


@invariant(
    "reclaim.oom.spared", features=_FEATURES, seed="2.4", since="2.6.36", source="mm/oom_kill.c:oom_badness"
)
def spared(adjust: int, killed: bool) -> bool:
    """A task whose oom_score_adj is -1000 is not killed for want of memory."""
    return not (killed and adjust == OOM_SCORE_ADJ_MIN)
