"""The symbolic zone stands for the model's: both answer alike before and after the same primitives."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map

from linuxmm.model.alloc import freelist
from linuxmm.model.alloc.freelist import Zone
from linuxmm.proofs.alloc import ghost
from linuxmm.proofs.alloc.ghost import Ghost, ghost_of, zone_of
from linuxmm.proofs.domain import Table, table
from linuxmm.spec.alloc.buddy import FreeBlock, FreeBlocks, coalesced, disjoint

PAGEBLOCK = 2
ORDERS = 3
PAGES = 16


def empty_zone(types: tuple[int, ...]) -> Zone:
    return Zone(
        node=0,
        kind=2,
        start=0,
        end=PAGES,
        managed=PAGES,
        free=Map(),
        lists=tuple(tuple(() for _ in range(8)) for _ in range(ORDERS + 1)),
        cached=Map(),
        in_use=Map(),
        types=types,
        pageblock_order=PAGEBLOCK,
        pcps=(),
    )


def twin_of(zone: Zone) -> Zone:
    """The abstraction: the model's zone as maps of blocks."""
    free = table({(order, pfn >> order): True for pfn, (order, _) in zone.free.items()})
    lists = table({(order, pfn >> order): kind for pfn, (order, kind) in zone.free.items()}, 0)
    types = table(dict(enumerate(zone.types)), 0)
    return zone_of(Ghost(free, lists, types, Table(), PAGEBLOCK, nr_isolated=zone.nr_isolated))


BLOCK = st.integers(0, ORDERS).flatmap(
    lambda order: st.tuples(st.integers(0, (PAGES >> order) - 1).map(lambda i: i << order), st.just(order))
)
OPERATION = st.tuples(
    st.sampled_from(("add_head", "add_tail", "remove", "set_type")), BLOCK, st.integers(0, 7)
)


def overlaps(zone: Zone, pfn: int, order: int) -> bool:
    return any(
        pfn < head + (1 << size) and head < pfn + (1 << order) for head, (size, _) in zone.free.items()
    )


@given(st.lists(st.integers(0, 7), min_size=4, max_size=4), st.lists(OPERATION, max_size=12))
@settings(max_examples=150, deadline=None)
def test_the_twin_follows_the_model_through_every_primitive(
    types: list[int], operations: list[tuple[str, tuple[int, int], int]]
) -> None:
    zone = empty_zone(tuple(types))
    twin = twin_of(zone)
    for name, (pfn, order), kind in operations:
        if name == "set_type":
            zone, twin = (
                freelist.set_pageblock_type(zone, pfn, kind),
                ghost.set_pageblock_type(twin, pfn, kind),
            )
        elif name == "remove":
            if freelist.is_free_block(zone, pfn, order):
                zone, twin = freelist.remove(zone, pfn, order), ghost.remove(twin, pfn, order)
        elif not overlaps(zone, pfn, order):
            zone = getattr(freelist, name)(zone, pfn, order, kind)
            twin = ghost.put_block(twin, pfn, order, kind)
    assert ghost_of(twin).sound
    expected = ghost_of(twin_of(zone))
    assert (ghost_of(twin).free, ghost_of(twin).types) == (expected.free, expected.types)
    for pfn in range(PAGES):
        assert ghost.pageblock_type(twin, pfn) == freelist.pageblock_type(zone, pfn)
        assert ghost.is_free(twin, pfn) == overlaps(zone, pfn, 0)
        for order in range(ORDERS + 1):
            free = freelist.is_free_block(zone, pfn, order)
            assert ghost.is_free_block(twin, pfn, order) == free
            if free:
                assert ghost.list_type(twin, order, pfn >> order) == freelist.free_list_of(zone, pfn)


@given(st.lists(BLOCK, max_size=8), st.lists(st.integers(0, 7), min_size=4, max_size=4))
@settings(max_examples=200, deadline=None)
def test_the_invariants_at_every_page_are_the_invariants_of_the_specification(
    blocks: list[tuple[int, int]], types: list[int]
) -> None:
    """No page in two blocks, and no unmerged buddies, by the rule of 5.18 and later."""
    distinct = list(dict.fromkeys(blocks))
    marks: Any = table({(order, pfn >> order): True for pfn, order in distinct})
    kinds: Any = table(dict(enumerate(types)), 0)
    zone = zone_of(Ghost(marks, Table(0), kinds, Table(), PAGEBLOCK))
    free = FreeBlocks(
        0, PAGES, ghost.MAX_ORDER, PAGEBLOCK, tuple(types), tuple(FreeBlock(p, o, 0) for p, o in distinct)
    )
    pages = range(PAGES)
    assert all(ghost.disjoint_at(zone, page) for page in pages) == disjoint(free)
    assert all(ghost.coalesced_at(zone, page, 3) for page in pages) == coalesced(free)


def test_misuse_of_a_primitive_is_noted() -> None:
    twin = twin_of(freelist.add_head(empty_zone((0, 0, 0, 0)), 4, 2, 0))
    assert ghost_of(twin).sound
    assert not ghost_of(ghost.remove(twin, 0, 2)).sound
    assert not ghost_of(ghost.put_block(twin, 4, 2, 0)).sound
    assert not ghost_of(ghost.put_block(twin, 1, 1, 0)).sound
