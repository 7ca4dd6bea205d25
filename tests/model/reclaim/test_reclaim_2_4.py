"""Reclaim of 2.4: the two lists of the machine, and the walk that stands in for a reverse map."""

from dataclasses import replace

import pytest

from linuxmm.model.reclaim import reclaimers, shrink_2_4
from linuxmm.model.reclaim.accesses import bring_in, mark_accessed
from linuxmm.model.reclaim.outside import PAGE_ACTIVATE, PAGE_WRITTEN, Entry, Mappings, Store
from linuxmm.model.reclaim.profile import rules_for
from linuxmm.model.reclaim.rules import Control, Progress, Rules
from linuxmm.model.reclaim.shrink_2_4 import (
    FREED,
    IN_USE,
    STAYS,
    direct_reclaim,
    is_short,
    kswapd,
    refill_inactive,
    shrink_cache,
    shrink_page,
)
from linuxmm.model.reclaim.spaces import END_OF_SPACES
from linuxmm.model.reclaim.state import (
    ACTIVE,
    ANON,
    DIRTY,
    LOCKED,
    LRU,
    PINNED,
    REFERENCED,
    SWAPBACKED,
    SWAPCACHE,
    WRITEBACK,
    Lruvec,
    ZoneMarks,
    flag,
)
from linuxmm.model.reclaim.strategies import machine
from linuxmm.model.reclaim.swap_out import swap_out, try_to_swap_out
from linuxmm.spec.kernel import kernel
from linuxmm.spec.reclaim.lists import ACTIVE_FILE, INACTIVE_FILE

BOTH = ("2.4.17", "2.4.32")
DIRECT = Control(6, 32, reclaim_idx=1)


def rules(release: str) -> Rules:
    return rules_for(kernel(release))


def filled(release: str, pages: int, *, active: int = 0, zones: int = 2) -> Lruvec:
    """Pages of files, the first `active` of them active; pages of odd number are of zone 1."""
    v = replace(machine(pages, zones), zones=(ZoneMarks(pages, pages, 4, 8, 16),) * zones)
    for page in range(pages):
        v = bring_in(rules(release), v, page, page, zone=page % zones)
        if page < active:
            v = mark_accessed(rules(release), mark_accessed(rules(release), v, page), page)
    return replace(v, log=())


def mapping(v: Lruvec, *pages: int, young: bool = False) -> Lruvec:
    """The same, with an entry for each page at the page's own address."""
    entries = Mappings()
    for page in pages:
        entries = entries.map(page, Entry(young=young, address=page))
    return replace(v, rmap=entries)


def test_anonymous_memory_starts_inactive_and_marked() -> None:
    v = bring_in(rules("2.4.17"), machine(2), 0, 0, anon=True)
    assert (v.lists[INACTIVE_FILE], v.waiting) == ((0,), ())
    assert v.pages[0].flags == ANON | SWAPBACKED | REFERENCED | LRU
    assert mark_accessed(rules("2.4.17"), v, 0).lists[ACTIVE_FILE] == (0,)


@pytest.mark.parametrize(("release", "down"), [("2.4.17", 30), ("2.4.32", 31)])
def test_the_active_list_gives_what_two_thirds_leave(release: str, down: int) -> None:
    v = filled(release, 60, active=40, zones=1)
    v = refill_inactive(rules(release), v, 32, replace_idx(0))
    assert v.sizes == (0, 0, 20 + down, 40 - down, 0)
    assert all(v.pages[page].flags == LRU | REFERENCED for page in v.lists[INACTIVE_FILE][:down])
    assert v.counters["pgdeactivate"] == v.counters["pgrefill"] == down


def replace_idx(zone: int) -> Control:
    return DIRECT._replace(reclaim_idx=zone)


def test_a_marked_page_goes_round_once() -> None:
    v = filled("2.4.17", 4, active=4, zones=1)
    v = mark_accessed(rules("2.4.17"), v, 0)
    v = refill_inactive(rules("2.4.17"), v, 2, replace_idx(0))
    assert (v.lists[ACTIVE_FILE], v.lists[INACTIVE_FILE]) == ((), (0, 3, 2, 1))
    assert (v.counters["pgrefill"], v.counters["pgdeactivate"]) == (5, 4)


@pytest.mark.parametrize(
    ("flags", "control", "outcome", "after"),
    [
        (0, DIRECT, FREED, -1),
        (REFERENCED, DIRECT, FREED, -1),
        (PINNED, DIRECT, IN_USE, PINNED | LRU),
        (ANON | SWAPBACKED, DIRECT, IN_USE, ANON | SWAPBACKED | LRU),
        (ANON | SWAPCACHE, DIRECT, FREED, -1),
        (LOCKED, DIRECT, STAYS, LOCKED | LRU),
        (WRITEBACK, DIRECT, STAYS, LRU),
        (WRITEBACK, DIRECT._replace(fs=False), STAYS, WRITEBACK | LRU),
        (DIRTY, DIRECT, STAYS, WRITEBACK | LRU),
        (DIRTY, DIRECT._replace(fs=False), STAYS, DIRTY | LRU),
    ],
)
def test_what_becomes_of_an_inactive_page(flags: int, control: Control, outcome: int, after: int) -> None:
    v = flag(filled("2.4.17", 1, zones=1), 0, flags, True)
    v = replace(v, backing=Store(0, PAGE_WRITTEN))
    v, found = shrink_page(rules("2.4.17"), v, 0, control)
    assert (found, v.pages[0].flags if 0 in v.pages else -1) == (outcome, after)


def test_a_page_that_its_owner_will_not_write_stays_dirty() -> None:
    v = flag(filled("2.4.17", 1, zones=1), 0, DIRTY, True)
    v, found = shrink_page(rules("2.4.17"), replace(v, backing=Store(0, PAGE_ACTIVATE)), 0, DIRECT)
    assert (found, v.pages[0].flags) == (STAYS, DIRTY | LRU)


@pytest.mark.parametrize(
    ("entry", "flags", "slots", "freeable", "left", "after"),
    [
        (Entry(young=True), 0, 1, False, True, REFERENCED | LRU),
        (Entry(locked=True), 0, 1, False, True, REFERENCED | LRU),
        (Entry(), ACTIVE, 1, False, True, ACTIVE | LRU),
        (Entry(), LOCKED, 1, False, True, LOCKED | LRU),
        (Entry(), WRITEBACK, 1, False, True, WRITEBACK | LRU),
        (Entry(), 0, 1, True, False, LRU),
        (Entry(dirty=True), 0, 1, True, False, DIRTY | LRU),
        (Entry(), PINNED, 1, False, False, PINNED | LRU),
        (Entry(), ANON, 1, True, False, ANON | SWAPCACHE | DIRTY | LRU),
        (Entry(), ANON, 0, False, True, ANON | LRU),
        (Entry(), ANON | SWAPCACHE, 0, True, False, ANON | SWAPCACHE | LRU),
    ],
)
def test_what_becomes_of_an_entry(
    entry: Entry, flags: int, slots: int, freeable: bool, left: bool, after: int
) -> None:
    v = flag(filled("2.4.17", 1, zones=1), 0, flags, True)
    v = replace(v, rmap=Mappings().map(0, entry._replace(address=5)), backing=Store(slots))
    v, found = try_to_swap_out(rules("2.4.17"), v, 5, DIRECT)
    assert isinstance(v.rmap, Mappings)
    assert (found, v.rmap.mapped(0) == 1, v.pages[0].flags) == (freeable, left, after)


def test_entries_of_pages_outside_the_class_stay() -> None:
    v = mapping(filled("2.4.17", 2), 0, 1)
    assert try_to_swap_out(rules("2.4.17"), v, 1, replace_idx(0)) == (v, False)


def test_a_page_that_two_map_is_not_freeable_yet() -> None:
    v = filled("2.4.17", 1, zones=1)
    v = replace(v, rmap=Mappings().map(0, Entry(address=2), Entry(address=70)))
    v, first = try_to_swap_out(rules("2.4.17"), v, 2, DIRECT)
    _, second = try_to_swap_out(rules("2.4.17"), v, 70, DIRECT)
    assert (first, second) == (False, True)


def test_a_walk_goes_on_where_the_last_one_stopped() -> None:
    v = mapping(filled("2.4.17", 80, zones=1), *range(80))
    v = replace(v, spaces=(0, 20))
    v, found = swap_out(rules("2.4.17"), v, DIRECT)
    assert (found, v.walk) == (True, (1, 32))
    v, found = swap_out(rules("2.4.17"), v, DIRECT)
    assert (found, v.walk) == (True, (1, 64))
    v, found = swap_out(rules("2.4.17"), v, DIRECT)
    assert (found, v.walk) == (False, (1, END_OF_SPACES))
    assert v.rmap == Mappings()


@pytest.mark.parametrize(("release", "visits"), [("2.4.17", 3), ("2.4.32", 5)])
def test_a_walk_in_vain_enters_each_space_so_often(release: str, visits: int) -> None:
    v = replace(filled(release, 4, zones=1), spaces=(0, 10))
    v, found = swap_out(rules(release), v, DIRECT)
    assert (found, v.walk) == (False, ((visits - 1) % 2, END_OF_SPACES))


def test_up_to_2_4_22_pages_in_use_end_the_pass_and_later_they_do_not() -> None:
    freed = {}
    for release in BOTH:
        v = mapping(filled(release, 320, zones=1), *range(40))
        v, done, vain = shrink_cache(rules(release), v, replace_idx(0), False)
        freed[release] = (done.reclaimed, done.scanned, vain)
    # 53 pages are looked at: 2.4.17 has room for 5 pages in use, 2.4.32 for 3200
    assert freed == {"2.4.17": (0, 6, False), "2.4.32": (13, 53, False)}


@pytest.mark.parametrize("release", BOTH)
def test_pages_of_higher_zones_go_round_unharmed(release: str) -> None:
    v = filled(release, 60)
    v, done, _ = shrink_cache(rules(release), v, replace_idx(0)._replace(priority=1), False)
    assert done.reclaimed == (30 if release == "2.4.17" else 5)
    assert all(page in v.pages for page in range(1, 60, 2))


@pytest.mark.parametrize("release", BOTH)
def test_a_task_frees_32_pages_or_says_that_it_could_not(release: str) -> None:
    own = rules(release)
    v, progress = direct_reclaim(own, filled(release, 200, active=20), 0, 60, None)
    assert progress.reclaimed == 32
    assert len(v.pages) == 168
    stuck = filled(release, 40)
    for page in range(40):
        stuck = flag(stuck, page, PINNED, True)
    v, progress = direct_reclaim(own, stuck, 0, 60, None)
    assert progress == Progress(0, 1 if release == "2.4.17" else 6)
    assert set(v.pages) == set(range(40))


@pytest.mark.parametrize("release", BOTH)
def test_the_daemon_goes_on_until_a_zone_of_the_class_is_balanced(release: str) -> None:
    v = replace(filled(release, 200, zones=1), zones=(ZoneMarks(200, 0, 10, 20, 40),))
    assert is_short(v, 0)
    v, progress = kswapd(rules(release), v, 60, None)
    assert (progress.reclaimed, v.zones[0].free) == (64, 64)
    assert kswapd(rules(release), v, 60, None)[1] == Progress(0, 6)


def test_since_2_4_23_fewer_than_six_pages_are_never_looked_at() -> None:
    """Found by the search of tiny machines: a sixth of five pages is none, in all of sixty passes."""
    v, progress = direct_reclaim(rules("2.4.32"), filled("2.4.32", 5), 0, 60, None)
    assert (progress.reclaimed, v.counters.get("pgscan_direct", 0)) == (0, 0)
    _, progress = direct_reclaim(rules("2.4.32"), filled("2.4.32", 6), 0, 60, None)
    assert progress.reclaimed == 1


def test_who_reclaims_is_of_the_kernel() -> None:
    assert rules("2.4.32").direct is shrink_2_4.direct_reclaim
    assert rules("2.4.32").free_pages is shrink_2_4.free_by_passes
    assert rules("2.4.22").free_pages is shrink_2_4.free_by_priority
    assert rules("2.6.11").daemon is reclaimers.kswapd


def test_a_walk_needs_a_table() -> None:
    v = replace(filled("2.4.17", 1), rmap=None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^expected Mappings as the reverse map, got NoneType$"):
        swap_out(rules("2.4.17"), v, DIRECT)
    with pytest.raises(KeyError, match=r"no entry maps address 7"):
        Mappings().page_at(7)
