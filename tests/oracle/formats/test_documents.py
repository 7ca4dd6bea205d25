"""The pages of the formats say what the code does."""

import json
import re
from pathlib import Path

from linuxmm.oracle.formats import concat, open_operations
from linuxmm.oracle.formats.kinds import KIND_OF, Kind
from linuxmm.oracle.formats.schemas import documents

DOCS = Path(__file__).parents[3] / "docs/formats"


def test_generated_files_are_up_to_date() -> None:
    """`python -m linuxmm.oracle.formats.schemas docs/formats` writes them."""
    assert {name: (DOCS / name).read_text() for name in documents()} == documents()


def test_example_of_operations_is_read(tmp_path: Path) -> None:
    example = re.search(r"```json\n(.*?)```", (DOCS / "operations.md").read_text(), re.DOTALL)
    assert example
    (tmp_path / "ops").write_text(example[1])
    events = concat(open_operations(tmp_path / "ops"))
    assert [Kind(k).name for k in events.kind] == ["MM_PAGE_ALLOC", "MM_PAGE_ALLOC", "MARK", "MM_PAGE_FREE"]


def test_every_kind_is_in_the_table() -> None:
    table = documents()["schema/kinds.txt"]
    assert {int(row) for row in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == {int(k) for k in Kind}
    assert {int(kind) for kind in Kind} - {int(Kind.MARK)} == set(KIND_OF)


def test_examples_of_json_are_json() -> None:
    for page in ("capture.md", "archive.md"):
        for example in re.findall(r"```json\n(.*?)```", (DOCS / page).read_text(), re.DOTALL):
            assert json.loads(example)["format"].startswith("linuxmm-")
