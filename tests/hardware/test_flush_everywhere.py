"""TLBs and interrupts keep the bound of the protocol: no CPU holds what a completed flush covers."""

from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map

from linuxmm.hardware.bus import Bus, store_entry
from linuxmm.hardware.ipi import Processors, ask, is_complete, take
from linuxmm.hardware.memory import Range, physical_memory
from linuxmm.hardware.processor import Processor, contents, invlpg, refer
from linuxmm.hardware.table_format import Access
from linuxmm.hardware.tables import map_leaf
from linuxmm.hardware.tlb import TINY
from linuxmm.spec.vm import shootdown
from linuxmm.spec.vm.shootdown import Shootdown, answered, consistent_at
from linuxmm.spec.vm.staleness import Flush
from linuxmm.spec.vm.x86_entry import Control
from linuxmm.spec.vm.x86_format import X86_64

CPUS = range(3)
NOBODY = Map(dict.fromkeys(CPUS, False))
LEAF_AT = 0x4000


class World:
    """CPUs that share one page, beside the protocol's state; the page's frame is 0x100 + changes."""

    def __init__(self) -> None:
        bus = Bus(physical_memory((Range(0x1000, 0x8000),)))
        self.bus, _ = map_leaf(X86_64, bus, 0x1000, 0x0, 0x100007, 0, 0x2000)
        cpu = Processor(X86_64, TINY, Control(), 0x1000)
        self.machine = Processors((cpu,) * len(CPUS))
        self.state = Shootdown(0, 0, 0, False, Map(dict.fromkeys(CPUS, 0)), NOBODY, NOBODY)
        self.number = 0

    def set_cpu(self, at: int, cpu: Processor) -> None:
        cpus = (*self.machine.cpus[:at], cpu, *self.machine.cpus[at + 1 :])
        self.machine = Processors(cpus, self.machine.pending, self.machine.next_number)

    def step(self, op: int, at: int) -> None:
        if op == 0:
            warm, self.bus = refer(self.machine.cpus[at], self.bus, Access(0x0), 0).state
            self.set_cpu(at, warm)
        elif op == 1:
            self.state = shootdown.change(self.state)
            self.bus = store_entry(self.bus, LEAF_AT, 8, (0x100 + self.state.tables) << 12 | 7)
        elif op == 2 and not self.state.active:
            self.state = shootdown.begin(self.state, NOBODY)
            step = ask(self.machine, at, tuple(CPUS), Flush.ADDRESS, 0, 0x0)
            self.machine, self.number = step.state, step.result
            for cpu in CPUS:
                self.state = shootdown.ask(self.state, cpu)
            self.state = shootdown.take(self.state, at)
        elif op == 3 and self.state.pending[at]:
            self.machine = take(self.machine, at).state
            self.state = shootdown.take(self.state, at)
        elif op == 4:
            self.set_cpu(at, invlpg(self.machine.cpus[at], 0x0).state)
            self.state = shootdown.flush_itself(self.state, at)
        elif op == 5 and self.state.active:
            finished = all(answered(self.state, cpu) for cpu in CPUS)
            assert is_complete(self.machine, self.number) == finished
            if finished:
                self.state = shootdown.complete(self.state)

    def ages(self, at: int) -> list[int]:
        """Change after which each translation that a CPU holds was made."""
        held = contents(self.machine.cpus[at])
        return [(item.data >> 12 & 0xFFFFF) - 0x100 for item in held if not item.table]


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=40))
def test_no_cpu_holds_a_translation_that_a_completed_flush_covers(steps: list[tuple[int, int]]) -> None:
    world = World()
    for op, at in steps:
        world.step(op, at)
        for cpu in CPUS:
            assert consistent_at(world.state, cpu)
            assert all(age >= world.state.oldest[cpu] for age in world.ages(cpu))


def test_a_cpu_that_answers_without_flushing_is_found() -> None:
    world = World()
    for op, at in ((0, 1), (1, 0), (2, 0)):
        world.step(op, at)
    world.state = shootdown.take(world.state, 1)
    assert world.ages(1) == [0]
    assert not all(age >= world.state.oldest[1] for age in world.ages(1))
