"""`linuxmm lab`: what it lists, how it puts verdicts together, and how it refuses."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from linuxmm.lab import host
from linuxmm.lab.capture import Captured, NotOnThisKernel
from linuxmm.lab.kernels import KernelImage
from linuxmm.lab.workload import Workload, parse
from linuxmm.oracle import lab_check
from linuxmm.oracle.cli import main
from linuxmm.oracle.formats import open_capture
from linuxmm.oracle.lab_check import Row, by_area, check_kernel, exit_status, junit, selected
from linuxmm.spec.errors import LinuxmmError

REAL = Path(__file__).parents[1] / "real" / "alloc-churn-6.12"
Text = pytest.CaptureFixture[str]
KERNEL = KernelImage("6.12", Path("image"), None, Path("facts"), 64)


def workload(name: str, area: str = "alloc", quick: str = "no") -> Workload:
    return parse(name, f"# area: {area}\n# title: t\n# quick: {quick}\n")


def test_workloads_are_listed(capsys: Text) -> None:
    assert main(["lab", "workloads", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["workloads"]
    assert {"name", "area", "title", "quick"} == set(rows[0])
    assert "alloc-churn" in {row["name"] for row in rows if row["quick"]}


def test_missing_programs_are_one_line(monkeypatch: pytest.MonkeyPatch, capsys: Text) -> None:
    monkeypatch.setattr(host, "find", lambda tool: None)
    assert main(["lab", "check", "--kernel", "6.1"]) == 2
    assert capsys.readouterr().err.startswith("linuxmm: not installed: qemu-system-x86_64, busybox, cc, ld; ")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--workload", "nothing"], "linuxmm: no workload 'nothing'; there are "),
        (["--area", "nowhere"], "linuxmm: no workload is for area 'nowhere': there are "),
    ],
)
def test_what_is_not_there_is_misuse(
    words: list[str], why: str, monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    monkeypatch.setattr(host, "find", lambda tool: tool.program)
    assert main(["lab", "check", "--kernel", "6.1", *words]) == 2
    assert capsys.readouterr().err.startswith(why)


def test_which_workloads_are_chosen() -> None:
    listed = [workload("a", quick="yes"), workload("b"), workload("c", "vm", "yes")]
    assert [w.name for w in selected(listed, (), False)] == ["a", "b", "c"]
    assert [w.name for w in selected(listed, ("alloc",), False)] == ["a", "b"]
    assert [w.name for w in selected(listed, (), True)] == ["a", "c"]


def test_an_area_without_a_judge_is_listed_and_not_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab_check, "AREAS", ("alloc",))
    assert list(check_kernel(KERNEL, [workload("v", "vm")])) == [Row("v", "vm", "no judge yet")]


def taken(kernel: KernelImage, chosen: Workload, target: Path, **options: object) -> Captured:
    """Stands for a boot: the capture that is shipped."""
    if chosen.name == "absent":
        raise NotOnThisKernel("absent: 6.12 has no cma_alloc")
    if chosen.name == "broken":
        raise LinuxmmError("QEMU has ended")
    warnings = ("mark A: the state could not be read",) if chosen.name == "poor" else ()
    return Captured(open_capture(REAL), 3.0, 10.0, {"A": 0.1}, warnings)


def test_verdicts_of_captures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab_check, "capture", taken)
    from linuxmm.oracle.check import check as judged

    monkeypatch.setattr(lab_check, "check", lambda path, exact, only: judged(REAL, exact=False))
    monkeypatch.setattr(lab_check, "shows", lambda path, area: path.name != "mute")
    names = ("good", "absent", "broken", "poor", "mute")
    rows = {row.workload: row for row in check_kernel(KERNEL, [workload(name) for name in names])}
    assert (rows["good"].verdict, rows["good"].events, rows["good"].why) == ("conforms", 157737, "")
    assert (rows["absent"].verdict, rows["absent"].why) == (
        "not on this kernel",
        "absent: 6.12 has no cma_alloc",
    )
    assert (rows["broken"].verdict, rows["broken"].why) == ("incomplete", "QEMU has ended")
    assert (rows["poor"].verdict, rows["poor"].why) == ("incomplete", "mark A: the state could not be read")
    assert (rows["mute"].verdict, rows["mute"].why) == (
        "no judge yet",
        "the capture shows nothing that is judged of area 'alloc'",
    )


def test_the_worst_verdict_is_the_areas() -> None:
    rows = [
        Row("a", "alloc", "conforms", events=5, predicted=2, seconds=1.0),
        Row("b", "alloc", "not on this kernel"),
        Row("c", "vm", "no judge yet"),
    ]
    areas = by_area(rows)
    assert [(area.area, area.verdict, area.events, area.predicted) for area in areas] == [
        ("alloc", "conforms", 5, 2),
        ("vm", "no judge yet", 0, 0),
    ]
    assert exit_status(areas) == 0
    for verdict, status in (("unspecified", 3), ("incomplete", 4), ("diverges", 1)):
        rows.append(Row(verdict, "alloc", verdict))
        areas = by_area(rows)
        assert (areas[0].verdict, exit_status(areas)) == (verdict, status)


def test_junit() -> None:
    rows = [
        Row("good", "alloc", "conforms", seconds=2.0),
        Row("wrong", "alloc", "diverges", why="alloc.page.double-free at event 7"),
        Row("cut", "alloc", "incomplete", why="events lost"),
        Row("calls", "vm", "no judge yet"),
    ]
    root = ElementTree.fromstring(junit("6.12", by_area(rows)))
    suites = {suite.get("name"): suite for suite in root}
    counts = [suites["alloc"].get(key) for key in ("tests", "failures", "errors", "skipped")]
    assert counts == ["3", "1", "1", "0"]
    wrong = suites["alloc"].find("testcase[@name='wrong']/failure")
    assert wrong is not None
    assert wrong.get("message") == "alloc.page.double-free at event 7"
    assert suites["vm"].get("skipped") == "1"
