"""The C twin of the benchmark, and exact lists of references: where they must agree, they do."""

import ctypes
import shutil
import subprocess
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from linuxmm.fast.lru import FastLru, words_of
from linuxmm.model.reclaim.state import ZoneMarks
from linuxmm.model.reclaim.workload import READ
from linuxmm.spec.kernel import kernel

TWIN = Path(__file__).parents[2] / "benchmarks" / "c" / "lru.c"


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize("low", [-1, 8], ids=["direct reclaim", "the daemon"])
def test_the_twin_leaves_the_same_arrays(tmp_path: Path, low: int) -> None:
    built = tmp_path / "lru.so"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", built, TWIN], check=True)
    twin = ctypes.CDLL(str(built)).lru_run
    twin.restype = ctypes.c_int64
    ours = FastLru(kernel("6.12.117"), 300, 2000, marks=ZoneMarks(300, 300, 0, low, low + 20), compiled=False)
    arrays = tuple(np.array(array) for array in (ours.arrays.frames, ours.arrays.keys, ours.arrays.st))
    totals = np.zeros(3, np.int64)
    rng = np.random.default_rng(4)
    for _ in range(10):
        words = words_of((rng.random(800) ** 3 * 2000).astype(np.int64), READ)
        ours.run(words)
        pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (*arrays, words, totals)]
        sizes = (ctypes.c_int64(words.size), ctypes.c_int64(2000))
        assert twin(*pointers[:4], *sizes, pointers[4]) == words.size
        assert tuple(totals) == tuple(ours.totals)
        for mine, theirs in zip(ours.arrays, arrays, strict=True):
            assert np.array_equal(np.asarray(mine), theirs)
    assert ours.counters["pgsteal_direct" if low < 0 else "pgsteal_kswapd"] > 0


def exact(places: list[int], pages: int, second_chance: bool) -> int:
    """Misses of an exact LRU list, or of a clock."""
    held: OrderedDict[int, bool] = OrderedDict()
    misses = 0
    for place in places:
        if place in held:
            held[place] = True
            if not second_chance:
                held.move_to_end(place)
            continue
        misses += 1
        while len(held) >= pages:
            oldest, used = held.popitem(last=False)
            if second_chance and used:
                held[oldest] = False
        held[place] = False
    return misses


@pytest.mark.parametrize("version", ["2.6.24", "3.10", "6.12.117"])
@pytest.mark.parametrize("places", [90, 130], ids=["all fits", "a loop beyond memory before refaults"])
def test_where_policies_coincide_misses_are_equal(version: str, places: int) -> None:
    references = [at % places for at in range(2 * places)]
    fast = FastLru(kernel(version), 100, places, marks=ZoneMarks(100, 100, 0, -1, 0), compiled=False)
    fast.run(words_of(np.array(references), READ))
    assert fast.totals.misses == exact(references, 100, False) == exact(references, 100, True)
