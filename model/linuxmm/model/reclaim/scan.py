"""One pass over the lists at one priority: how much of each, in batches, and when to stop.

Linux: mm/vmscan.c:shrink_zone, shrink_lruvec, shrink_list.  Seed 2.4.1, 2.4.2 (F015, F042, F043).
"""

from dataclasses import replace

from linuxmm.model.reclaim.rules import Control, Rules
from linuxmm.model.reclaim.shrink import shrink_active, shrink_inactive
from linuxmm.model.reclaim.state import Lruvec, size_below, size_of, swap_free
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
        return rules.file_low(inactive, active, refaults and v.refaults[1] != v.looked[1])
    present = sum(zone.managed for zone in v.zones)
    if refaults and rules.shadows_anon() and v.refaults[0] != v.looked[0]:
        return True
    return rules.anon_low(inactive, active, rules.ratio(present, inactive, active), swap_free(v) > 0)


def pressure(rules: Rules, v: Lruvec, control: Control) -> Pressure:
    """What the choice of shares looks at."""
    sizes = [size_of(v, lru) for lru in EVICTABLE]
    inactive_anon = eligible(rules, v, INACTIVE_ANON, control)
    active_anon = eligible(rules, v, ACTIVE_ANON, control)
    present = sum(zone.managed for zone in v.zones)
    anon_low = is_low(inactive_anon, active_anon, rules.ratio(present, inactive_anon, active_anon))
    if rules.shares_see_refaults and rules.shadows_anon():
        anon_low = anon_low or v.refaults[0] != v.looked[0]
    return Pressure(
        swappiness=control.swappiness,
        priority=control.priority,
        swap=control.swaps and swap_free(v) > 0,
        whole=True,
        free=sum(zone.free for zone in v.zones),
        high=sum(zone.high for zone in v.zones),
        inactive_anon=inactive_anon,
        inactive_file=eligible(rules, v, INACTIVE_FILE, control),
        anon=sizes[INACTIVE_ANON] + sizes[ACTIVE_ANON],
        file=sizes[INACTIVE_FILE] + sizes[ACTIVE_FILE],
        scanned_anon=v.scanned[0],
        scanned_file=v.scanned[1],
        rotated_anon=v.rotated[0],
        rotated_file=v.rotated[1],
        cost_anon=v.cost[0],
        cost_file=v.cost[1],
        anon_low=anon_low,
        file_low=takes_down(rules, v, FILE, control, rules.shares_see_refaults),
        trims=True,
    )


@verb("F043", source="mm/vmscan.c:get_scan_count; shrink_zone before 2.6.35")
def scan_counts(rules: Rules, v: Lruvec, control: Control) -> tuple[Lruvec, list[int]]:
    """Pages of each of the four lists that the pass scans."""
    anon = size_of(v, INACTIVE_ANON) + size_of(v, ACTIVE_ANON)
    file = size_of(v, INACTIVE_FILE) + size_of(v, ACTIVE_FILE)
    scanned_anon, rotated_anon = aged(v.scanned[0], v.rotated[0], anon)
    scanned_file, rotated_file = aged(v.scanned[1], v.rotated[1], file)
    v = replace(v, scanned=(scanned_anon, scanned_file), rotated=(rotated_anon, rotated_file))
    p = pressure(rules, v, control)
    shares = rules.shares(p)
    counts: list[int] = []
    saved: list[int] = []
    for lru in EVICTABLE:
        size = eligible(rules, v, lru, control)
        part = shares.file if lru & FILE else shares.anon
        if rules.whole(control.priority, p.swap, control.swappiness):
            wanted = size
        else:
            wanted = rules.rounding(
                rules.least(size, size >> control.priority, False), part, shares.denominator
            )
        rest, now = batched(v.saved[lru], wanted) if rules.batches else (0, wanted)
        saved.append(rest)
        counts.append(now)
    return replace(v, saved=tuple(saved)), counts


@verb("F042", "F043", source="mm/vmscan.c:shrink_zone, shrink_lruvec")
def shrink_lruvec(rules: Rules, v: Lruvec, control: Control) -> tuple[Lruvec, Control]:
    """One pass at the control's priority."""
    if not rules.split:
        return _shrink_two(rules, v, control)
    v, counts = scan_counts(rules, v, control)
    targets, start, adjusted = tuple(counts), control.reclaimed, False
    if rules.adjusts:
        adjusted = not control.kswapd and control.priority == DEF_PRIORITY
    while counts[INACTIVE_ANON] or counts[ACTIVE_FILE] or counts[INACTIVE_FILE]:
        for lru in EVICTABLE:
            now = min(counts[lru], SWAP_CLUSTER_MAX)
            counts[lru] -= now
            if now:
                v, control = _shrink_list(rules, v, lru, now, control)
        if control.reclaimed - start < control.target or adjusted:
            continue
        if not rules.adjusts:
            if control.priority < DEF_PRIORITY:
                break
            continue
        adjusted = True
        if not _cut(counts, targets):
            break
    if takes_down(rules, v, 0, control, False):
        v = shrink_active(rules, v, ACTIVE_ANON, SWAP_CLUSTER_MAX, control)
    return v, control


def _shrink_list(rules: Rules, v: Lruvec, lru: int, now: int, control: Control) -> tuple[Lruvec, Control]:
    if not lru & ACTIVE:
        return shrink_inactive(rules, v, lru, now, control)
    if takes_down(rules, v, lru - ACTIVE, control, True):
        v = shrink_active(rules, v, lru, now, control)
    return v, control


def _cut(counts: list[int], targets: tuple[int, ...]) -> bool:
    """Enough is freed: drop the kind of which less is left, and scan of the other in proportion."""
    file = counts[INACTIVE_FILE] + counts[ACTIVE_FILE]
    anon = counts[INACTIVE_ANON] + counts[ACTIVE_ANON]
    if not file or not anon:
        return False
    less, more = (0, FILE) if file > anon else (FILE, 0)
    left = anon if less == 0 else file
    percentage = unscanned_per_cent(left, targets[less] + targets[less + ACTIVE])
    for lru in (more, more + ACTIVE):
        counts[lru] = left_after_target(targets[lru], counts[lru], percentage)
    counts[less] = counts[less + ACTIVE] = 0
    return True


def _shrink_two(rules: Rules, v: Lruvec, control: Control) -> tuple[Lruvec, Control]:
    """Two lists: what is to be scanned adds up until it is worth a batch."""
    active_saved, active = batched(
        v.saved[ACTIVE_FILE], wanted_of_list(size_of(v, ACTIVE_FILE), control.priority)
    )
    inactive_saved, inactive = batched(
        v.saved[INACTIVE_FILE], wanted_of_list(size_of(v, INACTIVE_FILE), control.priority)
    )
    v = replace(v, saved=(0, 0, inactive_saved, active_saved))
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
