"""The theorems about reclaim hold, their premises can be met, and every mutant is refuted."""

import pytest

from linuxmm.proofs.prover import prove
from linuxmm.proofs.reclaim import amounts, generations, pages, shadows, shrinkers
from linuxmm.proofs.theorem import find_theorem

MODULES = (amounts, generations, pages, shadows, shrinkers)


@pytest.mark.parametrize(
    "id",
    [
        "reclaim.adjust.bounded",
        "reclaim.amount.bounded",
        "reclaim.generations.token",
        "reclaim.generations.window-step",
        "reclaim.inactive.monotone",
        "reclaim.saved",
        "reclaim.shadow.pack",
        "reclaim.shares.cost-sound",
        "reclaim.shares.whole",
        "reclaim.shrinker.deferred",
        "reclaim.statistics.aged",
    ],
)
def test_a_theorem_is_proved_and_its_mutants_are_not(id: str) -> None:
    report = prove(find_theorem(id))
    assert (report.result, report.vacuity) == ("proved", "witnessed")
    assert report.mutants_refuted == len(report.theorem.mutants) >= 2
    assert all(module.__name__.startswith("linuxmm.proofs.reclaim") for module in MODULES)


def test_the_theorems_hold_for_plain_values() -> None:
    for id in ("reclaim.page.freed", "reclaim.page.one-list", "reclaim.shadow.distance"):
        theorem = find_theorem(id)
        assert theorem.linked()(**theorem.witness)
