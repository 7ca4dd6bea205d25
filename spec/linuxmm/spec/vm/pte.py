"""A page-table entry as Linux uses it: mapped, kept without rights, or the place of a page in swap.

An entry that is not present to the hardware may still map a page: PROT_NONE clears P and sets bit 8.  (Since
4.19 x86 stores the frame of such an entry inverted, against L1TF; that is not described, nor is the layout of
a swap entry, which is the affair of swap.)

Linux: arch/x86/include/asm/pgtable.h, pgtable_types.h, include/linux/swapops.h.  Seed 2.3.1,
2.8 (F040, F059).
"""

from typing import Final

from linuxmm.spec.registry import formula
from linuxmm.spec.vm.flags import VM_ACCESS, VM_EXEC, VM_SHARED, VM_WRITE
from linuxmm.spec.vm.rights import copies_on_write
from linuxmm.spec.vm.x86_entry import (
    ACCESSED,
    DIRTY,
    GLOBAL,
    NX,
    PHYSICAL,
    PRESENT,
    USER,
    WRITABLE,
)
from linuxmm.spec.vm.x86_format import X86Format

PROTNONE: Final = GLOBAL
"""_PAGE_PROTNONE: mapped, and the hardware must not see it; bit 8, while P is clear."""
SPECIAL: Final = 1 << 9
"""_PAGE_SPECIAL: no struct page is counted for the mapping (the zero page)."""
KEPT: Final = PHYSICAL | ACCESSED | DIRTY | SPECIAL
"""_PAGE_CHG_MASK: what a change of protection keeps."""


@formula("F040", source="arch/x86/include/asm/pgtable.h:pte_none")
def is_none(entry: int) -> bool:
    """Whether the entry says nothing."""
    return entry == 0


@formula("F040", source="arch/x86/include/asm/pgtable.h:pte_present")
def is_mapped(entry: int) -> bool:
    """Whether the entry maps a page, be it one that nobody may touch."""
    return entry & (PRESENT | PROTNONE) != 0


@formula("F040", source="include/linux/swapops.h:is_swap_pte")
def is_swapped(entry: int) -> bool:
    """Whether the entry is the place of a page in swap."""
    return entry != 0 and entry & (PRESENT | PROTNONE) == 0


@formula("F040", source="arch/x86/include/asm/pgtable.h:pte_pfn")
def frame_of(entry: int) -> int:
    """Frame that a mapped entry maps."""
    return (entry & PHYSICAL) >> 12


@formula("F040", source="arch/x86/include/asm/pgtable.h:pfn_pte")
def page_entry(frame: int, protection: int) -> int:
    """The entry that maps a frame."""
    return (frame << 12) | protection


@formula("F059", source="arch/x86/mm/pgprot.c:protection_map; mm/mmap.c:vm_get_page_prot")
def page_protection(fmt: X86Format, flags: int) -> int:
    """Bits of an entry for a page of an area: a private one is not writable until it is copied."""
    if flags & VM_ACCESS == 0:
        return PROTNONE | ACCESSED
    bits = PRESENT | USER | ACCESSED
    if flags & (VM_SHARED | VM_WRITE) == VM_SHARED | VM_WRITE:
        bits |= WRITABLE
    if flags & VM_EXEC == 0 and fmt.entry_shift == 3:
        bits |= NX
    return bits


@formula("F059", source="arch/x86/include/asm/pgtable.h:pte_modify")
def modified(entry: int, protection: int) -> int:
    """A mapped entry with other rights."""
    return (entry & KEPT) | (protection & ~KEPT)


@formula("F059", source="include/linux/mm.h:maybe_mkwrite")
def made_writable(entry: int, flags: int) -> int:
    """The entry, writable if the area is."""
    return entry | WRITABLE if flags & VM_WRITE != 0 else entry


@formula("F059", source="arch/x86/include/asm/pgtable.h:pte_wrprotect")
def write_protected(entry: int) -> int:
    """The entry, not writable."""
    return entry & ~WRITABLE


@formula("F059", source="mm/memory.c:copy_present_pte")
def forked(flags: int, entry: int) -> tuple[int, int]:
    """(the parent's entry, the child's) after fork: neither may write a private page.

    The child's is old, and clean where the page is shared.
    """
    if copies_on_write(flags):
        entry = write_protected(entry)
    child = entry & ~ACCESSED
    return entry, child & ~DIRTY if flags & VM_SHARED != 0 else child


@formula("F040", source="arch/x86/include/asm/pgtable.h:__swp_entry")
def swap_entry(slot: int) -> int:
    """The entry of a page that is in swap."""
    return (slot + 1) << 12


@formula("F040", source="arch/x86/include/asm/pgtable.h:__swp_offset")
def swap_slot(entry: int) -> int:
    """The slot of swap that an entry names."""
    return (entry >> 12) - 1


@formula("F059", source="mm/memory.c:do_fault_around; 3.15 to 6.12")
def around(page: int, first: int, last: int, count: int, entries: int) -> tuple[int, int]:
    """Pages that a read fault of a file maps beside `page`, half open: within its area, one page table, and
    `count` pages from an aligned start or from the area's.

    first, last  of the area, half open;  count: a power of two;  entries: of a page table
    """
    start = max(page & ~(count - 1), first)
    start = max(start, page & ~(entries - 1))
    end = min(start + count, last)
    return start, min(end, (page & ~(entries - 1)) + entries)
