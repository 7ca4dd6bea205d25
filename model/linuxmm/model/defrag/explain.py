"""Why a request for a large block succeeds or fails on a kernel, as a value with its figures.

Linux: mm/page_alloc.c:__alloc_pages_direct_compact, mm/compaction.c.  Seed 2.2 (F037, F038, F039).
"""

from dataclasses import dataclass
from enum import Enum

from linuxmm.model.alloc.freelist import Zone, list_head, nr_free_pages, watermark_of
from linuxmm.model.defrag.compaction import blocks_of, compact_zone, compaction_suitable
from linuxmm.model.defrag.rules import Rules
from linuxmm.model.defrag.state import NOTHING, Control, Memory
from linuxmm.model.defrag.zones import put_off
from linuxmm.spec.alloc.fragmentation import fragmentation_index
from linuxmm.spec.alloc.retry import Compaction
from linuxmm.spec.defrag.migration import Mode
from linuxmm.spec.reclaim.daemon import compact_gap


class Reason(Enum):
    """What decided."""

    FREE = "a block of the type was free already"
    FALLBACK = "a block of another type was free, which the request may take with its pageblock"
    NOT_PERMITTED = "this kernel does not compact for such a request"
    PUT_OFF = "compaction failed lately and is put off"
    SHORT = "too little is free for compaction to work with"
    NOT_FRAGMENTED = "the request fails for want of memory, not by fragmentation"
    CAPTURED = "compaction freed a block, and it was handed over as it merged"
    COMPACTED = "compaction freed a block"
    IN_THE_WAY = "the scanners met: what is in the way cannot be moved"
    NO_TARGETS = "compaction ran out of free pages to move to"


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a request fared.

    succeeds  whether a block is there for it
    free, needed  pages free, and those that compaction asks for beyond the watermark
    index     fragmentation_index before
    moved, scanned  by compaction
    """

    reason: Reason
    succeeds: bool
    free: int
    needed: int
    index: int
    moved: int = 0
    scanned: int = 0

    def __str__(self) -> str:
        return (
            f"{'succeeds' if self.succeeds else 'fails'}: {self.reason.value} "
            f"({self.free} pages free, {self.needed} needed, fragmentation index {self.index}, "
            f"{self.moved} of {self.scanned} pages scanned were moved)"
        )


def serves(rules: Rules, zone: Zone, order: int, own_type: int) -> Reason | None:
    """Whether the free lists serve a request now, and how."""
    for at in range(order, rules.alloc.max_order + 1):
        if list_head(zone, at, own_type) != NOTHING:
            return Reason.FREE
    for at in range(order, rules.alloc.max_order + 1):
        if rules.served_otherwise(rules, zone, at, own_type):
            return Reason.FALLBACK
    return None


def explain(
    rules: Rules, memory: Memory, order: int, own_type: int = 1, mode: Mode = Mode.SYNC_LIGHT
) -> Explanation:
    """Why a request for 2**order pages of this zone succeeds or fails after one direct compaction.

    Requires  order > 0
    """
    zone = memory.zone
    index = fragmentation_index(blocks_of(rules, zone), order)
    free = nr_free_pages(zone)
    needed = compact_gap(order) + rules.base_mark(
        order, watermark_of(zone, 0), watermark_of(zone, 1), watermark_of(zone, 0)
    )

    def because(reason: Reason, succeeds: bool, moved: int = 0, scanned: int = 0) -> Explanation:
        return Explanation(reason, succeeds, free, needed, index, moved, scanned)

    at_once = serves(rules, zone, order, own_type)
    if at_once is not None:
        return because(at_once, True)
    if not rules.permitted(order, True, True):
        return because(Reason.NOT_PERMITTED, False)
    memory, off = put_off(rules, memory, order)
    if off:
        return because(Reason.PUT_OFF, False)
    c = Control(order, mode, own_type, direct=True, capture=True)
    if compaction_suitable(rules, zone, c) is not Compaction.CONTINUE:
        return because(Reason.SHORT if free <= needed else Reason.NOT_FRAGMENTED, False)
    run, result = compact_zone(rules, memory, c)
    moved, scanned = len(run.moved), run.scanned
    if run.captured != NOTHING:
        return because(Reason.CAPTURED, True, moved, scanned)
    if serves(rules, run.zone, order, own_type) is not None:
        return because(Reason.COMPACTED, True, moved, scanned)
    met = result in (Compaction.COMPLETE, Compaction.PARTIAL_SKIPPED)
    return because(Reason.IN_THE_WAY if met else Reason.NO_TARGETS, False, moved, scanned)
