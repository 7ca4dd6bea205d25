"""Lazy TLBs by mask: every step keeps what is kept at every CPU, from which safety follows."""

from typing import Annotated, Any, Final

from linuxmm.model.vm.lazy_tlb_mask import (
    RUNS,
    SWITCHES,
    WAKES,
    MaskedTlb,
    answer,
    ask,
    begin,
    change,
    complete,
    enter_lazy,
    in_user_mode,
    kept_at,
    load_tables,
    switch_in,
    switch_out,
    test_bit,
    wake,
)
from linuxmm.proofs.domain import each, table
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, no, theorem
from linuxmm.proofs.vm.domains import NOBODY, Count, Counts, Flag, Truths
from linuxmm.spec.vm.lazy_tlb import no_freed_table, no_stale_user

ANY: Final = "any number of CPUs, changes and flushes, one page"


CHANGE, BEGIN, ASK, ANSWER, COMPLETE, IN, LOAD, OUT, LAZY, WAKE, TEST = range(11)


def masked_step(s: MaskedTlb, step: int, cpu: int) -> MaskedTlb:
    """The state after a step of `cpu`; assumes that it may be made."""
    settled = s.phase[cpu] == RUNS
    if step == CHANGE:
        return change(s)
    if step == BEGIN:
        assume(no(s.active))
        return begin(s, NOBODY)
    if step == ASK:
        assume(s.active & no(s.asked[cpu]))
        return ask(s, cpu)
    if step == ANSWER:
        assume(s.pending[cpu] & settled)
        return answer(s, cpu)
    if step == COMPLETE:
        assume(s.active)
        return complete(s)
    if step == LOAD:
        assume(s.phase[cpu] == SWITCHES)
        return load_tables(s, cpu)
    if step == TEST:
        assume(s.phase[cpu] == WAKES)
        return test_bit(s, cpu)
    assume(settled)
    if step == IN:
        assume(no(s.current[cpu]))
        return switch_in(s, cpu)
    assume(s.current[cpu])
    if step == OUT:
        return switch_out(s, cpu)
    assume(s.lazy[cpu] if step == WAKE else no(s.lazy[cpu]))
    return wake(s, cpu) if step == WAKE else enter_lazy(s, cpu)


MASKED: Final[dict[str, Any]] = {
    "changes": 3,
    "wanted": 3,
    "done": 2,
    "active": True,
    "bit": table({0: True, 1: True}, False),
    "current": table({0: True, 1: True}, False),
    "loaded": table({0: True, 1: True}, False),
    "lazy": table({1: True}, False),
    "phase": table({}, 0),
    "dropped": table({0: 3, 1: 2}, 2),
    "asked": table({0: True, 1: True}, False),
    "pending": table({1: True}, False),
    "step": ANSWER,
    "cpu": 1,
    "other": 0,
}


@theorem(
    "vm.tlb.lazy-by-mask",
    "Every step of flushing and switching by a mask of CPUs keeps the invariant at every CPU; so no CPU that "
    "runs user code holds a translation from before a completed flush, and none, lazy or not, has tables "
    "loaded that a completed flush removed.",
    proves=(
        change, begin, ask, answer, complete, switch_in, load_tables, switch_out,
        enter_lazy, wake, test_bit, in_user_mode, kept_at,
    ),
    clauses=("vm.tlb.no-stale-user", "vm.tlb.no-freed-table"),
    features=("F041",),
    method="inductive",
    bounds=ANY,
    witness=MASKED,
    mutants=(
        Mutant(answer, "stays on the tables while lazy", ", loaded=s.loaded.set(cpu, False)", ""),
        Mutant(answer, "answers without a flush", "return s._replace(dropped=s.dropped.set(cpu, s.changes))",
               "return s"),
        Mutant(test_bit, "does not look at the bit", "if s.bit[cpu]:", "if True:"),
        Mutant(switch_in, "sets the bit too late", "bit=s.bit.set(cpu, True),", ""),
        Mutant(complete, "covers changes made during the flush", "done=s.wanted", "done=s.changes"),
    ),
)  # fmt: skip
def by_mask(
    changes: Count, wanted: Count, done: Count, active: Flag, bit: Truths, current: Truths, loaded: Truths,
    lazy: Truths, phase: Counts, dropped: Counts, asked: Truths, pending: Truths,
    step: Annotated[int, each(range(11))], cpu: Count, other: Count,
) -> bool:  # fmt: skip
    s = MaskedTlb(changes, wanted, done, active, bit, current, loaded, lazy, phase, dropped, asked, pending)
    assume(kept_at(s, cpu) & kept_at(s, other) & (s.phase[cpu] <= 2) & (s.phase[other] <= 2))
    after = masked_step(s, step, cpu)
    if step == COMPLETE:
        assume(s.asked[other] & no(s.pending[other]))
    safe = no_stale_user(in_user_mode(after, other), after.dropped[other], after.done) & no_freed_table(
        after.loaded[other], after.dropped[other], after.done
    )
    return kept_at(after, other) & safe
