"""The walk through address spaces that unmaps pages where there is no reverse map.

Linux: mm/vmscan.c:swap_out, try_to_swap_out; 2.4.14 to 2.4.37.  Seed 2.4.1 (F004, F042).
"""

from linuxmm.model.reclaim.accesses import mark_accessed
from linuxmm.model.reclaim.rules import Control, Rules
from linuxmm.model.reclaim.spaces import (
    entry_from,
    finish_space,
    nr_spaces,
    page_at,
    start_space,
    unmap_at,
    used_at,
    walk_on,
)
from linuxmm.model.reclaim.state import (
    ACTIVE,
    ANON,
    LOCKED,
    NOTHING,
    PINNED,
    SWAPCACHE,
    WRITEBACK,
    Lruvec,
    has,
    mapped,
    take_slot,
    zone_of,
)
from linuxmm.spec.reclaim.scan_2_4 import rounds_of_swap_out
from linuxmm.spec.registry import verb
from linuxmm.spec.vocabulary import SWAP_CLUSTER_MAX


@verb("F004", "F042", source="mm/vmscan.c:swap_out, swap_out_mm; 2.4.14 to 2.4.37")
def swap_out(rules: Rules, v: Lruvec, control: Control) -> tuple[Lruvec, bool]:
    """Go on where the last walk stopped, and unmap until 32 pages could be freed: whether they were found.

    Ensures   no page is freed here but one that nobody else holds; each space is entered a bounded number of
              times
    """
    wanted = SWAP_CLUSTER_MAX
    for _ in range(rounds_of_swap_out(nr_spaces(v), rules.refills_again)):
        v = start_space(v)
        address = entry_from(v)
        while address != NOTHING:
            v, freeable = try_to_swap_out(rules, walk_on(v, address), address, control)
            if freeable:
                wanted -= 1
                if wanted == 0:
                    return v, True
            address = entry_from(v)
        v = finish_space(v)
    return v, False


@verb("F004", "F042", source="mm/vmscan.c:try_to_swap_out; 2.4.14 to 2.4.37")
def try_to_swap_out(rules: Rules, v: Lruvec, address: int, control: Control) -> tuple[Lruvec, bool]:
    """Judge one page-table entry: whether its page can be freed now.

    An entry that was used, or is of a locked area, marks its page.  Anonymous memory gets a slot of swap; it
    is taken for dirty, as every page is that a write fault made.
    Ensures   an entry goes only from an inactive page of the class that nobody has locked
    """
    page = page_at(v, address)
    v, used = used_at(v, address)
    if used:
        return mark_accessed(rules, v, page), False
    if has(v, page, ACTIVE) or zone_of(v, page) > control.reclaim_idx:
        return v, False
    if has(v, page, LOCKED) or has(v, page, WRITEBACK):
        return v, False
    if has(v, page, ANON) and not has(v, page, SWAPCACHE):
        v, taken = take_slot(v, page)
        if not taken:
            return v, False
    alone = mapped(v, page) == 1 and not has(v, page, PINNED)
    return unmap_at(v, address), alone
