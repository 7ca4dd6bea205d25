"""What a fault that runs beside changes of the address space owes, whichever locks it takes or leaves.

Linux: mm/memory.c:handle_mm_fault, arch/x86/mm/fault.c.  Seed 2 (F007, F009), 2.8 (F059).
"""

from linuxmm.spec.invariant import invariant


@invariant(
    "vm.fault.entry-within-area",
    features=("F007", "F009", "F059"),
    seed="2.8",
    source="mm/memory.c:pte_map_lock (v11 of speculative faults); arch/x86/mm/fault.c:lock_vma_under_rcu",
)
def entry_within_area(mapped: bool, writable: bool, area_there: bool, area_writable: bool) -> bool:
    """Once a change of the address space is complete, no entry maps what no area covers, or allows writes
    that the area forbids."""
    return (mapped ^ True) | (area_there & ((writable ^ True) | area_writable))


@invariant(
    "vm.fault.no-lost-page",
    features=("F007", "F059"),
    seed="2.8",
    source="mm/memory.c:do_anonymous_page (pte_none under the lock)",
)
def no_lost_page(entry_was_free: bool) -> bool:
    """A fault sets an entry only where nothing is mapped."""
    return entry_was_free


@invariant(
    "vm.fault.area-alive",
    features=("F007", "F059"),
    seed="2.8",
    source="mm/mmap.c:get_vma, put_vma (v11 of speculative faults); SLAB_TYPESAFE_BY_RCU since 6.4",
)
def area_alive(looks_at_area: bool, area_freed: bool) -> bool:
    """Nobody looks at an area after it was freed."""
    return (looks_at_area & area_freed) ^ True


@invariant(
    "vm.range-lock.exclusive",
    features=("F009",),
    seed="2",
    source="RFC of 2020-02-24, mm/mm_lock.c (posted, not merged)",
)
def ranges_exclude(start: int, end: int, writes: bool, start_2: int, end_2: int, writes_2: bool) -> bool:
    """Two holders whose ranges overlap are both readers."""
    overlap = (start < end_2) & (start_2 < end)
    return (overlap ^ True) | ((writes | writes_2) ^ True)
