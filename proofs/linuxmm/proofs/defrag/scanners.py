"""Theorems about the two scanners: they never cross, search between each other, and leave the watermark."""

from typing import Annotated

from linuxmm.proofs.domain import Integer, Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, theorem
from linuxmm.spec.alloc.watermark import above_mark
from linuxmm.spec.defrag.lumpy import inside_lump, lump
from linuxmm.spec.defrag.outcome import one_way
from linuxmm.spec.defrag.scanners import (
    apart,
    block_end,
    block_start,
    free_limit,
    isolation_mark,
    may_migrate_from,
    search_end,
    search_marks,
)
from linuxmm.spec.defrag.suitable import base_mark_by_cost, met_in_pageblock
from linuxmm.spec.reclaim.daemon import compact_gap

Pfn = Annotated[int, Word(52, below=1 << 40)]
Block = Annotated[int, each((0, 3, 9, 10))]
Pages = Annotated[int, Integer(0, 1 << 50)]


@theorem(
    "defrag.scanners.never-cross",
    "A page is taken from below the free scanner, and its target is in a pageblock above: wherever the scan "
    "of the source's pageblock ended, the target is higher than the source.",
    proves=(block_start, block_end, free_limit, may_migrate_from, apart, one_way),
    clauses=("defrag.scanners.apart", "defrag.scanners.one-way"),
    features=("F039",),
    bounds="any page of 52-bit frames, pageblocks of 1, 8, 512 and 1024 pages",
    witness={"start": 0x1000, "source": 0x1005, "after": 0x1020, "target": 0x1200, "block": 9},
    mutants=(
        Mutant(free_limit, "ends at the scanner's own pageblock", "block_end(", "block_start("),
        Mutant(block_end, "is one page short of the block", "+ (1 << order)", "+ (1 << order) - 1"),
        Mutant(apart, "asks for a lower target", "source < target", "target < source"),
    ),
)
def never_cross(start: Pfn, source: Pfn, after: Pfn, target: Pfn, block: Block) -> bool:
    end = block_end(start, block)
    assume((start <= source) & (source < end))
    assume((source < after) & (after <= end))
    assume(target >= free_limit(after, block))
    return apart(source, target) & one_way(source, target, block)


@theorem(
    "defrag.scanners.met",
    "As long as the scanners have not met, the migration scanner's pageblock may give pages.",
    proves=(met_in_pageblock, may_migrate_from, block_end),
    clauses=("defrag.scanners.one-way",),
    features=("F039",),
    bounds="any pages of 52-bit frames, pageblocks of 1, 8, 512 and 1024 pages",
    witness={"migrate": 0x1000, "free": 0x1200, "block": 9},
    mutants=(
        Mutant(may_migrate_from, "keeps a pageblock apart", "end <= free_pfn", "end < free_pfn"),
        Mutant(met_in_pageblock, "forgets the same pageblock", "<= migrate_pfn", "< migrate_pfn"),
    ),
)
def met(migrate: Pfn, free: Pfn, block: Block) -> bool:
    return met_in_pageblock(migrate, free, block) ^ may_migrate_from(block_end(migrate, block), free)


@theorem(
    "defrag.scanners.search-between",
    "A search of free lists prefers the top of what lies between the scanners, and never reaches below the "
    "migration scanner's pageblock; a search for a pageblock to empty ends at or below the middle.",
    proves=(search_marks, search_end),
    clauses=("defrag.scanners.apart",),
    features=("F039",),
    bounds="any pages of 52-bit frames, the scanner at a pageblock's start; 1, 8, 512 and 1024 pages",
    witness={"migrate": 0x1000, "free": 0x5000, "block": 9},
    mutants=(
        Mutant(search_marks, "looks below everything", "distance >> 1", "distance << 1"),
        Mutant(search_marks, "prefers the lower part", "distance >> 2", "distance"),
        Mutant(search_end, "searches all of it", ">> 1", "<< 1"),
    ),
)
def search_between(migrate: Pfn, free: Pfn, block: Block) -> bool:
    assume((migrate < free) & (block_start(migrate, block) == migrate))
    preferred, least = search_marks(migrate, free, block)
    between = (block_start(migrate, block) <= least) & (least <= preferred) & (preferred <= free)
    first, later = search_end(migrate, free, True, block), search_end(migrate, free, False, block)
    return between & (later <= first) & (first - migrate <= free - first)


@theorem(
    "defrag.isolation.guarded",
    "A block is isolated only if the watermark holds without it.",
    proves=(isolation_mark, above_mark),
    features=("F039",),
    bounds="any number of pages, blocks of 1 to 1024 pages",
    witness={"free": 100, "minimum": 10, "order": 3},
    mutants=(
        Mutant(isolation_mark, "forgets the block", "minimum + (1 << order)", "minimum"),
        Mutant(isolation_mark, "counts one page", "1 << order", "1"),
    ),
)
def guarded(free: Pages, minimum: Pages, order: Annotated[int, each(range(11))]) -> bool:
    isolated = above_mark(free, isolation_mark(minimum, order), 0)
    return implies(isolated, free - (1 << order) > minimum)


@theorem(
    "defrag.gap.enough",
    "Where compaction is suitable, pages of a whole block can be isolated and the watermark never refuses "
    "the next piece, if nobody else takes pages.",
    proves=(compact_gap, base_mark_by_cost, isolation_mark),
    features=("F039",),
    bounds="any number of pages; blocks of 2 to 1024 pages, isolated in pieces of 1 page up to the block",
    witness={"free": 5000, "minimum": 10, "low": 12, "taken": 511, "order": 9, "piece": 9},
    mutants=(
        Mutant(compact_gap, "is the block alone", "2 << order", "1 << order"),
        Mutant(base_mark_by_cost, "asks for nothing", "low if", "0 if"),
    ),
)
def enough(
    free: Pages, minimum: Pages, low: Pages, taken: Pages,
    order: Annotated[int, each((1, 3, 9, 10))], piece: Annotated[int, each((0, 3, 9, 10))],
) -> bool:  # fmt: skip
    if piece > order:
        return True
    assume(minimum <= low)
    assume(above_mark(free, base_mark_by_cost(order, minimum, low, 0) + compact_gap(order), 0))
    assume(taken < (1 << order))
    return above_mark(free - taken, isolation_mark(minimum, piece), 0)


@theorem(
    "defrag.lumpy.block",
    "The block around a page is aligned, holds it, and holds nothing beyond its size.",
    proves=(lump, inside_lump),
    clauses=("defrag.lumpy.block",),
    features=("F037",),
    bounds="any page of 52-bit frames, blocks of 1 to 1024 pages",
    witness={"pfn": 0x1234, "other": 0x1235, "order": 9},
    mutants=(
        Mutant(lump, "starts at the page", "align_down(pfn, 1 << order)", "pfn"),
        Mutant(lump, "is twice as large", "first + (1 << order)", "first + (2 << order)"),
        Mutant(inside_lump, "takes one more", "pfn < end", "pfn <= end"),
    ),
)
def lumps(pfn: Pfn, other: Pfn, order: Annotated[int, each((0, 1, 4, 9, 10))]) -> bool:
    first, end = lump(pfn, order)
    whole = (first & ((1 << order) - 1) == 0) & (first <= pfn) & (pfn < end) & (end - first == 1 << order)
    return whole & (inside_lump(other, pfn, order) ^ (other >> order != pfn >> order))
