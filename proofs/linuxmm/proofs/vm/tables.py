"""Theorems about changing tables: what is mapped is found, whichever tables were missing.

That tables have one owner is the premise: without it an entry written for one address may lie on the way of
another, and of the same one.
"""

from typing import Annotated, Final

from linuxmm.hardware.tables import clear_leaf, map_leaf
from linuxmm.hardware.x86_walk import PAGE_FAULT, TRANSLATED, walk
from linuxmm.proofs.domain import Word, each, table
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, no, theorem
from linuxmm.proofs.vm.memory import SERVED, AllEntries, bus_of
from linuxmm.spec.vm.x86_entry import (
    LARGE,
    PRESENT,
    READ,
    Control,
    has_reserved,
    table_base,
    table_entry,
)
from linuxmm.spec.vm.x86_format import PAE, X86_64, X86Format, entry_address, is_canonical

CONTROL: Final = Control(smap=False)
Address = Annotated[int, Word(64)]
Root = Annotated[int, Word(64, below=1 << 32)]
Case = tuple[X86Format, int]
CASES: Final = ((PAE, 0), (PAE, 1), (PAE, 2), (X86_64, 3))
"""A format, and how many of its tables are missing on the way of the address."""


def prepared(case: Case, entries: AllEntries, root: int, va: int, fresh: int) -> None:
    """Assume tables as Linux keeps them: the upper ones are there, each in a frame of its own, none with
    reserved bits; the others are missing, and zeroed frames are at hand for them."""
    fmt, missing = case
    assume(is_canonical(fmt, va) & (root & 0xFFF == 0) & (fresh & 0xFFF == 0) & (fresh < 1 << 32))
    frames = [fresh + (n << 12) for n in range(missing)]
    base, way = root, [root]
    for level in range(fmt.top, missing, -1):
        entry: int = entries[entry_address(fmt, base, va, level)]
        large = entry & LARGE != 0
        assume((entry & PRESENT != 0) & no(large) & no(has_reserved(fmt, CONTROL, entry, level)))
        base = table_base(entry)
        way.append(base)
    if missing:
        assume(entries[entry_address(fmt, base, va, missing)] & PRESENT == 0)
    for level, frame in zip(range(missing - 1, 0, -1), frames, strict=False):
        assume(entries[entry_address(fmt, frame, va, level)] == 0)
    every = way + frames
    for at, one in enumerate(every):
        for other in every[at + 1 :]:
            assume(no(one >> 12 == other >> 12))


@theorem(
    "vm.map.installs",
    "A page that is mapped is found where its entry says, whichever tables had to be linked in, and is gone "
    "again when it is cleared.",
    proves=(map_leaf, clear_leaf, walk, table_entry),
    features=("F040", "F059"),
    bounds="any contents of memory in which no two tables on the way share a frame, any root below 4 GiB, "
    "any address, pages of 4 KiB; PAE with any tables missing, x86-64 with all missing",
    primitives=SERVED,
    witness={
        "case": (X86_64, 3),
        "entries": table({}, 0),
        "root": 0x1000,
        "va": 0x5555_5555_5ABC,
        "leaf": 0x1234_5007,
        "fresh": 0x10000,
    },
    mutants=(
        Mutant(map_leaf, "links every table to the same frame", "fresh += 4096", "fresh += 0"),
        Mutant(map_leaf, "does not write the link", "bus = store_entry(bus, at, size, entry)", "pass"),
        Mutant(
            map_leaf,
            "writes the leaf beside",
            "entry_address(fmt, table, va, level), size, leaf",
            "entry_address(fmt, table, va ^ 4096, level), size, leaf",
        ),
        Mutant(clear_leaf, "clears nothing", "return store_entry(bus, at, size, 0)", "return bus"),
    ),
)
def map_installs(
    case: Annotated[Case, each(CASES)],
    entries: AllEntries,
    root: Root,
    va: Address,
    leaf: Address,
    fresh: Root,
) -> bool:
    fmt, missing = case
    prepared(case, entries, root, va, fresh)
    assume((leaf & PRESENT != 0) & no(has_reserved(fmt, CONTROL, leaf, 0)))
    bus, unused = map_leaf(fmt, bus_of(entries), root, va, leaf, 0, fresh)
    _, found = walk(fmt, CONTROL, bus, root, va, READ, False)
    _, gone = walk(fmt, CONTROL, clear_leaf(fmt, CONTROL, bus, root, va), root, va, READ, False)
    return (
        (found.status == TRANSLATED)
        & (found.level == 0)
        & (found.entry == leaf | 0x20)
        & (unused == fresh + (missing << 12))
        & (gone.status == PAGE_FAULT)
        & (gone.code == 0)
    )
