"""The buddy formulas and invariants: laws, an accepting and a rejecting case each."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxmm.spec.alloc.buddy import (
    FreeBlock,
    FreeBlocks,
    aligned,
    block_contains,
    buddy_of,
    coalesced,
    disjoint,
    in_zone,
    is_aligned,
    merged_pfn,
    types_may_merge,
    upper_half,
)
from linuxmm.spec.alloc.migratetype import fallback_type, list_may_serve
from linuxmm.spec.alloc.pcp import (
    count_is_sum,
    index_by_order_and_type,
    index_one_huge_list,
    index_two_huge_lists,
    order_of_index,
)


@given(st.integers(0, 1 << 40), st.integers(0, 10))
def test_a_buddy_is_the_other_half_of_the_block_above(number: int, order: int) -> None:
    pfn = number << order
    buddy = buddy_of(pfn, order)
    assert buddy != pfn
    assert buddy_of(buddy, order) == pfn
    assert merged_pfn(pfn, order) == merged_pfn(buddy, order) == min(pfn, buddy)
    assert upper_half(min(pfn, buddy), order) == max(pfn, buddy)
    assert is_aligned(buddy, order)
    assert is_aligned(merged_pfn(pfn, order), order + 1)
    assert block_contains(merged_pfn(pfn, order), order + 1, buddy)


def test_types_with_fallbacks_merge_and_no_others() -> None:
    mixed = [(a, b) for a in range(8) for b in range(8) if a != b and types_may_merge(a, b)]
    assert mixed == [(a, b) for a in range(3) for b in range(3) if a != b]
    assert all(types_may_merge(a, a) for a in range(8))


GOOD = FreeBlocks(0, 32, 3, 2, (1,) * 8, (FreeBlock(0, 3, 1), FreeBlock(12, 2, 1), FreeBlock(16, 3, 1)))


@pytest.mark.parametrize(
    ("invariant", "broken"),
    [
        (aligned, FreeBlock(10, 2, 1)),
        (in_zone, FreeBlock(32, 1, 1)),
        (in_zone, FreeBlock(16, 4, 1)),
        (disjoint, FreeBlock(4, 2, 1)),
        (coalesced, FreeBlock(8, 2, 1)),
    ],
)
def test_each_invariant_accepts_and_rejects(invariant, broken: FreeBlock) -> None:  # type: ignore[no-untyped-def]
    assert invariant(GOOD)
    assert not invariant(replace(GOOD, blocks=(*GOOD.blocks, broken)))


def test_buddies_of_pageblocks_that_may_not_merge_stay_apart() -> None:
    apart = FreeBlocks(0, 8, 3, 2, (1, 4), (FreeBlock(0, 2, 1), FreeBlock(4, 2, 4)))
    assert coalesced(apart)
    assert not coalesced(replace(apart, types=(1, 0)))


def test_counts_of_cpu_lists() -> None:
    assert count_is_sum(3 + 4 + 8, (3, 2, 2))
    assert not count_is_sum(7, (3, 2, 2))


@given(st.integers(0, 3), st.integers(0, 2))
def test_lists_of_a_cpu_are_told_apart_by_order(order: int, migratetype: int) -> None:
    for index in (index_by_order_and_type, index_one_huge_list, index_two_huge_lists):
        assert order_of_index(index(order, migratetype), 9) == order
        assert order_of_index(index(9, migratetype), 9) == 9


@given(st.integers(0, 7), st.integers(0, 1))
def test_fallbacks_are_other_ordinary_types(migratetype: int, attempt: int) -> None:
    other = fallback_type(migratetype, attempt)
    assert other != migratetype
    assert (other in (0, 1, 2)) == (migratetype in (0, 1, 2))


def test_what_a_list_may_serve() -> None:
    assert not list_may_serve(4, 1, True, True)
    assert [list_may_serve(5, 1, cma, True) for cma in (True, False)] == [True, False]
    assert [list_may_serve(3, 0, True, high) for high in (True, False)] == [True, False]
    assert list_may_serve(0, 1, False, False)
    assert list_may_serve(6, 0, False, False)
