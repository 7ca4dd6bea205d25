"""Every path of a Python function that decides on symbolic truth values.

The function is run again for each feasible sequence of decisions.  A decision prefix names a path, so no
state of the interpreter needs to be saved.  Feasibility queries are bounded by z3's `rlimit`; a query that
gives up counts as feasible, which costs time and never soundness.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import z3

T = TypeVar("T")
Term = Any  # a z3 expression

FEASIBILITY_RLIMIT: Final = 2_000_000
MAX_PATHS: Final = 4096
MAX_DECISIONS: Final = 4096


class PremiseFails(Exception):
    """An assumption of a theorem does not hold, on this path or for these values."""


class TooManyPaths(Exception):
    """The exploration was cut off: nothing may be concluded."""


@dataclass(frozen=True, slots=True)
class Obligation:
    """A side condition that `text` names: it must follow from the first `depth` conditions of its path."""

    text: str
    depth: int
    term: Term


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """One finished path.

    conditions   premises and decisions, in the order they were met
    value        what the function returned; None when it raised
    raised       the exception that it raised, or None
    obligations  side conditions met for the first time on this path
    """

    conditions: tuple[Term, ...]
    value: T | None
    raised: Exception | None
    obligations: tuple[Obligation, ...]


def solver(logic: str, rlimit: int) -> Term:
    """A fresh z3 solver, for one SMT-LIB logic when it is named, that gives up after `rlimit` resources."""
    fresh = z3.SolverFor(logic) if logic else z3.Solver()
    fresh.set("rlimit", rlimit)
    return fresh


class Path:
    """A run in progress: the planned decisions, those taken, what was assumed and what is owed."""

    def __init__(self, plan: tuple[bool, ...], logic: str = "") -> None:
        self.solver = solver(logic, FEASIBILITY_RLIMIT)
        self.logic = logic
        self.plan = plan
        self.taken: list[bool] = []
        self.conditions: list[Term] = []
        self.premises: list[tuple[int, Term]] = []
        self.forks: list[tuple[bool, ...]] = []
        self.obligations: list[Obligation] = []

    @property
    def replaying(self) -> bool:
        """Whether an earlier run has already been here."""
        return len(self.taken) < len(self.plan)

    def _add(self, condition: Term) -> None:
        self.conditions.append(condition)
        self.solver.add(condition)

    def decide(self, condition: Term) -> bool:
        """Which way this path goes; notes the other way when it is feasible too."""
        condition = z3.simplify(condition)
        if z3.is_true(condition):
            return True
        if z3.is_false(condition):
            return False
        if len(self.taken) >= MAX_DECISIONS:
            raise TooManyPaths(f"a path with more than {MAX_DECISIONS} decisions")
        if self.replaying:
            decision = self.plan[len(self.taken)]
        elif self.solver.check(condition) == z3.unsat:
            decision = False
        else:
            decision = True
            if self.solver.check(z3.Not(condition)) != z3.unsat:
                self.forks.append((*self.taken, False))
        self.taken.append(decision)
        self._add(condition if decision else z3.Not(condition))
        return decision

    def assume(self, condition: Term) -> None:
        """Restrict this path to `condition`.

        Errors    PremiseFails when nothing is left
        """
        condition = z3.simplify(condition)
        if z3.is_true(condition):
            return
        self.premises.append((len(self.conditions), condition))
        self._add(condition)
        if z3.is_false(condition) or (not self.replaying and self.solver.check() == z3.unsat):
            raise PremiseFails

    def owe(self, text: str, condition: Term) -> None:
        """Note that `condition` has to be proved here."""
        if not self.replaying:
            condition = z3.simplify(condition)
            if not z3.is_true(condition):
                self.obligations.append(Obligation(text, len(self.conditions), condition))


class _Current:
    """The path being run, if any; an object, so that relinked functions share it."""

    path: Path | None = None


CURRENT: Final = _Current()


def joined(function: Callable[[], Term]) -> Term:
    """The term that `function` returns, its paths joined by if-then-else instead of forking the outer path.

    Requires  a path in progress; `function` is pure and total, and returns terms of one sort
    """
    outer = CURRENT.path
    if outer is None:
        raise RuntimeError("joined() outside explore()")
    pending: list[tuple[bool, ...]] = [()]
    runs: list[tuple[Path, Term]] = []
    try:
        while pending:
            path = CURRENT.path = Path(pending.pop(), outer.logic)
            runs.append((path, function()))
            pending += path.forks
            if len(runs) > MAX_PATHS:
                raise TooManyPaths(f"more than {MAX_PATHS} joined paths")
    finally:
        CURRENT.path = outer
    for path, _ in runs:
        for depth, premise in path.premises:
            outer.assume(z3.Implies(z3.And(*path.conditions[:depth]), premise))
        for owed in path.obligations:
            outer.owe(owed.text, z3.Implies(z3.And(*path.conditions[: owed.depth]), owed.term))
    result = runs[-1][1]
    for path, value in runs[:-1]:
        result = z3.If(z3.And(*path.conditions), value, result)
    return z3.simplify(result)


def explore(function: Callable[[], T], logic: str = "") -> Iterator[Outcome[T]]:
    """Every feasible path of `function`; paths that a premise cuts off are left out.

    logic: the SMT-LIB logic of the queries, where one is faster than z3's choice

    Errors    TooManyPaths; a TypeError of the proxies passes through
    """
    if CURRENT.path is not None:
        raise RuntimeError("explore() inside explore()")
    pending: list[tuple[bool, ...]] = [()]
    count = 0
    while pending:
        count += 1
        if count > MAX_PATHS:
            raise TooManyPaths(f"more than {MAX_PATHS} paths")
        path = Path(pending.pop(), logic)
        value: T | None = None
        raised: Exception | None = None
        CURRENT.path = path
        try:
            value = function()
        except PremiseFails:
            if path.obligations:
                yield Outcome(tuple(path.conditions), None, PremiseFails(), tuple(path.obligations))
            continue
        except (TooManyPaths, TypeError, AttributeError, NameError):
            raise
        except Exception as error:  # whatever the function under proof raises is an outcome
            raised = error
        finally:
            CURRENT.path = None
            pending += path.forks
        yield Outcome(tuple(path.conditions), value, raised, tuple(path.obligations))
