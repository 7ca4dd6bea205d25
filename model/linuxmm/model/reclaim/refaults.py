"""What an evicted page leaves behind, and what becomes of one that comes back.

Linux: mm/workingset.c:workingset_eviction, workingset_refault; mm/swap.c:lru_note_cost.  Seed 2.4.5 (F046).
"""

from linuxmm.model.reclaim.counters import WORKINGSET_ACTIVATE, WORKINGSET_REFAULT, WORKINGSET_RESTORE
from linuxmm.model.reclaim.gen_accesses import gen_evict
from linuxmm.model.reclaim.gen_state import by_generations
from linuxmm.model.reclaim.rules import Rules
from linuxmm.model.reclaim.state import (
    ACTIVE,
    ANON,
    NOTHING,
    SWAPBACKED,
    WORKINGSET,
    Lruvec,
    clock_of,
    count,
    flag,
    has,
    note_refault,
    recent,
    set_clock,
    set_cost,
    set_shadow,
    shadow_at,
    size_of,
    slot_of,
    swap_free,
    zone_of,
)
from linuxmm.spec.reclaim.lists import (
    ACTIVE_ANON,
    ACTIVE_FILE,
    EVICTABLE,
    INACTIVE_ANON,
    INACTIVE_FILE,
    is_file,
)
from linuxmm.spec.reclaim.shares import costs_after
from linuxmm.spec.reclaim.workingset import Resident, Shadow, distance, pack, unpack
from linuxmm.spec.registry import verb


@verb("F043", source="mm/swap.c:lru_note_cost; 5.8 to 6.12")
def note_cost(rules: Rules, v: Lruvec, file: bool, io: int, rotated: int) -> Lruvec:
    """Note what reclaim of a kind of pages costs; nothing before 5.8."""
    cost = rules.cost(io, rotated)
    if not cost:
        return v
    pages = 0
    for lru in EVICTABLE:
        pages += size_of(v, lru)
    was = recent(v)
    return set_cost(v, costs_after(was.cost_anon, was.cost_file, file, cost, pages))


@verb("F046", source="mm/workingset.c:workingset_eviction; 3.15 to 6.12")
def evict(rules: Rules, v: Lruvec, page: int) -> Lruvec:
    """A reclaimed page leaves a shadow in its place, and the clock goes on."""
    if rules.generations and by_generations(v):
        return gen_evict(rules, v, page)
    if not rules.shadows or (has(v, page, ANON) and not rules.shadows_anon()):
        return v
    noted, clock = rules.eviction_time(clock_of(v), 1)
    zone = zone_of(v, page) if rules.layout.zone else 0
    shadow = Shadow(noted, 0, 0, zone, int(has(v, page, WORKINGSET)) if rules.layout.flag else 0)
    return set_clock(set_shadow(v, slot_of(v, page), pack(rules.layout, shadow)), clock)


@verb("F046", source="mm/workingset.c:workingset_refault; 3.15 to 6.12")
def refault(rules: Rules, v: Lruvec, page: int) -> Lruvec:
    """A page comes back to a place that has a shadow: soon enough, it is active at once.

    Requires  the page is not on a list yet
    """
    slot, layout = slot_of(v, page), rules.layout
    word = shadow_at(v, slot)
    v = set_shadow(v, slot, NOTHING)
    if not rules.shadows:
        return v
    shadow, file = unpack(layout, word), is_file(has(v, page, SWAPBACKED))
    kind = (2 if file else 1) if rules.shadows_anon() else 0
    v = count(v, WORKINGSET_REFAULT + kind)
    resident = Resident(
        size_of(v, INACTIVE_ANON),
        size_of(v, ACTIVE_ANON),
        size_of(v, INACTIVE_FILE),
        size_of(v, ACTIVE_FILE),
        swap_free(v) > 0,
    )
    if distance(layout, clock_of(v), shadow.time, 0) > rules.workingset_size(resident, file):
        return v
    v = set_clock(flag(v, page, ACTIVE, True), clock_of(v) + 1)
    v = count(v, WORKINGSET_ACTIVATE + kind)
    v = note_refault(v, file)
    if shadow.workingset:
        v = note_cost(rules, flag(v, page, WORKINGSET, True), file, 1, 0)
        v = count(v, WORKINGSET_RESTORE + kind)
    return v
