"""What happens to an object under its mappings: another size, a hole, a write through the file.

Linux: mm/truncate.c, mm/filemap.c, mm/shmem.c.  Seed 2.8 (F059).  2.6.11 to 6.12.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from immutables import Map

from linuxmm.model.vm.cow import unmapped
from linuxmm.model.vm.fault import cached, is_beyond
from linuxmm.model.vm.state import (
    NOTHING,
    Backing,
    Pages,
    bytes_of,
    flushing,
    put_page,
    with_bytes,
    with_entry,
    with_page,
)
from linuxmm.model.vm.table import leaves
from linuxmm.model.vm.zap import zap
from linuxmm.spec.registry import verb
from linuxmm.spec.vm.contents import pieces_of
from linuxmm.spec.vm.page_layer import Area
from linuxmm.spec.vm.pte import SPECIAL, frame_of, is_mapped
from linuxmm.spec.vocabulary import PAGE_SHIFT, PAGE_SIZE

Mappers = Iterable[tuple[int, Area]]
"""(address space, area) of every area that maps an object."""


def with_backing(pages: Pages, number: int, backing: Backing) -> Pages:
    """The pages with another size or other bytes on the medium of an object."""
    return replace(pages, objects=pages.objects.set(number, backing))


def parts(areas: Mappers, first: int, last: int) -> Iterator[tuple[int, int, int]]:
    """(address space, start, end) of what maps the pages `first` to below `last` of the object."""
    for space, area in areas:
        start = max(area.start, area.start + ((first - area.pgoff) << PAGE_SHIFT))
        end = min(area.end, area.start + ((last - area.pgoff) << PAGE_SHIFT))
        if start < end:
            yield space, start, end


@verb("F059", source="mm/truncate.c:truncate_pagecache, truncate_inode_pages_range; mm/shmem.c")
def truncate(pages: Pages, number: int, size: int, areas: Mappers) -> Pages:
    """Give an object another size: pages beyond it leave every address space, private copies too.

    Ensures   the bytes of the last page beyond the new end are zeros when the object shrinks
    """
    backing = pages.objects[number]
    tail = size & (PAGE_SIZE - 1)
    pages = with_backing(pages, number, replace(backing, size=size))
    beyond = (size + PAGE_SIZE - 1) >> PAGE_SHIFT
    for space, start, end in parts(areas, beyond, 1 << 52):
        pages = zap(pages, space, start, end)
    for place in sorted(pages.cache):
        if place[0] == number and is_beyond(pages, number, place[1]):
            pages = uncache(pages, place)
    stored = {index: data for index, data in backing.stored.items() if index < beyond}
    last = size >> PAGE_SHIFT
    if tail and size < backing.size:
        frame = pages.cache.get((number, last), NOTHING)
        if frame != NOTHING:
            pages = with_bytes(pages, frame, bytes_of(pages, frame)[:tail] + bytes(PAGE_SIZE - tail))
        if last in stored:
            stored[last] = stored[last][:tail] + bytes(PAGE_SIZE - tail)
    return with_backing(pages, number, Backing(size, backing.swaps, Map(stored)))


@verb("F059", source="mm/madvise.c:madvise_remove; mm/shmem.c:shmem_fallocate; mm/truncate.c")
def punch(pages: Pages, number: int, start: int, end: int, areas: Mappers) -> Pages:
    """Make a hole of whole pages in an object: it reads as zeros there; private copies stay.

    start, end  byte offsets in the object
    """
    first, last = start >> PAGE_SHIFT, end >> PAGE_SHIFT
    for space, low, high in parts(areas, first, last):
        for address, at, value in list(leaves(pages, space, low, high)):
            if is_mapped(value) and not value & SPECIAL and not pages.pages[frame_of(value)].anon:
                pages = flushing(with_entry(pages, at, 0), space, address, address + PAGE_SIZE)
                pages = unmapped(pages, space, frame_of(value), value)
    for place in sorted(pages.cache):
        if place[0] == number and first <= place[1] < last:
            pages = uncache(pages, place)
    backing = pages.objects[number]
    stored = {index: data for index, data in backing.stored.items() if not first <= index < last}
    return with_backing(pages, number, replace(backing, stored=Map(stored)))


def uncache(pages: Pages, place: tuple[int, int]) -> Pages:
    """Take a page out of the page cache; it lives on while somebody holds it.

    Requires  no entry maps it
    Source    mm/filemap.c:__filemap_remove_folio
    """
    frame = pages.cache[place]
    pages = with_page(pages, frame, pages.pages[frame]._replace(place=None))
    return put_page(replace(pages, cache=pages.cache.delete(place)), frame)


@verb("F059", source="mm/filemap.c:generic_perform_write; 2.6.11 to 6.12")
def write_object(pages: Pages, number: int, offset: int, data: bytes) -> tuple[Pages, int]:
    """write() to an object, which grows if need be; bytes stored, fewer when frames run out."""
    backing = pages.objects[number]
    end, done = offset + len(data), 0
    if end > backing.size:
        pages = with_backing(pages, number, replace(backing, size=end))
    for at, within, taken in pieces_of(offset, len(data)):
        pages, frame, _ = cached(pages, number, at >> PAGE_SHIFT)
        if frame == NOTHING:
            return pages, done
        old = bytes_of(pages, frame)
        pages = with_bytes(pages, frame, old[:within] + data[done : done + taken] + old[within + taken :])
        pages = with_page(pages, frame, pages.pages[frame]._replace(dirty=True))
        done += taken
    return pages, done
