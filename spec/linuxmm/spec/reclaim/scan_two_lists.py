"""How far the two lists of a zone are scanned, and when mapped pages are given up (before 2.6.28).

Linux: mm/vmscan.c:shrink_zone, refill_inactive_zone, shrink_active_list.  Seed 2.4.1 (F042).
"""

from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula
from linuxmm.spec.vocabulary import SWAP_CLUSTER_MAX


@formula("F042", "F043", source="mm/vmscan.c:nr_scan_try_batch; 2.6.31 to 2.6.39; in line before")
def batched(saved: int, wanted: int) -> tuple[int, int]:
    """(saved, now): small amounts are saved until they make a batch of 32.

    Ensures   saved + now == old saved + wanted; saved < 32; now is 0 or at least 32
    """
    total = saved + wanted
    if total >= SWAP_CLUSTER_MAX:
        return 0, total
    return total, 0


@formula("F042", source="mm/vmscan.c:shrink_zone; 2.6.11 to 2.6.24")
def wanted_of_list(size: int, priority: int) -> int:
    """Pages of a list that one pass adds to what is to be scanned; one even of an empty list."""
    return (size >> priority) + 1


@formula("F042", source="mm/vmscan.c:refill_inactive_zone, shrink_active_list; 2.6.11 to 2.6.24")
def distress(priority: int) -> int:
    """How hard reclaim finds it, in per cent: 0 at priority 12, 100 at priority 0."""
    return 100 >> priority


@behaviour(
    "reclaim.swap-tendency",
    since="2.6.0",
    until="2.6.18",
    features=("F042",),
    source="mm/vmscan.c:refill_inactive_zone; 2.6.11, 2.6.12, 2.6.18 (to 2.6.10 unconfirmed)",
)
def tendency_of_past(
    previous: int, priority: int, mapped: int, total: int, swappiness: int, active: int, inactive: int
) -> int:
    """The tendency to take mapped pages: of half the mapped share, the last priority's distress, swappiness.

    previous  the priority at which the last reclaim of the zone succeeded
    mapped    pages that are mapped, of `total`
    Requires  total > 0
    """
    return mapped * 100 // total // 2 + distress(previous) + swappiness


@behaviour(
    "reclaim.swap-tendency",
    since="2.6.19",
    until="2.6.22",
    features=("F042",),
    source="mm/vmscan.c:shrink_active_list; 2.6.20, 2.6.22 (2.6.19 unconfirmed)",
)
def tendency_of_both(
    previous: int, priority: int, mapped: int, total: int, swappiness: int, active: int, inactive: int
) -> int:
    """As before, with the worse of the last and the present priority."""
    return mapped * 100 // total // 2 + distress(min(previous, priority)) + swappiness


@behaviour(
    "reclaim.swap-tendency",
    since="2.6.23",
    until="2.6.27",
    features=("F042",),
    source="mm/vmscan.c:shrink_active_list; 2.6.24 (2.6.23, 2.6.25 to 2.6.27 unconfirmed)",
)
def tendency_with_imbalance(
    previous: int, priority: int, mapped: int, total: int, swappiness: int, active: int, inactive: int
) -> int:
    """As before, and more when the active list is many times as long as the inactive one."""
    ratio = mapped * 100 // total
    imbalance = active // (inactive + 1) * (swappiness + 1) // 100 * ratio // 100
    return ratio // 2 + distress(min(previous, priority)) + swappiness + imbalance


@behaviour(
    "reclaim.near-oom",
    since="2.6.0",
    until="2.6.18",
    features=("F042",),
    source="mm/vmscan.c:shrink_active_list; 2.6.11, 2.6.12, 2.6.18",
)
def never_near_oom(scanned: int, lru_pages: int) -> bool:
    """Nothing but the tendency decides."""
    return False


@behaviour(
    "reclaim.near-oom",
    since="2.6.19",
    until="2.6.27",
    features=("F042",),
    source="mm/vmscan.c:zone_is_near_oom; 2.6.20, 2.6.24 (2.6.19, 2.6.25 to 2.6.27 unconfirmed)",
)
def near_oom(scanned: int, lru_pages: int) -> bool:
    """Whether the lists were scanned three times over without a page freed: then mapped pages go too."""
    return scanned >= lru_pages * 3


@formula("F042", source="mm/vmscan.c:shrink_active_list; 2.6.11 to 2.6.24")
def deactivates(mapped: bool, anon: bool, referenced: bool, reclaim_mapped: bool, swap: bool) -> bool:
    """Whether a page at the tail of the active list goes to the inactive one.

    referenced  asked (and cleared) only for a mapped page that would otherwise go
    swap        there is swap at all
    """
    if not mapped:
        return True
    return reclaim_mapped and (swap or not anon) and not referenced
