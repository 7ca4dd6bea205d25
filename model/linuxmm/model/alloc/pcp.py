"""Per-CPU page lists over the buddy lists: fetch a batch, hand out, take back, give back a batch.

Linux: mm/page_alloc.c:rmqueue_bulk, __rmqueue_pcplist, free_unref_page_commit, free_pcppages_bulk.
Seed 2.1.1.4 (F020, F021, F023, F027).  2.5 to 6.12.
"""

from linuxmm.model.alloc.buddy import free_one_page
from linuxmm.model.alloc.freelist import (
    ISOLATE,
    NOTHING,
    PCP_LOCK,
    ZONE_LOCK,
    Zone,
    cached_type,
    count_work,
    has_isolated,
    is_below_high,
    is_reclaim_active,
    pageblock_type,
    pcp_add_head,
    pcp_add_tail,
    pcp_head,
    pcp_remove,
    pcp_tail,
    pcp_vars,
    set_pcp_vars,
    trace_pcpu_drain,
)
from linuxmm.model.alloc.movement import MOVABLE, RMQUEUE_NORMAL
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.gfp import ALLOC_CMA
from linuxmm.spec.alloc.pcp import decayed_high, drain_all_step, with_high
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.vocabulary import MIGRATE_PCPTYPES

# ---- fetching and handing out ----------------------------------------------------------------------------


def rmqueue_bulk(
    rules: Rules, zone: Zone, cpu: int, blocks: int, order: int, migratetype: int, flags: int
) -> Zone:
    """Move up to `blocks` blocks from the free lists to the tail of a CPU's list, in the order found.

    Source    mm/page_alloc.c:rmqueue_bulk; 2.5 to 6.12
    """
    zone = count_work(zone, ZONE_LOCK)
    index = rules.pcp_index(order, migratetype)
    mode = RMQUEUE_NORMAL
    taken = 0
    while taken < blocks:
        zone, pfn, came_from, mode = rules.take(rules, zone, order, migratetype, flags, mode)
        if pfn == NOTHING:
            break
        zone = pcp_add_tail(zone, cpu, index, pfn, order, came_from)
        zone = rules.account_taken(zone, 1 << order, came_from)
        taken += 1
    return rules.account_done(zone, taken << order)


@behaviour(
    "alloc.pcp-take",
    since="4.15",
    features=("F020",),
    source="mm/page_alloc.c:rmqueue_pcplist, __rmqueue_pcplist; 4.15 to 6.12",
)
def rmqueue_pcplist(
    rules: Rules, zone: Zone, cpu: int, order: int, migratetype: int, flags: int
) -> tuple[Zone, int]:
    """Hand out the head of a CPU's list, fetching a batch first if the list is empty.

    Refuses   NOTHING when the free lists have no block either
    Source    mm/page_alloc.c:rmqueue_pcplist, __rmqueue_pcplist; 2.5 to 6.12
    """
    zone = count_work(zone, PCP_LOCK)
    zone = set_pcp_vars(zone, cpu, rules.pcp_alloc(pcp_vars(zone, cpu)))
    return pop_pcplist(rules, zone, cpu, order, migratetype, flags)


def pop_pcplist(
    rules: Rules, zone: Zone, cpu: int, order: int, migratetype: int, flags: int
) -> tuple[Zone, int]:
    """As `rmqueue_pcplist`, within a hold of the list's lock: the bulk allocator's step.

    Source    mm/page_alloc.c:__rmqueue_pcplist
    """
    index = rules.pcp_index(order, migratetype)
    pfn = pcp_head(zone, cpu, index)
    if pfn == NOTHING:
        v, blocks = rules.pcp_refill(pcp_vars(zone, cpu), order, is_below_high(zone))
        zone = set_pcp_vars(zone, cpu, v)
        zone = rmqueue_bulk(rules, zone, cpu, blocks, order, migratetype, flags)
        pfn = pcp_head(zone, cpu, index)
        if pfn == NOTHING:
            return zone, NOTHING
    return pcp_remove(zone, cpu, index, pfn), pfn


@behaviour(
    "alloc.pcp-serves",
    since="2.4.0",
    until="5.8",
    features=("F020",),
    source="mm/page_alloc.c:buffered_rmqueue, rmqueue; 2.6.11 to 5.8",
)
def pcp_serves_all(rules: Rules, migratetype: int, flags: int) -> bool:
    """Every request of an allowed order may use the lists."""
    return True


@behaviour(
    "alloc.pcp-serves",
    since="5.9",
    until="6.5",
    features=("F020", "F036"),
    source="mm/page_alloc.c:rmqueue; 5.9 to 6.5",
)
def pcp_serves_unless_cma_forbidden(rules: Rules, migratetype: int, flags: int) -> bool:
    """A MOVABLE request that must not get CMA pages cannot use the lists, which may hold some."""
    return not rules.cma or flags & ALLOC_CMA != 0 or migratetype != MOVABLE


@behaviour(
    "alloc.pcp-serves",
    since="6.6",
    features=("F020", "F036"),
    source="mm/page_alloc.c:rmqueue; 6.6.9 to 6.12",
)
def pcp_serves_every_request(rules: Rules, migratetype: int, flags: int) -> bool:
    """Every request of an allowed order may use the lists."""
    return True


# ---- taking back -----------------------------------------------------------------------------------------


@behaviour(
    "alloc.pcp-put",
    since="2.6.32",
    features=("F020",),
    source="mm/page_alloc.c:free_hot_cold_page, free_unref_page_commit; 2.6.32 to 6.12",
)
def free_unref_page(rules: Rules, zone: Zone, cpu: int, pfn: int, order: int) -> Zone:
    """Take back a block of an allowed order: to the head of the CPU's list, or straight to the free lists.

    Requires  rules.pcp_allowed(order, pageblock_order)
    Ensures   ISOLATE blocks go to the free lists; HIGHATOMIC and CMA are kept with MOVABLE
    Source    mm/page_alloc.c:free_unref_page, free_unref_page_commit; 2.5 to 6.12
    """
    migratetype = pageblock_type(zone, pfn)
    if migratetype == ISOLATE:
        zone = count_work(zone, ZONE_LOCK)
        return free_one_page(rules, zone, pfn, order, migratetype, False)
    listed = migratetype if migratetype < MIGRATE_PCPTYPES else MOVABLE
    index = rules.pcp_index(order, listed)
    zone = count_work(zone, PCP_LOCK)
    zone = pcp_add_head(zone, cpu, index, pfn, order, migratetype)
    v, pages = rules.pcp_commit(pcp_vars(zone, cpu), order, is_reclaim_active(zone), is_below_high(zone))
    zone = set_pcp_vars(zone, cpu, v)
    if pages > 0:
        zone = count_work(zone, ZONE_LOCK)
        zone = rules.pcp_drain(rules, zone, cpu, pages, index)
    return zone


# ---- giving back -----------------------------------------------------------------------------------------


@behaviour(
    "alloc.drained-type",
    since="2.6.31",
    until="3.17",
    features=("F020",),
    source="mm/page_alloc.c:free_pcppages_bulk, free_pages_bulk; 2.6.31 to 3.17",
)
def drained_type_as_noted(zone: Zone, pfn: int) -> int:
    """A block goes to the list noted when it was cached, isolated or not."""
    return cached_type(zone, pfn)


@behaviour(
    "alloc.drained-type",
    since="3.18",
    until="6.9",
    features=("F020",),
    source="mm/page_alloc.c:free_pcppages_bulk; 3.18 to 6.8",
)
def drained_type_noted(zone: Zone, pfn: int) -> int:
    """A block goes to the list noted when it was cached, or of its pageblock if any is isolated."""
    return pageblock_type(zone, pfn) if has_isolated(zone) else cached_type(zone, pfn)


@behaviour(
    "alloc.drained-type",
    since="6.10",
    features=("F020",),
    source="mm/page_alloc.c:free_pcppages_bulk; 6.10 to 6.12",
)
@behaviour(
    "alloc.drained-type",
    since="2.4.0",
    until="2.6.30",
    features=("F020",),
    source="mm/page_alloc.c:__free_one_page; 2.6.11 to 2.6.30",
)
def drained_type_of_pageblock(zone: Zone, pfn: int) -> int:
    """A block goes to the list of its pageblock's type."""
    return pageblock_type(zone, pfn)


def give_back_tail(rules: Rules, zone: Zone, cpu: int, index: int) -> Zone:
    """Move the block at the tail of a CPU's list to the free lists.

    Requires  the list is not empty
    """
    pfn = pcp_tail(zone, cpu, index)
    order = rules.pcp_order(index, rules.pageblock_order)
    migratetype = rules.drained_type(zone, pfn)
    zone = pcp_remove(zone, cpu, index, pfn)
    zone = free_one_page(rules, zone, pfn, order, migratetype, False)
    return trace_pcpu_drain(zone, pfn, order, migratetype)


@behaviour(
    "alloc.pcp-drain",
    since="2.6.25",
    until="2.6.31",
    features=("F020",),
    source="mm/page_alloc.c:free_pages_bulk; 2.6.28, 2.6.31",
)
def drain_single_list(rules: Rules, zone: Zone, cpu: int, pages: int, index: int) -> Zone:
    """Give back from the tail of the one list."""
    pages = min(pages, pcp_vars(zone, cpu).pages)
    while pages > 0:
        zone = give_back_tail(rules, zone, cpu, 0)
        pages -= 1
    return zone


@behaviour(
    "alloc.pcp-drain",
    since="2.6.32",
    until="2.6.38",
    features=("F020",),
    source="mm/page_alloc.c:free_pcppages_bulk; 2.6.32 to 2.6.38",
)
def drain_rounds(rules: Rules, zone: Zone, cpu: int, pages: int, index: int) -> Zone:
    """Give back from the lists in turn, beginning with the second; one more per list passed over."""
    pages = min(pages, pcp_vars(zone, cpu).pages)
    at = 0
    run = 0
    while pages > 0:
        run += 1
        at = next_list(rules, at)
        while pcp_tail(zone, cpu, at) == NOTHING:
            run += 1
            at = next_list(rules, at)
        while pages > 0 and run > 0 and pcp_tail(zone, cpu, at) != NOTHING:
            zone = give_back_tail(rules, zone, cpu, at)
            pages -= 1
            run -= 1
    return zone


@behaviour(
    "alloc.pcp-drain",
    since="2.6.39",
    until="5.17",
    features=("F020",),
    source="mm/page_alloc.c:free_pcppages_bulk; 2.6.39 to 5.17",
)
def drain_growing_rounds(rules: Rules, zone: Zone, cpu: int, pages: int, index: int) -> Zone:
    """As before; the only list that is not empty gives back everything.

    As in the kernel that list is told by the count of lists passed being exactly their number.
    """
    pages = min(pages, pcp_vars(zone, cpu).pages)
    at = 0
    run = 0
    while pages > 0:
        run += 1
        at = next_list(rules, at)
        while pcp_tail(zone, cpu, at) == NOTHING:
            run += 1
            at = next_list(rules, at)
        if run == rules.nr_pcp_lists:
            run = pages
        while pages > 0 and run > 0 and pcp_tail(zone, cpu, at) != NOTHING:
            zone = give_back_tail(rules, zone, cpu, at)
            pages -= 1 << rules.pcp_order(at, rules.pageblock_order)
            run -= 1
    return zone


@behaviour(
    "alloc.pcp-drain",
    since="5.18",
    features=("F020",),
    source="mm/page_alloc.c:free_pcppages_bulk; 5.18 to 6.12",
)
def drain_list_by_list(rules: Rules, zone: Zone, cpu: int, pages: int, index: int) -> Zone:
    """Give back whole lists from their tails, beginning with the list just freed to."""
    pages = min(pages, pcp_vars(zone, cpu).pages)
    at = index
    while pages > 0:
        while pcp_tail(zone, cpu, at) == NOTHING:
            at = next_list(rules, at)
        size = 1 << rules.pcp_order(at, rules.pageblock_order)
        while pages > 0 and pcp_tail(zone, cpu, at) != NOTHING:
            zone = give_back_tail(rules, zone, cpu, at)
            pages -= size
        at = next_list(rules, at)
    return zone


def next_list(rules: Rules, index: int) -> int:
    """The list after `index`, round and round."""
    return 0 if index + 1 >= rules.nr_pcp_lists else index + 1


def drain_pages_zone(rules: Rules, zone: Zone, cpu: int) -> Zone:
    """Give back everything that a CPU holds in this zone.

    Ensures   the CPU's lists are empty
    Source    mm/page_alloc.c:drain_pages_zone; 2.6 to 6.12
    """
    while pcp_vars(zone, cpu).pages > 0:
        zone = count_work(count_work(zone, PCP_LOCK), ZONE_LOCK)
        zone = rules.pcp_drain(rules, zone, cpu, max(drain_all_step(pcp_vars(zone, cpu)), 1), 0)
    return zone


def decay_pcp_high(rules: Rules, zone: Zone, cpu: int) -> Zone:
    """Lower an idle CPU's limit by an eighth, and give back what lies above it.

    Source    mm/page_alloc.c:decay_pcp_high; 6.7 to 6.12
    """
    v = pcp_vars(zone, cpu)
    high = decayed_high(v)
    zone = set_pcp_vars(zone, cpu, with_high(v, high))
    pages = v.pages - high
    while pages > 0:
        step = min(pages, v.batch)
        zone = rules.pcp_drain(rules, zone, cpu, step, 0)
        pages -= step
    return zone
