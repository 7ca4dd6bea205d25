"""Prediction: run a recording's operations on the compiled model and compare every choice.

From the exact state at one mark, each observed request and free is run as an operation of the model; what
the model hands out, steals and gives back is compared with what the trace says the kernel did.  Where they
differ, the observation is adopted, and either a named gap in the evidence explains the difference or it
stands as unexplained.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from linuxmm.fast import engine as codes
from linuxmm.fast.engine import Engine, LogEntry
from linuxmm.fast.events import LOG_EXTFRAG, LOG_PCPU_DRAIN, LOG_ZONE_LOCKED
from linuxmm.model.alloc.movement import MOVABLE
from linuxmm.oracle.exact import adopt
from linuxmm.oracle.exact.plan import INSIDE, plan
from linuxmm.oracle.formats.events import Events
from linuxmm.oracle.formats.kinds import Kind
from linuxmm.oracle.observations import Numbering, Row, rows_of
from linuxmm.spec.alloc.gfp import ALLOC_CMA, ALLOC_KSWAPD, GFP_THISNODE_BIT
from linuxmm.spec.alloc.pcp import decayed_high, with_high
from linuxmm.spec.alloc.request import Request, request
from linuxmm.spec.vocabulary import MIGRATE_PCPTYPES, NR_MIGRATETYPES, MigrateType

_MIGRATE_MASK: Final = 7

_LOG_KIND: Final = {
    Kind.MM_PAGE_ALLOC_ZONE_LOCKED: LOG_ZONE_LOCKED,
    Kind.MM_PAGE_PCPU_DRAIN: LOG_PCPU_DRAIN,
    Kind.MM_PAGE_ALLOC_EXTFRAG: LOG_EXTFRAG,
}
INTERRUPTED: Final = "an interrupt came between a list operation and its event"
DRIFT: Final = "free pages were within the per-CPU counters' drift of a watermark"
RESERVES: Final = "the task's right to go below the watermark, or its policy, is not recorded"
RECLAIM_UNKNOWN: Final = "when reclaim worked on a zone is not recorded"
BOOST_UNKNOWN: Final = "when kswapd took back a zone's watermark boost is not recorded"
REORDERED: Final = "compaction's search for pages reordered a free list, which is not recorded"
ATTEMPTS_UNKNOWN: Final = "attempts at a zone that found nothing are not recorded"
MOVABLE_UNKNOWN: Final = "which pages in use were movable is not recorded"


@dataclass(frozen=True, slots=True)
class Difference:
    """One choice that the model did not predict.

    gap  the named gap in the evidence that explains it, "" when none does
    """

    line: int
    what: str
    predicted: str
    observed: str
    gap: str = ""


@dataclass(slots=True)
class Prediction:
    """What a replay found."""

    operations: int = 0
    predicted: int = 0
    steps_checked: int = 0
    differences: list[Difference] = field(default_factory=list)
    gaps: Counter[str] = field(default_factory=Counter)

    @property
    def unexplained(self) -> int:
        """Differences that no named gap explains."""
        return sum(1 for difference in self.differences if not difference.gap)


class Replay:
    """A replay in progress: the engine, and what is expected next on each CPU."""

    def __init__(self, engine: Engine, events: Events, names: Numbering, cpu_nodes: dict[int, int]) -> None:
        self.engine = engine
        self.names = names
        self.cpu_nodes = cpu_nodes
        self.rows = list(rows_of(events, names))
        self.result = Prediction()
        self._plan = plan(self.rows)
        self._expected: defaultdict[tuple[int, int], deque[LogEntry]] = defaultdict(deque)
        self._done: dict[int, int] = {}

    def run(self) -> Prediction:
        """Replay every row; the engine ends in the predicted after-state."""
        for row in self.rows:
            hoisted = self._plan.hoisted.get(row.number)
            if hoisted is not None:
                self._hoist(self.rows[hoisted])
            self._row(row)
        return self.result

    # ---- one row -----------------------------------------------------------------------------------------

    def _row(self, row: Row) -> None:
        begun = self._plan.begins.get(row.number)
        if begun is not None:
            self._operation(self.rows[begun])
        if row.number not in self._plan.deferred:
            self._operation(row)

    def _operation(self, row: Row) -> None:
        kind = row.kind
        if kind in INSIDE:
            at = self._plan.request_of.get(row.number)
            if at is not None and at not in self._done:
                self._run_request(self.rows[at])
        if kind in _LOG_KIND:
            self._expect(row)
        elif kind == Kind.MM_PAGE_ALLOC:
            self._allocation(row)
        elif kind == Kind.COMMIT:
            self._learn_reclaim(row)
            self._operate(row, codes.FREE)
        elif kind == Kind.FREEOK or kind == Kind.SPLITL:
            self._operate(row, codes.FREE_LARGE)
        elif kind == Kind.FREEONE:
            self._operate(row, codes.FREE_ONE, migratetype=self._type_for_free(row))
        elif kind == Kind.PCPBULK:
            self._environment_drain(row)
        elif kind == Kind.BULKALLOC:
            self._bulk(row)
        elif kind == Kind.ISOL_R:
            self._isolated(row)
        elif kind == Kind.PUTISO:
            self._operate(row, codes.PUTBACK, migratetype=row.mt)
        elif kind == Kind.SETPFB:
            self._retagged(row)
        elif kind == Kind.DECAYHIGH:
            self._decay(row)
        elif kind == Kind.SPLITFREE:
            self._split_free(row)

    def _operate(self, row: Row, code: int, migratetype: int = 0) -> None:
        if not self._sound(row) or not 0 <= migratetype < NR_MIGRATETYPES:
            return
        if self.engine.is_listed(row.pfn, row.order):
            what = Kind(row.kind).name.lower()
            self._differ(row, what, "a block in use", f"pfn {row.pfn:#x} order {row.order} is on a list")
            return
        self.result.operations += 1
        self.engine.run(code, pfn=row.pfn, order=row.order, migratetype=migratetype, cpu=row.cpu)
        self._queue(row)

    def _sound(self, row: Row) -> bool:
        """Whether the machine has such a block and such a CPU; a step for another would be undefined."""
        if self.engine.has_block(row.pfn, row.order) and 0 <= row.cpu < self.engine.nr_cpus:
            return True
        where = f"pfn {row.pfn:#x} order {row.order} on CPU {row.cpu}"
        self._differ(row, Kind(row.kind).name.lower(), "a block and a CPU of this machine", where)
        return False

    def _queue(self, row: Row) -> None:
        for entry in self.engine.log():
            self._expected[row.cpu, self.engine.zone_of(entry.pfn)].append(entry)

    def _expect(self, row: Row) -> None:
        """Compare an event inside an operation with the next that the model had."""
        queue = self._expected[row.cpu, self.engine.zone_of(row.pfn)]
        self.result.steps_checked += 1
        seen = _as_log(row, self.names)
        expected = queue.popleft() if queue else None
        if expected != seen:
            self._differ(row, Kind(row.kind).name.lower(), str(expected), str(seen))

    def _differ(self, row: Row, what: str, predicted: str, observed: str, gap: str = "") -> None:
        self.result.differences.append(Difference(row.line, what, predicted, observed, gap))
        if gap:
            self.result.gaps[gap] += 1

    # ---- requests ----------------------------------------------------------------------------------------

    def _hoist(self, row: Row) -> None:
        """An interrupt begins; was the request that it interrupts already answered?

        Its event comes after the interrupt's.  It was, if it got the block that is next on the CPU's list.
        """
        if row.number in self._done or not self.engine.has_block(row.pfn, row.order):
            return
        zone = self.engine.zone_of(row.pfn)
        if (
            row.mt >= 0
            and row.cpu < self.engine.nr_cpus
            and self.engine.next_cached(zone, row.cpu, row.order, row.mt) == row.pfn
        ):
            self._run_request(row)
            self.result.gaps[INTERRUPTED] += 1

    def _allocation(self, row: Row) -> None:
        if row.pfn < 0:
            return
        if row.number not in self._done:
            self._run_request(row)
        predicted = self._done.pop(row.number)
        self.result.operations += 1
        if predicted == row.pfn:
            self.result.predicted += 1
            return
        gap = INTERRUPTED if predicted >= 0 and adopt.exchange(self.engine, predicted, row.pfn) else ""
        self._differ(row, "mm_page_alloc", f"pfn {predicted:#x}", f"pfn {row.pfn:#x}", gap)

    def _run_request(self, row: Row) -> None:
        """Run the request that `row` reports, in the zone that the watermarks choose."""
        if not self._sound(row):
            self._done[row.number] = row.pfn
            return
        real = self.engine.zone_of(row.pfn)
        node = self._node_of(row, real)
        asked = request(row.order, row.a, cpu=row.cpu, node=node)
        cma = ALLOC_CMA if self.engine.rules.cma and asked.migratetype == MOVABLE else 0
        fast = 1 | cma | asked.gfp & ALLOC_KSWAPD
        low = self.engine.rules.slowpath_flags(asked.gfp, asked.order, False, self.engine.rules.cma)
        self._learn_movable(row)
        self._learn_boost(asked, (fast, low), real)
        self._learn_refill(row, asked, real)
        chosen, attempt = self._answer(asked, fast, low)
        if chosen != real:
            self.result.gaps[self._why_zone(asked, (fast, low), real)] += 1
        flags = low if attempt == codes.ALLOC_MIN else fast

        def allocate() -> int:
            if chosen == real:
                return self.engine.run(attempt, request=asked)
            return self.engine.run(
                codes.TAKE,
                pfn=row.pfn,
                order=row.order,
                migratetype=asked.migratetype,
                cpu=row.cpu,
                flags=flags,
            )

        pfn = self._allocate_as_seen(row, allocate, real)
        self._queue(row)
        self._done[row.number] = pfn

    def _allocate_as_seen(self, row: Row, allocate: Callable[[], int], zone: int) -> int:
        """Run an allocation; where unrecorded causes may have decided, as its events say they did."""
        inside = self._plan.inside.get(row.number, ())
        seen = [_as_log(self.rows[number], self.names) for number in inside]
        if any(event.kind == LOG_ZONE_LOCKED and event.b == MigrateType.CMA for event in seen):
            pfn, drifted = adopt.balanced(self.engine, zone, allocate, seen)
            self.result.gaps[DRIFT] += drifted
            return pfn
        if seen and row.number > self._plan.compacted:
            claims = self._plan.claims.get(row.number, [])
            self.result.gaps[REORDERED] += adopt.tried_first(self.engine, claims)
            pfn, rotations = adopt.reordered(self.engine, allocate, seen)
            self.result.gaps[REORDERED] += rotations
            return pfn
        return allocate()

    def _answer(self, asked: Request, fast: int, low: int) -> tuple[int, int]:
        """(zone number, attempt) that the watermarks choose: the fast path's, else the slow path's first."""
        chosen = self._chosen(asked, fast)
        if chosen >= 0:
            return chosen, codes.ALLOC_FAST
        return self._chosen(asked, low), codes.ALLOC_MIN

    def _chosen(self, asked: Request, flags: int, slack: int = 0) -> int:
        return self.engine.run(codes.CHOOSE, pfn=slack, request=asked, flags=flags)

    def _why_zone(self, asked: Request, attempts: tuple[int, ...], real: int) -> str:
        return (
            DRIFT
            if any(adopt.may_choose(self.engine, asked, flags, real) for flags in attempts)
            else RESERVES
        )

    def _node_of(self, row: Row, real: int) -> int:
        """The node that the request preferred: the CPU's, unless the page shows a policy."""
        local = self.cpu_nodes.get(row.cpu, 0)
        if self.engine.arrays.nr_nodes == 1 or real < 0:
            return local
        node = self.engine.node_of(real)
        if node != local and row.a & GFP_THISNODE_BIT:
            return node
        return node if node in self.cpu_nodes.values() else local

    def _learn_boost(self, asked: Request, attempts: tuple[int, int], real: int) -> None:
        """A zone that passed only with less of its boost shows how much kswapd has taken back at least."""
        if adopt.learn_boost(self.engine, real, lambda: self._answer(asked, *attempts)[0] == real):
            self.result.gaps[BOOST_UNKNOWN] += 1

    def _learn_movable(self, row: Row) -> None:
        """Whether the kernel claimed the pageblock shows how many of its pages in use were movable."""
        for pfn, claimed in self._plan.claims.get(row.number, ()):
            start = row.mt
            known = self.engine.has_block(pfn, 0) and 0 <= start < MIGRATE_PCPTYPES
            if known and adopt.would_claim(self.engine, pfn, start) != claimed:
                movable_helps = start == MOVABLE
                adopt.assume_movable(self.engine, pfn, movable_helps == claimed)
                self.result.gaps[MOVABLE_UNKNOWN] += 1

    def _learn_reclaim(self, row: Row) -> None:
        """How much the kernel gave back shows whether it took the zone as under reclaim or below its mark."""
        seen = self._plan.drained.get(row.number)
        if seen is None or not self.engine.has_block(row.pfn, row.order) or row.cpu >= self.engine.nr_cpus:
            return
        self._learnt(adopt.learn_drain(self.engine, row.pfn, row.cpu, row.order, seen))

    def _learn_refill(self, row: Row, asked: Request, zone: int) -> None:
        """How many blocks the kernel fetched shows the same."""
        seen = self._plan.refilled.get(row.number)
        cached = self.engine.rules.pcp_allowed(row.order, self.engine.rules.pageblock_order)
        if not seen or not cached or row.cpu >= self.engine.nr_cpus:
            return
        if self.engine.next_cached(zone, row.cpu, row.order, asked.migratetype) < 0:
            self._learnt(adopt.learn_refill(self.engine, zone, row.cpu, row.order, seen))

    def _learnt(self, learnt: adopt.Learnt) -> None:
        if learnt.reclaim:
            self.result.gaps[RECLAIM_UNKNOWN] += 1
        if learnt.attempts:
            self.result.gaps[ATTEMPTS_UNKNOWN] += 1

    # ---- everything else ---------------------------------------------------------------------------------

    def _type_for_free(self, row: Row) -> int:
        return row.mt if row.mt >= 0 else self.engine.pageblock_type(row.pfn)

    def _environment_drain(self, row: Row) -> None:
        """A drain that no free of this CPU asked for: the kernel's housekeeping."""
        if row.number in self._plan.caused:
            return
        known = self._plan.pcps.get(row.b)
        if known is None or not self.engine.has_block(known[0], 0) or known[1] >= self.engine.nr_cpus:
            self._differ(row, "free_pcppages_bulk", "a per-CPU list seen before", f"{row.b:#x}")
            return
        pfn, cpu = known
        count, index = row.c >> 32, row.c & 0xFFFFFFFF
        if index >= self.engine.rules.nr_pcp_lists:
            self._differ(row, "free_pcppages_bulk", "a list of this kernel", f"list {index}")
            return
        self.engine.run(codes.DRAIN, pfn=pfn, order=count, cpu=cpu, flags=index)
        self._queue(row)

    def _bulk(self, row: Row) -> None:
        """The bulk allocator: pages from the CPU's list; the trace has their number alone."""
        taken = self._plan.bulk.get(row.number, 0)
        if taken <= 0 or not 0 <= row.cpu < self.engine.nr_cpus:
            return
        node = self.cpu_nodes.get(row.cpu, 0)
        asked = request(0, row.a & 0xFFFFFFFF, cpu=row.cpu, node=node)
        zone = self._chosen(asked, 1, -(row.c & 0xFFFFFFFF))
        zone = max(zone, 0)
        start = self.engine.start_of(zone)
        self.result.operations += 1
        for _ in range(taken):
            self.engine.run(codes.POP, pfn=start, migratetype=asked.migratetype, cpu=row.cpu, flags=1)
            self._queue(row)

    def _isolated(self, row: Row) -> None:
        """Compaction took a free block off its list."""
        block = self._plan.isolated.get(row.number)
        if row.a <= 0 or block is None:
            return
        pfn, order = block
        if self.engine.free_order(pfn) != order:
            self._differ(row, "__isolate_free_page", "a free block", f"pfn {pfn:#x} order {order}")
            return
        self.result.operations += 1
        self.engine.run(codes.ISOLATE_FREE, pfn=pfn, order=order)

    def _retagged(self, row: Row) -> None:
        """A pageblock got a type: the model gave it already, or somebody outside the allocator asked."""
        if row.number in self._plan.caused or not row.b & _MIGRATE_MASK or self.engine.zone_of(row.pfn) < 0:
            return
        number = row.a & _MIGRATE_MASK
        migratetype = self.names.ours[number] if number < len(self.names.ours) else -1
        present = self.engine.pageblock_type(row.pfn)
        if migratetype < 0 or migratetype == present:
            return
        code = codes.SET_TYPE
        if migratetype == MigrateType.ISOLATE:
            code = codes.ISOLATE_BLOCK
        elif present == MigrateType.ISOLATE:
            code = codes.UNISOLATE_BLOCK
        self.result.operations += code != codes.SET_TYPE
        self.engine.run(code, pfn=row.pfn, migratetype=migratetype)

    def _decay(self, row: Row) -> None:
        """The limit of an idle CPU's list was lowered; what is given back for it follows as an event."""
        known = self._plan.pcps.get(row.b)
        if known is not None and known[1] < self.engine.nr_cpus:
            zone = self.engine.zone_of(known[0])
            numbers = self.engine.pcp_vars(zone, known[1])
            self.engine.set_pcp_vars(zone, known[1], with_high(numbers, decayed_high(numbers)))

    def _split_free(self, row: Row) -> None:
        """A free block was cut where an isolated pageblock begins or ends."""
        if self.engine.free_order(row.pfn) != row.order or not 0 < row.a < 1 << row.order:
            self._differ(row, "split_free_page", "a free block", f"pfn {row.pfn:#x} order {row.order}")
            return
        self.result.operations += 1
        self.engine.run(codes.SPLIT_FREE, pfn=row.pfn, order=row.order, flags=row.a)


def _as_log(row: Row, names: Numbering) -> LogEntry:
    """An observed event in the form of the engine's log."""
    if row.kind == Kind.MM_PAGE_ALLOC_ZONE_LOCKED:
        return LogEntry(LOG_ZONE_LOCKED, row.pfn, row.order, row.mt, row.a, 0)
    if row.kind == Kind.MM_PAGE_PCPU_DRAIN:
        return LogEntry(LOG_PCPU_DRAIN, row.pfn, row.order, row.mt, 0, 0)
    types = row.mt | names.ours[row.b] << 8
    return LogEntry(LOG_EXTFRAG, row.pfn, row.order, row.a, types, row.c & 1)
