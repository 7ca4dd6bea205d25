"""The allocator of 2.4: splitting, marks that add up, and a request until it is answered or refused."""

from dataclasses import replace

import pytest

from linuxmm.model.alloc.audit import broken
from linuxmm.model.alloc.boot import boot
from linuxmm.model.alloc.dialogue import (
    Allocated,
    Asks,
    BalanceClasszone,
    Balanced,
    Failed,
    Path,
    Reason,
    Reclaimed,
    Task,
)
from linuxmm.model.alloc.events import WakeupKswapd
from linuxmm.model.alloc.freelist import NOTHING
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.movable import MemoryRange
from linuxmm.model.alloc.path import path_of
from linuxmm.model.alloc.request import alloc_fast, free_pages
from linuxmm.model.alloc.request_2_4 import with_block_in_use
from linuxmm.model.alloc.slowpath import begin, resume
from linuxmm.model.alloc.strategies import small_kernel, small_machine, small_rules
from linuxmm.spec.alloc.gfp import GFP_ATOMIC, GFP_DMA_BIT, GFP_HIGHUSER, GFP_KERNEL
from linuxmm.spec.alloc.gfp_layouts import decode_gfp
from linuxmm.spec.alloc.request import Request, request
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.kernel import Arch, kernel, parse_version

OWN, ADDING, BY_CLASS = "2.4.12", "2.4.22", "2.4.32"
KERNEL = request(0, GFP_KERNEL, grouping_disabled=True)


def path(version: str) -> Path:
    return path_of(small_kernel(version), small_rules(version))


def with_marks(version: str, *marks: tuple[int, int, int]) -> Machine:
    """DMA of 32 free pages and NORMAL of 76, with these marks."""
    machine = small_machine(version)
    pairs = zip(machine.zones, (*marks, (0, 0, 0)), strict=True)
    return replace(machine, zones=tuple(replace(z, watermark=m, lowmem_reserve=(0,) * 6) for z, m in pairs))


# ---- free lists ------------------------------------------------------------------------------------------


def test_the_upper_end_of_a_block_is_handed_out() -> None:
    rules, machine = small_rules(ADDING), small_machine(ADDING)
    head = machine.zones[1].lists[2][0][0]
    after, pfn, index = alloc_fast(rules, machine, KERNEL)
    assert (pfn, index) == (head + 3, 1)
    zone = after.zones[1]
    assert [zone.lists[order][0] for order in range(3)] == [(head + 2,), (head,), ()]
    assert broken(rules, after) == ()
    assert free_pages(rules, after, 0, pfn, 0).zones[1].lists == machine.zones[1].lists
    later = small_machine("2.6.18")
    assert alloc_fast(small_rules("2.6.18"), later, KERNEL)[1] == head


def test_a_machine_boots_with_marks_by_ratio() -> None:
    memory = (MemoryRange(0, 0, 1 << 17),)
    for version, low, reserve in (("2.4.0", 256, 0), ("2.4.22", 64, 0), ("2.4.32", 64, 221184 - 4096)):
        booted = boot(kernel(version, Arch.I386), memory)
        dma, normal = booted.machine.zones
        assert (dma.watermark[1], normal.watermark, booted.min_free_kbytes) == (low, (255, 510, 765), 0)
        assert dma.lowmem_reserve[2] == (normal.managed // 256 if reserve else 0)
        assert not dma.pcps[0].lists


# ---- the walk --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "dma", "index"),
    [
        (OWN, 30, 0),
        (OWN, 31, NOTHING),
        ("2.4.14", 30, 0),
        (ADDING, 11, 0),
        (ADDING, 12, NOTHING),
        (BY_CLASS, 12, 0),
        (BY_CLASS, 30, 0),
        (BY_CLASS, 31, NOTHING),
    ],
)
def test_marks_add_up_along_the_zonelist_from_2_4_15_to_2_4_22(version: str, dma: int, index: int) -> None:
    """NORMAL, whose low mark is 19 and which has 10 pages free, is asked first."""
    machine = with_marks(version, (1, dma, 40), (5, 19, 40))
    normal = replace(machine.zones[1], nr_free=10)
    machine = replace(machine, zones=(machine.zones[0], normal, machine.zones[2]))
    assert alloc_fast(small_rules(version), machine, KERNEL)[2] == index


def test_since_2_4_23_a_zone_keeps_pages_back_from_the_class_of_the_request() -> None:
    machine = with_marks(BY_CLASS, (1, 2, 3), (90, 90, 90))
    zones = (replace(machine.zones[0], lowmem_reserve=(0, 0, 40, 40, 0, 0)), *machine.zones[1:])
    machine, rules = replace(machine, zones=zones), small_rules(BY_CLASS)
    assert alloc_fast(rules, machine, KERNEL)[2] == NOTHING
    dma = request(0, GFP_KERNEL | GFP_DMA_BIT, grouping_disabled=True)
    assert alloc_fast(rules, machine, dma)[2] == 0


def test_the_zonelist_follows_the_low_bits_of_the_mask() -> None:
    number = parse_version(ADDING)
    for word, kind in ((0x1F1, 0), (0x1F0, 2), (0x1F2, 3)):
        assert request(0, decode_gfp(word, number)).class_index == kind
    assert request(0, GFP_HIGHUSER).class_index == 3


# ---- the request -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ADDING, BY_CLASS])
def test_between_low_and_min_kswapd_is_woken(version: str) -> None:
    run = begin(path(version), with_marks(version, (1, 90, 90), (5, 90, 90)), KERNEL, Task())
    assert isinstance(run.result, Allocated)
    assert run.events == (WakeupKswapd(0, 2, 0, GFP_KERNEL),)


@pytest.mark.parametrize("version", [ADDING, BY_CLASS])
def test_who_cannot_wait_may_go_to_a_quarter_of_the_min_mark(version: str) -> None:
    machine = with_marks(version, (400, 400, 400), (296, 400, 400))
    atomic = request(0, GFP_ATOMIC, grouping_disabled=True)
    assert isinstance(begin(path(version), machine, atomic, Task()).result, Allocated)
    tight = with_marks(version, (400, 400, 400), (300, 400, 400))
    assert begin(path(version), tight, atomic, Task()).result == Failed(Reason.CANNOT_RECLAIM)
    for task in (Task(memalloc=True), Task(oom_victim=True)):
        assert isinstance(begin(path(version), tight, atomic, task).result, Allocated)


def ask(version: str, asked: Request = KERNEL) -> Asks:
    """The question of a request that no mark lets through."""
    run = begin(path(version), short(version), asked, Task())
    assert isinstance(run.result, Asks)
    assert run.result.question == BalanceClasszone(asked.order, 1)
    return run.result


def short(version: str) -> Machine:
    return with_marks(version, (400, 400, 400), (400, 400, 400))


def test_up_to_2_4_12_every_block_is_asked_for_once() -> None:
    for version, refused in ((OWN, True), (ADDING, False)):
        pair = request(1, GFP_KERNEL, grouping_disabled=True)
        run = resume(path(version), short(version), ask(version, pair).then, Balanced(7))
        assert (run.result == Failed(Reason.COSTLY)) is refused
        assert isinstance(resume(path(version), short(version), ask(version).then, Balanced(7)).result, Asks)


def test_up_to_2_4_22_cheap_orders_ask_for_ever_and_costly_ones_once() -> None:
    way, waiting = path(ADDING), ask(ADDING).then
    for _ in range(5):
        run = resume(way, short(ADDING), waiting, Balanced(0))
        assert isinstance(run.result, Asks)
        waiting = run.result.then
    high = request(4, GFP_KERNEL, grouping_disabled=True)
    costly = resume(way, short(ADDING), ask(ADDING, high).then, Balanced(7))
    assert costly.result == Failed(Reason.COSTLY)


def test_since_2_4_23_a_request_fails_when_reclaim_frees_nothing() -> None:
    way, waiting = path(BY_CLASS), ask(BY_CLASS).then
    run = resume(way, short(BY_CLASS), waiting, Balanced(1))
    assert isinstance(run.result, Asks)
    assert resume(way, short(BY_CLASS), run.result.then, Balanced(0)).result == Failed(Reason.EXHAUSTED)
    killed = with_marks(BY_CLASS, (400, 400, 400), (400, 400, 40))
    assert isinstance(resume(way, killed, run.result.then, Balanced(0)).result, Allocated)


@pytest.mark.parametrize("version", [ADDING, BY_CLASS])
def test_a_block_that_reclaim_kept_is_the_answer(version: str) -> None:
    way, waiting = path(version), ask(version).then
    machine = with_block_in_use(short(version), 90, 0)
    assert resume(way, machine, waiting, Balanced(1, kept=90)).result == Allocated(90, 1)
    assert isinstance(resume(way, machine, waiting, Balanced(0, kept=90)).result, Asks | Failed)
    with pytest.raises(LinuxmmError, match="no block in use of order 0"):
        resume(way, short(version), waiting, Balanced(1, kept=90))
    with pytest.raises(LinuxmmError, match="waits for Balanced, not Reclaimed"):
        resume(way, machine, waiting, Reclaimed(1))
