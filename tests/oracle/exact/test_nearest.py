"""Where a prediction fails, the nearest version whose prediction does not is found."""

from pathlib import Path

import pytest

from linuxmm.oracle.check import check
from linuxmm.oracle.exact.nearest import by_distance
from linuxmm.spec.kernel import parse_version
from linuxmm.spec.verdict import Verdict

REAL = Path(__file__).parents[2] / "real"


def test_versions_come_nearest_first() -> None:
    order = list(by_distance(parse_version("6.1.192")))
    assert order[0] == max(version for version in order if version <= parse_version("6.1.192"))
    assert {str(version) for version in order[1:3]} <= {str(v) for v in sorted(order)}
    places = {version: at for at, version in enumerate(sorted(order))}
    here = places[order[0]]
    distances = [abs(places[version] - here) for version in order]
    assert distances == sorted(distances)
    assert len(set(order)) == len(order) > 40


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaWarning")
def test_a_recording_judged_as_a_later_kernel_is_found_to_be_of_the_earlier_one() -> None:
    report = check(REAL / "alloc-churn-6.1", nearest=True, exact=True, version="6.7")
    assert report.verdict is Verdict.DIVERGES
    assert report.nearest == "6.6.80"  # no rule that this recording shows was another in between
