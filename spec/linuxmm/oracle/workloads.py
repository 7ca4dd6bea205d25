"""Allocation workloads by name, and workloads taken from recorded traces.

Every workload is a stream of operation words (`linuxmm.fast.allocator`) that is the same for every kernel.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from linuxmm.fast.allocator import ALLOC, FREE, GFPS, operations
from linuxmm.fast.arena import Int64s
from linuxmm.oracle.formats import Capture, Kind, Operations, open_evidence
from linuxmm.spec.alloc.gfp import GFP_KERNEL
from linuxmm.spec.errors import LinuxmmError

UNMOVABLE: Final = 0
MOVABLE: Final = 1
RECLAIMABLE: Final = 2
_WORDS: Final = {"unmovable": GFPS[UNMOVABLE], "movable": GFPS[MOVABLE], "reclaimable": GFPS[RECLAIMABLE]}


@dataclass(frozen=True, slots=True)
class Workload:
    """Operations, the slots that they use, the GFP words that they name, and the CPUs that they run on."""

    name: str
    words: Int64s
    slots: int
    gfps: tuple[int, ...] = GFPS
    cpus: int = 1


def from_slots(name: str, slot: Int64s, order: Int64s, gfp: Int64s) -> Workload:
    """A workload in which each operation allocates into an empty slot, or frees what the slot holds."""
    count = slot.size
    by_slot = np.argsort(slot, kind="stable")
    first = np.ones(count, bool)
    first[1:] = slot[by_slot][1:] != slot[by_slot][:-1]
    begin = np.maximum.accumulate(np.where(first, np.arange(count), 0))
    code = np.empty(count, np.int64)
    code[by_slot] = np.where((np.arange(count) - begin) % 2, FREE, ALLOC)
    return Workload(name, operations(code, order, gfp, 0, slot), int(slot.max(initial=0)) + 1)


def uniform(count: int, frames: int, seed: int) -> Workload:
    """Small blocks of every mobility come and go at random; half of the memory is in use."""
    rng = np.random.default_rng(seed)
    orders = rng.choice(np.array([0] * 28 + [1] * 6 + [2] * 3 + [3] * 2 + [4]), count)
    types = rng.choice(np.array([UNMOVABLE] * 3 + [MOVABLE] * 5 + [RECLAIMABLE]), count)
    return from_slots("uniform", rng.integers(0, max(frames * 5 // 8, 1), count), orders, types)


def fragmenting(count: int, frames: int, seed: int) -> Workload:
    """Anonymous memory fills the machine; file-system metadata squeezes in between, and outlives it."""
    rng = np.random.default_rng(seed)
    movable = rng.random(count) < 0.7
    slots = max(frames * 5 // 4, 8)
    meta = np.where(rng.random(count) < 0.5, UNMOVABLE, RECLAIMABLE)
    order = np.where(
        movable, rng.choice(np.array([0] * 60 + [4]), count), rng.choice(np.array([0, 0, 1]), count)
    )
    low, high = 0, slots * 3 // 4
    slot = np.where(movable, rng.integers(low, high, count), rng.integers(high, slots, count))
    return from_slots("fragmenting", slot, order, np.where(movable, MOVABLE, meta))


def network(count: int, frames: int, seed: int) -> Workload:
    """Bursts of packet buffers: 64 allocations of orders 0 and 3, then the same 64 frees."""
    rng = np.random.default_rng(seed)
    burst = 64
    rounds = -(-count // (2 * burst))
    each = np.tile(np.arange(burst), 2 * rounds)[:count]
    order = np.repeat(rng.choice(np.array([0, 0, 0, 3]), rounds * 2), burst)[:count]
    return from_slots("network", each, order, np.full(count, UNMOVABLE))


def high_order(count: int, frames: int, seed: int) -> Workload:
    """Large blocks, orders 4 to 10, of every mobility, among single pages."""
    rng = np.random.default_rng(seed)
    order = rng.choice(np.array([0] * 24 + [4, 5, 6, 7, 8, 9, 10]), count)
    types = rng.choice(np.array([UNMOVABLE, MOVABLE, RECLAIMABLE]), count)
    return from_slots("high-order", rng.integers(0, max(frames // 32, 1), count), order, types)


NAMED: Final[dict[str, Callable[[int, int, int], Workload]]] = {
    "uniform": uniform,
    "fragmenting": fragmenting,
    "network": network,
    "high-order": high_order,
}


def recorded(path: Path | str) -> Workload:
    """The allocations and frees of a recording: a capture folder, a trace, an archive, JSON lines.

    Requests that were refused, and frees of blocks whose allocation was not recorded, are left out.
    Errors    BadEvidence; LinuxmmError when the evidence records no allocation that can be run
    """
    evidence = open_evidence(path)
    batches = (
        (batch for name in evidence.traces for batch in evidence.trace(name))
        if isinstance(evidence, Capture)
        else iter(evidence)
    )
    types = evidence.header.migratetypes if isinstance(evidence, Operations) else ()
    replay = _Replay(types)
    for batch in batches:
        columns = (batch.kind, batch.pfn, batch.order, batch.a, batch.mt, batch.cpu)
        for kind, pfn, order, gfp, mt, cpu in zip(*(c.tolist() for c in columns), strict=True):
            if kind == Kind.MM_PAGE_ALLOC and pfn >= 0:
                replay.alloc(pfn, order, gfp, mt, max(cpu, 0))
            elif kind == Kind.MM_PAGE_FREE:
                replay.free(pfn, max(cpu, 0))
    if not replay.rows:
        raise LinuxmmError(f"{path}: records no allocation to run")
    if len(replay.gfps) > 256:
        raise LinuxmmError(f"{path}: {len(replay.gfps)} different GFP words; a workload may have 256")
    code, size, mask, cpu, slot = np.array(replay.rows, np.int64).T
    words = operations(code, size, mask, cpu, slot)
    return Workload(Path(path).name, words, replay.slots, tuple(replay.gfps), int(cpu.max()) + 1)


class _Replay:
    """Recorded events as operations over slots.

    types   names by migratetype number, where requests may state a type instead of a GFP word
    """

    def __init__(self, types: tuple[str, ...]) -> None:
        self.types = types
        self.rows: list[tuple[int, int, int, int, int]] = []
        self.gfps: dict[int, int] = {}
        self.slots = 0
        self._held: dict[int, int] = {}
        self._spare: list[int] = []

    def alloc(self, pfn: int, order: int, gfp: int, mt: int, cpu: int) -> None:
        if pfn in self._held:
            return
        if not self._spare:
            self._spare.append(self.slots)
            self.slots += 1
        slot = self._held[pfn] = self._spare.pop()
        word = (
            gfp if gfp >= 0 else _WORDS.get(self.types[mt] if 0 <= mt < len(self.types) else "", GFP_KERNEL)
        )
        self.rows.append((ALLOC, order, self.gfps.setdefault(word, len(self.gfps)), cpu, slot))

    def free(self, pfn: int, cpu: int) -> None:
        if pfn in self._held:
            slot = self._held.pop(pfn)
            self._spare.append(slot)
            self.rows.append((FREE, 0, 0, cpu, slot))


def workload(name: str, count: int, frames: int, seed: int) -> Workload:
    """A named workload, or the one recorded at a path.

    Errors    LinuxmmError for a name that is neither
    """
    if name in NAMED:
        return NAMED[name](count, frames, seed)
    if not Path(name).exists():
        raise LinuxmmError(f"workload {name!r}: expected one of {', '.join(NAMED)}, or a path to a recording")
    return recorded(name)
