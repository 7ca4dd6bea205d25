"""Reclaim in a node before a request goes elsewhere (vm.zone_reclaim_mode): what there is to have, who may.

A zone, since 4.8 a node, is worth it while it has more unmapped pages of files than vm.min_unmapped_ratio,
or more slab than vm.min_slab_ratio.

Linux: mm/vmscan.c:zone_reclaim, node_reclaim.  Seed 2.1.1.1 (F013, F014, F042).  2.6.16 to 6.12.
"""

from typing import Final, NamedTuple

from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula

_FEATURES: Final = ("F014", "F042")
RECLAIM_ZONE: Final = 1
RECLAIM_WRITE: Final = 2
RECLAIM_UNMAP: Final = 4
"""Swap, up to 2.6.30 or so: bits of vm.zone_reclaim_mode."""
FIRST_PRIORITY: Final = 4
MIN_UNMAPPED_RATIO: Final = 1
MIN_SLAB_RATIO: Final = 5
INTERVAL: Final = 30
"""Seconds that a zone is left alone after reclaim in it failed (2.6.16, 2.6.17)."""


class Held(NamedTuple):
    """What a zone or node holds, in pages.

    files      NR_FILE_PAGES: with shared memory and the swap cache
    file_lru   pages of the file lists; mapped: NR_FILE_MAPPED; dirty: NR_FILE_DIRTY
    slab       reclaimable slab
    """

    files: int
    file_lru: int
    mapped: int
    dirty: int
    slab: int


@formula("F014", "F042", source="mm/page_alloc.c:setup_min_unmapped_ratio; 2.6.18 to 6.12")
def share(managed: int, ratio: int) -> int:
    """Pages of a node that a ratio in per cent keeps."""
    return managed * ratio // 100


@behaviour(
    "reclaim.node-reclaim.pages",
    since="2.6.16",
    until="2.6.17",
    features=_FEATURES,
    source="mm/vmscan.c:zone_reclaim; from memory",
)
def pages_of_any(held: Held, mode: int) -> int:
    """Pages to be had: no limit is known yet, any zone is worth it."""
    return held.files + held.slab + 1


@behaviour(
    "reclaim.node-reclaim.pages",
    since="2.6.18",
    until="2.6.30",
    features=_FEATURES,
    source="mm/vmscan.c:zone_reclaim; 2.6.24 (2.6.18, 2.6.30 from memory)",
)
def pages_unmapped(held: Held, mode: int) -> int:
    """Pages of files that nobody maps, shared memory among them."""
    return held.files - held.mapped


@behaviour(
    "reclaim.node-reclaim.pages",
    since="2.6.31",
    features=_FEATURES,
    source="mm/vmscan.c:zone_pagecache_reclaimable; node_pagecache_reclaimable of 6.1, 6.12",
)
def pages_for_mode(held: Held, mode: int) -> int:
    """With UNMAP all of files, else those of the file lists that nobody maps; without WRITE clean ones.

    Ensures   0 <= result
    """
    if mode & RECLAIM_UNMAP:
        pages = held.files
    else:
        pages = max(held.file_lru - held.mapped, 0)
    return max(pages - (0 if mode & RECLAIM_WRITE else held.dirty), 0)


@formula("F014", "F042", source="mm/vmscan.c:node_reclaim; 2.6.19 to 6.12")
def worth_it(pages: int, slab: int, min_unmapped: int, min_slab: int) -> bool:
    """Whether there is more than the ratios keep, of pages or of slab."""
    return pages > min_unmapped or slab > min_slab


class Caller(NamedTuple):
    """Who asks.

    blocks      it may sleep (__GFP_DIRECT_RECLAIM; __GFP_WAIT before 4.4)
    reclaims    it is reclaiming already (PF_MEMALLOC)
    local       the node is its own; cpus: the node has CPUs
    busy        somebody reclaims in the zone (since 4.8: the node) already
    hopeless    nothing could be reclaimed there for long (until 4.7)
    """

    blocks: bool
    reclaims: bool
    local: bool
    cpus: bool
    busy: bool
    hopeless: bool


@behaviour(
    "reclaim.node-reclaim.may",
    since="2.6.16",
    until="4.7",
    features=_FEATURES,
    source="mm/vmscan.c:zone_reclaim; 2.6.24; 3.10, 4.4 from memory",
)
def may_in_zone(caller: Caller) -> bool:
    """Whether a caller scans: it may sleep, is not at it, the zone is not hopeless, nor of other CPUs."""
    return (
        caller.blocks
        and not caller.reclaims
        and not caller.hopeless
        and not caller.busy
        and (caller.local or not caller.cpus)
    )


@behaviour(
    "reclaim.node-reclaim.may",
    since="4.8",
    features=_FEATURES,
    source="mm/vmscan.c:node_reclaim; 6.1, 6.12; 4.8 to 5.15 from memory",
)
def may_in_node(caller: Caller) -> bool:
    """As before; no zone is hopeless by itself."""
    return caller.blocks and not caller.reclaims and not caller.busy and (caller.local or not caller.cpus)


@formula("F014", "F042", source="mm/vmscan.c:zone_reclaim; 2.6.16, 2.6.17, from memory")
def too_soon(now: int, failed: int, interval: int = INTERVAL) -> bool:
    """Whether reclaim in the zone failed within the interval (seconds); failed is -1 when it never did."""
    return failed >= 0 and now < failed + interval


@invariant(
    "reclaim.node-reclaim.kept",
    features=_FEATURES,
    seed="2.1.1.1",
    since="2.6.31",
    source="mm/vmscan.c:node_reclaim",
)
def kept(scanned: bool, pages: int, slab: int, min_unmapped: int, min_slab: int) -> bool:
    """A node that holds no more than its ratios keep is not scanned for a request that could go elsewhere."""
    return not scanned or worth_it(pages, slab, min_unmapped, min_slab)
