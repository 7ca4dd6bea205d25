"""TLBs hold only what the specification permits, through every flush, speculation and change of tables."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from linuxmm.hardware.bus import Bus, store_entry
from linuxmm.hardware.cacheable import cacheable
from linuxmm.hardware.ipi import FlushDone, FlushRequest, Processors, ask, is_complete, take
from linuxmm.hardware.memory import Range, physical_memory
from linuxmm.hardware.mmu import BY_FIRST, BY_SECOND, BY_TABLE, BY_WALK, Use
from linuxmm.hardware.processor import (
    NOFLUSH,
    Answer,
    Flushed,
    GeneralProtection,
    Processor,
    contents,
    covers,
    invlpg,
    invpcid,
    move_to_cr3,
    move_to_cr4,
    refer,
    speculate,
)
from linuxmm.hardware.table_format import Access
from linuxmm.hardware.tlb import CODE, DATA, PAGE_IN_TAG, SKYLAKE, TINY, Tlb, insert, shape_of, tag_of
from linuxmm.hardware.x86_walk import NOT_CANONICAL, PAGE_FAULT, TRANSLATED
from linuxmm.spec.vm.staleness import (
    Cached,
    CpuView,
    Flush,
    changed,
    flushed,
    refusals_of_use,
    within,
)
from linuxmm.spec.vm.x86_entry import READ, WRITE, Control
from linuxmm.spec.vm.x86_format import I386, PAE, X86_64, X86_64_LA57, X86Format, page_number

ROOTS = {1: 0x1000, 2: 0x2000}
VAS = (0x0, 0x1000, 0x200000, 0x201000)
CONTROL = Control(smap=False)


def tables() -> Bus:
    """Two address spaces that share their lower tables: 0x4000 and 0x5000 are tables, 0x3000s above them."""
    bus = Bus(physical_memory((Range(0x1000, 0x10000),)))
    for root, upper in ((0x1000, 0x3000), (0x2000, 0x7000)):
        bus = store_entry(bus, root, 8, upper | 0x67)
        bus = store_entry(bus, upper, 8, (upper + 0x1000) | 0x67)
        bus = store_entry(bus, upper + 0x1000, 8, 0x5067)
        bus = store_entry(bus, upper + 0x1000 + 8, 8, 0x6067)
    for at, frame in ((0x5000, 0x9000), (0x5008, 0xA000), (0x6000, 0xB000), (0x6008, 0xC000)):
        bus = store_entry(bus, at, 8, frame | 0x7)
    return bus


def cpu(pcid: int = 1) -> Processor:
    return Processor(X86_64, TINY, CONTROL, ROOTS[pcid] | pcid, pcide=True)


@dataclass
class Bound:
    """The CPU beside the specification's view of it."""

    cpu: Processor = field(default_factory=cpu)
    bus: Bus = field(default_factory=tables)
    view: CpuView = CpuView()  # noqa: RUF009
    roots: dict[int, int] = field(default_factory=lambda: dict(ROOTS))

    def look(self) -> None:
        """The tables are as they are now: what was current may be stale."""
        known = self.view.current | self.view.stale
        now = self.view.current
        while True:  # tables that may be cached lead to more that may be
            more = cacheable(X86_64, self.cpu.control, self.bus, self.roots.items(), VAS, known)
            if more <= known and more == now:
                break
            known, now = known | more, more
        self.view = changed(self.view, now)

    def take(self, step: Answer) -> None:
        assert step.result is None
        self.cpu = step.state
        self.look()
        for event in step.events:
            assert isinstance(event, Flushed)
            hit = lambda item, va: covers(X86_64, item, va)  # noqa: E731
            self.view = flushed(self.view, event.flush, event.pcid, event.va, hit)
        self.look()

    def step(self, op: int, one: int, two: int, three: int) -> None:
        va, pcid = VAS[one % 4], 1 + two % 2
        if op == 0:
            step = refer(self.cpu, self.bus, Access(va, two % 3, three % 2 == 0), three)
            self.cpu, self.bus = step.state
        elif op == 1:
            self.cpu, self.bus = speculate(self.cpu, self.bus, va, (DATA, CODE)[two % 2], three)
        elif op == 2:
            entry = (0, 0x9007, 0xA105, 0xB067, 0xC163, 0xD007)[three % 6]
            self.bus = store_entry(self.bus, (0x5000, 0x5008, 0x6000, 0x6008)[one % 4], 8, entry)
        elif op == 3:
            entry = (0, 0x5067, 0x6067, 0x800000E7, 0x6065)[three % 5]
            self.bus = store_entry(self.bus, (0x4000, 0x4008, 0x8000, 0x8008)[one % 4], 8, entry)
        elif op == 4:
            self.take(invlpg(self.cpu, va))
        elif op == 5:
            self.take(invpcid(self.cpu, three % 4, pcid, va))
        elif op == 6:
            self.roots[pcid] = (0x1000, 0x2000)[one % 2]
            self.take(move_to_cr3(self.cpu, self.roots[pcid] | pcid | (NOFLUSH if three % 2 else 0)))
        else:
            self.take(move_to_cr4(self.cpu, pge=bool(one % 2), pcide=True, smep=bool(two % 2)))
        self.look()


OPS = st.lists(
    st.tuples(*[st.integers(0, 7), st.integers(0, 11), st.integers(0, 11), st.integers(0, 11)]), max_size=25
)


@settings(max_examples=150)
@given(OPS)
@example([(0, 0, 1, 0), (2, 0, 0, 0), (0, 0, 0, 0), (4, 0, 0, 0), (0, 0, 0, 0)])
def test_a_tlb_holds_only_what_is_current_or_not_yet_flushed(ops: list[tuple[int, int, int, int]]) -> None:
    state = Bound()
    state.look()
    for op in ops:
        state.step(*op)
        held = contents(state.cpu)
        assert within(state.view, held), held - state.view.current - state.view.stale


def test_a_flush_that_is_left_out_is_noticed() -> None:
    state = Bound()
    state.look()
    state.step(0, 0, READ, 0)
    cached = contents(state.cpu)
    state.step(2, 0, 0, 5)
    assert within(state.view, cached)
    forgot = state.cpu.tlb
    state.step(4, 0, 0, 0)
    state.cpu = replace(state.cpu, tlb=forgot)
    assert not within(state.view, contents(state.cpu))
    old = Cached(1, False, 0, 0, False, 0x9006)
    assert old in cached
    (refusal,) = refusals_of_use(state.view, old)
    assert refusal.clause == "vm.tlb.stale-use"
    assert refusal.why == (
        "page 0x0, level 0, PCID 1 gives 0x9006, which is neither current nor left by a flush"
    )
    assert refusals_of_use(state.view, replace(old, data=0xD006)) == frozenset()


def test_hits_come_from_the_first_level_then_the_second_then_a_cached_table_then_the_root() -> None:
    state, bus, found = cpu(), tables(), []
    for va in (0x0, 0x0, 0x1000, 0x201000, 0x0):
        step = refer(state, bus, Access(va, READ), 1)
        (state, bus), use = step.state, step.result
        found.append((use.address, use.by))
    assert found == [
        (0x9000, BY_WALK),
        (0x9000, BY_FIRST),
        (0xA000, BY_TABLE),
        (0xC000, BY_WALK),
        (0x9000, BY_SECOND),
    ]


def test_a_stale_translation_is_used_until_it_is_flushed() -> None:
    (state, bus), _ = (step := refer(cpu(), tables(), Access(0x0, WRITE), 0)).state, step.result
    bus = store_entry(bus, 0x5000, 8, 0xD007)
    assert refer(state, bus, Access(0x123, READ), 0).result == Use(TRANSLATED, 0x9123, 0, 0, BY_FIRST)
    after = invlpg(state, 0x0).state
    assert refer(after, bus, Access(0x123, READ), 0).result == Use(TRANSLATED, 0xD123, 0, 0, BY_WALK)


def test_a_fault_by_a_stale_right_is_spurious_once() -> None:
    bus = store_entry(tables(), 0x5000, 8, 0x9005)
    state, bus = refer(cpu(), bus, Access(0x0, READ), 0).state
    bus = store_entry(bus, 0x5000, 8, 0x9007)
    step = refer(state, bus, Access(0x0, WRITE), 0)
    assert step.result == Use(PAGE_FAULT, 0, 0, 0x7, BY_FIRST)
    assert refer(*step.state, Access(0x0, WRITE), 0).result == Use(TRANSLATED, 0x9000, 0, 0, BY_WALK)


def test_a_write_to_a_clean_translation_walks_to_set_d() -> None:
    state, bus = refer(cpu(), tables(), Access(0x0, READ), 0).state
    step = refer(state, bus, Access(0x0, WRITE), 0)
    assert step.result.by == BY_TABLE
    (state, bus) = step.state
    assert bus.log[-1].value == 0x9067
    assert refer(state, bus, Access(0x0, WRITE), 0).result.by == BY_FIRST


REACH = [
    # operation in PCID 1 -> which of (page 0 PCID 1, page 1 PCID 1, page 0 PCID 2, page 0 global) stay
    (lambda c: invlpg(c, 0x0), (False, True, True, False)),
    (lambda c: invpcid(c, 0, 1, 0x0), (False, True, True, True)),
    (lambda c: invpcid(c, 1, 2), (True, True, False, True)),
    (lambda c: invpcid(c, 2, 0), (False, False, False, False)),
    (lambda c: invpcid(c, 3, 0), (False, False, False, True)),
    (lambda c: move_to_cr3(c, 0x1001), (False, False, True, True)),
    (lambda c: move_to_cr3(c, 0x2002), (True, True, False, True)),
    (lambda c: move_to_cr3(c, 0x2002 | NOFLUSH), (True, True, True, True)),
    (lambda c: move_to_cr4(c, pge=False, pcide=True, smep=True), (False, False, False, False)),
    (lambda c: move_to_cr4(c, pge=True, pcide=False, smep=True), (False, False, False, False)),
    (lambda c: move_to_cr4(c, pge=True, pcide=True, smep=True), (True, True, True, True)),
    (lambda c: invlpg(c, 1 << 47), (True, True, True, True)),
]


@pytest.mark.parametrize(("operation", "stay"), REACH)
def test_reach_of_each_flush(operation, stay: tuple[bool, ...]) -> None:  # type: ignore[no-untyped-def]
    shape = shape_of(((0, 8), (0, 0), (0, 0)), ((0, 0),) * 3, ((0, 0),) * 3)
    held = [(0, 1, False), (1, 1, False), (0, 2, False), (0, 1, True)]
    tlb = Tlb()
    for slot, (page, pcid, shared) in enumerate(held):
        tlb = Tlb(tlb.slots.set(slot, (tag_of(page, pcid, shared), 0x9000)))
    before = replace(cpu(), shape=shape, tlb=tlb)
    after = operation(before).state
    assert tuple(slot in after.tlb.slots for slot in range(4)) == stay


def test_all_pointers_to_tables_go_with_invlpg_of_any_address() -> None:
    state, _ = refer(cpu(), tables(), Access(0x0), 0).state
    assert any(item.table for item in contents(state))
    assert not any(item.table for item in contents(invlpg(state, 0x7000_0000).state))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (invpcid(cpu(), 4, 0), "INVPCID type 4: expected 0 to 3"),
        (invpcid(cpu(), 1, 4096), "PCID 0x1000 has bits above the 12 of a PCID"),
        (invpcid(replace(cpu(), pcide=False), 1, 2), "PCID 0x2 without CR4.PCIDE"),
        (invpcid(cpu(), 0, 1, 1 << 47), "address 0x800000000000 is not canonical"),
        (move_to_cr3(replace(cpu(), pcide=False), NOFLUSH), "bit 63 of CR3 without CR4.PCIDE"),
        (move_to_cr3(cpu(), 1 << 46), "CR3 beyond the physical addresses"),
        (
            move_to_cr4(replace(cpu(), pcide=False), pge=True, pcide=True, smep=True),
            "CR4.PCIDE set outside 64-bit mode, or with a PCID in CR3",
        ),
    ],
)
def test_instructions_that_are_refused(answer: Answer, why: str) -> None:
    assert answer.result == GeneralProtection(why)
    assert answer.events == ()


def test_an_address_that_is_not_canonical_never_hits() -> None:
    assert refer(cpu(), tables(), Access(1 << 48), 0).result == Use(NOT_CANONICAL, 0, 0, 0, BY_FIRST)


@pytest.mark.parametrize("fmt", [I386, PAE, X86_64, X86_64_LA57])
def test_large_pages_are_held_by_their_size(fmt: X86Format) -> None:
    bus = Bus(physical_memory((Range(0x1000, 0x6000),)))
    table = 0x1000
    for _ in range(fmt.top - 1):
        bus = store_entry(bus, table, 1 << fmt.entry_shift, table + 0x1000 | (1 if fmt is PAE else 0x67))
        table += 0x1000
    bus = store_entry(bus, table, 1 << fmt.entry_shift, 0x0040_0087)
    state = Processor(fmt, TINY, CONTROL, 0x1000)
    step = refer(state, bus, Access(0x12345), 0)
    assert step.result == Use(TRANSLATED, 0x0041_2345, 1, 0, BY_WALK)
    assert refer(*step.state, Access(0x54321), 0).result == Use(TRANSLATED, 0x0045_4321, 1, 0, BY_FIRST)


def test_the_rank_given_up_is_the_callers_choice() -> None:
    shape = shape_of(((0, 3), (0, 0), (0, 0)), ((0, 0),) * 3, ((0, 0),) * 3)
    for choice, left in ((2, [3, 2, 1]), (0, [3, 1, 0]), (1, [3, 2, 0])):
        tlb = Tlb()
        for page in range(4):
            tlb = insert(tlb, shape, 0, page, 0, False, 0x9000, choice)
        assert [tlb.slots[rank][0] >> PAGE_IN_TAG for rank in range(3)] == left


def test_a_shape_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"bank 0: 2\*\*11 sets of 2 ways exceed 2048 slots"):
        shape_of(((11, 2), (0, 0), (0, 0)), ((0, 0),) * 3, ((0, 0),) * 3)
    assert page_number(X86_64, 0x1234567, 0) == 0x1234
    assert SKYLAKE.ways > 0


def test_a_flush_on_all_cpus_is_complete_when_all_have_taken_it() -> None:
    warm, bus = refer(cpu(), tables(), Access(0x0), 0).state
    machine = Processors((warm, warm, warm))
    step = ask(machine, 0, (0, 1, 2), Flush.ADDRESS, 1, 0x0)
    first, second = FlushRequest(0, 0, 1, Flush.ADDRESS, 1), FlushRequest(0, 0, 2, Flush.ADDRESS, 1)
    assert step.events == (Flushed(Flush.ADDRESS, 1, 0), first, second)
    machine, number = step.state, step.result
    page = [refer(one, bus, Access(0x0), 0).result.by for one in machine.cpus]
    assert page == [BY_WALK, BY_FIRST, BY_FIRST]
    assert not is_complete(machine, number)
    taken = take(machine, 2)
    assert taken.result == second
    assert taken.events == (Flushed(Flush.ADDRESS, 1, 0), FlushDone(second))
    machine = take(taken.state, 1).state
    assert is_complete(machine, number)
    assert all(refer(one, bus, Access(0x0), 0).result.by == BY_WALK for one in machine.cpus)
    assert take(machine, 1).result is None
    with pytest.raises(IndexError, match="expected 0 to 2"):
        ask(machine, 0, (3,), Flush.ALL, 0)
