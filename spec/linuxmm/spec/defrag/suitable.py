"""Whether compacting a zone is worth it, and when it is done.

Linux: mm/compaction.c:compaction_suitable, compact_finished.  Seed 2.2.3 (F039).  2.6.35 to 6.12.
"""

from typing import Final

from linuxmm.spec.alloc.fragmentation import WOULD_SUCCEED, compaction_refused
from linuxmm.spec.alloc.retry import Compaction
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.vocabulary import PAGE_ALLOC_COSTLY_ORDER

WHOLE: Final = -1
"""The order of a compaction that no request asked for."""
EXTFRAG_THRESHOLD: Final = 500
"""vm.extfrag_threshold as it is at boot."""
_MOVABLE: Final = 1
_CMA: Final = 5
_ISOLATE: Final = 4


@behaviour(
    "defrag.base-mark",
    since="2.6.35",
    until="3.18",
    features=("F039",),
    source="mm/compaction.c:compaction_suitable; 3.0.101+, 3.10 read, last from memory",
)
def base_mark_low(order: int, minimum: int, low: int, asked: int) -> int:
    """The watermark that single pages must pass, before the gap: low, whatever the request's."""
    return low


@behaviour(
    "defrag.base-mark",
    since="3.19",
    until="4.8",
    features=("F039",),
    source="mm/compaction.c:__compaction_suitable; from memory",
)
def base_mark_asked(order: int, minimum: int, low: int, asked: int) -> int:
    """The watermark that single pages must pass, before the gap: that of the request."""
    return asked


@behaviour(
    "defrag.base-mark",
    since="4.9",
    features=("F039",),
    source="mm/compaction.c:__compaction_suitable; 4.9, 6.1, 6.12",
)
def base_mark_by_cost(order: int, minimum: int, low: int, asked: int) -> int:
    """The watermark that single pages must pass, before the gap: min, and low for a costly order."""
    return low if order > PAGE_ALLOC_COSTLY_ORDER else minimum


@behaviour(
    "defrag.suitable",
    since="2.6.35",
    until="3.18",
    features=("F039",),
    source="mm/compaction.c:compaction_suitable; 3.0.101+, 3.10 read, last from memory",
)
def suitable_by_index(order: int, enough: bool, served: bool, index: int, threshold: int) -> Compaction:
    """SKIPPED when memory is short; SUCCESS when a block is free and the mark with its gap is met.

    enough     single pages pass the base mark and the gap
    served     the request would pass its watermark
    index      fragmentation_index of the order
    """
    if not enough or compaction_refused(index, threshold):
        return Compaction.SKIPPED
    if index == WOULD_SUCCEED and served:
        return Compaction.SUCCESS
    return Compaction.CONTINUE


@behaviour(
    "defrag.suitable",
    since="3.19",
    until="4.8",
    features=("F039",),
    source="mm/compaction.c:__compaction_suitable; from memory",
)
def suitable_every_order(order: int, enough: bool, served: bool, index: int, threshold: int) -> Compaction:
    """SUCCESS when the request would be served; SKIPPED when memory is short, for any order."""
    if served:
        return Compaction.SUCCESS
    if not enough or compaction_refused(index, threshold):
        return Compaction.SKIPPED
    return Compaction.CONTINUE


@behaviour(
    "defrag.suitable",
    since="4.9",
    features=("F039",),
    source="mm/compaction.c:compaction_suitable, compaction_suit_allocation_order; 4.9, 6.1, 6.12",
)
def suitable_costly_index(order: int, enough: bool, served: bool, index: int, threshold: int) -> Compaction:
    """As before; only a costly order is refused for its fragmentation index."""
    if served:
        return Compaction.SUCCESS
    if not enough or (order > PAGE_ALLOC_COSTLY_ORDER and compaction_refused(index, threshold)):
        return Compaction.SKIPPED
    return Compaction.CONTINUE


@behaviour(
    "defrag.permitted",
    since="2.6.35",
    until="2.6.37",
    features=("F039",),
    source="mm/compaction.c:try_to_compact_pages; 2.6.37",
)
def permitted_costly(order: int, may_enter_fs: bool, may_perform_io: bool) -> bool:
    """Whether a request compacts at all: a costly one that may call file systems and devices."""
    return order > PAGE_ALLOC_COSTLY_ORDER and may_enter_fs and may_perform_io


@behaviour(
    "defrag.permitted",
    since="2.6.38",
    until="4.5",
    features=("F039",),
    source="mm/compaction.c:try_to_compact_pages; 3.0.101+, 3.10 read, last from memory",
)
def permitted_with_fs(order: int, may_enter_fs: bool, may_perform_io: bool) -> bool:
    """Whether a request compacts at all: one for more than a page that may call file systems and devices."""
    return order > 0 and may_enter_fs and may_perform_io


@behaviour(
    "defrag.permitted",
    since="4.6",
    features=("F039",),
    source="mm/compaction.c:try_to_compact_pages; 6.1, 6.12 read, first from memory",
)
def permitted_with_io(order: int, may_enter_fs: bool, may_perform_io: bool) -> bool:
    """Whether a request compacts at all; without file systems, only anonymous pages will move."""
    return order > 0 and may_perform_io


@behaviour(
    "defrag.scanners-met",
    since="2.6.35",
    until="4.2",
    features=("F039",),
    source="mm/compaction.c:compact_finished; 3.0.101+, 3.10 read, last from memory",
)
def met_at_page(migrate_pfn: int, free_pfn: int, pageblock_order: int) -> bool:
    """Whether the scanners have met: at the same page, or beyond."""
    return free_pfn <= migrate_pfn


@behaviour(
    "defrag.scanners-met",
    since="4.3",
    features=("F039",),
    source="mm/compaction.c:compact_scanners_met; 6.1, 6.12 read, first from memory",
)
def met_in_pageblock(migrate_pfn: int, free_pfn: int, pageblock_order: int) -> bool:
    """Whether the scanners have met: in the same pageblock, or beyond."""
    return free_pfn >> pageblock_order <= migrate_pfn >> pageblock_order


@behaviour(
    "defrag.looks-now",
    since="2.6.35",
    until="4.11",
    features=("F039",),
    source="mm/compaction.c:compact_finished; 3.0.101+, 3.10, 4.9 read, last from memory",
)
def looks_always(migrate_pfn: int, pageblock_order: int, marked: bool) -> bool:
    """Whether free lists are looked at for a block: when the watermark is met."""
    return marked


@behaviour(
    "defrag.looks-now",
    since="4.12",
    features=("F039",),
    source="mm/compaction.c:__compact_finished; 6.1, 6.12 read; 4.12 to 5.0, from memory, finish "
    "the pageblock for fallbacks only",
)
def looks_at_pageblock_ends(migrate_pfn: int, pageblock_order: int, marked: bool) -> bool:
    """Whether free lists are looked at for a block: when the scanned pageblock is done."""
    return migrate_pfn & ((1 << pageblock_order) - 1) == 0


@behaviour(
    "defrag.captures",
    since="2.6.35",
    until="5.0",
    features=("F039",),
    source="mm/compaction.c: no capture; 3.0.101+, 3.10, 4.9",
)
def captures_nothing(order: int, asked: int, block_type: int, own_type: int, pageblock_order: int) -> bool:
    """Whether a block that has just merged goes to the task that compacts: never."""
    return False


@behaviour(
    "defrag.captures",
    since="5.1",
    until="6.9",
    features=("F039",),
    source="mm/page_alloc.c:compaction_capture; 6.1 read, both ends from memory",
)
def captures_large(order: int, asked: int, block_type: int, own_type: int, pageblock_order: int) -> bool:
    """Whether a block that has just merged goes to the task that compacts.

    Never from CMA or ISOLATE, and no small block of MOVABLE.
    """
    if order != asked or block_type in (_ISOLATE, _CMA):
        return False
    return order >= pageblock_order or block_type != _MOVABLE


@behaviour(
    "defrag.captures",
    since="6.10",
    features=("F039",),
    source="mm/page_alloc.c:compaction_capture; 6.12 read, first from memory",
)
def captures_own(order: int, asked: int, block_type: int, own_type: int, pageblock_order: int) -> bool:
    """As before; a movable request also takes a small block of MOVABLE."""
    if order != asked or block_type in (_ISOLATE, _CMA):
        return False
    return order >= pageblock_order or block_type != _MOVABLE or own_type == _MOVABLE
