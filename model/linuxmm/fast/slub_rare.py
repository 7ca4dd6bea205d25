"""What callers of SLUB ask for rarely: many objects at once, another size, fewer slabs, no cache.

Linux: mm/slub.c:kmem_cache_alloc_bulk, kfree_bulk, krealloc, kmem_cache_shrink, kmem_cache_destroy.
Seed 2.1.2.2 (F033).
"""

from typing import Final

from numpy import uintp as U  # noqa: N812

from linuxmm.fast.arena import Int64s
from linuxmm.fast.slub_arena import cache_at, pages_of, word_at
from linuxmm.fast.slub_heap import FastBatch, FastHeap, address_at
from linuxmm.model.objects.caches import free_mixed, grab, ksize, release, resize
from linuxmm.model.objects.slub_bulk import alloc_batch
from linuxmm.model.objects.slub_rules import Rules
from linuxmm.model.objects.slub_shrink import destroy, shrink
from linuxmm.model.objects.slub_state import NOTHING

BULK_ALLOC: Final = 4
BULK_FREE: Final = 5
KREALLOC: Final = 6
KREALLOC_ZERO: Final = 7
KSIZE: Final = 8
SHRINK: Final = 9
DESTROY: Final = 10
CACHE_BITS: Final = 12
"""Of what a BULK_ALLOC asks for: number of the cache below, count above."""

CHECKSUM: Final = 0
ALLOCATED: Final = 1
FAILED: Final = 2
FREED: Final = 3
MOVED: Final = 4
COPIED: Final = 5
CLEARED: Final = 6
DESTROYED: Final = 7
BUSY: Final = 8
NR_TOTALS: Final = 9
EMPTY: Final = -1
FACTOR: Final = 1000003
MASK: Final = (1 << 62) - 1


def note(heap: FastHeap, slots: Int64s, totals: Int64s, slot: int, place: int, checksum: int) -> int:
    """Put what a request was answered into its slot; the checksum after it."""
    if place == NOTHING:
        totals[U(FAILED)] += 1
        slots[U(slot)] = EMPTY
        return checksum
    totals[U(ALLOCATED)] += 1
    slots[U(slot)] = place
    return (checksum * FACTOR + address_at(heap, place)) & MASK


def rarely(rules: Rules, heap: FastHeap, word: int, slots: Int64s, totals: Int64s, checksum: int) -> int:
    """One operation with a code from BULK_ALLOC on; the checksum after it."""
    code = word & 15
    cpu = (word >> 4) & 0xFF
    what = (word >> 16) & 0xFFFFFF
    slot = word >> 40
    if code == BULK_ALLOC:
        return alloc_many(rules, heap, cpu, what, slots, slot, totals, checksum)
    if code == BULK_FREE:
        free_many(rules, heap, cpu, what, slots, slot, totals)
        return checksum
    if code == SHRINK:
        shrink(rules, cache_at(heap.arena, what), pages_of(heap.arena))  # type: ignore[arg-type,type-var]
        return checksum
    if code == DESTROY:
        _, _, gone = destroy(cache_at(heap.arena, what), pages_of(heap.arena))  # type: ignore[arg-type,type-var]
        totals[U(DESTROYED if gone else BUSY)] += 1
        return checksum
    held = word_at(slots, slot)
    if code == KSIZE:
        return checksum if held < 0 else (checksum * FACTOR + int(ksize(heap, held))) & MASK  # type: ignore[arg-type]
    return krealloc(rules, heap, cpu, what, slots, slot, totals, checksum, code == KREALLOC_ZERO)


def alloc_many(
    rules: Rules, heap: FastHeap, cpu: int, what: int, slots: Int64s, slot: int, totals: Int64s, checksum: int
) -> int:
    """Fill slots with objects of one cache, all or none."""
    count = what >> CACHE_BITS
    cache = cache_at(heap.arena, what & ((1 << CACHE_BITS) - 1))
    _, _, _, done = alloc_batch(rules, cache, pages_of(heap.arena), cpu, FastBatch(slots, slot), count)  # type: ignore[arg-type,type-var]
    totals[U(ALLOCATED if done else FAILED)] += count if done else 1
    at = slot
    while at < slot + count:
        if done:
            checksum = (checksum * FACTOR + address_at(heap, word_at(slots, at))) & MASK
        else:
            slots[U(at)] = EMPTY
        at += 1
    return checksum


def free_many(
    rules: Rules, heap: FastHeap, cpu: int, count: int, slots: Int64s, slot: int, totals: Int64s
) -> None:
    """Empty slots; those without an object are passed over."""
    size = 0
    at = slot
    while at < slot + count:
        if slots[U(at)] >= 0:
            slots[U(slot + size)] = slots[U(at)]
            size += 1
        at += 1
    totals[U(FREED)] += size
    free_mixed(rules, heap, cpu, FastBatch(slots, slot), size)  # type: ignore[arg-type]
    while count > 0:
        count -= 1
        slots[U(slot + count)] = EMPTY


def krealloc(
    rules: Rules,
    heap: FastHeap,
    cpu: int,
    size: int,
    slots: Int64s,
    slot: int,
    totals: Int64s,
    checksum: int,
    zero: bool,
) -> int:
    """Another size for what a slot holds; for nothing a new object, and for no bytes none."""
    held = word_at(slots, slot)
    if size == 0:
        if held >= 0:
            slots[U(slot)] = EMPTY
            totals[U(FREED)] += 1
            release(rules, heap, cpu, held)  # type: ignore[arg-type]
        return checksum
    if held < 0:
        _, place = grab(rules, heap, cpu, size)  # type: ignore[arg-type]
        if zero and place != NOTHING:
            totals[U(CLEARED)] += ksize(heap, place)  # type: ignore[arg-type]
        return note(heap, slots, totals, slot, place, checksum)
    _, place, copied, cleared = resize(rules, heap, cpu, held, size, zero)  # type: ignore[arg-type]
    if place == NOTHING:
        totals[U(FAILED)] += 1
        return checksum
    totals[U(CLEARED)] += cleared
    if place == held:
        return checksum
    totals[U(COPIED)] += copied
    totals[U(MOVED)] += 1
    totals[U(FREED)] += 1
    return note(heap, slots, totals, slot, place, checksum)
