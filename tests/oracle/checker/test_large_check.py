"""`check` judges vmalloc and CMA wherever a capture shows them; what is missing is a gap."""

import shutil
from pathlib import Path

import pytest

from linuxmm.oracle.check import check
from linuxmm.oracle.formats import open_capture
from linuxmm.oracle.large_evidence import has_large, vmallocinfo_files
from linuxmm.spec.verdict import Verdict

REAL = Path(__file__).parents[2] / "real"
CMA = REAL / "alloc-cma-6.12"
SPACE = REAL / "areas" / "vm-space-6.12"


def capture_of(source: Path, place: Path) -> Path:
    return Path(shutil.copytree(source, place / "c"))


@pytest.mark.parametrize("capture", [CMA, SPACE, REAL / "areas" / "pmem-dax-6.12"])
def test_recordings_conform(capture: Path) -> None:
    report = check(capture, only="large")
    assert (report.verdict, report.areas, report.judgement.gaps) == (Verdict.CONFORMS, ("large",), {})
    assert report.judgement.clauses["large.vmalloc.disjoint"].checked > 50


def test_by_default_they_are_judged_beside_the_page_allocator() -> None:
    assert "large" in check(REAL / "alloc-numa-6.1").areas


def test_a_trace_that_is_gone_is_a_gap_and_so_is_a_capture_without_anything(tmp_path: Path) -> None:
    copy = capture_of(CMA, tmp_path)
    (copy / "trace/alloc.txt.gz").unlink()
    assert "trace alloc: its file is not in the capture" in check(copy, only="large").judgement.gaps
    (copy / "trace/alloc.events").unlink()
    for file in vmallocinfo_files(open_capture(copy)):
        file.unlink()
    assert not has_large(open_capture(copy))
    assert "the capture shows nothing of area 'large'" in check(copy, only="large").judgement.gaps
