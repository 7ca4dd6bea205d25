"""Lumpy reclaim: pages around the tail of the inactive list are taken with it, hot or not.

It works on the lists of `linuxmm.model.reclaim`, and judges pages as that does.

Linux: mm/vmscan.c:isolate_lru_pages, __isolate_lru_page, shrink_inactive_list.  Seed 2.2.1 (F037).
2.6.23 to 3.4.
"""

from collections.abc import Callable
from typing import NamedTuple

from linuxmm.model.reclaim.accesses import drain, lru_of, putback
from linuxmm.model.reclaim.counters import PGDEACTIVATE
from linuxmm.model.reclaim.rules import Control
from linuxmm.model.reclaim.rules import Rules as ReclaimRules
from linuxmm.model.reclaim.shrink import FREED, shrink_page
from linuxmm.model.reclaim.state import (
    ACTIVE,
    LRU,
    NOTHING,
    SWAPBACKED,
    SWAPCACHE,
    UNEVICTABLE,
    Lruvec,
    count,
    count_isolated,
    flag,
    has,
    references,
    remove,
    swap_free,
    tail,
    zone_of,
)
from linuxmm.spec.defrag.lumpy import lump
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.reclaim.lists import INACTIVE_FILE
from linuxmm.spec.reclaim.references import ACTIVATE
from linuxmm.spec.registry import verb


class Rules(NamedTuple):
    """How lumpy reclaim of one kernel differs.

    reclaim  rules of the lists;  compaction  CONFIG_COMPACTION
    mode, ends, stalls  formulas of linuxmm.spec.defrag.lumpy
    """

    reclaim: ReclaimRules
    compaction: bool
    mode: Callable[[int, int, bool], tuple[bool, bool]]
    ends: Callable[[bool], bool]
    stalls: Callable[[int, int, bool, int, int], bool]


def rules_for(kernel: Kernel, reclaim: ReclaimRules, compaction: bool = True) -> Rules:
    """The rules of a kernel.

    Errors  Unmodelled before 2.6.23
    """

    def rule(name: str) -> Callable[..., object]:
        return kernel.behaviour(f"defrag.{name}").function

    return Rules(reclaim, compaction, rule("lumpy"), rule("lump-ends"), rule("lumpy-stall"))  # type: ignore[arg-type]


class Taken(NamedTuple):
    """Pages off the lists, in order, and what the tracepoint tells of neighbours.

    around  for each page the one whose block it was taken for
    """

    pages: tuple[int, ...] = ()
    around: tuple[int, ...] = ()
    scanned: int = 0
    lumpy: int = 0
    failed: int = 0


def may_take(v: Lruvec, page: int, lru: int, both: bool) -> bool:
    """Whether a neighbour is on the lists, and of the kind that is isolated.

    Source    mm/vmscan.c:__isolate_lru_page; 2.6.23 to 3.4
    """
    if not has(v, page, LRU) or has(v, page, UNEVICTABLE):
        return False
    if both:
        return True
    return not has(v, page, ACTIVE) and has(v, page, SWAPBACKED) == (lru != INACTIVE_FILE)


@verb("F037", source="mm/vmscan.c:isolate_lru_pages; 2.6.23 to 3.4")
def isolate_lumps(rules: Rules, v: Lruvec, lru: int, wanted: int, control: Control) -> tuple[Lruvec, Taken]:
    """Take pages off the tail of a list, and with each those of the aligned block around it.

    Ensures   every page taken lies in the block around a page from the tail, in the same zone
    """
    lumpy, both = rules.mode(control.order, control.priority, rules.compaction)
    taken = Taken()
    while taken.scanned < wanted and tail(v, lru) != NOTHING:
        page = tail(v, lru)
        v = remove(v, page, lru)
        taken = taken._replace(
            pages=(*taken.pages, page), around=(*taken.around, page), scanned=taken.scanned + 1
        )
        if not lumpy:
            continue
        first, end = lump(page, control.order)
        at = first
        while at < end:
            if at == page:
                at += 1
                continue
            held = at in v.pages
            if held and zone_of(v, at) != zone_of(v, page):
                break
            swapless = held and has(v, at, SWAPBACKED) and not has(v, at, SWAPCACHE) and not swap_free(v)
            if held and not swapless and may_take(v, at, lru, both):
                v = remove(v, at, lru_of(rules.reclaim, v, at))
                taken = taken._replace(
                    pages=(*taken.pages, at),
                    around=(*taken.around, page),
                    scanned=taken.scanned + 1,
                    lumpy=taken.lumpy + 1,
                )
            elif rules.ends(not held) and at not in taken.pages:
                break
            at += 1
        taken = taken._replace(failed=taken.failed + (at < end))
    return count_isolated(v, lru, len(taken.pages)), taken


@verb("F037", source="mm/vmscan.c:shrink_inactive_list; 2.6.23 to 3.4")
def shrink_lumpy(
    rules: Rules, v: Lruvec, lru: int, wanted: int, control: Control
) -> tuple[Lruvec, Control, Taken, bool]:
    """Reclaim from the tail of an inactive list, and around it: (lists, control, taken, whether it stalled).

    Ensures   pages are conserved: each is freed, or on a list again
    """
    r = rules.reclaim
    lumpy, both = rules.mode(control.order, control.priority, rules.compaction)
    v, taken = isolate_lumps(rules, drain(r, v), lru, wanted, control)
    for page in taken.pages:
        if has(v, page, ACTIVE):
            v = count(flag(v, page, ACTIVE, False), PGDEACTIVATE)
    left, freed = taken.pages, 0
    passes, stalled = 1, False
    while passes:
        kept: tuple[int, ...] = ()
        for page in left:
            if both:
                v, _ = references(v, page)
            v, outcome = shrink_page(r, v, page, control)
            if outcome == FREED:
                freed += 1
                continue
            kept = (*kept, page)
            if outcome == ACTIVATE and not lumpy:
                v = flag(v, page, ACTIVE, True)
        left, passes = kept, passes - 1
        if not stalled and lumpy:
            stalled = rules.stalls(control.order, control.priority, control.kswapd, len(taken.pages), freed)
            passes = 1 if stalled else 0
    for page in left:
        v = putback(r, v, page)
    v = count_isolated(v, lru, -len(taken.pages))
    done = control._replace(scanned=control.scanned + taken.scanned, reclaimed=control.reclaimed + freed)
    return v, done, taken, stalled
