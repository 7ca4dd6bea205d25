"""Theorems about requests: what ALLOC_NOFRAGMENT and the watermark's short cut may change."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from linuxmm.model.alloc import freelist
from linuxmm.model.alloc.freelist import NOTHING, Zone
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.request import get_page_from_freelist, try_zones
from linuxmm.model.alloc.rules import Rules
from linuxmm.model.alloc.watermark import has_usable_block, watermark_ok_any_block
from linuxmm.proofs.alloc.ghost import PRIMITIVES, Total, rules_of
from linuxmm.proofs.domain import Integer, MapOf, Table, Truth, Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.sym import as_state
from linuxmm.proofs.theorem import assume, implies, join, theorem
from linuxmm.spec.alloc.gfp import ALLOC_NOFRAGMENT
from linuxmm.spec.alloc.request import Request
from linuxmm.spec.alloc.watermark import (
    above_mark,
    counts_highatomic_flag,
    counts_highatomic_harder,
    mark_after_reserves_harder,
    mark_after_reserves_min_reserve,
    unusable_free_v2,
    unusable_free_v3,
)

Flags = Annotated[int, Word(16)]
Pages = Annotated[int, Integer(least=0)]


@dataclass(frozen=True, slots=True)
class Passes:
    """Stands for a machine: what one pass over the zonelist answers, as an unknown function of the flags.

    found  flags -> does the pass find a block
    block  flags -> its pfn
    """

    found: Total
    block: Total


def any_pass(
    rules: Rules, machine: Machine, request: Request, flags: int, spread_dirty: bool
) -> tuple[Machine, int, int]:
    """Stands for try_zones: anything that depends on the flags alone."""
    passes = as_state(machine, Passes)
    if passes.found[flags]:
        return machine, passes.block[flags], 0
    return machine, NOTHING, NOTHING


@theorem(
    "alloc.nofragment.same-success",
    "ALLOC_NOFRAGMENT never changes whether a request succeeds, only where: it succeeds with the flag "
    "exactly if it does "
    "without, given that a pass that succeeds with the flag would without.",
    proves=(get_page_from_freelist,),
    features=("F018", "F029", "F030"),
    bounds="every set of flags, any behaviour of a pass over the zonelist that fails without side effects",
    primitives={**PRIMITIVES, try_zones: any_pass},
    witness={"found": Table(False), "block": Table(0), "flags": 0, "spread": False},
    mutants=(
        Mutant(get_page_from_freelist, "does not try again", "if pfn == NOTHING and ", "if False and "),
        Mutant(get_page_from_freelist, "tries again with the flag", "flags & ~ALLOC_NOFRAGMENT", "flags"),
        Mutant(get_page_from_freelist, "tries again without any flag", "flags & ~ALLOC_NOFRAGMENT", "0"),
    ),
)
def same_success(
    found: Annotated[Total, MapOf((Word(16),), Truth())],
    block: Annotated[Total, MapOf((Word(16),), Word(64), 0)],
    flags: Flags,
    spread: Annotated[bool, Truth()],
) -> bool:
    assume(flags & ALLOC_NOFRAGMENT == 0)
    assume(implies(found[flags | ALLOC_NOFRAGMENT], found[flags]))
    machine, request = as_state(Passes(found, block), Machine), as_state(None, Request)
    rules = rules_of(4, 9)
    without = get_page_from_freelist(rules, machine, request, flags, spread)[1]
    with_flag = get_page_from_freelist(rules, machine, request, flags | ALLOC_NOFRAGMENT, spread)[1]
    return (without == NOTHING) == (with_flag == NOTHING)


@dataclass(frozen=True, slots=True)
class Counted:
    """Stands for a zone in the watermark test.

    empty  (order, migratetype) -> is the list empty
    """

    empty: Total
    cma: int
    highatomic: int
    reserve: int


def list_head(zone: Zone, order: int, migratetype: int) -> int:
    return NOTHING if as_state(zone, Counted).empty[order, migratetype] else 0


def nr_free_cma(zone: Zone) -> int:
    return as_state(zone, Counted).cma


def highatomic_pages(zone: Zone) -> int:
    return as_state(zone, Counted).highatomic


def lowmem_reserve_of(zone: Zone, class_index: int) -> int:
    return as_state(zone, Counted).reserve


COUNTS: Final[dict[Callable[..., Any], Callable[..., Any]]] = {
    **PRIMITIVES,
    freelist.list_head: list_head,
    freelist.nr_free_cma: nr_free_cma,
    freelist.lowmem_reserve_of: lowmem_reserve_of,
}
Lists = Annotated[Total, MapOf((Word(8), Word(8)), Truth())]


def rules_with_test(since_6_3: bool) -> Rules:
    """The rules of the watermark test before and since 6.3."""
    if since_6_3:
        return rules_of(4, 9)._replace(
            mark_after_reserves=mark_after_reserves_min_reserve,
            unusable_free=unusable_free_v3,
            counts_highatomic=counts_highatomic_flag,
            highatomic_pages=highatomic_pages,
        )
    return rules_of(3, 9)._replace(
        mark_after_reserves=mark_after_reserves_harder,
        unusable_free=unusable_free_v2,
        counts_highatomic=counts_highatomic_harder,
        highatomic_pages=highatomic_pages,
    )


@theorem(
    "alloc.watermark.whole-test-relaxes",
    "Whatever passes the whole watermark test, free blocks included, passes it with more flags and with "
    "more free pages.",
    proves=(watermark_ok_any_block, has_usable_block),
    features=("F013", "F017"),
    bounds="any memory size, orders 0, 9 and 10, every subset of flags, rules of 4.4 to 6.2 and since 6.3",
    primitives=COUNTS,
    witness={
        "empty": Table(False),
        "cma": 0,
        "highatomic": 0,
        "reserve": 0,
        "order": 9,
        "mark": 10,
        "free": 10000,
        "more": 5,
        "fewer": 0,
        "flags": 0x20,
        "since_6_3": True,
    },
    mutants=(
        Mutant(
            has_usable_block,
            "counts CMA only if it is forbidden",
            "if flags & ALLOC_CMA and",
            "if not flags & ALLOC_CMA and",
        ),
        Mutant(watermark_ok_any_block, "wants less than the mark", "if not above_mark", "if above_mark"),
    ),
)
def whole_test_relaxes(
    empty: Lists,
    cma: Pages,
    highatomic: Pages,
    reserve: Pages,
    order: Annotated[int, each((0, 9, 10))],
    mark: Pages,
    free: Pages,
    more: Pages,
    fewer: Flags,
    flags: Flags,
    since_6_3: Annotated[bool, each((False, True))],
) -> bool:
    assume(fewer & flags == fewer)
    zone = as_state(Counted(empty, cma, highatomic, reserve), Zone)
    rules = rules_with_test(since_6_3)
    strict = join(watermark_ok_any_block, rules, zone, order, mark, 0, fewer, free)
    relaxed = join(watermark_ok_any_block, rules, zone, order, mark, 0, flags, free + more)
    return implies(strict, relaxed)


@theorem(
    "alloc.watermark.fast-agrees",
    "The short cut for single pages accepts only what the whole watermark test accepts.",
    proves=(watermark_ok_any_block, above_mark),
    features=("F014", "F017"),
    bounds="any memory size, every set of flags, rules of 4.4 to 6.2 and since 6.3",
    primitives=COUNTS,
    witness={
        "empty": Table(False),
        "cma": 0,
        "highatomic": 0,
        "reserve": 0,
        "mark": 10,
        "free": 100,
        "flags": 0,
        "since_6_3": True,
    },
    mutants=(
        Mutant(
            watermark_ok_any_block, "wants a block for single pages too", "if order == 0:", "if order == 1:"
        ),
        Mutant(mark_after_reserves_min_reserve, "raises the mark", "mark -= mark // 4", "mark += 2 * mark"),
    ),
)
def fast_agrees(
    empty: Lists,
    cma: Pages,
    highatomic: Pages,
    reserve: Pages,
    mark: Pages,
    free: Pages,
    flags: Flags,
    since_6_3: Annotated[bool, each((False, True))],
) -> bool:
    zone = as_state(Counted(empty, cma, highatomic, reserve), Zone)
    rules = rules_with_test(since_6_3)
    usable = free - rules.unusable_free(0, flags, highatomic, cma)
    assume(above_mark(usable, mark, reserve))
    return watermark_ok_any_block(rules, zone, 0, mark, 0, flags, free)


@theorem(
    "alloc.nofragment.same-test",
    "The whole watermark test, free blocks included, does not look at ALLOC_NOFRAGMENT: a zone passes with "
    "the flag exactly if it does without.",
    proves=(watermark_ok_any_block, has_usable_block),
    features=("F017", "F018", "F029"),
    bounds="any memory size, orders 0 and 9, every set of flags, rules of 4.4 to 6.2 and since 6.3",
    primitives=COUNTS,
    witness={
        "empty": Table(False),
        "cma": 0,
        "highatomic": 0,
        "reserve": 0,
        "order": 9,
        "mark": 10,
        "free": 10000,
        "flags": 0,
        "since_6_3": True,
    },
    mutants=(
        Mutant(has_usable_block, "takes the flag for CMA", "if flags & ALLOC_CMA", "if flags & 0x100"),
        Mutant(watermark_ok_any_block, "needs no block with the flag", "if order == 0:", "if flags & 0x100:"),
    ),
)
def same_test(
    empty: Lists,
    cma: Pages,
    highatomic: Pages,
    reserve: Pages,
    order: Annotated[int, each((0, 9))],
    mark: Pages,
    free: Pages,
    flags: Flags,
    since_6_3: Annotated[bool, each((False, True))],
) -> bool:
    assume(flags & ALLOC_NOFRAGMENT == 0)
    zone, rules = as_state(Counted(empty, cma, highatomic, reserve), Zone), rules_with_test(since_6_3)
    without = join(watermark_ok_any_block, rules, zone, order, mark, 0, flags, free)
    with_flag = join(watermark_ok_any_block, rules, zone, order, mark, 0, flags | ALLOC_NOFRAGMENT, free)
    return without == with_flag
