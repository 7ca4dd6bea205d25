"""Compiled TLBs and walks are the machine's own: equal results, slots, tables and marks after every step."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.fast.tlb_wide import may_use, permitted
from linuxmm.fast.translate import (
    BY,
    FAULTS,
    FLUSH,
    FRESH,
    LAST,
    MAPPED,
    NEXT,
    REFUSED,
    SUPERVISOR,
    SWITCH,
    FastTranslation,
    Int64s,
    pack_bus,
    pack_tlb,
    stream,
    unpack_bus,
    unpack_tlb,
)
from linuxmm.hardware.bus import Bus, store_entry
from linuxmm.hardware.memory import Range, physical_memory, poisoned
from linuxmm.hardware.mmu import must_walk, reference
from linuxmm.hardware.tables import map_leaf
from linuxmm.hardware.tlb import LRU, NO_BANK, SKYLAKE, TINY, Tlb, invalidate, shape_of
from linuxmm.hardware.x86_walk import PAGE_FAULT
from linuxmm.spec.vm.x86_entry import DIRTY, FETCH, READ, WRITE, Control, denied
from linuxmm.spec.vm.x86_format import FORMATS, I386, X86_64, X86_64_LA57, X86Format, canonical, level_shift

CONTEXTS = ((0x1000, 1), (0x2000, 2))
CONTROL = Control(smap=False)
MEMORY = physical_memory((Range(0x1000, 0x21000),))


def signed(va: int) -> int:
    return va - (1 << 64) if va >> 63 else va


def addresses(fmt: X86Format) -> list[int]:
    """A few pages that share tables, one far away, one in the kernel's half, one that is not canonical."""
    high = canonical(fmt, (1 << fmt.va_bits) - 0x3000)
    large = 1 << level_shift(fmt, 1)
    return [0x123, 0x1456, large, large + 0x1FFF, 3 * large + 7, high, high + 0x1000, 1 << 47]


def start(fmt: X86Format) -> Bus:
    """Tables with every kind of leaf in the first context, and one page in the second."""
    bus, fresh = Bus(MEMORY), 0x3000
    large = 1 << level_shift(fmt, 1)
    nx = 0 if fmt is I386 else 1 << 63
    for va, leaf, level in (
        (0x0, 0x0040_0007, 0),
        (0x1000, 0x0040_1105 | nx, 0),
        (large, 0x0080_0000 | 0x187, 1),
        (addresses(fmt)[5], 0x0040_3103, 0),
    ):
        bus, fresh = map_leaf(fmt, bus, 0x1000, va, leaf, level, fresh)
    bus, fresh = map_leaf(fmt, bus, 0x2000, 0x0, 0x0040_5007, 0, fresh)
    return store_entry(bus, 0x1E000, 8, fresh)


class Slow:
    """The same replay by the model alone."""

    def __init__(self, fmt: X86Format, bus: Bus, leaf: int, fresh: int, pages: int) -> None:
        self.fmt, self.bus, self.leaf, self.fresh, self.pages = fmt, bus, leaf, fresh, pages
        self.tlb, self.context = Tlb(), 0

    def step(self, code: int, va: int) -> object:
        root, pcid = CONTEXTS[self.context]
        if code == SWITCH:
            self.context = va
            return None
        if code >= FLUSH:
            self.tlb = invalidate(self.fmt, TINY, self.tlb, code - FLUSH, pcid, va)
            return None
        for attempt in range(2):
            self.tlb, self.bus, use = reference(
                self.fmt, TINY, CONTROL, self.tlb, self.bus, root, pcid, va, code & 3, code < SUPERVISOR, LRU
            )
            if attempt or use.status != PAGE_FAULT or not self.leaf or use.code & 1:
                return use._replace(by=0)
            entry = self.pages | self.leaf
            self.bus, self.fresh = map_leaf(self.fmt, self.bus, root, va, entry, 0, self.fresh)
            self.pages += 4096
        raise AssertionError("unreachable")


CODES = [READ, WRITE, FETCH, SUPERVISOR + READ, SUPERVISOR + WRITE, *range(FLUSH, FLUSH + 6), SWITCH]


def lockstep(fmt: X86Format, steps: list[tuple[int, int]], leaf: int, compiled: bool) -> None:
    bus = start(fmt)
    slow = Slow(fmt, bus, leaf, 0x12000, 0x0050_0000)
    fast = FastTranslation(
        fmt,
        TINY,
        CONTROL,
        pack_bus(bus),
        pack_tlb(Tlb()),
        CONTEXTS,
        leaf=leaf,
        fresh=0x12000,
        pages=0x0050_0000,
        compiled=compiled,
    )
    for kind, place in steps:
        code = CODES[kind % len(CODES)]
        va = place % 2 if code == SWITCH else addresses(fmt)[place % 8]
        expected = slow.step(code, va)
        fast.run(stream(np.array([code]), np.array([signed(va)])))
        if expected is not None:
            assert fast.last() == expected
        assert unpack_tlb(fast.tlb) == slow.tlb
        assert unpack_bus(fast.bus, MEMORY) == slow.bus.memory
        assert (fast.state[FRESH], fast.state[NEXT]) == (slow.fresh, slow.pages)


STEPS = st.lists(st.tuples(st.integers(0, len(CODES) - 1), st.integers(0, 7)), max_size=30)


@pytest.mark.parametrize("fmt", list(FORMATS.values()), ids=list(FORMATS))
@settings(max_examples=20, deadline=None)
@given(steps=STEPS, leaf=st.sampled_from([0, 0x7, 0x105]))
def test_interpreted_lockstep(fmt: X86Format, steps: list[tuple[int, int]], leaf: int) -> None:
    lockstep(fmt, steps, leaf, compiled=False)


@pytest.mark.parametrize("fmt", [I386, X86_64_LA57], ids=["i386", "x86-64-la57"])
@settings(max_examples=25, deadline=None)
@given(steps=STEPS, leaf=st.sampled_from([0, 0x7, 0x105]))
def test_compiled_lockstep(fmt: X86Format, steps: list[tuple[int, int]], leaf: int) -> None:
    lockstep(fmt, steps, leaf, compiled=True)


def first_touch(words: Int64s, frames: int = 64, compiled: bool = True) -> FastTranslation:
    bus = pack_bus(Bus(physical_memory((Range(0x1000, 0x1000 + frames * 4096),))))
    machine = FastTranslation(
        X86_64,
        SKYLAKE,
        Control(),
        bus,
        pack_tlb(Tlb()),
        ((0x1000, 0),),
        leaf=7,
        fresh=0x2000,
        compiled=compiled,
    )
    machine.run(words)
    return machine


def test_a_large_machine_gives_the_same_interpreted() -> None:
    rng = np.random.default_rng(7)
    words = stream(rng.integers(0, 3, 3000), rng.integers(0, 3000, 3000) << 12)
    one, two = first_touch(words), first_touch(words, compiled=False)
    assert one.state.tolist() == two.state.tolist()
    assert np.array_equal(one.tlb.slots, two.tlb.slots)
    assert np.array_equal(one.bus.words, two.bus.words)


def test_counts_of_a_first_touch_replay() -> None:
    pages = np.arange(100) << 12
    machine = first_touch(stream(np.zeros(200, np.int64), np.concatenate([pages, pages])))
    assert machine.state[FAULTS] == machine.state[MAPPED] == 100
    assert machine.state[REFUSED] == 0
    assert machine.state[BY : BY + 4].tolist() == [0, 100, 0, 100]


def test_frames_for_tables_may_run_out() -> None:
    words = stream(np.zeros(4, np.int64), np.array([0, 1 << 30, 2 << 30, 3 << 30]))
    with pytest.raises(MemoryError, match="no frame is left for tables at operation 2"):
        first_touch(words, frames=8)


def test_memory_that_the_arrays_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="expected memory of one writable range without poison"):
        pack_bus(Bus(poisoned(MEMORY, 3)))


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(0, len(CODES) - 1), st.integers(0, 7)), min_size=20, max_size=120),
    pages=st.integers(1, 8),
    compiled=st.booleans(),
)
def test_a_stream_is_its_references_one_by_one(
    steps: list[tuple[int, int]], pages: int, compiled: bool
) -> None:
    """One by one they are the model's, as the tests before this one show."""
    places = addresses(X86_64)[:pages]
    codes = np.array([CODES[kind] for kind, _ in steps])
    where = [
        at % 2 if code == SWITCH else signed(places[at % pages])
        for code, (_, at) in zip(codes, steps, strict=True)
    ]
    words = stream(codes, np.array(where))
    machines = [
        FastTranslation(
            X86_64,
            TINY,
            CONTROL,
            pack_bus(start(X86_64)),
            pack_tlb(Tlb()),
            CONTEXTS,
            leaf=7,
            fresh=0x12000,
            pages=0x0050_0000,
            compiled=compiled,
        )
        for _ in range(2)
    ]
    together, singly = machines
    together.run(words)
    for at in range(words.size):
        singly.run(words[at : at + 1])
    assert together.state[:LAST].tolist() == singly.state[:LAST].tolist()
    assert np.array_equal(together.tlb.slots, singly.tlb.slots)
    assert np.array_equal(together.bus.words, singly.bus.words)


def test_what_an_access_may_use_is_what_it_is_permitted() -> None:
    flags = itertools.product((False, True), repeat=len(Control._fields))
    for control in (Control(*each) for each in flags):
        words = permitted(control)
        for code, rights, dirty in itertools.product(range(7), range(8), (0, DIRTY)):
            kind, user = code & 3, code < SUPERVISOR
            expected = not denied(control, kind, user, rights) and not must_walk(kind, rights | dirty)
            assert may_use(words, code, rights | dirty | 0x7000) == expected


ODD = shape_of(
    data=((1, 6), (0, 5), (0, 3)),
    code=((0, 7), (0, 1), NO_BANK),
    shared=((1, 13), (0, 31), (0, 9)),
    tables=((0, 9), (0, 3), (0, 2)),
)
"""Sets of which four slots at a time do not come out even."""


def test_sets_of_any_size_are_searched_and_ordered_alike() -> None:
    rng = np.random.default_rng(3)
    count = 6000
    codes = rng.choice([READ, WRITE, FETCH, FLUSH + 0, FLUSH + 2], count, p=[0.4, 0.3, 0.27, 0.028, 0.002])
    words = stream(codes, (rng.random(count) ** 2 * 60).astype(np.int64) << 12)
    machines = []
    for compiled in (True, False):
        bus = pack_bus(Bus(physical_memory((Range(0x1000, 0x41000),))))
        tlb = pack_tlb(Tlb())
        machines.append(
            FastTranslation(
                X86_64, ODD, CONTROL, bus, tlb, ((0x1000, 3),), leaf=7, fresh=0x2000, compiled=compiled
            )
        )
        machines[-1].run(words)
    one, two = machines
    assert one.state.tolist() == two.state.tolist()
    assert unpack_tlb(one.tlb) == unpack_tlb(two.tlb)
    assert np.array_equal(one.bus.words, two.bus.words)
    assert min(one.state[BY : BY + 4]) > 20
