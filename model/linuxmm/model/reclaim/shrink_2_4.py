"""Reclaim of 2.4: an active and an inactive list of the whole machine, freed for a class of zones.

Pages under I/O are locked in 2.4; here they are under writeback, and waiting for one ends its writeback.
Counters carry their later names, for comparison; 2.4 shows none of them.

Linux: mm/vmscan.c:shrink_cache, refill_inactive, shrink_caches, try_to_free_pages, kswapd_balance;
2.4.14 to 2.4.37.  Seed 2.4.1 (F042).
"""

from typing import Final

from linuxmm.model.reclaim.counters import (
    ALLOCSTALL,
    NR_VMSCAN_WRITE,
    PAGEOUTRUN,
    PGDEACTIVATE,
    PGREFILL,
    PGSCAN_DIRECT,
    PGSCAN_KSWAPD,
    PGSTEAL_DIRECT,
    PGSTEAL_KSWAPD,
)
from linuxmm.model.reclaim.events import (
    MmFilemapDeleteFromPageCache,
    MmVmscanDirectReclaimBegin,
    MmVmscanDirectReclaimEnd,
    MmVmscanKswapdSleep,
    MmVmscanKswapdWake,
    MmVmscanWriteFolio,
)
from linuxmm.model.reclaim.outside import PAGE_SYNCED, PAGE_WRITTEN
from linuxmm.model.reclaim.rules import Control, Progress, Rules, control_at, control_of, with_done
from linuxmm.model.reclaim.state import (
    ACTIVE,
    ANON,
    DIRTY,
    LOCKED,
    NOTHING,
    PINNED,
    REFERENCED,
    SWAPCACHE,
    WRITEBACK,
    Lruvec,
    add_head,
    count,
    flag,
    forget,
    has,
    mapped,
    marks_of,
    nr_zones,
    pageout,
    remove,
    size_below,
    size_of,
    slot_of,
    tail,
    trace,
    zone_of,
)
from linuxmm.model.reclaim.swap_out import swap_out
from linuxmm.spec.reclaim.lists import ACTIVE_FILE, INACTIVE_FILE
from linuxmm.spec.reclaim.scan_2_4 import DEF_PRIORITY, VM_PASSES
from linuxmm.spec.registry import verb
from linuxmm.spec.vocabulary import SWAP_CLUSTER_MAX

FREED: Final = 0
STAYS: Final = 1
IN_USE: Final = 2
"""What `shrink_page` answers; a page in use counts against the room for such pages."""


def listed(rules: Rules, v: Lruvec, lru: int, control: Control) -> int:
    """Pages of a list that reclaim goes by: all of them, or since 2.4.23 those of the class."""
    return size_below(v, lru, control.reclaim_idx) if rules.refills_again else size_of(v, lru)


@verb("F042", source="mm/vmscan.c:refill_inactive; 2.4.14 to 2.4.37")
def refill_inactive(rules: Rules, v: Lruvec, wanted: int, control: Control) -> Lruvec:
    """Take unmarked pages from the tail of the active list down; marked ones go round, and lose the mark.

    Ensures   a page that was taken down is marked, so that one access brings it back
    """
    left = rules.refill_amount(
        wanted, listed(rules, v, ACTIVE_FILE, control), listed(rules, v, INACTIVE_FILE, control)
    )
    while left > 0 and tail(v, ACTIVE_FILE) != NOTHING:
        page = tail(v, ACTIVE_FILE)
        v = count(remove(v, page, ACTIVE_FILE), PGREFILL)
        if has(v, page, REFERENCED):
            v = add_head(flag(v, page, REFERENCED, False), page, ACTIVE_FILE)
            continue
        left -= 1
        v = flag(flag(v, page, ACTIVE, False), page, REFERENCED, True)
        v = count(add_head(v, page, INACTIVE_FILE), PGDEACTIVATE)
    return v


@verb("F042", source="mm/vmscan.c:shrink_cache; 2.4.14 to 2.4.37")
def shrink_page(rules: Rules, v: Lruvec, page: int, control: Control) -> tuple[Lruvec, int]:
    """Judge an inactive page that just went to the head: FREED (and it is gone), STAYS or IN_USE.

    Ensures   a page that is freed was clean, not locked, not mapped and held by nobody
    """
    outside = has(v, page, ANON) and not has(v, page, SWAPCACHE)
    if mapped(v, page) or has(v, page, PINNED) or outside:
        return v, IN_USE
    if has(v, page, WRITEBACK):
        return flag(v, page, WRITEBACK, False) if control.fs else v, STAYS
    if has(v, page, LOCKED):
        return v, STAYS
    if has(v, page, DIRTY):
        return _launder(v, page) if control.fs else v, STAYS
    if not has(v, page, ANON):
        v = trace(v, MmFilemapDeleteFromPageCache(page, slot_of(v, page)))
    return forget(remove(v, page, INACTIVE_FILE), page), FREED


def _launder(v: Lruvec, page: int) -> Lruvec:
    """Begin to write a page; one that its owner does not want to write is dirty again."""
    v, how = pageout(v, page)
    if how not in (PAGE_WRITTEN, PAGE_SYNCED):
        return v
    v = trace(count(flag(v, page, DIRTY, False), NR_VMSCAN_WRITE), MmVmscanWriteFolio(page))
    return flag(v, page, WRITEBACK, True) if how == PAGE_WRITTEN else v


@verb("F042", source="mm/vmscan.c:shrink_cache; 2.4.14 to 2.4.37")
def shrink_cache(
    rules: Rules, v: Lruvec, control: Control, walked_in_vain: bool
) -> tuple[Lruvec, Control, bool]:
    """Look at inactive pages from the tail, each of which goes to the head, until enough is freed.

    With too many pages in use among them address spaces are walked: up to 2.4.22 that ends the pass, later it
    goes on after the active list gave some more.
    walked_in_vain  no walk of this run is to follow, since the last found too little
    Ensures   ends: every page looked at counts, and pages of higher zones are at most one round
    """
    wanted = control.target - control.reclaimed
    active = listed(rules, v, ACTIVE_FILE, control)
    inactive = listed(rules, v, INACTIVE_FILE, control)
    scans = rules.cache_scan(inactive, active, control.priority)
    room = rules.mapped_room(wanted, scans, control.priority)
    scanned = freed = 0
    while scans > 0 and freed < wanted and listed(rules, v, INACTIVE_FILE, control) > 0:
        page = tail(v, INACTIVE_FILE)
        v = add_head(remove(v, page, INACTIVE_FILE), page, INACTIVE_FILE)
        in_class = zone_of(v, page) <= control.reclaim_idx
        if in_class or not rules.refills_again:
            scans -= 1
        if not in_class:
            continue
        scanned += 1
        v, outcome = shrink_page(rules, v, page, control)
        if outcome == FREED:
            freed += 1
        elif outcome == IN_USE:
            room -= 1
            if room < 0:
                if not walked_in_vain:
                    v, found = swap_out(rules, v, control)
                    walked_in_vain = rules.refills_again and not found
                if not rules.refills_again:
                    break
                room = rules.mapped_room(wanted - freed, scans, control.priority)
                v = refill_inactive(rules, v, wanted - freed, control)
    v = count(v, PGSCAN_KSWAPD if control.kswapd else PGSCAN_DIRECT, scanned)
    v = count(v, PGSTEAL_KSWAPD if control.kswapd else PGSTEAL_DIRECT, freed)
    return v, with_done(control, scanned, freed), walked_in_vain


@verb("F042", source="mm/vmscan.c:try_to_free_pages; 2.4.14 to 2.4.22")
def free_by_priority(rules: Rules, v: Lruvec, control: Control) -> tuple[Lruvec, Control]:
    """Free 32 pages: six passes over more and more of the inactive list."""
    priority = DEF_PRIORITY
    while priority > 0 and control.reclaimed < control.target:
        control = control_at(control, priority, control.target, control.scanned, control.reclaimed)
        v = refill_inactive(rules, v, control.target - control.reclaimed, control)
        v, control, _ = shrink_cache(rules, v, control, False)
        priority -= 1
    return v, control


@verb("F042", source="mm/vmscan.c:try_to_free_pages_zone; 2.4.23 to 2.4.37")
def free_by_passes(rules: Rules, v: Lruvec, control: Control) -> tuple[Lruvec, Control]:
    """Free 32 pages: up to 60 passes, with a walk through address spaces after each until one is in vain."""
    walked_in_vain = not control.io
    for _ in range(VM_PASSES):
        v = refill_inactive(rules, v, control.target - control.reclaimed, control)
        v, control, walked_in_vain = shrink_cache(rules, v, control, walked_in_vain)
        if control.reclaimed >= control.target:
            break
        if not walked_in_vain:
            v, found = swap_out(rules, v, control)
            walked_in_vain = not found
    return v, control


def _freed(rules: Rules, v: Lruvec, kswapd: bool, zone: int) -> tuple[Lruvec, Control]:
    """One call to free 32 pages, by the daemon or by a task."""
    control = control_of(0, kswapd, zone, 0)
    control = control_at(control, DEF_PRIORITY, SWAP_CLUSTER_MAX, 0, 0)
    return rules.free_pages(rules, v, control)


@verb("F042", source="mm/vmscan.c:try_to_free_pages; mm/page_alloc.c:balance_classzone; 2.4.14 to 2.4.37")
def direct_reclaim(
    rules: Rules, v: Lruvec, order: int, swappiness: int, zone: int | None
) -> tuple[Lruvec, Progress]:
    """A task frees 32 pages for itself; with fewer the answer is the OOM killer.

    swappiness  of no effect: 2.4 swaps when it meets too many pages in use
    Ensures     ends after a bounded number of passes
    """
    v = trace(count(v, ALLOCSTALL), MmVmscanDirectReclaimBegin(order))
    v, control = _freed(rules, v, False, nr_zones(v) - 1 if zone is None else zone)
    v = trace(v, MmVmscanDirectReclaimEnd(control.reclaimed))
    return v, Progress(control.reclaimed, control.priority)


def is_short(v: Lruvec, top: int) -> bool:
    """Whether no zone of a class has more free pages than its high watermark.

    Source    mm/vmscan.c:check_classzone_need_balance; 2.4.14 to 2.4.37
    """
    for zone in range(top + 1):
        marks = marks_of(v, zone)
        if marks.free > marks.high:
            return False
    return True


@verb("F042", source="mm/vmscan.c:kswapd_balance; 2.4.14 to 2.4.37")
def kswapd(rules: Rules, v: Lruvec, swappiness: int, zone: int | None) -> tuple[Lruvec, Progress]:
    """The daemon frees 32 pages again and again, until its class is balanced or a run frees too few.

    swappiness  of no effect
    Ensures     ends: every run but the last frees 32 pages
    """
    top = nr_zones(v) - 1 if zone is None else zone
    if not is_short(v, top):
        return trace(v, MmVmscanKswapdSleep()), Progress(0, DEF_PRIORITY)
    v = trace(count(v, PAGEOUTRUN), MmVmscanKswapdWake(0))
    total, priority, goes_on = 0, DEF_PRIORITY, True
    while goes_on and is_short(v, top):
        v, control = _freed(rules, v, True, top)
        total += control.reclaimed
        priority = control.priority
        goes_on = control.reclaimed >= control.target
    return trace(v, MmVmscanKswapdSleep()), Progress(total, priority)
