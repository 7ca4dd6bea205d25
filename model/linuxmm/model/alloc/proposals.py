"""Two proposals that changed who gets which page, and were not merged as posted.

Mirrored memory (RFC of June 2015): mirrored pageblocks on a migratetype of their own.  The titles of its
twelve patches name the type, the counter and the flag; the placement below is inferred (unconfirmed).
The stall (patch 5 of the fragmentation-avoidance series): a movable request that would mix types waits for
kswapd.

Seed 2 intro, 2.1.1.5 (F006, F031).
"""

from typing import Final

from linuxmm.model.alloc.buddy import rmqueue_smallest
from linuxmm.model.alloc.freelist import NOTHING, Zone, list_head, pageblock_type
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.movement import RMQUEUE_NORMAL, find_fallback
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.gfp import ALLOC_KSWAPD, ALLOC_MIRROR, GFP_DIRECT_RECLAIM_BIT, GFP_MIRROR_BIT
from linuxmm.spec.alloc.request import Request, is_movable
from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula, verb
from linuxmm.spec.vocabulary import MigrateType

MIRROR: Final = 7


@formula("F006", source="RFC mm: mirrored memory support for page buddy allocations, 2015-06-04 (inferred)")
def wants_mirror(gfp: int, mirrorable: bool) -> bool:
    """Whether a request is to be served from mirrored memory.

    mirrorable: the sysctl, which also marks the kernel's own requests (those that cannot be moved)
    """
    return bool(gfp & GFP_MIRROR_BIT) or (mirrorable and not is_movable(gfp))


@behaviour(
    "alloc.take-mirror",
    since="4.1",
    until="4.1",
    features=("F006",),
    source="RFC mm: mirrored memory support for page buddy allocations, 2015-06-04 (inferred, unconfirmed)",
)
@verb("F006", source="RFC mm: mirrored memory support for page buddy allocations, 2015-06-04 (inferred)")
def take_mirrored(
    rules: Rules, zone: Zone, order: int, migratetype: int, gfp: int, mirrorable: bool
) -> tuple[Zone, int, int]:
    """(zone, pfn, type of the list): MIRROR lists first for who wants them, then the ordinary policy.

    Ensures   who does not want mirrored memory never gets any
    """
    if wants_mirror(gfp, mirrorable):
        zone, pfn = rmqueue_smallest(rules, zone, order, MIRROR)
        if pfn != NOTHING:
            return zone, pfn, MIRROR
    zone, pfn, came_from, _ = rules.take(rules, zone, order, migratetype, 0, RMQUEUE_NORMAL)
    return zone, pfn, came_from


def with_mirrored_memory(rules: Rules, mirrorable: bool) -> Rules:
    """The rules of a kernel of its time with the proposal: requests walk, and pages come back, as it says.

    Who wants mirrored memory takes it past the per-CPU lists, which hold none; pages of mirrored pageblocks
    come back to the free lists.
    Source    RFC mm: mirrored memory support for page buddy allocations, 2015-06-04 (inferred, unconfirmed)
    """

    def walk(
        own: Rules, machine: Machine, request: Request, flags: int, spread_dirty: bool
    ) -> tuple[Machine, int, int]:
        wanted = ALLOC_MIRROR if wants_mirror(request.gfp, mirrorable) else 0
        return rules.walk(own, machine, request, flags | wanted, spread_dirty)

    def take(own: Rules, zone: Zone, order: int, migratetype: int, flags: int) -> tuple[Zone, int, int]:
        if flags & ALLOC_MIRROR:
            zone, pfn = rmqueue_smallest(own, zone, order, MIRROR)
            if pfn != NOTHING:
                return zone, pfn, MIRROR
        return rules.take_highatomic(own, zone, order, migratetype, flags)

    def serves(own: Rules, migratetype: int, flags: int) -> bool:
        return not flags & ALLOC_MIRROR and rules.pcp_serves(own, migratetype, flags)

    def put(own: Rules, zone: Zone, cpu: int, pfn: int, order: int) -> Zone:
        if pageblock_type(zone, pfn) == MIRROR:
            return own.free_large(own, zone, pfn, order)
        return rules.pcp_put(own, zone, cpu, pfn, order)

    return rules._replace(walk=walk, take_highatomic=take, pcp_serves=serves, pcp_put=put)


def nr_free_mirror(zone: Zone) -> int:
    """NR_FREE_MIRROR_PAGES: pages on the MIRROR lists."""
    return sum(len(row[MIRROR]) << order for order, row in enumerate(zone.lists))


@invariant(
    "alloc.mirror.only-on-request",
    features=("F006",),
    seed="2 intro",
    source="RFC mm: mirrored memory support for page buddy allocations, 2015-06-04",
)
def mirror_only_on_request(list_type: int, wanted: bool) -> bool:
    """Mirrored memory goes only to requests that want it."""
    return list_type != int(MigrateType.MIRROR) or wanted


@behaviour(
    "alloc.stall",
    since="5.0",
    until="5.0",
    features=("F031",),
    source="Fragmentation avoidance improvements v5, patch 5 (not merged: unconfirmed)",
)
@formula("F031", source="Fragmentation avoidance improvements v5, patch 5 (not merged: unconfirmed)")
def stalls(gfp: int, order: int, pageblock_order: int, fallback_order: int, kswapd_runs: bool) -> bool:
    """Whether a movable request waits for kswapd instead of mixing types.

    fallback_order: of the block that it would take from another type, NOTHING when there is none
    """
    return (
        is_movable(gfp)
        and bool(gfp & GFP_DIRECT_RECLAIM_BIT)
        and bool(gfp & ALLOC_KSWAPD)
        and kswapd_runs
        and order < pageblock_order
        and NOTHING < fallback_order < pageblock_order
    )


def would_fall_back_to(rules: Rules, zone: Zone, order: int, migratetype: int) -> int:
    """The order of the block that a request would take from another type; NOTHING if there is none."""
    if any(list_head(zone, at, migratetype) != NOTHING for at in range(order, rules.max_order + 1)):
        return NOTHING
    fallbacks = range(rules.max_order, order - 1, -1)
    return next((at for at in fallbacks if find_fallback(zone, at, migratetype) != NOTHING), NOTHING)
