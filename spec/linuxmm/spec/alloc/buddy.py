"""Buddy blocks: 2**order pages, aligned to their size, split in halves and merged with their buddies.

The formulas of the buddy system and its invariants, stated for one page or block so that they can be
proved over any memory size.  A *block* is (pfn, order); it is free when it heads an entry of a free list.

Linux: mm/page_alloc.c, mm/internal.h.  Seed 2.1.1.1 (F012).  All versions.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from linuxmm.spec.invariant import invariant
from linuxmm.spec.vocabulary import MIGRATE_PCPTYPES


def buddy_of(pfn: int, order: int) -> int:
    """Head of the block that merges with (pfn, order) into one of the next order.

    Requires  pfn is a multiple of 2**order
    Ensures   an involution; differs from pfn in bit `order` only
    Source    mm/internal.h:__find_buddy_pfn
    """
    return pfn ^ (1 << order)


def merged_pfn(pfn: int, order: int) -> int:
    """Head of the block that (pfn, order) and its buddy form.

    Ensures   a multiple of 2**(order + 1), not above pfn
    Source    mm/page_alloc.c:__free_one_page (combined_pfn)
    """
    return pfn & ~(1 << order)


def upper_half(pfn: int, order: int) -> int:
    """Head of the upper half of a block of order + 1 that starts at pfn.

    Source    mm/page_alloc.c:expand
    """
    return pfn + (1 << order)


def is_aligned(pfn: int, order: int) -> bool:
    """Whether a block of `order` may start at pfn."""
    return pfn & ((1 << order) - 1) == 0


def block_contains(head: int, order: int, pfn: int) -> bool:
    """Whether page `pfn` lies in the block (head, order), for an aligned head."""
    return pfn >> order == head >> order


def migratetype_is_mergeable(migratetype: int) -> bool:
    """Whether blocks of this type merge with blocks of another mergeable type: it has fallbacks.

    Source    include/linux/mmzone.h:migratetype_is_mergeable; 5.18 to 6.12
    """
    return migratetype < MIGRATE_PCPTYPES


def types_may_merge(migratetype: int, buddy_migratetype: int) -> bool:
    """Whether two buddies of at least a pageblock merge although their pageblocks differ in type.

    Source    mm/page_alloc.c:__free_one_page
    """
    return migratetype == buddy_migratetype or (
        migratetype_is_mergeable(migratetype) and migratetype_is_mergeable(buddy_migratetype)
    )


@dataclass(frozen=True, slots=True)
class FreeBlock:
    """A free block: its first page, its order, and the migratetype of the list that holds it."""

    pfn: int
    order: int
    migratetype: int

    @property
    def end(self) -> int:
        """The first pfn behind the block."""
        return self.pfn + (1 << self.order)


@dataclass(frozen=True, slots=True)
class FreeBlocks:
    """All free blocks of one zone, and what the invariants need to know of the zone.

    start, end      pfns of the zone's span, end exclusive
    max_order       largest order of a block
    pageblock_order order of a pageblock
    types           pageblock types, by (pfn >> pageblock_order) - (start >> pageblock_order)
    """

    start: int
    end: int
    max_order: int
    pageblock_order: int
    types: tuple[int, ...]
    blocks: tuple[FreeBlock, ...]

    def type_of(self, pfn: int) -> int:
        """Type of the pageblock that holds pfn."""
        return self.types[(pfn >> self.pageblock_order) - (self.start >> self.pageblock_order)]


@invariant(
    "alloc.buddy.aligned", features=("F012",), seed="2.1.1.1", source="mm/page_alloc.c:__free_one_page"
)
def aligned(free: FreeBlocks) -> bool:
    """Every free block starts at a multiple of its size."""
    return all(is_aligned(block.pfn, block.order) for block in free.blocks)


@invariant(
    "alloc.buddy.in-zone", features=("F012", "F003"), seed="2 intro", source="mm/page_alloc.c:bad_range"
)
def in_zone(free: FreeBlocks) -> bool:
    """Every free block lies inside the span of its zone and is no larger than the largest order."""
    return all(
        free.start <= block.pfn and block.end <= free.end and 0 <= block.order <= free.max_order
        for block in free.blocks
    )


@invariant(
    "alloc.buddy.disjoint", features=("F012",), seed="2.1.1.1", source="mm/page_alloc.c:__free_one_page"
)
def disjoint(free: FreeBlocks) -> bool:
    """No page lies in two free blocks."""
    return not any(True for _ in overlaps(free.blocks))


def overlaps(blocks: Iterable[FreeBlock]) -> Iterable[tuple[FreeBlock, FreeBlock]]:
    """Neighbouring pairs, in pfn order, that share a page; empty exactly when no page is in two blocks."""
    end, last = -1, None
    for block in sorted(blocks, key=lambda b: b.pfn):
        if last is not None and block.pfn < end:
            yield last, block
        if block.end > end:
            end, last = block.end, block


@invariant(
    "alloc.buddy.coalesced",
    features=("F012", "F016"),
    seed="2.1.1.1",
    source="mm/page_alloc.c:__free_one_page",
)
def coalesced(free: FreeBlocks) -> bool:
    """No two free buddies stay apart, except across pageblocks whose types may not merge."""
    return not any(True for _ in unmerged(free))


def unmerged(free: FreeBlocks) -> Iterable[tuple[FreeBlock, FreeBlock]]:
    """Pairs of free buddies that `coalesced` forbids."""
    heads = {(block.pfn, block.order): block for block in free.blocks}
    for block in free.blocks:
        buddy = heads.get((buddy_of(block.pfn, block.order), block.order))
        if buddy is None or buddy.pfn < block.pfn or block.order >= free.max_order:
            continue
        if block.order < free.pageblock_order or types_may_merge(
            free.type_of(block.pfn), free.type_of(buddy.pfn)
        ):
            yield block, buddy
