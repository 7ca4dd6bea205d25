"""Contracts on the watermark formulas of `linuxmm.spec.alloc.watermark`."""

from typing import Final

from linuxmm.proofs.crosshair import Condition
from linuxmm.proofs.mutant import Mutant
from linuxmm.spec.alloc.watermark import (
    above_mark,
    low_high_quarters_of_share,
    lowmem_reserve,
    small_zone_min,
    zone_total_reserve,
)


def reserve_grows(upper: int, more: int, managed: int) -> tuple[int, int]:
    """lowmem_reserve is monotone in the memory of the higher zones, at the usual ratio.

    pre: 0 <= upper <= more
    post: __return__[0] <= __return__[1]
    """
    return lowmem_reserve(upper, managed, 256), lowmem_reserve(more, managed, 256)


def small_zone_within(managed: int) -> int:
    """A zone that kernel allocations do not need keeps 32 to 128 pages.

    pre: managed >= 0
    post: 32 <= __return__ <= 128
    """
    return small_zone_min(managed)


def total_within(managed: int, reserve: int, high: int) -> int:
    """The total reserve is at most the zone.

    post: __return__ <= managed
    """
    return zone_total_reserve(managed, reserve, high)


def more_free_passes(usable: int, more: int, mark: int, reserve: int) -> tuple[bool, bool]:
    """The test is monotone in free pages.

    pre: usable <= more
    post: __return__[1] or not __return__[0]
    """
    return above_mark(usable, mark, reserve), above_mark(more, mark, reserve)


def marks_in_order(minimum: int, share: int) -> tuple[int, int]:
    """min <= low <= high.

    pre: share >= 0
    post: minimum <= __return__[0] <= __return__[1]
    """
    return low_high_quarters_of_share(minimum, share, 0, 0)


CONDITIONS: Final = (
    Condition(
        "alloc.watermark.reserve-crosshair",
        "The more memory the higher zones have, the more a zone keeps back, at the usual ratio of 256.",
        reserve_grows,
        (lowmem_reserve,),
        {"upper": 1000, "more": 2000, "managed": 10},
        (
            Mutant(lowmem_reserve, "keeps the remainder", "upper_managed // ratio", "upper_managed % ratio"),
            Mutant(lowmem_reserve, "subtracts", "return upper_managed", "return -upper_managed"),
        ),
        ("F003", "F017"),
        "any memory size, ratio 256",
    ),
    Condition(
        "alloc.watermark.small-zone-crosshair",
        "A zone that kernel allocations do not need keeps 32 to 128 pages.",
        small_zone_within,
        (small_zone_min,),
        {"managed": 100000},
        (
            Mutant(small_zone_min, "has a higher limit", "128", "129"),
            Mutant(small_zone_min, "has no floor", "SWAP_CLUSTER_MAX", "0"),
        ),
        ("F017",),
        "any memory size",
    ),
    Condition(
        "alloc.watermark.total-crosshair",
        "What user space cannot count on is at most the zone.",
        total_within,
        (zone_total_reserve,),
        {"managed": 100, "reserve": 10, "high": 20},
        (
            Mutant(zone_total_reserve, "may exceed the zone", "min(managed, ", "max(managed, "),
            Mutant(zone_total_reserve, "forgets the zone", "min(managed, ", "max(0, "),
        ),
        ("F017",),
        "any memory size",
    ),
    Condition(
        "alloc.watermark.test-crosshair",
        "If the watermark test passes it passes with more free pages.",
        more_free_passes,
        (above_mark,),
        {"usable": 10, "more": 20, "mark": 3, "reserve": 2},
        (
            Mutant(above_mark, "turns the test round", "usable_free > mark", "usable_free < mark"),
            Mutant(above_mark, "wants equality", "usable_free > mark", "usable_free == mark"),
        ),
        ("F017",),
        "any memory size",
    ),
    Condition(
        "alloc.watermark.order-crosshair",
        "min <= low <= high with the distances of 2.6.17 to 4.5.",
        marks_in_order,
        (low_high_quarters_of_share,),
        {"minimum": 10, "share": 40},
        (
            Mutant(low_high_quarters_of_share, "swaps the distances", "share >> 2", "share"),
            Mutant(low_high_quarters_of_share, "subtracts", "(share >> 2)", "(-share >> 2)"),
        ),
        ("F017",),
        "any memory size",
    ),
)
