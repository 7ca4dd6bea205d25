"""KASAN, generic mode, as a detector: a shadow map kept through a history, asked at each access and free.

Linux: mm/kasan.  Seed 2.13.5 (F081).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from immutables import Map

from linuxmm.model.debug.pages import start_of
from linuxmm.model.debug.placement import PAGES, PAGES_END, SLABS, STACK, Heap, Place, Tool, place, release
from linuxmm.spec.arith import align_up
from linuxmm.spec.debug.history import Alloc, Churn, Free, History, Kind, Read, Report, Write
from linuxmm.spec.debug.kasan import (
    DOUBLE_FREE,
    GRANULE,
    GRANULE_SHIFT,
    INVALID_FREE,
    QUARANTINE_PERCPU,
    STACK_LEFT_REDZONE,
    Poison,
    bug_of,
    global_redzone,
    granule_shadow,
    may_be_freed,
    object_room,
    quarantine_limit,
    stack_room,
)
from linuxmm.spec.registry import verb
from linuxmm.spec.vocabulary import PAGE_SIZE

MEMORY_PAGES: Final = 1 << 18
"""Memory of the machine of the catalogue: 1 GiB, one CPU."""


@dataclass(frozen=True, slots=True)
class Shadows:
    """Shadow bytes by granule; where nothing was written yet, what its region begins with."""

    bytes: Map[int, int] = field(default_factory=Map)

    def __getitem__(self, granule: int, /) -> int:
        """The shadow byte of a granule."""
        found = self.bytes.get(granule)
        return background(granule << GRANULE_SHIFT) if found is None else found


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Freed objects that are not handed out yet, as (base, bytes of a slot), oldest first."""

    own: tuple[tuple[int, int], ...] = ()
    own_bytes: int = 0
    batches: tuple[tuple[tuple[int, int], ...], ...] = ()
    bytes: int = 0


def background(address: int) -> int:
    """Shadow of memory that no block covered yet: slots of a slab and free pages are closed."""
    if SLABS <= address < PAGES - PAGE_SIZE:
        return Poison.SLAB_REDZONE
    return Poison.PAGE_FREE if PAGES - PAGE_SIZE <= address < PAGES_END else 0


def slot_room(room: int) -> int:
    """Bytes of a slot of a kmalloc cache: object and redzone, aligned to the size where it is a power of two.

    Source    kasan_cache_create, create_kmalloc_cache (aligned since 5.4)
    """
    return align_up(object_room(room), room if room & (room - 1) == 0 else GRANULE)


def datum_room(size: int) -> int:
    """Bytes of a global variable with its redzone."""
    return size + global_redzone(size)


KASAN: Final = Tool(slot_room, stack_room, datum_room, STACK_LEFT_REDZONE)


@verb("F081", source="mm/kasan/generic.c, mm/kasan/common.c, mm/kasan/quarantine.c")
def kasan_reports(history: History, memory_pages: int = MEMORY_PAGES) -> tuple[Report, ...]:
    """What generic KASAN reports; it goes on after a report (kasan_multi_shot).

    Source    6.12: check_region_inline, __kasan_slab_free, __kasan_kfree_large, kasan_quarantine_put
    """
    heap, shadows, quarantine = Heap(KASAN), Shadows(), Quarantine()
    reports: list[Report] = []
    for index, event in enumerate(history):
        if isinstance(event, Alloc):
            heap, quarantine = _reduced(heap, quarantine, memory_pages)
            heap = place(heap, event)
            shadows = opened(shadows, heap.places[event.name])
        elif isinstance(event, Read | Write):
            kind = bug_of(shadows, start_of(heap, event), event.length)
            if kind:
                reports.append(Report(index, kind, event.name))
        elif isinstance(event, Free):
            spot = heap.places[event.name]
            kind = refused_free(shadows, spot, event.offset)
            if kind:
                reports.append(Report(index, kind, event.name))
                continue
            shadows = closed(shadows, spot)
            if spot.pool > 0:
                quarantine = put(quarantine, spot.base, slot_room(spot.room))
            else:
                heap = release(heap, spot.base)
        elif isinstance(event, Churn):
            for _ in range(event.count):
                heap, quarantine = _reduced(heap, quarantine, memory_pages)
                quarantine = put(quarantine, 0, slot_room(event.size))
    return tuple(reports)


def refused_free(shadows: Shadows, spot: Place, offset: int) -> str:
    """Why a free is not carried out; empty when it is.

    Source    mm/kasan/common.c:check_slab_allocation, check_page_allocation; 6.12
    """
    if spot.kind is not Kind.SLAB:
        return ""
    if offset:
        return INVALID_FREE
    return "" if may_be_freed(shadows[spot.base >> GRANULE_SHIFT]) else DOUBLE_FREE


def opened(shadows: Shadows, spot: Place) -> Shadows:
    """The shadow after a block is handed out: its bytes are open, its redzones closed."""
    if spot.kind is Kind.PAGES:
        return _painted(shadows, spot.base, spot.room, spot.room, Poison.PAGE_FREE)
    if spot.kind is Kind.SLAB:
        poison = Poison.SLAB_REDZONE if spot.pool > 0 else Poison.PAGE_REDZONE
        return _painted(shadows, spot.base, spot.size, spot.room, poison)
    if spot.kind is Kind.GLOBAL:
        return _painted(shadows, spot.base, spot.size, datum_room(spot.size), Poison.GLOBAL_REDZONE)
    left = spot.base - STACK_LEFT_REDZONE
    if left == STACK:
        shadows = _painted(shadows, left, 0, STACK_LEFT_REDZONE, Poison.STACK_LEFT)
    else:
        shadows = _repainted(shadows, spot.base, Poison.STACK_RIGHT, Poison.STACK_MID)
    return _painted(shadows, spot.base, spot.size, stack_room(spot.size), Poison.STACK_RIGHT)


def closed(shadows: Shadows, spot: Place) -> Shadows:
    """The shadow after a block is given back."""
    if spot.kind is Kind.STACK:
        return _painted(shadows, spot.base, 0, align_up(spot.size, GRANULE), Poison.USE_AFTER_SCOPE)
    if spot.pool <= 0:
        return _painted(shadows, spot.base, 0, spot.room, Poison.PAGE_FREE)
    freed = _painted(shadows, spot.base, 0, spot.room, Poison.SLAB_FREE)
    return Shadows(freed.bytes.set(spot.base >> GRANULE_SHIFT, Poison.SLAB_FREE_META))


def put(quarantine: Quarantine, base: int, size: int) -> Quarantine:
    """The quarantine with one more object; a CPU that keeps more than 1 MiB hands all over as a batch.

    Source    mm/kasan/quarantine.c:kasan_quarantine_put; batches of one hand-over each, as on a machine whose
              batch size is 1 MiB
    """
    own = (*quarantine.own, (base, size)) if base else quarantine.own
    total = quarantine.own_bytes + size
    if total <= QUARANTINE_PERCPU:
        return Quarantine(own, total, quarantine.batches, quarantine.bytes)
    sized = (*own, (0, total - sum(bytes for _, bytes in own)))
    return Quarantine((), 0, (*quarantine.batches, sized), quarantine.bytes + total)


def _reduced(heap: Heap, quarantine: Quarantine, pages: int) -> tuple[Heap, Quarantine]:
    """Really free the oldest batch while the common quarantine is above its limit."""
    if quarantine.bytes <= quarantine_limit(pages, 1):
        return heap, quarantine
    oldest = quarantine.batches[0]
    for base, _ in oldest:
        heap = release(heap, base)
    rest = quarantine.bytes - sum(size for _, size in oldest)
    return heap, Quarantine(quarantine.own, quarantine.own_bytes, quarantine.batches[1:], rest)


def _painted(shadows: Shadows, base: int, size: int, room: int, poison: int) -> Shadows:
    """[base, base + size) open and the rest up to `room` closed."""
    first, end = base >> GRANULE_SHIFT, align_up(base + room, GRANULE) >> GRANULE_SHIFT
    return _set(shadows, ((g, granule_shadow(base, size, g, poison)) for g in range(first, end)))


def _repainted(shadows: Shadows, end: int, old: int, new: int) -> Shadows:
    """The redzone that ends at `end` in another colour: what was to the right is now in the middle."""
    changes: list[tuple[int, int]] = []
    granule = (end >> GRANULE_SHIFT) - 1
    while shadows[granule] == old:
        changes.append((granule, new))
        granule -= 1
    return _set(shadows, changes)


def _set(shadows: Shadows, values: Iterable[tuple[int, int]]) -> Shadows:
    changed = shadows.bytes
    with shadows.bytes.mutate() as open_map:
        for granule, value in values:
            open_map[granule] = int(value)
        changed = open_map.finish()
    return Shadows(changed)
