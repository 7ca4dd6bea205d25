"""Page poisoning and DEBUG_PAGEALLOC as detectors: when a use of a free page is noticed.

Linux: mm/page_poison.c, mm/page_alloc.c.  Seed 2.13.1 (F075, F076).
"""

from collections.abc import Iterator
from typing import Final

from linuxmm.model.debug.placement import PAGES, PAGES_END, PLAIN, Heap, Place, place, release
from linuxmm.spec.debug.history import Alloc, Free, History, Read, Report, Write
from linuxmm.spec.debug.page_poison import PAGE_POISON, check_poison
from linuxmm.spec.registry import verb
from linuxmm.spec.vocabulary import PAGE_SIZE

FAULT: Final = "BUG: unable to handle page fault for address"


@verb("F075", source="mm/page_alloc.c:debug_pagealloc_unmap_pages")
def unmapped_reports(history: History) -> tuple[Report, ...]:
    """What DEBUG_PAGEALLOC reports: a fault at the first access to a free page, which ends the run.

    Source    debug_pagealloc_map_pages, debug_pagealloc_unmap_pages; 5.13 to 6.12 (kernel_map_pages before)
    """
    heap = Heap(PLAIN)
    for index, event in enumerate(history):
        if isinstance(event, Alloc):
            heap = place(heap, event)
        elif isinstance(event, Free):
            heap = release(heap, heap.places[event.name].base + event.offset)
        elif isinstance(event, Read | Write):
            start = start_of(heap, event)
            owned = _owned(heap)
            if any(page not in owned for page in _pages(start, event.length)):
                return (Report(index, FAULT, event.name),)
    return ()


@verb("F076", source="mm/page_poison.c:__kernel_unpoison_pages")
def poison_reports(history: History) -> tuple[Report, ...]:
    """What page poisoning reports: pages that were changed while free, when they are handed out again.

    Source    __kernel_poison_pages, __kernel_unpoison_pages; 2.6.30 to 6.12
    """
    heap = Heap(PLAIN)
    changed: dict[int, dict[int, int]] = {}
    reports: list[Report] = []
    for index, event in enumerate(history):
        if isinstance(event, Alloc):
            heap = place(heap, event)
            spot = heap.places[event.name]
            for page in _pages(spot.base, spot.room):
                found = check_poison(_contents(changed.pop(page, {})))
                if found is not None:
                    reports.append(Report(index, found.line, event.name))
        elif isinstance(event, Free):
            heap = release(heap, heap.places[event.name].base + event.offset)
        elif isinstance(event, Write):
            start = start_of(heap, event)
            owned = _owned(heap)
            for address in range(start, start + event.length):
                page = address // PAGE_SIZE
                if _is_page(address) and page not in owned:
                    changed.setdefault(page, {})[address % PAGE_SIZE] = event.value
    return tuple(reports)


def start_of(heap: Heap, event: Read | Write) -> int:
    """Address at which an access begins."""
    name = event.onto or event.name if isinstance(event, Write) else event.name
    return heap.places[name].base + event.offset


def _contents(changes: dict[int, int]) -> list[int]:
    memory = [PAGE_POISON] * PAGE_SIZE
    for offset, value in changes.items():
        memory[offset] = value
    return memory


def _owned(heap: Heap) -> frozenset[int]:
    spots: Iterator[Place] = (heap.places[name] for name in heap.owners.values())
    return frozenset(page for spot in spots for page in _pages(spot.base, spot.room))


def _pages(start: int, length: int) -> Iterator[int]:
    """The pages of the page allocator's memory that a range touches; slabs and variables are never free."""
    first, last = start // PAGE_SIZE, (start + length - 1) // PAGE_SIZE
    return (page for page in range(first, last + 1) if _is_page(page * PAGE_SIZE))


def _is_page(address: int) -> bool:
    return PAGES - PAGE_SIZE <= address < PAGES_END
