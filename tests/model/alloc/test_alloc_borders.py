"""Where one behaviour of the allocator ends and the next begins, as the sources of both sides show it."""

from collections.abc import Callable

import pytest

from linuxmm.model.alloc import nofail
from linuxmm.model.alloc.buddy import absorb_below_isolated, absorb_not_across_isolated
from linuxmm.model.alloc.dialogue import Progress, Stage, Task
from linuxmm.model.alloc.profile import (
    layout_one_huge_list,
    layout_two_huge_lists,
    numbers_fixed_batch,
    numbers_free_high,
    numbers_free_high_capped,
    numbers_low_mark,
)
from linuxmm.model.alloc.request import take_reserve_first_or_for_victims, take_reserve_first_or_last
from linuxmm.model.alloc.sizes import size_doubled, size_pair, sized_present, sized_present_less_memmap
from linuxmm.model.alloc.watermark import watermark_ok_any_block, watermark_ok_harder_any_type
from linuxmm.spec.alloc.gfp import (
    ALLOC_NO_WATERMARKS,
    ALLOC_NON_BLOCK,
    ALLOC_OOM,
    GFP_KERNEL,
    GFP_NOMEMALLOC_BIT,
)
from linuxmm.spec.alloc.request import (
    nofragment_inert,
    nofragment_normal_zone,
    request,
    reserve_flags_memdie,
    reserve_flags_oom,
)
from linuxmm.spec.alloc.watermark import low_high_quarters_of_min, low_high_quarters_of_share
from linuxmm.spec.alloc.zone import (
    node_load_accumulated,
    node_load_plus_one,
    node_load_set,
    node_score,
    node_score_scaled_load,
)
from linuxmm.spec.kernel import kernel

BORDERS = [
    ("alloc.node-score", "5.18", node_score_scaled_load),
    ("alloc.node-score", "5.19", node_score),
    ("alloc.node-load", "5.15", node_load_set),
    ("alloc.node-load", "5.16", node_load_accumulated),
    ("alloc.node-load", "5.18", node_load_accumulated),
    ("alloc.node-load", "5.19", node_load_plus_one),
    ("alloc.nofragment", "5.0", nofragment_inert),
    ("alloc.nofragment", "5.1", nofragment_normal_zone),
    ("alloc.watermark-distance", "2.6.14", low_high_quarters_of_min),
    ("alloc.watermark-distance", "2.6.15", low_high_quarters_of_share),
    ("alloc.sized-pages", "2.6.18", sized_present),
    ("alloc.sized-pages", "2.6.19", sized_present_less_memmap),
    ("alloc.pcp-numbers", "2.6.12", numbers_low_mark),
    ("alloc.pcp-numbers", "2.6.13", numbers_fixed_batch),
    ("alloc.pcp-size", "2.6.14", size_doubled),
    ("alloc.pcp-size", "2.6.15", size_pair),
    ("alloc.pcp-numbers", "6.6.9", numbers_free_high),
    ("alloc.pcp-numbers", "6.6.80", numbers_free_high_capped),
    ("alloc.pcp-layout", "6.6.9", layout_one_huge_list),
    ("alloc.pcp-layout", "6.6.87", layout_two_huge_lists),
    ("alloc.pcp-layout", "6.9", layout_one_huge_list),
    ("alloc.take-highatomic", "6.10", take_reserve_first_or_for_victims),
    ("alloc.take-highatomic", "6.11.11", take_reserve_first_or_last),
    ("alloc.may-absorb", "4.4", absorb_below_isolated),
    ("alloc.may-absorb", "4.5.7", absorb_not_across_isolated),
    ("alloc.watermark-ok", "4.14.5", watermark_ok_harder_any_type),
    ("alloc.watermark-ok", "4.14.67", watermark_ok_any_block),
    ("alloc.reserve-flags", "4.13", reserve_flags_memdie),
    ("alloc.reserve-flags", "4.14", reserve_flags_oom),
]


@pytest.mark.parametrize(("rule", "version", "function"), BORDERS)
def test_releases_beside_a_border_have_what_was_read_in_them(
    rule: str, version: str, function: Callable[..., object]
) -> None:
    assert kernel(version).behaviour(rule).function is function


@pytest.mark.parametrize(
    ("version", "rule", "stops"),
    [
        ("4.10", nofail.victim_begins_again, (False, False, False, False)),
        ("4.11", nofail.victim_stops_at_once, (True, True, True, True)),
        ("4.12", nofail.victim_stops_after_all, (False, True, False, True)),
        ("4.13", nofail.victim_stops_after_all, (False, True, False, True)),
        ("4.14", nofail.victim_stops_after_kill, (False, False, True, True)),
    ],
)
def test_when_a_victim_gives_up_after_a_kill(
    version: str, rule: Callable[[Progress], bool], stops: tuple[bool, ...]
) -> None:
    assert kernel(version).behaviour("alloc.victim-killed").function is rule
    tried = [
        (0, GFP_KERNEL),
        (ALLOC_NO_WATERMARKS, GFP_KERNEL),
        (ALLOC_OOM, GFP_KERNEL),
        (ALLOC_NON_BLOCK, GFP_KERNEL | GFP_NOMEMALLOC_BIT),
    ]
    asked = [Progress(request(0, gfp), Task(oom_victim=True), Stage.OOM, flags) for flags, gfp in tried]
    assert tuple(map(rule, asked)) == stops
    assert not any(rule(p._replace(task=Task())) for p in asked)
