"""Raw pages and trace.dat, written byte by byte from the kernel's documented layout and read back."""

import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.fast import scan, trace_raw
from linuxmm.oracle.formats import Events, Kind, Lost, PageMap, TextTrace, concat, observation
from linuxmm.oracle.formats.eventformat import GfpNames, parse_format
from linuxmm.oracle.formats.events import COLUMNS
from linuxmm.oracle.formats.ftrace_raw import DEFAULT_PAGE, CpuReader, Decoder, RawTrace, decoder
from linuxmm.oracle.formats.kinds import KIND_OF, LAYOUTS, Column, Field, Layout
from linuxmm.oracle.formats.trace_dat import DatTrace
from linuxmm.spec.alloc.gfp import parse_gfp
from linuxmm.spec.errors import BadEvidence, Unmodelled

REAL = Path(__file__).parents[2] / "real"
MAP = PageMap(0xFFD4000000000000, 64)
HEADER_PAGE = (
    "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
    "\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n"
    "\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n"
    "\tfield: char data;\toffset:16;\tsize:4080;\tsigned:1;\n"
)
HEADER_EVENT = (
    "# compressed entry header\n\ttype_len    :    5 bits\n\ttime_delta  :   27 bits\n"
    "\tarray       :   32 bits\n\n\tpadding     : type == 29\n\ttime_extend : type == 30\n"
    "\ttime_stamp : type == 31\n\tdata max type_len  == 28\n"
)
KALLSYMS = b"ffffffff81000000 T _text\n"
CMDLINES = b"118 mm\n"
COMMON = (
    "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
    "\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"
    "\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n"
    "\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"
)
FLAGS = ("GFP_HIGHUSER_MOVABLE", "GFP_KERNEL_ACCOUNT", "GFP_KERNEL", "GFP_NOWAIT", "__GFP_ZERO", "__GFP_COMP")
PRINT_ID = 5


def size_of(field: Field) -> int:
    return 4 if field.column in (Column.ORDER, Column.MT) or field.bits < 64 else 8


def number_of(layout: Layout) -> int:
    return 100 + LAYOUTS.index(layout)


def kept(layout: Layout) -> list[Field]:
    """Fields that a record has: a tracepoint stores a pfn and no page, and nothing that it can compute."""
    if layout.symbols:
        return list(layout.fields)
    return [f for f in layout.fields if f.required]


def format_of(layout: Layout) -> str:
    text = f"name: {layout.names[0]}\nID: {number_of(layout)}\nformat:\n{COMMON}"
    offset = 8
    if layout.symbols:
        text += f"\tfield:unsigned long __probe_ip;\toffset:{offset};\tsize:8;\tsigned:0;\n"
        offset += 8
    for field in kept(layout):
        size = size_of(field)
        signed = int(size == 4)
        text += f"\tfield:u64 {field.key};\toffset:{offset};\tsize:{size};\tsigned:{signed};\n"
        offset += size
    table = ", ".join(f'{{( unsigned long)((( gfp_t){parse_gfp(n):#x}u) | 0), "{n}"}}' for n in FLAGS)
    if layout.kind is not Kind.MM_PAGE_ALLOC:
        return text + '\nprint fmt: "pid=%d", REC->common_pid\n'
    printed = f'(REC->gfp_flags) ? __print_flags(REC->gfp_flags, "|", {table}) : "none"'
    return text + f'\nprint fmt: "gfp_flags=%s", {printed}\n'


MARK_FORMAT = (
    f"name: print\nID: {PRINT_ID}\nformat:\n{COMMON}"
    "\tfield:unsigned long ip;\toffset:8;\tsize:8;\tsigned:0;\n"
    "\tfield:char buf[];\toffset:16;\tsize:0;\tsigned:0;\n"
)
FORMATS = [MARK_FORMAT, *(format_of(layout) for layout in LAYOUTS)]


def head(number: int, context: int, pid: int) -> bytes:
    flags = (context & 1) | (context & 2) << 6 | (context & 12) << 1 | (context & 16) << 2
    preempt = (1 if context & 32 else 0) | (16 if context & 64 else 0)
    return struct.pack("<HBBi", number, flags, preempt, pid)


def record(events: Events, row: int) -> bytes:
    """The bytes that the kernel would store for one observation."""
    kind = int(events.kind[row])
    context, pid = int(events.context[row]), int(events.pid[row])
    if kind == Kind.MARK:
        edge = "end" if events.b[row] else "begin"
        text = f"SYNC {events.marks[int(events.a[row])]} {edge}\n".encode() + b"\0"
        return head(PRINT_ID, context, pid) + bytes(8) + text + bytes(-len(text) % 4)
    layout = KIND_OF[kind]
    data = head(number_of(layout), context, pid) + (bytes(8) if layout.symbols else b"")
    for field in kept(layout):
        size = size_of(field)
        if field.column is Column.PAGE:
            pfn = int(events.pfn[row])
            value = 0 if pfn < 0 else MAP.base + MAP.size * pfn
        else:
            value = int(getattr(events, field.column.name.lower())[row])
            value = value >> field.shift & ((1 << field.bits) - 1) if field.bits < 64 else value
        data += (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    return data


def item(delta: int, data: bytes) -> bytes:
    """A data record of the ring buffer, with a time extension where the delta needs one."""
    extend = b""
    if delta >= 1 << 27:
        extend = struct.pack("<II", 30 | (delta & (1 << 27) - 1) << 5, delta >> 27)
        delta = 0
    if len(data) <= 112:
        return extend + struct.pack("<I", len(data) // 4 | delta << 5) + data
    return extend + struct.pack("<II", delta << 5, len(data) + 4) + data


def page(time: int, data: bytes, missed: int | None = None) -> bytes:
    """One page; `missed` events are gone before it (0: unknown how many)."""
    commit = len(data)
    if missed is not None:
        commit |= 1 << 31
        if missed:
            commit |= 1 << 30
            data += struct.pack("<Q", missed)
    return struct.pack("<QQ", time, commit) + data.ljust(4080, b"\0")


def pages(items: Sequence[tuple[int, bytes]]) -> bytes:
    """Pages that hold records at their times."""
    out, data, start, last = [], b"", 0, 0
    for time, content in items:
        if not data:
            start = last = time
        more = item(time - last, content)
        if len(data) + len(more) > 4080:
            out.append(page(start, data))
            start, data, more = time, b"", item(0, content)
        data += more
        last = time
    return b"".join([*out, page(start, data)])


def how() -> Decoder:
    return decoder([parse_format(text, "format") for text in FORMATS], DEFAULT_PAGE)


def read(raw: bytes, cpu: int = 0) -> Events:
    return concat(batch for batch, _ in CpuReader("cpu0", cpu, how()).batches(iter([raw])))


def folder(path: Path, cpus: Sequence[bytes], formats: Sequence[str] = FORMATS) -> RawTrace:
    (path / "events").mkdir(parents=True)
    (path / "events/header_page").write_text(HEADER_PAGE)
    for number, text in enumerate(formats):
        place = path / f"events/any/{number}"
        place.mkdir(parents=True)
        (place / "format").write_text(text)
    for cpu, raw in enumerate(cpus):
        place = path / f"per_cpu/cpu{cpu}"
        place.mkdir(parents=True)
        (place / "trace_pipe_raw").write_bytes(raw)
    return RawTrace(path)


def dat6(cpus: Sequence[bytes], stats: Sequence[str] = ()) -> bytes:
    out = bytearray(b"\x17\x08\x44tracing6\0\0\x08" + struct.pack("<I", 4096))
    out += b"header_page\0" + struct.pack("<Q", len(HEADER_PAGE)) + HEADER_PAGE.encode()
    out += b"header_event\0" + struct.pack("<Q", len(HEADER_EVENT)) + HEADER_EVENT.encode()
    out += struct.pack("<IQ", 1, len(MARK_FORMAT)) + MARK_FORMAT.encode()
    out += struct.pack("<I", 1) + b"kmem\0" + struct.pack("<I", len(LAYOUTS))
    for layout in LAYOUTS:
        text = format_of(layout).encode()
        out += struct.pack("<Q", len(text)) + text
    out += struct.pack("<I", len(KALLSYMS)) + KALLSYMS + struct.pack("<IQ", 0, len(CMDLINES)) + CMDLINES
    out += struct.pack("<I", len(cpus)) + b"options  \0"
    for stat in stats:
        out += struct.pack("<HI", 2, len(stat) + 1) + stat.encode() + b"\0"
    out += struct.pack("<HI", 4, 8) + b"[local]\0" + struct.pack("<H", 0) + b"flyrecord\0"
    start = len(out) + 16 * len(cpus)
    start += -start % 4096
    data = b""
    for raw in cpus:
        out += struct.pack("<QQ", start + len(data), len(raw))
        data += raw
    return bytes(out.ljust(start, b"\0")) + data


def dat7(cpus: Sequence[bytes], algorithm: str) -> bytes:
    pack: dict[str, Callable[[bytes], bytes]] = {
        "none": bytes,
        "zlib": zlib.compress,
        "zstd": zstandard.ZstdCompressor().compress,
    }

    def chunk(data: bytes) -> bytes:
        packed = pack[algorithm](data)
        return struct.pack("<II", len(packed), len(data)) + packed

    out = bytearray(b"\x17\x08\x44tracing7\0\0\x08" + struct.pack("<I", 4096))
    out += algorithm.encode() + b"\x001\0" + bytes(8)
    first_options = len(out) - 8
    options = b""
    formats = struct.pack("<I", 1) + b"kmem\0" + struct.pack("<I", len(LAYOUTS))
    formats += b"".join(struct.pack("<Q", len(t)) + t for t in (format_of(x).encode() for x in LAYOUTS))
    info = b"header_page\0" + struct.pack("<Q", len(HEADER_PAGE)) + HEADER_PAGE.encode()
    info += b"header_event\0" + struct.pack("<Q", len(HEADER_EVENT)) + HEADER_EVENT.encode()
    ftrace = struct.pack("<IQ", 1, len(MARK_FORMAT)) + MARK_FORMAT.encode()
    for number, content in ((16, info), (17, ftrace), (18, formats)):
        options += struct.pack("<HIQ", number, 8, len(out))
        data = content if algorithm == "none" else chunk(content)
        out += struct.pack("<HHIQ", number, int(algorithm != "none"), 0, len(data)) + data
    buffer = struct.pack("<Q", 0) + b"\0local\0" + struct.pack("<II", 4096, len(cpus))
    for cpu, raw in enumerate(cpus):
        half = len(raw) // 8192 * 4096
        data = raw if algorithm == "none" else struct.pack("<I", 2) + chunk(raw[:half]) + chunk(raw[half:])
        buffer += struct.pack("<IQQ", cpu, len(out), len(data))
        out += data
    options += struct.pack("<HI", 3, len(buffer)) + buffer + struct.pack("<HIQ", 0, 8, 0)
    struct.pack_into("<Q", out, first_options, len(out))
    return bytes(out) + struct.pack("<HHIQ", 0, 0, 0, len(options)) + options


@pytest.fixture(scope="module")
def real() -> Events:
    """20 000 observations of a real kernel, steals and pageblock changes among them."""
    whole = concat(TextTrace(REAL / "alloc-churn-6.1/trace/buddy.txt.gz"))
    first = int(np.argmax(whole.kind == Kind.SETPFB)) - 1000
    picked = {name: getattr(whole, name)[first : first + 20000].copy() for name in COLUMNS}
    picked["c"][picked["kind"] == Kind.MM_PAGE_ALLOC_EXTFRAG] &= 1
    gfp = picked["a"][picked["kind"] == Kind.MM_PAGE_ALLOC]
    assert len(np.unique(gfp)) > 3
    return Events(**picked, marks=whole.marks)


def split(events: Events, cpus: int) -> list[bytes]:
    """Raw pages of several CPUs; row k went to CPU k // 7 % cpus."""
    out: list[list[tuple[int, bytes]]] = [[] for _ in range(cpus)]
    for row in range(len(events)):
        out[row // 7 % cpus].append((int(events.ts[row]), record(events, row)))
    return [pages(items) for items in out]


def same(found: Events, expected: Events, but: Iterable[str] = ("line",)) -> None:
    for name in COLUMNS:
        if name not in but:
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)


def test_real_observations_survive_raw_pages(tmp_path: Path, real: Events) -> None:
    trace = folder(tmp_path / "t", split(real, 1))
    found = concat(RawTrace(trace.path, MAP))
    same(found, real)
    assert (found.lost, found.torn, found.unresolved, dict(found.others)) == ((), "", 0, {})


def test_page_map_is_learnt_from_probes_that_state_both(tmp_path: Path, real: Events) -> None:
    found = concat(folder(tmp_path / "t", split(real, 1)))
    same(found, real)
    assert found.unresolved == 0


@pytest.mark.parametrize("form", ["6", "none", "zlib", "zstd"])
def test_trace_dat_merges_cpus_by_time(tmp_path: Path, real: Events, form: str) -> None:
    raw = split(real, 3)
    file = tmp_path / "trace.dat"
    file.write_bytes(dat6(raw) if form == "6" else dat7(raw, form))
    found = concat(DatTrace(file, MAP))
    assert np.all(np.diff(found.ts) >= 0)
    for cpu in range(3):
        mine = np.arange(len(real)) // 7 % 3 == cpu
        for name in ("ts", "pid", "context", "kind", "pfn", "order", "mt", "b", "c"):
            np.testing.assert_array_equal(getattr(found, name)[found.cpu == cpu], getattr(real, name)[mine])


def test_statistics_of_trace_dat_name_losses(tmp_path: Path, real: Events) -> None:
    file = tmp_path / "trace.dat"
    text = "CPU: 1\nentries: 9\noverrun: 12\ncommit overrun: 0\nbytes: 8\ndropped events: 3\n"
    file.write_bytes(dat6(split(real, 1), [text]))
    assert concat(DatTrace(file, MAP)).lost == (
        Lost(1, 12, -1, -1, -1, "overrun"),
        Lost(1, 3, -1, -1, -1, "dropped events"),
    )


def test_missed_events_are_named_and_counted() -> None:
    free = head(number_of(KIND_OF[Kind.MM_PAGE_FREE]), 0, 1) + struct.pack("<Qi", 7, 0)
    raw = page(10, item(0, free)) + page(20, item(3, free), missed=5) + page(40, item(0, free), missed=0)
    why = "events were lost before this page"
    assert read(raw).lost == (Lost(0, 5, 10, 23, 4096, why), Lost(0, -1, 23, 40, 8192, why))


def test_every_record_type_moves_time_as_the_kernel_says() -> None:
    free = head(number_of(KIND_OF[Kind.MM_PAGE_FREE]), 0, 1) + struct.pack("<Qi", 7, 0)
    data = (
        item(5, free)
        + struct.pack("<III", 29 | 1 << 5, 8, 0)  # a discarded record does not move time
        + struct.pack("<II", 30 | 2 << 5, 1)  # an extension by 2**27 + 2
        + item(1, free)
        + struct.pack("<II", 31 | 9 << 5, 4)  # the absolute time 4 * 2**27 + 9
        + item(0, free + bytes(120))  # a record with a length word
        + struct.pack("<I", 29)  # the rest of the page is empty
        + b"\xff" * 40
    )
    found = read(page(100, data))
    assert found.ts.tolist() == [105, 105 + (1 << 27) + 3, (4 << 27) + 9]
    assert found.pfn.tolist() == [7, 7, 7]


def test_failed_allocation_has_no_pfn_and_unknown_events_are_counted() -> None:
    alloc = KIND_OF[Kind.MM_PAGE_ALLOC]
    failed = head(number_of(alloc), 0, 1) + struct.pack("<qiiq", -1, 3, 0, parse_gfp("GFP_KERNEL"))
    raw = page(1, item(0, failed) + item(0, head(999, 0, 1)) + item(0, head(999, 0, 1)))
    found = read(raw)
    assert dict(observation(found, 0).fields) == {
        "pfn": -1,
        "order": 3,
        "migratetype": 0,
        "gfp_flags": parse_gfp("GFP_KERNEL"),
    }
    assert dict(found.others) == {"event 999": 2}


def test_torn_page_is_named() -> None:
    raw = page(1, b"")
    assert read(raw + raw[:1000]).torn == "cpu 0: 1000 bytes of a page of 4096"


FREE = head(number_of(KIND_OF[Kind.MM_PAGE_FREE]), 0, 1)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            struct.pack("<QQ", 0, 5000) + bytes(4080),
            "byte 0, commit: expected no more data than a page holds",
        ),
        (
            page(0, struct.pack("<I", 28)),
            "byte 16, record: expected a record that ends inside its page's data",
        ),
        (
            page(0, struct.pack("<II", 0, 3)),
            "byte 16, record: expected a record that ends inside its page's data",
        ),
        (
            page(0, item(0, FREE)),
            "byte 16, record: expected a record that holds its event's fields",
        ),
        (
            page(9, b"") + page(8, b""),
            "byte 4096, time: expected a time not before that of the record before",
        ),
        (page(1 << 63, b""), "byte 0, time: expected a time of at most 2**62 ns"),
        (
            page(0, item(0, FREE + struct.pack("<qi", 1 << 60, 0))),
            "byte 16, mm_page_free pfn: expected a number of -1 to 4503599627370495",
        ),
        (
            page(0, item(0, FREE + struct.pack("<qi", 0, 64))),
            "byte 16, mm_page_free order: expected a number of 0 to 63",
        ),
    ],
)
def test_bad_pages_are_refused_by_place(raw: bytes, message: str) -> None:
    with pytest.raises(BadEvidence) as caught:
        read(raw)
    assert str(caught.value) == f"cpu0: {message}"


def test_tracepoint_without_its_fields_is_refused() -> None:
    text = format_of(KIND_OF[Kind.MM_PAGE_FREE]).replace("order", "level")
    with pytest.raises(BadEvidence) as caught:
        decoder([parse_format(text, "events/kmem/mm_page_free/format")], DEFAULT_PAGE)
    assert str(caught.value) == "events/kmem/mm_page_free/format: order: expected this field"


def test_probe_with_other_fields_is_only_counted() -> None:
    text = format_of(KIND_OF[Kind.SPLIT]).replace("order", "list")
    found = decoder([parse_format(text, "f")], DEFAULT_PAGE)
    assert (found.tables.of_id == trace_raw.OTHER).all()


def test_big_endian_and_foreign_versions_are_refused(tmp_path: Path) -> None:
    good = dat6([page(1, b"")])
    file = tmp_path / "trace.dat"
    file.write_bytes(good[:12] + b"\1" + good[13:])
    with pytest.raises(Unmodelled, match="big-endian"):
        list(DatTrace(file))
    file.write_bytes(good[:10] + b"9\0" + good[12:])
    with pytest.raises(BadEvidence) as caught:
        list(DatTrace(file))
    assert str(caught.value) == f"{file}: byte 12, version: expected version 6 or 7, found '9'"


def test_compressed_section_that_promises_too_much_is_refused(tmp_path: Path) -> None:
    raw = bytearray(dat7([page(1, b"")], "zstd"))
    frame = raw.index(b"\x28\xb5\x2f\xfd")
    raw[frame + 4 : frame + 14] = b"\xc0\x00" + struct.pack("<Q", 1 << 60)
    file = tmp_path / "trace.dat"
    file.write_bytes(raw)
    with pytest.raises(BadEvidence, match="compressed data: "):
        list(DatTrace(file))


def test_gfp_numbers_are_named_as_the_kernel_prints_them() -> None:
    names = GfpNames(parse_format(format_of(KIND_OF[Kind.MM_PAGE_ALLOC]), "format"))
    mask = parse_gfp("GFP_KERNEL|__GFP_ZERO")
    assert (names.text(mask), names.text(0), names.word(mask)) == ("GFP_KERNEL|__GFP_ZERO", "none", mask)


def test_walker_gives_the_same_without_the_compiler(real: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = split(real, 1)[0][: 4096 * 4]
    compiled = read(raw)
    monkeypatch.setattr(trace_raw, "walk", scan.plain(trace_raw.walk))
    plain = read(raw)
    same(plain, compiled, but=())
    assert len(plain) > 100


GOOD = dat6([page(5, item(1, FREE + struct.pack("<qi", 3, 0)) * 9) + page(9, b"", missed=2)])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.binary(max_size=6)), min_size=1, max_size=6))
def test_changed_files_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, bytes]]
) -> None:
    raw = bytearray(GOOD)
    for at, new in changes:
        raw[at : at + len(new)] = new
    if len(changes) % 2:
        del raw[changes[0][0] :]
    file = tmp_path_factory.getbasetemp() / "fuzz.dat"
    file.write_bytes(raw)
    refused = None
    try:
        concat(DatTrace(file))
    except (BadEvidence, Unmodelled) as error:
        refused = str(error)
    assert refused is None or refused.startswith(str(file))
