"""Hold reports of SLAB's debugging against the red words and the bytes that they show.

Linux: mm/slab.c:verify_redzone_free, check_poison_obj.  Seed 2.13.2 (F077).  Read in 6.1.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from linuxmm.oracle.checker.log import log_lines
from linuxmm.spec.debug.slab_found import (
    BESIDE,
    BIT,
    LINES,
    RED,
    Neighbour,
    PoisonReport,
    RedReport,
    distance,
    lines_to_show,
    suspected,
    verdict_of,
    well_shown,
)
from linuxmm.spec.verdict import Judgement

_ERROR: Final = re.compile(r"^slab error in (\w+)\(\): cache `(.+)': (.+)$")
_RED_LINE: Final = re.compile(r"^([0-9a-f]+): redzone 1:0x([0-9a-f]+), redzone 2:0x([0-9a-f]+)$")
_CORRUPT: Final = re.compile(r"^Slab corruption \(.*\): (.+) start=([0-9a-f]+), len=(\d+)$")
_RED_WORDS: Final = re.compile(r"^Redzone: 0x([0-9a-f]+)/0x([0-9a-f]+)$")
_ROW: Final = re.compile(r"^([0-9a-f]{3,}): ((?:[0-9a-f]{2} )+)")
_BESIDE: Final = re.compile(r"^(Prev|Next) obj: start=([0-9a-f]+), len=(\d+)$")
_LAST_USER: Final = re.compile(r"^Last user: ")
_BIT: Final = re.compile(r"^Single bit error detected|^Run (?:memtest86\+ or a similar|a) memory test tool")
_WITH_RED: Final = ("verify_redzone_free", "cache_alloc_debugcheck_after")
_FAR: Final = 45
"""Lines after an error within which its red words follow: a stack stands between."""

SIGNS: Final = ("slab error in ", "Slab corruption (")
"""What the first line of a report begins with."""


def read_slab(lines: Iterable[str]) -> Iterator[RedReport | PoisonReport]:
    """Every report of a log, of red words (slot -1 where they are not shown) and of changed objects."""
    error: tuple[int, str, str] | None = None
    report: PoisonReport | None = None
    for number, line in log_lines(lines):
        if report is not None:
            longer = _continued(report, line)
            if longer is not None:
                report = longer
                continue
            yield report
            report = None
        failed, words, corrupt = _ERROR.match(line), _RED_LINE.match(line), _CORRUPT.match(line)
        if corrupt is not None:
            report = PoisonReport(number, int(corrupt[2], 16), int(corrupt[3]), None, (), ())
        elif failed is not None:
            if error is not None:
                yield RedReport(*error, -1, 0, 0)
            error = (number, failed[1], failed[3]) if failed[1] in _WITH_RED else None
        elif words is not None and error is not None and number - error[0] <= _FAR:
            yield RedReport(*error, int(words[1], 16), int(words[2], 16), int(words[3], 16))
            error = None
    if report is not None:
        yield report
    if error is not None:
        yield RedReport(*error, -1, 0, 0)


def _continued(report: PoisonReport, line: str) -> PoisonReport | None:
    """The report with one more of its lines; None when it is over."""
    row, beside, words = _ROW.match(line), _BESIDE.match(line), _RED_WORDS.match(line)
    if row is not None:
        return _with_rows(report, (*_rows(report), (int(row[1], 16), bytes.fromhex(row[2]), False)))
    if _BIT.match(line):
        rows = _rows(report)
        return _with_rows(report, (*rows[:-1], (*rows[-1][:2], True))) if rows else report
    if beside is not None:
        found = Neighbour(beside[1], int(beside[2], 16), ())
        return report._replace(neighbours=(*report.neighbours, found))
    if words is not None:
        if report.neighbours:
            return report
        return report._replace(red=(int(words[1], 16), int(words[2], 16)))
    return report if _LAST_USER.match(line) else None


def _rows(report: PoisonReport) -> tuple[tuple[int, bytes, bool], ...]:
    return report.neighbours[-1].rows if report.neighbours else report.rows


def _with_rows(report: PoisonReport, rows: tuple[tuple[int, bytes, bool], ...]) -> PoisonReport:
    if not report.neighbours:
        return report._replace(rows=rows)
    last = report.neighbours[-1]._replace(rows=rows)
    return report._replace(neighbours=(*report.neighbours[:-1], last))


def judge_slab_reports(judgement: Judgement, lines: Iterable[str]) -> None:
    """Hold every report against what it shows."""
    for report in read_slab(lines):
        judgement.events += 1
        if isinstance(report, RedReport):
            _judge_red(judgement, report)
        else:
            _judge_poison(judgement, report)


def _judge_red(judgement: Judgement, report: RedReport) -> None:
    if report.slot < 0:
        judgement.gap("SLAB reports that do not show the red words")
        return
    expected = verdict_of(report)
    shown = f"red words {report.first:#x} and {report.second:#x}"
    why = f"{report.function} of the slot at {report.slot:#x}: {shown}"
    judgement.require(
        RED.id, report.message == expected, report.message, expected or "no report", why, line=report.line
    )


def _judge_poison(judgement: Judgement, report: PoisonReport) -> None:
    why = f"the object of {report.size} bytes at {report.start:#x}"
    if not report.rows:
        judgement.gap("SLAB reports that do not show the object")
        return
    if not well_shown(report.size, report.rows):
        shown = ", ".join(f"{at:#x}+{len(held)}" for at, held, _ in report.rows)
        judgement.require(LINES.id, False, shown, "whole lines of the object", why, line=report.line)
        return
    expected, shown_lines = lines_to_show(report), tuple(at for at, _, _ in report.rows)
    judgement.require(
        LINES.id, shown_lines == expected, _hex(shown_lines), _hex(expected), why, line=report.line
    )
    everything = [*report.rows, *(row for each in report.neighbours for row in each.rows)]
    for at, held, told in everything:
        right = told == suspected(held)
        text = "bad memory suspected" if told else "nothing suspected"
        judgement.require(BIT.id, right, f"line {at:#x}: {text}", held.hex(" "), why, line=report.line)
    step = distance(report)
    for each in report.neighbours:
        place = report.start + (step if each.side == "Next" else -step)
        offsets = tuple(at for at, _, _ in each.rows)
        first = tuple(range(0, report.size, 16))[:2]
        right = (not step or each.start == place) and offsets == first and well_shown(report.size, each.rows)
        observed = f"{each.side} at {each.start:#x}, lines {_hex(offsets)}"
        judgement.require(
            BESIDE.id, right, observed, f"at {place:#x}, lines {_hex(first)}", why, line=report.line
        )


def _hex(offsets: tuple[int, ...]) -> str:
    return ", ".join(f"{at:#x}" for at in offsets)
