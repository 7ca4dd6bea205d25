"""Lazy TLB by a mask of CPUs: who is in the mask is asked; who is asked while lazy leaves it.

A CPU that runs a kernel thread keeps the tables of the last process loaded.  The first flush that reaches it
then makes it load the kernel's own tables and clears its bit, so that it is not asked again; when the process
runs there once more, a clear bit tells that the tables have to be loaded anew.

Steps are those between which another CPU may come; a switch runs with interrupts off, so that requests wait.

Linux: include/asm-i386/mmu_context.h:switch_mm; arch/i386/kernel/smp.c:leave_mm.  Seed 2.3.2 (F041).
2.4 to 4.13; read in 2.6.11.
"""

from typing import Final, NamedTuple

from linuxmm.spec.registry import verb
from linuxmm.spec.vm.total import Total

RUNS: Final = 0
SWITCHES: Final = 1
"""Between setting the bit and loading the tables."""
WAKES: Final = 2
"""Out of lazy mode, the bit not tested yet."""


class MaskedTlb(NamedTuple):
    """One address space.

    changes  of the page's entry so far
    wanted   changes that the flush under way has to cover;  done: those that completed ones cover
    active   whether a flush is under way
    bit      CPU -> whether it is in the mask;  current: it runs the process, or a kernel thread after it
    loaded   CPU -> whether the process's tables are loaded;  lazy: whether it runs a kernel thread
    phase    CPU -> RUNS, SWITCHES or WAKES
    dropped  CPU -> everything older than this change is dropped from its TLBs
    asked    CPU -> whether the flush under way has decided about it;  pending: it has to answer
    """

    changes: int
    wanted: int
    done: int
    active: bool
    bit: Total[bool]
    current: Total[bool]
    loaded: Total[bool]
    lazy: Total[bool]
    phase: Total[int]
    dropped: Total[int]
    asked: Total[bool]
    pending: Total[bool]


# ---- the flush ---------------------------------------------------------------------------------------------


@verb("F041", source="mm/memory.c:zap_pte_range")
def change(s: MaskedTlb) -> MaskedTlb:
    """The page's entry changes."""
    return s._replace(changes=s.changes + 1)


@verb("F041", source="arch/i386/kernel/smp.c:flush_tlb_mm, flush_tlb_page; 2.6.11")
def begin(s: MaskedTlb, nobody: Total[bool]) -> MaskedTlb:
    """A flush begins.

    Requires  none is under way;  nobody: the map that is False everywhere
    """
    return s._replace(wanted=s.changes, active=True, asked=nobody, pending=nobody)


@verb("F041", source="arch/i386/kernel/smp.c:flush_tlb_others; 2.6.11")
def ask(s: MaskedTlb, cpu: int) -> MaskedTlb:
    """The flush looks at a CPU's bit, and asks it if that is set."""
    return s._replace(asked=s.asked.set(cpu, True), pending=s.pending.set(cpu, s.bit[cpu]))


@verb("F041", source="arch/i386/kernel/smp.c:smp_invalidate_interrupt, leave_mm; 2.6.11")
def answer(s: MaskedTlb, cpu: int) -> MaskedTlb:
    """A CPU takes the request: it flushes; if lazy, it leaves the process's tables and the mask.

    Requires  s.pending[cpu], s.phase[cpu] is RUNS: interrupts are on
    """
    s = s._replace(pending=s.pending.set(cpu, False))
    if not s.current[cpu]:
        return s
    if s.lazy[cpu]:
        return s._replace(bit=s.bit.set(cpu, False), loaded=s.loaded.set(cpu, False))
    return s._replace(dropped=s.dropped.set(cpu, s.changes))


@verb("F041", source="arch/i386/kernel/smp.c:flush_tlb_others; 2.6.11")
def complete(s: MaskedTlb) -> MaskedTlb:
    """The flush is complete.

    Requires  every CPU was asked and none is pending
    """
    return s._replace(done=s.wanted, active=False)


# ---- switching ---------------------------------------------------------------------------------------------


@verb("F041", source="include/asm-i386/mmu_context.h:switch_mm; 2.6.11")
def switch_in(s: MaskedTlb, cpu: int) -> MaskedTlb:
    """The process is about to run where another did: first the bit is set.

    Requires  s.phase[cpu] is RUNS and not s.current[cpu]
    """
    return s._replace(
        bit=s.bit.set(cpu, True),
        current=s.current.set(cpu, True),
        lazy=s.lazy.set(cpu, False),
        phase=s.phase.set(cpu, SWITCHES),
    )


@verb("F041", source="include/asm-i386/mmu_context.h:switch_mm (load_cr3); 2.6.11")
def load_tables(s: MaskedTlb, cpu: int) -> MaskedTlb:
    """Then its tables are loaded, which drops everything but global translations.

    Requires  s.phase[cpu] is SWITCHES
    """
    return s._replace(
        loaded=s.loaded.set(cpu, True),
        dropped=s.dropped.set(cpu, s.changes),
        phase=s.phase.set(cpu, RUNS),
    )


@verb("F041", source="include/asm-i386/mmu_context.h:switch_mm; 2.6.11")
def switch_out(s: MaskedTlb, cpu: int) -> MaskedTlb:
    """Another process runs: the bit is cleared and other tables are loaded, one step here.

    Requires  s.current[cpu] and s.phase[cpu] is RUNS
    """
    return s._replace(
        bit=s.bit.set(cpu, False),
        current=s.current.set(cpu, False),
        loaded=s.loaded.set(cpu, False),
        lazy=s.lazy.set(cpu, False),
    )


@verb("F041", source="include/asm-i386/mmu_context.h:enter_lazy_tlb; 2.6.11")
def enter_lazy(s: MaskedTlb, cpu: int) -> MaskedTlb:
    """A kernel thread borrows the tables: nothing is loaded and nothing flushed.

    Requires  s.current[cpu], s.phase[cpu] is RUNS and not s.lazy[cpu]
    """
    return s._replace(lazy=s.lazy.set(cpu, True))


@verb("F041", source="include/asm-i386/mmu_context.h:switch_mm (prev == next); 2.6.11")
def wake(s: MaskedTlb, cpu: int) -> MaskedTlb:
    """The process is about to run again after a kernel thread: no longer lazy.

    Requires  s.current[cpu], s.phase[cpu] is RUNS and s.lazy[cpu]
    """
    return s._replace(lazy=s.lazy.set(cpu, False), phase=s.phase.set(cpu, WAKES))


@verb("F041", source="include/asm-i386/mmu_context.h:switch_mm (cpu_test_and_set); 2.6.11")
def test_bit(s: MaskedTlb, cpu: int) -> MaskedTlb:
    """A clear bit tells that a flush was missed: it is set, and the tables are loaded anew.

    Requires  s.phase[cpu] is WAKES
    """
    s = s._replace(phase=s.phase.set(cpu, RUNS))
    if s.bit[cpu]:
        return s
    return s._replace(
        bit=s.bit.set(cpu, True),
        loaded=s.loaded.set(cpu, True),
        dropped=s.dropped.set(cpu, s.changes),
    )


# ---- questions ---------------------------------------------------------------------------------------------


def in_user_mode(s: MaskedTlb, cpu: int) -> bool:
    """Whether a CPU can run the process's code now."""
    return s.current[cpu] & (s.lazy[cpu] ^ True) & (s.phase[cpu] == RUNS)


def kept_at(s: MaskedTlb, cpu: int) -> bool:
    """What every step keeps at every CPU.

    The bit says whether the tables are loaded, or about to be.  What is loaded has seen every completed
    flush; of the one under way it has answered, or it has to.
    """
    settled = s.phase[cpu] == RUNS
    answered = s.active & s.asked[cpu] & (s.pending[cpu] ^ True)
    return (
        (s.dropped[cpu] <= s.changes)
        & (s.done <= s.wanted)
        & (s.wanted <= s.changes)
        & ((settled ^ True) | (s.bit[cpu] == s.loaded[cpu]))
        & ((s.phase[cpu] != SWITCHES) | (s.bit[cpu] & s.current[cpu] & (s.loaded[cpu] ^ True)))
        & ((s.phase[cpu] != WAKES) | (s.current[cpu] & (s.bit[cpu] == s.loaded[cpu])))
        & ((s.loaded[cpu] ^ True) | s.current[cpu])
        & ((s.lazy[cpu] ^ True) | (s.current[cpu] & settled))
        & ((in_user_mode(s, cpu) ^ True) | s.loaded[cpu])
        & ((s.loaded[cpu] ^ True) | (s.dropped[cpu] >= s.done))
        & ((s.loaded[cpu] ^ True) | (answered ^ True) | (s.dropped[cpu] >= s.wanted))
    )
