"""How arm64 hands out ASIDs: by generation, with the ones in use kept over a rollover.

An address space keeps its ASID with the generation in which it got it.  When none is left the generation
changes: every CPU's current ASID is set aside for it, all others are free again, and each CPU drops its whole
TLB before it runs anything else.  A switch within a generation takes no lock: it swaps the CPU's current
ASID, and is sent to the lock when a rollover has taken that away.

Numbers here are generation * NR + ASID; 0 is none.  ASIDs of pinned address spaces (5.7 on) are described;
with KPTI each number stands for a pair.

Linux: arch/arm64/mm/context.c.  Seed 2.3.2 (F041).  4.3 to 6.12; 6.1 and 6.12 read, 4.3 from mail archives.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from linuxmm.spec.kernel import Kernel, behaviour
from linuxmm.spec.registry import verb
from linuxmm.spec.vm.total import Row

NOBODY: Final = -1
RUNS: Final = 0
SWAPS: Final = 1
"""It has read its own and the new ASID, and may swap them without the lock."""
WAITS: Final = 2
"""For the lock."""
ROLLS: Final = 3
"""It has the lock and takes the other CPUs' ASIDs away, one after the other."""
TAKES: Final = 4
"""It has the lock and a number for the address space."""
LOADS: Final = 5
"""The tables are to be loaded."""


class Asids(NamedTuple):
    """The allocator, and what each CPU runs.

    nr          ASIDs: 1 to nr - 1 can be given out
    generation  the current one
    context     address space -> its number
    used        ASIDs of this generation that are given out, set aside or pinned
    cursor      where the search for a free one begins
    active      CPU -> number in use, 0 since a rollover;  reserved: what it was at the rollover
    flush       CPU -> whether it drops its TLB before it goes on
    pinned      address spaces whose ASID a device uses
    lock        CPU that holds it, or NOBODY;  rolled: how many CPUs the rollover under way has seen
    runs        CPU -> address space whose tables are loaded, or NOBODY;  loaded: the ASID beside them
    phase, to   CPU -> where its switch stands, and to which address space
    seen        CPU -> (its number, the address space's) as the switch has read them
    held        (CPU, ASID, address space) whose translations a TLB may hold
    """

    nr: int
    generation: int
    context: Row[int]
    used: frozenset[int]
    cursor: int
    active: Row[int]
    reserved: Row[int]
    flush: Row[bool]
    pinned: frozenset[int]
    lock: int
    rolled: int
    runs: Row[int]
    loaded: Row[int]
    phase: Row[int]
    to: Row[int]
    seen: Row[tuple[int, int]]
    held: frozenset[tuple[int, int, int]]


Keeps = Callable[[Asids, int, int], tuple[Asids, bool]]
"""Whether a number is set aside for a CPU; and the state in which the new number is."""


def asid_of(s: Asids, number: int) -> int:
    """The ASID in a number."""
    return number % s.nr


def is_current(s: Asids, number: int) -> bool:
    """Whether a number is of this generation."""
    return number // s.nr == s.generation


@behaviour(
    "vm.arm64.keeps-asid",
    since="4.3",
    until="4.3",
    features=("F041",),
    source="arch/arm64/mm/context.c:is_reserved_asid; 4.3 from mail archives",
)
def looks_only(s: Asids, number: int, renewed: int) -> tuple[Asids, bool]:
    """A number that is set aside is kept; what is set aside stays as it was."""
    return s, number in s.reserved


@behaviour(
    "vm.arm64.keeps-asid",
    since="4.4",
    features=("F041",),
    source="arch/arm64/mm/context.c:check_update_reserved_asid; 6.1, 6.12",
)
def renews(s: Asids, number: int, renewed: int) -> tuple[Asids, bool]:
    """A number that is set aside is kept, and set aside anew under the new generation wherever it is."""
    if number not in s.reserved:
        return s, False
    return s._replace(reserved=Row(renewed if one == number else one for one in s.reserved)), True


class AsidRules(NamedTuple):
    """What differs between kernels, and what variants replace.

    keeps     what happens to a number that was in use at a rollover
    flushes   whether each CPU drops its TLB after a rollover
    sets_aside  whether a rollover sets aside what CPUs run
    """

    keeps: Keeps = renews
    flushes: bool = True
    sets_aside: bool = True


def asid_rules(kernel: Kernel) -> AsidRules:
    """The rules of a kernel.

    Errors    Unmodelled before 4.3, where a rollover interrupts every CPU
    """
    keeps: Any = kernel.behaviour("vm.arm64.keeps-asid").function
    return AsidRules(keeps)


def start(nr: int, cpus: int, spaces: int) -> Asids:
    """Nothing has run yet."""
    none, no, nobody = Row((0,) * cpus), Row((False,) * cpus), Row((NOBODY,) * cpus)
    return Asids(
        nr, 1, Row((0,) * spaces), frozenset(), 1, none, none, no, frozenset(), NOBODY, 0,
        nobody, none, none, nobody, Row(((0, 0),) * cpus), frozenset(),
    )  # fmt: skip


# ---- a switch ----------------------------------------------------------------------------------------------


@verb("F041", source="arch/arm64/mm/context.c:check_and_switch_context; 6.1")
def begin(s: Asids, cpu: int, space: int) -> Asids:
    """A CPU is about to run an address space: it reads both numbers.

    Requires  s.phase[cpu] is RUNS
    """
    mine, number = s.active[cpu], s.context[space]
    free = mine != 0 and number != 0 and is_current(s, number)
    return s._replace(
        phase=s.phase.set(cpu, SWAPS if free else WAITS),
        to=s.to.set(cpu, space),
        seen=s.seen.set(cpu, (mine, number)),
    )


@verb("F041", source="arch/arm64/mm/context.c:check_and_switch_context (atomic64_cmpxchg_relaxed); 6.1")
def swap(s: Asids, cpu: int) -> Asids:
    """The swap without the lock: it fails if a rollover has taken the CPU's number away.

    Requires  s.phase[cpu] is SWAPS
    """
    mine, number = s.seen[cpu]
    if s.active[cpu] != mine:
        return s._replace(phase=s.phase.set(cpu, WAITS))
    return s._replace(active=s.active.set(cpu, number), phase=s.phase.set(cpu, LOADS))


@verb("F041", source="arch/arm64/mm/context.c:check_and_switch_context (cpu_asid_lock); 6.1")
def lock(s: Asids, cpu: int, rules: AsidRules) -> Asids:
    """The lock is taken and the number looked at again; without one a new one is sought.

    Requires  s.phase[cpu] is WAITS, s.lock is NOBODY
    """
    s = s._replace(lock=cpu, phase=s.phase.set(cpu, TAKES))
    number = s.context[s.to[cpu]]
    return s if number and is_current(s, number) else new_context(s, cpu, rules)


@verb("F041", source="arch/arm64/mm/context.c:new_context; 6.1")
def new_context(s: Asids, cpu: int, rules: AsidRules) -> Asids:
    """A number of this generation for the address space: its old ASID if it can, else a free one.

    Ensures   without a free one a rollover begins
    """
    space = s.to[cpu]
    number = s.context[space]
    if number:
        old = asid_of(s, number)
        renewed = s.generation * s.nr + old
        s, kept = rules.keeps(s, number, renewed)
        if kept or space in s.pinned:
            return s._replace(context=s.context.set(space, renewed))
        if old not in s.used:
            return s._replace(used=s.used | {old}, context=s.context.set(space, renewed))
    free = next((asid for asid in range(s.cursor, s.nr) if asid not in s.used), 0)
    if free:
        return give(s, space, free)
    kept_asids = frozenset(asid_of(s, s.context[one]) for one in s.pinned)
    return s._replace(generation=s.generation + 1, used=kept_asids, rolled=0, phase=s.phase.set(cpu, ROLLS))


def give(s: Asids, space: int, asid: int) -> Asids:
    """An address space gets a free ASID."""
    number = s.generation * s.nr + asid
    return s._replace(used=s.used | {asid}, cursor=asid, context=s.context.set(space, number))


@verb("F041", source="arch/arm64/mm/context.c:flush_context; 6.1")
def roll(s: Asids, cpu: int, rules: AsidRules) -> Asids:
    """The rollover takes the number of one more CPU away; behind the last, every CPU must drop its TLB.

    Requires  s.phase[cpu] is ROLLS
    """
    other = s.rolled
    number = s.active[other] or s.reserved[other]
    s = s._replace(active=s.active.set(other, 0), rolled=other + 1)
    if rules.sets_aside:
        used = s.used | ({asid_of(s, number)} - {0})
        s = s._replace(used=used, reserved=s.reserved.set(other, number))
    if s.rolled < len(s.active):
        return s
    free = next(asid for asid in range(1, s.nr) if asid not in s.used)
    s = s._replace(flush=Row((rules.flushes,) * len(s.flush)), phase=s.phase.set(cpu, TAKES))
    return give(s, s.to[cpu], free)


@verb("F041", source="arch/arm64/mm/context.c:check_and_switch_context (tlb_flush_pending); 6.1")
def take(s: Asids, cpu: int) -> Asids:
    """The CPU drops its TLB if it must, notes its number, and lets the lock go.

    Requires  s.phase[cpu] is TAKES
    """
    if s.flush[cpu]:
        held = frozenset(one for one in s.held if one[0] != cpu)
        s = s._replace(flush=s.flush.set(cpu, False), held=held)
        s = with_speculation(s, cpu)
    number = s.context[s.to[cpu]]
    return s._replace(active=s.active.set(cpu, number), lock=NOBODY, phase=s.phase.set(cpu, LOADS))


@verb("F041", source="arch/arm64/mm/context.c:cpu_do_switch_mm; 6.1")
def load(s: Asids, cpu: int) -> Asids:
    """The tables and the ASID are loaded; in between the CPU has a root without user translations.

    Requires  s.phase[cpu] is LOADS
    """
    space = s.to[cpu]
    s = s._replace(
        runs=s.runs.set(cpu, space),
        loaded=s.loaded.set(cpu, asid_of(s, s.context[space])),
        phase=s.phase.set(cpu, RUNS),
        to=s.to.set(cpu, NOBODY),
        seen=s.seen.set(cpu, (0, 0)),
    )
    return with_speculation(s, cpu)


def with_speculation(s: Asids, cpu: int) -> Asids:
    """What a CPU may have cached at once, unasked: translations of the tables that are loaded."""
    if s.runs[cpu] == NOBODY:
        return s
    return s._replace(held=s.held | {(cpu, s.loaded[cpu], s.runs[cpu])})


# ---- pins --------------------------------------------------------------------------------------------------


@verb("F041", source="arch/arm64/mm/context.c:arm64_mm_context_get; 6.1")
def pin(s: Asids, space: int) -> Asids:
    """A device is to use an address space's ASID, which it keeps over rollovers from now on.

    Requires  s.lock is NOBODY, the number is current; fewer are pinned than ASIDs less CPUs, two left over
    """
    return s._replace(pinned=s.pinned | {space})


@verb("F041", source="arch/arm64/mm/context.c:arm64_mm_context_put; 6.1")
def unpin(s: Asids, space: int) -> Asids:
    """No device uses it any more.

    Requires  s.lock is NOBODY, space in s.pinned
    """
    return s._replace(pinned=s.pinned - {space})
