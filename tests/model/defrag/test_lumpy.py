"""Lumpy reclaim: neighbours of the tail are taken, each kernel in its own way, and no page is lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.model.defrag.lumpy import Rules, isolate_lumps, rules_for, shrink_lumpy
from linuxmm.model.reclaim import profile
from linuxmm.model.reclaim.accesses import bring_in, drain, lru_of
from linuxmm.model.reclaim.rules import Control
from linuxmm.model.reclaim.state import ACTIVE, PINNED, WRITEBACK, Lruvec, add_head, flag, remove
from linuxmm.model.reclaim.strategies import machine
from linuxmm.spec.defrag.lumpy import inside_lump
from linuxmm.spec.kernel import kernel
from linuxmm.spec.reclaim.lists import INACTIVE_FILE


def rules_of(version: str, compaction: bool = False) -> Rules:
    named = kernel(version)
    return rules_for(named, profile.rules_for(named, batches=False), compaction)


def with_pages(rules: Rules, letters: str) -> Lruvec:
    """Pages 0 on: "c" an inactive one, "h" an active one, "p" pinned, "w" under writeback, "." free."""
    v = machine(64)
    for page, letter in enumerate(letters):
        if letter != ".":
            v = drain(rules.reclaim, bring_in(rules.reclaim, v, page, page))
        if letter == "h":
            v = remove(v, page, lru_of(rules.reclaim, v, page))
            v = flag(v, page, ACTIVE, True)
            v = add_head(v, page, lru_of(rules.reclaim, v, page))
        if letter in "pw":
            v = flag(v, page, PINNED if letter == "p" else WRITEBACK, True)
    return v


def control(order: int, priority: int = 12, kswapd: bool = False) -> Control:
    return Control(priority, 32, order, kswapd)


@pytest.mark.parametrize(
    ("version", "order", "priority", "taken"),
    [
        ("2.6.24", 0, 12, (0, 2)),
        ("2.6.24", 2, 12, (0, 2)),
        ("2.6.24", 2, 8, (0, 2)),
        ("2.6.32", 2, 8, (0, 1, 2, 3)),
        ("2.6.39", 2, 12, (0, 2)),
        ("2.6.39", 2, 8, (0, 1, 2, 3)),
        ("3.4", 4, 12, (0, 1, 2, 3)),
        ("3.5", 4, 8, (0, 2)),
    ],
)
def test_whom_each_kernel_takes(version: str, order: int, priority: int, taken: tuple[int, ...]) -> None:
    rules = rules_of(version)
    _, found = isolate_lumps(rules, with_pages(rules, "chch"), INACTIVE_FILE, 8, control(order, priority))
    assert tuple(sorted(found.pages)) == taken
    assert all(
        inside_lump(page, around, order) for page, around in zip(found.pages, found.around, strict=True)
    )


def test_a_kernel_with_compaction_is_not_lumpy() -> None:
    rules = rules_of("3.4", compaction=True)
    _, found = isolate_lumps(rules, with_pages(rules, "chch"), INACTIVE_FILE, 8, control(9))
    assert found.pages == (0, 2)


def test_a_held_neighbour_ends_the_block_since_2_6_38() -> None:
    for version, taken in (("2.6.32", (0, 1, 3)), ("3.4", (0, 1))):
        rules = rules_of(version)
        v = with_pages(rules, "chph")
        v = remove(v, 2, lru_of(rules.reclaim, v, 2))
        _, found = isolate_lumps(rules, v, INACTIVE_FILE, 1, control(4, 8))
        assert tuple(sorted(found.pages)) == taken


@pytest.mark.parametrize(("order", "priority", "kswapd", "stalls"), [
    (4, 12, False, True), (4, 12, True, False), (2, 8, False, False), (2, 4, False, True),
])  # fmt: skip
def test_it_stalls_for_what_is_under_writeback(order: int, priority: int, kswapd: bool, stalls: bool) -> None:
    rules = rules_of("3.4")
    v = with_pages(rules, "wccc")
    assert shrink_lumpy(rules, v, INACTIVE_FILE, 4, control(order, priority, kswapd))[3] is stalls


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(("2.6.24", "2.6.32", "2.6.39", "3.4", "3.5")),
    st.text("chpw.", min_size=16, max_size=16),
    st.integers(0, 4),
    st.integers(0, 12),
)
def test_pages_are_freed_or_on_a_list_again(version: str, letters: str, order: int, priority: int) -> None:
    rules = rules_of(version)
    v = with_pages(rules, letters)
    after, done, taken, _ = shrink_lumpy(rules, v, INACTIVE_FILE, 4, control(order, priority))
    assert len(v.pages) == len(after.pages) + done.reclaimed
    listed = [page for pages in after.lists for page in pages]
    assert sorted(listed) == sorted(after.pages)
    assert all(
        inside_lump(page, around, order) for page, around in zip(taken.pages, taken.around, strict=True)
    )
