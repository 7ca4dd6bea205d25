"""A write to a page that is mapped read-only: to the page itself, or to a copy.

Whose page it is has been decided in three ways: by the entries that map it (until 5.7; 5.8 with care in
get_user_pages), by all references to it (5.9 to 5.18), and by a mark that says that it is exclusive (5.19).

Linux: mm/memory.c:do_wp_page.  Seed 2.8 (F059).
"""

from linuxmm.model.vm.page_rules import PageRules
from linuxmm.model.vm.state import (
    NOTHING,
    Page,
    Pages,
    bytes_of,
    count,
    entry,
    flushing,
    page_at,
    put_page,
    take_zeroed,
    with_bytes,
    with_entry,
    with_page,
)
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import verb
from linuxmm.spec.vm.flags import VM_SHARED, VM_WRITE
from linuxmm.spec.vm.page_layer import Area
from linuxmm.spec.vm.pte import SPECIAL, frame_of, made_writable, page_entry, page_protection
from linuxmm.spec.vm.x86_entry import ACCESSED, DIRTY
from linuxmm.spec.vocabulary import PAGE_SIZE


@behaviour(
    "vm.may-reuse",
    since="2.4.0",
    until="5.8",
    features=("F059",),
    source="mm/swapfile.c:reuse_swap_page; 2.6.11 to 5.8 (before 2.6.7 by page_count; unconfirmed)",
)
def reuse_if_mapped_once(page: Page) -> bool:
    """One entry maps the page; who else holds it is not asked."""
    return page.maps == 1


@behaviour(
    "vm.may-reuse",
    since="5.9",
    until="5.18",
    features=("F059",),
    source="mm/memory.c:do_wp_page; commit 09854ba94c6; 5.9 to 5.18",
)
def reuse_if_sole_reference(page: Page) -> bool:
    """The entry is the only reference to the page."""
    return page.maps == 1 and page.refs == 1


@behaviour(
    "vm.may-reuse",
    since="5.19",
    until="6.18",
    features=("F059",),
    source="mm/memory.c:do_wp_page; commit 6c287605fd5; 6.1, 6.12",
)
def reuse_if_exclusive(page: Page) -> bool:
    """The page is marked exclusive, or the entry is the only reference to it."""
    return page.exclusive or page.refs == 1


@behaviour(
    "vm.owned",
    since="2.4.0",
    until="5.18",
    features=("F059",),
    source="mm/rmap.c:page_add_new_anon_rmap; 2.6.11 to 5.18",
)
def owned_unmarked(page: Page) -> Page:
    """No page says whose it is."""
    return page


@behaviour(
    "vm.owned",
    since="5.19",
    until="6.18",
    features=("F059",),
    source="mm/rmap.c:page_add_new_anon_rmap, page_move_anon_rmap; 6.1, 6.12",
)
def owned_exclusively(page: Page) -> Page:
    """The page is marked exclusive."""
    return page._replace(exclusive=True)


@verb("F059", source="mm/memory.c:do_wp_page, wp_page_reuse, wp_page_shared; 2.6.11 to 6.12")
def do_wp_page(
    rules: PageRules, pages: Pages, space: int, area: Area, address: int, at: int, unshare: bool
) -> tuple[Pages, int]:
    """Serve a write (or an unsharing) through the read-only entry at `at`; the frame it maps now, or NOTHING.

    Requires  the entry maps a page
    Ensures   a private page that is written afterwards is mapped by this address space alone
    """
    value = entry(pages, at)
    frame = frame_of(value)
    if value & SPECIAL:
        return (pages, frame) if unshare else wp_page_copy(rules, pages, space, area, address, at, False)
    page = page_at(pages, frame)
    if page.anon and rules.may_reuse(page):
        pages = with_page(pages, frame, rules.owned(page))
        return (pages, frame) if unshare else (wp_page_reuse(pages, area, address, space, at), frame)
    if unshare and not page.anon:
        return pages, frame
    if not page.anon and area.flags & (VM_WRITE | VM_SHARED) == VM_WRITE | VM_SHARED:
        pages = with_page(pages, frame, page._replace(dirty=True))
        return wp_page_reuse(pages, area, address, space, at), frame
    return wp_page_copy(rules, pages, space, area, address, at, unshare)


def wp_page_reuse(pages: Pages, area: Area, address: int, space: int, at: int) -> Pages:
    """Make the entry writable.

    Source    mm/memory.c:wp_page_reuse
    """
    value = made_writable(entry(pages, at) | ACCESSED | DIRTY, area.flags)
    return flushed_page(with_entry(pages, at, value), space, address)


def wp_page_copy(
    rules: PageRules, pages: Pages, space: int, area: Area, address: int, at: int, unshare: bool
) -> tuple[Pages, int]:
    """Map a copy instead; the frame of the copy, or NOTHING.

    Ensures   the entry is cleared and flushed before the copy is mapped: no CPU writes to the old page
    Source    mm/memory.c:wp_page_copy
    """
    value = entry(pages, at)
    old = frame_of(value)
    pages, frame = take_zeroed(pages)
    if frame == NOTHING:
        return pages, NOTHING
    pages = with_bytes(pages, frame, bytes_of(pages, old))
    pages = flushed_page(with_entry(pages, at, 0), space, address)
    page = rules.owned(Page(1, 1, True))
    pages = count(with_page(pages, frame, page), space, page, 1)
    copied = page_entry(frame, page_protection(pages.format, area.flags))
    copied = copied if unshare else made_writable(copied | DIRTY, area.flags)
    pages = with_entry(pages, at, copied)
    return pages if value & SPECIAL else unmapped(pages, space, old, value), frame


def unmapped(pages: Pages, space: int, frame: int, value: int) -> Pages:
    """The pages after the entry `value` no longer maps its page: counts, dirtiness, and the last reference.

    Source    mm/memory.c:zap_pte_range; mm/rmap.c:page_remove_rmap
    """
    page = page_at(pages, frame)
    pages = count(pages, space, page, -1)
    dirty = page.dirty or value & DIRTY != 0
    pages = with_page(pages, frame, page._replace(maps=page.maps - 1, dirty=dirty))
    return put_page(pages, frame)


def flushed_page(pages: Pages, space: int, address: int) -> Pages:
    """Note the flush of one page."""
    start = address & -PAGE_SIZE
    return flushing(pages, space, start, start + PAGE_SIZE)
