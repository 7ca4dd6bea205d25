"""From a kernel profile to the rules of its page allocator.

Linux: mm/page_alloc.c.  Seed 2.1.1 (F012, F013, F016-F031).
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from linuxmm.model.alloc import (
    buddy,
    fallback_claim,
    fallback_largest,
    fallback_steal,
    isolate,
    movement,
    pcp,
    pcp_cold,
    pcp_single,
    request,
    request_2_4,
    request_2_4_0,
    slowpath_by_order,
    watermark,
    zonelist_eras,
    zonelist_turns,
)
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc import migratetype
from linuxmm.spec.alloc import pcp as pcp_formulas
from linuxmm.spec.alloc import request as request_formulas
from linuxmm.spec.alloc import watermark as watermark_formulas
from linuxmm.spec.kernel import Arch, Kernel, Version, behaviour

# Importing a module registers its behaviours.
REGISTERED = (
    buddy,
    fallback_claim,
    fallback_largest,
    fallback_steal,
    migratetype,
    movement,
    pcp,
    pcp_cold,
    pcp_formulas,
    pcp_single,
    request,
    request_2_4,
    request_2_4_0,
    request_formulas,
    slowpath_by_order,
    watermark,
    watermark_formulas,
    zonelist_eras,
    zonelist_turns,
)


def max_page_order(kernel: Kernel) -> int:
    """The largest order of a block: 10 unless FORCE_MAX_ZONEORDER says otherwise (2.4 had orders 0 to 9)."""
    if kernel.version < Version(2, 6, 0):
        return 9
    return kernel.config.force_max_zoneorder - 1


def pageblock_order(kernel: Kernel) -> int:
    """The order of a pageblock: a huge page where hugetlb is built in, else the largest block.

    Source    include/linux/pageblock-flags.h; 2.6.24 to 6.12
    """
    largest = max_page_order(kernel)
    if kernel.version < Version(2, 6, 24) or not kernel.config.hugetlb_page:
        return largest
    huge = 10 if kernel.arch is Arch.I386 else 9
    return min(huge, largest)


@behaviour(
    "alloc.pcp-layout",
    since="2.4.0",
    until="2.5.999",
    features=("F020",),
    source="include/linux/mmzone.h:struct zone_struct; 2.4.0, 2.4.16, 2.4.22",
)
def layout_none(huge: bool) -> tuple[int, Any, Any, Any]:
    """(number of lists, allowed orders, list of a block, order of a list): there are none."""
    return (
        0,
        pcp_formulas.no_order,
        pcp_formulas.index_single,
        pcp_formulas.order_zero_of_index,
    )


@behaviour(
    "alloc.pcp-layout",
    since="2.6.0",
    until="2.6.24",
    features=("F020",),
    source="include/linux/mmzone.h:struct per_cpu_pageset; 2.6.11, 2.6.18, 2.6.24",
)
def layout_hot_and_cold(huge: bool) -> tuple[int, Any, Any, Any]:
    """A hot list and a cold one."""
    return (
        2,
        pcp_formulas.order_zero_only,
        pcp_formulas.index_single,
        pcp_formulas.order_zero_of_index,
    )


@behaviour(
    "alloc.pcp-layout",
    since="2.6.25",
    until="2.6.31",
    features=("F020",),
    source="include/linux/mmzone.h:struct per_cpu_pages; 2.6.28, 2.6.31",
)
def layout_single(huge: bool) -> tuple[int, Any, Any, Any]:
    """One list."""
    return (
        1,
        pcp_formulas.order_zero_only,
        pcp_formulas.index_single,
        pcp_formulas.order_zero_of_index,
    )


@behaviour(
    "alloc.pcp-layout",
    since="2.6.32",
    until="4.3",
    features=("F020",),
    source="include/linux/mmzone.h:struct per_cpu_pages; 2.6.32 to 4.3",
)
def layout_by_type_reclaimable_first(huge: bool) -> tuple[int, Any, Any, Any]:
    """One list per migratetype, RECLAIMABLE before MOVABLE."""
    return (
        3,
        pcp_formulas.order_zero_only,
        pcp_formulas.index_by_type_reclaimable_first,
        pcp_formulas.order_zero_of_index,
    )


@behaviour(
    "alloc.pcp-layout",
    since="4.4",
    until="5.13",
    features=("F020",),
    source="include/linux/mmzone.h:struct per_cpu_pages; 4.4 to 5.11",
)
def layout_by_type(huge: bool) -> tuple[int, Any, Any, Any]:
    """One list per migratetype."""
    return (
        3,
        pcp_formulas.order_zero_only,
        pcp_formulas.index_by_type,
        pcp_formulas.order_zero_of_index,
    )


def _allowed(huge: bool) -> Callable[[int, int], bool]:
    return pcp_formulas.costly_orders_and_pageblocks if huge else pcp_formulas.costly_orders_too


@behaviour(
    "alloc.pcp-layout",
    since="5.14",
    until="5.19",
    features=("F020", "F021"),
    source="mm/page_alloc.c:order_to_pindex; 5.14 to 5.19",
)
def layout_by_order_and_type(huge: bool) -> tuple[int, Any, Any, Any]:
    """One list per order 0 to 3 and migratetype; with huge pages three more."""
    return (
        15 if huge else 12,
        _allowed(huge),
        pcp_formulas.index_by_order_and_type,
        pcp_formulas.order_of_index,
    )


@behaviour(
    "alloc.pcp-layout",
    since="6.0",
    until="6.9",
    replaced_in=("6.1.158", "6.6.80"),
    features=("F020", "F021"),
    source="mm/page_alloc.c:order_to_pindex; 6.0 to 6.9",
)
def layout_one_huge_list(huge: bool) -> tuple[int, Any, Any, Any]:
    """One list per order 0 to 3 and migratetype; with huge pages one more."""
    return (
        13 if huge else 12,
        _allowed(huge),
        pcp_formulas.index_one_huge_list,
        pcp_formulas.order_of_index,
    )


@behaviour(
    "alloc.pcp-layout",
    since="6.10",
    backports=("6.1.158", "6.6.80"),
    features=("F020", "F021"),
    source="mm/page_alloc.c:order_to_pindex; 6.1.158, 6.1.192, 6.6.80, 6.6.87, 6.10 to 6.12",
)
def layout_two_huge_lists(huge: bool) -> tuple[int, Any, Any, Any]:
    """One list per order 0 to 3 and migratetype; with huge pages two more, not movable and movable."""
    return (
        14 if huge else 12,
        _allowed(huge),
        pcp_formulas.index_two_huge_lists,
        pcp_formulas.order_of_index,
    )


@behaviour(
    "alloc.pcp-numbers",
    since="2.4.0",
    until="2.6.12",
    features=("F020",),
    source="mm/page_alloc.c:free_hot_cold_page; 2.6.11, 2.6.12",
)
def numbers_low_mark() -> tuple[Any, Any, Any]:
    """A fixed batch, given back by the free after the one that reached the limit."""
    return pcp_formulas.alloc_unchanged, pcp_formulas.refill_batch, pcp_formulas.commit_batch_beyond


@behaviour(
    "alloc.pcp-numbers",
    since="2.6.13",
    until="5.13",
    features=("F020",),
    source="mm/page_alloc.c:free_hot_cold_page, free_unref_page_commit; 2.6.13 to 5.12",
)
def numbers_fixed_batch() -> tuple[Any, Any, Any]:
    """(at an allocation, pages to fetch, pages to give back): a fixed batch."""
    return pcp_formulas.alloc_unchanged, pcp_formulas.refill_batch, pcp_formulas.commit_batch


@behaviour(
    "alloc.pcp-numbers",
    since="5.14",
    until="5.17",
    features=("F020", "F027"),
    source="mm/page_alloc.c:nr_pcp_free; 5.14 to 5.17",
)
def numbers_doubling() -> tuple[Any, Any, Any]:
    """The batch doubles while pages are only freed."""
    return (
        pcp_formulas.alloc_halves_free_factor,
        pcp_formulas.refill_scaled,
        pcp_formulas.commit_doubling,
    )


@behaviour(
    "alloc.pcp-numbers",
    since="5.18",
    until="6.6",
    replaced_in=("6.1.158", "6.6.80"),
    features=("F020", "F027"),
    source="mm/page_alloc.c:nr_pcp_free, nr_pcp_high; 5.18 to 6.6",
)
def numbers_free_high() -> tuple[Any, Any, Any]:
    """As before; high-order blocks freed in a row empty the lists."""
    return (
        pcp_formulas.alloc_halves_free_factor,
        pcp_formulas.refill_scaled,
        pcp_formulas.commit_free_high,
    )


@behaviour(
    "alloc.pcp-numbers",
    since="6.1.158",
    until="6.0",
    backports=("6.1.158", "6.6.80"),
    features=("F020", "F027"),
    source="mm/page_alloc.c:nr_pcp_free, nr_pcp_high; 6.1.158, 6.1.192, 6.6.80; only in stable releases",
)
def numbers_free_high_capped() -> tuple[Any, Any, Any]:
    """As before; the doubling is capped."""
    return (
        pcp_formulas.alloc_halves_free_factor,
        pcp_formulas.refill_scaled,
        pcp_formulas.commit_free_high_capped,
    )


@behaviour(
    "alloc.pcp-numbers",
    since="6.7",
    features=("F020", "F027"),
    source="mm/page_alloc.c:nr_pcp_alloc, nr_pcp_high, nr_pcp_free; 6.7 to 6.12",
)
def numbers_adaptive() -> tuple[Any, Any, Any]:
    """The limit adapts to allocation and free rates."""
    return (
        pcp_formulas.alloc_halves_free_count,
        pcp_formulas.refill_adaptive,
        pcp_formulas.commit_adaptive,
    )


@lru_cache(maxsize=64)
def rules_for(kernel: Kernel, grouping_disabled: bool = False, block_order: int | None = None) -> Rules:
    """The allocator rules of a kernel.

    block_order: pageblock_order where evidence shows another than the configuration implies
    Errors    Unmodelled, ImpossibleProfile
    """

    def rule(name: str) -> Any:
        return kernel.behaviour(name).function

    lists, allowed, index, order = rule("alloc.pcp-layout")(kernel.config.transparent_hugepage)
    at_alloc, refill, commit = rule("alloc.pcp-numbers")()
    return Rules(
        max_order=max_page_order(kernel),
        pageblock_order=pageblock_order(kernel) if block_order is None else block_order,
        grouping_disabled=grouping_disabled,
        cma=kernel.config.cma,
        nr_pcp_lists=lists,
        may_absorb=rule("alloc.may-absorb"),
        merges_alike=rule("alloc.merges-alike"),
        absorb=rule("alloc.absorb"),
        wants_tail=rule("alloc.wants-tail"),
        place_moved=_rule_or(kernel, "alloc.place-moved", movement.move_to_head),
        take=rule("alloc.take"),
        claims_block=_rule_or(kernel, "alloc.claims-block", migratetype.claims_block_large_or_reclaimable),
        alike_pages=_rule_or(kernel, "alloc.alike-pages", migratetype.alike_pages_ignored),
        small_zones_boost=rule("alloc.small-zones-boost"),
        refused_boost_wakes=rule("alloc.refused-boost"),
        steal=rule("alloc.steal"),
        account_removed=rule("alloc.account-removed"),
        account_taken=rule("alloc.account-taken"),
        account_done=rule("alloc.account-done"),
        account_isolated=rule("alloc.account-isolated"),
        retag_isolated=rule("alloc.retag-isolated"),
        unisolate=rule("alloc.unisolate"),
        putback_to_tail=rule("alloc.putback"),
        make_movable=_rule_or(kernel, "alloc.make-movable", isolate.make_movable_tag),
        pcp_allowed=allowed,
        pcp_index=index,
        pcp_order=order,
        pcp_alloc=at_alloc,
        pcp_refill=refill,
        pcp_commit=commit,
        pcp_serves=rule("alloc.pcp-serves"),
        pcp_take=rule("alloc.pcp-take"),
        pcp_put=rule("alloc.pcp-put"),
        pcp_drain=rule("alloc.pcp-drain"),
        drained_type=rule("alloc.drained-type"),
        mark_after_reserves=rule("alloc.watermark-mark"),
        unusable_free=rule("alloc.watermark-unusable"),
        counts_highatomic=_rule_or(
            kernel, "alloc.watermark-highatomic-list", watermark_formulas.counts_highatomic_harder
        ),
        highatomic_pages=rule("alloc.highatomic-pages"),
        highatomic_limit=_rule_or(
            kernel, "alloc.highatomic-limit", watermark_formulas.highatomic_limit_one_percent_and_block
        ),
        take_highatomic=rule("alloc.take-highatomic"),
        free_large=rule("alloc.free-large"),
        zone_passes=rule("alloc.zone-passes"),
        walk=rule("alloc.walk"),
        slowpath_flags=rule("alloc.slowpath-flags"),
        reserve_flags=rule("alloc.reserve-flags"),
        nofragment=rule("alloc.nofragment"),
        watermark_ok=rule("alloc.watermark-ok"),
        watermark_fast=rule("alloc.watermark-fast"),
        reserve_highatomic=_rule_or(kernel, "alloc.reserve-highatomic", watermark.reserve_highatomic_block),
    )


def _rule_or(kernel: Kernel, name: str, unused: Callable[..., Any]) -> Any:
    """The behaviour of a rule, or `unused` for kernels older than the rule, which never call it."""
    from linuxmm.spec.kernel import behaviours

    oldest = min(b.since for b in behaviours() if b.rule == name)
    return unused if kernel.version < oldest else kernel.behaviour(name).function
