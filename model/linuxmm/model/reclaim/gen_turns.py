"""Memory cgroups of a node by generation: the old ones have their turn, bin by bin, and become young.

A group stands in one of eight bins of its generation, which a random number chooses: the choice is an
argument here.  When the last group of the old generation is gone, the young one is the old one.

Linux: mm/vmscan.c:shrink_many, lru_gen_rotate_memcg, lru_gen_online_memcg, lru_gen_offline_memcg,
lru_gen_release_memcg, lru_gen_soft_reclaim; 6.12 (since 6.3, to 6.11 unconfirmed).  Not in seed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from immutables import Map

from linuxmm.spec.invariant import invariant
from linuxmm.spec.reclaim.generation_turns import HEAD, NR_BINS, NR_GENS, OLD, STAY, TAIL, YOUNG
from linuxmm.spec.registry import verb


class Place(NamedTuple):
    """Where a group is: its generation, and what happened to it last (STAY, HEAD, TAIL)."""

    generation: int
    segment: int


@dataclass(frozen=True, slots=True)
class Turns:
    """Groups of a node.

    seq     number of the old generation; the young one is the next
    rows    [generation * 8 + bin] -> groups, the head first
    places  group -> where it is
    """

    seq: int = 0
    rows: tuple[tuple[int, ...], ...] = ((),) * (NR_GENS * NR_BINS)
    places: Map[int, Place] = field(default_factory=Map)


def generation_of_turn(seq: int) -> int:
    """The rows of a generation: numbers are used again every three."""
    return seq % NR_GENS


def _without(turns: Turns, group: int) -> Turns:
    rows = tuple(tuple(other for other in row if other != group) for row in turns.rows)
    return replace(turns, rows=rows, places=turns.places.delete(group))


def _with(turns: Turns, group: int, place: Place, bin: int, at_head: bool) -> Turns:
    at = place.generation * NR_BINS + bin
    row = (group, *turns.rows[at]) if at_head else (*turns.rows[at], group)
    rows = (*turns.rows[:at], row, *turns.rows[at + 1 :])
    return replace(turns, rows=rows, places=turns.places.set(group, place))


def _moved_on(turns: Turns, left: int) -> Turns:
    """The young generation is the old one, once a group left the old one empty."""
    emptied = left == generation_of_turn(turns.seq) and not any(
        place.generation == left for place in turns.places.values()
    )
    return replace(turns, seq=turns.seq + 1) if emptied else turns


@verb("F060", source="mm/vmscan.c:lru_gen_online_memcg; 6.12")
def online(turns: Turns, group: int, bin: int) -> Turns:
    """A new group is old: its turn comes.

    Requires  it is not there yet
    """
    return _with(turns, group, Place(generation_of_turn(turns.seq), STAY), bin, False)


@verb("F060", source="mm/vmscan.c:lru_gen_rotate_memcg; 6.12")
def rotate(turns: Turns, group: int, what: int, bin: int) -> Turns:
    """Move a group: to the HEAD or TAIL of a bin of its generation, or to the OLD or YOUNG generation."""
    was = turns.places[group].generation
    now = was
    if what == OLD:
        now = generation_of_turn(turns.seq)
    elif what == YOUNG:
        now = generation_of_turn(turns.seq + 1)
    segment = what if what in (HEAD, TAIL) else STAY
    turns = _with(_without(turns, group), group, Place(now, segment), bin, what in (HEAD, OLD))
    return _moved_on(turns, was)


@verb("F060", source="mm/vmscan.c:lru_gen_release_memcg; 6.12")
def release(turns: Turns, group: int) -> Turns:
    """A group is gone for good."""
    was = turns.places[group].generation
    return _moved_on(_without(turns, group), was)


@verb("F060", source="mm/vmscan.c:lru_gen_soft_reclaim; 6.12")
def over_soft_limit(turns: Turns, group: int, bin: int) -> Turns:
    """A group above its soft limit comes to the head, once."""
    return turns if turns.places[group].segment == HEAD else rotate(turns, group, HEAD, bin)


@verb("F060", source="mm/vmscan.c:shrink_many; 6.12")
def take_turns(
    turns: Turns, first: int, bins: Sequence[int], shrink: Callable[[int, int], tuple[int, bool]]
) -> tuple[Turns, tuple[int, ...]]:
    """Groups of the old generation have their turn, from a bin on round to it: those that had it, in order.

    first     the bin that is first
    bins      the bins that groups move to, one after another and again
    shrink    (group, segment) -> (what becomes of it, whether enough is freed)
    Ensures   ends; a group has at most two turns
    """
    generation = generation_of_turn(turns.seq)
    had: list[int] = []
    moves = 0
    for step in range(NR_BINS):
        at = generation * NR_BINS + (first + step) % NR_BINS
        following = turns.rows[at][:1]
        while following:
            group = following[0]
            number = turns.rows[at].index(group)
            following = turns.rows[at][number + 1 : number + 2]  # known before the group moves
            what, enough = shrink(group, turns.places[group].segment)
            had.append(group)
            if what != STAY:
                turns = rotate(turns, group, what, bins[moves % len(bins)])
                moves += 1
            if enough:
                return turns, tuple(had)
    return turns, tuple(had)


@invariant(
    "reclaim.turns.one-place",
    features=("F060",),
    source="mm/vmscan.c:lru_gen_rotate_memcg; include/linux/mmzone.h:struct lru_gen_memcg",
    since="6.3",
)
def one_turn(turns: Turns) -> bool:
    """A group stands once, in a bin of its own generation, which is the old or the young one."""
    found = [(group, at // NR_BINS) for at, row in enumerate(turns.rows) for group in row]
    valid = {generation_of_turn(turns.seq), generation_of_turn(turns.seq + 1)}
    return (
        len(found) == len(turns.places)
        and all(group in turns.places and turns.places[group].generation == row for group, row in found)
        and {place.generation for place in turns.places.values()} <= valid
    )


@invariant(
    "reclaim.turns.old-first",
    features=("F060",),
    source="mm/vmscan.c:lru_gen_rotate_memcg, lru_gen_release_memcg",
    since="6.3",
)
def somebody_is_old(turns: Turns) -> bool:
    """While there are groups, one of them is old: a turn comes."""
    old = generation_of_turn(turns.seq)
    return not turns.places or any(place.generation == old for place in turns.places.values())
