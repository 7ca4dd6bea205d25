"""Slots of swap: searches of every era, clusters, what CPUs keep, runs for large pages, swapoff."""

import gzip
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.model.reclaim.swap_devices import clusters_of, rules, single, take

from linuxmm.model.reclaim.swap_audit import judge
from linuxmm.model.reclaim.swap_lists import clear_full
from linuxmm.model.reclaim.swap_release import discard_clusters, free_slot, leave_swap_cache, swap_free
from linuxmm.model.reclaim.swap_slots import (
    NO_DEVICE,
    add_to_swap,
    alloc_slot,
    get_slots,
    swap_of,
)
from linuxmm.model.reclaim.swap_state import Swap, new_device, nr_free
from linuxmm.spec.reclaim.swap_slots import NO_SLOT

DISKS = ("2.4.20", "2.6.24", "3.10", "4.4", "4.19", "6.12")
TURNS = Path(__file__).parents[2] / "oracle" / "checker" / "memcg_evidence" / "swap-turns-6.1.txt.gz"


def without(release: str, state: Swap, *slots: int) -> Swap:
    """Nothing uses these slots any more."""
    for slot in slots:
        order = state.devices[0].pages[slot]
        for each in range(slot, slot + (1 << order)):
            state = swap_free(rules(release), state, 0, each)
        state = leave_swap_cache(rules(release), state, 0, slot)
    return state


def referred(state: Swap) -> dict[tuple[int, int], int]:
    """One reference to each slot of each page."""
    return {
        (at, each): 1
        for at, device in enumerate(state.devices)
        for slot, order in device.pages.items()
        for each in range(slot, slot + (1 << order))
    }


def sound(state: Swap) -> bool:
    return judge(state, referred(state)) is None


# ---- disks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("release", DISKS)
def test_slots_of_a_disk_follow_one_another_until_it_is_full(release: str) -> None:
    state, slots = take(release, single(release, 11, cluster=4), 11)
    assert slots == [*range(1, 11), NO_SLOT]
    device = state.devices[0]
    assert (device.lowest, device.highest, device.inuse) == (11, 0, 10)
    assert sound(state)


@pytest.mark.parametrize("release", DISKS)
def test_a_cluster_used_up_makes_room_for_the_first_run_that_is_free(release: str) -> None:
    """Slots 1 to 8 were used, 2 and 4 to 7 became free: the next cluster of four is 4 to 7, not 2 or 9.

    The oldest search does not count the first slot of a cluster, so that it has five; ten fill two.
    """
    state, _ = take(release, single(release, 40, cluster=4), 10 if release == "2.4.20" else 8)
    state = without(release, state, 2, 4, 5, 6, 7)
    _, slots = take(release, state, 3)
    assert slots == [4, 5, 6]


@pytest.mark.parametrize("release", DISKS)
def test_without_a_free_run_any_slot_will_do(release: str) -> None:
    state, _ = take(release, single(release, 11, cluster=4), 10)
    state = without(release, state, 3, 7)
    _, slots = take(release, state, 3)
    assert sorted(slots[:2]) == [3, 7]
    assert slots[2] == NO_SLOT


def test_up_to_3_15_a_search_that_wraps_passes_over_the_lowest_slot() -> None:
    """Only slot 1 is free, and the device does not know that nothing is behind the cursor."""
    found = {}
    for release in ("3.10", "4.4"):
        state, _ = take(release, single(release, 11, cluster=16), 10)
        state = without(release, state, 1)
        device = replace(state.devices[0], highest=9, cursors=(5,), left=3)
        found[release] = take(release, replace(state, devices=(device,)), 1)[1]
    assert found == {"3.10": [NO_SLOT], "4.4": [1]}


def crowded(release: str) -> Swap:
    """Slots 3 and 7 are in use by the swap cache alone, all others but 6 by entries too."""
    state, _ = take(release, single(release, 9, cluster=16), 8)
    for slot in (3, 7):
        state = swap_free(rules(release), state, 0, slot)
    state = without(release, state, 6)
    return replace(state, devices=(replace(state.devices[0], lowest=1, highest=8, cursors=(1,)),))


def test_swap_more_than_half_full_takes_slots_of_the_swap_cache_back() -> None:
    found = {release: take(release, crowded(release), 2)[1] for release in ("2.6.24", "3.10", "4.4")}
    assert found == {"2.6.24": [6, NO_SLOT], "3.10": [3, 6], "4.4": [3, 6]}


def test_a_page_that_is_locked_keeps_its_slot() -> None:
    state = crowded("4.4")
    state = replace(state, devices=(replace(state.devices[0], busy=frozenset({3, 7})),))
    state, slots = take("4.4", state, 2)
    assert (slots, sorted(state.devices[0].pages)) == ([6, NO_SLOT], [1, 2, 3, 4, 5, 6, 7, 8])


def test_a_slot_taken_back_goes_to_the_cpu_first_and_is_not_found_yet() -> None:
    """With caches of CPUs the search comes by the slot that it made free; 6.12 sees it."""
    for release, expected in (("6.1", [6]), ("6.12", [3])):
        own = rules(release)
        state = replace(crowded(release), active=True)
        state, _, slots = get_slots(own, state, 1)
        assert list(slots) == expected
        assert state.caches[0].back == (((0, 3),) if release == "6.1" else ())


# ---- where nothing seeks -----------------------------------------------------------------------------------


def test_before_3_12_a_run_is_looked_for_from_the_cursor_on() -> None:
    state = single("3.10", 40, cluster=4, seekless=True, start=17)
    state, slots = take("3.10", state, 3)
    assert slots == [17, 18, 19]
    state = replace(state, devices=(replace(state.devices[0], left=0, cursors=(38,)),))
    assert take("3.10", state, 2)[1] == [1, 2]


@pytest.mark.parametrize("release", ["3.12", "4.19", "6.1", "6.10", "6.12"])
def test_each_cpu_fills_a_cluster_of_its_own(release: str) -> None:
    state = single(release, 40, cluster=4, seekless=True, cpus=2)
    state, first = take(release, state, 2, cpu=0)
    state, second = take(release, state, 2, cpu=1)
    state, more = take(release, state, 3, cpu=0)
    own = clusters_of(state)
    assert [slot // 4 for slot in first + more[:2]] == [first[0] // 4] * 4
    assert second[0] // 4 != first[0] // 4
    assert more[2] // 4 not in (first[0] // 4, second[0] // 4)
    assert sound(state)
    assert sum(own.counts) == 7 + 1  # and the header


def test_a_cluster_that_is_empty_goes_to_the_end_of_the_free_ones() -> None:
    for release in ("4.4", "6.1", "6.12"):
        state = single(release, 20, cluster=4, seekless=True)
        state, slots = take(release, state, 4)
        before = clusters_of(state).free
        state = without(release, state, *slots)
        assert clusters_of(state).free == (*before, slots[0] // 4)
        assert clusters_of(state).counts[slots[0] // 4] == 0


@pytest.mark.parametrize("release", ["4.4", "6.1", "6.12"])
def test_clusters_are_discarded_before_they_are_used_again(release: str) -> None:
    state = single(release, 12, cluster=4, seekless=True, discards=True)
    state, slots = take(release, state, 8)
    state = without(release, state, *(slot for slot in slots if slot // 4 == 1))
    number = 1
    assert (clusters_of(state).free, clusters_of(state).discard) == ((), (number,))
    assert sound(state)
    worked = discard_clusters(rules(release), state, 0)
    assert (clusters_of(worked).free, worked.devices[0].discarded) == ((number,), ((4, 4),))
    state, more = take(release, state, 7)  # nobody waits for the work
    assert state.devices[0].discarded == ((4, 4),)
    assert sorted(more) == [1, 2, 3, 4, 5, 6, 7]
    assert more[0] == (1 if release == "6.12" else 4)
    assert sound(state)


def test_before_3_12_a_run_is_discarded_when_it_is_found() -> None:
    state = single("3.10", 40, cluster=4, seekless=True, discards=True, start=9)
    state, _ = take("3.10", state, 1)
    assert state.devices[0].discarded == ((9, 4),)


def test_a_device_may_be_discarded_once_as_a_whole() -> None:
    assert single("6.1", 40, discard_once=True).devices[0].discarded == ((1, 39),)


def test_since_4_11_the_slot_at_the_cursor_is_not_found_without_a_cluster() -> None:
    """Every cluster has a slot in use, the CPU has none, and only the slot at the cursor is free."""
    found = {}
    for release in ("4.4", "4.19", "6.1", "6.12"):
        state = single(release, 12, cluster=4, seekless=True)
        state, _ = take(release, state, 11)
        state = without(release, state, 5)
        own = replace(clusters_of(state), next=((NO_SLOT,) * 3,))
        device = replace(state.devices[0], cursors=(5,), clusters=own, highest=11, lowest=1)
        found[release] = take(release, replace(state, devices=(device,)), 1)[1][0]
    assert found == {"4.4": 5, "4.19": NO_SLOT, "6.1": NO_SLOT, "6.12": 5}


def test_a_cursor_that_leaves_its_trunk_is_drawn_by_lot() -> None:
    state = single("6.1", 3 << 14, seekless=True)
    first, _ = take("6.1", state, 1)
    assert (clusters_of(first).next[0][0], first.devices[0].cursors) == (16384 + 64, (1 << 14,))
    drawn = replace(state, devices=(replace(state.devices[0], draws=(40000, 9)),))
    drawn, _ = take("6.1", drawn, 1)
    assert (drawn.devices[0].cursors, drawn.devices[0].draws) == ((2 << 14,), (9,))


# ---- large pages -------------------------------------------------------------------------------------------


def test_a_large_page_gets_a_run_in_the_orders_of_its_era() -> None:
    found = {}
    for release in ("4.9", "4.19", "6.10", "6.12"):
        state = single(release, 32, cluster=8, seekless=True)
        runs = []
        for order in (3, 2, 2, 1):
            state, _, first = add_to_swap(rules(release), state, 0, order)
            runs.append(first)
        assert judge(state, {}) is None
        found[release] = runs
    assert found == {
        "4.9": [0, 0, 0, 0],
        "4.19": [8, 0, 0, 0],
        "6.10": [8, 16, 20, 24],
        "6.12": [8, 16, 20, 24],
    }


def test_a_run_is_freed_as_a_whole_where_nothing_refers_to_it() -> None:
    for release in ("4.19", "6.1", "6.12"):
        state, slots = take(release, single(release, 32, cluster=8, seekless=True), 1, order=3)
        state = without(release, state, *slots)
        assert (state.devices[0].inuse, clusters_of(state).counts[slots[0] // 8]) == (0, 0)
        assert state.caches[0].back == ()


def test_a_run_that_is_still_referred_to_is_freed_slot_by_slot() -> None:
    state, slots = take("6.1", single("6.1", 32, cluster=8, seekless=True), 1, order=3)
    for slot in range(slots[0], slots[0] + 7):
        state = swap_free(rules("6.1"), state, 0, slot)
    state = leave_swap_cache(rules("6.1"), state, 0, slots[0])
    assert (state.devices[0].inuse, judge(state, {(0, slots[0] + 7): 1})) == (1, None)


def test_no_file_and_no_disk_has_runs() -> None:
    for how in ({"file": True, "seekless": True}, {}):
        for release in ("4.19", "6.10", "6.12"):
            state = single(release, 32, cluster=8, **how)
            assert add_to_swap(rules(release), state, 0, 3)[1:] == (NO_DEVICE, NO_SLOT)


def test_where_clusters_are_listed_single_pages_take_from_larger_ones_last() -> None:
    state = single("6.12", 24, cluster=8, seekless=True)
    state, large = take("6.12", state, 1, order=2)  # cluster 1 is of order 2
    state, small = take("6.12", state, 8)  # cluster 2
    state, more = take("6.12", state, 8)  # cluster 0, whose slot 0 is the header
    assert (large, small[0], more[:7]) == ([8], 16, [1, 2, 3, 4, 5, 6, 7])
    assert more[7] == 12  # behind the large page
    assert clusters_of(state).orders == (0, 2, 0)
    assert (clusters_of(state).full, clusters_of(state).nonfull[2]) == (
        (0, 2),
        (1,),
    )  # passed over once: swap is full
    assert sound(state)


def test_a_cluster_whose_room_was_too_small_is_fragmented_until_something_is_freed() -> None:
    state = single("6.12", 16, cluster=8, seekless=True)
    state, slots = take("6.12", state, 2, order=2)
    assert slots == [8, 12]
    state = without("6.12", state, 8)
    state, single_slot = take("6.12", state, 8)
    assert single_slot == [1, 2, 3, 4, 5, 6, 7, 8]
    state = without("6.12", state, 1, 2, 3)
    state, _, none = add_to_swap(rules("6.12"), state, 0, 2)
    assert (none, clusters_of(state).frag[2]) == (NO_SLOT, (1,))
    state = without("6.12", state, 8)
    assert (clusters_of(state).frag[2], clusters_of(state).nonfull[2]) == ((), (1,))
    assert add_to_swap(rules("6.12"), state, 0, 2)[2] == 8


def test_full_clusters_are_cleared_of_pages_that_only_the_swap_cache_uses() -> None:
    state = single("6.12", 16, cluster=8, seekless=True)
    state, _ = take("6.12", state, 15)
    for slot in (8, *range(10, 16)):
        state = swap_free(rules("6.12"), state, 0, slot)
    assert (clusters_of(state).full, state.devices[0].inuse) == ((1, 0), 15)
    cleared = clear_full(rules("6.12"), state, 0, 0, 15 // 8)
    assert (clusters_of(cleared).counts, clusters_of(cleared).full) == ((8, 1), (0,))
    assert sorted(cleared.devices[0].pages) == [1, 2, 3, 4, 5, 6, 7, 9]


# ---- whose turn it is --------------------------------------------------------------------------------------


@pytest.mark.parametrize("release", ["3.10", "4.9", "6.1"])
def test_devices_of_one_priority_take_turns_and_the_lower_waits(release: str) -> None:
    own = rules(release)
    state = swap_of(own, new_device(own, 4, 1), new_device(own, 3, 5), new_device(own, 3, 5))
    seen = []
    for _ in range(9):
        state, at, slots = get_slots(own, state, 1)
        seen.append((at, *slots))
    assert seen == [(1, 1), (2, 1), (1, 2), (2, 2), (0, 1), (0, 2), (0, 3), (-1,), (-1,)]


def test_a_device_that_was_full_is_asked_after_its_equals() -> None:
    own = rules("6.1")
    state = swap_of(own, new_device(own, 2, 5), new_device(own, 9, 5))
    state, at, slots = get_slots(own, state, 1)
    assert (at, slots, state.orders) == (0, (1,), ((1,),))
    state = free_slot(own, state, 0, 1)
    assert state.orders == ((1, 0),)


def test_since_4_14_a_node_asks_its_own_device_first_of_those_without_priority() -> None:
    own = rules("6.1")
    devices = (new_device(own, 9, -2, node=0), new_device(own, 9, -3, node=1), new_device(own, 9, 3))
    state = swap_of(own, *devices, nodes=2)
    assert state.orders == ((2, 0, 1), (2, 1, 0))
    assert swap_of(rules("4.9"), *devices, nodes=2).orders == ((2, 0, 1), (2, 0, 1))


# ---- what CPUs keep ----------------------------------------------------------------------------------------


def test_cpus_keep_slots_while_there_are_many() -> None:
    own = rules("6.1")
    state = single("6.1", 322)
    state, _, slot = alloc_slot(own, state)
    assert (slot, state.active, len(state.caches[0].ready)) == (1, True, 1)
    # the search gave two slots: looking for a run of 256 had used its ration up
    assert nr_free(state) == 319
    state, _ = take("6.1", state, 1)
    state, slots = take("6.1", state, 1)
    assert (slots, len(state.caches[0].ready)) == ([3], 63)


def test_cpus_give_back_what_they_keep_when_few_are_left() -> None:
    own = rules("6.1")
    state = single("6.1", 400)
    while nr_free(state) >= 128:
        state, _, _ = alloc_slot(own, state)
    kept = state.caches[0].ready
    assert len(kept) > 0
    assert state.active
    for slot in range(1, 4):
        state = free_slot(own, state, 0, slot)
    assert state.caches[0].back == ((0, 1), (0, 2), (0, 3))
    state, _, _ = alloc_slot(own, state)
    assert (state.active, state.caches[0].ready, state.caches[0].back) == (False, (), ())


def test_a_cpu_gives_back_64_slots_at_once() -> None:
    own = rules("6.1")
    state = replace(single("6.1", 1000), active=True)
    state, _, slots = get_slots(own, state, 64)
    for _ in range(2):
        state, _, more = get_slots(own, state, 64)
        slots = (*slots, *more)
    for slot in slots[:64]:
        state = free_slot(own, state, 0, slot)
    assert len(state.caches[0].back) == 64
    before = state.devices[0].inuse
    state = free_slot(own, state, 0, slots[64])
    assert (state.devices[0].inuse, state.caches[0].back) == (before - 64, ((0, slots[64]),))


def test_a_kernel_took_just_these_slots_in_just_these_batches() -> None:
    """Probes of Debian's 6.1.192: two disks, huge pages go to swap whole, so a cluster is of 512 slots.

    The first batches are of three slots, for looking for a run of 512 uses the search's ration up.
    """
    own = rules("6.1")
    disk = new_device(own, 16384, 5, cluster=512)
    state = swap_of(own, disk, disk)
    batch, seen = 0, 0
    for line in gzip.decompress(TURNS.read_bytes()).decode().splitlines():
        if (found := re.search(r"getswap: .* n=(\d+)", line)) is not None:
            batch = int(found[1])
        elif (found := re.search(r"getswapf: .* entry=0x([0-9a-f]+)", line)) is not None:
            fresh = not state.caches[0].ready
            state, at, slot = alloc_slot(own, state)
            assert (at << 58 | slot) == int(found[1], 16)
            assert not fresh or len(state.caches[0].ready) + 1 == batch
            seen += 1
    assert seen == 687
