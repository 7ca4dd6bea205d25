"""Pages on lists by generation: where they go, how they age, who is evicted, what is true between steps."""

from dataclasses import replace

import pytest
from immutables import Map

from linuxmm.model.reclaim.accesses import (
    bring_in,
    drop,
    end_writeback,
    mark_accessed,
    mark_lazyfree,
    mlock,
    munlock,
)
from linuxmm.model.reclaim.ageing import age, close_empty, look_around, open_youngest, walk_tables
from linuxmm.model.reclaim.audit import broken
from linuxmm.model.reclaim.eviction import (
    age_node,
    evict_batch,
    may_take,
    scan_oldest,
    shrink_generations,
    sort_page,
)
from linuxmm.model.reclaim.gen_lists import promote
from linuxmm.model.reclaim.gen_state import gen_of, rate, refs_of_page, set_rate, tick
from linuxmm.model.reclaim.gen_switch import switch
from linuxmm.model.reclaim.generations import AVG_REFAULTED, AVG_TOTAL, EVICTED, GEN, PROTECTED, REFAULTED
from linuxmm.model.reclaim.outside import PAGE_SYNCED, Entry, Mappings, Store
from linuxmm.model.reclaim.profile import rules_for
from linuxmm.model.reclaim.reclaimers import direct_reclaim, kswapd
from linuxmm.model.reclaim.rules import Control, Rules
from linuxmm.model.reclaim.state import (
    ACTIVE,
    ANON,
    DIRTY,
    LOCKED,
    LRU,
    RECLAIM,
    REFERENCED,
    SWAPBACKED,
    UNEVICTABLE,
    WORKINGSET,
    WRITEBACK,
    Lruvec,
    Page,
    ZoneMarks,
    empty,
    flag,
    has,
)
from linuxmm.spec.errors import ImpossibleProfile
from linuxmm.spec.kernel import kernel
from linuxmm.spec.reclaim.generations import generation_of
from linuxmm.spec.reclaim.lists import UNEVICTABLE as UNEVICTABLE_LIST

OLD, NEW = (rules_for(kernel(release), False, generations=True) for release in ("6.1", "6.12"))
BOTH = pytest.mark.parametrize("rules", [OLD, NEW], ids=["6.1", "6.12"])
CONTROL = Control(0, 32)


def machine(pages: int = 64, zones: int = 1, swap: int = 100) -> Lruvec:
    marks = (ZoneMarks(pages, pages, 4, 8, 12),) * zones
    return switch(OLD, empty(marks, backing=Store(swap, PAGE_SYNCED)), True)


def filled(rules: Rules, *how: str, swap: int = 100) -> Lruvec:
    """Pages 0, 1, ... in places of the same number: read, mapped (by a fault), anonymous."""
    v = machine(swap=swap)
    for page, kind in enumerate(how):
        v = bring_in(rules, v, page, page, anon=kind == "anon", fault=kind != "read")
        if kind != "read":
            v = young(v, page)
    return replace(v, log=())


def young(v: Lruvec, *pages: int) -> Lruvec:
    for page in pages:
        assert isinstance(v.rmap, Mappings)
        v = replace(v, rmap=v.rmap.map(page, Entry(young=True)))
    return v


def lists(v: Lruvec, kind: int) -> dict[int, tuple[int, ...]]:
    """Sequence number -> pages of a kind, heads first; zones one after another."""
    zones = len(v.zones)
    found = {}
    for seq in range(v.gens.min_seq[kind], v.gens.max_seq + 1):
        at = (generation_of(seq) * 2 + kind) * zones
        found[seq] = sum(v.gens.lists[at : at + zones], ())
    return {seq: pages for seq, pages in found.items() if pages}


# ---- where pages go ----------------------------------------------------------------------------------------


@BOTH
def test_faults_make_pages_youngest_and_reads_make_them_old(rules: Rules) -> None:
    v = filled(rules, "read", "mapped", "anon", "read")
    assert (lists(v, 0), lists(v, 1)) == ({3: (2,)}, {3: (1,), 1: (3, 0)})
    assert v.sizes == (0, 1, 2, 1, 0)
    assert not has(v, 1, ACTIVE)


@BOTH
def test_with_three_generations_a_read_page_is_of_the_oldest(rules: Rules) -> None:
    v, one_closed = close_empty(machine(), True)
    assert (one_closed, v.gens.min_seq) == (True, (2, 2))
    v = bring_in(rules, v, 0, 0)
    assert lists(v, 1) == {2: (0,)}
    assert close_empty(v, True) == (v, False)


@BOTH
def test_a_page_that_reclaim_waits_for_is_second_youngest(rules: Rules) -> None:
    v = filled(rules, "read")
    v = flag(drop_and_return(v, rules), 0, RECLAIM | WRITEBACK, True)
    v = switch(rules, switch(rules, v, False), True)
    assert lists(v, 1) == {2: (0,)}
    v = end_writeback(rules, v, 0)
    assert lists(v, 1) == {0: (0,)}
    assert v.counters["pgrotated"] == 1


def drop_and_return(v: Lruvec, rules: Rules) -> Lruvec:
    return bring_in(rules, drop(rules, v, 0), 0, 0)


@BOTH
def test_uses_are_counted_in_flags_and_move_nothing(rules: Rules) -> None:
    v = filled(rules, "read")
    seen = []
    for _ in range(6):
        v = mark_accessed(rules, v, 0)
        seen.append((has(v, 0, REFERENCED), has(v, 0, WORKINGSET), refs_of_page(v, 0)))
    assert seen == [(True, False, 0), (True, True, 1), *((True, True, n) for n in (2, 3, 4, 4))]
    assert lists(v, 1) == {1: (0,)}


@BOTH
def test_locked_pages_leave_the_generations_and_come_back(rules: Rules) -> None:
    v = mlock(rules, filled(rules, "read", "anon"), 1)
    assert v.lists[UNEVICTABLE_LIST] == (1,)
    assert mark_accessed(rules, v, 1) == v
    assert broken(rules, v) is None
    v = munlock(rules, v, 1, False)
    assert (v.lists[UNEVICTABLE_LIST], lists(v, 0)) == ((), {2: (1,)})


@BOTH
def test_madv_free_moves_a_page_to_the_old_files(rules: Rules) -> None:
    v = mark_lazyfree(rules, filled(rules, "anon", "read"), 0)
    assert (lists(v, 0), lists(v, 1)) == ({}, {1: (0, 1)})
    assert not has(v, 0, SWAPBACKED)
    v, _ = close_empty(v, True)
    v, moved = sort_page(rules, flag(v, 0, DIRTY, True), 0, 3, CONTROL)
    assert moved is rules.dirty_sorted
    assert has(v, 0, SWAPBACKED) is moved


# ---- ageing ------------------------------------------------------------------------------------------------


@BOTH
def test_ageing_promotes_what_page_tables_used_and_closes_the_fourth_generation(rules: Rules) -> None:
    v = filled(rules, "read", "anon", "mapped")
    v = age(replace(v, gens=replace(v.gens, now=7)), True)
    assert v.gens.max_seq == 4
    assert v.gens.min_seq == (1, 1)
    assert (lists(v, 0), lists(v, 1)) == ({3: (1,)}, {3: (2,), 1: (0,)})
    assert [gen_of(v, page) for page in range(3)] == [1, 3, 3]
    assert v.gens.births[0] == 7
    v = age(young(v, 1), True)
    assert (v.gens.max_seq, v.gens.min_seq) == (5, (2, 2))
    assert (lists(v, 0), lists(v, 1)) == ({3: (1,)}, {3: (2,), 2: (0,)})
    assert gen_of(v, 1) == generation_of(4)
    assert v.sizes == (0, 1, 2, 0, 0)
    assert broken(rules, v) is None


@BOTH
def test_a_walk_leaves_out_what_it_is_told_to_and_anonymous_pages_without_swap(rules: Rules) -> None:
    v = filled(rules, "anon", "mapped", "mapped")
    v = open_youngest(v, True)
    v = young(v, 0, 1, 2)
    skipping = replace(v, gens=replace(v.gens, passed=frozenset({1})))
    assert [gen_of(walk_tables(v, swap), page) for swap in (True, False) for page in range(3)] == [
        0,
        0,
        0,
        3,
        0,
        0,
    ]
    assert [gen_of(walk_tables(skipping, True), page) for page in range(3)] == [0, 3, 0]
    off = replace(v, gens=replace(v.gens, walks=False))
    assert [gen_of(age(off, True), page) for page in range(3)] == [3, 3, 3]


def test_without_swap_the_anonymous_window_closes_and_its_pages_stay() -> None:
    v = filled(OLD, "anon")
    for _ in range(3):
        v = open_youngest(v, False)
    assert v.gens.min_seq == (3, 3)
    assert lists(v, 0) == {3: (0,)}
    v = open_youngest(v, False)
    assert (v.gens.max_seq, lists(v, 0)) == (7, {7: (0,)})  # inversion: it counts as youngest again
    assert broken(OLD, v) is None


def test_rates_halve_into_the_averages_when_a_generation_closes() -> None:
    v = machine()
    for which, value in ((REFAULTED, 5), (EVICTED, 9), (PROTECTED, 4)):
        v = set_rate(v, which, 1, 2, value)
    v = open_youngest(v, True)
    assert [rate(v, which, 1, 2) for which in range(5)] == [0, 0, 0, 2, 6]
    assert (AVG_REFAULTED, AVG_TOTAL) == (3, 4)


def test_6_1_makes_the_page_active_from_which_it_looked_around_and_6_12_keeps_it() -> None:
    for rules, activated in ((OLD, 1), (NEW, 0)):
        v = filled(rules, *["mapped"] * 3, swap=0)
        for _ in range(3):
            v = open_youngest(v, False)
        assert isinstance(v.rmap, Mappings)
        v = replace(v, rmap=v.rmap.map(1, Entry()))
        v, _ = shrink_generations(rules, v, CONTROL)
        assert set(v.pages) == {0, 2}
        assert lists(v, 1) == {6: (2, 0)}
        assert v.counters.get("pgactivate", 0) == activated
        assert broken(rules, v) is None


def test_who_walks_tables_promotes_in_place_and_others_move_each_unless_there_are_many() -> None:
    for count, in_place in ((14, False), (15, True)):
        v = filled(OLD, *["mapped"] * (count + 1))
        for _ in range(2):
            v = open_youngest(v, True)
        v = young(v, *range(count + 1))
        isolated = flag(v, 0, GEN, False)
        moved = look_around(OLD, isolated, 0, CONTROL)
        assert all(gen_of(moved, page) == generation_of(5) for page in range(1, count + 1))
        standing = moved.gens.lists[generation_of(5) * 2 + 1]
        assert (standing == ()) is in_place
        assert look_around(OLD, isolated, 0, CONTROL._replace(walks=True)).gens.lists == v.gens.lists
        assert look_around(NEW, isolated, 0, CONTROL).counters["pgactivate"] == count


# ---- eviction ----------------------------------------------------------------------------------------------


def oldest_files(rules: Rules, pages: int, **more: bool) -> Lruvec:
    """Files of the oldest generation of three."""
    v = filled(rules, *["read"] * pages)
    v, _ = close_empty(v, True)
    assert v.gens.min_seq[1] == 1
    return v


@BOTH
def test_the_tail_of_the_oldest_generation_is_evicted_and_comes_back_as_a_refault(rules: Rules) -> None:
    v = oldest_files(rules, 4)
    v, control = shrink_generations(rules, v, CONTROL)
    assert (control.reclaimed, set(v.pages), v.counters["pgsteal_direct"]) == (4, set(), 4)
    assert (v.gens.min_seq, rate(v, EVICTED, 1, 0)) == ((2, 2), 4)  # empty, it closed before they were judged
    v = oldest_files(rules, 4)
    v, looked, taken = scan_oldest(rules, v, 1, 3, CONTROL)
    assert (looked, taken) == (4, 4)
    assert v.queues[0] == (0, 1, 2, 3)


@BOTH
def test_pages_of_higher_tiers_are_spared(rules: Rules) -> None:
    v = oldest_files(rules, 3)
    for _ in range(3):
        v = mark_accessed(rules, v, 1)
    for _ in range(6):
        v = mark_accessed(rules, v, 2)
    spared, moved = sort_page(rules, v, 1, 1, CONTROL)
    assert moved
    assert rate(spared, PROTECTED, 1, 2) == 1
    assert lists(spared, 1) == {1: (2, 0), 2: (1,)}
    assert refs_of_page(spared, 1) == 0
    assert spared.counters.get("workingset_activate_file", 0) == (1 if rules is OLD else 0)
    assert not sort_page(rules, v, 1, 2, CONTROL)[1]
    assert sort_page(rules, v, 2, 3, CONTROL)[1]  # four uses are spared whatever the rates say


@BOTH
def test_a_promoted_page_is_moved_to_where_it_belongs(rules: Rules) -> None:
    v = promote(oldest_files(rules, 3), 0)
    assert lists(v, 1) == {1: (2, 1, 0)}
    v, moved = sort_page(rules, v, 0, 3, CONTROL)
    assert moved
    assert lists(v, 1) == {1: (2, 1), 3: (0,)}


@BOTH
def test_pages_of_higher_zones_step_up(rules: Rules) -> None:
    v = machine(zones=2)
    v = bring_in(rules, bring_in(rules, v, 0, 0, zone=1), 1, 1)
    v, _ = close_empty(v, True)
    v, looked, taken = scan_oldest(rules, v, 1, 3, CONTROL._replace(reclaim_idx=0))
    assert (looked, taken, v.queues[0]) == (2, 1, (1,))
    assert lists(v, 1) == {2: (0,)}


def test_dirty_files_step_up_in_6_1_and_are_judged_in_6_12() -> None:
    for bit in (DIRTY, WRITEBACK, LOCKED):
        v = flag(oldest_files(OLD, 1), 0, bit, True)
        after, moved = sort_page(OLD, v, 0, 3, CONTROL)
        assert moved
        assert has(after, 0, RECLAIM)
        assert lists(after, 1) == {2: (0,)}
        assert sort_page(NEW, v, 0, 3, CONTROL) == (v, False)


def test_what_may_not_be_swapped_or_unmapped_stays() -> None:
    v = filled(OLD, "anon", "mapped", "read")
    v = flag(v, 2, DIRTY, True)
    no_io, no_unmap = CONTROL._replace(io=False), CONTROL._replace(unmaps=False)
    assert [[may_take(rules, v, page, no_io) for page in range(3)] for rules in (OLD, NEW)] == [
        [False, True, False], [False, True, True],
    ]  # fmt: skip
    assert [[may_take(rules, v, page, no_unmap) for page in range(3)] for rules in (OLD, NEW)] == [
        [False, False, True], [True, True, True],
    ]  # fmt: skip


@BOTH
def test_skipped_pages_go_to_the_head_and_nothing_counts_as_scanned(rules: Rules) -> None:
    v = filled(rules, "anon", "anon")
    for _ in range(2):
        v = open_youngest(v, True)
    v, _ = close_empty(v, True)
    v, looked, taken = scan_oldest(rules, v, 0, 3, CONTROL._replace(io=False))
    assert (looked, taken, v.counters["pgskip"]) == (0, 0, 2)
    assert lists(v, 0) == {3: (1, 0)}


WORKINGSET_COUNTERS = ("refault", "activate", "restore")


def test_a_refault_is_recent_while_its_generation_is_the_oldest() -> None:
    for rules, late in ((OLD, 0), (NEW, 1)):
        v, _, anon, _ = evict_batch(rules, flag(oldest_files(rules, 3), 2, LOCKED, True), 60, CONTROL)
        assert (anon, set(v.pages), len(v.shadows), v.gens.min_seq[1]) == (False, {2}, 2, 2)
        back = bring_in(rules, v, 0, 0, fault=True)
        assert rate(back, REFAULTED, 1, 0) == 1
        assert [back.counters.get(f"workingset_{what}_file", 0) for what in WORKINGSET_COUNTERS] == [
            1,
            late,
            1,
        ]
        assert refs_of_page(bring_in(rules, v, 1, 1), 1) == 0
        for _ in range(3):
            v = open_youngest(v, True)
        back = bring_in(rules, v, 0, 0, fault=True)
        assert [back.counters.get(f"workingset_{what}_file", 0) for what in WORKINGSET_COUNTERS] == [
            late,
            0,
            0,
        ]


# ---- the daemon --------------------------------------------------------------------------------------------


def test_the_daemon_calls_the_oom_killer_when_nothing_is_old_enough() -> None:
    for rules, first in ((OLD, 15), (NEW, 16)):
        v = oldest_files(rules, 4)
        v = replace(v, gens=replace(v.gens, ttl=15))
        control = CONTROL._replace(kswapd=True, ages=True, priority=2)
        assert age_node(rules, tick(v, first - 1), control)[0].gens.starved == 1
        assert age_node(rules, tick(v, first), control)[0].gens.starved == 0
        assert age_node(rules, v, control._replace(order=1))[0].gens.starved == 0


def test_the_daemon_of_6_1_ages_before_its_second_round_and_that_of_6_12_between_scans() -> None:
    v = filled(OLD, *["mapped"] * 8)
    v, _ = close_empty(v, True)
    control = CONTROL._replace(kswapd=True)
    same, control = age_node(OLD, v, control)
    assert (same, control.ages) == (v, True)
    assert age_node(OLD, v, control)[0].gens.max_seq == 4
    assert age_node(NEW, v, control)[0] == v
    assert shrink_generations(NEW, v, control)[0].gens.max_seq == 4
    assert shrink_generations(OLD, v, control)[0].gens.max_seq == 3


@BOTH
def test_the_daemon_and_tasks_free_pages_until_enough_is_free(rules: Rules) -> None:
    v = filled(rules, *["read"] * 60)
    v, progress = kswapd(rules, v)
    assert progress.reclaimed >= 8
    assert v.zones[0].free >= 12
    assert broken(rules, v) is None
    v, _ = direct_reclaim(rules, v)
    assert broken(rules, v) is None


# ---- the switch --------------------------------------------------------------------------------------------


@BOTH
def test_switching_keeps_pages_and_what_is_known_of_them(rules: Rules) -> None:
    v = filled(rules, "read", "mapped", "anon", "read")
    off = switch(rules, v, False)
    assert off.lists == ((), (2,), (3, 0), (1,), ())
    assert off.sizes == v.sizes
    on = switch(rules, off, True)
    assert (lists(on, 0), lists(on, 1)) == (lists(v, 0), lists(v, 1))
    assert switch(rules, on, True) is on
    assert broken(rules, off) is None


def test_before_6_1_there_is_no_switch() -> None:
    with pytest.raises(ImpossibleProfile, match=r"^kernel 5\.15: lists by generation were merged in 6\.1$"):
        rules_for(kernel("5.15"), generations=True)


# ---- invariants --------------------------------------------------------------------------------------------

GOOD = filled(OLD, "read", "mapped", "anon")


def with_gens(v: Lruvec, **changed: object) -> Lruvec:
    return replace(v, gens=replace(v.gens, **changed))  # type: ignore[arg-type]


def twice(v: Lruvec) -> Lruvec:
    at = generation_of(1) * 2 + 1
    return with_gens(v, lists=(*v.gens.lists[:at], (0, 0), *v.gens.lists[at + 1 :]))


def both_sides(v: Lruvec) -> Lruvec:
    """One more page, on the inactive list of files."""
    v = replace(v, pages=v.pages.set(9, Page(LRU, 9)), lists=((), (), (9,), (), ()))
    return replace(v, sizes=(0, 1, 2, 1, 0), by_zone=((0, 1, 2, 1, 0),))


@pytest.mark.parametrize(
    ("bad", "name"),
    [
        (with_gens(GOOD, min_seq=(3, 3)), "reclaim.generations.window"),
        (with_gens(GOOD, min_seq=(1, 0)), "reclaim.generations.window"),
        (with_gens(GOOD, max_seq=4), "reclaim.generations.window"),
        (twice(GOOD), "reclaim.lists.one-place"),
        (flag(GOOD, 0, GEN, False), "reclaim.generations.one-list"),
        (flag(GOOD, 0, SWAPBACKED, True), "reclaim.generations.one-list"),
        (flag(GOOD, 1, ACTIVE, True), "reclaim.generations.one-list"),
        (flag(GOOD, 1, UNEVICTABLE, True), "reclaim.generations.one-list"),
        (with_gens(GOOD, min_seq=(2, 2)), "reclaim.generations.one-list"),
        (with_gens(GOOD, sizes=(1, *GOOD.gens.sizes[1:])), "reclaim.generations.sizes"),
        (replace(GOOD, sizes=(1, 0, 1, 1, 0), by_zone=((1, 0, 1, 1, 0),)), "reclaim.generations.sizes"),
        (set_rate(GOOD, PROTECTED, 1, 0, 1), "reclaim.generations.rates"),
        (set_rate(GOOD, REFAULTED, 1, 1, 1), "reclaim.generations.rates"),
        (set_rate(GOOD, AVG_REFAULTED, 0, 1, 1), "reclaim.generations.rates"),
        (set_rate(GOOD, EVICTED, 0, 1, -1), "reclaim.generations.rates"),
        (both_sides(GOOD), "reclaim.generations.one-side"),
    ],
)
def test_invariants_accept_a_good_state_and_reject_a_bad_one(bad: Lruvec, name: str) -> None:
    assert broken(OLD, GOOD) is None
    found = broken(OLD, bad)
    assert found is not None
    assert found.clause == name


def test_rates_are_not_compared_once_the_lists_changed_sides() -> None:
    mixed = switch(OLD, switch(OLD, replace(machine(), shadows=Map({9: 1})), False), True)
    assert broken(OLD, set_rate(mixed, REFAULTED, 1, 1, 1)) is None
    assert has(GOOD, 2, ANON)
    assert has(GOOD, 2, LRU)
