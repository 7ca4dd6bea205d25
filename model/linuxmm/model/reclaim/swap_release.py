"""How slots become free: one use less, a page that leaves the swap cache, the cluster that is empty then.

Linux: mm/swapfile.c:swap_free, put_swap_folio, swapcache_free_entries, free_cluster; mm/swap_slots.c.
Seed 2.4 (F004).  2.4.0 to 6.12.
"""

from dataclasses import replace

from linuxmm.model.reclaim.swap import drop, referenced, unused
from linuxmm.model.reclaim.swap_state import (
    EMPTY,
    HELD,
    Clusters,
    Device,
    SlotCache,
    Swap,
    SwapRules,
    free_run,
    only_cached,
    page_of,
    put,
    with_device,
)
from linuxmm.spec.reclaim.swap_slots import NO_SLOT
from linuxmm.spec.registry import verb


@verb("F004", source="mm/swapfile.c:swap_free, __swap_entry_free")
def swap_free(rules: SwapRules, state: Swap, at: int, slot: int, cpu: int = 0) -> Swap:
    """An entry of a page table, or shared memory, refers to a slot no more.

    Requires  it does
    """
    device = state.devices[at]
    count = drop(device.counts[slot])
    if unused(count):
        return free_slot(rules, with_device(state, at, _counted(device, slot, HELD)), at, slot, cpu)
    return with_device(state, at, _counted(device, slot, count))


@verb("F004", source="mm/swapfile.c:put_swap_folio; mm/swap_state.c:delete_from_swap_cache")
def leave_swap_cache(
    rules: SwapRules, state: Swap, at: int, first: int, cpu: int = 0, direct: bool = False
) -> Swap:
    """A page leaves the swap cache: slots that nothing refers to are free.

    first   its first slot
    direct  they pass no CPU's cache
    Ensures a run of which nothing refers to any slot is freed as a whole
    """
    device = state.devices[at]
    slots = 1 << device.pages[first]
    device = replace(device, pages=device.pages.delete(first), busy=device.busy - {first})
    state = with_device(state, at, device)
    whole = slots > 1 and (rules.lists or slots == device.cluster)
    if (whole or direct) and all(only_cached(device, slot) for slot in range(first, first + slots)):
        return to_device(rules, state, at, first, slots)
    for slot in range(first, first + slots):
        count = state.devices[at].counts[slot]
        if referenced(count):
            changed = _counted(state.devices[at], slot, replace(count, cached=False))
            state = with_device(state, at, changed)
        else:
            state = free_slot(rules, state, at, slot, cpu)
    return state


@verb("F004", source="mm/swap_slots.c:free_swap_slot, swapcache_free_entries; 4.11 to 6.12")
def free_slot(rules: SwapRules, state: Swap, at: int, slot: int, cpu: int = 0) -> Swap:
    """A slot without use goes to what a CPU gives back, all at once when that is full; else it is free.

    Requires  the map has the flag of the swap cache for it, and nothing else
    """
    if not (rules.batch and state.active and state.enabled):
        return to_device(rules, state, at, slot, 1)
    if len(state.caches[cpu].back) >= rules.batch:
        state = _give_back(rules, state, state.caches[cpu].back)
        state = _with_cache(state, cpu, replace(state.caches[cpu], back=()))
    cache = state.caches[cpu]
    return _with_cache(state, cpu, replace(cache, back=(*cache.back, (at, slot))))


@verb("F004", source="mm/swap_slots.c:__drain_swap_slots_cache; 4.11 to 6.12")
def drain_caches(rules: SwapRules, state: Swap) -> Swap:
    """Every CPU gives the slots that it keeps back to their devices."""
    for cpu, cache in enumerate(state.caches):
        state = _give_back(rules, _give_back(rules, state, cache.ready), cache.back)
        state = _with_cache(state, cpu, SlotCache())
    return state


def _with_cache(state: Swap, cpu: int, cache: SlotCache) -> Swap:
    return replace(state, caches=put(state.caches, cpu, cache))


def _give_back(rules: SwapRules, state: Swap, slots: tuple[tuple[int, int], ...]) -> Swap:
    """Slots go back to their devices, one device after the other."""
    for at, slot in sorted(slots, key=lambda each: each[0]):
        state = to_device(rules, state, at, slot, 1)
    return state


def _counted(device: Device, slot: int, count: object) -> Device:
    return replace(device, counts=device.counts.set(slot, count))  # type: ignore[arg-type]


# ---- clusters ----------------------------------------------------------------------------------------------


@verb("F004", source="mm/swapfile.c:swap_entry_range_free, swap_entry_free, swap_free_cluster")
def to_device(rules: SwapRules, state: Swap, at: int, first: int, slots: int) -> Swap:
    """A run of slots of one cluster is free on its device again.

    Requires  the map has the flag of the swap cache for each, and nothing else
    """
    device = state.devices[at]
    if device.clusters is not None:
        number = first // device.cluster
        state = with_device(state, at, _uncounted(rules, device, device.clusters, number, slots))
    return free_run(rules, state, at, first, slots)


def _uncounted(rules: SwapRules, device: Device, clusters: Clusters, number: int, slots: int) -> Device:
    """A cluster has so many slots less; an empty one is free, or waits to be discarded."""
    left = clusters.counts[number] - slots
    clusters = replace(clusters, counts=put(clusters.counts, number, left))
    if left:
        clusters = relisted(clusters, number, "nonfull") if rules.lists else clusters
        return replace(device, clusters=clusters)
    if rules.lists:
        clusters = off_lists(clusters, number)
    if device.discards and device.writable:
        return replace(device, clusters=replace(clusters, discard=(*clusters.discard, number)))
    return replace(device, clusters=freed(rules, clusters, number))


def freed(rules: SwapRules, clusters: Clusters, number: int) -> Clusters:
    """A cluster without a slot in use is the last of the free ones."""
    orders = put(clusters.orders, number, 0) if rules.lists else clusters.orders
    return replace(clusters, free=(*clusters.free, number), orders=orders)


@verb("F004", source="mm/swapfile.c:swap_do_scheduled_discard, swap_discard_work; 3.12 to 6.12")
def discard_clusters(rules: SwapRules, state: Swap, at: int) -> Swap:
    """The clusters that wait are discarded, the oldest first, and are free then."""
    device = state.devices[at]
    while device.clusters is not None and device.clusters.discard:
        number, *rest = device.clusters.discard
        clusters = freed(rules, replace(device.clusters, discard=tuple(rest)), number)
        done = (number * device.cluster, device.cluster)
        device = replace(device, clusters=clusters, discarded=(*device.discarded, done))
    return with_device(state, at, device)


def off_lists(clusters: Clusters, number: int) -> Clusters:
    """A cluster is on no list."""
    return replace(
        clusters,
        free=tuple(each for each in clusters.free if each != number),
        full=tuple(each for each in clusters.full if each != number),
        nonfull=tuple(tuple(each for each in row if each != number) for row in clusters.nonfull),
        frag=tuple(tuple(each for each in row if each != number) for row in clusters.frag),
    )


def relisted(clusters: Clusters, number: int, to: str) -> Clusters:
    """A cluster goes to the end of a list: nonfull or frag of its order, or full."""
    order = clusters.orders[number]
    if to == "nonfull" and number in clusters.nonfull[order]:
        return clusters
    clusters = off_lists(clusters, number)
    if to == "full":
        return replace(clusters, full=(*clusters.full, number))
    if to == "frag":
        return replace(clusters, frag=put(clusters.frag, order, (*clusters.frag[order], number)))
    return replace(clusters, nonfull=put(clusters.nonfull, order, (*clusters.nonfull[order], number)))


# ---- what a search takes back ------------------------------------------------------------------------------


@verb("F004", source="mm/swapfile.c:__try_to_reclaim_swap, folio_free_swap; 2.6.31 to 6.12")
def take_back(rules: SwapRules, state: Swap, at: int, slot: int, cpu: int) -> tuple[Swap, bool]:
    """The page of a slot leaves the swap cache if nothing refers to its slots and nobody has it locked.

    Ensures  the page itself stays in memory, and is dirty
    """
    device = state.devices[at]
    first = page_of(device, slot)
    if first == NO_SLOT or first in device.busy:
        return state, False
    slots = range(first, first + (1 << device.pages[first]))
    if any(device.counts.get(each, EMPTY) != HELD for each in slots):
        return state, False
    return leave_swap_cache(rules, state, at, first, cpu, rules.direct), True
