"""Names and units that every area shares.

A pfn is a page frame number (physical address >> PAGE_SHIFT); an order is the base-2 logarithm of a
number of pages.  The NewTypes stand at API boundaries; formulas work on plain `int`.

Seed 2 intro (F001, F002, F003).
"""

from enum import IntEnum
from typing import Final, NewType

Pfn = NewType("Pfn", int)
Order = NewType("Order", int)
NodeId = NewType("NodeId", int)
CpuId = NewType("CpuId", int)

PAGE_SHIFT: Final = 12
PAGE_SIZE: Final = 1 << PAGE_SHIFT
PAGE_ALLOC_COSTLY_ORDER: Final = 3
SWAP_CLUSTER_MAX: Final = 32


class MigrateType(IntEnum):
    """Mobility of a page, a free list or a pageblock.

    The numbers are those of 4.4 and later without CONFIG_CMA; `kernel_number` of a profile gives the
    number that a particular kernel prints.  RESERVE existed from 2.6.24 to 4.3, HIGHATOMIC since 4.4,
    CMA since 3.5, MIRROR only in the RFC of 2015.  A kernel without migratetypes (up to 2.6.23) keeps
    everything on UNMOVABLE.
    """

    UNMOVABLE = 0
    MOVABLE = 1
    RECLAIMABLE = 2
    HIGHATOMIC = 3
    ISOLATE = 4
    CMA = 5
    RESERVE = 6
    MIRROR = 7


NR_MIGRATETYPES: Final = 8
MIGRATE_PCPTYPES: Final = 3


class ZoneType(IntEnum):
    """Address class of a zone; a request may use its own class and every lower one."""

    DMA = 0
    DMA32 = 1
    NORMAL = 2
    HIGHMEM = 3
    MOVABLE = 4
    DEVICE = 5

    @property
    def printed(self) -> str:
        """The name that /proc/zoneinfo prints."""
        return _PRINTED[self]


_PRINTED: Final = {
    ZoneType.DMA: "DMA",
    ZoneType.DMA32: "DMA32",
    ZoneType.NORMAL: "Normal",
    ZoneType.HIGHMEM: "HighMem",
    ZoneType.MOVABLE: "Movable",
    ZoneType.DEVICE: "Device",
}


class Watermark(IntEnum):
    """Index into a zone's watermarks."""

    MIN = 0
    LOW = 1
    HIGH = 2
    PROMO = 3
