"""What is built of a feature is what is registered for it."""

import pytest

from linuxmm.spec.invariant import clauses
from linuxmm.spec.kernel import behaviours
from linuxmm.spec.registry import (
    Evidence,
    Theorem,
    built,
    formula,
    formulas,
    load,
    register_evidence,
    register_fast,
    verb,
)


def double(x: int) -> int:
    return 2 * x


def test_a_registered_function_is_returned_unchanged() -> None:
    def triple(x: int) -> int:
        return 3 * x

    assert formula("F901", source="nowhere")(triple) is triple
    assert [entry.function for entry in built("F901").formulas] == [triple]


def test_columns_count_registrations_of_the_feature_alone() -> None:
    assert built("F902").spec == 0
    assert not built("F902").docs
    verb("F902", "F903", source="mm/x.c:double")(double)
    register_fast(double, "F902")
    register_evidence("F902", "capture-a")
    register_evidence("F902", "capture-a")
    proved = Theorem("a.b", "a is b", "f", "formula", "proved", ("F902",))
    unknown = Theorem("a.c", "a is c", "f", "formula", "unknown", ("F902",))
    have = built("F902", [proved, unknown, Theorem("z", "", "", "", "proved", ("F001",))])
    assert [entry.function for entry in have.verbs] == [double]
    assert [entry.function for entry in have.fast] == [double]
    assert have.evidence == (Evidence("F902", "capture-a"),)
    assert have.theorems == (proved, unknown)
    assert have.proved == 1
    assert have.docs
    assert built("F903").fast == ()


def test_registering_twice_or_for_nothing_is_an_error() -> None:
    def once() -> None:
        """Nothing."""

    formula("F904", source="nowhere")(once)
    with pytest.raises(ValueError, match="registered twice"):
        formula("F904", source="nowhere")(once)
    with pytest.raises(ValueError, match="registered for no feature"):
        formula(source="nowhere")(double)
    assert double not in [entry.function for entry in formulas()]


def test_loading_imports_what_registers() -> None:
    load("linuxmm.spec")
    buddy = built("F012")
    assert set(buddy.clauses) == {entry for entry in clauses() if "F012" in entry.features}
    assert "alloc.buddy.disjoint" in [entry.id for entry in buddy.clauses]
    assert set(built("F017").behaviours) == {entry for entry in behaviours() if "F017" in entry.features}
    assert built("F017").behaviours
