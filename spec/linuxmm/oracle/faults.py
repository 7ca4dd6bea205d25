"""Plant one fault in a copy of a real capture: a control that the judge notices what it claims to notice.

Each fault edits the evidence as a broken kernel would have written it, and names the clause that must break.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linuxmm.oracle.faults_plant import Document, Lines, document, lines_of, unpacked, write_copy
from linuxmm.oracle.formats.capture import Capture
from linuxmm.spec.errors import LinuxmmError

_ALLOC: Final = re.compile(r" mm_page_alloc: .*pfn=0x([0-9a-f]+) order=(\d+)")
_FREE: Final = re.compile(r" mm_page_free: .*pfn=0x([0-9a-f]+) order=(\d+)")
_LOCKED: Final = re.compile(r" mm_page_alloc_zone_locked: .*pfn=0x([0-9a-f]+) order=(\d+)")

_ISOLATE: Final = "{ISOLATE}"
"""Stands for the kernel's own number of the migratetype until the capture is at hand."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to spoil a capture.

    clause  the clause that must break; "" where the evidence is damaged and nothing must
    trace   edits the lines of the trace; position: how far in (0 to 1) the fault is planted
    state   edits the state of the last mark
    """

    name: str
    sentence: str
    clause: str
    trace: Callable[[Lines, float], Lines] | None = None
    state: Callable[[Document, Lines], None] | None = None


def plant(capture: Capture, fault: Fault, target: Path, position: float = 0.5) -> Capture:
    """Write a copy of a capture with one fault.

    Errors    LinuxmmError when the evidence offers no place for the fault
    """
    changed: dict[str, bytes | None] = {}
    trace = capture.info(capture.traces[0]).file
    lines = lines_of(capture.file(trace))
    if fault.trace is not None:
        isolate = capture.state(capture.marks[0]).migratetypes.index("ISOLATE")
        edited = [line.replace(_ISOLATE, str(isolate)) for line in fault.trace(lines, position)]
        changed[trace] = "".join(edited).encode()
    if fault.state is not None:
        edit, name = fault.state, f"marks/{capture.marks[-1]}/state.json.gz"
        changed[name] = document(lambda state: edit(state, lines))(unpacked(capture.file(name)))
    return write_copy(capture, changed, target)


def _window(lines: Lines) -> tuple[int, int]:
    """The first and last line between the first and the last mark."""
    marks = [n for n, line in enumerate(lines) if "tracing_mark_write: SYNC" in line]
    if len(marks) < 2:
        raise LinuxmmError("the trace has no two marks to plant a fault between")
    return marks[1] + 1, marks[-2]


def _at(lines: Lines, position: float) -> int:
    first, last = _window(lines)
    return first + int((last - first) * position)


def _owned_at(lines: Lines, end: int) -> dict[str, tuple[int, str]]:
    """Blocks allocated since the last mark and not yet freed before line `end`: pfn -> (line, order)."""
    owned: dict[str, tuple[int, str]] = {}
    marks = (number for number in range(end - 1, -1, -1) if ": SYNC " in lines[number])
    for number in range(max(next(marks, 0), _window(lines)[0]), end):
        if seen := _ALLOC.search(lines[number]):
            owned[seen[1]] = (number, seen[2])
        elif seen := _FREE.search(lines[number]):
            owned.pop(seen[1], None)
    return owned


def _latest(lines: Lines, end: int) -> str:
    """The single page allocated last of those that are owned before line `end`: nobody took it meanwhile."""
    owned = [pfn for pfn, (_, order) in _owned_at(lines, end).items() if order == "0"]
    if not owned:
        raise LinuxmmError(f"no single page is owned at line {end}")
    return owned[-1]


def _find(lines: Lines, start: int, pattern: re.Pattern[str], order: str = "0") -> int:
    for number in range(start, _window(lines)[1]):
        seen = pattern.search(lines[number])
        if seen and seen[2] == order:
            return number
    raise LinuxmmError(
        f"no event {pattern.pattern.split(':')[0].strip()} of order {order} after line {start}"
    )


def _with_pfn(line: str, pfn: str) -> str:
    line = re.sub(r"pfn=0x[0-9a-f]+", f"pfn=0x{pfn}", line, count=1)
    return re.sub(r"page=[0-9a-fx]+ ", "", line, count=1)


def _edited(lines: Lines, number: int, *instead: str) -> Lines:
    return [*lines[:number], *instead, *lines[number + 1 :]]


def _double_allocation(lines: Lines, position: float) -> Lines:
    number = _find(lines, _at(lines, position), _ALLOC)
    victim = _latest(lines, number)
    return _edited(lines, number, _with_pfn(lines[number], victim))


def _double_free(lines: Lines, position: float) -> Lines:
    number = _find(lines, _at(lines, position), _FREE)
    return _edited(lines, number, lines[number], lines[number])


def _misaligned(lines: Lines, position: float) -> Lines:
    number = _find(lines, _at(lines, position), _ALLOC, "1")
    pfn = _ALLOC.search(lines[number])
    assert pfn is not None
    return _edited(lines, number, _with_pfn(lines[number], f"{int(pfn[1], 16) + 1:x}"))


def _outside(lines: Lines, position: float) -> Lines:
    number = _find(lines, _at(lines, position), _ALLOC)
    return _edited(lines, number, _with_pfn(lines[number], "7fffffff"))


def _wrong_order(lines: Lines, position: float) -> Lines:
    start = _at(lines, position)
    owned = {pfn: order for pfn, (_, order) in _owned_at(lines, start).items()}
    for number in range(start, _window(lines)[1]):
        if ": SYNC " in lines[number]:
            owned.clear()
        elif seen := _ALLOC.search(lines[number]):
            owned[seen[1]] = seen[2]
        elif seen := _FREE.search(lines[number]):
            pfn = int(seen[1], 16)
            if pfn & 1 == 0 and all(owned.get(f"{page:x}") == "0" for page in (pfn, pfn + 1)):
                return _edited(lines, number, lines[number].replace("order=0", "order=1", 1))
            owned.pop(seen[1], None)
    raise LinuxmmError("no release of an even page of order 0 while the next one is owned")


def _owned_listed(lines: Lines, position: float) -> Lines:
    number = _find(lines, _at(lines, position), _LOCKED)
    victim = _latest(lines, number)
    return _edited(lines, number, _with_pfn(lines[number], victim))


def _isolated(lines: Lines, position: float) -> Lines:
    number = _find(lines, _at(lines, position), _LOCKED)
    return _edited(
        lines, number, re.sub(r"migratetype=\d", f"migratetype={_ISOLATE}", lines[number], count=1)
    )


def _forbidden_zone(lines: Lines, position: float) -> Lines:
    number = _find(lines, _at(lines, position), _ALLOC)
    return _edited(lines, number, re.sub(r"gfp_flags=\S+", "gfp_flags=GFP_DMA", lines[number], count=1))


def _lost_events(lines: Lines, position: float) -> Lines:
    """Forty lines are gone, and the trace says so."""
    number = _at(lines, position)
    return [*lines[:number], "CPU:0 [LOST 40 EVENTS]\n", *lines[number + 40 :]]


def _torn(lines: Lines, position: float) -> Lines:
    """The file ends in the middle of a line."""
    number = _at(lines, position)
    return [*lines[:number], lines[number][: len(lines[number]) // 2]]


def _fallback(lines: Lines, position: float) -> Lines:
    for number in range(*_window(lines)):
        if " mm_page_alloc_extfrag:" in lines[number]:
            edited = re.sub(
                r"fallback_migratetype=\d", f"fallback_migratetype={_ISOLATE}", lines[number], count=1
            )
            return _edited(lines, number, edited)
    raise LinuxmmError("the trace has no fallback")


def _counter(state: Document, lines: Lines) -> None:
    state["nodes"][0]["zones"][-1]["vm_stat"]["NR_FREE_PAGES"] += 1


def _listed_owned(state: Document, lines: Lines) -> None:
    zone = state["nodes"][0]["zones"][-1]
    start, end = zone["start_pfn"], zone["start_pfn"] + zone["spanned"]
    owned = _owned_at(lines, _window(lines)[1]).items()
    inside = [int(pfn, 16) for pfn, (_, order) in owned if order == "0" and start <= int(pfn, 16) < end]
    if not inside:
        raise LinuxmmError("no single page of the last zone is owned in the end")
    pfn = inside[-1]
    zone["free_area"][0]["lists"][0].append(pfn)
    zone["free_area"][0]["nr_free"] += 1
    zone["vm_stat"]["NR_FREE_PAGES"] += 1


def _lost_free(state: Document, lines: Lines) -> None:
    given_back = {}
    for number in range(*_window(lines)):
        if seen := _FREE.search(lines[number]):
            given_back[int(seen[1], 16)] = True
        elif seen := _ALLOC.search(lines[number]):
            given_back.pop(int(seen[1], 16), None)
    for zone in state["nodes"][0]["zones"]:
        for pcp in zone["pcp"].values():
            for index, heads in enumerate(pcp["lists"][:3]):
                for pfn in heads:
                    if pfn in given_back:
                        pcp["lists"][index].remove(pfn)
                        pcp["count"] -= 1
                        return
    raise LinuxmmError("no page that came back stands on a CPU's list")


FAULTS: Final[tuple[Fault, ...]] = (
    Fault(
        "double-allocation",
        "a page is granted while owned",
        "alloc.page.double-allocation",
        _double_allocation,
    ),
    Fault("double-free", "a page is released twice", "alloc.page.double-free", _double_free),
    Fault("misaligned", "a block of order 1 starts at an odd page", "alloc.page.misaligned", _misaligned),
    Fault("outside-zone", "a page beyond all memory is granted", "alloc.page.outside-zone", _outside),
    Fault("wrong-order", "a page comes back as a block of two", "alloc.page.wrong-order", _wrong_order),
    Fault("owned-on-list", "an owned page leaves a free list", "alloc.list.owned-page", _owned_listed),
    Fault("isolated", "a block leaves a list of ISOLATE", "alloc.list.isolated", _isolated),
    Fault(
        "forbidden-zone",
        "a DMA request gets a page of another zone",
        "alloc.page.forbidden-zone",
        _forbidden_zone,
    ),
    Fault("fallback-type", "a fallback takes from ISOLATE", "alloc.fallback.type", _fallback),
    Fault("lost-events", "events were lost, and the trace says so", "", _lost_events),
    Fault("torn", "the trace ends in the middle of a line", "", _torn),
    Fault("counter", "NR_FREE_PAGES is one too high", "alloc.state.consistent", state=_counter),
    Fault(
        "owned-in-state",
        "an owned page stands on a free list",
        "alloc.state.owned-page-listed",
        state=_listed_owned,
    ),
    Fault("free-lost", "a page given back stands on no list", "alloc.state.free-page-lost", state=_lost_free),
)


def find_fault(name: str) -> Fault:
    """The fault called `name`.

    Errors    LinuxmmError naming the faults there are
    """
    for fault in FAULTS:
        if fault.name == name:
            return fault
    raise LinuxmmError(f"no fault {name!r}; there are {', '.join(fault.name for fault in FAULTS)}")
