"""The whole request: which questions it asks, in which order, and how it ends."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.model.alloc.audit import broken, multiset
from linuxmm.model.alloc.buddy import rmqueue_smallest
from linuxmm.model.alloc.dialogue import (
    Allocated,
    Answer,
    Asks,
    Compacted,
    DirectCompaction,
    DirectReclaim,
    Failed,
    Killed,
    OomKill,
    Outcome,
    Path,
    Question,
    Reason,
    Reclaimed,
    Reschedule,
    Rescheduled,
    Task,
)
from linuxmm.model.alloc.events import WakeupKswapd
from linuxmm.model.alloc.freelist import HIGHATOMIC, NOTHING
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.path import path_of
from linuxmm.model.alloc.request import free_pages
from linuxmm.model.alloc.slowpath import begin, resume
from linuxmm.model.alloc.strategies import (
    GFPS,
    SMALL_MAX,
    Allocator,
    small_kernel,
    small_machine,
    small_rules,
)
from linuxmm.model.alloc.unreserve import unreserve_highatomic
from linuxmm.spec.alloc.gfp import (
    GFP_ATOMIC,
    GFP_DIRECT_RECLAIM_BIT,
    GFP_DMA_BIT,
    GFP_FS_BIT,
    GFP_KERNEL,
    GFP_NOFAIL_BIT,
    GFP_NORETRY_BIT,
    GFP_RETRY_MAYFAIL_BIT,
)
from linuxmm.spec.alloc.request import request
from linuxmm.spec.alloc.retry import (
    ASYNC,
    SYNC_FULL,
    SYNC_LIGHT,
    Compaction,
    atomic_never_waits,
    compact_again,
    no_recursion,
    nofail_never_fails,
    oom_may_kill,
)
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.kernel import Version
from linuxmm.spec.vocabulary import PAGE_ALLOC_COSTLY_ORDER

VERSIONS = ["2.6.18", "2.6.24", "3.9", "3.19", "4.4", "4.10", "5.10", "6.1.192", "6.12.117"]
NEW, OLD = "6.1.192", "4.4"


def path(version: str) -> Path:
    return path_of(small_kernel(version), small_rules(version))


def full(version: str) -> Machine:
    """A machine all of whose memory is in use."""
    machine = small_machine(version)
    return replace(
        machine,
        zones=tuple(
            replace(
                z,
                free=type(z.free)(),
                lists=tuple(tuple(() for _ in row) for row in z.lists),
                in_use=type(z.in_use)({pfn: (order, 1) for pfn, (order, _) in z.free.items()}),
                nr_free=0,
                nr_free_cma=0,
            )
            for z in machine.zones
        ),
    )


def dialogue(
    version: str,
    order: int,
    gfp: int,
    answers: Iterable[Answer],
    task: Task = Task(),  # noqa: B008
) -> tuple[list[Question], Outcome]:
    """The questions of a request on a full machine, until the answers end."""
    way = path(version)
    run = begin(way, full(version), request(order, gfp), task)
    asked: list[Question] = []
    for answer in answers:
        if not isinstance(run.result, Asks):
            break
        asked.append(run.result.question)
        run = resume(way, run.state, run.result.then, answer)
    return asked, run.result


def test_a_request_above_the_low_mark_asks_nothing_and_wakes_nobody() -> None:
    run = begin(path(NEW), small_machine(NEW), request(0, GFP_KERNEL), Task())
    assert isinstance(run.result, Allocated)
    assert run.events == ()


def test_below_the_low_mark_kswapd_is_woken_and_the_request_served() -> None:
    machine = small_machine(NEW)
    low = replace(machine, zones=tuple(replace(z, watermark=(4, 200, 300)) for z in machine.zones))
    run = begin(path(NEW), low, request(0, GFP_KERNEL), Task())
    assert isinstance(run.result, Allocated)
    assert run.events == (WakeupKswapd(0, 2, 0, GFP_KERNEL), WakeupKswapd(1, 2, 0, GFP_KERNEL))


def test_too_large_and_injected_failures_come_before_anything_else() -> None:
    machine = small_machine(NEW)
    assert begin(path(NEW), machine, request(11, GFP_KERNEL), Task()).result == Failed(Reason.TOO_LARGE)
    one = request(0, GFP_KERNEL)
    assert begin(path(NEW), machine, one, Task(), should_fail=True).result == Failed(Reason.INJECTED)
    spared = request(0, GFP_KERNEL | GFP_NOFAIL_BIT)
    assert isinstance(begin(path(NEW), machine, spared, Task(), should_fail=True).result, Allocated)


@pytest.mark.parametrize("version", VERSIONS)
def test_atomic_requests_and_reclaimers_fail_without_a_question(version: str) -> None:
    assert dialogue(version, 0, GFP_ATOMIC, ()) == ([], Failed(Reason.CANNOT_RECLAIM))
    assert dialogue(version, 0, GFP_KERNEL, (), Task(memalloc=True)) == ([], Failed(Reason.RECLAIMER))


INSISTS = GFP_KERNEL | GFP_NOFAIL_BIT


@pytest.mark.parametrize("version", VERSIONS)
def test_a_reclaimer_that_must_not_fail_waits_for_others(version: str) -> None:
    asked, outcome = dialogue(version, 0, INSISTS, [Rescheduled()] * 3, Task(memalloc=True))
    assert asked == [Reschedule()] * 3
    assert isinstance(outcome, Asks)
    assert outcome.question == Reschedule()
    assert outcome.then.task == Task(memalloc=True)


def test_what_must_not_fail_fails_at_costly_orders_from_4_7_to_4_10() -> None:
    for version, refused in (("4.4", False), ("4.10", True), ("4.11", False), ("6.12.117", False)):
        answers: list[Answer] = []
        for _ in range(6):
            _, outcome = dialogue(version, 4, INSISTS, answers)
            if not isinstance(outcome, Asks):
                break
            question = outcome.question
            answers.append(
                Reclaimed(0) if isinstance(question, DirectReclaim)
                else Killed(False) if isinstance(question, OomKill)
                else Rescheduled() if isinstance(question, Reschedule)
                else Compacted(Compaction.SKIPPED)
            )  # fmt: skip
        assert (outcome == Failed(Reason.COSTLY)) is refused, version
        assert isinstance(outcome, Asks) is not refused, version


def test_a_single_page_is_reclaimed_for_then_killed_for() -> None:
    asked, outcome = dialogue(NEW, 0, GFP_KERNEL, [Reclaimed(0), Killed(False)])
    assert asked == [DirectReclaim(0), OomKill()]
    assert outcome == Failed(Reason.EXHAUSTED)


def test_sixteen_rounds_without_progress_are_enough() -> None:
    hope = Reclaimed(0, (100, 100, 100))
    asked, outcome = dialogue(NEW, 0, GFP_KERNEL, [hope] * 17 + [Killed(False)])
    assert asked == [DirectReclaim(0)] * 17 + [OomKill()]
    assert outcome == Failed(Reason.EXHAUSTED)


def test_high_orders_compact_first_asynchronously_then_harder() -> None:
    failed = Compacted(Compaction.COMPLETE)
    answers: list[Answer] = [failed, Reclaimed(1), failed, Reclaimed(1), failed, Killed(False)]
    asked, outcome = dialogue(NEW, 2, GFP_KERNEL, answers)
    assert asked == [
        DirectCompaction(2, ASYNC),
        DirectReclaim(2),
        DirectCompaction(2, SYNC_LIGHT),
        DirectReclaim(2),
        DirectCompaction(2, SYNC_FULL),
        OomKill(),
    ]
    assert outcome == Failed(Reason.EXHAUSTED)


def test_costly_orders_give_up_unless_told_to_retry() -> None:
    answers: list[Answer] = [
        Compacted(Compaction.COMPLETE),
        Reclaimed(5),
        Compacted(Compaction.COMPLETE),
        Reclaimed(0),
    ]
    assert dialogue(NEW, 4, GFP_KERNEL, answers)[1] == Failed(Reason.COSTLY)
    assert dialogue(NEW, 4, GFP_KERNEL | GFP_NORETRY_BIT, [Compacted(Compaction.DEFERRED)]) == (
        [DirectCompaction(4, ASYNC)],
        Failed(Reason.COMPACTION),
    )
    assert dialogue(NEW, 4, GFP_KERNEL | GFP_NORETRY_BIT, answers)[0] == [
        DirectCompaction(4, ASYNC),
        DirectReclaim(4),
        DirectCompaction(4, ASYNC),
    ]
    asked, outcome = dialogue(NEW, 4, GFP_KERNEL | GFP_RETRY_MAYFAIL_BIT, [*answers, answers[2]] * 4)
    assert OomKill() not in asked
    assert outcome == Failed(Reason.EXHAUSTED)


def test_noretry_fails_after_one_round() -> None:
    assert dialogue(NEW, 0, GFP_KERNEL | GFP_NORETRY_BIT, [Reclaimed(0)]) == (
        [DirectReclaim(0)],
        Failed(Reason.NO_RETRY),
    )


def test_an_oom_victim_tries_its_reserve_and_then_fails() -> None:
    answers: list[Answer] = [Reclaimed(0), Killed(True, caller=True), Reclaimed(0), Killed(True)]
    asked, outcome = dialogue(NEW, 0, GFP_KERNEL, answers)
    assert asked == [DirectReclaim(0), OomKill(), DirectReclaim(0), OomKill()]
    assert outcome == Failed(Reason.VICTIM)


def test_up_to_4_6_reclaim_goes_on_while_it_frees_anything() -> None:
    asked, outcome = dialogue(OLD, 0, GFP_KERNEL, [Reclaimed(1)] * 40 + [Reclaimed(0), Killed(False)])
    assert asked == [DirectReclaim(0)] * 41 + [OomKill()]
    assert outcome == Failed(Reason.EXHAUSTED)
    done = Compacted(Compaction.COMPLETE)
    assert dialogue(OLD, 4, GFP_KERNEL, [done, Reclaimed(0), done])[0] == [
        DirectCompaction(4, ASYNC),
        DirectReclaim(4),
        DirectCompaction(4, SYNC_LIGHT),
    ]
    assert dialogue("2.6.24", 2, GFP_KERNEL, [Reclaimed(0), Killed(False)])[0] == [
        DirectReclaim(2),
        OomKill(),
    ]


def test_up_to_3_18_who_may_not_enter_filesystems_reclaims_for_ever() -> None:
    nofs = GFP_KERNEL & ~GFP_FS_BIT
    for version in ("2.6.18", "2.6.24", "3.9", "3.18"):
        asked, outcome = dialogue(version, 0, nofs, [Reclaimed(0)] * 20)
        assert asked == [DirectReclaim(0)] * 20
        assert isinstance(outcome, Asks)
    assert dialogue(OLD, 0, nofs, [Reclaimed(0), Killed(False)])[0] == [DirectReclaim(0), OomKill()]


@pytest.mark.parametrize(
    ("version", "order", "gfp", "kills"),
    [
        ("2.6.18", 4, GFP_KERNEL, True),
        ("2.6.24", 4, GFP_KERNEL, False),
        ("2.6.24", 3, GFP_KERNEL, True),
        ("2.6.35", 0, GFP_KERNEL | GFP_DMA_BIT, True),
        ("2.6.36", 0, GFP_KERNEL | GFP_DMA_BIT, False),
        ("3.18", 0, GFP_KERNEL | GFP_NORETRY_BIT, False),
    ],
)
def test_whom_a_kill_could_help(version: str, order: int, gfp: int, kills: bool) -> None:
    answers: list[Answer] = [Reclaimed(0)]
    if order and version >= "2.6.35":
        answers.insert(0, Compacted(Compaction.SKIPPED))
    outcome = dialogue(version, order, gfp, answers)[1]
    assert (isinstance(outcome, Asks) and outcome.question == OomKill()) is kills


def test_after_a_kill_the_request_begins_anew_at_the_min_mark() -> None:
    asked, outcome = dialogue("3.9", 0, GFP_KERNEL, [Reclaimed(0), Killed(False)] * 3)
    assert asked == [DirectReclaim(0), OomKill()] * 3
    assert isinstance(outcome, Asks)


@pytest.mark.parametrize(("version", "rounds"), [("2.6.24", 9), ("2.6.28", 2), ("3.9", 2)])
def test_how_long_a_costly_request_repeats(version: str, rounds: int) -> None:
    gfp = GFP_KERNEL | GFP_RETRY_MAYFAIL_BIT
    answers: list[Answer] = []
    for _ in range(9):
        answers += [Compacted(Compaction.SKIPPED)] if version == "3.9" else []
        answers.append(Reclaimed(8))
    asked = dialogue(version, 4, gfp, answers)[0]
    assert asked.count(DirectReclaim(4)) == rounds


@pytest.mark.parametrize(("version", "answered"), [("2.6.22", False), ("2.6.24", True), ("2.6.36", False)])
def test_when_the_per_cpu_lists_are_emptied_after_reclaim(version: str, answered: bool) -> None:
    """Pages stand on the lists of a CPU, and reclaim freed nothing."""
    way = path(version)
    run = begin(way, full(version), request(1, GFP_KERNEL), Task())
    while isinstance(run.result, Asks) and not isinstance(run.result.question, DirectReclaim):
        run = resume(way, run.state, run.result.then, Compacted(Compaction.SKIPPED))
    assert isinstance(run.result, Asks)
    held = run.state
    single = replace(held.zones[1], in_use=held.zones[1].in_use.set(90, (0, 1)).set(91, (0, 1)))
    held = replace(held, zones=(held.zones[0], single, held.zones[2]))
    for pfn in (90, 91):
        held = free_pages(way.rules, held, 1, pfn, 0)
    after = resume(way, held, run.result.then, Reclaimed(0)).state
    assert (after.zones[1].pcps[1].vars.pages == 0) is answered


def test_an_answer_of_another_kind_is_refused() -> None:
    way = path(NEW)
    run = begin(way, full(NEW), request(0, GFP_KERNEL), Task())
    assert isinstance(run.result, Asks)
    with pytest.raises(LinuxmmError, match="the request waits for Reclaimed, not Killed"):
        resume(way, run.state, run.result.then, Killed(True))


def test_reclaimed_pages_are_found_on_the_per_cpu_lists() -> None:
    way = path(NEW)
    run = begin(way, full(NEW), request(3, GFP_KERNEL), Task())
    assert isinstance(run.result, Asks)
    run = resume(way, run.state, run.result.then, Compacted(Compaction.SKIPPED))
    assert isinstance(run.result, Asks)
    assert run.result.question == DirectReclaim(3)
    held = Allocator(small_rules(NEW), run.state)
    zone = held.machine.zones[1]
    for pfn, (order, _) in sorted(zone.in_use.items())[:3]:
        held.free(1, pfn, order)
    run = resume(way, held.machine, run.result.then, Reclaimed(8))
    assert isinstance(run.result, Allocated)


@pytest.mark.parametrize("version", ["4.10", "6.1.192", "6.12.117"])
def test_the_atomic_reserve_is_given_back_before_a_request_fails(version: str) -> None:
    rules, machine = small_rules(version), small_machine(version)
    taken, pfn = rmqueue_smallest(rules, machine.zones[2], 1, 1)
    assert pfn != NOTHING
    kept = rules.reserve_highatomic(rules, replace(taken, managed=10000), pfn, 1)
    assert (kept.reserved_highatomic, kept.types.count(HIGHATOMIC)) == (8, 1)
    state = replace(machine, zones=(*machine.zones[:2], kept))
    one = request(0, GFP_KERNEL, node=1)
    assert unreserve_highatomic(small_kernel(version), rules, state, one, False) == (state, False)
    after, given = unreserve_highatomic(small_kernel(version), rules, state, one, True)
    assert given
    zone = after.zones[2]
    assert (zone.reserved_highatomic, zone.types.count(HIGHATOMIC), zone.lists[0][HIGHATOMIC]) == (0, 0, ())
    assert zone.nr_free == kept.nr_free


# ---- formulas --------------------------------------------------------------------------------------------


@given(
    order=st.integers(0, 10),
    result=st.sampled_from(list(Compaction)),
    suitable=st.booleans(),
    priority=st.integers(0, 2),
    retries=st.integers(0, 20),
)
def test_compaction_never_loses_priority_and_stops(
    order: int, result: Compaction, suitable: bool, priority: int, retries: int
) -> None:
    again, harder, count = compact_again(order, result, suitable, priority, retries)
    assert harder <= priority
    if result is not Compaction.SKIPPED and result is Compaction.SUCCESS and again:
        assert harder < priority or count == retries + 1


def test_who_may_be_killed_for() -> None:
    assert oom_may_kill(3, GFP_KERNEL, 2, False)
    assert not oom_may_kill(4, GFP_KERNEL, 2, False)
    assert not oom_may_kill(0, GFP_KERNEL | GFP_RETRY_MAYFAIL_BIT, 2, False)
    assert not oom_may_kill(0, GFP_KERNEL, 1, False)
    assert not oom_may_kill(0, GFP_KERNEL, 2, True)


def test_broken_promises_are_noticed() -> None:
    assert not atomic_never_waits(False, True)
    assert not no_recursion(True, True)
    assert not nofail_never_fails(True, True, True)
    assert nofail_never_fails(True, False, True)


ANSWERS = st.tuples(st.integers(0, 2), st.sampled_from(list(Compaction)), st.booleans(), st.booleans())


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=20, deadline=None)
@given(
    order=st.integers(0, SMALL_MAX),
    gfp=st.sampled_from(GFPS),
    extra=st.sampled_from([0, GFP_NOFAIL_BIT, GFP_NORETRY_BIT, GFP_RETRY_MAYFAIL_BIT]),
    memalloc=st.booleans(),
    earlier=st.integers(0, 200),
    answers=st.lists(ANSWERS, max_size=12),
)
def test_every_request_keeps_the_promises_of_its_flags(
    version: str,
    order: int,
    gfp: int,
    extra: int,
    memalloc: bool,
    earlier: int,
    answers: list[tuple[int, Compaction, bool, bool]],
) -> None:
    way = path(version)
    start = Allocator(small_rules(version), small_machine(version))
    for _ in range(earlier):
        start.alloc(request(0, GFP_KERNEL))
    before = start.machine
    run = begin(way, before, request(order, gfp | extra), Task(memalloc=memalloc))
    asked = isinstance(run.result, Asks)
    direct = bool(gfp & GFP_DIRECT_RECLAIM_BIT)
    assert atomic_never_waits(direct, asked)
    reclaims = isinstance(run.result, Asks) and not isinstance(run.result.question, Reschedule)
    assert no_recursion(memalloc, reclaims)
    if isinstance(run.result, Failed):
        assert [multiset(z) for z in run.state.zones] == [multiset(z) for z in before.zones]
    for pages, result, yes, caller in answers:
        if not isinstance(run.result, Asks):
            break
        question = run.result.question
        answer: Answer = Compacted(result, yes)
        if isinstance(question, DirectReclaim):
            answer = Reclaimed(pages, (pages * 10,) * 3)
        elif isinstance(question, OomKill):
            answer = Killed(yes, caller)
        elif isinstance(question, Reschedule):
            answer = Rescheduled()
        run = resume(way, run.state, run.result.then, answer)
    insists = way.kernel.version >= Version(4, 11) or not extra & GFP_NORETRY_BIT
    refused = isinstance(run.result, Failed) and insists and order <= PAGE_ALLOC_COSTLY_ORDER
    assert nofail_never_fails(bool(extra & GFP_NOFAIL_BIT), direct, refused)
    assert broken(way.rules, run.state) == ()
