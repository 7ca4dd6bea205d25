"""Random runs of every generation of the allocator keep every invariant."""

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from linuxmm.model.alloc.strategies import VERSIONS, AllocatorMachine


@pytest.mark.parametrize("version", VERSIONS)
def test_random_runs_keep_every_invariant(version: str) -> None:
    machine = type(f"Of{version}", (AllocatorMachine,), {"versions": (version,)})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=40, stateful_step_count=40, deadline=None)
    )
