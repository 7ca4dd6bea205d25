"""Random system calls in a guest of the lab conform."""

import pytest

from linuxmm.oracle.live.guest import live_in_guest

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("name", ["6.1", "6.12", "6.1-686-pae"])
def test_calls_made_in_a_guest_conform(name: str) -> None:
    outcome = live_in_guest(name, 1500, 3)
    assert [(each.refusal.clause, each.refusal.why) for each in outcome.divergences] == []
    assert outcome.events == 1500
