"""CrossHair's report is read strictly: only "confirmed" counts, and only a counterexample refutes."""

import subprocess
import sys
from pathlib import Path

import pytest

from linuxmm.proofs.crosshair import (
    Message,
    check,
    conditions,
    find_condition,
    judge,
    lines_of,
    namespace_with_mutant,
    parse_report,
)

CONFIRMED = Message("f.py", 3, "info", "Confirmed over all paths.")
OPEN = Message("f.py", 4, "info", "Not confirmed.")
COUNTEREXAMPLE = Message("f.py", 4, "error", "false when calling f(1) (which returns 0)")
BROKEN_IMPORT = Message("f.py", 1, "error", "Could not import your code")

REPORT = """/a/b.py:6: info: Confirmed over all paths.
/a/b.py:11: error: false when calling f(x = "
") (which returns 0)
noise that belongs to the line before
/a/c.py:18: info: Not confirmed.
"""


def test_a_report_is_read_line_by_line_with_continuations() -> None:
    assert parse_report(REPORT) == (
        Message("/a/b.py", 6, "info", "Confirmed over all paths."),
        Message(
            "/a/b.py",
            11,
            "error",
            'false when calling f(x = "\n") (which returns 0)\nnoise that belongs to the line before',
        ),
        Message("/a/c.py", 18, "info", "Not confirmed."),
    )
    assert parse_report("") == ()


@pytest.mark.parametrize(
    ("messages", "postconditions", "status"),
    [
        ((CONFIRMED,), 1, "confirmed"),
        ((CONFIRMED, CONFIRMED), 2, "confirmed"),
        ((CONFIRMED,), 2, "unknown"),
        ((CONFIRMED, OPEN), 2, "unknown"),
        ((OPEN,), 1, "unknown"),
        ((), 1, "unknown"),
        ((), 0, "unknown"),
        ((CONFIRMED, COUNTEREXAMPLE), 2, "refuted"),
        ((BROKEN_IMPORT,), 1, "unknown"),
    ],
)
def test_only_full_confirmation_counts(
    messages: tuple[Message, ...], postconditions: int, status: str
) -> None:
    assert judge(messages, postconditions)[0] == status


def test_every_condition_is_well_formed() -> None:
    listed = conditions()
    assert len({condition.id for condition in listed}) == len(listed) > 0
    for condition in listed:
        assert len(condition.mutants) >= 2
        assert lines_of(condition.contract, "post")
        for index in range(len(condition.mutants)):
            assert namespace_with_mutant(condition.id, index)


def test_a_contract_is_confirmed_and_its_mutants_refuted() -> None:
    checked = check(find_condition("arith.clamp.crosshair"))
    assert (checked.status, checked.vacuity, checked.mutants_refuted) == ("confirmed", "witnessed", 2)


def test_a_condition_beyond_crosshair_is_not_confirmed(tmp_path: Path) -> None:
    """The control for the manifest: an exclusive or is never confirmed, so it may not be listed."""
    target = tmp_path / "beyond.py"
    target.write_text(
        'def twice(x: int) -> int:\n    """\n    pre: 0 <= x\n    post: __return__ == x\n    """\n'
        "    return x ^ 5 ^ 5\n"
    )
    command = [sys.executable, "-m", "crosshair", "check", "--report_all", "--per_condition_timeout", "1"]
    done = subprocess.run([*command, str(target)], capture_output=True, text=True, check=False)
    assert judge(parse_report(done.stdout), 1)[0] == "unknown"
