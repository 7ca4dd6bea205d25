"""Behaviours that came and went: the zonelist cache, fair zones, older per-CPU lists, proposals."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.model.alloc.audit import broken_in_zone
from linuxmm.model.alloc.freelist import NOTHING, set_pageblock_type
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.movement import move_freepages_block
from linuxmm.model.alloc.pcp_eras import (
    NO_COST,
    Cost,
    Drain,
    HotCold,
    cost_sum,
    cost_with_irqs_off,
    cost_with_preemption_off,
    drain_by_interrupt,
    drain_by_work,
    drain_remotely,
    empty_pair,
    noirq_uses_lists,
    pair_give,
    pair_sizes,
    pair_take,
    with_high_orders_v4,
)
from linuxmm.model.alloc.proposals import (
    MIRROR,
    mirror_only_on_request,
    nr_free_mirror,
    stalls,
    take_mirrored,
    would_fall_back_to,
)
from linuxmm.model.alloc.request import free_to_zone, rmqueue
from linuxmm.model.alloc.slowpath import drain_all_pages
from linuxmm.model.alloc.strategies import Allocator, small_machine, small_rules
from linuxmm.model.alloc.zonelist_eras import (
    Batches,
    FullZones,
    cache_never_refuses,
    full_batches,
    walk_fairly,
    walk_with_cache,
    walk_without_cache,
)
from linuxmm.spec.alloc.gfp import (
    ALLOC_FAIR,
    GFP_ATOMIC,
    GFP_HIGHUSER_MOVABLE,
    GFP_KERNEL,
    GFP_MIRROR_BIT,
)
from linuxmm.spec.alloc.locks import (
    Access,
    Lock,
    Resource,
    counters_apart,
    counters_with_lists,
    free_lists_locked,
    lists_exclusive,
    locked_by_irqs_off,
    locked_by_spinlock,
    locked_locally,
)
from linuxmm.spec.alloc.request import request

LOW = 1
ASK = request(0, GFP_KERNEL)


def exhausted(version: str, zones: tuple[int, ...]) -> Machine:
    """A machine in which some zones fail every watermark test."""
    machine = small_machine(version)
    short = tuple(
        replace(z, watermark=(500, 500, 500)) if i in zones else z for i, z in enumerate(machine.zones)
    )
    return replace(machine, zones=short)


# ---- the zonelist cache ----------------------------------------------------------------------------------


def test_a_full_zone_is_remembered_and_skipped_for_a_second() -> None:
    rules, machine = small_rules("3.9"), exhausted("3.9", (1, 0))
    machine, pfn, index, cache = walk_with_cache(rules, machine, ASK, LOW, FullZones(), 5000)
    assert (index, cache) == (2, FullZones(frozenset({0}), 5000))
    machine, _, index, cache = walk_with_cache(rules, machine, ASK, LOW, cache, 5100)
    assert (index, cache) == (2, FullZones(frozenset({0, 1}), 5000))
    freed = replace(machine, zones=small_machine("3.9").zones)
    assert walk_with_cache(rules, freed, ASK, LOW, cache, 5200)[2] == 1
    assert pfn != NOTHING


def test_zones_noted_as_full_are_tried_before_the_request_fails() -> None:
    rules = small_rules("3.9")
    noted = FullZones(frozenset({0, 1, 2}), 5000)
    found = walk_with_cache(rules, exhausted("3.9", (1, 2)), ASK, LOW, noted, 5001)
    assert found[2] == 0


@settings(max_examples=60, deadline=None)
@given(
    short=st.sets(st.integers(0, 2)),
    noted=st.frozensets(st.integers(0, 2)),
    age=st.sampled_from([0, 999, 1001]),
)
def test_the_cache_never_refuses(short: set[int], noted: frozenset[int], age: int) -> None:
    rules, machine = small_rules("3.9"), exhausted("3.9", tuple(short))
    cached = walk_with_cache(rules, machine, ASK, LOW, FullZones(noted, 1000), 1000 + age)
    plain = walk_without_cache(rules, machine, ASK, LOW, FullZones(), 0)
    assert cache_never_refuses(cached[1] != NOTHING, plain[1] != NOTHING)
    assert not cache_never_refuses(True, False)


# ---- fair zones ------------------------------------------------------------------------------------------


def test_local_zones_take_turns_in_the_size_of_their_batches() -> None:
    rules, machine = small_rules("3.19"), small_machine("3.19")
    assert full_batches(machine) == Batches((2, 2, 2))
    batches, used = full_batches(machine), []
    for _ in range(8):
        machine, _, index, batches = walk_fairly(rules, machine, ASK, LOW | ALLOC_FAIR, batches)
        used.append(index)
    assert used == [1, 1, 0, 0, 1, 1, 0, 0]
    assert walk_fairly(rules, machine, ASK, LOW, Batches((2, 0, 2)))[2] == 1


def test_turns_never_refuse_a_request() -> None:
    rules, machine = small_rules("3.19"), exhausted("3.19", (0, 1))
    assert walk_fairly(rules, machine, ASK, LOW | ALLOC_FAIR, Batches((0, 0, 0)))[2] == 2
    nowhere = request(0, GFP_KERNEL, nodemask=0)
    assert walk_fairly(rules, machine, nowhere, LOW | ALLOC_FAIR, Batches((0, 0, 0)))[1:3] == (
        NOTHING,
        NOTHING,
    )


# ---- hot and cold ----------------------------------------------------------------------------------------


def test_the_cold_list_is_a_third_of_the_hot_one() -> None:
    assert pair_sizes(31) == (186, 31, 62, 15)
    assert pair_sizes(0) == (0, 1, 0, 1)


@settings(max_examples=40, deadline=None)
@given(ops=st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 2)), max_size=60))
def test_pairs_keep_every_page(ops: list[tuple[bool, bool, int]]) -> None:
    rules, zone = small_rules("2.6.24"), small_machine("2.6.24").zones[1]
    pair: HotCold = empty_pair(3)
    held: list[int] = []
    for takes, cold, migratetype in ops:
        if takes:
            zone, pair, pfn = pair_take(rules, zone, pair, migratetype, cold)
            held += [pfn] if pfn != NOTHING else []
        elif held:
            zone, pair = pair_give(rules, zone, pair, held.pop(migratetype % len(held)), cold)
        cached = [pfn for one in pair for pfn, _ in one.pages]
        assert zone.nr_free + len(cached) + len(held) == zone.managed
        assert len(set(cached) | set(held)) == len(cached) + len(held)
        assert not set(cached) & set(zone.free)
        assert len(pair.hot.pages) < pair.hot.high + pair.hot.batch
        zone = replace(zone, log=())


def test_a_page_freed_hot_is_handed_out_first_and_a_batch_goes_back_at_the_limit() -> None:
    rules, zone = small_rules("2.6.24"), small_machine("2.6.24").zones[1]
    zone, pair, first = pair_take(rules, zone, empty_pair(3), 1, False)
    zone, pair, second = pair_take(rules, zone, pair, 1, False)
    zone, pair = pair_give(rules, zone, pair, first, False)
    assert pair_take(rules, zone, pair, 1, False)[2] == first
    zone, pair = pair_give(rules, zone, pair._replace(hot=pair.hot._replace(high=3)), second, False)
    assert (len(pair.hot.pages), pair.hot.pages[:1]) == (0, ())


# ---- high orders, version 4 ------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(ops=st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 2)), max_size=50))
def test_lists_of_high_orders_count_every_page(ops: list[tuple[bool, int, int]]) -> None:
    rules = with_high_orders_v4(small_rules("4.10"))
    zone = small_machine("4.10").zones[1]
    zone = replace(zone, pcps=tuple(replace(p, lists=((),) * 6) for p in zone.pcps))
    held: list[tuple[int, int]] = []
    for takes, order, migratetype in ops:
        if takes:
            zone, pfn = rmqueue(rules, zone, 0, order, migratetype, 0)
            if pfn != NOTHING:
                zone = replace(zone, in_use=zone.in_use.set(pfn, (order, 0)))
                held.append((pfn, order))
        elif held:
            zone = free_to_zone(rules, zone, 0, *held.pop(order % len(held)))
        zone = replace(zone, log=())
        assert list(broken_in_zone(rules, zone)) == []


# ---- what an operation costs -----------------------------------------------------------------------------


def test_without_irq_toggling_only_batches_pay_for_interrupts() -> None:
    refill = [31, *([0] * 30)]
    before = after = NO_COST
    for moved in refill:
        before = cost_sum(before, cost_with_irqs_off(False, moved))
        after = cost_sum(after, cost_with_preemption_off(False, moved))
    assert before == Cost(31, 1, 0, 62)
    assert after == Cost(1, 1, 31, 62)
    assert cost_with_preemption_off(True, 0) == Cost(1, 1, 0, 1)
    assert [noirq_uses_lists(*c) for c in ((False, 0), (True, 0), (False, 1))] == [True, False, False]


def test_how_all_lists_are_drained() -> None:
    assert drain_by_interrupt((0, 2), True, False) == Drain((0, 2), 2, 0)
    assert drain_by_work((0, 2), False, False) == Drain((0, 2), 0, 2)
    assert drain_by_work((0, 2), True, False) == drain_remotely((0, 2), True, False) == Drain((), 0, 0)
    assert drain_remotely((0, 2), True, True) == Drain((0, 2), 0, 0)


def test_draining_everything_empties_every_list() -> None:
    subject = Allocator(small_rules("6.1.192"), small_machine("6.1.192"))
    for cpu in (0, 1):
        subject.alloc(request(0, GFP_KERNEL, cpu=cpu))
    drained = drain_all_pages(subject.rules, subject.machine)
    assert all(not any(pcp.lists) and pcp.vars.pages == 0 for z in drained.zones for pcp in z.pcps)


# ---- locks -----------------------------------------------------------------------------------------------


def access(cpu: int, owner: int, *held: tuple[Lock, int], what: Resource = Resource.PCP_LISTS) -> Access:
    return Access(cpu, what, owner, frozenset(held))


@pytest.mark.parametrize(
    ("rule", "lock", "remote"),
    [
        (locked_by_irqs_off, Lock.IRQS_OFF, False),
        (locked_locally, Lock.LOCAL, False),
        (locked_by_spinlock, Lock.PCP_SPIN, True),
    ],
)
def test_who_may_touch_the_lists_of_a_cpu(rule, lock: Lock, remote: bool) -> None:  # type: ignore[no-untyped-def]
    accesses = [access(0, 0, (lock, 0)), access(1, 0, (lock, 0)), access(0, 0), access(0, 0, (lock, 1))]
    allowed = [rule(a) for a in accesses]
    assert allowed == [True, remote, False, False]
    assert lists_exclusive(accesses[:1], allowed[:1])
    assert not lists_exclusive(accesses[2:], allowed[2:])


def test_counters_left_the_lock_in_5_14() -> None:
    bare = access(0, 0, what=Resource.PCP_COUNTERS)
    assert (counters_with_lists(bare), counters_apart(bare)) == (False, True)
    assert not counters_apart(access(1, 0, what=Resource.PCP_COUNTERS))


def test_free_lists_need_the_lock_of_the_zone() -> None:
    assert free_lists_locked([access(0, -1, (Lock.ZONE, -1), what=Resource.FREE_LISTS), access(0, 0)])
    assert not free_lists_locked([access(0, -1, (Lock.PCP_SPIN, 0), what=Resource.FREE_LISTS)])


# ---- proposals -------------------------------------------------------------------------------------------


def test_mirrored_memory_goes_to_who_asks_for_it_and_then_to_nobody() -> None:
    rules, zone = small_rules("4.2"), small_machine("4.2").zones[0]
    zone = move_freepages_block(rules, set_pageblock_type(zone, 0, MIRROR), 0, MIRROR)[0]
    assert nr_free_mirror(zone) == 16
    for gfp, mirrorable, kind in (
        (GFP_KERNEL, False, 0),
        (GFP_KERNEL, True, MIRROR),
        (GFP_HIGHUSER_MOVABLE, True, 1),
        (GFP_HIGHUSER_MOVABLE | GFP_MIRROR_BIT, False, MIRROR),
    ):
        wanted = kind == MIRROR
        _, pfn, came_from = take_mirrored(rules, zone, 0, kind % MIRROR, gfp, mirrorable)
        assert (came_from == MIRROR, pfn < 16) == (wanted, wanted)
        assert mirror_only_on_request(came_from, wanted)
    spent = zone
    for _ in range(17):
        spent, pfn, came_from = take_mirrored(rules, spent, 0, 0, GFP_KERNEL, True)
    assert (came_from, pfn) == (0, 16)
    assert not mirror_only_on_request(MIRROR, False)


def test_a_movable_request_stalls_only_where_it_would_mix_types() -> None:
    rules, zone = small_rules("5.4"), small_machine("5.4").zones[1]
    assert would_fall_back_to(rules, zone, 0, 1) == NOTHING
    assert would_fall_back_to(rules, zone, 0, 0) == 4
    assert stalls(GFP_HIGHUSER_MOVABLE, 0, 9, 5, True)
    assert not stalls(GFP_HIGHUSER_MOVABLE, 0, 9, 9, True)
    assert not stalls(GFP_HIGHUSER_MOVABLE, 0, 9, NOTHING, True)
    assert not stalls(GFP_HIGHUSER_MOVABLE, 0, 9, 5, False)
    assert not stalls(GFP_KERNEL, 0, 9, 5, True)
    assert not stalls(GFP_ATOMIC, 0, 9, 5, True)
