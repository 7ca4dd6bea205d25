"""Page faults without mmap_sem: look, prepare, and look again under the lock of the page table.

A fault finds the area under its own reference, notes its sequence count and its rights, prepares a page, and
sets the entry only if under the page table's lock the count is the same, the area still in the tree and the
entry as it was; otherwise it gives up and is done again under mmap_sem.  Whoever changes an area makes the
count odd before and even after.

One area of one page; any number of faults beside one mprotect or munmap, step by step.

Linux: v11 of the series, mm/memory.c:handle_speculative_fault; posted 2018, never merged; see `vma_lock` for
what came of it.  Seed 2 (F007).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from linuxmm.model.vm.explore import Finding, search
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Refusal
from linuxmm.spec.vm.fault_locking import area_alive, entry_within_area, no_lost_page

NOBODY: Final = -1


class Change(Enum):
    """What the writer does to the area."""

    MPROTECT = "takes away the right to write"
    MUNMAP = "removes the area"


class At(Enum):
    """Where a fault stands."""

    BEGIN = "has not begun"
    FOUND = "has found the area"
    COUNTED = "has noted count and rights"
    PREPARED = "has a page"
    CHECKED = "has compared the count"
    LOCKED = "holds the page table's lock"
    FALLS_BACK = "falls back to mmap_sem"
    DONE = "is over"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: where it stands, and what it noted."""

    at: At = At.BEGIN
    count: int = 0
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """The area, its page's entry, and who is where.

    count       the area's sequence count;  in_tree, writable, freed: the area;  references to it
    entry       whether the page is mapped, and for writing
    lost        whether an entry was set over another
    table_lock  number of the fault that holds the page table's lock, or NOBODY
    writer      steps that the writer has done; it holds mmap_sem from the first to the last
    """

    faults: tuple[Fault, ...]
    count: int = 0
    in_tree: bool = True
    writable: bool = True
    freed: bool = False
    references: int = 0
    mapped: bool = False
    entry_writable: bool = False
    lost: bool = False
    table_lock: int = NOBODY
    writer: int = 0


@dataclass(frozen=True, slots=True)
class Rules:
    """What a variant may leave out."""

    compares_under_lock: bool = True
    compares_entry: bool = True
    holds_reference: bool = True
    odd_while_changing: bool = True


# ---- the fault ---------------------------------------------------------------------------------------------


def _at(scene: Scene, who: int, **changes: object) -> Scene:
    fault = replace(scene.faults[who], **changes)  # type: ignore[arg-type]
    return replace(scene, faults=(*scene.faults[:who], fault, *scene.faults[who + 1 :]))


def has_changed(scene: Scene, fault: Fault) -> bool:
    """Whether the area is not what the fault noted.

    Source    include/linux/mm.h:vma_has_changed (v11)
    """
    return not scene.in_tree or scene.count != fault.count


@verb("F007", source="mm/memory.c:handle_speculative_fault (v11)")
def step_fault(rules: Rules, scene: Scene, who: int) -> Scene | None:
    """The next step of a fault; None while it cannot take one."""
    fault = scene.faults[who]
    if fault.at is At.BEGIN:
        if not scene.in_tree:
            return _at(scene, who, at=At.FALLS_BACK)
        held = scene.references + 1 if rules.holds_reference else scene.references
        return _at(replace(scene, references=held), who, at=At.FOUND)
    if fault.at is At.FOUND:
        if scene.count % 2:
            return _gives_up(rules, scene, who)
        return _at(scene, who, at=At.COUNTED, count=scene.count, writable=scene.writable)
    if fault.at is At.COUNTED:
        if scene.mapped or not fault.writable:
            return _gives_up(rules, scene, who)
        return _at(scene, who, at=At.PREPARED)
    if fault.at is At.PREPARED:
        if has_changed(scene, fault):
            return _gives_up(rules, scene, who)
        return _at(scene, who, at=At.CHECKED)
    if fault.at is At.CHECKED:
        if scene.table_lock != NOBODY:
            return None
        return _at(replace(scene, table_lock=who), who, at=At.LOCKED)
    if fault.at is At.LOCKED:
        return _set_entry(rules, scene, who)
    if fault.at is At.FALLS_BACK:
        return _under_mmap_sem(scene, who)
    return None


def _gives_up(rules: Rules, scene: Scene, who: int) -> Scene:
    held = scene.references - 1 if rules.holds_reference else scene.references
    return _at(replace(scene, references=held), who, at=At.FALLS_BACK)


def _set_entry(rules: Rules, scene: Scene, who: int) -> Scene:
    fault = scene.faults[who]
    open_again = replace(scene, table_lock=NOBODY)
    changed = rules.compares_under_lock and has_changed(scene, fault)
    if changed or (rules.compares_entry and scene.mapped):
        return _gives_up(rules, open_again, who)
    done = replace(open_again, mapped=True, entry_writable=fault.writable, lost=scene.lost or scene.mapped)
    return _at(_gives_up(rules, done, who), who, at=At.DONE)


def _under_mmap_sem(scene: Scene, who: int) -> Scene | None:
    if 0 < scene.writer < len(SCRIPT) or scene.table_lock != NOBODY:
        return None
    if not scene.in_tree or scene.mapped or not scene.writable:
        return _at(scene, who, at=At.DONE)
    return _at(replace(scene, mapped=True, entry_writable=True), who, at=At.DONE)


# ---- the writer --------------------------------------------------------------------------------------------

SCRIPT: Final = ("locks mmap_sem", "makes the count odd", "changes the area", "changes the entry",
                 "makes the count even", "frees and unlocks")  # fmt: skip


@verb("F007", source="mm/mprotect.c:mprotect_fixup, mm/memory.c:unmap_page_range (vm_write_begin, v11)")
def step_writer(rules: Rules, scene: Scene, change: Change) -> Scene | None:
    """The next step of the writer; None while it cannot take one."""
    at = scene.writer
    if at == len(SCRIPT):
        return None
    scene = replace(scene, writer=at + 1)
    if at in (1, 4):
        return replace(scene, count=scene.count + 1) if rules.odd_while_changing else scene
    if at == 2:
        gone = change is Change.MUNMAP
        return replace(scene, in_tree=not gone, writable=scene.writable and gone)
    if at == 3:
        if scene.table_lock != NOBODY:
            return None
        gone = change is Change.MUNMAP
        return replace(scene, mapped=scene.mapped and not gone, entry_writable=False)
    if at == 5 and change is Change.MUNMAP:
        return replace(scene, freed=True) if scene.references == 0 else None
    return scene


# ---- every interleaving ------------------------------------------------------------------------------------


def judge(scene: Scene) -> Refusal | None:
    """What a state breaks."""
    for who, fault in enumerate(scene.faults):
        looks = fault.at not in (At.BEGIN, At.FALLS_BACK, At.DONE)
        if not area_alive(looks, scene.freed):
            return Refusal("vm.fault.area-alive", f"fault {who} {fault.at.value}, and the area is freed")
    if not no_lost_page(not scene.lost):
        return Refusal("vm.fault.no-lost-page", "an entry was set over another")
    settled = scene.writer in (0, len(SCRIPT)) and scene.table_lock == NOBODY
    if settled and not entry_within_area(scene.mapped, scene.entry_writable, scene.in_tree, scene.writable):
        why = f"writable: entry {scene.entry_writable}, area {scene.writable}; in tree: {scene.in_tree}"
        return Refusal("vm.fault.entry-within-area", why)
    return None


def steps(rules: Rules, change: Change) -> Callable[[Scene], Iterator[tuple[str, Scene]]]:
    """Every step that may be made."""

    def following(scene: Scene) -> Iterator[tuple[str, Scene]]:
        after = step_writer(rules, scene, change)
        if after is not None:
            yield f"the writer {SCRIPT[scene.writer]}", after
        for who in range(len(scene.faults)):
            after = step_fault(rules, scene, who)
            if after is not None:
                yield f"fault {who}, which {scene.faults[who].at.value}, goes on", after

    return following


def search_speculative(change: Change, faults: int = 2, rules: Rules = Rules()) -> Finding:
    """Search the interleavings of speculative faults with one change."""
    return search(Scene((Fault(),) * faults), steps(rules, change), judge)
