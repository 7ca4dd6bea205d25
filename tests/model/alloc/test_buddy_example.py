"""A zone of 16 pages, split and merged step by step."""

from dataclasses import replace

from linuxmm.model.alloc.boot import Area, empty_zone
from linuxmm.model.alloc.buddy import free_one_page, rmqueue_smallest
from linuxmm.model.alloc.freelist import Zone
from linuxmm.model.alloc.profile import rules_for
from linuxmm.spec.kernel import kernel

MOVABLE = 1
RULES = rules_for(kernel("6.1"))


def blocks(zone: Zone) -> dict[int, tuple[int, ...]]:
    return {order: row[MOVABLE] for order, row in enumerate(zone.lists) if row[MOVABLE]}


def test_a_block_is_split_on_demand_and_merged_when_it_comes_back() -> None:
    zone = empty_zone(RULES, Area(0, 2, 0, 16, 16), 1)
    zone = replace(free_one_page(RULES, zone, 0, 4, MOVABLE, False), managed=16)
    zone, pfn = rmqueue_smallest(RULES, zone, 1, MOVABLE)
    assert (pfn, blocks(zone)) == (0, {1: (2,), 2: (4,), 3: (8,)})
    zone, pfn = rmqueue_smallest(RULES, zone, 0, MOVABLE)
    assert (pfn, blocks(zone)) == (2, {0: (3,), 2: (4,), 3: (8,)})
    zone = free_one_page(RULES, zone, 2, 0, MOVABLE, False)
    assert blocks(zone) == {1: (2,), 2: (4,), 3: (8,)}
    zone = free_one_page(RULES, zone, 0, 1, MOVABLE, False)
    assert blocks(zone) == {4: (0,)}
