"""How fast compiled faults are: against C, where every reference faults, or areas of all kinds do, or few do.

Both run the same words from the same empty tables; counts, tables, struct pages, cache and TLB must be equal.
"""

import ctypes
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from immutables import Map
from numpy.typing import NDArray

from linuxmm.fast.arena import Int64s
from linuxmm.fast.translate import pack_tlb, stream
from linuxmm.fast.vm_pack import sparse_words
from linuxmm.fast.vm_process import FastProcess
from linuxmm.hardware.tlb import Tlb
from linuxmm.model.vm.state import Backing
from linuxmm.model.vm.strategies import empty_space
from linuxmm.spec.kernel import kernel
from linuxmm.spec.vm.area import FileKind, MappedFile, Vma
from linuxmm.spec.vm.space import AddressSpace
from linuxmm.spec.vm.x86_entry import READ, WRITE
from linuxmm.spec.vm.x86_format import X86_64

HERE: Final = Path(__file__).parent
VERSION: Final = "6.12.117"
FRAMES: Final = 1 << 20
BASE: Final = 0x1000_0000_0000
AREAS: Final = 64
AREA_PAGES: Final = 1 << 14
FILE, SHMEM = 0, 1
ROUNDS: Final = 9
REFERENCES: Final = 60_000
OBJECTS: Final = {number: Backing(AREA_PAGES << 12, number == SHMEM) for number in (FILE, SHMEM)}
KINDS: Final = ((0x73, None), (0x73, FILE), (0xFB, FILE), (0xFB, SHMEM))
"""Flags and object of the areas in turn: anonymous, private and shared of a file, shared memory."""


def space(kinds: tuple[tuple[int, int | None], ...]) -> AddressSpace:
    """Areas of these kinds in turn, each with a hole behind it."""
    areas = []
    for at in range(AREAS):
        flags, file = kinds[at % len(kinds)]
        start = BASE + at * (AREA_PAGES + 16 << 12)
        pgoff = start >> 12 if file is None else 0
        areas.append(Vma(start, start + (AREA_PAGES << 12), flags, pgoff, file))
    files = {
        n: MappedFile(n, f"/{n}", size=o.size, kind=FileKind.SHMEM if o.swaps else FileKind.REGULAR)
        for n, o in OBJECTS.items()
    }
    return replace(empty_space(), areas=tuple(areas), files=Map(files))


def _address(area: Int64s, page: Int64s) -> Int64s:
    address: Int64s = BASE + area * (AREA_PAGES + 16 << 12) + (page << 12)
    return address


def touched_once(count: int) -> Int64s:
    """Writes to pages one after the other: every reference faults."""
    at = np.arange(count, dtype=np.int64)
    return stream(np.full(count, WRITE), _address(at // AREA_PAGES, at % AREA_PAGES))


def of_every_kind(count: int, seed: int = 1) -> Int64s:
    """Random pages of all areas, read or written."""
    rng = np.random.default_rng(seed)
    kind = np.where(rng.random(count) < 0.5, WRITE, READ)
    return stream(kind, _address(rng.integers(0, AREAS, count), rng.integers(0, AREA_PAGES, count)))


def growing(count: int, seed: int = 2) -> Int64s:
    """A working set of 32 pages that moves on by a page every two hundred references."""
    rng = np.random.default_rng(seed)
    page = np.arange(count) // 200 + rng.integers(0, 32, count)
    kind = np.where(rng.random(count) < 1 / 3, WRITE, READ)
    return stream(kind, _address(page // AREA_PAGES % AREAS, page % AREA_PAGES))


STREAMS: Final[dict[str, tuple[Callable[[int], Int64s], tuple[tuple[int, int | None], ...], int]]] = {
    "faults, every page touched once": (touched_once, KINDS[:1], 1),
    "faults, areas of every kind": (of_every_kind, KINDS, 1),
    "faults, one in two hundred": (growing, KINDS, 10),
}
"""The words, the kinds of areas, and how many times REFERENCES a round has."""


class _Twin:
    """The C twin, over copies of the arrays of a process."""

    def __init__(self, library: ctypes.CDLL, like: FastProcess) -> None:
        self._run = library.vm_run
        self._run.restype = ctypes.c_int64
        pages = like.layer.pages
        self._first, self._zero = pages.first, pages.zero
        self.words = sparse_words(pages.words.size)
        root = int(pages.st[24]) - pages.first >> 3
        self.words[root : root + 512] = pages.words[root : root + 512]
        self.frames, self.cache = np.zeros_like(pages.frames), pages.cache.copy()
        self.objects, self.st = pages.objects.copy(), pages.st.copy()
        self.slots, self.areas = pack_tlb(Tlb()).slots, like.areas.table.copy()
        self.state = np.zeros_like(like.state)

    def run(self, words: Int64s) -> None:
        done = self._run(
            self.words.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int64(self.words.size),
            ctypes.c_int64(self._first),
            self.frames.ctypes.data_as(ctypes.c_void_p),
            self.cache.ctypes.data_as(ctypes.c_void_p),
            self.objects.ctypes.data_as(ctypes.c_void_p),
            self.st.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int64(self._zero),
            self.slots.ctypes.data_as(ctypes.c_void_p),
            self.areas.ctypes.data_as(ctypes.c_void_p),
            words.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int64(words.size),
            self.state.ctypes.data_as(ctypes.c_void_p),
        )
        if done != words.size:
            raise RuntimeError(f"the C twin stops at reference {done}")


def library(folder: str) -> ctypes.CDLL:
    """The twin, built."""
    target = Path(folder) / "vm.so"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", target, HERE / "c" / "vm.c"], check=True)
    return ctypes.CDLL(str(target))


def _seconds(run: FastProcess | _Twin, words: Int64s) -> float:
    start = time.perf_counter()
    run.run(words)
    return time.perf_counter() - start


def agree(ours: FastProcess, theirs: _Twin) -> None:
    """Whether both are in the same state.

    Errors    RuntimeError naming what differs
    """
    pages, used = ours.layer.pages, int(ours.layer.pages.st[1])
    pairs: dict[str, tuple[NDArray[np.integer], NDArray[np.integer]]] = {
        "counts": (ours.state, theirs.state),
        "frames": (pages.frames[: used * 4], theirs.frames[: used * 4]),
        "page cache": (pages.cache, theirs.cache),
        "allocator and counters": (pages.st, theirs.st),
        "TLB": (ours.tlb.slots, theirs.slots),
        "areas": (ours.areas.table, theirs.areas),
        "tables": (_tables(pages.words, pages.frames, used), _tables(theirs.words, pages.frames, used)),
    }
    for name, (mine, other) in pairs.items():
        if not np.array_equal(mine, other):
            raise RuntimeError(f"the C twin disagrees: {name}")


def _tables(words: Int64s, frames: NDArray[np.int32], used: int) -> Int64s:
    """The words of the frames that are no data pages."""
    tables = np.flatnonzero(frames.reshape(-1, 4)[:used, 1] == 0)
    found: Int64s = words.reshape(-1, 512)[tables]
    return found


def rounds_of(name: str, count: int, rounds: int) -> tuple[list[float], list[float], FastProcess]:
    """(seconds here, seconds in C, the process) of paired, interleaved rounds; a first one warms both up."""
    make, kinds, times = STREAMS[name]
    parts = np.split(make(count * times * (rounds + 1)), rounds + 1)
    with tempfile.TemporaryDirectory() as folder:
        ours = FastProcess(kernel(VERSION), X86_64, space(kinds), FRAMES, OBJECTS)
        theirs = _Twin(library(folder), ours)
        mine, twin = [], []
        for at, part in enumerate(parts):
            if at % 2:
                mine.append(_seconds(ours, part))
            twin.append(_seconds(theirs, part))
            if not at % 2:
                mine.append(_seconds(ours, part))
        agree(ours, theirs)
    return mine[1:], twin[1:], ours


def run(rounds: int = ROUNDS, count: int = REFERENCES) -> dict[str, dict[str, float]]:
    """{stream: figures}."""
    found = {}
    for name, (_, _, times) in STREAMS.items():
        ours, twin, process = rounds_of(name, count, rounds)
        report, made = process.report, count * times
        found[name] = {
            "ns_per_op": statistics.median(ours) / made * 1e9,
            "ratio_to_c": statistics.median(a / b for a, b in zip(ours, twin, strict=True)),
            "c_ns_per_op": statistics.median(twin) / made * 1e9,
            "faults": report.faults / report.references,
            "copy_on_write": report.cow / report.references,
            "rounds": rounds,
        }
    return found
