"""Capture and judge: each workload of the lab on one kernel, and what the judge says of what it did."""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from linuxmm.lab.capture import NotOnThisKernel, capture
from linuxmm.lab.kernels import KernelImage
from linuxmm.lab.workload import Workload
from linuxmm.oracle.check import AREAS, Report, check, shows
from linuxmm.spec.errors import LinuxmmError, Unmodelled
from linuxmm.spec.verdict import Verdict

NO_JUDGE: Final = "no judge yet"
NOT_HERE: Final = "not on this kernel"
_WORST: Final = (Verdict.DIVERGES, Verdict.INCOMPLETE, Verdict.UNSPECIFIED, Verdict.CONFORMS)

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One workload, captured and judged.

    verdict      a verdict's word, or why there is none
    predicted    choices that the model predicted; explained: attributed to a named gap in the evidence
    state_equal  whether every after-state was predicted list for list; None without a prediction
    why          the first thing that is wrong
    """

    workload: str
    area: str
    verdict: str
    events: int = 0
    predicted: int = 0
    explained: int = 0
    unexplained: int = 0
    state_equal: bool | None = None
    boot_seconds: float = 0.0
    capture_seconds: float = 0.0
    seconds: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True)
class AreaRow:
    """All workloads of an area."""

    area: str
    verdict: str
    events: int
    predicted: int
    seconds: float
    workloads: tuple[Row, ...]


def selected(workloads: Iterable[Workload], areas: tuple[str, ...], quick: bool) -> list[Workload]:
    """The workloads of some areas (of all when none is named); the quick ones alone when asked for.

    Errors    LinuxmmError for an area without a workload
    """
    listed = list(workloads)
    known = sorted({workload.area for workload in listed})
    for area in areas:
        if area not in known:
            raise LinuxmmError(f"no workload is for area {area!r}: there are {', '.join(known)}")
    return [w for w in listed if (not areas or w.area in areas) and (w.quick or not quick)]


def check_kernel(
    kernel: KernelImage,
    workloads: Iterable[Workload],
    *,
    keep: Path | None = None,
    note: Note = lambda _: None,
) -> Iterator[Row]:
    """Capture and judge workloads one after the other.

    keep  a folder for the captures, each under the name of its workload; they are removed when None
    """
    for workload in workloads:
        if workload.area not in AREAS:
            yield Row(workload.name, workload.area, NO_JUDGE)
            continue
        note(workload.name)
        with tempfile.TemporaryDirectory(prefix="linuxmm-lab-") as name:
            yield _row(kernel, workload, (keep or Path(name)) / workload.name, note)


def _row(kernel: KernelImage, workload: Workload, target: Path, note: Note) -> Row:
    began = time.monotonic()
    try:
        taken = capture(kernel, workload, target, note=lambda text: note(f"{workload.name}: {text}"))
    except NotOnThisKernel as error:
        return Row(workload.name, workload.area, NOT_HERE, why=str(error))
    except LinuxmmError as error:
        return Row(workload.name, workload.area, Verdict.INCOMPLETE.value, why=str(error))
    captured = time.monotonic()
    if not shows(target, workload.area):
        why = f"the capture shows nothing that is judged of area {workload.area!r}"
        return Row(workload.name, workload.area, NO_JUDGE, capture_seconds=captured - began, why=why)
    note(f"{workload.name}: judging")
    try:
        exact = workload.area == "alloc" and bool(taken.capture.marks)
        report = check(target, exact=exact, only=workload.area)
    except (LinuxmmError, Unmodelled) as error:
        verdict = Verdict.UNSPECIFIED if isinstance(error, Unmodelled) else Verdict.INCOMPLETE
        return Row(
            workload.name,
            workload.area,
            verdict.value,
            boot_seconds=taken.boot_seconds,
            capture_seconds=captured - began,
            seconds=time.monotonic() - began,
            why=str(error),
        )
    verdict = report.verdict
    if taken.warnings and all(divergence.event < 0 for divergence in report.judgement.divergences):
        verdict = Verdict.INCOMPLETE  # what is wrong with a state is not held against the kernel
    return Row(
        workload.name,
        workload.area,
        verdict.value,
        report.judgement.events,
        sum(result.predicted for result in report.exact),
        sum(sum(result.explained.values()) for result in report.exact),
        sum(result.unexplained for result in report.exact),
        all(result.state_equal for result in report.exact) if report.exact else None,
        taken.boot_seconds,
        captured - began,
        time.monotonic() - began,
        "; ".join(taken.warnings) or _first_wrong(report),
    )


def _first_wrong(report: Report) -> str:
    for divergence in report.judgement.divergences:
        return f"{divergence.clause} at event {divergence.event}: {divergence.observed}"
    for gap in sorted(report.judgement.gaps):
        return gap
    for result in report.exact:
        for difference in result.differences:
            return difference
    return ""


def by_area(rows: Iterable[Row]) -> tuple[AreaRow, ...]:
    """Rows put together by area, in the order in which areas first come.

    Ensures   an area's verdict is the worst of its workloads that were judged
    """
    areas: dict[str, list[Row]] = {}
    for row in rows:
        areas.setdefault(row.area, []).append(row)
    return tuple(
        AreaRow(
            area,
            _verdict(found),
            sum(row.events for row in found),
            sum(row.predicted for row in found),
            sum(row.seconds for row in found),
            tuple(found),
        )
        for area, found in areas.items()
    )


def _verdict(rows: list[Row]) -> str:
    said = {row.verdict for row in rows}
    for verdict in _WORST:
        if verdict.value in said:
            return str(verdict.value)
    return NO_JUDGE if NO_JUDGE in said else NOT_HERE


def exit_status(areas: Iterable[AreaRow]) -> int:
    """The exit status of the worst verdict; areas without a judge do not count."""
    said = {area.verdict for area in areas}
    return next((verdict.exit_status for verdict in _WORST if verdict.value in said), 0)


def junit(kernel: str, areas: Iterable[AreaRow]) -> bytes:
    """The rows as JUnit XML: a suite per area, a case per workload; what has no judge is skipped."""
    root = ElementTree.Element("testsuites", name=f"linuxmm lab check {kernel}")
    for area in areas:
        rows = area.workloads
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=area.area,
            tests=str(len(rows)),
            failures=str(sum(row.verdict == Verdict.DIVERGES.value for row in rows)),
            errors=str(sum(row.verdict == Verdict.INCOMPLETE.value for row in rows)),
            skipped=str(sum(row.verdict in (NO_JUDGE, NOT_HERE, Verdict.UNSPECIFIED.value) for row in rows)),
            time=f"{area.seconds:.1f}",
        )
        for row in rows:
            case = ElementTree.SubElement(
                suite, "testcase", classname=f"lab.{area.area}", name=row.workload, time=f"{row.seconds:.1f}"
            )
            if row.verdict == Verdict.CONFORMS.value:
                continue
            tag = {Verdict.DIVERGES.value: "failure", Verdict.INCOMPLETE.value: "error"}.get(
                row.verdict, "skipped"
            )
            ElementTree.SubElement(case, tag, message=row.why or row.verdict)
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"
