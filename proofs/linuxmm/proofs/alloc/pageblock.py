"""Theorems about pageblocks that change lists as a whole: stolen, claimed, isolated, and given back.

One position of the loop is proved for blocks of any order; a whole pageblock is proved where it is small.
"""

from typing import Annotated, Final

from linuxmm.model.alloc.freelist import ISOLATE, NOTHING, Zone, account
from linuxmm.model.alloc.isolate import (
    account_isolated_after,
    account_isolated_while_moving,
    isolate_pageblock,
    unisolate_merging,
    unisolate_moving,
    unisolate_pageblock,
)
from linuxmm.model.alloc.movement import (
    claim_block,
    move_freepages,
    move_to_head,
    move_to_tail,
    move_to_tail_counted,
)
from linuxmm.model.alloc.rules import Rules
from linuxmm.proofs.alloc.counted import COUNTED, counts_right, free_order
from linuxmm.proofs.alloc.ghost import (
    ALL_UNMOVABLE,
    ANY_MEMORY,
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
    is_head,
    list_type,
    rules_of,
    zone_of,
)
from linuxmm.proofs.domain import Table, Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, no, theorem

Generation = Annotated[int, each(range(3))]
"""2.6.24 to 5.9, 5.10 to 6.9, since 6.10."""
OtherOrder = Annotated[int, Word(8, below=11)]
SmallPageblock = Annotated[int, each((1, 2))]
SMALL_PAGEBLOCKS: Final = "any memory size (52-bit pfns), free blocks of orders 0 to 10, pageblocks of 2 and 4 pages"


def moving_rules(generation: int, pageblock_order: int) -> Rules:
    """How a generation moves a free block and counts isolated pages."""
    return rules_of(4 if generation == 2 else 3, pageblock_order)._replace(
        place_moved=(move_to_head, move_to_tail, move_to_tail_counted)[generation],
        account_isolated=account_isolated_while_moving if generation == 2 else account_isolated_after,
    )


def starts_within(order: int, index: int, start: int, pages: int) -> bool:
    """Whether the block (order, index) starts at one of `pages` pages from start on."""
    within = False
    for size in range(MAX_ORDER + 1):
        head = index << size
        within = within | ((order == size) & (start <= head) & (head < start + pages))
    return within


def relisted(
    before: Zone, after: Zone, order: int, index: int, start: int, pages: int, migratetype: int
) -> bool:
    """The block is free after exactly if it was before, on the list of the new type if it starts within the
    pages and on its old list otherwise."""
    moved = starts_within(order, index, start, pages)
    kind = list_type(after, order, index)
    return (is_head(after, order, index) == is_head(before, order, index)) & implies(
        is_head(before, order, index),
        (moved & (kind == migratetype)) | (no(moved) & (kind == list_type(before, order, index))),
    )


def pages_starting(zone: Zone, start: int, pages: int) -> int:
    """Pages of the free blocks that start at one of `pages` pages."""
    total = 0
    for at in range(pages):
        order = free_order(zone, start + at)
        total += 0 if order == NOTHING else 1 << order
    return total


@theorem(
    "alloc.movement.move-step",
    "At each page the loop over a range moves the free block that starts there, whole, to the list of the new "
    "type, and nothing if there is none: pages free stay free, in one block each, and no other block changes "
    "its list.  Since 6.10 the counters follow the lists at once; before they are left to the caller.",
    proves=(move_freepages, move_to_head, move_to_tail, move_to_tail_counted, account),
    features=("F016", "F038"),
    method="inductive",
    bounds=ANY_MEMORY + ", every way of moving",
    primitives=COUNTED,
    logic=BLOCKS,
    witness={
        **SMALL_STATE,
        "pfn": 7,
        "page": 7,
        "other_order": 0,
        "other": 7,
        "migratetype": 1,
        "generation": 2,
    },
    mutants=(
        Mutant(move_freepages, "counts a page too many", "moved += 1 << order", "moved += (1 << order) + 1"),
        Mutant(move_freepages, "moves one order too low", "pfn, order, migratetype)", "pfn, 0, migratetype)"),
        Mutant(move_to_tail_counted, "forgets the old type", "    zone = account(zone, -(1 << order), was)\n", ""),
        Mutant(move_to_head, "loses the block", "return add_head(remove(zone, pfn, order), pfn, order, migratetype)", "return remove(zone, pfn, order)"),
    ),
)
def move_step(
    free: Blocks,
    lists: BlockTypes,
    types: PageblockTypes,
    pfn: Page,
    page: Page,
    other_order: OtherOrder,
    other: Page,
    migratetype: AnyType,
    generation: Generation,
) -> bool:
    zone = zone_of(Ghost(free, lists, types, NO_BLOCKS, 9))
    assume(other < 1 << 40)
    assume(disjoint_at(zone, page) & disjoint_at(zone, pfn))
    after, moved = move_freepages(moving_rules(generation, 9), zone, pfn, pfn + 1, migratetype)
    return (
        ghost_of(after).sound
        & disjoint_at(after, page)
        & (is_free(after, page) == is_free(zone, page))
        & relisted(zone, after, other_order, other, pfn, 1, migratetype)
        & (moved == pages_starting(zone, pfn, 1))
        & (counts_right(after) if generation == 2 else ghost_of(after).nr_free == 0)
    )


@theorem(
    "alloc.movement.move-range",
    "A range is moved block by block without leaving one out: every free block that starts in it, and no "
    "other, ends on the list of the new type, and the answer is the sum of their pages.",
    proves=(move_freepages,),
    features=("F016", "F038"),
    method="bounded",
    bounds="any memory size (52-bit pfns), free blocks of orders 0 to 10, ranges of 1 to 4 pages",
    primitives=COUNTED,
    logic=BLOCKS,
    witness={
        **SMALL_STATE,
        "pfn": 4,
        "length": 4,
        "page": 7,
        "other_order": 0,
        "other": 7,
        "migratetype": 1,
        "generation": 2,
    },
    mutants=(
        Mutant(move_freepages, "goes too far without a block", "pfn += 1\n", "pfn += 2\n"),
        Mutant(move_freepages, "goes too far behind a block", "pfn += 1 << order", "pfn += 2 << order"),
        Mutant(move_freepages, "stops early", "pfn < end", "pfn < end - 1"),
        Mutant(move_freepages, "remembers the last block only", "moved += 1", "moved = 1"),
    ),
)
def move_range(
    free: Blocks,
    lists: BlockTypes,
    types: PageblockTypes,
    pfn: Page,
    length: Annotated[int, each(range(1, 5))],
    page: Page,
    other_order: OtherOrder,
    other: Page,
    migratetype: AnyType,
    generation: Annotated[int, each((1, 2))],
) -> bool:
    zone = zone_of(Ghost(free, lists, types, NO_BLOCKS, 9))
    assume(other < 1 << 40)
    for at in (page, *(pfn + offset for offset in range(length))):
        assume(disjoint_at(zone, at))
    after, moved = move_freepages(moving_rules(generation, 9), zone, pfn, pfn + length, migratetype)
    return (
        ghost_of(after).sound
        & disjoint_at(after, page)
        & (is_free(after, page) == is_free(zone, page))
        & relisted(zone, after, other_order, other, pfn, length, migratetype)
        & (moved == pages_starting(zone, pfn, length))
    )
