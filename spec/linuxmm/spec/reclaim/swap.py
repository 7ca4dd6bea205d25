"""Swap: how often a slot is used, which slots are read together, what is free.

A slot's count stands in a byte: up to 62, and a flag that the page is in the swap cache.  Beyond 62 the count
goes on in digits to the base of 128 that other pages hold, one byte each: the count is low + 63 * digits.

Linux: mm/swapfile.c, mm/swap_state.c.  Seed 2.4 (F004).  2.4.0 to 6.12.
"""

from typing import Final

from linuxmm.spec.invariant import clause, invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula

_FEATURES: Final = ("F004",)
SWAP_MAP_MAX: Final = 62
SWAP_CONT_MAX: Final = 127
SWAPFILE_CLUSTER: Final = 256
SLOTS_CACHED: Final = 64
"""Slots that a CPU takes at once into its cache, 4.11 to 6.12."""


@formula("F004", source="mm/swapfile.c:swap_count_continued; 2.6.33 to 6.12")
def uses(low: int, digits: tuple[int, ...]) -> int:
    """How often a slot is used, apart from the swap cache.

    low     in the slot's own byte, 0 to 62; digits  those that continue it, the least first, 0 to 127 each
    """
    value = 0
    for digit in reversed(digits):
        value = value * (SWAP_CONT_MAX + 1) + digit
    return low + (SWAP_MAP_MAX + 1) * value


@behaviour(
    "reclaim.swap.most",
    since="2.4.0",
    until="2.6.30",
    features=_FEATURES,
    source="include/linux/swap.h:SWAP_MAP_MAX; read in 2.4.0 to 2.6.28, the last release from memory",
)
def most_short() -> int:
    """The highest count of a slot in its 16 bits; a slot that reaches it is never freed before swapoff."""
    return 0x7FFF


@behaviour(
    "reclaim.swap.most",
    since="2.6.31",
    until="2.6.32",
    features=_FEATURES,
    source="include/linux/swap.h:SWAP_MAP_MAX; read in 2.6.31",
)
def most_beside_cache() -> int:
    """Likewise with one of the 16 bits for the swap cache, and the highest value for bad slots."""
    return 0x7FFE


@behaviour(
    "reclaim.swap.most",
    since="2.6.33",
    features=_FEATURES,
    source="include/linux/swap.h:SWAP_MAP_MAX; read in 2.6.34 to 6.12, the first release from memory",
)
def most_continued() -> int:
    """The highest count in the slot's own byte, before it is continued."""
    return SWAP_MAP_MAX


@behaviour(
    "reclaim.swap.window",
    since="2.4.0",
    until="3.13",
    features=_FEATURES,
    source="mm/swap_state.c:swapin_readahead; mm/memory.c; read in 2.6.24 and 3.10, the last from memory",
)
def window_fixed(previous: int, offset: int, hits: int, most: int, last: int) -> int:
    """Pages read around a slot that is wanted: always the most."""
    return most


@behaviour(
    "reclaim.swap.window",
    since="3.14",
    features=_FEATURES,
    source="mm/swap_state.c:swapin_nr_pages, __swapin_nr_pages; read in 3.14 to 6.12",
)
def window_by_hits(previous: int, offset: int, hits: int, most: int, last: int) -> int:
    """Pages read around a slot: more when pages read ahead were used, at least half of the last.

    previous  the slot wanted before; hits  pages read ahead that were used since then
    most      1 << page-cluster; last  the window before
    Ensures   1 <= result <= max(most, last // 2)
    """
    if most <= 1:
        return 1
    pages = hits + 2
    if pages == 2:
        near = offset in (previous - 1, previous + 1)
        pages = 2 if near else 1
    else:
        rounded = 4
        while rounded < pages and rounded < most:
            rounded <<= 1
        pages = rounded
    return max(min(pages, most), last // 2)


@formula("F004", source="mm/swap_state.c:swap_cluster_readahead")
def cluster_around(offset: int, window: int, slots: int) -> tuple[int, int]:
    """First and last slot of the aligned run that is read: neither slot 0, the header, nor beyond the end.

    Requires  window is a power of two, 0 < offset < slots
    """
    first = offset & ~(window - 1)
    return max(first, 1), min(first + window - 1, slots - 1)


@formula("F004", source="mm/swap_state.c:swap_ra_info; 4.14 to 6.12")
def addresses_around(previous: int, page: int, window: int) -> tuple[int, int]:
    """First virtual page that is read and the first that is not, before an area's ends are regarded.

    previous  the virtual page wanted before: going up reads ahead, going down behind, else around
    """
    if page == previous + 1:
        return page, page + window
    if previous == page + 1:
        return page - window + 1, page + 1
    left = (window - 1) // 2
    return page - left, page + window - left


@invariant("reclaim.swap.uses", features=_FEATURES, seed="2.4", since="2.6.33", source="mm/swapfile.c")
def counted(low: int, digits: tuple[int, ...], references: int) -> bool:
    """A slot's count is the number of page table entries and others that refer to it."""
    return uses(low, digits) == references


@invariant("reclaim.swap.freed", features=_FEATURES, seed="2.4", source="mm/swapfile.c:swap_entry_free")
def free_when_unused(free: bool, references: int, cached: bool) -> bool:
    """A slot is free exactly when nothing refers to it and its page is not in the swap cache."""
    return free == (references == 0 and not cached)


@invariant(
    "reclaim.swap.total", features=_FEATURES, seed="2.4", source="mm/swapfile.c:swap_show, si_swapinfo"
)
def totals_agree(total: int, free: int, sizes: int, used: int) -> bool:
    """SwapTotal is the size of all devices, and what is not free of it is what they say is used."""
    return total == sizes and total - free == used and 0 <= used <= sizes


TAKEN: Final = clause(
    "reclaim.swap.taken",
    "The slots that devices show as used are those that were taken, less those that CPUs gave back.",
    features=_FEATURES,
    source="mm/swapfile.c:swap_range_alloc, swap_range_free, swap_show; mm/swap_slots.c",
    seed="2.4",
    since="4.11",
)
TURN: Final = clause(
    "reclaim.swap.turn",
    "Devices of one priority give slots in turn, a batch at a time, and each batch is of one device.",
    features=_FEATURES,
    source="mm/swapfile.c:get_swap_pages, plist_requeue",
    seed="2.4",
    since="3.16",
)
