"""The prover proves what holds, refutes the false with values that replay, and calls the rest unknown."""

import importlib
from collections.abc import Callable
from typing import Annotated, Any

import pytest

from linuxmm.proofs import theorem as registry
from linuxmm.proofs.domain import Integer, MapOf, Table, Truth, Word, each, table
from linuxmm.proofs.mutant import BadMutant, Mutant, code_text
from linuxmm.proofs.prover import Report, prove, refute
from linuxmm.proofs.theorem import Theorem, assume, build, check_clauses, implies
from linuxmm.spec.arith import align_down, clamp

Whole = Annotated[int, Integer()]
Byte = Annotated[int, Word(8)]

CLAMP_MUTANTS = (
    Mutant(clamp, "forgets the lower limit", "max(x, low)", "x"),
    Mutant(clamp, "forgets the upper limit", "min(max(x, low), high)", "max(x, low)"),
)


def stated(function: Callable[..., bool], **options: Any) -> Theorem:
    """A theorem about clamp unless the options say otherwise."""
    settings: dict[str, Any] = {
        "proves": (clamp,),
        "mutants": CLAMP_MUTANTS,
        "primitives": {},
        "witness": {"x": 1, "low": 0, "high": 2},
        **options,
    }
    return build("test.theorem", "A sentence.", function, **settings)


def within(x: Whole, low: Whole, high: Whole) -> bool:
    assume(low <= high)
    return (low <= clamp(x, low, high)) & (clamp(x, low, high) <= high)


def always_within(x: Whole, low: Whole, high: Whole) -> bool:
    return (low <= clamp(x, low, high)) & (clamp(x, low, high) <= high)


def impossible(x: Whole, low: Whole, high: Whole) -> bool:
    assume(low < high)
    assume(high < low)
    return clamp(x, low, high) == 99


def test_a_true_theorem_is_proved_and_its_mutants_refuted() -> None:
    report = prove(stated(within))
    assert (report.result, report.vacuity, report.mutants_refuted) == ("proved", "witnessed", 2)
    assert all(mutant.how == "the claim is false" for mutant in report.mutants)


def test_a_bounded_theorem_is_not_called_proved() -> None:
    assert prove(stated(within, method="bounded")).result == "bounded"


def test_a_false_theorem_is_refuted_by_values_that_fail_on_ints() -> None:
    report = prove(stated(always_within))
    assert report.result == "refuted"
    namespace: dict[str, Any] = {}
    exec(report.pytest, namespace)
    with pytest.raises(AssertionError):
        namespace["test_test_theorem"]()


def test_a_theorem_that_names_an_unknown_clause_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    named = stated(within, clauses=("alloc.buddy.disjoint",))
    monkeypatch.setattr(registry, "_THEOREMS", {"test.theorem": named})
    importlib.import_module("linuxmm.spec.alloc.buddy")
    check_clauses()
    wrong = stated(within, clauses=("alloc.buddy.disjiont",))
    monkeypatch.setattr(registry, "_THEOREMS", {"test.theorem": wrong})
    with pytest.raises(ValueError, match=r"test\.theorem.*disjiont.*alloc\.buddy\.disjoint"):
        check_clauses()


def test_premises_that_cannot_hold_are_vacuous() -> None:
    report = prove(stated(impossible))
    assert report.result == "proved"
    assert report.vacuity == "vacuous"


def test_a_witness_outside_the_premises_is_vacuous() -> None:
    assert prove(stated(within, witness={"x": 1, "low": 2, "high": 0})).vacuity == "vacuous"


def test_an_equivalent_mutant_is_reported_as_not_refuted() -> None:
    same = Mutant(clamp, "swaps the arguments of max", "max(x, low)", "max(low, x)")
    assert not refute(stated(within), same).refuted
    report = prove(stated(within, mutants=(*CLAMP_MUTANTS, same)))
    assert (report.mutants_refuted, len(report.mutants)) == (2, 3)


def test_a_mutant_reaches_the_callers_of_the_function() -> None:
    def indirect(x: Whole) -> bool:
        return twice_clamped(x) <= 10

    report = prove(stated(indirect, witness={"x": 1}))
    assert (report.result, report.mutants_refuted) == ("proved", 1)


def twice_clamped(x: int) -> int:
    return clamp(clamp(x, 0, 20), 0, 10)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("absent", "x", "occurs 0 times"),
        ("x", "y", "times, expected once"),
        ("min(max(x, low), high)", "min(", "does not parse"),
        ("min(max(x, low), high)", "min(max(x, low),  high)", "changes nothing"),
    ],
)
def test_an_edit_that_does_not_apply_is_an_error(old: str, new: str, complaint: str) -> None:
    with pytest.raises(BadMutant, match=complaint):
        Mutant(clamp, "a fault", old, new).build()


def test_the_docstring_is_not_part_of_the_edited_text() -> None:
    assert code_text(clamp) == (
        "def clamp(x: int, low: int, high: int) -> int:\n    return min(max(x, low), high)\n"
    )


def wraps(x: Byte) -> bool:
    return x + 1 > x


def test_a_claim_that_holds_on_ints_but_wraps_a_word_is_refuted_as_a_side_condition() -> None:
    mutants = (Mutant(clamp, "a", "max", "min"), Mutant(clamp, "b", "high)", "low)"))
    report = prove(stated(wraps, witness={"x": 1}, mutants=mutants))
    assert report.result in ("refuted", "unknown")
    assert "wrap" in report.why


def raises(x: Byte) -> bool:
    if x > 200:
        raise ValueError("too large")
    return True


def test_an_exception_on_some_path_refutes_the_claim() -> None:
    report = prove(stated(raises, witness={"x": 1}))
    assert report.result == "refuted"
    assert report.why == "raises ValueError: too large"


def hard(x: Annotated[int, Word(64)], y: Annotated[int, Word(64)]) -> bool:
    assume((x > 1) & (y > 1) & (x < 1 << 31) & (y < 1 << 31))
    return (x * y == 4611686014132420609) ^ True


def test_what_z3_does_not_settle_within_its_limit_is_unknown() -> None:
    report = prove(stated(hard, witness={"x": 2, "y": 2}, rlimit=1000))
    assert report.result == "unknown"
    assert report.why.startswith("z3 gave up")


def reads_a_map(
    marks: Annotated[Any, MapOf((Word(8),), Truth())], at: Byte, n: Annotated[int, each((1, 2))]
) -> bool:
    assume(at < 200)
    return implies(marks[at] & marks[at + n], marks[at] == (n == 1))


def test_a_refutation_over_a_map_is_rebuilt_as_a_small_table() -> None:
    report = prove(stated(reads_a_map, witness={"marks": Table(), "at": 0, "n": 1}))
    assert report.result == "refuted"
    assert "marks=Table(default=False, entries=(((0,), True), ((2,), True))), at=0, n=2" in report.pytest


def test_a_theorem_needs_two_mutants_domains_and_a_witness() -> None:
    with pytest.raises(ValueError, match="at least two"):
        stated(within, mutants=CLAMP_MUTANTS[:1])
    with pytest.raises(ValueError, match="the witness names"):
        stated(within, witness={"x": 1})
    with pytest.raises(ValueError, match="needs Annotated"):
        stated(no_domain, witness={"x": 1})
    with pytest.raises(ValueError, match="proves no function"):
        stated(within, proves=())


def no_domain(x: int) -> bool:
    return True


def test_tables_are_total_maps() -> None:
    marks = table({(1, 2): True, (3, 4): True})
    assert marks[1, 2] is True
    assert marks[0, 0] is False
    assert marks.set((1, 2), False) == table({(3, 4): True})
    assert sorted(map(repr, marks.smaller())) == sorted(
        map(repr, [table({(1, 2): True}), table({(3, 4): True})])
    )


def test_alignment_is_proved_for_every_word() -> None:
    def aligned(x: Annotated[int, Word(64)]) -> bool:
        return align_down(x, 4096) % 4096 == 0

    mutants = (
        Mutant(align_down, "masks too little", "alignment - 1", "alignment - 2"),
        Mutant(align_down, "keeps the low bits", "~(alignment - 1)", "(alignment - 1)"),
    )
    report: Report = prove(stated(aligned, proves=(align_down,), mutants=mutants, witness={"x": 5}))
    assert (report.result, report.mutants_refuted) == ("proved", 2)
