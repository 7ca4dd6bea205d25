"""Lists by group: whose clock an evicted page notes, whom its distance is measured against, when a walk ends.

Linux: mm/workingset.c, mm/vmscan.c:shrink_node_memcgs.  Seed 2.9, 2.4.5 (F060, F046).  Since 3.3.
"""

from typing import Final

from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.vocabulary import SWAP_CLUSTER_MAX

_FEATURES: Final = ("F046", "F060")
Line = tuple[int, ...]
"""A group and those above it, up to the root."""
Ages = tuple[tuple[int, int], ...]
"""Groups, and how far their clocks go on."""

# ---- whose clock -------------------------------------------------------------------------------------------


@behaviour(
    "memcg.evictor",
    since="3.3",
    until="4.5",
    features=_FEATURES,
    source="mm/workingset.c:workingset_eviction; read in 3.16 to 4.5; no shadows until 3.14",
)
def evictor_root(own: Line, target: Line) -> int:
    """The group whose clock a shadow notes: there is one clock for all, here the root's.

    own     of the group that the page belonged to; target  of the group whose reclaim evicted it
    """
    return own[-1]


@behaviour(
    "memcg.evictor",
    since="4.6",
    until="5.4",
    features=_FEATURES,
    source="mm/workingset.c:workingset_eviction; read in 4.6 to 5.4",
)
def evictor_own(own: Line, target: Line) -> int:
    """The page's own."""
    return own[0]


@behaviour(
    "memcg.evictor",
    since="5.5",
    features=_FEATURES,
    source="mm/workingset.c:workingset_eviction; read in 5.6 to 6.12, 5.5 unconfirmed",
)
def evictor_target(own: Line, target: Line) -> int:
    """The one that was reclaimed: its groups compete with each other."""
    return target[0]


@behaviour(
    "memcg.ages",
    since="3.3",
    until="4.5",
    features=_FEATURES,
    source="mm/workingset.c:workingset_eviction, workingset_activation; read in 3.16 to 4.5",
)
def ages_root(own: Line, target: Line, evicted: int, activated: int) -> Ages:
    """Clocks that go on for pages of a group that are evicted or become active: the one clock."""
    return ((own[-1], evicted + activated),)


@behaviour(
    "memcg.ages",
    since="4.6",
    until="5.4",
    features=_FEATURES,
    source="mm/workingset.c:workingset_eviction, workingset_activation; read in 4.6 to 5.4",
)
def ages_own(own: Line, target: Line, evicted: int, activated: int) -> Ages:
    """The group's own."""
    return ((own[0], evicted + activated),)


@behaviour(
    "memcg.ages",
    since="5.5",
    until="5.7",
    features=_FEATURES,
    source="mm/workingset.c:advance_inactive_age; read in 5.6 and 5.7, 5.5 unconfirmed",
)
def ages_line(own: Line, target: Line, evicted: int, activated: int) -> Ages:
    """The group's, and those of all above it."""
    return tuple((group, evicted + activated) for group in own)


@behaviour(
    "memcg.ages",
    since="5.8",
    features=_FEATURES,
    source="mm/workingset.c:workingset_age_nonresident; read in 5.8 to 6.12",
)
def ages_from_target(own: Line, target: Line, evicted: int, activated: int) -> Ages:
    """An eviction moves clocks from the group that was reclaimed up, an activation from the page's own."""
    return tuple((group, activated + (evicted if group in target else 0)) for group in own)


@behaviour(
    "memcg.compared",
    since="3.3",
    until="4.5",
    features=_FEATURES,
    source="mm/workingset.c:workingset_refault; read in 3.16 to 4.5",
)
def compared_with_all(evictor: int, below: Line) -> Line:
    """Groups whose lists a distance is compared with: all of the zone's, which are those below the root."""
    return below


@behaviour(
    "memcg.compared",
    since="4.6",
    until="5.4",
    features=_FEATURES,
    source="mm/workingset.c:workingset_refault, lruvec_lru_size; read in 4.6 to 5.4",
)
def compared_with_one(evictor: int, below: Line) -> Line:
    """The one whose clock was noted."""
    return (evictor,)


@behaviour(
    "memcg.compared",
    since="5.5",
    features=_FEATURES,
    source="mm/workingset.c:workingset_refault; read in 5.6 to 6.12, 5.5 unconfirmed",
)
def compared_with_subtree(evictor: int, below: Line) -> Line:
    """That one, and all below it."""
    return below


@behaviour(
    "memcg.swap-of",
    since="3.3",
    until="6.2",
    features=_FEATURES,
    source="mm/workingset.c:workingset_refault; read in 5.8 to 6.2, which ask for swap since 5.8",
)
def swap_of_own(own: int, evictor: int) -> int:
    """The group whose room in swap decides whether anonymous pages are counted in: that of the page."""
    return own


@behaviour(
    "memcg.swap-of",
    since="6.3",
    features=_FEATURES,
    source="mm/workingset.c:workingset_test_recent; read in 6.3 to 6.12",
)
def swap_of_evictor(own: int, evictor: int) -> int:
    """That whose clock was noted."""
    return evictor


@behaviour(
    "memcg.lost-owner",
    since="3.3",
    until="6.4",
    features=_FEATURES,
    source="mm/workingset.c:workingset_refault; read in 4.6 to 6.4",
)
def lost_is_no_refault() -> bool:
    """Whether a page that comes back counts as a refault when the group of its shadow is gone: no."""
    return False


@behaviour(
    "memcg.lost-owner",
    since="6.5",
    features=_FEATURES,
    source="mm/workingset.c:workingset_refault; read in 6.5 to 6.12",
)
def lost_is_a_refault() -> bool:
    """It does, and it is never soon enough to be active."""
    return True


# ---- walks -------------------------------------------------------------------------------------------------


@behaviour(
    "memcg.walk-ends",
    since="3.3",
    until="3.8",
    features=("F060",),
    source="mm/vmscan.c:shrink_zone; read in 3.4 to 3.8, 3.3 unconfirmed",
)
def ends_after_one(limited: bool, kswapd: bool, enough: bool) -> bool:
    """Whether a pass over a tree ends after a group: always, where a limit is the cause.

    limited  it is a group's reclaim, not the machine's; enough  as many pages were reclaimed as wanted
    """
    return limited


@behaviour(
    "memcg.walk-ends",
    since="3.9",
    until="5.3",
    features=("F060",),
    source="mm/vmscan.c:shrink_zone, shrink_node; read in 3.10 to 5.3, 3.9 unconfirmed",
)
def ends_with_enough(limited: bool, kswapd: bool, enough: bool) -> bool:
    """Once there is enough, where a limit is the cause."""
    return limited & enough


@behaviour(
    "memcg.walk-ends",
    since="5.4",
    until="6.10",
    features=("F060",),
    source="mm/vmscan.c:shrink_node, shrink_node_memcgs; read in 5.4 to 6.10",
)
def ends_never(limited: bool, kswapd: bool, enough: bool) -> bool:
    """Never: every group is visited in every pass."""
    return False


@behaviour(
    "memcg.walk-ends",
    since="6.11",
    features=("F060",),
    source="mm/vmscan.c:shrink_node_memcgs; read in 6.12, 6.11 unconfirmed",
)
def ends_unless_daemon(limited: bool, kswapd: bool, enough: bool) -> bool:
    """Once there is enough, for whoever is not the daemon."""
    return enough & (not kswapd)


@behaviour(
    "memcg.walk-shared",
    since="3.3",
    until="5.3",
    features=("F060",),
    source="mm/vmscan.c:shrink_zone, shrink_node; read in 3.4 to 5.3",
)
def shared_always(kswapd: bool) -> bool:
    """Whether a walk goes on where another stood: yes, there is a place for each priority."""
    return True


@behaviour(
    "memcg.walk-shared",
    since="5.4",
    until="6.10",
    features=("F060",),
    source="mm/vmscan.c:shrink_node; read in 5.4 to 6.10",
)
def shared_never(kswapd: bool) -> bool:
    """No: it begins at the top."""
    return False


@behaviour(
    "memcg.walk-shared",
    since="6.11",
    features=("F060",),
    source="mm/vmscan.c:shrink_node_memcgs; read in 6.12, 6.11 unconfirmed",
)
def shared_unless_daemon(kswapd: bool) -> bool:
    """The daemon begins at the top."""
    return not kswapd


@behaviour(
    "memcg.walk-place",
    since="3.3",
    until="5.3",
    features=("F060",),
    source="mm/memcontrol.c:mem_cgroup_iter; read in 3.4 to 4.4, 4.5 to 5.3 unconfirmed",
)
def place_by_priority(priority: int) -> int:
    """Which place of a tree a shared walk goes on from: one for each priority."""
    return priority


@behaviour(
    "memcg.walk-place",
    since="5.4",
    features=("F060",),
    source="mm/memcontrol.c:mem_cgroup_iter; read in 6.1 and 6.12, 5.4 to 6.0 unconfirmed",
)
def place_of_tree(priority: int) -> int:
    """There is one."""
    return 0


@behaviour(
    "memcg.low-share",
    since="3.3",
    until="5.14",
    features=("F060",),
    source="mm/vmscan.c:get_scan_count; read in 5.4 to 5.11",
)
def low_share_is_final() -> bool:
    """Whether a group of which less was scanned for its memory.low gives more in a second turn: no."""
    return False


@behaviour(
    "memcg.low-share",
    since="5.15",
    features=("F060",),
    source="mm/vmscan.c:get_scan_count, memcg_low_skipped; read in 5.15 to 6.12",
)
def low_share_may_go() -> bool:
    """Yes, where the first turn brought nothing."""
    return True


@behaviour(
    "memcg.reclaim-target",
    since="3.3",
    until="3.17",
    features=("F060",),
    source="mm/vmscan.c:try_to_free_mem_cgroup_pages; read in 3.10 to 3.17, 3.3 to 3.9 unconfirmed",
)
def target_cluster(pages: int) -> int:
    """Pages that reclaim for a limit wants: 32."""
    return SWAP_CLUSTER_MAX


@behaviour(
    "memcg.reclaim-target",
    since="3.18",
    features=("F060",),
    source="mm/vmscan.c:try_to_free_mem_cgroup_pages; read in 3.18 to 6.12",
)
def target_as_asked(pages: int) -> int:
    """What is asked for, 32 at least."""
    return max(pages, SWAP_CLUSTER_MAX)


@invariant(
    "memcg.lists.charged", features=("F060",), seed="2.9", source="mm/memcontrol.c:mem_cgroup_update_lru_size"
)
def listed_is_charged(listed: int, charged: int) -> bool:
    """A group has no more pages on lists than are charged to it."""
    return 0 <= listed <= charged


@invariant("memcg.clock.above", features=_FEATURES, seed="2.4.5", since="5.5", source="mm/workingset.c")
def clock_above(child: int, parent: int) -> bool:
    """A group's clock goes at least as far as that of any group below it, if both began together."""
    return child <= parent


@invariant("memcg.protected.kept", features=("F060",), seed="2.9", source="mm/vmscan.c:shrink_node_memcgs")
def min_kept(before: int, after: int, protected: bool) -> bool:
    """Reclaim from above takes no page of a group that its effective memory.min covers."""
    return (after == before) | (not protected)
