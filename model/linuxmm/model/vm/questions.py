"""mincore and msync: calls that leave the areas as they are.

Linux: mm/mincore.c, mm/msync.c.  Seed 2.8 (F059).
"""

from linuxmm.model.vm.areas import deny, page_align
from linuxmm.model.vm.rules import Rules
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Errno, Step
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm.effects import Denied
from linuxmm.spec.vm.space import AddressSpace, area_at, index_from
from linuxmm.spec.vm.system_calls import Mincore, Msync
from linuxmm.spec.vocabulary import PAGE_SIZE

Result = Step[AddressSpace, int | Denied]


@verb("F059", source="mm/mincore.c:mincore; 2.4 to 6.18")
def mincore(rules: Rules, space: AddressSpace, call: Mincore) -> Result:
    """Ask which pages are in memory; the page layer answers.

    Refuses  EINVAL: start is no page; ENOMEM: beyond the address space, a hole; EFAULT: nowhere to answer,
             found once the first area was looked at
    """
    if call.address % PAGE_SIZE:
        return Step(space, deny(Errno.EINVAL, "unaligned"))
    end = call.address + call.length
    if end > space.task_size or end >> rules.bits:
        return Step(space, deny(Errno.ENOMEM, "beyond-task"))
    at = call.address
    while at < end:
        area = area_at(space, at)
        if area is None:
            return Step(space, deny(Errno.ENOMEM, "hole"))
        if not call.vector:
            return Step(space, deny(Errno.EFAULT, "no-vector"))
        at = area.end
    return Step(space, 0)


@verb("F059", source="mm/msync.c:msync; 2.6 to 6.18")
def msync(rules: Rules, space: AddressSpace, call: Msync) -> Result:
    """Write shared pages back.

    Refuses  EINVAL: unknown flags, start is no page, both MS_ASYNC and MS_SYNC; ENOMEM: the range wraps, a
             hole (found at the end, at once with MS_ASYNC alone); EBUSY: MS_INVALIDATE of locked pages
    """
    if call.flags & ~(vm.MS_ASYNC | vm.MS_INVALIDATE | vm.MS_SYNC):
        return Step(space, deny(Errno.EINVAL, "unknown-flags"))
    if call.address % PAGE_SIZE:
        return Step(space, deny(Errno.EINVAL, "unaligned"))
    if call.flags & vm.MS_ASYNC and call.flags & vm.MS_SYNC:
        return Step(space, deny(Errno.EINVAL, "both-ways"))
    end = (call.address + page_align(call.length, rules.bits)) & ((1 << rules.bits) - 1)
    if end < call.address:
        return Step(space, deny(Errno.ENOMEM, "wraps"))
    hole, at = False, call.address
    while at < end:
        number = index_from(space, at)
        if number == len(space.areas):
            return Step(space, deny(Errno.ENOMEM, "hole"))
        area = space.areas[number]
        if area.start > at:
            if call.flags == vm.MS_ASYNC:
                return Step(space, deny(Errno.ENOMEM, "hole"))
            hole, at = True, area.start
            if at >= end:
                break
        if call.flags & vm.MS_INVALIDATE and area.flags & vm.VM_LOCKED:
            return Step(space, deny(Errno.EBUSY, "invalidate-locked"))
        at = area.end
    return Step(space, deny(Errno.ENOMEM, "hole") if hole else 0)
