"""Faults of persistent memory: answers to faults, writing back, entries of files, mappings, the zone."""

from collections.abc import Callable, Iterator
from typing import Final

from linuxmm.oracle.faults_plant import (
    AreaFault,
    Change,
    Document,
    Edit,
    document,
    dropped,
    fault,
    first_of,
    line,
    removal,
    trace_removals,
)

_TRACE: Final = "trace/dax.txt.gz"
_CACHE: Final = "marks/C/cache.json.gz"
_TASKS: Final = "marks/C/tasks.json.gz"
_DONE: Final = "pte_fault_done.*"
_SYNCED: Final = "NEEDDSYNC"
_HUGE: Final = "pmd_fault_done.*NOPAGE"
_SHARED: Final = 0x8
_DEVICE: Final = "Device"


def _traced(change: Change) -> Edit:
    return Edit(_TRACE, change)


def _files(state: Document) -> Iterator[Document]:
    """The files of persistent memory that have entries."""
    for mount in state["mounts"]:
        yield from (file for file in mount["files"] if file["dax"] and file["runs"])


def _file(edit: Callable[[Document], None]) -> Edit:
    return Edit(_CACHE, document(lambda state: edit(first_of(_files(state)))))


def _elsewhere(file: Document) -> None:
    file["runs"][0][1] = 0x1234


def _miscounted(file: Document) -> None:
    file["nrpages"] += 1


def _one_place(file: Document) -> None:
    file["runs"][1][1] = file["runs"][0][1]


def _mapped_elsewhere(state: Document) -> None:
    """A shared mapping of the file maps the next frame."""
    for task in state["tasks"]:
        for vma in task["mm"]["vmas"]:
            if vma["path"] in ("/f", "/g") and vma["flags"] & _SHARED:
                for leaf in task["mm"]["leaves"]:
                    if vma["start"] <= leaf[0] < vma["end"] and leaf[2] & 1:
                        leaf[2] += 1 << 12
                        return


def _device_zone(state: Document) -> Document:
    return first_of(zone for node in state["nodes"] for zone in node["zones"] if zone["name"] == _DEVICE)


def _managed(state: Document) -> None:
    _device_zone(state)["managed"] = 7


def _free(state: Document) -> None:
    """A page of the device is free in another zone."""
    pfn = _device_zone(state)["start_pfn"]
    state["nodes"][0]["zones"][0]["free_area"][0]["lists"][0].append(pfn)


PMEM_FAULTS: Final[tuple[AreaFault, ...]] = (
    fault(
        "answer-to-other",
        "the answer is to another index",
        "pmem.dax.answered",
        _traced(line(_DONE + "pgoff 0x19b", "pgoff 0x19b", "pgoff 0x19c")),
    ),
    fault(
        "answer-unknown",
        "the answer is none that there is",
        "pmem.dax.answered",
        _traced(line(_DONE + "NOPAGE", "NOPAGE", "VANISHED")),
    ),
    fault(
        "answer-copied",
        "a shared mapping got a copy",
        "pmem.dax.answered",
        _traced(line(_DONE + _SYNCED, "(MAJOR.)?NEEDDSYNC", "DONE_COW")),
    ),
    fault("answer-missing", "a fault has no answer", "pmem.dax.answered", _traced(dropped(_DONE))),
    fault(
        "index-misfit",
        "the index is not that of the address",
        "pmem.dax.linear",
        _traced(line("pte_fault: .*0x19b", "pgoff 0x19b", "pgoff 0x19c")),
    ),
    fault(
        "huge-at-end",
        "a huge page lies across the end of the file",
        "pmem.dax.huge",
        _traced(line(_HUGE, r"max_pgoff 0x\w+", "max_pgoff 0x3ff")),
    ),
    fault(
        "huge-behind-end",
        "a huge page lies behind the end of the file",
        "pmem.dax.huge",
        _traced(line(_HUGE, r"max_pgoff 0x\w+", "max_pgoff 0x10")),
    ),
    fault(
        "huge-in-small",
        "a huge page is larger than its mapping",
        "pmem.dax.huge",
        _traced(line(_HUGE, r"vm_end 0x\w+", "vm_end 0x7ffff7d00000")),
    ),
    fault(
        "read-durable",
        "a read is told to be made durable",
        "pmem.dax.sync",
        _traced(line(_DONE + "NOPAGE", "NOPAGE", _SYNCED)),
    ),
    fault(
        "durable-unasked",
        "a page that nobody wrote is entered writable",
        "pmem.dax.durable",
        _traced(line("mkwrite.*pgoff 0x5 ", "pgoff 0x5", "pgoff 0x99")),
    ),
    fault(
        "durable-early",
        "a page is entered writable before the rest is written",
        "pmem.dax.durable",
        _traced(dropped("writeback_range: .*0x7-0x7")),
    ),
    fault(
        "durable-untold",
        "a page is entered writable of which nobody was told",
        "pmem.dax.durable",
        _traced(line(_DONE + " 0x9 MAJ", "MAJOR.NEEDDSYNC", "NOPAGE")),
    ),
    fault(
        "written-outside",
        "a page is written back that is not of the range",
        "pmem.dax.writeback",
        _traced(line("writeback_one.*pgoff 0x3 ", "pgoff 0x3 ", "pgoff 0x900 ")),
    ),
    fault(
        "written-twice",
        "a page is written back twice",
        "pmem.dax.writeback",
        _traced(line("writeback_one.*pgoff 0x3 ", "pgoff 0x3 ", "pgoff 0x2 ")),
    ),
    fault(
        "written-elsewhere",
        "a range of writing back ends elsewhere",
        "pmem.dax.writeback",
        _traced(line("writeback_range_done.*-0x7$", "-0x7$", "-0x8")),
    ),
    fault("entry-elsewhere", "a file has a page of memory", "pmem.dax.device", _file(_elsewhere)),
    fault("entry-miscounted", "a file counts a page too many", "pmem.dax.counted", _file(_miscounted)),
    fault("entry-one-place", "two pages of files are one", "pmem.dax.one-place", _file(_one_place)),
    fault(
        "mapped-elsewhere",
        "a mapping shows another page than the file has",
        "pmem.dax.mapped",
        Edit(_TASKS, document(_mapped_elsewhere)),
    ),
    fault(
        "device-managed",
        "the allocator manages pages of the device",
        "pmem.dax.not-free",
        Edit("marks/C/state.json.gz", document(_managed)),
    ),
    fault(
        "device-free",
        "a page of the device is free",
        "pmem.dax.not-free",
        Edit("marks/C/state.json.gz", document(_free)),
    ),
    removal(
        "device-removed",
        "where the device lies is not in the folder",
        "pmem.dax.not-free",
        Edit("data/device.txt", None),
    ),
    removal("tasks-removed", "a mark has no tasks", "pmem.dax.mapped", Edit(_TASKS, None)),
    removal("entries-removed", "a mark has no entries of files", "pmem.dax.counted", Edit(_CACHE, None)),
    *trace_removals(_TRACE, "pmem.dax.answered"),
)
