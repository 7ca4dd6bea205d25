"""From a request to a block: walk the zonelist, test the watermark, take from a CPU's list or the free lists.

Linux: mm/page_alloc.c:get_page_from_freelist, rmqueue, rmqueue_buddy, __free_pages_ok.
Seed 2.1.1.1, 2.1.1.3, 2.1.1.5 (F014, F017, F020, F029).  2.6 to 6.12.
"""

from linuxmm.model.alloc.buddy import free_one_page, rmqueue_smallest
from linuxmm.model.alloc.freelist import (
    HIGHATOMIC,
    NOTHING,
    ZONE_LOCK,
    Zone,
    clear_in_use,
    count_work,
    is_below_high,
    nr_free_pages,
    pageblock_type,
    set_below_high,
    set_in_use,
    spans,
)
from linuxmm.model.alloc.machine import (
    Machine,
    nr_online_nodes,
    nr_zones,
    with_zone,
    zone_at,
    zone_kind,
    zone_node,
    zonelist_entry,
    zonelist_length,
)
from linuxmm.model.alloc.movement import MOVABLE, RMQUEUE_NORMAL
from linuxmm.model.alloc.rules import Rules
from linuxmm.model.alloc.watermark import mark_of
from linuxmm.spec.alloc.gfp import (
    ALLOC_COLD,
    ALLOC_HIGHATOMIC,
    ALLOC_NO_WATERMARKS,
    ALLOC_NOFRAGMENT,
    ALLOC_NON_BLOCK,
    ALLOC_OOM,
    GFP_COLD_BIT,
    GFP_WRITE_BIT,
)
from linuxmm.spec.alloc.request import Request, fastpath_flags
from linuxmm.spec.kernel import behaviour

# ---- one zone --------------------------------------------------------------------------------------------


@behaviour(
    "alloc.take-highatomic",
    since="2.4.0",
    until="4.3",
    features=("F012",),
    source="mm/page_alloc.c:buffered_rmqueue; 2.6.24 to 4.2",
)
def take_no_reserve(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int
) -> tuple[Zone, int, int]:
    """There is no high-order atomic reserve."""
    zone, pfn, came_from, _ = rules.take(rules, zone, order, migratetype, flags, RMQUEUE_NORMAL)
    return zone, pfn, came_from


def _reserve_then_take(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int, reserve: bool
) -> tuple[Zone, int, int]:
    if reserve:
        zone, pfn = rmqueue_smallest(rules, zone, order, HIGHATOMIC)
        if pfn != NOTHING:
            return zone, pfn, HIGHATOMIC
    zone, pfn, came_from, _ = rules.take(rules, zone, order, migratetype, flags, RMQUEUE_NORMAL)
    return zone, pfn, came_from


@behaviour(
    "alloc.take-highatomic",
    since="6.0",
    until="6.2",
    replaced_in=("6.1.158",),
    features=("F013",),
    source="mm/page_alloc.c:rmqueue_buddy; 6.0 to 6.2",
)
@behaviour(
    "alloc.take-highatomic",
    since="4.4",
    until="5.13",
    features=("F013",),
    source="mm/page_alloc.c:rmqueue; 4.4 to 5.12, 5.13 in the patch of June 2021",
)
def take_reserve_if_harder(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int
) -> tuple[Zone, int, int]:
    """High-order HARDER requests use the high-order atomic reserve first."""
    reserve = order > 0 and flags & ALLOC_NON_BLOCK != 0
    return _reserve_then_take(rules, zone, order, migratetype, flags, reserve)


@behaviour(
    "alloc.take-highatomic",
    since="5.14",
    until="5.19",
    features=("F013", "F021"),
    source="mm/page_alloc.c:rmqueue; 5.14 to 5.19",
)
def take_reserve_if_harder_and_not_cached(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int
) -> tuple[Zone, int, int]:
    """As before; but a request that the per-CPU lists refused is refused, without a look at the reserve."""
    cached = rules.pcp_allowed(order, rules.pageblock_order) and rules.pcp_serves(rules, migratetype, flags)
    reserve = order > 0 and flags & ALLOC_NON_BLOCK != 0 and not cached
    return _reserve_then_take(rules, zone, order, migratetype, flags, reserve)


def _take_then_reserve(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int, last: int
) -> tuple[Zone, int, int]:
    reserve = flags & ALLOC_HIGHATOMIC != 0
    zone, pfn, came_from = _reserve_then_take(rules, zone, order, migratetype, flags, reserve)
    if pfn == NOTHING and flags & last:
        zone, pfn = rmqueue_smallest(rules, zone, order, HIGHATOMIC)
        return zone, pfn, HIGHATOMIC
    return zone, pfn, came_from


@behaviour(
    "alloc.take-highatomic",
    since="6.3",
    until="6.11",
    replaced_in=("6.6.80", "6.11.11"),
    features=("F013",),
    source="mm/page_alloc.c:rmqueue_buddy; 6.3 to 6.10 (6.11.0 unconfirmed)",
)
def take_reserve_first_or_for_victims(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int
) -> tuple[Zone, int, int]:
    """HIGHATOMIC requests use the reserve first, OOM victims last."""
    return _take_then_reserve(rules, zone, order, migratetype, flags, ALLOC_OOM)


@behaviour(
    "alloc.take-highatomic",
    since="6.12",
    backports=("6.1.158", "6.6.80", "6.11.11"),
    features=("F013",),
    source="mm/page_alloc.c:rmqueue_buddy; 6.1.158, 6.1.192, 6.6.80, 6.11.11, 6.12",
)
def take_reserve_first_or_last(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int
) -> tuple[Zone, int, int]:
    """HIGHATOMIC requests use the reserve first; OOM victims and who cannot block use it last."""
    return _take_then_reserve(rules, zone, order, migratetype, flags, ALLOC_OOM | ALLOC_NON_BLOCK)


def rmqueue_buddy(rules: Rules, zone: Zone, order: int, migratetype: int, flags: int) -> tuple[Zone, int]:
    """Take a block from the free lists, past the per-CPU lists.

    Source    mm/page_alloc.c:rmqueue_buddy; 5.19 to 6.12 (part of rmqueue before)
    """
    zone = count_work(zone, ZONE_LOCK)
    zone, pfn, came_from = rules.take_highatomic(rules, zone, order, migratetype, flags)
    if pfn == NOTHING:
        return zone, NOTHING
    zone = rules.account_taken(zone, 1 << order, came_from)
    return rules.account_done(zone, 1 << order), pfn


def rmqueue(rules: Rules, zone: Zone, cpu: int, order: int, migratetype: int, flags: int) -> tuple[Zone, int]:
    """Take a block from a zone: from the CPU's list where the order is kept there, else from the free lists.

    Source    mm/page_alloc.c:rmqueue (buffered_rmqueue up to 4.9); 2.5 to 6.12
    """
    if rules.pcp_allowed(order, rules.pageblock_order) and rules.pcp_serves(rules, migratetype, flags):
        zone, pfn = rules.pcp_take(rules, zone, cpu, order, migratetype, flags)
        if pfn != NOTHING:
            return zone, pfn
    return rmqueue_buddy(rules, zone, order, migratetype, flags)


def free_to_zone(rules: Rules, zone: Zone, cpu: int, pfn: int, order: int) -> Zone:
    """Give a block back to its zone: to the CPU's list where the order is kept there, else to the free lists.

    Source    mm/page_alloc.c:free_the_page, __free_pages_ok; 2.5 to 6.12
    """
    zone = clear_in_use(zone, pfn)
    if rules.pcp_allowed(order, rules.pageblock_order):
        return rules.pcp_put(rules, zone, cpu, pfn, order)
    zone = count_work(zone, ZONE_LOCK)
    return rules.free_large(rules, zone, pfn, order)


@behaviour(
    "alloc.free-large",
    since="2.4.0",
    until="6.9",
    features=("F012",),
    source="mm/page_alloc.c:__free_pages_ok; 2.6.24 to 6.1",
)
def free_large_at_once(rules: Rules, zone: Zone, pfn: int, order: int) -> Zone:
    """A block goes to the list of its first pageblock's type."""
    return free_one_page(rules, zone, pfn, order, pageblock_type(zone, pfn), False)


@behaviour(
    "alloc.free-large",
    since="6.10",
    features=("F012",),
    source="mm/page_alloc.c:split_large_buddy; 6.12",
)
def free_large_by_pageblock(rules: Rules, zone: Zone, pfn: int, order: int) -> Zone:
    """A block is freed pageblock by pageblock, each to the list of its own type."""
    end = pfn + (1 << order)
    size = min(order, rules.pageblock_order)
    while pfn < end:
        zone = free_one_page(rules, zone, pfn, size, pageblock_type(zone, pfn), False)
        pfn += 1 << size
    return zone


# ---- the zonelist ----------------------------------------------------------------------------------------


@behaviour(
    "alloc.zone-passes",
    since="2.4.0",
    until="6.6",
    features=("F017",),
    source="mm/page_alloc.c:get_page_from_freelist; 2.6.24 to 6.1",
)
def zone_passes_at_mark(
    rules: Rules, zone: Zone, order: int, class_index: int, flags: int
) -> tuple[Zone, bool]:
    """Whether the zone passes the watermark test of the request."""
    return zone, rules.watermark_fast(rules, zone, order, mark_of(zone, flags), class_index, flags)


@behaviour(
    "alloc.zone-passes",
    since="6.7",
    features=("F017", "F020"),
    source="mm/page_alloc.c:get_page_from_freelist; 6.12",
)
def zone_passes_noting_high(
    rules: Rules, zone: Zone, order: int, class_index: int, flags: int
) -> tuple[Zone, bool]:
    """As before; first note whether the zone fell below its high watermark, which shrinks per-CPU lists."""
    if not is_below_high(zone):
        high = mark_of(zone, 2)
        if rules.watermark_fast(rules, zone, order, high, class_index, flags):
            return zone, True
        zone = set_below_high(zone, True)
    return zone, rules.watermark_fast(rules, zone, order, mark_of(zone, flags), class_index, flags)


def cold_flag(gfp: int) -> int:
    """ALLOC_COLD for a request with __GFP_COLD.

    Source    mm/page_alloc.c:buffered_rmqueue; 2.6.0 to 4.14
    """
    return ALLOC_COLD if gfp & GFP_COLD_BIT else 0


def node_allowed(mask: int, node: int) -> bool:
    """Whether bit `node` is set; a mask of -1 allows every node."""
    return mask < 0 or (mask >> node) & 1 != 0


def first_zone(machine: Machine, request: Request) -> int:
    """Zone number of the preferred zone: the first that class and node mask allow; NOTHING if there is none.

    Source    include/linux/mmzone.h:first_zones_zonelist
    """
    at = 0
    while at < zonelist_length(machine, request.node):
        index = zonelist_entry(machine, request.node, at)
        zone = zone_at(machine, index)
        if zone_kind(zone) <= request.class_index and node_allowed(request.nodemask, zone_node(zone)):
            return index
        at += 1
    return NOTHING


def skips_zone(request: Request, zone: Zone, spread_dirty: bool) -> bool:
    """Whether class, node mask or the node's dirty limit forbid a zone.

    Source    mm/page_alloc.c:get_page_from_freelist
    """
    node = zone_node(zone)
    if zone_kind(zone) > request.class_index or not node_allowed(request.nodemask, node):
        return True
    return (
        spread_dirty
        and request.gfp & GFP_WRITE_BIT != 0
        and request.dirty_full != 0
        and node_allowed(request.dirty_full, node)
    )


def try_zone(rules: Rules, zone: Zone, request: Request, flags: int) -> tuple[Zone, bool, int]:
    """The watermark test of one zone, and the request to it; (zone, whether it passed, pfn or NOTHING).

    Source    mm/page_alloc.c:get_page_from_freelist; 2.6 to 6.12
    """
    zone, passes = rules.zone_passes(rules, zone, request.order, request.class_index, flags)
    if not passes and not flags & ALLOC_NO_WATERMARKS:
        return zone, False, NOTHING
    zone, pfn = rmqueue(rules, zone, request.cpu, request.order, request.migratetype, flags)
    if pfn == NOTHING:
        return zone, True, NOTHING
    if flags & ALLOC_HIGHATOMIC:
        zone = rules.reserve_highatomic(rules, zone, pfn, request.order)
    return set_in_use(zone, pfn, request.order, request.migratetype == MOVABLE), True, pfn


def try_zones(
    rules: Rules, machine: Machine, request: Request, flags: int, spread_dirty: bool
) -> tuple[Machine, int, int]:
    """One pass over the zonelist; ends at the first remote zone under ALLOC_NOFRAGMENT.

    Source    mm/page_alloc.c:get_page_from_freelist; 2.6.24 to 6.12
    """
    preferred = first_zone(machine, request)
    at = 0
    while at < zonelist_length(machine, request.node):
        index = zonelist_entry(machine, request.node, at)
        at += 1
        zone = zone_at(machine, index)
        if skips_zone(request, zone, spread_dirty):
            continue
        remote = zone_node(zone) != zone_node(zone_at(machine, preferred))
        if flags & ALLOC_NOFRAGMENT and remote:
            return machine, NOTHING, NOTHING
        zone, _, pfn = try_zone(rules, zone, request, flags)
        machine = with_zone(machine, index, zone)
        if pfn != NOTHING:
            return machine, pfn, index
    return machine, NOTHING, NOTHING


@behaviour(
    "alloc.walk",
    since="4.15",
    features=("F014", "F017", "F029"),
    source="mm/page_alloc.c:get_page_from_freelist; 4.15 to 6.12",
)
def get_page_from_freelist(
    rules: Rules, machine: Machine, request: Request, flags: int, spread_dirty: bool
) -> tuple[Machine, int, int]:
    """Walk the zonelist for a block; ALLOC_NOFRAGMENT is given up rather than failing or leaving the node.

    Ensures   (machine, pfn, zone number); NOTHING, NOTHING when no zone can answer
    Source    mm/page_alloc.c:get_page_from_freelist; 2.6.24 to 6.12
    """
    machine, pfn, index = try_zones(rules, machine, request, flags, spread_dirty)
    if pfn == NOTHING and flags & ALLOC_NOFRAGMENT:
        machine, pfn, index = try_zones(rules, machine, request, flags & ~ALLOC_NOFRAGMENT, spread_dirty)
    return machine, pfn, index


def first_passing(rules: Rules, machine: Machine, request: Request, flags: int, slack: int) -> int:
    """Zone number of the first zone that passes the watermark test if `slack` more pages were free.

    For judging: a recording does not show the per-CPU differences of the free-page counter, by which the
    kernel's own view may be off.  NOTHING when no zone passes.
    """
    at = 0
    while at < zonelist_length(machine, request.node):
        index = zonelist_entry(machine, request.node, at)
        at += 1
        zone = zone_at(machine, index)
        if skips_zone(request, zone, False):
            continue
        free = nr_free_pages(zone) + slack
        mark = mark_of(zone, flags)
        if rules.watermark_ok(rules, zone, request.order, mark, request.class_index, flags, free):
            return index
    return NOTHING


def nofragment_flags(rules: Rules, machine: Machine, request: Request) -> int:
    """ALLOC_NOFRAGMENT and ALLOC_KSWAPD of the first attempt.

    Source    mm/page_alloc.c:alloc_flags_nofragment
    """
    preferred = first_zone(machine, request)
    if preferred == NOTHING:
        return 0
    kind = zone_kind(zone_at(machine, preferred))
    several = nr_online_nodes(machine) > 1
    dma32 = several and node_has_dma32(machine, zone_node(zone_at(machine, preferred)))
    return rules.nofragment(request.gfp, kind, several, dma32)


def node_has_dma32(machine: Machine, node: int) -> bool:
    """Whether zone DMA32 of a node is populated."""
    at = 0
    while at < nr_zones(machine):
        if zone_node(zone_at(machine, at)) == node and zone_kind(zone_at(machine, at)) == 1:
            return True
        at += 1
    return False


def alloc_fast(rules: Rules, machine: Machine, request: Request) -> tuple[Machine, int, int]:
    """The first attempt at a request: the low watermark.

    Source    mm/page_alloc.c:__alloc_pages
    """
    flags = fastpath_flags(request.gfp, rules.cma, nofragment_flags(rules, machine, request))
    return rules.walk(rules, machine, request, flags, True)


def alloc_min(rules: Rules, machine: Machine, request: Request, realtime: bool) -> tuple[Machine, int, int]:
    """The second attempt: the min watermark, with what the GFP word allows below it.

    Source    mm/page_alloc.c:__alloc_pages_slowpath
    """
    flags = rules.slowpath_flags(request.gfp, request.order, realtime, rules.cma)
    return rules.walk(rules, machine, request, flags, False)


def zone_of(machine: Machine, pfn: int) -> int:
    """Zone number of the zone whose span holds pfn, or NOTHING."""
    at = 0
    while at < nr_zones(machine):
        if spans(zone_at(machine, at), pfn):
            return at
        at += 1
    return NOTHING


def free_pages(rules: Rules, machine: Machine, cpu: int, pfn: int, order: int) -> Machine:
    """Give a block back.

    Requires  the block is in use and lies in one zone
    Source    mm/page_alloc.c:__free_pages; 2.5 to 6.12
    """
    index = zone_of(machine, pfn)
    zone = free_to_zone(rules, zone_at(machine, index), cpu, pfn, order)
    return with_zone(machine, index, zone)
