"""Faults beside mprotect and munmap: every interleaving of both protocols; what each check is for."""

import pytest

from linuxmm.model.vm import speculative_fault, vma_lock
from linuxmm.model.vm.speculative_fault import Change, search_speculative
from linuxmm.model.vm.vma_lock import search_locked

BOTH = pytest.mark.parametrize("change", Change)


@BOTH
def test_speculative_faults_do_no_harm(change: Change) -> None:
    for faults in (1, 2, 3):
        found = search_speculative(change, faults)
        assert (found.trace, found.broken) == ((), None)
        assert found.states > 50 * faults


@BOTH
def test_faults_under_the_area_s_lock_do_no_harm(change: Change) -> None:
    for faults in (1, 2, 3):
        found = search_locked(change, faults)
        assert (found.trace, found.broken) == ((), None)
        assert found.states > 40 * faults


@pytest.mark.parametrize(
    ("rules", "change", "clause"),
    [
        ({"compares_under_lock": False}, Change.MPROTECT, "vm.fault.entry-within-area"),
        ({"compares_under_lock": False}, Change.MUNMAP, "vm.fault.entry-within-area"),
        ({"odd_while_changing": False}, Change.MPROTECT, "vm.fault.entry-within-area"),
        ({"compares_entry": False}, Change.MPROTECT, "vm.fault.no-lost-page"),
        ({"holds_reference": False}, Change.MUNMAP, "vm.fault.area-alive"),
    ],
)
def test_every_check_of_a_speculative_fault_is_needed(
    rules: dict[str, bool], change: Change, clause: str
) -> None:
    found = search_speculative(change, 2, speculative_fault.Rules(**rules))
    assert found.broken is not None
    assert found.broken.clause == clause
    assert found.trace


@pytest.mark.parametrize(
    ("rules", "change"),
    [
        ({"looks_again": False}, Change.MPROTECT),
        ({"looks_for_detached": False}, Change.MUNMAP),
        ({"waits_for_readers": False}, Change.MPROTECT),
        ({"marks": False}, Change.MPROTECT),
    ],
)
def test_every_check_under_the_area_s_lock_is_needed(rules: dict[str, bool], change: Change) -> None:
    found = search_locked(change, 1, vma_lock.Rules(**rules))
    assert found.broken is not None
    assert found.broken.clause == "vm.fault.entry-within-area"


def test_the_shortest_way_past_a_missing_comparison() -> None:
    found = search_speculative(Change.MUNMAP, 1, speculative_fault.Rules(compares_under_lock=False))
    assert len(found.trace) == 12
    assert "fault 0, which holds the page table's lock, goes on" in found.trace[-3:]
