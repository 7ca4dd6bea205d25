"""Faults of compaction: what its events tell, and what zones remember of it."""

from typing import Final

from linuxmm.oracle.faults_plant import (
    AreaFault,
    Change,
    Edit,
    Lines,
    added,
    dropped,
    fault,
    line,
    put,
    raised,
    text,
    trace_removals,
)
from linuxmm.spec.errors import LinuxmmError

_ISOLATE_FREE: Final = ": mm_compaction_isolate_freepages: "
_ISOLATE_MOVED: Final = ": mm_compaction_isolate_migratepages: "
_MOVED: Final = ": mm_compaction_migratepages: "
_STATE: Final = "marks/*/state.json.gz"
_ZONE: Final = ("nodes", 0, "zones", 0)
_BEHIND: Final = 1 << 30


def _traced(change: Change) -> Edit:
    return Edit("trace/alloc.txt.gz", change)


def _freed_untaken(lines: Lines) -> Lines:
    """The last page that is freed before a batch is told as moved is one that was not taken."""
    freed = -1
    for number, each in enumerate(lines):
        if ": mm_page_free: " in each and " order=0" in each:
            freed = number
        elif ": mm_migrate_pages: " in each and freed > number - 3:
            words = lines[freed].split("pfn=0x", 1)
            edited = f"{words[0]}pfn=0xbfff {words[1].split(' ', 1)[1]}"
            return [*lines[:freed], edited, *lines[freed + 1 :]]
    raise LinuxmmError("no page is freed while pages are moved")


DEFRAG_FAULTS: Final[tuple[AreaFault, ...]] = (
    fault(
        "taken-unscanned",
        "a scanner took more pages than it looked at",
        "defrag.scanners.counts",
        _traced(raised(f"{_ISOLATE_FREE}.*nr_taken=[1-9]", "nr_taken=", 4000)),
    ),
    fault(
        "moved-taken-unscanned",
        "the scanner of pages to move took more than it looked at",
        "defrag.scanners.counts",
        _traced(raised(_ISOLATE_MOVED, "nr_taken=", 4000)),
    ),
    fault(
        "scanned-backwards",
        "a scanner's range ends before it begins",
        "defrag.scanners.counts",
        _traced(line(_ISOLATE_MOVED, r" ~ 0x[0-9a-f]+\)", " ~ 0x0)")),
    ),
    fault(
        "scanned-outside",
        "the scanner of free pages was in no pageblock of the zone",
        "defrag.scanners.in-zone",
        _traced(line(f"{_ISOLATE_FREE}range=", r"range=\(0x[0-9a-f]+", "range=(0x0")),
        where="defrag.scanners.one-way",
    ),
    fault(
        "begun-outside",
        "compaction began at a page that is not of the zone",
        "defrag.scanners.in-zone",
        _traced(line(r": mm_compaction_begin: zone_start=0x1000", r"migrate_pfn=0x\w+", "migrate_pfn=0x1")),
    ),
    fault(
        "scanners-crossed",
        "free pages were taken below the pages to move",
        "defrag.scanners.one-way",
        _traced(line(_ISOLATE_FREE, r"range=\(0x\w+ ~ 0x\w+", "range=(0x1000 ~ 0x107f")),
    ),
    fault(
        "result-of-no-run",
        "a run under way has a result that only ended ones have",
        "defrag.result-named",
        _traced(line(": mm_compaction_finished: .*ret=continue", "ret=continue", "ret=skipped")),
    ),
    fault(
        "ended-undone",
        "compaction ended and goes on",
        "defrag.result-named",
        _traced(line(": mm_compaction_end: ", r"status=\w+", "status=continue")),
    ),
    fault(
        "moved-uncounted",
        "a page was moved that is not counted",
        "defrag.migration.accounted",
        _traced(raised(f"{_MOVED}.*nr_migrated=[1-9]", "nr_migrated=", -1)),
    ),
    fault(
        "succeeded-other",
        "migration and compaction tell other numbers",
        "defrag.migration.accounted",
        _traced(raised(": mm_migrate_pages: nr_succeeded=[1-9]", "nr_succeeded=", 8)),
    ),
    fault(
        "failed-untold",
        "pages were taken that are neither moved nor failed",
        "defrag.migration.accounted",
        _traced(dropped(": mm_migrate_pages: nr_succeeded=[1-9]")),
    ),
    fault(
        "freed-untaken-page",
        "moving pages freed one that was not taken",
        "defrag.source-freed",
        _traced(text(_freed_untaken)),
    ),
    fault(
        "position-outside",
        "a zone remembers a position behind its end",
        "defrag.scanners.in-zone",
        Edit(_STATE, put([_BEHIND, _BEHIND], *_ZONE, "compact_cached_migrate_pfn")),
    ),
    fault(
        "free-position-outside",
        "a zone remembers a position of free pages behind its end",
        "defrag.scanners.in-zone",
        Edit(_STATE, put(_BEHIND, *_ZONE, "compact_cached_free_pfn")),
    ),
    fault(
        "deferred-too-long",
        "a zone puts compaction off for more requests than its limit",
        "defrag.deferral.bounded",
        Edit(_STATE, added(65, *_ZONE, "compact_considered")),
    ),
    fault(
        "deferral-unlimited",
        "a zone's limit of requests is higher than there may be",
        "defrag.deferral.bounded",
        Edit(_STATE, put(7, *_ZONE, "compact_defer_shift")),
    ),
    *trace_removals("trace/alloc.txt.gz", "defrag.scanners.counts"),
)
