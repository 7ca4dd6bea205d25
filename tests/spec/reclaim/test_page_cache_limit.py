"""The page cache limit that was never merged."""

from hypothesis import given
from hypothesis import strategies as st

from linuxmm.spec.reclaim.page_cache_limit import excess, limit_of_mbytes, limit_of_ratio, valid, within_limit


def test_parameters() -> None:
    assert limit_of_mbytes(8) == 2048
    assert limit_of_ratio(25, 1000) == 250
    assert valid(0, 0, 0, 1, 1000)
    assert not valid(4, 0, 0, 1, 1000)
    assert not valid(0, 101, 0, 1, 1000)
    assert not valid(0, 0, -1, 1, 1000)
    assert not valid(0, 0, 0, 0, 1000)


def test_limits_refuse() -> None:
    assert within_limit(10, 0, 0)
    assert within_limit(10, 8, 2)
    assert not within_limit(10, 8, 1)
    assert excess(10, 0) == 0


@given(st.integers(0, 1000), st.integers(1, 1000), st.integers(0, 1000))
def test_reclaim_before_an_addition_keeps_the_limit(cached: int, limit: int, stuck: int) -> None:
    asked = excess(cached, limit)
    reclaimed = max(0, min(asked, cached - stuck))
    assert within_limit(cached - reclaimed + 1, limit, stuck + 1)
