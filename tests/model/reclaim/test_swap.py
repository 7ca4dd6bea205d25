"""Swap: counts beyond a byte, clusters, devices in turn, windows of readahead."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from immutables import Map

from linuxmm.model.reclaim.swap import (
    NO_SLOT,
    Count,
    Device,
    change,
    continue_count,
    drop,
    duplicate,
    get_slot,
    judge,
    swap_of,
    swapoff,
    take,
    take_huge,
    unused,
)
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.kernel import Arch, kernel
from linuxmm.spec.reclaim.swap import (
    addresses_around,
    cluster_around,
    counted,
    free_when_unused,
    totals_agree,
    uses,
    window_by_hits,
)
from linuxmm.spec.step import Err, Errno, Refusal


def test_a_count_goes_on_where_its_byte_ends() -> None:
    assert duplicate(Count(62)) == Err(Errno.ENOMEM)
    count = duplicate(continue_count(Count(62)))
    assert count == Count(0, (1,))
    assert drop(Count(0, (1,))) == Count(62, (0,))
    assert duplicate(Count(62, (127,))) == Err(Errno.ENOMEM)
    assert duplicate(Count(62, (127, 3))) == Count(0, (0, 4))
    assert drop(Count(0, (0, 4))) == Count(62, (127, 3))
    with pytest.raises(ValueError, match="a slot that nobody uses loses a use"):
        drop(Count())


@given(st.integers(0, 62), st.lists(st.integers(0, 127), max_size=3).map(tuple))
def test_one_use_more_and_less_is_one(low: int, digits: tuple[int, ...]) -> None:
    more = duplicate(Count(low, digits))
    if isinstance(more, Err):
        assert uses(low, digits) == 63 * 128 ** len(digits) - 1
    else:
        assert uses(more.low, more.digits) == uses(low, digits) + 1
        assert drop(more) == Count(low, digits)


def test_slots_of_a_cluster_follow_one_another() -> None:
    device = Device(600, 0)
    for expected in range(1, 258):
        device, slot = take(device)
        assert slot == expected
    held = replace(Device(600, 0), counts=Map({slot: Count(1) for slot in range(5, 600, 2)}))
    assert take(held)[1] == 1
    assert take(replace(held, next=5))[1] == 1
    assert take(replace(held, next=5, left=3))[1] == 6
    apart = replace(Device(600, 0), counts=Map({3: Count(1)}), next=9)
    assert take(apart)[1] == 4
    assert take(Device(1, 0)) == (Device(1, 0), NO_SLOT)
    assert take(Device(9, 0, writable=False))[1] == NO_SLOT


def test_devices_of_one_priority_take_turns_and_the_lower_waits() -> None:
    state = swap_of(Device(4, 1), Device(3, 5), Device(3, 5))
    seen = []
    for _ in range(9):
        state, at, slot = get_slot(state)
        seen.append((at, slot))
    assert seen == [(1, 1), (2, 1), (1, 2), (2, 2), (0, 1), (0, 2), (0, 3), (-1, 0), (-1, 0)]


def test_swapoff_needs_room() -> None:
    state, at, _ = get_slot(swap_of(Device(9, 0)))
    assert swapoff(state, at, 0) == Err(Errno.ENOMEM)
    off = swapoff(state, at, 1)
    assert not isinstance(off, Err)
    assert (off.order, off.devices[0].counts, get_slot(off)[1]) == ((), Map(), -1)
    with pytest.raises(Unmodelled, match="swap slots for a whole huge page"):
        take_huge(Device(9, 0))


def test_eras() -> None:
    def most(version: str, arch: Arch = Arch.X86_64) -> object:
        return kernel(version, arch).behaviour("reclaim.swap.most").function()

    assert [most("2.4.0", Arch.I386), most("2.6.31"), most("2.6.33"), most("6.12")] == [
        0x7FFF,
        0x7FFE,
        62,
        62,
    ]
    assert kernel("3.10").behaviour("reclaim.swap.window").function(1, 9, 0, 8, 0) == 8
    assert kernel("3.14").behaviour("reclaim.swap.window").function(1, 9, 0, 8, 0) == 1
    assert kernel("3.15").behaviour("reclaim.swap.turn").function((0, 1), (5, 5), 0) == (1, 0)


def test_windows() -> None:
    assert [window_by_hits(8, 9, hits, 8, 0) for hits in (0, 1, 2, 3, 6, 7)] == [2, 4, 4, 8, 8, 8]
    assert window_by_hits(1, 9, 0, 8, 8) == 4
    assert window_by_hits(1, 9, 5, 1, 8) == 1
    assert cluster_around(5, 8, 100) == (1, 7)
    assert cluster_around(98, 8, 100) == (96, 99)
    assert [addresses_around(previous, 50, 8) for previous in (49, 51, 10)] == [(50, 58), (43, 51), (47, 55)]


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 40), st.integers(0, 5), st.integers(0, 32))
def test_a_window_is_bounded(previous: int, offset: int, hits: int, order: int, last: int) -> None:
    window = window_by_hits(previous, offset, hits, 1 << order, last)
    assert 1 <= window <= max(1 << order, last // 2)


def test_invariants_refuse() -> None:
    assert counted(5, (1,), 68)
    assert not counted(5, (1,), 6)
    assert free_when_unused(True, 0, False)
    assert not free_when_unused(True, 0, True)
    assert not free_when_unused(False, 0, False)
    assert totals_agree(10, 4, 10, 6)
    assert not totals_agree(10, 4, 10, 5)
    assert not totals_agree(10, 4, 11, 6)
    state = swap_of(replace(Device(3, 0), counts=Map({1: Count(2)})))
    assert judge(state, {(0, 1): 2}) is None
    assert judge(state, {(0, 1): 1}) == Refusal(
        "reclaim.swap.uses",
        "device 0 slot 1: Count(low=2, digits=(), cached=False), 1 references",
    )
    stale = swap_of(replace(Device(3, 0), counts=Map({1: Count()})))
    assert judge(stale, {}) == Refusal(
        "reclaim.swap.freed",
        "device 0 slot 1: Count(low=0, digits=(), cached=False), 0 references",
    )


class Swapping(RuleBasedStateMachine):
    """Pages go out, are shared, come back; devices of two priorities."""

    def __init__(self) -> None:
        super().__init__()
        self.state = swap_of(Device(5, 1), Device(4, 1), Device(6, 0))
        self.references: dict[tuple[int, int], int] = {}

    def count(self, at: int, slot: int) -> Count:
        return self.state.devices[at].counts.get(slot, Count())

    @rule()
    def out(self) -> None:
        self.state, at, slot = get_slot(self.state)
        if at >= 0:
            self.references[at, slot] = 0

    @precondition(lambda self: bool(self.references))
    @rule(data=st.data(), times=st.integers(1, 70))
    def share(self, data: st.DataObject, times: int) -> None:
        at, slot = data.draw(st.sampled_from(sorted(self.references)))
        for _ in range(times):
            count = duplicate(self.count(at, slot))
            if isinstance(count, Err):
                count = duplicate(continue_count(self.count(at, slot)))
            assert isinstance(count, Count)
            self.state = change(self.state, at, slot, count)
            self.references[at, slot] += 1

    @precondition(lambda self: bool(self.references))
    @rule(data=st.data(), times=st.integers(1, 70))
    def unmap(self, data: st.DataObject, times: int) -> None:
        at, slot = data.draw(st.sampled_from(sorted(self.references)))
        for _ in range(min(times, self.references[at, slot])):
            self.state = change(self.state, at, slot, drop(self.count(at, slot)))
            self.references[at, slot] -= 1
        self.forget(at, slot)

    @precondition(lambda self: bool(self.references))
    @rule(data=st.data())
    def leave_cache(self, data: st.DataObject) -> None:
        at, slot = data.draw(st.sampled_from(sorted(self.references)))
        self.state = change(self.state, at, slot, replace(self.count(at, slot), cached=False))
        self.forget(at, slot)

    def forget(self, at: int, slot: int) -> None:
        if unused(self.count(at, slot)):
            del self.references[at, slot]

    @invariant()
    def keeps(self) -> None:
        assert judge(self.state, self.references) is None


TestSwapping = Swapping.TestCase
