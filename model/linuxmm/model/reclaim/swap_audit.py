"""Whether slots, counts, clusters and the caches of CPUs agree.

Linux: mm/swapfile.c, mm/swap_slots.c.  Seed 2.4 (F004).
"""

from collections import Counter
from collections.abc import Mapping

from linuxmm.model.reclaim.swap import referenced
from linuxmm.model.reclaim.swap_state import EMPTY, Device, Swap, nr_pages, taken, waits_for_discard
from linuxmm.spec.reclaim.swap import counted, free_when_unused
from linuxmm.spec.reclaim.swap_slots import (
    bounded,
    cluster_counted,
    cluster_on_one_list,
    flag_has_owner,
    in_one_place,
    run_aligned,
    use_counted,
)
from linuxmm.spec.step import Refusal


def judge(state: Swap, references: Mapping[tuple[int, int], int]) -> Refusal | None:
    """The first clause that a state breaks, if there is one.

    references  (device, slot) -> how many page table entries, or shared memory, name it
    """
    held = Counter(each for cache in state.caches for each in (*cache.ready, *cache.back))
    for at, device in enumerate(state.devices):
        kept = {slot: number for (own, slot), number in held.items() if own == at}
        named = {slot: number for (own, slot), number in references.items() if own == at}
        broken = _slots(at, device, kept, named) or _clusters(at, device)
        if broken is not None:
            return broken
    return None


def _slots(at: int, device: Device, held: Mapping[int, int], named: Mapping[int, int]) -> Refusal | None:
    paged = {first + each for first, order in device.pages.items() for each in range(1 << order)}
    for first, order in device.pages.items():
        if not run_aligned(first, order, device.cluster):
            return Refusal("reclaim.swap.run", f"device {at} slot {first}: a page of order {order}")
    use = 0
    for slot in range(1, device.slots):
        if slot in device.bad:
            continue
        count = device.counts.get(slot, EMPTY)
        where = f"device {at} slot {slot}: {count}"
        own = named.get(slot, 0)
        waits = waits_for_discard(device, slot)
        if not (own == 1 if count.shmem else counted(count.low, count.digits, own)):
            return Refusal("reclaim.swap.uses", f"{where}, {own} references")
        if not free_when_unused(count == EMPTY, own, count.cached):
            return Refusal("reclaim.swap.freed", f"{where}, {own} references")
        if not flag_has_owner(count.cached, slot in paged, slot in held):
            return Refusal("reclaim.swap.cache-flag", f"{where}, {held.get(slot, 0)} CPUs hold it")
        used = referenced(count) or slot in paged
        use += used
        if not in_one_place(not taken(device, slot), waits, held.get(slot, 0), used):
            return Refusal("reclaim.swap.one-place", f"{where}, {held.get(slot, 0)} CPUs hold it")
        if not taken(device, slot) and device.writable and not bounded(slot, device.lowest, device.highest):
            return Refusal("reclaim.swap.bounds", f"{where} outside {device.lowest} to {device.highest}")
    if not use_counted(device.inuse, use, sum(held.values())):
        return Refusal("reclaim.swap.inuse", f"device {at}: {device.inuse} of {nr_pages(device)}")
    return None


def _clusters(at: int, device: Device) -> Refusal | None:
    clusters = device.clusters
    if clusters is None:
        return None
    for number, count in enumerate(clusters.counts):
        slots = range(number * device.cluster, (number + 1) * device.cluster)
        bad = any(slot in device.bad or slot >= device.slots for slot in slots)
        used = sum(slot in device.counts or slot in device.bad or slot >= device.slots for slot in slots)
        where = f"device {at} cluster {number}: {count} slots"
        lists = (clusters.free, clusters.discard, clusters.full, *clusters.nonfull, *clusters.frag)
        on = [number in each for each in lists]
        if not cluster_counted(count, used, on[0] or on[1]):
            return Refusal("reclaim.swap.cluster-count", f"{where}, {used} in use")
        if not clusters.nonfull:
            continue
        if not cluster_on_one_list(sum(on), count == device.cluster, on[2], bad):
            return Refusal("reclaim.swap.cluster-list", f"{where}, on {sum(on)} lists")
    return None
