"""The model predicts every choice of a real kernel, and the exact state that follows."""

from pathlib import Path

import pytest

from linuxmm.oracle.check import check
from linuxmm.spec.verdict import Verdict

REAL = Path(__file__).parents[2] / "real"


@pytest.mark.parametrize("name", ["alloc-churn-6.1", "alloc-churn-6.12", "alloc-movable-6.1"])
def test_every_choice_is_predicted(name: str) -> None:
    report = check(REAL / name, exact=True)
    assert report.verdict is Verdict.CONFORMS
    (result,) = report.exact
    assert result.unexplained == 0
    assert result.differences == ()
    assert result.state_equal
    assert result.predicted > 28_000
    assert sum(result.explained.values()) < result.predicted // 40


def test_another_kernel_would_have_chosen_otherwise() -> None:
    """The control: 6.12 places blocks differently, so its prediction of a 6.1 recording fails."""
    report = check(REAL / "alloc-churn-6.1", exact=True, version="6.12.117")
    assert report.verdict is Verdict.DIVERGES
    (result,) = report.exact
    assert result.unexplained > 100
    assert not result.state_equal
    assert result.differences
