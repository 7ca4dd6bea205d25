"""SLOB's model: blocks tile their pages, every page is found again, and overhead is what the headers take."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map

from linuxmm.model.objects import slob
from linuxmm.model.objects.pages import NOTHING, Heap
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.kernel import kernel
from linuxmm.spec.objects.slob import UNITS, kmalloc_bytes

VERSIONS = ("2.6.24", "2.6.28", "4.4", "6.1")


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(VERSIONS),
    st.lists(st.tuples(st.booleans(), st.integers(1, 6000), st.integers(0, 99)), max_size=60),
)
def test_objects_are_apart_and_everything_comes_back(
    version: str, steps: list[tuple[bool, int, int]]
) -> None:
    rules = slob.rules_for(kernel(version))
    heap = slob.empty(Heap(64))
    live: dict[int, int] = {}
    for allocates, size, at in steps:
        if allocates or not live:
            heap, address = slob.kmalloc(rules, heap, size)
            if address == NOTHING:
                continue
            assert address % rules.align_of(size, 8) == 0 or size > 4088
            assert all(address + size <= a or a + s <= address for a, s in live.items())
            live[address] = size
        else:
            address = sorted(live)[at % len(live)]
            del live[address]
            heap = slob.kfree(rules, heap, address)
        assert slob.broken(heap) == ()
        taken = sum(kmalloc_bytes(s, 8) for s in live.values() if s < 4088)
        free = sum(length for blocks in heap.free.values() for _, length in blocks)
        assert taken == (len(heap.free) * UNITS - free) * 2
        listed = [pfn for pages in heap.lists for pfn in pages]
        assert sorted(listed) == sorted(pfn for pfn, blocks in heap.free.items() if blocks)
    for address in live:
        heap = slob.kfree(rules, heap, address)
    assert (heap.pages.held, len(heap.free), len(heap.large), len(heap.sizes)) == (0, 0, 0, 0)


def test_the_first_block_that_suffices_is_cut_from_its_front() -> None:
    blocks = ((0, 3), (10, 8), (100, 50))
    assert slob.cut(blocks, 5, 1, 0) == (((0, 3), (15, 3), (100, 50)), 10)
    assert slob.cut(blocks, 3, 1, 0) == (((10, 8), (100, 50)), 0)
    assert slob.cut(blocks, 4, 4, 0) == (((0, 3), (10, 2), (16, 2), (100, 50)), 12)
    assert slob.cut(blocks, 51, 1, 0) == (blocks, NOTHING)


def test_a_block_that_comes_back_joins_both_neighbours() -> None:
    assert slob.insert(((0, 4), (8, 2)), 4, 4) == ((0, 10),)
    assert slob.insert(((0, 4), (9, 2)), 5, 2) == ((0, 4), (5, 2), (9, 2))
    assert slob.insert((), 5, 2) == ((5, 2),)
    assert slob.insert(((5, 2),), 3, 2) == ((3, 4),)
    assert slob.insert(((5, 2),), 7, 2) == ((5, 4),)


@pytest.mark.parametrize(("version", "where"), [("2.6.28", 0), ("6.1", 2)])
def test_which_list_a_full_page_joins(version: str, where: int) -> None:
    rules = slob.rules_for(kernel(version))
    heap, first = slob.alloc(rules, slob.empty(Heap(8)), 2048)
    heap, _ = slob.alloc(rules, heap, 2048)
    assert heap.lists == ((), (), ())
    heap = slob.free(rules, heap, first, 2048)
    assert [len(pages) for pages in heap.lists] == [int(n == where) for n in range(3)]


def test_the_search_goes_on_where_it_succeeded() -> None:
    rules = slob.rules_for(kernel("6.1"))
    heap, _ = slob.alloc(rules, slob.empty(Heap(8)), 1100)
    heap, a = slob.alloc(rules, heap, 2900)
    heap, _ = slob.alloc(rules, heap, 2000)
    assert heap.lists[2] == (1, 0)
    heap = slob.free(rules, heap, a, 2900)
    heap, _ = slob.alloc(rules, heap, 2900)
    assert heap.lists[2] == (0, 1)
    with pytest.raises(LinuxmmError, match="do not fit a page"):
        slob.alloc(rules, heap, 4096, 4096, 8)
    assert slob.alloc(rules, slob.empty(Heap(0)), 8)[1] == NOTHING
    assert (
        slob.kmalloc(rules, slob.empty(Heap(0)), 8)[1]
        == slob.kmalloc(rules, slob.empty(Heap(0)), 5000)[1]
        == NOTHING
    )


def test_damage_is_found() -> None:
    heap = slob.Slob(Heap(1), Map({0: ((0, 4), (4, 4)), 1: ((2000, 100),)}), ((0, 1), (), ()), Map(), Map())
    assert sorted(slob.broken(heap)) == [
        "objects.slob.inside at 1",
        "objects.slob.ordered at 0",
        "objects.slob.ordered at 1",
    ]
