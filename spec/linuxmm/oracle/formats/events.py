"""Observations as columns: one row per trace event, in time order, with what the evidence lost.

The meaning of `a`, `b` and `c` per kind is in `kinds.LAYOUTS` and in docs/formats/events.md.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntFlag
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from linuxmm.oracle.formats.kinds import KIND_OF, Column, Form, Kind

Int64 = NDArray[np.int64]

COLUMNS: Final[Mapping[str, type[np.integer]]] = MappingProxyType(
    {
        "ts": np.int64,
        "cpu": np.int16,
        "pid": np.int32,
        "context": np.uint8,
        "kind": np.uint8,
        "line": np.int64,
        "pfn": np.int64,
        "order": np.int8,
        "mt": np.int8,
        "a": np.int64,
        "b": np.int64,
        "c": np.int64,
    }
)


class Context(IntFlag):
    """In what context an event happened, as its flags column says."""

    IRQS_OFF = 1
    BH_OFF = 2
    HARDIRQ = 4
    SOFTIRQ = 8
    NMI = 16
    PREEMPT_OFF = 32
    MIGRATE_OFF = 64
    UNKNOWN = 128


@dataclass(frozen=True, slots=True)
class Lost:
    """Events that the evidence names as missing.

    cpu           whose buffer lost them; -1 when the evidence does not say
    count         how many; -1 when the evidence does not say
    since, until  times (ns) of the observations around the gap; -1 when there is none
    line          where the evidence says so (line number or byte offset); -1 for a header counter
    """

    cpu: int
    count: int
    since: int
    until: int
    line: int
    why: str


_NO_NAMES: Final[Mapping[str, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """A table of observations in time order.

    ts       int64 ns (or the trace clock's own unit)        line   int64 line number or byte offset
    cpu      int16      pid  int32                           pfn    int64, -1 when there is none
    context  uint8 `Context`                                 order  int8, -1 when there is none
    kind     uint8 `Kind`                                    mt     int8 kernel number, -1 none
    a, b, c  int64, by kind
    marks       names of marks; a row of kind MARK has its index in `a`, and 0 (begin) or 1 (end) in `b`
    lost        gaps that the evidence names          torn  why the last record is incomplete, "" when whole
    others      events without a layout, counted by name
    unresolved  rows whose struct-page address could not be turned into a pfn (their pfn is -1)
    """

    ts: Int64
    cpu: NDArray[np.int16]
    pid: NDArray[np.int32]
    context: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    line: Int64
    pfn: Int64
    order: NDArray[np.int8]
    mt: NDArray[np.int8]
    a: Int64
    b: Int64
    c: Int64
    marks: tuple[str, ...] = ()
    lost: tuple[Lost, ...] = ()
    torn: str = ""
    others: Mapping[str, int] = field(default_factory=lambda: _NO_NAMES)
    unresolved: int = 0

    def __len__(self) -> int:
        return len(self.ts)

    @property
    def complete(self) -> bool:
        """Whether the evidence names no loss."""
        return not self.lost and not self.torn


class EventSource(Protocol):
    """Something that yields observations in batches of bounded size, in time order."""

    @property
    def name(self) -> str:
        """The file or folder, for messages."""

    def __iter__(self) -> Iterator[Events]: ...


def empty(rows: int = 0) -> Events:
    """A table of `rows` rows with nothing in them: -1 where a column has "none", else 0."""
    none = {"pfn", "order", "mt"}
    return Events(**{n: np.full(rows, -1 if n in none else 0, t) for n, t in COLUMNS.items()})  # type: ignore[arg-type]


def rows(events: Events, index: slice | NDArray[np.intp]) -> Events:
    """Some rows of a table, with the table's marks but without what it says of losses."""
    picked = {n: getattr(events, n)[index] for n in COLUMNS}
    return Events(**picked, marks=events.marks)


def concat(batches: Iterable[Events]) -> Events:
    """One table of all batches in the order given.

    Ensures   marks are numbered over the whole table; losses, torn tails and counts are joined
    """
    parts = list(batches)
    if not parts:
        return empty()
    if len(parts) == 1:
        return parts[0]
    names: dict[str, int] = {}
    parts = [_renumbered(part, names) for part in parts]
    columns = {n: np.concatenate([getattr(part, n) for part in parts]) for n in COLUMNS}
    others: dict[str, int] = {}
    for part in parts:
        for name, count in part.others.items():
            others[name] = others.get(name, 0) + count
    return Events(
        **columns,
        marks=tuple(names),
        lost=tuple(lost for part in parts for lost in part.lost),
        torn="; ".join(part.torn for part in parts if part.torn),
        others=MappingProxyType(others),
        unresolved=sum(part.unresolved for part in parts),
    )


def _renumbered(part: Events, names: dict[str, int]) -> Events:
    """`part` with its marks numbered by `names`, which grows."""
    if not part.marks:
        return part
    number = np.array([names.setdefault(name, len(names)) for name in part.marks], np.int64)
    a = part.a.copy()
    marks = part.kind == Kind.MARK
    a[marks] = number[a[marks]]
    return replace(part, a=a)


@dataclass(frozen=True, slots=True)
class Observation:
    """One row by name, for messages: every field that the event had."""

    ts: int
    cpu: int
    pid: int
    context: Context
    kind: Kind
    line: int
    fields: Mapping[str, int | str]


def observation(events: Events, row: int) -> Observation:
    """The event of one row with its own field names.

    Errors    IndexError when there is no such row
    """
    kind = Kind(int(events.kind[row]))
    fields: dict[str, int | str] = {}
    if kind is Kind.MARK:
        edge = "end" if events.b[row] else "begin"
        fields = {"mark": events.marks[int(events.a[row])], "edge": edge}
    else:
        for item in KIND_OF[kind].fields:
            if item.column is Column.NONE:
                continue
            if item.column in (Column.PAGE, Column.PFN):
                fields["pfn"] = int(events.pfn[row])
                continue
            word = int(getattr(events, item.column.name.lower())[row])
            if item.bits < 64:
                word = (word >> item.shift) & ((1 << item.bits) - 1)
                if item.bits == 32 and word >> 31 and item.key != "aflags":
                    word -= 1 << 32
            elif item.form is Form.HEX:
                word &= (1 << 64) - 1
            fields[item.key] = word
    return Observation(
        int(events.ts[row]),
        int(events.cpu[row]),
        int(events.pid[row]),
        Context(int(events.context[row])),
        kind,
        int(events.line[row]),
        MappingProxyType(fields),
    )
