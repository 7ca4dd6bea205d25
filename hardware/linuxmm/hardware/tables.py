"""Changing x86 tables: install a page, clear it, replace a large leaf by a table of smaller ones.

These are the elementary changes that a kernel makes; which frames become tables is the caller's choice.  They
use the primitives of `linuxmm.hardware.bus` alone.

Linux: mm/memory.c:__pte_alloc, include/linux/pgtable.h:pte_clear, mm/huge_memory.c:__split_huge_pmd_locked.
Seed 2.3.1 (F040).
"""

from linuxmm.hardware.bus import Bus, load_entry, store_entry
from linuxmm.spec.registry import verb
from linuxmm.spec.vm.x86_entry import PRESENT, Control, is_leaf, split_entry, table_base, table_entry
from linuxmm.spec.vm.x86_format import X86Format, entry_address


@verb("F040", "F059", source="mm/memory.c:__p4d_alloc, __pud_alloc, __pmd_alloc, __pte_alloc")
def map_leaf(
    fmt: X86Format, bus: Bus, root: int, va: int, leaf: int, level: int, fresh: int
) -> tuple[Bus, int]:
    """Write `leaf` at `level` for `va`, linking in frames from `fresh` on where tables are missing.

    Requires  no leaf stands above `level` on the way; up to fmt.top - level frames from physical address
              `fresh` on are zeroed and used by nothing else
    Ensures   (bus, address of the first frame that was not used)
    """
    size = 1 << fmt.entry_shift
    table = root
    at_level = fmt.top
    while at_level > level:
        at = entry_address(fmt, table, va, at_level)
        bus, entry, _ = load_entry(bus, at, size)
        if entry & PRESENT == 0:
            entry = table_entry(fmt, at_level, fresh)
            bus = store_entry(bus, at, size, entry)
            fresh += 4096
        table = table_base(entry)
        at_level -= 1
    return store_entry(bus, entry_address(fmt, table, va, level), size, leaf), fresh


@verb("F040", "F059", source="include/linux/pgtable.h:pte_clear, pmd_clear")
def clear_leaf(fmt: X86Format, control: Control, bus: Bus, root: int, va: int) -> Bus:
    """Clear the leaf that translates `va`, of whatever size; nothing if there is none."""
    size = 1 << fmt.entry_shift
    table = root
    level = fmt.top
    while True:
        at = entry_address(fmt, table, va, level)
        bus, entry, _ = load_entry(bus, at, size)
        if entry & PRESENT == 0:
            return bus
        if is_leaf(fmt, control, entry, level):
            return store_entry(bus, at, size, 0)
        table = table_base(entry)
        level -= 1


@verb("F040", "F056", source="mm/huge_memory.c:__split_huge_pmd_locked")
def split_leaf(fmt: X86Format, bus: Bus, at: int, level: int, fresh: int) -> Bus:
    """Replace the large leaf of `level` at `at` by a table in the frame `fresh`, of leaves one level down.

    Requires  the entry at `at` is a present leaf of `level` above 0 without reserved bits; in the 2-level
              format its page lies below 4 GiB
    Ensures   every translation is as before; the TLB may hold the old leaf until it is flushed
    """
    size = 1 << fmt.entry_shift
    bus, entry, _ = load_entry(bus, at, size)
    index = 0
    while index < 1 << fmt.index_bits:
        bus = store_entry(
            bus, fresh + (index << fmt.entry_shift), size, split_entry(fmt, entry, level, index)
        )
        index += 1
    return store_entry(bus, at, size, table_entry(fmt, level, fresh))
