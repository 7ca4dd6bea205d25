"""H03: what the bulk allocator saves, counted a page, and timed on the compiled model.

A driver fills a ring: n single requests, or one bulk request for n pages.

Linux: mm/page_alloc.c:__alloc_pages_bulk (5.13).  Seed 2.1.1.4 (F022, F026).
"""

import statistics
import time
from typing import Final, NamedTuple

import numpy as np

from linuxmm.fast.allocator import ALLOC, BULK, FREE, FastAllocator, operations
from linuxmm.fast.arena import Int64s
from linuxmm.oracle.pc import boot_pc
from linuxmm.spec.experiment import Curve, Figure, Outcome, Scale, Standing, experiment
from linuxmm.spec.kernel import kernel

REPORTED: Final = 0.5
VERSIONS: Final = ("5.14", "6.1.192", "6.12.117")
QUICK_VERSIONS: Final = ("6.1.192",)
ORDERS: Final = tuple(range(10))
MEMORY: Final = 256
PAGES: Final = 1 << 13
ROUNDS: Final = 15


class PerPage(NamedTuple):
    """Steps for one page.

    requests    entries into the allocator: zonelist walk and watermark test
    list_holds  of the CPU's lists (interrupts off, local lock or spinlock, by version)
    zone_holds  of zone->lock
    moves       pages put on or taken off a list
    """

    requests: float
    list_holds: float
    zone_holds: float
    moves: float

    @property
    def all(self) -> float:
        """Every step counted alike."""
        return sum(self)


def filling(order: int, bulk: bool) -> Int64s:
    """Operations that fill all slots, 2**order of them at a time."""
    if bulk:
        return operations(BULK, order, 0, 0, np.arange(0, PAGES, 1 << order))
    return operations(ALLOC, 0, 0, 0, np.arange(PAGES))


def per_page(version: str, order: int, bulk: bool) -> PerPage:
    """Counted steps of filling a ring on a kernel whose lists are warm."""
    booted = boot_pc(kernel(version), MEMORY)
    allocator = FastAllocator(booted.rules, booted.machine, PAGES, counted=True, bulk=True)
    words = filling(order, bulk)
    _warm(allocator, words)
    before = allocator.totals
    allocator.run(words)
    after = allocator.totals
    pages = after.allocated - before.allocated
    if pages != PAGES:
        raise AssertionError(f"{version}: {pages} of {PAGES} pages")
    return PerPage(
        words.size / pages,
        (after.pcp_holds - before.pcp_holds) / pages,
        (after.lock_holds - before.lock_holds) / pages,
        (after.taken - before.taken + pages) / pages,
    )


def nanoseconds(version: str, order: int, bulk: bool) -> float:
    """Median time of the compiled model for one page."""
    booted = boot_pc(kernel(version), MEMORY)
    allocator = FastAllocator(booted.rules, booted.machine, PAGES, counted=True, bulk=True)
    words = filling(order, bulk)
    _warm(allocator, words)
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        allocator.run(words)
        taken.append(time.perf_counter() - start)
        allocator.run(_EMPTYING)
    return statistics.median(taken) / PAGES * 1e9


_EMPTYING: Final = operations(FREE, 0, 0, 0, np.arange(PAGES))


def _warm(allocator: FastAllocator, words: Int64s) -> None:
    allocator.run(words)
    allocator.run(_EMPTYING)


@experiment(
    "H03",
    title="The bulk allocator",
    reported="about half the overhead",
    versions="n single requests before; one bulk request for n pages after; on 5.14, 6.1.192 and 6.12.117",
    workload="a ring of 8192 pages is filled n at a time, n from 1 to 512, on lists that were used before",
    left_out=(
        "the caller: a driver's own loop, and preparing the pages (clearing, poisoning)",
        "contention; and statistics, which the bulk allocator updates once for all its pages",
    ),
    source="mm/page_alloc.c:__alloc_pages_bulk; 5.13 to 6.12",
)
def bulk(scale: Scale) -> Outcome:
    """Steps a page of single and bulk requests, by the size of the batch."""
    figures: list[Figure] = []
    curves: list[Curve] = []
    shares: list[float] = []
    for version in QUICK_VERSIONS if scale is Scale.QUICK else VERSIONS:
        single = per_page(version, 0, False)
        many = [per_page(version, order, True) for order in ORDERS]
        figures += _figures("single requests", version, single)
        for order, found in zip(ORDERS, many, strict=True):
            figures += _figures(f"bulk of {1 << order}", version, found)
        left = [found.all / single.all for found in many]
        shares.append(left[-1])
        sizes = tuple(float(1 << order) for order in ORDERS)
        ys = tuple(round(100 * share, 2) for share in left)
        curves.append(
            Curve("counted", version, "pages a request", "steps, per cent of single", sizes, ys, True)
        )
        if scale is Scale.FULL:
            timed = _timed(version)
            figures += [
                Figure("time per page", setting, version, round(ns, 1), "ns", True)
                for setting, ns in timed.items()
            ]
            base = timed["single requests"]
            ys = tuple(round(100 * timed[f"bulk of {1 << order}"] / base, 1) for order in ORDERS)
            curves.append(
                Curve("timed", version, "pages a request", "time, per cent of single", sizes, ys, True)
            )
    return Outcome(tuple(figures), tuple(curves), *_judged(shares, figures))


def _timed(version: str) -> dict[str, float]:
    found = {"single requests": nanoseconds(version, 0, False)}
    found.update({f"bulk of {1 << order}": nanoseconds(version, order, True) for order in ORDERS})
    return found


def _figures(setting: str, version: str, found: PerPage) -> list[Figure]:
    names = ("requests", "holds of the CPU's lists", "holds of zone->lock", "list moves")
    return [
        *(Figure(f"{n} per page", setting, version, round(v, 4)) for n, v in zip(names, found, strict=True)),
        Figure("all steps per page", setting, version, round(found.all, 4)),
    ]


def _judged(shares: list[float], figures: list[Figure]) -> tuple[Standing, str]:
    worst = max(shares)
    times: dict[str, list[float]] = {"single requests": [], "bulk of 512": []}
    for figure in figures:
        if figure.timed and figure.setting in times:
            times[figure.setting].append(figure.value)
    words = (
        "A bulk request walks the zonelist, tests the watermark and takes the list's lock once for all its "
        f"pages; with every step counted alike one of 512 needs at most {worst:.0%} of the steps of single "
        "requests. What stays is moving each page: off the free list, off the CPU's list. Counting alike is "
        "a convention; the less a move weighs beside a lock or a walk, the more is saved. "
    )
    if times["single requests"]:
        ratios = [b / a for a, b in zip(times["single requests"], times["bulk of 512"], strict=True)]
        words += (
            f"On the compiled model, which has no locks to pay for, batches of 512 take {min(ratios):.0%} to "
            f"{max(ratios):.0%} of the time: a time of this model, and not of a kernel."
        )
    if worst <= REPORTED + 0.03:
        return Standing.CONFIRMED, words
    return (Standing.PARTLY if worst < 0.75 else Standing.NOT_CONFIRMED), words
