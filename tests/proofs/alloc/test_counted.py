"""The counted twin: what it says of its lists is what the lists of the model's zone hold."""

from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map

from linuxmm.model.alloc import freelist
from linuxmm.model.alloc.freelist import CMA, HIGHATOMIC, ISOLATE, Zone
from linuxmm.proofs.alloc import counted
from linuxmm.proofs.alloc.ghost import Ghost, ghost_of, zone_of
from linuxmm.proofs.domain import Table

ORDERS = 3
BLOCKS = 4


def empty_zone() -> Zone:
    return Zone(
        node=0,
        kind=2,
        start=0,
        end=BLOCKS << ORDERS,
        managed=BLOCKS << ORDERS,
        free=Map(),
        lists=tuple(tuple(() for _ in range(8)) for _ in range(ORDERS + 1)),
        cached=Map(),
        in_use=Map(),
        types=(0,) * BLOCKS,
        pageblock_order=ORDERS,
        pcps=(),
    )


def counted_pages(zone: Zone) -> int:
    return sum(1 << order for order, kind in zone.free.values() if kind != ISOLATE)


def pages_of(zone: Zone, migratetype: int) -> int:
    return sum(1 << order for order, kind in zone.free.values() if kind == migratetype)


@given(
    st.lists(st.tuples(st.integers(0, BLOCKS - 1), st.integers(0, ORDERS), st.integers(0, 7)), max_size=12)
)
@settings(max_examples=60, deadline=None)
def test_the_twin_counts_and_finds_what_the_lists_hold(turns: list[tuple[int, int, int]]) -> None:
    zone = empty_zone()
    twin = zone_of(Ghost(Table(), Table(0), Table(0), Table(), ORDERS, span=(0, BLOCKS << ORDERS)))
    for block, order, kind in turns:
        pfn = block << ORDERS
        held = freelist.free_order(zone, pfn)
        if held == freelist.NOTHING:
            zone = freelist.account(freelist.add_tail(zone, pfn, order, kind), 1 << order, kind)
            twin = counted.put_counted(twin, pfn, order, kind)
        else:
            was = freelist.free_list_of(zone, pfn)
            zone = freelist.account(freelist.remove(zone, pfn, held), -(1 << held), was)
            twin = counted.remove_counted(twin, pfn, held)
        assert ghost_of(twin).sound
        assert ghost_of(twin).listed == counted_pages(zone) == freelist.nr_free_pages(zone)
        typed = (freelist.nr_free_cma(zone), freelist.nr_free_highatomic(zone))
        assert ghost_of(twin).listed_typed == typed == tuple(map(pages_of, (zone, zone), (CMA, HIGHATOMIC)))
        for at in range((BLOCKS << ORDERS) + 1):
            assert counted.free_order(twin, at) == freelist.free_order(zone, at)
            assert counted.free_list_of(twin, at) == freelist.free_list_of(zone, at)
            assert counted.spans(twin, at) == freelist.spans(zone, at)
