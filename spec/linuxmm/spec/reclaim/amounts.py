"""How many pages of a list a pass scans, given the share of its kind; and how the rest is cut short.

Linux: mm/vmscan.c:shrink_zone, get_scan_count, shrink_lruvec.  Seed 2.4.2 (F043).
"""

from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula
from linuxmm.spec.vocabulary import SWAP_CLUSTER_MAX


@behaviour(
    "reclaim.rounding",
    since="2.6.28",
    until="4.19",
    features=("F043",),
    source="mm/vmscan.c:get_scan_count; 2.6.28 to 4.18; 4.19.95 carries the next one",
    replaced_in=("4.19.95",),
)
def rounded_down(pages: int, part: int, denominator: int) -> int:
    """A share of pages, rounded down."""
    return pages * part // denominator


@behaviour(
    "reclaim.rounding",
    since="4.20",
    until="5.5",
    backports=("4.19.95",),
    features=("F043",),
    source="mm/vmscan.c:get_scan_count; 4.19.95, 4.20 to 5.4 (5.5 unconfirmed)",
)
def rounded_up(pages: int, part: int, denominator: int) -> int:
    """A share of pages, rounded up: the last page of a list is scanned some time."""
    return (pages * part + denominator - 1) // denominator


@behaviour(
    "reclaim.rounding",
    since="5.6",
    features=("F043",),
    source="mm/vmscan.c:get_scan_count; 5.7 to 6.12 (5.6 unconfirmed); only dying cgroups round up",
)
def rounded_down_again(pages: int, part: int, denominator: int) -> int:
    """A share of pages, rounded down, for whoever is online."""
    return pages * part // denominator


@behaviour(
    "reclaim.whole-list",
    since="2.6.28",
    until="2.6.30",
    features=("F043",),
    source="mm/vmscan.c:shrink_zone; 2.6.28 (2.6.29, 2.6.30 unconfirmed)",
)
def whole_at_zero(priority: int, swap: bool, swappiness: int) -> bool:
    """Whether the share is not asked, and the whole list scanned: at priority 0, even without swap."""
    return priority == 0


@behaviour(
    "reclaim.whole-list",
    since="2.6.31",
    until="3.4",
    features=("F043",),
    source="mm/vmscan.c:shrink_zone, get_scan_count; 2.6.31 to 3.4",
)
def whole_at_zero_with_swap(priority: int, swap: bool, swappiness: int) -> bool:
    """At priority 0, with swap."""
    return priority == 0 and swap


@behaviour(
    "reclaim.whole-list",
    since="3.5",
    until="3.8",
    features=("F043",),
    source="mm/vmscan.c:get_scan_count; 3.5 (3.6 to 3.8 unconfirmed)",
)
def whole_at_zero_swappy(priority: int, swap: bool, swappiness: int) -> bool:
    """At priority 0, with swap, and not at swappiness 0."""
    return priority == 0 and swap and swappiness != 0


@behaviour(
    "reclaim.whole-list",
    since="3.9",
    features=("F043",),
    source="mm/vmscan.c:get_scan_count; 3.10 to 6.12 (3.9 unconfirmed)",
)
def whole_never(priority: int, swap: bool, swappiness: int) -> bool:
    """The shares say so instead."""
    return False


@behaviour(
    "reclaim.least",
    since="2.6.28",
    until="2.6.39",
    features=("F043",),
    source="mm/vmscan.c:get_scan_count; 2.6.28 to 2.6.39",
)
def least_none(size: int, scan: int, forced: bool) -> int:
    """Short lists are saved up for."""
    return scan


@behaviour(
    "reclaim.least",
    since="3.0",
    until="3.8",
    features=("F043",),
    source="mm/vmscan.c:get_scan_count; 3.4, 3.5 (3.0 to 3.3, 3.6 to 3.8 unconfirmed)",
)
def least_batch(size: int, scan: int, forced: bool) -> int:
    """Where nothing seems reclaimable, a batch of 32 instead of nothing; even of a shorter list."""
    return SWAP_CLUSTER_MAX if forced and not scan else scan


@behaviour(
    "reclaim.least",
    since="3.9",
    features=("F043",),
    source="mm/vmscan.c:get_scan_count; 3.10 to 6.12; since 4.12 only of dying cgroups",
)
def least_batch_of_list(size: int, scan: int, forced: bool) -> int:
    """As before, at most the list."""
    return min(size, SWAP_CLUSTER_MAX) if forced and not scan else scan


@formula("F043", "F060", source="mm/vmscan.c:get_scan_count; 5.15 to 6.12; 5.4 to 5.14 divide by usage")
def unprotected(size: int, protection: int, usage: int) -> int:
    """Pages of a list that a cgroup's protection leaves to reclaim; 32 at least.

    protection  the effective memory.low or memory.min; usage: pages charged, both in pages
    Ensures   size when there is no protection
    """
    if not protection:
        return size
    usage = max(usage, protection)
    return max(size - size * protection // (usage + 1), SWAP_CLUSTER_MAX)


@formula("F043", source="mm/vmscan.c:shrink_lruvec; 3.11 to 6.12")
def left_after_target(target: int, left: int, percentage: int) -> int:
    """Pages of a list still to be scanned once enough were reclaimed: as much as the other kind was.

    target      what was to be scanned at first; left: of it
    percentage  of the other kind that was not scanned
    Ensures   result <= target
    """
    wanted = target * (100 - percentage) // 100
    return wanted - min(wanted, target - left)


@formula("F043", source="mm/vmscan.c:shrink_lruvec; 3.11 to 6.12")
def unscanned_per_cent(left: int, target: int) -> int:
    """How much of a kind's target was not scanned; 100 is never reached."""
    return left * 100 // (target + 1)
