"""Ages of pages, and how short of free and of inactive pages a machine is: reclaim of 2.4.0 to 2.4.9.

Pages are active, inactive and perhaps dirty, or inactive and clean.  A use makes a page older, a scan halves
its age; a page of age 0 may become inactive.  Clean inactive pages are as good as free ones.

Linux: mm/vmscan.c, mm/swap.c, include/linux/swap.h.  Seed 2.4.1 (F004, F042).
"""

from typing import Final

from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula

_FEATURES: Final = ("F042",)
AGE_START: Final = 2
AGE_ADVANCE: Final = 3
AGE_MOST: Final = 64
INACTIVE_SHIFT: Final = 6
SCAN_PRIORITY: Final = 6
SWAP_SHIFT: Final = 5
SWAP_LEAST: Final = 8
USER_COUNT: Final = 16
"""Pages that a task moves down at most: 1 << page_cluster of a machine with 32 MB."""


@formula("F042", source="mm/swap.c:age_page_up; include/linux/swap.h; read in 2.4.0, 2.4.9")
def older(age: int) -> int:
    """The age of a page that was used.

    Requires  0 <= age <= 64
    Ensures   age <= result <= 64
    """
    return min(age + AGE_ADVANCE, AGE_MOST)


@formula("F042", source="mm/swap.c:activate_page_nolock; 2.4.0")
def age_when_activated(age: int) -> int:
    """The least age that a page has when it becomes active by a use."""
    return max(age, AGE_START)


@formula("F042", source="mm/swap.c:age_page_down_ageonly; read in 2.4.0, 2.4.9")
def younger(age: int) -> int:
    """The age of a page that was scanned and not used: half."""
    return age // 2


@formula("F042", source="include/linux/swap.h:inactive_target; 2.4.0 to 2.4.9")
def inactive_target(pressure: int, pages: int) -> int:
    """Inactive pages that are wanted: those of one second of allocations, at most a quarter of memory.

    pressure  memory_pressure: allocations, of which each second takes a part of 64 away
    """
    return min(pressure >> INACTIVE_SHIFT, pages // 4)


@formula("F042", source="mm/swap.c:recalculate_vm_stats; 2.4.0 to 2.4.9")
def pressure_after_second(pressure: int) -> int:
    """The pressure after a second without allocations."""
    return pressure - (pressure >> INACTIVE_SHIFT)


# ---- how short ---------------------------------------------------------------------------------------------


@behaviour(
    "reclaim.aged.free-short",
    since="2.4.0",
    until="2.4.7",
    features=_FEATURES,
    source="mm/vmscan.c:free_shortage; 2.4.0 (2.4.1 to 2.4.7 unconfirmed)",
)
def free_short_of_target(free: int, clean: int, high: int, target: int, below: int) -> int:
    """Pages that free and clean ones fall short of: of the high marks and a third of the inactive target.

    high   high marks of all zones; below: what zones lack of their min marks
    """
    wanted = high + target // 3
    return max(wanted - free - clean, 0) if free + clean < wanted else below


@behaviour(
    "reclaim.aged.free-short",
    since="2.4.8",
    until="2.4.9",
    features=_FEATURES,
    source="mm/vmscan.c:free_shortage; 2.4.9 (2.4.8 unconfirmed)",
)
def free_short_of_high(free: int, clean: int, high: int, target: int, below: int) -> int:
    """Whether they are fewer than the high marks, or a zone is below its low mark."""
    return 1 if below or free + clean < high else 0


@behaviour(
    "reclaim.aged.inactive-short",
    since="2.4.0",
    until="2.4.7",
    features=_FEATURES,
    source="mm/vmscan.c:inactive_shortage; 2.4.0 (2.4.1 to 2.4.7 unconfirmed)",
)
def inactive_short_by(free: int, clean: int, dirty: int, high: int, target: int, below: bool) -> int:
    """Pages that free and inactive ones fall short of: of the high marks and the target."""
    return max(high + target - free - clean - dirty, 0)


@behaviour(
    "reclaim.aged.inactive-short",
    since="2.4.8",
    until="2.4.9",
    features=_FEATURES,
    source="mm/vmscan.c:inactive_shortage; 2.4.9 (2.4.8 unconfirmed)",
)
def inactive_short_anywhere(free: int, clean: int, dirty: int, high: int, target: int, below: bool) -> int:
    """Whether they do, or a zone has fewer than its high mark."""
    return 1 if below or free + clean + dirty < high + target else 0


@formula("F042", source="mm/vmscan.c:zone_inactive_plenty; 2.4.9")
def inactive_plenty(inactive: int, pages: int) -> bool:
    """Whether a zone's pages are left alone: more than a third is inactive or free."""
    return inactive > pages // 3


@formula("F042", source="mm/vmscan.c:zone_free_plenty; 2.4.9")
def free_plenty(free: int, high: int) -> bool:
    """Whether a zone's dirty pages are left alone: twice the high mark is free or clean."""
    return free > high * 2


@formula("F004", "F042", source="mm/vmscan.c:swap_out, swap_amount; read in 2.4.0, 2.4.9")
def swap_amount(rss: int, capped: bool) -> int:
    """Pages of an address space that are looked at before the next one: a part of 32, at least 8.

    capped  not more than there are (2.4.9)
    """
    amount = max(rss >> SWAP_SHIFT, SWAP_LEAST)
    return min(amount, rss) if capped else amount


# ---- what a use and a scan do ------------------------------------------------------------------------------


NO_AGES: Final = 0
AGES_UP: Final = 1
MARKS: Final = 2
USED_ONCE: Final = 3
"""What a lookup and a read do to a page: nothing that concerns ages (from 2.4.14 on), or one of three."""


@behaviour(
    "reclaim.aged.uses",
    since="2.4.0",
    until="2.4.4",
    features=_FEATURES,
    source="mm/filemap.c:__find_page_nolock; read in 2.4.0 and before 2.4.5",
)
def use_ages() -> int:
    """A lookup makes a page older at once."""
    return AGES_UP


@behaviour(
    "reclaim.aged.uses",
    since="2.4.5",
    until="2.4.7",
    features=_FEATURES,
    source="mm/filemap.c:__find_page_nolock; patches of 2.4.5 and 2.4.7",
)
def use_marks() -> int:
    """It marks the page, and scans find the mark."""
    return MARKS


@behaviour(
    "reclaim.aged.uses",
    since="2.4.8",
    until="2.4.9",
    features=_FEATURES,
    source="mm/filemap.c:check_used_once; patches of 2.4.8 and 2.4.9",
)
def use_counts_once() -> int:
    """It marks the page, and a second read of an inactive one makes it active."""
    return USED_ONCE


@behaviour(
    "reclaim.aged.settles",
    since="2.4.0",
    until="2.4.7",
    features=_FEATURES,
    source="mm/vmscan.c:refill_inactive_scan; 2.4.0 (2.4.1 to 2.4.7 unconfirmed)",
)
def settles_at_zero(age: int) -> bool:
    """Whether a page that nobody used becomes inactive: at age 0."""
    return age == 0


@behaviour(
    "reclaim.aged.settles",
    since="2.4.8",
    until="2.4.9",
    features=_FEATURES,
    source="mm/vmscan.c:refill_inactive_scan; 2.4.9 (2.4.8 unconfirmed)",
)
def settles_at_once(age: int) -> bool:
    """At any age: it is still halved, and nothing asks for it."""
    return True


@invariant("reclaim.aged.range", features=_FEATURES, seed="2.4.1", until="2.4.9", source="mm/swap.c")
def age_in_range(age: int) -> bool:
    """An age is 0 to 64."""
    return 0 <= age <= AGE_MOST


@invariant(
    "reclaim.aged.clean", features=_FEATURES, seed="2.4.1", until="2.4.9", source="mm/vmscan.c:page_launder"
)
def clean_when_put(on_clean: bool, dirty: bool, mapped: bool) -> bool:
    """A page was neither dirty nor in use when it got on a clean list."""
    return not on_clean or not (dirty or mapped)
