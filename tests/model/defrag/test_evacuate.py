"""Emptying a range: contents survive, clean pages go, what is busy is tried five times."""

import pytest
from immutables import Map

from linuxmm.model.alloc import audit
from linuxmm.model.alloc.freelist import NOTHING
from linuxmm.model.alloc.isolate import isolate_pageblock
from linuxmm.model.alloc.machine import Machine, with_zone, zone_at
from linuxmm.model.alloc.pcp import drain_pages_zone
from linuxmm.model.alloc.request import alloc_fast, alloc_min, free_pages
from linuxmm.model.alloc.rules import Rules
from linuxmm.model.alloc.slowpath import drain_all_pages
from linuxmm.model.alloc.strategies import small_kernel, small_machine, small_rules
from linuxmm.model.defrag.evacuate import Away, Dwellers, away_of, evacuate
from linuxmm.model.defrag.profile import rules_for
from linuxmm.model.defrag.state import Page, Still
from linuxmm.spec.alloc.gfp import GFP_HIGHUSER_MOVABLE, GFP_KERNEL
from linuxmm.spec.alloc.request import request
from linuxmm.spec.defrag import migration as m
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.step import Errno

VERSIONS = ("3.18", "4.15", "5.14", "6.1.192", "6.7", "6.12.117")
START, END = 144, 160
NORMAL = 2


def lived_in(
    version: str, room: int = 24, order: int = 0, gfp: int = GFP_HIGHUSER_MOVABLE
) -> tuple[Away, Rules, Machine, tuple[int, ...]]:
    """A full machine with room for so many blocks outside the range, whose pageblocks are isolated.

    The last of the answer: the blocks in the range
    """
    rules, machine = small_rules(version), small_machine(version)
    held: list[int] = []
    while True:
        asked = request(order, gfp, node=1)
        machine, pfn, _ = alloc_fast(rules, machine, asked)
        if pfn == NOTHING:
            machine, pfn, _ = alloc_min(rules, machine, asked, False)
        if pfn == NOTHING:
            break
        held.append(pfn)
    for pfn in [pfn for pfn in held if not START <= pfn < END][:room]:
        machine = free_pages(rules, machine, 0, pfn, order)
    zone = zone_at(machine, NORMAL)
    for pfn in range(START, END, 1 << rules.pageblock_order):
        zone = isolate_pageblock(rules, zone, pfn)
    for cpu in range(len(zone.pcps)):
        zone = drain_pages_zone(rules, zone, cpu)
    inside = tuple(sorted(pfn for pfn in zone.in_use if START <= pfn < END))
    return away_of(small_kernel(version)), rules, with_zone(machine, NORMAL, zone), inside


def with_flags(inside: tuple[int, ...], flags: int) -> Map[int, Page]:
    return Map({pfn: Page(flags, 1000 + pfn) for pfn in inside})


@pytest.mark.parametrize("version", VERSIONS)
def test_contents_survive_and_nobody_is_left(version: str) -> None:
    away, rules, machine, inside = lived_in(version)
    assert len(inside) > 8
    living = Dwellers(with_flags(inside, m.ANON | m.DIRTY))
    living, after, errno = evacuate(away, rules, machine, living, START, END)
    assert errno is None
    assert not any(START <= pfn < END for pfn in zone_at(after, NORMAL).in_use)
    assert sorted(page.content for page in living.pages.values()) == [1000 + pfn for pfn in inside]
    assert {new: 1000 + old for old, new, _ in living.moved} == {
        p: v.content for p, v in living.pages.items()
    }
    assert [old for old, _, _ in living.moved] == sorted(inside, reverse=True)  # the last one taken is first
    assert audit.broken(rules, drain_all_pages(rules, after)) == ()


@pytest.mark.parametrize("version", VERSIONS)
def test_blocks_of_more_pages_move_whole(version: str) -> None:
    away, rules, machine, inside = lived_in(version, 14, 1)
    assert inside
    living, after, errno = evacuate(away, rules, machine, Dwellers(), START, END)
    assert (errno, {order for _, _, order in living.moved}) == (None, {1})
    in_use = zone_at(after, NORMAL).in_use
    assert not any(pfn + (1 << order) > START and pfn < END for pfn, (order, _) in in_use.items())


@pytest.mark.parametrize(("version", "drops"), [("3.5", False), ("3.7", True), ("6.12.117", True)])
def test_clean_pages_of_files_are_dropped(version: str, drops: bool) -> None:
    _, rules, machine, inside = lived_in("6.1.192")
    away = away_of(small_kernel(version))
    pages = with_flags(inside[:4], 0).update(with_flags(inside[4:], m.DIRTY))
    living, after, errno = evacuate(away, rules, machine, Dwellers(pages), START, END)
    assert errno is None
    assert sorted(living.dropped) == (list(inside[:4]) if drops else [])
    assert len(living.moved) == len(inside) - len(living.dropped)
    assert audit.broken(rules, drain_all_pages(rules, after)) == ()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("flag", [m.LOCKED, m.WRITEBACK, m.PINNED, m.DRIVER])
def test_a_page_that_stays_busy_makes_the_range_busy(version: str, flag: int) -> None:
    away, rules, machine, inside = lived_in(version)
    busy = inside[3]
    pages = with_flags(inside, m.ANON).set(busy, Page(m.DIRTY | flag, 7))
    living = Dwellers(pages, Still(refused=frozenset({busy})))
    living, after, errno = evacuate(away, rules, machine, living, START, END)
    assert errno is Errno.EBUSY
    assert living.pages[busy].content == 7
    assert [pfn for pfn in zone_at(after, NORMAL).in_use if START <= pfn < END] == [busy]
    assert audit.broken(rules, drain_all_pages(rules, after)) == ()


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_let_go_meanwhile_moves(version: str) -> None:
    away, rules, machine, inside = lived_in(version)
    pages = with_flags(inside, m.DIRTY | m.LOCKED | m.WRITEBACK)
    living = Dwellers(pages, Still(busy=frozenset()))
    living, _, errno = evacuate(away, rules, machine, living, START, END)
    assert (errno, len(living.moved)) == (None, len(inside))


@pytest.mark.parametrize("version", ["6.1.192", "6.12.117"])
def test_what_cannot_be_isolated_is_no_error_and_stays(version: str) -> None:
    away, rules, machine, inside = lived_in(version)
    pages = with_flags(inside, m.ANON).set(inside[0], Page(m.ANON | m.PINNED, 7))
    living, after, errno = evacuate(away, rules, machine, Dwellers(pages), START, END)
    assert errno is None
    assert [pfn for pfn in zone_at(after, NORMAL).in_use if START <= pfn < END] == [inside[0]]
    assert len(living.moved) == len(inside) - 1
    away, rules, machine, inside = lived_in(version, 0, gfp=GFP_KERNEL)
    living, after, errno = evacuate(away, rules, machine, Dwellers(), START, END)
    assert (errno, living.moved) == (None, ())
    assert zone_at(after, NORMAL).in_use == zone_at(machine, NORMAL).in_use


def test_without_room_and_with_a_signal_it_ends() -> None:
    away, rules, machine, inside = lived_in("6.1.192")
    assert evacuate(away, rules, machine, Dwellers(), START, END, True) == (Dwellers(), machine, Errno.EINTR)
    away, rules, full, inside = lived_in("6.1.192", 0)
    living, after, errno = evacuate(away, rules, full, Dwellers(), START, END)
    assert errno is Errno.ENOMEM
    assert {old for old, _, _ in living.moved} < set(inside)
    assert len(zone_at(after, NORMAL).in_use) + len(living.moved) >= len(zone_at(full, NORMAL).in_use)


def test_before_3_5_nobody_empties_a_range() -> None:
    with pytest.raises(Unmodelled, match=r"large\.drops-clean"):
        away_of(small_kernel("3.4"))


@pytest.mark.parametrize("version", ["3.18", "6.1.192", "6.7", "6.12.117"])
def test_compaction_and_evacuation_migrate_by_one_function(version: str) -> None:
    away: tuple[object, ...] = away_of(small_kernel(version))
    rules = rules_for(small_kernel(version))
    assert away[:2] == (rules.migrate, rules.passes)
