"""Sets of a TLB four slots at a time: the search and the order of last use, as vectors.

A slot is two words, so four slots are one line of cache.  What is found and where it is put are those of
`linuxmm.hardware.tlb`: the functions here stand for its own in compiled code, where they cost no branch for
each slot.
"""

from functools import reduce
from operator import or_
from types import FunctionType
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy import uintp as U  # noqa: N812

from linuxmm.fast.arena import Int64s
from linuxmm.fast.prefetch import COMPILED as ASKING
from linuxmm.fast.prefetch import ask
from linuxmm.hardware import tlb as hardware_tlb
from linuxmm.hardware.mmu import must_walk, place_in
from linuxmm.hardware.tlb import (
    BANK_SHIFT,
    CODE,
    DATA,
    EMPTY,
    LRU,
    SHARED,
    SIZES,
    Shape,
    Tlb,
    first_slot,
    slot_data,
    slot_tag,
    tag_of,
    ways_of,
)
from linuxmm.hardware.tlb import find as find_one_by_one
from linuxmm.hardware.tlb import use as use_one_by_one
from linuxmm.spec.relink import Function
from linuxmm.spec.vm.x86_entry import DIRTY, FETCH, RIGHTS, Control, denied
from linuxmm.spec.vm.x86_format import X86Format, is_canonical, page_number

LANES: Final = 8
FOUR: Final = 4
"""Slots that are looked at together."""
NO_PAGE: Final = -1 << 60
AHEAD: Final = 4
"""How many references ahead a set is asked for."""
MASK: Final = (1 << 46) - 1
"""Bits of a checksum."""
_WORD: Final = ir.IntType(64)
_LINE: Final = ir.VectorType(_WORD, LANES)
_PAIR: Final = ir.VectorType(_WORD, 2)
_TAGS: Final = 0x55
"""Lanes of a line that hold tags."""


def _masks(builder: Any) -> Any:
    """Row r: ones in the lanes of the slots behind rank r.

    A table, so that lines are always stored whole: what is stored in part is slow to read again.
    """
    rows = [[-1 if lane // 2 > rank else 0 for lane in range(LANES)] for rank in range(FOUR)]
    kind = ir.ArrayType(_LINE, FOUR)
    name = "linuxmm_slots_behind"
    if name not in builder.module.globals:
        table = ir.GlobalVariable(builder.module, kind, name)
        table.linkage = "internal"
        table.global_constant = True
        table.initializer = ir.Constant(kind, [ir.Constant(_LINE, row) for row in rows])
    return builder.module.globals[name]


def lines_of(words: int) -> Int64s:
    """Words that are 0, the first at the start of a line of cache."""
    room = np.zeros(words + LANES, np.int64)
    skipped = -(room.ctypes.data >> 3) % LANES
    return room[skipped : skipped + words]


def _splat(builder: Any, value: Any) -> Any:
    one = builder.insert_element(ir.Constant(_LINE, ir.Undefined), value, ir.IntType(32)(0))
    indices = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(one, one, indices)


def _line(context: Any, builder: Any, kind: Any, array: Any, at: Any) -> Any:
    """Where four slots stand."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), _LINE.as_pointer())


def _load(builder: Any, place: Any) -> Any:
    line = builder.load(place)
    line.align = 8
    return line


@intrinsic  # type: ignore[untyped-decorator]
def matches(typing: Any, slots: Any, at: Any, one: Any, other: Any) -> Any:
    """Bit 2 * n: the tag of slot n of the four at word `at` is `one` or `other`."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        line = _load(builder, _line(context, builder, signature.args[0], arguments[0], arguments[1]))
        first = builder.icmp_signed("==", line, _splat(builder, arguments[2]))
        second = builder.icmp_signed("==", line, _splat(builder, arguments[3]))
        byte = builder.bitcast(builder.or_(first, second), ir.IntType(LANES))
        return builder.and_(builder.zext(byte, _WORD), _WORD(_TAGS))

    return types.int64(slots, types.int64, types.int64, types.int64), emit


@intrinsic  # type: ignore[untyped-decorator]
def lowest(typing: Any, mask: Any) -> Any:
    """Number of the lowest bit of a mask that is not 0."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.int64(types.int64), emit


def _shifted(builder: Any, line: Any, pair: Any) -> Any:
    """A line after a slot of two words came first and the others moved up by one."""
    index = ir.IntType(32)
    spread = ir.Constant(ir.VectorType(index, LANES), [0, 1] * (LANES // 2))
    wide = builder.shuffle_vector(pair, pair, spread)
    order = ir.Constant(ir.VectorType(index, LANES), [LANES, LANES + 1, *range(LANES - 2)])
    return builder.shuffle_vector(line, wide, order)


def _moved_up(builder: Any, line: Any, pair: Any, rank: Any) -> Any:
    """A line after a slot of two words came first and those before `rank`, below FOUR, moved up by one."""
    kept = builder.load(builder.gep(_masks(builder), [ir.IntType(32)(0), rank]))
    moved = builder.and_(_shifted(builder, line, pair), builder.not_(kept))
    return builder.or_(builder.and_(line, kept), moved)


def _pair(builder: Any, tag: Any, data: Any) -> Any:
    index = ir.IntType(32)
    pair = builder.insert_element(ir.Constant(_PAIR, ir.Undefined), tag, index(0))
    return builder.insert_element(pair, data, index(1))


@intrinsic  # type: ignore[untyped-decorator]
def shift(typing: Any, slots: Any, at: Any, tag: Any, data: Any) -> Any:
    """Put (tag, data) first of the four slots at word `at`; the others move up by one, the last one out."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _line(context, builder, signature.args[0], arguments[0], arguments[1])
        line = _load(builder, place)
        stored = builder.store(_shifted(builder, line, _pair(builder, *arguments[2:])), place)
        stored.align = 8
        index = ir.IntType(32)
        last = [builder.extract_element(line, index(lane)) for lane in (LANES - 2, LANES - 1)]
        return context.make_tuple(builder, signature.return_type, last)

    pair = types.UniTuple(types.int64, 2)
    return pair(slots, types.int64, types.int64, types.int64), emit


@intrinsic  # type: ignore[untyped-decorator]
def push(typing: Any, slots: Any, at: Any, rank: Any, tag: Any, data: Any) -> Any:
    """Put (tag, data) first of the four slots at word `at`; those before `rank`, below FOUR, move up."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _line(context, builder, signature.args[0], arguments[0], arguments[1])
        pair = _pair(builder, *arguments[3:])
        stored = builder.store(_moved_up(builder, _load(builder, place), pair, arguments[2]), place)
        stored.align = 8
        return context.get_dummy_value()

    return types.void(slots, types.int64, types.int64, types.int64, types.int64), emit


@intrinsic  # type: ignore[untyped-decorator]
def promote(typing: Any, slots: Any, at: Any, rank: Any) -> Any:
    """Put the slot of a rank first of the four at word `at`."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _line(context, builder, signature.args[0], arguments[0], arguments[1])
        line = _load(builder, place)
        found = builder.gep(builder.bitcast(place, _PAIR.as_pointer()), [arguments[2]])
        stored = builder.store(_moved_up(builder, line, _load(builder, found), arguments[2]), place)
        stored.align = 8
        return context.get_dummy_value()

    return types.void(slots, types.int64, types.int64), emit


def find(tlb: Any, first: int, ways: int, page: int, pcid: int) -> int:
    mine = tag_of(page, pcid, False)
    shared = tag_of(page, pcid, True)
    rank = 0
    while rank < ways:
        found = matches(tlb.slots, (first + rank) << 1, mine, shared)
        if found != 0:
            return min(rank + (lowest(found) >> 1), ways)  # type: ignore[no-any-return]
        rank += FOUR
    return ways


def room(tlb: Any, first: int, ways: int, page: int, pcid: int, choice: int) -> int:
    mine = tag_of(page, pcid, False)
    shared = tag_of(page, pcid, True)
    empty = ways
    rank = 0
    while rank < ways:
        at = (first + rank) << 1
        found = matches(tlb.slots, at, mine, shared)
        if found != 0 and rank + (lowest(found) >> 1) < ways:
            return rank + (lowest(found) >> 1)  # type: ignore[no-any-return]
        found = matches(tlb.slots, at, EMPTY, EMPTY)
        if found != 0:
            empty = min(empty, rank + (lowest(found) >> 1))
        rank += FOUR
    if empty < ways:
        return empty
    return ways - 1 if choice == LRU else choice % ways


def ask_shared_at(fmt: X86Format, shape: Shape, tlb: Any, words: Int64s, at: int) -> None:
    """Have the second-level set brought in that may hold the 4 KiB page of a reference of a stream."""


def _ask_shared_at(fmt: X86Format, shape: Shape, tlb: Any, words: Int64s, at: int) -> None:
    if at >= words.size:
        return
    at = first_slot(shape, SHARED * SIZES, page_number(fmt, words[U(at)] >> 4, 0)) << 1
    ask(tlb.slots, at)
    if ways_of(shape, SHARED * SIZES) > FOUR:
        ask(tlb.slots, at + LANES)
        ask(tlb.slots, at + 2 * LANES)


def use(tlb: Any, first: int, rank: int, tag: int, data: int) -> Any:
    tlb.held[first >> BANK_SHIFT] = 1
    at = first << 1
    while rank >= FOUR:
        tag, data = shift(tlb.slots, at, tag, data)
        rank -= FOUR
        at += LANES
    push(tlb.slots, at, rank, tag, data)
    return tlb


def near(tlb: Any, first: int, ways: int, page: int, pcid: int) -> int:
    """Rank of the slot that answers for `page` among the first four of a set, or -1."""
    rank = find_one_by_one(tlb, first, min(ways, FOUR), page, pcid)
    return rank if rank < min(ways, FOUR) else -1


def _near(tlb: Any, first: int, ways: int, page: int, pcid: int) -> int:
    found = matches(tlb.slots, first << 1, tag_of(page, pcid, False), tag_of(page, pcid, True))
    if found == 0:
        return -1
    rank: int = lowest(found) >> 1
    return rank if rank < ways else -1


def again(tlb: Any, first: int, rank: int, tag: int, data: int) -> Any:
    """`use` of a slot among the first four of a set, as it is."""
    return use_one_by_one(tlb, first, rank, tag, data)


def _again(tlb: Any, first: int, rank: int, tag: int, data: int) -> Any:
    promote(tlb.slots, first << 1, rank)
    return tlb


def with_address(checksum: int, address: int) -> int:
    """The checksum of what a run translated, with one more physical address."""
    return (checksum * 31 + (address >> 12) + 7) & MASK


def permitted(control: Control) -> Int64s:
    """Two words for each code of an access: it may use a slot as it is if the bits of its data that the first
    names are those of the second.

    Requires  what `denied` and `must_walk` permit can be said so, which is checked
    """
    words = np.zeros(16, np.int64)
    states = [at & RIGHTS | (DIRTY if at & 8 else 0) for at in range(16)]
    for code in range(8):
        kind, user = code & 3, code & 4 == 0
        good = [
            at for at in states if not denied(control, kind, user, at & RIGHTS) and not must_walk(kind, at)
        ]
        value = good[0] if good else 1 << 62
        mask = (RIGHTS | DIRTY) & ~reduce(or_, (at ^ value for at in good), 0)
        if [at for at in states if at & mask == value & mask and good] != good:
            raise ValueError(f"{control}: an access of code {code} asks for more than certain bits")
        words[2 * code], words[2 * code + 1] = mask, value & mask if good else value
    return words


def may_use(words: Int64s, code: int, data: int) -> bool:
    """Whether an access of `code` may use a slot with these data; words are those of `permitted`."""
    return data & words[U(code << 1)] == words[U((code << 1) + 1)]  # type: ignore[no-any-return]


def hit(
    fmt: X86Format, shape: Shape, words: Int64s, tlb: Tlb, pcid: int, va: int, code: int
) -> tuple[Tlb, int, bool]:
    """What `linuxmm.hardware.mmu.reference` does with an access that a first-level slot of a 4 KiB page
    serves: the slot's data, and whether one does; if not, nothing is done.

    words  those of `permitted`
    """
    if not is_canonical(fmt, va):
        return tlb, 0, False
    page = page_number(fmt, va, 0)
    fetch = code & 3 == FETCH
    data_first, code_first = first_slot(shape, DATA * SIZES, page), first_slot(shape, CODE * SIZES, page)
    data_ways, code_ways = ways_of(shape, DATA * SIZES), ways_of(shape, CODE * SIZES)
    first = code_first if fetch else data_first
    rank = near(tlb, first, code_ways if fetch else data_ways, page, pcid)
    if rank < 0:
        return tlb, 0, False
    data = slot_data(tlb, first + rank)
    if not may_use(words, code, data):
        return tlb, 0, False
    return again(tlb, first, rank, slot_tag(tlb, first + rank), data), data, True


def stretch(
    fmt: X86Format,
    shape: Shape,
    permits: Int64s,
    tlb: Tlb,
    pcid: int,
    words: Int64s,
    at: int,
    checksum: int,
) -> tuple[Tlb, int, int, int]:
    """Make the references from `at` on that `hit` makes: (TLB, the first that it does not make, checksum, the
    last address).

    The slot of the page that data, or code, was last in is the first of its set: it is used as it is.
    """
    address = 0
    data_page = code_page = NO_PAGE
    data_slot = code_slot = 0
    while at < words.size:
        word = words[U(at)]
        if word & 8 != 0:
            break
        code = word & 15
        va = word >> 4
        fetch = code & 3 == FETCH
        slot = code_slot if fetch else data_slot
        if va >> 12 != (code_page if fetch else data_page) or not may_use(permits, code, slot):
            tlb, slot, served = hit(fmt, shape, permits, tlb, pcid, va, code)
            if not served:
                break
            if fetch:
                code_page = va >> 12
                code_slot = slot
            else:
                data_page = va >> 12
                data_slot = slot
        address = place_in(va, slot, fmt, 0)
        checksum = with_address(checksum, address)
        at += 1
    return tlb, at, checksum, address


DENIED: Final = 0


def _denied_by_table(control: Control, kind: int, user: bool, rights: int) -> bool:
    return (DENIED >> ((user << 5) | (kind << 3) | rights)) & 1 != 0


def without_branches(control: Control) -> dict[Function, Function]:
    """What stands for `denied` in compiled code for these control bits: a table of its answers."""
    table = 0
    for at in range(64):
        kind, user = (at >> 3) & 3, at >= 32
        if kind <= FETCH and denied(control, kind, user, at & RIGHTS):
            table |= 1 << at
    namespace = {**_denied_by_table.__globals__, "DENIED": table}
    made = FunctionType(_denied_by_table.__code__, namespace, "denied")
    made.__module__, made.__qualname__ = __name__, f"denied_{table:x}"
    return {denied: made}


COMPILED: Final[dict[Function, Function]] = ASKING | {
    hardware_tlb.find: find,
    hardware_tlb.room: room,
    hardware_tlb.use: use,
    near: _near,
    ask_shared_at: _ask_shared_at,
    again: _again,
}
"""What searches and orders sets in compiled code."""
