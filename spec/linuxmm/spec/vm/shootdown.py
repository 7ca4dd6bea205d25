"""A flush on all CPUs: the steps of the protocol, and what a completed one guarantees.

Of one page and any number of CPUs.  `tables` counts the changes of the page's entry; of each CPU the age of
the oldest translation of the page that its TLBs may hold is known.  Taking a request flushes, so what the CPU
holds afterwards is as new as the tables were then.  Which CPUs need not be asked is the kernel's business
(lazy TLB); here all are.

Linux: kernel/smp.c:smp_call_function_many_cond, arch/x86/mm/tlb.c:flush_tlb_mm_range.  Seed 2.3.2 (F041).
"""

from typing import NamedTuple

from linuxmm.spec.invariant import invariant
from linuxmm.spec.registry import formula
from linuxmm.spec.vm.total import Total


class Shootdown(NamedTuple):
    """Where a flush of one page stands.

    tables   changes of the page's entry so far
    wanted   changes that the flush under way, or the last one, has to reach
    done     changes that every completed flush covers
    active   whether a flush is under way
    oldest   CPU -> the change after which the oldest translation was made that it may hold
    asked    CPU -> whether the flush under way has asked it
    pending  CPU -> whether it has been asked and has not taken the request yet
    """

    tables: int
    wanted: int
    done: int
    active: bool
    oldest: Total[int]
    asked: Total[bool]
    pending: Total[bool]


@formula("F041", source="mm/memory.c:zap_present_ptes")
def change(state: Shootdown) -> Shootdown:
    """The page's entry changes: everything cached of it is old now."""
    return state._replace(tables=state.tables + 1)


@formula("F041", source="arch/x86/mm/tlb.c:flush_tlb_mm_range")
def begin(state: Shootdown, nobody: Total[bool]) -> Shootdown:
    """A flush begins: it is to cover all changes so far.

    Requires  none is under way;  nobody: the map that is False everywhere
    """
    return state._replace(wanted=state.tables, active=True, asked=nobody, pending=nobody)


@formula("F041", source="kernel/smp.c:smp_call_function_many_cond")
def ask(state: Shootdown, cpu: int) -> Shootdown:
    """The flush under way asks a CPU, once."""
    return state._replace(asked=state.asked.set(cpu, True), pending=state.pending.set(cpu, True))


@formula("F041", source="arch/x86/mm/tlb.c:flush_tlb_func")
def take(state: Shootdown, cpu: int) -> Shootdown:
    """A CPU that was asked flushes: what it may hold from now on is as new as the tables."""
    return state._replace(oldest=state.oldest.set(cpu, state.tables), pending=state.pending.set(cpu, False))


@formula("F041", source="arch/x86/mm/tlb.c:flush_tlb_local")
def flush_itself(state: Shootdown, cpu: int) -> Shootdown:
    """A CPU flushes of its own accord, as it does when it loads CR3."""
    return state._replace(oldest=state.oldest.set(cpu, state.tables))


@formula("F041", source="arch/x86/mm/tlb.c:flush_tlb_mm_range")
def complete(state: Shootdown) -> Shootdown:
    """The flush is complete.

    Requires  `answered(state, cpu)` for every CPU
    """
    return state._replace(done=state.wanted, active=False)


def answered(state: Shootdown, cpu: int) -> bool:
    """Whether a CPU no longer stands in the way of completion."""
    return state.asked[cpu] & (state.pending[cpu] ^ True)


@invariant(
    "vm.tlb.shootdown",
    features=("F041",),
    seed="2.3.2",
    source="arch/x86/mm/tlb.c:flush_tlb_func (invariants on generations)",
)
def consistent_at(state: Shootdown, cpu: int) -> bool:
    """No CPU holds a translation older than the last completed flush, and one that has answered the flush
    under way holds none older than that."""
    oldest = state.oldest[cpu]
    answers_flush = state.active & answered(state, cpu)
    return (
        (oldest <= state.tables)
        & (state.done <= state.wanted)
        & (state.wanted <= state.tables)
        & (oldest >= state.done)
        & ((answers_flush ^ True) | (oldest >= state.wanted))
    )
