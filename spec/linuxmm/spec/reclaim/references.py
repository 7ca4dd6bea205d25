"""Second chances: what accesses do to a page, and what reclaim makes of them at the tail of a list.

Linux: mm/swap.c:mark_page_accessed; mm/vmscan.c:page_check_references, shrink_active_list.
Seed 2.4.1, 2.4.4 (F042, F043, F045).
"""

from typing import Final, NamedTuple

from linuxmm.spec.kernel import behaviour
from linuxmm.spec.vocabulary import PAGE_ALLOC_COSTLY_ORDER

RECLAIM: Final = 0
RECLAIM_CLEAN: Final = 1
"""Only if the page is clean."""
KEEP: Final = 2
"""Another round of the inactive list."""
ACTIVATE: Final = 3

CONTENDED: Final = -1
"""What counting references answers when the reverse map's lock was taken (since 5.19)."""


class Found(NamedTuple):
    """What reclaim finds of a page at the tail of the inactive list.

    ptes        page-table entries with an accessed bit (now cleared), or CONTENDED
    referenced  PG_referenced
    inuse       mapped, in the swap cache, or of a file that is mapped somewhere (asked before 2.6.34)
    locked      found in a VM_LOCKED area
    executable  one of the entries is of an executable area
    anon        an anonymous page
    swapbacked  anonymous or shared memory, and not given up by MADV_FREE
    order       of the request that reclaim runs for
    """

    ptes: int
    referenced: bool
    inuse: bool
    locked: bool
    executable: bool
    anon: bool
    swapbacked: bool
    order: int


class Chance(NamedTuple):
    """What reclaim does with a page (RECLAIM to ACTIVATE), and PG_referenced afterwards."""

    action: int
    referenced: bool


@behaviour(
    "reclaim.check-references",
    since="2.6.0",
    until="2.6.22",
    features=("F042",),
    source="mm/vmscan.c:shrink_list, shrink_page_list; 2.6.11, 2.6.12, 2.6.18, 2.6.20",
)
def check_referenced_in_use(found: Found) -> Chance:
    """Any reference to a page in use activates it; another saves it while it is dirty."""
    if found.ptes > 0 or found.referenced:
        return Chance(ACTIVATE if found.inuse else RECLAIM_CLEAN, False)
    return Chance(RECLAIM, False)


@behaviour(
    "reclaim.check-references",
    since="2.6.23",
    until="2.6.28",
    features=("F042",),
    source="mm/vmscan.c:shrink_page_list; 2.6.24, 2.6.28 (2.6.23, 2.6.25 to 2.6.27 unconfirmed)",
)
def check_referenced_for_order(found: Found) -> Chance:
    """As before; a request for more than eight pages gives no second chance."""
    if found.order > PAGE_ALLOC_COSTLY_ORDER:
        return Chance(RECLAIM, False)
    return check_referenced_in_use(found)


@behaviour(
    "reclaim.check-references",
    since="2.6.29",
    until="2.6.33",
    features=("F042", "F044"),
    source="mm/vmscan.c:shrink_page_list; 2.6.31, 2.6.32 (2.6.29, 2.6.30, 2.6.33 unconfirmed)",
)
def check_referenced_unlocked(found: Found) -> Chance:
    """As before; a page of a locked area goes on, so that unmapping finds the lock."""
    if found.order > PAGE_ALLOC_COSTLY_ORDER:
        return Chance(RECLAIM, False)
    if found.ptes > 0 or found.referenced:
        taken = found.inuse and not found.locked
        return Chance(ACTIVATE if taken else RECLAIM_CLEAN, False)
    return Chance(RECLAIM, False)


@behaviour(
    "reclaim.check-references",
    since="2.6.34",
    until="2.6.36",
    features=("F042", "F043"),
    source="mm/vmscan.c:page_check_references; 2.6.34, 2.6.35, 2.6.36",
)
def check_used_once(found: Found) -> Chance:
    """A page of a file that is mapped and was touched once goes round again; an anonymous one is active."""
    if found.order > PAGE_ALLOC_COSTLY_ORDER or found.locked:
        return Chance(RECLAIM, False)
    if found.ptes > 0:
        if found.anon:
            return Chance(ACTIVATE, False)
        return Chance(ACTIVATE if found.referenced else KEEP, True)
    return Chance(RECLAIM_CLEAN if found.referenced else RECLAIM, False)


@behaviour(
    "reclaim.check-references",
    since="2.6.37",
    until="3.2",
    features=("F042", "F043"),
    source="mm/vmscan.c:page_check_references; 2.6.37, 2.6.39 (3.0 to 3.2 unconfirmed)",
)
def check_used_once_of_file(found: Found) -> Chance:
    """As before; a mark alone saves dirty pages of files only."""
    if found.order > PAGE_ALLOC_COSTLY_ORDER or found.locked:
        return Chance(RECLAIM, False)
    if found.ptes > 0:
        if found.anon:
            return Chance(ACTIVATE, False)
        return Chance(ACTIVATE if found.referenced else KEEP, True)
    return Chance(RECLAIM_CLEAN if found.referenced and not found.swapbacked else RECLAIM, False)


@behaviour(
    "reclaim.check-references",
    since="3.3",
    until="5.8",
    features=("F042", "F043", "F045"),
    source="mm/vmscan.c:page_check_references; 3.4 to 5.8 (3.3 unconfirmed)",
)
def check_executable_or_shared(found: Found) -> Chance:
    """As before; a page that several touched, or that is executed, is active at once; so is shared memory."""
    if found.locked:
        return Chance(RECLAIM, False)
    if found.ptes > 0:
        if found.swapbacked:
            return Chance(ACTIVATE, False)
        taken = found.referenced or found.ptes > 1 or found.executable
        return Chance(ACTIVATE if taken else KEEP, True)
    return Chance(RECLAIM_CLEAN if found.referenced and not found.swapbacked else RECLAIM, False)


@behaviour(
    "reclaim.check-references",
    since="5.9",
    until="5.17",
    features=("F042", "F043", "F045", "F046"),
    source="mm/vmscan.c:page_check_references; 5.9 to 5.17",
)
def check_anon_like_file(found: Found) -> Chance:
    """As before; anonymous pages, which start inactive now, need a second touch as well."""
    if found.locked:
        return Chance(RECLAIM, False)
    return _second_touch(found)


@behaviour(
    "reclaim.check-references",
    since="5.18",
    features=("F042", "F043", "F044", "F045"),
    source="mm/vmscan.c:folio_check_references; 5.19 to 6.12 (5.18 unconfirmed)",
)
def check_locked_kept(found: Found) -> Chance:
    """As before; a page of a locked area is active, and where the count was not to be had, it goes round."""
    if found.locked:
        return Chance(ACTIVATE, False)
    if found.ptes == CONTENDED:
        return Chance(KEEP, False)
    return _second_touch(found)


def _second_touch(found: Found) -> Chance:
    if found.ptes > 0:
        executed = found.executable and not found.swapbacked
        taken = found.referenced or found.ptes > 1 or executed
        return Chance(ACTIVATE if taken else KEEP, True)
    return Chance(RECLAIM_CLEAN if found.referenced and not found.swapbacked else RECLAIM, False)


# ---- the tail of the active list ---------------------------------------------------------------------------


@behaviour(
    "reclaim.keeps-active",
    since="2.6.28",
    until="2.6.30",
    features=("F043",),
    source="mm/vmscan.c:shrink_active_list; 2.6.28 (2.6.29, 2.6.30 unconfirmed)",
)
def keeps_none(referenced: bool, executable: bool, anon: bool, swapbacked: bool) -> bool:
    """Whether a page at the tail of the active list goes round once more: none does."""
    return False


@behaviour(
    "reclaim.keeps-active",
    since="2.6.31",
    until="2.6.31",
    features=("F043", "F045"),
    source="mm/vmscan.c:shrink_active_list; 2.6.31",
)
def keeps_executable_unless_anon(referenced: bool, executable: bool, anon: bool, swapbacked: bool) -> bool:
    """A page of an executable mapping that was used does, unless it is anonymous."""
    return referenced and executable and not anon


@behaviour(
    "reclaim.keeps-active",
    since="2.6.32",
    features=("F043", "F045"),
    source="mm/vmscan.c:shrink_active_list; 2.6.32 to 6.12",
)
def keeps_executable_of_file(referenced: bool, executable: bool, anon: bool, swapbacked: bool) -> bool:
    """A page of an executable mapping that was used does, if it is on a file list."""
    return referenced and executable and not swapbacked


# ---- accesses ----------------------------------------------------------------------------------------------


class Marked(NamedTuple):
    """What an access does: move the page to the active list? PG_referenced afterwards; count as ageing?"""

    activates: bool
    referenced: bool
    ages: bool


@behaviour(
    "reclaim.mark-accessed",
    since="2.4.14",
    until="2.6.27",
    features=("F042",),
    source="mm/filemap.c:mark_page_accessed, a 2.4; mm/swap.c, 2.6.11 to 2.6.24 (2.5 unconfirmed)",
)
def mark_two_lists(active: bool, referenced: bool, unevictable: bool, listed: bool, file: bool) -> Marked:
    """The second access to an inactive page moves it; to an active one it leaves a mark.

    listed  on a list by now, and not on a CPU's batch of pages to be added
    """
    if not active and referenced and listed:
        return Marked(True, False, False)
    return Marked(False, True, False)


@behaviour(
    "reclaim.mark-accessed",
    since="2.6.28",
    until="3.10",
    features=("F042", "F044"),
    source="mm/swap.c:mark_page_accessed; 2.6.28 to 3.10",
)
def mark_evictable(active: bool, referenced: bool, unevictable: bool, listed: bool, file: bool) -> Marked:
    """As before; unevictable pages are only marked."""
    if not active and not unevictable and referenced and listed:
        return Marked(True, False, False)
    return Marked(False, True, False)


@behaviour(
    "reclaim.mark-accessed",
    since="3.11",
    until="3.14",
    features=("F042",),
    source="mm/swap.c:mark_page_accessed; 3.13, 3.14 (3.11, 3.12 unconfirmed)",
)
def mark_unlisted_too(active: bool, referenced: bool, unevictable: bool, listed: bool, file: bool) -> Marked:
    """As before; a page that is still to be added will be added to the active list."""
    if not active and not unevictable and referenced:
        return Marked(True, False, False)
    return Marked(False, True, False)


@behaviour(
    "reclaim.mark-accessed",
    since="3.15",
    until="5.7",
    features=("F042", "F046"),
    source="mm/swap.c:mark_page_accessed; 3.16 to 5.7 (3.15 unconfirmed)",
)
def mark_ageing_file(active: bool, referenced: bool, unevictable: bool, listed: bool, file: bool) -> Marked:
    """As before; activating a page of a file is a step of the clock of refaults."""
    if not active and not unevictable and referenced:
        return Marked(True, False, file)
    return Marked(False, True, False)


@behaviour(
    "reclaim.mark-accessed",
    since="5.8",
    features=("F042", "F046"),
    source="mm/swap.c:mark_page_accessed, folio_mark_accessed; 5.8 to 6.12, without the generations of 6.1",
)
def mark_ageing(active: bool, referenced: bool, unevictable: bool, listed: bool, file: bool) -> Marked:
    """As before; activating any page is."""
    if not active and not unevictable and referenced:
        return Marked(True, False, True)
    return Marked(False, True, False)


@behaviour(
    "reclaim.starts-active",
    since="2.4.14",
    until="2.4.37",
    features=("F042",),
    source="mm/memory.c:do_anonymous_page; 2.4, version unconfirmed",
)
def anon_starts_inactive(anon: bool) -> bool:
    """Every page starts inactive, and one of anonymous memory marked."""
    return False


@behaviour(
    "reclaim.starts-active",
    since="2.6.0",
    until="5.8",
    features=("F042", "F043"),
    source="mm/swap.c:lru_cache_add_active, lru_cache_add_active_or_unevictable; 2.6.11 to 5.8",
)
def anon_starts_active(anon: bool) -> bool:
    """Whether a new page starts on the active list: an anonymous one does."""
    return anon


@behaviour(
    "reclaim.starts-active",
    since="5.9",
    features=("F042", "F043", "F046"),
    source="mm/swap.c:lru_cache_add_inactive_or_unevictable, folio_add_lru_vma; 5.9 to 6.12",
)
def all_start_inactive(anon: bool) -> bool:
    """No page does."""
    return False
