"""The primitives of a zone whose free pages are counted: NR_FREE_PAGES beside what the lists hold.

`nr_free` follows the model's `account`; `listed` follows the lists themselves, block by block, those of
ISOLATE left out.  An operation counts right when both change by the same number of pages.  The counters of
CMA and of HIGHATOMIC are followed in the same way.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from linuxmm.model.alloc import freelist
from linuxmm.model.alloc.freelist import CMA, HIGHATOMIC, ISOLATE, NOTHING, Zone
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
from linuxmm.proofs.sym import choose


def counts_right(zone: Zone) -> bool:
    """Whether NR_FREE_PAGES changed by as many pages as the lists other than ISOLATE."""
    return ghost_of(zone).nr_free == ghost_of(zone).listed


def typed_right(zone: Zone) -> bool:
    """Whether the counters of CMA and HIGHATOMIC changed by as many pages as these lists."""
    ghost = ghost_of(zone)
    (cma, highatomic), (on_cma, on_highatomic) = ghost.nr_typed, ghost.listed_typed
    return (cma == on_cma) & (highatomic == on_highatomic)


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


def add_free_of_type(zone: Zone, migratetype: int, pages: int) -> Zone:
    ghost = ghost_of(zone)
    return zone_of(replace(ghost, nr_typed=_typed(ghost.nr_typed, pages, migratetype)))


def pages_if(fact: bool, pages: int, otherwise: int = 0) -> int:
    """`pages` if the fact holds, as a signed word: the logic of blocks has no unbounded integers."""
    chosen: int = choose(fact, pages, otherwise, 64, signed=True)
    return chosen


def _typed(counters: tuple[int, int], pages: int, migratetype: int) -> tuple[int, int]:
    cma, highatomic = counters
    return (
        cma + pages_if(migratetype == CMA, pages),
        highatomic + pages_if(migratetype == HIGHATOMIC, pages),
    )


def _listed(zone: Zone, pages: int, migratetype: int) -> Zone:
    ghost = ghost_of(zone)
    return zone_of(
        replace(
            ghost,
            listed=ghost.listed + pages_if(migratetype == ISOLATE, 0, pages),
            listed_typed=_typed(ghost.listed_typed, pages, migratetype),
        )
    )


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
    freelist.add_free_of_type: add_free_of_type,
}
"""`account` is the model's own: only what it adds to is replaced."""
