"""How failures put compaction off, and how the daemon decides by itself.

Linux: mm/compaction.c:defer_compaction, compaction_deferred, fragmentation_score_node.  Seed 2.2.3 (F039).
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula

MAX_DEFER_SHIFT: Final = 6
CHECK_INTERVAL_MS: Final = 500
"""HPAGE_FRAG_CHECK_INTERVAL_MSEC."""


class Deferral(NamedTuple):
    """What a zone remembers of failures.

    considered    requests since the last failure; shift: their limit is 2**shift
    order_failed  the least order that failed, since 3.4; 0 at boot
    """

    considered: int = 0
    shift: int = 0
    order_failed: int = 0


@behaviour(
    "defrag.failed-below",
    since="2.6.35",
    until="3.3",
    features=("F039",),
    source="mm/compaction.c:defer_compaction; from memory",
)
def below_nothing(order: int, order_failed: int) -> bool:
    """Whether a request is small enough not to be put off: no request is."""
    return False


@behaviour(
    "defrag.failed-below",
    since="3.4",
    features=("F039",),
    source="mm/compaction.c:compaction_deferred; 3.10, 6.1, 6.12 read, first from memory",
)
def below_failed(order: int, order_failed: int) -> bool:
    """Whether a request is small enough not to be put off: below all that failed."""
    return order < order_failed


@formula("F039", source="mm/compaction.c:defer_compaction; 2.6.35 to 6.12")
def defer(considered: int, shift: int, order_failed: int, order: int) -> tuple[int, int, int]:
    """(considered, shift, order_failed) after synchronous compaction failed for `order`.

    Ensures   0 <= shift <= 6
    """
    return 0, min(shift + 1, MAX_DEFER_SHIFT), min(order_failed, order)


@formula("F039", source="mm/compaction.c:compaction_deferred; 2.6.35 to 6.12")
def consider(considered: int, shift: int) -> tuple[bool, int]:
    """(put off, considered) of a request that is not below what failed.

    Ensures   after 2**shift requests none is put off
    """
    limit = 1 << shift
    considered = considered + 1
    if considered >= limit:
        return False, limit
    return True, considered


@formula("F039", source="mm/compaction.c:compaction_defer_reset; 3.4 to 6.12")
def defer_reset(
    considered: int, shift: int, order_failed: int, order: int, allocated: bool
) -> tuple[int, int, int]:
    """(considered, shift, order_failed) after compaction worked for `order`.

    allocated: the request was served
    """
    if allocated:
        considered = 0
        shift = 0
    return considered, shift, max(order_failed, order + 1)


@formula("F039", source="mm/compaction.c:compaction_restarting; 3.7 to 6.12")
def restarting(considered: int, shift: int, below: bool) -> bool:
    """Whether compaction starts again after it was put off for the longest time: skip marks are cleared."""
    return not below and shift == MAX_DEFER_SHIFT and considered >= 1 << shift


@invariant(
    "defrag.deferral.bounded",
    features=("F039",),
    seed="2.2.3",
    source="mm/compaction.c:compaction_deferred",
)
def deferral_bounded(considered: int, shift: int) -> bool:
    """No more than 63 requests in a row are put off."""
    return 0 <= shift <= MAX_DEFER_SHIFT and 0 <= considered <= 1 << shift


# ---- the daemon's own decision -----------------------------------------------------------------------------


@formula("F039", source="mm/compaction.c:fragmentation_score_wmark; 5.9 to 6.12")
def score_marks(proactiveness: int) -> tuple[int, int]:
    """(low, high): above high the daemon starts, at low it stops; scores in percent.

    proactiveness  vm.compaction_proactiveness, 0 to 100, 20 at boot
    """
    low = max(100 - proactiveness, 5)
    return low, min(low + 10, 100)


@formula("F039", source="mm/compaction.c:fragmentation_score_zone_weighted; 5.9 to 6.12")
def weighted_score(present: int, extfrag: int, node_present: int) -> int:
    """What a zone adds to its node's score: its share of memory in blocks too small for a huge page."""
    return present * extfrag // (node_present + 1)


def node_score(zones: Iterable[tuple[int, int]], node_present: int) -> int:
    """The node's score; zones: (present pages, extfrag_for_order of a huge page)."""
    return sum(weighted_score(present, extfrag, node_present) for present, extfrag in zones)


@formula("F039", source="mm/compaction.c:should_proactive_compact_node; 5.9 to 6.12")
def starts_by_itself(score: int, proactiveness: int, kswapd_runs: bool) -> bool:
    """Whether the daemon compacts a node that nobody asked it to."""
    if proactiveness == 0 or kswapd_runs:
        return False
    return score > score_marks(proactiveness)[1]


@formula("F039", source="mm/compaction.c:kcompactd; 5.9 to 6.12")
def next_check_ms(before: int, after: int) -> int:
    """How long the daemon sleeps after it compacted by itself; much longer when the score did not fall."""
    return CHECK_INTERVAL_MS << MAX_DEFER_SHIFT if after >= before else CHECK_INTERVAL_MS


@invariant(
    "defrag.proactive.marks-ordered",
    features=("F039",),
    seed="2.2.3",
    source="mm/compaction.c:fragmentation_score_wmark",
)
def marks_ordered(low: int, high: int) -> bool:
    """The daemon stops below where it starts, and both are percentages."""
    return 0 < low <= high <= 100 and (low < high or low == 100)
