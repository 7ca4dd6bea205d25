"""What a lruvec keeps of its generations: lists, numbers, births, and the rates of the controller.

Pages of all kernels' lists stay in `state.Lruvec`; this is one field of it, empty while nobody switched the
multi-generational lists on.  A generation has a list for each kind and zone.  A page's flags hold its
generation, which may be younger than the list that it stands on: eviction moves it when it meets it.

Linux: struct lru_gen_struct, lru_gen_folio (include/linux/mmzone.h); 6.1 to 6.12.  Not in seed.
"""

from dataclasses import dataclass
from typing import Final

REFS_SHIFT: Final = 14
REFS: Final = 3 << REFS_SHIFT
"""LRU_REFS_MASK: uses of a page beyond the third."""
GEN_SHIFT: Final = 16
GEN: Final = 7 << GEN_SHIFT
"""LRU_GEN_MASK: the page's generation plus one, 0 when it has none."""

REFAULTED: Final = 0
EVICTED: Final = 1
PROTECTED: Final = 2
AVG_REFAULTED: Final = 3
AVG_TOTAL: Final = 4
NR_RATES: Final = 5
"""What is counted of each kind and tier: in the oldest generation, and on average before."""

KINDS: Final = 2
GENS: Final = 4
TIERS: Final = 4


@dataclass(frozen=True, slots=True)
class Generations:
    """Generations of one lruvec.

    enabled   the lruvec's pages are on these lists
    max_seq   the youngest generation; min_seq: the oldest (anonymous, file)
    births    by generation, the tick at which it was opened; now: the present tick
    lists     [(generation * 2 + kind) * zones + zone] -> pages, heads first
    sizes     the same -> pages whose flags name the generation
    rates     [(what * 2 + kind) * 4 + tier]
    ttl       lru_gen/min_ttl_ms, in ticks
    walks     page tables are walked (bit 2 of lru_gen/enabled)
    passed    pages whose tables the next walk passes over: filters and locks decide, any choice is permitted
    starved   how often the daemon called the OOM killer because nothing was old enough
    skewed    anonymous generations closed with pages on them, as nothing could be swapped: their numbers are
              used again, and cold pages pass for young ones
    mixed     shadows of another kind of lists may be left, so rates may count what never was evicted
    """

    enabled: bool = False
    max_seq: int = 3
    min_seq: tuple[int, int] = (0, 0)
    births: tuple[int, ...] = (0,) * GENS
    now: int = 0
    lists: tuple[tuple[int, ...], ...] = ()
    sizes: tuple[int, ...] = ()
    rates: tuple[int, ...] = (0,) * (NR_RATES * KINDS * TIERS)
    ttl: int = 0
    walks: bool = True
    passed: frozenset[int] = frozenset()
    starved: int = 0
    skewed: bool = False
    mixed: bool = False


def no_generations(zones: int) -> Generations:
    """Generations without a page, switched off."""
    return Generations(lists=((),) * (GENS * KINDS * zones), sizes=(0,) * (GENS * KINDS * zones))
