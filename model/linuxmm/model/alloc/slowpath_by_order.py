"""The slow path while cheap orders were tried for ever, progress or not (2.6.0 to 3.18).

Only a request that may enter filesystems asks for a kill, when reclaim freed nothing; after the kill it
begins anew.  Others, such as GFP_NOFS, go on reclaiming.

Linux: mm/page_alloc.c:__alloc_pages, __alloc_pages_slowpath, should_alloc_retry.  Seed 2.1.1.1, 2.1.1.3
(F014, F017).  2.6.11 to 3.18.
"""

from linuxmm.model.alloc.dialogue import (
    Allocated,
    Asks,
    DirectCompaction,
    DirectReclaim,
    Failed,
    OomKill,
    Path,
    Progress,
    Reason,
    Run,
    Stage,
)
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.slowpath import (
    Continue,
    after_reclaim,
    attempt,
    drain_all_pages,
    eligible,
    wake,
    woken,
)
from linuxmm.spec.alloc.gfp import (
    ALLOC_CPUSET,
    GFP_DIRECT_RECLAIM_BIT,
    GFP_FS_BIT,
    GFP_NOFAIL_BIT,
    GFP_NORETRY_BIT,
    GFP_RETRY_MAYFAIL_BIT,
)
from linuxmm.spec.alloc.retry import ASYNC, SYNC_LIGHT, Compaction
from linuxmm.spec.kernel import Version, behaviour
from linuxmm.spec.step import Event, Step
from linuxmm.spec.vocabulary import PAGE_ALLOC_COSTLY_ORDER

# ---- rules -----------------------------------------------------------------------------------------------


@behaviour(
    "alloc.after-reclaim",
    since="2.4.0",
    until="2.6.23",
    features=("F014", "F024"),
    source="mm/page_alloc.c:__alloc_pages; 2.6.11, 2.6.18, 2.6.22",
)
def try_after_reclaim(path: Path, machine: Machine, p: Progress) -> tuple[Machine, Allocated | None]:
    """After progress the free lists are tried."""
    return attempt(path, machine, p, p.flags) if p.last else (machine, None)


@behaviour(
    "alloc.after-reclaim",
    since="2.6.24",
    until="2.6.35",
    features=("F014", "F024"),
    source="mm/page_alloc.c:__alloc_pages, __alloc_pages_direct_reclaim; 2.6.24, 2.6.28, 2.6.31, 2.6.35",
)
def drain_then_try(path: Path, machine: Machine, p: Progress) -> tuple[Machine, Allocated | None]:
    """For a high order every CPU's lists are emptied first, progress or not."""
    if p.request.order:
        machine = drain_all_pages(path.rules, machine)
    return try_after_reclaim(path, machine, p)


@behaviour(
    "alloc.after-reclaim",
    since="2.6.36",
    features=("F014", "F024"),
    source="mm/page_alloc.c:__alloc_pages_direct_reclaim; 2.6.36 to 6.12",
)
def try_then_drain(path: Path, machine: Machine, p: Progress) -> tuple[Machine, Allocated | None]:
    """Every CPU's lists are emptied if the free lists had nothing after progress."""
    return after_reclaim(path, machine, p)


@behaviour(
    "alloc.repeat",
    since="2.4.0",
    until="2.6.25",
    features=("F017",),
    source="mm/page_alloc.c:__alloc_pages; 2.6.11 to 2.6.25",
)
def repeats_for_ever(order: int, reclaimed: int) -> bool:
    """Whether __GFP_REPEAT asks for another round at a costly order: always."""
    return True


@behaviour(
    "alloc.repeat",
    since="2.6.26",
    features=("F017",),
    source="mm/page_alloc.c:__alloc_pages_internal, should_alloc_retry; 2.6.26 to 3.10",
)
def repeats_until_reclaimed(order: int, reclaimed: int) -> bool:
    """Whether __GFP_REPEAT asks for another round: until as many pages were reclaimed as it wants."""
    return reclaimed < 1 << order


# ---- the path --------------------------------------------------------------------------------------------


def _compacts(path: Path) -> bool:
    return path.kernel.version >= Version(2, 6, 35)


def enter_by_order(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    """Wake kswapd, try at the min mark, then without watermarks for who may; compact, reclaim.

    `loops` of the progress says whether the first compaction, an asynchronous one, was asked for.
    """
    r = p.request
    if not eligible(machine, r):
        return Step(machine, Failed(Reason.NO_ZONE), events)
    p = p._replace(flags=path.rules.slowpath_flags(r.gfp, r.order, p.task.realtime, path.rules.cma))
    events = (*events, *wake(machine, p))
    machine, got = attempt(path, machine, p, p.flags)
    if got is not None:
        return woken(path, machine, r, got, events)
    return _rebalance(path, machine, p, events)


def _rebalance(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    r = p.request
    reserve = path.rules.reserve_flags(r.gfp, p.task.memalloc, p.task.oom_victim)
    if reserve:
        machine, got = attempt(path, machine, p, p.flags | reserve)
        if got is not None:
            return woken(path, machine, r, got, events)
    if not r.gfp & GFP_DIRECT_RECLAIM_BIT:
        return path.refuse(path, machine, p, events, Reason.CANNOT_RECLAIM)
    if p.task.memalloc:
        return path.refuse(path, machine, p, events, Reason.RECLAIMER)
    if path.stops_early(p):
        return path.refuse(path, machine, p, events, Reason.VICTIM)
    if r.order and _compacts(path):
        then = p._replace(stage=Stage.FIRST_COMPACTION)
        return Step(machine, Asks(DirectCompaction(r.order, SYNC_LIGHT if p.loops else ASYNC), then), events)
    return Step(machine, Asks(DirectReclaim(r.order), p._replace(stage=Stage.RECLAIM)), events)


def resume_by_order(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    """Go on after any answer; a request that asked for a kill begins anew, whoever was killed."""
    r = p.request
    if p.stage is Stage.RESCHEDULE:
        return _rebalance(path, machine, p, events)
    if p.stage in (Stage.FIRST_COMPACTION, Stage.LAST_COMPACTION):
        if p.result is not Compaction.SKIPPED:
            machine, got = attempt(path, machine, p, p.flags)
            if got is not None:
                return woken(path, machine, r, got, events)
        if p.stage is Stage.LAST_COMPACTION:
            return path.refuse(path, machine, p, events, Reason.EXHAUSTED)
        then = p._replace(stage=Stage.RECLAIM, loops=1)
        return Step(machine, Asks(DirectReclaim(r.order), then), events)
    if p.stage is Stage.OOM:
        return enter_by_order(path, machine, p, events)
    tried = path.kernel.behaviour("alloc.after-reclaim").function(path, machine, p)
    assert isinstance(tried, tuple)
    machine, got = tried
    if got is not None:
        return woken(path, machine, r, got, events)
    if not p.last and r.gfp & GFP_FS_BIT and not r.gfp & GFP_NORETRY_BIT:
        return _out_of_memory(path, machine, p, events)
    if _retries(path, p):
        return _rebalance(path, machine, p, events)
    if r.order and path.kernel.version >= Version(2, 6, 38):
        then = p._replace(stage=Stage.LAST_COMPACTION)
        return Step(machine, Asks(DirectCompaction(r.order, SYNC_LIGHT), then), events)
    why = Reason.NO_RETRY if r.gfp & GFP_NORETRY_BIT else Reason.COSTLY
    return path.refuse(path, machine, p, events, why)


def _out_of_memory(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    """A last walk at the high mark; then a kill, unless it would not help."""
    r = p.request
    if p.task.dumping_core and not r.gfp & GFP_NOFAIL_BIT:
        return path.refuse(path, machine, p, events, Reason.EXHAUSTED)
    machine, got = attempt(path, machine, p, 2 | ALLOC_CPUSET)
    if got is not None:
        return woken(path, machine, r, got, events)
    if not path.may_kill(r.order, r.gfp, r.class_index, p.task.dumping_core):
        return path.refuse(path, machine, p, events, Reason.EXHAUSTED)
    return Step(machine, Asks(OomKill(), p._replace(stage=Stage.OOM)), events)


def _retries(path: Path, p: Progress) -> bool:
    """Whether another round follows.

    Source    mm/page_alloc.c:should_alloc_retry; 2.6.31 to 3.18 (part of __alloc_pages before)
    """
    r = p.request
    if r.gfp & GFP_NORETRY_BIT:
        return False
    if r.gfp & GFP_NOFAIL_BIT or r.order <= PAGE_ALLOC_COSTLY_ORDER:
        return True
    more = path.kernel.behaviour("alloc.repeat").function(r.order, p.reclaimed)
    return bool(more) and r.gfp & GFP_RETRY_MAYFAIL_BIT != 0


@behaviour(
    "alloc.slowpath",
    since="2.6.0",
    until="3.18",
    features=("F014", "F017"),
    source="mm/page_alloc.c:__alloc_pages_slowpath; 2.6.11, 2.6.24, 2.6.28 to 2.6.39, 3.5, 3.10, 3.18",
)
def slowpath_by_order() -> tuple[Continue, Continue]:
    """Rounds go on for cheap orders, whatever reclaim frees."""
    return enter_by_order, resume_by_order
