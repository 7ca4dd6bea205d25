"""In which order memory cgroups give pages when a node runs short: what becomes of one after its turn.

Linux: mm/vmscan.c:shrink_one, lru_gen_rotate_memcg; include/linux/mmzone.h:MEMCG_LRU_*; 6.12 (since 6.3).
Not in seed.
"""

from typing import Final, NamedTuple

from linuxmm.spec.registry import formula

NR_GENS: Final = 3
NR_BINS: Final = 8

STAY: Final = 0
HEAD: Final = 1
TAIL: Final = 2
OLD: Final = 3
YOUNG: Final = 4
"""What happens to a group; HEAD and TAIL are remembered of it as its segment, STAY when neither is."""


class Turn(NamedTuple):
    """A group whose turn it is.

    below_min, below_low   of its protection
    segment                what happened to it before
    aged                   reclaiming from it ended with ageing: it is low on cold pages
    sizable                enough is left of it to be worth it at this priority
    online                 it was not removed
    """

    below_min: bool
    below_low: bool
    segment: int
    aged: bool
    sizable: bool
    online: bool


@formula("F060", source="mm/vmscan.c:shrink_one; 6.12 (6.3 to 6.11 unconfirmed)")
def is_spared(turn: Turn) -> bool:
    """Whether nothing is taken from a group: below its min always, below its low at first."""
    return turn.below_min or (turn.below_low and turn.segment != TAIL)


@formula("F060", source="mm/vmscan.c:shrink_one; 6.12 (6.3 to 6.11 unconfirmed)")
def after_turn(turn: Turn) -> int:
    """What becomes of a group after its turn.

    Ensures   a group that stood at a tail before never gets there again, before it was young
    """
    if turn.below_min:
        return YOUNG
    if turn.below_low and turn.segment != TAIL:
        return TAIL
    if turn.aged and turn.online:
        return YOUNG
    if not turn.aged and turn.sizable:
        return STAY
    return YOUNG if turn.segment == TAIL else TAIL
