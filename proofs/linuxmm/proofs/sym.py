"""Symbolic stand-ins for `int` and `bool`, with which the functions of linuxmm run unchanged.

`SymW` is an unsigned or signed machine word, or an unbounded integer; `SymB` a truth value.  A comparison
gives a `SymB`, and asking for its truth (`if`, `and`, `not`, `min`, ...) forks the path.  An operation on
words whose result would not fit leaves an obligation that it does, so a theorem about words holds for
Python's integers.  Hashing or indexing with a proxy raises: the answer would depend on the representation.
The only `cast` of the project is here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import z3

from linuxmm.proofs.paths import CURRENT, Term

T = TypeVar("T")


def _owe(text: str, condition: Term) -> None:
    if CURRENT.path is not None:
        CURRENT.path.owe(text, condition)


def truth(term: Term) -> "bool | SymB":
    """The proxy of a Boolean term, or the plain bool when the term is constant."""
    if z3.is_true(term):
        return True
    if z3.is_false(term):
        return False
    return SymB(term)


def number(term: Term, signed: bool = False) -> "int | SymW":
    """The proxy of an integer or word term, or the plain int when the term is a numeral."""
    if z3.is_int_value(term):
        return int(term.as_long())
    if z3.is_bv_value(term):
        return int(term.as_signed_long() if signed else term.as_long())
    return SymW(term, signed)


def bool_term(value: object) -> Term:
    """The z3 term of a truth value.

    Errors    TypeError for anything that is not bool or SymB
    """
    if isinstance(value, SymB):
        return value.term
    if isinstance(value, bool):
        return z3.BoolVal(value)
    raise TypeError(f"expected a truth value, not {value!r}")


class SymB:
    """A symbolic truth value; `&`, `|`, `^` build terms, asking for its truth forks the path."""

    __slots__ = ("term",)

    def __init__(self, term: Term) -> None:
        self.term = term

    def __bool__(self) -> bool:
        if CURRENT.path is None:
            raise TypeError("the truth of a symbolic value was asked for outside explore()")
        return CURRENT.path.decide(self.term)

    def __and__(self, other: object) -> Any:
        if isinstance(other, bool):
            return self if other else False
        return truth(z3.And(self.term, bool_term(other)))

    def __or__(self, other: object) -> Any:
        if isinstance(other, bool):
            return True if other else self
        return truth(z3.Or(self.term, bool_term(other)))

    def __xor__(self, other: object) -> Any:
        if isinstance(other, bool):
            return SymB(z3.Not(self.term)) if other else self
        return truth(z3.Xor(self.term, bool_term(other)))

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __eq__(self, other: object) -> Any:
        if isinstance(other, SymW):
            return other == self
        if isinstance(other, int) and not isinstance(other, bool):
            return self.__xor__(other == 0) if other in (0, 1) else False
        return self.__xor__(other).__xor__(True) if isinstance(other, (bool, SymB)) else False

    def __ne__(self, other: object) -> Any:
        return (self == other) ^ True

    def _as_int(self) -> int:
        return 1 if self else 0

    def __add__(self, other: Any) -> Any:
        return other + self if isinstance(other, SymW) else self._as_int() + other

    __radd__ = __add__

    def __mul__(self, other: Any) -> Any:
        return other * self if isinstance(other, SymW) else self._as_int() * other

    __rmul__ = __mul__

    def __sub__(self, other: Any) -> Any:
        return self._as_int() - other

    def __rsub__(self, other: Any) -> Any:
        return other - self._as_int()

    def __lshift__(self, other: Any) -> Any:
        return self._as_int() << other

    def __index__(self) -> int:
        raise TypeError("a symbolic truth value was used as an index")

    def __hash__(self) -> int:
        raise TypeError("a symbolic value was used as a dict key, a set member or an argument of a cache")

    def __repr__(self) -> str:
        return f"SymB({self.term})"


@dataclass(frozen=True, slots=True)
class _Complement:
    """~w of an unsigned word w: negative in Python, so good for nothing but `&` with a word."""

    word: "SymW"

    def __and__(self, other: object) -> Any:
        return self.word._clear_from(other)

    __rand__ = __and__

    def __invert__(self) -> "SymW":
        return self.word


class SymW:
    """A symbolic integer: an unsigned or signed word (bit vector) or an unbounded integer."""

    __slots__ = ("signed", "term")

    def __init__(self, term: Term, signed: bool = False) -> None:
        self.term = term
        self.signed = signed

    @property
    def bits(self) -> int:
        """Width of the word; 0 for an unbounded integer."""
        return int(self.term.size()) if z3.is_bv(self.term) else 0

    def _range(self) -> tuple[int, int]:
        bits = self.bits
        return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if self.signed else (0, (1 << bits) - 1)

    def operand(self, other: object, what: str) -> Term:
        """The term of the other operand, in this one's sort; owes that a constant fits."""
        if isinstance(other, SymW):
            if other.bits != self.bits or other.signed != self.signed:
                raise TypeError(f"{what} mixes {self._kind()} and {other._kind()}")
            return other.term
        if isinstance(other, SymB):
            return z3.If(other.term, self._constant(1), self._constant(0))
        if isinstance(other, int):
            value = int(other)
            if self.bits and not self._range()[0] <= value <= self._range()[1]:
                _owe(f"{what}: the constant {value} fits {self._kind()}", z3.BoolVal(False))
            return self._constant(value)
        raise TypeError(f"{what} of {self._kind()} and {other!r}")

    def _constant(self, value: int) -> Term:
        return z3.BitVecVal(value, self.bits) if self.bits else z3.IntVal(value)

    def _kind(self) -> str:
        if not self.bits:
            return "an unbounded integer"
        return f"{'a signed' if self.signed else 'an unsigned'} {self.bits}-bit word"

    def _wrap(self, term: Term) -> Any:
        return number(term, self.signed)

    def _like(self, other: object, what: str) -> Any:
        """The other operand as a proxy of this one's sort, for the reflected operators."""
        return SymW(self.operand(other, what), self.signed)

    # ------------------------------------------------------------------ sums and products

    def __add__(self, other: object) -> Any:
        if isinstance(other, int):
            if other == 0:
                return self
            if other < 0 and self.bits and not self.signed:
                return self - (-other)
        term = self.operand(other, "+")
        if self.bits:
            _owe("+ does not wrap", z3.BVAddNoOverflow(self.term, term, self.signed))
            if self.signed:
                _owe("+ does not wrap below", z3.BVAddNoUnderflow(self.term, term))
        return self._wrap(self.term + term)

    __radd__ = __add__

    def __sub__(self, other: object) -> Any:
        if isinstance(other, int):
            if other == 0:
                return self
            if other < 0 and self.bits and not self.signed:
                return self + (-other)
        term = self.operand(other, "-")
        if term.eq(self.term):
            return 0
        if self.signed:
            _owe("- does not wrap", z3.BVSubNoOverflow(self.term, term))
            _owe("- does not wrap below", z3.BVSubNoUnderflow(self.term, term, True))
        elif self.bits:
            _owe("- stays at or above 0", z3.UGE(self.term, term))
        return self._wrap(self.term - term)

    def __rsub__(self, other: object) -> Any:
        return self._like(other, "-") - self

    def __mul__(self, other: object) -> Any:
        if isinstance(other, int) and other in (0, 1):
            return self if other else 0
        term = self.operand(other, "*")
        if self.bits:
            _owe("* does not wrap", z3.BVMulNoOverflow(self.term, term, self.signed))
            if self.signed:
                _owe("* does not wrap below", z3.BVMulNoUnderflow(self.term, term))
        return self._wrap(self.term * term)

    __rmul__ = __mul__

    def __neg__(self) -> Any:
        if self.bits and not self.signed:
            raise TypeError("negation of an unsigned word")
        if self.bits:
            _owe("negation fits", self.term != self._constant(self._range()[0]))
        return self._wrap(-self.term)

    def __pos__(self) -> "SymW":
        return self

    def __abs__(self) -> Any:
        return -self if self < 0 else self

    # ------------------------------------------------------------------ quotients, as Python floors them

    def __floordiv__(self, other: object) -> Any:
        if isinstance(other, int):
            if other == 1:
                return self
            if other < 0 and not self.bits:
                return (-self) // (-other)
        term = self._divisor(other, "//")
        if not self.bits:
            return self._wrap(self.term / term)
        if not self.signed:
            return self._wrap(z3.UDiv(self.term, term))
        truncated, rest = self.term / term, z3.SRem(self.term, term)
        return self._wrap(truncated - z3.If(rest < 0, self._constant(1), self._constant(0)))

    def __rfloordiv__(self, other: object) -> Any:
        return self._like(other, "//") // self

    def __mod__(self, other: object) -> Any:
        if isinstance(other, int):
            if other == 1:
                return 0
            if other < 0 and not self.bits:
                return -((-self) % (-other))
        term = self._divisor(other, "%")
        return self._wrap(z3.URem(self.term, term) if self.bits and not self.signed else self.term % term)

    def __rmod__(self, other: object) -> Any:
        return self._like(other, "%") % self

    def __divmod__(self, other: object) -> tuple[Any, Any]:
        return self // other, self % other

    def _divisor(self, other: object, what: str) -> Term:
        if isinstance(other, int) and other == 0:
            raise ZeroDivisionError(f"{what} by 0")
        term = self.operand(other, what)
        if self.bits and not self.signed:
            _owe(f"{what}: the divisor is not 0", term != self._constant(0))
        else:  # z3 floors towards the sign of a positive divisor only
            _owe(f"{what}: the divisor is positive", term > self._constant(0))
        return term

    # ------------------------------------------------------------------ shifts

    def __lshift__(self, other: object) -> Any:
        if isinstance(other, int) and other == 0:
            return self
        if not self.bits:
            return self * (1 << self._shift_amount(other, "<<"))
        term = self.operand(other, "<<")
        shifted = self.term << term
        back = shifted >> term if self.signed else z3.LShR(shifted, term)
        _owe("<< does not lose bits", back == self.term)
        if self.signed:
            _owe("<<: the amount is not negative", term >= self._constant(0))
        return self._wrap(shifted)

    def __rlshift__(self, other: object) -> Any:
        return self._like(other, "<<") << self

    def __rshift__(self, other: object) -> Any:
        if isinstance(other, int) and other == 0:
            return self
        if not self.bits:
            return self // (1 << self._shift_amount(other, ">>"))
        if isinstance(other, int) and other >= self.bits:
            return self._wrap(self.term >> (self.bits - 1)) if self.signed else 0
        term = self.operand(other, ">>")
        if self.signed:
            _owe(">>: the amount is not negative", term >= self._constant(0))
        return self._wrap(self.term >> term if self.signed else z3.LShR(self.term, term))

    def __rrshift__(self, other: object) -> Any:
        return self._like(other, ">>") >> self

    @staticmethod
    def _shift_amount(other: object, what: str) -> int:
        if not isinstance(other, int):
            raise TypeError(f"{what} of an unbounded integer by a symbolic amount; use a word")
        return int(other)

    # ------------------------------------------------------------------ bits

    def __and__(self, other: object) -> Any:
        if isinstance(other, _Complement):
            return other & self
        if isinstance(other, int) and other == 0:
            return 0
        if not self.bits:
            return self._masked(other, "&")
        if isinstance(other, int) and other < 0 and not self.signed:
            return self._wrap(self.term & z3.BitVecVal(other, self.bits))
        if isinstance(other, int) and not self.signed:
            return self._wrap(self.term & z3.BitVecVal(int(other) & self._range()[1], self.bits))
        return self._wrap(self.term & self.operand(other, "&"))

    def __or__(self, other: object) -> Any:
        if isinstance(other, int) and other == 0:
            return self
        if not self.bits:
            return self - self._masked(other, "|") + other
        return self._wrap(self.term | self.operand(other, "|"))

    def __xor__(self, other: object) -> Any:
        if isinstance(other, int) and other == 0:
            return self
        if not self.bits:
            return self + other - 2 * self._masked(other, "^")
        return self._wrap(self.term ^ self.operand(other, "^"))

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> Any:
        if self.bits and not self.signed:
            return _Complement(self)
        return self._wrap(~self.term if self.bits else -self.term - 1)

    def _clear_from(self, other: object) -> Any:
        """other & ~self"""
        return self._wrap(self.operand(other, "& ~") & ~self.term)

    def _masked(self, mask: object, what: str) -> Any:
        """self & mask of an unbounded integer, for a mask that is one run of bits or all bits above one."""
        if not isinstance(mask, int):
            raise TypeError(f"{what} of two unbounded integers; use words")
        mask = int(mask)
        if mask == -1:
            return self
        low = (mask & -mask).bit_length() - 1
        run = mask >> low
        if mask < 0 and run == -1:
            return self - self % (1 << low)
        if mask < 0 or run & (run + 1):
            raise TypeError(f"{what} of an unbounded integer and {mask:#x}, which is not one run of bits")
        return ((self >> low) % (run + 1)) << low

    # ------------------------------------------------------------------ comparisons

    def __bool__(self) -> bool:
        return bool(self != 0)

    def _compare(
        self, other: object, what: str, plain: Callable[[Any, Any], Any], unsigned: Callable[[Any, Any], Any]
    ) -> Any:
        """Compare; a constant outside the word's range is compared as Python would."""
        if isinstance(other, int) and self.bits:
            low, high = self._range()
            if other < low or other > high:
                return plain(low, other)
        term = self.operand(other, what)
        if term.eq(self.term):
            return plain(0, 0)
        return truth((unsigned if self.bits and not self.signed else plain)(self.term, term))

    def __lt__(self, other: object) -> Any:
        return self._compare(other, "<", lambda a, b: a < b, z3.ULT)

    def __le__(self, other: object) -> Any:
        return self._compare(other, "<=", lambda a, b: a <= b, z3.ULE)

    def __gt__(self, other: object) -> Any:
        return self._compare(other, ">", lambda a, b: a > b, z3.UGT)

    def __ge__(self, other: object) -> Any:
        return self._compare(other, ">=", lambda a, b: a >= b, z3.UGE)

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, (int, SymW, SymB)):
            return False
        return self._compare(other, "==", lambda a, b: a == b, lambda a, b: a == b)

    def __ne__(self, other: object) -> Any:
        return (self == other) ^ True

    def __index__(self) -> int:
        raise TypeError("a symbolic word was used as an index or a bound")

    def __hash__(self) -> int:
        raise TypeError("a symbolic value was used as a dict key, a set member or an argument of a cache")

    def __repr__(self) -> str:
        return f"SymW({self.term})"


def choose(decided: "SymB | bool", then: Any, otherwise: Any, bits: int = 0, signed: bool = False) -> Any:
    """`then` if `decided`, else `otherwise`, without forking the path; two plain ints become words of `bits`,
    or unbounded integers."""
    if not isinstance(decided, SymB):
        return then if decided else otherwise
    sort = z3.BitVecSort(bits) if bits else z3.IntSort()
    sample = next((v for v in (then, otherwise) if isinstance(v, SymW)), SymW(z3.Const("_", sort), signed))
    one, other = sample.operand(then, "a choice"), sample.operand(otherwise, "a choice")
    return number(z3.If(decided.term, one, other), sample.signed)


def as_int(proxy: "SymW | int") -> int:
    """The proxy, typed as the int it stands for."""
    return cast(int, proxy)


def as_bool(proxy: "SymB | bool") -> bool:
    """The proxy, typed as the bool it stands for."""
    return cast(bool, proxy)


def as_state(twin: object, kind: type[T]) -> T:
    """A twin of a model's state, typed as what the model's functions take (or back)."""
    return cast(T, twin)
