"""A processing element of arm64 as its instructions see translation: TTBRs, TLBI, DSB, references.

The TLB is that of `linuxmm.hardware.tlb`, with ASIDs; its addresses have 49 bits, since both halves of the
address space have 48.  A hit whose rights deny the access aborts and stays: unlike x86, Arm does not say that
it goes.  A write that hits a clean translation walks again, to make the descriptor writable.

Operations that are broadcast wait at every element until it does them; DSB ends when all have.

Arm ARM D8.12 (TLB), D8.14 (maintenance), B2.3.12 (DSB).  Linux: arch/arm64/include/asm/tlbflush.h,
arch/arm64/mm/context.c.  Seed 2.3.2 (F041).
"""

from dataclasses import dataclass, replace
from typing import Final

from linuxmm.hardware.arm64_walk import Arm64Walk, physical_address, walk, walk_from
from linuxmm.hardware.bus import Bus
from linuxmm.hardware.mmu import BY_FIRST, BY_SECOND, BY_TABLE, BY_WALK, Use
from linuxmm.hardware.table_format import Access
from linuxmm.hardware.tlb import (
    CODE,
    DATA,
    EMPTY,
    MISS,
    SHARED,
    SIZES,
    TABLES,
    Shape,
    Tlb,
    cached_at,
    insert,
    lookup,
    put_slot,
    slot_data,
    slot_tag,
    use,
)
from linuxmm.hardware.x86_walk import PAGE_FAULT, TRANSLATED
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Event, Step
from linuxmm.spec.vm.arm64_entry import (
    ADDRESS,
    AP_READ_ONLY,
    FSC_PERMISSION,
    FSC_TRANSLATION,
    NG,
    Arm64Control,
    denied,
    half_of,
    syndrome,
)
from linuxmm.spec.vm.arm64_tlbi import SHAPE, Operation, must_drop, must_drop_table, overlaps
from linuxmm.spec.vm.staleness import Cached
from linuxmm.spec.vm.x86_entry import FETCH, READ, WRITE
from linuxmm.spec.vm.x86_format import page_number

LAST: Final = 3
LIMITS: Final = 0xF << 59
ASID_SHIFT: Final = 48
ROOT: Final = (1 << ASID_SHIFT) - 1
DEFAULT: Final = Arm64Control()
COLD: Final = Tlb()


@dataclass(frozen=True, slots=True)
class Dropped(Event):
    """An element has done an operation."""

    element: int
    operation: Operation


@dataclass(frozen=True, slots=True)
class Element:
    """What decides an element's translations.

    ttbr0, ttbr1  root of each half; the ASID in bits 48 to 63 of one of them
    a1            TCR_EL1.A1: the ASID is TTBR1's (Linux since 4.16)
    """

    shape: Shape
    control: Arm64Control = DEFAULT
    ttbr0: int = 0
    ttbr1: int = 0
    a1: bool = True
    tlb: Tlb = COLD


def asid_of(element: Element) -> int:
    """The current ASID."""
    return (element.ttbr1 if element.a1 else element.ttbr0) >> ASID_SHIFT


def roots_of(element: Element) -> tuple[int, int]:
    """Physical addresses of both roots."""
    return element.ttbr0 & ROOT & ~1, element.ttbr1 & ROOT & ~1


def held(walked: Arm64Walk) -> int:
    """Data of the slot that holds a walk's translation: the descriptor, with the limits of levels above."""
    return (walked.entry & ~LIMITS) | walked.limits


def _fill(element: Element, va: int, unit: int, walked: Arm64Walk, choice: int) -> Element:
    level, tlb, asid = LAST - walked.level, element.tlb, asid_of(element)
    if walked.level > 0:
        parent = page_number(SHAPE, va, level + 1)
        pointer = walked.table | walked.limits
        tlb = insert(tlb, element.shape, TABLES * SIZES + level, parent, asid, False, pointer, choice)
    page, shared, data = page_number(SHAPE, va, level), walked.entry & NG == 0, held(walked)
    for kind in (SHARED, unit):
        tlb = insert(tlb, element.shape, kind * SIZES + level, page, asid, shared, data, choice)
    return replace(element, tlb=tlb)


def _walk(element: Element, bus: Bus, va: int, kind: int, user: bool) -> tuple[Bus, Arm64Walk, int]:
    """Walk from the lowest cached table, else from the root."""
    level, first, rank = lookup(SHAPE, element.shape, element.tlb, TABLES, va, asid_of(element))
    if level == MISS:
        bus, walked = walk(element.control, bus, *roots_of(element), va, kind, user)
        return bus, walked, BY_WALK
    pointer = slot_data(element.tlb, first + rank)
    table, limits = pointer & ADDRESS, pointer & LIMITS
    bus, walked = walk_from(element.control, bus, va, kind, user, LAST - level, table, limits)
    return bus, walked, BY_TABLE


def _off(control: Arm64Control, va: int) -> bool:
    half = half_of(va)
    return half == 2 or (half == 0 and control.epd0) or (half == 1 and control.epd1)


def _must_walk(element: Element, kind: int, data: int) -> bool:
    """Whether an access that hits has to walk again: a write that makes a clean descriptor writable."""
    return kind == WRITE and data & AP_READ_ONLY != 0 and element.control.hd


@verb("F040", "F041", "F059", source="Arm ARM D8.12; arch/arm64/mm/fault.c:do_mem_abort")
def refer(element: Element, bus: Bus, access: Access, choice: int) -> Step[tuple[Element, Bus], Use]:
    """One access; `choice` is the rank to give up in a full set.

    Ensures   a translation is one that the tables give, or that the TLB held; Use.level counts as Arm does
    """
    va, kind, user = access.va, access.kind, access.user
    if _off(element.control, va):
        code = syndrome(kind, user, FSC_TRANSLATION, 0)
        return Step((element, bus), Use(PAGE_FAULT, 0, 0, code, BY_FIRST))
    unit, by = (CODE if kind == FETCH else DATA), BY_FIRST
    shape, tlb, asid = element.shape, element.tlb, asid_of(element)
    level, first, rank = lookup(SHAPE, shape, tlb, unit, va, asid)
    if level == MISS:
        by = BY_SECOND
        level, first, rank = lookup(SHAPE, shape, tlb, SHARED, va, asid)
    if level != MISS:
        data, tag = slot_data(tlb, first + rank), slot_tag(tlb, first + rank)
        if denied(element.control, kind, user, data & LIMITS, data):
            code = syndrome(kind, user, FSC_PERMISSION, LAST - level)
            return Step((element, bus), Use(PAGE_FAULT, 0, LAST - level, code, by))
        if not _must_walk(element, kind, data):
            tlb = use(tlb, first, rank, tag, data)
            if by == BY_SECOND:
                page = page_number(SHAPE, va, level)
                tlb = insert(tlb, shape, unit * SIZES + level, page, asid, tag & 2 != 0, data, choice)
            found = physical_address(va, LAST - level, data & ~LIMITS)
            return Step((replace(element, tlb=tlb), bus), Use(TRANSLATED, found, LAST - level, 0, by))
    bus, walked, by = _walk(element, bus, va, kind, user)
    if walked.status != TRANSLATED:
        return Step((element, bus), Use(walked.status, 0, walked.level, walked.code, by))
    found = physical_address(va, walked.level, walked.entry)
    after = _fill(element, va, unit, walked, choice)
    return Step((after, bus), Use(TRANSLATED, found, walked.level, 0, by))


@verb("F041", source="Arm ARM D8.12.1 (translations may be cached although no access was made)")
def speculate(element: Element, bus: Bus, va: int, unit: int, choice: int) -> tuple[Element, Bus]:
    """A fill that no access asked for: only of a descriptor whose access flag is set.

    unit  DATA or CODE
    """
    if _off(element.control, va):
        return element, bus
    passive = replace(element, control=element.control._replace(ha=False, hd=False, pan=False))
    bus, walked, _ = _walk(passive, bus, va, READ, False)
    return (_fill(element, va, unit, walked, choice), bus) if walked.status == TRANSLATED else (element, bus)


def dropped_by(operation: Operation, cached: Cached) -> bool:
    """Whether an operation must drop something cached."""
    width = operation.end - operation.start
    start = page_number(SHAPE, operation.start, 0) << 12
    size = cached.level + 1 if cached.table else cached.level
    covers = overlaps(cached.page, size, start, start + width)
    kind, asid, hint, level = operation.kind, operation.asid, operation.level, LAST - cached.level
    if cached.table:
        return must_drop_table(kind, asid, hint, covers, level, cached.pcid)
    return must_drop(kind, asid, hint, covers, level, cached.pcid, cached.is_global)


@verb("F041", source="Arm ARM D8.14.5; arch/arm64/include/asm/tlbflush.h:local_flush_tlb_all")
def tlbi(element: Element, operation: Operation) -> Element:
    """The element drops what an operation reaches, and nothing else."""
    tlb = element.tlb
    for slot in element.tlb.slots:
        if dropped_by(operation, cached_at(element.tlb, slot)):
            tlb = put_slot(tlb, slot, EMPTY, 0)
    return replace(element, tlb=tlb)


# ---- several elements --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Broadcast:
    """An operation on its way: who issued it, its number, and the element that has not done it yet."""

    number: int
    sender: int
    target: int
    operation: Operation


@dataclass(frozen=True, slots=True)
class Elements:
    """Elements of one Inner Shareable domain, and what they have not done yet, in no order."""

    elements: tuple[Element, ...]
    pending: frozenset[Broadcast] = frozenset()
    next_number: int = 0


def with_element(machine: Elements, number: int, element: Element) -> Elements:
    """The machine with another element at a number."""
    elements = (*machine.elements[:number], element, *machine.elements[number + 1 :])
    return replace(machine, elements=elements)


@verb("F041", source="Arm ARM D8.14.5; arch/arm64/include/asm/tlbflush.h:__tlbi")
def issue(machine: Elements, sender: int, operation: Operation) -> Elements:
    """TLBI: the sender does it at once or later, as the others do when it is broadcast."""
    number = machine.next_number
    targets = range(len(machine.elements)) if operation.everywhere else (sender,)
    asked = {Broadcast(number, sender, target, operation) for target in targets}
    return replace(machine, pending=machine.pending | asked, next_number=number + 1)


@verb("F041", source="Arm ARM D8.14.5 (completion of TLB maintenance)")
def perform(machine: Elements, broadcast: Broadcast) -> Step[Elements, None]:
    """An element does an operation that waits for it; which and when is the environment's choice.

    Requires  broadcast in machine.pending
    """
    target = broadcast.target
    after = with_element(machine, target, tlbi(machine.elements[target], broadcast.operation))
    done = Dropped(target, broadcast.operation)
    return Step(replace(after, pending=machine.pending - {broadcast}), None, (done,))


@verb("F041", source="arch/arm64/include/asm/tlbflush.h:__tlbi_sync_s1ish; Arm ARM B2.3.12")
def may_pass(machine: Elements, sender: int) -> bool:
    """Whether a DSB of an element ends: all that it has issued is done everywhere."""
    return all(one.sender != sender for one in machine.pending)
