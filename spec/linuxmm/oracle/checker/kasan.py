"""Hold KASAN's reports of a real kernel against the shadow bytes that they print.

Linux: mm/kasan/report.c, report_generic.c.  Seed 2.13.5 (F081).  6.1 to 6.12, generic mode.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

from linuxmm.oracle.checker.log import log_lines
from linuxmm.spec.debug.kasan import GRANULE, GRANULE_SHIFT
from linuxmm.spec.debug.kasan_report import (
    CLOSED,
    NAMED,
    PLACED,
    REGION,
    ROW,
    KasanReport,
    Placed,
    bad_granules,
    caret_at,
    is_closed,
    name_of,
    place_of,
)
from linuxmm.spec.kernel import Version
from linuxmm.spec.verdict import Judgement

_HEAD: Final = re.compile(r"^BUG: KASAN: (\S+) in ")
_ACCESS: Final = re.compile(r"^(Read|Write) of size (\d+) at addr ([0-9a-f]+) by ")
_FREE: Final = re.compile(r"^(Free) of()? addr ([0-9a-f]+) by ")
_LOCATED: Final = re.compile(r"located (\d+) bytes (inside of|to the left of|to the right of)$")
_REGION: Final = re.compile(r"^ (?:(allocated|freed) )?\d+-byte region \[([0-9a-f]+), ([0-9a-f]+)\)$")
_SHADOW: Final = re.compile(r"^[ >]([0-9a-f]+): ((?:[0-9a-f]{2} ?){16})$")
_CARET: Final = re.compile(r"^ +\^$")
_END: Final = "=" * 60
EARLY: Final = "KASAN reports that end before their shadow"


def read_kasan(lines: Iterable[str], judgement: Judgement) -> Iterator[KasanReport]:
    """Every whole report of a log; one that is torn is a gap."""
    head: tuple[int, str] | None = None
    blamed: tuple[str, int, int] | None = None
    beside: tuple[int, str] | None = None
    placed: Placed | None = None
    shadow: dict[int, int] = {}
    marked, digits, pointed = -1, 0, -1
    for number, line in log_lines(lines):
        begins, blames = _HEAD.match(line), _ACCESS.match(line) or _FREE.match(line)
        located, region, row = _LOCATED.search(line), _REGION.match(line), _SHADOW.match(line)
        if begins or line.startswith(_END):
            if head and blamed and pointed >= 0:
                action, size, address = blamed
                yield KasanReport(*head, action, size, address, placed, shadow, pointed)
            elif head:
                judgement.gap(EARLY)
            head = (number, begins[1]) if begins else None
            blamed, beside, placed, shadow, marked, pointed = None, None, None, {}, -1, -1
        elif blames and head:
            blamed = (blames[1], int(blames[2] or 0), int(blames[3], 16))
        elif located:
            beside = (int(located[1]), located[2])
        elif region and beside:
            placed = Placed(*beside, region[1] or "", int(region[2], 16), int(region[3], 16))
        elif row:
            start = int(row[1], 16) >> GRANULE_SHIFT
            shadow.update((start + at, int(byte, 16)) for at, byte in enumerate(row[2].split()))
            if line.startswith(">"):
                marked, digits = start, len(row[1])
        elif _CARET.match(line) and marked >= 0:
            at = (line.index("^") - digits - 3) // 3
            pointed = marked + at if 0 <= at < ROW else marked
    if head:
        judgement.gap(EARLY)


def judge_kasan(judgement: Judgement, lines: Iterable[str], version: Version) -> None:
    """Hold every report of a log against its own shadow."""
    for report in read_kasan(lines, judgement):
        event = judgement.events
        judgement.events += 1
        require = partial(
            judgement.require,
            why=f"the report of {report.kind} at line {report.line}",
            event=event,
            line=report.line,
        )
        closed, name = is_closed(report), name_of(report, version)
        if closed is None or name is None:
            judgement.gap("KASAN reports whose shadow does not cover the access")
        else:
            what = f"{report.action.lower()} of {report.size} bytes at {report.address:#x}"
            require(CLOSED.id, closed, what, "memory that is closed")
            require(NAMED.id, report.kind == name, report.kind, name)
        if report.placed is not None:
            _judge_place(require, report, report.placed)
        caret, shown = caret_at(report) * GRANULE, report.pointed * GRANULE
        require(PLACED.id, shown == caret, f"caret at {shown:#x}", f"at {caret:#x}")


def _judge_place(require: Callable[[str, bool, str, str], None], report: KasanReport, place: Placed) -> None:
    distance, side = place_of(report.address, place.start, place.end)
    said = f"{place.distance} bytes {place.side} the object"
    true = f"{distance} bytes {side} the object"
    require(PLACED.id, said == true, said, true)
    bad = bad_granules(report)
    found = ", ".join(f"{at * GRANULE:#x}: {report.shadow[at]:#04x}" for at in bad[:4])
    state = place.state or "freed"
    require(REGION.id, not bad, f"shadow {found}", f"the shadow of {state} memory")
