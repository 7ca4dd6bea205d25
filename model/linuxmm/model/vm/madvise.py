"""madvise: hints that become flags of areas, and requests that change pages.

Linux: mm/madvise.c.  Seed 2.8, 2.4.7 (F047, F059).  Each kind of advice since the release named in `ADVICE`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from linuxmm.model.vm.areas import deny, range_end, splice
from linuxmm.model.vm.merge import modify, prepare_anon
from linuxmm.model.vm.munmap import any_sealed
from linuxmm.model.vm.rules import Rules
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.kernel import Version, behaviour
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Errno, Event, Step
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm.area import Vma
from linuxmm.spec.vm.effects import Denied, Discard, FreeLazily, Guard, PageOut, Populate, Punch
from linuxmm.spec.vm.space import AddressSpace, index_from, overlapping
from linuxmm.spec.vm.system_calls import Madvise

Result = Step[AddressSpace, Denied | None]
Visit = Callable[[Rules, AddressSpace, int, int, int], Result]
"""What is done to start..end, all in the area of a number: (rules, space, number, start, end)."""

ADVICE: Final[tuple[tuple[int, str], ...]] = (
    (vm.MADV_NORMAL, "2.4"),
    (vm.MADV_RANDOM, "2.4"),
    (vm.MADV_SEQUENTIAL, "2.4"),
    (vm.MADV_WILLNEED, "2.4"),
    (vm.MADV_DONTNEED, "2.4"),
    (vm.MADV_REMOVE, "2.6.16"),
    (vm.MADV_DONTFORK, "2.6.16"),
    (vm.MADV_DOFORK, "2.6.16"),
    (vm.MADV_MERGEABLE, "2.6.32"),
    (vm.MADV_UNMERGEABLE, "2.6.32"),
    (vm.MADV_HUGEPAGE, "2.6.38"),
    (vm.MADV_NOHUGEPAGE, "2.6.38"),
    (vm.MADV_DONTDUMP, "3.4"),
    (vm.MADV_DODUMP, "3.4"),
    (vm.MADV_FREE, "4.5"),
    (vm.MADV_WIPEONFORK, "4.14"),
    (vm.MADV_KEEPONFORK, "4.14"),
    (vm.MADV_COLD, "5.4"),
    (vm.MADV_PAGEOUT, "5.4"),
    (vm.MADV_POPULATE_READ, "5.14"),
    (vm.MADV_POPULATE_WRITE, "5.14"),
    (vm.MADV_DONTNEED_LOCKED, "5.18"),
    (vm.MADV_COLLAPSE, "6.1"),
    (vm.MADV_GUARD_INSTALL, "6.13"),
    (vm.MADV_GUARD_REMOVE, "6.13"),
    (vm.MADV_HWPOISON, "2.6.32"),
    (vm.MADV_SOFT_OFFLINE, "2.6.33"),
)
"""Advice and the first release that knows it, with KSM, huge pages and memory failure built in."""

_DISCARDS: Final = frozenset(
    {
        vm.MADV_FREE,
        vm.MADV_DONTNEED,
        vm.MADV_DONTNEED_LOCKED,
        vm.MADV_REMOVE,
        vm.MADV_DONTFORK,
        vm.MADV_WIPEONFORK,
        vm.MADV_GUARD_INSTALL,
    }
)
_NO_KSM: Final = (
    vm.VM_MERGEABLE | vm.VM_SHARED | vm.VM_MAYSHARE | vm.VM_HUGETLB | vm.VM_SPECIAL | vm.VM_DROPPABLE
)
_PMD_SIZE: Final = 2 << 20


def advice_of(version: Version) -> frozenset[int]:
    """The advice that a release knows."""

    def known(since: str) -> bool:
        numbers = tuple(map(int, since.split(".")))
        return version >= Version(numbers[0], numbers[1], numbers[2] if len(numbers) > 2 else 0)

    return frozenset(advice for advice, since in ADVICE if known(since))


@behaviour(
    "vm.removable",
    since="2.4.0",
    until="6.6",
    replaced_in=("6.1.176",),
    features=("F059",),
    source="mm/madvise.c:madvise_remove; 6.1.0 (its backport to 6.1 is no later than 6.1.176)",
)
def removable_if_written(flags: int) -> bool:
    """MADV_REMOVE takes what is mapped shared and writable."""
    both = vm.VM_SHARED | vm.VM_WRITE
    return flags & both == both


@behaviour(
    "vm.removable",
    since="6.7",
    until="6.18",
    backports=("6.1.176",),
    features=("F059",),
    source="mm/madvise.c:madvise_remove; 6.1.176, 6.1.192, 6.7 to 6.18",
)
def removable_if_writable(flags: int) -> bool:
    """MADV_REMOVE takes what is mapped shared and may become writable."""
    both = vm.VM_SHARED | vm.VM_MAYWRITE
    return flags & both == both


@behaviour(
    "vm.guardable",
    since="2.4.0",
    until="6.14",
    features=("F059",),
    source="mm/madvise.c:is_valid_guard_vma; 6.13, 6.14",
)
def guards_in_anonymous(area: Vma) -> bool:
    """Guards stand in private anonymous memory that may be written."""
    return area.file is None and bool(area.flags & vm.VM_MAYWRITE)


@behaviour(
    "vm.guardable",
    since="6.15",
    until="6.18",
    features=("F059",),
    source="mm/madvise.c:is_valid_guard_vma; 6.15 to 6.18",
)
def guards_in_files_too(area: Vma) -> bool:
    """Guards stand in any memory that is not of a device."""
    return True


@behaviour(
    "vm.guards-mark",
    since="2.4.0",
    until="6.18",
    replaced_in=("6.18.44",),
    features=("F059",),
    source="mm/madvise.c:madvise_guard_install; 6.13, 6.14, 6.17 to 6.18.33",
)
def guards_bring_anon_vma(rules: Rules, space: AddressSpace, address: int) -> AddressSpace:
    """An area with guards has an anon_vma, so that fork copies its tables."""
    return prepare_anon(rules, space, address)


@behaviour(
    "vm.guards-mark",
    since="6.19",
    until="6.19",
    backports=("6.18.44",),
    features=("F059",),
    source="mm/madvise.c:madvise_guard_install; 6.18.44 (6.18.34 to 6.18.43 unconfirmed)",
)
def guards_bring_a_flag(rules: Rules, space: AddressSpace, address: int) -> AddressSpace:
    """An area with guards says so by a flag that it never loses; a private one has an anon_vma too."""
    if not space.areas[index_from(space, address)].flags & vm.VM_SHARED:
        space = prepare_anon(rules, space, address)
    number = index_from(space, address)
    area = space.areas[number]
    marked = replace(area, flags=area.flags | vm.VM_MAYBE_GUARD)
    return splice(space, number, number + 1, (marked,))


@behaviour(
    "vm.populates-apart",
    since="2.4.0",
    until="6.9",
    features=("F059",),
    source="mm/madvise.c:madvise_walk_vmas, madvise_vma_behavior; 5.14 to 6.9",
)
def populate_walks_like_others() -> bool:
    """MADV_POPULATE_* goes on after a hole."""
    return False


@behaviour(
    "vm.populates-apart",
    since="6.10",
    until="6.18",
    features=("F059",),
    source="mm/madvise.c:do_madvise, madvise_populate; 6.10, 6.12",
)
def populate_stops_at_a_hole() -> bool:
    """MADV_POPULATE_* ends at the first hole."""
    return True


@behaviour(
    "vm.seal-protects",
    since="2.4.0",
    until="6.18",
    features=("F059",),
    source="mm/mseal.c:can_modify_vma_madv; 6.10, 6.12; observed on 6.18.44",
)
def seal_of_read_only_anonymous(area: Vma) -> bool:
    """A sealed area of anonymous memory that cannot be written is not discarded."""
    return area.file is None and not area.flags & (vm.VM_SHARED | vm.VM_WRITE)


@verb("F059", "F047", source="mm/madvise.c:do_madvise; 2.4 to 6.18")
def madvise(rules: Rules, space: AddressSpace, call: Madvise) -> Step[AddressSpace, int | Denied]:
    """Advise about a range; holes are passed over and give ENOMEM at the end.

    Refuses  EINVAL: unknown advice, start is no page, the range wraps, or the area and the advice do not
             fit; EACCES, EPERM, EFAULT, EAGAIN by kind of advice.  What was done before stays.
    """
    if call.advice not in rules.advice():
        return Step(space, deny(Errno.EINVAL, "unknown-advice"))
    end = range_end(rules.bits, call.address, call.length)
    if isinstance(end, Denied):
        return Step(space, end)
    if end == call.address:
        return Step(space, 0)
    if call.advice in (vm.MADV_HWPOISON, vm.MADV_SOFT_OFFLINE):
        return Step(space, deny(Errno.EPERM, "not-administrator"))
    if call.advice in (vm.MADV_POPULATE_READ, vm.MADV_POPULATE_WRITE) and rules.populates_apart():
        return _populate_range(rules, space, call.address, end, call.advice)
    inside = overlapping(space, call.address, end)
    protected = tuple(area for area in inside if rules.seal_protects(area))
    if call.advice in _DISCARDS and rules.sealed_first() and any_sealed(protected):
        return Step(space, deny(Errno.EPERM, "sealed"))

    def visit(rules: Rules, space: AddressSpace, number: int, start: int, end: int) -> Result:
        return _advise(rules, space, number, start, end, call.advice)

    return walk(rules, space, call.address, end, visit)


def walk(
    rules: Rules, space: AddressSpace, start: int, end: int, visit: Visit
) -> Step[AddressSpace, int | Denied]:
    """Visit the areas of a range, in order; holes give ENOMEM at the end, a refusal ends it at once.

    Source  mm/madvise.c:madvise_walk_vmas; 2.4 to 6.18
    """
    events: tuple[Event, ...] = ()
    hole = False
    at = start
    while at < end:
        number = index_from(space, at)
        if number == len(space.areas) or space.areas[number].start >= end:
            hole = True
            break
        area = space.areas[number]
        if area.start > at:
            hole, at = True, area.start
        upto = min(area.end, end)
        step = visit(rules, space, number, at, upto)
        space, events = step.state, events + step.events
        if isinstance(step.result, Denied):
            return Step(space, step.result, events)
        at = upto
    return Step(space, deny(Errno.ENOMEM, "hole") if hole else 0, events)


def _advise(rules: Rules, space: AddressSpace, number: int, start: int, end: int, advice: int) -> Result:
    area = space.areas[number]
    sealed = area.flags & vm.VM_SEALED and rules.seal_protects(area)
    if sealed and not rules.sealed_first() and advice in _DISCARDS:
        return Step(space, deny(Errno.EPERM, "sealed"))
    request = _REQUESTS.get(advice)
    if request is not None:
        return request(rules, space, number, start, end)
    flags = _new_flags(rules, area, advice)
    if isinstance(flags, Denied):
        return Step(space, flags)
    return update(rules, space, number, start, end, flags, area.name)


def update(
    rules: Rules, space: AddressSpace, number: int, start: int, end: int, flags: int, name: str | None
) -> Result:
    """Give a part of an area flags and a name; ENOMEM becomes EAGAIN.

    Source  mm/madvise.c:madvise_update_vma
    """
    area = space.areas[number]
    if flags == area.flags and name == area.name:
        return Step(space, None)
    step = modify(rules, space, number, start, end, flags, name)
    if isinstance(step.result, Denied):
        return Step(step.state, deny(Errno.EAGAIN, step.result.why), step.events)
    return Step(step.state, None, step.events)


def _new_flags(rules: Rules, area: Vma, advice: int) -> int | Denied:
    """The flags of an area that was advised, or why it cannot be."""
    flags = area.flags
    if advice in _CLEAR_SET:
        clear, put = _CLEAR_SET[advice]
        return flags & ~clear | put
    if advice == vm.MADV_DOFORK:
        return deny(Errno.EINVAL, "device") if flags & vm.VM_IO else flags & ~vm.VM_DONTCOPY
    if advice == vm.MADV_WIPEONFORK:
        if area.file is not None or flags & vm.VM_SHARED:
            return deny(Errno.EINVAL, "wipe-not-anonymous")
        return flags | vm.VM_WIPEONFORK
    if advice == vm.MADV_KEEPONFORK:
        if flags & vm.VM_DROPPABLE and rules.droppable_is_kept():
            return deny(Errno.EINVAL, "droppable")
        return flags & ~vm.VM_WIPEONFORK
    if advice == vm.MADV_DODUMP:
        if flags & vm.VM_SPECIAL:
            return deny(Errno.EINVAL, "dump-special")
        if flags & vm.VM_DROPPABLE and rules.droppable_is_kept():
            return deny(Errno.EINVAL, "droppable")
        return flags & ~vm.VM_DONTDUMP
    if advice == vm.MADV_MERGEABLE:
        return flags if flags & _NO_KSM else flags | vm.VM_MERGEABLE
    raise Unmodelled(f"madvise with advice {advice}")


_CLEAR_SET: Final[dict[int, tuple[int, int]]] = {
    vm.MADV_NORMAL: (vm.VM_RAND_READ | vm.VM_SEQ_READ, 0),
    vm.MADV_SEQUENTIAL: (vm.VM_RAND_READ, vm.VM_SEQ_READ),
    vm.MADV_RANDOM: (vm.VM_SEQ_READ, vm.VM_RAND_READ),
    vm.MADV_DONTFORK: (0, vm.VM_DONTCOPY),
    vm.MADV_DONTDUMP: (0, vm.VM_DONTDUMP),
    vm.MADV_UNMERGEABLE: (vm.VM_MERGEABLE, 0),
    vm.MADV_HUGEPAGE: (vm.VM_NOHUGEPAGE, vm.VM_HUGEPAGE),
    vm.MADV_NOHUGEPAGE: (vm.VM_HUGEPAGE, vm.VM_NOHUGEPAGE),
}


# ---- requests that change pages --------------------------------------------------------------------------


def _will_need(rules: Rules, space: AddressSpace, number: int, start: int, end: int) -> Result:
    """MADV_WILLNEED: what is swapped out or in a file is read ahead."""
    return Step(space, None)


def _age(rules: Rules, space: AddressSpace, number: int, start: int, end: int) -> Result:
    """MADV_COLD: pages are the next that reclaim looks at."""
    if space.areas[number].flags & (vm.VM_LOCKED | vm.VM_PFNMAP | vm.VM_HUGETLB):
        return Step(space, deny(Errno.EINVAL, "not-on-lists"))
    return Step(space, None)


def _page_out(rules: Rules, space: AddressSpace, number: int, start: int, end: int) -> Result:
    """MADV_PAGEOUT: pages are reclaimed now, if they can be."""
    step = _age(rules, space, number, start, end)
    if isinstance(step.result, Denied):
        return step
    return Step(space, None, (PageOut(space.areas[number], start, end),))


def _remove(rules: Rules, space: AddressSpace, number: int, start: int, end: int) -> Result:
    """MADV_REMOVE: a hole in the file."""
    area = space.areas[number]
    if area.flags & vm.VM_LOCKED:
        return Step(space, deny(Errno.EINVAL, "remove-locked"))
    if area.file is None:
        return Step(space, deny(Errno.EINVAL, "remove-no-file"))
    if not rules.removable(area.flags):
        return Step(space, deny(Errno.EACCES, "remove-not-writable"))
    return Step(space, None, (Punch(area, start, end),))


def _discard(rules: Rules, space: AddressSpace, number: int, start: int, end: int) -> Result:
    """MADV_DONTNEED."""
    if space.areas[number].flags & vm.VM_LOCKED:
        return Step(space, deny(Errno.EINVAL, "discard-locked"))
    return _discard_locked(rules, space, number, start, end)


def _discard_locked(rules: Rules, space: AddressSpace, number: int, start: int, end: int) -> Result:
    """MADV_DONTNEED_LOCKED."""
    area = space.areas[number]
    if area.flags & vm.VM_PFNMAP:
        return Step(space, deny(Errno.EINVAL, "discard-device"))
    return Step(space, None, (Discard(area, start, end),))


def _free(rules: Rules, space: AddressSpace, number: int, start: int, end: int) -> Result:
    """MADV_FREE."""
    area = space.areas[number]
    if area.flags & (vm.VM_LOCKED | vm.VM_PFNMAP):
        return Step(space, deny(Errno.EINVAL, "discard-locked"))
    if area.file is not None or area.flags & vm.VM_SHARED:
        return Step(space, deny(Errno.EINVAL, "free-not-anonymous"))
    return Step(space, None, (FreeLazily(area, start, end),))


def _populate_read(rules: Rules, space: AddressSpace, number: int, start: int, end: int) -> Result:
    """MADV_POPULATE_READ, one area."""
    if not space.areas[number].flags & vm.VM_READ:
        return Step(space, deny(Errno.EINVAL, "populate-rights"))
    return Step(space, None, (Populate(start, end, False, Errno.EFAULT),))


def _populate_write(rules: Rules, space: AddressSpace, number: int, start: int, end: int) -> Result:
    """MADV_POPULATE_WRITE, one area."""
    if not space.areas[number].flags & vm.VM_WRITE:
        return Step(space, deny(Errno.EINVAL, "populate-rights"))
    return Step(space, None, (Populate(start, end, True, Errno.EFAULT),))


def _populate_range(
    rules: Rules, space: AddressSpace, start: int, end: int, advice: int
) -> Step[AddressSpace, int | Denied]:
    """MADV_POPULATE_* since 6.10: from area to area, until a hole or a refusal."""
    request = _populate_read if advice == vm.MADV_POPULATE_READ else _populate_write
    events: tuple[Event, ...] = ()
    at = start
    while at < end:
        number = index_from(space, at)
        if number == len(space.areas) or space.areas[number].start > at:
            return Step(space, deny(Errno.ENOMEM, "hole"), events)
        upto = min(space.areas[number].end, end)
        step = request(rules, space, number, at, upto)
        events += step.events
        if isinstance(step.result, Denied):
            return Step(space, step.result, events)
        at = upto
    return Step(space, 0, events)


def _collapse(rules: Rules, space: AddressSpace, number: int, start: int, end: int) -> Result:
    """MADV_COLLAPSE of an area that cannot hold a huge page; others are not described here."""
    area = space.areas[number]
    first = (area.start + _PMD_SIZE - 1) & ~(_PMD_SIZE - 1)
    if first + _PMD_SIZE <= area.end:
        raise Unmodelled("madvise with MADV_COLLAPSE where a huge page fits")
    return Step(space, deny(Errno.EINVAL, "collapse-too-small"))


def _install_guards(rules: Rules, space: AddressSpace, number: int, start: int, end: int) -> Result:
    """MADV_GUARD_INSTALL: the pages are gone, and an access is a fault."""
    area = space.areas[number]
    unfit = area.flags & (vm.VM_SPECIAL | vm.VM_HUGETLB | vm.VM_LOCKED)
    if unfit or not rules.guardable(area):
        return Step(space, deny(Errno.EINVAL, "guard-unfit"))
    return Step(rules.guards_mark(rules, space, start), None, (Guard(start, end, True),))


def _remove_guards(rules: Rules, space: AddressSpace, number: int, start: int, end: int) -> Result:
    """MADV_GUARD_REMOVE."""
    area = space.areas[number]
    if area.flags & (vm.VM_SPECIAL | vm.VM_HUGETLB) or not rules.guardable(area):
        return Step(space, deny(Errno.EINVAL, "guard-unfit"))
    return Step(space, None, (Guard(start, end, False),))


_REQUESTS: Final[dict[int, Visit]] = {
    vm.MADV_WILLNEED: _will_need,
    vm.MADV_COLD: _age,
    vm.MADV_PAGEOUT: _page_out,
    vm.MADV_REMOVE: _remove,
    vm.MADV_DONTNEED: _discard,
    vm.MADV_DONTNEED_LOCKED: _discard_locked,
    vm.MADV_FREE: _free,
    vm.MADV_POPULATE_READ: _populate_read,
    vm.MADV_POPULATE_WRITE: _populate_write,
    vm.MADV_COLLAPSE: _collapse,
    vm.MADV_GUARD_INSTALL: _install_guards,
    vm.MADV_GUARD_REMOVE: _remove_guards,
}
