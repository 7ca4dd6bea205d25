"""Page references on the compiled lists of any kernel: arrays of references in, counters out.

A reference is one word: how (bits 0 to 2) and the number of the place (3 to 33).  Places are numbered from 0
without gaps; `linuxmm.fast.lru_trace` does that.  Besides what reclaim does, one thing happens: a flusher
cleans the page that was dirtied first as soon as more than a tenth of memory is dirty.

Linux: mm/vmscan.c, mm/swap.c, mm/workingset.c; 2.4.0 to 6.12, two to five lists.  Seed 2.4 (F042 to F046).
"""

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from immutables import Map
from numpy import uintp as U  # noqa: N812
from numpy.typing import NDArray

from linuxmm.fast.arena import Int64s
from linuxmm.fast.link import Linked
from linuxmm.fast.lru_ages import AGES
from linuxmm.fast.lru_arena import PRIMITIVES, FastLruvec, ask_frame
from linuxmm.fast.lru_gens import GENERATIONS, WITHOUT
from linuxmm.fast.lru_pack import counters_of, fresh, unpack
from linuxmm.fast.lru_spaces import SPACES
from linuxmm.fast.parts import kernel_of
from linuxmm.fast.prefetch import COMPILED, ask
from linuxmm.model.reclaim.eviction import shrink_generations
from linuxmm.model.reclaim.gen_switch import switch
from linuxmm.model.reclaim.profile import rules_for
from linuxmm.model.reclaim.reclaimers import direct_reclaim, kswapd
from linuxmm.model.reclaim.rules import Rules
from linuxmm.model.reclaim.state import NOTHING, Lruvec, ZoneMarks
from linuxmm.model.reclaim.workload import (
    ANON,
    DROP,
    FAILED,
    HIT,
    NR_KINDS,
    WRITE,
    clean,
    discard,
    is_dirty,
    reference,
)
from linuxmm.spec.arith import int_sqrt
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.kernel import Kernel, kernel
from linuxmm.spec.reclaim.lists import SWAPPINESS
from linuxmm.spec.registry import register_fast
from linuxmm.spec.relink import Function

RULES: Final[Rules] = rules_for(kernel("6.12"))
"""What a compiled entry calls the rules of its kernel; not compiled, an entry runs with these."""

REFERENCES: Final = 0
MISSES: Final = 1
REFUSED: Final = 2
NR_TOTALS: Final = 3
RING_FIRST: Final = 0
RING_LENGTH: Final = 1
RING_HEAD: Final = 2
AHEAD: Final = 16
"""How many references ahead a place's word is asked for; half as many, its frame."""
HOW_BITS: Final = 3
HOW_MASK: Final = 7
LARGEST_PLACE: Final = (1 << 31) - 1


def run_words(
    v: FastLruvec, words: Int64s, swappiness: int, seen: NDArray[np.uint8], ring: Int64s, totals: Int64s
) -> int:
    """Run references in order; the number run.

    seen    per place: anonymous memory was there before
    ring    places dirtied, oldest first, behind RING_HEAD words: where the first stands, and how many
    totals  REFERENCES, MISSES, REFUSED
    """
    count = words.size
    room = ring.size - RING_HEAD
    at = misses = refused = dropped = 0
    while at < count:
        what = int(words[U(at)])
        if at + AHEAD < count:
            ask(v.keys, int(words[U(at + AHEAD)]) >> HOW_BITS)
            ask_frame(v, int(words[U(at + (AHEAD >> 1))]) >> HOW_BITS)
        at += 1
        how = what & HOW_MASK
        slot = what >> HOW_BITS
        if how == DROP:
            discard(RULES, v, slot)  # type: ignore[arg-type]
            seen[U(slot)] = 0
            dropped += 1
            continue
        fresh_dirt = how == WRITE and not is_dirty(v, slot)  # type: ignore[arg-type]
        _, answer = reference(RULES, v, slot, how, seen[U(slot)] != 0, swappiness)  # type: ignore[arg-type]
        if answer != HIT:
            misses += 1
        if answer == FAILED:
            refused += 1
            continue
        if how == ANON:
            seen[U(slot)] = 1
        if fresh_dirt:
            first = int(ring[U(RING_FIRST)])
            length = int(ring[U(RING_LENGTH)])
            if length == room:
                oldest = int(ring[U(RING_HEAD + first)])
                first = first + 1 if first + 1 < room else 0
                length -= 1
                clean(RULES, v, oldest)  # type: ignore[arg-type]
            end = first + length
            ring[U(RING_HEAD + (end if end < room else end - room))] = slot
            ring[U(RING_FIRST)] = first
            ring[U(RING_LENGTH)] = length + 1
    totals[U(REFERENCES)] += count - dropped
    totals[U(MISSES)] += misses
    totals[U(REFUSED)] += refused
    return count


def switch_lists(v: FastLruvec, on: bool) -> int:
    """Switch lists by generation on or off: 1 when they are on."""
    switch(RULES, v, on)  # type: ignore[arg-type]
    return 1 if on else 0


_COLD: Final = frozenset(
    {"kswapd", "direct_reclaim", "shrink_inactive", "shrink_active", "shrink_cache", "discard", "clean",
     "age", "age_node", "shrink_generations", "evict_batch", "look_around", "pages_from", "must_age",
     "sort_page", "_judge", "scan_oldest", "close_empty", "gen_add", "gen_delete", "step_up", "promote",
     "resize", "carry_over", "gen_evict", "gen_refault", "take_batch",
     "refill_inactive_scan", "page_launder", "refill_inactive", "move_down", "move_down_in_parts",
     "walk_space", "reclaim_page", "swap_out_largest", "swap_out_in_turn"}
)  # fmt: skip


def primitives_of(rules: Rules) -> dict[Function, Function]:
    """The model's primitives -> their form over arrays; generations only where the kernel has them."""
    return PRIMITIVES | SPACES | AGES | (GENERATIONS if rules.generations else WITHOUT)


@lru_cache(maxsize=32)
def _compiled(rules: Rules) -> Function:
    return Linked(rules, primitives_of(rules) | COMPILED, _COLD).entry(run_words)


def interpreted(rules: Rules) -> Function:
    """The same kernel over the same arrays, without a compiler: slow, with every index checked."""
    return Linked(rules, primitives_of(rules), compiled=False).entry(run_words)


class Totals(NamedTuple):
    """What a run did.

    misses   references whose content no page held, `refused` among them: no page could be freed
    """

    references: int
    misses: int
    refused: int


def marks_for(pages: int) -> ZoneMarks:
    """Watermarks of so many pages, as the kernel sets them by default; all are free."""
    least = max(int_sqrt(pages << 6) >> 2, 1)
    return ZoneMarks(pages, pages, least, least + (least >> 2), least + (least >> 1))


class Machine:
    """Pages and places in arrays, and what was done with them; `step` says how references are run.

    marks      watermarks, and how many pages there are
    places     places that references may name
    swap       pages of swap
    Errors     ImpossibleProfile for what the arrays cannot hold
    """

    def __init__(self, marks: ZoneMarks, places: int, swap: int, compiled: bool) -> None:
        self.arrays = fresh(marks, places, swap)
        self._keys = self.arrays.keys
        self._totals: Int64s = np.zeros(NR_TOTALS, np.int64)
        self._find = _first_misfit if compiled else first_misfit

    @property
    def totals(self) -> Totals:
        """Everything done so far."""
        return Totals(*(int(n) for n in self._totals))

    @property
    def counters(self) -> Map[str, int]:
        """What /proc/vmstat shows; what is 0 is left out."""
        return counters_of(self.arrays)

    @property
    def lruvec(self) -> Lruvec:
        """The model's form; a page has the number of its place."""
        return unpack(self.arrays)

    def reserve(self, places: int) -> None:
        """Let references name so many places; those known stay as they are."""
        if places > self._keys.size:
            room = max(places, 2 * self._keys.size)
            self._keys = np.concatenate([self._keys, np.full(room - self._keys.size, NOTHING, np.int64)])
        if places > self.arrays.keys.size:
            self.arrays = self.arrays._replace(keys=self._keys[:places])

    def run(self, words: Int64s) -> None:
        """Run references.

        Errors    BadEvidence for a place or a kind that there is not
        """
        places = self.arrays.keys.size
        number = self._find(words, places)
        if number < words.size:
            how, place = int(words[number]) & HOW_MASK, int(words[number]) >> HOW_BITS
            raise BadEvidence(
                "references",
                f"expected a kind below {NR_KINDS} and a place below {places}, got {how} and {place}",
                line=number,
                where="word",
            )
        self.step(words)

    def step(self, words: Int64s) -> None:
        """Run references that there are."""
        raise NotImplementedError


class FastLru(Machine):
    """The lists of one kernel over so many pages.

    pages      page frames
    places     places that references may name
    swap       pages of swap
    marks      watermarks, by default those of `marks_for`
    generations  lists by generation are built in, and on
    Errors     ImpossibleProfile for what the arrays cannot hold; Unmodelled as `rules_for` does
    """

    def __init__(
        self,
        profile: Kernel,
        pages: int,
        places: int,
        *,
        swap: int = 0,
        swappiness: int = SWAPPINESS,
        marks: ZoneMarks | None = None,
        batches: bool = True,
        compiled: bool = True,
        generations: bool = False,
    ) -> None:
        super().__init__(marks_for(pages) if marks is None else marks, places, swap, compiled)
        self.rules = rules_for(profile, batches, generations=generations)
        if generations:
            self.switch(True)
        self.swappiness = swappiness
        self._seen = np.zeros(places, np.uint8)
        self.ring: Int64s = np.zeros(RING_HEAD + max(pages // 10, 1), np.int64)
        self._run = _compiled(self.rules) if compiled else interpreted(self.rules)

    def switch(self, on: bool) -> None:
        """Switch lists by generation on or off.

        Requires  generations
        """
        Linked(self.rules, primitives_of(self.rules), compiled=False).entry(switch_lists)(self.arrays, on)

    def reserve(self, places: int) -> None:
        """Let references name so many places; those known stay as they are."""
        super().reserve(places)
        if places > self._seen.size:
            more = max(places, 2 * self._seen.size) - self._seen.size
            self._seen = np.concatenate([self._seen, np.zeros(more, np.uint8)])

    def step(self, words: Int64s) -> None:
        """Run references that there are."""
        self._run(self.arrays, words, self.swappiness, self._seen, self.ring, self._totals)


def first_misfit(words: Int64s, places: int) -> int:
    """Number of the first reference of a kind or to a place that there is not, or the number of all."""
    at = 0
    while at < words.size:
        word = int(words[U(at)])
        if word & HOW_MASK >= NR_KINDS or word < 0 or word >> HOW_BITS >= places:
            return at
        at += 1
    return at


_first_misfit: Final = kernel_of(first_misfit)


def words_of(places: NDArray[np.int64], how: NDArray[np.int64] | int) -> Int64s:
    """Words of references from columns.

    Requires  places up to LARGEST_PLACE, kinds from READ to DROP
    """
    return np.ascontiguousarray(places.astype(np.int64) << HOW_BITS | how)


for _function in (reference, kswapd, direct_reclaim, shrink_generations):
    register_fast(_function, "F042", source="mm/vmscan.c:shrink_lruvec; mm/workingset.c; 2.4.14 to 6.12")
