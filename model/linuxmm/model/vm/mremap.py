"""mremap: shrink, grow where the area is, or move.

Linux: mm/mremap.c.  Seed 2.8 (F059).  2.4 to 6.18; moves of several areas at once since 6.17.
"""

from dataclasses import replace
from typing import NamedTuple

from linuxmm.model.vm.areas import charge, count, deny, page_align
from linuxmm.model.vm.merge import add
from linuxmm.model.vm.munmap import unmap
from linuxmm.model.vm.place import get_unmapped_area
from linuxmm.model.vm.remap_move import MoveRange, move_area
from linuxmm.model.vm.rules import Rules
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Err, Errno, Event, Step
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm.area import Vma
from linuxmm.spec.vm.effects import Denied, Populate
from linuxmm.spec.vm.limits import may_expand, may_lock_more
from linuxmm.spec.vm.space import AddressSpace, area_at, overlapping
from linuxmm.spec.vm.system_calls import Mremap
from linuxmm.spec.vocabulary import PAGE_SHIFT, PAGE_SIZE

Result = Step[AddressSpace, int | Denied]


class Ask(NamedTuple):
    """A call with its lengths in whole pages."""

    old: int
    old_length: int
    new_length: int
    flags: int
    new: int


@behaviour(
    "vm.mremap-flags", since="2.4.0", until="5.6", features=("F059",), source="mm/mremap.c; 2.6.24, 5.4"
)
def flags_until_5_6() -> int:
    """MREMAP_MAYMOVE and MREMAP_FIXED."""
    return vm.MREMAP_MAYMOVE | vm.MREMAP_FIXED


@behaviour(
    "vm.mremap-flags", since="5.7", until="6.18", features=("F059",), source="mm/mremap.c; 5.7 to 6.18"
)
def flags_since_5_7() -> int:
    """MREMAP_MAYMOVE, MREMAP_FIXED and MREMAP_DONTUNMAP."""
    return vm.MREMAP_MAYMOVE | vm.MREMAP_FIXED | vm.MREMAP_DONTUNMAP


@behaviour(
    "vm.dontunmap-takes",
    since="2.4.0",
    until="5.12",
    features=("F059",),
    source="mm/mremap.c:vma_to_resize; 5.7 to 5.12",
)
def dontunmap_of_anonymous(area: Vma) -> bool:
    """MREMAP_DONTUNMAP takes private anonymous memory."""
    return area.file is None and not area.flags & vm.VM_SHARED


@behaviour(
    "vm.dontunmap-takes",
    since="5.13",
    until="6.18",
    features=("F059",),
    source="mm/mremap.c:vma_to_resize; 5.13 to 6.18",
)
def dontunmap_of_files_too(area: Vma) -> bool:
    """MREMAP_DONTUNMAP takes all but mappings of devices."""
    return not area.flags & (vm.VM_DONTEXPAND | vm.VM_PFNMAP)


def _aligned(rules: Rules, call: Mremap) -> Ask:
    old = page_align(call.old_length, rules.bits)
    return Ask(call.address, old, page_align(call.new_length, rules.bits), call.flags, call.new_address)


def _overlap(rules: Rules, ask: Ask) -> bool:
    mask = (1 << rules.bits) - 1
    old_end, new_end = (ask.old + ask.old_length) & mask, (ask.new + ask.new_length) & mask
    return old_end > ask.new and new_end > ask.old


def _to_new_place(ask: Ask) -> bool:
    return bool(ask.flags & (vm.MREMAP_FIXED | vm.MREMAP_DONTUNMAP))


@behaviour(
    "vm.mremap",
    since="2.4.0",
    until="6.16",
    features=("F059",),
    source="mm/mremap.c; 6.1, 6.12 to 6.14 (2.4 to 6.0, 6.15, 6.16 unconfirmed)",
)
def mremap_until_6_16(rules: Rules, space: AddressSpace, call: Mremap) -> Result:
    """The area is asked whether it can be moved after the target is unmapped and the tail cut off."""
    flags = call.flags
    if flags & ~rules.mremap_flags():
        return Step(space, deny(Errno.EINVAL, "unknown-flags"))
    if flags & vm.MREMAP_FIXED and not flags & vm.MREMAP_MAYMOVE:
        return Step(space, deny(Errno.EINVAL, "fixed-may-not-move"))
    if flags & vm.MREMAP_DONTUNMAP and (not flags & vm.MREMAP_MAYMOVE or call.old_length != call.new_length):
        return Step(space, deny(Errno.EINVAL, "dontunmap-resizes"))
    if call.address % PAGE_SIZE:
        return Step(space, deny(Errno.EINVAL, "unaligned"))
    ask = _aligned(rules, call)
    if not ask.new_length:
        return Step(space, deny(Errno.EINVAL, "no-length"))
    area = area_at(space, ask.old)
    if area is None:
        return Step(space, deny(Errno.EFAULT, "hole"))
    if area.flags & vm.VM_SEALED:
        return Step(space, deny(Errno.EPERM, "sealed"))
    if _to_new_place(ask):
        return _elsewhere_until_6_16(rules, space, ask)
    if ask.old_length == ask.new_length:
        return Step(space, ask.old)
    if ask.old_length > ask.new_length:
        return _shrink(rules, space, ask)
    refused = _cannot_resize(rules, space, area, ask)
    return Step(space, refused) if refused is not None else _grow(rules, space, area, ask)


def _elsewhere_until_6_16(rules: Rules, space: AddressSpace, ask: Ask) -> Result:
    if ask.new % PAGE_SIZE:
        return Step(space, deny(Errno.EINVAL, "new-unaligned"))
    if ask.new_length > space.task_size or ask.new > space.task_size - ask.new_length:
        return Step(space, deny(Errno.EINVAL, "new-beyond-task"))
    if _overlap(rules, ask):
        return Step(space, deny(Errno.EINVAL, "overlap"))
    if len(space.areas) + 2 >= space.system.max_map_count - 3:
        return Step(space, deny(Errno.ENOMEM, "map-count"))
    return _to(rules, space, ask, late=True)


def _to(rules: Rules, space: AddressSpace, ask: Ask, *, late: bool) -> Result:
    """Move to a place that the caller named.

    late    whether the area is asked only now, after the target was unmapped (up to 6.16)
    Source  mm/mremap.c:mremap_to
    """
    events: tuple[Event, ...] = ()
    if ask.flags & vm.MREMAP_FIXED:
        cleared = _unmap_range(rules, space, ask.new, ask.new_length)
        space, events = cleared.state, cleared.events
        if isinstance(cleared.result, Denied):
            return Step(space, cleared.result, events)
    if ask.old_length > ask.new_length:
        cut_off = _unmap_range(rules, space, ask.old + ask.new_length, ask.old_length - ask.new_length)
        space, events = cut_off.state, events + cut_off.events
        if isinstance(cut_off.result, Denied):
            return Step(space, cut_off.result, events)
        ask = ask._replace(old_length=ask.new_length)
    area = area_at(space, ask.old)
    if area is None:
        return Step(space, deny(Errno.EFAULT, "hole-now"), events)
    if late:
        refused = _cannot_resize(rules, space, area, ask)
        if refused is not None:
            return Step(space, refused, events)
    pages = ask.old_length >> PAGE_SHIFT
    if ask.flags & vm.MREMAP_DONTUNMAP and not may_expand(rules.counts_data(), space, area.flags, pages):
        return Step(space, deny(Errno.ENOMEM, "address-space-limit"), events)
    moved = _place_and_move(rules, space, area, ask)
    return Step(moved.state, moved.result, events + moved.events)


def _cannot_resize(rules: Rules, space: AddressSpace, area: Vma, ask: Ask) -> Denied | None:
    """Why an area cannot be moved or resized.

    Source  mm/mremap.c:vma_to_resize, check_prep_vma
    """
    if not ask.old_length and not area.flags & (vm.VM_SHARED | vm.VM_MAYSHARE):
        return deny(Errno.EINVAL, "private-twice")
    if ask.flags & vm.MREMAP_DONTUNMAP and not rules.dontunmap_takes(area):
        return deny(Errno.EINVAL, "dontunmap-of-this")
    if ask.old_length > area.end - ask.old:
        return deny(Errno.EFAULT, "several-areas")
    if ask.new_length == ask.old_length:
        return None
    pgoff = area.pgoff_at(ask.old)
    if pgoff + (ask.new_length >> PAGE_SHIFT) >> rules.bits:
        return deny(Errno.EINVAL, "offset-wraps")
    if area.flags & (vm.VM_DONTEXPAND | vm.VM_PFNMAP):
        return deny(Errno.EFAULT, "may-not-grow")
    delta = ask.new_length - ask.old_length
    if not may_lock_more(space, area.flags, delta):
        return deny(Errno.EAGAIN, "lock-limit")
    if not may_expand(rules.counts_data(), space, area.flags, delta >> PAGE_SHIFT):
        return deny(Errno.ENOMEM, "address-space-limit")
    return None


def _unmap_range(rules: Rules, space: AddressSpace, start: int, length: int) -> Result:
    start &= (1 << rules.bits) - 1
    if start > space.task_size or length > space.task_size - start or not length:
        return Step(space, deny(Errno.EINVAL, "unmap-beyond-task"))
    step = unmap(rules, space, start, start + length)
    return Step(step.state, 0 if step.result is None else step.result, step.events)


def _shrink(rules: Rules, space: AddressSpace, ask: Ask) -> Result:
    step = _unmap_range(rules, space, ask.old + ask.new_length, ask.old_length - ask.new_length)
    return Step(step.state, step.result if isinstance(step.result, Err) else ask.old, step.events)


@verb("F059", source="mm/mremap.c:expand_vma; 2.4 to 6.18")
def _grow(rules: Rules, space: AddressSpace, area: Vma, ask: Ask) -> Result:
    """Grow an area where it is, or move it to where it can."""
    delta = ask.new_length - ask.old_length
    end = area.end + delta
    fits = end <= space.task_size and area.start >= space.system.min_address
    if ask.old_length == area.end - ask.old and fits and not overlapping(space, area.end, end):
        return _extend(rules, space, area, ask.old, delta)
    if not ask.flags & vm.MREMAP_MAYMOVE:
        return Step(space, deny(Errno.ENOMEM, "cannot-grow-here"))
    return _place_and_move(rules, space, area, ask._replace(new=0))


def _extend(rules: Rules, space: AddressSpace, area: Vma, at: int, delta: int) -> Result:
    pages = delta >> PAGE_SHIFT
    if area.flags & vm.VM_ACCOUNT:
        charged = charge(rules, space, pages)
        if charged is None:
            return Step(space, deny(Errno.ENOMEM, "commit"))
        space = charged
    more = replace(area, start=area.end, end=area.end + delta, pgoff=area.pgoff_at(area.end))
    step = add(rules, space, more, mapped=False)
    space, events = count(step.state, area.flags, pages), step.events
    if area.flags & vm.VM_LOCKED:
        space = replace(space, locked=space.locked + pages)
        events += (Populate(area.end, area.end + delta),)
    return Step(space, at, events)


def _place_and_move(rules: Rules, space: AddressSpace, area: Vma, ask: Ask) -> Result:
    flags = vm.MAP_FIXED if ask.flags & vm.MREMAP_FIXED else 0
    if area.flags & vm.VM_MAYSHARE:
        flags |= vm.MAP_SHARED
    hint = ask.new if _to_new_place(ask) else 0
    anonymous = area.file is None
    at = get_unmapped_area(rules, space, hint, ask.new_length, flags, anonymous=anonymous)
    if isinstance(at, Denied):
        return Step(space, at)
    keep = bool(ask.flags & vm.MREMAP_DONTUNMAP)
    return move_area(rules, space, area, MoveRange(ask.old, ask.old_length, at, ask.new_length, keep))


@behaviour(
    "vm.mremap",
    since="6.17",
    until="6.18",
    features=("F059",),
    source="mm/mremap.c:do_mremap, check_prep_vma, remap_move; 6.18",
)
def mremap_since_6_17(rules: Rules, space: AddressSpace, call: Mremap) -> Result:
    """The area is asked first; a move without a change of size may take several areas."""
    ask = _aligned(rules, call)
    refused = _bad_arguments(rules, space, ask)
    if refused is not None:
        return Step(space, refused)
    if ask.flags & vm.MREMAP_FIXED and ask.old_length == ask.new_length:
        return _move_all(rules, space, ask)
    area = area_at(space, ask.old)
    refused = _bad_area(rules, space, area, ask)
    if refused is not None or area is None:
        return Step(space, refused or deny(Errno.EFAULT, "hole"))
    if _to_new_place(ask):
        return _to(rules, space, ask, late=False)
    if ask.old_length == ask.new_length:
        return Step(space, ask.old)
    if ask.old_length > ask.new_length:
        return _shrink(rules, space, ask)
    return _grow(rules, space, area, ask)


def _bad_arguments(rules: Rules, space: AddressSpace, ask: Ask) -> Denied | None:
    """What is wrong with the arguments alone.

    Source  mm/mremap.c:check_mremap_params; 6.18
    """
    if ask.flags & ~rules.mremap_flags():
        return deny(Errno.EINVAL, "unknown-flags")
    if ask.old % PAGE_SIZE:
        return deny(Errno.EINVAL, "unaligned")
    if not ask.new_length:
        return deny(Errno.EINVAL, "no-length")
    if ask.new_length > space.task_size:
        return deny(Errno.EINVAL, "new-beyond-task")
    if not _to_new_place(ask):
        return None
    if ask.new > space.task_size - ask.new_length:
        return deny(Errno.EINVAL, "new-beyond-task")
    if ask.new % PAGE_SIZE:
        return deny(Errno.EINVAL, "new-unaligned")
    if not ask.flags & vm.MREMAP_MAYMOVE:
        return deny(Errno.EINVAL, "fixed-may-not-move")
    if ask.flags & vm.MREMAP_DONTUNMAP and ask.old_length != ask.new_length:
        return deny(Errno.EINVAL, "dontunmap-resizes")
    if _overlap(rules, ask):
        return deny(Errno.EINVAL, "overlap")
    if len(space.areas) + 2 >= space.system.max_map_count - 3:
        return deny(Errno.ENOMEM, "map-count")
    return None


def _bad_area(rules: Rules, space: AddressSpace, area: Vma | None, ask: Ask) -> Denied | None:
    """Why the area cannot do what is asked.

    Source  mm/mremap.c:check_prep_vma; 6.18
    """
    if area is None:
        return deny(Errno.EFAULT, "hole")
    if area.flags & vm.VM_SEALED:
        return deny(Errno.EPERM, "sealed")
    if not _to_new_place(ask) and ask.old_length >= ask.new_length:
        return None
    kept = min(ask.old_length, ask.new_length)
    if ask.old_length > ask.new_length:
        if kept > area.end - ask.old:
            return deny(Errno.EFAULT, "several-areas")
        return None
    return _cannot_resize(rules, space, area, ask)


def _move_all(rules: Rules, space: AddressSpace, ask: Ask) -> Result:
    """Move every area of the range, the gaps between them kept; the first refusal ends it.

    Source  mm/mremap.c:remap_move; 6.18
    """
    events: tuple[Event, ...] = ()
    end = (ask.old + ask.old_length) & ((1 << rules.bits) - 1)
    result: int | Denied = deny(Errno.EFAULT, "hole")
    target, last_end, at = ask.new, 0, ask.old
    while at < end:
        areas = overlapping(space, at, end)
        if not areas:
            break
        area = areas[0]
        if not last_end and ask.old < area.start:
            return Step(space, deny(Errno.EFAULT, "hole"), events)
        start, stop = max(area.start, ask.old), min(area.end, end)
        part = Ask(start, stop - start, stop - start, ask.flags, target)
        if last_end:
            part = part._replace(new=target + area.start - last_end)
        last_end = area.end
        refused = _bad_area(rules, space, area, part)
        if refused is not None:
            return Step(space, refused, events)
        step = _to(rules, space, part, late=False)
        space, events = step.state, events + step.events
        if isinstance(step.result, Denied):
            return Step(space, step.result, events)
        if isinstance(result, Denied):
            result = step.result
        target, at = step.result + part.new_length, stop
    return Step(space, result, events)


@verb("F059", source="mm/mremap.c:mremap; 2.4 to 6.18")
def mremap(rules: Rules, space: AddressSpace, call: Mremap) -> Result:
    """Move or resize a mapping, in the order of checks of the kernel's version.

    Gives    the address, the old one unless the mapping moved
    Refuses  EINVAL arguments; EFAULT no area, several areas, one that may not grow; EAGAIN lock limit;
             ENOMEM limits, commit, no room; EPERM sealed.  What was unmapped before a refusal stays unmapped.
    """
    return rules.mremap(rules, space, call)
