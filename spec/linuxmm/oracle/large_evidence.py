"""Judge what a capture shows of large allocators: areas of vmalloc space, where they are put, events of CMA.

Linux: mm/vmalloc.c, mm/cma.c, include/trace/events/cma.h.  Seed 2.1.3 (F035, F036).
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from linuxmm.oracle.checker.large import (
    ACCOUNTED,
    Before,
    SeenArea,
    judge_chunk,
    judge_cma,
    judge_placements,
    judge_vmalloc,
    read_vmallocinfo,
    reserved_area,
)
from linuxmm.oracle.formats import Capture
from linuxmm.oracle.formats.areas import VmallocState, area_state, has_area
from linuxmm.oracle.large_states import judge_vmalloc_state
from linuxmm.oracle.trace_lines import enabled_names, lines_before_loss, text_of
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.kernel import Version, kernel, parse_version
from linuxmm.spec.verdict import Judgement

_PLACES: Final = frozenset({"vaarea", "freeva", "purge"})
"""Probes of the search for an area, of its release, and of the flush."""
_SYNC: Final = re.compile(r"tracing_mark_write: SYNC (\S+) (begin|end)$")
POOLS_SINCE: Final = Version(6, 9)
_CMA: Final = frozenset({"cma_alloc_start", "cma_alloc_finish", "cma_release"})


def has_large(capture: Capture) -> bool:
    """Whether a capture shows anything of vmalloc or CMA."""
    return (
        any(has_area(capture, mark, "vmalloc") for mark in capture.marks)
        or any(vmallocinfo_files(capture))
        or any(_traces(capture, _PLACES))
        or any(_traces(capture, _CMA))
    )


def vmallocinfo_files(capture: Capture) -> Iterator[Path]:
    """The files into which /proc/vmallocinfo was read."""
    for mark in capture.marks:
        file = capture.file(f"marks/{mark}/proc/vmallocinfo")
        if file.is_file():
            yield file
    yield from sorted(capture.path.glob("data/vmallocinfo*"))


def nodes_of(capture: Capture) -> int:
    """The nodes that the command line of the machine names."""
    arguments = capture.description.machine.arguments
    return max(1, sum(word.startswith("node,") for word in arguments))


def _traces(capture: Capture, names: frozenset[str]) -> Iterator[str]:
    for name in capture.traces:
        if names <= set(enabled_names(capture, name)):
            yield name


def judge_between_marks(judgement: Judgement, capture: Capture, lines: Iterable[str]) -> None:
    """Judge placements; between two marks with states, each is predicted from the first state."""
    section: list[str] = []
    begun, first = "", 1
    for number, line in enumerate(lines, 1):
        mark = _SYNC.search(line)
        if mark is None:
            section.append(line)
            continue
        _judge_section(judgement, capture, section, first, (begun, mark[1] if mark[2] == "begin" else ""))
        begun, first, section = (mark[1] if mark[2] == "end" else ""), number + 1, []
    _judge_section(judgement, capture, section, first, (begun, ""))


def _judge_section(
    judgement: Judgement, capture: Capture, lines: list[str], first: int, marks: tuple[str, str]
) -> None:
    before = _areas(capture, marks[0])
    placed = judge_placements(judgement, lines, before, first)
    after = _areas(capture, marks[1])
    if before is None or after is None or not placed.known:
        return
    found = sorted([*((area.start, area.end) for area in after.busy), *after.lazy])
    differ = sorted(set(found) ^ set(placed.known))
    text = ", ".join(f"{start:#x}-{end:#x}" for start, end in differ[:4])
    why = f"{len(found)} ranges at mark {marks[1]}, {len(placed.known)} by the trace from mark {marks[0]}"
    judgement.require(ACCOUNTED, not differ, text, "as the events say", why)


def _areas(capture: Capture, mark: str) -> Before | None:
    """All areas at a mark; None where they are not known, or where CPUs have pools of free areas (6.9)."""
    if not mark or not has_area(capture, mark, "vmalloc"):
        return None
    pooled = parse_version(capture.description.kernel.release) >= POOLS_SINCE
    if pooled and capture.description.machine.cpus > 1:
        return None
    state = area_state(capture, mark, "vmalloc")
    assert isinstance(state, VmallocState)
    return Before(tuple(SeenArea(area.start, area.end) for area in state.busy), tuple(state.lazy))


def judge_large(judgement: Judgement, capture: Capture, version: str) -> None:
    """Hold everything against the clauses.

    Errors    BadEvidence for a file that is not what its name says; Unmodelled for the kernel
    """
    profile = kernel(version)
    for mark in capture.marks:
        if has_area(capture, mark, "vmalloc"):
            state = area_state(capture, mark, "vmalloc")
            assert isinstance(state, VmallocState)
            judge_vmalloc_state(judgement, state, profile, mark)
    for file in vmallocinfo_files(capture):
        text = text_of(file)
        where = str(file.relative_to(capture.path))
        busy, lazy = read_vmallocinfo(text, str(file))
        judge_vmalloc(judgement, busy, lazy, None, where)
        if "nokaslr" in capture.description.cmdline.split():
            judge_chunk(judgement, busy, nodes_of(capture), where)
    for name in _traces(capture, _PLACES):
        if (lines := lines_before_loss(judgement, capture, name)) is not None:
            judge_between_marks(judgement, capture, lines)
    for name in _traces(capture, _CMA):
        if (lines := lines_before_loss(judgement, capture, name)) is None:
            continue
        log = capture.file("logs/dmesg.txt")
        try:
            area = reserved_area(text_of(log), str(log))
        except BadEvidence:
            judgement.gap(f"trace {name}: where the area of CMA lies is not in logs/dmesg.txt")
            continue
        judge_cma(judgement, lines, area, profile)
