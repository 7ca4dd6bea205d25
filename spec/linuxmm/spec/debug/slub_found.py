"""What a report of slub_debug says of overwritten bytes, and what has to be true of it by its own dump.

Linux: mm/slub.c:check_bytes_and_report, print_trailer, restore_bytes.  Seed 2.13.2 (F077).  2.6.28 to 6.12.
"""

from typing import Final, NamedTuple

from linuxmm.spec.debug.slub_bytes import (
    POISON_END,
    POISON_FREE,
    POISON_INUSE,
    RED_ACTIVE,
    RED_INACTIVE,
)
from linuxmm.spec.invariant import clause
from linuxmm.spec.registry import formula
from linuxmm.spec.vocabulary import PAGE_SIZE


class Span(NamedTuple):
    """Bytes first..last of a slab, of which the first lies `offset` bytes behind its start."""

    first: int
    last: int
    offset: int


class SlubReport(NamedTuple):
    """A report of overwritten bytes.

    line      of the bytes that it blames;  what: "Right Redzone", "Left Redzone", "Redzone", "Poison", ...
    span      of them;  found, wanted: its first byte, and what ought to stand there
    start     of the object, `offset` bytes behind the slab's start; -1 when it is not said
    rows      address -> (section, byte), as dumped
    restored  the span that was mended and the byte, or None
    """

    line: int
    what: str
    span: Span
    found: int
    wanted: int
    start: int
    offset: int
    rows: dict[int, tuple[str, int]]
    restored: tuple[int, int, int] | None


FIRST: Final = clause(
    "debug.slub.first-byte",
    "The first byte that a report blames is dumped as it says, and is not what ought to stand there.",
    features=("F077",),
    source="mm/slub.c:check_bytes_and_report",
    seed="2.13.2",
)
WHERE: Final = clause(
    "debug.slub.where",
    "The blamed bytes lie where the report says: before, behind or within the object, of one slab.",
    features=("F077",),
    source="mm/slub.c:check_object, print_trailer",
    seed="2.13.2",
)
PATTERN: Final = clause(
    "debug.slub.pattern",
    "What ought to stand somewhere is the byte of that place, and stands everywhere in red zones and padding "
    "but in the blamed bytes.",
    features=("F077",),
    source="include/linux/poison.h; mm/slub.c:init_object",
    seed="2.13.2",
)
RESTORED: Final = clause(
    "debug.slub.restored",
    "The kernel mends exactly the bytes that it blames, with what ought to stand there.",
    features=("F077",),
    source="mm/slub.c:restore_bytes",
    seed="2.13.2",
)


@formula("F077", source="include/linux/poison.h; mm/slub.c:init_object, slab_pad_check; 2.6.28 to 6.12")
def patterns_of(what: str) -> tuple[int, ...]:
    """The bytes that may stand in a place of a slab that nobody has overwritten."""
    if "Redzone" in what:
        return RED_INACTIVE, RED_ACTIVE
    if "padding" in what.lower():
        return (POISON_INUSE,)
    return POISON_FREE, POISON_END


@formula("F077", source="mm/slub.c:check_object; 2.6.28 to 6.12")
def lies_there(what: str, first: int, last: int, start: int, size: int) -> bool:
    """Whether bytes first..last lie where a report of `what` blames an object of `size` bytes at `start`."""
    if what.startswith("Left"):
        return last < start
    if "Redzone" in what or "padding" in what.lower():
        return first >= start + size or last < start
    return start <= first and last < start + size


def object_size(report: SlubReport) -> int:
    """Bytes of the object that are dumped."""
    return sum(section == "Object" for section, _ in report.rows.values())


def one_slab(report: SlubReport) -> bool:
    """Whether offsets of the object and of the blamed bytes name one slab, which begins with a page."""
    base = report.span.first - report.span.offset
    return base % PAGE_SIZE == 0 and (report.start < 0 or report.start - report.offset == base)


def strange_bytes(report: SlubReport) -> tuple[int, ...]:
    """Addresses of red zones and padding, outside the blamed bytes, where something else stands."""
    wanted = {"Redzone": patterns_of("Redzone"), "Padding": (POISON_INUSE,)}
    return tuple(
        address
        for address, (section, byte) in report.rows.items()
        if section in wanted
        and not report.span.first <= address <= report.span.last
        and byte not in wanted[section]
    )
