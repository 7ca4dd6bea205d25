"""Swap of groups: pages that leave memory and come back, counted with memory or on their own.

Version 1 counts memory and swap together (since 2.6.29): a page swapped out leaves memory and stays there;
one swapped in is charged to both, and given back where its slot was counted.  Version 2 (since 4.5) charges a
slot before it is used, and memory as for any page.

Linux: mm/memcontrol.c:mem_cgroup_swapout, mem_cgroup_try_charge_swap.  Seed 2.9 (F060).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from linuxmm.model.memcg.charged import Charged, GroupEvent, Kind
from linuxmm.model.memcg.counter import (
    NOBODY,
    Tree,
    exchange_max,
    force_charge,
    path,
    set_max,
    try_charge,
    uncharge,
)
from linuxmm.spec.kernel import Kernel, behaviour
from linuxmm.spec.memcg.counter import PAGE_COUNTER_MAX
from linuxmm.spec.memcg.swapping import lift_to_usage, peak_shown, swap_left
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Err, Errno, Event, Step

_FEATURES: Final = ("F060",)


def online_above(parent: tuple[int, ...], online: tuple[bool, ...], group: int) -> int:
    """The group itself, or the nearest above that has a directory: slots are counted there."""
    while not online[group] and parent[group] != NOBODY:
        group = parent[group]
    return group


# ---- version 1 ---------------------------------------------------------------------------------------------


@verb("F060", source="mm/memcontrol.c:mem_cgroup_swapout; mem_cgroup_uncharge_swapcache; 2.6.29 to 6.12")
def swap_out(state: Charged, group: int, pages: int, holder: int) -> Charged:
    """Version 1: pages of a group leave memory for swap.

    holder    the group that their slots are counted to: the same, or an online one above it (since 4.8)
    Requires  memory and swap are counted together
    """
    assert state.both is not None
    both = state.both
    if holder != group:
        both = uncharge(force_charge(both, holder, pages), group, pages)
    return replace(state, memory=uncharge(state.memory, group, pages), both=both)


@verb("F060", source="mm/memcontrol.c:mem_cgroup_uncharge_swap; 2.6.29 to 6.12")
def swap_free(state: Charged, holder: int, pages: int) -> Charged:
    """Slots are freed, since nobody needs them or since their pages came back and were charged anew."""
    if state.swap is not None:
        return replace(state, swap=uncharge(state.swap, holder, pages))
    assert state.both is not None
    return replace(state, both=uncharge(state.both, holder, pages))


# ---- version 2 ---------------------------------------------------------------------------------------------


@verb("F060", source="mm/memcontrol.c:mem_cgroup_try_charge_swap; 4.5 to 6.12, read in 4.9 to 6.12")
def take_slots(
    kernel: Kernel, state: Charged, group: int, pages: int, free: int
) -> Step[Charged, bool | Err]:
    """Version 2: a page is to be swapped out, and its slots are counted first.

    free      slots of the machine; without any nothing is counted, and the result is False
    Refuses   ENOMEM where memory.swap.max of the group or of one above holds it up
    """
    assert state.swap is not None
    told = kernel.behaviour("memcg.swap-events").function
    if free < pages:
        return Step(state, False, _told(told(group, False)))
    after, failed = try_charge(state.swap, group, pages)
    if failed != NOBODY:
        return Step(replace(state, swap=after), Err(Errno.ENOMEM), _told(told(group, True)))
    return Step(replace(state, swap=after), True)


def _told(events: object) -> tuple[Event, ...]:
    assert isinstance(events, tuple)
    return events


@behaviour(
    "memcg.swap-events",
    since="4.5",
    until="4.17",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_try_charge_swap; read in 4.5 to 4.17",
)
def swap_silent(group: int, limited: bool) -> tuple[Event, ...]:
    """What memory.swap.events counts: there is no such file."""
    return ()


@behaviour(
    "memcg.swap-events",
    since="4.18",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_try_charge_swap; read in 4.18 to 6.12",
)
def swap_told(group: int, limited: bool) -> tuple[Event, ...]:
    """A failure, and that a limit was the cause; both of the group whose page it is."""
    failed = (GroupEvent(Kind.SWAP_FAIL, group),)
    return (GroupEvent(Kind.SWAP_MAX, group), *failed) if limited else failed


@verb("F060", source="mm/memcontrol.c:mem_cgroup_get_nr_swap_pages; 4.5 to 6.12")
def slots_left(state: Charged, group: int, free: int) -> int:
    """Slots that reclaim of a group may count on; without any, anonymous pages are not scanned."""
    return free if state.swap is None else room_in_swap(state.swap, group, free)


def room_in_swap(swap: Tree, group: int, free: int) -> int:
    """Slots that a group may still take of those that are free."""
    line = [at for at in path(swap, group) if swap.parent[at] != NOBODY]
    return swap_left(free, tuple((swap.usage[at], swap.limit[at]) for at in line))


@verb("F060", source="mm/memcontrol.c:swap_max_write")
def write_swap_max(kernel: Kernel, state: Charged, group: int, limit: int) -> Charged | Err:
    """Set memory.swap.max; nothing is swapped in for it.

    Refuses   EBUSY where more is used (until 4.17)
    """
    assert state.swap is not None
    after = kernel.behaviour("memcg.write-swap-max").function(state.swap, group, limit)
    if after is None:
        return Err(Errno.EBUSY)
    assert isinstance(after, Tree)
    return replace(state, swap=after)


@behaviour(
    "memcg.write-swap-max",
    since="4.5",
    until="4.17",
    features=_FEATURES,
    source="mm/memcontrol.c:swap_max_write; read in 4.5 to 4.17",
)
def swap_max_if_it_fits(swap: Tree, group: int, limit: int) -> Tree | None:
    """Only what usage does not exceed."""
    return set_max(swap, group, limit)


@behaviour(
    "memcg.write-swap-max",
    since="4.18",
    features=_FEATURES,
    source="mm/memcontrol.c:swap_max_write; read in 4.18 to 6.12",
)
def swap_max_in_any_case(swap: Tree, group: int, limit: int) -> Tree | None:
    """Whatever is used: it goes down as slots are freed."""
    return exchange_max(swap, group, limit)


@verb("F060", source="mm/memcontrol.c:swap_high_write; 5.8 to 6.12")
def write_swap_high(state: Charged, group: int, high: int) -> Charged:
    """Set memory.swap.high: who charges while it is exceeded sleeps for it, and nothing else happens."""
    values = state.swap_high or (PAGE_COUNTER_MAX,) * len(state.memory.usage)
    return replace(state, swap_high=(*values[:group], high, *values[group + 1 :]))


# ---- memory.peak -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Peaks:
    """The peak of one counter, as files show that are open.

    watermark  the most ever (5.19 shows that); local  the most since somebody wrote
    seen       by open file: usage when it was written, or by others later if that was more; -1 before
    """

    usage: int = 0
    watermark: int = 0
    local: int = 0
    seen: tuple[int, ...] = ()


@verb("F060", source="mm/page_counter.c:page_counter_try_charge; 6.12")
def peak_moves(peaks: Peaks, usage: int) -> Peaks:
    """The counter changes."""
    return replace(peaks, usage=usage, watermark=max(peaks.watermark, usage), local=max(peaks.local, usage))


@verb("F060", source="mm/memcontrol.c:peak_write; 6.12")
def peak_write(peaks: Peaks, file: int, lift: Callable[[int, int, int], int] = lift_to_usage) -> Peaks:
    """Somebody writes through an open file: from now on that file shows the peak since then.

    lift  what the other files keep
    """
    lifted = [lift(value, peaks.usage, peaks.local) if value >= 0 else value for value in peaks.seen]
    lifted[file] = peaks.usage
    return replace(peaks, local=peaks.usage, seen=tuple(lifted))


@verb("F060", source="mm/memcontrol.c:peak_show; 6.12")
def peak_read(peaks: Peaks, file: int) -> int:
    """What memory.peak says through an open file."""
    return peak_shown(peaks.seen[file] < 0, peaks.seen[file], peaks.local, peaks.watermark)
