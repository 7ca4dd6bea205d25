"""Guests of a range who live in the page allocator's model: what is movable leaves, unless it is pinned.

Linux: mm/page_alloc.c:__alloc_contig_migrate_range, mm/page_isolation.c:has_unmovable_pages.
Seed 2.1.3.2 (F036).  3.5 to 6.12.
"""

from dataclasses import dataclass, replace
from typing import Final

from linuxmm.model.alloc.freelist import NOTHING, pageblock_type
from linuxmm.model.alloc.machine import Machine, zone_at
from linuxmm.model.alloc.request import alloc_fast, alloc_min, free_pages, zone_of
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.gfp import GFP_HIGHUSER_MOVABLE
from linuxmm.spec.alloc.request import request
from linuxmm.spec.step import Errno

_CMA: Final = 5


@dataclass(frozen=True, slots=True)
class BuddyGuests:
    """Blocks in use of the model.

    pinned  heads of movable blocks that do not leave (a long-lived reference)
    signal  a fatal signal is pending
    moved   (from, to, order) of each block that left, in order
    """

    pinned: frozenset[int] = frozenset()
    signal: bool = False
    moved: tuple[tuple[int, int, int], ...] = ()

    def unmovable(self, machine: Machine, start: int, end: int) -> bool:
        """Whether a pageblock outside CMA holds a block that was not handed out as movable."""
        zone = zone_at(machine, zone_of(machine, start))
        if pageblock_type(zone, start) == _CMA:
            return False
        blocks = ((pfn, order, movable) for pfn, (order, movable) in zone.in_use.items())
        return any(pfn < end and start < pfn + (1 << order) and not movable for pfn, order, movable in blocks)

    def leave(
        self, rules: Rules, machine: Machine, start: int, end: int
    ) -> tuple["BuddyGuests", Machine, Errno | None]:
        """Move every block of the range to where a movable request is served from now."""
        if self.signal:
            return self, machine, Errno.EINTR
        zone = zone_at(machine, zone_of(machine, start))
        guests = self
        stayed = False
        for pfn, (order, movable) in sorted(zone.in_use.items()):
            if pfn + (1 << order) <= start or end <= pfn:
                continue
            if pfn in self.pinned or not movable:
                stayed = True
                continue
            asked = request(order, GFP_HIGHUSER_MOVABLE, node=zone.node)
            machine, target, _ = alloc_fast(rules, machine, asked)
            if target == NOTHING:
                machine, target, _ = alloc_min(rules, machine, asked, False)
            if target == NOTHING:
                return guests, machine, Errno.ENOMEM
            machine = free_pages(rules, machine, 0, pfn, order)
            guests = replace(guests, moved=(*guests.moved, (pfn, target, order)))
        return guests, machine, Errno.EBUSY if stayed else None
