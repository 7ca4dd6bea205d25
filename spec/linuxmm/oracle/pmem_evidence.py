"""Judge what a capture shows of persistent memory: files without a page cache, mappings, faults, the zone.

Linux: fs/dax.c, mm/memremap.c.  Seed 2.12.2 (F074).  6.1 to 6.12.
"""

from collections.abc import Iterator
from typing import Final

from linuxmm.oracle.checker.pmem import DaxCheck, device_frames, judge_files, judge_mapping
from linuxmm.oracle.formats import Capture
from linuxmm.oracle.formats.areas import (
    AddressSpace,
    CachedFile,
    CacheState,
    TasksState,
    Vma,
    area_state,
    has_area,
)
from linuxmm.oracle.trace_lines import enabled_names, text_of, trace_lines
from linuxmm.spec.kernel import kernel
from linuxmm.spec.pmem.dax import NOT_FREE, PER_PMD, Extent, Mapping, Spans
from linuxmm.spec.verdict import Divergence, Judgement

_FAULTS: Final = frozenset({"dax_pte_fault", "dax_pte_fault_done"})
_DEVICE: Final = "data/device.txt"
_SHARED: Final = 0x8
_PRESENT: Final = 0x1
_FRAME: Final = (1 << 40) - 1
_NO_DEVICE: Final = f"where the device's memory lies is not in {_DEVICE}"


def has_pmem(capture: Capture) -> bool:
    """Whether a capture shows files of persistent memory or faults in them."""
    return any(_traces(capture)) or any(_marks(capture))


def _traces(capture: Capture) -> Iterator[str]:
    return (name for name in capture.traces if set(enabled_names(capture, name)) >= _FAULTS)


def _marks(capture: Capture) -> Iterator[str]:
    for mark in capture.marks:
        if has_area(capture, mark, "cache") and any(_files(capture, mark)):
            yield mark


def _files(capture: Capture, mark: str) -> Iterator[dict[int, CachedFile]]:
    """The DAX files of each file system, by inode."""
    state = area_state(capture, mark, "cache")
    assert isinstance(state, CacheState)
    for mount in state.mounts:
        found = {file.inode: file for file in mount.files if file.dax}
        if found:
            yield found


def _extents(file: CachedFile) -> tuple[Extent, ...]:
    return tuple(Extent(run.index, run.pfn, run.count) for run in file.runs)


def judge_pmem(judgement: Judgement, capture: Capture, version: str) -> None:
    """Hold everything against the clauses.

    Errors    BadEvidence for a file that is not what its name says; Unmodelled for the kernel
    """
    kernel(version)
    for name in _traces(capture):
        if (lines := trace_lines(judgement, capture, name)) is not None:
            DaxCheck(judgement, f"trace {name}").run(lines)
    marks = tuple(_marks(capture))
    file = capture.file(_DEVICE)
    if not file.is_file():
        if marks:
            judgement.gap(_NO_DEVICE)
        return
    device = device_frames(text_of(file), str(file))
    for mark in marks:
        _judge_mark(judgement, capture, mark, device)
    for mark in capture.marks:
        if capture.has_state(mark):
            _judge_zones(judgement, capture, mark, device)


def _judge_mark(judgement: Judgement, capture: Capture, mark: str, device: Spans) -> None:
    tasks = area_state(capture, mark, "tasks") if has_area(capture, mark, "tasks") else None
    assert tasks is None or isinstance(tasks, TasksState)
    systems = tuple(_files(capture, mark))
    for files in systems:
        entered = {inode: (file.nrpages, _extents(file)) for inode, file in files.items()}
        judge_files(judgement, f"mark {mark}", entered, device, tasks.zero_pages if tasks else None)
    if tasks is None:
        judgement.gap(f"mark {mark}: tasks were not read")
        return
    for task in tasks.tasks:
        for vma in task.mm.vmas:
            for files in systems:
                file = files.get(vma.inode)
                if file is not None and file.path == vma.path:
                    where = f"mark {mark}, task {task.pid}, {vma.start:#x}"
                    mapping = Mapping(vma.start, vma.end, vma.pgoff, bool(vma.flags & _SHARED))
                    judge_mapping(judgement, where, mapping, _leaves(task.mm, vma), _extents(file), device)


def _leaves(mm: AddressSpace, vma: Vma) -> Iterator[tuple[int, int, int]]:
    for run in mm.leaves:
        if vma.start <= run.va < vma.end and run.entry & _PRESENT:
            yield run.va, run.entry >> 12 & _FRAME, run.count * (PER_PMD if run.level else 1)


def _judge_zones(judgement: Judgement, capture: Capture, mark: str, device: Spans) -> None:
    judgement.events += 1
    for node in capture.state(mark).nodes:
        for zone in node.zones:
            blocks = [
                (pfn, order)
                for order, area in enumerate(zone.free_area)
                for frames in area.lists
                for pfn in frames
            ]
            blocks += [(pfn, 0) for pcp in zone.pcp.values() for frames in pcp.lists for pfn in frames]
            wrong = [
                pfn
                for pfn, order in blocks
                for first, count in device
                if pfn < first + count and first < pfn + (1 << order)
            ]
            managed = zone.name == "Device" and zone.managed > 0
            judgement.checked(NOT_FREE)
            if wrong or managed:
                found = f"block at {wrong[0]:#x} on a list" if wrong else f"{zone.managed} pages managed"
                why = f"mark {mark}, node {node.nid}, zone {zone.name}"
                judgement.broken(Divergence(NOT_FREE, -1, -1, found, "none of the device", why))
