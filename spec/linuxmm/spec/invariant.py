"""The registry of invariants and clauses.

An *invariant* is a property of one state; a *clause* is what the oracle may find broken: every invariant is
one, and so is each condition on a transition.  Registered once; Hypothesis, CrossHair, the prover, the
checker and the docs read the same registration.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Clause:
    """Something that a correct MM never breaks.

    id        dotted name, area first: "alloc.buddy.disjoint"
    sentence  the property in one English sentence
    features  the rows of the feature table that it belongs to
    since, until  kernel releases for which it holds ("" when always)
    source    where the kernel says so
    """

    id: str
    sentence: str
    features: tuple[str, ...]
    source: str
    seed: str = ""
    since: str = ""
    until: str = ""
    function: Callable[..., object] | None = None


_CLAUSES: Final[dict[str, Clause]] = {}


def clause(
    id: str,
    sentence: str,
    *,
    features: tuple[str, ...],
    source: str,
    seed: str = "",
    since: str = "",
    until: str = "",
    function: Callable[..., object] | None = None,
) -> Clause:
    """Register a clause and return it; a second registration of the same id is an error."""
    if id in _CLAUSES:
        raise ValueError(f"clause {id!r} is registered twice")
    _CLAUSES[id] = Clause(id, sentence, features, source, seed, since, until, function)
    return _CLAUSES[id]


def invariant(
    id: str, *, features: tuple[str, ...], source: str, seed: str = "", since: str = "", until: str = ""
) -> Callable[[F], F]:
    """Register the decorated predicate as the invariant `id`; its docstring's first line is the property."""

    def register(function: F) -> F:
        sentence = (function.__doc__ or "").strip().split("\n")[0]
        if not sentence:
            raise ValueError(f"invariant {id!r} needs a docstring that says the property")
        clause(
            id,
            sentence,
            features=features,
            source=source,
            seed=seed,
            since=since,
            until=until,
            function=function,
        )
        return function

    return register


def clauses() -> tuple[Clause, ...]:
    """Every registered clause, by id."""
    return tuple(_CLAUSES[id] for id in sorted(_CLAUSES))


def find_clause(id: str) -> Clause:
    """The clause called `id`.

    Errors    KeyError, with the nearest names
    """
    if id not in _CLAUSES:
        import difflib

        near = ", ".join(difflib.get_close_matches(id, _CLAUSES)) or "none similar"
        raise KeyError(f"no clause is called {id!r} ({near})")
    return _CLAUSES[id]
