"""Grouping of pages by mobility: fallback order and when a pageblock changes its type.

Linux: mm/page_alloc.c (fallbacks, can_steal_fallback, steal_suitable_fallback).
Seed 2.1.1.2, 2.2.2 (F016, F038).  2.6.24 to 6.12.
"""

from typing import Final

from linuxmm.spec.kernel import behaviour
from linuxmm.spec.vocabulary import MIGRATE_PCPTYPES, MigrateType

_UNMOVABLE: Final = 0
_MOVABLE: Final = 1
_RECLAIMABLE: Final = 2
_NONE: Final = -1


def fallback_type(migratetype: int, attempt: int) -> int:
    """The type whose lists are tried at `attempt` (0, 1) when those of `migratetype` are empty; -1: none.

    Ensures   never the type itself, never CMA, ISOLATE, HIGHATOMIC
    Source    mm/page_alloc.c:fallbacks; the same order from 2.6.24 to 6.12
    """
    if attempt == 0:
        if migratetype == _UNMOVABLE or migratetype == _MOVABLE:
            return _RECLAIMABLE
        if migratetype == _RECLAIMABLE:
            return _UNMOVABLE
    if attempt == 1:
        if migratetype == _UNMOVABLE or migratetype == _RECLAIMABLE:
            return _MOVABLE
        if migratetype == _MOVABLE:
            return _UNMOVABLE
    return _NONE


def mobility_grouping_disabled(vm_total_pages: int, pageblock_nr_pages: int, nr_migratetypes: int) -> bool:
    """Whether the machine is too small to group pages by mobility; then every request is UNMOVABLE.

    vm_total_pages, pageblock_nr_pages in pages
    Source    mm/page_alloc.c:build_all_zonelists; 2.6.24 to 6.12
    """
    return vm_total_pages < pageblock_nr_pages * nr_migratetypes


@behaviour(
    "alloc.claims-block",
    since="2.6.24",
    until="3.19",
    features=("F016",),
    source="mm/page_alloc.c:__rmqueue_fallback; 2.6.24, 3.9, 3.15",
)
def claims_block_large_or_reclaimable(
    order: int, start_type: int, pageblock_order: int, grouping_disabled: bool
) -> bool:
    """Whether a fallback takes the whole pageblock's free pages: a large block, or a RECLAIMABLE request."""
    return order >= pageblock_order >> 1 or start_type == _RECLAIMABLE or grouping_disabled


@behaviour(
    "alloc.claims-block",
    since="4.0",
    features=("F016",),
    source="mm/page_alloc.c:can_steal_fallback; 4.1 to 6.12",
)
def claims_block_unless_small_movable(
    order: int, start_type: int, pageblock_order: int, grouping_disabled: bool
) -> bool:
    """Whether a fallback may take the whole pageblock: everything but a MOVABLE request for a small block.

    Source    mm/page_alloc.c:can_steal_fallback; 4.0 to 6.12
    """
    return (
        order >= pageblock_order >> 1
        or start_type == _RECLAIMABLE
        or start_type == _UNMOVABLE
        or grouping_disabled
    )


@behaviour(
    "alloc.alike-pages",
    since="2.6.24",
    until="4.11",
    features=("F016",),
    source="mm/page_alloc.c:try_to_steal_freepages, steal_suitable_fallback; 2.6.24 to 4.10",
)
def alike_pages_ignored(
    start_type: int, block_type: int, pageblock_nr_pages: int, free_pages: int, movable_pages: int
) -> int:
    """Allocated pages of the block that count as compatible with the request: none."""
    return 0


@behaviour(
    "alloc.alike-pages",
    since="4.12",
    features=("F016",),
    source="mm/page_alloc.c:steal_suitable_fallback; 4.12 to 6.12",
)
def alike_pages_by_mobility(
    start_type: int, block_type: int, pageblock_nr_pages: int, free_pages: int, movable_pages: int
) -> int:
    """Allocated pages of the block that count as compatible with the request.

    movable_pages: pages of the block on an LRU list or driver-movable
    Ensures   0 <= result <= pageblock_nr_pages - free_pages
    """
    if start_type == _MOVABLE:
        return movable_pages
    if block_type == _MOVABLE:
        return pageblock_nr_pages - (free_pages + movable_pages)
    return 0


def enough_to_retag(
    free_pages: int, alike_pages: int, pageblock_nr_pages: int, grouping_disabled: bool
) -> bool:
    """Whether a pageblock becomes the requester's: at least half of it is free or alike.

    Source    mm/page_alloc.c:steal_suitable_fallback; 2.6.24 to 6.12
    """
    return free_pages + alike_pages >= pageblock_nr_pages >> 1 or grouping_disabled


def list_may_serve(list_type: int, migratetype: int, cma_allowed: bool, highatomic_allowed: bool) -> bool:
    """Whether a page of a list of `list_type` may ever be given to a request of `migratetype`.

    The relation that every generation of the placement policy keeps: an ISOLATE page is never handed out,
    a CMA page only where CMA is allowed, a HIGHATOMIC page only to those who may use that reserve.
    Source    mm/page_alloc.c:__rmqueue, rmqueue_buddy, fallbacks
    """
    if list_type < MIGRATE_PCPTYPES:
        return True
    if list_type == int(MigrateType.CMA):
        return cma_allowed
    if list_type == int(MigrateType.HIGHATOMIC):
        return highatomic_allowed
    return list_type == int(MigrateType.RESERVE)
