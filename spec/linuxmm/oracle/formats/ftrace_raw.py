"""Raw ring-buffer pages, as `per_cpu/cpuN/trace_pipe_raw` gives them, read by the events' format files.

A folder of them looks like tracefs: per_cpu/cpuN/trace_pipe_raw, events/header_page, and one
events/SYSTEM/EVENT/format per event.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from linuxmm.fast import trace_raw as walker
from linuxmm.oracle.formats.eventformat import EventFormat, GfpNames, RawField, parse_format
from linuxmm.oracle.formats.events import Events, Int64, Lost
from linuxmm.oracle.formats.kinds import LAYOUTS, MARK_EVENT, Column, Field, Form, Kind, Layout, limits
from linuxmm.oracle.formats.merge import merge
from linuxmm.oracle.formats.pagemap import PageMap, PageMapper, resolve_batches
from linuxmm.oracle.formats.streams import Cut, chunks, whole
from linuxmm.spec.errors import BadEvidence

PAGES: Final = 64  # pages read at a time
_HEADER: Final = re.compile(r"field:\s*[^;]*?(\w+);\s*offset:(\d{1,6});\s*size:(\d{1,6});")
_CPU: Final = re.compile(r"cpu(\d{1,5})")
_MARK: Final = re.compile(rb"SYNC (\S{1,64}) (begin|end)\s*$")
_FILE_LIMIT: Final = 1 << 20

_EXPECTED: Final = {
    walker.BAD_COMMIT: ("commit", "expected no more data than a page holds"),
    walker.BAD_RECORD: ("record", "expected a record that ends inside its page's data"),
    walker.BAD_TIME: ("time", "expected a time of at most 2**62 ns"),
    walker.BACKWARDS: ("time", "expected a time not before that of the record before"),
    walker.SHORT: ("record", "expected a record that holds its event's fields"),
    walker.FULL: ("page", "expected fewer records in a page"),
}


def page_shape(text: str, file: str) -> walker.Page:
    """The shape of a page by `events/header_page`.

    Errors    BadEvidence naming the field
    """
    found = {name: (int(offset), int(size)) for name, offset, size in _HEADER.findall(text)}
    for name in ("commit", "data"):
        if name not in found:
            raise BadEvidence(file, "expected this field", where=name)
    offset, size = found["commit"]
    data, room = found["data"]
    if offset != 8 or size not in (4, 8) or data != 8 + size:
        raise BadEvidence(file, "expected a 64-bit time, a commit word and data", where="commit")
    if (data + room) % 8 or not 64 <= data + room <= 1 << 20:
        raise BadEvidence(file, "expected a page of 64 bytes to 1 MiB", where="data")
    return walker.Page(data + room, data, size)


DEFAULT_PAGE: Final = walker.Page(4096, 16, 8)


@dataclass(frozen=True, slots=True)
class Decoder:
    """How to read the records of one kernel: tables for the walker and what messages need."""

    page: walker.Page
    tables: walker.RawTables
    names: dict[int, str]
    keys: tuple[str, ...]
    gfp: GfpNames | None


def decoder(formats: Iterable[EventFormat], page: walker.Page) -> Decoder:
    """Prepare the reading of records by their formats.

    Errors    BadEvidence for a format that does not have the fields that its event must have
    """
    of_id = np.full(1 << 16, walker.OTHER, np.int32)
    names: dict[int, str] = {}
    chosen: list[tuple[Layout, EventFormat, list[tuple[Field, RawField]]]] = []
    common = [2, 3, 4, 16, 8]
    gfp = None
    seen: EventFormat | None = None
    for event in formats:
        names[event.number] = event.name
        seen = event
        if event.name in ("print", MARK_EVENT) and "buf" in event.fields:
            of_id[event.number] = walker.MARKER
            common[3] = event.fields["buf"].offset
            names[event.number] = MARK_EVENT
            continue
        pick = _layout(event)
        if pick is None:
            continue
        of_id[event.number] = len(chosen)
        chosen.append((pick[0], event, pick[1]))
        if any(field.form is Form.GFP for field, _ in pick[1]):
            gfp = GfpNames(event)
    if seen is None:
        raise BadEvidence("formats", "expected at least one event format")
    for place, name in enumerate(("common_flags", "common_preempt_count", "common_pid")):
        if name in seen.fields:
            common[place] = seen.fields[name].offset
    common[4] = max(common[0] + 1, common[1] + 1, common[2] + 4)
    pairs = [pair for _, _, some in chosen for pair in some]
    return Decoder(
        page,
        _raw_tables(of_id, common, chosen, pairs, page),
        names,
        tuple(f"{event.name} {field.key}" for _, event, some in chosen for field, _ in some),
        gfp,
    )


def _layout(event: EventFormat) -> tuple[Layout, list[tuple[Field, RawField]]] | None:
    """The layout whose fields an event has, with where they are; None for events that are only counted."""
    missing = ""
    for layout in LAYOUTS:
        if event.name not in layout.names:
            continue
        has = event.fields.keys()
        absent = [field.key for field in layout.fields if field.required and field.key not in has]
        if absent == ["pfn"] and "page" in has:
            absent = []
        if not absent:
            pairs = [(field, event.fields[field.key]) for field in layout.fields if field.key in has]
            for field, raw in pairs:
                if raw.size not in (1, 2, 4, 8) or raw.offset > 4096:
                    expected = "expected 1, 2, 4 or 8 bytes inside the record"
                    raise BadEvidence(event.file, expected, where=field.key)
            return layout, pairs
        missing = missing or ("" if layout.symbols else absent[0])
    if missing:
        raise BadEvidence(event.file, "expected this field", where=missing)
    return None


def _limits(field: Field) -> tuple[int, int]:
    low, high = limits(field)
    return (-1, high) if field.column is Column.PFN else (low, high)


def _raw_tables(
    of_id: NDArray[np.int32],
    common: list[int],
    chosen: list[tuple[Layout, EventFormat, list[tuple[Field, RawField]]]],
    pairs: list[tuple[Field, RawField]],
    page: walker.Page,
) -> walker.RawTables:
    ends = np.cumsum([0, *(len(some) for _, _, some in chosen)]).astype(np.int32)
    batched = Kind.MM_PAGE_FREE_BATCHED
    return walker.RawTables(
        of_id=of_id,
        common=np.array(common, np.int64),
        kind=np.array([layout.kind for layout, _, _ in chosen], np.uint8),
        order=np.array([0 if layout.kind is batched else -1 for layout, _, _ in chosen], np.int64),
        first=ends[:-1],
        last=ends[1:],
        length=np.array([max(r.offset + r.size for _, r in some) for _, _, some in chosen], np.int64),
        offset=np.array([raw.offset for _, raw in pairs], np.int64),
        size=np.array([raw.size for _, raw in pairs], np.uint8),
        signed=np.array([raw.signed for _, raw in pairs], np.uint8),
        column=np.array([field.column for field, _ in pairs], np.uint8),
        shift=np.array([field.shift for field, _ in pairs], np.uint8),
        mask=np.array([(1 << f.bits) - 1 if f.bits < 64 else -1 for f, _ in pairs], np.int64),
        low=np.array([_limits(field)[0] for field, _ in pairs], np.int64),
        high=np.array([_limits(field)[1] for field, _ in pairs], np.int64),
    )


class CpuReader:
    """One pass over the pages of one CPU."""

    def __init__(self, file: str, cpu: int, how: Decoder) -> None:
        self.file, self.cpu, self.how = file, cpu, how
        self.state = np.zeros(walker.CELLS, np.int64)
        self.state[walker.TIME] = -1
        self.counts = np.zeros(1 << 16, np.int64)
        size = PAGES * how.page.size
        rows = size // 12 + 1
        self.rows = walker.RawColumns(
            ts=np.zeros(rows, np.int64),
            pid=np.zeros(rows, np.int32),
            context=np.zeros(rows, np.uint8),
            kind=np.zeros(rows, np.uint8),
            line=np.zeros(rows, np.int64),
            words=np.zeros((8, rows), np.int64),
            gap_row=np.zeros(PAGES, np.int64),
            gap_count=np.zeros(PAGES, np.int64),
            gap_at=np.zeros(PAGES, np.int64),
        )
        self.last = -1

    def batches(self, pieces: Iterator[bytes], start: int = 0) -> Iterator[tuple[Events, Int64]]:
        """Batches of the pages in `pieces`, which stand at `start` in the file.

        Errors    BadEvidence naming file, byte offset and what was expected
        """
        size = self.how.page.size
        left, torn = b"", ""
        while True:
            try:
                piece = next(pieces, b"")
            except Cut as cut:
                piece, torn = b"", str(cut)
            if not piece:
                break
            left += piece
            for at in range(0, len(left) - len(left) % size, PAGES * size):
                block = left[at : min(at + PAGES * size, len(left) - len(left) % size)]
                yield self._batch(block, start)
                start += len(block)
            left = left[len(left) - len(left) % size :]
        if left and not torn:
            torn = f"cpu {self.cpu}: {len(left)} bytes of a page of {size}"
        if torn:
            batch, page = self._batch(b"", start)
            yield replace(batch, torn=torn), page

    def _batch(self, block: bytes, start: int) -> tuple[Events, Int64]:
        buffer = np.frombuffer(block, np.uint8)
        self.state[[walker.ROW, walker.GAP]] = 0
        self.counts[:] = 0
        status = walker.walk(
            buffer,
            buffer.view(np.uint32),
            len(block) // self.how.page.size,
            self.how.page,
            self.state,
            self.rows,
            self.counts,
            self.how.tables,
        )
        if status != walker.DONE:
            self._bad(int(status), start)
        return self._table(block, start)

    def _bad(self, status: int, start: int) -> NoReturn:
        at = start + int(self.state[walker.AT])
        if status == walker.BAD_RANGE:
            flat = int(self.state[walker.FIELD])
            tables = self.how.tables
            expected = f"expected a number of {int(tables.low[flat])} to {int(tables.high[flat])}"
            raise BadEvidence(self.file, expected, where=f"byte {at}, {self.how.keys[flat]}")
        where, expected = _EXPECTED[status]
        raise BadEvidence(self.file, expected, where=f"byte {at}, {where}")

    def _table(self, block: bytes, start: int) -> tuple[Events, Int64]:
        n = int(self.state[walker.ROW])
        rows, words = self.rows, self.rows.words
        kind = rows.kind[:n].copy()
        a, b, pfn = words[4, :n].copy(), words[5, :n].copy(), words[1, :n].copy()
        marks = self._marks(block, start, kind, a, b)
        self._canonical(kind, a)
        if self.how.page.long == 4:
            pfn[(pfn == 0xFFFFFFFF) & (kind < Kind.COMMIT)] = -1
        lost = self._lost(n, start)
        if n:
            self.last = int(rows.ts[n - 1])
        others = {
            self.how.names.get(int(k), f"event {int(k)}"): int(self.counts[k])
            for k in self.counts.nonzero()[0]
        }
        events = Events(
            ts=rows.ts[:n].copy(),
            cpu=np.full(n, self.cpu, np.int16),
            pid=rows.pid[:n].copy(),
            context=rows.context[:n].copy(),
            kind=kind,
            line=rows.line[:n] + start,
            pfn=pfn,
            order=words[2, :n].astype(np.int8),
            mt=words[3, :n].astype(np.int8),
            a=a,
            b=b,
            c=words[6, :n].copy(),
            marks=marks,
            lost=lost,
            others=MappingProxyType(others),
        )
        return events, words[0, :n].copy()

    def _marks(
        self, block: bytes, start: int, kind: NDArray[np.uint8], a: Int64, b: Int64
    ) -> tuple[str, ...]:
        """Names of the marks among the rows; the walker left where their text is in `a` and `b`."""
        names: dict[str, int] = {}
        for row in (kind == Kind.MARK).nonzero()[0]:
            text = block[int(a[row]) : int(b[row])].split(b"\0")[0]
            found = _MARK.match(text)
            name = found[1].decode("utf-8", "replace") if found else ""
            if found is None:
                where = f"byte {start + int(self.rows.line[row])}, mark"
                raise BadEvidence(self.file, "expected SYNC, a name, and begin or end", where=where)
            a[row] = names.setdefault(name, len(names))
            b[row] = found[2] == b"end"
        return tuple(names)

    def _canonical(self, kind: NDArray[np.uint8], a: Int64) -> None:
        """Turn the kernel's GFP numbers into canonical words, in place."""
        asks = kind == Kind.MM_PAGE_ALLOC
        if self.how.gfp is None or not asks.any():
            return
        masks, which = np.unique(a[asks], return_inverse=True)
        if len(masks) + len(self.how.gfp.words) > 1 << 15:
            expected = "expected fewer different combinations of GFP flags"
            raise BadEvidence(self.file, expected, where="gfp_flags")
        words = np.array([self.how.gfp.word(int(mask) & 0xFFFFFFFF) for mask in masks], np.int64)
        a[asks] = words[which]

    def _lost(self, n: int, start: int) -> tuple[Lost, ...]:
        lost = []
        for gap in range(int(self.state[walker.GAP])):
            row = int(self.rows.gap_row[gap])
            since = int(self.rows.ts[row - 1]) if row else self.last
            until = int(self.rows.ts[row]) if row < n else -1
            at = start + int(self.rows.gap_at[gap])
            count = int(self.rows.gap_count[gap])
            lost.append(Lost(self.cpu, count, since, until, at, "events were lost before this page"))
        return tuple(lost)


@dataclass(frozen=True, slots=True)
class RawTrace:
    """A folder of raw pages with format files; iterating merges the CPUs by time."""

    path: Path
    pages: PageMap | None = None

    @property
    def name(self) -> str:
        """The folder, for messages."""
        return str(self.path)

    def __iter__(self) -> Iterator[Events]:
        """Batches in time order.

        Errors    BadEvidence naming file, byte offset, field and what was expected
        """
        how = self._decoder()
        mapper = PageMapper(self.pages)
        return merge([self._cpu(cpu, file, how, mapper) for cpu, file in self._files()])

    def _cpu(self, cpu: int, file: Path, how: Decoder, mapper: PageMapper) -> Iterator[Events]:
        reader = CpuReader(str(file), cpu, how)
        return resolve_batches(reader.batches(chunks(file, PAGES * how.page.size)), mapper)

    def _files(self) -> list[tuple[int, Path]]:
        found = []
        for file in self.path.glob("per_cpu/cpu*/trace_pipe_raw*"):
            match = _CPU.fullmatch(file.parent.name)
            if match and int(match[1]) <= 0x7FFF:
                found.append((int(match[1]), file))
        if not found:
            raise BadEvidence(self.name, "expected per_cpu/cpuN/trace_pipe_raw")
        return sorted(found)

    def _decoder(self) -> Decoder:
        header = self.path / "events" / "header_page"
        page = page_shape(_text(header), str(header)) if header.is_file() else DEFAULT_PAGE
        files = sorted(self.path.glob("events/*/*/format"))
        if not files:
            raise BadEvidence(self.name, "expected events/SYSTEM/EVENT/format files")
        return decoder([parse_format(_text(file), str(file)) for file in files], page)


def _text(file: Path) -> str:
    return whole(file, _FILE_LIMIT).decode("utf-8", "replace")
