"""kmalloc over the arena, and objects in slots: the primitives of the model's `caches` and `slub_batch`."""

from typing import Final, NamedTuple

from numpy import uintp as U  # noqa: N812

from linuxmm.fast.arena import Int32s, Int64s
from linuxmm.fast.slub_arena import (
    LARGE,
    NO_SLAB,
    ORDER,
    OWNER,
    PRIMITIVES,
    RECORD,
    FastArena,
    FastCache,
    FastPages,
    cache_at,
    pages_of,
    word_at,
)
from linuxmm.model.objects import caches as model
from linuxmm.model.objects import slub_batch as model_batch
from linuxmm.model.objects.pages import give_pages, take_pages
from linuxmm.model.objects.slub import alloc_object, free_object
from linuxmm.model.objects.slub_rules import Rules
from linuxmm.model.objects.slub_state import NOTHING
from linuxmm.spec.objects.sizes import PAGE_SHIFT, PAGE_SIZE, get_order
from linuxmm.spec.relink import Function

NUMBER_BITS: Final = 16
NUMBER: Final = (1 << NUMBER_BITS) - 1


class FastBatch(NamedTuple):
    """Objects in slots from `first` on, as places."""

    slots: Int64s
    first: int


class FastHeap(NamedTuple):
    """All caches, and which of them serves kmalloc: its number for each count of words (8 bytes)."""

    arena: FastArena
    classes: Int32s


def place_of(pfn: int, number: int) -> int:
    """An object as one number: its slab and its own; below 0: none."""
    return pfn << NUMBER_BITS | number


def batch_slab(batch: FastBatch, at: int) -> int:
    return word_at(batch.slots, batch.first + at) >> NUMBER_BITS


def batch_number(batch: FastBatch, at: int) -> int:
    return word_at(batch.slots, batch.first + at) & NUMBER


def with_object(batch: FastBatch, at: int, pfn: int, number: int) -> FastBatch:
    batch.slots[U(batch.first + at)] = place_of(pfn, number)
    return batch


def address_at(heap: FastHeap, place: int) -> int:
    """The address of an object."""
    pfn = place >> NUMBER_BITS
    owner = word_at(heap.arena.slabs, pfn * RECORD + OWNER)
    size = 0 if owner == LARGE else cache_at(heap.arena, owner).size
    return int((pfn << PAGE_SHIFT) + (place & NUMBER) * size)


# ---- primitives of kmalloc -------------------------------------------------------------------------------


def grab_pages(heap: FastHeap, size: int) -> int:
    """Whole pages for a request beyond the largest class, as a place."""
    order = get_order(size)
    _, pfn = take_pages(pages_of(heap.arena), order, NOTHING)  # type: ignore[type-var]
    if pfn == NOTHING:
        return NOTHING
    heap.arena.slabs[U(pfn * RECORD + OWNER)] = LARGE
    heap.arena.slabs[U(pfn * RECORD + ORDER)] = order
    return place_of(pfn, 0)


def grab(rules: Rules, heap: FastHeap, cpu: int, size: int) -> tuple[FastHeap, int]:
    rank = (size + 7) >> 3
    if rank >= heap.classes.size:
        return heap, grab_pages(heap, size)
    cache = cache_at(heap.arena, word_at(heap.classes, rank))
    _, _, pfn, number = alloc_object(rules, cache, pages_of(heap.arena), cpu, NOTHING, False)  # type: ignore[arg-type,type-var]
    return heap, NOTHING if pfn == NOTHING else place_of(pfn, number)


def release(rules: Rules, heap: FastHeap, cpu: int, place: int) -> FastHeap:
    a = heap.arena
    pfn = place >> NUMBER_BITS
    if is_large(heap, pfn):
        return release_pages(heap, pfn)
    free_object(rules, cache_of(heap, pfn), pages_of(a), cpu, pfn, place & NUMBER)  # type: ignore[arg-type,type-var]
    return heap


def ksize(heap: FastHeap, place: int) -> int:
    pfn = place >> NUMBER_BITS
    if is_large(heap, pfn):
        return PAGE_SIZE << word_at(heap.arena.slabs, pfn * RECORD + ORDER)
    return cache_of(heap, pfn).size


def is_large(heap: FastHeap, pfn: int) -> bool:
    return heap.arena.slabs[U(pfn * RECORD + OWNER)] == LARGE  # type: ignore[no-any-return]


def release_pages(heap: FastHeap, pfn: int) -> FastHeap:
    heap.arena.slabs[U(pfn * RECORD + OWNER)] = NO_SLAB
    give_pages(pages_of(heap.arena), pfn, word_at(heap.arena.slabs, pfn * RECORD + ORDER))  # type: ignore[type-var]
    return heap


def cache_of(heap: FastHeap, pfn: int) -> FastCache:
    return cache_at(heap.arena, word_at(heap.arena.slabs, pfn * RECORD + OWNER))


def pages_in(heap: FastHeap) -> FastPages:
    return pages_of(heap.arena)


def with_cache(heap: FastHeap, cache: FastCache, pages: FastPages) -> FastHeap:
    return heap


HEAP_PRIMITIVES: Final[dict[Function, Function]] = {
    **PRIMITIVES,
    model_batch.batch_slab: batch_slab,
    model_batch.batch_number: batch_number,
    model_batch.with_object: with_object,
    model.grab: grab,
    model.release: release,
    model.ksize: ksize,
    model.is_large: is_large,
    model.release_pages: release_pages,
    model.cache_of: cache_of,
    model.pages_in: pages_in,
    model.with_cache: with_cache,
}
"""The model's primitives of caches and of kmalloc -> their form over the arena."""
