"""A plain machine of one node: DMA32 below NORMAL, every page free, sizes as the kernel sets them at boot.

What benchmarks and small lockstep machines start from; `linuxmm.model.alloc.boot.boot` brings up real ones.
"""

from linuxmm.model.alloc.boot import Area, boot_areas
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.errors import ImpossibleProfile
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.vocabulary import ZoneType


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
    areas = [Area(0, int(ZoneType.DMA32), 0, dma32, dma32)] if dma32 else []
    areas.append(Area(0, int(ZoneType.NORMAL), dma32, frames, frames - dma32))
    return boot_areas(profile, rules, tuple(areas), [(0, frames)], (0,) * cpus).machine
