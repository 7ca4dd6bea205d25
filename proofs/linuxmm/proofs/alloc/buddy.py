"""Theorems about the formulas of the buddy system."""

from typing import Annotated

from linuxmm.proofs.domain import Integer, Word
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
    "The buddy of a block's buddy is the block; both are aligned, differ, and together make the merged "
    "block.",
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
        Mutant(
            types_may_merge,
            "looks at the first type only",
            "and migratetype_is_mergeable(buddy_migratetype)",
            "",
        ),
        Mutant(types_may_merge, "wants different types", "migratetype == buddy_migratetype", "False"),
    ),
)
def may_merge(one: Small, other: Small) -> bool:
    together = types_may_merge(one, other)
    return (
        (together == types_may_merge(other, one))
        & types_may_merge(one, one)
        & implies(no(one == other) & (one >= 3), no(together))
    )
