"""Theorems about placement: where a request may fall back to, and when a pageblock changes hands."""

from typing import Annotated

from linuxmm.proofs.domain import Integer, Truth, Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, no, theorem
from linuxmm.spec.alloc.gfp import gfp_migratetype, gfp_zone_flags_valid, gfp_zone_highest
from linuxmm.spec.alloc.migratetype import (
    alike_pages_by_mobility,
    alike_pages_ignored,
    claims_block_large_or_reclaimable,
    claims_block_unless_small_movable,
    enough_to_retag,
    fallback_type,
    list_may_serve,
    mobility_grouping_disabled,
)

Pages = Annotated[int, Integer(least=0)]
Kind = Annotated[int, Integer(least=0, below=8)]
Mobility = Annotated[int, Integer(least=0, below=3)]
Block = Annotated[int, each((512, 1024))]
GfpWord = Annotated[int, Word(32)]


@theorem(
    "alloc.migratetype.fallbacks",
    "A fallback is another mobility type, never ISOLATE, CMA or HIGHATOMIC; the two attempts differ, a "
    "third has none.",
    proves=(fallback_type,),
    clauses=("alloc.fallback.type",),
    features=("F016",),
    bounds="every migratetype",
    witness={"kind": 1, "attempt": 0},
    mutants=(
        Mutant(fallback_type, "UNMOVABLE falls back to itself", "return _RECLAIMABLE", "return _UNMOVABLE"),
        Mutant(fallback_type, "tries the same type twice", "return _MOVABLE", "return _RECLAIMABLE"),
    ),
)
def fallbacks(kind: Kind, attempt: Annotated[int, Integer(least=0, below=4)]) -> bool:
    first, second, here = fallback_type(kind, 0), fallback_type(kind, 1), fallback_type(kind, attempt)
    return (
        no(here == kind)
        & (here < 3)
        & implies(attempt >= 2, here == -1)
        & implies(kind < 3, (first >= 0) & (second >= 0) & no(first == second))
        & implies(kind >= 3, (first == -1) & (second == -1))
    )


@theorem(
    "alloc.migratetype.claims-grow",
    "Whatever let a fallback claim a pageblock up to 3.19 still does from 4.0 on, and a larger block does "
    "too.",
    proves=(claims_block_large_or_reclaimable, claims_block_unless_small_movable),
    features=("F016",),
    bounds="every order, migratetype and pageblock order",
    witness={"order": 9, "more": 1, "kind": 1, "pageblock_order": 9, "disabled": False},
    mutants=(
        Mutant(claims_block_unless_small_movable, "forgets RECLAIMABLE", "or start_type == _RECLAIMABLE", ""),
        Mutant(claims_block_large_or_reclaimable, "claims small blocks only", "order >= ", "order < "),
    ),
)
def claims_grow(
    order: Pages,
    more: Pages,
    kind: Mobility,
    pageblock_order: Pages,
    disabled: Annotated[bool, Truth()],
) -> bool:
    old = claims_block_large_or_reclaimable(order, kind, pageblock_order, disabled)
    new = claims_block_unless_small_movable(order, kind, pageblock_order, disabled)
    larger = claims_block_large_or_reclaimable(order + more, kind, pageblock_order, disabled)
    return implies(old, new) & implies(old, larger)


@theorem(
    "alloc.migratetype.alike-bounded",
    "The pages of a block that count as compatible are among those in use.",
    proves=(alike_pages_by_mobility, alike_pages_ignored),
    features=("F016",),
    bounds="any pageblock size, any mixture of free and movable pages",
    witness={"start": 0, "other": 1, "block": 512, "free": 100, "movable": 200},
    mutants=(
        Mutant(
            alike_pages_by_mobility,
            "counts the whole block",
            "return pageblock_nr_pages - (free_pages + movable_pages)",
            "return pageblock_nr_pages",
        ),
        Mutant(
            alike_pages_by_mobility,
            "counts free pages again",
            "return movable_pages",
            "return movable_pages + free_pages",
        ),
    ),
)
def alike_bounded(start: Kind, other: Kind, block: Pages, free: Pages, movable: Pages) -> bool:
    assume(free + movable <= block)
    alike = alike_pages_by_mobility(start, other, block, free, movable)
    return (
        (alike >= 0)
        & (alike <= block - free)
        & (alike_pages_ignored(start, other, block, free, movable) <= alike)
    )


@theorem(
    "alloc.migratetype.retag-monotone",
    "A pageblock that changes its type would also do so with more free or compatible pages; half of it "
    "suffices.",
    proves=(enough_to_retag,),
    features=("F016",),
    bounds="pageblocks of 512 and 1024 pages",
    witness={"free": 300, "alike": 10, "more": 1, "block": 512, "disabled": False},
    mutants=(
        Mutant(
            enough_to_retag,
            "wants less than half",
            "free_pages + alike_pages >= ",
            "free_pages + alike_pages < ",
        ),
        Mutant(
            enough_to_retag,
            "subtracts compatible pages",
            "free_pages + alike_pages",
            "free_pages - alike_pages",
        ),
        Mutant(enough_to_retag, "wants the whole block", "pageblock_nr_pages >> 1", "pageblock_nr_pages"),
    ),
)
def retag_monotone(
    free: Pages, alike: Pages, more: Pages, block: Block, disabled: Annotated[bool, Truth()]
) -> bool:
    enough = enough_to_retag(free, alike, block, disabled)
    return (
        implies(enough, enough_to_retag(free + more, alike, block, disabled))
        & implies(enough, enough_to_retag(free, alike + more, block, disabled))
        & implies(2 * (free + alike) >= block, enough)
        & implies(no(disabled) & (2 * (free + alike) < block), no(enough))
    )


@theorem(
    "alloc.migratetype.isolated-never-served",
    "An ISOLATE list serves nobody, a CMA list only who may use CMA, the HIGHATOMIC list only who may use "
    "that reserve.",
    proves=(list_may_serve,),
    clauses=("alloc.page.set-aside",),
    features=("F016", "F038"),
    bounds="every migratetype",
    witness={"listed": 5, "kind": 1, "cma": True, "highatomic": False},
    mutants=(
        Mutant(
            list_may_serve,
            "counts ISOLATE as a mobility type",
            "list_type < MIGRATE_PCPTYPES",
            "list_type <= 4",
        ),
        Mutant(list_may_serve, "mixes up the reserves", "return cma_allowed", "return highatomic_allowed"),
    ),
)
def isolated_never_served(
    listed: Kind,
    kind: Mobility,
    cma: Annotated[bool, Truth()],
    highatomic: Annotated[bool, Truth()],
) -> bool:
    serves = list_may_serve(listed, kind, cma, highatomic)
    return (
        implies(serves, no(listed == 4))
        & implies((listed == 5) & serves, cma)
        & implies((listed == 3) & serves, highatomic)
        & implies(listed < 3, serves)
    )


@theorem(
    "alloc.migratetype.small-machine",
    "Grouping by mobility is off only below one pageblock per migratetype, and stays on when memory is "
    "added.",
    proves=(mobility_grouping_disabled,),
    features=("F016",),
    bounds="any memory size, pageblocks of 512 and 1024 pages, 1 to 8 migratetypes",
    witness={"pages": 100, "more": 1, "block": 512, "kinds": 5},
    mutants=(
        Mutant(mobility_grouping_disabled, "turns the test round", "<", ">"),
        Mutant(
            mobility_grouping_disabled, "counts one type more", "* nr_migratetypes", "* (nr_migratetypes + 1)"
        ),
    ),
)
def small_machine(pages: Pages, more: Pages, block: Block, kinds: Annotated[int, each(range(1, 9))]) -> bool:
    off = mobility_grouping_disabled(pages, block, kinds)
    return implies(no(off), no(mobility_grouping_disabled(pages + more, block, kinds))) & (
        off == (pages // block < kinds)
    )


@theorem(
    "alloc.gfp.zone",
    "With valid flags the highest zone is the class that is asked for, MOVABLE needs both flags, the "
    "default is NORMAL.",
    proves=(gfp_zone_highest, gfp_zone_flags_valid),
    features=("F003",),
    bounds="every 32-bit GFP word",
    witness={"gfp": 0x1},
    mutants=(
        Mutant(gfp_zone_highest, "ignores DMA", "if gfp & GFP_DMA_BIT", "if gfp & 0"),
        Mutant(gfp_zone_highest, "takes HIGHMEM for MOVABLE", "4 if gfp & GFP_MOVABLE_BIT else 3", "4"),
        Mutant(gfp_zone_flags_valid, "allows two classes", "classes <= 1", "classes <= 2"),
    ),
)
def gfp_zone(gfp: GfpWord) -> bool:
    assume(gfp_zone_flags_valid(gfp))
    zone = gfp_zone_highest(gfp)
    dma, high, dma32, movable = gfp & 1 == 1, gfp & 2 == 2, gfp & 4 == 4, gfp & 8 == 8
    return (
        (zone >= 0)
        & ((zone == 0) == dma)
        & ((zone == 1) == dma32)
        & ((zone == 4) == (high & movable))
        & ((zone == 3) == (high & no(movable)))
    )


@theorem(
    "alloc.gfp.migratetype",
    "A request states exactly one mobility, from the bits MOVABLE and RECLAIMABLE and nothing else.",
    proves=(gfp_migratetype,),
    features=("F016",),
    bounds="every 32-bit GFP word",
    witness={"gfp": 0x8, "noise": 0x1},
    mutants=(
        Mutant(gfp_migratetype, "shifts once too little", ">> 3", ">> 2"),
        Mutant(gfp_migratetype, "looks at every bit", "gfp & GFP_MOVABLE_MASK", "gfp"),
    ),
)
def migratetype_of_gfp(gfp: GfpWord, noise: GfpWord) -> bool:
    assume(no((gfp & 0x8 != 0) & (gfp & 0x10 != 0)))
    kind = gfp_migratetype(gfp)
    return (
        (kind < 3)
        & ((kind == 1) == (gfp & 0x8 == 0x8))
        & ((kind == 2) == (gfp & 0x10 == 0x10))
        & (kind == gfp_migratetype((gfp & 0x18) | (noise & 0xFFFFFFE7)))
    )
