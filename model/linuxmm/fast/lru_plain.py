"""Page references on a compiled plain policy: least recently used, Clock or FIFO, over the arrays of `lru`.

Seed 2.4.1 (F042).
"""

from functools import lru_cache
from typing import Final

from numpy import uintp as U  # noqa: N812

from linuxmm.fast.arena import Int64s
from linuxmm.fast.link import Linked
from linuxmm.fast.lru import AHEAD, HOW_BITS, HOW_MASK, MISSES, REFERENCES, Machine, marks_for
from linuxmm.fast.lru_arena import PRIMITIVES, FastLruvec, ask_frame
from linuxmm.fast.prefetch import COMPILED, ask
from linuxmm.model.reclaim.plain import POLICIES, Policy, discard, reference
from linuxmm.model.reclaim.workload import DROP, HIT
from linuxmm.spec.errors import ImpossibleProfile
from linuxmm.spec.registry import register_fast
from linuxmm.spec.relink import Function

RULES: Final[Policy] = POLICIES["lru"]
"""What a compiled entry calls its policy; not compiled, an entry runs with this one."""


def run_plain(v: FastLruvec, words: Int64s, totals: Int64s) -> int:
    """Run references in order; the number run.

    totals  REFERENCES, MISSES, REFUSED
    """
    count = words.size
    at = misses = dropped = 0
    while at < count:
        what = int(words[U(at)])
        if at + AHEAD < count:
            ask(v.keys, int(words[U(at + AHEAD)]) >> HOW_BITS)
            ask_frame(v, int(words[U(at + (AHEAD >> 1))]) >> HOW_BITS)
        at += 1
        if what & HOW_MASK == DROP:
            discard(v, what >> HOW_BITS)  # type: ignore[arg-type]
            dropped += 1
            continue
        _, answer = reference(RULES, v, what >> HOW_BITS)  # type: ignore[arg-type]
        if answer != HIT:
            misses += 1
    totals[U(REFERENCES)] += count - dropped
    totals[U(MISSES)] += misses
    return count


@lru_cache(maxsize=8)
def _compiled(policy: Policy) -> Function:
    return Linked(policy, PRIMITIVES | COMPILED).entry(run_plain)


class FastPlain(Machine):
    """A plain policy, by name, over so many pages.

    pages, places   as of `FastLru`
    Errors          ImpossibleProfile for a policy that there is not, or what the arrays cannot hold
    """

    def __init__(self, name: str, pages: int, places: int, *, compiled: bool = True) -> None:
        if name not in POLICIES:
            raise ImpossibleProfile(f"expected a policy of {', '.join(POLICIES)}, got {name!r}")
        super().__init__(marks_for(pages), places, 0, compiled)
        self.policy = POLICIES[name]
        interpreted = Linked(self.policy, PRIMITIVES, compiled=False).entry
        self._run = _compiled(self.policy) if compiled else interpreted(run_plain)

    def step(self, words: Int64s) -> None:
        """Run references that there are."""
        self._run(self.arrays, words, self._totals)


register_fast(reference, "F042", source="the textbook's policies; mm/vmscan.c departs from them")
