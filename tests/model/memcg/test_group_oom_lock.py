"""Tasks of a tree of groups that run out of memory at once, in every order."""

import pytest

from linuxmm.model.memcg.counter import NOBODY
from linuxmm.model.memcg.oom_lock import (
    KILLS,
    WAITS,
    WOKEN,
    Ooms,
    Task,
    explore,
    nobody_forgotten,
    one_killer,
    related,
    somebody_kills,
)
from linuxmm.spec.kernel import kernel

CHAIN = (NOBODY, 0, 1)
FORK = (NOBODY, 0, 0)


@pytest.mark.parametrize(("parent", "groups"), [(CHAIN, (2, 1, 1)), (CHAIN, (0, 1, 2)), (FORK, (0, 1, 2))])
def test_since_3_1_one_kills_and_who_waits_waits_for_it(
    parent: tuple[int, ...], groups: tuple[int, ...]
) -> None:
    found = explore(kernel("3.4"), parent, groups, 2)
    assert (found.trace, found.broken) == ((), None)
    assert found.states > 100


def test_until_3_0_a_task_may_wait_for_one_that_waited_itself() -> None:
    """Found by searching: who waited leaves its counts until it runs again, and locks out who comes back."""
    found = explore(kernel("2.6.39"), CHAIN, (1, 2), 1)
    assert found.trace == ("task 0 tries", "task 1 tries", "task 0 has killed", "task 0 tries")
    assert found.broken is not None
    assert found.broken.clause == "memcg.oom.somebody-kills"
    assert found.broken.why == f"tasks 1:{WAITS}, 2:{WOKEN}, marks (0, 1, 2)"


def test_invariants_refuse() -> None:
    def state(*phases: int) -> Ooms:
        return Ooms(FORK, (0, 0, 0), tuple(Task(at, phase) for at, phase in enumerate(phases)))

    assert one_killer(state(WAITS, KILLS, KILLS))
    assert not one_killer(state(KILLS, KILLS, WAITS))
    assert somebody_kills(state(WAITS, KILLS, KILLS))
    assert not somebody_kills(state(WOKEN, KILLS, WAITS))
    assert nobody_forgotten(state(WAITS, WAITS, WOKEN))
    assert not nobody_forgotten(state(WAITS, WAITS, WAITS))
    assert related(CHAIN, 2, 0)
    assert not related(FORK, 1, 2)
