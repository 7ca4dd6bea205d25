"""Reclaim by age, 2.4.0 to 2.4.9: ages, three lists, two daemons, walks through address spaces."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxmm.model.reclaim import shrink_2_4_0
from linuxmm.model.reclaim.accesses import activate, age_up, bring_in, mark_accessed
from linuxmm.model.reclaim.ages import (
    CLEAN,
    CLEAN_LIST,
    DIRTY_LIST,
    UNLISTED,
    age_of,
    left_of,
    oldest_clean,
    position_of,
    rss_of,
    set_age,
    set_pressure,
    set_walk,
)
from linuxmm.model.reclaim.audit import broken
from linuxmm.model.reclaim.outside import PAGE_ACTIVATE, PAGE_SYNCED, PAGE_WRITTEN, Entry, Mappings, Store
from linuxmm.model.reclaim.profile import rules_for
from linuxmm.model.reclaim.rules import Progress, Rules
from linuxmm.model.reclaim.shrink_2_4_0 import (
    direct_reclaim,
    free_shortage,
    inactive_shortage,
    kswapd,
    page_launder,
    reclaim_page,
    refill_inactive_scan,
    swap_out_in_turn,
    swap_out_largest,
    unmap_one,
)
from linuxmm.model.reclaim.state import (
    ACTIVE,
    ANON,
    DIRTY,
    LOCKED,
    LRU,
    PINNED,
    REFERENCED,
    SWAPCACHE,
    WRITEBACK,
    Lruvec,
    ZoneMarks,
    flag,
    has,
)
from linuxmm.model.reclaim.strategies import machine
from linuxmm.spec.kernel import kernel
from linuxmm.spec.reclaim.ages import (
    age_in_range,
    age_when_activated,
    clean_when_put,
    free_plenty,
    free_short_of_high,
    free_short_of_target,
    inactive_plenty,
    inactive_short_anywhere,
    inactive_short_by,
    inactive_target,
    older,
    pressure_after_second,
    swap_amount,
    younger,
)
from linuxmm.spec.reclaim.lists import ACTIVE_FILE

ALL = ("2.4.0", "2.4.5", "2.4.9")


def rules(release: str) -> Rules:
    return rules_for(kernel(release))


def filled(release: str, pages: int, *, zones: int = 1, anon: bool = False, slots: int = 99) -> Lruvec:
    """Pages of files, or of anonymous memory that page tables map; none is free that has contents."""
    v = replace(
        machine(pages, zones, backing=Store(slots, PAGE_SYNCED)),
        zones=(ZoneMarks(pages, pages, 4, 8, 16),) * zones,
    )
    entries = Mappings()
    for page in range(pages):
        v = bring_in(rules(release), v, page, page, zone=page % zones, anon=anon)
        entries = entries.map(page, Entry(dirty=True, address=page)) if anon else entries
    return replace(v, log=(), rmap=entries)


# ---- formulas ----------------------------------------------------------------------------------------------


@given(st.integers(0, 64))
def test_an_age_stays_in_range(age: int) -> None:
    assert age <= older(age) <= 64
    assert age_in_range(older(age))
    assert younger(age) == age // 2
    assert 2 <= age_when_activated(age) <= max(age, 2)
    assert [age_in_range(bad) for bad in (-1, 65)] == [False, False]


def test_shortages() -> None:
    assert [inactive_target(pressure, 400) for pressure in (63, 640, 64000)] == [0, 10, 100]
    assert [pressure_after_second(pressure) for pressure in (63, 640)] == [63, 630]
    assert free_short_of_target(10, 5, 20, 9, 7) == 8
    assert free_short_of_target(20, 5, 20, 9, 7) == 7
    assert [free_short_of_high(10, clean, 20, 9, 0) for clean in (9, 10)] == [1, 0]
    assert free_short_of_high(10, 10, 20, 9, 1) == 1
    assert inactive_short_by(10, 5, 5, 20, 9, True) == 9
    assert inactive_short_by(10, 15, 5, 20, 9, True) == 0
    assert [inactive_short_anywhere(10, 15, 5, 20, 9, below) for below in (False, True)] == [0, 1]
    assert inactive_short_anywhere(10, 5, 5, 20, 9, False) == 1
    assert [inactive_plenty(inactive, 30) for inactive in (10, 11)] == [False, True]
    assert [free_plenty(free, 16) for free in (32, 33)] == [False, True]
    assert [swap_amount(rss, False) for rss in (3, 256, 3200)] == [8, 8, 100]
    assert [swap_amount(rss, True) for rss in (3, 256, 3200)] == [3, 8, 100]
    assert clean_when_put(False, True, True)
    assert clean_when_put(True, False, False)
    assert not clean_when_put(True, True, False)
    assert not clean_when_put(True, False, True)


# ---- lists and ages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("release", "lists"), [("2.4.0", ACTIVE_FILE), ("2.4.5", ACTIVE_FILE), ("2.4.9", DIRTY_LIST)]
)
def test_a_page_of_a_file_begins_on_a_list_and_anonymous_memory_on_none(release: str, lists: int) -> None:
    v = bring_in(rules(release), bring_in(rules(release), machine(2), 0, 0), 1, 1, anon=True)
    assert (v.lists[lists], v.lists[UNLISTED], v.pressure) == ((0,), (1,), 2)
    age = 0 if release == "2.4.9" else 2
    assert [age_of(v, page) for page in (0, 1)] == [age, age]
    assert broken(rules(release), v) is None


def test_the_audit_finds_an_age_out_of_range() -> None:
    found = broken(rules("2.4.0"), set_age(filled("2.4.0", 2), 1, 65))
    assert found is not None
    assert found.clause == "reclaim.aged.range"


def test_what_a_lookup_does_in_each_release() -> None:
    """2.4.0 makes the page older and brings it back; 2.4.5 marks it; 2.4.9 brings it back the second time."""
    found = {}
    for release in ALL:
        v = set_age(filled(release, 1), 0, 0)
        v = shrink_2_4_0.deactivate(rules(release), v, 0, False)
        once = mark_accessed(rules(release), v, 0)
        twice = mark_accessed(rules(release), once, 0)
        found[release] = [
            (has(each, 0, ACTIVE), has(each, 0, REFERENCED), age_of(each, 0)) for each in (once, twice)
        ]
    assert found == {
        "2.4.0": [(True, False, 5), (True, False, 8)],
        "2.4.5": [(False, True, 0), (False, True, 0)],
        "2.4.9": [(False, False, 2), (True, True, 2)],
    }


def test_a_scan_halves_ages_and_takes_down_what_has_none() -> None:
    v = filled("2.4.0", 4)  # ages of 2
    v = flag(v, 3, REFERENCED, True)
    v, down = refill_inactive_scan(rules("2.4.0"), v, 0, False)
    assert (down, [age_of(v, page) for page in range(4)]) == (0, [1, 1, 1, 5])
    v, down = refill_inactive_scan(rules("2.4.0"), v, 0, True)
    assert (down, v.lists[DIRTY_LIST], v.counters["pgdeactivate"]) == (1, (0,), 1)
    assert (v.lists[ACTIVE_FILE], broken(rules("2.4.0"), v)) == ((3, 2, 1), None)


def test_pages_in_use_stay_active() -> None:
    v = set_age(set_age(filled("2.4.0", 2), 0, 0), 1, 0)
    v = replace(flag(v, 1, PINNED, True), rmap=Mappings().map(0, Entry()))
    v, down = refill_inactive_scan(rules("2.4.0"), v, 0, False)
    assert (down, v.lists[ACTIVE_FILE]) == (0, (1, 0))


def test_since_2_4_8_age_does_not_matter_and_a_zone_with_plenty_is_spared() -> None:
    own = rules("2.4.9")
    v = filled("2.4.9", 6)
    for page in range(6):
        v = age_up(own, v, page)
        v = activate(own, v, page)
    spared, down = refill_inactive_scan(own, replace(v, zones=(v.zones[0]._replace(managed=9),)), 0, False)
    assert (down, spared.sizes[ACTIVE_FILE]) == (4, 2)  # four are more than a third of nine
    assert [age_of(spared, page) for page in spared.lists[DIRTY_LIST]] == [0, 0, 0, 0]
    plenty, down = refill_inactive_scan(own, replace(v, zones=(v.zones[0]._replace(free=7),)), 0, False)
    assert (down, [age_of(plenty, page) for page in range(6)]) == (0, [3] * 6)


def inactive(release: str, *flags: int) -> Lruvec:
    """Inactive pages of files of age 0 with these flags; too little is free."""
    v = filled(release, len(flags))
    for page, bits in enumerate(flags):
        v = shrink_2_4_0.deactivate(rules(release), v, page, False)
        v = flag(v, page, bits, True)
    return v


def test_what_becomes_of_inactive_pages() -> None:
    v = inactive("2.4.0", 0, REFERENCED, PINNED, LOCKED, WRITEBACK, DIRTY)
    v = replace(v, backing=Store(0, PAGE_WRITTEN))
    v, clean = page_launder(rules("2.4.0"), v, True)
    assert (clean, v.lists[CLEAN_LIST], v.lists[ACTIVE_FILE]) == (1, (0,), (2, 1))
    assert set(v.lists[DIRTY_LIST]) == {3, 4, 5}
    assert (v.pages[5].flags, v.counters["nr_vmscan_write"]) == (WRITEBACK | LRU, 1)
    refused = replace(inactive("2.4.0", DIRTY), backing=Store(0, PAGE_ACTIVATE))
    refused, _ = page_launder(rules("2.4.0"), refused, True)
    assert (refused.lists[ACTIVE_FILE], has(refused, 0, DIRTY)) == ((0,), True)
    assert broken(rules("2.4.0"), v) is None


def test_dirty_pages_are_written_only_if_the_clean_ones_do_not_do() -> None:
    v = inactive("2.4.0", *[DIRTY] * 2)
    enough = replace(v, zones=(ZoneMarks(20, 20, 4, 8, 16),))
    enough, _ = page_launder(rules("2.4.0"), enough, True)
    assert all(has(enough, page, DIRTY) for page in (0, 1))
    short, clean = page_launder(rules("2.4.0"), v, True)
    # the page that was written stays the oldest, and is found clean next
    assert (clean, short.counters["nr_vmscan_write"]) == (1, 1)


def test_since_2_4_8_a_part_of_64_is_looked_at() -> None:
    own = rules("2.4.9")
    v, clean = page_launder(own, inactive("2.4.9", *[0] * 63), True)
    assert (clean, v.counters.get("pgscan_kswapd", 0)) == (0, 0)
    v, clean = page_launder(own, inactive("2.4.9", *[REFERENCED] * 130), True)
    assert (clean, v.lists[CLEAN_LIST]) == (2, (1, 0))  # the mark is taken, and does not help


@pytest.mark.parametrize(
    ("release", "bits", "freed", "then"),
    [
        ("2.4.0", 0, 1, -1),
        ("2.4.0", REFERENCED, 0, ACTIVE_FILE),
        ("2.4.9", REFERENCED, 1, -1),
        ("2.4.0", PINNED, 0, ACTIVE_FILE),
        ("2.4.9", PINNED, 0, ACTIVE_FILE),
        ("2.4.0", DIRTY, 0, DIRTY_LIST),
        ("2.4.9", LOCKED, 0, DIRTY_LIST),
        ("2.4.9", DIRTY | PINNED, 0, DIRTY_LIST),
        ("2.4.0", DIRTY | PINNED, 0, ACTIVE_FILE),
    ],
)
def test_what_becomes_of_a_clean_page(release: str, bits: int, freed: int, then: int) -> None:
    v, _ = page_launder(rules("2.4.0"), inactive("2.4.0", 0), True)
    assert (v.lists[CLEAN_LIST], has(v, 0, CLEAN)) == ((0,), True)
    v, found = reclaim_page(rules(release), flag(v, 0, bits, True), 0, True)
    assert found == freed
    assert [lru for lru in range(5) if v.lists[lru]] == ([then] if then >= 0 else [])
    assert v.zones[0].free == freed
    assert broken(rules(release), v) is None


def test_clean_pages_are_of_their_zone() -> None:
    v = filled("2.4.0", 4, zones=2)
    for page in range(4):
        v = shrink_2_4_0.deactivate(rules("2.4.0"), v, page, False)
    v, _ = page_launder(rules("2.4.0"), v, True)
    assert [oldest_clean(v, zone) for zone in (0, 1, 2)] == [0, 1, -1]
    v, _ = reclaim_page(rules("2.4.0"), v, 1, True)
    assert (set(v.pages), oldest_clean(v, 1)) == ({0, 2, 3}, 3)


# ---- address spaces ----------------------------------------------------------------------------------------


def test_anonymous_memory_leaves_with_a_slot_of_swap_once_it_has_no_age() -> None:
    own = rules("2.4.0")
    v = filled("2.4.0", 1, anon=True)
    v = unmap_one(own, v, 0)
    assert (age_of(v, 0), v.rmap.mapped(0)) == (1, 1)
    v = unmap_one(own, v, 0)
    assert (v.lists[DIRTY_LIST], v.rmap.mapped(0), age_of(v, 0)) == ((0,), 0, 0)
    assert (v.pages[0].flags, broken(own, v)) == (ANON | SWAPCACHE | DIRTY | LRU, None)
    full = unmap_one(own, set_age(filled("2.4.0", 1, anon=True, slots=0), 0, 0), 0)
    assert (full.rmap.mapped(0), full.lists[UNLISTED]) == (1, (0,))


def test_an_entry_that_was_used_makes_its_page_older() -> None:
    for release, age in (("2.4.0", 5), ("2.4.9", 0)):
        v = filled(release, 1, anon=True)
        v = replace(v, rmap=Mappings().map(0, Entry(young=True, address=0)))
        v = replace(v, zones=(v.zones[0]._replace(managed=99),))
        v = unmap_one(rules(release), v, 0)
        assert (age_of(v, 0), v.rmap.mapped(0), has(v, 0, REFERENCED)) == (age, 1, release == "2.4.9")


def test_the_largest_address_space_is_walked_first_and_then_the_rest() -> None:
    own = rules("2.4.0")
    v = replace(filled("2.4.0", 40, anon=True), spaces=(0, 30))
    assert [rss_of(v, space) for space in (0, 1)] == [30, 10]
    v, found = swap_out_largest(own, v)
    assert (found, v.mms) == (True, ((0, 8), (8, 30)))
    v, found = swap_out_largest(own, v)
    assert (found, left_of(v, 1), position_of(v, 1)) == (True, 0, 38)
    assert [age_of(v, page) for page in (0, 7, 8, 30, 38)] == [1, 1, 2, 1, 2]
    v = set_walk(v, 0, 99, 25)
    v, found = swap_out_largest(own, v)
    assert (found, v.mms[0]) == (False, (0, 0))


def test_since_2_4_8_address_spaces_take_turns() -> None:
    v = replace(filled("2.4.9", 40, anon=True), spaces=(0, 30))
    v = replace(v, zones=(v.zones[0]._replace(managed=99),))
    v, found = swap_out_in_turn(rules("2.4.9"), v)
    assert (found, v.walk[0], v.mms) == (True, 1, ((0, 8), (0, 30)))
    assert v.sizes[DIRTY_LIST] == 8
    v, found = swap_out_in_turn(rules("2.4.9"), v)
    assert (v.walk[0], position_of(v, 1)) == (0, 38)


# ---- runs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("release", ALL)
def test_the_daemons_keep_free_and_inactive_pages(release: str) -> None:
    own = rules(release)
    v = filled(release, 400)
    assert free_shortage(own, v) > 0
    for _ in range(4):
        v, _ = kswapd(own, v, 60, None)
    assert v.zones[0].free >= v.zones[0].low
    assert free_shortage(own, v) == 0
    assert inactive_shortage(own, v) == 0
    assert v.counters["pgsteal_kswapd"] == v.zones[0].free
    assert broken(own, v) is None


@pytest.mark.parametrize("release", ALL)
def test_a_task_takes_a_clean_page_or_says_that_there_is_none(release: str) -> None:
    own = rules(release)
    v, progress = direct_reclaim(own, filled(release, 400), 0, 60, None)
    if release != "2.4.9":  # the first call only makes pages inactive
        assert (progress.reclaimed, v.sizes[DIRTY_LIST]) == (0, 16)
        v, progress = direct_reclaim(own, v, 0, 60, None)
    assert progress == Progress(1, 6)
    assert (v.zones[0].free, v.counters["pgsteal_direct"]) == (1, 1)
    stuck = filled(release, 100)
    for page in range(100):
        stuck = flag(stuck, page, PINNED, True)
    stuck, progress = direct_reclaim(own, stuck, 0, 60, None)
    assert (progress.reclaimed, len(stuck.pages)) == (0, 100)


def test_pressure_wants_more_inactive_pages() -> None:
    own = rules("2.4.0")
    v = replace(filled("2.4.0", 40), zones=(ZoneMarks(40, 16, 4, 8, 16),))
    v = set_pressure(v, 0)
    assert (free_shortage(own, v), inactive_shortage(own, v)) == (0, 0)
    v = set_pressure(v, 9 * 64)
    assert (free_shortage(own, v), inactive_shortage(own, v)) == (3, 9)
