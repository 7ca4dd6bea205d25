"""How fragmented free memory is, for a request of a given order: three figures that kernels print.

Free memory is given as the number of free blocks of each order.

Linux: mm/vmstat.c.  Seed 2.1 (F010).  Indices since 2.6.35, extfrag_for_order since 5.9.
"""

from collections.abc import Sequence
from typing import Final

from linuxmm.spec.arith import cdiv
from linuxmm.spec.invariant import invariant
from linuxmm.spec.registry import formula

WOULD_SUCCEED: Final = -1000
"""fragmentation_index when a block of the order, or larger, is free."""


def free_page_count(blocks: Sequence[int]) -> int:
    """Pages in all free blocks."""
    return sum(count << order for order, count in enumerate(blocks))


def suitable_blocks(blocks: Sequence[int], order: int) -> int:
    """Blocks of `order` that the free blocks could give without merging.

    Source    mm/vmstat.c:fill_contig_page_info
    """
    return sum(count << (at - order) for at, count in enumerate(blocks) if at >= order)


@formula("F010", source="mm/vmstat.c:unusable_free_index; 2.6.35 to 6.12")
def unusable_free_index(blocks: Sequence[int], order: int) -> int:
    """Thousandths of the free memory that lie in blocks too small for the request; 1000 without free memory.

    Ensures   0 <= result <= 1000
    """
    free = free_page_count(blocks)
    if free == 0:
        return 1000
    return (free - (suitable_blocks(blocks, order) << order)) * 1000 // free


@formula("F010", source="mm/vmstat.c:__fragmentation_index; 2.6.35 to 6.12")
def fragmentation_index(blocks: Sequence[int], order: int) -> int:
    """Why the request would fail: towards 0 for want of memory, towards 1000 by fragmentation.

    Ensures   WOULD_SUCCEED exactly when a suitable block is free; 0 when nothing is free; below 0 when few
              large blocks hold much
    """
    count = sum(blocks)
    if count == 0:
        return 0
    if suitable_blocks(blocks, order):
        return WOULD_SUCCEED
    return 1000 - cdiv(1000 + free_page_count(blocks) * 1000 // (1 << order), count)


@formula("F010", source="mm/vmstat.c:extfrag_for_order; 5.9 to 6.12")
def extfrag_for_order(blocks: Sequence[int], order: int) -> int:
    """Percent of the free memory that lie in blocks too small for the request; 0 without free memory."""
    free = free_page_count(blocks)
    if free == 0:
        return 0
    return (free - (suitable_blocks(blocks, order) << order)) * 100 // free


@formula("F010", source="mm/compaction.c:compaction_suitable, compaction_suit_allocation_order")
def compaction_refused(index: int, extfrag_threshold: int) -> bool:
    """Whether a costly request is left to reclaim: it would fail for want of memory, not by fragmentation.

    extfrag_threshold: vm.extfrag_threshold, 500 by default
    """
    return 0 <= index <= extfrag_threshold


@formula("F010", source="Knuth, TAOCP 1, 2.5")
def internal_fragmentation(asked: int, granted: int) -> int:
    """Pages granted beyond those asked for.

    Requires  granted >= asked
    """
    return granted - asked


@invariant(
    "alloc.fragmentation.bounds",
    features=("F010",),
    seed="2.1",
    source="mm/vmstat.c:unusable_free_index",
)
def bounded(unusable: int, extfrag: int) -> bool:
    """The unusable share is between none and all, in thousandths and in percent alike."""
    return 0 <= unusable <= 1000 and 0 <= extfrag <= 100
