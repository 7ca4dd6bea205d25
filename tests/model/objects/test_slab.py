"""SLAB's model: nothing is lost or handed out twice, and what is freed far away comes home."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from linuxmm.model.objects import slab
from linuxmm.model.objects.pages import NOTHING, Heap
from linuxmm.spec.objects.slab import layout_with_bytes

NODES = (0, 0, 1)


def small(size: int = 400) -> slab.Cache:
    made = slab.empty_cache(size, layout_with_bytes(size, size, 8, False, False, 0, 2), NODES, 2)
    return replace(made, limit=6, batch=3, shared_limit=5, alien_limit=2)


class SlabMachine(RuleBasedStateMachine):
    """Random use of one cache from three CPUs on two nodes."""

    @initialize(size=st.sampled_from([400, 1000, 2048, 4096]))
    def start(self, size: int) -> None:
        self.cache, self.pages = small(size), Heap(16)
        self.live: list[int] = []

    @rule(cpu=st.integers(0, 2))
    def alloc(self, cpu: int) -> None:
        self.cache, self.pages, address = slab.alloc(self.cache, self.pages, cpu)
        assert address not in self.live
        if address != NOTHING:
            self.live.append(address)

    @precondition(lambda self: self.live)
    @rule(data=st.data(), cpu=st.integers(0, 2))
    def free(self, data: st.DataObject, cpu: int) -> None:
        address = self.live.pop(data.draw(st.integers(0, len(self.live) - 1)))
        self.cache, self.pages = slab.free(self.cache, self.pages, cpu, address)

    @rule(cpu=st.integers(0, 2), other=st.integers(0, 1))
    def reap(self, cpu: int, other: int) -> None:
        self.cache, self.pages = slab.reap(self.cache, self.pages, cpu, other)

    @rule()
    def shrink(self) -> None:
        self.cache, self.pages = slab.shrink(self.cache, self.pages)
        assert all(len(s.free) < self.cache.layout.objects for s in self.cache.slabs.values())
        assert not any(array.entries for array in self.cache.cpus)

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "cache"):
            assert slab.broken(self.cache, tuple(self.live)) == ()
            assert self.pages.held == len(self.cache.slabs) << self.cache.layout.order
            assert all(len(array.entries) <= self.cache.limit for array in self.cache.cpus)
            assert all(len(node.shared.entries) <= self.cache.shared_limit for node in self.cache.nodes)


TestSlab = SlabMachine.TestCase
TestSlab.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_slabs_of_a_node_begin_in_different_cache_lines() -> None:
    cache, pages = small(), Heap(64)
    assert cache.layout.left == 96
    cache = replace(cache, layout=cache.layout._replace(left=192))
    for _ in range(4):
        cache, pages, grown = slab.grow(cache, pages, 0)
        assert grown
    assert [cache.slabs[pfn].start for pfn in range(4)] == [64, 128, 0, 64]


def test_an_object_freed_far_away_waits_and_comes_home_with_others() -> None:
    cache, pages = small(), Heap(64)
    held = []
    for _ in range(3):
        cache, pages, address = slab.alloc(cache, pages, 0)
        held.append(address)
    for address in held:
        cache, pages = slab.free(cache, pages, 2, address)
    assert cache.nodes[1].alien == ((held[2],), ())
    assert cache.nodes[0].shared.entries == (held[0], held[1])
    assert cache.cpus[2].entries == ()


def test_a_full_array_passes_its_oldest_objects_on() -> None:
    cache, pages = small(), Heap(64)
    held = []
    for _ in range(7):
        cache, pages, address = slab.alloc(cache, pages, 0)
        held.append(address)
    cache = slab.with_cpu(cache, 0, slab.Array())
    for address in held:
        cache, pages = slab.free(cache, pages, 0, address)
    assert cache.nodes[0].shared.entries == tuple(held[:3])
    assert cache.cpus[0].entries == tuple(held[3:])


def test_the_reaper_spares_what_was_used() -> None:
    cache, pages = small(), Heap(64)
    cache, pages, address = slab.alloc(cache, pages, 0)
    before = cache.cpus[0].entries
    cache, pages = slab.reap(cache, pages, 0, 0)
    assert cache.cpus[0].entries == before
    cache, pages = slab.reap(cache, pages, 0, 0)
    assert len(cache.cpus[0].entries) < len(before)
    assert slab.broken(cache, ()) == ("objects.slab.apart at 0",)
    assert slab.broken(cache, (address,)) == ()
    assert slab.alloc(cache, Heap(0), 2)[2] != NOTHING
    assert slab.alloc(small(), Heap(0), 2)[2] == NOTHING


def test_a_slab_on_the_wrong_list_is_found() -> None:
    cache, _, address = slab.alloc(small(), Heap(64), 0)
    cache = slab.with_node(cache, 0, replace(cache.nodes[0], partial=(), free=(0,)))
    assert slab.broken(cache, (address,)) == ("objects.slab.listed at 0",)
    cache = replace(cache, slabs=cache.slabs.set(0, replace(cache.slabs[0], free=(1, 1))))
    assert "objects.freelist.once at 0" in slab.broken(cache, (address,))
