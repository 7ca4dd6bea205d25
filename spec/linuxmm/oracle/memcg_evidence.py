"""Judge what a capture shows of control groups: their files while a workload ran, their counters at marks.

Linux: mm/memcontrol.c, mm/page_counter.c.  Seed 2.9 (F060).
"""

from pathlib import Path

from linuxmm.oracle.checker.memcg import judge_memcg, read_snapshots
from linuxmm.oracle.formats import Capture
from linuxmm.oracle.formats.areas import MemcgState, area_state, has_area
from linuxmm.oracle.memcg_states import judge_memcg_state
from linuxmm.oracle.trace_lines import text_of
from linuxmm.spec.verdict import Judgement


def groups_file(capture: Capture) -> Path:
    """Where a workload kept what the files of groups said."""
    return capture.file("data/groups.txt")


def has_memcg(capture: Capture) -> bool:
    """Whether a capture shows anything of control groups."""
    return groups_file(capture).is_file() or any(has_area(capture, mark, "memcg") for mark in capture.marks)


def judge_groups_of(judgement: Judgement, capture: Capture, version: str) -> None:
    """Hold everything against the clauses.

    Errors    BadEvidence for a file that is not what its name says
    """
    file = groups_file(capture)
    if file.is_file():
        lines = text_of(file).splitlines()
        judge_memcg(judgement, read_snapshots(lines, str(file)))
    for mark in capture.marks:
        if has_area(capture, mark, "memcg"):
            state = area_state(capture, mark, "memcg")
            assert isinstance(state, MemcgState)
            judge_memcg_state(judgement, state, mark)
