"""Theorems about the OOM killer's points."""

from typing import Annotated, Final

from linuxmm.proofs.domain import Integer, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import theorem
from linuxmm.spec.reclaim.oom import (
    NEVER,
    OOM_SCORE_ADJ_MIN,
    Task,
    badness_alike,
    badness_in_pages,
    badness_less_three_percent,
    badness_of_rss,
    badness_signed,
    badness_with_tables,
)

Pages = Annotated[int, Integer(least=0)]
Adjust = Annotated[int, Integer(least=-1000, below=1001)]
ERAS: Final = (
    badness_of_rss,
    badness_with_tables,
    badness_in_pages,
    badness_less_three_percent,
    badness_alike,
    badness_signed,
)
SIGNED: Final = len(ERAS) - 1
MEASURES: Final = (0, 999, 4096, 262_144, 8_388_608)


def points_in(era: int, task: Task, total: int) -> int:
    """Points of a task in one era, oldest first."""
    if era == 0:
        return badness_of_rss(task, total)
    if era == 1:
        return badness_with_tables(task, total)
    if era == 2:
        return badness_in_pages(task, total)
    if era == 3:
        return badness_less_three_percent(task, total)
    return badness_alike(task, total) if era < SIGNED else badness_signed(task, total)


@theorem(
    "reclaim.oom.monotone",
    "With more resident memory, and all else equal, a task is not less bad; from 2.6.36 on, in every era.",
    proves=ERAS,
    features=("F004", "F060"),
    bounds="every size and adjustment; memories of 0 to 32 GiB",
    witness={
        "rss": 5,
        "more": 3,
        "swap": 1,
        "tables": 8192,
        "adjust": 10,
        "total": 4096,
        "admin": True,
        "era": 3,
    },
    mutants=(
        Mutant(badness_signed, "subtracts what is resident", "footprint(task) +", "-footprint(task) +"),
        Mutant(badness_less_three_percent, "takes off all", "points * 3 // 100", "points * 103 // 100"),
        Mutant(
            badness_with_tables, "turns the measure round", "task.rss + task.swap", "task.swap - task.rss"
        ),
    ),
)
def monotone(
    rss: Pages,
    more: Pages,
    swap: Pages,
    tables: Pages,
    adjust: Adjust,
    total: Annotated[int, each(MEASURES)],
    admin: Annotated[bool, each((False, True))],
    era: Annotated[int, each(range(len(ERAS)))],
) -> bool:
    before = Task(rss=rss, swap=swap, tables=tables, adjust=adjust, admin=admin)
    after = Task(rss=rss + more, swap=swap, tables=tables, adjust=adjust, admin=admin)
    return points_in(era, before, total) <= points_in(era, after, total)


@theorem(
    "reclaim.oom.spared",
    "A task whose adjustment is -1000 has the points of one that is never chosen; any other has more.",
    proves=ERAS,
    clauses=("reclaim.oom.spared",),
    features=("F004", "F060"),
    bounds="every size and adjustment; memories of 0 to 32 GiB",
    witness={"rss": 5, "swap": 1, "tables": 8192, "adjust": -1000, "total": 4096, "era": 5},
    mutants=(
        Mutant(
            badness_signed,
            "forgets the adjustment",
            "task.adjust == OOM_SCORE_ADJ_MIN or task.spared",
            "task.spared",
        ),
        Mutant(badness_alike, "gives none at all", ", 1)", ", 0)"),
        Mutant(badness_in_pages, "spares another", "task.adjust == OOM_SCORE_ADJ_MIN", "task.adjust == -999"),
    ),
)
def never_chosen(
    rss: Pages,
    swap: Pages,
    tables: Pages,
    adjust: Adjust,
    total: Annotated[int, each(MEASURES)],
    era: Annotated[int, each(range(len(ERAS)))],
) -> bool:
    points = points_in(era, Task(rss=rss, swap=swap, tables=tables, adjust=adjust), total)
    none = NEVER if era == SIGNED else 0
    if adjust == OOM_SCORE_ADJ_MIN:
        return points == none
    return points > none
