"""How fast compiled TLBs and walks are: against C, at high locality and where most references miss.

Both run the same words from the same empty tables; counts, checksums, slots and tables must be equal.
"""

import ctypes
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from linuxmm.fast.translate import (
    CONTEXT,
    FRESH,
    NEXT,
    FastBus,
    FastTranslation,
    Int64s,
    pack_tlb,
    stream,
)
from linuxmm.hardware.tlb import SKYLAKE, Tlb
from linuxmm.spec.vm.x86_entry import Control
from linuxmm.spec.vm.x86_format import X86_64

HERE: Final = Path(__file__).parent
FIRST: Final = 0x1000
FRAMES: Final = 1 << 11
REFERENCES: Final = 2_000_000
ROUNDS: Final = 9
LEAF: Final = 0x7


def locality(count: int, share: float, working: int, seed: int = 1) -> Int64s:
    """References of which `share` go to 32 pages and the rest to `working` pages; a third are writes."""
    rng = np.random.default_rng(seed)
    page = np.where(rng.random(count) < share, rng.integers(0, 32, count), rng.integers(0, working, count))
    address = 0x5555_5555_0000 + (page << 12) + (rng.integers(0, 512, count) << 3)
    return stream((rng.random(count) < 1 / 3).astype(np.int64), address)


def program(count: int, seed: int = 1) -> Int64s:
    """Three fetches to two loads or stores; each stays in a page for a while: 16 of code, 40 of data."""
    rng = np.random.default_rng(seed)
    fetch = rng.random(count) < 0.6
    moves = rng.random(count) < np.where(fetch, 0.05, 0.25)
    page = np.where(fetch, 4096 + rng.integers(0, 16, count), rng.integers(0, 40, count))
    for own in (fetch, ~fetch):
        at = np.flatnonzero(own)
        last = np.maximum.accumulate(np.where(moves[at], np.arange(at.size), 0))
        page[at] = page[at[last]]
    kind = np.where(fetch, 2, rng.random(count) < 1 / 3)
    return stream(kind, 0x5555_5555_0000 + (page << 12) + (rng.integers(0, 512, count) << 3))


STREAMS: Final[dict[str, Callable[[int], Int64s]]] = {
    "translate, a program": program,
    "translate, high locality": partial(locality, share=0.995, working=1 << 11),
    "translate, two in five miss both levels": partial(locality, share=0.5, working=1 << 13),
    "translate, nearly all miss": partial(locality, share=0.0, working=1 << 16),
}
"""The words of so many references."""


class _CTranslation:
    """The twin."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._run = library.translate_run
        self._run.restype = ctypes.c_int64
        self.words = np.zeros(FRAMES * 512, np.int64)
        self.slots = pack_tlb(Tlb()).slots
        self.contexts = np.array([FIRST, 0], np.int64)
        self.state = np.zeros(15, np.int64)
        self.state[FRESH], self.state[NEXT], self.state[CONTEXT] = FIRST + 4096, 1 << 32, 0

    def run(self, words: Int64s) -> None:
        def pointer(array: Int64s) -> ctypes.c_void_p:
            return array.ctypes.data_as(ctypes.c_void_p)

        at = self._run(
            pointer(self.words),
            ctypes.c_int64(self.words.size),
            ctypes.c_int64(FIRST),
            pointer(self.slots),
            pointer(self.contexts),
            pointer(words),
            ctypes.c_int64(words.size),
            ctypes.c_int64(LEAF),
            pointer(self.state),
        )
        if at >= 0:
            raise MemoryError(f"no frame is left for tables at operation {at}")


def _ours() -> FastTranslation:
    bus = FastBus(np.zeros(FRAMES * 512, np.int64), FIRST)
    tlb = pack_tlb(Tlb())
    return FastTranslation(
        X86_64, SKYLAKE, Control(), bus, tlb, ((FIRST, 0),), leaf=LEAF, fresh=FIRST + 4096, pages=1 << 32
    )


def _library(folder: str) -> ctypes.CDLL:
    target = Path(folder) / "translate.so"
    source = str(HERE / "c" / "translate.c")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(target), source], check=True)
    return ctypes.CDLL(str(target))


def _seconds(run: FastTranslation | _CTranslation, words: Int64s) -> float:
    start = time.perf_counter()
    run.run(words)
    return time.perf_counter() - start


def _agree(ours: FastTranslation, theirs: _CTranslation) -> None:
    same = (
        np.array_equal(ours.state, theirs.state)
        and np.array_equal(ours.tlb.slots, theirs.slots)
        and np.array_equal(ours.bus.words, theirs.words)
    )
    if not same:
        raise RuntimeError(f"the C twin disagrees: {ours.state.tolist()} here, {theirs.state.tolist()} there")


def rounds_of(
    make: Callable[[int], Int64s], count: int, rounds: int
) -> tuple[list[float], list[float], Int64s]:
    """(seconds here, seconds in C, state here) of paired, interleaved rounds."""
    words = np.split(make(count * (rounds + 1)), rounds + 1)
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = _ours(), _CTranslation(_library(folder))
        mine, twin = [], []
        for at, part in enumerate(words):
            if at % 2:
                mine.append(_seconds(ours, part))
            twin.append(_seconds(theirs, part))
            if not at % 2:
                mine.append(_seconds(ours, part))
        _agree(ours, theirs)
    return mine[1:], twin[1:], ours.state


def run(rounds: int = ROUNDS, count: int = REFERENCES) -> dict[str, dict[str, float]]:
    """{stream: figures}."""
    found = {}
    for name, make in STREAMS.items():
        ours, twin, state = rounds_of(make, count, rounds)
        used = state[1:5] / state[1:5].sum()
        found[name] = {
            "ns_per_op": statistics.median(ours) / count * 1e9,
            "ratio_to_c": statistics.median(a / b for a, b in zip(ours, twin, strict=True)),
            "c_ns_per_op": statistics.median(twin) / count * 1e9,
            "first_level_hits": float(used[0]),
            "second_level_hits": float(used[1]),
            "walks": float(used[2] + used[3]),
            "rounds": rounds,
        }
    return found
