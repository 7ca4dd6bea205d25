"""The watermark test of each generation on the worked examples."""

from dataclasses import replace

import pytest

from linuxmm.model.alloc.boot import Area, empty_zone
from linuxmm.model.alloc.freelist import CMA, Zone, account, add_tail
from linuxmm.model.alloc.profile import rules_for
from linuxmm.model.alloc.watermark import watermark_ok_any_block, watermark_ok_per_order
from linuxmm.spec.alloc.gfp import (
    ALLOC_CMA,
    ALLOC_HIGHATOMIC,
    ALLOC_MIN_RESERVE,
    ALLOC_NON_BLOCK,
    ALLOC_OOM,
)
from linuxmm.spec.kernel import kernel

ATOMIC = ALLOC_MIN_RESERVE | ALLOC_NON_BLOCK
V1 = rules_for(kernel("4.2"))
V2 = rules_for(kernel("5.10", cma=True))
V3 = rules_for(kernel("6.4", cma=True))
V3_FREE = rules_for(kernel("6.12.117", cma=True))


def zone_with(pages: int = 0, blocks: int = 0, cma: int = 0, highatomic: int = 0) -> Zone:
    """A zone with `pages` single pages, `blocks` blocks of order 2, single CMA pages."""
    zone = empty_zone(V1, Area(0, 2, 0, 1 << 16, 1 << 16), 1)
    at = 0
    for count, order, migratetype in ((blocks, 2, 0), (pages, 0, 0), (cma, 0, CMA)):
        for _ in range(count):
            zone = account(add_tail(zone, at, order, migratetype), 1 << order, migratetype)
            at += 1 << order
    return zone


CASES = [
    (zone_with(1000), 0, 0, False, False),
    (zone_with(1001), 0, 0, True, True),
    (zone_with(4900, 25), 2, 0, False, True),
    (zone_with(3996, 251), 2, 0, True, True),
    (zone_with(5000), 1, 0, False, False),
    (zone_with(400), 0, ATOMIC, True, True),
    (zone_with(376), 0, ATOMIC, True, True),
    (zone_with(375), 0, ATOMIC, False, False),
]


@pytest.mark.parametrize(("zone", "order", "flags", "until_4_3", "since_4_4"), CASES)
def test_enough_pages_in_large_blocks_until_one_block_suffices(
    zone: Zone, order: int, flags: int, until_4_3: bool, since_4_4: bool
) -> None:
    assert watermark_ok_per_order(V1, zone, order, 1000, 2, flags, zone.nr_free) is until_4_3
    assert watermark_ok_any_block(V2, zone, order, 1000, 2, flags, zone.nr_free) is since_4_4


def test_cma_pages_count_only_for_who_may_use_them() -> None:
    zone = zone_with(900, cma=600)
    assert not watermark_ok_any_block(V2, zone, 0, 1000, 2, 0, zone.nr_free)
    assert watermark_ok_any_block(V2, zone, 0, 1000, 2, ALLOC_CMA, zone.nr_free)


def test_the_high_order_atomic_reserve_counts_only_for_reserve_users() -> None:
    zone = replace(zone_with(1300), reserved_highatomic=512)
    assert not watermark_ok_any_block(V2, zone, 0, 1000, 2, 0, zone.nr_free)
    assert watermark_ok_any_block(V2, zone, 0, 1000, 2, ALLOC_NON_BLOCK, zone.nr_free)
    assert not watermark_ok_any_block(V2, zone, 0, 1000, 2, ALLOC_MIN_RESERVE | ALLOC_CMA, 800)
    assert watermark_ok_any_block(V3, zone, 0, 1000, 2, ALLOC_MIN_RESERVE, zone.nr_free)


def test_since_6_12_only_the_free_pages_of_the_reserve_are_out_of_reach() -> None:
    zone = replace(zone_with(1300), reserved_highatomic=512, nr_free_highatomic=0)
    assert not watermark_ok_any_block(V3, zone, 0, 1000, 2, 0, zone.nr_free)
    assert watermark_ok_any_block(V3_FREE, zone, 0, 1000, 2, 0, zone.nr_free)


def test_non_block_alone_gives_nothing_since_6_3() -> None:
    zone = zone_with(800)
    assert watermark_ok_any_block(V2, zone, 0, 1000, 2, ALLOC_NON_BLOCK, zone.nr_free)
    assert not watermark_ok_any_block(V3, zone, 0, 1000, 2, ALLOC_NON_BLOCK, zone.nr_free)


def test_oom_victims_may_use_half_of_the_mark() -> None:
    assert watermark_ok_any_block(V3, zone_with(501), 0, 1000, 2, ALLOC_OOM, 501)
    assert not watermark_ok_any_block(V3, zone_with(500), 0, 1000, 2, ALLOC_OOM, 500)


def test_a_highatomic_block_satisfies_only_highatomic_requests() -> None:
    zone = empty_zone(V3, Area(0, 2, 0, 1 << 16, 1 << 16), 1)
    zone = account(add_tail(zone, 0, 10, 3), 1024, 3)
    assert not watermark_ok_any_block(V3, zone, 3, 10, 2, ALLOC_MIN_RESERVE, zone.nr_free)
    assert watermark_ok_any_block(V3, zone, 3, 10, 2, ALLOC_HIGHATOMIC, zone.nr_free)
    assert watermark_ok_any_block(V2, zone, 3, 10, 2, ALLOC_NON_BLOCK, zone.nr_free)


@pytest.mark.parametrize(
    ("version", "flags", "passes"),
    [
        ("4.13", ALLOC_NON_BLOCK, True),
        ("4.14", ALLOC_NON_BLOCK, True),
        ("4.14", ALLOC_OOM, True),
        ("4.14", ALLOC_MIN_RESERVE, False),
        ("4.15", ALLOC_OOM, False),
        ("4.15", ALLOC_NON_BLOCK, False),
    ],
)
def test_up_to_4_14_a_block_of_any_type_is_enough_for_who_may_try_harder(
    version: str, flags: int, passes: bool
) -> None:
    rules = rules_for(kernel(version, cma=True))
    zone = account(add_tail(zone_with(200), 256, 3, CMA), 8, CMA)
    assert rules.watermark_ok(rules, zone, 3, 10, 2, flags, zone.nr_free) is passes
