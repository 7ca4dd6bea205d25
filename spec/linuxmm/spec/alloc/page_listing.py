"""What an allocator says about its free memory, held against what is known of the pages.

Counters and free lists follow from what was granted and given back: every listed block is free, every free
page is listed once, and the counters are their sum.

Linux: /proc/zoneinfo, /proc/buddyinfo; mm/page_alloc.c.  Seed 2.1.1.1 (F012).  All versions.
"""

from collections.abc import Iterable
from typing import Final

from linuxmm.spec.alloc.buddy import FreeBlock, FreeBlocks, aligned, in_zone, overlaps, unmerged
from linuxmm.spec.alloc.page_state import UNKNOWN, Pages, Span, block_mask, free_counts, holder_of
from linuxmm.spec.invariant import clause
from linuxmm.spec.step import Refusal
from linuxmm.spec.vocabulary import MigrateType

FREE_COUNT: Final = clause(
    "alloc.page.free-count",
    "The free pages that an allocator counts in a zone are the managed pages that nobody owns.",
    features=("F012", "F017"),
    seed="2.1.1.1",
    source="mm/page_alloc.c:__mod_zone_freepage_state",
).id
LISTED_OWNED: Final = clause(
    "alloc.page.listed-owned",
    "No page on a free list is in somebody's hands.",
    features=("F012",),
    seed="2.1.1.1",
    source="mm/page_alloc.c:page_expected_state",
).id
LISTED_UNMANAGED: Final = clause(
    "alloc.page.listed-unmanaged",
    "No page on a free list is a hole or reserved.",
    features=("F003", "F012"),
    seed="2 intro",
    source="mm/memblock.c:memblock_free_all",
).id
LOST: Final = clause(
    "alloc.page.lost",
    "Every page that nobody owns is on a free list.",
    features=("F012",),
    seed="2.1.1.1",
    source="mm/page_alloc.c:__free_one_page",
).id
FAILURE_CHANGED: Final = clause(
    "alloc.page.failure-changed-state",
    "A failed operation leaves counters and free lists as they were.",
    features=("F012",),
    seed="2.1.1.1",
    source="mm/page_alloc.c:get_page_from_freelist",
).id


def permits_counts(state: Pages, counts: tuple[int, ...]) -> tuple[Refusal, ...]:
    """Why the allocator must not count these free pages, one number for each span of the layout."""
    layout = state.layout
    if len(counts) != len(layout.spans):
        return (Refusal(FREE_COUNT, f"{len(counts)} counters for {len(layout.spans)} zones"),)
    found = []
    for span, count in zip(layout.spans, counts, strict=True):
        free, unknown = free_counts(state, span)
        least = max(0, free - layout.withheld)
        if not least <= count <= free + unknown:
            expected = str(free) if least == free + unknown else f"{least} to {free + unknown}"
            found.append(Refusal(FREE_COUNT, f"{span} counts {count} free pages, expected {expected}"))
    return tuple(found)


def permits_lists(state: Pages, blocks: Iterable[tuple[int, int]]) -> tuple[Refusal, ...]:
    """Why the allocator must not hold these free blocks (pfn, order).

    Every invariant of `linuxmm.spec.alloc.buddy` is asked, zone by zone, and each page is looked up.
    Requires  the lists are complete, but for `withheld` pages
    """
    layout = state.layout
    found: list[Refusal] = []
    listed: list[tuple[int, int]] = []
    for pfn, order in sorted(blocks):
        if 0 <= order <= layout.max_order and layout.span_of(pfn) is not None:
            listed.append((pfn, order))
        else:
            why = f"free block {pfn}, order {order} lies in no zone or exceeds order {layout.max_order}"
            found.append(Refusal("alloc.buddy.in-zone", why))
    for span, inside in _by_span(state, listed):
        found.extend(_zone_refusals(state, span, inside))
    found.extend(_page_refusals(state, listed))
    return tuple(found)


def _by_span(state: Pages, listed: list[tuple[int, int]]) -> Iterable[tuple[Span, list[tuple[int, int]]]]:
    for span in state.layout.spans:
        yield span, [block for block in listed if span.start <= block[0] < span.end]


def _zone_refusals(state: Pages, span: Span, inside: list[tuple[int, int]]) -> Iterable[Refusal]:
    layout = state.layout
    first = span.start >> layout.pageblock_order
    last = (span.end - 1) >> layout.pageblock_order
    types = tuple(state.types.get(block, MigrateType.MOVABLE) for block in range(first, last + 1))
    free = FreeBlocks(
        span.start,
        span.end,
        layout.max_order,
        layout.pageblock_order,
        types,
        tuple(FreeBlock(pfn, order, MigrateType.MOVABLE) for pfn, order in inside),
    )
    if not in_zone(free):
        yield Refusal("alloc.buddy.in-zone", f"a free block leaves {span}")
        return
    if not aligned(free):
        yield Refusal("alloc.buddy.aligned", f"a free block of {span} is not aligned to its size")
    for one, other in overlaps(free.blocks):
        yield Refusal("alloc.buddy.disjoint", f"free blocks {_name(one)} and {_name(other)} share a page")
    for one, other in unmerged(free):
        yield Refusal("alloc.buddy.coalesced", f"free buddies {_name(one)} and {_name(other)} stay apart")


def _page_refusals(state: Pages, listed: list[tuple[int, int]]) -> Iterable[Refusal]:
    max_order = state.layout.max_order
    seen: dict[int, int] = {}
    for pfn, order in listed:
        if not 0 <= order <= max_order or pfn & ((1 << order) - 1):
            continue
        index, mask = pfn >> max_order, block_mask(order, pfn, max_order)
        seen[index] = seen.get(index, 0) | mask
        chunk = state.chunks.get(index, UNKNOWN)
        if chunk.owned & mask:
            page = _first(index, max_order, chunk.owned & mask)
            holder = holder_of(state, page)
            held = "" if holder is None else f" in the block at pfn {holder[0]}, order {holder[1].order}"
            yield Refusal(LISTED_OWNED, f"free block {pfn}, order {order}: page {page} is owned{held}")
        if chunk.absent & mask:
            page = _first(index, max_order, chunk.absent & mask)
            yield Refusal(LISTED_UNMANAGED, f"free block {pfn}, order {order}: page {page} is not managed")
    lost = [
        (index, chunk.free & ~seen.get(index, 0) & ~_isolated(state, index))
        for index, chunk in sorted(state.chunks.items())
    ]
    total = sum(mask.bit_count() for _, mask in lost)
    if total > state.layout.withheld:
        page = next(_first(index, max_order, mask) for index, mask in lost if mask)
        yield Refusal(LOST, f"{total} free pages are on no list, the first is pfn {page}")


def _isolated(state: Pages, index: int) -> int:
    """Bits of a chunk in isolated pageblocks, whose pages need not be listed."""
    layout = state.layout
    first = index << (layout.max_order - layout.pageblock_order)
    mask = 0
    for place in range(1 << (layout.max_order - layout.pageblock_order)):
        if state.types.get(first + place) == MigrateType.ISOLATE:
            mask |= block_mask(layout.pageblock_order, place << layout.pageblock_order, layout.max_order)
    return mask


def _first(index: int, max_order: int, mask: int) -> int:
    return (index << max_order) + (mask & -mask).bit_length() - 1


def _name(block: FreeBlock) -> str:
    return f"({block.pfn}, order {block.order})"
