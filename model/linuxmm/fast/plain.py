"""A plain machine of one node: DMA32 below NORMAL, all free and MOVABLE, sizes as the kernel sets them.

What workloads and benchmarks start from; boot with its holes and reservations is not modelled here.
"""

from typing import Final

from immutables import Map

from linuxmm.model.alloc.freelist import Pcp, Zone
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.pcp import PcpVars, batch_size, high_shared_by_cpus, high_six_batches
from linuxmm.spec.alloc.watermark import lowmem_reserve, min_free_kbytes, min_share
from linuxmm.spec.errors import ImpossibleProfile
from linuxmm.spec.kernel import Kernel, Version
from linuxmm.spec.vocabulary import NR_MIGRATETYPES, MigrateType, ZoneType

_RATIO: Final = 256
_SCALE_FACTOR: Final = 10
_BOOST_FACTOR: Final = 15000
_SCALE_MAX: Final = 5


def plain_machine(profile: Kernel, rules: Rules, frames: int, cpus: int = 1, dma32: int = 0) -> Machine:
    """`frames` page frames, the first `dma32` of them in zone DMA32.

    Requires  frames and dma32 are multiples of a block of max_order, dma32 < frames
    Errors    ImpossibleProfile
    """
    block = 1 << rules.max_order
    if frames % block or dma32 % block or not 0 <= dma32 < frames or cpus < 1:
        raise ImpossibleProfile(
            f"{frames} frames with {dma32} in DMA32 and {cpus} CPUs: expected multiples of {block} and a CPU"
        )
    spans = [(ZoneType.DMA32, 0, dma32)] if dma32 else []
    spans.append((ZoneType.NORMAL, dma32, frames))
    zones = tuple(
        _zone(profile, rules, int(kind), start, end, frames, cpus, frames - end) for kind, start, end in spans
    )
    return Machine(zones, (tuple(reversed(range(len(zones)))),))


def _zone(
    profile: Kernel, rules: Rules, kind: int, start: int, end: int, frames: int, cpus: int, above: int
) -> Zone:
    managed = end - start
    movable = int(MigrateType.MOVABLE) if profile.version >= Version(2, 6, 24) else int(MigrateType.UNMOVABLE)
    heads = range(start, end, 1 << rules.max_order)
    listed = tuple(heads) if profile.version >= Version(5, 10) else tuple(reversed(heads))
    empty = ((),) * NR_MIGRATETYPES
    full = (*empty[:movable], listed, *empty[movable + 1 :])
    watermark = _watermarks(profile, managed, frames)
    reserve = lowmem_reserve(above, managed, _RATIO) if above else 0
    return Zone(
        node=0,
        kind=kind,
        start=start,
        end=end,
        managed=managed,
        free=Map(dict.fromkeys(heads, (rules.max_order, movable))),
        lists=(empty,) * rules.max_order + (full,),
        cached=Map(),
        in_use=Map(),
        types=(movable,) * (managed >> rules.pageblock_order),
        pageblock_order=rules.pageblock_order,
        pcps=(Pcp(_pcp_vars(profile, managed, watermark[1], cpus), ((),) * rules.nr_pcp_lists),) * cpus,
        watermark=watermark,
        boost_factor=_BOOST_FACTOR if profile.version >= Version(5, 0) else 0,
        lowmem_reserve=tuple(reserve if at > kind else 0 for at in range(6)),
        nr_free=managed,
    )


def _watermarks(profile: Kernel, managed: int, frames: int) -> tuple[int, int, int]:
    cap = profile.behaviour("alloc.min-free-cap").function()
    assert isinstance(cap, int)
    pages_min = min_free_kbytes(frames << 2, cap) >> 2
    share = min_share(pages_min, managed, frames)
    low_high = profile.behaviour("alloc.watermark-distance").function(share, share, managed, _SCALE_FACTOR)
    assert isinstance(low_high, tuple)
    return share, int(low_high[0]), int(low_high[1])


def _pcp_vars(profile: Kernel, managed: int, low: int, cpus: int) -> PcpVars:
    limit = profile.behaviour("alloc.pcp-batch-limit").function()
    assert isinstance(limit, int)
    raw = batch_size(managed, limit)
    batch = max(raw, 1)
    if profile.version < Version(5, 14):
        high = high_six_batches(raw)
        return PcpVars(0, batch, high, high, high, 0, 0, 0, _SCALE_MAX)
    high = high_shared_by_cpus(low, cpus, batch)
    most = high_shared_by_cpus(managed // 8, cpus, batch) if profile.version >= Version(6, 7) else high
    return PcpVars(0, batch, high, high, most, 0, 0, 0, _SCALE_MAX)
