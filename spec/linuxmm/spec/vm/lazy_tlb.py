"""What lazy TLB handling owes: stale translations may stay in a TLB, but nobody may use them.

Of one address space and one page.  `changes` of the page's entry are counted; of a CPU the count is known as
of which everything is dropped that its TLBs hold of the address space (what they hold may be newer, never
older).  A CPU in lazy mode runs a kernel thread on borrowed tables: it uses no user address, but a processor
may walk the tables that are loaded at any time, so these must not be freed under it.

Linux: arch/x86/mm/tlb.c, arch/x86/include/asm/mmu_context.h.  Seed 2.3.2 (F041).  All versions.
"""

from linuxmm.spec.invariant import invariant


@invariant(
    "vm.tlb.no-stale-user",
    features=("F041",),
    seed="2.3.2",
    source="arch/x86/mm/tlb.c:flush_tlb_mm_range, switch_mm_irqs_off",
)
def no_stale_user(in_user_mode: bool, dropped_as_of: int, flushed: int) -> bool:
    """A CPU that can run user code holds no translation from before a completed flush."""
    return (in_user_mode ^ True) | (dropped_as_of >= flushed)


@invariant(
    "vm.tlb.no-freed-table",
    features=("F041", "F040"),
    seed="2.3.2",
    source="arch/x86/mm/tlb.c:flush_tlb_func (freed_tables)",
)
def no_freed_table(tables_loaded: bool, dropped_as_of: int, freed: int) -> bool:
    """A CPU on which the tables are loaded, lazy or not, holds nothing of a table that was freed."""
    return (tables_loaded ^ True) | (dropped_as_of >= freed)
