"""Lists of pages per CPU that stood beside the merged ones or were proposed in their place.

Lists for high orders without types (version 4 of 2016, not merged); lists that only requests outside
interrupts use (4.11-rc1, reverted), as a count of what an operation costs.

Linux: mm/page_alloc.c.  Seed 2.1.1.4 (F020, F021, F023, F024).
"""

from typing import Final, NamedTuple

from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.pcp import costly_orders_too
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula
from linuxmm.spec.vocabulary import MIGRATE_PCPTYPES, PAGE_ALLOC_COSTLY_ORDER

# ---- high orders, version 4 ------------------------------------------------------------------------------


@formula("F021", source="High-order per-CPU lists v4, December 2016 (not merged)")
def index_high_order_v4(order: int, migratetype: int) -> int:
    """The list of a block: by type at order 0; above, one for each order, whatever the type."""
    return migratetype if order == 0 else MIGRATE_PCPTYPES + order - 1


@formula("F021", source="High-order per-CPU lists v4, December 2016 (not merged)")
def order_high_order_v4(index: int, pageblock_order: int) -> int:
    """The order of the blocks on list `index`."""
    return 0 if index < MIGRATE_PCPTYPES else index - MIGRATE_PCPTYPES + 1


@behaviour(
    "alloc.pcp-layout-v4",
    since="4.9",
    until="4.10",
    features=("F021",),
    source="High-order per-CPU lists v4, December 2016 (not merged; accounting unconfirmed)",
)
def with_high_orders_v4(rules: Rules) -> Rules:
    """The rules of a kernel of its time with the lists of version 4."""
    return rules._replace(
        nr_pcp_lists=MIGRATE_PCPTYPES + PAGE_ALLOC_COSTLY_ORDER,
        pcp_allowed=costly_orders_too,
        pcp_index=index_high_order_v4,
        pcp_order=order_high_order_v4,
    )


# ---- what an operation costs -----------------------------------------------------------------------------


class Cost(NamedTuple):
    """Expensive steps of allocations and frees.

    irq_pairs      times interrupts were disabled and enabled
    zone_locks     times the zone's lock was taken
    preempt_pairs  times preemption was disabled and enabled
    list_moves     pages put on or taken off a list
    """

    irq_pairs: int = 0
    zone_locks: int = 0
    preempt_pairs: int = 0
    list_moves: int = 0


NO_COST: Final = Cost()


def cost_sum(a: Cost, b: Cost) -> Cost:
    """Both costs together."""
    return Cost(*(x + y for x, y in zip(a, b, strict=True)))


@behaviour(
    "alloc.pcp-context",
    since="2.6.0",
    features=("F023",),
    source="mm/page_alloc.c:rmqueue_pcplist, free_unref_page; 2.6.11 to 5.18",
)
def cost_with_irqs_off(in_interrupt: bool, moved: int) -> Cost:
    """Cost of one page: the list is used with interrupts disabled.

    moved: pages that a refill or a drain moved meanwhile, 0 when the list sufficed
    """
    return Cost(1, 1 if moved else 0, 0, 1 + moved)


@behaviour(
    "alloc.pcp-context-noirq",
    since="4.11",
    until="4.11",
    features=("F023",),
    source="mm/page_alloc.c:free_hot_cold_page; 4.11-rc1, reverted before 4.11 (from memory)",
)
def cost_with_preemption_off(in_interrupt: bool, moved: int) -> Cost:
    """Cost of one page: outside interrupts only preemption is disabled; inside, the zone's lock is taken."""
    if in_interrupt:
        return Cost(1, 1, 0, 1)
    return Cost(1 if moved else 0, 1 if moved else 0, 1, 1 + moved)


@formula("F023", source="mm/page_alloc.c:in_interrupt test of 4.11-rc1 (from memory)")
def noirq_uses_lists(in_interrupt: bool, order: int) -> bool:
    """Whether a request of the !irq variant may use the CPU's lists at all."""
    return order == 0 and not in_interrupt


# ---- draining every CPU ----------------------------------------------------------------------------------


class Drain(NamedTuple):
    """How the lists of all CPUs are emptied: the CPUs drained, those interrupted, work items queued."""

    cpus: tuple[int, ...]
    interrupts: int
    work_items: int


@behaviour(
    "alloc.drain-all",
    since="2.6.0",
    until="4.10",
    features=("F024",),
    source="mm/page_alloc.c:drain_all_pages; 2.6.24 to 4.10",
)
def drain_by_interrupt(with_pages: tuple[int, ...], contended: bool, one_zone: bool) -> Drain:
    """Every CPU that holds pages is interrupted."""
    return Drain(with_pages, len(with_pages), 0)


@behaviour(
    "alloc.drain-all",
    since="4.11",
    until="5.18",
    features=("F024",),
    source="mm/page_alloc.c:drain_all_pages; 4.12 to 5.17",
)
def drain_by_work(with_pages: tuple[int, ...], contended: bool, one_zone: bool) -> Drain:
    """One drainer at a time queues a static work item per CPU; who finds another at work returns.

    contended: another drainer holds the mutex; one_zone: a zone was named, so the caller waits its turn
    """
    if contended and not one_zone:
        return Drain((), 0, 0)
    return Drain(with_pages, 0, len(with_pages))


@behaviour(
    "alloc.drain-all",
    since="5.19",
    features=("F024",),
    source="mm/page_alloc.c:__drain_all_pages; 6.1, 6.12",
)
def drain_remotely(with_pages: tuple[int, ...], contended: bool, one_zone: bool) -> Drain:
    """The drainer takes each CPU's lock itself; nobody is interrupted."""
    if contended and not one_zone:
        return Drain((), 0, 0)
    return Drain(with_pages, 0, 0)
