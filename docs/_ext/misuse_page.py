"""The page of misuses: which debugging tool finds which, and when, by running the catalogue through them."""

from typing import Final

from linuxmm.model.debug.matrix import TOOLS, When, judge
from linuxmm.spec.debug.catalogue import CONTROLS, DISGUISED, MISUSES
from linuxmm.spec.debug.history import Misuse

_HEADER: Final = """# Misuse by tool

Every row is a small history of requests, accesses and frees with one misuse in it, put before the model of
each tool. **at once**: reported at the misuse itself. **later**: reported at a later event of the history.
A dash: not reported. Each tool places the blocks of a history in its own way, KASAN with redzones between
them. KASAN goes on after a report. Tags come from its generator, begun with 1, or from the processor in
turn: two blocks that have the same tag by chance hide a misuse, once in 254, in hardware once in 14. The
machine has 1 GiB of memory and one CPU. Under *first filters* fault injection refuses every request that its
filters let through after boot; under *no filters* `ignore-gfp-wait` is off and `min-order` is 0. Both refuse
with probability 100, without limit.
"""
_PROPER: Final = """## Proper histories

What raises no alarm, and what looks like a leak to a scan for pointers although it is none.
"""


def misuse_page() -> str:
    """The page, from the catalogue and the tools."""
    rows = [_row(misuse) for misuse in MISUSES]
    counts = " | ".join(
        f"{sum(judge(misuse, tool).when is not When.NEVER for misuse in MISUSES)} of {len(MISUSES)}"
        for tool in TOOLS.values()
    )
    table = "\n".join((*_head(), *rows, f"| | found | {counts} |"))
    proper = "\n".join((*_head(), *(_row(misuse) for misuse in (*CONTROLS, *DISGUISED))))
    return f"{_HEADER}\n{table}\n\n{_PROPER}\n{proper}\n"


def _head() -> tuple[str, str]:
    columns = ("misuse", "what happens", *TOOLS)
    return f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)


def _row(misuse: Misuse) -> str:
    cells = []
    for tool in TOOLS.values():
        found = judge(misuse, tool)
        if found.report is None:
            cells.append("-")
        else:
            cells.append(f"{found.when.value}: {found.report.kind}")
    return f"| `{misuse.id}` | {misuse.title} | {' | '.join(cells)} |"
