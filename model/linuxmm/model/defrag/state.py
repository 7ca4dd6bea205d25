"""A zone with what lives in it, what compaction remembers of it, and a compaction under way.

Linux: struct zone, struct compact_control (mm/internal.h).  Seed 2.2.3 (F039).
"""

from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, Protocol

from immutables import Map

from linuxmm.model.alloc.freelist import Zone
from linuxmm.spec.defrag.defer import Deferral
from linuxmm.spec.defrag.migration import Mode

NOTHING: Final = -1


class Page(NamedTuple):
    """A page in use that has contents: flags of `linuxmm.spec.defrag.migration`, and what it holds."""

    flags: int
    content: int


class Outside(Protocol):
    """What migration cannot know by itself: what others do while it waits or comes back in pass `number`."""

    def unlocks(self, pfn: int, number: int) -> bool:
        """Whether the holder of a page's lock has let it go."""

    def written(self, pfn: int, number: int) -> bool:
        """Whether writing the page has ended."""

    def lets_go(self, pfn: int, number: int) -> bool:
        """Whether the holder of a further reference has dropped it."""

    def driver_moves(self, pfn: int, number: int) -> bool:
        """Whether the driver of a movable page agrees."""


class Still(NamedTuple):
    """Others do nothing, but for what is named.

    busy    pages whose locks, writes and references stay; None: all of them
    refused pages whose driver refuses
    """

    busy: frozenset[int] | None = None
    refused: frozenset[int] = frozenset()

    def unlocks(self, pfn: int, number: int) -> bool:
        """Whether the holder of a page's lock has let it go."""
        return self.busy is not None and pfn not in self.busy

    def written(self, pfn: int, number: int) -> bool:
        """Whether writing the page has ended."""
        return self.busy is not None and pfn not in self.busy

    def lets_go(self, pfn: int, number: int) -> bool:
        """Whether the holder of a further reference has dropped it."""
        return self.busy is not None and pfn not in self.busy

    def driver_moves(self, pfn: int, number: int) -> bool:
        """Whether the driver of a movable page agrees."""
        return pfn not in self.refused


class Marks(NamedTuple):
    """What compaction remembers of a zone between two runs.

    migrate, free  where the scanners go on, migrate for ASYNC and for SYNC; -1: never set
    first_migrate, first_free  where they began when marks were last cleared
    skips          first pages of pageblocks that are not looked at
    flush          the marks are to be cleared when kswapd sleeps
    """

    migrate: tuple[int, int] = (NOTHING, NOTHING)
    free: int = NOTHING
    first_migrate: int = 0
    first_free: int = 0
    skips: frozenset[int] = frozenset()
    flush: bool = False
    deferral: Deferral = Deferral()


@dataclass(frozen=True, slots=True)
class Memory:
    """A zone, the contents of its pages by pfn, and compaction's memory of it."""

    zone: Zone
    pages: Map[int, Page] = field(default_factory=Map)
    marks: Marks = field(default_factory=Marks)
    outside: Outside = field(default_factory=Still)


class Control(NamedTuple):
    """What a compaction is for, and how hard it tries.

    order       of the request, -1 for the whole zone
    own_type    migratetype of the request
    direct      a request waits for it;  capture: it may take a block as it merges
    ignore_skips, any_block   MIN_COMPACT_PRIORITY: look at every pageblock, and take targets from any
    threshold   vm.extfrag_threshold;  stop_score  proactive: extfrag_for_order to stop at, -1: not proactive
    """

    order: int
    mode: Mode = Mode.SYNC_LIGHT
    own_type: int = 1
    direct: bool = False
    capture: bool = False
    whole_zone: bool = False
    ignore_skips: bool = False
    any_block: bool = False
    may_enter_fs: bool = True
    unevictable: bool = True
    class_index: int = 0
    flags: int = 0
    threshold: int = 500
    stop_score: int = -1
    cpu: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """A compaction under way.

    taken      pages isolated for migration, the next one first
    wanted     targets that the free scanner looks for
    hand       blocks isolated as targets, (pfn, order), the next one first
    finishing  the rest of the pageblock is taken at once
    search_order, failures, fast_start   of the searches of free lists; fast_start -1: used up
    found_sources, found_targets   whether any page was isolated
    captured   block taken for the request, or -1
    moved      (from, to) of each page that moved, in order
    scanned, free_scanned, isolated   pages
    scans      (for sources, from, to) of each scan of a pageblock, in order
    """

    memory: Memory
    control: Control
    migrate_pfn: int = 0
    free_pfn: int = 0
    taken: tuple[int, ...] = ()
    wanted: int = 0
    hand: tuple[tuple[int, int], ...] = ()
    finishing: bool = False
    search_order: int = 0
    failures: int = 0
    fast_start: int = 0
    found_sources: bool = False
    found_targets: bool = False
    captured: int = NOTHING
    moved: tuple[tuple[int, int], ...] = ()
    scanned: int = 0
    free_scanned: int = 0
    isolated: int = 0
    scans: tuple[tuple[bool, int, int], ...] = ()

    @property
    def zone(self) -> Zone:
        """The zone that is compacted."""
        return self.memory.zone

    @property
    def marks(self) -> Marks:
        """What is remembered of it."""
        return self.memory.marks

    @property
    def in_hand(self) -> int:
        """Pages isolated as targets."""
        return sum(1 << order for _, order in self.hand)


def with_zone(run: Run, zone: Zone) -> Run:
    """The run after a change of the zone."""
    return replace(run, memory=replace(run.memory, zone=zone))


def with_marks(run: Run, marks: Marks) -> Run:
    """The run after a change of what is remembered."""
    return replace(run, memory=replace(run.memory, marks=marks))
