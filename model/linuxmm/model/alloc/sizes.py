"""The numbers that a kernel derives from the size of memory: watermarks, reserves, sizes of per-CPU lists.

They are computed at boot, again when a sysctl is written, and (since 5.4, F025) for the per-CPU lists once
deferred initialisation has handed over the rest of the memory.

Linux: mm/page_alloc.c.  Seed 2.1.1.3, 2.1.1.4 (F017, F020, F025).  2.5 to 6.12.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from linuxmm.model.alloc.freelist import Pcp, Zone
from linuxmm.spec.alloc.pcp import (
    MIN_PERCPU_PAGELIST_HIGH_FRACTION,
    PcpVars,
    batch_doubled,
    batch_size,
    batch_unrounded,
    high_from_fraction,
    high_shared_by_cpus,
    high_six_batches,
)
from linuxmm.spec.alloc.watermark import (
    lowmem_reserve,
    min_free_kbytes,
    min_share,
    small_zone_min,
    zone_total_reserve,
)
from linuxmm.spec.arith import clamp
from linuxmm.spec.kernel import Kernel, Version, behaviour
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Err, Errno
from linuxmm.spec.vocabulary import PAGE_SHIFT, ZoneType

RESERVE_RATIO: Final = (256, 256, 32, 0, 0, 0)
"""lowmem_reserve_ratio by ZoneType number; NORMAL's matters only below HIGHMEM or MOVABLE."""

RESERVE_RATIO_2_4: Final = (256, 256, 32, 0, 0, 0)
"""lower_zone_reserve_ratio, since 2.4.23."""


@dataclass(frozen=True, slots=True)
class Sysctls:
    """The tunables that enter; min_free_kbytes None: the kernel's own choice.

    watermark_scale_factor in 1/10000; reserve_ratio by ZoneType number; pagelist_fraction 0: not set
    """

    min_free_kbytes: int | None = None
    watermark_scale_factor: int = 10
    watermark_boost_factor: int = 15000
    reserve_ratio: tuple[int, ...] = RESERVE_RATIO
    pagelist_fraction: int = 0


# ---- which pages count -----------------------------------------------------------------------------------


@behaviour(
    "alloc.sized-pages",
    since="2.4.0",
    until="2.6.18",
    features=("F003", "F017"),
    source="mm/page_alloc.c:free_area_init_core; 2.4.0, 2.4.22, 2.6.11, 2.6.18",
)
def sized_present(managed: int, present: int, memmap: int, dma_reserve: int) -> int:
    """Pages of a zone that sizes are computed from: those present, boot reservations included."""
    return present


@behaviour(
    "alloc.sized-pages",
    since="2.6.19",
    until="3.8",
    features=("F003", "F017"),
    source="mm/page_alloc.c:free_area_init_core; 2.6.19, 2.6.20, 2.6.24, 2.6.39, 3.5, 3.7, 3.8",
)
def sized_present_less_memmap(managed: int, present: int, memmap: int, dma_reserve: int) -> int:
    """Pages of a zone that sizes are computed from: those present, less its page descriptors.

    dma_reserve: boot reservations in the first zone, which the architecture counted; 0 for other zones
    """
    pages = present - memmap if present >= memmap else present
    return pages - dma_reserve if pages > dma_reserve else pages


@behaviour(
    "alloc.sized-pages",
    since="3.9",
    features=("F003", "F017"),
    source="mm/page_alloc.c:__setup_per_zone_wmarks, zone_batchsize; 3.10 to 6.12",
)
def sized_managed(managed: int, present: int, memmap: int, dma_reserve: int) -> int:
    """Pages of a zone that sizes are computed from: those that the allocator manages."""
    return managed


def _managed(zones: Sequence[Zone]) -> tuple[int, ...]:
    return tuple(zone.managed for zone in zones)


# ---- watermarks ------------------------------------------------------------------------------------------


def chosen_min_free_kbytes(kernel: Kernel, zones: Sequence[Zone], sized: Sequence[int] | None = None) -> int:
    """min_free_kbytes as the kernel computes it from the zones that GFP_KERNEL may use.

    sized     pages of each zone that count (`alloc.sized-pages`); None: the managed ones
    Requires  zones as the boot node's zonelist has them
    Source    mm/page_alloc.c:calculate_min_free_kbytes, nr_free_buffer_pages
    """
    pairs = zip(zones, sized or _managed(zones), strict=True)
    pages = sum(max(0, size - z.watermark[2]) for z, size in pairs if z.kind <= ZoneType.NORMAL)
    cap = kernel.behaviour("alloc.min-free-cap").function()
    assert isinstance(cap, int)
    return min_free_kbytes(pages << (PAGE_SHIFT - 10), cap)


@verb("F017", source="mm/page_alloc.c:__setup_per_zone_wmarks; 2.6.11 to 6.12")
def setup_watermarks(
    kernel: Kernel,
    zones: Sequence[Zone],
    kbytes: int,
    scale_factor: int,
    sized: Sequence[int] | None = None,
) -> tuple[Zone, ...]:
    """Every zone with its watermarks; a boost is forgotten.

    kbytes    min_free_kbytes
    sized     pages of each zone that count (`alloc.sized-pages`); None: the managed ones
    Ensures   min <= low <= high
    """
    is_lowmem = kernel.behaviour("alloc.lowmem-zone").function
    distance = kernel.behaviour("alloc.watermark-distance").function
    pages_min = kbytes >> (PAGE_SHIFT - 10)
    sized = sized or _managed(zones)
    lowmem = sum(size for zone, size in zip(zones, sized, strict=True) if is_lowmem(zone.kind))
    done = []
    for zone, size in zip(zones, sized, strict=True):
        share = min_share(pages_min, size, lowmem) if lowmem else 0
        minimum = share if is_lowmem(zone.kind) else small_zone_min(size)
        low_high = distance(minimum, share, size, scale_factor)
        assert isinstance(low_high, tuple)
        done.append(replace(zone, watermark=(minimum, *low_high), boost=0))
    return tuple(done)


@behaviour(
    "alloc.balance-ratio",
    since="2.4.0",
    until="2.4.9",
    features=("F017",),
    source="mm/page_alloc.c:zone_balance_ratio, zone_balance_min; 2.4.0",
)
def balance_small_dma(kind: int) -> tuple[int, int]:
    """(divisor, floor) of a zone's pages_min: a larger part of DMA."""
    return (32 if kind == ZoneType.DMA else 128), 10


@behaviour(
    "alloc.balance-ratio",
    since="2.4.10",
    until="2.5.999",
    features=("F017",),
    source="mm/page_alloc.c:zone_balance_ratio, zone_balance_min; 2.4.16, 2.4.22, 2.4.32",
)
def balance_evenly(kind: int) -> tuple[int, int]:
    """(divisor, floor) of a zone's pages_min."""
    return 128, 20


@behaviour(
    "alloc.setup-marks",
    since="2.4.0",
    until="2.5.999",
    features=("F017",),
    source="mm/page_alloc.c:free_area_init_core; 2.4.0, 2.4.16, 2.4.22, 2.4.32",
)
def marks_by_ratio(
    kernel: Kernel, zones: tuple[Zone, ...], sysctls: Sysctls, sized: Sequence[int]
) -> tuple[tuple[Zone, ...], int]:
    """(zones, 0): pages_min is a part of the zone, within bounds; low and high are two and three times that.

    Since 2.4.23 each zone keeps back pages from requests that could use higher ones; there is no
    min_free_kbytes.
    """
    ratio = kernel.behaviour("alloc.balance-ratio").function
    done = []
    for zone, size in zip(zones, sized, strict=True):
        bounds = ratio(zone.kind)
        assert isinstance(bounds, tuple)
        least = clamp(size // bounds[0], bounds[1], 255)
        done.append(replace(zone, watermark=(least, 2 * least, 3 * least)))
    if kernel.version < Version(2, 4, 23):
        return tuple(done), 0
    return setup_lowmem_reserve(done, RESERVE_RATIO_2_4, sized), 0


@behaviour(
    "alloc.setup-marks",
    since="2.6.0",
    features=("F017",),
    source="mm/page_alloc.c:init_per_zone_wmark_min; 2.6.11 to 6.12",
)
def marks_by_reserve(
    kernel: Kernel, zones: tuple[Zone, ...], sysctls: Sysctls, sized: Sequence[int]
) -> tuple[tuple[Zone, ...], int]:
    """(zones, min_free_kbytes): the reserve divided among the zones."""
    kbytes = sysctls.min_free_kbytes
    if kbytes is None:
        kbytes = chosen_min_free_kbytes(kernel, zones, sized)
    zones = setup_watermarks(kernel, zones, kbytes, sysctls.watermark_scale_factor, sized)
    return setup_lowmem_reserve(zones, sysctls.reserve_ratio, sized), kbytes


@verb("F017", source="mm/page_alloc.c:setup_per_zone_lowmem_reserve; 2.6.11 to 6.12")
def setup_lowmem_reserve(
    zones: Sequence[Zone], ratio: Sequence[int] = RESERVE_RATIO, sized: Sequence[int] | None = None
) -> tuple[Zone, ...]:
    """Every zone with the pages that it keeps back from requests that could use higher zones of its node.

    sized     pages of each zone that count (`alloc.sized-pages`); None: the managed ones
    Ensures   0 for the zone's own class and below; never less for a higher class
    """
    pairs = tuple(zip(zones, sized or _managed(zones), strict=True))
    done = []
    for zone, size in pairs:
        upper = [sum(s for z, s in pairs if z.node == zone.node and z.kind == k) for k in range(6)]
        reserve = tuple(
            lowmem_reserve(sum(upper[zone.kind + 1 : j + 1]), size, ratio[zone.kind]) if j > zone.kind else 0
            for j in range(6)
        )
        done.append(replace(zone, lowmem_reserve=reserve))
    return tuple(done)


def totalreserve_pages(zones: Sequence[Zone], sized: Sequence[int] | None = None) -> int:
    """Pages that user space cannot count on.

    sized     pages of each zone that count (`alloc.sized-pages`); None: the managed ones
    Source    mm/page_alloc.c:calculate_totalreserve_pages; 2.6.17 to 6.12
    """
    return sum(
        zone_total_reserve(size, max(zone.lowmem_reserve), zone.watermark[2])
        for zone, size in zip(zones, sized or _managed(zones), strict=True)
    )


# ---- per-CPU lists ---------------------------------------------------------------------------------------


@behaviour(
    "alloc.pcp-size",
    since="2.4.0",
    until="2.6.11",
    features=("F020",),
    source="mm/page_alloc.c:free_area_init_core; 2.6.11",
)
def size_unrounded(v: PcpVars, managed: int, low: int, limit: int, cpus: int, fraction: int) -> PcpVars:
    """Six batches hot, two cold, not rounded; refilled at two batches; no vm.percpu_pagelist_fraction."""
    return _hot_and_cold(v, batch_unrounded(managed, limit))


def _hot_and_cold(v: PcpVars, batch: int) -> PcpVars:
    return v._replace(
        batch=batch, high=high_six_batches(batch), high_min=2 * batch, high_max=batch, factor=2 * batch
    )


@behaviour(
    "alloc.pcp-size",
    since="2.6.12",
    until="2.6.14",
    features=("F020",),
    source="mm/page_alloc.c:free_area_init_core, setup_pageset; 2.6.12 to 2.6.14",
)
def size_doubled(v: PcpVars, managed: int, low: int, limit: int, cpus: int, fraction: int) -> PcpVars:
    """As before; the batch is rounded up."""
    return _hot_and_cold(v, batch_doubled(managed, limit))


@behaviour(
    "alloc.pcp-size",
    since="2.6.15",
    until="2.6.24",
    features=("F020",),
    source="mm/page_alloc.c:setup_pageset; 2.6.15 to 2.6.24 (the fraction since 2.6.16)",
)
def size_pair(v: PcpVars, managed: int, low: int, limit: int, cpus: int, fraction: int) -> PcpVars:
    """Six batches hot, or that part of the zone; two cold, in half batches; refilled when empty."""
    raw = batch_size(managed, limit)
    high, batch = high_six_batches(raw), max(1, raw)
    if fraction:
        high, batch = high_from_fraction(managed, fraction)
    return v._replace(batch=batch, high=high, high_min=2 * raw, high_max=max(1, raw // 2), factor=0)


@behaviour(
    "alloc.pcp-size",
    since="2.6.25",
    until="5.13",
    features=("F020",),
    source="mm/page_alloc.c:pageset_set_high_and_batch, setup_pagelist_highmark; 2.6.28 to 5.11",
)
def size_six_batches(v: PcpVars, managed: int, low: int, limit: int, cpus: int, fraction: int) -> PcpVars:
    """Six batches, or with vm.percpu_pagelist_fraction that part of the zone."""
    raw = batch_size(managed, limit)
    high, batch = high_six_batches(raw), max(1, raw)
    if fraction:
        high, batch = high_from_fraction(managed, fraction)
    return v._replace(batch=batch, high=high, high_min=high, high_max=high)


@behaviour(
    "alloc.pcp-size",
    since="5.14",
    until="6.6",
    features=("F020", "F027"),
    source="mm/page_alloc.c:zone_highsize; 5.14 to 6.6",
)
def size_shared_low_mark(v: PcpVars, managed: int, low: int, limit: int, cpus: int, fraction: int) -> PcpVars:
    """The low watermark, or vm.percpu_pagelist_high_fraction of the zone, divided among the node's CPUs."""
    batch = max(1, batch_size(managed, limit))
    high = high_shared_by_cpus(managed // fraction if fraction else low, cpus, batch)
    return v._replace(batch=batch, high=high, high_min=high, high_max=high)


@behaviour(
    "alloc.pcp-size",
    since="6.7",
    features=("F020", "F027"),
    source="mm/page_alloc.c:zone_set_pageset_high_and_batch; 6.7 to 6.12",
)
def size_between_bounds(v: PcpVars, managed: int, low: int, limit: int, cpus: int, fraction: int) -> PcpVars:
    """Bounds within which high adapts; high itself stays what it is until the next use clamps it."""
    batch = max(1, batch_size(managed, limit))
    if fraction:
        high_min = high_max = high_shared_by_cpus(managed // fraction, cpus, batch)
    else:
        high_min = high_shared_by_cpus(low, cpus, batch)
        high_max = high_shared_by_cpus(managed // MIN_PERCPU_PAGELIST_HIGH_FRACTION, cpus, batch)
    return v._replace(batch=batch, high_min=high_min, high_max=high_max)


@verb("F020", "F025", source="mm/page_alloc.c:setup_zone_pageset, zone_pcp_update, page_alloc_init_late")
def size_pcps(
    kernel: Kernel, zone: Zone, cpu_nodes: Sequence[int], fraction: int = 0, sized: int | None = None
) -> Zone:
    """The zone with the sizes of its per-CPU lists computed from its memory as it is now.

    cpu_nodes  the node of each online CPU
    sized      pages of the zone that count (`alloc.sized-pages`); None: the managed ones
    Ensures   lists and counts unchanged
    """
    if not zone.pcps[0].lists:
        return zone
    limit = kernel.behaviour("alloc.pcp-batch-limit").function()
    size = kernel.behaviour("alloc.pcp-size").function
    local = sum(node == zone.node for node in cpu_nodes) or len(cpu_nodes)
    pcps = []
    for pcp in zone.pcps:
        v = size(
            pcp.vars, zone.managed if sized is None else sized, zone.watermark[1], limit, local, fraction
        )
        assert isinstance(v, PcpVars)
        pcps.append(Pcp(v, pcp.lists))
    return replace(zone, pcps=tuple(pcps))


@behaviour(
    "alloc.deferred-meminit-pcp",
    since="4.2",
    until="5.3",
    features=("F025",),
    source="mm/page_alloc.c:page_alloc_init_late; 4.2 to 5.2",
)
def deferred_leaves_pcps(
    kernel: Kernel, zones: tuple[Zone, ...], cpu_nodes: Sequence[int]
) -> tuple[Zone, ...]:
    """After deferred initialisation the per-CPU lists keep the sizes of the little memory known at boot."""
    return zones


@behaviour(
    "alloc.deferred-meminit-pcp",
    since="5.4",
    features=("F025",),
    source="mm/page_alloc.c:page_alloc_init_late; 5.4 to 6.12",
)
def deferred_resizes_pcps(
    kernel: Kernel, zones: tuple[Zone, ...], cpu_nodes: Sequence[int]
) -> tuple[Zone, ...]:
    """After deferred initialisation the per-CPU lists of every zone are sized again."""
    return tuple(size_pcps(kernel, zone, cpu_nodes) for zone in zones)


def check_pagelist_fraction(fraction: int) -> Err | None:
    """EINVAL for vm.percpu_pagelist_fraction (percpu_pagelist_high_fraction since 5.14) between 1 and 7.

    Source    mm/page_alloc.c:percpu_pagelist_high_fraction_sysctl_handler
    """
    if fraction < 0 or 0 < fraction < MIN_PERCPU_PAGELIST_HIGH_FRACTION:
        return Err(Errno.EINVAL)
    return None
