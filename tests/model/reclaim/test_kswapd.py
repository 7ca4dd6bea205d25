"""The reclaim daemon as steps: what it is asked for, when it wakes, naps and sleeps, who waits for it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from immutables import Map

from linuxmm.model.reclaim.accesses import bring_in
from linuxmm.model.reclaim.kswapd import (
    NO_WISH,
    DaemonRules,
    Node,
    Phase,
    balance,
    daemon_rules,
    judge_sleep,
    judge_wake,
    may_go_on,
    nap_is_over,
    node_of,
    run,
    throttle,
    wake,
)
from linuxmm.model.reclaim.outside import Store
from linuxmm.model.reclaim.state import ZoneMarks, empty, give_pages
from linuxmm.model.vm.explore import search
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.kernel import behaviours, kernel
from linuxmm.spec.reclaim.daemon_turns import (
    NO_ZONE,
    Asker,
    Wish,
    boost_is_gentle,
    boost_left,
    compaction_wish,
    heard,
    sleeps_well,
)
from linuxmm.spec.step import Refusal

ERAS = ("2.6.24", "2.6.35", "3.10", "4.4", "4.9", "4.14", "5.4", "6.12")


def rules(release: str) -> DaemonRules:
    return daemon_rules(kernel(release))


def node(*free: int, pages: int = 0, release: str = "6.12") -> Node:
    """Zones of 100 pages with marks 10, 20, 30, so many of them free, and so many clean inactive pages."""
    marks = tuple(ZoneMarks(100, each + pages, 10, 20, 30) for each in free)
    v = empty(marks, backing=Store())
    for number in range(pages * len(free)):
        zone = number % len(free)
        v = bring_in(rules(release).reclaim._replace(batch=0), v, number, number, zone=zone)
    return node_of(replace(v, log=()))


# ---- what is noted -----------------------------------------------------------------------------------------


def test_what_a_request_notes_in_each_era() -> None:
    noted = {}
    for release in ERAS:
        own = rules(release)
        first = own.wish(NO_WISH, 0, 1)
        noted[release] = (first, own.wish(first, 3, 0), own.wish(own.wish(first, 3, 0), 2, 2))
    low, none = Wish(3, 0), Wish(0, NO_ZONE)
    early = (none, Wish(3, NO_ZONE), Wish(3, NO_ZONE))
    middle = (none, low, low)
    late = (Wish(0, 1), Wish(3, 1), Wish(3, 2))
    assert noted == dict(zip(ERAS, (early, early, middle, middle, late, late, late, late), strict=True))


def test_the_zone_of_a_run_in_each_era() -> None:
    found = {release: [rules(release).zone(wish, 1, 2) for wish in (NO_ZONE, 0, 2)] for release in ERAS}
    whole, forgets, more, own = [2, 0, 2], [0, 0, 2], [1, 1, 2], [1, 0, 2]
    assert list(found.values()) == [whole, whole, whole, whole, forgets, more, own, own]


def test_who_wakes_the_daemon_in_each_era() -> None:
    askers = (
        Asker(low=False, balanced=True, boosted=False, hopeless=True),
        Asker(low=True, balanced=False, boosted=False, hopeless=False),
        Asker(low=True, balanced=True, boosted=True, hopeless=False),
        Asker(low=False, balanced=False, boosted=True, hopeless=True),
    )
    found = [[rules(release).wakes(asker) for asker in askers] for release in ("4.4", "4.9", "4.14", "5.4")]
    assert found == [
        [True, False, False, True],
        [False, True, False, True],
        [False, True, False, False],
        [False, True, True, False],
    ]


def test_since_4_17_who_may_not_reclaim_has_compaction_woken_instead() -> None:
    for release, wish in (("4.14", NO_WISH), ("6.12", Wish(3, 0))):
        asked = wake(rules(release), node(90), 3, 0, direct=False)
        assert (asked.phase, asked.compaction) == (Phase.ASLEEP, wish)
    assert wake(rules("6.12"), node(90), 3, 0).compaction == NO_WISH
    assert compaction_wish(Wish(2, 1), 0, 0) == Wish(2, 1)
    assert compaction_wish(Wish(2, 1), 1, 2) == Wish(2, 1)
    assert compaction_wish(Wish(2, 1), 4, 0) == Wish(4, 0)


def test_up_to_2_6_37_a_request_above_the_low_mark_leaves_no_wish() -> None:
    assert wake(rules("2.6.24"), node(50), 2, 0).wish == NO_WISH
    assert wake(rules("2.6.24"), node(15), 2, 0).wish == Wish(2, NO_ZONE)
    assert wake(rules("3.10"), node(50), 2, 0).wish == Wish(2, 0)


# ---- runs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("release", ERAS)
def test_a_run_balances_the_node_and_the_daemon_sleeps_after_its_nap(release: str) -> None:
    own = rules(release)
    asked = wake(own, node(5, pages=80, release=release), 0, 0)
    assert asked.phase is Phase.AWAKE
    after = run(own, asked)
    assert after.v.zones[0].free > 30
    assert after.wish == NO_WISH
    assert after.phase is (Phase.ASLEEP if release == "2.6.24" else Phase.NAPPING)
    if after.phase is Phase.NAPPING:
        after = nap_is_over(own, after)
    assert (after.phase, judge_sleep(own, after)) == (Phase.ASLEEP, None)
    assert after.v.counters["pageoutrun"] == 1
    with pytest.raises(ValueError, match="the daemon is asleep: expected it awake"):
        run(own, after)
    with pytest.raises(ValueError, match="the daemon is asleep: expected it napping"):
        nap_is_over(own, after)


def test_a_request_during_the_nap_wakes_it_with_what_it_was_at() -> None:
    own = rules("6.12")
    napping = run(own, wake(own, replace(node(5, 5, pages=80), largest=(0, 0)), 3, 1))
    assert (napping.phase, napping.reached, napping.run) == (Phase.NAPPING, 0, Wish(3, 1))
    assert napping.compaction == Wish(3, 1)
    short = replace(napping, v=give_pages(give_pages(napping.v, 0, -50), 1, -50))
    woken = wake(own, short, 0, 0)
    assert (woken.phase, woken.wish, woken.quick) == (Phase.AWAKE, Wish(0, 0), (1, 0))
    still = replace(napping, run=Wish(3, 1), reached=2)
    assert wake(own, replace(still, v=short.v), 0, 0).wish == Wish(2, 0)


def test_a_nap_that_ends_short_of_memory_is_no_sleep() -> None:
    own = rules("6.12")
    napping = run(own, wake(own, node(5, pages=80), 0, 0))
    short = replace(napping, v=give_pages(napping.v, 0, -50))
    woken = nap_is_over(own, short)
    assert (woken.phase, woken.quick) == (Phase.AWAKE, (0, 1))


def test_once_compaction_has_room_single_pages_are_enough() -> None:
    """The largest free block stays small: 4.4 goes on through all priorities, 6.12 stops at 16 pages."""
    left = {}
    for release in ("4.4", "6.12"):
        asked = wake(rules(release), replace(node(25, pages=70, release=release), largest=(0,)), 3, 0)
        after = run(rules(release), asked)
        left[release] = (after.reached, after.phase, len(after.v.pages))
    assert left == {"4.4": (3, Phase.AWAKE, 21), "6.12": (0, Phase.NAPPING, 42)}


def test_a_run_that_frees_nothing_is_counted_and_the_node_given_up() -> None:
    own = rules("6.12")
    stuck = wake(own, node(5), 0, 0)
    for number in range(1, 17):
        assert stuck.phase is Phase.AWAKE
        stuck = run(own, stuck)
        assert stuck.v.failures == number
    assert stuck.phase is Phase.NAPPING
    asleep = nap_is_over(own, stuck)
    assert (asleep.phase, judge_sleep(own, asleep)) == (Phase.ASLEEP, None)
    assert wake(own, asleep, 0, 0).phase is Phase.ASLEEP
    again = replace(asleep, v=replace(asleep.v, failures=0))
    assert wake(own, again, 0, 0).phase is Phase.AWAKE
    old = rules("4.9")
    assert run(old, wake(old, node(5, release="4.9"), 0, 0)).v.failures == 0


def test_a_boost_is_taken_back_and_compaction_asked() -> None:
    """A run for a boost ends at the first pass that frees nothing: of 30 pages priority 12 looks at none."""
    own = rules("6.12")
    # 60 pages are free: above the high mark of 30 with its boost
    boosted = replace(node(60, pages=30), boosts=(20,))
    asked = wake(own, boosted, 0, 0)
    assert asked.phase is Phase.AWAKE
    after = run(own, asked)
    assert (after.boosts, after.compaction, after.phase) == ((0,), Wish(9, 0), Phase.NAPPING)
    assert (len(after.v.pages), after.v.failures) == (30, 1)
    assert wake(rules("4.14"), boosted, 0, 0).phase is Phase.ASLEEP
    short = balance(own, replace(node(5), boosts=(20,), run=Wish(0, 0)))
    assert (short.boosts, short.v.failures) == ((0,), 1)


def test_boosts() -> None:
    assert [boost_left(20, reclaimed) for reclaimed in (0, 5, 30)] == [20, 15, 0]
    assert [boost_is_gentle(1, priority) for priority in (12, 11, 10)] == [False, False, True]
    assert not boost_is_gentle(0, 10)


# ---- who waits ---------------------------------------------------------------------------------------------


def test_a_direct_reclaimer_waits_while_reserves_are_low_and_the_daemon_lets_it_go() -> None:
    own = rules("6.12")
    low = node(0, pages=80)
    low = replace(low, v=give_pages(low.v, 0, 4 - low.v.zones[0].free))
    assert not may_go_on(own, low)
    waiting = throttle(own, low)
    assert (waiting.waiters, waiting.phase, waiting.wish) == (1, Phase.AWAKE, Wish(0, 0))
    assert throttle(own, low, kernel_thread=True) == low
    assert throttle(own, low, killed=True) == low
    assert run(own, waiting).waiters == 0
    assert throttle(own, waiting).waiters == 2
    assert throttle(rules("3.5"), low) == low
    assert may_go_on(own, node(5))  # nothing to reclaim: nobody waits
    assert may_go_on(own, replace(low, v=replace(low.v, failures=16)))


def test_invariants_accept_and_refuse() -> None:
    assert heard(Wish(3, 1), 2, 1)
    assert not heard(Wish(3, 1), 4, 1)
    assert not heard(Wish(3, 0), 2, 1)
    assert sleeps_well(False, False, False, 3)
    assert sleeps_well(True, True, False, 0)
    assert not sleeps_well(True, False, False, 0)
    assert not sleeps_well(True, True, True, 1)
    own = rules("6.12")
    assert judge_wake(own, node(5), 1, 0) == Refusal(
        "reclaim.kswapd.heard", f"asked for order 1, zone 0: noted is {NO_WISH}"
    )
    assert judge_sleep(own, node(5)) == Refusal(
        "reclaim.kswapd.sleeps", "asleep, balanced: False, given up: False, 0 wait"
    )


def test_2_4_has_another_daemon() -> None:
    with pytest.raises(
        Unmodelled, match=r"'reclaim.kswapd.wish' has no behaviour registered for kernel 2.4.20"
    ):
        daemon_rules(kernel("2.4.20"))
    names = {each.rule for each in behaviours() if each.rule.startswith("reclaim.kswapd.")}
    assert names == {
        f"reclaim.kswapd.{name}" for name in ("order", "wakes", "wakes-compaction", "wish", "zone")
    }


# ---- every order of steps ----------------------------------------------------------------------------------


def bare(state: Node) -> Node:
    v = replace(state.v, log=(), counters=Map(), previous=12)
    return replace(state, v=v, quick=(0, 0), compaction=NO_WISH)


def steps(own: DaemonRules, state: Node) -> Iterator[tuple[str, Node]]:
    """Requests for zone 0 or 1, for a page or a block; pages come and go; the daemon's own steps."""
    for zone, marks in enumerate(state.v.zones):
        for order in (0, 1):
            yield f"ask {order} in {zone}", wake(own, state, order, zone)
        yield (
            f"free in {zone}",
            replace(state, v=give_pages(state.v, zone, 31 - marks.free), largest=(1, 1)),
        )
        yield f"use {zone}", replace(state, v=give_pages(state.v, zone, 1 - marks.free))
    yield "split", replace(state, largest=(0, 0))
    yield "wait", state if state.waiters > 1 else throttle(own, state)
    if state.phase is Phase.AWAKE:
        yield "run", run(own, state)
    if state.phase is Phase.NAPPING:
        yield "nap is over", nap_is_over(own, state)


@pytest.mark.parametrize("release", ["3.10", "4.9", "4.14", "6.12"])
def test_every_order_of_steps_hears_who_asks_and_sleeps_well(release: str) -> None:
    own = rules(release)
    broken: list[Refusal] = []

    def following(state: Node) -> Iterator[tuple[str, Node]]:
        for name, after in steps(own, state):
            fell_asleep = after.phase is Phase.ASLEEP and state.phase is not Phase.ASLEEP
            found = judge_sleep(own, after) if fell_asleep else None
            if name.startswith("ask") and own.notes_zone:
                _, order, _, zone = name.split()
                found = found or judge_wake(own, after, int(order), int(zone))
            broken.extend([found] if found else [])
            yield name, bare(after)

    found = search(
        bare(node(31, 31, release=release)), following, lambda state: broken[0] if broken else None
    )
    assert found.broken is None
    assert found.states > 100
