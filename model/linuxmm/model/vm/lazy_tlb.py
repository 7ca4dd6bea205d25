"""Lazy TLB by generations: every flush has a number, and a CPU knows up to which one it has flushed.

A CPU keeps translations of some address spaces under their PCIDs, with the generation that each has seen.
Before it runs one again it compares, and flushes only if it has missed something.  So a lazy CPU need not be
asked at all (since 4.20), unless tables are freed, which it may walk; before, it was asked and then left the
tables.

Other flushes of the same address space may begin at any time (`other_flush`) and reach a CPU at any time
(`other_request`); only the one under way here is followed to its end.  A switch runs with interrupts off.

Linux: arch/x86/mm/tlb.c.  Seed 2.3.2 (F041).  4.14 to 6.12; read in 6.1.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import verb
from linuxmm.spec.vm.total import Total

RUNS: Final = 0
SWITCHES: Final = 1
"""The bit is set, the generation not read yet."""
COMPARES: Final = 2
"""The generation is read, the tables not loaded yet."""
WAKES: Final = 3
"""Out of lazy mode, the generation not compared yet."""


class Generations(NamedTuple):
    """One address space.

    changes     of the page's entry so far
    gen         tlb_gen: number of the latest flush
    need        generation -> changes that a CPU at that generation has seen
    active      whether the flush that is followed is under way;  number, freed: its generation, whether it
                frees tables
    done        generation up to which flushes are complete;  done_freed: of those that freed tables
    bit         CPU -> whether it is in the mask
    loaded      CPU -> whether the tables are loaded;  lazy: whether it runs a kernel thread on them
    slot        CPU -> whether it keeps translations, under a PCID of its own
    local       CPU -> the generation that its translations have seen
    seen        CPU -> the generation read by the switch under way
    phase       CPU -> RUNS, SWITCHES, COMPARES or WAKES
    dropped     CPU -> everything older than this change is dropped from its TLBs
    asked       CPU -> whether the flush under way has decided about it;  pending: it has to answer
    """

    changes: int
    gen: int
    need: Total[int]
    active: bool
    number: int
    freed: bool
    done: int
    done_freed: int
    bit: Total[bool]
    loaded: Total[bool]
    lazy: Total[bool]
    slot: Total[bool]
    local: Total[int]
    seen: Total[int]
    phase: Total[int]
    dropped: Total[int]
    asked: Total[bool]
    pending: Total[bool]


Asks = Callable[[Generations, int], bool]
"""Whether a flush asks a CPU."""


# ---- the flush ---------------------------------------------------------------------------------------------


@verb("F041", source="mm/memory.c:zap_present_ptes")
def change(s: Generations) -> Generations:
    """The page's entry changes."""
    return s._replace(changes=s.changes + 1)


@verb("F041", source="arch/x86/mm/tlb.c:flush_tlb_mm_range (inc_mm_tlb_gen); 6.1")
def begin(s: Generations, freed: bool, nobody: Total[bool]) -> Generations:
    """A flush of the page begins: it takes the next generation.

    Requires  none is under way;  nobody: the map that is False everywhere
    """
    gen = s.gen + 1
    return s._replace(
        gen=gen,
        need=s.need.set(gen, s.changes),
        active=True,
        number=gen,
        freed=freed,
        asked=nobody,
        pending=nobody,
    )


@verb("F041", source="arch/x86/mm/tlb.c:flush_tlb_mm_range; 6.1")
def other_flush(s: Generations, covers: bool) -> Generations:
    """Another flush takes the next generation; `covers`: it reaches this page too."""
    gen = s.gen + 1
    return s._replace(gen=gen, need=s.need.set(gen, s.changes if covers else s.need[s.gen]))


@behaviour(
    "vm.flush-asks",
    since="4.14",
    until="4.19",
    features=("F041",),
    source="arch/x86/mm/tlb.c:native_flush_tlb_others; 4.14 to 4.19",
)
def asks_the_mask(s: Generations, cpu: int) -> bool:
    """Every CPU of the mask, lazy or not."""
    return s.bit[cpu]


@behaviour(
    "vm.flush-asks",
    since="4.20",
    features=("F041",),
    source="arch/x86/mm/tlb.c:native_flush_tlb_others, native_flush_tlb_multi, tlb_is_not_lazy; 4.20, 6.1",
)
def asks_who_is_not_lazy(s: Generations, cpu: int) -> bool:
    """The CPUs of the mask, but lazy ones only if tables are freed."""
    return s.bit[cpu] & (s.freed | (s.lazy[cpu] ^ True))


@verb("F041", source="arch/x86/mm/tlb.c:native_flush_tlb_multi; 6.1")
def ask(s: Generations, cpu: int, asks: Asks) -> Generations:
    """The flush under way decides about a CPU, once."""
    return s._replace(asked=s.asked.set(cpu, True), pending=s.pending.set(cpu, asks(s, cpu)))


def flush_to(s: Generations, cpu: int, number: int, whole: bool, covers: bool) -> Generations:
    """What a CPU does with a request: nothing if it has seen it, part of it if nothing else is missing.

    number  generation of the request;  whole: it names no range;  covers: its range has the page in it
    Source  arch/x86/mm/tlb.c:flush_tlb_func; 6.1
    """
    if not s.loaded[cpu]:
        return s
    if s.lazy[cpu]:
        return leave(s, cpu)
    if number <= s.local[cpu] or s.local[cpu] == s.gen:
        return s
    if whole or number != s.local[cpu] + 1 or number != s.gen or covers:
        s = s._replace(dropped=s.dropped.set(cpu, s.changes))
    return s._replace(local=s.local.set(cpu, s.gen))


@verb("F041", source="arch/x86/mm/tlb.c:flush_tlb_func; 6.1")
def answer(s: Generations, cpu: int) -> Generations:
    """A CPU takes the request of the flush under way.

    Requires  s.pending[cpu], s.phase[cpu] is RUNS: interrupts are on
    """
    s = s._replace(pending=s.pending.set(cpu, False))
    return flush_to(s, cpu, s.number, False, True)


@verb("F041", source="arch/x86/mm/tlb.c:flush_tlb_func; 6.1")
def other_request(s: Generations, cpu: int, number: int, whole: bool) -> Generations:
    """A CPU takes the request of another flush, which does not reach the page unless it names no range.

    Requires  0 < number <= s.gen, s.phase[cpu] is RUNS; whole, or need[number] is need[number - 1]
    """
    return flush_to(s, cpu, number, whole, False)


@verb("F041", source="arch/x86/mm/tlb.c:flush_tlb_mm_range; 6.1")
def complete(s: Generations) -> Generations:
    """The flush is complete.

    Requires  every CPU was asked and none is pending
    """
    freed = s.number if s.freed else s.done_freed
    return s._replace(active=False, done=s.number, done_freed=freed)


# ---- switching ---------------------------------------------------------------------------------------------


@verb("F041", source="arch/x86/mm/tlb.c:switch_mm_irqs_off (cpumask_set_cpu); 6.1")
def switch_in(s: Generations, cpu: int) -> Generations:
    """The process is about to run where another did: first the bit is set.

    Requires  s.phase[cpu] is RUNS and not s.loaded[cpu]
    """
    return s._replace(bit=s.bit.set(cpu, True), phase=s.phase.set(cpu, SWITCHES))


@verb("F041", source="arch/x86/mm/tlb.c:switch_mm_irqs_off (next_tlb_gen); 6.1")
def read_generation(s: Generations, cpu: int) -> Generations:
    """Then the generation is read.

    Requires  s.phase[cpu] is SWITCHES
    """
    return s._replace(seen=s.seen.set(cpu, s.gen), phase=s.phase.set(cpu, COMPARES))


@verb("F041", source="arch/x86/mm/tlb.c:choose_new_asid, load_new_mm_cr3; 6.1")
def load_tables(s: Generations, cpu: int) -> Generations:
    """Then the tables are loaded, with a flush if the CPU keeps nothing of the process or has missed one.

    Requires  s.phase[cpu] is COMPARES
    """
    seen = s.seen[cpu]
    stale = not s.slot[cpu] or s.local[cpu] < seen
    s = s._replace(loaded=s.loaded.set(cpu, True), phase=s.phase.set(cpu, RUNS), seen=s.seen.set(cpu, 0))
    return flushed(s, cpu, seen) if stale else s


def flushed(s: Generations, cpu: int, seen: int) -> Generations:
    """Everything of the address space is dropped on a CPU; `seen`: the generation read before."""
    return s._replace(
        slot=s.slot.set(cpu, True),
        local=s.local.set(cpu, seen),
        dropped=s.dropped.set(cpu, s.changes),
    )


@verb("F041", source="arch/x86/mm/tlb.c:switch_mm_irqs_off; 6.1")
def switch_out(s: Generations, cpu: int) -> Generations:
    """Another process runs; what the TLBs hold stays, under its PCID.

    The kernel clears the bit shortly before it loads the other tables; here this is one step.
    Requires  s.loaded[cpu] and s.phase[cpu] is RUNS
    """
    return leave(s, cpu)


def leave(s: Generations, cpu: int) -> Generations:
    """Other tables are loaded, and the CPU is out of the mask."""
    return s._replace(bit=s.bit.set(cpu, False), loaded=s.loaded.set(cpu, False), lazy=s.lazy.set(cpu, False))


@verb("F041", source="arch/x86/mm/tlb.c:choose_new_asid (a slot for another mm; CR3 without PCID); 6.1")
def forget(s: Generations, cpu: int) -> Generations:
    """The slot is given to another address space; without PCIDs this is so at every switch.

    Requires  not s.loaded[cpu] and s.phase[cpu] is RUNS
    """
    return s._replace(slot=s.slot.set(cpu, False))


@verb("F041", source="arch/x86/mm/tlb.c:enter_lazy_tlb; 6.1")
def enter_lazy(s: Generations, cpu: int) -> Generations:
    """A kernel thread borrows the tables.

    Requires  s.loaded[cpu], s.phase[cpu] is RUNS and not s.lazy[cpu]
    """
    return s._replace(lazy=s.lazy.set(cpu, True))


@verb("F041", source="arch/x86/mm/tlb.c:switch_mm_irqs_off (real_prev == next, was_lazy); 6.1")
def wake(s: Generations, cpu: int) -> Generations:
    """The process is about to run again after a kernel thread: no longer lazy, so that it is asked again.

    Requires  s.loaded[cpu], s.phase[cpu] is RUNS and s.lazy[cpu]
    """
    return s._replace(lazy=s.lazy.set(cpu, False), phase=s.phase.set(cpu, WAKES))


@behaviour(
    "vm.lazy-wakes",
    since="4.14",
    until="4.19",
    features=("F041",),
    source="arch/x86/mm/tlb.c:switch_mm_irqs_off; 4.14 to 4.19",
)
def trusts_requests(s: Generations, cpu: int) -> Generations:
    """A lazy CPU was asked like any other: what is still loaded has missed nothing.

    Requires  s.phase[cpu] is WAKES
    """
    return s._replace(phase=s.phase.set(cpu, RUNS))


@behaviour(
    "vm.lazy-wakes",
    since="4.20",
    features=("F041",),
    source="arch/x86/mm/tlb.c:switch_mm_irqs_off; 4.20, 6.1",
)
def compares_generation(s: Generations, cpu: int) -> Generations:
    """A lazy CPU may have been passed over: it flushes unless it has seen the latest generation.

    Requires  s.phase[cpu] is WAKES
    """
    s = s._replace(phase=s.phase.set(cpu, RUNS))
    return s if s.local[cpu] == s.gen else flushed(s, cpu, s.gen)


# ---- questions ---------------------------------------------------------------------------------------------


def in_user_mode(s: Generations, cpu: int) -> bool:
    """Whether a CPU can run the process's code now."""
    return s.loaded[cpu] & (s.lazy[cpu] ^ True) & (s.phase[cpu] == RUNS)


def monotone(s: Generations, one: int, other: int) -> bool:
    """A later generation has seen no less: stated for two of them."""
    return ((one <= other) ^ True) | (other > s.gen) | (s.need[one] <= s.need[other])


def kept_at(s: Generations, cpu: int) -> bool:
    """What every step keeps at every CPU."""
    settled = s.phase[cpu] == RUNS
    loaded = s.loaded[cpu]
    local = s.local[cpu]
    answered = s.active & s.asked[cpu] & (s.pending[cpu] ^ True)
    return (
        (s.number <= s.gen)
        & (s.done <= s.gen)
        & ((s.active ^ True) | (s.done < s.number))
        & (s.done_freed <= s.done)
        & (s.need[s.gen] <= s.changes)
        & (local <= s.gen)
        & (s.dropped[cpu] <= s.changes)
        & ((loaded ^ True) | (s.bit[cpu] & s.slot[cpu]))
        & ((s.lazy[cpu] ^ True) | (loaded & settled))
        & ((s.phase[cpu] != WAKES) | loaded)
        & (((s.phase[cpu] != SWITCHES) & (s.phase[cpu] != COMPARES)) | (s.bit[cpu] & (loaded ^ True)))
        & ((s.slot[cpu] ^ True) | (s.dropped[cpu] >= s.need[local]))
        & ((in_user_mode(s, cpu) ^ True) | (local >= s.done))
        & ((loaded ^ True) | (local >= s.done_freed))
        & ((in_user_mode(s, cpu) ^ True) | (answered ^ True) | (local >= s.number))
        & ((loaded ^ True) | (answered & s.freed ^ True) | (local >= s.number))
        & ((s.phase[cpu] != COMPARES) | ((s.seen[cpu] <= s.gen) & (s.seen[cpu] >= s.done)))
        & ((s.phase[cpu] != COMPARES) | (answered ^ True) | (s.seen[cpu] >= s.number))
    )


def kept_by_asking_all(s: Generations, cpu: int) -> bool:
    """What is kept besides while lazy CPUs are asked like any other: they miss nothing."""
    loaded = s.loaded[cpu]
    answered = s.active & s.asked[cpu] & (s.pending[cpu] ^ True)
    return ((loaded ^ True) | (s.local[cpu] >= s.done)) & (
        (loaded ^ True) | (answered ^ True) | (s.local[cpu] >= s.number)
    )
