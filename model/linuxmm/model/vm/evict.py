"""What reclaim does to mapped pages, when it is told to: swap out, drop, write back.

Which page, and when, is the affair of reclaim; these are the steps that it takes.

Linux: mm/rmap.c:try_to_unmap_one, mm/vmscan.c:pageout.  Seed 2.4, 2.4.7 (F047, F059).
"""

from collections.abc import Iterator
from dataclasses import replace

from linuxmm.model.vm.cow import unmapped
from linuxmm.model.vm.state import (
    Pages,
    bytes_of,
    count_swap,
    flushing,
    put_page,
    with_bytes,
    with_entry,
    with_page,
)
from linuxmm.model.vm.table import leaves
from linuxmm.spec.registry import verb
from linuxmm.spec.vm.pte import SPECIAL, frame_of, is_mapped, swap_entry
from linuxmm.spec.vm.x86_entry import DIRTY, WRITABLE
from linuxmm.spec.vm.x86_format import user_end
from linuxmm.spec.vocabulary import PAGE_SIZE


def mappings(pages: Pages, frame: int) -> Iterator[tuple[int, int, int, int]]:
    """(address space, address, address of the entry, entry) of whatever maps a frame (the reverse map)."""
    for space in sorted(pages.mms):
        for address, at, value in leaves(pages, space, 0, user_end(pages.format)):
            if is_mapped(value) and not value & SPECIAL and frame_of(value) == frame:
                yield space, address, at, value


def is_held(pages: Pages, frame: int) -> bool:
    """Whether somebody but entries and the page cache has a reference."""
    page = pages.pages[frame]
    return page.refs > page.maps + (page.place is not None)


@verb("F047", "F059", source="mm/rmap.c:try_to_unmap_one; mm/vmscan.c:shrink_folio_list; 2.6.11 to 6.12")
def swap_out(pages: Pages, frame: int, slot: int) -> Pages:
    """Put an anonymous page into a slot of swap, or drop it if it was freed lazily and not written since.

    Requires  nobody holds the page but the entries that map it, of which there is one; the slot is free
    """
    page = pages.pages[frame]
    found = list(mappings(pages, frame))
    data = bytes_of(pages, frame)
    dropped = page.lazy and not page.dirty and not any(value & DIRTY for _, _, _, value in found)
    for space, address, at, value in found:
        pages = with_entry(pages, at, 0 if dropped else swap_entry(slot))
        pages = flushing(pages, space, address, address + PAGE_SIZE)
        pages = pages if dropped else count_swap(pages, space, 1)
        pages = unmapped(pages, space, frame, value)
    return pages if dropped else replace(pages, swap=pages.swap.set(slot, (data, len(found))))


@verb("F059", source="fs/buffer.c:__block_write_full_page; mm/rmap.c:page_mkclean; 2.6.19 to 6.12")
def write_back(pages: Pages, number: int, index: int) -> Pages:
    """Write a cached page to its medium: bytes beyond the end of the file are zeros afterwards.

    Ensures   every entry that maps it is clean, and tells of the next write by a fault
    """
    frame = pages.cache[number, index]
    backing = pages.objects[number]
    kept = min(backing.size - index * PAGE_SIZE, PAGE_SIZE)
    data = bytes_of(pages, frame)[:kept] + bytes(PAGE_SIZE - kept)
    for space, address, at, value in mappings(pages, frame):
        if value & (DIRTY | WRITABLE):
            pages = with_entry(pages, at, value & ~(DIRTY | WRITABLE))
            pages = flushing(pages, space, address, address + PAGE_SIZE)
    pages = with_page(with_bytes(pages, frame, data), frame, pages.pages[frame]._replace(dirty=False))
    stored = replace(pages.objects[number], stored=backing.stored.set(index, data))
    return replace(pages, objects=pages.objects.set(number, stored))


@verb("F059", source="mm/vmscan.c:__remove_mapping; 2.6.11 to 6.12")
def drop_cached(pages: Pages, number: int, index: int) -> Pages:
    """Drop a clean page of a file from the cache and from all that map it.

    Requires  nobody holds it, and neither it nor an entry that maps it is dirty
    """
    frame = pages.cache[number, index]
    for space, address, at, value in list(mappings(pages, frame)):
        pages = flushing(with_entry(pages, at, 0), space, address, address + PAGE_SIZE)
        pages = unmapped(pages, space, frame, value)
    return put_page(replace(pages, cache=pages.cache.delete((number, index))), frame)


def is_dirty(pages: Pages, frame: int) -> bool:
    """Whether a page or an entry that maps it is dirty."""
    return pages.pages[frame].dirty or any(value & DIRTY for _, _, _, value in mappings(pages, frame))
