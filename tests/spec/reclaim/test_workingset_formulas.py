"""Shadow entries, distances and quotas of shrinkers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxmm.spec.kernel import kernel
from linuxmm.spec.reclaim import shrinker, workingset
from linuxmm.spec.reclaim.shrinker import Asked, Quota
from linuxmm.spec.reclaim.workingset import Layout, Resident, Shadow


def layout_of(release: str) -> Layout:
    layout = kernel(release).behaviour("reclaim.shadow-layout").function(64, 10, 3, 16)
    assert isinstance(layout, Layout)
    return layout


LAYOUTS = {release: layout_of(release) for release in ("3.16", "4.6", "4.9", "6.1")}


@pytest.mark.parametrize(
    ("release", "bits"), [("3.16", 15), ("4.6", 31), ("4.9", 28), ("4.20", 28), ("6.12", 28)]
)
def test_bits_that_the_time_does_not_get(release: str, bits: int) -> None:
    layout = layout_of(release)
    assert workingset.owner_bits(layout) == bits
    assert workingset.bucket_order(layout, 1 << 21) == 0


def test_buckets_where_the_word_is_short() -> None:
    layout = workingset.layout_of_node(32, 0, 2, 16)
    assert workingset.bucket_order(layout, 1 << 20) == 6
    assert workingset.bucket_order(layout, (1 << 20) + 1) == 7
    assert workingset.bucket_order(layout, 1) == 0


@given(
    st.sampled_from(sorted(LAYOUTS)),
    st.integers(0, (1 << 64) - 1),
    st.integers(0, 1 << 30),
)
def test_a_distance_survives_the_wrap_of_the_clock(release: str, time: int, passed: int) -> None:
    layout = LAYOUTS[release]
    word = workingset.pack(layout, Shadow(time, 0, 5, 0, 0))
    assert word < 1 << 64
    noted = workingset.unpack(layout, word)
    assert workingset.distance(layout, (time + passed) % (1 << 64), noted.time, 0) == passed


@given(st.integers(0, (1 << 32) - 1), st.integers(0, 5000))
def test_a_distance_in_buckets_is_less_than_a_bucket_off(time: int, passed: int) -> None:
    layout = Layout(32, 1, 1, 1, 0, 0, 16)
    noted = workingset.unpack(layout, workingset.pack(layout, Shadow(time >> 6, 7, 0, 0, 1)))
    assert noted._replace(time=0) == Shadow(0, 7, 0, 0, 1)
    got = workingset.distance(layout, (time + passed) % (1 << 32), noted.time, 6)
    assert passed <= got < passed + 64


def test_who_is_activated_at_a_refault() -> None:
    resident = Resident(1, 2, 4, 8, True)
    rules = [
        kernel(v).behaviour("reclaim.workingset-size").function for v in ("3.16", "5.7", "5.8", "5.9", "6.12")
    ]
    assert [rule(resident, True) for rule in rules] == [8, 8, 11, 11, 11]
    assert [rule(resident, False) for rule in rules[2:]] == [11, 14, 14]
    assert [rule(resident._replace(swap=False), True) for rule in rules] == [8] * 5


def test_times_and_nodes_by_era() -> None:
    assert kernel("5.11").behaviour("reclaim.eviction-time").function(7, 1) == (8, 8)
    assert kernel("5.14").behaviour("reclaim.eviction-time").function(7, 1) == (7, 8)
    assert [kernel(v).behaviour("reclaim.shadow-nodes").function(1600) for v in ("4.9", "4.10")] == [100, 200]
    assert [workingset.nodes_to_free(5, 9), workingset.nodes_to_free(9, 5)] == [0, 4]
    assert [kernel(v).behaviour("reclaim.shadows-anon").function() for v in ("5.8", "5.9")] == [False, True]


ASKED = Asked(1000, 2000, 2, 128, 100, 999, 4)


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("2.6.12", Quota(400, 1400, 1400)),
        ("2.6.24", Quota(400, 1400, 1400)),
        ("3.4", Quota(400, 1000, 1000)),
        ("4.10", Quota(400, 1000, 1400)),
        ("4.18", Quota(250, 1000, 1250)),
        ("4.20", Quota(250, 1000, 1250)),
        ("5.4", Quota(250, 1000, 1250)),
        ("5.15", Quota(250, 312, 1250)),
    ],
)
def test_quota_of_an_era(release: str, expected: Quota) -> None:
    assert kernel(release).behaviour("reclaim.shrinker-quota").function(ASKED) == expected


def test_quota_at_the_limits() -> None:
    deep = ASKED._replace(deferred=9000)
    assert [
        kernel(v).behaviour("reclaim.shrinker-quota").function(deep) for v in ("2.6.12", "2.6.24", "3.4")
    ] == [Quota(400, 9400, 9400), Quota(400, 4000, 4000), Quota(400, 1000, 1000)]
    light = ASKED._replace(deferred=0, freeable=100)
    assert shrinker.quota_of_a_batch(light) == Quota(100, 100, 100)
    assert shrinker.quota_spread(light) == Quota(12, 12, 12)
    assert shrinker.quota_spread(light._replace(seeks=0)).delta == 50
    assert shrinker.quota_twice(ASKED._replace(scanned=0)).delta == 128


def test_what_is_deferred() -> None:
    quota = Quota(250, 1000, 1250)
    rules = [kernel(v).behaviour("reclaim.shrinker-deferred").function for v in ("4.9", "4.10", "5.15")]
    assert [rule(quota, 104, 896, 100) for rule in rules] == [104, 354, 200]
    assert [rule(quota, 0, 1300, 100) for rule in rules] == [0, 0, 0]
    early, late = (kernel(v).behaviour("reclaim.shrinker-goes-on").function for v in ("3.10", "3.12"))
    assert [early(100, 128, 90), late(100, 128, 90), late(100, 128, 101)] == [False, True, False]


def test_visits_fall_from_all_pairs_to_those_with_objects() -> None:
    assert kernel("4.18").behaviour("reclaim.shrinker-visits").function(100, 200, 150) == 20_000
    assert kernel("4.19").behaviour("reclaim.shrinker-visits").function(100, 200, 150) == 150
