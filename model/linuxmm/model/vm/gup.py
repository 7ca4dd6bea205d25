"""get_user_pages: holding a page without mapping it, for reading or writing, by right or by force.

Linux: mm/gup.c.  Seed 2.8 (F059, F086).  2.6.11 to 6.12.
The loop is a step machine: between two steps other threads may change what is mapped.
"""

from dataclasses import replace
from typing import NamedTuple

from linuxmm.model.vm.fault import Served, handle_fault
from linuxmm.model.vm.page_rules import PageRules
from linuxmm.model.vm.state import (
    NOTHING,
    PIN_BIAS,
    Hold,
    Page,
    Pages,
    entry,
    get_page,
    page_at,
    put_page,
    with_entry,
    with_mm,
    with_page,
)
from linuxmm.model.vm.table import find
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import verb
from linuxmm.spec.vm.flags import VM_WRITE
from linuxmm.spec.vm.page_layer import Area
from linuxmm.spec.vm.pte import SPECIAL, frame_of, is_mapped
from linuxmm.spec.vm.x86_entry import ACCESSED, DIRTY, PRESENT, WRITABLE


class Request(NamedTuple):
    """What get_user_pages is asked for, and what it remembers from one look to the next.

    write   FOLL_WRITE; cleared by the kernels that Dirty COW is named after
    forced  FOLL_FORCE
    pin     FOLL_PIN, else FOLL_GET
    broken  FOLL_COW: a fault has broken COW for this write
    """

    write: bool
    forced: bool = False
    pin: bool = False
    broken: bool = False


class Look(NamedTuple):
    """What one look at the tables found: a frame, or NOTHING and how the fault should be served."""

    frame: int
    unshare: bool = False


@behaviour(
    "vm.keeps-write",
    since="2.4.0",
    until="4.8",
    replaced_in=("4.4.26", "4.7.9", "4.8.3"),
    features=("F059",),
    source="mm/gup.c:faultin_page; 2.6.11 to 4.8.2",
)
def forgets_forced_write(forced: bool) -> bool:
    """After a forced write has broken COW the page is looked up as for reading: Dirty COW, CVE-2016-5195."""
    return not forced


@behaviour(
    "vm.keeps-write",
    since="4.9",
    until="6.18",
    backports=("4.4.26", "4.7.9", "4.8.3"),
    features=("F059",),
    source="mm/gup.c:faultin_page; commit 19be0eaffa3; 4.9 to 6.12",
)
def keeps_write(forced: bool) -> bool:
    """A write stays a write until its page is found."""
    return True


@behaviour(
    "vm.may-write-forced",
    since="2.4.0",
    until="5.19",
    features=("F059",),
    source="mm/gup.c:can_follow_write_pte; 4.9 to 5.19 (never met before: the write is forgotten)",
)
def forced_after_break(page: Page, broken: bool) -> bool:
    """A forced write follows a read-only entry once a fault has broken COW (and the entry is dirty)."""
    return broken


@behaviour(
    "vm.may-write-forced",
    since="6.0",
    until="6.18",
    features=("F059",),
    source="mm/gup.c:can_follow_write_pte; commit 5535be30997; 6.1, 6.12",
)
def forced_if_exclusive(page: Page, broken: bool) -> bool:
    """A forced write follows a read-only entry to an exclusive anonymous page."""
    return page.anon and page.exclusive


@behaviour(
    "vm.read-hold-breaks",
    since="2.4.0",
    until="5.7",
    replaced_in=("5.7.3",),
    features=("F059",),
    source="mm/gup.c:follow_page_pte; 2.6.11 to 5.7",
)
@behaviour(
    "vm.read-hold-breaks",
    since="5.9",
    until="5.18",
    features=("F059",),
    source="mm/gup.c:follow_page_pte; commit a308c71bf1e; 5.9 to 5.18",
)
def read_holds_as_mapped(page: Page, pin: bool) -> bool:
    """Whatever is mapped is held."""
    return False


@behaviour(
    "vm.read-hold-breaks",
    since="5.8",
    until="5.8",
    backports=("5.7.3",),
    features=("F059",),
    source="mm/gup.c:should_force_cow_break; commit 17839856fd5; 5.8",
)
def read_hold_breaks_cow(page: Page, pin: bool) -> bool:
    """Holding a shared anonymous page breaks COW first (it did so for private pages of files too)."""
    return page.anon and page.maps > 1


@behaviour(
    "vm.read-hold-breaks",
    since="5.19",
    until="6.18",
    features=("F059",),
    source="mm/gup.c:gup_must_unshare; commit a7f22660409; 6.1, 6.12",
)
def read_pin_unshares(page: Page, pin: bool) -> bool:
    """A pin for reading takes an exclusive page, made so if need be; a plain reference what there is."""
    return pin and page.anon and not page.exclusive


@behaviour(
    "vm.pin-refs",
    since="2.4.0",
    until="5.5",
    features=("F059",),
    source="mm/gup.c:follow_page_pte; 2.6.11 to 5.5",
)
def pin_is_a_reference(pin: bool) -> int:
    """A pin cannot be told from a reference."""
    return 1


@behaviour(
    "vm.pin-refs",
    since="5.6",
    until="6.18",
    features=("F059",),
    source="mm/gup.c:try_grab_page; include/linux/mm.h:GUP_PIN_COUNTING_BIAS; 5.6 to 6.12",
)
def pin_is_biased(pin: bool) -> int:
    """A pin takes 1024 references."""
    return PIN_BIAS if pin else 1


# ---- one look, one fault ---------------------------------------------------------------------------------


def follow_page(
    rules: PageRules, pages: Pages, space: int, area: Area, address: int, request: Request
) -> Look:
    """Look the page up as the tables are; NOTHING when a fault has to be served first.

    Source    mm/gup.c:follow_page_pte, can_follow_write_pte
    """
    at = find(pages, space, address)
    value = entry(pages, at) if at != NOTHING else 0
    if not is_mapped(value) or (value & PRESENT == 0 and not request.forced):
        return Look(NOTHING)
    frame = frame_of(value)
    if value & SPECIAL:
        return Look(NOTHING if request.write else frame)
    page = page_at(pages, frame)
    if request.write and value & WRITABLE == 0:
        forced = request.forced and area.flags & VM_WRITE == 0 and value & DIRTY != 0
        if not (forced and rules.may_write_forced(page, request.broken)):
            return Look(NOTHING)
    if not request.write and value & WRITABLE == 0 and rules.read_hold_breaks(page, request.pin):
        return Look(NOTHING, unshare=True)
    return Look(frame)


def faultin_page(
    rules: PageRules, pages: Pages, space: int, area: Area, address: int, request: Request, unshare: bool
) -> tuple[Pages, Request, Served]:
    """Serve the fault that a look asked for, and say how to look again.

    Source    mm/gup.c:faultin_page
    """
    pages, outcome = handle_fault(rules, pages, space, area, address, request.write, unshare)
    if outcome == Served.BROKEN and request.write and area.flags & VM_WRITE == 0:
        if rules.keeps_write(request.forced):
            request = request._replace(broken=True)
        else:
            request = request._replace(write=False)
    return pages, request, outcome


@verb("F059", "F086", source="mm/gup.c:__get_user_pages; 2.6.11 to 6.12")
def get_user_page(
    rules: PageRules, pages: Pages, space: int, area: Area, address: int, request: Request
) -> tuple[Pages, int, Served]:
    """(pages, frame or NOTHING, how it ended): the page at an address, faulted in as need be.

    Requires  the area permits what is asked (`linuxmm.spec.vm.rights.remote_may`)
    """
    while True:
        look = follow_page(rules, pages, space, area, address, request)
        if look.frame != NOTHING:
            return pages, look.frame, Served.MINOR
        pages, request, outcome = faultin_page(rules, pages, space, area, address, request, look.unshare)
        if outcome in (Served.BUS, Served.OOM):
            return pages, NOTHING, outcome


@verb("F059", source="mm/gup.c:try_grab_page, pin_user_pages; 2.6.11 to 6.12")
def hold(
    rules: PageRules,
    pages: Pages,
    handle: int,
    space: int,
    address: int,
    frame: int,
    request: Request,
    wrote: bool,
) -> Pages:
    """Take the references of a hold, and mark the entry as used.

    wrote  the hold may be written through, whatever is left of the request
    """
    if frame != pages.zero:
        pages = get_page(pages, frame, rules.pin_refs(request.pin))
    at = find(pages, space, address)
    pages = with_entry(pages, at, entry(pages, at) | ACCESSED)
    if request.pin:
        mm = pages.mms[space]
        pages = with_mm(pages, space, mm._replace(has_pinned=True))
    held = Hold(frame, space, address, wrote, request.pin)
    return replace(pages, holds=pages.holds.set(handle, held))


@verb("F059", source="mm/gup.c:unpin_user_pages_dirty_lock; 2.6.11 to 6.12")
def release(rules: PageRules, pages: Pages, handle: int) -> Pages:
    """Give a hold up; a page that may have been written through it is dirty."""
    held = pages.holds[handle]
    pages = replace(pages, holds=pages.holds.delete(handle))
    if held.frame == pages.zero:
        return pages
    if held.write:
        page = page_at(pages, held.frame)
        pages = with_page(pages, held.frame, page._replace(dirty=True, lazy=False))
    return put_page(pages, held.frame, rules.pin_refs(held.pin))
