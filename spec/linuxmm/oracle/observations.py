"""Observations one by one, with linuxmm's numbers of migratetypes.

A kernel's numbers become linuxmm's here and nowhere else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from linuxmm.oracle.formats.events import Events
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.vocabulary import NR_MIGRATETYPES, MigrateType

WITHOUT_CMA: Final = ("UNMOVABLE", "MOVABLE", "RECLAIMABLE", "HIGHATOMIC", "ISOLATE")
"""The numbering since 4.4 of a kernel without CMA, assumed where the evidence does not state one."""


@dataclass(frozen=True, slots=True)
class Numbering:
    """How a kernel numbers migratetypes: `ours[kernel number]`, `theirs[linuxmm number]` (-1: has none)."""

    ours: tuple[int, ...]
    theirs: tuple[int, ...]


def numbering(names: tuple[str, ...] = WITHOUT_CMA) -> Numbering:
    """The numbering that a list of migratetype names states.

    Errors    Unmodelled for a name that is not a migratetype
    """
    unknown = [name for name in names if name not in MigrateType.__members__]
    if unknown:
        raise Unmodelled(f"migratetype {unknown[0]!r}")
    ours = tuple(int(MigrateType[name]) for name in names)
    theirs = tuple(ours.index(number) if number in ours else -1 for number in range(NR_MIGRATETYPES))
    return Numbering(ours, theirs)


class Row(NamedTuple):
    """One observation and its number in the evidence.

    Columns as in `formats.events`; migratetypes in linuxmm's numbers, -1 for none.
    """

    number: int
    kind: int
    cpu: int
    pid: int
    context: int
    line: int
    pfn: int
    order: int
    mt: int
    a: int
    b: int
    c: int


def rows_of(events: Events, names: Numbering, first: int = 0) -> Iterator[Row]:
    """The observations of a table in order; `first` is the number of its first row."""
    ours = dict(enumerate(names.ours))
    columns = zip(
        range(first, first + len(events)),
        events.kind.tolist(),
        events.cpu.tolist(),
        events.pid.tolist(),
        events.context.tolist(),
        events.line.tolist(),
        events.pfn.tolist(),
        events.order.tolist(),
        [ours.get(number, -1) for number in events.mt.tolist()],
        events.a.tolist(),
        events.b.tolist(),
        events.c.tolist(),
        strict=True,
    )
    return map(Row._make, columns)
