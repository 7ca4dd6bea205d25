"""The text in which the kernel lists page tables: ranges of entries that are alike, with what they permit.

A walker notes every entry in address order; entries with the same level, the same bits and the same effective
rights are one line.  Markers name the parts of the address space.

Linux: arch/x86/mm/dump_pagetables.c, arch/arm64/mm/ptdump.c, mm/ptdump.c.  Seed 2.13.6 (F082, F083).
x86 since 2.6.26, arm64 since 3.19, one walker for all since 5.6.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.invariant import clause
from linuxmm.spec.registry import formula
from linuxmm.spec.step import Refusal
from linuxmm.spec.vm import arm64_entry as arm
from linuxmm.spec.vm.folding import LEVEL_NAMES, PMD, PTE, PUD
from linuxmm.spec.vm.x86_entry import (
    GLOBAL,
    LARGE,
    NX,
    PAT,
    PAT_LARGE,
    PCD,
    PRESENT,
    PWT,
    USER,
    WRITABLE,
)

PARTITION: Final = clause(
    "vm.ptdump.partition",
    "The ranges of a dump follow each other without a gap, and neighbours under one marker differ.",
    features=("F082", "F083"),
    seed="2.13.6",
    source="arch/x86/mm/dump_pagetables.c:note_page; mm/ptdump.c",
)
DUMPED: Final = clause(
    "vm.ptdump.text",
    "The kernel's dump says of its page tables what stands in them, range for range.",
    features=("F082", "F083"),
    seed="2.13.6",
    source="arch/x86/mm/dump_pagetables.c:note_page, printk_prot; mm/ptdump.c",
)
X86_FLAGS: Final = 0xFFF | (0xFFF << 52)
"""PTE_FLAGS_MASK."""
GP: Final = 1 << 50
ATTRIBUTE: Final = 7 << 2
SHARED: Final = 3 << 8


class Noted(NamedTuple):
    """What the walker says of one entry.

    level      generic level of the entry
    flags      its bits without the address; 0 for an entry that says nothing
    effective  rights gathered from the root: WRITABLE, USER and NX
    """

    address: int
    level: int
    flags: int
    effective: int


class Marker(NamedTuple):
    """Where a named part of the address space starts; `lines`: how many ranges of it are shown, 0 for all."""

    start: int
    name: str
    lines: int = 0


class Line(NamedTuple):
    """One range of a dump, [start, end)."""

    start: int
    end: int
    level: int
    flags: int
    effective: int


@formula("F083", source="arch/x86/mm/dump_pagetables.c:effective_prot")
def effective(above: int, flags: int) -> int:
    """Rights after an entry, given those above it: writable and a user's if all say so, NX if any does."""
    return (above & flags & (USER | WRITABLE)) | ((above | flags) & NX)


@formula("F083", source="arch/x86/mm/dump_pagetables.c:note_page (check_wx)")
def is_writable_code(rights: int) -> bool:
    """Whether effective rights permit writing and executing."""
    return rights & WRITABLE != 0 and rights & NX == 0


def ranges(noted: Iterable[Noted], end: int, markers: tuple[Marker, ...]) -> Iterator[Line | Marker]:
    """Lines and markers of a dump, in order.

    end      where the last range ends, as the kernel prints it (0 for the end of the address space)
    markers  ascending; the first is at or below the first address
    """
    now: Noted | None = None
    following = 1
    for entry in noted:
        if now is None:
            yield markers[0]
            now = entry
            continue
        marked = following < len(markers) and entry.address >= markers[following].start
        if marked or entry[1:] != now[1:]:
            yield Line(now.address, entry.address, *now[1:])
            if marked:
                yield markers[following]
                following += 1
            now = entry
    if now is not None:
        yield Line(now.address, end, *now[1:])


@formula("F082", "F083", source="arch/x86/mm/dump_pagetables.c:note_page; arch/arm64/mm/ptdump.c:note_page")
def scaled(size: int, first: int) -> tuple[int, int]:
    """(number, unit) of a size: the largest unit of 1024**n, n from `first` to 6, that divides it."""
    size >>= 10 * first
    while size & 1023 == 0 and first < 6:
        size >>= 10
        first += 1
    return size, first


def x86_text(items: Iterable[Line | Marker], width: int = 16) -> Iterator[str]:
    """The lines of /sys/kernel/debug/page_tables/kernel; `width`: digits of an address, 8 on 32-bit.

    Source    arch/x86/mm/dump_pagetables.c:printk_prot
    """
    mask = (1 << (4 * width)) - 1
    most = seen = 0
    for item in items:
        if isinstance(item, Marker):
            if most and seen > most:
                yield f"... {seen - most} entr{'y' if seen - most == 1 else 'ies'} skipped ... "
            most, seen = item.lines, 0
            yield f"---[ {item.name} ]---"
            continue
        seen += 1
        if most and seen > most:
            continue
        number, unit = scaled((item.end - item.start) & mask, 0)
        yield (
            f"0x{item.start & mask:0{width}x}-0x{item.end & mask:0{width}x}   {number:>9}{'BKMGTPE'[unit]} "
            f"{_x86_rights(item.flags, item.level)}{LEVEL_NAMES[item.level].lower()}"
        )


def _x86_rights(flags: int, level: int) -> str:
    if flags & PRESENT == 0:
        return " " * 30
    large = level > PTE and flags & LARGE != 0
    pat = flags & PAT != 0 if level == PTE else level in (PMD, PUD) and flags & PAT_LARGE != 0
    return "".join(
        (
            "USR " if flags & USER else "    ",
            "RW " if flags & WRITABLE else "ro ",
            "PWT " if flags & PWT else "    ",
            "PCD " if flags & PCD else "    ",
            "PSE " if large else "    ",
            "PAT " if pat else "    ",
            "GLB " if flags & GLOBAL else "    ",
            "NX " if flags & NX else "x  ",
        )
    )


class ArmBit(NamedTuple):
    """What arm64 prints for some bits: `set` where they have a value, else `clear` (None for nothing)."""

    mask: int
    value: int
    set: str
    clear: str | None = None


ARM64_BITS: Final = (
    ArmBit(arm.VALID, arm.VALID, " ", "F"),
    ArmBit(arm.AP_USER, arm.AP_USER, "USR", "   "),
    ArmBit(arm.AP_READ_ONLY, arm.AP_READ_ONLY, "ro", "RW"),
    ArmBit(arm.PXN, arm.PXN, "NX", "x "),
    ArmBit(SHARED, SHARED, "SHD", "   "),
    ArmBit(arm.AF, arm.AF, "AF", "  "),
    ArmBit(arm.NG, arm.NG, "NG", "  "),
    ArmBit(arm.CONT, arm.CONT, "CON", "   "),
    ArmBit(arm.TABLE, arm.TABLE, "   ", "BLK"),
    ArmBit(arm.UXN, arm.UXN, "UXN", "   "),
    ArmBit(GP, GP, "GP", "  "),
    ArmBit(ATTRIBUTE, 3 << 2, "DEVICE/nGnRnE"),
    ArmBit(ATTRIBUTE, 4 << 2, "DEVICE/nGnRE"),
    ArmBit(ATTRIBUTE, 2 << 2, "MEM/NORMAL-NC"),
    ArmBit(ATTRIBUTE, 0 << 2, "MEM/NORMAL"),
    ArmBit(ATTRIBUTE, 1 << 2, "MEM/NORMAL-TAGGED"),
)
"""In the order in which they are printed; attributes as the kernel numbers them since 5.12 (6.1, 6.12)."""

ARM64_FLAGS: Final = (
    arm.VALID
    | arm.TABLE
    | ATTRIBUTE
    | SHARED
    | sum({b.mask for b in ARM64_BITS[1:4]})
    | (arm.AF | arm.NG | arm.CONT | arm.UXN | GP)
)
"""Bits that arm64 compares."""


def arm64_text(items: Iterable[Line | Marker]) -> Iterator[str]:
    """The lines of /sys/kernel/debug/kernel_page_tables of arm64.

    Source    arch/arm64/mm/ptdump.c:note_page, dump_prot
    """
    mask = (1 << 64) - 1
    for item in items:
        if isinstance(item, Marker):
            yield f"---[ {item.name} ]---"
            continue
        number, unit = scaled((item.end - item.start) & mask, 1)
        said = [bit.set if item.flags & bit.mask == bit.value else bit.clear for bit in ARM64_BITS]
        rights = "".join(f" {text}" for text in said if text is not None) if item.flags else ""
        yield (
            f"0x{item.start & mask:016x}-0x{item.end & mask:016x}   {number:>9}{'BKMGTPE'[unit]} "
            f"{LEVEL_NAMES[item.level]}{rights}"
        )


def writable_code(items: Iterable[Line | Marker]) -> int:
    """Pages that may be written and executed: what the W+X check counts."""
    found = 0
    for item in items:
        if isinstance(item, Line) and is_writable_code(item.effective) and item.flags:
            found += ((item.end - item.start) & ((1 << 64) - 1)) >> 12
    return found


def gaps(items: Iterable[Line | Marker], start: int) -> tuple[Refusal, ...]:
    """Where the ranges of a dump do not follow each other, from `start` on."""
    found: list[Refusal] = []
    at = start
    for item in items:
        if isinstance(item, Line):
            if item.start != at:
                why = f"a range starts at {item.start:#x}, the last ended at {at:#x}"
                found.append(Refusal(PARTITION.id, why))
            at = item.end
    return tuple(found)


def repeated(items: Iterable[Line | Marker]) -> tuple[Refusal, ...]:
    """Where neighbours under one marker do not differ.

    Requires  lines with all their bits: what is printed leaves out marks and effective rights
    """
    found: list[Refusal] = []
    before: Line | None = None
    for item in items:
        if isinstance(item, Line) and before is not None and item[2:] == before[2:]:
            found.append(Refusal(PARTITION.id, f"the range from {item.start:#x} is like the one before it"))
        before = item if isinstance(item, Line) else None
    return tuple(found)


SKIPPED: Final = re.compile(r"\.\.\. \d+ entr(y|ies) skipped \.\.\. ?")
PRINTED: Final = re.compile(
    r"0x([0-9a-f]+)-0x([0-9a-f]+) {3} *(\d+)([BKMGTPE]) (.*?) ?\b(pgd|p4d|pud|pmd|pte)"
)


def read_x86(text: Iterable[str], file: str = "page_tables") -> Iterator[Line | Marker]:
    """Ranges and markers of a dump that a kernel printed; a marker starts at the range that follows it.

    Ranges that the kernel left out (of a marker with more than it shows) are not there.

    Errors    BadEvidence naming the line that is neither
    """
    name = ""
    for number, row in enumerate(text, 1):
        row = row.rstrip("\n")
        if row.startswith("---[ ") and row.endswith(" ]---"):
            name = row[5:-5]
            continue
        match = PRINTED.fullmatch(row)
        if SKIPPED.fullmatch(row):
            continue
        if match is None:
            raise BadEvidence(file, "a range such as 0x…-0x…  4K … pte, or a marker", line=number)
        start, end = int(match[1], 16), int(match[2], 16)
        if name:
            yield Marker(start, name)
            name = ""
        words = match[5].split()
        flags = _flags_of(words, LEVEL_NAMES.index(match[6].upper())) if words else 0
        yield Line(start, end, LEVEL_NAMES.index(match[6].upper()), flags, 0)


def _flags_of(words: list[str], level: int) -> int:
    bits = {
        "USR": USER,
        "RW": WRITABLE,
        "PWT": PWT,
        "PCD": PCD,
        "PSE": LARGE,
        "PAT": PAT if level == PTE else PAT_LARGE,
        "GLB": GLOBAL,
        "NX": NX,
    }
    flags = PRESENT
    for word in words:
        flags |= bits.get(word, 0)
    return flags
