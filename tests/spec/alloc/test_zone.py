"""Zones and their invariants: what keeps them and what breaks them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxmm.spec.alloc.zone import (
    NO_LIMIT,
    address_of,
    counts_as_lowmem,
    counts_as_lowmem_unless_movable,
    frame_of,
    free_counter,
    isolate_kept,
    list_agrees,
    node_load_accumulated,
    node_load_plus_one,
    node_load_set,
    node_score,
    partition,
    sizes_ordered,
    typed_counters,
    zone_limits,
    zonelist_complete,
    zonelist_local_first,
    zones_disjoint,
)
from linuxmm.spec.kernel import Arch


@given(st.integers(0, 1 << 52))
def test_frames_and_addresses_name_each_other(pfn: int) -> None:
    assert frame_of(address_of(pfn)) == frame_of(address_of(pfn) + 4095) == pfn


@pytest.mark.parametrize("arch", list(Arch))
@pytest.mark.parametrize("dma", [False, True])
@pytest.mark.parametrize("dma32", [False, True])
def test_limits_increase_and_leave_nothing_out(arch: Arch, dma: bool, dma32: bool) -> None:
    limits = zone_limits(arch, dma, dma32)
    assert all(a < b for (_, a), (_, b) in pairwise(limits))
    assert limits[-1][1] == NO_LIMIT


def test_which_zones_take_their_share_of_the_reserve() -> None:
    assert [counts_as_lowmem(kind) for kind in range(6)] == [True, True, True, False, True, True]
    assert [counts_as_lowmem_unless_movable(kind) for kind in range(6)] == [True] * 3 + [False] * 2 + [True]


def test_near_nodes_are_liked_more_than_those_with_cpus_or_load() -> None:
    assert node_score(10, False, True, 5, 4) < node_score(20, False, False, 0, 4)
    assert node_score(20, False, False, 9, 4) < node_score(20, False, True, 0, 4)
    assert node_score(20, False, True, 0, 4) < node_score(20, False, True, 1, 4)
    loads = [load(3, 1, 4) for load in (node_load_set, node_load_accumulated, node_load_plus_one)]
    assert loads == [3, 6, 4]


@pytest.mark.parametrize(
    ("holds", "broken"),
    [
        (sizes_ordered(9, 8, 7), sizes_ordered(9, 7, 8)),
        (zones_disjoint(((0, 4), (4, 8), (6, 6))), zones_disjoint(((0, 5), (4, 8)))),
        (partition(10, 5, 3, 2), partition(10, 5, 3, 3)),
        (free_counter(5, 8, 3), free_counter(8, 8, 3)),
        (typed_counters(4, 4), typed_counters(4, 0)),
        (list_agrees(1, 1), list_agrees(0, 1)),
        (isolate_kept(4, 4) and isolate_kept(1, 0), isolate_kept(4, 1) or isolate_kept(1, 4)),
        (zonelist_complete((1, 0, 2), 3), zonelist_complete((1, 1, 2), 3)),
        (zonelist_local_first(0, (0, 0, 1)), zonelist_local_first(0, (1, 0))),
        (zonelist_local_first(2, (0, 1)), zonelist_local_first(0, (0, 1, 0))),
    ],
)
def test_each_invariant_accepts_and_rejects(holds: bool, broken: bool) -> None:
    assert holds
    assert not broken
