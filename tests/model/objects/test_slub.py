"""SLUB's model: every clause after every step, on kernels of every generation, over any source of pages."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from linuxmm.model.alloc.strategies import small_machine, small_rules
from linuxmm.model.objects import slub, slub_bulk, slub_shrink
from linuxmm.model.objects.pages import BuddyPages, Heap
from linuxmm.model.objects.slub_audit import broken
from linuxmm.model.objects.slub_rules import Rules, rules_for
from linuxmm.model.objects.slub_state import END, NOTHING, Cache, Slab, chain, new_slab, with_slab
from linuxmm.spec.kernel import kernel

VERSIONS = ("2.6.22", "2.6.32", "3.4", "4.15", "6.1.192", "6.12.117")
NODES = (0, 0, 1)


def small(version: str, size: int = 1024) -> tuple[Rules, Cache]:
    profile = kernel(version)
    cache = slub.empty_cache(profile, size, NODES, 2)
    return rules_for(profile), replace(cache, min_partial=1)


class SlubMachine(RuleBasedStateMachine):
    """Random use of one cache from three CPUs on two nodes."""

    @initialize(
        version=st.sampled_from(VERSIONS), size=st.sampled_from([1024, 2048, 1408]), limit=st.integers(0, 9)
    )
    def start(self, version: str, size: int, limit: int) -> None:
        self.era, self.cache = small(version, size)
        if self.cache.cpu_partial:
            self.cache = replace(self.cache, cpu_partial=limit)
        self.pages = Heap(40)
        self.live: list[int] = []

    @rule(cpu=st.integers(0, 2), node=st.sampled_from([-1, -1, -1, 0, 1]), remote=st.booleans())
    def alloc(self, cpu: int, node: int, remote: bool) -> None:
        before = self.pages.held
        self.cache, self.pages, address = slub.alloc(self.era, self.cache, self.pages, cpu, node, remote)
        if address == NOTHING:
            assert self.pages.held == before
            return
        assert address not in self.live
        if node != -1:
            assert self.cache.slabs[slub.slab_of(self.cache, address)[0]].node == node
        self.live.append(address)

    @rule(cpu=st.integers(0, 2), count=st.integers(0, 9))
    def alloc_bulk(self, cpu: int, count: int) -> None:
        self.cache, self.pages, found = slub_bulk.alloc_bulk(self.era, self.cache, self.pages, cpu, count)
        assert len(found) in (0, count)
        assert not set(found) & set(self.live)
        self.live += found

    @precondition(lambda self: self.live)
    @rule(data=st.data(), cpu=st.integers(0, 2))
    def free(self, data: st.DataObject, cpu: int) -> None:
        address = self.live.pop(data.draw(st.integers(0, len(self.live) - 1)))
        self.cache, self.pages = slub.free(self.era, self.cache, self.pages, cpu, address)

    @rule(cpu=st.integers(0, 2))
    def flush(self, cpu: int) -> None:
        self.cache, self.pages = slub.flush(self.cache, self.pages, cpu)
        assert self.cache.cpus[cpu].slab == NOTHING
        assert self.cache.cpus[cpu].partial == ()

    @rule()
    def shrink(self) -> None:
        self.cache, self.pages = slub_shrink.shrink(self.era, self.cache, self.pages)
        assert all(slab.inuse for slab in self.cache.slabs.values())
        if not self.live:
            assert len(self.cache.slabs) == 0

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "cache"):
            assert broken(self.cache, self.live) == ()
            assert self.pages.held == sum(1 << slab.order for slab in self.cache.slabs.values())


TestSlub = SlubMachine.TestCase
TestSlub.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_new_slab_hands_out_its_objects_in_order() -> None:
    rules, cache = small("6.12.117")
    cache, pages, first = slub.alloc(rules, cache, Heap(64), 0)
    cache, pages, second = slub.alloc(rules, cache, pages, 0)
    assert (first, second) == (0, 1024)
    assert cache.cpus[0].tid == 3
    cache, pages = slub.free(rules, cache, pages, 0, first)
    cache, pages, again = slub.alloc(rules, cache, pages, 0)
    assert again == first


def test_an_object_freed_elsewhere_waits_on_its_slab() -> None:
    rules, cache = small("6.12.117")
    cache, pages, address = slub.alloc(rules, cache, Heap(64), 0)
    cache, pages = slub.free(rules, cache, pages, 1, address)
    slab = cache.slabs[0]
    assert (slab.frozen, slab.inuse, chain(slab, slab.head)) == (True, slab.objects - 1, (0,))
    cache, pages = slub.flush(cache, pages, 0)
    assert cache.slabs[0].inuse == 0
    assert cache.nodes == ((0,), ())
    assert slub_shrink.destroy(cache, pages)[2]


@pytest.mark.parametrize(("version", "frozen"), [("6.1.192", True), ("6.12.117", False)])
def test_a_full_slab_that_gets_an_object_joins_the_freeing_cpu(version: str, frozen: bool) -> None:
    rules, cache = small(version)
    cache, pages, found = slub_bulk.alloc_bulk(rules, cache, Heap(64), 0, cache.objects + 1)
    cache, pages = slub.free(rules, cache, pages, 1, found[0])
    assert cache.cpus[1].partial == ((0, 1),)
    assert cache.slabs[0].frozen is frozen
    assert slub.alloc(rules, cache, pages, 1)[2] == found[0]


def test_before_3_2_it_joins_its_node() -> None:
    rules, cache = small("2.6.32")
    cache, pages, found = slub_bulk.alloc_bulk(rules, cache, Heap(64), 0, cache.objects + 1)
    cache, pages = slub.free(rules, cache, pages, 1, found[0])
    assert cache.nodes == ((0,), ())
    for address in found[1:-1]:
        cache, pages = slub.free(rules, cache, pages, 1, address)
    assert 0 not in cache.slabs


def test_a_list_of_a_cpu_is_emptied_when_it_is_full() -> None:
    rules, cache = small("6.12.117")
    cache = replace(cache, cpu_partial=2)
    cache, pages, found = slub_bulk.alloc_bulk(rules, cache, Heap(400), 0, 4 * cache.objects)
    for at in range(3):
        cache, pages = slub.free(rules, cache, pages, 1, found[at * cache.objects])
    assert [pfn for pfn, _ in cache.cpus[1].partial] == [2 << cache.order]
    assert cache.nodes[0] == (1 << cache.order, 0)


def test_without_large_blocks_slabs_are_as_small_as_one_object_needs() -> None:
    rules, cache = small("6.12.117")
    assert cache.order > 0
    cache, pages, address = slub.alloc(rules, cache, Heap(1), 0)
    assert (address, cache.slabs[0].objects, cache.slabs[0].order) == (0, 4, 0)
    cache, pages, none = slub_bulk.alloc_bulk(rules, cache, pages, 0, 4)
    assert none == ()
    assert slub.alloc(rules, cache, pages, 0, node=1)[2] == NOTHING


def test_the_buddy_allocator_is_a_source() -> None:
    rules, cache = small("6.12.117")
    pages = BuddyPages(small_rules("6.12.117"), small_machine("6.12.117"))
    cache, pages, found = slub_bulk.alloc_bulk(rules, cache, pages, 0, 20)
    assert len(set(found)) == 20
    assert broken(cache, found) == ()
    for address in found:
        cache, pages = slub.free(rules, cache, pages, 2, address)
    assert slub_shrink.destroy(cache, pages)[2]


def test_destroying_a_cache_in_use_fails() -> None:
    rules, cache = small("6.1.192")
    cache, pages, address = slub.alloc(rules, cache, Heap(64), 0)
    assert not slub_shrink.destroy(cache, pages)[2]
    with pytest.raises(KeyError):
        slub.free(rules, cache, pages, 0, address + 1)


def test_damage_is_found() -> None:
    rules, cache = small("6.12.117")
    cache, _, address = slub.alloc(rules, cache, Heap(64), 0)
    slab = cache.slabs[0]
    assert broken(cache, ()) == ("objects.slab.apart at 0",)
    assert broken(with_slab(cache, 0, replace(slab, inuse=0)), (address,)) == ("objects.slab.count at 0",)
    listed = replace(cache, nodes=((0,), ()))
    assert broken(listed, (address,)) == ("objects.slub.frozen at 0", "objects.slub.listed at 0")
    looped: Slab = replace(slab, next=slab.next.set(2, 1))
    with pytest.raises(RuntimeError, match="does not end"):
        broken(with_slab(cache, 0, looped), (address,))
    outside = replace(new_slab(0, 2, 0), head=7, next=slab.next.set(7, END), inuse=1)
    assert broken(replace(cache, slabs=cache.slabs.set(40, outside)), (address,)) == (
        "objects.freelist.once at 40",
        "objects.slab.apart at 40",
        "objects.slub.listed at 40",
    )
