"""The page allocator of 2.4: no per-CPU lists, no types, and watermarks that add up along the zonelist.

A block is split from its upper end.  A request walks the zones of its class on one node; the first of them,
the *class zone*, is what kswapd and reclaim balance.  Up to 2.4.14 a zone must stay above its own mark; up to
2.4.22 above the sum of its own and those of the zones before it; since 2.4.23 above its own for the class.
On machines of several nodes the kernel repeats the whole request node by node; here that is another request.

Linux: mm/page_alloc.c:rmqueue, expand, __alloc_pages, balance_classzone.  Seed 2.1.1.1, 2.1.1.3 (F012, F014,
F017).  2.4.10 to 2.4.37; request_2_4_0 has the walk before.
"""

from dataclasses import replace
from typing import Final

from linuxmm.model.alloc.dialogue import (
    Allocated,
    Asks,
    BalanceClasszone,
    Failed,
    Path,
    Progress,
    Reason,
    Run,
    Stage,
)
from linuxmm.model.alloc.events import WakeupKswapd
from linuxmm.model.alloc.freelist import (
    NOTHING,
    Zone,
    add_head,
    list_head,
    lowmem_reserve_of,
    nr_free_pages,
    remove,
    set_in_use,
    watermark_of,
)
from linuxmm.model.alloc.machine import (
    Machine,
    with_zone,
    zone_at,
    zone_kind,
    zone_node,
    zonelist_entry,
    zonelist_length,
)
from linuxmm.model.alloc.movement import UNMOVABLE
from linuxmm.model.alloc.request import first_zone, rmqueue, skips_zone, zone_of
from linuxmm.model.alloc.rules import Rules
from linuxmm.model.alloc.slowpath import Continue
from linuxmm.spec.alloc.gfp import (
    ALLOC_NO_WATERMARKS,
    ALLOC_NON_BLOCK,
    ALLOC_WMARK_MASK,
    GFP_DIRECT_RECLAIM_BIT,
)
from linuxmm.spec.alloc.request import Request
from linuxmm.spec.alloc.watermark import above_mark
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.step import Event, Step
from linuxmm.spec.vocabulary import PAGE_ALLOC_COSTLY_ORDER

# ---- free lists ------------------------------------------------------------------------------------------


@behaviour(
    "alloc.take",
    since="2.4.0",
    until="2.5.999",
    features=("F012",),
    source="mm/page_alloc.c:rmqueue, expand; 2.4.0, 2.4.16, 2.4.22",
)
def take_upper_end(
    rules: Rules, zone: Zone, order: int, migratetype: int, flags: int, mode: int
) -> tuple[Zone, int, int, int]:
    """One list per order; a larger block keeps its lower parts, and its upper end is handed out."""
    at = order
    while at <= rules.max_order:
        pfn = list_head(zone, at, UNMOVABLE)
        if pfn != NOTHING:
            zone = remove(zone, pfn, at)
            while at > order:
                at -= 1
                zone = add_head(zone, pfn, at, UNMOVABLE)
                pfn += 1 << at
            return zone, pfn, UNMOVABLE, mode
        at += 1
    return zone, NOTHING, UNMOVABLE, mode


# ---- the walk --------------------------------------------------------------------------------------------


def _mark(zone: Zone, flags: int) -> int:
    """pages_min, pages_low or pages_high; a quarter of it for who cannot wait."""
    mark = watermark_of(zone, flags & ALLOC_WMARK_MASK)
    return mark >> 2 if flags & ALLOC_NON_BLOCK else mark


def asked_zones(machine: Machine, request: Request) -> list[int]:
    """The numbers of the zones that a request may use, in the order of the zonelist."""
    entries = [
        zonelist_entry(machine, request.node, at) for at in range(zonelist_length(machine, request.node))
    ]
    return [
        index
        for index in entries
        if zone_node(zone_at(machine, index)) == request.node
        and not skips_zone(request, zone_at(machine, index), False)
    ]


def take_from(
    rules: Rules, machine: Machine, request: Request, index: int, flags: int
) -> tuple[Machine, int]:
    """Take a block from a zone, whatever its marks say."""
    zone, pfn = rmqueue(rules, zone_at(machine, index), request.cpu, request.order, UNMOVABLE, flags)
    if pfn != NOTHING:
        zone = set_in_use(zone, pfn, request.order, False)
    return with_zone(machine, index, zone), pfn


@behaviour(
    "alloc.walk",
    since="2.4.10",
    until="2.4.14",
    features=("F014", "F017"),
    source="mm/page_alloc.c:__alloc_pages; 2.4.12 and 2.4.15-pre6 in patches (2.4.10, 2.4.11 unconfirmed)",
)
def walk_by_own_mark(
    rules: Rules, machine: Machine, request: Request, flags: int, spread_dirty: bool
) -> tuple[Machine, int, int]:
    """A zone answers if its free pages less the request exceed its own mark."""
    for index in asked_zones(machine, request):
        zone = zone_at(machine, index)
        free = max(nr_free_pages(zone) - (1 << request.order), 0)
        if above_mark(free, _mark(zone, flags), 0) or flags & ALLOC_NO_WATERMARKS:
            machine, pfn = take_from(rules, machine, request, index, flags)
            if pfn != NOTHING:
                return machine, pfn, index
    return machine, NOTHING, NOTHING


@behaviour(
    "alloc.walk",
    since="2.4.15",
    until="2.4.22",
    features=("F014", "F017"),
    source="mm/page_alloc.c:__alloc_pages; 2.4.16, 2.4.17, 2.4.19, 2.4.22 (2.4.15 unconfirmed)",
)
def walk_adding_marks(
    rules: Rules, machine: Machine, request: Request, flags: int, spread_dirty: bool
) -> tuple[Machine, int, int]:
    """A zone answers if its free pages exceed the request, its own mark and the marks of the zones before."""
    least = 1 << request.order
    for index in asked_zones(machine, request):
        zone = zone_at(machine, index)
        least += _mark(zone, flags)
        if nr_free_pages(zone) > least or flags & ALLOC_NO_WATERMARKS:
            machine, pfn = take_from(rules, machine, request, index, flags)
            if pfn != NOTHING:
                return machine, pfn, index
    return machine, NOTHING, NOTHING


@behaviour(
    "alloc.walk",
    since="2.4.23",
    until="2.5.999",
    features=("F014", "F017"),
    source="mm/page_alloc.c:__alloc_pages, zone_free_pages; 2.4.27, 2.4.32 (2.4.23 to 2.4.26 unconfirmed)",
)
def walk_by_class_mark(
    rules: Rules, machine: Machine, request: Request, flags: int, spread_dirty: bool
) -> tuple[Machine, int, int]:
    """A zone answers if its free pages less the request exceed its mark for the class of the first zone."""
    classzone = first_zone(machine, request)
    for index in asked_zones(machine, request):
        zone = zone_at(machine, index)
        reserve = lowmem_reserve_of(zone, zone_kind(zone_at(machine, classzone)))
        mark = watermark_of(zone, flags & ALLOC_WMARK_MASK) + reserve
        if flags & ALLOC_NON_BLOCK:
            mark >>= 2
        free = max(nr_free_pages(zone) - (1 << request.order), 0)
        if above_mark(free, mark, 0) or flags & ALLOC_NO_WATERMARKS:
            machine, pfn = take_from(rules, machine, request, index, flags)
            if pfn != NOTHING:
                return machine, pfn, index
    return machine, NOTHING, NOTHING


# ---- the slow path -----------------------------------------------------------------------------------------

_LOW_PASS_FAILED: Final = 0
HIGH: Final = 2


def _pass(path: Path, machine: Machine, p: Progress, flags: int) -> tuple[Machine, Allocated | None]:
    machine, pfn, zone = path.rules.walk(path.rules, machine, p.request, flags, False)
    return machine, None if pfn == NOTHING else Allocated(pfn, zone)


def enter_classzone(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    """Wake kswapd for the class zone, walk at the min marks, then as who asks may."""
    r = p.request
    classzone = first_zone(machine, r)
    if classzone == NOTHING:
        return Step(machine, Failed(Reason.NO_ZONE), events)
    zone = machine.zones[classzone]
    events = (*events, WakeupKswapd(zone.node, zone.kind, r.order, r.gfp))
    waits = r.gfp & GFP_DIRECT_RECLAIM_BIT != 0
    machine, got = _pass(path, machine, p, _LOW_PASS_FAILED if waits else ALLOC_NON_BLOCK)
    if got is not None:
        return Step(machine, got, events)
    return _rebalance(path, machine, p, events)


def _rebalance(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    """Without marks for reclaimers and victims; without a question for who cannot wait."""
    if p.task.memalloc or p.task.oom_victim:
        machine, got = _pass(path, machine, p, ALLOC_NO_WATERMARKS)
        if got is not None:
            return Step(machine, got, events)
        return Step(machine, Failed(Reason.RECLAIMER if p.task.memalloc else Reason.VICTIM), events)
    if not p.request.gfp & GFP_DIRECT_RECLAIM_BIT:
        return Step(machine, Failed(Reason.CANNOT_RECLAIM), events)
    return _ask(machine, p, events)


def _ask(machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    question = BalanceClasszone(p.request.order, first_zone(machine, p.request))
    return Step(machine, Asks(question, p._replace(stage=Stage.CLASSZONE)), events)


def _kept(machine: Machine, p: Progress) -> tuple[Machine, Allocated | None]:
    """The block that reclaim kept for the caller, if it freed anything.

    Source    mm/page_alloc.c:balance_classzone; 2.4.16, 2.4.22, 2.4.32
    """
    if p.kept == NOTHING or not p.last:
        return machine, None
    index = zone_of(machine, p.kept)
    if index not in asked_zones(machine, p.request):
        raise LinuxmmError(f"the block kept at pfn {p.kept} is in no zone of the request")
    zone = machine.zones[index]
    if zone.in_use.get(p.kept, (NOTHING, 0))[0] != p.request.order:
        raise LinuxmmError(f"the block kept at pfn {p.kept} is no block in use of order {p.request.order}")
    return machine, Allocated(p.kept, index)


def resume_until_answered(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    """After reclaim: the block it kept, or a walk at the min marks; orders up to 3 never give up."""
    return _until_answered(path, machine, p, events, PAGE_ALLOC_COSTLY_ORDER)


def resume_single_until_answered(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    """As `resume_until_answered`; but only single pages never give up."""
    return _until_answered(path, machine, p, events, 0)


def _until_answered(
    path: Path, machine: Machine, p: Progress, events: tuple[Event, ...], insists: int
) -> Run:
    """insists: the highest order that never gives up"""
    machine, got = _kept(machine, p)
    if got is None:
        machine, got = _pass(path, machine, p, _LOW_PASS_FAILED)
    if got is not None:
        return Step(machine, got, events)
    if p.request.order > insists:
        return Step(machine, Failed(Reason.COSTLY), events)
    return _rebalance(path, machine, p._replace(kept=NOTHING), events)


def resume_by_freed(path: Path, machine: Machine, p: Progress, events: tuple[Event, ...]) -> Run:
    """After reclaim: the block it kept; after progress a walk at the min marks, and reclaim again; else fail.

    A last walk at the high marks sees whether another task was killed meanwhile.
    """
    machine, got = _kept(machine, p)
    if got is None:
        machine, got = _pass(path, machine, p, _LOW_PASS_FAILED if p.last else HIGH)
    if got is not None:
        return Step(machine, got, events)
    if not p.last:
        return Step(machine, Failed(Reason.EXHAUSTED), events)
    return _ask(machine, p._replace(kept=NOTHING), events)


@behaviour(
    "alloc.slowpath",
    since="2.4.10",
    until="2.4.12",
    features=("F014", "F017"),
    source="mm/page_alloc.c:__alloc_pages; 2.4.12 and 2.4.13-pre4 in patches (2.4.10, 2.4.11 unconfirmed)",
)
def slowpath_classzone_single() -> tuple[Continue, Continue]:
    """Reclaim and try again, for ever for single pages; once for blocks."""
    return enter_classzone, resume_single_until_answered


@behaviour(
    "alloc.slowpath",
    since="2.4.13",
    until="2.4.22",
    features=("F014", "F017"),
    source="mm/page_alloc.c:__alloc_pages, balance_classzone; 2.4.16, 2.4.19, 2.4.22 "
    "(2.4.13 to 2.4.15 unconfirmed)",
)
def slowpath_classzone() -> tuple[Continue, Continue]:
    """Reclaim and try again, for ever at cheap orders."""
    return enter_classzone, resume_until_answered


@behaviour(
    "alloc.slowpath",
    since="2.4.23",
    until="2.5.999",
    features=("F014", "F017"),
    source="mm/page_alloc.c:__alloc_pages, balance_classzone; 2.4.32",
)
def slowpath_classzone_limited() -> tuple[Continue, Continue]:
    """Reclaim and try again, as long as reclaim frees anything."""
    return enter_classzone, resume_by_freed


def with_block_in_use(machine: Machine, pfn: int, order: int) -> Machine:
    """The machine after reclaim freed a block into the caller's own keeping: in use, on no list.

    For who answers `BalanceClasszone`.
    """
    index = zone_of(machine, pfn)
    zone = machine.zones[index]
    return with_zone(machine, index, replace(zone, in_use=zone.in_use.set(pfn, (order, 0))))
