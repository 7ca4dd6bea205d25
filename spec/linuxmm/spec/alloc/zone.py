"""Nodes and zones: which addresses belong to which class, and in which order nodes are fallen back to.

A *zone* is the part of one node's memory that one class of requests may use.  Its spanned pages are those
between its first and last page, the present ones exclude holes, the managed ones also boot reservations.

Linux: include/linux/mmzone.h, mm/page_alloc.c, mm/mm_init.c.  Seed 2 intro (F001, F002, F003).  2.4 to 6.12.
"""

from itertools import pairwise
from typing import Final

from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import Arch, behaviour
from linuxmm.spec.registry import formula
from linuxmm.spec.vocabulary import PAGE_SHIFT, ZoneType

MAX_NUMNODES: Final = 1024
LOCAL_DISTANCE: Final = 10
REMOTE_DISTANCE: Final = 20
PENALTY_FOR_NODE_WITH_CPUS: Final = 1
NO_LIMIT: Final = 1 << 52

_16M: Final = 16 << 20 >> PAGE_SHIFT
_896M: Final = 896 << 20 >> PAGE_SHIFT
_4G: Final = 4 << 30 >> PAGE_SHIFT


@formula("F001", source="include/linux/pfn.h:PHYS_PFN")
def frame_of(address: int) -> int:
    """The page frame number of a physical address."""
    return address >> PAGE_SHIFT


@formula("F001", source="include/linux/pfn.h:PFN_PHYS")
def address_of(pfn: int) -> int:
    """The physical address of the first byte of a frame.

    Ensures   frame_of(address_of(pfn)) == pfn
    """
    return pfn << PAGE_SHIFT


@formula("F003", source="arch/x86/mm/init.c:zone_sizes_init; arch/arm64/mm/init.c:zone_sizes_init")
def zone_limits(arch: Arch, zone_dma: bool, zone_dma32: bool) -> tuple[tuple[ZoneType, int], ...]:
    """(class, first pfn above it) of the zones that addresses decide, lowest first.

    zone_dma32: x86_64 and arm64 since 2.6.15
    Ensures   limits increase; the last is NO_LIMIT
    """
    if arch in (Arch.I386, Arch.I386_PAE):
        limits = [(ZoneType.DMA, _16M)] if zone_dma else []
        return (*limits, (ZoneType.NORMAL, _896M), (ZoneType.HIGHMEM, NO_LIMIT))
    limits = []
    if zone_dma and arch is Arch.X86_64:
        limits.append((ZoneType.DMA, _16M))
    if zone_dma32:
        limits.append((ZoneType.DMA32, _4G))
    return (*limits, (ZoneType.NORMAL, NO_LIMIT))


@behaviour(
    "alloc.lowmem-zone",
    since="2.4.0",
    until="6.5",
    features=("F003", "F017"),
    source="mm/page_alloc.c:__setup_per_zone_wmarks; 2.6.11 to 6.5",
)
def counts_as_lowmem(kind: int) -> bool:
    """Whether a zone takes its share of min_free_kbytes: every one but HIGHMEM."""
    return kind != 3


@behaviour(
    "alloc.lowmem-zone",
    since="6.6",
    features=("F003", "F017"),
    source="mm/page_alloc.c:__setup_per_zone_wmarks; 6.6 to 6.12",
)
def counts_as_lowmem_unless_movable(kind: int) -> bool:
    """Whether a zone takes its share of min_free_kbytes: every one but HIGHMEM and MOVABLE."""
    return kind != 3 and kind != 4


# ---- the order of nodes ----------------------------------------------------------------------------------


@behaviour(
    "alloc.node-score",
    since="2.4.0",
    until="5.18",
    features=("F002",),
    source="mm/page_alloc.c:find_next_best_node; 2.6.11 to 5.18",
)
def node_score_scaled_load(distance: int, lower: bool, has_cpus: bool, load: int, nr_nodes: int) -> int:
    """How little a node is liked as the next to fall back to; its load counts up to the number of nodes."""
    return ((distance + lower) + (PENALTY_FOR_NODE_WITH_CPUS if has_cpus else 0)) * (
        nr_nodes * MAX_NUMNODES
    ) + load


@behaviour(
    "alloc.node-score",
    since="5.19",
    features=("F002",),
    source="mm/page_alloc.c:find_next_best_node; 5.19 to 6.12",
)
def node_score(distance: int, lower: bool, has_cpus: bool, load: int, nr_nodes: int) -> int:
    """How little a node is liked as the next to fall back to.

    lower: its number is below the local node's (so the next higher one is preferred); load: node_load
    """
    return ((distance + lower) + (PENALTY_FOR_NODE_WITH_CPUS if has_cpus else 0)) * MAX_NUMNODES + load


@behaviour(
    "alloc.node-load",
    since="2.4.0",
    until="5.15",
    features=("F002",),
    source="mm/page_alloc.c:build_zonelists; 2.6.24 to 5.15",
)
def node_load_set(load: int, rank: int, nr_nodes: int) -> int:
    """node_load of the first node at a new distance: as many as nodes are left (the last writer wins).

    rank: nodes already in the list
    """
    return nr_nodes - rank


@behaviour(
    "alloc.node-load",
    since="5.16",
    until="5.18",
    features=("F002",),
    source="mm/page_alloc.c:build_zonelists; 5.16 to 5.18",
)
def node_load_accumulated(load: int, rank: int, nr_nodes: int) -> int:
    """node_load of the first node at a new distance: as many more as nodes are left."""
    return load + nr_nodes - rank


@behaviour(
    "alloc.node-load",
    since="5.19",
    features=("F002",),
    source="mm/page_alloc.c:build_zonelists; 5.19 to 6.12",
)
def node_load_plus_one(load: int, rank: int, nr_nodes: int) -> int:
    """node_load of the first node at a new distance: one more."""
    return load + 1


# ---- invariants ------------------------------------------------------------------------------------------


@invariant(
    "alloc.zone.sizes-ordered",
    features=("F003",),
    seed="2 intro",
    source="include/linux/mmzone.h:struct zone",
)
def sizes_ordered(spanned: int, present: int, managed: int) -> bool:
    """A zone manages no more pages than are present, and no more are present than it spans."""
    return 0 <= managed <= present <= spanned


@invariant("alloc.zone.disjoint", features=("F003",), seed="2 intro", source="mm/page_alloc.c:page_zone")
def zones_disjoint(spans: tuple[tuple[int, int], ...]) -> bool:
    """No page belongs to two zones."""
    ordered = sorted(span for span in spans if span[0] < span[1])
    return all(end <= start for (_, end), (start, _) in pairwise(ordered))


@invariant(
    "alloc.zone.partition",
    features=("F012", "F020"),
    seed="2.1.1.1",
    source="mm/page_alloc.c:free_pages_prepare",
)
def partition(managed: int, free: int, cached: int, in_use: int) -> bool:
    """Every managed page is free, on a CPU's list, or in use, and in one of these states only."""
    return managed == free + cached + in_use


@invariant(
    "alloc.zone.free-counter",
    features=("F012", "F017"),
    seed="2.1.1.3",
    source="mm/page_alloc.c:account_freepages",
)
def free_counter(nr_free_pages: int, listed: int, isolated: int) -> bool:
    """NR_FREE_PAGES counts the pages on the free lists but those of ISOLATE."""
    return nr_free_pages == listed - isolated


@invariant(
    "alloc.zone.typed-counters",
    features=("F013", "F016"),
    seed="2.1.1.2",
    source="mm/page_alloc.c:account_freepages",
    since="6.10",
)
def typed_counters(counted: int, listed: int) -> bool:
    """The counters of free CMA and free HIGHATOMIC pages are the pages on those lists."""
    return counted == listed


@invariant(
    "alloc.zone.list-agrees",
    features=("F012", "F016"),
    seed="2.1.1.2",
    source="mm/page_alloc.c:__add_to_free_list",
    since="6.10",
)
def list_agrees(list_type: int, pageblock_type: int) -> bool:
    """A free block stands on the list of its pageblock's type."""
    return list_type == pageblock_type


@invariant(
    "alloc.zone.isolate-kept",
    features=("F016",),
    seed="2.1.1.2",
    source="mm/page_isolation.c:set_migratetype_isolate",
)
def isolate_kept(list_type: int, pageblock_type: int) -> bool:
    """A free block in an ISOLATE pageblock stands on the ISOLATE list, and no other block does."""
    return (list_type == 4) == (pageblock_type == 4)


@invariant(
    "alloc.zonelist.complete", features=("F002",), seed="2 intro", source="mm/page_alloc.c:build_zonelists"
)
def zonelist_complete(entries: tuple[int, ...], nr_zones: int) -> bool:
    """A node's zonelist names every populated zone of the machine once."""
    return sorted(entries) == list(range(nr_zones))


@invariant(
    "alloc.zonelist.local-first", features=("F002",), seed="2 intro", source="mm/page_alloc.c:build_zonelists"
)
def zonelist_local_first(node: int, nodes_of_entries: tuple[int, ...]) -> bool:
    """In node order a node's own zones come before those of any other node, and no node comes twice."""
    runs = [n for at, n in enumerate(nodes_of_entries) if at == 0 or nodes_of_entries[at - 1] != n]
    return len(runs) == len(set(runs)) and (node not in runs or runs[0] == node)
