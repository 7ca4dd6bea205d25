"""The primitives through which algorithms see the generations of a lruvec.

As in `state`: a question, or one elementary change.  A list of pages is named by generation, kind and zone.

Linux: include/linux/mmzone.h, mm/vmscan.c; 6.1 to 6.12.  Not in seed.
"""

from dataclasses import replace

from linuxmm.model.reclaim.generations import (
    AVG_REFAULTED,
    AVG_TOTAL,
    EVICTED,
    GEN,
    GEN_SHIFT,
    GENS,
    KINDS,
    PROTECTED,
    REFAULTED,
    REFS,
    REFS_SHIFT,
    TIERS,
    Generations,
)
from linuxmm.model.reclaim.state import LRU, NOTHING, SWAPBACKED, WORKINGSET, Lruvec, flag, has, mapped
from linuxmm.spec.reclaim.generations import Rate
from linuxmm.spec.reclaim.lists import is_file

# ---- questions -------------------------------------------------------------------------------------------


def by_generations(v: Lruvec) -> bool:
    """Whether the lruvec's pages are on lists by generation."""
    return v.gens.enabled


def youngest(v: Lruvec) -> int:
    """max_seq."""
    return v.gens.max_seq


def oldest(v: Lruvec, kind: int) -> int:
    """min_seq of a kind."""
    return v.gens.min_seq[kind]


def _at(v: Lruvec, generation: int, kind: int, zone: int) -> int:
    return (generation * KINDS + kind) * len(v.zones) + zone


def gen_tail(v: Lruvec, generation: int, kind: int, zone: int) -> int:
    """The page that eviction meets next, or NOTHING."""
    pages = v.gens.lists[_at(v, generation, kind, zone)]
    return pages[-1] if pages else NOTHING


def gen_size(v: Lruvec, generation: int, kind: int, zone: int) -> int:
    """Pages whose flags name a generation, as counted."""
    return v.gens.sizes[_at(v, generation, kind, zone)]


def flags_of(v: Lruvec, page: int) -> int:
    """All flags of a page."""
    return v.pages[page].flags


def kind_of(v: Lruvec, page: int) -> int:
    """The kind of a page: 0 anonymous, 1 of a file."""
    return 1 if is_file(has(v, page, SWAPBACKED)) else 0


def gen_of(v: Lruvec, page: int) -> int:
    """The generation that a page's flags name, or NOTHING."""
    return ((flags_of(v, page) & GEN) >> GEN_SHIFT) - 1


def refs_of_page(v: Lruvec, page: int) -> int:
    """Uses of a page beyond the first, 0 to 4."""
    return ((flags_of(v, page) & REFS) >> REFS_SHIFT) + (1 if has(v, page, WORKINGSET) else 0)


def _rate_at(which: int, kind: int, tier: int) -> int:
    return (which * KINDS + kind) * TIERS + tier


def rate(v: Lruvec, which: int, kind: int, tier: int) -> int:
    """What the controller counted."""
    return v.gens.rates[_rate_at(which, kind, tier)]


def now_of(v: Lruvec) -> int:
    """The present tick."""
    return v.gens.now


def birth_of(v: Lruvec, generation: int) -> int:
    """The tick at which a generation was opened."""
    return v.gens.births[generation]


def ttl_of(v: Lruvec) -> int:
    """Ticks for which the working set is not to be evicted."""
    return v.gens.ttl


def walks_tables(v: Lruvec) -> bool:
    """Whether ageing walks page tables."""
    return v.gens.walks


def next_mapped(v: Lruvec, page: int) -> int:
    """The mapped page with the next number, or NOTHING; in what order a walk goes makes no difference."""
    return min((other for other in v.pages if other > page and mapped(v, other)), default=NOTHING)


def passed_over(v: Lruvec, page: int) -> bool:
    """Whether the walk passes over the tables that map a page."""
    return page in v.gens.passed


def at_place(v: Lruvec, place: int) -> int:
    """The page that holds the content of a place, or NOTHING."""
    if place in v.pages and v.pages[place].slot == place:
        return place
    return next((page for page, held in v.pages.items() if held.slot == place), NOTHING)


# ---- elementary changes ------------------------------------------------------------------------------------


def _with(v: Lruvec, gens: Generations) -> Lruvec:
    return replace(v, gens=gens)


def _put(row: tuple[int, ...], at: int, value: int) -> tuple[int, ...]:
    return (*row[:at], value, *row[at + 1 :])


def link(v: Lruvec, page: int, generation: int, to_tail: bool) -> Lruvec:
    """Put a page on the list of a generation, at the head or at the tail; nothing is counted.

    Requires  the page is on no list
    """
    at = _at(v, generation, kind_of(v, page), v.pages[page].zone)
    pages = v.gens.lists[at]
    lists = (*v.gens.lists[:at], (*pages, page) if to_tail else (page, *pages), *v.gens.lists[at + 1 :])
    return flag(_with(v, replace(v.gens, lists=lists)), page, LRU, True)


def unlink(v: Lruvec, page: int) -> Lruvec:
    """Take a page off whatever generation's list it stands on.

    Requires  it stands on one of its kind and zone
    """
    at = _standing(v, page)
    pages = v.gens.lists[at]
    where = len(pages) - 1 if pages[-1] == page else pages.index(page)
    lists = (*v.gens.lists[:at], pages[:where] + pages[where + 1 :], *v.gens.lists[at + 1 :])
    return flag(_with(v, replace(v.gens, lists=lists)), page, LRU, False)


def _standing(v: Lruvec, page: int) -> int:
    kind, zone = kind_of(v, page), v.pages[page].zone
    places = (_at(v, generation, kind, zone) for generation in range(GENS))
    return next(at for at in places if page in v.gens.lists[at])


def gen_count(v: Lruvec, generation: int, kind: int, zone: int, pages: int) -> Lruvec:
    """Add to the pages of a generation."""
    at = _at(v, generation, kind, zone)
    return _with(v, replace(v.gens, sizes=_put(v.gens.sizes, at, v.gens.sizes[at] + pages)))


def list_count(v: Lruvec, lru: int, zone: int, pages: int) -> Lruvec:
    """Add to what is told as the size of an active or inactive list."""
    row = _put(v.by_zone[zone], lru, v.by_zone[zone][lru] + pages)
    rows = (*v.by_zone[:zone], row, *v.by_zone[zone + 1 :])
    return replace(v, sizes=_put(v.sizes, lru, v.sizes[lru] + pages), by_zone=rows)


def set_gen(v: Lruvec, page: int, generation: int) -> Lruvec:
    """Write a generation, or NOTHING, into a page's flags."""
    return flag(flag(v, page, GEN, False), page, (generation + 1) << GEN_SHIFT, True)


def set_youngest(v: Lruvec, seq: int) -> Lruvec:
    """Set max_seq; the generation is born now."""
    births = _put(v.gens.births, seq % GENS, v.gens.now)
    return _with(v, replace(v.gens, max_seq=seq, births=births))


def set_oldest(v: Lruvec, kind: int, seq: int) -> Lruvec:
    """Set min_seq of a kind."""
    anon, file = v.gens.min_seq
    return _with(v, replace(v.gens, min_seq=(anon, seq) if kind else (seq, file)))


def set_rate(v: Lruvec, which: int, kind: int, tier: int, value: int) -> Lruvec:
    """Set what the controller counts."""
    return _with(v, replace(v.gens, rates=_put(v.gens.rates, _rate_at(which, kind, tier), value)))


def note_starved(v: Lruvec) -> Lruvec:
    """The OOM killer is called: nothing is old enough."""
    return _with(v, replace(v.gens, starved=v.gens.starved + 1))


def note_skew(v: Lruvec) -> Lruvec:
    """Anonymous pages stay on the lists of a generation that closes."""
    return _with(v, replace(v.gens, skewed=True))


def set_enabled(v: Lruvec, on: bool) -> Lruvec:
    """Say on which lists the lruvec's pages are to be; shadows that are left are of the other kind."""
    return _with(v, replace(v.gens, enabled=on, mixed=v.gens.mixed or bool(v.shadows)))


def tick(v: Lruvec, ticks: int) -> Lruvec:
    """Time goes on."""
    return _with(v, replace(v.gens, now=v.gens.now + ticks))


# ---- more than one -----------------------------------------------------------------------------------------


def rate_of(v: Lruvec, kind: int, tier: int, gain: int) -> Rate:
    """How a tier fares, now and on average before."""
    total = rate(v, AVG_TOTAL, kind, tier) + rate(v, EVICTED, kind, tier) + rate(v, PROTECTED, kind, tier)
    return Rate(rate(v, AVG_REFAULTED, kind, tier) + rate(v, REFAULTED, kind, tier), total, gain)
