"""Where the rules of neighbouring eras differ: merging, isolation, boosting, stealing, reserves, sizes."""

from dataclasses import replace

import pytest
from immutables import Map

from linuxmm.model.alloc.boot import Area, Options, boot, empty_zone, sized_pages
from linuxmm.model.alloc.buddy import free_one_page
from linuxmm.model.alloc.freelist import (
    CMA,
    HIGHATOMIC,
    ISOLATE,
    NOTHING,
    Zone,
    account,
    add_tail,
    set_pageblock_type,
)
from linuxmm.model.alloc.isolate import isolate_pageblock, putback_isolated_page, unisolate_pageblock
from linuxmm.model.alloc.movable import MemoryRange
from linuxmm.model.alloc.movement import MOVABLE, RMQUEUE_NORMAL, UNMOVABLE, boost_watermark
from linuxmm.model.alloc.rules import Rules
from linuxmm.model.alloc.strategies import small_kernel, small_machine, small_rules
from linuxmm.model.alloc.unreserve import unreserve_highatomic
from linuxmm.spec.alloc.gfp import (
    ALLOC_CMA,
    ALLOC_GFP_ATOMIC,
    ALLOC_KSWAPD,
    ALLOC_NOFRAGMENT,
    GFP_ATOMIC,
    GFP_HIGH_BIT,
    GFP_KERNEL,
    GFP_NOWAIT,
)
from linuxmm.spec.alloc.request import request
from linuxmm.spec.kernel import kernel

PAGEBLOCK = 8


def zone_of(rules: Rules, kinds: tuple[int, ...], free: dict[int, tuple[int, int]]) -> Zone:
    """Pageblocks of these types, and these free blocks: pfn -> (order, type of the list)."""
    end = len(kinds) * PAGEBLOCK
    zone = empty_zone(rules, Area(0, 2, 0, end, end), 1)
    zone = replace(zone, types=kinds, managed=end, nr_isolated=kinds.count(ISOLATE))
    for pfn, (order, migratetype) in free.items():
        zone = account(add_tail(zone, pfn, order, migratetype), 1 << order, migratetype)
    return zone


# ---- merging and isolation -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "heads"), [("3.16", (0,)), ("3.19", (8, 0)), ("4.2", (8, 0)), ("4.6", (0,))]
)
def test_from_3_18_to_4_5_blocks_of_two_isolated_pageblocks_stay_apart(
    version: str, heads: tuple[int, ...]
) -> None:
    rules = small_rules(version)
    zone = zone_of(rules, (ISOLATE, ISOLATE), {0: (3, ISOLATE)})
    freed = free_one_page(rules, zone, 8, 3, ISOLATE, False)
    assert sorted(freed.free) == sorted(heads)
    assert (freed.lists[4][ISOLATE], len(freed.lists[3][ISOLATE])) == (
        ((0,), 0) if len(heads) == 1 else ((), 2)
    )


@pytest.mark.parametrize(
    ("version", "listed"),
    [("3.16", (8, 16)), ("3.19", (8, 16)), ("5.4", (8, 16)), ("5.10", (16, 8)), ("6.1.192", (16, 8))],
)
def test_a_pageblock_that_is_isolated_no_more_comes_last_since_5_10(
    version: str, listed: tuple[int, ...]
) -> None:
    rules = small_rules(version)
    zone = zone_of(rules, (MOVABLE, ISOLATE, MOVABLE), {8: (3, ISOLATE), 16: (3, MOVABLE)})
    freed = unisolate_pageblock(rules, zone, 8, MOVABLE)
    assert freed.lists[3][MOVABLE] == listed
    assert freed.nr_free == 16


@pytest.mark.parametrize(
    ("version", "isolated", "free"),
    [
        ("6.1.192", 0, {0: (4, ISOLATE)}),
        ("6.12.117", 0, {0: (3, ISOLATE), 8: (3, MOVABLE)}),
        ("6.1.192", 8, {0: (4, MOVABLE)}),
        ("6.12.117", 8, {0: (3, MOVABLE), 8: (3, ISOLATE)}),
    ],
)
def test_since_6_10_a_larger_block_is_split_where_one_of_its_pageblocks_is_isolated(
    version: str, isolated: int, free: dict[int, tuple[int, int]]
) -> None:
    rules = small_rules(version)
    zone = zone_of(rules, (MOVABLE, MOVABLE), {0: (4, MOVABLE)})
    after = isolate_pageblock(rules, zone, isolated)
    assert dict(after.free) == free
    assert after.types[isolated // PAGEBLOCK] == ISOLATE
    assert after.nr_free == sum(1 << order for order, migratetype in free.values() if migratetype == MOVABLE)
    assert unisolate_pageblock(rules, after, isolated, MOVABLE).nr_free == 16


def test_since_6_10_a_pageblock_cut_by_the_end_of_the_zone_is_not_isolated() -> None:
    rules = small_rules("6.12.117")
    zone = zone_of(rules, (MOVABLE, MOVABLE), {8: (2, MOVABLE)})
    cut = replace(zone, end=12)
    assert isolate_pageblock(rules, cut, 8) == cut


@pytest.mark.parametrize(("version", "listed"), [("5.9", (0, 16)), ("5.10", (16, 0))])
def test_a_block_that_is_put_back_comes_last_since_5_10(version: str, listed: tuple[int, ...]) -> None:
    rules = small_rules(version)
    zone = zone_of(rules, (MOVABLE,) * 3, {16: (1, MOVABLE)})
    assert putback_isolated_page(rules, zone, 0, 1, MOVABLE).lists[1][MOVABLE] == listed


# ---- boosting --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "boost", "wakes"),
    [("5.4", 8, True), ("5.7", 0, True), ("5.9", 0, True), ("5.10", 0, False), ("6.1.192", 0, False)],
)
def test_a_small_zone_is_spared_since_5_7_and_wakes_nobody_since_5_10(
    version: str, boost: int, wakes: bool
) -> None:
    rules = small_rules(version)
    zone = replace(zone_of(rules, (MOVABLE,) * 3, {}), watermark=(1, 2, 4), boost_factor=15000)
    after = boost_watermark(rules, zone, ALLOC_KSWAPD)
    assert (after.boost, after.boosted_watermark) == (boost, wakes)
    assert not boost_watermark(rules, zone, 0).boosted_watermark


@pytest.mark.parametrize(
    ("version", "gfp", "passes"),
    [
        ("5.8", GFP_ATOMIC, False),
        ("5.9", GFP_ATOMIC, True),
        ("5.9", GFP_NOWAIT | GFP_HIGH_BIT, False),
        ("6.1.192", GFP_NOWAIT | GFP_HIGH_BIT, False),
        ("6.1.192", GFP_ATOMIC, True),
        ("6.3", GFP_NOWAIT | GFP_HIGH_BIT, True),
        ("6.3", GFP_KERNEL, False),
    ],
)
def test_who_may_ignore_a_boost(version: str, gfp: int, passes: bool) -> None:
    rules = small_rules(version)
    zone = zone_of(rules, (UNMOVABLE,) * 3, {0: (3, UNMOVABLE)})
    zone = replace(zone, watermark=(4, 5, 6), boost=20)
    flags = rules.slowpath_flags(gfp, 0, False, False)
    assert rules.watermark_fast(rules, zone, 0, 24, 2, flags) is passes
    assert bool(flags & ALLOC_GFP_ATOMIC) is (version in ("5.9", "6.1.192") and gfp == GFP_ATOMIC)


# ---- stealing above a pageblock --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "pfn", "claimed"),
    [("5.0", NOTHING, 0), ("5.4", NOTHING, 2), ("6.0", NOTHING, 2), ("6.1.192", NOTHING, 0)],
)
def test_from_5_2_to_6_0_a_large_request_without_fragmentation_claims_single_pageblocks(
    version: str, pfn: int, claimed: int
) -> None:
    rules = small_rules(version)
    zone = zone_of(rules, (MOVABLE,) * 5, {0: (3, MOVABLE), 16: (3, MOVABLE)})
    after, found, _, _ = rules.take(rules, zone, 4, UNMOVABLE, ALLOC_NOFRAGMENT, RMQUEUE_NORMAL)
    assert (found, after.types.count(UNMOVABLE)) == (pfn, claimed)
    assert len(after.log) == claimed
    whole = zone_of(rules, (MOVABLE,) * 2, {0: (4, MOVABLE)})
    assert rules.take(rules, whole, 4, UNMOVABLE, ALLOC_NOFRAGMENT, RMQUEUE_NORMAL)[1] == 0


# ---- the reserve for high-order atomic requests ------------------------------------------------------------


@pytest.mark.parametrize(("version", "reserved"), [("4.6", 8), ("4.9", 8), ("4.4.155", 16), ("4.10", 16)])
def test_a_pageblock_that_left_the_reserve_before_is_counted_twice_up_to_4_9(
    version: str, reserved: int
) -> None:
    rules, machine = small_rules(version), small_machine(version)
    zone = replace(machine.zones[2], reserved_highatomic=16)
    pfn = zone.lists[4][MOVABLE][0]
    listed = zone.lists[4][MOVABLE][1:]
    row = (*zone.lists[4][:MOVABLE], listed, *zone.lists[4][MOVABLE + 1 : HIGHATOMIC], (pfn,))
    zone = replace(
        zone,
        lists=(*zone.lists[:4], (*row, *zone.lists[4][HIGHATOMIC + 1 :])),
        free=zone.free.set(pfn, (4, HIGHATOMIC)),
    )
    state = replace(machine, zones=(*machine.zones[:2], zone))
    after, given = unreserve_highatomic(
        small_kernel(version), rules, state, request(0, GFP_KERNEL, node=1), False
    )
    assert given
    assert after.zones[2].reserved_highatomic == reserved


@pytest.mark.parametrize(("version", "given"), [("4.9", False), ("4.10", True)])
def test_the_last_reserved_pageblock_is_kept_up_to_4_9(version: str, given: bool) -> None:
    rules, machine = small_rules(version), small_machine(version)
    zone = machine.zones[2]
    pfn = zone.lists[4][MOVABLE][0]
    kept = rules.reserve_highatomic(
        rules, set_pageblock_type(replace(zone, managed=10000), pfn, MOVABLE), pfn, 1
    )
    assert kept.reserved_highatomic == PAGEBLOCK
    state = replace(machine, zones=(*machine.zones[:2], kept))
    one = request(0, GFP_KERNEL, node=1)
    assert unreserve_highatomic(small_kernel(version), rules, state, one, True)[1] is given


# ---- CMA and the watermark -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "order", "passes"),
    [("3.6", 0, True), ("3.7", 0, False), ("3.6", 1, True), ("3.9", 1, False), ("3.10", 1, False)],
)
def test_cma_pages_are_out_of_reach_since_3_7(version: str, order: int, passes: bool) -> None:
    rules = small_rules(version)
    zone = zone_of(rules, (UNMOVABLE, CMA, CMA), {0: (3, UNMOVABLE), 8: (3, CMA), 16: (3, CMA)})
    assert rules.watermark_ok(rules, zone, order, 10, 2, 0, zone.nr_free) is passes
    assert rules.watermark_ok(rules, zone, order, 10, 2, ALLOC_CMA, zone.nr_free)


@pytest.mark.parametrize(("version", "passes"), [("3.6", True), ("3.9", False), ("3.10", True)])
def test_from_3_7_to_3_9_cma_pages_are_missing_at_each_order_too(version: str, passes: bool) -> None:
    rules = small_rules(version)
    singles = dict.fromkeys(range(16, 24, 2), (0, CMA))
    zone = zone_of(rules, (UNMOVABLE, UNMOVABLE, CMA), {0: (3, UNMOVABLE), **singles})
    assert rules.watermark_ok(rules, zone, 1, 6, 2, 0, zone.nr_free) is passes


# ---- sizes -----------------------------------------------------------------------------------------------

MEMORY = (MemoryRange(0, 0, 1 << 18),)
RESERVED = ((1 << 12, 1 << 14),)


@pytest.mark.parametrize(
    ("version", "sized"),
    [
        ("2.6.18", (4096, (1 << 18) - 4096)),
        ("2.6.32", (4096 - 56, (1 << 18) - 4096 - 3528)),
        ("3.8", (4096 - 56, (1 << 18) - 4096 - 3528)),
        ("3.10", (4096, (1 << 18) - (1 << 14))),
    ],
)
def test_sizes_count_present_pages_up_to_3_8_and_managed_ones_since(
    version: str, sized: tuple[int, ...]
) -> None:
    booted = boot(kernel(version), MEMORY, reserved=RESERVED)
    assert sized_pages(booted.kernel, booted.areas, booted.machine.zones, Options()) == sized
    lowmem = sum(sized)
    for zone, size in zip(booted.machine.zones, sized, strict=True):
        assert zone.watermark[0] == (booted.min_free_kbytes >> 2) * size // lowmem
    first = booted.machine.zones[0]
    assert first.lowmem_reserve[2] == sized[1] // 256


def test_boot_reservations_in_the_first_zone_count_as_the_architecture_says() -> None:
    options = Options(dma_reserve=100)
    booted = boot(kernel("2.6.32"), MEMORY, reserved=RESERVED, options=options)
    assert sized_pages(booted.kernel, booted.areas, booted.machine.zones, options)[0] == 4096 - 56 - 100
    assert isinstance(booted.machine.zones[0].free, Map)
