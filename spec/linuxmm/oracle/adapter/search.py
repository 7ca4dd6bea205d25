"""Find a case in which an implementation breaks a clause, and make it as short as can be."""

import contextlib
import io
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.errors import Flaky, FlakyFailure
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from linuxmm.spec.errors import LinuxmmError

E = TypeVar("E", bound=Exception)
C = TypeVar("C")
UNSTEADY: Final = "the same calls gave another result the second time"


def first_failure(
    machine: type[RuleBasedStateMachine], error: type[E], examples: int, steps: int, random_seed: int | None
) -> E | None:
    """Run a state machine until a step raises `error`; None when none does.

    random_seed  None for the same cases every time
    Errors       LinuxmmError when the implementation answers the same calls differently
    """
    if random_seed is not None:
        seed(random_seed)(machine)
    options = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=random_seed is None,
        database=None,
        report_multiple_bugs=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            run_state_machine_as_test(machine, settings=options)
    except error as found:
        return found
    except (Flaky, FlakyFailure) as flaky:
        raise LinuxmmError(f"{UNSTEADY}; Hypothesis says: {str(flaky).splitlines()[0]}") from flaky
    return None


def shortest(
    best: E,
    simpler: Callable[[E], Iterable[C]],
    replay: Callable[[C], E | None],
    same: Callable[[E, E], bool],
) -> E:
    """The case after every simplification that still fails in the same way.

    Ensures   no single simplification of the result does
    """
    progress = True
    while progress:
        progress = False
        for case in simpler(best):
            shorter = replay(case)
            if shorter is not None and same(shorter, best):
                best, progress = shorter, True
                break
    return best
