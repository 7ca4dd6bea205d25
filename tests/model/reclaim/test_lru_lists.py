"""Pages on lists: how they get there and move, and what is true of the lists between any two steps."""

from dataclasses import replace

import pytest
from immutables import Map

from linuxmm.model.reclaim.accesses import (
    bring_in,
    drain,
    drop,
    end_writeback,
    mark_accessed,
    mark_lazyfree,
    mlock,
    munlock,
)
from linuxmm.model.reclaim.audit import INVARIANTS, broken
from linuxmm.model.reclaim.events import MmFilemapAddToPageCache, MmLruActivate, MmLruInsertion
from linuxmm.model.reclaim.outside import PAGE_WRITTEN, Entry, Mappings, Store
from linuxmm.model.reclaim.profile import rules_for
from linuxmm.model.reclaim.rules import Control, Rules
from linuxmm.model.reclaim.shrink import shrink_inactive
from linuxmm.model.reclaim.state import (
    ACTIVE,
    ANON,
    LAZY,
    LRU,
    MLOCKED,
    RECLAIM,
    REFERENCED,
    SWAPBACKED,
    UNEVICTABLE,
    WRITEBACK,
    Lruvec,
    Page,
    flag,
)
from linuxmm.model.reclaim.strategies import machine
from linuxmm.spec.errors import ImpossibleProfile, Unmodelled
from linuxmm.spec.kernel import kernel
from linuxmm.spec.reclaim.lists import ACTIVE_FILE, INACTIVE_ANON, INACTIVE_FILE


def rules(release: str, batches: bool = False) -> Rules:
    return rules_for(kernel(release), batches)


def filled(release: str, *anon: bool) -> Lruvec:
    """Pages 0, 1, ... in places of the same number."""
    v = machine(16)
    for page, kind in enumerate(anon):
        v = bring_in(rules(release), v, page, page, anon=kind)
    return replace(v, log=())


@pytest.mark.parametrize(
    ("release", "lists"),
    [
        ("2.6.24", ((), (), (2, 0), (1,), ())),
        ("2.6.28", ((), (1,), (2, 0), (), ())),
        ("5.8", ((), (1,), (2, 0), (), ())),
        ("5.9", ((1,), (), (2, 0), (), ())),
        ("6.12", ((1,), (), (2, 0), (), ())),
    ],
)
def test_new_pages_get_to_the_head(release: str, lists: tuple[tuple[int, ...], ...]) -> None:
    assert filled(release, False, True, False).lists == lists


def test_a_batch_is_emptied_when_it_is_full() -> None:
    v = machine(64)
    for page in range(14):
        v = bring_in(rules("6.1", True), v, page, 100 + page)
    assert v.waiting == tuple(range(14))
    assert v.sizes == (0, 0, 0, 0, 0)
    v = bring_in(rules("6.1", True), v, 14, 114)
    assert v.waiting == ()
    assert v.lists[INACTIVE_FILE] == tuple(reversed(range(15)))
    assert v.log[:2] == (MmFilemapAddToPageCache(0, 100), MmFilemapAddToPageCache(1, 101))
    assert v.log[-1] == MmLruInsertion(14, INACTIVE_FILE)
    assert [rules(release, True).batch for release in ("2.6.28", "4.19", "6.12")] == [14, 15, 31]


def test_a_waiting_page_that_is_used_twice_starts_active_since_3_11() -> None:
    found = []
    for release in ("3.10", "3.16"):
        own = rules(release, True)
        v = mark_accessed(own, mark_accessed(own, bring_in(own, machine(16), 3, 3), 3), 3)
        found.append(drain(own, v).lists)
    assert found == [((), (), (3,), (), ()), ((), (), (), (3,), ())]


def test_the_second_access_moves_a_page_to_the_active_head() -> None:
    own = rules("6.1")
    v = mark_accessed(own, filled("6.1", False, False, False), 1)
    assert v.lists[INACTIVE_FILE] == (2, 1, 0)
    assert v.pages[1].flags == REFERENCED | LRU
    v = mark_accessed(own, v, 1)
    assert v.lists == ((), (), (2, 0), (1,), ())
    assert v.pages[1].flags == ACTIVE | LRU
    assert (v.clock, v.counters["pgactivate"], v.log) == (1, 1, (MmLruActivate(1),))
    v = mark_accessed(own, mark_accessed(own, v, 1), 1)
    assert v.pages[1].flags == ACTIVE | LRU | REFERENCED


def test_locked_pages_leave_the_lists_until_the_last_lock_goes() -> None:
    own = rules("6.1")
    v = mlock(own, mlock(own, filled("6.1", False, True), 1), 1)
    assert v.lists == ((), (), (0,), (), (1,))
    assert v.pages[1] == Page(ANON | SWAPBACKED | LRU | MLOCKED | UNEVICTABLE, 1, 0, 2)
    v = munlock(own, v, 1, others=False)
    assert v.lists[4] == (1,)
    v = munlock(own, v, 1, others=True)
    assert v.lists == ((1,), (), (0,), (), ())
    assert {name: v.counters[name] for name in v.counters} == {
        "unevictable_pgs_mlocked": 1,
        "unevictable_pgs_culled": 1,
        "unevictable_pgs_munlocked": 1,
        "unevictable_pgs_rescued": 1,
    }


def test_before_5_18_the_reverse_map_is_asked_for_other_locks() -> None:
    own = rules("4.9")
    v = mlock(own, mlock(own, filled("4.9", False), 0), 0)
    assert munlock(own, v, 0, others=True).lists[4] == (0,)
    assert munlock(own, v, 0, others=False).lists[INACTIVE_FILE] == (0,)


def test_before_2_6_28_locked_pages_stay_among_the_others() -> None:
    own = rules("2.6.24")
    v = mlock(own, filled("2.6.24", False), 0)
    assert v.lists == ((), (), (0,), (), ())


def test_pages_given_up_go_to_the_inactive_file_list() -> None:
    own = rules("6.1")
    v = mark_lazyfree(own, filled("6.1", True, False), 0)
    assert v.lists == ((), (), (0, 1), (), ())
    assert v.pages[0].flags == ANON | LRU
    assert v.counters["pglazyfree"] == 1
    assert mark_lazyfree(own, v, 1) == v
    with pytest.raises(ImpossibleProfile, match=r"^MADV_FREE was merged in 4.5$"):
        mark_lazyfree(rules("4.4"), v, 0)


def test_up_to_4_11_they_stay_anonymous_and_become_inactive() -> None:
    own = rules("4.9")
    v = mark_lazyfree(own, filled("4.9", True, False), 0)
    assert v.lists == ((0,), (), (1,), (), ())
    assert v.pages[0].flags == ANON | SWAPBACKED | LAZY | LRU
    assert (v.counters["pgdeactivate"], v.counters.get("pglazyfree", 0)) == (1, 0)
    assert mark_lazyfree(own, v, 0) == v
    assert mark_lazyfree(own, v, 1) == v


@pytest.mark.parametrize(
    ("slots", "written", "gone", "left", "lazily"),
    [(1, False, True, 1, 1), (1, True, False, 0, 0), (0, False, False, 0, 0)],
)
def test_up_to_4_11_they_need_a_slot_of_swap_to_go(
    slots: int, written: bool, gone: bool, left: int, lazily: int
) -> None:
    """Without swap they cannot go at all, which is why 4.12 moved them."""
    own = rules("4.9")
    v = mark_lazyfree(own, filled("4.9", True, False), 0)
    v = replace(v, rmap=Mappings().map(0, Entry(dirty=written)), backing=Store(slots, PAGE_WRITTEN))
    v, done = shrink_inactive(own, v, INACTIVE_ANON, 1, Control(12, 32))
    assert (0 not in v.pages, v.backing.swap_free(), v.counters.get("pglazyfreed", 0)) == (gone, left, lazily)
    assert done.reclaimed == gone
    if written:
        assert v.pages[0].flags & (WRITEBACK | LAZY) == WRITEBACK


@pytest.mark.parametrize(("release", "active", "lists"), [
    ("4.9", False, ((), (), (1, 0), (), ())),
    ("4.9", True, ((), (), (1,), (0,), ())),
    ("6.1", True, ((), (), (1, 0), (), ())),
])  # fmt: skip
def test_written_pages_come_to_the_tail(
    release: str, active: bool, lists: tuple[tuple[int, ...], ...]
) -> None:
    own = rules(release)
    v = flag(filled(release, False, False), 0, WRITEBACK | RECLAIM, True)
    v = mark_accessed(own, mark_accessed(own, v, 0), 0) if active else v
    v = end_writeback(own, v, 0)
    assert v.lists == lists
    assert not v.pages[0].flags & (WRITEBACK | RECLAIM)


def test_dropped_pages_leave_nothing() -> None:
    v = drop(rules("6.1"), filled("6.1", False, True), 0)
    assert (v.lists, v.sizes, v.zones[0].free) == (((1,), (), (), (), ()), (1, 0, 0, 0, 0), 15)
    own = rules("6.1", True)
    v = bring_in(own, machine(16), 5, 5)
    assert drop(own, v, 5) == replace(machine(16), log=v.log)


GOOD = filled("6.1", False, True)


@pytest.mark.parametrize(("name", "holds"), INVARIANTS)
def test_invariants_accept_a_good_state(name: str, holds: object) -> None:
    assert broken(rules("6.1"), GOOD) is None


@pytest.mark.parametrize(
    ("bad", "name"),
    [
        (replace(GOOD, lists=((1,), (), (0, 0), (), ())), "reclaim.lists.one-place"),
        (replace(GOOD, waiting=(0,)), "reclaim.lists.one-place"),
        (flag(GOOD, 0, LRU, False), "reclaim.lists.one-place"),
        (flag(GOOD, 0, ACTIVE, True), "reclaim.lists.own-list"),
        (replace(GOOD, sizes=(2, 0, 1, 0, 0)), "reclaim.lists.sizes"),
        (replace(GOOD, isolated=(0, 1)), "reclaim.lists.sizes"),
        (flag(GOOD, 0, MLOCKED, True), "reclaim.lists.unevictable"),
        (replace(GOOD, shadows=Map({0: 1})), "reclaim.shadows.apart"),
        (replace(GOOD, pages=GOOD.pages.set(0, GOOD.pages[0]._replace(slot=1))), "reclaim.shadows.apart"),
    ],
)
def test_invariants_reject_a_bad_state(bad: Lruvec, name: str) -> None:
    found = broken(rules("6.1"), bad)
    assert found is not None
    assert found.clause == name


@pytest.mark.parametrize("release", ["2.4.10", "2.4.13", "2.5.40"])
def test_what_was_not_read_is_not_described(release: str) -> None:
    with pytest.raises(Unmodelled) as caught:
        rules_for(kernel(release))
    expected = f"reclaim of kernel {release}: described are 2.4.0 to 2.4.9, 2.4.14 to 2.4.37, and 2.6 on"
    assert str(caught.value) == expected


def test_active_file_pages_are_listed_where_their_flag_says() -> None:
    assert rules("6.1").list_of(True, True, False) == ACTIVE_FILE
