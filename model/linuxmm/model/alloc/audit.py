"""Which invariants of the specification a state of the model breaks, zone by zone.

A test, a state machine or an exhaustive search calls `broken` after every step; an empty answer means that
every registered invariant of the page allocator holds.

Linux: mm/page_alloc.c.  Seed 2.1.1 (F012, F016, F017, F020).
"""

from collections.abc import Iterator

from linuxmm.model.alloc.buddy import absorb_retagging
from linuxmm.model.alloc.freelist import CMA, HIGHATOMIC, ISOLATE, Zone, pageblock_type
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.movement import MOVABLE
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc import zone as zone_invariants
from linuxmm.spec.alloc.buddy import (
    FreeBlock,
    FreeBlocks,
    aligned,
    buddy_of,
    disjoint,
    in_zone,
    unmerged,
)
from linuxmm.spec.alloc.pcp import count_is_sum
from linuxmm.spec.alloc.watermark import watermarks_ordered
from linuxmm.spec.vocabulary import PAGE_ALLOC_COSTLY_ORDER


def free_blocks_of(zone: Zone) -> FreeBlocks:
    """The free blocks of a zone, as the specification speaks of them."""
    blocks = tuple(
        FreeBlock(pfn, order, migratetype)
        for order, row in enumerate(zone.lists)
        for migratetype, heads in enumerate(row)
        for pfn in heads
    )
    return FreeBlocks(zone.start, zone.end, len(zone.lists) - 1, zone.pageblock_order, zone.types, blocks)


def broken(rules: Rules, machine: Machine) -> tuple[str, ...]:
    """Ids of the invariants that the machine breaks, with the zone."""
    found = [f"{id} in node {z.node} zone {z.kind}" for z in machine.zones for id in broken_in_zone(rules, z)]
    if not zone_invariants.zones_disjoint(tuple((z.start, z.end) for z in machine.zones)):
        found.append("alloc.zone.disjoint")
    for node, entries in enumerate(machine.zonelists):
        if not zone_invariants.zonelist_complete(entries, len(machine.zones)):
            found.append(f"alloc.zonelist.complete of node {node}")
    return tuple(found)


def broken_in_zone(rules: Rules, zone: Zone) -> Iterator[str]:
    """Ids of the invariants that one zone breaks."""
    blocks = free_blocks_of(zone)
    listed = sum(1 << b.order for b in blocks.blocks)
    isolated = sum(1 << b.order for b in blocks.blocks if b.migratetype == ISOLATE)
    cached = sum(1 << order for order, _ in zone.cached.values())
    in_use = sum(1 << order for order, _ in zone.in_use.values())
    for invariant, holds in (
        ("alloc.buddy.aligned", aligned(blocks)),
        ("alloc.buddy.in-zone", in_zone(blocks)),
        ("alloc.buddy.disjoint", disjoint(blocks) and _no_page_twice(zone)),
        ("alloc.buddy.coalesced", coalesced_as_promised(rules, zone, blocks)),
        ("alloc.zone.partition", zone_invariants.partition(zone.managed, listed, cached, in_use)),
        ("alloc.zone.free-counter", zone_invariants.free_counter(zone.nr_free, listed, isolated)),
        ("alloc.zone.list-agrees", not lists_agree(rules) or _lists_agree(zone, blocks)),
        ("alloc.zone.isolate-kept", not zone.nr_isolated or _isolate_kept(zone, blocks)),
        ("alloc.pcp.count", all(_pcp_counts(rules, zone))),
        ("alloc.watermark.ordered", watermarks_ordered(*zone.watermark)),
        ("alloc.zone.typed-counters", _typed_counters(rules, zone, blocks)),
    ):
        if not holds:
            yield invariant


def lists_agree(rules: Rules) -> bool:
    """Whether this kernel keeps every free block on the list of its pageblock's type (6.10 and later)."""
    return rules.absorb is absorb_retagging


def keeps_isolated_apart(rules: Rules, zone: Zone) -> bool:
    """Whether this kernel never merges an isolated with another pageblock (4.6 and later)."""
    order = rules.pageblock_order
    return not rules.may_absorb(zone, order, ISOLATE, MOVABLE) and not rules.may_absorb(
        zone, order, MOVABLE, ISOLATE
    )


def coalesced_as_promised(rules: Rules, zone: Zone, blocks: FreeBlocks) -> bool:
    """No two free buddies stay apart that this kernel would have merged.

    Below a pageblock always; from a pageblock on as far as the rules merge the types of the pageblocks.
    """
    for one, other in unmerged(blocks):
        if one.order < zone.pageblock_order:
            return False
        first, second = pageblock_type(zone, one.pfn), pageblock_type(zone, other.pfn)
        if first == second and zone.nr_isolated == 0 and ISOLATE not in (first, second):
            return False
    return True


def _no_page_twice(zone: Zone) -> bool:
    end = -1
    held = [
        (pfn, order) for where in (zone.free, zone.cached, zone.in_use) for pfn, (order, _) in where.items()
    ]
    for pfn, order in sorted(held):
        if pfn < end:
            return False
        end = pfn + (1 << order)
    return True


def _lists_agree(zone: Zone, blocks: FreeBlocks) -> bool:
    return all(
        zone_invariants.list_agrees(b.migratetype, pageblock_type(zone, at))
        for b in blocks.blocks
        for at in range(b.pfn, b.end, 1 << zone.pageblock_order)
    )


def _isolate_kept(zone: Zone, blocks: FreeBlocks) -> bool:
    return all(
        zone_invariants.isolate_kept(b.migratetype, pageblock_type(zone, b.pfn)) for b in blocks.blocks
    )


def _pcp_counts(rules: Rules, zone: Zone) -> Iterator[bool]:
    for pcp in zone.pcps:
        by_order = [0] * (max(rules.max_order, rules.pageblock_order, PAGE_ALLOC_COSTLY_ORDER) + 1)
        for index, heads in enumerate(pcp.lists):
            by_order[rules.pcp_order(index, rules.pageblock_order)] += len(heads)
            yield all(zone.cached[pfn][0] == rules.pcp_order(index, rules.pageblock_order) for pfn in heads)
        yield count_is_sum(pcp.vars.pages, tuple(by_order))


def _typed_counters(rules: Rules, zone: Zone, blocks: FreeBlocks) -> bool:
    """Where lists and pageblocks agree, the counters of CMA and HIGHATOMIC are the pages on those lists."""
    if not lists_agree(rules):
        return True
    cma = sum(1 << b.order for b in blocks.blocks if b.migratetype == CMA)
    highatomic = sum(1 << b.order for b in blocks.blocks if b.migratetype == HIGHATOMIC)
    return zone_invariants.typed_counters(zone.nr_free_cma, cma) and zone_invariants.typed_counters(
        zone.nr_free_highatomic, highatomic
    )


def multiset(zone: Zone) -> tuple[tuple[int, int], ...]:
    """The free blocks of a zone, as (pfn, order); what free(alloc(s)) restores.

    A block's buddy is `buddy_of`; two states with the same blocks differ at most in list order and types.
    """
    return tuple(sorted((pfn, order) for pfn, (order, _) in zone.free.items()))


def mergeable_pairs(zone: Zone) -> int:
    """Free blocks below the largest order whose buddy is free with the same order."""
    return sum(
        1
        for pfn, (order, _) in zone.free.items()
        if order < len(zone.lists) - 1 and (zone.free.get(buddy_of(pfn, order)) or (-1,))[0] == order
    )
