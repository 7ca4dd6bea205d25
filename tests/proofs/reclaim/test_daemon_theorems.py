"""The theorems about ages, the reclaim daemon and reclaim in a node hold, and every mutant is refuted."""

import pytest

from linuxmm.proofs.prover import prove
from linuxmm.proofs.reclaim import daemons
from linuxmm.proofs.theorem import find_theorem


@pytest.mark.parametrize(
    "id",
    [
        "reclaim.aged.range",
        "reclaim.aged.target",
        "reclaim.kswapd.boost",
        "reclaim.kswapd.heard",
        "reclaim.node-reclaim.kept",
    ],
)
def test_a_theorem_is_proved_and_its_mutants_are_not(id: str) -> None:
    report = prove(find_theorem(id))
    assert (report.result, report.vacuity) == ("proved", "witnessed")
    assert report.mutants_refuted == len(report.theorem.mutants) >= 2
    assert daemons.__name__.startswith("linuxmm.proofs.reclaim")
