"""Whose a page is: what its entries, its counts and its holders must agree on.

Linux: mm/memory.c, mm/rmap.c, mm/gup.c, include/linux/page-flags.h:PageAnonExclusive.  Seed 2.8 (F059).
"""

from typing import NamedTuple

from linuxmm.spec.invariant import clause, invariant


class Use(NamedTuple):
    """Everything that refers to one page, counted over all address spaces.

    refs, maps  what struct page says: page_count and page_mapcount
    exclusive   PageAnonExclusive
    anon        anonymous, a private copy included
    cached      entries of the page cache that hold it: 0 or 1
    held        references of holders, a pin at its bias
    entries     page-table entries that map it
    private     of these, entries of private areas;  writable: of these again, writable ones
    onlookers   holders whose address space is not one with a writable private entry
    pins        holders that pinned it, and may write through the pin
    """

    refs: int
    maps: int
    exclusive: bool
    anon: bool
    cached: int
    held: int
    entries: int
    private: int
    writable: int
    onlookers: int
    pins: int


@invariant("vm.page.mapcount", features=("F059",), seed="2.8", source="mm/rmap.c:page_add_anon_rmap")
def mapcount_is_entries(use: Use) -> bool:
    """The map count of a page is the number of entries that map it."""
    return use.maps == use.entries


@invariant("vm.page.refcount", features=("F059",), seed="2.8", source="include/linux/page_ref.h")
def refcount_is_references(use: Use) -> bool:
    """The reference count of a page is what refers to it: entries, the page cache, and holders."""
    return use.refs == use.entries + use.cached + use.held and use.refs > 0


@invariant("vm.cow.sole-writer", features=("F059",), seed="2.8", source="mm/memory.c:do_wp_page")
def writable_means_sole(use: Use) -> bool:
    """A private page that an entry may write is mapped by that entry alone, and in no cache."""
    return use.writable == 0 or (use.entries == 1 and use.anon and use.cached == 0)


@invariant(
    "vm.cow.exclusive", features=("F059",), seed="2.8", source="include/linux/page-flags.h:PageAnonExclusive"
)
def exclusive_means_sole(use: Use) -> bool:
    """A page that is marked exclusive is anonymous, and at most one entry maps it."""
    return not use.exclusive or (use.anon and use.entries <= 1)


@invariant(
    "vm.cow.marked",
    features=("F059",),
    seed="2.8",
    since="5.19",
    source="mm/memory.c:do_wp_page, VM_BUG_ON(pte_write && !PageAnonExclusive)",
)
def writable_means_exclusive(use: Use) -> bool:
    """A private page that an entry may write is marked exclusive."""
    return use.writable == 0 or use.exclusive


@invariant(
    "vm.cow.onlooker",
    features=("F059",),
    seed="2.8",
    source="mm/gup.c (CVE-2020-29374); commit 17839856fd5",
)
def nobody_looks_on(use: Use) -> bool:
    """A private page that may be written is held by nobody of another address space."""
    return use.writable == 0 or use.onlookers == 0


@invariant(
    "vm.pin.sole",
    features=("F059",),
    seed="2.8",
    since="5.9",
    source="mm/memory.c:copy_present_page; commit 70e806e4e64",
)
def pinned_means_sole(use: Use) -> bool:
    """An anonymous page that is pinned for writing is mapped by at most one entry."""
    return use.pins == 0 or not use.anon or use.entries <= 1


PINNED_STAYS = clause(
    "vm.pin.stays",
    "A copy on write never takes a page away from the address space that pinned it.",
    features=("F059",),
    seed="2.8",
    since="5.19",
    source="mm/memory.c:do_wp_page; mm/gup.c:gup_must_unshare",
)
COUNTERS = clause(
    "vm.mm.counters",
    "The resident pages of an address space, by kind, are the entries that map them.",
    features=("F059",),
    seed="2.8",
    source="include/linux/mm.h:mm_counter; mm/memory.c:add_mm_rss_vec",
)
TABLES = clause(
    "vm.mm.tables",
    "The page tables that are counted are those that can be reached, and each has one owner.",
    features=("F040",),
    seed="2.3.1",
    source="include/linux/mm.h:pgtable_pte_page_ctor, mm_inc_nr_ptes",
)
FRAMES = clause(
    "vm.frames.once",
    "A frame is free, a table, or a page, and one of them only.",
    features=("F040", "F059"),
    seed="2.3.1",
    source="mm/page_alloc.c:page_expected_state",
)
