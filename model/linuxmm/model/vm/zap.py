"""Taking pages away and changing rights: munmap, MADV_DONTNEED, MADV_FREE, mprotect.

Linux: mm/memory.c:zap_pte_range, mm/mprotect.c:change_pte_range, mm/madvise.c.  Seed 2.8, 2.4.7 (F059, F047).
"""

from dataclasses import replace

from linuxmm.model.vm.cow import unmapped
from linuxmm.model.vm.fault import is_anonymous, object_of, protection
from linuxmm.model.vm.page_rules import PageRules
from linuxmm.model.vm.state import (
    NOTHING,
    Page,
    Pages,
    cached_frame,
    count_swap,
    entry,
    flushing,
    page_at,
    with_entry,
    with_page,
)
from linuxmm.model.vm.table import find, free_tables, leaves
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import verb
from linuxmm.spec.vm.flags import VM_SHARED, VM_WRITE
from linuxmm.spec.vm.page_layer import Area
from linuxmm.spec.vm.pte import (
    SPECIAL,
    frame_of,
    is_mapped,
    is_swapped,
    made_writable,
    modified,
    swap_slot,
)
from linuxmm.spec.vm.x86_entry import ACCESSED, DIRTY, WRITABLE


@behaviour(
    "vm.may-write-now",
    since="2.4.0",
    until="5.19",
    features=("F059",),
    source="mm/mprotect.c:change_pte_range; 2.6.11 to 5.19",
)
def never_writable_at_once(page: Page, dirty: bool) -> bool:
    """A private page becomes writable by a fault."""
    return False


@behaviour(
    "vm.may-write-now",
    since="6.0",
    until="6.18",
    features=("F059",),
    source="mm/mprotect.c:can_change_pte_writable; commit 64fe24a3e05; 6.0 to 6.12",
)
def writable_if_exclusive_and_dirty(page: Page, dirty: bool) -> bool:
    """A dirty page that is exclusive becomes writable at once."""
    return page.exclusive and dirty


@verb("F059", source="mm/memory.c:unmap_page_range, zap_pte_range; 2.6.11 to 6.12")
def zap(pages: Pages, space: int, start: int, end: int) -> Pages:
    """Clear what is mapped in a range; tables stay.

    Ensures   no entry of the range says anything; a page is freed with its last reference, after the flush
    """
    found = list(leaves(pages, space, start, end))
    for _, at, _ in found:
        pages = with_entry(pages, at, 0)
    if found:
        pages = flushing(pages, space, start, end)
    for _, _, value in found:
        pages = _forget(pages, space, value)
    return pages


def _forget(pages: Pages, space: int, value: int) -> Pages:
    if is_swapped(value):
        return drop_swap(pages, space, value)
    if value & SPECIAL:
        return pages
    return unmapped(pages, space, frame_of(value), value)


def drop_swap(pages: Pages, space: int, value: int) -> Pages:
    """Give up what an entry names in swap.

    Source    mm/swapfile.c:free_swap_and_cache
    """
    slot = swap_slot(value)
    data, users = pages.swap[slot]
    swap = pages.swap.delete(slot) if users == 1 else pages.swap.set(slot, (data, users - 1))
    return count_swap(replace(pages, swap=swap), space, -1)


@verb("F059", source="mm/mmap.c:unmap_region; mm/memory.c:free_pgtables; 2.6.11 to 6.12")
def unmap(pages: Pages, space: int, start: int, end: int, floor: int = 0, ceiling: int = 0) -> Pages:
    """Clear a range and free the tables that serve no other area.

    floor, ceiling  where the area before ends and the one after starts; 0 for none
    """
    return free_tables(zap(pages, space, start, end), space, start, end, floor, ceiling)


@verb("F047", "F059", source="mm/madvise.c:madvise_free_pte_range; 4.5 to 6.12")
def free_lazily(pages: Pages, space: int, start: int, end: int) -> Pages:
    """Mark the anonymous pages of a range that one entry maps as free to be dropped, until they are written.

    Requires  the range is private anonymous memory
    """
    changed = False
    for _, at, value in list(leaves(pages, space, start, end)):
        if is_swapped(value):
            pages = drop_swap(with_entry(pages, at, 0), space, value)
            continue
        if value & SPECIAL:
            continue
        frame = frame_of(value)
        page = page_at(pages, frame)
        if not page.anon or page.maps != 1:
            continue
        pages = with_page(pages, frame, page._replace(lazy=True, dirty=False))
        pages = with_entry(pages, at, value & ~(ACCESSED | DIRTY))
        changed = True
    return flushing(pages, space, start, end) if changed else pages


@verb("F059", source="mm/mprotect.c:change_pte_range; 2.6.11 to 6.12")
def protect(rules: PageRules, pages: Pages, space: int, area: Area, start: int, end: int) -> Pages:
    """Give the entries of a range the rights of their area.

    Ensures   a private page that may belong to somebody else is not made writable
    """
    rights = protection(pages, area)
    changed = False
    for _, at, value in list(leaves(pages, space, start, end)):
        if not is_mapped(value):
            continue
        new = modified(value, rights)
        if area.flags & VM_WRITE and new & WRITABLE == 0 and not value & SPECIAL:
            page = page_at(pages, frame_of(value))
            dirty = value & DIRTY != 0
            if rules.may_write_now(page, dirty) if page.anon else dirty and area.flags & VM_SHARED:
                new = made_writable(new, area.flags)
        pages = with_entry(pages, at, new)
        changed = True
    return flushing(pages, space, start, end) if changed else pages


def is_resident(pages: Pages, space: int, area: Area, address: int) -> bool:
    """What mincore says of a page: mapped, or else in the page cache.

    Source    mm/mincore.c:mincore_pte_range
    """
    at = find(pages, space, address)
    value = entry(pages, at) if at != NOTHING else 0
    if value:
        return is_mapped(value)
    index = ((address - area.start) >> 12) + area.pgoff
    return not is_anonymous(area) and cached_frame(pages, object_of(area), index) != NOTHING
