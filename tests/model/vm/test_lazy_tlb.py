"""Lazy TLBs of two and three CPUs: every interleaving; and each step that is left out does its harm."""

import pytest

from linuxmm.model.vm import lazy_tlb_mask as by_mask
from linuxmm.model.vm.lazy_tlb import (
    asks_who_is_not_lazy,
    compares_generation,
    kept_at,
    kept_by_asking_all,
    trusts_requests,
)
from linuxmm.model.vm.lazy_tlb_search import (
    FREED,
    STALE,
    UP_TO_4_19,
    Bounds,
    GenerationRules,
    MaskRules,
    asks_no_lazy,
    flushes_a_page_whatever_was_missed,
    generation_steps,
    generations_start,
    keeps_the_tables,
    loads_before_the_bit,
    masked_start,
    masked_steps,
    reads_before_the_bit,
    search_generations,
    search_masked,
    sets_the_bit_last,
    sets_the_bit_last_of_all,
    trusts_what_is_loaded,
)
from linuxmm.spec.kernel import kernel


def test_no_interleaving_of_the_mask_does_harm() -> None:
    found = search_masked(bounds=Bounds(cpus=3))
    assert (found.trace, found.broken) == ((), None)
    assert found.states > 1000


@pytest.mark.parametrize("rules", [GenerationRules(), UP_TO_4_19])
@pytest.mark.parametrize("bounds", [Bounds(cpus=1, changes=2, flushes=3), Bounds(cpus=2, flushes=1)])
def test_no_interleaving_of_the_generations_does_harm(rules: GenerationRules, bounds: Bounds) -> None:
    found = search_generations(rules, bounds)
    assert (found.trace, found.broken) == ((), None)
    assert found.states > 40_000


@pytest.mark.parametrize(
    ("rules", "clause"),
    [
        (MaskRules(switch_in=loads_before_the_bit, load_tables=sets_the_bit_last), FREED),
        (MaskRules(test_bit=trusts_what_is_loaded), STALE),
        (MaskRules(answer=keeps_the_tables), FREED),
    ],
)
def test_every_step_of_the_mask_is_needed(rules: MaskRules, clause: str) -> None:
    found = search_masked(rules)
    assert found.broken is not None
    assert found.broken.clause == clause


@pytest.mark.parametrize(
    ("rules", "clause"),
    [
        (GenerationRules(asks=asks_no_lazy), FREED),
        (GenerationRules(asks_who_is_not_lazy, trusts_requests), STALE),
        (
            GenerationRules(switch_in=reads_before_the_bit, read_generation=sets_the_bit_last_of_all),
            STALE,
        ),
        (GenerationRules(answer=flushes_a_page_whatever_was_missed), STALE),
    ],
)
def test_every_step_of_the_generations_is_needed(rules: GenerationRules, clause: str) -> None:
    found = search_generations(rules, Bounds(cpus=1))
    assert found.broken is not None
    assert found.broken.clause == clause


def test_the_shortest_way_to_cve_2016_2069() -> None:
    rules = MaskRules(switch_in=loads_before_the_bit, load_tables=sets_the_bit_last)
    assert search_masked(rules, Bounds(cpus=1)).trace == (
        "CPU 0 switches to the process",
        "the entry changes",
        "a flush begins",
        "CPU 0 is asked or passed over",
        "the flush completes",
    )


def test_what_is_kept_is_kept_in_every_state() -> None:
    for rules in (GenerationRules(), UP_TO_4_19):
        steps = generation_steps(rules, Bounds(cpus=1))
        seen = {generations_start(1)}
        pending = list(seen)
        while pending:
            state = pending.pop()
            assert kept_at(state, 0)
            assert rules is not UP_TO_4_19 or kept_by_asking_all(state, 0)
            fresh = {after for _, after in steps(state)} - seen
            seen |= fresh
            pending += fresh


def test_what_the_mask_keeps_is_kept_in_every_state() -> None:
    steps = masked_steps(MaskRules(), Bounds())
    seen = {masked_start(2)}
    pending = list(seen)
    while pending:
        state = pending.pop()
        assert all(by_mask.kept_at(state, cpu) for cpu in range(2))
        fresh = {after for _, after in steps(state)} - seen
        seen |= fresh
        pending += fresh


def test_each_release_has_its_rule() -> None:
    assert kernel("4.15").behaviour("vm.lazy-wakes").function is trusts_requests
    assert kernel("6.1").behaviour("vm.lazy-wakes").function is compares_generation
    assert kernel("6.1").behaviour("vm.flush-asks").function is asks_who_is_not_lazy
