"""Over what a theorem's parameters range: words, integers, truth values, listed values, total maps.

A theorem names its domains in the annotations of its parameters: `Annotated[int, Word(52)]`.  A domain
makes the symbol, and reads the concrete value back out of a z3 model.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import z3

from linuxmm.proofs.paths import Term
from linuxmm.proofs.sym import SymB, SymW, as_bool, as_int, truth
from linuxmm.proofs.symmap import MapSymbol, SymMap


@dataclass(frozen=True, slots=True)
class Symbol:
    """A parameter's proxy, the premises of its domain, and the map symbol when it is a map."""

    proxy: object
    premises: tuple[Term, ...] = ()
    map: MapSymbol | None = None


class Domain(Protocol):
    """What a parameter ranges over."""

    def symbols(self, name: str) -> tuple[object, ...]:
        """Symbols (or plain values) that together cover the domain; one run of the proof for each."""

    def read(self, symbol: object, model: Term) -> object:
        """The concrete value that `model` gives to `symbol`."""

    def contains(self, value: object) -> bool:
        """Whether a concrete value lies in the domain."""


class Numeric(Protocol):
    """A domain that may be the key or the value of a map."""

    @property
    def sort(self) -> Term:
        """The z3 sort."""

    @property
    def signed(self) -> bool:
        """Whether words are read as signed."""

    def premise(self, value: Any) -> "SymB | bool":
        """What every value of the domain satisfies."""

    def contains(self, value: object) -> bool:
        """Whether a concrete value lies in the domain."""


def _value(term: Term, signed: bool) -> int | bool:
    if z3.is_bool(term):
        return bool(z3.is_true(term))
    return int(term.as_signed_long() if signed else term.as_long())


def _evaluate(term: Term, model: Term, signed: bool) -> int | bool:
    return _value(model.eval(term, model_completion=True), signed)


def _limits(value: Any, least: int | None, below: int | None) -> "SymB | bool":
    result: SymB | bool = True
    if least is not None:
        result = result & (value >= least)
    if below is not None:
        result = result & (value < below)
    return result


@dataclass(frozen=True, slots=True)
class _Scalar:
    """What words, integers and truth values have in common."""

    @property
    def sort(self) -> Term:
        raise NotImplementedError

    @property
    def signed(self) -> bool:
        return False

    def premise(self, value: Any) -> "SymB | bool":
        return True

    def symbols(self, name: str) -> tuple[object, ...]:
        term = z3.Const(name, self.sort)
        if z3.is_bool(term):
            return (Symbol(as_bool(truth(term))),)
        proxy = SymW(term, self.signed)
        premise = self.premise(proxy)
        return (Symbol(as_int(proxy), (premise.term,) if isinstance(premise, SymB) else ()),)

    def read(self, symbol: object, model: Term) -> object:
        if not isinstance(symbol, Symbol) or not isinstance(symbol.proxy, (SymW, SymB)):
            raise TypeError(f"{symbol!r} is not a scalar symbol")
        return _evaluate(symbol.proxy.term, model, self.signed)

    def contains(self, value: object) -> bool:
        least, below = self.range
        return (
            isinstance(value, int)
            and (least is None or value >= least)
            and (below is None or value < below)
            and bool(self.premise(value))
        )

    @property
    def range(self) -> tuple[int | None, int | None]:
        """What the sort itself can hold: the least value and the first one above, None for no limit."""
        return None, None


@dataclass(frozen=True, slots=True)
class Word(_Scalar):
    """An unsigned machine word of `bits`, optionally below a limit."""

    bits: int = 64
    below: int | None = None

    @property
    def sort(self) -> Term:
        return z3.BitVecSort(self.bits)

    @property
    def range(self) -> tuple[int | None, int | None]:
        return 0, 1 << self.bits

    def premise(self, value: Any) -> "SymB | bool":
        return _limits(value, None, self.below)


@dataclass(frozen=True, slots=True)
class SignedWord(_Scalar):
    """A signed machine word of `bits`, such as the kernel's `long`."""

    bits: int = 64

    @property
    def sort(self) -> Term:
        return z3.BitVecSort(self.bits)

    @property
    def signed(self) -> bool:
        return True

    @property
    def range(self) -> tuple[int | None, int | None]:
        return -(1 << (self.bits - 1)), 1 << (self.bits - 1)


@dataclass(frozen=True, slots=True)
class Integer(_Scalar):
    """An unbounded integer, optionally from `least` on and below `below`."""

    least: int | None = None
    below: int | None = None

    @property
    def sort(self) -> Term:
        return z3.IntSort()

    def premise(self, value: Any) -> "SymB | bool":
        return _limits(value, self.least, self.below)


@dataclass(frozen=True, slots=True)
class Truth(_Scalar):
    """A truth value."""

    @property
    def sort(self) -> Term:
        return z3.BoolSort()

    def contains(self, value: object) -> bool:
        return isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Each:
    """Each of the listed values in turn, concretely."""

    values: tuple[object, ...]

    def symbols(self, name: str) -> tuple[object, ...]:
        return self.values

    def read(self, symbol: object, model: Term) -> object:
        return symbol

    def contains(self, value: object) -> bool:
        return value in self.values


def each(values: Iterable[object]) -> Each:
    """Each of `values` in turn."""
    return Each(tuple(values))


@dataclass(frozen=True, slots=True)
class Table:
    """A concrete total map with the interface of `SymMap`: `entries` over a default."""

    default: int | bool = False
    entries: tuple[tuple[tuple[int, ...], int | bool], ...] = ()

    def __getitem__(self, key: int | tuple[int, ...]) -> int | bool:
        at = _as_key(key)
        return next((value for place, value in self.entries if place == at), self.default)

    def set(self, key: int | tuple[int, ...], value: int | bool) -> "Table":
        """The map that gives `value` at `key` and is otherwise the same."""
        at = _as_key(key)
        kept = [(place, old) for place, old in self.entries if place != at]
        if value != self.default:
            kept.append((at, value))
        return Table(self.default, tuple(sorted(kept)))

    def smaller(self) -> Iterator["Table"]:
        """The tables with one entry less, for shrinking."""
        for index in range(len(self.entries)):
            yield Table(self.default, self.entries[:index] + self.entries[index + 1 :])


def _as_key(key: int | tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(part) for part in key) if isinstance(key, tuple) else (int(key),)


def table(entries: Mapping[int | tuple[int, ...], int | bool], default: int | bool = False) -> Table:
    """The table of a mapping."""
    result = Table(default)
    for key, value in entries.items():
        result = result.set(key, value)
    return result


@dataclass(frozen=True, slots=True)
class MapOf:
    """Every total map from `keys` to `value`; `default` fills a concrete one where nothing was read."""

    keys: tuple[Numeric, ...]
    value: Numeric
    default: int | bool = False

    def symbols(self, name: str) -> tuple[object, ...]:
        function = z3.Function(name, *(key.sort for key in self.keys), self.value.sort)
        symbol = MapSymbol(
            function, tuple(key.sort for key in self.keys), self.value.signed, self.value.premise
        )
        return (Symbol(SymMap(symbol), (), symbol),)

    def read(self, symbol: object, model: Term) -> Table:
        """The map at the places where it was read."""
        if not isinstance(symbol, Symbol) or symbol.map is None:
            raise TypeError(f"{symbol!r} is not a map symbol")
        result = Table(self.default)
        for place in symbol.map.reads:
            key = tuple(
                int(_evaluate(part, model, domain.signed))
                for part, domain in zip(place, self.keys, strict=True)
            )
            result = result.set(key, _evaluate(symbol.map.function(*place), model, self.value.signed))
        return result

    def contains(self, value: object) -> bool:
        """Whether it is a table whose values lie in the domain of values."""
        return isinstance(value, Table) and all(
            self.value.contains(each) for each in (value.default, *(v for _, v in value.entries))
        )
