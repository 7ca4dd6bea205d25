"""fork: the child's tables, and private pages that become shared until one of the two writes.

Linux: mm/memory.c:copy_page_range, kernel/fork.c:dup_mmap.  Seed 2.8 (F059).  2.6.11 to 6.12.
"""

from collections.abc import Iterable
from dataclasses import replace

from linuxmm.model.vm.page_rules import PageRules
from linuxmm.model.vm.state import (
    NOTHING,
    PIN_BIAS,
    Mm,
    Page,
    Pages,
    bytes_of,
    count,
    count_swap,
    flushing,
    mm_at,
    page_at,
    take_zeroed,
    with_bytes,
    with_entry,
    with_page,
)
from linuxmm.model.vm.table import create, leaves, provide
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import verb
from linuxmm.spec.vm.page_layer import Area
from linuxmm.spec.vm.pte import (
    SPECIAL,
    forked,
    frame_of,
    is_swapped,
    made_writable,
    page_entry,
    page_protection,
    swap_slot,
)
from linuxmm.spec.vm.rights import copies_on_write
from linuxmm.spec.vm.x86_entry import DIRTY


@behaviour(
    "vm.fork-skips",
    since="2.4.0",
    until="2.6.13",
    features=("F059",),
    source="kernel/fork.c:dup_mmap; 2.6.11 to 2.6.13",
)
def fork_copies_everything(area: Area) -> bool:
    """The entries of every area are copied."""
    return False


@behaviour(
    "vm.fork-skips",
    since="2.6.14",
    until="6.18",
    features=("F059",),
    source="mm/memory.c:vma_needs_copy; commit d992895ba2b; 2.6.14 to 6.12",
)
def fork_skips_without_private_pages(area: Area) -> bool:
    """An area that never had private pages is faulted in by the child."""
    return area.anon is None


@behaviour(
    "vm.fork-copies",
    since="2.4.0",
    until="5.8",
    features=("F059",),
    source="mm/memory.c:copy_one_pte; 2.6.11 to 5.8",
)
def fork_shares_pinned_pages(mm: Mm, page: Page) -> bool:
    """A page that is pinned is shared like any other."""
    return False


@behaviour(
    "vm.fork-copies",
    since="5.9",
    until="6.18",
    features=("F059",),
    source="mm/memory.c:copy_present_page; commit 70e806e4e64; 5.9 to 6.12",
)
def fork_copies_pinned_pages(mm: Mm, page: Page) -> bool:
    """The child gets a copy of a page that may be pinned; the parent keeps the page that it pinned."""
    return mm.has_pinned and page.refs >= PIN_BIAS


@verb("F059", source="mm/memory.c:copy_page_range; kernel/fork.c:dup_mmap; 2.6.11 to 6.12")
def copy(rules: PageRules, pages: Pages, space: int, child: int, areas: Iterable[Area]) -> tuple[Pages, bool]:
    """Give a new address space what `areas` of another have; False when frames run out on the way.

    areas  those that are copied and not wiped
    Ensures   afterwards no entry of a private area is writable in either, but for pages copied at once
    """
    pages, done = create(pages, child)
    if not done:
        return pages, False
    for area in areas:
        if rules.fork_skips(area):
            continue
        for address, at, value in list(leaves(pages, space, area.start, area.end)):
            pages, there = provide(pages, child, address)
            if there == NOTHING:
                return pages, False
            if is_swapped(value):
                pages = _copy_swapped(pages, child, there, value)
                continue
            pages, done = copy_entry(rules, pages, space, child, area, at, there, value)
            if not done:
                return pages, False
        if copies_on_write(area.flags):
            pages = flushing(pages, space, area.start, area.end)
    return pages, True


def _copy_swapped(pages: Pages, child: int, there: int, value: int) -> Pages:
    slot = swap_slot(value)
    data, users = pages.swap[slot]
    pages = replace(pages, swap=pages.swap.set(slot, (data, users + 1)))
    return with_entry(count_swap(pages, child, 1), there, value)


def copy_entry(
    rules: PageRules, pages: Pages, space: int, child: int, area: Area, at: int, there: int, value: int
) -> tuple[Pages, bool]:
    """Copy one entry that maps a page from `at` to `there`; False when a pinned page cannot be copied.

    Source    mm/memory.c:copy_present_pte
    """
    if not value & SPECIAL:
        frame = frame_of(value)
        page = page_at(pages, frame)
        if page.anon and rules.fork_copies(mm_at(pages, space), page):
            return _copy_at_once(rules, pages, child, area, there, frame)
        shared = page._replace(refs=page.refs + 1, maps=page.maps + 1, exclusive=False)
        pages = count(with_page(pages, frame, shared), child, shared, 1)
    parents, childs = forked(area.flags, value)
    if parents != value:
        pages = with_entry(pages, at, parents)
    return with_entry(pages, there, childs), True


def _copy_at_once(
    rules: PageRules, pages: Pages, child: int, area: Area, there: int, frame: int
) -> tuple[Pages, bool]:
    pages, new = take_zeroed(pages)
    if new == NOTHING:
        return pages, False
    page = rules.owned(Page(1, 1, True))
    pages = with_bytes(pages, new, bytes_of(pages, frame))
    pages = count(with_page(pages, new, page), child, page, 1)
    value = page_entry(new, page_protection(pages.format, area.flags)) | DIRTY
    return with_entry(pages, there, made_writable(value, area.flags)), True
