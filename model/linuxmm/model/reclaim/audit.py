"""What is true of the lists between any two steps.

Linux: the VM_BUG_ONs of mm/vmscan.c and mm/swap.c.  Seed 2.4 (F015, F042, F043, F044, F046).
"""

from linuxmm.model.reclaim.accesses import lru_of
from linuxmm.model.reclaim.ages import age_of
from linuxmm.model.reclaim.gen_audit import GENERATION_INVARIANTS, standing
from linuxmm.model.reclaim.rules import Rules
from linuxmm.model.reclaim.state import (
    LRU,
    MLOCKED,
    UNEVICTABLE,
    Lruvec,
    has,
)
from linuxmm.spec.invariant import invariant
from linuxmm.spec.reclaim.ages import age_in_range
from linuxmm.spec.reclaim.lists import NR_LISTS
from linuxmm.spec.reclaim.lists import UNEVICTABLE as UNEVICTABLE_LIST
from linuxmm.spec.step import Refusal


@invariant(
    "reclaim.lists.one-place",
    features=("F042", "F043"),
    source="mm/vmscan.c:move_folios_to_lru; include/linux/mm_inline.h:lruvec_add_folio",
    seed="2.4.1",
)
def one_place(rules: Rules, v: Lruvec) -> bool:
    """Between steps every page is once on one list or on a CPU's batch, and PG_lru says which."""
    places = [page for pages in v.lists for page in pages] + [*standing(v)]
    listed = set(places)
    waiting = set(v.waiting)
    return (
        len(places) == len(listed)
        and len(v.waiting) == len(waiting)
        and not listed & waiting
        and listed | waiting == set(v.pages)
        and all(has(v, page, LRU) == (page in listed) for page in v.pages)
    )


@invariant(
    "reclaim.lists.own-list",
    features=("F042", "F043", "F044"),
    source="include/linux/mm_inline.h:folio_lru_list; mm/swap.c:lru_add_fn",
    seed="2.4.1",
)
def own_list(rules: Rules, v: Lruvec) -> bool:
    """A page on a list is on the one that its flags name."""
    return all(lru_of(rules, v, page) == lru for lru in range(NR_LISTS) for page in v.lists[lru])


@invariant(
    "reclaim.lists.sizes",
    features=("F015", "F042", "F043"),
    source="include/linux/mm_inline.h:update_lru_size; mm/vmscan.c:lruvec_lru_size",
    seed="2.4.1",
)
def sizes_agree(rules: Rules, v: Lruvec) -> bool:
    """The counted size of a list is its length, and that of its zones together; nothing is isolated.

    Lists by generation are told as active and inactive ones: `reclaim.generations.sizes` says how.
    """
    counted = range(UNEVICTABLE_LIST, NR_LISTS) if v.gens.enabled else range(NR_LISTS)
    return (
        v.isolated == (0, 0)
        and all(v.sizes[lru] == len(v.lists[lru]) for lru in counted)
        and all(v.sizes[lru] == sum(counts[lru] for counts in v.by_zone) for lru in range(NR_LISTS))
    )


@invariant(
    "reclaim.lists.unevictable",
    features=("F044",),
    source="mm/vmscan.c:folio_evictable, check_move_unevictable_folios",
    seed="2.4.3",
    since="2.6.28",
)
def unevictable_apart(rules: Rules, v: Lruvec) -> bool:
    """A locked page is on no list that is scanned, and a page that nobody locks is not kept from reclaim."""
    return not rules.split or all(
        has(v, page, MLOCKED) == (lru == UNEVICTABLE_LIST) == has(v, page, UNEVICTABLE)
        for lru in range(NR_LISTS)
        for page in v.lists[lru]
    )


@invariant(
    "reclaim.shadows.apart",
    features=("F046",),
    source="mm/filemap.c:__filemap_add_folio; mm/workingset.c:workingset_eviction",
    seed="2.4.5",
    since="3.15",
)
def shadows_apart(rules: Rules, v: Lruvec) -> bool:
    """A place holds a page or a shadow of one, never both, and never two pages."""
    slots = [page.slot for page in v.pages.values()]
    return len(slots) == len(set(slots)) and not set(slots) & set(v.shadows)


def ages_sound(rules: Rules, v: Lruvec) -> bool:
    """Every page has an age in range (2.4.0 to 2.4.9)."""
    return not rules.aged or all(age_in_range(age_of(v, page)) for page in v.pages)


INVARIANTS = (
    ("reclaim.lists.one-place", one_place),
    ("reclaim.lists.own-list", own_list),
    ("reclaim.lists.sizes", sizes_agree),
    ("reclaim.lists.unevictable", unevictable_apart),
    ("reclaim.shadows.apart", shadows_apart),
    ("reclaim.aged.range", ages_sound),
    *GENERATION_INVARIANTS,
)


def broken(rules: Rules, v: Lruvec) -> Refusal | None:
    """The first invariant that a state breaks, or None."""
    for name, holds in INVARIANTS:
        if not holds(rules, v):
            return Refusal(name, f"lists {v.lists}, waiting {v.waiting}, sizes {v.sizes}")
    return None
