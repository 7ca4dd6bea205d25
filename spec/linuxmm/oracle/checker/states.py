"""Hold a frozen state against itself, and against what the events before it imply.

Linux: struct zone, struct free_area, struct per_cpu_pages.  Seed 2.1.1.1 (F012, F020).
"""

from collections.abc import Iterator
from typing import Final

from linuxmm.oracle.formats.state import MachineState, Zone, findings, pcp_list_order
from linuxmm.oracle.observations import Numbering
from linuxmm.spec.alloc.page_state import UNKNOWN, Layout, Pages, Span, block_mask
from linuxmm.spec.invariant import clause
from linuxmm.spec.verdict import Divergence, Judgement
from linuxmm.spec.vocabulary import MigrateType, ZoneType

CONSISTENT: Final = clause(
    "alloc.state.consistent",
    "Lists, counters and pageblocks of a frozen state agree with each other.",
    features=("F003", "F012", "F020"),
    source="include/linux/mmzone.h",
    seed="2.1.1.1",
).id
OWNED_LISTED: Final = clause(
    "alloc.state.owned-page-listed",
    "No page that the trace shows in somebody's hands stands on a free list or a CPU's list.",
    features=("F012", "F020"),
    source="mm/page_alloc.c:__free_one_page",
    seed="2.1.1.1",
).id
FREE_LOST: Final = clause(
    "alloc.state.free-page-lost",
    "Every page that the trace shows given back and not taken again stands on some list.",
    features=("F012", "F020"),
    source="mm/page_alloc.c:__free_one_page",
    seed="2.1.1.1",
).id

_KINDS: Final = {kind.printed: kind for kind in ZoneType}


def layout_of(state: MachineState, max_order: int) -> Layout:
    """The zones of a state; a zone whose name is not known permits every request."""
    spans = sorted(
        (
            Span(_KINDS.get(zone.name, ZoneType.DMA), node.nid, zone.start_pfn, zone.end_pfn)
            for node, zone in state.zones()
            if zone.spanned
        ),
        key=lambda span: span.start,
    )
    return Layout(tuple(spans), max_order, min(state.pageblock_order, max_order))


def set_aside(state: MachineState, names: Numbering) -> dict[int, int]:
    """Pageblocks that are ISOLATE or CMA: number of the pageblock -> type."""
    aside: dict[int, int] = {}
    for _, zone in state.zones():
        first = zone.start_pfn >> state.pageblock_order
        for at, number in enumerate(zone.pageblock_types()):
            ours = names.ours[number] if number < len(names.ours) else -1
            if ours in (MigrateType.ISOLATE, MigrateType.CMA):
                aside[first + at] = ours
    return aside


def listed(state: MachineState, zone: Zone) -> Iterator[tuple[int, int]]:
    """Every block on a list of a zone: free lists first, then the CPUs' lists."""
    yield from on_free_lists(zone)
    for pcp in zone.pcp.values():
        for index, heads in enumerate(pcp.lists):
            order = pcp_list_order(index, state.pageblock_order)
            yield from ((pfn, order) for pfn in heads)


def on_free_lists(zone: Zone) -> Iterator[tuple[int, int]]:
    """Every block on the free lists of a zone."""
    for order, area in enumerate(zone.free_area):
        for heads in area.lists:
            yield from ((pfn, order) for pfn in heads)


def judge_state(judgement: Judgement, state: MachineState, mark: str) -> None:
    """Whether a state agrees with itself."""
    judgement.checked(CONSISTENT)
    for finding in findings(state):
        judgement.broken(
            Divergence(CONSISTENT, -1, -1, f"mark {mark}: {finding.found}", finding.expected, str(finding))
        )


def judge_after(
    judgement: Judgement, pages: Pages, state: MachineState, mark: str, takers_seen: bool
) -> None:
    """Whether a state follows from the events before it.

    takers_seen: the evidence shows every taker of free pages, so a page seen free must still be listed
    """
    order = pages.layout.max_order
    seen: dict[int, int] = {}
    for _, zone in state.zones():
        for pfn, size in listed(state, zone):
            judgement.checked(OWNED_LISTED)
            mask = block_mask(size, pfn, order)
            seen[pfn >> order] = seen.get(pfn >> order, 0) | mask
            if pages.chunks.get(pfn >> order, UNKNOWN).owned & mask:
                why = f"pfn {pfn:#x}, order {size} is on a list of zone {zone.name}, and owned by the trace"
                judgement.broken(
                    Divergence(OWNED_LISTED, -1, -1, f"mark {mark}: {why}", "blocks that nobody owns", why)
                )
    if not takers_seen:
        return
    for index, chunk in sorted(pages.chunks.items()):
        judgement.checked(FREE_LOST)
        lost = chunk.free & ~seen.get(index, 0)
        if lost:
            pfn = (index << order) + ((lost & -lost).bit_length() - 1)
            why = f"{lost.bit_count()} pages from pfn {pfn:#x} on were given back and stand on no list"
            judgement.broken(Divergence(FREE_LOST, -1, -1, f"mark {mark}: {why}", "each on some list", why))
