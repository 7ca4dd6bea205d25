"""trace.dat files of trace-cmd, versions 6 and 7: formats, per-CPU statistics and raw pages in one file.

Source  trace-cmd.dat.v6(5), trace-cmd.dat.v7(5).  Version 7 may be compressed with zlib or zstd.
"""

import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Final, NoReturn

import zstandard

from linuxmm.fast.trace_raw import Page
from linuxmm.oracle.formats.eventformat import EventFormat, parse_format
from linuxmm.oracle.formats.events import Events, Int64, Lost
from linuxmm.oracle.formats.ftrace_raw import PAGES, CpuReader, Decoder, decoder, page_shape
from linuxmm.oracle.formats.merge import merge
from linuxmm.oracle.formats.pagemap import PageMap, PageMapper, resolve_batches
from linuxmm.oracle.formats.streams import Cut
from linuxmm.spec.errors import BadEvidence, Unmodelled

MAGIC: Final = b"\x17\x08\x44tracing"
_FORMATS: Final = 1 << 16
_LIMIT: Final = 1 << 26
_WINDOW: Final = 1 << 27
_NAME: Final = 1 << 12
_STAT: Final = re.compile(r"^(CPU|overrun|commit overrun|dropped events):\s*(\d{1,18})\s*$", re.MULTILINE)
_CPUSTAT, _BUFFER, _HEADER, _FTRACE, _EVENTS, _UNAME = 2, 3, 16, 17, 18, 5


@dataclass(frozen=True, slots=True)
class CpuData:
    """Where the pages of one CPU are in the file."""

    cpu: int
    offset: int
    size: int


@dataclass(slots=True)
class Contents:
    """What the head of a trace.dat file says."""

    page: Page
    formats: list[EventFormat] = field(default_factory=list)
    cpus: list[CpuData] = field(default_factory=list)
    stats: list[str] = field(default_factory=list)
    uname: str = ""
    compression: str = "none"


class _Cursor:
    """Numbers and strings of a file from a place on; every read names what it was to be."""

    def __init__(self, name: str, file: BinaryIO, size: int) -> None:
        self.name, self.file, self.size = name, file, size

    def seek(self, at: int, what: str) -> None:
        if not 0 <= at <= self.size:
            self.bad(what, f"expected an offset inside the file of {self.size} bytes, found {at}")
        self.file.seek(at)

    def take(self, size: int, what: str) -> bytes:
        if size > _LIMIT:
            self.bad(what, f"expected at most {_LIMIT} bytes, found {size}")
        data = self.file.read(size)
        if len(data) < size:
            self.bad(what, f"expected {size} bytes, the file ends after {len(data)}")
        return data

    def number(self, size: int, what: str) -> int:
        return int.from_bytes(self.take(size, what), "little")

    def block(self, what: str) -> bytes:
        """A 64-bit size and that many bytes."""
        return self.take(self.number(8, what), what)

    def string(self, what: str) -> str:
        found = bytearray()
        while (byte := self.take(1, what)) != b"\0":
            found += byte
            if len(found) > _NAME:
                self.bad(what, f"expected a string of at most {_NAME} bytes")
        return found.decode("utf-8", "replace")

    def literal(self, text: bytes, what: str) -> None:
        if self.take(len(text), what) != text:
            self.bad(what, f"expected {text!r}")

    def bad(self, what: str, expected: str) -> NoReturn:
        raise BadEvidence(self.name, expected, where=f"byte {self.file.tell()}, {what}")


@dataclass(frozen=True, slots=True)
class DatTrace:
    """A trace.dat file; iterating merges its CPUs by time."""

    path: Path
    pages: PageMap | None = None

    @property
    def name(self) -> str:
        """The file, for messages."""
        return str(self.path)

    def contents(self) -> Contents:
        """What the head of the file says.

        Errors    BadEvidence naming file, byte offset and field; Unmodelled for big-endian files
        """
        try:
            with self.path.open("rb") as file:
                return _read(_Cursor(self.name, file, self.path.stat().st_size))
        except OSError as error:
            raise BadEvidence(self.name, f"cannot be read: {error.strerror}") from None

    def __iter__(self) -> Iterator[Events]:
        """Batches in time order.

        Errors    BadEvidence naming file, byte offset, field and what was expected
        """
        contents = self.contents()
        how = decoder(contents.formats, contents.page)
        mapper = PageMapper(self.pages)
        said = _losses(contents.stats)
        for batch in merge([self._cpu(cpu, contents, how, mapper) for cpu in contents.cpus]):
            yield replace(batch, lost=said + batch.lost) if said else batch
            said = ()

    def _cpu(self, data: CpuData, contents: Contents, how: Decoder, mapper: PageMapper) -> Iterator[Events]:
        reader = CpuReader(self.name, data.cpu, how)
        pieces = self._pieces(data, contents)
        batches: Iterator[tuple[Events, Int64]] = reader.batches(pieces, data.offset)
        return resolve_batches(batches, mapper)

    def _pieces(self, data: CpuData, contents: Contents) -> Iterator[bytes]:
        """The pages of one CPU, some at a time."""
        with self.path.open("rb") as file:
            file.seek(data.offset)
            if contents.compression != "none":
                if data.size:
                    cursor = _Cursor(self.name, file, self.path.stat().st_size)
                    yield from _compressed(cursor, contents)
                return
            left = data.size
            while left:
                piece = file.read(min(left, PAGES * contents.page.size))
                if not piece:
                    raise Cut(f"cpu {data.cpu}: the file ends {left} bytes before its data do")
                left -= len(piece)
                yield piece


def _compressed(cursor: _Cursor, contents: Contents) -> Iterator[bytes]:
    for _ in range(cursor.number(4, "number of chunks")):
        yield _inflate(cursor, contents.compression)


def _inflate(cursor: _Cursor, algorithm: str) -> bytes:
    """A compressed size, a plain size, and compressed bytes."""
    packed, plain = cursor.number(4, "compressed size"), cursor.number(4, "plain size")
    if plain > _LIMIT:
        cursor.bad("plain size", f"expected at most {_LIMIT} bytes, found {plain}")
    data = cursor.take(packed, "compressed data")
    try:
        if algorithm == "zlib":
            found = zlib.decompressobj().decompress(data, plain + 1)
        else:
            machine = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
            found = machine.stream_reader(data).read(plain + 1)
    except (zlib.error, zstandard.ZstdError) as error:
        cursor.bad("compressed data", f"cannot be decompressed: {error}")
    if len(found) != plain:
        cursor.bad("compressed data", f"expected {plain} bytes when decompressed, found {len(found)}")
    return found


def _read(cursor: _Cursor) -> Contents:
    cursor.literal(MAGIC, "magic")
    version = cursor.string("version")
    if version not in ("6", "7"):
        cursor.bad("version", f"expected version 6 or 7, found {version[:20]!r}")
    if endian := cursor.number(1, "byte order"):
        if endian == 1:
            raise Unmodelled(f"{cursor.name}: trace.dat of a big-endian machine")
        cursor.bad("byte order", f"expected 0 or 1, found {endian}")
    cursor.number(1, "size of long")
    cursor.number(4, "page size")
    return _version6(cursor) if version == "6" else _version7(cursor)


def _version6(cursor: _Cursor) -> Contents:
    contents = Contents(_header_info(cursor))
    _formats(cursor, contents, systems=False)
    _formats(cursor, contents, systems=True)
    cursor.take(cursor.number(4, "kallsyms"), "kallsyms")
    cursor.take(cursor.number(4, "printk"), "printk")
    cursor.block("cmdlines")
    cpus = cursor.number(4, "number of CPUs")
    if cpus > 0x7FFF:
        cursor.bad("number of CPUs", f"expected at most 32767, found {cpus}")
    section = cursor.take(10, "section")
    while section == b"options  \0":
        while option := cursor.number(2, "option"):
            data = cursor.take(cursor.number(4, "option size"), "option")
            _option6(option, data, contents)
        section = cursor.take(10, "section")
    if section == b"latency  \0":
        raise Unmodelled(f"{cursor.name}: trace.dat that holds latency text instead of records")
    if section != b"flyrecord\0":
        cursor.bad("section", "expected 'options', 'latency' or 'flyrecord'")
    for cpu in range(cpus):
        where = CpuData(cpu, cursor.number(8, "CPU offset"), cursor.number(8, "CPU size"))
        contents.cpus.append(_checked(cursor, where))
    return contents


def _option6(option: int, data: bytes, contents: Contents) -> None:
    text = data.rstrip(b"\0").decode("utf-8", "replace")
    if option == _CPUSTAT:
        contents.stats.append(text)
    elif option == _UNAME:
        contents.uname = text


def _checked(cursor: _Cursor, data: CpuData) -> CpuData:
    if data.offset > cursor.size or data.size > 1 << 50:
        expected = f"expected an offset inside the file of {cursor.size} bytes, found {data.offset}"
        cursor.bad(f"data of CPU {data.cpu}", expected)
    return data


def _header_info(cursor: _Cursor) -> Page:
    cursor.literal(b"header_page\0", "header_page")
    text = cursor.block("header_page").decode("utf-8", "replace")
    page = page_shape(text, cursor.name)
    cursor.literal(b"header_event\0", "header_event")
    cursor.block("header_event")
    return page


def _formats(cursor: _Cursor, contents: Contents, *, systems: bool) -> None:
    """The formats of ftrace's own events, or of all event systems."""
    for _ in range(cursor.number(4, "number of systems") if systems else 1):
        system = cursor.string("system") if systems else "ftrace"
        for _ in range(cursor.number(4, "number of formats")):
            text = cursor.block("format").decode("utf-8", "replace")
            contents.formats.append(parse_format(text, f"{cursor.name} ({system} format)"))
            if len(contents.formats) > _FORMATS:
                cursor.bad("number of formats", f"expected at most {_FORMATS}")


def _version7(cursor: _Cursor) -> Contents:
    algorithm = cursor.string("compression")
    cursor.string("version of the compression")
    if algorithm not in ("none", "zlib", "zstd"):
        cursor.bad("compression", f"expected none, zlib or zstd, found {algorithm[:20]!r}")
    contents = Contents(Page(4096, 16, 8), compression=algorithm)
    places: dict[int, int] = {}
    buffers: list[bytes] = []
    seen: set[int] = set()
    at = cursor.number(8, "offset of options")
    while at:
        if at in seen:
            cursor.bad("options", "expected options sections that do not repeat")
        seen.add(at)
        at = _options7(_section(cursor, at, 0, algorithm), contents, places, buffers)
    for wanted, what in ((_HEADER, "header info"), (_EVENTS, "event formats")):
        if wanted not in places:
            cursor.bad(what, "expected this section")
    contents.page = _header_info(_section(cursor, places[_HEADER], _HEADER, algorithm))
    if _FTRACE in places:
        _formats(_section(cursor, places[_FTRACE], _FTRACE, algorithm), contents, systems=False)
    _formats(_section(cursor, places[_EVENTS], _EVENTS, algorithm), contents, systems=True)
    top = [buffer for buffer in (_buffer(cursor, data, contents) for data in buffers) if buffer[0] == ""]
    if not top:
        cursor.bad("buffer", "expected the data of the top trace instance")
    contents.cpus = top[0][1]
    return contents


def _section(cursor: _Cursor, at: int, wanted: int, algorithm: str) -> _Cursor:
    """A cursor over the content of the section at `at`."""
    cursor.seek(at, "section")
    if (found := cursor.number(2, "section")) != wanted:
        cursor.bad("section", f"expected section {wanted}, found {found}")
    flags = cursor.number(2, "section flags")
    cursor.number(4, "section name")
    size = cursor.number(8, "section size")
    if flags & 1 and algorithm != "none":
        data = _inflate(cursor, algorithm)
    else:
        data = cursor.take(size, "section")
    return _Cursor(f"{cursor.name}, section {wanted} at {at}", io.BytesIO(data), len(data))


def _options7(cursor: _Cursor, contents: Contents, places: dict[int, int], buffers: list[bytes]) -> int:
    """Note the options of one section: where the next section of options is, 0 for nowhere."""
    while True:
        option = cursor.number(2, "option")
        data = cursor.take(cursor.number(4, "option size"), "option")
        if option == 0:
            return int.from_bytes(data[:8], "little")
        if option in (_HEADER, _FTRACE, _EVENTS):
            places[option] = int.from_bytes(data[:8], "little")
        elif option == _BUFFER:
            buffers.append(data)
        else:
            _option6(option, data, contents)


def _buffer(cursor: _Cursor, data: bytes, contents: Contents) -> tuple[str, list[CpuData]]:
    """Name and CPUs of one trace instance."""
    inside = _Cursor(f"{cursor.name}, buffer option", io.BytesIO(data), len(data))
    inside.number(8, "offset")
    name = inside.string("instance")
    inside.string("clock")
    inside.number(4, "page size")
    cpus = []
    for _ in range(min(inside.number(4, "number of CPUs"), 0x8000)):
        cpu = inside.number(4, "CPU")
        if cpu > 0x7FFF:
            inside.bad("CPU", f"expected at most 32767, found {cpu}")
        where = CpuData(cpu, inside.number(8, "CPU offset"), inside.number(8, "CPU size"))
        cpus.append(_checked(cursor, where))
    return name, cpus


def _losses(stats: list[str]) -> tuple[Lost, ...]:
    """What the CPUs' statistics say was lost while recording."""
    lost: list[Lost] = []
    for text in stats:
        numbers = {name: int(number) for name, number in _STAT.findall(text)}
        cpu = numbers.get("CPU", -1)
        counts = ((name, numbers.get(name, 0)) for name in ("overrun", "commit overrun", "dropped events"))
        lost += [Lost(cpu, count, -1, -1, -1, name) for name, count in counts if count]
    return tuple(lost)
