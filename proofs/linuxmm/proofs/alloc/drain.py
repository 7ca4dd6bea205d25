"""Theorems about the loops that give back what CPUs hold: each turn moves one block, and every loop ends.

That the block which a turn gives back goes from the CPU's list to the free lists, and nothing else changes,
is theorem alloc.pcp.drain-step.  Here a list is the number of its blocks.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from linuxmm.model.alloc import freelist, pcp
from linuxmm.model.alloc.freelist import NOTHING, Zone
from linuxmm.model.alloc.pcp import (
    drain_growing_rounds,
    drain_list_by_list,
    drain_pages_zone,
    drain_rounds,
    next_list,
)
from linuxmm.model.alloc.rules import Rules
from linuxmm.proofs.alloc.ghost import PRIMITIVES, Total, rules_of
from linuxmm.proofs.domain import Integer, MapOf, Word, each, table
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.rewrite import begin, turn, whole
from linuxmm.proofs.sym import as_state
from linuxmm.proofs.theorem import assume, theorem
from linuxmm.spec.alloc.pcp import PcpVars, drain_all_step, order_of_index, order_zero_of_index

LISTS: Final = (3, 14, 14)
"""Lists of a CPU up to 2.6.38, and with high orders."""
SEARCH: Final = 1
GIVE: Final = 2
"""The inner loops of every drain: find a list that is not empty, give back from it."""


@dataclass(frozen=True, slots=True)
class Held:
    """Stands for a zone, of which one CPU's lists are looked at.

    blocks  index of a list -> its blocks
    pages   the count of pages on all lists
    given   pages that went to the free lists
    """

    blocks: Total
    pages: int
    given: int = 0


def pcp_tail(zone: Zone, cpu: int, index: int) -> int:
    return 0 if as_state(zone, Held).blocks[index] > 0 else NOTHING


def pcp_vars(zone: Zone, cpu: int) -> PcpVars:
    return PcpVars(as_state(zone, Held).pages, 31, 186, 0, 0, 0, 0, 0, 5)


def give_back_tail(rules: Rules, zone: Zone, cpu: int, index: int) -> Zone:
    """Stands for give_back_tail: what theorem alloc.pcp.drain-step says of it."""
    held, size = as_state(zone, Held), 1 << rules.pcp_order(index, 9)
    blocks = held.blocks.set(index, held.blocks[index] - 1)
    return as_state(replace(held, blocks=blocks, pages=held.pages - size, given=held.given + size), Zone)


DRAINED: Final[dict[Callable[..., Any], Callable[..., Any]]] = {
    **PRIMITIVES,
    freelist.pcp_tail: pcp_tail,
    freelist.pcp_vars: pcp_vars,
    pcp.give_back_tail: give_back_tail,
}
BlockCounts = Annotated[Total, MapOf((Word(8),), Integer(least=0), 0)]
Count = Annotated[int, Integer(least=1)]
Pages = Annotated[int, Integer(least=0)]


def drain_rules(era: int) -> Rules:
    """The lists of a CPU in one of three eras."""
    order = order_zero_of_index if era == 0 else order_of_index
    return rules_of(4, 9)._replace(nr_pcp_lists=LISTS[era], pcp_order=order)


def counted(rules: Rules, blocks: Total) -> int:
    """The pages on all lists."""
    pages = 0
    for index in range(rules.nr_pcp_lists):
        pages = pages + (blocks[index] << rules.pcp_order(index, 9))
    return pages


@theorem(
    "alloc.pcp.drain-loops",
    "Every drain of a CPU's lists ends: the search for a list that is not empty finds one, a turn with it "
    "gives back at least one block, and each block that is given back brings the end nearer by its pages; "
    "the count stays the pages on the lists, and no page is lost on the way to the free lists.",
    proves=(drain_rounds, drain_growing_rounds, drain_list_by_list, next_list),
    clauses=("alloc.pcp.count", "alloc.zone.partition"),
    features=("F020", "F023"),
    method="inductive",
    bounds="any number of blocks on each list, any amount to drain; the lists of 2.6.32 to 2.6.38, and those "
    "with high orders from 2.6.39 on",
    primitives=DRAINED,
    witness={"blocks": table({1: 2}, 0), "pages": 1, "run": 1, "place": (0, 1)},
    mutants=(
        Mutant(drain_list_by_list, "counts nothing", "            pages -= size\n", ""),
        Mutant(
            drain_list_by_list,
            "may want more than there is",
            "min(pages, pcp_vars(zone, cpu).pages)",
            "pages",
        ),
        Mutant(drain_rounds, "counts nothing", "            pages -= 1\n", ""),
        Mutant(
            drain_growing_rounds,
            "counts blocks and a page more",
            "1 << rules.pcp_order(at, rules.pageblock_order)",
            "0 << rules.pcp_order(at, rules.pageblock_order)",
        ),
        Mutant(
            drain_list_by_list,
            "gives back from the next list",
            "zone, cpu, at)\n            pages",
            "zone, cpu, next_list(rules, at))\n            pages",
        ),
        Mutant(next_list, "leaves out the last list", "index + 1 >=", "index + 2 >="),
    ),
)
def drain_loops(
    blocks: BlockCounts,
    pages: Count,
    run: Count,
    place: Annotated[tuple[int, int], each((era, at) for era in range(3) for at in range(LISTS[era]))],
) -> bool:
    era, at = place
    rules = drain_rules(era)
    drain = (drain_rounds, drain_growing_rounds, drain_list_by_list)[era]
    zone = as_state(Held(blocks, counted(rules, blocks)), Zone)
    least: int = begin(drain, rules, zone, 0, pages, at)["pages"]
    assume(least > 0)
    state = {"rules": rules, "zone": zone, "cpu": 0, "pages": least, "at": at, "run": run}
    state["size"] = 1 << rules.pcp_order(at, 9)
    found = whole(drain, state, SEARCH, LISTS[era])
    how, given, _ = turn(drain, {**found, "size": 1 << rules.pcp_order(found["at"], 9)}, GIVE)
    held, after = as_state(zone, Held), as_state(given["zone"], Held)
    there: bool = (blocks[found["at"]] > 0) & (given["pages"] == least - after.given)
    enough: bool = given["pages"] <= after.pages
    return (
        (least <= held.pages)
        & (how == "again")
        & there
        & (after.given > 0)
        & enough
        & (after.pages == counted(rules, after.blocks))
        & (after.pages + after.given == held.pages)
    )


def any_drain(rules: Rules, zone: Zone, cpu: int, pages: int, index: int) -> Zone:
    """Stands for a drain: it gives back what it is asked for, as far as it is there, perhaps rounded up."""
    held = as_state(zone, Held)
    given = min(pages, held.pages) + held.blocks[held.given]
    assume(given <= held.pages)
    return as_state(replace(held, pages=held.pages - given, given=held.given + given), Zone)


def count_work(zone: Zone, what: int) -> Zone:
    return zone


@theorem(
    "alloc.pcp.drain-all",
    "Draining everything that a CPU holds in a zone ends with empty lists: every turn gives back at least "
    "one page, and it stops only when none is left.",
    proves=(drain_pages_zone, drain_all_step),
    features=("F020", "F023"),
    method="inductive",
    bounds="any number of pages, drains of every era",
    primitives={**DRAINED, freelist.count_work: count_work},
    witness={"more": table({}, 0), "pages": 3},
    mutants=(
        Mutant(drain_pages_zone, "stops with a page left", ".pages > 0:", ".pages > 1:"),
        Mutant(drain_pages_zone, "gives back nothing", "max(drain_all_step(pcp_vars(zone, cpu)), 1)", "0"),
    ),
)
def drains_all(more: BlockCounts, pages: Pages) -> bool:
    zone = as_state(Held(more, pages), Zone)
    rules = rules_of(4, 9)._replace(pcp_drain=any_drain)
    how, state, _ = turn(drain_pages_zone, {"rules": rules, "zone": zone, "cpu": 0})
    left = as_state(state["zone"], Held)
    if how == "left":
        return left.pages == 0
    return (left.pages < pages) & (left.pages >= 0) & (left.pages + left.given == pages)
