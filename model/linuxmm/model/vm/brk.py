"""brk: the end of the heap.

Linux: mm/mmap.c:brk, do_brk_flags (mm/vma.c since 6.15).  Seed 2.8 (F059).
"""

from dataclasses import replace

from linuxmm.model.vm.areas import charge, page_align
from linuxmm.model.vm.merge import add
from linuxmm.model.vm.munmap import unmap
from linuxmm.model.vm.rules import Rules
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Event, Step
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm.area import Vma
from linuxmm.spec.vm.effects import Denied, Populate
from linuxmm.spec.vm.limits import may_expand, may_lock_more
from linuxmm.spec.vm.space import UNLIMITED, AddressSpace, index_from, pages_between
from linuxmm.spec.vm.system_calls import Brk
from linuxmm.spec.vocabulary import PAGE_SHIFT, PAGE_SIZE

HEAP_FLAGS = vm.VM_READ | vm.VM_WRITE | vm.VM_MAYREAD | vm.VM_MAYWRITE | vm.VM_MAYEXEC | vm.VM_ACCOUNT


@verb("F059", source="mm/mmap.c:brk; 2.4 to 6.18")
def brk(rules: Rules, space: AddressSpace, call: Brk) -> Step[AddressSpace, int]:
    """Move the end of the heap.

    Gives  the new end, or the old one when the move is refused: below the heap's start, RLIMIT_DATA,
           no heap any more, something within a page and a guard gap above, the limits and the commit
    """
    refused = Step(space, space.brk)
    if call.address < space.start_brk:
        return refused
    limit = space.limits.data
    if limit != UNLIMITED and call.address - space.start_brk + space.data_bytes > limit:
        return refused
    new, old = page_align(call.address, rules.bits), page_align(space.brk, rules.bits)
    if new == old:
        return Step(replace(space, brk=call.address), call.address)
    if call.address <= space.brk:
        return _shrink(rules, space, call.address, new, old)
    grown = _grow(rules, space, old, new)
    if grown is None:
        return refused
    return Step(replace(grown.state, brk=call.address), call.address, grown.events)


def _shrink(rules: Rules, space: AddressSpace, address: int, new: int, old: int) -> Step[AddressSpace, int]:
    number = index_from(space, new)
    if number == len(space.areas) or space.areas[number].start >= old:
        return Step(space, space.brk)
    step = unmap(rules, space, new, old)
    if isinstance(step.result, Denied):
        return Step(step.state, space.brk, step.events)
    return Step(replace(step.state, brk=address), address, step.events)


def _grow(rules: Rules, space: AddressSpace, old: int, new: int) -> Step[AddressSpace, None] | None:
    """The heap up to `new`; None when that is refused."""
    length = new - old
    flags = HEAP_FLAGS | space.def_flags
    if new > space.task_size or old < space.system.min_address:
        return None
    if not may_lock_more(space, space.def_flags, length):
        return None
    number = index_from(space, old)
    if number < len(space.areas):
        upper = space.areas[number]
        if new + PAGE_SIZE > rules.guard_gap(upper, space.system.guard_pages):
            return None
    pages = pages_between(old, new)
    if not may_expand(rules.counts_data(), space, flags, pages):
        return None
    if len(space.areas) > space.system.max_map_count:
        return None
    charged = charge(rules, space, pages)
    if charged is None:
        return None
    both = rules.heap_joins_next()
    heap = Vma(old, new, flags, old >> PAGE_SHIFT)
    extends = both or old > space.start_brk
    step = add(rules, charged, heap, lower_too=extends, upper_too=both, mapped=False)
    grown = replace(step.state, total=step.state.total + pages, data=step.state.data + pages)
    events: tuple[Event, ...] = step.events
    if flags & vm.VM_LOCKED:
        grown = replace(grown, locked=grown.locked + pages)
        events += (Populate(old, new),)
    return Step(grown, None, events)
