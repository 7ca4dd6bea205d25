"""Judge what a capture shows of the tools that find misuse: reports of KASAN, the list of kmemleak.

Linux: mm/kasan, mm/kmemleak.c.  Seed 2.13.4, 2.13.5 (F080, F081).
"""

from pathlib import Path

from linuxmm.oracle.checker.kasan import judge_kasan
from linuxmm.oracle.checker.kmemleak import judge_kmemleak, read_list
from linuxmm.oracle.formats import Capture
from linuxmm.oracle.trace_lines import text_of
from linuxmm.spec.kernel import parse_version
from linuxmm.spec.verdict import Judgement

_HEAD = "BUG: KASAN:"


def reports_file(capture: Capture) -> Path:
    """Where a workload kept what the kernel said of each misuse."""
    return capture.file("data/reports.txt")


def leaks_file(capture: Capture) -> Path:
    """Where a workload kept kmemleak's list."""
    return capture.file("data/kmemleak.txt")


def logs_of(capture: Capture) -> tuple[str, ...]:
    """Lines in which reports may stand: the file that was kept of them, else the kernel's log."""
    for file in (reports_file(capture), capture.file("logs/dmesg.txt")):
        if file.is_file():
            return tuple(text_of(file).splitlines())
    return ()


def has_debug(capture: Capture) -> bool:
    """Whether a capture shows a report of KASAN or a list of kmemleak."""
    return leaks_file(capture).is_file() or any(_HEAD in line for line in logs_of(capture))


def judge_debug(judgement: Judgement, capture: Capture, version: str) -> None:
    """Hold everything against the clauses.

    Errors    BadEvidence for a file that is not what its name says
    """
    lines = logs_of(capture)
    judge_kasan(judgement, lines, parse_version(version))
    leaks = leaks_file(capture)
    if leaks.is_file():
        judge_kmemleak(judgement, read_list(text_of(leaks).splitlines(), str(leaks)), lines)
