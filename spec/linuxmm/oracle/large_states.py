"""Judge the exact states of vmalloc space that a capture holds.

Linux: mm/vmalloc.c, 6.1 to 6.12.  Seed 2.1.3.1 (F035).
"""

from linuxmm.oracle.checker.large import SeenArea, judge_vmalloc
from linuxmm.oracle.formats.areas import VmallocState
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.verdict import Judgement


def judge_vmalloc_state(judgement: Judgement, state: VmallocState, kernel: Kernel, mark: str) -> None:
    """Whether the areas of a state keep the clauses."""
    busy = [SeenArea(a.start, a.end, a.size, a.flags, a.pages, a.frames) for a in state.busy]
    judge_vmalloc(judgement, busy, state.lazy, kernel, f"mark {mark}")
