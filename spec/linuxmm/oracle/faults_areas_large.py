"""Faults of large allocators: areas of vmalloc space, what /proc tells of them, ranges of CMA."""

import re
from collections.abc import Callable
from typing import Final

from linuxmm.oracle.faults_plant import (
    AreaFault,
    Change,
    Document,
    Edit,
    Lines,
    document,
    dropped,
    fault,
    first_of,
    line,
    raised,
    removal,
    repeated,
    text,
    trace_removals,
)

_INFO: Final = "marks/*/proc/vmallocinfo"
_STATE: Final = "marks/*/vmalloc.json.gz"
_LOG: Final = "logs/dmesg.txt"
_PAGE: Final = 4096
_ASKED: Final = ": vaarea: "
_ANSWERED: Final = ": vaarea_r: "
_IOREMAP: Final = 1
_TAKEN: Final = ": cma_alloc_finish: .*errorno=0"
_GIVEN: Final = ": cma_release: "


def _cma(change: Change) -> Edit:
    return Edit("trace/alloc.txt.gz", change)


def _hex(by: int) -> Callable[[str], str]:
    return lambda digits: f"{int(digits, 16) + by:x}"


def _moved(which: str, by: int, nth: int = 0) -> Change:
    """The page of an event is another by so many."""
    return line(which, r"pfn=0x([0-9a-f]+)", lambda seen: f"pfn=0x{_hex(by)(seen[1])}", nth)


def _lower(seen: re.Match[str]) -> str:
    return "-".join(f"0x{int(address, 16) - _PAGE:x}" for address in seen.groups())


def _higher(seen: re.Match[str]) -> str:
    return f"start=0x{int(seen[1], 16) + (1 << 30):x}"


def _placed(change: Change) -> Edit:
    return Edit("trace/vmalloc.txt.gz", change)


def _without_last_stack(lines: Lines) -> Lines:
    """The trace without the last placement of a kernel stack before mark B."""
    end = first_of(at for at, each in enumerate(lines) if "SYNC B begin" in each)
    asked = first_of(at for at in range(end, 0, -1) if _ASKED in lines[at] and "align=16384 " in lines[at])
    answered = first_of(at for at in range(asked, end) if _ANSWERED in lines[at])
    return [each for at, each in enumerate(lines) if at not in (asked, answered)]


def _unpurged(lines: Lines) -> Lines:
    return [each for each in lines if ": purge: " not in each]


def _areas(edit: Callable[[list[Document]], None]) -> Edit:
    return Edit(_STATE, document(lambda state: edit(state["busy"])))


def _overlap(areas: list[Document]) -> None:
    areas[0]["end"] = areas[1]["start"] + _PAGE
    areas[0]["size"] = areas[0]["end"] - areas[0]["start"]


def _reused_early(state: Document) -> None:
    area = state["busy"][0]
    state["lazy"].append([area["start"], area["end"]])


def _owning(areas: list[Document]) -> Document:
    return first_of(area for area in areas if area["frames"])


def _unguarded(areas: list[Document]) -> None:
    _owning(areas)["pages"] += 1


def _size_off(areas: list[Document]) -> None:
    _owning(areas)["size"] += _PAGE


def _frame_twice(areas: list[Document]) -> None:
    one, other = [area for area in areas if area["frames"]][:2]
    other["frames"][0] = one["frames"][0]


def _device_unaligned(areas: list[Document]) -> None:
    """Device memory of sixteen pages begins a page behind where it may."""
    area = first_of(area for area in areas if area["flags"] & _IOREMAP)
    size = 17 * _PAGE
    start = max(each["end"] for each in areas) // (1 << 30) * (1 << 30) + (1 << 31) + _PAGE
    areas.append({**area, "start": start, "end": start + size, "size": size})


LARGE_FAULTS: Final[tuple[AreaFault, ...]] = (
    fault(
        "chunk-unaligned",
        "a chunk of per-CPU memory begins where none may",
        "large.vmalloc.top-down",
        Edit(_INFO, line(r"pcpu_get_vm_areas", "^0x([0-9a-f]+)-0x([0-9a-f]+)", _lower)),
    ),
    fault(
        "area-placed-unseen",
        "an area stands where nothing placed one",
        "large.vmalloc.accounted",
        _placed(text(_without_last_stack)),
    ),
    fault(
        "area-not-lowest",
        "an area stands above a hole that would do",
        "large.vmalloc.lowest",
        _placed(line(_ANSWERED, r"start=0x([0-9a-f]+)", _higher, 20)),
        where="large.vmalloc.accounted",
    ),
    fault(
        "reused-unflushed",
        "an area is placed where one was that no CPU has flushed",
        "large.vmalloc.flushed",
        _placed(text(_unpurged)),
    ),
    fault("area-told-twice", "two areas are one", "large.vmalloc.disjoint", Edit(_INFO, repeated("0x"))),
    fault(
        "area-over-next",
        "an area reaches into the next",
        "large.vmalloc.disjoint",
        _areas(_overlap),
    ),
    fault(
        "area-before-flush",
        "an area is in use that waits for a flush",
        "large.vmalloc.disjoint",
        Edit(_STATE, document(_reused_early)),
    ),
    fault(
        "guard-taken",
        "an area has no page left for its guard",
        "large.vmalloc.guard",
        Edit(_INFO, raised(r"pages=\d+ vmalloc", "pages=", 1)),
    ),
    fault("guard-mapped", "an area maps its guard", "large.vmalloc.guard", _areas(_unguarded)),
    fault("size-of-area", "an area is larger than its place", "large.vmalloc.guard", _areas(_size_off)),
    fault("frame-twice", "two areas own one page", "large.vmalloc.pages", _areas(_frame_twice)),
    fault(
        "device-unaligned",
        "device memory lies where its alignment forbids",
        "large.vmalloc.lowest",
        _areas(_device_unaligned),
    ),
    fault(
        "range-unaligned",
        "a range of CMA is not aligned as asked",
        "large.cma.aligned",
        _cma(line(_TAKEN, r"align=\d+", "align=6", 1)),
    ),
    fault(
        "range-outside",
        "a range reaches beyond the area of CMA",
        "large.cma.aligned",
        _cma(raised(_TAKEN, "count=", 100000, 2)),
    ),
    fault("range-twice", "a range of CMA is handed out twice", "large.cma.owned", _cma(repeated(_TAKEN))),
    fault(
        "range-over-other",
        "a range of CMA begins in one that is handed out",
        "large.cma.owned",
        _cma(_moved(_TAKEN, -1, 1)),
    ),
    fault("range-given-twice", "a range comes back twice", "large.cma.owned", _cma(repeated(_GIVEN))),
    fault(
        "range-not-taken", "pages come back that nobody has", "large.cma.owned", _cma(_moved(_GIVEN, 4096))
    ),
    fault(
        "range-not-lowest",
        "a range is not the lowest that is free",
        "large.cma.lowest",
        _cma(_moved(_TAKEN, 64, 2)),
    ),
    fault("range-skipped", "a hole below a range was left", "large.cma.lowest", _cma(dropped(_TAKEN))),
    removal("areas-removed", "a mark has no areas", "large.vmalloc.pages", Edit(_STATE, None)),
    removal(
        "place-of-cma-removed",
        "the log does not say where the area of CMA lies",
        "large.cma.owned",
        Edit(_LOG, dropped("cma: Reserved")),
    ),
    *trace_removals("trace/alloc.txt.gz", "large.cma.owned"),
)
