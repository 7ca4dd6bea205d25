"""Translation look-aside buffers: banks of slots, in sets, each set in the order of last use.

A unit holds translations for data, for code (first level) or for both (second level), or pointers to tables
(a paging-structure cache); it has a bank for each size of page.  A slot is two words:

    tag   page number << 18 | PCID or ASID << 2 | global << 1 | 1; 0 for an empty slot; a global slot has
          PCID or ASID 0
    data  physical base | DIRTY if a write need not walk again | rights as gathered

Which slot of a full set is given up is the caller's choice: rank 0 is the one used last, so the last rank is
LRU.  Everything is done through `slot_tag`, `slot_data` and `put_slot`, on which compiled code and proofs set
other representations.

Intel SDM 3A 4.10.  Linux: arch/x86/include/asm/tlbflush.h.  Seed 2.3.2 (F041).
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from immutables import Map

from linuxmm.spec.registry import verb
from linuxmm.spec.vm.staleness import ADDRESS, ONE, Cached, drops, drops_table
from linuxmm.spec.vm.x86_format import LARGEST, X86Format, page_number

DATA: Final = 0
CODE: Final = 1
SHARED: Final = 2
TABLES: Final = 3
"""Units: TABLES holds pointers to tables of level 0, 1 and 2; the others pages of these levels."""
SIZES: Final = LARGEST + 1
BANKS: Final = 4 * SIZES
BANK_SHIFT: Final = 11
"""Base-2 logarithm of the slots set aside for a bank."""
PAGE_IN_TAG: Final = 18
CONTEXT_ID: Final = 0xFFFF
"""Bits of a PCID (12) or an ASID (16) in a tag."""
EMPTY: Final = 0
LRU: Final = -1
MISS: Final = SIZES
"""The level that `lookup` answers when no slot matches."""


class Shape(NamedTuple):
    """Sizes of the banks, packed: 4 bits a bank of `sets` (base-2 logarithms), 5 bits a bank of `ways`.

    A bank of 0 ways is not there.
    """

    sets: int
    ways: int


NO_SLOTS: Final[Map[int, tuple[int, int]]] = Map()


@dataclass(frozen=True, slots=True)
class Tlb:
    """One CPU's slots that are not empty: number -> (tag, data)."""

    slots: Map[int, tuple[int, int]] = NO_SLOTS


def slot_tag(tlb: Tlb, slot: int) -> int:
    """Tag of a slot, EMPTY if it is empty."""
    return tlb.slots[slot][0] if slot in tlb.slots else EMPTY


def slot_data(tlb: Tlb, slot: int) -> int:
    """Data of a slot."""
    return tlb.slots[slot][1] if slot in tlb.slots else 0


def put_slot(tlb: Tlb, slot: int, tag: int, data: int) -> Tlb:
    """The TLB with another slot; an EMPTY tag empties it."""
    if tag == EMPTY:
        return Tlb(tlb.slots.delete(slot)) if slot in tlb.slots else tlb
    return Tlb(tlb.slots.set(slot, (tag, data)))


Bank = tuple[int, int]
"""(base-2 logarithm of the sets, ways)."""
NO_BANK: Final[Bank] = (0, 0)


def shape_of(
    data: tuple[Bank, Bank, Bank],
    code: tuple[Bank, Bank, Bank],
    shared: tuple[Bank, Bank, Bank],
    tables: tuple[Bank, Bank, Bank] = (NO_BANK, NO_BANK, NO_BANK),
) -> Shape:
    """The shape with these banks, for pages of level 0, 1 and 2 each.

    Errors    ValueError for a bank that does not fit
    """
    sets = ways = 0
    for at, (set_bits, per_set) in enumerate((*data, *code, *shared, *tables)):
        if not (0 <= set_bits < 16 and 0 <= per_set < 32 and per_set << set_bits <= 1 << BANK_SHIFT):
            raise ValueError(
                f"bank {at}: 2**{set_bits} sets of {per_set} ways exceed {1 << BANK_SHIFT} slots"
            )
        sets |= set_bits << (4 * at)
        ways |= per_set << (5 * at)
    return Shape(sets, ways)


SKYLAKE: Final = shape_of(
    data=((4, 4), (3, 4), (0, 4)),
    code=((4, 8), (0, 8), NO_BANK),
    shared=((7, 12), (6, 12), (2, 4)),
    tables=((3, 4), (0, 4), (0, 2)),
)
"""About an Intel core of 2015; its shared entries of 4 KiB and 2 MiB pages are in banks of their own here."""

TINY: Final = shape_of(
    data=((0, 2), (0, 1), (0, 1)),
    code=((0, 2), (0, 1), NO_BANK),
    shared=((1, 2), (0, 2), (0, 1)),
    tables=((0, 2), (0, 1), (0, 1)),
)
"""For tests: evicts at once."""


def ways_of(shape: Shape, bank: int) -> int:
    """Slots of each set of a bank; 0 if the bank is not there."""
    return (shape.ways >> (5 * bank)) & 31


def set_bits_of(shape: Shape, bank: int) -> int:
    """Base-2 logarithm of the sets of a bank."""
    return (shape.sets >> (4 * bank)) & 15


def first_slot(shape: Shape, bank: int, page: int) -> int:
    """Number of the first slot of the set that may hold `page`."""
    within = page & ((1 << set_bits_of(shape, bank)) - 1)
    return (bank << BANK_SHIFT) + within * ways_of(shape, bank)


def tag_of(page: int, pcid: int, is_global: bool) -> int:
    """Tag of a slot that holds `page`."""
    if is_global:
        return (page << PAGE_IN_TAG) | 3
    return (page << PAGE_IN_TAG) | (pcid << 2) | 1


def find(tlb: Tlb, first: int, ways: int, page: int, pcid: int) -> int:
    """Rank of the slot that answers for `page` under `pcid` in the set at `first`; `ways` if none does."""
    mine = tag_of(page, pcid, False)
    shared = tag_of(page, pcid, True)
    rank = 0
    while rank < ways:
        tag = slot_tag(tlb, first + rank)
        if tag == mine or tag == shared:
            return rank
        rank += 1
    return ways


def room(tlb: Tlb, first: int, ways: int, page: int, pcid: int, choice: int) -> int:
    """Rank that an insertion takes: of what answers for the page, else the first empty one, else `choice`."""
    mine = tag_of(page, pcid, False)
    shared = tag_of(page, pcid, True)
    empty = ways
    rank = 0
    while rank < ways:
        tag = slot_tag(tlb, first + rank)
        if tag == mine or tag == shared:
            return rank
        if tag == EMPTY:
            empty = min(empty, rank)
        rank += 1
    return empty if empty < ways else choice % ways


def use(tlb: Tlb, first: int, rank: int, tag: int, data: int) -> Tlb:
    """Put (tag, data) first in the set; what stood at `rank` is gone, those before it move up."""
    while rank > 0:
        moved = slot_tag(tlb, first + rank - 1)
        tlb = put_slot(tlb, first + rank, moved, slot_data(tlb, first + rank - 1))
        rank -= 1
    return put_slot(tlb, first, tag, data)


@verb("F041", source="Intel SDM 3A 4.10.2.2 (TLBs may hold what a walk gave)")
def insert(
    tlb: Tlb, shape: Shape, bank: int, page: int, pcid: int, is_global: bool, data: int, choice: int
) -> Tlb:
    """Hold a translation: in place of one for the same page, else in an empty slot, else at `choice`.

    choice  the rank to give up if the set is full, taken modulo its ways: LRU for the one used longest ago
    """
    ways = ways_of(shape, bank)
    if ways == 0:
        return tlb
    first = first_slot(shape, bank, page)
    rank = room(tlb, first, ways, page, pcid, choice)
    return use(tlb, first, rank, tag_of(page, pcid, is_global), data)


def levels_of(fmt: X86Format, unit: int) -> int:
    """How many banks of a unit a format can fill: pages of every level, or tables below the root."""
    return min(SIZES, fmt.top if unit == TABLES else fmt.top + 1)


def may_hold(tlb: Tlb, shape: Shape, bank: int) -> bool:
    """Whether it is worth looking into a bank."""
    return ways_of(shape, bank) != 0


def lookup(fmt: X86Format, shape: Shape, tlb: Tlb, unit: int, va: int, pcid: int) -> tuple[int, int, int]:
    """(level, first slot of the set, rank) of what `unit` holds for an address; the level is MISS if nothing.

    Of pages the smallest is tried first; of tables the lowest, which saves most of the walk.
    """
    end = levels_of(fmt, unit)
    level = 0
    while level < end:
        bank = unit * SIZES + level
        if may_hold(tlb, shape, bank):
            ways = ways_of(shape, bank)
            page = page_number(fmt, va, level + 1 if unit == TABLES else level)
            first = first_slot(shape, bank, page)
            rank = find(tlb, first, ways, page, pcid)
            if rank < ways:
                return level, first, rank
        level += 1
    return MISS, 0, 0


def survives(fmt: X86Format, bank: int, tag: int, flush: int, target: int, va: int) -> bool:
    """Whether a slot of a bank with this tag, not EMPTY, stays after a flush."""
    level = bank % SIZES
    page = tag >> PAGE_IN_TAG
    pcid = (tag >> 2) & CONTEXT_ID
    if bank // SIZES == TABLES:
        return not drops_table(flush, target, page == page_number(fmt, va, level + 1), pcid)
    return not drops(flush, target, page == page_number(fmt, va, level), pcid, tag & 2 != 0)


@verb("F041", source="Intel SDM 3A 4.10.4.1; arch/x86/include/asm/invpcid.h")
def invalidate(fmt: X86Format, shape: Shape, tlb: Tlb, flush: int, target: int, va: int) -> Tlb:
    """Drop what a flush reaches, and nothing else.

    flush   of `linuxmm.spec.vm.staleness.Flush`;  target: the PCID that it names
    Ensures `lookup` finds nothing that the flush covers
    """
    bank = 0
    while bank < BANKS:
        unit = bank // SIZES
        level = bank % SIZES
        ways = ways_of(shape, bank)
        if ways != 0 and level < levels_of(fmt, unit):
            slot = bank << BANK_SHIFT
            end = slot + (ways << set_bits_of(shape, bank))
            if (flush == ADDRESS or flush == ONE) and unit != TABLES:
                slot = first_slot(shape, bank, page_number(fmt, va, level))
                end = slot + ways
            while slot < end:
                tag = slot_tag(tlb, slot)
                if tag != EMPTY and not survives(fmt, bank, tag, flush, target, va):
                    tlb = put_slot(tlb, slot, EMPTY, 0)
                slot += 1
        bank += 1
    return tlb


def cached_at(tlb: Tlb, slot: int) -> Cached:
    """What a slot holds, as the specification describes it.

    Requires  the slot is not empty
    """
    unit, level = divmod(slot >> BANK_SHIFT, SIZES)
    tag = slot_tag(tlb, slot)
    context = (tag >> 2) & CONTEXT_ID
    return Cached(context, tag & 2 != 0, level, tag >> PAGE_IN_TAG, unit == TABLES, slot_data(tlb, slot))


def held_by(tlb: Tlb) -> frozenset[Cached]:
    """All that the TLB holds."""
    return frozenset(cached_at(tlb, slot) for slot in tlb.slots)
