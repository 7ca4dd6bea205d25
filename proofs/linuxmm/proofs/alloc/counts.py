"""Theorems about NR_FREE_PAGES: each step of the buddy system counts what its lists gain or lose."""

from typing import Annotated, Final

from linuxmm.model.alloc.buddy import (
    absorb_mergeable,
    absorb_not_across_isolated,
    account_done_total,
    account_removed_at_once,
    account_taken_cma,
    expand,
    free_one_page,
    merge_once,
    rmqueue_smallest,
)
from linuxmm.model.alloc.fallback_steal import take_stealing
from linuxmm.model.alloc.freelist import CMA, HIGHATOMIC, ISOLATE, account
from linuxmm.model.alloc.pcp import rmqueue_bulk
from linuxmm.proofs.alloc.counted import COUNTED, counts_right, pages_if, typed_right
from linuxmm.proofs.alloc.ghost import (
    ANY_MEMORY,
    BLOCKS,
    NO_BLOCKS,
    SMALL_STATE,
    AnyOrder,
    AnyType,
    Blocks,
    BlockTypes,
    Ghost,
    Page,
    PageblockTypes,
    ghost_of,
    isolation_counted_at,
    rules_of,
    zone_of,
)
from linuxmm.proofs.domain import Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, no, theorem
from linuxmm.spec.alloc.buddy import buddy_of, is_aligned

Isolated = Annotated[int, Word(64)]
MERGES: Final = tuple(
    [(order, 3) for order in range(9)] + [(order, era) for order in (9, 10) for era in (2, 3, 4)]
)


def counted_size(order: int, migratetype: int) -> int:
    """Pages that a block in hand will add to NR_FREE_PAGES' lists."""
    return 0 if migratetype == ISOLATE else 1 << order


@theorem(
    "alloc.count.merge-step",
    "Merging once takes as many counted pages off the lists as the block in hand gains.  Not claimed before "
    "4.6, when isolated and other pageblocks could merge.",
    proves=(merge_once, absorb_not_across_isolated, absorb_mergeable),
    clauses=("alloc.zone.free-counter",),
    features=("F012", "F016"),
    method="inductive",
    bounds="any memory size (52-bit pfns), orders 0 to 10, pageblocks of order 9, rules of 4.6 to 6.12, "
    "given that the block in hand and its free buddy are of type ISOLATE exactly if their pageblocks are",
    primitives=COUNTED,
    logic=BLOCKS,
    witness={**SMALL_STATE, "case": (0, 3), "pfn": 6, "migratetype": 0, "isolated": 0},
    mutants=(
        Mutant(absorb_mergeable, "merges any types", "types_may_merge(migratetype, buddy_type)", "True"),
        Mutant(
            absorb_not_across_isolated, "merges across isolation", "if not has_isolated(zone):", "if True:"
        ),
        Mutant(
            merge_once,
            "forgets to take the buddy off its list",
            "    zone = remove(zone, buddy, order)\n    return zone, merged_pfn",
            "    return zone, merged_pfn",
        ),
    ),
)
def merging_counts(
    free: Blocks,
    lists: BlockTypes,
    types: PageblockTypes,
    case: Annotated[tuple[int, int], each(MERGES)],
    pfn: Page,
    migratetype: AnyType,
    isolated: Isolated,
) -> bool:
    order, era = case
    zone = zone_of(Ghost(free, lists, types, NO_BLOCKS, 9, nr_isolated=isolated))
    buddy = buddy_of(pfn, order)
    listed_isolated = lists[order, buddy >> order] == ISOLATE
    assume(is_aligned(pfn, order) & isolation_counted_at(zone, pfn) & isolation_counted_at(zone, buddy))
    assume((migratetype == ISOLATE) == (types[pfn >> 9] == ISOLATE))
    assume(implies(free[order, buddy >> order], listed_isolated == (types[buddy >> 9] == ISOLATE)))
    after, _, new_order, _ = merge_once(rules_of(era, 9), zone, pfn, order, migratetype)
    gained = counted_size(new_order, migratetype) - counted_size(order, migratetype)
    return ghost_of(after).sound & (ghost_of(after).listed + gained == 0) & (ghost_of(after).nr_free == 0)


@theorem(
    "alloc.count.merge-typed",
    "Merging once leaves the counters of CMA and of HIGHATOMIC right: a buddy that leaves such a list is of "
    "the type that the block in hand will be listed as.",
    proves=(merge_once, absorb_mergeable),
    clauses=("alloc.zone.typed-counters",),
    features=("F012", "F013", "F016"),
    method="inductive",
    bounds="any memory size (52-bit pfns), orders 0 to 10, pageblocks of order 9, rules of 5.18 to 6.12, "
    "given that the block in hand and its free buddy are of type CMA or HIGHATOMIC exactly if their "
    "pageblocks are",
    primitives=COUNTED,
    logic=BLOCKS,
    witness={**SMALL_STATE, "case": (0, 3), "pfn": 6, "migratetype": 0},
    mutants=(
        Mutant(absorb_mergeable, "merges any types", "types_may_merge(migratetype, buddy_type)", "True"),
        Mutant(merge_once, "asks above a pageblock only", "order >= rules.pageblock_order", "order > 9"),
        Mutant(
            merge_once,
            "forgets to take the buddy off its list",
            "    zone = remove(zone, buddy, order)\n    return zone, merged_pfn",
            "    return zone, merged_pfn",
        ),
    ),
)
def merging_counts_types(
    free: Blocks,
    lists: BlockTypes,
    types: PageblockTypes,
    case: Annotated[tuple[int, int], each(case for case in MERGES if case[1] >= 3)],
    pfn: Page,
    migratetype: AnyType,
) -> bool:
    order, era = case
    zone = zone_of(Ghost(free, lists, types, NO_BLOCKS, 9))
    buddy = buddy_of(pfn, order)
    listed = lists[order, buddy >> order]
    assume(is_aligned(pfn, order))
    for kind in (CMA, HIGHATOMIC):
        assume((migratetype == kind) == (types[pfn >> 9] == kind))
        assume(implies(free[order, buddy >> order], (listed == kind) == (types[buddy >> 9] == kind)))
    after, _, new_order, _ = merge_once(rules_of(era, 9), zone, pfn, order, migratetype)
    gained = (1 << new_order) - (1 << order)
    cma, highatomic = ghost_of(after).listed_typed
    return (
        ghost_of(after).sound
        & (cma + pages_if(migratetype == CMA, gained) == 0)
        & (highatomic + pages_if(migratetype == HIGHATOMIC, gained) == 0)
        & (ghost_of(after).nr_typed == (0, 0))
    )


@theorem(
    "alloc.count.put-step",
    "A block that is freed and does not merge is counted as what its list gains, and not at all for ISOLATE; "
    "so it is in the counters of CMA and of HIGHATOMIC.",
    proves=(free_one_page, account),
    clauses=("alloc.zone.free-counter", "alloc.zone.typed-counters"),
    features=("F012", "F016"),
    bounds=ANY_MEMORY,
    primitives=COUNTED,
    logic=BLOCKS,
    witness={**SMALL_STATE, "free": NO_BLOCKS, "order": 3, "pfn": 8, "migratetype": 4},
    mutants=(
        Mutant(account, "counts ISOLATE too", "if migratetype == ISOLATE:", "if False:"),
        Mutant(free_one_page, "counts one page", "zone, 1 << order, migratetype", "zone, 1, migratetype"),
    ),
)
def freeing_counts(
    free: Blocks, lists: BlockTypes, types: PageblockTypes, order: AnyOrder, pfn: Page, migratetype: AnyType
) -> bool:
    zone = zone_of(Ghost(free, lists, types, NO_BLOCKS, 9))
    assume(is_aligned(pfn, order) & no(free[order, pfn >> order]))
    assume(no(free[order, buddy_of(pfn, order) >> order]) if order < 10 else True)
    after = free_one_page(rules_of(3, 9), zone, pfn, order, migratetype, False)
    return ghost_of(after).sound & counts_right(after) & typed_right(after)


@theorem(
    "alloc.count.take-step",
    "A block that a refill takes off the free lists, split from a larger one, is counted as what the lists "
    "lose: at once since 6.10, with the batch before; so it is in the counters of CMA and of HIGHATOMIC.",
    proves=(
        rmqueue_bulk,
        rmqueue_smallest,
        expand,
        account_removed_at_once,
        account_done_total,
        account_taken_cma,
    ),
    clauses=("alloc.zone.free-counter", "alloc.zone.typed-counters"),
    features=("F012", "F017", "F020"),
    method="inductive",
    bounds=ANY_MEMORY + ", a block of order 0, 3 or 9 from a block of any order, rules up to 6.9 and since "
    "6.10, lists of UNMOVABLE, HIGHATOMIC and CMA",
    primitives=COUNTED,
    logic=BLOCKS,
    witness={**SMALL_STATE, "cached": NO_BLOCKS, "low": 0, "high": 0, "pfn": 7, "era": 4, "kind": 0},
    mutants=(
        Mutant(account_removed_at_once, "adds", "zone, -pages, migratetype", "zone, pages, migratetype"),
        Mutant(rmqueue_bulk, "counts blocks", "taken << order", "taken << 0"),
        Mutant(account_done_total, "forgets", "-pages", "0"),
        Mutant(account_taken_cma, "adds", "migratetype, -pages", "migratetype, pages"),
    ),
)
def taking_counts(
    free: Blocks,
    lists: BlockTypes,
    types: PageblockTypes,
    cached: Blocks,
    low: Annotated[int, each((0, 3, 9))],
    high: AnyOrder,
    pfn: Page,
    era: Annotated[int, each((3, 4))],
    kind: Annotated[int, each((0, HIGHATOMIC, CMA))],
) -> bool:
    assume(low <= high)
    zone = zone_of(Ghost(free, lists, types, cached, 9, head=pfn, head_order=high, head_type=kind))
    assume(is_aligned(pfn, high) & free[high, pfn >> high] & (lists[high, pfn >> high] == kind))
    assume(no(cached[low, pfn >> low]))
    for order in range(low, high):
        assume(no(free[order, (pfn >> order) + 1]))
    rules = rules_of(era, 9)._replace(take=take_stealing)
    if era == 3:
        rules = rules._replace(account_taken=account_taken_cma, account_done=account_done_total)
    after = rmqueue_bulk(rules, zone, 0, 1, low, kind, 0)
    counted = counts_right(after) & typed_right(after)
    return ghost_of(after).sound & counted & (ghost_of(after).nr_free == -(1 << low))
