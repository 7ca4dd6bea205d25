"""Swap: counts beyond a byte, windows of readahead, what differs between releases."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxmm.model.reclaim.swap import Count, continue_count, drop, duplicate, referenced, unused
from linuxmm.model.reclaim.swap_slots import swap_rules
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
from linuxmm.spec.reclaim.swap_slots import (
    bounded,
    bounds_freed,
    bounds_taken,
    caches_active,
    cluster_counted,
    cluster_on_one_list,
    crosses_trunk,
    flag_has_owner,
    goal,
    half_full,
    in_one_place,
    run_aligned,
    use_counted,
)
from linuxmm.spec.step import Err, Errno


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


def test_a_slot_of_shared_memory_has_one_use() -> None:
    assert duplicate(Count(shmem=True)) == Err(Errno.EINVAL)
    assert drop(Count(cached=True, shmem=True)) == Count(cached=True)
    assert (referenced(Count(shmem=True)), unused(Count(shmem=True))) == (True, False)
    assert (referenced(Count(cached=True)), unused(Count(cached=True))) == (False, False)
    assert unused(Count(0, (0, 0)))


@given(st.integers(0, 62), st.lists(st.integers(0, 127), max_size=3).map(tuple))
def test_one_use_more_and_less_is_one(low: int, digits: tuple[int, ...]) -> None:
    more = duplicate(Count(low, digits))
    if isinstance(more, Err):
        assert uses(low, digits) == 63 * 128 ** len(digits) - 1
    else:
        assert uses(more.low, more.digits) == uses(low, digits) + 1
        assert drop(more) == Count(low, digits)


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


def test_searches_of_the_eras() -> None:
    releases = ("2.4.20", "2.6.13", "2.6.24", "3.10", "3.12", "4.11", "6.10", "6.12")
    assert [swap_rules(kernel(release)).search.__name__ for release in releases] == [
        "search_by_cursor",
        "search_by_cursor",
        "search_from_lowest",
        "search_around",
        "search_by_cluster",
        "search_by_cluster",
        "search_by_cluster",
        "search_by_lists",
    ]
    assert [swap_rules(kernel(release)).batch for release in releases] == [0, 0, 0, 0, 0, 64, 64, 64]
    fits = [
        [swap_rules(kernel(r)).huge(order, 9) for order in (0, 4, 9, 10)] for r in ("4.9", "4.19", "6.10")
    ]
    assert fits == [
        [True, False, False, False],
        [True, False, True, False],
        [True, True, True, False],
    ]
    assert [swap_rules(kernel(r)).looks_at_cursor for r in ("3.12", "4.10", "4.11", "6.11")] == [
        True,
        True,
        False,
        False,
    ]
    assert [swap_rules(kernel(r)).wrapped(5) for r in ("3.15", "3.16")] == [6, 5]
    assert [swap_rules(kernel(r)).reuses(4, 10) for r in ("2.6.30", "2.6.31")] == [False, True]
    assert [swap_rules(kernel(r)).goes_on for r in ("4.19", "5.8")] == [False, True]
    assert [swap_rules(kernel(r)).cursors(4) for r in ("5.7", "5.8")] == [1, 4]


def test_clusters_become_free_in_the_order_of_their_era() -> None:
    assert swap_rules(kernel("3.12")).first(5, 11, 4) == (2, 3, 4, 0, 1)
    assert swap_rules(kernel("6.1")).first(67, 1, 256)[:5] == (0, 64, 1, 65, 2)
    assert swap_rules(kernel("6.1")).first(67, 2 * 256, 256)[:3] == (2, 66, 3)


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


def test_when_cpus_keep_slots() -> None:
    assert [caches_active(False, free, 2, 64) for free in (640, 641)] == [False, True]
    assert [caches_active(True, free, 2, 64) for free in (255, 256)] == [False, True]
    assert [goal(64, 100, 1), goal(64, 5, 1), goal(99, 999, 1), goal(1, 511, 512)] == [64, 5, 64, 0]
    assert [half_full(free, 10) for free in (5, 4)] == [False, True]
    assert [crosses_trunk(16383, following) for following in (16383, 16384)] == [False, True]


def test_bounds() -> None:
    assert bounds_taken(1, 9, 1, 1) == (2, 9)
    assert bounds_taken(1, 9, 8, 2) == (1, 7)
    assert bounds_taken(1, 9, 4, 2) == (1, 9)
    assert bounds_freed(5, 7, 2, 1) == (2, 7)
    assert bounds_freed(100, 0, 6, 2) == (6, 7)


def test_invariants_accept_and_refuse() -> None:
    assert counted(5, (1,), 68)
    assert not counted(5, (1,), 6)
    assert free_when_unused(True, 0, False)
    assert not free_when_unused(True, 0, True)
    assert not free_when_unused(False, 0, False)
    assert totals_agree(10, 4, 10, 6)
    assert not totals_agree(10, 4, 10, 5)
    assert not totals_agree(10, 4, 11, 6)
    assert in_one_place(True, False, 0, False)
    assert in_one_place(False, False, 1, False)
    assert not in_one_place(False, False, 2, False)
    assert not in_one_place(True, True, 0, False)
    assert not in_one_place(False, False, 0, False)
    assert flag_has_owner(True, False, True)
    assert not flag_has_owner(True, True, True)
    assert not flag_has_owner(False, True, False)
    assert cluster_counted(0, 0, True)
    assert not cluster_counted(1, 1, True)
    assert not cluster_counted(2, 1, False)
    assert cluster_on_one_list(1, True, True, False)
    assert cluster_on_one_list(0, True, False, True)
    assert not cluster_on_one_list(1, True, False, False)
    assert not cluster_on_one_list(2, False, False, False)
    assert bounded(3, 1, 5)
    assert not bounded(6, 1, 5)
    assert run_aligned(24, 3, 8)
    assert not run_aligned(20, 3, 8)
    assert not run_aligned(32, 4, 8)
    assert use_counted(5, 3, 2)
    assert not use_counted(5, 3, 1)
