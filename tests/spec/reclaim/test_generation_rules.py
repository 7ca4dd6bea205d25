"""Where a page goes among generations, when to age, how much to scan, and how 6.1 and 6.12 differ in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxmm.spec.kernel import behaviours, kernel
from linuxmm.spec.reclaim import generation_eras
from linuxmm.spec.reclaim.generation_rules import (
    Done,
    Part,
    Plan,
    averaged,
    counts_as_active,
    first_priority_by_size,
    first_priority_given,
    needs_ageing,
    old_after_ttl,
    old_at_ttl,
    part_around,
    plan_or_age,
    plan_then_scan,
    refs_after_use,
    seq_of_new,
    stops_at_target,
    stops_when_safe,
)
from linuxmm.spec.reclaim.generations import generation_of


@pytest.mark.parametrize(
    ("hot", "waits", "cold", "oldest", "expected"),
    [
        (True, True, True, 6, 9),
        (False, True, True, 6, 8),
        (False, False, True, 6, 6),
        (False, False, False, 6, 7),
        (False, False, False, 7, 7),
        (False, False, False, 8, 8),
    ],
)
def test_a_page_gets_the_generation_that_it_deserves(
    hot: bool, waits: bool, cold: bool, oldest: int, expected: int
) -> None:
    assert seq_of_new(hot, waits, cold, oldest, 9) == expected


@given(st.integers(3, 100))
def test_the_two_youngest_generations_count_as_active(top: int) -> None:
    active = [seq for seq in range(top - 3, top + 1) if counts_as_active(generation_of(seq), top)]
    assert active == [top - 1, top]


def test_uses_are_counted_up_to_three_and_averages_halve() -> None:
    assert [refs_after_use(refs) for refs in range(4)] == [1, 2, 3, 3]
    assert [averaged(9, 4), averaged(0, 1), averaged(6, 0)] == [6, 0, 3]


@given(st.integers(0, 3000), st.integers(0, 2000), st.integers(1, 2000))
def test_what_is_looked_at_beside_an_entry_is_near_it(place: int, before: int, after: int) -> None:
    first, end = max(place - before, 0), place + after
    part = part_around(place, first, end)
    assert first <= part.first <= place < part.end <= end
    assert part.end - part.first <= 64
    assert place // 512 == part.first // 512 == (part.end - 1) // 512


def test_the_window_around_an_entry_moves_with_it_as_far_as_it_can() -> None:
    assert part_around(10, 0, 4096) == Part(0, 64)
    assert part_around(100, 0, 4096) == Part(68, 132)
    assert part_around(510, 0, 4096) == Part(448, 512)
    assert part_around(5, 3, 8) == Part(3, 8)


@pytest.mark.parametrize(
    ("oldest", "young", "old", "expected"),
    [(8, 0, 99, True), (6, 99, 0, False), (7, 51, 49, True), (7, 50, 25, False), (7, 10, 24, True)],
)
def test_a_generation_is_opened_when_cold_pages_run_out(
    oldest: int, young: int, old: int, expected: bool
) -> None:
    assert needs_ageing(oldest, 9, young, old, 100) == expected


def test_the_plan_of_6_1_scans_after_ageing_and_that_of_6_12_ends() -> None:
    assert (
        plan_then_scan(True, False, 4096, 10, False) == plan_or_age(True, False, 4096, 10, True) == (4, False)
    )
    assert plan_then_scan(True, True, 4096, 12, True) == plan_or_age(True, True, 4096, 12, True) == (1, False)
    assert (
        plan_then_scan(False, True, 4096, 12, False)
        == plan_or_age(False, True, 4096, 12, False)
        == (0, False)
    )
    assert plan_then_scan(True, True, 4096, 8, True) == Plan(0, False)
    assert plan_then_scan(True, True, 4096, 8, False) == Plan(16, True)
    assert plan_or_age(True, True, 4096, 8, False) == plan_or_age(True, True, 4096, 8, True) == Plan(0, True)


def test_the_first_priority_of_6_12_fits_the_size() -> None:
    assert first_priority_given(12, 1000, 1 << 20) == 12
    assert first_priority_by_size(12, 63, 1 << 20) == 12
    assert first_priority_by_size(11, 64, 1 << 20) == 11
    assert [first_priority_by_size(12, 64, 1 << n) for n in (8, 12, 15, 30)] == [6, 6, 9, 12]
    assert first_priority_by_size(12, 65, 1 << 15) == 8


def done(
    opened: int = 0,
    reclaimed: int = 0,
    order: int = 0,
    priority: int = 8,
    kswapd: bool = False,
    swapped: bool = False,
    safe: bool = False,
    plenty: bool = False,
) -> Done:
    return Done(opened, reclaimed, 32, order, priority, kswapd, swapped, safe, plenty)


def test_what_ends_a_pass_differs() -> None:
    assert stops_when_safe(done(opened=2)) == (True, 0)
    assert stops_when_safe(done(reclaimed=32)) == (False, 0)
    assert stops_when_safe(done(reclaimed=32, swapped=True)) == (True, 0)
    assert stops_when_safe(done(safe=True)) == (True, 64)
    assert stops_when_safe(done(safe=True, priority=11)) == (False, 0)
    assert stops_when_safe(done(safe=True, kswapd=True)) == (False, 0)
    assert stops_when_safe(done(safe=True, kswapd=True, reclaimed=32)) == (True, 64)
    assert stops_at_target(done(reclaimed=32)) == (True, 0)
    assert stops_at_target(done(reclaimed=32, order=5)) == (False, 0)
    assert stops_at_target(done(plenty=True)) == (False, 0)
    assert stops_at_target(done(plenty=True, kswapd=True)) == (True, 0)
    assert stops_at_target(done(plenty=True, kswapd=True, order=1)) == (False, 0)


def test_young_pages_are_left_alone_for_as_long_as_told() -> None:
    assert [old_at_ttl(now, 10, 5, 1, 8) for now in (14, 15, 16)] == [False, True, True]
    assert [old_after_ttl(now, 10, 5, 1, 8) for now in (14, 15, 16)] == [False, False, True]
    assert [old_at_ttl(20, 10, 5, 0, priority) for priority in (12, 11)] == [True, False]
    assert not old_after_ttl(20, 10, 5, 0, 12)


def test_every_rule_of_generations_has_an_answer_for_6_1_and_for_6_12() -> None:
    rules = {entry.rule for entry in behaviours() if entry.rule.startswith("reclaim.gen-")}
    assert len(rules) == 13
    for rule in rules:
        early, late = (kernel(version).behaviour(rule).function for version in ("6.1", "6.12"))
        assert early is not late
        if early.__module__ == generation_eras.__name__ and rule not in (
            "reclaim.gen-neighbours", "reclaim.gen-swaps-one",
        ):  # fmt: skip
            assert early() is not late()
    assert [kernel("6.1").behaviour("reclaim.gen-neighbours").function(n) for n in (14, 15)] == [False, True]
    assert not kernel("6.12").behaviour("reclaim.gen-neighbours").function(64)
    assert [kernel("6.1").behaviour("reclaim.gen-swaps-one").function(on, 60) for on in (False, True)] == [
        1,
        60,
    ]
    assert [kernel("6.12").behaviour("reclaim.gen-swaps-one").function(on, 60) for on in (False, True)] == [
        0,
        60,
    ]
