"""Whole workloads on the compiled allocator: arrays of operations in, a checksum and counters out.

An operation is one word: code (bits 0 to 3), order (4 to 7), index into the table of GFP words (8 to 15), CPU
(16 to 31), slot (32 to 62).  A slot remembers the block that an allocation put there until it is freed.
A bulk operation fills the empty ones of 2**order slots, which begin at its slot, with single pages.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy import uintp as U  # noqa: N812
from numpy.typing import ArrayLike

from linuxmm.fast import events, prefetch
from linuxmm.fast.arena import WORDS, Int64s
from linuxmm.fast.entries import ENTRIES, NO_BULK, SlotRange, filled_entries
from linuxmm.fast.link import RULES, Linked
from linuxmm.fast.machine import COUNTED, UNTRACED, FastMachine, pack, unpack
from linuxmm.fast.parts import kernel_of
from linuxmm.fast.prefetch import ask
from linuxmm.model.alloc.bulk import fill_entries
from linuxmm.model.alloc.freelist import NOTHING
from linuxmm.model.alloc.machine import Machine, nr_zones, zone_at
from linuxmm.model.alloc.pcp import drain_pages_zone
from linuxmm.model.alloc.request import alloc_fast, alloc_min, free_pages
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.gfp import GFP_HIGHUSER_MOVABLE, GFP_KERNEL, GFP_RECLAIMABLE_BIT
from linuxmm.spec.alloc.request import Request, request
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.relink import Function

ALLOC: Final = 0
FREE: Final = 1
DRAIN: Final = 2
BULK: Final = 3
NR_CODES: Final = 4

GFPS: Final = (GFP_KERNEL, GFP_HIGHUSER_MOVABLE, GFP_KERNEL | GFP_RECLAIMABLE_BIT)
"""UNMOVABLE, MOVABLE, RECLAIMABLE."""

CHECKSUM: Final = 0
ALLOCATED: Final = 1
FAILED: Final = 2
FREED: Final = 3
LOW: Final = 4
NR_TOTALS: Final = 5
_MODULUS_BITS: Final = 62
_EMPTY: Final = -1
_SLOT_AHEAD: Final = 8
_BLOCK_AHEAD: Final = 8


def run_words(m: FastMachine, words: Int64s, gfps: Int64s, slots: Int64s, totals: Int64s) -> int:
    """Run operations in order; the number run.

    gfps     per GFP word: the word, its migratetype, its zone class
    slots    per slot: pfn << 4 | order of the block that it holds, or -1
    totals   CHECKSUM of all pfns handed out, ALLOCATED, FAILED, FREED,
             LOW: those that the low watermark refused
    """
    checksum = int(totals[U(CHECKSUM)])
    count = words.size
    at = 0
    while at < count:
        word = int(words[U(at)])
        ask_ahead(m, words, slots, at)
        at += 1
        code = word & 0xF
        cpu = (word >> 16) & 0xFFFF
        slot = word >> 32
        if code == ALLOC:
            order = (word >> 4) & 0xF
            row = ((word >> 8) & 0xFF) * 3
            asked = Request(
                order, int(gfps[U(row)]), int(gfps[U(row + 1)]), int(gfps[U(row + 2)]), cpu, 0, -1, 0
            )
            _, pfn, _ = alloc_fast(RULES, m, asked)  # type: ignore[arg-type]
            if pfn == NOTHING:
                _, pfn, _ = alloc_min(RULES, m, asked, False)  # type: ignore[arg-type]
                totals[U(LOW)] += 1
            if pfn == NOTHING:
                totals[U(FAILED)] += 1
                slots[U(slot)] = _EMPTY
            else:
                totals[U(ALLOCATED)] += 1
                slots[U(slot)] = pfn << 4 | order
            checksum = (checksum * 1000003 + int(pfn)) & ((1 << _MODULUS_BITS) - 1)
        elif code == FREE:
            held = int(slots[U(slot)])
            if held != _EMPTY:
                slots[U(slot)] = _EMPTY
                totals[U(FREED)] += 1
                free_pages(RULES, m, cpu, held >> 4, held & 0xF)  # type: ignore[arg-type]
        elif code == BULK:
            order = (word >> 4) & 0xF
            row = ((word >> 8) & 0xFF) * 3
            asked = Request(0, int(gfps[U(row)]), int(gfps[U(row + 1)]), int(gfps[U(row + 2)]), cpu, 0, -1, 0)
            entries = SlotRange(slots, slot, 1 << order)
            before = filled_entries(entries)
            fill_entries(RULES, m, asked, entries, False)  # type: ignore[arg-type]
            got = filled_entries(entries) - before
            totals[U(ALLOCATED)] += got
            totals[U(FAILED)] += (1 << order) - before - got
            at_entry = 0
            while at_entry < 1 << order:
                checksum = (checksum * 1000003 + (int(slots[U(slot + at_entry)]) >> 4)) & (
                    (1 << _MODULUS_BITS) - 1
                )
                at_entry += 1
        else:
            index = 0
            while index < nr_zones(m):  # type: ignore[arg-type]
                drain_pages_zone(RULES, zone_at(m, index), cpu)  # type: ignore[arg-type]
                index += 1
    totals[U(CHECKSUM)] = checksum
    return count


def ask_ahead(m: FastMachine, words: Int64s, slots: Int64s, at: int) -> None:
    """Have the memory of later operations brought in: first the slot, then the block that it holds."""
    if at + _BLOCK_AHEAD + _SLOT_AHEAD >= words.size:
        return
    ask(slots, int(words[U(at + _BLOCK_AHEAD + _SLOT_AHEAD)]) >> 32)
    pfn = int(slots[U(int(words[U(at + _BLOCK_AHEAD)]) >> 32)]) >> 4
    ask(m.mem, pfn * WORDS)


_COLD: Final = frozenset(
    {
        "rmqueue_bulk",
        "take_block",
        "alloc_min",
        "fill_entries",
        "steal_and_retry",
        "steal_whole_pageblocks",
        "claim_fallback",
        "steal_smallest",
        "fallback_from_largest",
        "move_freepages",
        "count_block",
        "retag_range",
        "drain_pages_zone",
        "drain_list_by_list",
        "drain_growing_rounds",
        "drain_single_list",
    }
)


@lru_cache(maxsize=16)
def _compiled(rules: Rules, counted: bool, bulk: bool) -> Function:
    primitives = {**_primitives(counted, bulk), **prefetch.COMPILED}
    return Linked(rules, primitives, _COLD).entry(run_words)


def _primitives(counted: bool, bulk: bool) -> dict[Function, Function]:
    return {**(COUNTED if counted else UNTRACED), **(ENTRIES if bulk else NO_BULK)}


def operations(code: ArrayLike, order: ArrayLike, gfp: ArrayLike, cpu: ArrayLike, slot: ArrayLike) -> Int64s:
    """Operation words from columns of equal length, or numbers that hold for every operation.

    Errors    BadEvidence for a number outside its field
    """
    columns = np.broadcast_arrays(*(np.asarray(c, np.int64) for c in (code, order, gfp, cpu, slot)))
    limits = (("code", NR_CODES), ("order", 16), ("gfp", 256), ("cpu", 1 << 16), ("slot", 1 << 31))
    for (name, limit), column in zip(limits, columns, strict=True):
        wrong = np.flatnonzero((column < 0) | (column >= limit))
        if wrong.size:
            number = int(wrong[0])
            raise _outside(number, name, int(column.flat[number]), limit)
    what, size, mask, on, where = columns
    return np.ascontiguousarray(what | size << 4 | mask << 8 | on << 16 | where << 32)


def _outside(number: int, name: str, value: int, limit: int) -> BadEvidence:
    return BadEvidence("operations", f"expected 0 to {limit - 1}, got {value}", line=number, where=name)


class Totals(NamedTuple):
    """What a run did.

    checksum       of the pfns handed out, in order
    allocated, failed, freed
    below_low      allocations that the low watermark refused at first
    lock_holds     of zone->lock
    pcp_holds      of a CPU's lists
    taken          blocks taken off the free lists
    drained        blocks that went from a CPU's list to the free lists
    extfrag        fallbacks to another migratetype; fragmenting: those below a pageblock
    """

    checksum: int
    allocated: int
    failed: int
    freed: int
    below_low: int
    lock_holds: int
    pcp_holds: int
    taken: int
    drained: int
    extfrag: int
    fragmenting: int


class Counts(NamedTuple):
    """Pages by zone class.

    allocated  pages handed out, by ZoneType number
    freed      pages given back
    """

    allocated: tuple[int, ...]
    freed: int


class FastAllocator:
    """One machine, run for throughput.

    counted   keep the counters after `below_low`, which are 0 otherwise; costs a few per cent
    bulk      allow BULK: the kernel has the bulk allocator (5.13)
    """

    def __init__(
        self,
        rules: Rules,
        machine: Machine,
        slots: int,
        *,
        gfps: Sequence[int] = GFPS,
        counted: bool = False,
        compiled: bool = True,
        bulk: bool = False,
    ) -> None:
        self.rules = rules
        self.arrays = pack(machine, events.NR_COUNTS)
        self._codes = NR_CODES if bulk else BULK
        self.arrays.log[:] = 0
        self.slots: Int64s = np.full(slots, _EMPTY, np.int64)
        self._totals: Int64s = np.zeros(NR_TOTALS, np.int64)
        asked = [request(0, gfp, grouping_disabled=rules.grouping_disabled) for gfp in gfps]
        self.gfp_rows: Int64s = np.array(
            [(r.gfp, r.migratetype, r.class_index) for r in asked], np.int64
        ).ravel()
        self._cpus = len(machine.zones[0].pcps)
        self._run = _compiled(rules, counted, bulk) if compiled else interpreted(rules, counted, bulk)
        self._find = _first_misfit if compiled else first_misfit

    @property
    def machine(self) -> Machine:
        """The model's state now."""
        return unpack(self.arrays)

    @property
    def state(self) -> tuple[Int64s, ...]:
        """The arrays that a run changes; copied and written back they return to an earlier moment."""
        return self.arrays.st, self.arrays.log, self.slots, self._totals, self.arrays.mem  # type: ignore[return-value]

    @property
    def counts(self) -> Counts:
        """Pages handed out and given back so far, as a counting run counts them."""
        kinds = self.arrays.log[events.NR_WORK : events.PAGES_FREED]
        return Counts(tuple(int(n) for n in kinds), int(self.arrays.log[events.PAGES_FREED]))

    @property
    def totals(self) -> Totals:
        """Everything done so far."""
        return Totals(*(int(n) for n in self._totals), *(int(n) for n in self.arrays.log[: events.NR_WORK]))

    def share(self, other: "FastAllocator") -> None:
        """Work from now on over the state of another allocator, whose rules may differ in functions only."""
        self.arrays, self.slots, self._totals = other.arrays, other.slots, other._totals

    def run(self, words: Int64s) -> None:
        """Run operations.

        Errors    BadEvidence for a slot, CPU, order or GFP index that this allocator does not have
        """
        self._check(words)
        self._run(self.arrays, words, self.gfp_rows, self.slots, self._totals)

    def _check(self, words: Int64s) -> None:
        limits = (self.rules.max_order + 1, self.gfp_rows.size // 3, self._cpus, self.slots.size)
        number = self._find(words, self._codes, *limits)
        if number == words.size:
            return
        word = int(words[number])
        for name, value, limit in zip(_FIELDS, fields(word), (self._codes, *limits), strict=True):
            if not 0 <= value < limit:
                raise _outside(number, name, value, limit)
        raise _outside(number, "slot", (word >> 32) + (1 << (word >> 4 & 0xF)) - 1, self.slots.size)


_FIELDS: Final = ("code", "order", "gfp", "cpu", "slot")


def fields(word: int) -> tuple[int, int, int, int, int]:
    """(code, order, index of the GFP word, CPU, slot) of an operation."""
    return word & 0xF, word >> 4 & 0xF, word >> 8 & 0xFF, word >> 16 & 0xFFFF, word >> 32


def first_misfit(words: Int64s, codes: int, orders: int, gfps: int, cpus: int, slots: int) -> int:
    """Number of the first operation with a field outside its limit, or the number of operations."""
    at = 0
    while at < words.size:
        word = int(words[U(at)])
        slot = word >> 32
        if (
            (word & 0xF) >= codes
            or ((word >> 4) & 0xF) >= orders
            or ((word >> 8) & 0xFF) >= gfps
            or ((word >> 16) & 0xFFFF) >= cpus
            or slot >= slots
            or slot < 0
            or ((word & 0xF) == BULK and slot + (1 << ((word >> 4) & 0xF)) > slots)
        ):
            return at
        at += 1
    return at


_first_misfit: Final = kernel_of(first_misfit)


def interpreted(rules: Rules, counted: bool, bulk: bool = False) -> Function:
    """The same kernel over the same arrays, without a compiler: slow, with every index checked."""
    return Linked(rules, _primitives(counted, bulk), compiled=False).entry(run_words)
