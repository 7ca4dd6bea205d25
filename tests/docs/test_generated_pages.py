"""Pages of the documentation are computed from registrations, and the build has no warnings."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "_ext"))

from linuxmm_docs import feature_page, generate, md, timeline  # noqa: E402

from linuxmm.oracle.built import built_of  # noqa: E402
from linuxmm.proofs.ledger import entries_by_clause, find_ledger, read_ledger  # noqa: E402
from linuxmm.spec.feature_table import FEATURES, find_feature  # noqa: E402
from linuxmm.spec.invariant import clauses  # noqa: E402
from linuxmm.spec.kernel import behaviours  # noqa: E402
from linuxmm.spec.registry import Built  # noqa: E402


def test_every_feature_and_clause_has_its_place(tmp_path: Path) -> None:
    generate(tmp_path)
    for feature in FEATURES:
        assert (tmp_path / "features" / f"{feature.id}.md").read_text().startswith(f"# {feature.id}: ")
    index = (tmp_path / "clauses.md").read_text()
    for entry in clauses():
        assert f"| `{entry.id}` | {md(entry.sentence)} |" in index
    matrix = (tmp_path / "behaviours.md").read_text()
    for behaviour in behaviours():
        assert f"| `{behaviour.name}` |" in matrix


def test_a_page_that_has_not_changed_is_not_touched_and_a_stray_one_goes(tmp_path: Path) -> None:
    generate(tmp_path)
    page = tmp_path / "claims.md"
    before = page.stat().st_mtime_ns
    stray = tmp_path / "features" / "F999.md"
    stray.write_text("# F999\n")
    generate(tmp_path)
    assert page.stat().st_mtime_ns == before
    assert not stray.exists()


def test_a_claim_with_an_experiment_has_a_page_with_its_plot(tmp_path: Path) -> None:
    generate(tmp_path)
    table = (tmp_path / "claims.md").read_text()
    recorded = sorted(file.stem for file in (ROOT / "docs" / "experiments").glob("*.json"))
    assert len(recorded) >= 8
    for claim in recorded:
        assert f"| [{claim}](claims/{claim}.md) |" in table
        page = (tmp_path / "claims" / f"{claim}.md").read_text()
        assert page.startswith(f"# {claim}: ")
        assert f"]({claim}.svg)" in page
        assert "## Verdict" in page
        assert (tmp_path / "claims" / f"{claim}.svg").read_text().startswith("<?xml")
    assert "| H18 |" in table, "a claim without an experiment has no page"
    assert "single requests | 6.1.192 | 1 | 1 |" in (tmp_path / "claims" / "H03.md").read_text()


def test_the_states_of_a_page_are_found_by_asking_the_rules(tmp_path: Path) -> None:
    generate(tmp_path)
    assert (tmp_path / "page-states.md").read_text().endswith(
        "| unknown | owned | free |\n"
        "| free | owned | forbidden: `alloc.page.double-free` |\n"
        "| owned | forbidden: `alloc.page.double-allocation` | free |\n"
        "| absent | forbidden: `alloc.page.unmanaged` | forbidden: `alloc.page.foreign-free` |\n"
    )  # fmt: skip


def test_a_feature_without_registrations_says_so() -> None:
    page = feature_page(find_feature("F074"), Built((), (), (), (), (), (), ()), {})
    assert page.endswith("Nothing of this feature is specified yet.\n")
    assert "| Releases | since 4.0 |" in page


def test_a_clause_shows_its_proof() -> None:
    have = built_of("F012")
    built = Built(have.clauses, (), (), (), (), (), ())
    some = next(entry for entry in read_ledger(find_ledger()).theorems if entry.result == "proved")
    entries = [
        replace(some, id="alloc.one", clauses=("alloc.buddy.disjoint",)),
        replace(some, id="alloc.two", clauses=("alloc.buddy.disjoint", "alloc.buddy.coalesced")),
        replace(some, id="alloc.small", clauses=("alloc.buddy.disjoint",), result="bounded"),
        replace(some, id="alloc.false", clauses=("alloc.buddy.aligned",), result="refuted"),
    ]
    page = feature_page(find_feature("F012"), built, entries_by_clause(entries))
    assert (
        "| `alloc.buddy.disjoint` | No page lies in two free blocks. | **proved**: `alloc.one`, `alloc.two`; "
        "**bounded**: `alloc.small` |" in page
    )
    assert (
        "| `alloc.buddy.aligned` | Every free block starts at a multiple of its size. | "
        "checked by tests only |" in page
    )


def test_a_timeline_has_a_bar_for_each_release_of_a_behaviour() -> None:
    entry = behaviours()[0]
    drawing = timeline((entry,))
    bars = re.findall(r'fill="#3b6ea5"', drawing)
    labels = re.findall(r"rotate", drawing)
    assert 0 < len(bars) <= len(labels)
    assert entry.name in drawing


def test_text_is_shown_as_it_is() -> None:
    assert md("a_b | <c> `d_e` *f*") == r"a\_b \| \<c\> `d_e` \*f\*"


@pytest.mark.slow
def test_the_documentation_builds_without_warnings(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        "docs",
        str(tmp_path),
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)
    assert result.stderr == ""
    assert result.returncode == 0
    assert (tmp_path / "generated" / "features" / "F012.html").exists()
