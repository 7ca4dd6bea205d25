"""Which algorithms of the model are the steps of which feature.

The algorithms on the hot path are plain functions; they are registered here, beside one another.

Linux: mm/page_alloc.c.  Seed 2.1.1 (F012 to F031).
"""

from collections.abc import Callable
from typing import Final

from linuxmm.model.alloc.buddy import free_one_page, rmqueue_smallest
from linuxmm.model.alloc.isolate import (
    isolate_free_page,
    isolate_pageblock,
    putback_isolated_page,
    split_free_page,
    unisolate_pageblock,
)
from linuxmm.model.alloc.movement import boost_watermark, move_freepages_block
from linuxmm.model.alloc.pcp import (
    decay_pcp_high,
    drain_pages_zone,
    free_unref_page,
    pop_pcplist,
    rmqueue_bulk,
    rmqueue_pcplist,
)
from linuxmm.model.alloc.pcp_eras import (
    cost_with_irqs_off,
    cost_with_preemption_off,
    with_high_orders_v4,
)
from linuxmm.model.alloc.proposals import would_fall_back_to
from linuxmm.model.alloc.request import (
    alloc_fast,
    alloc_min,
    free_to_zone,
    get_page_from_freelist,
    nofragment_flags,
    rmqueue,
)
from linuxmm.model.alloc.slowpath import drain_all_pages
from linuxmm.spec.registry import verb

_STEPS: Final[tuple[tuple[Callable[..., object], tuple[str, ...], str], ...]] = (
    (rmqueue_smallest, ("F012",), "__rmqueue_smallest"),
    (free_one_page, ("F012",), "__free_one_page"),
    (free_to_zone, ("F012", "F020"), "__free_pages_ok, free_unref_page"),
    (rmqueue, ("F012", "F013", "F020"), "rmqueue"),
    (move_freepages_block, ("F016",), "move_freepages_block"),
    (isolate_pageblock, ("F016",), "set_migratetype_isolate"),
    (unisolate_pageblock, ("F016",), "unset_migratetype_isolate"),
    (isolate_free_page, ("F016",), "__isolate_free_page"),
    (putback_isolated_page, ("F016",), "__putback_isolated_page"),
    (split_free_page, ("F016",), "split_free_page"),
    (boost_watermark, ("F018", "F019", "F030"), "boost_watermark"),
    (rmqueue_pcplist, ("F020", "F027"), "rmqueue_pcplist"),
    (pop_pcplist, ("F020", "F027"), "__rmqueue_pcplist"),
    (rmqueue_bulk, ("F020",), "rmqueue_bulk"),
    (free_unref_page, ("F020", "F027"), "free_unref_page_commit"),
    (drain_pages_zone, ("F020", "F024"), "drain_pages_zone"),
    (drain_all_pages, ("F024",), "drain_all_pages"),
    (decay_pcp_high, ("F020",), "decay_pcp_high"),
    (with_high_orders_v4, ("F021",), "free_pcppages_bulk, v4 of December 2016"),
    (cost_with_irqs_off, ("F023",), "free_hot_cold_page"),
    (cost_with_preemption_off, ("F023",), "free_hot_cold_page, 4.11-rc1"),
    (nofragment_flags, ("F029",), "alloc_flags_nofragment"),
    (get_page_from_freelist, ("F014", "F017", "F029"), "get_page_from_freelist"),
    (alloc_fast, ("F014", "F017"), "__alloc_pages"),
    (alloc_min, ("F017",), "__alloc_pages_slowpath"),
    (would_fall_back_to, ("F031",), "patch 5 of the fragmentation-avoidance series"),
)

for _function, _features, _source in _STEPS:
    verb(*_features, source=f"mm/page_alloc.c:{_source}")(_function)
