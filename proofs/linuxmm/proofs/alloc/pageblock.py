"""Theorems about ranges of pages and whole pageblocks whose free blocks change lists.

By induction: a theorem about any turn of a loop, in any state that the loop's invariant allows.  It is kept
from the beginning (nothing is done yet), each turn gets further, and at the end everything is done.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Final

from linuxmm.model.alloc.buddy import free_one_page
from linuxmm.model.alloc.freelist import ISOLATE, Zone, account
from linuxmm.model.alloc.isolate import (
    isolate_pageblock,
    retag_moving,
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
from linuxmm.proofs.alloc.counted import COUNTED, counts_right, typed_right
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
    is_head,
    zone_of,
)
from linuxmm.proofs.alloc.retag import (
    MOVING,
    SMALL_RANGE,
    Generation,
    Range,
    Ranged,
    assume_begun,
    counters_follow,
    kept,
    move_range,
    moved_pages,
    moving_rules,
    pages_starting,
    put_unmerged,
    retag_block,
    same_heads,
    type_changes_at,
)
from linuxmm.proofs.domain import SignedWord, Word, each, table
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.rewrite import begin, finish, turn
from linuxmm.proofs.theorem import assume, implies, no, theorem

Moved = Annotated[int, SignedWord(64)]
PageblockOrder = Annotated[int, each(range(11))]
UsualOrder = Annotated[int, each((0, 9, 10))]
ANY_PAGEBLOCK: Final = "any memory size (52-bit pfns), free blocks and pageblocks of orders 0 to 10"


def unchanged(answer: tuple[Zone, int], zone: Zone, moved: int) -> bool:
    """Whether a loop that is left gives the zone as it was then and the pages moved."""
    return (answer[0] is zone) & (answer[1] == moved)


@theorem(
    "alloc.movement.move-loop",
    "Every turn of the loop over a range gets further and moves the free block that starts there, whole, to "
    "the list of the new type, and nothing if there is none: so at the end every free block that starts in "
    "the range, and no other, stands there, pages free stay free, in one block each, and the answer is the "
    "sum of their pages.  Since 6.10 the counters follow the lists at once; before, the caller counts.",
    proves=(move_freepages, move_to_head, move_to_tail, move_to_tail_counted, account),
    clauses=(
        "alloc.buddy.aligned",
        "alloc.buddy.disjoint",
        "alloc.list.owned-page",
        "alloc.zone.free-counter",
        "alloc.zone.typed-counters",
    ),
    features=("F016", "F038"),
    method="inductive",
    bounds=ANY_MEMORY + ", ranges of any length" + MOVING,
    primitives=COUNTED,
    witness=SMALL_RANGE,
    mutants=(
        Mutant(move_freepages, "goes too far without a block", "pfn += 1\n", "pfn += 2\n"),
        Mutant(move_freepages, "goes too far behind a block", "pfn += 1 << order", "pfn += 2 << order"),
        Mutant(move_freepages, "stays at a block", "pfn += 1 << order", "pfn += 0"),
        Mutant(move_freepages, "stops early", "pfn < end", "pfn < end - 1"),
        Mutant(move_freepages, "remembers the last block only", "moved += 1", "moved = 1"),
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
def move_loop(
    free: Blocks,
    before: BlockTypes,
    lists: BlockTypes,
    types: PageblockTypes,
    start: Page,
    at: Page,
    end: Page,
    head: Page,
    was: AnyType,
    migratetype: AnyType,
    moved: Moved,
    generation: Generation,
) -> bool:
    assume((moved >= 0) & (moved < 1 << 52))
    zone = zone_of(Ghost(free, lists, types, NO_BLOCKS, 9))
    done = Range(start, at, end, migratetype, head, before, was)
    assume_begun(zone, done)
    rules = moving_rules(generation, 9)
    first = begin(move_freepages, rules, zone, start, end, migratetype)
    if (first["pfn"] != start) | (first["moved"] != 0):
        return False
    how, state, _ = turn(move_freepages, {**first, "pfn": at, "moved": moved})
    if how == "left":
        return at >= end and unchanged(finish(move_freepages, state), zone, moved)
    further = Range(start, state["pfn"], end, migratetype, head, before, was)
    pages = pages_starting(zone, at)
    nearer: bool = (state["pfn"] > at) & (state["moved"] == moved + pages)
    return (
        (at < end)
        & nearer
        & kept(zone, state["zone"], further)
        & moved_pages(state["zone"], pages, was, migratetype)
        & counters_follow(state["zone"], generation)
    )


@theorem(
    "alloc.movement.retag-loop",
    "Isolating a pageblock, or undoing it, gives the pageblock its type and goes through it in the same way: "
    "every turn gets further and moves the free block that starts there, whole, so that none is left out.",
    proves=(retag_moving,),
    clauses=("alloc.buddy.disjoint", "alloc.list.owned-page"),
    features=("F016", "F039"),
    method="inductive",
    bounds="any memory size (52-bit pfns), free blocks of orders 0 to 10, pageblocks of order 0, 9 and 10 "
    "within the zone; moving one block as alloc.movement.move-loop proves it",
    primitives={**COUNTED, move_freepages: move_range},
    witness={
        **{name: value for name, value in SMALL_RANGE.items() if name not in ("start", "end", "generation")},
        "then": table({(0, 7): 1}, 0),
        "pfn": 7,
        "page": 7,
        "pageblock_order": 0,
    },
    mutants=(
        Mutant(retag_moving, "begins behind the first page", "at = start\n", "at = start + 1\n"),
        Mutant(retag_moving, "keeps the type", "    zone = set_pageblock_type(zone, pfn, migratetype)\n", ""),
        Mutant(retag_moving, "remembers the last block only", "moved += pages", "moved = pages"),
        Mutant(retag_moving, "ends in the middle", "at < start + block", "at < start + block // 2"),
        Mutant(retag_moving, "leaves out pages", "at += 1\n", "at += 2\n"),
    ),
)
def retag_loop(
    free: Blocks,
    before: BlockTypes,
    lists: BlockTypes,
    then: BlockTypes,
    types: PageblockTypes,
    pfn: Page,
    at: Page,
    page: Page,
    head: Page,
    was: AnyType,
    migratetype: AnyType,
    moved: Moved,
    pageblock_order: UsualOrder,
) -> bool:
    assume((moved >= 0) & (moved < 1 << 52))
    ghost = Ranged(free, lists, types, NO_BLOCKS, pageblock_order, then=then, looked_at=head, was=was)
    zone, rules = zone_of(ghost), moving_rules(1, pageblock_order)
    begun = begin(retag_moving, rules, zone, pfn, migratetype)
    start = (pfn >> pageblock_order) << pageblock_order
    end = start + (1 << pageblock_order)
    first = (begun["at"] == start) & (begun["moved"] == 0)
    if no(first & type_changes_at(zone, begun["zone"], page, pfn, migratetype)):
        return False
    done = Range(start, at, end, migratetype, head, before, was)
    assume_begun(zone, done)
    pages = pages_starting(zone, at)
    zone = zone_of(replace(ghost, moved=pages))
    how, state, _ = turn(retag_moving, {**begun, "zone": zone, "at": at, "moved": moved})
    if how == "left":
        return at >= end and unchanged(finish(retag_moving, state), zone, moved)
    further = Range(start, state["at"], end, migratetype, head, before, was)
    nearer: bool = (state["at"] > at) & (state["moved"] == moved + pages)
    return (
        (at < end)
        & nearer
        & kept(zone, state["zone"], further)
        & moved_pages(state["zone"], pages, was, migratetype)
    )


@theorem(
    "alloc.movement.claim-block",
    "Claiming a pageblock gives it the type and moves exactly the free blocks that start in it to the lists "
    "of that type, with all counters.",
    proves=(claim_block,),
    clauses=("alloc.zone.list-agrees", "alloc.zone.free-counter", "alloc.zone.typed-counters"),
    features=("F016", "F018", "F038"),
    method="inductive",
    bounds=ANY_PAGEBLOCK + ", since 6.10; the loop over the pageblock as alloc.movement.move-loop proves it",
    primitives={**COUNTED, move_freepages: move_range},
    logic=BLOCKS,
    witness={
        **SMALL_STATE,
        "then": SMALL_STATE["lists"],
        "pfn": 5,
        "page": 7,
        "head": 7,
        "was": 0,
        "migratetype": 1,
        "moved": 0,
        "pageblock_order": 0,
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
    then: BlockTypes,
    types: PageblockTypes,
    pfn: Page,
    page: Page,
    head: Page,
    was: AnyType,
    migratetype: AnyType,
    moved: Moved,
    pageblock_order: PageblockOrder,
) -> bool:
    ghost = Ranged(
        free, lists, types, NO_BLOCKS, pageblock_order, then=then, moved=moved, looked_at=head, was=was
    )
    zone = zone_of(ghost)
    assume((moved >= 0) & (moved < 1 << 52))
    assume(no(migratetype == ISOLATE) & no(was == ISOLATE))
    claimed = claim_block(moving_rules(2, pageblock_order), zone, pfn, migratetype)
    start = (pfn >> pageblock_order) << pageblock_order
    end = start + (1 << pageblock_order)
    whole = Range(start, end, end, migratetype, head, lists, was)
    return (
        same_heads(zone, claimed, head)
        & whole.listed_right(claimed)
        & type_changes_at(zone, claimed, page, pfn, migratetype)
        & counts_right(claimed)
        & typed_right(claimed)
        & (ghost_of(claimed).nr_free == 0)
    )


# ---- isolation -------------------------------------------------------------------------------------------

ISOLATING: Final[dict[Callable[..., Any], Callable[..., Any]]] = {
    **COUNTED,
    retag_moving: retag_block,
    free_one_page: put_unmerged,
}
Isolated = Annotated[int, Word(64, below=1 << 52)]


@theorem(
    "alloc.isolate.pageblock",
    "Isolating a pageblock keeps its free pages free and puts exactly its free blocks on the lists of "
    "ISOLATE; NR_FREE_PAGES and the counters of CMA and HIGHATOMIC shrink by exactly the pages that left the "
    "other lists.",
    proves=(isolate_pageblock,),
    clauses=("alloc.zone.isolate-kept", "alloc.zone.free-counter", "alloc.zone.typed-counters"),
    features=("F016", "F039"),
    method="inductive",
    bounds="any memory size (52-bit pfns), pageblocks of order 0, 9 and 10 within the zone, whose free "
    "blocks stand on the list of its type; the loop as alloc.movement.retag-loop proves it" + MOVING,
    primitives=ISOLATING,
    logic=BLOCKS,
    witness={
        **SMALL_STATE,
        "then": SMALL_STATE["lists"],
        "pfn": 5,
        "page": 7,
        "head": 7,
        "moved": 0,
        "isolated": 0,
        "generation": 1,
        "pageblock_order": 0,
    },
    mutants=(
        Mutant(isolate_pageblock, "counts the pages twice", "zone, -moved, was)", "zone, -2 * moved, was)"),
        Mutant(
            isolate_pageblock,
            "does not count the pageblock",
            "add_isolated(zone, 1)",
            "add_isolated(zone, 0)",
        ),
        Mutant(isolate_pageblock, "counts another type", "-moved, was)", "-moved, 1)"),
    ),
)
def isolates_pageblock(
    free: Blocks,
    lists: BlockTypes,
    then: BlockTypes,
    types: PageblockTypes,
    pfn: Page,
    page: Page,
    head: Page,
    moved: Moved,
    isolated: Isolated,
    generation: Generation,
    pageblock_order: UsualOrder,
) -> bool:
    was = types[pfn >> pageblock_order]
    ghost = Ranged(free, lists, types, NO_BLOCKS, pageblock_order, nr_isolated=isolated, then=then)
    zone = zone_of(replace(ghost, moved=moved, looked_at=head, was=was))
    assume((moved >= 0) & (moved < 1 << 52) & no(was == ISOLATE))
    done = isolate_pageblock(moving_rules(generation, pageblock_order), zone, pfn)
    return (
        whole_block(zone, pfn, head, ISOLATE).listed_right(done)
        & same_heads(zone, done, head)
        & type_changes_at(zone, done, page, pfn, ISOLATE)
        & counts_right(done)
        & typed_right(done)
        & (ghost_of(done).nr_isolated == isolated + 1)
    )


def whole_block(zone: Zone, pfn: int, head: int, migratetype: int) -> Range:
    """The pageblock that holds pfn, all of it done."""
    order = ghost_of(zone).pageblock_order
    start = (pfn >> order) << order
    end = start + (1 << order)
    return Range(start, end, end, migratetype, head, ghost_of(zone).lists, 0)


@theorem(
    "alloc.isolate.undo",
    "Undoing the isolation keeps the pages free, puts exactly the pageblock's free blocks on the lists of "
    "its new type, and NR_FREE_PAGES and the counters of CMA and HIGHATOMIC grow by exactly the pages "
    "that came back, whether a free pageblock merges then or not.",
    proves=(unisolate_pageblock, unisolate_moving, unisolate_merging),
    clauses=("alloc.zone.isolate-kept", "alloc.zone.free-counter", "alloc.zone.typed-counters"),
    features=("F016", "F039"),
    method="inductive",
    bounds="any memory size (52-bit pfns), pageblocks of order 0, 9 and 10 within the zone, no free block "
    "across its ends, its free blocks on the list of ISOLATE; the loop as alloc.movement.retag-loop proves it"
    + MOVING,
    primitives=ISOLATING,
    logic=BLOCKS,
    witness={
        **SMALL_STATE,
        "lists": table({(0, 7): ISOLATE}, 0),
        "then": table({(0, 7): 1}, 0),
        "types": table({7: ISOLATE}, 0),
        "pfn": 7,
        "page": 7,
        "head": 7,
        "moved": 1,
        "migratetype": 1,
        "isolated": 1,
        "generation": 1,
        "merging": True,
        "pageblock_order": 0,
    },
    mutants=(
        Mutant(unisolate_moving, "forgets to count", "zone, moved, migratetype)", "zone, 0, migratetype)"),
        Mutant(unisolate_pageblock, "does not count the pageblock", "migratetype), -1", "migratetype), 0"),
        Mutant(unisolate_pageblock, "keeps its isolation", "- 1), migratetype)", "- 1), 4)"),
        Mutant(unisolate_merging, "leaves the block listed", "remove(zone, start, order)", "zone"),
    ),
)
def undoes_isolation(
    free: Blocks,
    lists: BlockTypes,
    then: BlockTypes,
    types: PageblockTypes,
    pfn: Page,
    page: Page,
    head: Page,
    moved: Moved,
    migratetype: AnyType,
    isolated: Isolated,
    generation: Generation,
    merging: Annotated[bool, each((False, True))],
    pageblock_order: UsualOrder,
) -> bool:
    ghost = Ranged(free, lists, types, NO_BLOCKS, pageblock_order, nr_isolated=isolated, then=then)
    zone = zone_of(replace(ghost, moved=moved, looked_at=head, was=ISOLATE))
    assume((moved >= 0) & (moved < 1 << 52) & no(migratetype == ISOLATE) & (isolated >= 1))
    start = (pfn >> pageblock_order) << pageblock_order
    for order in range(MAX_ORDER + 1):
        here = is_head(zone, order, start >> order)
        assume(
            no(here) if order > pageblock_order else implies(here, lists[order, start >> order] == ISOLATE)
        )
    assume(disjoint_at(zone, head) & disjoint_at(zone, start))
    rules = moving_rules(generation, pageblock_order)._replace(
        unisolate=unisolate_merging if merging else unisolate_moving
    )
    done = unisolate_pageblock(rules, zone, pfn, migratetype)
    return (
        ghost_of(done).sound
        & whole_block(zone, pfn, head, migratetype).listed_right(done)
        & same_heads(zone, done, head)
        & type_changes_at(zone, done, page, pfn, migratetype)
        & counts_right(done)
        & typed_right(done)
        & (ghost_of(done).nr_isolated == isolated - 1)
    )
