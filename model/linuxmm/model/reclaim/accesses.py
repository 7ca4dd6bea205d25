"""How pages get on the lists and move by being used, locked, given up or written.

Linux: mm/swap.c, mm/mlock.c.  Seed 2.4.1, 2.4.3, 2.4.6 (F042, F043, F044, F047).
"""

from linuxmm.model.reclaim.ages import CLEAN, age_of, pressure_of, set_age, set_pressure
from linuxmm.model.reclaim.counters import (
    PGACTIVATE,
    PGDEACTIVATE,
    PGLAZYFREE,
    PGROTATED,
    UNEVICTABLE_PGS_CULLED,
    UNEVICTABLE_PGS_MLOCKED,
    UNEVICTABLE_PGS_MUNLOCKED,
    UNEVICTABLE_PGS_RESCUED,
)
from linuxmm.model.reclaim.events import (
    MmFilemapAddToPageCache,
    MmLruActivate,
    MmLruInsertion,
)
from linuxmm.model.reclaim.gen_accesses import gen_refault, give_up, has_generation, move_to_end, note_use
from linuxmm.model.reclaim.gen_lists import gen_add, gen_delete
from linuxmm.model.reclaim.gen_state import by_generations
from linuxmm.model.reclaim.refaults import refault
from linuxmm.model.reclaim.rules import Rules
from linuxmm.model.reclaim.state import (
    ACTIVE,
    ANON,
    DIRTY,
    LAZY,
    LOCKED,
    LRU,
    MLOCKED,
    NOTHING,
    RECLAIM,
    REFERENCED,
    SWAPBACKED,
    SWAPCACHE,
    UNEVICTABLE,
    WAITING,
    WRITEBACK,
    Lruvec,
    add_head,
    add_page,
    add_tail,
    clock_of,
    count,
    flag,
    forget,
    give_slot,
    has,
    is_waiting,
    leave_batch,
    pop,
    push,
    remove,
    set_clock,
    set_mlocks,
    shadow_at,
    trace,
    waiting,
)
from linuxmm.spec.errors import ImpossibleProfile
from linuxmm.spec.reclaim.ages import AGE_START, AGES_UP, USED_ONCE, age_when_activated, older
from linuxmm.spec.reclaim.lists import INACTIVE_FILE, is_file
from linuxmm.spec.registry import verb


def lru_of(rules: Rules, v: Lruvec, page: int) -> int:
    """The list on which a page is or belongs."""
    return rules.list_of(has(v, page, ACTIVE), is_file(has(v, page, SWAPBACKED)), has(v, page, UNEVICTABLE))


@verb(
    "F042", "F043", source="mm/filemap.c:add_to_page_cache_lru; mm/memory.c:do_anonymous_page, do_swap_page"
)
def bring_in(
    rules: Rules,
    v: Lruvec,
    page: int,
    slot: int,
    *,
    anon: bool = False,
    zone: int = 0,
    dirty: bool = False,
    fault: bool | None = None,
) -> Lruvec:
    """A new page holds the content of a place: it is added to the lists, active if it comes back soon.

    fault     a page fault brings it in, which lists by generation ask; anonymous pages by default
    Requires  the page is free, and the place is not held by another page
    """
    return enter(rules, v, page, slot, anon, zone, dirty, anon if fault is None else fault)


def enter(
    rules: Rules, v: Lruvec, page: int, slot: int, anon: bool, zone: int, dirty: bool, fault: bool
) -> Lruvec:
    """As `bring_in`."""
    v = add_page(v, page, (ANON | SWAPBACKED if anon else 0) | (DIRTY if dirty else 0), slot, zone)
    if not anon:
        v = trace(v, MmFilemapAddToPageCache(page, slot))
    by_generation = rules.generations and by_generations(v)
    if shadow_at(v, slot) != NOTHING:
        v = gen_refault(rules, v, page, fault) if by_generation else refault(rules, v, page)
    if (by_generation and fault) or (not by_generation and rules.starts_active(anon)):
        v = flag(v, page, ACTIVE, True)
    if anon and rules.marks_anon:
        v = flag(v, page, REFERENCED, True)
    if rules.aged:
        v = begin_age(rules, v, page)
    return lru_cache_add(rules, v, page)


@verb("F042", source="mm/swap.c:lru_cache_add, folio_add_lru")
def lru_cache_add(rules: Rules, v: Lruvec, page: int) -> Lruvec:
    """A page waits on the CPU's batch, which is emptied when it is full."""
    v = push(v, WAITING, page)
    return drain(rules, v) if waiting(v) >= rules.batch else v


@verb("F042", source="mm/swap.c:__pagevec_lru_add, folio_batch_move_lru, lru_add_drain")
def drain(rules: Rules, v: Lruvec) -> Lruvec:
    """Every waiting page gets on its list, the oldest first."""
    while waiting(v):
        v, page = pop(v, WAITING)
        v = putback(rules, v, page)
        v = trace(v, MmLruInsertion(page, lru_of(rules, v, page)))
    return v


def putback(rules: Rules, v: Lruvec, page: int) -> Lruvec:
    """A page that is on no list gets to the head of its own; a locked one to that of unevictable pages."""
    if rules.split:
        locked = has(v, page, MLOCKED)
        if locked:
            v = flag(v, page, ACTIVE, False)
            if not has(v, page, UNEVICTABLE):
                v = count(v, UNEVICTABLE_PGS_CULLED)
        elif has(v, page, UNEVICTABLE):
            v = count(v, UNEVICTABLE_PGS_RESCUED)
        v = flag(v, page, UNEVICTABLE, locked)
    if rules.generations and by_generations(v) and not has(v, page, UNEVICTABLE):
        return gen_add(rules, v, page, False)
    return add_head(v, page, lru_of(rules, v, page))


def begin_age(rules: Rules, v: Lruvec, page: int) -> Lruvec:
    """A new page has the age to start with (0 since 2.4.8); anonymous memory is on no list at first.

    Every allocation adds to the pressure.

    Source    mm/page_alloc.c:__free_pages_ok; 2.4.0 to 2.4.9
    """
    v = set_pressure(v, pressure_of(v) + 1)
    v = set_age(flag(v, page, CLEAN, False), page, 0 if rules.use == USED_ONCE else AGE_START)
    return flag(v, page, UNEVICTABLE, True) if has(v, page, ANON) else v


@verb("F042", source="mm/swap.c:activate_page; 2.4.0 to 2.4.9")
def activate(rules: Rules, v: Lruvec, page: int) -> Lruvec:
    """An inactive page becomes active; one on no list stays where it is."""
    if has(v, page, ACTIVE) or has(v, page, UNEVICTABLE) or not has(v, page, LRU):
        return v
    v = flag(remove(v, page, lru_of(rules, v, page)), page, ACTIVE, True)
    return trace(count(add_head(v, page, lru_of(rules, v, page)), PGACTIVATE), MmLruActivate(page))


@verb("F042", source="mm/swap.c:age_page_up; 2.4.0; mm/vmscan.c:age_page_up; 2.4.9")
def age_up(rules: Rules, v: Lruvec, page: int) -> Lruvec:
    """A use makes a page older; up to 2.4.7 one of age 0 becomes active first."""
    age = age_of(v, page)
    if rules.ages_settle and age == 0:
        v = activate(rules, v, page)
        age = age_when_activated(age)
    return set_age(v, page, older(age))


@verb("F042", source="mm/filemap.c:__find_page_nolock, check_used_once; 2.4.0 to 2.4.9")
def use_aged(rules: Rules, v: Lruvec, page: int) -> Lruvec:
    """A lookup and a read of a page: it gets older, or is marked, or becomes active the second time."""
    if rules.use == AGES_UP:
        return age_up(rules, v, page)
    v = flag(v, page, REFERENCED, True)
    if rules.use != USED_ONCE or has(v, page, ACTIVE) or has(v, page, UNEVICTABLE):
        return v
    if age_of(v, page) > 0:
        return set_age(activate(rules, v, page), page, age_when_activated(age_of(v, page)))
    return flag(set_age(v, page, AGE_START), page, REFERENCED, False)


@verb("F042", "F046", source="mm/swap.c:mark_page_accessed, folio_mark_accessed")
def mark_accessed(rules: Rules, v: Lruvec, page: int) -> Lruvec:
    """An access by read, write or a lookup: a mark first, then the active list."""
    if rules.generations and by_generations(v):
        return note_use(v, page)
    if rules.use:
        return use_aged(rules, v, page)
    listed = has(v, page, LRU)
    marked = rules.mark(
        has(v, page, ACTIVE),
        has(v, page, REFERENCED),
        has(v, page, UNEVICTABLE),
        listed,
        is_file(has(v, page, SWAPBACKED)),
    )
    if marked.activates and listed:
        v = remove(v, page, lru_of(rules, v, page))
        v = flag(v, page, ACTIVE, True)
        v = add_head(v, page, lru_of(rules, v, page))
        v = trace(count(v, PGACTIVATE), MmLruActivate(page))
    elif marked.activates and is_waiting(v, page):
        v = flag(v, page, ACTIVE, True)
    v = flag(v, page, REFERENCED, marked.referenced)
    return set_clock(v, clock_of(v) + 1) if marked.ages else v


@verb("F044", source="mm/mlock.c:mlock_vma_page, mlock_folio")
def mlock(rules: Rules, v: Lruvec, page: int) -> Lruvec:
    """An area that maps a page is locked: the page leaves the lists that are scanned."""
    if rules.mlock_counts:
        v = set_mlocks(v, page, v.pages[page].mlocks + 1)
    if has(v, page, MLOCKED):
        return v
    v = count(flag(v, page, MLOCKED, True), UNEVICTABLE_PGS_MLOCKED)
    return _move(rules, v, page)


@verb("F044", source="mm/mlock.c:munlock_vma_page, munlock_folio")
def munlock(rules: Rules, v: Lruvec, page: int, others: bool) -> Lruvec:
    """An area is unlocked: the last one gives the page back to reclaim.

    others  the reverse map finds another locked area (asked before 5.18; then pages count)
    """
    if rules.mlock_counts:
        mlocks = max(v.pages[page].mlocks - 1, 0)
        v, others = set_mlocks(v, page, mlocks), mlocks > 0
    if others or not has(v, page, MLOCKED):
        return v
    v = count(flag(v, page, MLOCKED, False), UNEVICTABLE_PGS_MUNLOCKED)
    return _move(rules, v, page)


def _move(rules: Rules, v: Lruvec, page: int) -> Lruvec:
    if not rules.split or not has(v, page, LRU):
        return v
    return putback(rules, take_off(rules, v, page), page)


def take_off(rules: Rules, v: Lruvec, page: int) -> Lruvec:
    """A page leaves the list that it is on, of whatever kind; what its flags then say is for others.

    Source    include/linux/mm_inline.h:lruvec_del_folio
    """
    if rules.generations and has_generation(v, page):
        return gen_delete(v, page, False)
    return remove(v, page, lru_of(rules, v, page))


@verb(
    "F047",
    source="mm/swap.c:lru_lazyfree_fn, folio_mark_lazyfree, 4.12 to 6.12; "
    "mm/madvise.c:madvise_free_pte_range, mm/swap.c:lru_deactivate_fn, a patch of 4.4 and one of 4.10",
)
def mark_lazyfree(rules: Rules, v: Lruvec, page: int) -> Lruvec:
    """MADV_FREE: an anonymous page becomes clean; since 4.12 it goes to the inactive file list.

    Before, it stays anonymous: an active one becomes inactive, and reclaim gives it a slot of swap only to
    drop it.  Its entries are clean already, and it is mapped once.
    Errors    ImpossibleProfile before 4.5
    """
    if not rules.lazyfree and not rules.lazyfree_stays:
        raise ImpossibleProfile("MADV_FREE was merged in 4.5")
    fits = has(v, page, ANON) and has(v, page, SWAPBACKED) and has(v, page, LRU)
    if not fits or has(v, page, UNEVICTABLE):
        return v
    if rules.lazyfree_stays:
        return _deactivated(rules, v, page)
    if has(v, page, SWAPCACHE):
        return v
    if rules.generations and by_generations(v):
        return give_up(rules, v, page)
    v = remove(v, page, lru_of(rules, v, page))
    v = flag(v, page, ACTIVE | REFERENCED | SWAPBACKED | DIRTY, False)
    return count(add_head(v, page, INACTIVE_FILE), PGLAZYFREE)


def _deactivated(rules: Rules, v: Lruvec, page: int) -> Lruvec:
    v = flag(give_slot(v, page) if has(v, page, SWAPCACHE) else v, page, DIRTY, False)
    v = flag(v, page, LAZY, True)
    if not has(v, page, ACTIVE):
        return v
    v = flag(remove(v, page, lru_of(rules, v, page)), page, ACTIVE | REFERENCED, False)
    return count(add_head(v, page, lru_of(rules, v, page)), PGDEACTIVATE)


@verb("F042", source="mm/filemap.c:end_page_writeback; mm/swap.c:rotate_reclaimable_page")
def end_writeback(rules: Rules, v: Lruvec, page: int) -> Lruvec:
    """Writing is done: a page that reclaim waits for comes to the tail of its inactive list."""
    asked = has(v, page, RECLAIM)
    v = flag(v, page, WRITEBACK | RECLAIM, False)
    busy = has(v, page, LOCKED) or has(v, page, DIRTY) or has(v, page, UNEVICTABLE)
    if not asked or busy or not has(v, page, LRU) or (has(v, page, ACTIVE) and not rules.rotates_active):
        return v
    if rules.generations and by_generations(v):
        return move_to_end(rules, v, page)
    v = flag(remove(v, page, lru_of(rules, v, page)), page, ACTIVE, False)
    return count(add_tail(v, page, lru_of(rules, v, page)), PGROTATED)


@verb("F042", source="mm/filemap.c:delete_from_page_cache; mm/swap.c:__page_cache_release")
def drop(rules: Rules, v: Lruvec, page: int) -> Lruvec:
    """A page's content ends, by truncation or exit: it is free at once, without a shadow.

    Requires  the page is on a list or waits, and nothing maps it
    """
    if has(v, page, LRU):
        v = take_off(rules, v, page)
    else:
        v = leave_batch(v, page)
    return forget(give_slot(v, page) if has(v, page, SWAPCACHE) else v, page)
