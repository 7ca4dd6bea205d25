"""One charge in every era of its loop: who passes, who waits, who is killed, and what is counted after."""

from dataclasses import replace
from itertools import product
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from linuxmm.model.memcg.charge import charge
from linuxmm.model.memcg.charged import Ask, Charged, GroupEvent, Kind, Stock, World, drain_below, give_back
from linuxmm.model.memcg.counter import NOBODY, tree
from linuxmm.model.memcg.stuck import end_fault
from linuxmm.spec.kernel import kernel
from linuxmm.spec.memcg.charging import all_owned, room_is_enough
from linuxmm.spec.step import Err, Errno

ERAS: Final = (
    "2.6.28",
    "2.6.32",
    "2.6.34",
    "2.6.36",
    "2.6.38",
    "3.4",
    "3.10",
    "3.12",
    "3.13",
    "3.16",
    "3.17",
    "3.18",
    "4.0",
    "4.4",
    "4.18",
    "4.19",
    "5.2",
    "5.4",
    "5.10",
    "5.16",
    "5.19",
    "6.12",
)
NOMEM: Final = Err(Errno.ENOMEM)


def full(version: str, both: int | None = None, limit: int = 4) -> Charged:
    """A group of four pages that uses them all."""
    parent = (NOBODY, 0)
    swap = None if both is None else tree(parent, (100, both))
    state = Charged(tree(parent, (100, limit)), swap, (Stock(),))
    for _ in range(4):
        state = charge(kernel(version), state, 0, 1, 1, Ask(), IDLE).state
    return drain_below(state, 0)


def nothing(state: Charged, group: int, pages: int, swap: bool) -> tuple[Charged, int]:
    return state, 0


def one_page(state: Charged, group: int, pages: int, swap: bool) -> tuple[Charged, int]:
    return give_back(state, 1, 1), 1


def nobody(state: Charged, group: int) -> tuple[Charged, bool]:
    return state, False


def three_pages(state: Charged, group: int) -> tuple[Charged, bool]:
    return give_back(state, 1, min(3, state.memory.usage[1])), True


IDLE = World(nothing, nobody)
HELPS = World(one_page, nobody)
KILLS = World(nothing, three_pages)


def outcome(version: str, ask: Ask, world: World, pages: int = 1) -> object:
    """What a charge against a full group says, and pages counted after it."""
    done = charge(kernel(version), full(version), 0, 1, pages, ask, world)
    result = "fails" if done.result == NOMEM else "counted" if done.result else "passes"
    return result, drain_below(done.state, 0).memory.usage[1]


def by_era(ask: Ask, world: World, eras: tuple[str, ...] = ERAS) -> list[object]:
    """Runs of eras with one outcome: (first version, outcome)."""
    found: list[object] = []
    last: object = None
    for version in eras:
        now = outcome(version, ask, world)
        if now != last:
            found.append((version, now))
        last = now
    return found


def test_reclaim_helps_in_every_era() -> None:
    assert by_era(Ask(), HELPS) == [("2.6.28", ("counted", 4))]


def test_what_a_kill_brings() -> None:
    """The charge fails all the same, or is tried again, or fails and its fault kills at the end."""
    assert by_era(Ask(), KILLS) == [
        ("2.6.28", ("fails", 1)),
        ("2.6.34", ("counted", 2)),
        ("3.12", ("fails", 4)),
        ("4.19", ("counted", 2)),
    ]


def test_tasks_that_die() -> None:
    assert by_era(Ask(killed=True), IDLE) == [
        ("2.6.28", ("fails", 4)),
        ("2.6.32", ("passes", 4)),
        ("4.4", ("counted", 5)),
        ("5.16", ("fails", 4)),
    ]
    assert by_era(Ask(signalled=True, killer=False), IDLE)[:2] == [
        ("2.6.28", ("fails", 4)),
        ("2.6.34", ("passes", 4)),
    ]
    assert by_era(Ask(exiting=True, killer=False), IDLE)[:2] == [
        ("2.6.28", ("fails", 4)),
        ("3.16", ("passes", 4)),
    ]
    dies = World(nothing, three_pages, dies=True)
    assert outcome("2.6.34", Ask(), dies) == ("passes", 1)
    assert outcome("2.6.32", Ask(), dies) == ("fails", 1)


def test_what_may_not_wait_or_not_fail() -> None:
    nobody_can_die = ERAS[:2] + ERAS[7:]
    assert by_era(Ask(blocking=False), IDLE) == [("2.6.28", ("fails", 4))]
    assert by_era(Ask(nofail=True), IDLE, nobody_can_die) == [
        ("2.6.28", ("fails", 4)),
        ("3.12", ("passes", 4)),
        ("4.4", ("counted", 5)),
    ]
    assert by_era(Ask(reclaims=True, killer=False), IDLE)[1:] == [("4.18", ("counted", 5))]
    assert by_era(Ask(atomic=True, blocking=False), IDLE) == [
        ("2.6.28", ("fails", 4)),
        ("5.4", ("counted", 5)),
        ("5.19", ("fails", 4)),
    ]
    assert by_era(Ask(high=True, blocking=False), IDLE)[1:] == [("5.19", ("counted", 5))]
    assert by_era(Ask(may_fail=True), KILLS, ERAS[15:]) == [
        ("4.19", ("counted", 2)),
        ("5.4", ("fails", 4)),
    ]


def test_nobody_left_to_kill() -> None:
    assert by_era(Ask(), IDLE, ERAS[7:]) == [
        ("3.12", ("fails", 4)),
        ("4.19", ("counted", 5)),
        ("5.16", ("fails", 4)),
    ]
    with pytest.raises(
        ValueError, match="nobody in group 1 can be killed: a charge of this kernel asks for ever"
    ):
        outcome("3.4", Ask(), IDLE)


def test_no_retry() -> None:
    assert by_era(Ask(retry=False, killer=False), HELPS) == [
        ("2.6.28", ("counted", 4)),
        ("3.10", ("fails", 4)),
        ("3.17", ("counted", 4)),
    ]
    with pytest.raises(ValueError, match="a charge with __GFP_NORETRY that may ask the killer never ends"):
        outcome("3.10", Ask(retry=False), HELPS)
    assert outcome("3.13", Ask(retry=False), HELPS) == ("fails", 4)


def test_without_a_killer_a_later_kernel_gives_up_at_the_first_round() -> None:
    def rounds(version: str) -> int:
        seen = []

        def note(state: Charged, group: int, pages: int, swap: bool) -> tuple[Charged, int]:
            seen.append(group)
            return state, 0

        charge(kernel(version), full(version), 0, 1, 1, Ask(killer=False), World(note, nobody))
        return len(seen)

    assert [rounds(version) for version in ("2.6.34", "2.6.36", "3.16", "3.17", "3.18", "5.10")] == [
        6,
        1,
        1,
        6,
        7,
        18,
    ]


def test_a_moving_task_is_waited_for() -> None:
    for version in ("2.6.34", "3.4", "3.13", "3.18", "6.12"):
        seen: list[int] = []

        def moves(state: Charged, group: int, seen: list[int] = seen) -> tuple[Charged, bool]:
            seen.append(group)
            return (state, True) if len(seen) < 20 else (give_back(state, 1, 1), True)

        world = World(nothing, nobody, moving=moves)
        done = charge(kernel(version), full(version), 0, 1, 1, Ask(), world)
        assert (done.result, len(seen)) == (True, 20)


def test_want_of_memory_is_noted_until_the_fault_ends() -> None:
    for version in ("3.13", "3.18", "4.4"):
        done = charge(kernel(version), full(version), 0, 1, 1, Ask(), KILLS)
        assert (done.result, done.state.noted, done.state.memory.usage[1]) == (NOMEM, 1, 4)
        assert charge(kernel(version), done.state, 0, 1, 1, Ask(), HELPS).result == NOMEM
        over = end_fault(done.state, True, KILLS)
        assert (over.result, over.state.noted, over.state.memory.usage[1]) == (True, NOBODY, 1)
        assert end_fault(done.state, False, KILLS).state == replace(done.state, noted=NOBODY)
        assert end_fault(over.state, True, KILLS).result is False
        elsewhere = charge(kernel(version), full(version), 0, 1, 1, Ask(user_fault=False), KILLS)
        assert (elsewhere.result, elsewhere.state.noted) == (NOMEM, NOBODY)


def test_what_3_12_let_pass() -> None:
    """A fault that noted want of memory passes, and what may not fail notes it; neither since 3.13."""
    for version, result, noted in (("3.12", False, 1), ("3.13", NOMEM, NOBODY)):
        state = replace(full(version), noted=1)
        assert charge(kernel(version), state, 0, 1, 1, Ask(), HELPS).result == result
        done = charge(kernel(version), full(version), 0, 1, 1, Ask(nofail=True), IDLE)
        assert (done.result, done.state.noted) == (False, noted)


def test_a_group_whose_killer_is_disabled() -> None:
    off = World(nothing, three_pages, disabled=(1,))
    for version in ("4.19", "6.12"):
        done = charge(kernel(version), full(version), 0, 1, 1, Ask(), off)
        assert (done.result, done.state.noted) == (NOMEM, 1)
        done = charge(kernel(version), full(version), 0, 1, 1, Ask(user_fault=False), off)
        assert (done.result, done.state.noted) == (NOMEM, NOBODY)


def test_costly_charges_are_not_killed_for() -> None:
    def seen(version: str) -> object:
        done = charge(kernel(version), full(version), 0, 1, 512, Ask(), KILLS)
        return done.result, done.state.noted, GroupEvent(Kind.OOM, 1) in done.events

    assert seen("4.15") == seen("4.16") == (NOMEM, 1, True)
    assert seen("4.17") == seen("4.18") == seen("4.19") == (NOMEM, NOBODY, True)
    assert seen("4.20") == seen("6.12") == (NOMEM, NOBODY, False)


def test_events_begin_with_4_0() -> None:
    def kinds(version: str) -> list[str]:
        done = charge(kernel(version), full(version), 0, 1, 1, Ask(), IDLE)
        return [event.kind.value for event in done.events if isinstance(event, GroupEvent)]

    assert kinds("3.19") == []
    assert kinds("4.0") == ["max"] * 7 + ["oom"]
    assert kinds("5.10") == ["max"] * 18 + ["oom"]


def test_2_6_37_loses_pages_that_memory_with_swap_refuses() -> None:
    for version, lost in (("2.6.36", 0), ("2.6.37", 33), ("2.6.39", 0)):
        state = full("2.6.36", both=4, limit=100)
        done = charge(kernel(version), state, 0, 1, 1, Ask(blocking=False), IDLE)
        assert done.result == NOMEM
        assert done.state.memory.usage[1] == 4 + lost
        assert all_owned(done.state.memory.usage[1], 4, 0, 0) is (lost == 0)


def test_memory_is_asked_first_until_3_17() -> None:
    seen: list[bool] = []

    def note(state: Charged, group: int, pages: int, swap: bool) -> tuple[Charged, int]:
        seen.append(swap)
        return state, 0

    for version in ("3.17", "3.18"):
        charge(kernel(version), full(version, both=4), 0, 1, 1, Ask(killer=False), World(note, nobody))
    assert seen == [True] * 6 + [False] * 7


def test_huge_pages_and_some_room() -> None:
    """With the rule of 2.6.37 a charge would be tried again for ever while there is any room at all."""
    for version, again in (("2.6.37", True), ("2.6.38", False), ("3.8", False)):
        assert kernel(version).behaviour("memcg.again").function(0, 1, 512) is again
    assert kernel("3.7").behaviour("memcg.again").function(1, 0, 8) is False
    assert kernel("3.8").behaviour("memcg.again").function(1, 0, 8) is True
    assert room_is_enough(3, 4, 1)
    assert not room_is_enough(4, 4, 1)


def test_every_way_to_ask_in_every_era_keeps_the_limit() -> None:
    """Only what is forced exceeds a limit, and nothing passes uncounted once force is there."""
    seen = set()
    for version in ERAS:
        begun = full(version)
        counts = bool(kernel(version).behaviour("memcg.pass").function())
        for blocking, nofail, high, killed, signalled, exiting, killer in product((False, True), repeat=7):
            ask = Ask(
                blocking=blocking,
                nofail=nofail,
                high=high,
                killed=killed,
                signalled=signalled,
                exiting=exiting,
                killer=killer,
            )
            for world in (World(one_page, three_pages), KILLS):
                done = charge(kernel(version), begun, 0, 1, 1, ask, world)
                usage = drain_below(done.state, 0).memory.usage[1]
                assert usage <= 4 or (counts and done.result is True and usage == 5)
                assert done.result in (True, NOMEM) or not counts
                seen.add((version, done.result, usage))
    assert len(seen) > 2 * len(ERAS)


class Owners(RuleBasedStateMachine):
    """Charges, frees and ends of faults in a kernel of any era; each page is counted once for its owner."""

    @initialize(version=st.sampled_from(ERAS), both=st.sampled_from((None, 40)))
    def begin(self, version: str, both: int | None) -> None:
        parent = (NOBODY, 0, 0)
        swap = None if both is None or version == "2.6.28" else tree(parent, (both,) * 3)
        self.kernel = kernel(version)
        self.state = Charged(tree(parent, (60, 30, 30)), swap, (Stock(), Stock()))
        self.owned = [0, 0, 0]
        self.passed = [0, 0, 0]

    def _drop(self, state: Charged, group: int, pages: int) -> Charged:
        pages = min(pages, self.owned[group])
        self.owned[group] -= pages
        return give_back(state, group, pages)

    @rule(
        cpu=st.integers(0, 1),
        group=st.integers(1, 2),
        helps=st.booleans(),
        ask=st.builds(
            Ask,
            retry=st.just(True),
            blocking=st.booleans(),
            nofail=st.booleans(),
            killed=st.booleans(),
            killer=st.booleans(),
        ),
    )
    def charge(self, cpu: int, group: int, helps: bool, ask: Ask) -> None:
        def reclaim(state: Charged, below: int, pages: int, swap: bool) -> tuple[Charged, int]:
            victim = below or group
            freed = min(1, self.owned[victim]) if helps else 0
            return self._drop(state, victim, freed), freed

        def kill(state: Charged, below: int) -> tuple[Charged, bool]:
            return self._drop(drain_below(state, 0), below or group, 5), True

        done = charge(self.kernel, self.state, cpu, group, 1, ask, World(reclaim, kill, dies=ask.killed))
        self.state = done.state
        if done.result is True:
            self.owned[group] += 1
        if done.result is False:
            self.passed[group] += 1

    @rule(group=st.integers(1, 2), pages=st.integers(1, 5))
    def free(self, group: int, pages: int) -> None:
        self.state = self._drop(self.state, group, pages)

    @rule(handle=st.booleans())
    def end(self, handle: bool) -> None:
        self.state = end_fault(self.state, handle, KILLS._replace(kill=nobody)).state

    @invariant()
    def keeps(self) -> None:
        if not hasattr(self, "state"):
            return
        for group in (1, 2):
            stocked = sum(stock.pages for stock in self.state.stocks if stock.group == group)
            owned = self.owned[group] + self.passed[group]
            for counters in (self.state.memory, self.state.both):
                if counters is not None:
                    assert all_owned(counters.usage[group], owned, stocked, self.passed[group])


TestOwners = Owners.TestCase


@given(st.integers(0, 99), st.integers(0, 99), st.integers(1, 40))
def test_room_for_a_charge_lets_it_in(usage: int, limit: int, pages: int) -> None:
    state = Charged(tree((NOBODY,), (max(limit, usage),)), None, (Stock(),))
    state = charge(kernel("6.1"), state, 0, 0, usage, Ask(), IDLE).state if usage else state
    state = drain_below(state, 0)
    state = replace(state, memory=replace(state.memory, limit=(limit,)))
    done = charge(kernel("6.1"), state, 0, 0, pages, Ask(blocking=False), IDLE)
    assert (done.result is True) == room_is_enough(usage, limit, pages)
