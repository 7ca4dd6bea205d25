"""What an observation teaches is adopted as little as agrees with it, and nothing else changes."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.fast.engine import Engine
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.strategies import small_machine, small_rules
from linuxmm.oracle.exact import adopt
from linuxmm.spec.alloc.pcp import PcpVars
from linuxmm.spec.alloc.vmstat import MAX_THRESHOLD, stat_pressure_threshold, stat_threshold

VERSION = "6.12.117"
NUMBERS = PcpVars(40, 7, 60, 50, 400, 0, 20, 0, 5)


def machine() -> Machine:
    return small_machine(VERSION)


def engine(start: Machine) -> Engine:
    return Engine(small_rules(VERSION), start)


def longest(start: Machine) -> tuple[int, int, int]:
    """(zone, order, migratetype) of the free list with most blocks."""
    return max(
        (
            (zone, order, migratetype)
            for zone, z in enumerate(start.zones)
            for order, row in enumerate(z.lists)
            for migratetype in range(len(row))
        ),
        key=lambda at: len(start.zones[at[0]].lists[at[1]][at[2]]),
    )


@settings(deadline=None)
@given(st.data())
def test_rotating_a_list_moves_what_stood_before_to_its_tail(data: st.DataObject) -> None:
    start = machine()
    zone, order, migratetype = longest(start)
    blocks = start.zones[zone].lists[order][migratetype]
    first = data.draw(st.integers(0, len(blocks) - 2))
    before = data.draw(st.integers(first + 1, len(blocks) - 1))
    run = engine(start)
    assert adopt.rotate(run, blocks[first], blocks[before])
    lists = [list(row) for row in start.zones[zone].lists]
    lists[order][migratetype] = (*blocks[:first], *blocks[before:], *blocks[first:before])
    expected = replace(start.zones[zone], lists=tuple(tuple(row) for row in lists))
    assert run.machine.zones[zone] == expected
    assert run.machine.zones[:zone] == start.zones[:zone]


def test_blocks_of_two_lists_are_not_rotated() -> None:
    start = machine()
    zone, order, migratetype = longest(start)
    blocks = start.zones[zone].lists[order][migratetype]
    others = [pfn for z in start.zones for pfn in z.free if pfn not in blocks]
    run = engine(start)
    assert not adopt.rotate(run, blocks[0], others[0])
    assert not adopt.rotate(run, blocks[1], blocks[0])
    assert not adopt.rotate(run, blocks[0] + 1, blocks[1])
    assert run.machine == start


@settings(deadline=None)
@given(st.integers(1, 2000), st.integers(0, 2000))
def test_a_boost_is_lowered_to_the_most_that_agrees(boost: int, most: int) -> None:
    run = engine(machine())
    run.set_boost(0, boost)
    changed = adopt.learn_boost(run, 0, lambda: run.boost(0) <= most)
    assert (changed, run.boost(0)) == (boost > most, min(boost, most))


def test_a_boost_that_explains_nothing_stays() -> None:
    run = engine(machine())
    run.set_boost(0, 512)
    assert not adopt.learn_boost(run, 0, lambda: False)
    assert run.boost(0) == 512


@settings(deadline=None)
@given(st.integers(0, 420), st.integers(0, 60), st.booleans(), st.booleans())
def test_learning_from_a_drain_makes_it_agree_or_changes_nothing(
    pages: int, seen: int, reclaim: bool, below: bool
) -> None:
    start = machine()
    run = engine(start)
    numbers = NUMBERS._replace(pages=pages)
    run.set_pcp_vars(0, 0, numbers)
    run.set_flags(0, reclaim, below)
    kept = run.snapshot()
    pfn = start.zones[0].start
    learnt = adopt.learn_drain(run, pfn, 0, 0, seen)
    after = run.pcp_vars(0, 0)
    flags = (run.machine.zones[0].reclaim_active, run.machine.zones[0].below_high)
    freed = after._replace(pages=pages + 1)
    given_back = min(run.rules.pcp_commit(freed, 0, *flags)[1], pages + 1)
    if given_back != seen:
        assert learnt == (False, False)
        assert (run.arrays.st == kept.st).all()
    assert after._replace(high=0, factor=0) == numbers._replace(high=0, factor=0)


def test_numbers_that_agree_already_are_left_alone() -> None:
    run = engine(machine())
    run.set_pcp_vars(0, 0, NUMBERS)
    run.set_flags(0, False, False)
    assert adopt.learn_drain(run, run.start_of(0), 0, 0, 0) == (False, False)
    assert run.pcp_vars(0, 0) == NUMBERS


def test_thresholds_of_the_counters() -> None:
    """The table in the kernel's comment: CPUs, memory in units of 128 MB, threshold."""
    table = [(1, 0, 2), (2, 0, 4), (4, 1, 12), (8, 4, 32), (16, 8, 50), (64, 80, 112), (1024, 64, 125)]
    assert [(c, m, stat_threshold(c, m << 15, 12)) for c, m, _ in table] == table
    assert stat_pressure_threshold(2, 131, 163) == 16
    assert stat_pressure_threshold(8, 10, 12) == 1
    assert stat_pressure_threshold(1, 0, 10_000) == MAX_THRESHOLD
