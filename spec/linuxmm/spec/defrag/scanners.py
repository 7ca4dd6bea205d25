"""Where the two scanners begin, turn and stop.

Linux: mm/compaction.c:isolate_migratepages, isolate_freepages, fast_isolate_freepages,
fast_find_migrateblock.  Seed 2.2.3 (F039).  2.6.35 to 6.12.
"""

from typing import Final

from linuxmm.spec.arith import align_down, align_up
from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula

CLUSTER_MAX: Final = 32
"""COMPACT_CLUSTER_MAX: pages that are moved together."""


@formula("F039", source="mm/compaction.c:pageblock_start_pfn")
def block_start(pfn: int, order: int) -> int:
    """The first page of the block of 2**order pages that holds pfn."""
    return align_down(pfn, 1 << order)


@formula("F039", source="mm/compaction.c:pageblock_end_pfn")
def block_end(pfn: int, order: int) -> int:
    """One past the last page of the block of 2**order pages that holds pfn."""
    return align_down(pfn, 1 << order) + (1 << order)


@behaviour(
    "defrag.free-start",
    since="2.6.35",
    until="4.2",
    features=("F039",),
    source="mm/compaction.c:compact_zone; 3.0.101+, 3.10 read, last from memory",
)
def free_start_past(end: int, pageblock_order: int) -> int:
    """Where the free scanner begins: at the zone's end, rounded down."""
    return align_down(end, 1 << pageblock_order)


@behaviour(
    "defrag.free-start",
    since="4.3",
    features=("F039",),
    source="mm/compaction.c:compact_zone; 4.9, 6.1, 6.12 read, first from memory",
)
def free_start_last(end: int, pageblock_order: int) -> int:
    """Where the free scanner begins: at the pageblock of the zone's last page."""
    return align_down(end - 1, 1 << pageblock_order)


@formula("F039", source="mm/compaction.c:compact_zone; 3.7 to 6.12")
def cached_start(cached: int, start: int, end: int, fresh: int) -> int:
    """Where a scanner goes on: where it stopped, or at `fresh` when that lies outside the zone."""
    return cached if start <= cached < end else fresh


@formula("F039", source="mm/compaction.c:isolate_freepages; 2.6.35 to 6.12")
def free_limit(migrate_pfn: int, pageblock_order: int) -> int:
    """The lowest page that the free scanner may take: past the pageblock that the migration scanner is in."""
    return block_end(migrate_pfn, pageblock_order)


@formula("F039", source="mm/compaction.c:isolate_migratepages; 2.6.35 to 6.12")
def may_migrate_from(end: int, free_pfn: int) -> bool:
    """Whether the migration scanner may take pages of the pageblock that ends there."""
    return end <= free_pfn


@formula("F039", source="mm/page_alloc.c:__isolate_free_page; 2.6.35 to 6.12")
def isolation_mark(minimum: int, order: int) -> int:
    """What must stay free so that a block may be isolated: the watermark, and the block itself."""
    return minimum + (1 << order)


@formula("F039", source="mm/compaction.c:compaction_alloc_noprof; 6.9 to 6.12")
def halves_left(pfn: int, order: int) -> tuple[tuple[int, int], ...]:
    """What is left of a block after its first page was taken: (pfn, order) of halves, the smallest first."""
    return tuple((pfn + (1 << at), at) for at in range(order))


@formula("F039", source="mm/compaction.c:freelist_scan_limit; 5.1 to 6.12")
def search_limit(failures: int) -> int:
    """Blocks that a search of a free list looks at; fewer after failures."""
    return (CLUSTER_MAX >> min(63, failures)) + 1


@formula("F039", source="mm/compaction.c:fast_isolate_freepages; 5.1 to 6.12")
def search_marks(migrate_pfn: int, free_pfn: int, pageblock_order: int) -> tuple[int, int]:
    """(preferred, least): a target is searched in the top quarter between the scanners, else the top half."""
    distance = free_pfn - migrate_pfn
    return (
        align_down(free_pfn - (distance >> 2), 1 << pageblock_order),
        align_down(free_pfn - (distance >> 1), 1 << pageblock_order),
    )


@formula("F039", source="mm/compaction.c:fast_find_migrateblock; 5.1 to 6.12")
def search_end(migrate_pfn: int, free_pfn: int, at_start: bool, pageblock_order: int) -> int:
    """Where a search for a pageblock to empty ends: in the first half, later in the first eighth."""
    distance = (free_pfn - migrate_pfn) >> 1
    if not at_start:
        distance = distance >> 2
    return align_down(migrate_pfn + distance, 1 << pageblock_order)


def rotated_to_front(heads: tuple[int, ...], pfn: int) -> tuple[int, ...]:
    """A free list after the search for a target looked at it from its tail down to pfn.

    What stands from pfn on goes to the front, so that the next search begins with what was not seen.
    Source    mm/compaction.c:move_freelist_head; 5.1 to 6.12
    """
    at = heads.index(pfn)
    return heads[at:] + heads[:at]


def rotated_to_back(heads: tuple[int, ...], pfn: int) -> tuple[int, ...]:
    """A free list after the search for a pageblock to empty looked at it from its head up to pfn.

    Source    mm/compaction.c:move_freelist_tail; 5.1 to 6.12
    """
    at = heads.index(pfn) + 1
    return heads[at:] + heads[:at]


@invariant(
    "defrag.scanners.apart",
    features=("F039",),
    seed="2.2.3",
    source="mm/compaction.c:isolate_freepages",
)
def apart(source: int, target: int) -> bool:
    """A page moves towards the end of the zone."""
    return source < target


@invariant(
    "defrag.scanners.in-zone",
    features=("F039",),
    seed="2.2.3",
    source="mm/compaction.c:isolate_migratepages",
)
def range_in_zone(low: int, high: int, start: int, end: int, pageblock_order: int) -> bool:
    """A scan stays inside the zone, and inside one pageblock."""
    return start <= low <= high <= end and high <= align_up(low + 1, 1 << pageblock_order)


@invariant(
    "defrag.scanners.counts",
    features=("F039",),
    seed="2.2.3",
    source="mm/compaction.c:isolate_migratepages_block, isolate_freepages_block",
)
def counted(low: int, high: int, scanned: int, taken: int) -> bool:
    """A scan goes up, and takes no more pages than it looked at."""
    return low <= high and 0 <= taken <= scanned
