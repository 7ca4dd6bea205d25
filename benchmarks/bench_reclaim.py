"""How fast the compiled lists of pages are: against C, at few misses and at many.

Both run the same reads of files on the lists of 6.12 from the same empty arrays; all arrays must be equal.
Beside it stands what an exact list of least recently used pages misses: `OrderedDict`, of the same length.
"""

import ctypes
import statistics
import subprocess
import tempfile
import time
from collections import OrderedDict
from pathlib import Path
from typing import Final

import numpy as np

from linuxmm.fast.arena import Int64s
from linuxmm.fast.lru import FastLru, words_of
from linuxmm.model.reclaim.workload import READ
from linuxmm.spec.kernel import kernel

HERE: Final = Path(__file__).parent
VERSION: Final = "6.12.117"
PLACES: Final = 1 << 20
ROUNDS: Final = 9
OPERATIONS: Final = 1_000_000

STREAMS: Final = {
    "lru, a hundredth of the pages": (0.01, 1.0),
    "lru, a tenth of the pages": (0.1, 1.0),
    "lru, an even choice": (0.5, 0.0),
}
"""Memory as a part of the places, and the exponent of Zipf's law."""


def stream(exponent: float, count: int, seed: int = 1, places: int = PLACES) -> Int64s:
    """Places by Zipf's law, the popular ones anywhere; exponent 0 is an even choice."""
    rng = np.random.default_rng(seed)
    if not exponent:
        return rng.integers(0, places, count)
    weight = np.cumsum(1 / np.arange(1, places + 1) ** exponent)
    rank = np.searchsorted(weight, rng.random(count) * weight[-1])
    named: Int64s = rng.permutation(places)[rank]
    return named


class _Twin:
    """The C twin, over a copy of the same empty arrays."""

    def __init__(self, library: ctypes.CDLL, like: FastLru) -> None:
        self._run = library.lru_run
        self._run.restype = ctypes.c_int64
        own = like.arrays
        self.arrays = (own.frames.copy(), own.keys.copy(), own.st.copy())
        self.totals = np.zeros(len(like.totals), np.int64)

    def run(self, words: Int64s) -> None:
        done = self._run(
            *(array.ctypes.data_as(ctypes.c_void_p) for array in self.arrays),
            words.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int64(words.size),
            ctypes.c_int64(self.arrays[1].size),
            self.totals.ctypes.data_as(ctypes.c_void_p),
        )
        if done != words.size:
            raise RuntimeError(f"the C twin refuses reference {done}")


def library(folder: str) -> ctypes.CDLL:
    """The twin, built."""
    target = Path(folder) / "lru.so"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", target, HERE / "c" / "lru.c"], check=True)
    return ctypes.CDLL(str(target))


def _seconds(run: FastLru | _Twin, words: Int64s) -> float:
    start = time.perf_counter()
    run.run(words)
    return time.perf_counter() - start


def _agree(ours: FastLru, theirs: _Twin) -> None:
    frames, keys, st = ours.arrays
    same = (
        np.array_equal(frames, theirs.arrays[0])
        and np.array_equal(keys, theirs.arrays[1])
        and np.array_equal(st, theirs.arrays[2])
    )
    if not same or tuple(theirs.totals) != tuple(ours.totals):
        raise RuntimeError(f"the C twin disagrees: {ours.totals} here, {theirs.totals.tolist()} there")


def exact_misses(places: Int64s, pages: int) -> int:
    """Misses of an exact list of least recently used pages."""
    held: OrderedDict[int, None] = OrderedDict()
    misses = 0
    for place in places.tolist():
        if place in held:
            held.move_to_end(place)
            continue
        misses += 1
        if len(held) == pages:
            held.popitem(last=False)
        held[place] = None
    return misses


def rounds_of(
    part: float, exponent: float, count: int, rounds: int, places: int = PLACES
) -> tuple[list[float], list[float], float, float]:
    """(seconds here, seconds in C, miss ratio of a first round, not timed, here and of exact LRU)."""
    named = stream(exponent, count * (rounds + 1), places=places)
    pages = max(int(places * part), 64)
    with tempfile.TemporaryDirectory() as folder:
        ours = FastLru(kernel(VERSION), pages, places)
        theirs = _Twin(library(folder), ours)
        mine, twin, ratio = [], [], 0.0
        for at, words in enumerate(np.split(words_of(named, READ), rounds + 1)):
            if at % 2:
                mine.append(_seconds(ours, words))
            twin.append(_seconds(theirs, words))
            if not at % 2:
                mine.append(_seconds(ours, words))
            _agree(ours, theirs)
            if not at:
                ratio = ours.totals.misses / count
    return mine[1:], twin[1:], ratio, exact_misses(named[:count], pages) / count


def run(rounds: int = ROUNDS, count: int = OPERATIONS, places: int = PLACES) -> dict[str, dict[str, float]]:
    """{stream: figures}."""
    found = {}
    for name, (part, exponent) in STREAMS.items():
        ours, twin, miss_ratio, exact = rounds_of(part, exponent, count, rounds, places)
        found[name] = {
            "ns_per_op": statistics.median(ours) / count * 1e9,
            "millions_per_s": count / statistics.median(ours) / 1e6,
            "ratio_to_c": statistics.median(a / b for a, b in zip(ours, twin, strict=True)),
            "c_ns_per_op": statistics.median(twin) / count * 1e9,
            "miss_ratio": miss_ratio,
            "miss_ratio_exact_lru": exact,
            "rounds": rounds,
        }
    return found
