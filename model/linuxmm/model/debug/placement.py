"""Where a history's blocks lie: slabs by size class, pages, one stack frame and a data section.

Slots of a slab follow each other, the last one freed is the next to be handed out; so do pages, block after
block, with free pages behind them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from immutables import Map

from linuxmm.spec.debug.history import Alloc, Kind
from linuxmm.spec.vocabulary import PAGE_SIZE

CLASSES: Final = (8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192)
SLABS: Final = 0x1000_0000
SLAB_SPAN: Final = 0x0100_0000
PAGES: Final = 0x4000_0000
PAGES_END: Final = 0x7000_0000
STACK: Final = 0x8000_0000
DATA: Final = 0xC000_0000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block lies.

    room  bytes from `base` that its cache or its pages hold, without what a tool adds
    pool  the slab class, or the negative number of pages, among which it is handed out again; 0 for none
    """

    base: int
    size: int
    room: int
    kind: Kind
    pool: int


@dataclass(frozen=True, slots=True)
class Tool:
    """What a tool adds to a block: bytes from one slab slot to the next, of a variable with its redzone."""

    slot: Callable[[int], int]
    variable: Callable[[int], int]
    datum: Callable[[int], int]
    frame_start: int = 0


@dataclass(frozen=True, slots=True)
class Heap:
    """Blocks by name, the owner of each handed-out address, free ones by pool, the next address by pool."""

    tool: Tool
    places: Map[str, Place] = field(default_factory=Map)
    owners: Map[int, str] = field(default_factory=Map)
    free: Map[int, tuple[int, ...]] = field(default_factory=Map)
    next: Map[int, int] = field(default_factory=Map)


def class_of(size: int) -> int:
    """Size class of a kmalloc; 0 when it goes to the page allocator.

    Source    include/linux/slab.h:kmalloc_index, SLUB with pages of 4096 bytes; 6.1
    """
    return next((room for room in CLASSES if size <= room), 0)


def pages_of(size: int) -> int:
    """Pages of the block of order `get_order(size)`."""
    return 1 << max(-(-size // PAGE_SIZE) - 1, 0).bit_length()


def plain_slot(room: int) -> int:
    """Bytes of a slot without debugging."""
    return room


def plain_variable(size: int) -> int:
    """Bytes of a variable without redzones, aligned to 8."""
    return -(-size // 8) * 8


PLAIN: Final = Tool(plain_slot, plain_variable, plain_variable)


def place(heap: Heap, event: Alloc) -> Heap:
    """The heap with the block handed out."""
    spot = _spot(heap, event)
    base = spot.base
    free, following = heap.free, heap.next
    waiting = free.get(spot.pool, ()) if spot.pool else ()
    if waiting:
        base, free = waiting[-1], free.set(spot.pool, waiting[:-1])
        spot = replace(spot, base=base)
    else:
        following = following.set(_line(spot), base + _stride(heap.tool, spot))
    return replace(
        heap,
        places=heap.places.set(event.name, spot),
        owners=heap.owners.set(base, event.name),
        free=free,
        next=following,
    )


def release(heap: Heap, base: int) -> Heap:
    """The heap with the address handed back to where it came from; an unknown one changes nothing.

    Ensures   an address is never on a free list twice
    """
    name = heap.owners.get(base)
    if name is None:
        return heap
    spot = heap.places[name]
    free = heap.free.set(spot.pool, (*heap.free.get(spot.pool, ()), base)) if spot.pool else heap.free
    return replace(heap, owners=heap.owners.delete(base), free=free)


def _spot(heap: Heap, event: Alloc) -> Place:
    if event.kind is Kind.STACK or event.kind is Kind.GLOBAL:
        start = STACK + heap.tool.frame_start if event.kind is Kind.STACK else DATA
        line = -1 << 40 if event.kind is Kind.STACK else -2 << 40
        return Place(heap.next.get(line, start), event.size, event.size, event.kind, 0)
    room = class_of(event.size) if event.kind is Kind.SLAB else 0
    if room:
        start = SLABS + CLASSES.index(room) * SLAB_SPAN
        return Place(heap.next.get(room, start), event.size, room, event.kind, room)
    pages = pages_of(event.size)
    base = heap.next.get(-1, PAGES)
    base += -base % (pages * PAGE_SIZE)
    return Place(base, event.size, pages * PAGE_SIZE, event.kind, -pages)


def _line(spot: Place) -> int:
    if spot.kind is Kind.STACK:
        return -1 << 40
    if spot.kind is Kind.GLOBAL:
        return -2 << 40
    return spot.pool if spot.pool > 0 else -1


def _stride(tool: Tool, spot: Place) -> int:
    if spot.kind is Kind.STACK:
        return tool.variable(spot.size)
    if spot.kind is Kind.GLOBAL:
        return tool.datum(spot.size)
    return tool.slot(spot.room) if spot.pool > 0 else spot.room
