"""What a range of pages goes through whose free blocks change lists, one block after the other.

The loop begins at `start` and is at `at`: every free block that starts between, and before `end`, stands on
the list of the new type, and every other block where it stood when the loop began.  Which blocks are free
never changes.  All of it is stated at one block, so a theorem about an arbitrary block is one about all.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from linuxmm.model.alloc.freelist import (
    CMA,
    HIGHATOMIC,
    ISOLATE,
    NOTHING,
    Zone,
    account,
    set_pageblock_type,
)
from linuxmm.model.alloc.isolate import account_isolated_after, account_isolated_while_moving, retag_moving
from linuxmm.model.alloc.movement import move_to_head, move_to_tail, move_to_tail_counted
from linuxmm.model.alloc.rules import Rules
from linuxmm.proofs.alloc.counted import counts_right, free_order, pages_if, put_counted, typed_right
from linuxmm.proofs.alloc.ghost import (
    MAX_ORDER,
    NO_BLOCKS,
    SMALL_STATE,
    Ghost,
    Total,
    disjoint_at,
    ghost_of,
    is_head,
    list_type,
    rules_of,
    zone_of,
)
from linuxmm.proofs.domain import Word, each
from linuxmm.proofs.sym import as_state
from linuxmm.proofs.theorem import assume, implies, no
from linuxmm.spec.alloc.buddy import is_aligned

Generation = Annotated[int, each((1, 2))]
"""5.10 to 6.9, and since 6.10.  Up to 5.9 blocks go to heads of lists, which the twin does not tell apart."""
OtherOrder = Annotated[int, Word(8, below=11)]
MOVING: Final = ", the ways of moving of 2.6.24 to 6.9 and since 6.10"


def moving_rules(generation: int, pageblock_order: int) -> Rules:
    """How a generation moves a free block and counts isolated pages."""
    return rules_of(4 if generation == 2 else 3, pageblock_order)._replace(
        place_moved=(move_to_head, move_to_tail, move_to_tail_counted)[generation],
        retag_isolated=retag_moving,
        account_isolated=account_isolated_while_moving if generation == 2 else account_isolated_after,
    )


@dataclass(frozen=True, slots=True)
class Range:
    """The pages start..end-1, of which those before `at` are done, and the type that their blocks get.

    head    any page at which a block may start
    lists   the lists when the loop began
    was     the list on which every free block of the range stood then
    """

    start: int
    at: int
    end: int
    migratetype: int
    head: int
    lists: Total
    was: int

    def done(self) -> bool:
        """Whether a free block that starts at `head` has been moved."""
        return (self.start <= self.head) & (self.head < self.at) & (self.head < self.end)

    def listed_right(self, zone: Zone) -> bool:
        """The invariant of the loop for the free block that starts at `head`, if there is one."""
        done, good = self.done(), True
        for order in range(MAX_ORDER + 1):
            index = self.head >> order
            kind = list_type(zone, order, index)
            right = (done & (kind == self.migratetype)) | (no(done) & (kind == self.lists[order, index]))
            good = good & implies(is_aligned(self.head, order) & is_head(zone, order, index), right)
        return good


def same_heads(before: Zone, after: Zone, head: int) -> bool:
    """Whether the same free block starts at `head`, if any."""
    same = True
    for order in range(MAX_ORDER + 1):
        index = head >> order
        kept = is_head(before, order, index) == is_head(after, order, index)
        same = same & implies(is_aligned(head, order), kept)
    return same


def assume_begun(zone: Zone, part: Range) -> None:
    """The loop's invariant wherever its next turn looks: at `at` and at `head`."""
    assume(part.start <= part.at)
    for page in (part.at, part.head):
        assume(disjoint_at(zone, page))
    assume(part.listed_right(zone))
    for size in range(MAX_ORDER + 1):
        here = is_aligned(part.at, size) & is_head(zone, size, part.at >> size)
        assume(implies(here, list_type(zone, size, part.at >> size) == part.was))


def kept(before: Zone, after: Zone, part: Range) -> bool:
    """The invariant after a turn that began with `before`: a block is free exactly if it was, so the same
    pages are, in one block each; and the free block at `head` stands on the list that `part` says."""
    return ghost_of(after).sound & same_heads(before, after, part.head) & part.listed_right(after)


def moved_pages(zone: Zone, moved: int, was: int, migratetype: int) -> bool:
    """Whether `moved` pages went from the list of `was` to that of `migratetype`, and nothing else changed
    lists."""
    ghost = ghost_of(zone)
    cma, highatomic = ghost.listed_typed
    return (
        (ghost.listed == gained(moved, was == ISOLATE, migratetype == ISOLATE))
        & (cma == gained(moved, migratetype == CMA, was == CMA))
        & (highatomic == gained(moved, migratetype == HIGHATOMIC, was == HIGHATOMIC))
    )


def gained(moved: int, joins: bool, leaves: bool) -> int:
    """By how much a list grows that `moved` pages join, or leave, or both."""
    return pages_if(joins, moved) - pages_if(leaves, moved)


def counters_follow(zone: Zone, generation: int) -> bool:
    """Since 6.10 the counters follow the lists at once; before, the caller counts."""
    if generation == 2:
        return counts_right(zone) & typed_right(zone)
    ghost = ghost_of(zone)
    return (ghost.nr_free == 0) & (ghost.nr_typed[0] == 0) & (ghost.nr_typed[1] == 0)


def pages_starting(zone: Zone, pfn: int) -> int:
    """Pages of the free block that starts at pfn, 0 if none does; forks."""
    order = free_order(zone, pfn)
    return 0 if order == NOTHING else 1 << order


# ---- a whole range, as the loop leaves it ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ranged(Ghost):
    """A twin of which a whole range is moved at once, in any way that the loop's invariant allows.

    then    the lists afterwards
    moved   the pages that change lists
    looked_at  the page at which the theorem looks for a block
    was     the list on which the free blocks of the range stand
    """

    then: Total = NO_BLOCKS
    moved: int = 0
    looked_at: int = 0
    was: int = 0


def ranged(zone: Zone) -> Ranged:
    """The twin behind a state."""
    return as_state(zone, Ranged)


def move_range(rules: Rules, zone: Zone, start: int, end: int, migratetype: int) -> tuple[Zone, int]:
    """Stands for move_freepages: what theorem alloc.movement.move-loop says of it."""
    ghost = ranged(zone)
    free, (cma, highatomic) = ghost.listed, ghost.listed_typed
    free = free + gained(ghost.moved, ghost.was == ISOLATE, migratetype == ISOLATE)
    cma = cma + gained(ghost.moved, migratetype == CMA, ghost.was == CMA)
    highatomic = highatomic + gained(ghost.moved, migratetype == HIGHATOMIC, ghost.was == HIGHATOMIC)
    after = replace(ghost, lists=ghost.then, listed=free, listed_typed=(cma, highatomic))
    if rules.place_moved is move_to_tail_counted:
        counted = (
            ghost.nr_typed[0] + cma - ghost.listed_typed[0],
            ghost.nr_typed[1] + highatomic - ghost.listed_typed[1],
        )
        after = replace(after, nr_free=ghost.nr_free + free - ghost.listed, nr_typed=counted)
    whole = Range(start, end, end, migratetype, ghost.looked_at, ghost.lists, ghost.was)
    assume(whole.listed_right(zone_of(after)))
    return zone_of(after), ghost.moved


def retag_block(rules: Rules, zone: Zone, pfn: int, migratetype: int) -> tuple[Zone, int]:
    """Stands for retag_moving: what theorem alloc.movement.retag-loop says of it."""
    start = (pfn >> rules.pageblock_order) << rules.pageblock_order
    zone = set_pageblock_type(zone, pfn, migratetype)
    return move_range(rules, zone, start, start + (1 << rules.pageblock_order), migratetype)


def put_unmerged(rules: Rules, zone: Zone, pfn: int, order: int, migratetype: int, to_tail: bool) -> Zone:
    """Stands for free_one_page: that a block merges changes neither which pages are free nor what is counted
    (theorems alloc.buddy.merge-step, alloc.count.merge-step)."""
    return put_counted(account(zone, 1 << order, migratetype), pfn, order, migratetype)


def type_changes_at(before: Zone, after: Zone, page: int, pfn: int, migratetype: int) -> bool:
    """The pageblock of pfn has the type now; that of any other page is as it was."""
    shift = ghost_of(before).pageblock_order
    same = page >> shift == pfn >> shift
    kind: int = ghost_of(after).types[page >> shift]
    old: int = ghost_of(before).types[page >> shift]
    return (same & (kind == migratetype)) | (no(same) & (kind == old))


SMALL_RANGE: Final[dict[str, Any]] = {
    **SMALL_STATE,
    "before": SMALL_STATE["lists"],
    "start": 7,
    "at": 7,
    "end": 8,
    "head": 7,
    "was": 0,
    "migratetype": 1,
    "moved": 0,
    "generation": 2,
}
"""A witness: one free page, about to be moved."""
