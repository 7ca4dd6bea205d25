"""Address spaces of a capture against /proc/PID/maps, smaps and status, and page tables against counters."""

from bisect import bisect_right
from collections.abc import Iterator
from typing import Final, NamedTuple

from linuxmm.oracle.formats.areas import AddressSpace, Leaves, Task, TasksState, area_state
from linuxmm.oracle.formats.capture import Capture
from linuxmm.oracle.formats.kernel_files import Map, maps, numbers_by_name, text_of
from linuxmm.oracle.formats.state import Finding
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.vm.x86_entry import GLOBAL, PHYSICAL, PRESENT

_PAGE: Final = 4096
_PROT_NONE: Final = GLOBAL
"""Of an entry that is not present: Linux keeps the page, and no access is permitted."""
_SPECIAL: Final = 1 << 9
"""Linux's mark on entries whose page is not counted: zeros, the kernel's own, device memory."""
_SHOWN: Final = 0x87
_UNCOUNTED: Final = 0x400 | 0x400000 | 0x10000000
"""VM_PFNMAP, VM_HUGETLB, VM_MIXEDMAP (DAX): their pages are no part of the resident set."""
_SWAP_COUNTER: Final = 2
_COUNTED_LEVELS: Final = 3


class Held(NamedTuple):
    """Pages that page tables map, and pages that they say are swapped out."""

    resident: int
    swapped: int


def tasks_disagreements(capture: Capture, mark: str) -> Iterator[Finding]:
    """Every task at a mark."""
    state = area_state(capture, mark, "tasks")
    if not isinstance(state, TasksState):
        raise LinuxmmError("tasks.json holds the state of another area")
    for task in state.tasks:
        where = f"task {task.pid} {task.comm}"
        yield from _own(where, task.mm, state)
        yield from _files(capture, mark, where, task, state)


def _differs(where: str, what: str, expected: object, found: object) -> Iterator[Finding]:
    if expected != found:
        yield Finding(where, f"{what} {expected}", str(found))


def _own(where: str, mm: AddressSpace, state: TasksState) -> Iterator[Finding]:
    """The parts of an address space against each other."""
    yield from _differs(where, "map_count", mm.counters["map_count"], len(mm.vmas))
    pages = sum(vma.end - vma.start for vma in mm.vmas) // _PAGE
    yield from _differs(where, "total_vm", mm.counters["total_vm"], pages)
    yield from _differs(where, "pgtables_bytes", mm.counters["pgtables_bytes"], _PAGE * _counted(mm))
    for before, after in zip(mm.vmas, mm.vmas[1:], strict=False):
        if before.end > after.start:
            yield Finding(where, "VMAs apart from each other", f"{before.end:#x} after {after.start:#x}")
    held = [part for vma, part in zip(mm.vmas, _held(mm, state), strict=True) if not vma.flags & _UNCOUNTED]
    resident = sum(part.resident for part in held)
    counted = sum(mm.rss) - mm.rss[_SWAP_COUNTER]
    yield from _differs(where, "resident pages", counted, resident)
    swapped = sum(part.swapped for part in held)
    yield from _differs(where, "swapped pages", mm.rss[_SWAP_COUNTER], swapped)


def _files(capture: Capture, mark: str, where: str, task: Task, state: TasksState) -> Iterator[Finding]:
    text = text_of(capture, mark, f"proc/{task.pid}/maps")
    if text is not None:
        mine = [
            Map(vma.start, vma.end, vma.flags & _SHOWN, vma.pgoff * _PAGE if vma.path else 0, vma.inode)
            for vma in task.mm.vmas
        ]
        stated = maps(text)
        for line in sorted(set(stated) ^ set(mine)):
            have, lack = ("maps", "VMAs") if line in stated else ("VMAs", "maps")
            place = f"{line.start:x}-{line.end:x} flags {line.flags:x} offset {line.offset:x}"
            yield Finding(where, f"{place} of the {have}", f"no such among the {lack}")
    text = text_of(capture, mark, f"proc/{task.pid}/smaps")
    if text is not None:
        by_start = {line.start: line for line in maps(text)}
        for vma, held in zip(task.mm.vmas, _held(task.mm, state), strict=True):
            there = by_start.get(vma.start)
            if there is not None and not vma.flags & _UNCOUNTED:
                place = f"{where} {vma.start:x}"
                yield from _differs(place, "Rss in kB", there.rss, held.resident * 4)
                if not vma.inode:
                    yield from _differs(place, "Swap in kB", there.swap, held.swapped * 4)
    text = text_of(capture, mark, f"proc/{task.pid}/status")
    if text is not None:
        stated_kb = numbers_by_name(text).get("VmPTE")
        yield from _differs(where, "VmPTE in kB", stated_kb, _counted(task.mm) * 4)


def _counted(mm: AddressSpace) -> int:
    """Tables that pgtables_bytes counts: three levels; a fourth below the root is not.

    Source    include/linux/mm.h:mm_inc_nr_ptes, mm_inc_nr_pmds, mm_inc_nr_puds
    """
    return sum(mm.tables[:_COUNTED_LEVELS])


def _held(mm: AddressSpace, state: TasksState) -> list[Held]:
    """Per VMA, what the page tables hold inside it; a run may cross from one VMA into the next."""
    found = [Held(0, 0)] * len(mm.vmas)
    starts = [vma.start for vma in mm.vmas]
    for run in mm.leaves:
        size = _PAGE << 9 * run.level
        done = 0
        while done < run.count:
            va = run.va + done * size
            number = bisect_right(starts, va) - 1
            inside = number >= 0 and va < mm.vmas[number].end
            end = mm.vmas[number].end if inside else va + size
            count = max(1, min(run.count - done, (end - va) // size))
            if inside:
                part = Leaves(va, run.level, run.entry + (size * done if run.entry & PRESENT else 0), count)
                more = _run_held(part, state)
                found[number] = Held(
                    found[number].resident + more.resident, found[number].swapped + more.swapped
                )
            done += count
    return found


def _run_held(run: Leaves, state: TasksState) -> Held:
    pages = run.count << 9 * run.level
    if run.entry & PRESENT and run.entry & _SPECIAL:
        return Held(0, 0)
    if run.entry & (PRESENT | _PROT_NONE):
        kept = run.entry if run.entry & PRESENT else ~run.entry
        first = (kept & PHYSICAL) >> 12
        zeros = sum(
            max(0, min(first + pages, start + count) - max(first, start)) for start, count in state.zero_pages
        )
        return Held(pages - zeros, 0)
    return Held(0, pages)
