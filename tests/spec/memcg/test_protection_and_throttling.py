"""memory.min, memory.low and memory.high: shares, what is scanned, how long a task sleeps; in their eras."""

from hypothesis import given
from hypothesis import strategies as st

from linuxmm.spec.kernel import kernel
from linuxmm.spec.memcg.protection import (
    LOW,
    MIN,
    NONE,
    effective_capped,
    effective_shared,
    low_along_path,
    protected_all_or_nothing,
    protected_up_to_setting,
    protection_of,
    scan_unprotected_no_zero,
    shares_kept,
)
from linuxmm.spec.memcg.throttle import delay, overage, penalty_bounded, penalty_with_swap, sleeps

PAGES = st.integers(0, 1 << 20)


def test_eras_of_protection() -> None:
    def name(version: str, rule: str) -> str:
        return kernel(version).behaviour(rule).name

    assert [name(v, "memcg.effective") for v in ("4.18", "5.6", "5.7", "6.12")] == [
        "effective_capped",
        "effective_capped",
        "effective_shared",
        "effective_shared",
    ]
    assert [name(v, "memcg.scan") for v in ("5.3", "5.4", "5.15")] == [
        "scan_whole",
        "scan_unprotected",
        "scan_unprotected_no_zero",
    ]
    assert name("4.1", "memcg.low-test") == "low_along_path"
    assert (name("5.7", "memcg.penalty"), name("5.8", "memcg.penalty")) == (
        "penalty_of_memory",
        "penalty_with_swap",
    )


def test_until_4_17_a_group_at_its_low_is_not_protected() -> None:
    assert low_along_path(((9, 10), (99, 100)))
    assert not low_along_path(((10, 10),))
    assert not low_along_path(((9, 10), (100, 100)))
    assert not low_along_path(())


def test_a_group_over_its_low_gave_its_siblings_everything_until_5_6() -> None:
    assert (protected_all_or_nothing(10, 10), protected_all_or_nothing(11, 10)) == (10, 0)
    assert protected_up_to_setting(11, 10) == 10


def test_shares_of_a_parent_that_cannot_keep_what_its_children_claim() -> None:
    assert [effective_shared(u, 100, 60, 60, 90, False) for u in (80, 30)] == [40, 20]
    assert effective_capped(80, 110, 60, 60, 90, False) == 40
    assert effective_capped(80, 110, 60, 0, 60, False) == 0


def test_recursive_protection_hands_out_what_nobody_claims() -> None:
    assert [effective_shared(u, 100, 0, 50, 0, True) for u in (60, 40)] == [30, 20]
    assert effective_shared(60, 100, 0, 50, 0, False) == 0


def test_effective_protection_exceeds_usage_where_a_setting_exceeds_the_parents_usage() -> None:
    """The first level below the reclaimed group has its setting, used or not; its children share it."""
    assert (
        effective_shared(
            usage=10, parent_usage=10, setting=0, parent_effective=30, siblings=0, recursive=True
        )
        == 30
    )


@given(st.lists(st.tuples(PAGES, PAGES), min_size=1, max_size=6), PAGES, st.booleans())
def test_children_share_at_most_what_the_parent_has(
    children: list[tuple[int, int]], effective: int, recursive: bool
) -> None:
    total = sum(usage for usage, _ in children)
    siblings = sum(protected_up_to_setting(*child) for child in children)
    shares = tuple(
        effective_shared(usage, total, setting, effective, siblings, recursive) for usage, setting in children
    )
    assert shares_kept(shares, effective)
    if effective <= total:
        assert all(share <= usage for share, (usage, _) in zip(shares, children, strict=True))


def test_shares_are_refused() -> None:
    assert shares_kept((3, 4), 7)
    assert not shares_kept((3, 5), 7)


def test_how_a_group_is_protected() -> None:
    assert [protection_of(u, 10, 20) for u in (0, 10, 11, 20, 21)] == [NONE, MIN, LOW, LOW, NONE]


@given(PAGES, PAGES, PAGES)
def test_a_scan_never_covers_more_than_the_list_or_a_cluster(size: int, group: int, protection: int) -> None:
    assert 0 <= scan_unprotected_no_zero(size, group, protection) <= max(size, 32)


def test_scans_by_hand() -> None:
    assert scan_unprotected_no_zero(1000, 1999, 1000) == 500
    assert scan_unprotected_no_zero(1000, 0, 0) == 1000
    assert scan_unprotected_no_zero(1000, 1000, 1000) == 32
    assert kernel("5.14").behaviour("memcg.scan").function(1000, 2000, 1000) == 500
    assert kernel("5.3").behaviour("memcg.scan").function(1000, 2000, 1000) == 1000


def test_the_kernels_own_table_of_delays() -> None:
    """Percent over high -> seconds at 64 pages; 10 % is 0.64 s, 17.7 % and more is the cap."""
    hz, high = 1000, 25600
    seconds = {}
    for percent in (1, 2, 5, 10, 15, 20):
        over = overage(high + high * percent // 100, high)
        seconds[percent] = penalty_with_swap(over, 0, 64, hz, 64)
    assert seconds == {1: 6, 2: 25, 5: 159, 10: 639, 15: 1439, 20: 2000}
    assert [percent for percent, ticks in seconds.items() if sleeps(ticks, hz)] == [2, 5, 10, 15, 20]


def test_an_overage_beyond_the_word_comes_round() -> None:
    assert overage(9, 10) == 0
    assert overage(5, 0) == 5 << 20
    assert delay(1 << 28, 64, 256, 64) == 0
    assert delay((1 << 28) - 1, 64, 256, 64) > 1 << 29


def test_penalties_are_refused() -> None:
    assert penalty_bounded(2000, True, 1000)
    assert not penalty_bounded(2001, True, 1000)
    assert not penalty_bounded(1, False, 1000)
    assert kernel("5.4").behaviour("memcg.penalty").function(1 << 20, 1 << 20, 64, 100, 64) == 200
