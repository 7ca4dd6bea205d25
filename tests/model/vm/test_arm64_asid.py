"""ASIDs of arm64: no interleaving mixes address spaces; steps that are left out do, and 4.3 did."""

import pytest

from linuxmm.model.vm.arm64_asid import AsidRules, asid_rules, looks_only, renews
from linuxmm.model.vm.arm64_asid_search import Bounds, search_asids
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.kernel import kernel
from linuxmm.spec.vm.arm64_asid import one_for_all, only_its_own

LONE = Bounds(cpus=2, asids=3, spaces=4, rollovers=2, lone=1)


@pytest.mark.parametrize("bounds", [Bounds(1, 2, 3, 3), Bounds(1, 4, 4, 2, pins=True), LONE])
def test_no_interleaving_mixes_address_spaces(bounds: Bounds) -> None:
    found = search_asids(bounds=bounds)
    assert (found.trace, found.broken) == ((), None)
    assert found.states > (50_000 if bounds is LONE else 200)


@pytest.mark.parametrize(
    ("rules", "clause"),
    [
        (AsidRules(flushes=False), "vm.arm64.asid.own"),
        (AsidRules(sets_aside=False), "vm.arm64.asid.one"),
    ],
)
def test_every_step_is_needed(rules: AsidRules, clause: str) -> None:
    found = search_asids(rules, LONE)
    assert found.broken is not None
    assert found.broken.clause == clause


def test_4_3_gives_one_address_space_two_asids_after_three_rollovers() -> None:
    rules = asid_rules(kernel("4.3"))
    found = search_asids(rules, Bounds(2, 3, 4, 3, lone=1))
    assert found.broken is not None
    assert found.broken.clause == "vm.arm64.asid.one"
    assert sum("rolls over CPU 0" in step for step in found.trace) == 3
    assert search_asids(rules, LONE).broken is None


def test_rules_by_kernel() -> None:
    assert asid_rules(kernel("4.3")).keeps is looks_only
    assert asid_rules(kernel("4.4")).keeps is renews
    assert asid_rules(kernel("6.12")).keeps is renews
    with pytest.raises(Unmodelled, match=r"vm\.arm64\.keeps-asid"):
        asid_rules(kernel("4.2"))


def test_what_the_clauses_say() -> None:
    assert only_its_own(frozenset({1}), 1)
    assert not only_its_own(frozenset({1, 2}), 1)
    assert one_for_all(3, 3)
    assert not one_for_all(3, 4)
