"""`linuxmm check`: what it prints, what it exits with, and how it refuses bad input."""

import gzip
import json
import shutil
from pathlib import Path

import pytest

from linuxmm.oracle.cli import main
from linuxmm.oracle.faults import find_fault, plant
from linuxmm.oracle.formats import open_capture

REAL = Path(__file__).parents[2] / "real" / "alloc-churn-6.12"
Captured = pytest.CaptureFixture[str]


def checked(capsys: Captured, *arguments: str) -> tuple[int, str, str]:
    status = main(["check", *arguments])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_the_report_has_the_keys_that_others_rely_on(capsys: Captured) -> None:
    status, out, _ = checked(capsys, str(REAL), "--json")
    report = json.loads(out)
    assert status == 0
    assert report["verdict"] == "conforms"
    assert report["events"] == 157737
    assert report["kernel"] == "6.12.117+deb12-amd64"
    assert report["areas"] == ["alloc"]
    assert set(report) == {
        "format",
        "evidence",
        "verdict",
        "events",
        "kernel",
        "areas",
        "clauses",
        "divergences",
        "gaps",
        "explained",
    }


def test_two_runs_print_the_same(capsys: Captured, tmp_path: Path) -> None:
    planted = plant(open_capture(REAL), find_fault("double-free"), tmp_path / "planted")
    first = checked(capsys, str(planted.path), "--json")
    second = checked(capsys, str(planted.path), "--json")
    assert first[0] == 1
    assert first == second
    divergence = json.loads(first[1])["divergences"][0]
    assert divergence["clause"] == "alloc.page.double-free"
    assert divergence["nearest_version"] is None
    assert [seen["line"] for seen in divergence["witness"]] == sorted(
        seen["line"] for seen in divergence["witness"]
    )


def test_a_truncated_trace_is_incomplete(capsys: Captured, tmp_path: Path) -> None:
    capture = tmp_path / "torn"
    shutil.copytree(REAL, capture)
    trace = capture / "trace" / "buddy.txt.gz"
    trace.write_bytes(trace.read_bytes()[:400_000])
    status, out, _ = checked(capsys, str(capture))
    assert status == 4
    assert out.startswith("incomplete")


def test_a_bare_trace_is_judged_without_states(capsys: Captured, tmp_path: Path) -> None:
    text = gzip.decompress((REAL / "trace" / "buddy.txt.gz").read_bytes()).decode().splitlines(keepends=True)
    trace = tmp_path / "trace.txt"
    trace.write_text("".join(text[:20_000]))
    status, out, _ = checked(capsys, str(trace), "--json")
    assert json.loads(out)["divergences"] == []
    assert status in (0, 4)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nowhere"], "nowhere: expected a file or folder, found nothing there"),
        ([str(REAL), "--kernel", "banana"], "kernel version 'banana': expected something like 2.6.24"),
        ([str(REAL), "--kernel", "7.1"], "kernel version 7.1 is outside what linuxmm describes"),
        ([str(REAL), "--only", "weather"], "area 'weather' has no judge yet; built: alloc"),
        ([str(REAL / "trace" / "buddy.txt.gz"), "--exact"], "a prediction needs exact states"),
    ],
)
def test_misuse_is_one_line(capsys: Captured, arguments: list[str], complaint: str) -> None:
    status, out, err = checked(capsys, *arguments)
    assert status == 2
    assert out == ""
    assert complaint in err
    assert len(err.strip().splitlines()) == 1


def test_a_state_that_is_no_json_names_file_and_place(capsys: Captured, tmp_path: Path) -> None:
    capture = tmp_path / "spoiled"
    shutil.copytree(REAL, capture)
    state = capture / "marks" / "A" / "state.json.gz"
    document = json.loads(gzip.decompress(state.read_bytes()))
    document["nodes"][0]["zones"][0]["start_pfn"] = -5
    state.write_bytes(gzip.compress(json.dumps(document).encode()))
    status, _, err = checked(capsys, str(capture))
    assert status == 2
    assert "state.json.gz" in err
    assert "$.nodes[0].zones[0].start_pfn" in err
