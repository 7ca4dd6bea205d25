"""What is handed to the reclaim daemon: how large a block, for which zones; when it wakes, naps and sleeps.

A request that finds too little memory notes its order and its highest zone with the node, and wakes the
daemon if it sleeps.  The daemon takes both over, and leaves the node without a wish.  Zones are numbers;
NO_ZONE says that nobody asked.

Linux: mm/vmscan.c:wakeup_kswapd, kswapd, kswapd_try_to_sleep.  Seed 2.1.1.3, 2.4.1 (F015, F017, F042).
2.6.0 to 6.12.
"""

from typing import Final, NamedTuple

from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.reclaim.daemon import compact_gap
from linuxmm.spec.registry import formula

NO_ZONE: Final = -1
DEF_PRIORITY: Final = 12
NAP: Final = 10
"""HZ divided by this is how long the daemon naps before it sleeps."""


class Wish(NamedTuple):
    """What a node's daemon is asked for: kswapd_order, kswapd_highest_zoneidx (or their older names)."""

    order: int
    zone: int


# ---- what a request notes ----------------------------------------------------------------------------------


@behaviour(
    "reclaim.kswapd.wish",
    since="2.6.0",
    until="2.6.37",
    features=("F042",),
    source="mm/vmscan.c:wakeup_kswapd; 2.6.11, 2.6.24 (2.6.37 unconfirmed)",
)
def wish_order(wish: Wish, order: int, zone: int) -> Wish:
    """The larger order; the daemon looks at every zone."""
    return Wish(max(wish.order, order), NO_ZONE)


@behaviour(
    "reclaim.kswapd.wish",
    since="2.6.38",
    until="4.7",
    features=("F042",),
    source="mm/vmscan.c:wakeup_kswapd; 3.10, 4.4 from memory",
)
def wish_lower_zone(wish: Wish, order: int, zone: int) -> Wish:
    """A larger order brings its zone along, unless a lower one is noted."""
    if order <= wish.order:
        return wish
    return Wish(order, zone if wish.zone == NO_ZONE else min(wish.zone, zone))


@behaviour(
    "reclaim.kswapd.wish",
    since="4.8",
    features=("F042",),
    source="mm/vmscan.c:wakeup_kswapd; 6.1, 6.12; 4.8 to 5.15 from memory",
)
def wish_both(wish: Wish, order: int, zone: int) -> Wish:
    """The larger order and the higher zone, each by itself."""
    return Wish(max(wish.order, order), max(wish.zone, zone))


@behaviour(
    "reclaim.kswapd.zone",
    since="2.6.0",
    until="4.7",
    features=("F042",),
    source="mm/vmscan.c:kswapd; 2.6.24; 3.10, 4.4 from memory",
)
def zone_or_highest(wish: int, previous: int, highest: int) -> int:
    """The zone up to which the daemon reclaims: what is noted, else every zone."""
    return highest if wish == NO_ZONE else wish


@behaviour(
    "reclaim.kswapd.zone",
    since="4.8",
    until="4.11",
    features=("F042",),
    source="mm/vmscan.c:kswapd; 4.9, 4.10 from memory",
)
def zone_or_lowest(wish: int, previous: int, highest: int) -> int:
    """What is noted, else the lowest zone: a daemon that could not sleep forgets what it was for."""
    return max(wish, 0)


@behaviour(
    "reclaim.kswapd.zone",
    since="4.12",
    until="5.2",
    features=("F042",),
    source="mm/vmscan.c:kswapd_classzone_idx; 4.14, 4.19 from memory",
)
def zone_or_more(wish: int, previous: int, highest: int) -> int:
    """The higher of what is noted and what the daemon was at."""
    return max(wish, previous)


@behaviour(
    "reclaim.kswapd.zone",
    since="5.3",
    features=("F042",),
    source="mm/vmscan.c:kswapd_highest_zoneidx; 6.1, 6.12; 5.3 to 5.15 from memory",
)
def zone_or_previous(wish: int, previous: int, highest: int) -> int:
    """What is noted, else what the daemon was at."""
    return previous if wish == NO_ZONE else wish


# ---- whether a request wakes it ----------------------------------------------------------------------------


class Asker(NamedTuple):
    """What a request sees that asks for the daemon.

    low       its zone passes the low watermark for the order
    balanced  the node needs no reclaim for the order, up to the zone
    boosted   a zone up to it has a boosted watermark
    hopeless  the daemon gave up on the node
    """

    low: bool
    balanced: bool
    boosted: bool
    hopeless: bool


@behaviour(
    "reclaim.kswapd.wakes",
    since="2.6.0",
    until="4.7",
    features=("F042",),
    source="mm/vmscan.c:wakeup_kswapd; 2.6.11, 2.6.24; 3.10, 4.4 from memory",
)
def wakes_below_low(asker: Asker) -> bool:
    """Whether a request wakes the daemon that sleeps: its own zone is below the low watermark."""
    return not asker.low


@behaviour(
    "reclaim.kswapd.wakes",
    since="4.8",
    until="4.11",
    features=("F042",),
    source="mm/vmscan.c:wakeup_kswapd; 4.9, 4.10 from memory",
)
def wakes_unbalanced(asker: Asker) -> bool:
    """The node is not balanced."""
    return not asker.balanced


@behaviour(
    "reclaim.kswapd.wakes",
    since="4.12",
    until="4.20",
    features=("F042",),
    source="mm/vmscan.c:wakeup_kswapd; 4.14, 4.19 from memory",
)
def wakes_unless_hopeless(asker: Asker) -> bool:
    """It is not balanced, and the daemon has not given it up."""
    return not (asker.balanced or asker.hopeless)


@behaviour(
    "reclaim.kswapd.wakes",
    since="5.0",
    features=("F017", "F042"),
    source="mm/vmscan.c:wakeup_kswapd; 6.1, 6.12; 5.0 to 5.15 from memory",
)
def wakes_for_boost(asker: Asker) -> bool:
    """It is not balanced, or a watermark is boosted; and the daemon has not given it up."""
    return not asker.hopeless and (not asker.balanced or asker.boosted)


@behaviour(
    "reclaim.kswapd.wakes-compaction",
    since="2.6.0",
    until="4.16",
    features=("F039", "F042"),
    source="mm/vmscan.c:wakeup_kswapd; 4.9, 4.14 from memory",
)
def wakes_no_compaction(direct: bool) -> bool:
    """Whether a request that does not wake the daemon wakes that of compaction instead."""
    return False


@behaviour(
    "reclaim.kswapd.wakes-compaction",
    since="4.17",
    features=("F039", "F042"),
    source="mm/vmscan.c:wakeup_kswapd; 6.1, 6.12; the first release from memory",
)
def wakes_compaction(direct: bool) -> bool:
    """If it may not reclaim by itself."""
    return not direct


# ---- a round of the daemon ---------------------------------------------------------------------------------


@behaviour(
    "reclaim.kswapd.order",
    since="2.6.0",
    until="4.7",
    features=("F042",),
    source="mm/vmscan.c:balance_pgdat; 2.6.11, 2.6.24; later ones drop it after a run through all priorities",
)
def order_kept(order: int, reclaimed: int) -> int:
    """The order that the daemon goes on for, after so many pages."""
    return order


@behaviour(
    "reclaim.kswapd.order",
    since="4.8",
    features=("F039", "F042"),
    source="mm/vmscan.c:kswapd_shrink_node; 6.1, 6.12; 4.8 to 5.15 from memory",
)
def order_until_gap(order: int, reclaimed: int) -> int:
    """Once compaction has what it needs, single pages are enough."""
    return 0 if order and reclaimed >= compact_gap(order) else order


@formula("F017", "F042", source="mm/vmscan.c:balance_pgdat; 5.0 to 6.12")
def boost_left(boost: int, reclaimed: int) -> int:
    """Pages still to be reclaimed for boosted watermarks.

    Ensures   0 <= result <= boost
    """
    return boost - min(boost, reclaimed)


@formula("F017", "F042", source="mm/vmscan.c:balance_pgdat; 5.0 to 6.12")
def boost_is_gentle(boost: int, priority: int) -> bool:
    """Whether a run for a boost stays at its priority: it never gets harder than the third."""
    return boost > 0 and priority == DEF_PRIORITY - 2


@formula("F039", "F042", source="mm/compaction.c:wakeup_kcompactd; 4.6 to 6.12")
def compaction_wish(wish: Wish, order: int, zone: int) -> Wish:
    """What the daemon of compaction is asked for: the larger order, the lower zone."""
    if order == 0:
        return wish
    return Wish(max(wish.order, order), zone if wish.zone == NO_ZONE else min(wish.zone, zone))


# ---- invariants --------------------------------------------------------------------------------------------


@invariant(
    "reclaim.kswapd.heard",
    features=("F042",),
    seed="2.4.1",
    since="4.8",
    source="mm/vmscan.c:wakeup_kswapd, kswapd",
)
def heard(noted: Wish, order: int, zone: int) -> bool:
    """After a request asked, the node's wish is at least its order and its zone."""
    return noted.order >= order and noted.zone >= zone


@invariant(
    "reclaim.kswapd.sleeps",
    features=("F042",),
    seed="2.4.1",
    since="2.6.38",
    source="mm/vmscan.c:prepare_kswapd_sleep, sleeping_prematurely",
)
def sleeps_well(asleep: bool, balanced: bool, hopeless: bool, waiters: int) -> bool:
    """A daemon goes to sleep only if its node is balanced or given up, and nobody waits for it then."""
    return not asleep or ((balanced or hopeless) and waiters == 0)
