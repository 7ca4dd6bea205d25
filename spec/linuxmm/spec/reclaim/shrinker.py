"""Shrinkers: how many objects of a cache a pass scans, and what it leaves for later.

Whoever cannot scan now, or whose share is less than a batch, has the rest deferred.

Linux: mm/vmscan.c:shrink_slab, do_shrink_slab; mm/shrinker.c since 6.7.  Seed, opening table (F008).
"""

from typing import Final, NamedTuple

from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula
from linuxmm.spec.vocabulary import SWAP_CLUSTER_MAX

BATCH: Final = 128
"""SHRINK_BATCH: objects scanned at a time, unless a shrinker asks for another number."""

DEFAULT_SEEKS: Final = 2
"""Disk seeks that it costs to get an object back."""

LARGEST: Final = (1 << 63) - 1


class Asked(NamedTuple):
    """What a pass knows of a shrinker.

    deferred   objects left over from before
    freeable   what its count answered
    seeks      cost of an object; 0 for one that costs nothing (since 4.20)
    batch      objects of a batch
    scanned, eligible   pages that reclaim scanned, of pages on the lists (until 4.16)
    priority   of the pass (since 4.17)
    """

    deferred: int
    freeable: int
    seeks: int
    batch: int
    scanned: int
    eligible: int
    priority: int


class Quota(NamedTuple):
    """What a pass means to scan.

    delta  this pass's own share
    total  with what was deferred, and limited
    whole  the same before limits: what is deferred is counted from it (since 4.10)
    """

    delta: int
    total: int
    whole: int


@formula("F008", source="mm/vmscan.c:shrink_slab; 2.6.11 to 4.16")
def share_of_scanned(asked: Asked) -> int:
    """As large a part of the objects as of the pages was scanned, times 4, divided by seeks.

    Requires  seeks > 0
    """
    scanned = asked.scanned if asked.scanned else SWAP_CLUSTER_MAX
    return 4 * scanned // asked.seeks * asked.freeable // (asked.eligible + 1)


@formula("F008", source="mm/vmscan.c:do_shrink_slab; 4.18 to 6.12")
def share_of_priority(asked: Asked) -> int:
    """As large a part of the objects as the priority asks of pages, times 4, divided by seeks."""
    if asked.seeks == 0:
        return asked.freeable // 2
    return (asked.freeable >> asked.priority) * 4 // asked.seeks


@behaviour(
    "reclaim.shrinker-quota",
    since="2.6.0",
    until="2.6.12",
    features=("F008",),
    source="mm/vmscan.c:shrink_slab; 2.6.11, 2.6.12 (to 2.6.10 unconfirmed)",
)
def quota_unlimited(asked: Asked) -> Quota:
    """All that was ever deferred, without a limit."""
    delta = share_of_scanned(asked)
    total = min(asked.deferred + delta, LARGEST)
    return Quota(delta, total, total)


@behaviour(
    "reclaim.shrinker-quota",
    since="2.6.13",
    until="2.6.39",
    features=("F008",),
    source="mm/vmscan.c:shrink_slab; 2.6.18 to 2.6.39 (2.6.13 to 2.6.17 unconfirmed)",
)
def quota_twice(asked: Asked) -> Quota:
    """At most twice the objects."""
    delta = share_of_scanned(asked)
    total = min(asked.deferred + delta, 2 * asked.freeable)
    return Quota(delta, total, total)


@behaviour(
    "reclaim.shrinker-quota",
    since="3.0",
    until="4.9",
    features=("F008",),
    source="mm/vmscan.c:shrink_slab; 3.4 to 4.9 (3.0 to 3.3 unconfirmed)",
)
def quota_half_when_light(asked: Asked) -> Quota:
    """Half of the objects at most, while the pass itself asks for less than a quarter."""
    delta = share_of_scanned(asked)
    total = _limited(asked, delta)
    return Quota(delta, total, total)


@behaviour(
    "reclaim.shrinker-quota",
    since="4.10",
    until="4.16",
    features=("F008",),
    source="mm/vmscan.c:do_shrink_slab; 4.10 to 4.15 (4.16 unconfirmed); 4.4.155 carries it",
)
def quota_remembering(asked: Asked) -> Quota:
    """As before; the limit does not make what was deferred forgotten."""
    delta = share_of_scanned(asked)
    return Quota(delta, _limited(asked, delta), asked.deferred + delta)


@behaviour(
    "reclaim.shrinker-quota",
    since="4.17",
    until="4.18",
    features=("F008",),
    source="mm/vmscan.c:do_shrink_slab; 4.18 (4.17 unconfirmed)",
)
def quota_by_priority(asked: Asked) -> Quota:
    """As before, by the priority of the pass."""
    delta = share_of_priority(asked)
    return Quota(delta, _limited(asked, delta), asked.deferred + delta)


@behaviour(
    "reclaim.shrinker-quota",
    since="4.19",
    until="4.20",
    replaced_in=("4.19.95",),
    features=("F008",),
    source="mm/vmscan.c:do_shrink_slab; 4.20 (4.19 unconfirmed)",
)
def quota_of_a_batch(asked: Asked) -> Quota:
    """As before, at least a batch."""
    delta = max(share_of_priority(asked), min(asked.freeable, asked.batch))
    return Quota(delta, _limited(asked, delta), asked.deferred + delta)


@behaviour(
    "reclaim.shrinker-quota",
    since="5.0",
    until="5.12",
    backports=("4.19.95",),
    features=("F008",),
    source="mm/vmscan.c:do_shrink_slab; 4.19.95, 5.0 to 5.11 (5.12 unconfirmed)",
)
def quota_by_priority_again(asked: Asked) -> Quota:
    """Without that least."""
    return quota_by_priority(asked)


@behaviour(
    "reclaim.shrinker-quota",
    since="5.13",
    features=("F008",),
    source="mm/vmscan.c:do_shrink_slab; mm/shrinker.c; 5.14 to 6.12 (5.13 unconfirmed)",
)
def quota_spread(asked: Asked) -> Quota:
    """What was deferred counts by the priority as well; at most twice the objects."""
    delta = share_of_priority(asked)
    total = min((asked.deferred >> asked.priority) + delta, 2 * asked.freeable)
    return Quota(delta, total, asked.deferred + delta)


def _limited(asked: Asked, delta: int) -> int:
    """The limits of 3.0 to 5.12."""
    total = asked.deferred + delta
    if delta < asked.freeable // 4:
        total = min(total, asked.freeable // 2)
    return min(total, 2 * asked.freeable)


@behaviour(
    "reclaim.shrinker-goes-on",
    since="2.6.0",
    until="3.11",
    features=("F008",),
    source="mm/vmscan.c:shrink_slab; 2.6.11 to 3.10",
)
def goes_on_in_batches(total: int, batch: int, freeable: int) -> bool:
    """Whether another batch is scanned: whole ones only."""
    return total >= batch


@behaviour(
    "reclaim.shrinker-goes-on",
    since="3.12",
    features=("F008",),
    source="mm/vmscan.c:do_shrink_slab; 4.1 to 6.12; shrink_slab_node in 3.12 to 3.18",
)
def goes_on_to_the_end(total: int, batch: int, freeable: int) -> bool:
    """Also less than a batch, if that is all there is."""
    return total >= batch or total >= freeable


@behaviour(
    "reclaim.shrinker-deferred",
    since="2.6.0",
    until="4.9",
    features=("F008",),
    source="mm/vmscan.c:shrink_slab, do_shrink_slab; 2.6.11 to 4.9",
)
def deferred_rest(quota: Quota, left: int, scanned: int, freeable: int) -> int:
    """What is deferred: what of the limited total was not scanned."""
    return left


@behaviour(
    "reclaim.shrinker-deferred",
    since="4.10",
    until="5.12",
    features=("F008",),
    source="mm/vmscan.c:do_shrink_slab; 4.10 to 5.11",
)
def deferred_unlimited(quota: Quota, left: int, scanned: int, freeable: int) -> int:
    """What of everything was not scanned; it may grow without bound."""
    return max(quota.whole - scanned, 0)


@behaviour(
    "reclaim.shrinker-deferred",
    since="5.13",
    features=("F008",),
    source="mm/vmscan.c:do_shrink_slab; 5.14 to 6.12 (5.13 unconfirmed)",
)
def deferred_twice(quota: Quota, left: int, scanned: int, freeable: int) -> int:
    """As before, at most twice the objects."""
    return min(max(quota.whole - scanned, 0), 2 * freeable)


# ---- which shrinkers are visited ---------------------------------------------------------------------------


@behaviour(
    "reclaim.shrinker-visits",
    since="4.0",
    until="4.18",
    features=("F008",),
    source="mm/vmscan.c:shrink_slab; 4.1 to 4.18 (4.0 unconfirmed)",
)
def visits_all(groups: int, shrinkers: int, filled: int) -> int:
    """Shrinkers that a pass over all cgroups asks: every one that knows cgroups, in every group.

    filled  pairs of a group and a shrinker with objects
    """
    return groups * shrinkers


@behaviour(
    "reclaim.shrinker-visits",
    since="4.19",
    features=("F008",),
    source="mm/vmscan.c:shrink_slab_memcg; 4.19 to 6.12",
)
def visits_filled(groups: int, shrinkers: int, filled: int) -> int:
    """Those alone whose bit is set: the pairs with objects."""
    return filled
