"""How reclaim divides its scanning between anonymous and file pages, in every generation of the rule.

A rule answers with shares: of a list of anonymous pages anon/denominator of (its length >> priority) are
scanned, of a list of file pages file/denominator.  Only files is (0, 1, 1), both in full is (1, 1, 1).

Linux: mm/vmscan.c:get_scan_ratio, get_scan_count.  Seed 2.4.2 (F043).
"""

from typing import Final, NamedTuple

from linuxmm.spec.kernel import behaviour
from linuxmm.spec.reclaim.lists import MAX_SWAPPINESS
from linuxmm.spec.registry import formula
from linuxmm.spec.vocabulary import SWAP_CLUSTER_MAX


class Shares(NamedTuple):
    """Which part of each kind of list is scanned."""

    anon: int
    file: int
    denominator: int


ONLY_FILE: Final = Shares(0, 1, 1)
ONLY_ANON: Final = Shares(1, 0, 1)
EQUAL: Final = Shares(1, 1, 1)
UNDECIDED: Final = Shares(0, 0, 0)
"""What a rule answers that leaves the choice to the next one."""


class Pressure(NamedTuple):
    """What the rule looks at; pages, unless it says otherwise.

    swappiness      0 to 100, since 5.8 to 200
    swap            reclaim may swap, and there is a free slot
    whole           reclaim for the whole machine, not for one memory cgroup
    free, high      free pages and the high watermark, of the zone (since 4.8 of all zones of the node)
    inactive_anon, inactive_file
                    lengths of the inactive lists
    anon, file      pages on both lists of a kind
    scanned_*, rotated_*   recent_scanned and recent_rotated, halved already (until 5.7)
    cost_*          anon_cost and file_cost (since 5.8)
    anon_low        active anonymous pages are to be taken down
    file_low        active file pages are to be taken down
    trims           cache_trim_mode is not forbidden (always, before 6.10)
    """

    swappiness: int
    priority: int
    swap: bool
    whole: bool
    free: int
    high: int
    inactive_anon: int
    inactive_file: int
    anon: int
    file: int
    scanned_anon: int
    scanned_file: int
    rotated_anon: int
    rotated_file: int
    cost_anon: int
    cost_file: int
    anon_low: bool
    file_low: bool
    trims: bool


# ---- what was reclaimed of late ----------------------------------------------------------------------------


@formula("F043", source="mm/vmscan.c:get_scan_ratio, get_scan_count; 2.6.28 to 5.7")
def aged(scanned: int, rotated: int, pages: int) -> tuple[int, int]:
    """(recent_scanned, recent_rotated), both halved once a quarter of the pages was scanned.

    Ensures   keeps rotated <= scanned
    """
    if scanned > pages // 4:
        return scanned // 2, rotated // 2
    return scanned, rotated


@formula("F043", source="mm/swap.c:lru_note_cost; 5.8 to 6.12")
def costs_after(anon: int, file: int, of_file: bool, cost: int, pages: int) -> tuple[int, int]:
    """(anon_cost, file_cost) after a cost; both are halved when they exceed a quarter of the pages.

    pages  on all four lists
    """
    if of_file:
        file += cost
    else:
        anon += cost
    if file + anon > pages // 4:
        return anon // 2, file // 2
    return anon, file


@behaviour(
    "reclaim.cost",
    since="5.8",
    until="6.1",
    features=("F043",),
    source="mm/swap.c:lru_note_cost; 5.8 to 6.1",
)
def cost_of_pages(io: int, rotated: int) -> int:
    """What reclaim notes: pages written out, or refaults; rotation costs nothing."""
    return io


@behaviour(
    "reclaim.cost",
    since="6.2",
    features=("F043",),
    source="mm/swap.c:lru_note_cost; 6.2 to 6.12",
)
def cost_of_io_and_rotation(io: int, rotated: int) -> int:
    """A page of I/O costs as much as 32 that were looked at in vain."""
    return io * SWAP_CLUSTER_MAX + rotated


# ---- fractions ---------------------------------------------------------------------------------------------


@formula("F043", source="mm/vmscan.c:get_scan_count; 2.6.28 to 3.4")
def weights_never_none(p: Pressure) -> tuple[int, int]:
    """(anon, file): swappiness plus one, in proportion to how often scanning succeeded."""
    anon = (p.swappiness + 1) * (p.scanned_anon + 1) // (p.rotated_anon + 1)
    file = (201 - p.swappiness) * (p.scanned_file + 1) // (p.rotated_file + 1)
    return anon, file


@formula("F043", source="mm/vmscan.c:get_scan_count; 3.5 to 5.7")
def weights_of_success(p: Pressure) -> tuple[int, int]:
    """(anon, file): swappiness, in proportion to how often scanning succeeded.

    Ensures   anon is 0 at swappiness 0
    """
    anon = p.swappiness * (p.scanned_anon + 1) // (p.rotated_anon + 1)
    file = (200 - p.swappiness) * (p.scanned_file + 1) // (p.rotated_file + 1)
    return anon, file


@formula("F043", source="mm/vmscan.c:get_scan_count; 5.8 to 6.12")
def weights_of_cost(p: Pressure) -> tuple[int, int]:
    """(anon, file): swappiness, in inverse proportion to cost; each cost counts for the other a third.

    Ensures   anon is 0 at swappiness 0, file is 0 at swappiness 200
    """
    total = p.cost_anon + p.cost_file
    anon_cost, file_cost = total + p.cost_anon, total + p.cost_file
    total = anon_cost + file_cost
    anon = p.swappiness * (total + 1) // (anon_cost + 1)
    file = (MAX_SWAPPINESS - p.swappiness) * (total + 1) // (file_cost + 1)
    return anon, file


@formula("F043", source="mm/vmscan.c:get_scan_ratio; 2.6.28 to 2.6.34")
def in_per_cent(anon: int, file: int) -> Shares:
    """Shares as whole per cents."""
    percent = 100 * anon // (anon + file + 1)
    return Shares(percent, 100 - percent, 100)


@formula("F043", source="mm/vmscan.c:get_scan_count; 2.6.35 to 5.7")
def in_fractions(anon: int, file: int) -> Shares:
    """Shares as fractions that do not quite add up to one."""
    return Shares(anon, file, anon + file + 1)


# ---- the rule, by generation -------------------------------------------------------------------------------


@formula("F043", source="mm/vmscan.c:get_scan_count; 2.6.28 to 6.12")
def file_is_tiny(p: Pressure) -> bool:
    """Whether giving up every file page would still not satisfy the high watermark."""
    return p.whole and p.file + p.free <= p.high


@behaviour(
    "reclaim.shares",
    since="2.6.28",
    until="2.6.34",
    features=("F043",),
    source="mm/vmscan.c:get_scan_ratio; 2.6.28, 2.6.31, 2.6.32, 2.6.34 (2.6.29, 2.6.30, 2.6.33 unconfirmed)",
)
def shares_in_per_cent(p: Pressure) -> Shares:
    """Whole per cents; anonymous pages alone when files cannot help."""
    if not p.swap:
        return Shares(0, 100, 100)
    if file_is_tiny(p):
        return Shares(100, 0, 100)
    anon, file = weights_never_none(p)
    return in_per_cent(anon, file)


@behaviour(
    "reclaim.shares",
    since="2.6.35",
    until="3.4",
    features=("F043",),
    source="mm/vmscan.c:get_scan_count; 2.6.35 to 2.6.39, 3.4 (3.0 to 3.3 unconfirmed)",
)
def shares_in_fractions(p: Pressure) -> Shares:
    """Fractions; otherwise as before."""
    if not p.swap:
        return ONLY_FILE
    if file_is_tiny(p):
        return ONLY_ANON
    anon, file = weights_never_none(p)
    return in_fractions(anon, file)


@behaviour(
    "reclaim.shares",
    since="3.5",
    until="3.8",
    features=("F043",),
    source="mm/vmscan.c:get_scan_count; 3.5 (3.6 to 3.8 unconfirmed)",
)
def shares_none_at_zero(p: Pressure) -> Shares:
    """Swappiness 0 scans no anonymous page, unless files are tiny."""
    if not p.swap:
        return ONLY_FILE
    if file_is_tiny(p):
        return ONLY_ANON
    anon, file = weights_of_success(p)
    return in_fractions(anon, file)


def _forced(p: Pressure) -> Shares:
    """What decides before any list is looked at (3.9 to 6.12)."""
    if not p.swap or (not p.whole and p.swappiness == 0):
        return ONLY_FILE
    if p.priority == 0 and p.swappiness != 0:
        return EQUAL
    return UNDECIDED


@behaviour(
    "reclaim.shares",
    since="3.9",
    until="4.3",
    features=("F043",),
    source="mm/vmscan.c:get_scan_count; 3.10 to 4.3 (3.9 unconfirmed)",
)
def shares_sparing_anon(p: Pressure) -> Shares:
    """Both in full at priority 0; files alone while there are enough inactive ones."""
    forced = _forced(p)
    if forced.denominator:
        return forced
    if file_is_tiny(p):
        return ONLY_ANON
    if not p.file_low:
        return ONLY_FILE
    anon, file = weights_of_success(p)
    return in_fractions(anon, file)


@behaviour(
    "reclaim.shares",
    since="4.4",
    until="4.14",
    features=("F043",),
    source="mm/vmscan.c:get_scan_count; 4.4 to 4.12 (4.13, 4.14 unconfirmed)",
)
def shares_sparing_anon_if_scanned(p: Pressure) -> Shares:
    """As before, but only if the inactive files are so many that some would be scanned."""
    forced = _forced(p)
    if forced.denominator:
        return forced
    if file_is_tiny(p):
        return ONLY_ANON
    if not p.file_low and p.inactive_file >> p.priority:
        return ONLY_FILE
    anon, file = weights_of_success(p)
    return in_fractions(anon, file)


@behaviour(
    "reclaim.shares",
    since="4.15",
    until="5.7",
    features=("F043",),
    source="mm/vmscan.c:get_scan_count; 4.15 to 5.4; with shrink_node; 5.7 (5.5, 5.6 unconfirmed)",
)
def shares_of_success(p: Pressure) -> Shares:
    """As before; anonymous pages alone only if enough of them are inactive."""
    decided = _decided(p)
    if decided.denominator:
        return decided
    anon, file = weights_of_success(p)
    return in_fractions(anon, file)


@behaviour(
    "reclaim.shares",
    since="5.8",
    features=("F043",),
    source="mm/vmscan.c:get_scan_count, prepare_scan_control; 5.8 to 6.12",
)
def shares_of_cost(p: Pressure) -> Shares:
    """As before, by cost."""
    decided = _decided(p)
    if decided.denominator:
        return decided
    anon, file = weights_of_cost(p)
    return Shares(anon, file, anon + file)


def _decided(p: Pressure) -> Shares:
    """What decides before success or cost do (4.15 to 6.12)."""
    forced = _forced(p)
    if forced.denominator:
        return forced
    if file_is_tiny(p) and not p.anon_low and p.inactive_anon >> p.priority:
        return ONLY_ANON
    if p.trims and not p.file_low and p.inactive_file >> p.priority:
        return ONLY_FILE
    return UNDECIDED
