"""Counters and lists of groups together: charges, limits, swap and protection, in every era of version 2."""

from dataclasses import replace
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from linuxmm.model.memcg.charge import charge
from linuxmm.model.memcg.charged import Ask, Charged, Stock, World, drain_below, give_back
from linuxmm.model.memcg.counter import NOBODY, tree
from linuxmm.model.memcg.groups import Settings
from linuxmm.model.memcg.lists import bring, listed, no_lists, owned, use
from linuxmm.model.memcg.reclaim import Household, reclaimed_by
from linuxmm.model.memcg.swap import write_swap_max
from linuxmm.model.memcg.writes import reclaim, write_high, write_max
from linuxmm.model.reclaim.accesses import drop, mark_accessed
from linuxmm.model.reclaim.outside import PAGE_SYNCED, Store
from linuxmm.model.reclaim.profile import rules_for
from linuxmm.model.reclaim.state import ZoneMarks
from linuxmm.spec.kernel import kernel
from linuxmm.spec.memcg.counter import limit_kept
from linuxmm.spec.memcg.lists import listed_is_charged
from linuxmm.spec.memcg.swapping import swap_within
from linuxmm.spec.step import Err, Errno

PARENT: Final = (NOBODY, 0, 1, 1)
GROUPS: Final = range(4)
SLOTS: Final = 40


class Households(RuleBasedStateMachine):
    """A parent with two groups; a page is charged, stands on lists, and leaves both together."""

    @initialize(version=st.sampled_from(("4.6", "4.18", "5.4", "5.8", "6.1", "6.12")))
    def begin(self, version: str) -> None:
        self.now = kernel(version)
        self.how = rules_for(self.now, False)
        memory, swap = tree(PARENT, (999,) * 4), tree(PARENT, (999,) * 4)
        charged = Charged(memory, None, (Stock(), Stock()), swap=swap)
        lists = no_lists(PARENT, (ZoneMarks(999, 999, 2, 4, 8),), backing=Store(SLOTS, PAGE_SYNCED))
        self.home = Household(charged, lists)
        self.protects = Settings((0,) * 4, (0,) * 4)
        self.fresh = 0

    def world(self) -> World:
        def free(charged: Charged, group: int, pages: int, swap: bool) -> tuple[Charged, int]:
            home = replace(self.home, charged=charged)
            done = reclaimed_by(self.now, self.how, home, group, pages, swap, self.protects)
            self.home = done.state
            return done.state.charged, done.result

        def kill(charged: Charged, group: int) -> tuple[Charged, bool]:
            """The pages of one group are freed."""
            lists = self.home.lists
            for victim in (2, 3):
                pages = sorted(lists.groups[victim].pages)
                if pages and group in (victim, 1, 0):
                    for page in pages:
                        lists = use(self.now, lists, victim, lambda v, page=page: drop(self.how, v, page))  # type: ignore[misc]
                    charged = give_back(charged, victim, len(pages))
                    self.home = Household(charged, lists)
                    return charged, True
            return charged, False

        return World(free, kill)

    @rule(cpu=st.integers(0, 1), group=st.integers(2, 3), pages=st.integers(1, 12), anon=st.booleans())
    def fault(self, cpu: int, group: int, pages: int, anon: bool) -> None:
        for _ in range(pages):
            done = charge(self.now, self.home.charged, cpu, group, 1, Ask(), self.world())
            lists = self.home.lists
            if done.result is True:
                lists = bring(self.now, self.how, lists, group, self.fresh, self.fresh, anon=anon)
                self.fresh += 1
            else:
                assert done.result == Err(Errno.ENOMEM)
            self.home = Household(done.state, lists)

    @rule(group=st.integers(2, 3), number=st.integers(0, 99))
    def access(self, group: int, number: int) -> None:
        pages = sorted(self.home.lists.groups[group].pages)
        if pages:
            page = pages[number % len(pages)]
            lists = use(self.now, self.home.lists, group, lambda v: mark_accessed(self.how, v, page))
            self.home = replace(self.home, lists=lists)

    @rule(group=st.integers(1, 3), limit=st.sampled_from((8, 40, 999)))
    def write_max(self, group: int, limit: int) -> None:
        done = write_max(self.now, self.home.charged, group, limit, self.world())
        self.home = replace(self.home, charged=done.state)
        assert done.result is (self.home.charged.memory.usage[group] <= limit)

    @rule(group=st.integers(1, 3), high=st.sampled_from((8, 999)))
    def write_high(self, group: int, high: int) -> None:
        done = write_high(self.now, self.home.charged, group, high, self.world())
        self.home = replace(self.home, charged=done.state)

    @rule(group=st.integers(1, 3), limit=st.sampled_from((0, 5, 999)))
    def write_swap_max(self, group: int, limit: int) -> None:
        done = write_swap_max(self.now, self.home.charged, group, limit)
        if isinstance(done, Charged):
            self.home = replace(self.home, charged=done)

    @rule(low=st.sampled_from((0, 10, 30)), least=st.sampled_from((0, 10)))
    def protect(self, low: int, least: int) -> None:
        self.protects = Settings((0, 0, least, 0), (0, low, low, 0))

    @rule(group=st.integers(1, 3), pages=st.integers(1, 40))
    def reclaim(self, group: int, pages: int) -> None:
        if self.now.version >= kernel("5.19").version:
            before = self.home.charged.memory.usage[group]
            done = reclaim(self.now, self.home.charged, group, pages, self.world())
            self.home = replace(self.home, charged=done.state)
            gone = before - self.home.charged.memory.usage[group]
            assert gone >= pages if done.result is True else done.result == Err(Errno.EAGAIN)

    @invariant()
    def together(self) -> None:
        if not hasattr(self, "home"):
            return
        charged, lists = self.home.charged, self.home.lists
        settled = drain_below(charged, 0)
        assert settled.swap is not None
        for group in GROUPS:
            below = [at for at in GROUPS if group in (at, PARENT[at]) or group == 0]
            assert settled.memory.usage[group] == sum(owned(lists, at) for at in below)
            assert listed_is_charged(listed(lists, group), settled.memory.usage[group])
            memory, swap = charged.memory, settled.swap
            assert limit_kept(memory.usage[group], 0, memory.over[group], memory.limit[group])
            assert swap_within(swap.usage[group], 0, swap.over[group], swap.limit[group])
        assert settled.swap.usage[0] == SLOTS - lists.shared.backing.swap_free()


Households.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
TestHouseholds = Households.TestCase
