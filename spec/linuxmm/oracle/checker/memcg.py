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
    children_counted,
    local_within,
    memsw_above,
    stolen_were_scanned,
    sums_right,
)
from linuxmm.spec.verdict import Judgement

Figures = dict[str, int]
_LINE: Final = re.compile(r"/cg1?/(\S+?)/memory\.([\w.]+):(.*)")
_AGAIN: Final = "again"
"""The figure of a file that is read a second time: files are read in turn, while a group may shrink."""
_ABOVE: Final = "counters above their limit: by force, or lowered while in use"


class Snapshot(NamedTuple):
    """What the files of all groups said at one moment.

    groups  path -> file without `memory.` -> name -> figure; a file with one figure has it under "", and
            when it is read again after the others, under "again"
    """

    title: str
    line: int
    groups: dict[str, dict[str, Figures]]


def read_snapshots(lines: Iterable[str], file: str) -> tuple[Snapshot, ...]:
    """Snapshots that stand in a log as `## TITLE` and lines of `grep -H`; other lines are passed over.

    Errors    BadEvidence for a figure that is none
    """
    found: list[Snapshot] = []
    for number, text in enumerate(lines, 1):
        line = text.strip()
        if line.startswith("## "):
            found.append(Snapshot(line[3:], number, {}))
        seen = _LINE.fullmatch(line)
        if seen is None or not found or seen[2] in ("pressure", "numa_stat", "oom_control"):
            continue
        name, _, value = seen[3].rpartition(" ")
        if value != "max" and not value.isdigit():
            raise BadEvidence(file, f"expected a figure or max: {line!r}", line=number)
        figures = found[-1].groups.setdefault(seen[1], {}).setdefault(seen[2], {})
        figures[_AGAIN if name in figures else name] = 1 << 62 if value == "max" else int(value)
    return tuple(found)


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
        for path, files in snapshot.groups.items():
            judgement.events += 1
            where = f"{path} at {snapshot.title!r}"
            _judge_files(judgement, snapshot.line, where, files)
            for name, old, new in _growing(before.get(path, {}), files):
                _require(judgement, GROWS.id, new >= old, snapshot.line, f"{where}: {name} {old}, then {new}")
            before[path] = files


def _judge_files(judgement: Judgement, line: int, where: str, files: dict[str, Figures]) -> None:
    stat = files.get("stat")
    if stat is not None and "pgscan" in stat:
        _require(judgement, "memcg.stat.sums", sums_right(stat), line, f"{where}: memory.stat")
        text = f"{where}: pgsteal {stat.get('pgsteal')}, pgscan {stat['pgscan']}"
        _require(judgement, "memcg.stat.steal", stolen_were_scanned(stat), line, text)
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
