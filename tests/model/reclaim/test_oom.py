"""The OOM killer's choice, era by era."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxmm.model.reclaim.oom import (
    Candidate,
    Choice,
    Outcome,
    Request,
    out_of_memory,
    points_of,
    reap,
)
from linuxmm.spec.kernel import Arch, Kernel, kernel
from linuxmm.spec.reclaim.oom import NEVER, Task, all_memory, rough_root, spared, whole_root

SMALL = Candidate(10, Task(rss=100, total_vm=500, tables=8192), 1)
LARGE = Candidate(11, Task(rss=900, total_vm=901, tables=8192), 2)
INIT = Candidate(1, Task(rss=5000, total_vm=5000), 3, init=True)
ALL = (INIT, SMALL, LARGE)
VERSIONS = ("2.4.0", "2.6.11", "2.6.18", "2.6.36", "2.6.38", "3.5", "3.14", "4.17", "5.9", "6.12")


def at(version: str) -> Kernel:
    """The profile; x86-64 has none before 2.6."""
    return kernel(version, Arch.I386) if version.startswith("2.4") else kernel(version)


def points(version: str, task: Task, total: int = 100_000) -> object:
    return at(version).behaviour("reclaim.oom.badness").function(task, total)


def test_a_task_through_the_eras() -> None:
    task = Task(
        rss=2000, swap=1000, tables=40960, total_vm=8000, children=(999,), adjust=100, shift=1, admin=True
    )
    assert [points(version, task) for version in VERSIONS] == [
        2000,
        4498,
        4250,
        100,
        100,
        3010 + 70 * 100,
        3010 - 90 + 10_000,
        13_010,
        13_010,
        13_010,
    ]


def test_time_makes_a_task_less_bad_until_2_6_35() -> None:
    aged = Task(total_vm=6400, cpu=8 * 16, run=1024 * 256)
    assert (points("2.4.0", aged), points("2.6.11", aged), points("2.6.36", aged)) == (711, 400, 1)
    assert [rough_root(x) for x in (0, 1, 16, 256)] == [1, 1, 3, 12]
    assert [whole_root(x) for x in (0, 1, 15, 16, 17)] == [0, 1, 3, 4, 4]


def test_a_task_that_is_never_killed() -> None:
    assert points("2.6.18", Task(total_vm=100, shift=-17)) == 0
    assert [points(v, Task(rss=100, adjust=-1000)) for v in ("2.6.36", "2.6.38", "3.5", "3.14", "4.17")] == [
        0
    ] * 5
    assert points("5.9", Task(rss=100, adjust=-1000)) == NEVER
    assert points("5.9", Task(rss=100, adjust=-999)) == 100 - 99_900
    assert points("5.8", Task(rss=100, adjust=-999)) == 1
    assert points("5.9", Task(rss=100, spared=True)) == NEVER


def test_an_eighth_for_a_task_elsewhere_and_a_quarter_for_rights() -> None:
    assert points("2.6.18", Task(total_vm=800, elsewhere=True)) == 100
    assert points("2.6.18", Task(total_vm=800, admin=True, raw=True, nice=5)) == 100
    assert points("2.6.18", Task(total_vm=0, shift=3)) == 8
    assert points("2.6.11", Task(total_vm=0, shift=3)) == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_the_largest_dies_and_init_never(version: str) -> None:
    assert out_of_memory(at(version), ALL, Request(100_000)) == Choice(Outcome.KILL, (2,))


def test_ties() -> None:
    equal = (SMALL, replace(SMALL, pid=12, memory=5))
    for version, victim in (("2.6.24", 0), ("4.20", 0), ("5.3", 1), ("6.12", 1)):
        assert out_of_memory(kernel(version), equal, Request(100_000)).killed == (victim,)


def test_a_child_dies_for_its_parent_until_5_0() -> None:
    tasks = (
        LARGE,
        replace(SMALL, parent=0),
        replace(SMALL, pid=13, memory=7, parent=0, task=Task(rss=300, total_vm=9)),
    )
    victims = {
        v: out_of_memory(at(v), tasks, Request(100_000)).killed for v in ("2.4.0", "2.6.24", "4.20", "5.1")
    }
    assert victims == {"2.4.0": (0,), "2.6.24": (1,), "4.20": (2,), "5.1": (0,)}


def test_what_dies_together() -> None:
    sharing = (LARGE, replace(SMALL, memory=2), replace(INIT, memory=2), SMALL)
    assert out_of_memory(kernel("6.1"), sharing, Request(9)).killed == (0, 1)
    group = tuple(replace(each, group=4) for each in (LARGE, SMALL, replace(SMALL, memory=8)))
    kept = replace(group[1], task=group[1].task._replace(adjust=-1000))
    assert out_of_memory(kernel("6.1"), (group[0], kept, group[2]), Request(9, grouped=True)).killed == (0, 2)


def test_what_is_not_a_kill() -> None:
    def call(
        *tasks: Candidate,
        may_fs: bool = True,
        grouped: bool = False,
        bound: bool = False,
        by_hand: bool = False,
        panic: int = 0,
    ) -> Outcome:
        request = Request(9, may_fs, grouped, bound, -1, by_hand, panic)
        return out_of_memory(kernel("6.1"), tasks, request).outcome

    assert call(LARGE, may_fs=False) == Outcome.RETURN
    assert call(LARGE, may_fs=False, grouped=True) == Outcome.KILL
    assert call(LARGE, replace(SMALL, dying=True)) == Outcome.WAIT
    assert call(LARGE, replace(SMALL, dying=True), by_hand=True) == Outcome.KILL
    assert call(LARGE, panic=1) == Outcome.PANIC
    assert call(LARGE, panic=1, bound=True) == Outcome.KILL
    assert call(LARGE, panic=2, bound=True) == Outcome.PANIC
    assert (call(INIT), call(INIT, grouped=True)) == (Outcome.PANIC, Outcome.RETURN)


def test_origin_and_the_task_that_asks() -> None:
    origin = (LARGE, replace(SMALL, origin=True))
    assert out_of_memory(kernel("6.1"), origin, Request(9)).killed == (1,)
    assert out_of_memory(kernel("6.1"), ALL, Request(9, current=1, allocating=True)).killed == (1,)
    assert out_of_memory(kernel("6.1"), ALL, Request(9, current=0, allocating=True)).killed == (2,)
    away = (replace(LARGE, eligible=False), SMALL)
    assert out_of_memory(kernel("6.1"), away, Request(9)).killed == (1,)


def test_the_reaper_gives_up() -> None:
    assert reap((False, True)) == (2, True)
    assert reap((False,) * 12) == (10, False)
    assert reap((True,), pinned=True) == (0, False)


def test_measures_and_sparing() -> None:
    assert (all_memory(5, 7, 3, False), all_memory(5, 7, 3, True), all_memory(5, 7, 0, True)) == (12, 3, 1)
    assert spared(-1000, False)
    assert spared(-999, True)
    assert not spared(-1000, True)


TASKS = st.tuples(st.integers(0, 9999), st.integers(0, 99), st.integers(-1000, 1000)).map(
    lambda figures: Task(rss=figures[0], swap=figures[1], adjust=figures[2])
)


@given(
    st.lists(TASKS, min_size=1, max_size=6), st.sampled_from(("5.3", "5.9", "6.12")), st.integers(0, 99_999)
)
def test_no_survivor_is_worse_than_the_victim(tasks: list[Task], version: str, total: int) -> None:
    found = tuple(Candidate(pid, task, pid) for pid, task in enumerate(tasks))
    badness = kernel(version).behaviour("reclaim.oom.badness").function
    worst = points_of(found, total, badness)  # type: ignore[arg-type]
    choice = out_of_memory(kernel(version), found, Request(total))
    if choice.outcome is Outcome.KILL:
        assert worst[choice.killed[0]] == max(worst)
        assert tasks[choice.killed[0]].adjust != -1000
    else:
        assert all(task.adjust == -1000 for task in tasks)
