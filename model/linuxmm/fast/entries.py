"""The bulk allocator's array over the slots of a run: the primitives of `linuxmm.model.alloc.bulk`."""

from typing import Final, NamedTuple

from numpy import uintp as U  # noqa: N812

from linuxmm.fast.arena import Int64s
from linuxmm.model.alloc import bulk
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.request import Request
from linuxmm.spec.relink import Function


class SlotRange(NamedTuple):
    """`size` slots from `first` on; each holds pfn << 4 | order of a block, or -1."""

    slots: Int64s
    first: int
    size: int


def nr_entries(array: SlotRange) -> int:
    return array.size


def entry_at(array: SlotRange, at: int) -> int:
    return int(array.slots[U(array.first + at)]) >> 4


def with_entry(array: SlotRange, at: int, pfn: int) -> SlotRange:
    array.slots[U(array.first + at)] = pfn << 4
    return array


def filled_entries(array: SlotRange) -> int:
    """Slots that hold a block."""
    at = 0
    filled = 0
    while at < array.size:
        if array.slots[U(array.first + at)] >= 0:
            filled += 1
        at += 1
    return filled


def no_bulk(
    rules: Rules, machine: Machine, request: Request, array: SlotRange, refused: bool
) -> tuple[Machine, SlotRange, int, bool]:
    """Stands for `fill_entries` in a run without bulk operations, which then costs nothing to compile."""
    return machine, array, 0, False


ENTRIES: Final[dict[Function, Function]] = {
    bulk.nr_entries: nr_entries,
    bulk.entry_at: entry_at,
    bulk.with_entry: with_entry,
}
"""Primitives of the bulk allocator's array -> their form over slots."""

NO_BULK: Final[dict[Function, Function]] = {bulk.fill_entries: no_bulk}
"""The same for a run that has no bulk operations."""
