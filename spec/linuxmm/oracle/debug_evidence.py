"""Judge what a capture shows of debugging tools: reports of SLUB, SLAB and KASAN, kmemleak's list, ptdump.

Linux: mm/slub.c, mm/slab.c, mm/kasan, mm/kmemleak.c, mm/ptdump.c.
Seed 2.13.2, 2.13.4 to 2.13.6 (F077, F080, F081, F083).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from linuxmm.oracle.checker.kasan import judge_kasan
from linuxmm.oracle.checker.kmemleak import judge_kmemleak, read_list
from linuxmm.oracle.checker.slab_reports import SIGNS as SLAB_SIGNS
from linuxmm.oracle.checker.slab_reports import judge_slab_reports
from linuxmm.oracle.checker.slub_reports import judge_slub
from linuxmm.oracle.exact.ptdump import judge_ptdump
from linuxmm.oracle.formats import Capture
from linuxmm.oracle.formats.areas import TablesState, area_file, area_state
from linuxmm.oracle.trace_lines import text_of
from linuxmm.spec.kernel import parse_version
from linuxmm.spec.verdict import Judgement

_DUMP: Final = "sys/kernel/debug/page_tables/kernel"
_TABLES: Final = "tables"
_SIGNS: Final = ("BUG: KASAN:", "First byte 0x", *SLAB_SIGNS)


def leaks_file(capture: Capture) -> Path:
    """Where a workload kept kmemleak's list."""
    return capture.file("data/kmemleak.txt")


def logs_of(capture: Capture) -> Iterator[tuple[str, ...]]:
    """Lines in which reports may stand: the files that were kept of them, else the kernel's log."""
    kept = sorted(capture.file("data").glob("report*.txt"))
    log = capture.file("logs/dmesg.txt")
    for file in kept or ([log] if log.is_file() else []):
        yield tuple(text_of(file).splitlines())


def _dump_file(mark: str) -> str:
    return f"marks/{mark}/{_DUMP}"


def dumps_of(capture: Capture) -> Iterator[tuple[str, Path]]:
    """Marks at which the kernel's page tables were taken, and its own dump of them."""
    for mark in capture.marks:
        text = capture.file(_dump_file(mark))
        if text.is_file() and capture.file(area_file(mark, _TABLES)).is_file():
            yield mark, text


def has_debug(capture: Capture) -> bool:
    """Whether a capture shows a report of overwritten bytes or of KASAN, kmemleak's list, or a ptdump."""
    reports = (sign in line for lines in logs_of(capture) for line in lines for sign in _SIGNS)
    return leaks_file(capture).is_file() or any(dumps_of(capture)) or any(reports)


def judge_debug(judgement: Judgement, capture: Capture, version: str) -> None:
    """Hold everything against the clauses.

    Errors    BadEvidence for a file that is not what its name says
    """
    logs = tuple(logs_of(capture))
    for lines in logs:
        judge_slub(judgement, lines)
        judge_slab_reports(judgement, lines)
        judge_kasan(judgement, lines, parse_version(version))
    leaks = leaks_file(capture)
    if leaks.is_file():
        log = [line for lines in logs for line in lines]
        judge_kmemleak(judgement, read_list(text_of(leaks).splitlines(), str(leaks)), log)
    for mark in capture.marks:
        if capture.file(area_file(mark, _TABLES)).is_file() and not capture.file(_dump_file(mark)).is_file():
            judgement.gap(f"mark {mark}: the kernel's page tables were read, and not its own dump of them")
    for mark, text in dumps_of(capture):
        state = area_state(capture, mark, _TABLES)
        if isinstance(state, TablesState):
            file = str(capture.file(area_file(mark, _TABLES)))
            judge_ptdump(judgement, state, text_of(text).splitlines(), file)
