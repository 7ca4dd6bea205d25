"""Page faults under the lock of their area: a sequence number lets one unlock of mmap_lock release them all.

A fault takes the area's lock for reading, if it can at once and if the area's number is not the address
space's, which means that the area is being changed.  Who changes an area holds mmap_lock, waits for its
readers, and gives it the address space's number; unlocking mmap_lock raises the latter.

One area of one page; any number of faults beside one mprotect or munmap, step by step.

Linux: include/linux/mm.h:vma_start_read, __vma_start_write; mm/memory.c:lock_vma_under_rcu.
Seed 2 (F007, F059).  6.4 to 6.14 (6.15 replaced the lock by a count); read in 6.12.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from linuxmm.model.vm.explore import Finding, search
from linuxmm.model.vm.speculative_fault import Change
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Refusal
from linuxmm.spec.vm.fault_locking import entry_within_area


class At(Enum):
    """Where a fault stands."""

    BEGIN = "has not begun"
    FOUND = "has found the area"
    UNMARKED = "has seen that nobody changes the area"
    READING = "holds the area's lock"
    SURE = "has looked again"
    PREPARED = "has a page"
    FALLS_BACK = "falls back to mmap_lock"
    DONE = "is over"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: where it stands, and whether the area that it saw could be written."""

    at: At = At.BEGIN
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Area:
    """The area, its page's entry, and who is where.

    mm_number, number   mm_lock_seq, and vm_lock_seq of the area, which begins at another number
    readers, locked     of the area's lock: readers, whether it is held for writing
    writer              steps that the writer has done; it holds mmap_lock from the first to the last
    """

    faults: tuple[Fault, ...]
    mm_number: int = 1
    number: int = 0
    readers: int = 0
    locked: bool = False
    detached: bool = False
    writable: bool = True
    mapped: bool = False
    entry_writable: bool = False
    writer: int = 0


@dataclass(frozen=True, slots=True)
class Rules:
    """What a variant may leave out."""

    looks_again: bool = True
    looks_for_detached: bool = True
    waits_for_readers: bool = True
    marks: bool = True


SCRIPT: Final = ("locks mmap_lock", "locks the area", "marks the area", "unlocks the area",
                 "changes the area", "changes the entry", "unlocks mmap_lock")  # fmt: skip


def _at(area: Area, who: int, at: At, writable: bool = False) -> Area:
    return replace(area, faults=(*area.faults[:who], Fault(at, writable), *area.faults[who + 1 :]))


@verb("F007", "F059", source="mm/memory.c:lock_vma_under_rcu; include/linux/mm.h:vma_start_read; 6.12")
def step_fault(rules: Rules, area: Area, who: int) -> Area | None:
    """The next step of a fault; None while it cannot take one."""
    at = area.faults[who].at
    if at is At.BEGIN:
        return _at(area, who, At.FALLS_BACK if area.detached else At.FOUND)
    if at is At.FOUND:
        return _at(area, who, At.FALLS_BACK if area.number == area.mm_number else At.UNMARKED)
    if at is At.UNMARKED:
        if area.locked:
            return _at(area, who, At.FALLS_BACK)
        return _at(replace(area, readers=area.readers + 1), who, At.READING)
    if at is At.READING:
        marked = rules.looks_again and area.number == area.mm_number
        gone = rules.looks_for_detached and area.detached
        if marked or gone:
            return _at(replace(area, readers=area.readers - 1), who, At.FALLS_BACK)
        return _at(area, who, At.SURE)
    if at is At.SURE:
        return _at(area, who, At.PREPARED, area.writable)
    if at is At.PREPARED:
        done = _set_entry(area, area.faults[who].writable)
        return _at(replace(done, readers=area.readers - 1), who, At.DONE)
    if at is At.FALLS_BACK and area.writer in (0, len(SCRIPT)):
        return _at(_set_entry(area, area.writable and not area.detached), who, At.DONE)
    return None


def _set_entry(area: Area, writable: bool) -> Area:
    """Under the page table's lock: only where nothing is mapped, with the rights that the fault saw."""
    if area.mapped or not writable:
        return area
    return replace(area, mapped=True, entry_writable=True)


@verb("F007", "F059", source="include/linux/mm.h:__vma_start_write, vma_end_write_all; 6.12")
def step_writer(rules: Rules, area: Area, change: Change) -> Area | None:
    """The next step of the writer; None while it cannot take one."""
    at = area.writer
    if at == len(SCRIPT):
        return None
    if at == 1 and rules.waits_for_readers and area.readers:
        return None
    gone = change is Change.MUNMAP
    area = replace(area, writer=at + 1)
    if at in (1, 3):
        return replace(area, locked=at == 1 and rules.waits_for_readers)
    if at == 2:
        return replace(area, number=area.mm_number) if rules.marks else area
    if at == 4:
        return replace(area, detached=gone, writable=area.writable and gone)
    if at == 5:
        return replace(area, mapped=area.mapped and not gone, entry_writable=False)
    return replace(area, mm_number=area.mm_number + 1) if at == 6 else area


def judge(area: Area) -> Refusal | None:
    """What a state breaks."""
    settled = area.writer in (0, len(SCRIPT))
    if settled and not entry_within_area(area.mapped, area.entry_writable, not area.detached, area.writable):
        why = f"writable: entry {area.entry_writable}, area {area.writable}; detached: {area.detached}"
        return Refusal("vm.fault.entry-within-area", why)
    return None


def steps(rules: Rules, change: Change) -> Callable[[Area], Iterator[tuple[str, Area]]]:
    """Every step that may be made."""

    def following(area: Area) -> Iterator[tuple[str, Area]]:
        after = step_writer(rules, area, change)
        if after is not None:
            yield f"the writer {SCRIPT[area.writer]}", after
        for who, fault in enumerate(area.faults):
            after = step_fault(rules, area, who)
            if after is not None:
                yield f"fault {who}, which {fault.at.value}, goes on", after

    return following


def search_locked(change: Change, faults: int = 2, rules: Rules = Rules()) -> Finding:
    """Search the interleavings of faults under their area's lock with one change."""
    return search(Area((Fault(),) * faults), steps(rules, change), judge)
