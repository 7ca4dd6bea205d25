"""Lazy TLBs by generation: every step keeps what is kept at every CPU, from which safety follows."""

from typing import Annotated, Any, Final

from linuxmm.model.vm.lazy_tlb import (
    COMPARES,
    RUNS,
    SWITCHES,
    WAKES,
    Generations,
    answer,
    ask,
    asks_the_mask,
    asks_who_is_not_lazy,
    begin,
    change,
    compares_generation,
    complete,
    enter_lazy,
    flush_to,
    flushed,
    forget,
    in_user_mode,
    kept_at,
    kept_by_asking_all,
    leave,
    load_tables,
    monotone,
    other_flush,
    other_request,
    read_generation,
    switch_in,
    switch_out,
    trusts_requests,
    wake,
)
from linuxmm.proofs.domain import each, table
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, no, theorem
from linuxmm.proofs.vm.domains import NOBODY, Count, Counts, Flag, Truths
from linuxmm.spec.vm.lazy_tlb import no_freed_table, no_stale_user

ANY: Final = "any number of CPUs, changes and flushes, one page"

(
    CHANGE, BEGIN, ASK, ANSWER, COMPLETE, IN, LOAD, OUT, LAZY, WAKE, TEST,
    READ, OTHER_FLUSH, OTHER_REQUEST, FORGET,
) = range(15)  # fmt: skip

NEW: Final = True
OLD: Final = False


def generation_step(s: Generations, new: bool, step: int, cpu: int, number: int, flag: bool) -> Generations:
    """The state after a step of `cpu`; assumes that it may be made.

    new   the rules since 4.20;  flag: of the step, whatever it leaves open
    """
    settled = s.phase[cpu] == RUNS
    if step == CHANGE:
        return change(s)
    if step == OTHER_FLUSH:
        return other_flush(s, flag)
    if step == BEGIN:
        assume(no(s.active))
        return begin(s, flag, NOBODY)
    if step == ASK:
        assume(s.active & no(s.asked[cpu]))
        return ask(s, cpu, asks_who_is_not_lazy if new else asks_the_mask)
    if step == ANSWER:
        assume(s.pending[cpu] & settled & s.active)
        return answer(s, cpu)
    if step == COMPLETE:
        assume(s.active)
        return complete(s)
    if step == READ:
        assume(s.phase[cpu] == SWITCHES)
        return read_generation(s, cpu)
    if step == LOAD:
        assume(s.phase[cpu] == COMPARES)
        return load_tables(s, cpu)
    if step == TEST:
        assume(s.phase[cpu] == WAKES)
        return compares_generation(s, cpu) if new else trusts_requests(s, cpu)
    assume(settled)
    if step == OTHER_REQUEST:
        assume((number > 0) & (number <= s.gen) & (flag | (s.need[number] == s.need[number - 1])))
        return other_request(s, cpu, number, flag)
    if step == IN:
        assume(no(s.loaded[cpu]))
        return switch_in(s, cpu)
    if step == FORGET:
        assume(no(s.loaded[cpu]))
        return forget(s, cpu)
    assume(s.loaded[cpu])
    if step == OUT:
        return switch_out(s, cpu)
    assume(s.lazy[cpu] if step == WAKE else no(s.lazy[cpu]))
    return wake(s, cpu) if step == WAKE else enter_lazy(s, cpu)


def in_order(s: Generations, *generations: int) -> bool:
    """Whether later ones of these generations have seen no less."""
    found = True
    for one in generations:
        for other in generations:
            found = found & monotone(s, one, other)
    return found


GENERATIONS: Final[dict[str, Any]] = {
    "changes": 3,
    "gen": 2,
    "need": table({1: 1, 2: 3}, 0),
    "active": True,
    "number": 2,
    "freed": True,
    "done": 1,
    "done_freed": 0,
    "bit": table({0: True, 1: True}, False),
    "loaded": table({0: True, 1: True}, False),
    "lazy": table({1: True}, False),
    "slot": table({0: True, 1: True}, False),
    "local": table({0: 2, 1: 1}, 0),
    "seen": table({}, 0),
    "phase": table({}, 0),
    "dropped": table({0: 3, 1: 2}, 0),
    "asked": table({0: True, 1: True}, False),
    "pending": table({1: True}, False),
    "new": NEW,
    "step": ANSWER,
    "cpu": 1,
    "other": 0,
    "request": 1,
    "flag": False,
    "one": 1,
    "two": 2,
}


@theorem(
    "vm.tlb.lazy-by-generation",
    "Every step of flushing and switching by generations keeps the invariant at every CPU, whichever other "
    "flushes go on, whether lazy CPUs are asked (up to 4.19) or passed over (since 4.20); so no CPU that "
    "runs user code holds a translation from before a completed flush, and none, lazy or not, can walk a "
    "freed table.",
    proves=(
        change, begin, other_flush, ask, flush_to, answer, other_request, complete, switch_in,
        read_generation, load_tables, flushed, switch_out, leave, forget, enter_lazy, wake,
        asks_the_mask, asks_who_is_not_lazy, trusts_requests, compares_generation, kept_at,
        kept_by_asking_all, monotone, in_user_mode,
    ),
    clauses=("vm.tlb.no-stale-user", "vm.tlb.no-freed-table"),
    features=("F041",),
    method="inductive",
    bounds=ANY,
    witness=GENERATIONS,
    mutants=(
        Mutant(asks_who_is_not_lazy, "passes lazy CPUs over", "(s.freed | (s.lazy[cpu] ^ True))",
               "(s.lazy[cpu] ^ True)"),
        Mutant(compares_generation, "wakes without comparing", "if s.local[cpu] == s.gen", "if True"),
        Mutant(load_tables, "keeps what has missed a flush", "or s.local[cpu] < seen", ""),
        Mutant(switch_in, "sets the bit too late", "bit=s.bit.set(cpu, True), ", ""),
        Mutant(flush_to, "flushes a part although more is missing", "number != s.local[cpu] + 1 or ", ""),
        Mutant(flush_to, "stays on the tables while lazy", "return leave(s, cpu)", "return s"),
    ),
)  # fmt: skip
def by_generation(
    changes: Count, gen: Count, need: Counts, active: Flag, number: Count, freed: Flag, done: Count,
    done_freed: Count, bit: Truths, loaded: Truths, lazy: Truths, slot: Truths, local: Counts, seen: Counts,
    phase: Counts, dropped: Counts, asked: Truths, pending: Truths, new: Annotated[bool, each((NEW, OLD))],
    step: Annotated[int, each(range(15))], cpu: Count, other: Count, request: Count, flag: Flag,
    one: Count, two: Count,
) -> bool:  # fmt: skip
    s = Generations(
        changes, gen, need, active, number, freed, done, done_freed, bit, loaded, lazy, slot, local, seen,
        phase, dropped, asked, pending,
    )  # fmt: skip
    assume(kept_at(s, cpu) & kept_at(s, other) & (phase[cpu] <= 3) & (phase[other] <= 3))
    if not new:
        assume(kept_by_asking_all(s, cpu) & kept_by_asking_all(s, other))
    assume(in_order(s, local[cpu], seen[cpu], gen) & in_order(s, local[other], done, gen, number))
    assume(
        in_order(s, one, two, gen) & in_order(s, local[other], done_freed) & in_order(s, request, local[cpu])
    )
    after = generation_step(s, new, step, cpu, request, flag)
    if step == COMPLETE:
        assume(s.asked[other] & no(s.pending[other]))
    user = in_user_mode(after, other)
    return (
        kept_at(after, other)
        & (new | kept_by_asking_all(after, other))
        & monotone(after, one, two)
        & implies(in_order(after, after.local[other], after.done), no_stale_user(
            user, after.dropped[other], after.need[after.done]))
        & implies(in_order(after, after.local[other], after.done_freed), no_freed_table(
            after.loaded[other], after.dropped[other], after.need[after.done_freed]))
    )  # fmt: skip
