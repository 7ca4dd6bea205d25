"""The C twin of the fault path, with which the benchmark compares, does what the compiled model does."""

import shutil

import pytest
from benchmarks.bench_faults import STREAMS, rounds_of

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")


@pytest.mark.parametrize("name", STREAMS)
def test_twin_and_model_end_in_the_same_state(name: str) -> None:
    """`rounds_of` compares counts, tables, struct pages, page cache and TLB."""
    _, _, process = rounds_of(name, 3000, 1)
    report = process.report
    assert report.faults > 40
    assert report.segv == report.bus == report.stack == 0


def test_all_kinds_of_faults_are_among_them() -> None:
    _, _, process = rounds_of("faults, areas of every kind", 40_000, 1)
    report = process.report
    assert min(report.minor, report.major, report.cow) > 500
