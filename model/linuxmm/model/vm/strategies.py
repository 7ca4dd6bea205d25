"""Hypothesis strategies of small address spaces, and a state machine that any kernel's rules drive."""

from dataclasses import replace
from typing import ClassVar, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from linuxmm.model.vm.process import Forked, Process, call
from linuxmm.model.vm.profile import rules_for
from linuxmm.spec.kernel import kernel
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm import system_calls as calls
from linuxmm.spec.vm.content_layer import ContentLayer
from linuxmm.spec.vm.flat import (
    canonical,
    committed_counted,
    holds,
    joinable,
    locked_counted,
    untouched_offsets,
)
from linuxmm.spec.vm.space import AddressSpace, System
from linuxmm.spec.vm.system_calls import SystemCall
from linuxmm.spec.vocabulary import PAGE_SIZE

BASE: Final = 0x10000000
PAGES: Final = 8
VERSIONS: Final = ("2.6.24", "4.4.155", "5.4", "6.1.192", "6.12.117", "6.18.44")


def empty_space(task_size: int = 0x7FFFFFFFF000) -> AddressSpace:
    """An address space without areas, the heap at BASE + 1 GiB."""
    heap = BASE + (1 << 30)
    return AddressSpace((), task_size, task_size - (128 << 20), task_size // 3 & -PAGE_SIZE, heap, heap)


def empty_process(system: System | None = None) -> Process:
    """A process without areas."""
    space = empty_space() if system is None else replace(empty_space(), system=system)
    return Process(space, ContentLayer())


_PAGE = st.integers(0, PAGES - 1).map(lambda n: BASE + n * PAGE_SIZE)
_LENGTH = st.integers(1, 4).map(lambda n: n * PAGE_SIZE)
_PROT = st.sampled_from((0, 1, 3, 3))
_FIXED = vm.MAP_PRIVATE | vm.MAP_ANONYMOUS | vm.MAP_FIXED
_ADVICE = st.sampled_from(
    (vm.MADV_DONTFORK, vm.MADV_DOFORK, vm.MADV_RANDOM, vm.MADV_NORMAL, vm.MADV_DONTNEED)
)


def system_calls() -> st.SearchStrategy[SystemCall]:
    """Calls on the first pages of a small address space."""
    return st.one_of(
        st.builds(calls.Mmap, _PAGE, _LENGTH, _PROT, st.just(_FIXED)),
        st.builds(calls.Mmap, st.just(0), _LENGTH, _PROT, st.just(vm.MAP_PRIVATE | vm.MAP_ANONYMOUS)),
        st.builds(calls.Munmap, _PAGE, _LENGTH),
        st.builds(calls.Mprotect, _PAGE, _LENGTH, _PROT),
        st.builds(calls.Madvise, _PAGE, _LENGTH, _ADVICE),
        st.builds(calls.Mlock, _PAGE, _LENGTH),
        st.builds(calls.Munlock, _PAGE, _LENGTH),
        st.builds(calls.Mremap, _PAGE, _LENGTH, _LENGTH, st.just(vm.MREMAP_MAYMOVE), st.just(0)),
        st.builds(calls.Mremap, _PAGE, _LENGTH, _LENGTH, st.just(3), _PAGE),
        st.builds(calls.Store, _PAGE, st.just(b"linuxmm.")),
        st.builds(calls.Brk, st.integers(0, 4).map(lambda n: BASE + (1 << 30) + n * PAGE_SIZE)),
        st.just(calls.Fork()),
    )


def unjoined(space: AddressSpace) -> frozenset[int]:
    """Boundaries between areas that have all in common."""
    return frozenset(
        upper.start
        for lower, upper in zip(space.areas, space.areas[1:], strict=False)
        if joinable(lower, upper)
    )


class AddressSpaceMachine(RuleBasedStateMachine):
    """Random calls; what areas must keep holds after each."""

    version: ClassVar[str] = "6.12.117"

    def __init__(self) -> None:
        super().__init__()
        self.era = rules_for(kernel(type(self).version))
        self.process = empty_process()

    @rule(what=system_calls())
    def make(self, what: SystemCall) -> None:
        """One call keeps the invariants."""
        before = self.process.space
        step = call(self.era, self.process, what)
        self.process = step.state
        space = step.state.space
        assert holds(space)
        assert locked_counted(space.areas, space.locked)
        assert committed_counted(space.areas, space.system.committed)
        assert untouched_offsets(space.areas)
        bounds = frozenset(area.start for area in before.areas)
        touched = isinstance(what, calls.Store | calls.Mlock | calls.Mprotect)
        assert canonical(space.areas, bounds if touched else unjoined(before))
        if isinstance(step.result, Forked):
            child = step.result.child.space
            assert holds(child)
            assert locked_counted(child.areas, child.locked)
