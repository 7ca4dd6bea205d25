"""Worked examples of watermarks, reserves and per-CPU list sizes: figures computed apart from this code."""

import pytest

from linuxmm.spec.alloc.pcp import (
    PcpVars,
    batch_limit_1m,
    batch_limit_512k,
    batch_size,
    commit_doubling,
    high_from_fraction,
    high_shared_by_cpus,
    high_six_batches,
)
from linuxmm.spec.alloc.watermark import (
    boosted,
    low_high_quarters_of_min,
    low_high_quarters_of_share,
    low_high_scaled,
    lowmem_reserve,
    may_boost,
    min_free_kbytes,
    min_free_kbytes_cap_64m,
    min_free_kbytes_cap_256m,
    min_share,
    small_zone_min,
    watermarks_ordered,
    zone_total_reserve,
)

DMA, DMA32, NORMAL = 3840, 765952, 3211264


@pytest.mark.parametrize(
    ("lowmem", "until_5_7", "since_5_8"),
    [
        (4096, 256, 256),
        (16384, 512, 512),
        (65536, 1024, 1024),
        (524288, 2896, 2896),
        (1048576, 4096, 4096),
        (8388608, 11585, 11585),
        (16777216, 16384, 16384),
        (268435456, 65536, 65536),
        (1073741824, 65536, 131072),
        (8589934592, 65536, 262144),
    ],
)
def test_min_free_kbytes_is_four_roots_within_its_cap(lowmem: int, until_5_7: int, since_5_8: int) -> None:
    found = [min_free_kbytes(lowmem, cap()) for cap in (min_free_kbytes_cap_64m, min_free_kbytes_cap_256m)]
    assert found == [until_5_7, since_5_8]


def test_min_free_kbytes_never_falls_below_its_floor() -> None:
    assert min_free_kbytes(0, 65536) == 128


@pytest.mark.parametrize(
    ("managed", "minimum", "since_4_6", "from_2_6_17", "one_percent"),
    [
        (DMA, 3, (6, 9), (3, 4), (41, 79)),
        (DMA32, 767, (1532, 2297), (958, 1150), (8426, 16085)),
        (NORMAL, 3218, (6429, 9640), (4022, 4827), (35330, 67442)),
    ],
)
def test_watermarks_of_a_machine_of_16_gib(
    managed: int,
    minimum: int,
    since_4_6: tuple[int, int],
    from_2_6_17: tuple[int, int],
    one_percent: tuple[int, int],
) -> None:
    share = min_share(15962 >> 2, managed, DMA + DMA32 + NORMAL)
    assert share == minimum
    assert low_high_scaled(share, share, managed, 10) == since_4_6
    assert low_high_quarters_of_share(share, share, managed, 10) == from_2_6_17
    assert low_high_scaled(share, share, managed, 100) == one_percent
    assert watermarks_ordered(minimum, *since_4_6)


@pytest.mark.parametrize(
    ("managed", "highmem", "in_2_6_11", "in_2_6_20"),
    [
        (3840, False, (17, 21, 25), (17, 21, 25)),
        (192512, False, (868, 1085, 1302), (868, 1085, 1302)),
        (57344, True, (56, 70, 84), (56, 120, 185)),
    ],
)
def test_watermarks_of_a_32_bit_machine_of_1_gib(
    managed: int, highmem: bool, in_2_6_11: tuple[int, int, int], in_2_6_20: tuple[int, int, int]
) -> None:
    share = min_share(3544 >> 2, managed, 3840 + 192512)
    minimum = small_zone_min(managed) if highmem else share
    assert (minimum, *low_high_quarters_of_min(minimum, share, managed, 10)) == in_2_6_11
    assert (minimum, *low_high_quarters_of_share(minimum, share, managed, 10)) == in_2_6_20


def test_lowmem_reserve_protects_lower_zones_from_the_pages_above() -> None:
    assert [lowmem_reserve(upper, DMA, 256) for upper in (DMA32, DMA32 + NORMAL)] == [2992, 15536]
    assert lowmem_reserve(NORMAL, DMA32, 256) == 12544
    assert [lowmem_reserve(upper, 3840, 256) for upper in (192512, 192512 + 57344)] == [752, 976]
    assert lowmem_reserve(57344, 192512, 32) == 1792
    assert lowmem_reserve(57344, 192512, 0) == lowmem_reserve(57344, 0, 32) == 0


def test_totalreserve_adds_the_largest_reserve_and_the_high_mark() -> None:
    zones = [(DMA, 15536, 9), (DMA32, 12544, 2297), (NORMAL, 0, 9640)]
    assert sum(zone_total_reserve(*zone) for zone in zones) == 28321


@pytest.mark.parametrize(
    ("managed", "small", "large"),
    [
        (1024, 0, 0),
        (4096, 0, 0),
        (16384, 3, 3),
        (65536, 15, 15),
        (131072, 31, 31),
        (262144, 31, 63),
        (1048576, 31, 63),
    ],
)
def test_batches_are_powers_of_two_less_one(managed: int, small: int, large: int) -> None:
    assert batch_size(managed, batch_limit_512k()) == small
    assert batch_size(managed, batch_limit_1m()) == large
    assert high_six_batches(small) == 6 * small


def test_high_divides_the_low_mark_among_the_cpus() -> None:
    assert high_shared_by_cpus(6429, 8, 63) == 803
    assert high_shared_by_cpus(6429, 64, 63) == 252
    assert high_shared_by_cpus(NORMAL // 8, 8, 63) == 50176
    assert high_from_fraction(NORMAL, 8) == (401408, 96)


def test_consecutive_drains_double_up_to_high_less_a_batch() -> None:
    v = PcpVars(600, 63, 600, 600, 600, 0, 0, 0, 5)
    drained = []
    for _ in range(5):
        v, pages = commit_doubling(v, 0, False, False)
        drained.append(pages)
    assert drained == [63, 126, 252, 504, 537]
    assert v.factor == 4


def test_each_mixing_event_boosts_by_a_pageblock_up_to_the_limit() -> None:
    boost, seen = 0, []
    for _ in range(30):
        boost = boosted(boost, 9640, NORMAL, 512, 15000, False)
        seen.append(boost)
    assert seen[:4] == [512, 1024, 1536, 2048]
    assert seen.index(14460) + 1 == 29
    assert boosted(0, 9, DMA, 512, 15000, False) == 512
    assert [boosted(0, 9, 2000, 512, 15000, small) for small in (False, True)] == [0, 512]


def test_no_boost_without_a_factor_or_before_the_watermarks_exist() -> None:
    assert not may_boost(9640, NORMAL, 512, 0, True)
    assert not may_boost(0, NORMAL, 512, 15000, True)
    assert boosted(7, 0, NORMAL, 512, 15000, True) == 7


def test_marks_out_of_order_are_refused() -> None:
    assert not watermarks_ordered(3, 2, 4)
    assert not watermarks_ordered(3, 4, 3)
