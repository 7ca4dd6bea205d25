"""How fast a long recording is judged, from the archive on disk to the verdict, and in how much memory."""

import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench_allocator import FRAMES, synthetic
from linuxmm.fast.arena import Int64s
from linuxmm.oracle.checker.trace import TraceCheck
from linuxmm.oracle.formats import Events, Kind, open_archive, write_archive
from linuxmm.oracle.formats.events import empty
from linuxmm.spec.alloc.gfp import GFP_KERNEL

EVENTS: Final = 10_000_000
ROUNDS: Final = 7
_BATCH: Final = 1 << 18


def recording(count: int, frames: int) -> list[Events]:
    """Grants and releases of blocks of orders 0 and 1 at random pages, each block now owned and now free."""
    words = synthetic(count, frames)[0]
    slot = (words >> 32) % (frames // 2)
    alloc = _alternating(slot)
    batches = []
    for start in range(0, count, _BATCH):
        part = slice(start, start + _BATCH)
        events = empty(slot[part].size)
        number = start + np.arange(len(events))
        events.ts[:] = number * 700
        events.line[:] = number
        events.kind[:] = np.where(alloc[part], int(Kind.MM_PAGE_ALLOC), int(Kind.MM_PAGE_FREE))
        events.pfn[:] = slot[part] * 2
        events.order[:] = slot[part] % 2
        events.mt[:] = np.where(alloc[part], 0, -1)
        events.a[:] = np.where(alloc[part], GFP_KERNEL, 0)
        batches.append(events)
    return batches


def _alternating(slot: Int64s) -> NDArray[np.bool_]:
    """True at the first, third, ... use of each slot."""
    by_slot = np.argsort(slot, kind="stable")
    first = np.ones(slot.size, bool)
    first[1:] = slot[by_slot][1:] != slot[by_slot][:-1]
    begin = np.maximum.accumulate(np.where(first, np.arange(slot.size), 0))
    odd = np.empty(slot.size, bool)
    odd[by_slot] = (np.arange(slot.size) - begin) % 2 == 0
    return odd


def _judge(path: Path, compiled: bool) -> float:
    start = time.perf_counter()
    judgement = TraceCheck(compiled=compiled).run(open_archive(path))
    seconds = time.perf_counter() - start
    if judgement.divergences:
        raise RuntimeError(f"the recording conforms, but {judgement.divergences[0]}")
    return seconds / judgement.events


def run(rounds: int = ROUNDS, count: int = EVENTS) -> dict[str, dict[str, float]]:
    """{"checker": figures}; the memory is the whole process's peak."""
    with tempfile.TemporaryDirectory() as folder:
        path, short = Path(folder) / "long.parquet", Path(folder) / "short.parquet"
        write_archive(path, recording(count, FRAMES))
        write_archive(short, recording(count // 100, FRAMES))
        _judge(short, True)
        times = [_judge(path, True) for _ in range(rounds)]
        by_row = _judge(short, False)
    seconds = statistics.median(times)
    return {
        "checker": {
            "events_per_second": 1 / seconds,
            "ns_per_event": seconds * 1e9,
            "ratio_to_row_by_row": by_row / seconds,
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "events": count,
            "rounds": rounds,
        }
    }
