"""Faults beside a change of their area, step by step, under four protocols; a step may be left out.

    whole      one lock of the address space, as in every release (mmap_sem, mmap_lock)
    sequence   speculative page faults: no lock, a sequence count that is checked before an entry is written
               (series of 2018, never merged)
    area       a lock in each area, marked by whoever changes it (6.4)
    range      readers and writers lock ranges of addresses (RFC of 2020; its details are not confirmed)

Two CPUs fault on one page for writing while a third takes its area away, or the right to write.  A fault that
finds its area changing starts again under the lock of the whole address space.

Linux: mm/memory.c, include/linux/mm.h:vma_start_read, mm/mmap.c.  Seed 2 (F007, F009, F059).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from linuxmm.model.vm.explore import Finding, search
from linuxmm.spec.invariant import clause
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Refusal

NO_ORPHAN: Final = clause(
    "vm.fault.no-orphan",
    "After an area was changed, no entry permits what the area does not, and none is left without an area.",
    features=("F007", "F009", "F059"),
    seed="2",
    source="mm/memory.c:handle_pte_fault; mm/mmap.c:unmap_region",
)
ONE_ENTRY: Final = clause(
    "vm.fault.once",
    "A fault writes an entry only where it found none, so that no page is lost.",
    features=("F007", "F059"),
    seed="2",
    source="mm/memory.c:do_anonymous_page (pte_none under the lock of the table)",
)
AREA_ALIVE: Final = clause(
    "vm.fault.area-alive",
    "A fault uses no area that was freed.",
    features=("F007", "F059"),
    seed="2",
    source="include/linux/mm.h:vma_start_read; series 'Speculative page faults' of 2018",
)
NOBODY, CHANGER = -1, 9
UNMAP, WEAKEN = "unmap", "weaken"


class Fault(NamedTuple):
    """How far one CPU's fault has come.

    program  the steps that it makes;  at: the next of them
    rights   of the area, as it found them;  seq: the sequence count that it noted
    end      "" while it runs, "served" or "refused"
    """

    program: tuple[str, ...]
    at: int = 0
    rights: str = ""
    seq: int = 0
    end: str = ""


@dataclass(frozen=True, slots=True)
class Shared:
    """One area of one page, what protects it, and everybody at work.

    rights        "rw", "ro", or "" when the area is gone from the tree
    alive, refs   the area's memory, and who holds a reference to it
    seq           of the area: odd while it changes
    marked        the area is locked for whoever holds the lock of the address space
    entry         of the page table: "rw", "ro" or ""
    table         who holds the lock of the page table
    whole, area   readers of the two locks, CHANGER for the writer;  ranges: holders of the page's range
    looking       faults that found the area and hold nothing of it yet (RCU keeps its memory)
    changed       steps that the changer has made
    wrong         clause that was broken on the way
    """

    faults: tuple[Fault, ...]
    rights: str = "rw"
    alive: bool = True
    refs: int = 0
    seq: int = 0
    marked: bool = False
    entry: str = ""
    table: int = NOBODY
    whole: frozenset[int] = frozenset()
    area: frozenset[int] = frozenset()
    ranges: frozenset[int] = frozenset()
    looking: frozenset[int] = frozenset()
    changed: int = 0
    wrong: str = ""


class Protocol(NamedTuple):
    """How a fault goes, and how an area is taken away or weakened."""

    fault: tuple[str, ...]
    unmap: tuple[str, ...]
    weaken: tuple[str, ...]


TABLE: Final = ("lock table", "check entry", "write entry", "unlock table")
LOCKED: Final = ("read whole", "find", "read rights", *TABLE, "unread whole")
"""A fault under the lock of the address space: how every protocol starts again."""

WHOLE: Final = Protocol(
    LOCKED,
    ("write whole", "unlink", "lock table", "clear entry", "unlock table", "unwrite whole", "free"),
    ("write whole", "forbid writing", "lock table", "weaken entry", "unlock table", "unwrite whole"),
)
SEQUENCE: Final = Protocol(
    (
        "find", "hold area", "note sequence", "read rights", "lock table", "check sequence", "check entry",
        "write entry", "unlock table", "put area",
    ),
    (
        "write whole", "begin", "unlink", "lock table", "clear entry", "unlock table", "end",
        "unwrite whole", "free",
    ),
    (
        "write whole", "begin", "forbid writing", "lock table", "weaken entry", "unlock table", "end",
        "unwrite whole",
    ),
)  # fmt: skip
AREA: Final = Protocol(
    ("find", "read area", "check mark", "read rights", *TABLE, "unread area"),
    (
        "write whole", "mark area", "unlink", "lock table", "clear entry", "unlock table",
        "unwrite whole", "free",
    ),
    (
        "write whole", "mark area", "forbid writing", "lock table", "weaken entry", "unlock table",
        "unwrite whole",
    ),
)  # fmt: skip
RANGE: Final = Protocol(
    ("read range", "find", "read rights", *TABLE, "unread range"),
    (
        "write whole", "write range", "unlink", "lock table", "clear entry", "unlock table", "unwrite range",
        "unwrite whole", "free",
    ),
    (
        "write whole", "write range", "forbid writing", "lock table", "weaken entry", "unlock table",
        "unwrite range", "unwrite whole",
    ),
)  # fmt: skip
PROTOCOLS: Final = {"whole": WHOLE, "sequence": SEQUENCE, "area": AREA, "range": RANGE}


def without(protocol: Protocol, step: str) -> Protocol:
    """The protocol with a step left out, wherever it is made.

    Errors    ValueError when nobody makes it
    """
    if not any(step in program for program in protocol):
        raise ValueError(f"no program makes the step {step!r}")
    return Protocol._make(tuple(each for each in program if each != step) for program in protocol)


# ---- the steps of a fault --------------------------------------------------------------------------------

Step = Callable[[Shared, int], Shared | None]
"""The state after a step of a fault (by number), None where it has to wait."""


def _with(state: Shared, who: int, fault: Fault) -> Shared:
    return replace(state, faults=(*state.faults[:who], fault, *state.faults[who + 1 :]))


def _again(state: Shared, who: int) -> Shared:
    """Start again under the lock of the address space, holding nothing."""
    fault = state.faults[who]
    held = "hold area" in fault.program[: fault.at]
    return _with(
        replace(
            state,
            refs=state.refs - held,
            table=NOBODY if state.table == who else state.table,
            area=state.area - {who},
            looking=state.looking - {who},
        ),
        who,
        Fault(LOCKED),
    )


def find_area(state: Shared, who: int) -> Shared | None:
    """Find the area in the tree; it stays in memory while one is looking."""
    if state.rights == "":
        return _denied(state, who)
    return replace(state, looking=state.looking | {who})


def read_rights(state: Shared, who: int) -> Shared | None:
    """Read what the area permits."""
    if not state.alive:
        return replace(state, wrong=AREA_ALIVE.id)
    if state.rights != "rw":
        return _denied(state, who)
    return _with(state, who, state.faults[who]._replace(rights=state.rights))


def _denied(state: Shared, who: int) -> Shared:
    """End a fault that holds a lock by which it can be sure; any other starts again."""
    fault = state.faults[who]
    if not {"read whole", "read range"} & set(fault.program):
        return _again(state, who)
    kept = replace(
        state,
        whole=state.whole - {who},
        ranges=state.ranges - {who},
        looking=state.looking - {who},
    )
    return _with(kept, who, fault._replace(end="refused"))


def hold_area(state: Shared, who: int) -> Shared | None:
    return replace(state, refs=state.refs + 1, looking=state.looking - {who})


def put_area(state: Shared, who: int) -> Shared | None:
    return replace(state, refs=state.refs - 1)


def note_sequence(state: Shared, who: int) -> Shared | None:
    if not state.alive:
        return replace(state, wrong=AREA_ALIVE.id)
    if state.seq % 2:
        return _again(state, who)
    return _with(state, who, state.faults[who]._replace(seq=state.seq))


def check_sequence(state: Shared, who: int) -> Shared | None:
    if not state.alive:
        return replace(state, wrong=AREA_ALIVE.id)
    return state if state.faults[who].seq == state.seq else _again(state, who)


def read_area(state: Shared, who: int) -> Shared | None:
    if not state.alive:
        return replace(state, wrong=AREA_ALIVE.id)
    if state.marked or CHANGER in state.area:
        return _again(state, who)
    return replace(state, area=state.area | {who}, looking=state.looking - {who})


def check_mark(state: Shared, who: int) -> Shared | None:
    return _again(state, who) if state.marked or state.rights == "" else state


def unread_area(state: Shared, who: int) -> Shared | None:
    return replace(state, area=state.area - {who}, looking=state.looking - {who})


def read_whole(state: Shared, who: int) -> Shared | None:
    return None if CHANGER in state.whole else replace(state, whole=state.whole | {who})


def unread_whole(state: Shared, who: int) -> Shared | None:
    return replace(state, whole=state.whole - {who}, looking=state.looking - {who})


def read_range(state: Shared, who: int) -> Shared | None:
    return None if CHANGER in state.ranges else replace(state, ranges=state.ranges | {who})


def unread_range(state: Shared, who: int) -> Shared | None:
    return replace(state, ranges=state.ranges - {who}, looking=state.looking - {who})


def lock_table(state: Shared, who: int) -> Shared | None:
    return replace(state, table=who) if state.table == NOBODY else None


def unlock_table(state: Shared, who: int) -> Shared | None:
    return replace(state, table=NOBODY)


def check_entry(state: Shared, who: int) -> Shared | None:
    """Skip the write where another fault was faster."""
    if state.entry != "rw":
        return state
    fault = state.faults[who]
    return _with(state, who, fault._replace(at=fault.program.index("write entry")))


def write_entry(state: Shared, who: int) -> Shared | None:
    if state.entry == "rw":
        return replace(state, wrong=ONE_ENTRY.id)
    return replace(state, entry=state.faults[who].rights)


STEPS: Final[dict[str, Step]] = {
    "find": find_area,
    "read rights": read_rights,
    "hold area": hold_area,
    "put area": put_area,
    "note sequence": note_sequence,
    "check sequence": check_sequence,
    "read area": read_area,
    "check mark": check_mark,
    "unread area": unread_area,
    "read whole": read_whole,
    "unread whole": unread_whole,
    "read range": read_range,
    "unread range": unread_range,
    "lock table": lock_table,
    "unlock table": unlock_table,
    "check entry": check_entry,
    "write entry": write_entry,
}


def change(state: Shared, step: str) -> Shared | None:
    """A step of whoever changes the area; None where it has to wait."""
    if step == "write whole":
        return None if state.whole else replace(state, whole=frozenset({CHANGER}))
    if step == "unwrite whole":
        return replace(state, whole=frozenset(), marked=False)
    if step == "write range":
        return None if state.ranges else replace(state, ranges=frozenset({CHANGER}))
    if step == "unwrite range":
        return replace(state, ranges=frozenset())
    if step in ("begin", "end"):
        return replace(state, seq=state.seq + 1)
    if step == "mark area":
        return None if state.area else replace(state, marked=True)
    if step == "unlink":
        return replace(state, rights="")
    if step == "forbid writing":
        return replace(state, rights="ro")
    if step == "lock table":
        return lock_table(state, CHANGER)
    if step == "unlock table":
        return replace(state, table=NOBODY)
    if step == "clear entry":
        return replace(state, entry="")
    if step == "weaken entry":
        return replace(state, entry="ro" if state.entry else "")
    return replace(state, alive=False) if state.refs == 0 and not state.looking else None


# ---- searching -------------------------------------------------------------------------------------------


@verb("F007", "F009", "F059", source="mm/memory.c:handle_mm_fault; arch/x86/mm/fault.c:do_user_addr_fault")
def explore(protocol: Protocol, what: str, faults: int = 2) -> Finding:
    """Search every interleaving of some faults with one change, UNMAP or WEAKEN."""
    changer = protocol.unmap if what == UNMAP else protocol.weaken
    start = Shared((Fault(protocol.fault),) * faults)
    return search(start, lambda state: _steps(state, changer), lambda state: _judge(state, len(changer)))


def _steps(state: Shared, changer: tuple[str, ...]) -> Iterator[tuple[str, Shared]]:
    for who, fault in enumerate(state.faults):
        if fault.end:
            continue
        step = fault.program[fault.at]
        made = STEPS[step](state, who)
        if made is None:
            continue
        now = made.faults[who]
        if now.program == fault.program and not now.end:
            now = now._replace(at=now.at + 1)
            if now.at == len(now.program):
                now = now._replace(end="served")
            made = _with(made, who, now)
        yield f"fault {who}: {step}", made
    if state.changed < len(changer):
        after = change(state, changer[state.changed])
        if after is not None:
            yield f"change: {changer[state.changed]}", replace(after, changed=state.changed + 1)


def _judge(state: Shared, steps: int) -> Refusal | None:
    if state.wrong:
        return Refusal(state.wrong, "a step was made that must not be")
    unlocked = CHANGER not in state.whole and state.changed >= steps - 1 and state.table == NOBODY
    if unlocked and state.changed and state.entry not in ("", state.rights):
        return Refusal(NO_ORPHAN.id, f"the entry permits {state.entry!r}, the area {state.rights!r}")
    if all(fault.end for fault in state.faults) and (state.whole - {CHANGER} or state.area or state.refs):
        return Refusal(AREA_ALIVE.id, "every fault has ended, and something is still held")
    return None
