"""The allocator in C: the clean one passes, every planted bug is found, the README says what was found."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "c_allocator"
sys.path.insert(0, str(ROOT))

from examples.c_allocator.findings import BUGS, PLANTED  # noqa: E402
from examples.planted import Found  # noqa: E402

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
LONGEST = 10


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Found | None]:
    folder = tmp_path_factory.mktemp("c_allocator")
    return {bug: PLANTED.judge_bug(bug, folder) for bug in (0, *BUGS)}


def test_the_clean_one_conforms(findings: dict[int, Found | None]) -> None:
    assert findings[0] is None


@pytest.mark.parametrize("bug", BUGS)
def test_each_bug_is_found_and_reduced_to_a_readable_case(
    bug: int, findings: dict[int, Found | None]
) -> None:
    found = findings[bug]
    assert found is not None
    print(found.report)
    assert len(found.operations) <= LONGEST
    assert found.report.count("\n") == 1 + len(found.operations)


def test_the_table_in_the_readme_is_what_is_found() -> None:
    """In a process of its own: Hypothesis draws constants from whatever modules are loaded."""
    command = [sys.executable, str(EXAMPLE / "findings.py"), "--check"]
    assert subprocess.run(command, check=False, timeout=240).returncode == 0


def test_a_finding_is_the_same_every_time(findings: dict[int, Found | None], tmp_path: Path) -> None:
    assert PLANTED.judge_bug(7, tmp_path) == findings[7]


def test_all_planted_bugs_are_judged() -> None:
    assert tuple(range(1, 17)) == BUGS


def test_the_source_compiles_without_warnings(tmp_path: Path) -> None:
    command = [
        "gcc",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-o",
        str(tmp_path / "buddy"),
        str(EXAMPLE / "buddy.c"),
    ]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stderr == ""
