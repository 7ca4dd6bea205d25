"""Eviction by generation: the oldest is sorted, what no tier spares is isolated, judged, freed or put back.

Linux: mm/vmscan.c:sort_folio, isolate_folio, scan_folios, isolate_folios, evict_folios,
lru_gen_shrink_lruvec.  6.1 to 6.12.  Not in seed.
"""

from linuxmm.model.reclaim.accesses import drain, putback
from linuxmm.model.reclaim.ageing import age, close_empty, window
from linuxmm.model.reclaim.counters import (
    PGACTIVATE,
    PGREFILL,
    PGSCAN_DIRECT,
    PGSCAN_KSWAPD,
    PGSKIP,
    PGSTEAL_DIRECT,
    PGSTEAL_KSWAPD,
    WORKINGSET_ACTIVATE,
)
from linuxmm.model.reclaim.events import MmVmscanLruIsolate, MmVmscanLruShrinkInactive
from linuxmm.model.reclaim.gen_lists import USES, gen_add, gen_delete, step_up
from linuxmm.model.reclaim.gen_state import (
    birth_of,
    gen_of,
    gen_size,
    gen_tail,
    kind_of,
    link,
    note_starved,
    now_of,
    oldest,
    rate,
    rate_of,
    refs_of_page,
    set_rate,
    ttl_of,
    unlink,
    youngest,
)
from linuxmm.model.reclaim.generations import PROTECTED
from linuxmm.model.reclaim.rules import Control, Rules, control_at, with_ageing, with_done, with_walk
from linuxmm.model.reclaim.shrink import FREED, shrink_page
from linuxmm.model.reclaim.state import (
    ACTIVE,
    ANON,
    DIRTY,
    KEPT,
    LOCKED,
    MLOCKED,
    NOTHING,
    RECLAIM,
    REFERENCED,
    SKIPPED,
    SWAPBACKED,
    SWAPCACHE,
    TAKEN,
    WORKINGSET,
    WRITEBACK,
    Lruvec,
    count,
    flag,
    has,
    mapped,
    marks_of,
    nr_zones,
    pop,
    push,
    size_of,
    swap_free,
    trace,
    zone_of,
)
from linuxmm.spec.reclaim.generation_rules import MAX_BATCH, SPARED_REFS, Done, needs_ageing
from linuxmm.spec.reclaim.generations import (
    FILE,
    MIN_BATCH,
    MIN_GENS,
    generation_of,
    generations,
    kind_to_evict,
    last_evicted_tier,
    last_tier,
    tier_of,
)
from linuxmm.spec.reclaim.lists import INACTIVE_ANON, INACTIVE_FILE, MAX_SWAPPINESS
from linuxmm.spec.reclaim.references import ACTIVATE
from linuxmm.spec.registry import verb


def swappiness_of(rules: Rules, v: Lruvec, control: Control) -> int:
    """The swappiness of a pass; 0 where less than a batch of swap is free.

    Source    mm/vmscan.c:get_swappiness, lru_gen_shrink_lruvec; 6.1, 6.12
    """
    if swap_free(v) < MIN_BATCH:
        return 0
    return rules.pass_swappiness(control.swaps, control.swappiness)


# ---- one page of the oldest generation -------------------------------------------------------------------


@verb("F042", "F043", "F046", source="mm/vmscan.c:sort_folio; 6.1 to 6.12")
def sort_page(rules: Rules, v: Lruvec, page: int, last: int, control: Control) -> tuple[Lruvec, bool]:
    """A page at the tail of the oldest generation moves if it does not belong there: whether it did.

    last      the highest tier that is evicted
    Ensures   a page that moves stands on a list of its own generation
    """
    kind = kind_of(v, page)
    if has(v, page, MLOCKED):
        return v, False
    if rules.dirty_sorted and kind == FILE and has(v, page, ANON) and has(v, page, DIRTY):
        v = flag(gen_delete(v, page, True), page, SWAPBACKED, True)
        return gen_add(rules, v, page, True), True
    generation = gen_of(v, page)
    if generation != generation_of(oldest(v, kind)):
        return link(unlink(v, page), page, generation, False), True
    refs = refs_of_page(v, page)
    tier = tier_of(refs)
    if tier > last or refs == SPARED_REFS:
        v = step_up(v, page, kind, True, False)
        v = set_rate(v, PROTECTED, kind, tier, rate(v, PROTECTED, kind, tier) + 1)
        return v if rules.counts_every_return else count(v, WORKINGSET_ACTIVATE + 1 + kind), True
    if zone_of(v, page) > control.reclaim_idx:
        return step_up(v, page, kind, True, False), True
    if rules.dirty_sorted and _waits(v, page, kind):
        return step_up(v, page, kind, False, True), True
    return v, False


def _waits(v: Lruvec, page: int, kind: int) -> bool:
    return has(v, page, LOCKED) or has(v, page, WRITEBACK) or (kind == FILE and has(v, page, DIRTY))


def may_take(rules: Rules, v: Lruvec, page: int, control: Control) -> bool:
    """Whether a pass may isolate a page: what it is not allowed to unmap or to swap stays.

    Source    mm/vmscan.c:isolate_folio; 6.1, 6.12
    """
    unswapped = has(v, page, ANON) and not has(v, page, SWAPCACHE)
    if rules.dirty_sorted:
        if not control.unmaps and mapped(v, page):
            return False
        return (control.writes and control.io) or not (has(v, page, DIRTY) or unswapped)
    return control.io or not ((has(v, page, DIRTY) and has(v, page, SWAPBACKED)) or unswapped)


def _isolated(rules: Rules, v: Lruvec, page: int) -> Lruvec:
    """A page leaves its list to be judged; uses that nobody repeated since are forgotten."""
    if not has(v, page, REFERENCED):
        v = flag(v, page, USES, False)
    v = flag(v, page, REFERENCED | RECLAIM if rules.dirty_sorted else REFERENCED, False)
    return push(gen_delete(v, page, True), TAKEN, page)


# ---- a batch -----------------------------------------------------------------------------------------------


@verb("F042", "F043", source="mm/vmscan.c:scan_folios; 6.1 to 6.12")
def scan_oldest(rules: Rules, v: Lruvec, kind: int, last: int, control: Control) -> tuple[Lruvec, int, int]:
    """Sort the oldest generation of a kind, and take up to 64 pages into the queue TAKEN.

    Ensures   (pages looked at, or 0 where nothing came of it; pages taken); nothing with two generations left
    """
    if generations(window(v), kind) == MIN_GENS:
        return v, 0, 0
    first = generation_of(oldest(v, kind))
    looked = moved = taken = skipped = 0
    zones = nr_zones(v)
    for step in range(zones):
        zone = (control.reclaim_idx - step) % zones
        passed = 0
        while gen_tail(v, first, kind, zone) != NOTHING and looked < MAX_BATCH:
            page = gen_tail(v, first, kind, zone)
            looked += 1
            v, sorted_out = sort_page(rules, v, page, last, control)
            if sorted_out:
                moved += 1
            elif may_take(rules, v, page, control):
                v, taken = _isolated(rules, v, page), taken + 1
            else:
                v, passed = push(unlink(v, page), SKIPPED, page), passed + 1
            if max(taken, passed) >= MIN_BATCH:
                break
        for _ in range(passed):
            v, page = pop(v, SKIPPED)
            v = link(v, page, first, False)
        skipped += passed
        if looked >= MAX_BATCH or taken >= MIN_BATCH:
            break
    v = count(v, PGSKIP, skipped)
    v = count(count(v, PGSCAN_KSWAPD if control.kswapd else PGSCAN_DIRECT, taken), PGREFILL, moved)
    if rules.gen_tells:
        v = trace(v, MmVmscanLruIsolate(MAX_BATCH, looked, skipped, taken, INACTIVE_FILE if kind else 0))
    return v, looked if taken or looked >= MAX_BATCH else 0, taken


def _rates(v: Lruvec, kind: int) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]:
    one, two = rate_of(v, kind, 0, 1), rate_of(v, kind, 1, 1)
    three, four = rate_of(v, kind, 2, 1), rate_of(v, kind, 3, 1)
    return (
        (one.refaulted, one.total),
        (two.refaulted, two.total),
        (three.refaulted, three.total),
        (four.refaulted, four.total),
    )


@verb("F042", "F043", source="mm/vmscan.c:isolate_folios, get_type_to_scan, get_tier_idx; 6.1 to 6.12")
def take_batch(rules: Rules, v: Lruvec, swappiness: int, control: Control) -> tuple[Lruvec, int, int, int]:
    """Take pages of the kind that fares better, or else of the other: (looked at, taken, the kind)."""
    last = NOTHING
    if not swappiness:
        kind = 1
    elif oldest(v, 0) < oldest(v, 1):
        kind = 0
    elif swappiness == 1:
        kind = 1
    elif swappiness == MAX_SWAPPINESS:
        kind = 0
    elif rules.files_without_io and not control.io:
        kind = 1
    else:
        anon, file = _rates(v, 0), _rates(v, 1)
        kind = kind_to_evict(anon[0], file[0], swappiness)
        gain, other = (
            (MAX_SWAPPINESS - swappiness, swappiness) if kind else (swappiness, MAX_SWAPPINESS - swappiness)
        )
        last = last_tier(rate_of(v, 1 - kind, 0, other), file if kind else anon, gain)
    if last == NOTHING:
        last = last_evicted_tier(_rates(v, kind))
    v, looked, taken = scan_oldest(rules, v, kind, last, control)
    if looked or not swappiness:
        return v, looked, taken, kind
    kind = 1 - kind
    v, looked, taken = scan_oldest(rules, v, kind, last_evicted_tier(_rates(v, kind)), control)
    return v, looked, taken, kind


@verb("F042", "F044", "F046", source="mm/vmscan.c:evict_folios; 6.1 to 6.12")
def evict_batch(
    rules: Rules, v: Lruvec, swappiness: int, control: Control
) -> tuple[Lruvec, int, bool, Control]:
    """One batch: (pages that count as scanned, whether anonymous ones were taken, the control afterwards).

    Ensures   every page that was taken is freed or on a list again
    """
    v, scanned, taken, kind = take_batch(rules, v, swappiness, control)
    v, one_closed = close_empty(v, swappiness > 0)
    scanned += 1 if one_closed else 0
    if generations(window(v), 0 if swappiness else 1) == MIN_GENS:
        scanned = 0
    if not taken:
        return v, scanned, False, control
    v, freed, again = _judge(rules, v, TAKEN, taken, scanned, control)
    more = 0
    if again:
        v, more, _ = _judge(rules, v, SKIPPED, again, scanned, control)
    v = count(v, PGSTEAL_KSWAPD if control.kswapd else PGSTEAL_DIRECT, freed + more)
    return v, scanned, kind == 0, with_done(control, taken + again, freed + more)


def _judge(
    rules: Rules, v: Lruvec, queue: int, pages: int, scanned: int, control: Control
) -> tuple[Lruvec, int, int]:
    """Judge the pages of a queue and put back what stays: how many went, how many to try again (SKIPPED)."""
    freed = activated = again = 0
    for _ in range(pages):
        v, page = pop(v, queue)
        v, outcome = shrink_page(rules, v, page, control)
        if outcome == FREED:
            freed += 1
            continue
        if outcome == ACTIVATE and not has(v, page, MLOCKED):
            v, activated = flag(v, page, ACTIVE, True), activated + 1
        v = push(v, KEPT, page)
    v = count(v, PGACTIVATE, activated)
    if rules.gen_tells:
        v = trace(v, MmVmscanLruShrinkInactive(scanned, freed, control.priority))
    for _ in range(pages - freed):
        v, page = pop(v, KEPT)
        v, tried = _settle(v, page, queue == SKIPPED)
        if tried:
            v, again = push(v, SKIPPED, page), again + 1
        else:
            v = putback(rules, v, page)
    return v, freed, again


def _settle(v: Lruvec, page: int, tried: bool) -> tuple[Lruvec, bool]:
    """Flags of a page that was not freed, and whether it is worth another try: nothing holds it any more."""
    if has(v, page, MLOCKED):
        return v, False
    unwritten = has(v, page, DIRTY) or has(v, page, WRITEBACK)
    if has(v, page, RECLAIM) and unwritten:
        return flag(v, page, REFERENCED, True) if has(v, page, WORKINGSET) else v, False
    used = has(v, page, ACTIVE) or has(v, page, REFERENCED) or mapped(v, page) > 0
    if tried or used or unwritten or has(v, page, LOCKED):
        return flag(flag(v, page, USES, False), page, ACTIVE, True), False
    return v, True


# ---- a pass ------------------------------------------------------------------------------------------------


def pages_from(v: Lruvec, can_swap: bool, first: int, end: int) -> int:
    """Pages of the open generations from `first` up to, not with, `end`; of files alone, or of both kinds."""
    pages = 0
    for kind in range(0 if can_swap else 1, 2):
        for seq in range(max(first, oldest(v, kind)), end):
            for zone in range(nr_zones(v)):
                pages += max(gen_size(v, generation_of(seq), kind, zone), 0)
    return pages


def must_age(v: Lruvec, can_swap: bool, total: int) -> bool:
    """Whether a generation is to be opened."""
    top = youngest(v)
    third = top - MIN_GENS
    least = oldest(v, 0) if can_swap else oldest(v, 1)
    young, old = pages_from(v, can_swap, top, top + 1), pages_from(v, can_swap, third, third + 1)
    return needs_ageing(least, top, young, old, total)


def _above(v: Lruvec, control: Control, high: bool, more: int) -> bool:
    """Whether every zone has as many free pages as its mark (high or low), and more."""
    for zone in range(control.reclaim_idx + 1):
        marks = marks_of(v, zone)
        if marks.managed and marks.free < (marks.high if high else marks.low) + more:
            return False
    return True


@verb("F042", "F043", source="mm/vmscan.c:lru_gen_shrink_lruvec, lru_gen_shrink_node; 6.1 to 6.12")
def shrink_generations(rules: Rules, v: Lruvec, control: Control) -> tuple[Lruvec, Control]:
    """One pass at the control's priority.

    Ensures   ends: each round looks at pages, closes a generation, or is the last
    """
    v = drain(rules, v)
    cold = size_of(v, INACTIVE_FILE)
    if swappiness_of(rules, v, control):
        cold += size_of(v, INACTIVE_ANON)
    priority = rules.first_priority(control.priority, control.target, cold)
    control = control_at(control, priority, control.target, control.scanned, control.reclaimed)
    control = with_walk(control, control.kswapd)
    start, begun, scanned, swapped = youngest(v), control.reclaimed, 0, False
    while True:
        swappiness = swappiness_of(rules, v, control)
        can_swap = swappiness > 0
        total = pages_from(v, can_swap, 0, youngest(v) + 1)
        ages = must_age(v, can_swap, total)
        evictable = generations(window(v), 0 if can_swap else 1) > MIN_GENS
        plan = rules.plan(evictable, ages, total, priority, control.kswapd)
        if plan.ages:
            v = age(v, can_swap)
            control = with_walk(control, True)
        if not plan.pages:
            return v, control
        v, looked, anon, control = evict_batch(rules, v, swappiness, control)
        swapped = swapped or anon
        if not looked:
            return v, control
        scanned += looked
        if scanned >= plan.pages:
            break
        safe = _above(v, control, control.kswapd, 0)
        done = Done(
            youngest(v) - start,
            control.reclaimed,
            control.target,
            control.order,
            priority,
            control.kswapd,
            swapped,
            safe,
            _above(v, control, True, MIN_BATCH + 1),
        )
        stops, claimed = rules.stops(done)
        if stops:
            control = with_done(control, 0, claimed)
            break
    return v, with_ageing(control, control.ages and (ages or control.reclaimed - begun < MIN_BATCH))


# ---- the daemon --------------------------------------------------------------------------------------------


@verb("F042", "F045", source="mm/vmscan.c:lru_gen_age_node, age_lruvec; 6.1 to 6.12")
def age_node(rules: Rules, v: Lruvec, control: Control) -> tuple[Lruvec, Control]:
    """Before the daemon evicts: ageing where it is due (6.1), and whether anything is old enough.

    Ensures   where nothing is, the OOM killer is called for single pages (`Generations.starved`)
    """
    if rules.daemon_ages and not control.ages:
        return v, with_ageing(control, True)
    can_swap = swap_free(v) >= MIN_BATCH and control.swappiness > 0
    total = pages_from(v, can_swap, 0, youngest(v) + 1)
    ttl = ttl_of(v)
    if ttl:
        birth = birth_of(v, generation_of(oldest(v, 1)))
        pages = total >> control.priority
        if not rules.old_enough(now_of(v), birth, ttl, pages, control.priority):
            return v if control.order else note_starved(v), control
    if rules.daemon_ages and must_age(v, can_swap, total):
        v = age(v, can_swap)
    return v, control
