"""Formulas of compaction, migration and lumpy reclaim, against the worked examples and their own bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxmm.spec.alloc.fragmentation import extfrag_for_order, fragmentation_index
from linuxmm.spec.alloc.retry import Compaction
from linuxmm.spec.defrag import defer, lumpy, migration, scanners, suitable
from linuxmm.spec.kernel import kernel
from linuxmm.spec.reclaim.daemon import compact_gap


def rule(version: str, name: str) -> object:
    return kernel(version).behaviour(name).function


def test_the_longest_deferral_skips_63_requests() -> None:
    state, skipped = (0, 0, 11), []
    for _ in range(8):
        state = defer.defer(*state, 9)
        count = 0
        while True:
            off, considered = defer.consider(state[0], state[1])
            state = (considered, *state[1:])
            if not off:
                break
            count += 1
        skipped.append(count)
    assert skipped == [1, 3, 7, 15, 31, 63, 63, 63]
    assert state == (64, 6, 9)
    assert defer.below_failed(3, state[2])
    assert not defer.below_failed(9, state[2])
    assert not defer.below_nothing(3, state[2])
    assert defer.restarting(64, 6, False)
    assert not defer.restarting(63, 6, False)
    assert not defer.restarting(64, 6, True)


def test_success_forgets_failures_only_when_the_request_was_served() -> None:
    assert defer.defer_reset(5, 3, 9, 9, False) == (5, 3, 10)
    assert defer.defer_reset(5, 3, 9, 9, True) == (0, 0, 10)
    assert defer.defer_reset(5, 3, 9, 4, True) == (0, 0, 9)


@pytest.mark.parametrize(
    ("considered", "shift", "holds"), [(0, 0, True), (64, 6, True), (65, 6, False), (0, 7, False)]
)
def test_bounded_deferral(considered: int, shift: int, holds: bool) -> None:
    assert defer.deferral_bounded(considered, shift) is holds


@pytest.mark.parametrize(
    ("proactiveness", "marks"), [(20, (80, 90)), (0, (100, 100)), (100, (5, 15)), (5, (95, 100))]
)
def test_marks_of_the_daemon(proactiveness: int, marks: tuple[int, int]) -> None:
    assert defer.score_marks(proactiveness) == marks
    assert defer.marks_ordered(*marks)
    assert not defer.marks_ordered(marks[1] + 1, marks[1])


def test_when_the_daemon_starts_by_itself() -> None:
    assert defer.node_score([(1000, 100), (3000, 50)], 4000) == 24 + 37
    assert [defer.starts_by_itself(s, 20, False) for s in (90, 91)] == [False, True]
    assert not defer.starts_by_itself(100, 0, False)
    assert not defer.starts_by_itself(100, 20, True)
    assert (defer.next_check_ms(50, 50), defer.next_check_ms(50, 49)) == (32000, 500)


LARGE_ONLY = [0] * 8 + [4]
SMALL_ONLY = [1000]


def test_three_ages_of_suitability() -> None:
    short, scattered = fragmentation_index(LARGE_ONLY, 9), fragmentation_index(SMALL_ONLY, 9)
    assert (short, scattered) == (250, 998)
    old, middle, new = (
        suitable.suitable_by_index,
        suitable.suitable_every_order,
        suitable.suitable_costly_index,
    )
    for each in (old, middle, new):
        assert each(9, True, False, short, 500) is Compaction.SKIPPED
        assert each(9, True, False, scattered, 500) is Compaction.CONTINUE
        assert each(9, False, False, scattered, 500) is Compaction.SKIPPED
        assert each(9, True, True, -1000, 500) is Compaction.SUCCESS
    assert old(9, False, True, -1000, 500) is Compaction.SKIPPED
    assert middle(9, False, True, -1000, 500) is Compaction.SUCCESS
    assert [each(3, True, False, 250, 500) for each in (old, middle, new)] == [
        Compaction.SKIPPED,
        Compaction.SKIPPED,
        Compaction.CONTINUE,
    ]


def test_what_must_be_free() -> None:
    assert compact_gap(9) == 1024
    assert suitable.base_mark_low(1, 10, 20, 30) == 20
    assert suitable.base_mark_asked(9, 10, 20, 30) == 30
    assert [suitable.base_mark_by_cost(order, 10, 20, 30) for order in (3, 4)] == [10, 20]
    assert scanners.isolation_mark(10, 3) == 18


def test_who_may_compact() -> None:
    assert [suitable.permitted_costly(o, True, True) for o in (3, 4)] == [False, True]
    assert [suitable.permitted_with_fs(o, True, True) for o in (0, 1)] == [False, True]
    assert not suitable.permitted_with_fs(9, False, True)
    assert suitable.permitted_with_io(9, False, True)
    assert not suitable.permitted_with_io(9, True, False)
    assert not suitable.permitted_with_io(0, True, True)


def test_when_a_compaction_stops() -> None:
    assert suitable.met_at_page(512, 512, 9)
    assert not suitable.met_at_page(512, 513, 9)
    assert suitable.met_in_pageblock(512, 1023, 9)
    assert not suitable.met_in_pageblock(511, 512, 9)
    assert suitable.looks_always(5, 9, True)
    assert not suitable.looks_always(0, 9, False)
    assert suitable.looks_at_pageblock_ends(512, 9, False)
    assert not suitable.looks_at_pageblock_ends(5, 9, True)


@pytest.mark.parametrize(
    ("order", "asked", "block", "own", "since"),
    [
        (9, 9, 1, 0, (False, True, True)),
        (3, 3, 1, 0, (False, False, False)),
        (3, 3, 1, 1, (False, False, True)),
        (3, 3, 0, 0, (False, True, True)),
        (3, 4, 0, 0, (False, False, False)),
        (9, 9, 4, 1, (False, False, False)),
        (9, 9, 5, 1, (False, False, False)),
    ],
)
def test_capture(order: int, asked: int, block: int, own: int, since: tuple[bool, ...]) -> None:
    rules = (suitable.captures_nothing, suitable.captures_large, suitable.captures_own)
    assert tuple(each(order, asked, block, own, 9) for each in rules) == since


@given(st.integers(0, 1 << 40), st.integers(0, 10))
def test_a_block_holds_its_page(pfn: int, order: int) -> None:
    start, end = scanners.block_start(pfn, order), scanners.block_end(pfn, order)
    assert start <= pfn < end == start + (1 << order)
    assert start % (1 << order) == 0
    assert lumpy.lump(pfn, order) == (start, end)
    assert lumpy.inside_lump(pfn, end - 1, order)
    assert not lumpy.inside_lump(end, pfn, order)


def test_where_the_scanners_begin() -> None:
    assert [start(0x10000, 9) for start in (scanners.free_start_past, scanners.free_start_last)] == [
        0x10000,
        0xFE00,
    ]
    assert scanners.free_start_past(0xFFDA, 9) == scanners.free_start_last(0xFFDA, 9) == 0xFE00
    assert scanners.cached_start(5, 0, 10, 7) == 5
    assert scanners.cached_start(10, 0, 10, 7) == 7
    assert scanners.free_limit(0x201, 9) == 0x400
    assert scanners.may_migrate_from(0x400, 0x400)
    assert not scanners.may_migrate_from(0x600, 0x400)


def test_bounds_of_the_searches() -> None:
    assert [scanners.search_limit(n) for n in (0, 1, 5, 6, 100)] == [33, 17, 2, 1, 1]
    assert scanners.search_marks(0, 0x4000, 9) == (0x3000, 0x2000)
    assert scanners.search_end(0, 0x4000, True, 9) == 0x2000
    assert scanners.search_end(0x1000, 0x4000, False, 9) == 0x1600


def test_what_a_search_does_to_a_list() -> None:
    heads = (1, 2, 3, 4)
    assert scanners.rotated_to_front(heads, 3) == (3, 4, 1, 2)
    assert scanners.rotated_to_front(heads, 4) == (4, 1, 2, 3)
    assert scanners.rotated_to_front(heads, 1) == heads
    assert scanners.rotated_to_back(heads, 2) == (3, 4, 1, 2)
    assert scanners.rotated_to_back(heads, 4) == heads
    assert scanners.rotated_to_back(heads, 1) == (2, 3, 4, 1)


def test_clauses_on_scanners_accept_and_reject() -> None:
    assert scanners.apart(3, 4)
    assert not scanners.apart(4, 4)
    assert scanners.range_in_zone(0x1000, 0x1200, 0x1000, 0x2000, 9)
    assert not scanners.range_in_zone(0x1000, 0x1201, 0x1000, 0x2000, 9)
    assert not scanners.range_in_zone(0xFFF, 0x1000, 0x1000, 0x2000, 9)
    assert scanners.counted(0, 8, 8, 8)
    assert not scanners.counted(0, 8, 7, 8)


def test_references_of_a_page_that_nobody_else_holds() -> None:
    assert migration.expected_references(False, 1, False) == 1
    assert migration.expected_references(True, 1, True) == 3
    assert migration.expected_references(True, 512, False) == 513
    assert migration.references_right(2, True, 1, False)
    assert not migration.references_right(3, True, 1, False)


@pytest.mark.parametrize(
    ("flags", "mode", "fs", "taken"),
    [
        (migration.ANON, 0, False, True),
        (migration.ANON | migration.PINNED, 2, True, False),
        (migration.PINNED, 0, True, True),
        (0, 0, False, False),
        (migration.UNEVICTABLE, 0, True, False),
        (migration.WRITEBACK, 1, True, False),
        (migration.WRITEBACK, 2, True, True),
        (migration.DIRTY, 0, True, True),
        (migration.DIRTY | migration.OPAQUE, 1, True, False),
        (migration.DIRTY | migration.LOCKED, 1, True, False),
        (migration.DIRTY | migration.OPAQUE, 2, True, True),
        (migration.ANON | migration.SWAPCACHE, 0, False, False),
        (migration.DRIVER, 0, False, True),
    ],
)
def test_which_pages_are_taken(flags: int, mode: int, fs: bool, taken: bool) -> None:
    assert migration.worth_isolating(flags, mode, fs, False) is taken


def test_unevictable_pages_are_taken_where_that_is_allowed() -> None:
    assert migration.worth_isolating(migration.UNEVICTABLE, 0, True, True)


def test_how_long_migration_tries() -> None:
    assert [migration.ten_passes(m) for m in (0, 1, 2)] == [10, 10, 10]
    assert [migration.passes_by_mode(m) for m in (0, 1, 2)] == [3, 10, 10]
    assert [migration.waits_for_lock(m, 3) for m in (0, 1, 2)] == [False, True, True]
    assert not migration.waits_for_lock(2, 2)
    assert [migration.writeback_outcome(m, n) for m, n in ((0, 9), (1, 9), (2, 2), (2, 3))] == [2, 2, 1, 0]
    assert [migration.written_first(m) for m in (0, 1, 2)] == [False, False, True]


@pytest.mark.parametrize(
    ("order", "priority", "by_age"),
    [
        (0, 12, ((False, False), (False, False), (False, False))),
        (2, 12, ((True, False), (True, False), (False, False))),
        (2, 9, ((True, False), (True, True), (True, True))),
        (4, 12, ((True, True), (True, True), (True, True))),
    ],
)
def test_ages_of_lumpy_reclaim(order: int, priority: int, by_age: tuple[tuple[bool, bool], ...]) -> None:
    ages = (lumpy.lumpy_costly, lumpy.lumpy_urgent, lumpy.lumpy_without_compaction)
    assert tuple(each(order, priority, False) for each in ages) == by_age
    assert lumpy.lumpy_without_compaction(order, priority, True) == (False, False)
    assert lumpy.lumpy_never(order, priority, False) == (False, False)


def test_stalls_and_ends_of_lumps() -> None:
    assert [lumpy.stalls_costly(o, 12, False, 8, 7) for o in (3, 4)] == [False, True]
    assert not lumpy.stalls_costly(4, 12, True, 8, 7)
    assert not lumpy.stalls_costly(4, 12, False, 8, 8)
    assert [lumpy.stalls_by_priority(2, p, False, 8, 7) for p in (5, 4)] == [False, True]
    assert lumpy.stalls_by_priority(4, 12, False, 8, 7)
    assert not lumpy.stalls_by_priority(4, 12, True, 8, 7)
    assert [lumpy.lump_ends_at_held(free) for free in (True, False)] == [False, True]
    assert not lumpy.lump_goes_on(False)


@pytest.mark.parametrize("version", ["2.6.35", "3.4", "3.10", "4.4", "4.9", "5.4", "6.1.192", "6.12.117"])
def test_every_kernel_has_one_behaviour_of_each_rule(version: str) -> None:
    names = "base-mark suitable permitted scanners-met looks-now captures failed-below free-start passes"
    for name in (*names.split(), "lumpy", "lump-ends", "lumpy-stall"):
        assert callable(rule(version, f"defrag.{name}"))


def test_the_score_of_a_zone_is_its_external_fragmentation() -> None:
    assert extfrag_for_order([512, 0, 0, 0, 0, 0, 0, 0, 0, 1], 9) == 50
