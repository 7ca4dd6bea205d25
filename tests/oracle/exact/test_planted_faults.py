"""A prediction notices what the specification permits and the kernel would not have done."""

import json
from pathlib import Path

import pytest

from linuxmm.oracle.exact.check import predict_capture
from linuxmm.oracle.faults import FAULTS
from linuxmm.oracle.faults_areas import AREA_FAULTS
from linuxmm.oracle.faults_exact import EXACT_FAULTS, ExactFault, plant, try_exact
from linuxmm.oracle.faults_objects import OBJECT_FAULTS
from linuxmm.oracle.faults_table import main
from linuxmm.oracle.formats import open_capture
from linuxmm.spec.errors import LinuxmmError

ROOT = Path(__file__).parents[3]
REAL = ROOT / "tests" / "real"
BY_NAME = {fault.name: fault for fault in EXACT_FAULTS}
EVERY_KIND = [
    ("alloc-pressure-6.12", "grants-swapped"),
    ("alloc-numa-6.1", "grant-dropped"),
    ("alloc-highmem-6.1-686-pae", "pcp-order-after"),
    ("alloc-cma-6.12", "refill-forged"),
    ("alloc-compaction-6.1", "refill-swapped"),
    ("alloc-compaction-6.12", "list-order-before"),
    ("alloc-pressure-6.12", "list-order-before"),
    ("alloc-hotplug-6.12", "list-order-before"),
    ("alloc-smp-6.12", "free-dropped"),
]


@pytest.mark.parametrize("fault", EXACT_FAULTS, ids=list(BY_NAME))
def test_every_fault_is_noticed(fault: ExactFault, tmp_path: Path) -> None:
    outcome = try_exact(open_capture(REAL / "alloc-hugetlb-6.1"), fault, tmp_path / "planted")
    assert outcome.caught, outcome


@pytest.mark.parametrize(("name", "fault"), EVERY_KIND)
def test_faults_are_noticed_in_captures_of_every_kind(name: str, fault: str, tmp_path: Path) -> None:
    outcome = try_exact(open_capture(REAL / name), BY_NAME[fault], tmp_path / "planted")
    assert outcome.caught, outcome


def test_two_pages_exchanged_are_no_interrupt(tmp_path: Path) -> None:
    """Nothing else ran between the two requests, so nothing explains that each got the other's page."""
    planted = plant(open_capture(REAL / "alloc-hugetlb-6.1"), BY_NAME["grants-swapped"], tmp_path / "planted")
    states = {mark: planted.state(mark) for mark in planted.marks}
    _, (result,) = predict_capture(planted, states)
    assert result.unexplained == 1
    assert result.explained == {}
    assert result.state_equal, "each page went to one of the two"


def test_a_capture_without_a_place_for_a_fault(tmp_path: Path) -> None:
    with pytest.raises(LinuxmmError, match="has no two marks to plant a fault between"):
        plant(open_capture(REAL / "areas" / "memcg-v1-6.12"), _traced(), tmp_path / "planted")
    outcome = try_exact(open_capture(REAL / "areas" / "memcg-v1-6.12"), _traced(), tmp_path / "other")
    assert (outcome.verdict, outcome.caught) == ("no place", None)


def _traced() -> ExactFault:
    """A fault of traces, in a trace that begins after its only mark."""

    def edit(lines: list[str]) -> list[str]:
        assert BY_NAME["grants-swapped"].trace is not None
        return BY_NAME["grants-swapped"].trace([line for line in lines if "SYNC" not in line])

    return ExactFault("none", "no marks in the trace", trace=edit)


def test_the_table_has_every_fault_planted_and_caught() -> None:
    rows = json.loads((ROOT / "docs" / "evidence" / "faults.json").read_text())
    caught = {(row["judged"], row["fault"]) for row in rows if row["caught"]}
    assert caught == {
        *(("permitted", fault.name) for fault in FAULTS),
        *(("exact", name) for name in BY_NAME),
        *(("objects", fault.name) for fault in OBJECT_FAULTS),
        *((area, fault.name) for area, faults in AREA_FAULTS.items() for fault in faults),
    }
    assert len({row["capture"] for row in rows}) >= 8
    assert [row for row in rows if row["caught"] is False] == []


def test_the_table_needs_captures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["out.json"]) == 2
    assert "usage" in capsys.readouterr().err
