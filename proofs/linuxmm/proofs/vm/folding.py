"""Theorems about the generic walk: it finds what the hardware finds, and a change of one page is that alone.

Ownership is stated by inverse functions: for every frame, of which level it is a table and which address it
begins at.  Two ways that go through one frame then agree there.
"""

from typing import Annotated, Final

from linuxmm.hardware.bus import load_entry, store_entry
from linuxmm.hardware.x86_walk import PAGE_FAULT, TRANSLATED, walk
from linuxmm.model.vm.state import NOTHING
from linuxmm.model.vm.table import generic_find, link, missing, offset, pgd_offset
from linuxmm.proofs.domain import MapOf, Word, each, table
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, no, theorem
from linuxmm.proofs.vm.memory import SERVED, TABLES, AllEntries, Entries, bus_of
from linuxmm.spec.vm.folding import PMD, PTE, is_folded
from linuxmm.spec.vm.x86_entry import LARGE, PRESENT, READ, Control, table_base
from linuxmm.spec.vm.x86_format import (
    I386,
    PAE,
    X86_64,
    X86Format,
    entry_address,
    is_canonical,
    level_shift,
)

CONTROL: Final = Control(smap=False)
Address = Annotated[int, Word(64)]
Root = Annotated[int, Word(64, below=1 << 32)]
Owners = Annotated[Entries, MapOf((Word(64),), Word(64), 0)]
UNUSED: Final = 9
"""The level that `levels` gives to a frame that is no table."""


@theorem(
    "vm.fold.walk",
    "The generic walk of five levels ends at the entry at which the hardware's own walk ends, in "
    "every format, and finds a table missing exactly where the hardware does.",
    proves=(generic_find, missing, offset, pgd_offset, is_folded),
    features=("F040",),
    bounds="any contents of memory, any root below 4 GiB, any canonical address; 2, 3 and 4 levels",
    primitives=SERVED,
    logic=TABLES,
    witness={"fmt": PAE, "entries": table({}, 0), "root": 0x1000, "va": 0x1234_5678},
    mutants=(
        Mutant(missing, "a folded level may be missing", "return bus, False", "return bus, True"),
        Mutant(missing, "takes a large page for a table", "or (may_be_leaf and above & LARGE != 0)", ""),
        Mutant(offset, "goes down where nothing is", "return bus, at\n", "return bus, at + 8\n"),
        Mutant(generic_find, "stops a level early", "while below > level", "while below > level + 1"),
    ),
)
def generic_walk(
    fmt: Annotated[X86Format, each((I386, PAE, X86_64))],
    entries: AllEntries,
    root: Root,
    va: Address,
) -> bool:
    assume(is_canonical(fmt, va) & (root & 0xFFF == 0))
    _, found = walk(fmt, CONTROL, bus_of(entries), root, va, READ, False)
    _, at = generic_find(fmt, bus_of(entries), root, va, PTE)
    reached = entry_address(fmt, found.table, va, 0)
    if found.level == 0:
        return at == reached if at is not NOTHING else False
    absent = (found.status == PAGE_FAULT) & (found.entry & PRESENT == 0)
    large = found.status == TRANSLATED
    return at is NOTHING if absent | large else True


def owned(
    fmt: X86Format,
    entries: Entries,
    root: int,
    va: int,
    levels: Entries,
    starts: Entries,
    down_to: int = 0,
) -> None:
    """Assume that the tables for `va` are there, and each the one that the owner of its frame says."""
    base: int = root
    for level in range(fmt.top, down_to - 1, -1):
        span = level_shift(fmt, level + 1) if level < fmt.top else 63
        assume((levels[base >> 12] == level) & (starts[base >> 12] == va >> span))
        if level > down_to:
            above: int = entries[entry_address(fmt, base, va, level)]
            assume((above & PRESENT != 0) & (above & LARGE == 0) & (above >> 52 == 0))
            base = table_base(above)


@theorem(
    "vm.map.alone",
    "Where every table has one owner, writing the entry of one page changes neither the entry nor the way of "
    "another.",
    proves=(generic_find, offset, missing),
    clauses=("vm.map.frame", "vm.tables.one-owner"),
    features=("F040", "F059"),
    bounds="any contents of memory with owned tables, any two pages of the lower half, pages of 4 KiB; every "
    "format but LA57",
    primitives=SERVED,
    logic=TABLES,
    witness={
        "fmt": I386,
        "entries": table({0x1000: 0x2027, 0x1004: 0x3027}, 0),
        "levels": table({1: 1}, 0),
        "starts": table({1: 0, 2: 0, 3: 1}, 0),
        "root": 0x1000,
        "va": 0x5000,
        "other": 0x40_0000,
        "leaf": 0x1234_067,
    },
    mutants=(
        Mutant(
            offset,
            "takes the entry of the next page",
            "entry_address(fmt, table_base(above), va, level)",
            "entry_address(fmt, table_base(above), va + 4096 * (va & 1), level)",
        ),
        Mutant(
            generic_find,
            "finds the entry of the table instead",
            "while below > level",
            "while below > level + 1",
        ),
    ),
)
def maps_alone(
    fmt: Annotated[X86Format, each((I386, PAE, X86_64))],
    entries: AllEntries,
    levels: Owners,
    starts: Owners,
    root: Root,
    va: Address,
    other: Address,
    leaf: Address,
) -> bool:
    half = 1 << (fmt.va_bits - 1)
    assume((root & 0xFFF == 0) & (va < half) & (other < half) & no(va >> 12 == other >> 12))
    owned(fmt, entries, root, va, levels, starts)
    owned(fmt, entries, root, other, levels, starts)
    bus = bus_of(entries)
    _, at = generic_find(fmt, bus, root, va, PTE)
    _, there = generic_find(fmt, bus, root, other, PTE)
    _, before, _ = load_entry(bus, there, 1 << fmt.entry_shift)
    bus = store_entry(bus, at, 1 << fmt.entry_shift, leaf)
    _, again = generic_find(fmt, bus, root, other, PTE)
    if again is NOTHING:
        return False
    _, now, _ = load_entry(bus, there, 1 << fmt.entry_shift)
    _, mine, _ = load_entry(bus, at, 1 << fmt.entry_shift)
    return (again == there) & (now == before) & (mine == leaf)


@theorem(
    "vm.table.link",
    "Linking a fresh table in leaves every table with one owner, and the pages of other tables as they were.",
    proves=(link, generic_find),
    clauses=("vm.tables.one-owner", "vm.map.frame"),
    features=("F040",),
    bounds="any contents of memory with owned tables, any page of the lower half beside the new table; PAE, "
    "x86-64, the lowest table missing",
    primitives=SERVED,
    logic=TABLES,
    witness={
        "fmt": PAE,
        "entries": table({0x1000: 0x2001, 0x2008: 0x3027}, 0),
        "levels": table({1: 2, 2: 1, 3: 0, 4: 9}, 0),
        "starts": table({1: 0, 2: 0, 3: 1}, 0),
        "root": 0x1000,
        "va": 0x5000,
        "other": 0x20_0000,
        "fresh": 4,
    },
    mutants=(
        Mutant(link, "links the frame after", "frame << 12", "(frame + 1) << 12"),
        Mutant(link, "links nothing", "table_entry(fmt, hardware_level(fmt, level + 1), frame << 12)", "0"),
    ),
)
def links_a_table(
    fmt: Annotated[X86Format, each((PAE, X86_64))],
    entries: AllEntries,
    levels: Owners,
    starts: Owners,
    root: Root,
    va: Address,
    other: Address,
    fresh: Annotated[int, Word(64, below=1 << 20)],
) -> bool:
    half = 1 << (fmt.va_bits - 1)
    assume((root & 0xFFF == 0) & (va < half) & (other < half))
    owned(fmt, entries, root, other, levels, starts)
    owned(fmt, entries, root, va, levels, starts, down_to=1)
    assume((levels[fresh] == UNUSED) & no(va >> 21 == other >> 21))
    bus = bus_of(entries)
    _, at = generic_find(fmt, bus, root, va, PMD)
    _, there = generic_find(fmt, bus, root, other, PTE)
    _, value, _ = load_entry(bus, at, 8)
    assume(value & PRESENT == 0)
    bus = link(fmt, bus, at, PTE, fresh)
    _, linked = generic_find(fmt, bus, root, va, PTE)
    _, again = generic_find(fmt, bus, root, other, PTE)
    if again is NOTHING or linked is NOTHING:
        return False
    return (again == there) & (linked >> 12 == fresh) & no(again >> 12 == fresh)
