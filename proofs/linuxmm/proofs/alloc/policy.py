"""A theorem about every generation of the placement policy: isolated memory is never handed out."""

from collections.abc import Callable
from typing import Annotated, Any, Final

from linuxmm.model.alloc import freelist
from linuxmm.model.alloc.buddy import rmqueue_smallest
from linuxmm.model.alloc.fallback_claim import take_claim_then_steal, take_claiming_or_single
from linuxmm.model.alloc.fallback_largest import (
    _take_with_reserve,
    take_cma_before_fallback,
    take_cma_claiming_rest,
    take_cma_keeping_rest,
    take_cma_noting_list,
    take_cma_taking_rest,
    take_cma_then_largest,
    take_cma_then_largest_reserve,
    take_cma_then_largest_sparing_reserve,
    take_single_type,
    take_with_reserve,
    take_with_reserve_first_pageblock,
)
from linuxmm.model.alloc.fallback_steal import (
    steal_and_retry,
    steal_whole_pageblocks,
    take_balancing_then_stealing,
    take_stealing,
    take_stealing_largest,
)
from linuxmm.model.alloc.freelist import ISOLATE, NOTHING, Zone
from linuxmm.model.alloc.movement import find_fallback, take_cma
from linuxmm.model.alloc.request_2_4 import take_upper_end
from linuxmm.proofs.alloc.ghost import (
    ALL_UNMOVABLE,
    NO_BLOCKS,
    PRIMITIVES,
    Blocks,
    BlockTypes,
    Ghost,
    Page,
    PageblockTypes,
    ghost_of,
    rules_of,
    zone_of,
)
from linuxmm.proofs.domain import Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import theorem

NR_POLICIES: Final = 19


def only_isolated(zone: Zone, order: int, migratetype: int) -> int:
    """list_head of a zone in which only ISOLATE lists hold blocks: one at every order."""
    return ghost_of(zone).head if migratetype == ISOLATE else NOTHING


def free_pages_of_cma(zone: Zone) -> int:
    """nr_free_cma: as many as it takes for CMA to be tried first."""
    return 2


def free_pages_of_zone(zone: Zone) -> int:
    """nr_free_pages, with over half of them in CMA."""
    return 2


def untraced(
    zone: Zone, pfn: int, alloc_order: int, fallback_order: int, alloc_type: int, fallback_type: int
) -> Zone:
    """trace_extfrag: events are not part of the twin."""
    return zone


ONLY_ISOLATED: Final[dict[Callable[..., Any], Callable[..., Any]]] = {
    **PRIMITIVES,
    freelist.list_head: only_isolated,
    freelist.nr_free_cma: free_pages_of_cma,
    freelist.nr_free_pages: free_pages_of_zone,
    freelist.trace_extfrag: untraced,
}


@theorem(
    "alloc.policy.isolated-never-handed-out",
    "If only ISOLATE lists hold blocks, no placement policy of any era hands anything out, whatever the "
    "flags.",
    proves=(
        take_single_type,
        take_with_reserve_first_pageblock,
        take_with_reserve,
        take_cma_before_fallback,
        take_cma_keeping_rest,
        take_cma_noting_list,
        take_cma_claiming_rest,
        take_cma_taking_rest,
        take_cma_then_largest_reserve,
        take_cma_then_largest,
        take_cma_then_largest_sparing_reserve,
        take_stealing_largest,
        take_stealing,
        take_balancing_then_stealing,
        take_claiming_or_single,
        take_claim_then_steal,
        take_upper_end,
        steal_and_retry,
        steal_whole_pageblocks,
        find_fallback,
    ),
    clauses=(
        "alloc.list.isolated",
        "alloc.page.set-aside",
    ),
    features=("F016", "F038"),
    bounds="any memory size, orders 0, 3, 9 and 10, each mobility type, every set of flags, 2.4 to 6.12",
    primitives=ONLY_ISOLATED,
    witness={
        "free": NO_BLOCKS,
        "lists": ALL_UNMOVABLE,
        "types": ALL_UNMOVABLE,
        "pfn": 4,
        "order": 0,
        "migratetype": 1,
        "flags": 0x80,
        "policy": 14,
    },
    mutants=(
        Mutant(take_cma, "takes ISOLATE for CMA", "order, CMA)", "order, 4)"),
        Mutant(
            rmqueue_smallest, "looks at ISOLATE", "list_head(zone, at, migratetype)", "list_head(zone, at, 4)"
        ),
        Mutant(
            _take_with_reserve,
            "takes ISOLATE for RESERVE",
            "rmqueue_smallest(rules, zone, order, RESERVE)",
            "rmqueue_smallest(rules, zone, order, 4)",
        ),
    ),
)
def isolated_never_handed_out(
    free: Blocks,
    lists: BlockTypes,
    types: PageblockTypes,
    pfn: Page,
    order: Annotated[int, each((0, 3, 9, 10))],
    migratetype: Annotated[int, each(range(3))],
    flags: Annotated[int, Word(16)],
    policy: Annotated[int, each(range(NR_POLICIES))],
) -> bool:
    zone = zone_of(Ghost(free, lists, types, NO_BLOCKS, 9, head=pfn))
    take = (
        take_single_type,
        take_with_reserve_first_pageblock,
        take_with_reserve,
        take_cma_before_fallback,
        take_cma_keeping_rest,
        take_cma_noting_list,
        take_cma_claiming_rest,
        take_cma_taking_rest,
        take_cma_then_largest_reserve,
        take_cma_then_largest,
        take_cma_then_largest_sparing_reserve,
        take_stealing_largest,
        take_stealing,
        take_balancing_then_stealing,
        take_claiming_or_single,
        take_claim_then_steal,
        take_upper_end,
        take_stealing,
        take_balancing_then_stealing,
    )[policy]
    steal = steal_whole_pageblocks if policy >= 17 else steal_and_retry
    rules = rules_of(4 if policy in (14, 15) else 3, 9)._replace(steal=steal)
    return take(rules, zone, order, migratetype, flags, 0)[1] == NOTHING
