"""ftrace text, as `trace` or `trace_pipe` print it: plain, gzip or zstd, read in chunks of bounded size.

A file may be of any length; about 40 MB are held.  What the evidence says it lost stays with the table:
`CPU:n [LOST m EVENTS]` lines, entries overwritten before the file was read, a torn last line.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from linuxmm.fast import trace_text as parser
from linuxmm.oracle.formats import pagemap
from linuxmm.oracle.formats.events import Events, Int64, Lost
from linuxmm.oracle.formats.kinds import Form, Kind
from linuxmm.oracle.formats.names import NameTable, event_names, field_name, form_of, tables
from linuxmm.oracle.formats.streams import Cut, chunks
from linuxmm.spec.alloc.gfp import parse_gfp
from linuxmm.spec.errors import BadEvidence

Bytes: TypeAlias = NDArray[np.uint8]

CHUNK: Final = 1 << 22
ROWS: Final = 1 << 16
LONGEST_LINE: Final = 1 << 16
_SHOWN: Final = 100
_ENTRIES: Final = re.compile(rb"#\s*entries-in-buffer/entries-written:\s*(\d{1,18})/(\d{1,18})")
_LOST: Final = re.compile(rb"CPU:(\d{1,5}) \[LOST (?:(\d{1,18}) )?EVENTS\]\s*$")
_MARK: Final = re.compile(rb"SYNC (\S{1,64}) (begin|end)\s*$")

_EXPECTED: Final = {
    parser.BAD_COLUMN: ("task", "expected a 16-column task name, '-' and a pid"),
    parser.BAD_PID: ("pid", "expected a pid of 0 to 2147483647 after the task name"),
    parser.BAD_CPU: ("cpu", "expected a CPU number of 0 to 32767 in brackets"),
    parser.BAD_FLAGS: ("flags", "expected a flags column such as '.....' or 'd..3.'"),
    parser.BAD_TIME: ("time", "expected seconds with 6 or 9 decimals, or a whole number, and ': '"),
    parser.BACKWARDS: ("time", "expected a time not before that of the line before"),
    parser.BAD_NAME: ("event", "expected the name of an event and ':'"),
    parser.BAD_PROBE: ("probe", "expected the probed symbol in parentheses"),
}


@dataclass(frozen=True, slots=True)
class TextTrace:
    """A text trace in a file; iterating reads it from the start.

    pages   the kernel's page map where it is known already (a capture's state may say it)
    """

    path: Path
    pages: pagemap.PageMap | None = None
    chunk: int = CHUNK

    @property
    def name(self) -> str:
        """The file, for messages."""
        return str(self.path)

    def __iter__(self) -> Iterator[Events]:
        """Batches of at most `ROWS` observations in time order; at least one batch.

        Errors    BadEvidence naming file, line, field and what was expected
        """
        return _Reader(self).batches()


class _Reader:
    """One pass over a text trace."""

    def __init__(self, trace: TextTrace) -> None:
        self.trace = trace
        self.state = np.zeros(parser.CELLS, np.int64)
        self.state[parser.LINE] = 1
        self.state[parser.TIME] = -1
        self.names = event_names()
        self.counts = np.zeros(self.names.tuple.offset.size, np.int64)
        self.reported = np.zeros_like(self.counts)
        self.words = NameTable(entries=8192)
        self.mapper = pagemap.PageMapper(trace.pages)
        self.rows = _rows(ROWS)
        self.marks: dict[str, int] = {}
        self.gaps: list[Lost] = []
        self.entries = -1
        self.torn = ""
        self.last = -1
        self.kept = 0
        self.yielded = False

    def batches(self) -> Iterator[Events]:
        return pagemap.resolve_batches(self._raw(), self.mapper)

    def _raw(self) -> Iterator[tuple[Events, Int64]]:
        """Batches whose rows that state only a struct page still lack their pfn."""
        for buffer, end in self._blocks():
            self.state[parser.POS] = 0
            while self._parse(buffer, end):
                if self.state[parser.ROW] == ROWS:
                    yield self._batch()
        lines = int(self.state[parser.LINE]) - 1
        if not lines and not self.torn:
            raise BadEvidence(self.trace.name, "expected ftrace text, found an empty file")
        if self.entries >= 0 and self._events_seen < self.entries and not self.torn:
            self.torn = f"{self._events_seen} of {self.entries} entries that its header counts"
        if self.state[parser.ROW] or self.torn or self.gaps or not self.yielded or self._uncounted:
            yield self._batch(final=True)

    @property
    def _events_seen(self) -> int:
        return self.kept + int(self.state[parser.ROW]) + int(self.counts.sum())

    @property
    def _uncounted(self) -> bool:
        return bool((self.counts != self.reported).any())

    def _blocks(self) -> Iterator[tuple[Bytes, int]]:
        """Whole lines: an array ending in newlines, and where its content ends."""
        left = b""
        pieces = chunks(self.trace.path, self.trace.chunk)
        while True:
            try:
                piece = next(pieces, b"")
            except Cut as cut:
                self.torn = str(cut)
                piece = b""
            if not piece:
                break
            cut_at = piece.rfind(b"\n") + 1
            if not cut_at:
                left += piece
                if len(left) > LONGEST_LINE:
                    self._too_long()
                continue
            block = left + piece[:cut_at]
            left = piece[cut_at:]
            yield np.frombuffer(block + b"\n" * parser.SLACK, np.uint8), len(block)
        if left:
            self.torn = self.torn or "the last line has no end"

    def _too_long(self) -> None:
        line = int(self.state[parser.LINE])
        raise BadEvidence(self.trace.name, f"expected lines of at most {LONGEST_LINE} bytes", line=line)

    def _parse(self, buffer: Bytes, end: int) -> bool:
        """Parse on until the rows are full (True) or the block is read (False)."""
        while True:
            status = parser.parse(
                buffer,
                end,
                self.state,
                self.rows,
                self.names.tuple,
                self.counts,
                self.words.tuple,
                tables(),
            )
            if status == parser.DONE:
                return False
            if status == parser.FULL:
                return True
            if status == parser.SPECIAL:
                self._special(_line(buffer, int(self.state[parser.POS])))
                self._next_line(buffer)
            elif status == parser.NEW_NAME:
                self._new_name(self._text(buffer), buffer)
            elif status == parser.NEW_WORD:
                self._new_word(self._text(buffer), buffer)
            elif status == parser.MARK:
                self._mark(buffer)
            else:
                self._bad(int(status), buffer)

    def _text(self, buffer: Bytes) -> bytes:
        start = int(self.state[parser.AT])
        return buffer[start : start + int(self.state[parser.SIZE])].tobytes()

    def _next_line(self, buffer: Bytes) -> None:
        start = int(self.state[parser.POS])
        self.state[parser.POS] = start + len(_line(buffer, start)) + 1
        self.state[parser.LINE] += 1

    def _special(self, line: bytes) -> None:
        if found := _ENTRIES.match(line):
            held, written = int(found[1]), int(found[2])
            self.entries = held
            if written > held:
                self._gap(-1, written - held, "overwritten before the trace was read")
        elif found := _LOST.match(line):
            count = int(found[2]) if found[2] else -1
            self._gap(int(found[1]), count, "the ring buffer lost events here")
        elif line.startswith(b"CPU"):
            self._fail("line", "expected CPU:n [LOST m EVENTS]", line)

    def _gap(self, cpu: int, count: int, why: str) -> None:
        row, line = int(self.state[parser.ROW]), int(self.state[parser.LINE])
        since = int(self.rows.ts[row - 1]) if row else self.last
        self.gaps.append(Lost(cpu, count, since, row, line, why))

    def _new_name(self, name: bytes, buffer: Bytes) -> None:
        if not self.names.add(name, parser.OTHER):
            expected = "expected fewer different event names, of at most 128 bytes"
            self._fail("event", expected, _line(buffer, int(self.state[parser.POS])))

    def _new_word(self, text: bytes, buffer: Bytes) -> None:
        line = _line(buffer, int(self.state[parser.POS]))
        try:
            word = parse_gfp(text.decode("ascii"))
        except (ValueError, UnicodeDecodeError):
            word = -1
        if not 0 <= word < 1 << 63:
            self._fail("gfp_flags", f"expected names of GFP flags joined by |, found {_shown(text)}", line)
        if not self.words.add(text, word):
            self._fail("gfp_flags", "expected fewer different combinations of GFP flags", line)

    def _mark(self, buffer: Bytes) -> None:
        text = _line(buffer, int(self.state[parser.AT]))
        found = _MARK.match(text)
        try:
            name = found[1].decode("utf-8") if found else ""
        except UnicodeDecodeError:
            name = ""
        if found is None or not name:
            self._fail("mark", f"expected SYNC, a name, and begin or end, found {_shown(text)}", text)
        row = int(self.state[parser.ROW])
        self.rows.words[:, row] = 0
        self.rows.words[parser.PAGE, row] = parser.NO_PAGE
        self.rows.words[[parser.PFN, parser.ORDER, parser.MT], row] = -1
        self.rows.words[4, row] = self.marks.setdefault(name, len(self.marks))
        self.rows.words[5, row] = found[2] == b"end"
        self.rows.kind[row] = Kind.MARK
        self.rows.line[row] = self.state[parser.LINE]
        self.state[parser.TIME] = self.rows.ts[row]
        self.state[parser.ROW] += 1
        self._next_line(buffer)

    def _fail(self, where: str, expected: str, line: bytes) -> NoReturn:
        raise BadEvidence(
            self.trace.name,
            f"{expected}; the line is {_shown(line)}",
            line=int(self.state[parser.LINE]),
            where=where,
        )

    def _bad(self, status: int, buffer: Bytes) -> NoReturn:
        line = _line(buffer, int(self.state[parser.POS]))
        if status in _EXPECTED:
            self._fail(*_EXPECTED[status], line)
        flat = int(self.state[parser.FIELD])
        value = _line(buffer, int(self.state[parser.AT])).split(b" ")[0]
        forms = {Form.NUMBER: "a number", Form.HEX: "a hexadecimal number", Form.GFP: "names of GFP flags"}
        if status == parser.MISSING:
            expected = "expected this field, which the event must have"
        elif status == parser.TWICE:
            expected = "expected this field once"
        elif status == parser.BAD_RANGE:
            low, high = int(tables().low[flat]), int(tables().high[flat])
            expected = f"expected a number of {low} to {high}, found {_shown(value)}"
        else:
            expected = f"expected {forms[form_of(flat)]}, found {_shown(value)}"
        self._fail(field_name(flat), expected, line)

    def _batch(self, final: bool = False) -> tuple[Events, Int64]:
        """The rows read so far as a table of their own, and their struct pages."""
        n = int(self.state[parser.ROW])
        self.state[parser.ROW] = 0
        rows, words = self.rows, self.rows.words
        self.kept += n
        gaps = []
        for gap in self.gaps:
            until = int(rows.ts[gap.until]) if gap.until < n else -1
            gaps.append(replace(gap, until=until))
        self.gaps = []
        if n:
            self.last = int(rows.ts[n - 1])
        fresh = self.counts - self.reported
        others = {self.names.texts[k].decode("utf-8", "replace"): int(fresh[k]) for k in fresh.nonzero()[0]}
        self.reported = self.counts.copy()
        self.yielded = True
        events = Events(
            ts=rows.ts[:n].copy(),
            cpu=rows.cpu[:n].copy(),
            pid=rows.pid[:n].copy(),
            context=rows.context[:n].copy(),
            kind=rows.kind[:n].copy(),
            line=rows.line[:n].copy(),
            pfn=words[parser.PFN, :n].copy(),
            order=words[parser.ORDER, :n].astype(np.int8),
            mt=words[parser.MT, :n].astype(np.int8),
            a=words[4, :n].copy(),
            b=words[5, :n].copy(),
            c=words[6, :n].copy(),
            marks=tuple(self.marks),
            lost=tuple(gaps),
            torn=self.torn if final else "",
            others=MappingProxyType(others),
        )
        return events, words[parser.PAGE, :n].copy()


def _rows(size: int) -> parser.Columns:
    return parser.Columns(
        ts=np.zeros(size, np.int64),
        cpu=np.zeros(size, np.int16),
        pid=np.zeros(size, np.int32),
        context=np.zeros(size, np.uint8),
        kind=np.zeros(size, np.uint8),
        line=np.zeros(size, np.int64),
        words=np.zeros((parser.WORDS, size), np.int64),
    )


def _line(buffer: Bytes, start: int) -> bytes:
    """The bytes from `start` to the end of the line."""
    piece = buffer[start : start + LONGEST_LINE].tobytes()
    return piece.split(b"\n", 1)[0]


def _shown(text: bytes) -> str:
    """A piece of evidence for a message: printable, and not long."""
    shown = text[:_SHOWN].decode("utf-8", "replace")
    return repr(shown + "…" if len(text) > _SHOWN else shown)
