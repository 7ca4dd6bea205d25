"""The multi-generational lists: small rules in which kernels since 6.1 differ, each a yes or a no.

Linux: mm/vmscan.c, mm/workingset.c, include/linux/mm_inline.h; 6.1, 6.12 (CONFIG_LRU_GEN).  Not in seed.
"""

from typing import Final

from linuxmm.spec.kernel import behaviour

FEW: Final = 15
"""Neighbours that are too few to take the lock for (PAGEVEC_SIZE)."""


@behaviour(
    "reclaim.gen-age-in-daemon",
    since="6.1",
    until="6.2",
    features=("F042",),
    source="mm/vmscan.c:lru_gen_age_node; 6.1 (6.2 unconfirmed)",
)
def daemon_ages_first() -> bool:
    """Whether the daemon ages before it evicts: it does, and evicts only."""
    return True


@behaviour(
    "reclaim.gen-age-in-daemon",
    since="6.3",
    features=("F042",),
    source="mm/vmscan.c:lru_gen_age_node; 6.12 (6.3 to 6.11 unconfirmed)",
)
def daemon_ages_between() -> bool:
    """It ages as any task does, between scans."""
    return False


@behaviour(
    "reclaim.gen-hot-forgets",
    since="6.1",
    until="6.1",
    features=("F042",),
    source="include/linux/mm_inline.h:lru_gen_add_folio; 6.1",
)
def hot_keeps_uses() -> bool:
    """Whether a page that gets in the youngest generation loses the count of its uses: no."""
    return False


@behaviour(
    "reclaim.gen-hot-forgets",
    since="6.2",
    features=("F042",),
    source="include/linux/mm_inline.h:lru_gen_add_folio; 6.12 (6.2 to 6.11 unconfirmed)",
)
def hot_forgets_uses() -> bool:
    """It does; PG_workingset stays, for pressure stall information needs it."""
    return True


@behaviour(
    "reclaim.gen-dirty-waits",
    since="6.1",
    until="6.1",
    features=("F042", "F047"),
    source="mm/vmscan.c:sort_folio, isolate_folio; 6.1",
)
def dirty_is_sorted_out() -> bool:
    """Whether dirty files, locked pages and those under writeback move to the next generation: they do.

    A dirty page of MADV_FREE is backed by swap again there and then.
    """
    return True


@behaviour(
    "reclaim.gen-dirty-waits",
    since="6.2",
    features=("F042", "F047"),
    source="mm/vmscan.c:sort_folio, isolate_folio; 6.12 (6.2 to 6.11 unconfirmed)",
)
def dirty_is_judged() -> bool:
    """They are isolated, and judged as any other page."""
    return False


@behaviour(
    "reclaim.gen-counts-return",
    since="6.1",
    until="6.4",
    features=("F042", "F046"),
    source="mm/workingset.c:lru_gen_refault; mm/vmscan.c:sort_folio; 6.1 (6.2 to 6.4 unconfirmed)",
)
def counts_recent_returns() -> bool:
    """Whether every page that comes back counts as a refault, and a recent one as activated: no.

    Only the recent ones are refaults; activated are those that tiers spare.
    """
    return False


@behaviour(
    "reclaim.gen-counts-return",
    since="6.5",
    features=("F042", "F046"),
    source="mm/workingset.c:lru_gen_refault; mm/vmscan.c:sort_folio; 6.12 (6.5 to 6.11 unconfirmed)",
)
def counts_every_return() -> bool:
    """It does; spared pages are not counted."""
    return True


@behaviour(
    "reclaim.gen-files-without-io",
    since="6.1",
    until="6.1",
    features=("F042", "F043"),
    source="mm/vmscan.c:isolate_folios; 6.1",
)
def rates_choose_without_io() -> bool:
    """Whether an allocation that may not do I/O begins with files: the rates choose as always."""
    return False


@behaviour(
    "reclaim.gen-files-without-io",
    since="6.2",
    features=("F042", "F043"),
    source="mm/vmscan.c:isolate_folios; 6.12 (6.2 to 6.11 unconfirmed)",
)
def files_first_without_io() -> bool:
    """It does, where both kinds are open: clean files are likelier than clean swap cache."""
    return True


@behaviour(
    "reclaim.gen-marks-itself",
    since="6.1",
    until="6.1",
    features=("F042",),
    source="mm/rmap.c:folio_referenced_one; mm/vmscan.c:lru_gen_look_around; 6.1",
)
def look_marks_itself() -> bool:
    """Whether looking around marks the page that it started from: it does, which makes it active."""
    return True


@behaviour(
    "reclaim.gen-marks-itself",
    since="6.2",
    features=("F042",),
    source="mm/rmap.c:folio_referenced_one; mm/vmscan.c:lru_gen_look_around; 6.12 (6.2 to 6.11 unconfirmed)",
)
def look_spares_itself() -> bool:
    """Its own entry is cleared before, so it is not met again."""
    return False


@behaviour(
    "reclaim.gen-neighbours",
    since="6.1",
    until="6.1",
    features=("F042",),
    source="mm/vmscan.c:lru_gen_look_around; 6.1",
)
def many_are_promoted(neighbours: int) -> bool:
    """Whether a task that did not age marks its finds in place, and moves none: where there are many."""
    return neighbours >= FEW


@behaviour(
    "reclaim.gen-neighbours",
    since="6.2",
    features=("F042",),
    source="mm/vmscan.c:lru_gen_look_around; 6.12 (6.2 to 6.11 unconfirmed)",
)
def each_is_moved(neighbours: int) -> bool:
    """Each is moved."""
    return False


@behaviour(
    "reclaim.gen-tells",
    since="6.1",
    until="6.1",
    features=("F042",),
    source="mm/vmscan.c:scan_folios, evict_folios; 6.1",
)
def tells_nothing() -> bool:
    """Whether eviction is traced as isolation and shrinking of an inactive list: not at all."""
    return False


@behaviour(
    "reclaim.gen-tells",
    since="6.2",
    features=("F042",),
    source="mm/vmscan.c:scan_folios, evict_folios; 6.12 (6.2 to 6.11 unconfirmed)",
)
def tells_passes() -> bool:
    """It is."""
    return True


@behaviour(
    "reclaim.gen-swaps-one",
    since="6.1",
    until="6.2",
    features=("F042", "F043"),
    source="mm/vmscan.c:lru_gen_shrink_lruvec; 6.1 (6.2 unconfirmed)",
)
def swappiness_without_swapping(may_swap: bool, swappiness: int) -> int:
    """The swappiness of a pass; one that may not swap takes anonymous pages last, if at all."""
    return swappiness if may_swap else min(swappiness, 1)


@behaviour(
    "reclaim.gen-swaps-one",
    since="6.3",
    features=("F042", "F043"),
    source="mm/vmscan.c:get_swappiness; 6.12 (6.3 to 6.11 unconfirmed)",
)
def swappiness_or_none(may_swap: bool, swappiness: int) -> int:
    """One that may not swap takes none."""
    return swappiness if may_swap else 0
