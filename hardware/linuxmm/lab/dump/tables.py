"""Page tables: of a task every entry of the user's half that is not zero; the kernel's own, whole.

Linux: arch/x86/include/asm/pgtable*.h.  The formats are those of `linuxmm.spec.vm.x86_format`.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from linuxmm.lab.memory import KernelMemory
from linuxmm.lab.ram import Unmapped
from linuxmm.oracle.formats.areas import AddressMarker, Leaves, TableEntry, TablesState
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.vm.x86_entry import PHYSICAL, PRESENT, Control, is_leaf, table_base
from linuxmm.spec.vm.x86_format import PAE, X86_64, X86_64_LA57, X86Format, canonical, level_shift, user_end

NAMES: Final = {X86_64: "x86-64", X86_64_LA57: "x86-64-la57", PAE: "pae"}
_CONTROL: Final = Control()


def format_of(memory: KernelMemory) -> X86Format:
    """The format of the kernel's tables."""
    if memory.btf.pointer == 4:
        return PAE
    return X86_64_LA57 if memory.variable("__pgtable_l5_enabled", 4) else X86_64


@dataclass(slots=True)
class Tables:
    """What a walk found: runs of entries, tables by level (the root not counted), entries that name them."""

    leaves: list[Leaves] = field(default_factory=list)
    tables: list[int] = field(default_factory=list)
    entries: list[TableEntry] = field(default_factory=list)


def user_tables(memory: KernelMemory, root: int) -> Tables:
    """Walk the user's half of the tables whose root is at physical address `root`.

    Ensures   runs are as long as they can be, in the order of addresses
    Errors    LinuxmmError when an entry leads out of memory
    """
    fmt = format_of(memory)
    found = Tables(tables=[0] * fmt.top)
    _walk(memory, fmt, root, fmt.top, 0, user_end(fmt), found)
    return found


def kernel_tables_state(memory: KernelMemory) -> TablesState:
    """The kernel's own tables, user's half and all, and the markers of its dump.

    Errors    LinuxmmError when an entry leads out of memory, or the kernel has no dump of page tables
    """
    fmt = format_of(memory)
    root = memory.physical(memory.symbol("swapper_pg_dir" if fmt is PAE else "init_top_pgt"))
    found = Tables(tables=[0] * fmt.top)
    _walk(memory, fmt, root, fmt.top, 0, 1 << fmt.va_bits, found)
    leaves = (msgspec.structs.replace(run, va=canonical(fmt, run.va)) for run in found.leaves)
    tables = (msgspec.structs.replace(one, va=canonical(fmt, one.va)) for one in found.entries)
    return TablesState(NAMES[fmt], root >> 12, tuple(tables), tuple(leaves), tuple(_markers(memory)))


def _markers(memory: KernelMemory) -> Iterator[AddressMarker]:
    """The markers of arch/x86/mm/dump_pagetables.c, up to the one without a name."""
    at = memory.symbol("address_markers")
    while True:
        marker = memory.struct("addr_marker", at)
        if not marker.number("name"):
            return
        yield AddressMarker(marker.number("start_address"), marker.text("name"), marker.number("max_lines"))
        at += memory.btf.size_of(marker.type)


def _walk(
    memory: KernelMemory, fmt: X86Format, table: int, level: int, base: int, most: int, found: Tables
) -> None:
    bits = fmt.top_bits if level == fmt.top else fmt.index_bits
    try:
        raw = memory.ram.read(table, 8 << bits)
    except Unmapped as error:
        raise LinuxmmError(f"page tables lead to {table:#x}, which is no memory") from error
    shift = level_shift(fmt, level)
    for number, entry in enumerate(struct.unpack(f"<{1 << bits}Q", raw)):
        va = base + (number << shift)
        if not entry or va >= most:
            continue
        if level and entry & PRESENT and not is_leaf(fmt, _CONTROL, entry, level):
            found.tables[level - 1] += 1
            found.entries.append(TableEntry(va, level, entry))
            _walk(memory, fmt, table_base(entry), level - 1, va, most, found)
        else:
            _add(found.leaves, va, level, entry, 1 << shift)


def _add(leaves: list[Leaves], va: int, level: int, entry: int, size: int) -> None:
    """Add an entry, to the last run where it goes on: the same marks, the next frame."""
    if leaves:
        last = leaves[-1]
        follows = last.entry + size * last.count if last.entry & PRESENT else last.entry
        same = entry & PRESENT and entry == follows and (entry ^ last.entry) & ~PHYSICAL == 0
        if last.level == level and va == last.va + size * last.count and same:
            leaves[-1] = Leaves(last.va, level, last.entry, last.count + 1)
            return
    leaves.append(Leaves(va, level, entry, 1))
