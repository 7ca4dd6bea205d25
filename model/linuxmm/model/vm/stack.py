"""Areas that grow downwards when they are touched below their start.

Linux: mm/mmap.c:expand_stack, expand_downwards (mm/vma.c since 6.13).  Seed 2.8 (F059).
"""

from dataclasses import replace

from linuxmm.model.vm.areas import charge, count
from linuxmm.model.vm.merge import prepare_anon
from linuxmm.model.vm.rules import Rules
from linuxmm.spec.registry import verb
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm.area import Vma
from linuxmm.spec.vm.limits import may_expand, may_lock_more
from linuxmm.spec.vm.space import UNLIMITED, AddressSpace, area_at, index_from, pages_between
from linuxmm.spec.vocabulary import PAGE_SHIFT, PAGE_SIZE


@verb("F059", source="mm/mmap.c:expand_downwards, acct_stack_growth; 2.4 to 6.18")
def grow_down(rules: Rules, space: AddressSpace, address: int) -> AddressSpace:
    """The space after a touch at `address`, which is in no area: the stack above it grows, if there is one
    and nothing forbids it.

    Ensures  when it grew, `address` is in the area; else no area changed its bounds
    """
    number = index_from(space, address)
    if number == len(space.areas) or area_at(space, address) is not None:
        return space
    area = space.areas[number]
    at = address & ~(PAGE_SIZE - 1)
    if not area.flags & vm.VM_GROWSDOWN or at < space.system.hint_floor:
        return space
    lower = space.areas[number - 1] if number else None
    if lower is not None and _too_near(lower, at, space.system.guard_pages):
        return space
    space = prepare_anon(rules, space, area.start)
    area = space.areas[number]
    size, grow = area.end - at, pages_between(at, area.start)
    if grow > area.pgoff or not may_expand(rules.counts_data(), space, area.flags, grow):
        return space
    if space.limits.stack != UNLIMITED and size > space.limits.stack:
        return space
    if not may_lock_more(space, area.flags, grow << PAGE_SHIFT):
        return space
    charged = charge(rules, space, grow)
    if charged is None:
        return space
    space = count(charged, area.flags, grow)
    if area.flags & vm.VM_LOCKED:
        space = replace(space, locked=space.locked + grow)
    grown = replace(area, start=at, pgoff=area.pgoff - grow)
    return replace(space, areas=(*space.areas[:number], grown, *space.areas[number + 1 :]))


def _too_near(lower: Vma, at: int, guard_pages: int) -> bool:
    """Whether a stack that begins at `at` would leave no guard gap above an area that can be touched."""
    touchable = lower.flags & vm.VM_ACCESS and not lower.flags & vm.VM_GROWSDOWN
    return bool(touchable) and at - lower.end < guard_pages << PAGE_SHIFT
