"""What a recording's rows have to do with each other, found before the replay.

A trace reports a request after it was answered, a retag as several probes, and an interrupted request after
what the interrupt did; the plan ties these together.
"""

import sys
from dataclasses import dataclass, field
from typing import Final

from linuxmm.oracle.formats.events import Context
from linuxmm.oracle.formats.kinds import Kind
from linuxmm.oracle.observations import Row
from linuxmm.spec.alloc.gfp import GFP_DIRECT_RECLAIM_BIT, GFP_HARDWALL_BIT
from linuxmm.spec.alloc.gfp_layouts import decode_gfp
from linuxmm.spec.kernel import Version

INTERRUPT: Final = int(Context.HARDIRQ | Context.SOFTIRQ | Context.NMI)
_FIRST_PROBE: Final = int(Kind.COMMIT)
MIGRATE_MASK: Final = 7
"""Bits of a pageblock's flags that hold its type."""

_MAY_DIFFER: Final = GFP_DIRECT_RECLAIM_BIT | GFP_HARDWALL_BIT
_RELEASES: Final = frozenset({Kind.MM_PAGE_PCPU_DRAIN, Kind.FREEONE, Kind.FREEOK, Kind.SPLITL, Kind.PUTISO})
INSIDE: Final = frozenset({Kind.MM_PAGE_ALLOC_ZONE_LOCKED, Kind.MM_PAGE_ALLOC_EXTFRAG})
"""Events that happen inside the request which a later mm_page_alloc reports."""


@dataclass(slots=True)
class Plan:
    """Relations among rows, by row number.

    attempts    mm_page_alloc -> the attempt that answered it; attempt that found nothing -> itself
    captured    last release inside a block that compaction captured -> the mm_page_alloc that reports it
    balanced    whether kswapd's work is recorded
    request_of  row inside a request -> the mm_page_alloc that reports it
    inside      mm_page_alloc -> its events under the zone's lock
    refilled    mm_page_alloc -> blocks fetched for the CPU's list
    compacted   row from which on compaction may have reordered free lists, unseen
    hoisted     first row of an interrupt -> the mm_page_alloc that follows it in the interrupted context
    claims      mm_page_alloc -> (page of a pageblock, whether the kernel claimed the pageblock)
    bulk        entry of the bulk allocator -> pages that it took from the CPU's list
    isolated    return of __isolate_free_page -> (pfn, order)
    drained     free to a CPU's list -> pages that the kernel then gave back
    caused      rows that are part of another operation: give-backs that a free caused, retags that a
                request's fallback caused, a free whose splitting is recorded
    deferred    operations that waited for the zone's lock
    begins      first event under the lock -> the deferred operation
    pcps        address of a per_cpu_pages -> (a pfn of its zone, its CPU)
    """

    attempts: dict[int, Row] = field(default_factory=dict)
    captured: dict[int, int] = field(default_factory=dict)
    balanced: bool = False
    request_of: dict[int, int] = field(default_factory=dict)
    inside: dict[int, list[int]] = field(default_factory=dict)
    refilled: dict[int, int] = field(default_factory=dict)
    compacted: int = sys.maxsize
    hoisted: dict[int, int] = field(default_factory=dict)
    claims: dict[int, list[tuple[int, bool]]] = field(default_factory=dict)
    bulk: dict[int, int] = field(default_factory=dict)
    isolated: dict[int, tuple[int, int]] = field(default_factory=dict)
    drained: dict[int, int] = field(default_factory=dict)
    caused: set[int] = field(default_factory=set)
    deferred: set[int] = field(default_factory=set)
    begins: dict[int, int] = field(default_factory=dict)
    pcps: dict[int, tuple[int, int]] = field(default_factory=dict)


def plan(rows: list[Row], version: Version, balanced: bool = False, searched: bool = False) -> Plan:
    """The relations among the rows of one window.

    version   of the kernel that recorded
    balanced  whether the recording would show when kswapd worked
    searched  whether it would show each search of compaction
    """
    unseen = (row.number for row in rows if row.kind in (Kind.ISOL, Kind.COMPACTZONE) and not searched)
    made = Plan(balanced=balanced, compacted=next(unseen, sys.maxsize))
    _find_attempts(rows, made, version)
    _bind_requests(rows, made)
    _count_refills(rows, made)
    _find_hoists(rows, made)
    _find_claims(rows, made)
    _find_bulk(rows, made)
    _find_isolated(rows, made)
    _find_drains(rows, made)
    _find_locked(rows, made)
    _find_splits(rows, made)
    _find_captured(rows, made)
    return made


def by_breakpoint(row: Row) -> bool:
    """Whether a probe fired by a breakpoint: its context is then that of the exception, not of the code."""
    return row.kind >= _FIRST_PROBE and bool(row.context & Context.NMI)


def thread_of(row: Row) -> tuple[int, int]:
    """Who runs: a task wherever it runs, or the idle task of a CPU."""
    return (row.pid, 0 if row.pid else row.cpu)


def _find_attempts(rows: list[Row], made: Plan, version: Version) -> None:
    """Attempts of a request precede its report; those of an interrupt come between, with their own report.

    A report that follows compaction, without another attempt, tells of a block that compaction captured.
    """
    open_ones: dict[tuple[int, int], list[Row]] = {}
    compacted: dict[tuple[int, int], int] = {}
    for row in rows:
        if row.kind == Kind.COMPACTZONE:
            compacted[thread_of(row)] = row.number
        elif row.kind == Kind.ATTEMPT:
            open_ones.setdefault(thread_of(row), []).append(row)
        elif row.kind == Kind.MM_PAGE_ALLOC:
            waiting = open_ones.get(thread_of(row), [])
            mine: list[Row] = []
            while waiting and _same_request(waiting[-1], row, version):
                mine.append(waiting.pop())
            if mine and row.pfn >= 0 and compacted.get(thread_of(row), -1) < mine[0].number:
                made.attempts[row.number] = mine.pop(0)._replace(number=row.number, pfn=row.pfn)
            made.attempts.update((failed.number, failed) for failed in mine)


def _same_request(attempt: Row, report: Row, version: Version) -> bool:
    """A slow path may ask with other rights, but for the same block, and in the same context."""
    asked = decode_gfp(attempt.a & 0xFFFFFFFF, version) | _MAY_DIFFER
    if report.pfn < 0:
        return asked == report.a | _MAY_DIFFER
    return (attempt.order, asked) == (report.order, report.a | _MAY_DIFFER)


def _bind_requests(rows: list[Row], made: Plan) -> None:
    following: dict[tuple[tuple[int, int], int], int] = {}
    for row in reversed(rows):
        key = (thread_of(row), row.context & INTERRUPT)
        if row.kind == Kind.MM_PAGE_ALLOC:
            following[key] = row.number
        elif row.kind == Kind.BULKALLOC_R:
            following.pop((thread_of(row), 0), None)
        elif row.kind in INSIDE and key in following:
            made.request_of[row.number] = following[key]


def _count_refills(rows: list[Row], made: Plan) -> None:
    """Blocks fetched by each request: those that an event under the lock names, each once."""
    named: dict[int, set[int]] = {}
    for row in rows:
        request = made.request_of.get(row.number)
        if request is None:
            continue
        made.inside.setdefault(request, []).append(row.number)
        handed_out = row.kind == Kind.MM_PAGE_ALLOC_ZONE_LOCKED and row.a
        if handed_out or row.kind == Kind.MM_PAGE_ALLOC_EXTFRAG:
            named.setdefault(request, set()).add(row.pfn)
    made.refilled = {request: len(pfns) for request, pfns in named.items()}


def _find_hoists(rows: list[Row], made: Plan) -> None:
    """Runs of events in interrupt context that follow and precede events of the same task outside of it."""
    before: dict[int, Row] = {}
    began: dict[int, Row] = {}
    for row in rows:
        if by_breakpoint(row):
            continue
        last = before.get(row.cpu)
        interrupted = row.context & INTERRUPT
        if interrupted and (last is None or not last.context & INTERRUPT):
            began[row.cpu] = row
        elif not interrupted and row.cpu in began:
            start = began.pop(row.cpu)
            if row.kind == Kind.MM_PAGE_ALLOC and row.pid == start.pid:
                made.hoisted[start.number] = row.number
        before[row.cpu] = row


def _find_claims(rows: list[Row], made: Plan) -> None:
    """Which pageblocks a fallback claimed, by the probes between its begin and its event."""
    waiting: dict[int, list[tuple[int, bool]]] = {}
    current: dict[int, int] = {}
    for row in rows:
        if row.kind in (Kind.STEAL, Kind.TRY_STEAL):
            whole = row.kind == Kind.TRY_STEAL or row.c & 1
            if whole:
                current[row.cpu] = row.pfn
                waiting.setdefault(row.cpu, []).append((row.pfn, False))
        elif row.kind == Kind.SETPFB and row.b & MIGRATE_MASK and row.cpu in current:
            made.caused.add(row.number)
            if waiting.get(row.cpu):
                waiting[row.cpu][-1] = (current[row.cpu], True)
        elif row.kind == Kind.MM_PAGE_ALLOC_EXTFRAG:
            current.pop(row.cpu, None)
        elif row.kind == Kind.MM_PAGE_ALLOC and row.cpu in waiting:
            made.claims[row.number] = waiting.pop(row.cpu)


def _find_drains(rows: list[Row], made: Plan) -> None:
    """Which give-back belongs to which free: the next of the same list, unless something else touched it."""
    last: dict[int, Row] = {}
    probed = any(row.kind == Kind.PCPBULK for row in rows)
    for row in rows:
        if row.kind == Kind.COMMIT:
            made.pcps.setdefault(row.b, (row.pfn, row.cpu))
            last[row.b] = row
            if probed:
                made.drained[row.number] = 0
        elif row.kind in (Kind.DRAINZ, Kind.DECAYHIGH):
            last = {pcp: free for pcp, free in last.items() if free.pid != row.pid}
        elif row.kind == Kind.PCPBULK:
            before = last.pop(row.b, None)
            if before is not None and before.pid == row.pid and before.cpu == row.cpu:
                made.drained[before.number] = row.c >> 32
                made.caused.add(row.number)


def _find_splits(rows: list[Row], made: Plan) -> None:
    """A large block is put back once, though its free and the splitting of it may both be recorded.

    The splitting, under the zone's lock, counts; that of an isolated pageblock belongs to its new type.
    """
    freed: dict[tuple[tuple[int, int], int], int] = {}
    isolating: dict[tuple[int, int], int] = {}
    for row in rows:
        thread = thread_of(row)
        if row.kind in (Kind.FREEOK, Kind.FREEONE):
            if (thread, row.pfn) in freed:
                made.caused.add(freed[thread, row.pfn])
            freed[thread, row.pfn] = row.number
        elif row.kind == Kind.MFBISO:
            isolating[thread] = row.pfn
        elif row.kind == Kind.SPLITL:
            if (thread, row.pfn) in freed:
                made.caused.add(freed.pop((thread, row.pfn)))
            elif row.pfn <= isolating.pop(thread, -1) < row.pfn + (1 << row.order):
                made.caused.add(row.number)
        elif row.kind == Kind.MM_PAGE_ALLOC:
            freed.pop((thread, row.pfn), None)


def _find_captured(rows: list[Row], made: Plan) -> None:
    """Blocks that compaction captured for its task: reported without an attempt at the free lists."""
    if not any(row.kind == Kind.ATTEMPT for row in rows):
        return
    released: dict[tuple[int, int], list[Row]] = {}
    for row in rows:
        thread = thread_of(row)
        if row.kind == Kind.COMPACTZONE:
            released[thread] = []
        elif row.kind in _RELEASES and thread in released:
            released[thread].append(row)
        elif row.kind == Kind.MM_PAGE_ALLOC and row.pfn >= 0 and row.number not in made.attempts:
            end = row.pfn + (1 << row.order)
            inside = (seen.number for seen in reversed(released.get(thread, [])) if row.pfn <= seen.pfn < end)
            last = next(inside, -1)
            if last >= 0:
                made.captured[last] = row.number


def _find_locked(rows: list[Row], made: Plan) -> None:
    """Where a give-back really began: it waits for the zone's lock, which another CPU may hold.

    The lists of a zone change in the order in which CPUs get its lock, so the give-back belongs at its first
    event under the lock, not at the free that asked for it.
    """
    waiting: dict[tuple[int, int], int] = {}
    for row in rows:
        key = (row.cpu, row.pid)
        if made.drained.get(row.number) or (row.kind == Kind.PCPBULK and row.number not in made.caused):
            waiting[key] = row.number
        elif row.kind == Kind.MM_PAGE_PCPU_DRAIN and key in waiting:
            operation = waiting.pop(key)
            made.deferred.add(operation)
            made.begins[row.number] = operation


def _find_bulk(rows: list[Row], made: Plan) -> None:
    open_calls: dict[tuple[int, int], tuple[int, int]] = {}
    for row in rows:
        key = (row.cpu, row.pid)
        if row.kind == Kind.BULKALLOC:
            open_calls[key] = (row.number, 0)
        elif row.kind == Kind.MM_PAGE_ALLOC and key in open_calls:
            number, single = open_calls[key]
            open_calls[key] = (number, single + 1)
        elif row.kind == Kind.BULKALLOC_R and key in open_calls:
            number, single = open_calls.pop(key)
            made.bulk[number] = row.a - single


def _find_isolated(rows: list[Row], made: Plan) -> None:
    entered: dict[tuple[int, int], tuple[int, int]] = {}
    for row in rows:
        key = (row.cpu, row.pid)
        if row.kind == Kind.ISOL:
            entered[key] = (row.pfn, row.order)
        elif row.kind == Kind.ISOL_R and key in entered:
            made.isolated[row.number] = entered.pop(key)
