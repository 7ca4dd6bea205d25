"""What is written to a group's files: limits of both versions, memory.reclaim, force_empty, the peak.

Linux: mm/memcontrol.c:memory_max_write, memory_high_write, memory_reclaim, mem_cgroup_resize_limit,
mem_cgroup_force_empty.  Seed 2.9 (F060).
"""

from dataclasses import replace
from typing import Final

from linuxmm.model.memcg.charged import Charged, GroupEvent, Kind, World, drain_below
from linuxmm.model.memcg.counter import exchange_max, set_max
from linuxmm.spec.kernel import Kernel, behaviour
from linuxmm.spec.memcg.counter import PAGE_COUNTER_MAX
from linuxmm.spec.memcg.protection import SWAP_CLUSTER_MAX
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Err, Errno, Event, Step

_FEATURES: Final = ("F060",)
Written = Step[Charged, bool | Err]


def _retries(kernel: Kernel) -> int:
    tries = kernel.behaviour("memcg.retries").function()
    assert isinstance(tries, int)
    return tries


# ---- memory.max --------------------------------------------------------------------------------------------


@verb("F060", source="mm/memcontrol.c:memory_max_write")
def write_max(kernel: Kernel, state: Charged, group: int, limit: int, world: World) -> Written:
    """Version 2: set memory.max of a group.

    Ensures   True: usage is within it; False: it is not, and the write was good all the same
    Refuses   until 4.5 EBUSY where reclaim brings nothing more, EINTR for a signal
    """
    done = kernel.behaviour("memcg.write-max").function(kernel, state, group, limit, world)
    assert isinstance(done, Step)
    return done


@behaviour(
    "memcg.write-max",
    since="4.0",
    until="4.5",
    features=_FEATURES,
    source="mm/memcontrol.c:memory_max_write; read in 4.0 to 4.5",
    replaced_in=("4.4.155",),
)
def max_if_it_fits(kernel: Kernel, state: Charged, group: int, limit: int, world: World) -> Written:
    """Reclaim until it fits, and then set it."""
    return resize_by_usage(kernel, state, group, limit, False, world)


@behaviour(
    "memcg.write-max",
    since="4.6",
    features=_FEATURES,
    source="mm/memcontrol.c:memory_max_write; read in 4.6 to 6.12",
    backports=("4.4.155",),
)
def max_in_any_case(kernel: Kernel, state: Charged, group: int, limit: int, world: World) -> Written:
    """It holds at once; then what exceeds it is reclaimed, then tasks are killed."""
    state = replace(state, memory=exchange_max(state.memory, group, limit))
    tries = _retries(kernel)
    events: list[Event] = []
    drained = False
    while state.memory.usage[group] > limit and not world.signal(state):
        if not drained:
            state, drained = drain_below(state, group), True
        elif tries:
            state, freed = world.reclaim(state, group, state.memory.usage[group] - limit, True)
            tries -= freed == 0
        else:
            events.append(GroupEvent(Kind.OOM, group))
            state, killed = world.kill(state, group)
            if not killed:
                break
    return Step(state, state.memory.usage[group] <= limit, tuple(events))


# ---- memory.high -------------------------------------------------------------------------------------------


@verb("F060", source="mm/memcontrol.c:memory_high_write")
def write_high(kernel: Kernel, state: Charged, group: int, high: int, world: World) -> Written:
    """Version 2: set memory.high of a group; nobody is killed, and it is never refused.

    Ensures   the result says whether usage is within it
    """
    after = kernel.behaviour("memcg.write-high").function(kernel, state, group, high, world)
    assert isinstance(after, Charged)
    return Step(after, after.memory.usage[group] <= high)


def _with_high(state: Charged, group: int, high: int) -> Charged:
    values = state.high or (PAGE_COUNTER_MAX,) * len(state.memory.usage)
    return replace(state, high=(*values[:group], high, *values[group + 1 :]))


@behaviour(
    "memcg.write-high",
    since="4.0",
    until="4.5",
    features=_FEATURES,
    source="mm/memcontrol.c:memory_high_write; read in 4.0 to 4.5",
    replaced_in=("4.4.155",),
)
def high_only_set(kernel: Kernel, state: Charged, group: int, high: int, world: World) -> Charged:
    """Set it."""
    return _with_high(state, group, high)


@behaviour(
    "memcg.write-high",
    since="4.6",
    until="5.4",
    features=_FEATURES,
    source="mm/memcontrol.c:memory_high_write; read in 4.6 to 5.4",
    backports=("4.4.155",),
)
def high_reclaimed_once(kernel: Kernel, state: Charged, group: int, high: int, world: World) -> Charged:
    """Set it, and reclaim once what exceeds it."""
    state = _with_high(state, group, high)
    excess = state.memory.usage[group] - high
    return world.reclaim(state, group, excess, True)[0] if excess > 0 else state


@behaviour(
    "memcg.write-high",
    since="5.5",
    features=_FEATURES,
    source="mm/memcontrol.c:memory_high_write; read in 5.6 to 6.12, 5.5 unconfirmed; 5.9 to "
    "5.11 set it after the reclaim",
)
def high_reclaimed_until(kernel: Kernel, state: Charged, group: int, high: int, world: World) -> Charged:
    """Set it, and reclaim until usage is within it, or rounds or patience are at an end."""
    state = _with_high(state, group, high)
    tries, drained = _retries(kernel), False
    while state.memory.usage[group] > high and not world.signal(state):
        if not drained:
            state, drained = drain_below(state, group), True
            continue
        state, freed = world.reclaim(state, group, state.memory.usage[group] - high, True)
        if not freed:
            if not tries:
                break
            tries -= 1
    return state


# ---- limits of version 1 -----------------------------------------------------------------------------------


@verb("F060", source="mm/memcontrol.c:mem_cgroup_resize_limit, mem_cgroup_resize_max")
def resize(kernel: Kernel, state: Charged, group: int, limit: int, both: bool, world: World) -> Written:
    """Version 1: set a limit of memory, or of memory and swap together.

    Refuses   EINVAL where memory's limit would exceed that of both; EBUSY where reclaim brings nothing more;
              EINTR for a signal
    """
    done = kernel.behaviour("memcg.resize").function(kernel, state, group, limit, both, world)
    assert isinstance(done, Step)
    return done


def _disagree(state: Charged, group: int, limit: int, both: bool) -> bool:
    if state.both is None:
        return False
    return limit < state.memory.limit[group] if both else limit > state.both.limit[group]


def _set_limit(state: Charged, group: int, limit: int, both: bool) -> Charged | None:
    counters = state.both if both else state.memory
    assert counters is not None
    after = set_max(counters, group, limit)
    if after is None:
        return None
    return replace(state, both=after) if both else replace(state, memory=after)


def _settled(state: Charged, group: int, limit: int, both: bool, world: World) -> Written | None:
    """What ends a round before it reclaims: a signal, limits that disagree, or a limit that fits usage."""
    if world.signal(state):
        return Step(state, Err(Errno.EINTR))
    if _disagree(state, group, limit, both):
        return Step(state, Err(Errno.EINVAL))
    after = _set_limit(state, group, limit, both)
    return None if after is None else Step(after, True)


@behaviour(
    "memcg.resize",
    since="2.6.25",
    until="2.6.28",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_resize_limit; read in 2.6.28, earlier unconfirmed",
)
def resize_by_progress(
    kernel: Kernel, state: Charged, group: int, limit: int, both: bool, world: World
) -> Written:
    """Five rounds of reclaim may be in vain."""
    tries = _retries(kernel)
    while True:
        after = _set_limit(state, group, limit, both)
        if after is not None:
            return Step(after, True)
        if world.signal(state):
            return Step(state, Err(Errno.EINTR))
        if not tries:
            return Step(state, Err(Errno.EBUSY))
        state, freed = world.reclaim(state, group, 1, True)
        tries -= freed == 0


@behaviour(
    "memcg.resize",
    since="2.6.29",
    until="2.6.29",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_resize_limit; read in 2.6.29",
)
def resize_by_progress_checked(
    kernel: Kernel, state: Charged, group: int, limit: int, both: bool, world: World
) -> Written:
    """Likewise; signals and the limit of memory with swap are looked at first in each round."""
    tries = _retries(kernel)
    while tries:
        done = _settled(state, group, limit, both, world)
        if done is not None:
            return done
        state, freed = world.reclaim(state, group, 1, not both)
        tries -= freed == 0
    return Step(state, Err(Errno.EBUSY))


@behaviour(
    "memcg.resize",
    since="2.6.30",
    until="4.16",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_resize_limit; read in 2.6.31 to 4.15, 2.6.30 and 4.16 unconfirmed",
)
def resize_by_usage(
    kernel: Kernel, state: Charged, group: int, limit: int, both: bool, world: World
) -> Written:
    """Five rounds for each group below, itself included, may leave usage where it was."""
    tries = _retries(kernel) * len(_below(state, group))
    before = _used(state, group, both)
    while tries:
        done = _settled(state, group, limit, both, world)
        if done is not None:
            return done
        state, _ = world.reclaim(state, group, 1, not both)
        now = _used(state, group, both)
        tries, before = (tries - 1, before) if now >= before else (tries, now)
    return Step(state, Err(Errno.EBUSY))


def _used(state: Charged, group: int, both: bool) -> int:
    counters = state.both if both else state.memory
    assert counters is not None
    return counters.usage[group]


def _below(state: Charged, group: int) -> list[int]:
    found = [group]
    for at in found:
        found.extend(child for child, above in enumerate(state.memory.parent) if above == at)
    return found


@behaviour(
    "memcg.resize",
    since="4.17",
    until="4.17",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_resize_limit; read in 4.17",
)
def resize_while_it_helps(
    kernel: Kernel, state: Charged, group: int, limit: int, both: bool, world: World
) -> Written:
    """Reclaim as long as it brings anything."""
    return _resize_while(state, group, limit, both, world, True)


@behaviour(
    "memcg.resize",
    since="4.18",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_resize_max; read in 4.18 to 6.12",
)
def resize_after_drain(
    kernel: Kernel, state: Charged, group: int, limit: int, both: bool, world: World
) -> Written:
    """Likewise; the CPUs' stocks are drained first."""
    return _resize_while(state, group, limit, both, world, False)


def _resize_while(state: Charged, group: int, limit: int, both: bool, world: World, drained: bool) -> Written:
    while True:
        done = _settled(state, group, limit, both, world)
        if done is not None:
            return done
        if not drained:
            state, drained = drain_below(state, group), True
            continue
        state, freed = world.reclaim(state, group, 1, not both)
        if not freed:
            return Step(state, Err(Errno.EBUSY))


# ---- memory.reclaim ----------------------------------------------------------------------------------------


@verb("F060", source="mm/memcontrol.c:memory_reclaim; 5.19 to 6.12")
def reclaim(kernel: Kernel, state: Charged, group: int, pages: int, world: World) -> Written:
    """Version 2: reclaim so many pages of a group.

    Ensures   True: at least so many were reclaimed
    Refuses   EAGAIN where rounds brought nothing, EINTR for a signal; what was reclaimed stays so
    Errors    Unmodelled before 5.19, which has no such file
    """
    batch = kernel.behaviour("memcg.reclaim-batch").function
    tries, done = _retries(kernel), 0
    while done < pages:
        if world.signal(state):
            return Step(state, Err(Errno.EINTR))
        ask = batch(pages - done)
        assert isinstance(ask, int)
        state, freed = world.reclaim(state, group, ask, True)
        if not freed:
            if not tries:
                return Step(state, Err(Errno.EAGAIN))
            tries -= 1
        done += freed
    return Step(state, True)


@behaviour(
    "memcg.reclaim-batch",
    since="5.19",
    until="6.5",
    features=_FEATURES,
    source="mm/memcontrol.c:memory_reclaim; read in 5.19 to 6.5",
)
def batch_all(wanted: int) -> int:
    """Pages that one round of a request to memory.reclaim asks for: all that are missing."""
    return wanted


@behaviour(
    "memcg.reclaim-batch",
    since="6.6",
    until="6.8",
    features=_FEATURES,
    source="mm/memcontrol.c:memory_reclaim; read in 6.6.80 and 6.8, 6.7 unconfirmed",
)
def batch_cluster(wanted: int) -> int:
    """32 at most."""
    return min(wanted, SWAP_CLUSTER_MAX)


@behaviour(
    "memcg.reclaim-batch",
    since="6.9",
    features=_FEATURES,
    source="mm/memcontrol.c:memory_reclaim; read in 6.10 and 6.12, 6.9 unconfirmed",
)
def batch_quarter(wanted: int) -> int:
    """A quarter of what is missing; reclaim rounds it up to a cluster."""
    return wanted // 4


# ---- memory.force_empty ------------------------------------------------------------------------------------


@verb("F060", source="mm/memcontrol.c:mem_cgroup_force_empty")
def force_empty(kernel: Kernel, state: Charged, group: int, busy: bool, world: World) -> Written:
    """Version 1: reclaim all that a group uses.

    busy      it has tasks or, since 2.6.29, children
    Ensures   the result says whether it is empty
    Refuses   EBUSY while it is busy (until 3.15); EINTR for a signal; EINVAL for the root (since 3.7)
    """
    done = kernel.behaviour("memcg.force-empty").function(kernel, state, group, busy, world)
    assert isinstance(done, Step)
    return done


def _emptied(kernel: Kernel, state: Charged, group: int, world: World) -> Written:
    tries = _retries(kernel)
    while tries and state.memory.usage[group]:
        if world.signal(state):
            return Step(state, Err(Errno.EINTR))
        state, freed = world.reclaim(state, group, 1, True)
        tries -= freed == 0
    return Step(state, state.memory.usage[group] == 0)


def _to_parent(state: Charged, group: int) -> Charged:
    """What is left goes to the group above; at the top it is counted no longer."""
    left = state.memory.usage[group]

    def moved(usage: tuple[int, ...]) -> tuple[int, ...]:
        return (*usage[:group], usage[group] - left, *usage[group + 1 :])

    both = None if state.both is None else replace(state.both, usage=moved(state.both.usage))
    return replace(state, memory=replace(state.memory, usage=moved(state.memory.usage)), both=both)


@behaviour(
    "memcg.force-empty",
    since="2.6.29",
    until="3.6",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_force_empty; read in 2.6.29 to 3.6",
)
def empty_idle_group(kernel: Kernel, state: Charged, group: int, busy: bool, world: World) -> Written:
    """Only a group without tasks and children; what reclaim leaves goes to the parent."""
    if busy:
        return Step(state, Err(Errno.EBUSY))
    done = _emptied(kernel, state, group, world)
    return (
        done
        if isinstance(done.result, Err)
        else Step(_to_parent(drain_below(done.state, group), group), True)
    )


@behaviour(
    "memcg.force-empty",
    since="3.7",
    until="3.15",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_force_empty_write; read in 3.8 to 3.14, 3.7, 3.15 unconfirmed",
)
def empty_idle_group_not_root(
    kernel: Kernel, state: Charged, group: int, busy: bool, world: World
) -> Written:
    """Likewise, but never the root."""
    if state.memory.parent[group] < 0:
        return Step(state, Err(Errno.EINVAL))
    return empty_idle_group(kernel, state, group, busy, world)


@behaviour(
    "memcg.force-empty",
    since="3.16",
    until="4.17",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_force_empty; read in 3.16 to 4.17",
)
def empty_any_group(kernel: Kernel, state: Charged, group: int, busy: bool, world: World) -> Written:
    """Any group but the root; what reclaim leaves stays, and the write is good all the same."""
    if state.memory.parent[group] < 0:
        return Step(state, Err(Errno.EINVAL))
    return _emptied(kernel, state, group, world)


@behaviour(
    "memcg.force-empty",
    since="4.18",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_force_empty; read in 4.18 to 6.6",
)
def empty_stocks_too(kernel: Kernel, state: Charged, group: int, busy: bool, world: World) -> Written:
    """Likewise; the CPUs' stocks are drained first."""
    return empty_any_group(kernel, drain_below(state, group), group, busy, world)
