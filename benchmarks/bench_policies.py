"""How fast plain policies run: against libCacheSim on the same file, where both must miss the same.

Two of our times stand beside the peer's: from the file to the figures, as the peer is timed, and the lists
alone, with places numbered already.  Without libCacheSim (`pip install libcachesim==0.3.5`) ours stand alone.
"""

import importlib
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.bench_reclaim import PLACES, stream
from linuxmm.fast.lru import words_of
from linuxmm.fast.lru_plain import FastPlain
from linuxmm.model.reclaim.workload import READ
from linuxmm.oracle.reclaim_run import run_trace

ROUNDS: Final = 5
REFERENCES: Final = 2_000_000
POLICIES: Final = {"lru": "LRU", "clock": "Clock", "fifo": "FIFO"}
PARTS: Final = {"a hundredth of the pages": 0.01, "a tenth of the pages": 0.1}


def write_trace(folder: str, count: int, places: int) -> Path:
    """A trace of so many references as libCacheSim records them."""
    record = [("time", "<u4"), ("id", "<u8"), ("size", "<u4"), ("next", "<i8")]
    rows = np.zeros(count, np.dtype(record))
    rows["id"] = stream(1.0, count, places=places) + 1
    rows["size"], rows["next"] = 1, -2
    path = Path(folder) / "zipf.oracleGeneral"
    rows.tofile(path)
    return path


def peer() -> Any:
    """libCacheSim, or None."""
    try:
        return importlib.import_module("libcachesim")
    except ImportError:
        return None


def _seconds(work: Callable[[], float]) -> tuple[float, float]:
    start = time.perf_counter()
    ratio = work()
    return time.perf_counter() - start, ratio


def _theirs(other: Any, path: Path, policy: str, pages: int) -> float:
    reader = other.TraceReader(str(path), trace_type=other.TraceType.ORACLE_GENERAL_TRACE)
    return float(getattr(other, POLICIES[policy])(cache_size=pages).process_trace(reader)[0])


def _lists(policy: str, pages: int, places: int) -> Callable[[np.ndarray[Any, np.dtype[np.int64]]], float]:
    def run(words: np.ndarray[Any, np.dtype[np.int64]]) -> float:
        machine = FastPlain(policy, pages, places)
        machine.run(words)
        return machine.totals.misses / words.size

    return run


def run(rounds: int = ROUNDS, count: int = REFERENCES, places: int = PLACES) -> dict[str, dict[str, float]]:
    """{policy and memory: figures}."""
    found: dict[str, dict[str, float]] = {}
    other = peer()
    words = words_of(stream(1.0, count, places=places), READ)
    with tempfile.TemporaryDirectory() as folder:
        path = write_trace(folder, count, places)
        for policy in POLICIES:
            for name, part in PARTS.items():
                pages = max(int(places * part), 64)
                found[f"{policy}, {name}"] = _rounds(other, path, policy, pages, words, rounds, places)
    return found


def _rounds(
    other: Any,
    path: Path,
    policy: str,
    pages: int,
    words: np.ndarray[Any, np.dtype[np.int64]],
    rounds: int,
    places: int,
) -> dict[str, float]:
    lists, whole, theirs = [], [], []
    ratio, run_lists = 0.0, _lists(policy, pages, places)
    run_lists(words[:1])
    for _ in range(rounds):
        spent, ratio = _seconds(lambda: run_lists(words))
        lists.append(spent)
        spent, again = _seconds(lambda: run_trace(path, [policy], pages, 0)[0].miss_ratio)
        whole.append(spent)
        if again != ratio:
            raise RuntimeError(f"{policy}: {again} misses of a reference from the file, {ratio} from memory")
        if other is not None:
            spent, peers = _seconds(lambda: _theirs(other, path, policy, pages))
            theirs.append(spent)
            if round(peers, 4) != round(ratio, 4):
                raise RuntimeError(f"{policy}: libCacheSim misses {peers} of a reference, linuxmm {ratio}")
    figures = {
        "ns_per_reference": statistics.median(lists) / words.size * 1e9,
        "ns_per_reference_from_file": statistics.median(whole) / words.size * 1e9,
        "miss_ratio": ratio,
        "rounds": float(rounds),
    }
    if theirs:
        figures["times_libcachesim"] = statistics.median(t / s for t, s in zip(theirs, lists, strict=True))
        figures["times_libcachesim_from_file"] = statistics.median(
            t / s for t, s in zip(theirs, whole, strict=True)
        )
    return figures
