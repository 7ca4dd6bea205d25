"""Reclaim by age: active, inactive and clean lists, and daemons that keep enough of each (2.4.0 to 2.4.9).

A pass moves pages down: from address spaces and the active list to the inactive one, where dirty ones are
written, and from there to the clean lists.  Only what allocates, and kreclaimd, frees a page out of those.
Buffers of pages are left out: a page is clean or dirty.  The daemon runs once a second or when it is woken;
here each run is a second.

Linux: mm/vmscan.c, mm/swap.c.  Seed 2.4.1 (F004, F042).
"""

from linuxmm.model.reclaim.accesses import age_up, lru_of
from linuxmm.model.reclaim.ages import (
    CLEAN,
    CLEAN_LIST,
    DIRTY_LIST,
    UNLISTED,
    age_of,
    entry_in,
    left_of,
    next_space,
    oldest_clean,
    position_of,
    pressure_of,
    rss_of,
    set_age,
    set_pressure,
    set_walk,
)
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
from linuxmm.model.reclaim.rules import Progress, Rules
from linuxmm.model.reclaim.spaces import nr_spaces, page_at, unmap_at, used_at
from linuxmm.model.reclaim.state import (
    ACTIVE,
    ANON,
    DIRTY,
    LOCKED,
    LRU,
    NOTHING,
    PINNED,
    REFERENCED,
    SWAPCACHE,
    UNEVICTABLE,
    WRITEBACK,
    Lruvec,
    add_head,
    count,
    flag,
    forget,
    has,
    managed,
    mapped,
    marks_of,
    nr_zones,
    pageout,
    remove,
    size_below,
    size_of,
    slot_of,
    tail,
    take_slot,
    trace,
    zone_of,
)
from linuxmm.spec.reclaim.ages import (
    SCAN_PRIORITY,
    USER_COUNT,
    free_plenty,
    inactive_plenty,
    inactive_target,
    pressure_after_second,
    swap_amount,
    younger,
)
from linuxmm.spec.reclaim.lists import ACTIVE_FILE
from linuxmm.spec.registry import verb

# ---- how short ---------------------------------------------------------------------------------------------


def in_zone(v: Lruvec, lru: int, zone: int) -> int:
    """Pages of a zone on a list."""
    return size_below(v, lru, zone) - (size_below(v, lru, zone - 1) if zone else 0)


def _all_free(v: Lruvec) -> int:
    free = 0
    for zone in range(nr_zones(v)):
        free += marks_of(v, zone).free
    return free


def _all_high(v: Lruvec) -> int:
    high = 0
    for zone in range(nr_zones(v)):
        high += marks_of(v, zone).high
    return high


def target_of(v: Lruvec) -> int:
    """Inactive pages that are wanted."""
    return inactive_target(pressure_of(v), managed(v))


def free_shortage(rules: Rules, v: Lruvec) -> int:
    """Free and clean pages that are missing.

    Source    mm/vmscan.c:free_shortage; 2.4.0 to 2.4.9
    """
    below = 0
    for zone in range(nr_zones(v)):
        marks = marks_of(v, zone)
        free = marks.free + in_zone(v, CLEAN_LIST, zone)
        if marks.managed:
            least = marks.min + 1 if rules.ages_settle else marks.low
            below += max(least - free, 0)
    return rules.free_short(_all_free(v), size_of(v, CLEAN_LIST), _all_high(v), target_of(v), below)


def inactive_shortage(rules: Rules, v: Lruvec) -> int:
    """Free and inactive pages that are missing.

    Source    mm/vmscan.c:inactive_shortage; 2.4.0 to 2.4.9
    """
    below = False
    for zone in range(nr_zones(v)):
        marks = marks_of(v, zone)
        inactive = marks.free + in_zone(v, CLEAN_LIST, zone) + in_zone(v, DIRTY_LIST, zone)
        if marks.managed and inactive < marks.high:
            below = True
    clean, dirty = size_of(v, CLEAN_LIST), size_of(v, DIRTY_LIST)
    return rules.inactive_short(_all_free(v), clean, dirty, _all_high(v), target_of(v), below)


def has_plenty(rules: Rules, v: Lruvec, zone: int) -> bool:
    """Whether pages of a zone are not to become inactive: enough are (2.4.8 on)."""
    if rules.ages_settle:
        return False
    marks = marks_of(v, zone)
    inactive = marks.free + in_zone(v, CLEAN_LIST, zone) + in_zone(v, DIRTY_LIST, zone)
    return inactive_plenty(inactive, marks.managed)


# ---- down the lists ----------------------------------------------------------------------------------------


def _to_list(rules: Rules, v: Lruvec, page: int, active: bool, clean: bool) -> Lruvec:
    v = remove(v, page, lru_of(rules, v, page))
    v = flag(flag(v, page, ACTIVE, active), page, CLEAN, clean)
    return add_head(v, page, lru_of(rules, v, page))


def deactivate(rules: Rules, v: Lruvec, page: int, others: bool) -> Lruvec:
    """A page has age 0; an active one that nobody else holds becomes inactive.

    Source    mm/swap.c:deactivate_page_nolock; 2.4.0 to 2.4.9
    """
    v = flag(set_age(v, page, 0), page, REFERENCED, False)
    if not has(v, page, ACTIVE) or others or not has(v, page, LRU):
        return v
    return count(_to_list(rules, v, page, False, False), PGDEACTIVATE)


@verb("F042", source="mm/vmscan.c:refill_inactive_scan; 2.4.0 to 2.4.9")
def refill_inactive_scan(rules: Rules, v: Lruvec, priority: int, once: bool) -> tuple[Lruvec, int]:
    """Age active pages from the tail: how many became inactive.

    once      the first one is enough (up to 2.4.7)
    Ensures   every page looked at goes to the head of the active list, or becomes inactive
    """
    down = 0
    left = size_of(v, ACTIVE_FILE) >> priority
    while left > 0 and tail(v, ACTIVE_FILE) != NOTHING and not (once and down > 0):
        left -= 1
        page = tail(v, ACTIVE_FILE)
        v = count(v, PGREFILL)
        if has_plenty(rules, v, zone_of(v, page)):
            v = _round(v, page)
            continue
        if has(v, page, REFERENCED):
            v = flag(v, page, REFERENCED, False)
            v = age_up(rules, v, page)
        else:
            v = set_age(v, page, younger(age_of(v, page)))
            busy = mapped(v, page) > 0 or has(v, page, PINNED)
            if rules.settles(age_of(v, page)) and not busy:
                v = deactivate(rules, v, page, False)
                down += 1
                continue
        v = _round(v, page)
    return v, down


def _round(v: Lruvec, page: int) -> Lruvec:
    return add_head(remove(v, page, ACTIVE_FILE), page, ACTIVE_FILE)


@verb("F042", source="mm/vmscan.c:page_launder; 2.4.0 to 2.4.9")
def page_launder(rules: Rules, v: Lruvec, kswapd: bool) -> tuple[Lruvec, int]:
    """Move clean inactive pages to the clean lists, and begin to write dirty ones: how many were clean.

    Up to 2.4.7 all are looked at, and dirty ones written in a second round if that was not enough; later a
    part of 64 is, and dirty ones are written at once.
    """
    cleaned = 0
    for writes in range(2):
        left = size_of(v, DIRTY_LIST) if rules.ages_settle else size_of(v, DIRTY_LIST) >> SCAN_PRIORITY
        v = count(v, PGSCAN_KSWAPD if kswapd else PGSCAN_DIRECT, left)
        while left > 0 and tail(v, DIRTY_LIST) != NOTHING:
            left -= 1
            v, clean = _launder_one(rules, v, tail(v, DIRTY_LIST), writes > 0 or not rules.ages_settle)
            cleaned += clean
        if not rules.ages_settle or not free_shortage(rules, v):
            break
    return v, cleaned


def _launder_one(rules: Rules, v: Lruvec, page: int, writes: bool) -> tuple[Lruvec, int]:
    """Judge the oldest inactive page: 1 if it got on a clean list."""
    used = has(v, page, REFERENCED)
    v = flag(v, page, REFERENCED, False)
    busy = mapped(v, page) > 0 or has(v, page, PINNED)
    if busy or (rules.ages_settle and (used or age_of(v, page) > 0)):
        return _to_list(rules, v, page, True, False), 0
    marks = marks_of(v, zone_of(v, page))
    plenty = free_plenty(marks.free + in_zone(v, CLEAN_LIST, zone_of(v, page)), marks.high)
    if not rules.ages_settle and plenty:
        return _to_list(rules, v, page, False, False), 0
    if has(v, page, LOCKED) or has(v, page, WRITEBACK):
        return _to_list(rules, v, page, False, False), 0
    if not has(v, page, DIRTY):
        return _to_list(rules, v, page, False, True), 1
    if not writes:
        return _to_list(rules, v, page, False, False), 0
    v, how = pageout(v, page)
    if how not in (PAGE_WRITTEN, PAGE_SYNCED):
        return _to_list(rules, v, page, True, False), 0
    v = trace(count(flag(v, page, DIRTY, False), NR_VMSCAN_WRITE), MmVmscanWriteFolio(page))
    return (flag(v, page, WRITEBACK, True) if how == PAGE_WRITTEN else v), 0


@verb("F042", source="mm/vmscan.c:reclaim_page; 2.4.0 to 2.4.9")
def reclaim_page(rules: Rules, v: Lruvec, zone: int, kswapd: bool) -> tuple[Lruvec, int]:
    """Free the oldest clean page of a zone: 1, or 0 where none could go.

    Ensures   a page that is freed is clean, not locked, not mapped and held by nobody
    """
    left = in_zone(v, CLEAN_LIST, zone)
    while left > 0 and oldest_clean(v, zone) != NOTHING:
        left -= 1
        page = oldest_clean(v, zone)
        used = has(v, page, REFERENCED)
        v = flag(v, page, REFERENCED, False)
        busy = mapped(v, page) > 0 or has(v, page, PINNED)
        if rules.ages_settle and (used or age_of(v, page) > 0 or busy):
            v = _to_list(rules, v, page, True, False)
        elif has(v, page, DIRTY) or has(v, page, LOCKED) or has(v, page, WRITEBACK):
            v = _to_list(rules, v, page, False, False)
        elif busy:
            v = _to_list(rules, v, page, True, False)
        else:
            if not has(v, page, ANON):
                v = trace(v, MmFilemapDeleteFromPageCache(page, slot_of(v, page)))
            v = forget(remove(v, page, CLEAN_LIST), page)
            v = count(v, PGSTEAL_KSWAPD if kswapd else PGSTEAL_DIRECT)
            return set_pressure(v, pressure_of(v) + 1), 1
    return v, 0


# ---- address spaces ----------------------------------------------------------------------------------------


@verb("F004", "F042", source="mm/vmscan.c:try_to_swap_out; 2.4.0 to 2.4.9")
def unmap_one(rules: Rules, v: Lruvec, address: int) -> Lruvec:
    """Judge one page-table entry: it goes if the page was not used of late, and has no age left.

    Anonymous memory gets a slot of swap, and is on the inactive list then.
    """
    page = page_at(v, address)
    if has_plenty(rules, v, zone_of(v, page)):
        return v
    v, used = used_at(v, address)
    if used:
        return age_up(rules, v, page) if rules.ages_settle else flag(v, page, REFERENCED, True)
    if rules.ages_settle and not has(v, page, ACTIVE):
        v = set_age(v, page, younger(age_of(v, page)))
    if rules.ages_settle and age_of(v, page) > 0:
        return v
    if has(v, page, LOCKED) or has(v, page, WRITEBACK):
        return v
    if has(v, page, ANON) and not has(v, page, SWAPCACHE):
        v, taken = take_slot(v, page)
        if not taken:
            return v
        v = flag(remove(v, page, UNLISTED), page, UNEVICTABLE, False)
        v = flag(v, page, ACTIVE, rules.ages_settle)
        v = add_head(v, page, lru_of(rules, v, page))
    others = mapped(v, page) > 1 or has(v, page, PINNED)
    v = unmap_at(v, address)
    if not rules.ages_settle and has(v, page, REFERENCED):
        return v
    return deactivate(rules, v, page, others)


def walk_space(rules: Rules, v: Lruvec, space: int, left: int) -> tuple[Lruvec, bool]:
    """Look at so many pages of an address space from where the last walk stopped: whether there were as many.

    Source    mm/vmscan.c:swap_out_mm; 2.4.0 to 2.4.9
    """
    address = entry_in(v, space, position_of(v, space))
    while address != NOTHING:
        if left == 0:
            return set_walk(v, space, 0, address), True
        left -= 1
        v = unmap_one(rules, v, address)
        v = set_walk(v, space, left, address + 1)
        address = entry_in(v, space, address + 1)
    return set_walk(v, space, 0, NOTHING), False


@verb("F004", "F042", source="mm/vmscan.c:swap_out; 2.4.0 (2.4.1 to 2.4.7 unconfirmed)")
def swap_out_largest(rules: Rules, v: Lruvec) -> tuple[Lruvec, bool]:
    """Walk the address space with the most pages left to look at; without any, all get their share anew."""
    for _ in range(2):
        best, most = NOTHING, 0
        for space in range(nr_spaces(v)):
            if rss_of(v, space) and left_of(v, space) > most:
                best, most = space, left_of(v, space)
        if best != NOTHING:
            return walk_space(rules, v, best, most)
        for space in range(nr_spaces(v)):
            if rss_of(v, space):
                v = set_walk(v, space, swap_amount(rss_of(v, space), False), position_of(v, space))
    return v, False


@verb("F004", "F042", source="mm/vmscan.c:swap_out; 2.4.9 (2.4.8 unconfirmed)")
def swap_out_in_turn(rules: Rules, v: Lruvec) -> tuple[Lruvec, bool]:
    """Walk a part of an address space, and of one more for every four there are."""
    found = False
    for _ in range(((nr_spaces(v) << 4) >> SCAN_PRIORITY) + 1):
        v, space = next_space(v)
        amount = swap_amount(rss_of(v, space), True)
        if amount:
            v, enough = walk_space(rules, v, space, amount)
            found = found or enough
    return v, found


# ---- runs --------------------------------------------------------------------------------------------------


@verb("F042", source="mm/vmscan.c:refill_inactive; 2.4.0 (2.4.1 to 2.4.7 unconfirmed)")
def refill_inactive(rules: Rules, v: Lruvec, kswapd: bool) -> tuple[Lruvec, int]:
    """Move pages down until enough are inactive: from the active list, from address spaces, ever harder."""
    wanted = inactive_shortage(rules, v) + free_shortage(rules, v) if kswapd else USER_COUNT
    left, priority = wanted, SCAN_PRIORITY
    while priority >= 0:
        progress = False
        found = True
        while found:
            v, down = refill_inactive_scan(rules, v, priority, True)
            found = down > 0
            if found:
                progress = True
                left -= 1
                if left <= 0:
                    return v, wanted - left
        found = True
        while found:
            v, found = swap_out_largest(rules, v)
            if found:
                progress = True
                left -= 1
                if left <= 0:
                    return v, wanted - left
        if not inactive_shortage(rules, v) or not free_shortage(rules, v):
            return v, wanted - left
        if not progress:
            priority -= 1
    found = True
    while found and left > 0:
        v, down = refill_inactive_scan(rules, v, 0, True)
        found = down > 0
        left -= down
    return v, wanted - left


@verb("F042", source="mm/vmscan.c:do_try_to_free_pages; 2.4.0 (2.4.1 to 2.4.7 unconfirmed)")
def move_down(rules: Rules, v: Lruvec, kswapd: bool) -> tuple[Lruvec, int]:
    """One call for more clean pages: the inactive list first, then what fills it; how much was done."""
    done = 0
    spare = _all_free(v) + size_of(v, CLEAN_LIST)
    if free_shortage(rules, v) or size_of(v, DIRTY_LIST) > spare:
        v, done = page_launder(rules, v, kswapd)
    if free_shortage(rules, v) or inactive_shortage(rules, v):
        v, down = refill_inactive(rules, v, kswapd)
        return v, done + down
    return v, 1


@verb("F042", source="mm/vmscan.c:do_try_to_free_pages; 2.4.9 (2.4.8 unconfirmed)")
def move_down_in_parts(rules: Rules, v: Lruvec, kswapd: bool) -> tuple[Lruvec, int]:
    """A part of 64 of the lists at a time, 64 times at most, until nothing is short; 0 if all still is."""
    v, _ = refill_inactive_scan(rules, v, SCAN_PRIORITY, False)
    inactive, free = False, False
    for _ in range(1 << SCAN_PRIORITY):
        if inactive:
            v, _ = swap_out_in_turn(rules, v)
            v, _ = refill_inactive_scan(rules, v, SCAN_PRIORITY, False)
        if free:
            v, _ = page_launder(rules, v, kswapd)
        inactive = inactive_shortage(rules, v) > 0
        free = free_shortage(rules, v) > 0
        if not inactive and not free:
            break
    return v, 0 if inactive and free else 1


@verb("F042", source="mm/vmscan.c:kswapd, kreclaimd; 2.4.0 to 2.4.9")
def kswapd(rules: Rules, v: Lruvec, swappiness: int, zone: int | None) -> tuple[Lruvec, Progress]:
    """A turn of both daemons: pages move down if either kind is short, and then clean ones are freed.

    While both stay short the kernel takes the next turn at once, or kills a task; here a request asks for it.

    swappiness, zone  of no effect
    Ensures  ends; zones have free pages up to their low marks, as far as clean ones go
    """
    v = trace(count(v, PAGEOUTRUN), MmVmscanKswapdWake(0))
    v = set_pressure(v, pressure_after_second(pressure_of(v)))
    if inactive_shortage(rules, v) or free_shortage(rules, v) or not rules.ages_settle:
        v, _ = rules.moves_down(rules, v, True)
    if rules.ages_settle:
        v, _ = refill_inactive_scan(rules, v, SCAN_PRIORITY, False)
    freed = 0
    for number in range(nr_zones(v)):
        found = 1
        while found and marks_of(v, number).free < marks_of(v, number).low:
            v, found = reclaim_page(rules, v, number, True)
            freed += found
    return trace(v, MmVmscanKswapdSleep()), Progress(freed, SCAN_PRIORITY)


@verb("F042", source="mm/vmscan.c:try_to_free_pages; mm/page_alloc.c:__alloc_pages; 2.4.0 to 2.4.9")
def direct_reclaim(
    rules: Rules, v: Lruvec, order: int, swappiness: int, zone: int | None
) -> tuple[Lruvec, Progress]:
    """A task moves pages down itself, and takes one out of a clean list of the highest zone that has any.

    swappiness  of no effect
    """
    v = trace(count(v, ALLOCSTALL), MmVmscanDirectReclaimBegin(order))
    v, _ = rules.moves_down(rules, v, False)
    top = nr_zones(v) - 1 if zone is None else zone
    freed = 0
    while top >= 0 and not freed:
        v, freed = reclaim_page(rules, v, top, False)
        top -= 1
    v = trace(v, MmVmscanDirectReclaimEnd(freed))
    return v, Progress(freed, SCAN_PRIORITY)
