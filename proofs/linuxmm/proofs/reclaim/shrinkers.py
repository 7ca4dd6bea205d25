"""Theorems about shrinkers: scans and what is deferred have bounds, and nothing deferred is lost."""

from typing import Annotated

from linuxmm.proofs.domain import Integer, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, theorem
from linuxmm.spec.reclaim.shrinker import (
    Asked,
    Quota,
    deferred_twice,
    deferred_unlimited,
    quota_by_priority,
    quota_half_when_light,
    quota_spread,
    quota_twice,
    share_of_priority,
    share_of_scanned,
)

Count = Annotated[int, Integer(least=0)]


def quota_of_era(era: int, asked: Asked) -> Quota:
    """The rules of 2.6.13, 3.0, 4.17 and 5.13, by number."""
    if era == 0:
        return quota_twice(asked)
    if era == 1:
        return quota_half_when_light(asked)
    return quota_by_priority(asked) if era == 2 else quota_spread(asked)


@theorem(
    "reclaim.shrinker.quota",
    "A pass means to scan at most twice the objects of a cache, whatever was deferred.",
    proves=(quota_twice, quota_half_when_light, quota_by_priority, quota_spread, share_of_priority),
    features=("F008",),
    bounds="any number of objects; seeks of 1 and 2, batches of 128, priorities 0, 4 and 12",
    witness={"era": 3, "deferred": 9, "freeable": 5, "seeks": 2, "scanned": 1, "eligible": 7, "priority": 0},
    mutants=(
        Mutant(quota_twice, "has no limit", ", 2 * asked.freeable)", ", 9 * asked.freeable)"),
        Mutant(quota_spread, "has no limit", "2 * asked.freeable", "asked.deferred + 2 * asked.freeable + 9"),
        Mutant(share_of_scanned, "is negative", "4 * scanned", "-4 * scanned"),
    ),
)  # fmt: skip
def limits(
    era: Annotated[int, each(range(4))],
    deferred: Count,
    freeable: Count,
    seeks: Annotated[int, each((1, 2))],
    scanned: Count,
    eligible: Count,
    priority: Annotated[int, each((0, 4, 12))],
) -> bool:
    quota = quota_of_era(era, Asked(deferred, freeable, seeks, 128, scanned, eligible, priority))
    return (quota.total >= 0) & (quota.total <= 2 * freeable) & (quota.delta >= 0)


@theorem(
    "reclaim.shrinker.deferred",
    "What is deferred and what was scanned are together at least what was asked for (since 4.10); since 5.13 "
    "never more than twice the objects are deferred.",
    proves=(deferred_unlimited, deferred_twice),
    features=("F008",),
    witness={"delta": 2, "total": 3, "whole": 9, "scanned": 3, "freeable": 5},
    mutants=(
        Mutant(deferred_unlimited, "forgets", "max(quota.whole - scanned, 0)", "0"),
        Mutant(deferred_twice, "has no limit", ", 2 * freeable)", ", 2 * freeable + scanned + 1)"),
    ),
)  # fmt: skip
def defers(delta: Count, total: Count, whole: Count, scanned: Count, freeable: Count) -> bool:
    assume(scanned <= total)
    quota = Quota(delta, total, whole)
    everything = deferred_unlimited(quota, total - scanned, scanned, freeable)
    some = deferred_twice(quota, total - scanned, scanned, freeable)
    return (everything + scanned >= whole) & (everything >= 0) & (some >= 0) & (some <= 2 * freeable)
