"""Faults: what is mapped when an access finds nothing, or finds an entry that does not permit it.

Linux: mm/memory.c:handle_pte_fault.  Seed 2.8, 2.3.1 (F059, F040).  2.6.11 to 6.12.
The swap cache is not described: a page that comes in from swap is a page of its own.
"""

from dataclasses import replace
from enum import IntEnum

from linuxmm.model.vm.cow import do_wp_page
from linuxmm.model.vm.page_rules import PageRules
from linuxmm.model.vm.state import (
    NOTHING,
    Page,
    Pages,
    bytes_of,
    cached_frame,
    count,
    count_swap,
    entry,
    page_at,
    size_of,
    swaps,
    take_zeroed,
    with_bytes,
    with_cached,
    with_entry,
    with_page,
    zeros,
)
from linuxmm.model.vm.table import find, provide
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import verb
from linuxmm.spec.vm.contents import index_in
from linuxmm.spec.vm.flags import VM_ACCESS, VM_SHARED
from linuxmm.spec.vm.page_layer import Area
from linuxmm.spec.vm.pte import (
    SPECIAL,
    around,
    is_none,
    is_swapped,
    made_writable,
    modified,
    page_entry,
    page_protection,
    swap_slot,
)
from linuxmm.spec.vm.rights import copies_on_write, thread_may
from linuxmm.spec.vm.x86_entry import ACCESSED, DIRTY, PRESENT, WRITABLE, WRITE
from linuxmm.spec.vocabulary import PAGE_SHIFT


class Served(IntEnum):
    """How a fault ended (vm_fault_t).

    MAJOR   served, and it had to wait for a medium
    BROKEN  served; a write found its copy made (VM_FAULT_WRITE)
    BUS     VM_FAULT_SIGBUS
    OOM     VM_FAULT_OOM: no frame
    DENIED  the area does not permit the access (SIGSEGV, SEGV_ACCERR)
    """

    MINOR = 0
    MAJOR = 1
    BROKEN = 2
    BUS = 3
    OOM = 4
    DENIED = 5


@behaviour(
    "vm.reads-zero-page",
    since="2.4.0",
    until="2.6.23",
    features=("F059",),
    source="mm/memory.c:do_anonymous_page; 2.6.11, 2.6.18",
)
@behaviour(
    "vm.reads-zero-page",
    since="2.6.32",
    until="6.18",
    features=("F059",),
    source="mm/memory.c:do_anonymous_page; commit a13ea5b7596; 2.6.32 to 6.12",
)
def reads_map_zero_page() -> bool:
    """A read of untouched anonymous memory maps the one page of zeros."""
    return True


@behaviour(
    "vm.reads-zero-page",
    since="2.6.24",
    until="2.6.31",
    features=("F059",),
    source="mm/memory.c:do_anonymous_page; commit 557ed1fa262 (remove ZERO_PAGE)",
)
def reads_take_a_page() -> bool:
    """A read of untouched anonymous memory takes a page, as a write does."""
    return False


@behaviour(
    "vm.fault-around",
    since="2.4.0",
    until="3.14",
    features=("F059",),
    source="mm/memory.c:__do_fault; 2.6.11 to 3.14",
)
def around_nothing() -> int:
    """A read fault of a file maps one page."""
    return 1


@behaviour(
    "vm.fault-around",
    since="3.15",
    until="6.18",
    features=("F059",),
    source="mm/memory.c:do_fault_around, fault_around_bytes; commit 8c6e50b0290; 3.15 to 6.12",
)
def around_sixteen() -> int:
    """A read fault of a file also maps cached pages of the 64 KiB around it."""
    return 16


def is_anonymous(area: Area) -> bool:
    """Whether an area maps no object."""
    return area.file is None


def object_of(area: Area) -> int:
    """Number of the object that an area maps.

    Requires  it maps one
    """
    assert area.file is not None
    return area.file


def protection(pages: Pages, area: Area) -> int:
    """vm_page_prot: rights of a page that is mapped for reading.

    Shared pages of a file (not of shared memory) tell of their first write by a fault.
    Source    mm/mmap.c:vma_wants_writenotify; 2.6.19 to 6.12
    """
    flags = area.flags
    if not is_anonymous(area) and not swaps(pages, object_of(area)):
        flags &= ~VM_SHARED
    return page_protection(pages.format, flags)


# ---- the page cache --------------------------------------------------------------------------------------


def cached(pages: Pages, number: int, index: int) -> tuple[Pages, int, bool]:
    """(pages, frame of a page of an object, whether a medium had to be read); NOTHING without a frame.

    Source    mm/filemap.c:filemap_fault, mm/shmem.c:shmem_get_folio
    """
    frame = cached_frame(pages, number, index)
    if frame != NOTHING:
        return pages, frame, False
    pages, frame = take_zeroed(pages)
    if frame == NOTHING:
        return pages, NOTHING, False
    return with_cached(pages, number, index, frame), frame, not swaps(pages, number)


def is_beyond(pages: Pages, number: int, index: int) -> bool:
    """Whether no byte of a page lies in its object."""
    return index << PAGE_SHIFT >= size_of(pages, number)


# ---- mapping ---------------------------------------------------------------------------------------------


def map_page(pages: Pages, space: int, at: int, frame: int, value: int) -> Pages:
    """Write an entry that maps a page, and count it.

    Source    mm/memory.c:do_set_pte, mm/rmap.c:page_add_file_rmap
    """
    page = page_at(pages, frame)
    pages = with_page(pages, frame, page._replace(refs=page.refs + 1, maps=page.maps + 1))
    return with_entry(count(pages, space, page, 1), at, value)


def map_new(
    rules: PageRules, pages: Pages, space: int, area: Area, at: int, data: bytes
) -> tuple[Pages, Served]:
    """Map a new anonymous page that holds `data`, writable if the area is.

    Source    mm/memory.c:do_anonymous_page, finish_fault; mm/rmap.c:page_add_new_anon_rmap
    """
    pages, frame = take_zeroed(pages)
    if frame == NOTHING:
        return pages, Served.OOM
    page = rules.owned(Page(1, 1, True))
    pages = count(with_page(with_bytes(pages, frame, data), frame, page), space, page, 1)
    value = page_entry(frame, page_protection(pages.format, area.flags)) | DIRTY
    return with_entry(pages, at, made_writable(value, area.flags)), Served.MINOR


# ---- the faults ------------------------------------------------------------------------------------------


@verb("F059", source="mm/memory.c:handle_pte_fault; 2.6.11 to 6.12")
def handle_fault(
    rules: PageRules, pages: Pages, space: int, area: Area, address: int, write: bool, unshare: bool = False
) -> tuple[Pages, Served]:
    """Serve a fault at an address of an area that permits the access.

    unshare  FAULT_FLAG_UNSHARE (5.19): give the address space a page of its own, not writable
    Ensures   the access succeeds when it is made again, or there is no page (BUS) or no frame (OOM) for it
    """
    pages, at = provide(pages, space, address)
    if at == NOTHING:
        return pages, Served.OOM
    value = entry(pages, at)
    if is_none(value):
        if is_anonymous(area):
            return do_anonymous_page(rules, pages, space, area, at, write)
        return do_fault(rules, pages, space, area, address, at, write)
    if is_swapped(value):
        return do_swap_page(rules, pages, space, area, at, value, write)
    if value & PRESENT == 0 and area.flags & VM_ACCESS:
        return do_numa_page(pages, area, at, value), Served.MINOR
    if (write or unshare) and value & WRITABLE == 0:
        pages, frame = do_wp_page(rules, pages, space, area, address, at, unshare)
        return pages, Served.OOM if frame == NOTHING else Served.BROKEN
    touched = value | ACCESSED | (DIRTY if write else 0)
    return with_entry(pages, at, touched), Served.MINOR


@verb("F001", "F059", source="arch/x86/mm/fault.c:do_user_addr_fault, access_error; 2.6.11 to 6.12")
def serve(
    rules: PageRules, pages: Pages, space: int, area: Area, address: int, kind: int
) -> tuple[Pages, Served]:
    """Serve a fault of the thread itself at an address of an area, or refuse it by the area's rights.

    kind  READ, WRITE or FETCH
    """
    if not thread_may(area.flags, kind):
        return pages, Served.DENIED
    return handle_fault(rules, pages, space, area, address, kind == WRITE)


def do_anonymous_page(
    rules: PageRules, pages: Pages, space: int, area: Area, at: int, write: bool
) -> tuple[Pages, Served]:
    """Untouched anonymous memory: the zero page for a read, a zeroed page for a write.

    Source    mm/memory.c:do_anonymous_page
    """
    if not write and rules.reads_zero_page():
        value = page_entry(pages.zero, page_protection(pages.format, area.flags)) | SPECIAL
        return with_entry(pages, at, value), Served.MINOR
    return map_new(rules, pages, space, area, at, zeros())


def do_fault(
    rules: PageRules, pages: Pages, space: int, area: Area, address: int, at: int, write: bool
) -> tuple[Pages, Served]:
    """A page of an object: mapped, copied for a private write, or mapped writable.

    Source    mm/memory.c:do_fault, do_read_fault, do_cow_fault, do_shared_fault
    """
    number = object_of(area)
    index = index_in(area, address >> PAGE_SHIFT)
    if is_beyond(pages, number, index):
        return pages, Served.BUS
    pages, frame, major = cached(pages, number, index)
    if frame == NOTHING:
        return pages, Served.OOM
    outcome = Served.MAJOR if major else Served.MINOR
    if write and copies_on_write(area.flags):
        pages, done = map_new(rules, pages, space, area, at, bytes_of(pages, frame))
        return pages, outcome if done == Served.MINOR else done
    value = page_entry(frame, protection(pages, area))
    if write:
        pages = with_page(pages, frame, page_at(pages, frame)._replace(dirty=True))
        value = made_writable(value | DIRTY, area.flags)
    pages = map_page(pages, space, at, frame, value)
    return pages if write else map_around(rules, pages, space, area, address), outcome


def map_around(rules: PageRules, pages: Pages, space: int, area: Area, address: int) -> Pages:
    """Map the cached pages around an address that was read, where nothing is mapped.

    Source    mm/memory.c:do_fault_around, mm/filemap.c:filemap_map_pages
    """
    number = object_of(area)
    first, last = area.start >> PAGE_SHIFT, area.end >> PAGE_SHIFT
    start, end = around(
        address >> PAGE_SHIFT, first, last, rules.fault_around(), 1 << pages.format.index_bits
    )
    for page in range(start, end):
        index = index_in(area, page)
        frame = cached_frame(pages, number, index)
        if frame == NOTHING or is_beyond(pages, number, index):
            continue
        at = find(pages, space, page << PAGE_SHIFT)
        if is_none(entry(pages, at)):
            value = page_entry(frame, protection(pages, area)) & ~ACCESSED
            pages = map_page(pages, space, at, frame, value)
    return pages


def do_numa_page(pages: Pages, area: Area, at: int, value: int) -> Pages:
    """An entry without rights in an area that has some: give it those, not to write.

    Source    mm/memory.c:do_numa_page; 3.8 to 6.12 (moving the page to the node is not described)
    """
    return with_entry(pages, at, modified(value, protection(pages, area)) | ACCESSED)


def do_swap_page(
    rules: PageRules, pages: Pages, space: int, area: Area, at: int, value: int, write: bool
) -> tuple[Pages, Served]:
    """Bring a page in from swap; it belongs to this address space alone.

    Source    mm/memory.c:do_swap_page
    """
    slot = swap_slot(value)
    data, users = pages.swap[slot]
    pages, done = map_new(rules, pages, space, area, at, data)
    if done == Served.OOM:
        return pages, done
    if not write:
        private = entry(pages, at) & ~WRITABLE
        pages = with_entry(pages, at, private)
    swap = pages.swap.delete(slot) if users == 1 else pages.swap.set(slot, (data, users - 1))
    return count_swap(replace(pages, swap=swap), space, -1), Served.MAJOR
