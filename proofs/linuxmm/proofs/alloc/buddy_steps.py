"""Theorems about the steps of the buddy system: no page in two free blocks, none lost, no buddies left apart.

Each step is proved for an arbitrary zone and an arbitrary page; a whole operation is a sequence of steps with
one block *in hand*, which is neither free nor allocated.
"""

from typing import Annotated, Final

from linuxmm.model.alloc.buddy import (
    absorb_below_isolated,
    absorb_mergeable,
    free_one_page,
    merge_once,
    rmqueue_smallest,
    split_once,
    take_block,
)
from linuxmm.model.alloc.freelist import ISOLATE, NOTHING, Zone
from linuxmm.proofs.alloc.ghost import (
    ALL_UNMOVABLE,
    ANY_ERA,
    ANY_MEMORY,
    BLOCKS,
    NO_BLOCKS,
    PRIMITIVES,
    SMALL_STATE,
    AnyCase,
    AnyType,
    Blocks,
    BlockTypes,
    Case,
    Ghost,
    Page,
    PageblockTypes,
    Relation,
    ghost_of,
    invariant_at,
    is_free,
    is_head,
    isolation_counted_at,
    list_type,
    outside_at,
    rules_of,
    zone_of,
)
from linuxmm.proofs.domain import Table, Truth, Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, no, theorem
from linuxmm.spec.alloc.buddy import block_contains, buddy_of, is_aligned

SMALL_BLOCK: Final = Case(0, ANY_ERA, 9)
Isolated = Annotated[int, Word(64)]


@theorem(
    "alloc.buddy.merge-step",
    "Merging once keeps every page in at most one free block or in hand, loses and invents no page, keeps "
    "the block "
    "in hand aligned, and leaves no unmerged buddies.",
    proves=(merge_once,),
    clauses=(
        "alloc.buddy.aligned",
        "alloc.buddy.coalesced",
        "alloc.buddy.disjoint",
    ),
    features=("F012",),
    method="inductive",
    bounds=ANY_MEMORY + ", every era's rules",
    primitives=PRIMITIVES,
    logic=BLOCKS,
    witness={
        **SMALL_STATE,
        "apart": NO_BLOCKS,
        "case": SMALL_BLOCK,
        "pfn": 6,
        "page": 7,
        "migratetype": 0,
        "isolated": 0,
    },
    mutants=(
        Mutant(
            merge_once,
            "forgets to take the buddy off its list",
            "    zone = remove(zone, buddy, order)\n    return zone, merged_pfn",
            "    return zone, merged_pfn",
        ),
        Mutant(merge_once, "looks for the neighbour behind", "buddy_of(pfn, order)", "pfn + (1 << order)"),
        Mutant(
            merge_once,
            "forgets it beyond a pageblock",
            "            zone = remove(zone, buddy, order)\n",
            "",
        ),
        Mutant(
            merge_once,
            "keeps the head of the upper half",
            "    zone = remove(zone, buddy, order)\n    return zone, merged_pfn(pfn, order)",
            "    zone = remove(zone, buddy, order)\n    return zone, pfn",
        ),
    ),
)
def merge_step(
    free: Blocks,
    lists: BlockTypes,
    types: PageblockTypes,
    apart: Relation,
    case: AnyCase,
    pfn: Page,
    page: Page,
    migratetype: AnyType,
    isolated: Isolated,
) -> bool:
    order, era, pageblock_order = case
    assume(is_aligned(pfn, order))
    rules = rules_of(era, pageblock_order)
    zone = zone_of(Ghost(free, lists, types, NO_BLOCKS, pageblock_order, apart, nr_isolated=isolated))
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
    "A block that does not merge any further and is freed under its pageblock's type goes to that list "
    "without "
    "becoming anybody's unmerged buddy.",
    proves=(free_one_page, merge_once),
    clauses=(
        "alloc.buddy.aligned",
        "alloc.buddy.coalesced",
        "alloc.buddy.disjoint",
    ),
    features=("F012",),
    method="inductive",
    bounds=ANY_MEMORY + ", every era's rules",
    primitives=PRIMITIVES,
    logic=BLOCKS,
    witness={
        **SMALL_STATE,
        "apart": NO_BLOCKS,
        "case": SMALL_BLOCK,
        "pfn": 4,
        "page": 4,
        "isolated": 0,
        "to_tail": False,
    },
    mutants=(
        Mutant(
            merge_once, "stops one order early", "order >= rules.max_order", "order >= rules.max_order - 1"
        ),
        Mutant(merge_once, "never merges", "if not is_free_block(zone, buddy, order)", "if True"),
        Mutant(absorb_mergeable, "turns the rule round", "return types", "return not types"),
        Mutant(absorb_below_isolated, "stays apart from MOVABLE", "ISOLATE", "1"),
        Mutant(
            free_one_page,
            "puts the block on the list of a smaller order",
            "add_head(zone, pfn, order, ",
            "add_head(zone, pfn, max(order - 1, 0), ",
        ),
    ),
)
def put_step(
    free: Blocks,
    lists: BlockTypes,
    types: PageblockTypes,
    apart: Relation,
    case: AnyCase,
    pfn: Page,
    page: Page,
    isolated: Isolated,
    to_tail: Annotated[bool, Truth()],
) -> bool:
    order, era, pageblock_order = case
    assume(is_aligned(pfn, order))
    rules = rules_of(era, pageblock_order)
    zone = zone_of(Ghost(free, lists, types, NO_BLOCKS, pageblock_order, apart, nr_isolated=isolated))
    migratetype = types[pfn >> pageblock_order]
    for at in (page, pfn, buddy_of(pfn, order)):
        assume(
            invariant_at(zone, at, era) & outside_at(zone, pfn, order, at) & isolation_counted_at(zone, at)
        )
    assume(not merge_once(rules, zone, pfn, order, migratetype)[3])
    after = free_one_page(rules, zone, pfn, order, migratetype, to_tail)
    freed = block_contains(pfn, order, page)
    return (
        ghost_of(after).sound
        & invariant_at(after, page, era)
        & (is_free(after, page) == (is_free(zone, page) | freed))
        & implies(freed, list_type(after, order, pfn >> order) == migratetype)
    )


@theorem(
    "alloc.buddy.split-step",
    "Splitting the block in hand keeps its lower half in hand and frees the upper one: no page lost, none "
    "in two blocks.",
    proves=(split_once,),
    clauses=(
        "alloc.buddy.aligned",
        "alloc.buddy.coalesced",
        "alloc.buddy.disjoint",
    ),
    features=("F012",),
    method="inductive",
    bounds=ANY_MEMORY,
    primitives=PRIMITIVES,
    logic=BLOCKS,
    witness={**SMALL_STATE, "order": 0, "pfn": 4, "page": 5, "migratetype": 0},
    mutants=(
        Mutant(split_once, "frees the lower half", "upper_half(pfn, order)", "pfn"),
        Mutant(split_once, "frees both halves", "upper_half(pfn, order), order", "pfn, order + 1"),
        Mutant(
            split_once,
            "loses the upper half",
            "return add_head(zone, upper_half(pfn, order), order, migratetype)",
            "return zone",
        ),
    ),
)
def split_step(
    free: Blocks,
    lists: BlockTypes,
    types: PageblockTypes,
    order: Annotated[int, each(range(10))],
    pfn: Page,
    page: Page,
    migratetype: AnyType,
) -> bool:
    assume(is_aligned(pfn, order + 1))
    zone = zone_of(Ghost(free, lists, types, NO_BLOCKS, 10))
    for at in (page, pfn, buddy_of(pfn, order)):
        assume(invariant_at(zone, at, 0) & outside_at(zone, pfn, order + 1, at))
    after = split_once(zone, pfn, order, migratetype)
    held = is_free(zone, page) | block_contains(pfn, order + 1, page)
    return (
        ghost_of(after).sound
        & invariant_at(after, page, 0)
        & outside_at(after, pfn, order, page)
        & (held == (is_free(after, page) | block_contains(pfn, order, page)))
    )


@theorem(
    "alloc.buddy.take",
    "Handing out a block of one order from a larger free block removes exactly the pages handed out: no "
    "other page "
    "changes, none is in two blocks, no buddies are left apart, and the leftovers stay on lists of the same "
    "type.",
    proves=(rmqueue_smallest, take_block, split_once),
    clauses=(
        "alloc.buddy.aligned",
        "alloc.buddy.coalesced",
        "alloc.buddy.disjoint",
        "alloc.page.double-allocation",
        "alloc.page.misaligned",
    ),
    features=("F012",),
    method="inductive",
    bounds=ANY_MEMORY + ", every order asked for and found",
    primitives=PRIMITIVES,
    logic=BLOCKS,
    witness={
        "free": Table(False, (((2, 1), True),)),
        "lists": ALL_UNMOVABLE,
        "types": ALL_UNMOVABLE,
        "orders": (0, 2),
        "pfn": 4,
        "page": 5,
        "migratetype": 0,
    },
    mutants=(
        Mutant(take_block, "leaves the block on its list", "    zone = remove(zone, pfn, high)\n", ""),
        Mutant(
            take_block, "does not split", "zone = expand(zone, pfn, low, high, migratetype)", "low = high"
        ),
        Mutant(
            take_block,
            "splits once too often",
            "expand(zone, pfn, low, high, ",
            "expand(zone, pfn, max(low - 1, 0), high, ",
        ),
        Mutant(rmqueue_smallest, "begins one order up", "at = order", "at = order + 1"),
        Mutant(take_block, "gives leftovers another type", "low, high, migratetype)", "low, high, 1)"),
    ),
)
def take(
    free: Blocks,
    lists: BlockTypes,
    types: PageblockTypes,
    orders: Annotated[tuple[int, int], each((low, high) for high in range(11) for low in range(high + 1))],
    pfn: Page,
    page: Page,
    migratetype: AnyType,
) -> bool:
    low, high = orders
    rules = rules_of(3, 10)
    zone = zone_of(Ghost(free, lists, types, NO_BLOCKS, 10, head=pfn, head_order=high, head_type=migratetype))
    assume(is_aligned(pfn, high) & free[high, pfn >> high])
    for at in (page, pfn, *(buddy_of(pfn, order) for order in range(low, high))):
        assume(invariant_at(zone, at, 3))
    after, taken = rmqueue_smallest(rules, zone, low, migratetype)
    handed_out = block_contains(pfn, low, page)
    return (
        ghost_of(after).sound
        & (taken == pfn)
        & is_aligned(taken, low)
        & invariant_at(after, page, 3)
        & (is_free(after, page) == (is_free(zone, page) & no(handed_out)))
        & _leftovers_listed(after, pfn, low, high, migratetype)
    )


def _leftovers_listed(zone: Zone, pfn: int, low: int, high: int, migratetype: int) -> bool:
    """Every half that was split off is free and on a list of the type."""
    good = True
    for order in range(low, high):
        index = (pfn >> order) ^ 1
        good = good & is_head(zone, order, index) & (list_type(zone, order, index) == migratetype)
    return good


@theorem(
    "alloc.buddy.merge-undoes-split",
    "Merging the lower half right after a split gives back the block that was split and every list as it "
    "was.",
    proves=(split_once, merge_once),
    features=("F012",),
    method="inductive",
    bounds=ANY_MEMORY + "; the two halves of a block have pageblocks of one type",
    primitives=PRIMITIVES,
    logic=BLOCKS,
    witness={**SMALL_STATE, "order": 1, "pfn": 4, "migratetype": 0, "other_order": 0, "other": 7},
    mutants=(
        Mutant(split_once, "frees the lower half", "upper_half(pfn, order)", "pfn"),
        Mutant(
            merge_once,
            "keeps the buddy listed",
            "    zone = remove(zone, buddy, order)\n    return zone, merged_pfn",
            "    return zone, merged_pfn",
        ),
        Mutant(
            merge_once, "stops one order early", "order >= rules.max_order", "order >= rules.max_order - 1"
        ),
    ),
)
def merge_undoes_split(
    free: Blocks,
    lists: BlockTypes,
    types: PageblockTypes,
    order: Annotated[int, each(range(10))],
    pfn: Page,
    migratetype: AnyType,
    other_order: Annotated[int, Word(8, below=11)],
    other: Page,
) -> bool:
    assume(is_aligned(pfn, order + 1))
    zone = zone_of(Ghost(free, lists, types, NO_BLOCKS, 9))
    assume(implies(order == 9, (types[pfn >> 9] == migratetype) & (types[(pfn >> 9) ^ 1] == migratetype)))
    upper = buddy_of(pfn, order)
    assume(invariant_at(zone, upper, 3) & outside_at(zone, pfn, order + 1, upper))
    between = split_once(zone, pfn, order, migratetype)
    after, head, size, merged = merge_once(rules_of(3, 9), between, pfn, order, migratetype)
    unchanged = is_head(after, other_order, other) == is_head(zone, other_order, other)
    return ghost_of(after).sound & merged & (head == pfn) & (size == order + 1) & unchanged


@theorem(
    "alloc.buddy.free-undoes-take",
    "Freeing what was just handed out restores the free blocks: every block is free exactly if it was "
    "before.",
    proves=(rmqueue_smallest, take_block, free_one_page, merge_once, split_once),
    features=("F012",),
    method="inductive",
    bounds=ANY_MEMORY
    + ", up to two splits (more are repeated merge-undoes-split); pageblocks of a block of one type",
    primitives=PRIMITIVES,
    logic=BLOCKS,
    witness={
        "free": Table(False, (((2, 1), True),)),
        "lists": ALL_UNMOVABLE,
        "types": ALL_UNMOVABLE,
        "orders": (0, 2),
        "pfn": 4,
        "other_order": 1,
        "other": 3,
    },
    mutants=(
        Mutant(
            merge_once, "merges one order less", "order >= rules.max_order", "order >= rules.max_order - 1"
        ),
        Mutant(free_one_page, "merges only once", "while merged:", "if merged:"),
        Mutant(split_once, "frees the lower half", "upper_half(pfn, order)", "pfn"),
    ),
)
def free_undoes_take(
    free: Blocks,
    lists: BlockTypes,
    types: PageblockTypes,
    orders: Annotated[
        tuple[int, int], each((low, high) for high in range(11) for low in range(max(high - 2, 0), high + 1))
    ],
    pfn: Page,
    other_order: Annotated[int, Word(8, below=11)],
    other: Page,
) -> bool:
    low, high = orders
    rules = rules_of(3, 9)
    kind = types[pfn >> 9]
    zone = zone_of(Ghost(free, lists, types, NO_BLOCKS, 9, head=pfn, head_order=high, head_type=kind))
    assume(is_aligned(pfn, high) & free[high, pfn >> high])
    assume(implies(high > 9, types[(pfn >> 9) ^ 1] == kind))
    for at in (pfn, *(buddy_of(pfn, order) for order in range(low, high + 1))):
        assume(invariant_at(zone, at, 3))
    between, taken = rmqueue_smallest(rules, zone, low, kind)
    after = free_one_page(rules, between, taken, low, kind, False)
    return ghost_of(after).sound & (is_head(after, other_order, other) == is_head(zone, other_order, other))


@theorem(
    "alloc.buddy.isolated-never-taken",
    "A request for a type other than ISOLATE is never answered from a list of ISOLATE.",
    proves=(rmqueue_smallest,),
    clauses=(
        "alloc.list.isolated",
        "alloc.page.set-aside",
    ),
    features=("F016", "F038"),
    bounds=ANY_MEMORY + ", every order asked for and found",
    primitives=PRIMITIVES,
    logic=BLOCKS,
    witness={
        **SMALL_STATE,
        "orders": (0, 2),
        "pfn": 4,
        "listed": 0,
        "migratetype": 0,
    },
    mutants=(
        Mutant(
            rmqueue_smallest,
            "looks at every list",
            "list_head(zone, at, migratetype)",
            "list_head(zone, at, 4)",
        ),
        Mutant(
            rmqueue_smallest,
            "looks one list on",
            "list_head(zone, at, migratetype)",
            "list_head(zone, at, migratetype + 1)",
        ),
    ),
)
def isolated_never_taken(
    free: Blocks,
    lists: BlockTypes,
    types: PageblockTypes,
    orders: Annotated[tuple[int, int], each((low, high) for high in range(11) for low in (0, high))],
    pfn: Page,
    listed: AnyType,
    migratetype: AnyType,
) -> bool:
    low, high = orders
    assume(no(migratetype == ISOLATE))
    zone = zone_of(Ghost(free, lists, types, NO_BLOCKS, 9, head=pfn, head_order=high, head_type=listed))
    taken = rmqueue_smallest(rules_of(3, 9), zone, low, migratetype)[1]
    return implies(listed == ISOLATE, taken == NOTHING) & implies(no(taken == NOTHING), listed == migratetype)
