"""How fast the compiled SLUB and kmalloc are: against C, with few objects in use and with many.

Both run the same operations from the same empty caches; totals, slots, slabs and links must be equal.
"""

import ctypes
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np

from linuxmm.fast.arena import Int32s, Int64s
from linuxmm.fast.slub import ALLOC, FLUSH, FREE, KMALLOC, FastSlub, kmalloc_sizes, many, operations
from linuxmm.fast.slub_arena import (
    CPU_FIRST,
    FIRST,
    HEAP_BACK,
    NEXT,
    NR_ORDERS,
    PREV,
    RECORD,
    cache_at,
    cpu_at,
    node_at,
)
from linuxmm.fast.slub_rare import BULK_ALLOC, BULK_FREE, DESTROY, KREALLOC, KREALLOC_ZERO, KSIZE, SHRINK
from linuxmm.model.objects.pages import Heap
from linuxmm.model.objects.slub import empty_cache
from linuxmm.spec.kernel import Kernel, kernel

HERE: Final = Path(__file__).parent
VERSION: Final = "6.12.117"
NODE_OF: Final = (0, 0, 1, 1)
NODES: Final = 2
PAGES: Final = 1 << 16
ROUNDS: Final = 9
OPERATIONS: Final = 1_000_000
ASKED: Final = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024, 2048)
SHARES: Final = (8, 8, 6, 14, 8, 18, 7, 9, 6, 6, 5, 3, 2)
"""Bytes asked of kmalloc, and how often of a hundred times."""
NAMED: Final = (40, 104, 232, 640)
"""Sizes of the objects of caches that have names, as inodes and dentries have."""

STREAMS: Final = {
    "slub, freed where taken": (1 << 10, 0.0),
    "slub, one in ten freed by another CPU": (1 << 14, 0.1),
    "slub, any CPU, many objects": (1 << 17, 1.0),
}
"""Objects that may be in use at once, and the share of releases that come from any CPU."""
BULK: Final = "slub, in bulk, resized and shrunk"
BULK_SLOTS: Final = 1 << 14


def stream(slots: int, elsewhere: float, count: int, seed: int = 1) -> Int64s:
    """Requests and releases of random slots, half of them full on average; now and then a CPU is flushed."""
    rng = np.random.default_rng(seed)
    slot = rng.integers(0, slots, count)
    order = np.argsort(slot, kind="stable")
    first = np.r_[True, slot[order][1:] != slot[order][:-1]]
    start = np.maximum.accumulate(np.where(first, np.arange(count), 0))
    turn = np.empty(count, np.int64)
    turn[order] = np.arange(count) - start
    cpu = np.where(rng.random(count) < elsewhere, rng.integers(0, len(NODE_OF), count), slot % len(NODE_OF))
    named = rng.random(count) < 0.3
    asked = rng.choice(ASKED, count, p=np.array(SHARES) / sum(SHARES))
    code = np.where(turn % 2 == 1, FREE, np.where(named, ALLOC, KMALLOC))
    what = np.where(code == KMALLOC, asked, rng.integers(0, len(NAMED), count))
    flushed = (rng.random(count) < 1e-4) & (code == ALLOC)
    return operations(np.where(flushed, FLUSH, code), cpu, np.where(code == FREE, 0, what), slot)


GROUP: Final = 16
"""Slots that a bulk operation fills or empties."""


def bulk_stream(slots: int, count: int, seed: int = 1) -> Int64s:
    """A third each: groups of objects had and given back at once, objects resized or asked for their size,
    and single requests and releases; now and then a cache is shrunk, or destroyed if it is not in use.
    """
    rng = np.random.default_rng(seed)
    single = stream(slots // 2, 0.3, count - 2 * (count // 3), seed)
    groups = slots // 2 // GROUP
    group = rng.integers(0, groups, count // 3)
    order = np.argsort(group, kind="stable")
    first = np.r_[True, group[order][1:] != group[order][:-1]]
    turn = np.empty(group.size, np.int64)
    turn[order] = np.arange(group.size) - np.maximum.accumulate(np.where(first, np.arange(group.size), 0))
    cpu = rng.integers(0, len(NODE_OF), group.size)
    fills = turn % 2 == 0
    what = np.where(fills, many(0, GROUP) | rng.integers(0, len(NAMED), group.size), GROUP)
    bulk = operations(np.where(fills, BULK_ALLOC, BULK_FREE), cpu, what, slots // 2 + group * GROUP)
    kind = rng.choice([KREALLOC, KREALLOC_ZERO, KSIZE], group.size, p=[0.5, 0.25, 0.25])
    rare = rng.random(group.size)
    kind = np.where(rare < 4e-4, np.where(rare < 1e-4, DESTROY, SHRINK), kind)
    of_cache = (kind == SHRINK) | (kind == DESTROY)
    size = np.where(of_cache, rng.integers(0, len(NAMED), group.size), rng.choice(ASKED, group.size))
    resized = operations(kind, cpu, np.where(kind == KSIZE, 0, size), rng.integers(0, slots // 2, group.size))
    found: Int64s = rng.permutation(np.concatenate([single, bulk, resized]))
    return found


def machine(profile: Kernel, slots: int) -> FastSlub:
    """Empty caches: some with names, then those of kmalloc."""
    sizes = (*NAMED, *kmalloc_sizes(profile))
    caches = [empty_cache(profile, size, NODE_OF, NODES) for size in sizes]
    return FastSlub(profile, caches, Heap(PAGES), slots, kmalloc=len(NAMED))


class _Twin:
    """The C twin, over a copy of the same empty arrays."""

    def __init__(self, library: ctypes.CDLL, like: FastSlub) -> None:
        self._run = library.slub_run
        self._run.restype = ctypes.c_int64
        a = like.arrays
        self.slabs, self.links, self.st = a.slabs.copy(), a.links.copy(), a.st.copy()
        self._shape = (a.nr_cpus, a.nr_nodes, a.nr_caches)
        self._classes = like.classes
        self.slots = like.slots.copy()
        self.totals = np.zeros(len(like.totals), np.int64)

    def run(self, words: Int64s) -> None:
        counts = (ctypes.c_int64(n) for n in self._shape)
        done = self._run(
            self.slabs.ctypes.data_as(ctypes.c_void_p),
            self.links.ctypes.data_as(ctypes.c_void_p),
            self.st.ctypes.data_as(ctypes.c_void_p),
            *counts,
            words.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int64(words.size),
            self._classes.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int64(self._classes.size),
            self.slots.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int64(self.slots.size),
            self.totals.ctypes.data_as(ctypes.c_void_p),
        )
        if done != words.size:
            raise RuntimeError(f"the C twin refuses operation {done}")


def library(folder: str) -> ctypes.CDLL:
    """The twin, built."""
    target = Path(folder) / "slub.so"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", target, HERE / "c" / "slub.c"], check=True)
    return ctypes.CDLL(str(target))


def _seconds(run: FastSlub | _Twin, words: Int64s) -> float:
    start = time.perf_counter()
    run.run(words)
    return time.perf_counter() - start


def _lasting(slabs: Int32s) -> Int32s:
    """The records without their links: those of a slab on no list say nothing."""
    return np.delete(slabs.reshape(-1, RECORD), (PREV, NEXT), axis=1)


def _lists(like: FastSlub, slabs: Int32s) -> list[list[int]]:
    """Every list of blocks of pages, and of slabs of CPUs and nodes."""
    a = like.arrays
    heads = [int(a.st[HEAP_BACK + order]) for order in range(NR_ORDERS)]
    for number in range(a.nr_caches):
        cache = cache_at(a, number)
        heads += [int(a.st[cpu_at(cache, cpu) + CPU_FIRST]) for cpu in range(a.nr_cpus)]
        heads += [int(a.st[node_at(cache, node) + FIRST]) for node in range(a.nr_nodes)]
    found = []
    for pfn in heads:
        found.append([pfn])
        while found[-1][-1] >= 0:
            found[-1].append(int(slabs[found[-1][-1] * RECORD + NEXT]))
    return found


def _agree(ours: FastSlub, theirs: _Twin) -> None:
    a = ours.arrays
    same = (
        tuple(theirs.totals) == tuple(ours.totals)
        and np.array_equal(a.st, theirs.st)
        and np.array_equal(_lasting(a.slabs), _lasting(theirs.slabs))
        and _lists(ours, a.slabs) == _lists(ours, theirs.slabs)
        and np.array_equal(a.links, theirs.links)
        and np.array_equal(ours.slots, theirs.slots)
    )
    if not same:
        raise RuntimeError(f"the C twin disagrees: {ours.totals} here, {theirs.totals.tolist()} there")


def rounds_of(slots: int, stream: Int64s, rounds: int) -> tuple[list[float], list[float]]:
    """(seconds here, seconds in C) of paired, interleaved rounds; a first one warms both up."""
    words = np.split(stream, rounds + 1)
    with tempfile.TemporaryDirectory() as folder:
        ours = machine(kernel(VERSION), slots)
        ours.arrays.links[:] = 0  # as the twin's copy: no page of it is touched for the first time below
        theirs = _Twin(library(folder), ours)
        mine, twin = [], []
        for at, part in enumerate(words):
            if at % 2:
                mine.append(_seconds(ours, part))
            twin.append(_seconds(theirs, part))
            if not at % 2:
                mine.append(_seconds(ours, part))
            _agree(ours, theirs)
    return mine[1:], twin[1:]


def run(rounds: int = ROUNDS, count: int = OPERATIONS) -> dict[str, dict[str, float]]:
    """{stream: figures}."""
    found = {}
    total = count * (rounds + 1)
    streams = {name: (slots, stream(slots, elsewhere, total)) for name, (slots, elsewhere) in STREAMS.items()}
    streams[BULK] = BULK_SLOTS, bulk_stream(BULK_SLOTS, total)
    for name, (slots, words) in streams.items():
        ours, twin = rounds_of(slots, words, rounds)
        found[name] = {
            "ns_per_op": statistics.median(ours) / count * 1e9,
            "millions_per_s": count / statistics.median(ours) / 1e6,
            "ratio_to_c": statistics.median(a / b for a, b in zip(ours, twin, strict=True)),
            "c_ns_per_op": statistics.median(twin) / count * 1e9,
            "rounds": rounds,
        }
    return found
