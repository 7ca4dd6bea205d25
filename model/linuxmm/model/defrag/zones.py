"""Who compacts: a request over its zonelist, the administrator, and the daemon of each node.

Linux: mm/compaction.c:try_to_compact_pages, compact_node, kcompactd_do_work, kcompactd.  Seed 2.2.3 (F039).
"""

from dataclasses import dataclass, replace

from linuxmm.model.alloc.dialogue import Compacted
from linuxmm.model.alloc.freelist import nr_free_pages, watermark_of
from linuxmm.model.alloc.pcp import drain_pages_zone
from linuxmm.model.defrag.compaction import blocks_of, compact_zone, compaction_suitable
from linuxmm.model.defrag.rules import Rules
from linuxmm.model.defrag.state import NOTHING, Control, Memory, Run
from linuxmm.spec.alloc.fragmentation import extfrag_for_order
from linuxmm.spec.alloc.gfp import ALLOC_CMA
from linuxmm.spec.alloc.retry import ASYNC, SYNC_FULL, Compaction
from linuxmm.spec.defrag import defer
from linuxmm.spec.defrag.defer import Deferral
from linuxmm.spec.defrag.migration import Mode
from linuxmm.spec.defrag.suitable import WHOLE
from linuxmm.spec.reclaim.daemon import compact_gap
from linuxmm.spec.registry import verb

HUGE_ORDER = 9


@dataclass(frozen=True, slots=True)
class Direct:
    """A request that compacts.

    order, own_type  of the request;  priority  SYNC_FULL < SYNC_LIGHT < ASYNC
    flags            ALLOC_*;  may_enter_fs, may_perform_io  of its GFP word
    """

    order: int
    own_type: int = 1
    priority: int = ASYNC
    flags: int = 0
    class_index: int = 0
    may_enter_fs: bool = True
    may_perform_io: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What direct compaction answers: for the request, the zones, and the block captured for it or -1."""

    compacted: Compacted
    zones: tuple[Memory, ...]
    captured: int = NOTHING
    moved: tuple[tuple[int, int], ...] = ()


def _remember(memory: Memory, deferral: Deferral) -> Memory:
    return replace(memory, marks=memory.marks._replace(deferral=deferral))


def put_off(rules: Rules, memory: Memory, order: int) -> tuple[Memory, bool]:
    """Whether compaction of a zone is put off for a request.

    Source    mm/compaction.c:compaction_deferred; 2.6.35 to 6.12
    """
    d = memory.marks.deferral
    if rules.below(order, d.order_failed):
        return memory, False
    off, considered = defer.consider(d.considered, d.shift)
    return _remember(memory, d._replace(considered=considered)), off


def failed(memory: Memory, order: int) -> Memory:
    """Note that compaction did not help."""
    return _remember(memory, Deferral(*defer.defer(*memory.marks.deferral, order)))


def worked(memory: Memory, order: int, allocated: bool) -> Memory:
    """Note that compaction helped; allocated: the request was served."""
    return _remember(memory, Deferral(*defer.defer_reset(*memory.marks.deferral, order, allocated)))


def reclaim_could_help(rules: Rules, memory: Memory, asked: Direct, reclaimable: int) -> bool:
    """Whether a zone would be fit for compaction with some of its reclaimable pages free.

    Source    mm/compaction.c:compaction_zonelist_suitable; 4.7 to 6.12
    """
    zone, a = memory.zone, rules.alloc
    free = nr_free_pages(zone) + reclaimable // max(asked.order, 1)
    base = rules.base_mark(asked.order, watermark_of(zone, 0), watermark_of(zone, 1), watermark_of(zone, 0))
    return a.watermark_ok(a, zone, 0, base + compact_gap(asked.order), asked.class_index, ALLOC_CMA, free)


@verb("F039", source="mm/compaction.c:try_to_compact_pages; 2.6.35 to 6.12")
def direct_compaction(
    rules: Rules, zones: tuple[Memory, ...], asked: Direct, reclaimable: tuple[int, ...] = ()
) -> Answer:
    """Compact the zones of a zonelist in turn until one can serve the request.

    zones        in the order of the zonelist;  reclaimable  pages of each
    Ensures      the greatest result of a zone, as `DirectCompaction` wants it
    """
    if not rules.permitted(asked.order, asked.may_enter_fs, asked.may_perform_io):
        return Answer(Compacted(Compaction.SKIPPED), zones)
    best = Compaction.SKIPPED
    after = list(zones)
    moved: tuple[tuple[int, int], ...] = ()
    for at, memory in enumerate(zones):
        off = False
        if asked.priority > SYNC_FULL:
            after[at], off = put_off(rules, memory, asked.order)
        if off:
            best = max(best, Compaction.DEFERRED)
            continue
        run, result = compact_zone(rules, after[at], _control(asked))
        after[at], best, moved = run.memory, max(best, result), (*moved, *run.moved)
        if result is Compaction.SUCCESS:
            after[at] = worked(after[at], asked.order, False)
            return Answer(Compacted(best), tuple(after), run.captured, moved)
        if asked.priority != ASYNC and result in (Compaction.COMPLETE, Compaction.PARTIAL_SKIPPED):
            after[at] = failed(after[at], asked.order)
    could = any(
        reclaim_could_help(rules, memory, asked, pages)
        for memory, pages in zip(after, reclaimable, strict=False)
    )
    return Answer(Compacted(best, could), tuple(after), moved=moved)


def _control(asked: Direct) -> Control:
    hardest = asked.priority == SYNC_FULL
    return Control(
        asked.order,
        Mode.ASYNC if asked.priority == ASYNC else Mode.SYNC_LIGHT,
        asked.own_type,
        direct=True,
        capture=True,
        whole_zone=hardest,
        ignore_skips=hardest,
        any_block=hardest,
        may_enter_fs=asked.may_enter_fs,
        class_index=asked.class_index,
        flags=asked.flags,
    )


@verb("F039", source="mm/compaction.c:compact_node; 2.6.35 to 6.12")
def compact_memory(rules: Rules, zones: tuple[Memory, ...]) -> tuple[Run, ...]:
    """Compact whole zones, as writing to /proc/sys/vm/compact_memory does."""
    whole = Control(WHOLE, Mode.SYNC, 0, whole_zone=True, ignore_skips=True)
    return tuple(compact_zone(rules, memory, whole)[0] for memory in zones)


@verb("F039", source="mm/compaction.c:kcompactd_do_work; 4.6 to 6.12")
def kcompactd(rules: Rules, zones: tuple[Memory, ...], order: int) -> tuple[tuple[Memory, ...], int]:
    """The daemon compacts the zones of its node for an order: (zones, how many it compacted)."""
    after, worked_on = list(zones), 0
    for at, memory in enumerate(zones):
        after[at], off = put_off(rules, memory, order)
        c = Control(order, Mode.SYNC_LIGHT, 0, class_index=0)
        if off or compaction_suitable(rules, memory.zone, c) is not Compaction.CONTINUE:
            continue
        run, result = compact_zone(rules, after[at], c)
        worked_on += 1
        after[at] = run.memory
        if result is Compaction.SUCCESS:
            after[at] = worked(run.memory, order, False)
        elif result in (Compaction.COMPLETE, Compaction.PARTIAL_SKIPPED):
            zone = drain_pages_zone(rules.alloc, run.zone, c.cpu)
            after[at] = failed(replace(run.memory, zone=zone), order)
    return tuple(after), worked_on


def score_of(rules: Rules, zones: tuple[Memory, ...]) -> int:
    """A node's fragmentation score in percent.

    Source    mm/compaction.c:fragmentation_score_node; 5.9 to 6.12
    """
    order = min(HUGE_ORDER, rules.alloc.max_order)
    parts = [(z.zone.managed, extfrag_for_order(blocks_of(rules, z.zone), order)) for z in zones]
    return defer.node_score(parts, sum(pages for pages, _ in parts))


@verb("F039", source="mm/compaction.c:kcompactd; 5.9 to 6.12")
def proactive(
    rules: Rules, zones: tuple[Memory, ...], proactiveness: int, kswapd_runs: bool = False
) -> tuple[tuple[Memory, ...], int]:
    """The daemon wakes by itself: zones afterwards, and milliseconds until it looks again."""
    before = score_of(rules, zones)
    if not defer.starts_by_itself(before, proactiveness, kswapd_runs):
        return zones, defer.CHECK_INTERVAL_MS
    low, _ = defer.score_marks(proactiveness)
    c = Control(WHOLE, Mode.SYNC_LIGHT, 0, whole_zone=True, ignore_skips=True, stop_score=low)
    after = tuple(compact_zone(rules, memory, c)[0].memory for memory in zones)
    return after, defer.next_check_ms(before, score_of(rules, after))
