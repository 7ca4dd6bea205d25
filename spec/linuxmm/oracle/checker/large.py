"""Hold vmalloc and CMA of a real kernel against the clauses: areas, /proc/vmallocinfo, traces of both.

Linux: mm/vmalloc.c, mm/cma.c, include/trace/events/cma.h.  Seed 2.1.3.1, 2.1.3.2 (F035, F036).  6.1 to 6.12.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.invariant import clause
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.large import cma, vmalloc
from linuxmm.spec.verdict import Divergence, Judgement
from linuxmm.spec.vocabulary import PAGE_SHIFT, PAGE_SIZE

_DISJOINT: Final = "large.vmalloc.disjoint"
_GUARD: Final = "large.vmalloc.guard"
_FLUSHED: Final = "large.vmalloc.flushed"
_OWNED: Final = "large.cma.owned"
_ALIGNED: Final = "large.cma.aligned"
ACCOUNTED: Final = clause(
    "large.vmalloc.accounted",
    "Addresses are taken and let go only as the events say.",
    features=("F035",),
    source="mm/vmalloc.c:alloc_vmap_area, free_vmap_area_noflush, __purge_vmap_area_lazy",
    seed="2.1.3.1",
).id
VM_IOREMAP: Final = 1
VM_NO_GUARD: Final = 0x40
IOREMAP_MOST: Final = 30
"""IOREMAP_MAX_ORDER of x86-64."""


class SeenArea(NamedTuple):
    """An area in use as evidence shows it.

    size    of the vm_struct in bytes, None for vm_map_ram's
    pages   that it owns, and which, where that is known
    chunk   it belongs to a chunk of per-CPU memory
    """

    start: int
    end: int
    size: int | None = None
    flags: int = 0
    pages: int = 0
    frames: tuple[int, ...] = ()
    chunk: bool = False


def judge_vmalloc(
    judgement: Judgement,
    busy: Sequence[SeenArea],
    lazy: Sequence[tuple[int, int]],
    kernel: Kernel | None,
    where: str,
) -> None:
    """Whether areas are apart, have their guard, own no page twice, and device memory is aligned.

    lazy    what waits for a flush: nothing in use may overlap it
    kernel  None where alignments are not to be judged
    """
    ranges = sorted([*((a.start, a.end) for a in busy), *lazy])
    for lower, upper in pairwise(ranges):
        text = f"{lower[0]:#x}-{lower[1]:#x} and {upper[0]:#x}-{upper[1]:#x}"
        _require(judgement, _DISJOINT, vmalloc.apart(lower[1], upper[0]), where, text)
    seen: dict[int, int] = {}
    for area in busy:
        judgement.events += 1
        if area.size is None:
            continue
        mapped = area.start + (area.pages << PAGE_SHIFT)
        text = f"{area.start:#x}-{area.end:#x} of {area.size} bytes, {area.pages} pages"
        if not area.flags & VM_NO_GUARD:
            kept = area.size == area.end - area.start and vmalloc.guard_kept(area.end, mapped)
            _require(judgement, _GUARD, kept, where, text)
        if kernel is not None and area.flags & VM_IOREMAP and not area.flags & VM_NO_GUARD:
            align = kernel.behaviour("large.ioremap-align").function(area.size - PAGE_SIZE, IOREMAP_MOST)
            right = isinstance(align, int) and area.start % align == 0
            _require(judgement, vmalloc.LOWEST.id, right, where, f"{text}, to be aligned to {align}")
        for frame in area.frames:
            twice = seen.setdefault(frame, area.start) != area.start
            _require(judgement, vmalloc.PAGES.id, not twice, where, f"frame {frame:#x} in {text}")


_INFO: Final = re.compile(r"0x([0-9a-f]+)-0x([0-9a-f]+)\s+(\d+) ?(.*)")


def read_vmallocinfo(text: str, file: str) -> tuple[tuple[SeenArea, ...], tuple[tuple[int, int], ...]]:
    """Areas in use, and ranges that wait, of /proc/vmallocinfo.

    Errors    BadEvidence naming the line
    """
    busy, lazy = [], []
    for number, line in enumerate(text.splitlines(), 1):
        found = _INFO.fullmatch(line)
        if found is None or int(found[2], 16) - int(found[1], 16) != int(found[3]):
            raise BadEvidence(file, f"expected 0xSTART-0xEND BYTES ...: {line!r}", line=number)
        start, end, words = int(found[1], 16), int(found[2], 16), found[4].split()
        if "unpurged" in words:
            lazy.append((start, end))
        elif "vm_map_ram" in words:
            busy.append(SeenArea(start, end))
        else:
            flags = VM_IOREMAP if "ioremap" in words else 0
            pages = sum(int(word[6:]) for word in words if word.startswith("pages="))
            chunk = any(word.startswith("pcpu_get_vm_areas+") for word in words)
            busy.append(SeenArea(start, end, end - start, flags, pages, chunk=chunk))
    return tuple(busy), tuple(lazy)


_ALL: Final = (1 << 64) - 1
"""The end of the addresses that holes are counted in."""
_CALL: Final = re.compile(r"^\s*(\S+).*: (vaarea|vaarea_r|vmnode|vmnode_r|freeva|purge): \([^)]*\) (.*)")
_WORD: Final = re.compile(r"(\w+)=(\S+)")


class _Asked(NamedTuple):
    size: int
    align: int
    vstart: int
    vend: int


class Before(NamedTuple):
    """All areas in use, and all ranges that waited, when a trace began."""

    busy: tuple[SeenArea, ...]
    lazy: tuple[tuple[int, int], ...]


class Placements(NamedTuple):
    """What became of the placements of a trace.

    reused     in a hole that the trace shows to be free
    predicted  from all holes: to one place;  among  to one of few, which the tree's shape decides
    known      ranges that are taken in the end, where all were known in the beginning
    """

    reused: int
    predicted: int
    among: int
    known: tuple[tuple[int, int], ...]


class _Known:
    """What is known of addresses: handed out, waiting for a flush, flushed and free.

    whole  nothing is in use but what is held, nor waits
    """

    def __init__(self, before: Before | None) -> None:
        busy, lazy = before or ((), ())
        self.whole = before is not None
        self.held: dict[int, int] = {area.start: area.end for area in busy}
        self.lazy: dict[int, int] = dict(lazy)
        self.free: list[tuple[int, int]] = []

    def let_go(self, start: int, end: int) -> None:
        self.held.pop(start, None)
        self.lazy[start] = end

    def purge(self) -> None:
        merged: list[tuple[int, int]] = []
        for start, end in sorted([*self.free, *self.lazy.items()]):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        self.free, self.lazy = merged, {}

    def take(self, start: int, end: int) -> None:
        pieces = [((low, min(high, start)), (max(low, end), high)) for low, high in self.free]
        self.free = [(low, high) for pair in pieces for low, high in pair if low < high]
        self.held[start] = end


def judge_placements(
    judgement: Judgement, lines: Iterable[str], before: Before | None = None, first: int = 1
) -> Placements:
    """Whether addresses are handed out once, after their flush, and the lowest known to be free first.

    A hole is known to be free when the trace shows how its area was let go and purged.  With all areas of the
    beginning every hole is known, and every placement is predicted.

    lines   ftrace text with probes of alloc_vmap_area, free_vmap_area_noflush and __purge_vmap_area_lazy; the
            answer stands in the return of the first, or in that of __vmalloc_node_range
    first   number of the first line
    """
    known = _Known(before)
    calls: dict[str, list[_Asked | None]] = {}
    direct: dict[str, _Asked] = {}
    reused = predicted = among = 0
    for number, line in enumerate(lines, first):
        call = _CALL.search(line)
        if call is None:
            continue
        judgement.events += 1
        words = dict(_WORD.findall(call[3]))
        stack = calls.setdefault(call[1], [])
        if call[2] == "vmnode":
            stack.append(None)
        elif call[2] == "vaarea":
            asked = _Asked(*(int(words[name], 0) for name in ("size", "align", "vs", "ve")))
            direct[call[1]] = asked
            if stack:
                stack[-1] = asked
        elif call[2] == "freeva":
            known.let_go(int(words["start"], 16), int(words["end"], 16))
        elif call[2] == "purge":
            known.purge()
        else:
            found = _answered(call[2], words, call[1], stack, direct)
            if found is None:
                continue
            asked, start = found
            if start == 0:
                if known.whole:
                    judgement.gap("the answer to a request for an area is not in the trace")
                known.whole = False
                continue
            reused += any(low <= start < high for low, high in known.free)
            places = _judge_place(judgement, number, line.strip(), start, asked, known)
            predicted, among = predicted + (len(places) == 1), among + (len(places) > 1)
            known.take(start, start + asked.size)
    taken = tuple(sorted([*known.held.items(), *known.lazy.items()]))
    return Placements(reused, predicted, among, taken if known.whole else ())


def _answered(
    event: str, words: dict[str, str], task: str, stack: list[_Asked | None], direct: dict[str, _Asked]
) -> tuple[_Asked, int] | None:
    """What was asked, and where it came to stand, 0 where nobody says; None when nothing was answered."""
    if event == "vmnode_r":
        asked = stack.pop() if stack else None
        start = int(words["ret"], 16)
        return None if asked is None or not start else (asked, start)
    asked = direct.pop(task, None)
    if asked is None or (stack and "start" not in words):
        return None
    if "start" not in words:
        return asked, 0
    refused = not words["start"].startswith("0x")  # an error has no address to read at
    return None if refused else (asked, int(words["start"], 16))


def _judge_place(
    judgement: Judgement, number: int, line: str, start: int, asked: _Asked, known: _Known
) -> tuple[int, ...]:
    """Judge one placement; the places that are permitted, where all holes are known."""
    end = start + asked.size
    event = judgement.events - 1
    for id, ranges, why in (
        (_DISJOINT, known.held, "is in use"),
        (_FLUSHED, known.lazy, "waits for a flush"),
    ):
        hit = next((low for low, high in ranges.items() if low < end and start < high), None)
        judgement.checked(id)
        if hit is not None:
            text = f"{hit:#x}-{ranges[hit]:#x} {why}"
            judgement.broken(Divergence(id, event, number, line, "other addresses", text))
    judgement.checked(vmalloc.LOWEST.id)
    text = f"{asked.size} bytes aligned to {asked.align}"
    if known.whole:
        taken = (*known.held.items(), *known.lazy.items())
        holes = vmalloc.holes_between(taken, 0, _ALL)
        places = vmalloc.permitted_starts(holes, *asked)
        if start not in places:
            expected = " or ".join(f"{place:#x}" for place in places) or "none"
            judgement.broken(Divergence(vmalloc.LOWEST.id, event, number, f"{start:#x}", expected, text))
        return places
    surely = vmalloc.surely_found(tuple(known.free), *asked)
    if vmalloc.NOTHING < surely < start or start % asked.align or not asked.vstart <= start <= asked.vend:
        expected = f"{surely:#x} or below" if surely > vmalloc.NOTHING else "an aligned place in the range"
        judgement.broken(Divergence(vmalloc.LOWEST.id, event, number, f"{start:#x}", expected, text))
    return ()


# ---- chunks of per-CPU memory -----------------------------------------------------------------------------


CHUNK_ALIGN: Final = 1 << 21
"""PMD_SIZE: what the areas of a chunk are multiples of on x86-64."""
_ENDS: Final = (
    (0xFFA0_0000_0000_0000, 0xFFD1_FFFF_FFFF_FFFF),
    (0xFFFF_C900_0000_0000, 0xFFFF_E8FF_FFFF_FFFF),
)
"""VMALLOC_START and VMALLOC_END of x86-64 with five levels and with four, without KASLR."""


def predicted_chunk(busy: Sequence[SeenArea]) -> tuple[int, int] | None:
    """(where the areas of a chunk begin, where they are predicted); None without any, or in no known space.

    Requires  there is one chunk
    """
    chunk = sorted(area for area in busy if area.chunk)
    ends = [(low, high) for low, high in _ENDS if chunk and low <= chunk[0].start <= high]
    if not ends:
        return None
    base = chunk[0].start
    others = tuple((area.start, area.end) for area in busy if not area.chunk)
    holes = vmalloc.holes_between(others, *ends[0])
    areas = tuple((area.start - base, area.end - area.start) for area in chunk)
    return base, vmalloc.top_down_base(holes, areas, CHUNK_ALIGN, ends[0][1])


def judge_chunk(judgement: Judgement, busy: Sequence[SeenArea], groups: int, where: str) -> None:
    """Whether the areas of the only chunk stand no higher than there is room.

    They may stand lower: what was above may be gone.
    groups  areas of a chunk: as many as nodes
    """
    if sum(area.chunk for area in busy) != groups or (found := predicted_chunk(busy)) is None:
        return
    base, highest = found
    right = base <= highest and base % CHUNK_ALIGN == 0
    _require(judgement, vmalloc.TOP_DOWN.id, right, where, f"{base:#x}, and the highest base is {highest:#x}")


# ---- CMA -------------------------------------------------------------------------------------------------


class SeenCma(NamedTuple):
    """An area of CMA: its first page, its pages, and how many each bit stands for (as an order)."""

    base: int
    pages: int
    per_bit: int = 0


_RESERVED: Final = re.compile(r"cma: Reserved (\d+) MiB at 0x([0-9a-f]+)")


def reserved_area(dmesg: str, file: str) -> SeenCma:
    """The area that the kernel says at boot to have reserved.

    Errors    BadEvidence when it says nothing of the kind
    """
    found = _RESERVED.search(dmesg)
    if found is None:
        raise BadEvidence(file, "expected a line: cma: Reserved N MiB at 0xADDRESS")
    return SeenCma(int(found[2], 16) >> PAGE_SHIFT, (int(found[1]) << 20) >> PAGE_SHIFT)


_EVENT: Final = re.compile(r": (cma_alloc_start|cma_alloc_busy_retry|cma_alloc_finish|cma_release): (.*)")


def judge_cma(
    judgement: Judgement, lines: Iterable[str], area: SeenCma, kernel: Kernel, bitmap: int = 0
) -> int:
    """Whether cma events keep one owner for each bit, align, and take the lowest run; the bitmap afterwards.

    lines   ftrace text with the events of the group cma
    bitmap  when the trace began
    """
    busy: list[int] = []
    bits = area.pages >> area.per_bit
    for number, line in enumerate(lines, 1):
        event = _EVENT.search(line)
        if event is None:
            continue
        judgement.events += 1
        words = dict(_WORD.findall(event[2]))
        count = int(words["count"])
        pfn = int(words.get("pfn", "0"), 16)
        place = (pfn - area.base) >> area.per_bit
        run = ((1 << cma.bits_of(count, area.per_bit)) - 1) << max(place, 0)
        if event[1] == "cma_alloc_start":
            busy = []
        elif event[1] == "cma_alloc_busy_retry":
            busy.append(place)
        elif event[1] == "cma_release":
            right = cma.in_area(area.base, area.pages, pfn) and bitmap & run == run
            _event(judgement, _OWNED, right, number, line, "pages that are handed out")
            bitmap &= ~run
        elif words.get("errorno", "0") == "0" and int(words.get("page", "1"), 16):
            align = int(words["align"])
            placed = cma.well_placed(area.base, area.pages, pfn, count, align)
            _event(judgement, _ALIGNED, placed, number, line, f"inside {area}, aligned to 2**{align} pages")
            _event(judgement, _OWNED, bitmap & run == 0, number, line, "pages that nobody holds")
            mask = cma.aligned_mask(align, area.per_bit)
            offset = kernel.behaviour("large.cma-offset").function(area.base, align, area.per_bit)
            start = cma.next_start(busy[-1], mask) if busy else 0
            lowest = (
                cma.zero_run(bitmap, bits, start, cma.bits_of(count, area.per_bit), mask, offset)
                if isinstance(offset, int)
                else cma.NOTHING
            )
            permitted = f"page {cma.page_of(area.base, lowest, area.per_bit):#x}"
            _event(judgement, cma.LOWEST.id, place == lowest, number, line, permitted)
            bitmap |= run
    return bitmap


def bitmap_of(words: str) -> int:
    """The number that debugfs shows as words of 32 bits, the lowest first."""
    return sum(int(word) << (32 * number) for number, word in enumerate(words.split()))


def _event(judgement: Judgement, id: str, holds: bool, number: int, line: str, permitted: str) -> None:
    event = judgement.events - 1
    judgement.require(id, holds, line.strip(), permitted, f"event {event}", event=event, line=number)


def _require(judgement: Judgement, id: str, holds: bool, where: str, observed: str) -> None:
    judgement.require(id, holds, f"{where}: {observed}", "the clause", where)
