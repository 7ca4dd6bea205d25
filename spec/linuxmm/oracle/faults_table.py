"""The table of faults planted and caught, over captures of every kind: `docs/evidence/faults.json`.

Run `python -m linuxmm.oracle.faults_table OUT CAPTURE...`; the exit status is 1 when a fault was not caught.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from linuxmm.oracle.check import shows
from linuxmm.oracle.faults import FAULTS
from linuxmm.oracle.faults_areas import AREA_FAULTS, looked_at, try_area
from linuxmm.oracle.faults_exact import EXACT_FAULTS, try_exact, try_permitted
from linuxmm.oracle.faults_judge import Outcome
from linuxmm.oracle.faults_objects import OBJECT_FAULTS, try_objects
from linuxmm.oracle.formats.areas import has_area
from linuxmm.oracle.formats.capture import Capture, open_capture
from linuxmm.oracle.object_evidence import kmem_traces
from linuxmm.oracle.trace_lines import enabled_names

_PAGES: Final = "mm_page_alloc_zone_locked"
"""An event of traces in which every page is followed."""


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One fault in one capture.

    judged  "permitted" or "exact" of the page allocator; else the area whose judge must notice
    must    the clause that must break; "prediction" or "incomplete" for faults of no one clause
    caught  None where the capture has no place for the fault
    alone   whether no other clause broke than the one that must; None where no one clause must, or unsaid
    """

    fault: str
    sentence: str
    judged: str
    must: str
    capture: str
    verdict: str
    found: str
    caught: bool | None
    alone: bool | None = None


def outcomes(folder: Path) -> Iterator[Row]:
    """Every fault of what a capture shows, planted in it and judged."""
    capture = open_capture(folder)
    if any(has_area(capture, mark, "slab") for mark in capture.marks) or any(kmem_traces(capture)):
        yield from _of_objects(capture)
    if any(_PAGES in enabled_names(capture, trace) for trace in capture.traces):
        yield from _of_pages(capture)
    yield from area_outcomes(capture)


def area_outcomes(capture: Capture) -> Iterator[Row]:
    """The faults of areas that a capture shows; none about what the judge does not look at in it."""
    for area, faults in AREA_FAULTS.items():
        if not shows(capture.path, area):
            continue
        looked = looked_at(capture, area)
        for fault in (fault for fault in faults if fault.needs <= looked):
            with _copy(capture) as target:
                outcome = try_area(capture, area, fault, looked, target)
            yield _row(outcome, fault.sentence, area, fault.clause or "incomplete")


def _of_objects(capture: Capture) -> Iterator[Row]:
    for fault in OBJECT_FAULTS:
        with _copy(capture) as target:
            outcome = try_objects(capture, fault, target)
        yield _row(outcome, fault.sentence, "objects", fault.clause or "incomplete")


def _of_pages(capture: Capture) -> Iterator[Row]:
    for fault in FAULTS:
        with _copy(capture) as target:
            outcome = try_permitted(capture, fault, target)
        yield _row(outcome, fault.sentence, "permitted", fault.clause or "incomplete")
    for exact in EXACT_FAULTS:
        with _copy(capture) as target:
            outcome = try_exact(capture, exact, target)
        must = "incomplete" if exact.removed else "either" if exact.dropped else "diverges"
        yield _row(outcome, exact.sentence, "exact", must)


@contextmanager
def _copy(capture: Capture) -> Iterator[Path]:
    """Where a copy of a capture may be written, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="linuxmm-fault-") as name:
        yield Path(name) / capture.path.name


def _row(outcome: Outcome, sentence: str, judged: str, must: str) -> Row:
    return Row(
        outcome.fault,
        sentence,
        judged,
        must,
        outcome.capture,
        outcome.verdict,
        outcome.found[:160],
        outcome.caught,
        outcome.alone,
    )


def main(words: list[str]) -> int:
    """Write the table; 1 when a fault was not caught, 2 for misuse."""
    if len(words) < 2:
        print("usage: python -m linuxmm.oracle.faults_table OUT CAPTURE...", file=sys.stderr)
        return 2
    rows = [row for folder in words[1:] for row in outcomes(Path(folder))]
    Path(words[0]).write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=1) + b"\n")
    missed = [row for row in rows if row.caught is False]
    planted = sum(row.caught is not None for row in rows)
    print(f"{planted} faults planted, {planted - len(missed)} caught")
    for row in missed:
        print(f"not caught: {row.fault} in {row.capture}: {row.verdict} {row.found}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
