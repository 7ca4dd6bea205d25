"""One pass over the lists at one priority: how much of each, in batches, and when to stop.

Linux: mm/vmscan.c:shrink_zone, shrink_lruvec, shrink_list.  Seed 2.4.1, 2.4.2 (F015, F042, F043).
"""

from typing import TypeAlias

from linuxmm.model.reclaim.eviction import shrink_generations
from linuxmm.model.reclaim.gen_state import by_generations
from linuxmm.model.reclaim.rules import Control, Rules
from linuxmm.model.reclaim.shrink import shrink_active, shrink_inactive
from linuxmm.model.reclaim.state import (
    Lruvec,
    managed,
    marks_of,
    nr_zones,
    recent,
    refaulted,
    saved_of,
    set_recent,
    set_saved,
    size_below,
    size_of,
    swap_free,
)
from linuxmm.spec.reclaim.amounts import left_after_target, unscanned_per_cent
from linuxmm.spec.reclaim.inactive import is_low
from linuxmm.spec.reclaim.lists import (
    ACTIVE,
    ACTIVE_ANON,
    ACTIVE_FILE,
    DEF_PRIORITY,
    EVICTABLE,
    FILE,
    INACTIVE_ANON,
    INACTIVE_FILE,
)
from linuxmm.spec.reclaim.scan_two_lists import batched, wanted_of_list
from linuxmm.spec.reclaim.shares import Pressure, aged
from linuxmm.spec.registry import verb
from linuxmm.spec.vocabulary import SWAP_CLUSTER_MAX

Counts: TypeAlias = tuple[int, int, int, int]
"""Pages of each evictable list."""


def with_count(counts: Counts, lru: int, pages: int) -> Counts:
    """The counts, with another of one list."""
    return (
        pages if lru == INACTIVE_ANON else counts[INACTIVE_ANON],
        pages if lru == ACTIVE_ANON else counts[ACTIVE_ANON],
        pages if lru == INACTIVE_FILE else counts[INACTIVE_FILE],
        pages if lru == ACTIVE_FILE else counts[ACTIVE_FILE],
    )


def eligible(rules: Rules, v: Lruvec, lru: int, control: Control) -> int:
    """Pages of a list that the pass may take."""
    return size_below(v, lru, control.reclaim_idx) if rules.nodes else size_of(v, lru)


def takes_down(rules: Rules, v: Lruvec, kind: int, control: Control, refaults: bool) -> bool:
    """Whether active pages of a kind (0 anonymous, FILE) are to become inactive.

    refaults  count refaults since reclaim last looked
    """
    inactive = eligible(rules, v, kind, control)
    active = eligible(rules, v, kind + ACTIVE, control)
    if kind == FILE:
        return rules.file_low(inactive, active, refaults and refaulted(v, FILE))
    present = managed(v)
    if refaults and rules.shadows_anon() and refaulted(v, 0):
        return True
    return rules.anon_low(inactive, active, rules.ratio(present, inactive, active), swap_free(v) > 0)


def pressure(rules: Rules, v: Lruvec, control: Control) -> Pressure:
    """What the choice of shares looks at."""
    inactive_anon = eligible(rules, v, INACTIVE_ANON, control)
    active_anon = eligible(rules, v, ACTIVE_ANON, control)
    free = high = 0
    for zone in range(nr_zones(v)):
        marks = marks_of(v, zone)
        free += marks.free
        high += marks.high
    anon_low = is_low(inactive_anon, active_anon, rules.ratio(managed(v), inactive_anon, active_anon))
    if rules.shares_see_refaults and rules.shadows_anon():
        anon_low = anon_low or refaulted(v, 0)
    noted, swap = recent(v), control.swaps and swap_free(v) > 0
    return Pressure(
        swappiness=control.swappiness,
        priority=control.priority,
        swap=swap,
        whole=True,
        free=free,
        high=high,
        inactive_anon=inactive_anon,
        inactive_file=eligible(rules, v, INACTIVE_FILE, control),
        anon=size_of(v, INACTIVE_ANON) + size_of(v, ACTIVE_ANON),
        file=size_of(v, INACTIVE_FILE) + size_of(v, ACTIVE_FILE),
        scanned_anon=noted.scanned_anon,
        scanned_file=noted.scanned_file,
        rotated_anon=noted.rotated_anon,
        rotated_file=noted.rotated_file,
        cost_anon=noted.cost_anon,
        cost_file=noted.cost_file,
        anon_low=anon_low,
        file_low=takes_down(rules, v, FILE, control, rules.shares_see_refaults),
        trims=True,
    )


@verb("F043", source="mm/vmscan.c:get_scan_count; shrink_zone before 2.6.35")
def scan_counts(rules: Rules, v: Lruvec, control: Control) -> tuple[Lruvec, Counts]:
    """Pages of each of the four lists that the pass scans."""
    anon = size_of(v, INACTIVE_ANON) + size_of(v, ACTIVE_ANON)
    file = size_of(v, INACTIVE_FILE) + size_of(v, ACTIVE_FILE)
    noted = recent(v)
    v = set_recent(
        v,
        aged(noted.scanned_anon, noted.rotated_anon, anon),
        aged(noted.scanned_file, noted.rotated_file, file),
    )
    p = pressure(rules, v, control)
    shares = rules.shares(p)
    counts = (0, 0, 0, 0)
    for lru in EVICTABLE:
        size = eligible(rules, v, lru, control)
        part = shares.file if lru & FILE else shares.anon
        if rules.whole(control.priority, p.swap, control.swappiness):
            wanted = size
        else:
            wanted = rules.rounding(
                rules.least(size, size >> control.priority, False), part, shares.denominator
            )
        if rules.batches:
            rest, wanted = batched(saved_of(v, lru), wanted)
            v = set_saved(v, lru, rest)
        counts = with_count(counts, lru, wanted)
    return v, counts


@verb("F042", "F043", source="mm/vmscan.c:shrink_zone, shrink_lruvec")
def shrink_lruvec(rules: Rules, v: Lruvec, control: Control) -> tuple[Lruvec, Control]:
    """One pass at the control's priority."""
    if rules.generations and by_generations(v):
        return shrink_generations(rules, v, control)
    if not rules.split:
        return _shrink_two(rules, v, control)
    v, counts = scan_counts(rules, v, control)
    targets, start, adjusted = counts, control.reclaimed, False
    if rules.adjusts:
        adjusted = not control.kswapd and control.priority == DEF_PRIORITY
    while counts[INACTIVE_ANON] or counts[ACTIVE_FILE] or counts[INACTIVE_FILE]:
        for lru in EVICTABLE:
            now = min(counts[lru], SWAP_CLUSTER_MAX)
            counts = with_count(counts, lru, counts[lru] - now)
            if now:
                v, control = _shrink_list(rules, v, lru, now, control)
        if control.reclaimed - start < control.target or adjusted:
            continue
        if not rules.adjusts:
            if control.priority < DEF_PRIORITY:
                break
            continue
        adjusted = True
        if not (counts[INACTIVE_FILE] + counts[ACTIVE_FILE] and counts[INACTIVE_ANON] + counts[ACTIVE_ANON]):
            break
        counts = _cut(counts, targets)
    if takes_down(rules, v, 0, control, False):
        v = shrink_active(rules, v, ACTIVE_ANON, SWAP_CLUSTER_MAX, control)
    return v, control


def _shrink_list(rules: Rules, v: Lruvec, lru: int, now: int, control: Control) -> tuple[Lruvec, Control]:
    if not lru & ACTIVE:
        return shrink_inactive(rules, v, lru, now, control)
    if takes_down(rules, v, lru - ACTIVE, control, True):
        v = shrink_active(rules, v, lru, now, control)
    return v, control


def _cut(counts: Counts, targets: Counts) -> Counts:
    """Enough is freed: drop the kind of which less is left, and scan of the other in proportion."""
    file = counts[INACTIVE_FILE] + counts[ACTIVE_FILE]
    anon = counts[INACTIVE_ANON] + counts[ACTIVE_ANON]
    less, more = (0, FILE) if file > anon else (FILE, 0)
    left = anon if less == 0 else file
    percentage = unscanned_per_cent(left, targets[less] + targets[less + ACTIVE])
    for lru in (more, more + ACTIVE):
        counts = with_count(counts, lru, left_after_target(targets[lru], counts[lru], percentage))
    return with_count(with_count(counts, less, 0), less + ACTIVE, 0)


def _shrink_two(rules: Rules, v: Lruvec, control: Control) -> tuple[Lruvec, Control]:
    """Two lists: what is to be scanned adds up until it is worth a batch."""
    active_saved, active = batched(
        saved_of(v, ACTIVE_FILE), wanted_of_list(size_of(v, ACTIVE_FILE), control.priority)
    )
    inactive_saved, inactive = batched(
        saved_of(v, INACTIVE_FILE), wanted_of_list(size_of(v, INACTIVE_FILE), control.priority)
    )
    v = set_saved(set_saved(v, INACTIVE_FILE, inactive_saved), ACTIVE_FILE, active_saved)
    while active or inactive:
        now = min(active, SWAP_CLUSTER_MAX)
        if now:
            active -= now
            v = shrink_active(rules, v, ACTIVE_FILE, now, control)
        now = min(inactive, SWAP_CLUSTER_MAX)
        if now:
            inactive -= now
            v, control = shrink_inactive(rules, v, INACTIVE_FILE, now, control)
    return v, control
