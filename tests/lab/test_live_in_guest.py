"""Random system calls in a guest of the lab conform."""

import pytest

from linuxmm.oracle.live.guest import live_in_guest

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("name", ["6.1", "6.12", "6.1-686-pae"])
def test_calls_made_in_a_guest_conform(name: str) -> None:
    outcome = live_in_guest(name, 1500, 3)
    assert [(each.refusal.clause, each.refusal.why) for each in outcome.divergences] == []
    assert outcome.events == 1500


@pytest.mark.parametrize("overcommit", [1, 2])
def test_calls_conform_where_commitments_are_not_guessed(overcommit: int) -> None:
    """Always, and never beyond the limit: then calls are refused that a guess grants."""
    outcome = live_in_guest("6.12", 1500, 3, overcommit=overcommit)
    assert [(each.refusal.clause, each.refusal.why) for each in outcome.divergences] == []
    assert outcome.events == 1500
