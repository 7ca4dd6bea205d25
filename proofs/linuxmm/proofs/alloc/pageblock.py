"""Theorems about ranges of pages and whole pageblocks whose free blocks change lists.

By induction: a theorem about any turn of a loop, in any state that the loop's invariant allows.  It is kept
from the beginning (nothing is done yet), each turn gets further, and at the end everything is done.
"""

from typing import Annotated, Final

from linuxmm.model.alloc.freelist import ISOLATE, account
from linuxmm.model.alloc.isolate import _retag_block
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
    NO_BLOCKS,
    SMALL_STATE,
    AnyType,
    Blocks,
    BlockTypes,
    Ghost,
    Page,
    PageblockTypes,
    ghost_of,
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
    same_heads,
    type_changes_at,
)
from linuxmm.proofs.domain import SignedWord, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.rewrite import begin, finish, turn
from linuxmm.proofs.theorem import assume, no, theorem

Moved = Annotated[int, SignedWord(64)]
PageblockOrder = Annotated[int, each(range(11))]
ANY_PAGEBLOCK: Final = "any memory size (52-bit pfns), free blocks and pageblocks of orders 0 to 10"


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
    logic=BLOCKS,
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
    state = {"rules": rules, "zone": zone, "start": start, "end": end, "migratetype": migratetype}
    how, state, _ = turn(move_freepages, {**state, "pfn": at, "moved": moved})
    first = begin(move_freepages, rules, zone, start, end, migratetype)
    if (first["pfn"] != start) | (first["moved"] != 0):
        return False
    if how == "left":
        return (at >= end) & (finish(move_freepages, state) == (zone, moved))
    further = Range(start, state["pfn"], end, migratetype, head, before, was)
    pages = pages_starting(zone, at)
    return (
        (at < end)
        & (state["pfn"] > at)
        & kept(zone, state["zone"], further)
        & (state["moved"] == moved + pages)
        & moved_pages(state["zone"], pages, was, migratetype)
        & counters_follow(state["zone"], generation)
    )


@theorem(
    "alloc.movement.retag-loop",
    "Isolating a pageblock, or undoing it, gives the pageblock its type and goes through it in the same way: "
    "every turn gets further and moves the free block that starts there, whole, so that none is left out.",
    proves=(_retag_block, move_freepages),
    clauses=("alloc.buddy.aligned", "alloc.buddy.disjoint", "alloc.list.owned-page"),
    features=("F016", "F039"),
    method="inductive",
    bounds=ANY_PAGEBLOCK + MOVING + ", the pageblock within the zone",
    primitives=COUNTED,
    logic=BLOCKS,
    witness={
        **{name: value for name, value in SMALL_RANGE.items() if name not in ("start", "end")},
        "pfn": 7,
        "page": 7,
        "pageblock_order": 0,
    },
    mutants=(
        Mutant(_retag_block, "begins behind the first page", "at = start\n", "at = start + 1\n"),
        Mutant(_retag_block, "keeps the type", "    zone = set_pageblock_type(zone, pfn, migratetype)\n", ""),
        Mutant(_retag_block, "remembers the last block only", "moved += pages", "moved = pages"),
        Mutant(_retag_block, "ends in the middle", "at < start + block", "at < start + block // 2"),
        Mutant(_retag_block, "leaves out pages", "at += 1\n", "at += 2\n"),
    ),
)
def retag_loop(
    free: Blocks,
    before: BlockTypes,
    lists: BlockTypes,
    types: PageblockTypes,
    pfn: Page,
    at: Page,
    page: Page,
    head: Page,
    was: AnyType,
    migratetype: AnyType,
    moved: Moved,
    generation: Generation,
    pageblock_order: PageblockOrder,
) -> bool:
    assume((moved >= 0) & (moved < 1 << 52))
    zone = zone_of(Ghost(free, lists, types, NO_BLOCKS, pageblock_order))
    rules = moving_rules(generation, pageblock_order)
    begun = begin(_retag_block, rules, zone, pfn, migratetype)
    start = (pfn >> pageblock_order) << pageblock_order
    end = start + (1 << pageblock_order)
    if (begun["at"] != start) | (begun["moved"] != 0):
        return False
    if no(type_changes_at(zone, begun["zone"], page, pfn, migratetype)):
        return False
    done = Range(start, at, end, migratetype, head, before, was)
    assume_begun(zone, done)
    how, state, _ = turn(_retag_block, {**begun, "zone": zone, "at": at, "moved": moved})
    if how == "left":
        return (at >= end) & (finish(_retag_block, state) == (zone, moved))
    further = Range(start, state["at"], end, migratetype, head, before, was)
    pages = pages_starting(zone, at)
    return (
        (at < end)
        & (state["at"] > at)
        & kept(zone, state["zone"], further)
        & (state["moved"] == moved + pages)
        & moved_pages(state["zone"], pages, was, migratetype)
        & counters_follow(state["zone"], generation)
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
