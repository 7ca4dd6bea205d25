"""vmalloc in its generations: clauses after any history, and what each generation does differently."""

from dataclasses import replace

import pytest
from hypothesis import settings
from immutables import Map

from linuxmm.model.large.blocks import broken_blocks, vm_map_ram, vm_unmap_ram
from linuxmm.model.large.search import purge_begin, purge_end, purge_flush
from linuxmm.model.large.state import Area, Block, Refused, Space, Waiting, map_pages, with_area
from linuxmm.model.large.strategies import VERSIONS, VmallocMachine, small_space
from linuxmm.model.large.vmalloc import (
    broken,
    drain,
    empty_space,
    get_vm_area,
    rules_for,
    vfree,
    vmalloc,
    vmap,
)
from linuxmm.model.objects.pages import Heap
from linuxmm.model.vm.explore import search
from linuxmm.spec.errors import ImpossibleProfile
from linuxmm.spec.kernel import kernel
from linuxmm.spec.large import reuse
from linuxmm.spec.step import Refusal
from linuxmm.spec.vocabulary import PAGE_SIZE

PAGE = PAGE_SIZE
TestVmalloc = VmallocMachine.TestCase
TestVmalloc.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)


def made(got: Area | Refused) -> Area:
    assert isinstance(got, Area), got
    return got


@pytest.mark.parametrize(("version", "gap"), [("2.6.24", 1), ("3.2", 2), ("4.4", 1), ("6.1", 1)])
def test_what_lies_between_two_areas(version: str, gap: int) -> None:
    rules, space = small_space(version)
    space, first = vmalloc(rules, space, 2 * PAGE)
    _, second = vmalloc(rules, space, PAGE)
    assert made(second).start - made(first).start == (2 + gap) * PAGE


@pytest.mark.parametrize("version", VERSIONS)
def test_refusals_leave_everything(version: str) -> None:
    rules, space = small_space(version)
    assert vmalloc(rules, space, 0) == (space, Refused.EMPTY)
    assert vmalloc(rules, space, 25 * PAGE) == (space, Refused.BEYOND_RAM)
    assert get_vm_area(rules, space, 0) == (space, Refused.EMPTY)
    assert vmap(rules, space, tuple(range(25))) == (space, Refused.BEYOND_RAM)
    assert vfree(rules, space, space.start + PAGE)[1] is Refused.BAD_ADDRESS
    assert vfree(rules, space, 0) == (space, None)
    after, got = get_vm_area(rules, space, 64 * PAGE)
    assert got is Refused.NO_ROOM
    assert after.busy == space.busy
    assert broken(rules, after) == ()


@pytest.mark.parametrize("version", VERSIONS)
def test_pages_that_do_not_suffice_are_given_back(version: str) -> None:
    rules, space = small_space(version, frames=24)
    space, held = vmalloc(rules, space, 20 * PAGE)
    before = space.pages.held
    space, got = vmalloc(rules, space, 8 * PAGE)
    assert got is Refused.NO_PAGES
    assert (space.pages.held, len(space.busy)) == (before, 2)
    assert broken(rules, space) == ()
    space, _ = vfree(rules, space, made(held).start)
    assert space.pages.held == 0


def test_an_address_waits_for_the_flush_since_2_6_28() -> None:
    for version in VERSIONS:
        rules, space = small_space(version)
        space, area = vmalloc(rules, space, 3 * PAGE)
        flushes = space.flushes
        space, _ = vfree(rules, space, made(area).start)
        _, again = vmalloc(rules, space, 3 * PAGE)
        reused = made(again).start == made(area).start
        assert reused == (version == "2.6.24") == (space.flushes == flushes + 1)
        if version != "2.6.24":
            assert len(space.stale) == 3
            space = drain(rules, space)
            assert not space.stale
            _, again = vmalloc(rules, space, 3 * PAGE)
            assert made(again).start == made(area).start


def test_who_purges_when_too_much_waits() -> None:
    for version, due in (("4.4", False), ("5.14", False), ("6.1", True), ("6.12", True)):
        rules, space = small_space(version, limit=5)
        for _ in range(2):
            space, area = vmalloc(rules, space, 4 * PAGE)
            space, _ = vfree(rules, space, made(area).start)
        assert space.drain_due == due
        assert bool(space.stale) == due


def test_the_cached_place_hides_a_hole_below_until_it_is_known_to_fit() -> None:
    rules, space = small_space("4.4", limit=0)
    made_areas = []
    for _ in range(3):
        space, area = vmalloc(rules, space, 3 * PAGE)
        made_areas.append(made(area))
    space, _ = vfree(rules, space, made_areas[0].start)
    _, got = vmalloc(rules, space, PAGE)
    assert made(got).start == made_areas[0].start  # freed below the cached place: it goes back
    space, got = vmalloc(rules, space, 4 * PAGE)
    assert made(got).start > made_areas[2].start
    _, got = vmalloc(rules, space, 3 * PAGE)
    assert made(got).start > made_areas[2].start  # a hole of exactly the noted size is not looked for
    _, got = vmalloc(rules, space, 2 * PAGE)
    assert made(got).start == made_areas[0].start


def test_a_cpu_gets_its_own_areas_back_since_6_9() -> None:
    rules, space = small_space("6.12")
    space, one = vmalloc(rules, space, 2 * PAGE, cpu=0)
    space, two = vmalloc(rules, space, 2 * PAGE, cpu=1)
    for area in (one, two):
        space, _ = vfree(rules, space, made(area).start)
    space = drain(rules, space)
    assert space.pools == (((made(one).start, made(one).end),), ((made(two).start, made(two).end),))
    _, got = vmalloc(rules, space, 2 * PAGE, cpu=1)
    assert made(got).start == made(two).start
    assert drain(rules, space).pools == ((), ())  # fewer than four decay at once


def test_device_memory_is_aligned_to_its_size() -> None:
    for version, align in (("2.6.24", 8), ("4.4", 8), ("6.1", 4)):
        rules, space = small_space(version)
        _, area = get_vm_area(rules, space, 4 * PAGE, ioremap=True)
        assert made(area).start == space.start + align * PAGE


def test_huge_pages_fall_back_to_small_ones() -> None:
    rules = rules_for(kernel("6.1"))
    size = 2 << 20
    space = empty_space(rules, 1 << 30, (1 << 30) + 16 * size, Heap(2048), 2048)
    space, area = vmalloc(rules, space, size, huge=True)
    assert (made(area).order, made(area).start % size, len(made(area).frames)) == (9, 0, 512)
    tight: Space[Heap] = replace(space, pages=Heap(2048, 2040, 0, Map({0: tuple(range(600, 1200))})))
    _, small = vmalloc(rules, tight, size, huge=True)
    assert made(small).order == 0
    assert len(made(small).frames) == 512
    _, split = vmalloc(rules, space, size, huge=True, nodes=2)
    assert made(split).order == 0
    older = rules_for(kernel("5.10"))
    _, area = vmalloc(older, empty_space(older, 1 << 30, 5 << 30, Heap(2048), 2048), size, huge=True)
    assert made(area).order == 0


def test_a_block_is_carved_in_powers_of_two_and_never_twice() -> None:
    rules, space = small_space("6.1")
    space, first = vm_map_ram(rules, space, (1, 2, 3))
    space, second = vm_map_ram(rules, space, (4,))
    assert isinstance(first, int)
    assert second == first + 4 * PAGE
    space = vm_unmap_ram(rules, space, first, 3)
    space, third = vm_map_ram(rules, space, (5,))
    assert third == first + 5 * PAGE
    block = first // (8 * PAGE) * 8 * PAGE
    assert space.blocks[block] == Block(block, 2, 4)
    space = vm_unmap_ram(rules, space, second, 1)
    space = vm_unmap_ram(rules, space, third, 1)
    space, last = vm_map_ram(rules, space, (6, 7))
    assert space.queues == ((), ())
    assert isinstance(last, int)
    space = vm_unmap_ram(rules, space, last, 2)
    assert block not in space.blocks
    assert Waiting(block, block + 8 * PAGE) in space.lazy
    with pytest.raises(ValueError, match="nothing of vm_map_ram"):
        vm_unmap_ram(rules, space, last, 2)
    assert vm_map_ram(rules, space, ())[1] is Refused.EMPTY


def around(version: str, with_flush: bool) -> tuple[int, Refusal | None]:
    """Every interleaving of allocations and frees with a purge in three steps, on ten pages of addresses."""
    rules, first = small_space(version, pages=9, frames=3, limit=99)

    def steps(space: Space[Heap]) -> list[tuple[str, Space[Heap]]]:
        found = []
        for pages in (1, 2):
            after, got = vmalloc(rules, space, pages * PAGE) if not space.purging else (space, None)
            if isinstance(got, Area):
                found.append((f"vmalloc {pages}", after))
            if space.purging:
                after, start, node = rules.find(
                    rules, space, (pages + 1) * PAGE, PAGE, space.start, space.end, 0
                )
                if start >= 0 and len(after.busy) < 3:
                    area = Area(start, start + (pages + 1) * PAGE, tuple(range(90, 90 + pages)), node=node)
                    found.append((f"vmap {pages}", map_pages(with_area(after, area), start, area.frames)))
        freed = ((a.start, vfree(rules, space, a.start)[0]) for a in space.busy[1:])
        found.extend((f"vfree {start:#x}", after) for start, after in freed)
        if not space.purging and space.lazy:
            found.append(("purge begins", purge_begin(rules, space, False)))
        elif space.purging and not space.flushed:
            flushed = purge_flush(space) if with_flush else replace(space, flushed=True)
            found.append(("purge flushes", flushed))
        elif space.purging:
            found.append(("purge ends", purge_end(rules, space, False)))
        for name, after in found:
            if not name.startswith("vm"):
                refines(space, after)
        return [(name, replace(after, flushes=0, pages=_plain(after.pages))) for name, after in found]

    def judge(space: Space[Heap]) -> Refusal | None:
        clauses = broken(rules, space)
        return Refusal(clauses[0], "") if clauses else None

    found = search(first, steps, judge, 60_000)
    return found.states, found.broken


def where(space: Space[Heap], page: int) -> int:
    """Where an address stands in its life."""
    if any(area.start <= page < area.end for area in space.busy):
        return reuse.BUSY
    if any(each.start <= page < each.end for each in space.lazy):
        return reuse.LAZY
    if any(each.start <= page < each.end for each in space.purging):
        return reuse.READY if space.flushed else reuse.DETACHED
    return reuse.FREE


def refines(space: Space[Heap], after: Space[Heap]) -> None:
    """Every address takes a step of its life as the specification tells it, or none."""
    for page in range(space.start, space.end, PAGE):
        place = reuse.Place(where(space, page), 1, 0)
        steps = (reuse.let_go(place, 2), reuse.detached(place), reuse.flushed(place, 2), reuse.freed(place))
        assert where(after, page) in {place.where, *(each.where for each in steps)}


def _plain(pages: Heap) -> Heap:
    """Pages as a set: which of them come first does not matter here."""
    return replace(pages, back=Map({order: tuple(sorted(back)) for order, back in pages.back.items()}))


@pytest.mark.parametrize("version", ["4.4", "6.1", "6.12"])
def test_every_interleaving_of_a_purge_keeps_the_clauses(version: str) -> None:
    states, found = around(version, with_flush=True)
    assert found is None
    assert states > 300


def test_a_purge_without_its_flush_is_found() -> None:
    assert around("6.1", with_flush=False)[1] == Refusal("large.vmalloc.flushed", "")


def test_damaged_states_are_found() -> None:
    rules, space = small_space("6.1")
    area = space.busy[0]
    over = replace(space, busy=(area, Area(area.start, area.end)))
    assert "large.vmalloc.disjoint" in broken(rules, over)
    unguarded = map_pages(space, area.end - PAGE, (7,))
    assert broken(rules, unguarded) == ("large.vmalloc.guard", "large.vmalloc.pages")
    assert broken(rules, replace(space, busy=())) == ("large.vmalloc.tiled",)
    stale = replace(space, stale=frozenset({(space.end >> 12) - 1}))
    assert broken(rules, stale) == ("large.vmalloc.flushed",)
    bad = replace(space, blocks=space.blocks.set(PAGE, Block(PAGE, 9, 1)))
    assert broken_blocks(bad) == ("large.vmalloc.block at 0x1000", "large.vmalloc.block at 0x1000: queue")
    with pytest.raises(ImpossibleProfile, match="expected whole pages"):
        empty_space(rules, 1, PAGE, Heap(1), 1)


def test_before_2_6_28_device_memory_may_be_placed_beyond_the_end() -> None:
    rules, space = small_space("2.6.24", pages=16)
    space, _ = get_vm_area(rules, space, 11 * PAGE)
    space, area = get_vm_area(rules, space, 4 * PAGE, ioremap=True)
    assert made(area).start == space.end
    assert broken(rules, space) == ("large.vmalloc.tiled",)
