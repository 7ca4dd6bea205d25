"""Locks of address ranges: operations on disjoint ranges of one address space go on side by side.

Readers and writers ask for a range; two conflict if the ranges overlap and one of them writes.  Who asks
waits behind everybody who conflicts with it and came before, holders and waiters alike, so that nobody
starves.  A lock of the whole address space is what mmap_sem is.

Linux: the RFC of 24 February 2020, mm/mm_lock.c; posted, never merged; its order of waiters is unconfirmed.
Seed 2 (F009).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from linuxmm.model.vm.concurrent_faults import NO_ORPHAN
from linuxmm.model.vm.explore import Finding, search
from linuxmm.spec.invariant import clause
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Refusal
from linuxmm.spec.vm.range_lock import ranges_exclude

PROGRESS: Final = clause(
    "vm.range-lock.progress",
    "While an operation is not over, some operation can go on.",
    features=("F009",),
    seed="2",
    source="RFC of 2020-02-24, mm/mm_lock.c (posted, not merged)",
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody asks for: pages start to end, half open, for reading or writing."""

    who: int
    start: int
    end: int
    writes: bool


@dataclass(frozen=True, slots=True)
class RangeLock:
    """Who holds a range, and who waits, first come first."""

    holders: tuple[Claim, ...] = ()
    waiters: tuple[Claim, ...] = ()


def compatible(one: Claim, other: Claim) -> bool:
    """Whether two claims may be held at once."""
    return ranges_exclude(one.start, one.end, one.writes, other.start, other.end, other.writes)


@verb("F009", source="RFC of 2020-02-24, mm/mm_lock.c:mm_read_range_lock, mm_write_range_lock")
def acquire(lock: RangeLock, claim: Claim) -> RangeLock:
    """Ask for a range: hold it at once, or wait.

    Ensures   who conflicts with nobody before it holds its range
    """
    return _granted(replace(lock, waiters=(*lock.waiters, claim)))


@verb("F009", source="RFC of 2020-02-24, mm/mm_lock.c:mm_read_range_unlock, mm_write_range_unlock")
def release(lock: RangeLock, who: int) -> RangeLock:
    """Give a range back; who waited for it may get its own.

    Requires  holds(lock, who)
    """
    return _granted(replace(lock, holders=tuple(h for h in lock.holders if h.who != who)))


def holds(lock: RangeLock, who: int) -> bool:
    """Whether somebody holds a range."""
    return any(holder.who == who for holder in lock.holders)


def _granted(lock: RangeLock) -> RangeLock:
    holders = lock.holders
    still: tuple[Claim, ...] = ()
    for claim in lock.waiters:
        if all(compatible(claim, other) for other in (*holders, *still)):
            holders = (*holders, claim)
        else:
            still = (*still, claim)
    return RangeLock(holders, still)


# ---- operations beside each other ------------------------------------------------------------------------


class Kind(Enum):
    """What an operation does with its pages."""

    FAULT = "faults for writing"
    MPROTECT = "takes away the right to write"
    MUNMAP = "unmaps"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation on pages start to end."""

    kind: Kind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Space:
    """Pages with their rights and entries, the lock, and how far each operation is.

    rights   page -> whether an area covers it, and whether that may be written
    entries  page -> whether it is mapped for writing
    at       operation -> steps done;  noted: the rights that a fault saw
    """

    rights: tuple[tuple[bool, bool], ...]
    entries: tuple[bool, ...]
    lock: RangeLock
    at: tuple[int, ...]
    noted: tuple[bool, ...]


LAST: Final = 4
Covers = Callable[[Operation, int], tuple[int, int] | None]
"""The range that an operation locks among so many pages; None for no lock at all."""


def its_own_range(operation: Operation, pages: int) -> tuple[int, int] | None:
    """Fine-grained: the pages it works on."""
    return operation.start, operation.end


def everything(operation: Operation, pages: int) -> tuple[int, int] | None:
    """Coarse: all pages, as with mmap_sem."""
    return 0, pages


def nothing_for_faults(operation: Operation, pages: int) -> tuple[int, int] | None:
    """Variant: a fault takes no lock."""
    return None if operation.kind is Kind.FAULT else (operation.start, operation.end)


def first_page_only(operation: Operation, pages: int) -> tuple[int, int] | None:
    """Variant: only the first page of the range is locked."""
    return operation.start, operation.start + 1


def _put(row: tuple[bool, ...], at: int, value: bool) -> tuple[bool, ...]:
    return (*row[:at], value, *row[at + 1 :])


def step(space: Space, operations: tuple[Operation, ...], who: int, covers: Covers) -> Space | None:
    """The next step of an operation: lock, look or change areas, change entries, unlock; None if it waits."""
    operation, at = operations[who], space.at[who]
    claimed = covers(operation, len(space.rights))
    if at == LAST or (at == 1 and claimed is not None and not holds(space.lock, who)):
        return None
    after = replace(space, at=(*space.at[:who], at + 1, *space.at[who + 1 :]))
    if at == 0:
        if claimed is None:
            return after
        claim = Claim(who, *claimed, operation.kind is not Kind.FAULT)
        return replace(after, lock=acquire(space.lock, claim))
    if at == 1:
        return _on_areas(after, operation, who)
    if at == 2:
        return _on_entries(after, operation, who)
    return after if claimed is None else replace(after, lock=release(space.lock, who))


def _on_areas(space: Space, operation: Operation, who: int) -> Space:
    if operation.kind is Kind.FAULT:
        return replace(space, noted=_put(space.noted, who, space.rights[operation.start] == (True, True)))
    there = operation.kind is Kind.MPROTECT
    rights = tuple(
        (old[0] and there, False) if operation.start <= page < operation.end else old
        for page, old in enumerate(space.rights)
    )
    return replace(space, rights=rights)


def _on_entries(space: Space, operation: Operation, who: int) -> Space:
    if operation.kind is Kind.FAULT:
        if not space.noted[who]:
            return space
        return replace(space, entries=_put(space.entries, operation.start, True))
    entries = tuple(
        old and not operation.start <= page < operation.end for page, old in enumerate(space.entries)
    )
    return replace(space, entries=entries)


def judge(operations: tuple[Operation, ...], covers: Covers) -> Callable[[Space], Refusal | None]:
    """What a state breaks."""

    def judged(space: Space) -> Refusal | None:
        holders = space.lock.holders
        for at, holder in enumerate(holders):
            for other in holders[:at]:
                if not compatible(holder, other):
                    return Refusal("vm.range-lock.exclusive", f"{holder} and {other}")
        if any(at < LAST for at in space.at) and not any(
            step(space, operations, who, covers) for who in range(len(operations))
        ):
            return Refusal(PROGRESS.id, f"steps done: {space.at}")
        if any(
            1 < at < LAST and operation.kind is not Kind.FAULT
            for at, operation in zip(space.at, operations, strict=True)
        ):
            return None
        for page, ((there, writable), mapped) in enumerate(zip(space.rights, space.entries, strict=True)):
            if mapped and not (there and writable):
                return Refusal(NO_ORPHAN.id, f"page {page} is mapped for writing")
        return None

    return judged


def start(pages: int, operations: int) -> Space:
    """Writable areas everywhere, nothing mapped."""
    none = (False,) * operations
    return Space(((True, True),) * pages, (False,) * pages, RangeLock(), (0,) * operations, none)


def search_ranges(pages: int, operations: tuple[Operation, ...], covers: Covers = its_own_range) -> Finding:
    """Search the interleavings of operations under range locks."""

    def steps(space: Space) -> Iterator[tuple[str, Space]]:
        for who, operation in enumerate(operations):
            after = step(space, operations, who, covers)
            if after is not None:
                yield f"{who}, which {operation.kind.value}, goes on", after

    return search(start(pages, len(operations)), steps, judge(operations, covers))


def outcomes(pages: int, operations: tuple[Operation, ...], covers: Covers) -> frozenset[Space]:
    """Every state in which all operations are over, whatever the interleaving."""
    seen = {start(pages, len(operations))}
    pending = list(seen)
    while pending:
        space = pending.pop()
        found = (step(space, operations, who, covers) for who in range(len(operations)))
        fresh = {after for after in found if after is not None} - seen
        seen |= fresh
        pending += fresh
    return frozenset(replace(space, noted=()) for space in seen if all(at == LAST for at in space.at))


def side_by_side(pages: int, operations: tuple[Operation, ...], covers: Covers) -> int:
    """How many operations hold their ranges at once at most."""
    seen = {start(pages, len(operations))}
    pending, most = list(seen), 0
    while pending:
        space = pending.pop()
        most = max(most, len(space.lock.holders))
        found = (step(space, operations, who, covers) for who in range(len(operations)))
        fresh = {after for after in found if after is not None} - seen
        seen |= fresh
        pending += fresh
    return most
