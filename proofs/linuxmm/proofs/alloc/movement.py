"""Theorems about blocks that change lists, leave the allocator, or pass through the per-CPU lists.

A loop over a pageblock or a batch repeats one of these steps, so what a step keeps the loop keeps.
"""

from typing import Annotated

from linuxmm.model.alloc.buddy import free_one_page
from linuxmm.model.alloc.freelist import Zone
from linuxmm.model.alloc.isolate import isolate_free_page
from linuxmm.model.alloc.movement import (
    move_to_head,
    move_to_tail,
    move_to_tail_counted,
    smallest_order_to_search,
)
from linuxmm.model.alloc.pcp import give_back_tail, pop_pcplist, rmqueue_bulk
from linuxmm.model.alloc.rules import Rules
from linuxmm.proofs.alloc.ghost import (
    ALL_UNMOVABLE,
    ANY_MEMORY,
    BLOCKS,
    NO_BLOCKS,
    PRIMITIVES,
    SMALL_STATE,
    AnyOrder,
    AnyType,
    Blocks,
    BlockTypes,
    Ghost,
    Page,
    PageblockTypes,
    disjoint_at,
    ghost_of,
    is_cached,
    is_free,
    list_type,
    owned_at,
    partition_at,
    put_block,
    rules_of,
    zone_of,
)
from linuxmm.proofs.domain import Table, Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, no, theorem
from linuxmm.spec.alloc.buddy import block_contains, is_aligned


def put_unmerged(rules: Rules, zone: Zone, pfn: int, order: int, migratetype: int, to_tail: bool) -> Zone:
    """Stands for free_one_page where only *which pages* are free matters: merging does not change that
    (theorems alloc.buddy.merge-step and put-step)."""
    return put_block(zone, pfn, order, migratetype)


MODULAR = {**PRIMITIVES, free_one_page: put_unmerged}


@theorem(
    "alloc.movement.place-moved",
    "A free block that changes lists stays free and whole, and stands on the list of its new type; nothing "
    "else changes.",
    proves=(move_to_head, move_to_tail, move_to_tail_counted),
    clauses=(
        "alloc.buddy.aligned",
        "alloc.buddy.disjoint",
        "alloc.list.owned-page",
    ),
    features=("F016", "F038"),
    method="inductive",
    bounds=ANY_MEMORY + ", every way of moving",
    primitives=PRIMITIVES,
    logic=BLOCKS,
    witness={**SMALL_STATE, "order": 0, "pfn": 7, "page": 7, "other": 3, "migratetype": 1, "generation": 2},
    mutants=(
        Mutant(
            move_to_head,
            "leaves it on the old list too",
            "add_head(remove(zone, pfn, order), pfn, ",
            "add_head(zone, pfn, ",
        ),
        Mutant(
            move_to_tail,
            "puts it back one order lower",
            "pfn, order, migratetype)",
            "pfn, max(order - 1, 0), migratetype)",
        ),
        Mutant(move_to_tail_counted, "keeps the old type", "pfn, order, migratetype)", "pfn, order, was)"),
        Mutant(
            move_to_head,
            "loses the block",
            "add_head(remove(zone, pfn, order), pfn, order, migratetype)",
            "remove(zone, pfn, order)",
        ),
    ),
)
def place_moved(
    free: Blocks,
    lists: BlockTypes,
    types: PageblockTypes,
    order: AnyOrder,
    pfn: Page,
    page: Page,
    other: Page,
    migratetype: AnyType,
    generation: Annotated[int, each(range(3))],
) -> bool:
    zone = zone_of(Ghost(free, lists, types, NO_BLOCKS, 9, head_order=order))
    assume(is_aligned(pfn, order) & free[order, pfn >> order])
    assume(disjoint_at(zone, page) & disjoint_at(zone, pfn))
    if generation == 0:
        after = move_to_head(zone, pfn, order, migratetype)
    elif generation == 1:
        after = move_to_tail(zone, pfn, order, migratetype)
    else:
        after = move_to_tail_counted(zone, pfn, order, migratetype)
    return (
        ghost_of(after).sound
        & disjoint_at(after, page)
        & (is_free(after, page) == is_free(zone, page))
        & (list_type(after, order, pfn >> order) == migratetype)
        & implies(no(other == pfn >> order), list_type(after, order, other) == list_type(zone, order, other))
    )


@theorem(
    "alloc.movement.isolate-free-page",
    "Isolating a free block takes exactly its pages off the free lists, whatever it makes of the pageblocks.",
    proves=(isolate_free_page,),
    features=("F039",),
    bounds=ANY_MEMORY,
    primitives=PRIMITIVES,
    logic=BLOCKS,
    witness={**SMALL_STATE, "order": 0, "pfn": 7, "page": 7},
    mutants=(
        Mutant(
            isolate_free_page, "leaves the block on its list", "    zone = remove(zone, pfn, order)\n", ""
        ),
        Mutant(
            isolate_free_page,
            "takes the block behind",
            "remove(zone, pfn, order)",
            "remove(zone, pfn + (1 << order), order)",
        ),
        Mutant(
            isolate_free_page,
            "takes half the block",
            "remove(zone, pfn, order)",
            "remove(zone, pfn, max(order - 1, 0))",
        ),
    ),
)
def isolates_exactly(
    free: Blocks, lists: BlockTypes, types: PageblockTypes, order: AnyOrder, pfn: Page, page: Page
) -> bool:
    zone = zone_of(Ghost(free, lists, types, NO_BLOCKS, 9))
    assume(is_aligned(pfn, order) & free[order, pfn >> order])
    assume(disjoint_at(zone, page) & disjoint_at(zone, pfn))
    after = isolate_free_page(rules_of(3, 9), zone, pfn, order)
    taken = block_contains(pfn, order, page)
    return (
        ghost_of(after).sound
        & disjoint_at(after, page)
        & (is_free(after, page) == (is_free(zone, page) & no(taken)))
    )


# ---- per-CPU lists: zone, lists and owners partition the pages -----------------------------------------

ListOrder = Annotated[int, each((0, 3, 9))]


@theorem(
    "alloc.pcp.refill-step",
    "A block that a refill moves from the free lists to a CPU's list leaves every page free, cached or "
    "owned exactly "
    "as a partition: what was free or cached still is, nobody's page is touched.",
    proves=(rmqueue_bulk,),
    clauses=("alloc.zone.partition",),
    features=("F020",),
    method="inductive",
    bounds=ANY_MEMORY + ", one block of order 0, 3 or 9 from a block of any order",
    primitives=PRIMITIVES,
    logic=BLOCKS,
    witness={**SMALL_STATE, "cached": NO_BLOCKS, "low": 0, "high": 0, "pfn": 7, "page": 7},
    mutants=(
        Mutant(rmqueue_bulk, "caches a larger block", "pfn, order, came_from)", "pfn, order + 1, came_from)"),
        Mutant(
            rmqueue_bulk,
            "loses the block",
            "        zone = pcp_add_tail(zone, cpu, index, pfn, order, came_from)\n",
            "",
        ),
        Mutant(rmqueue_bulk, "fetches one too many", "taken < blocks", "taken <= blocks"),
    ),
)
def refill_step(
    free: Blocks,
    lists: BlockTypes,
    types: PageblockTypes,
    cached: Blocks,
    low: ListOrder,
    high: AnyOrder,
    pfn: Page,
    page: Page,
) -> bool:
    assume(low <= high)
    zone = zone_of(Ghost(free, lists, types, cached, 9, head=pfn, head_order=high))
    assume(is_aligned(pfn, high) & free[high, pfn >> high])
    for at in (page, pfn, *(pfn ^ (1 << order) for order in range(low, high))):
        assume(partition_at(zone, at))
    after = rmqueue_bulk(rules_of(4, 9), zone, 0, 1, low, 0, 0)
    moved = block_contains(pfn, low, page)
    return (
        ghost_of(after).sound
        & partition_at(after, page)
        & (owned_at(after, page) == owned_at(zone, page))
        & (is_cached(after, page) == (is_cached(zone, page) | moved))
    )


@theorem(
    "alloc.pcp.drain-step",
    "A block that a drain gives back goes from the CPU's list to the free lists: the pages free or cached "
    "stay the same, "
    "none is both, and it goes to the list of its pageblock when any pageblock is isolated.",
    proves=(give_back_tail,),
    clauses=("alloc.zone.partition",),
    features=("F020", "F023"),
    method="inductive",
    bounds=ANY_MEMORY + ", blocks of order 0, 3 and 9, rules of 2.6.24 to 6.9 and since 6.10",
    primitives=MODULAR,
    logic=BLOCKS,
    witness={
        "free": NO_BLOCKS,
        "lists": ALL_UNMOVABLE,
        "types": ALL_UNMOVABLE,
        "cached": Table(False, (((0, 7), True),)),
        "order": 0,
        "pfn": 7,
        "page": 7,
        "noted": 0,
        "isolated": 0,
        "era": 3,
    },
    mutants=(
        Mutant(
            give_back_tail,
            "keeps the block on the CPU's list",
            "    zone = pcp_remove(zone, cpu, index, pfn)\n",
            "",
        ),
        Mutant(
            give_back_tail,
            "loses the block",
            "    zone = free_one_page(rules, zone, pfn, order, migratetype, False)\n",
            "",
        ),
        Mutant(
            give_back_tail,
            "frees a larger block",
            "zone, pfn, order, migratetype, False)",
            "zone, pfn, order + 1, migratetype, False)",
        ),
        Mutant(give_back_tail, "ignores isolation", "rules.drained_type(zone, pfn)", "0"),
    ),
)
def drain_step(
    free: Blocks,
    lists: BlockTypes,
    types: PageblockTypes,
    cached: Blocks,
    order: ListOrder,
    pfn: Page,
    page: Page,
    noted: AnyType,
    isolated: Annotated[int, Word(64)],
    era: Annotated[int, each((3, 4))],
) -> bool:
    ghost = Ghost(
        free, lists, types, cached, 9, head=pfn, head_order=order, head_type=noted, nr_isolated=isolated
    )
    zone = zone_of(ghost)
    assume(is_aligned(pfn, order) & cached[order, pfn >> order])
    assume(partition_at(zone, page) & partition_at(zone, pfn))
    after = give_back_tail(rules_of(era, 9), zone, 0, 3 * order if order < 9 else 12)
    moved = block_contains(pfn, order, page)
    own_list = list_type(after, order, pfn >> order) == types[pfn >> 9]
    return (
        ghost_of(after).sound
        & partition_at(after, page)
        & (owned_at(after, page) == owned_at(zone, page))
        & (is_free(after, page) == (is_free(zone, page) | moved))
        & implies(no(isolated == 0), own_list)
    )


@theorem(
    "alloc.pcp.pop-step",
    "What a CPU's list hands out becomes owned, and nothing else changes.",
    proves=(pop_pcplist,),
    clauses=(
        "alloc.zone.partition",
        "alloc.page.double-allocation",
    ),
    features=("F020",),
    method="inductive",
    bounds=ANY_MEMORY + ", blocks of order 0, 3 and 9 on the list",
    primitives=PRIMITIVES,
    logic=BLOCKS,
    witness={
        "free": NO_BLOCKS,
        "lists": ALL_UNMOVABLE,
        "types": ALL_UNMOVABLE,
        "cached": Table(False, (((0, 7), True),)),
        "order": 0,
        "pfn": 7,
        "page": 7,
    },
    mutants=(
        Mutant(
            pop_pcplist,
            "leaves the block on the list",
            "return pcp_remove(zone, cpu, index, pfn), pfn",
            "return zone, pfn",
        ),
        Mutant(
            pop_pcplist,
            "answers with the page behind",
            "pcp_remove(zone, cpu, index, pfn), pfn",
            "pcp_remove(zone, cpu, index, pfn), pfn + 1",
        ),
    ),
)
def pop_step(
    free: Blocks,
    lists: BlockTypes,
    types: PageblockTypes,
    cached: Blocks,
    order: ListOrder,
    pfn: Page,
    page: Page,
) -> bool:
    zone = zone_of(Ghost(free, lists, types, cached, 9, head=pfn, head_order=order))
    assume(is_aligned(pfn, order) & cached[order, pfn >> order])
    assume(partition_at(zone, page) & partition_at(zone, pfn))
    after, taken = pop_pcplist(rules_of(4, 9), zone, 0, order, 0, 0)
    handed_out = block_contains(pfn, order, page)
    return (
        ghost_of(after).sound
        & (taken == pfn)
        & partition_at(after, page)
        & (is_free(after, page) == is_free(zone, page))
        & (owned_at(after, page) == (owned_at(zone, page) | handed_out))
    )


# ---- NOFRAGMENT ------------------------------------------------------------------------------------------


@theorem(
    "alloc.nofragment.searches-less",
    "ALLOC_NOFRAGMENT only narrows the orders that a fallback may take, to whole pageblocks; without it "
    "none is excluded.",
    proves=(smallest_order_to_search,),
    features=("F018", "F029", "F030"),
    bounds="orders 0 to 10, every set of flags, pageblocks of order 9 and 10",
    primitives=PRIMITIVES,
    witness={"order": 3, "flags": 0x100, "block": 9},
    mutants=(
        Mutant(smallest_order_to_search, "narrows without the flag", "flags & ALLOC_NOFRAGMENT", "True"),
        Mutant(smallest_order_to_search, "excludes large requests", "order < rules.pageblock_order and ", ""),
    ),
)
def searches_less(
    order: Annotated[int, each(range(11))],
    flags: Annotated[int, Word(16)],
    block: Annotated[int, each((9, 10))],
) -> bool:
    rules = rules_of(4, block)
    least = smallest_order_to_search(rules, order, flags)
    return (
        (order <= least)
        & implies(flags & 0x100 == 0, least == order)
        & implies(flags & 0x100 == 0x100, least == max(order, block))
    )
