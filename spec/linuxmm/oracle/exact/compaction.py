"""Predict compactions of whole zones, scan for scan, from the state of the machine when each begins.

The replay of a recording brings the machine from a mark to where the compaction begins.  Pages to move are
those that migration would take at the mark (`migratable`), less those that were freed since.  Gaps: an
older state has `movable`, and slabs among them; whether a page taken since can be moved is not recorded.

Linux: mm/compaction.c:compact_node.  Seed 2.2.3 (F039).  6.1 to 6.12.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from immutables import Map

from linuxmm.model.alloc.freelist import Zone
from linuxmm.model.defrag.profile import rules_for
from linuxmm.model.defrag.state import Memory, Page
from linuxmm.model.defrag.zones import compact_memory
from linuxmm.oracle.exact.check import replays
from linuxmm.oracle.exact.machine import kernel_of
from linuxmm.oracle.exact.searches import order_of
from linuxmm.oracle.formats import Capture
from linuxmm.oracle.formats.kinds import Kind
from linuxmm.oracle.formats.state import Zone as SeenZone
from linuxmm.oracle.observations import Row
from linuxmm.oracle.trace_lines import text_lines
from linuxmm.spec.defrag.migration import ANON
from linuxmm.spec.verdict import Judgement
from linuxmm.spec.vocabulary import MigrateType

_MIGRATE: Final = "migrate"
_FREE: Final = "free"
_TASK: Final = re.compile(r"\s*\S.*-(\d+)\s+\[")
_SCAN: Final = re.compile(
    r"mm_compaction_isolate_(migrate|free)pages: range=\((0x[0-9a-f]+) ~ (0x[0-9a-f]+)\)"
)
SLABS_UNKNOWN: Final = "which pages that look movable are slabs is not recorded"
TAKEN_SINCE: Final = "pages were taken for movable memory after the mark"


class Scan(NamedTuple):
    """One scan of a pageblock: which scanner, from, to."""

    scanner: str
    low: int
    high: int


class Compared(NamedTuple):
    """How far a prediction goes.

    scans     that the kernel made;  predicted  that the model makes
    equal     at the beginning, one by one;  ranges  those that occur in both at all
    """

    scans: int
    predicted: int
    equal: int
    ranges: int


class Predicted(NamedTuple):
    """A compaction of a whole zone, as the kernel did it and as the model does.

    zone  its name;  line  of the trace where it begins
    gaps  what evidence does not show of the zone
    """

    zone: str
    line: int
    compared: Compared
    gaps: tuple[str, ...]


def memory_at(zone: Zone, migratable: Iterable[int]) -> Memory:
    """A zone with its pages that migration would take; each counts as an anonymous one that nobody holds."""
    pages = [pfn for pfn in migratable if pfn not in zone.free and pfn not in zone.cached]
    return Memory(
        replace(zone, in_use=Map(dict.fromkeys(pages, (0, 1)))), Map({pfn: Page(ANON, pfn) for pfn in pages})
    )


def scans_of(lines: Iterable[str], line: int) -> tuple[Scan, ...]:
    """The scans of the compaction that begins at a line of a trace, counted from 1."""
    found: list[Scan] = []
    pid = ""
    for number, text in enumerate(lines, 1):
        if number < line:
            continue
        task = _TASK.match(text)
        pid = pid or (task[1] if task else "")
        if task is None or task[1] != pid:
            continue
        if "mm_compaction_end" in text:
            break
        scan = _SCAN.search(text)
        if scan is not None:
            found.append(Scan(scan[1], int(scan[2], 16), int(scan[3], 16)))
    return tuple(found)


def predict_compactions(capture: Capture) -> Iterator[Predicted]:
    """Every compaction of a whole zone in a capture's traces, scan for scan.

    Errors    Unmodelled for a kernel whose compaction is not described
    """
    states = {mark: capture.state(mark) for mark in capture.marks if capture.has_state(mark)}
    profile = kernel_of(capture.description, next(iter(states.values())))
    for window in replays(capture, states, profile):
        replay, state = window.replay, states[window.begin]
        rules = rules_for(profile, block_order=state.pageblock_order)
        file = capture.file(capture.info(window.trace).file)
        for row in [row for row in replay.rows if row.kind == Kind.COMPACTZONE and order_of(row) == -1]:
            replay.advance(row.number)
            number = replay.addresses.zones[row.a]
            seen = [zone for _, zone in state.zones() if zone.managed][number]
            pages, gaps = _migratable(seen, replay.rows[: row.number])
            memory = memory_at(replay.engine.machine.zones[number], pages)
            (run,) = compact_memory(rules, (memory,))
            predicted = tuple(
                Scan(_MIGRATE if source else _FREE, low, high) for source, low, high in run.scans
            )
            observed = scans_of(text_lines(Judgement(), file), row.line)
            yield Predicted(seen.name, row.line, compare(predicted, observed), gaps)


def _migratable(seen: SeenZone, since: Iterable[Row]) -> tuple[list[int], tuple[str, ...]]:
    """The pages of a zone that migration would take, given what happened since the mark, and the gaps."""
    runs = seen.movable if seen.migratable is None else seen.migratable
    pages = {pfn for first, count in runs or () for pfn in range(first, first + count)}
    taken: set[int] = set()
    for row in since:
        if row.kind == Kind.MM_PAGE_FREE:
            pages -= set(range(row.pfn, row.pfn + (1 << row.order)))
            taken.discard(row.pfn)
        elif row.kind == Kind.MM_PAGE_ALLOC and row.mt == MigrateType.MOVABLE:
            taken.add(row.pfn)
    gaps = [] if seen.migratable is not None else [SLABS_UNKNOWN]
    if any(seen.start_pfn <= pfn < seen.end_pfn for pfn in taken):
        gaps.append(TAKEN_SINCE)
    return sorted(pages), tuple(gaps)


def compare(predicted: tuple[Scan, ...], observed: tuple[Scan, ...]) -> Compared:
    """How many scans are the same, from the first on."""
    equal = 0
    for one, other in zip(predicted, observed, strict=False):
        if one != other:
            break
        equal += 1
    return Compared(len(observed), len(predicted), equal, len(set(predicted) & set(observed)))
