"""Hold DAX of a real kernel against the clauses: entries of files, mappings, and events of faults.

Linux: fs/dax.c, include/trace/events/fs_dax.h.  Seed 2.12.2 (F074).  6.1 to 6.12.
"""

import re
from collections.abc import Iterable
from collections.abc import Mapping as Table
from dataclasses import dataclass, field
from typing import Final

from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.pmem.dax import (
    ANSWERED,
    ANSWERS,
    COUNTED,
    DURABLE,
    HUGE,
    LINEAR,
    MAPPED,
    PER_PMD,
    SYNC,
    WRITEBACK,
    Extent,
    Mapping,
    Spans,
    disjoint,
    in_device,
    index_at,
    may_be_huge,
)
from linuxmm.spec.verdict import Judgement
from linuxmm.spec.vocabulary import PAGE_SHIFT

_IN_DEVICE: Final = "pmem.dax.device"
_ONE_PLACE: Final = "pmem.dax.one-place"
_RANGE: Final = re.compile(r"^\s*([0-9a-f]+)-([0-9a-f]+) : .*[Pp]ersistent [Mm]emory")


class _Held:
    """Notes what was looked at and what is broken."""

    def __init__(self, judgement: Judgement, where: str) -> None:
        self.judgement, self.where, self.line = judgement, where, -1

    def require(self, clause: str, good: bool, observed: str, permitted: str) -> None:
        """Note one look at a clause."""
        event = self.judgement.events - 1 if self.line >= 0 else -1
        self.judgement.require(clause, good, observed, permitted, self.where, event=event, line=self.line)


def device_frames(text: str, file: str) -> Spans:
    """First frame and number of frames of each range of persistent memory in lines of /proc/iomem.

    Errors    BadEvidence when there is none
    """
    found = []
    for line in text.splitlines():
        match = _RANGE.match(line)
        if match:
            first, last = int(match[1], 16), int(match[2], 16)
            found.append((first >> PAGE_SHIFT, (last + 1 - first) >> PAGE_SHIFT))
    if not found:
        raise BadEvidence(file, "expected a line of /proc/iomem with Persistent Memory")
    return tuple(found)


# ---- states ----------------------------------------------------------------------------------------------


def judge_files(
    judgement: Judgement,
    where: str,
    files: Table[int, tuple[int, tuple[Extent, ...]]],
    device: Spans,
    zeros: Spans | None,
) -> None:
    """Hold the entries of a file system's DAX files against the clauses.

    files  inode -> (its count of entries, its entries in runs)
    zeros  None where zero pages are not known: then an entry that is not of the device may be one
    """
    held, all_extents = _Held(judgement, where), []
    for inode, (told, extents) in files.items():
        judgement.events += 1
        for extent in extents:
            good = zeros is None or in_device(extent, device, zeros)
            named = f"inode {inode}, index {extent.index}: frames {extent.pfn:#x}, {extent.count} in a row"
            held.require(_IN_DEVICE, good, named, f"frames of {_spans(device)}, or zero pages")
            if in_device(extent, device, ()):
                all_extents.append(extent)
        counted = sum(extent.count for extent in extents)
        held.require(COUNTED, told == counted, f"inode {inode}: {counted} pages entered", f"{told}")
    once = disjoint(tuple(all_extents))
    held.require(_ONE_PLACE, once, "two pages of files at one frame", "one page of one file at each")


def _spans(device: Spans) -> str:
    return ", ".join(f"{first:#x} to {first + count - 1:#x}" for first, count in device)


def judge_mapping(
    judgement: Judgement,
    where: str,
    mapping: Mapping,
    leaves: Iterable[tuple[int, int, int]],
    entries: tuple[Extent, ...],
    device: Spans,
) -> None:
    """Hold what an address space maps of a DAX file against the file's entries.

    leaves   (address, first frame, pages) of each run of present entries in the mapping
    """
    held = _Held(judgement, where)
    by_index = {e.index + at: e.pfn + at for e in entries for at in range(e.count)}
    for address, pfn, pages in leaves:
        judgement.events += 1
        for at in range(pages):
            index = index_at(mapping, address + (at << PAGE_SHIFT))
            expected = by_index.get(index)
            own = not mapping.shared and not in_device(Extent(index, pfn + at, 1), device, ())
            named = "no page" if expected is None else f"frame {expected:#x}"
            found = f"index {index} at frame {pfn + at:#x}"
            held.require(MAPPED, own or pfn + at == expected, found, named)


# ---- events ----------------------------------------------------------------------------------------------

_EVENT: Final = re.compile(
    r"-(\d+)\s+\[\d+\].*?: (dax_\w+): dev (\d+:\d+) ino (0x[0-9a-f]+)(?: (shared|private) ([A-Z_|0-9a-fx]+))?"
    r"(?: address (0x[0-9a-f]+))?(?: vm_start (0x[0-9a-f]+) vm_end (0x[0-9a-f]+))?"
    r" pgoff (0x[0-9a-f]+)(?:-(0x[0-9a-f]+)| pglen (0x[0-9a-f]+))?"
    r"(?: max_pgoff (0x[0-9a-f]+))?(?: (\S*))?\s*$"
)
_KNOWN: Final = ("dax_pte_fault", "dax_pmd_fault", "dax_writeback", "dax_insert_pfn_mkwrite")


@dataclass(frozen=True, slots=True)
class _Fault:
    pid: int
    inode: tuple[str, int]
    shared: bool
    write: bool
    address: int
    pgoff: int
    huge: bool


@dataclass(slots=True)
class DaxCheck:
    """Reads the events of a trace in order; the state before it is not known and not held against it."""

    judgement: Judgement
    where: str
    seen: set[int] = field(default_factory=set)
    open: dict[int, _Fault] = field(default_factory=dict)
    mappings: dict[tuple[int, tuple[str, int]], list[Mapping]] = field(default_factory=dict)
    told: dict[tuple[int, tuple[str, int], int], bool] = field(default_factory=dict)
    written: dict[tuple[str, int], set[int]] = field(default_factory=dict)
    clean: dict[tuple[str, int], set[int]] = field(default_factory=dict)
    ranges: dict[tuple[int, tuple[str, int]], tuple[int, int]] = field(default_factory=dict)

    def run(self, lines: Iterable[str]) -> None:
        """Judge every event.

        Errors    BadEvidence for a line of an event that is judged and cannot be read
        """
        held = _Held(self.judgement, self.where)
        for number, line in enumerate(lines, 1):
            if "LOST" in line and "EVENTS]" in line:
                self.judgement.gap(f"{self.where}: events were lost")
                self.forget()
            if not any(f": {name}" in line for name in _KNOWN):
                continue
            match = _EVENT.search(line)
            if match is None:
                raise BadEvidence(self.where, f"expected an event of fs_dax: {line.strip()!r}", line=number)
            self.judgement.events += 1
            held.line = number
            self._event(held, match)
        for fault in self.open.values():
            self.judgement.gap(f"{self.where}: the answer to a fault at index {fault.pgoff} is not in it")

    def forget(self) -> None:
        """Start again as at the beginning of a trace."""
        self.seen.clear()
        for known in (self.open, self.mappings, self.told, self.written, self.clean, self.ranges):
            known.clear()

    def _event(self, held: _Held, match: re.Match[str]) -> None:
        pid, name, inode = int(match[1]), match[2], (match[3], int(match[4], 16))
        pgoff, answer = int(match[10], 16), match[14] or ""
        if name in ("dax_pte_fault", "dax_pmd_fault", "dax_pte_fault_done", "dax_pmd_fault_done"):
            shared, write = match[5] == "shared", "WRITE" in (match[6] or "").split("|")
            huge = "pmd" in name
            fault = _Fault(pid, inode, shared, write, int(match[7], 16), pgoff, huge)
            if huge and match[8] is not None:
                self._mapping(fault, int(match[8], 16), int(match[9], 16))
            if name.endswith("_done"):
                self._answer(held, fault, answer, int(match[13] or "0", 16))
            else:
                alone = pid not in self.open
                held.require(ANSWERED, alone, f"a fault of task {pid}", "the answer to its last")
                self.open[pid] = fault
                self.seen.add(pid)
                self._linear(held, fault)
        elif name == "dax_insert_pfn_mkwrite":
            self._enter(held, pid, inode, pgoff)
        elif name == "dax_writeback_range":
            self.ranges[pid, inode] = (pgoff, int(match[11], 16))
            for task, file, index in self.told:
                if (task, file) == (pid, inode) and pgoff <= index <= int(match[11], 16):
                    self.told[task, file, index] = True
        elif name == "dax_writeback_range_done":
            span = self.ranges.pop((pid, inode), None)
            good = span is None or span[1] == int(match[11], 16)
            held.require(WRITEBACK, good, f"the end of a range to {int(match[11], 16)}", f"of {span}")
        elif name == "dax_writeback_one":
            self._write_back(held, pid, inode, pgoff, int(match[12], 16))

    def _mapping(self, fault: _Fault, start: int, end: int) -> None:
        known = self.mappings.setdefault((fault.pid, fault.inode), [])
        base = fault.pgoff - ((fault.address - start) >> PAGE_SHIFT)
        known[:] = [each for each in known if each.end <= start or end <= each.start]
        known.append(Mapping(start, end, base, fault.shared))

    def _of(self, fault: _Fault) -> Mapping | None:
        known = self.mappings.get((fault.pid, fault.inode), ())
        return next((each for each in known if each.start <= fault.address < each.end), None)

    def _linear(self, held: _Held, fault: _Fault) -> None:
        mapping = self._of(fault)
        if mapping is not None:
            index = index_at(mapping, fault.address)
            found = f"address {fault.address:#x} at index {fault.pgoff}"
            held.require(LINEAR, index == fault.pgoff, found, f"index {index}")

    def _answer(self, held: _Held, fault: _Fault, answer: str, size: int) -> None:
        asked = self.open.pop(fault.pid, None)
        good = (asked is None or asked == fault) and answer in ANSWERS
        good = good and ("DONE_COW" not in answer or (fault.write and not fault.shared))
        held.require(ANSWERED, good, f"{answer or 'nothing'} to {fault}", f"an answer to {asked}")
        words = set(answer.split("|"))
        durable = "NEEDDSYNC" in words
        if durable:
            asks = fault.write and fault.shared
            held.require(SYNC, asks, f"{answer} to a read, or of a private mapping", "a shared write")
            self.told[fault.pid, fault.inode, fault.pgoff] = not self.written.get(fault.inode)
        mapping = self._of(fault)
        if fault.huge and mapping is not None:
            mapped = bool(words & {"NOPAGE", "NEEDDSYNC"})
            permitted = may_be_huge(mapping, fault.address, size, fault.write)
            beyond = fault.pgoff >= size
            good = permitted or not mapped
            good = good and (not beyond or answer in ("SIGBUS", "FALLBACK"))
            held.require(
                HUGE, good, f"{answer} at index {fault.pgoff} of {size}", "FALLBACK, SIGBUS behind the file"
            )
        if fault.write and fault.shared and "NOPAGE" in words:
            first = fault.pgoff & ~(PER_PMD - 1) if fault.huge else fault.pgoff
            self._wrote(fault.inode, first, PER_PMD if fault.huge else 1)

    def _wrote(self, inode: tuple[str, int], first: int, count: int) -> None:
        pages = set(range(first, first + count))
        self.written.setdefault(inode, set()).update(pages)
        self.clean.setdefault(inode, set()).difference_update(pages)

    def _enter(self, held: _Held, pid: int, inode: tuple[str, int], pgoff: int) -> None:
        ready = self.told.pop((pid, inode, pgoff), None)
        if ready is None and pid in self.seen:
            held.require(DURABLE, False, f"index {pgoff} entered writable", "NEEDDSYNC to this task before")
        elif ready is not None:
            found = f"index {pgoff} entered writable with pages that were not written back"
            held.require(DURABLE, ready, found, "the file written back since the answer")
        self._wrote(inode, pgoff, 1)

    def _write_back(self, held: _Held, pid: int, inode: tuple[str, int], pgoff: int, count: int) -> None:
        span = self.ranges.get((pid, inode))
        inside = span is not None and span[0] <= pgoff + count - 1 and pgoff <= span[1]
        pages = set(range(pgoff, pgoff + count))
        again = pages & self.clean.get(inode, set())
        found = f"index {pgoff}, {count} pages" + (f", {len(again)} again" if again else "")
        held.require(WRITEBACK, inside and not again, found, f"pages of {span}, written since")
        self.written.setdefault(inode, set()).difference_update(pages)
        self.clean.setdefault(inode, set()).update(pages)
