"""The areas of an address space as a map from pages to attributes: the yardstick for splits and merges.

However areas are cut, each page has attributes, and a system call changes those of the pages that it names
and of no other.  The invariants say what the areas themselves must keep.

Linux: mm/mmap.c, mm/vma.c.  Seed 2.8 (F059).
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from linuxmm.spec.invariant import invariant
from linuxmm.spec.vm.area import Vma
from linuxmm.spec.vm.flags import VM_ACCOUNT, VM_LOCKED, VM_SOFTDIRTY, VM_SPECIAL
from linuxmm.spec.vm.space import AddressSpace
from linuxmm.spec.vocabulary import PAGE_SHIFT, PAGE_SIZE


class Attributes(NamedTuple):
    """What one page has: flags, file, page of the file (None for private anonymous memory), name."""

    flags: int
    file: int | None
    page: int | None
    name: str | None


def attributes_at(area: Vma, address: int) -> Attributes:
    """The attributes of the page at `address` in an area."""
    index = None if area.file is None else area.pgoff_at(address)
    return Attributes(area.flags & ~VM_SOFTDIRTY, area.file, index, area.name)


def flat(areas: Iterable[Vma]) -> dict[int, Attributes]:
    """page number -> attributes."""
    return {
        address >> PAGE_SHIFT: attributes_at(area, address)
        for area in areas
        for address in range(area.start, area.end, PAGE_SIZE)
    }


def changed(before: Iterable[Vma], after: Iterable[Vma]) -> frozenset[int]:
    """The pages whose attributes differ."""
    old, new = flat(before), flat(after)
    return frozenset(page for page in {*old, *new} if old.get(page) != new.get(page))


@invariant("vm.areas.whole-pages", features=("F059",), seed="2.8", source="mm/mmap.c:validate_mm")
def whole_pages(areas: Sequence[Vma]) -> bool:
    """Every area begins and ends at a page and has at least one."""
    return all(
        area.start % PAGE_SIZE == 0 and area.end % PAGE_SIZE == 0 and area.start < area.end for area in areas
    )


@invariant("vm.areas.disjoint", features=("F059",), seed="2.8", source="mm/mmap.c:validate_mm")
def disjoint(areas: Sequence[Vma]) -> bool:
    """Areas are in address order and do not overlap."""
    return all(lower.end <= upper.start for lower, upper in pairwise(areas))


@invariant("vm.areas.below-task-size", features=("F059",), seed="2.8", source="mm/mmap.c:get_unmapped_area")
def below_task_size(areas: Sequence[Vma], task_size: int) -> bool:
    """No area reaches the end of the address space."""
    return all(area.end <= task_size for area in areas)


@invariant("vm.areas.total", features=("F059",), seed="2.8", source="mm/mmap.c:vm_stat_account")
def total_counted(areas: Sequence[Vma], total: int) -> bool:
    """total_vm is the number of pages of all areas."""
    return total == sum(area.pages for area in areas)


@invariant("vm.areas.locked", features=("F059", "F044"), seed="2.8", source="mm/mlock.c:mlock_fixup")
def locked_counted(areas: Sequence[Vma], locked: int) -> bool:
    """locked_vm is the number of pages of locked areas."""
    return locked == sum(area.pages for area in areas if area.flags & VM_LOCKED)


@invariant("vm.areas.committed", features=("F059",), seed="2.8", source="mm/util.c:__vm_enough_memory")
def committed_counted(areas: Sequence[Vma], committed: int) -> bool:
    """What an address space has committed is the number of pages of accounted areas."""
    return committed == sum(area.pages for area in areas if area.flags & VM_ACCOUNT)


@invariant("vm.areas.commit-limit", features=("F059",), seed="2.8", source="mm/util.c:__vm_enough_memory")
def within_limit(committed: int, limit: int, before: int) -> bool:
    """In overcommit mode 2 a step that commits more stays below the limit."""
    return committed <= before or committed < limit


@invariant("vm.areas.anon-chain", features=("F059",), seed="2.8", source="mm/rmap.c:__anon_vma_prepare")
def chains_match(areas: Sequence[Vma]) -> bool:
    """An area has an anon_vma exactly when its chain is not empty."""
    return all((area.anon is None) == (area.chain == 0) for area in areas)


@invariant("vm.areas.untouched-offset", features=("F059",), seed="2.8", source="mm/mmap.c:copy_vma")
def untouched_offsets(areas: Sequence[Vma]) -> bool:
    """Private anonymous memory without an anon_vma has the offset of its address, so that it can join."""
    return all(
        area.pgoff == area.start >> PAGE_SHIFT
        for area in areas
        if area.file is None and area.anon is None and not area.special
    )


def joinable(lower: Vma, upper: Vma) -> bool:
    """Whether two neighbours have all in common, the anon_vma too."""
    return (
        lower.end == upper.start
        and (lower.flags ^ upper.flags) & ~VM_SOFTDIRTY == 0
        and not lower.flags & VM_SPECIAL
        and lower.file == upper.file
        and lower.name == upper.name
        and lower.anon == upper.anon
        and lower.pgoff + lower.pages == upper.pgoff
    )


@invariant("vm.areas.canonical", features=("F059",), seed="2.8", source="mm/vma.c:vma_merge_new_range")
def canonical(areas: Sequence[Vma], exceptions: frozenset[int] = frozenset()) -> bool:
    """No two neighbours have all in common, save at boundaries where a step could not join them.

    exceptions  boundaries that stay after a refused split, a moved heap, two ends that became alike by a
                change of the area between, or an unlocked whole (MREMAP_DONTUNMAP)
    """
    return not any(
        joinable(lower, upper) and upper.start not in exceptions for lower, upper in pairwise(areas)
    )


def holds(space: AddressSpace) -> bool:
    """Whether the areas of a space keep what they must, whatever was done to it."""
    areas = space.areas
    return (
        whole_pages(areas)
        and disjoint(areas)
        and below_task_size(areas, space.task_size)
        and total_counted(areas, space.total)
        and chains_match(areas)
    )
