"""Whatever happens in whatever order, lists by generation stay sound; on tiny machines, every order."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from immutables import Map

from linuxmm.model.reclaim.accesses import (
    bring_in,
    drain,
    drop,
    end_writeback,
    mark_accessed,
    mark_lazyfree,
    mlock,
    munlock,
)
from linuxmm.model.reclaim.ageing import age, close_empty
from linuxmm.model.reclaim.audit import broken
from linuxmm.model.reclaim.eviction import shrink_generations
from linuxmm.model.reclaim.gen_state import tick
from linuxmm.model.reclaim.gen_switch import switch
from linuxmm.model.reclaim.outside import PAGE_SYNCED, Entry, Mappings, Store
from linuxmm.model.reclaim.profile import rules_for
from linuxmm.model.reclaim.reclaimers import direct_reclaim, kswapd
from linuxmm.model.reclaim.rules import Control, Rules
from linuxmm.model.reclaim.state import (
    DIRTY,
    LOCKED,
    MLOCKED,
    PINNED,
    WORKINGSET,
    WRITEBACK,
    Lruvec,
    flag,
    has,
    mapped,
)
from linuxmm.model.reclaim.strategies import machine
from linuxmm.model.vm.explore import search
from linuxmm.spec.kernel import kernel
from linuxmm.spec.step import Refusal

PAGES = 24
USES = ("access", "lock", "unlock", "lazy", "written", "drop")


class EveryGenerationStep(RuleBasedStateMachine):
    """Pages come, are used, mapped, locked, dirtied, written, aged and reclaimed; the switch is turned."""

    kernel: Rules
    v: Lruvec

    @initialize(
        release=st.sampled_from(["6.1", "6.12"]), batches=st.booleans(), swap=st.sampled_from([0, 99])
    )
    def begin(self, release: str, batches: bool, swap: int) -> None:
        self.kernel = rules_for(kernel(release), batches, generations=True)
        start = machine(PAGES, zones=2, backing=Store(swap, PAGE_SYNCED))
        self.v = switch(self.kernel, start, True)

    def some(self, number: int) -> int | None:
        pages = sorted(self.v.pages)
        return pages[number % len(pages)] if pages else None

    @rule(number=st.integers(0, 2 * PAGES - 1), anon=st.booleans(), dirty=st.booleans(), fault=st.booleans())
    def bring(self, number: int, anon: bool, dirty: bool, fault: bool) -> None:
        if number not in self.v.pages and self.v.zones[number % 2].free:
            self.v = bring_in(
                self.kernel, self.v, number, number, anon=anon, zone=number % 2, dirty=dirty, fault=fault
            )

    @rule(number=st.integers(0, 99), how=st.sampled_from(USES), times=st.integers(1, 5))
    def use(self, number: int, how: str, times: int) -> None:
        page = self.some(number)
        if page is None:
            return
        if how == "access":
            for _ in range(times):
                self.v = mark_accessed(self.kernel, self.v, page)
        elif how == "lock":
            self.v = mlock(self.kernel, self.v, page)
        elif how == "unlock":
            self.v = munlock(self.kernel, self.v, page, others=False)
        elif how == "lazy":
            self.v = mark_lazyfree(self.kernel, self.v, page)
        elif how == "written":
            self.v = end_writeback(self.kernel, self.v, page)
        elif how == "drop" and not mapped(self.v, page):
            self.v = drop(self.kernel, self.v, page)

    @rule(
        numbers=st.lists(st.integers(0, 99), max_size=6),
        entry=st.builds(Entry, st.booleans(), st.booleans(), st.just(False), st.booleans()),
    )
    def map(self, numbers: list[int], entry: Entry) -> None:
        for number in numbers:
            page = self.some(number)
            if page is not None:
                assert isinstance(self.v.rmap, Mappings)
                self.v = replace(self.v, rmap=self.v.rmap.map(page, entry))

    @rule(number=st.integers(0, 99), bit=st.sampled_from([DIRTY, LOCKED, PINNED]), on=st.booleans())
    def mark(self, number: int, bit: int, on: bool) -> None:
        page = self.some(number)
        if page is not None:
            self.v = flag(self.v, page, bit, on)

    @rule(passed=st.frozensets(st.integers(0, 2 * PAGES - 1), max_size=3), walks=st.booleans())
    def choose(self, passed: frozenset[int], walks: bool) -> None:
        self.v = replace(self.v, gens=replace(self.v.gens, passed=passed, walks=walks))

    @rule(can_swap=st.booleans())
    def age(self, can_swap: bool) -> None:
        if self.v.gens.enabled:
            self.v = age(tick(self.v, 1), can_swap)

    @rule(swappiness=st.sampled_from([0, 1, 60, 200]), order=st.sampled_from([0, 4]))
    def reclaim(self, swappiness: int, order: int) -> None:
        before = self.v
        held = {page for page in before.pages if has(before, page, LOCKED | PINNED | WRITEBACK | MLOCKED)}
        self.v, progress = direct_reclaim(self.kernel, before, order, swappiness)
        gone = set(before.pages) - set(self.v.pages)
        claimed = progress.reclaimed - len(gone)
        assert claimed >= 0
        assert claimed % 64 == 0
        assert not gone & held
        assert sum(z.free for z in self.v.zones) == sum(z.free for z in before.zones) + len(gone)

    @rule(ttl=st.sampled_from([0, 2]))
    def balance(self, ttl: int) -> None:
        self.v, _ = kswapd(self.kernel, replace(self.v, gens=replace(self.v.gens, ttl=ttl)))

    @rule()
    def drain(self) -> None:
        self.v = drain(self.kernel, self.v)

    @rule()
    def turn(self) -> None:
        self.v = switch(self.kernel, self.v, not self.v.gens.enabled)

    @invariant()
    def sound(self) -> None:
        if hasattr(self, "v"):
            assert broken(self.kernel, self.v) is None


TestEveryGenerationStep = EveryGenerationStep.TestCase
TestEveryGenerationStep.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


# ---- tiny machines -----------------------------------------------------------------------------------------


def plain(v: Lruvec) -> Lruvec:
    """A state without what only counts: rates, clocks and events; generations are numbered from 3 to 6."""
    down = (v.gens.max_seq - 3) // 4 * 4
    anon, file = v.gens.min_seq
    gens = replace(v.gens, max_seq=v.gens.max_seq - down, min_seq=(anon - down, file - down))
    gens = replace(gens, births=(0,) * 4, rates=(0,) * 40)
    v = replace(v, log=(), counters=Map(), clock=0, shadows=Map(), fruitless=0, many_dirty=False, gens=gens)
    return replace(
        v, backing=Store(99, PAGE_SYNCED), scanned=(0, 0), rotated=(0, 0), cost=(0, 0), previous=12
    )


def steps(rules: Rules, v: Lruvec, pages: int) -> Iterator[tuple[str, Lruvec]]:
    """Every step of a machine whose last page is anonymous and mapped, and whose others are of files."""
    for page in range(pages):
        if page not in v.pages:
            yield f"bring {page}", bring_in(rules, v, page, page, anon=page == pages - 1)
            continue
        if page == pages - 1:
            assert isinstance(v.rmap, Mappings)
            yield "touch", replace(v, rmap=v.rmap.map(page, Entry(young=True)))
            continue
        if not has(v, page, WORKINGSET):
            yield f"access {page}", mark_accessed(rules, v, page)
        if has(v, page, DIRTY):
            yield f"written {page}", end_writeback(rules, flag(v, page, DIRTY, False), page)
        else:
            yield f"dirty {page}", flag(v, page, DIRTY, True)
    yield "age", age(v, True)
    yield "age files", age(v, False)
    yield "close", close_empty(v, True)[0]
    yield "reclaim", shrink_generations(rules, v, Control(0, 32))[0]


@pytest.mark.parametrize(("release", "pages"), [("6.1", 2), ("6.12", 2)])
def test_every_order_of_steps_keeps_the_generations_sound(release: str, pages: int) -> None:
    rules = rules_for(kernel(release), False, generations=True)
    start = switch(rules, machine(pages, backing=Store(99, PAGE_SYNCED)), True)

    def judge(v: Lruvec) -> Refusal | None:
        return broken(rules, v)

    def go(v: Lruvec) -> Iterator[tuple[str, Lruvec]]:
        for name, after in steps(rules, v, pages):
            if name != "age files":
                yield name, plain(after)

    found = search(start, go, judge, 20_000)
    assert found.broken is None
    assert found.states > 1000


@pytest.mark.parametrize("release", ["6.1", "6.12"])
def test_every_tiny_machine_frees_a_clean_file_page_or_has_none(release: str) -> None:
    """Within four calls; where swap is there always or never, so that no generation closes over its pages."""
    rules = rules_for(kernel(release), False, generations=True)
    start = switch(rules, machine(2, backing=Store(99, PAGE_SYNCED)), True)

    def judge(v: Lruvec) -> Refusal | None:
        able = [page for page in v.pages if not has(v, page, DIRTY | WRITEBACK)]
        freed = 0
        for _ in range(4):
            after, _ = direct_reclaim(rules, plain(v))
            freed += len(v.pages) - len(after.pages)
            v = after
        if able and not freed:
            return Refusal("reclaim.progress", f"{able} could go, and nothing did")
        return None

    def go(v: Lruvec) -> Iterator[tuple[str, Lruvec]]:
        for name, after in steps(rules, v, 2):
            if not name.startswith(("written", "dirty", "age files")):
                yield name, plain(after)

    found = search(start, go, judge)
    assert found.broken is None
    assert found.states > 100
