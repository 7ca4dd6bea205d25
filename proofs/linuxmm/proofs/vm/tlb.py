"""Theorems about a TLB's sets, over any contents: what a flush leaves, what an insertion changes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from linuxmm.hardware import tlb as hardware_tlb
from linuxmm.hardware.tlb import (
    DATA,
    PAGE_IN_TAG,
    SIZES,
    TABLES,
    Shape,
    Tlb,
    find,
    first_slot,
    insert,
    invalidate,
    room,
    shape_of,
    slot_data,
    slot_tag,
    survives,
    tag_of,
    use,
    ways_of,
)
from linuxmm.proofs.domain import Truth, Word, each, table
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.sym import as_state
from linuxmm.proofs.theorem import assume, implies, no, theorem
from linuxmm.proofs.vm.memory import AllEntries, Entries
from linuxmm.spec.vm.staleness import (
    ADDRESS,
    ALL,
    ALL_BUT_GLOBAL,
    CONTEXT,
    ONE,
    Flush,
    answers,
    drops,
    drops_table,
)
from linuxmm.spec.vm.x86_format import X86_64, is_canonical, page_number

Address = Annotated[int, Word(64)]
Pcid = Annotated[int, Word(64, below=1 << 12)]
AnyFlush = Annotated[int, each(int(flush) for flush in Flush)]
NONE: Final = ((0, 0),) * 3
INSERTED: Final = shape_of(((1, 2), *NONE[1:]), NONE, NONE)
PAGES: Final = (
    (0, shape_of(((0, 2), *NONE[1:]), NONE, NONE)),
    (1, shape_of(((0, 0), (1, 1), (0, 0)), NONE, NONE)),
)
"""Level of a page, and a TLB of one set of two ways, or of two sets of one way, for it."""
POINTERS: Final = shape_of(NONE, NONE, NONE, ((0, 2), *NONE[1:]))
SMALL_SETS: Final = "any contents of 2 slots, any address and PCID, the format of x86-64"


@dataclass(frozen=True, slots=True)
class Slots:
    """The twin of a Tlb: tag and data of every slot."""

    tags: Entries
    data: Entries


def tlb_of(slots: Slots) -> Tlb:
    """The twin, typed as what the TLB's functions take."""
    return as_state(slots, Tlb)


def slots_of(tlb: Tlb) -> Slots:
    """The twin behind a TLB."""
    return as_state(tlb, Slots)


def tag_at(tlb: Tlb, slot: int) -> int:
    tag: int = slots_of(tlb).tags[slot]
    return tag


def data_at(tlb: Tlb, slot: int) -> int:
    data: int = slots_of(tlb).data[slot]
    return data


def put_at(tlb: Tlb, slot: int, tag: int, data: int) -> Tlb:
    slots = slots_of(tlb)
    return tlb_of(replace(slots, tags=slots.tags.set(slot, tag), data=slots.data.set(slot, data)))


SLOTS: Final[dict[Callable[..., Any], Callable[..., Any]]] = {
    hardware_tlb.slot_tag: tag_at,
    hardware_tlb.slot_data: data_at,
    hardware_tlb.put_slot: put_at,
}
"""Primitives of a TLB -> their form over maps of slots."""


def finds(shape: Shape, tlb: Tlb, bank: int, ways: int, page: int, pcid: int) -> int:
    """Tag of the slot that answers for a page, 0 if none does."""
    first = first_slot(shape, bank, page)
    rank = find(tlb, first, ways, page, pcid)
    return slot_tag(tlb, first + rank) if rank < ways else 0


@theorem(
    "vm.tlb.stale-use.pages",
    "After a flush no translation that it covers is found: INVLPG leaves none for its address in its PCID "
    "and no global one, INVPCID and loads of CR3 none in their reach, a toggle of CR4.PGE none.",
    proves=(invalidate, survives, drops, find, page_number),
    features=("F041",),
    method="bounded",
    bounds=SMALL_SETS + "; pages of 4 KiB and 2 MiB",
    primitives=SLOTS,
    witness={
        "flush": ONE,
        "pages": PAGES[0],
        "tags": table({0: 5, 1: (4 << PAGE_IN_TAG) | 3}, 0),
        "data": table({}, 0),
        "target": 1,
        "flushed": 0x0,
        "va": 0x4000,
        "pcid": 1,
    },
    mutants=(
        Mutant(
            drops,
            "keeps globals at INVLPG",
            "covers & (is_global | (pcid == target))",
            "covers & (pcid == target)",
        ),
        Mutant(drops, "keeps globals always", "return flush == ALL", "return is_global ^ True"),
        Mutant(
            drops,
            "flushes another context",
            "return (pcid == target) &",
            "return (pcid != target) &",
        ),
        Mutant(invalidate, "stops a slot early", "end = slot + ways\n", "end = slot + ways - 1\n"),
        Mutant(invalidate, "looks at the first set alone", "ways << set_bits_of(shape, bank)", "ways"),
        Mutant(survives, "reads the PCID a bit too high", "(tag >> 2)", "(tag >> 3)"),
    ),
)
def no_stale_page(
    flush: AnyFlush,
    pages: Annotated[tuple[int, Shape], each(PAGES)],
    tags: AllEntries,
    data: AllEntries,
    target: Pcid,
    flushed: Address,
    va: Address,
    pcid: Pcid,
) -> bool:
    assume(is_canonical(X86_64, flushed) & is_canonical(X86_64, va))
    level, shape = pages
    page = page_number(X86_64, va, level)
    after = invalidate(X86_64, shape, tlb_of(Slots(tags, data)), flush, target, flushed)
    bank = DATA * SIZES + level
    tag = finds(shape, after, bank, ways_of(shape, bank), page, pcid)
    if tag == 0:
        return True
    covers = page == page_number(X86_64, flushed, level)
    is_global = tag & 2 != 0
    if flush == ADDRESS:
        return no(covers & (is_global | (pcid == target)))
    if flush == ONE:
        return no(covers & no(is_global) & (pcid == target))
    if flush == CONTEXT:
        return is_global | no(pcid == target)
    if flush == ALL:
        return False
    return is_global if flush == ALL_BUT_GLOBAL else True


@theorem(
    "vm.tlb.stale-use.tables",
    "After a flush no pointer to a table that it covers is found: INVLPG and a load of CR3 leave none of "
    "their PCID, INVPCID of an address none on its way, a flush of all contexts none at all.",
    proves=(invalidate, survives, drops_table, find),
    features=("F041",),
    method="bounded",
    bounds="any contents of 1 set of 2 ways, any address and PCID, the format of x86-64",
    primitives=SLOTS,
    witness={
        "flush": ONE,
        "tags": table({9 << 11: (1 << PAGE_IN_TAG) | 5}, 0),
        "data": table({}, 0),
        "target": 1,
        "flushed": 0x0,
        "va": 0x200000,
        "pcid": 1,
    },
    mutants=(
        Mutant(
            drops_table,
            "keeps other addresses at INVLPG",
            "flush == ADDRESS or flush == CONTEXT",
            "flush == CONTEXT",
        ),
        Mutant(
            drops_table,
            "keeps all of other contexts",
            "flush == ALL or flush == ALL_BUT_GLOBAL",
            "pcid == target",
        ),
        Mutant(survives, "compares the page for the table", "va, level + 1), pcid", "va, level), pcid"),
    ),
)
def no_stale_table(
    flush: AnyFlush,
    tags: AllEntries,
    data: AllEntries,
    target: Pcid,
    flushed: Address,
    va: Address,
    pcid: Pcid,
) -> bool:
    assume(is_canonical(X86_64, flushed) & is_canonical(X86_64, va))
    parent = page_number(X86_64, va, 1)
    after = invalidate(X86_64, POINTERS, tlb_of(Slots(tags, data)), flush, target, flushed)
    first = first_slot(POINTERS, TABLES * SIZES, parent)
    held = tag_of(parent, pcid, False)
    found = (slot_tag(after, first) == held) | (slot_tag(after, first + 1) == held)
    if flush == ADDRESS or flush == CONTEXT:
        return implies(found, no(pcid == target))
    if flush == ONE:
        return implies(found, no((pcid == target) & (parent == page_number(X86_64, flushed, 1))))
    return no(found) if flush in (ALL, ALL_BUT_GLOBAL) else True


def holds(tlb: Tlb, slot: int, page: int, pcid: int) -> bool:
    """Whether a slot answers for a page."""
    tag = slot_tag(tlb, slot)
    return (tag == tag_of(page, pcid, False)) | (tag == tag_of(page, pcid, True))


@theorem(
    "vm.tlb.within.insert",
    "An insertion makes the page found, once and with its data, and changes the data of no other slot: what "
    "another page finds afterwards stood in its set before.",
    proves=(insert, room, use, find, first_slot, tag_of, answers),
    features=("F041",),
    method="bounded",
    bounds=SMALL_SETS + "; pages of 4 KiB, any victim",
    primitives=SLOTS,
    witness={
        "tags": table({0: 5, 1: (4 << PAGE_IN_TAG) | 3}, 0),
        "data": table({0: 0x9007, 1: 0xA007}, 0),
        "page": 2,
        "pcid": 1,
        "shared": False,
        "value": 0xB007,
        "choice": 1,
        "other": 4,
        "under": 7,
    },
    mutants=(
        Mutant(
            insert,
            "forgets whether it is global",
            "tag_of(page, pcid, is_global)",
            "tag_of(page, pcid, False)",
        ),
        Mutant(
            insert,
            "puts it into the next set",
            "first_slot(shape, bank, page)",
            "first_slot(shape, bank, page ^ 1)",
        ),
        Mutant(room, "puts it behind an older copy", "if tag == mine or tag == shared:", "if tag == EMPTY:"),
        Mutant(
            use,
            "mixes the data of slots",
            "moved, slot_data(tlb, first + rank - 1)",
            "moved, slot_data(tlb, first + rank)",
        ),
        Mutant(tag_of, "loses the PCID", "(pcid << 2) | 1", "1"),
    ),
)
def insertion(
    tags: AllEntries,
    data: AllEntries,
    page: Annotated[int, Word(64, below=1 << 36)],
    pcid: Pcid,
    shared: Annotated[bool, Truth()],
    value: Address,
    choice: Annotated[int, each((0, 1))],
    other: Annotated[int, Word(64, below=1 << 36)],
    under: Pcid,
) -> bool:
    before = tlb_of(Slots(tags, data))
    after = insert(before, INSERTED, 0, page, pcid, shared, value, choice)
    first = first_slot(INSERTED, 0, page)
    mine = find(after, first, 2, page, pcid)
    held = (
        (mine == 0)
        & (slot_data(after, first) == value)
        & (slot_tag(after, first) == tag_of(page, pcid, shared))
    )
    twice = holds(before, first, page, pcid) & holds(before, first + 1, page, pcid)
    held = held & (twice | no(holds(after, first + 1, page, pcid)))
    place = first_slot(INSERTED, 0, other)
    rank = find(after, place, 2, other, under)
    if rank == 2:
        return held
    tag, kept = slot_tag(after, place + rank), slot_data(after, place + rank)
    inserted = answers(page, pcid, shared, other, under) & (kept == value)
    stood = (slot_tag(before, place) == tag) & (slot_data(before, place) == kept)
    stood = stood | ((slot_tag(before, place + 1) == tag) & (slot_data(before, place + 1) == kept))
    return held & (inserted | stood)
