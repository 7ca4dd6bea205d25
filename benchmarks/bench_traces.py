"""How fast evidence is read: ftrace text against a C twin, raw pages, the archive.

`run()` gives medians of paired, interleaved rounds; both parsers must agree cell by cell.
"""

import ctypes
import gzip
import json
import statistics
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.peers import ns_per_line
from linuxmm.fast import trace_raw, trace_text
from linuxmm.oracle.formats import Events, Kind, TextTrace, concat, open_archive, write_archive
from linuxmm.oracle.formats.eventformat import EventFormat, RawField
from linuxmm.oracle.formats.ftrace_raw import DEFAULT_PAGE, CpuReader, Decoder, decoder
from linuxmm.oracle.formats.kinds import KIND_OF, LAYOUTS, Column, limits
from linuxmm.oracle.formats.names import NameTable, event_names, tables
from linuxmm.spec.alloc.gfp import parse_gfp

HERE: Final = Path(__file__).parent
TRACE: Final = HERE.parent / "tests/real/alloc-churn-6.1/trace/buddy.txt.gz"
ROUNDS: Final = 9


class CField(ctypes.Structure):
    """struct field."""

    _fields_ = (
        ("key", ctypes.c_char_p),
        *((name, ctypes.c_int) for name in ("size", "column", "form", "shift")),
        *((name, ctypes.c_int64) for name in ("mask", "low", "high")),
    )


class CLayout(ctypes.Structure):
    """struct layout."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("name_size", ctypes.c_int),
        ("symbol", ctypes.c_char_p),
        *((n, ctypes.c_int) for n in ["symbol_size", "returns", "kind", "order", "first", "last", "next"]),
        ("required", ctypes.c_int64),
    )


class CWords(ctypes.Structure):
    """struct words."""

    _fields_ = (
        ("count", ctypes.c_int),
        ("offset", ctypes.c_int * 4096),
        ("size", ctypes.c_int * 4096),
        ("value", ctypes.c_int64 * 4096),
        ("arena", ctypes.c_char * (1 << 18)),
    )


def _library(folder: Path) -> ctypes.CDLL:
    target = folder / "trace_text.so"
    source = HERE / "c" / "trace_text.c"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(target), str(source)], check=True)
    library = ctypes.CDLL(str(target))
    library.parse.restype = ctypes.c_int64
    return library


def _c_tables() -> tuple[ctypes.Array[CField], ctypes.Array[CLayout]]:
    flat = tables()
    fields = [field for layout in LAYOUTS for field in layout.fields]
    c_fields = (CField * len(fields))(
        *(
            CField(f.key.encode(), len(f.key), f.column, f.form, f.shift, int(flat.mask[k]), *limits(f))
            for k, f in enumerate(fields)
        )
    )
    c_layouts = (CLayout * len(LAYOUTS))()
    for k, layout in enumerate(LAYOUTS):
        name, symbol = layout.names[0], (layout.symbols or ("",))[0]
        c_layouts[k] = CLayout(
            name.encode(),
            len(name),
            symbol.encode(),
            len(symbol),
            layout.returns,
            layout.kind,
            int(flat.order[k]),
            int(flat.first[k]),
            int(flat.last[k]),
            int(flat.other_layout[k]),
            int(flat.required[k]),
        )
    return c_fields, c_layouts


def _columns(room: int) -> trace_text.Columns:
    return trace_text.Columns(
        np.zeros(room, np.int64),
        np.zeros(room, np.int16),
        np.zeros(room, np.int32),
        np.zeros(room, np.uint8),
        np.zeros(room, np.uint8),
        np.zeros(room, np.int64),
        np.zeros((trace_text.WORDS, room), np.int64),
    )


def _text() -> tuple[np.ndarray[tuple[int], np.dtype[np.uint8]], int, int]:
    """The lines of the real trace that both parsers keep, their bytes and their number."""
    lines = [
        line
        for line in gzip.decompress(TRACE.read_bytes()).splitlines(keepends=True)
        if not line.startswith(b"#") and b"tracing_mark_write" not in line
    ]
    body = b"".join(lines)
    return np.frombuffer(body + b"\n" * trace_text.SLACK, np.uint8), len(body), len(lines)


def _words(buffer: bytes) -> tuple[NameTable, CWords]:
    table, c_words = NameTable(), CWords()
    end = 0
    arena = bytearray()
    for text in sorted({piece.split()[0] for piece in buffer.split(b"gfp_flags=")[1:]}):
        word = parse_gfp(text.decode())
        table.add(text, word)
        k = c_words.count
        c_words.offset[k], c_words.size[k], c_words.value[k] = end, len(text), word
        arena += text
        end += len(text)
        c_words.count = k + 1
    ctypes.memmove(ctypes.addressof(c_words) + CWords.arena.offset, bytes(arena), len(arena))
    return table, c_words


def _agree(mine: trace_text.Columns, theirs: trace_text.Columns) -> None:
    kept = slice(0, Column.NONE)
    for name in ("ts", "cpu", "pid", "context", "kind", "line"):
        if not np.array_equal(getattr(mine, name), getattr(theirs, name)):
            raise RuntimeError(f"the C twin disagrees in {name}")
    if not np.array_equal(mine.words[kept], theirs.words[kept]):
        raise RuntimeError("the C twin disagrees in words")


def _pairs(first: Callable[[], None], second: Callable[[], None], rounds: int) -> list[tuple[float, float]]:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        first()
        middle = time.perf_counter()
        second()
        times.append((middle - start, time.perf_counter() - middle))
    return times


def bench_text(rounds: int = ROUNDS) -> dict[str, float | dict[str, float]]:
    """ftrace text: ns a line, and the ratios to C and to what libraries offer."""
    buffer, end, lines = _text()
    table, c_words = _words(buffer.tobytes())
    names, flat = event_names(), tables()
    counts = np.zeros(names.tuple.offset.size, np.int64)
    mine, theirs = _columns(lines + 2), _columns(lines + 2)
    state = np.zeros(trace_text.CELLS, np.int64)
    c_fields, c_layouts = _c_tables()

    with tempfile.TemporaryDirectory() as folder:
        library = _library(Path(folder))

        def ours() -> None:
            state[:] = 0
            state[trace_text.LINE], state[trace_text.TIME] = 1, -1
            code = trace_text.parse(buffer, end, state, mine, names.tuple, counts, table.tuple, flat)
            if code != trace_text.DONE or state[trace_text.ROW] != lines:
                raise RuntimeError(f"the parser stopped with {code}")

        def c_twin() -> None:
            pointers = [ctypes.c_void_p(column.ctypes.data) for column in theirs]
            rows = library.parse(
                ctypes.c_void_p(buffer.ctypes.data),
                ctypes.c_int64(end),
                c_fields,
                c_layouts,
                len(LAYOUTS),
                ctypes.byref(c_words),
                *pointers,
                ctypes.c_int64(lines + 2),
            )
            if rows != lines:
                raise RuntimeError(f"the C twin read {rows} of {lines} lines")

        ours()
        c_twin()
        _agree(mine, theirs)
        times = _pairs(ours, c_twin, rounds)
    ns = statistics.median(a for a, _ in times) / lines * 1e9
    peers = ns_per_line(buffer[:end].tobytes(), max(rounds // 3, 1))
    return {
        "ns_per_line": ns,
        "c_ns_per_line": statistics.median(b for _, b in times) / lines * 1e9,
        "ratio_to_c": statistics.median(a / b for a, b in times),
        "ratio_to_peer": {name: ns / theirs for name, theirs in peers.items()},
        "lines": lines,
        "rounds": rounds,
    }


def _real_events() -> Events:
    return concat(TextTrace(TRACE))


_TRACEPOINTS = tuple(kind for kind in Kind if kind < Kind.MARK)
_SIZE = {Column.PFN: 8, Column.ORDER: 4, Column.MT: 4, Column.A: 8, Column.B: 8, Column.C: 4}


def _format(kind: Kind) -> EventFormat:
    fields: dict[str, RawField] = {}
    offset = 8
    for field in KIND_OF[kind].fields:
        if field.required:
            size = _SIZE[field.column]
            fields[field.key] = RawField(field.key, offset, size, size == 4)
            offset += size
    return EventFormat("benchmark", KIND_OF[kind].names[0], 100 + kind, fields, "")


def decoder_and_pages(events: Events) -> tuple[Decoder, bytes, int]:
    """How to read the pages, the pages, and the number of events in them."""
    formats = {kind: _format(kind) for kind in _TRACEPOINTS}
    out: list[bytes] = []
    data = b""
    start = last = count = 0
    for row in range(len(events)):
        kind = int(events.kind[row])
        if kind >= Kind.MARK:
            continue
        time = int(events.ts[row])
        content = struct.pack("<HBBi", 100 + kind, 0, 0, int(events.pid[row]))
        for field in KIND_OF[kind].fields:
            if field.required:
                size = _SIZE[field.column]
                word = int(getattr(events, field.column.name.lower())[row])
                content += (word >> field.shift & ((1 << min(field.bits, 8 * size)) - 1)).to_bytes(
                    size, "little"
                )
        if not data or len(data) + 12 + len(content) > 4080:
            if data:
                out.append(struct.pack("<QQ", start, len(data)) + data.ljust(4080, b"\0"))
            data, start, last = b"", time, time
        delta = time - last
        if delta >= 1 << 27:
            data += struct.pack("<II", 30 | (delta & (1 << 27) - 1) << 5, delta >> 27)
            delta = 0
        data += struct.pack("<I", len(content) // 4 | delta << 5) + content
        last = time
        count += 1
    out.append(struct.pack("<QQ", start, len(data)) + data.ljust(4080, b"\0"))
    return decoder(formats.values(), DEFAULT_PAGE), b"".join(out), count


def bench_raw(rounds: int = ROUNDS) -> dict[str, float]:
    """Raw ring-buffer pages of mm_page_alloc and mm_page_free: ns an event."""
    how, raw, events = decoder_and_pages(_real_events())
    buffer = np.frombuffer(raw, np.uint8)
    reader = CpuReader("raw", 0, how)
    rows = reader.rows._replace(
        ts=np.zeros(events, np.int64),
        pid=np.zeros(events, np.int32),
        context=np.zeros(events, np.uint8),
        kind=np.zeros(events, np.uint8),
        line=np.zeros(events, np.int64),
        words=np.zeros((8, events), np.int64),
    )

    def walk() -> None:
        reader.state[:] = 0
        pages = len(raw) // how.page.size
        words = buffer.view(np.uint32)
        code = trace_raw.walk(buffer, words, pages, how.page, reader.state, rows, reader.counts, how.tables)
        if code != trace_raw.DONE or reader.state[trace_raw.ROW] != events:
            raise RuntimeError(f"the walker stopped with {code}")

    walk()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        walk()
        times.append(time.perf_counter() - start)
    return {
        "ns_per_event": statistics.median(times) / events * 1e9,
        "best_ns_per_event": min(times) / events * 1e9,
        "events": events,
        "rounds": rounds,
    }


def bench_archive(rounds: int = ROUNDS, copies: int = 24) -> dict[str, float]:
    """The archive: bytes an event on the real trace, and events read a second."""
    real = _real_events()
    span = int(real.ts[-1] - real.ts[0]) + 1000
    with tempfile.TemporaryDirectory() as folder:
        one = Path(folder) / "one.parquet"
        many = Path(folder) / "many.parquet"
        write_archive(one, [real])
        write_archive(many, (replace(real, ts=real.ts + k * span) for k in range(copies)))
        archive = open_archive(many)
        rates = []
        for _ in range(rounds):
            start = time.perf_counter()
            events = sum(len(batch) for batch in archive)
            rates.append(events / (time.perf_counter() - start))
        size = one.stat().st_size / len(real)
    return {"bytes_per_event": size, "events_per_second": statistics.median(rates), "rounds": rounds}


def run() -> dict[str, dict[str, float | dict[str, float]]]:
    """All three: {"text": {...}, "raw": {...}, "archive": {...}}."""
    return {"text": bench_text(), "raw": {**bench_raw()}, "archive": {**bench_archive()}}


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
