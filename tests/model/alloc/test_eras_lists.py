"""Per-CPU lists of each era: hot and cold, one list of all types, cold pages at the tail."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.model.alloc.audit import broken_in_zone
from linuxmm.model.alloc.freelist import ISOLATE, NOTHING, Zone, set_in_use
from linuxmm.model.alloc.pcp import drain_pages_zone
from linuxmm.model.alloc.pcp_single import free_cold_page, list_vars
from linuxmm.model.alloc.request import alloc_fast, free_to_zone
from linuxmm.model.alloc.sizes import size_pcps
from linuxmm.model.alloc.strategies import small_kernel, small_machine, small_rules
from linuxmm.spec.alloc.gfp import ALLOC_COLD, GFP_COLD_BIT, GFP_KERNEL
from linuxmm.spec.alloc.request import request
from linuxmm.spec.errors import Unmodelled

UNMOVABLE, MOVABLE, RECLAIMABLE = 0, 1, 2
LISTED = ("2.6.11", "2.6.18", "2.6.24", "2.6.28", "2.6.31", "2.6.32", "4.4", "4.12")


def zone_of(version: str) -> Zone:
    """32 free pages, 76 of them; lists of three pages a batch."""
    return small_machine(version).zones[1]


def take(version: str, zone: Zone, migratetype: int = 0, flags: int = 0) -> tuple[Zone, int]:
    """A page from the lists of CPU 0, now in use."""
    rules = small_rules(version)
    zone, pfn = rules.pcp_take(rules, zone, 0, 0, migratetype, flags)
    return (set_in_use(zone, pfn, 0, False) if pfn != NOTHING else zone), pfn


def put(version: str, zone: Zone, pfn: int) -> Zone:
    return free_to_zone(small_rules(version), zone, 0, pfn, 0)


def put_cold(version: str, zone: Zone, pfn: int) -> Zone:
    return free_cold_page(small_kernel(version), small_rules(version), zone, 0, pfn)


def lists(zone: Zone) -> tuple[tuple[int, ...], ...]:
    return zone.pcps[0].lists


# ---- hot and cold ----------------------------------------------------------------------------------------


def test_up_to_2_6_14_the_hot_list_is_refilled_at_its_low_mark() -> None:
    zone = zone_of("2.6.11")
    v = zone.pcps[0].vars._replace(batch=3, high=18, high_min=6, high_max=3, factor=6)
    zone = replace(zone, pcps=(replace(zone.pcps[0], vars=v), *zone.pcps[1:]))
    lengths = []
    for _ in range(6):
        zone, _ = take("2.6.11", zone)
        lengths.append(len(lists(zone)[0]))
    assert lengths == [2, 4, 6, 8, 7, 6]
    later = zone_of("2.6.18")
    assert [len(lists(take("2.6.18", later)[0])[0])] == [2]


def test_a_cold_request_has_its_own_list_up_to_2_6_24() -> None:
    zone = zone_of("2.6.18")
    v = zone.pcps[0].vars._replace(high_min=4, high_max=2)
    zone, hot = take("2.6.18", replace(zone, pcps=(replace(zone.pcps[0], vars=v), *zone.pcps[1:])))
    zone, cold = take("2.6.18", zone, 0, ALLOC_COLD)
    assert tuple(map(len, lists(zone))) == (2, 1)
    zone = put_cold("2.6.18", put("2.6.18", zone, hot), cold)
    assert (lists(zone)[0][0], lists(zone)[1][0]) == (hot, cold)
    assert [list_vars(zone.pcps[0].vars, i).pages for i in (0, 1)] == [3, 2]
    for pfn in lists(zone)[0][:2]:
        zone, _ = take("2.6.18", zone)
        zone = put_cold("2.6.18", zone, pfn)
    assert tuple(map(len, lists(zone))) == (1, 2)
    drained = drain_pages_zone(small_rules("2.6.18"), zone, 0)
    assert (lists(drained), drained.pcps[0].vars.free_count) == (((), ()), 0)
    assert drained.nr_free == drained.managed


@pytest.mark.parametrize(
    ("version", "numbers"),
    [
        ("2.6.11", (16, 96, 32, 16, 32)),
        ("2.6.12", (31, 186, 62, 31, 62)),
        ("2.6.18", (15, 90, 30, 7, 0)),
        ("2.6.28", (15, 90, 90, 90, 0)),
    ],
)
def test_the_sizes_of_hot_and_cold_lists(version: str, numbers: tuple[int, ...]) -> None:
    zone = size_pcps(small_kernel(version), replace(zone_of(version), managed=1 << 16), (0, 0))
    v = zone.pcps[0].vars
    assert (v.batch, v.high, v.high_min, v.high_max, v.factor if version < "2.6.2" else 0) == numbers


# ---- one list of every type ------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "shared"), [("2.6.24", True), ("2.6.31", True), ("2.6.32", False)])
def test_types_share_a_list_up_to_2_6_31_and_the_next_batch_comes_first(version: str, shared: bool) -> None:
    zone, one = take(version, zone_of(version), UNMOVABLE)
    before = lists(zone)[0]
    zone, two = take(version, zone, RECLAIMABLE)
    rest = tuple(p for p in lists(zone)[0] if p not in before)
    assert len({one, two}) == 2
    assert (lists(zone)[0] == (*rest, *before)) is True
    assert (len(rest) == 2) is shared
    zone = put(version, zone, two)
    assert take(version, zone, UNMOVABLE)[1] == before[0]


def test_a_search_that_fails_without_memory_hands_out_the_first_page_of_any_type() -> None:
    version = "2.6.28"
    rules = small_rules(version)
    zone, _ = take(version, zone_of(version), UNMOVABLE)
    while zone.nr_free:
        zone, pfn, _, _ = rules.take(rules, zone, 0, UNMOVABLE, 0, 0)
        zone = set_in_use(rules.account_done(zone, 1), pfn, 0, False)
    head = lists(zone)[0][0]
    assert take(version, zone, MOVABLE)[1] == head
    assert take("2.6.32", replace(zone, pcps=zone_of("2.6.32").pcps), MOVABLE)[1] == NOTHING


@pytest.mark.parametrize(
    ("version", "taken", "held"),
    [
        ("2.6.28", 2, (0, 1)),
        ("2.6.31", 0, (2, 1)),
        ("2.6.32", 0, (2, 1)),
        ("4.12", 0, (2, 1)),
    ],
)
def test_who_asks_for_a_cold_page_gets_the_last_one(version: str, taken: int, held: tuple[int, ...]) -> None:
    zone = zone_of(version)
    first = zone
    batch = []
    for _ in range(3):
        first, pfn = take(version, first, UNMOVABLE)
        batch.append(pfn)
    zone, pfn = take(version, zone, UNMOVABLE, ALLOC_COLD)
    assert (pfn, lists(zone)[0]) == (batch[taken], tuple(batch[i] for i in held))


@pytest.mark.parametrize("version", ["2.6.28", "2.6.32", "4.12"])
def test_a_cold_page_comes_back_to_the_tail(version: str) -> None:
    zone, one = take(version, zone_of(version))
    zone = put_cold(version, zone, one)
    assert lists(zone)[0][-1] == one
    with pytest.raises(Unmodelled):
        put_cold("4.15", zone_of("4.15"), one)


@pytest.mark.parametrize(("version", "cached"), [("2.6.28", True), ("2.6.32", False)])
def test_a_page_of_an_isolated_pageblock_is_cached_up_to_2_6_31(version: str, cached: bool) -> None:
    zone, one = take(version, zone_of(version))
    zone = replace(zone, types=(ISOLATE,) * len(zone.types), nr_isolated=1)
    assert (one in put(version, zone, one).cached) is cached


def test_the_gfp_word_asks_for_the_cold_page() -> None:
    cold = request(0, GFP_KERNEL | GFP_COLD_BIT)
    for version, index in (("2.6.18", 1), ("4.14", 0)):
        machine = small_machine(version)
        after, _, zone = alloc_fast(small_rules(version), machine, cold)
        assert after.zones[zone].pcps[0].lists[index]
    warm = [alloc_fast(small_rules(v), small_machine(v), cold)[1] for v in ("4.15", "4.14")]
    assert warm == [
        alloc_fast(small_rules(v), small_machine(v), request(0, GFP_KERNEL))[1] for v in ("4.15", "4.14")
    ]


@pytest.mark.parametrize("version", LISTED)
@settings(max_examples=30, deadline=None)
@given(ops=st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 2)), max_size=60))
def test_lists_keep_every_page(version: str, ops: list[tuple[bool, bool, int]]) -> None:
    zone, rules, held = zone_of(version), small_rules(version), []
    for takes, cold, migratetype in ops:
        if takes:
            kind = 0 if version < "2.6.2" else migratetype
            zone, pfn = take(version, zone, kind, ALLOC_COLD if cold else 0)
            held += [pfn] if pfn != NOTHING else []
        elif held:
            free = put_cold if cold else put
            zone = free(version, zone, held.pop(migratetype % len(held)))
        assert tuple(broken_in_zone(rules, zone)) == ()
        if rules.nr_pcp_lists == 2:
            assert zone.pcps[0].vars.free_count == len(lists(zone)[1])
    assert not any(lists(drain_pages_zone(rules, zone, 0)))
