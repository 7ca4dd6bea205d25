"""The theorems about defragmentation hold, their premises can be met, and every mutant is refuted."""

import pytest

from linuxmm.proofs.defrag import deferral, moves, scanners
from linuxmm.proofs.prover import prove
from linuxmm.proofs.theorem import find_theorem, theorems

MODULES = (deferral, moves, scanners)
IDS = [entry.id for entry in theorems() if entry.function.__module__.startswith("linuxmm.proofs.defrag")]


@pytest.mark.parametrize("id", IDS)
def test_a_theorem_is_proved_and_its_mutants_are_not(id: str) -> None:
    report = prove(find_theorem(id))
    assert (report.result, report.vacuity) in (("proved", "witnessed"), ("bounded", "witnessed"))
    assert report.mutants_refuted == len(report.theorem.mutants) >= 2


def test_every_area_has_its_theorems() -> None:
    assert len(IDS) == 13
    assert len(MODULES) == 3
