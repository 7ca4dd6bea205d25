"""The theorems about object allocators hold, their premises can be met, and every mutant is refuted."""

import pytest

from linuxmm.proofs.objects import layout, links, slob, tid
from linuxmm.proofs.objects.links import CHAINS, HELD, ON_CPU, POP, Ghost, linked_at, links_step
from linuxmm.proofs.prover import prove
from linuxmm.proofs.theorem import find_theorem

MODULES = (layout, links, slob, tid)


@pytest.mark.parametrize(
    "id",
    [
        "objects.slub.hardened-inverse",
        "objects.slub.counts-step",
        "objects.slub.links-step",
        "objects.slub.tid-exchange",
        "objects.slub.tid-holds",
        "objects.slab.tiled",
    ],
)
def test_a_theorem_is_proved_and_its_mutants_are_not(id: str) -> None:
    report = prove(find_theorem(id))
    assert (report.result, report.vacuity) == ("proved", "witnessed")
    assert report.mutants_refuted == len(report.theorem.mutants) >= 2
    assert all(module.__name__.startswith("linuxmm.proofs.objects") for module in MODULES)


def test_the_ghosts_of_two_lists_are_what_the_invariant_asks_for() -> None:
    ghost = Ghost(CHAINS["where"], CHAINS["prev"], CHAINS["rank"])  # type: ignore[arg-type]
    links_ = CHAINS["links"]
    assert all(linked_at(links_, 2, ghost, ON_CPU, number) for number in range(6))  # type: ignore[arg-type]
    wrong = Ghost(ghost.where.set(3, HELD), ghost.prev, ghost.rank)
    assert not linked_at(links_, 2, wrong, ON_CPU, 2)  # type: ignore[arg-type]
    assert links_step(**{**CHAINS, "step": POP, "number": 5, "other": 3})  # type: ignore[arg-type]
