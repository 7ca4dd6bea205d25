"""Hold reports of slub_debug about overwritten bytes against the dumps that they print.

Linux: mm/slub.c:check_bytes_and_report, print_trailer.  Seed 2.13.2 (F077).  2.6.28 to 6.12.
"""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

from linuxmm.oracle.checker.log import log_lines
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
from linuxmm.spec.verdict import Judgement

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
    for number, line in log_lines(lines):
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
        require = partial(
            judgement.require,
            why=f"the report of {report.what} at line {report.line}",
            event=event,
            line=report.line,
        )
        first = shown == report.found != report.wanted
        require(FIRST.id, first, f"{shown:#04x} dumped", f"{report.found:#04x}")
        there = lies_there(report.what, span.first, span.last, report.start, size) and one_slab(report)
        require(WHERE.id, there, blamed, f"{report.what} of {size} bytes at {report.start:#x}")
        permitted, strange = patterns_of(report.what), strange_bytes(report)
        text = ", ".join(
            [f"{report.wanted:#04x}", *(f"{report.rows[at][1]:#04x} at {at:#x}" for at in strange[:3])]
        )
        right = report.wanted in permitted and not strange
        require(PATTERN.id, right, text, " or ".join(f"{byte:#04x}" for byte in permitted))
        if report.restored is not None:
            low, high, byte = report.restored
            same = report.restored == (span.first, span.last, report.wanted)
            require(RESTORED.id, same, f"{low:#x}-{high:#x}={byte:#04x}", f"{blamed}={report.wanted:#04x}")
