"""Prediction: run a recording's operations on the compiled model and compare every choice.

From the exact state at one mark, each observed request and free is run as an operation of the model; what
the model hands out, steals and gives back is compared with what the trace says the kernel did.  Where they
differ, the observation is adopted, and either a named gap in the evidence explains the difference or it
stands as unexplained.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from linuxmm.fast import engine as codes
from linuxmm.fast.arena import LOG_EXTFRAG, LOG_PCPU_DRAIN, LOG_ZONE_LOCKED
from linuxmm.fast.engine import Engine, LogEntry
from linuxmm.oracle.formats.events import Context, Events
from linuxmm.oracle.formats.kinds import Kind
from linuxmm.oracle.observations import Numbering, Row, rows_of
from linuxmm.spec.alloc.gfp import ALLOC_CMA, ALLOC_NO_WATERMARKS, GFP_MOVABLE_BIT
from linuxmm.spec.alloc.request import Request, request

_INTERRUPT: Final = int(Context.HARDIRQ | Context.SOFTIRQ | Context.NMI)
_MIGRATE_MASK: Final = 7

_LOG_KIND: Final = {
    Kind.MM_PAGE_ALLOC_ZONE_LOCKED: LOG_ZONE_LOCKED,
    Kind.MM_PAGE_PCPU_DRAIN: LOG_PCPU_DRAIN,
    Kind.MM_PAGE_ALLOC_EXTFRAG: LOG_EXTFRAG,
}
_INSIDE: Final = frozenset({Kind.MM_PAGE_ALLOC_ZONE_LOCKED, Kind.MM_PAGE_ALLOC_EXTFRAG})
"""Events that happen inside the request which a later mm_page_alloc reports."""


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
    """A replay in progress: the engine, and what is expected next of each context of each CPU."""

    def __init__(self, engine: Engine, events: Events, names: Numbering, cpu_nodes: dict[int, int]) -> None:
        self.engine = engine
        self.names = names
        self.cpu_nodes = cpu_nodes
        self.rows = list(rows_of(events, names))
        self.result = Prediction()
        self.order_gaps: dict[int, Difference] = {}
        self._request_of = _bind_requests(self.rows)
        self._expected: defaultdict[int, deque[LogEntry]] = defaultdict(deque)
        self._done: dict[int, int] = {}
        self._pcps: dict[int, tuple[int, int]] = {}
        self._bulk: dict[tuple[int, int, int], tuple[int, int]] = {}
        self._learn_addresses()

    def run(self) -> Prediction:
        """Replay every row; the engine ends in the predicted after-state."""
        for row in self.rows:
            self._row(row)
        return self.result

    # ---- one row -----------------------------------------------------------------------------------------

    def _row(self, row: Row) -> None:
        kind = row.kind
        if kind in _INSIDE:
            self._begin_request(row)
        if kind in _LOG_KIND:
            self._expect(row)
        elif kind == Kind.MM_PAGE_ALLOC:
            self._allocation(row)
        elif kind == Kind.COMMIT:
            self._free(row, codes.FREE)
        elif kind == Kind.FREEOK or kind == Kind.SPLITL:
            self._free(row, codes.FREE_LARGE)
        elif kind == Kind.FREEONE:
            self.result.operations += 1
            self.engine.run(
                codes.FREE_ONE, pfn=row.pfn, order=row.order, migratetype=self._type_for_free(row)
            )
            self._queue(row)
        elif kind == Kind.PCPBULK:
            self._environment_drain(row)

    def _queue(self, row: Row) -> None:
        self._expected[row.cpu].extend(self.engine.log())

    def _expect(self, row: Row) -> None:
        """Compare an event inside an operation with the next that the model had."""
        queue = self._expected[row.cpu]
        self.result.steps_checked += 1
        seen = _as_log(row, self.names)
        if not queue:
            self._differ(row, Kind(row.kind).name.lower(), "nothing", str(seen))
            return
        expected = queue.popleft()
        if expected != seen:
            self._differ(row, Kind(row.kind).name.lower(), str(expected), str(seen))

    # ---- requests ----------------------------------------------------------------------------------------

    def _begin_request(self, row: Row) -> None:
        """The first event inside a request: run the request now, when its list operation happens."""
        at = self._request_of.get(row.number)
        if at is not None and at not in self._done:
            self._run_request(self.rows[at])

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
        self._adopt(row, predicted)

    def _run_request(self, row: Row) -> None:
        node = self.cpu_nodes.get(row.cpu, 0)
        asked = request(row.order, row.a, cpu=row.cpu, node=node)
        pfn = self.engine.run(codes.ALLOC_FAST, request=asked)
        log = list(self.engine.log())
        if pfn < 0:
            pfn = self.engine.run(codes.ALLOC_MIN, request=asked)
            log += self.engine.log()
        if pfn < 0 and row.pfn >= 0:
            pfn = self._forced(row, asked)
            log += self.engine.log()
        self._expected[row.cpu].extend(log)
        self._done[row.number] = pfn

    def _forced(self, row: Row, asked: Request) -> int:
        """The kernel handed out a page although the watermarks forbid it as far as the evidence shows."""
        self.result.gaps[
            "reserve or reclaim: the task's right to go below the watermark is not recorded"
        ] += 1
        flags = ALLOC_NO_WATERMARKS | (ALLOC_CMA if row.a & GFP_MOVABLE_BIT else 0)
        return self.engine.run(
            codes.TAKE, pfn=row.pfn, order=row.order, migratetype=asked.migratetype, cpu=row.cpu, flags=flags
        )

    def _adopt(self, row: Row, predicted: int) -> None:
        """Go on from what the kernel did."""
        gap = ""
        if predicted >= 0 and self.engine.exchange(predicted, row.pfn, row.cpu, 0):
            gap = "interrupt between the list operation and its event"
        self._differ(row, "mm_page_alloc", f"pfn {predicted:#x}", f"pfn {row.pfn:#x}", gap)

    def _differ(self, row: Row, what: str, predicted: str, observed: str, gap: str = "") -> None:
        self.result.differences.append(Difference(row.line, what, predicted, observed, gap))
        if gap:
            self.result.gaps[gap] += 1

    # ---- frees -------------------------------------------------------------------------------------------

    def _free(self, row: Row, code: int) -> None:
        self.result.operations += 1
        self.engine.run(code, pfn=row.pfn, order=row.order, cpu=row.cpu)
        self._queue(row)

    def _type_for_free(self, row: Row) -> int:
        return row.mt if row.mt >= 0 else self.engine.pageblock_type(row.pfn)

    def _environment_drain(self, row: Row) -> None:
        """A drain that no free of this context asked for: the kernel's housekeeping."""
        if self._expected[row.cpu]:
            return
        known = self._pcps.get(row.b)
        if known is None:
            self._differ(row, "free_pcppages_bulk", "a per-CPU list seen before", f"{row.b:#x}")
            return
        pfn, cpu = known
        count, index = row.c >> 32, row.c & 0xFFFFFFFF
        self.engine.run(codes.DRAIN, pfn=pfn, order=count, cpu=cpu, flags=index)
        self._queue(row)

    def _learn_addresses(self) -> None:
        """Which zone and CPU each struct per_cpu_pages belongs to, from the frees that name it."""
        for row in self.rows:
            if row.kind == Kind.COMMIT and row.b not in self._pcps:
                self._pcps[row.b] = (row.pfn, row.cpu)


def _bind_requests(rows: list[Row]) -> dict[int, int]:
    """For each event inside a request: the index of the mm_page_alloc that reports the request."""
    bound: dict[int, int] = {}
    following: dict[tuple[int, int, int], int] = {}
    for row in reversed(rows):
        key = (row.cpu, row.pid, row.context & _INTERRUPT)
        if row.kind == Kind.MM_PAGE_ALLOC:
            following[key] = row.number
        elif row.kind in _INSIDE and key in following:
            bound[row.number] = following[key]
    return bound


def _as_log(row: Row, names: Numbering) -> LogEntry:
    """An observed event in the form of the engine's log."""
    if row.kind == Kind.MM_PAGE_ALLOC_ZONE_LOCKED:
        return LogEntry(LOG_ZONE_LOCKED, row.pfn, row.order, row.mt, row.a, 0)
    if row.kind == Kind.MM_PAGE_PCPU_DRAIN:
        return LogEntry(LOG_PCPU_DRAIN, row.pfn, row.order, row.mt, 0, 0)
    types = row.mt | names.ours[row.b] << 8
    return LogEntry(LOG_EXTFRAG, row.pfn, row.order, row.a, types, row.c & 1)


def window(events: Events, begin: str, end: str) -> Iterator[slice]:
    """The rows between two marks: after the end of `begin` and before the beginning of `end`."""
    first = None
    for index in (events.kind == Kind.MARK).nonzero()[0].tolist():
        name = events.marks[int(events.a[index])]
        if name == begin and int(events.b[index]) == 1:
            first = index + 1
        elif name == end and int(events.b[index]) == 0 and first is not None:
            yield slice(first, index)
            return
