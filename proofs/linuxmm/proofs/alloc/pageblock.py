"""Theorems about pageblocks that change lists as a whole: stolen, claimed, isolated, and given back.

One position of the loop is proved for blocks of any order; a whole pageblock is proved where it is small.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Final

from linuxmm.model.alloc.freelist import NOTHING, Zone, account, add_head, add_tail, remove
from linuxmm.model.alloc.isolate import account_isolated_after, account_isolated_while_moving
from linuxmm.model.alloc.movement import (
    move_freepages,
    move_to_head,
    move_to_tail,
    move_to_tail_counted,
)
from linuxmm.model.alloc.rules import Rules
from linuxmm.proofs.alloc.counted import COUNTED, counts_right, free_order
from linuxmm.proofs.alloc.ghost import (
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
    put_block,
    rules_of,
    zone_of,
)
from linuxmm.proofs.alloc.ghost import remove as remove_block
from linuxmm.proofs.domain import Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, no, theorem
from linuxmm.spec.alloc.buddy import is_aligned

Generation = Annotated[int, each((1, 2))]
"""5.10 to 6.9, and since 6.10.  Up to 5.9 blocks go to heads of lists, which the twin does not tell apart."""
OtherOrder = Annotated[int, Word(8, below=11)]


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
        for head in range(pages):
            starts = is_aligned(start + head, size) & (index == (start + head) >> size)
            within = within | ((order == size) & starts)
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


def pages_starting(zone: Zone, pfn: int) -> int:
    """Pages of the free block that starts at pfn, 0 if none does."""
    order = free_order(zone, pfn)
    return 0 if order == NOTHING else 1 << order


@theorem(
    "alloc.movement.move-step",
    "At each page the loop over a range moves the free block that starts there, whole, to the list of the "
    "new type, and nothing if there is none: pages free stay free, in one block each, and no other block "
    "changes its list.  Since 6.10 the counters follow the lists at once; before, the caller counts.",
    proves=(move_freepages, move_to_tail, move_to_tail_counted, account),
    clauses=(
        "alloc.buddy.aligned",
        "alloc.buddy.disjoint",
        "alloc.list.owned-page",
    ),
    features=("F016", "F038"),
    method="inductive",
    bounds=ANY_MEMORY + ", the ways of moving of 2.6.24 to 6.9 and since 6.10",
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
        Mutant(
            move_to_tail_counted, "forgets the old type", "    zone = account(zone, -(1 << order), was)\n", ""
        ),
        Mutant(
            move_to_tail,
            "loses the block",
            "return add_tail(remove(zone, pfn, order), pfn, order, migratetype)",
            "return remove(zone, pfn, order)",
        ),
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
    assume(disjoint_at(zone, page) & disjoint_at(zone, pfn))
    after, moved = move_freepages(moving_rules(generation, 9), zone, pfn, pfn + 1, migratetype)
    return (
        ghost_of(after).sound
        & disjoint_at(after, page)
        & (is_free(after, page) == is_free(zone, page))
        & relisted(zone, after, other_order, other, pfn, 1, migratetype)
        & (moved == pages_starting(zone, pfn))
        & (counts_right(after) if generation == 2 else ghost_of(after).nr_free == 0)
    )


RANGE: Final = 2


def put_summed(zone: Zone, pfn: int, order: int, migratetype: int) -> Zone:
    """add_head and add_tail; `listed` sums the pages put on any list."""
    ghost = ghost_of(put_block(zone, pfn, order, migratetype))
    return zone_of(replace(ghost, listed=ghost.listed + (1 << order)))


SUMMED: Final[dict[Callable[..., Any], Callable[..., Any]]] = {
    **COUNTED,
    add_head: put_summed,
    add_tail: put_summed,
    remove: remove_block,
}


@theorem(
    "alloc.movement.move-range",
    "A range is moved block by block without leaving one out: every free block that starts in it, and no "
    "other, ends on the list of the new type, and the answer is the sum of their pages.",
    proves=(move_freepages,),
    clauses=("alloc.list.owned-page",),
    features=("F016", "F038"),
    method="bounded",
    bounds="any memory size (52-bit pfns), free blocks of orders 0 to 10, ranges of 2 pages",
    primitives=SUMMED,
    logic=BLOCKS,
    witness={
        **SMALL_STATE,
        "pfn": 6,
        "page": 7,
        "other_order": 0,
        "other": 7,
        "migratetype": 1,
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
    page: Page,
    other_order: OtherOrder,
    other: Page,
    migratetype: AnyType,
) -> bool:
    zone = zone_of(Ghost(free, lists, types, NO_BLOCKS, 9))
    for at in (page, *(pfn + offset for offset in range(RANGE))):
        assume(disjoint_at(zone, at))
    after, moved = move_freepages(moving_rules(1, 9), zone, pfn, pfn + RANGE, migratetype)
    return (
        ghost_of(after).sound
        & disjoint_at(after, page)
        & (is_free(after, page) == is_free(zone, page))
        & relisted(zone, after, other_order, other, pfn, RANGE, migratetype)
        & (moved == ghost_of(after).listed)
    )
