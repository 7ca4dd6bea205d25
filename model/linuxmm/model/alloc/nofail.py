"""How a request ends without a block, and who may not: __GFP_NOFAIL, victims of the OOM killer.

Linux: mm/page_alloc.c:__alloc_pages_slowpath (nopage), __alloc_pages_may_oom.  Seed 2.1.1.1, 2.1.1.3 (F014,
F017).  2.4 to 6.12.
"""

from linuxmm.model.alloc.dialogue import Asks, Failed, Path, Progress, Reason, Reschedule, Run, Stage
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.slowpath import attempt, woken
from linuxmm.spec.alloc.gfp import (
    ALLOC_CPUSET,
    ALLOC_MIN_RESERVE,
    ALLOC_NO_WATERMARKS,
    ALLOC_OOM,
    GFP_DIRECT_RECLAIM_BIT,
    GFP_NOFAIL_BIT,
    GFP_NOMEMALLOC_BIT,
    GFP_RETRY_MAYFAIL_BIT,
)
from linuxmm.spec.alloc.retry import oom_may_kill
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.step import Event, Step
from linuxmm.spec.vocabulary import PAGE_ALLOC_COSTLY_ORDER


def _wait(machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    return Step(machine, Asks(Reschedule(), p._replace(stage=Stage.RESCHEDULE)), events)


def _insists(p: Progress) -> bool:
    return p.request.gfp & GFP_NOFAIL_BIT != 0 and p.request.gfp & GFP_DIRECT_RECLAIM_BIT != 0


# ---- refusing ----------------------------------------------------------------------------------------------


@behaviour(
    "alloc.refuse",
    since="2.4.0",
    until="4.10",
    features=("F014", "F017"),
    source="mm/page_alloc.c:__alloc_pages_slowpath; 4.4, 4.9, 4.10; before 3.19 a reclaimer "
    "waits within __alloc_pages_high_priority",
)
def refuse_but_reclaimers(
    path: Path, machine: Machine, p: Progress, events: tuple[Event, ...], why: Reason
) -> Run:
    """Refuse; but a reclaimer with __GFP_NOFAIL, which cannot reclaim, lets others run and tries again."""
    if why is Reason.RECLAIMER and _insists(p):
        return _wait(machine, p, events)
    return Step(machine, Failed(why), events)


@behaviour(
    "alloc.refuse",
    since="4.11",
    features=("F014", "F017"),
    source="mm/page_alloc.c:__alloc_pages_slowpath; 4.11, 4.12, 4.14, 6.1, 6.12",
)
def refuse_unless_nofail(
    path: Path, machine: Machine, p: Progress, events: tuple[Event, ...], why: Reason
) -> Run:
    """Refuse; but a __GFP_NOFAIL request that may reclaim tries with part of the reserve, then again."""
    if not _insists(p):
        return Step(machine, Failed(why), events)
    for flags in (ALLOC_MIN_RESERVE | ALLOC_CPUSET, ALLOC_MIN_RESERVE):
        machine, got = attempt(path, machine, p, flags)
        if got is not None:
            return woken(path, machine, p.request, got, events)
    return _wait(machine, p, events)


# ---- killing -----------------------------------------------------------------------------------------------


@behaviour(
    "alloc.oom-kills",
    since="2.4.0",
    until="2.6.23",
    features=("F017",),
    source="mm/page_alloc.c:__alloc_pages; 2.6.11, 2.6.18, 2.6.22",
)
def kills_for_any(order: int, gfp: int, class_index: int, dumping_core: bool) -> bool:
    """Whether a task may be killed for a request: for any."""
    return True


@behaviour(
    "alloc.oom-kills",
    since="2.6.24",
    until="2.6.35",
    features=("F017",),
    source="mm/page_alloc.c:__alloc_pages, __alloc_pages_may_oom; 2.6.24, 2.6.28, 2.6.31 to 2.6.35",
)
def kills_for_small(order: int, gfp: int, class_index: int, dumping_core: bool) -> bool:
    """Whether a task may be killed for a request: not for a costly order, unless with __GFP_NOFAIL."""
    return order <= PAGE_ALLOC_COSTLY_ORDER or gfp & GFP_NOFAIL_BIT != 0


@behaviour(
    "alloc.oom-kills",
    since="2.6.36",
    until="3.18",
    features=("F017",),
    source="mm/page_alloc.c:__alloc_pages_may_oom; 2.6.36 to 2.6.39, 3.5, 3.10",
)
def kills_for_small_and_high(order: int, gfp: int, class_index: int, dumping_core: bool) -> bool:
    """As before; nor for memory below NORMAL."""
    return (order <= PAGE_ALLOC_COSTLY_ORDER and class_index >= 2) or gfp & GFP_NOFAIL_BIT != 0


@behaviour(
    "alloc.oom-kills",
    since="3.19",
    until="4.10",
    features=("F017",),
    source="mm/page_alloc.c:__alloc_pages_may_oom; 3.19 to 4.10",
)
def kills_for_nofail(order: int, gfp: int, class_index: int, dumping_core: bool) -> bool:
    """Whether a task may be killed for a request: with __GFP_NOFAIL always, else if that helps."""
    if gfp & GFP_NOFAIL_BIT:
        return True
    return kills_for_cheap(order, gfp, class_index, dumping_core)


@behaviour(
    "alloc.oom-kills",
    since="4.11",
    until="4.12",
    features=("F017",),
    source="mm/page_alloc.c:__alloc_pages_may_oom; 4.11, 4.12",
)
def kills_for_cheap(order: int, gfp: int, class_index: int, dumping_core: bool) -> bool:
    """Whether a task may be killed for a request: if it is cheap and a kill would help it."""
    return oom_may_kill(order, gfp & ~GFP_RETRY_MAYFAIL_BIT, class_index, dumping_core)


@behaviour(
    "alloc.oom-kills",
    since="4.13",
    features=("F017",),
    source="mm/page_alloc.c:__alloc_pages_may_oom; 4.13 to 6.12",
)
def kills_for_cheap_and_stubborn(order: int, gfp: int, class_index: int, dumping_core: bool) -> bool:
    """As before; not for __GFP_RETRY_MAYFAIL."""
    return oom_may_kill(order, gfp, class_index, dumping_core)


# ---- victims -----------------------------------------------------------------------------------------------


@behaviour(
    "alloc.victim-early",
    since="2.4.0",
    until="4.10",
    features=("F017",),
    source="mm/page_alloc.c:__alloc_pages_slowpath; 2.6.31 to 4.10",
)
def victim_stops_before_reclaim(p: Progress) -> bool:
    """Whether a victim is refused before it reclaims: without __GFP_NOFAIL."""
    return p.task.oom_victim and p.request.gfp & GFP_NOFAIL_BIT == 0


@behaviour(
    "alloc.victim-early",
    since="4.11",
    features=("F017",),
    source="mm/page_alloc.c:__alloc_pages_slowpath; 4.11 to 6.12",
)
def victim_reclaims(p: Progress) -> bool:
    """Whether a victim is refused before it reclaims: never."""
    return False


@behaviour(
    "alloc.victim-killed",
    since="2.4.0",
    until="4.10",
    features=("F017",),
    source="mm/page_alloc.c:__alloc_pages_slowpath; 2.6.31 to 4.10",
)
def victim_begins_again(p: Progress) -> bool:
    """Whether a victim is refused after a kill: the next round sees to it."""
    return False


@behaviour(
    "alloc.victim-killed",
    since="4.11",
    until="4.11",
    features=("F017",),
    source="mm/page_alloc.c:__alloc_pages_slowpath; 4.11.0",
)
def victim_stops_at_once(p: Progress) -> bool:
    """Whether a victim is refused after a kill: always, though it has not tried its reserve."""
    return p.task.oom_victim


@behaviour(
    "alloc.victim-killed",
    since="4.12",
    until="4.13",
    features=("F017",),
    source="mm/page_alloc.c:__alloc_pages_slowpath; 4.12, 4.13",
)
def victim_stops_after_all(p: Progress) -> bool:
    """Whether a victim is refused after a kill: once it tried without watermarks, or must not."""
    return p.task.oom_victim and (
        p.flags & ALLOC_NO_WATERMARKS != 0 or p.request.gfp & GFP_NOMEMALLOC_BIT != 0
    )


@behaviour(
    "alloc.victim-killed",
    since="4.14",
    features=("F017",),
    source="mm/page_alloc.c:__alloc_pages_slowpath; 4.14 to 6.12",
)
def victim_stops_after_kill(p: Progress) -> bool:
    """As before; what a victim tried is half the mark."""
    return p.task.oom_victim and (p.flags & ALLOC_OOM != 0 or p.request.gfp & GFP_NOMEMALLOC_BIT != 0)
