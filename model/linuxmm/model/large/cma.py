"""The contiguous memory allocator: a reserved range serves movable pages until its owner asks for it.

Linux: mm/cma.c (drivers/base/dma-contiguous.c up to 3.16).  Seed 2.1.3.2 (F036).  3.5 to 6.12.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple

from linuxmm.model.alloc import profile
from linuxmm.model.alloc.freelist import CMA, set_pageblock_type
from linuxmm.model.alloc.machine import Machine, with_zone, zone_at
from linuxmm.model.alloc.request import free_pages, zone_of
from linuxmm.model.alloc.rules import Rules as PageRules
from linuxmm.model.defrag.evacuate import Away, away_of
from linuxmm.model.large.contig import Contig, G, alloc_contig_range
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.large.cma import (
    NOTHING,
    Declared,
    Wanted,
    aligned_mask,
    bits_of,
    declared,
    in_area,
    next_start,
    owned,
    page_of,
    zero_run,
)
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Errno
from linuxmm.spec.vocabulary import PAGE_SHIFT

REGISTERED = (profile,)


class Rules(NamedTuple):
    """CMA of one kernel."""

    pages: PageRules
    contig: Contig
    away: Away
    offset: Callable[[int, int, int], int]
    least_order: int


@dataclass(frozen=True, slots=True)
class Area:
    """One area: pages base to base + count, one bit for 2**per_bit pages, set while they are handed out.

    bitmap  as a number, bit 0 for the first pages;  active  false until its pageblocks are CMA
    """

    base: int
    count: int
    per_bit: int = 0
    bitmap: int = 0
    active: bool = True


@dataclass(frozen=True, slots=True)
class Taken(Generic[G]):
    """What an allocation came to.

    pfn      the first page, or NOTHING;  errno  of the last attempt, None when it succeeded
    retried  places that were busy
    """

    area: Area
    machine: Machine
    guests: G
    pfn: int
    errno: Errno | None
    retried: tuple[int, ...] = ()


def rules_of(kernel: Kernel, pages: PageRules) -> Rules:
    """CMA of a kernel whose page allocator has the rules `pages`.

    Errors    Unmodelled for a kernel before 3.5
    """
    orders = pages.pageblock_order, pages.max_order
    contig = kernel.behaviour("large.contig-span").function(*orders)
    least = kernel.behaviour("large.cma-least-order").function(*orders)
    offset = kernel.behaviour("large.cma-offset").function
    return Rules(pages, contig, away_of(kernel), offset, least)  # type: ignore[arg-type]


Reserved = tuple[tuple[int, int], ...]
"""Ranges that memblock has given away: (first byte, byte behind)."""


@verb("F036", source="mm/cma.c:cma_declare_contiguous_nid; read in 6.1 and 6.12")
def declare(
    rules: Rules,
    reserved: Reserved,
    areas: tuple[Area, ...],
    most: int,
    wanted: Wanted,
    memory_end: int,
    highmem: int,
    found: int,
) -> tuple[Reserved, tuple[Area, ...]] | Errno:
    """Reserve memory for an area at boot.

    found  what memblock offers when no fixed place is asked for, 0 for nothing
    Refuses   ENOSPC, EINVAL; EBUSY for a fixed place that is taken; ENOMEM
    """
    least = 1 << (rules.least_order + PAGE_SHIFT)
    plan = declared(wanted, len(areas), most, least, memory_end, highmem)
    if isinstance(plan, Errno):
        return plan
    base = plan.base if plan.fixed else found
    if plan.fixed and any(low < base + plan.size and base < high for low, high in reserved):
        return Errno.EBUSY
    if not plan.fixed and not _offered(plan, reserved, found):
        return Errno.ENOMEM
    area = Area(base >> PAGE_SHIFT, plan.size >> PAGE_SHIFT, wanted.per_bit, active=False)
    return (*reserved, (base, base + plan.size)), (*areas, area)


def _offered(plan: Declared, reserved: Reserved, found: int) -> bool:
    """Whether an offer of memblock is one: 0 says that there is none.

    Errors    ValueError for an offer that memblock cannot make
    """
    if found == 0:
        return False
    taken = any(low < found + plan.size and found < high for low, high in reserved)
    if taken or found < plan.base or found + plan.size > plan.limit or found & (plan.alignment - 1):
        raise ValueError(f"memblock cannot offer {found:#x}: expected {plan}")
    return True


@verb("F036", source="mm/cma.c:cma_activate_area, mm/mm_init.c:init_cma_reserved_pageblock; 3.5 to 6.12")
def activate(rules: Rules, area: Area, machine: Machine) -> tuple[Area, Machine]:
    """Make the pageblocks CMA and free their pages.

    Requires  the pages are managed by nobody yet
    Ensures   an area whose pages lie in more than one zone becomes empty
    """
    first = zone_of(machine, area.base)
    whole = first == zone_of(machine, area.base + area.count - 1) and first != NOTHING
    order = rules.pages.pageblock_order if whole else 0
    for pfn in range(area.base, area.base + area.count, 1 << order):
        at = zone_of(machine, pfn)
        if whole:
            machine = with_zone(machine, at, set_pageblock_type(zone_at(machine, at), pfn, CMA))
        machine = free_pages(rules.pages, machine, 0, pfn, order)
        zone = zone_at(machine, at)
        machine = with_zone(machine, at, replace(zone, managed=zone.managed + (1 << order)))
    return replace(area, active=whole, count=area.count if whole else 0), machine


@verb("F036", source="mm/cma.c:cma_alloc; 3.5 to 6.12")
def cma_alloc(rules: Rules, area: Area, machine: Machine, guests: G, count: int, align: int) -> Taken[G]:
    """Hand out `count` pages in one piece, aligned to 2**align pages.

    Ensures   the lowest place whose pages can be emptied; the search goes on behind a busy one
    Refuses   ENOMEM without a place, EBUSY when the last one was busy, what migration says otherwise
    """
    if not area.active or not count or bits_of(count, area.per_bit) > _bits(area):
        return Taken(area, machine, guests, NOTHING, Errno.ENOMEM)
    mask = aligned_mask(align, area.per_bit)
    offset = rules.offset(area.base, align, area.per_bit)
    bits = bits_of(count, area.per_bit)
    errno: Errno | None = Errno.ENOMEM
    start = 0
    retried: tuple[int, ...] = ()
    while True:
        place = zero_run(area.bitmap, _bits(area), start, bits, mask, offset)
        if place == NOTHING:
            return Taken(area, machine, guests, NOTHING, errno, retried)
        area = mark(area, place, bits)
        pfn = page_of(area.base, place, area.per_bit)
        machine, guests, errno = alloc_contig_range(
            rules.contig, rules.away, rules.pages, machine, guests, pfn, pfn + count, CMA
        )
        if errno is None:
            return Taken(area, machine, guests, pfn, None, retried)
        area = unmark(area, place, bits)
        if errno is not Errno.EBUSY:
            return Taken(area, machine, guests, NOTHING, errno, retried)
        start, retried = next_start(place, mask), (*retried, place)


def mark(area: Area, place: int, bits: int) -> Area:
    """Set bits."""
    return replace(area, bitmap=area.bitmap | ((1 << bits) - 1) << place)


def unmark(area: Area, place: int, bits: int) -> Area:
    """Clear bits."""
    return replace(area, bitmap=area.bitmap & ~(((1 << bits) - 1) << place))


def _bits(area: Area) -> int:
    return area.count >> area.per_bit


@verb("F036", source="mm/cma.c:cma_release; 3.5 to 6.12")
def cma_release(
    rules: Rules, area: Area, machine: Machine, pfn: int, count: int, cpu: int = 0
) -> tuple[Area, Machine, bool]:
    """Give pages back, one by one; False when they are not of this area.

    Requires  the pages were handed out; a part of what was handed out may come back, in whole bits
    Errors    ValueError when they reach beyond the area (VM_BUG_ON)
    """
    if not area.active or not in_area(area.base, area.count, pfn):
        return area, machine, False
    if pfn + count > area.base + area.count:
        raise ValueError(f"pages {pfn} to {pfn + count - 1} reach beyond the area")
    for page in range(pfn, pfn + count):
        machine = free_pages(rules.pages, machine, cpu, page, 0)
    place = (pfn - area.base) >> area.per_bit
    return unmark(area, place, bits_of(count, area.per_bit)), machine, True


def broken(area: Area, held: tuple[tuple[int, int], ...]) -> tuple[str, ...]:
    """The clauses that a state breaks, given what is handed out as (first page, pages)."""
    found = []
    bits = 0
    for pfn, count in held:
        if not in_area(area.base, area.count, pfn) or pfn + count > area.base + area.count:
            found.append("large.cma.aligned")
        bits |= ((1 << bits_of(count, area.per_bit)) - 1) << ((pfn - area.base) >> area.per_bit)
    if not all(owned(bool(area.bitmap >> n & 1), bool(bits >> n & 1)) for n in range(_bits(area))):
        found.append("large.cma.owned")
    return tuple(found)
