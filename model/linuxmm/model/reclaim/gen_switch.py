"""lru_gen/enabled: a lruvec's pages go from lists of old to lists by generation, or back.

Linux: mm/vmscan.c:lru_gen_change_state, fill_evictable, drain_evictable, state_is_valid.  6.1 to 6.12.
Not in seed.
"""

from linuxmm.model.reclaim.gen_lists import gen_add, gen_delete
from linuxmm.model.reclaim.gen_state import by_generations, gen_tail, set_enabled
from linuxmm.model.reclaim.rules import Rules
from linuxmm.model.reclaim.state import ACTIVE as ACTIVE_FLAG
from linuxmm.model.reclaim.state import NOTHING, Lruvec, add_head, has, nr_zones, remove, tail
from linuxmm.spec.reclaim.generations import MAX_GENS
from linuxmm.spec.reclaim.lists import ACTIVE, EVICTABLE, FILE
from linuxmm.spec.registry import verb


@verb("F042", source="mm/vmscan.c:lru_gen_change_state; 6.1 to 6.12")
def switch(rules: Rules, v: Lruvec, on: bool) -> Lruvec:
    """Switch lists by generation on or off; pages on a CPU's batch and locked ones stay where they are.

    Requires  rules.generations
    Ensures   all evictable pages are on lists of one sort; in the kernel 4096 move under one hold of the lock
    """
    if by_generations(v) == on:
        return v
    v = set_enabled(v, on)
    return _fill(rules, v) if on else _drain(v)


def _fill(rules: Rules, v: Lruvec) -> Lruvec:
    for lru in EVICTABLE:
        page = tail(v, lru)
        while page != NOTHING:
            v = gen_add(rules, remove(v, page, lru), page, False)
            page = tail(v, lru)
    return v


def _drain(v: Lruvec) -> Lruvec:
    for generation in range(MAX_GENS):
        for kind in (0, 1):
            for zone in range(nr_zones(v)):
                page = gen_tail(v, generation, kind, zone)
                while page != NOTHING:
                    v = gen_delete(v, page, False)
                    lru = kind * FILE + (ACTIVE if has(v, page, ACTIVE_FLAG) else 0)
                    v = add_head(v, page, lru)
                    page = gen_tail(v, generation, kind, zone)
    return v
