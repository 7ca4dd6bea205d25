"""Theorems about ages of pages, about what the reclaim daemon is asked for, and about reclaim in a node."""

from typing import Annotated

from linuxmm.proofs.domain import Integer, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, theorem
from linuxmm.spec.reclaim.ages import (
    age_in_range,
    age_when_activated,
    inactive_target,
    older,
    pressure_after_second,
    younger,
)
from linuxmm.spec.reclaim.daemon_turns import (
    NO_ZONE,
    Wish,
    boost_left,
    compaction_wish,
    heard,
    wish_both,
    zone_or_more,
    zone_or_previous,
)
from linuxmm.spec.reclaim.node_reclaim import Held, kept, pages_for_mode, worth_it

Number = Annotated[int, Integer(least=0)]
Zone = Annotated[int, Integer(least=NO_ZONE, below=6)]
Mode = Annotated[int, each(range(8))]
UP, DOWN, ACTIVE = range(3)


@theorem(
    "reclaim.aged.range",
    "Whatever becomes of a page, its age stays between 0 and 64: a use never makes it younger, a scan never "
    "older.",
    proves=(older, younger, age_when_activated, age_in_range),
    clauses=("reclaim.aged.range",),
    features=("F042",),
    method="inductive",
    bounds="every age",
    witness={"step": UP, "age": 63},
    mutants=(
        Mutant(older, "has no end", "min(age + AGE_ADVANCE, AGE_MOST)", "age + AGE_ADVANCE"),
        Mutant(younger, "doubles", "age // 2", "age * 2"),
        Mutant(age_when_activated, "forgets the least", "max(age, AGE_START)", "min(age, AGE_START) - 1"),
    ),
)
def ages_stay(step: Annotated[int, each((UP, DOWN, ACTIVE))], age: Number) -> bool:
    assume(age_in_range(age))
    if step == UP:
        after = older(age)
        up: bool = age_in_range(after) & (after >= age)
        return up
    if step == DOWN:
        after = younger(age)
        down: bool = age_in_range(after) & (after <= age)
        return down
    after = age_when_activated(age)
    good: bool = age_in_range(after) & (after >= age)
    return good


@theorem(
    "reclaim.aged.target",
    "No pressure wants more than a quarter of memory inactive, and a second without allocations never wants "
    "more.",
    proves=(inactive_target, pressure_after_second),
    features=("F042",),
    bounds="any pressure, any memory",
    witness={"pressure": 640, "pages": 4096},
    mutants=(
        Mutant(inactive_target, "wants half", "pages // 4", "pages // 2"),
        Mutant(pressure_after_second, "grows", "pressure - (", "pressure + ("),
    ),
)
def target_bounded(pressure: Number, pages: Number) -> bool:
    later = pressure_after_second(pressure)
    target = inactive_target(pressure, pages)
    good: bool = (target * 4 <= pages) & (later <= pressure) & (later >= 0)
    return good


@theorem(
    "reclaim.kswapd.heard",
    "A request that asks the daemon of a node is heard, now and after others asked too; a daemon that takes "
    "the wish over works at least up to its zone.",
    proves=(wish_both, heard, zone_or_more, zone_or_previous),
    clauses=("reclaim.kswapd.heard",),
    features=("F042",),
    bounds="every order and zone, 4.8 to 6.12; the zone of a run since 4.12",
    witness={"order": 3, "zone": 1, "noted": 0, "upto": -1, "other": 2, "where": 0, "previous": 1},
    mutants=(
        Mutant(wish_both, "keeps the older order", "max(wish.order, order)", "wish.order"),
        Mutant(wish_both, "takes the lower zone", "max(wish.zone, zone)", "min(wish.zone, zone)"),
        Mutant(zone_or_more, "takes the lower zone", "max(wish, previous)", "min(wish, previous)"),
        Mutant(zone_or_previous, "forgets the wish", "wish == NO_ZONE", "wish != NO_ZONE"),
    ),
)
def requests_heard(
    order: Number, zone: Zone, noted: Number, upto: Zone, other: Number, where: Zone, previous: Zone
) -> bool:
    assume((zone >= 0) & (where >= 0))
    wish = wish_both(wish_both(Wish(noted, upto), order, zone), other, where)
    good: bool = (
        heard(wish, order, zone)
        & heard(wish, other, where)
        & (zone_or_more(wish.zone, previous, 5) >= zone)
        & (zone_or_previous(wish.zone, previous, 5) >= zone)
    )
    return good


@theorem(
    "reclaim.kswapd.boost",
    "What is left to reclaim for boosts never grows, and is gone once as much was reclaimed; what compaction "
    "is asked for never shrinks its order.",
    proves=(boost_left, compaction_wish),
    features=("F017", "F039", "F042"),
    bounds="any boost, any order",
    witness={"boost": 20, "reclaimed": 5, "wanted": 2, "upto": 1, "order": 3, "zone": 0},
    mutants=(
        Mutant(boost_left, "may fall below none", "min(boost, reclaimed)", "reclaimed"),
        Mutant(compaction_wish, "forgets the larger order", "max(wish.order, order)", "order"),
    ),
)
def boosts_end(
    boost: Number, reclaimed: Number, wanted: Number, upto: Zone, order: Number, zone: Zone
) -> bool:
    left = boost_left(boost, reclaimed)
    asked = compaction_wish(Wish(wanted, upto), order, zone)
    good: bool = (left >= 0) & (left <= boost) & ((left == 0) | (reclaimed < boost))
    return good & (asked.order >= wanted) & (asked.order >= order)


@theorem(
    "reclaim.node-reclaim.kept",
    "Reclaim in a node counts no more pages than there are of files, and no node is scanned that holds only "
    "what its ratios keep.",
    proves=(pages_for_mode, worth_it, kept),
    clauses=("reclaim.node-reclaim.kept",),
    features=("F014", "F042"),
    bounds="every mode, any number of pages",
    witness={"mode": 1, "files": 9, "lru": 8, "mapped": 3, "dirty": 1, "slab": 0, "least": 2, "caches": 1},
    mutants=(
        Mutant(
            pages_for_mode,
            "counts mapped pages twice",
            "held.file_lru - held.mapped",
            "held.file_lru + held.mapped",
        ),
        Mutant(worth_it, "asks for both", "pages > min_unmapped or slab > min_slab", "pages >= min_unmapped"),
    ),
)
def ratios_kept(
    mode: Mode,
    files: Number,
    lru: Number,
    mapped: Number,
    dirty: Number,
    slab: Number,
    least: Number,
    caches: Number,
) -> bool:
    assume(lru <= files)
    pages = pages_for_mode(Held(files, lru, mapped, dirty, slab), mode)
    scanned = worth_it(pages, slab, least, caches)
    good: bool = (pages >= 0) & (pages <= files) & ((not scanned) | (pages > least) | (slab > caches))
    return good & kept(scanned, pages, slab, least, caches)
