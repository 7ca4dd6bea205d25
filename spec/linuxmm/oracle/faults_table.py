"""The table of faults planted and caught, over captures of every kind: `docs/evidence/faults.json`.

Run `python -m linuxmm.oracle.faults_table OUT CAPTURE...`; the exit status is 1 when a fault was not caught.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from linuxmm.oracle.faults import FAULTS
from linuxmm.oracle.faults_exact import EXACT_FAULTS, try_exact, try_permitted
from linuxmm.oracle.faults_judge import Outcome
from linuxmm.oracle.faults_objects import OBJECT_FAULTS, try_objects
from linuxmm.oracle.formats.areas import has_area
from linuxmm.oracle.formats.capture import Capture, open_capture
from linuxmm.oracle.object_evidence import kmem_traces


class Row(msgspec.Struct, frozen=True):
    """One fault in one capture.

    judged  "permitted" or "exact"; "objects" for the clauses of object allocators
    must    the clause that must break; "prediction" or "incomplete" for faults of no one clause
    caught  None where the capture has no place for the fault
    """

    fault: str
    sentence: str
    judged: str
    must: str
    capture: str
    verdict: str
    found: str
    caught: bool | None


def outcomes(folder: Path) -> Iterator[Row]:
    """Every fault of its area, planted in one capture and judged."""
    capture = open_capture(folder)
    shows_objects = any(has_area(capture, mark, "slab") for mark in capture.marks)
    yield from (_of_objects if shows_objects or any(kmem_traces(capture)) else _of_pages)(capture)


def _of_objects(capture: Capture) -> Iterator[Row]:
    for fault in OBJECT_FAULTS:
        with tempfile.TemporaryDirectory(prefix="linuxmm-fault-") as name:
            outcome = try_objects(capture, fault, Path(name) / capture.path.name)
        yield _row(outcome, fault.sentence, "objects", fault.clause or "incomplete")


def _of_pages(capture: Capture) -> Iterator[Row]:
    folder = capture.path
    for fault in FAULTS:
        with tempfile.TemporaryDirectory(prefix="linuxmm-fault-") as name:
            outcome = try_permitted(capture, fault, Path(name) / folder.name)
        yield _row(outcome, fault.sentence, "permitted", fault.clause or "incomplete")
    for exact in EXACT_FAULTS:
        with tempfile.TemporaryDirectory(prefix="linuxmm-fault-") as name:
            outcome = try_exact(capture, exact, Path(name) / folder.name)
        must = "incomplete" if exact.removed else "either" if exact.dropped else "diverges"
        yield _row(outcome, exact.sentence, "exact", must)


def _row(outcome: Outcome, sentence: str, judged: str, must: str) -> Row:
    found = outcome.found[:160]
    return Row(outcome.fault, sentence, judged, must, outcome.capture, outcome.verdict, found, outcome.caught)


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
