"""KASAN with tags as a detector: the tags of memory and of pointers kept through a history.

Linux: mm/kasan/common.c, mm/kasan/sw_tags.c, mm/kasan/hw_tags.c.  Seed 2.13.5 (F081).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from immutables import Map

from linuxmm.model.debug.pages import start_of
from linuxmm.model.debug.placement import PAGES_END, SLABS, Heap, Place, Tool, place, release
from linuxmm.spec.arith import align_up
from linuxmm.spec.debug.history import Alloc, Free, History, Kind, Read, Report, Store, Write
from linuxmm.spec.debug.kasan_tags import (
    GRANULE,
    GRANULE_SHIFT,
    TAG_INVALID,
    TAG_KERNEL,
    Mode,
    access_is_forbidden,
    granules,
    may_be_freed,
    random_tag,
    tags_of,
)
from linuxmm.spec.registry import verb

INVALID_ACCESS: Final = "invalid-access"
DOUBLE_FREE: Final = "double-free"
INVALID_FREE: Final = "invalid-free"
WORD: Final = 8
SEED: Final = 1


def _rounded(size: int) -> int:
    return align_up(size, GRANULE)


def _plain(size: int) -> int:
    return align_up(size, 8)


TOOLS: Final = {
    Mode.SOFTWARE: Tool(_rounded, _rounded, _plain),
    Mode.HARDWARE: Tool(_rounded, _plain, _plain),
}


@dataclass(frozen=True, slots=True)
class Tags:
    """Tags of memory by granule, of the pointer to each block by name, and the state of who draws them."""

    memory: Map[int, int] = field(default_factory=Map)
    pointers: Map[str, int] = field(default_factory=Map)
    state: int = SEED

    def of(self, start: int, length: int) -> tuple[int, ...]:
        """The tags of the granules that some bytes touch."""
        first, last = start >> GRANULE_SHIFT, (start + length - 1) >> GRANULE_SHIFT
        return tuple(self.memory.get(at, background(at << GRANULE_SHIFT)) for at in range(first, last + 1))


def background(address: int) -> int:
    """The tag of memory that no block covered yet: free slots and pages are invalid."""
    return TAG_INVALID if SLABS <= address < PAGES_END else TAG_KERNEL


@verb("F081", source="mm/kasan/common.c, mm/kasan/sw_tags.c")
def software_tag_reports(history: History) -> tuple[Report, ...]:
    """What KASAN with software tags reports: slabs, pages and the stack are tagged, global variables not."""
    return tag_reports(history, Mode.SOFTWARE)


@verb("F081", source="mm/kasan/common.c, mm/kasan/hw_tags.c")
def hardware_tag_reports(history: History) -> tuple[Report, ...]:
    """What KASAN with hardware tags reports, in synchronous mode: slabs and pages are tagged."""
    return tag_reports(history, Mode.HARDWARE)


def tag_reports(
    history: History, mode: Mode, seed: int = SEED, chosen: Sequence[int] = ()
) -> tuple[Report, ...]:
    """What KASAN reports; it goes on after a report (kasan_multi_shot).

    seed      of the generator of tags in software mode
    chosen    the tags that the processor gives out in hardware mode, over and over; none: each in turn
    Source    6.12: kasan_check_range, __kasan_slab_alloc, __kasan_kmalloc, __kasan_slab_free
    """
    heap, tags = Heap(TOOLS[mode]), Tags(state=seed if mode is Mode.SOFTWARE else 0)
    row = tuple(chosen) or tuple(range(mode.value, mode.value + tags_of(mode)))
    reports: list[Report] = []
    for index, event in enumerate(history):
        if isinstance(event, Alloc):
            heap = place(heap, event)
            drawn = random_tag(tags.state) if mode is Mode.SOFTWARE else _in_turn(row, tags.state)
            tags = _opened(tags, mode, event.name, heap.places[event.name], drawn)
        elif isinstance(event, Read | Write | Store):
            start, length = _accessed(heap, event)
            if access_is_forbidden(mode, tags.pointers[event.name], tags.of(start, length)):
                reports.append(Report(index, INVALID_ACCESS, event.name))
        elif isinstance(event, Free):
            spot = heap.places[event.name]
            kind = _refused(tags, spot, event)
            if kind:
                reports.append(Report(index, kind, event.name))
                continue
            tags = _closed(tags, mode, spot)
            heap = release(heap, spot.base) if spot.pool else heap
    return tuple(reports)


def _accessed(heap: Heap, event: Read | Write | Store) -> tuple[int, int]:
    if isinstance(event, Store):
        return heap.places[event.name].base + event.offset, WORD
    return start_of(heap, event), event.length


def _is_tagged(mode: Mode, spot: Place) -> bool:
    return spot.kind in (Kind.SLAB, Kind.PAGES) or (spot.kind is Kind.STACK and mode is Mode.SOFTWARE)


def _in_turn(row: tuple[int, ...], state: int) -> tuple[int, int]:
    return state + 1, row[state % len(row)]


def _opened(tags: Tags, mode: Mode, name: str, spot: Place, drawn: tuple[int, int]) -> Tags:
    if not _is_tagged(mode, spot):
        return replace(tags, pointers=tags.pointers.set(name, TAG_KERNEL))
    state, tag = drawn
    size = spot.room if spot.kind is Kind.PAGES else spot.size
    whole = range(spot.base >> GRANULE_SHIFT, (spot.base + spot.room) >> GRANULE_SHIFT)
    tags = _painted(tags, whole, TAG_INVALID)
    tags = _painted(tags, granules(spot.base, size), tag)
    return replace(tags, pointers=tags.pointers.set(name, tag), state=state)


def _refused(tags: Tags, spot: Place, event: Free) -> str:
    """Why a free is not carried out; empty when it is.

    Source    mm/kasan/common.c:check_slab_allocation, check_page_allocation; 6.12
    """
    if spot.kind is not Kind.SLAB:
        return ""
    if event.offset:
        return INVALID_FREE
    tag = tags.pointers[event.name]
    return "" if may_be_freed(tag, tags.of(spot.base, 1)[0]) else DOUBLE_FREE


def _closed(tags: Tags, mode: Mode, spot: Place) -> Tags:
    if not _is_tagged(mode, spot):
        return tags
    closes = TAG_KERNEL if spot.kind is Kind.STACK else TAG_INVALID
    return _painted(tags, granules(spot.base, spot.room), closes)


def _painted(tags: Tags, where: range, tag: int) -> Tags:
    memory = tags.memory
    for granule in where:
        memory = memory.set(granule, tag)
    return replace(tags, memory=memory)
