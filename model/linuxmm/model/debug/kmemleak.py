"""kmemleak as a detector: blocks of kmalloc to which nothing in memory points when it is scanned.

Linux: mm/kmemleak.c.  Seed 2.13.4 (F080).
"""

import zlib
from typing import Final

from linuxmm.model.debug.placement import PLAIN, Heap, place, release
from linuxmm.spec.debug.history import Alloc, Free, History, Kind, Report, Scan, Store, Wait, Write
from linuxmm.spec.debug.kmemleak import POINTER, Tracked, is_leak, mark
from linuxmm.spec.registry import verb

LEAK: Final = "unreferenced object"


@verb("F080", source="mm/kmemleak.c:kmemleak_scan")
def kmemleak_reports(history: History) -> tuple[Report, ...]:
    """What kmemleak reports; pages of alloc_pages are neither tracked nor scanned, variables are roots.

    Source    kmemleak_alloc, kmemleak_free, kmemleak_scan; 2.6.32 to 6.12
    """
    heap, memory, now = Heap(PLAIN), dict[int, int](), 0
    tracked: dict[str, Tracked] = {}
    reports: list[Report] = []
    for index, event in enumerate(history):
        if isinstance(event, Alloc):
            heap = place(heap, event)
            spot = heap.places[event.name]
            if event.zeroed:
                memory.update(dict.fromkeys(range(spot.base, spot.base + event.size), 0))
            if event.kind is Kind.SLAB:
                tracked[event.name] = Tracked(spot.base, event.size, created=now)
        elif isinstance(event, Free):
            heap = release(heap, heap.places[event.name].base + event.offset)
            if event.offset == 0:
                tracked.pop(event.name, None)
        elif isinstance(event, Write):
            start = heap.places[event.onto or event.name].base + event.offset
            memory.update(dict.fromkeys(range(start, start + event.length), event.value))
        elif isinstance(event, Store):
            start = heap.places[event.name].base + event.offset
            target = heap.places[event.target].base + event.target_offset if event.target else 0
            memory.update(enumerate((target ^ event.mask).to_bytes(POINTER, "little"), start))
        elif isinstance(event, Wait):
            now += event.seconds
        elif isinstance(event, Scan):
            tracked, leaks = _scan(heap, memory, tracked, now)
            reports += [Report(index, LEAK, name) for name in leaks]
    return tuple(reports)


def _scan(
    heap: Heap, memory: dict[int, int], tracked: dict[str, Tracked], now: int
) -> tuple[dict[str, Tracked], list[str]]:
    names = tuple(tracked)
    sums = [zlib.crc32(_bytes(memory, block.pointer, block.size)) for block in tracked.values()]
    marked = mark(
        tuple(tracked.values()),
        [
            word
            for name in heap.owners.values()
            for word in _words(memory, heap.places[name].base, heap.places[name].size)
            if heap.places[name].kind in (Kind.STACK, Kind.GLOBAL)
        ],
        [_words(memory, block.pointer, block.size) for block in tracked.values()],
        [total != block.checksum for total, block in zip(sums, tracked.values(), strict=True)],
    )
    after: dict[str, Tracked] = {}
    leaks: list[str] = []
    for name, block, before, total in zip(names, marked, tracked.values(), sums, strict=True):
        leak = is_leak(block, now)
        if leak:
            leaks.append(name)
        looked = block.found < block.min_count or total != before.checksum
        after[name] = block._replace(
            reported=block.reported or leak, checksum=total if looked else before.checksum
        )
    return after, leaks


def _bytes(memory: dict[int, int], start: int, size: int) -> bytes:
    return bytes(memory.get(address, 0) for address in range(start, start + size))


def _words(memory: dict[int, int], start: int, size: int) -> tuple[int, ...]:
    first = start + -start % POINTER
    return tuple(
        int.from_bytes(_bytes(memory, address, POINTER), "little")
        for address in range(first, start + size - POINTER + 1, POINTER)
    )
