"""Page references as a workload: a reference finds its page, or a free page takes its content.

What happens around reclaim is this much: below the low watermark the daemon runs, and below the min watermark
the task itself reclaims.  A page of a file starts clean or dirty; anonymous memory is mapped, and comes back
from swap to a page of its own.

Linux: mm/filemap.c:filemap_read, filemap_fault, generic_perform_write; mm/memory.c:do_anonymous_page,
do_swap_page; mm/page_alloc.c:get_page_from_freelist.  Seed 2.4 (F042, F043, F046).
"""

from dataclasses import replace
from typing import Final

from linuxmm.model.reclaim.accesses import drop, end_writeback, enter, mark_accessed
from linuxmm.model.reclaim.outside import Entry
from linuxmm.model.reclaim.rules import Rules
from linuxmm.model.reclaim.spaces import tables
from linuxmm.model.reclaim.state import (
    DIRTY,
    NOTHING,
    Lruvec,
    flag,
    give_slot,
    has,
    mapped,
    marks_of,
    slot_of,
    unmap,
)
from linuxmm.spec.registry import verb

READ: Final = 0
MAPPED: Final = 1
"""An access to a page of a file through a mapping."""
WRITE: Final = 2
ANON: Final = 3
"""An access to anonymous memory."""
DROP: Final = 4
"""The content ends: truncation, or an exit."""
NR_KINDS: Final = 5

HIT: Final = 0
MISS: Final = 1
FAILED: Final = 2
"""No page could be freed."""


def holder(v: Lruvec, slot: int) -> int:
    """The page that holds the content of a place, or NOTHING; here a page has the number of its place."""
    return slot if slot in v.pages else NOTHING


def free_page(v: Lruvec, slot: int) -> int:
    """A free page for the content of a place; reclaim never asks which."""
    return slot


def map_page(v: Lruvec, page: int) -> Lruvec:
    """An access through a page's one entry, which is made if it is not there.

    Requires  the reverse map is a table
    """
    return replace(v, rmap=tables(v).map(page, Entry(young=True, address=slot_of(v, page))))


@verb("F042", "F043", source="mm/page_alloc.c:wakeup_kswapd, __alloc_pages_direct_reclaim")
def make_room(rules: Rules, v: Lruvec, swappiness: int) -> Lruvec:
    """Before a page is taken: the daemon runs below the low watermark, the task reclaims below the other."""
    if marks_of(v, 0).free <= marks_of(v, 0).low:
        v, _ = rules.daemon(rules, v, swappiness, 0)
    if marks_of(v, 0).free <= marks_of(v, 0).min:
        v, _ = rules.direct(rules, v, 0, swappiness, 0)
    return v


@verb("F042", "F046", source="mm/filemap.c:filemap_read, filemap_fault, generic_perform_write")
def use(rules: Rules, v: Lruvec, page: int, how: int) -> Lruvec:
    """An access to a page that holds what is asked for."""
    if how == MAPPED or how == ANON:
        return map_page(v, page)
    v = mark_accessed(rules, v, page)
    return flag(v, page, DIRTY, True) if how == WRITE else v


@verb("F042", "F043", "F046", source="mm/filemap.c:filemap_add_folio; mm/memory.c:do_swap_page")
def reference(
    rules: Rules, v: Lruvec, slot: int, how: int, again: bool, swappiness: int
) -> tuple[Lruvec, int]:
    """A reference to the content of a place: HIT, MISS or FAILED.

    how     READ to ANON
    again   anonymous memory was used before: if it is not there, swap has it, and its slot is given back
    """
    page = holder(v, slot)
    if page != NOTHING:
        return use(rules, v, page, how), HIT
    v = make_room(rules, v, swappiness)
    if marks_of(v, 0).free <= 0:
        return v, FAILED
    page = free_page(v, slot)
    v = enter(rules, v, page, slot, how == ANON, 0, False, how == ANON or how == MAPPED)
    if how == ANON and again:
        v = give_slot(v, page)
    return use(rules, v, page, how), MISS


def discard(rules: Rules, v: Lruvec, slot: int) -> Lruvec:
    """The content of a place ends, if a page holds it."""
    page = holder(v, slot)
    if page == NOTHING:
        return v
    if mapped(v, page):
        v, _ = unmap(v, page)
    return drop(rules, v, page)


@verb("F042", source="fs/fs-writeback.c:wb_writeback; mm/filemap.c:folio_end_writeback")
def clean(rules: Rules, v: Lruvec, slot: int) -> Lruvec:
    """A flusher has written the page of a place, if there is one that is dirty or being written."""
    page = holder(v, slot)
    return v if page == NOTHING else end_writeback(rules, flag(v, page, DIRTY, False), page)


def is_dirty(v: Lruvec, slot: int) -> bool:
    """Whether a page holds the content of a place, and is dirty."""
    page = holder(v, slot)
    return page != NOTHING and has(v, page, DIRTY)
