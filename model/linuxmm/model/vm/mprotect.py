"""mprotect: other rights for a range, area by area.

Linux: mm/mprotect.c:do_mprotect_pkey, mprotect_fixup.  Seed 2.8 (F059).
"""

from linuxmm.model.vm.areas import charge, commit, count, deny, page_align
from linuxmm.model.vm.merge import modify
from linuxmm.model.vm.munmap import any_sealed
from linuxmm.model.vm.rules import Rules
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Errno, Event, Step
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm.area import Vma
from linuxmm.spec.vm.effects import Denied, Populate, Protect
from linuxmm.spec.vm.limits import may_expand
from linuxmm.spec.vm.space import AddressSpace, index_from, overlapping, pages_between
from linuxmm.spec.vm.system_calls import Mprotect
from linuxmm.spec.vocabulary import PAGE_SIZE

_GROWS = vm.PROT_GROWSDOWN | vm.PROT_GROWSUP
_KNOWN = vm.PROT_READ | vm.PROT_WRITE | vm.PROT_EXEC | vm.PROT_SEM


@behaviour(
    "vm.unaccounts",
    since="2.4.0",
    until="6.6",
    features=("F059",),
    source="mm/mprotect.c:mprotect_fixup; 2.6.24, 6.1, 6.5, 6.6",
)
def commit_is_kept() -> bool:
    """Memory that becomes read-only stays committed."""
    return False


@behaviour(
    "vm.unaccounts",
    since="6.7",
    until="6.18",
    features=("F059",),
    source="mm/mprotect.c:mprotect_fixup; 6.7 to 6.18",
)
def commit_of_untouched_is_given_back() -> bool:
    """Anonymous memory without an anon_vma that becomes read-only is committed no more."""
    return True


@verb("F059", source="mm/mprotect.c:do_mprotect_pkey; 2.4 to 6.18")
def mprotect(rules: Rules, space: AddressSpace, call: Mprotect) -> Step[AddressSpace, int | Denied]:
    """Change the rights of a range; a hole ends it, and what came before stays changed.

    Refuses  EINVAL: both GROWS flags, start is no page, unknown rights, GROWSDOWN where nothing grows;
             ENOMEM: the range wraps, begins or goes on in a hole, limits, commit, too many areas;
             EACCES: rights that the area may not have; EPERM: sealed
    """
    grows, prot = call.prot & _GROWS, call.prot & ~_GROWS
    if grows == _GROWS:
        return Step(space, deny(Errno.EINVAL, "grows-both-ways"))
    if call.address % PAGE_SIZE:
        return Step(space, deny(Errno.EINVAL, "unaligned"))
    if not call.length:
        return Step(space, 0)
    start = call.address
    end = (start + page_align(call.length, rules.bits)) & ((1 << rules.bits) - 1)
    if end <= start:
        return Step(space, deny(Errno.ENOMEM, "wraps"))
    if prot & ~_KNOWN:
        return Step(space, deny(Errno.EINVAL, "unknown-rights"))
    inside = overlapping(space, start, end)
    if not inside:
        return Step(space, deny(Errno.ENOMEM, "hole"))
    first = inside[0]
    if grows & vm.PROT_GROWSDOWN:
        start = first.start
        if not first.flags & vm.VM_GROWSDOWN:
            return Step(space, deny(Errno.EINVAL, "grows-not-down"))
    else:
        if first.start > start:
            return Step(space, deny(Errno.ENOMEM, "hole"))
        if grows & vm.PROT_GROWSUP:
            return Step(space, deny(Errno.EINVAL, "grows-not-up"))
    if rules.sealed_first() and any_sealed(inside):
        return Step(space, deny(Errno.EPERM, "sealed"))
    return _each(rules, space, start, end, prot)


def _each(
    rules: Rules, space: AddressSpace, start: int, end: int, prot: int
) -> Step[AddressSpace, int | Denied]:
    events: tuple[Event, ...] = ()
    at = start
    while at < end:
        number = index_from(space, at)
        if number == len(space.areas) or space.areas[number].start > at:
            return Step(space, deny(Errno.ENOMEM, "hole"), events)
        area = space.areas[number]
        key = vm.key_after(area.flags, prot, space.system.protection_keys)
        wanted = vm.vm_prot_bits(prot) | key | area.flags & ~(vm.VM_ACCESS | vm.VM_PKEY)
        if wanted & ~(wanted >> 4) & vm.VM_ACCESS:
            return Step(space, deny(Errno.EACCES, "may-not"), events)
        upto = min(area.end, end)
        step = _fix(rules, space, number, at, upto, wanted)
        space, events = step.state, events + step.events
        if isinstance(step.result, Denied):
            return Step(space, step.result, events)
        at = max(upto, min(step.result.end, end)) if step.result.end > upto else upto
    return Step(space, 0, events)


@verb("F059", source="mm/mprotect.c:mprotect_fixup; 2.4 to 6.18")
def _fix(
    rules: Rules, space: AddressSpace, number: int, start: int, end: int, flags: int
) -> Step[AddressSpace, Vma | Denied]:
    """Give start..end of one area the flags, and commit or give back what that takes."""
    area = space.areas[number]
    old, pages = area.flags, pages_between(start, end)
    if not rules.sealed_first() and old & vm.VM_SEALED:
        return Step(space, deny(Errno.EPERM, "sealed"))
    if flags == old:
        return Step(space, area)
    before = space
    if flags & vm.VM_WRITE:
        counts = rules.counts_data()
        if not may_expand(counts, space, flags, pages) and may_expand(counts, space, old, pages):
            return Step(space, deny(Errno.ENOMEM, "data-limit"))
        if not old & (vm.VM_ACCOUNT | vm.VM_WRITE | vm.VM_HUGETLB | vm.VM_SHARED | vm.VM_NORESERVE):
            charged = charge(rules, space, pages)
            if charged is None:
                return Step(space, deny(Errno.ENOMEM, "commit"))
            space, flags = charged, flags | vm.VM_ACCOUNT
    elif rules.unaccounts() and old & vm.VM_ACCOUNT and area.file is None and area.anon is None:
        flags &= ~vm.VM_ACCOUNT
    step = modify(rules, space, number, start, end, flags, area.name)
    if isinstance(step.result, Denied):
        uncharged = commit(step.state, before.system.committed - space.system.committed)
        return Step(uncharged, step.result, step.events)
    space = step.state
    if old & vm.VM_ACCOUNT and not flags & vm.VM_ACCOUNT:
        space = commit(space, -pages)
    space = count(count(space, old, -pages), flags, pages)
    events: tuple[Event, ...] = (*step.events, Protect(step.result, start, end))
    if old & (vm.VM_WRITE | vm.VM_SHARED | vm.VM_LOCKED) == vm.VM_LOCKED and flags & vm.VM_WRITE:
        events += (Populate(start, end),)
    return Step(space, step.result, events)
