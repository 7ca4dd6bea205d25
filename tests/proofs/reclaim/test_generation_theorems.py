"""The theorems about lists by generation hold, their premises can be met, and every mutant is refuted."""

import pytest

from linuxmm.proofs.prover import prove
from linuxmm.proofs.reclaim import generation_pages, generation_rules
from linuxmm.proofs.theorem import find_theorem

MODULES = (generation_pages, generation_rules)


@pytest.mark.parametrize(
    "id",
    [
        "reclaim.generations.averages",
        "reclaim.generations.freed",
        "reclaim.generations.last-tier",
        "reclaim.generations.new-page",
        "reclaim.generations.numbers",
        "reclaim.generations.part-around",
        "reclaim.generations.plan",
        "reclaim.generations.shadow",
    ],
)
def test_a_theorem_is_proved_and_its_mutants_are_not(id: str) -> None:
    report = prove(find_theorem(id))
    assert (report.result, report.vacuity) == ("proved", "witnessed")
    assert report.mutants_refuted == len(report.theorem.mutants) >= 2
    assert all(module.__name__.startswith("linuxmm.proofs.reclaim") for module in MODULES)


@pytest.mark.parametrize("id", ["reclaim.generations.one-list", "reclaim.generations.rates-fit"])
def test_the_longer_theorems_hold_for_plain_values(id: str) -> None:
    theorem = find_theorem(id)
    assert theorem.linked()(**theorem.witness)
