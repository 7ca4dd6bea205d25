"""A charge from the request to its end: the CPU's stock, batches, reclaim, retries, the OOM killer, force.

Linux: mm/memcontrol.c:try_charge_memcg, 3.19 to 6.12.  Seed 2.9 (F060).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, NamedTuple

from linuxmm.model.memcg.counter import NOBODY, Tree, force_charge, path, try_charge, uncharge
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.kernel import Kernel, Version
from linuxmm.spec.memcg.counter import margin
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Err, Errno, Event, Step

COSTLY: Final = 8
"""Pages beyond which a charge is not tried again merely because something was reclaimed."""


class Kind(Enum):
    """Events of a group, as memory.events names them."""

    MAX = "max"
    OOM = "oom"


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
    """

    memory: Tree
    both: Tree | None
    stocks: tuple[Stock, ...]


class Ask(NamedTuple):
    """How a charge is asked for.

    blocking  it may reclaim; retry  False for __GFP_NORETRY; may_fail  __GFP_RETRY_MAYFAIL
    nofail    __GFP_NOFAIL, or __GFP_HIGH which may go over the limit likewise
    reclaims  the task reclaims memory itself: its charges are forced
    dying     it is on its way out
    """

    blocking: bool = True
    retry: bool = True
    may_fail: bool = False
    nofail: bool = False
    reclaims: bool = False
    dying: bool = False


class World(NamedTuple):
    """What a charge cannot decide by itself: what reclaim of a group brings, and whether somebody was killed.

    reclaim  of (state, group, pages, may swap); kill  of (state, group): whether a victim was found
    """

    reclaim: Callable[[Charged, int, int, bool], tuple[Charged, int]]
    kill: Callable[[Charged, int], tuple[Charged, bool]]


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
        both = None if state.both is None else uncharge(state.both, stock.group, stock.pages)
        state = replace(state, memory=uncharge(state.memory, stock.group, stock.pages), both=both)
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
    """Give back the stocks of a group and of those below it."""
    for cpu, stock in enumerate(state.stocks):
        if stock.group != NOBODY and group in path(state.memory, stock.group):
            state = drain(state, cpu)
    return state


def _stocked(state: Charged, cpu: int, stock: Stock) -> Charged:
    return replace(state, stocks=(*state.stocks[:cpu], stock, *state.stocks[cpu + 1 :]))


def _count(state: Charged, group: int, pages: int) -> tuple[Charged, int, bool]:
    """The counters after a charge, the group that refused, and whether reclaim of it may swap."""
    both = state.both
    if both is not None:
        both, failed = try_charge(both, group, pages)
        if failed != NOBODY:
            return replace(state, both=both), failed, False
    memory, failed = try_charge(state.memory, group, pages)
    if failed != NOBODY and both is not None:
        both = uncharge(both, group, pages)
    return replace(state, memory=memory, both=both), failed, True


def _room(state: Charged, group: int) -> int:
    room = margin(state.memory.usage[group], state.memory.limit[group])
    if state.both is None:
        return room
    return min(room, margin(state.both.usage[group], state.both.limit[group]))


def _force(state: Charged, group: int, pages: int) -> Charged:
    both = None if state.both is None else force_charge(state.both, group, pages)
    return replace(state, memory=force_charge(state.memory, group, pages), both=both)


@verb("F060", source="mm/memcontrol.c:try_charge_memcg; read in 6.1")
def charge(
    kernel: Kernel, state: Charged, cpu: int, group: int, pages: int, ask: Ask, world: World
) -> Step[Charged, bool | Err]:
    """Charge pages to a group and all above it.

    Ensures   True, and the pages are charged; or ENOMEM, and no page of them is
    Refuses   ENOMEM when the limit holds although all was tried that may be
    Errors    Unmodelled before 5.9, whose loop lets dying tasks by and asks the killer once
    """
    if kernel.version < Version(5, 9):
        raise Unmodelled(f"a group's charge in kernel {kernel.version}: its loop is that of 5.9 and later")
    least, most = _figure(kernel, "memcg.batch", 1), _figure(kernel, "memcg.retries")
    batch = max(least, pages)
    retries, drained, after_kill, raised = most, False, False, False
    events: list[Event] = []
    while True:
        taken = consume(state, cpu, group, pages)
        if taken is not None:
            return Step(taken, True, tuple(events))
        state, failed, may_swap = _count(state, group, batch)
        if failed == NOBODY:
            if batch > pages:
                state = refill(state, cpu, group, batch - pages, least)
            return Step(state, True, tuple(events))
        if batch > pages:
            batch = pages
            continue
        if ask.reclaims:
            break
        if not ask.blocking:
            return _end(state, group, pages, ask, failed, raised, events)
        events.append(GroupEvent(Kind.MAX, failed))
        raised = True
        state, reclaimed = world.reclaim(state, failed, pages, may_swap)
        if _room(state, failed) >= pages:
            continue
        if not drained:
            state, drained = drain_below(state, failed), True
            continue
        if not ask.retry:
            return _end(state, group, pages, ask, failed, raised, events)
        if reclaimed and pages <= COSTLY:
            continue
        if retries:
            retries -= 1
            continue
        if ask.may_fail or (after_kill and ask.dying):
            return _end(state, group, pages, ask, failed, raised, events)
        killed = False
        if pages <= COSTLY:
            events.append(GroupEvent(Kind.OOM, failed))
            state, killed = world.kill(state, failed)
        if not killed:
            return _end(state, group, pages, ask, failed, raised, events)
        after_kill, retries = True, most
    return _end(state, group, pages, ask._replace(nofail=True), failed, raised, events)


def _end(
    state: Charged, group: int, pages: int, ask: Ask, failed: int, raised: bool, events: list[Event]
) -> Step[Charged, bool | Err]:
    if not ask.nofail:
        return Step(state, Err(Errno.ENOMEM), tuple(events))
    if not raised:
        events.append(GroupEvent(Kind.MAX, failed))
    return Step(_force(state, group, pages), True, tuple(events))


def _figure(kernel: Kernel, rule: str, *arguments: int) -> int:
    value = kernel.behaviour(rule).function(*arguments)
    assert isinstance(value, int)
    return value
