"""What an observation teaches about a machine beyond the recorded evidence, and making the machine agree.

A prediction runs from the exact state at a mark, but some of what happens in between leaves no event: when
reclaim runs, how compaction's search reorders a list, how the per-CPU counters stand.  Each function here
changes the machine as little as agrees with an observation, or refuses when nothing so small would do.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple

from linuxmm.fast import arena
from linuxmm.fast.engine import CHOOSE, Engine, LogEntry
from linuxmm.fast.machine import PRIMITIVES, walk
from linuxmm.model.alloc.movement import count_block
from linuxmm.spec.alloc.migratetype import enough_to_retag
from linuxmm.spec.alloc.pcp import PcpVars, with_factor, with_high, with_pages
from linuxmm.spec.alloc.request import Request
from linuxmm.spec.alloc.vmstat import stat_pressure_threshold, stat_threshold
from linuxmm.spec.relink import Relinker

_count_block: Final = Relinker(PRIMITIVES)(count_block)
PAGE_SHIFT: Final = 12
"""Of the architectures with recorded evidence."""


class Learnt(NamedTuple):
    """What an outcome taught about the numbers of a CPU's list.

    reclaim   the zone's flags, or a limit that follows from them, were other than supposed
    attempts  the doublings of the batch were other than supposed
    """

    reclaim: bool
    attempts: bool


def exchange(engine: Engine, handed_out: int, other: int) -> bool:
    """Undo handing out one cached block and hand out another of the same list in its stead.

    Ensures   `handed_out` stands where `other` stood; False, and nothing done, if `other` is not cached
    """
    if engine.holder(other) != "cached" or engine.zone_of(other) != engine.zone_of(handed_out):
        return False
    m = engine.arrays
    page = m.mem.reshape(m.nodes, arena.WORDS)
    if (int(page[handed_out, arena.TAG]) ^ int(page[other, arena.TAG])) & arena.ORDER_MASK:
        return False
    page[handed_out] = page[other]
    after, before, _ = page[other]
    page[before, 0] = page[after, arena.PREV] = handed_out
    page[other, arena.TAG] = 0
    return True


def rotate(engine: Engine, first: int, before: int) -> bool:
    """Move the part of a free list from block `first` up to, not including, block `before` to its tail.

    Ensures   False, and nothing done, unless both head free blocks of one list, `before` after `first`
    Source    mm/compaction.c:move_freelist_head, move_freelist_tail do this to a whole list
    """
    order, m = engine.free_order(first), engine.arrays
    zone = engine.zones[max(engine.zone_of(first), 0)]
    if order < 0 or engine.free_order(before) != order or engine.zone_of(before) != engine.zone_of(first):
        return False
    head = engine.list_of(first)
    blocks = list(walk(zone, head))
    if before not in blocks or blocks.index(before) < blocks.index(first):
        return False
    a, b = blocks.index(first), blocks.index(before)
    ring = [head, *blocks[:a], *blocks[b:], *blocks[a:b]]
    for node, after in zip(ring, [*ring[1:], head], strict=True):
        m.mem[arena.WORDS * node] = after
        m.mem[arena.WORDS * after + arena.PREV] = node
    return True


def reordered(engine: Engine, allocate: Callable[[], int], seen: list[LogEntry]) -> tuple[int, int]:
    """Run an allocation so that its events are the seen ones, reordering free lists as compaction does.

    Ensures   (pfn handed out, lists reordered); where no reordering helps, what the machine does by itself
    """
    before = engine.snapshot()
    rotations = 0
    reached = -1
    while True:
        pfn = allocate()
        did = list(engine.log())
        agreed = _first_difference(did, seen)
        if agreed < 0 or agreed <= reached:
            return pfn, rotations
        reached = agreed
        after = engine.snapshot()
        engine.restore(before)
        ours, theirs = engine.free_block(did[agreed].pfn), engine.free_block(seen[agreed].pfn)
        if ours < 0 or theirs < 0 or not rotate(engine, ours, theirs):
            engine.restore(after)
            return pfn, rotations
        before = engine.snapshot()
        rotations += 1


def _first_difference(did: list[LogEntry], seen: list[LogEntry]) -> int:
    return next((i for i, (a, b) in enumerate(zip(did, seen, strict=False)) if a != b), -1)


def balanced(
    engine: Engine, zone: int, allocate: Callable[[], int], seen: list[LogEntry]
) -> tuple[int, bool]:
    """Run an allocation that balances CMA against other pages, as the kernel's view of the counters made it.

    Ensures   (pfn handed out, whether the drift of the free-page counter decided); the counter is as it was
    Source    mm/page_alloc.c:__rmqueue
    """
    before = engine.snapshot()
    pfn = allocate()
    if _first_difference(list(engine.log()), seen) < 0:
        return pfn, False
    after = engine.snapshot()
    for off in range(1, 3 * drift(engine, zone) + 1):  # NR_FREE_PAGES drifts once, NR_FREE_CMA counts twice
        for pages in (off, -off):
            engine.restore(before)
            _set_free(engine, zone, free_pages(engine, zone) + pages)
            pfn = allocate()
            if _first_difference(list(engine.log()), seen) < 0:
                _set_free(engine, zone, free_pages(engine, zone) - pages)
                return pfn, True
    engine.restore(after)
    return pfn, False


def tried_first(engine: Engine, tries: list[tuple[int, bool]]) -> int:
    """Put the blocks that a fallback tried at the heads of their lists; how many stood elsewhere.

    tries  (free block, whether its pageblock was claimed), in order; what follows a claim is left alone
    """
    rotations = 0
    orders: set[int] = set()
    for pfn, claimed in tries:
        order = engine.free_order(pfn)
        if order >= 0 and order not in orders:
            orders.add(order)
            first = engine.list_head(pfn)
            rotations += first != pfn and rotate(engine, first, pfn)
        if claimed:
            break
    return rotations


def assume_movable(engine: Engine, pfn: int, movable: bool) -> None:
    """Take every page in use of a pageblock as movable, or none."""
    m = engine.arrays
    start = pfn >> m.block_order << m.block_order
    end = min(start + (1 << m.block_order), m.nodes)
    tags = m.mem[arena.TAG :: arena.WORDS]
    page = start
    while page < end:
        tag = int(tags[page])
        if tag & arena.FREE:
            page += 1 << (tag & arena.ORDER_MASK)
            continue
        if not tag & arena.CACHED:
            tags[page] = arena.IN_USE | arena.MOVABLE_BIT if movable else 0
        page += 1


def would_claim(engine: Engine, pfn: int, migratetype: int) -> bool:
    """Whether the model would claim the pageblock of pfn for a type, as far as pages in use are known."""
    zone = engine.zones[engine.zone_of(pfn)]
    block = 1 << zone.block_order
    start = pfn & ~(block - 1)
    free, movable = _count_block(zone, start, min(start + block, int(zone.end)))
    alike = engine.rules.alike_pages(migratetype, int(arena.pageblock_type(zone, pfn)), block, free, movable)
    return enough_to_retag(free, alike, block, engine.rules.grouping_disabled)


def learn_drain(engine: Engine, pfn: int, cpu: int, order: int, seen: int) -> Learnt:
    """Make the numbers of a CPU's list such that a free of this order gives back `seen` pages.

    Ensures   nothing is changed when they agreed already, or when no numbers could explain what was seen
    """

    def given_back(v: PcpVars, reclaim: bool, below: bool) -> int:
        after = with_pages(v, v.pages + (1 << order))
        return min(engine.rules.pcp_commit(after, order, reclaim, below)[1], after.pages)

    now = engine.pcp_vars(engine.zone_of(pfn), cpu)
    pages = now.pages + (1 << order)
    limits = (pages, pages + 1) if seen else (now.high_max,)  # nothing given back bounds the limit from below
    return _learn(engine, engine.zone_of(pfn), cpu, given_back, seen, limits)


def learn_refill(engine: Engine, zone: int, cpu: int, order: int, seen: int) -> Learnt:
    """Make the numbers of a CPU's list such that a refill for this order fetches `seen` blocks.

    Ensures   nothing is changed when they agreed already, or when no numbers could explain what was seen
    """

    def fetched(v: PcpVars, reclaim: bool, below: bool) -> int:
        return engine.rules.pcp_refill(engine.rules.pcp_alloc(v), order, below)[1]

    return _learn(engine, zone, cpu, fetched, seen, ())


def _learn(
    engine: Engine,
    zone: int,
    cpu: int,
    outcome: Callable[[PcpVars, bool, bool], int],
    seen: int,
    limits: tuple[int, ...],
) -> Learnt:
    """The nearest numbers with the seen outcome: as they are, other flags, another factor, another limit."""
    z = engine.zones[zone]
    now = engine.pcp_vars(zone, cpu)
    flags = (bool(arena.is_reclaim_active(z)), bool(arena.is_below_high(z)))
    bounds = (now.high, *limits, seen + now.pages + now.batch, now.high_min, now.high_max)
    for high in bounds if now.high_min != now.high_max else (now.high,):
        for factor in (now.factor, *range(now.scale_max + 1)):
            for reclaim, below in (flags, (True, False), (False, True), (False, False), (True, True)):
                guess = with_high(with_factor(now, factor), high)
                if outcome(guess, reclaim, below) == seen:
                    engine.arrays.st[z.counters + arena.RECLAIM_ACTIVE] = reclaim
                    engine.arrays.st[z.counters + arena.BELOW_HIGH] = below
                    arena.set_pcp_vars(z, cpu, guess)
                    return Learnt((reclaim, below) != flags or high != now.high, factor != now.factor)
    return Learnt(False, False)


def learn_boost(engine: Engine, zone: int, agrees: Callable[[], bool]) -> bool:
    """Lower a zone's watermark boost to the most that agrees with an observation.

    agrees  whether the machine as it is agrees
    Ensures   whether the boost was changed; not, if no boost agrees or the present one does
    """
    boost = engine.boost(zone)
    if not boost or agrees():
        return False
    engine.set_boost(zone, 0)
    if not agrees():
        engine.set_boost(zone, boost)
        return False
    passes, fails = 0, boost
    while fails - passes > 1:
        middle = (passes + fails) // 2
        engine.set_boost(zone, middle)
        if agrees():
            passes = middle
        else:
            fails = middle
    engine.set_boost(zone, passes)
    return True


def drift(engine: Engine, zone: int) -> int:
    """Pages by which the kernel's own view of a zone's free pages may be off, on all CPUs together."""
    z = engine.zones[zone]
    counters = engine.arrays.st[z.counters : z.counters + arena.PCP_VARS]
    cpus, (minimum, low) = engine.nr_cpus, counters[arena.WATERMARK : arena.WATERMARK + 2].tolist()
    normal = stat_threshold(cpus, int(counters[arena.MANAGED]), PAGE_SHIFT)
    return cpus * max(normal, stat_pressure_threshold(cpus, minimum, low))


def views(engine: Engine, zone: int) -> dict[int, int]:
    """What to add to each zone's free pages for the view that favours a zone (or none, -1) most."""
    zones = range(engine.arrays.nr_zones)
    return {at: drift(engine, at) if at == zone else -drift(engine, at) for at in zones}


@contextmanager
def seen_with(engine: Engine, added: Mapping[int, int]) -> Iterator[None]:
    """For a while, the counters of free pages as the kernel saw them."""
    for zone, pages in added.items():
        _set_free(engine, zone, free_pages(engine, zone) + pages)
    try:
        yield
    finally:
        for zone, pages in added.items():
            _set_free(engine, zone, free_pages(engine, zone) - pages)


def may_choose(engine: Engine, request: Request, flags: int, zone: int) -> bool:
    """Whether the watermarks may choose a zone (or none, -1), given the drift of the free-page counters."""
    with seen_with(engine, views(engine, zone)):
        return engine.run(CHOOSE, request=request, flags=flags) == zone


def free_pages(engine: Engine, zone: int) -> int:
    """NR_FREE_PAGES of a zone."""
    return int(engine.arrays.st[engine.zones[zone].counters + arena.NR_FREE])


def _set_free(engine: Engine, zone: int, pages: int) -> None:
    engine.arrays.st[engine.zones[zone].counters + arena.NR_FREE] = pages
