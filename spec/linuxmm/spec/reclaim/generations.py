"""The multi-generational lists: numbers of generations, tiers by use, and who is evicted by refault rates.

Pages belong to generations from min_seq (the oldest, of each kind) to max_seq (the youngest, common);
within a generation those used through file descriptors more often form higher tiers.  A controller compares
refault rates, to choose the kind of pages to evict and the tiers to spare.

Linux: mm/vmscan.c, mm/workingset.c, include/linux/mm_inline.h; 6.1 to 6.12 (CONFIG_LRU_GEN).  Not in seed.
"""

from typing import Final, NamedTuple

from linuxmm.spec.invariant import invariant
from linuxmm.spec.reclaim.lists import MAX_SWAPPINESS
from linuxmm.spec.registry import formula

MIN_GENS: Final = 2
MAX_GENS: Final = 4
MAX_TIERS: Final = 4
REFS_WIDTH: Final = MAX_TIERS - 2
MIN_BATCH: Final = 64
"""MIN_LRU_BATCH: BITS_PER_LONG."""

ANON: Final = 0
FILE: Final = 1


class Window(NamedTuple):
    """The generations of a lruvec: the youngest, and the oldest of each kind."""

    max_seq: int
    min_anon: int
    min_file: int


class Rate(NamedTuple):
    """How a tier fared of late: pages refaulted, pages evicted or spared, and the weight of the kind."""

    refaulted: int
    total: int
    gain: int


@formula("F042", source="include/linux/mm_inline.h:lru_gen_from_seq; 6.1 to 6.12")
def generation_of(seq: int) -> int:
    """The list of a generation: numbers are used again every four.

    Ensures   different for different generations of one window
    """
    return seq % MAX_GENS


@formula("F042", source="mm/vmscan.c:get_nr_gens; 6.1 to 6.12")
def generations(window: Window, kind: int) -> int:
    """How many generations of a kind there are."""
    return window.max_seq - (window.min_file if kind == FILE else window.min_anon) + 1


@invariant(
    "reclaim.generations.window",
    features=("F042",),
    source="mm/vmscan.c:seq_is_valid",
    since="6.1",
)
def window_is_valid(window: Window) -> bool:
    """There are two to four generations of each kind, and never fewer anonymous ones than of files."""
    file = generations(window, FILE)
    return (file >= MIN_GENS) & (file <= generations(window, ANON)) & (generations(window, ANON) <= MAX_GENS)


@formula("F042", source="mm/vmscan.c:inc_max_seq; 6.1 to 6.12")
def aged(window: Window) -> Window:
    """Ageing opens a generation; where four are open, the oldest is closed first (its pages move up).

    Requires  window_is_valid(window)
    Ensures   valid again
    """
    anon = window.min_anon + (1 if generations(window, ANON) == MAX_GENS else 0)
    file = window.min_file + (1 if generations(window, FILE) == MAX_GENS else 0)
    return Window(window.max_seq + 1, anon, file)


@formula("F042", source="mm/vmscan.c:try_to_inc_min_seq; 6.1 to 6.12")
def closed(window: Window, anon_empty: int, file_empty: int) -> Window:
    """Eviction closes the oldest generations that are empty, down to two; files wait for anonymous pages.

    anon_empty, file_empty  how many of the oldest generations of a kind are empty
    Requires  window_is_valid(window), and that swap is allowed
    Ensures   valid again; no number falls
    """
    anon = max(window.min_anon, min(window.min_anon + anon_empty, window.max_seq - 1))
    file = max(window.min_file, min(window.min_file + file_empty, window.max_seq - 1))
    anon = min(anon, file)
    return Window(window.max_seq, anon, max(anon, window.min_file))


@formula("F042", source="include/linux/mm_inline.h:lru_tier_from_refs; 6.1 to 6.12")
def tier_of(refs: int) -> int:
    """The tier of a page that was used `refs` times through file descriptors: the logarithm of refs + 1, up.

    Requires  0 <= refs <= 4
    Ensures   0 <= result < MAX_TIERS
    """
    tier = 0
    while (1 << tier) < refs + 1:
        tier += 1
    return tier


@formula("F042", "F046", source="mm/vmscan.c:positive_ctrl_err; 6.1 to 6.12")
def weighed(refaulted: int, total: int, gain: int) -> int:
    """One side of the comparison of two rates, multiplied across.

    Ensures   fits 64 bits for fewer than 2**28 pages of each and weights up to 200
    """
    return refaulted * total * gain


@formula("F042", "F046", source="mm/vmscan.c:positive_ctrl_err; 6.1 to 6.12")
def fares_no_worse(sp: Rate, pv: Rate) -> bool:
    """Whether `pv` refaults no more often than `sp`, by weight: then it is evicted as well.

    Ensures   true while fewer than 64 pages came back
    """
    if pv.refaulted < MIN_BATCH:
        return True
    one = weighed(pv.refaulted, sp.total + MIN_BATCH, sp.gain)
    return one <= weighed(sp.refaulted + 1, pv.total, pv.gain)


@formula("F042", "F043", source="mm/vmscan.c:get_type_to_scan; 6.1 to 6.12")
def kind_to_evict(anon: tuple[int, int], file: tuple[int, int], swappiness: int) -> int:
    """The kind to evict where both have their oldest generation open: ANON or FILE.

    anon, file  (refaulted, total) of their first tiers
    """
    gains = (swappiness, MAX_SWAPPINESS - swappiness)
    worse = fares_no_worse(Rate(anon[0], anon[1], gains[ANON]), Rate(file[0], file[1], gains[FILE]))
    return FILE if worse else ANON


@formula("F042", "F046", source="mm/vmscan.c:get_tier_idx; 6.1 to 6.12")
def last_evicted_tier(rates: tuple[tuple[int, int], ...]) -> int:
    """The highest tier that is evicted, and not spared for another generation.

    rates   (refaulted, total) of every tier
    """
    return last_tier(Rate(rates[0][0], rates[0][1], 1), rates, 2)


@formula("F042", "F046", source="mm/vmscan.c:get_tier_idx, get_type_to_scan; 6.1 to 6.12")
def last_tier(first: Rate, rates: tuple[tuple[int, int], ...], gain: int) -> int:
    """The highest tier that fares no worse than `first`, with those below it.

    Ensures   0 <= result < MAX_TIERS
    """
    for tier in range(1, MAX_TIERS):
        if not fares_no_worse(first, Rate(rates[tier][0], rates[tier][1], gain)):
            return tier - 1
    return MAX_TIERS - 1


@formula("F046", source="mm/workingset.c:lru_gen_eviction; 6.1 to 6.12")
def token(min_seq: int, refs: int) -> int:
    """What a shadow keeps instead of a time: the generation that was evicted, and the page's uses."""
    return (min_seq << REFS_WIDTH) | max(refs - 1, 0)


@formula("F046", source="mm/workingset.c:lru_gen_refault, lru_gen_test_recent; 6.1 to 6.12")
def is_recent(held: int, min_seq: int, mask: int) -> bool:
    """Whether a page comes back while the generation that it was evicted from is still the oldest.

    mask  the times that a shadow can hold
    """
    return held >> REFS_WIDTH == min_seq & (mask >> REFS_WIDTH)


@formula("F046", source="mm/workingset.c:lru_gen_refault; 6.1 to 6.12")
def refs_of(held: int, workingset: int) -> int:
    """The uses that a shadow remembers, with the bit that says that there were any."""
    return (held & ((1 << REFS_WIDTH) - 1)) + workingset
