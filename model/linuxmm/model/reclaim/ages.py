"""Primitives of reclaim by age: a page's age, the clean pages of a zone, what is noted of address spaces.

Linux: struct page, struct mm_struct (swap_cnt, swap_address), zone->inactive_clean_list; 2.4.0 to 2.4.9.
Seed 2.4.1 (F004, F042).
"""

from dataclasses import replace
from typing import Final

from linuxmm.model.reclaim.spaces import END_OF_SPACES, tables
from linuxmm.model.reclaim.state import NOTHING, SWAPBACKED, Lruvec, zone_of
from linuxmm.spec.reclaim.lists import ACTIVE_FILE, INACTIVE_ANON, INACTIVE_FILE, UNEVICTABLE

AGE_SHIFT: Final = 24
AGE_BITS: Final = 0x7F << AGE_SHIFT
"""The age of a page stands in its flags."""

DIRTY_LIST: Final = INACTIVE_FILE
CLEAN_LIST: Final = INACTIVE_ANON
UNLISTED: Final = UNEVICTABLE
"""The lists of this era by the numbers of later ones.  Anonymous memory without swap is on no list: here
it is on one that nobody scans."""
CLEAN: Final = SWAPBACKED
"""PG_inactive_clean, in the place of a flag that nothing else of this era has."""


def list_of_three(active: bool, file: bool, unevictable: bool) -> int:
    """The list of a page: of those that are not active, of clean ones if its flag says so."""
    if unevictable:
        return UNLISTED
    if active:
        return ACTIVE_FILE
    return DIRTY_LIST if file else CLEAN_LIST


# ---- questions ---------------------------------------------------------------------------------------------


def age_of(v: Lruvec, page: int) -> int:
    """A page's age."""
    return v.pages[page].flags >> AGE_SHIFT


def oldest_clean(v: Lruvec, zone: int) -> int:
    """The clean page of a zone that was put on its list first, or NOTHING."""
    for page in reversed(v.lists[CLEAN_LIST]):
        if zone_of(v, page) == zone:
            return page
    return NOTHING


def pressure_of(v: Lruvec) -> int:
    """memory_pressure."""
    return v.pressure


def left_of(v: Lruvec, space: int) -> int:
    """swap_cnt: pages of an address space still to be looked at."""
    return v.mms[space][0] if v.mms else 0


def position_of(v: Lruvec, space: int) -> int:
    """swap_address: where the walk through an address space goes on."""
    return v.mms[space][1] if v.mms else v.spaces[space]


def _range_of(v: Lruvec, space: int) -> tuple[int, int]:
    end = v.spaces[space + 1] if space + 1 < len(v.spaces) else END_OF_SPACES
    return v.spaces[space], end


def rss_of(v: Lruvec, space: int) -> int:
    """Mapped pages of an address space."""
    start, end = _range_of(v, space)
    return sum(start <= entry.address < end for own in tables(v).entries.values() for entry in own)


def entry_in(v: Lruvec, space: int, address: int) -> int:
    """The first mapped page of an address space from an address on, or NOTHING."""
    return tables(v).entry_from(address, _range_of(v, space)[1])


# ---- elementary changes ------------------------------------------------------------------------------------


def set_age(v: Lruvec, page: int, age: int) -> Lruvec:
    """Change a page's age."""
    old = v.pages[page]
    flags = old.flags & ~AGE_BITS | age << AGE_SHIFT
    return replace(v, pages=v.pages.set(page, old._replace(flags=flags)))


def set_pressure(v: Lruvec, pressure: int) -> Lruvec:
    """Change memory_pressure."""
    return replace(v, pressure=pressure)


def set_walk(v: Lruvec, space: int, left: int, position: int) -> Lruvec:
    """Change what is noted of an address space; a position of NOTHING is its start."""
    fresh = tuple((0, start) for start in v.spaces)
    mms = v.mms or fresh
    at = v.spaces[space] if position == NOTHING else position
    mms = (*mms[:space], (left, at), *mms[space + 1 :])
    return replace(v, mms=() if mms == fresh else mms)


def next_space(v: Lruvec) -> tuple[Lruvec, int]:
    """The address space whose turn it is; then it is the next one's."""
    space = v.walk[0]
    return replace(v, walk=((space + 1) % len(v.spaces), v.walk[1])), space
