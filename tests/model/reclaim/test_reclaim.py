"""Reclaim: what becomes of a page, of a list, and of whoever waits for memory."""

from dataclasses import replace

import pytest

from linuxmm.model.reclaim.accesses import bring_in, mark_accessed, mark_lazyfree, mlock
from linuxmm.model.reclaim.audit import broken
from linuxmm.model.reclaim.outside import PAGE_ACTIVATE, PAGE_KEEP, PAGE_SYNCED, Entry, Mappings, Store
from linuxmm.model.reclaim.profile import rules_for
from linuxmm.model.reclaim.reclaimers import direct_reclaim, kswapd, must_wait
from linuxmm.model.reclaim.rules import Control, Progress, Rules
from linuxmm.model.reclaim.scan import scan_counts
from linuxmm.model.reclaim.shrink import FREED, isolate, shrink_active, shrink_inactive, shrink_page
from linuxmm.model.reclaim.state import (
    ACTIVE,
    ANON,
    DIRTY,
    LOCKED,
    LRU,
    MLOCKED,
    PINNED,
    RECLAIM,
    REFERENCED,
    SWAPBACKED,
    SWAPCACHE,
    WORKINGSET,
    WRITEBACK,
    Lruvec,
    ZoneMarks,
    flag,
)
from linuxmm.model.reclaim.strategies import ERAS, machine
from linuxmm.spec.kernel import kernel
from linuxmm.spec.reclaim.lists import ACTIVE_ANON, ACTIVE_FILE, INACTIVE_ANON, INACTIVE_FILE
from linuxmm.spec.reclaim.references import ACTIVATE, KEEP

DIRECT = Control(12, 32)
DAEMON = DIRECT._replace(kswapd=True, priority=8)


def rules(release: str) -> Rules:
    return rules_for(kernel(release), False)


def one(
    release: str, flags: int = 0, entries: tuple[Entry, ...] = (), slots: int = 1, write: int = 2
) -> Lruvec:
    """A state in which page 0 was just isolated."""
    v = machine(4, backing=Store(slots, write))
    v = bring_in(rules(release), v, 0, 7, anon=bool(flags & ANON))
    v = flag(v, 0, flags, True)
    lru = next(at for at in range(5) if v.lists[at])
    v, _, _ = isolate(rules(release), v, lru, 1, DIRECT)
    return replace(v, log=(), rmap=Mappings().map(0, *entries))


def judged(
    release: str, flags: int = 0, *entries: Entry, control: Control = DIRECT, **more: int
) -> tuple[int, int]:
    """What becomes of such a page, and its flags afterwards (-1 when it is gone)."""
    v, outcome = shrink_page(rules(release), one(release, flags, entries, **more), 0, control)
    return outcome, v.pages[0].flags if 0 in v.pages else -1


GONE = (FREED, -1)
YOUNG = Entry(young=True)


@pytest.mark.parametrize(
    ("release", "flags", "entries", "expected"),
    [
        ("6.1", 0, (), GONE),
        ("6.1", LOCKED, (), (KEEP, LOCKED)),
        ("6.1", PINNED, (), (KEEP, PINNED)),
        ("6.1", MLOCKED, (), (KEEP, MLOCKED)),
        ("6.1", REFERENCED, (), GONE),
        ("6.1", REFERENCED | DIRTY, (), (ACTIVATE, DIRTY | RECLAIM)),
        ("6.1", WRITEBACK, (), (ACTIVATE, WRITEBACK | RECLAIM)),
        ("4.9", WRITEBACK, (), (KEEP, WRITEBACK | RECLAIM)),
        ("6.1", 0, (YOUNG,), (KEEP, REFERENCED)),
        ("6.1", REFERENCED, (YOUNG,), (ACTIVATE, REFERENCED)),
        ("6.1", 0, (Entry(young=True, executable=True),), (ACTIVATE, REFERENCED)),
        ("6.1", 0, (Entry(),), GONE),
        ("6.1", 0, (Entry(stuck=True),), (ACTIVATE, 0)),
        ("6.1", 0, (Entry(locked=True),), (ACTIVATE, 0)),
        ("4.9", 0, (Entry(locked=True),), (KEEP, MLOCKED)),
        ("2.6.24", 0, (Entry(locked=True),), (ACTIVATE, 0)),
        ("2.6.24", 0, (YOUNG,), (ACTIVATE, 0)),
        ("6.1", 0, (Entry(dirty=True),), (ACTIVATE, DIRTY | RECLAIM)),
        ("3.0", DIRTY, (), (KEEP, WRITEBACK | RECLAIM)),
        ("3.5", DIRTY, (), (KEEP, DIRTY | RECLAIM)),
        ("6.1", ANON | SWAPBACKED, (), (KEEP, ANON | SWAPBACKED | SWAPCACHE | WRITEBACK | RECLAIM)),
        ("6.1", ANON, (Entry(),), GONE),
        ("6.1", ANON, (Entry(dirty=True),), (ACTIVATE, ANON | SWAPBACKED | DIRTY)),
    ],
)  # fmt: skip
def test_what_becomes_of_a_page(
    release: str, flags: int, entries: tuple[Entry, ...], expected: tuple[int, int]
) -> None:
    if flags == ANON:
        v = replace(flag(one(release, flags, entries), 0, SWAPBACKED | ACTIVE, False))
        after, outcome = shrink_page(rules(release), v, 0, DIRECT)
        assert (outcome, after.pages[0].flags if 0 in after.pages else -1) == expected
        assert after.rmap.mapped(0) == (1 if outcome == ACTIVATE else 0)
    else:
        assert judged(release, flags, *entries) == expected


@pytest.mark.parametrize(
    ("release", "control", "expected"),
    [
        ("3.5", DAEMON, (KEEP, WRITEBACK | RECLAIM)),
        ("3.5", DAEMON._replace(priority=10), (KEEP, DIRTY | RECLAIM)),
        ("4.9", DAEMON, (KEEP, DIRTY | RECLAIM)),
        ("3.0", DIRECT._replace(writes=False), (KEEP, DIRTY)),
        ("3.0", DIRECT._replace(fs=False), (KEEP, DIRTY)),
    ],
)
def test_who_writes_dirty_pages(release: str, control: Control, expected: tuple[int, int]) -> None:
    assert judged(release, DIRTY, control=control) == expected


@pytest.mark.parametrize(
    ("write", "expected"),
    [(PAGE_KEEP, (KEEP, DIRTY)), (PAGE_ACTIVATE, (ACTIVATE, DIRTY)), (PAGE_SYNCED, GONE)],
)
def test_how_writing_can_go(write: int, expected: tuple[int, int]) -> None:
    assert judged("3.0", DIRTY, write=write) == expected


def test_since_3_11_the_daemon_writes_when_everything_is_dirty() -> None:
    v = replace(one("4.9", DIRTY), many_dirty=True)
    after, outcome = shrink_page(rules("4.9"), v, 0, DAEMON)
    assert (outcome, after.pages[0].flags) == (KEEP, WRITEBACK | RECLAIM)


def test_anonymous_pages_need_a_slot_and_io() -> None:
    anon = ANON | SWAPBACKED
    assert judged("6.1", anon, slots=0) == (ACTIVATE, anon)
    assert judged("6.1", anon, control=DIRECT._replace(io=False)) == (KEEP, anon)
    assert judged("6.1", 0, Entry(), control=DIRECT._replace(unmaps=False)) == (KEEP, 0)


def filled(release: str, pages: int, active: int = 0, anon: int = 0, **marks: int) -> Lruvec:
    """File pages 0, 1, ..., the first of them active, and anonymous ones after them."""
    own, v = rules(release), machine(pages + anon, backing=Store(slots=marks.get("slots", 64)))
    for page in range(pages + anon):
        v = bring_in(own, v, page, page, anon=page >= pages)
    for page in range(active):
        v = mark_accessed(own, mark_accessed(own, v, page), page)
    return replace(v, log=())


def test_pages_of_higher_zones_are_skipped_since_4_8() -> None:
    v = machine(8, zones=2)
    for page in range(4):
        v = bring_in(rules("6.1"), v, page, page, zone=page % 2)
    v, taken, scanned = isolate(rules("6.1"), v, INACTIVE_FILE, 4, DIRECT)
    assert (taken, scanned, v.lists[INACTIVE_FILE], v.isolated) == (2, 2, (3, 1), (0, 2))
    assert v.queues == ((0, 2), (), ())
    assert v.counters["pgskip"] == 2


def test_a_batch_of_the_inactive_list() -> None:
    v = filled("6.1", 8)
    v = flag(flag(v, 1, PINNED, True), 2, WRITEBACK, True)
    v, done = shrink_inactive(rules("6.1"), v, INACTIVE_FILE, 4, DIRECT)
    assert v.lists == ((), (), (1, 7, 6, 5, 4), (2,), ())
    assert (done.scanned, done.reclaimed, v.clock, sorted(v.shadows)) == (4, 2, 3, [0, 3])
    assert {name: v.counters[name] for name in v.counters} == {
        "pgscan_direct": 4,
        "pgsteal_direct": 2,
        "pgactivate": 1,
    }
    assert broken(rules("6.1"), v) is None


@pytest.mark.parametrize(
    ("release", "lists"),
    [
        ("2.6.28", ((), (), (2, 1, 0), (), ())),
        ("2.6.31", ((), (), (2, 0), (1,), ())),
        ("6.1", ((), (), (2, 0), (1,), ())),
    ],
)
def test_executable_pages_go_round_the_active_list(release: str, lists: tuple[tuple[int, ...], ...]) -> None:
    v = filled(release, 3, active=3)
    v = replace(v, rmap=Mappings().map(0, YOUNG).map(1, Entry(young=True, executable=True)))
    v = shrink_active(rules(release), v, ACTIVE_FILE, 3, DIRECT)
    assert v.lists == lists
    assert v.rotated == (0, 2)


def test_pages_put_back_as_active_move_the_clock_since_5_8() -> None:
    """Found in a recording of 6.1, whose clock ran ahead of evictions and activations by just these pages."""
    for release, steps in (("5.7", 0), ("5.8", 1), ("6.1", 1)):
        v = filled(release, 3, active=3)
        v = replace(v, rmap=Mappings().map(1, Entry(young=True, executable=True)))
        assert shrink_active(rules(release), v, ACTIVE_FILE, 3, DIRECT).clock - v.clock == steps


def test_pages_taken_down_were_part_of_the_working_set() -> None:
    v = shrink_active(rules("6.1"), filled("6.1", 2, active=2), ACTIVE_FILE, 1, DIRECT)
    assert v.pages[0].flags == LRU | WORKINGSET
    assert (
        shrink_active(rules("4.9"), filled("4.9", 2, active=2), ACTIVE_FILE, 1, DIRECT).pages[0].flags == LRU
    )


def test_two_lists_keep_mapped_pages_until_it_is_hard() -> None:
    v = replace(filled("2.6.24", 3, active=3), rmap=Mappings().map(0, Entry()))
    easy = shrink_active(rules("2.6.24"), v, ACTIVE_FILE, 3, DIRECT)
    assert easy.lists == ((), (), (2, 1), (0,), ())
    hard = shrink_active(rules("2.6.24"), v, ACTIVE_FILE, 3, DIRECT._replace(priority=1))
    assert hard.lists == ((), (), (2, 1, 0), (), ())
    near = shrink_active(rules("2.6.24"), replace(v, fruitless=9), ACTIVE_FILE, 3, DIRECT)
    assert near.lists == ((), (), (2, 1, 0), (), ())
    assert shrink_active(rules("2.6.24"), v, ACTIVE_FILE, 3, DIRECT._replace(swaps=False)).lists == easy.lists


@pytest.mark.parametrize("release", [era for era in ERAS if rules(era).split])
@pytest.mark.parametrize("swappiness", [0, 60, 100])
@pytest.mark.parametrize("priority", [0, 2, 12])
def test_scan_counts_stay_within_the_lists(release: str, swappiness: int, priority: int) -> None:
    v = filled(release, 100, active=30, anon=100)
    control = Control(priority, 32, swappiness=swappiness)
    _, counts = scan_counts(rules(release), v, control)
    assert all(count <= v.sizes[lru] for lru, count in enumerate(counts))
    if (
        swappiness == 0
        and release[0] > "2"
        and v.sizes[INACTIVE_FILE] + v.sizes[ACTIVE_FILE] > v.zones[0].high
    ):
        assert counts[INACTIVE_ANON] == counts[ACTIVE_ANON] == 0


@pytest.mark.parametrize("release", [each for each in ERAS if not rules(each).aged])
def test_direct_reclaim_frees_the_oldest_and_says_when_there_is_nothing(release: str) -> None:
    own = rules(release)
    v, progress = direct_reclaim(own, filled(release, 200, active=20))
    assert progress.reclaimed >= 32
    assert 199 in v.pages
    assert set(range(20)) <= set(v.pages)
    assert broken(own, v) is None
    stuck = filled(release, 40)
    for page in range(40):
        stuck = flag(stuck, page, PINNED, True)
    v, progress = direct_reclaim(own, stuck)
    assert progress == Progress(0, 0)
    assert set(v.pages) == set(range(40))


@pytest.mark.parametrize("release", ["2.6.24", "3.10", "4.9", "6.1"])
def test_the_daemon_stops_at_the_high_watermark(release: str) -> None:
    own, v = rules(release), filled(release, 160)
    v = replace(v, zones=(ZoneMarks(160, 0, 10, 20, 40),))
    v, progress = kswapd(own, v)
    assert v.zones[0].free == progress.reclaimed > 40
    assert v.failures == 0
    assert kswapd(own, v)[1] == Progress(0, 12)


def test_the_daemon_gives_up_after_sixteen_failures() -> None:
    own, v = rules("6.1"), replace(machine(4), zones=(ZoneMarks(4, 0, 1, 2, 3),))
    for runs in range(16):
        assert v.failures == runs
        v, progress = kswapd(own, v)
        assert progress == Progress(0, 0)
    assert kswapd(own, replace(v, log=()))[0].counters["pageoutrun"] == 16


def test_who_waits_for_isolated_pages() -> None:
    v = replace(filled("6.1", 16), isolated=(0, 3))
    assert must_wait(rules("6.1"), v, INACTIVE_FILE, DIRECT)
    assert not must_wait(rules("6.1"), v, INACTIVE_FILE, DIRECT._replace(fs=False))
    assert not must_wait(rules("6.1"), v, INACTIVE_FILE, DAEMON)
    assert not must_wait(rules("3.5"), v, INACTIVE_FILE, DIRECT)
    assert not must_wait(rules("2.6.24"), v, INACTIVE_FILE, DIRECT)


@pytest.mark.parametrize(
    ("release", "activated", "counter"),
    [("3.14", False, ""), ("3.16", True, "workingset_activate"), ("6.1", True, "workingset_activate_file")],
)
def test_a_page_that_comes_back_soon_is_active_at_once(release: str, activated: bool, counter: str) -> None:
    own = rules(release)
    v = filled(release, 60, active=10)
    v, done = shrink_inactive(own, v, INACTIVE_FILE, 5, DIRECT)
    assert done.reclaimed == 5
    v = bring_in(own, v, 10, 10)
    assert (10 in v.lists[ACTIVE_FILE]) is activated
    assert counter == "" or v.counters[counter] == 1
    assert 10 not in v.shadows


def test_a_page_that_comes_back_late_is_not() -> None:
    own = rules("6.1")
    v, _ = shrink_inactive(own, filled("6.1", 60, active=10, slots=0), INACTIVE_FILE, 32, DIRECT)
    assert 10 in bring_in(own, v, 10, 10).lists[INACTIVE_FILE]
    assert 35 in bring_in(own, v, 35, 35).lists[ACTIVE_FILE]


def test_a_restored_page_costs() -> None:
    own = rules("6.1")
    v = shrink_active(own, filled("6.1", 200, active=2), ACTIVE_FILE, 1, DIRECT)
    v = replace(v, lists=(*v.lists[:2], (*v.lists[2][1:], 0), *v.lists[3:]))
    v, _ = shrink_inactive(own, v, INACTIVE_FILE, 1, DIRECT)
    v = bring_in(own, v, 0, 0)
    assert v.pages[0].flags == ACTIVE | LRU | WORKINGSET
    assert v.cost == (0, 1)
    assert v.counters["workingset_restore_file"] == 1


def test_lazily_freed_pages_go_before_swap_is_asked() -> None:
    own = rules("6.1")
    v = filled("6.1", 0, anon=40, slots=0)
    for page in range(40):
        v = mark_lazyfree(own, v, page)
    v, progress = direct_reclaim(own, v)
    assert progress.reclaimed == 40
    assert (v.counters["pglazyfreed"], len(v.shadows)) == (40, 0)


def test_locked_pages_are_never_looked_at() -> None:
    own, v = rules("6.1"), filled("6.1", 40)
    for page in range(40):
        v = mlock(own, v, page)
    v, progress = direct_reclaim(own, v)
    assert progress == Progress(0, 0)
    assert "pgscan_direct" not in v.counters
    assert v.sizes == (0, 0, 0, 0, 40)
