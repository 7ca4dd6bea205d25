"""Faults over arrays are the model's: equal results, tables, frames, counters and slots after every step."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map

from linuxmm.fast.translate import stream, unpack_tlb
from linuxmm.fast.vm import FAULTS, LAST
from linuxmm.fast.vm_pack import fresh, unpack
from linuxmm.fast.vm_process import CEILING, FastProcess, VmReport
from linuxmm.hardware.mmu import Use
from linuxmm.hardware.tlb import LRU, TINY, Tlb, invalidate
from linuxmm.model.vm.audit import tables_of
from linuxmm.model.vm.fault import Served
from linuxmm.model.vm.layer import TableLayer
from linuxmm.model.vm.merge import prepare_anon
from linuxmm.model.vm.page_profile import page_rules
from linuxmm.model.vm.process import CHILD, SPACE, Forked, Process, call, touch
from linuxmm.model.vm.profile import rules_for
from linuxmm.model.vm.state import CONTROL, Backing, Pages, TlbFlush, small_pages
from linuxmm.model.vm.strategies import BASE, empty_space, system_calls
from linuxmm.model.vm.table import create
from linuxmm.model.vm.thread import BELOW_STACK, HOLE, NO_FAULT, attempt
from linuxmm.spec.errors import ImpossibleProfile, Unmodelled
from linuxmm.spec.kernel import kernel
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm import system_calls as calls
from linuxmm.spec.vm.area import FileKind, MappedFile, Vma
from linuxmm.spec.vm.flags import VM_SHARED, VM_WRITE
from linuxmm.spec.vm.space import AddressSpace, area_at
from linuxmm.spec.vm.staleness import Flush
from linuxmm.spec.vm.system_calls import SystemCall
from linuxmm.spec.vm.x86_entry import FETCH, READ, WRITE
from linuxmm.spec.vm.x86_format import FORMATS, I386, PAE, X86_64, X86_64_LA57, X86Format

VERSIONS = ("2.6.24", "4.4.155", "5.10", "6.12.117")
FRAMES = 150
FILE, SHMEM = 0, 1
STACK = BASE + (64 << 20)
OBJECTS = {FILE: Backing(5 * 4096 + 100), SHMEM: Backing(4 * 4096, swaps=True)}
PRIVATE_FILE = 0x77 & ~vm.VM_EXEC


def start(task_size: int = 0xC0000000) -> AddressSpace:
    """Files, a stack, memory without rights; the calls' own pages lie below."""
    files = {
        number: MappedFile(number, f"/{number}", inode=number, size=held.size, kind=kind)
        for (number, held), kind in zip(OBJECTS.items(), (FileKind.REGULAR, FileKind.SHMEM), strict=True)
    }
    areas = (
        Vma(BASE + 0x100000, BASE + 0x108000, PRIVATE_FILE, 0, FILE),
        Vma(BASE + 0x110000, BASE + 0x118000, 0xFB, 1, FILE),
        Vma(BASE + 0x120000, BASE + 0x125000, 0xFB, 0, SHMEM),
        Vma(BASE + 0x130000, BASE + 0x132000, 0x70, 0),
        Vma(BASE + 0x140000, BASE + 0x142000, 0x75, 2, FILE),
        Vma(STACK - 0x2000, STACK, 0x173, (STACK >> 12) - 2),
    )
    space = replace(empty_space(task_size), areas=areas, files=Map(files), next_file=1 << 32)
    return replace(space, total=sum(area.pages for area in areas), stack=2)


class Slow:
    """The same process by the model alone."""

    def __init__(self, version: str, fmt: X86Format) -> None:
        self.rules, self.page_rules = rules_for(kernel(version)), page_rules(kernel(version))
        pages, done = create(small_pages(FRAMES, fmt), SPACE)
        assert done
        layer = TableLayer(self.page_rules, pages)
        for number, held in OBJECTS.items():
            layer = layer.with_object(number, held)
        self.process = Process(start(), layer)  # type: ignore[arg-type]
        self.tlb, self.counts = Tlb(), [0] * 8
        self.fmt = fmt

    @property
    def layer(self) -> TableLayer:
        return self.process.layer  # type: ignore[return-value]

    def reference(self, kind: int, address: int) -> Use:
        hole = False
        while True:
            space, layer = self.process.space, self.layer
            pages, self.tlb, use, outcome, _ = attempt(
                self.fmt, TINY, CONTROL, self.page_rules, layer.pages, self.tlb, space, SPACE, 0, address,
                kind, LRU,
            )  # fmt: skip
            assert all(isinstance(event, TlbFlush) for event in pages.log)
            assert all((event.start, event.end) == (address & -4096, (address & -4096) + 4096)
                       for event in pages.log if isinstance(event, TlbFlush))  # fmt: skip
            pages = replace(pages, log=())
            self.process = replace(self.process, layer=replace(layer, pages=pages))  # type: ignore[arg-type]
            if outcome == NO_FAULT:
                return use
            if outcome == BELOW_STACK and not hole:
                before = self.process
                self.process = touch(self.rules, before, address)
                hole = area_at(self.process.space, address) is None
                continue
            outcome = HOLE if outcome == BELOW_STACK else outcome
            self.counts[outcome] += 1
            if outcome == Served.OOM:
                raise Unmodelled("no frame")
            if outcome >= Served.BUS:
                return use
            area = area_at(self.process.space, address)
            assert area is not None
            if kind == WRITE and area.flags & (VM_WRITE | VM_SHARED) == VM_WRITE:
                space = prepare_anon(self.rules, self.process.space, area.start)
                self.process = replace(self.process, space=space)

    def call(self, what: SystemCall) -> object:
        if isinstance(what, calls.Store | calls.Load):
            self.reference(WRITE if isinstance(what, calls.Store) else READ, what.address & -4096)
            return 0
        noting = Noting(self.layer)
        step = call(self.rules, replace(self.process, layer=noting), what)  # type: ignore[arg-type]
        if isinstance(step.result, Forked):
            noting.drop(CHILD)
        self.process = replace(step.state, layer=noting.layer)  # type: ignore[arg-type]
        if noting.flushes:
            low = min(event.start for event in noting.flushes)
            high = max(event.end for event in noting.flushes)
            if (high - low) >> 12 > CEILING:
                self.tlb = invalidate(self.fmt, TINY, self.tlb, Flush.CONTEXT, 0, 0)
            else:
                for at in range(low, high, 4096):
                    self.tlb = invalidate(self.fmt, TINY, self.tlb, Flush.ADDRESS, 0, at)
        return _plain(step.result)


class Noting:
    """A page layer that notes the flushes that its requests call for."""

    def __init__(self, layer: TableLayer) -> None:
        self.layer, self.flushes = layer, list[TlbFlush]()

    def __getattr__(self, name: str) -> Callable[..., object]:
        method = getattr(self.layer, name)

        def ask(*arguments: object) -> object:
            answer = method(*arguments)
            made = answer[0] if isinstance(answer, tuple) and answer else answer
            if not isinstance(made, TableLayer):
                return answer
            self.flushes += [
                event for event in made.log if isinstance(event, TlbFlush) and event.space == SPACE
            ]
            self.layer = replace(made, log=())
            return (self, *answer[1:]) if isinstance(answer, tuple) else self

        return ask


def _plain(result: object) -> object:
    return "forked" if isinstance(result, Forked) else result


def without_data(pages: Pages) -> Pages:
    """The pages without the bytes of data, which the arrays do not keep."""
    tables = {frame for space in pages.mms for _, frame in tables_of(pages, space)}
    kept = {frame: data for frame, data in pages.memory.frames.items() if frame in tables}
    return replace(pages, memory=replace(pages.memory, frames=Map(kept)))


def pair(version: str, fmt: X86Format, compiled: bool) -> tuple[Slow, FastProcess]:
    fast = FastProcess(kernel(version), fmt, start(), FRAMES, OBJECTS, shape=TINY, compiled=compiled)
    return Slow(version, fmt), fast


PLACES = (
    *range(BASE, BASE + 0xC000, 0x1000),
    *range(BASE + 0x100000, BASE + 0x108000, 0x1000),
    *range(BASE + 0x110000, BASE + 0x113000, 0x1000),
    *range(BASE + 0x120000, BASE + 0x125000, 0x1000),
    BASE + 0x130000,
    BASE + 0x140000,
    *range(STACK - 0x5000, STACK, 0x1000),
    STACK,
    1 << 30,
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from((READ, WRITE, WRITE, FETCH)), st.sampled_from(PLACES)),
        st.tuples(st.sampled_from((READ, WRITE)), st.sampled_from(PLACES)),
        system_calls(),
    ),
    min_size=10,
    max_size=60,
)


def lockstep(version: str, fmt: X86Format, steps: list[object], compiled: bool) -> None:
    slow, fast = pair(version, fmt, compiled)
    for step in steps:
        if isinstance(step, tuple):
            kind, address = step
            expected = slow.reference(kind, address)
            fast.run(stream(np.array([kind]), np.array([address])))
            found = [int(n) for n in fast.state[LAST : LAST + 4]]
            assert found == list(expected[:4])
        else:
            expected_result = slow.call(step)  # type: ignore[arg-type]
            assert _plain(fast.call(step).result) == expected_result  # type: ignore[arg-type]
        assert unpack(fast.layer.pages) == without_data(slow.layer.pages)
        assert fast.space == slow.process.space
        assert unpack_tlb(fast.tlb) == slow.tlb
        assert fast.state[FAULTS : FAULTS + 8].tolist() == slow.counts


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("fmt", [I386, PAE, X86_64, X86_64_LA57], ids=list(FORMATS))
@settings(max_examples=15, deadline=None)
@given(steps=STEPS)
def test_interpreted_lockstep(version: str, fmt: X86Format, steps: list[object]) -> None:
    lockstep(version, fmt, steps, compiled=False)


@pytest.mark.parametrize(("version", "fmt"), [("2.6.24", I386), ("6.12.117", X86_64)])
@settings(max_examples=25, deadline=None)
@given(steps=STEPS)
def test_compiled_lockstep(version: str, fmt: X86Format, steps: list[object]) -> None:
    lockstep(version, fmt, steps, compiled=True)


@pytest.mark.parametrize(("version", "fmt"), [("2.6.24", I386), ("6.12.117", X86_64)])
def test_long_streams_give_the_same_compiled(version: str, fmt: X86Format) -> None:
    rng = np.random.default_rng(5)
    ones = [pair(version, fmt, compiled)[1] for compiled in (True, False)]
    kinds, places = rng.choice((READ, WRITE, FETCH), 4000), rng.choice(PLACES, 4000)
    for one in ones:
        one.call(calls.Mmap(BASE, 0xC000, 3, 0x32))
        one.run(stream(kinds[:2000], places[:2000]))
        one.call(calls.Fork())
        one.run(stream(kinds[2000:], places[2000:]))
    compiled, plain = ones
    assert compiled.report == plain.report
    assert compiled.state.tolist() == plain.state.tolist()
    assert unpack(compiled.layer.pages) == unpack(plain.layer.pages)
    assert np.array_equal(compiled.tlb.slots, plain.tlb.slots)


def test_a_stream_is_its_references_one_by_one() -> None:
    """One by one they are the model's; in a stream the page that was last used is not looked for again."""
    rng = np.random.default_rng(11)
    places = np.repeat(rng.choice(PLACES, 900), rng.integers(1, 5, 900))
    words = stream(rng.choice((READ, WRITE, FETCH), places.size), places)
    together, singly = (pair("6.12.117", X86_64, True)[1] for _ in range(2))
    for one in (together, singly):
        one.call(calls.Mmap(BASE, 0xC000, 3, 0x32))
    together.run(words)
    for at in range(words.size):
        singly.run(words[at : at + 1])
    assert together.state.tolist() == singly.state.tolist()
    assert np.array_equal(together.tlb.slots, singly.tlb.slots)
    assert unpack(together.layer.pages) == unpack(singly.layer.pages)


def read_then_write(version: str) -> FastProcess:
    """Two anonymous pages and two of a file, each read and then written; a shared one written."""
    _, fast = pair(version, X86_64, False)
    fast.call(calls.Mmap(BASE, 0x2000, 3, 0x32))
    pages = [BASE, BASE + 0x1000, BASE + 0x100000, BASE + 0x101000]
    fast.run(stream(np.repeat([READ, WRITE], 4), np.array(pages * 2)))
    fast.run(stream(np.array([WRITE]), np.array([BASE + 0x112000])))
    return fast


def test_what_faults_cost_by_version() -> None:
    """Without the zero page a read takes a page; around a fault, pages that are cached are mapped too."""
    old, new = read_then_write("2.6.24").report, read_then_write("6.12.117").report
    assert new == VmReport(
        references=9, first_hits=0, second_hits=0, table_walks=0, full_walks=9, minor=2, major=3, cow=4,
        stack=0, segv=0, bus=0, refused=0, resident=5, peak=5, tables=(1, 1, 1, 0, 1), tables_peak=4,
    )  # fmt: skip
    assert (old.minor, old.major, old.cow) == (2, 3, 2)
    assert old.faults == new.faults - 2


def test_signals_and_stacks_are_counted() -> None:
    _, fast = pair("6.12.117", X86_64, False)
    before = len(fast.space.areas)
    kinds = [WRITE, READ, WRITE, READ, READ, READ]
    places = [STACK - 0x5000, BASE + 0x130000, BASE + 0x140000, BASE + 0x106000, 1 << 30, 1 << 47]
    fast.run(stream(np.array(kinds), np.array(places)))
    report = fast.report
    assert (report.stack, report.segv, report.bus, report.refused) == (1, 3, 1, 1)
    assert (report.minor, report.resident, report.references) == (1, 1, 6)
    assert len(fast.space.areas) == before
    assert fast.space.areas[-1].start == STACK - 0x5000


def test_frames_may_run_out() -> None:
    _, fast = pair("6.12.117", X86_64, False)
    fast.call(calls.Mmap(BASE, 0x100000, 3, 0x32))
    words = stream(np.full(200, WRITE), BASE + (np.arange(200) << 12))
    with pytest.raises(Unmodelled, match="reference 145 to 0x10091000 finds no frame"):
        fast.run(words)
    with pytest.raises(ImpossibleProfile, match="1 page frames: expected 2 to"):
        fresh(X86_64, 1)
    with pytest.raises(ImpossibleProfile, match="expected 2 to 16777215"):
        fresh(I386, 1 << 25)
