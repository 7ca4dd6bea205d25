"""The multi-generational lists: where a page goes, when to age, how much to scan, when to stop.

The numbers and rates are in `generations`; here is what a step asks of them, and what changed since 6.1.

Linux: mm/vmscan.c, mm/workingset.c, include/linux/mm_inline.h; 6.1, 6.12 (CONFIG_LRU_GEN).  Not in seed.
"""

from typing import Final, NamedTuple

from linuxmm.spec.kernel import behaviour
from linuxmm.spec.reclaim.generations import MIN_BATCH, MIN_GENS
from linuxmm.spec.reclaim.lists import DEF_PRIORITY
from linuxmm.spec.registry import formula

MAX_BATCH: Final = 64 * MIN_BATCH
"""MAX_LRU_BATCH: pages that one hold of the lock looks at."""
MOST_REFS: Final = 3
"""Uses beyond the second that a page's flags count."""
SPARED_REFS: Final = 4
"""Uses at which a page is spared whatever the controller says."""
BLOCK: Final = 512
"""Entries of a table of the lowest level."""


class Plan(NamedTuple):
    """What a pass does next: pages to scan, after opening a generation if it must."""

    pages: int
    ages: bool


class Part(NamedTuple):
    """Places from `first` up to, not with, `end`."""

    first: int
    end: int


# ---- where a page goes -------------------------------------------------------------------------------------


@formula("F042", source="include/linux/mm_inline.h:lru_gen_add_folio; 6.1.192, 6.12")
def seq_of_new(hot: bool, waits: bool, cold: bool, min_seq: int, max_seq: int) -> int:
    """The generation of a page that gets on the lists.

    hot      PG_active: it was just faulted in, or found used
    waits    it cannot go at once: anonymous and not in the swap cache, or reclaim waits for its writing
    cold     it should go first: it was written out for reclaim
    Ensures  min_seq <= result <= max_seq
    """
    if hot:
        return max_seq
    if waits:
        return max_seq - 1
    if cold or min_seq + MIN_GENS >= max_seq:
        return min_seq
    return min_seq + 1


@formula("F042", source="include/linux/mm_inline.h:lru_gen_is_active; 6.1 to 6.12")
def counts_as_active(generation: int, max_seq: int) -> bool:
    """Whether pages of a list are told as active: those of the two youngest generations.

    generation  0 to 3, of a window whose youngest is max_seq
    """
    return (max_seq - generation) % 4 < MIN_GENS


@formula("F042", source="mm/swap.c:folio_inc_refs; 6.1 to 6.12")
def refs_after_use(refs: int) -> int:
    """The count of a page's uses beyond the third, after one more.

    Ensures   at most MOST_REFS
    """
    return min(refs + 1, MOST_REFS)


@formula("F042", source="mm/vmscan.c:reset_ctrl_pos; 6.1 to 6.12")
def averaged(average: int, now: int) -> int:
    """What is remembered of closed generations: half of it, and half of the one that closes."""
    return (average + now) // 2


@formula("F042", source="mm/vmscan.c:lru_gen_look_around; 6.1 to 6.12")
def part_around(place: int, first: int, end: int) -> Part:
    """The entries that are looked at beside a used one: up to 64, of its table and its area.

    first, end  places of the area
    Requires    first <= place < end
    Ensures     holds `place`, within the area and the table
    """
    start = max(place // BLOCK * BLOCK, first)
    stop = min(place // BLOCK * BLOCK + BLOCK, end)
    if stop - start <= MIN_BATCH:
        return Part(start, stop)
    if place - start < MIN_BATCH // 2:
        return Part(start, start + MIN_BATCH)
    if stop - place < MIN_BATCH // 2:
        return Part(stop - MIN_BATCH, stop)
    return Part(place - MIN_BATCH // 2, place + MIN_BATCH // 2)


# ---- when to age, and how much to scan ---------------------------------------------------------------------


@formula("F042", source="mm/vmscan.c:should_run_aging; 6.1 to 6.12")
def needs_ageing(min_seq: int, max_seq: int, young: int, old: int, total: int) -> bool:
    """Whether a generation is to be opened.

    min_seq  of anonymous pages, or of files where nothing is swapped
    young, old, total  pages of the youngest generation, of the third, of all
    Ensures  true with two generations, false with four
    """
    if min_seq + MIN_GENS > max_seq:
        return True
    if min_seq + MIN_GENS < max_seq:
        return False
    return young * MIN_GENS > total or old * (MIN_GENS + 2) < total


@behaviour(
    "reclaim.gen-plan",
    since="6.1",
    until="6.2",
    features=("F042", "F043"),
    source="mm/vmscan.c:get_nr_to_scan; 6.1 (6.2 unconfirmed)",
)
def plan_then_scan(evictable: bool, ages: bool, total: int, priority: int, kswapd: bool) -> Plan:
    """What a pass does: where it must age, a task does so and scans, the daemon leaves that for later.

    evictable  there are more than two generations; ages: needs_ageing
    Ensures    at most total >> priority pages
    """
    pages = total >> priority
    if not ages:
        return Plan(pages, False)
    if priority == DEF_PRIORITY:
        return Plan(pages if evictable else 0, False)
    return Plan(0, False) if kswapd else Plan(pages, True)


@behaviour(
    "reclaim.gen-plan",
    since="6.3",
    features=("F042", "F043"),
    source="mm/vmscan.c:get_nr_to_scan; 6.12 (6.3 to 6.11 unconfirmed)",
)
def plan_or_age(evictable: bool, ages: bool, total: int, priority: int, kswapd: bool) -> Plan:
    """Whoever must age, ages and ends the pass.

    Ensures    at most total >> priority pages, none where it ages
    """
    if not ages or priority == DEF_PRIORITY:
        return Plan(total >> priority if evictable else 0, False)
    return Plan(0, True)


@behaviour(
    "reclaim.gen-first-priority",
    since="6.1",
    until="6.2",
    features=("F042",),
    source="mm/vmscan.c:lru_gen_shrink_lruvec; 6.1 (6.2 unconfirmed)",
)
def first_priority_given(priority: int, target: int, reclaimable: int) -> int:
    """The priority of a pass: as given."""
    return priority


@behaviour(
    "reclaim.gen-first-priority",
    since="6.3",
    features=("F042",),
    source="mm/vmscan.c:set_initial_priority; 6.12 (6.3 to 6.11 unconfirmed)",
)
def first_priority_by_size(priority: int, target: int, reclaimable: int) -> int:
    """A first pass for 64 pages or more begins where its share of the cold pages makes about the target.

    Ensures   6 <= result <= 12 for a first pass; others go on as they are
    """
    if priority != DEF_PRIORITY or target < MIN_BATCH:
        return priority
    wanted = 0
    while (target - 1) >> wanted:
        wanted += 1
    there = 0
    while reclaimable >> there:
        there += 1
    return min(max(there - 1 - wanted, DEF_PRIORITY // 2), DEF_PRIORITY)


class Done(NamedTuple):
    """What is asked before a pass goes on: who, how far, how it went.

    opened   generations since the pass began
    reclaimed, target, order, priority, kswapd  of the pass
    swapped  anonymous pages were evicted
    safe     every zone has more free pages than its mark (high for the daemon, low for a task)
    plenty   every zone has 64 more than its high mark
    """

    opened: int
    reclaimed: int
    target: int
    order: int
    priority: int
    kswapd: bool
    swapped: bool
    safe: bool
    plenty: bool


@behaviour(
    "reclaim.gen-stops",
    since="6.1",
    until="6.2",
    features=("F042",),
    source="mm/vmscan.c:should_abort_scan; 6.1 (6.2 unconfirmed)",
)
def stops_when_safe(done: Done) -> tuple[bool, int]:
    """(whether the pass stops, pages that it claims on top): safe zones end it, and count as 64 pages."""
    if not done.kswapd:
        if done.opened > 1 or (done.reclaimed >= done.target and done.swapped):
            return True, 0
    elif done.reclaimed < done.target:
        return False, 0
    if done.priority > DEF_PRIORITY - 2 or not done.safe:
        return False, 0
    return True, MIN_BATCH


@behaviour(
    "reclaim.gen-stops",
    since="6.3",
    features=("F042",),
    source="mm/vmscan.c:should_abort_scan; 6.12 (6.3 to 6.11 unconfirmed)",
)
def stops_at_target(done: Done) -> tuple[bool, int]:
    """The target ends it, or what compaction needs; for the daemon also zones well above the high mark."""
    if done.reclaimed >= max(done.target, 2 << done.order):
        return True, 0
    return done.kswapd and done.order == 0 and done.plenty, 0


# ---- pages that are too young ------------------------------------------------------------------------------


@behaviour(
    "reclaim.gen-old-enough",
    since="6.1",
    until="6.2",
    features=("F042", "F045"),
    source="mm/vmscan.c:age_lruvec; 6.1 (6.2 unconfirmed)",
)
def old_at_ttl(now: int, birth: int, ttl: int, pages: int, priority: int) -> bool:
    """Whether the oldest files are past lru_gen/min_ttl_ms, and enough to be worth it.

    birth   tick at which their generation was opened
    pages   that a pass would scan; not asked in the first one
    """
    return now >= birth + ttl and (pages > 0 or priority == DEF_PRIORITY)


@behaviour(
    "reclaim.gen-old-enough",
    since="6.3",
    features=("F042", "F045"),
    source="mm/vmscan.c:lruvec_is_reclaimable; 6.12 (6.3 to 6.11 unconfirmed)",
)
def old_after_ttl(now: int, birth: int, ttl: int, pages: int, priority: int) -> bool:
    """One tick later; too few are no help in any pass."""
    return now > birth + ttl and pages > 0
