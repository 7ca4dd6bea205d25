"""Charges with stocks, reclaim, the OOM killer and force."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from linuxmm.model.memcg.charge import charge
from linuxmm.model.memcg.charged import (
    Ask,
    Charged,
    GroupEvent,
    Kind,
    Stock,
    World,
    consume,
    drain,
    drain_below,
    refill,
)
from linuxmm.model.memcg.counter import NOBODY, tree, uncharge
from linuxmm.spec.kernel import kernel
from linuxmm.spec.step import Err, Errno

NEW = kernel("6.1")
PARENTS = (NOBODY, 0, 0)


def start(limit: int = 1000, both: int | None = None, cpus: int = 2) -> Charged:
    limits = (limit, limit, limit)
    swap = None if both is None else tree(PARENTS, (both, both, both))
    return Charged(tree(PARENTS, limits), swap, (Stock(),) * cpus)


def nothing(state: Charged, group: int, pages: int, swap: bool) -> tuple[Charged, int]:
    return state, 0


def nobody(state: Charged, group: int) -> tuple[Charged, bool]:
    return state, False


IDLE = World(nothing, nobody)


def test_a_page_takes_a_batch_and_the_next_comes_from_the_stock() -> None:
    first = charge(NEW, start(), 0, 1, 1, Ask(), IDLE)
    assert (first.state.memory.usage, first.state.stocks) == ((64, 64, 0), (Stock(1, 63), Stock()))
    second = charge(NEW, first.state, 0, 1, 3, Ask(), IDLE)
    assert (second.state.memory, second.state.stocks) == (first.state.memory, (Stock(1, 60), Stock()))
    assert charge(kernel("6.0"), start(), 0, 1, 1, Ask(), IDLE).state.stocks == (Stock(1, 31), Stock())


def test_stocks() -> None:
    state = charge(NEW, start(), 0, 1, 1, Ask(), IDLE).state
    assert consume(state, 0, 1, 64) is None
    assert consume(state, 0, 2, 1) is None
    other = charge(NEW, state, 0, 2, 1, Ask(), IDLE).state
    assert (other.memory.usage, other.stocks) == ((65, 1, 64), (Stock(2, 63), Stock()))
    assert refill(state, 0, 1, 2, 64).stocks[0] == Stock()
    assert drain(state, 0).memory.usage == (1, 1, 0)
    assert drain_below(state, 0).memory.usage == drain_below(state, 1).memory.usage == (1, 1, 0)
    assert drain_below(state, 2) == state


def test_near_the_limit_no_batch_fits_and_single_pages_do() -> None:
    done = charge(NEW, start(10), 0, 1, 4, Ask(), IDLE)
    assert (done.result, done.state.memory.usage, done.state.stocks[0]) == (True, (4, 4, 0), Stock())
    assert done.state.memory.failcnt == (0, 1, 0)


def test_when_nothing_helps_the_killer_is_asked_and_the_charge_fails() -> None:
    full = charge(NEW, start(4), 0, 1, 4, Ask(), IDLE).state
    failed = charge(NEW, full, 0, 1, 1, Ask(), IDLE)
    assert failed.result == Err(Errno.ENOMEM)
    assert failed.events == (GroupEvent(Kind.MAX, 1),) * 18 + (GroupEvent(Kind.OOM, 1),)
    assert failed.state.memory.usage == full.memory.usage
    huge = charge(NEW, full, 0, 1, 512, Ask(), IDLE)
    assert (huge.result, GroupEvent(Kind.OOM, 1) in huge.events) == (Err(Errno.ENOMEM), False)


def test_a_kill_lets_it_try_again() -> None:
    full = charge(NEW, start(4), 0, 1, 4, Ask(), IDLE).state

    def kill(state: Charged, group: int) -> tuple[Charged, bool]:
        return replace(state, memory=uncharge(state.memory, 1, 3)), True

    done = charge(NEW, full, 0, 1, 1, Ask(), World(nothing, kill))
    assert (done.result, done.state.memory.usage) == (True, (2, 2, 0))


def test_what_may_not_wait_and_what_may_not_fail() -> None:
    full = charge(NEW, start(4), 0, 1, 4, Ask(), IDLE).state
    assert charge(NEW, full, 0, 1, 1, Ask(blocking=False), IDLE).result == Err(Errno.ENOMEM)
    assert charge(NEW, full, 0, 1, 1, Ask(retry=False), IDLE).result == Err(Errno.ENOMEM)
    tried = charge(NEW, full, 0, 1, 1, Ask(may_fail=True), IDLE)
    assert (tried.result, GroupEvent(Kind.OOM, 1) in tried.events) == (Err(Errno.ENOMEM), False)
    for ask in (Ask(reclaims=True), Ask(blocking=False, nofail=True)):
        forced = charge(NEW, full, 0, 1, 1, ask, IDLE)
        assert (forced.result, forced.state.memory.usage) == (True, (5, 5, 0))
        assert forced.state.memory.over == (1, 1, 0)
        assert forced.events == (GroupEvent(Kind.MAX, 1),)


def test_memory_with_swap_is_counted_first_and_not_swapped_for() -> None:
    seen = []

    def note(state: Charged, group: int, pages: int, swap: bool) -> tuple[Charged, int]:
        seen.append((group, pages, swap))
        return state, 0

    full = charge(NEW, start(9, both=4), 0, 1, 4, Ask(), IDLE).state
    failed = charge(NEW, full, 0, 1, 1, Ask(retry=False), World(note, nobody))
    assert (failed.result, seen) == (Err(Errno.ENOMEM), [(1, 1, False)] * 2)
    above = start(4, both=9)
    full = charge(NEW, above, 0, 1, 4, Ask(), IDLE).state
    failed = charge(NEW, full, 0, 1, 1, Ask(blocking=False), IDLE)
    assert failed.state.both is not None
    assert failed.state.both.usage == (4, 4, 0)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2), st.integers(1, 90)), max_size=15))
def test_what_is_counted_is_what_was_granted_and_what_stocks_hold(asked: list[tuple[int, int, int]]) -> None:
    state = start(300)
    granted = [0, 0, 0]
    for cpu, group, pages in asked:
        step = charge(NEW, state, cpu, group, pages, Ask(), IDLE)
        state = step.state
        if step.result is True:
            granted[group] += pages
        assert all(0 <= stock.pages <= 64 for stock in state.stocks)
        held = [sum(stock.pages for stock in state.stocks if stock.group == at) for at in range(3)]
        own = [have + kept for have, kept in zip(granted, held, strict=True)]
        assert state.memory.usage == (sum(own), own[1], own[2])
        assert state.memory.usage[0] <= 300
