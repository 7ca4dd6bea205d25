"""Small vmalloc spaces, and a Hypothesis state machine that drives them in every generation."""

from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from linuxmm.model.large.blocks import (
    broken_blocks,
    vm_map_ram,
    vm_unmap_aliases,
    vm_unmap_ram,
)
from linuxmm.model.large.search import purge_fragmented
from linuxmm.model.large.state import Area, Refused, Rules, Space
from linuxmm.model.large.vmalloc import broken, drain, empty_space, rules_for, vfree, vmalloc, vmap, vunmap
from linuxmm.model.objects.pages import Heap
from linuxmm.spec.kernel import kernel
from linuxmm.spec.vocabulary import PAGE_SIZE

VERSIONS: Final = ("2.6.24", "2.6.28", "3.2", "4.4", "5.4", "5.14", "6.1", "6.12")
"""One kernel of every generation of some rule of vmalloc."""


def small_space(
    version: str, pages: int = 64, frames: int = 24, cpus: int = 2, limit: int = 12
) -> tuple[Rules, Space[Heap]]:
    """Rules, and a space of a few pages of addresses whose first area was made at boot."""
    rules = rules_for(kernel(version), cpus)
    start = 1 << 20
    space = empty_space(
        rules, start, start + pages * PAGE_SIZE, Heap(frames), frames, cpus, block_pages=8, limit=limit
    )
    space, _ = vmap(rules, space, (1000,))
    return rules, space


class VmallocMachine(RuleBasedStateMachine):
    """vmalloc, vmap, vm_map_ram from two CPUs, and purges at any time; every clause after every step."""

    @initialize(version=st.sampled_from(VERSIONS))
    def begin(self, version: str) -> None:
        self.profile, self.space = small_space(version)
        self.lazy = version != "2.6.24"
        self.areas: list[Area] = []
        self.pieces: list[tuple[int, int]] = []

    @rule(pages=st.integers(0, 30), align=st.sampled_from((1, 2, 8)), cpu=st.integers(0, 1))
    def allocate(self, pages: int, align: int, cpu: int) -> None:
        held = self.space.pages.held
        align = align if self.lazy else 1  # vmalloc itself aligned nothing then
        size = pages * PAGE_SIZE
        self.space, got = vmalloc(self.profile, self.space, size, align=align * PAGE_SIZE, cpu=cpu)
        if isinstance(got, Refused):
            assert self.space.pages.held == held
            assert (got is Refused.EMPTY) == (pages == 0)
            assert (got is Refused.BEYOND_RAM) == (pages > self.space.ram)
        else:
            assert got.start % (align * PAGE_SIZE) == 0
            assert self.space.pages.held == held + pages
            self.areas.append(got)

    @rule(count=st.integers(1, 5), cpu=st.integers(0, 1))
    def map_frames(self, count: int, cpu: int) -> None:
        self.space, got = vmap(self.profile, self.space, tuple(range(500, 500 + count)), cpu)
        if isinstance(got, Area):
            self.areas.append(got)

    @rule(count=st.integers(1, 6), cpu=st.integers(0, 1))
    def map_quickly(self, count: int, cpu: int) -> None:
        if self.lazy:
            self.space, got = vm_map_ram(self.profile, self.space, tuple(range(700, 700 + count)), cpu)
            if isinstance(got, int):
                self.pieces.append((got, count))

    @rule(at=st.integers(0, 99))
    def free(self, at: int) -> None:
        if self.areas:
            area = self.areas.pop(at % len(self.areas))
            call = vfree if area.owned else vunmap
            self.space, refused = call(self.profile, self.space, area.start)
            assert refused is None
            self.space, refused = call(self.profile, self.space, area.start)
            assert refused is Refused.BAD_ADDRESS

    @rule(at=st.integers(0, 99))
    def unmap_quickly(self, at: int) -> None:
        if self.pieces:
            address, count = self.pieces.pop(at % len(self.pieces))
            self.space = vm_unmap_ram(self.profile, self.space, address, count)

    @rule()
    def purge(self) -> None:
        if self.lazy:
            self.space = drain(self.profile, purge_fragmented(self.profile, self.space))

    @rule()
    def unmap_aliases(self) -> None:
        if self.lazy:
            self.space = vm_unmap_aliases(self.profile, self.space)
            assert not self.space.stale
            assert not self.space.lazy

    @invariant()
    def clauses_hold(self) -> None:
        if hasattr(self, "space"):
            assert broken(self.profile, self.space) == ()
            assert broken_blocks(self.space) == ()
