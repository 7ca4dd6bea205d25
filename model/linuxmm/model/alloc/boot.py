"""A machine at boot: zones from memory ranges, zonelists, and the first free memory.

Linux: mm/mm_init.c, mm/memblock.c, mm/page_alloc.c.  Seed 2 intro (F001, F002, F003, F006).  2.6 to 6.12.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from immutables import Map

from linuxmm.model.alloc.buddy import free_one_page
from linuxmm.model.alloc.freelist import Pcp, Zone, pageblock_type, set_pageblock_type
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.movable import MemoryRange, MovableOptions, check_options, movable_starts
from linuxmm.model.alloc.movement import MOVABLE, RESERVE, UNMOVABLE, move_freepages_block
from linuxmm.model.alloc.profile import rules_for
from linuxmm.model.alloc.rules import Rules
from linuxmm.model.alloc.sizes import (
    Sysctls,
    check_pagelist_fraction,
    size_pcps,
    totalreserve_pages,
)
from linuxmm.model.alloc.zonelist import Distances, fallback_orders, nofallback_lists, zonelists
from linuxmm.spec.alloc.migratetype import mobility_grouping_disabled
from linuxmm.spec.alloc.pcp import boot_pageset
from linuxmm.spec.alloc.zone import LOCAL_DISTANCE, NO_LIMIT, REMOTE_DISTANCE, zone_limits, zones_disjoint
from linuxmm.spec.arith import align_up, lowest_bit
from linuxmm.spec.errors import ImpossibleProfile, Unmodelled
from linuxmm.spec.kernel import Kernel, Version, behaviour
from linuxmm.spec.registry import verb
from linuxmm.spec.vocabulary import NR_MIGRATETYPES, PAGE_SHIFT, PAGE_SIZE, ZoneType

_LONG_BITS: Final = 6


@dataclass(frozen=True, slots=True)
class Area:
    """One zone before its memory is freed; `present` leaves out holes, `end` is exclusive."""

    node: int
    kind: int
    start: int
    end: int
    present: int


@dataclass(frozen=True, slots=True)
class Options:
    """The command line and the tunables of a boot.

    distances   SLIT matrix; None: 10 on the node, 20 between nodes
    zone_order  numa_zonelist_order=zone (2.6.23 to 4.13)
    page_struct   bytes of a page descriptor, by which kernels up to 3.8 shrink a zone
    dma_reserve   pages reserved in the first zone, as the architecture counts them (up to 3.8)
    """

    movable: MovableOptions = field(default_factory=MovableOptions)
    sysctls: Sysctls = field(default_factory=Sysctls)
    distances: Distances | None = None
    zone_order: bool = False
    page_struct: int = 56
    dma_reserve: int = 0


@dataclass(frozen=True, slots=True)
class Booted:
    """A machine as it comes up.

    areas         as `machine.zones`, with the present pages
    nofallback    zonelists of __GFP_THISNODE
    min_free_kbytes, totalreserve as /proc/sys/vm and the kernel hold them
    """

    kernel: Kernel
    rules: Rules
    machine: Machine
    areas: tuple[Area, ...]
    cpu_nodes: tuple[int, ...]
    nofallback: tuple[tuple[int, ...], ...]
    min_free_kbytes: int
    totalreserve: int


# ---- zones -----------------------------------------------------------------------------------------------


@verb("F001", "F003", source="mm/mm_init.c:free_area_init; 2.4 to 6.12")
def zone_areas(kernel: Kernel, memory: Sequence[MemoryRange], movable: MovableOptions) -> tuple[Area, ...]:
    """The zones that memory ranges form, by node and kind; zones without pages are left out.

    Errors    ImpossibleProfile for overlapping or empty ranges, and for options that the kernel lacked
    """
    _check_memory(memory)
    check_options(kernel, movable)
    dma32 = kernel.version >= Version(2, 6, 15)
    limits = zone_limits(kernel.arch, kernel.config.zone_dma, dma32)
    top = max(r.end for r in memory)
    usable = max(low for low in (0, *(limit for _, limit in limits if limit != NO_LIMIT)) if low < top)
    starts = movable_starts(memory, movable, usable, 1 << (kernel.config.force_max_zoneorder - 1))
    areas = []
    for node in sorted({r.node for r in memory}):
        mine = [r for r in memory if r.node == node]
        split = starts.get(node, NO_LIMIT)
        mixed = movable.mirror and node in starts
        low = 0
        for kind, limit in limits:
            if mixed and kind is ZoneType.NORMAL:
                areas.append(_area([r for r in mine if r.mirrored], kind, low, limit))
            else:
                areas.append(_area(mine, kind, low, min(limit, split)))
            low = limit
        rest = [r for r in mine if not r.mirrored] if mixed else mine
        areas.append(_area(rest, ZoneType.MOVABLE, split, NO_LIMIT))
    found = tuple(sorted((a for a in areas if a.present), key=lambda a: (a.node, a.kind)))
    if not zones_disjoint(tuple((a.start, a.end) for a in found)):
        raise Unmodelled(
            "zones whose spans interleave (mirrored memory above memory that is not, or nodes mixed)"
        )
    return found


def _area(ranges: Sequence[MemoryRange], kind: ZoneType, low: int, high: int) -> Area:
    """The zone that one node's ranges form between two pfns."""
    cut = [(r.node, max(r.start, low), min(r.end, high)) for r in ranges]
    held = [(node, start, end) for node, start, end in cut if start < end]
    if not held:
        return Area(0, int(kind), low, low, 0)
    return Area(
        held[0][0],
        int(kind),
        min(start for _, start, _ in held),
        max(end for _, _, end in held),
        sum(end - start for _, start, end in held),
    )


def _check_memory(memory: Sequence[MemoryRange]) -> None:
    if not memory:
        raise ImpossibleProfile("a machine needs at least one range of memory")
    end = 0
    for r in sorted(memory, key=lambda r: r.start):
        if not 0 <= r.start < r.end:
            raise ImpossibleProfile(f"memory range {r.start}..{r.end} of node {r.node} is empty")
        if r.start < end:
            raise ImpossibleProfile(f"memory range {r.start}..{r.end} of node {r.node} overlaps another")
        end = r.end


def empty_zone(rules: Rules, area: Area, cpus: int, scale_max: int = 5) -> Zone:
    """A zone of which no page is managed yet; all its pageblocks are MOVABLE.

    Source    mm/mm_init.c:memmap_init_zone_range; 2.6.24 to 6.12
    """
    first, last = area.start >> rules.pageblock_order, (area.end - 1) >> rules.pageblock_order
    pcp = Pcp(boot_pageset(scale_max), ((),) * rules.nr_pcp_lists)
    return Zone(
        node=area.node,
        kind=area.kind,
        start=area.start,
        end=area.end,
        managed=0,
        free=Map(),
        lists=(((),) * NR_MIGRATETYPES,) * (rules.max_order + 1),
        cached=Map(),
        in_use=Map(),
        types=(MOVABLE,) * (last - first + 1),
        pageblock_order=rules.pageblock_order,
        pcps=(pcp,) * cpus,
    )


# ---- freeing boot memory ---------------------------------------------------------------------------------


@behaviour(
    "alloc.boot-block",
    since="2.4.0",
    until="2.5.999",
    features=("F012",),
    source="mm/bootmem.c:free_all_bootmem_core; 2.4.22",
)
def boot_block_page(start: int, end: int, max_order: int) -> int:
    """Order of the next block freed at boot: page by page."""
    return 0


@behaviour(
    "alloc.boot-block",
    since="2.6.0",
    until="3.12",
    features=("F012",),
    source="mm/nobootmem.c:__free_pages_memory, mm/bootmem.c:free_all_bootmem_core; 2.6.11 to 3.9",
)
def boot_block_word(start: int, end: int, max_order: int) -> int:
    """Order of the next block freed at boot: a word's worth of pages (64), or single pages at the edges."""
    order = min(_LONG_BITS, max_order)
    return order if start & ((1 << order) - 1) == 0 and start + (1 << order) <= end else 0


@behaviour(
    "alloc.boot-block",
    since="3.13",
    features=("F012",),
    source="mm/memblock.c:__free_pages_memory; 3.15 to 6.12",
)
def boot_block_largest(start: int, end: int, max_order: int) -> int:
    """Order of the next block freed at boot: the largest that is aligned and fits."""
    order = min(max_order, lowest_bit(start)) if start else max_order
    while start + (1 << order) > end:
        order -= 1
    return order


@behaviour(
    "alloc.boot-to-tail",
    since="2.4.0",
    until="5.9",
    features=("F012",),
    source="mm/page_alloc.c:__free_pages_core; 2.6.11 to 5.9",
)
def boot_to_head() -> bool:
    """Boot memory goes to the head of the lists: the last freed, highest, is used first."""
    return False


@behaviour(
    "alloc.boot-to-tail",
    since="5.10",
    features=("F012",),
    source="mm/page_alloc.c:__free_pages_core; 5.10 to 6.12",
)
def boot_to_tail() -> bool:
    """Boot memory goes to the tail of the lists: the lowest is used first."""
    return True


@behaviour(
    "alloc.boot-type",
    since="2.4.0",
    until="2.6.23",
    features=("F012",),
    source="mm/page_alloc.c; 2.6.11 to 2.6.22",
)
def boot_type_single() -> int:
    """The type of pageblocks at boot: there is one."""
    return UNMOVABLE


@behaviour(
    "alloc.boot-type",
    since="2.6.24",
    features=("F016",),
    source="mm/page_alloc.c:memmap_init_zone; 2.6.24 to 6.12",
)
def boot_type_movable() -> int:
    """The type of pageblocks at boot: MOVABLE, from which the other types take."""
    return MOVABLE


@verb("F012", source="mm/memblock.c:__free_pages_memory; 2.6.11 to 6.12")
def free_boot_memory(kernel: Kernel, rules: Rules, zone: Zone, ranges: Iterable[tuple[int, int]]) -> Zone:
    """Hand the pages of `ranges`, as far as they lie in the zone, to the allocator.

    Requires  none of the pages is managed yet
    Ensures   managed and free pages grow by the pages handed over
    """
    next_order = kernel.behaviour("alloc.boot-block").function
    tail = kernel.behaviour("alloc.boot-to-tail").function()
    for low, high in ranges:
        start, end = max(low, zone.start), min(high, zone.end)
        while start < end:
            order = next_order(start, end, rules.max_order)
            assert isinstance(order, int)
            zone = free_one_page(rules, zone, start, order, pageblock_type(zone, start), bool(tail))
            zone = replace(zone, managed=zone.managed + (1 << order))
            start += 1 << order
    return zone


def _without(ranges: Iterable[tuple[int, int]], reserved: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """`ranges` less the reserved ones, in pfn order."""
    free = sorted(ranges)
    for low, high in reserved:
        free = [
            (start, end)
            for a, b in free
            for start, end in ((a, min(b, low)), (max(a, high), b))
            if start < end
        ]
    return free


# ---- MIGRATE_RESERVE -------------------------------------------------------------------------------------


@behaviour(
    "alloc.setup-reserve",
    since="2.4.0",
    until="2.6.23",
    features=("F016",),
    source="mm/page_alloc.c; before 2.6.24",
)
def reserve_unknown(rules: Rules, zone: Zone) -> Zone:
    """No pageblock is set aside."""
    return zone


@behaviour(
    "alloc.setup-reserve",
    since="2.6.24",
    until="2.6.30",
    features=("F013", "F016"),
    source="mm/page_alloc.c:setup_zone_migrate_reserve; 2.6.24, 2.6.26 to 2.6.30",
)
def reserve_min_watermark(rules: Rules, zone: Zone) -> Zone:
    """The first MOVABLE pageblocks are set aside as RESERVE, as many as hold the min watermark."""
    return _set_reserve(rules, zone, align_up(zone.watermark[0], 1 << rules.pageblock_order))


@behaviour(
    "alloc.setup-reserve",
    since="2.6.31",
    until="4.3",
    features=("F013", "F016"),
    source="mm/page_alloc.c:setup_zone_migrate_reserve; 2.6.31 to 4.3",
)
def reserve_two_blocks(rules: Rules, zone: Zone) -> Zone:
    """The first one or two MOVABLE pageblocks without boot reservations are set aside as RESERVE."""
    size = 1 << rules.pageblock_order
    return _set_reserve(rules, zone, min(2 * size, align_up(zone.watermark[0], size)))


def _set_reserve(rules: Rules, zone: Zone, pages: int) -> Zone:
    size = 1 << rules.pageblock_order
    wanted = pages >> rules.pageblock_order
    pfn = align_up(zone.start, size)
    while wanted and pfn < zone.end:
        if pageblock_type(zone, pfn) == MOVABLE and _wholly_managed(zone, pfn, min(pfn + size, zone.end)):
            zone = set_pageblock_type(zone, pfn, RESERVE)
            zone = move_freepages_block(rules, zone, pfn, RESERVE)[0]
            wanted -= 1
        pfn += size
    return zone


@behaviour(
    "alloc.setup-reserve",
    since="4.4",
    features=("F013",),
    source="mm/page_alloc.c:__setup_per_zone_wmarks; 4.4 to 6.12",
)
def reserve_on_demand(rules: Rules, zone: Zone) -> Zone:
    """Nothing is set aside: HIGHATOMIC pageblocks are reserved when atomic requests need them."""
    return zone


def _wholly_managed(zone: Zone, start: int, end: int) -> bool:
    """Whether every page of start..end-1 is free, cached or in use: none was reserved at boot."""
    pfn = start
    while pfn < end:
        for order in range(len(zone.lists)):
            head = pfn & -(1 << order)
            held = zone.free.get(head) or zone.cached.get(head) or zone.in_use.get(head)
            if held is not None and head + (1 << held[0]) > pfn:
                pfn = head + (1 << held[0])
                break
        else:
            return False
    return True


# ---- the boot --------------------------------------------------------------------------------------------


@verb("F001", "F002", "F003", "F017", "F020", source="init/main.c:mm_core_init; mm/page_alloc.c; 2.6 to 6.12")
def boot(
    kernel: Kernel,
    memory: Sequence[MemoryRange],
    cpu_nodes: Sequence[int] = (0,),
    reserved: Sequence[tuple[int, int]] = (),
    options: Options | None = None,
) -> Booted:
    """Bring a machine up: zones, zonelists, free lists, watermarks, reserves, per-CPU lists.

    cpu_nodes   the node of each CPU
    reserved    ranges that stay with the boot loader and the kernel image
    Errors    ImpossibleProfile
    """
    options = options or Options()
    if check_pagelist_fraction(options.sysctls.pagelist_fraction) is not None:
        raise ImpossibleProfile(
            f"percpu_pagelist_fraction {options.sysctls.pagelist_fraction}: 0, or 8 and more"
        )
    areas = zone_areas(kernel, memory, options.movable)
    vm_total = sum(r.end - r.start for r in memory)
    rules = rules_for(kernel)
    if kernel.version >= Version(2, 6, 24) and mobility_grouping_disabled(
        vm_total, 1 << rules.pageblock_order, nr_migratetypes(kernel)
    ):
        rules = rules_for(kernel, True)
    free = _without([(r.start, r.end) for r in memory], reserved)
    return boot_areas(kernel, rules, areas, free, cpu_nodes, options)


def boot_areas(
    kernel: Kernel,
    rules: Rules,
    areas: tuple[Area, ...],
    free: Sequence[tuple[int, int]],
    cpu_nodes: Sequence[int] = (0,),
    options: Options | None = None,
) -> Booted:
    """Bring a machine up whose zones are given, under given rules; `free` are the ranges it may use."""
    options = options or Options()
    kind_at_boot = kernel.behaviour("alloc.boot-type").function()
    zones = []
    for area in areas:
        zone = empty_zone(rules, area, len(cpu_nodes), kernel.config.pcp_batch_scale_max)
        zone = replace(zone, types=(kind_at_boot,) * len(zone.types))  # type: ignore[arg-type]
        zones.append(free_boot_memory(kernel, rules, zone, free))
    return _sized(kernel, rules, areas, tuple(zones), tuple(cpu_nodes), options)


def nr_migratetypes(kernel: Kernel) -> int:
    """MIGRATE_TYPES: the number of migratetypes that a kernel was built with.

    Source    include/linux/mmzone.h:enum migratetype; 2.6.24 to 6.12
    """
    if kernel.version < Version(2, 6, 24):
        return 1
    return 4 + int(kernel.config.cma) + int(kernel.config.memory_isolation)


def sized_pages(
    kernel: Kernel, areas: Sequence[Area], zones: Sequence[Zone], options: Options
) -> tuple[int, ...]:
    """The pages of each zone that watermarks, reserves and per-CPU lists are computed from.

    Source    mm/page_alloc.c:free_area_init_core; 2.4 to 6.12
    """
    rule = kernel.behaviour("alloc.sized-pages").function
    sizes = []
    for area, zone in zip(areas, zones, strict=True):
        memmap = align_up((area.end - area.start) * options.page_struct, PAGE_SIZE) >> PAGE_SHIFT
        reserve = options.dma_reserve if area.kind == ZoneType.DMA else 0
        size = rule(zone.managed, area.present, memmap, reserve)
        assert isinstance(size, int)
        sizes.append(size)
    return tuple(sizes)


def _sized(
    kernel: Kernel,
    rules: Rules,
    areas: tuple[Area, ...],
    zones: tuple[Zone, ...],
    cpu_nodes: tuple[int, ...],
    options: Options,
) -> Booted:
    sysctls = options.sysctls
    sized = sized_pages(kernel, areas, zones, options)
    marks = kernel.behaviour("alloc.setup-marks").function
    marked = marks(kernel, zones, sysctls, sized)
    assert isinstance(marked, tuple)
    zones, kbytes = marked
    set_aside = kernel.behaviour("alloc.setup-reserve").function
    boost = sysctls.watermark_boost_factor if kernel.version >= Version(5, 0) else 0
    done = []
    for zone, size in zip(zones, sized, strict=True):
        zone = size_pcps(kernel, zone, cpu_nodes, sysctls.pagelist_fraction, size)
        kept = set_aside(rules, zone)
        assert isinstance(kept, Zone)
        done.append(replace(kept, boost_factor=boost))
    nodes = sorted({area.node for area in areas})
    nr_nodes = max([*nodes, *cpu_nodes]) + 1
    distances = options.distances or [
        [LOCAL_DISTANCE if a == b else REMOTE_DISTANCE for b in range(nr_nodes)] for a in range(nr_nodes)
    ]
    orders = fallback_orders(kernel, nodes, cpu_nodes, distances)
    named = [(area.node, area.kind) for area in areas]
    machine = Machine(tuple(done), zonelists(kernel, named, orders, options.zone_order), nr_nodes)
    machine = kernel.behaviour("alloc.turns").function(machine)  # type: ignore[assignment]
    return Booted(
        kernel,
        rules,
        machine,
        areas,
        cpu_nodes,
        nofallback_lists(named, nr_nodes),
        kbytes,
        totalreserve_pages(done, sized),
    )
