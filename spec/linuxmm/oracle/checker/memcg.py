"""Hold control groups of a real kernel against the clauses: files over time, counters at a mark.

Linux: mm/memcontrol.c, mm/page_counter.c.  Seed 2.9 (F060).  6.1 to 6.12.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.memcg.counter import watermark_kept
from linuxmm.spec.memcg.files import (
    EVENT_KEYS,
    EVENTS,
    GROWS,
    HIERARCHY,
    WRITES,
    children_counted,
    local_within,
    memsw_above,
    pages_of,
    reclaimed_as_asked,
    stolen_were_scanned,
    sums_right,
    write_results,
)
from linuxmm.spec.memcg.swapping import refaults_first, swap_within
from linuxmm.spec.step import Errno
from linuxmm.spec.verdict import Judgement
from linuxmm.spec.vocabulary import PAGE_SIZE

Figures = dict[str, int]
_PUT: Final = re.compile(r"put (\S+)/memory\.([\w.]+) (\S+): (.+)")
_RESULTS: Final[Mapping[str, Errno | None]] = {
    "good": None,
    "Interrupted system call": Errno.EINTR,
    "Resource temporarily unavailable": Errno.EAGAIN,
    "Device or resource busy": Errno.EBUSY,
    "Invalid argument": Errno.EINVAL,
}
_LINE: Final = re.compile(r"/cg1?/(\S+?)/memory\.([\w.]+):(.*)")
_AGAIN: Final = "again"
"""The figure of a file that is read a second time: files are read in turn, while a group may shrink."""
_ABOVE: Final = "counters above their limit: by force, or lowered while in use"


class Write(NamedTuple):
    """Something written to a group's file, and how that ended; None is good."""

    line: int
    path: str
    file: str
    text: str
    result: Errno | None


class Snapshot(NamedTuple):
    """What the files of all groups said at one moment.

    groups  path -> file without `memory.` -> name -> figure; a file with one figure has it under "", and
            when it is read again after the others, under "again"
    writes  since the snapshot before
    """

    title: str
    line: int
    groups: dict[str, dict[str, Figures]]
    writes: tuple[Write, ...] = ()


def read_snapshots(lines: Iterable[str], file: str) -> tuple[Snapshot, ...]:
    """Snapshots that stand in a log as `## TITLE` and lines of `grep -H`; other lines are passed over.

    `put GROUP/memory.FILE TEXT: RESULT` between them is a write, as the shell tells how it ended.
    Errors    BadEvidence for a figure that is none, or a result that nobody knows
    """
    found: list[Snapshot] = []
    writes: list[Write] = []
    for number, text in enumerate(lines, 1):
        line = text.strip()
        if line.startswith("## "):
            found.append(Snapshot(line[3:], number, {}, tuple(writes)))
            writes.clear()
        if line.startswith("put "):
            writes.append(_write(line, number, file))
        seen = _LINE.fullmatch(line)
        if seen is None or not found or seen[2] in ("pressure", "numa_stat", "oom_control"):
            continue
        name, _, value = seen[3].rpartition(" ")
        if value != "max" and not value.isdigit():
            raise BadEvidence(file, f"expected a figure or max: {line!r}", line=number)
        figures = found[-1].groups.setdefault(seen[1], {}).setdefault(seen[2], {})
        figures[_AGAIN if name in figures else name] = 1 << 62 if value == "max" else int(value)
    return tuple(found)


def _write(line: str, number: int, file: str) -> Write:
    seen = _PUT.fullmatch(line)
    if seen is None or seen[4] not in _RESULTS:
        expected = f"expected put GROUP/memory.FILE TEXT: one of {', '.join(_RESULTS)}"
        raise BadEvidence(file, f"{expected}: {line!r}", line=number)
    return Write(number, seen[1], seen[2], seen[3], _RESULTS[seen[4]])


class Counted(NamedTuple):
    """A counter as a dump shows it, in pages."""

    usage: int
    limit: int
    watermark: int


class Group(NamedTuple):
    """A group as a dump shows it; path from the root's "/"."""

    path: str
    counters: Mapping[str, Counted]
    events: Mapping[str, int]


def judge_memcg(judgement: Judgement, snapshots: Sequence[Snapshot]) -> None:
    """Whether each file's figures hang together, and those of each group from one snapshot to the next."""
    before: dict[str, dict[str, Figures]] = {}
    for snapshot in snapshots:
        for write in snapshot.writes:
            judgement.events += 1
            said = "good" if write.result is None else write.result.name
            text = f"{write.path}/memory.{write.file} {write.text}: {said}"
            permitted = write.result in write_results(write.file, write.text)
            _require(judgement, WRITES.id, permitted, write.line, text)
        for path, files in snapshot.groups.items():
            judgement.events += 1
            where = f"{path} at {snapshot.title!r}"
            _judge_files(judgement, snapshot.line, where, files)
            for name, old, new in _growing(before.get(path, {}), files):
                _require(judgement, GROWS.id, new >= old, snapshot.line, f"{where}: {name} {old}, then {new}")
            if path in before:
                _judge_change(judgement, snapshot, path, before[path], files)
            before[path] = files


def _judge_change(
    judgement: Judgement, snapshot: Snapshot, path: str, old: dict[str, Figures], new: dict[str, Figures]
) -> None:
    """What lies between two snapshots of a group: requests to reclaim, and swap under a limit that stayed."""
    where = f"{path} at {snapshot.title!r}"
    asked = [write for write in snapshot.writes if write.path == path and write.file == "reclaim"]
    if asked and "pgsteal" in old.get("stat", {}) and "pgsteal" in new.get("stat", {}):
        pages = sum(pages_of(write.text) or 0 for write in asked if write.result is None)
        stolen = (new["stat"]["pgsteal"] - old["stat"]["pgsteal"]) * PAGE_SIZE
        slab = old["stat"].get("slab_reclaimable", 0)
        text = f"{where}: {pages * PAGE_SIZE} asked for, {stolen} taken from lists, slab {slab}"
        kept = reclaimed_as_asked(pages * PAGE_SIZE, stolen, slab)
        _require(judgement, "memcg.write.reclaim", kept, snapshot.line, text)
    if "swap.max" in old and "swap.max" in new and old["swap.max"] == new["swap.max"]:
        usage, most, was = new["swap.current"][""], new["swap.max"][""], old["swap.current"][""]
        text = f"{where}: swap {usage}, before that {was}, at most {most}"
        kept = swap_within(usage, 0, max(0, was - most), most)
        _require(judgement, "memcg.swap.limit", kept, snapshot.line, text)


def _judge_files(judgement: Judgement, line: int, where: str, files: dict[str, Figures]) -> None:
    stat = files.get("stat")
    if stat is not None and "pgscan" in stat:
        _require(judgement, "memcg.stat.sums", sums_right(stat), line, f"{where}: memory.stat")
        text = f"{where}: pgsteal {stat.get('pgsteal')}, pgscan {stat['pgscan']}"
        _require(judgement, "memcg.stat.steal", stolen_were_scanned(stat), line, text)
        for kind in ("anon", "file"):
            if f"workingset_restore_{kind}" in stat:
                refaults, activated, restored = (
                    stat[f"workingset_{what}_{kind}"] for what in ("refault", "activate", "restore")
                )
                text = f"{where}: {kind} refaults {refaults}, activated {activated}, restored {restored}"
                kept = refaults_first(refaults, activated, restored)
                _require(judgement, "memcg.stat.workingset", kept, line, text)
    events = files.get("events")
    if events is not None:
        _require(
            judgement, EVENT_KEYS.id, tuple(events)[: len(EVENTS)] == EVENTS, line, f"{where}: {[*events]}"
        )
        local = files.get("events.local")
        if local is not None:
            text = f"{where}: {local} in itself, {events} with those below"
            _require(judgement, "memcg.events.local", local_within(events, local), line, text)
    for current, peak in (("current", "peak"), ("usage_in_bytes", "max_usage_in_bytes")):
        if current in files and peak in files:
            usage, most = files[current][""], files[peak][""]
            text = f"{where}: {current} {usage}, {peak} {most}"
            _require(judgement, "memcg.counter.watermark", watermark_kept(usage, 0, most), line, text)
    for memory in ("usage_in_bytes", "limit_in_bytes"):
        if memory in files and "memsw." + memory in files:
            one, both = min(files[memory].values()), files["memsw." + memory][""]
            text = f"{where}: {memory} {one}, with swap {both}"
            _require(judgement, "memcg.memsw", memsw_above(one, both), line, text)


def _growing(old: dict[str, Figures], new: dict[str, Figures]) -> Iterable[tuple[str, int, int]]:
    for file in ("events", "events.local", "peak", "failcnt", "memsw.failcnt", "max_usage_in_bytes"):
        for name, figure in old.get(file, {}).items():
            yield f"memory.{file} {name}".strip(), figure, new.get(file, {}).get(name, figure)


def judge_groups(judgement: Judgement, groups: Sequence[Group], unified: bool, mark: str) -> None:
    """Whether the counters of all groups, with the kernel frozen, keep sums, limits and watermarks.

    unified   version 2: events are counted in all groups above; version 1 counts them where they happen
    Requires  no charge under way at the mark: the task that froze the kernel was the one that ran
    """
    known = {group.path: group for group in groups}
    for group in groups:
        judgement.events += 1
        children = [each for each in groups if each.path != "/" and _parent(each.path) == group.path]
        where = f"{group.path} at mark {mark}"
        for name, counter in group.counters.items():
            below = sum(each.counters[name].usage for each in children if name in each.counters)
            text = f"{where}: {name} {counter.usage}, children {below}"
            _require(judgement, HIERARCHY.id, counter.usage >= below, -1, text)
            text = f"{where}: {name} {counter.usage}, watermark {counter.watermark}"
            kept = watermark_kept(counter.usage, 0, counter.watermark)
            _require(judgement, "memcg.counter.watermark", kept, -1, text)
            if counter.usage > counter.limit:
                judgement.gaps[_ABOVE] = judgement.gaps.get(_ABOVE, 0) + 1
        if unified and group.path != "/" and _parent(group.path) in known:
            below_events = {key: sum(each.events.get(key, 0) for each in children) for key in group.events}
            text = f"{where}: {dict(group.events)}, children {below_events}"
            _require(judgement, "memcg.events.sum", children_counted(group.events, below_events), -1, text)


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _require(judgement: Judgement, id: str, holds: bool, line: int, text: str) -> None:
    event = judgement.events - 1
    judgement.require(id, holds, text, "what the clause says", text, event=event, line=line)
