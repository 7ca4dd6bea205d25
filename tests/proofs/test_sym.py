"""The symbolic stand-ins compute what Python computes, and owe a proof exactly where a word would wrap."""

import operator
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import pytest
import z3
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.proofs.domain import Integer, MapOf, SignedWord, Symbol, Table, Truth, Word
from linuxmm.proofs.paths import Outcome, TooManyPaths, explore
from linuxmm.proofs.sym import SymB, SymW, bool_term
from linuxmm.proofs.theorem import implies, join, no

Binary = Callable[[Any, Any], Any]

ARITHMETIC: dict[str, Binary] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
}
BITWISE: dict[str, Binary] = {"&": operator.and_, "|": operator.or_, "^": operator.xor}
SHIFTS: dict[str, Binary] = {"<<": operator.lshift, ">>": operator.rshift}
COMPARISONS: dict[str, Binary] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def run(function: Callable[[], Any]) -> Outcome[Any]:
    """The one path of a function that does not fork."""
    outcomes = list(explore(function))
    assert len(outcomes) == 1
    return outcomes[0]


def proxy(domain: Any, name: str) -> Any:
    symbol = domain.symbols(name)[0]
    assert isinstance(symbol, Symbol)
    return symbol.proxy


def concrete(value: Any, *bindings: tuple[Any, int]) -> Any:
    """A result with numbers put in for the symbols."""
    if not isinstance(value, (SymW, SymB)):
        return value
    pairs = [(p.term, p._constant(number)) for p, number in bindings]
    term = z3.simplify(z3.substitute(value.term, *pairs))
    if z3.is_bool(term):
        return bool(z3.is_true(term))
    return term.as_signed_long() if isinstance(value, SymW) and value.signed else term.as_long()


def owed(outcome: Outcome[Any], *bindings: tuple[Any, int]) -> bool:
    """Whether every obligation holds for these numbers."""
    return all(concrete(SymB(o.term), *bindings) for o in outcome.obligations)


@given(
    st.sampled_from(sorted({**ARITHMETIC, **BITWISE, **SHIFTS})),
    st.integers(0, 255),
    st.integers(0, 255),
    st.sampled_from(("both", "left", "right")),
)
@settings(max_examples=400, deadline=None)
def test_unsigned_words_compute_as_python_or_owe(name: str, a: int, b: int, symbolic: str) -> None:
    op = {**ARITHMETIC, **BITWISE, **SHIFTS}[name]
    b = b % 12 if name in SHIFTS else b
    x, y = proxy(Word(8), "x"), proxy(Word(8), "y")
    left, right = (x if symbolic != "right" else a), (y if symbolic != "left" else b)
    outcome = run(lambda: op(left, right))
    if isinstance(outcome.raised, ZeroDivisionError):
        assert b == 0
        return
    if b == 0 and name in ("//", "%"):
        assert not owed(outcome, (x, a), (y, b))
        return
    expected = op(a, b)
    assert owed(outcome, (x, a), (y, b)) == (0 <= expected < 256)
    if 0 <= expected < 256:
        assert concrete(outcome.value, (x, a), (y, b)) == expected


@given(st.sampled_from(sorted({**ARITHMETIC, **BITWISE})), st.integers(-128, 127), st.integers(-128, 127))
@settings(max_examples=300, deadline=None)
def test_signed_words_compute_as_python_or_owe(name: str, a: int, b: int) -> None:
    op = {**ARITHMETIC, **BITWISE}[name]
    b = abs(b) % 127 + 1 if name in ("//", "%") else b
    x, y = proxy(SignedWord(8), "x"), proxy(SignedWord(8), "y")
    outcome = run(lambda: op(x, y))
    expected = op(a, b)
    assert owed(outcome, (x, a), (y, b)) == (-128 <= expected < 128)
    if -128 <= expected < 128:
        assert concrete(outcome.value, (x, a), (y, b)) == expected


@given(st.sampled_from(sorted(ARITHMETIC)), st.integers(), st.integers(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_unbounded_integers_compute_as_python(name: str, a: int, b: int, constant: bool) -> None:
    op = ARITHMETIC[name]
    if name in ("//", "%"):
        b = b if constant and b else abs(b) + 1
    x, y = proxy(Integer(), "x"), proxy(Integer(), "y")
    outcome = run(lambda: op(x, b if constant else y))
    assert owed(outcome, (x, a), (y, b))
    assert concrete(outcome.value, (x, a), (y, b)) == op(a, b)


@given(st.sampled_from(sorted(BITWISE)), st.integers(), st.integers(0, 70), st.integers(0, 20))
@settings(max_examples=200, deadline=None)
def test_unbounded_integers_take_masks_of_one_run_of_bits(name: str, a: int, low: int, width: int) -> None:
    mask = ((1 << width) - 1) << low
    x = proxy(Integer(), "x")
    for constant in (mask, ~((1 << low) - 1)):
        outcome = run(lambda m=constant: BITWISE[name](x, m))  # type: ignore[misc]
        assert concrete(outcome.value, (x, a)) == BITWISE[name](a, constant)


@given(st.sampled_from(sorted(COMPARISONS)), st.integers(0, 255), st.integers(-300, 600), st.booleans())
@settings(max_examples=200, deadline=None)
def test_comparison_with_a_constant_is_pythons_also_outside_the_word(
    name: str, a: int, b: int, signed: bool
) -> None:
    x = proxy(SignedWord(8) if signed else Word(8), "x")
    a = a - 128 if signed else a
    outcome = run(lambda: COMPARISONS[name](x, b))
    assert concrete(outcome.value, (x, a)) == COMPARISONS[name](a, b)
    assert outcome.obligations == ()


class Colour(IntEnum):
    RED = 3


def test_enum_members_and_truth_values_are_operands() -> None:
    x, flag = proxy(Word(8), "x"), proxy(Truth(), "flag")
    assert concrete(run(lambda: x + Colour.RED).value, (x, 4)) == 7
    assert concrete(run(lambda: x + True).value, (x, 4)) == 5
    total: Any = run(lambda: x + flag).value
    both = [z3.simplify(z3.substitute(total.term, (flag.term, z3.BoolVal(b)))) for b in (False, True)]
    assert [str(term) for term in both] == ["x", "1 + x"]


def test_complement_of_an_unsigned_word_only_masks() -> None:
    x, y = proxy(Word(8), "x"), proxy(Word(8), "y")
    assert concrete(run(lambda: x & ~y).value, (x, 0b1111), (y, 0b0101)) == 0b1010
    assert (~~x) is x
    with pytest.raises(TypeError):
        _ = (~x) + 1


@pytest.mark.parametrize("value", [SymW(z3.BitVec("w", 8)), SymB(z3.Bool("b"))])
def test_hashing_or_indexing_a_symbol_raises(value: Any) -> None:
    with pytest.raises(TypeError, match="dict key"):
        _ = {value: 1}
    with pytest.raises(TypeError, match="index"):
        _ = (1, 2, 3)[value]
    with pytest.raises(TypeError, match="index"):
        range(value)


def test_mixing_sorts_is_an_error() -> None:
    x, y, z = proxy(Word(8), "x"), proxy(Word(16), "y"), proxy(Integer(), "z")
    for other in (y, z, 1.5):
        with pytest.raises(TypeError):
            _ = x + other
    with pytest.raises(TypeError, match="use words"):
        _ = z & proxy(Integer(), "u")
    with pytest.raises(TypeError, match="not one run of bits"):
        _ = z & 0b101
    with pytest.raises(TypeError, match="outside explore"):
        bool(x == 3)


def test_control_flow_is_explored_completely() -> None:
    """min, max, chained comparison, and/or/not and while each give every feasible path."""
    x, y = proxy(Integer(), "x"), proxy(Integer(), "y")

    def program() -> Any:
        if 0 <= x <= 10 and x != 5:
            count = 0
            while count < x and count < 3:
                count += 1
            return max(count, min(x, y)) * 2
        return -1

    def reference(a: int, b: int) -> int:
        if 0 <= a <= 10 and a != 5:
            return max(min(a, 3), min(a, b)) * 2
        return -1

    outcomes = list(explore(program))
    for a in range(-2, 13):
        for b in range(-2, 13):
            taken = [o for o in outcomes if all(concrete(SymB(c), (x, a), (y, b)) for c in o.conditions)]
            assert len(taken) == 1
            assert concrete(taken[0].value, (x, a), (y, b)) == reference(a, b)


def test_an_endless_loop_is_cut_off() -> None:
    x = proxy(Integer(), "x")

    def endless() -> int:
        count = 0
        while x > count:
            count += 1
        return count

    with pytest.raises(TooManyPaths):
        list(explore(endless))


def test_join_gives_one_path_and_the_same_answers() -> None:
    x, y = proxy(Word(8), "x"), proxy(Word(8), "y")

    def question(a: int, b: int) -> bool:
        return a == b or (a < 3 and b < 3)

    outcome = run(lambda: join(question, x, y))
    for a in range(6):
        for b in range(6):
            assert concrete(outcome.value, (x, a), (y, b)) == question(a, b)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), max_size=6))
@settings(max_examples=60, deadline=None)
def test_a_symbolic_map_reads_like_a_table_after_the_same_writes(
    writes: list[tuple[int, int, bool]],
) -> None:
    domain = MapOf((Word(8), Word(8)), Truth())
    symbol = domain.symbols("m")[0]
    assert isinstance(symbol, Symbol)
    assert symbol.map is not None
    changed: Any = symbol.proxy
    plain = Table(False)
    for first, second, value in writes:
        changed, plain = changed.set((first, second), value), plain.set((first, second), value)
    x = proxy(Word(8), "x")
    everywhere_false = z3.BoolVal(False)
    for first in range(4):
        for second in range(4):
            got = run(lambda f=first: changed[f, x]).value  # type: ignore[misc]
            term = z3.substitute_funs(bool_term(got), (symbol.map.function, everywhere_false))
            term = z3.simplify(z3.substitute(term, (x.term, z3.BitVecVal(second, 8))))
            assert bool(z3.is_true(term)) == plain[first, second]


@pytest.mark.parametrize("p", [False, True])
@pytest.mark.parametrize("q", [False, True])
def test_connectives_agree_with_bool(p: bool, q: bool) -> None:
    x, y = proxy(Truth(), "x"), proxy(Truth(), "y")
    for op in (*BITWISE.values(), implies, operator.eq, operator.ne):
        for left, right in ((x, y), (x, q), (p, y)):
            term = bool_term(op(left, right))
            got = z3.simplify(z3.substitute(term, (x.term, z3.BoolVal(p)), (y.term, z3.BoolVal(q))))
            assert bool(z3.is_true(got)) == op(p, q)
    assert no(p) == (not p)
