"""The allocator's state as the kernel prints it: /proc/buddyinfo, pagetypeinfo, zoneinfo and vmstat.

zoneinfo and vmstat have the lines that a machine of the model knows; LRU, slab and event counters belong to
others.

Linux: mm/vmstat.c.  Seed 2.1.1.1, 2.1.1.2, 2.1.1.3, 2.1.1.4 (F010, F012, F016, F017, F020).
buddyinfo since 2.6.0, pagetypeinfo since 2.6.24.
"""

from collections.abc import Callable, Sequence
from typing import Final

from linuxmm.model.alloc.freelist import Zone
from linuxmm.model.alloc.machine import Machine
from linuxmm.spec.alloc.fragmentation import fragmentation_index, unusable_free_index
from linuxmm.spec.arith import cdiv
from linuxmm.spec.registry import verb
from linuxmm.spec.vocabulary import MigrateType, ZoneType

LISTED_AT_MOST: Final = 100000
"""pagetypeinfo stops counting a list there, and says so with a ">" (since 5.4)."""

_PRINTED: Final = {
    MigrateType.UNMOVABLE: "Unmovable",
    MigrateType.MOVABLE: "Movable",
    MigrateType.RECLAIMABLE: "Reclaimable",
    MigrateType.HIGHATOMIC: "HighAtomic",
    MigrateType.ISOLATE: "Isolate",
    MigrateType.CMA: "CMA",
    MigrateType.RESERVE: "Reserve",
    MigrateType.MIRROR: "Mirror",
}


def zone_name(zone: Zone) -> str:
    """The zone's name as the kernel prints it."""
    return ZoneType(zone.kind).printed


@verb("F012", source="mm/vmstat.c:frag_show_print; 2.6 to 6.12")
def buddyinfo(machine: Machine) -> str:
    """/proc/buddyinfo: free blocks by order, a line for each populated zone."""
    return "".join(
        f"Node {z.node}, zone {zone_name(z):>8} "
        + "".join(f"{sum(map(len, row)):6} " for row in z.lists)
        + "\n"
        for z in machine.zones
    )


@verb("F016", source="mm/vmstat.c:pagetypeinfo_show; 2.6.24 to 6.12")
def pagetypeinfo(machine: Machine, migratetypes: Sequence[MigrateType]) -> str:
    """/proc/pagetypeinfo: free blocks by type and order, and pageblocks by type.

    migratetypes  those of the kernel, in the order of its numbers
    """
    order = machine.zones[0].pageblock_order
    parts = [f"Page block order: {order}\nPages per block:  {1 << order}\n\n"]
    for node in sorted({zone.node for zone in machine.zones}):
        zones = [zone for zone in machine.zones if zone.node == node]
        parts += [_free_by_type(zones, migratetypes), _blocks_by_type(zones, migratetypes)]
    return "".join(parts)


def _free_by_type(zones: Sequence[Zone], migratetypes: Sequence[MigrateType]) -> str:
    orders = range(len(zones[0].lists))
    lines = [f"{'Free pages count per migrate type at order':<43} " + "".join(f"{o:6} " for o in orders)]
    lines += [
        f"Node {zone.node:4}, zone {zone_name(zone):>8}, type {_PRINTED[mt]:>12} "
        + "".join(_counted(len(zone.lists[o][mt])) for o in orders)
        for zone in zones
        for mt in migratetypes
    ]
    return "\n".join(lines) + "\n"


def _counted(blocks: int) -> str:
    if blocks >= LISTED_AT_MOST:
        return f">{LISTED_AT_MOST:6} "
    return f"{blocks:6} "


def _blocks_by_type(zones: Sequence[Zone], migratetypes: Sequence[MigrateType]) -> str:
    lines = [f"\n{'Number of blocks type ':<23}" + "".join(f"{_PRINTED[mt]:>12} " for mt in migratetypes)]
    for zone in zones:
        counts = [zone.types.count(mt) for mt in migratetypes]
        line = f"Node {zone.node}, zone {zone_name(zone):>8} " + "".join(f"{n:12} " for n in counts)
        lines.append(line)
    return "\n".join(lines) + "\n"


@verb("F010", source="mm/vmstat.c:unusable_show_print; 2.6.35 to 6.12")
def unusable_index(machine: Machine) -> str:
    """extfrag/unusable_index in debugfs: by order, the share of free memory in blocks too small for it."""
    return _indices(machine, unusable_free_index, "")


@verb("F010", source="mm/vmstat.c:extfrag_show_print; 2.6.35 to 6.12")
def extfrag_index(machine: Machine) -> str:
    """extfrag/extfrag_index in debugfs: by order, whether a request would fail by fragmentation."""
    return _indices(machine, fragmentation_index, "2")


def _indices(machine: Machine, index: Callable[[Sequence[int], int], int], width: str) -> str:
    lines = []
    for zone in machine.zones:
        blocks = [sum(map(len, row)) for row in zone.lists]
        found = [index(blocks, order) for order in range(len(blocks))]
        shown = [f"{cdiv(i, 1000):{width}}.{i - cdiv(i, 1000) * 1000:03} " for i in found]
        lines.append(f"Node {zone.node}, zone {zone_name(zone):>8} " + "".join(shown) + "\n")
    return "".join(lines)


@verb("F017", "F020", source="mm/vmstat.c:zoneinfo_show_print; 5.14 to 6.12")
def zoneinfo(machine: Machine, reserves: Sequence[Sequence[int]] = (), present: Sequence[int] = ()) -> str:
    """The lines of /proc/zoneinfo that the allocator decides, in the kernel's order and widths.

    reserves  per zone the lowmem_reserve array as the kernel lays it out; else by ZoneType number
    present   per zone the pages that are not holes; without it the line is left out
    """
    return "".join(
        _zone_lines(zone, reserves[at] if reserves else zone.lowmem_reserve, present[at : at + 1])
        for at, zone in enumerate(machine.zones)
    )


def _zone_lines(zone: Zone, reserve: Sequence[int], present: Sequence[int]) -> str:
    lines = [
        f"Node {zone.node}, zone {zone_name(zone):>8}",
        f"  pages free     {zone.nr_free}",
        f"        boost    {zone.boost}",
        f"        min      {zone.watermark[0]}",
        f"        low      {zone.watermark[1]}",
        f"        high     {zone.watermark[2]}",
        f"        spanned  {zone.end - zone.start}",
        *(f"        present  {pages}" for pages in present),
        f"        managed  {zone.managed}",
        f"        protection: ({', '.join(map(str, reserve))})",
        f"      nr_free_pages {zone.nr_free}",
        f"      nr_free_cma  {zone.nr_free_cma}",
        "  pagesets",
    ]
    for cpu, pcp in enumerate(zone.pcps):
        lines += [
            f"    cpu: {cpu}",
            f"              count: {pcp.vars.pages}",
            f"              high:  {pcp.vars.high}",
            f"              batch: {pcp.vars.batch}",
        ]
    lines.append(f"  start_pfn:           {zone.start}")
    return "\n".join(lines) + "\n"


@verb("F017", source="mm/vmstat.c:vmstat_show; 2.6 to 6.12")
def vmstat(machine: Machine) -> str:
    """The lines of /proc/vmstat that the allocator's state decides."""
    free = sum(zone.nr_free for zone in machine.zones)
    cma = sum(zone.nr_free_cma for zone in machine.zones)
    return f"nr_free_pages {free}\nnr_free_cma {cma}\n"


@verb("F014", source="mm/vmstat.c:vmstat_text, TEXTS_FOR_ZONES; 2.6 to 6.12")
def vmstat_events(allocated: Sequence[int], freed: int, classes: Sequence[ZoneType]) -> str:
    """The lines of /proc/vmstat that count pages handed out and given back.

    allocated  pages handed out, by ZoneType number
    classes    the zone classes that the kernel was built with
    """
    lines = [f"pgalloc_{'high' if c is ZoneType.HIGHMEM else c.name.lower()} {allocated[c]}" for c in classes]
    return "\n".join([*lines, f"pgfree {freed}"]) + "\n"
