"""The code of the guides runs, and says what is true."""

import re
from pathlib import Path

import pytest

from linuxmm.spec.kernel import kernel

GUIDES = Path(__file__).parents[2] / "docs" / "guide"


@pytest.mark.parametrize(("name", "blocks"), [("large", 3), ("objects", 2), ("reclaim", 6), ("groups", 6)])
def test_the_code_of_a_guide_runs(name: str, blocks: int) -> None:
    guide = GUIDES / f"{name}.md"
    found = re.findall(r"```python\n(.*?)```", guide.read_text(), re.DOTALL)
    assert len(found) == blocks
    exec(compile("\n".join(found), str(guide), "exec"), {})


def test_the_table_names_the_releases_where_the_search_changes() -> None:
    import linuxmm.model.large.vmalloc as registered
    from linuxmm.spec.kernel import behaviours

    rows = re.findall(r"^\| (?:to )?([\d.]+) \|", (GUIDES / "large.md").read_text(), re.MULTILINE)
    found = [b for b in behaviours() if b.rule == "large.vmalloc-find"]
    assert rows == [str(found[0].until), *(str(b.since) for b in found[1:])]
    assert registered.rules_for(kernel("6.12"), 4).nodes == 4
