"""Devices of swap and where each of their slots is, and the elementary changes of both.

Linux: struct swap_info_struct, struct swap_cluster_info, struct swap_slots_cache (include/linux/swap.h).
Seed 2.4 (F004).  2.4.0 to 6.12.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, TypeVar

from immutables import Map

from linuxmm.model.reclaim.swap import Count
from linuxmm.spec.arith import floor_log2
from linuxmm.spec.reclaim.swap import SWAPFILE_CLUSTER
from linuxmm.spec.reclaim.swap_slots import NO_SLOT, bounds_freed, bounds_taken

T = TypeVar("T")
EMPTY: Final = Count()
HELD: Final = Count(cached=True)
"""What the map says of a slot that nothing refers to but the swap cache, or a CPU that keeps it."""


class SwapRules(NamedTuple):
    """What a kernel does in its own way.

    search      look for so many slots, or for a run: (rules, state, device, CPU, wanted, order)
    run         look for a run of slots for a large page
    huge(order, cluster_order)   whether a page of that order gets a run at all
    wrapped(lowest), reuses(free, total), looks_at_cursor, goes_on   see `linuxmm.spec.reclaim.swap_slots`
    clusters    devices without seek time have lists of clusters (3.12)
    cursors(cpus)     of such a device
    batch       slots that a CPU takes at once, 0 when it keeps none (4.11)
    turn        devices in the order in which they are asked next
    leaves      a full device leaves that order (3.16)
    first(clusters, start, size)   clusters in the order in which they become free at first
    by_node     nodes have orders of their own (4.14)
    direct      slots that a search takes back pass no CPU's cache (6.12)
    lists       clusters are listed by what is free in them (6.12)
    unuse       references in the order in which swapoff reads them back
    """

    search: Callable[["SwapRules", "Swap", int, int, int], "tuple[Swap, tuple[int, ...]]"]
    run: Callable[["SwapRules", "Swap", int, int, int], "tuple[Swap, tuple[int, ...]]"]
    huge: Callable[[int, int], bool]
    wrapped: Callable[[int], int]
    reuses: Callable[[int, int], bool]
    looks_at_cursor: bool
    goes_on: bool
    clusters: bool
    cursors: Callable[[int], int]
    batch: int
    turn: Callable[[tuple[int, ...], tuple[int, ...], int], tuple[int, ...]]
    leaves: bool
    first: Callable[[int, int, int], tuple[int, ...]]
    by_node: bool
    direct: bool
    lists: bool
    unuse: Callable[[tuple[tuple[int, int], ...]], tuple[tuple[int, int], ...]]


@dataclass(frozen=True, slots=True)
class Clusters:
    """Aligned runs of slots on a device without seek time.

    counts   slots of each that are not free
    free     those without such a slot, the next to be used first
    discard  those that became free and are to be discarded, the oldest first
    next     per CPU and order, where that CPU goes on, NO_SLOT when it has no cluster
    orders   of each; nonfull, frag: per order, and full: the lists of 6.12
    """

    counts: tuple[int, ...]
    free: tuple[int, ...]
    next: tuple[tuple[int, ...], ...]
    discard: tuple[int, ...] = ()
    orders: tuple[int, ...] = ()
    nonfull: tuple[tuple[int, ...], ...] = ()
    frag: tuple[tuple[int, ...], ...] = ()
    full: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Device:
    """A swap device: slots 1 to `slots` - 1; slot 0 is its header.

    bad        slots that are never handed out, the header among them
    counts     of slots that are not free
    pages      pages of the swap cache: the first slot -> its order; busy: those that are locked
    lowest, highest   between which the search expects free slots; highest is 0 when there are none
    cursors    where the search goes on: one, or one for each CPU; left: slots left of the present cluster
    draws      slots that are drawn by lot for a cursor, the next first; without any, it stays near
    cluster    slots of a cluster: 256, or the pages of a huge one where huge pages go to swap whole
    discards   clusters that become free are discarded; discarded: (first, slots) in order
    inuse      as /proc/swaps shows it; file: a swap file, which has no runs for large pages
    node       of the disk, -1 for none
    """

    slots: int
    priority: int
    lowest: int = 1
    highest: int = 0
    bad: frozenset[int] = frozenset({0})
    counts: Map[int, Count] = field(default_factory=Map)
    pages: Map[int, int] = field(default_factory=Map)
    busy: frozenset[int] = frozenset()
    cursors: tuple[int, ...] = (1,)
    left: int = 0
    draws: tuple[int, ...] = ()
    inuse: int = 0
    cluster: int = SWAPFILE_CLUSTER
    seekless: bool = False
    clusters: Clusters | None = None
    discards: bool = False
    discarded: tuple[tuple[int, int], ...] = ()
    writable: bool = True
    file: bool = False
    node: int = -1


@dataclass(frozen=True, slots=True)
class SlotCache:
    """Slots that a CPU keeps, as (device, slot): ready to be used, the next first, and to be given back."""

    ready: tuple[tuple[int, int], ...] = ()
    back: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Swap:
    """All devices.

    orders   for each node, devices in the order in which they are asked
    caches   of each CPU; active, enabled: whether CPUs keep slots now, and may
    """

    devices: tuple[Device, ...]
    orders: tuple[tuple[int, ...], ...] = ((),)
    caches: tuple[SlotCache, ...] = (SlotCache(),)
    active: bool = False
    enabled: bool = True


def new_device(
    rules: SwapRules,
    slots: int,
    priority: int = 0,
    *,
    cpus: int = 1,
    cluster: int = SWAPFILE_CLUSTER,
    seekless: bool = False,
    start: int = 1,
    bad: frozenset[int] = frozenset(),
    discards: bool = False,
    discard_once: bool = False,
    file: bool = False,
    node: int = -1,
) -> Device:
    """A device, as swapon finds it.

    start         where its cursors begin; the kernel draws it by lot where there is no seek time
    discard_once  all of it is discarded now
    """
    bad = bad | {0}
    clusters = None
    if seekless and rules.clusters:
        clusters = _clusters(rules, slots, bad, cluster, start, cpus)
    return Device(
        slots,
        priority,
        highest=slots - 1,
        bad=bad,
        cursors=(start,) * (rules.cursors(cpus) if seekless else 1),
        cluster=cluster,
        seekless=seekless,
        clusters=clusters,
        discards=discards,
        discarded=((1, slots - 1),) if discard_once else (),
        file=file,
        node=node,
    )


def _clusters(
    rules: SwapRules, slots: int, bad: frozenset[int], size: int, start: int, cpus: int
) -> Clusters:
    number = (slots + size - 1) // size
    beyond = range(slots, number * size)
    counts = [0] * number
    for slot in (*bad, *beyond):
        counts[slot // size] += 1
    order = rules.first(number, start, size)
    orders = floor_log2(size) + 1
    empty: tuple[tuple[int, ...], ...] = ((),) * orders
    begun = tuple(at for at in order if counts[at])
    return Clusters(
        tuple(counts),
        tuple(at for at in order if not counts[at]),
        ((NO_SLOT,) * orders,) * cpus,
        orders=(0,) * number if rules.lists else (),
        nonfull=(begun, *empty[1:]) if rules.lists else (),
        frag=empty if rules.lists else (),
    )


# ---- questions ---------------------------------------------------------------------------------------------


def nr_pages(device: Device) -> int:
    """Slots of a device that may be handed out."""
    return device.slots - len(device.bad)


def nr_free(state: Swap) -> int:
    """nr_swap_pages: slots of all devices that neither are in use nor wait in a CPU's cache."""
    return sum(nr_pages(device) - device.inuse for device in state.devices if device.writable)


def nr_total(state: Swap) -> int:
    """total_swap_pages."""
    return sum(nr_pages(device) for device in state.devices if device.writable)


def waits_for_discard(device: Device, slot: int) -> bool:
    """Whether the cluster of a slot waits to be discarded: its slots look bad until then."""
    clusters = device.clusters
    return clusters is not None and slot // device.cluster in clusters.discard


def taken(device: Device, slot: int) -> bool:
    """Whether the map has anything for a slot."""
    return slot in device.counts or slot in device.bad or waits_for_discard(device, slot)


def only_cached(device: Device, slot: int) -> bool:
    """Whether the map has nothing for a slot but the flag of the swap cache."""
    return device.counts.get(slot) == HELD


def page_of(device: Device, slot: int) -> int:
    """The first slot of the page of the swap cache that a slot belongs to, or NO_SLOT."""
    for first, order in device.pages.items():
        if first <= slot < first + (1 << order):
            return first
    return NO_SLOT


def cursor(device: Device, cpu: int) -> int:
    """Where a CPU's search goes on."""
    return device.cursors[cpu if len(device.cursors) > 1 else 0]


# ---- elementary changes ------------------------------------------------------------------------------------


def with_device(state: Swap, at: int, device: Device) -> Swap:
    """The state with another device in a place."""
    return replace(state, devices=put(state.devices, at, device))


def put(row: tuple[T, ...], at: int, value: T) -> tuple[T, ...]:
    """The row with another value in a place."""
    return (*row[:at], value, *row[at + 1 :])


def with_counts(device: Device, first: int, slots: int, count: Count) -> Device:
    """The device with the same count for a run of slots; an empty one makes them free."""
    counts = device.counts.mutate()
    for slot in range(first, first + slots):
        if count == EMPTY:
            counts.pop(slot, None)
        else:
            counts[slot] = count
    return replace(device, counts=counts.finish())


def set_cursor(device: Device, cpu: int, slot: int) -> Device:
    """The device with another place where a CPU's search goes on."""
    return replace(device, cursors=put(device.cursors, cpu if len(device.cursors) > 1 else 0, slot))


def take_run(rules: SwapRules, state: Swap, at: int, first: int, slots: int) -> Swap:
    """A run of slots gets the flag of the swap cache; a device that is full now leaves the orders.

    Source    mm/swapfile.c:swap_range_alloc; 4.13 to 6.12; scan_swap_map before
    """
    device = with_counts(state.devices[at], first, slots, HELD)
    low, high = bounds_taken(device.lowest, device.highest, first, slots)
    inuse = device.inuse + slots
    full = inuse == nr_pages(device)
    if full:
        low, high = device.slots, 0
    state = with_device(state, at, replace(device, lowest=low, highest=high, inuse=inuse))
    return leave_orders(state, at) if full and rules.leaves else state


def free_run(rules: SwapRules, state: Swap, at: int, first: int, slots: int) -> Swap:
    """A run of slots is free; a device that was full is asked again.

    Source    mm/swapfile.c:swap_range_free; 4.13 to 6.12; swap_entry_free before
    """
    device = with_counts(state.devices[at], first, slots, EMPTY)
    was_full = not device.highest
    low, high = bounds_freed(device.lowest, device.highest, first, slots)
    state = with_device(state, at, replace(device, lowest=low, highest=high, inuse=device.inuse - slots))
    return join_orders(rules, state, at) if was_full and device.writable and rules.leaves else state


def leave_orders(state: Swap, at: int) -> Swap:
    """A device is asked no more."""
    return replace(state, orders=tuple(tuple(each for each in order if each != at) for order in state.orders))


def rank(rules: SwapRules, device: Device, node: int) -> int:
    """How early a node asks a device: by its priority; of those without one its own first.

    Source    mm/swapfile.c:setup_swap_info; 4.14 to 6.12
    """
    if rules.by_node and device.priority < 0 and device.node == node:
        return -1
    return device.priority


def join_orders(rules: SwapRules, state: Swap, at: int) -> Swap:
    """A device is asked after those of its priority."""
    orders = []
    for node, order in enumerate(state.orders):
        own = rank(rules, state.devices[at], node)
        rest = [each for each in order if each != at]
        higher = sum(rank(rules, state.devices[each], node) >= own for each in rest)
        orders.append((*rest[:higher], at, *rest[higher:]))
    return replace(state, orders=tuple(orders))
