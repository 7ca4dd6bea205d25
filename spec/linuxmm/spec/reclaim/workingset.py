"""Refaults: what an evicted page leaves behind, and whether it comes back soon enough to be active at once.

The clock of a lruvec counts evictions and activations.  An evicted page's slot in its mapping keeps the time,
packed with the owner into one word that is no pointer; the difference at the refault is the distance.

Linux: mm/workingset.c.  Seed 2.4.5 (F046).  Since 3.15.
"""

from typing import Final, NamedTuple

from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula

MEMCG_ID_SHIFT: Final = 16
SLOTS_SHIFT: Final = 6
"""Slots of a node of a mapping's tree, as a power of two (XA_CHUNK_SHIFT, RADIX_TREE_MAP_SHIFT)."""


class Layout(NamedTuple):
    """Widths of the fields of a shadow entry, from the lowest bits up; the time has the rest of the word.

    tag         bits that mark a word as no pointer, with value `mark`
    flag        PG_workingset
    zone, node, memcg   numbers of the owner
    """

    word: int
    tag: int
    mark: int
    flag: int
    zone: int
    node: int
    memcg: int


class Shadow(NamedTuple):
    """What a shadow entry says; `time` is in buckets."""

    time: int
    memcg: int
    node: int
    zone: int
    workingset: int


@behaviour(
    "reclaim.shadow-layout",
    since="3.15",
    until="4.5",
    features=("F046",),
    source="mm/workingset.c:pack_shadow; 3.16 to 4.4 (3.15, 4.5 unconfirmed)",
)
def layout_of_zone(word: int, node: int, zone: int, memcg: int) -> Layout:
    """Owner is a zone.

    node, zone, memcg  NODES_SHIFT, ZONES_SHIFT, and MEM_CGROUP_ID_SHIFT (0 without cgroups)
    """
    return Layout(word, 2, 2, 0, zone, node, 0)


@behaviour(
    "reclaim.shadow-layout",
    since="4.6",
    until="4.7",
    features=("F046", "F060"),
    source="mm/workingset.c:pack_shadow; 4.6, 4.7",
)
def layout_of_zone_and_group(word: int, node: int, zone: int, memcg: int) -> Layout:
    """Owner is a cgroup's share of a zone."""
    return Layout(word, 2, 2, 0, zone, node, memcg)


@behaviour(
    "reclaim.shadow-layout",
    since="4.8",
    until="4.19",
    features=("F015", "F046"),
    source="mm/workingset.c:pack_shadow; 4.9 to 4.19 (4.8 unconfirmed)",
)
def layout_of_node(word: int, node: int, zone: int, memcg: int) -> Layout:
    """Owner is a cgroup's share of a node."""
    return Layout(word, 2, 2, 0, 0, node, memcg)


@behaviour(
    "reclaim.shadow-layout",
    since="4.20",
    features=("F046",),
    source="mm/workingset.c:pack_shadow; 4.20 to 6.12",
)
def layout_with_flag(word: int, node: int, zone: int, memcg: int) -> Layout:
    """As before, one bit says whether the page had been part of the working set."""
    return Layout(word, 1, 1, 1, 0, node, memcg)


@formula("F046", source="mm/workingset.c:EVICTION_SHIFT")
def owner_bits(layout: Layout) -> int:
    """Bits of a word that the time does not get."""
    return layout.tag + layout.flag + layout.zone + layout.node + layout.memcg


@formula("F046", source="mm/workingset.c:EVICTION_MASK")
def time_mask(layout: Layout) -> int:
    """The largest time that fits."""
    return (1 << (layout.word - owner_bits(layout))) - 1


@formula("F046", source="mm/workingset.c:workingset_init; 4.6 to 6.12")
def bucket_order(layout: Layout, pages: int) -> int:
    """By how many bits times are coarser than evictions, so that a distance of all pages still fits.

    Requires  pages > 0
    Ensures   0 with 64-bit words and memory below 2**36 pages of the usual configuration
    """
    needed = 0
    while (pages - 1) >> needed:
        needed += 1
    return max(needed - (layout.word - owner_bits(layout)), 0)


@formula("F046", source="mm/workingset.c:pack_shadow; 3.15 to 6.12")
def pack(layout: Layout, shadow: Shadow) -> int:
    """The word of a shadow entry.

    Requires  the owner's numbers fit their fields
    Ensures   fits the word; unpack gives everything back, of the time what fits
    """
    word = shadow.time & time_mask(layout)
    word = word << layout.memcg | shadow.memcg
    word = word << layout.node | shadow.node
    word = word << layout.zone | shadow.zone
    word = word << layout.flag | shadow.workingset
    return word << layout.tag | layout.mark


@formula("F046", source="mm/workingset.c:unpack_shadow; 3.15 to 6.12")
def unpack(layout: Layout, word: int) -> Shadow:
    """What a shadow entry says.

    Requires  word < 2**layout.word
    """
    word >>= layout.tag
    workingset = word & ((1 << layout.flag) - 1)
    word >>= layout.flag
    zone = word & ((1 << layout.zone) - 1)
    word >>= layout.zone
    node = word & ((1 << layout.node) - 1)
    word >>= layout.node
    memcg = word & ((1 << layout.memcg) - 1)
    return Shadow(word >> layout.memcg, memcg, node, zone, workingset)


@formula("F046", source="mm/workingset.c:workingset_test_recent; 3.15 to 6.12")
def distance(layout: Layout, now: int, time: int, bucket: int) -> int:
    """Evictions and activations since a page was evicted, as far as the shadow tells.

    time, bucket  from the shadow, and bucket_order
    Ensures   exact (up to one bucket) while fewer happened than fit, however often the clock wrapped
    """
    return (now - (time << bucket)) & time_mask(layout)


@behaviour(
    "reclaim.eviction-time",
    since="3.15",
    until="5.12",
    features=("F046",),
    source="mm/workingset.c:workingset_eviction; 3.16 to 5.11 (3.15, 5.12 unconfirmed)",
)
def time_after_eviction(clock: int, pages: int) -> tuple[int, int]:
    """(what the shadow notes, the clock afterwards): the time with the evicted page counted."""
    return clock + pages, clock + pages


@behaviour(
    "reclaim.eviction-time",
    since="5.13",
    features=("F046",),
    source="mm/workingset.c:workingset_eviction; 5.14 to 6.12 (5.13 unconfirmed)",
)
def time_before_eviction(clock: int, pages: int) -> tuple[int, int]:
    """As before, but the evicted page is not counted in its own shadow: every distance is one longer."""
    return clock, clock + pages


@behaviour(
    "reclaim.putback-ages",
    since="3.15",
    until="5.7",
    features=("F046",),
    source="mm/vmscan.c:move_active_pages_to_lru; (to 5.7 unconfirmed)",
)
def putback_keeps_time() -> bool:
    """Whether pages that reclaim puts back as active move the clock: no."""
    return False


@behaviour(
    "reclaim.putback-ages",
    since="5.8",
    features=("F046",),
    source="mm/vmscan.c:move_folios_to_lru; 6.1, 6.12 (5.8 to 5.19 unconfirmed)",
)
def putback_ages() -> bool:
    """Whether pages that reclaim puts back as active move the clock: yes, each by one."""
    return True


class Resident(NamedTuple):
    """Pages on the four evictable lists, and whether swap has a free slot."""

    inactive_anon: int
    active_anon: int
    inactive_file: int
    active_file: int
    swap: bool


@behaviour(
    "reclaim.workingset-size",
    since="3.15",
    until="5.7",
    features=("F046",),
    source="mm/workingset.c:workingset_refault; 3.16 to 5.7",
)
def size_of_active_file(resident: Resident, file: bool) -> int:
    """The largest distance that activates: with the active file pages given up, it would not have left."""
    return resident.active_file


@behaviour(
    "reclaim.workingset-size",
    since="5.8",
    until="5.8",
    features=("F046",),
    source="mm/workingset.c:workingset_refault; 5.8",
)
def size_with_anon(resident: Resident, file: bool) -> int:
    """As before; anonymous pages could be given up too, if there is swap."""
    anon = resident.inactive_anon + resident.active_anon if resident.swap else 0
    return resident.active_file + anon


@behaviour(
    "reclaim.workingset-size",
    since="5.9",
    features=("F046",),
    source="mm/workingset.c:workingset_refault, workingset_test_recent; 5.9 to 6.12",
)
def size_of_others(resident: Resident, file: bool) -> int:
    """For anonymous pages as well: everything but the page's own inactive list."""
    size = resident.active_file
    if not file:
        size += resident.inactive_file
    if resident.swap:
        size += resident.active_anon
        if file:
            size += resident.inactive_anon
    return size


@behaviour(
    "reclaim.shadows-anon",
    since="3.15",
    until="5.8",
    features=("F046",),
    source="mm/vmscan.c:__remove_mapping; 5.8 (3.15 to 5.7 unconfirmed)",
)
def anon_leaves_none() -> bool:
    """Whether an anonymous page leaves a shadow in the swap cache: it leaves none."""
    return False


@behaviour(
    "reclaim.shadows-anon",
    since="5.9",
    features=("F046",),
    source="mm/vmscan.c:__remove_mapping; 5.9 to 6.12",
)
def anon_leaves_one() -> bool:
    """It does."""
    return True


@behaviour(
    "reclaim.shadow-nodes",
    since="3.15",
    until="4.9",
    features=("F046",),
    source="mm/workingset.c:count_shadow_nodes; 3.16 to 4.9; present pages until 4.5, then cached ones",
)
def nodes_kept_for_half(pages: int) -> int:
    """Nodes of trees with nothing but shadows that are left alone: half of the slots may be empty."""
    return pages >> (1 + SLOTS_SHIFT - 3)


@behaviour(
    "reclaim.shadow-nodes",
    since="4.10",
    features=("F046",),
    source="mm/workingset.c:count_shadow_nodes; 4.10 to 4.19 of cached pages, 4.20 to 6.12 of all",
)
def nodes_kept(pages: int) -> int:
    """An eighth of the slots in them may hold shadows."""
    return pages >> (SLOTS_SHIFT - 3)


@formula("F046", source="mm/workingset.c:count_shadow_nodes; 3.16 to 6.12")
def nodes_to_free(nodes: int, kept: int) -> int:
    """Nodes that the shrinker offers.

    Ensures   result <= nodes
    """
    return max(nodes - kept, 0)
