"""Formulas of reclaim: figures of worked examples, borders between releases, and what always holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.kernel import behaviours, kernel, parse_version
from linuxmm.spec.reclaim.amounts import (
    least_batch,
    least_batch_of_list,
    left_after_target,
    rounded_down,
    rounded_up,
    unprotected,
    unscanned_per_cent,
)
from linuxmm.spec.reclaim.daemon import ZoneLook, balance_gap, next_priority, reserve_is_fine, target_of
from linuxmm.spec.reclaim.inactive import is_low, ratio_of_pages
from linuxmm.spec.reclaim.lists import (
    ACTIVE_FILE,
    INACTIVE_ANON,
    UNEVICTABLE,
    is_file,
    list_of,
    list_of_two,
)
from linuxmm.spec.reclaim.references import ACTIVATE, CONTENDED, KEEP, RECLAIM, RECLAIM_CLEAN, Chance, Found
from linuxmm.spec.reclaim.scan_two_lists import batched, deactivates, distress, near_oom, wanted_of_list
from linuxmm.spec.reclaim.shares import EQUAL, ONLY_ANON, ONLY_FILE, Pressure, Shares, aged, costs_after
from linuxmm.spec.registry import load

load("linuxmm.spec.reclaim")

GIB = 1 << 18
PRESSURE = Pressure(
    swappiness=60,
    priority=8,
    swap=True,
    whole=True,
    free=0,
    high=100,
    inactive_anon=10_000,
    inactive_file=1_000,
    anon=20_000,
    file=20_000,
    scanned_anon=1000,
    scanned_file=4000,
    rotated_anon=500,
    rotated_file=1000,
    cost_anon=100,
    cost_file=900,
    anon_low=True,
    file_low=True,
    trims=True,
)
RELEASES = [
    "2.6.11",
    "2.6.20",
    "2.6.24",
    "2.6.28",
    "2.6.31",
    "2.6.34",
    "2.6.37",
    "3.5",
    "3.10",
    "3.16",
    "4.4",
    "4.7",
    "4.9",
    "4.12",
    "4.19",
    "4.20",
    "5.4",
    "5.8",
    "5.9",
    "5.15",
    "5.19",
    "6.1",
    "6.12",
]
COUNTS = st.integers(0, 1 << 40)


@pytest.mark.parametrize("rule", sorted({b.rule for b in behaviours() if b.rule.startswith("reclaim.")}))
def test_each_release_between_a_rules_borders_has_one_behaviour(rule: str) -> None:
    own = [b for b in behaviours() if b.rule == rule]
    first, last = min(b.since for b in own), max(b.until for b in own)
    for release in RELEASES:
        if first <= parse_version(release) <= last:
            assert kernel(release).behaviour(rule).rule == rule


def test_a_release_before_a_rule_has_none() -> None:
    with pytest.raises(
        Unmodelled, match=r"rule 'reclaim.shares' has no behaviour registered for kernel 2.6.24"
    ):
        kernel("2.6.24").behaviour("reclaim.shares")


@pytest.mark.parametrize(
    ("gigabytes", "ratio"),
    [(0, 1), (1, 3), (2, 4), (4, 6), (10, 10), (16, 12), (64, 25), (100, 31), (1024, 101), (10240, 320)],
)
def test_inactive_ratio_grows_with_the_root_of_memory(gigabytes: int, ratio: int) -> None:
    assert ratio_of_pages(gigabytes * GIB) == ratio


@given(COUNTS, COUNTS, st.integers(0, 1 << 30))
def test_more_inactive_pages_never_make_the_list_low(inactive: int, active: int, more: int) -> None:
    ratio = ratio_of_pages(inactive + active)
    assert not is_low(inactive + more, active, ratio) or is_low(inactive, active, ratio)


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("2.6.28", Shares(17, 83, 100)),
        ("2.6.35", Shares(121, 563, 685)),
        ("3.5", Shares(119, 559, 679)),
        ("5.7", Shares(119, 559, 679)),
        ("5.8", Shares(163, 221, 384)),
        ("6.12", Shares(163, 221, 384)),
    ],
)
def test_shares_of_a_generation(release: str, expected: Shares) -> None:
    assert kernel(release).behaviour("reclaim.shares").function(PRESSURE) == expected


@pytest.mark.parametrize(
    ("swappiness", "expected"),
    [(0, Shares(0, 315, 315)), (100, Shares(272, 157, 429)), (200, Shares(545, 0, 545))],
)
def test_shares_by_cost(swappiness: int, expected: Shares) -> None:
    rule = kernel("5.8").behaviour("reclaim.shares").function
    assert rule(PRESSURE._replace(swappiness=swappiness)) == expected


@pytest.mark.parametrize(
    ("release", "change", "expected"),
    [
        ("2.6.28", {"swap": False}, Shares(0, 100, 100)),
        ("2.6.28", {"high": 30_000}, Shares(100, 0, 100)),
        ("3.4", {"high": 30_000}, ONLY_ANON),
        ("3.4", {"swap": False}, ONLY_FILE),
        ("3.5", {"swap": False}, ONLY_FILE),
        ("3.5", {"high": 30_000}, ONLY_ANON),
        ("3.5", {"swappiness": 0}, Shares(0, 799, 800)),
        ("3.10", {"priority": 0}, EQUAL),
        ("3.10", {"priority": 0, "swappiness": 0}, Shares(0, 799, 800)),
        ("3.10", {"whole": False, "swappiness": 0}, ONLY_FILE),
        ("3.10", {"high": 30_000}, ONLY_ANON),
        ("3.10", {"file_low": False, "inactive_file": 0}, ONLY_FILE),
        ("4.4", {"file_low": False, "inactive_file": 0}, Shares(119, 559, 679)),
        ("4.4", {"file_low": False}, ONLY_FILE),
        ("4.4", {"high": 30_000}, ONLY_ANON),
        ("4.15", {"high": 30_000}, Shares(119, 559, 679)),
        ("4.15", {"high": 30_000, "anon_low": False}, ONLY_ANON),
        ("6.12", {"file_low": False}, ONLY_FILE),
        ("6.12", {"file_low": False, "trims": False}, Shares(163, 221, 384)),
    ],
)
def test_special_cases_of_a_generation(release: str, change: dict[str, int], expected: Shares) -> None:
    changed = Pressure(**{**PRESSURE._asdict(), **change})
    got = kernel(release).behaviour("reclaim.shares").function(changed)
    assert got == expected


def test_figures_of_scanning_at_priority_eight() -> None:
    rule = kernel("4.9").behaviour("reclaim.shares").function
    amounts = []
    for swappiness in (0, 1, 30, 60, 100):
        shares = rule(PRESSURE._replace(swappiness=swappiness))
        assert isinstance(shares, Shares)
        amounts.append(rounded_down(10_000 >> 8, shares.anon, shares.denominator))
    assert amounts == [0, 0, 3, 6, 12]


def test_what_was_reclaimed_of_late_fades() -> None:
    assert aged(26, 10, 100) == (13, 5)
    assert aged(25, 10, 100) == (25, 10)
    assert costs_after(10, 14, True, 2, 100) == (5, 8)
    assert costs_after(10, 13, False, 2, 100) == (12, 13)
    assert kernel("6.1").behaviour("reclaim.cost").function(3, 5) == 3
    assert kernel("6.2").behaviour("reclaim.cost").function(3, 5) == 101


def test_amounts_of_a_list() -> None:
    assert (rounded_up(39, 119, 679), rounded_down(39, 119, 679)) == (7, 6)
    assert [least_batch(5, 0, True), least_batch(5, 2, True), least_batch(5, 0, False)] == [32, 2, 0]
    assert [least_batch_of_list(5, 0, True), least_batch_of_list(50, 0, True)] == [5, 32]
    assert unprotected(1000, 0, 500) == 1000
    assert unprotected(1000, 250, 499) == 500
    assert unprotected(1000, 900, 100) == 32
    assert unscanned_per_cent(100, 100) == 99
    assert left_after_target(100, 90, 40) == 50
    whole = [kernel(v).behaviour("reclaim.whole-list").function for v in ("2.6.28", "2.6.31", "3.5", "6.1")]
    assert [rule(0, False, 0) for rule in whole] == [True, False, False, False]
    assert [rule(0, True, 0) for rule in whole] == [True, True, False, False]
    assert [rule(0, True, 60) for rule in whole] == [True, True, True, False]


@given(COUNTS, st.integers(0, 1 << 20), st.integers(0, 12))
def test_saving_up_loses_no_page(saved: int, size: int, priority: int) -> None:
    saved %= 32
    wanted = wanted_of_list(size, priority)
    after, now = batched(saved, wanted)
    assert after + now == saved + wanted
    assert after < 32
    assert now == 0 or now >= 32


def test_mapped_pages_are_taken_when_the_tendency_reaches_a_hundred() -> None:
    rules = [kernel(v).behaviour("reclaim.swap-tendency").function for v in ("2.6.11", "2.6.20", "2.6.24")]
    assert [rule(12, 12, 60, 100, 60, 0, 0) for rule in rules] == [90, 90, 90]
    assert [rule(12, 3, 60, 100, 60, 0, 0) for rule in rules] == [90, 102, 102]
    assert [rule(12, 12, 80, 100, 60, 1000, 9) for rule in rules] == [100, 100, 148]
    assert [distress(p) for p in (12, 6, 3, 1, 0)] == [0, 1, 12, 50, 100]
    assert [near_oom(29, 10), near_oom(30, 10)] == [False, True]


@pytest.mark.parametrize(
    ("mapped", "anon", "referenced", "take", "swap", "expected"),
    [
        (False, False, True, False, False, True),
        (True, False, False, False, True, False),
        (True, False, False, True, True, True),
        (True, False, True, True, True, False),
        (True, True, False, True, False, False),
        (True, True, False, True, True, True),
    ],
)
def test_two_lists_give_up_mapped_pages_last(
    mapped: bool, anon: bool, referenced: bool, take: bool, swap: bool, expected: bool
) -> None:
    assert deactivates(mapped, anon, referenced, take, swap) is expected


def test_a_page_belongs_on_one_list() -> None:
    assert list_of(False, is_file(swapbacked=True), False) == INACTIVE_ANON
    assert list_of(True, is_file(swapbacked=False), False) == ACTIVE_FILE
    assert list_of(True, True, True) == UNEVICTABLE
    assert list_of_two(True, False, True) == ACTIVE_FILE


FILE_TOUCHED = Found(1, False, True, False, False, False, False, 0)
ANON_TOUCHED = FILE_TOUCHED._replace(anon=True, swapbacked=True)
MARKED_FILE = FILE_TOUCHED._replace(ptes=0, referenced=True)
ERAS = ("2.6.11", "2.6.24", "2.6.31", "2.6.34", "2.6.37", "3.4", "5.9", "6.1")


@pytest.mark.parametrize(
    ("found", "actions"),
    [
        (FILE_TOUCHED, [ACTIVATE, ACTIVATE, ACTIVATE, KEEP, KEEP, KEEP, KEEP, KEEP]),
        (FILE_TOUCHED._replace(referenced=True), [ACTIVATE] * 8),
        (FILE_TOUCHED._replace(ptes=2), [ACTIVATE] * 3 + [KEEP] * 2 + [ACTIVATE] * 3),
        (FILE_TOUCHED._replace(executable=True), [ACTIVATE] * 3 + [KEEP] * 2 + [ACTIVATE] * 3),
        (ANON_TOUCHED, [ACTIVATE] * 6 + [KEEP] * 2),
        (ANON_TOUCHED._replace(executable=True), [ACTIVATE] * 6 + [KEEP] * 2),
        (MARKED_FILE, [ACTIVATE] * 3 + [RECLAIM_CLEAN] * 5),
        (MARKED_FILE._replace(inuse=False), [RECLAIM_CLEAN] * 8),
        (MARKED_FILE._replace(swapbacked=True), [ACTIVATE] * 3 + [RECLAIM_CLEAN] + [RECLAIM] * 4),
        (FILE_TOUCHED._replace(locked=True), [ACTIVATE] * 2 + [RECLAIM_CLEAN] + [RECLAIM] * 4 + [ACTIVATE]),
        (FILE_TOUCHED._replace(order=4), [ACTIVATE] + [RECLAIM] * 4 + [KEEP] * 3),
        (FILE_TOUCHED._replace(ptes=0), [RECLAIM] * 8),
    ],
)
def test_second_chances_by_era(found: Found, actions: list[int]) -> None:
    chances = [kernel(v).behaviour("reclaim.check-references").function(found) for v in ERAS]
    assert [chance.action for chance in chances if isinstance(chance, Chance)] == actions


def test_a_contended_reverse_map_keeps_the_page() -> None:
    rule = kernel("6.1").behaviour("reclaim.check-references").function
    assert rule(FILE_TOUCHED._replace(ptes=CONTENDED, referenced=True)) == (KEEP, False)


@pytest.mark.parametrize(
    ("release", "listed", "unevictable", "file", "expected"),
    [
        ("2.6.24", True, True, True, (True, False, False)),
        ("2.6.28", True, True, True, (False, True, False)),
        ("2.6.28", False, False, True, (False, True, False)),
        ("3.13", False, False, True, (True, False, False)),
        ("3.16", True, False, True, (True, False, True)),
        ("3.16", True, False, False, (True, False, False)),
        ("5.8", True, False, False, (True, False, True)),
    ],
)
def test_the_second_access_activates(
    release: str, listed: bool, unevictable: bool, file: bool, expected: tuple[bool, bool, bool]
) -> None:
    rule = kernel(release).behaviour("reclaim.mark-accessed").function
    assert rule(False, True, unevictable, listed, file) == expected
    assert rule(False, False, unevictable, listed, file) == (False, True, False)
    assert rule(True, True, unevictable, listed, file) == (False, True, False)


def test_executable_pages_go_round_the_active_list() -> None:
    rules = [kernel(v).behaviour("reclaim.keeps-active").function for v in ("2.6.28", "2.6.31", "2.6.32")]
    assert [rule(True, True, False, False) for rule in rules] == [False, True, True]
    assert [rule(True, True, False, True) for rule in rules] == [False, True, False]
    assert [rule(False, True, False, False) for rule in rules] == [False, False, False]
    assert [kernel(v).behaviour("reclaim.starts-active").function(True) for v in ("5.8", "5.9")] == [
        True,
        False,
    ]


def test_a_node_is_balanced_by_era() -> None:
    some = (ZoneLook(10, False, False), ZoneLook(90, True, False), ZoneLook(0, False, False))
    few = (ZoneLook(80, False, False), ZoneLook(20, True, False))
    quarter = (ZoneLook(75, False, False), ZoneLook(25, True, False))
    hopeless = (ZoneLook(75, False, True), ZoneLook(25, True, False))
    rules = [
        kernel(v).behaviour("reclaim.node-balanced").function
        for v in ("2.6.36", "2.6.39", "3.5", "4.9", "6.1")
    ]
    assert [rule(some, 0) for rule in rules] == [False, False, False, False, True]
    assert [rule(some, 3) for rule in rules] == [False, True, True, False, True]
    assert [rule(few, 3) for rule in rules] == [False, False, False, False, True]
    assert [rule(quarter, 3) for rule in rules] == [False, False, True, False, True]
    assert [rule(hopeless, 0) for rule in rules] == [True, True, True, False, True]
    assert [rule((ZoneLook(9, False, False),), 0) for rule in rules] == [False] * 5
    assert rules[-1]((), 0)


def test_what_the_daemon_wants() -> None:
    assert [target_of(10), target_of(100)] == [32, 100]
    assert balance_gap(50, 1001) == 11
    assert [next_priority(12, 40, 32, 1), next_priority(12, 40, 32, 0), next_priority(12, 4, 32, 4)] == [
        12,
        11,
        11,
    ]
    assert [reserve_is_fine(0, 0), reserve_is_fine(5, 10), reserve_is_fine(6, 10)] == [True, False, True]
    early, late = (kernel(v).behaviour("reclaim.too-many-isolated").function for v in ("2.6.32", "4.9"))
    assert [early(80, 80, True), early(80, 81, True)] == [False, True]
    assert [late(80, 10, True), late(80, 11, True), late(80, 80, False), late(80, 81, False)] == [
        False,
        True,
        False,
        True,
    ]
