"""What memory holds: the bytes that a read gives, whichever pages, copies and tables are behind it.

Every address space has private pages; objects (files in the page cache, shared memory) hold the rest.  Memory
that was never written is zeros, or what its file holds.  Where the kernel may choose (MADV_FREE drops a page
or not; bytes stored beyond the end of a file are dropped when it is written back, or not) a page has several
*forms*, and what is observed settles which.

Linux: mm/memory.c, mm/madvise.c, mm/mremap.c, mm/filemap.c, mm/shmem.c, mm/truncate.c.
Seed 2.8, 2.4.7 (F047, F059, F086).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from immutables import Map

from linuxmm.spec.vm.page_layer import (
    BUS_ADRERR,
    SEGV_MAPERR,
    SIGBUS,
    SIGSEGV,
    Area,
    Find,
    Read,
    Signal,
    Written,
    denial,
)
from linuxmm.spec.vm.rights import Accessor, copies_on_write, may
from linuxmm.spec.vm.x86_entry import READ, WRITE
from linuxmm.spec.vocabulary import PAGE_SHIFT, PAGE_SIZE

ZEROS: Final = bytes(PAGE_SIZE)
Forms = tuple[bytes, ...]
"""What a page may hold; the one that was written last comes first."""


class Private(NamedTuple):
    """A private page of an address space.

    forms   what it may hold
    lazy    MADV_FREE: it may turn to zeros until it is written
    origin  object and index of which it is a copy, None for anonymous memory
    copied  a page of its own; False for a read of anonymous memory that gave the zero page
    """

    forms: Forms
    lazy: bool = False
    origin: tuple[int, int] | None = None
    copied: bool = True


READ_ZEROS: Final = Private((ZEROS,), copied=False)
MAYBE_ZEROS: Final = Private((ZEROS,), lazy=True, copied=False)
"""What a child has of a page that was read only: fork copies it if any page of the area was written."""
NO_PRIVATE: Final[Map[int, Private]] = Map()
NO_FORMS: Final[Map[int, Forms]] = Map()


@dataclass(frozen=True, slots=True)
class Object:
    """A file in the page cache, or shared memory.

    size   bytes
    pages  index -> what the page may hold; a page that is missing holds zeros
    swaps  shared memory, whose pages nobody reads from a disk ahead of time
    """

    size: int
    pages: Map[int, Forms] = NO_FORMS
    swaps: bool = False


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of all memory.

    spaces    address space -> page number -> private page
    objects   by number
    """

    spaces: Map[int, Map[int, Private]] = Map()  # noqa: RUF009 (immutable)
    objects: Map[int, Object] = Map()  # noqa: RUF009 (immutable)


# ---- what a page holds -----------------------------------------------------------------------------------


def object_forms(held: Object, index: int) -> Forms:
    """What a page of an object may hold: bytes beyond its end may be zeros again at any time."""
    forms = held.pages.get(index, (ZEROS,))
    tail = held.size - (index << PAGE_SHIFT)
    if tail >= PAGE_SIZE:
        return forms
    return distinct((*forms, *(form[:tail] + ZEROS[tail:] for form in forms)))


def private_forms(page: Private) -> Forms:
    """What a private page may hold now."""
    return distinct((*page.forms, ZEROS)) if page.lazy else page.forms


def distinct(forms: Forms) -> Forms:
    """The forms without repetition, in order."""
    return forms if len(forms) == 1 else tuple(dict.fromkeys(forms))


def overlaid(forms: Forms, offset: int, data: bytes) -> Forms:
    """The forms after `data` was stored at `offset`."""
    end = offset + len(data)
    return distinct(tuple(form[:offset] + data + form[end:] for form in forms))


def index_in(area: Area, page: int) -> int:
    """Index in its object of a page of an area."""
    return page - (area.start >> PAGE_SHIFT) + area.pgoff


def page_forms(contents: Contents, space: int, area: Area, page: int) -> Forms:
    """What a page of an area may hold.

    Requires  `reaches` gives None for it
    """
    private = contents.spaces.get(space, NO_PRIVATE).get(page)
    if private is not None:
        return private_forms(private)
    if area.file is None:
        return (ZEROS,)
    return object_forms(contents.objects[area.file], index_in(area, page))


def reaches(
    contents: Contents, space: int, area: Area | None, address: int, kind: int, accessor: int
) -> Signal | None:
    """What stops an access to `address`; None if it is served.

    Source    arch/x86/mm/fault.c:do_user_addr_fault, mm/filemap.c:filemap_fault, mm/shmem.c:shmem_get_folio
    """
    if area is None:
        return Signal(SIGSEGV, SEGV_MAPERR, address)
    if not may(area.flags, kind, accessor):
        return denial(area.flags, address, kind)
    if area.file is None:
        return None
    page = address >> PAGE_SHIFT
    index = index_in(area, page)
    if index << PAGE_SHIFT < contents.objects[area.file].size:
        return None
    if page in contents.spaces.get(space, NO_PRIVATE):
        return None
    return Signal(SIGBUS, BUS_ADRERR, address)


# ---- reading and writing ---------------------------------------------------------------------------------


def pieces_of(address: int, length: int) -> Iterator[tuple[int, int, int]]:
    """(address, offset in its page, bytes) of the parts of a range that lie in one page each."""
    end = address + length
    while address < end:
        offset = address & (PAGE_SIZE - 1)
        taken = min(PAGE_SIZE - offset, end - address)
        yield address, offset, taken
        address += taken


def read(
    contents: Contents,
    space: int,
    find: Find,
    address: int,
    length: int,
    accessor: Accessor = Accessor.THREAD,
) -> tuple[Contents, Read]:
    """Read bytes, up to the first page that cannot be; anonymous memory becomes resident."""
    pieces: list[Forms] = []
    for at, offset, taken in pieces_of(address, length):
        area = find(at)
        signal = reaches(contents, space, area, at, READ, accessor)
        if signal is not None or area is None:
            return contents, Read(tuple(pieces), signal)
        page = at >> PAGE_SHIFT
        forms = page_forms(contents, space, area, page)
        pieces.append(distinct(tuple(form[offset : offset + taken] for form in forms)))
        contents = touched(contents, space, area, page)
    return contents, Read(tuple(pieces))


def touched(contents: Contents, space: int, area: Area, page: int) -> Contents:
    """The contents after a page was read: it is resident now, if it was not."""
    if area.file is not None:
        held = contents.objects[area.file]
        index = index_in(area, page)
        if not held.swaps or index in held.pages or _in_space(contents, space, page) is not None:
            return contents
        return with_object(contents, area.file, replace(held, pages=held.pages.set(index, (ZEROS,))))
    private = _in_space(contents, space, page)
    if private is not None and private is not MAYBE_ZEROS:
        return contents
    return _with_page(contents, space, page, READ_ZEROS)


def write(
    contents: Contents,
    space: int,
    find: Find,
    address: int,
    data: bytes,
    accessor: Accessor = Accessor.THREAD,
) -> tuple[Contents, Written]:
    """Write bytes, up to the first page that cannot be."""
    done = 0
    for at, offset, taken in pieces_of(address, len(data)):
        area = find(at)
        signal = reaches(contents, space, area, at, WRITE, accessor)
        if signal is not None or area is None:
            return contents, Written(done, signal)
        contents = _store(contents, space, area, at >> PAGE_SHIFT, offset, data[done : done + taken])
        done += taken
    return contents, Written(done)


def _store(contents: Contents, space: int, area: Area, page: int, offset: int, data: bytes) -> Contents:
    forms = overlaid(page_forms(contents, space, area, page), offset, data)
    if area.file is None:
        return _with_page(contents, space, page, Private(forms))
    index = index_in(area, page)
    if copies_on_write(area.flags):
        return _with_page(contents, space, page, Private(forms, origin=(area.file, index)))
    held = contents.objects[area.file]
    return with_object(contents, area.file, replace(held, pages=held.pages.set(index, forms)))


def observe(contents: Contents, space: int, find: Find, address: int, seen: bytes) -> Contents | int:
    """The contents, settled by what a read of served memory gave; or the first address where it cannot be.

    Requires  `read` of the range gives no signal
    """
    done = 0
    for at, offset, taken in pieces_of(address, len(seen)):
        area = find(at)
        assert area is not None
        part = seen[done : done + taken]
        page = at >> PAGE_SHIFT
        forms = page_forms(contents, space, area, page)
        fitting = tuple(form for form in forms if form[offset : offset + taken] == part)
        if not fitting:
            return at + _differs(part, forms[0][offset : offset + taken])
        if len(fitting) < len(forms):
            contents = _settled(contents, space, area, page, fitting)
        done += taken
    return contents


def _differs(seen: bytes, expected: bytes) -> int:
    return next(n for n, (a, b) in enumerate(zip(seen, expected, strict=True)) if a != b)


def _settled(contents: Contents, space: int, area: Area, page: int, forms: Forms) -> Contents:
    """The contents with fewer forms for a page; a lazily freed page that reads as zeros is gone."""
    private = _in_space(contents, space, page)
    if private is not None:
        lazy = private.lazy and forms != (ZEROS,)
        kept = tuple(form for form in forms if form in private.forms) or forms
        return _with_page(contents, space, page, private._replace(forms=kept, lazy=lazy))
    assert area.file is not None
    held = contents.objects[area.file]
    return with_object(contents, area.file, replace(held, pages=held.pages.set(index_in(area, page), forms)))


# ---- changing what is mapped -----------------------------------------------------------------------------


def zap(contents: Contents, space: int, start: int, end: int) -> Contents:
    """Forget the private pages of a range: anonymous memory reads as zeros, a file's as the file.

    Source    mm/memory.c:zap_page_range_single, unmap_vmas
    """
    pages = contents.spaces.get(space, NO_PRIVATE)
    found = pages_within(pages, start >> PAGE_SHIFT, end >> PAGE_SHIFT)
    if not found:
        return contents
    changed = pages.mutate()
    for page in found:
        del changed[page]
    return _with_space(contents, space, changed.finish())


def pages_within(pages: Map[int, Private], first: int, last: int) -> list[int]:
    """Numbers of the pages from `first` on, below `last`."""
    if last - first < len(pages):
        return [page for page in range(first, last) if page in pages]
    return [page for page in pages if first <= page < last]


def move(contents: Contents, space: int, old: int, new: int, length: int) -> Contents:
    """Move the private pages of a range.

    Requires  nothing is mapped in the new range, which does not overlap the old one
    Source    mm/mremap.c:move_page_tables
    """
    pages = contents.spaces.get(space, NO_PRIVATE)
    found = pages_within(pages, old >> PAGE_SHIFT, (old + length) >> PAGE_SHIFT)
    if not found:
        return contents
    by = (new - old) >> PAGE_SHIFT
    changed = pages.mutate()
    for page in found:
        changed[page + by] = changed.pop(page)
    return _with_space(contents, space, changed.finish())


def free_lazily(contents: Contents, space: int, start: int, end: int) -> Contents:
    """MADV_FREE: private anonymous pages keep their bytes or turn to zeros, until they are written.

    Source    mm/madvise.c:madvise_free_single_vma; 4.5 to 6.12
    """
    pages = contents.spaces.get(space, NO_PRIVATE)
    found = pages_within(pages, start >> PAGE_SHIFT, end >> PAGE_SHIFT)
    if not found:
        return contents
    changed = pages.mutate()
    for page in found:
        if changed[page].copied:
            changed[page] = changed[page]._replace(lazy=True)
    return _with_space(contents, space, changed.finish())


def reach(
    contents: Contents, space: int, area: Area | None, address: int, kind: int, accessor: Accessor
) -> tuple[Contents, Signal | None]:
    """Fault one page in, as for a write or a read; what stopped it, None if nothing did."""
    signal = reaches(contents, space, area, address, kind, accessor)
    if signal is not None or area is None:
        return contents, signal
    page = address >> PAGE_SHIFT
    if kind == READ:
        return touched(contents, space, area, page), None
    held = _in_space(contents, space, page)
    if held is not None and held.copied:
        return contents, None
    return _store(contents, space, area, page, 0, b""), None


def populate(
    contents: Contents, space: int, area: Area, start: int, end: int, write: bool
) -> tuple[Contents, Signal | None]:
    """Fault the pages of a range in; what stopped it, None if nothing did.

    write  as for writing: private pages of a file are copied now
    Source    mm/gup.c:populate_vma_page_range, faultin_page_range
    """
    kind = WRITE if write else READ
    for address in range(start, end, PAGE_SIZE):
        contents, signal = reach(contents, space, area, address, kind, Accessor.THREAD)
        if signal is not None:
            return contents, signal
    return contents, None


def copy(contents: Contents, space: int, child: int, areas: Iterable[Area]) -> Contents:
    """fork: the child has the private pages of the areas that it copies; objects are shared.

    Source    mm/memory.c:copy_page_range, kernel/fork.c:dup_mmap
    """
    pages = contents.spaces.get(space, NO_PRIVATE)
    found: dict[int, Private] = {}
    for area in areas:
        for page in pages_within(pages, area.start >> PAGE_SHIFT, area.end >> PAGE_SHIFT):
            found[page] = pages[page] if pages[page].copied else MAYBE_ZEROS
    return _with_space(contents, child, Map(found))


def drop(contents: Contents, space: int) -> Contents:
    """Forget an address space."""
    if space not in contents.spaces:
        return contents
    return replace(contents, spaces=contents.spaces.delete(space))


# ---- objects ---------------------------------------------------------------------------------------------


def with_object(contents: Contents, number: int, held: Object) -> Contents:
    """The contents with another object under a number."""
    return replace(contents, objects=contents.objects.set(number, held))


def object_of(data: bytes, swaps: bool = False) -> Object:
    """An object that holds `data`."""
    pages: dict[int, Forms] = {}
    for at in range(0, len(data), PAGE_SIZE):
        part = data[at : at + PAGE_SIZE]
        pages[at >> PAGE_SHIFT] = (part + ZEROS[len(part) :],)
    return Object(len(data), Map(pages), swaps)


def punch(contents: Contents, number: int, start: int, end: int) -> Contents:
    """MADV_REMOVE: the object reads as zeros in the range; private copies stay.

    Source    mm/madvise.c:madvise_remove, mm/shmem.c:shmem_fallocate
    """
    held = contents.objects[number]
    first, last = start >> PAGE_SHIFT, end >> PAGE_SHIFT
    kept = held.pages
    for index in [index for index in kept if first <= index < last]:
        kept = kept.delete(index)
    return with_object(contents, number, replace(held, pages=kept))


def resize(contents: Contents, number: int, size: int) -> Contents:
    """Give an object another size: pages beyond it are gone, private copies of them too.

    Source    mm/truncate.c:truncate_pagecache, pagecache_isize_extended; mm/shmem.c:shmem_setattr
    """
    held = contents.objects[number]
    beyond = (size + PAGE_SIZE - 1) >> PAGE_SHIFT
    last = min(size, held.size) >> PAGE_SHIFT
    pages = held.pages
    if last in pages:
        pages = pages.set(last, object_forms(held, last))
    for index in [index for index in pages if index >= beyond]:
        pages = pages.delete(index)
    if size < held.size and last in pages and size & (PAGE_SIZE - 1):
        tail = size & (PAGE_SIZE - 1)
        pages = pages.set(last, distinct(tuple(form[:tail] + ZEROS[tail:] for form in pages[last])))
    contents = with_object(contents, number, replace(held, size=size, pages=pages))
    for space, private in contents.spaces.items():
        gone = [p for p, each in private.items() if _copied_beyond(each, number, beyond)]
        for page in gone:
            private = private.delete(page)
        if gone:
            contents = _with_space(contents, space, private)
    return contents


def _copied_beyond(page: Private, number: int, beyond: int) -> bool:
    return page.origin is not None and page.origin[0] == number and page.origin[1] >= beyond


def write_object(contents: Contents, number: int, offset: int, data: bytes) -> Contents:
    """write() to a file, which grows if need be."""
    if offset + len(data) > contents.objects[number].size:
        contents = resize(contents, number, offset + len(data))
    held = contents.objects[number]
    pages, done = held.pages, 0
    for at, within, taken in pieces_of(offset, len(data)):
        index = at >> PAGE_SHIFT
        forms = overlaid(pages.get(index, (ZEROS,)), within, data[done : done + taken])
        pages = pages.set(index, forms)
        done += taken
    return with_object(contents, number, replace(held, pages=pages))


# ---- the state -------------------------------------------------------------------------------------------


def _in_space(contents: Contents, space: int, page: int) -> Private | None:
    return contents.spaces.get(space, NO_PRIVATE).get(page)


def _with_page(contents: Contents, space: int, page: int, private: Private) -> Contents:
    pages = contents.spaces.get(space, NO_PRIVATE).set(page, private)
    return Contents(contents.spaces.set(space, pages), contents.objects)


def _with_space(contents: Contents, space: int, pages: Map[int, Private]) -> Contents:
    return Contents(contents.spaces.set(space, pages), contents.objects)
