"""The guide on judging names every planted fault and every explanation that a prediction may give."""

from pathlib import Path

from linuxmm.oracle.exact.gaps import EXPLANATIONS
from linuxmm.oracle.faults import FAULTS

GUIDE = (Path(__file__).parents[2] / "docs" / "guide" / "judging.md").read_text()


def test_every_fault_stands_in_the_guide_with_its_clause() -> None:
    missing = [
        fault.name
        for fault in FAULTS
        if fault.clause and f"| {fault.sentence} | `{fault.clause}` |" not in GUIDE
    ]
    assert missing == []


def test_every_explanation_stands_in_the_guide() -> None:
    assert [text for text in EXPLANATIONS if f"| {text} |" not in GUIDE] == []
