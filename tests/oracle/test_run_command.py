"""`linuxmm run` and `linuxmm diff`."""

import json
from pathlib import Path

import pytest

from linuxmm.oracle.cli.application import main
from linuxmm.oracle.workloads import NAMED, recorded, workload

TRACE = Path(__file__).parents[1] / "real/alloc-churn-6.1"


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("name", sorted(NAMED))
def test_named_workloads_are_the_same_for_the_same_seed(name: str) -> None:
    one, two, other = (workload(name, 2000, 1 << 12, seed) for seed in (1, 1, 2))
    assert (one.words == two.words).all()
    assert (one.words != other.words).any()
    assert one.words.size == 2000


def test_a_run_accounts_for_every_page(capsys: pytest.CaptureFixture[str]) -> None:
    found = _json(capsys, "run", "uniform", "--kernel", "6.1.192", "--ops", "5000", "--memory", "64")
    totals = found["totals"]
    assert isinstance(totals, dict)
    assert totals["allocated"] + totals["failed"] + totals["freed"] == found["operations"] == 5000
    assert list(found["buddyinfo"]) == ["DMA32", "Normal"]  # type: ignore[call-overload]


def test_the_formats_are_the_kernels(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "high-order", "--kernel", "6.1.192", "--ops", "1000", "--memory", "64"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert any(line.startswith("Node 0, zone   Normal ") and len(line.split()) == 15 for line in out)
    assert any(line.startswith("Node    0, zone   Normal, type    Unmovable ") for line in out)


def test_a_recorded_capture_becomes_operations() -> None:
    load = recorded(TRACE)
    assert load.words.size > 10000
    assert load.slots < load.words.size


def test_diff_names_the_first_operation_answered_apart(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--ops", "30000", "--memory", "32")
    found = _json(capsys, "diff", "6.1.192", "6.12.117", "fragmenting", *options)
    event = found["first_difference"]
    assert isinstance(event, dict)
    assert event["6.1.192"] != event["6.12.117"]
    assert _json(capsys, "diff", "6.1.192", "6.1.192", "fragmenting", *options)["first_difference"] is None


def test_unknown_workloads_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "nonsense"]) == 2
    assert "workload 'nonsense': expected one of uniform, fragmenting" in capsys.readouterr().err
    assert main(["run", "uniform", "--memory", "17"]) == 2
    assert "--memory 17: expected a multiple of 16" in capsys.readouterr().err
