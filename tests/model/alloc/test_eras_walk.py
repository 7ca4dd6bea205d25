"""Walks of the zonelist as the kernels of an era made them: the cache of full zones, and fair turns."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.model.alloc.dialogue import Asks, DirectReclaim, Reclaimed, Task
from linuxmm.model.alloc.freelist import NOTHING, pcp_tail
from linuxmm.model.alloc.machine import (
    Machine,
    full_zones,
    set_clock,
    set_full_zones,
    set_turn_left,
    turn_left,
)
from linuxmm.model.alloc.path import path_of
from linuxmm.model.alloc.request import alloc_fast, alloc_min, get_page_from_freelist
from linuxmm.model.alloc.slowpath import begin, resume
from linuxmm.model.alloc.strategies import small_kernel, small_machine, small_rules
from linuxmm.model.alloc.zonelist_eras import cache_never_refuses
from linuxmm.spec.alloc.gfp import (
    GFP_KERNEL,
    GFP_NORETRY_BIT,
    GFP_NOWARN_BIT,
    GFP_THISNODE_BIT,
    GFP_WRITE_BIT,
)
from linuxmm.spec.alloc.request import Request, request

ASK = request(0, GFP_KERNEL)
CACHING = ("2.6.20", "2.6.24", "2.6.32", "3.4", "3.10", "3.14", "3.16", "3.19", "4.2")
PLAIN = ("2.6.11", "4.10", "4.15")
FAIR = ("3.14", "3.16", "3.19", "4.2", "4.4", "4.7")


def exhausted(version: str, zones: tuple[int, ...], nodes: int = 2) -> Machine:
    """A machine in which some zones fail every watermark test."""
    machine = small_machine(version)
    short = tuple(
        replace(z, watermark=(500, 500, 500)) if i in zones else z for i, z in enumerate(machine.zones)
    )
    return replace(machine, zones=short, nr_nodes=nodes)


def fast(version: str, machine: Machine, asked: Request = ASK) -> tuple[Machine, int]:
    """The zone that answers the first attempt."""
    machine, _, index = alloc_fast(small_rules(version), machine, asked)
    return machine, index


# ---- the cache of full zones -----------------------------------------------------------------------------


@pytest.mark.parametrize("version", CACHING)
def test_a_full_zone_is_remembered_for_a_second(version: str) -> None:
    early = version in ("2.6.20", "2.6.24", "2.6.32")
    machine = set_clock(exhausted(version, (0, 1)), 5000)
    machine, _, index = alloc_min(small_rules(version), machine, ASK, False)
    assert (index, full_zones(machine, 0)) == (2, 0b001 if early else 0b011)
    freed = set_turns(replace(machine, zones=exhausted(version, (1,)).zones), 9)
    assert fast(version, set_clock(freed, 6000))[1] == (0 if version in FAIR else 2)
    assert fast(version, set_clock(freed, 6001))[1] == 0


def set_turns(machine: Machine, pages: int) -> Machine:
    """Every zone may hand out that many pages in its turn."""
    for index in range(len(machine.zones)):
        machine = set_turn_left(machine, index, pages)
    return machine


@pytest.mark.parametrize(
    ("version", "index"),
    [("2.6.11", 0), ("2.6.20", 2), ("2.6.32", 2), ("3.10", 2), ("4.2", 2), ("4.10", 0)],
)
def test_a_zone_noted_as_full_is_passed_over_although_it_has_memory(version: str, index: int) -> None:
    machine = set_clock(exhausted(version, (1,)), 500)
    machine = set_full_zones(machine, 0, 0b001)
    asked = ASK if version != "4.2" else request(0, GFP_KERNEL, nodemask=-1)
    rules = small_rules(version)
    assert rules.walk(rules, machine, asked, 1, True)[2] == index


@pytest.mark.parametrize(
    ("version", "noted", "answers"),
    [("2.6.28", 0b010, 0), ("2.6.32", 0b010, 0), ("3.10", 0b010, 0), ("3.16", 0, 0)],
)
def test_on_one_node_a_full_zone_may_be_noted_but_is_tried_again_since_2_6_31(
    version: str, noted: int, answers: int
) -> None:
    machine = exhausted(version, (1,), nodes=1)
    rules = small_rules(version)
    machine, _, index = rules.walk(rules, machine, ASK, 1, True)
    assert (full_zones(machine, 0), index) == (noted, answers)
    passed_over = set_full_zones(exhausted(version, (1,), nodes=1), 0, 0b001)
    assert rules.walk(rules, passed_over, ASK, 1, True)[2] == (2 if version == "2.6.28" else 0)


@pytest.mark.parametrize(
    ("version", "noted"), [("3.0", 0), ("3.4", 0b010), ("3.14", 0b010), ("3.16", 0), ("4.2", 0)]
)
def test_a_node_over_its_dirty_limit_counts_as_full_from_3_1_to_3_15(version: str, noted: int) -> None:
    asked = request(0, GFP_KERNEL | GFP_WRITE_BIT, dirty_full=0b1)
    rules = small_rules(version)
    machine, _, index = rules.walk(rules, small_machine(version), asked, 1, True)
    assert full_zones(machine, 0) & 0b010 == noted
    assert index == (1 if version == "3.0" else 2)


@pytest.mark.parametrize(("version", "remembers"), [("2.6.39", True), ("3.1", False), ("4.2", False)])
def test_progress_of_reclaim_makes_a_zonelist_forget_since_3_1(version: str, remembers: bool) -> None:
    machine = exhausted(version, (0, 1, 2))
    way = path_of(small_kernel(version), small_rules(version))
    run = begin(way, machine, ASK, Task())
    assert isinstance(run.result, Asks)
    assert run.result.question == DirectReclaim(0)
    noted = set_full_zones(run.state, 0, 0b1000)
    run = resume(way, noted, run.result.then, Reclaimed(1))
    assert bool(full_zones(run.state, 0) & 0b1000) is remembers


@settings(max_examples=60, deadline=None)
@given(
    version=st.sampled_from(CACHING + FAIR + PLAIN),
    short=st.sets(st.integers(0, 2)),
    noted=st.integers(0, 7),
    turns=st.integers(-1, 2),
    now=st.sampled_from([0, 999, 1001]),
    nodes=st.integers(1, 2),
)
def test_neither_cache_nor_turns_refuse(
    version: str, short: set[int], noted: int, turns: int, now: int, nodes: int
) -> None:
    machine = set_turns(set_full_zones(exhausted(version, tuple(short), nodes), 0, noted), turns)
    rules = small_rules(version)
    found = alloc_fast(rules, set_clock(machine, now), ASK)
    if found[1] == NOTHING:
        found = alloc_min(rules, found[0], ASK, False)
    plain = get_page_from_freelist(rules, machine, ASK, 1, False)
    assert cache_never_refuses(found[1] != NOTHING, plain[1] != NOTHING)
    assert not cache_never_refuses(True, False)


# ---- fair turns --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "used"),
    [
        ("3.11", [1] * 8),
        ("3.14", [1, 1, 0, 0, -1, 1, 1, 0]),
        ("3.16", [1, 1, 0, 0, 1, 1, 0, 0]),
        ("3.19", [1, 1, 0, 0, 1, 1, 0, 0]),
        ("4.4", [1, 1, 0, 0, 1, 1, 0, 0]),
        ("4.7", [1, 1, 0, 0, 1, 1, 0, 0]),
        ("4.8", [1] * 8),
    ],
)
def test_local_zones_take_turns_from_3_12_to_4_7(version: str, used: list[int]) -> None:
    machine, found = small_machine(version), []
    assert turn_left(machine, 1) == (0 if version in ("3.11", "4.8") else 2)
    for _ in used:
        machine, index = fast(version, machine)
        found.append(index)
    assert found == used


@pytest.mark.parametrize(("version", "index"), [("3.14", NOTHING), ("3.16", 2), ("4.4", 2), ("4.7", 2)])
def test_when_the_local_node_is_short_the_first_attempt_goes_elsewhere_since_3_15(
    version: str, index: int
) -> None:
    machine, found = fast(version, set_turns(exhausted(version, (0, 1)), 2))
    assert found == index
    rules = small_rules(version)
    assert alloc_min(rules, machine, ASK, False)[2] == 2


@pytest.mark.parametrize(("version", "left"), [("4.6", (2, 2, -1)), ("4.7", (2, 2, 1))])
def test_in_4_7_a_remote_zone_takes_part_when_no_local_zone_was_passed_over(
    version: str, left: tuple[int, ...]
) -> None:
    machine = set_turn_left(set_turns(exhausted(version, (0, 1)), 2), 2, 0 if version == "4.6" else 2)
    machine, index = fast(version, machine)
    assert (index, tuple(turn_left(machine, i) for i in range(3))) == (2, left)


@pytest.mark.parametrize(("version", "left"), [("3.14", 2), ("3.16", 1)])
def test_requests_for_one_node_take_no_part_up_to_3_14(version: str, left: int) -> None:
    gfp = GFP_KERNEL | GFP_THISNODE_BIT | GFP_NOWARN_BIT | GFP_NORETRY_BIT
    machine, index = fast(version, small_machine(version), request(0, gfp, nodemask=1))
    assert (index, turn_left(machine, 1)) == (1, left)


def test_the_slow_path_counts_against_a_turn_too() -> None:
    rules = small_rules("4.4")
    machine, _, index = alloc_min(rules, small_machine("4.4"), ASK, False)
    assert (index, turn_left(machine, 1)) == (1, 1)
    assert pcp_tail(machine.zones[1], 0, 0) != NOTHING
