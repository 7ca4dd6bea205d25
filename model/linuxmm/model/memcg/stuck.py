"""What a charge does that reclaim did not help: kill and fail, kill and try again, wait for the fault's end.

Linux: mm/memcontrol.c:mem_cgroup_handle_oom, mem_cgroup_oom, mem_cgroup_oom_synchronize.  Seed 2.9 (F060).
"""

from dataclasses import replace
from enum import Enum
from typing import Final

from linuxmm.model.memcg.charged import Ask, Charged, GroupEvent, Kind, World
from linuxmm.model.memcg.counter import NOBODY
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.memcg.charging import COSTLY
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Step

_FEATURES: Final = ("F060",)


class Verdict(Enum):
    """How a charge goes on."""

    AGAIN = "with new rounds"
    FAILS = "not at all"
    PASSES = "past the limit"


@behaviour(
    "memcg.stuck",
    since="2.6.25",
    until="2.6.33",
    features=_FEATURES,
    source="mm/memcontrol.c:__mem_cgroup_try_charge; read in 2.6.28 to 2.6.32, 2.6.33 unconfirmed",
)
def kill_and_fail(state: Charged, group: int, pages: int, ask: Ask, world: World) -> Step[Charged, Verdict]:
    """Ask the killer once; the charge fails whatever that brings."""
    if ask.killer:
        state, _ = world.kill(state, group)
    return Step(state, Verdict.FAILS)


@behaviour(
    "memcg.stuck",
    since="2.6.34",
    until="3.11",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_handle_oom; read in 2.6.34 to 3.10, 3.11 unconfirmed",
)
def kill_or_wait(state: Charged, group: int, pages: int, ask: Ask, world: World) -> Step[Charged, Verdict]:
    """Kill, or wait for who does, and try again with new rounds; a task that dies passes the limit.

    Requires  somebody is found: else the kernel asks again and again
    """
    if not ask.killer:
        return Step(state, Verdict.FAILS)
    state, found = world.kill(state, group)
    if ask.killed or ask.signalled or world.dies:
        return Step(state, Verdict.PASSES)
    if not found:
        raise ValueError(f"nobody in group {group} can be killed: a charge of this kernel asks for ever")
    return Step(state, Verdict.AGAIN)


def _note(state: Charged, group: int, ask: Ask) -> Charged:
    return replace(state, noted=group) if ask.killer and ask.user_fault else state


@behaviour(
    "memcg.stuck",
    since="3.12",
    until="3.19",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_oom; read in 3.12 to 3.19",
)
def note_it(state: Charged, group: int, pages: int, ask: Ask, world: World) -> Step[Charged, Verdict]:
    """Fail; a fault of user space asks the killer at its end, when it holds no locks. Others never do."""
    if ask.nofail or ask.signalled:
        return Step(state, Verdict.PASSES)
    return Step(_note(state, group, ask), Verdict.FAILS)


@behaviour(
    "memcg.stuck",
    since="4.0",
    until="4.16",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_oom; read in 4.0 to 4.15, 4.16 unconfirmed",
)
def note_and_tell(state: Charged, group: int, pages: int, ask: Ask, world: World) -> Step[Charged, Verdict]:
    """Likewise, and the group counts it."""
    noted = note_it(state, group, pages, ask, world)
    return replace(noted, events=_told(noted.result, group))


@behaviour(
    "memcg.stuck",
    since="4.17",
    until="4.18",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_oom; read in 4.17 and 4.18",
)
def note_if_not_costly(
    state: Charged, group: int, pages: int, ask: Ask, world: World
) -> Step[Charged, Verdict]:
    """Likewise, but for a charge of more than eight pages nobody is killed."""
    return note_and_tell(state, group, pages, ask._replace(killer=ask.killer and pages <= COSTLY), world)


def _told(verdict: Verdict, group: int) -> tuple[GroupEvent, ...]:
    return () if verdict is Verdict.PASSES else (GroupEvent(Kind.OOM, group),)


def _kill(state: Charged, group: int, pages: int, ask: Ask, world: World) -> tuple[Charged, bool | None]:
    """Whether the killer was successful; None where it was not asked."""
    if pages > COSTLY:
        return state, None
    if group in world.disabled:
        return _note(state, group, ask), None
    return world.kill(state, group)


@behaviour(
    "memcg.stuck",
    since="4.19",
    until="4.19",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge, mem_cgroup_oom; read in 4.19",
)
def kill_again(state: Charged, group: int, pages: int, ask: Ask, world: World) -> Step[Charged, Verdict]:
    """Kill and try again; where nobody is left to be killed the charge passes the limit."""
    if ask.nofail or ask.signalled:
        return Step(state, Verdict.PASSES)
    after, killed = _kill(state, group, pages, ask, world)
    verdicts = {True: Verdict.AGAIN, False: Verdict.PASSES, None: Verdict.FAILS}
    return Step(after, verdicts[killed], (GroupEvent(Kind.OOM, group),))


@behaviour(
    "memcg.stuck",
    since="4.20",
    until="5.15",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge, mem_cgroup_oom; read in 4.20 to 5.11",
    replaced_in=("5.15.16",),
)
def kill_again_if_not_costly(
    state: Charged, group: int, pages: int, ask: Ask, world: World
) -> Step[Charged, Verdict]:
    """Likewise; a charge of more than eight pages does not count as running out of memory."""
    done = kill_again(state, group, pages, ask, world)
    return replace(done, events=()) if pages > COSTLY else done


@behaviour(
    "memcg.stuck",
    since="5.16",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge_memcg, mem_cgroup_oom; read in 5.15.16, 5.17 to 6.12",
    backports=("5.15.16",),
)
def kill_or_fail(state: Charged, group: int, pages: int, ask: Ask, world: World) -> Step[Charged, Verdict]:
    """Kill and try again; where nobody is left to be killed the charge fails, dying tasks' too."""
    after, killed = _kill(state, group, pages, ask, world)
    events = (GroupEvent(Kind.OOM, group),) if pages <= COSTLY else ()
    return Step(after, Verdict.AGAIN if killed else Verdict.FAILS, events)


@behaviour(
    "memcg.may-fail",
    since="2.6.25",
    until="4.18",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge; read in 2.6.28 to 4.18, __GFP_RETRY_MAYFAIL means nothing to it",
)
def may_fail_ignored(ask: Ask, after_kill: bool) -> bool:
    """Whether a charge that is stuck fails before the killer is asked: no."""
    return False


@behaviour(
    "memcg.may-fail",
    since="4.19",
    until="5.2",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge, oomed; read in 4.19 to 5.2",
)
def may_fail_after_kill(ask: Ask, after_kill: bool) -> bool:
    """One that may fail does once somebody was killed for it."""
    return ask.may_fail and after_kill


@behaviour(
    "memcg.may-fail",
    since="5.3",
    until="5.15",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge; read in 5.3 to 5.11",
    replaced_in=("5.15.16",),
)
def may_fail_at_once(ask: Ask, after_kill: bool) -> bool:
    """One that may fail does."""
    return ask.may_fail


@behaviour(
    "memcg.may-fail",
    since="5.16",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge_memcg; read in 5.15.16, 5.17 to 6.12",
    backports=("5.15.16",),
)
def may_fail_or_dies(ask: Ask, after_kill: bool) -> bool:
    """One that may fail does, and one for which somebody was killed if its task dies."""
    return ask.may_fail or (after_kill and ask.dying)


@verb("F060", source="mm/memcontrol.c:mem_cgroup_oom_synchronize; 3.12 to 6.12, read in 3.12 to 6.1")
def end_fault(state: Charged, handle: bool, world: World) -> Step[Charged, bool]:
    """A fault of user space is over: what it noted is seen to now.

    handle    it failed for want of memory; else what was noted is forgotten
    Ensures   nothing is noted; the result says whether something was, and the fault is to be tried again
    """
    group = state.noted
    if group == NOBODY:
        return Step(state, False)
    if handle:
        state, _ = world.kill(state, group)
    return Step(replace(state, noted=NOBODY), True)
