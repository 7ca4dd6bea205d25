"""What becomes of pages that cannot be dropped yet: under writeback, or dirty.

Linux: mm/vmscan.c:shrink_page_list, shrink_folio_list.  Seed 2.4.1 (F042).
"""

from typing import Final

from linuxmm.spec.kernel import behaviour
from linuxmm.spec.reclaim.lists import DEF_PRIORITY
from linuxmm.spec.reclaim.references import ACTIVATE, KEEP

WRITE: Final = -1
"""The page is written out."""


@behaviour(
    "reclaim.on-writeback",
    since="2.6.0",
    until="4.11",
    features=("F042",),
    source="mm/vmscan.c:shrink_page_list; 2.6.11 to 4.10 (4.11 unconfirmed); without lumpy waits",
)
def keeps_under_writeback() -> int:
    """A page under writeback goes round the inactive list."""
    return KEEP


@behaviour(
    "reclaim.on-writeback",
    since="4.12",
    features=("F042",),
    source="mm/vmscan.c:shrink_page_list, shrink_folio_list; 4.12 to 6.12",
)
def activates_under_writeback() -> int:
    """It waits on the active list; the end of writing brings it back to the tail of the inactive one."""
    return ACTIVATE


@behaviour(
    "reclaim.dirty-waits",
    since="2.6.0",
    until="3.1",
    features=("F042",),
    source="mm/vmscan.c:shrink_page_list; 2.6.11 to 2.6.39 (3.0, 3.1 unconfirmed)",
)
def dirty_is_written(kswapd: bool, priority: int, marked: bool, many: bool) -> int:
    """Whoever finds a dirty page of a file writes it.

    marked  PG_reclaim: it was met before; many: the tail of the list is dirty pages
    """
    return WRITE


@behaviour(
    "reclaim.dirty-waits",
    since="3.2",
    until="3.10",
    features=("F042",),
    source="mm/vmscan.c:shrink_page_list; 3.4 to 3.10 (3.2, 3.3 unconfirmed)",
)
def dirty_waits_for_priority(kswapd: bool, priority: int, marked: bool, many: bool) -> int:
    """The daemon alone writes, and only when it finds it hard."""
    return WRITE if kswapd and priority < DEF_PRIORITY - 2 else KEEP


@behaviour(
    "reclaim.dirty-waits",
    since="3.11",
    until="4.11",
    features=("F042",),
    source="mm/vmscan.c:shrink_page_list; 3.13 to 4.10 (3.11, 3.12, 4.11 unconfirmed)",
)
def dirty_waits_for_many(kswapd: bool, priority: int, marked: bool, many: bool) -> int:
    """The daemon alone writes, and only when all it meets is dirty."""
    return WRITE if kswapd and many else KEEP


@behaviour(
    "reclaim.dirty-waits",
    since="4.12",
    features=("F042",),
    source="mm/vmscan.c:shrink_page_list, shrink_folio_list; 4.12 to 6.12",
)
def dirty_waits_twice(kswapd: bool, priority: int, marked: bool, many: bool) -> int:
    """As before, at the second meeting; until then it waits on the active list."""
    return WRITE if kswapd and marked and many else ACTIVATE
