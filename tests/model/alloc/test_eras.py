"""Behaviours that stood apart: costs, drains, locks, and proposals that were not merged."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.model.alloc.audit import broken_in_zone
from linuxmm.model.alloc.freelist import NOTHING, set_pageblock_type
from linuxmm.model.alloc.movement import move_freepages_block
from linuxmm.model.alloc.pcp_eras import (
    NO_COST,
    Cost,
    Drain,
    cost_sum,
    cost_with_irqs_off,
    cost_with_preemption_off,
    drain_by_interrupt,
    drain_by_work,
    drain_remotely,
    noirq_uses_lists,
    with_high_orders_v4,
)
from linuxmm.model.alloc.proposals import (
    MIRROR,
    mirror_only_on_request,
    nr_free_mirror,
    stalls,
    take_mirrored,
    with_mirrored_memory,
    would_fall_back_to,
)
from linuxmm.model.alloc.request import alloc_fast, free_pages, free_to_zone, rmqueue
from linuxmm.model.alloc.slowpath import drain_all_pages
from linuxmm.model.alloc.strategies import Allocator, small_machine, small_rules
from linuxmm.spec.alloc.gfp import (
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


def test_composed_into_a_kernel_mirrored_memory_keeps_to_itself() -> None:
    rules, machine = with_mirrored_memory(small_rules("4.1"), True), small_machine("4.1")
    zone = machine.zones[1]
    zone = move_freepages_block(rules, set_pageblock_type(zone, 96, MIRROR), 96, MIRROR)[0]
    machine = replace(machine, zones=(machine.zones[0], zone, machine.zones[2]))
    mirrored = range(96, 104)
    machine, pfn, index = alloc_fast(rules, machine, request(0, GFP_KERNEL))
    assert (index, pfn in mirrored) == (1, True)
    for _ in range(60):
        machine, movable, _ = alloc_fast(rules, machine, request(0, GFP_HIGHUSER_MOVABLE))
        assert movable not in mirrored
    freed = free_pages(rules, machine, 0, pfn, 0)
    assert nr_free_mirror(freed.zones[1]) == 8
    assert alloc_fast(rules, freed, request(0, GFP_HIGHUSER_MOVABLE | GFP_MIRROR_BIT))[1] in mirrored


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
