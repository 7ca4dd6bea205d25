"""Shrinkers: what a pass scans and defers, and how many of them it asks."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from immutables import Map

from linuxmm.model.reclaim.accesses import bring_in
from linuxmm.model.reclaim.caches import Shrinker
from linuxmm.model.reclaim.events import MmShrinkSlabEnd, MmShrinkSlabStart
from linuxmm.model.reclaim.profile import rules_for
from linuxmm.model.reclaim.rules import Control
from linuxmm.model.reclaim.shrinkers import (
    Groups,
    add_object,
    bits_cover,
    clear_bit,
    look_again,
    shrink_all,
    shrink_by_bits,
    shrink_one,
    shrink_slab,
)
from linuxmm.model.reclaim.state import PINNED, Lruvec, ZoneMarks, flag
from linuxmm.model.reclaim.strategies import ERAS, machine
from linuxmm.model.vm.explore import search
from linuxmm.spec.kernel import kernel
from linuxmm.spec.step import Refusal, Step


@pytest.mark.parametrize(
    ("release", "freed", "deferred"),
    [
        ("2.6.12", 1280, 120),
        ("2.6.24", 1280, 120),
        ("3.10", 896, 104),
        ("4.9", 896, 104),
        ("4.10", 896, 504),
        ("4.18", 896, 354),
        ("6.12", 256, 994),
    ],
)
def test_a_pass_over_one_cache(release: str, freed: int, deferred: int) -> None:
    step = shrink_one(rules_for(kernel(release)), Shrinker(1, 2000, deferred=1000), 4, 100, 999)
    assert step.result == freed
    assert step.state == Shrinker(1, 2000 - freed, deferred=deferred)


def test_events_of_a_pass() -> None:
    step = shrink_one(rules_for(kernel("6.1")), Shrinker(5, 2000, deferred=1000), 4)
    assert step.events == (
        MmShrinkSlabStart(5, 1000, 2000, 250, 312),
        MmShrinkSlabEnd(5, 1000, 994, 56, 256),
    )


def test_an_empty_cache_is_not_asked_and_a_stopped_one_defers() -> None:
    rules = rules_for(kernel("6.1"))
    assert shrink_one(rules, Shrinker(1, 0, deferred=9), 0) == Step(Shrinker(1, 0, deferred=9), 0)
    stopped = shrink_one(rules, Shrinker(1, 100, stopped=True), 0)
    assert (stopped.result, stopped.state.deferred) == (0, 200)


@given(
    st.sampled_from(["2.6.24", "3.4", "4.10", "4.18", "5.4", "6.12"]),
    st.integers(1, 5000),
    st.integers(0, 20_000),
    st.integers(0, 12),
    st.integers(1, 4),
)
def test_a_pass_frees_at_most_what_there_is(
    release: str, objects: int, deferred: int, priority: int, seeks: int
) -> None:
    shrinker = Shrinker(1, objects, seeks=seeks, deferred=deferred)
    step = shrink_one(rules_for(kernel(release)), shrinker, priority, 50, 700)
    assert 0 <= step.result <= objects
    assert step.state.deferred >= 0
    if release == "6.12":
        assert step.state.deferred <= 2 * objects


def test_bits_visit_those_with_objects_alone() -> None:
    groups = Groups(50, 100, Map(), frozenset())
    for group in range(50):
        groups = add_object(groups, group, group)
    everywhere, freed = shrink_all(groups)
    assert (everywhere.calls, freed) == (5000, 50)
    by_bits, freed = shrink_by_bits(groups)
    assert (by_bits.calls, freed) == (50, 50)
    assert by_bits.bits == groups.bits
    again, freed = shrink_by_bits(by_bits)
    assert (again.calls, freed, again.bits) == (150, 0, frozenset())


Race = tuple[Groups, int, int, bool]
"""Groups, steps of the pass that clears a bit, objects still to come, object of which the bit is not set."""


def race(state: Race, second_look: bool) -> list[tuple[str, Race]]:
    groups, done, coming, unset = state
    following: list[tuple[str, Race]] = []
    if done == 0:
        following.append(("clear", (clear_bit(groups, 0, 0), 1, coming, unset)))
    if done == 1:
        after = look_again(groups, 0, 0) if second_look else groups
        following.append(("look", (after, 2, coming, unset)))
    if coming:
        at = groups.objects.set((0, 0), groups.objects.get((0, 0), 0) + 1)
        held = Groups(1, 1, at, groups.bits, groups.calls)
        following.append(("object", (held, done, coming - 1, True)))
    if unset:
        set_bit = Groups(1, 1, groups.objects, groups.bits | {(0, 0)}, groups.calls)
        following.append(("bit", (set_bit, done, coming, False)))
    return following


def lost(state: Race) -> Refusal | None:
    groups, done, coming, unset = state
    if done == 2 and not coming and not unset and not bits_cover(groups):
        return Refusal("reclaim.shrinker.bits", "an object without its bit, and nobody to set it")
    return None


def test_no_object_is_lost_however_adding_and_clearing_interleave() -> None:
    start: Race = (Groups(1, 1, Map(), frozenset({(0, 0)})), 0, 2, False)
    found = search(start, lambda state: race(state, True), lost)
    assert found.broken is None
    assert found.states > 10


def test_a_bit_set_before_its_object_would_be_lost_without_the_second_look() -> None:
    def wrong(state: Race) -> list[tuple[str, Race]]:
        groups, done, coming, _ = state
        following = [step for step in race(state, False) if step[0] in ("clear", "look")]
        if coming:
            held = groups.objects.set((0, 0), 1)
            bits = groups.bits | {(0, 0)} if (0, 0) not in groups.bits and done == 2 else groups.bits
            following.append(("object", (Groups(1, 1, held, bits), done, coming - 1, False)))
        return following

    start: Race = (Groups(1, 1, Map(), frozenset({(0, 0)})), 0, 1, False)
    found = search(start, wrong, lost)
    assert found.broken is not None
    assert found.trace in (("clear", "object", "look"), ("object", "clear", "look"))


def test_the_bits_cover_what_there_is() -> None:
    assert bits_cover(Groups(1, 1, Map({(0, 0): 1}), frozenset({(0, 0)})))
    assert not bits_cover(Groups(1, 1, Map({(0, 0): 1}), frozenset()))


# ---- within the loops of reclaim ---------------------------------------------------------------------------


def pinned(release: str, pages: int, *caches: Shrinker) -> Lruvec:
    """Pages of files that somebody holds, and caches that may give pages instead."""
    rules = rules_for(kernel(release), False)
    v = replace(machine(pages), zones=(ZoneMarks(pages + 100, pages, 4, 8, 16),), shrinkers=caches)
    for page in range(pages):
        v = flag(bring_in(rules, v, page, page), page, PINNED, True)
    return replace(v, log=())


@pytest.mark.parametrize("release", [era for era in ERAS if not era.startswith("2.4")])
def test_caches_give_what_the_lists_cannot(release: str) -> None:
    """Every era asks the caches in every pass, so a request is served though no page of a list can go."""
    rules = rules_for(kernel(release), False)
    v, progress = rules.direct(rules, pinned(release, 64, Shrinker(7, 2000)), 0, 60, None)
    assert progress.reclaimed >= 32
    assert v.zones[0].free == progress.reclaimed == 125 - v.shrinkers[0].pages
    assert v.counters["slabs_scanned"] >= 2000 - v.shrinkers[0].objects > 0
    assert len(v.pages) == 64
    ends = [event.retval for event in v.log if isinstance(event, MmShrinkSlabEnd)]
    assert sum(ends) == 2000 - v.shrinkers[0].objects


@pytest.mark.parametrize("release", ["2.6.24", "4.9", "6.12"])
def test_the_daemon_asks_them_too(release: str) -> None:
    rules = rules_for(kernel(release), False)
    v = pinned(release, 64, Shrinker(7, 4000))
    v, progress = rules.daemon(rules, v, 60, None)
    assert v.zones[0].free == progress.reclaimed > v.zones[0].high


def test_until_4_16_the_share_goes_by_the_pages_scanned_and_then_by_priority() -> None:
    old, new = rules_for(kernel("4.9"), False), rules_for(kernel("6.12"), False)
    control = Control(12, 32)
    v = pinned("4.9", 64, Shrinker(1, 1024))
    scans = {}
    for name, rules in (("4.9", old), ("6.12", new)):
        for scanned in (0, 64):
            after, _ = shrink_slab(rules, v, control, scanned)
            scans[name, scanned] = [e.delta for e in after.log if isinstance(e, MmShrinkSlabStart)]
    assert scans == {
        ("4.9", 0): [1008],  # nothing scanned counts as 32 pages
        ("4.9", 64): [2016],
        ("6.12", 0): [0],
        ("6.12", 64): [0],
    }
    after, _ = shrink_slab(new, v, control._replace(priority=6), 0)
    assert [e.delta for e in after.log if isinstance(e, MmShrinkSlabStart)] == [32]


def test_a_cache_that_cannot_be_entered_gives_nothing() -> None:
    rules = rules_for(kernel("6.1"), False)
    v, progress = rules.direct(rules, pinned("6.1", 8, Shrinker(7, 500, stopped=True)), 0, 60, None)
    assert (progress.reclaimed, v.shrinkers[0].objects) == (0, 500)
    assert v.shrinkers[0].deferred > 0
