"""The theorems about swap and the OOM killer hold, their premises can be met, and every mutant is refuted."""

import pytest

from linuxmm.proofs.prover import prove
from linuxmm.proofs.reclaim import oom, swap
from linuxmm.proofs.theorem import find_theorem

MODULES = (oom, swap)


@pytest.mark.parametrize(
    "id",
    [
        "reclaim.oom.monotone",
        "reclaim.oom.spared",
        "reclaim.swap.bounds",
        "reclaim.swap.caches",
        "reclaim.swap.uses",
        "reclaim.swap.window",
    ],
)
def test_a_theorem_is_proved_and_its_mutants_are_not(id: str) -> None:
    report = prove(find_theorem(id))
    assert (report.result, report.vacuity) == ("proved", "witnessed")
    assert report.mutants_refuted == len(report.theorem.mutants) >= 2
    assert all(module.__name__.startswith("linuxmm.proofs.reclaim") for module in MODULES)
