"""The Parquet archive of observations: a few bytes an event, read at tens of millions of events a second.

Schema version, kernel and losses are in the file's own metadata.  Docs: docs/formats/archive.md.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from linuxmm.oracle.formats.events import COLUMNS, Events, Lost, concat, empty
from linuxmm.oracle.formats.kinds import Kind
from linuxmm.spec.errors import BadEvidence

MAGIC: Final = b"PAR1"
FORMAT: Final = "linuxmm-archive/1"
ROW_GROUP: Final = 1 << 20
_KEY: Final = b"linuxmm"
_META_LIMIT: Final = 1 << 26
_KINDS: Final = np.isin(np.arange(256), [kind.value for kind in Kind])
_ENCODING: Final = {"ts": "DELTA_BINARY_PACKED", "line": "DELTA_BINARY_PACKED", "pfn": "BYTE_STREAM_SPLIT"}
_SCHEMA: Final = pa.schema(
    [pa.field(name, pa.from_numpy_dtype(np.dtype(kind)), nullable=False) for name, kind in COLUMNS.items()]
)


class LostRecord(msgspec.Struct, frozen=True):
    """A gap as the metadata holds it."""

    cpu: int
    count: int
    since: int
    until: int
    line: int
    why: str


class Metadata(msgspec.Struct, frozen=True):
    """What the archive says beside its rows, as JSON under the key "linuxmm".

    unit      ns in one step of the stored `ts`
    kernel    release, as `uname -r` prints it; "" when it is not known
    """

    format: str
    kernel: str
    unit: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
    rows: Annotated[int, msgspec.Meta(ge=0)]
    marks: tuple[str, ...] = ()
    lost: tuple[LostRecord, ...] = ()
    torn: str = ""
    others: dict[str, Annotated[int, msgspec.Meta(ge=0)]] = {}
    unresolved: Annotated[int, msgspec.Meta(ge=0)] = 0
    source: str = ""


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive in a file; iterating reads it row group by row group."""

    path: Path
    metadata: Metadata

    @property
    def name(self) -> str:
        """The file, for messages."""
        return str(self.path)

    def __iter__(self) -> Iterator[Events]:
        """One batch per row group, in time order; losses and counts come with the first.

        Errors    BadEvidence naming file, row group, column and what was expected
        """
        said = True
        last = -(1 << 63)
        seen = 0
        try:
            with pq.ParquetFile(self.path) as file:
                for group in range(file.metadata.num_row_groups):
                    where = f"row group {group}"
                    if file.metadata.row_group(group).num_rows > ROW_GROUP:
                        raise BadEvidence(self.name, "expected smaller row groups", where=where)
                    batch = self._batch(file.read_row_group(group, use_threads=True), where)
                    if len(batch):
                        if int(batch.ts[0]) < last or np.any(batch.ts[1:] < batch.ts[:-1]):
                            raise BadEvidence(self.name, "expected times in order", where=f"{where}, ts")
                        last = int(batch.ts[-1])
                    seen += len(batch)
                    yield self._said(batch) if said else batch
                    said = False
        except (pa.ArrowException, OSError) as error:
            raise BadEvidence(self.name, f"expected a readable Parquet file: {_first_line(error)}") from None
        if seen != self.metadata.rows:
            expected = f"expected {self.metadata.rows} rows as the metadata say, found {seen}"
            raise BadEvidence(self.name, expected)
        if said:
            yield self._said(empty())

    def _said(self, batch: Events) -> Events:
        meta = self.metadata
        lost = tuple(Lost(g.cpu, g.count, g.since, g.until, g.line, g.why) for g in meta.lost)
        others = MappingProxyType(dict(meta.others))
        return replace(batch, lost=lost, torn=meta.torn, others=others, unresolved=meta.unresolved)

    def _batch(self, table: Any, where: str) -> Events:
        arrays = {}
        for name, kind in COLUMNS.items():
            column = table.column(name)
            if column.null_count:
                raise BadEvidence(self.name, "expected no empty values", where=f"{where}, {name}")
            arrays[name] = np.ascontiguousarray(column.to_numpy(), kind)
        ts = arrays["ts"]
        if len(ts) and (ts.max() > (1 << 62) // self.metadata.unit or ts.min() < 0):
            raise BadEvidence(self.name, "expected times of 0 to 2**62 ns", where=f"{where}, ts")
        arrays["ts"] = ts * self.metadata.unit
        batch = Events(**arrays, marks=self.metadata.marks)  # type: ignore[arg-type]
        if not _KINDS[batch.kind].all():
            raise BadEvidence(self.name, "expected numbers of known kinds", where=f"{where}, kind")
        if np.any((batch.pfn < -1) | (batch.pfn >= 1 << 52)):
            raise BadEvidence(self.name, "expected page frames of -1 to 2**52 - 1", where=f"{where}, pfn")
        marks = batch.a[batch.kind == Kind.MARK]
        if np.any((marks < 0) | (marks >= len(self.metadata.marks))):
            raise BadEvidence(self.name, "expected the number of a mark", where=f"{where}, a")
        return batch


def open_archive(path: Path | str) -> Archive:
    """Open an archive and check its schema and metadata.

    Errors    BadEvidence naming file and field
    """
    place = Path(path)
    try:
        with pq.ParquetFile(place) as file:
            schema = file.schema_arrow
            raw = (file.metadata.metadata or {}).get(_KEY)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadEvidence(str(place), f"expected a readable Parquet file: {_first_line(error)}") from None
    if raw is None or len(raw) > _META_LIMIT:
        raise BadEvidence(str(place), "expected the metadata that an archive has", where="linuxmm")
    try:
        metadata = msgspec.json.decode(raw, type=Metadata)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadEvidence(str(place), f"expected metadata: {error}", where="linuxmm") from None
    if metadata.format != FORMAT:
        expected = f"expected {FORMAT!r}, found {metadata.format[:40]!r}"
        raise BadEvidence(str(place), expected, where="linuxmm.format")
    for column in _SCHEMA:
        index = schema.get_field_index(column.name)
        if index < 0 or schema.field(index).type != column.type:
            raise BadEvidence(str(place), f"expected a column of {column.type}", where=column.name)
    return Archive(place, metadata)


def write_archive(
    path: Path | str, events: Iterable[Events], *, kernel: str = "", source: str = "", unit: int = 0
) -> Archive:
    """Write observations, batch after batch, at once or not at all.

    unit      ns in one step of `ts`; 0 chooses 1000 when every time of the first batch divides by it, else 1
    Requires  times in order over all batches
    Ensures   reading gives the same rows, marks, losses and counts
    Errors    ValueError when times are out of order or do not divide by `unit`; OSError
    """
    place = Path(path)
    draft = place.with_name(f".{place.name}.draft")
    try:
        metadata = _write(draft, events, Metadata(FORMAT, kernel, unit or 1, 0, source=source), unit == 0)
        draft.replace(place)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return Archive(place, metadata)


def _write(draft: Path, events: Iterable[Events], metadata: Metadata, choose: bool) -> Metadata:
    notes = _Notes()
    plain = [name for name in COLUMNS if name not in _ENCODING]
    with pq.ParquetWriter(
        draft,
        _SCHEMA,
        compression="zstd",
        compression_level=3,
        use_dictionary=plain,
        column_encoding=_ENCODING,
        write_statistics=False,
        data_page_size=1 << 20,
        dictionary_pagesize_limit=1 << 20,
    ) as writer:
        for batch in _regrouped(events):
            notes.take(batch)
            if choose and len(batch):
                metadata = msgspec.structs.replace(metadata, unit=1 if np.any(batch.ts % 1000) else 1000)
                choose = False
            writer.write_table(_table(notes.numbered(batch), metadata.unit), row_group_size=ROW_GROUP)
        done = notes.complete(metadata)
        writer.add_key_value_metadata({_KEY: msgspec.json.encode(done)})
    return done


class _Notes:
    """What batches say beside their rows, over the whole archive."""

    def __init__(self) -> None:
        self.marks: dict[str, int] = {}
        self.lost: list[Lost] = []
        self.torn: list[str] = []
        self.others: dict[str, int] = {}
        self.unresolved = 0
        self.rows = 0
        self.last = -(1 << 63)

    def take(self, batch: Events) -> None:
        self.lost += batch.lost
        self.torn += [batch.torn] if batch.torn else []
        for name, count in batch.others.items():
            self.others[name] = self.others.get(name, 0) + count
        self.unresolved += batch.unresolved
        self.rows += len(batch)
        if len(batch):
            if int(batch.ts[0]) < self.last or np.any(batch.ts[1:] < batch.ts[:-1]):
                raise ValueError("observations are not in time order")
            self.last = int(batch.ts[-1])

    def numbered(self, batch: Events) -> Events:
        if not batch.marks:
            return batch
        number = np.array([self.marks.setdefault(n, len(self.marks)) for n in batch.marks], np.int64)
        a = batch.a.copy()
        marks = batch.kind == Kind.MARK
        a[marks] = number[a[marks]]
        return replace(batch, a=a)

    def complete(self, metadata: Metadata) -> Metadata:
        return msgspec.structs.replace(
            metadata,
            rows=self.rows,
            marks=tuple(self.marks),
            lost=tuple(LostRecord(g.cpu, g.count, g.since, g.until, g.line, g.why) for g in self.lost),
            torn="; ".join(self.torn),
            others=self.others,
            unresolved=self.unresolved,
        )


def _regrouped(events: Iterable[Events]) -> Iterator[Events]:
    """Batches joined to about one row group each."""
    held: list[Events] = []
    for batch in events:
        held.append(batch)
        if sum(map(len, held)) >= ROW_GROUP:
            yield concat(held)
            held = []
    if held:
        yield concat(held)


def _table(batch: Events, unit: int) -> Any:
    if unit != 1 and np.any(batch.ts % unit):
        raise ValueError(f"a time does not divide by the archive's unit of {unit} ns")
    columns: Mapping[str, Any] = {name: getattr(batch, name) for name in COLUMNS} | {"ts": batch.ts // unit}
    return pa.table([pa.array(columns[name]) for name in COLUMNS], schema=_SCHEMA)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or ["unreadable"])[0][:200]
