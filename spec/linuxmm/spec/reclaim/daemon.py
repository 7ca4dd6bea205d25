"""When the reclaim daemon may sleep, how much it wants at once, and who waits for it.

Linux: mm/vmscan.c:balance_pgdat, pgdat_balanced, too_many_isolated, allow_direct_reclaim.
Seed 2.1.1.3, 2.4.1 (F015, F017, F042).
"""

from typing import Final, NamedTuple

from linuxmm.spec.kernel import behaviour
from linuxmm.spec.reclaim.lists import MAX_RECLAIM_RETRIES
from linuxmm.spec.registry import formula
from linuxmm.spec.vocabulary import SWAP_CLUSTER_MAX

GAP_RATIO: Final = 100
"""KSWAPD_ZONE_BALANCE_GAP_RATIO."""


class ZoneLook(NamedTuple):
    """A zone, as the daemon looks at it.

    managed      pages (before 3.9: present pages); a zone without is not there
    balanced     its free pages pass the high watermark for the order in question
    hopeless     nothing could be reclaimed of it for long (until 4.7)
    """

    managed: int
    balanced: bool
    hopeless: bool


@behaviour(
    "reclaim.node-balanced",
    since="2.6.0",
    until="2.6.37",
    features=("F042",),
    source="mm/vmscan.c:sleeping_prematurely; 2.6.34 to 2.6.37; balance_pgdat; 2.6.11 to 2.6.32",
)
def balanced_everywhere(zones: tuple[ZoneLook, ...], order: int) -> bool:
    """Whether a node needs no reclaim: every zone is balanced, or hopeless."""
    fine = True
    for zone in zones:
        fine = fine and (not zone.managed or zone.hopeless or zone.balanced)
    return fine


@behaviour(
    "reclaim.node-balanced",
    since="2.6.38",
    until="3.0",
    features=("F042",),
    source="mm/vmscan.c:pgdat_balanced; 2.6.39 (2.6.38, 3.0 unconfirmed)",
)
def balanced_above_quarter(zones: tuple[ZoneLook, ...], order: int) -> bool:
    """For large blocks, zones with more than a quarter of the node's pages are enough."""
    if order == 0:
        return balanced_everywhere(zones, order)
    return _balanced_pages(zones) > _pages(zones) >> 2


@behaviour(
    "reclaim.node-balanced",
    since="3.1",
    until="4.7",
    features=("F042",),
    source="mm/vmscan.c:pgdat_balanced; 3.4 to 4.7 (3.1 to 3.3 unconfirmed)",
)
def balanced_from_quarter(zones: tuple[ZoneLook, ...], order: int) -> bool:
    """As before; a quarter is enough."""
    if order == 0:
        return balanced_everywhere(zones, order)
    return _balanced_pages(zones) >= _pages(zones) >> 2


@behaviour(
    "reclaim.node-balanced",
    since="4.8",
    until="4.11",
    features=("F015",),
    source="mm/vmscan.c:prepare_kswapd_sleep; 4.9, 4.10 (4.8, 4.11 unconfirmed)",
)
def balanced_all(zones: tuple[ZoneLook, ...], order: int) -> bool:
    """Every zone that the request could use is balanced; none is hopeless by itself any more."""
    fine = True
    for zone in zones:
        fine = fine and (not zone.managed or zone.balanced)
    return fine


@behaviour(
    "reclaim.node-balanced",
    since="4.12",
    features=("F015",),
    source="mm/vmscan.c:pgdat_balanced; 4.12 to 6.12",
)
def balanced_somewhere(zones: tuple[ZoneLook, ...], order: int) -> bool:
    """One zone that the request could use is; or there is no zone at all."""
    there = False
    for zone in zones:
        if zone.managed and zone.balanced:
            return True
        there = there or zone.managed > 0
    return not there


def _pages(zones: tuple[ZoneLook, ...]) -> int:
    pages = 0
    for zone in zones:
        pages += zone.managed
    return pages


def _balanced_pages(zones: tuple[ZoneLook, ...]) -> int:
    pages = 0
    for zone in zones:
        if zone.balanced or zone.hopeless:
            pages += zone.managed
    return pages


@formula("F042", source="mm/vmscan.c:kswapd_shrink_zone; 3.11 to 4.7")
def balance_gap(low: int, managed: int) -> int:
    """How far above the high watermark a zone is reclaimed, so that zones age alike."""
    return min(low, (managed + GAP_RATIO - 1) // GAP_RATIO)


@formula("F015", "F042", source="mm/vmscan.c:kswapd_shrink_zone, kswapd_shrink_node; 3.13 to 6.12")
def target_of(high: int) -> int:
    """Pages that the daemon wants of a zone in one round; since 4.8 the sum over the node's zones."""
    return max(SWAP_CLUSTER_MAX, high)


@formula("F042", source="mm/vmscan.c:balance_pgdat; 4.8 to 6.12")
def next_priority(priority: int, scanned: int, wanted: int, reclaimed: int) -> int:
    """The daemon's next priority: lower (harder) unless enough was scanned and something was freed.

    Ensures   priority - 1 <= result <= priority
    """
    return priority if scanned >= wanted and reclaimed else priority - 1


@formula("F042", source="mm/vmscan.c:balance_pgdat; 4.12 to 6.12")
def failures_after(failures: int, reclaimed: int) -> int:
    """Runs in a row that freed nothing; shrink_node resets them on any success."""
    return 0 if reclaimed else failures + 1


@formula("F042", source="mm/vmscan.c:kswapd, prepare_kswapd_sleep; 4.12 to 6.12")
def gave_up(failures: int) -> bool:
    """Whether the daemon leaves a node to direct reclaim."""
    return failures >= MAX_RECLAIM_RETRIES


@behaviour(
    "reclaim.too-many-isolated",
    since="2.6.32",
    until="3.8",
    features=("F042",),
    source="mm/vmscan.c:too_many_isolated; 2.6.32 to 3.5 (3.6 to 3.8 unconfirmed)",
)
def too_many_above(inactive: int, isolated: int, may_do_io: bool) -> bool:
    """Whether a direct reclaimer waits: more pages are isolated than are left on the list."""
    return isolated > inactive


@behaviour(
    "reclaim.too-many-isolated",
    since="3.9",
    features=("F042",),
    source="mm/vmscan.c:too_many_isolated; 3.10 to 6.12 (3.9 unconfirmed)",
)
def too_many_above_eighth(inactive: int, isolated: int, may_do_io: bool) -> bool:
    """As before; whoever may do I/O and enter file systems waits at an eighth, to let the others through.

    Ensures   whoever may not do I/O never waits where whoever may does not
    """
    return isolated > (inactive >> 3 if may_do_io else inactive)


@formula("F042", source="mm/vmscan.c:allow_direct_reclaim; 3.6 to 6.12")
def reserve_is_fine(free: int, reserve: int) -> bool:
    """Whether direct reclaimers go on: more than half of the min watermarks of low zones is free.

    reserve  sum of the min watermarks of zones up to NORMAL that have something to reclaim
    """
    return reserve == 0 or free > reserve // 2


@formula("F039", "F042", source="mm/internal.h:compact_gap; 4.8 to 6.12")
def compact_gap(order: int) -> int:
    """Free pages that compaction needs to work with: twice the block."""
    return 2 << order
