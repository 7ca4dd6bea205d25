"""ftrace text: what is read, what is lost, what is refused."""
# ruff: noqa: E501  (tables of trace lines)

import gzip
import re
import resource
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.fast import scan, trace_text
from linuxmm.oracle.formats import Context, Events, Kind, Lost, PageMap, TextTrace, concat, observation
from linuxmm.oracle.formats.events import COLUMNS
from linuxmm.spec.alloc.gfp import parse_gfp
from linuxmm.spec.errors import BadEvidence

REAL = Path(__file__).parents[2] / "real"
CHURN = REAL / "alloc-churn-6.1/trace/buddy.txt.gz"
HEAD = "           sleep-117     [000] ...2.     7.282110: "
FREE = "mm_page_free: page=ffd4000000290100 pfn=0xa404 order=0"
LINE = re.compile(
    r"^(?P<comm>.{16})-(?P<pid>\d+) +\[(?P<cpu>\d+)\] (?P<flags>\S+) +(?P<s>\d+)\.(?P<us>\d{6}): "
    r"(?P<event>\w+): (?P<rest>.*)$"
)


def write(path: Path, *lines: str, end: str = "\n") -> TextTrace:
    path.write_text("\n".join(lines) + end)
    return TextTrace(path)


def read(path: Path, *lines: str) -> Events:
    return concat(write(path / "t.txt", *lines))


def assert_equal(left: Events, right: Events) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), name)
    said = ("marks", "lost", "torn", "unresolved")
    assert [getattr(left, n) for n in said] == [getattr(right, n) for n in said]
    assert dict(left.others) == dict(right.others)


def refusal(trace: TextTrace) -> str | None:
    """Why a trace cannot be read; None when it can."""
    try:
        concat(trace)
    except BadEvidence as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", ["alloc-churn-6.1", "alloc-churn-6.12"])
def test_every_line_of_a_real_trace_is_kept(name: str) -> None:
    file = REAL / name / "trace/buddy.txt.gz"
    lines = gzip.decompress(file.read_bytes()).decode().splitlines()
    events = concat(TextTrace(file))
    parsed = [m for m in map(LINE.match, lines) if m]
    assert len(parsed) == len(lines) - 12 == len(events)
    printed = Counter(m["event"] for m in parsed)
    names = {Kind.TRY_STEAL: "steal", Kind.TRY_STEAL_R: "steal_r", Kind.MARK: "tracing_mark_write"}
    kinds = {Kind(k): int((events.kind == k).sum()) for k in np.unique(events.kind)}
    assert {names.get(k, k.name.lower()): n for k, n in kinds.items()} == dict(printed)
    assert events.complete
    assert (events.unresolved, dict(events.others), events.marks) == (0, {}, ("A", "B"))
    assert np.all(np.diff(events.ts) >= 0)
    np.testing.assert_array_equal(events.line, np.arange(13, len(lines) + 1))


def test_fields_are_those_that_a_second_reader_sees() -> None:
    """A plain reader made of one regular expression agrees on 20 000 lines, steals among them."""
    events = concat(TextTrace(CHURN))
    lines = gzip.decompress(CHURN.read_bytes()).decode().splitlines()
    aliases = {"pageblock_order": "pageblock_order", "page": "pfn"}
    steal = int(np.argmax(events.kind == Kind.STEAL))
    for row in [*range(4000), *range(steal - 8000, steal + 8000)]:
        found = LINE.match(lines[int(events.line[row]) - 1])
        assert found
        seen = observation(events, row)
        assert (seen.pid, seen.cpu) == (int(found["pid"]), int(found["cpu"]))
        assert seen.ts == int(found["s"]) * 10**9 + int(found["us"]) * 1000
        stated: dict[str, int | str] = {}
        for key, text in re.findall(r"(\w+)=(\S+)", found["rest"]):
            if key == "page":
                stated[key] = (int(text, 16) - 0xFFD4000000000000) // 64
            elif key == "gfp_flags":
                stated[key] = parse_gfp(text)
            else:
                stated[key] = int(text, 16) if text.startswith("0x") else int(text)
        page = stated.pop("page", None)
        if page is not None:
            assert stated.setdefault("pfn", page) == page
        if seen.kind is Kind.MARK:
            continue
        fields = {k: v for k, v in seen.fields.items() if k not in ("cold", "zflags", "held", "high")}
        assert fields == {aliases.get(k, k): v for k, v in stated.items()}


def test_chunks_of_any_size_give_the_same(tmp_path: Path) -> None:
    lines = gzip.decompress(CHURN.read_bytes()).splitlines(keepends=True)[:3000]
    file = tmp_path / "t"
    file.write_bytes(b"".join(lines))
    whole = concat(TextTrace(file))
    for size in (200, 1000, 4096):
        assert_equal(concat(TextTrace(file, chunk=size)), whole)


def test_parser_gives_the_same_without_the_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = gzip.decompress(CHURN.read_bytes()).splitlines(keepends=True)
    file = tmp_path / "t"
    file.write_bytes(b"".join(lines[:12] + lines[69170:69240]))
    compiled = concat(TextTrace(file))
    monkeypatch.setattr(trace_text, "parse", scan.plain(trace_text.parse))
    assert_equal(concat(TextTrace(file)), compiled)
    assert Kind.MM_PAGE_ALLOC_EXTFRAG in compiled.kind


def test_compression_is_told_by_content(tmp_path: Path) -> None:
    text = f"{HEAD}{FREE}\n".encode() * 50
    plain = tmp_path / "plain"
    plain.write_bytes(text)
    packed = {"gz": gzip.compress(text[:2000]) + gzip.compress(text[2000:])}
    packed["zst"] = zstandard.ZstdCompressor().compress(text)
    for name, content in packed.items():
        file = tmp_path / name
        file.write_bytes(content)
        assert_equal(concat(TextTrace(file)), concat(TextTrace(plain)))


@pytest.mark.parametrize(
    "task", ["  my - task [x] ", "     kworker/0:0", "           <...>", "a-1 [001] ....: "]
)
def test_task_names_may_hold_anything(tmp_path: Path, task: str) -> None:
    events = read(tmp_path, f"{task.rjust(16)[:16]}-77    [003] d.h1.     1.000001: {FREE}")
    seen = observation(events, 0)
    assert (seen.pid, seen.cpu, seen.ts) == (77, 3, 1_000_001_000)
    assert seen.context == Context.IRQS_OFF | Context.HARDIRQ | Context.PREEMPT_OFF


@pytest.mark.parametrize(
    ("middle", "context", "ts"),
    [
        ("[001] .....     7.282110:", Context(0), 7_282_110_000),
        ("[001] DNs.2     7.282110:", Context.IRQS_OFF | Context.BH_OFF | Context.SOFTIRQ | Context.MIGRATE_OFF, 7_282_110_000),
        ("[001] bpH..     7.282110123:", Context.BH_OFF | Context.HARDIRQ | Context.SOFTIRQ, 7_282_110_123),
        ("[001] d.Z1     7.282110:", Context.IRQS_OFF | Context.NMI | Context.HARDIRQ | Context.PREEMPT_OFF, 7_282_110_000),
        ("(    117) [001] ..z..     7.282110:", Context.NMI, 7_282_110_000),
        ("[001]     7.282110:", Context.UNKNOWN, 7_282_110_000),
        ("[001] ..... 123456789012345678:", Context(0), 123456789012345678),
    ],
)  # fmt: skip
def test_flags_and_clocks_of_every_kind(tmp_path: Path, middle: str, context: Context, ts: int) -> None:
    events = read(tmp_path, f"           sleep-117     {middle} {FREE}")
    assert (observation(events, 0).context, int(events.ts[0])) == (context, ts)


def test_older_kernels_print_other_names_and_decimal_frames(tmp_path: Path) -> None:
    events = read(
        tmp_path,
        f"{HEAD}mm_page_free_direct: page=ffffea0000290100 pfn=42004 order=2",
        f"{HEAD}mm_pagevec_free: page=ffffea0000290140 pfn=42005 order=0 cold=1",
        f"{HEAD}mm_page_alloc: page=(null) pfn=0 order=4 migratetype=2 gfp_flags=GFP_ATOMIC|0x400000",
    )
    fields = [dict(observation(events, row).fields) for row in range(3)]
    assert fields == [
        {"pfn": 42004, "order": 2},
        {"pfn": 42005, "order": 0, "cold": 1},
        {"pfn": -1, "order": 4, "migratetype": 2, "gfp_flags": parse_gfp("GFP_ATOMIC|0x400000")},
    ]


def test_probe_is_known_by_its_symbol_too(tmp_path: Path) -> None:
    events = read(
        tmp_path,
        f"{HEAD}split: (split_huge_page_to_list+0x0/0x10) page=0xffd4000000004f40 list=0x0",
        f"{HEAD}isol_r: (f+0x1/0x2 <- isolate_lru_folios) ret=3",
        f"{HEAD}freeone: (free_one_page.constprop.0+0x5/0xf0) zone=0x1 page=0x2000 pfn=8 order=0 mt=-1",
        f"{HEAD}made_up_event: anything = at all",
    )
    assert dict(events.others) == {"split": 1, "isol_r": 1, "made_up_event": 1}
    assert [dict(observation(events, 0).fields)] == [{"zone": 1, "pfn": 8, "order": 0, "mt": -1}]


PROBE = f"{HEAD}takeoff: (take_page_off_buddy+0x5/0x10) page=0xffd4000000290140"


def test_struct_pages_become_frames(tmp_path: Path) -> None:
    other = "mm_page_free: page=ffd4000000290200 pfn=0xa408 order=0"
    learnt = read(tmp_path, PROBE, HEAD + FREE, HEAD + other)
    assert (learnt.pfn.tolist(), learnt.unresolved) == ([0xA405, 0xA404, 0xA408], 0)
    known = concat(TextTrace(write(tmp_path / "t", PROBE).path, PageMap(0xFFD4000000000000, 64)))
    assert (known.pfn.tolist(), known.unresolved) == ([0xA405], 0)


@pytest.mark.parametrize(
    "others",
    [(), (HEAD + FREE,), (HEAD + FREE, HEAD + "mm_page_free: page=000000001d3b5a01 pfn=0xa408 order=0")],
    ids=["no pair", "one pair", "hashed"],
)
def test_struct_pages_that_nothing_explains_are_counted(tmp_path: Path, others: Iterable[str]) -> None:
    events = read(tmp_path, PROBE, *others)
    assert (int(events.pfn[0]), events.unresolved) == (-1, 1)


def test_losses_travel_with_the_table(tmp_path: Path) -> None:
    later = HEAD.replace("7.282110", "8.000000")
    events = read(
        tmp_path,
        "# tracer: nop",
        "# entries-in-buffer/entries-written: 2/9   #P:1",
        HEAD + FREE,
        "CPU:1 [LOST 12 EVENTS]",
        later + FREE,
        "CPU:0 [LOST EVENTS]",
    )
    assert events.lost == (
        Lost(-1, 7, -1, 7_282_110_000, 2, "overwritten before the trace was read"),
        Lost(1, 12, 7_282_110_000, 8_000_000_000, 4, "the ring buffer lost events here"),
        Lost(0, -1, 8_000_000_000, -1, 6, "the ring buffer lost events here"),
    )
    assert (len(events), events.torn, events.complete) == (2, "", False)


def test_truncated_files_are_torn_not_refused(tmp_path: Path) -> None:
    cut = concat(write(tmp_path / "cut", HEAD + FREE, HEAD + FREE[:-1], end=""))
    assert (len(cut), cut.torn) == (1, "the last line has no end")
    short = read(tmp_path, "# entries-in-buffer/entries-written: 3/3   #P:1", HEAD + FREE)
    assert (len(short), short.torn) == (1, "1 of 3 entries that its header counts")
    packed = tmp_path / "packed"
    content = CHURN.read_bytes()
    packed.write_bytes(content[: len(content) // 2])
    half = concat(TextTrace(packed))
    assert half.torn == "the gzip stream ends before its end"
    whole = concat(TextTrace(CHURN))
    np.testing.assert_array_equal(half.pfn, whole.pfn[: len(half)])
    assert len(half) > 50000
    text = gzip.decompress(content)
    packed.write_bytes(zstandard.ZstdCompressor().compress(text)[:400000])
    assert concat(TextTrace(packed)).torn == "the zstd stream ends before its end"


@pytest.mark.parametrize(
    ("line", "place", "expected"),
    [
        ("hello", "task", "expected a 16-column task name, '-' and a pid"),
        (HEAD.replace("-117 ", "-1x7 ") + FREE, "pid", "expected a pid of 0 to 2147483647 after the task name"),
        (HEAD.replace("117", "-17") + FREE, "pid", "expected a pid of 0 to 2147483647 after the task name"),
        (HEAD.replace("[000]", "[99999]") + FREE, "cpu", "expected a CPU number of 0 to 32767 in brackets"),
        (HEAD.replace("...2.", "q..2.") + FREE, "flags", "expected a flags column such as '.....' or 'd..3.'"),
        (HEAD.replace("7.282110", "7.28") + FREE, "time", "expected seconds with 6 or 9 decimals, or a whole number, and ': '"),
        (HEAD.replace("7.282110", "6.999999") + FREE, "time", "expected a time not before that of the line before"),
        (HEAD + "no event here", "event", "expected the name of an event and ':'"),
        (HEAD + "split: (split_page+0x5/0x10", "probe", "expected the probed symbol in parentheses"),
        (HEAD + FREE.replace("order=0", ""), "order", "expected this field, which the event must have"),
        (HEAD + FREE + " order=0", "order", "expected this field once"),
        (HEAD + FREE.replace("order=0", "order=-1"), "order", "expected a number of 0 to 63, found '-1'"),
        (HEAD + FREE.replace("order=0", "order=zero"), "order", "expected a number, found 'zero'"),
        (HEAD + FREE.replace("order=0", "order=0x"), "order", "expected a number, found '0x'"),
        (HEAD + FREE.replace("0xa404", "0x" + "f" * 17), "pfn", "expected a number of 0 to 4503599627370495, found '0xfffffffffffffffff'"),
        (HEAD + FREE.replace("0xa404", "9" * 30), "pfn", f"expected a number of 0 to 4503599627370495, found '{'9' * 30}'"),
        (HEAD + FREE.replace("page=ff", "page=xx"), "page", "expected a hexadecimal number, found 'xxd4000000290100'"),
        (HEAD + "tracing_mark_write: SYNC A sideways", "mark", "expected SYNC, a name, and begin or end, found 'SYNC A sideways'"),
        ("CPU:x [LOST 3 EVENTS]", "line", "expected CPU:n [LOST m EVENTS]"),
        (HEAD + FREE.replace("mm_page_free", "mm_page_alloc") + " migratetype=0 gfp_flags=GFP_WHATEVER", "gfp_flags", "expected names of GFP flags joined by |, found 'GFP_WHATEVER'"),
    ],
)  # fmt: skip
def test_bad_line_is_named_by_file_line_and_field(
    tmp_path: Path, line: str, place: str, expected: str
) -> None:
    trace = write(tmp_path / "t.txt", "# tracer: nop", HEAD + FREE, line, HEAD + FREE)
    with pytest.raises(BadEvidence) as caught:
        concat(trace)
    text = line.split("tracing_mark_write: ")[-1]
    shown = repr(text[:100] + "…" if len(text) > 100 else text)
    assert str(caught.value) == f"{trace.path}:3: {place}: {expected}; the line is {shown}"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("0", 0),
        ("-1", -1),
        ("9223372036854775807", (1 << 63) - 1),
        ("9223372036854775808", -(1 << 63)),
        ("18446744073709551615", -1),
        ("0x7fffffffffffffff", (1 << 63) - 1),
        ("0x8000000000000000", -(1 << 63)),
        ("0x0000ffffffffffffffff", -1),
    ],
)
def test_words_of_64_bits_are_read_as_patterns(tmp_path: Path, text: str, word: int) -> None:
    events = read(tmp_path, f"{HEAD}isol_r: (f+0x1/0x2 <- __isolate_free_page) ret={text}")
    assert int(events.a[0]) == word


@pytest.mark.parametrize("text", ["18446744073709551616", "99999999999999999999", "-9223372036854775809"])
def test_larger_words_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadEvidence, match="ret: expected a number of -9223372036854775808"):
        read(tmp_path, f"{HEAD}isol_r: (f+0x1/0x2 <- __isolate_free_page) ret={text}")


def test_hostile_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "t"
    file.write_bytes(b"")
    with pytest.raises(BadEvidence, match="found an empty file"):
        concat(TextTrace(file))
    file.write_bytes(b"x" * 200000)
    with pytest.raises(BadEvidence, match="expected lines of at most 65536 bytes"):
        concat(TextTrace(file, chunk=4096))
    file.write_bytes(CHURN.read_bytes()[:-8] + bytes(8))
    with pytest.raises(BadEvidence, match="gzip data cannot be decompressed"):
        concat(TextTrace(file))
    file.write_text("".join(f"{HEAD}event{k}: x\n" for k in range(2000)))
    with pytest.raises(BadEvidence, match="expected fewer different event names"):
        concat(TextTrace(file))
    with pytest.raises(BadEvidence, match="cannot be read"):
        concat(TextTrace(tmp_path / "absent"))


def test_memory_is_bounded_on_a_long_stream(tmp_path: Path) -> None:
    file = tmp_path / "long.gz"
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    block = f"{HEAD}{FREE}\n".encode() * 20000
    with file.open("wb") as out:
        for _ in range(90):
            out.write(packer.compress(block))
        out.write(packer.flush())
    concat(write(tmp_path / "warm", HEAD + FREE))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = sum(len(batch) for batch in TextTrace(file))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert rows == 90 * 20000
    assert grown < 120 * 1024


SEED = gzip.decompress(CHURN.read_bytes()).splitlines(keepends=True)
SAMPLE = b"".join(SEED[:16] + SEED[13548:13556] + SEED[69185:69200])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SAMPLE)), st.binary(max_size=8), st.integers(0, 9)), max_size=5))
def test_changed_traces_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, bytes, int]]
) -> None:
    raw = bytearray(SAMPLE)
    for at, new, gone in changes:
        raw[at : at + gone] = new
    file = tmp_path_factory.getbasetemp() / "fuzz.txt"
    file.write_bytes(raw)
    refused = refusal(TextTrace(file))
    assert refused is None or refused.startswith(str(file))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzz.bin"
    file.write_bytes(raw)
    refused = refusal(TextTrace(file))
    assert refused is None or refused.startswith(str(file))
