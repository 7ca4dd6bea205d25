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


@invariant(
    "defrag.migration.accounted", features=("F039",), seed="2.2.3", source="mm/migrate.c:migrate_pages"
)
def accounted(taken: int, moved: int, failed: int) -> bool:
    """Every page that was taken moved or went back."""
    return moved + failed == taken


@invariant("defrag.source-freed", features=("F039",), seed="2.2.3", source="mm/migrate.c:migrate_pages")
def source_freed(pfn: int, ranges: Sequence[tuple[int, int]]) -> bool:
    """A page that migration frees was taken by the same compaction."""
    return any(low <= pfn < high for low, high in ranges)


RESULTS = frozenset(
    [
        "not_suitable_zone",
        "skipped",
        "deferred",
        "no_suitable_page",
        "continue",
        "complete",
        "partial_skipped",
        "contended",
        "success",
    ]
)


@invariant("defrag.result-named", features=("F039",), seed="2.2.3", source=_ZONE)
def ends_as(result: str, under_way: bool) -> bool:
    """A compaction that ended does not say that it goes on; one that is under way was not put off."""
    if result not in RESULTS:
        return False
    return result not in ("deferred", "skipped", "not_suitable_zone") if under_way else result != "continue"
