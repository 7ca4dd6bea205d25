"""Theorems about charges in their eras, bytes of objects, clocks of groups, peaks and slots."""

from itertools import pairwise
from typing import Annotated, Final

from linuxmm.proofs.domain import Integer, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, theorem
from linuxmm.spec.memcg.charging import (
    again_if_not_costly,
    again_with_any,
    again_with_room,
    exempt_atomic,
    exempt_dying,
    exempt_exiting,
    exempt_not_dying,
    exempt_only_reclaimer,
    exempt_reclaimer,
    exempt_victim,
    room_is_enough,
)
from linuxmm.spec.memcg.counter import fits, margin
from linuxmm.spec.memcg.lists import Line, ages_from_target, ages_line, clock_above
from linuxmm.spec.memcg.objects import (
    bytes_kept,
    bytes_over,
    ends_even,
    pages_for,
    rest_in_stock,
    rest_of,
    rest_to_objcg,
    whole_pages,
)
from linuxmm.spec.memcg.swapping import (
    lift_to_peak,
    peak_kept,
    peak_shown,
    peak_since,
    swap_left,
    swap_within,
)
from linuxmm.spec.vocabulary import PAGE_SIZE

Count = Annotated[int, Integer(least=0)]
Truth = Annotated[bool, each((False, True))]
_FEATURE: Final = ("F060",)


@theorem(
    "memcg.again.fits",
    "Where there is room for a charge it fits, and only there; a charge of one page that is tried again "
    "since there is any room fits too, one of several pages need not.",
    proves=(room_is_enough, margin, again_with_any, again_with_room, again_if_not_costly),
    features=_FEATURE,
    bounds="every usage and limit, every charge of at least a page",
    witness={"usage": 5, "limit": 9, "pages": 1},
    mutants=(
        Mutant(margin, "counts one too many", "limit - usage if", "limit - usage + 1 if"),
        Mutant(room_is_enough, "is content with one page less", ">= pages", ">= pages - 1"),
        Mutant(again_with_any, "asks for no room", "(room > 0)", "(room >= 0)"),
    ),
)
def again_fits(usage: Count, limit: Count, pages: Annotated[int, Integer(least=1)]) -> bool:
    room = margin(usage, limit)
    fitting = fits(usage, pages, limit)
    single: bool = implies((pages == 1) & again_with_any(0, room, pages), fitting)
    later: bool = implies(again_with_room(0, room, pages) | again_if_not_costly(0, room, pages), fitting)
    return (room_is_enough(usage, limit, pages) == fitting) & single & later


@theorem(
    "memcg.exempt.order",
    "From era to era more tasks pass a group's limit, until 5.15; since then no task passes because it dies.",
    proves=(
        exempt_victim,
        exempt_dying,
        exempt_exiting,
        exempt_reclaimer,
        exempt_atomic,
        exempt_not_dying,
        exempt_only_reclaimer,
    ),
    features=_FEATURE,
    bounds="every task",
    witness={"killed": True, "signalled": False, "exiting": False, "reclaims": False, "atomic": False},
    mutants=(
        Mutant(exempt_exiting, "forgets signals", "killed | signalled | exiting", "killed | exiting"),
        Mutant(exempt_not_dying, "lets the dying pass", "reclaims | atomic", "reclaims | atomic | killed"),
        Mutant(exempt_only_reclaimer, "lets all pass", "return reclaims", "return True"),
    ),
)
def more_pass(killed: Truth, signalled: Truth, exiting: Truth, reclaims: Truth, atomic: Truth) -> bool:
    task = (killed, signalled, exiting, reclaims, atomic)
    eras = (exempt_victim, exempt_dying, exempt_exiting, exempt_reclaimer, exempt_atomic)
    grows = True
    for before, after in pairwise(eras):
        grows = grows & implies(before(*task), after(*task))
    fewer: bool = implies(exempt_only_reclaimer(*task), exempt_not_dying(*task))
    none: bool = implies(exempt_not_dying(*task), reclaims | atomic)
    last: bool = implies(exempt_not_dying(*task), exempt_atomic(*task))
    return grows & fewer & none & last


@theorem(
    "memcg.objects.pages",
    "The pages charged for an object are the fewest that hold it, and what it leaves of them is less than "
    "one; pages and rest of a stock are together the stock.",
    proves=(pages_for, rest_of, whole_pages, bytes_over),
    features=_FEATURE,
    bounds="every size",
    witness={"size": 5000},
    mutants=(
        Mutant(pages_for, "a page too many", "1 if size % PAGE_SIZE else 0", "1"),
        Mutant(rest_of, "leaves what it uses", "PAGE_SIZE - size % PAGE_SIZE", "size % PAGE_SIZE"),
        Mutant(bytes_over, "keeps nothing", "return size % PAGE_SIZE", "return 0"),
    ),
)
def pages_hold_it(size: Count) -> bool:
    pages, rest = pages_for(size), rest_of(size)
    split = whole_pages(size) * PAGE_SIZE + bytes_over(size) == size
    return (pages * PAGE_SIZE == size + rest) & (rest >= 0) & (rest < PAGE_SIZE) & split


@theorem(
    "memcg.objects.bytes",
    "Whatever is allocated, freed or drained, every byte of the pages charged for an objcg is in an object, "
    "in a stock or with the objcg; one without objects and stocks keeps whole pages.",
    proves=(bytes_kept, rest_to_objcg, rest_in_stock, pages_for, rest_of, ends_even),
    clauses=("memcg.objects.bytes", "memcg.objects.end"),
    features=_FEATURE,
    method="inductive",
    bounds="any number of CPUs and objects of any size",
    witness={
        "pages": 3,
        "used": 5000,
        "rest": 1000,
        "others": 2000,
        "held": 4288,
        "size": 3000,
        "step": 0,
        "late": True,
        "gives": True,
    },
    mutants=(
        Mutant(rest_to_objcg, "drops the rest", "0, bytes_over(held), False", "0, 0, False"),
        Mutant(
            rest_in_stock,
            "keeps it twice",
            "bytes_over(held), 0, True",
            "bytes_over(held), bytes_over(held), True",
        ),
        Mutant(rest_of, "leaves a page", "if size % PAGE_SIZE else 0", "if size % PAGE_SIZE else PAGE_SIZE"),
    ),
)
def keeps_bytes(
    pages: Count,
    used: Count,
    rest: Count,
    others: Count,
    held: Count,
    size: Count,
    step: Annotated[int, each((0, 1, 2, 3))],
    late: Truth,
    gives: Truth,
) -> bool:
    """Steps: an object from the stock, one from pages, one freed, a stock that takes the rest over."""
    assume(bytes_kept(pages, used, rest, others + held))
    if step == 0:
        assume(held >= size)
        return bytes_kept(pages, used + size, rest, others + held - size)
    if step == 3:
        return bytes_kept(pages, used, 0, others + held + rest) & implies(
            (used == 0) & (others + held == 0), ends_even(rest)
        )
    if step == 1:
        pages, used, held = pages + pages_for(size), used + size, held + rest_of(size)
    else:
        assume(used >= size)
        used, held = used - size, held + size
    back, stays, kept = 0, held, 0
    if gives:
        back, stays, kept, _ = (rest_in_stock if late else rest_to_objcg)(held)
    return bytes_kept(pages - back, used, rest + kept, others + stays)


@theorem(
    "memcg.clock.above",
    "Since 5.5 a group's clock never overtakes that of the group above, whoever is reclaimed and whatever "
    "becomes active.",
    proves=(ages_line, ages_from_target, clock_above),
    clauses=("memcg.clock.above",),
    features=("F046", "F060"),
    method="inductive",
    bounds="a line of three groups, reclaim of any of them, any number of pages",
    witness={"child": 3, "parent": 5, "evicted": 4, "activated": 2, "target": 1, "level": 1, "late": True},
    mutants=(
        Mutant(
            ages_from_target, "ages below the target only", "if group in target", "if group not in target"
        ),
        Mutant(ages_line, "leaves those above", "for group in own", "for group in own[:1]"),
    ),
)
def clocks_in_order(
    child: Count,
    parent: Count,
    evicted: Count,
    activated: Count,
    target: Annotated[int, each((0, 1, 2))],
    level: Annotated[int, each((1, 2))],
    late: Truth,
) -> bool:
    assume(clock_above(child, parent))
    own: Line = (2, 1, 0)
    ages = (ages_from_target if late else ages_line)(own, own[2 - target :], evicted, activated)
    mine = sum(pages for group, pages in ages if group == level)
    above = sum(pages for group, pages in ages if group == level - 1)
    return clock_above(child + mine, parent + above)


@theorem(
    "memcg.peak.since",
    "A file that keeps the peak so far when another is written says the most since it was written itself; "
    "one that keeps usage, as 6.12 does, loses it.",
    proves=(lift_to_peak, peak_shown, peak_since, peak_kept),
    clauses=("memcg.peak", "memcg.peak.since"),
    features=_FEATURE,
    method="inductive",
    bounds="any number of files, every usage",
    witness={"seen": 3, "local": 5, "usage": 2, "watermark": 9, "most": 5, "now": 4, "step": 1},
    mutants=(
        Mutant(lift_to_peak, "keeps usage", "max(seen, local)", "max(seen, usage)"),
        Mutant(peak_shown, "shows the last peak alone", "max(seen, local)", "local"),
    ),
)
def shows_the_most(
    seen: Count,
    local: Count,
    usage: Count,
    watermark: Count,
    most: Count,
    now: Count,
    step: Annotated[int, each((0, 1, 2))],
) -> bool:
    """Steps: usage changes, another file is written, this one is."""
    assume(peak_since(peak_shown(False, seen, local, watermark), most))
    assume((usage <= local) & (local <= watermark) & (most <= watermark))
    if step == 0:
        usage, local, most, watermark = now, max(local, now), max(most, now), max(watermark, now)
    elif step == 1:
        seen, local = lift_to_peak(seen, usage, local), usage
    else:
        seen = local = most = usage
    shown = peak_shown(False, seen, local, watermark)
    return peak_since(shown, most) & peak_kept(usage, shown, watermark) & (usage <= local)


@theorem(
    "memcg.swap.limit",
    "Slots left to a group and those above are never more than any of them may still take; swap exceeds a "
    "limit only by what was there when it was lowered.",
    proves=(swap_left, swap_within, fits),
    clauses=("memcg.swap.limit",),
    features=_FEATURE,
    bounds="a line of two groups, every usage and limit",
    witness={"free": 9, "usage": 3, "most": 5, "above": 4, "limit": 8, "pages": 2, "lower": 1},
    mutants=(
        Mutant(swap_left, "counts usage in", "most - usage", "most"),
        Mutant(fits, "one page too many", "usage + pages <= limit", "usage + pages <= limit + 1"),
    ),
)
def slots_within(
    free: Count, usage: Count, most: Count, above: Count, limit: Count, pages: Count, lower: Count
) -> bool:
    left = swap_left(free, ((usage, most), (above, limit)))
    bounded = (left <= free) & (left <= most - usage) & (left <= limit - above)
    taken: bool = implies(
        swap_within(usage, 0, 0, most) & fits(usage, pages, most), swap_within(usage + pages, 0, 0, most)
    )
    lowered = swap_within(usage, 0, max(0, usage - lower), lower)
    return bounded & taken & lowered
