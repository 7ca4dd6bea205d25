"""The table of misuses is computed: a row for each, and what it says is what the tools report."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "_ext"))

from misuse_page import misuse_page

from linuxmm.model.debug.matrix import TOOLS
from linuxmm.spec.debug.catalogue import CONTROLS, DISGUISED, MISUSES


def test_every_history_has_a_row_with_a_cell_for_each_tool() -> None:
    lines = misuse_page().splitlines()
    for misuse in (*MISUSES, *CONTROLS, *DISGUISED):
        (row,) = [line for line in lines if line.startswith(f"| `{misuse.id}` |")]
        assert row.count("|") == len(TOOLS) + 3


def test_cells_say_when_and_how_a_tool_reports() -> None:
    lines = misuse_page().splitlines()
    assert (
        "| `page.uaf.bit` | one bit changed in a freed page | at once: use-after-free "
        "| at once: invalid-access | at once: invalid-access | - | - "
        "| at once: BUG: unable to handle page fault for address "
        "| later: pagealloc: single bit error | - | - | - | - |"
    ) in lines
    assert (
        "| `proper.masked` | an object kept by a disguised pointer | - | - | - | - | - | - | - | - "
        "| false alarm: unreferenced object | - | - |"
    ) in lines
    (total,) = [line for line in lines if line.startswith("| | found |")]
    found = (43, 40, 37, 13, 11, 12, 5, 8, 6, 2, 5)
    assert total == f"| | found | {' | '.join(f'{count} of 67' for count in found)} |"
