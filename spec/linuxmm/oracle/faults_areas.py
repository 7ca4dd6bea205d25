"""Faults of the areas that are judged beside pages and objects, planted in copies of real captures.

A kernel that lost a page, counted wrongly or told what is not so would have left what these edits leave.
"""

from pathlib import Path
from typing import Final

from linuxmm.oracle.check import check
from linuxmm.oracle.faults_areas_debug import DEBUG_FAULTS
from linuxmm.oracle.faults_areas_defrag import DEFRAG_FAULTS
from linuxmm.oracle.faults_areas_generations import GENERATION_FAULTS
from linuxmm.oracle.faults_areas_large import LARGE_FAULTS
from linuxmm.oracle.faults_areas_memcg import MEMCG_FAULTS
from linuxmm.oracle.faults_areas_pmem import PMEM_FAULTS
from linuxmm.oracle.faults_areas_reclaim import RECLAIM_FAULTS
from linuxmm.oracle.faults_judge import Outcome, judge_area, no_place
from linuxmm.oracle.faults_plant import AreaFault, Change, plant_edits
from linuxmm.oracle.formats.capture import Capture
from linuxmm.spec.errors import LinuxmmError

AREA_FAULTS: Final[dict[str, tuple[AreaFault, ...]]] = {
    "reclaim": (*RECLAIM_FAULTS, *GENERATION_FAULTS),
    "defrag": DEFRAG_FAULTS,
    "memcg": MEMCG_FAULTS,
    "large": LARGE_FAULTS,
    "debug": DEBUG_FAULTS,
    "pmem": PMEM_FAULTS,
}
"""By the area whose judge must notice them."""


def area_fault(area: str, name: str) -> AreaFault:
    """The fault of an area that is called `name`.

    Errors    LinuxmmError naming the faults there are
    """
    for one in AREA_FAULTS[area]:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in AREA_FAULTS[area])
    raise LinuxmmError(f"no fault {name!r} of area {area}; there are {known}")


def change_of(area: str, name: str) -> Change:
    """What a fault of one edit makes of the text of its file.

    Requires  the fault takes no file away
    """
    (edit,) = area_fault(area, name).edits
    assert edit.change is not None
    return edit.change


def looked_at(capture: Capture, area: str) -> frozenset[str]:
    """The clauses that the judge of an area looks at in a capture without a fault."""
    return frozenset(check(capture.path, only=area).judgement.clauses)


def try_area(capture: Capture, area: str, fault: AreaFault, looked: frozenset[str], target: Path) -> Outcome:
    """Plant a fault and judge the copy.

    looked  as of `looked_at`: where the judge does not look, the capture has no place for a fault
    """
    try:
        if unseen := sorted(fault.needs - looked):
            raise LinuxmmError(f"the capture has nothing that {unseen[0]} is about")
        planted = plant_edits(capture, fault.edits, target)
    except LinuxmmError as error:
        return no_place(fault.name, capture, error)
    return judge_area(fault.name, fault.clause, planted, area)
