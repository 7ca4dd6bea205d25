"""The fragmentation figures on worked examples, and their bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxmm.spec.alloc.fragmentation import (
    WOULD_SUCCEED,
    bounded,
    compaction_refused,
    extfrag_for_order,
    fragmentation_index,
    internal_fragmentation,
    suitable_blocks,
    unusable_free_index,
)


def blocks(counts: dict[int, int]) -> list[int]:
    return [counts.get(order, 0) for order in range(11)]


@pytest.mark.parametrize(
    ("counts", "order", "unusable", "index", "percent"),
    [
        ({0: 16}, 2, 1000, 688, 100),
        ({0: 1000}, 9, 1000, 998, 100),
        ({0: 512, 8: 4}, 9, 1000, 993, 100),
        ({0: 512, 9: 1}, 9, 500, -1000, 50),
        ({3: 64}, 9, 1000, 969, 100),
        ({0: 10}, 9, 1000, 899, 100),
        ({0: 100, 1: 100, 2: 100}, 4, 1000, 851, 100),
        ({10: 1}, 9, 0, -1000, 0),
        ({0: 1}, 9, 1000, -1, 100),
        ({8: 1}, 9, 1000, -500, 100),
        ({8: 2}, 9, 1000, 0, 100),
        ({8: 4}, 9, 1000, 250, 100),
        ({8: 8}, 9, 1000, 375, 100),
        ({7: 8}, 9, 1000, 625, 100),
    ],
)
def test_worked_examples(counts: dict[int, int], order: int, unusable: int, index: int, percent: int) -> None:
    free = blocks(counts)
    found = unusable_free_index(free, order), fragmentation_index(free, order), extfrag_for_order(free, order)
    assert found == (unusable, index, percent)


def test_without_free_memory_all_is_unusable_and_nothing_fragmented() -> None:
    free = blocks({})
    assert (unusable_free_index(free, 3), fragmentation_index(free, 3), extfrag_for_order(free, 3)) == (
        1000,
        0,
        0,
    )


def test_compaction_is_refused_exactly_for_want_of_memory() -> None:
    assert [i for i in (-1000, -500, -1, 0, 250, 500, 501, 998) if compaction_refused(i, 500)] == [
        0,
        250,
        500,
    ]


@given(st.lists(st.integers(0, 1000), min_size=11, max_size=11), st.integers(0, 10))
def test_the_figures_keep_their_bounds(free: list[int], order: int) -> None:
    assert bounded(unusable_free_index(free, order), extfrag_for_order(free, order))
    assert (fragmentation_index(free, order) == WOULD_SUCCEED) == (suitable_blocks(free, order) > 0)
    assert fragmentation_index(free, order) <= 1000


def test_figures_out_of_bounds_are_noticed() -> None:
    assert not bounded(1001, 0)
    assert not bounded(0, -1)
    assert internal_fragmentation(5, 8) == 3
