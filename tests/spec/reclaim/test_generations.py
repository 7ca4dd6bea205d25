"""Generations, tiers and the controller of the multi-generational lists."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxmm.spec.reclaim.generations import (
    ANON,
    FILE,
    MAX_TIERS,
    Rate,
    Window,
    aged,
    closed,
    fares_no_worse,
    generation_of,
    generations,
    is_recent,
    kind_to_evict,
    last_evicted_tier,
    refs_of,
    tier_of,
    token,
    window_is_valid,
)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    top = draw(st.integers(10, 1000))
    anon = draw(st.integers(2, 4))
    return Window(top, top - anon + 1, top - draw(st.integers(2, anon)) + 1)


@given(windows(), st.integers(0, 3), st.integers(0, 3))
def test_ageing_and_closing_keep_a_window_valid(window: Window, anon: int, file: int) -> None:
    assert window_is_valid(window)
    assert window_is_valid(aged(window))
    after = closed(window, anon, file)
    assert window_is_valid(after)
    assert after.max_seq == window.max_seq
    assert after.min_anon >= window.min_anon
    assert after.min_file >= window.min_file


@given(windows())
def test_open_generations_have_lists_of_their_own(window: Window) -> None:
    seqs = range(window.min_anon, window.max_seq + 1)
    assert len({generation_of(seq) for seq in seqs}) == len(seqs) == generations(window, ANON)
    assert generations(window, FILE) <= generations(window, ANON)


@pytest.mark.parametrize("window", [Window(9, 9, 9), Window(9, 5, 8), Window(9, 8, 7)])
def test_a_window_too_short_too_long_or_out_of_step_is_not_valid(window: Window) -> None:
    assert not window_is_valid(window)


def test_files_wait_for_anonymous_generations() -> None:
    window = Window(9, 6, 7)
    assert closed(window, 0, 3) == window
    assert closed(window, 3, 0) == Window(9, 7, 7)
    assert closed(window, 3, 3) == Window(9, 8, 8)


def test_tiers_double() -> None:
    assert [tier_of(refs) for refs in range(5)] == [0, 1, 2, 2, 3]
    assert tier_of(4) < MAX_TIERS


def test_who_is_evicted_depends_on_refaults_and_swappiness() -> None:
    assert fares_no_worse(Rate(0, 0, 1), Rate(63, 64, 2))
    assert not fares_no_worse(Rate(0, 1000, 1), Rate(64, 100, 1))
    assert [kind_to_evict((500, 1000), (100, 1000), s) for s in (0, 60, 200)] == [FILE, FILE, ANON]
    assert [kind_to_evict((10, 1000), (900, 1000), s) for s in (0, 60, 200)] == [FILE, ANON, ANON]
    assert last_evicted_tier(((10, 1000),) + ((5, 10),) * 3) == 3
    assert last_evicted_tier(((10, 1000), (5, 10), (900, 1000), (0, 0))) == 1


@given(st.integers(0, 1 << 30), st.integers(0, 4))
def test_a_shadow_remembers_generation_and_uses(seq: int, refs: int) -> None:
    mask = (1 << 36) - 1
    held = token(seq, refs)
    assert is_recent(held, seq, mask)
    assert not is_recent(held, seq + 1, mask)
    assert refs_of(held, int(refs > 0)) == refs
