"""kmemcheck as a detector: reads of slab objects and pages that nobody has written.

Linux: mm/kmemcheck.c, arch/x86/mm/kmemcheck.  Seed 2.13.4 (F079).  2.6.31 to 4.14.
"""

from collections.abc import Callable, Sequence
from typing import Final

from linuxmm.model.debug.pages import start_of
from linuxmm.model.debug.placement import PAGES, PLAIN, SLABS, Heap, place, release
from linuxmm.spec.debug.history import Alloc, Free, History, Kind, Read, Report, Store, Write
from linuxmm.spec.debug.kmemcheck import Shadow, verdict_of_any
from linuxmm.spec.registry import verb
from linuxmm.spec.vocabulary import PAGE_SIZE

WORD: Final = 8


@verb("F079", source="arch/x86/mm/kmemcheck/kmemcheck.c:kmemcheck_read")
def kmemcheck_reports(
    history: History, verdict: Callable[[Sequence[int]], int] = verdict_of_any
) -> tuple[Report, ...]:
    """What kmemcheck reports; bytes that were reported count as written from then on.

    Variables and freed pages are not tracked.  A long access is a row of accesses of 8 bytes.
    Source    kmemcheck_read_strict, kmemcheck_write_strict, kmemcheck_slab_alloc, kmemcheck_slab_free,
              kmemcheck_pagealloc_alloc; 2.6.31 to 4.14
    """
    heap, shadow = Heap(PLAIN), dict[int, int]()
    reports: list[Report] = []
    for index, event in enumerate(history):
        if isinstance(event, Alloc):
            heap = place(heap, event)
            spot = heap.places[event.name]
            if spot.kind in (Kind.SLAB, Kind.PAGES):
                state = Shadow.INITIALIZED if event.zeroed else Shadow.UNINITIALIZED
                _mark(shadow, spot.base, spot.room, state)
        elif isinstance(event, Free):
            spot = heap.places[event.name]
            if heap.owners.get(spot.base + event.offset) is not None and spot.pool:
                heap = release(heap, spot.base + event.offset)
                state = Shadow.FREED if spot.pool > 0 else Shadow.INITIALIZED
                _mark(shadow, spot.base, spot.room, state)
        elif isinstance(event, Write):
            _mark(shadow, start_of(heap, event), event.length, Shadow.INITIALIZED)
        elif isinstance(event, Store):
            _mark(shadow, heap.places[event.name].base + event.offset, WORD, Shadow.INITIALIZED)
        elif isinstance(event, Read):
            start = start_of(heap, event)
            for at in range(start, start + event.length, WORD):
                size = min(WORD, start + event.length - at)
                found = verdict([_state(shadow, place) for place in range(at, at + size)])
                if found != Shadow.INITIALIZED:
                    _mark(shadow, at, size, Shadow.INITIALIZED)
                    text = f"Caught {size * 8}-bit read from {Shadow(found).name.lower()} memory"
                    reports.append(Report(index, text, event.name))
    return tuple(reports)


def _state(shadow: dict[int, int], address: int) -> int:
    found = shadow.get(address)
    if found is not None:
        return found
    return Shadow.UNALLOCATED if SLABS <= address < PAGES - PAGE_SIZE else Shadow.INITIALIZED


def _mark(shadow: dict[int, int], start: int, size: int, state: int) -> None:
    shadow.update(dict.fromkeys(range(start, start + size), state))
