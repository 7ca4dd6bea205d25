"""Lists by group: clocks and refaults through the tree, walks, protection, soft limits, removal."""

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from immutables import Map

from linuxmm.model.memcg.charge import charge
from linuxmm.model.memcg.charged import Ask, Charged, GroupEvent, Kind, Stock, World, drain_below, force
from linuxmm.model.memcg.counter import NOBODY, tree
from linuxmm.model.memcg.groups import Settings
from linuxmm.model.memcg.lists import (
    Lists,
    bring,
    close,
    evicting,
    figure,
    listed,
    move_to_parent,
    no_lists,
    owned,
    use,
)
from linuxmm.model.memcg.reclaim import (
    Asked,
    Household,
    Limited,
    guards,
    reclaim_group,
    reclaimed_by,
    rules_of_group,
    shrink_tree,
)
from linuxmm.model.memcg.soft import machine_reclaim, soft_reclaim
from linuxmm.model.reclaim.accesses import mark_accessed
from linuxmm.model.reclaim.audit import broken
from linuxmm.model.reclaim.outside import PAGE_SYNCED, Store
from linuxmm.model.reclaim.profile import rules_for
from linuxmm.model.reclaim.rules import control_at, control_of
from linuxmm.model.reclaim.scan import scan_counts
from linuxmm.model.reclaim.shrink import shrink_inactive
from linuxmm.model.reclaim.state import ACTIVE, DIRTY, Lruvec, ZoneMarks, flag, has
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.kernel import kernel
from linuxmm.spec.memcg.files import stolen_were_scanned
from linuxmm.spec.memcg.lists import clock_above, listed_is_charged, min_kept
from linuxmm.spec.memcg.protection import LOW, MIN, NONE
from linuxmm.spec.reclaim.lists import INACTIVE_FILE

PARENT: Final = (NOBODY, 0, 1, 1)
ZONES: Final = (ZoneMarks(9000, 9000, 2, 4, 8),)
FREE: Final = Settings((0,) * 4, (0,) * 4)
ERAS: Final = ("3.4", "3.16", "4.4", "4.9", "4.18", "5.4", "5.7", "5.8", "6.1", "6.12")


def filled(version: str, pages: tuple[int, ...], swap: int = 0) -> Lists:
    """File pages of each group, none used twice."""
    rules = rules_for(kernel(version), False)
    lists = no_lists(PARENT, ZONES, backing=Store(swap))
    page = 0
    for group, number in enumerate(pages):
        for _ in range(number):
            lists = bring(kernel(version), rules, lists, group, page, page)
            page += 1
    return lists


def asked(lists: Lists, target: int = 0, settings: Settings = FREE) -> Asked:
    """Reclaim for a group; a group is charged for what it and those below have."""
    own = [owned(lists, at) for at in range(len(PARENT))]
    return Asked(target, settings, (sum(own), sum(own[1:]), own[2], own[3]))


def test_pages_stand_on_the_lists_of_their_group() -> None:
    lists = filled("6.1", (1, 2, 3, 4))
    assert [listed(lists, at) for at in range(4)] == [1, 2, 3, 4]
    assert lists.groups[2].lists[INACTIVE_FILE] == (5, 4, 3)
    assert lists.shared.zones[0].free == 9000 - 10
    assert all(not v.shadows for v in lists.groups)


def test_one_page_evicted_and_the_clocks_of_each_era() -> None:
    """Who competes: all of the machine; each group for itself; all below the one that was reclaimed."""
    seen = {}
    for version in ("3.16", "4.9", "5.7", "5.8", "6.12"):
        lists = filled(version, (0, 0, 40, 40))
        rules = rules_for(kernel(version), False)
        control = control_at(control_of(0, False, 0, 60), 0, 80, 0, 0)
        after, done = shrink_tree(kernel(version), rules, lists, asked(lists, 1), control, False)
        gone = [40 - owned(after, at) for at in (2, 3)]
        clocks = tuple(v.clock for v in after.groups)
        owners = {after.owner[slot] for slot in after.shared.shadows}
        seen[version] = (gone, clocks, owners, done.visited)
    assert seen == {
        "3.16": ([40, 40], (80, 0, 0, 0), {0}, (1, 2, 3)),
        "4.9": ([40, 40], (0, 0, 40, 40), {2, 3}, (1, 2, 3)),
        "5.7": ([40, 40], (80, 80, 40, 40), {1}, (1, 2, 3)),
        "5.8": ([40, 40], (80, 80, 0, 0), {1}, (1, 2, 3)),
        "6.12": ([40, 40], (80, 80, 0, 0), {1}, (1, 2, 3)),
    }


def returning(version: str, others: int, target: int) -> bool:
    """Whether a page of group 2 is active when it comes back.

    Group 3 has `others` active pages; then each of the two groups loses 40, in reclaim of `target`.
    """
    at, rules = kernel(version), rules_for(kernel(version), False)
    lists = filled(version, (0, 0, 40, 40 + others))
    for page in range(80, 80 + others):
        for _ in range(2):

            def access(v: Lruvec, page: int = page) -> Lruvec:
                return mark_accessed(rules, v, page)

            lists = use(at, lists, 3, access)
    lists = replace(lists, groups=tuple(replace(v, clock=0) for v in lists.groups))
    control = control_at(control_of(0, False, 0, 60), 0, 999, 0, 0)
    for group in (2, 3):

        def lose(v: Lruvec) -> Lruvec:
            return shrink_inactive(rules, v, INACTIVE_FILE, 40, control)[0]

        lists = evicting(at, lists, group, group if target == 0 else target, lose)
    assert [owned(lists, group) for group in (2, 3)] == [0, others]
    return has(bring(at, rules, lists, 2, 900, 0).groups[2], 900, ACTIVE)


def test_whom_a_returning_page_is_measured_against() -> None:
    """79 pages went after it in all, 39 of its own group; its siblings have 60 active pages, or 90."""
    seen = {version: [returning(version, others, 1) for others in (60, 90)] for version in ERAS[1:]}
    assert seen == {
        "3.16": [False, True],
        "4.4": [False, True],
        "4.9": [False, False],
        "4.18": [False, False],
        "5.4": [False, False],
        "5.7": [False, True],
        "5.8": [False, True],
        "6.1": [False, True],
        "6.12": [False, True],
    }
    assert returning("6.12", 90, 0) is False


def test_sizes_are_right_after_a_refault_against_a_tree() -> None:
    for version in ERAS[1:]:
        rules, at = rules_for(kernel(version), False), kernel(version)
        lists = filled(version, (0, 0, 40, 40))
        lists, _, _ = reclaim_group(at, rules, lists, asked(lists, 1), 32, True)
        slot = min(lists.shared.shadows)
        group = 2 if slot < 40 else 3
        before = owned(lists, group)
        lists = bring(at, rules, lists, group, 900, slot)
        assert owned(lists, group) == before + 1
        assert slot not in lists.shared.shadows
        assert slot not in lists.owner
        for at_group in range(4):
            assert broken(rules, replace(lists.groups[at_group], zones=lists.shared.zones)) is None


def test_a_removed_group_says_nothing_of_when() -> None:
    for version, counted in (("6.1", 0), ("6.12", 1)):
        at, rules = kernel(version), rules_for(kernel(version), False)
        lists = filled(version, (0, 0, 40, 90))
        lists, _, _ = reclaim_group(at, rules, lists, asked(lists, 2), 32, True)
        slot = max(lists.shared.shadows)
        lists = bring(at, rules, close(lists, 2), 3, 900, slot)
        own = lists.groups[3]
        assert not has(own, 900, ACTIVE)
        assert own.counters.get("workingset_refault_file", 0) == counted
        assert own.counters.get("workingset_activate_file", 0) == 0


def test_walks_end_and_go_on_in_their_own_way() -> None:
    def visits(version: str, target: int, kswapd: bool) -> list[tuple[int, ...]]:
        at, rules = kernel(version), rules_for(kernel(version), False)
        lists = filled(version, (40, 40, 40, 40))
        found = []
        for _ in range(2):
            control = control_at(control_of(0, kswapd, 0, 60), 0, 20, 0, 0)
            lists, done = shrink_tree(at, rules, lists, asked(lists, target), control, False)
            found.append(done.visited)
        return found

    assert visits("3.4", 1, False) == [(1,), (2,)]
    assert visits("3.16", 1, False) == [(1,), (2,)]
    assert visits("3.16", 0, False) == [(0, 1, 2, 3), (0, 1, 2, 3)]
    assert visits("5.4", 1, False) == [(1, 2, 3), (1, 2, 3)]
    assert visits("6.12", 0, False) == [(0,), (1,)]
    assert visits("6.12", 0, True) == [(0, 1, 2, 3), (0, 1, 2, 3)]
    with pytest.raises(Unmodelled, match=r"rule 'memcg\..*' has no behaviour registered for kernel 3\.2"):
        visits("3.2", 0, False)


def test_guards_of_each_era() -> None:
    settings = Settings((0, 0, 0, 30), (0, 80, 50, 0))
    lists = filled("6.1", (5, 0, 40, 30))

    def how(version: str) -> tuple[int, ...]:
        return guards(kernel(version), lists, asked(lists, 0, settings))[0]

    assert how("3.16") == (NONE, NONE, NONE, NONE)
    assert how("4.4") == (NONE, LOW, LOW, NONE)
    assert how("5.4") == (NONE, LOW, LOW, NONE)
    assert how("6.1") == (NONE, LOW, LOW, LOW)  # what group 2 does not claim of its parent's is shared
    whole = Settings((0, 70, 0, 30), (0, 0, 0, 0))
    assert guards(kernel("6.1"), lists, asked(lists, 0, whole))[0] == (NONE, MIN, MIN, MIN)
    assert guards(kernel("6.1"), lists, asked(lists, 3, whole))[0] == (NONE, NONE, NONE, NONE)


def test_low_gives_way_when_nothing_else_is_left_and_min_never() -> None:
    lists = filled("6.1", (0, 0, 40, 40))
    at, rules = kernel("6.1"), rules_for(kernel("6.1"), False)
    lows = Settings((0,) * 4, (0, 0, 40, 40))
    after, freed, passes = reclaim_group(at, rules, lists, asked(lists, 1, lows), 32, True)
    assert freed >= 32
    assert [one.low for one in passes if one.visited and one.low][:1] == [(2, 3)]
    assert sum(not one.low for one in passes) == 13
    least = Settings((0, 0, 40, 0), (0,) * 4)
    after, freed, passes = reclaim_group(at, rules, lists, asked(lists, 1, least), 64, True)
    assert (freed, owned(after, 2)) == (40, 40)
    assert min_kept(40, owned(after, 2), True)
    assert not min_kept(40, 39, True)
    both = Settings((0, 0, 40, 40), (0,) * 4)
    after, freed, passes = reclaim_group(at, rules, lists, asked(lists, 1, both), 64, True)
    assert (freed, after.groups, len(passes)) == (0, lists.groups, 13)


def test_a_protected_share_is_left_out_of_a_scan() -> None:
    def counted(version: str, protection: int, online: bool = True, priority: int = 2) -> int:
        at, rules = kernel(version), rules_for(kernel(version), False)
        lists = filled(version, (0, 0, 400, 0))
        v = lists.groups[2]
        control = control_at(control_of(0, False, 0, 60), priority, 32, 0, 0)
        own = rules_of_group(at, rules, v, control, 400, protection, online)
        return scan_counts(own, v, control)[1][INACTIVE_FILE]

    assert [counted(version, 0) for version in ("4.4", "5.4", "6.1")] == [100, 100, 100]
    assert [counted(version, 200) for version in ("4.4", "5.4", "6.1")] == [100, 50, 50]
    assert counted("6.1", 400, priority=0) == 32
    assert counted("6.1", 0, priority=10) == 0
    assert counted("6.1", 0, online=False, priority=10) == 32


def test_what_low_left_out_is_taken_in_a_second_turn_since_5_15() -> None:
    """Dirty pages cannot go; the first turn scanned only what low does not cover."""
    for version, turns in (("5.14", 13), ("5.15", 26)):
        at, rules = kernel(version), rules_for(kernel(version), False)
        lists = filled(version, (0, 0, 60, 0))
        stuck = lists.groups[2]
        for page in stuck.pages:
            stuck = flag(stuck, page, DIRTY, True)
        lists = replace(lists, groups=(*lists.groups[:2], stuck, lists.groups[3]))
        settings = Settings((0,) * 4, (0, 0, 50, 0))
        _, freed, passes = reclaim_group(at, rules, lists, asked(lists, 1, settings), 32, False)
        assert (freed, len(passes)) == (0, turns)


def test_a_group_takes_no_more_swap_than_it_may() -> None:
    limited = Limited(Store(9), 2)
    assert limited.swap_free() == 2
    limited, taken = limited.take_slot(1)
    limited, again = limited.take_slot(2)
    limited, never = limited.take_slot(3)
    assert (taken, again, never, limited.swap_free()) == (True, True, False, 0)
    assert limited.give_slot(1).swap_free() == 1
    assert Limited(Store(9), -3).swap_free() == 0
    assert limited.pageout(1)[1] == Store(0).pageout(1)[1]


def test_a_removed_group_leaves_its_pages_or_moves_them() -> None:
    lists = filled("3.4", (0, 3, 3, 0))
    moved = move_to_parent(lists, 2)
    assert [owned(moved, at) for at in range(4)] == [0, 6, 0, 0]
    assert moved.groups[1].lists[INACTIVE_FILE] == (5, 4, 3, 2, 1, 0)
    assert moved.groups[1].sizes[INACTIVE_FILE] == 6
    assert broken(rules_for(kernel("3.4"), False), moved.groups[1]) is None
    kept = close(lists, 2)
    assert (kept.groups, kept.online) == (lists.groups, (True, True, False, True))


def test_soft_limits_take_from_who_exceeds_most() -> None:
    at, rules = kernel("4.4"), rules_for(kernel("4.4"), False)
    lists = filled("4.4", (0, 0, 60, 90))

    def usage(now: Lists) -> tuple[int, ...]:
        return asked(now).charged

    soft = (999, 999, 10, 10)
    after, freed = soft_reclaim(at, rules, lists, soft, usage)
    assert freed >= 80 >> 2
    assert (owned(after, 2), owned(after, 3)) == (60, 90 - freed)
    assert soft_reclaim(at, rules, lists, soft, usage, order=1) == (lists, 0)
    assert soft_reclaim(at, rules, lists, (999,) * 4, usage) == (lists, 0)


def test_the_machine_asks_who_exceeds_a_soft_limit_first() -> None:
    at, rules = kernel("4.4"), rules_for(kernel("4.4"), False)
    lists = filled("4.4", (0, 0, 60, 90))

    def usage(now: Lists) -> tuple[int, ...]:
        return asked(now).charged

    after, freed, passes = machine_reclaim(at, rules, lists, (999, 999, 999, 10), usage)
    assert freed >= 80 >> 2
    assert (owned(after, 2), sum(owned(after, group) for group in range(4))) == (60, 150 - freed)
    after, freed, passes = machine_reclaim(at, rules, lists, (999, 999, 999, 10), usage, order=2)
    assert owned(after, 2) < 60
    assert len(passes) <= 13


def home(version: str) -> Household:
    """Two groups within one, each with its lists; the one above has a limit of 90."""
    charged = Charged(tree(PARENT, (999, 90, 999, 999)), None, (Stock(),))
    return Household(charged, no_lists(PARENT, ZONES))


@pytest.mark.parametrize("version", ["3.16", "4.18", "6.1", "6.12"])
def test_a_limit_is_kept_by_reclaim_of_real_lists(version: str) -> None:
    at, rules = kernel(version), rules_for(kernel(version), False)
    state = home(version)
    for page in range(200):
        group = 2 + page % 2

        def reclaim(charged: Charged, over: int, pages: int, swap: bool) -> tuple[Charged, int]:
            nonlocal state
            done = reclaimed_by(at, rules, replace(state, charged=charged), over, pages, swap, FREE)
            state = done.state
            return state.charged, done.result

        world = World(reclaim, lambda s, g: (s, False))
        done = charge(at, state.charged, 0, group, 1, Ask(), world)
        assert done.result is True
        lists = bring(at, rules, state.lists, group, page, page)
        state = Household(drain_below(done.state, 0), lists)
        for each in (2, 3):
            assert state.charged.memory.usage[each] == owned(lists, each)
            assert listed_is_charged(listed(lists, each), state.charged.memory.usage[each])
        assert state.charged.memory.usage[1] <= 90
    assert not listed_is_charged(2, 1)


def test_each_group_swaps_within_its_own_limit() -> None:
    """Two groups of anonymous pages; one may take 5 slots, both together 12."""
    for version in ("4.18", "6.1"):
        at, rules = kernel(version), rules_for(kernel(version), False)
        memory = tree(PARENT, (999,) * 4)
        charged = Charged(memory, None, (Stock(),), swap=tree(PARENT, (999, 12, 5, 99)))
        lists = no_lists(PARENT, ZONES, backing=Store(50, PAGE_SYNCED))
        for page in range(80):
            lists = bring(at, rules, lists, 2 + page % 2, page, page, anon=True)
            charged = force(charged, 2 + page % 2, 1)
        state = Household(charged, lists)
        for _ in range(3):
            state = reclaimed_by(at, rules, state, 1, 32, True, FREE).state
        swap = state.charged.swap
        assert swap is not None
        assert swap.usage[2] <= 5
        assert 5 < swap.usage[1] <= 12
        assert swap.usage[1] == swap.usage[2] + swap.usage[3] == 50 - state.lists.shared.backing.swap_free()
        assert [owned(state.lists, group) for group in (2, 3)] == list(state.charged.memory.usage[2:])


def test_figures_of_a_group_are_those_of_all_below_it() -> None:
    at, rules = kernel("6.1"), rules_for(kernel("6.1"), False)
    lists, freed, _ = reclaim_group(
        at, rules, filled("6.1", (0, 0, 40, 40)), Asked(1, FREE, (80,) * 4), 64, True
    )
    own = [figure(lists, group, "pgsteal_direct") for group in range(4)]
    assert own[0] == own[1] == own[2] + own[3] == freed
    assert stolen_were_scanned({"pgscan": figure(lists, 1, "pgscan_direct"), "pgsteal": own[1]})


def test_low_is_told_when_it_gives_way() -> None:
    at, rules = kernel("6.1"), rules_for(kernel("6.1"), False)
    state = home("6.1")
    for page in range(40):
        state = Household(force(state.charged, 2, 1), bring(at, rules, state.lists, 2, page, page))
    done = reclaimed_by(at, rules, state, 1, 32, True, Settings((0,) * 4, (0, 0, 40, 0)))
    assert done.result >= 32
    assert set(done.events) == {GroupEvent(Kind.LOW, 2)}
    assert done.state.charged.memory.usage[2] == owned(done.state.lists, 2) == 40 - done.result


class Groups(RuleBasedStateMachine):
    """Pages come, are used, reclaimed for any group and come back, in every era."""

    @initialize(version=st.sampled_from(ERAS))
    def begin(self, version: str) -> None:
        self.kernel, self.own_rules = kernel(version), rules_for(kernel(version), False)
        self.lists = no_lists(PARENT, ZONES, backing=Store(20))
        self.fresh = 0

    @rule(group=st.integers(0, 3), pages=st.integers(1, 20), anon=st.booleans())
    def come(self, group: int, pages: int, anon: bool) -> None:
        for _ in range(pages):
            self.lists = bring(
                self.kernel, self.own_rules, self.lists, group, self.fresh, self.fresh, anon=anon
            )
            self.fresh += 1

    @rule(group=st.integers(0, 3), number=st.integers(0, 99))
    def access(self, group: int, number: int) -> None:
        pages = sorted(self.lists.groups[group].pages)
        if pages:
            page = pages[number % len(pages)]
            self.lists = use(self.kernel, self.lists, group, lambda v: mark_accessed(self.own_rules, v, page))

    @rule(root=st.integers(0, 3), low=st.sampled_from((0, 10, 40)))
    def reclaim(self, root: int, low: int) -> None:
        question = asked(self.lists, root, Settings((0, 0, 0, low), (0, low, low, 0)))
        held = guards(self.kernel, self.lists, question)[0]
        before = [owned(self.lists, at) for at in range(4)]
        self.lists, freed, _ = reclaim_group(self.kernel, self.own_rules, self.lists, question, 32, True)
        after = [owned(self.lists, at) for at in range(4)]
        assert sum(before) - sum(after) == freed
        for at in range(4):
            assert min_kept(before[at], after[at], held[at] == MIN)

    @rule(group=st.integers(0, 3), number=st.integers(0, 99))
    def back(self, group: int, number: int) -> None:
        slots = sorted(self.lists.shared.shadows)
        if slots:
            slot = slots[number % len(slots)]
            self.lists = bring(self.kernel, self.own_rules, self.lists, group, self.fresh, slot)
            self.fresh += 1

    @invariant()
    def sound(self) -> None:
        if not hasattr(self, "lists"):
            return
        shared, pages = self.lists.shared, 0
        for group, v in enumerate(self.lists.groups):
            assert broken(self.own_rules, replace(v, zones=shared.zones)) is None
            pages += owned(self.lists, group)
            above = PARENT[group]
            if above != NOBODY and self.kernel.behaviour("memcg.compared").since >= kernel("5.5").version:
                assert clock_above(v.clock, self.lists.groups[above].clock)
        assert shared.zones[0].free == 9000 - pages
        assert set(shared.shadows) == set(self.lists.owner)


Groups.TestCase.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
TestGroups = Groups.TestCase


def test_clocks_refuse() -> None:
    assert clock_above(3, 3)
    assert not clock_above(4, 3)
    assert Map() == no_lists(PARENT, ZONES).owner
