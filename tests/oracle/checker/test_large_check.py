"""`check` judges vmalloc and CMA wherever a capture shows them; what is missing is a gap."""

import gzip
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


def test_an_area_that_overlaps_its_neighbour_diverges(tmp_path: Path) -> None:
    copy = capture_of(CMA, tmp_path)
    file = next(vmallocinfo_files(open_capture(copy)))
    first, *rest = file.read_text().splitlines(keepends=True)
    file.write_text("".join([first, first, *rest]))
    report = check(copy, only="large")
    assert report.verdict is Verdict.DIVERGES
    assert {each.clause for each in report.judgement.divergences} == {"large.vmalloc.disjoint"}


def test_an_event_of_cma_that_hands_out_pages_twice_diverges(tmp_path: Path) -> None:
    copy = capture_of(CMA, tmp_path)
    file = copy / "trace/alloc.txt.gz"
    lines = gzip.decompress(file.read_bytes()).decode().splitlines(keepends=True)
    last = next(at for at, line in enumerate(lines) if "cma_alloc_finish" in line)
    with gzip.open(file, "wt") as out:
        out.writelines([*lines[: last + 1], lines[last], *lines[last + 1 :]])
    report = check(copy, only="large")
    assert "large.cma.owned" in {each.clause for each in report.judgement.divergences}


def test_where_the_area_of_cma_lies_must_be_known(tmp_path: Path) -> None:
    copy = capture_of(CMA, tmp_path)
    (copy / "logs/dmesg.txt").write_text("nothing of the kind\n")
    report = check(copy, only="large")
    assert report.verdict is Verdict.INCOMPLETE
    assert list(report.judgement.gaps) == ["trace alloc: where the area of CMA lies is not in logs/dmesg.txt"]


def test_a_trace_that_is_gone_is_a_gap_and_so_is_a_capture_without_anything(tmp_path: Path) -> None:
    copy = capture_of(CMA, tmp_path)
    (copy / "trace/alloc.txt.gz").unlink()
    assert "trace alloc: its file is not in the capture" in check(copy, only="large").judgement.gaps
    (copy / "trace/alloc.events").unlink()
    for file in vmallocinfo_files(open_capture(copy)):
        file.unlink()
    assert not has_large(open_capture(copy))
    assert "the capture shows nothing of area 'large'" in check(copy, only="large").judgement.gaps
