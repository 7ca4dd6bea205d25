"""The arm64 table walk, stage 1, 4 KiB granule, 48-bit addresses: to a page or to an abort with its syndrome.

Checks are made in Arm's order: translation, address size, access flag, permission.

Arm ARM D8.2 to D8.5.  Linux: arch/arm64/mm/fault.c.  Seed 2.3.1 (F001, F040).
"""

from typing import NamedTuple

from linuxmm.hardware.bus import SERVED, Bus, load_entry, mark_entry
from linuxmm.hardware.x86_walk import PAGE_FAULT, TRANSLATED, UNSERVED
from linuxmm.spec.registry import verb
from linuxmm.spec.vm.arm64_entry import (
    ADDRESS,
    AF,
    FSC_ACCESS_FLAG,
    FSC_ADDRESS_SIZE,
    FSC_PERMISSION,
    FSC_TRANSLATION,
    FSC_WALK_ABORT,
    Arm64Control,
    denied,
    exceeds,
    half_of,
    index_of,
    is_invalid,
    is_leaf,
    level_shift,
    limited,
    output_base,
    syndrome,
    touched,
)

DESCRIPTOR = 8


class Arm64Walk(NamedTuple):
    """How a walk ended.

    status   TRANSLATED, PAGE_FAULT (an abort), or UNSERVED (memory did not serve a table)
    level    of the descriptor at which it ended
    table    physical address of that descriptor's table
    limits   hierarchical limits gathered above it
    entry    after marking, for a translation; as read, for an abort
    code     ESR_EL1 of an abort
    """

    status: int
    level: int
    table: int
    limits: int
    entry: int
    code: int


def walk_from(
    control: Arm64Control, bus: Bus, va: int, kind: int, user: bool, level: int, table: int, limits: int
) -> tuple[Bus, Arm64Walk]:
    """Walk on from the table of `level` at `table`, under the limits gathered above it."""
    while True:
        at = table + (index_of(va, level) << 3)
        bus, entry, fault = load_entry(bus, at, DESCRIPTOR)
        if fault != SERVED:
            code = syndrome(kind, user, FSC_WALK_ABORT, level)
            return bus, Arm64Walk(UNSERVED, level, table, limits, 0, code)
        if is_invalid(entry, level):
            code = syndrome(kind, user, FSC_TRANSLATION, level)
            return bus, Arm64Walk(PAGE_FAULT, level, table, limits, entry, code)
        if exceeds(control, entry):
            code = syndrome(kind, user, FSC_ADDRESS_SIZE, level)
            return bus, Arm64Walk(PAGE_FAULT, level, table, limits, entry, code)
        if is_leaf(entry, level):
            if entry & AF == 0 and not control.ha:
                code = syndrome(kind, user, FSC_ACCESS_FLAG, level)
                return bus, Arm64Walk(PAGE_FAULT, level, table, limits, entry, code)
            if denied(control, kind, user, limits, entry):
                code = syndrome(kind, user, FSC_PERMISSION, level)
                return bus, Arm64Walk(PAGE_FAULT, level, table, limits, entry, code)
            marked = touched(control, entry, kind)
            bus = mark_entry(bus, at, DESCRIPTOR, entry, marked)
            return bus, Arm64Walk(TRANSLATED, level, table, limits, marked, 0)
        limits = limited(control, limits, entry)
        table = entry & ADDRESS
        level += 1


@verb("F001", "F040", "F059", source="arch/arm64/mm/fault.c:do_mem_abort; Arm ARM D8.2")
def walk(
    control: Arm64Control, bus: Bus, ttbr0: int, ttbr1: int, va: int, kind: int, user: bool
) -> tuple[Bus, Arm64Walk]:
    """Walk from the root that the address selects.

    Requires  0 <= va < 2**64, kind is READ, WRITE or FETCH
    Ensures   every access to a table is in the log of the bus
    """
    half = half_of(va)
    if half == 2 or (half == 0 and control.epd0) or (half == 1 and control.epd1):
        return bus, Arm64Walk(PAGE_FAULT, 0, 0, 0, 0, syndrome(kind, user, FSC_TRANSLATION, 0))
    return walk_from(control, bus, va, kind, user, 0, ttbr1 if half == 1 else ttbr0, 0)


def physical_address(va: int, level: int, entry: int) -> int:
    """Where `va` lies in the page or block that a descriptor of `level` maps."""
    return output_base(entry, level) | (va & ((1 << level_shift(level)) - 1))
