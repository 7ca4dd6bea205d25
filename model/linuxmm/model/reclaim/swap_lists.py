"""The search of 6.12: clusters are listed by how full they are, for each order of pages.

A cluster has the order of the pages that it was begun for.  One that has room is on the list of its order,
one whose room was too small on that of fragmented ones; full ones have their own.  Single pages take from
clusters of other orders last.

Linux: mm/swapfile.c:cluster_alloc_swap_entry, alloc_swap_scan_cluster.  Seed 2.4 (F004).  6.12.
"""

from dataclasses import replace
from typing import Final

from linuxmm.model.reclaim.swap_release import discard_clusters, off_lists, relisted, take_back
from linuxmm.model.reclaim.swap_search import Slots, search_disk
from linuxmm.model.reclaim.swap_state import (
    HELD,
    Clusters,
    Device,
    Swap,
    SwapRules,
    nr_free,
    nr_total,
    page_of,
    put,
    take_run,
    taken,
    with_device,
)
from linuxmm.spec.arith import floor_log2
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.reclaim.swap_slots import NO_SLOT
from linuxmm.spec.registry import verb

_FEATURES: Final = ("F004",)


@behaviour(
    "reclaim.swap.search",
    since="6.12",
    features=_FEATURES,
    source="mm/swapfile.c:cluster_alloc_swap; read in 6.12.117",
)
def search_by_lists(rules: SwapRules, state: Swap, at: int, cpu: int, wanted: int) -> tuple[Swap, Slots]:
    """Where nothing seeks, single slots of the CPU's cluster and of the lists; on disks as before."""
    if state.devices[at].clusters is None:
        return search_disk(rules, state, at, cpu, wanted)
    found: list[int] = []
    while len(found) < wanted:
        state, slot = take_from_lists(rules, state, at, cpu, 0)
        if slot == NO_SLOT:
            break
        found.append(slot)
    return state, tuple(found)


@behaviour(
    "reclaim.swap.run-search",
    since="6.12",
    features=_FEATURES,
    source="mm/swapfile.c:scan_swap_map_slots; read in 6.12.117",
)
def run_by_lists(rules: SwapRules, state: Swap, at: int, cpu: int, order: int) -> tuple[Swap, Slots]:
    """A run of the CPU's cluster for that order, of a free cluster, or of the lists of that order."""
    device = state.devices[at]
    if device.clusters is None or device.file:
        return state, ()
    state, first = take_from_lists(rules, state, at, cpu, order)
    return state, (first,) if first != NO_SLOT else ()


@verb("F004", source="mm/swapfile.c:cluster_alloc_swap_entry; 6.12")
def take_from_lists(rules: SwapRules, state: Swap, at: int, cpu: int, order: int) -> tuple[Swap, int]:
    """An aligned run of 2**order slots, or NO_SLOT.

    Ensures   a run of a free cluster if there is one, unless the CPU's own has room
    """
    while True:
        state, following, found, any_left = _take(rules, state, at, cpu, order)
        device, clusters = _of(state, at)
        if found != NO_SLOT or any_left or not clusters.discard:
            break
        state = discard_clusters(rules, state, at)
    if found == NO_SLOT and order == 0:
        state, following, found = _steal(rules, state, at, cpu, following)
    device, clusters = _of(state, at)
    ahead = put(clusters.next, cpu, put(clusters.next[cpu], order, following))
    return with_device(state, at, replace(device, clusters=replace(clusters, next=ahead))), found


def _of(state: Swap, at: int) -> tuple[Device, Clusters]:
    device = state.devices[at]
    assert device.clusters is not None
    return device, device.clusters


def _take(rules: SwapRules, state: Swap, at: int, cpu: int, order: int) -> tuple[Swap, int, int, bool]:
    """(state, where the CPU goes on, run or NO_SLOT, a free cluster was tried)."""
    device, clusters = _of(state, at)
    following = clusters.next[cpu][order]
    if following != NO_SLOT:
        state, following, found = _look(rules, state, at, cpu, following, order)
        if found != NO_SLOT:
            return state, following, found, False
        device, clusters = _of(state, at)
    if clusters.free:
        state, following, found = _look(rules, state, at, cpu, clusters.free[0] * device.cluster, order)
        return state, following, found, True
    if rules.reuses(nr_free(state), nr_total(state)):
        state = clear_full(rules, state, at, cpu, 1)
    if order == floor_log2(device.cluster):
        return state, following, NO_SLOT, False
    return *_through(rules, state, at, cpu, order, following), False


def _through(
    rules: SwapRules, state: Swap, at: int, cpu: int, order: int, following: int
) -> tuple[Swap, int, int]:
    """Through the clusters of an order that have room, now fragmented ones, and then through those."""
    looked = 0
    while True:
        device, clusters = _of(state, at)
        if clusters.nonfull[order]:
            number = clusters.nonfull[order][0]
        elif looked < len(clusters.frag[order]):
            number = clusters.frag[order][0]
        else:
            return state, following, NO_SLOT
        state = with_device(state, at, replace(device, clusters=relisted(clusters, number, "frag")))
        state, following, found = _look(rules, state, at, cpu, number * device.cluster, order)
        looked += 1
        if found != NO_SLOT:
            return state, following, found


def _steal(rules: SwapRules, state: Swap, at: int, cpu: int, following: int) -> tuple[Swap, int, int]:
    """A single slot of a cluster that was begun for larger pages, the smallest first."""
    for order in range(1, len(_of(state, at)[1].nonfull)):
        device, clusters = _of(state, at)
        numbers = (*clusters.frag[order], *clusters.nonfull[order])
        if numbers:
            return _look(rules, state, at, cpu, numbers[0] * device.cluster, 0)
    return state, following, NO_SLOT


def _look(rules: SwapRules, state: Swap, at: int, cpu: int, slot: int, order: int) -> tuple[Swap, int, int]:
    """Look for a run in a cluster from a slot on: (state, where to go on, the run or NO_SLOT).

    Source    mm/swapfile.c:alloc_swap_scan_cluster, cluster_scan_range; 6.12
    """
    size = 1 << order
    device, clusters = _of(state, at)
    number = slot // device.cluster
    last = min((number + 1) * device.cluster, device.slots) - size
    if clusters.counts[number] + size > device.cluster:
        return state, NO_SLOT, NO_SLOT
    while slot <= last:
        state, good = _free_or_freed(rules, state, at, cpu, slot, size)
        if good:
            if not device.writable:
                return state, NO_SLOT, NO_SLOT
            state = _use(rules, state, at, slot, order)
            full = _of(state, at)[1].counts[number] == device.cluster
            following = slot + size
            return state, NO_SLOT if full or following > last else following, slot
        slot += size
    return state, NO_SLOT, NO_SLOT


def _free_or_freed(
    rules: SwapRules, state: Swap, at: int, cpu: int, first: int, size: int
) -> tuple[Swap, bool]:
    """Whether a run is free, or is after pages of the swap cache left it."""
    device = state.devices[at]
    slots = range(first, first + size)
    if not any(taken(device, slot) for slot in slots):
        return state, True
    if any(taken(device, slot) and device.counts.get(slot) != HELD for slot in slots):
        return state, False
    if not rules.reuses(nr_free(state), nr_total(state)):
        return state, False
    for slot in slots:
        if taken(state.devices[at], slot):
            state, gone = take_back(rules, state, at, slot, cpu)
            if not gone:
                break
    return state, not any(taken(state.devices[at], slot) for slot in slots)


def _use(rules: SwapRules, state: Swap, at: int, first: int, order: int) -> Swap:
    """A run of a cluster is taken: a free cluster gets the order, a full one goes to the full ones."""
    device, clusters = _of(state, at)
    number = first // device.cluster
    if number in clusters.free:
        clusters = replace(clusters, orders=put(clusters.orders, number, order))
        if 1 << order < device.cluster:
            clusters = relisted(off_lists(clusters, number), number, "nonfull")
    counts = put(clusters.counts, number, clusters.counts[number] + (1 << order))
    clusters = replace(clusters, counts=counts)
    if counts[number] == device.cluster:
        clusters = relisted(clusters, number, "full")
    return take_run(rules, with_device(state, at, replace(device, clusters=clusters)), at, first, 1 << order)


@verb("F004", source="mm/swapfile.c:swap_reclaim_full_clusters, swap_reclaim_work; 6.12")
def clear_full(rules: SwapRules, state: Swap, at: int, cpu: int, most: int) -> Swap:
    """Pages that only the swap cache uses leave full clusters; so many are looked at, the oldest first.

    most  1 on the way of a search; of a device that got full, as many as its slots in use fill
    """
    for _ in range(max(most, 1)):
        device, clusters = _of(state, at)
        if not clusters.full:
            return state
        number = clusters.full[0]
        state = with_device(state, at, replace(device, clusters=relisted(clusters, number, "full")))
        for slot in range(number * device.cluster, min((number + 1) * device.cluster, device.slots)):
            if page_of(state.devices[at], slot) != NO_SLOT:
                state, _ = take_back(rules, state, at, slot, cpu)
    return state
