"""The code of the guide to vmalloc and CMA runs, and says what is true."""

import re
from pathlib import Path

from linuxmm.spec.kernel import kernel

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "large.md"


def test_the_code_of_the_guide_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(blocks) == 3
    exec(compile("\n".join(blocks), str(GUIDE), "exec"), {})


def test_the_table_names_the_releases_where_the_search_changes() -> None:
    import linuxmm.model.large.vmalloc as registered
    from linuxmm.spec.kernel import behaviours

    rows = re.findall(r"^\| (?:to )?([\d.]+) \|", GUIDE.read_text(), re.MULTILINE)
    found = [b for b in behaviours() if b.rule == "large.vmalloc-find"]
    assert rows == [str(found[0].until), *(str(b.since) for b in found[1:])]
    assert registered.rules_for(kernel("6.12"), 4).nodes == 4
