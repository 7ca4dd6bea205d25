"""A zone of any size as unknown maps, behind the primitives of `linuxmm.model.alloc.freelist`.

A block is (order, index) and covers the pages index << order to (index + 1 << order) - 1.  The invariants
are stated at one page, so a theorem about an arbitrary page is a theorem about all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, NamedTuple, Protocol, Self

from linuxmm.model.alloc import freelist
from linuxmm.model.alloc.buddy import (
    absorb_any,
    absorb_below_isolated,
    absorb_keeping_types,
    absorb_mergeable,
    absorb_not_across_isolated,
    absorb_retagging,
    account_done_already,
    account_removed_at_once,
    account_removed_later,
    account_taken_done,
    merges_alike,
    merges_alike_unless_isolated,
    never_to_tail,
)
from linuxmm.model.alloc.fallback_largest import take_single_type
from linuxmm.model.alloc.freelist import ISOLATE, NOTHING, Zone
from linuxmm.model.alloc.isolate import make_movable_tag, putback_to_tail
from linuxmm.model.alloc.pcp import drained_type_noted, drained_type_of_pageblock
from linuxmm.model.alloc.rules import Rules
from linuxmm.proofs.domain import MapOf, Table, Truth, Word, each
from linuxmm.proofs.sym import as_state
from linuxmm.proofs.theorem import implies, join, no
from linuxmm.spec.alloc.buddy import block_contains, is_aligned, types_may_merge
from linuxmm.spec.alloc.pcp import index_two_huge_lists, order_of_index, order_zero_only

MAX_ORDER: Final = 10
PFN_BITS: Final = 52
BLOCKS: Final = "QF_UFBV"
"""The logic in which z3 settles questions about maps of blocks best."""
ANY_MEMORY: Final = "any memory size (52-bit pfns), orders 0 to 10, pageblocks of order 9 and 10"


NO_BLOCKS: Final = Table(False)


class Total(Protocol):
    """A total map of blocks or pageblocks: symbolic (`SymMap`) or concrete (`Table`)."""

    def __getitem__(self, key: Any) -> Any:
        """The value at a key."""

    def set(self, key: Any, value: Any) -> Self:
        """The map with another value at a key."""


@dataclass(frozen=True, slots=True)
class Ghost:
    """The twin of a Zone.

    free     (order, index) -> is the block on a free list
    lists    (order, index) -> the migratetype of its list
    types    index of a pageblock -> its migratetype
    cached   (order, index) -> is the block on a CPU's list
    apart    (type, type) -> may free buddies of these pageblock types stay apart, in ANY_ERA
    head     the block that the list in question hands out or gives back next, NOTHING when it is empty
    span     first pfn of the zone and the first behind it
    nr_free  by how much NR_FREE_PAGES changed so far
    listed   by how much the pages on lists other than ISOLATE changed so far (COUNTED only)
    nr_typed, listed_typed   the same of CMA and of HIGHATOMIC
    sound    whether every primitive so far was used as it requires
    """

    free: Total
    lists: Total
    types: Total
    cached: Total
    pageblock_order: int
    apart: Total = NO_BLOCKS
    head: int = -1
    head_order: int = 0
    head_type: int = 0
    nr_isolated: int = 0
    span: tuple[int, int] = (0, 1 << PFN_BITS)
    nr_free: int = 0
    listed: int = 0
    nr_typed: tuple[int, int] = (0, 0)
    listed_typed: tuple[int, int] = (0, 0)
    sound: bool = True


Blocks = Annotated[Total, MapOf((Word(8), Word(64)), Truth())]
BlockTypes = Annotated[Total, MapOf((Word(8), Word(64)), Word(8, below=8), 0)]
Relation = Annotated[Total, MapOf((Word(8), Word(8)), Truth())]
PageblockTypes = Annotated[Total, MapOf((Word(64),), Word(8, below=8), 0)]
Page = Annotated[int, Word(64, below=1 << PFN_BITS)]
AnyType = Annotated[int, Word(8, below=8)]
AnyOrder = Annotated[int, each(range(MAX_ORDER + 1))]


class Case(NamedTuple):
    """Order of the block in hand, era (index into ERAS), and order of a pageblock."""

    order: int
    era: int
    pageblock_order: int


ANY_ERA: Final = 5
"""Whatever the rule for pageblocks: blocks below a pageblock never ask it."""

CASES: Final = tuple(
    [Case(order, era, 9) for order in (9, 10) for era in range(5)]
    + [Case(order, ANY_ERA, 9) for order in range(9)]
    + [Case(order, ANY_ERA, 10) for order in range(MAX_ORDER + 1)]
)

AnyCase = Annotated[Case, each(CASES)]


def zone_of(ghost: Ghost) -> Zone:
    """The twin, typed as the state that the model's functions take."""
    return as_state(ghost, Zone)


def ghost_of(zone: Zone) -> Ghost:
    """The twin behind a state that the model's functions returned."""
    return as_state(zone, Ghost)


# ---- the rules of each era -------------------------------------------------------------------------------

ERAS: Final = ("2.4 to 3.17", "3.18 to 4.5", "4.6 to 5.17", "5.18 to 6.9", "6.10 to 6.12")


def rules_of(era: int, pageblock_order: int) -> Rules:
    """How merging, placing and counting worked in one of ERAS; every other rule refuses to be called.

    In ANY_ERA the rule for merging across pageblocks refuses too.
    """
    fields: dict[str, Any] = dict.fromkeys(Rules._fields, _unused)
    may_absorb = (
        absorb_any,
        absorb_below_isolated,
        absorb_not_across_isolated,
        absorb_mergeable,
        absorb_mergeable,
        _unused,
    )[era]
    alike = _unused if era == ANY_ERA else merges_alike_unless_isolated if era == 1 else merges_alike
    fields.update(
        max_order=MAX_ORDER,
        pageblock_order=pageblock_order,
        grouping_disabled=False,
        cma=True,
        nr_pcp_lists=14,
        may_absorb=may_absorb,
        merges_alike=alike,
        putback_to_tail=putback_to_tail,
        absorb=absorb_retagging if era == 4 else absorb_keeping_types,
        wants_tail=never_to_tail,
        account_removed=account_removed_at_once if era == 4 else account_removed_later,
        account_taken=account_taken_done,
        account_done=account_done_already,
        take=take_single_type,
        make_movable=make_movable_tag,
        drained_type=drained_type_of_pageblock if era == 4 else drained_type_noted,
        pcp_index=index_two_huge_lists,
        pcp_order=order_of_index,
        pcp_allowed=order_zero_only,
    )
    return Rules(**fields)


def _unused(*arguments: object) -> object:
    raise NotImplementedError("a rule that this theorem does not cover")


def may_stay_apart(era: int, one: int, other: int) -> bool:
    """The named exceptions: pageblocks of which types two free buddies of at least a pageblock may have."""
    if era == 0:
        return False
    if era == 1:
        return (one == ISOLATE) | (other == ISOLATE)
    if era == 2:
        return no((one == ISOLATE) == (other == ISOLATE))
    return no(join(types_may_merge, one, other))


# ---- invariants at one page ------------------------------------------------------------------------------


ALL_UNMOVABLE: Final = Table(0)
SMALL_STATE: Final[dict[str, Any]] = {
    "free": Table(False, (((0, 7), True),)),
    "lists": ALL_UNMOVABLE,
    "types": ALL_UNMOVABLE,
}
"""A witness: one free page, everything UNMOVABLE."""


def is_head(zone: Zone, order: int, index: int) -> bool:
    """Whether the block is on a free list."""
    on_list: bool = ghost_of(zone).free[order, index]
    return on_list


def list_type(zone: Zone, order: int, index: int) -> int:
    """The migratetype of the list that a free block stands on."""
    kind: int = ghost_of(zone).lists[order, index]
    return kind


def is_free(zone: Zone, page: int) -> bool:
    """Whether some free block covers the page."""
    free, found = ghost_of(zone).free, False
    for order in range(MAX_ORDER + 1):
        found = found | free[order, page >> order]
    return found


def owned_at(zone: Zone, page: int) -> bool:
    """Whether the page is neither free nor on a CPU's list."""
    return no(is_free(zone, page) | is_cached(zone, page))


def partition_at(zone: Zone, page: int) -> bool:
    """The page is in at most one free block and at most one cached block, and not in one of each."""
    cached, seen, good = ghost_of(zone).cached, False, disjoint_at(zone, page)
    for order in range(MAX_ORDER + 1):
        covered = cached[order, page >> order]
        good = good & no(covered & seen)
        seen = seen | covered
    return good & no(seen & is_free(zone, page))


def is_cached(zone: Zone, page: int) -> bool:
    """Whether some block on a CPU's list covers the page."""
    cached, found = ghost_of(zone).cached, False
    for order in range(MAX_ORDER + 1):
        found = found | cached[order, page >> order]
    return found


def disjoint_at(zone: Zone, page: int) -> bool:
    """At most one free block covers the page."""
    free, seen, good = ghost_of(zone).free, False, True
    for order in range(MAX_ORDER + 1):
        covered = free[order, page >> order]
        good = good & no(covered & seen)
        seen = seen | covered
    return good


def coalesced_at(zone: Zone, page: int, era: int) -> bool:
    """No free block over the page has a free buddy, but for the exceptions of the era."""
    ghost, good = ghost_of(zone), True
    for order in range(MAX_ORDER):
        index = page >> order
        both = ghost.free[order, index] & ghost.free[order, index ^ 1]
        if order >= ghost.pageblock_order:
            shift = order - ghost.pageblock_order
            one, other = ghost.types[index << shift], ghost.types[(index ^ 1) << shift]
            apart = ghost.apart[one, other] if era == ANY_ERA else may_stay_apart(era, one, other)
            both = both & no(apart)
        good = good & no(both)
    return good


def invariant_at(zone: Zone, page: int, era: int) -> bool:
    """Both of the above."""
    return disjoint_at(zone, page) & coalesced_at(zone, page, era)


def outside_at(zone: Zone, pfn: int, order: int, page: int) -> bool:
    """If the page lies in the block in hand, no free block covers it."""
    return no(block_contains(pfn, order, page) & is_free(zone, page))


def isolation_counted_at(zone: Zone, page: int) -> bool:
    """With no isolated pageblock counted, the page's is not isolated."""
    ghost = ghost_of(zone)
    return implies(ghost.nr_isolated == 0, no(ghost.types[page >> ghost.pageblock_order] == ISOLATE))


# ---- the primitives --------------------------------------------------------------------------------------


def is_free_block(zone: Zone, pfn: int, order: int) -> bool:
    return is_aligned(pfn, order) & is_head(zone, order, pfn >> order)


def free_list_of(zone: Zone, pfn: int) -> int:
    """The theorem says of which order the block at pfn is."""
    ghost = ghost_of(zone)
    kind: int = ghost.lists[ghost.head_order, pfn >> ghost.head_order]
    return kind


def pageblock_type(zone: Zone, pfn: int) -> int:
    ghost = ghost_of(zone)
    kind: int = ghost.types[pfn >> ghost.pageblock_order]
    return kind


def has_isolated(zone: Zone) -> bool:
    return no(ghost_of(zone).nr_isolated == 0)


def put_block(zone: Zone, pfn: int, order: int, migratetype: int) -> Zone:
    """add_head and add_tail: the place on the list is not part of the twin."""
    ghost, at = ghost_of(zone), (order, pfn >> order)
    return zone_of(
        replace(
            ghost,
            free=ghost.free.set(at, True),
            lists=ghost.lists.set(at, migratetype),
            sound=ghost.sound & is_aligned(pfn, order) & no(ghost.free[at]),
        )
    )


def remove(zone: Zone, pfn: int, order: int) -> Zone:
    ghost, at = ghost_of(zone), (order, pfn >> order)
    return zone_of(
        replace(ghost, free=ghost.free.set(at, False), sound=ghost.sound & is_free_block(zone, pfn, order))
    )


def set_pageblock_type(zone: Zone, pfn: int, migratetype: int) -> Zone:
    ghost = ghost_of(zone)
    return zone_of(replace(ghost, types=ghost.types.set(pfn >> ghost.pageblock_order, migratetype)))


def list_head(zone: Zone, order: int, migratetype: int) -> int:
    """One list has a head, chosen by the theorem; the others are empty or not looked at."""
    ghost = ghost_of(zone)
    if order == ghost.head_order and migratetype == ghost.head_type:
        return ghost.head
    return NOTHING


def uncounted(zone: Zone, pages: int, migratetype: int) -> Zone:
    """account: the counters are not part of the twin."""
    return zone


def trace_zone_locked(zone: Zone, pfn: int, order: int, migratetype: int, percpu_refill: bool) -> Zone:
    return zone


def trace_pcpu_drain(zone: Zone, pfn: int, order: int, migratetype: int) -> Zone:
    return zone


def pcp_tail(zone: Zone, cpu: int, index: int) -> int:
    return ghost_of(zone).head


def pcp_head(zone: Zone, cpu: int, index: int) -> int:
    return ghost_of(zone).head


def cached_type(zone: Zone, pfn: int) -> int:
    return ghost_of(zone).head_type


def pcp_remove(zone: Zone, cpu: int, index: int, pfn: int) -> Zone:
    ghost, at = ghost_of(zone), (ghost_of(zone).head_order, pfn >> ghost_of(zone).head_order)
    return zone_of(replace(ghost, cached=ghost.cached.set(at, False), sound=ghost.sound & ghost.cached[at]))


def pcp_add(zone: Zone, cpu: int, index: int, pfn: int, order: int, migratetype: int) -> Zone:
    ghost, at = ghost_of(zone), (order, pfn >> order)
    return zone_of(
        replace(
            ghost,
            cached=ghost.cached.set(at, True),
            sound=ghost.sound & is_aligned(pfn, order) & no(ghost.cached[at]),
        )
    )


PRIMITIVES: Final[dict[Callable[..., Any], Callable[..., Any]]] = {
    freelist.is_free_block: is_free_block,
    freelist.pageblock_type: pageblock_type,
    freelist.has_isolated: has_isolated,
    freelist.add_head: put_block,
    freelist.add_tail: put_block,
    freelist.remove: remove,
    freelist.set_pageblock_type: set_pageblock_type,
    freelist.list_head: list_head,
    freelist.account: uncounted,
    freelist.trace_zone_locked: trace_zone_locked,
    freelist.trace_pcpu_drain: trace_pcpu_drain,
    freelist.free_list_of: free_list_of,
    freelist.pcp_tail: pcp_tail,
    freelist.pcp_head: pcp_head,
    freelist.cached_type: cached_type,
    freelist.pcp_remove: pcp_remove,
    freelist.pcp_add_head: pcp_add,
    freelist.pcp_add_tail: pcp_add,
}
