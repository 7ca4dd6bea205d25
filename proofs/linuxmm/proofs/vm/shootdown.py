"""Theorems about a flush on all CPUs: every step keeps the invariant at every CPU."""

from typing import Annotated, Any, Final

from linuxmm.proofs.domain import each, table
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, no, theorem
from linuxmm.proofs.vm.domains import NOBODY, Count, Counts, Flag, Truths
from linuxmm.spec.vm.shootdown import (
    Shootdown,
    answered,
    ask,
    begin,
    change,
    complete,
    consistent_at,
    flush_itself,
    take,
)

CHANGE, BEGIN, ASK, TAKE, ITSELF, COMPLETE = range(6)
STATE: Final[dict[str, Any]] = {
    "tables": 3,
    "wanted": 3,
    "done": 2,
    "active": True,
    "oldest": table({0: 3, 1: 2}, 2),
    "asked": table({0: True, 1: True}, False),
    "pending": table({1: True}, False),
}


def stepped(state: Shootdown, step: int, cpu: int) -> Shootdown:
    """The state after a step of `cpu`, if it may be made; assumes that it may."""
    if step == CHANGE:
        return change(state)
    if step == BEGIN:
        assume(no(state.active))
        return begin(state, NOBODY)
    if step == ASK:
        assume(state.active & no(state.asked[cpu]))
        return ask(state, cpu)
    if step == TAKE:
        assume(state.pending[cpu])
        return take(state, cpu)
    if step == ITSELF:
        return flush_itself(state, cpu)
    assume(state.active)
    return complete(state)


@theorem(
    "vm.tlb.shootdown",
    "Every step of a flush on all CPUs keeps the invariant at every CPU; completion needs the answer of "
    "every CPU, after which none holds a translation from before the flush began.",
    proves=(change, begin, ask, take, flush_itself, complete, answered, consistent_at),
    features=("F041",),
    method="inductive",
    bounds="any number of CPUs, any number of changes, changes at any time, one page",
    witness={**STATE, "step": TAKE, "cpu": 1, "other": 0},
    mutants=(
        Mutant(take, "flushes less than all", "cpu, state.tables", "cpu, state.done"),
        Mutant(take, "answers without a flush", "oldest=state.oldest.set(cpu, state.tables), ", ""),
        Mutant(
            ask,
            "counts a CPU as answered when asked",
            "state.pending.set(cpu, True)",
            "state.pending.set(cpu, False)",
        ),
        Mutant(complete, "covers changes made during the flush", "done=state.wanted", "done=state.tables"),
        Mutant(begin, "keeps the answers of the last flush", ", asked=nobody, pending=nobody", ""),
        Mutant(
            answered,
            "takes asking for answering",
            "state.asked[cpu] & (state.pending[cpu] ^ True)",
            "state.asked[cpu]",
        ),
    ),
)
def shootdown(
    tables: Count,
    wanted: Count,
    done: Count,
    active: Flag,
    oldest: Counts,
    asked: Truths,
    pending: Truths,
    step: Annotated[int, each(range(6))],
    cpu: Count,
    other: Count,
) -> bool:
    state = Shootdown(tables, wanted, done, active, oldest, asked, pending)
    assume(consistent_at(state, cpu) & consistent_at(state, other))
    after = stepped(state, step, cpu)
    if step == COMPLETE:
        assume(answered(state, other))
        return consistent_at(after, other) & (after.oldest[other] >= state.wanted)
    return consistent_at(after, other) & implies(state.done == after.done, after.oldest[other] >= after.done)
