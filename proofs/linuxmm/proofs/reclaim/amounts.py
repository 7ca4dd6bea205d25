"""Theorems about how much is scanned: never more than there is, and nothing anonymous at swappiness 0."""

from typing import Annotated

from linuxmm.proofs.domain import Integer, Truth, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, theorem
from linuxmm.spec.reclaim.amounts import (
    least_batch_of_list,
    left_after_target,
    rounded_down,
    rounded_up,
    unscanned_per_cent,
)
from linuxmm.spec.reclaim.daemon import next_priority, too_many_above_eighth
from linuxmm.spec.reclaim.inactive import is_low
from linuxmm.spec.reclaim.scan_two_lists import batched
from linuxmm.spec.reclaim.shares import (
    Pressure,
    Shares,
    aged,
    file_is_tiny,
    in_fractions,
    in_per_cent,
    shares_none_at_zero,
    shares_of_cost,
    shares_of_success,
    shares_sparing_anon,
    shares_sparing_anon_if_scanned,
    weights_of_cost,
    weights_of_success,
)

Pages = Annotated[int, Integer(least=0)]
Flag = Annotated[bool, Truth()]


def shares_of_era(era: int, p: Pressure) -> Shares:
    """The rules of 3.5, 3.9, 4.4, 4.15 and 5.8, by number."""
    if era == 0:
        return shares_none_at_zero(p)
    if era == 1:
        return shares_sparing_anon(p)
    if era == 2:
        return shares_sparing_anon_if_scanned(p)
    return shares_of_success(p) if era == 3 else shares_of_cost(p)


@theorem(
    "reclaim.amount.bounded",
    "A share of a list is at most the list, whichever way it is rounded, and so is the least that is "
    "scanned of a list.",
    proves=(rounded_down, rounded_up, least_batch_of_list),
    features=("F043",),
    witness={"size": 10, "part": 1, "rest": 2, "up": True, "forced": False},
    mutants=(
        Mutant(rounded_down, "multiplies by the whole", "part // denominator", "denominator // (part + 1)"),
        Mutant(rounded_up, "rounds too far", "denominator - 1", "denominator"),
        Mutant(
            least_batch_of_list, "scans beyond the list", "min(size, SWAP_CLUSTER_MAX)", "SWAP_CLUSTER_MAX"
        ),
    ),
)
def bounded(size: Pages, part: Pages, rest: Pages, up: Flag, forced: Flag) -> bool:
    assume(part + rest > 0)
    share = rounded_up(size, part, part + rest) if up else rounded_down(size, part, part + rest)
    least = least_batch_of_list(size, 0, forced)
    return (share >= 0) & (share <= size) & (least >= 0) & (least <= size)


@theorem(
    "reclaim.shares.whole",
    "Neither share is more than the whole, and the parts of per cents and of fractions add up to at "
    "most one.",
    proves=(in_per_cent, in_fractions),
    features=("F043",),
    witness={"anon": 119, "file": 559},
    mutants=(
        Mutant(in_per_cent, "counts in thousands", "percent = 100 * anon", "percent = 1000 * anon"),
        Mutant(in_fractions, "leaves out files", "anon + file + 1", "anon + 1"),
    ),
)
def whole(anon: Pages, file: Pages) -> bool:
    def sound(shares: Shares) -> bool:
        positive = (shares.anon >= 0) & (shares.file >= 0) & (shares.denominator > 0)
        return positive & (shares.anon + shares.file <= shares.denominator)

    return sound(in_per_cent(anon, file)) & sound(in_fractions(anon, file))


@theorem(
    "reclaim.shares.swappiness-zero",
    "At swappiness 0 no rule since 3.5 gives anonymous pages a share, unless giving up every file "
    "page would not satisfy the high watermark.",
    proves=(
        shares_none_at_zero,
        shares_sparing_anon,
        shares_sparing_anon_if_scanned,
        shares_of_success,
        shares_of_cost,
        weights_of_success,
        weights_of_cost,
        file_is_tiny,
    ),
    features=("F043",),
    bounds="every cost and success; priorities 0 and 3; inactive lists of 0 and 5000 pages",
    witness={
        "era": 4, "priority": 3, "swap": True, "whole": True, "free": 1, "high": 0, "inactive_anon": 0,
        "inactive_file": 0, "file": 2, "past_anon": 1, "past_file": 1, "rotated": 0, "anon_low": True,
        "file_low": True, "trims": True,
    },
    mutants=(
        Mutant(weights_of_success, "adds one", "p.swappiness * (p", "(p.swappiness + 1) * (p"),
        Mutant(weights_of_cost, "adds one", "p.swappiness * (total", "(p.swappiness + 1) * (total"),
        Mutant(file_is_tiny, "asks nothing", "p.file + p.free <= p.high", "True"),
    ),
)  # fmt: skip
def spares(
    era: Annotated[int, each(range(5))],
    priority: Annotated[int, each((0, 3))],
    swap: Flag,
    whole: Flag,
    free: Pages,
    high: Pages,
    inactive_anon: Annotated[int, each((0, 5000))],
    inactive_file: Annotated[int, each((0, 5000))],
    file: Pages,
    past_anon: Pages,
    past_file: Pages,
    rotated: Pages,
    anon_low: Flag,
    file_low: Flag,
    trims: Flag,
) -> bool:
    p = Pressure(
        0, priority, swap, whole, free, high, inactive_anon, inactive_file, inactive_anon, file, past_anon,
        past_file, rotated, rotated, past_anon, past_file, anon_low, file_low, trims,
    )  # fmt: skip
    shares = shares_of_era(era, p)
    tiny: bool = whole & (file + free <= high)
    return (shares.anon == 0) | tiny


@theorem(
    "reclaim.shares.cost-sound",
    "Shares by cost have a denominator, and together are all of it.",
    proves=(weights_of_cost,),
    features=("F043",),
    bounds="every cost; swappiness 0, 1, 60, 100, 199 and 200",
    witness={"swappiness": 60, "cost_anon": 100, "cost_file": 900},
    mutants=(
        Mutant(weights_of_cost, "forgets files", "(MAX_SWAPPINESS - p.swappiness)", "0"),
        Mutant(weights_of_cost, "loses the rest", "p.swappiness * (total + 1)", "p.swappiness * anon_cost"),
    ),
)
def by_cost(
    swappiness: Annotated[int, each((0, 1, 60, 100, 199, 200))], cost_anon: Pages, cost_file: Pages
) -> bool:
    p = Pressure(
        swappiness, 1, True, True, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, cost_anon, cost_file, True, True, True
    )
    anon, file = weights_of_cost(p)
    halves = (anon >= swappiness) & (file >= 200 - swappiness)
    return (anon >= 0) & (file >= 0) & (anon + file > 0) & halves


@theorem(
    "reclaim.saved",
    "Saving small scans up loses no page: what is saved and what is scanned add up, and less than a "
    "batch is saved.",
    proves=(batched,),
    features=("F042", "F043"),
    witness={"saved": 3, "wanted": 30},
    mutants=(
        Mutant(batched, "forgets", "return total, 0", "return 0, 0"),
        Mutant(batched, "keeps a batch", "total >= SWAP_CLUSTER_MAX", "total > SWAP_CLUSTER_MAX"),
    ),
)
def saves(saved: Pages, wanted: Pages) -> bool:
    assume(saved < 32)
    left, now = batched(saved, wanted)
    return (left + now == saved + wanted) & (left >= 0) & (left < 32) & ((now == 0) | (now >= 32))


@theorem(
    "reclaim.inactive.monotone",
    "More inactive or fewer active pages never make the inactive list low, and an empty active list "
    "never does.",
    proves=(is_low,),
    features=("F043",),
    witness={"inactive": 1, "active": 9, "ratio": 3, "more": 1, "less": 1},
    mutants=(
        Mutant(is_low, "is the other way", "inactive * ratio < active", "inactive * ratio > active"),
        Mutant(is_low, "counts equal lists", "inactive * ratio < active", "inactive * ratio <= active"),
    ),
)
def monotone(inactive: Pages, active: Pages, ratio: Pages, more: Pages, less: Pages) -> bool:
    assume((ratio >= 1) & (less <= active))
    grown = is_low(inactive + more, active - less, ratio)
    return implies(grown, is_low(inactive, active, ratio)) & (is_low(inactive, 0, ratio) ^ True)


@theorem(
    "reclaim.statistics.aged",
    "What was rotated of late is never more than what was scanned, after halving as well.",
    proves=(aged,),
    features=("F043",),
    witness={"scanned": 9, "rotated": 3, "pages": 8},
    mutants=(
        Mutant(aged, "halves one", "scanned // 2, rotated // 2", "scanned // 2, rotated"),
        Mutant(aged, "mixes them up", "return scanned, rotated", "return rotated, scanned"),
    ),
)
def ages(scanned: Pages, rotated: Pages, pages: Pages) -> bool:
    assume(rotated <= scanned)
    after, turned = aged(scanned, rotated, pages)
    return (turned >= 0) & (turned <= after) & (after <= scanned)


@theorem(
    "reclaim.adjust.bounded",
    "Once enough is freed, a list is scanned no further than it was to be, and of the other kind a "
    "part below 100 per cent is left.",
    proves=(left_after_target, unscanned_per_cent),
    features=("F043",),
    witness={"target": 100, "left": 90, "other": 50, "rest": 20},
    mutants=(
        Mutant(left_after_target, "starts anew", "wanted - min(wanted, target - left)", "wanted + target"),
        Mutant(unscanned_per_cent, "reaches 100", "(target + 1)", "target"),
    ),
)
def adjusts(target: Pages, left: Pages, other: Pages, rest: Pages) -> bool:
    assume((left <= target) & (rest <= other) & (other > 0))
    percentage = unscanned_per_cent(rest, other)
    after = left_after_target(target, left, percentage)
    return (percentage >= 0) & (percentage < 100) & (after >= 0) & (after <= left)


@theorem(
    "reclaim.priority.steps",
    "The daemon's priority falls by one or stays, and stays only when something was freed.",
    proves=(next_priority,),
    features=("F042",),
    witness={"priority": 12, "scanned": 3, "wanted": 9, "reclaimed": 0},
    mutants=(
        Mutant(
            next_priority, "stays without success", "scanned >= wanted and reclaimed", "scanned >= wanted"
        ),
        Mutant(next_priority, "falls by two", "priority - 1", "priority - 2"),
    ),
)
def steps(priority: Pages, scanned: Pages, wanted: Pages, reclaimed: Pages) -> bool:
    after = next_priority(priority, scanned, wanted, reclaimed)
    stays = (after == priority) & (reclaimed > 0) & (scanned >= wanted)
    return stays | (after == priority - 1)


@theorem(
    "reclaim.throttle.order",
    "Whoever may not do I/O waits for isolated pages only where whoever may waits too.",
    proves=(too_many_above_eighth,),
    features=("F042",),
    witness={"inactive": 80, "isolated": 81},
    mutants=(
        Mutant(too_many_above_eighth, "is the other way", "if may_do_io", "if not may_do_io"),
        Mutant(too_many_above_eighth, "lets everybody wait", "isolated > (", "isolated >= 0 * ("),
    ),
)
def throttles(inactive: Pages, isolated: Pages) -> bool:
    free = too_many_above_eighth(inactive, isolated, False)
    held = too_many_above_eighth(inactive, isolated, True)
    return implies(free, held) & implies(held, isolated > inactive // 8)
