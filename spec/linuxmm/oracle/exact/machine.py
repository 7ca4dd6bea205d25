"""From a mark of a capture to a kernel profile and the model's machine.

Migratetype numbers of the kernel become linuxmm's here and nowhere else.
"""

import re
from collections.abc import Mapping
from typing import Final

from immutables import Map

from linuxmm.model.alloc.freelist import Pcp, Zone
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.profile import rules_for
from linuxmm.model.alloc.rules import Rules
from linuxmm.oracle.formats import state as evidence
from linuxmm.oracle.formats.capture import Description
from linuxmm.oracle.observations import Numbering, numbering
from linuxmm.spec.alloc.pcp import NR_LOWORDER_PCP_LISTS, PcpVars
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.kernel import Arch, Kernel, Version, kernel, parse_version
from linuxmm.spec.vocabulary import NR_MIGRATETYPES, MigrateType, ZoneType

_DEBIAN: Final = re.compile(r"Debian (\d+\.\d+\.\d+)-")
_ARCHES: Final = {
    "x86_64": Arch.X86_64,
    "aarch64": Arch.ARM64,
    "arm64": Arch.ARM64,
    "i686": Arch.I386_PAE,
    "i386": Arch.I386,
}
_ZONE_NAMES: Final = {kind.printed: kind for kind in ZoneType}
ZONE_RECLAIM_ACTIVE: Final = 1
ZONE_BELOW_HIGH: Final = 2


def version_of(description: Description) -> Version:
    """The upstream version of the captured kernel; a distribution's release string hides the patch level."""
    stated = _DEBIAN.search(description.kernel.uname)
    return parse_version(stated[1] if stated else description.kernel.release)


def kernel_of(description: Description, state: evidence.MachineState, version: str | None = None) -> Kernel:
    """The profile of a captured kernel: version, architecture, and what its state shows of its configuration.

    version: judge as if the kernel were this one
    Errors    ImpossibleProfile, Unmodelled
    """
    arch = _ARCHES.get(description.machine.arch)
    if arch is None:
        raise Unmodelled(f"architecture {description.machine.arch!r}")
    lists = max((len(p.lists) for _, z in state.zones() for p in z.pcp.values()), default=0)
    return kernel(
        version or str(version_of(description)),
        arch,
        cma="CMA" in state.migratetypes,
        transparent_hugepage=lists > NR_LOWORDER_PCP_LISTS,
        smp=True,
    )


def rules_of(profile: Kernel, state: evidence.MachineState) -> Rules:
    """The allocator rules of a captured kernel."""
    order = state.pageblock_order or evidence.DEFAULT_PAGEBLOCK_ORDER
    return rules_for(profile, bool(state.page_group_by_mobility_disabled), order)


def machine_of(state: evidence.MachineState, rules: Rules) -> Machine:
    """The model's machine at a mark.

    Ensures   lists in order; counters as the free lists have them
    """
    names = numbering(state.migratetypes)
    cpus = max(state.cpus) + 1
    zones = tuple(
        _zone(node.nid, zone, state, rules, names, cpus) for node, zone in state.zones() if zone.managed
    )
    return Machine(zones, _zonelists(zones, state), len(state.nodes))


def _zonelists(zones: tuple[Zone, ...], state: evidence.MachineState) -> tuple[tuple[int, ...], ...]:
    """Zonelists in node order, nearest first; distances of captured machines grow with the node number.

    Source    mm/page_alloc.c:build_zonelists
    """
    nodes = [node.nid for node in state.nodes]
    lists = []
    for local in range(max(nodes) + 1):
        order = sorted(nodes, key=lambda n: (n != local, (n - local) % (max(nodes) + 1)))
        lists.append(
            tuple(
                index
                for node in order
                for index in sorted(
                    (i for i, z in enumerate(zones) if z.node == node), key=lambda i: -zones[i].kind
                )
            )
        )
    return tuple(lists)


def kind_of(zone: evidence.Zone) -> int:
    """The ZoneType number of a captured zone."""
    return int(_ZONE_NAMES[zone.name])


def _zone(
    nid: int, zone: evidence.Zone, state: evidence.MachineState, rules: Rules, names: Numbering, cpus: int
) -> Zone:
    lists: list[list[tuple[int, ...]]] = [[()] * NR_MIGRATETYPES for _ in range(rules.max_order + 1)]
    free: dict[int, tuple[int, int]] = {}
    for order, area in enumerate(zone.free_area):
        for number, heads in enumerate(area.lists):
            ours = names.ours[number]
            lists[order][ours] = heads
            free.update((pfn, (order, ours)) for pfn in heads)
    types = tuple(names.ours[number] for number in zone.pageblock_types())
    order = rules.pageblock_order
    pcps, cached = _pcps(zone, rules, types, cpus)
    return Zone(
        node=nid,
        kind=kind_of(zone),
        start=zone.start_pfn,
        end=zone.end_pfn,
        managed=zone.managed,
        free=Map(free),
        lists=tuple(tuple(row) for row in lists),
        cached=Map(cached),
        in_use=Map(_movable(zone, state, nid)),
        types=types,
        pageblock_order=order,
        pcps=pcps,
        watermark=(zone.watermark[0], zone.watermark[1], zone.watermark[2]),
        boost=zone.watermark_boost,
        boost_factor=state.watermark_boost_factor,
        lowmem_reserve=_reserves(zone.lowmem_reserve, state),
        nr_free=zone.counter("NR_FREE_PAGES"),
        nr_free_cma=zone.counter("NR_FREE_CMA_PAGES"),
        nr_free_highatomic=sum(len(row[MigrateType.HIGHATOMIC]) << at for at, row in enumerate(lists) if row),
        reserved_highatomic=zone.nr_reserved_highatomic,
        nr_isolated=zone.nr_isolate_pageblock,
        reclaim_active=bool(zone.flags >> ZONE_RECLAIM_ACTIVE & 1),
        below_high=bool(zone.flags >> ZONE_BELOW_HIGH & 1),
        boosted_watermark=bool(zone.flags & 1),
    )


def _movable(zone: evidence.Zone, state: evidence.MachineState, nid: int) -> Mapping[int, tuple[int, int]]:
    """Pages of a zone on the node's LRU lists, where the state has them: in use and movable."""
    lists = next(node.lru for node in state.nodes if node.nid == nid) or {}
    runs = (pfn for first, count in zone.movable or () for pfn in range(first, first + count))
    pages = (
        runs
        if zone.movable is not None
        else (pfn for heads in lists.values() if isinstance(heads, tuple) for pfn in heads)
    )
    return {pfn: (0, 1) for pfn in pages if zone.start_pfn <= pfn < zone.end_pfn}


def _reserves(stated: tuple[int, ...], state: evidence.MachineState) -> tuple[int, ...]:
    """lowmem_reserve by ZoneType number from the kernel's array, which leaves out zones not configured."""
    highmem = any(zone.name == "HighMem" for _, zone in state.zones())
    if len(stated) >= 6:
        return tuple(stated[:6])
    if highmem:  # DMA, Normal, HighMem, Movable
        dma, normal, high, movable = (*stated, 0, 0, 0, 0)[:4]
        return (dma, dma, normal, high, movable, movable)
    dma, dma32, normal, movable, device = (*stated, 0, 0, 0, 0, 0)[:5]
    return (dma, dma32, normal, normal, movable, device)


def _pcps(
    zone: evidence.Zone, rules: Rules, types: tuple[int, ...], cpus: int
) -> tuple[tuple[Pcp, ...], Mapping[int, tuple[int, int]]]:
    cached: dict[int, tuple[int, int]] = {}
    pcps = []
    for cpu in range(cpus):
        stated = zone.pcp.get(str(cpu))
        if stated is None:
            pcps.append(Pcp(PcpVars(0, 1, 0, 0, 0, 0, 0, 0, 5), ((),) * rules.nr_pcp_lists))
            continue
        for index, heads in enumerate(stated.lists):
            order = rules.pcp_order(index, rules.pageblock_order)
            for pfn in heads:
                block = (pfn >> rules.pageblock_order) - (zone.start_pfn >> rules.pageblock_order)
                cached[pfn] = (order, _listed_type(index, order, types[block]))
        pcps.append(Pcp(_vars(stated), tuple(stated.lists)))
    return tuple(pcps), cached


def _listed_type(index: int, order: int, block_type: int) -> int:
    """The type noted for a cached block, which the evidence lacks: its list's, or CMA or HIGHATOMIC."""
    if block_type > MigrateType.RECLAIMABLE or index >= NR_LOWORDER_PCP_LISTS:
        return block_type
    return index - 3 * order


def _vars(stated: evidence.PerCpuPages) -> PcpVars:
    high_min = stated.high if stated.high_min is None else stated.high_min
    high_max = stated.high if stated.high_max is None else stated.high_max
    factor = stated.free_factor if stated.alloc_factor is None else stated.alloc_factor
    return PcpVars(
        stated.count,
        stated.batch,
        stated.high,
        high_min,
        high_max,
        factor or 0,
        stated.free_count or 0,
        stated.flags or 0,
        5,
    )
