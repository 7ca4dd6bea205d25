"""Hold reports of slub_debug about overwritten bytes against the dumps that they print.

Linux: mm/slub.c:check_bytes_and_report, print_trailer.  Seed 2.13.2 (F077).  2.6.28 to 6.12.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from linuxmm.spec.debug.slub_found import (
    FIRST,
    PATTERN,
    RESTORED,
    WHERE,
    SlubReport,
    Span,
    lies_there,
    object_size,
    one_slab,
    patterns_of,
    strange_bytes,
)
from linuxmm.spec.verdict import Divergence, Judgement

_STAMP: Final = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?")
_BUG: Final = re.compile(r"^BUG \S+ \(.*\): (.+)$|^BUG \S+: (.+)$")
_BLAMED: Final = re.compile(
    r"^(?:\[(.+) overwritten\] |INFO: )?0x([0-9a-f]+)-0x([0-9a-f]+) @offset=(\d+)\. "
    r"First byte 0x([0-9a-f]+) instead of 0x([0-9a-f]+)$"
)
_OBJECT: Final = re.compile(r"^(?:INFO: )?Object 0x([0-9a-f]+) @offset=(\d+) fp=")
_ROW: Final = re.compile(r"^(Redzone|Object|Padding) +([0-9a-f]+): ((?:[0-9a-f]{2} )+)")
_RESTORING: Final = re.compile(r"^FIX \S+: Restoring (.+) 0x([0-9a-f]+)-0x([0-9a-f]+)=0x([0-9a-f]+)$")
_NEXT: Final = re.compile(r"^={60}")


def read_slub(lines: Iterable[str]) -> Iterator[SlubReport]:
    """Every report of a log that blames bytes of an object."""
    title = ""
    report: SlubReport | None = None
    for number, raw in enumerate(lines, 1):
        line = _STAMP.sub("", raw.rstrip("\r\n"))
        bug, blamed, found = _BUG.match(line), _BLAMED.match(line), _OBJECT.match(line)
        row, mended = _ROW.match(line), _RESTORING.match(line)
        if report and (blamed or (_NEXT.match(line) and report.rows)):
            yield report
            report = None
        if _NEXT.match(line):
            continue
        if bug:
            title = (bug[1] or bug[2]).removesuffix(" overwritten")
        elif blamed:
            first, last = int(blamed[2], 16), int(blamed[3], 16)
            report = SlubReport(
                number,
                blamed[1] or title,
                Span(first, last, int(blamed[4])),
                int(blamed[5], 16),
                int(blamed[6], 16),
                -1,
                0,
                {},
                None,
            )
        elif found and report:
            report = report._replace(start=int(found[1], 16), offset=int(found[2]))
        elif row and report:
            start = int(row[2], 16)
            bytes_of = {start + at: (row[1], int(byte, 16)) for at, byte in enumerate(row[3].split())}
            report = report._replace(rows=report.rows | bytes_of)
        elif mended and report and report.restored is None:
            report = report._replace(restored=(int(mended[2], 16), int(mended[3], 16), int(mended[4], 16)))
    if report:
        yield report


def judge_slub(judgement: Judgement, lines: Iterable[str]) -> None:
    """Hold every report of overwritten bytes against its own dump."""
    for report in read_slub(lines):
        event = judgement.events
        judgement.events += 1
        span, size = report.span, object_size(report)
        if report.start < 0 or span.first not in report.rows:
            judgement.gap("SLUB reports whose dump does not show the blamed bytes")
            continue
        shown = report.rows[span.first][1]
        blamed = f"{span.first:#x}-{span.last:#x}"
        first = shown == report.found != report.wanted
        _hold(judgement, FIRST.id, event, report, (f"{shown:#04x} dumped", first), f"{report.found:#04x}")
        there = lies_there(report.what, span.first, span.last, report.start, size) and one_slab(report)
        place = f"{report.what} of {size} bytes at {report.start:#x}"
        _hold(judgement, WHERE.id, event, report, (blamed, there), place)
        permitted = patterns_of(report.what)
        strange = strange_bytes(report)
        text = f"{report.wanted:#04x}" + "".join(
            f", {report.rows[at][1]:#04x} at {at:#x}" for at in strange[:3]
        )
        right = report.wanted in permitted and not strange
        _hold(
            judgement,
            PATTERN.id,
            event,
            report,
            (text, right),
            " or ".join(f"{byte:#04x}" for byte in permitted),
        )
        if report.restored is not None:
            low, high, byte = report.restored
            same = report.restored == (span.first, span.last, report.wanted)
            wanted = f"{blamed}={report.wanted:#04x}"
            _hold(judgement, RESTORED.id, event, report, (f"{low:#x}-{high:#x}={byte:#04x}", same), wanted)


def _hold(
    judgement: Judgement, clause: str, event: int, report: SlubReport, seen: tuple[str, bool], permitted: str
) -> None:
    judgement.checked(clause)
    observed, holds = seen
    if not holds:
        why = f"the report of {report.what} at line {report.line}"
        judgement.broken(Divergence(clause, event, report.line, observed, permitted, why))
