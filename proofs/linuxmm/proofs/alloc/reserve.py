"""A theorem about the high-order atomic reserve: its counter is the size of the pageblocks that are of it.

The zone's twin knows the pageblock at hand, or the run of pageblocks of a larger block, and how many
pageblocks are reserved; where free pages move to is of other theorems.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from linuxmm.model.alloc import buddy, freelist, movement
from linuxmm.model.alloc.freelist import HIGHATOMIC, Zone
from linuxmm.model.alloc.rules import Rules
from linuxmm.model.alloc.unreserve import _count_out, unreserve_block, unreserve_whole
from linuxmm.model.alloc.watermark import reserve_highatomic_block, reserve_highatomic_whole
from linuxmm.proofs.alloc.ghost import PRIMITIVES, rules_of
from linuxmm.proofs.domain import Integer, Truth, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.sym import as_state, choose
from linuxmm.proofs.theorem import assume, implies, theorem


@dataclass(frozen=True, slots=True)
class Reserve:
    """The twin of a zone.

    kind      type of the pageblocks at hand;  blocks: how many of the zone's are HIGHATOMIC
    reserved  nr_reserved_highatomic, pages
    managed   pages of the zone;  whole: the pageblock lies wholly in it;  moved: free pages that move
    """

    kind: int
    blocks: int
    reserved: int
    managed: int
    whole: bool
    moved: int


def _of(zone: Zone) -> Reserve:
    return as_state(zone, Reserve)


def _retyped(zone: Zone, blocks: int, migratetype: int) -> Zone:
    was = _of(zone)
    more = choose(migratetype == HIGHATOMIC, blocks, 0) - choose(was.kind == HIGHATOMIC, blocks, 0)
    return as_state(replace(was, kind=migratetype, blocks=was.blocks + more), Zone)


def reserved_highatomic(zone: Zone) -> int:
    return _of(zone).reserved


def set_reserved_highatomic(zone: Zone, pages: int) -> Zone:
    return as_state(replace(_of(zone), reserved=pages), Zone)


def pageblock_type(zone: Zone, pfn: int) -> int:
    return _of(zone).kind


def set_pageblock_type(zone: Zone, pfn: int, migratetype: int) -> Zone:
    return _retyped(zone, 1, migratetype)


def managed_pages(zone: Zone) -> int:
    return _of(zone).managed


def move_freepages_block(rules: Rules, zone: Zone, pfn: int, migratetype: int) -> tuple[Zone, int, int]:
    return zone, _of(zone).moved, 0


def claim_block(rules: Rules, zone: Zone, pfn: int, migratetype: int) -> Zone:
    return _retyped(zone, 1, migratetype)


def retag_range(rules: Rules, zone: Zone, pfn: int, order: int, migratetype: int) -> Zone:
    return _retyped(zone, 1 << (order - rules.pageblock_order), migratetype)


def whole_block_in_zone(rules: Rules, zone: Zone, pfn: int) -> bool:
    return _of(zone).whole


RESERVE: Final[dict[Callable[..., Any], Callable[..., Any]]] = {
    **PRIMITIVES,
    freelist.reserved_highatomic: reserved_highatomic,
    freelist.set_reserved_highatomic: set_reserved_highatomic,
    freelist.pageblock_type: pageblock_type,
    freelist.set_pageblock_type: set_pageblock_type,
    freelist.managed_pages: managed_pages,
    movement.move_freepages_block: move_freepages_block,
    movement.claim_block: claim_block,
    buddy.retag_range: retag_range,
    movement.whole_block_in_zone: whole_block_in_zone,
}

Pages = Annotated[int, Integer(least=0)]
Kind = Annotated[int, each(range(5))]


@theorem(
    "alloc.reserve.counted",
    "The counter of the high-order atomic reserve is the pages of the pageblocks of that type, and stays so "
    "when a pageblock, or the run of them in a larger block, joins or leaves it.",
    proves=(
        reserve_highatomic_block,
        reserve_highatomic_whole,
        unreserve_block,
        unreserve_whole,
        _count_out,
    ),
    features=("F013",),
    method="inductive",
    bounds="every order, pageblocks of order 9, any zone; the rules of 4.10 to 6.12 (those of 4.4 to "
    "4.9 count a pageblock out twice)",
    primitives=RESERVE,
    witness={
        "kind": 0,
        "target": 0,
        "blocks": 1,
        "managed": 1 << 20,
        "whole": True,
        "moved": 0,
        "pageblock_order": 9,
        "order": 3,
        "leaves": False,
        "since_6_10": True,
    },
    mutants=(
        Mutant(reserve_highatomic_block, "counts one page", "+ (1 << rules.pageblock_order)", "+ 1"),
        Mutant(reserve_highatomic_whole, "counts too many pages", "+ (1 << order)", "+ (2 << order)"),
        Mutant(reserve_highatomic_whole, "takes what is reserved", "not migratetype_is_mergeable(", "not ("),
        Mutant(unreserve_block, "counts whatever leaves", "== HIGHATOMIC:", "!= 99:"),
        Mutant(unreserve_whole, "counts one pageblock", "max(1 << rules.pageblock_order, 1 << order)",
               "1 << rules.pageblock_order"),
        Mutant(_count_out, "counts nothing", "held - min(", "held - 0 * min("),
    ),
)  # fmt: skip
def counted(
    kind: Kind,
    target: Annotated[int, each((0, 1, 2, 4))],
    blocks: Pages,
    managed: Pages,
    whole: Annotated[bool, Truth()],
    moved: Pages,
    pageblock_order: Annotated[int, each((9,))],
    order: Annotated[int, each(range(11))],
    leaves: Annotated[bool, each((False, True))],
    since_6_10: Annotated[bool, each((False, True))],
) -> bool:
    run = 1 << max(order - pageblock_order, 0) if since_6_10 else 1
    assume(implies(kind == HIGHATOMIC, blocks >= run))
    zone = as_state(Reserve(kind, blocks, blocks << pageblock_order, managed, whole, moved), Zone)
    rules = rules_of(4, pageblock_order)._replace(
        place_moved=lambda zone, pfn, order, kind: zone,
        highatomic_limit=lambda managed, pages: managed,  # any limit
    )
    if leaves and since_6_10:
        assume(kind == HIGHATOMIC)
        after = unreserve_whole(rules, zone, 0, order, target)[0]
    elif leaves:
        after = unreserve_block(rules, zone, 0, order, target)[0]
    elif since_6_10:
        after = reserve_highatomic_whole(rules, zone, 0, order)
    else:
        after = reserve_highatomic_block(rules, zone, 0, order)
    return _of(after).reserved == _of(after).blocks << pageblock_order
