"""Judge what a capture shows of large allocators: areas of vmalloc space, where they are put, events of CMA.

Linux: mm/vmalloc.c, mm/cma.c, include/trace/events/cma.h.  Seed 2.1.3 (F035, F036).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from linuxmm.oracle.checker.large import (
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
from linuxmm.spec.kernel import kernel
from linuxmm.spec.verdict import Judgement

_PLACES: Final = frozenset({"vaarea", "freeva", "purge"})
"""Probes of the search for an area, of its release, and of the flush."""
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


def _traces(capture: Capture, names: frozenset[str]) -> Iterator[str]:
    for name in capture.traces:
        if names <= set(enabled_names(capture, name)):
            yield name


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
        judge_vmalloc(judgement, *read_vmallocinfo(text, str(file)), None, where)
    for name in _traces(capture, _PLACES):
        if (lines := lines_before_loss(judgement, capture, name)) is not None:
            judge_placements(judgement, lines)
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
