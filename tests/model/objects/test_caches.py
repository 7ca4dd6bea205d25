"""Caches share slabs when they may; kmalloc, krealloc and ksize agree; pages wait for readers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map

from linuxmm.model.objects import caches, slub, slub_shrink
from linuxmm.model.objects.caches import Caches, Deferred, Kmalloc
from linuxmm.model.objects.pages import NOTHING, Heap
from linuxmm.model.objects.slub_rules import rules_for
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.kernel import kernel
from linuxmm.spec.objects.caches import ksize, may_merge, shares_slabs
from linuxmm.spec.objects.sizes import ZERO_SIZE_PTR, kmalloc_granted
from linuxmm.spec.objects.slub import CacheFlags

NEW = kernel("6.12.117")


def no_caches() -> Caches:
    return Caches(Map(), Map(), (0,), 1)


def kmalloc_of(version: str, pages: int = 4096) -> Kmalloc[Heap]:
    return Kmalloc(kernel(version), Heap(pages, next=1), Map(), Map(), (0,))


def test_caches_of_nearly_one_size_share_slabs() -> None:
    made = caches.create(NEW, no_caches(), "a", 96)
    made = caches.create(NEW, made, "b", 91)
    made = caches.create(NEW, made, "c", 88)
    made = caches.create(NEW, made, "d", 96, flags=1)
    made = caches.create(NEW, made, "e", 96, what=CacheFlags(rcu=True))
    made = caches.create(NEW, made, "f", 96, nomerge=True)
    made = caches.create(NEW, made, "g", 96, hwcache=True)
    assert dict(made.names) == {"a": 0, "b": 0, "c": 1, "d": 2, "e": 3, "f": 4, "g": 5}
    assert [made.made[n].cache.size for n in range(6)] == [96, 88, 96, 104, 96, 128]
    with pytest.raises(LinuxmmError, match="a cache is already called 'a'"):
        caches.create(NEW, made, "a", 8)


def test_a_shared_cache_lasts_as_long_as_a_name() -> None:
    made = caches.create(NEW, caches.create(NEW, no_caches(), "a", 96), "b", 96)
    made, pages, gone = caches.destroy(made, Heap(64), "a")
    assert (gone, made.made[0].users) == (True, 1)
    held = made.made[0]
    cache, pages, address = slub.alloc(rules_for(NEW), held.cache, pages, 0)
    busy = Caches(Map({0: caches.Named(cache, 1, 0, True)}), Map({"b": 0}), (0,), 1)
    kept, pages, gone = caches.destroy(busy, pages, "b")
    assert (gone, "b" in kept.names) == (False, True)
    cache, pages = slub.free(rules_for(NEW), kept.made[0].cache, pages, 0, address)
    kept = Caches(Map({0: caches.Named(cache, 1, 0, True)}), kept.names, (0,), 1)
    kept, pages, gone = caches.destroy(kept, pages, "b")
    assert (gone, len(kept.made), len(kept.names), pages.held) == (True, 0, 0, 0)


def test_what_forbids_sharing() -> None:
    assert may_merge(False, False, False, False, False)
    assert not any(may_merge(*(n == at for n in range(5))) for at in range(5))
    assert shares_slabs(90, 8, 0, 96, 0)
    assert not shares_slabs(90, 64, 0, 96, 0)
    assert not shares_slabs(97, 8, 0, 96, 0)
    assert [ksize(60, 64, 128, g, k) for g, k in ((True, True), (False, True), (False, False))] == [
        60,
        64,
        128,
    ]


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["2.6.24", "6.1.192", "6.12.117"]),
    st.lists(st.integers(0, 20000), min_size=1, max_size=25),
)
def test_kmalloc_grants_what_the_formula_says_and_all_comes_back(version: str, sizes: list[int]) -> None:
    heap = kmalloc_of(version)
    held = []
    for size in sizes:
        heap, address = caches.kmalloc(heap, size)
        held.append(address)
        granted = kmalloc_granted(size, 8, caches.largest_class(heap.kernel)) if size else 0
        assert caches.ksize(heap, address) == granted
    assert len(set(held)) + held.count(ZERO_SIZE_PTR) == len(held) + (ZERO_SIZE_PTR in held)
    for address in held:
        heap = caches.kfree(heap, address)
    pages = heap.pages
    for cache in heap.classes.values():
        _, pages, gone = slub_shrink.destroy(cache, pages)
        assert gone
    assert (pages.held, len(heap.large)) == (0, 0)


def test_krealloc_moves_only_what_does_not_fit() -> None:
    for version, stays in (("2.6.22", False), ("6.12.117", True)):
        heap, address = caches.kmalloc(kmalloc_of(version), 100)
        heap, same = caches.krealloc(heap, address, 128)
        assert same == address
        heap, smaller = caches.krealloc(heap, address, 20)
        assert (smaller == address) is stays
    heap, larger = caches.krealloc(heap, smaller, 9000)
    assert caches.ksize(heap, larger) == 16384
    with pytest.raises(KeyError):
        caches.ksize(heap, 0x7FFFFFFF)
    heap, gone = caches.krealloc(heap, larger, 0)
    assert (gone, len(heap.large)) == (ZERO_SIZE_PTR, 0)
    assert caches.krealloc(heap, gone, 8)[1] not in (NOTHING, ZERO_SIZE_PTR)
    assert caches.kfree(heap, 0) == heap
    full, held = caches.kmalloc(kmalloc_of("6.12.117", 8), 8)
    after, none = caches.krealloc(full, held, 50000)
    assert (none, after) == (NOTHING, full)
    assert caches.kmalloc(full, 1 << 20)[1] == NOTHING


def test_pages_of_a_typesafe_cache_wait_for_readers() -> None:
    cache, rules = slub.empty_cache(NEW, 4096, (0,), 1), rules_for(NEW)
    cache, pages, address = slub.alloc(rules, cache, Deferred(Heap(64)), 0)
    cache, pages = slub.free(rules, cache, pages, 0, address)
    cache, pages = slub_shrink.shrink(rules, cache, pages)
    assert (pages.source.held, pages.pending) == (1 << cache.order, ((0, cache.order),))
    _, pages, other = slub.alloc(rules, cache, pages, 0)
    assert other != address
    assert caches.grace_period(pages).source.held == 1 << cache.order
