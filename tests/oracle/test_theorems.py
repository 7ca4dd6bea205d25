"""The ledger joins the feature table; a file that is none is one clear error."""

import json
from pathlib import Path

import pytest

from linuxmm.oracle.theorems import read_theorems
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.registry import Theorem, built


def test_theorems_count_for_their_features(tmp_path: Path) -> None:
    entry = {
        "id": "alloc.x", "property": "x holds", "features": ["F012"], "functions": {"m.g": "1", "m.f": "2"},
        "method": "inductive", "result": "proved", "rlimit": 5,
    }  # fmt: skip
    path = tmp_path / "ledger.json"
    path.write_text(
        json.dumps(
            {
                "format": 1,
                "theorems": [entry, entry | {"id": "alloc.a", "result": "unknown", "clauses": ["c.d"]}],
            }
        )
    )
    theorems = read_theorems(path)
    assert theorems == (
        Theorem("alloc.a", "x holds", "m.f, m.g", "inductive", "unknown", ("F012",), ("c.d",)),
        Theorem("alloc.x", "x holds", "m.f, m.g", "inductive", "proved", ("F012",)),
    )
    assert built("F012", theorems).proved == 1


def test_no_ledger_and_no_theorems(tmp_path: Path) -> None:
    assert read_theorems(tmp_path / "absent.json") == ()


@pytest.mark.parametrize("text", ["", "[]", '{"theorems": [{"id": 3}]}', "\x00"])
def test_what_is_no_ledger_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ledger.json"
    path.write_text(text)
    with pytest.raises(BadEvidence, match=r"ledger\.json: a proof ledger \("):
        read_theorems(path)
