"""TLB maintenance of arm64, EL1&0: what an operation names, what it must drop, and its operand.

A cached leaf may be global or of an ASID; a pointer to a table is of an ASID always.  An operation that names
the last level leaves pointers to tables alone.  With a wrong hint of the level (TTL) nothing must go.

Arm ARM C5.5 (TLBI), D8.14.  Linux: arch/arm64/include/asm/tlbflush.h.  Seed 2.3.2 (F041).
"""

from enum import IntEnum
from typing import Final, NamedTuple

from linuxmm.spec.registry import formula
from linuxmm.spec.vm.x86_format import X86Format, level_shift

SHAPE: Final = X86Format(3, 9, 9, 3, 49, 48, 0b110, 0)
"""How a TLB compares arm64's addresses: 4 KiB pages, 4 levels; bit 48 tells the upper half from the lower.

Levels count from the page as `x86_format` counts them: 3 minus Arm's level."""


class Tlbi(IntEnum):
    """Operations, by the part of a mnemonic between TLBI and the shareability.

    VMALLE1   everything
    ASIDE1    all of an ASID, not the globals
    VAE1      what translates an address in an ASID, or is global; VALE1: leaves only
    VAAE1     what translates an address in any ASID; VAALE1: leaves only
    RVAE1, RVALE1, RVAAE1, RVAALE1  the same for a range of pages (Armv8.4)
    """

    VMALLE1 = 0
    ASIDE1 = 1
    VAE1 = 2
    VALE1 = 3
    VAAE1 = 4
    VAALE1 = 5
    RVAE1 = 6
    RVALE1 = 7
    RVAAE1 = 8
    RVAALE1 = 9


VMALLE1: Final = 0
ASIDE1: Final = 1
VAE1: Final = 2
VALE1: Final = 3
VAAE1: Final = 4
VAALE1: Final = 5
_RANGES: Final = 4
"""From an operation on an address to that on a range."""
_PAGES_4K: Final = 1
_ADDRESS: Final = (1 << 44) - 1
_BASE: Final = (1 << 37) - 1


class Operation(NamedTuple):
    """An operation and what it names.

    start, end  addresses, half open, of the pages that it names; without meaning for VMALLE1 and ASIDE1
    level       0 to 3: the hint that the leaf stands at this level of Arm's; -1 for no hint
    everywhere  broadcast to all CPUs (the Inner Shareable form)
    """

    kind: int
    asid: int = 0
    start: int = 0
    end: int = 0
    level: int = -1
    everywhere: bool = True


@formula("F041", source="Arm ARM C5.5 (TLBI VAE1, VALE1, RVAE1)")
def leaves_only(kind: int) -> bool:
    """Whether an operation leaves pointers to tables alone."""
    return kind >= VAE1 and kind & 1 == 1


@formula("F041", source="Arm ARM C5.5 (TLBI VAAE1, VAALE1)")
def any_asid(kind: int) -> bool:
    """Whether an operation on addresses is for every ASID."""
    return kind == VAAE1 or kind == VAALE1 or kind == VAAE1 + _RANGES or kind == VAALE1 + _RANGES


@formula("F041", source="Arm ARM D8.14.5 (scope of TLB maintenance)")
def must_drop(kind: int, asid: int, hint: int, covers: bool, level: int, of: int, is_global: bool) -> bool:
    """Whether an operation must drop a cached leaf.

    hint    level that it names, -1 for none;  level: Arm's level of the leaf
    covers  whether a page that it names lies in the leaf's
    of      ASID of the leaf
    """
    if kind == VMALLE1:
        return True
    if kind == ASIDE1:
        return (of == asid) & (is_global ^ True)
    named = (hint == -1) | (hint == level)
    return covers & named & (is_global | any_asid(kind) | (of == asid))


@formula("F041", source="Arm ARM D8.14.5 (entries from above the final level of lookup)")
def must_drop_table(kind: int, asid: int, hint: int, covers: bool, level: int, of: int) -> bool:
    """Whether an operation must drop a cached pointer to a table of Arm's `level`, used under ASID `of`."""
    if kind == VMALLE1:
        return True
    if kind == ASIDE1:
        return of == asid
    if leaves_only(kind):
        return False
    named = (hint == -1) | (level <= hint)
    return covers & named & (any_asid(kind) | (of == asid))


@formula("F041", source="arch/arm64/include/asm/tlbflush.h:__flush_tlb_range; Arm ARM C5.5 (RVAE1)")
def overlaps(page: int, level: int, start: int, end: int) -> bool:
    """Whether a cached page of `level` (0 for 4 KiB) with this number meets the addresses [start, end).

    start, end  in the terms of SHAPE: 49 bits
    """
    shift = level_shift(SHAPE, level)
    return (start < (page + 1) << shift) & (page << shift < end)


# ---- operands ----------------------------------------------------------------------------------------------


@formula("F041", source="arch/arm64/include/asm/tlbflush.h:__TLBI_VADDR, __tlbi_level; Arm ARM C5.5.60")
def address_operand(address: int, asid: int, level: int) -> int:
    """The word of an operation on one address: ASID, hint, page number.

    level  -1 for no hint
    """
    hint = 0 if level < 0 else (_PAGES_4K << 2) | level
    return ((address >> 12) & _ADDRESS) | (hint << 44) | (asid << 48)


@formula("F041", source="arch/arm64/include/asm/tlbflush.h:__TLBI_RANGE_PAGES; Arm ARM C5.5 (RVAE1)")
def range_pages(number: int, scale: int) -> int:
    """Pages that an operation on a range covers.

    Requires  0 <= number < 32, 0 <= scale < 4
    """
    return (number + 1) << (5 * scale + 1)


MOST_PAGES: Final = 32 << 16
"""The most that one operation covers (MAX_TLBI_RANGE_PAGES): 8 GiB."""


@formula("F041", source="arch/arm64/include/asm/tlbflush.h:__TLBI_VADDR_RANGE; Arm ARM C5.5 (RVAE1)")
def range_operand(address: int, asid: int, scale: int, number: int, level: int) -> int:
    """The word of an operation on a range: ASID, granule, scale, number, hint, first page.

    level  a hint of 0 or -1 is none
    """
    hint = level if 1 <= level <= 3 else 0
    word = ((address >> 12) & _BASE) | (hint << 37) | (number << 39) | (scale << 44)
    return word | (_PAGES_4K << 46) | (asid << 48)


def operation_of(kind: int, word: int) -> Operation:
    """What an operand says; the inverse of `address_operand` and `range_operand`.

    Requires  the granule is 4 KiB, or no hint is given
    """
    asid = (word >> 48) & 0xFFFF
    if kind == VMALLE1 or kind == ASIDE1:
        return Operation(kind, asid)
    if kind < VAE1 + _RANGES:
        page = word & _ADDRESS
        start = (page if page >> 43 == 0 else page | (0xFF << 44)) << 12
        hint = (word >> 44) & 15
        return Operation(kind, asid, start, start + 4096, hint & 3 if hint >> 2 else -1)
    page = word & _BASE
    start = (page if page >> 36 == 0 else page | (((1 << 15) - 1) << 37)) << 12
    size = range_pages((word >> 39) & 31, (word >> 44) & 3) << 12
    hint = (word >> 37) & 3
    return Operation(kind, asid, start, start + size, hint if hint else -1)
