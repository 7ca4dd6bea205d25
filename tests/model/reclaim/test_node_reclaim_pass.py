"""Reclaim in a node for an allocation that could go elsewhere: what is worth it, who may, what is spared."""

from dataclasses import replace

import pytest

from linuxmm.model.alloc.dialogue import Allocated, Asks, NodeReclaim, NodeReclaimed, Task
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.path import path_of
from linuxmm.model.alloc.slowpath import begin, resume
from linuxmm.model.alloc.strategies import small_kernel, small_machine, small_rules
from linuxmm.model.reclaim.accesses import bring_in
from linuxmm.model.reclaim.caches import Shrinker
from linuxmm.model.reclaim.node_reclaim import (
    NodeRules,
    Setting,
    held,
    node_reclaim,
    node_rules,
    worth_a_scan,
)
from linuxmm.model.reclaim.outside import Entry, Mappings, Store
from linuxmm.model.reclaim.state import DIRTY, Lruvec, ZoneMarks, empty, flag
from linuxmm.spec.alloc.gfp import GFP_KERNEL
from linuxmm.spec.alloc.request import request
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.kernel import kernel
from linuxmm.spec.reclaim.node_reclaim import (
    RECLAIM_UNMAP,
    RECLAIM_WRITE,
    RECLAIM_ZONE,
    Caller,
    Held,
    kept,
    pages_for_mode,
    pages_of_any,
    pages_unmapped,
    share,
    too_soon,
    worth_it,
)

LOCAL = Caller(blocks=True, reclaims=False, local=True, cpus=True, busy=False, hopeless=False)
FULL, NOSCAN, SOME, SUCCESS = (
    NodeReclaimed.FULL,
    NodeReclaimed.NOSCAN,
    NodeReclaimed.SOME,
    NodeReclaimed.SUCCESS,
)
ERAS = ("2.6.16", "2.6.24", "3.10", "4.4", "4.9", "6.12")


def rules(release: str) -> NodeRules:
    own = node_rules(kernel(release))
    return own._replace(reclaim=own.reclaim._replace(batch=0))


def node(release: str, pages: int, *, dirty: int = 0, in_use: int = 0) -> Lruvec:
    """A node of 1000 pages: so many of files, the first of them dirty, the last mapped but not used."""
    v = empty((ZoneMarks(1000, 1000, 10, 20, 30),), backing=Store())
    for page in range(pages):
        v = bring_in(rules(release).reclaim, v, page, page)
        v = flag(v, page, DIRTY, page < dirty)
    entries = Mappings()
    for page in range(pages - in_use, pages):
        entries = entries.map(page, Entry(address=page))
    return replace(v, rmap=entries)


def test_what_there_is_to_have() -> None:
    some = Held(files=100, file_lru=80, mapped=30, dirty=7, slab=5)
    assert pages_of_any(some, 0) == 106
    assert pages_unmapped(some, 0) == 70
    modes = (RECLAIM_ZONE, RECLAIM_WRITE, RECLAIM_UNMAP, RECLAIM_WRITE | RECLAIM_UNMAP)
    assert [pages_for_mode(some, mode) for mode in modes] == [43, 50, 93, 100]
    assert pages_for_mode(Held(50, 20, 30, 0, 0), RECLAIM_ZONE) == 0
    assert (share(1000, 1), share(99, 1)) == (10, 0)
    assert [worth_it(pages, slab, 10, 5) for pages, slab in ((10, 5), (11, 5), (10, 6))] == [
        False,
        True,
        True,
    ]
    assert [too_soon(now, 5) for now in (5, 34, 35)] == [True, True, False]
    assert not too_soon(5, -1)
    assert kept(False, 1, 1, 9, 9)
    assert kept(True, 10, 1, 9, 9)
    assert not kept(True, 9, 9, 9, 9)


@pytest.mark.parametrize("release", ERAS)
def test_enough_clean_pages_are_freed(release: str) -> None:
    v, answer = node_reclaim(rules(release), node(release, 300), Setting(RECLAIM_ZONE), LOCAL, 0, 0)
    assert answer is SUCCESS
    assert 1 <= 300 - len(v.pages) <= 64


@pytest.mark.parametrize("release", ERAS[1:])
def test_a_node_keeps_what_its_ratio_says(release: str) -> None:
    own = rules(release)
    for pages, ratio, answer in ((30, 3, FULL), (64, 3, SUCCESS), (300, 30, FULL), (300, 29, SUCCESS)):
        v = node(release, pages)
        assert worth_a_scan(own, v, Setting(RECLAIM_ZONE, ratio)) == (answer is SUCCESS)
        after, found = node_reclaim(own, v, Setting(RECLAIM_ZONE, ratio), LOCAL, 0, 0)
        assert found is answer, (pages, ratio)
        assert (after == v) == (answer is FULL)


def test_slab_alone_is_worth_it() -> None:
    own = rules("6.12")
    slab = Shrinker(0, objects=120, per_page=2, batch=16)
    v = replace(node("6.12", 0), shrinkers=(slab,))
    assert held(v).slab == 60
    after, answer = node_reclaim(own, v, Setting(RECLAIM_ZONE), LOCAL, 0, 0)
    assert (answer, held(after).slab < 60) == (SUCCESS, True)
    assert node_reclaim(own, v, Setting(RECLAIM_ZONE, min_slab_ratio=6), LOCAL, 0, 0) == (v, FULL)


@pytest.mark.parametrize("release", ERAS[2:])
def test_who_may_not_scan(release: str) -> None:
    v = node(release, 300)
    for change in ({"blocks": False}, {"reclaims": True}, {"busy": True}, {"local": False}):
        caller = LOCAL._replace(**change)
        assert node_reclaim(rules(release), v, Setting(RECLAIM_ZONE), caller, 0, 0) == (v, NOSCAN)
    memory_only = LOCAL._replace(local=False, cpus=False)
    assert node_reclaim(rules(release), v, Setting(RECLAIM_ZONE), memory_only, 0, 0)[1] is SUCCESS
    _, answer = node_reclaim(rules(release), v, Setting(RECLAIM_ZONE), LOCAL._replace(hopeless=True), 0, 0)
    assert answer is (SUCCESS if release in ("4.9", "6.12") else NOSCAN)


def test_mapped_pages_and_dirty_ones_are_spared_unless_the_mode_says_so() -> None:
    own = rules("6.12")
    busy = node("6.12", 100, dirty=0, in_use=100)
    assert node_reclaim(own, busy, Setting(RECLAIM_ZONE), LOCAL, 0, 0) == (busy, FULL)
    assert node_reclaim(own, busy, Setting(RECLAIM_UNMAP), LOCAL, 0, 0)[1] is SUCCESS
    partly = node("6.12", 100, in_use=85)
    after, _ = node_reclaim(own, partly, Setting(RECLAIM_ZONE), LOCAL, 5, 0)
    assert set(partly.pages) - set(after.pages) <= set(range(15))
    dirty = node("6.12", 100, dirty=100)
    assert node_reclaim(own, dirty, Setting(RECLAIM_ZONE), LOCAL, 0, 0) == (dirty, FULL)


def test_a_large_block_needs_as_many_pages() -> None:
    _, answer = node_reclaim(rules("6.12"), node("6.12", 40), Setting(RECLAIM_ZONE), LOCAL, 6, 0)
    assert answer is SOME
    v, answer = node_reclaim(rules("6.12"), node("6.12", 200), Setting(RECLAIM_ZONE), LOCAL, 6, 0)
    assert (answer, 200 - len(v.pages) >= 64) == (SUCCESS, True)


def test_up_to_2_6_17_a_zone_rests_after_a_failure() -> None:
    own = rules("2.6.16")
    v = node("2.6.16", 300)
    failed = Setting(RECLAIM_ZONE, failed=100)
    assert node_reclaim(own, v, failed, LOCAL, 0, 0, now=129) == (v, SOME)
    assert node_reclaim(own, v, failed, LOCAL, 0, 0, now=130)[1] is SUCCESS
    assert node_reclaim(rules("2.6.24"), v, failed, LOCAL, 0, 0, now=129)[1] is SUCCESS


def test_before_2_6_16_there_is_none() -> None:
    with pytest.raises(Unmodelled, match=r"'reclaim.node-reclaim.pages' has no behaviour registered"):
        node_rules(kernel("2.6.11"))


@pytest.mark.parametrize("version", ["2.6.24", "4.4", "6.12.117"])
def test_an_allocation_stays_on_its_node_when_the_pass_frees_enough(version: str) -> None:
    """The walk's question is answered by the pass: pages of files go, and the zone is tried again."""
    path = path_of(small_kernel(version), small_rules(version))
    machine: Machine = small_machine(version)
    short = tuple(replace(zone, watermark=(500,) * 3) for zone in machine.zones)
    run = begin(path, replace(machine, zones=short), request(0, GFP_KERNEL), Task(), reclaim_nodes=-1)
    assert isinstance(run.result, Asks)
    assert isinstance(run.result.question, NodeReclaim)
    release = version.removesuffix(".117")
    v, answer = node_reclaim(rules(release), node(release, 300), Setting(RECLAIM_ZONE), LOCAL, 0, 0)
    assert (answer, len(v.pages) < 300) == (SUCCESS, True)
    run = resume(path, replace(run.state, zones=machine.zones), run.result.then, answer)
    assert isinstance(run.result, Allocated)
