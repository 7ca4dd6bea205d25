"""Cold pages on the per-CPU lists: at the tail, where few caches have them, until 4.14.

A request with __GFP_COLD takes the page at the tail of its list; pages freed as cold go there.

Linux: mm/page_alloc.c:buffered_rmqueue, rmqueue_bulk, free_hot_cold_page.  Seed 2.1.1.4 (F020).
2.6.32 to 4.14.
"""

from linuxmm.model.alloc.freelist import (
    NOTHING,
    PCP_LOCK,
    ZONE_LOCK,
    Zone,
    count_work,
    pcp_add_head,
    pcp_add_tail,
    pcp_remove,
    pcp_tail,
    pcp_vars,
    set_pcp_vars,
)
from linuxmm.model.alloc.movement import RMQUEUE_NORMAL
from linuxmm.model.alloc.pcp import rmqueue_pcplist
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.gfp import ALLOC_COLD
from linuxmm.spec.kernel import behaviour


def fetch(
    rules: Rules, zone: Zone, cpu: int, index: int, blocks: int, migratetype: int, flags: int, to_head: bool
) -> tuple[Zone, int]:
    """Move up to `blocks` single pages one by one to the head or the tail of a list; the number moved.

    Source    mm/page_alloc.c:rmqueue_bulk; 2.5 to 4.14
    """
    zone = count_work(zone, ZONE_LOCK)
    taken = 0
    while taken < blocks:
        zone, pfn, came_from, _ = rules.take(rules, zone, 0, migratetype, flags, RMQUEUE_NORMAL)
        if pfn == NOTHING:
            break
        if to_head:
            zone = pcp_add_head(zone, cpu, index, pfn, 0, came_from)
        else:
            zone = pcp_add_tail(zone, cpu, index, pfn, 0, came_from)
        zone = rules.account_taken(zone, 1, came_from)
        taken += 1
    return rules.account_done(zone, taken), taken


@behaviour(
    "alloc.pcp-take",
    since="2.6.32",
    until="4.14",
    features=("F020",),
    source="mm/page_alloc.c:buffered_rmqueue, rmqueue_bulk; 2.6.32, 3.14, 4.7, 4.12, 4.14",
)
def take_minding_cold(
    rules: Rules, zone: Zone, cpu: int, order: int, migratetype: int, flags: int
) -> tuple[Zone, int]:
    """Hand out the head of a CPU's list, or its tail to who asks for a cold page."""
    if not flags & ALLOC_COLD:
        return rmqueue_pcplist(rules, zone, cpu, order, migratetype, flags)
    zone = count_work(zone, PCP_LOCK)
    index = rules.pcp_index(order, migratetype)
    pfn = pcp_tail(zone, cpu, index)
    if pfn == NOTHING:
        zone, _ = fetch(rules, zone, cpu, index, pcp_vars(zone, cpu).batch, migratetype, flags, True)
        pfn = pcp_tail(zone, cpu, index)
        if pfn == NOTHING:
            return zone, NOTHING
    return pcp_remove(zone, cpu, index, pfn), pfn


def limit(rules: Rules, zone: Zone, cpu: int, index: int) -> Zone:
    """Give back what a free put beyond the limit of a CPU's lists."""
    v, pages = rules.pcp_commit(pcp_vars(zone, cpu), 0, False, False)
    zone = set_pcp_vars(zone, cpu, v)
    if pages > 0:
        zone = count_work(zone, ZONE_LOCK)
        zone = rules.pcp_drain(rules, zone, cpu, pages, index)
    return zone
