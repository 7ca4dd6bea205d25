"""Counters and free lists are held against what is known of the pages."""

import pytest

from linuxmm.spec.alloc.page_listing import permits_counts, permits_lists
from linuxmm.spec.alloc.page_state import Layout, Pages, Span, all_free, learn_owned
from linuxmm.spec.alloc.pages import Done, Retag, apply
from linuxmm.spec.vocabulary import MigrateType, ZoneType

LAYOUT = Layout(
    (Span(ZoneType.DMA, 0, 0, 4), Span(ZoneType.NORMAL, 0, 4, 16)), max_order=3, pageblock_order=2
)
STATE = learn_owned(all_free(LAYOUT, [(15, 16)]), [(4, 1, 0)])
GOOD = [(0, 2), (6, 1), (8, 2), (12, 1), (14, 0)]


def test_the_lists_that_follow_are_permitted() -> None:
    assert permits_lists(STATE, [(0, 2), (6, 1), (8, 2), (12, 1), (14, 0)]) == ()
    assert permits_counts(STATE, (4, 9)) == ()


@pytest.mark.parametrize(
    ("clause", "lists", "why"),
    [
        ("alloc.page.lost", GOOD[1:], "4 free pages are on no list, the first is pfn 0"),
        (
            "alloc.page.listed-owned",
            [*GOOD, (4, 0)],
            "free block 4, order 0: page 4 is owned in the block at pfn 4, order 1",
        ),
        ("alloc.page.listed-unmanaged", [*GOOD, (15, 0)], "free block 15, order 0: page 15 is not managed"),
        (
            "alloc.buddy.coalesced",
            [(0, 1), (2, 1), *GOOD[1:]],
            "free buddies (0, order 1) and (2, order 1) stay apart",
        ),
        (
            "alloc.buddy.disjoint",
            [*GOOD, (13, 0)],
            "free blocks (12, order 1) and (13, order 0) share a page",
        ),
        (
            "alloc.buddy.in-zone",
            [(0, 3), *GOOD[2:]],
            "a free block leaves node 0, zone DMA",
        ),
        (
            "alloc.buddy.aligned",
            [*GOOD[:3], (13, 1), (12, 0)],
            "a free block of node 0, zone Normal is not aligned to its size",
        ),
    ],
)
def test_each_fault_of_the_lists_is_found(clause: str, lists: list[tuple[int, int]], why: str) -> None:
    assert (clause, why) in [(refusal.clause, refusal.why) for refusal in permits_lists(STATE, lists)]


def test_counters_are_exact_when_everything_is_known() -> None:
    assert [refusal.why for refusal in permits_counts(STATE, (3, 9))] == [
        "node 0, zone DMA counts 3 free pages, expected 4"
    ]
    assert [refusal.why for refusal in permits_counts(STATE, (4,))] == ["1 counters for 2 zones"]


def test_counters_may_vary_by_what_is_unknown_or_withheld() -> None:
    assert permits_counts(Pages(LAYOUT), (0, 12)) == ()
    assert permits_counts(Pages(LAYOUT), (5, 0))[0].why == (
        "node 0, zone DMA counts 5 free pages, expected 0 to 4"
    )
    cached = Layout(LAYOUT.spans, 3, 2, withheld=2)
    assert permits_counts(all_free(cached), (2, 12)) == ()
    assert permits_counts(all_free(cached), (1, 12)) != ()
    assert permits_lists(all_free(cached), [(0, 1), (4, 2), (8, 3)]) == ()


def test_isolated_pages_need_not_be_listed_nor_merged() -> None:
    state = apply(STATE, Retag(8, MigrateType.ISOLATE), Done())
    assert permits_lists(state, [block for block in GOOD if block != (8, 2)]) == ()
    assert permits_counts(state, (4, 5)) == ()


@pytest.mark.parametrize("block", [(64, 0), (-1, 0), (0, 4), (0, -1), (0, 10**12), (10**30, 0)])
def test_a_block_that_cannot_be_is_one_refusal(block: tuple[int, int]) -> None:
    assert [(refusal.clause, refusal.why) for refusal in permits_lists(STATE, [*GOOD, block])] == [
        ("alloc.buddy.in-zone", f"free block {block[0]}, order {block[1]} lies in no zone or exceeds order 3")
    ]
