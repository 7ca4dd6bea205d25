"""Zones as flat arrays: the primitives of `linuxmm.model.alloc.freelist` over one arena.

One arena holds all zones of a machine.  `mem` (int32) has three words, next, prev and tag, a page frame and
list head: doubly linked lists as the kernel links pages, one cache line a page.  `st` (int64) holds
counters, the numbers of per-CPU lists and the pageblock types; 12 bytes a frame and 8 a pageblock.

A zone is a `FastZone`: the arrays and where this zone's part begins.  The functions below have the names and
the meaning of the model's primitives; `linuxmm.fast.events` pairs them.
"""

from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy import uintp as U  # noqa: N812  (short because it stands in every index)
from numpy.typing import NDArray

from linuxmm.model.alloc.freelist import CMA, HIGHATOMIC, ISOLATE
from linuxmm.spec.alloc.pcp import PcpVars
from linuxmm.spec.vocabulary import NR_MIGRATETYPES

Int32s: TypeAlias = NDArray[np.int32]
Int64s: TypeAlias = NDArray[np.int64]

PREV: Final = 1
TAG: Final = 2
WORDS: Final = 3

FREE: Final = 0x100
CACHED: Final = 0x200
IN_USE: Final = 0x400
MOVABLE_BIT: Final = 0x80
ORDER_MASK: Final = 0xF
TYPE_SHIFT: Final = 4
TYPE_MASK: Final = 0x7

# Per-zone counters in `st`, from `FastZone.counters` on.
NR_FREE: Final = 0
NR_FREE_CMA: Final = 1
NR_FREE_HIGHATOMIC: Final = 2
RESERVED_HIGHATOMIC: Final = 3
NR_ISOLATED: Final = 4
BOOST: Final = 5
BOOST_FACTOR: Final = 6
BOOSTED: Final = 7
BELOW_HIGH: Final = 8
RECLAIM_ACTIVE: Final = 9
MANAGED: Final = 10
WATERMARK: Final = 11
LOWMEM_RESERVE: Final = 14
NODE: Final = 20
KIND: Final = 21
AREA_FREE: Final = 22
NR_AREAS: Final = 16
PCP_VARS: Final = AREA_FREE + NR_AREAS
NR_PCP_VARS: Final = 9


class FastZone(NamedTuple):
    """One zone in an arena.

    mem, st     the arena's arrays
    log         events of the step in progress: log[0] = used words, then records of seven words
    heads       node of the zone's first list head; per order NR_MIGRATETYPES heads, then per-CPU heads
    counters    index of the zone's first counter in `st`
    blocks      index in `st` of the type of pageblock 0 of the machine
    start, end  pfns of the zone's span, end exclusive
    block_order, lists_per_cpu, nr_orders
    """

    mem: Int32s
    st: Int64s
    log: Int64s
    heads: int
    counters: int
    blocks: int
    start: int
    end: int
    block_order: int
    lists_per_cpu: int
    nr_orders: int


# ---- nodes and lists -------------------------------------------------------------------------------------


def _tag(z: FastZone, pfn: int) -> int:
    return np.int64(z.mem[U(3 * pfn + TAG)])  # type: ignore[return-value]


def _head_node(z: FastZone, order: int, migratetype: int) -> int:
    return z.heads + order * NR_MIGRATETYPES + migratetype


def _pcp_node(z: FastZone, cpu: int, index: int) -> int:
    return z.heads + z.nr_orders * NR_MIGRATETYPES + cpu * z.lists_per_cpu + index


def _link_first(z: FastZone, head: int, node: int) -> None:
    m = z.mem
    first = np.int64(m[U(3 * head)])
    m[U(3 * node)] = first
    m[U(3 * node + PREV)] = head
    m[U(3 * first + PREV)] = node
    m[U(3 * head)] = node


def _link_last(z: FastZone, head: int, node: int) -> None:
    m = z.mem
    last = np.int64(m[U(3 * head + PREV)])
    m[U(3 * node)] = head
    m[U(3 * node + PREV)] = last
    m[U(3 * last)] = node
    m[U(3 * head + PREV)] = node


def _unlink(z: FastZone, node: int) -> None:
    m = z.mem
    after = np.int64(m[U(3 * node)])
    before = np.int64(m[U(3 * node + PREV)])
    m[U(3 * before)] = after
    m[U(3 * after + PREV)] = before


def _set_tag(z: FastZone, pfn: int, tag: int) -> None:
    z.mem[U(3 * pfn + TAG)] = tag


def _get(z: FastZone, counter: int) -> int:
    return z.st[U(z.counters + counter)]  # type: ignore[no-any-return]


def _put(z: FastZone, counter: int, value: int) -> None:
    z.st[U(z.counters + counter)] = value


# ---- questions -------------------------------------------------------------------------------------------


def is_free_block(z: FastZone, pfn: int, order: int) -> bool:
    if pfn < z.start or pfn >= z.end:
        return False
    return (_tag(z, pfn) & (FREE | ORDER_MASK)) == (FREE | order)


def free_order(z: FastZone, pfn: int) -> int:
    if pfn < z.start or pfn >= z.end:
        return -1
    tag = _tag(z, pfn)
    return tag & ORDER_MASK if tag & FREE else -1


def free_list_of(z: FastZone, pfn: int) -> int:
    if pfn < z.start or pfn >= z.end:
        return -1
    tag = _tag(z, pfn)
    return (tag >> TYPE_SHIFT) & TYPE_MASK if tag & FREE else -1


def list_head(z: FastZone, order: int, migratetype: int) -> int:
    head = _head_node(z, order, migratetype)
    first = np.int64(z.mem[U(3 * head)])
    return -1 if first == head else first  # type: ignore[return-value]


def free_blocks(z: FastZone, order: int) -> int:
    return _get(z, AREA_FREE + order)


def pageblock_type(z: FastZone, pfn: int) -> int:
    return z.st[U(z.blocks + (pfn >> z.block_order))]  # type: ignore[no-any-return]


def spans(z: FastZone, pfn: int) -> bool:
    return z.start <= pfn < z.end


def movable_in_use(z: FastZone, pfn: int) -> int:
    tag = _tag(z, pfn)
    if tag & IN_USE and tag & MOVABLE_BIT:
        return 1 << (tag & ORDER_MASK)
    return 0


def nr_free_pages(z: FastZone) -> int:
    return _get(z, NR_FREE)


def nr_free_cma(z: FastZone) -> int:
    return _get(z, NR_FREE_CMA)


def nr_free_highatomic(z: FastZone) -> int:
    return _get(z, NR_FREE_HIGHATOMIC)


def reserved_highatomic(z: FastZone) -> int:
    return _get(z, RESERVED_HIGHATOMIC)


def managed_pages(z: FastZone) -> int:
    return _get(z, MANAGED)


def watermark_of(z: FastZone, which: int) -> int:
    return _get(z, WATERMARK + which)


def boost_of(z: FastZone) -> int:
    return _get(z, BOOST)


def boost_factor_of(z: FastZone) -> int:
    return _get(z, BOOST_FACTOR)


def lowmem_reserve_of(z: FastZone, class_index: int) -> int:
    return _get(z, LOWMEM_RESERVE + class_index)


def has_isolated(z: FastZone) -> bool:
    return _get(z, NR_ISOLATED) != 0


def is_below_high(z: FastZone) -> bool:
    return _get(z, BELOW_HIGH) != 0


def is_reclaim_active(z: FastZone) -> bool:
    return _get(z, RECLAIM_ACTIVE) != 0


def is_boosted_watermark(z: FastZone) -> bool:
    return _get(z, BOOSTED) != 0


# ---- free lists ------------------------------------------------------------------------------------------


def add_head(z: FastZone, pfn: int, order: int, migratetype: int) -> FastZone:
    _link_first(z, _head_node(z, order, migratetype), pfn)
    _set_tag(z, pfn, FREE | order | migratetype << TYPE_SHIFT)
    _put(z, AREA_FREE + order, _get(z, AREA_FREE + order) + 1)
    return z


def add_tail(z: FastZone, pfn: int, order: int, migratetype: int) -> FastZone:
    _link_last(z, _head_node(z, order, migratetype), pfn)
    _set_tag(z, pfn, FREE | order | migratetype << TYPE_SHIFT)
    _put(z, AREA_FREE + order, _get(z, AREA_FREE + order) + 1)
    return z


def remove(z: FastZone, pfn: int, order: int) -> FastZone:
    _unlink(z, pfn)
    _set_tag(z, pfn, 0)
    _put(z, AREA_FREE + order, _get(z, AREA_FREE + order) - 1)
    return z


def account(z: FastZone, pages: int, migratetype: int) -> FastZone:
    if migratetype == ISOLATE:
        return z
    _put(z, NR_FREE, _get(z, NR_FREE) + pages)
    return add_free_of_type(z, migratetype, pages)


def add_nr_free(z: FastZone, pages: int) -> FastZone:
    _put(z, NR_FREE, _get(z, NR_FREE) + pages)
    return z


def add_free_of_type(z: FastZone, migratetype: int, pages: int) -> FastZone:
    if migratetype == CMA:
        _put(z, NR_FREE_CMA, _get(z, NR_FREE_CMA) + pages)
    elif migratetype == HIGHATOMIC:
        _put(z, NR_FREE_HIGHATOMIC, _get(z, NR_FREE_HIGHATOMIC) + pages)
    return z


# ---- pageblocks, reserves, flags -------------------------------------------------------------------------


def set_pageblock_type(z: FastZone, pfn: int, migratetype: int) -> FastZone:
    z.st[U(z.blocks + (pfn >> z.block_order))] = migratetype
    return z


def set_reserved_highatomic(z: FastZone, pages: int) -> FastZone:
    _put(z, RESERVED_HIGHATOMIC, pages)
    return z


def add_isolated(z: FastZone, pageblocks: int) -> FastZone:
    _put(z, NR_ISOLATED, _get(z, NR_ISOLATED) + pageblocks)
    return z


def set_boost(z: FastZone, pages: int) -> FastZone:
    _put(z, BOOST, pages)
    return z


def set_boosted_watermark(z: FastZone, on: bool) -> FastZone:
    _put(z, BOOSTED, 1 if on else 0)
    return z


def set_below_high(z: FastZone, on: bool) -> FastZone:
    _put(z, BELOW_HIGH, 1 if on else 0)
    return z


# ---- per-CPU lists ---------------------------------------------------------------------------------------


def pcp_vars(z: FastZone, cpu: int) -> PcpVars:
    s = z.st
    at = z.counters + PCP_VARS + cpu * NR_PCP_VARS
    return PcpVars(
        s[U(at)],
        s[U(at + 1)],
        s[U(at + 2)],
        s[U(at + 3)],
        s[U(at + 4)],
        s[U(at + 5)],
        s[U(at + 6)],
        s[U(at + 7)],
        s[U(at + 8)],
    )


def set_pcp_vars(z: FastZone, cpu: int, v: PcpVars) -> FastZone:
    s = z.st
    at = z.counters + PCP_VARS + cpu * NR_PCP_VARS
    s[U(at)] = v.pages
    s[U(at + 1)] = v.batch
    s[U(at + 2)] = v.high
    s[U(at + 3)] = v.high_min
    s[U(at + 4)] = v.high_max
    s[U(at + 5)] = v.factor
    s[U(at + 6)] = v.free_count
    s[U(at + 7)] = v.flags
    s[U(at + 8)] = v.scale_max
    return z


def _count_cached(z: FastZone, cpu: int, pages: int) -> None:
    at = U(z.counters + PCP_VARS + cpu * NR_PCP_VARS)
    z.st[at] = z.st[at] + pages


def pcp_head(z: FastZone, cpu: int, index: int) -> int:
    head = _pcp_node(z, cpu, index)
    first = np.int64(z.mem[U(3 * head)])
    return -1 if first == head else first  # type: ignore[return-value]


def pcp_tail(z: FastZone, cpu: int, index: int) -> int:
    head = _pcp_node(z, cpu, index)
    last = np.int64(z.mem[U(3 * head + PREV)])
    return -1 if last == head else last  # type: ignore[return-value]


def cached_type(z: FastZone, pfn: int) -> int:
    return (_tag(z, pfn) >> TYPE_SHIFT) & TYPE_MASK


def pcp_add_head(z: FastZone, cpu: int, index: int, pfn: int, order: int, migratetype: int) -> FastZone:
    _link_first(z, _pcp_node(z, cpu, index), pfn)
    _set_tag(z, pfn, CACHED | order | migratetype << TYPE_SHIFT)
    _count_cached(z, cpu, 1 << order)
    return z


def pcp_add_tail(z: FastZone, cpu: int, index: int, pfn: int, order: int, migratetype: int) -> FastZone:
    _link_last(z, _pcp_node(z, cpu, index), pfn)
    _set_tag(z, pfn, CACHED | order | migratetype << TYPE_SHIFT)
    _count_cached(z, cpu, 1 << order)
    return z


def pcp_remove(z: FastZone, cpu: int, index: int, pfn: int) -> FastZone:
    order = _tag(z, pfn) & ORDER_MASK
    _unlink(z, pfn)
    _set_tag(z, pfn, 0)
    _count_cached(z, cpu, -(1 << order))
    return z


# ---- pages in use ----------------------------------------------------------------------------------------


def set_in_use(z: FastZone, pfn: int, order: int, movable: bool) -> FastZone:
    _set_tag(z, pfn, IN_USE | order | (MOVABLE_BIT if movable else 0))
    return z


def clear_in_use(z: FastZone, pfn: int) -> FastZone:
    # A block that comes back is in use or was never seen: no need to read its tag, rarely in a cache.
    _set_tag(z, pfn, 0)
    return z


def count_work(z: FastZone, what: int) -> FastZone:
    return z
