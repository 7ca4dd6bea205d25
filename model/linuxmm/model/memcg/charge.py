"""A charge from the request to its end: the CPU's stock, batches, reclaim, retries, the OOM killer, force.

Three shapes of the loop: rounds without progress are counted by the charge (2.6.25 to 2.6.35), by what wraps
it (2.6.36 to 3.16), and by the charge again (since 3.17).  What a round does is a rule with its own eras.

Linux: mm/memcontrol.c:try_charge_memcg, try_charge, __mem_cgroup_try_charge.  Seed 2.9 (F060).
"""

from typing import Final

from linuxmm.model.memcg.charged import (
    Ask,
    Charged,
    GroupEvent,
    Kind,
    World,
    consume,
    count,
    drain_below,
    force,
    refill,
    room,
)
from linuxmm.model.memcg.counter import NOBODY
from linuxmm.model.memcg.stuck import Verdict
from linuxmm.spec.kernel import Kernel, behaviour
from linuxmm.spec.memcg.charging import COSTLY
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Err, Errno, Event, Step

_FEATURES: Final = ("F060",)
Result = Step[Charged, bool | Err]


@verb("F060", source="mm/memcontrol.c:try_charge_memcg")
def charge(
    kernel: Kernel, state: Charged, cpu: int, group: int, pages: int, ask: Ask, world: World
) -> Result:
    """Charge pages to a group and all above it.

    Ensures   True, and the pages are charged; False, and they pass uncounted (until 4.3); or ENOMEM
    Refuses   ENOMEM when the limit holds although all was tried that may be
    Requires  until 2.6.37 one page
    """
    done = kernel.behaviour("memcg.charge").function(kernel, state, cpu, group, pages, ask, world)
    assert isinstance(done, Step)
    return done


@behaviour(
    "memcg.charge",
    since="2.6.25",
    until="2.6.35",
    features=_FEATURES,
    source="mm/memcontrol.c:__mem_cgroup_try_charge; read in 2.6.28 to 2.6.35, earlier unconfirmed",
)
def charge_in_rounds(
    kernel: Kernel, state: Charged, cpu: int, group: int, pages: int, ask: Ask, world: World
) -> Result:
    """Six rounds without progress lead to the killer; who may pass is asked first."""
    if _exempt(kernel, ask):
        return _pass(kernel, state, group, pages, ())
    least, most = _figure(kernel, "memcg.batch", 1), _figure(kernel, "memcg.retries")
    batch, rounds = least, most
    while True:
        taken = consume(state, cpu, group, pages)
        if taken is not None:
            return Step(taken, True)
        state, failed, may_swap = count(kernel, state, group, batch)
        if failed == NOBODY:
            return Step(_restock(state, cpu, group, batch - pages, least), True)
        if batch > pages:
            batch = pages
            continue
        if not ask.blocking:
            return Step(state, Err(Errno.ENOMEM))
        state, reclaimed = world.reclaim(state, failed, pages, may_swap)
        if kernel.behaviour("memcg.again").function(reclaimed, room(state, failed), pages):
            continue
        state, waited = world.moving(state, failed)
        if waited:
            continue
        if rounds:
            rounds -= 1
            continue
        state, verdict, _ = _stuck(kernel, state, failed, pages, ask, world)
        if verdict is not Verdict.AGAIN:
            return _end(kernel, state, group, pages, verdict, ())
        rounds = most


@behaviour(
    "memcg.charge",
    since="2.6.36",
    until="3.11",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_do_charge; read in 2.6.36 to 3.10, 3.11 unconfirmed",
)
def charge_counted_outside(
    kernel: Kernel, state: Charged, cpu: int, group: int, pages: int, ask: Ask, world: World
) -> Result:
    """Five rounds without progress, and the sixth asks the killer; without one the first failure is the last.

    Requires  ask.retry, or no killer (3.8 to 3.11): else its rounds never end
    """
    if ask.killer and not ask.retry and _no_retry(kernel):
        raise ValueError("a charge with __GFP_NORETRY that may ask the killer never ends in this kernel")
    return _charge_outside(kernel, state, cpu, group, pages, ask, world)


@behaviour(
    "memcg.charge",
    since="3.12",
    until="3.12",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_do_charge, __mem_cgroup_try_charge; read in 3.12",
)
def charge_noted_passes(
    kernel: Kernel, state: Charged, cpu: int, group: int, pages: int, ask: Ask, world: World
) -> Result:
    """Likewise, but a fault that has noted want of memory passes the limit, and so does what may not fail."""
    if state.noted != NOBODY:
        return _pass(kernel, state, group, pages, ())
    done = _charge_outside(kernel, state, cpu, group, pages, ask._replace(nofail=False), world)
    if ask.nofail and isinstance(done.result, Err):
        return _pass(kernel, done.state, group, pages, ())
    return done


@behaviour(
    "memcg.charge",
    since="3.13",
    until="3.16",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_do_charge, __mem_cgroup_try_charge; read in 3.13 to 3.16",
)
def charge_noted(
    kernel: Kernel, state: Charged, cpu: int, group: int, pages: int, ask: Ask, world: World
) -> Result:
    """A fault that has noted want of memory fails at once, and what may not fail passes without a killer."""
    if not _exempt(kernel, ask) and state.noted != NOBODY:
        done: Result = Step(state, Err(Errno.ENOMEM))
    else:
        asking = ask._replace(killer=ask.killer and not ask.nofail)
        done = _charge_outside(kernel, state, cpu, group, pages, asking, world)
    if ask.nofail and isinstance(done.result, Err):
        return _pass(kernel, done.state, group, pages, ())
    return done


def _charge_outside(
    kernel: Kernel, state: Charged, cpu: int, group: int, pages: int, ask: Ask, world: World
) -> Result:
    least, most = _figure(kernel, "memcg.batch", 1), _figure(kernel, "memcg.retries")
    batch, rounds, fresh = max(least, pages), most, True
    if _exempt(kernel, ask):
        return _pass(kernel, state, group, pages, ())
    while True:
        serves = fresh and kernel.behaviour("memcg.stock-serves").function(pages)
        taken = consume(state, cpu, group, pages) if serves else None
        if taken is not None:
            return Step(taken, True)
        check = ask.killer and rounds == 0
        state, failed, may_swap = count(kernel, state, group, batch)
        if failed == NOBODY:
            return Step(_restock(state, cpu, group, batch - pages, least), True)
        if batch > pages:
            batch, fresh = pages, True
            continue
        if not ask.blocking:
            return Step(state, Err(Errno.ENOMEM))
        if ask.retry or not _no_retry(kernel):
            state, reclaimed = world.reclaim(state, failed, pages, may_swap)
            if kernel.behaviour("memcg.again").function(reclaimed, room(state, failed), pages):
                fresh = True
                continue
            state, waited = world.moving(state, failed)
            if waited:
                fresh = True
                continue
            if check:
                state, verdict, _ = _stuck(kernel, state, failed, pages, ask, world)
                if verdict is not Verdict.AGAIN:
                    return _end(kernel, state, group, pages, verdict, ())
                rounds, fresh = most, True
                continue
        if not ask.killer or check:
            return Step(state, Err(Errno.ENOMEM))
        rounds, fresh = rounds - 1, False


@behaviour(
    "memcg.no-retry",
    since="2.6.25",
    until="3.7",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_do_charge; read in 2.6.28 to 3.6, 3.7 unconfirmed",
)
def no_retry_ignored() -> bool:
    """Whether __GFP_NORETRY means something to a charge: no."""
    return False


@behaviour(
    "memcg.no-retry",
    since="3.8",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_do_charge, try_charge; read in 3.8 to 6.12",
)
def no_retry_honoured() -> bool:
    """Until 3.16 nothing is reclaimed for it; since 3.17 it gives up where one round brought no room."""
    return True


def _no_retry(kernel: Kernel) -> bool:
    return bool(kernel.behaviour("memcg.no-retry").function())


@behaviour(
    "memcg.charge",
    since="3.17",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge, try_charge_memcg; read in 3.17 to 6.12",
)
def charge_at_once(
    kernel: Kernel, state: Charged, cpu: int, group: int, pages: int, ask: Ask, world: World
) -> Result:
    """Who may pass is asked when the limit refuses; stocks are drained once before anything is given up."""
    least, most = _figure(kernel, "memcg.batch", 1), _figure(kernel, "memcg.retries")
    batch, rounds, drained, after_kill = max(least, pages), most, False, False
    events: tuple[Event, ...] = ()
    while True:
        taken = consume(state, cpu, group, pages)
        if taken is not None:
            return Step(taken, True, events)
        state, failed, may_swap = count(kernel, state, group, batch)
        if failed == NOBODY:
            return Step(_restock(state, cpu, group, batch - pages, least), True, events)
        if batch > pages:
            batch = pages
            continue
        if _exempt(kernel, ask):
            return _past(kernel, state, group, pages, failed, events)
        if state.noted != NOBODY or not ask.blocking:
            return _fail(kernel, state, group, pages, ask, failed, events)
        events += _told(kernel, failed)
        state, reclaimed = world.reclaim(state, failed, pages, may_swap)
        if room(state, failed) >= pages:
            continue
        if not drained and kernel.behaviour("memcg.drains").function():
            state, drained = drain_below(state, failed), True
            continue
        if not ask.retry:
            return _fail(kernel, state, group, pages, ask, failed, events)
        if reclaimed and pages <= COSTLY:
            continue
        state, waited = world.moving(state, failed)
        if waited:
            continue
        if rounds:
            rounds -= 1
            continue
        if kernel.behaviour("memcg.may-fail").function(ask, after_kill):
            return _fail(kernel, state, group, pages, ask, failed, events)
        state, verdict, more = _stuck(kernel, state, failed, pages, ask, world)
        events += more
        if verdict is Verdict.PASSES:
            return _past(kernel, state, group, pages, failed, events)
        if verdict is Verdict.FAILS:
            return _fail(kernel, state, group, pages, ask, failed, events)
        after_kill, rounds = True, most


@behaviour(
    "memcg.drains",
    since="3.17",
    until="3.17",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge; read in 3.17, where reclaim drains",
)
def drains_in_reclaim() -> bool:
    """Whether a charge drains the CPUs' stocks before it gives up: no."""
    return False


@behaviour(
    "memcg.drains",
    since="3.18",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge; read in 3.18 to 6.12",
)
def drains_once() -> bool:
    """Once, after a round of reclaim that brought no room."""
    return True


# ---- how it ends -------------------------------------------------------------------------------------------


def _fail(
    kernel: Kernel,
    state: Charged,
    group: int,
    pages: int,
    ask: Ask,
    failed: int,
    events: tuple[Event, ...],
) -> Result:
    if kernel.behaviour("memcg.may-not-fail").function(ask.nofail, ask.high):
        return _past(kernel, state, group, pages, failed, events)
    return Step(state, Err(Errno.ENOMEM), events)


@behaviour(
    "memcg.may-not-fail",
    since="3.17",
    until="5.18",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge; read in 3.17 to 5.17, 5.18 unconfirmed",
)
def nofail_passes(nofail: bool, high: bool) -> bool:
    """Whether a charge passes the limit where it would fail: with __GFP_NOFAIL."""
    return nofail


@behaviour(
    "memcg.may-not-fail",
    since="5.19",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge_memcg; read in 5.19 to 6.12",
)
def nofail_and_high_pass(nofail: bool, high: bool) -> bool:
    """With __GFP_NOFAIL or __GFP_HIGH."""
    return nofail | high


def _past(
    kernel: Kernel, state: Charged, group: int, pages: int, failed: int, events: tuple[Event, ...]
) -> Result:
    told = any(isinstance(event, GroupEvent) and event.kind is Kind.MAX for event in events)
    if not told and kernel.behaviour("memcg.tells-force").function():
        events = (*events, GroupEvent(Kind.MAX, failed))
    return _pass(kernel, state, group, pages, events)


@behaviour(
    "memcg.tells-force",
    since="3.17",
    until="5.19",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge; read in 3.17 to 5.19",
)
def force_is_silent() -> bool:
    """Whether a charge that passes the limit unseen counts as having met it: no."""
    return False


@behaviour(
    "memcg.tells-force",
    since="6.0",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge_memcg, raised_max_event; read in 6.0 to 6.12",
)
def force_is_told() -> bool:
    """Yes."""
    return True


@behaviour(
    "memcg.tells-max",
    since="3.17",
    until="3.19",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge; read in 3.17 to 3.19",
)
def no_events(group: int) -> tuple[Event, ...]:
    """What a charge that meets a limit counts: nothing."""
    return ()


@behaviour(
    "memcg.tells-max",
    since="4.0",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge, MEMCG_MAX; read in 4.0 to 6.12",
)
def max_event(group: int) -> tuple[Event, ...]:
    """One more `max` for each round of reclaim."""
    return (GroupEvent(Kind.MAX, group),)


def _told(kernel: Kernel, failed: int) -> tuple[Event, ...]:
    events = kernel.behaviour("memcg.tells-max").function(failed)
    assert isinstance(events, tuple)
    return events


def _pass(kernel: Kernel, state: Charged, group: int, pages: int, events: tuple[Event, ...]) -> Result:
    if kernel.behaviour("memcg.pass").function():
        return Step(force(state, group, pages), True, events)
    return Step(state, False, events)


def _end(
    kernel: Kernel, state: Charged, group: int, pages: int, verdict: Verdict, events: tuple[Event, ...]
) -> Result:
    if verdict is Verdict.PASSES:
        return _pass(kernel, state, group, pages, events)
    return Step(state, Err(Errno.ENOMEM), events)


def _stuck(
    kernel: Kernel, state: Charged, failed: int, pages: int, ask: Ask, world: World
) -> tuple[Charged, Verdict, tuple[Event, ...]]:
    done = kernel.behaviour("memcg.stuck").function(state, failed, pages, ask, world)
    assert isinstance(done, Step)
    return done.state, done.result, done.events


def _restock(state: Charged, cpu: int, group: int, pages: int, batch: int) -> Charged:
    return refill(state, cpu, group, pages, batch) if pages else state


def _exempt(kernel: Kernel, ask: Ask) -> bool:
    who = kernel.behaviour("memcg.exempt").function
    return bool(who(ask.killed, ask.signalled, ask.exiting, ask.reclaims, ask.atomic))


def _figure(kernel: Kernel, rule: str, *arguments: int) -> int:
    value = kernel.behaviour(rule).function(*arguments)
    assert isinstance(value, int)
    return value
