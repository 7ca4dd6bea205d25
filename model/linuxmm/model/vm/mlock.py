"""mlock, mlock2, munlock, mlockall, munlockall: pages that stay in memory.

Linux: mm/mlock.c.  Seed 2.8 (F044, F059).
"""

from dataclasses import replace

from linuxmm.model.vm.areas import deny, page_align
from linuxmm.model.vm.merge import modify
from linuxmm.model.vm.mmap import may_lock_at_all
from linuxmm.model.vm.rules import Rules
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Errno, Event, Step
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm.area import Vma
from linuxmm.spec.vm.effects import Denied, Populate
from linuxmm.spec.vm.space import UNLIMITED, AddressSpace, index_from, overlapping, pages_between
from linuxmm.spec.vm.system_calls import Mlock, Mlockall, Munlock, Munlockall
from linuxmm.spec.vocabulary import PAGE_SHIFT, PAGE_SIZE

Result = Step[AddressSpace, int | Denied]


@behaviour("vm.lock-flags", since="2.4.0", until="4.3", features=("F059",), source="mm/mlock.c; 2.6.24, 3.5")
def no_lock_flags() -> int:
    """There is no mlock2."""
    return 0


@behaviour("vm.lock-flags", since="4.4", until="6.18", features=("F059",), source="mm/mlock.c; 4.4 to 6.18")
def lock_on_fault() -> int:
    """mlock2 knows MLOCK_ONFAULT, mlockall MCL_ONFAULT."""
    return vm.MLOCK_ONFAULT


@behaviour(
    "vm.onfault-alone", since="2.4.0", until="5.2", features=("F059",), source="mm/mlock.c:mlockall; 4.4"
)
def onfault_alone_is_taken() -> bool:
    """mlockall takes MCL_ONFAULT alone, which does nothing."""
    return True


@behaviour(
    "vm.onfault-alone",
    since="5.3",
    until="6.18",
    features=("F059",),
    source="mm/mlock.c:mlockall; commit dedca63504a2, 5.3",
)
def onfault_alone_is_refused() -> bool:
    """mlockall refuses MCL_ONFAULT alone."""
    return False


def _covered(rules: Rules, address: int, length: int) -> tuple[int, int]:
    """The whole pages that hold the range: (start, length), the length as a word that may wrap."""
    offset = address % PAGE_SIZE
    return address - offset, page_align((length + offset) & ((1 << rules.bits) - 1), rules.bits)


def _locked_within(space: AddressSpace, start: int, end: int) -> int:
    """Pages of a range that are locked.

    Source  mm/mlock.c:count_mm_mlocked_page_nr
    """
    return sum(
        pages_between(max(area.start, start), min(area.end, end))
        for area in overlapping(space, start, end)
        if area.flags & vm.VM_LOCKED
    )


@verb("F059", "F044", source="mm/mlock.c:do_mlock; 2.4 to 6.18")
def mlock(rules: Rules, space: AddressSpace, call: Mlock) -> Result:
    """Lock the pages that hold a range, and fault them in unless MLOCK_ONFAULT says not to.

    Refuses  EINVAL: unknown flags, the range wraps; EPERM: may not lock at all; ENOMEM: RLIMIT_MEMLOCK, a
             hole, too many areas, a page that cannot be had
    """
    if call.second and call.flags & ~rules.lock_flags():
        return Step(space, deny(Errno.EINVAL, "unknown-flags"))
    on_fault = call.second and call.flags & vm.MLOCK_ONFAULT
    if not may_lock_at_all(space):
        return Step(space, deny(Errno.EPERM, "may-not-lock"))
    start, length = _covered(rules, call.address, call.length)
    pages = (length >> PAGE_SHIFT) + space.locked
    limit = UNLIMITED if space.may_lock else space.limits.locked
    if limit != UNLIMITED:
        if pages > limit >> PAGE_SHIFT:
            pages -= _locked_within(space, start, min(start + length, 1 << rules.bits))
        if pages > limit >> PAGE_SHIFT:
            return Step(space, deny(Errno.ENOMEM, "lock-limit"))
    bits = vm.VM_LOCKED | (vm.VM_LOCKONFAULT if on_fault else 0)
    step = _apply(rules, space, start, length, bits)
    if isinstance(step.result, Denied) or not length:
        return step
    populate = Populate(start, start + length, None, Errno.ENOMEM)
    return Step(step.state, 0, (*step.events, populate))


@verb("F059", "F044", source="mm/mlock.c:munlock; 2.4 to 6.18")
def munlock(rules: Rules, space: AddressSpace, call: Munlock) -> Result:
    """Unlock the pages that hold a range.

    Refuses  EINVAL: the range wraps; ENOMEM: a hole, too many areas
    """
    start, length = _covered(rules, call.address, call.length)
    return _apply(rules, space, start, length, 0)


def _apply(rules: Rules, space: AddressSpace, start: int, length: int, bits: int) -> Result:
    """Give every area of the range the locking `bits`; a hole ends it.

    Source  mm/mlock.c:apply_vma_lock_flags
    """
    end = (start + length) & ((1 << rules.bits) - 1)
    if end < start:
        return Step(space, deny(Errno.EINVAL, "wraps"))
    events: tuple[Event, ...] = ()
    at = start
    while at < end:
        number = index_from(space, at)
        if number == len(space.areas) or space.areas[number].start > at:
            return Step(space, deny(Errno.ENOMEM, "hole"), events)
        area = space.areas[number]
        upto = min(area.end, end)
        step = _fix(rules, space, number, at, upto, area.flags & ~vm.VM_LOCKED_MASK | bits)
        space, events = step.state, events + step.events
        if isinstance(step.result, Denied):
            return Step(space, step.result, events)
        at = upto
    return Step(space, 0, events)


def _fix(
    rules: Rules, space: AddressSpace, number: int, start: int, end: int, flags: int
) -> Step[AddressSpace, Vma | Denied]:
    """Lock or unlock a part of an area; areas of devices are passed over.

    Source  mm/mlock.c:mlock_fixup
    """
    area = space.areas[number]
    if flags == area.flags or area.flags & (vm.VM_SPECIAL | vm.VM_HUGETLB | vm.VM_DROPPABLE):
        return Step(space, area)
    step = modify(rules, space, number, start, end, flags, area.name)
    if isinstance(step.result, Denied):
        return step
    more = bool(flags & vm.VM_LOCKED) - bool(area.flags & vm.VM_LOCKED)
    locked = step.state.locked + more * pages_between(start, end)
    return Step(replace(step.state, locked=locked), step.result, step.events)


@verb("F059", "F044", source="mm/mlock.c:mlockall; 2.4 to 6.18")
def mlockall(rules: Rules, space: AddressSpace, call: Mlockall) -> Result:
    """Lock all areas, those to come, or both.

    Refuses  EINVAL: no flag, an unknown one, MCL_ONFAULT alone; EPERM: may not lock; ENOMEM: RLIMIT_MEMLOCK
    """
    known = vm.MCL_CURRENT | vm.MCL_FUTURE | (vm.MCL_ONFAULT if rules.lock_flags() else 0)
    if not call.flags or call.flags & ~known:
        return Step(space, deny(Errno.EINVAL, "unknown-flags"))
    if call.flags == vm.MCL_ONFAULT and not rules.onfault_alone():
        return Step(space, deny(Errno.EINVAL, "onfault-alone"))
    if not may_lock_at_all(space):
        return Step(space, deny(Errno.EPERM, "may-not-lock"))
    limit = UNLIMITED if space.may_lock else space.limits.locked
    current = bool(call.flags & vm.MCL_CURRENT)
    if current and limit != UNLIMITED and space.total > limit >> PAGE_SHIFT:
        return Step(space, deny(Errno.ENOMEM, "lock-limit"))
    bits = vm.VM_LOCKED | (vm.VM_LOCKONFAULT if call.flags & vm.MCL_ONFAULT else 0)
    default = space.def_flags & ~vm.VM_LOCKED_MASK | (bits if call.flags & vm.MCL_FUTURE else 0)
    space = replace(space, def_flags=default)
    if not current:
        future_only = bool(call.flags & vm.MCL_FUTURE)
        return Step(space, 0) if future_only else _apply_all(rules, space, 0)
    step = _apply_all(rules, space, bits)
    return Step(step.state, step.result, (*step.events, Populate(0, space.task_size)))


@verb("F059", "F044", source="mm/mlock.c:munlockall; 2.4 to 6.18")
def munlockall(rules: Rules, space: AddressSpace, call: Munlockall) -> Result:
    """Unlock all areas, and lock none to come."""
    space = replace(space, def_flags=space.def_flags & ~vm.VM_LOCKED_MASK)
    return _apply_all(rules, space, 0)


def _apply_all(rules: Rules, space: AddressSpace, bits: int) -> Result:
    """Give every area the locking `bits`; what cannot be split is left out.

    Source  mm/mlock.c:apply_mlockall_flags
    """
    events: tuple[Event, ...] = ()
    at = 0
    while True:
        number = index_from(space, at)
        if number == len(space.areas):
            return Step(space, 0, events)
        area = space.areas[number]
        step = _fix(
            rules, space, number, max(at, area.start), area.end, area.flags & ~vm.VM_LOCKED_MASK | bits
        )
        space, events, at = step.state, events + step.events, area.end
