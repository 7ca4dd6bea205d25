"""Theorems about the slow path as a machine of states: from any of them, with any answer, one step.

What the zones hold is left open: whether an attempt finds a block, whether a zone is permitted, whether the
reserve has something to give.  A request that goes on is a run of such steps.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, NamedTuple

from linuxmm.model.alloc import slowpath, unreserve
from linuxmm.model.alloc.dialogue import (
    Allocated,
    Asks,
    DirectReclaim,
    Failed,
    OomKill,
    Path,
    Progress,
    Reason,
    Run,
    Stage,
    Task,
)
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.nofail import (
    refuse_but_reclaimers,
    refuse_unless_nofail,
    victim_begins_again,
    victim_reclaims,
    victim_stops_after_kill,
    victim_stops_before_reclaim,
)
from linuxmm.model.alloc.rules import Rules
from linuxmm.model.alloc.slowpath import (
    _after_oom,
    _decide,
    _retry_limited,
    enter_by_progress,
    enter_limited,
    resume_by_progress,
    resume_limited,
)
from linuxmm.proofs.alloc.ghost import PRIMITIVES, Total, rules_of
from linuxmm.proofs.domain import MapOf, Table, Truth, Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.sym import as_state
from linuxmm.proofs.theorem import assume, implies, no, theorem
from linuxmm.spec.alloc import retry
from linuxmm.spec.alloc.gfp import (
    GFP_DIRECT_RECLAIM_BIT,
    GFP_NOFAIL_BIT,
    GFP_NOMEMALLOC_BIT,
    GFP_NORETRY_BIT,
)
from linuxmm.spec.alloc.request import Request, reserve_flags_memdie, reserve_flags_oom
from linuxmm.spec.alloc.retry import MAX_RECLAIM_RETRIES, Compaction, reclaim_gives_up, reclaim_loops
from linuxmm.spec.kernel import Kernel, Version
from linuxmm.spec.step import Step
from linuxmm.spec.vocabulary import PAGE_ALLOC_COSTLY_ORDER


@dataclass(frozen=True, slots=True)
class World:
    """Stands for a machine.

    finds    n -> does the n-th attempt find a block
    zones    is a zone permitted
    reserve  has the high-order atomic reserve something to give back
    enough   would the request succeed if everything reclaimable were free
    again    does compaction seem worth another round;  kill: may somebody be killed
    tried    attempts so far
    """

    finds: Total
    zones: bool
    reserve: bool
    enough: bool
    again: bool
    kill: bool
    tried: int = 0


@dataclass(frozen=True, slots=True)
class Release:
    """Stands for a kernel, of which only the version is asked."""

    version: Version


def attempt(path: Path, machine: Machine, p: Progress, flags: int) -> tuple[Machine, Allocated | None]:
    world = as_state(machine, World)
    after = as_state(replace(world, tried=world.tried + 1), Machine)
    return after, Allocated(0, 0) if world.finds[world.tried] else None


def after_reclaim(path: Path, machine: Machine, p: Progress) -> tuple[Machine, Allocated | None]:
    return attempt(path, machine, p, p.flags) if p.last else (machine, None)


def eligible(machine: Machine, request: Request) -> list[int]:
    return [0] if as_state(machine, World).zones else []


def wake(machine: Machine, p: Progress) -> tuple[()]:
    return ()


def woken(path: Path, machine: Machine, request: Request, got: Allocated, events: tuple[Any, ...]) -> Run:
    return Step(machine, got, events)


def unreserve_highatomic(
    kernel: Kernel, rules: Rules, machine: Machine, request: Request, force: bool
) -> tuple[Machine, bool]:
    return machine, as_state(machine, World).reserve


def compact_again(
    order: int, result: int, suitable: bool, priority: int, retries: int
) -> tuple[bool, int, int]:
    """Stands for the rule of 4.8 to 6.12: any answer, which the progress carries as `suitable`."""
    return suitable, priority, retries


def may_kill(order: int, gfp: int, class_index: int, dumping_core: bool) -> bool:
    """Stands for the rule since 4.11: any answer, which the task carries as `dumping_core`."""
    return dumping_core


def may_kill_for_nofail(order: int, gfp: int, class_index: int, dumping_core: bool) -> bool:
    """Stands for the rule up to 4.10."""
    return dumping_core or gfp & GFP_NOFAIL_BIT != 0


def would_do(path: Path, machine: Machine, p: Progress) -> bool:
    return as_state(machine, World).enough


ANY_ZONES: Final[dict[Callable[..., Any], Callable[..., Any]]] = {
    **PRIMITIVES,
    slowpath.attempt: attempt,
    slowpath.after_reclaim: after_reclaim,
    slowpath.eligible: eligible,
    slowpath.wake: wake,
    slowpath.woken: woken,
    slowpath._would_do: would_do,
    retry.compact_again: compact_again,
    unreserve.unreserve_highatomic: unreserve_highatomic,
}


class Era(NamedTuple):
    """Which slow path, and where a request stands: before its first question, or with an answer to one.

    limited  since 4.7;  insists: since 4.11, where __GFP_NOFAIL outweighs everything
    """

    limited: bool
    insists: bool
    stage: Stage | None
    result: Compaction = Compaction.SKIPPED


ANY_RESULT: Final = (Compaction.SKIPPED, Compaction.DEFERRED, Compaction.SUCCESS)
"""All that the slow path tells apart, but for whether to compact again, which is left open."""
_ANSWERED: Final = (Stage.RECLAIM, Stage.OOM, Stage.RESCHEDULE)
LIMITED: Final = tuple(
    Era(True, insists, stage, result)
    for insists in (False, True)
    for stage, result in (
        *((stage, Compaction.SKIPPED) for stage in (None, *_ANSWERED)),
        *((Stage.FIRST_COMPACTION, result) for result in ANY_RESULT),
        *((Stage.COMPACTION, result) for result in (Compaction.SKIPPED, Compaction.SUCCESS)),
    )
)
BY_PROGRESS: Final = tuple(
    [Era(False, False, stage) for stage in (None, *_ANSWERED)]
    + [
        Era(False, False, stage, result)
        for stage in (Stage.FIRST_COMPACTION, Stage.LAST_COMPACTION)
        for result in (Compaction.SKIPPED, Compaction.SUCCESS)
    ]
)

AnyWhere = Annotated[Era, each((*LIMITED, *BY_PROGRESS))]
Limited = Annotated[
    Era, each(era for era in LIMITED if era.stage in (Stage.RECLAIM, Stage.COMPACTION, Stage.OOM))
]

Finds = Annotated[Total, MapOf((Word(8),), Truth())]
Flag = Annotated[bool, Truth()]
Gfp = Annotated[int, Word(32)]
Flags = Annotated[int, Word(16)]
Order = Annotated[int, Word(16, below=11)]
Count = Annotated[int, Word(16, below=1 << 15)]
ANY_STATE: Final = (
    "every GFP word, order, task, flags and count of rounds (below 2**15), any result of "
    "compaction and killing, the slow paths of 3.19 to 4.6 and since 4.7, any contents of the zones"
)

NO_WORLD: Final[Mapping[str, object]] = {
    "finds": Table(False),
    "zones": True,
    "reserve": False,
    "enough": False,
    "again": False,
    "kill": False,
    "gfp": 0x400,
    "order": 0,
    "flags": 0,
    "memalloc": False,
    "victim": False,
    "loops": 0,
    "last": 0,
    "era": Era(True, True, Stage.RECLAIM),
}
"""A witness: a request that may reclaim, and nothing to be had."""


def step(
    era: Era,
    world: World,
    gfp: int,
    order: int,
    flags: int,
    memalloc: bool,
    victim: bool,
    loops: int,
    last: int,
) -> Run:
    """One step from where the request stands."""
    rules = rules_of(4, 9)._replace(
        slowpath_flags=lambda gfp, order, realtime, cma: flags,
        reserve_flags=reserve_flags_oom if era.limited else reserve_flags_memdie,
    )
    both = (enter_limited, resume_limited) if era.limited else (enter_by_progress, resume_by_progress)
    path = Path(
        as_state(Release(Version(4, 4)), Kernel),
        rules,
        *both,
        refuse_unless_nofail if era.insists else refuse_but_reclaimers,
        may_kill if era.insists else may_kill_for_nofail,
        victim_reclaims if era.insists else victim_stops_before_reclaim,
        victim_stops_after_kill if era.insists else victim_begins_again,
    )
    asked = Request(order, gfp, 0, 2, 0, 0, -1, 0)
    at = Progress(
        asked,
        Task(memalloc, victim, dumping_core=world.kill),
        era.stage or Stage.RECLAIM,
        flags,
        loops,
        result=era.result,
        suitable=world.again,
        reclaimed=last,
        last=last,
    )
    go = both[1] if era.stage else both[0]
    return go(path, as_state(world, Machine), at, ())


def reachable(era: Era, gfp: int, memalloc: bool) -> bool:
    """What holds of every request that waits for an answer: the theorem below shows that it is kept."""
    if era.stage is None:
        return True
    may: bool = gfp & GFP_DIRECT_RECLAIM_BIT != 0
    kills = era.stage is Stage.OOM
    return (
        may
        & implies(memalloc, reclaimer_asks(gfp, era, era.stage))
        & implies(only_once(gfp), no(kills))
        & implies(era.stage is Stage.LAST_COMPACTION, may_end(gfp))
    )


def may_end(gfp: int) -> bool:
    """Whether compaction may be the last thing tried: not if __GFP_NOFAIL comes without __GFP_NORETRY."""
    return gfp & (GFP_NORETRY_BIT | GFP_NOFAIL_BIT) != GFP_NOFAIL_BIT


def reclaimer_asks(gfp: int, era: Era, stage: Stage) -> bool:
    """Whether a reclaimer may have asked: to wait, with __GFP_NOFAIL; or, since 4.7, for compaction at first
    where it is kept from the reserves."""
    if stage is Stage.RESCHEDULE:
        return gfp & GFP_NOFAIL_BIT != 0
    return era.limited and stage is Stage.FIRST_COMPACTION and gfp & GFP_NOMEMALLOC_BIT != 0


def only_once(gfp: int) -> bool:
    """Whether a request says __GFP_NORETRY and may fail."""
    return gfp & (GFP_NORETRY_BIT | GFP_NOFAIL_BIT) == GFP_NORETRY_BIT


RANK: Final = {
    Stage.FIRST_COMPACTION: 1,
    Stage.RECLAIM: 2,
    Stage.COMPACTION: 3,
    Stage.LAST_COMPACTION: 4,
    Stage.OOM: 0,
    Stage.RESCHEDULE: 0,
}


@theorem(
    "alloc.slowpath.step",
    "Nobody asks anything without __GFP_DIRECT_RECLAIM.  A reclaimer (PF_MEMALLOC) never enters direct "
    "reclaim again.  A __GFP_NOFAIL request that may reclaim is refused only where no zone is permitted at "
    "all, or, up to 4.10, at a costly order or with __GFP_NORETRY.  A __GFP_NORETRY request without it never "
    "loops: each of its questions comes later than the one before, none is about killing, so at most four "
    "are asked.",
    proves=(
        enter_limited,
        resume_limited,
        enter_by_progress,
        resume_by_progress,
        refuse_but_reclaimers,
        refuse_unless_nofail,
        _retry_limited,
        _decide,
        _after_oom,
    ),
    clauses=("alloc.request.atomic-never-waits", "alloc.request.no-recursion", "alloc.request.nofail"),
    features=("F014", "F017"),
    method="inductive",
    bounds=ANY_STATE,
    primitives=ANY_ZONES,
    witness=NO_WORLD,
    mutants=(
        Mutant(_retry_limited, "lets reclaimers reclaim", "if p.task.memalloc:", "if False:"),
        Mutant(enter_by_progress, "lets reclaimers reclaim", "if p.task.memalloc:", "if False:"),
        Mutant(
            _retry_limited, "lets everybody reclaim", "if not r.gfp & GFP_DIRECT_RECLAIM_BIT:", "if False:"
        ),
        Mutant(
            enter_limited, "lets everybody compact", "if r.gfp & GFP_DIRECT_RECLAIM_BIT and wants", "if wants"
        ),
        Mutant(refuse_unless_nofail, "refuses whoever insists", "if not _insists(p):", "if True:"),
        Mutant(refuse_but_reclaimers, "refuses reclaimers", "if why is Reason.RECLAIMER and", "if False and"),
        Mutant(_decide, "retries whatever is said", "if r.gfp & GFP_NORETRY_BIT:", "if False:"),
        Mutant(resume_by_progress, "retries whatever is said", "if r.gfp & GFP_NORETRY_BIT:", "if False:"),
    ),
)
def any_step(
    finds: Finds, zones: Flag, reserve: Flag, enough: Flag, again: Flag, kill: Flag, gfp: Gfp, order: Order,
    flags: Flags, memalloc: Flag, victim: Flag, loops: Count, last: Count, era: AnyWhere,
) -> bool:  # fmt: skip
    assume(reachable(era, gfp, memalloc))
    if era.stage is Stage.OOM:
        assume(implies(gfp & GFP_NOFAIL_BIT != 0, last > 0))  # `resume` counts the answer so
    world = World(finds, zones, reserve, enough, again, kill)
    outcome = step(era, world, gfp, order, flags, memalloc, victim, loops, last).result
    may: bool = gfp & GFP_DIRECT_RECLAIM_BIT != 0
    if isinstance(outcome, Failed):
        gives_up = no(era.insists) & ((gfp & GFP_NORETRY_BIT != 0) | (order > PAGE_ALLOC_COSTLY_ORDER))
        return no(may & (gfp & GFP_NOFAIL_BIT != 0)) | (outcome.reason is Reason.NO_ZONE) | gives_up
    if not isinstance(outcome, Asks):
        return True
    stage = outcome.then.stage
    later = RANK[stage] > (RANK[era.stage] if era.stage else 0)
    reclaims = isinstance(outcome.question, DirectReclaim)
    return (
        may
        & implies(outcome.then.task.memalloc, reclaimer_asks(gfp, era, stage) & no(reclaims))
        & implies(stage is Stage.LAST_COMPACTION, may_end(gfp))
        & implies(only_once(gfp), later & no(isinstance(outcome.question, OomKill)))
    )


@theorem(
    "alloc.slowpath.rounds-end",
    "Without progress the rounds end: where reclaim frees nothing, nothing is killed and the reserve is "
    "empty, every round raises the count, and from 16 on there is none.",
    proves=(enter_limited, resume_limited, _decide, _after_oom, reclaim_loops, reclaim_gives_up),
    features=("F014", "F017"),
    method="inductive",
    bounds="every GFP word without __GFP_NOFAIL, order, task, flags and count of rounds, the slow path since "
    "4.7, any contents of the zones",
    primitives=ANY_ZONES,
    witness={name: value for name, value in NO_WORLD.items() if name not in ("reserve", "last")},
    mutants=(
        Mutant(reclaim_gives_up, "never gives up", "loops > MAX_RECLAIM_RETRIES", "loops < 0"),
        Mutant(reclaim_loops, "does not count", "loops + 1", "loops"),
        Mutant(_decide, "tries again without a reason", "if again:\n", "if True:\n"),
        Mutant(_after_oom, "goes on without a kill", "    if p.last:\n", "    if True:\n"),
    ),
)
def rounds_end(
    finds: Finds, zones: Flag, enough: Flag, again: Flag, kill: Flag, gfp: Gfp, order: Order,
    flags: Flags, memalloc: Flag, victim: Flag, loops: Count, era: Limited,
) -> bool:  # fmt: skip
    assume(reachable(era, gfp, memalloc) & (gfp & GFP_NOFAIL_BIT == 0))
    world = World(finds, zones, False, enough, again, kill)
    outcome = step(era, world, gfp, order, flags, memalloc, victim, loops, 0).result
    if not isinstance(outcome, Asks):
        return True
    if not isinstance(outcome.question, DirectReclaim):
        return outcome.then.loops >= loops
    return (outcome.then.loops == loops + 1) & (loops < MAX_RECLAIM_RETRIES)
