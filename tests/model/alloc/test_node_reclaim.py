"""Reclaim on the node first (vm.zone_reclaim_mode): who is asked, what the answers lead to."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.model.alloc.dialogue import (
    Allocated,
    Asks,
    DirectReclaim,
    Failed,
    NodeReclaim,
    NodeReclaimed,
    Path,
    Reason,
    Reclaimed,
    Run,
    Task,
)
from linuxmm.model.alloc.freelist import NOTHING
from linuxmm.model.alloc.machine import Machine, full_zones, set_clock, set_full_zones, set_turn_left
from linuxmm.model.alloc.node_reclaim import STYLES, walk_reclaiming
from linuxmm.model.alloc.path import path_of
from linuxmm.model.alloc.slowpath import begin, resume
from linuxmm.model.alloc.strategies import small_kernel, small_machine, small_rules
from linuxmm.spec.alloc.gfp import (
    ALLOC_FAIR,
    ALLOC_NOFRAGMENT,
    GFP_ATOMIC,
    GFP_COLD_BIT,
    GFP_KERNEL,
    GFP_THISNODE_BIT,
    GFP_WRITE_BIT,
)
from linuxmm.spec.alloc.request import Request, request
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.kernel import behaviours

VERSIONS = (
    "2.6.24",
    "2.6.32",
    "3.10",
    "3.14",
    "3.16",
    "3.19",
    "4.4",
    "4.7",
    "4.10",
    "5.4",
    "6.12.117",
)
ASK = request(0, GFP_KERNEL)
EVERYWHERE = -1
NOSCAN, FULL, SOME, SUCCESS = (
    NodeReclaimed.NOSCAN,
    NodeReclaimed.FULL,
    NodeReclaimed.SOME,
    NodeReclaimed.SUCCESS,
)


def path(version: str) -> Path:
    return path_of(small_kernel(version), small_rules(version))


def short(version: str, *zones: int) -> Machine:
    """A machine in which some zones fail every watermark test."""
    machine = small_machine(version)
    marked = (replace(z, watermark=(500,) * 3) if i in zones else z for i, z in enumerate(machine.zones))
    machine = replace(machine, zones=tuple(marked))
    for index in range(3):
        machine = set_turn_left(machine, index, 0 if index not in (0, 1, 2) else 9)
    return machine


def relieved(machine: Machine, zone: int) -> Machine:
    """The machine after reclaim freed enough in a zone."""
    zones = machine.zones
    free = replace(zones[zone], watermark=(4, 6, 8))
    return replace(machine, zones=(*zones[:zone], free, *zones[zone + 1 :]))


def answer(version: str, run: Run, *answers: NodeReclaimed, frees: int = NOTHING) -> Run:
    """Go on with answers; `frees` is the zone that each of them relieves."""
    for one in answers:
        assert isinstance(run.result, Asks)
        machine = run.state if frees == NOTHING else relieved(run.state, frees)
        run = resume(path(version), machine, run.result.then, one)
    return run


# ---- the walk --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.6.18", "3.4", *VERSIONS])
@settings(max_examples=40, deadline=None)
@given(
    short_zones=st.sets(st.integers(0, 2)),
    noted=st.integers(0, 7),
    turns=st.tuples(*(st.integers(-1, 2),) * 3),
    now=st.sampled_from([0, 1001]),
    nodes=st.integers(1, 2),
    flags=st.sampled_from([0, 1, 2]),
    extra=st.sampled_from([0, ALLOC_FAIR, ALLOC_NOFRAGMENT]),
    gfp=st.sampled_from([0, GFP_COLD_BIT, GFP_WRITE_BIT, GFP_THISNODE_BIT]),
    dirty=st.integers(0, 3),
    node=st.integers(0, 1),
)
def test_without_reclaim_it_is_the_walk_of_the_era(
    version: str,
    short_zones: set[int],
    noted: int,
    turns: tuple[int, ...],
    now: int,
    nodes: int,
    flags: int,
    extra: int,
    gfp: int,
    dirty: int,
    node: int,
) -> None:
    machine = set_clock(replace(short(version, *short_zones), nr_nodes=nodes), now)
    machine = set_full_zones(machine, 0, noted)
    for index, left in enumerate(turns):
        machine = set_turn_left(machine, index, left)
    known = ALLOC_FAIR if "3.12" <= version < "4.8" and version[0] in "34" else 0
    if extra == ALLOC_NOFRAGMENT and version[0] in "56":
        known = ALLOC_NOFRAGMENT
    asked = request(0, GFP_KERNEL | gfp, node=node if nodes == 2 else 0, dirty_full=dirty)
    rules, kernel = small_rules(version), small_kernel(version)
    plain = rules.walk(rules, machine, asked, flags | (extra & known), True)

    def never(_: Machine, zone: int) -> tuple[Machine, NodeReclaimed]:
        raise AssertionError(f"asked about zone {zone}")

    walked = walk_reclaiming(kernel, rules, machine, asked, flags | (extra & known), True, 0, never)
    assert walked == plain


def test_every_walk_since_2_6_has_a_style() -> None:
    walks = {b.name for b in behaviours() if b.rule == "alloc.walk" and b.since >= (2, 6, 0)}
    assert walks == set(STYLES)


# ---- questions and answers -------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_success_on_the_node_answers_there(version: str) -> None:
    run = begin(path(version), short(version, 0, 1), ASK, Task(), reclaim_nodes=0b01)
    assert isinstance(run.result, Asks)
    assert run.result.question == NodeReclaim(0, 1)
    done = answer(version, run, SUCCESS, frees=1)
    assert isinstance(done.result, Allocated)
    assert done.result.zone == 1
    with pytest.raises(LinuxmmError, match="waits for NodeReclaimed, not Reclaimed"):
        resume(path(version), run.state, run.result.then, Reclaimed(1))


@pytest.mark.parametrize("version", [v for v in VERSIONS if v != "3.14"])
def test_where_nothing_was_freed_the_walk_goes_on_and_then_off_the_node(
    version: str,
) -> None:
    run = begin(path(version), short(version, 0, 1), ASK, Task(), reclaim_nodes=0b01)
    asked = []
    while isinstance(run.result, Asks):
        assert isinstance(run.result.question, NodeReclaim)
        asked.append(run.result.question.zone)
        run = answer(version, run, NOSCAN)
    assert isinstance(run.result, Allocated)
    assert run.result.zone == 2
    assert asked[:2] == [1, 0]
    assert set(asked) == {0, 1}


@pytest.mark.parametrize(("version", "zone"), [("2.6.28", 1), ("2.6.31", 0), ("6.1.192", 0)])
def test_up_to_2_6_30_success_is_trusted_without_another_look(version: str, zone: int) -> None:
    run = begin(path(version), short(version, 1), ASK, Task(), reclaim_nodes=0b01)
    assert answer(version, run, SUCCESS).result == Allocated(
        answer(version, run, SUCCESS).result.pfn,  # type: ignore[union-attr]
        zone,
    )


@pytest.mark.parametrize(
    ("version", "result", "at_low"),
    [
        ("2.6.28", NOSCAN, True),
        ("2.6.32", NOSCAN, False),
        ("2.6.32", FULL, True),
        ("3.4", FULL, False),
        ("3.4", SUCCESS, True),
        ("3.10", SUCCESS, False),
        ("3.10", SOME, True),
        ("3.19", SOME, True),
        ("3.19", SUCCESS, False),
    ],
)
def test_which_answers_leave_the_zone_full(version: str, result: NodeReclaimed, at_low: bool) -> None:
    rules, machine = small_rules(version), short(version, 1)
    after, _, index = walk_reclaiming(
        small_kernel(version), rules, machine, ASK, 1, True, 0b01, lambda m, zone: (m, result)
    )
    assert index == 0 or (version == "2.6.28" and result is SUCCESS)
    assert bool(full_zones(after, 0) & 0b010) is at_low
    at_min = walk_reclaiming(
        small_kernel(version), rules, machine, ASK, 0, True, 0b01, lambda m, zone: (m, result)
    )
    assert bool(full_zones(at_min[0], 0) & 0b010) is (at_low or (version, result) in _FULL_AT_MIN)


_FULL_AT_MIN = {("3.10", SUCCESS), ("3.19", SUCCESS)}


def test_a_zone_noted_as_full_is_not_reclaimed_in_since_3_1() -> None:
    asked: list[int] = []

    def ask(machine: Machine, zone: int) -> tuple[Machine, NodeReclaimed]:
        asked.append(zone)
        return machine, NOSCAN

    for version, zones in (("3.0", [1]), ("3.4", [])):
        asked.clear()
        machine = set_full_zones(short(version, 1), 0, 0b010)
        walk_reclaiming(small_kernel(version), small_rules(version), machine, ASK, 1, True, 0b01, ask)
        assert asked == zones


def test_a_distant_node_is_not_asked() -> None:
    run = begin(path("6.12.117"), short("6.12.117", 0, 1, 2), ASK, Task(), reclaim_nodes=0b10)
    assert isinstance(run.result, Asks)
    assert run.result.question == NodeReclaim(0, 2)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_rest_of_the_request_goes_on_as_ever(version: str) -> None:
    """Every question about a node answered in vain, the request ends as it would without."""
    for asked, task in ((ASK, Task()), (request(0, GFP_ATOMIC), Task()), (ASK, Task(memalloc=True))):
        ends = [_run_out(version, asked, task, nodes) for nodes in (0, EVERYWHERE)]
        assert ends[0] == ends[1]


def _run_out(version: str, asked: Request, task: Task, nodes: int) -> tuple[list[object], object]:
    machine = short(version, 0, 1, 2)
    zones = tuple(replace(z, free=type(z.free)(), nr_free=0) for z in machine.zones)
    empty = tuple(replace(z, lists=tuple(tuple(() for _ in row) for row in z.lists)) for z in zones)
    run = begin(path(version), replace(machine, zones=empty), asked, task, reclaim_nodes=nodes)
    questions: list[object] = []
    while isinstance(run.result, Asks) and len(questions) < 3:
        question = run.result.question
        if isinstance(question, NodeReclaim):
            run = answer(version, run, NOSCAN)
            continue
        questions.append(question)
        reply = Reclaimed(0) if isinstance(question, DirectReclaim) else None
        if reply is None:
            break
        assert isinstance(run.result, Asks)
        run = resume(path(version), run.state, run.result.then, reply)
    return questions, run.result if isinstance(run.result, Failed) else Reason
