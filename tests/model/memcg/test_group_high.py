"""memory.high after a charge: reclaimed at once, owed, paid with work or sleep, by era."""

from dataclasses import replace
from typing import Final

from linuxmm.model.memcg.charged import Ask, Charged, GroupEvent, Kind, Stock, World, force, give_back
from linuxmm.model.memcg.counter import NOBODY, tree
from linuxmm.model.memcg.high import after_charge, pay, reclaim_high
from linuxmm.spec.kernel import kernel

PARENT: Final = (NOBODY, 0, 1)
HZ: Final = 250
NONE: Final = 1 << 40


def over(usage: int = 90, high: int = 60) -> Charged:
    """The innermost group uses pages; the one above has a high."""
    memory = tree(PARENT, (NONE,) * 3)
    return force(Charged(memory, None, (Stock(),), high=(NONE, high, NONE)), 2, usage)


def asking(seen: list[tuple[int, int]], brings: int) -> World:
    """A world that notes what it is asked to reclaim."""

    def reclaim(s: Charged, g: int, n: int, w: bool) -> tuple[Charged, int]:
        seen.append((g, n))
        return (give_back(s, 2, brings), brings) if brings else (s, 0)

    return World(reclaim, lambda s, g: (s, False))


def test_what_a_charge_does_in_each_era() -> None:
    def done(version: str, ask: Ask, owed: int = 0) -> object:
        seen: list[tuple[int, int]] = []
        step = after_charge(kernel(version), over(), 2, 1, owed, ask, asking(seen, 0), HZ)
        return step.result[0], len(seen)

    assert done("4.0", Ask(blocking=False)) == (0, 1)
    assert done("4.1", Ask(blocking=False)) == (0, 0)
    assert done("4.1", Ask()) == (0, 1)
    assert done("4.4", Ask()) == (32, 0)
    assert done("5.17", Ask(), owed=640) == (672, 0)
    assert done("5.19", Ask()) == (32, 0)
    assert done("5.19", Ask(), owed=32) == (0, 17)
    assert done("5.19", Ask(blocking=False), owed=32) == (64, 0)
    assert done("6.12", Ask(), owed=1) == (0, 17)
    assert done("6.12", Ask(reclaims=True), owed=1) == (65, 0)


def test_nothing_is_done_below_high() -> None:
    seen: list[tuple[int, int]] = []
    for version in ("4.0", "6.12"):
        state = over(60)
        step = after_charge(kernel(version), state, 2, 1, 7, Ask(), asking(seen, 0), HZ)
        assert (step.state, step.result, step.events, seen) == (state, (7, 0), (), [])


def test_each_group_above_its_high_is_reclaimed_once() -> None:
    seen: list[tuple[int, int]] = []
    state = replace(over(), high=(NONE, 60, 80))
    after, brought, events = reclaim_high(state, 2, 5, asking(seen, 5))
    assert (after.memory.usage, brought, seen) == ((80, 80, 80), 10, [(2, 5), (1, 5)])
    assert events == (GroupEvent(Kind.HIGH, 2), GroupEvent(Kind.HIGH, 1))


def test_debts_are_paid_with_work_then_with_sleep() -> None:
    def paid(version: str, brings: int, usage: int = 240) -> tuple[int, int]:
        seen: list[tuple[int, int]] = []
        step = pay(kernel(version), over(usage), 2, 64, Ask(), asking(seen, brings), HZ)
        return step.result, len(seen)

    assert paid("4.4", 0) == (0, 1)
    assert paid("5.7", 0) == (500, 1)
    assert paid("5.4", 0) == (0, 1)
    assert paid("5.9", 0) == (500, 17)
    assert paid("5.9", 30) == (0, 6)
    assert paid("6.1", 0) == (500, 17)
    assert paid("5.9", 0, usage=61) == (8, 17)
    assert paid("5.9", 0, usage=60) == (0, 0)


def test_a_dying_task_owes_nothing_since_6_8() -> None:
    for version, ticks in (("6.6", 500), ("6.8", 0)):
        step = pay(kernel(version), over(240), 2, 64, Ask(killed=True), asking([], 0), HZ)
        assert step.result == ticks


def test_swap_above_its_high_costs_sleep_too() -> None:
    swap = force(Charged(tree(PARENT, (NONE,) * 3), None, (Stock(),)), 2, 240).memory
    state = replace(over(1), swap=swap, swap_high=(NONE, 60, NONE))
    step = pay(kernel("6.1"), state, 2, 64, Ask(), asking([], 0), HZ)
    assert (step.result, set(step.events)) == (500, {GroupEvent(Kind.SWAP_HIGH, 1)})
    step = pay(kernel("5.7"), state, 2, 64, Ask(), asking([], 0), HZ)
    assert step.result == 0
    owed = after_charge(kernel("6.1"), state, 2, 1, 0, Ask(), asking([], 0), HZ)
    assert owed.result == (64, 0)
