"""A process that makes system calls on memory: its areas, and the pages behind them.

`call` runs one system call: the verb changes the areas and calls out effects, which are carried out on a page
layer; what the pages answer (a page that cannot be had, bytes read) becomes part of the result.

Linux: mm/.  Seed 2.8 (F059).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from immutables import Map

from linuxmm.model.vm.areas import cut, deny
from linuxmm.model.vm.brk import brk
from linuxmm.model.vm.fork import child_ends, fork
from linuxmm.model.vm.madvise import madvise
from linuxmm.model.vm.merge import prepare_anon
from linuxmm.model.vm.mlock import mlock, mlockall, munlock, munlockall
from linuxmm.model.vm.mmap import mmap
from linuxmm.model.vm.mprotect import mprotect
from linuxmm.model.vm.mremap import mremap
from linuxmm.model.vm.munmap import munmap
from linuxmm.model.vm.name import mseal, set_name
from linuxmm.model.vm.questions import mincore, msync
from linuxmm.model.vm.rules import Rules
from linuxmm.model.vm.stack import grow_down
from linuxmm.spec.errors import LinuxmmError, Unmodelled
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Errno, Event, Step
from linuxmm.spec.vm import contents as memory
from linuxmm.spec.vm import effects
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm import system_calls as calls
from linuxmm.spec.vm.area import Vma
from linuxmm.spec.vm.content_layer import ContentLayer
from linuxmm.spec.vm.effects import Denied
from linuxmm.spec.vm.page_layer import SEGV_ACCERR, SIGSEGV, PageArea, Read, Signal
from linuxmm.spec.vm.space import AddressSpace, Limits, area_at, overlapping
from linuxmm.spec.vm.system_calls import SystemCall
from linuxmm.spec.vocabulary import PAGE_SHIFT

SPACE: Final = 1
CHILD: Final = 2
NO_GUARDS: Final[Map[int, bool]] = Map()
NONE_UNSURE: Final[Map[tuple[int, int], bool]] = Map()


@dataclass(frozen=True, slots=True)
class Process:
    """A process.

    space   its areas
    layer   its pages, as address space number SPACE
    guards  numbers of the pages that MADV_GUARD_INSTALL guards
    unsure  pages (object, index) that MADV_PAGEOUT may have taken out of memory
    """

    space: AddressSpace
    layer: ContentLayer
    guards: Map[int, bool] = NO_GUARDS
    unsure: Map[tuple[int, int], bool] = NONE_UNSURE


@dataclass(frozen=True, slots=True)
class Forked:
    """The result of a fork: the child as it began."""

    child: Process


MOST_FAULTED: Final = 1 << 30
"""Bytes that one call may fault in: beyond it, reclaim and the OOM killer decide."""

Result = int | Denied | Read | Forked


def view(space: AddressSpace, area: Vma) -> PageArea:
    """The area for the page layer."""
    number = None if area.file is None else space.files[area.file].contents or area.file
    return PageArea(area.start, area.end, area.flags, area.pgoff, number, area.anon)


_VERBS: Final[dict[type, Callable[..., Step[AddressSpace, Any]]]] = {
    calls.Mmap: mmap,
    calls.Munmap: munmap,
    calls.Mprotect: mprotect,
    calls.Mremap: mremap,
    calls.Brk: brk,
    calls.Madvise: madvise,
    calls.Mlock: mlock,
    calls.Munlock: munlock,
    calls.Mlockall: mlockall,
    calls.Munlockall: munlockall,
    calls.Mincore: mincore,
    calls.Msync: msync,
    calls.SetName: set_name,
    calls.Mseal: mseal,
}


@verb("F059", source="mm/; 2.4 to 6.18")
def call(rules: Rules, process: Process, what: SystemCall) -> Step[Process, Result]:
    """One system call, or a copy from or to memory by one.

    Gives    the result, Denied with the error number, the bytes read, or the child
    Errors   Unmodelled for calls that linuxmm does not describe
    """
    if isinstance(what, calls.Store):
        return _store(rules, process, what)
    if isinstance(what, calls.Load):
        return _load(rules, process, what)
    if isinstance(what, calls.SetLimit):
        return _set_limit(process, what)
    if isinstance(what, calls.Fork):
        return _fork(rules, process)
    if isinstance(what, calls.Mseal) and not rules.seals():
        raise LinuxmmError("mseal is no system call of this kernel")
    if isinstance(what, calls.Mlock) and what.second and not rules.lock_flags():
        raise LinuxmmError("mlock2 is no system call of this kernel")
    step = _VERBS[type(what)](rules, process.space, what)
    result: Result = step.result
    process = replace(process, space=step.state)
    for event in step.events:
        process, unreached = carry_out(rules, process, event)
        if unreached is not None:
            return Step(process, unreached, step.events)
    return Step(process, result, step.events)


def carry_out(rules: Rules, process: Process, event: Event) -> tuple[Process, Denied | None]:
    """Do to the pages what an event of a verb says."""
    space, layer = process.space, process.layer
    if isinstance(event, effects.Zap):
        return _zapped(process, event.start, event.end), None
    if isinstance(event, effects.Move):
        layer = layer.move(SPACE, event.old, event.new, event.length)
        return replace(process, layer=layer, guards=_guards_moved(process.guards, event)), None
    if isinstance(event, effects.Protect):
        layer = layer.protect(SPACE, view(space, event.area), event.start, event.end)
        return replace(process, layer=layer), None
    if isinstance(event, effects.Discard):
        layer = layer.discard(SPACE, view(space, event.area), event.start, event.end)
        return replace(process, layer=layer), None
    if isinstance(event, effects.FreeLazily):
        layer = layer.free_lazily(SPACE, view(space, event.area), event.start, event.end)
        return replace(process, layer=layer), None
    if isinstance(event, effects.Punch):
        return _punched(process, event), None
    if isinstance(event, effects.PageOut):
        return _paged_out(process, event), None
    if isinstance(event, effects.Guard):
        return _guarded(process, event), None
    if isinstance(event, effects.Object):
        held = memory.Object(event.size, swaps=True)
        return replace(process, layer=layer.with_object(event.file, held)), None
    if isinstance(event, effects.Populate):
        return _populated(rules, process, event)
    return process, None


def _pages(start: int, end: int) -> range:
    return range(start >> PAGE_SHIFT, end >> PAGE_SHIFT)


def beside(space: AddressSpace, start: int, end: int) -> tuple[int, int]:
    """Where what is mapped below a range ends and what is above it starts; 0 for nothing."""
    below = max((min(area.end, start) for area in space.areas if area.start < start), default=0)
    return below, min((max(area.start, end) for area in space.areas if area.end > end), default=0)


def _zapped(process: Process, start: int, end: int) -> Process:
    layer = process.layer.zap(SPACE, start, end, beside(process.space, start, end))
    gone = [page for page in process.guards if start <= page << PAGE_SHIFT < end]
    guards = process.guards
    for page in gone:
        guards = guards.delete(page)
    return replace(process, layer=layer, guards=guards)


def _guards_moved(guards: Map[int, bool], move: effects.Move) -> Map[int, bool]:
    for page in [p for p in guards if move.old <= p << PAGE_SHIFT < move.old + move.length]:
        guards = guards.delete(page).set(page + ((move.new - move.old) >> PAGE_SHIFT), True)
    return guards


def _guarded(process: Process, event: effects.Guard) -> Process:
    guards = process.guards
    for page in _pages(event.start, event.end):
        if event.on:
            guards = guards.set(page, True)
        elif page in guards:
            guards = guards.delete(page)
    layer = process.layer.zap(SPACE, event.start, event.end) if event.on else process.layer
    return replace(process, layer=layer, guards=guards)


def _paged_out(process: Process, event: effects.PageOut) -> Process:
    number = view(process.space, event.area).file
    if number is None:
        return process
    unsure = process.unsure
    for page in _pages(event.start, event.end):
        unsure = unsure.set((number, event.area.pgoff_at(page << PAGE_SHIFT)), True)
    return replace(process, unsure=unsure)


def _punched(process: Process, event: effects.Punch) -> Process:
    number = view(process.space, event.area).file
    assert number is not None
    offset = event.area.pgoff_at(event.start) << PAGE_SHIFT
    contents = memory.punch(process.layer.contents, number, offset, offset + event.end - event.start)
    return replace(process, layer=replace(process.layer, contents=contents))


def _populated(rules: Rules, process: Process, event: effects.Populate) -> tuple[Process, Denied | None]:
    """Fault pages in, area by area; the first that cannot be had ends its area, or all of it.

    Source  mm/gup.c:__mm_populate, populate_vma_page_range, faultin_page_range
    """
    for area in overlapping(process.space, event.start, event.end):
        if area.flags & (vm.VM_IO | vm.VM_PFNMAP):
            continue
        if event.write is None and area.flags & vm.VM_LOCKONFAULT:
            continue
        private_write = area.flags & (vm.VM_WRITE | vm.VM_SHARED) == vm.VM_WRITE
        write = private_write if event.write is None else event.write
        part = cut(area, event.start, event.end)
        process, reached = _fault_in(rules, process, area, part.start, part.end, write)
        if not reached and event.unreached is not None:
            return process, deny(event.unreached, "unreached")
    return process, None


def _fault_in(
    rules: Rules, process: Process, area: Vma, start: int, end: int, write: bool
) -> tuple[Process, bool]:
    stop = min((p << PAGE_SHIFT for p in process.guards if start <= p << PAGE_SHIFT < end), default=end)
    if stop - start > MOST_FAULTED:
        raise Unmodelled(f"faulting in {stop - start:#x} bytes at once; most described: {MOST_FAULTED:#x}")
    seen = view(process.space, area)
    layer, error = process.layer.populate(SPACE, seen, start, stop, write)
    space = process.space
    if write and area.anon is None and not area.flags & vm.VM_SHARED and stop > start:
        space = prepare_anon(rules, space, start)
    return replace(process, space=space, layer=layer), error is None and stop == end


def touch(rules: Rules, process: Process, address: int) -> Process:
    """The process after an access below a stack let it grow."""
    if area_at(process.space, address) is not None:
        return process
    grown = grow_down(rules, process.space, address)
    return process if grown is process.space else replace(process, space=grown)


def _find(space: AddressSpace) -> Callable[[int], PageArea | None]:
    def find(address: int) -> PageArea | None:
        area = area_at(space, address)
        return None if area is None else view(space, area)

    return find


def _guarded_at(process: Process, address: int) -> Signal | None:
    if address >> PAGE_SHIFT in process.guards:
        return Signal(SIGSEGV, SEGV_ACCERR, address)
    return None


def _store(rules: Rules, process: Process, what: calls.Store) -> Step[Process, Result]:
    """Copy bytes to memory.

    Requires  the bytes are in one page
    Refuses   EFAULT
    """
    process = touch(rules, process, what.address)
    if _guarded_at(process, what.address) is not None:
        return Step(process, deny(Errno.EFAULT, "guard"))
    layer, done = process.layer.write(SPACE, _find(process.space), what.address, what.data)
    space, area = process.space, area_at(process.space, what.address)
    if area is not None and area.flags & (vm.VM_WRITE | vm.VM_SHARED) == vm.VM_WRITE:
        space = prepare_anon(rules, space, area.start)
    if done.signal is not None:
        why = f"signal-{done.signal.number}-{done.signal.code}"
        return Step(replace(process, space=space), deny(Errno.EFAULT, why))
    return Step(replace(process, space=space, layer=layer), done.length)


def _load(rules: Rules, process: Process, what: calls.Load) -> Step[Process, Result]:
    """Copy bytes from memory.

    Requires  the bytes are in one page
    Refuses   EFAULT
    """
    process = touch(rules, process, what.address)
    if _guarded_at(process, what.address) is not None:
        return Step(process, deny(Errno.EFAULT, "guard"))
    layer, found = process.layer.read(SPACE, _find(process.space), what.address, what.length)
    if found.signal is not None:
        return Step(process, deny(Errno.EFAULT, f"signal-{found.signal.number}-{found.signal.code}"))
    return Step(replace(process, layer=layer), found)


def _set_limit(process: Process, what: calls.SetLimit) -> Step[Process, Result]:
    if what.limit not in Limits.__dataclass_fields__:
        raise LinuxmmError(f"no limit is called {what.limit!r}")
    limits = replace(process.space.limits, **{what.limit: what.value})
    return Step(replace(process, space=replace(process.space, limits=limits)), 0)


def _fork(rules: Rules, process: Process) -> Step[Process, Result]:
    space = fork(rules, process.space)
    if isinstance(space, Denied):
        return Step(process, space)
    copied = [
        view(process.space, area)
        for area in process.space.areas
        if not area.flags & (vm.VM_DONTCOPY | vm.VM_WIPEONFORK)
    ]
    layer = process.layer.copy(SPACE, CHILD, copied)
    child = Process(space, layer, _guards_copied(process))
    parent = replace(process, space=child_ends(process.space, space))
    return Step(parent, Forked(child))


def _guards_copied(process: Process) -> Map[int, bool]:
    guards = process.guards
    for page in list(guards):
        area = area_at(process.space, page << PAGE_SHIFT)
        if area is None or area.flags & (vm.VM_DONTCOPY | vm.VM_WIPEONFORK):
            guards = guards.delete(page)
    return guards


def resident(process: Process, start: int, end: int) -> tuple[bool | None, ...]:
    """For each page of a range without holes whether mincore finds it; None where it may or may not."""
    found: list[bool | None] = []
    at = start
    while at < end:
        area = area_at(process.space, at)
        if area is None:
            raise LinuxmmError(f"nothing is mapped at {at:#x}")
        upto = min(end, area.end)
        seen = process.layer.resident(SPACE, view(process.space, area), at, upto)
        number = view(process.space, area).file or 0
        for page, each in zip(_pages(at, upto), seen, strict=True):
            maybe = (number, area.pgoff_at(page << PAGE_SHIFT)) in process.unsure
            found.append(None if maybe or page in process.guards else each)
        at = upto
    return tuple(found)
