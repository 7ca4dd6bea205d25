"""The code of the guide to pages runs, and says what is true."""

import re
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "pages.md"


def test_the_code_of_the_guide_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(blocks) == 4
    exec(compile("\n".join(blocks), str(GUIDE), "exec"), {})


def test_the_table_names_the_clauses_that_break() -> None:
    from linuxmm.model.vm import history, move_race
    from linuxmm.model.vm.page_profile import page_rules
    from linuxmm.spec.kernel import kernel

    rows = re.findall(
        r"\| `(\w+)\.(\w+)`[^|]*\| (?:to|5\.0 to) ([\d.]+) \| `([\w.-]+)` \|", GUIDE.read_text()
    )
    assert len(rows) == 6
    for module, name, last, clause in rows:
        profile = kernel(last)
        if module == "history":
            found = getattr(history, name)(page_rules(profile))
        else:
            found = getattr(move_race, name)(profile)
        assert found.broken.clause == clause
