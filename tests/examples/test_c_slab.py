"""The object allocator in C: the clean one passes, every planted bug is found, as the README says."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "c_slab"
sys.path.insert(0, str(ROOT))

from examples.c_slab.findings import BUGS, PLANTED  # noqa: E402
from examples.planted import Found  # noqa: E402

from linuxmm.oracle.cli.application import main  # noqa: E402

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
LONGEST = 10


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Found | None]:
    folder = tmp_path_factory.mktemp("c_slab")
    return {bug: PLANTED.judge_bug(bug, folder) for bug in (0, *BUGS)}


def test_the_clean_one_conforms(findings: dict[int, Found | None]) -> None:
    assert findings[0] is None


@pytest.mark.parametrize("bug", BUGS)
def test_each_bug_is_found_and_reduced_to_a_readable_case(
    bug: int, findings: dict[int, Found | None]
) -> None:
    found = findings[bug]
    assert found is not None
    assert found.clause.startswith("objects.")
    assert 1 <= len(found.operations) <= LONGEST
    assert found.report.count("\n") == len(found.operations)


def test_the_readme_names_the_clauses_that_are_found(findings: dict[int, Found | None]) -> None:
    rows = dict(
        re.findall(r"^\| (\d+) \| .* \| `([\w.-]+)` \| \d+ \|$", (EXAMPLE / "README.md").read_text(), re.M)
    )
    assert {int(bug): clause for bug, clause in rows.items()} == {
        bug: found.clause for bug, found in findings.items() if found is not None
    }


def test_all_planted_bugs_are_judged() -> None:
    assert tuple(range(1, 17)) == BUGS


def test_the_source_compiles_without_warnings_and_is_judged_by_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "slab"
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-DBUG_15"]
    command = ["gcc", *flags, "-o", str(program), str(EXAMPLE / "slab.c")]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stderr == ""
    assert main(["judge", "--objects", "--examples", "40", str(program)]) == 1
    assert capsys.readouterr().out.startswith("diverges: objects.heap.contents: ")


def test_a_program_that_gives_no_answer_breaks_a_clause(capsys: pytest.CaptureFixture[str]) -> None:
    for program in ("/bin/true", "/bin/cat", "/nowhere/at/all"):
        assert main(["judge", "--objects", "--examples", "1", program]) == 1
        assert "alloc.page.no-answer" in capsys.readouterr().out
