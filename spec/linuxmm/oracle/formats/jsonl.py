"""JSON lines of operations, for allocators that are not kernels: format linuxmm-operations/1.

Docs: docs/formats/operations.md.  One object a line: a header, the zones, then operations in order.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from linuxmm.oracle.formats.events import Context, Events, empty
from linuxmm.oracle.formats.kinds import Kind
from linuxmm.oracle.formats.state import Count, Name, PageFrame
from linuxmm.oracle.formats.streams import Cut, chunks
from linuxmm.spec.alloc.gfp import parse_gfp
from linuxmm.spec.errors import BadEvidence

FORMAT: Final = "linuxmm-operations/1"
LONGEST_LINE: Final = 1 << 16
BATCH: Final = 1 << 14
NOT_STATED: Final = -1
MIGRATETYPES: Final = ("unmovable", "movable", "reclaimable", "highatomic", "isolate", "cma")

OrderNumber = Annotated[int, msgspec.Meta(ge=0, le=63)]
Cpu = Annotated[int, msgspec.Meta(ge=0, le=32767)]
Time = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]


class Header(msgspec.Struct, frozen=True, tag_field="op", tag="header", forbid_unknown_fields=True):
    """The first line: format, what the implementation is, and the kernel version it is to be judged as.

    migratetypes  names by number, for implementations with their own numbering
    """

    format: str
    implementation: str = ""
    kernel: str = ""
    migratetypes: tuple[Name, ...] = MIGRATETYPES
    pageblock_order: OrderNumber = 9


class ZoneLine(msgspec.Struct, frozen=True, tag_field="op", tag="zone", forbid_unknown_fields=True):
    """A zone that the implementation manages; its pages are free at the start unless `free` is false."""

    name: Name
    start_pfn: PageFrame
    spanned: Count
    node: Annotated[int, msgspec.Meta(ge=0, le=1023)] = 0
    free: bool = True


class Alloc(msgspec.Struct, frozen=True, tag_field="op", tag="alloc", forbid_unknown_fields=True):
    """A request and what came back: the first page, or null when it was refused."""

    order: OrderNumber
    pfn: PageFrame | None
    migratetype: Name | None = None
    gfp: str | None = None
    cpu: Cpu = 0
    ts: Time | None = None


class Free(msgspec.Struct, frozen=True, tag_field="op", tag="free", forbid_unknown_fields=True):
    """A block given back."""

    pfn: PageFrame
    order: OrderNumber
    cpu: Cpu = 0
    ts: Time | None = None


class Mark(msgspec.Struct, frozen=True, tag_field="op", tag="mark", forbid_unknown_fields=True):
    """A named instant, as SYNC markers are in kernel traces."""

    name: Name
    edge: Literal["begin", "end"]
    cpu: Cpu = 0
    ts: Time | None = None


Operation: TypeAlias = Alloc | Free | Mark
Line: TypeAlias = Header | ZoneLine | Operation


@dataclass(frozen=True, slots=True)
class Operations:
    """A file of operations; iterating reads its operations as observations.

    A row has the number of the operation as `ts` where none is stated; `mt` is an index into
    header.migratetypes; `a` of an allocation is the canonical GFP word, or -1 when none is stated.
    """

    path: Path
    header: Header
    zones: tuple[ZoneLine, ...]

    @property
    def name(self) -> str:
        """The file, for messages."""
        return str(self.path)

    def lines(self) -> Iterator[tuple[int, Operation]]:
        """Line number and operation, in order.

        Errors    BadEvidence naming file, line, JSON path and what was expected
        """
        body = False
        for number, line in _lines(self.path):
            if isinstance(line, Header):
                if number != 1:
                    raise BadEvidence(self.name, "expected one header, on the first line", line=number)
            elif isinstance(line, ZoneLine):
                if body:
                    raise BadEvidence(self.name, "expected zones before operations", line=number)
            else:
                body = True
                yield number, line

    def __iter__(self) -> Iterator[Events]:
        """Batches of observations.

        Errors    BadEvidence naming file, line, JSON path and what was expected
        """
        rows = _Rows(self)
        held: list[tuple[int, Operation]] = []
        torn = ""
        yielded = False
        try:
            for item in self.lines():
                held.append(item)
                if len(held) == BATCH:
                    yield rows.batch(held)
                    held, yielded = [], True
        except Cut as cut:
            torn = str(cut)
        if held or torn or not yielded:
            yield replace(rows.batch(held), torn=torn)


class _Rows:
    """Operations as rows; remembers the time, the marks and the flags seen."""

    def __init__(self, operations: Operations) -> None:
        self.name = operations.name
        self.types = {name: number for number, name in enumerate(operations.header.migratetypes)}
        self.words: dict[str, int] = {}
        self.marks: dict[str, int] = {}
        self.last = -1
        self.number = 0

    def batch(self, held: list[tuple[int, Operation]]) -> Events:
        events = empty(len(held))
        events.context[:] = Context.UNKNOWN
        for row, (line, operation) in enumerate(held):
            self.last = self._time(line, operation)
            events.ts[row] = self.last
            events.cpu[row] = operation.cpu
            events.line[row] = line
            if isinstance(operation, Mark):
                events.kind[row] = Kind.MARK
                events.a[row] = self.marks.setdefault(operation.name, len(self.marks))
                events.b[row] = operation.edge == "end"
                continue
            events.order[row] = operation.order
            events.pfn[row] = NOT_STATED if operation.pfn is None else operation.pfn
            if isinstance(operation, Free):
                events.kind[row] = Kind.MM_PAGE_FREE
                continue
            events.kind[row] = Kind.MM_PAGE_ALLOC
            events.mt[row] = self._type(line, operation.migratetype)
            events.a[row] = self._word(line, operation.gfp)
        return replace(events, marks=tuple(self.marks))

    def _time(self, line: int, operation: Operation) -> int:
        stated = self.number if operation.ts is None else operation.ts
        self.number = max(self.number, stated) + 1
        if stated < self.last:
            expected = f"expected a time not before {self.last}, found {stated}"
            raise BadEvidence(self.name, expected, line=line, where="$.ts")
        return stated

    def _type(self, line: int, name: str | None) -> int:
        if name is None:
            return NOT_STATED
        if name not in self.types:
            expected = f"expected one of {', '.join(self.types)}; found {name!r}"
            raise BadEvidence(self.name, expected, line=line, where="$.migratetype")
        return self.types[name]

    def _word(self, line: int, text: str | None) -> int:
        if text is None:
            return NOT_STATED
        if text not in self.words:
            try:
                word = parse_gfp(text)
            except ValueError as error:
                raise BadEvidence(self.name, str(error)[:200], line=line, where="$.gfp") from None
            if not 0 <= word < 1 << 63 or len(self.words) >= 1 << 15:
                raise BadEvidence(self.name, "expected a known GFP word", line=line, where="$.gfp")
            self.words[text] = word
        return self.words[text]


def open_operations(path: Path | str) -> Operations:
    """Open a file of operations: read its header and zones.

    Errors    BadEvidence naming file, line, JSON path and what was expected
    """
    place = Path(path)
    header: Header | None = None
    zones: list[ZoneLine] = []
    try:
        for number, line in _lines(place):
            if header is None:
                if not isinstance(line, Header):
                    raise BadEvidence(str(place), 'expected a header: {"op": "header", ...}', line=number)
                header = _checked(place, line)
            elif isinstance(line, ZoneLine):
                zones.append(line)
                if len(zones) > 1 << 12:
                    raise BadEvidence(str(place), "expected at most 4096 zones", line=number)
            else:
                break
    except Cut as cut:
        if header is None:
            raise BadEvidence(str(place), str(cut)) from None
    if header is None:
        raise BadEvidence(str(place), "expected a header, found an empty file")
    return Operations(place, header, tuple(zones))


def _checked(place: Path, header: Header) -> Header:
    if header.format != FORMAT:
        expected = f"expected {FORMAT!r}, found {header.format[:40]!r}"
        raise BadEvidence(str(place), expected, line=1, where="$.format")
    if len(header.migratetypes) > 64 or len(set(header.migratetypes)) != len(header.migratetypes):
        expected = "expected at most 64 different names"
        raise BadEvidence(str(place), expected, line=1, where="$.migratetypes")
    return header


def _lines(path: Path) -> Iterator[tuple[int, Line]]:
    """Number and content of each line.

    Errors    BadEvidence; Cut when the file ends inside a line
    """
    decoder = msgspec.json.Decoder(Line)
    number = 0
    left = b""
    for piece in chunks(path, 1 << 20):
        *whole, left = (left + piece).split(b"\n")
        for text in whole:
            number += 1
            yield number, _decode(path, number, text, decoder)
        if len(left) > LONGEST_LINE:
            expected = f"expected lines of at most {LONGEST_LINE} bytes"
            raise BadEvidence(str(path), expected, line=number + 1)
    if left:
        raise Cut(f"line {number + 1} has no end")


def _decode(path: Path, number: int, text: bytes, decoder: "msgspec.json.Decoder[Line]") -> Line:
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        expected = what[:1].lower() + what[1:300]
        raise BadEvidence(str(path), expected, line=number, where=where.strip("`") or "$") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadEvidence(str(path), f"expected JSON: {error}", line=number) from None


def write_operations(
    path: Path | str, header: Header, zones: Iterable[ZoneLine], operations: Iterable[Operation]
) -> None:
    """Write a file of operations at once or not at all.

    Errors    OSError
    """
    place = Path(path)
    draft = place.with_name(f".{place.name}.draft")
    encoder = msgspec.json.Encoder()
    try:
        with draft.open("wb") as file:
            for line in (header, *zones):
                file.write(encoder.encode(line) + b"\n")
            for operation in operations:
                file.write(encoder.encode(operation) + b"\n")
        draft.replace(place)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
