"""Hold compaction of a real kernel against the clauses: its events, and what a zone remembers of it.

Linux: include/trace/events/compaction.h, migrate.h.  Seed 2.2.3 (F039).  6.1 to 6.12.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from linuxmm.spec.defrag.defer import MAX_DEFER_SHIFT, deferral_bounded
from linuxmm.spec.defrag.outcome import accounted, ends_as, one_way, source_freed
from linuxmm.spec.defrag.scanners import counted, range_in_zone
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.verdict import Divergence, Judgement

PAGEBLOCK_ORDER: Final = 9
_EVENT: Final = re.compile(r"^\s*(\S+-\d+)\s.*: (mm_compaction_\w+|mm_migrate_pages|mm_page_free): (.*)$")
_WORD: Final = re.compile(r"(\w+)=\s*([^\s,()]+)")
_RANGE: Final = re.compile(r"range=\((0x[0-9a-f]+) ~ (0x[0-9a-f]+)\)")


class SeenMarks(NamedTuple):
    """What a zone remembers of compaction, as a state of a machine shows it; None where it does not."""

    start: int
    end: int
    migrate: tuple[int, ...]
    free: int | None
    considered: int
    shift: int


class _Run:
    """A compaction that a trace shows."""

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end
        self.sources: list[tuple[int, int]] = []
        self.taken = 0
        self.moving = False
        self.succeeded = 0


class _Judge:
    def __init__(self, judgement: Judgement, order: int) -> None:
        self.judgement, self.order = judgement, order
        self.runs: dict[str, _Run] = {}
        self.limits: dict[tuple[str, str], int] = {}
        self.line, self.text = 0, ""

    def require(self, clause: str, holds: bool, permitted: str) -> None:
        event = self.judgement.events - 1
        why = f"event {event}"
        self.judgement.require(clause, holds, self.text, permitted, why, event=event, line=self.line)

    def begin(self, task: str, words: dict[str, str]) -> None:
        run = _Run(int(words["zone_start"], 16), int(words["zone_end"], 16))
        self.runs[task] = run
        for name in ("migrate_pfn", "free_pfn"):
            pfn = int(words[name], 16)
            inside = run.start >> self.order << self.order <= pfn <= run.end
            self.require("defrag.scanners.in-zone", inside, f"a page of {run.start:#x} to {run.end:#x}")

    def scan(self, task: str, words: dict[str, str], migrate: bool) -> None:
        found, run = _RANGE.search(self.text), self.runs.get(task)
        if found is None:
            raise BadEvidence("trace", "expected range=(0xLOW ~ 0xHIGH)", line=self.line)
        low, high = int(found[1], 16), int(found[2], 16)
        scanned, taken = int(words["nr_scanned"]), int(words["nr_taken"])
        self.require("defrag.scanners.counts", counted(low, high, scanned, taken), "no more than scanned")
        if run is None:
            return
        inside = range_in_zone(low, high, run.start, run.end, self.order)
        self.require("defrag.scanners.in-zone", inside, f"one pageblock of {run.start:#x} to {run.end:#x}")
        if migrate:
            run.sources.append((low, high))
            run.taken += taken
            run.moving = taken > 0
        elif run.sources:
            last = run.sources[-1][0]
            apart = one_way(last, low, self.order)
            self.require("defrag.scanners.one-way", apart, f"a pageblock above that of {last:#x}")

    def migrated(self, task: str, words: dict[str, str]) -> None:
        run = self.runs.get(task)
        if run is None:
            return
        moved, failed = int(words["nr_migrated"]), int(words["nr_failed"])
        whole = accounted(run.taken, moved, failed) and moved == run.succeeded
        permitted = f"{run.succeeded} moved of {run.taken} taken"
        self.require("defrag.migration.accounted", whole, permitted)
        run.taken, run.moving = 0, False

    def put_off(self, words: dict[str, str], name: str) -> None:
        limit, considered = int(words["limit"]), int(words["consider"])
        zone = (words["node"], words["zone"])
        shift = limit.bit_length() - 1
        right = limit == 1 << shift and deferral_bounded(considered, shift)
        before = self.limits.get(zone)
        if name == "mm_compaction_defer_compaction":
            right &= considered == 0 and limit > 1
            right &= before is None or limit == min(before << 1, 1 << MAX_DEFER_SHIFT)
        elif name == "mm_compaction_deferred":
            right &= 0 < considered < limit and (before is None or limit == before)
        self.require("defrag.deferral.bounded", right, "a limit that failures doubled, and fewer requests")
        if name == "mm_compaction_defer_reset":
            self.limits.pop(zone, None)
        else:
            self.limits[zone] = limit

    def event(self, task: str, name: str, text: str) -> None:
        words = dict(_WORD.findall(text))
        run = self.runs.get(task)
        if name == "mm_compaction_begin":
            self.begin(task, words)
        elif name == "mm_compaction_end":
            self.require("defrag.result-named", ends_as(words["status"], False), "a result")
            self.runs.pop(task, None)
        elif name == "mm_compaction_finished":
            self.require("defrag.result-named", ends_as(words["ret"], True), "a result of a run under way")
        elif name in ("mm_compaction_isolate_migratepages", "mm_compaction_isolate_freepages"):
            self.scan(task, words, name.endswith("migratepages"))
        elif name == "mm_migrate_pages" and run is not None:
            run.succeeded = int(words["nr_succeeded"])
            run.moving = False
        elif name == "mm_compaction_migratepages":
            self.migrated(task, words)
        elif name in (
            "mm_compaction_deferred",
            "mm_compaction_defer_compaction",
            "mm_compaction_defer_reset",
        ):
            self.put_off(words, name)
        elif name == "mm_page_free" and run is not None and run.moving and words["order"] == "0":
            pfn = int(words["pfn"], 16)
            self.require("defrag.source-freed", source_freed(pfn, run.sources), "a page that was taken")


def judge_compaction(
    judgement: Judgement, lines: Iterable[str], pageblock_order: int = PAGEBLOCK_ORDER
) -> int:
    """Whether compaction's events keep the clauses; the result is how many compactions began.

    lines   ftrace text with the events of compaction, migrate:mm_migrate_pages and, where it has them,
            kmem:mm_page_free
    Errors  BadEvidence for an event without the fields that 6.1 and 6.12 give it
    """
    judge = _Judge(judgement, pageblock_order)
    began = 0
    for number, line in enumerate(lines, 1):
        found = _EVENT.search(line)
        if found is None:
            continue
        judge.line, judge.text = number, line.strip()
        judgement.events += 1
        began += found[2] == "mm_compaction_begin"
        try:
            judge.event(found[1], found[2], found[3])
        except (KeyError, ValueError) as missing:
            raise BadEvidence("trace", f"{found[2]}: expected a field {missing}", line=number) from None
    return began


def judge_marks(judgement: Judgement, zones: Sequence[tuple[str, SeenMarks]]) -> None:
    """Whether what zones remember of compaction is possible; zones: (where, marks)."""
    for where, seen in zones:
        judgement.events += 1
        positions = [pfn for pfn in (*seen.migrate, seen.free) if pfn]
        inside = all(
            (seen.start >> PAGEBLOCK_ORDER << PAGEBLOCK_ORDER) <= pfn <= seen.end for pfn in positions
        )
        for clause, holds in (
            ("defrag.deferral.bounded", deferral_bounded(seen.considered, seen.shift)),
            ("defrag.scanners.in-zone", inside),
        ):
            judgement.checked(clause)
            if not holds:
                judgement.broken(Divergence(clause, -1, -1, f"{where}: {seen}", "the clause", where))
