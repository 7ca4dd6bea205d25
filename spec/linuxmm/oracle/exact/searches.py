"""Compaction's searches of free lists, predicted: they turn the lists round, and no event tells.

Each refill of targets and each scan of a pageblock is recorded with what the kernel searched with
(`compactalloc`, `isolmigrate`); the model's search of the machine's lists says which of them are turned
round, and what is found.  What was found is then seen: the next block isolated, the next pageblock scanned.

Linux: mm/compaction.c:fast_isolate_freepages, fast_find_migrateblock.  Seed 2.2.3 (F039).  5.1 to 6.12.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from linuxmm.fast.engine import Engine
from linuxmm.model.defrag.search import (
    MOVABLE,
    Asked,
    Target,
    search_source,
    search_target,
    searches_source,
)
from linuxmm.oracle.formats.kinds import Kind
from linuxmm.oracle.formats.state import Zone
from linuxmm.oracle.observations import Row
from linuxmm.spec.defrag.scanners import block_start
from linuxmm.spec.defrag.suitable import met_in_pageblock

NOTHING: Final = -1
PROBES: Final = frozenset({Kind.COMPACTZONE, Kind.COMPACTZONE_R, Kind.COMPACTALLOC, Kind.ISOLMIGRATE})
"""Kinds that a recording needs, so that every search can be predicted."""
_COMPLETE: Final = 5
_PARTIAL_SKIPPED: Final = 6
_SKIP_BIT: Final = 8
_LOW: Final = 0xFFFF_FFFF
START_UNKNOWN: Final = "where the scanners of a compaction go on was not recorded"
_USED_UP: Final = -1


class Missed(NamedTuple):
    """A search that found something else than the kernel's; `gap`: what the recording does not say of it."""

    what: str
    predicted: str
    observed: str
    gap: str = ""


@dataclass(slots=True)
class Course:
    """A compaction of a task, as far as its searches go.

    migrate_pfn, free_pfn   where the scanners stand
    end                     of the last scan, unless a refill has told where that stopped: NOTHING
    failures, fast_start    as `Run` has them
    expected                block that a search found, to be isolated next
    marked                  pageblock that got its skip mark last; until 6.2 a search marks what it finds
    gap                     START_UNKNOWN when where it began is the mark's, and others ran since
    """

    zone: int
    order: int
    direct: bool
    own_type: int
    ignore_skips: bool
    migrate_pfn: int
    free_pfn: int
    end: int = NOTHING
    failures: int = 0
    fast_start: int = 0
    expected: int = NOTHING
    marked: int = NOTHING
    gap: str = ""


class Start(NamedTuple):
    """Where a zone says that its scanners go on; 0 of a kernel that does not say it."""

    migrate_async: int
    migrate_sync: int
    free: int


def order_of(row: Row) -> int:
    """The order that a COMPACTZONE row asks for; -1 for the whole zone."""
    low = row.b & _LOW
    return low - (1 << 32) if low >> 31 else low


def start_of(row: Row, zone: Zone) -> tuple[Start, bool]:
    """Where a compaction's scanners go on, and whether the row says so; if not, as the mark had it."""
    if row.pfn >= 0:
        return Start(row.pfn, row.c >> 24 & _LOW, row.b >> 32 & _LOW), True
    cached = (*zone.compact_cached_migrate_pfn, 0, 0)
    return Start(cached[0], cached[1], zone.compact_cached_free_pfn or 0), False


class Searches:
    """Follows the compactions of a recording and turns the machine's lists round as they do.

    zones  of the state at the mark, by the machine's numbers
    """

    def __init__(self, engine: Engine, numbers: Mapping[int, int], zones: tuple[Zone, ...]) -> None:
        self.engine = engine
        self.searched = 0
        self._numbers = numbers
        self._zones = zones
        self._block = engine.rules.pageblock_order
        self._courses: dict[tuple[int, int], Course] = {}
        self._asking: dict[tuple[int, int], int] = {}
        self._compacted: set[int] = set()
        first = [block_start(zone.start_pfn, self._block) for zone in zones]
        self._skips = {
            start + (at << self._block)
            for zone, start in zip(zones, first, strict=True)
            for at, skipped in enumerate(zone.pageblock_skips())
            if skipped
        }

    def see(self, thread: tuple[int, int], row: Row) -> Missed | None:
        """Follow one row of a recording; what of it was not predicted.

        thread  who runs
        """
        kind = row.kind
        if kind == Kind.ATTEMPT:
            self._asking[thread] = row.mt
        elif kind == Kind.MM_PAGE_ALLOC:
            self._asking.pop(thread, None)
        elif kind == Kind.SETPFB:
            self._retagged(row)
            if thread in self._courses:
                self._courses[thread].marked = block_start(row.pfn, self._block)
        elif kind == Kind.COMPACTZONE:
            self._begin(thread, row)
        elif thread in self._courses:
            missed = self._follow(thread, self._courses[thread], row)
            return None if missed is None else missed._replace(gap=self._courses[thread].gap)
        return None

    def _follow(self, thread: tuple[int, int], course: Course, row: Row) -> Missed | None:
        match row.kind:
            case Kind.COMPACTALLOC:
                return self._target(course, row)
            case Kind.ISOLMIGRATE:
                return self._source(course, row)
            case Kind.ISOL:
                return self._isolated(course, row)
            case Kind.COMPACTZONE_R:
                self._end(course, row)
                del self._courses[thread]
        return None

    def _retagged(self, row: Row) -> None:
        """A pageblock's skip mark was set or cleared."""
        if row.b & _SKIP_BIT:
            start = block_start(row.pfn, self._block)
            if row.a & _SKIP_BIT:
                self._skips.add(start)
            else:
                self._skips.discard(start)

    def _begin(self, thread: tuple[int, int], row: Row) -> None:
        number = self._numbers.get(row.a, NOTHING)
        if number == NOTHING or order_of(row) <= 0:
            self._courses.pop(thread, None)
            return
        zone = self._zones[number]
        sync, whole, skip = row.c & 0xFF != 0, row.c >> 8 & 0xFF, row.c >> 16 & 0xFF
        start, said = start_of(row, zone)
        migrate = start.migrate_sync if sync else start.migrate_async
        last = block_start(zone.end_pfn - 1, self._block)
        gap = "" if said or number not in self._compacted else START_UNKNOWN
        self._compacted.add(number)
        self._courses[thread] = Course(
            zone=number,
            order=order_of(row),
            direct=thread in self._asking,
            own_type=self._asking.get(thread, 0),
            ignore_skips=bool(skip),
            migrate_pfn=migrate if not whole and zone.start_pfn <= migrate < zone.end_pfn else zone.start_pfn,
            free_pfn=start.free if not whole and zone.start_pfn <= start.free < zone.end_pfn else last,
            gap=gap,
        )

    def _asked(self, course: Course) -> Asked:
        start = self._zones[course.zone].start_pfn
        return Asked(course.order, start, course.migrate_pfn, course.free_pfn, course.failures, self._block)

    def _turn(self, course: Course, rotated: tuple[tuple[int, tuple[int, ...]], ...]) -> None:
        self.searched += 1
        for order, heads in rotated:
            self.engine.turn_list(course.zone, order, MOVABLE, heads)

    def _heads(self, course: Course, order: int) -> tuple[int, ...]:
        return self.engine.free_list(course.zone, order, MOVABLE)

    def _target(self, course: Course, row: Row) -> Missed | None:
        """A page wants a target: without any in hand, the kernel searches."""
        course.migrate_pfn, course.free_pfn, course.end = row.pfn, row.b & 0xFFFFFFFF, NOTHING
        failures, course.failures = course.failures, row.c >> 48 & 0x7FFF
        missed = None
        if failures != course.failures:
            missed = Missed("compaction_alloc", f"{failures} failures", f"{course.failures} failures")
        in_hand, first = row.b >> 32 & 0xFFFF, row.c >> 32 & 0xFFFF
        if in_hand or not 0 < course.order <= self.engine.rules.max_order:
            return missed
        deep = course.free_pfn >= (self._zones[course.zone].compact_init_free_pfn or 0)
        found: Target = search_target(
            self._asked(course), lambda order: self._heads(course, order), first, deep
        )
        self._turn(course, found.rotated)
        course.expected = found.page
        course.failures = 0 if found.preferred else course.failures + (found.page == NOTHING)
        return missed

    def _isolated(self, course: Course, row: Row) -> Missed | None:
        """The first block that is isolated after a search is the one that was found."""
        expected, course.expected = course.expected, NOTHING
        if expected in (NOTHING, row.pfn):
            return None
        return Missed("fast_isolate_freepages", f"pfn {expected:#x}", f"pfn {row.pfn:#x}")

    def _find(self, course: Course, own: int = NOTHING) -> int:
        """Search for the next source, where the kernel does; the page where the scan goes on.

        own  pageblock whose mark is of this very search
        """
        asked = self._asked(course)
        pfn = course.migrate_pfn
        if not searches_source(asked, course.ignore_skips, False, course.direct, course.own_type):
            return pfn
        found, rotated, _ = search_source(
            asked, lambda order: self._heads(course, order), lambda head: self._hidden(head, own)
        )
        self._turn(course, rotated)
        if found == NOTHING:
            course.failures += 1
            if course.fast_start > 0:
                pfn, course.fast_start = course.fast_start, _USED_UP
            return pfn
        course.failures = 0
        if course.fast_start != _USED_UP:
            course.fast_start = min(course.fast_start or found, found)
        return max(block_start(found, self._block), asked.start)

    def _hidden(self, pfn: int, own: int) -> bool:
        start = block_start(pfn, self._block)
        return start != own and start in self._skips

    def _source(self, course: Course, row: Row) -> Missed | None:
        """A pageblock is scanned: the one that was found, or the next that may give pages."""
        if course.end != NOTHING:
            course.migrate_pfn = course.end
        before = course.migrate_pfn
        own = course.marked if course.marked == row.pfn else NOTHING
        low = self._find(course, own)
        found = low != before and course.failures == 0
        failures, seen = course.failures, row.c & 0xFFFF
        course.failures, course.migrate_pfn, course.end = seen, row.pfn, row.b
        if failures != seen:
            return Missed("fast_find_migrateblock", f"{failures} failures", f"{seen} failures")
        if found and row.pfn != low:
            return Missed("fast_find_migrateblock", f"pfn {low:#x}", f"pfn {row.pfn:#x}")
        return None

    def _end(self, course: Course, row: Row) -> None:
        """The scanners met: if the last scan did not bring that about, one more search ran in vain."""
        if row.a not in (_COMPLETE, _PARTIAL_SKIPPED):
            return
        course.migrate_pfn = max(course.migrate_pfn, course.end)
        if not met_in_pageblock(course.migrate_pfn, course.free_pfn, self._block):
            self._find(course)
