"""Theorems about the buddy system: each step keeps every page in at most one free block, and loses none."""

from typing import Annotated

from linuxmm.model.alloc.buddy import (
    absorb_below_isolated,
    absorb_mergeable,
    free_one_page,
    merge_once,
    retag_range,
    rmqueue_smallest,
    split_once,
    take_block,
)
from linuxmm.proofs.alloc.ghost import (
    ANY_MEMORY,
    PRIMITIVES,
    AnyOrder,
    AnyType,
    Blocks,
    BlockTypes,
    Era,
    Ghost,
    Page,
    PageblockOrder,
    PageblockTypes,
    ghost_of,
    invariant_at,
    is_free,
    isolation_counted_at,
    outside_at,
    rules_of,
    zone_of,
)
from linuxmm.proofs.domain import Integer, Table, Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, no, theorem
from linuxmm.spec.alloc.buddy import (
    block_contains,
    buddy_of,
    is_aligned,
    merged_pfn,
    migratetype_is_mergeable,
    types_may_merge,
    upper_half,
)

Pfn = Annotated[int, Word(64, below=1 << 52)]
Order = Annotated[int, Word(64, below=11)]
Small = Annotated[int, Integer(least=0, below=8)]


# ---- formulas --------------------------------------------------------------------------------------------


@theorem(
    "alloc.buddy.involution",
    "The buddy of a block's buddy is the block; both are aligned, differ, and together make the merged block.",
    proves=(buddy_of, merged_pfn, is_aligned),
    features=("F012",),
    bounds="any 52-bit pfn, orders 0 to 10",
    witness={"pfn": 8, "order": 3},
    mutants=(
        Mutant(buddy_of, "adds instead of flipping", "pfn ^ (1 << order)", "pfn + (1 << order)"),
        Mutant(buddy_of, "flips the next bit", "1 << order", "2 << order"),
        Mutant(merged_pfn, "rounds up", "pfn & ~(1 << order)", "pfn | (1 << order)"),
    ),
)
def involution(pfn: Pfn, order: Order) -> bool:
    assume(is_aligned(pfn, order))
    buddy, merged = buddy_of(pfn, order), merged_pfn(pfn, order)
    return (
        (buddy_of(buddy, order) == pfn)
        & no(buddy == pfn)
        & is_aligned(buddy, order)
        & (merged_pfn(buddy, order) == merged)
        & is_aligned(merged, order + 1)
        & (merged == min(pfn, buddy))
        & (max(pfn, buddy) == upper_half(merged, order))
    )


@theorem(
    "alloc.buddy.merged-covers",
    "A merged block holds exactly the pages of the two buddies.",
    proves=(merged_pfn, buddy_of, block_contains),
    features=("F012",),
    bounds="any 52-bit pfn, orders 0 to 9",
    witness={"pfn": 8, "order": 3, "page": 5},
    mutants=(
        Mutant(merged_pfn, "keeps the upper half's head", "pfn & ~(1 << order)", "pfn"),
        Mutant(buddy_of, "takes the neighbour behind", "pfn ^ (1 << order)", "pfn + (1 << order)"),
    ),
)
def merged_covers(pfn: Pfn, order: Annotated[int, Word(64, below=10)], page: Pfn) -> bool:
    assume(is_aligned(pfn, order))
    merged, size = merged_pfn(pfn, order), 2 << order
    both = block_contains(pfn, order, page) | block_contains(buddy_of(pfn, order), order, page)
    return (block_contains(merged, order + 1, page) == both) & (
        both == ((merged <= page) & (page < merged + size))
    )


@theorem(
    "alloc.buddy.halves",
    "The upper half of a block is the buddy of its lower half.",
    proves=(upper_half, buddy_of),
    features=("F012",),
    bounds="any 52-bit pfn, orders 1 to 10",
    witness={"pfn": 8, "order": 2},
    mutants=(
        Mutant(upper_half, "takes a quarter", "1 << order", "(1 << order) >> 1"),
        Mutant(upper_half, "takes the block behind", "1 << order", "2 << order"),
    ),
)
def halves(pfn: Pfn, order: Annotated[int, Word(64, below=10)]) -> bool:
    assume(is_aligned(pfn, order + 1))
    return upper_half(pfn, order) == buddy_of(pfn, order)


@theorem(
    "alloc.buddy.may-merge",
    "Whether types may merge does not depend on the order of the buddies, and equal types always may.",
    proves=(types_may_merge, migratetype_is_mergeable),
    features=("F012", "F016"),
    bounds="every pair of migratetypes",
    witness={"one": 0, "other": 4},
    mutants=(
        Mutant(types_may_merge, "looks at the first type only", "and migratetype_is_mergeable(buddy_migratetype)", ""),
        Mutant(types_may_merge, "wants different types", "migratetype == buddy_migratetype", "False"),
    ),
)  # fmt: skip
def may_merge(one: Small, other: Small) -> bool:
    together = types_may_merge(one, other)
    return (
        (together == types_may_merge(other, one))
        & types_may_merge(one, one)
        & implies(no(one == other) & (one >= 3), no(together))
    )


# ---- steps -----------------------------------------------------------------------------------------------

NO_BLOCKS = Table(False)
UNMOVABLE_ONLY = Table(0)
STATE_WITNESS = {"free": Table(False, (((0, 7), True),)), "lists": UNMOVABLE_ONLY, "types": UNMOVABLE_ONLY}

MERGE_MUTANTS = (
    Mutant(
        merge_once,
        "forgets to take the buddy off its list",
        "    zone = remove(zone, buddy, order)\n    return zone, merged_pfn",
        "    return zone, merged_pfn",
    ),
    Mutant(merge_once, "looks for the neighbour behind", "buddy_of(pfn, order)", "pfn + (1 << order)"),
)


@theorem(
    "alloc.buddy.merge-step",
    "Merging once keeps every page in at most one free block or in hand, loses and invents no page, keeps the block "
    "in hand aligned, and leaves no unmerged buddies.",
    proves=(merge_once,),
    features=("F012",),
    method="inductive",
    bounds=ANY_MEMORY + ", every era's rules",
    primitives=PRIMITIVES,
    witness={
        **STATE_WITNESS, "order": 0, "pfn": 6, "page": 7, "migratetype": 0, "isolated": 0, "era": 3,
        "pageblock_order": 9,
    },
    mutants=(
        *MERGE_MUTANTS,
        Mutant(merge_once, "goes beyond a pageblock without taking the buddy", "            zone = remove(zone, buddy, order)\n", ""),
        Mutant(merge_once, "keeps the head of the upper half", "    zone = remove(zone, buddy, order)\n    return zone, merged_pfn(pfn, order)", "    zone = remove(zone, buddy, order)\n    return zone, pfn"),
    ),
)  # fmt: skip
def merge_step(
    free: Blocks,
    lists: BlockTypes,
    types: PageblockTypes,
    order: AnyOrder,
    pfn: Page,
    page: Page,
    migratetype: AnyType,
    isolated: Annotated[int, Integer(least=0)],
    era: Era,
    pageblock_order: PageblockOrder,
) -> bool:
    assume(is_aligned(pfn, order))
    rules = rules_of(era, pageblock_order)
    zone = zone_of(Ghost(free, lists, types, NO_BLOCKS, pageblock_order, nr_isolated=isolated))
    for at in (page, pfn, buddy_of(pfn, order)):
        assume(invariant_at(zone, at, era) & outside_at(zone, pfn, order, at))
    after, head, size, merged = merge_once(rules, zone, pfn, order, migratetype)
    held = is_free(zone, page) | block_contains(pfn, order, page)
    return (
        ghost_of(after).sound
        & is_aligned(head, size)
        & invariant_at(after, page, era)
        & outside_at(after, head, size, page)
        & (held == (is_free(after, page) | block_contains(head, size, page)))
        & ((size == order + 1) == merged)
    )


@theorem(
    "alloc.buddy.put-step",
    "A block that does not merge any further and is freed under its pageblock's type goes to a list without "
    "becoming anybody's unmerged buddy.",
    proves=(free_one_page, merge_once),
    features=("F012",),
    method="inductive",
    bounds=ANY_MEMORY + ", every era's rules",
    primitives=PRIMITIVES,
    witness={
        **STATE_WITNESS, "order": 0, "pfn": 4, "page": 4, "migratetype": 0, "isolated": 0, "era": 3,
        "pageblock_order": 9, "to_tail": False,
    },
    mutants=(
        Mutant(merge_once, "stops one order early", "order >= rules.max_order", "order >= rules.max_order - 1"),
        Mutant(merge_once, "never merges", "if not is_free_block(zone, buddy, order)", "if True"),
        Mutant(absorb_mergeable, "turns the rule round", "return types", "return not types"),
        Mutant(absorb_below_isolated, "stays apart from MOVABLE", "ISOLATE", "1"),
        Mutant(free_one_page, "puts the block on the list of a smaller order", "add_head(zone, pfn, order, ", "add_head(zone, pfn, max(order - 1, 0), "),
    ),
)  # fmt: skip
def put_step(
    free: Blocks,
    lists: BlockTypes,
    types: PageblockTypes,
    order: AnyOrder,
    pfn: Page,
    page: Page,
    migratetype: AnyType,
    isolated: Annotated[int, Integer(least=0)],
    era: Era,
    pageblock_order: PageblockOrder,
    to_tail: Annotated[bool, each((False, True))],
) -> bool:
    assume(is_aligned(pfn, order))
    rules = rules_of(era, pageblock_order)
    zone = zone_of(Ghost(free, lists, types, NO_BLOCKS, pageblock_order, nr_isolated=isolated))
    assume(types[pfn >> pageblock_order] == migratetype)
    for at in (page, pfn, buddy_of(pfn, order)):
        assume(invariant_at(zone, at, era) & outside_at(zone, pfn, order, at) & isolation_counted_at(zone, at))
    assume(not merge_once(rules, zone, pfn, order, migratetype)[3])
    after = free_one_page(rules, zone, pfn, order, migratetype, to_tail)
    freed = block_contains(pfn, order, page)
    return (
        ghost_of(after).sound
        & invariant_at(after, page, era)
        & (is_free(after, page) == (is_free(zone, page) | freed))
        & implies(freed, ghost_of(after).lists[order, pfn >> order] == migratetype)
    )
