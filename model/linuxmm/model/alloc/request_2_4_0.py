"""The request path of the first 2.4 kernels, where clean inactive pages count as good as free ones.

Pages wait for their end on inactive lists: dirty ones for all zones, clean ones per zone.  A clean one can be
taken as it is, so a request that needs a single page takes it from there when free pages run short, and one
that needs more moves clean pages to the free lists until a block comes together.  Which pages these are is
reclaim's to say: the request asks, before each of its passes at another moment.

kreclaimd and bdflush, which a request may wake too, do nothing for it: their wake-ups are not told.

Linux: mm/page_alloc.c:__alloc_pages, __alloc_pages_limit.  Seed 2.1.1.1, 2.1.1.3 (F014, F017).
2.4.0 (2.4.1 to 2.4.9 unconfirmed).
"""

from typing import Final

from linuxmm.model.alloc.dialogue import (
    Allocated,
    Asks,
    Failed,
    First,
    LookAtInactive,
    Path,
    Progress,
    Reason,
    Run,
    Stage,
)
from linuxmm.model.alloc.events import WakeupKswapd
from linuxmm.model.alloc.freelist import NOTHING, nr_free_pages, set_in_use, watermark_of
from linuxmm.model.alloc.machine import Machine, with_zone, zone_at
from linuxmm.model.alloc.request import first_zone, free_pages
from linuxmm.model.alloc.request_2_4 import asked_zones, take_from
from linuxmm.model.alloc.rules import Rules
from linuxmm.model.alloc.slowpath import Continue
from linuxmm.spec.alloc.gfp import ALLOC_WMARK_MASK, GFP_DIRECT_RECLAIM_BIT, GFP_IO_BIT
from linuxmm.spec.alloc.request import Request
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.step import Event, Step

MIN: Final = 0
LOW: Final = 1
HIGH: Final = 2
"""ALLOC_WMARK_*: which of a zone's marks is meant."""

CLOSE_TO_MIN: Final = 8
"""Pages above its min mark below which a zone's clean inactive pages are taken before free ones."""


@behaviour(
    "alloc.walk",
    since="2.4.0",
    until="2.4.9",
    features=("F014",),
    source="mm/page_alloc.c:__alloc_pages; 2.4.0 (2.4.1 to 2.4.9 unconfirmed)",
)
def walk_plenty(
    rules: Rules, machine: Machine, request: Request, flags: int, spread_dirty: bool
) -> tuple[Machine, int, int]:
    """A zone answers if its free pages, before the request, reach its own mark."""
    for index in asked_zones(machine, request):
        zone = zone_at(machine, index)
        if nr_free_pages(zone) >= watermark_of(zone, flags & ALLOC_WMARK_MASK):
            machine, pfn = take_from(rules, machine, request, index, flags)
            if pfn != NOTHING:
                return machine, pfn, index
    return machine, NOTHING, NOTHING


# ---- passes ----------------------------------------------------------------------------------------------


def _waits(p: Progress) -> bool:
    return p.request.gfp & GFP_DIRECT_RECLAIM_BIT != 0


def _takes_inactive(p: Progress) -> bool:
    """A single page for who can wait and was no reclaimer when it asked."""
    return p.request.order == 0 and _waits(p) and not p.task.memalloc


def _clean(machine: Machine, p: Progress, index: int) -> tuple[int, ...]:
    pages = p.clean[index] if index < len(p.clean) else ()
    zone = zone_at(machine, index)
    for pfn in pages:
        if zone.in_use.get(pfn, (NOTHING, 0))[0] != 0:
            raise LinuxmmError(f"the inactive page at pfn {pfn} is no single page in use of zone {index}")
    return pages


def _inactive_page(machine: Machine, p: Progress, index: int) -> tuple[Machine, Allocated | None]:
    pages = _clean(machine, p, index)
    if not pages:
        return machine, None
    zone = set_in_use(zone_at(machine, index), pages[0], 0, False)
    return with_zone(machine, index, zone), Allocated(pages[0], index)


def _free_page(path: Path, machine: Machine, p: Progress, index: int) -> tuple[Machine, Allocated | None]:
    machine, pfn = take_from(path.rules, machine, p.request, index, 0)
    return machine, None if pfn == NOTHING else Allocated(pfn, index)


def _limited(path: Path, machine: Machine, p: Progress, mark: int) -> tuple[Machine, Allocated | None]:
    """From the first zone whose free and clean inactive pages together exceed a mark.

    Source    mm/page_alloc.c:__alloc_pages_limit; 2.4.0
    """
    for index in asked_zones(machine, p.request):
        zone = zone_at(machine, index)
        free, clean = nr_free_pages(zone), len(_clean(machine, p, index))
        if free + clean <= watermark_of(zone, mark):
            continue
        got = None
        if _takes_inactive(p) and free < watermark_of(zone, MIN) + CLOSE_TO_MIN:
            machine, got = _inactive_page(machine, p, index)
        if got is None:
            machine, got = _free_page(path, machine, p, index)
        if got is not None:
            return machine, got
    return machine, None


def _assembled(path: Path, machine: Machine, p: Progress) -> tuple[Machine, Allocated | None]:
    """Free clean inactive pages one by one, zone by zone, until the zone has a block."""
    for index in asked_zones(machine, p.request):
        for pfn in _clean(machine, p, index):
            machine = free_pages(path.rules, machine, p.request.cpu, pfn, 0)
            machine, got = _free_page(path, machine, p, index)
            if got is not None:
                return machine, got
    return machine, None


def _last_pages(path: Path, machine: Machine, p: Progress) -> tuple[Machine, Allocated | None]:
    """Anything from a zone that has a quarter of its min mark free; from any zone for a reclaimer."""
    reclaimer = p.task.memalloc or p.task.oom_victim
    for index in asked_zones(machine, p.request):
        zone = zone_at(machine, index)
        got = None
        if _takes_inactive(p):
            machine, got = _inactive_page(machine, p, index)
        if got is None and (reclaimer or nr_free_pages(zone) >= watermark_of(zone, MIN) // 4):
            machine, got = _free_page(path, machine, p, index)
        if got is not None:
            return machine, got
    return machine, None


# ---- the slow path ---------------------------------------------------------------------------------------


def _ask(machine: Machine, p: Progress, first: First, events: tuple[Event, ...]) -> Run:
    return Step(
        machine, Asks(LookAtInactive(first), p._replace(stage=Stage.INACTIVE, first=first, clean=())), events
    )


def enter_inactive(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    """Look at the inactive pages; who was chosen by the OOM killer before counts as a reclaimer."""
    if first_zone(machine, p.request) == NOTHING:
        return Step(machine, Failed(Reason.NO_ZONE), events)
    task = p.task._replace(memalloc=p.task.memalloc or p.task.oom_victim, oom_victim=False)
    return _ask(machine, p._replace(task=task), First.NOTHING, events)


def resume_inactive(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    """The passes between two questions; a single page is asked for again until there is one."""
    match p.first:
        case First.NOTHING:
            return _above_low(path, machine, p, events)
        case First.YIELD:
            return _above_min(path, machine, p, events)
        case First.LAUNDER:
            machine, got = _assembled(path, machine, p)
            return Step(machine, got, events) if got else _sleep(path, machine, p, events)
        case First.WAIT | First.RECLAIM:
            if p.request.order > 0:
                return _end(path, machine, p, events)
            machine, pfn, zone = path.rules.walk(path.rules, machine, p.request, LOW, False)
            if pfn != NOTHING:
                return Step(machine, Allocated(pfn, zone), events)
            return _above_low(path, machine, p, events)


def _above_low(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    for mark in (HIGH, LOW):
        machine, got = _limited(path, machine, p, mark)
        if got is not None:
            return Step(machine, got, events)
    zone = machine.zones[first_zone(machine, p.request)]
    events = (*events, WakeupKswapd(zone.node, zone.kind, p.request.order, p.request.gfp))
    if _waits(p):
        return _ask(machine, p, First.YIELD, events)
    return _above_min(path, machine, p, events)


def _above_min(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    machine, got = _limited(path, machine, p, MIN)
    if got is not None:
        return Step(machine, got, events)
    if p.task.memalloc or p.task.oom_victim:
        return _end(path, machine, p, events)
    if p.request.order > 0 and _waits(p):
        return _ask(machine, p, First.LAUNDER, events)
    return _sleep(path, machine, p, events)


def _sleep(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    """kswapd may need locks that a caller without __GFP_IO holds: that one reclaims itself."""
    if not _waits(p):
        return _end(path, machine, p, events)
    first = First.WAIT if p.request.gfp & GFP_IO_BIT else First.RECLAIM
    return _ask(machine, p, first, events)


def _end(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    machine, got = _last_pages(path, machine, p)
    if got is not None:
        return Step(machine, got, events)
    if p.task.oom_victim:
        return Step(machine, Failed(Reason.VICTIM), events)
    if p.task.memalloc:
        return Step(machine, Failed(Reason.RECLAIMER), events)
    return Step(machine, Failed(Reason.EXHAUSTED if _waits(p) else Reason.CANNOT_RECLAIM), events)


@behaviour(
    "alloc.slowpath",
    since="2.4.0",
    until="2.4.9",
    features=("F014", "F017"),
    source="mm/page_alloc.c:__alloc_pages; 2.4.0 (2.4.1 to 2.4.9 unconfirmed)",
)
def slowpath_inactive() -> tuple[Continue, Continue]:
    """Take clean inactive pages; for a single page wait for kswapd and try again, for ever."""
    return enter_inactive, resume_inactive
