"""H15: CMA's range is useful while nobody asks for it, and comes back whole by migration.

Linux: mm/cma.c, mm/page_alloc.c:alloc_contig_range.  Seed 2.1.3.2 (F036).
"""

from dataclasses import replace
from typing import Final

from linuxmm.model.alloc import profile
from linuxmm.model.alloc.boot import Area as BootArea
from linuxmm.model.alloc.boot import empty_zone, free_boot_memory
from linuxmm.model.alloc.freelist import NOTHING
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.request import alloc_fast, alloc_min, free_pages
from linuxmm.model.alloc.rules import Rules as PageRules
from linuxmm.model.large.cma import Area, Rules, cma_alloc, rules_of
from linuxmm.model.large.guests import BuddyGuests
from linuxmm.spec.alloc.gfp import GFP_HIGHUSER_MOVABLE, GFP_KERNEL
from linuxmm.spec.alloc.request import request
from linuxmm.spec.experiment import Curve, Figure, Outcome, Scale, Standing, experiment
from linuxmm.spec.kernel import kernel
from linuxmm.spec.vocabulary import MigrateType

HIGH: Final = 96
VERSIONS: Final = ("4.4", "5.4", "6.1.192", "6.12.117")
PAGES: Final = 1 << 12
RANGE: Final = Area(1 << 11, 1 << 10)


def machine_with(version: str, cma: bool) -> tuple[PageRules, Machine]:
    """One zone of 16 MiB, its third quarter CMA; without, that range is set aside."""
    named = kernel(version, cma=True)
    pages = profile.rules_for(named)
    zone = empty_zone(pages, BootArea(0, 2, 0, PAGES, PAGES), 1)
    types = list(zone.types)
    block = 1 << pages.pageblock_order
    end = RANGE.base + RANGE.count
    for pfn in range(RANGE.base, end, block):
        types[pfn // block] = MigrateType.CMA if cma else types[pfn // block]
    zone = replace(zone, types=tuple(types))
    spans = [(0, RANGE.base), (end, PAGES)]
    if cma:
        spans.insert(1, (RANGE.base, end))
    zone = free_boot_memory(named, pages, zone, spans)
    zone = replace(zone, watermark=(64, 80, HIGH))
    machine = Machine((zone,), ((0,),), 1)
    turns = named.behaviour("alloc.turns").function(machine)
    return pages, turns if isinstance(turns, Machine) else machine


def fill(pages: PageRules, machine: Machine, gfp: int, most: int) -> tuple[Machine, list[int]]:
    """Single pages until the min watermark, or `most`."""
    held: list[int] = []
    while len(held) < most:
        asked = request(0, gfp)
        machine, pfn, _ = alloc_fast(pages, machine, asked)
        if pfn == NOTHING:
            machine, pfn, _ = alloc_min(pages, machine, asked, False)
        if pfn == NOTHING:
            break
        held.append(pfn)
    return machine, held


def _ask(rules: Rules, machine: Machine, pinned: frozenset[int]) -> tuple[bool, int]:
    taken = cma_alloc(rules, RANGE, machine, BuddyGuests(pinned), RANGE.count, 0)
    return taken.errno is None, len(taken.guests.moved)


def figures_of(version: str) -> list[Figure]:
    """What one kernel does with its range."""
    pages, machine = machine_with(version, True)
    rules = rules_of(kernel(version, cma=True), pages)
    full, held = fill(pages, machine, GFP_HIGHUSER_MOVABLE, PAGES)
    inside = [pfn for pfn in held if RANGE.base <= pfn < RANGE.base + RANGE.count]
    room = full
    for pfn in [pfn for pfn in held if pfn not in set(inside)][: RANGE.count + HIGH]:
        room = free_pages(pages, room, 0, pfn, 0)
    back, moved = _ask(rules, room, frozenset())
    pinned, _ = _ask(rules, room, frozenset(inside[:1]))
    tight, _ = _ask(rules, full, frozenset())
    _, kernel_held = fill(pages, machine, GFP_KERNEL, PAGES)
    aside_rules, aside = machine_with(version, False)
    _, aside_held = fill(aside_rules, aside, GFP_HIGHUSER_MOVABLE, PAGES)
    invaded = sum(RANGE.base <= pfn < RANGE.base + RANGE.count for pfn in kernel_held)
    values = {
        "movable pages that find room": len(held),
        "movable pages that find room, range set aside": len(aside_held),
        "of them in the range": len(inside),
        "unmovable pages in the range": invaded,
        "range back, with room elsewhere": int(back),
        "pages moved for it": moved,
        "range back, one page pinned": int(pinned),
        "range back, no room elsewhere": int(tight),
    }
    setting = f"{RANGE.count} of {PAGES} pages"
    return [Figure(name, setting, version, float(value)) for name, value in values.items()]


@experiment(
    "H15",
    title="CMA: memory that is useful while its owner does not need it",
    reported="the range comes back by migration, and serves others meanwhile",
    versions="4.4, 5.4, 6.1 and 6.12; a range that is set aside for good, as before 3.5",
    workload="fill memory with movable pages, give back as many elsewhere as the range holds and the "
    "high watermark, ask for the range",
    left_out=(
        "how long migration takes, and clean pages of files that are dropped and not moved",
        "who pins pages, and for how long",
    ),
    source="mm/cma.c:cma_alloc, mm/page_alloc.c:alloc_contig_range",
)
def contiguous(scale: Scale) -> Outcome:
    """Pages that a range serves, and whether it comes back."""
    versions = VERSIONS[-2:] if scale is Scale.QUICK else VERSIONS
    figures = [figure for version in versions for figure in figures_of(version)]
    named = {(figure.name, figure.version): figure.value for figure in figures}

    def every(name: str, value: float) -> bool:
        return all(named[name, version] == value for version in versions)

    gained = [
        named["movable pages that find room", v] - named["movable pages that find room, range set aside", v]
        for v in versions
    ]
    moved = [named["pages moved for it", v] for v in versions]
    useful = min(gained) > 0 and every("unmovable pages in the range", 0)
    back = every("range back, with room elsewhere", 1)
    limits = every("range back, one page pinned", 0) and every("range back, no room elsewhere", 0)
    why = (
        f"The range lets {min(gained):.0f} to {max(gained):.0f} more movable pages in than one set aside; "
        f"no unmovable page enters it. With room elsewhere it comes back whole after {min(moved):.0f} to "
        f"{max(moved):.0f} pages moved; not while one page is pinned, nor when nothing else is free."
    )
    curve = Curve(
        "room",
        "more movable pages",
        "kernel",
        "pages",
        tuple(float(n) for n in range(len(gained))),
        tuple(gained),
    )
    confirmed = Standing.CONFIRMED if useful and back and limits else Standing.PARTLY
    return Outcome(tuple(figures), (curve,), confirmed if useful or back else Standing.NOT_CONFIRMED, why)
