"""The x86 page walk: from a linear address and an access to a page, or to a fault with its error code.

One walk serves the four formats.  It may start at any level, as it does when a cached pointer to a table is
used.  Entries are checked and marked on the way down: present, reserved bits, then rights at the leaf; an
entry that leads to a lower table is marked accessed when it is used, a leaf when the access is permitted.
(The specification permits marking the upper entries of a walk that faults, and permits leaving them.)
PAE reads its four top entries from memory like any others; the registers in which some CPUs keep them from
one load of CR3 to the next are not described.

Intel SDM 3A 4.3 to 4.8.  Linux: arch/x86/mm/fault.c.  Seed 2.3.1 (F001, F040).
"""

from typing import Final, NamedTuple

from linuxmm.hardware.bus import SERVED, Bus, load_entry, mark_entry
from linuxmm.spec.registry import verb
from linuxmm.spec.vm.x86_entry import (
    ALL_RIGHTS,
    GLOBAL,
    PRESENT,
    Control,
    denied,
    error_code,
    gathered,
    has_reserved,
    is_leaf,
    leaf_base,
    passed,
    table_base,
    touched,
)
from linuxmm.spec.vm.x86_format import X86Format, entry_address, is_canonical, level_shift

TRANSLATED: Final = 0
PAGE_FAULT: Final = 1
NOT_CANONICAL: Final = 2
UNSERVED: Final = 3
DESCENDS: Final = 4
"""Of one step: the walk goes on in a lower table."""


class Walk(NamedTuple):
    """How a walk ended.

    status  TRANSLATED, PAGE_FAULT, NOT_CANONICAL or UNSERVED (memory did not serve a table)
    level   of the entry at which it ended
    table   physical address of that entry's table
    above   rights gathered above that entry
    entry   after marking, for a translation; as read, for a fault
    rights  gathered with the entry, for a translation
    code    error code of a page fault; the Fault when a table was not served
    """

    status: int
    level: int
    table: int
    above: int
    entry: int
    rights: int
    code: int


def look(
    fmt: X86Format,
    control: Control,
    bus: Bus,
    va: int,
    kind: int,
    user: bool,
    level: int,
    table: int,
    rights: int,
) -> tuple[Bus, Walk]:
    """One step of a walk: the entry for `va` in the table of `level`, with the rights gathered above it.

    Ensures   DESCENDS with the level, table and rights to go on with, or how the walk ends
    """
    size = 1 << fmt.entry_shift
    at = entry_address(fmt, table, va, level)
    bus, entry, fault = load_entry(bus, at, size)
    if fault != SERVED:
        return bus, Walk(UNSERVED, level, table, rights, 0, 0, fault)
    if entry & PRESENT == 0:
        code = error_code(fmt, control, kind, user, False, False)
        return bus, Walk(PAGE_FAULT, level, table, rights, entry, 0, code)
    if has_reserved(fmt, control, entry, level):
        code = error_code(fmt, control, kind, user, True, True)
        return bus, Walk(PAGE_FAULT, level, table, rights, entry, 0, code)
    own = gathered(fmt, rights, entry, level)
    if not is_leaf(fmt, control, entry, level):
        bus = mark_entry(bus, at, size, entry, passed(fmt, entry, level))
        return bus, Walk(DESCENDS, level - 1, table_base(entry), own, entry, own, 0)
    if denied(control, kind, user, own):
        code = error_code(fmt, control, kind, user, True, False)
        return bus, Walk(PAGE_FAULT, level, table, rights, entry, 0, code)
    marked = touched(entry, kind)
    bus = mark_entry(bus, at, size, entry, marked)
    return bus, Walk(TRANSLATED, level, table, rights, marked, own, 0)


def walk_from(
    fmt: X86Format,
    control: Control,
    bus: Bus,
    va: int,
    kind: int,
    user: bool,
    level: int,
    table: int,
    rights: int,
) -> tuple[Bus, Walk]:
    """Walk on from the table of `level` at `table`, with the rights gathered above it.

    Requires  va is canonical
    """
    bus, found = look(fmt, control, bus, va, kind, user, level, table, rights)
    while found.status == DESCENDS:
        bus, found = look(fmt, control, bus, va, kind, user, found.level, found.table, found.above)
    return bus, found


@verb("F001", "F040", "F059", source="Intel SDM 3A 4.3 to 4.8; arch/x86/mm/fault.c:exc_page_fault")
def walk(
    fmt: X86Format, control: Control, bus: Bus, root: int, va: int, kind: int, user: bool
) -> tuple[Bus, Walk]:
    """Walk from the root table at `root`.

    Requires  0 <= va < 2**64, kind is READ, WRITE or FETCH
    Ensures   every access to a table is in the log of the bus; entries change in A and D alone
    """
    if not is_canonical(fmt, va):
        return bus, Walk(NOT_CANONICAL, fmt.top, root, 0, 0, 0, 0)
    return walk_from(fmt, control, bus, va, kind, user, fmt.top, root, ALL_RIGHTS)


def physical_address(fmt: X86Format, va: int, level: int, entry: int) -> int:
    """Where `va` lies in the page that a leaf of `level` maps."""
    return leaf_base(fmt, entry, level) | (va & ((1 << level_shift(fmt, level)) - 1))


def is_global(control: Control, entry: int) -> bool:
    """Whether a leaf's translation belongs to every PCID."""
    return control.pge and entry & GLOBAL != 0
