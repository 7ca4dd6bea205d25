"""Accesses and their like where pages are on lists by generation; and what an evicted page leaves behind.

Linux: mm/swap.c:folio_inc_refs, lru_move_tail_fn, lru_lazyfree_fn; mm/workingset.c:lru_gen_eviction,
lru_gen_refault.  6.1 to 6.12.  Not in seed.
"""

from linuxmm.model.reclaim.counters import (
    PGACTIVATE,
    PGLAZYFREE,
    PGROTATED,
    WORKINGSET_ACTIVATE,
    WORKINGSET_REFAULT,
    WORKINGSET_RESTORE,
)
from linuxmm.model.reclaim.events import MmLruActivate
from linuxmm.model.reclaim.gen_lists import gen_add, gen_delete
from linuxmm.model.reclaim.gen_state import (
    flags_of,
    gen_of,
    kind_of,
    oldest,
    rate,
    refs_of_page,
    set_rate,
)
from linuxmm.model.reclaim.generations import EVICTED, REFAULTED, REFS, REFS_SHIFT
from linuxmm.model.reclaim.rules import Rules
from linuxmm.model.reclaim.state import (
    ACTIVE,
    DIRTY,
    LRU,
    NOTHING,
    REFERENCED,
    SWAPBACKED,
    UNEVICTABLE,
    WORKINGSET,
    Lruvec,
    count,
    flag,
    has,
    set_shadow,
    shadow_at,
    slot_of,
    trace,
)
from linuxmm.spec.reclaim.generation_rules import MOST_REFS, refs_after_use
from linuxmm.spec.reclaim.generations import is_recent, refs_of, tier_of, token
from linuxmm.spec.reclaim.workingset import Shadow, pack, time_mask, unpack
from linuxmm.spec.registry import verb


@verb("F042", "F046", source="mm/swap.c:folio_inc_refs; 6.1 to 6.12")
def note_use(v: Lruvec, page: int) -> Lruvec:
    """A use through a file descriptor moves nothing; it counts: referenced, workingset, up to three more."""
    if has(v, page, UNEVICTABLE):
        return v
    if not has(v, page, REFERENCED):
        return flag(v, page, REFERENCED, True)
    if not has(v, page, WORKINGSET):
        return flag(v, page, WORKINGSET, True)
    refs = (flags_of(v, page) & REFS) >> REFS_SHIFT
    return flag(flag(v, page, REFS, False), page, refs_after_use(refs) << REFS_SHIFT, True)


@verb("F042", source="mm/swap.c:folio_activate_fn, lru_activate; 6.1 to 6.12")
def activate(rules: Rules, v: Lruvec, page: int) -> Lruvec:
    """A page moves to the head of the youngest generation."""
    if not has(v, page, LRU) or has(v, page, UNEVICTABLE):
        return v
    v = flag(gen_delete(v, page, False), page, ACTIVE, True)
    return trace(count(gen_add(rules, v, page, False), PGACTIVATE), MmLruActivate(page))


@verb("F042", source="mm/swap.c:lru_move_tail_fn, lru_move_tail; 6.1 to 6.12")
def move_to_end(rules: Rules, v: Lruvec, page: int) -> Lruvec:
    """A page that was written for reclaim comes to the tail of the oldest generation."""
    v = flag(gen_delete(v, page, False), page, ACTIVE, False)
    return count(gen_add(rules, v, page, True), PGROTATED)


@verb("F047", source="mm/swap.c:lru_lazyfree_fn, lru_lazyfree; 6.1 to 6.12")
def give_up(rules: Rules, v: Lruvec, page: int) -> Lruvec:
    """MADV_FREE: the page becomes a clean one of the old generations of files."""
    v = gen_delete(v, page, False)
    v = flag(v, page, ACTIVE | REFERENCED | SWAPBACKED | DIRTY, False)
    return count(gen_add(rules, v, page, False), PGLAZYFREE)


def has_generation(v: Lruvec, page: int) -> bool:
    """Whether a page stands on a generation's list."""
    return gen_of(v, page) != NOTHING


# ---- shadows -----------------------------------------------------------------------------------------------


@verb("F046", source="mm/workingset.c:lru_gen_eviction; 6.1 to 6.12")
def gen_evict(rules: Rules, v: Lruvec, page: int) -> Lruvec:
    """An evicted page leaves the number of the generation that it left, and its uses."""
    kind, refs = kind_of(v, page), refs_of_page(v, page)
    tier = tier_of(refs)
    v = set_rate(v, EVICTED, kind, tier, rate(v, EVICTED, kind, tier) + 1)
    shadow = Shadow(token(oldest(v, kind), refs), 0, 0, 0, 1 if refs else 0)
    return set_shadow(v, slot_of(v, page), pack(rules.layout, shadow))


@verb("F046", source="mm/workingset.c:lru_gen_refault; 6.1 to 6.12")
def gen_refault(rules: Rules, v: Lruvec, page: int, fault: bool) -> Lruvec:
    """A page comes back: soon enough it counts against its tier, and is spared if tiers would have spared it.

    fault     it is a page fault that brings it back
    Requires  the page is not on a list yet
    """
    slot, kind = slot_of(v, page), kind_of(v, page)
    word = shadow_at(v, slot)
    v = set_shadow(v, slot, NOTHING)
    held = unpack(rules.layout, word)
    recent = is_recent(held.time, oldest(v, kind), time_mask(rules.layout))
    if recent or rules.counts_every_return:
        v = count(v, WORKINGSET_REFAULT + 1 + kind)
    if not recent:
        return v
    refs = refs_of(held.time, held.workingset)
    tier = tier_of(refs)
    v = set_rate(v, REFAULTED, kind, tier, rate(v, REFAULTED, kind, tier) + 1)
    if rules.counts_every_return:
        v = count(v, WORKINGSET_ACTIVATE + 1 + kind)
    if fault or refs >= MOST_REFS:
        v = flag(v, page, REFS | WORKINGSET, True)
        v = count(v, WORKINGSET_RESTORE + 1 + kind)
    return v
