"""The Parquet archive, JSON lines of operations, and telling forms of evidence apart."""

import gzip
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.oracle.formats import (
    Archive,
    Capture,
    DatTrace,
    Events,
    Kind,
    Lost,
    Operations,
    RawTrace,
    TextTrace,
    concat,
    empty,
    observation,
    open_archive,
    open_evidence,
    open_operations,
    write_archive,
    write_operations,
)
from linuxmm.oracle.formats.events import COLUMNS
from linuxmm.oracle.formats.jsonl import Alloc, Free, Header, Mark, Operation, ZoneLine
from linuxmm.oracle.formats.trace_dat import MAGIC
from linuxmm.spec.alloc.gfp import parse_gfp
from linuxmm.spec.errors import BadEvidence

REAL = Path(__file__).parents[2] / "real"


@pytest.fixture(scope="module")
def batches() -> list[Events]:
    return list(TextTrace(REAL / "alloc-churn-6.1/trace/buddy.txt.gz"))


def assert_equal(left: Events, right: Events) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), name)
    said = ("marks", "lost", "torn", "unresolved")
    assert [getattr(left, n) for n in said] == [getattr(right, n) for n in said]
    assert dict(left.others) == dict(right.others)


def test_archive_gives_back_the_real_trace_in_four_bytes_an_event(
    tmp_path: Path, batches: list[Events]
) -> None:
    lost = Lost(1, 5, 7, -1, 3, "x")
    batches = [*batches[:-1], replace(batches[-1], lost=(lost,), torn="cut", unresolved=2)]
    batches[0] = replace(batches[0], others=MappingProxyType({"other": 3}))
    file = tmp_path / "a.parquet"
    written = write_archive(file, batches, kernel="6.1.0-56-amd64", source="buddy")
    archive = open_archive(file)
    assert archive == written
    meta = archive.metadata
    assert (meta.format, meta.kernel, meta.unit, meta.source) == (
        "linuxmm-archive/1",
        "6.1.0-56-amd64",
        1000,
        "buddy",
    )
    assert_equal(concat(archive), concat(batches))
    assert file.stat().st_size <= 4 * meta.rows


def test_archive_stores_the_encodings_that_its_page_promises(tmp_path: Path, batches: list[Events]) -> None:
    file = tmp_path / "a.parquet"
    write_archive(file, batches)
    group = pq.ParquetFile(file).metadata.row_group(0)
    encodings = {group.column(k).path_in_schema: group.column(k).encodings for k in range(len(COLUMNS))}
    assert "DELTA_BINARY_PACKED" in encodings["ts"]
    assert "BYTE_STREAM_SPLIT" in encodings["pfn"]
    assert {group.column(k).compression for k in range(len(COLUMNS))} == {"ZSTD"}


def test_empty_archive_says_what_was_lost(tmp_path: Path) -> None:
    nothing = replace(empty(), torn="cut", others=MappingProxyType({"x": 1}))
    write_archive(tmp_path / "a", [nothing])
    assert_equal(concat(open_archive(tmp_path / "a")), nothing)


def test_archive_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    def broken() -> Iterator[Events]:
        yield empty(3)
        raise BadEvidence("x", "y")

    with pytest.raises(BadEvidence):
        write_archive(tmp_path / "a", broken())
    late = replace(empty(2), ts=np.array([5, 4]))
    with pytest.raises(ValueError, match="not in time order"):
        write_archive(tmp_path / "a", [late])
    with pytest.raises(ValueError, match="does not divide"):
        write_archive(tmp_path / "a", [replace(late, ts=np.array([4, 5]))], unit=1000)
    assert list(tmp_path.iterdir()) == []


def rewritten(path: Path, name: str, values: list[int], meta: bool = True) -> Path:
    """An archive of three marks with one column replaced."""
    events = replace(empty(3), kind=np.full(3, Kind.MARK, np.uint8), marks=("A",))
    write_archive(path, [events])
    table = pq.read_table(path)
    raw = pq.ParquetFile(path).metadata.metadata[b"linuxmm"]
    column = pa.array(values, table.column(name).type)
    table = table.set_column(table.schema.get_field_index(name), name, column)
    pq.write_table(table.replace_schema_metadata({b"linuxmm": raw} if meta else None), path)
    return path


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("ts", [0, 2, 1], "row group 0, ts: expected times in order"),
        ("ts", [-1, 0, 1], "row group 0, ts: expected times of 0 to 2**62 ns"),
        ("kind", [7, 7, 99], "row group 0, kind: expected numbers of known kinds"),
        ("pfn", [-2, 0, 0], "row group 0, pfn: expected page frames of -1 to 2**52 - 1"),
        ("a", [0, 0, 1], "row group 0, a: expected the number of a mark"),
        ("b", [0, 0, None], "row group 0, b: expected no empty values"),
    ],
)
def test_archive_with_impossible_values_is_refused(
    tmp_path: Path, name: str, values: list[int], message: str
) -> None:
    file = rewritten(tmp_path / "a", name, values)
    with pytest.raises(BadEvidence) as caught:
        concat(open_archive(file))
    assert str(caught.value) == f"{file}: {message}"


def test_foreign_parquet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadEvidence, match="linuxmm: expected the metadata"):
        open_archive(rewritten(tmp_path / "a", "b", [0, 0, 0], meta=False))
    file = tmp_path / "b"
    pq.write_table(pa.table({"ts": [1]}).replace_schema_metadata({b"linuxmm": b"{}"}), file)
    with pytest.raises(BadEvidence, match="linuxmm: expected metadata: Object missing required field"):
        open_archive(file)
    file.write_bytes(b"PAR1 and nothing")
    with pytest.raises(BadEvidence, match="expected a readable Parquet file"):
        open_archive(file)


HEADER = '{"op":"header","format":"linuxmm-operations/1","kernel":"6.1"}'
ZONE = '{"op":"zone","name":"Normal","start_pfn":0,"spanned":1024}'
ALLOC = '{"op":"alloc","order":2,"migratetype":"movable","gfp":"GFP_KERNEL|__GFP_ZERO","pfn":8,"cpu":1}'


def operations(path: Path, *lines: str, end: str = "\n") -> Operations:
    file = path / "ops.jsonl"
    file.write_text("\n".join(lines) + end)
    return open_operations(file)


def test_operations_become_observations(tmp_path: Path) -> None:
    found = operations(
        tmp_path,
        HEADER,
        ZONE,
        '{"op":"mark","name":"A","edge":"end"}',
        ALLOC,
        '{"op":"alloc","order":9,"pfn":null}',
        '{"op":"free","pfn":8,"order":2,"ts":77}',
    )
    assert found.header == Header("linuxmm-operations/1", kernel="6.1")
    assert found.zones == (ZoneLine("Normal", 0, 1024),)
    events = concat(found)
    assert (events.ts.tolist(), events.line.tolist()) == ([0, 1, 2, 77], [3, 4, 5, 6])
    seen = [observation(events, row) for row in range(4)]
    assert [(o.kind, o.cpu, dict(o.fields)) for o in seen] == [
        (Kind.MARK, 0, {"mark": "A", "edge": "end"}),
        (
            Kind.MM_PAGE_ALLOC,
            1,
            {"pfn": 8, "order": 2, "migratetype": 1, "gfp_flags": parse_gfp("GFP_KERNEL|__GFP_ZERO")},
        ),
        (Kind.MM_PAGE_ALLOC, 0, {"pfn": -1, "order": 9, "migratetype": -1, "gfp_flags": -1}),
        (Kind.MM_PAGE_FREE, 0, {"pfn": 8, "order": 2}),
    ]


def test_operations_written_are_read_back(tmp_path: Path) -> None:
    file = tmp_path / "ops.jsonl"
    header, zones = Header("linuxmm-operations/1", "mine"), (ZoneLine("DMA", 0, 64, free=False),)
    body: list[Operation] = [
        Alloc(0, 3),
        Alloc(1, None, "cma", "GFP_ATOMIC", 2),
        Mark("B", "begin"),
        Free(3, 0),
    ]
    write_operations(file, header, zones, body)
    found = open_operations(file)
    assert (found.header, found.zones) == (header, zones)
    assert [operation for _, operation in found.lines()] == body


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "3: expected JSON: Input data was truncated"),
        ("", "3: expected JSON: Input data was truncated"),
        ('{"op":"steal"}', "3: $.op: invalid value 'steal'"),
        ('{"op":"free","pfn":-1,"order":0}', "3: $.pfn: expected `int` >= 0"),
        ('{"op":"free","pfn":1}', "3: $: object missing required field `order`"),
        ('{"op":"free","pfn":1,"order":0,"x":1}', "3: $: object contains unknown field `x`"),
        (ALLOC.replace("movable", "odd"), "3: $.migratetype: expected one of"),
        (ALLOC.replace("GFP_KERNEL", "GFP_ODD"), "3: $.gfp: 'GFP_ODD' is not a GFP flag"),
        (HEADER, "3: expected one header, on the first line"),
        (f"{ALLOC}\n{ZONE}", "4: expected zones before operations"),
        (
            ALLOC[:-1] + ',"ts":5}\n' + ALLOC[:-1] + ',"ts":4}',
            "4: $.ts: expected a time not before 5, found 4",
        ),
    ],
)
def test_bad_operations_are_refused_by_line(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "ops.jsonl").write_text(f"{HEADER}\n{ZONE}\n{line}\n{ALLOC}\n")
    with pytest.raises(BadEvidence) as caught:
        concat(open_operations(tmp_path / "ops.jsonl"))
    assert str(caught.value).startswith(f"{tmp_path / 'ops.jsonl'}:{message}")


def test_operations_without_an_end_are_torn(tmp_path: Path) -> None:
    events = concat(operations(tmp_path, HEADER, ALLOC, ALLOC[:20], end=""))
    assert (len(events), events.torn) == (1, "line 3 has no end")


def test_foreign_headers_are_refused(tmp_path: Path) -> None:
    for text, message in (
        (ALLOC, ':1: expected a header: {"op": "header", ...}'),
        (HEADER.replace("/1", "/2"), ":1: $.format: expected 'linuxmm-operations/1'"),
    ):
        with pytest.raises(BadEvidence) as caught:
            operations(tmp_path, text)
        assert str(caught.value).startswith(f"{tmp_path / 'ops.jsonl'}{message}")


def test_forms_are_told_apart_by_content(tmp_path: Path) -> None:
    text = gzip.decompress((REAL / "alloc-churn-6.1/trace/buddy.txt.gz").read_bytes()).splitlines(True)
    files = {
        "text": b"".join(text[:20]),
        "bare": b"".join(text[13:15]),
        "packed": gzip.compress(b"".join(text[:20])),
        "operations": f"{HEADER}\n".encode(),
        "packed operations": gzip.compress(f"{HEADER}\n".encode()),
        "dat": MAGIC + b"6\0",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    write_archive(tmp_path / "archive", [empty()])
    (tmp_path / "raw/per_cpu/cpu0").mkdir(parents=True)
    (tmp_path / "raw/per_cpu/cpu0/trace_pipe_raw").write_bytes(b"")
    kinds = {place.name: type(open_evidence(place)) for place in tmp_path.iterdir()}
    assert kinds == {
        "text": TextTrace,
        "bare": TextTrace,
        "packed": TextTrace,
        "operations": Operations,
        "packed operations": Operations,
        "dat": DatTrace,
        "archive": Archive,
        "raw": RawTrace,
    }
    assert type(open_evidence(REAL / "alloc-churn-6.1")) is Capture


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\x7fELF\2\1\1", b"\x1f\x8b", bytes(5000)])
def test_what_is_no_evidence_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x"
    file.write_bytes(content)
    with pytest.raises(BadEvidence, match="expected a capture folder"):
        open_evidence(file)
    with pytest.raises(BadEvidence, match="expected a capture folder"):
        open_evidence(tmp_path)
    with pytest.raises(BadEvidence, match="found nothing there"):
        open_evidence(tmp_path / "absent")


GOOD = f"{HEADER}\n{ZONE}\n{ALLOC}\n{ALLOC}\n".encode()


def refusal(path: Path) -> str | None:
    """Why evidence cannot be read; None when it can."""
    try:
        evidence = open_evidence(path)
        if not isinstance(evidence, Capture):
            concat(evidence)
    except BadEvidence as error:
        return str(error)
    return None


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD)), st.binary(max_size=6)), max_size=4))
def test_changed_operations_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, bytes]]
) -> None:
    raw = bytearray(GOOD)
    for at, new in changes:
        raw[at : at + len(new)] = new
    file = tmp_path_factory.getbasetemp() / "fuzz.jsonl"
    file.write_bytes(raw)
    refused = refusal(file)
    assert refused is None or refused.startswith(str(file))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_changed_archives_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzz.parquet"
    write_archive(file, [replace(empty(50), kind=np.full(50, Kind.MM_PAGE_FREE, np.uint8))])
    raw = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    file.write_bytes(raw)
    refused = refusal(file)
    assert refused is None or refused.startswith(str(file))
