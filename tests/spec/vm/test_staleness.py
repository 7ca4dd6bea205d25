"""Which translations may be used: the bound grows with the tables and shrinks with flushes."""

import pytest

from linuxmm.spec.vm.staleness import (
    Cached,
    CpuView,
    Flush,
    answers,
    changed,
    drops,
    drops_table,
    flushed,
    may_use,
    refusals_of_use,
    within,
)

PAGE = Cached(1, False, 0, 0x5, False, 0x9007)
SHARED = Cached(0, True, 0, 0x5, False, 0xA007)
TABLE = Cached(1, False, 0, 0x0, True, 0x4006)


def covers(item: Cached, va: int) -> bool:
    return item.page == va >> (21 if item.table else 12)


def test_what_was_current_may_be_used_until_it_is_flushed() -> None:
    view = changed(changed(CpuView(), {PAGE}), {SHARED})
    assert view == CpuView(frozenset({SHARED}), frozenset({PAGE}))
    assert within(view, {PAGE, SHARED})
    assert not within(view, {TABLE})
    after = flushed(view, Flush.ADDRESS, 1, 0x5000, covers)
    assert may_use(after) == {SHARED}
    assert refusals_of_use(after, SHARED) == frozenset()
    assert {refusal.clause for refusal in refusals_of_use(after, PAGE)} == {"vm.tlb.stale-use"}


def test_a_mapping_that_comes_back_is_current_again() -> None:
    view = changed(changed(changed(CpuView(), {PAGE}), ()), {PAGE})
    assert view == CpuView(frozenset({PAGE}))


@pytest.mark.parametrize(
    ("flush", "left"),
    [
        (Flush.ADDRESS, set()),
        (Flush.ONE, {SHARED}),
        (Flush.CONTEXT, {SHARED}),
        (Flush.ALL, set()),
        (Flush.ALL_BUT_GLOBAL, {SHARED}),
        (Flush.NOTHING, {PAGE, SHARED, TABLE}),
    ],
)
def test_reach_of_each_flush(flush: Flush, left: set[Cached]) -> None:
    view = CpuView(frozenset(), frozenset({PAGE, SHARED, TABLE}))
    assert flushed(view, flush, 1, 0x5000, covers).stale == left


@pytest.mark.parametrize("flush", [Flush.ADDRESS, Flush.ONE, Flush.CONTEXT])
def test_another_context_keeps_what_it_has(flush: Flush) -> None:
    assert not drops(flush, 2, True, 1, False)
    assert not drops_table(flush, 2, True, 1)


def test_another_address_keeps_its_page_but_not_its_table() -> None:
    assert not drops(Flush.ADDRESS, 1, False, 1, False)
    assert drops_table(Flush.ADDRESS, 1, False, 1)
    assert not drops_table(Flush.ONE, 1, False, 1)


def test_a_global_translation_answers_in_every_context() -> None:
    assert answers(5, 0, True, 5, 3)
    assert answers(5, 3, False, 5, 3)
    assert not answers(5, 3, False, 5, 4)
    assert not answers(5, 3, True, 6, 3)
