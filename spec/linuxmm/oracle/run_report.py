"""What a run leaves behind, as its kernel would print it: /proc/buddyinfo, pagetypeinfo, zoneinfo, vmstat.

What the model does not count has no line.
"""

from collections.abc import Iterator
from typing import Final

from linuxmm.fast.allocator import Counts
from linuxmm.model.alloc import procfs
from linuxmm.model.alloc.boot import Area
from linuxmm.model.alloc.machine import Machine
from linuxmm.spec.kernel import Arch, Kernel, Version
from linuxmm.spec.vocabulary import MigrateType, ZoneType

_MOBILITY: Final = (MigrateType.UNMOVABLE, MigrateType.MOVABLE, MigrateType.RECLAIMABLE)
_MOBILITY_BEFORE_4_4: Final = (MigrateType.UNMOVABLE, MigrateType.RECLAIMABLE, MigrateType.MOVABLE)


def migratetypes_of(kernel: Kernel) -> tuple[MigrateType, ...]:
    """The migratetypes that a kernel was built with, in the order of its numbers; none before 2.6.24.

    Source    include/linux/mmzone.h:enum migratetype; 2.6.24 to 6.12
    """
    if kernel.version < Version(2, 6, 24):
        return ()
    new = kernel.version >= Version(4, 4)
    types = [
        *(_MOBILITY if new else _MOBILITY_BEFORE_4_4),
        MigrateType.HIGHATOMIC if new else MigrateType.RESERVE,
    ]
    if kernel.config.cma:
        types.append(MigrateType.CMA)
    if kernel.config.memory_isolation:
        types.append(MigrateType.ISOLATE)
    return tuple(types)


def classes_of(kernel: Kernel) -> tuple[ZoneType, ...]:
    """The zone classes that a kernel was built with, in its order.

    Source    include/linux/mmzone.h:enum zone_type; 2.4 to 6.12
    """
    classes = [ZoneType.DMA] if kernel.config.zone_dma and kernel.arch is not Arch.ARM64 else []
    wide = kernel.arch not in (Arch.I386, Arch.I386_PAE)
    if wide and kernel.version >= Version(2, 6, 15):
        classes.append(ZoneType.DMA32)
    classes.append(ZoneType.NORMAL)
    if kernel.config.highmem:
        classes.append(ZoneType.HIGHMEM)
    if kernel.version >= Version(2, 6, 23):
        classes.append(ZoneType.MOVABLE)
    if wide and kernel.version >= Version(4, 3):
        classes.append(ZoneType.DEVICE)
    return tuple(classes)


def printed(
    kernel: Kernel, machine: Machine, areas: tuple[Area, ...], counts: Counts
) -> Iterator[tuple[str, str]]:
    """(title, text) of each file."""
    classes = classes_of(kernel)
    yield "/proc/buddyinfo", procfs.buddyinfo(machine)
    types = migratetypes_of(kernel)
    if types:
        yield "/proc/pagetypeinfo", procfs.pagetypeinfo(machine, types)
    reserves = [[zone.lowmem_reserve[c] for c in classes] for zone in machine.zones]
    zoneinfo = procfs.zoneinfo(machine, reserves, [area.present for area in areas])
    yield "/proc/zoneinfo (in the layout of 5.14 to 6.12)", zoneinfo
    events = procfs.vmstat_events(counts.allocated, counts.freed, classes)
    yield "/proc/vmstat", procfs.vmstat(machine) + events


def figures(machine: Machine, areas: tuple[Area, ...], counts: Counts) -> dict[str, object]:
    """The same numbers for `--json`."""
    zones = machine.zones
    return {
        "buddyinfo": {_name(z.kind): [sum(map(len, row)) for row in z.lists] for z in zones},
        "pageblocks": {_name(z.kind): _pageblocks(z.types) for z in zones},
        "zoneinfo": {
            _name(zone.kind): {
                "free": zone.nr_free,
                "boost": zone.boost,
                "min": zone.watermark[0],
                "low": zone.watermark[1],
                "high": zone.watermark[2],
                "spanned": zone.end - zone.start,
                "present": area.present,
                "managed": zone.managed,
                "protection": list(zone.lowmem_reserve),
                "pagesets": [
                    {"count": p.vars.pages, "high": p.vars.high, "batch": p.vars.batch} for p in zone.pcps
                ],
            }
            for zone, area in zip(zones, areas, strict=True)
        },
        "vmstat": {
            "nr_free_pages": sum(z.nr_free for z in zones),
            "nr_free_cma": sum(z.nr_free_cma for z in zones),
            "pgalloc": {_name(kind): counts.allocated[kind] for kind in {z.kind for z in zones}},
            "pgfree": counts.freed,
        },
    }


def _name(kind: int) -> str:
    return ZoneType(kind).printed


def _pageblocks(types: tuple[int, ...]) -> dict[str, int]:
    return {MigrateType(number).name: types.count(number) for number in sorted(set(types))}
