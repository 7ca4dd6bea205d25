"""Swap devices: slots taken in clusters, devices of one priority in turn, counts that go on beyond a byte.

Linux: mm/swapfile.c.  Seed 2.4 (F004).  2.6.33 to 6.12; the search is that for rotating disks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from immutables import Map

from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.reclaim.swap import SWAP_CONT_MAX, SWAP_MAP_MAX, SWAPFILE_CLUSTER, counted, free_when_unused
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Err, Errno, Refusal

_FEATURES: Final = ("F004",)
NO_SLOT: Final = 0


@dataclass(frozen=True, slots=True)
class Count:
    """How often a slot is used: in its byte, in the pages that continue it, and by the swap cache.

    low     0 to 62
    digits  one for each page that continues the count, the least first
    """

    low: int = 0
    digits: tuple[int, ...] = ()
    cached: bool = False


@dataclass(frozen=True, slots=True)
class Device:
    """A swap device: slots 1 to `slots` - 1; slot 0 is its header.

    counts  of slots in use
    next    where the search goes on; left  slots of the present cluster still to be handed out
    """

    slots: int
    priority: int
    counts: Map[int, Count] = field(default_factory=Map)
    next: int = 1
    left: int = 0
    writable: bool = True


@verb("F004", source="mm/swapfile.c:swap_duplicate, swap_count_continued; 2.6.33 to 6.12")
def duplicate(count: Count) -> Count | Err:
    """One more use of a slot.

    Refuses   ENOMEM where the count has to go on and no page holds the next digit: `continue_count` adds one
    """
    if count.low < SWAP_MAP_MAX:
        return replace(count, low=count.low + 1)
    digits = list(count.digits)
    for place, digit in enumerate(digits):
        if digit < SWAP_CONT_MAX:
            digits[place] = digit + 1
            return replace(count, low=0, digits=tuple(digits))
        digits[place] = 0
    return Err(Errno.ENOMEM)


@verb("F004", source="mm/swapfile.c:add_swap_count_continuation")
def continue_count(count: Count) -> Count:
    """Give the count a page for one more digit."""
    return replace(count, digits=(*count.digits, 0))


@verb("F004", source="mm/swapfile.c:swap_entry_free, swap_count_continued; 2.6.33 to 6.12")
def drop(count: Count) -> Count:
    """One use less.

    Requires  there is one
    """
    if count.low > 0:
        return replace(count, low=count.low - 1)
    digits = list(count.digits)
    for place, digit in enumerate(digits):
        if digit > 0:
            digits[place] = digit - 1
            return replace(count, low=SWAP_MAP_MAX, digits=tuple(digits))
        digits[place] = SWAP_CONT_MAX
    raise ValueError("a slot that nobody uses loses a use")


def unused(count: Count) -> bool:
    """Whether a slot may be handed out again."""
    return count.low == 0 and not any(count.digits) and not count.cached


@verb("F004", source="mm/swapfile.c:scan_swap_map; the search without cluster_info, 2.6.33 to 6.12")
def take(device: Device) -> tuple[Device, int]:
    """A free slot, its page in the swap cache; NO_SLOT when there is none.

    Ensures   the slot was free; slots of a cluster follow one another while they are free
    """
    if not device.writable or len(device.counts) >= device.slots - 1:
        return device, NO_SLOT
    start, left = device.next, device.left - 1
    if left < 0:
        start, left = _cluster(device), SWAPFILE_CLUSTER - 1
    order = [*range(start, device.slots), *range(1, min(start, device.slots))]
    slot = next(at for at in order if at not in device.counts)
    counts = device.counts.set(slot, Count(cached=True))
    return replace(device, counts=counts, next=slot + 1, left=left), slot


def _cluster(device: Device) -> int:
    """The first slot of a free cluster, or where the search stands when there is none."""
    if device.slots - 1 - len(device.counts) < SWAPFILE_CLUSTER:
        return device.next
    run = 0
    for slot in range(1, device.slots):
        run = 0 if slot in device.counts else run + 1
        if run == SWAPFILE_CLUSTER:
            return slot - SWAPFILE_CLUSTER + 1
    return 1


@behaviour(
    "reclaim.swap.turn",
    since="2.4.0",
    until="3.15",
    features=_FEATURES,
    source="mm/swapfile.c:get_swap_page, swap_list; read in 2.6.24, the last release from memory",
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


@dataclass(frozen=True, slots=True)
class Swap:
    """All devices, and the order in which they are asked: the highest priority first."""

    devices: tuple[Device, ...]
    order: tuple[int, ...]


def swap_of(*devices: Device) -> Swap:
    """Devices that were switched on in this order."""
    order = sorted(range(len(devices)), key=lambda at: -devices[at].priority)
    return Swap(devices, tuple(order))


@verb("F004", source="mm/swapfile.c:get_swap_pages")
def get_slot(state: Swap) -> tuple[Swap, int, int]:
    """A slot of the device whose turn it is, or of the next that has one; device -1 when swap is full."""
    priorities = tuple(device.priority for device in state.devices)
    order = state.order
    for at in state.order:
        order = turn_by_requeue(order, priorities, at)
        device, slot = take(state.devices[at])
        if slot != NO_SLOT:
            devices = (*state.devices[:at], device, *state.devices[at + 1 :])
            return Swap(devices, order), at, slot
    return Swap(state.devices, order), -1, NO_SLOT


@verb("F004", source="mm/swapfile.c:swap_duplicate, swap_free, put_swap_page")
def change(state: Swap, at: int, slot: int, count: Count) -> Swap:
    """The state with another count of a slot; one that is unused is free."""
    device = state.devices[at]
    counts = device.counts.delete(slot) if unused(count) else device.counts.set(slot, count)
    return replace(
        state, devices=(*state.devices[:at], replace(device, counts=counts), *state.devices[at + 1 :])
    )


@verb("F004", source="mm/swapfile.c:sys_swapoff, try_to_unuse")
def swapoff(state: Swap, at: int, memory: int) -> Swap | Err:
    """Read everything back and take the device away.

    memory    pages that may be taken
    Refuses   ENOMEM where not everything fits
    """
    used = state.devices[at].counts
    if len(used) > memory:
        return Err(Errno.ENOMEM)
    empty = replace(state.devices[at], counts=Map(), writable=False)
    order = tuple(each for each in state.order if each != at)
    return Swap((*state.devices[:at], empty, *state.devices[at + 1 :]), order)


def take_huge(device: Device) -> tuple[Device, int]:
    """A whole cluster for a huge page.

    Errors    Unmodelled: needs the cluster lists of devices without seek time, 4.13 on
    """
    raise Unmodelled("swap slots for a whole huge page: lists of free clusters")


def judge(state: Swap, references: Mapping[tuple[int, int], int]) -> Refusal | None:
    """Whether counts are the references, and slots are free exactly when unused.

    references  (device, slot) -> how many page table entries name it
    """
    for at, device in enumerate(state.devices):
        for slot in range(1, device.slots):
            count = device.counts.get(slot, Count())
            named = references.get((at, slot), 0)
            if not counted(count.low, count.digits, named):
                return Refusal("reclaim.swap.uses", f"device {at} slot {slot}: {count}, {named} references")
            if not free_when_unused(slot not in device.counts, named, count.cached):
                return Refusal("reclaim.swap.freed", f"device {at} slot {slot}: {count}, {named} references")
    return None
