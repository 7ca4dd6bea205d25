"""Requests of a recording, run on the model as the kernel ran them.

Where a recording has each attempt at the zonelist with its flags (`attempt`), exactly that attempt is run.
Otherwise the attempts are the two that every request may make, and what they cannot explain is a named gap.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from linuxmm.fast import engine as codes
from linuxmm.fast.engine import Engine, LogEntry
from linuxmm.fast.events import LOG_EXTFRAG, LOG_PCPU_DRAIN, LOG_ZONE_LOCKED
from linuxmm.model.alloc.movement import MOVABLE
from linuxmm.oracle.exact import adopt
from linuxmm.oracle.exact.addresses import Addresses
from linuxmm.oracle.exact.gaps import (
    ATTEMPTS_UNKNOWN,
    BOOST_UNKNOWN,
    DRIFT,
    MOVABLE_UNKNOWN,
    POLICY,
    RECLAIM_UNKNOWN,
    REORDERED,
    RIGHTS,
)
from linuxmm.oracle.exact.plan import Plan
from linuxmm.oracle.formats.kinds import Kind
from linuxmm.oracle.observations import Numbering, Row
from linuxmm.spec.alloc.gfp import ALLOC_CMA, ALLOC_KSWAPD
from linuxmm.spec.alloc.gfp_layouts import decode_gfp
from linuxmm.spec.alloc.request import Request, request
from linuxmm.spec.kernel import Version
from linuxmm.spec.vocabulary import MIGRATE_PCPTYPES, MigrateType

_FLAGS_MASK: Final = (1 << 24) - 1
_HIGHEST_SHIFT: Final = 32
NOTHING: Final = -1


class Try(NamedTuple):
    """One pass over the zonelist: the engine's operation and the flags of the pass."""

    code: int
    flags: int


class Requests:
    """Runs requests on an engine; what the recording leaves open is counted in `gaps`."""

    def __init__(
        self,
        engine: Engine,
        plan: Plan,
        rows: list[Row],
        names: Numbering,
        addresses: Addresses,
        version: Version,
        gaps: Counter[str],
    ) -> None:
        self.engine = engine
        self.gaps = gaps
        self._plan = plan
        self._rows = rows
        self._names = names
        self._addresses = addresses
        self._views: dict[int, tuple[int, int]] = {}
        self._version = version

    def run(self, row: Row) -> int:
        """Run the request or attempt that `row` reports; the pfn that the model hands out.

        row  an mm_page_alloc, or an attempt with the pfn that it ended with
        Requires  the row's CPU, and its block if it has one, are of this machine
        """
        real = self.engine.zone_of(row.pfn) if row.pfn >= 0 else NOTHING
        asked, tries = self._recorded(row) if row.kind == Kind.ATTEMPT else self._supposed(row, real)
        if real == NOTHING:
            return self._fail(asked, tries)
        self._learn_movable(row)
        self._learn_boost(asked, tries, real)
        self._learn_refill(row, asked, real)
        chosen, attempt = self._answer(asked, tries)
        if chosen != real:
            why = self._why_zone(asked, tries, real)
            self.gaps[why] += 1
            if why == DRIFT:
                self._remember(real)
                chosen, attempt = self._answer(asked, tries)

        def allocate() -> int:
            if chosen == real:
                return self._run(asked, attempt)
            return self.engine.run(
                codes.TAKE,
                pfn=row.pfn,
                order=row.order,
                migratetype=asked.migratetype,
                cpu=row.cpu,
                flags=attempt.flags,
            )

        return self._allocate_as_seen(row, allocate, real)

    # ---- what was asked ----------------------------------------------------------------------------------

    def _recorded(self, row: Row) -> tuple[Request, tuple[Try, ...]]:
        zone = self._addresses.zones.get(row.b, NOTHING)
        node = self.engine.node_of(zone) if zone >= 0 else self._addresses.cpu_node(row.cpu)
        asked = request(row.order, decode_gfp(row.a & 0xFFFFFFFF, self._version), cpu=row.cpu, node=node)
        highest = row.c >> _HIGHEST_SHIFT & 0xFF
        asked = asked._replace(
            migratetype=row.mt, class_index=self._addresses.kinds.get(highest, asked.class_index)
        )
        return asked, (Try(codes.ATTEMPT, row.c & _FLAGS_MASK),)

    def _supposed(self, row: Row, real: int) -> tuple[Request, tuple[Try, ...]]:
        """The fast path's attempt and the slow path's first, from the CPU's node or else the page's."""
        asked = request(row.order, row.a, cpu=row.cpu, node=self._addresses.cpu_node(row.cpu))
        rules = self.engine.rules
        cma = ALLOC_CMA if rules.cma and asked.migratetype == MOVABLE else 0
        tries = (
            Try(codes.ALLOC_FAST, 1 | cma | asked.gfp & ALLOC_KSWAPD),
            Try(codes.ALLOC_MIN, rules.slowpath_flags(asked.gfp, asked.order, False, rules.cma)),
        )
        node = self.engine.node_of(real) if real >= 0 else asked.node
        if node != asked.node and self._answer(asked, tries)[0] != real:
            elsewhere = asked._replace(node=node)
            if self._answer(elsewhere, tries)[0] == real:
                self.gaps[POLICY] += 1
                return elsewhere, tries
        return asked, tries

    # ---- running it --------------------------------------------------------------------------------------

    def _run(self, asked: Request, attempt: Try) -> int:
        with adopt.seen_with(self.engine, self._seen()):
            return self.engine.run(attempt.code, request=asked, flags=attempt.flags)

    def _seen(self) -> dict[int, int]:
        """What the kernel's counters of free pages show beyond the lists, as far as an outcome taught it.

        It holds until the zone's pages are counted again.
        """
        if not self._views:
            return {}
        held = {
            zone: view for zone, view in self._views.items() if adopt.free_pages(self.engine, zone) == view[0]
        }
        self._views = held
        return {zone: added for zone, (_, added) in held.items()}

    def _remember(self, real: int) -> None:
        for zone, added in adopt.views(self.engine, real).items():
            self._views[zone] = (adopt.free_pages(self.engine, zone), added)

    def _fail(self, asked: Request, tries: tuple[Try, ...]) -> int:
        """An attempt that found nothing; it may still have changed what the zones note."""
        before = self.engine.snapshot()
        pfn = self._run(asked, tries[-1])
        if pfn >= 0 and adopt.may_choose(self.engine, asked, tries[-1].flags, NOTHING):
            self.engine.restore(before)
            self.gaps[DRIFT] += 1
            self._remember(NOTHING)
            return NOTHING
        return pfn

    def _allocate_as_seen(self, row: Row, allocate: Callable[[], int], zone: int) -> int:
        """Run an allocation; where unrecorded causes may have decided, as its events say they did."""
        inside = self._plan.inside.get(row.number, ())
        seen = [as_log(self._rows[number], self._names) for number in inside]
        if any(event.kind == LOG_ZONE_LOCKED and event.b == MigrateType.CMA for event in seen):
            pfn, drifted = adopt.balanced(self.engine, zone, allocate, seen)
            self.gaps[DRIFT] += drifted
            return pfn
        if seen and row.number > self._plan.compacted:
            claims = self._plan.claims.get(row.number, [])
            self.gaps[REORDERED] += adopt.tried_first(self.engine, claims)
            pfn, rotations = adopt.reordered(self.engine, allocate, seen)
            self.gaps[REORDERED] += rotations
            return pfn
        return allocate()

    def _answer(self, asked: Request, tries: tuple[Try, ...]) -> tuple[int, Try]:
        """(zone number, attempt) of the first attempt for which the watermarks choose a zone."""
        seen = self._seen()
        for attempt in tries:
            with adopt.seen_with(self.engine, seen):
                chosen = self.engine.run(codes.CHOOSE, request=asked, flags=attempt.flags)
            if chosen >= 0:
                return chosen, attempt
        return NOTHING, tries[-1]

    def _why_zone(self, asked: Request, tries: tuple[Try, ...], real: int) -> str:
        drifts = any(adopt.may_choose(self.engine, asked, attempt.flags, real) for attempt in tries)
        return DRIFT if drifts else RIGHTS

    # ---- what the outcome teaches ------------------------------------------------------------------------

    def _learn_boost(self, asked: Request, tries: tuple[Try, ...], real: int) -> None:
        """A zone that passed only with less of its boost shows how much kswapd has taken back at least."""
        if self._plan.balanced:
            return
        if adopt.learn_boost(self.engine, real, lambda: self._answer(asked, tries)[0] == real):
            self.gaps[BOOST_UNKNOWN] += 1

    def _learn_movable(self, row: Row) -> None:
        """Whether the kernel claimed the pageblock shows how many of its pages in use were movable."""
        for pfn, claimed in self._plan.claims.get(row.number, ()):
            start = row.mt
            known = self.engine.has_block(pfn, 0) and 0 <= start < MIGRATE_PCPTYPES
            if known and adopt.would_claim(self.engine, pfn, start) != claimed:
                movable_helps = start == MOVABLE
                adopt.assume_movable(self.engine, pfn, movable_helps == claimed)
                self.gaps[MOVABLE_UNKNOWN] += 1

    def _learn_refill(self, row: Row, asked: Request, zone: int) -> None:
        """How many blocks the kernel fetched shows whether it took the zone as below its mark."""
        seen = self._plan.refilled.get(row.number)
        cached = self.engine.rules.pcp_allowed(row.order, self.engine.rules.pageblock_order)
        if not seen or not cached:
            return
        if self.engine.next_cached(zone, row.cpu, row.order, asked.migratetype) < 0:
            self.learnt(adopt.learn_refill(self.engine, zone, row.cpu, row.order, seen))

    def learnt(self, learnt: adopt.Learnt) -> None:
        """Count what an outcome taught."""
        if learnt.reclaim:
            self.gaps[RECLAIM_UNKNOWN] += 1
        if learnt.attempts:
            self.gaps[ATTEMPTS_UNKNOWN] += 1


def as_log(row: Row, names: Numbering) -> LogEntry:
    """An observed event in the form of the engine's log."""
    if row.kind == Kind.MM_PAGE_ALLOC_ZONE_LOCKED:
        return LogEntry(LOG_ZONE_LOCKED, row.pfn, row.order, row.mt, row.a, 0)
    if row.kind == Kind.MM_PAGE_PCPU_DRAIN:
        return LogEntry(LOG_PCPU_DRAIN, row.pfn, row.order, row.mt, 0, 0)
    types = row.mt | names.ours[row.b] << 8
    return LogEntry(LOG_EXTFRAG, row.pfn, row.order, row.a, types, row.c & 1)
