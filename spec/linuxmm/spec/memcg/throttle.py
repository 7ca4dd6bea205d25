"""How long a task sleeps whose group exceeds memory.high (or swap.high).

Linux: mm/memcontrol.c:mem_cgroup_handle_over_high.  Seed 2.9 (F060).  Throttled since 5.4.
"""

from typing import Final

from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula

PRECISION: Final = 20
SCALING: Final = 14
U64: Final = 1 << 64


@formula("F060", source="mm/memcontrol.c:calculate_overage; 5.4 to 6.12")
def overage(usage: int, high: int) -> int:
    """How far usage exceeds high, in parts of high, with 20 bits behind the point.

    Requires  0 <= usage, high < 2**44, so that nothing is shifted out
    """
    if usage <= high:
        return 0
    return ((usage - high) << PRECISION) // max(high, 1)


@formula("F060", source="mm/memcontrol.c:calculate_high_delay; 5.4 to 6.12")
def delay(most: int, pages: int, hz: int, batch: int) -> int:
    """Ticks that a task with `pages` new pages owes for an overage of `most`.

    The square is a 64-bit word: from 256 times high on it may come round, and does in the kernel.
    """
    if most == 0:
        return 0
    return ((most * most * hz) % U64 >> (PRECISION + SCALING)) * pages // batch


@behaviour(
    "memcg.penalty",
    since="5.4",
    until="5.7",
    features=("F060",),
    source="mm/memcontrol.c:mem_cgroup_handle_over_high; read in 5.4 and 5.7",
)
def penalty_of_memory(memory: int, swap: int, pages: int, hz: int, batch: int) -> int:
    """Ticks to sleep for an overage of memory alone; swap has no high yet.

    memory, swap  the largest overage of the group (until 5.6 that of its own group only) and those above
    """
    return min(delay(memory, pages, hz, batch), 2 * hz)


@behaviour(
    "memcg.penalty",
    since="5.8",
    features=("F060",),
    source="mm/memcontrol.c:mem_cgroup_handle_over_high; read in 5.8 to 6.12",
)
def penalty_with_swap(memory: int, swap: int, pages: int, hz: int, batch: int) -> int:
    """Ticks to sleep for both overages together, two seconds at most."""
    return min(delay(memory, pages, hz, batch) + delay(swap, pages, hz, batch), 2 * hz)


@formula("F060", source="mm/memcontrol.c:mem_cgroup_handle_over_high; 5.4 to 6.12")
def sleeps(penalty: int, hz: int) -> bool:
    """Whether a penalty is worth a sleep: more than a hundredth of a second."""
    return penalty > hz // 100


@invariant(
    "memcg.penalty.bounds",
    features=("F060",),
    seed="2.9",
    since="5.4",
    source="mm/memcontrol.c:MEMCG_MAX_HIGH_DELAY_JIFFIES",
)
def penalty_bounded(penalty: int, over: bool, hz: int) -> bool:
    """Nobody sleeps longer than two seconds at once, and only where high is exceeded."""
    return 0 <= penalty <= (2 * hz if over else 0)
