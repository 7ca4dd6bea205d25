"""What any correct page allocator must do, whoever wrote it: pages are free or owned, and never both.

A request may be granted any block that is wholly free, aligned, inside one zone that the request permits, and
not set aside; which one, the specification never says.  Only what is known makes a verdict: a page of which
nothing is known may be granted, and may be given back.

Each operation is first what forbids an answer (`permits`), then what the answer does (`apply`).

Linux: mm/page_alloc.c.  Seed 2.1.1.1 (F012), 2 (F003).  All versions.
"""

from dataclasses import dataclass
from typing import Final

from linuxmm.spec.alloc.page_state import (
    UNKNOWN,
    Chunk,
    Owned,
    Pages,
    Span,
    block_mask,
    free_blocks,
    holder_of,
    types_forbidding,
)
from linuxmm.spec.invariant import clause
from linuxmm.spec.step import Errno, Refusal
from linuxmm.spec.vocabulary import MigrateType, ZoneType


@dataclass(frozen=True, slots=True)
class Alloc:
    """Ask for 2**order pages.

    highest_zone  the highest zone class that the request permits
    node          the only node permitted, or None for any
    """

    order: int
    migratetype: int
    highest_zone: int
    node: int | None = None


@dataclass(frozen=True, slots=True)
class Free:
    """Give the block (pfn, order) back."""

    pfn: int
    order: int


@dataclass(frozen=True, slots=True)
class Split:
    """The owner of the block at pfn goes on with blocks of `order`, each to be freed alone.

    Source    mm/page_alloc.c:split_page
    """

    pfn: int
    order: int


@dataclass(frozen=True, slots=True)
class Retag:
    """The pageblock of pfn becomes ISOLATE or CMA, or (None) is set aside no more.

    Source    mm/page_isolation.c:set_migratetype_isolate; mm/cma.c
    """

    pfn: int
    migratetype: MigrateType | None


Op = Alloc | Free | Split | Retag


@dataclass(frozen=True, slots=True)
class Granted:
    """The request got the block at pfn."""

    pfn: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The allocator refused, and must have changed nothing."""

    errno: Errno


@dataclass(frozen=True, slots=True)
class Done:
    """The allocator did as it was told."""


Observed = Granted | Failed | Done


_FREE_PAGES_CHECK: Final = "mm/page_alloc.c:free_page_is_bad"
_RMQUEUE: Final = "mm/page_alloc.c:__rmqueue_smallest"

DOUBLE_ALLOCATION: Final = clause(
    "alloc.page.double-allocation",
    "No page of a granted block is in somebody's hands.",
    features=("F012",),
    seed="2.1.1.1",
    source="mm/page_alloc.c:check_new_page",
).id
MISALIGNED: Final = clause(
    "alloc.page.misaligned",
    "A granted block starts at a multiple of its size.",
    features=("F012",),
    seed="2.1.1.1",
    source=_RMQUEUE,
).id
OUTSIDE: Final = clause(
    "alloc.page.outside-zone",
    "A granted block lies in a zone.",
    features=("F003", "F012"),
    seed="2 intro",
    source="mm/page_alloc.c:bad_range",
).id
CROSSES: Final = clause(
    "alloc.page.crosses-zone",
    "A granted block ends in the zone in which it starts.",
    features=("F003", "F012"),
    seed="2 intro",
    source="mm/page_alloc.c:page_is_buddy",
).id
UNMANAGED: Final = clause(
    "alloc.page.unmanaged",
    "No page of a granted block is a hole or reserved.",
    features=("F003", "F012"),
    seed="2 intro",
    source="mm/memblock.c:memblock_free_all",
).id
FORBIDDEN_ZONE: Final = clause(
    "alloc.page.forbidden-zone",
    "A request is never served from a zone class above the highest that it permits.",
    features=("F003",),
    seed="2 intro",
    source="include/linux/gfp.h:gfp_zone",
).id
FORBIDDEN_NODE: Final = clause(
    "alloc.page.forbidden-node",
    "A request for one node alone is never served from another.",
    features=("F002",),
    seed="2 intro",
    source="mm/page_alloc.c:build_thisnode_zonelists",
).id
SET_ASIDE: Final = clause(
    "alloc.page.set-aside",
    "An isolated pageblock serves nobody, and a CMA pageblock only movable requests.",
    features=("F016", "F036", "F063"),
    seed="2.1.1.2",
    since="2.6.24",
    source="mm/page_isolation.c; mm/page_alloc.c:__rmqueue",
).id
ORDER_RANGE: Final = clause(
    "alloc.page.order-range",
    "A request for more than the largest block is never granted.",
    features=("F012",),
    seed="2.1.1.1",
    source="mm/page_alloc.c:__alloc_pages",
).id
UNJUSTIFIED_FAILURE: Final = clause(
    "alloc.page.unjustified-failure",
    "A request fails only when no more suitable free blocks exist than the allocator may withhold.",
    features=("F012", "F017"),
    seed="2.1.1.3",
    source="mm/page_alloc.c:get_page_from_freelist",
).id
WRONG_ERROR: Final = clause(
    "alloc.page.wrong-error",
    "A failed request reports ENOMEM (EINVAL too, above the largest order), a refused release EINVAL.",
    features=("F012",),
    seed="2.1.1.1",
    source="mm/page_alloc.c:__alloc_pages",
).id
DOUBLE_FREE: Final = clause(
    "alloc.page.double-free",
    "No page of a block that is given back is free already.",
    features=("F012",),
    seed="2.1.1.1",
    source=_FREE_PAGES_CHECK,
).id
WRONG_ORDER: Final = clause(
    "alloc.page.wrong-order",
    "A block is given back, or split, at the order at which it is owned.",
    features=("F012",),
    seed="2.1.1.1",
    source="mm/page_alloc.c:free_pages_prepare",
).id
NOT_A_HEAD: Final = clause(
    "alloc.page.not-a-head",
    "A block is given back by its first page.",
    features=("F012",),
    seed="2.1.1.1",
    source="mm/page_alloc.c:free_pages_prepare",
).id
FOREIGN_FREE: Final = clause(
    "alloc.page.foreign-free",
    "Only aligned blocks of managed pages inside one zone are given back.",
    features=("F003", "F012"),
    seed="2 intro",
    source="mm/page_alloc.c:__free_one_page",
).id
FREE_REFUSED: Final = clause(
    "alloc.page.free-refused",
    "The release of a block that is owned is not refused.",
    features=("F012",),
    seed="2.1.1.1",
    source="mm/page_alloc.c:__free_pages",
).id
UNEXPECTED: Final = clause(
    "alloc.page.unexpected-answer",
    "A request is answered by a block or an error, everything else by done or an error.",
    features=("F012",),
    seed="2.1.1.1",
    source="include/linux/gfp.h",
).id


def permits(state: Pages, op: Op, observed: Observed) -> tuple[Refusal, ...]:
    """Why the answer is forbidden; empty when it is permitted.

    Permits   any suitable free block, and any page of which nothing is known
    """
    if isinstance(op, Alloc):
        if isinstance(observed, Granted):
            return permits_grant(state, op, observed.pfn)
        if isinstance(observed, Failed):
            return permits_failure(state, op, observed.errno)
    elif isinstance(observed, Done):
        if isinstance(op, Free):
            return permits_free(state, op.pfn, op.order)
        return permits_split(state, op) if isinstance(op, Split) else ()
    elif isinstance(observed, Failed):
        return permits_refusal(state, op, observed.errno)
    return (Refusal(UNEXPECTED, f"{op} was answered by {observed}"),)


def permits_grant(state: Pages, op: Alloc, pfn: int) -> tuple[Refusal, ...]:
    """Why the block at pfn must not be granted to `op`."""
    layout, order = state.layout, op.order
    max_order = layout.max_order
    if not 0 <= order <= max_order:
        return (Refusal(ORDER_RANGE, f"order {order} is outside 0 to {max_order}, and got pfn {pfn}"),)
    if pfn & ((1 << order) - 1):
        return (Refusal(MISALIGNED, f"pfn {pfn} is no multiple of {1 << order}, the block's size"),)
    span = layout.span_of(pfn)
    if span is None:
        return (Refusal(OUTSIDE, f"pfn {pfn} lies in no zone"),)
    owned, _, absent = state.chunks.get(pfn >> max_order, UNKNOWN)
    mask = ((1 << (1 << order)) - 1) << (pfn & ((1 << max_order) - 1))
    if (
        not (owned | absent) & mask
        and pfn + (1 << order) <= span.end
        and span.zone <= op.highest_zone
        and op.node is None
        and not state.types
    ):
        return ()
    return _grant_refusals(state, op, pfn, span, owned & mask, absent & mask)


def _grant_refusals(
    state: Pages, op: Alloc, pfn: int, span: Span, owned: int, absent: int
) -> tuple[Refusal, ...]:
    end = pfn + (1 << op.order)
    base = pfn >> state.layout.max_order << state.layout.max_order
    found: list[Refusal] = []
    if end > span.end:
        found.append(
            Refusal(CROSSES, f"pages {pfn}..{end - 1} leave {span}, which ends at pfn {span.end - 1}")
        )
    if span.zone > op.highest_zone:
        highest = ZoneType(op.highest_zone).printed
        found.append(
            Refusal(FORBIDDEN_ZONE, f"pfn {pfn} is in {span}; the request permits {highest} and below")
        )
    if op.node is not None and span.node != op.node:
        found.append(
            Refusal(FORBIDDEN_NODE, f"pfn {pfn} is in {span}; the request permits node {op.node} alone")
        )
    if owned:
        page = base + _lowest(owned)
        found.append(Refusal(DOUBLE_ALLOCATION, f"page {page} is owned{_held(state, page)}"))
    if absent:
        found.append(Refusal(UNMANAGED, f"page {base + _lowest(absent)} is not managed"))
    for type in types_forbidding(state, pfn, op.order, op.migratetype):
        asked = MigrateType(op.migratetype).name
        found.append(
            Refusal(SET_ASIDE, f"pfn {pfn} is in a pageblock of {MigrateType(type).name}, asked {asked}")
        )
    return tuple(found)


def permits_failure(state: Pages, op: Alloc, errno: Errno) -> tuple[Refusal, ...]:
    """Why the request `op` must not fail with `errno`."""
    layout = state.layout
    if not 0 <= op.order <= layout.max_order:
        if errno in (Errno.ENOMEM, Errno.EINVAL):
            return ()
        return (Refusal(WRONG_ERROR, f"a request of order {op.order} failed with {errno.name}"),)
    if errno is not Errno.ENOMEM:
        return (Refusal(WRONG_ERROR, f"a request failed with {errno.name}, expected ENOMEM"),)
    blocks = free_blocks(state, op.order, op.migratetype, op.highest_zone, op.node)
    if len(blocks) <= layout.withheld:
        return ()
    why = f"{len(blocks)} suitable blocks of order {op.order} are free, the first at pfn {blocks[0]}"
    return (Refusal(UNJUSTIFIED_FAILURE, f"{why}; {layout.withheld} may be withheld"),)


def permits_free(state: Pages, pfn: int, order: int) -> tuple[Refusal, ...]:
    """Why the release of (pfn, order) must not succeed."""
    layout = state.layout
    max_order = layout.max_order
    if not 0 <= order <= max_order or pfn & ((1 << order) - 1):
        return (Refusal(FOREIGN_FREE, f"pfn {pfn}, order {order} is no aligned block"),)
    span = layout.span_of(pfn)
    if span is None or pfn + (1 << order) > span.end:
        return (Refusal(FOREIGN_FREE, f"pages {pfn}..{pfn + (1 << order) - 1} are not inside one zone"),)
    owned, free, absent = state.chunks.get(pfn >> max_order, UNKNOWN)
    mask = ((1 << (1 << order)) - 1) << (pfn & ((1 << max_order) - 1))
    held = state.heads.get(pfn)
    if held is not None and held.order == order:
        return ()
    if free & mask:
        page = (pfn >> max_order << max_order) + _lowest(free & mask)
        return (Refusal(DOUBLE_FREE, f"page {page} is free already"),)
    if absent & mask:
        return (Refusal(FOREIGN_FREE, f"pfn {pfn}, order {order} covers pages that are not managed"),)
    if held is not None:
        return (Refusal(WRONG_ORDER, f"pfn {pfn} is owned at order {held.order} and freed at order {order}"),)
    if not owned & mask:
        return ()
    page = (pfn >> max_order << max_order) + _lowest(owned & mask)
    holder = holder_of(state, page)
    if holder is not None and holder[0] < pfn:
        return (Refusal(NOT_A_HEAD, f"pfn {pfn} is inside the block{_held(state, page)}"),)
    return (Refusal(WRONG_ORDER, f"pfn {pfn}, order {order} takes in the block{_held(state, page)}"),)


def permits_refusal(state: Pages, op: Free | Split | Retag, errno: Errno) -> tuple[Refusal, ...]:
    """Why `op` must not be refused: it is plainly in order, or the error is another."""
    if errno is not Errno.EINVAL:
        return (Refusal(WRONG_ERROR, f"{op} was refused with {errno.name}, expected EINVAL"),)
    if not isinstance(op, Free):
        return ()
    held = state.heads.get(op.pfn)
    if held is None or held.order != op.order:
        return ()
    return (Refusal(FREE_REFUSED, f"pfn {op.pfn} is owned at order {op.order}, and its release was refused"),)


def permits_split(state: Pages, op: Split) -> tuple[Refusal, ...]:
    """Why a block must not be split: it is known to be free, or to be smaller than the parts."""
    held = state.heads.get(op.pfn)
    if held is not None:
        if 0 <= op.order <= held.order:
            return ()
        return (Refusal(WRONG_ORDER, f"pfn {op.pfn} is owned at order {held.order}, split to {op.order}"),)
    chunk = state.chunks.get(op.pfn >> state.layout.max_order, UNKNOWN)
    if chunk.free & block_mask(0, op.pfn, state.layout.max_order):
        return (Refusal(DOUBLE_FREE, f"pfn {op.pfn} is free, and is split by an owner"),)
    return ()


def apply(state: Pages, op: Op, observed: Observed) -> Pages:
    """The state after the answer.

    Ensures   a failed operation changes nothing
    Permits   a forbidden answer too: it is believed, and what contradicts it becomes unknown
    """
    if isinstance(op, Alloc):
        return apply_grant(state, op, observed.pfn) if isinstance(observed, Granted) else state
    if not isinstance(observed, Done):
        return state
    if isinstance(op, Free):
        return apply_free(state, op.pfn, op.order)
    return _apply_split(state, op) if isinstance(op, Split) else _apply_retag(state, op)


def apply_grant(state: Pages, op: Alloc, pfn: int) -> Pages:
    """The block (pfn, op.order) is owned."""
    order, max_order = op.order, state.layout.max_order
    if not 0 <= order <= max_order or pfn & ((1 << order) - 1):
        return state
    index = pfn >> max_order
    owned, free, absent = state.chunks.get(index, UNKNOWN)
    mask = ((1 << (1 << order)) - 1) << (pfn & ((1 << max_order) - 1))
    if owned & mask:
        state = _forget(state, pfn, order)
        owned = state.chunks[index].owned
    return Pages(
        state.layout,
        state.heads.set(pfn, Owned(order, op.migratetype)),
        state.chunks.set(index, Chunk(owned | mask, free & ~mask, absent)),
        state.types,
    )


def apply_free(state: Pages, pfn: int, order: int) -> Pages:
    """The block (pfn, order) is free."""
    max_order = state.layout.max_order
    if not 0 <= order <= max_order or pfn & ((1 << order) - 1):
        return state
    index = pfn >> max_order
    mask = ((1 << (1 << order)) - 1) << (pfn & ((1 << max_order) - 1))
    owned, free, absent = state.chunks.get(index, UNKNOWN)
    held = state.heads.get(pfn)
    if held is not None and held.order == order:
        heads = state.heads.delete(pfn)
    elif owned & mask:
        state = _forget(state, pfn, order)
        heads, owned = state.heads, state.chunks[index].owned
    else:
        heads = state.heads
    chunk = Chunk(owned & ~mask, free | (mask & ~absent), absent)
    return Pages(state.layout, heads, state.chunks.set(index, chunk), state.types)


def split_witness(state: Pages, op: Free) -> Split | None:
    """The silent split that explains why part of an owned block is given back, if one does.

    A kernel splits a block in its owner's hands without any event; a trace shows only the parts coming back.
    """
    if not 0 <= op.order <= state.layout.max_order or op.pfn & ((1 << op.order) - 1):
        return None
    holder = holder_of(state, op.pfn)
    if holder is None or holder[1].order <= op.order:
        return None
    return Split(holder[0], op.order)


def _apply_split(state: Pages, op: Split) -> Pages:
    held = state.heads.get(op.pfn)
    if held is None or not 0 <= op.order <= held.order:
        return state
    part = Owned(op.order, held.migratetype)
    parts = dict.fromkeys(range(op.pfn, op.pfn + (1 << held.order), 1 << op.order), part)
    return Pages(state.layout, state.heads.update(parts), state.chunks, state.types)


def _apply_retag(state: Pages, op: Retag) -> Pages:
    block = op.pfn >> state.layout.pageblock_order
    if op.migratetype is not None:
        types = state.types.set(block, int(op.migratetype))
    elif block in state.types:
        types = state.types.delete(block)
    else:
        types = state.types
    return Pages(state.layout, state.heads, state.chunks, types)


def _forget(state: Pages, pfn: int, order: int) -> Pages:
    """Nothing is known any more of the owned blocks that overlap (pfn, order)."""
    max_order = state.layout.max_order
    index = pfn >> max_order
    owned, free, absent = state.chunks.get(index, UNKNOWN)
    overlapping = [head for head in range(pfn, pfn + (1 << order)) if head in state.heads]
    holder = holder_of(state, pfn)
    if holder is not None and holder[0] not in overlapping:
        overlapping.append(holder[0])
    heads = state.heads
    for head in overlapping:
        owned &= ~block_mask(heads[head].order, head, max_order)
        heads = heads.delete(head)
    return Pages(state.layout, heads, state.chunks.set(index, Chunk(owned, free, absent)), state.types)


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def _held(state: Pages, page: int) -> str:
    holder = holder_of(state, page)
    return "" if holder is None else f" at pfn {holder[0]}, order {holder[1].order}"
