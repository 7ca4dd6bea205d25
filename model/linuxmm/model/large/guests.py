"""Guests of a range who live in the page allocator's model: what is movable leaves, unless it is pinned.

Linux: mm/page_isolation.c:has_unmovable_pages.  Seed 2.1.3.2 (F036).  3.5 to 6.12.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from linuxmm.model.alloc.freelist import pageblock_type
from linuxmm.model.alloc.machine import Machine, zone_at
from linuxmm.model.alloc.request import zone_of
from linuxmm.model.alloc.rules import Rules
from linuxmm.model.defrag.evacuate import Away, Dwellers, evacuate
from linuxmm.model.defrag.state import Page
from linuxmm.spec.defrag.migration import ANON, PINNED
from linuxmm.spec.step import Errno

_CMA: Final = 5


@dataclass(frozen=True, slots=True)
class BuddyGuests:
    """Blocks in use of the model.

    pinned  heads of movable blocks that do not leave (a long-lived reference)
    signal  a fatal signal is pending
    living  what blocks hold, what others do meanwhile, what moved so far
    """

    pinned: frozenset[int] = frozenset()
    signal: bool = False
    living: Dwellers = field(default_factory=Dwellers)

    @property
    def moved(self) -> tuple[tuple[int, int, int], ...]:
        """(from, to, order) of each block that left, in order."""
        return self.living.moved

    def unmovable(self, machine: Machine, start: int, end: int) -> bool:
        """Whether a pageblock outside CMA holds a block that was not handed out as movable."""
        zone = zone_at(machine, zone_of(machine, start))
        if pageblock_type(zone, start) == _CMA:
            return False
        blocks = ((pfn, order, movable) for pfn, (order, movable) in zone.in_use.items())
        return any(pfn < end and start < pfn + (1 << order) and not movable for pfn, order, movable in blocks)

    def leave(
        self, away: Away, rules: Rules, machine: Machine, start: int, end: int
    ) -> tuple["BuddyGuests", Machine, Errno | None]:
        """Move what can leave to where a movable request is served from now."""
        pages = self.living.pages
        for pfn in self.pinned:
            page = pages.get(pfn) or Page(ANON, pfn)
            pages = pages.set(pfn, page._replace(flags=page.flags | PINNED))
        living = replace(self.living, pages=pages)
        living, machine, errno = evacuate(away, rules, machine, living, start, end, self.signal)
        return replace(self, living=living), machine, errno
