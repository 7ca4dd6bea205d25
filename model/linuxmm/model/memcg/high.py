"""memory.high after a charge: reclaim at once, or debts that a task pays when it returns, with work or sleep.

Linux: mm/memcontrol.c:try_charge, mem_cgroup_handle_over_high, reclaim_high.  Seed 2.9 (F060).  Since 4.0.
"""

from typing import Final

from linuxmm.model.memcg.charged import Ask, Charged, GroupEvent, Kind, World
from linuxmm.model.memcg.counter import NOBODY, path
from linuxmm.spec.kernel import Kernel, behaviour
from linuxmm.spec.memcg.charging import AT_ONCE, OWED
from linuxmm.spec.memcg.protection import SWAP_CLUSTER_MAX
from linuxmm.spec.memcg.throttle import overage, sleeps
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Event, Step

_FEATURES: Final = ("F060",)


def _over(usage: int, limits: tuple[int, ...], group: int) -> bool:
    return group < len(limits) and usage > limits[group]


def _memory_over(state: Charged, group: int) -> bool:
    return _over(state.memory.usage[group], state.high, group)


def _swap_over(state: Charged, group: int) -> bool:
    return state.swap is not None and _over(state.swap.usage[group], state.swap_high, group)


@verb("F060", source="mm/memcontrol.c:reclaim_high; 4.0 to 6.12")
def reclaim_high(
    state: Charged, group: int, pages: int, world: World
) -> tuple[Charged, int, tuple[Event, ...]]:
    """Reclaim pages once of each group, up to the root, that exceeds its high; how many that brought."""
    events: list[Event] = []
    brought = 0
    for at in path(state.memory, group):
        if _memory_over(state, at):
            events.append(GroupEvent(Kind.HIGH, at))
            state, freed = world.reclaim(state, at, pages, True)
            brought += freed
    return state, brought, tuple(events)


@verb("F060", source="mm/memcontrol.c:try_charge, try_charge_memcg; 4.0 to 6.12")
def after_charge(
    kernel: Kernel, state: Charged, group: int, pages: int, owed: int, ask: Ask, world: World, hz: int
) -> Step[Charged, tuple[int, int]]:
    """What a charge that went to the counters does for groups above their high.

    pages     it was of; what went to the stock is owed too
    owed      pages that the task owes from before
    Ensures   (pages owed now, ticks slept)
    """
    batch, asked = _figure(kernel, "memcg.batch", 1), _figure(kernel, "memcg.batch", pages)
    above = path(state.memory, group)
    if not any(_memory_over(state, at) or _swap_over(state, at) for at in above):
        return Step(state, (owed, 0))
    how = kernel.behaviour("memcg.over-high").function(owed + asked, ask.blocking, ask.reclaims, batch)
    if kernel.behaviour("memcg.pay").function is pay_nothing:
        if how == AT_ONCE:
            state, _, events = reclaim_high(state, group, pages, world)
            return Step(state, (owed, 0), events)
        return Step(state, (owed, 0))
    if how == OWED:
        return Step(state, (owed + asked, 0))
    paid = pay(kernel, state, group, owed + asked, ask, world, hz)
    return Step(paid.state, (0, paid.result), paid.events)


@verb("F060", source="mm/memcontrol.c:mem_cgroup_handle_over_high; 4.4 to 6.12")
def pay(
    kernel: Kernel, state: Charged, group: int, owed: int, ask: Ask, world: World, hz: int
) -> Step[Charged, int]:
    """A task that owes pages returns to user space; the result is how many ticks it sleeps."""
    done = kernel.behaviour("memcg.pay").function(kernel, state, group, owed, ask, world, hz)
    assert isinstance(done, Step)
    return done


@behaviour(
    "memcg.pay",
    since="4.0",
    until="4.3",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge; read in 4.0 to 4.3: nothing is ever owed",
)
def pay_nothing(
    kernel: Kernel, state: Charged, group: int, owed: int, ask: Ask, world: World, hz: int
) -> Step[Charged, int]:
    """There are no debts."""
    return Step(state, 0)


@behaviour(
    "memcg.pay",
    since="4.4",
    until="5.3",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_handle_over_high; read in 4.4 to 5.3",
)
def pay_by_work(
    kernel: Kernel, state: Charged, group: int, owed: int, ask: Ask, world: World, hz: int
) -> Step[Charged, int]:
    """Reclaim what is owed, of each group above its high."""
    state, _, events = reclaim_high(state, group, owed, world) if owed else (state, 0, ())
    return Step(state, 0, events)


@behaviour(
    "memcg.pay",
    since="5.4",
    until="5.8",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_handle_over_high; read in 5.4, 5.7 and 5.8",
)
def pay_and_sleep(
    kernel: Kernel, state: Charged, group: int, owed: int, ask: Ask, world: World, hz: int
) -> Step[Charged, int]:
    """Reclaim, then sleep for what still exceeds high."""
    worked = pay_by_work(kernel, state, group, owed, ask, world, hz)
    penalty, events = _penalty(kernel, worked.state, group, owed, hz) if owed else (0, ())
    return Step(worked.state, penalty if sleeps(penalty, hz) else 0, worked.events + events)


@behaviour(
    "memcg.pay",
    since="5.9",
    until="6.7",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_handle_over_high; read in 5.9 to 6.6, 6.7 unconfirmed",
)
def pay_while_it_helps(
    kernel: Kernel, state: Charged, group: int, owed: int, ask: Ask, world: World, hz: int
) -> Step[Charged, int]:
    """Reclaim again while that brings anything, or for sixteen rounds in vain, before the sleep."""
    tries, pages = _figure(kernel, "memcg.retries"), owed
    events: tuple[Event, ...] = ()
    while owed:
        state, brought, more = reclaim_high(state, group, pages, world)
        penalty, told = _penalty(kernel, state, group, owed, hz)
        events += more + told
        if not sleeps(penalty, hz):
            break
        if not brought:
            if not tries:
                return Step(state, penalty, events)
            tries -= 1
        pages = SWAP_CLUSTER_MAX
    return Step(state, 0, events)


@behaviour(
    "memcg.pay",
    since="6.8",
    features=_FEATURES,
    source="mm/memcontrol.c:__mem_cgroup_handle_over_high; read in 6.8 to 6.12",
)
def pay_unless_dying(
    kernel: Kernel, state: Charged, group: int, owed: int, ask: Ask, world: World, hz: int
) -> Step[Charged, int]:
    """Likewise, but a task that dies owes nothing."""
    if ask.dying:
        return Step(state, 0)
    return pay_while_it_helps(kernel, state, group, owed, ask, world, hz)


@behaviour(
    "memcg.overage-of",
    since="5.4",
    until="5.6",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_handle_over_high; read in 5.4, 5.5 and 5.6 unconfirmed",
    replaced_in=("5.6.4",),
)
def overage_of_own(line: tuple[int, ...]) -> tuple[int, ...]:
    """Groups whose overage counts for the sleep: the task's own."""
    return line[:1]


@behaviour(
    "memcg.overage-of",
    since="5.7",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_find_max_overage, calculate_high_delay; read in 5.6.4 and 5.7 to 6.12; in "
    "5.6.4 the overage of a group below its high comes round, and its tasks sleep two seconds",
    backports=("5.6.4",),
)
def overage_of_line(line: tuple[int, ...]) -> tuple[int, ...]:
    """Its own, and those above but the root."""
    return line


def _penalty(kernel: Kernel, state: Charged, group: int, owed: int, hz: int) -> tuple[int, tuple[Event, ...]]:
    line = [at for at in path(state.memory, group) if state.memory.parent[at] != NOBODY]
    whose = kernel.behaviour("memcg.overage-of").function(tuple(line))
    assert isinstance(whose, tuple)
    memory = max((overage(state.memory.usage[at], state.high[at]) for at in whose if state.high), default=0)
    swap = 0
    events: tuple[Event, ...] = ()
    if state.swap is not None and state.swap_high:
        swap = max((overage(state.swap.usage[at], state.swap_high[at]) for at in whose), default=0)
        events = tuple(GroupEvent(Kind.SWAP_HIGH, at) for at in whose if _swap_over(state, at))
    penalty = kernel.behaviour("memcg.penalty").function
    ticks = penalty(memory, swap, owed, hz, _figure(kernel, "memcg.batch", 1))
    assert isinstance(ticks, int)
    return ticks, events


def _figure(kernel: Kernel, rule: str, *arguments: int) -> int:
    value = kernel.behaviour(rule).function(*arguments)
    assert isinstance(value, int)
    return value
