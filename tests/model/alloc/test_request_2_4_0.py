"""The request path of 2.4.0: clean inactive pages count as free, and become free when a block is needed."""

from dataclasses import replace

import pytest

from linuxmm.model.alloc.audit import broken
from linuxmm.model.alloc.dialogue import (
    Allocated,
    Asks,
    CleanInactive,
    Failed,
    First,
    LookAtInactive,
    Path,
    Progress,
    Reason,
    Run,
    Task,
)
from linuxmm.model.alloc.events import WakeupKswapd
from linuxmm.model.alloc.freelist import NOTHING
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.path import path_of
from linuxmm.model.alloc.request import alloc_fast, free_pages
from linuxmm.model.alloc.slowpath import begin, resume
from linuxmm.model.alloc.strategies import small_kernel, small_machine, small_rules
from linuxmm.spec.alloc.gfp import GFP_ATOMIC, GFP_KERNEL, GFP_NOFS, GFP_NOIO
from linuxmm.spec.alloc.request import Request, request
from linuxmm.spec.errors import LinuxmmError

VERSION = "2.4.0"
KERNEL = request(0, GFP_KERNEL, grouping_disabled=True)
PAIR = request(1, GFP_KERNEL, grouping_disabled=True)
NONE = CleanInactive(())
WOKEN = WakeupKswapd(0, 2, 0, GFP_KERNEL)


def way() -> Path:
    return path_of(small_kernel(VERSION), small_rules(VERSION))


def marked(machine: Machine, *marks: tuple[int, int, int]) -> Machine:
    """The machine with these marks of DMA and NORMAL."""
    pairs = zip(machine.zones, (*marks, (0, 0, 0)), strict=True)
    return replace(machine, zones=tuple(replace(zone, watermark=each) for zone, each in pairs))


def used(pages: int) -> tuple[Machine, tuple[int, ...]]:
    """A machine of whose NORMAL (76 pages) some are in use one by one, and which these are."""
    rules, machine = small_rules(VERSION), marked(small_machine(VERSION), (0, 0, 0), (0, 0, 0))
    taken = []
    for _ in range(pages):
        machine, pfn, zone = alloc_fast(rules, machine, KERNEL)
        assert zone == 1
        taken.append(pfn)
    return machine, tuple(taken)


def full() -> tuple[Machine, tuple[int, ...]]:
    """NORMAL is all in use, and nothing may come from DMA."""
    machine, taken = used(76)
    return marked(machine, (400, 400, 400), (4, 8, 12)), taken


def ask(machine: Machine, asked: Request = KERNEL, task: Task = Task()) -> Asks:  # noqa: B008
    run = begin(way(), machine, asked, task)
    assert run.result == Asks(LookAtInactive(First.NOTHING), then(run))
    return run.result


def then(run: Run) -> Progress:
    assert isinstance(run.result, Asks), run.result
    return run.result.then


def go_on(run: Run | Asks, machine: Machine, answer: CleanInactive) -> Run:
    waiting = run if isinstance(run, Asks) else run.result
    assert isinstance(waiting, Asks), waiting
    return resume(way(), machine, waiting.then, answer)


def question(run: Run) -> First:
    assert isinstance(run.result, Asks), run.result
    assert isinstance(run.result.question, LookAtInactive)
    return run.result.question.first


# ---- marks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("low", "zone"), [(75, 1), (76, 1), (77, 0)])
def test_a_zone_answers_at_once_as_long_as_it_has_its_low_mark(low: int, zone: int) -> None:
    machine = marked(small_machine(VERSION), (1, 2, 3), (5, low, 90))
    assert alloc_fast(small_rules(VERSION), machine, KERNEL)[2] == zone


def test_clean_inactive_pages_count_as_free_ones() -> None:
    machine, taken = used(66)
    machine = marked(machine, (400, 400, 400), (1, 12, 14))
    waiting = ask(machine)
    run = go_on(waiting, machine, CleanInactive(((), taken[:5])))
    assert isinstance(run.result, Allocated)
    assert run.result.zone == 1
    assert run.result.pfn not in taken, "ten free pages are enough not to touch the inactive ones"
    assert run.state.zones[1].nr_free == 9
    assert run.events == ()
    low = go_on(waiting, machine, CleanInactive(((), taken[:3])))
    assert isinstance(low.result, Allocated), "13 pages are above the low mark, not above the high one"
    yielded = go_on(waiting, machine, CleanInactive(((), taken[:2])))
    assert (question(yielded), yielded.events) == (First.YIELD, (WOKEN,))


@pytest.mark.parametrize(("least", "inactive"), [(2, False), (3, True)])
def test_close_to_the_min_mark_a_clean_inactive_page_is_taken_instead(least: int, inactive: bool) -> None:
    machine, taken = used(66)
    machine = marked(machine, (400, 400, 400), (least, 12, 14))
    run = go_on(ask(machine), machine, CleanInactive(((), taken[:5])))
    assert isinstance(run.result, Allocated)
    assert (run.result.pfn == taken[0]) == inactive
    assert run.state.zones[1].nr_free == (10 if inactive else 9)
    assert broken(small_rules(VERSION), run.state) == ()


# ---- a single page ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gfp", "first"), [(GFP_KERNEL, First.WAIT), (GFP_NOFS, First.WAIT), (GFP_NOIO, First.RECLAIM)]
)
def test_a_single_page_is_waited_for_for_ever(gfp: int, first: First) -> None:
    machine, taken = full()
    run = go_on(ask(machine, request(0, gfp, grouping_disabled=True)), machine, NONE)
    for _ in range(4):
        assert question(run) == First.YIELD
        run = go_on(run, machine, NONE)
        assert question(run) == first
        run = go_on(run, machine, NONE)
    run = go_on(run, machine, CleanInactive(((), taken[-5:])))
    assert run.result == Allocated(taken[-5], 1)


def test_after_the_sleep_a_zone_with_plenty_answers_first() -> None:
    machine, taken = full()
    run = go_on(go_on(ask(machine), machine, NONE), machine, NONE)
    rules, better = small_rules(VERSION), machine
    for pfn in taken[:8]:
        better = free_pages(rules, better, 0, pfn, 0)
    run = go_on(run, better, CleanInactive(((), taken[-5:])))
    assert isinstance(run.result, Allocated)
    assert run.result.pfn in taken[:8]


def test_who_the_oom_killer_chose_takes_what_there_is_and_fails_without() -> None:
    machine, taken = full()
    run = go_on(go_on(ask(machine), machine, NONE), machine, NONE)
    assert question(run) == First.WAIT
    run = go_on(run, machine, CleanInactive((), chosen=True))
    assert question(run) == First.YIELD
    assert go_on(run, machine, CleanInactive(((), taken[:1]), chosen=True)).result == Allocated(taken[0], 1)
    from_dma = go_on(run, machine, CleanInactive((), chosen=True))
    assert isinstance(from_dma.result, Allocated)
    assert from_dma.result.zone == 0, "without marks"


# ---- who cannot wait, and reclaimers -----------------------------------------------------------------------


def test_who_cannot_wait_leaves_a_quarter_of_the_min_mark() -> None:
    atomic = request(0, GFP_ATOMIC, grouping_disabled=True)
    base = small_machine(VERSION)
    for marks, got in (((304, 400, 400), True), ((308, 400, 400), False)):
        machine = marked(base, (400, 400, 400), marks)
        run = go_on(ask(machine, atomic), machine, NONE)
        assert isinstance(run.result, Allocated) == got
        assert got or run.result == Failed(Reason.CANNOT_RECLAIM)
        assert run.events == (WakeupKswapd(0, 2, 0, GFP_ATOMIC),)


def test_who_cannot_wait_takes_no_inactive_page() -> None:
    atomic = request(0, GFP_ATOMIC, grouping_disabled=True)
    machine, taken = full()
    run = go_on(ask(machine, atomic), machine, CleanInactive(((), taken)))
    assert run.result == Failed(Reason.CANNOT_RECLAIM)


@pytest.mark.parametrize(
    ("task", "reason"), [(Task(memalloc=True), Reason.RECLAIMER), (Task(oom_victim=True), Reason.RECLAIMER)]
)
def test_a_reclaimer_may_take_the_very_last_page_and_does_not_reclaim(task: Task, reason: Reason) -> None:
    machine, taken = full()
    run = go_on(ask(machine, task=task), machine, CleanInactive(((), taken[:1])))
    assert question(run) == First.YIELD
    run = go_on(run, machine, CleanInactive(((), taken[:1])))
    assert isinstance(run.result, Allocated)
    assert run.result.zone == 0
    empty = replace(machine, zonelists=((1,),))
    run = go_on(go_on(ask(empty, task=task), empty, NONE), empty, CleanInactive(((), taken[:1])))
    assert run.result == Failed(reason)


# ---- blocks ------------------------------------------------------------------------------------------------


def test_a_block_comes_together_from_clean_inactive_pages() -> None:
    machine, taken = full()
    machine = marked(machine, (400, 400, 400), (400, 400, 400))
    run = go_on(go_on(ask(machine, PAIR), machine, NONE), machine, NONE)
    assert question(run) == First.LAUNDER
    even = tuple(sorted(pfn for pfn in taken if pfn % 2 == 0))
    pages = (*even[:3], even[2] + 1, even[0] + 1, *even[5:])
    run = go_on(run, machine, CleanInactive(((), pages)))
    assert run.result == Allocated(even[2], 1), "the first two pages whose buddies met"
    assert run.state.zones[1].nr_free == 2, "the others that were freed stay free"
    assert broken(small_rules(VERSION), run.state) == ()


def test_a_block_that_does_not_come_together_is_asked_for_once_more_and_given_up() -> None:
    machine, _ = full()
    machine = replace(machine, zonelists=((1,),))
    run = go_on(go_on(ask(machine, PAIR), machine, NONE), machine, NONE)
    run = go_on(run, machine, NONE)
    assert question(run) == First.WAIT
    assert go_on(run, machine, NONE).result == Failed(Reason.EXHAUSTED)


# ---- misuse ----------------------------------------------------------------------------------------------


def test_pages_that_are_not_in_use_are_no_answer() -> None:
    machine, taken = full()
    freed = free_pages(small_rules(VERSION), machine, 0, taken[0], 0)
    with pytest.raises(LinuxmmError, match=f"pfn {taken[0]} is no single page in use of zone 1"):
        go_on(ask(machine), freed, CleanInactive(((), taken[:1])))


def test_a_request_for_no_zone_fails() -> None:
    machine = replace(small_machine(VERSION), zonelists=((),))
    assert alloc_fast(small_rules(VERSION), machine, KERNEL)[2] == NOTHING
    assert begin(way(), machine, KERNEL, Task()).result == Failed(Reason.NO_ZONE)
