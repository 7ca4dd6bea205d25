"""The rules of faults, copies and pins that differ between kernels, as one record of functions.

Linux: mm/memory.c, mm/gup.c, mm/mremap.c.  Seed 2.8 (F059).
"""

from collections.abc import Callable
from typing import NamedTuple

from linuxmm.model.vm.state import Mm, Page
from linuxmm.spec.vm.page_layer import Area


class PageRules(NamedTuple):
    """How one kernel serves faults.

    reads_zero_page()               does a read of untouched anonymous memory map the zero page?
    fault_around()                  pages that a read fault of a file may map, itself included
    may_reuse(page)                 may a write to a read-only anonymous page go to the page itself?
    owned(page)                     an anonymous page that belongs to one address space, marked as such
    fork_skips(area)                are the page tables of an area left to be faulted in by the child?
    fork_copies(mm, page)           is a page that may be pinned copied at once?
    pin_refs(pin)                   references that a get (False) or a pin (True) takes
    read_hold_breaks(page, pin)     must a page be unshared before it is held for reading?
    keeps_write(forced)             does a write that a fault has broken COW for look again as a write?
    may_write_forced(page, broken)  may a forced write follow an entry that is not writable?
    move_levels()                   levels at which mremap moves whole tables, the largest first
    may_write_now(page, dirty)      does mprotect make an entry of a private page writable at once?
    """

    reads_zero_page: Callable[[], bool]
    fault_around: Callable[[], int]
    may_reuse: Callable[[Page], bool]
    owned: Callable[[Page], Page]
    fork_skips: Callable[[Area], bool]
    fork_copies: Callable[[Mm, Page], bool]
    pin_refs: Callable[[bool], int]
    read_hold_breaks: Callable[[Page, bool], bool]
    keeps_write: Callable[[bool], bool]
    may_write_forced: Callable[[Page, bool], bool]
    move_levels: Callable[[], tuple[int, ...]]
    may_write_now: Callable[[Page, bool], bool]
