"""The move itself: a copy of the area at the new place, its pages moved, the old range unmapped or kept.

Linux: mm/mremap.c:move_vma, mm/vma.c:copy_vma.  Seed 2.8 (F059).
"""

from dataclasses import replace
from typing import NamedTuple

from linuxmm.model.vm.areas import charge, commit, count, deny, splice, try_split
from linuxmm.model.vm.merge import add
from linuxmm.model.vm.munmap import unmap
from linuxmm.model.vm.rules import Rules
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Errno, Event, Step
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm.area import Vma
from linuxmm.spec.vm.effects import Denied, Move, Populate, Split
from linuxmm.spec.vm.space import AddressSpace, index_from
from linuxmm.spec.vocabulary import PAGE_SHIFT

_PATCHED = ("6.1.192", "6.12.117")
"""Stable releases in which the later MREMAP_DONTUNMAP was seen; where it began is unconfirmed."""


class MoveRange(NamedTuple):
    """old, old_length -> new, new_length, in bytes of whole pages; keep: MREMAP_DONTUNMAP."""

    old: int
    old_length: int
    new: int
    new_length: int
    keep: bool


@behaviour(
    "vm.dontunmap-resets",
    since="2.4.0",
    until="6.18",
    features=("F059",),
    source="mm/mremap.c:move_vma; 5.7, 5.11; observed on 6.18.44",
    replaced_in=_PATCHED,
)
def emptied_area_keeps_offset() -> bool:
    """An area that MREMAP_DONTUNMAP emptied keeps its page offset and may join its own copy."""
    return False


@behaviour(
    "vm.dontunmap-resets",
    since="6.19",
    until="6.19",
    features=("F059",),
    source="mm/mremap.c:move_vma, mm/vma.c:copy_vma (keep_source); 6.1.192, 6.12.117",
    backports=_PATCHED,
)
def emptied_area_begins_anew() -> bool:
    """An area that MREMAP_DONTUNMAP emptied has the offset of untouched memory; it never joins its copy."""
    return True


@verb("F059", source="mm/mremap.c:move_vma; 2.4 to 6.18")
def move_area(
    rules: Rules, space: AddressSpace, area: Vma, move: MoveRange
) -> Step[AddressSpace, int | Denied]:
    """Copy the part of `area` to the new place, which is free, move its pages, and unmap or empty the old.

    Refuses  ENOMEM: too many areas, or the commit
    """
    if len(space.areas) >= space.system.max_map_count - 3:
        return Step(space, deny(Errno.ENOMEM, "map-count"))
    events: tuple[Event, ...] = ()
    resets = rules.dontunmap_resets()
    if move.keep and rules.dontunmap_splits_locked() and area.flags & vm.VM_LOCKED:
        space, events = _isolate(space, area, move)
        area = space.areas[index_from(space, move.old)]
    extra = (move.new_length if move.keep else move.new_length - move.old_length) >> PAGE_SHIFT
    if area.flags & vm.VM_ACCOUNT:
        charged = charge(rules, space, extra)
        if charged is None:
            return Step(space, deny(Errno.ENOMEM, "commit"), events)
        space = charged
    untouched = area.file is None and area.anon is None
    pgoff = move.new >> PAGE_SHIFT if untouched else area.pgoff_at(move.old)
    copy = replace(area, start=move.new, end=move.new + move.new_length, pgoff=pgoff)
    added = _add_copy(rules, space, area, copy, apart=move.keep and resets and untouched)
    space, events = added.state, events + added.events
    if move.old_length:
        events += (Move(move.old, move.new, move.old_length),)
    space = count(space, area.flags, move.new_length >> PAGE_SHIFT)
    locked = area.flags & vm.VM_LOCKED
    if move.keep:
        space = _emptied(rules, space, area, move)
        if locked and rules.dontunmap_counts_locked():
            space = replace(space, locked=space.locked + (move.new_length >> PAGE_SHIFT))
    else:
        if locked:
            space = replace(space, locked=space.locked + (move.new_length >> PAGE_SHIFT))
        if move.old_length:
            before = space.system.committed
            gone = unmap(rules, space, move.old, move.old + move.old_length)
            space, events = gone.state, events + gone.events
            if area.flags & vm.VM_ACCOUNT:
                space = commit(space, before - space.system.committed)
    if locked and move.new_length > move.old_length:
        events += (Populate(move.new + move.old_length, move.new + move.new_length),)
    return Step(space, move.new, events)


def _isolate(space: AddressSpace, area: Vma, move: MoveRange) -> tuple[AddressSpace, tuple[Event, ...]]:
    """Make the moved part of a locked area an area of its own."""
    events: tuple[Event, ...] = ()
    for at in (move.old, move.old + move.old_length):
        if area.start < at < area.end:
            space, _ = try_split(space, at)
            events += (Split(at),)
    return space, events


def _add_copy(
    rules: Rules, space: AddressSpace, area: Vma, copy: Vma, *, apart: bool
) -> Step[AddressSpace, Vma]:
    """Add the copy; `apart`: it must not join the area that it was copied from.

    Source  mm/vma.c:copy_vma
    """
    if not apart or (copy.start != area.end and copy.end != area.start):
        return add(rules, space, copy, mapped=False)
    at = index_from(space, copy.start)
    return Step(splice(space, at, at, (copy,)), copy)


def _emptied(rules: Rules, space: AddressSpace, area: Vma, move: MoveRange) -> AddressSpace:
    """The old area after MREMAP_DONTUNMAP took its pages: not locked, and untouched if all of it moved."""
    number = index_from(space, move.old)
    old = space.areas[number]
    whole = old.start == move.old and old.end == move.old + move.old_length
    left = replace(old, flags=old.flags & ~rules.dontunmap_clears())
    if whole:
        left = replace(left, anon=None, chain=0)
        if rules.dontunmap_resets() and left.file is None:
            left = replace(left, pgoff=left.start >> PAGE_SHIFT)
    return splice(space, number, number + 1, (left,))


@behaviour(
    "vm.dontunmap-clears",
    since="2.4.0",
    until="6.14",
    features=("F059",),
    source="mm/mremap.c:move_vma; 5.7 to 6.14",
)
def dontunmap_clears_lock() -> int:
    """The area left behind is locked no more."""
    return vm.VM_LOCKED_MASK


@behaviour(
    "vm.dontunmap-clears",
    since="6.18",
    until="6.18",
    features=("F059",),
    source="mm/mremap.c:dontunmap_complete; 6.18.2; observed on 6.18.44 (6.18.0 unconfirmed)",
)
def dontunmap_clears_lock_alone() -> int:
    """The area left behind is locked no more, and stays accounted."""
    return vm.VM_LOCKED_MASK


@behaviour(
    "vm.dontunmap-splits-locked",
    since="2.4.0",
    until="6.18",
    features=("F059",),
    source="mm/mremap.c:move_vma; 5.7, 5.11; observed on 6.18.44",
    replaced_in=("6.1.192", "6.12.117"),
)
def whole_area_is_unlocked() -> bool:
    """MREMAP_DONTUNMAP of a part of a locked area leaves all of that area unlocked."""
    return False


@behaviour(
    "vm.dontunmap-splits-locked",
    since="6.19",
    until="6.19",
    features=("F059",),
    source="mm/mremap.c:move_vma; 6.1.192, 6.12.117",
    backports=("6.1.192", "6.12.117"),
)
def moved_part_is_unlocked() -> bool:
    """MREMAP_DONTUNMAP of a part of a locked area leaves that part unlocked."""
    return True


@behaviour(
    "vm.dontunmap-clears",
    since="6.15",
    until="6.17",
    features=("F059",),
    source="mm/mremap.c:dontunmap_complete; 6.17 (6.15, 6.16 unconfirmed)",
)
def dontunmap_clears_lock_and_account() -> int:
    """The area left behind is neither locked nor accounted any more."""
    return vm.VM_LOCKED_MASK | vm.VM_ACCOUNT


@behaviour(
    "vm.dontunmap-counts-locked",
    since="2.4.0",
    until="6.14",
    features=("F059",),
    source="mm/mremap.c:move_vma; 5.7 to 6.14",
)
def locked_count_moves() -> bool:
    """The pages that were locked are locked at the new place: their number stays."""
    return False


@behaviour(
    "vm.dontunmap-counts-locked",
    since="6.15",
    until="6.18",
    features=("F059",),
    source="mm/mremap.c:vrm_stat_account; 6.17 (6.15, 6.16 unconfirmed)",
)
def locked_count_grows() -> bool:
    """The pages at the new place are counted on top of those of the area left behind."""
    return True
