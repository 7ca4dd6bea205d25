"""Swap of groups: slots in version 1 and 2, limits, and the peak that each open file shows."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from linuxmm.model.memcg.charge import charge
from linuxmm.model.memcg.charged import Ask, Charged, GroupEvent, Kind, Stock, World, drain_below, give_back
from linuxmm.model.memcg.counter import NOBODY, force_charge, tree
from linuxmm.model.memcg.swap import (
    Peaks,
    online_above,
    peak_moves,
    peak_read,
    peak_write,
    slots_left,
    swap_free,
    swap_out,
    take_slots,
    write_swap_high,
    write_swap_max,
)
from linuxmm.model.vm.explore import Finding, search
from linuxmm.spec.kernel import kernel
from linuxmm.spec.memcg.files import memsw_above
from linuxmm.spec.memcg.swapping import (
    lift_to_peak,
    lift_to_usage,
    peak_kept,
    peak_since,
    refaults_first,
    swap_left,
    swap_within,
)
from linuxmm.spec.step import Err, Errno, Refusal

NEW = kernel("6.1")
PARENT: Final = (NOBODY, 0, 1)
IDLE = World(lambda s, g, n, w: (s, 0), lambda s, g: (s, False))
FAIL, MAX = GroupEvent(Kind.SWAP_FAIL, 2), GroupEvent(Kind.SWAP_MAX, 2)


def second(limit: int = 9) -> Charged:
    """Version 2: a group within a group within the root, with a limit of swap on the one between."""
    memory = tree(PARENT, (99, 99, 99))
    return Charged(memory, None, (Stock(),), swap=tree(PARENT, (99, limit, 99)))


def first() -> Charged:
    """Version 1, with eight pages of the innermost group."""
    state = Charged(tree(PARENT, (99, 99, 99)), tree(PARENT, (99, 99, 99)), (Stock(),))
    return drain_below(charge(NEW, state, 0, 2, 8, Ask(), IDLE).state, 0)


def usage(state: Charged) -> tuple[tuple[int, ...] | None, ...]:
    return tuple(None if each is None else each.usage for each in (state.memory, state.both, state.swap))


def test_slots_are_charged_all_the_way_up() -> None:
    done = take_slots(NEW, second(), 2, 8, 50)
    assert (done.result, usage(done.state)) == (True, ((0, 0, 0), None, (8, 8, 8)))
    refused = take_slots(NEW, done.state, 2, 2, 50)
    assert (refused.result, refused.events) == (Err(Errno.ENOMEM), (MAX, FAIL))
    assert usage(refused.state) == usage(done.state)
    none = take_slots(NEW, done.state, 2, 1, 0)
    assert (none.result, none.state, none.events) == (False, done.state, (FAIL,))
    assert take_slots(kernel("4.9"), done.state, 2, 2, 50).events == ()
    assert usage(swap_free(done.state, 2, 3))[2] == (5, 5, 5)


def test_what_is_left_of_swap() -> None:
    state = take_slots(NEW, second(), 2, 8, 50).state
    assert [slots_left(state, group, 50) for group in (0, 1, 2)] == [50, 1, 1]
    assert slots_left(state, 2, 0) == 0
    assert slots_left(first(), 2, 7) == 7
    lowered = write_swap_max(NEW, state, 2, 3)
    assert isinstance(lowered, Charged)
    assert lowered.swap is not None
    assert (lowered.swap.limit, lowered.swap.over, slots_left(lowered, 2, 50)) == ((99, 9, 3), (0, 0, 5), -5)
    assert write_swap_max(kernel("4.15"), state, 2, 3) == Err(Errno.EBUSY)
    assert isinstance(write_swap_max(kernel("4.15"), state, 2, 8), Charged)
    assert write_swap_high(state, 1, 4).swap_high[1] == 4
    assert swap_left(5, ((2, 4), (1, 9))) == 2


def test_half_full() -> None:
    full = [kernel(version).behaviour("memcg.swap-full").function for version in ("5.7", "5.8")]
    assert [rule_(5, 99, 10) for rule_ in full] == [True, True]
    assert [rule_(5, 10, 99) for rule_ in full] == [False, True]
    assert [rule_(4, 99, 10) for rule_ in full] == [False, False]


def test_version_1_counts_a_page_once_wherever_it_is() -> None:
    out = swap_out(first(), 2, 3, 2)
    assert usage(out) == ((5, 5, 5), (8, 8, 8), None)
    back = drain_below(charge(NEW, out, 0, 2, 3, Ask(), IDLE).state, 0)
    assert usage(back) == ((8, 8, 8), (11, 11, 11), None)
    assert usage(swap_free(back, 2, 3)) == usage(first())
    assert online_above(PARENT, (True, True, False), 2) == 1
    assert online_above(PARENT, (True, True, True), 2) == 2
    assert usage(swap_out(first(), 2, 3, 1)) == ((5, 5, 5), (8, 8, 5), None)


def test_invariants_of_swap_refuse() -> None:
    assert swap_within(9, 1, 2, 6)
    assert not swap_within(9, 1, 1, 6)
    assert not swap_within(-1, 0, 0, 6)
    assert peak_kept(3, 4, 5)
    assert not peak_kept(3, 2, 5)
    assert not peak_kept(3, 6, 5)
    assert refaults_first(5, 5, 1)
    assert not refaults_first(5, 6, 1)
    assert not refaults_first(5, 5, 6)


PeakState = tuple[Peaks, tuple[int, ...]]


def every_peak(lift: Callable[[int, int, int], int]) -> Finding:
    """Usage of 0 to 3 and two open files, in every order of changes and writes."""

    def steps(at: PeakState) -> list[tuple[str, PeakState]]:
        peaks, truth = at
        found: list[tuple[str, PeakState]] = [
            (f"usage {value}", (peak_moves(peaks, value), tuple(max(t, value) for t in truth)))
            for value in range(4)
        ]
        for file in range(2):
            since = (*truth[:file], peaks.usage, *truth[file + 1 :])
            found.append((f"write {file}", (peak_write(peaks, file, lift), since)))
        return found

    def judge(at: PeakState) -> Refusal | None:
        peaks, truth = at
        shown = tuple(peak_read(peaks, file) for file in range(2))
        if not all(peak_kept(peaks.usage, one, peaks.watermark) for one in shown):
            return Refusal("memcg.peak", f"{peaks}")
        if not all(map(peak_since, shown, truth)):
            return Refusal("memcg.peak.since", f"{shown} shown, {truth} was")
        return None

    start: PeakState = (Peaks(seen=(-1, -1)), (0, 0))
    return search(start, steps, judge)


def test_a_write_to_one_file_loses_the_peak_of_another() -> None:
    """Found by searching: 6.12 resets the peak that all files share, and keeps only usage for the others."""
    found = every_peak(lift_to_usage)
    assert found.trace == ("write 0", "usage 1", "usage 0", "write 1")
    assert found.broken == Refusal("memcg.peak.since", "(0, 0) shown, (1, 0) was")


def test_what_would_keep_every_peak() -> None:
    found = every_peak(lift_to_peak)
    assert (found.trace, found.broken) == ((), None)
    assert found.states > 100


class Swapping(RuleBasedStateMachine):
    """Pages go out and come back in both versions; what the counters say is what there is."""

    @initialize(version=st.sampled_from((1, 2)))
    def begin(self, version: int) -> None:
        self.state = (
            replace(second(12), swap=tree(PARENT, (30, 12, 8)))
            if version == 2
            else Charged(tree(PARENT, (60,) * 3), tree(PARENT, (60,) * 3), (Stock(),))
        )
        self.memory = [0, 0, 0]
        self.slots = [0, 0, 0]

    @rule(group=st.integers(1, 2), pages=st.integers(1, 6))
    def bring_in(self, group: int, pages: int) -> None:
        done = charge(NEW, self.state, 0, group, pages, Ask(blocking=False), IDLE)
        self.state = drain_below(done.state, 0)
        self.memory[group] += pages if done.result is True else 0

    @rule(group=st.integers(1, 2), pages=st.integers(1, 6), up=st.booleans())
    def out(self, group: int, pages: int, up: bool) -> None:
        pages = min(pages, self.memory[group])
        holder = online_above(PARENT, (True, True, not up), group)
        if self.state.swap is None:
            self.state = swap_out(self.state, group, pages, holder)
        else:
            done = take_slots(NEW, self.state, holder, pages, 20 - sum(self.slots))
            self.state = done.state
            if done.result is not True:
                return
            self.state = give_back(self.state, group, pages)
        self.memory[group] -= pages
        self.slots[holder] += pages

    @rule(group=st.integers(0, 2), pages=st.integers(1, 6))
    def free(self, group: int, pages: int) -> None:
        pages = min(pages, self.slots[group])
        self.state = swap_free(self.state, group, pages)
        self.slots[group] -= pages

    @rule(group=st.integers(1, 2), limit=st.integers(0, 12))
    def limit(self, group: int, limit: int) -> None:
        if self.state.swap is not None:
            after = write_swap_max(NEW, self.state, group, limit)
            assert isinstance(after, Charged)
            self.state = after

    @invariant()
    def counters(self) -> None:
        if not hasattr(self, "state"):
            return
        pages = [sum(self.memory), sum(self.memory[1:]), self.memory[2]]
        slots = [sum(self.slots), sum(self.slots[1:]), self.slots[2]]
        assert self.state.memory.usage == tuple(pages)
        if self.state.swap is not None:
            swap = self.state.swap
            assert swap.usage == tuple(slots)
            for group in range(3):
                assert swap_within(swap.usage[group], 0, swap.over[group], swap.limit[group])
        if self.state.both is not None:
            assert self.state.both.usage == tuple(one + two for one, two in zip(pages, slots, strict=True))
            assert all(map(memsw_above, self.state.memory.usage, self.state.both.usage))


TestSwapping = Swapping.TestCase


def test_an_uncharge_of_too_much_is_a_planted_fault() -> None:
    """A slot that is freed twice leaves memory with swap below memory."""
    state = swap_free(swap_free(swap_out(first(), 2, 3, 2), 2, 3), 2, 3)
    assert state.both is not None
    assert not memsw_above(state.memory.usage[2], state.both.usage[2])
    with pytest.raises(AssertionError):
        swap_out(replace(first(), both=None), 2, 1, 2)
    assert force_charge(tree((NOBODY,), (1,)), 0, 2).over == (1,)
