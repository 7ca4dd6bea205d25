"""Theorems: what is claimed, in English and as a function that calls the real functions.

    @theorem("arith.align.down", "...", proves=(align_down,), mutants=(...), witness={...})
    def aligned_down(x: Annotated[int, Word(64)], order: Annotated[int, each(range(64))]) -> bool:
        assume(...)                                   # premises
        return align_down(x, 1 << order) ... == ...   # the claim

The same function runs on plain ints: that is how a counterexample is replayed.  In a claim use `&`, `|`,
`^ True` and `implies`: `and`, `or` and `not` are right too but fork the path.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

from linuxmm.proofs.domain import Domain
from linuxmm.proofs.mutant import Function, Mutant
from linuxmm.proofs.paths import CURRENT, PremiseFails, joined
from linuxmm.proofs.sym import SymB, as_bool, bool_term, truth
from linuxmm.spec.invariant import find_clause
from linuxmm.spec.relink import Relinker

F = TypeVar("F", bound=Callable[..., bool])
Method = Literal["inductive", "formula", "bounded"]

LAYERS: Final = ("linuxmm.spec.", "linuxmm.hardware.", "linuxmm.model.")
RLIMIT: Final = 20_000_000


@dataclass(frozen=True, slots=True)
class Theorem:
    """One registered theorem.

    id        dotted name, area first
    sentence  the property in one English sentence
    function  states premises and claim
    domains   what each parameter ranges over
    proves    the functions of spec or model that it is about
    clauses   the registered clauses and invariants that it proves, wholly or in part
    method    inductive (one step of any run), formula (every value), bounded (values up to `bounds`)
    bounds    for which sizes it holds, in words
    witness   concrete arguments that satisfy the premises
    rlimit    z3 resource limit of one query
    logic     SMT-LIB logic of the queries, where naming it helps
    primitives  primitives of the algorithm -> their symbolic twins
    """

    id: str
    sentence: str
    function: Callable[..., bool]
    domains: Mapping[str, Domain]
    proves: tuple[Function, ...]
    clauses: tuple[str, ...]
    features: tuple[str, ...]
    method: Method
    bounds: str
    witness: Mapping[str, object]
    mutants: tuple[Mutant, ...]
    rlimit: int
    logic: str
    primitives: Mapping[Function, Function]

    @property
    def area(self) -> str:
        """The first component of the id."""
        return self.id.split(".")[0]

    def linked(self, mutant: Mutant | None = None) -> Callable[..., bool]:
        """The stating function over the symbolic primitives, and over the mutant when one is given."""
        primitives = dict(self.primitives)
        if mutant is not None:
            primitives[mutant.function] = mutant.build()
        home = self.function.__module__.rpartition(".")[0] or self.function.__module__
        own = self.function.__module__ if home == "linuxmm.proofs" else home
        relinked: Callable[..., bool] = Relinker(primitives, packages=(*LAYERS, own))(self.function)
        return relinked


_THEOREMS: Final[dict[str, Theorem]] = {}


def theorem(
    id: str,
    sentence: str,
    *,
    proves: tuple[Function, ...],
    mutants: tuple[Mutant, ...],
    witness: Mapping[str, object],
    clauses: tuple[str, ...] = (),
    features: tuple[str, ...] = (),
    method: Method = "formula",
    bounds: str = "every value",
    rlimit: int = RLIMIT,
    logic: str = "",
    primitives: Mapping[Function, Function] | None = None,
) -> Callable[[F], F]:
    """Register the decorated function as the theorem `id`.

    Errors    ValueError for a second registration, fewer than two mutants, or a parameter without domain
    """

    def register(function: F) -> F:
        entry = build(
            id,
            sentence,
            function,
            proves=proves,
            mutants=mutants,
            witness=witness,
            clauses=clauses,
            features=features,
            method=method,
            bounds=bounds,
            rlimit=rlimit,
            logic=logic,
            primitives=primitives or {},
        )
        if id in _THEOREMS:
            raise ValueError(f"theorem {id!r} is registered twice")
        _THEOREMS[id] = entry
        return function

    return register


def build(
    id: str,
    sentence: str,
    function: Callable[..., bool],
    *,
    proves: tuple[Function, ...],
    mutants: tuple[Mutant, ...],
    witness: Mapping[str, object],
    clauses: tuple[str, ...] = (),
    features: tuple[str, ...] = (),
    method: Method = "formula",
    bounds: str = "every value",
    rlimit: int = RLIMIT,
    logic: str = "",
    primitives: Mapping[Function, Function],
) -> Theorem:
    """A theorem that is not registered.

    Errors    ValueError
    """
    domains = _domains(id, function)
    if len(mutants) < 2:
        raise ValueError(f"theorem {id!r} has {len(mutants)} mutants; at least two are needed")
    if not proves:
        raise ValueError(f"theorem {id!r} proves no function")
    if set(witness) != set(domains):
        raise ValueError(f"theorem {id!r}: the witness names {sorted(witness)}, expected {sorted(domains)}")
    return Theorem(
        id,
        sentence,
        function,
        domains,
        proves,
        clauses,
        features,
        method,
        bounds,
        witness,
        mutants,
        rlimit,
        logic,
        primitives,
    )


def _domains(id: str, function: Callable[..., bool]) -> dict[str, Domain]:
    hints = get_type_hints(function, include_extras=True)
    domains: dict[str, Domain] = {}
    for name in inspect.signature(function).parameters:
        hint: Any = hints.get(name)
        if get_origin(hint) is not Annotated:
            raise ValueError(f"theorem {id!r}: parameter {name!r} needs Annotated[type, domain]")
        domains[name] = get_args(hint)[1]
    return domains


def theorems() -> tuple[Theorem, ...]:
    """Every registered theorem, by id."""
    return tuple(_THEOREMS[id] for id in sorted(_THEOREMS))


def check_clauses() -> None:
    """Whether every clause that a theorem names is registered.

    Requires  whatever registers clauses has been imported
    Errors    ValueError naming the theorem and the nearest clauses
    """
    for entry in theorems():
        for id in entry.clauses:
            try:
                find_clause(id)
            except KeyError as error:
                raise ValueError(f"theorem {entry.id!r}: {error.args[0]}") from error


def find_theorem(id: str) -> Theorem:
    """The theorem called `id`.

    Errors    KeyError
    """
    return _THEOREMS[id]


def assume(premise: bool) -> None:
    """Restrict the theorem to `premise`.

    Errors    PremiseFails when it cannot hold (symbolically) or does not hold (for plain values)
    """
    value: object = premise
    if isinstance(value, SymB) and CURRENT.path is not None:
        CURRENT.path.assume(value.term)
    elif not premise:
        raise PremiseFails


def join(function: Callable[..., bool], *arguments: object) -> bool:
    """The value of a question without forking the path: its own paths are joined into one term."""
    if CURRENT.path is None:
        return function(*arguments)
    return as_bool(truth(joined(lambda: bool_term(function(*arguments)))))


def implies(premise: bool, conclusion: bool) -> bool:
    """Whether `conclusion` holds wherever `premise` does."""
    return (premise ^ True) | conclusion


def no(fact: bool) -> bool:
    """The negation, without forking the path."""
    return fact ^ True
