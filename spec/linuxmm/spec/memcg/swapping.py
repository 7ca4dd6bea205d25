"""Swap of a group, and the peak of a counter.

Version 1 counts memory and swap together: a page swapped out stays counted there.  Version 2 counts swap
alone: a slot is charged when it is taken and uncharged when it is freed.

Linux: mm/memcontrol.c.  Seed 2.9 (F060).  memsw since 2.6.29, swap.* since 4.5.
"""

from typing import Final

from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula

_FEATURES: Final = ("F060",)


@formula("F060", source="mm/memcontrol.c:mem_cgroup_get_nr_swap_pages; 4.5 to 6.12, read in 4.9 to 6.12")
def swap_left(free: int, path: tuple[tuple[int, int], ...]) -> int:
    """Slots that a group may still take; negative where a limit was lowered below usage.

    free   slots of the machine; path  (usage, max) of swap, of the group and those above it but the root
    """
    for usage, most in path:
        free = min(free, most - usage)
    return free


@behaviour(
    "memcg.swap-full",
    since="4.5",
    until="5.7",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_swap_full; read in 4.5 to 5.4, 5.5 to 5.7 unconfirmed",
)
def full_by_max(usage: int, high: int, most: int) -> bool:
    """Whether swap is so full that slots of pages in memory are given up: half of max is used."""
    return usage * 2 >= most


@behaviour(
    "memcg.swap-full",
    since="5.8",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_swap_full; read in 5.8 to 6.6",
)
def full_by_high(usage: int, high: int, most: int) -> bool:
    """Half of max or of high is used."""
    return (usage * 2 >= high) | (usage * 2 >= most)


@formula("F060", source="mm/memcontrol.c:peak_show; 6.12")
def peak_shown(unset: bool, seen: int, local: int, watermark: int) -> int:
    """What memory.peak says to one open file: the most ever, or since it was written through that file.

    unset  nobody wrote through it; seen  usage when it did, or when others did if that was more
    local  most since anyone wrote
    """
    return watermark if unset else max(seen, local)


@invariant(
    "memcg.swap.limit", features=_FEATURES, seed="2.9", source="mm/memcontrol.c:mem_cgroup_try_charge_swap"
)
def swap_within(usage: int, doubtful: int, over: int, most: int) -> bool:
    """Swap of a group exceeds its max at most by what is doubtful, or was there when max was lowered."""
    return 0 <= usage <= most + doubtful + over


@behaviour(
    "memcg.peak-lift",
    since="6.12",
    features=_FEATURES,
    source="mm/memcontrol.c:peak_write; read in 6.12",
)
def lift_to_usage(seen: int, usage: int, local: int) -> int:
    """What another file keeps for its peak when one is written: usage, if that is more.

    The peak since the other file was written is lost with `local`, which the write resets.
    """
    return max(seen, usage)


@formula("F060", source="no kernel's: what would keep every file's peak")
def lift_to_peak(seen: int, usage: int, local: int) -> int:
    """The peak so far, if that is more."""
    return max(seen, local)


@invariant(
    "memcg.peak.since", features=_FEATURES, seed="2.9", source="mm/memcontrol.c:peak_show; 6.12 breaks it"
)
def peak_since(shown: int, most: int) -> bool:
    """A file says the most that usage was since it was written, whoever else writes to others."""
    return shown == most


@invariant("memcg.peak", features=_FEATURES, seed="2.9", source="mm/memcontrol.c:peak_write; 6.12")
def peak_kept(usage: int, shown: int, watermark: int) -> bool:
    """What a file says was the peak is at least usage, and at most what ever was."""
    return usage <= shown <= watermark


@invariant(
    "memcg.stat.workingset", features=_FEATURES, seed="2.4.5", source="mm/workingset.c:workingset_refault"
)
def refaults_first(refaults: int, activated: int, restored: int) -> bool:
    """Of pages that came back, no more were active at once than came back, and no more restored."""
    return (0 <= activated <= refaults) & (0 <= restored <= refaults)
