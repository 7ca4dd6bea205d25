"""The README shows what the demonstration prints, and names only what exists."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from examples.write_readme import BEGIN, DEMO, END, block, demo_output  # noqa: E402

TEXT = (ROOT / "README.md").read_text()


@pytest.mark.skipif(not DEMO.exists(), reason="there is no demonstration in this tree")
def test_the_readme_shows_what_the_demonstration_prints() -> None:
    assert block(demo_output()) in TEXT


def test_the_block_is_marked_once() -> None:
    assert TEXT.count(BEGIN) == TEXT.count(END) == 1


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
