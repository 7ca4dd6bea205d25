"""A theorem about the slow path up to 3.18 as a machine of states: from any of them, with any answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, NamedTuple

from linuxmm.model.alloc.dialogue import (
    Asks,
    DirectReclaim,
    Failed,
    OomKill,
    Path,
    Progress,
    Reason,
    Stage,
    Task,
)
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.nofail import (
    kills_for_any,
    kills_for_small,
    kills_for_small_and_high,
    refuse_but_reclaimers,
    victim_begins_again,
    victim_stops_before_reclaim,
)
from linuxmm.model.alloc.slowpath_by_order import (
    _out_of_memory,
    _rebalance,
    _retries,
    enter_by_order,
    repeats_for_ever,
    repeats_until_reclaimed,
    resume_by_order,
)
from linuxmm.proofs.alloc.ghost import rules_of
from linuxmm.proofs.alloc.slowpath import (
    ANY_ZONES,
    NO_WORLD,
    Count,
    Finds,
    Flag,
    Flags,
    Gfp,
    Order,
    World,
    after_reclaim,
    only_once,
)
from linuxmm.proofs.domain import Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.sym import as_state
from linuxmm.proofs.theorem import assume, implies, no, theorem
from linuxmm.spec.alloc.gfp import GFP_DIRECT_RECLAIM_BIT, GFP_NOFAIL_BIT, GFP_NORETRY_BIT
from linuxmm.spec.alloc.request import Request, reserve_flags_memdie
from linuxmm.spec.alloc.retry import Compaction
from linuxmm.spec.kernel import Kernel, Version


class Rule(NamedTuple):
    """Stands for a composed behaviour."""

    function: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Release:
    """Stands for a kernel: its version, and what is asked of it."""

    version: Version

    def behaviour(self, rule: str) -> Rule:
        """What follows reclaim is left open, as every attempt is."""
        if rule == "alloc.after-reclaim":
            return Rule(after_reclaim)
        assert rule == "alloc.repeat"
        return Rule(repeats_for_ever if self.version < Version(2, 6, 26) else repeats_until_reclaimed)


class Era(NamedTuple):
    """A release, and where a request stands: before its first question, or with an answer to one."""

    release: Version
    stage: Stage | None
    result: Compaction = Compaction.SKIPPED


RELEASES: Final = (Version(2, 6, 18), Version(2, 6, 24), Version(2, 6, 32), Version(2, 6, 35), Version(3, 10))
"""Without compaction and with either kind of __GFP_REPEAT; with it, and with a last one at the end."""
ERAS: Final = tuple(
    Era(release, stage, result)
    for release in RELEASES
    for stage, result in (
        *((stage, Compaction.SKIPPED) for stage in (None, Stage.RECLAIM, Stage.OOM, Stage.RESCHEDULE)),
        *((Stage.FIRST_COMPACTION, result) for result in (Compaction.SKIPPED, Compaction.SUCCESS)),
        *((Stage.LAST_COMPACTION, result) for result in (Compaction.SKIPPED, Compaction.SUCCESS)),
    )
)


def may_kill(release: Version) -> Callable[[int, int, int, bool], bool]:
    """For which requests the release may kill a task."""
    if release < Version(2, 6, 24):
        return kills_for_any
    return kills_for_small if release < Version(2, 6, 36) else kills_for_small_and_high


RANK: Final = {
    Stage.FIRST_COMPACTION: 1,
    Stage.RECLAIM: 2,
    Stage.LAST_COMPACTION: 3,
    Stage.OOM: 0,
    Stage.RESCHEDULE: 0,
}


def reachable(era: Era, gfp: int, memalloc: bool) -> bool:
    """What holds of every request that waits for an answer: the theorem shows that it is kept."""
    if era.stage is None:
        return True
    waits = era.stage is Stage.RESCHEDULE
    return (
        (gfp & GFP_DIRECT_RECLAIM_BIT != 0)
        & implies(memalloc, waits & (gfp & GFP_NOFAIL_BIT != 0))
        & implies(only_once(gfp), no(waits | (era.stage is Stage.OOM)))
        & implies(era.stage is Stage.LAST_COMPACTION, may_end(gfp))
    )


def may_end(gfp: int) -> bool:
    """Whether a request may end without a block: not if __GFP_NOFAIL comes without __GFP_NORETRY."""
    return gfp & (GFP_NORETRY_BIT | GFP_NOFAIL_BIT) != GFP_NOFAIL_BIT


@theorem(
    "alloc.slowpath.by-order-step",
    "Up to 3.18: nobody asks anything without __GFP_DIRECT_RECLAIM, and a reclaimer (PF_MEMALLOC) never "
    "reclaims again.  A __GFP_NOFAIL request that may reclaim is refused only where no zone is permitted, or "
    "with __GFP_NORETRY.  A __GFP_NORETRY request without it asks at most three questions, each later than "
    "the one before, and none about killing.",
    proves=(
        enter_by_order,
        resume_by_order,
        _rebalance,
        _out_of_memory,
        _retries,
        kills_for_small,
        kills_for_small_and_high,
    ),
    clauses=("alloc.request.atomic-never-waits", "alloc.request.no-recursion", "alloc.request.nofail"),
    features=("F014", "F017"),
    method="inductive",
    bounds="every GFP word, order, zone class, task, flags and count of rounds (below 2**15), any result of "
    "compaction and killing, the rules of 2.6.18, 2.6.24, 2.6.32, 2.6.35 and 3.10, any contents of the zones",
    primitives=ANY_ZONES,
    witness={
        **{name: NO_WORLD[name] for name in ("finds", "zones", "gfp", "order", "flags", "memalloc")},
        "class_index": 2,
        "victim": False,
        "dumping": False,
        "loops": 0,
        "last": 0,
        "era": Era(Version(3, 10), Stage.RECLAIM),
    },
    mutants=(
        Mutant(_rebalance, "lets reclaimers reclaim", "if p.task.memalloc:", "if False:"),
        Mutant(_rebalance, "lets everybody reclaim", "if not r.gfp & GFP_DIRECT_RECLAIM_BIT:", "if False:"),
        Mutant(_retries, "retries whatever is said", "if r.gfp & GFP_NORETRY_BIT:", "if False:"),
        Mutant(_retries, "gives up with __GFP_NOFAIL", "r.gfp & GFP_NOFAIL_BIT or", "False or"),
        Mutant(
            resume_by_order,
            "kills whatever is said",
            "r.gfp & GFP_FS_BIT and not r.gfp & GFP_NORETRY_BIT",
            "r.gfp & GFP_FS_BIT",
        ),
        Mutant(kills_for_small, "gives up", " or gfp & GFP_NOFAIL_BIT != 0", ""),
        Mutant(kills_for_small_and_high, "gives up", " or gfp & GFP_NOFAIL_BIT != 0", ""),
        Mutant(_out_of_memory, "ends with a core dump", "and not r.gfp & GFP_NOFAIL_BIT", ""),
    ),
)
def any_step(
    finds: Finds, zones: Flag, gfp: Gfp, order: Order, class_index: Annotated[int, Word(8, below=4)],
    flags: Flags, memalloc: Flag, victim: Flag, dumping: Flag, loops: Count, last: Count,
    era: Annotated[Era, each(ERAS)],
) -> bool:  # fmt: skip
    assume(reachable(era, gfp, memalloc))
    path = Path(
        as_state(Release(era.release), Kernel),
        rules_of(4, 9)._replace(
            slowpath_flags=lambda gfp, order, realtime, cma: flags, reserve_flags=reserve_flags_memdie
        ),
        enter_by_order,
        resume_by_order,
        refuse_but_reclaimers,
        may_kill(era.release),
        victim_stops_before_reclaim,
        victim_begins_again,
    )
    at = Progress(
        Request(order, gfp, 0, class_index, 0, 0, -1, 0),
        Task(memalloc, victim, dumping_core=dumping),
        era.stage or Stage.RECLAIM,
        flags,
        loops,
        result=era.result,
        reclaimed=last,
        last=last,
    )
    go = resume_by_order if era.stage else enter_by_order
    world = as_state(World(finds, zones, False, False, False, False), Machine)
    outcome = go(path, world, at, ()).result
    may: bool = gfp & GFP_DIRECT_RECLAIM_BIT != 0
    if isinstance(outcome, Failed):
        insists = may & (gfp & GFP_NOFAIL_BIT != 0)
        return no(insists) | (outcome.reason is Reason.NO_ZONE) | (gfp & GFP_NORETRY_BIT != 0)
    if not isinstance(outcome, Asks):
        return True
    stage = outcome.then.stage
    later = RANK[stage] > (RANK[era.stage] if era.stage else 0)
    waits = (stage is Stage.RESCHEDULE) & (gfp & GFP_NOFAIL_BIT != 0)
    return (
        may
        & implies(outcome.then.task.memalloc, waits & no(isinstance(outcome.question, DirectReclaim)))
        & implies(stage is Stage.LAST_COMPACTION, may_end(gfp))
        & implies(only_once(gfp), later & no(isinstance(outcome.question, OomKill)))
    )
