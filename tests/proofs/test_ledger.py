"""The ledger notices every change that matters and none that does not."""

from pathlib import Path
from types import FunctionType

import msgspec
import pytest

from linuxmm.proofs.ledger import (
    Entry,
    compare,
    entries_by_clause,
    find_ledger,
    read_ledger,
    rounded_rlimit,
    write_ledger,
)
from linuxmm.proofs.source import normalised, source_hash
from linuxmm.spec.errors import BadEvidence

ENTRY = Entry(
    id="area.subject.claim",
    property="A sentence.",
    features=("F012",),
    functions={"module.function": "0123456789abcdef"},
    statement="fedcba9876543210",
    method="formula",
    bounds="every value",
    rlimit=1000,
    result="proved",
    vacuity="witnessed",
    mutants=("one", "two"),
    mutants_refuted=2,
)


def changed(**fields: object) -> Entry:
    return msgspec.structs.replace(ENTRY, **fields)


def test_an_unchanged_theorem_has_no_complaint() -> None:
    assert compare([ENTRY], [ENTRY]) == {}
    assert compare([ENTRY], [changed(rlimit=10)]) == {}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (
            changed(functions={"module.function": "0" * 16}),
            "stale: module.function or something that it calls",
        ),
        (changed(functions={}), "no longer covers module.function"),
        (changed(statement="0" * 16), "stale: the statement of the theorem has changed"),
        (changed(property="Another."), "property is 'Another.'"),
        (changed(bounds="up to 8"), "bounds is 'up to 8'"),
        (changed(clauses=("area.law",)), "clauses is ('area.law',)"),
        (changed(result="unknown"), "the result is unknown"),
        (changed(result="refuted"), "the result is refuted"),
        (changed(vacuity="vacuous"), "the premises are vacuous"),
        (changed(mutants_refuted=1), "only 1 of 2 mutants are refuted"),
        (changed(mutants=("one",), mutants_refuted=1), "fewer than two mutants"),
    ],
)
def test_each_planted_difference_is_named(found: Entry, reason: str) -> None:
    complaints = compare([ENTRY], [found])
    assert list(complaints) == ["area.subject.claim"]
    assert any(text.startswith(reason) for text in complaints["area.subject.claim"])


def test_a_missing_and_an_orphaned_entry_are_named() -> None:
    assert compare([], [ENTRY]) == {"area.subject.claim": ["not in the ledger; run with --update"]}
    assert compare([ENTRY], []) == {"area.subject.claim": ["in the ledger, but no such theorem exists"]}


def test_a_clause_is_joined_to_the_theorems_that_name_it_and_hold() -> None:
    whole = changed(id="area.whole", clauses=("area.law", "area.rule"))
    small = changed(id="area.small", clauses=("area.law",), result="bounded")
    false = changed(id="area.false", clauses=("area.law",), result="refuted")
    assert entries_by_clause([whole, small, false, ENTRY]) == {
        "area.law": (small, whole),
        "area.rule": (whole,),
    }


def test_an_entry_without_clauses_is_written_as_before_there_were_any(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    write_ledger(path, [ENTRY])
    assert "clauses" not in path.read_text()
    write_ledger(path, [changed(clauses=("area.law",))])
    assert read_ledger(path).theorems == (changed(clauses=("area.law",)),)


def test_writing_and_reading_give_the_same_entries_in_order(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    other = changed(id="area.a.first")
    write_ledger(path, [ENTRY, other])
    assert read_ledger(path).theorems == (other, ENTRY)
    before = path.read_bytes()
    write_ledger(path, read_ledger(path).theorems)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "expected a proof ledger"),
        ('{"format": 1, "theorems": [{"id": 3}]}', "expected a proof ledger"),
        ('{"format": 9, "theorems": []}', "format: expected ledger format 1, found 9"),
    ],
)
def test_a_damaged_ledger_is_one_clear_error(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "ledger.json"
    path.write_text(text)
    with pytest.raises(BadEvidence, match=complaint):
        read_ledger(path)


def test_the_recorded_limit_is_stable_against_small_differences() -> None:
    assert rounded_rlimit(0) == 0
    assert rounded_rlimit(700) == 10000
    assert rounded_rlimit(300) == 1000
    assert rounded_rlimit(999, recorded=1000) == 1000
    assert rounded_rlimit(20, recorded=1000) == 1000
    assert rounded_rlimit(9, recorded=1000) == 100


SOURCE = '''
LIMIT = 3

def helper(x: int) -> int:
    """Says something."""
    return x + LIMIT

def subject(x: int) -> int:
    """First line."""
    return [helper(y) for y in (x,)][0]
'''


def load(tmp_path: Path, text: str) -> FunctionType:
    """The function `subject` of a module with this text."""
    import importlib.util

    path = tmp_path / f"subject_{abs(hash(text))}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location("subject_module", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    subject: FunctionType = module.subject
    return subject


def digest(tmp_path: Path, text: str) -> str:
    return source_hash(load(tmp_path, text), ours=("subject_module",))


def test_words_about_the_code_do_not_change_its_hash(tmp_path: Path) -> None:
    control = digest(tmp_path, SOURCE)
    assert digest(tmp_path, SOURCE.replace("First line.", "Other words.")) == control
    assert digest(tmp_path, SOURCE.replace("Says something.", "Says more.")) == control
    assert digest(tmp_path, SOURCE.replace("return x + LIMIT", "return (x +  LIMIT)  # sum")) == control


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[0]", "[-1]"),
        ("x + LIMIT", "x - LIMIT"),
        ("LIMIT = 3", "LIMIT = 4"),
        ('(x: int) -> int:\n    """Says', '(x: int, z: int = 1) -> int:\n    """Says'),
    ],
)
def test_a_change_of_the_function_its_callees_or_constants_changes_its_hash(
    tmp_path: Path, old: str, new: str
) -> None:
    assert old in SOURCE
    assert digest(tmp_path, SOURCE.replace(old, new)) != digest(tmp_path, SOURCE)


def test_the_normalised_text_has_no_empty_fields(tmp_path: Path) -> None:
    text = normalised(load(tmp_path, "def subject() -> int:\n    'doc'\n    return 1\n"))
    assert text == (
        "Module(body=[FunctionDef(name='subject', args=arguments(), body=[Return(value=Constant(value=1))], "
        "returns=Name(id='int'))])"
    )


def test_the_checked_in_ledger_is_sound_and_written_as_the_tool_writes_it(tmp_path: Path) -> None:
    path = find_ledger()
    entries = read_ledger(path).theorems
    assert len(entries) > 40
    assert compare(entries, entries) == {}
    again = tmp_path / "ledger.json"
    write_ledger(again, entries)
    assert again.read_bytes() == path.read_bytes()
