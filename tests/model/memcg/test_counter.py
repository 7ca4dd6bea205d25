"""Counters of groups: charges that run at once, limits with what exceeds them, eras of the counter."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from linuxmm.model.memcg.counter import (
    CLIMBS,
    DOUBTS,
    HOLDS,
    NOBODY,
    OVER,
    Charge,
    Tree,
    exchange_max,
    explore,
    force_charge,
    judge,
    path,
    room,
    set_max,
    step,
    tree,
    try_charge,
    uncharge,
)
from linuxmm.spec.kernel import kernel
from linuxmm.spec.memcg.counter import (
    PAGE_COUNTER_MAX,
    adds_first,
    checks_first,
    limit_kept,
    margin,
    stock_kept,
    sum_kept,
    watermark_kept,
)
from linuxmm.spec.step import Refusal

CHAIN = (NOBODY, 0, 1)
FORK = (NOBODY, 0, 0)


def test_every_order_of_charges_keeps_sums_and_limits() -> None:
    for level in (adds_first, checks_first):
        for parent, groups in ((CHAIN, (2, 2, 1)), (FORK, (1, 2, 2)), (CHAIN, (2, 0, 2))):
            charges = tuple(
                Charge(group, pages, len(path(tree(parent, (9, 9, 9)), group)))
                for group, pages in zip(groups, (1, 2, 1), strict=True)
            )
            found = explore(tree(parent, (2, 3, 2)), charges, level)
            assert (found.trace, found.broken) == ((), None)
            assert found.states > 150


def test_a_parent_may_count_less_than_its_children_while_a_charge_climbs() -> None:
    state, charge = step(tree((NOBODY, 0), (9, 9)), Charge(1, 4, 2))
    assert (state.usage, charge.phase) == ((0, 4), CLIMBS)
    assert judge(state, (charge,)) is None
    assert judge(state, ()) == Refusal("memcg.counter.sum", "group 0: usage 0, due 0, own 0, children 4")


def test_a_counter_exceeds_its_limit_by_what_is_doubtful_and_no_more() -> None:
    state, large = step(tree((NOBODY,), (4,)), Charge(0, 512, 1))
    assert (state.usage, large.phase) == ((512,), DOUBTS)
    locked_out, small = step(state, Charge(0, 1, 1))
    assert (locked_out.usage, small.phase, locked_out.failcnt) == ((513,), DOUBTS, (2,))
    assert judge(locked_out, (large, small)) is None
    assert judge(locked_out, (large,)) == Refusal(
        "memcg.counter.sum", "group 0: usage 513, due 0, own 512, children 0"
    )
    assert step(tree((NOBODY,), (4,)), Charge(0, 512, 1), checks_first)[0].usage == (0,)


def test_a_charge_that_fails_leaves_nothing_but_its_failure_count() -> None:
    start, _ = try_charge(tree(CHAIN, (9, 3, 9)), 2, 3)
    after, failed = try_charge(start, 2, 1)
    assert failed == 1
    assert after == Tree(CHAIN, (9, 3, 9), (3, 3, 3), (3, 3, 4), (0, 1, 0), (0, 0, 0))


def test_limits_refuse_or_are_exceeded() -> None:
    full, _ = try_charge(tree((NOBODY,), (9,)), 0, 5)
    assert set_max(full, 0, 4) is None
    assert set_max(full, 0, 5) == replace(full, limit=(5,))
    assert exchange_max(full, 0, 4) == replace(full, limit=(4,), over=(1,))
    forced = force_charge(full, 0, 6)
    assert (forced.usage, forced.over) == ((11,), (2,))
    assert uncharge(forced, 0, 11).over == (0,)
    assert uncharge(full, 0, 6).usage == (0,)


def test_invariants_refuse() -> None:
    assert sum_kept(3, 2, 1, 4)
    assert not sum_kept(3, 2, 1, 3)
    assert limit_kept(5, 1, 1, 3)
    assert not limit_kept(6, 1, 1, 3)
    assert not limit_kept(-1, 0, 0, 3)
    assert watermark_kept(5, 1, 4)
    assert not watermark_kept(5, 0, 4)
    assert stock_kept(64, 64)
    assert not stock_kept(65, 64)


def test_eras() -> None:
    def at(version: str, rule_: str, *figures: int) -> object:
        return kernel(version).behaviour(rule_).function(*figures)

    assert [at(v, "memcg.batch", 1) for v in ("2.6.28", "2.6.33", "6.0", "6.1", "6.12")] == [
        1,
        32,
        32,
        64,
        64,
    ]
    assert at("6.1", "memcg.batch", 512) == 512
    assert [at(v, "memcg.retries") for v in ("2.6.28", "5.8", "5.9", "6.12")] == [5, 5, 16, 16]
    assert [at(v, "memcg.limit-unit", 4097) for v in ("3.18", "3.19")] == [2, 1]
    assert at("6.12", "memcg.limit-unit", 2**64 - 1) == PAGE_COUNTER_MAX
    assert [at(v, "memcg.level", 4, 1, 4) for v in ("3.18", "3.19")] == [(False, False), (True, False)]
    assert (margin(3, 5), margin(5, 3)) == (2, 0)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 5)), max_size=12))
def test_a_charge_succeeds_exactly_when_all_groups_above_have_room(charges: list[tuple[int, int]]) -> None:
    state = tree(CHAIN, (12, 8, 6))
    for group, pages in charges:
        fitting = room(state, group, pages)
        after, failed = try_charge(state, group, pages)
        assert (failed == NOBODY) == fitting
        assert after.usage == state.usage or fitting
        state = after


class ChargesAtOnce(RuleBasedStateMachine):
    """Charges, forced ones too, and changes of limits, interleaved at random."""

    def __init__(self) -> None:
        super().__init__()
        self.state = tree((NOBODY, 0, 0, 1), (20, 12, 9, 6))
        self.charges: tuple[Charge, ...] = ()

    @rule(group=st.integers(0, 3), pages=st.integers(1, 7), forced=st.booleans())
    def begin(self, group: int, pages: int, forced: bool) -> None:
        depth = len(path(self.state, group))
        self.charges = (*self.charges, Charge(group, pages, depth, forced=forced))

    @rule(data=st.data())
    def go_on(self, data: st.DataObject) -> None:
        moving = [number for number, charge in enumerate(self.charges) if charge.phase != OVER]
        if moving:
            at = data.draw(st.sampled_from(moving))
            self.state, charge = step(self.state, self.charges[at])
            self.charges = (*self.charges[:at], charge, *self.charges[at + 1 :])

    @rule(group=st.integers(0, 3), limit=st.integers(0, 20))
    def lower(self, group: int, limit: int) -> None:
        if all(charge.phase in (HOLDS, OVER) for charge in self.charges):
            self.state = exchange_max(self.state, group, limit)

    @invariant()
    def keeps(self) -> None:
        assert judge(self.state, self.charges) is None


TestChargesAtOnce = ChargesAtOnce.TestCase
