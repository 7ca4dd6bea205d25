"""Theorems about a whole pageblock: claimed, isolated, and given back, with the count of free pages.

The pageblocks are small, so that the loop over one ends; one position of the loop is proved for any size in
`linuxmm.proofs.alloc.pageblock`.
"""

from typing import Annotated, Final

from linuxmm.model.alloc.freelist import ISOLATE, Zone, account, pageblock_type
from linuxmm.model.alloc.isolate import (
    _retag_block,
    isolate_pageblock,
    unisolate_merging,
    unisolate_moving,
    unisolate_pageblock,
)
from linuxmm.model.alloc.movement import claim_block, move_freepages
from linuxmm.proofs.alloc.counted import COUNTED, counts_right
from linuxmm.proofs.alloc.ghost import (
    BLOCKS,
    MAX_ORDER,
    NO_BLOCKS,
    SMALL_STATE,
    AnyType,
    Blocks,
    BlockTypes,
    Ghost,
    Page,
    PageblockTypes,
    disjoint_at,
    ghost_of,
    is_free,
    list_type,
    zone_of,
)
from linuxmm.proofs.alloc.pageblock import Generation, OtherOrder, moving_rules, relisted
from linuxmm.proofs.domain import Word, each, table
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, no, theorem

PAGEBLOCK_ORDER: Final = 2
PAGES: Final = 1 << PAGEBLOCK_ORDER
Isolated = Annotated[int, Word(64, below=1 << 52)]
SMALL: Final = "any memory size (52-bit pfns), pageblocks of 4 pages"


def no_block_crosses(zone: Zone, start: int) -> bool:
    """Whether every free block over the pageblock's first page lies in the pageblock."""
    free, good = ghost_of(zone).free, True
    for order in range(ghost_of(zone).pageblock_order + 1, MAX_ORDER + 1):
        good = good & no(free[order, start >> order])
    return good


def isolated_lists_at(zone: Zone, start: int, isolated: bool) -> bool:
    """Whether the free blocks in the pageblock all stand on the list of ISOLATE, or none does."""
    ghost, good = ghost_of(zone), True
    for order in range(MAX_ORDER + 1):
        for offset in range(0, 1 << ghost.pageblock_order, 1 << order):
            index = (start + offset) >> order
            right = (list_type(zone, order, index) == ISOLATE) == isolated
            good = good & implies(ghost.free[order, index], right)
    return good


def type_changes_at(before: Zone, after: Zone, page: int, pfn: int, migratetype: int) -> bool:
    """The pageblock of pfn has the type now; that of any other page is as it was."""
    shift = ghost_of(before).pageblock_order
    same = page >> shift == pfn >> shift
    kind = pageblock_type(after, page)
    return (same & (kind == migratetype)) | (no(same) & (kind == pageblock_type(before, page)))


@theorem(
    "alloc.movement.claim-block",
    "Claiming a pageblock gives it the type and moves exactly the free blocks that start in it to the lists "
    "of that type; pages free stay free, in one block each, and NR_FREE_PAGES is what it was.",
    proves=(claim_block, move_freepages, account),
    clauses=(
        "alloc.zone.list-agrees",
        "alloc.zone.free-counter",
    ),
    features=("F016", "F018", "F038"),
    method="bounded",
    bounds=SMALL + ", free blocks of orders 0 to 10, types other than ISOLATE",
    primitives=COUNTED,
    logic=BLOCKS,
    witness={
        **SMALL_STATE,
        "pfn": 5,
        "page": 7,
        "other_order": 0,
        "other": 7,
        "migratetype": 1,
    },
    mutants=(
        Mutant(
            claim_block, "keeps the type", "return set_pageblock_type(zone, pfn, migratetype)", "return zone"
        ),
        Mutant(
            claim_block,
            "begins at the page",
            "move_freepages(rules, zone, start, ",
            "move_freepages(rules, zone, pfn, ",
        ),
        Mutant(
            claim_block,
            "goes beyond the end",
            "start + (1 << rules.pageblock_order)",
            "start + (2 << rules.pageblock_order)",
        ),
    ),
)
def claims_block(
    free: Blocks,
    lists: BlockTypes,
    types: PageblockTypes,
    pfn: Page,
    page: Page,
    other_order: OtherOrder,
    other: Page,
    migratetype: AnyType,
) -> bool:
    start = pfn & ~(PAGES - 1)
    zone = zone_of(Ghost(free, lists, types, NO_BLOCKS, PAGEBLOCK_ORDER))
    for at in (page, *(start + offset for offset in range(PAGES))):
        assume(disjoint_at(zone, at))
    assume(no(migratetype == ISOLATE) & isolated_lists_at(zone, start, False))
    after = claim_block(moving_rules(2, PAGEBLOCK_ORDER), zone, pfn, migratetype)
    return (
        ghost_of(after).sound
        & disjoint_at(after, page)
        & (is_free(after, page) == is_free(zone, page))
        & relisted(zone, after, other_order, other, start, PAGES, migratetype)
        & type_changes_at(zone, after, page, pfn, migratetype)
        & counts_right(after)
        & (ghost_of(after).nr_free == 0)
    )


@theorem(
    "alloc.isolate.pageblock",
    "Isolating a pageblock keeps its free pages free and puts exactly its free blocks on the lists of "
    "ISOLATE; NR_FREE_PAGES shrinks by exactly the pages that left the other lists.",
    proves=(isolate_pageblock, _retag_block, move_freepages, account),
    clauses=(
        "alloc.zone.isolate-kept",
        "alloc.zone.free-counter",
    ),
    features=("F016", "F039"),
    method="bounded",
    bounds=SMALL + ", no free block across its ends, every generation from 2.6.24 to 6.12",
    primitives=COUNTED,
    logic=BLOCKS,
    witness={
        **SMALL_STATE,
        "pfn": 5,
        "page": 7,
        "other_order": 0,
        "other": 7,
        "isolated": 0,
        "generation": 1,
    },
    mutants=(
        Mutant(isolate_pageblock, "counts the pages twice", "zone, -moved, was)", "zone, -2 * moved, was)"),
        Mutant(isolate_pageblock, "does not count the pageblock", "was), 1)", "was), 0)"),
        Mutant(_retag_block, "begins behind the first page", "at = start\n", "at = start + 1\n"),
        Mutant(_retag_block, "keeps the type", "    zone = set_pageblock_type(zone, pfn, migratetype)\n", ""),
        Mutant(_retag_block, "remembers the last block only", "moved += pages", "moved = pages"),
    ),
)
def isolates_pageblock(
    free: Blocks,
    lists: BlockTypes,
    types: PageblockTypes,
    pfn: Page,
    page: Page,
    other_order: OtherOrder,
    other: Page,
    isolated: Isolated,
    generation: Generation,
) -> bool:
    start = pfn & ~(PAGES - 1)
    zone = zone_of(Ghost(free, lists, types, NO_BLOCKS, PAGEBLOCK_ORDER, nr_isolated=isolated))
    for at in (page, *(start + offset for offset in range(PAGES))):
        assume(disjoint_at(zone, at))
    assume(no_block_crosses(zone, start) & isolated_lists_at(zone, start, False))
    assume(no(types[pfn >> PAGEBLOCK_ORDER] == ISOLATE))
    after = isolate_pageblock(moving_rules(generation, PAGEBLOCK_ORDER), zone, pfn)
    return (
        ghost_of(after).sound
        & disjoint_at(after, page)
        & (is_free(after, page) == is_free(zone, page))
        & relisted(zone, after, other_order, other, start, PAGES, ISOLATE)
        & type_changes_at(zone, after, page, pfn, ISOLATE)
        & counts_right(after)
        & (ghost_of(after).nr_isolated == isolated + 1)
    )


@theorem(
    "alloc.isolate.undo",
    "Undoing the isolation without a merge keeps the pages free, puts exactly the pageblock's free blocks on "
    "the lists of its new type, and NR_FREE_PAGES grows by exactly the pages that came back.",
    proves=(unisolate_pageblock, unisolate_moving, unisolate_merging, _retag_block),
    clauses=(
        "alloc.zone.isolate-kept",
        "alloc.zone.free-counter",
    ),
    features=("F016", "F039"),
    method="bounded",
    bounds=SMALL + ", no free block across its ends, the pageblock not free together with its buddy, every "
    "generation from 2.6.24 to 6.12",
    primitives=COUNTED,
    logic=BLOCKS,
    witness={
        **SMALL_STATE,
        "types": table({1: ISOLATE}, 0),
        "lists": table({(0, 7): ISOLATE}, 0),
        "pfn": 5,
        "page": 7,
        "other_order": 0,
        "other": 7,
        "migratetype": 1,
        "isolated": 1,
        "generation": 1,
        "merging": True,
    },
    mutants=(
        Mutant(unisolate_moving, "forgets to count", "zone, moved, migratetype)", "zone, 0, migratetype)"),
        Mutant(unisolate_pageblock, "does not count the pageblock", "migratetype), -1", "migratetype), 0"),
        Mutant(unisolate_pageblock, "keeps its isolation", "- 1), migratetype)", "- 1), 4)"),
        Mutant(_retag_block, "begins behind the first page", "at = start\n", "at = start + 1\n"),
    ),
)
def undoes_isolation(
    free: Blocks,
    lists: BlockTypes,
    types: PageblockTypes,
    pfn: Page,
    page: Page,
    other_order: OtherOrder,
    other: Page,
    migratetype: AnyType,
    isolated: Isolated,
    generation: Generation,
    merging: Annotated[bool, each((False, True))],
) -> bool:
    start = pfn & ~(PAGES - 1)
    zone = zone_of(Ghost(free, lists, types, NO_BLOCKS, PAGEBLOCK_ORDER, nr_isolated=isolated))
    for at in (page, *(start + offset for offset in range(PAGES))):
        assume(disjoint_at(zone, at))
    assume(no_block_crosses(zone, start) & isolated_lists_at(zone, start, True))
    assume((types[pfn >> PAGEBLOCK_ORDER] == ISOLATE) & no(migratetype == ISOLATE) & (isolated >= 1))
    index = start >> PAGEBLOCK_ORDER
    assume(no(free[PAGEBLOCK_ORDER, index] & free[PAGEBLOCK_ORDER, index ^ 1]))
    rules = moving_rules(generation, PAGEBLOCK_ORDER)._replace(
        unisolate=unisolate_merging if merging else unisolate_moving
    )
    after = unisolate_pageblock(rules, zone, pfn, migratetype)
    return (
        ghost_of(after).sound
        & disjoint_at(after, page)
        & (is_free(after, page) == is_free(zone, page))
        & relisted(zone, after, other_order, other, start, PAGES, migratetype)
        & type_changes_at(zone, after, page, pfn, migratetype)
        & counts_right(after)
        & (ghost_of(after).nr_isolated == isolated - 1)
    )
