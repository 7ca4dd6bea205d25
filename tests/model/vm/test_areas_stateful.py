"""Random runs of system calls keep what areas must keep, for kernels of every era."""

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from linuxmm.model.vm.strategies import VERSIONS, AddressSpaceMachine


@pytest.mark.parametrize("version", VERSIONS)
def test_random_calls_keep_every_invariant(version: str) -> None:
    machine = type(f"Of{version}", (AddressSpaceMachine,), {"version": version})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=60, stateful_step_count=30, deadline=None)
    )
