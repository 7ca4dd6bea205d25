"""What a report of generic KASAN says, and what has to be true of it by its own shadow.

Linux: mm/kasan/report.c, report_generic.c.  Seed 2.13.5 (F081).  6.1 to 6.12.
"""

from typing import Final, NamedTuple

from linuxmm.spec.debug.kasan import (
    DOUBLE_FREE,
    GRANULE,
    GRANULE_SHIFT,
    INVALID_FREE,
    Poison,
    bug_of,
    byte_is_closed,
    granule_shadow,
    may_be_freed,
)
from linuxmm.spec.invariant import clause
from linuxmm.spec.kernel import Version
from linuxmm.spec.registry import formula

INSIDE: Final = "inside of"
LEFT: Final = "to the left of"
RIGHT: Final = "to the right of"
ROW: Final = 16
"""Granules of a row of shadow."""


class Placed(NamedTuple):
    """Where a report says that its address is: bytes beside or in a region, of which it may say the state."""

    distance: int
    side: str
    state: str
    start: int
    end: int


class KasanReport(NamedTuple):
    """A report.

    line     of its head;  kind: of bug, as named
    action   "Read", "Write" or "Free";  size in bytes, 0 for a free
    placed   None when no object is near
    shadow   granule (address >> 3) -> byte, as far as shown
    pointed  the granule under the caret
    """

    line: int
    kind: str
    action: str
    size: int
    address: int
    placed: Placed | None
    shadow: dict[int, int]
    pointed: int


@formula("F081", source="mm/kasan/report.c:describe_object_addr; 6.1 to 6.12")
def place_of(address: int, start: int, end: int) -> tuple[int, str]:
    """(bytes, which side): where an address is, of an object in [start, end)."""
    if address < start:
        return start - address, LEFT
    if address >= end:
        return address - end, RIGHT
    return address - start, INSIDE


@formula("F081", source="mm/kasan/generic.c:kasan_find_first_bad_addr; 5.0 to 6.12")
def first_bad(shadow: dict[int, int], start: int, size: int) -> int:
    """The first closed byte of an access, or its first byte when none is."""
    for address in range(start, start + size):
        if byte_is_closed(shadow[address >> GRANULE_SHIFT], address):
            return address
    return start


@formula("F081", source="mm/kasan/report_generic.c:get_shadow_bug_type; 6.1, 6.12 (6.2 to 6.11 unconfirmed)")
def shown_name(kind: str, version: Version) -> str:
    """A kind of bug as a kernel names it: up to 6.3 nothing says that freed memory was of a slab."""
    if kind == "slab-use-after-free" and version.branch < Version(6, 4):
        return "use-after-free"
    return kind


CLOSED: Final = clause(
    "debug.kasan.closed",
    "What a report blames is forbidden by the shadow that it shows: an access touches a closed byte, and a "
    "free is not of an object that is handed out.",
    features=("F081",),
    source="mm/kasan/generic.c:kasan_check_range; mm/kasan/common.c:check_slab_allocation",
    seed="2.13.5",
)
NAMED: Final = clause(
    "debug.kasan.named",
    "A report is named after the first closed granule, or after the kind of free.",
    features=("F081",),
    source="mm/kasan/report_generic.c:get_shadow_bug_type; mm/kasan/report.c:complete_report_info",
    seed="2.13.5",
)
PLACED: Final = clause(
    "debug.kasan.placed",
    "A report says truly how far its address is from the object, and its caret stands under the granule.",
    features=("F081",),
    source="mm/kasan/report.c:describe_object_addr, print_memory_metadata",
    seed="2.13.5",
)
REGION: Final = clause(
    "debug.kasan.region",
    "The bytes of an object that is handed out are open and no others behind it to the end of its granule; "
    "those of a freed one are closed as freed.",
    features=("F081",),
    source="mm/kasan/shadow.c:kasan_unpoison; mm/kasan/generic.c:kasan_save_free_info",
    seed="2.13.5",
)


def is_closed(report: KasanReport) -> bool | None:
    """Whether the shadow forbids what the report blames; None when it does not show enough."""
    if report.action == "Free":
        granule = report.address >> GRANULE_SHIFT
        if granule not in report.shadow:
            return None
        starts = report.placed is not None and report.placed.start == report.address
        return not starts or not may_be_freed(report.shadow[granule])
    return None if _torn(report) else bug_of(report.shadow, report.address, report.size) != ""


def name_of(report: KasanReport, version: Version) -> str | None:
    """The name that a report ought to have, or None when it does not show enough."""
    if report.action == "Free":
        starts = report.placed is None or report.placed.start == report.address
        return DOUBLE_FREE if starts else INVALID_FREE
    return None if _torn(report) else shown_name(bug_of(report.shadow, report.address, report.size), version)


def _torn(report: KasanReport) -> bool:
    last = (report.address + report.size - 1 >> GRANULE_SHIFT) + 1
    return any(granule not in report.shadow for granule in range(report.address >> GRANULE_SHIFT, last + 1))


def bad_granules(report: KasanReport) -> tuple[int, ...]:
    """Granules of the object that do not look as its state wants, among those shown."""
    place = report.placed
    if place is None or place.end <= place.start:
        return ()
    first = place.start >> GRANULE_SHIFT
    shown = range(first, (place.end - 1 >> GRANULE_SHIFT) + 1)
    if place.state == "freed" or report.action == "Free":
        return tuple(
            granule
            for granule in shown
            if granule in report.shadow
            and report.shadow[granule] not in (Poison.SLAB_FREE, *_head(granule == first))
        )
    size = place.end - place.start
    known = place.state == "allocated" and not _is_freed(report, first)
    return tuple(
        granule
        for granule in shown
        if known
        and granule in report.shadow
        and report.shadow[granule] != granule_shadow(place.start, size, granule, Poison.SLAB_REDZONE)
    )


def _head(first: bool) -> tuple[int, ...]:
    return (Poison.SLAB_FREE_META,) if first else ()


def _is_freed(report: KasanReport, first: int) -> bool:
    """A report of an access beside a freed object calls its region allocated, by the name of the bug."""
    return report.shadow.get(first, 0) in (Poison.SLAB_FREE, Poison.SLAB_FREE_META)


def caret_at(report: KasanReport) -> int:
    """The granule that the caret ought to stand under."""
    if report.action == "Free" or _torn(report):
        return report.address >> GRANULE_SHIFT
    return first_bad(report.shadow, report.address, report.size) // GRANULE
