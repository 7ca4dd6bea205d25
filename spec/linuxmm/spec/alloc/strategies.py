"""Hypothesis strategies for memory layouts and for requests to a page allocator."""

from hypothesis import strategies as st

from linuxmm.spec.alloc.page_state import Layout, Span
from linuxmm.spec.alloc.pages import Alloc
from linuxmm.spec.vocabulary import MigrateType, ZoneType

_ZONES = (ZoneType.DMA, ZoneType.NORMAL, ZoneType.MOVABLE)


@st.composite
def layouts(draw: st.DrawFn, max_pages: int = 64, max_order: int = 4) -> Layout:
    """Small machines of one node: one to three zones, whose borders need not be aligned.

    max_pages  pages of all zones together, at least 8
    """
    count = draw(st.integers(1, len(_ZONES)))
    zones = _ZONES[:count] if count > 1 else (ZoneType.NORMAL,)
    cuts = draw(st.lists(st.integers(1, max_pages - 1), min_size=count - 1, max_size=count - 1, unique=True))
    borders = [0, *sorted(cuts), max_pages]
    spans = tuple(Span(zone, 0, borders[i], borders[i + 1]) for i, zone in enumerate(zones))
    return Layout(spans, max_order=max_order, pageblock_order=min(3, max_order))


def allocs(layout: Layout, *, beyond: bool = False) -> st.SearchStrategy[Alloc]:
    """Requests of any order, mobility and zone class.

    beyond  whether one order above the largest is asked for too
    """
    return st.builds(
        Alloc,
        order=st.integers(0, layout.max_order + int(beyond)),
        migratetype=st.sampled_from([MigrateType.UNMOVABLE, MigrateType.MOVABLE, MigrateType.RECLAIMABLE]),
        highest_zone=st.sampled_from([ZoneType.NORMAL, ZoneType.DMA, ZoneType.MOVABLE]),
    )


def blocks(layout: Layout) -> st.SearchStrategy[tuple[int, int]]:
    """Aligned blocks (pfn, order) inside one zone."""

    def fits(block: tuple[int, int]) -> bool:
        span = layout.span_of(block[0])
        return span is not None and block[0] + (1 << block[1]) <= span.end

    last = layout.spans[-1].end - 1
    orders = st.integers(0, layout.max_order)
    drawn = orders.flatmap(lambda order: st.integers(0, last >> order).map(lambda n: (n << order, order)))
    return drawn.filter(fits)
