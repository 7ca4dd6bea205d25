"""Where a slot of swap is, and how a device is searched: clusters, cursors, the slot caches of CPUs.

A slot is free on its device, or it waits to be discarded with its cluster, or a CPU holds it for later, or it
is in use: by entries of page tables, by the swap cache, or by both.

Linux: mm/swapfile.c, mm/swap_slots.c.  Seed 2.4 (F004).  2.4.0 to 6.12.
"""

from typing import Final

from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.reclaim.swap import SLOTS_CACHED
from linuxmm.spec.registry import formula

_FEATURES: Final = ("F004",)
NO_SLOT: Final = 0
"""Slot 0 of a device is its header."""
LATENCY_LIMIT: Final = 256
SWAP_TRUNK: Final = 1 << 14
"""Slots that share one tree of the swap cache (SWAP_ADDRESS_SPACE_PAGES)."""


@formula("F004", source="include/linux/swap.h:vm_swap_full; 2.4.10 to 6.12")
def half_full(free: int, total: int) -> bool:
    """Whether more than half of all swap is used, so that slots of the swap cache are taken back."""
    return free * 2 < total


@formula("F004", source="mm/swapfile.c:get_swap_pages; 4.11 to 6.12")
def goal(wanted: int, free: int, size: int) -> int:
    """How many runs of `size` slots are asked for at once.

    Ensures   result <= SWAP_BATCH (64), and free slots suffice
    """
    return min(wanted, SLOTS_CACHED, free // size)


@formula("F004", source="mm/swap_slots.c:check_cache_active; 4.11 to 6.12")
def caches_active(active: bool, free: int, cpus: int, batch: int) -> bool:
    """Whether CPUs keep slots: from more than five batches a CPU on, until fewer than two are left.

    active  they do now; batch: slots that a CPU takes at once
    """
    if active:
        return free >= cpus * 2 * batch
    return free > cpus * 5 * batch


@formula("F004", source="mm/swapfile.c:swap_range_alloc; 4.13 to 6.12; scan_swap_map before")
def bounds_taken(low: int, high: int, first: int, slots: int) -> tuple[int, int]:
    """(lowest, highest) that the search goes by, after so many slots from `first` on were taken.

    Ensures   no free slot is below the lowest or above the highest, if none was
    """
    if first == low:
        low += slots
    if first + slots - 1 == high:
        high -= slots
    return low, high


@formula("F004", source="mm/swapfile.c:swap_range_free; 4.13 to 6.12; swap_entry_free before")
def bounds_freed(low: int, high: int, first: int, slots: int) -> tuple[int, int]:
    """(lowest, highest) after so many slots from `first` on were freed."""
    return min(low, first), max(high, first + slots - 1)


@formula("F004", source="mm/swapfile.c:set_cluster_next; 5.8 to 6.12")
def crosses_trunk(previous: int, following: int) -> bool:
    """Whether the cursor of a device without seek time leaves its trunk: then another is drawn by lot."""
    return previous // SWAP_TRUNK != following // SWAP_TRUNK


# ---- what the searches of the eras do differently ----------------------------------------------------------


@behaviour(
    "reclaim.swap.wrapped",
    since="2.6.29",
    until="3.15",
    features=_FEATURES,
    source="mm/swapfile.c:scan_swap_map; read in 3.10, the first and last releases from memory",
)
def wraps_behind_lowest(lowest: int) -> int:
    """Where a search begins again that came to the end: it passes over the lowest slot."""
    return lowest + 1


@behaviour(
    "reclaim.swap.wrapped",
    since="3.16",
    features=_FEATURES,
    source="mm/swapfile.c:scan_swap_map, scan_swap_map_slots; read in 4.4 to 6.12, the first from memory",
)
def wraps_to_lowest(lowest: int) -> int:
    """At the lowest slot."""
    return lowest


@behaviour(
    "reclaim.swap.reuses",
    since="2.4.0",
    until="2.6.30",
    features=_FEATURES,
    source="mm/swapfile.c:scan_swap_map; read in 2.6.11, 2.6.24, the last release from memory",
)
def reuses_none(free: int, total: int) -> bool:
    """A slot of the swap cache is not taken back by a search."""
    return False


@behaviour(
    "reclaim.swap.reuses",
    since="2.6.31",
    features=_FEATURES,
    source="mm/swapfile.c:scan_swap_map_slots; read in 3.10 to 6.12, the first release from memory",
)
def reuses_when_full(free: int, total: int) -> bool:
    """A search takes a slot back that only the swap cache uses, once swap is more than half full."""
    return half_full(free, total)


@behaviour(
    "reclaim.swap.without-cluster",
    since="3.12",
    until="4.10",
    features=_FEATURES,
    source="mm/swapfile.c:scan_swap_map; read in 4.4, the first and last releases from memory",
)
def looks_at_cursor() -> bool:
    """Without a cluster for the CPU, the slot at the cursor is looked at, and then those behind it."""
    return True


@behaviour(
    "reclaim.swap.without-cluster",
    since="4.11",
    until="6.11",
    features=_FEATURES,
    source="mm/swapfile.c:scan_swap_map_slots; read in 4.19, 6.1, the first and last releases from memory",
)
def looks_behind_cursor() -> bool:
    """Only those behind it, and those before it: the slot at the cursor itself is never found so."""
    return False


@behaviour(
    "reclaim.swap.batch-goes-on",
    since="4.11",
    until="5.7",
    features=_FEATURES,
    source="mm/swapfile.c:scan_swap_map_slots; read in 4.19, the last release from memory",
)
def batch_ends() -> bool:
    """A batch ends with its cluster."""
    return False


@behaviour(
    "reclaim.swap.batch-goes-on",
    since="5.8",
    features=_FEATURES,
    source="mm/swapfile.c:scan_swap_map_slots; read in 6.1, 6.12, the first release from memory",
)
def batch_goes_on() -> bool:
    """A batch goes on to the next free slot of the device, unless much was looked at before."""
    return True


@behaviour(
    "reclaim.swap.cursors",
    since="2.4.0",
    until="5.7",
    features=_FEATURES,
    source="mm/swapfile.c:scan_swap_map_slots; read in 2.6.11 to 4.19, the last release from memory",
)
def cursor_of_device(cpus: int) -> int:
    """Cursors of a device without seek time: one."""
    return 1


@behaviour(
    "reclaim.swap.cursors",
    since="5.8",
    features=_FEATURES,
    source="mm/swapfile.c:set_cluster_next; read in 6.1, 6.12, the first release from memory",
)
def cursor_of_cpu(cpus: int) -> int:
    """Cursors of a device without seek time: one for each CPU."""
    return cpus


@behaviour(
    "reclaim.swap.batch",
    since="2.4.0",
    until="4.10",
    features=_FEATURES,
    source="mm/swapfile.c:get_swap_page; read in 2.6.11 to 4.9",
)
def one_at_a_time() -> int:
    """Slots that a CPU takes at once: no CPU keeps any."""
    return 0


@behaviour(
    "reclaim.swap.batch",
    since="4.11",
    features=_FEATURES,
    source="mm/swap_slots.c:SWAP_SLOTS_CACHE_SIZE; read in 4.19 to 6.12, the first release from memory",
)
def batch_for_cpu() -> int:
    """SWAP_BATCH, for the CPU's cache."""
    return SLOTS_CACHED


@behaviour(
    "reclaim.swap.huge",
    since="2.4.0",
    until="4.12",
    features=_FEATURES,
    source="mm/swap_state.c:add_to_swap splits; 4.9, the last release from memory",
)
def huge_is_split(order: int, cluster_order: int) -> bool:
    """Whether a page of an order gets a run of slots: it is split."""
    return order == 0


@behaviour(
    "reclaim.swap.huge",
    since="4.13",
    until="6.9",
    features=_FEATURES,
    source="mm/swapfile.c:swap_alloc_cluster; read in 4.19, 6.1, the first and last releases from memory",
)
def huge_takes_cluster(order: int, cluster_order: int) -> bool:
    """A page as large as a cluster gets one; smaller ones are split."""
    return order in (0, cluster_order)


@behaviour(
    "reclaim.swap.huge",
    since="6.10",
    features=_FEATURES,
    source="mm/swapfile.c:scan_swap_map_slots; read in 6.12, the first release from memory",
)
def huge_of_any_order(order: int, cluster_order: int) -> bool:
    """A page of any order up to a cluster's gets an aligned run."""
    return order <= cluster_order


Reference = tuple[int, int]
"""(owner, slot): who refers to a slot; owner 0 is shared memory, the others are address spaces in order."""


@behaviour(
    "reclaim.swap.unuse",
    since="2.4.0",
    until="5.0",
    features=_FEATURES,
    source="mm/swapfile.c:try_to_unuse; 2.6.11, 3.10, 4.19 (the last release from memory)",
)
def slot_by_slot(references: tuple[Reference, ...]) -> tuple[Reference, ...]:
    """How swapoff reads back: one slot after the other, and each for everybody who refers to it."""
    return tuple(sorted(references, key=lambda each: (each[1], each[0])))


@behaviour(
    "reclaim.swap.unuse",
    since="5.1",
    features=_FEATURES,
    source="mm/swapfile.c:try_to_unuse, unuse_mm; read in 6.1, 6.12, the first release from memory",
)
def owner_by_owner(references: tuple[Reference, ...]) -> tuple[Reference, ...]:
    """Shared memory first, then one address space after the other, each slot as its tables come by it."""
    return tuple(sorted(references))


# ---- invariants --------------------------------------------------------------------------------------------


@invariant(
    "reclaim.swap.one-place",
    features=_FEATURES,
    seed="2.4",
    since="3.12",
    source="mm/swapfile.c, mm/swap_slots.c",
)
def in_one_place(free: bool, discarded: bool, held: int, used: bool) -> bool:
    """A slot is free, or waits for discard, or a CPU holds it once, or it is in use: one of these.

    held  how often it stands in the caches of CPUs
    """
    return (1 if free else 0) + (1 if discarded else 0) + held + (1 if used else 0) == 1


@invariant(
    "reclaim.swap.cache-flag",
    features=_FEATURES,
    seed="2.4",
    since="4.11",
    source="mm/swapfile.c:__swap_entry_free_locked, swapcache_free_entries",
)
def flag_has_owner(flagged: bool, page: bool, held: bool) -> bool:
    """A slot has the flag of the swap cache exactly when a page of it is there, or a CPU holds the slot."""
    return flagged == (page or held) and not (page and held)


@invariant(
    "reclaim.swap.cluster-count",
    features=_FEATURES,
    seed="2.4",
    since="3.12",
    source="mm/swapfile.c:inc_cluster_info_page, dec_cluster_info_page",
)
def cluster_counted(count: int, used: int, listed: bool) -> bool:
    """A cluster's count is its slots that are not free, and it is on the list of free ones only at none.

    used    slots of the cluster that are in use, held or bad
    listed  it is on the list of free clusters, or on that of clusters to be discarded
    """
    return count == used and not (listed and count)


@invariant(
    "reclaim.swap.cluster-list",
    features=_FEATURES,
    seed="2.4",
    since="6.12",
    source="mm/swapfile.c:struct swap_cluster_info",
)
def cluster_on_one_list(lists: int, full: bool, on_full: bool, bad: bool) -> bool:
    """A cluster is on one list, on that of full ones exactly when it is; those full at swapon are on none.

    lists  how many lists it is on; bad: it has slots that were never free
    """
    if full and bad:
        return lists <= 1 and on_full == (lists == 1)
    return lists == 1 and on_full == full


@invariant(
    "reclaim.swap.bounds",
    features=_FEATURES,
    seed="2.4",
    source="mm/swapfile.c:swap_range_alloc, swap_range_free",
)
def bounded(slot: int, lowest: int, highest: int) -> bool:
    """A free slot of a device is between the lowest and the highest that the search goes by."""
    return lowest <= slot <= highest


@invariant(
    "reclaim.swap.inuse",
    features=_FEATURES,
    seed="2.4",
    source="mm/swapfile.c:swap_show; si->inuse_pages",
)
def use_counted(inuse: int, used: int, held: int) -> bool:
    """What a device says is used is what is in use and what CPUs hold; slots to be discarded are not."""
    return inuse == used + held


@invariant(
    "reclaim.swap.run",
    features=_FEATURES,
    seed="2.4",
    since="4.13",
    source="mm/swapfile.c:swap_alloc_cluster, alloc_swap_scan_cluster",
)
def run_aligned(first: int, order: int, cluster: int) -> bool:
    """A page of 2**order pages has as many slots in a row of one cluster, aligned to the order.

    cluster  slots of a cluster, a power of two
    """
    return first % (1 << order) == 0 and 1 << order <= cluster
