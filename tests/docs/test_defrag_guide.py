"""The code of the guide to defragmentation runs, and its table names releases where something changes."""

import re
from pathlib import Path

from linuxmm.model.defrag import profile
from linuxmm.spec.kernel import behaviours, kernel

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "defragmentation.md"


def test_the_code_of_the_guide_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(blocks) == 3
    exec(compile("\n".join(blocks), str(GUIDE), "exec"), {})


def test_the_table_names_releases_where_compaction_changes() -> None:
    assert profile.rules_for(kernel("6.12")).alloc.max_order == 10
    rows = re.findall(r"^\| ([345]\.\d+) \|", GUIDE.read_text(), re.MULTILINE)
    changes = {str(b.since) for b in behaviours() if b.rule.startswith("defrag.")}
    assert rows == ["3.4", "3.7", "4.6", "4.8", "5.1", "5.9"]
    assert set(rows) - changes == {"5.9"}
