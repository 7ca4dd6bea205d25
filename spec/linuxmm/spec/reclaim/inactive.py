"""Is the inactive list too short?  Then pages of the active one are taken down.

Linux: mm/vmscan.c:inactive_is_low and what it was before; mm/page_alloc.c.  Seed 2.4.2 (F043).
"""

from linuxmm.spec.arith import int_sqrt
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula
from linuxmm.spec.vocabulary import PAGE_SHIFT


@formula("F043", source="mm/page_alloc.c:setup_per_zone_inactive_ratio; mm/vmscan.c:inactive_is_low")
def ratio_of_pages(pages: int) -> int:
    """How many times as long as the inactive list the active one may be, for so many pages.

    Ensures   result >= 1; monotone; 3 at 1 GiB, 10 at 10 GiB, 101 at 1 TiB
    Requires  10 * pages >> 18 < 2**64
    """
    gigabytes = pages >> (30 - PAGE_SHIFT)
    return int_sqrt(10 * gigabytes) if gigabytes else 1


@behaviour(
    "reclaim.inactive-ratio",
    since="2.6.28",
    until="4.6",
    features=("F043",),
    source="mm/page_alloc.c:setup_per_zone_inactive_ratio; 2.6.28 to 4.6",
)
def ratio_of_zone(present: int, inactive: int, active: int) -> int:
    """The ratio for anonymous pages, from the pages that the zone has."""
    return ratio_of_pages(present)


@behaviour(
    "reclaim.inactive-ratio",
    since="4.7",
    features=("F043",),
    source="mm/vmscan.c:inactive_list_is_low, inactive_is_low; 4.7 to 6.12",
)
def ratio_of_lists(present: int, inactive: int, active: int) -> int:
    """The ratio, from the pages on both lists."""
    return ratio_of_pages(inactive + active)


@formula("F043", source="mm/vmscan.c:inactive_is_low; 2.6.28 to 6.12")
def is_low(inactive: int, active: int, ratio: int) -> bool:
    """Whether the inactive list is too short for a ratio.

    Ensures   never of an empty active list; more inactive pages never make it true
    """
    return inactive * ratio < active


@behaviour(
    "reclaim.anon-is-low",
    since="2.6.28",
    until="2.6.36",
    features=("F043",),
    source="mm/vmscan.c:inactive_anon_is_low; 2.6.28 to 2.6.36",
)
def anon_is_low_always_asked(inactive: int, active: int, ratio: int, swap: bool) -> bool:
    """Whether there are too few inactive anonymous pages."""
    return is_low(inactive, active, ratio)


@behaviour(
    "reclaim.anon-is-low",
    since="2.6.37",
    features=("F043",),
    source="mm/vmscan.c:inactive_anon_is_low; 2.6.37 to 4.6; shrink_lruvec; 4.7 to 6.12",
)
def anon_is_low_with_swap(inactive: int, active: int, ratio: int, swap: bool) -> bool:
    """Never without swap: there they cannot go anywhere."""
    return swap and is_low(inactive, active, ratio)


@behaviour(
    "reclaim.file-is-low",
    since="2.6.28",
    until="2.6.30",
    features=("F043",),
    source="mm/vmscan.c:shrink_list; 2.6.28 (2.6.29, 2.6.30 unconfirmed)",
)
def file_is_low_always(inactive: int, active: int, refaulted: bool) -> bool:
    """Active file pages are taken down whenever the lists are scanned."""
    return True


@behaviour(
    "reclaim.file-is-low",
    since="2.6.31",
    until="4.6",
    features=("F043",),
    source="mm/vmscan.c:inactive_file_is_low; 2.6.31 to 4.6",
)
def file_is_low_by_half(inactive: int, active: int, refaulted: bool) -> bool:
    """Whether fewer than half of the file pages are inactive."""
    return active > inactive


@behaviour(
    "reclaim.file-is-low",
    since="4.7",
    until="4.10",
    features=("F043",),
    source="mm/vmscan.c:inactive_list_is_low; 4.7, 4.9, 4.10",
)
def file_is_low_by_ratio(inactive: int, active: int, refaulted: bool) -> bool:
    """The rule of anonymous pages."""
    return is_low(inactive, active, ratio_of_pages(inactive + active))


@behaviour(
    "reclaim.file-is-low",
    since="4.11",
    features=("F043", "F046"),
    source="mm/vmscan.c:inactive_list_is_low; 4.12 to 5.4 (4.11 unconfirmed); shrink_node; 5.7 to 6.12",
)
def file_is_low_or_refaulted(inactive: int, active: int, refaulted: bool) -> bool:
    """The rule of anonymous pages; and whenever refaults were activated since reclaim last looked.

    refaulted  WORKINGSET_ACTIVATE (since 5.9 of file pages) grew since then
    """
    return (refaulted and active > 0) or is_low(inactive, active, ratio_of_pages(inactive + active))
