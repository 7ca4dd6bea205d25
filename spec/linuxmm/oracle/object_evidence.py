"""Judge what a capture shows of object allocators: states of SLUB, /proc/slabinfo, kmem events.

Linux: mm/slub.c, include/trace/events/kmem.h.  Seed 2.1.2.2 (F033).
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from linuxmm.oracle.checker.objects import BULK, judge_kmem, judge_slabinfo
from linuxmm.oracle.formats import Capture
from linuxmm.oracle.formats.areas import SlabState, area_state, has_area
from linuxmm.oracle.slab_states import judge_slabs
from linuxmm.oracle.trace_lines import enabled_names, text_of, trace_lines
from linuxmm.spec.kernel import kernel
from linuxmm.spec.verdict import Judgement

_KMEM: Final = frozenset({"kmalloc", "kmalloc_node", "kmem_cache_alloc", "kmem_cache_alloc_node"})
_RELEASES: Final = frozenset({"kfree", "kmem_cache_free"})
_SIZED: Final = re.compile(r"\b(?:slub|slab)_(?:min_order|max_order|min_objects)=\S+")


def has_objects(capture: Capture) -> bool:
    """Whether a capture shows anything of object allocators."""
    return (
        any(has_area(capture, mark, "slab") for mark in capture.marks)
        or any(slabinfo_files(capture))
        or any(kmem_traces(capture))
    )


def slabinfo_files(capture: Capture) -> Iterator[tuple[str, Path]]:
    """Where /proc/slabinfo was read, and into which file."""
    for mark in capture.marks:
        file = capture.file(f"marks/{mark}/proc/slabinfo")
        if file.is_file():
            yield f"mark {mark}", file
    for file in sorted(capture.path.glob("data/slabinfo*.txt")):
        yield f"data/{file.name}", file


def kmem_traces(capture: Capture) -> Iterator[str]:
    """The traces in which every request and release of objects, except for those in bulk, is an event."""
    for name in capture.traces:
        enabled = set(enabled_names(capture, name))
        if _KMEM & enabled and enabled >= _RELEASES:
            yield name


def judge_objects(judgement: Judgement, capture: Capture, version: str) -> None:
    """Hold everything against the clauses.

    Errors    BadEvidence for a file that is not what its name says; Unmodelled for the kernel
    """
    profile = kernel(version)
    cpus = capture.description.machine.cpus
    sized = _SIZED.search(capture.description.cmdline)
    if sized:
        judgement.gap(f"the command line sets {sized[0]}: orders of slabs are not judged")
    for mark in capture.marks:
        if has_area(capture, mark, "slab"):
            state = area_state(capture, mark, "slab")
            assert isinstance(state, SlabState)
            judge_slabs(judgement, state, profile, cpus, mark, orders=not sized)
    for where, file in () if sized else slabinfo_files(capture):
        text = text_of(file)
        judge_slabinfo(judgement, text, profile, cpus, where, str(file))
    for name in kmem_traces(capture):
        bulk_seen = any(event in BULK for event in enabled_names(capture, name))
        lines = trace_lines(judgement, capture, name)
        if lines is not None:
            judge_kmem(judgement, lines, profile, bulk_seen=bulk_seen)
