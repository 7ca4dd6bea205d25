"""Batches of a list: isolated from its tail, judged page by page, and put back or freed.

Linux: mm/vmscan.c:isolate_lru_pages, shrink_page_list, shrink_inactive_list, shrink_active_list.
Seed 2.4.1 to 2.4.4 (F042 to F045).
"""

from typing import Final

from linuxmm.model.reclaim.accesses import drain, lru_of, putback
from linuxmm.model.reclaim.ageing import look_around
from linuxmm.model.reclaim.counters import (
    NR_VMSCAN_IMMEDIATE_RECLAIM,
    NR_VMSCAN_WRITE,
    PGACTIVATE,
    PGDEACTIVATE,
    PGLAZYFREED,
    PGREFILL,
    PGSCAN_DIRECT,
    PGSCAN_KSWAPD,
    PGSKIP,
    PGSTEAL_DIRECT,
    PGSTEAL_KSWAPD,
    UNEVICTABLE_PGS_MLOCKED,
)
from linuxmm.model.reclaim.events import (
    MmFilemapDeleteFromPageCache,
    MmVmscanLruIsolate,
    MmVmscanLruShrinkActive,
    MmVmscanLruShrinkInactive,
    MmVmscanWriteFolio,
)
from linuxmm.model.reclaim.gen_state import by_generations
from linuxmm.model.reclaim.outside import (
    PAGE_ACTIVATE,
    PAGE_KEEP,
    PAGE_WRITTEN,
    UNMAP_AGAIN,
    UNMAP_LOCKED,
    UNMAPPED,
)
from linuxmm.model.reclaim.refaults import evict, note_cost
from linuxmm.model.reclaim.rules import Control, Rules, with_done
from linuxmm.model.reclaim.state import (
    ACTIVE,
    ANON,
    DIRTY,
    KEPT,
    LAZY,
    LOCKED,
    MLOCKED,
    NOTHING,
    PINNED,
    RECLAIM,
    REFERENCED,
    SKIPPED,
    SWAPBACKED,
    SWAPCACHE,
    TAKEN,
    WORKINGSET,
    WRITEBACK,
    Lruvec,
    add_head,
    add_recent,
    clock_of,
    count,
    count_isolated,
    flag,
    forget,
    fruitless_of,
    give_slot,
    has,
    in_use,
    managed,
    mapped,
    pageout,
    pop,
    previous_of,
    push,
    references,
    remove,
    set_clock,
    set_fruitless,
    set_tail_dirty,
    size_of,
    slot_of,
    swap_free,
    tail,
    tail_is_dirty,
    take_slot,
    trace,
    unmap,
    unmap_lazyfree,
    zone_of,
)
from linuxmm.model.reclaim.writing import WRITE
from linuxmm.spec.reclaim.lists import ACTIVE_FILE, FILE, INACTIVE_FILE, is_file
from linuxmm.spec.reclaim.references import ACTIVATE, KEEP, RECLAIM_CLEAN, Found
from linuxmm.spec.reclaim.scan_two_lists import deactivates
from linuxmm.spec.registry import verb

FREED: Final = -2
"""What becomes of a page that is dropped."""


@verb("F015", "F042", source="mm/vmscan.c:isolate_lru_pages, isolate_lru_folios")
def isolate(rules: Rules, v: Lruvec, lru: int, wanted: int, control: Control) -> tuple[Lruvec, int, int]:
    """Take pages off the tail of a list, in order into the queue TAKEN: how many, of how many looked at.

    Ensures   at most `wanted`; pages of higher zones come back to the list in front, uncounted
    """
    taken = skipped = scanned = 0
    while scanned < wanted and tail(v, lru) != NOTHING:
        page = tail(v, lru)
        if rules.nodes and zone_of(v, page) > control.reclaim_idx:
            v, skipped = push(remove(v, page, lru), SKIPPED, page), skipped + 1
            continue
        scanned += 1
        v = remove(v, page, lru)
        if not control.unmaps and mapped(v, page):
            v = add_head(v, page, lru)
        else:
            v, taken = push(v, TAKEN, page), taken + 1
    for _ in range(skipped):
        v, page = pop(v, SKIPPED)
        v = add_head(v, page, lru)
    v = count(v, PGSKIP, skipped)
    v = trace(v, MmVmscanLruIsolate(wanted, scanned, skipped, taken, lru))
    return count_isolated(v, lru, taken), taken, scanned


# ---- one page at the tail of the inactive list -------------------------------------------------------------


@verb("F042", "F044", "F045", "F047", source="mm/vmscan.c:shrink_page_list, shrink_folio_list")
def shrink_page(rules: Rules, v: Lruvec, page: int, control: Control) -> tuple[Lruvec, int]:
    """Judge an isolated page: FREED (and it is gone), KEEP, or ACTIVATE.

    Ensures   a page that is freed was not locked, pinned, dirty, under writeback or mapped any more
    """
    if has(v, page, LOCKED) or (rules.split and has(v, page, MLOCKED)):
        return v, KEEP
    if not control.unmaps and mapped(v, page):
        return v, KEEP
    by_generation = rules.generations and by_generations(v)
    if by_generation and mapped(v, page) and has(v, page, REFERENCED):
        return v, KEEP  # it was promoted while isolated
    if has(v, page, WRITEBACK):
        return flag(v, page, RECLAIM, True), rules.on_writeback()
    v, found = references(v, page)
    if by_generation and found.ptes > 0:
        v = look_around(rules, v, page, control)
    chance = rules.check(
        Found(
            found.ptes,
            has(v, page, REFERENCED),
            mapped(v, page) > 0 or has(v, page, SWAPCACHE),
            found.locked,
            found.executable,
            has(v, page, ANON),
            has(v, page, SWAPBACKED),
            control.order,
        )
    )
    v = flag(v, page, REFERENCED, chance.referenced)
    if chance.action in (ACTIVATE, KEEP):
        return v, chance.action
    v, outcome = _detach(rules, v, page, control)
    if outcome != FREED:
        return v, outcome
    if has(v, page, DIRTY):
        v, outcome = _clean(rules, v, page, control, chance.action == RECLAIM_CLEAN)
        if outcome != FREED:
            return v, outcome
    if has(v, page, PINNED):
        return v, KEEP
    return _free(rules, v, page), FREED


def _detach(rules: Rules, v: Lruvec, page: int, control: Control) -> tuple[Lruvec, int]:
    """Give an anonymous page a slot of swap, and unmap the page: FREED if it may go on."""
    lazy = has(v, page, ANON) and not has(v, page, SWAPBACKED)
    if has(v, page, ANON) and not lazy and not has(v, page, SWAPCACHE):
        if not control.io:
            return v, KEEP
        v, taken = take_slot(v, page)
        if not taken:
            return v, ACTIVATE
        if has(v, page, LAZY):
            v = flag(v, page, DIRTY, False)
    if mapped(v, page):
        v, how = unmap_lazyfree(v, page) if lazy else unmap(v, page)
        if how == UNMAP_LOCKED and rules.split and not rules.mlock_counts:
            return count(flag(v, page, MLOCKED, True), UNEVICTABLE_PGS_MLOCKED), KEEP
        if how != UNMAPPED:
            return v, KEEP if how == UNMAP_AGAIN else ACTIVATE
    return _dropped(v, page) if has(v, page, LAZY) else v, FREED


def _dropped(v: Lruvec, page: int) -> Lruvec:
    """A page that MADV_FREE gave up before 4.12 is unmapped: it needs no slot, unless it was written."""
    if has(v, page, DIRTY):
        return flag(v, page, LAZY, False)
    return give_slot(v, page)


def _clean(rules: Rules, v: Lruvec, page: int, control: Control, only_clean: bool) -> tuple[Lruvec, int]:
    """Write a dirty page, or not: FREED if it is clean now."""
    if is_file(has(v, page, SWAPBACKED)):
        how = rules.dirty_waits(control.kswapd, control.priority, has(v, page, RECLAIM), tail_is_dirty(v))
        if how != WRITE:
            return count(flag(v, page, RECLAIM, True), NR_VMSCAN_IMMEDIATE_RECLAIM), how
    may_enter = control.fs or (has(v, page, SWAPCACHE) and control.io)
    if only_clean or not may_enter or not control.writes or has(v, page, PINNED):
        return v, KEEP
    v, how = pageout(v, page)
    if how == PAGE_KEEP:
        return v, KEEP
    if how == PAGE_ACTIVATE:
        return v, ACTIVATE
    v = count(flag(v, page, DIRTY, False), NR_VMSCAN_WRITE)
    v = trace(v, MmVmscanWriteFolio(page))
    if how == PAGE_WRITTEN:
        return flag(v, page, WRITEBACK | RECLAIM, True), KEEP
    return v, FREED


def _free(rules: Rules, v: Lruvec, page: int) -> Lruvec:
    """Drop a page that nothing holds; a shadow stays, unless MADV_FREE gave the content up."""
    if has(v, page, ANON) and (not has(v, page, SWAPBACKED) or has(v, page, LAZY)):
        return forget(count(v, PGLAZYFREED), page)
    if not has(v, page, ANON):
        v = trace(v, MmFilemapDeleteFromPageCache(page, slot_of(v, page)))
    return forget(evict(rules, v, page), page)


# ---- lists -----------------------------------------------------------------------------------------------


@verb("F042", "F043", source="mm/vmscan.c:shrink_inactive_list, shrink_cache")
def shrink_inactive(
    rules: Rules, v: Lruvec, lru: int, wanted: int, control: Control
) -> tuple[Lruvec, Control]:
    """Reclaim from the tail of an inactive list: the state, and the control with what was done."""
    v = drain(rules, v)
    v, taken, scanned = isolate(rules, v, lru, wanted, control)
    freed = activated = written = dirty = 0
    for _ in range(taken):
        v, page = pop(v, TAKEN)
        dirty += has(v, page, DIRTY) and not has(v, page, WRITEBACK)
        v, outcome = shrink_page(rules, v, page, control)
        if outcome == FREED:
            freed += 1
            continue
        v = push(v, KEPT, page)
        written += has(v, page, WRITEBACK) and has(v, page, RECLAIM) and outcome == KEEP
        if outcome == ACTIVATE and not (rules.split and has(v, page, MLOCKED)):
            v, activated = flag(v, page, ACTIVE, True), activated + 1
    for _ in range(taken - freed):
        v, page = pop(v, KEPT)
        v = putback(rules, v, page)
    v = add_recent(count_isolated(v, lru, -taken), lru, taken, activated)
    v = set_fruitless(v, 0 if freed else fruitless_of(v) + scanned)
    v = set_tail_dirty(v, taken > 0 and dirty == taken)
    v = note_cost(rules, v, lru & FILE != 0, written, scanned - freed)
    v = _aged(rules, v, activated)
    v = count(v, PGSCAN_KSWAPD if control.kswapd else PGSCAN_DIRECT, scanned)
    v = count(v, PGSTEAL_KSWAPD if control.kswapd else PGSTEAL_DIRECT, freed)
    v = trace(count(v, PGACTIVATE, activated), MmVmscanLruShrinkInactive(scanned, freed, control.priority))
    return v, with_done(control, scanned, freed)


@verb("F042", "F043", "F045", source="mm/vmscan.c:refill_inactive_zone, shrink_active_list")
def shrink_active(rules: Rules, v: Lruvec, lru: int, wanted: int, control: Control) -> Lruvec:
    """Take pages at the tail of an active list down to the inactive one."""
    v = drain(rules, v)
    take_mapped = not rules.split and _takes_mapped(rules, v, control)
    v, taken, scanned = isolate(rules, v, lru, wanted, control)
    rotated = down = active = 0
    for _ in range(taken):
        v, page = pop(v, TAKEN)
        if rules.split and has(v, page, MLOCKED):
            v = putback(rules, v, page)
            continue
        if rules.split:
            v, found = references(v, page)
            used = found.ptes > 0
            rotated += used
            stays = rules.keeps_active(used, found.executable, has(v, page, ANON), has(v, page, SWAPBACKED))
        else:
            v, stays = _stays(v, page, take_mapped)
        active += stays
        if not stays:
            v, down = _deactivated(rules, v, page), down + 1
        v = add_head(v, page, lru_of(rules, v, page))
    v = add_recent(count_isolated(v, lru, -taken), lru, taken, rotated)
    v = set_fruitless(v, fruitless_of(v) + scanned)
    v = _aged(rules, note_cost(rules, v, lru & FILE != 0, 0, rotated), active)
    v = count(count(v, PGREFILL, scanned), PGDEACTIVATE, down)
    event = MmVmscanLruShrinkActive(taken, taken - down, down, rotated, control.priority)
    return trace(v, event)


def _aged(rules: Rules, v: Lruvec, pages: int) -> Lruvec:
    """The clock after so many pages were put back as active.

    Source    mm/vmscan.c:move_folios_to_lru; 5.8 to 6.12
    """
    return set_clock(v, clock_of(v) + pages) if rules.putback_ages() else v


def _deactivated(rules: Rules, v: Lruvec, page: int) -> Lruvec:
    v = flag(v, page, ACTIVE, False)
    return flag(v, page, WORKINGSET, True) if rules.deactivated_is_workingset else v


def _takes_mapped(rules: Rules, v: Lruvec, control: Control) -> bool:
    """Whether mapped pages are given up, where both kinds share two lists."""
    if not control.swaps:
        return False
    active, inactive = size_of(v, ACTIVE_FILE), size_of(v, INACTIVE_FILE)
    if rules.near_oom(fruitless_of(v), active + inactive):
        return True
    tendency = rules.tendency(
        previous_of(v), control.priority, in_use(v), managed(v), control.swappiness, active, inactive
    )
    return tendency >= 100


def _stays(v: Lruvec, page: int, take_mapped: bool) -> tuple[Lruvec, bool]:
    """Whether a page stays on the one active list; its accessed bits are asked for last."""
    used, anon, swap = mapped(v, page) > 0, has(v, page, ANON), swap_free(v) > 0
    if not deactivates(used, anon, False, take_mapped, swap):
        return v, True
    if not used:
        return v, False
    v, found = references(v, page)
    referenced = found.ptes > 0 or has(v, page, REFERENCED)
    v = flag(v, page, REFERENCED, False)
    return v, not deactivates(used, anon, referenced, take_mapped, swap)
