"""What exists of each feature, from registrations: formulas, model verbs, compiled kernels, evidence.

Clauses register in `linuxmm.spec.invariant`, behaviours in `linuxmm.spec.kernel`; the rest registers here.
`built` counts what is registered for a feature; nobody types it.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from linuxmm.spec.invariant import Clause, clauses
from linuxmm.spec.kernel import Behaviour, behaviours

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Registration:
    """A function that belongs to features.

    name  module and function, as it is imported
    """

    name: str
    function: Callable[..., object]
    features: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """A capture of a real kernel in which a feature was judged."""

    feature: str
    capture: str


@dataclass(frozen=True, slots=True)
class Theorem:
    """One line of the proof ledger, as far as a feature's row needs it.

    features  rows that the theorem belongs to
    result    "proved", "bounded", "confirmed", "refuted" or "unknown"
    clauses   ids of the clauses that it proves
    """

    id: str
    property: str
    function: str
    method: str
    result: str
    features: tuple[str, ...]
    clauses: tuple[str, ...] = ()


_FORMULAS: Final[dict[str, Registration]] = {}
_VERBS: Final[dict[str, Registration]] = {}
_FAST: Final[dict[str, Registration]] = {}
_EVIDENCE: Final[set[tuple[str, str]]] = set()


def formula(*features: str, source: str) -> Callable[[F], F]:
    """Register the decorated function, unchanged, as a formula of `features`.

    Source    `source` names the kernel's own text: path and function
    """
    return lambda function: _register(_FORMULAS, function, features, source)


def verb(*features: str, source: str) -> Callable[[F], F]:
    """Register the decorated function, unchanged, as a step of the model."""
    return lambda function: _register(_VERBS, function, features, source)


def register_fast(function: Callable[..., object], *features: str, source: str = "") -> None:
    """Register a kernel of the compiled path."""
    _register(_FAST, function, features, source)


def register_evidence(feature: str, capture: str) -> None:
    """Say that `capture` holds evidence of `feature` which the oracle judges; saying it twice is harmless."""
    _EVIDENCE.add((feature, capture))


def formulas() -> tuple[Registration, ...]:
    """Every registered formula, by name."""
    return _sorted(_FORMULAS)


def verbs() -> tuple[Registration, ...]:
    """Every registered step of the model, by name."""
    return _sorted(_VERBS)


def fast_kernels() -> tuple[Registration, ...]:
    """Every registered kernel of the compiled path, by name."""
    return _sorted(_FAST)


def evidence() -> tuple[Evidence, ...]:
    """Every registered piece of evidence, by feature and capture."""
    return tuple(Evidence(feature, capture) for feature, capture in sorted(_EVIDENCE))


@dataclass(frozen=True, slots=True)
class Built:
    """What is registered for one feature."""

    clauses: tuple[Clause, ...]
    behaviours: tuple[Behaviour, ...]
    formulas: tuple[Registration, ...]
    verbs: tuple[Registration, ...]
    theorems: tuple[Theorem, ...]
    fast: tuple[Registration, ...]
    evidence: tuple[Evidence, ...]

    @property
    def spec(self) -> int:
        """Clauses, behaviours and formulas."""
        return len(self.clauses) + len(self.behaviours) + len(self.formulas)

    @property
    def proved(self) -> int:
        """Theorems that hold; one that is refuted or unknown does not count."""
        return sum(theorem.result in ("proved", "bounded", "confirmed") for theorem in self.theorems)

    @property
    def docs(self) -> bool:
        """Whether the feature's page has more to show than its row."""
        return bool(self.spec or self.verbs)


def built(feature: str, theorems: Iterable[Theorem] = ()) -> Built:
    """What the loaded modules register for `feature`; `theorems` come from the ledger of whoever asks.

    Requires  the modules of interest are imported (`load`)
    """
    return Built(
        tuple(c for c in clauses() if feature in c.features),
        tuple(b for b in behaviours() if feature in b.features),
        tuple(r for r in formulas() if feature in r.features),
        tuple(r for r in verbs() if feature in r.features),
        tuple(t for t in theorems if feature in t.features),
        tuple(r for r in fast_kernels() if feature in r.features),
        tuple(e for e in evidence() if e.feature == feature),
    )


def load(*packages: str) -> None:
    """Import every module of `packages`, so that what they register is registered.

    Modules called `strategies` are left out: they register nothing and import Hypothesis.
    """
    for name in packages:
        _load(importlib.import_module(name).__path__, name)


def _load(path: Iterable[str], prefix: str) -> None:
    for module in sorted(pkgutil.iter_modules(path, prefix + "."), key=lambda module: module.name):
        if module.name.endswith(".strategies"):
            continue
        imported = importlib.import_module(module.name)
        if module.ispkg:
            _load(imported.__path__, module.name)


def _register(table: dict[str, Registration], function: F, features: tuple[str, ...], source: str) -> F:
    if not features:
        raise ValueError(f"{function!r} is registered for no feature: name at least one, such as F012")
    name = f"{function.__module__}.{function.__qualname__}"
    if name in table:
        raise ValueError(f"{name} is registered twice")
    table[name] = Registration(name, function, features, source)
    return function


def _sorted(table: dict[str, Registration]) -> tuple[Registration, ...]:
    return tuple(table[name] for name in sorted(table))
