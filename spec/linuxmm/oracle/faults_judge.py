"""What the judge says of a planted fault, and whether that is what the fault must cause."""

from dataclasses import dataclass

from linuxmm.oracle.check import Report, check
from linuxmm.oracle.formats.capture import Capture
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the judge said of one planted fault.

    found   the clauses that broke, the first difference of the prediction, or the gap; "" without any
    caught  whether that is what the fault must cause; None where the capture has no place for the fault
    alone   whether no other clause broke than the one that must; None where no one clause must
    """

    fault: str
    capture: str
    verdict: str
    found: str
    caught: bool | None
    alone: bool | None = None


def broken(report: Report) -> list[str]:
    """The clauses that broke, in order of names."""
    return sorted(id for id, tally in report.judgement.clauses.items() if tally.broken)


def no_place(fault: str, capture: Capture, error: LinuxmmError) -> Outcome:
    """Of a fault that a capture has no place for."""
    return Outcome(fault, capture.path.name, "no place", str(error), None)


def judge_area(fault: str, clause: str, planted: Capture, area: str) -> Outcome:
    """Judge one area of a capture with a fault: the clause must break, or without one evidence be missing."""
    report = check(planted.path, only=area)
    name, verdict = planted.path.name, report.verdict
    found, gaps = broken(report), sorted(report.judgement.gaps)
    if clause:
        caught = verdict is Verdict.DIVERGES and clause in found
        return Outcome(fault, name, verdict.value, ", ".join(found or gaps), caught, found == [clause])
    caught = verdict is Verdict.INCOMPLETE and bool(gaps) and not found
    return Outcome(fault, name, verdict.value, ", ".join(found) or next(iter(gaps), ""), caught)
