"""Theorems about memory.min, memory.low and memory.high."""

from typing import Annotated, Final

from linuxmm.proofs.domain import Integer, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, theorem
from linuxmm.spec.memcg.protection import (
    SWAP_CLUSTER_MAX,
    effective_capped,
    effective_shared,
    scan_unprotected,
    scan_unprotected_no_zero,
    shares_kept,
)
from linuxmm.spec.memcg.throttle import delay, overage, penalty_bounded, penalty_of_memory, penalty_with_swap

Pages = Annotated[int, Integer(least=0)]
_FEATURE: Final = ("F060",)


@theorem(
    "memcg.protection.usage",
    "Where the parent's effective protection is at most its usage, no child is protected beyond its usage; "
    "a child's share of what is claimed is in proportion to what it uses of its claim.",
    proves=(effective_shared,),
    clauses=("memcg.protection.share",),
    features=_FEATURE,
    bounds="every number of pages, any number of siblings",
    witness={
        "usage": 60,
        "parent_usage": 100,
        "setting": 10,
        "parent_effective": 50,
        "siblings": 20,
        "recursive": True,
    },
    mutants=(
        Mutant(effective_shared, "shares the setting", "used = min(usage, setting)", "used = setting"),
        Mutant(
            effective_shared,
            "shares what is claimed again",
            "(parent_effective - siblings) * (usage - used)",
            "parent_effective * (usage - used)",
        ),
        Mutant(effective_shared, "gives all that the parent has", "// siblings", "// 1"),
    ),
)
def within_usage(
    usage: Pages,
    parent_usage: Pages,
    setting: Pages,
    parent_effective: Pages,
    siblings: Pages,
    recursive: Annotated[bool, each((False, True))],
) -> bool:
    used = min(usage, setting)
    assume((used <= siblings) & (usage <= parent_usage) & (parent_effective <= parent_usage))
    assume(usage - used <= parent_usage - siblings)
    share = effective_shared(usage, parent_usage, setting, parent_effective, siblings, recursive)
    claimed: bool = implies(
        siblings > parent_effective,
        (share * siblings <= used * parent_effective) & (share <= used),
    )
    rest: bool = implies(
        siblings <= parent_effective,
        (share - used) * (parent_usage - siblings) <= (parent_effective - siblings) * (usage - used),
    )
    return (share >= 0) & (share <= usage) & claimed & rest


@theorem(
    "memcg.protection.capped",
    "Until 5.6 a group's effective protection is at most its setting and at most its parent's.",
    proves=(effective_capped,),
    features=_FEATURE,
    bounds="every number of pages",
    witness={"usage": 60, "parent_usage": 100, "setting": 80, "parent_effective": 50, "siblings": 90},
    mutants=(
        Mutant(effective_capped, "is not capped by the parent", "min(setting, parent_effective)", "setting"),
        Mutant(effective_capped, "is not capped at all", "return min(effective, ", "return max(effective, "),
    ),
)
def capped(
    usage: Pages, parent_usage: Pages, setting: Pages, parent_effective: Pages, siblings: Pages
) -> bool:
    share = effective_capped(usage, parent_usage, setting, parent_effective, siblings, False)
    return (share >= 0) & (share <= setting) & (share <= parent_effective)


@theorem(
    "memcg.protection.scan",
    "What is scanned of a list is at most the list, or one cluster; without protection it is the whole "
    "list, and with it one cluster at least.",
    proves=(scan_unprotected, scan_unprotected_no_zero),
    features=_FEATURE,
    bounds="every number of pages",
    witness={"size": 1000, "group": 3000, "protection": 500, "late": True},
    mutants=(
        Mutant(scan_unprotected, "scans one too many", "return size\n", "return size + 1\n"),
        Mutant(scan_unprotected_no_zero, "scans no cluster", "SWAP_CLUSTER_MAX", "0"),
        Mutant(
            scan_unprotected_no_zero,
            "adds what is protected",
            "size - size * protection",
            "size + size * protection",
        ),
    ),
)
def scans(size: Pages, group: Pages, protection: Pages, late: Annotated[bool, each((False, True))]) -> bool:
    amount = (scan_unprotected_no_zero if late else scan_unprotected)(size, group, protection)
    most = max(size, SWAP_CLUSTER_MAX)
    bare: bool = implies(protection == 0, amount == size)
    some: bool = implies(protection > 0, amount >= SWAP_CLUSTER_MAX)
    return (amount >= 0) & (amount <= most) & bare & some


@theorem(
    "memcg.penalty.bounds",
    "A task sleeps two seconds at most, and owes nothing where there is no overage.",
    proves=(penalty_of_memory, penalty_with_swap, delay),
    clauses=("memcg.penalty.bounds",),
    features=_FEATURE,
    bounds="every overage, HZ of 100, 250, 300, 1000, batches of 32 and 64, charges of 1, 64 and 512 pages",
    witness={"memory": 1 << 20, "swap": 0, "pages": 64, "hz": 250, "batch": 64, "late": True},
    mutants=(
        Mutant(
            penalty_with_swap,
            "is not bounded",
            "return min(delay(memory, pages, hz, batch) + ",
            "return max(delay(memory, pages, hz, batch) + ",
        ),
        Mutant(
            delay,
            "owes without an overage",
            "if most == 0:\n        return 0",
            "if most == 0:\n        return 1",
        ),
        Mutant(penalty_of_memory, "three seconds", "2 * hz", "3 * hz"),
    ),
)
def bounded(
    memory: Pages,
    swap: Pages,
    pages: Annotated[int, each((1, 64, 512))],
    hz: Annotated[int, each((100, 250, 300, 1000))],
    batch: Annotated[int, each((32, 64))],
    late: Annotated[bool, each((False, True))],
) -> bool:
    penalty = (penalty_with_swap if late else penalty_of_memory)(memory, swap, pages, hz, batch)
    return penalty_bounded(penalty, (memory > 0) | (swap > 0), hz)


@theorem(
    "memcg.penalty.overage",
    "There is no overage where usage is within high, and none is negative.",
    proves=(overage,),
    features=_FEATURE,
    bounds="every usage and limit",
    witness={"usage": 120, "high": 100},
    mutants=(
        Mutant(overage, "counts what is within high", "if usage <= high:", "if usage < high - 1:"),
        Mutant(overage, "counts from zero", "return 0", "return usage"),
    ),
)
def no_overage(usage: Pages, high: Pages) -> bool:
    found = overage(usage, high)
    return (found >= 0) & implies(usage <= high, found == 0)


@theorem(
    "memcg.protection.share",
    "Two children are together protected at most as far as their parent is, whatever they claim.",
    proves=(effective_shared, shares_kept),
    clauses=("memcg.protection.share",),
    features=_FEATURE,
    bounds="two children, every usage, setting and protection of the parent",
    witness={
        "usage": 80,
        "setting": 60,
        "other": 30,
        "other_setting": 30,
        "effective": 60,
        "recursive": True,
    },
    mutants=(
        Mutant(effective_shared, "shares by usage", "return used * parent", "return usage * parent"),
        Mutant(effective_shared, "rounds up", "// siblings", "// siblings + 1"),
    ),
)
def two_share(
    usage: Pages,
    setting: Pages,
    other: Pages,
    other_setting: Pages,
    effective: Pages,
    recursive: Annotated[bool, each((False, True))],
) -> bool:
    siblings = min(usage, setting) + min(other, other_setting)
    total = usage + other
    one = effective_shared(usage, total, setting, effective, siblings, recursive)
    two = effective_shared(other, total, other_setting, effective, siblings, recursive)
    return shares_kept((one, two), effective)
