"""A machine under a file workload, with page reclaim played by an explicit environment.

The allocator is the compiled model.  What reclaim would do is decided here, in the open: clean page cache is
given back oldest first, slab blocks some time after the files that they describe, anonymous memory never.

Linux: mm/vmscan.c:balance_pgdat, pgdat_balanced (4.20, 5.0).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from linuxmm.fast import arena
from linuxmm.fast.allocator import FREE, LOW, FastAllocator, fields, operations
from linuxmm.fast.arena import Int64s
from linuxmm.fast.machine import zone_at

CHUNK: Final = 32
"""Allocations between two looks of kswapd."""

CLUSTER: Final = 32
"""SWAP_CLUSTER_MAX: pages reclaimed at a time."""

CLASS: Final = 2


@dataclass(frozen=True, slots=True)
class Stream:
    """Allocations in order, each with a slot of its own.

    words     operation words
    cache     slots of page-cache pages, in the order in which reclaim finds them
    age       per page of `cache`: a key that grows
    slab      slots of slab blocks, in the order in which shrinkers free them
    after     per slab block: it may go once reclaim has come to a page of this age
    thp       slots of huge-page requests; 512 slots from there on are theirs
    slots     number of slots
    """

    words: Int64s
    cache: Int64s
    age: Int64s
    slab: Int64s
    after: Int64s
    thp: Int64s
    slots: int


class Kswapd:
    """Runs a stream and reclaims as the kernel's thread would."""

    def __init__(self, allocator: FastAllocator, stream: Stream) -> None:
        self.allocator = allocator
        self.stream = stream
        arrays = allocator.arrays
        self._counters = [int(zone_at(arrays, at).counters) for at in range(arrays.nr_zones)]
        self._cache = 0
        self._slab = 0
        self.reclaimed = 0
        self.boost_reclaims = 0
        self.huge = 0
        self.huge_failed = 0
        self.stalls = 0

    def run(self) -> None:
        """The whole stream."""
        words, thp = self.stream.words, set(self.stream.thp.tolist())
        for start in range(0, words.size, CHUNK):
            part = words[start : start + CHUNK]
            self._step(part)
            if thp:
                self._answer_huge(part, thp)

    def _step(self, part: Int64s) -> None:
        low = self._low()
        self.allocator.run(part)
        self._wake(low)
        small = part[(part >> 4 & 0xF) < 9]
        for _ in range(8):
            small = small[self.allocator.slots[small >> 32] < 0]
            if not small.size:
                return
            self.stalls += 1
            self._give_back(CLUSTER, True)
            low = self._low()
            self.allocator.run(small)
            self._wake(low)

    def _wake(self, low: int) -> None:
        """What kswapd does if it was woken: by a boost, or by a request that the low watermark refused."""
        if self._boosted():
            self._reclaim_boost()
        elif self._low() != low:
            self._balance()

    def _answer_huge(self, part: Int64s, thp: set[int]) -> None:
        """A huge page that was refused becomes 512 single ones."""
        for word in part.tolist():
            slot = word >> 32
            if slot not in thp:
                continue
            self.huge += 1
            if self.allocator.slots[slot] >= 0:
                continue
            self.huge_failed += 1
            _, _, gfp, cpu, _ = fields(word)
            pages = operations(0, 0, gfp - 1, cpu, np.arange(slot, slot + 512))
            for start in range(0, 512, CHUNK):
                self._step(pages[start : start + CHUNK])

    # ---- what kswapd looks at ------------------------------------------------------------------------------

    def _low(self) -> int:
        return int(self.allocator.state[3][LOW])

    def _read(self, zone: int, what: int) -> int:
        return int(self.allocator.arrays.st[self._counters[zone] + what])

    def _write(self, zone: int, what: int, value: int) -> None:
        self.allocator.arrays.st[self._counters[zone] + what] = value

    def _boosted(self) -> bool:
        return any(self._read(zone, arena.BOOSTED) for zone in range(len(self._counters)))

    def _is_balanced(self) -> bool:
        """Whether one zone has its high mark, with boost, free (pgdat_balanced)."""
        for zone in range(len(self._counters)):
            mark = self._read(zone, arena.WATERMARK + 2) + self._read(zone, arena.BOOST)
            if self._read(zone, arena.NR_FREE) > mark + self._read(zone, arena.LOWMEM_RESERVE + CLASS):
                return True
        return False

    # ---- what it does --------------------------------------------------------------------------------------

    def _balance(self) -> None:
        while not self._is_balanced():
            if not self._give_back(CLUSTER, True):
                return

    def _reclaim_boost(self) -> None:
        """Clean page cache as much as the boost; slab is spared.  Unbalanced, it is ordinary reclaim."""
        zones = range(len(self._counters))
        left = sum(self._read(zone, arena.BOOST) for zone in zones)
        self.boost_reclaims += left > 0
        if self._is_balanced():
            while left > 0 and self._give_back(CLUSTER, False):
                left -= CLUSTER
        self._balance()
        for zone in zones:
            self._write(zone, arena.BOOST, 0)
            self._write(zone, arena.BOOSTED, 0)

    def _give_back(self, pages: int, shrink: bool) -> int:
        """Free the oldest page cache that is there, and with `shrink` the slab blocks due; pages freed."""
        cache = self.stream.cache
        slots = cache[self._cache : self._cache + pages]
        slots = slots[self.allocator.slots[slots] >= 0]
        self._cache = min(self._cache + pages, cache.size)
        if shrink and self._cache:
            until = int(np.searchsorted(self.stream.after, self.stream.age[self._cache - 1], side="right"))
            slots = np.concatenate([slots, self.stream.slab[self._slab : until]])
            self._slab = max(self._slab, until)
        self.allocator.run(operations(FREE, 0, 0, 0, slots))
        self.reclaimed += slots.size
        return int(slots.size)
