"""A PC as the machine of `run` and `diff`: its memory map, and how a kernel boots on it.

The map is the emulated PC's of the shipped captures: conventional memory below 640 KiB, a hole for devices up
to 1 MiB and, from 3 GiB of memory on, one from 3 to 4 GiB.
"""

from typing import Final

from linuxmm.model.alloc.boot import Booted, Options, boot
from linuxmm.model.alloc.movable import MemoryRange, MovableOptions
from linuxmm.model.alloc.sizes import Sysctls
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.kernel import Arch, Kernel
from linuxmm.spec.vocabulary import PAGE_SHIFT

LEAST: Final = 16
_MIB: Final = 20 - PAGE_SHIFT
_CONVENTIONAL_END: Final = 0x9F
_ONE_MIB: Final = 1 << _MIB
_HOLE: Final = 3 << 10 << _MIB
_4G: Final = 4 << 10 << _MIB
_MOST: Final[dict[Arch, int]] = {Arch.I386: 3 << 10, Arch.I386_PAE: 60 << 10}


def pc_memory(megabytes: int) -> tuple[MemoryRange, ...]:
    """The ranges of page frames that a PC with so much memory has.

    Errors    LinuxmmError below 16 MiB
    """
    if megabytes < LEAST:
        raise LinuxmmError(f"{megabytes} MiB of memory: expected {LEAST} or more")
    frames = megabytes << _MIB
    low = min(frames, _HOLE)
    ranges = [MemoryRange(0, 1, _CONVENTIONAL_END), MemoryRange(0, _ONE_MIB, low)]
    if frames > low:
        ranges.append(MemoryRange(0, _4G, _4G + frames - low))
    return tuple(ranges)


def boot_pc(
    kernel: Kernel,
    megabytes: int,
    cpus: int = 1,
    movablecore: int = 0,
    sysctls: Sysctls | None = None,
) -> Booted:
    """A kernel on a PC, as it comes up with all memory free.

    movablecore  MiB of ZONE_MOVABLE (2.6.23)
    Errors    LinuxmmError, ImpossibleProfile
    """
    most = _MOST.get(kernel.arch, 1 << 20)
    if megabytes > most:
        raise LinuxmmError(f"{megabytes} MiB of memory on {kernel.arch.value}: expected {most} or less")
    options = Options(movable=MovableOptions(movablecore=movablecore << _MIB), sysctls=sysctls or Sysctls())
    return boot(kernel, pc_memory(megabytes), (0,) * cpus, options=options)
