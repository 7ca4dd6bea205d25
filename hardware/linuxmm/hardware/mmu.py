"""One reference of a CPU: through its TLBs, or by a walk that fills them.

A hit whose rights deny the access faults at once, as a CPU may: the translation may be stale, and the fault
drops it.  A write that hits a translation without the dirty state walks again, to set D.

Intel SDM 3A 4.10.  Seed 2.3.1, 2.3.2 (F040, F041).
"""

from typing import Final, NamedTuple

from linuxmm.hardware.bus import Bus
from linuxmm.hardware.tlb import (
    CODE,
    DATA,
    MISS,
    SHARED,
    SIZES,
    TABLES,
    Shape,
    Tlb,
    insert,
    invalidate,
    lookup,
    slot_data,
    slot_tag,
    use,
)
from linuxmm.hardware.x86_walk import NOT_CANONICAL, PAGE_FAULT, TRANSLATED, Walk, is_global, walk_from
from linuxmm.spec.registry import verb
from linuxmm.spec.vm.staleness import ONE
from linuxmm.spec.vm.x86_entry import (
    ALL_RIGHTS,
    DIRTY,
    FETCH,
    PHYSICAL,
    RIGHTS,
    WRITE,
    Control,
    denied,
    error_code,
    leaf_base,
)
from linuxmm.spec.vm.x86_format import X86Format, is_canonical, level_shift, page_number

BY_FIRST: Final = 0
BY_SECOND: Final = 1
BY_TABLE: Final = 2
BY_WALK: Final = 3


class Use(NamedTuple):
    """What came of a reference.

    status   TRANSLATED, PAGE_FAULT, NOT_CANONICAL or UNSERVED
    address  physical address, for a translation
    level    of the page, for a translation
    code     error code of a page fault; the Fault when memory did not serve a table
    by       BY_FIRST or BY_SECOND for a hit at that level; BY_TABLE for a walk from a cached table; BY_WALK
    """

    status: int
    address: int
    level: int
    code: int
    by: int


def place_in(va: int, data: int, fmt: X86Format, level: int) -> int:
    """Physical address of `va` in the page of `level` that a slot's data name."""
    return (data & PHYSICAL) | (va & ((1 << level_shift(fmt, level)) - 1))


def must_walk(kind: int, data: int) -> bool:
    """Whether an access that hits has to walk again: a write through a translation that is not dirty."""
    return (kind == WRITE) & (data & DIRTY == 0)


def held(fmt: X86Format, walk: Walk) -> int:
    """Data of the slot that holds a walk's translation."""
    return leaf_base(fmt, walk.entry, walk.level) | (walk.entry & DIRTY) | (walk.rights & RIGHTS)


def fill(
    fmt: X86Format,
    shape: Shape,
    control: Control,
    tlb: Tlb,
    unit: int,
    pcid: int,
    va: int,
    walk: Walk,
    choice: int,
) -> Tlb:
    """Hold a walk's translation in both levels, and the pointer to the table of its leaf.

    Requires  walk.status is TRANSLATED
    """
    level = walk.level
    if level < fmt.top:
        parent = page_number(fmt, va, level + 1)
        pointer = walk.table | walk.above
        tlb = insert(tlb, shape, TABLES * SIZES + level, parent, pcid, False, pointer, choice)
    page = page_number(fmt, va, level)
    shared = is_global(control, walk.entry)
    data = held(fmt, walk)
    tlb = insert(tlb, shape, SHARED * SIZES + level, page, pcid, shared, data, choice)
    return insert(tlb, shape, unit * SIZES + level, page, pcid, shared, data, choice)


def walk_cached(
    fmt: X86Format,
    shape: Shape,
    control: Control,
    tlb: Tlb,
    bus: Bus,
    root: int,
    pcid: int,
    va: int,
    kind: int,
    user: bool,
) -> tuple[Bus, Walk, int]:
    """Walk from the lowest table that is cached for `va`, else from the root; BY_TABLE or BY_WALK with it."""
    level, first, rank = lookup(fmt, shape, tlb, TABLES, va, pcid)
    if level == MISS:
        bus, walk = walk_from(fmt, control, bus, va, kind, user, fmt.top, root, ALL_RIGHTS)
        return bus, walk, BY_WALK
    pointer = slot_data(tlb, first + rank)
    table = pointer & PHYSICAL
    bus, walk = walk_from(fmt, control, bus, va, kind, user, level, table, pointer & RIGHTS)
    return bus, walk, BY_TABLE


@verb("F040", "F041", "F059", source="Intel SDM 3A 4.10.2, 4.10.3; arch/x86/mm/fault.c:exc_page_fault")
def reference(
    fmt: X86Format,
    shape: Shape,
    control: Control,
    tlb: Tlb,
    bus: Bus,
    root: int,
    pcid: int,
    va: int,
    kind: int,
    user: bool,
    choice: int,
) -> tuple[Tlb, Bus, Use]:
    """One access under PCID `pcid` and the tables at `root`.

    choice  rank to give up in a full set
    Ensures a translation is one that the tables give, or one that a TLB held; a fault drops those of va
    """
    if not is_canonical(fmt, va):
        return tlb, bus, Use(NOT_CANONICAL, 0, 0, 0, BY_FIRST)
    unit = CODE if kind == FETCH else DATA
    by = BY_FIRST
    level, first, rank = lookup(fmt, shape, tlb, unit, va, pcid)
    if level == MISS:
        by = BY_SECOND
        level, first, rank = lookup(fmt, shape, tlb, SHARED, va, pcid)
    if level != MISS:
        data = slot_data(tlb, first + rank)
        if denied(control, kind, user, data & RIGHTS):
            code = error_code(fmt, control, kind, user, True, False)
            return invalidate(fmt, shape, tlb, ONE, pcid, va), bus, Use(PAGE_FAULT, 0, 0, code, by)
        if not must_walk(kind, data):
            tag = slot_tag(tlb, first + rank)
            tlb = use(tlb, first, rank, tag, data)
            if by == BY_SECOND:
                page = page_number(fmt, va, level)
                tlb = insert(tlb, shape, unit * SIZES + level, page, pcid, tag & 2 != 0, data, choice)
            return tlb, bus, Use(TRANSLATED, place_in(va, data, fmt, level), level, 0, by)
    bus, walk, by = walk_cached(fmt, shape, control, tlb, bus, root, pcid, va, kind, user)
    if walk.status != TRANSLATED:
        return invalidate(fmt, shape, tlb, ONE, pcid, va), bus, Use(walk.status, 0, 0, walk.code, by)
    tlb = fill(fmt, shape, control, tlb, unit, pcid, va, walk, choice)
    return tlb, bus, Use(TRANSLATED, place_in(va, held(fmt, walk), fmt, walk.level), walk.level, 0, by)


@verb("F041", source="Intel SDM 3A 4.10.2.3 (translations may be cached although no access was made)")
def speculate(
    fmt: X86Format,
    shape: Shape,
    control: Control,
    tlb: Tlb,
    bus: Bus,
    root: int,
    pcid: int,
    va: int,
    unit: int,
    choice: int,
) -> tuple[Tlb, Bus]:
    """A fill that no access asked for: the environment's choice, at any time.  It marks A, never D.

    unit  DATA or CODE
    """
    if not is_canonical(fmt, va):
        return tlb, bus
    unprotected = control._replace(smap=False)
    bus, walk, _ = walk_cached(fmt, shape, unprotected, tlb, bus, root, pcid, va, 0, False)
    if walk.status != TRANSLATED:
        return tlb, bus
    return fill(fmt, shape, control, tlb, unit, pcid, va, walk, choice), bus
