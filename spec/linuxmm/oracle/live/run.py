"""`linuxmm live vm`: runs of random calls until there are enough, or one of them diverges."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from linuxmm.model.vm.process import Process, Result
from linuxmm.model.vm.process import call as make
from linuxmm.oracle.live.compare import Comparison, describe
from linuxmm.oracle.live.generate import Generator
from linuxmm.oracle.live.session import Executor, ExecutorGone, executor_command
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.step import Refusal, Step
from linuxmm.spec.vm.call_clauses import ANSWERED
from linuxmm.spec.vm.system_calls import SystemCall

RUN_LENGTH: Final = 500
"""Calls of one process: then a fresh one begins, so that seals and limits do not gather."""
Command = Sequence[str]


@dataclass(frozen=True, slots=True)
class Divergence:
    """The calls of one process up to the one that diverges, and what is wrong with it.

    expected  what the model says of the last call
    """

    calls: tuple[SystemCall, ...]
    refusal: Refusal
    expected: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of all runs.

    events    calls judged
    seen      outcome -> how often it was met
    """

    kernel: Kernel | None
    events: int
    seen: Counter[str]
    divergences: tuple[Divergence, ...]
    seconds: float


def live(
    operations: int,
    seed: int,
    *,
    command: Command | None = None,
    timeout: float = 10.0,
    progress: Callable[[int], None] = lambda calls: None,
    seconds: float = float("inf"),
) -> Outcome:
    """Make random calls and judge each; the first divergence ends it.

    command  an executor; the one in Python, on the kernel at hand, when None
    timeout  seconds to wait for a reply
    seconds  stop when they are over, however many calls were made
    Errors   CannotRun, BadEvidence, ImpossibleProfile, Unmodelled
    """
    began = time.monotonic()
    seen: Counter[str] = Counter()
    events, number = 0, 0
    kernel: Kernel | None = None
    while events < operations and time.monotonic() - began < seconds:
        number += 1
        random, length = Random(f"{seed}:{number}"), min(RUN_LENGTH, operations - events)
        with Executor(command or executor_command(), timeout) as executor:
            found, judged, kernel = _one_run(executor, random, seen, length, progress)
        events += judged
        if found is not None:
            return Outcome(kernel, events, seen, (found,), time.monotonic() - began)
    return Outcome(kernel, events, seen, (), time.monotonic() - began)


def _one_run(
    executor: Executor,
    random: Random,
    seen: Counter[str],
    length: int,
    progress: Callable[[int], None],
) -> tuple[Divergence | None, int, Kernel]:
    start = executor.start()
    process, heap = start.process, start.process.space.brk
    generator = Generator(random, seen, start.rules, start.foreign, len(process.space.areas))
    comparison = Comparison(start.rules)
    wrong = comparison.areas(process.space, start.state)
    if wrong is not None:
        return Divergence((), wrong, "what the process said of itself"), 0, start.kernel
    calls: list[SystemCall] = []
    for _ in range(length):
        drawn = generator.next(process, heap)
        calls.append(drawn.call)
        process, wrong = _judged(executor, comparison, drawn.call, drawn.step)
        if wrong is not None:
            found = Divergence(tuple(calls), wrong, describe(drawn.step.result))
            return found, len(calls), start.kernel
        progress(1)
    return None, len(calls), start.kernel


def _judged(
    executor: Executor, comparison: Comparison, call: SystemCall, step: Step[Process, Result]
) -> tuple[Process, Refusal | None]:
    """Make one call and compare: the process after it, and what is wrong."""
    try:
        executor.send(call)
        reply = executor.receive(call)
    except ExecutorGone as error:
        return step.state, Refusal(ANSWERED, str(error))
    return comparison.judge(step.state, call, step.result, reply)


def replay(
    calls: Sequence[SystemCall], command: Command | None = None, timeout: float = 10.0
) -> Divergence | None:
    """Make the calls in a fresh process; the first divergence, or None.

    Errors    as `live`
    """
    with Executor(command or executor_command(), timeout) as executor:
        start = executor.start()
        process = start.process
        comparison = Comparison(start.rules)
        comparison.areas(process.space, start.state)
        for number, call in enumerate(calls, 1):
            step = make(start.rules, process, call)
            process, wrong = _judged(executor, comparison, call, step)
            if wrong is not None:
                return Divergence(tuple(calls[:number]), wrong, describe(step.result))
    return None
