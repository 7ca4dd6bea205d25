"""GFP words: what a request may use, and how hard it may try.

One canonical word serves all versions: the bit positions of 6.1.  `linuxmm.spec.alloc.gfp_layouts` translates
the number that a particular kernel stores, `parse_gfp` the names that it prints.

Linux: include/linux/gfp.h (gfp_types.h since 6.0).  Seed 2 intro, 2.1.1.3 (F003, F016, F017).
"""

from functools import cache
from typing import Final

from linuxmm.spec.vocabulary import MigrateType, ZoneType

GFP_DMA_BIT: Final = 0x01
GFP_HIGHMEM_BIT: Final = 0x02
GFP_DMA32_BIT: Final = 0x04
GFP_MOVABLE_BIT: Final = 0x08
GFP_RECLAIMABLE_BIT: Final = 0x10
GFP_HIGH_BIT: Final = 0x20
GFP_IO_BIT: Final = 0x40
GFP_FS_BIT: Final = 0x80
GFP_ZERO_BIT: Final = 0x100
GFP_ATOMIC_BIT: Final = 0x200
GFP_DIRECT_RECLAIM_BIT: Final = 0x400
GFP_KSWAPD_RECLAIM_BIT: Final = 0x800
GFP_WRITE_BIT: Final = 0x1000
GFP_NOWARN_BIT: Final = 0x2000
GFP_RETRY_MAYFAIL_BIT: Final = 0x4000
GFP_NOFAIL_BIT: Final = 0x8000
GFP_NORETRY_BIT: Final = 0x10000
GFP_MEMALLOC_BIT: Final = 0x20000
GFP_COMP_BIT: Final = 0x40000
GFP_NOMEMALLOC_BIT: Final = 0x80000
GFP_HARDWALL_BIT: Final = 0x100000
GFP_THISNODE_BIT: Final = 0x200000
GFP_ACCOUNT_BIT: Final = 0x400000
GFP_ZEROTAGS_BIT: Final = 0x800000
GFP_SKIP_ZERO_BIT: Final = 0x1000000
GFP_SKIP_KASAN_BIT: Final = 0x2000000
GFP_SKIP_KASAN_POISON_BIT: Final = 0x4000000
GFP_NOLOCKDEP_BIT: Final = 0x8000000
GFP_NO_OBJ_EXT_BIT: Final = 0x10000000
GFP_COLD_BIT: Final = 0x20000000
GFP_OTHER_NODE_BIT: Final = 0x40000000
GFP_MIRROR_BIT: Final = 0x80000000

GFP_RECLAIM: Final = GFP_DIRECT_RECLAIM_BIT | GFP_KSWAPD_RECLAIM_BIT
GFP_ATOMIC: Final = GFP_HIGH_BIT | GFP_ATOMIC_BIT | GFP_KSWAPD_RECLAIM_BIT
GFP_NOWAIT: Final = GFP_KSWAPD_RECLAIM_BIT
GFP_NOIO: Final = GFP_RECLAIM
GFP_NOFS: Final = GFP_RECLAIM | GFP_IO_BIT
GFP_KERNEL: Final = GFP_RECLAIM | GFP_IO_BIT | GFP_FS_BIT
GFP_KERNEL_ACCOUNT: Final = GFP_KERNEL | GFP_ACCOUNT_BIT
GFP_USER: Final = GFP_KERNEL | GFP_HARDWALL_BIT
GFP_HIGHUSER: Final = GFP_USER | GFP_HIGHMEM_BIT
GFP_HIGHUSER_MOVABLE: Final = GFP_HIGHUSER | GFP_MOVABLE_BIT
GFP_TRANSHUGE_LIGHT: Final = (
    GFP_HIGHUSER_MOVABLE | GFP_COMP_BIT | GFP_NOMEMALLOC_BIT | GFP_NOWARN_BIT
) & ~GFP_RECLAIM
GFP_TRANSHUGE: Final = GFP_TRANSHUGE_LIGHT | GFP_DIRECT_RECLAIM_BIT

GFP_ZONEMASK: Final = GFP_DMA_BIT | GFP_HIGHMEM_BIT | GFP_DMA32_BIT | GFP_MOVABLE_BIT
GFP_MOVABLE_MASK: Final = GFP_RECLAIMABLE_BIT | GFP_MOVABLE_BIT

ALLOC_WMARK_MASK: Final = 0x03
ALLOC_NO_WATERMARKS: Final = 0x04
ALLOC_OOM: Final = 0x08
ALLOC_NON_BLOCK: Final = 0x10
"""ALLOC_HARDER up to 6.2; since 6.3 it says only that the caller cannot block."""
ALLOC_MIN_RESERVE: Final = 0x20
"""ALLOC_HIGH up to 6.2."""
ALLOC_CPUSET: Final = 0x40
ALLOC_CMA: Final = 0x80
ALLOC_NOFRAGMENT: Final = 0x100
ALLOC_HIGHATOMIC: Final = 0x200
ALLOC_FAIR: Final = 0x400
ALLOC_KSWAPD: Final = 0x800
ALLOC_GFP_ATOMIC: Final = 0x1000
"""Not the kernel's: the request states __GFP_ATOMIC, which the watermark test of 5.9 to 6.2 reads itself."""
ALLOC_COLD: Final = 0x2000
"""Not the kernel's: the request states __GFP_COLD, which the per-CPU lists up to 4.14 read themselves."""
ALLOC_MIRROR: Final = 0x4000
"""Not the kernel's: the request wants mirrored memory, as the RFC of 2015 proposed."""
ALLOC_RESERVES: Final = ALLOC_NON_BLOCK | ALLOC_MIN_RESERVE | ALLOC_HIGHATOMIC | ALLOC_OOM

_NAMES: Final[dict[str, int]] = {
    "GFP_TRANSHUGE": GFP_TRANSHUGE,
    "GFP_TRANSHUGE_LIGHT": GFP_TRANSHUGE_LIGHT,
    "GFP_HIGHUSER_MOVABLE": GFP_HIGHUSER_MOVABLE,
    "GFP_HIGHUSER": GFP_HIGHUSER,
    "GFP_USER": GFP_USER,
    "GFP_KERNEL_ACCOUNT": GFP_KERNEL_ACCOUNT,
    "GFP_KERNEL": GFP_KERNEL,
    "GFP_NOFS": GFP_NOFS,
    "GFP_ATOMIC": GFP_ATOMIC,
    "GFP_NOIO": GFP_NOIO,
    "GFP_NOWAIT": GFP_NOWAIT,
    "GFP_DMA": GFP_DMA_BIT,
    "GFP_DMA32": GFP_DMA32_BIT,
    "__GFP_DMA": GFP_DMA_BIT,
    "__GFP_HIGHMEM": GFP_HIGHMEM_BIT,
    "__GFP_DMA32": GFP_DMA32_BIT,
    "__GFP_MOVABLE": GFP_MOVABLE_BIT,
    "__GFP_RECLAIMABLE": GFP_RECLAIMABLE_BIT,
    "__GFP_HIGH": GFP_HIGH_BIT,
    "__GFP_IO": GFP_IO_BIT,
    "__GFP_FS": GFP_FS_BIT,
    "__GFP_ZERO": GFP_ZERO_BIT,
    "__GFP_ATOMIC": GFP_ATOMIC_BIT,
    "__GFP_RECLAIM": GFP_RECLAIM,
    "__GFP_DIRECT_RECLAIM": GFP_DIRECT_RECLAIM_BIT,
    "__GFP_KSWAPD_RECLAIM": GFP_KSWAPD_RECLAIM_BIT,
    "__GFP_WAIT": GFP_RECLAIM,
    "__GFP_WRITE": GFP_WRITE_BIT,
    "__GFP_NOWARN": GFP_NOWARN_BIT,
    "__GFP_RETRY_MAYFAIL": GFP_RETRY_MAYFAIL_BIT,
    "__GFP_REPEAT": GFP_RETRY_MAYFAIL_BIT,
    "__GFP_NOFAIL": GFP_NOFAIL_BIT,
    "__GFP_NORETRY": GFP_NORETRY_BIT,
    "__GFP_MEMALLOC": GFP_MEMALLOC_BIT,
    "__GFP_COMP": GFP_COMP_BIT,
    "__GFP_NOMEMALLOC": GFP_NOMEMALLOC_BIT,
    "__GFP_HARDWALL": GFP_HARDWALL_BIT,
    "__GFP_THISNODE": GFP_THISNODE_BIT,
    "__GFP_ACCOUNT": GFP_ACCOUNT_BIT,
    "__GFP_ZEROTAGS": GFP_ZEROTAGS_BIT,
    "__GFP_SKIP_ZERO": GFP_SKIP_ZERO_BIT,
    "__GFP_SKIP_KASAN": GFP_SKIP_KASAN_BIT,
    "__GFP_SKIP_KASAN_UNPOISON": GFP_SKIP_KASAN_BIT,
    "__GFP_SKIP_KASAN_POISON": GFP_SKIP_KASAN_POISON_BIT,
    "__GFP_NOLOCKDEP": GFP_NOLOCKDEP_BIT,
    "__GFP_NO_OBJ_EXT": GFP_NO_OBJ_EXT_BIT,
    "__GFP_COLD": GFP_COLD_BIT,
    "__GFP_OTHER_NODE": GFP_OTHER_NODE_BIT,
    "__GFP_MIRROR": GFP_MIRROR_BIT,
}

CANONICAL_BITS: Final[dict[str, int]] = {
    name: bit for name, bit in _NAMES.items() if name.startswith("__GFP_")
}
"""Names of single flags -> their canonical bits."""


@cache
def parse_gfp(text: str) -> int:
    """The canonical word of a printed mask: "GFP_KERNEL|__GFP_ZERO", "none", "0x...".

    A trailing number, which the kernel prints for bits without a name, is taken as canonical bits.
    Errors    ValueError naming the part that is no GFP flag
    """
    word = 0
    for part in text.split("|"):
        name = part.strip()
        if name in _NAMES:
            word |= _NAMES[name]
        elif name.startswith(("0x", "0X")):
            word |= int(name, 16)
        elif name != "none":
            raise ValueError(f"{name!r} is not a GFP flag")
    return word


def gfp_zone_highest(gfp: int) -> int:
    """The highest zone class that a request may use, as a ZoneType number, all classes configured.

    Ensures   one of DMA, DMA32, NORMAL, HIGHMEM, MOVABLE
    Source    include/linux/gfp.h:gfp_zone; 2.6.23 to 6.12
    """
    if gfp & GFP_DMA_BIT:
        return 0
    if gfp & GFP_DMA32_BIT:
        return 1
    if gfp & GFP_HIGHMEM_BIT:
        return 4 if gfp & GFP_MOVABLE_BIT else 3
    return 2


def gfp_zone_flags_valid(gfp: int) -> bool:
    """Whether at most one address class is asked for; the other combinations are caller bugs.

    Source    include/linux/gfp.h:GFP_ZONE_BAD
    """
    classes = (gfp & GFP_DMA_BIT) + ((gfp & GFP_HIGHMEM_BIT) >> 1) + ((gfp & GFP_DMA32_BIT) >> 2)
    return classes <= 1


def gfp_migratetype(gfp: int) -> int:
    """The mobility that a request states, as a MigrateType number.

    Requires  not both MOVABLE and RECLAIMABLE
    Source    include/linux/gfp.h:gfp_migratetype (allocflags_to_migratetype up to 3.18); 2.6.24 to 6.12
    """
    return (gfp & GFP_MOVABLE_MASK) >> 3


def gfp_zone(gfp: int, zone_dma: bool, zone_dma32: bool, highmem: bool) -> ZoneType:
    """The highest zone class of a request in a kernel with these zones configured.

    A class that is not configured counts as NORMAL.
    """
    wanted = ZoneType(gfp_zone_highest(gfp))
    if wanted is ZoneType.DMA and not zone_dma:
        return ZoneType.NORMAL
    if wanted is ZoneType.DMA32 and not zone_dma32:
        return ZoneType.NORMAL
    if wanted is ZoneType.HIGHMEM and not highmem:
        return ZoneType.NORMAL
    return wanted


def requested_type(gfp: int) -> MigrateType:
    """`gfp_migratetype` as a MigrateType."""
    return MigrateType(gfp_migratetype(gfp))
