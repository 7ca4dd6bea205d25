"""What is charged to groups: their counters, the CPUs' stocks, and what a charge is and meets.

Linux: mm/memcontrol.c:consume_stock, refill_stock, drain_stock.  Seed 2.9 (F060).  Stocks since 2.6.33.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

from linuxmm.model.memcg.counter import NOBODY, Tree, force_charge, path, try_charge, uncharge
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.memcg.counter import adds_first, checks_first, margin
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Event


class Kind(Enum):
    """Events of a group, as memory.events and memory.swap.events name them."""

    LOW = "low"
    HIGH = "high"
    MAX = "max"
    OOM = "oom"
    SWAP_HIGH = "swap high"
    SWAP_MAX = "swap max"
    SWAP_FAIL = "swap fail"


@dataclass(frozen=True, slots=True)
class GroupEvent(Event):
    """Something happened to a group, and by that to all above it."""

    kind: Kind
    group: int


@dataclass(frozen=True, slots=True)
class Stock:
    """Pages that a CPU has charged to one group and not used yet."""

    group: int = NOBODY
    pages: int = 0


@dataclass(frozen=True, slots=True)
class Charged:
    """What is counted.

    both    memory and swap together, where version 1 counts them; else None
    stocks  by CPU
    noted   the group in which the fault in progress ran out of memory; the killer waits for the fault's end
    swap    slots, where version 2 counts them; else None
    high, swap_high  memory.high and memory.swap.high by group; empty: none is set
    """

    memory: Tree
    both: Tree | None
    stocks: tuple[Stock, ...]
    noted: int = NOBODY
    swap: Tree | None = None
    high: tuple[int, ...] = ()
    swap_high: tuple[int, ...] = ()


class Ask(NamedTuple):
    """How a charge is asked for, and by whom.

    blocking   it may reclaim; retry  False for __GFP_NORETRY; may_fail  __GFP_RETRY_MAYFAIL
    nofail     __GFP_NOFAIL; high  __GFP_HIGH; atomic  __GFP_ATOMIC
    killer     the killer may be asked (until 3.16 the caller decides)
    user_fault it is made by a page fault of user space
    reclaims   the task reclaims memory itself (PF_MEMALLOC)
    killed     it is a victim of the OOM killer; signalled  it has a fatal signal; exiting  PF_EXITING
    """

    blocking: bool = True
    retry: bool = True
    may_fail: bool = False
    nofail: bool = False
    high: bool = False
    atomic: bool = False
    killer: bool = True
    user_fault: bool = True
    reclaims: bool = False
    killed: bool = False
    signalled: bool = False
    exiting: bool = False

    @property
    def dying(self) -> bool:
        """Whether the task is on its way out, for whatever reason."""
        return self.killed or self.signalled or self.exiting


def _nobody_moves(state: Charged, group: int) -> tuple[Charged, bool]:
    return state, False


def _no_signal(state: Charged) -> bool:
    return False


class World(NamedTuple):
    """What a charge cannot decide by itself: what reclaim of a group brings, whether somebody was killed.

    reclaim   of (state, group, pages, may swap)
    kill      of (state, group): whether a victim was found, or somebody else was waited for who kills
    dies      the victim is the task that charges
    moving    of (state, group): whether a task that moves its charges there was waited for
    disabled  groups with oom_kill_disable
    signal    whether the task has a signal, which ends what it writes
    """

    reclaim: Callable[[Charged, int, int, bool], tuple[Charged, int]]
    kill: Callable[[Charged, int], tuple[Charged, bool]]
    dies: bool = False
    moving: Callable[[Charged, int], tuple[Charged, bool]] = _nobody_moves
    disabled: tuple[int, ...] = ()
    signal: Callable[[Charged], bool] = _no_signal


# ---- the CPUs' stocks --------------------------------------------------------------------------------------


@verb("F060", source="mm/memcontrol.c:consume_stock")
def consume(state: Charged, cpu: int, group: int, pages: int) -> Charged | None:
    """Take pages from the CPU's stock; None where it is another group's or holds too few."""
    stock = state.stocks[cpu]
    if stock.group != group or stock.pages < pages:
        return None
    return _stocked(state, cpu, Stock(group, stock.pages - pages))


@verb("F060", source="mm/memcontrol.c:drain_stock")
def drain(state: Charged, cpu: int) -> Charged:
    """Give the CPU's stock back to the counters."""
    stock = state.stocks[cpu]
    if stock.pages:
        state = give_back(state, stock.group, stock.pages)
    return _stocked(state, cpu, Stock())


@verb("F060", source="mm/memcontrol.c:refill_stock")
def refill(state: Charged, cpu: int, group: int, pages: int, batch: int) -> Charged:
    """Put charged pages in the CPU's stock; another group's goes first, and one beyond a batch goes whole."""
    if state.stocks[cpu].group != group:
        state = drain(state, cpu)
    held = state.stocks[cpu].pages + pages
    state = _stocked(state, cpu, Stock(group, held))
    return drain(state, cpu) if held > batch else state


@verb("F060", source="mm/memcontrol.c:drain_all_stock")
def drain_below(state: Charged, group: int) -> Charged:
    """Give back the stocks of a group and of those below it; other CPUs do so when they come to it."""
    for cpu, stock in enumerate(state.stocks):
        if stock.group != NOBODY and group in path(state.memory, stock.group):
            state = drain(state, cpu)
    return state


def _stocked(state: Charged, cpu: int, stock: Stock) -> Charged:
    return replace(state, stocks=(*state.stocks[:cpu], stock, *state.stocks[cpu + 1 :]))


# ---- the counters ------------------------------------------------------------------------------------------


@verb("F060", source="mm/memcontrol.c:uncharge_batch; __mem_cgroup_uncharge_common")
def give_back(state: Charged, group: int, pages: int) -> Charged:
    """Pages of a group are freed."""
    both = None if state.both is None else uncharge(state.both, group, pages)
    return replace(state, memory=uncharge(state.memory, group, pages), both=both)


@verb("F060", source="mm/memcontrol.c:try_charge_memcg, mem_cgroup_do_charge")
def count(kernel: Kernel, state: Charged, group: int, pages: int) -> tuple[Charged, int, bool]:
    """The counters after a charge, the group that refused, and whether reclaim of it may swap."""
    level = checks_first if kernel.behaviour("memcg.level").name == "checks_first" else adds_first
    if state.both is None:
        memory, failed = try_charge(state.memory, group, pages, level)
        return replace(state, memory=memory), failed, True
    if kernel.behaviour("memcg.order").function():
        both, failed = try_charge(state.both, group, pages, level)
        if failed != NOBODY:
            return replace(state, both=both), failed, False
        memory, failed = try_charge(state.memory, group, pages, level)
        if failed != NOBODY:
            both = uncharge(both, group, pages)
        return replace(state, memory=memory, both=both), failed, True
    memory, failed = try_charge(state.memory, group, pages, level)
    if failed != NOBODY:
        return replace(state, memory=memory), failed, True
    both, failed = try_charge(state.both, group, pages, level)
    if failed != NOBODY and kernel.behaviour("memcg.refused-by-both").function():
        memory = uncharge(memory, group, pages)
    return replace(state, memory=memory, both=both), failed, False


def room(state: Charged, group: int) -> int:
    """Pages that may still be charged to a group, as far as its own counters say."""
    left = margin(state.memory.usage[group], state.memory.limit[group])
    if state.both is None:
        return left
    return min(left, margin(state.both.usage[group], state.both.limit[group]))


@verb("F060", source="mm/memcontrol.c:try_charge_memcg, force")
def force(state: Charged, group: int, pages: int) -> Charged:
    """Charge pages whatever the limits say."""
    both = None if state.both is None else force_charge(state.both, group, pages)
    return replace(state, memory=force_charge(state.memory, group, pages), both=both)
