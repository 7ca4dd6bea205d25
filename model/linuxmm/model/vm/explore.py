"""Every interleaving of a small system: the shortest way to a state that breaks a clause, if there is one.

Linux: none; the method is that of explicit-state model checkers.  Seed 2.8 (F059).
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from linuxmm.spec.step import Refusal

S = TypeVar("S", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a search found.

    trace   steps to the first broken state, none shorter; empty when nothing breaks
    broken  what that state breaks, None when nothing does
    states  how many states were met
    """

    trace: tuple[str, ...]
    broken: Refusal | None
    states: int


def search(
    start: S,
    steps: Callable[[S], Iterable[tuple[str, S]]],
    judge: Callable[[S], Refusal | None],
    most: int = 200_000,
) -> Finding:
    """Go through all states that steps lead to, the nearest first.

    Errors    ValueError when there are more than `most`: the result would not be exhaustive
    """
    seen = {start}
    pending: deque[tuple[S, tuple[str, ...]]] = deque([(start, ())])
    while pending:
        state, trace = pending.popleft()
        broken = judge(state)
        if broken is not None:
            return Finding(trace, broken, len(seen))
        for name, following in steps(state):
            if following not in seen:
                if len(seen) >= most:
                    raise ValueError(f"more than {most} states")
                seen.add(following)
                pending.append((following, (*trace, name)))
    return Finding((), None, len(seen))
