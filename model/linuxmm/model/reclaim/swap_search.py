"""How a device is searched for a free slot: clusters of disks, clusters of CPUs where nothing seeks.

Linux: mm/swapfile.c:scan_swap_map, scan_swap_map_slots.  Seed 2.4 (F004).  2.4.0 to 6.11; disks to 6.12.
"""

from dataclasses import replace
from typing import Final

from linuxmm.model.reclaim.swap_release import discard_clusters, take_back
from linuxmm.model.reclaim.swap_state import (
    Clusters,
    Device,
    Swap,
    SwapRules,
    cursor,
    nr_free,
    nr_pages,
    nr_total,
    only_cached,
    put,
    set_cursor,
    take_run,
    taken,
    with_device,
)
from linuxmm.spec.arith import align_down, clamp
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.reclaim.swap_slots import LATENCY_LIMIT, NO_SLOT, SWAP_TRUNK, crosses_trunk

_FEATURES: Final = ("F004",)
Slots = tuple[int, ...]


# ---- disks, one slot at a time -----------------------------------------------------------------------------


@behaviour(
    "reclaim.swap.search",
    since="2.4.0",
    until="2.6.13",
    features=_FEATURES,
    source="mm/swapfile.c:scan_swap_map; read in 2.6.11, the others from memory",
)
def search_by_cursor(rules: SwapRules, state: Swap, at: int, cpu: int, wanted: int) -> tuple[Swap, Slots]:
    """The next free slot of the cluster; else the first of a free run of 256, or just the first."""
    device = state.devices[at]
    low, high, size = device.lowest, device.highest, device.cluster
    if not device.writable:
        return state, ()
    if device.left:
        for slot in range(cursor(device, cpu), high + 1):
            if not taken(device, slot):
                return _took_one(rules, state, at, replace(device, left=device.left - 1), slot)
    device = replace(device, left=size)
    slot = _free_run(device, low, high)
    if slot == NO_SLOT:
        slot = next((each for each in range(low, high + 1) if not taken(device, each)), NO_SLOT)
        device = replace(device, lowest=slot) if slot != NO_SLOT else device
    if slot == NO_SLOT:
        return with_device(state, at, replace(device, lowest=device.slots, highest=0)), ()
    return _took_one(rules, state, at, device, slot)


@behaviour(
    "reclaim.swap.search",
    since="2.6.14",
    until="2.6.28",
    features=_FEATURES,
    source="mm/swapfile.c:scan_swap_map; read in 2.6.24, the others from memory",
)
def search_from_lowest(rules: SwapRules, state: Swap, at: int, cpu: int, wanted: int) -> tuple[Swap, Slots]:
    """The slot at the cursor or behind it; a run of free slots is looked for when a cluster is used up."""
    device = state.devices[at]
    slot = cursor(device, cpu)
    if device.left:
        device = replace(device, left=device.left - 1)
    else:
        device = replace(device, left=device.cluster - 1)
        room = nr_pages(device) - device.inuse >= device.cluster
        run = _free_run(device, device.lowest, device.highest) if room else NO_SLOT
        slot = run if run != NO_SLOT else device.lowest
    if not device.writable or not device.highest:
        return with_device(state, at, device), ()
    slot = slot if slot <= device.highest else device.lowest
    slots = (*range(slot, device.highest + 1), *range(device.lowest, slot))
    found = next((each for each in slots if not taken(device, each)), NO_SLOT)
    if found == NO_SLOT:
        return with_device(state, at, device), ()
    return _took_one(rules, state, at, device, found)


def _took_one(rules: SwapRules, state: Swap, at: int, device: Device, slot: int) -> tuple[Swap, Slots]:
    state = take_run(rules, with_device(state, at, set_cursor(device, 0, slot + 1)), at, slot, 1)
    device = state.devices[at]
    if device.lowest > device.highest:
        state = with_device(state, at, replace(device, lowest=device.slots, highest=0))
    return state, (slot,)


def _free_run(device: Device, low: int, high: int) -> int:
    """The first slot of the first run of a cluster's length that is free, or NO_SLOT."""
    run = 0
    for slot in range(low, high + 1):
        run = 0 if taken(device, slot) else run + 1
        if run == device.cluster:
            return slot - device.cluster + 1
    return NO_SLOT


# ---- the search since 2.6.29 -------------------------------------------------------------------------------


@behaviour(
    "reclaim.swap.search",
    since="2.6.29",
    until="3.11",
    features=_FEATURES,
    source="mm/swapfile.c:scan_swap_map; read in 3.10, the others from memory",
)
def search_around(rules: SwapRules, state: Swap, at: int, cpu: int, wanted: int) -> tuple[Swap, Slots]:
    """A run of free slots from the cursor on where nothing seeks, then from the lowest; else any free slot.

    Such a run is discarded before it is used, where the device does that.
    """
    device = state.devices[at]
    base = cursor(device, cpu)
    if device.left:
        return _scan(rules, with_device(state, at, replace(device, left=device.left - 1)), at, cpu, base, 1)
    device = replace(device, left=device.cluster - 1)
    if nr_pages(device) - device.inuse < device.cluster:
        return _scan(rules, with_device(state, at, device), at, cpu, base, 1)
    base = base if device.seekless else device.lowest
    run = _free_run(device, base, device.highest)
    if run == NO_SLOT:
        run = _free_run(device, device.lowest, base - 1)
    if run == NO_SLOT:
        return _scan(rules, with_device(state, at, device), at, cpu, base, 1)
    if device.discards:
        device = replace(device, discarded=(*device.discarded, (run, device.cluster)))
    return _scan(rules, with_device(state, at, device), at, cpu, run, 1)


@behaviour(
    "reclaim.swap.search",
    since="3.12",
    until="6.11",
    features=_FEATURES,
    source="mm/swapfile.c:scan_swap_map, scan_swap_map_slots; read in 4.4, 4.19, 6.1, others from memory",
)
def search_by_cluster(rules: SwapRules, state: Swap, at: int, cpu: int, wanted: int) -> tuple[Swap, Slots]:
    """Where nothing seeks, the next free slot of the CPU's own cluster; on disks as `search_disk`."""
    if state.devices[at].clusters is None:
        return search_disk(rules, state, at, cpu, wanted)
    base = cursor(state.devices[at], cpu)
    state, slot = _own_cluster(rules, state, at, cpu, 0)
    if slot == NO_SLOT:
        return _scan(rules, state, at, cpu, base, wanted, rules.looks_at_cursor)
    return _scan(rules, state, at, cpu, slot, wanted)


def search_disk(rules: SwapRules, state: Swap, at: int, cpu: int, wanted: int) -> tuple[Swap, Slots]:
    """The slot at the cursor; a run of free slots from the lowest on when a cluster is used up.

    Source    mm/swapfile.c:scan_swap_map_slots; 3.12 to 6.12
    """
    device = state.devices[at]
    base = cursor(device, cpu)
    if device.left:
        return _scan(
            rules, with_device(state, at, replace(device, left=device.left - 1)), at, cpu, base, wanted
        )
    state = with_device(state, at, replace(device, left=device.cluster - 1))
    if nr_pages(device) - device.inuse < device.cluster:
        return _scan(rules, state, at, cpu, base, wanted)
    run = _free_run(device, device.lowest, device.highest)
    last = run + device.cluster - 1 if run != NO_SLOT else _given_up(device)
    ration = LATENCY_LIMIT - (last - device.lowest) % (LATENCY_LIMIT + 1)
    return _scan(rules, state, at, cpu, run if run != NO_SLOT else device.lowest, wanted, True, ration)


def _given_up(device: Device) -> int:
    """The slot before which a search for a free run ends that finds none."""
    slot, last = device.lowest, device.lowest + device.cluster - 1
    while last <= device.highest:
        last = slot + device.cluster if taken(device, slot) else last
        slot += 1
    return slot


def _scan(
    rules: SwapRules,
    state: Swap,
    at: int,
    cpu: int,
    slot: int,
    wanted: int,
    checks: bool = True,
    ration: int = LATENCY_LIMIT,
) -> tuple[Swap, Slots]:
    """Take a slot, and as many more as follow easily.

    slot     where to begin; checks: at that slot itself, not behind it
    ration   slots that may be looked at before others get their turn, which ends a batch
    Ensures  the slots are free ones of the device, or none was found in a round
    """
    found: list[int] = []
    stuck: set[int] = set()
    base, many = slot, False
    while True:
        if not checks:
            slot, ration, many = _onward(rules, state, at, slot, base, ration, many, stuck)
            if slot == NO_SLOT:
                return state, tuple(found)
        state, slot, base, how = _ready(rules, state, at, cpu, slot, base, bool(found))
        if how == DONE:
            break
        device = state.devices[at]
        if how == ONWARD:
            checks = False
            continue
        if not device.writable or not device.highest:
            return state, tuple(found)
        if slot > device.highest:
            slot = base = device.lowest
        if rules.reuses(nr_free(state), nr_total(state)) and only_cached(device, slot):
            state, checks = take_back(rules, state, at, slot, cpu)
            if not checks:
                stuck.add(slot)
            continue
        if taken(device, slot):
            if found:
                break
            checks = False
            continue
        state = take_run(rules, _counted_in(state, at, slot, 1), at, slot, 1)
        found.append(slot)
        if len(found) == wanted or slot >= state.devices[at].highest:
            break
        ration -= 1
        if ration < 0:
            break
        state, slot, base, checks, ration = _more(rules, state, at, cpu, slot, base, ration, many)
        if not checks:
            break
    last = slot if rules.goes_on else found[-1]
    return with_device(state, at, _moved(state.devices[at], cpu, last + 1, rules)), tuple(found)


DONE: Final = 0
ONWARD: Final = 1
CHECK: Final = 2
"""What `_ready` answers: the batch ends, the search goes on behind the slot, or the slot may be looked at."""


def _ready(
    rules: SwapRules, state: Swap, at: int, cpu: int, slot: int, base: int, some: bool
) -> tuple[Swap, int, int, int]:
    """A slot of a free cluster that is not the next to be used is left alone: another cluster is begun."""
    device = state.devices[at]
    clusters = device.clusters
    while clusters is not None and clusters.free and slot // device.cluster in clusters.free[1:]:
        state = with_device(state, at, _with_next(device, clusters, cpu, 0, NO_SLOT))
        if some:
            return state, slot, base, DONE
        state, own = _own_cluster(rules, state, at, cpu, 0)
        if own == NO_SLOT:
            return state, slot, base, ONWARD
        slot = base = own
        device = state.devices[at]
        clusters = device.clusters
    return state, slot, base, CHECK


def _onward(
    rules: SwapRules, state: Swap, at: int, slot: int, base: int, ration: int, many: bool, stuck: set[int]
) -> tuple[int, int, bool]:
    """The next slot behind one that is free or could be taken back, and then from the lowest to the base.

    stuck  slots whose page could not go: they are passed over; the kernel comes by again until it can
    """
    device = state.devices[at]
    full = rules.reuses(nr_free(state), nr_total(state))
    for each in (*range(slot + 1, device.highest + 1), *range(rules.wrapped(device.lowest), base)):
        ration -= 1
        if ration < 0:
            ration, many = LATENCY_LIMIT, True
        if not taken(device, each) or (full and only_cached(device, each) and each not in stuck):
            return each, ration, many
    return NO_SLOT, ration, many


def _more(
    rules: SwapRules, state: Swap, at: int, cpu: int, slot: int, base: int, ration: int, many: bool
) -> tuple[Swap, int, int, bool, int]:
    """Where a batch goes on, if it does: in the cluster, or since 5.8 at the next free slot."""
    device = state.devices[at]
    if device.clusters is not None:
        state, own = _own_cluster(rules, state, at, cpu, 0)
        if own != NO_SLOT:
            return state, own, own, True, ration
    elif device.left:
        slot += 1
        if not taken(device, slot):
            return with_device(state, at, replace(device, left=device.left - 1)), slot, base, True, ration
    if not rules.goes_on or many:
        return state, slot, base, False, ration
    device = state.devices[at]
    limit = base if slot < base else device.highest
    while slot <= limit:
        ration -= 1
        if ration <= 0:
            break
        if not taken(device, slot):
            return state, slot, base, True, ration
        slot += 1
    return state, slot, base, False, ration


def _moved(device: Device, cpu: int, slot: int, rules: SwapRules) -> Device:
    """The device with its cursor behind the last slot that was taken.

    Permits   where nothing seeks, a cursor that leaves its trunk goes to any other (5.8): to the one drawn
    """
    if not (device.seekless and rules.goes_on and crosses_trunk(cursor(device, cpu), slot)):
        return set_cursor(device, cpu, slot)
    if device.highest <= device.lowest:
        return device
    drawn = device.draws[0] if device.draws else clamp(slot, device.lowest, device.highest)
    device = replace(device, draws=device.draws[1:])
    return set_cursor(device, cpu, max(align_down(drawn, SWAP_TRUNK), device.lowest))


# ---- clusters of CPUs --------------------------------------------------------------------------------------


def _with_next(device: Device, clusters: Clusters, cpu: int, order: int, slot: int) -> Device:
    following = put(clusters.next, cpu, put(clusters.next[cpu], order, slot))
    return replace(device, clusters=replace(clusters, next=following))


def _counted_in(state: Swap, at: int, first: int, slots: int) -> Swap:
    """The cluster of a slot has so many more; a free one, the first of its list, is free no more."""
    device = state.devices[at]
    clusters = device.clusters
    if clusters is None:
        return state
    number = first // device.cluster
    counts = put(clusters.counts, number, clusters.counts[number] + slots)
    free = clusters.free[1:] if number in clusters.free else clusters.free
    return with_device(state, at, replace(device, clusters=replace(clusters, counts=counts, free=free)))


def _own_cluster(rules: SwapRules, state: Swap, at: int, cpu: int, order: int) -> tuple[Swap, int]:
    """The next free run of the CPU's cluster; of a free one when it is used up, discarded now if need be.

    Source    mm/swapfile.c:scan_swap_map_try_ssd_cluster; 3.12 to 6.11
    """
    size = 1 << order
    while True:
        device = state.devices[at]
        clusters = device.clusters
        assert clusters is not None
        slot = clusters.next[cpu][order]
        if slot == NO_SLOT:
            if clusters.free:
                slot = clusters.free[0] * device.cluster
            elif clusters.discard:
                state = discard_clusters(rules, state, at)
                continue
            else:
                return state, NO_SLOT
        end = min(device.slots, (slot // device.cluster + 1) * device.cluster)
        while slot < end and any(taken(device, each) for each in range(slot, slot + size)):
            slot += size
        if slot >= end:
            state = with_device(state, at, _with_next(device, clusters, cpu, order, NO_SLOT))
            continue
        following = slot + size if slot + size < end else NO_SLOT
        return with_device(state, at, _with_next(device, clusters, cpu, order, following)), slot


# ---- runs for large pages ----------------------------------------------------------------------------------


@behaviour(
    "reclaim.swap.run-search",
    since="2.4.0",
    until="6.9",
    features=_FEATURES,
    source="mm/swapfile.c:swap_alloc_cluster; read in 4.19, 6.1; before 4.13 nobody asks",
)
def run_of_free_cluster(rules: SwapRules, state: Swap, at: int, cpu: int, order: int) -> tuple[Swap, Slots]:
    """The first free cluster, as a whole."""
    device = state.devices[at]
    if device.clusters is None or device.file or not device.clusters.free:
        return state, ()
    first = device.clusters.free[0] * device.cluster
    return take_run(rules, _counted_in(state, at, first, 1 << order), at, first, 1 << order), (first,)


@behaviour(
    "reclaim.swap.run-search",
    since="6.10",
    until="6.11",
    features=_FEATURES,
    source="mm/swapfile.c:scan_swap_map_slots, scan_swap_map_try_ssd_cluster; from memory",
)
def run_of_own_cluster(rules: SwapRules, state: Swap, at: int, cpu: int, order: int) -> tuple[Swap, Slots]:
    """The next run of the CPU's cluster for that order, which a free one becomes; no other is searched."""
    device = state.devices[at]
    if device.clusters is None or device.file or not device.writable or not device.highest:
        return state, ()
    state, first = _own_cluster(rules, state, at, cpu, order)
    if first == NO_SLOT:
        return state, ()
    return take_run(rules, _counted_in(state, at, first, 1 << order), at, first, 1 << order), (first,)
