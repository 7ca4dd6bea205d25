"""What every compaction leaves as it was.

Linux: mm/compaction.c:compact_zone, mm/migrate.c:migrate_pages.  Seed 2.2.2, 2.2.3 (F038, F039).
"""

from collections.abc import Sequence

from linuxmm.spec.invariant import invariant

_ZONE = "mm/compaction.c:compact_zone"


@invariant("defrag.contents-kept", features=("F039",), seed="2.2.3", source="mm/migrate.c:migrate_pages")
def contents_kept(before: Sequence[int], after: Sequence[int]) -> bool:
    """After migration each content is where it was, or at exactly one new place."""
    return sorted(before) == sorted(after)


@invariant("defrag.free-conserved", features=("F039",), seed="2.2.3", source=_ZONE)
def free_conserved(before: int, after: int, captured: int) -> bool:
    """A compaction leaves as many pages free as before, but for a block that it hands to its request."""
    return before == after + captured


@invariant("defrag.unmovable-stays", features=("F038", "F039"), seed="2.2.2", source=_ZONE)
def unmovable_stays(unmovable: Sequence[int], after: Sequence[int]) -> bool:
    """What cannot be moved is where it was."""
    return set(unmovable) <= set(after)


@invariant("defrag.scanners.one-way", features=("F039",), seed="2.2.3", source=_ZONE)
def one_way(migrate_pfn: int, free_pfn: int, pageblock_order: int) -> bool:
    """While a compaction goes on, sources are taken from pageblocks below those of targets."""
    return migrate_pfn >> pageblock_order < free_pfn >> pageblock_order
