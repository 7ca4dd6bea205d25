"""Symbolic total maps: an uninterpreted function under an overlay of writes.

Read with `[]` and changed with `set`, like the maps of the model's states; keys may have several components.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import z3

from linuxmm.proofs.paths import CURRENT, Term
from linuxmm.proofs.sym import SymW, bool_term, number, truth


@dataclass(frozen=True, slots=True)
class MapSymbol:
    """An unknown total map: a z3 function, its sorts, and the places where it was read.

    restrict  gives the premise that every value read satisfies, or None
    """

    function: Term
    keys: tuple[Term, ...]
    signed: bool
    restrict: Callable[[Any], Any] | None
    reads: list[tuple[Term, ...]] = field(default_factory=list)

    def terms(self, key: Any) -> tuple[Term, ...]:
        """The key's components as terms of the map's key sorts."""
        parts = key if isinstance(key, tuple) else (key,)
        if len(parts) != len(self.keys):
            raise TypeError(f"key {key!r}: expected {len(self.keys)} components")
        return tuple(_convert(part, sort) for part, sort in zip(parts, self.keys, strict=True))


def _convert(value: object, sort: Term) -> Term:
    if sort == z3.BoolSort():
        return bool_term(value)
    return SymW(z3.Const("_", sort)).operand(value, "a map's key or value")


class SymMap:
    """A total map: an uninterpreted function under an overlay of writes; `set` gives the changed map."""

    __slots__ = ("_symbol", "_writes")

    def __init__(self, symbol: MapSymbol, writes: tuple[tuple[tuple[Term, ...], Term], ...] = ()) -> None:
        self._symbol = symbol
        self._writes = writes

    def __getitem__(self, key: Any) -> Any:
        symbol = self._symbol
        at = symbol.terms(key)
        for index in range(len(self._writes) - 1, -1, -1):
            if all(a.eq(b) for a, b in zip(at, self._writes[index][0], strict=True)):
                result, later = self._writes[index][1], self._writes[index + 1 :]
                break
        else:
            result, later = self._base(at), self._writes
        for place, value in later:
            here = z3.simplify(z3.And(*(a == b for a, b in zip(at, place, strict=True))))
            if not z3.is_false(here):
                result = z3.If(here, value, result)
        return truth(result) if z3.is_bool(result) else number(result, symbol.signed)

    def _base(self, at: tuple[Term, ...]) -> Term:
        symbol = self._symbol
        result = symbol.function(*at)
        symbol.reads.append(at)
        if symbol.restrict is not None and CURRENT.path is not None:
            premise = symbol.restrict(number(result, symbol.signed))
            if not isinstance(premise, bool):
                CURRENT.path.assume(premise.term)
        return result

    def set(self, key: Any, value: Any) -> "SymMap":
        """The map that gives `value` at `key` and is otherwise the same."""
        symbol = self._symbol
        term = _convert(value, symbol.function.range())
        at = symbol.terms(key)
        kept = (w for w in self._writes if not all(a.eq(b) for a, b in zip(w[0], at, strict=True)))
        return SymMap(symbol, (*kept, (at, term)))

    def __hash__(self) -> int:
        raise TypeError("a symbolic map was hashed")
