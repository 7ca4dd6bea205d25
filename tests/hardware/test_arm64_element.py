"""An arm64 element holds only what is permitted; TLBI drops what it reaches, and DSB waits for it."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from linuxmm.hardware.arm64_cacheable import cacheable
from linuxmm.hardware.arm64_element import (
    Broadcast,
    Dropped,
    Element,
    Elements,
    dropped_by,
    issue,
    may_pass,
    perform,
    refer,
    speculate,
    tlbi,
)
from linuxmm.hardware.bus import Bus, store_entry
from linuxmm.hardware.memory import Range, physical_memory
from linuxmm.hardware.mmu import BY_FIRST, BY_SECOND, BY_TABLE, BY_WALK, Use
from linuxmm.hardware.table_format import Access
from linuxmm.hardware.tlb import CODE, DATA, NO_BANK, TINY, held_by, shape_of
from linuxmm.hardware.x86_walk import PAGE_FAULT, TRANSLATED
from linuxmm.spec.vm.arm64_entry import Arm64Control
from linuxmm.spec.vm.arm64_tlbi import Operation, Tlbi, operation_of
from linuxmm.spec.vm.staleness import CpuView, changed, within, without
from linuxmm.spec.vm.x86_entry import READ, WRITE

USER = 1 << 11 | 1 << 10 | 3 << 8 | 1 << 6 | 3
GLOBAL = 1 << 10 | 3 << 8 | 3
RO, DBM = 1 << 7, 1 << 51
KERNEL = 0xFFFF_0000_0000_0000
VAS = (0x0, 0x1000, 0x200000, KERNEL, KERNEL + 0x200000)
ROOTS = {1: 0x1000, 2: 0x2000}
CONTROL = Arm64Control(pan=False)
BANK = ((0, 8), NO_BANK, NO_BANK)
ROOMY = shape_of(BANK, BANK, BANK, BANK)


def tables() -> Bus:
    """Two address spaces and the kernel: each root leads to a table of level 2 with two tables of pages."""
    bus = Bus(physical_memory((Range(0x1000, 0x20000),)))
    for root, upper in ((0x1000, 0x4000), (0x2000, 0x5000), (0x3000, 0x6000)):
        bus = store_entry(bus, root, 8, upper | 3)
        bus = store_entry(bus, upper, 8, (upper + 0x4000) | 3)
        bus = store_entry(bus, upper + 0x4000, 8, (upper + 0x8000) | 3)
        bus = store_entry(bus, upper + 0x4008, 8, 0x10003)
    leaves = ((0xC000, USER), (0xC008, USER), (0xD000, USER), (0xE000, GLOBAL), (0x10000, USER))
    for frame, (at, leaf) in enumerate(leaves, 0x11):
        bus = store_entry(bus, at, 8, frame << 12 | leaf)
    return bus


def element(asid: int = 1) -> Element:
    return Element(TINY, CONTROL, ROOTS[asid], 0x3000 | asid << 48)


def operation(kind: int, asid: int, va: int, level: int, pages: int) -> Operation:
    size = pages if kind >= Tlbi.RVAE1 else 1
    return Operation(kind, asid, va, va + (size << 12), level)


@dataclass
class Bound:
    """The element beside the specification's view of it."""

    element: Element = field(default_factory=element)
    bus: Bus = field(default_factory=tables)
    view: CpuView = CpuView()  # noqa: RUF009

    def look(self) -> None:
        contexts = [(asid, ROOTS[asid], 0x3000) for asid in ROOTS]
        known, now = self.view.current | self.view.stale, self.view.current
        while True:
            more = cacheable(self.element.control, self.bus, contexts, VAS, known)
            if more <= known and more == now:
                break
            known, now = known | more, more
        self.view = changed(self.view, now)

    def step(self, op: int, one: int, two: int, three: int) -> None:
        va, asid = VAS[one % 5], 1 + two % 2
        if op == 0:
            step = refer(self.element, self.bus, Access(va, two % 3, three % 2 == 0), three)
            self.element, self.bus = step.state
        elif op == 1:
            unit = (DATA, CODE)[two % 2]
            self.element, self.bus = speculate(self.element, self.bus, va, unit, three)
        elif op == 2:
            leaf = (0, USER, USER | RO | DBM, USER & ~(1 << 10), GLOBAL, USER | RO)[three % 6]
            at = (0xC000, 0xC008, 0xD000, 0xE000, 0x10000)[one % 5]
            self.bus = store_entry(self.bus, at, 8, (0x11000 + 0x1000 * (two % 4)) | leaf if leaf else 0)
        elif op == 3:
            entry = (0, 0xC003, 0x10003, USER & ~2 | 0x4000_0000)[three % 4]
            self.bus = store_entry(self.bus, (0x8000, 0x8008, 0x9000, 0xA000)[one % 4], 8, entry)
        elif op == 4:
            done = operation(three % 10, asid, va, (-1, 2, 3)[two % 3], 1 + one)
            self.element = tlbi(self.element, done)
            self.look()
            self.view = without(self.view, lambda item: dropped_by(done, item))
        else:
            self.element = replace(self.element, ttbr0=ROOTS[asid], ttbr1=0x3000 | asid << 48)
        self.look()


OPS = st.lists(st.tuples(st.integers(0, 5), *[st.integers(0, 29)] * 3), max_size=25)


@settings(max_examples=120)
@given(OPS)
@example([(0, 0, 1, 0), (2, 0, 0, 0), (0, 0, 0, 0), (4, 0, 0, 3), (0, 0, 0, 0)])
def test_a_tlb_holds_only_what_is_current_or_not_yet_dropped(ops: list[tuple[int, int, int, int]]) -> None:
    state = Bound()
    state.look()
    for op in ops:
        state.step(*op)
        held = held_by(state.element.tlb)
        assert within(state.view, held), held - state.view.current - state.view.stale


def test_hits_come_from_the_first_level_then_the_second_then_a_cached_table_then_the_root() -> None:
    state, bus, found = element(), tables(), []
    for va in (0x0, 0x0, 0x1000, KERNEL, 0x0):
        step = refer(state, bus, Access(va, READ, user=va < KERNEL), 1)
        (state, bus), use = step.state, step.result
        found.append((use.address, use.level, use.by))
    assert found == [
        (0x11000, 3, BY_WALK),
        (0x11000, 3, BY_FIRST),
        (0x12000, 3, BY_TABLE),
        (0x14000, 3, BY_WALK),
        (0x11000, 3, BY_SECOND),
    ]


def test_a_page_of_the_kernel_is_shared_by_all_asids_and_the_users_is_not() -> None:
    state, bus = refer(element(), tables(), Access(0x0), 0).state
    state, bus = refer(state, bus, Access(KERNEL, user=False), 0).state
    other = replace(state, ttbr0=ROOTS[2], ttbr1=0x3000 | 2 << 48)
    assert refer(other, bus, Access(KERNEL, user=False), 0).result.by == BY_FIRST
    assert refer(other, bus, Access(0x0), 0).result == Use(TRANSLATED, 0x13000, 3, 0, BY_WALK)


def test_a_permission_fault_leaves_the_translation_until_it_is_dropped() -> None:
    bus = store_entry(tables(), 0xC000, 8, 0x11000 | USER | RO)
    state, bus = refer(element(), bus, Access(0x0, READ), 0).state
    bus = store_entry(bus, 0xC000, 8, 0x11000 | USER)
    for _ in range(2):
        step = refer(state, bus, Access(0x0, WRITE), 0)
        assert step.result == Use(PAGE_FAULT, 0, 3, 0x9200_004F, BY_FIRST)
        state, bus = step.state
    state = tlbi(state, Operation(Tlbi.VALE1, 1, 0x0, 0x1000))
    assert refer(state, bus, Access(0x0, WRITE), 0).result == Use(TRANSLATED, 0x11000, 3, 0, BY_TABLE)


def test_a_write_to_a_clean_page_walks_to_make_it_writable() -> None:
    bus = store_entry(tables(), 0xC000, 8, 0x11000 | USER | RO | DBM)
    start = replace(element(), control=CONTROL._replace(ha=True, hd=True))
    state, bus = refer(start, bus, Access(0x0, READ), 0).state
    step = refer(state, bus, Access(0x0, WRITE), 0)
    assert step.result.by == BY_TABLE
    state, bus = step.state
    assert bus.log[-1].value == 0x11000 | USER | DBM
    assert refer(state, bus, Access(0x0, WRITE), 0).result.by == BY_FIRST


def test_an_entry_whose_access_flag_is_clear_is_not_cached() -> None:
    bus = store_entry(tables(), 0xC000, 8, 0x11000 | USER & ~(1 << 10))
    state, bus = speculate(element(), bus, 0x0, DATA, 0)
    assert held_by(state.tlb) == frozenset()
    assert refer(state, bus, Access(0x0), 0).result == Use(PAGE_FAULT, 0, 3, 0x9200_000B, BY_WALK)


REACH = [
    # operation -> which of (page 0 ASID 1, page 1 ASID 1, page 0 ASID 2, kernel page, tables of ASID 1) stay
    (Operation(Tlbi.VMALLE1), (False, False, False, False, False)),
    (Operation(Tlbi.ASIDE1, 1), (False, False, True, True, False)),
    (Operation(Tlbi.VAE1, 1, 0x0, 0x1000), (False, True, True, True, False)),
    (Operation(Tlbi.VALE1, 1, 0x0, 0x1000), (False, True, True, True, True)),
    (Operation(Tlbi.VALE1, 1, 0x0, 0x1000, 3), (False, True, True, True, True)),
    (Operation(Tlbi.VALE1, 1, 0x0, 0x1000, 2), (True, True, True, True, True)),
    (Operation(Tlbi.VALE1, 2, KERNEL, KERNEL + 0x1000), (True, True, True, False, True)),
    (Operation(Tlbi.VAALE1, 0, 0x0, 0x1000), (False, True, False, True, True)),
    (Operation(Tlbi.RVALE1, 1, 0x0, 0x2000), (False, False, True, True, True)),
    (Operation(Tlbi.RVAAE1, 0, 0x0, 0x2000), (False, False, False, True, False)),
    (Operation(Tlbi.RVAE1, 1, 0x2000, 0x4000), (True, True, True, True, False)),
]


@pytest.mark.parametrize(("done", "stay"), REACH)
def test_reach_of_each_operation(done: Operation, stay: tuple[bool, ...]) -> None:
    state, bus = replace(element(), shape=ROOMY), tables()
    for asid, va in ((1, 0x0), (1, 0x1000), (1, KERNEL), (2, 0x0)):
        state = replace(state, ttbr0=ROOTS[asid], ttbr1=0x3000 | asid << 48)
        state, bus = refer(state, bus, Access(va, user=va < KERNEL), 0).state
    held = {(i.pcid, i.page, i.table) for i in held_by(state.tlb)}
    upper = KERNEL >> 12 & (1 << 37) - 1
    asked = [(1, 0, False), (1, 1, False), (2, 0, False), (0, upper, False), (1, 0, True)]
    assert set(asked) <= held
    left = {(i.pcid, i.page, i.table) for i in held_by(tlbi(state, done).tlb)}
    assert tuple(one in left for one in asked) == stay


def test_a_dsb_waits_until_every_element_has_done_what_was_issued() -> None:
    warm, bus = refer(element(), tables(), Access(0x0), 0).state
    machine = issue(Elements((warm, warm)), 0, Operation(Tlbi.ASIDE1, 1))
    assert not may_pass(machine, 0)
    assert may_pass(machine, 1)
    step = perform(machine, Broadcast(0, 0, 1, Operation(Tlbi.ASIDE1, 1)))
    assert step.events == (Dropped(1, Operation(Tlbi.ASIDE1, 1)),)
    machine = step.state
    assert not may_pass(machine, 0)
    by = [refer(one, bus, Access(0x0), 0).result.by for one in machine.elements]
    assert by == [BY_FIRST, BY_WALK]
    machine = perform(machine, Broadcast(0, 0, 0, Operation(Tlbi.ASIDE1, 1))).state
    assert may_pass(machine, 0)
    local = issue(machine, 1, Operation(Tlbi.VMALLE1, everywhere=False))
    assert {one.target for one in local.pending} == {1}


def test_an_operand_of_everything_names_nothing_else() -> None:
    assert operation_of(Tlbi.VMALLE1, 0) == Operation(Tlbi.VMALLE1)
