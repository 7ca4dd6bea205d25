"""A real kernel, booted, captured and judged: runs where QEMU and a kernel are to be had (`make lab`)."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from linuxmm.lab import host
from linuxmm.oracle.cli import main

KERNEL = os.environ.get("LINUXMM_LAB_KERNEL", "6.12")

TRIES = 4
INCOMPLETE = 4

pytestmark = pytest.mark.lab


@pytest.fixture(autouse=True)
def _tools() -> None:
    missing = [tool.package for tool in (*host.BOOT, *host.FETCH) if host.find(tool) is None]
    if missing:
        pytest.skip(f"not installed: {' '.join(missing)}")
    if main(["lab", "fetch", KERNEL]) != 0:
        pytest.skip(f"kernel {KERNEL} is not to be had from the distribution now")


def whole(run: Callable[[int], int]) -> int:
    """An interrupt while the machine stops spoils a capture, which says so with status 4: take another.

    run  gets the number of the try; its exit status is returned
    """
    statuses = (run(number) for number in range(TRIES))
    return next((status for status in statuses if status != INCOMPLETE), INCOMPLETE)


def test_a_small_workload_conforms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "junit.xml"
    before = set(Path("/dev/shm").glob("linuxmm-lab-*"))
    words = [
        "lab",
        "check",
        "--kernel",
        KERNEL,
        "--workload",
        "alloc-churn",
        "--json",
        "--junit",
        str(report),
    ]

    def run(number: int) -> int:
        capsys.readouterr()
        return main(words)

    status = whole(run)
    printed = capsys.readouterr()
    assert status == 0, printed.out + printed.err
    (area,) = json.loads(printed.out)["areas"]
    (row,) = area["workloads"]
    assert (area["area"], area["verdict"], row["workload"]) == ("alloc", "conforms", "alloc-churn")
    assert row["events"] > 20_000
    assert row["predicted"] > 5_000
    assert row["unexplained"] == 0
    assert row["state_equal"] is True
    assert 'failures="0" errors="0"' in report.read_text()
    assert set(Path("/dev/shm").glob("linuxmm-lab-*")) <= before, "nothing is left behind"


def test_slabs_are_read_exactly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every free list that was followed has as many objects as its slab says are free, each once."""
    words = ["lab", "capture", "--kernel", KERNEL, "--workload", "objects-slub", "--out"]
    status = whole(lambda number: main([*words, str(tmp_path / f"slub-{number}")]))
    assert status == 0, capsys.readouterr().out
    last = max(tmp_path.glob("slub-*"))
    taken = json.loads(gzip.decompress((last / "marks/B/slab.json.gz").read_bytes()))
    slabs = [
        slab
        for cache in taken["caches"].values()
        for owner in (*cache["nodes"].values(), *cache["cpus"].values())
        for slab in owner["partial"]
    ]
    assert len(slabs) > 10
    for slab in slabs:
        assert len(slab["free"]) == len(set(slab["free"])) == slab["objects"] - slab["inuse"]
        assert max(slab["free"], default=0) < slab["objects"]
