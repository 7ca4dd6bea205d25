"""The primitives of a zone whose free pages are counted: NR_FREE_PAGES beside what the lists hold.

`nr_free` follows the model's `account`; `listed` follows the lists themselves, block by block, those of
ISOLATE left out.  An operation counts right when both change by the same number of pages.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from linuxmm.model.alloc import freelist
from linuxmm.model.alloc.freelist import ISOLATE, NOTHING, Zone
from linuxmm.proofs.alloc.ghost import (
    MAX_ORDER,
    PRIMITIVES,
    ghost_of,
    is_free_block,
    list_type,
    put_block,
    remove,
    zone_of,
)


def counts_right(zone: Zone) -> bool:
    """Whether NR_FREE_PAGES changed by as many pages as the lists other than ISOLATE."""
    return ghost_of(zone).nr_free == ghost_of(zone).listed


def free_order(zone: Zone, pfn: int) -> int:
    """The order of the free block that starts at pfn; forks."""
    for order in range(MAX_ORDER + 1):
        if is_free_block(zone, pfn, order):
            return order
    return NOTHING


def free_list_of(zone: Zone, pfn: int) -> int:
    """The list of the free block that starts at pfn, whatever its order."""
    order = free_order(zone, pfn)
    return NOTHING if order == NOTHING else list_type(zone, order, pfn >> order)


def spans(zone: Zone, pfn: int) -> bool:
    start, end = ghost_of(zone).span
    return (start <= pfn) & (pfn < end)


def add_isolated(zone: Zone, pageblocks: int) -> Zone:
    ghost = ghost_of(zone)
    return zone_of(replace(ghost, nr_isolated=ghost.nr_isolated + pageblocks))


def add_nr_free(zone: Zone, pages: int) -> Zone:
    ghost = ghost_of(zone)
    return zone_of(replace(ghost, nr_free=ghost.nr_free + pages))


def uncounted_type(zone: Zone, migratetype: int, pages: int) -> Zone:
    """add_free_of_type: the counters of CMA and HIGHATOMIC are not part of the twin."""
    return zone


def _listed(zone: Zone, pages: int, migratetype: int) -> Zone:
    if migratetype == ISOLATE:
        return zone
    ghost = ghost_of(zone)
    return zone_of(replace(ghost, listed=ghost.listed + pages))


def put_counted(zone: Zone, pfn: int, order: int, migratetype: int) -> Zone:
    """add_head and add_tail."""
    return _listed(put_block(zone, pfn, order, migratetype), 1 << order, migratetype)


def remove_counted(zone: Zone, pfn: int, order: int) -> Zone:
    kind = list_type(zone, order, pfn >> order)
    return _listed(remove(zone, pfn, order), -(1 << order), kind)


COUNTED: Final[dict[Callable[..., Any], Callable[..., Any]]] = {
    **{original: twin for original, twin in PRIMITIVES.items() if original is not freelist.account},
    freelist.add_head: put_counted,
    freelist.add_tail: put_counted,
    freelist.remove: remove_counted,
    freelist.free_list_of: free_list_of,
    freelist.free_order: free_order,
    freelist.spans: spans,
    freelist.add_isolated: add_isolated,
    freelist.add_nr_free: add_nr_free,
    freelist.add_free_of_type: uncounted_type,
}
"""`account` is the model's own: only what it adds to is replaced."""
