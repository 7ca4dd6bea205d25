"""Memory cgroups take turns: each old one has its turn, none more than twice; there is always an old one."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxmm.model.reclaim.gen_turns import (
    Place,
    Turns,
    generation_of_turn,
    one_turn,
    online,
    over_soft_limit,
    release,
    rotate,
    somebody_is_old,
    take_turns,
)
from linuxmm.model.vm.explore import search
from linuxmm.spec.reclaim.generation_turns import (
    HEAD,
    NR_BINS,
    OLD,
    STAY,
    TAIL,
    YOUNG,
    Turn,
    after_turn,
    is_spared,
)
from linuxmm.spec.step import Refusal


def three() -> Turns:
    """Groups 1 and 2 in bin 0, group 3 in bin 5."""
    return online(online(online(Turns(), 1, 0), 2, 0), 3, 5)


def always(what: int) -> Callable[[int, int], tuple[int, bool]]:
    return lambda group, segment: (what, False)


TURN = Turn(False, False, STAY, False, False, True)


@pytest.mark.parametrize(
    ("turn", "expected", "spared"),
    [
        (TURN._replace(below_min=True), YOUNG, True),
        (TURN._replace(below_low=True), TAIL, True),
        (TURN._replace(below_low=True, segment=TAIL, sizable=True), STAY, False),
        (TURN._replace(aged=True), YOUNG, False),
        (TURN._replace(aged=True, online=False), TAIL, False),
        (TURN._replace(sizable=True), STAY, False),
        (TURN, TAIL, False),
        (TURN._replace(segment=TAIL), YOUNG, False),
    ],
)
def test_what_becomes_of_a_group_after_its_turn(turn: Turn, expected: int, spared: bool) -> None:
    assert (after_turn(turn), is_spared(turn)) == (expected, spared)


@given(st.builds(Turn, *[st.booleans()] * 2, st.sampled_from([STAY, HEAD, TAIL]), *[st.booleans()] * 3))
def test_nobody_gets_to_the_tail_twice_in_a_row(turn: Turn) -> None:
    assert after_turn(turn) in (STAY, TAIL, YOUNG)
    assert after_turn(turn._replace(segment=TAIL)) != TAIL


def test_groups_have_their_turn_bin_by_bin_and_become_young() -> None:
    turns, had = take_turns(three(), 5, (7,), always(YOUNG))
    assert had == (3, 1, 2)
    assert turns.seq == 1  # the old generation is empty: the young one is old
    assert {place.generation for place in turns.places.values()} == {generation_of_turn(1)}
    assert turns.rows[NR_BINS + 7] == (3, 1, 2)


def test_a_group_at_the_tail_has_a_second_turn() -> None:
    turns, had = take_turns(
        three(), 0, (0, 6), lambda group, segment: (TAIL if segment == STAY else YOUNG, False)
    )
    assert had == (1, 2, 1, 3, 2, 3)
    assert (turns.seq, turns.places[3]) == (1, Place(1, STAY))
    turns, had = take_turns(three(), 5, (0,), lambda group, segment: (TAIL, group == 2))
    assert (had, turns.rows[0], turns.places[3]) == ((3, 1, 2), (3, 1, 2), Place(0, TAIL))


def test_who_freed_enough_ends_the_walk() -> None:
    turns, had = take_turns(three(), 0, (0,), lambda group, segment: (STAY, group == 2))
    assert (turns, had) == (three(), (1, 2))


def test_soft_limits_and_removal_bring_groups_forward() -> None:
    turns = over_soft_limit(three(), 2, 0)
    assert turns.rows[0] == (2, 1)
    assert over_soft_limit(turns, 2, 4) is turns
    young = rotate(turns, 1, YOUNG, 3)
    assert rotate(young, 1, OLD, 0).rows[0] == (1, 2)
    gone = release(release(young, 2), 3)
    assert (gone.seq, gone.places[1]) == (1, Place(1, STAY))
    assert release(gone, 1) == Turns(seq=2)


@pytest.mark.parametrize(
    ("bad", "holds"),
    [
        (replace(three(), rows=((1, 1, 2), *three().rows[1:])), one_turn),
        (replace(three(), rows=((2,), *three().rows[1:])), one_turn),
        (replace(three(), places=three().places.set(1, Place(2, STAY))), one_turn),
        (replace(three(), seq=1), one_turn),
        (replace(three(), seq=2), somebody_is_old),
    ],
)
def test_invariants_accept_and_reject(bad: Turns, holds: Callable[[Turns], bool]) -> None:
    assert holds(three())
    assert not holds(bad)


def once(what: int) -> Callable[[int, int], tuple[int, bool]]:
    """What becomes of a group the first time; after a tail it is young."""
    return lambda group, segment: (YOUNG if segment == TAIL else what, False)


def plain(turns: Turns) -> Turns:
    return replace(turns, seq=turns.seq % 3)


def steps(turns: Turns, groups: int, bins: tuple[int, ...]) -> Iterator[tuple[str, Turns]]:
    for group, bin in product(range(groups), bins):
        if group not in turns.places:
            yield f"online {group} {bin}", plain(online(turns, group, bin))
            continue
        for what in (HEAD, TAIL, OLD, YOUNG):
            yield f"rotate {group} {what} {bin}", plain(rotate(turns, group, what, bin))
        yield f"release {group}", plain(release(turns, group))


def test_in_every_order_each_old_group_has_one_or_two_turns() -> None:
    def judge(turns: Turns) -> Refusal | None:
        if not one_turn(turns) or not somebody_is_old(turns):
            return Refusal("reclaim.turns", f"{turns}")
        old = {g for g, place in turns.places.items() if place.generation == generation_of_turn(turns.seq)}
        for first, bins, what in product((0, 3), ((0,), (3,), (0, 3)), (STAY, TAIL, YOUNG)):
            after, had = take_turns(turns, first, bins, once(what))
            if set(had) != old or any(had.count(group) > 2 for group in old) or not one_turn(after):
                return Refusal("reclaim.turns", f"{turns}: {first} {bins} {what}: {had}")
        return None

    found = search(Turns(), lambda turns: steps(turns, 2, (0, 3)), judge)
    assert found.broken is None
    assert found.states > 100
