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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaWarning")
@pytest.mark.parametrize("kernel", ["6.1", "6.12"])
@pytest.mark.parametrize("workload", ["compaction", "fallback", "hugetlb", "numa", "pressure", "smp"])
def test_captures_of_the_lab_are_predicted_to_the_last_page(workload: str, kernel: str) -> None:
    """Every probe of the lab is recorded, so fewer than one row in a thousand needs an explanation."""
    report = check(REAL / f"alloc-{workload}-{kernel}", exact=True)
    assert report.verdict is Verdict.CONFORMS
    assert [result.differences for result in report.exact] == [()] * len(report.exact)
    assert sum(result.unexplained for result in report.exact) == 0
    assert all(result.state_equal for result in report.exact)
    assert sum(result.predicted for result in report.exact) > 3_000
    explained = sum(sum(result.explained.values()) for result in report.exact)
    assert explained * 1000 < report.judgement.events


def test_another_kernel_would_have_chosen_otherwise() -> None:
    """The control: 6.12 places blocks differently, so its prediction of a 6.1 recording fails."""
    report = check(REAL / "alloc-churn-6.1", exact=True, version="6.12.117")
    assert report.verdict is Verdict.DIVERGES
    (result,) = report.exact
    assert result.unexplained > 100
    assert not result.state_equal
    assert result.differences
