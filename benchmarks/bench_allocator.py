"""How fast the compiled allocator of 6.1.192 is: against C, against the pure model, by memory size.

Both run the same words over the same machine; checksums, totals and free pages must be equal in every round.
"""

import ctypes
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from linuxmm.fast.allocator import ALLOC, FREE, FastAllocator, operations
from linuxmm.fast.arena import Int64s
from linuxmm.fast.plain import plain_machine
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.profile import rules_for
from linuxmm.model.alloc.request import alloc_fast, free_pages
from linuxmm.spec.alloc.request import request
from linuxmm.spec.kernel import kernel

HERE: Final = Path(__file__).parent
PROFILE: Final = kernel("6.1.192")
RULES: Final = rules_for(PROFILE)
FRAMES: Final = 1 << 20
OPERATIONS: Final = 2_000_000
ROUNDS: Final = 9
_C_PAGE_BYTES: Final = 12
_ORDERS: Final = (0,) * 28 + (1,) * 6 + (2,) * 3 + (3,) * 2 + (4,)
_TYPES: Final = (0, 0, 0, 1, 1, 1, 1, 1, 2)


class _CPcp(ctypes.Structure):
    """struct pcp."""

    _fields_ = tuple((n, ctypes.c_int64) for n in ("count", "batch", "high", "factor", "scale_max"))


class _CZone(ctypes.Structure):
    """struct zone."""

    _fields_ = (
        ("pages", ctypes.c_void_p),
        ("types", ctypes.c_void_p),
        *(
            (name, ctypes.c_int64)
            for name in (
                *("free_heads", "pcp_heads", "start", "end", "kind", "managed", "nr_free"),
                *("boost", "boost_factor", "boosted"),
            )
        ),
        ("watermark", ctypes.c_int64 * 3),
        ("reserve", ctypes.c_int64 * 6),
        ("area_free", ctypes.c_int64 * 11),
        ("pcp", _CPcp),
    )


def synthetic(count: int, frames: int, seed: int = 1) -> tuple[Int64s, int]:
    """Blocks of mixed order and mobility that come and go at random; about half of the memory is in use.

    Ensures   (operation words, number of slots)
    """
    rng = np.random.default_rng(seed)
    slots = frames * 5 // 8
    slot = rng.integers(0, slots, count)
    by_slot = np.argsort(slot, kind="stable")
    first = np.ones(count, bool)
    first[1:] = slot[by_slot][1:] != slot[by_slot][:-1]
    begin = np.maximum.accumulate(np.where(first, np.arange(count), 0))
    code = np.empty(count, np.int64)
    code[by_slot] = np.where((np.arange(count) - begin) % 2, FREE, ALLOC)
    return operations(code, rng.choice(_ORDERS, count), rng.choice(_TYPES, count), 0, slot), slots


class _CAllocator:
    """The twin on one machine."""

    def __init__(self, library: ctypes.CDLL, machine: Machine, slots: int, gfps: Int64s) -> None:
        self._library = library
        frames = machine.zones[-1].end
        self._pages = np.zeros(_C_PAGE_BYTES * (frames + 1024), np.uint8)
        self._types = np.ones((frames >> 9) + 1, np.uint8)
        self.slots = np.full(slots, -1, np.int64)
        self.totals = np.zeros(5, np.int64)
        self._gfps = gfps
        self.zones = (_CZone * len(machine.zones))()
        for c, zone in zip(self.zones, machine.zones, strict=True):
            v = zone.pcps[0].vars
            c.start, c.end, c.kind, c.managed = zone.start, zone.end, zone.kind, zone.managed
            c.nr_free, c.boost_factor = zone.nr_free, zone.boost_factor
            c.watermark[:] = zone.watermark
            c.reserve[:] = zone.lowmem_reserve
            c.pcp = _CPcp(v.pages, v.batch, v.high, v.factor, v.scale_max)
        library.allocator_init(
            self.zones,
            len(self.zones),
            self._pages.ctypes.data_as(ctypes.c_void_p),
            self._types.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int64(frames),
        )

    def run(self, words: Int64s) -> None:
        pointers = [a.ctypes.data_as(ctypes.c_void_p) for a in (self._gfps, self.slots, self.totals)]
        self._library.allocator_run(
            self.zones,
            len(self.zones),
            words.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int64(words.size),
            *pointers,
        )


def _library(folder: str, *defines: str) -> ctypes.CDLL:
    target = Path(folder) / f"allocator{'-'.join(('', *defines))}.so"
    options = ["-O2", "-shared", "-fPIC", *(f"-D{name}" for name in defines)]
    subprocess.run(["gcc", *options, "-o", str(target), str(HERE / "c" / "allocator.c")], check=True)
    return ctypes.CDLL(str(target))


def _seconds(run: FastAllocator | _CAllocator, words: Int64s) -> float:
    start = time.perf_counter()
    run.run(words)
    return time.perf_counter() - start


def _agree(ours: FastAllocator, theirs: _CAllocator) -> None:
    mine = [int(n) for n in ours.totals[:5]]
    if mine != [int(n) for n in theirs.totals]:
        raise RuntimeError(f"the C twin disagrees: {mine} here, {theirs.totals.tolist()} there")
    free = [zone.nr_free for zone in ours.machine.zones]
    if free != [int(zone.nr_free) for zone in theirs.zones]:
        raise RuntimeError("the C twin has other free pages")


class Rounds(NamedTuple):
    """Paired, interleaved rounds over the same words.

    ours, twin, ahead   seconds here, in C, in C that asks for later operations' memory as we do
    bytes_a_frame       of our arrays
    """

    ours: list[float]
    twin: list[float]
    ahead: list[float]
    bytes_a_frame: float


def rounds_of(frames: int, count: int, rounds: int) -> Rounds:
    """Run the rounds; every allocator runs first, second and last in turn.

    Errors    RuntimeError when the allocators do not agree
    """
    machine = plain_machine(PROFILE, RULES, frames, 1, frames // 4)
    stream, slots = synthetic(count * (rounds + 1), frames)
    words = np.split(stream, rounds + 1)
    with tempfile.TemporaryDirectory() as folder:
        ours = FastAllocator(RULES, machine, slots)
        twin = _CAllocator(_library(folder), machine, slots, ours.gfp_rows)
        ahead = _CAllocator(_library(folder, "LOOK_AHEAD=8"), machine, slots, ours.gfp_rows)
        runners: tuple[FastAllocator | _CAllocator, ...] = (ours, twin, ahead)
        seconds: list[list[float]] = [[], [], []]
        for at, part in enumerate(words):
            for turn in range(len(runners)):
                which = (at + turn) % len(runners)
                seconds[which].append(_seconds(runners[which], part))
        _agree(ours, twin)
        _agree(ours, ahead)
    memory = ours.arrays.mem.nbytes + ours.arrays.st.nbytes
    mine, plain, asking = (column[1:] for column in seconds)
    return Rounds(mine, plain, asking, memory / frames)


def pure_seconds(count: int, frames: int) -> float:
    """Seconds an operation of the pure model on the same stream."""
    machine = plain_machine(PROFILE, RULES, frames, 1, frames // 4)
    stream, slots = synthetic(count, frames)
    allocator = FastAllocator(RULES, machine, slots)
    gfps = allocator.gfp_rows[::3].tolist()
    held: dict[int, tuple[int, int]] = {}
    start = time.perf_counter()
    for word in stream.tolist():
        slot = word >> 32
        if word & 15 == ALLOC:
            order = word >> 4 & 15
            machine, pfn, _ = alloc_fast(RULES, machine, request(order, gfps[word >> 8 & 255]))
            held[slot] = pfn, order
        else:
            machine = free_pages(RULES, machine, 0, *held.pop(slot))
    return (time.perf_counter() - start) / count


def run(rounds: int = ROUNDS, count: int = OPERATIONS) -> dict[str, dict[str, float]]:
    """{"allocator": figures}."""
    large = rounds_of(FRAMES, count, rounds)
    small = rounds_of(FRAMES >> 3, count, rounds)
    ns = statistics.median(large.ours) / count * 1e9
    return {
        "allocator": {
            "ns_per_op": ns,
            "ratio_to_c": _ratio(large.ours, large.twin),
            "ratio_to_c_looking_ahead": _ratio(large.ours, large.ahead),
            "c_ns_per_op": statistics.median(large.twin) / count * 1e9,
            "ratio_to_pure_model": pure_seconds(2000, FRAMES >> 6) / (ns * 1e-9),
            "bytes_per_frame": large.bytes_a_frame,
            "ns_per_op_of_an_eighth_of_the_memory": statistics.median(small.ours) / count * 1e9,
            "ratio_to_c_of_an_eighth_of_the_memory": _ratio(small.ours, small.twin),
            "last_round_to_first": large.ours[-1] / large.ours[0],
            "rounds": rounds,
        }
    }


def _ratio(ours: list[float], other: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(ours, other, strict=True))
