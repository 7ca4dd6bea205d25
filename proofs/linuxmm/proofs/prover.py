"""Proves a theorem: the claim on every path, no word that wraps, premises that can hold, mutants that fail.

A refutation is evaluated to plain values, shrunk greedily, replayed with the same functions on ints, and
printed as a pytest case.  What z3 leaves open, or what does not replay, is `unknown`.
"""

import itertools
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import z3

from linuxmm.proofs.domain import Symbol, Table
from linuxmm.proofs.mutant import BadMutant, Mutant
from linuxmm.proofs.paths import CURRENT, Outcome, PremiseFails, Term, TooManyPaths, explore, solver
from linuxmm.proofs.sym import bool_term
from linuxmm.proofs.theorem import Theorem

Result = Literal["proved", "bounded", "confirmed", "refuted", "unknown"]
Vacuity = Literal["witnessed", "vacuous", "unknown"]
MAX_SHRINKS: Final = 300


@dataclass(frozen=True, slots=True)
class Refutation:
    """Concrete arguments on which the claim fails, and how."""

    arguments: Mapping[str, object]
    how: str

    def as_pytest(self, theorem: Theorem) -> str:
        """The refutation as a test function."""
        name = theorem.function.__name__
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.arguments.items())
        module, call = theorem.function.__module__, name
        imports = [f"    from {module} import {name}"]
        if theorem.primitives:  # the real function has to run over the twins of the primitives
            call = f'find_theorem("{theorem.id}").linked()'
            imports = [f"    import {module}", "    from linuxmm.proofs.theorem import find_theorem"]
        if any(isinstance(value, Table) for value in self.arguments.values()):
            imports.insert(0, "    from linuxmm.proofs.domain import Table")
        title = re.sub(r"\W", "_", theorem.id)
        return "\n".join(
            [
                f"def test_{title}() -> None:",
                *imports,
                "",
                f"    assert {call}({arguments})  # {self.how}",
                "",
            ]
        )


@dataclass(slots=True)
class Attempt:
    """What one proof attempt found: proved when there is neither a refutation nor an open question."""

    refutation: Refutation | None = None
    open: str = ""
    rlimit: int = 0
    satisfiable: bool = False
    paths: int = 0

    @property
    def proved(self) -> bool:
        """Whether every goal was discharged."""
        return self.refutation is None and not self.open


@dataclass(frozen=True, slots=True)
class MutantReport:
    """Whether a mutant was refuted, and by what."""

    fault: str
    refuted: bool
    how: str


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome for one theorem."""

    theorem: Theorem
    result: Result
    rlimit: int
    vacuity: Vacuity
    mutants: tuple[MutantReport, ...]
    seconds: float
    why: str = ""
    pytest: str = ""
    paths: int = field(default=0)

    @property
    def mutants_refuted(self) -> int:
        """How many mutants were refuted."""
        return sum(report.refuted for report in self.mutants)


def prove(theorem: Theorem) -> Report:
    """Prove the theorem, check that it is not vacuous, and refute its mutants."""
    start = time.perf_counter()
    attempt = attempt_proof(theorem)
    vacuity = _vacuity(theorem, attempt)
    mutants = tuple(refute(theorem, mutant) for mutant in theorem.mutants) if attempt.proved else ()
    result: Result
    if attempt.refutation is not None:
        result = "refuted"
    elif attempt.open:
        result = "unknown"
    else:
        result = "bounded" if theorem.method == "bounded" else "proved"
    return Report(
        theorem,
        result,
        attempt.rlimit,
        vacuity,
        mutants,
        time.perf_counter() - start,
        why=attempt.refutation.how if attempt.refutation else attempt.open,
        pytest=attempt.refutation.as_pytest(theorem) if attempt.refutation else "",
        paths=attempt.paths,
    )


def refute(theorem: Theorem, mutant: Mutant) -> MutantReport:
    """Try to prove the theorem of the mutated function: it has to fail."""
    try:
        attempt = attempt_proof(theorem, mutant)
    except (BadMutant, TypeError, AttributeError, NameError) as error:
        return MutantReport(mutant.fault, False, f"cannot be run: {error}")
    if attempt.refutation is not None:
        return MutantReport(mutant.fault, True, attempt.refutation.how)
    return MutantReport(mutant.fault, False, attempt.open or "the claim still holds")


def attempt_proof(theorem: Theorem, mutant: Mutant | None = None) -> Attempt:
    """Go through every case and path until something fails."""
    function = theorem.linked(mutant)
    attempt = Attempt()
    for symbols in _cases(theorem):
        try:
            _attempt_case(theorem, function, symbols, attempt)
        except TooManyPaths as error:
            attempt.open = attempt.open or str(error)
        if attempt.refutation is not None:
            return attempt
    return attempt


def _cases(theorem: Theorem) -> Iterator[dict[str, object]]:
    names = list(theorem.domains)
    for combination in itertools.product(*(theorem.domains[name].symbols(name) for name in names)):
        yield dict(zip(names, combination, strict=True))


def _attempt_case(
    theorem: Theorem, function: Callable[..., bool], symbols: Mapping[str, object], attempt: Attempt
) -> None:
    premises = [term for symbol in symbols.values() if isinstance(symbol, Symbol) for term in symbol.premises]
    arguments = {name: s.proxy if isinstance(s, Symbol) else s for name, s in symbols.items()}

    def run() -> bool:
        assert CURRENT.path is not None
        for term in premises:
            CURRENT.path.assume(term)
        return function(**arguments)

    for outcome in explore(run, theorem.logic):
        attempt.paths += 1
        _check_outcome(theorem, function, symbols, outcome, attempt)
        if attempt.refutation is not None:
            return


def _check_outcome(
    theorem: Theorem,
    function: Callable[..., bool],
    symbols: Mapping[str, object],
    outcome: Outcome[bool],
    attempt: Attempt,
) -> None:
    if not isinstance(outcome.raised, PremiseFails):
        if not attempt.satisfiable:
            attempt.satisfiable = _ask(theorem, attempt, outcome.conditions)[0] == z3.sat
        if outcome.raised is not None:
            goal, text = z3.BoolVal(False), f"raises {type(outcome.raised).__name__}: {outcome.raised}"
        else:
            goal, text = bool_term(outcome.value), "the claim is false"
        _check_claim(theorem, function, symbols, outcome, goal, text, attempt)
    if attempt.refutation is None and outcome.obligations:
        _check_obligations(theorem, symbols, outcome, attempt)


BEGINNINGS: Final = 3
"""How often z3 is asked at most."""


def _ask(theorem: Theorem, attempt: Attempt, terms: Any) -> tuple[Any, Term]:
    """Ask z3 whether the terms can hold together; the answer and the solver.

    How hard a question is depends on the order in which z3 happens to meet its terms, so one that it gives up
    is asked again from other beginnings.
    """
    for seed in range(BEGINNINGS):
        asked = solver(theorem.logic, theorem.rlimit)
        asked.set("random_seed", seed)
        asked.add(*terms)
        before = _resources(asked)
        answer = asked.check()
        attempt.rlimit = max(attempt.rlimit, _resources(asked) - before)
        if answer != z3.unknown:
            break
    return answer, asked


def _resources(asked: Term) -> int:
    statistics = asked.statistics()
    return int(statistics.get_key_value("rlimit count")) if "rlimit count" in statistics.keys() else 0  # noqa: SIM118


def _check_claim(
    theorem: Theorem,
    function: Callable[..., bool],
    symbols: Mapping[str, object],
    outcome: Outcome[bool],
    goal: Term,
    text: str,
    attempt: Attempt,
) -> None:
    if z3.is_true(goal):
        return
    terms = [*outcome.conditions, z3.Not(goal)]
    answer, asked = _ask(theorem, attempt, terms)
    if answer == z3.unsat:
        return
    if answer == z3.sat and outcome.obligations:  # prefer a counterexample in which nothing wraps
        answer, asked = _ask(theorem, attempt, [*terms, *(o.term for o in outcome.obligations)])
        if answer == z3.unsat:
            attempt.open = attempt.open or f"{text}, but only where a word wraps"
            return
    if answer != z3.sat:
        attempt.open = attempt.open or f"z3 gave up: {asked.reason_unknown()}"
        return
    concrete = _concrete(theorem, symbols, asked.model())
    if _fails(function, concrete):
        attempt.refutation = Refutation(_shrink(theorem, function, concrete), text)
    else:
        attempt.open = attempt.open or f"a counterexample does not replay on ints: {concrete}"


def _check_obligations(
    theorem: Theorem, symbols: Mapping[str, object], outcome: Outcome[bool], attempt: Attempt
) -> None:
    failures = [z3.And(*outcome.conditions[: o.depth], z3.Not(o.term)) for o in outcome.obligations]
    answer, asked = _ask(theorem, attempt, [z3.Or(*failures)])
    if answer == z3.unsat:
        return
    if answer != z3.sat:
        attempt.open = attempt.open or f"z3 gave up on a side condition: {asked.reason_unknown()}"
        return
    model = asked.model()
    broken = next(
        (
            o.text
            for o, failure in zip(outcome.obligations, failures, strict=True)
            if z3.is_true(model.eval(failure, model_completion=True))
        ),
        "a side condition",
    )
    attempt.refutation = Refutation(_concrete(theorem, symbols, model), f"side condition fails: {broken}")


def _concrete(theorem: Theorem, symbols: Mapping[str, object], model: Term) -> dict[str, object]:
    return {name: theorem.domains[name].read(symbol, model) for name, symbol in symbols.items()}


def _fails(function: Callable[..., bool], arguments: Mapping[str, object]) -> bool:
    """Whether the premises hold for these plain values and the claim does not."""
    try:
        return not function(**arguments)
    except PremiseFails:
        return False
    except (TypeError, AttributeError, NameError):
        raise
    except Exception:  # what the function under proof raises breaks the claim
        return True


def _shrink(
    theorem: Theorem, function: Callable[..., bool], arguments: Mapping[str, object]
) -> dict[str, object]:
    """Greedily drop map entries and lower numbers, within their domains, while the claim still fails."""
    best = dict(arguments)
    budget = MAX_SHRINKS
    progress = True
    while progress and budget > 0:
        progress = False
        for name in best:
            for candidate in _smaller(best[name]):
                budget -= 1
                inside = theorem.domains[name].contains(candidate)
                if inside and _fails(function, {**best, name: candidate}):
                    best[name] = candidate
                    progress = True
                    break
                if budget <= 0:
                    break
    return best


def _smaller(value: object) -> Iterator[object]:
    if isinstance(value, Table):
        yield from value.smaller()
    elif isinstance(value, int) and not isinstance(value, bool) and value:
        for candidate in (
            0,
            value // 2 if value > 0 else -(-value // 2),
            value - 1 if value > 0 else value + 1,
        ):
            if candidate != value:
                yield candidate


def _vacuity(theorem: Theorem, attempt: Attempt) -> Vacuity:
    """Premises that z3 can satisfy and that the witness satisfies, with a claim that holds for it."""
    if not attempt.satisfiable:
        return "vacuous" if not attempt.open else "unknown"
    for name, domain in theorem.domains.items():
        if not domain.contains(theorem.witness[name]):
            return "vacuous"
    try:
        return "witnessed" if theorem.linked()(**theorem.witness) else "vacuous"
    except PremiseFails:
        return "vacuous"
