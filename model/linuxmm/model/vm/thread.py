"""One access of a thread through its TLB: a translation, or a fault that is served or refused.

Linux: arch/x86/mm/fault.c:do_user_addr_fault.  Seed 2.8, 2.3.1, 2.3.2 (F001, F040, F041, F059).
"""

from typing import Final

from linuxmm.hardware.mmu import Use, reference
from linuxmm.hardware.tlb import Shape, Tlb
from linuxmm.hardware.x86_walk import PAGE_FAULT
from linuxmm.model.vm.fault import serve
from linuxmm.model.vm.page_rules import PageRules
from linuxmm.model.vm.process import view
from linuxmm.model.vm.state import Pages, bus_of, mm_at, with_bus
from linuxmm.spec.registry import verb
from linuxmm.spec.vm.flags import VM_GROWSDOWN
from linuxmm.spec.vm.page_layer import PageArea
from linuxmm.spec.vm.space import AddressSpace, index_from, is_in, nr_areas
from linuxmm.spec.vm.x86_entry import Control
from linuxmm.spec.vm.x86_format import X86Format

NO_FAULT: Final = -1
HOLE: Final = 6
"""No area holds the address (SIGSEGV, SEGV_MAPERR)."""
BELOW_STACK: Final = 7
"""None does, but the area above grows downwards: `linuxmm.model.vm.stack.grow_down` decides."""


def area_numbered(space: AddressSpace, number: int) -> PageArea:
    """An area as pages see it."""
    return view(space, space.areas[number])


@verb("F001", "F040", "F041", "F059", source="arch/x86/mm/fault.c:do_user_addr_fault; 2.6.11 to 6.12")
def attempt(
    fmt: X86Format,
    shape: Shape,
    control: Control,
    rules: PageRules,
    pages: Pages,
    tlb: Tlb,
    areas: AddressSpace,
    space: int,
    pcid: int,
    address: int,
    kind: int,
    choice: int,
) -> tuple[Pages, Tlb, Use, int, int]:
    """One attempt at an access: after a fault that was served, it is made again.

    space   number of the address space in `pages`, whose areas `areas` are;  choice: as in `reference`
    Gives   what the CPU said, NO_FAULT or `Served`, HOLE or BELOW_STACK, the number of the area
    Ensures the flushes that a fault calls for are done: they are of the page that the CPU itself has dropped
    """
    tlb, bus, use = reference(
        fmt, shape, control, tlb, bus_of(pages), mm_at(pages, space).root, pcid, address, kind, True, choice
    )
    pages = with_bus(pages, bus)
    if use.status != PAGE_FAULT:
        return pages, tlb, use, NO_FAULT, 0
    pages, outcome, number = answer(rules, pages, areas, space, address, kind)
    return pages, tlb, use, outcome, number


def answer(
    rules: PageRules, pages: Pages, areas: AddressSpace, space: int, address: int, kind: int
) -> tuple[Pages, int, int]:
    """(pages, how a fault ended, number of the area): the area is looked up, and its rights asked."""
    number = index_from(areas, address)
    if is_in(areas, number, address):
        pages, served = serve(rules, pages, space, area_numbered(areas, number), address, kind)
        return pages, served.value, number
    if number < nr_areas(areas) and area_numbered(areas, number).flags & VM_GROWSDOWN != 0:
        return pages, BELOW_STACK, number
    return pages, HOLE, number
