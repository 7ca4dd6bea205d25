"""Primitives of a walk through address spaces: which entry is next, whether it was used, and where to go on.

Linux: mm->swap_address, swap_mm (mm/vmscan.c:swap_out_mm); 2.4.14 to 2.4.37.  Seed 2.4.1 (F004, F042).
"""

from dataclasses import replace
from typing import Final

from linuxmm.model.reclaim.outside import Mappings
from linuxmm.model.reclaim.state import DIRTY, Lruvec, flag

END_OF_SPACES: Final = 1 << 62
"""Behind every address."""


def tables(v: Lruvec) -> Mappings:
    """The reverse map as a table, which can be read by address.

    Requires  it is one
    """
    if not isinstance(v.rmap, Mappings):
        raise TypeError(f"expected Mappings as the reverse map, got {type(v.rmap).__name__}")
    return v.rmap


def nr_spaces(v: Lruvec) -> int:
    """Address spaces of the machine."""
    return len(v.spaces)


def entry_from(v: Lruvec) -> int:
    """The first mapped page of the address space where the walk is, from there on; NOTHING at the end."""
    space, address = v.walk
    end = v.spaces[space + 1] if space + 1 < len(v.spaces) else END_OF_SPACES
    return tables(v).entry_from(address, end)


def page_at(v: Lruvec, address: int) -> int:
    """The page of memory that is mapped at a page of an address space.

    Requires  one is
    """
    return tables(v).page_at(address)


def start_space(v: Lruvec) -> Lruvec:
    """A walk that is through with an address space begins the next."""
    space, address = v.walk
    if address != END_OF_SPACES:
        return v
    space = (space + 1) % len(v.spaces)
    return replace(v, walk=(space, v.spaces[space]))


def walk_on(v: Lruvec, address: int) -> Lruvec:
    """The walk goes on behind a page."""
    return replace(v, walk=(v.walk[0], address + 1))


def finish_space(v: Lruvec) -> Lruvec:
    """The walk is through with an address space."""
    return replace(v, walk=(v.walk[0], END_OF_SPACES))


def used_at(v: Lruvec, address: int) -> tuple[Lruvec, bool]:
    """The accessed bit of the entry at a page of an address space, found and cleared.

    The entry of a locked area counts as used.
    """
    rmap, used = tables(v).used_at(address)
    return replace(v, rmap=rmap), used


def unmap_at(v: Lruvec, address: int) -> Lruvec:
    """Remove the entry at a page of an address space; a dirty one makes the page of memory dirty."""
    page = tables(v).page_at(address)
    rmap, dirty = tables(v).unmap_at(address)
    v = replace(v, rmap=rmap)
    return flag(v, page, DIRTY, True) if dirty else v
