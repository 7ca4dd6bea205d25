"""Range locks: exclusion and progress in every interleaving; the same outcomes as one lock for all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.model.vm.range_lock import (
    Claim,
    Covers,
    Kind,
    Operation,
    RangeLock,
    acquire,
    compatible,
    everything,
    first_page_only,
    holds,
    its_own_range,
    nothing_for_faults,
    outcomes,
    release,
    search_ranges,
    side_by_side,
)

MIX = (
    Operation(Kind.MUNMAP, 0, 2),
    Operation(Kind.FAULT, 1, 2),
    Operation(Kind.FAULT, 3, 4),
    Operation(Kind.MPROTECT, 2, 4),
)


def test_no_interleaving_does_harm() -> None:
    for covers in (its_own_range, everything):
        found = search_ranges(4, MIX, covers)
        assert (found.trace, found.broken) == ((), None)
        assert found.states > 300


@pytest.mark.parametrize("covers", [nothing_for_faults, first_page_only])
def test_locking_less_does_harm(covers: Covers) -> None:
    found = search_ranges(4, MIX, covers)
    assert found.broken is not None
    assert found.broken.clause == "vm.fault.no-orphan"


def test_fine_locks_end_as_coarse_ones_do_but_more_goes_on_at_once() -> None:
    assert outcomes(4, MIX, its_own_range) == outcomes(4, MIX, everything)
    assert side_by_side(4, MIX, everything) == 2  # two faults
    assert side_by_side(4, MIX, its_own_range) == 2
    apart = (Operation(Kind.MUNMAP, 0, 1), Operation(Kind.MPROTECT, 1, 2), Operation(Kind.FAULT, 2, 3))
    assert side_by_side(4, apart, everything) == 1
    assert side_by_side(4, apart, its_own_range) == 3


def test_who_waits_is_not_overtaken_by_who_conflicts_with_it() -> None:
    lock = acquire(RangeLock(), Claim(0, 0, 4, False))
    lock = acquire(lock, Claim(1, 0, 2, True))
    lock = acquire(lock, Claim(2, 1, 3, False))
    lock = acquire(lock, Claim(3, 3, 4, False))
    assert [holder.who for holder in lock.holders] == [0, 3]
    lock = release(lock, 0)
    assert [holder.who for holder in lock.holders] == [3, 1]
    assert holds(release(lock, 1), 2)


CLAIMS = st.builds(
    lambda who, start, size, writes: Claim(who, start, start + size, writes),
    st.integers(0, 9),
    st.integers(0, 7),
    st.integers(1, 8),
    st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(CLAIMS, max_size=12, unique_by=lambda claim: claim.who))
def test_everybody_gets_the_range_in_the_end(claims: list[Claim]) -> None:
    lock = RangeLock()
    for claim in claims:
        lock = acquire(lock, claim)
        held = lock.holders
        assert all(compatible(one, two) for one in held for two in held if one is not two)
    served = 0
    while lock.holders:
        lock = release(lock, lock.holders[0].who)
        served += 1
    assert served == len(claims)
    assert lock == RangeLock()
