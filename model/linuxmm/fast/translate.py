"""References through compiled TLBs and walks: the machine's own functions over flat arrays.

A stream is words of (signed address << 4 | code).  What a replay does besides the machine is to map a page
where a reference finds none: frames in the order of first touch, tables in front of them as needed.

Seed 2.3.1, 2.3.2 (F040, F041).
"""

import hashlib
import sys
from functools import lru_cache
from pathlib import Path
from types import FunctionType
from typing import Final, NamedTuple

import numpy as np
from immutables import Map
from numpy import uintp as U  # noqa: N812
from numpy.typing import NDArray

from linuxmm.fast import parts, tlb_wide
from linuxmm.fast.link import in_place
from linuxmm.fast.parts import kernel_of, part
from linuxmm.fast.tlb_wide import (
    AHEAD,
    LANES,
    MASK,
    ask_shared_at,
    lines_of,
    permitted,
    stretch,
    with_address,
)
from linuxmm.hardware import bus as hardware_bus
from linuxmm.hardware import mmu, tables, x86_walk
from linuxmm.hardware import tlb as hardware_tlb
from linuxmm.hardware.bus import Bus
from linuxmm.hardware.memory import PhysicalMemory
from linuxmm.hardware.mmu import BY_FIRST, Use, reference
from linuxmm.hardware.tables import map_leaf
from linuxmm.hardware.tlb import BANK_SHIFT, BANKS, EMPTY, LRU, SKYLAKE, Shape, Tlb, invalidate
from linuxmm.hardware.x86_walk import PAGE_FAULT, TRANSLATED
from linuxmm.spec.registry import register_fast
from linuxmm.spec.relink import Function, Relinker, global_names
from linuxmm.spec.vm import staleness, x86_entry, x86_format
from linuxmm.spec.vm.x86_entry import PF_PROT, Control
from linuxmm.spec.vm.x86_format import X86_64, X86Format

Int64s = NDArray[np.int64]

SUPERVISOR: Final = 4
"""Added to READ, WRITE or FETCH for an access that is not a user's."""
FLUSH: Final = 8
"""Code of a flush of the current PCID: FLUSH + its reach."""
SWITCH: Final = 14
"""Code of a change of context without a flush; in place of an address stands the number of the context."""

# Cells of the state.
CHECKSUM: Final = 0
BY: Final = 1  # four counts: translations by each way
FAULTS: Final = 5  # page faults, those that were mapped included
REFUSED: Final = 6  # references that were not translated in the end
MAPPED: Final = 7  # pages mapped on demand
FRESH: Final = 8  # physical address of the next frame for a table
NEXT: Final = 9  # physical address of the next frame for a page
CONTEXT: Final = 10
LAST: Final = 11  # status, address, level, code of the last reference
CELLS: Final = 15


class FastBus(NamedTuple):
    """Memory that holds tables: 64-bit words from physical address `first` on, without poison."""

    words: Int64s
    first: int


class FastTlb(NamedTuple):
    """Slots as pairs (tag, data), bank by bank; behind them room for the last look at four slots.

    held  of each bank: whether it may hold anything
    """

    slots: Int64s
    held: Int64s


# ---- primitives ------------------------------------------------------------------------------------------


def load_entry(bus: FastBus, address: int, size: int) -> tuple[FastBus, int, int]:
    at = (address - bus.first) >> 3
    if at < 0 or at >= bus.words.size:
        return bus, 0, 1
    word = bus.words[U(at)]
    if size == 4:
        return bus, (word >> ((address & 4) << 3)) & 0xFFFFFFFF, 0
    return bus, word, 0


def store_entry(bus: FastBus, address: int, size: int, value: int) -> FastBus:
    at = (address - bus.first) >> 3
    if size == 4:
        shift = (address & 4) << 3
        kept = bus.words[U(at)] & ~(0xFFFFFFFF << shift)
        bus.words[U(at)] = kept | (value << shift)
    else:
        bus.words[U(at)] = value
    return bus


def mark_entry(bus: FastBus, address: int, size: int, old: int, new: int) -> FastBus:
    if new != old:
        return store_entry(bus, address, size, new)
    return bus


def slot_tag(tlb: FastTlb, slot: int) -> int:
    return tlb.slots[U(slot << 1)]  # type: ignore[no-any-return]


def slot_data(tlb: FastTlb, slot: int) -> int:
    return tlb.slots[U((slot << 1) + 1)]  # type: ignore[no-any-return]


def put_slot(tlb: FastTlb, slot: int, tag: int, data: int) -> FastTlb:
    tlb.slots[U(slot << 1)] = tag
    tlb.slots[U((slot << 1) + 1)] = data
    tlb.held[U(slot >> BANK_SHIFT)] = 1
    return tlb


def may_hold(tlb: FastTlb, shape: Shape, bank: int) -> bool:
    return tlb.held[U(bank)] != 0  # type: ignore[no-any-return]


PRIMITIVES: Final[dict[Function, Function]] = {
    hardware_bus.load_entry: load_entry,
    hardware_bus.store_entry: store_entry,
    hardware_bus.mark_entry: mark_entry,
    hardware_tlb.slot_tag: slot_tag,
    hardware_tlb.slot_data: slot_data,
    hardware_tlb.put_slot: put_slot,
    hardware_tlb.may_hold: may_hold,
}

# ---- the kernel ------------------------------------------------------------------------------------------

FORMAT: X86Format = X86_64
SHAPE: Shape = SKYLAKE
CONTROL: Control = Control()
PERMITTED: Int64s = permitted(CONTROL)


def run(bus: Bus, tlb: Tlb, contexts: Int64s, words: Int64s, leaf: int, limit: int, state: Int64s) -> int:
    """Run a stream; the number of the operation at which the frames for tables ran out, or -1.

    contexts  root and PCID of each context, two words each
    leaf      flags of a page mapped on demand; 0 leaves faults as they are
    limit     physical address behind the frames set aside for tables
    """
    context = state[CONTEXT]
    root = contexts[U(context * 2)]
    pcid = contexts[U(context * 2 + 1)]
    checksum = state[CHECKSUM]
    hits = 0
    use = Use(0, 0, 0, 0, 0)
    at = 0
    near = True  # the reference before was a first-level hit
    while at < words.size:
        if near:
            start = at
            tlb, at, checksum, address = stretch(FORMAT, SHAPE, PERMITTED, tlb, pcid, words, at, checksum)
            if at > start:
                hits += at - start
                use = Use(TRANSLATED, address, 0, 0, BY_FIRST)
                if at == words.size:
                    break
        word = words[U(at)]
        at += 1
        code = word & 15
        va = word >> 4
        if code >= FLUSH:
            if code == SWITCH:
                state[CONTEXT] = va
                root = contexts[U(va * 2)]
                pcid = contexts[U(va * 2 + 1)]
            else:
                tlb = invalidate(FORMAT, SHAPE, tlb, code - FLUSH, pcid, va)
            continue
        ask_shared_at(FORMAT, SHAPE, tlb, words, at + AHEAD)
        kind = code & 3
        user = code & SUPERVISOR == 0
        tlb, bus, use = reference(FORMAT, SHAPE, CONTROL, tlb, bus, root, pcid, va, kind, user, LRU)
        if use.status == PAGE_FAULT:
            state[FAULTS] += 1
            if leaf != 0 and use.code & PF_PROT == 0:
                if state[FRESH] + (FORMAT.top << 12) > limit:
                    finish(state, checksum, hits, use)
                    return at - 1
                bus, fresh = map_leaf(FORMAT, bus, root, va, state[NEXT] | leaf, 0, state[FRESH])
                state[FRESH] = fresh
                state[NEXT] += 4096
                state[MAPPED] += 1
                tlb, bus, use = reference(FORMAT, SHAPE, CONTROL, tlb, bus, root, pcid, va, kind, user, LRU)
        near = use.status == TRANSLATED and use.by == BY_FIRST
        if use.status == TRANSLATED:
            if near:
                hits += 1
            else:
                state[U(BY + use.by)] += 1
            checksum = with_address(checksum, use.address)
        else:
            state[REFUSED] += 1
            checksum = (checksum * 31 + use.status + use.code + 11) & MASK
    finish(state, checksum, hits, use)
    return -1


def finish(state: Int64s, checksum: int, hits: int, use: Use) -> None:
    """Keep what a run counted, and its last reference."""
    state[CHECKSUM] = checksum
    state[BY] += hits
    state[LAST] = use.status
    state[LAST + 1] = use.address
    state[LAST + 2] = use.level
    state[LAST + 3] = use.code


# ---- compiling -------------------------------------------------------------------------------------------

COLD: Final = frozenset({"invalidate", "stretch"})
"""Functions compiled on their own instead of into their callers."""


_COMPILED: Final = (
    parts,
    tlb_wide,
    sys.modules[__name__],
    hardware_tlb,
    mmu,
    tables,
    x86_walk,
    staleness,
    x86_entry,
    x86_format,
)
"""The modules whose text is in the machine code."""


class _Linked:
    """`run` for one machine; machine code is linked by name, so every name carries the machine's digest."""

    def __init__(self, fmt: X86Format, shape: Shape, control: Control, compiled: bool) -> None:
        self._constants = {
            "FORMAT": fmt,
            "SHAPE": shape,
            "CONTROL": control,
            "PERMITTED": permitted(control),
        }
        self._compiled = compiled
        wide = tlb_wide.COMPILED | tlb_wide.without_branches(control) if compiled else {}
        relink = Relinker(PRIMITIVES | wide, wrap=self._wrap)
        text = b"".join(Path(str(module.__file__)).read_bytes() for module in _COMPILED)
        self._tag = hashlib.sha256(text + repr(self._constants).encode()).hexdigest()[:16]
        assert isinstance(run, FunctionType)
        namespace = {**run.__globals__, **self._constants}
        for name in global_names(run):
            value = namespace.get(name)
            if isinstance(value, FunctionType) and value.__module__.startswith("linuxmm."):
                namespace[name] = relink(value)
        rebuilt = FunctionType(run.__code__, namespace, run.__name__)
        rebuilt.__module__ = run.__module__
        rebuilt.__qualname__ = f"run_{self._tag}"
        self.run = kernel_of(rebuilt) if compiled else rebuilt

    def _wrap(self, function: Function) -> Function:
        assert isinstance(function, FunctionType)
        if not self._compiled:
            return function
        function.__qualname__ += "_" + self._tag
        if function.__name__ not in COLD:
            return part(function, inline=True)
        same = in_place(function, part(function, inline=False))
        assert same is not None
        same.__qualname__ = f"{function.__qualname__}_in_place"
        same.__module__ = function.__module__
        return part(same, inline=True)


@lru_cache(maxsize=16)
def linked(fmt: X86Format, shape: Shape, control: Control, compiled: bool = True) -> Function:
    """The kernel of one machine; compiled=False leaves it to the interpreter, for tests."""
    return _Linked(fmt, shape, control, compiled).run


# ---- to and from the model -------------------------------------------------------------------------------


def pack_bus(bus: Bus) -> FastBus:
    """The words of the memory's only range.

    Errors    ValueError for memory of several ranges, with ROM or poison
    """
    memory = bus.memory
    if len(memory.ranges) != 1 or not memory.ranges[0].writable or memory.poisoned:
        raise ValueError("expected memory of one writable range without poison")
    span = memory.ranges[0]
    words = np.zeros((span.end - span.start) >> 3, np.int64)
    for pfn, data in memory.frames.items():
        at = ((pfn << 12) - span.start) >> 3
        words[at : at + 512] = np.frombuffer(data, "<i8")
    return FastBus(words, span.start)


def unpack_bus(fast: FastBus, memory: PhysicalMemory) -> PhysicalMemory:
    """`memory` with the contents of the words."""
    frames: Map[int, bytes] = Map()
    pages = fast.words.reshape(-1, 512)
    for at in np.flatnonzero(pages.any(axis=1)).tolist():
        frames = frames.set((fast.first >> 12) + at, pages[at].astype("<i8").tobytes())
    return PhysicalMemory(memory.ranges, frames, memory.poisoned)


def pack_tlb(tlb: Tlb) -> FastTlb:
    """The slots as one array."""
    slots = lines_of((BANKS << (BANK_SHIFT + 1)) + LANES)
    held = np.zeros(BANKS, np.int64)
    for slot, (tag, data) in tlb.slots.items():
        slots[2 * slot], slots[2 * slot + 1] = tag, data
        held[slot >> BANK_SHIFT] = 1
    return FastTlb(slots, held)


def unpack_tlb(fast: FastTlb) -> Tlb:
    """The slots that are not empty."""
    tags = fast.slots[:-LANES:2]
    held = {at: (int(tags[at]), int(fast.slots[2 * at + 1])) for at in np.flatnonzero(tags != EMPTY).tolist()}
    return Tlb(Map(held))


class FastTranslation:
    """A CPU that runs streams of references.

    leaf  flags of a page mapped where none is; 0 leaves faults as they are
    """

    def __init__(
        self,
        fmt: X86Format,
        shape: Shape,
        control: Control,
        bus: FastBus,
        tlb: FastTlb,
        contexts: tuple[tuple[int, int], ...],
        *,
        leaf: int = 0,
        fresh: int = 0,
        pages: int = 0,
        compiled: bool = True,
    ) -> None:
        self.bus = bus
        self.tlb = tlb
        self.leaf = leaf
        self._limit = bus.first + (bus.words.size << 3)
        self.contexts = np.array(contexts, np.int64).reshape(-1)
        self.state = np.zeros(CELLS, np.int64)
        self.state[FRESH], self.state[NEXT] = fresh, pages
        self._run = linked(fmt, shape, control, compiled)

    def run(self, words: Int64s) -> None:
        """Run a stream.

        Errors    MemoryError when the frames set aside for tables are used up; what came before was done
        """
        at = self._run(self.bus, self.tlb, self.contexts, words, self.leaf, self._limit, self.state)
        if at >= 0:
            raise MemoryError(f"no frame is left for tables at operation {at}")

    def last(self) -> Use:
        """What came of the last reference; `by` is not kept and is 0."""
        status, address, level, code = (int(self.state[LAST + n]) for n in range(4))
        return Use(status, address, level, code, 0)


def stream(codes: Int64s, addresses: Int64s) -> Int64s:
    """Words of a stream; addresses are signed."""
    words: Int64s = (addresses << 4) | codes
    return words


register_fast(reference, "F040", "F041", source="Intel SDM 3A 4.10")
register_fast(invalidate, "F041", source="Intel SDM 3A 4.10.4.1")
register_fast(map_leaf, "F040", source="mm/memory.c:__pte_alloc")
