"""The whole life of a request: what is tried in which order, and what is asked of the rest of the kernel.

The allocator itself neither reclaims nor compacts nor kills.  `begin` runs a request until it is answered, is
refused, or needs one of these; the *question* then says what, and `resume` goes on with the answer and with
the machine as it is by then.  Nothing waits and nothing is drawn at random.

Linux: mm/page_alloc.c:__alloc_pages, __alloc_pages_slowpath.  Seed 2.1.1.1, 2.1.1.3 (F014, F017, F018, F024).
2.6.24 to 6.12; questions about compaction since 2.6.35.
"""

from collections.abc import Callable
from dataclasses import replace

from linuxmm.model.alloc.dialogue import (
    Allocated,
    Answer,
    Asks,
    Balanced,
    CleanInactive,
    Compacted,
    DirectCompaction,
    DirectReclaim,
    Entry,
    Failed,
    Killed,
    NodeReclaim,
    NodeReclaimed,
    OomKill,
    Path,
    Progress,
    Reason,
    Reclaimed,
    Rescheduled,
    Run,
    Stage,
    Task,
)
from linuxmm.model.alloc.events import WakeupKswapd
from linuxmm.model.alloc.freelist import NOTHING
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.node_reclaim import Waits, walk_by_tape
from linuxmm.model.alloc.pcp import drain_pages_zone
from linuxmm.model.alloc.request import alloc_fast, skips_zone
from linuxmm.model.alloc.rules import Rules
from linuxmm.model.alloc.unreserve import unreserve_highatomic
from linuxmm.spec.alloc.gfp import (
    ALLOC_CMA,
    ALLOC_CPUSET,
    ALLOC_GFP_ATOMIC,
    ALLOC_KSWAPD,
    ALLOC_NO_WATERMARKS,
    GFP_DIRECT_RECLAIM_BIT,
    GFP_KSWAPD_RECLAIM_BIT,
    GFP_NOFAIL_BIT,
    GFP_NORETRY_BIT,
    GFP_RETRY_MAYFAIL_BIT,
    GFP_THISNODE_BIT,
)
from linuxmm.spec.alloc.request import Request, is_movable
from linuxmm.spec.alloc.retry import (
    ASYNC,
    SYNC_LIGHT,
    Compaction,
    compact_again,
    progress_again,
    reclaim_gives_up,
    reclaim_loops,
)
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.kernel import Version, behaviour
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Event, Step
from linuxmm.spec.vocabulary import PAGE_ALLOC_COSTLY_ORDER

# ---- entry -----------------------------------------------------------------------------------------------


@verb("F014", "F017", source="mm/page_alloc.c:__alloc_pages; 2.4.0 to 6.12")
def begin(
    path: Path,
    machine: Machine,
    request: Request,
    task: Task,
    should_fail: bool = False,
    reclaim_nodes: int = 0,
) -> Run:
    """Run a request until it is answered, refused, or asks a question.

    should_fail    fault injection (fail_page_alloc) chose this request; __GFP_NOFAIL is spared
    reclaim_nodes  with vm.zone_reclaim_mode: bit n for each node near enough (all of them before 3.6)
    Ensures   a refusal without a question leaves free pages as they were
    """
    progress = Progress(request, task, Stage.RECLAIM, reclaim_nodes=reclaim_nodes)
    return _enter(path, Entry(machine, progress, None, should_fail))


@verb("F014", "F017", source="mm/page_alloc.c:__alloc_pages_slowpath; 2.4.0 to 6.12")
def resume(path: Path, machine: Machine, progress: Progress, answer: Answer) -> Run:
    """Go on with the answer to the question that `progress` waits for.

    machine  as it is after whatever was done to answer
    Errors   LinuxmmError when the answer is not of the kind that was asked for
    """
    wanted = {
        Stage.FIRST_COMPACTION: Compacted,
        Stage.RECLAIM: Reclaimed,
        Stage.COMPACTION: Compacted,
        Stage.LAST_COMPACTION: Compacted,
        Stage.OOM: Killed,
        Stage.CLASSZONE: Balanced,
        Stage.NODE_RECLAIM: NodeReclaimed,
        Stage.RESCHEDULE: Rescheduled,
        Stage.INACTIVE: CleanInactive,
    }[progress.stage]
    if not isinstance(answer, wanted):
        raise LinuxmmError(f"the request waits for {wanted.__name__}, not {type(answer).__name__}")
    if isinstance(answer, NodeReclaimed):
        assert progress.entry is not None
        entry = progress.entry
        return _enter(path, entry._replace(tape=(*entry.tape, (machine, answer))))
    return _enter(path, Entry(machine, progress, answer))


def _enter(path: Path, entry: Entry) -> Run:
    """Run an entry; with reclaim on nodes, up to the first question that its tape does not answer."""
    nodes = entry.progress.reclaim_nodes
    if not nodes:
        return _run(path, entry)
    walk = walk_by_tape(path.kernel, nodes, entry.tape)
    try:
        return _run(path._replace(rules=path.rules._replace(walk=walk)), entry)
    except Waits as waits:
        question = NodeReclaim(entry.progress.request.order, waits.zone)
        then = entry.progress._replace(stage=Stage.NODE_RECLAIM, entry=entry)
        return Step(waits.machine, Asks(question, then))


def _run(path: Path, entry: Entry) -> Run:
    progress, machine, answer = entry.progress, entry.machine, entry.answer
    if answer is None:
        return _first(path, machine, progress, entry.should_fail)
    if isinstance(answer, Reclaimed):
        progress = progress._replace(
            last=answer.pages,
            reclaimed=progress.reclaimed + answer.pages,
            reclaimable=answer.reclaimable,
        )
    elif isinstance(answer, Compacted):
        progress = progress._replace(result=answer.result, suitable=answer.suitable)
    elif isinstance(answer, Balanced):
        progress = progress._replace(last=answer.pages, kept=answer.kept)
    elif isinstance(answer, CleanInactive):
        task = progress.task._replace(oom_victim=answer.chosen)
        progress = progress._replace(clean=answer.pages, task=task)
    elif isinstance(answer, Killed):
        task = progress.task._replace(oom_victim=progress.task.oom_victim or answer.caller)
        needed = progress.request.gfp & GFP_NOFAIL_BIT != 0  # counts as progress, whoever was killed
        progress = progress._replace(last=int(answer.progress or needed), task=task)
    return path.go_on(path, machine, progress, ())


def _first(path: Path, machine: Machine, progress: Progress, should_fail: bool) -> Run:
    request = progress.request
    if request.order > path.rules.max_order:
        return Step(machine, Failed(Reason.TOO_LARGE))
    if should_fail and not request.gfp & GFP_NOFAIL_BIT:
        return Step(machine, Failed(Reason.INJECTED))
    machine, pfn, zone = alloc_fast(path.rules, machine, request)
    if pfn != NOTHING:
        return woken(path, machine, request, Allocated(pfn, zone), ())
    return path.enter(path, machine, progress, ())


# ---- common steps ----------------------------------------------------------------------------------------


def attempt(path: Path, machine: Machine, p: Progress, flags: int) -> tuple[Machine, Allocated | None]:
    machine, pfn, zone = path.rules.walk(path.rules, machine, p.request, flags, False)
    return machine, None if pfn == NOTHING else Allocated(pfn, zone)


def eligible(machine: Machine, request: Request) -> list[int]:
    return [i for i in machine.zonelists[request.node] if not skips_zone(request, machine.zones[i], False)]


def wake(machine: Machine, p: Progress) -> tuple[Event, ...]:
    """One WakeupKswapd for each node of the zonelist, as its first eligible zone comes up."""
    if not p.request.gfp & GFP_KSWAPD_RECLAIM_BIT:
        return ()
    events: list[Event] = []
    last = NOTHING
    for index in eligible(machine, p.request):
        node = machine.zones[index].node
        if node != last:
            events.append(WakeupKswapd(node, p.request.class_index, p.request.order, p.request.gfp))
        last = node
    return tuple(events)


def woken(path: Path, machine: Machine, request: Request, got: Allocated, events: tuple[Event, ...]) -> Run:
    """Finish an allocation: kswapd is woken for a zone whose watermarks were boosted meanwhile.

    Source    mm/page_alloc.c:rmqueue (ZONE_BOOSTED_WATERMARK); 5.0 to 6.12
    """
    zone = machine.zones[got.zone]
    if not zone.boosted_watermark:
        return Step(machine, got, events)
    zones = machine.zones
    quiet = replace(zone, boosted_watermark=False)
    machine = replace(machine, zones=(*zones[: got.zone], quiet, *zones[got.zone + 1 :]))
    return Step(machine, got, (*events, WakeupKswapd(zone.node, zone.kind, 0, 0)))


def drain_all_pages(rules: Rules, machine: Machine) -> Machine:
    """Empty every CPU's lists in every zone.

    Source    mm/page_alloc.c:drain_all_pages; 2.6 to 6.12
    """
    zones = []
    for zone in machine.zones:
        for cpu in range(len(zone.pcps)):
            zone = drain_pages_zone(rules, zone, cpu)
        zones.append(zone)
    return replace(machine, zones=tuple(zones))


def _compacts(path: Path) -> bool:
    return path.kernel.version >= Version(2, 6, 35)


def after_reclaim(path: Path, machine: Machine, p: Progress) -> tuple[Machine, Allocated | None]:
    """Try after reclaim; then empty the reserve and the per-CPU lists once, and try again.

    Source    mm/page_alloc.c:__alloc_pages_direct_reclaim
    """
    if not p.last:
        return machine, None
    machine = path.kernel.behaviour("alloc.forget-full").function(machine, p.request.node)  # type: ignore[assignment]
    machine, got = attempt(path, machine, p, p.flags)
    if got is None:
        machine, _ = unreserve_highatomic(path.kernel, path.rules, machine, p.request, False)
        machine = drain_all_pages(path.rules, machine)
        machine, got = attempt(path, machine, p, p.flags)
    return machine, got


# ---- 4.7 to 6.12: limits on rounds, priorities of compaction ---------------------------------------------


def enter_limited(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    """Set up the flags, wake kswapd, try at the min mark; a first compaction for costly orders."""
    r = p.request
    p = p._replace(flags=path.rules.slowpath_flags(r.gfp, r.order, p.task.realtime, path.rules.cma))
    if not eligible(machine, r):
        return Step(machine, Failed(Reason.NO_ZONE), events)
    events = (*events, *wake(machine, p))
    machine, got = attempt(path, machine, p, p.flags)
    if got is not None:
        return woken(path, machine, r, got, events)
    costly = r.order > PAGE_ALLOC_COSTLY_ORDER
    wants = costly or (r.order > 0 and not is_movable(r.gfp))
    reserve = path.rules.reserve_flags(r.gfp, p.task.memalloc, p.task.oom_victim)
    if r.gfp & GFP_DIRECT_RECLAIM_BIT and wants and not reserve:
        then = p._replace(stage=Stage.FIRST_COMPACTION)
        return Step(machine, Asks(DirectCompaction(r.order, ASYNC), then), events)
    return _retry_limited(path, machine, p, events)


def _retry_limited(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    r = p.request
    events = (*events, *wake(machine, p))
    reserve = path.rules.reserve_flags(r.gfp, p.task.memalloc, p.task.oom_victim)
    if reserve:
        cma = ALLOC_CMA if path.rules.cma and is_movable(r.gfp) else 0
        p = p._replace(flags=reserve | cma | (p.flags & (ALLOC_KSWAPD | ALLOC_GFP_ATOMIC)))
    if reserve or not p.flags & ALLOC_CPUSET:
        r = r if r.gfp & GFP_THISNODE_BIT else r._replace(nodemask=-1)
        p = p._replace(request=r)
    machine, got = attempt(path, machine, p, p.flags)
    if got is not None:
        return woken(path, machine, r, got, events)
    if not r.gfp & GFP_DIRECT_RECLAIM_BIT:
        return path.refuse(path, machine, p, events, Reason.CANNOT_RECLAIM)
    if p.task.memalloc:
        return path.refuse(path, machine, p, events, Reason.RECLAIMER)
    if path.stops_early(p):
        return path.refuse(path, machine, p, events, Reason.VICTIM)
    return Step(machine, Asks(DirectReclaim(r.order), p._replace(stage=Stage.RECLAIM)), events)


def resume_limited(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    """Go on after any answer."""
    if p.stage is Stage.RESCHEDULE:
        return _retry_limited(path, machine, p, events)
    if p.stage is Stage.RECLAIM:
        machine, got = after_reclaim(path, machine, p)
        if got is not None:
            return woken(path, machine, p.request, got, events)
        if p.request.order:
            question = DirectCompaction(p.request.order, p.priority)
            return Step(machine, Asks(question, p._replace(stage=Stage.COMPACTION)), events)
        return _decide(path, machine, p, events)
    if p.stage is Stage.OOM:
        return _after_oom(path, machine, p, events)
    if p.result is not Compaction.SKIPPED:
        machine, got = attempt(path, machine, p, p.flags)
        if got is not None:
            return woken(path, machine, p.request, got, events)
    if p.stage is Stage.COMPACTION:
        return _decide(path, machine, p, events)
    gfp = p.request.gfp
    if p.request.order > PAGE_ALLOC_COSTLY_ORDER and gfp & GFP_NORETRY_BIT:
        if p.result in (Compaction.SKIPPED, Compaction.DEFERRED) or gfp & GFP_THISNODE_BIT:
            return path.refuse(path, machine, p, events, Reason.COMPACTION)
        p = p._replace(priority=ASYNC)
    return _retry_limited(path, machine, p, events)


def _decide(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    """After a round of reclaim and compaction: fail, try again, or kill."""
    r = p.request
    if r.gfp & GFP_NORETRY_BIT:
        return path.refuse(path, machine, p, events, Reason.NO_RETRY)
    if r.order > PAGE_ALLOC_COSTLY_ORDER and not r.gfp & GFP_RETRY_MAYFAIL_BIT:
        return path.refuse(path, machine, p, events, Reason.COSTLY)
    p = p._replace(loops=reclaim_loops(p.loops, p.last > 0, r.order))
    again = not reclaim_gives_up(p.loops) and _would_do(path, machine, p)
    if not again:
        machine, again = unreserve_highatomic(path.kernel, path.rules, machine, r, True)
    if not again and p.last > 0 and not p.task.dying:
        again, priority, retries = compact_again(r.order, p.result, p.suitable, p.priority, p.retries)
        p = p._replace(priority=priority, retries=retries)
    if again:
        return _retry_limited(path, machine, p, events)
    return _ask_oom(path, machine, p, events)


def _would_do(path: Path, machine: Machine, p: Progress) -> bool:
    """Whether the request would succeed in some zone if everything reclaimable were free.

    Source    mm/page_alloc.c:should_reclaim_retry
    """
    for index in eligible(machine, p.request):
        zone = machine.zones[index]
        free = zone.nr_free + (p.reclaimable[index] if index < len(p.reclaimable) else 0)
        mark = zone.watermark[0] + zone.boost
        r = p.request
        if path.rules.watermark_ok(path.rules, zone, r.order, mark, r.class_index, p.flags, free):
            return True
    return False


def _ask_oom(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    machine, got = attempt(path, machine, p, 2 | ALLOC_CPUSET)
    if got is not None:
        return woken(path, machine, p.request, got, events)
    r = p.request
    if path.may_kill(r.order, r.gfp, r.class_index, p.task.dumping_core):
        return Step(machine, Asks(OomKill(), p._replace(stage=Stage.OOM)), events)
    return _after_oom(path, machine, p._replace(last=0), events)


def _after_oom(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    r = p.request
    if p.last and r.gfp & GFP_NOFAIL_BIT:
        machine, got = attempt(path, machine, p, ALLOC_NO_WATERMARKS)
        if got is not None:
            return woken(path, machine, r, got, events)
    if path.stops_killed(p):
        return path.refuse(path, machine, p, events, Reason.VICTIM)
    if p.last:
        return _retry_limited(path, machine, p._replace(loops=0), events)
    return path.refuse(path, machine, p, events, Reason.EXHAUSTED)


# ---- 3.19 to 4.6: as long as reclaim makes progress --------------------------------------------------------


def enter_by_progress(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    """Wake kswapd, try at the min mark, then without watermarks for who may; compact, reclaim."""
    r = p.request
    if not eligible(machine, r):
        return Step(machine, Failed(Reason.NO_ZONE), events)
    flags = path.rules.slowpath_flags(r.gfp, r.order, p.task.realtime, path.rules.cma)
    reserve = path.rules.reserve_flags(r.gfp, p.task.memalloc, p.task.oom_victim)
    p = p._replace(flags=flags)
    events = (*events, *wake(machine, p))
    for tried in (flags, flags | reserve) if reserve else (flags,):
        machine, got = attempt(path, machine, p, tried)
        if got is not None:
            return woken(path, machine, r, got, events)
    if not r.gfp & GFP_DIRECT_RECLAIM_BIT:
        return path.refuse(path, machine, p, events, Reason.CANNOT_RECLAIM)
    if p.task.memalloc:
        return path.refuse(path, machine, p, events, Reason.RECLAIMER)
    if path.stops_early(p):
        return path.refuse(path, machine, p, events, Reason.VICTIM)
    if r.order and _compacts(path):
        question = DirectCompaction(r.order, ASYNC)
        return Step(machine, Asks(question, p._replace(stage=Stage.FIRST_COMPACTION)), events)
    return Step(machine, Asks(DirectReclaim(r.order), p._replace(stage=Stage.RECLAIM)), events)


def resume_by_progress(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    """Go on after any answer."""
    r = p.request
    if p.stage is Stage.RESCHEDULE:
        return enter_by_progress(path, machine, p, events)
    if p.stage in (Stage.FIRST_COMPACTION, Stage.LAST_COMPACTION):
        if p.result is not Compaction.SKIPPED:
            machine, got = attempt(path, machine, p, p.flags)
            if got is not None:
                return woken(path, machine, r, got, events)
        if p.stage is Stage.LAST_COMPACTION:
            return path.refuse(path, machine, p, events, Reason.EXHAUSTED)
        return Step(machine, Asks(DirectReclaim(r.order), p._replace(stage=Stage.RECLAIM)), events)
    if p.stage is Stage.OOM:
        return _progress_made(path, machine, p, events)
    machine, got = after_reclaim(path, machine, p)
    if got is not None:
        return woken(path, machine, r, got, events)
    if r.gfp & GFP_NORETRY_BIT:
        return _last_compaction(path, machine, p, events)
    if progress_again(r.order, p.last, p.reclaimed, bool(r.gfp & GFP_RETRY_MAYFAIL_BIT)):
        return enter_by_progress(path, machine, p, events)
    machine, got = attempt(path, machine, p, 2 | ALLOC_CPUSET)
    if got is not None:
        return woken(path, machine, r, got, events)
    if path.may_kill(r.order, r.gfp, r.class_index, p.task.dumping_core):
        return Step(machine, Asks(OomKill(), p._replace(stage=Stage.OOM)), events)
    return _progress_made(path, machine, p._replace(last=0), events)


def _progress_made(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    if p.last:
        return enter_by_progress(path, machine, p, events)
    return _last_compaction(path, machine, p, events)


def _last_compaction(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    order = p.request.order
    if order and _compacts(path):
        question = DirectCompaction(order, SYNC_LIGHT)
        return Step(machine, Asks(question, p._replace(stage=Stage.LAST_COMPACTION)), events)
    why = Reason.NO_RETRY if p.request.gfp & GFP_NORETRY_BIT else Reason.EXHAUSTED
    return path.refuse(path, machine, p, events, why)


Continue = Callable[[Path, Machine, Progress, tuple[Event, ...]], Run]


@behaviour(
    "alloc.slowpath",
    since="3.19",
    until="4.6",
    features=("F014", "F017"),
    source="mm/page_alloc.c:__alloc_pages_slowpath; 4.4 (3.19 to 4.1 differ in detail)",
)
def slowpath_by_progress() -> tuple[Continue, Continue]:
    """Rounds go on as long as reclaim frees something and the order is cheap."""
    return enter_by_progress, resume_by_progress


@behaviour(
    "alloc.slowpath",
    since="4.7",
    features=("F014", "F017"),
    source="mm/page_alloc.c:__alloc_pages_slowpath; 4.12, 6.1, 6.12 (not described: 4.7 compacts "
    "before it reclaims, 4.8 to 4.11 compact first only at costly orders)",
)
def slowpath_limited() -> tuple[Continue, Continue]:
    """At most 16 rounds without progress, and priorities of compaction."""
    return enter_limited, resume_limited
