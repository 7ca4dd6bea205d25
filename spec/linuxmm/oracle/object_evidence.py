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
from linuxmm.oracle.formats.streams import Cut, chunks, whole
from linuxmm.oracle.slab_states import judge_slabs
from linuxmm.spec.kernel import kernel
from linuxmm.spec.verdict import Judgement

_KMEM: Final = frozenset({"kmalloc", "kmalloc_node", "kmem_cache_alloc", "kmem_cache_alloc_node"})
_RELEASES: Final = frozenset({"kfree", "kmem_cache_free"})
_SIZED: Final = re.compile(r"\b(?:slub|slab)_(?:min_order|max_order|min_objects)=\S+")
_LONGEST: Final = 1 << 16
_FILE: Final = 1 << 26


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
        enabled = set(_enabled(capture, name))
        if _KMEM & enabled and enabled >= _RELEASES:
            yield name


def _enabled(capture: Capture, trace: str) -> Iterator[str]:
    """Names of the events and of the probed functions of a trace."""
    info = capture.info(trace)
    for listing in (info.events, info.probes):
        if listing is not None and capture.file(listing).is_file():
            for line in whole(capture.file(listing), _FILE).decode("utf-8", "replace").splitlines():
                yield from re.split(r"[:/\s+]+", line.strip())


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
        text = whole(file, _FILE).decode("utf-8", "replace")
        judge_slabinfo(judgement, text, profile, cpus, where, str(file))
    for name in kmem_traces(capture):
        file = capture.file(capture.info(name).file)
        bulk_seen = any(event in BULK for event in _enabled(capture, name))
        if file.is_file():
            judge_kmem(judgement, text_lines(judgement, file), profile, bulk_seen=bulk_seen)
        else:
            judgement.gap(f"trace {name}: its file is not in the capture")


def text_lines(judgement: Judgement, file: Path) -> Iterator[str]:
    """The whole lines of a text; a last one that is torn is a gap.

    Errors    BadEvidence when it cannot be read
    """
    rest = b""
    why = "the last line has no end"
    try:
        for piece in chunks(file):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield line.decode("utf-8", "replace")
            if len(rest) > _LONGEST:
                why = f"a line has more than {_LONGEST} bytes"
                break
    except Cut as cut:
        why = str(cut)
        rest = rest or b"?"
    if rest:
        judgement.gap(f"the text is torn: {why}")
