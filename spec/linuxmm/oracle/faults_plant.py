"""Plant faults in copies of captures: edits of texts, of traces and of documents, packed or not.

An edit takes what a file says and gives what a broken kernel would have written; `write_copy` does the rest.
"""

import gzip
import json
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from linuxmm.oracle.formats.capture import DESCRIPTION, Capture, open_capture
from linuxmm.spec.errors import LinuxmmError

T = TypeVar("T")
Lines = list[str]
Document = dict[str, Any]
Change = Callable[[bytes], bytes]
"""What a file says, unpacked -> what it says with the fault; LinuxmmError where it has no place for it."""

_PACKED: Final = ".gz"


class Edit(NamedTuple):
    """A file of a capture, and how it is spoiled.

    file    a pattern of paths in the capture: the first, in order of names, that has a place for the change
    change  of what it says; None: the file is taken away
    """

    file: str
    change: Change | None


@dataclass(frozen=True, slots=True)
class AreaFault:
    """One way to spoil a capture, by edits of one file or of several.

    clause  the clause that must break; "" where evidence is gone and the verdict must be incomplete
    needs   clauses that the judge looks at in evidence that the fault is for
    """

    name: str
    sentence: str
    clause: str
    edits: tuple[Edit, ...]
    needs: frozenset[str]


def fault(name: str, sentence: str, clause: str, *edits: Edit, where: str = "") -> AreaFault:
    """A fault that breaks a clause, its edits in a row.

    where  another clause: the fault is for evidence in which the judge looks at that one too
    """
    return AreaFault(name, sentence, clause, edits, frozenset({clause, where or clause}))


def removal(name: str, sentence: str, needs: str, *edits: Edit) -> AreaFault:
    """A fault that takes away the evidence on which a clause was judged."""
    return AreaFault(name, sentence, "", edits, frozenset({needs}))


# ---- planting --------------------------------------------------------------------------------------------


def unpacked(file: Path) -> bytes:
    """What a file says, without its packing."""
    content = file.read_bytes()
    return gzip.decompress(content) if file.suffix == _PACKED else content


def lines_of(file: Path) -> Lines:
    """The lines of a text with their ends, without its packing."""
    return unpacked(file).decode().splitlines(keepends=True)


def write_copy(capture: Capture, changed: Mapping[str, bytes | None], target: Path) -> Capture:
    """Write a copy of a capture in which some files say something else, or are gone.

    changed  path in the capture -> what it says, unpacked; None: it is not there
    """
    shutil.copytree(capture.path, target)
    for name, content in changed.items():
        file = target / name
        if content is None:
            file.unlink()
        else:
            file.write_bytes(gzip.compress(content, 1, mtime=0) if file.suffix == _PACKED else content)
    return open_capture(target)


def plant_edits(capture: Capture, edits: Iterable[Edit], target: Path) -> Capture:
    """Write a copy of a capture with edits; nothing is written when one has no place.

    Errors    LinuxmmError when the evidence offers no place for an edit
    """
    changed: dict[str, bytes | None] = {}
    for edit in edits:
        name, content = _edited(capture, edit, changed)
        changed[name] = content
    return write_copy(capture, changed, target)


def _edited(capture: Capture, edit: Edit, changed: Mapping[str, bytes | None]) -> tuple[str, bytes | None]:
    files = sorted(capture.path.glob(edit.file))
    why: LinuxmmError = LinuxmmError(f"the capture has no {edit.file}")
    for file in files:
        name = str(file.relative_to(capture.path))
        if edit.change is None:
            return name, None
        try:
            return name, edit.change(changed.get(name) or unpacked(file))
        except LinuxmmError as error:
            why = error
    raise why


def first_of(found: Iterable[T]) -> T:
    """The first of some places.

    Errors    LinuxmmError when there is none
    """
    for one in found:
        return one
    raise LinuxmmError("the capture has no evidence of this kind")


# ---- documents and texts ---------------------------------------------------------------------------------


def document(edit: Callable[[Any], None]) -> Change:
    """A change of a document in JSON, which the edit alters in place."""

    def change(content: bytes) -> bytes:
        found = json.loads(content)
        edit(found)
        return json.dumps(found).encode()

    return change


def added(by: int, *path: str | int) -> Change:
    """The figure at a path of a document is higher by so many."""

    def edit(found: Any) -> None:
        above = _above(found, path)
        above[path[-1]] += by

    return document(edit)


def exchanged(*path: str | int, places: tuple[int, int]) -> Change:
    """Two entries of the list at a path of a document stand in each other's place."""

    def edit(found: Any) -> None:
        rows = _above(found, path)[path[-1]]
        one, other = places
        if len(rows) <= max(places):
            raise LinuxmmError(f"the document has fewer than {max(places) + 1} entries at {path}")
        rows[one], rows[other] = rows[other], rows[one]

    return document(edit)


def put(value: object, *path: str | int) -> Change:
    """A document says something else at a path."""

    def edit(found: Any) -> None:
        _above(found, path)[path[-1]] = value

    return document(edit)


def _above(found: Any, path: tuple[str | int, ...]) -> Any:
    try:
        for step in path[:-1]:
            found = found[step]
        found[path[-1]]
    except (KeyError, IndexError) as error:
        raise LinuxmmError(f"the document has no {path}") from error
    return found


def text(edit: Callable[[Lines], Lines]) -> Change:
    """A change of a text, given as its lines with their ends."""
    return lambda content: "".join(edit(content.decode().splitlines(keepends=True))).encode()


def _place(content: str, which: str, nth: int) -> tuple[int, int]:
    """Where the nth line with a match of `which` begins and ends, or the last such line."""
    place = None
    for seen in re.compile(which, re.MULTILINE).finditer(content):
        if place is not None and seen.start() < place[1]:
            continue
        place = content.rfind("\n", 0, seen.start()) + 1, content.find("\n", seen.start()) + 1 or len(content)
        if nth == 0:
            break
        nth -= 1
    if place is None:
        raise LinuxmmError(f"no line has {which}")
    return place


def _one_line(which: str, nth: int, edit: Callable[[str], str]) -> Change:
    def change(content: bytes) -> bytes:
        whole = content.decode()
        start, end = _place(whole, which, nth)
        return (whole[:start] + edit(whole[start:end]) + whole[end:]).encode()

    return change


def line(which: str, old: str, new: str | Callable[[re.Match[str]], str], nth: int = 0) -> Change:
    """The nth line with `which` has `new` instead of its first `old`; or the last such line."""

    def edit(each: str) -> str:
        edited = re.sub(old, new, each, count=1)
        if edited == each:
            raise LinuxmmError(f"the line with {which} has no {old}")
        return edited

    return _one_line(which, nth, edit)


def raised(which: str, figure: str, by: int, nth: int = 0) -> Change:
    """The number behind `figure` in the nth line with `which` is higher by so many."""
    return line(which, rf"({figure})(\d+)", lambda seen: f"{seen[1]}{int(seen[2]) + by}", nth)


def dropped(which: str, nth: int = 0) -> Change:
    """The nth line with `which` is gone; or the last such line."""
    return _one_line(which, nth, lambda each: "")


def repeated(which: str, nth: int = 0) -> Change:
    """The nth line with `which` is there twice; or the last such line."""
    return _one_line(which, nth, lambda each: each + each)


# ---- evidence taken away ---------------------------------------------------------------------------------


def events_lost(lines: Lines) -> Lines:
    """Forty lines of the middle are gone, and the trace says so."""
    half = len(lines) // 2
    return [*lines[:half], "CPU:0 [LOST 40 EVENTS]\n", *lines[half + 40 :]]


def torn(lines: Lines) -> Lines:
    """The text ends in the middle of a line, half-way."""
    half = len(lines) // 2
    return [*lines[:half], lines[half][: len(lines[half]) // 2]]


def overrun(description: Document) -> None:
    """A ring buffer of the first trace overran."""
    next(iter(first_of(description["traces"])["buffers"].values()))["overrun"] = 5


def missed(description: Document) -> None:
    """A probe of the first trace missed hits."""
    first_of(description["traces"])["probe_misses"] = {"attempt": 3}


def timed_out(description: Document) -> None:
    """The workload was stopped before its end."""
    description["timed_out"] = True


def trace_removals(trace: str, needs: str) -> tuple[AreaFault, ...]:
    """Faults of every area whose evidence is a trace: what is gone is said, and nothing breaks."""
    return (
        removal("trace-removed", "the trace is not in the folder", needs, Edit(trace, None)),
        removal("trace-torn", "the trace ends in the middle of a line", needs, Edit(trace, text(torn))),
        removal(
            "events-lost", "events were lost, and the trace says so", needs, Edit(trace, text(events_lost))
        ),
        removal("overrun", "a ring buffer overran", needs, Edit(DESCRIPTION, document(overrun))),
        removal("probe-missed", "a probe missed hits", needs, Edit(DESCRIPTION, document(missed))),
    )
