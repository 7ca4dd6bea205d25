"""What is true of lists by generation between any two steps.

Linux: the VM_WARN_ONs of mm/vmscan.c and include/linux/mm_inline.h; seq_is_valid, state_is_valid.
6.1 to 6.12.  Not in seed.
"""

from linuxmm.model.reclaim.ageing import window
from linuxmm.model.reclaim.gen_lists import told_as
from linuxmm.model.reclaim.gen_state import gen_of, kind_of, oldest, rate, youngest
from linuxmm.model.reclaim.generations import (
    AVG_REFAULTED,
    AVG_TOTAL,
    EVICTED,
    GENS,
    KINDS,
    NR_RATES,
    PROTECTED,
    REFAULTED,
    TIERS,
)
from linuxmm.model.reclaim.rules import Rules
from linuxmm.model.reclaim.state import ACTIVE, NOTHING, UNEVICTABLE, Lruvec, has
from linuxmm.spec.invariant import invariant
from linuxmm.spec.reclaim.generations import generation_of, window_is_valid
from linuxmm.spec.reclaim.lists import EVICTABLE


def standing(v: Lruvec) -> tuple[int, ...]:
    """Every page on a generation's list, once for each time that it stands there."""
    return tuple(page for pages in v.gens.lists for page in pages)


def _listed(v: Lruvec, generation: int, kind: int, zone: int) -> tuple[int, ...]:
    return v.gens.lists[(generation * KINDS + kind) * len(v.zones) + zone]


def _open(v: Lruvec, kind: int) -> set[int]:
    return {generation_of(seq) for seq in range(oldest(v, kind), youngest(v) + 1)}


@invariant(
    "reclaim.generations.one-list",
    features=("F042", "F043"),
    source="include/linux/mm_inline.h:lru_gen_add_folio; mm/vmscan.c:scan_folios",
    since="6.1",
)
def one_generation_list(rules: Rules, v: Lruvec) -> bool:
    """A page with a generation stands once, on a list of its kind and zone; both generations are open.

    That they are open is not claimed of anonymous pages once their generations closed without them.
    """
    places = [
        (page, generation, kind, zone)
        for generation in range(GENS)
        for kind in range(KINDS)
        for zone in range(len(v.zones))
        for page in _listed(v, generation, kind, zone)
    ]
    pages = {page for page, *_ in places}
    return (
        len(places) == len(pages)
        and pages == {page for page in v.pages if gen_of(v, page) != NOTHING}
        and all(
            kind_of(v, page) == kind
            and v.pages[page].zone == zone
            and ({generation, gen_of(v, page)} <= _open(v, kind) or (kind == 0 and v.gens.skewed))
            and not has(v, page, ACTIVE | UNEVICTABLE)
            for page, generation, kind, zone in places
        )
    )


@invariant(
    "reclaim.generations.sizes",
    features=("F042", "F043"),
    source="include/linux/mm_inline.h:lru_gen_update_size",
    since="6.1",
)
def generation_sizes_agree(rules: Rules, v: Lruvec) -> bool:
    """A generation counts the pages whose flags name it; active and inactive sizes follow from that."""
    told = [[0, 0, 0, 0] for _ in v.zones]
    for lru in EVICTABLE:
        for page in v.lists[lru]:
            told[v.pages[page].zone][lru] += 1
    for generation in range(GENS):
        for kind in range(KINDS):
            for zone in range(len(v.zones)):
                at = (generation * KINDS + kind) * len(v.zones) + zone
                own = sum(
                    gen_of(v, page) == generation and kind_of(v, page) == kind and v.pages[page].zone == zone
                    for page in standing(v)
                )
                if v.gens.sizes[at] != own:
                    return False
                told[zone][told_as(v, generation, kind)] += own
    return all(tuple(row) == by_zone[:4] for row, by_zone in zip(told, v.by_zone, strict=True))


@invariant(
    "reclaim.generations.rates",
    features=("F042", "F046"),
    source="mm/vmscan.c:read_ctrl_pos, reset_ctrl_pos; mm/workingset.c:lru_gen_refault",
    since="6.1",
)
def rates_are_sound(rules: Rules, v: Lruvec) -> bool:
    """No rate is negative, the first tier is never spared, and no more pages came back than were evicted.

    The last is not claimed once the lists changed sides while shadows were left.
    """
    if len(v.gens.rates) != NR_RATES * KINDS * TIERS or min(v.gens.rates) < 0:
        return False
    for kind in range(KINDS):
        if rate(v, PROTECTED, kind, 0):
            return False
        for tier in range(TIERS):
            came_back = rate(v, REFAULTED, kind, tier) > rate(v, EVICTED, kind, tier)
            on_average = rate(v, AVG_REFAULTED, kind, tier) > rate(v, AVG_TOTAL, kind, tier)
            if (came_back or on_average) and not v.gens.mixed:
                return False
    return True


@invariant(
    "reclaim.generations.one-side",
    features=("F042",),
    source="mm/vmscan.c:state_is_valid",
    since="6.1",
)
def one_side(rules: Rules, v: Lruvec) -> bool:
    """Evictable pages are on lists by generation or on lists of old, as the lruvec says, never on both."""
    return not any(v.lists[lru] for lru in EVICTABLE) if v.gens.enabled else not standing(v)


def window_valid(rules: Rules, v: Lruvec) -> bool:
    """`window_is_valid` of the generations that are open."""
    return window_is_valid(window(v))


GENERATION_INVARIANTS = (
    ("reclaim.generations.window", window_valid),
    ("reclaim.generations.one-list", one_generation_list),
    ("reclaim.generations.sizes", generation_sizes_agree),
    ("reclaim.generations.rates", rates_are_sound),
    ("reclaim.generations.one-side", one_side),
)
