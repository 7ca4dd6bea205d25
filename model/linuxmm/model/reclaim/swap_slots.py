"""Slots from all devices: whose turn a device is, what a CPU keeps, pages that enter the swap cache, swapoff.

Linux: mm/swapfile.c:get_swap_pages, sys_swapon, sys_swapoff; mm/swap_slots.c:folio_alloc_swap;
mm/swap_state.c:add_to_swap.  Seed 2.4 (F004).  2.4.0 to 6.12.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from linuxmm.model.reclaim import swap_lists, swap_search
from linuxmm.model.reclaim.swap import Count, continue_count, duplicate, referenced
from linuxmm.model.reclaim.swap_release import drain_caches, leave_swap_cache, swap_free
from linuxmm.model.reclaim.swap_state import (
    EMPTY,
    Device,
    SlotCache,
    Swap,
    SwapRules,
    join_orders,
    leave_orders,
    nr_free,
    put,
    rank,
    with_device,
)
from linuxmm.spec.arith import floor_log2
from linuxmm.spec.kernel import Kernel, Version, behaviour
from linuxmm.spec.reclaim.swap_slots import NO_SLOT, SWAP_TRUNK, caches_active, goal
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Err, Errno

_FEATURES: Final = ("F004",)
NO_DEVICE: Final = -1
ERAS: Final = (swap_search, swap_lists)
"""Where the searches of the eras are registered."""


@behaviour(
    "reclaim.swap.turn",
    since="2.4.0",
    until="3.15",
    features=_FEATURES,
    source="mm/swapfile.c:get_swap_page, swap_list; read in 2.6.24, 3.10, the last release from memory",
)
def turn_by_pointer(order: tuple[int, ...], priorities: tuple[int, ...], used: int) -> tuple[int, ...]:
    """Devices in the order in which they are asked next: `used` after the others of its priority."""
    return turn_by_requeue(order, priorities, used)


@behaviour(
    "reclaim.swap.turn",
    since="3.16",
    features=_FEATURES,
    source="mm/swapfile.c:get_swap_pages, plist_requeue; read in 4.9 to 6.12, the first release from memory",
)
def turn_by_requeue(order: tuple[int, ...], priorities: tuple[int, ...], used: int) -> tuple[int, ...]:
    """Devices in the order in which they are asked next: the one used goes behind its equals."""
    rest = [each for each in order if each != used]
    higher = sum(priorities[each] >= priorities[used] for each in rest)
    return (*rest[:higher], used, *rest[higher:])


@behaviour(
    "reclaim.swap.first-free",
    since="3.12",
    until="4.10",
    features=_FEATURES,
    source="mm/swapfile.c:setup_swap_map_and_extents; from memory",
)
def from_cursor(clusters: int, start: int, size: int) -> tuple[int, ...]:
    """Clusters in the order in which they are free at first: from the cursor's on, and round."""
    begin = start // size
    return (*range(begin, clusters), *range(begin))


@behaviour(
    "reclaim.swap.first-free",
    since="4.11",
    features=_FEATURES,
    source="mm/swapfile.c:setup_swap_map_and_extents, setup_clusters; read in 6.1, 6.12",
)
def in_columns(clusters: int, start: int, size: int) -> tuple[int, ...]:
    """One of every trunk of swap after the other, so that neighbours on the list share no lock."""
    columns = max(SWAP_TRUNK // size, 8)
    begin = start // size % columns
    return tuple(sorted(range(clusters), key=lambda number: ((number - begin) % columns, number)))


@lru_cache(maxsize=64)
def swap_rules(kernel: Kernel) -> SwapRules:
    """What a kernel does with slots of swap."""

    def rule(name: str) -> Any:
        return kernel.behaviour(f"reclaim.swap.{name}").function

    branch = kernel.version.branch
    clusters = branch >= Version(3, 12)
    slots_back = branch >= Version(2, 6, 29)
    return SwapRules(
        search=rule("search"),
        run=rule("run-search"),
        huge=rule("huge"),
        wrapped=rule("wrapped") if slots_back else lowest_itself,
        reuses=rule("reuses"),
        looks_at_cursor=rule("without-cluster")() if Version(3, 12) <= branch < Version(6, 12) else True,
        goes_on=rule("batch-goes-on")() if branch >= Version(4, 11) else False,
        clusters=clusters,
        cursors=rule("cursors"),
        batch=rule("batch")(),
        turn=rule("turn"),
        leaves=branch >= Version(3, 16),
        first=rule("first-free") if clusters else no_clusters,
        by_node=branch >= Version(4, 14),
        direct=branch >= Version(6, 12),
        lists=branch >= Version(6, 12),
        unuse=rule("unuse"),
    )


def lowest_itself(lowest: int) -> int:
    """Before 2.6.29 a search that begins again begins at the lowest slot."""
    return lowest


def no_clusters(clusters: int, start: int, size: int) -> tuple[int, ...]:
    """Before 3.12 there are no lists of clusters."""
    return ()


# ---- devices come and go -----------------------------------------------------------------------------------


def swap_of(rules: SwapRules, *devices: Device, cpus: int = 1, nodes: int = 1) -> Swap:
    """Devices that were switched on in this order."""
    state = Swap((), ((),) * nodes, (SlotCache(),) * cpus)
    for device in devices:
        state = swapon(rules, state, device)
    return state


@verb("F004", source="mm/swapfile.c:sys_swapon, enable_swap_info")
def swapon(rules: SwapRules, state: Swap, device: Device) -> Swap:
    """One more device, asked after those of its priority."""
    state = replace(state, devices=(*state.devices, device), enabled=True)
    return join_orders(rules, state, len(state.devices) - 1)


@verb("F004", source="mm/swapfile.c:sys_swapoff; first half")
def stop_device(rules: SwapRules, state: Swap, at: int, memory: int) -> Swap | Err:
    """Nothing more is swapped to a device, and CPUs give back what they keep: they keep nothing meanwhile.

    memory    pages that could be committed
    Refuses   ENOMEM where all of the device would not fit; EINVAL for a device that is off
    """
    if not state.devices[at].writable:
        return Err(Errno.EINVAL)
    if state.devices[at].slots - len(state.devices[at].bad) > memory:
        return Err(Errno.ENOMEM)
    state = leave_orders(state, at)
    if rules.by_node and state.devices[at].priority < 0:
        state = _raised(state, at)
    state = with_device(state, at, replace(state.devices[at], writable=False))
    return drain_caches(rules, replace(state, enabled=False))


def _raised(state: Swap, at: int) -> Swap:
    """Devices without a priority of their own that came later move up by one."""
    gone = state.devices[at].priority
    devices = tuple(
        replace(each, priority=each.priority + 1) if each.priority < gone else each for each in state.devices
    )
    return replace(state, devices=devices)


@verb("F004", source="mm/swapfile.c:try_to_unuse; 2.4.0 to 6.12")
def unuse(
    rules: SwapRules, state: Swap, at: int, references: tuple[tuple[int, int], ...], memory: int, cpu: int = 0
) -> tuple[Swap, tuple[tuple[int, int], ...]]:
    """Give pages back in the order of the era while there is memory: what is done, as (owner, slot).

    references  (owner, slot) of everybody who refers to a slot, owner 0 for shared memory
    memory      pages that may be read; a slot is read once, and its page is found in the swap cache then
    Ensures     with memory enough no slot is in use, and no page in the swap cache
    """
    done: list[tuple[int, int]] = []
    for owner, slot in rules.unuse(references):
        if slot not in state.devices[at].pages:
            if memory == 0:
                return state, tuple(done)
            memory -= 1
            read = read_in(rules, state, at, slot)
            assert isinstance(read, Swap)
            state = read
        state = swap_free(rules, state, at, slot, cpu)
        done.append((owner, slot))
    for slot in sorted(state.devices[at].pages):
        state = leave_swap_cache(rules, state, at, slot, cpu)
    return state, tuple(done)


@verb("F004", source="mm/swapfile.c:try_to_unuse, unuse_pte, find_next_to_unuse; 5.1 to 6.12")
def read_back(rules: SwapRules, state: Swap, at: int, slot: int, cpu: int = 0) -> Swap:
    """Everybody who refers to a slot gets its page back, and the page leaves the swap cache.

    Requires  the device is stopped, the page is not locked
    """
    while referenced(state.devices[at].counts.get(slot, EMPTY)):
        state = swap_free(rules, state, at, slot, cpu)
    if slot in state.devices[at].pages:
        state = leave_swap_cache(rules, state, at, slot, cpu)
    return state


@verb("F004", source="mm/swapfile.c:sys_swapoff; second half")
def end_device(rules: SwapRules, state: Swap, at: int) -> Swap | Err:
    """The device is gone, and CPUs may keep slots again if another is left.

    Refuses   EBUSY while a slot is in use: there is more to read back
    """
    if state.devices[at].inuse:
        return Err(Errno.EBUSY)
    gone = replace(state.devices[at], highest=0, clusters=None)
    return replace(with_device(state, at, gone), enabled=any(each.writable for each in state.devices))


@verb("F004", source="mm/swapfile.c:sys_swapoff, reinsert_swap_info")
def restart_device(rules: SwapRules, state: Swap, at: int) -> Swap:
    """Reading back was broken off: the device is used again."""
    state = with_device(state, at, replace(state.devices[at], writable=True))
    state = replace(state, enabled=True)
    return join_orders(rules, state, at) if state.devices[at].highest else state


# ---- slots for pages ---------------------------------------------------------------------------------------


@verb("F004", source="mm/swapfile.c:get_swap_pages, get_swap_page")
def get_slots(
    rules: SwapRules, state: Swap, wanted: int, cpu: int = 0, order: int = 0, node: int = 0
) -> tuple[Swap, int, tuple[int, ...]]:
    """So many slots, or a run of 2**order, of the device whose turn it is, or of the next that has one.

    Ensures   all are of one device; device NO_DEVICE, and none, when swap is full
    """
    number = goal(wanted, nr_free(state), 1 << order)
    tried: set[int] = set()
    while number > 0:
        left = [each for each in state.orders[node] if each not in tried]
        if not left:
            break
        at = left[0]
        tried.add(at)
        ranks = tuple(rank(rules, device, node) for device in state.devices)
        state = replace(state, orders=put(state.orders, node, rules.turn(state.orders[node], ranks, at)))
        if not state.devices[at].writable or not state.devices[at].highest:
            continue
        if order:
            state, found = rules.run(rules, state, at, cpu, order)
        else:
            state, found = rules.search(rules, state, at, cpu, number)
        if found:
            return state, at, found
        if order:
            break
    return state, NO_DEVICE, ()


@verb("F004", source="mm/swap_slots.c:folio_alloc_swap; 4.11 to 6.12; mm/swapfile.c:get_swap_page before")
def alloc_slot(
    rules: SwapRules, state: Swap, cpu: int = 0, order: int = 0, node: int = 0
) -> tuple[Swap, int, int]:
    """A slot for a page, or a run for a large one: of those that the CPU keeps, which it fills up first.

    Ensures   device NO_DEVICE and NO_SLOT when there is none; a large page is split then
    """
    if order:
        largest = max((floor_log2(device.cluster) for device in state.devices), default=0)
        if not rules.huge(order, largest):
            return state, NO_DEVICE, NO_SLOT
        state, at, found = get_slots(rules, state, 1, cpu, order, node)
        return state, at, found[0] if found else NO_SLOT
    if rules.batch and state.enabled:
        active = caches_active(state.active, nr_free(state), len(state.caches), rules.batch)
        drops = state.active and not active
        state = replace(state, active=active)
        state = drain_caches(rules, state) if drops else state
        if active:
            state, at, slot = _kept(rules, state, cpu, node)
            if slot != NO_SLOT:
                return state, at, slot
    state, at, found = get_slots(rules, state, 1, cpu, 0, node)
    return state, at, found[0] if found else NO_SLOT


def _kept(rules: SwapRules, state: Swap, cpu: int, node: int) -> tuple[Swap, int, int]:
    """The next slot that a CPU keeps; without one it takes a batch."""
    if not state.caches[cpu].ready:
        state, at, found = get_slots(rules, state, rules.batch, cpu, 0, node)
        ready = tuple((at, slot) for slot in found)
        state = replace(state, caches=put(state.caches, cpu, replace(state.caches[cpu], ready=ready)))
    ready = state.caches[cpu].ready
    if not ready:
        return state, NO_DEVICE, NO_SLOT
    state = replace(state, caches=put(state.caches, cpu, replace(state.caches[cpu], ready=ready[1:])))
    return state, *ready[0]


@verb("F004", source="mm/swap_state.c:add_to_swap; mm/swap_slots.c:folio_alloc_swap")
def add_to_swap(
    rules: SwapRules, state: Swap, cpu: int = 0, order: int = 0, node: int = 0
) -> tuple[Swap, int, int]:
    """A page gets slots, and is in the swap cache there."""
    state, at, slot = alloc_slot(rules, state, cpu, order, node)
    if slot != NO_SLOT:
        device = state.devices[at]
        state = with_device(state, at, replace(device, pages=device.pages.set(slot, order)))
    return state, at, slot


@verb("F004", source="mm/swapfile.c:swap_duplicate, add_swap_count_continuation, swap_shmem_alloc")
def refer(rules: SwapRules, state: Swap, at: int, slot: int, shmem: bool = False) -> Swap | Err:
    """One more refers to a slot; the count is continued where it has to be.

    shmem     a page of shared memory, whose one reference is not counted further
    Refuses   ENOENT for a slot that is free; EINVAL for one of shared memory
    """
    device = state.devices[at]
    count = device.counts.get(slot, EMPTY)
    if count == EMPTY or slot in device.bad:
        return Err(Errno.ENOENT)
    if shmem and referenced(count):
        return Err(Errno.EINVAL)
    more: Count | Err = replace(count, shmem=True) if shmem else duplicate(count)
    if more == Err(Errno.ENOMEM):
        more = duplicate(continue_count(count))
    if isinstance(more, Err):
        return more
    return with_device(state, at, replace(device, counts=device.counts.set(slot, more)))


@verb("F004", source="mm/swap_state.c:__read_swap_cache_async; mm/swapfile.c:swapcache_prepare")
def read_in(rules: SwapRules, state: Swap, at: int, slot: int) -> Swap | Err:
    """A page is read, and enters the swap cache.

    Refuses   EEXIST where one is there; ENOENT for a slot that nobody uses
    """
    device = state.devices[at]
    count = device.counts.get(slot, EMPTY)
    if count.cached:
        return Err(Errno.EEXIST)
    if not referenced(count):
        return Err(Errno.ENOENT)
    counts = device.counts.set(slot, replace(count, cached=True))
    return with_device(state, at, replace(device, counts=counts, pages=device.pages.set(slot, 0)))
