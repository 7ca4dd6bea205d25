"""Recordings of real kernels conform; each planted fault breaks the clause that it must."""

from pathlib import Path

import pytest

from linuxmm.oracle.check import check
from linuxmm.oracle.faults import FAULTS, Fault, find_fault, plant
from linuxmm.oracle.formats import open_capture
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.verdict import Verdict

REAL = Path(__file__).parents[2] / "real"
CAPTURES = sorted(path.name for path in REAL.glob("alloc-*"))
CHURN = [name for name in CAPTURES if "churn" in name]


@pytest.mark.parametrize("name", CAPTURES)
def test_a_real_kernel_conforms(name: str) -> None:
    report = check(REAL / name)
    assert report.verdict is Verdict.CONFORMS
    assert not report.judgement.divergences
    assert report.judgement.events > 10_000
    assert all(tally.checked for tally in report.judgement.clauses.values())
    assert len(report.judgement.clauses) > 15


@pytest.mark.parametrize("name", CHURN)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_planted_fault_is_found(name: str, fault: Fault, tmp_path: Path) -> None:
    planted = plant(open_capture(REAL / name), fault, tmp_path / "planted")
    report = check(planted.path)
    broken = {id for id, tally in report.judgement.clauses.items() if tally.broken}
    if fault.clause:
        assert report.verdict is Verdict.DIVERGES
        assert fault.clause in broken
    else:
        assert report.verdict is Verdict.INCOMPLETE
        assert not broken
        assert report.judgement.gaps


def test_a_divergence_shows_what_led_to_it(tmp_path: Path) -> None:
    capture = open_capture(REAL / "alloc-churn-6.1")
    planted = plant(capture, find_fault("double-allocation"), tmp_path / "planted")
    first = check(planted.path).judgement.divergences[0]
    assert first.clause == "alloc.page.double-allocation"
    earlier, later = first.witness
    assert earlier.line < later.line == first.line
    pfn = later.text.split("pfn=")[1].split()[0]
    assert f"pfn={pfn} " in earlier.text
    assert earlier.text.startswith("mm_page_alloc ")
    assert "[O]" in first.around


def test_an_unknown_fault_names_the_known_ones() -> None:
    with pytest.raises(LinuxmmError, match=r"no fault 'x'; there are double-allocation, double-free"):
        find_fault("x")
