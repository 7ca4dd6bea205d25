"""Every interleaving of a few CPUs with lazy TLBs: does one use a translation that was flushed?

The systems are those of `lazy_tlb` and `lazy_tlb_mask`, for a given number of CPUs, changes and flushes.
Variants leave out a step or swap two, as bugs did; each is told apart by the shortest trace to its harm.

Linux: arch/x86/mm/tlb.c.  Seed 2.3.2 (F041).  2.4 to 6.12.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from linuxmm.model.vm import lazy_tlb as by_generation
from linuxmm.model.vm import lazy_tlb_mask as by_mask
from linuxmm.model.vm.explore import Finding, search
from linuxmm.model.vm.lazy_tlb import Asks, Generations
from linuxmm.model.vm.lazy_tlb_mask import MaskedTlb
from linuxmm.spec.step import Refusal
from linuxmm.spec.vm.lazy_tlb import no_freed_table, no_stale_user
from linuxmm.spec.vm.total import Row

STALE: Final = "vm.tlb.no-stale-user"
FREED: Final = "vm.tlb.no-freed-table"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much happens at most: CPUs, changes of the entry, flushes of the address space."""

    cpus: int = 2
    changes: int = 1
    flushes: int = 2


# ---- by mask -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MaskRules:
    """The steps that variants replace."""

    switch_in: Callable[[MaskedTlb, int], MaskedTlb] = by_mask.switch_in
    load_tables: Callable[[MaskedTlb, int], MaskedTlb] = by_mask.load_tables
    answer: Callable[[MaskedTlb, int], MaskedTlb] = by_mask.answer
    test_bit: Callable[[MaskedTlb, int], MaskedTlb] = by_mask.test_bit


def loads_before_the_bit(s: MaskedTlb, cpu: int) -> MaskedTlb:
    """Variant: the tables are loaded first, and the bit is set afterwards; much as in CVE-2016-2069, where
    the processor could walk the tables before the bit was seen."""
    return s._replace(
        current=s.current.set(cpu, True),
        loaded=s.loaded.set(cpu, True),
        dropped=s.dropped.set(cpu, s.changes),
        phase=s.phase.set(cpu, by_mask.SWITCHES),
    )


def sets_the_bit_last(s: MaskedTlb, cpu: int) -> MaskedTlb:
    """The second half of `loads_before_the_bit`."""
    return s._replace(bit=s.bit.set(cpu, True), phase=s.phase.set(cpu, by_mask.RUNS))


def trusts_what_is_loaded(s: MaskedTlb, cpu: int) -> MaskedTlb:
    """Variant: the tables are not loaded anew, although the bit was clear."""
    woken = s._replace(phase=s.phase.set(cpu, by_mask.RUNS))
    return woken._replace(bit=s.bit.set(cpu, True), loaded=s.loaded.set(cpu, True))


def keeps_the_tables(s: MaskedTlb, cpu: int) -> MaskedTlb:
    """Variant: a lazy CPU leaves the mask, but not the tables."""
    after = by_mask.answer(s, cpu)
    return after._replace(loaded=after.loaded.set(cpu, s.loaded[cpu]))


def masked_start(cpus: int) -> MaskedTlb:
    """Nothing runs, nothing is held."""
    no, zero = Row((False,) * cpus), Row((0,) * cpus)
    return MaskedTlb(0, 0, 0, False, no, no, no, no, zero, zero, no, no)


def masked_steps(rules: MaskRules, bounds: Bounds) -> Callable[[MaskedTlb], Iterator[tuple[str, MaskedTlb]]]:
    """Every step that may be made."""
    nobody = Row((False,) * bounds.cpus)

    def steps(s: MaskedTlb) -> Iterator[tuple[str, MaskedTlb]]:
        if s.changes < bounds.changes:
            yield "the entry changes", by_mask.change(s)
        if not s.active and s.wanted < s.changes:
            yield "a flush begins", by_mask.begin(s, nobody)
        if s.active and all(s.asked[cpu] and not s.pending[cpu] for cpu in range(bounds.cpus)):
            yield "the flush completes", by_mask.complete(s)
        for cpu in range(bounds.cpus):
            for name, after in _masked_steps_of(rules, s, cpu):
                yield f"CPU {cpu} {name}", after

    return steps


def _masked_steps_of(rules: MaskRules, s: MaskedTlb, cpu: int) -> Iterator[tuple[str, MaskedTlb]]:
    if s.active and not s.asked[cpu]:
        yield "is asked or passed over", by_mask.ask(s, cpu)
    if s.phase[cpu] == by_mask.SWITCHES:
        yield "goes on with the switch", rules.load_tables(s, cpu)
    elif s.phase[cpu] == by_mask.WAKES:
        yield "tests its bit", rules.test_bit(s, cpu)
    else:
        if s.pending[cpu]:
            yield "answers", rules.answer(s, cpu)
        if not s.current[cpu]:
            yield "switches to the process", rules.switch_in(s, cpu)
        else:
            yield "switches to another process", by_mask.switch_out(s, cpu)
            lazy = by_mask.wake if s.lazy[cpu] else by_mask.enter_lazy
            yield ("wakes" if s.lazy[cpu] else "becomes lazy"), lazy(s, cpu)


def judge_masked(cpus: int) -> Callable[[MaskedTlb], Refusal | None]:
    """What a state breaks; every flush may be followed by freeing tables."""

    def judge(s: MaskedTlb) -> Refusal | None:
        for cpu in range(cpus):
            user = by_mask.in_user_mode(s, cpu)
            broken = _judged(cpu, user, s.loaded[cpu], s.dropped[cpu], s.done, s.done)
            if broken is not None:
                return broken
        return None

    return judge


def search_masked(rules: MaskRules = MaskRules(), bounds: Bounds = Bounds()) -> Finding:
    """Search the interleavings of lazy TLB by mask."""
    return search(masked_start(bounds.cpus), masked_steps(rules, bounds), judge_masked(bounds.cpus))


# ---- by generation -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GenerationRules:
    """The steps that variants replace."""

    asks: Asks = by_generation.asks_who_is_not_lazy
    wakes: Callable[[Generations, int], Generations] = by_generation.compares_generation
    switch_in: Callable[[Generations, int], Generations] = by_generation.switch_in
    read_generation: Callable[[Generations, int], Generations] = by_generation.read_generation
    answer: Callable[[Generations, int], Generations] = by_generation.answer


UP_TO_4_19: Final = GenerationRules(by_generation.asks_the_mask, by_generation.trusts_requests)


def asks_no_lazy(s: Generations, cpu: int) -> bool:
    """Variant: lazy CPUs are passed over even when tables are freed."""
    return s.bit[cpu] & (s.lazy[cpu] ^ True)


def reads_before_the_bit(s: Generations, cpu: int) -> Generations:
    """Variant: the generation is read first, and the bit is set afterwards."""
    return s._replace(seen=s.seen.set(cpu, s.gen), phase=s.phase.set(cpu, by_generation.SWITCHES))


def sets_the_bit_last_of_all(s: Generations, cpu: int) -> Generations:
    """The second half of `reads_before_the_bit`."""
    return s._replace(bit=s.bit.set(cpu, True), phase=s.phase.set(cpu, by_generation.COMPARES))


def flushes_a_page_whatever_was_missed(s: Generations, cpu: int) -> Generations:
    """Variant: a request for another page counts as having seen everything."""
    after = by_generation.answer(s, cpu)
    return after._replace(dropped=s.dropped) if s.local[cpu] + 1 < s.number else after


def generations_start(cpus: int) -> Generations:
    """Nothing runs, nothing is held."""
    no, zero = Row((False,) * cpus), Row((0,) * cpus)
    return Generations(0, 0, Row((0,)), False, 0, False, 0, 0, no, no, no, no, zero, zero, zero, zero, no, no)


def generation_steps(
    rules: GenerationRules, bounds: Bounds
) -> Callable[[Generations], Iterator[tuple[str, Generations]]]:
    """Every step that may be made."""
    nobody = Row((False,) * bounds.cpus)

    def steps(s: Generations) -> Iterator[tuple[str, Generations]]:
        if s.changes < bounds.changes:
            yield "the entry changes", by_generation.change(s)
        if s.gen < bounds.flushes:
            yield "another page is flushed", by_generation.other_flush(s, False)
            if not s.active:
                yield "a flush begins", by_generation.begin(s, False, nobody)
                yield "a flush begins that frees tables", by_generation.begin(s, True, nobody)
        if s.active and all(s.asked[cpu] and not s.pending[cpu] for cpu in range(bounds.cpus)):
            yield "the flush completes", by_generation.complete(s)
        for cpu in range(bounds.cpus):
            for name, after in _generation_steps_of(rules, s, cpu):
                yield f"CPU {cpu} {name}", after

    return steps


def _generation_steps_of(
    rules: GenerationRules, s: Generations, cpu: int
) -> Iterator[tuple[str, Generations]]:
    if s.active and not s.asked[cpu]:
        yield "is asked or passed over", by_generation.ask(s, cpu, rules.asks)
    phase = s.phase[cpu]
    if phase == by_generation.SWITCHES:
        yield "goes on with the switch", rules.read_generation(s, cpu)
    elif phase == by_generation.COMPARES:
        yield "loads the tables", by_generation.load_tables(s, cpu)
    elif phase == by_generation.WAKES:
        yield "goes on with waking", rules.wakes(s, cpu)
    else:
        yield from _settled_steps(rules, s, cpu)


def _settled_steps(rules: GenerationRules, s: Generations, cpu: int) -> Iterator[tuple[str, Generations]]:
    if s.pending[cpu]:
        yield "answers", rules.answer(s, cpu)
    for number in range(1, s.gen + 1):
        if s.need[number] == s.need[number - 1]:
            yield f"takes request {number}", by_generation.other_request(s, cpu, number, False)
    if not s.loaded[cpu]:
        yield "switches to the process", rules.switch_in(s, cpu)
        if s.slot[cpu]:
            yield "forgets the process", by_generation.forget(s, cpu)
    else:
        yield "switches to another process", by_generation.switch_out(s, cpu)
        lazy = by_generation.wake if s.lazy[cpu] else by_generation.enter_lazy
        yield ("wakes" if s.lazy[cpu] else "becomes lazy"), lazy(s, cpu)


def judge_generations(cpus: int) -> Callable[[Generations], Refusal | None]:
    """What a state breaks."""

    def judge(s: Generations) -> Refusal | None:
        for cpu in range(cpus):
            user = by_generation.in_user_mode(s, cpu)
            flushed, freed = s.need[s.done], s.need[s.done_freed]
            broken = _judged(cpu, user, s.loaded[cpu], s.dropped[cpu], flushed, freed)
            if broken is not None:
                return broken
        return None

    return judge


def search_generations(
    rules: GenerationRules = GenerationRules(),
    bounds: Bounds = Bounds(),
) -> Finding:
    """Search the interleavings of lazy TLB by generation."""
    return search(
        generations_start(bounds.cpus), generation_steps(rules, bounds), judge_generations(bounds.cpus)
    )


# ---- both --------------------------------------------------------------------------------------------------


def _judged(cpu: int, user: bool, loaded: bool, dropped: int, flushed: int, freed: int) -> Refusal | None:
    if not no_stale_user(user, dropped, flushed):
        why = f"CPU {cpu} may use a translation of change {dropped}; {flushed} changes are flushed"
        return Refusal(STALE, why)
    if not no_freed_table(loaded, dropped, freed):
        why = f"CPU {cpu} may walk tables as of change {dropped}; those before change {freed} are freed"
        return Refusal(FREED, why)
    return None
