"""The theorems about control groups hold, their premises can be met, and every mutant is refuted."""

import pytest

from linuxmm.proofs.memcg import charging, counter, protection, stock
from linuxmm.proofs.prover import prove
from linuxmm.proofs.theorem import find_theorem

MODULES = (charging, counter, protection, stock)


@pytest.mark.parametrize(
    "id",
    [
        "memcg.counter.sum",
        "memcg.counter.limit",
        "memcg.protection.usage",
        "memcg.protection.share",
        "memcg.protection.capped",
        "memcg.protection.scan",
        "memcg.penalty.bounds",
        "memcg.penalty.overage",
        "memcg.again.fits",
        "memcg.exempt.order",
        "memcg.objects.pages",
        "memcg.objects.bytes",
        "memcg.clock.above",
        "memcg.peak.since",
        "memcg.swap.limit",
        "memcg.charge.owned",
        "memcg.charge.limit",
    ],
)
def test_a_theorem_is_proved_and_its_mutants_are_not(id: str) -> None:
    report = prove(find_theorem(id))
    assert (report.result, report.vacuity) == ("proved", "witnessed")
    assert report.mutants_refuted == len(report.theorem.mutants) >= 2
    assert all(module.__name__.startswith("linuxmm.proofs.memcg") for module in MODULES)
