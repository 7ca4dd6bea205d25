"""Who has which page: free, owned, absent, or unknown.

The state that the rules in `linuxmm.spec.alloc.pages` speak about.  Knowledge may be partial, because a trace
may start in the middle of a system's life; it is kept as bits, so that a step costs the same in any memory.

Linux: struct page and struct zone, include/linux/mmzone.h.  Seed 2 (F001, F002, F003).  All versions.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from immutables import Map

from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.vocabulary import MigrateType, ZoneType


@dataclass(frozen=True, slots=True)
class Span:
    """One zone of one node: pfns from `start` up to, not including, `end`."""

    zone: ZoneType
    node: int
    start: int
    end: int

    def __str__(self) -> str:
        return f"node {self.node}, zone {self.zone.printed}"


@dataclass(frozen=True, slots=True)
class Layout:
    """The memory that an allocator manages, as far as it does not change.

    spans            zones in pfn order; no two overlap
    max_order        order of the largest block
    pageblock_order  order of the blocks that may be set aside
    withheld         pages that the allocator may keep back from a request that fails (reserves and caches)

    Errors    LinuxmmError for overlapping, empty or unordered spans
    """

    spans: tuple[Span, ...]
    max_order: int = 10
    pageblock_order: int = 9
    withheld: int = 0
    starts: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        end = 0
        for span in self.spans:
            if not end <= span.start < span.end:
                raise LinuxmmError(f"{span}: {span.start}..{span.end} is empty or starts below pfn {end}")
            end = span.end
        if not 0 <= self.pageblock_order <= self.max_order:
            raise LinuxmmError(f"pageblock order {self.pageblock_order} is outside 0 to {self.max_order}")
        object.__setattr__(self, "starts", tuple(span.start for span in self.spans))

    def span_of(self, pfn: int) -> Span | None:
        """The zone that holds pfn."""
        index = bisect_right(self.starts, pfn) - 1
        if index < 0 or pfn >= self.spans[index].end:
            return None
        return self.spans[index]


class Owned(NamedTuple):
    """A block in somebody's hands, and the mobility that was asked for."""

    order: int
    migratetype: int


class Chunk(NamedTuple):
    """Knowledge of 2**max_order pages, one bit a page; a page in no mask is unknown.

    absent  pages that the allocator does not manage: holes and reserved memory
    """

    owned: int
    free: int
    absent: int


UNKNOWN: Final = Chunk(0, 0, 0)


class Pages(NamedTuple):
    """Who has which page, as far as it is known; a named tuple, because a checker makes one per event.

    heads   first page of each owned block -> the block
    chunks  pfn >> max_order -> knowledge of its pages
    types   pfn >> pageblock_order -> ISOLATE or CMA, for the pageblocks set aside
    """

    layout: Layout
    heads: Map[int, Owned] = Map()
    chunks: Map[int, Chunk] = Map()
    types: Map[int, int] = Map()


def block_mask(order: int, pfn: int, max_order: int) -> int:
    """Bits of the aligned block (pfn, order) in its chunk."""
    return ((1 << (1 << order)) - 1) << (pfn & ((1 << max_order) - 1))


def all_free(layout: Layout, absent: Iterable[tuple[int, int]] = ()) -> Pages:
    """The state in which every managed page is known to be free.

    absent  ranges (start, end) of pages inside the spans that are not managed
    """
    holes = tuple(absent)
    chunks: dict[int, Chunk] = {}
    size = 1 << layout.max_order
    for span in layout.spans:
        for index in range(span.start >> layout.max_order, ((span.end - 1) >> layout.max_order) + 1):
            missing = 0
            for start, end in holes:
                missing |= _range_mask(start, end, index * size, size)
            present = _range_mask(span.start, span.end, index * size, size)
            before = chunks.get(index, UNKNOWN)
            chunks[index] = Chunk(0, before.free | (present & ~missing), before.absent | (present & missing))
    return Pages(layout, chunks=Map(chunks))


def learn_owned(state: Pages, blocks: Iterable[tuple[int, int, int]]) -> Pages:
    """The state with aligned blocks (pfn, order, migratetype) known to be owned."""
    layout = state.layout
    heads: dict[int, Owned] = {}
    chunks: dict[int, Chunk] = {}
    for pfn, order, migratetype in blocks:
        heads[pfn] = Owned(order, migratetype)
        index, mask = pfn >> layout.max_order, block_mask(order, pfn, layout.max_order)
        owned, free, absent = chunks.get(index, state.chunks.get(index, UNKNOWN))
        chunks[index] = Chunk(owned | mask, free & ~mask, absent)
    return Pages(layout, state.heads.update(heads), state.chunks.update(chunks), state.types)


def learn_free(state: Pages, blocks: Iterable[tuple[int, int]]) -> Pages:
    """The state with aligned blocks (pfn, order) known to be free."""
    layout = state.layout
    chunks: dict[int, Chunk] = {}
    for pfn, order in blocks:
        index, mask = pfn >> layout.max_order, block_mask(order, pfn, layout.max_order)
        owned, free, absent = chunks.get(index, state.chunks.get(index, UNKNOWN))
        chunks[index] = Chunk(owned & ~mask, free | mask, absent)
    return Pages(layout, state.heads, state.chunks.update(chunks), state.types)


def holder_of(state: Pages, pfn: int) -> tuple[int, Owned] | None:
    """The known owned block that covers pfn, with its head."""
    for order in range(state.layout.max_order + 1):
        head = pfn & -(1 << order)
        block = state.heads.get(head)
        if block is not None and block.order >= order and pfn < head + (1 << block.order):
            return head, block
    return None


def free_blocks(
    state: Pages, order: int, migratetype: int, highest_zone: int, node: int | None = None
) -> tuple[int, ...]:
    """Blocks known to be free that a request might be granted, by pfn; aligned, none overlaps another."""
    layout = state.layout
    size = 1 << layout.max_order
    aligned = ((1 << size) - 1) // ((1 << (1 << order)) - 1)
    found: list[int] = []
    for span in layout.spans:
        if span.zone > highest_zone or (node is not None and span.node != node):
            continue
        for index in range(span.start >> layout.max_order, ((span.end - 1) >> layout.max_order) + 1):
            run = state.chunks.get(index, UNKNOWN).free & _range_mask(
                span.start, span.end, index * size, size
            )
            run &= ~_set_aside(state, index, migratetype)
            for step in range(order):
                run &= run >> (1 << step)
            run &= aligned
            while run:
                low = run & -run
                found.append(index * size + low.bit_length() - 1)
                run ^= low
    return tuple(found)


def free_counts(state: Pages, span: Span) -> tuple[int, int]:
    """Pages of a zone known to be free, and pages of which nothing is known; isolated pageblocks left out."""
    layout = state.layout
    size = 1 << layout.max_order
    free = unknown = 0
    for index in range(span.start >> layout.max_order, ((span.end - 1) >> layout.max_order) + 1):
        inside = _range_mask(span.start, span.end, index * size, size)
        inside &= ~_set_aside(state, index, MigrateType.MOVABLE)
        chunk = state.chunks.get(index, UNKNOWN)
        free += (chunk.free & inside).bit_count()
        unknown += (inside & ~(chunk.owned | chunk.free | chunk.absent)).bit_count()
    return free, unknown


def may_use_type(pageblock_type: int, migratetype: int) -> bool:
    """Whether a request of this mobility may be served from a pageblock that was set aside."""
    return pageblock_type == MigrateType.CMA and migratetype == MigrateType.MOVABLE


def types_forbidding(state: Pages, pfn: int, order: int, migratetype: int) -> tuple[int, ...]:
    """Types of the set-aside pageblocks under a block that a request of this mobility may not use."""
    shift = state.layout.pageblock_order
    blocks = range(pfn >> shift, ((pfn + (1 << order) - 1) >> shift) + 1)
    found = (state.types.get(block) for block in blocks)
    return tuple(type for type in found if type is not None and not may_use_type(type, migratetype))


def _range_mask(start: int, end: int, base: int, size: int) -> int:
    """Bits of the pfns start..end among the `size` pages from `base`."""
    low, high = max(start, base) - base, min(end, base + size) - base
    return ((1 << (high - low)) - 1) << low if high > low else 0


def _set_aside(state: Pages, index: int, migratetype: int) -> int:
    """Bits of a chunk in pageblocks that a request of this mobility may not use."""
    if not state.types:
        return 0
    layout = state.layout
    per_chunk = 1 << (layout.max_order - layout.pageblock_order)
    block = (1 << (1 << layout.pageblock_order)) - 1
    mask = 0
    for place in range(per_chunk):
        type = state.types.get(index * per_chunk + place)
        if type is not None and not may_use_type(type, migratetype):
            mask |= block << (place << layout.pageblock_order)
    return mask
