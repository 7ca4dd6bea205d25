"""Theorems about the passes of 2.4: they look at no more than there is, and keep the share they promise."""

from typing import Annotated

from linuxmm.proofs.domain import Integer, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import implies, theorem
from linuxmm.spec.reclaim.scan_2_4 import (
    DEF_PRIORITY,
    refill_by_ratio,
    refill_by_thirds,
    room_by_priority,
    scan_by_priority,
    scan_by_ratio,
)

Pages = Annotated[int, Integer(least=0)]
Priority = Annotated[int, each(range(1, DEF_PRIORITY + 1))]


@theorem(
    "reclaim.2-4.scan-bounded",
    "A pass looks at no more inactive pages than there are, at all of them in the last, and leaves room "
    "for a tenth of them in use at most; by ratio it looks at no more than both lists hold.",
    proves=(scan_by_priority, scan_by_ratio, room_by_priority),
    features=("F042",),
    witness={"inactive": 60, "active": 120, "wanted": 32, "priority": 6},
    mutants=(
        Mutant(scan_by_priority, "multiplies", "inactive // priority", "inactive * priority"),
        Mutant(room_by_priority, "takes the larger", "min(", "max("),
        Mutant(scan_by_ratio, "multiplies", "// VM_CACHE_SCAN_RATIO", "* VM_CACHE_SCAN_RATIO"),
    ),
)
def scan_bounded(inactive: Pages, active: Pages, wanted: Pages, priority: Priority) -> bool:
    scans = scan_by_priority(inactive, active, priority)
    by_ratio = scan_by_ratio(inactive, active, priority)
    room = room_by_priority(wanted, scans, priority)
    whole = (scans == inactive) if priority == 1 else (scans <= inactive)
    return whole & (scans >= 0) & (room >= 0) & (room * 10 <= scans) & (by_ratio <= inactive + active)


@theorem(
    "reclaim.2-4.refill-share",
    "While at most two thirds of the pages are active, no more are taken down than are wanted, and otherwise "
    "no fewer: the active list tends to two thirds.",
    proves=(refill_by_thirds, refill_by_ratio),
    features=("F042",),
    bounds="every number of wanted pages from 1 to 32",
    witness={"wanted": 32, "active": 202, "inactive": 100},
    mutants=(
        Mutant(refill_by_thirds, "aims at one half", "(inactive + 1) * 2", "(inactive + 1)"),
        Mutant(refill_by_ratio, "aims at one half", "VM_LRU_BALANCE_RATIO + 1", "1 + 1"),
    ),
)
def refill_share(wanted: Annotated[int, each(range(1, 33))], active: Pages, inactive: Pages) -> bool:
    by_thirds = refill_by_thirds(wanted, active, inactive)
    by_ratio = refill_by_ratio(wanted, active, inactive)
    few = implies(active <= 2 * inactive, (by_thirds <= wanted) & (by_ratio <= wanted))
    return few & implies(active >= 2 * inactive + 2, (by_thirds >= wanted) & (by_ratio >= wanted))
