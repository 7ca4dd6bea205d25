"""H02: what lists per CPU for requests outside interrupts save, counted.

Bursts of single pages are allocated and freed, some of the bursts inside interrupts.  Before (2.6 to 4.10,
and again 4.11 to 5.18) interrupts are disabled around every use of a list; the variant of 4.11-rc1 disables
only preemption outside interrupts, and takes zone->lock inside them.

Linux: mm/page_alloc.c:free_hot_cold_page, rmqueue_pcplist.  Seed 2.1.1.4 (F023).
"""

from typing import Final, NamedTuple

import numpy as np

from linuxmm.fast.allocator import ALLOC, FREE, FastAllocator, Totals, operations
from linuxmm.fast.arena import Int64s
from linuxmm.model.alloc.pcp_eras import (
    Cost,
    cost_sum,
    cost_with_irqs_off,
    cost_with_preemption_off,
    noirq_uses_lists,
)
from linuxmm.oracle.pc import boot_pc
from linuxmm.spec.experiment import Curve, Figure, Outcome, Scale, Standing, experiment
from linuxmm.spec.kernel import kernel

REPORTED: Final = 0.30
VERSION: Final = "4.10"
MEMORY: Final = 256
BURSTS: Final = 400
LISTED: Final = 16
BEYOND: Final = 256
QUICK: Final = (0, 20)
FULL: Final = (0, 1, 2, 5, 10, 20, 30, 50, 75, 100)


def burst_words(burst: int) -> Int64s:
    """Allocate a burst of single pages, then free them."""
    slots = np.tile(np.arange(burst), 2)
    return operations(np.repeat([ALLOC, FREE], burst), 0, 0, 0, slots)


def never_listed(order: int, pageblock_order: int) -> bool:
    """No order may use the lists: how a request inside an interrupt is answered by the !irq variant."""
    return noirq_uses_lists(True, order)


class Generation(NamedTuple):
    """How the lists of a CPU are protected in a release, outside interrupts.

    irqs_off   interrupts are disabled around every use; else only where zone->lock is taken
    list_lock  the lists have a lock of their own, local or a spinlock
    """

    version: str
    irqs_off: bool
    list_lock: bool


GENERATIONS: Final = (
    Generation("4.10", True, False),
    Generation("5.14", True, True),
    Generation("6.1.192", False, True),
    Generation("6.12.117", False, True),
)
"""mm/page_alloc.c: local_lock_irqsave in 5.14; pcp_spin_trylock without irqsave in 6.1.192 and 6.12."""


class Counted(NamedTuple):
    """Page operations, and the work that they caused.

    pages     allocated and freed, inside and outside interrupts
    inside    those of them inside interrupts
    holds     refills and drains: holds of zone->lock by operations on lists
    moved     pages that these moved
    """

    pages: int
    inside: int
    holds: int
    moved: int


def count(burst: int, percent: int, bypass: bool, version: str = VERSION) -> Counted:
    """Run the bursts; `percent` of them come inside interrupts, which bypass the lists or use them."""
    booted = boot_pc(kernel(version), MEMORY)
    lists = FastAllocator(booted.rules, booted.machine, burst, counted=True)
    direct = lists
    if bypass:
        rules = booted.rules._replace(pcp_allowed=never_listed)
        direct = FastAllocator(rules, booted.machine, burst, counted=True)
        direct.share(lists)
    words = burst_words(burst)
    lists.run(words)
    start = lists.totals
    inside = aside = 0
    for number in range(BURSTS):
        within = (number + 1) * percent // 100 > number * percent // 100
        before = lists.totals.lock_holds
        (direct if within else lists).run(words)
        inside += words.size if within else 0
        aside += lists.totals.lock_holds - before if within and bypass else 0
    return _counted(start, lists.totals, inside, aside)


def _counted(start: Totals, end: Totals, inside: int, aside: int) -> Counted:
    pages = end.allocated + end.freed - start.allocated - start.freed
    moved = end.taken + end.drained - start.taken - start.drained
    holds = end.lock_holds - start.lock_holds - aside
    return Counted(pages, inside, holds, max(moved - aside // 2, 0) if aside else moved)


def cost_before(c: Counted) -> Cost:
    """All of it with interrupts disabled around the lists."""
    return _total(c.pages, cost_with_irqs_off(False, 0), c, cost_with_irqs_off(False, 1))


def cost_after(c: Counted) -> Cost:
    """Outside interrupts with preemption disabled, inside them with zone->lock."""
    outside = c.pages - c.inside
    lists = _total(outside, cost_with_preemption_off(False, 0), c, cost_with_preemption_off(False, 1))
    return cost_sum(lists, _times(c.inside, cost_with_preemption_off(True, 0)))


def _total(pages: int, usual: Cost, c: Counted, with_refill: Cost) -> Cost:
    more = Cost(*(a - b for a, b in zip(with_refill, usual, strict=True)))
    total = cost_sum(_times(pages, usual), _times(c.holds, more))
    return total._replace(list_moves=pages + c.moved)


def _times(n: int, cost: Cost) -> Cost:
    return Cost(*(n * x for x in cost))


def weighed(cost: Cost, preempt: bool) -> int:
    """All steps alike; preempt: the kernel is built with preemption, else disabling it costs nothing."""
    return cost.irq_pairs + cost.zone_locks + cost.list_moves + (cost.preempt_pairs if preempt else 0)


@experiment(
    "H02",
    title="Lists per CPU outside interrupts",
    reported="about 30 per cent less overhead per allocation and release",
    versions="4.10 before; the variant of 4.11-rc1 after (reverted before 4.11)",
    workload="bursts of single pages allocated, then freed: 16, which the CPU's list holds, or 256, which "
    "refill and drain it; a share of the bursts comes inside interrupts",
    left_out=(
        "time: the claim is about cycles, the model counts steps",
        "contention for zone->lock by other CPUs",
    ),
    source="mm/page_alloc.c:free_hot_cold_page; 4.11-rc1 (from memory), 4.10",
)
def interrupts(scale: Scale) -> Outcome:
    """Counted steps of the same bursts, before and after."""
    figures: list[Figure] = []
    saved: dict[tuple[int, bool], list[tuple[int, float]]] = {}
    for burst in (LISTED, BEYOND):
        for percent in QUICK if scale is Scale.QUICK else FULL:
            old, new = count(burst, percent, False), count(burst, percent, True)
            before, after = cost_before(old), cost_after(new)
            setting = f"bursts of {burst}, {percent} % in interrupts"
            figures += _figures(setting, "4.10", before, old.pages)
            figures += _figures(setting, "4.11-rc1", after, new.pages)
            for preempt in (False, True):
                less = 100 * (1 - weighed(after, preempt) / weighed(before, preempt))
                saved.setdefault((burst, preempt), []).append((percent, less))
                name = f"fewer steps, {'with' if preempt else 'without'} preemption"
                figures.append(Figure(name, setting, "4.11-rc1", round(less, 1), "%"))
        if scale is Scale.FULL:
            figures += [f for g in GENERATIONS for f in _of_generation(g, burst)]
    curves = tuple(
        Curve(
            f"bursts of {burst}",
            "kernel with preemption" if preempt else "kernel without preemption",
            "pages handled inside interrupts, per cent",
            "fewer steps, per cent",
            tuple(float(x) for x, _ in points),
            tuple(round(y, 2) for _, y in points),
        )
        for (burst, preempt), points in saved.items()
    )
    return Outcome(tuple(figures), curves, *_judged(saved, figures))


def _figures(setting: str, version: str, cost: Cost, pages: int) -> list[Figure]:
    names = ("interrupt toggles", "holds of zone->lock", "preemption toggles", "list moves")
    return [
        Figure(f"{name} per page", setting, version, round(n / pages, 4))
        for name, n in zip(names, cost, strict=True)
    ]


def _of_generation(g: Generation, burst: int) -> list[Figure]:
    """The same bursts outside interrupts, on a release."""
    c = count(burst, 0, False, g.version)
    setting = f"bursts of {burst}, by release"
    per_page = {
        "interrupt toggles": c.pages if g.irqs_off else c.holds,
        "holds of the lists' own lock": c.pages if g.list_lock else 0,
        "holds of zone->lock": c.holds,
        "list moves": c.pages + c.moved,
    }
    return [
        Figure(f"{name} per page", setting, g.version, round(n / c.pages, 4)) for name, n in per_page.items()
    ]


def _judged(
    saved: dict[tuple[int, bool], list[tuple[int, float]]], figures: list[Figure]
) -> tuple[Standing, str]:
    shares = [saved[burst, False][0][1] / 100 for burst in (LISTED, BEYOND)]
    least, most = min(shares), max(shares)
    with_preemption = " to ".join(f"{saved[burst, True][0][1]:.0f}" for burst in (BEYOND, LISTED))
    toggles = [f.value for f in figures if f.name.startswith("interrupt toggles") and " 0 %" in f.setting]
    words = (
        f"Outside interrupts the toggles fall from {toggles[0]:g} to at most {max(toggles[1::2]):g} a page. "
        f"With every step counted alike that is {least:.0%} to {most:.0%} fewer steps on a kernel built "
        f"without preemption, but {with_preemption} per cent on one with it, where disabling preemption "
        "takes the place of disabling interrupts. Every page handled inside an interrupt takes zone->lock, "
        "which soon costs more than was saved. The 30 per cent lies within the counts, but it is time, and "
        "what an interrupt toggle weighs beside a list move is the processor's, not the model's. "
        "Later releases came back to it: 6.1.192 and 6.12 use the lists under a spinlock of their own, with "
        "interrupts enabled."
    )
    return (Standing.PARTLY if most >= REPORTED else Standing.NOT_CONFIRMED), words
