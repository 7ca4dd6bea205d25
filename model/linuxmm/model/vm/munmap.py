"""munmap: cut a range out of the areas.

Linux: mm/vma.c:do_vmi_munmap, vms_gather_munmap_vmas (mm/mmap.c up to 6.11).  Seed 2.8 (F059).
"""

from dataclasses import replace

from linuxmm.model.vm.areas import WORD, at_map_limit, commit, count, deny, page_align, splice, split
from linuxmm.model.vm.rules import Rules
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Errno, Event, Step
from linuxmm.spec.vm.area import Vma
from linuxmm.spec.vm.effects import Denied, Split, Zap
from linuxmm.spec.vm.flags import VM_ACCOUNT, VM_LOCKED, VM_SEALED
from linuxmm.spec.vm.space import AddressSpace, index_from, overlapping
from linuxmm.spec.vm.system_calls import Munmap
from linuxmm.spec.vocabulary import PAGE_SIZE


@behaviour(
    "vm.sealed-first",
    since="2.4.0",
    until="6.11",
    features=("F059",),
    source="mm/mseal.c:can_modify_mm; 6.10 (no seals before)",
)
def sealed_found_first() -> bool:
    """A call looks for sealed areas in the whole range before it does anything."""
    return True


@behaviour(
    "vm.sealed-first",
    since="6.12",
    until="6.18",
    features=("F059",),
    source="mm/vma.c:vms_gather_munmap_vmas, mm/mprotect.c:mprotect_fixup; 6.12 to 6.18",
)
def sealed_found_on_the_way() -> bool:
    """A call meets sealed areas one after another; what it did before stays."""
    return False


def any_sealed(areas: tuple[Vma, ...]) -> bool:
    """Whether one of the areas is sealed."""
    return any(area.flags & VM_SEALED for area in areas)


@verb("F059", source="mm/mmap.c:munmap; 2.4 to 6.18")
def munmap(rules: Rules, space: AddressSpace, call: Munmap) -> Step[AddressSpace, int | Denied]:
    """Unmap whatever is in the range; holes are no error.

    Refuses  EINVAL: start is no page, the range is empty or ends beyond the address space; ENOMEM: one
             area would become two and there are too many; EPERM: sealed
    """
    length = page_align(call.length, rules.bits)
    if call.address % PAGE_SIZE:
        return Step(space, deny(Errno.EINVAL, "unaligned"))
    if call.address > space.task_size or call.length > space.task_size - call.address:
        return Step(space, deny(Errno.EINVAL, "beyond-task"))
    if not length:
        return Step(space, deny(Errno.EINVAL, "empty"))
    step = unmap(rules, space, call.address, call.address + length)
    return Step(step.state, step.result or 0, step.events)


@verb("F059", source="mm/vma.c:do_vmi_align_munmap; 2.4 to 6.18")
def unmap(rules: Rules, space: AddressSpace, start: int, end: int) -> Step[AddressSpace, Denied | None]:
    """Take the pages start..end out of the areas.

    Requires  whole pages
    Ensures   nothing is mapped there; other pages keep their attributes; what was accounted is given back
    Refuses   ENOMEM, EPERM as `munmap`; ends that were split already stay split
    """
    inside = overlapping(space, start, end)
    if not inside:
        return Step(space, None)
    if rules.sealed_first() and any_sealed(inside):
        return Step(space, deny(Errno.EPERM, "sealed"))
    events: list[Event] = []
    head = inside[0]
    if start > head.start:
        if end < head.end and at_map_limit(space):
            return Step(space, deny(Errno.ENOMEM, "map-count"))
        if head.flags & VM_SEALED:
            return Step(space, deny(Errno.EPERM, "sealed"))
        space = split(space, start)
        events.append(Split(start))
    for area in inside:
        if area.flags & VM_SEALED:
            return Step(space, deny(Errno.EPERM, "sealed"), tuple(events))
    if end < inside[-1].end:
        space = split(space, end)
        events.append(Split(end))
    first = index_from(space, start)
    gone = overlapping(space, start, end)
    space = splice(space, first, first + len(gone), ())
    accounted = sum(area.pages for area in gone if area.flags & VM_ACCOUNT)
    locked = sum(area.pages for area in gone if area.flags & VM_LOCKED)
    if locked:
        space = replace(space, locked=space.locked - locked)
    for area in gone:
        space = count(space, area.flags, -area.pages)
        if area.file is not None and space.files[area.file].committed:
            space = _released(space, area.file)
    return Step(commit(space, -accounted), None, (*events, Zap(start, end)))


def _released(space: AddressSpace, number: int) -> AddressSpace:
    """The space once shared anonymous memory is given up, if no area maps it any more."""
    if any(area.file == number for area in space.areas):
        return space
    file = space.files[number]
    given_back = commit(space, -file.committed)
    return replace(given_back, files=space.files.set(number, replace(file, committed=0)))


def unmap_all(rules: Rules, space: AddressSpace) -> Step[AddressSpace, None]:
    """Forget every area (exit, and exec before the new program): seals do not matter.

    Source    mm/mmap.c:exit_mmap; 2.4 to 6.18
    """
    accounted = sum(area.pages for area in space.areas if area.flags & VM_ACCOUNT)
    empty = replace(
        space, areas=(), total=0, data=0, stack=0, executable=0, locked=0, brk=space.start_brk, def_flags=0
    )
    return Step(commit(empty, -accounted), None, (Zap(0, min(space.task_size, WORD)),))
