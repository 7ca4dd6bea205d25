"""Whatever happens in whatever order, the lists stay sound; on tiny machines every order is tried."""

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
from linuxmm.model.reclaim.audit import broken
from linuxmm.model.reclaim.outside import Entry, Mappings, Store
from linuxmm.model.reclaim.profile import rules_for
from linuxmm.model.reclaim.reclaimers import direct_reclaim
from linuxmm.model.reclaim.rules import Rules
from linuxmm.model.reclaim.state import (
    ANON,
    DIRTY,
    LOCKED,
    LRU,
    MLOCKED,
    PINNED,
    WRITEBACK,
    Lruvec,
    flag,
    has,
    mapped,
)
from linuxmm.model.reclaim.strategies import eras, machine
from linuxmm.model.vm.explore import search
from linuxmm.spec.kernel import kernel
from linuxmm.spec.step import Refusal

PAGES = 24
USES = ("access", "lock", "unlock", "lazy", "written", "drop")


class EveryStep(RuleBasedStateMachine):
    """Pages come, are used, mapped, locked, dirtied, written and reclaimed, in every release."""

    kernel: Rules
    v: Lruvec

    @initialize(release=eras(), batches=st.booleans())
    def begin(self, release: str, batches: bool) -> None:
        self.kernel = rules_for(kernel(release), batches)
        self.v = replace(machine(PAGES, zones=2), spaces=(0, PAGES))

    def some(self, number: int) -> int | None:
        pages = sorted(self.v.pages)
        return pages[number % len(pages)] if pages else None

    @rule(number=st.integers(0, 2 * PAGES - 1), anon=st.booleans(), dirty=st.booleans())
    def bring(self, number: int, anon: bool, dirty: bool) -> None:
        if number not in self.v.pages and self.v.zones[number % 2].free:
            self.v = bring_in(self.kernel, self.v, number, number, anon=anon, zone=number % 2, dirty=dirty)

    @rule(number=st.integers(0, 99), how=st.sampled_from(USES))
    def use(self, number: int, how: str) -> None:
        page = self.some(number)
        if page is None:
            return
        if how == "access":
            self.v = mark_accessed(self.kernel, self.v, page)
        elif how == "lock":
            self.v = mlock(self.kernel, self.v, page)
        elif how == "unlock":
            self.v = munlock(self.kernel, self.v, page, others=False)
        elif how == "lazy" and (self.kernel.lazyfree or self.kernel.lazyfree_stays):
            self.v = mark_lazyfree(self.kernel, self.v, page)
        elif how == "written":
            self.v = end_writeback(self.kernel, self.v, page)
        elif how == "drop" and not mapped(self.v, page):
            self.v = drop(self.kernel, self.v, page)

    @rule(
        number=st.integers(0, 99),
        entry=st.builds(Entry, st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    )
    def map(self, number: int, entry: Entry) -> None:
        page = self.some(number)
        if page is not None:
            assert isinstance(self.v.rmap, Mappings)
            self.v = replace(self.v, rmap=self.v.rmap.map(page, entry._replace(address=page)))

    @rule(number=st.integers(0, 99), bit=st.sampled_from([DIRTY, LOCKED, PINNED]), on=st.booleans())
    def mark(self, number: int, bit: int, on: bool) -> None:
        page = self.some(number)
        if page is not None:
            self.v = flag(self.v, page, bit, on)

    @rule(swappiness=st.sampled_from([0, 60, 100]), order=st.sampled_from([0, 4]))
    def reclaim(self, swappiness: int, order: int) -> None:
        before = self.v
        held_by = LOCKED | PINNED | (0 if self.kernel.marks_anon else WRITEBACK)
        held_by |= MLOCKED if self.kernel.split else 0
        held_by |= WRITEBACK if self.kernel.aged else 0
        held = {page for page in before.pages if has(before, page, held_by)}
        self.v, progress = self.kernel.direct(self.kernel, before, order, swappiness, None)
        gone = set(before.pages) - set(self.v.pages)
        assert len(gone) == progress.reclaimed
        assert not gone & held
        assert sum(z.free for z in self.v.zones) == sum(z.free for z in before.zones) + len(gone)

    @rule()
    def balance(self) -> None:
        self.v, _ = self.kernel.daemon(self.kernel, self.v, 60, None)

    @rule()
    def drain(self) -> None:
        self.v = drain(self.kernel, self.v)

    @invariant()
    def sound(self) -> None:
        if hasattr(self, "v"):
            assert broken(self.kernel, self.v) is None


TestEveryStep = EveryStep.TestCase
TestEveryStep.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)


# ---- tiny machines -----------------------------------------------------------------------------------------


def plain(v: Lruvec) -> Lruvec:
    """A state without what only counts: statistics, clocks and events."""
    return replace(
        v,
        log=(),
        counters=Map(),
        clock=0,
        shadows=Map(),
        saved=(0, 0, 0, 0),
        scanned=(0, 0),
        rotated=(0, 0),
        cost=(0, 0),
        fruitless=0,
        previous=12,
        refaults=(0, 0),
        looked=(0, 0),
        failures=0,
        pressure=0,
        mms=(),
    )


def steps(rules: Rules, v: Lruvec, pages: int) -> Iterator[tuple[str, Lruvec]]:
    """Every step of a machine of so many pages, of which the last is anonymous."""
    for page in range(pages):
        if page not in v.pages:
            yield f"bring {page}", bring_in(rules, v, page, page, anon=page == pages - 1)
            continue
        yield f"access {page}", mark_accessed(rules, v, page)
        yield f"written {page}", end_writeback(rules, v, page)
        if has(v, page, MLOCKED):
            yield f"unlock {page}", munlock(rules, v, page, others=False)
        else:
            yield f"lock {page}", mlock(rules, v, page)
        if page == 0 and not has(v, page, DIRTY):
            yield "dirty", flag(v, page, DIRTY, True)
    yield "reclaim", rules.direct(rules, v, 0, 60, None)[0]
    yield "drain", drain(rules, v)


@pytest.mark.parametrize(
    ("release", "pages"),
    [
        ("2.4.0", 2),
        ("2.4.9", 3),
        ("2.4.17", 3),
        ("2.4.32", 3),
        ("2.6.24", 3),
        ("2.6.32", 3),
        ("4.9", 2),
        ("6.1", 2),
    ],
)
def test_every_order_of_steps_keeps_the_lists_sound(release: str, pages: int) -> None:
    rules = rules_for(kernel(release), batches=True)
    start = machine(pages, backing=Store(1))

    def judge(v: Lruvec) -> Refusal | None:
        return broken(rules, v)

    found = search(start, lambda v: ((name, plain(after)) for name, after in steps(rules, v, pages)), judge)
    assert found.broken is None
    assert found.states > 100


@pytest.mark.parametrize("release", ["2.4.17", "3.5", "6.1"])
def test_every_tiny_machine_makes_progress_or_has_nothing_to_give(release: str) -> None:
    """Within four calls a page is freed, if a clean file page is held by nobody and no other is dirty."""
    rules = rules_for(kernel(release), batches=False)

    def judge(v: Lruvec) -> Refusal | None:
        able = [
            page for page in v.pages
            if not has(v, page, ANON | DIRTY | WRITEBACK | LOCKED | PINNED | MLOCKED) and has(v, page, LRU)
        ]  # fmt: skip
        freed = 0
        for _ in range(4):
            v, progress = rules.direct(rules, plain(v), 0, 60, None)
            freed += progress.reclaimed
        if able and not freed:
            return Refusal("reclaim.progress", f"{able} could go, and nothing did")
        return None

    def go(v: Lruvec) -> Iterator[tuple[str, Lruvec]]:
        for name, after in steps(rules, v, 2):
            if not name.startswith(("written", "dirty")):
                yield name, plain(after)

    found = search(machine(2, backing=Store(1)), go, judge)
    assert found.broken is None
    assert found.states > 30


def test_a_dirty_page_alone_holds_the_active_ones_back_until_it_is_written() -> None:
    """Found by the search: 3.5 takes no active page down while as many are inactive, and writes none."""
    rules = rules_for(kernel("3.5"), batches=False)
    v = flag(bring_in(rules, machine(3), 0, 0), 0, DIRTY, True)
    v = bring_in(rules, v, 1, 1)
    v = mark_accessed(rules, mark_accessed(rules, v, 1), 1)
    for _ in range(40):
        v, progress = direct_reclaim(rules, v)
        assert progress.reclaimed == 0
    v, progress = direct_reclaim(rules, flag(v, 0, DIRTY, False))
    assert progress.reclaimed == 1
