"""Prediction: run a recording's operations on the compiled model and compare every choice.

From the exact state at one mark, each observed request and free is run as an operation of the model; what
the model hands out, steals and gives back is compared with what the trace says the kernel did.  Where they
differ, the observation is adopted, and either a named gap in the evidence explains the difference or it
stands as unexplained.
"""

from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from typing import Final

from linuxmm.fast import engine as codes
from linuxmm.fast.engine import Engine, LogEntry
from linuxmm.fast.events import LOG_EXTFRAG, LOG_PCPU_DRAIN, LOG_ZONE_LOCKED
from linuxmm.model.alloc.isolate import (
    capture_block,
    isolate_pageblock,
    split_free_page,
    unisolate_pageblock,
)
from linuxmm.oracle.exact import adopt
from linuxmm.oracle.exact.addresses import Addresses
from linuxmm.oracle.exact.gaps import DRIFT, INTERRUPTED
from linuxmm.oracle.exact.plan import INSIDE, INTERRUPT, MIGRATE_MASK, by_breakpoint, plan, thread_of
from linuxmm.oracle.exact.requests import Requests, as_log
from linuxmm.oracle.exact.searches import Searches
from linuxmm.oracle.formats.events import Context, Events
from linuxmm.oracle.formats.kinds import Kind
from linuxmm.oracle.observations import Numbering, Row, rows_of
from linuxmm.spec.alloc.gfp_layouts import decode_gfp
from linuxmm.spec.alloc.pcp import decayed_high, with_high
from linuxmm.spec.alloc.request import request
from linuxmm.spec.kernel import Version
from linuxmm.spec.relink import Function
from linuxmm.spec.vocabulary import NR_MIGRATETYPES, MigrateType

_LOG_KIND: Final = {
    Kind.MM_PAGE_ALLOC_ZONE_LOCKED: LOG_ZONE_LOCKED,
    Kind.MM_PAGE_PCPU_DRAIN: LOG_PCPU_DRAIN,
    Kind.MM_PAGE_ALLOC_EXTFRAG: LOG_EXTFRAG,
}
_RECLAIM_ACTIVE: Final = 1
_BELOW_HIGH: Final = 2
_NEAR: Final = 16
"""Rows before and after an event among which another context shows that the event may be out of order."""
_INTERRUPT_ROWS: Final = 16


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
    """What a replay found.

    operations     of the model that were run
    predicted      grants that got the page that the model handed out
    steps_checked  list events that were compared
    unexplained    differences that no named gap explains
    complete       whether every row was replayed
    """

    operations: int = 0
    predicted: int = 0
    steps_checked: int = 0
    differences: list[Difference] = field(default_factory=list)
    gaps: Counter[str] = field(default_factory=Counter)
    unexplained: int = 0
    complete: bool = True


class Replay:
    """A replay in progress: the engine, and what is expected next on each CPU.

    unreserve  the kernel's rule for a pageblock that leaves the reserve of high-order atomic requests
    balanced   whether the recording would show when kswapd worked
    searches   follows compaction's searches of free lists; None where they are not recorded
    """

    def __init__(
        self,
        engine: Engine,
        events: Events,
        names: Numbering,
        addresses: Addresses,
        version: Version,
        unreserve: Function,
        balanced: bool = False,
        searches: Searches | None = None,
    ) -> None:
        self.engine = engine
        self.names = names
        self.addresses = addresses
        self.version = version
        self.unreserve = unreserve
        self.rows = list(rows_of(events, names))
        self.result = Prediction()
        self._plan = plan(self.rows, version, balanced, searches is not None)
        self._searches = searches
        self._requests = Requests(engine, self._plan, self.rows, names, addresses, version, self.result.gaps)
        self._boosts: dict[int, dict[int, int]] = {}
        self._expected: defaultdict[tuple[int, int], deque[LogEntry]] = defaultdict(deque)
        self._done: dict[int, int] = {}
        self._rest: dict[int, tuple[Row, int, int, int]] = {}
        self._at = 0

    def run(self, limit: int | None = None) -> Prediction:
        """Replay every row; the engine ends in the predicted after-state.

        limit: stop after so many unexplained differences
        """
        return self.advance(len(self.rows), limit)

    def advance(self, until: int, limit: int | None = None) -> Prediction:
        """Replay the rows that are left before row number `until`."""
        rows, self._at = self.rows[self._at : until], max(until, self._at)
        for row in rows:
            hoisted = self._plan.hoisted.get(row.number)
            if hoisted is not None:
                self._hoist(self._asked(hoisted), row)
            self._row(row)
            if limit is not None and self.result.unexplained >= limit:
                self.result.complete = False
                break
        return self.result

    # ---- one row -----------------------------------------------------------------------------------------

    def _row(self, row: Row) -> None:
        begun = self._plan.begins.get(row.number)
        if begun is not None:
            self._operation(self.rows[begun])
        if row.number not in self._plan.deferred:
            self._operation(row)
        captured = self._plan.captured.get(row.number)
        if captured is not None:
            self._capture(self.rows[captured])
            self._drain_rest(row)

    def _operation(self, row: Row) -> None:
        kind = row.kind
        missed = self._searches.see(thread_of(row), row) if self._searches else None
        if missed is not None:
            self._differ(row, *missed)
        if kind in INSIDE:
            at = self._plan.request_of.get(row.number)
            if at is not None and at not in self._done:
                self._run_request(self._asked(at))
        if kind in _LOG_KIND:
            self._expect(row)
        elif kind == Kind.MM_PAGE_ALLOC:
            self._allocation(row)
        elif kind == Kind.ATTEMPT:
            self._attempt(row)
        elif kind == Kind.BALANCE:
            self._balance(row)
        elif kind == Kind.BALANCE_R:
            self._balanced(row)
        elif kind == Kind.COMMIT:
            self._learn_reclaim(row)
            self._operate(row, codes.FREE)
        elif row.number in self._plan.caused:
            return
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
        seen = as_log(row, self.names)
        expected = queue.popleft() if queue else None
        if expected != seen:
            self._differ(row, Kind(row.kind).name.lower(), str(expected), str(seen))

    def _differ(self, row: Row, what: str, predicted: str, observed: str, gap: str = "") -> None:
        self.result.differences.append(Difference(row.line, what, predicted, observed, gap))
        if gap:
            self.result.gaps[gap] += 1
        else:
            self.result.unexplained += 1

    # ---- requests ----------------------------------------------------------------------------------------

    def _hoist(self, row: Row, first: Row) -> None:
        """An interrupt begins; was the request that it interrupts already answered?

        Its event comes after the interrupt's.  It was, if it got the block that is next on the CPU's list,
        unless a free of the interrupt recorded how many pages the list still held.

        first  the interrupt's first row
        """
        if row.number in self._done or not self.engine.has_block(row.pfn, row.order):
            return
        zone = self.engine.zone_of(row.pfn)
        if (
            row.mt >= 0
            and row.cpu < self.engine.nr_cpus
            and self.engine.next_cached(zone, row.cpu, row.order, row.mt) == row.pfn
            and self._held(first, zone) != self.engine.pcp_vars(zone, row.cpu).pages
        ):
            self._run_request(row)
            self.result.gaps[INTERRUPTED] += 1

    def _held(self, first: Row, zone: int) -> int:
        """Pages on the CPU's list as an interrupt's first free of that zone recorded them, or -1."""
        for row in self.rows[first.number : first.number + _INTERRUPT_ROWS]:
            if row.cpu == first.cpu and row.kind == Kind.MM_PAGE_ALLOC:
                break
            if row.cpu == first.cpu and row.kind == Kind.COMMIT and row.c:
                return _held_and_high(row)[0] if self.engine.zone_of(row.pfn) == zone else -1
        return -1

    def _asked(self, number: int) -> Row:
        """The request that an mm_page_alloc reports: the attempt that answered it, where it is recorded."""
        return self._plan.attempts.get(number, self.rows[number])

    def _attempt(self, row: Row) -> None:
        """An attempt that found nothing may still have changed what the zones note."""
        if row.number in self._plan.attempts:
            self.result.operations += 1
            predicted = self._requests.run(row._replace(pfn=-1))
            if predicted >= 0:
                self._differ(row, "get_page_from_freelist", f"pfn {predicted:#x}", "nothing")

    def _allocation(self, row: Row) -> None:
        if row.pfn < 0:
            return
        if row.number not in self._done:
            self._run_request(self._asked(row.number))
        predicted = self._done.pop(row.number)
        self.result.operations += 1
        if predicted == row.pfn:
            self.result.predicted += 1
            return
        exchanged = predicted >= 0 and adopt.exchange(self.engine, predicted, row.pfn)
        gap = INTERRUPTED if exchanged and self._disturbed(row) else ""
        self._differ(row, "mm_page_alloc", f"pfn {predicted:#x}", f"pfn {row.pfn:#x}", gap)

    def _disturbed(self, row: Row) -> bool:
        """Whether something else ran on the CPU from a request's attempt to its end, or about that time.

        Only then may a page have been taken in an order that its events do not show.
        """
        mine = row.pid, row.context & INTERRUPT
        if mine[1]:
            around = self.rows[max(row.number - _NEAR, 0) : row.number + _NEAR]
        else:
            around = self.rows[self._before(row) : row.number]
        return any(
            other.cpu == row.cpu and (other.pid, other.context & INTERRUPT) != mine
            for other in around
            if not by_breakpoint(other)
        )

    def _before(self, row: Row) -> int:
        """The row of the attempt that answered a request, or else of its thread's event before it."""
        asked = self._asked(row.number).number
        if asked < row.number:
            return asked
        for other in reversed(self.rows[max(row.number - _NEAR, 0) : row.number]):
            if other.pid == row.pid and other.cpu == row.cpu and not other.context & Context.HARDIRQ:
                return other.number
            if by_breakpoint(other) and other.pid == row.pid:
                return other.number
        return max(row.number - _NEAR, 0)

    def _run_request(self, row: Row) -> None:
        if row.pfn >= 0 and not self._sound(row):
            self._done[row.number] = row.pfn
            return
        self._done[row.number] = self._requests.run(row)
        self._queue(row)

    def _learn_reclaim(self, row: Row) -> None:
        """How the kernel saw the zone when a page was freed: recorded, or shown by how much it gave back."""
        seen = self._plan.drained.get(row.number)
        if not self.engine.has_block(row.pfn, row.order) or row.cpu >= self.engine.nr_cpus:
            return
        if row.c:
            self._adopt_numbers(row)
        elif seen is not None:
            self._requests.learnt(adopt.learn_drain(self.engine, row.pfn, row.cpu, row.order, seen))

    def _adopt_numbers(self, row: Row) -> None:
        """Take over the recorded flags of the zone; the numbers of the list must be the predicted ones."""
        zone = self.engine.zone_of(row.pfn)
        self.engine.set_flags(zone, bool(row.c >> _RECLAIM_ACTIVE & 1), bool(row.c >> _BELOW_HIGH & 1))
        numbers = self.engine.pcp_vars(zone, row.cpu)
        held, high = _held_and_high(row)
        if (held, high) != (numbers.pages, numbers.high):
            predicted = f"{numbers.pages} held, high {numbers.high}"
            adapts = numbers.high_min != numbers.high_max and held == numbers.pages
            self._differ(
                row, "free_unref_page_commit", predicted, f"{held} held, high {high}", DRIFT if adapts else ""
            )
            self.engine.set_pcp_vars(zone, row.cpu, with_high(numbers, high))

    def _balance(self, row: Row) -> None:
        """kswapd starts on a node; when it is done it takes back the boosts that it found."""
        node = self.addresses.nodes.get(row.b)
        self._boosts[row.pid] = {
            zone: self.engine.boost(zone)
            for zone, index in self.addresses.indices.items()
            if self.engine.node_of(zone) == node and index <= row.a
        }

    def _balanced(self, row: Row) -> None:
        for zone, boost in self._boosts.pop(row.pid, {}).items():
            self.engine.set_boost(zone, max(self.engine.boost(zone) - boost, 0))

    def _capture(self, row: Row) -> None:
        """Compaction gave its task a block that a release completed, past the free lists."""
        head = self.engine.free_block(row.pfn)
        if not self._sound(row) or head < 0 or self.engine.free_order(head) < row.order:
            return
        zone = self.engine.zone_of(row.pfn)
        self.engine.interpret(capture_block, zone, row.pfn, row.order)
        self._done[row.number] = row.pfn

    # ---- everything else ---------------------------------------------------------------------------------

    def _type_for_free(self, row: Row) -> int:
        return row.mt if row.mt >= 0 else self.engine.pageblock_type(row.pfn)

    def _environment_drain(self, row: Row) -> None:
        """A drain that no free of this CPU asked for: the kernel's housekeeping."""
        known = self._plan.pcps.get(row.b)
        if known is None or not self.engine.has_block(known[0], 0) or known[1] >= self.engine.nr_cpus:
            self._differ(row, "free_pcppages_bulk", "a per-CPU list seen before", f"{row.b:#x}")
            return
        pfn, cpu = known
        count, index = row.c >> 32, row.c & 0xFFFFFFFF
        if index >= self.engine.rules.nr_pcp_lists:
            self._differ(row, "free_pcppages_bulk", "a list of this kernel", f"list {index}")
            return
        first = self._until_capture(row)
        if first is not None:
            last, pages = first
            self._rest[last.number] = row, pfn, cpu, count - pages
            count = pages
        self.engine.run(codes.DRAIN, pfn=pfn, order=count, cpu=cpu, flags=index)
        self._queue(row)

    def _until_capture(self, row: Row) -> tuple[Row, int] | None:
        """The page of a drain that completes the block which compaction captures, and the pages up to it."""
        pages = 0
        for other in self.rows[row.number + 1 : row.number + 1 + (row.c >> 32)]:
            if (other.kind, other.cpu, other.pid) != (Kind.MM_PAGE_PCPU_DRAIN, row.cpu, row.pid):
                break
            pages += 1 << other.order
            if other.number in self._plan.captured:
                return other, pages
        return None

    def _drain_rest(self, last: Row) -> None:
        """Go on with a drain after compaction captured a block in the middle of it."""
        if last.number in self._rest:
            row, pfn, cpu, count = self._rest.pop(last.number)
            index = self.engine.rules.pcp_index(last.order, last.mt)
            if count > 0:
                self.engine.run(codes.DRAIN, pfn=pfn, order=count, cpu=cpu, flags=index)
                self._queue(row)

    def _bulk(self, row: Row) -> None:
        """The bulk allocator: pages from the CPU's list; the trace has their number alone."""
        taken = self._plan.bulk.get(row.number, 0)
        if taken <= 0 or not 0 <= row.cpu < self.engine.nr_cpus:
            return
        node = self.addresses.cpu_node(row.cpu)
        asked = request(0, decode_gfp(row.a & 0xFFFFFFFF, self.version), cpu=row.cpu, node=node)
        zone = self.engine.run(codes.CHOOSE, pfn=-(row.c & 0xFFFFFFFF), request=asked, flags=1)
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
        zone = self.engine.zone_of(row.pfn)
        if not row.b & MIGRATE_MASK or zone < 0:
            return
        number = row.a & MIGRATE_MASK
        migratetype = self.names.ours[number] if number < len(self.names.ours) else -1
        present = self.engine.pageblock_type(row.pfn)
        if migratetype < 0 or migratetype == present:
            return
        if migratetype == MigrateType.HIGHATOMIC:
            return  # the request that reserves the pageblock does it
        if MigrateType.ISOLATE in (migratetype, present):
            self.result.operations += 1
        if migratetype == MigrateType.ISOLATE:
            self.engine.interpret(isolate_pageblock, zone, row.pfn)
        elif present == MigrateType.ISOLATE:
            self.engine.interpret(unisolate_pageblock, zone, row.pfn, migratetype)
        elif present == MigrateType.HIGHATOMIC:
            self._unreserve(zone, row.pfn, migratetype)
        else:
            self.engine.run(codes.SET_TYPE, pfn=row.pfn, migratetype=migratetype)

    def _unreserve(self, zone: int, pfn: int, migratetype: int) -> None:
        """A pageblock left the reserve of high-order atomic requests."""
        start = pfn >> self.engine.rules.pageblock_order << self.engine.rules.pageblock_order
        head = self.engine.free_block(start)
        self.result.operations += 1
        self.engine.interpret(self.unreserve, zone, start, max(self.engine.free_order(head), 0), migratetype)

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
        self.engine.interpret(split_free_page, self.engine.zone_of(row.pfn), row.pfn, row.order, row.a)


def _held_and_high(row: Row) -> tuple[int, int]:
    """pcp->count and pcp->high at the beginning of a free, as the probe `commit` packs them."""
    return row.c >> 8 & 0xFFFFFF, row.c >> 32 & 0xFFFFFF
