"""What SLAB with CONFIG_DEBUG_SLAB says of misuse, and what has to be true of it by what it shows.

Linux: mm/slab.c:verify_redzone_free, cache_alloc_debugcheck_after, check_poison_obj, dump_line.  Seed 2.13.2
(F077).  Read in 6.1.
"""

from typing import Final, NamedTuple

from linuxmm.spec.debug.slab_layout import (
    RED_INACTIVE,
    WORD,
    changed_lines,
    is_single_bit,
    slab_layout,
    verdict_at_alloc,
    verdict_at_free,
)
from linuxmm.spec.debug.slub_bytes import POISON_END, POISON_FREE
from linuxmm.spec.invariant import clause
from linuxmm.spec.registry import formula

LINE: Final = 16
"""Bytes of an object that a line shows."""
AT_ALLOC: Final = "cache_alloc_debugcheck_after"
AT_FREE: Final = "verify_redzone_free"


class RedReport(NamedTuple):
    """A report about red words.

    line            of the report;  function, message: which check said what
    slot            address of the slot;  first, second: the red words that are shown
    """

    line: int
    function: str
    message: str
    slot: int
    first: int
    second: int


class Neighbour(NamedTuple):
    """The object before or behind a changed one: where it is, and what its first lines hold."""

    side: str
    start: int
    rows: tuple[tuple[int, bytes, bool], ...]


class PoisonReport(NamedTuple):
    """A report of a free object that was changed.

    line         of the report
    start, size  of the object
    red          its red words, where its cache has such
    rows         (offset, bytes, whether bad memory is suspected) of each line that is shown
    neighbours   Prev and Next
    """

    line: int
    start: int
    size: int
    red: tuple[int, int] | None
    rows: tuple[tuple[int, bytes, bool], ...]
    neighbours: tuple[Neighbour, ...]


RED: Final = clause(
    "debug.slab.red-words",
    "SLAB says of an object what its red words say: in use, free, or overwritten.",
    features=("F077",),
    source="mm/slab.c:verify_redzone_free, cache_alloc_debugcheck_after",
    seed="2.13.2",
)
LINES: Final = clause(
    "debug.slab.lines",
    "Of a free object that was changed SLAB shows the lines that are not poison, in order, at most six.",
    features=("F077",),
    source="mm/slab.c:check_poison_obj",
    seed="2.13.2",
)
BIT: Final = clause(
    "debug.slab.single-bit",
    "SLAB suspects bad memory exactly where a line differs from the poison in one bit.",
    features=("F077",),
    source="mm/slab.c:dump_line",
    seed="2.13.2",
)
BESIDE: Final = clause(
    "debug.slab.neighbours",
    "The objects beside a changed one lie one slot away, and are shown from their start.",
    features=("F077",),
    source="mm/slab.c:check_poison_obj, print_objinfo",
    seed="2.13.2",
)


def verdict_of(report: RedReport) -> str:
    """What the check has to say of the red words that the report shows; "" when there is nothing to say."""
    verdict = verdict_at_alloc if report.function == AT_ALLOC else verdict_at_free
    return verdict(report.first, report.second)


def object_shown(report: PoisonReport) -> bytes:
    """The object as far as it is shown; what is not shown is poison."""
    memory = bytearray([POISON_FREE]) * (report.size - 1) + bytes([POISON_END])
    for offset, held, _ in report.rows:
        memory[offset : offset + len(held)] = held
    return bytes(memory)


def lines_to_show(report: PoisonReport) -> tuple[int, ...]:
    """The lines that a report of this object shows."""
    return changed_lines(object_shown(report))


@formula("F077", source="mm/slab.c:dump_line, print_objinfo; 6.1")
def line_length(offset: int, size: int) -> int:
    """Bytes that the line at an offset shows of an object of `size` bytes.

    Requires  offset < size
    """
    return min(LINE, size - offset)


def well_shown(size: int, rows: tuple[tuple[int, bytes, bool], ...]) -> bool:
    """Whether every line begins at a multiple of 16 within the object, and is as long as belongs there."""
    return all(at % LINE == 0 and at < size and len(held) == line_length(at, size) for at, held, _ in rows)


def suspected(held: bytes) -> bool:
    """Whether a line of a free object makes SLAB suspect bad memory."""
    return is_single_bit(held)


def distance(report: PoisonReport) -> int:
    """Bytes from one object of this cache to the next."""
    watched = slab_layout(report.size, WORD)
    return watched.size if report.red is not None else 0


def is_free(red: tuple[int, int]) -> bool:
    """Whether red words say that an object is free."""
    return red == (RED_INACTIVE, RED_INACTIVE)
