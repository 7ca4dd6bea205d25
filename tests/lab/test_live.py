"""A real kernel, booted, captured and judged: runs where QEMU and a kernel are to be had (`make lab`)."""

import gzip
import json
import os
from pathlib import Path

import pytest

from linuxmm.lab import host
from linuxmm.oracle.cli import main

KERNEL = os.environ.get("LINUXMM_LAB_KERNEL", "6.12")

pytestmark = pytest.mark.lab


@pytest.fixture(autouse=True)
def _tools() -> None:
    missing = [tool.package for tool in (*host.BOOT, *host.FETCH) if host.find(tool) is None]
    if missing:
        pytest.skip(f"not installed: {' '.join(missing)}")


def test_a_small_workload_conforms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "junit.xml"
    status = main(
        ["lab", "check", "--kernel", KERNEL, "--workload", "alloc-churn", "--json", "--junit", str(report)]
    )
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
    assert not list(Path("/dev/shm").glob("linuxmm-lab-*")), "nothing is left behind"


def test_slabs_are_read_exactly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every free list that was followed has as many objects as its slab says are free, each once."""
    words = [
        "lab",
        "capture",
        "--kernel",
        KERNEL,
        "--workload",
        "objects-slub",
        "--out",
        str(tmp_path / "slub"),
    ]
    assert main(words) == 0, capsys.readouterr().out
    taken = json.loads(gzip.decompress((tmp_path / "slub/marks/B/slab.json.gz").read_bytes()))
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
