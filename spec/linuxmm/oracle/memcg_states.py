"""Judge the control groups that a capture's exact states hold.

Linux: mm/memcontrol.c, 6.1 to 6.12.  Seed 2.9 (F060).
"""

from linuxmm.oracle.checker.memcg import Counted, Group, judge_groups
from linuxmm.oracle.formats.areas import MemcgState
from linuxmm.spec.verdict import Judgement


def judge_memcg_state(judgement: Judgement, state: MemcgState, mark: str) -> None:
    """Whether the counters and events of a state keep the clauses."""
    groups = [
        Group(
            group.path,
            {name: Counted(each.usage, each.max, each.watermark) for name, each in group.counters.items()},
            group.events,
        )
        for group in state.groups
    ]
    judge_groups(judgement, groups, state.unified, mark)
