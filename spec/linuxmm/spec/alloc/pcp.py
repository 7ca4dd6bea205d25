"""Per-CPU page lists: how many pages a CPU keeps to itself, how many it fetches, how many it gives back.

`PcpVars` holds the numbers of one (zone, CPU); the functions of a generation map them to new numbers and to
the pages to fetch or to give back.  All quantities are pages.

Linux: mm/page_alloc.c.  Seed 2.1.1.4 (F020, F021, F023, F025, F027).  2.5 to 6.12.
"""

from typing import Final, NamedTuple

from linuxmm.spec.arith import clamp, rounddown_pow_of_two
from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.vocabulary import PAGE_ALLOC_COSTLY_ORDER, PAGE_SIZE

PCPF_PREV_FREE_HIGH_ORDER: Final = 1
PCPF_FREE_HIGH_BATCH: Final = 2
NR_LOWORDER_PCP_LISTS: Final = 12
MIN_PERCPU_PAGELIST_HIGH_FRACTION: Final = 8
BOOT_PAGESET_HIGH: Final = 0
BOOT_PAGESET_BATCH: Final = 1


class PcpVars(NamedTuple):
    """The numbers of one CPU's lists in one zone.

    pages       pages on the lists (pcp->count)
    batch       pages moved at a time
    high        limit of count; adapted between high_min and high_max since 6.7
    factor      free_factor (5.14 to 6.6) or alloc_factor (since 6.7): doublings of the batch
    free_count  pages freed lately without allocation (since 6.7)
    flags       PCPF_* (since 6.7)
    scale_max   CONFIG_PCP_BATCH_SCALE_MAX

    Up to 2.6.24 a CPU has a hot and a cold list, and `pages` counts both.  The cold list's numbers stand in
    the words that these kernels do not need: high_min its high, high_max its batch, free_count its pages;
    factor is the number of pages at which the hot list is refilled (not 0 up to 2.6.14).
    """

    pages: int
    batch: int
    high: int
    high_min: int
    high_max: int
    factor: int
    free_count: int
    flags: int
    scale_max: int


def boot_pageset(scale_max: int) -> PcpVars:
    """The lists of a CPU before their sizes are computed: every page goes straight to the buddy lists."""
    return PcpVars(0, BOOT_PAGESET_BATCH, 0, 0, 0, 0, 0, 0, scale_max)


def with_pages(v: PcpVars, pages: int) -> PcpVars:
    """`v` with another number of pages."""
    return PcpVars(
        pages, v.batch, v.high, v.high_min, v.high_max, v.factor, v.free_count, v.flags, v.scale_max
    )


def with_factor(v: PcpVars, factor: int) -> PcpVars:
    """`v` with another factor."""
    return PcpVars(
        v.pages, v.batch, v.high, v.high_min, v.high_max, factor, v.free_count, v.flags, v.scale_max
    )


def with_high(v: PcpVars, high: int) -> PcpVars:
    """`v` with another high."""
    return PcpVars(
        v.pages, v.batch, high, v.high_min, v.high_max, v.factor, v.free_count, v.flags, v.scale_max
    )


def with_frees(v: PcpVars, free_count: int, flags: int) -> PcpVars:
    """`v` with another record of recent frees."""
    return PcpVars(v.pages, v.batch, v.high, v.high_min, v.high_max, v.factor, free_count, flags, v.scale_max)


# ---- sizes -----------------------------------------------------------------------------------------------


def batch_size(managed: int, limit_bytes: int) -> int:
    """The batch of a zone before the floor of 1: 2**n - 1 near managed / 4096, bounded by limit_bytes / 4.

    Ensures   0 <= result < limit in pages * 3 / 8
    Source    mm/page_alloc.c:zone_batchsize
    """
    batch = max(min(managed >> 10, limit_bytes // PAGE_SIZE) // 4, 1)
    return rounddown_pow_of_two(batch + batch // 2) - 1


def batch_unrounded(managed: int, limit_bytes: int) -> int:
    """The batch of a zone: near managed / 4096, bounded by limit_bytes / 4, at least 1.

    Source    mm/page_alloc.c:free_area_init_core; 2.6.11
    """
    return max(min(managed >> 10, limit_bytes // PAGE_SIZE) // 4, 1)


def batch_doubled(managed: int, limit_bytes: int) -> int:
    """The batch of a zone: one less than the power of two above one and a half of the unrounded batch.

    Source    mm/page_alloc.c:free_area_init_core; 2.6.12
    """
    batch = batch_unrounded(managed, limit_bytes)
    return 2 * rounddown_pow_of_two(batch + batch // 2) - 1


@behaviour(
    "alloc.pcp-batch-limit",
    since="2.6.0",
    until="2.6.14",
    features=("F020",),
    source="mm/page_alloc.c:free_area_init_core; 2.6.11 to 2.6.14",
)
def batch_limit_256k() -> int:
    """Bytes that a batch times four may cover: 256 KiB."""
    return 256 * 1024


@behaviour(
    "alloc.pcp-batch-limit",
    since="2.6.15",
    until="4.18",
    features=("F020",),
    source="mm/page_alloc.c:zone_batchsize; 2.6.15 to 4.18",
)
def batch_limit_512k() -> int:
    """Bytes that a batch times four may cover: 512 KiB."""
    return 512 * 1024


@behaviour(
    "alloc.pcp-batch-limit",
    since="4.19",
    features=("F020",),
    source="mm/page_alloc.c:zone_batchsize; 4.19 to 6.12",
)
def batch_limit_1m() -> int:
    """Bytes that a batch times four may cover: 1 MiB."""
    return 1024 * 1024


def high_six_batches(batch: int) -> int:
    """pcp->high up to 5.13, from the batch before its floor of 1.

    Source    mm/page_alloc.c:setup_pageset, pageset_set_batch; 2.5 to 5.13
    """
    return 6 * batch


def high_from_fraction(managed: int, fraction: int) -> tuple[int, int]:
    """(high, batch) from vm.percpu_pagelist_fraction up to 5.13.

    Requires  fraction >= 8
    Source    mm/page_alloc.c:setup_pagelist_highmark, pageset_set_high; 2.6.16 to 5.13
    """
    high = managed // fraction
    return high, min(max(1, high // 4), 96)


def high_shared_by_cpus(total: int, nr_cpus: int, batch: int) -> int:
    """pcp->high since 5.14: the low watermark (or a fraction of the zone) divided among the node's CPUs.

    Ensures   at least four batches
    Source    mm/page_alloc.c:zone_highsize; 5.14 to 6.12
    """
    return max(total // nr_cpus, batch << 2)


# ---- which list ------------------------------------------------------------------------------------------


def no_order(order: int, pageblock_order: int) -> bool:
    """Whether the lists hold blocks of this order: there are no lists.  2.4."""
    return False


def order_zero_only(order: int, pageblock_order: int) -> bool:
    """Whether the lists hold blocks of this order: single pages only.

    Source    mm/page_alloc.c:free_unref_page, rmqueue; 2.5 to 5.13, and without CONFIG_SMP semantics alike
    """
    return order == 0


def costly_orders_too(order: int, pageblock_order: int) -> bool:
    """Whether the lists hold blocks of this order: 0 to 3, no huge pages.

    Source    mm/page_alloc.c:pcp_allowed_order without CONFIG_TRANSPARENT_HUGEPAGE; 5.14 to 6.12
    """
    return order <= PAGE_ALLOC_COSTLY_ORDER


def costly_orders_and_pageblocks(order: int, pageblock_order: int) -> bool:
    """Whether the lists hold blocks of this order: 0 to 3 and a whole pageblock.

    Source    mm/page_alloc.c:pcp_allowed_order with CONFIG_TRANSPARENT_HUGEPAGE; 5.14 to 6.12
    """
    return order <= PAGE_ALLOC_COSTLY_ORDER or order == pageblock_order


def index_single(order: int, migratetype: int) -> int:
    """The list of a block: there is one (2.6.25 to 2.6.31), or it is the hot one (up to 2.6.24)."""
    return 0


def index_by_type(order: int, migratetype: int) -> int:
    """The list of a block: one per migratetype, numbered as the kernel numbered types since 4.4."""
    return migratetype


def index_by_type_reclaimable_first(order: int, migratetype: int) -> int:
    """The list of a block: one per migratetype while RECLAIMABLE was 1 and MOVABLE 2 (2.6.32 to 4.3)."""
    if migratetype == 1:
        return 2
    if migratetype == 2:
        return 1
    return migratetype


def index_by_order_and_type(order: int, migratetype: int) -> int:
    """The list of a block: order by order, three types each; pageblocks after them, three types.

    Source    mm/page_alloc.c:order_to_pindex; 5.14 to 5.19
    """
    if order > PAGE_ALLOC_COSTLY_ORDER:
        return NR_LOWORDER_PCP_LISTS + migratetype
    return 3 * order + migratetype


def index_one_huge_list(order: int, migratetype: int) -> int:
    """The list of a block: order by order, three types each; one for pageblocks of any type.

    Source    mm/page_alloc.c:order_to_pindex; 6.0 to 6.8, 6.1.y up to 6.1.55
    """
    if order > PAGE_ALLOC_COSTLY_ORDER:
        return NR_LOWORDER_PCP_LISTS
    return 3 * order + migratetype


def index_two_huge_lists(order: int, migratetype: int) -> int:
    """The list of a block: order by order, three types each; pageblocks in not movable and movable.

    Source    mm/page_alloc.c:order_to_pindex; 6.1.158, 6.1.192, 6.10 to 6.12
    """
    if order > PAGE_ALLOC_COSTLY_ORDER:
        return NR_LOWORDER_PCP_LISTS + (1 if migratetype == 1 else 0)
    return 3 * order + migratetype


def order_of_index(index: int, pageblock_order: int) -> int:
    """The order of the blocks on list `index` of the layouts since 5.14.

    Source    mm/page_alloc.c:pindex_to_order
    """
    return pageblock_order if index >= NR_LOWORDER_PCP_LISTS else index // 3


def order_zero_of_index(index: int, pageblock_order: int) -> int:
    """The order of the blocks on any list up to 5.13: 0."""
    return 0


# ---- generation up to 5.13: a fixed batch ----------------------------------------------------------------


def alloc_unchanged(v: PcpVars) -> PcpVars:
    """What an allocation does to the numbers before it looks at the list: nothing."""
    return v


def refill_batch(v: PcpVars, order: int, below_high: bool) -> tuple[PcpVars, int]:
    """Blocks to fetch when the list is empty: a batch.

    Source    mm/page_alloc.c:buffered_rmqueue, __rmqueue_pcplist; 2.5 to 5.13
    """
    return v, v.batch


def commit_batch(v: PcpVars, order: int, reclaim_active: bool, below_high: bool) -> tuple[PcpVars, int]:
    """Pages to give back after a free: a batch once the limit is reached.

    Requires  v.pages already includes the freed block
    Source    mm/page_alloc.c:free_hot_cold_page, free_unref_page_commit; 2.6.18 to 5.13
    """
    return v, v.batch if v.pages >= v.high else 0


def commit_batch_beyond(
    v: PcpVars, order: int, reclaim_active: bool, below_high: bool
) -> tuple[PcpVars, int]:
    """Pages to give back after a free: a batch if the limit was reached before it.

    Source    mm/page_alloc.c:free_hot_cold_page; 2.6.11, 2.6.12
    """
    return v, v.batch if v.pages > v.high else 0


# ---- generation 5.14 to 6.6: the batch doubles while pages are only freed ---------------------------------


def alloc_halves_free_factor(v: PcpVars) -> PcpVars:
    """An allocation halves the doublings.

    Source    mm/page_alloc.c:rmqueue_pcplist; 5.14 to 6.6
    """
    return with_factor(v, v.factor >> 1)


def refill_scaled(v: PcpVars, order: int, below_high: bool) -> tuple[PcpVars, int]:
    """Blocks to fetch: the batch scaled to the order, at least 2 unless the lists are switched off.

    Source    mm/page_alloc.c:__rmqueue_pcplist; 5.14 to 6.6
    """
    return v, max(v.batch >> order, 2) if v.batch > 1 else v.batch


def _pcp_high(v: PcpVars, reclaim_active: bool) -> int:
    return min(v.batch << 2, v.high) if reclaim_active else v.high


def commit_doubling(v: PcpVars, order: int, reclaim_active: bool, below_high: bool) -> tuple[PcpVars, int]:
    """Pages to give back after a free: the batch, doubled for each giving back since the last allocation.

    Source    mm/page_alloc.c:free_unref_page_commit, nr_pcp_free, nr_pcp_high; 5.14 to 5.17
    """
    high = _pcp_high(v, reclaim_active)
    if v.pages < high:
        return v, 0
    if high < v.batch:
        return v, 1
    batch = v.batch << v.factor
    if batch < high - v.batch:
        v = with_factor(v, v.factor + 1)
    return v, clamp(batch, v.batch, high - v.batch)


def _drain_doubling(v: PcpVars, high: int, most: int) -> tuple[PcpVars, int]:
    if high < v.batch:
        return v, 1
    batch = v.batch << v.factor
    if batch < high - v.batch and v.factor < most:
        v = with_factor(v, v.factor + 1)
    return v, clamp(batch, v.batch, high - v.batch)


def commit_emptying(v: PcpVars, order: int, reclaim_active: bool, most: int) -> tuple[PcpVars, int]:
    """Pages to give back after a free: the doubled batch, or everything for high orders freed in a row.

    most: largest number of doublings
    Source    mm/page_alloc.c:nr_pcp_free, nr_pcp_high; 5.19 to 6.6
    """
    free_high = v.factor != 0 and order != 0 and order <= PAGE_ALLOC_COSTLY_ORDER
    if v.high == 0 or free_high:
        if free_high:
            return v, v.pages
        return _drain_doubling(v, 0, most)
    high = _pcp_high(v, reclaim_active)
    if v.pages < high:
        return v, 0
    return _drain_doubling(v, high, most)


def commit_free_high(v: PcpVars, order: int, reclaim_active: bool, below_high: bool) -> tuple[PcpVars, int]:
    """As 5.14, but high-order blocks freed in a row empty the lists.

    Source    mm/page_alloc.c:free_unref_page_commit, nr_pcp_free, nr_pcp_high; 5.19 to 6.6
    """
    return commit_emptying(v, order, reclaim_active, v.factor + 1)


def commit_free_high_capped(
    v: PcpVars, order: int, reclaim_active: bool, below_high: bool
) -> tuple[PcpVars, int]:
    """As before, and the doubling is capped by CONFIG_PCP_BATCH_SCALE_MAX, as since 6.7.

    Source    mm/page_alloc.c:free_unref_page_commit, nr_pcp_free, nr_pcp_high; 6.1.158, 6.1.192
    """
    return commit_emptying(v, order, reclaim_active, v.scale_max)


# ---- generation since 6.7: high adapts -------------------------------------------------------------------


def alloc_halves_free_count(v: PcpVars) -> PcpVars:
    """An allocation halves the record of recent frees.

    Source    mm/page_alloc.c:rmqueue_pcplist; 6.7 to 6.12
    """
    return with_frees(v, v.free_count >> 1, v.flags)


def refill_adaptive(v: PcpVars, order: int, below_high: bool) -> tuple[PcpVars, int]:
    """Blocks to fetch: the batch doubles with each refill in a row, and high grows with it.

    Source    mm/page_alloc.c:nr_pcp_alloc; 6.7 to 6.12
    """
    high = clamp(v.high, v.high_min, v.high_max)
    v = with_high(v, high)
    if high < v.batch:
        return v, 1
    batch = v.batch if order else v.batch << v.factor
    if v.high_min != v.high_max and not below_high:
        high = min(high + batch, v.high_max)
        v = with_high(v, high)
    if order == 0:
        most = max(high - v.pages - v.batch, v.batch)
        if batch <= most and v.factor < v.scale_max:
            v = with_factor(v, v.factor + 1)
        batch = min(batch, most)
    if batch > 1:
        batch = max(batch >> order, 2)
    return v, batch


def _adapt_high(v: PcpVars, free_high: bool, reclaim_active: bool, below_high: bool) -> tuple[PcpVars, int]:
    """(numbers, effective high) of a free; effective high 0 means: give back whatever there is."""
    high = clamp(v.high, v.high_min, v.high_max)
    v = with_high(v, high)
    if high == 0:
        return v, 0
    if free_high:
        return with_high(v, max(high - (v.batch << v.scale_max), v.high_min)), 0
    if reclaim_active:
        v = with_high(v, max(high - max(v.free_count, v.batch), v.high_min))
        return v, min(v.batch << 2, v.high)
    if v.high_min == v.high_max:
        return v, high
    if below_high:
        v = with_high(v, max(high - max(v.free_count, v.batch), v.high_min))
        return v, max(v.pages, v.high_min)
    if v.pages >= high and v.high < v.free_count + v.batch:
        v = with_high(v, clamp(v.free_count + v.batch, v.high_min, v.high_max))
    return v, high


def commit_adaptive(v: PcpVars, order: int, reclaim_active: bool, below_high: bool) -> tuple[PcpVars, int]:
    """Pages to give back after a free: as many as were freed in a row, within batch and high - batch.

    Source    mm/page_alloc.c:free_unref_page_commit, nr_pcp_high, nr_pcp_free; 6.7 to 6.12
    """
    v = with_factor(v, v.factor >> 1)
    free_high = False
    flags = v.flags
    if order != 0 and order <= PAGE_ALLOC_COSTLY_ORDER:
        free_high = (
            v.free_count >= v.batch
            and flags & PCPF_PREV_FREE_HIGH_ORDER != 0
            and (flags & PCPF_FREE_HIGH_BATCH == 0 or v.pages >= v.batch)
        )
        flags = flags | PCPF_PREV_FREE_HIGH_ORDER
    else:
        flags = flags & ~PCPF_PREV_FREE_HIGH_ORDER
    free_count = v.free_count
    if free_count < v.batch << v.scale_max:
        free_count += 1 << order
    v = with_frees(v, free_count, flags)
    v, high = _adapt_high(v, free_high, reclaim_active, below_high)
    if v.pages < high:
        return v, 0
    if free_high:
        return v, min(v.pages, v.batch << v.scale_max)
    if high < v.batch:
        return v, 1
    return v, clamp(v.free_count, v.batch, high - v.batch)


def decayed_high(v: PcpVars) -> int:
    """pcp->high after the periodic decay of an idle CPU.

    Source    mm/page_alloc.c:decay_pcp_high; 6.7 to 6.12
    """
    if v.high <= v.high_min:
        return v.high
    return max(v.pages - (v.batch << v.scale_max), v.high - (v.high >> 3), v.high_min)


def drain_all_step(v: PcpVars) -> int:
    """Pages that one round of draining a CPU's lists gives back, under one hold of the locks.

    Source    mm/page_alloc.c:drain_pages_zone; 6.7, and 6.1.192
    """
    return min(v.pages, v.batch << v.scale_max)


@invariant(
    "alloc.pcp.count", features=("F020",), seed="2.1.1.4", source="mm/page_alloc.c:free_unref_page_commit"
)
def count_is_sum(count: int, blocks_by_order: tuple[int, ...]) -> bool:
    """The count of a CPU's lists is the number of pages on them."""
    return count == sum(blocks << order for order, blocks in enumerate(blocks_by_order))
