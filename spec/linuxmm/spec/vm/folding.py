"""Generic page-table levels over formats that have fewer: a missing level is folded into the one above.

Generic code always knows five levels: pgd 4, p4d 3, pud 2, pmd 1, pte 0.  The table of a folded level has one
entry, and that is the entry of the level above itself.  Hardware levels count as in `x86_format`.

Linux: include/asm-generic/pgtable-nop4d.h, pgtable-nopud.h, pgtable-nopmd.h.  Seed 2.3.1 (F040).
"""

from typing import Final

from linuxmm.spec.registry import formula
from linuxmm.spec.vm.x86_format import X86Format, level_shift

PTE: Final = 0
PMD: Final = 1
PUD: Final = 2
P4D: Final = 3
PGD: Final = 4
LEVEL_NAMES: Final = ("PTE", "PMD", "PUD", "P4D", "PGD")


@formula("F040", source="include/asm-generic/pgtable-nop4d.h, pgtable-nopud.h, pgtable-nopmd.h")
def is_folded(fmt: X86Format, level: int) -> bool:
    """Whether a generic level has no table of its own: `level_offset` gives the entry above itself.

    Requires  PTE <= level <= PGD;  the root is never folded
    """
    return fmt.top <= level < PGD


@formula("F040", source="include/linux/pgtable.h:pgd_index; include/asm-generic/pgtable-nop4d.h:P4D_SHIFT")
def hardware_level(fmt: X86Format, level: int) -> int:
    """The level of the format whose entry a generic level's is: folded levels are the root's."""
    return min(level, fmt.top)


@formula("F040", source="include/asm-generic/pgtable-nop4d.h:PTRS_PER_P4D; x86 pgtable_64_types.h")
def entries_of(fmt: X86Format, level: int) -> int:
    """Entries of a table of a generic level (PTRS_PER_PGD and so on): 1 where it is folded."""
    if is_folded(fmt, level):
        return 1
    return 1 << (fmt.top_bits if level == PGD else fmt.index_bits)


@formula("F040", source="include/linux/mm.h:pgd_addr_end, pmd_addr_end")
def boundary(fmt: X86Format, level: int, address: int, end: int) -> int:
    """Where the part of a walk that lies under one entry ends: the next boundary of the level, or `end`.

    Requires  address < end
    """
    size = 1 << level_shift(fmt, hardware_level(fmt, level))
    return min((address | (size - 1)) + 1, end)


@formula("F040", "F059", source="mm/memory.c:free_pgd_range, free_pte_range; floor and ceiling")
def is_table_free(start: int, span: int, floor: int, ceiling: int) -> bool:
    """Whether the table for `span` bytes from `start` serves no area: those beside end and start outside.

    floor, ceiling  where the area before ends, where the one after starts (0: there is none)
    """
    return start >= floor and (ceiling == 0 or start + span <= ceiling)
