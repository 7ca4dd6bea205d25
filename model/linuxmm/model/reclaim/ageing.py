"""Ageing: the youngest generation is opened, the oldest closed, and pages used through page tables promoted.

Linux: mm/vmscan.c:inc_max_seq, inc_min_seq, try_to_inc_min_seq, try_to_inc_max_seq, walk_mm,
lru_gen_look_around.  6.1 to 6.12.  Not in seed.
"""

from linuxmm.model.reclaim.gen_accesses import activate
from linuxmm.model.reclaim.gen_lists import USES, promote, step_up
from linuxmm.model.reclaim.gen_state import (
    at_place,
    gen_of,
    gen_size,
    gen_tail,
    kind_of,
    list_count,
    next_mapped,
    note_skew,
    oldest,
    passed_over,
    rate,
    set_oldest,
    set_rate,
    set_youngest,
    walks_tables,
    youngest,
)
from linuxmm.model.reclaim.generations import AVG_REFAULTED, AVG_TOTAL, EVICTED, PROTECTED, REFAULTED
from linuxmm.model.reclaim.rules import Control, Rules
from linuxmm.model.reclaim.state import (
    ANON,
    NOTHING,
    REFERENCED,
    Lruvec,
    flag,
    has,
    mapped,
    nr_zones,
    references,
    slot_of,
)
from linuxmm.spec.reclaim.generation_rules import MAX_BATCH, averaged, part_around
from linuxmm.spec.reclaim.generations import (
    FILE,
    MAX_GENS,
    MAX_TIERS,
    MIN_GENS,
    Window,
    closed,
    generation_of,
    generations,
)
from linuxmm.spec.registry import verb

KINDS = (0, 1)


def window(v: Lruvec) -> Window:
    """The generations that are open."""
    return Window(youngest(v), oldest(v, 0), oldest(v, 1))


@verb("F042", source="mm/vmscan.c:reset_ctrl_pos; 6.1 to 6.12 without CONFIG_LRU_GEN_STATS, which keeps more")
def carry_over(v: Lruvec, kind: int) -> Lruvec:
    """A generation of a kind closes: its rates go into the averages, and the next begins at none."""
    for tier in range(MAX_TIERS):
        refaulted = rate(v, REFAULTED, kind, tier)
        total = rate(v, EVICTED, kind, tier) + rate(v, PROTECTED, kind, tier)
        v = set_rate(v, AVG_REFAULTED, kind, tier, averaged(rate(v, AVG_REFAULTED, kind, tier), refaulted))
        v = set_rate(v, AVG_TOTAL, kind, tier, averaged(rate(v, AVG_TOTAL, kind, tier), total))
        v = set_rate(v, REFAULTED, kind, tier, 0)
        v = set_rate(v, EVICTED, kind, tier, 0)
        v = set_rate(v, PROTECTED, kind, tier, 0)
    return v


def is_empty(v: Lruvec, seq: int, kind: int) -> bool:
    """Whether no page stands on a generation's lists."""
    standing = 0
    for zone in range(nr_zones(v)):
        standing += gen_tail(v, generation_of(seq), kind, zone) != NOTHING
    return standing == 0


@verb("F042", source="mm/vmscan.c:inc_min_seq; 6.1 to 6.12")
def close_oldest(v: Lruvec, kind: int, can_swap: bool) -> Lruvec:
    """The oldest generation of a kind closes: what stands there moves up, unless it cannot be swapped."""
    if kind == FILE or can_swap:
        first = generation_of(oldest(v, kind))
        for zone in range(nr_zones(v)):
            page = gen_tail(v, first, kind, zone)
            while page != NOTHING:
                v = step_up(v, page, kind, True, False)
                page = gen_tail(v, first, kind, zone)
    else:
        v = note_skew(v)
    v = carry_over(v, kind)
    return set_oldest(v, kind, oldest(v, kind) + 1)


@verb("F042", source="mm/vmscan.c:try_to_inc_min_seq; 6.1 to 6.12")
def close_empty(v: Lruvec, can_swap: bool) -> tuple[Lruvec, bool]:
    """Oldest generations on whose lists nothing stands close, down to two: whether one did."""
    was = window(v)
    empty_anon = empty_file = 0
    while can_swap and was.min_anon + empty_anon + MIN_GENS <= was.max_seq:
        if not is_empty(v, was.min_anon + empty_anon, 0):
            break
        empty_anon += 1
    while was.min_file + empty_file + MIN_GENS <= was.max_seq:
        if not is_empty(v, was.min_file + empty_file, 1):
            break
        empty_file += 1
    if can_swap:
        now = closed(was, empty_anon, empty_file)
    else:
        now = Window(was.max_seq, was.min_anon, was.min_file + empty_file)
    if now.min_anon != was.min_anon:
        v = set_oldest(carry_over(v, 0), 0, now.min_anon)
    if now.min_file != was.min_file:
        v = set_oldest(carry_over(v, 1), 1, now.min_file)
    return v, now.min_anon != was.min_anon or now.min_file != was.min_file


@verb("F042", source="mm/vmscan.c:inc_max_seq; 6.1 to 6.12")
def open_youngest(v: Lruvec, can_swap: bool) -> Lruvec:
    """A generation is opened, after the oldest of a kind that has four is closed; sizes follow.

    Ensures   the window stays valid; no page is lost
    """
    for kind in (1, 0):
        if generations(window(v), kind) == MAX_GENS:
            v = close_oldest(v, kind, can_swap)
    seq = youngest(v)
    before, after = generation_of(seq - 1), generation_of(seq + 1)
    for kind in KINDS:
        for zone in range(nr_zones(v)):
            older = gen_size(v, before, kind, zone) - gen_size(v, after, kind, zone)
            v = list_count(v, 2 * kind, zone, older)
            v = list_count(v, 2 * kind + 1, zone, -older)
    return set_youngest(v, seq + 1)


@verb("F004", "F042", source="mm/vmscan.c:walk_mm, walk_pte_range; 6.1 to 6.12")
def walk_tables(v: Lruvec, can_swap: bool) -> Lruvec:
    """Accessed bits in page tables are cleared, and the pages promoted.

    can_swap  anonymous pages take part
    Permits   any pages to be passed over: Bloom filters, locks and small processes leave tables out
    """
    page = next_mapped(v, NOTHING)
    while page != NOTHING:
        if (can_swap or kind_of(v, page) == FILE) and not passed_over(v, page):
            v, found = references(v, page)
            if found.ptes > 0:
                v = promote(v, page)
        page = next_mapped(v, page)
    return v


@verb("F042", source="mm/vmscan.c:try_to_inc_max_seq, run_aging; 6.1 to 6.12")
def age(v: Lruvec, can_swap: bool) -> Lruvec:
    """Page tables are walked if the machine has accessed bits and nobody forbade it; a generation is opened.

    Permits   one walker at a time: others wait or go on without
    """
    if walks_tables(v):
        v = walk_tables(v, can_swap)
    return open_youngest(v, can_swap)


# ---- beside a used entry ---------------------------------------------------------------------------------


@verb("F004", "F042", source="mm/vmscan.c:lru_gen_look_around; mm/rmap.c:folio_referenced_one; 6.1 to 6.12")
def look_around(rules: Rules, v: Lruvec, page: int, control: Control) -> Lruvec:
    """Reclaim found a page's entry used: pages of the entries beside it that are used too are promoted.

    Entries lie as places do, those of anonymous memory and of files in an area each.  Whoever walks page
    tables promotes in place; others move each page, or in place where there are many.
    Requires  the page is isolated
    """
    place = slot_of(v, page)
    around = part_around(place, 0, place + MAX_BATCH)
    if rules.marks_itself:
        v = flag(v, page, REFERENCED, True)
    used = young = 0
    for beside in range(around.first, around.end):
        other = at_place(v, beside)
        if _is_beside(v, other, page):
            v, found = references(v, other)
            if found.ptes > 0:
                used |= 1 << (beside - around.first)
                young += gen_of(v, other) != NOTHING and gen_of(v, other) != generation_of(youngest(v))
    in_place = control.walks or rules.many_neighbours(young)
    for beside in range(around.first, around.end):
        if used >> (beside - around.first) & 1:
            v = _promoted(rules, v, at_place(v, beside), in_place)
    return v


def _promoted(rules: Rules, v: Lruvec, page: int, in_place: bool) -> Lruvec:
    generation = gen_of(v, page)
    if in_place or generation == NOTHING:
        return promote(v, page)
    if generation == generation_of(youngest(v)):
        return v
    return activate(rules, flag(v, page, USES, False) if rules.hot_forgets else v, page)


def _is_beside(v: Lruvec, other: int, page: int) -> bool:
    """Whether another page's entry is in the area of the page's own."""
    if other == NOTHING or other == page:
        return False
    return mapped(v, other) > 0 and has(v, other, ANON) == has(v, page, ANON)
