"""Faults that the specification may permit and that a prediction must notice; and evidence that is removed.

A kernel that chose another free block, kept a list in another order or lost a block would have written what
these edits write.  `plant` edits a copy of a capture; `caught` says whether the judge noticed it as it must.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linuxmm.oracle.check import Report, check
from linuxmm.oracle.faults import Fault
from linuxmm.oracle.faults import plant as plant_permitted
from linuxmm.oracle.faults_judge import Outcome, broken, no_place
from linuxmm.oracle.faults_plant import (
    Change,
    Document,
    Lines,
    document,
    missed,
    overrun,
    text,
    timed_out,
    unpacked,
    write_copy,
)
from linuxmm.oracle.formats.capture import DESCRIPTION, Capture
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.verdict import Verdict

_GRANT: Final = re.compile(r" mm_page_alloc: .*pfn=0x([0-9a-f]+) order=0 migratetype=(\d) ")
_LOCKED: Final = re.compile(r" mm_page_alloc_zone_locked: .*pfn=0x([0-9a-f]+) order=(\d+) migratetype=(\d)")
_FREE: Final = re.compile(r" mm_page_free: .*pfn=0x([0-9a-f]+) order=0")
_PAGE: Final = re.compile(r"page=\S+ pfn=0x[0-9a-f]+")
_SYNC: Final = "tracing_mark_write: SYNC"
_FIRST, _LAST = 0, -1


@dataclass(frozen=True, slots=True)
class ExactFault:
    """One way to spoil a capture.

    removed      the edit takes evidence away and says so: the verdict must be incomplete
    dropped      it takes an event away and does not say so: a clause breaks, the prediction differs, or the
                 evidence is incomplete because a page changed hands unseen
    otherwise    the verdict must be that it diverges, by a clause or by the prediction
    trace        edits the lines of the first trace
    state        edits the state of a mark (0 the first, -1 the last) as `mark` says
    kept         the same, given the state of the next mark besides
    description  edits capture.json
    """

    name: str
    sentence: str
    removed: bool = False
    dropped: bool = False
    trace: Callable[[Lines], Lines] | None = None
    state: Callable[[Document], None] | None = None
    kept: Callable[[Document, Document], None] | None = None
    mark: int = _LAST
    description: Callable[[Document], None] | None = None


def plant(capture: Capture, fault: ExactFault, target: Path) -> Capture:
    """Write a copy of a capture with one fault.

    Errors    LinuxmmError when the evidence offers no place for the fault
    """
    changed: dict[str, bytes | None] = {}

    def change(name: str, by: Change) -> None:
        changed[name] = by(unpacked(capture.file(name)))

    states = [f"marks/{mark}/state.json.gz" for mark in capture.marks[fault.mark :][:2]]
    if fault.trace is not None:
        change(capture.info(capture.traces[0]).file, text(fault.trace))
    if fault.state is not None:
        change(states[0], document(fault.state))
    if fault.kept is not None:
        edit, later = fault.kept, json.loads(unpacked(capture.file(states[1])))
        change(states[0], document(lambda state: edit(state, later)))
    if fault.description is not None:
        change(DESCRIPTION, document(fault.description))
    return write_copy(capture, changed, target)


def try_exact(capture: Capture, fault: ExactFault, target: Path) -> Outcome:
    """Plant a fault and judge the copy with a prediction."""
    try:
        planted = plant(capture, fault, target)
    except LinuxmmError as error:
        return no_place(fault.name, capture, error)
    report = check(planted.path, exact=True)
    if fault.removed:
        gaps = sorted(report.judgement.gaps)
        caught = report.verdict is Verdict.INCOMPLETE and bool(gaps) and not broken(report)
        return Outcome(fault.name, capture.path.name, report.verdict.value, next(iter(gaps), ""), caught)
    first = ", ".join(broken(report)) or _first_difference(report)
    caught = report.verdict is Verdict.DIVERGES and bool(first)
    if fault.dropped and report.verdict is Verdict.INCOMPLETE:
        first = first or next(iter(sorted(report.judgement.gaps)), "")
        caught = bool(first)
    return Outcome(fault.name, capture.path.name, report.verdict.value, first, caught)


def try_permitted(capture: Capture, fault: Fault, target: Path) -> Outcome:
    """Plant a fault that the specification forbids, and judge the copy without a prediction."""
    try:
        planted = plant_permitted(capture, fault, target)
    except LinuxmmError as error:
        return no_place(fault.name, capture, error)
    report = check(planted.path)
    found = broken(report)
    if fault.state is not None and report.verdict is Verdict.CONFORMS:
        return _by_prediction(fault, planted)
    if fault.clause:
        caught = report.verdict is Verdict.DIVERGES and fault.clause in found
        return Outcome(fault.name, capture.path.name, report.verdict.value, ", ".join(found), caught)
    gaps = sorted(report.judgement.gaps)
    caught = report.verdict is Verdict.INCOMPLETE and not found and bool(gaps)
    return Outcome(fault.name, capture.path.name, report.verdict.value, next(iter(gaps), ""), caught)


def _by_prediction(fault: Fault, planted: Capture) -> Outcome:
    """Pages were taken without an event, so that the clause is not judged at the last mark: predict it."""
    report = check(planted.path, exact=True)
    caught = report.verdict is Verdict.DIVERGES
    return Outcome(fault.name, planted.path.name, report.verdict.value, _first_difference(report), caught)


def _first_difference(report: Report) -> str:
    """What the prediction found first: a choice, or a list of an after-state; with the clauses that broke."""
    for result in report.exact:
        if result.unexplained or not result.state_equal:
            return next(iter(result.differences), "")
    return ""


# ---- edits of the trace ---------------------------------------------------------------------------------


def _inside(lines: Lines) -> range:
    """Lines between the first mark and the last, from the middle on, then the first half."""
    marks = [number for number, line in enumerate(lines) if _SYNC in line]
    if len(marks) < 4:
        raise LinuxmmError("the trace has no two marks to plant a fault between")
    return range((marks[1] + marks[-2]) // 2, marks[-2])


def _swapped(lines: Lines, one: int, other: int) -> Lines:
    """Two events exchange their pages."""
    mine, theirs = _PAGE.search(lines[one]), _PAGE.search(lines[other])
    assert mine is not None
    assert theirs is not None
    edited = list(lines)
    edited[one] = lines[one].replace(mine[0], theirs[0], 1)
    edited[other] = lines[other].replace(theirs[0], mine[0], 1)
    return edited


def _swap_grants(lines: Lines) -> Lines:
    """Two requests of one kind, one after the other, got each other's page."""
    before: tuple[int, re.Match[str]] | None = None
    for number in _inside(lines):
        if _FREE.search(lines[number]):
            before = None
        if (seen := _GRANT.search(lines[number])) is None:
            continue
        if before is not None and before[1][2] == seen[2] and before[1][1] != seen[1]:
            return _swapped(lines, before[0], number)
        before = number, seen
    raise LinuxmmError("no two grants of one kind follow each other")


def _swap_refill(lines: Lines) -> Lines:
    """Two blocks left a free list in each other's place."""
    inside = _inside(lines)
    for number in inside[:-1]:
        one, other = _LOCKED.search(lines[number]), _LOCKED.search(lines[number + 1])
        if one and other and one[2] == other[2] and one[3] == other[3] and one[1] != other[1]:
            return _swapped(lines, number, number + 1)
    raise LinuxmmError("no two blocks leave a free list one after the other")


def _drop(pattern: re.Pattern[str]) -> Callable[[Lines], Lines]:
    def edit(lines: Lines) -> Lines:
        for number in _inside(lines):
            if pattern.search(lines[number]):
                return [*lines[:number], *lines[number + 1 :]]
        raise LinuxmmError(f"no event {pattern.pattern.split(':')[0].strip()}")

    return edit


def _forge_refill(lines: Lines) -> Lines:
    """An event says that the block left a list of another type."""
    for number in _inside(lines):
        if (seen := _LOCKED.search(lines[number])) is not None:
            other = "0" if seen[3] != "0" else "2"
            edited = lines[number].replace(f"migratetype={seen[3]}", f"migratetype={other}", 1)
            return [*lines[:number], edited, *lines[number + 1 :]]
    raise LinuxmmError("no block leaves a free list")


# ---- edits of a state -----------------------------------------------------------------------------------


def _zones(state: Document) -> list[Document]:
    zones = [zone for node in state["nodes"] for zone in node["zones"]]
    return sorted(zones, key=lambda zone: -int(zone["managed"]))


def _swap_list(state: Document) -> None:
    """Two blocks of a free list stand in each other's place."""
    for zone in _zones(state):
        for area in zone["free_area"]:
            for heads in area["lists"]:
                if len(heads) > 1:
                    heads[0], heads[1] = heads[1], heads[0]
                    return
    raise LinuxmmError("no free list has two blocks")


def _swap_kept(state: Document, later: Document) -> None:
    """Two neighbours that are still on their free list at the next mark stand in each other's place."""
    for zone, after in zip(_zones(state), _zones(later), strict=False):
        for area, area_after in zip(zone["free_area"], after["free_area"], strict=False):
            for heads, kept in zip(area["lists"], area_after["lists"], strict=False):
                both = set(heads) & set(kept)
                for at in range(len(heads) - 1):
                    if heads[at] in both and heads[at + 1] in both:
                        heads[at], heads[at + 1] = heads[at + 1], heads[at]
                        return
    raise LinuxmmError("no two neighbours stay on a free list")


def _swap_pcp(state: Document) -> None:
    for zone in _zones(state):
        for pcp in zone["pcp"].values():
            for heads in pcp["lists"]:
                if len(heads) > 1:
                    heads[0], heads[1] = heads[1], heads[0]
                    return
    raise LinuxmmError("no CPU's list has two pages")


def _other_list(state: Document) -> None:
    """A free block stands on the list of another type."""
    for zone in _zones(state):
        for area in zone["free_area"]:
            for number, heads in enumerate(area["lists"][:3]):
                if heads:
                    area["lists"][(number + 1) % 3].append(heads.pop())
                    return
    raise LinuxmmError("no free block of a common type")


def _other_type(state: Document) -> None:
    """A pageblock has another type."""
    zone = _zones(state)[0]
    types = zone["pageblock_mt"]
    for number in range(len(types) // 2, len(types)):
        bits = int(types[number], 16)
        if bits & 7 in (0, 1, 2):
            changed = bits & 8 | ((bits & 7) + 1) % 3
            zone["pageblock_mt"] = f"{types[:number]}{changed:x}{types[number + 1 :]}"
            return
    raise LinuxmmError("no pageblock of a common type")


def _split_block(state: Document) -> None:
    """A free block is two blocks of half its size that did not merge."""
    for zone in _zones(state):
        for order in range(1, len(zone["free_area"])):
            for number, heads in enumerate(zone["free_area"][order]["lists"][:3]):
                if heads:
                    head = heads.pop()
                    zone["free_area"][order]["nr_free"] -= 1
                    below = zone["free_area"][order - 1]
                    below["lists"][number] += [head, head + (1 << order - 1)]
                    below["nr_free"] += 2
                    return
    raise LinuxmmError("no free block above a page")


# ---- evidence removed -----------------------------------------------------------------------------------


def _no_trace(description: Document) -> None:
    description["traces"][0]["file"] = "trace/not-there.txt.gz"


def _lose(lines: Lines) -> Lines:
    number = _inside(lines)[0]
    return [*lines[:number], "CPU:0 [LOST 40 EVENTS]\n", *lines[number + 40 :]]


def _tear(lines: Lines) -> Lines:
    number = _inside(lines)[0]
    return [*lines[:number], lines[number][: len(lines[number]) // 2]]


EXACT_FAULTS: Final[tuple[ExactFault, ...]] = (
    ExactFault("grants-swapped", "two requests got each other's page", trace=_swap_grants),
    ExactFault("refill-swapped", "two blocks left a free list in each other's place", trace=_swap_refill),
    ExactFault(
        "refill-dropped", "a block left a free list without an event", dropped=True, trace=_drop(_LOCKED)
    ),
    ExactFault("refill-forged", "a block left the list of another type", trace=_forge_refill),
    ExactFault("grant-dropped", "a page was granted without an event", dropped=True, trace=_drop(_GRANT)),
    ExactFault("free-dropped", "a page came back without an event", dropped=True, trace=_drop(_FREE)),
    ExactFault("list-order-before", "a free list began in another order", kept=_swap_kept, mark=_FIRST),
    ExactFault("list-order-after", "a free list ended in another order", state=_swap_list),
    ExactFault("pcp-order-after", "a CPU's list ended in another order", state=_swap_pcp),
    ExactFault("other-list-after", "a free block ended on the list of another type", state=_other_list),
    ExactFault("block-type-after", "a pageblock ended with another type", state=_other_type),
    ExactFault("unmerged-after", "two free buddies ended unmerged", state=_split_block),
    ExactFault("overrun", "a ring buffer overran", removed=True, description=overrun),
    ExactFault("probe-missed", "a probe missed hits", removed=True, description=missed),
    ExactFault("timed-out", "the workload was stopped before its end", removed=True, description=timed_out),
    ExactFault("trace-removed", "the trace is not in the folder", removed=True, description=_no_trace),
    ExactFault("events-lost", "events were lost, and the trace says so", removed=True, trace=_lose),
    ExactFault("trace-torn", "the trace ends in the middle of a line", removed=True, trace=_tear),
)
