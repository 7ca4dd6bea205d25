"""How a page gets on a generation's list, leaves it, and changes its generation.

Linux: include/linux/mm_inline.h:lru_gen_add_folio, lru_gen_del_folio, lru_gen_update_size; mm/vmscan.c:
folio_update_gen, folio_inc_gen.  6.1 to 6.12.  Not in seed.
"""

from linuxmm.model.reclaim.gen_state import (
    gen_count,
    gen_of,
    kind_of,
    link,
    list_count,
    oldest,
    set_gen,
    unlink,
    youngest,
)
from linuxmm.model.reclaim.generations import REFS
from linuxmm.model.reclaim.rules import Rules
from linuxmm.model.reclaim.state import (
    ACTIVE,
    DIRTY,
    NOTHING,
    RECLAIM,
    REFERENCED,
    SWAPCACHE,
    WORKINGSET,
    WRITEBACK,
    Lruvec,
    flag,
    has,
    zone_of,
)
from linuxmm.spec.reclaim.generation_rules import counts_as_active, seq_of_new
from linuxmm.spec.reclaim.generations import FILE, MAX_GENS, generation_of
from linuxmm.spec.registry import verb

USES = REFS | REFERENCED | WORKINGSET
"""Everything that a page's flags say of its uses through file descriptors."""


def told_as(v: Lruvec, generation: int, kind: int) -> int:
    """The list of old as whose page one of a generation is told."""
    return 2 * kind + (1 if counts_as_active(generation, youngest(v)) else 0)


@verb("F042", source="include/linux/mm_inline.h:lru_gen_update_size; 6.1 to 6.12")
def resize(v: Lruvec, page: int, old: int, new: int) -> Lruvec:
    """A page's generation changes in the counts; NOTHING for a page that comes or goes."""
    kind, zone = kind_of(v, page), zone_of(v, page)
    if old != NOTHING:
        v = list_count(gen_count(v, old, kind, zone, -1), told_as(v, old, kind), zone, -1)
    if new != NOTHING:
        v = list_count(gen_count(v, new, kind, zone, 1), told_as(v, new, kind), zone, 1)
    return v


@verb("F042", source="include/linux/mm_inline.h:lru_gen_add_folio; 6.1 to 6.12")
def gen_add(rules: Rules, v: Lruvec, page: int, cold: bool) -> Lruvec:
    """A page gets on the list of the generation that its flags deserve, at the tail if it is to go first.

    Requires  lists by generation are in use, the page is evictable and on no list
    """
    kind = kind_of(v, page)
    hot = has(v, page, ACTIVE)
    unwritten = has(v, page, RECLAIM) and (has(v, page, DIRTY) or has(v, page, WRITEBACK))
    waits = (kind != FILE and not has(v, page, SWAPCACHE)) or unwritten
    generation = generation_of(seq_of_new(hot, waits, cold, oldest(v, kind), youngest(v)))
    if hot:
        v = flag(v, page, ACTIVE | REFS | REFERENCED if rules.hot_forgets else ACTIVE, False)
    v = set_gen(v, page, generation)
    return link(resize(v, page, NOTHING, generation), page, generation, cold)


@verb("F042", source="include/linux/mm_inline.h:lru_gen_del_folio; 6.1 to 6.12")
def gen_delete(v: Lruvec, page: int, reclaiming: bool) -> Lruvec:
    """A page leaves its list; whoever does not reclaim it is told whether it was among the young.

    Requires  the page has a generation
    """
    generation = gen_of(v, page)
    v = resize(unlink(v, page), page, generation, NOTHING)
    v = set_gen(v, page, NOTHING)
    if not reclaiming and counts_as_active(generation, youngest(v)):
        v = flag(v, page, ACTIVE, True)
    return v


@verb("F042", source="mm/vmscan.c:folio_update_gen; 6.1 to 6.12")
def promote(v: Lruvec, page: int) -> Lruvec:
    """A page was used through a page table: it is of the youngest generation, wherever it stands.

    A page that is isolated is marked instead.
    """
    old, new = gen_of(v, page), generation_of(youngest(v))
    if old == NOTHING:
        return flag(v, page, REFERENCED, True)
    v = set_gen(flag(v, page, USES, False), page, new)
    return v if old == new else resize(v, page, old, new)


@verb("F042", source="mm/vmscan.c:folio_inc_gen; 6.1 to 6.12")
def step_up(v: Lruvec, page: int, kind: int, to_tail: bool, reclaiming: bool) -> Lruvec:
    """A page moves from the oldest generation to the next; one that was promoted, to where it belongs.

    Requires  the page stands on a list of the kind
    """
    first = generation_of(oldest(v, kind))
    generation = gen_of(v, page)
    v = unlink(v, page)
    if generation == first:
        generation = (first + 1) % MAX_GENS
        v = set_gen(flag(v, page, USES, False), page, generation)
        if reclaiming:
            v = flag(v, page, RECLAIM, True)
        v = resize(v, page, first, generation)
    return link(v, page, generation, to_tail)
