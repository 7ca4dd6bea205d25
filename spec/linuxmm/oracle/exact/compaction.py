"""Predict a compaction of whole zones from the state of a machine: which pages each scan looks at.

What the state does not show is a gap: pages on the lists of CPUs are known, blocks of more than a page in use
are not, and what other tasks take or free while the kernel compacts is not either.

Linux: mm/compaction.c:compact_node.  Seed 2.2.3 (F039).  6.1 to 6.12.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, NamedTuple

from immutables import Map

from linuxmm.model.alloc.boot import Area, empty_zone
from linuxmm.model.defrag.profile import rules_for
from linuxmm.model.defrag.rules import Rules
from linuxmm.model.defrag.state import Memory, Page
from linuxmm.model.defrag.zones import compact_memory
from linuxmm.oracle.formats.state import MachineState
from linuxmm.oracle.formats.state import Zone as SeenZone
from linuxmm.spec.defrag.migration import ANON
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.vocabulary import MigrateType

_MIGRATE: Final = "migrate"
_FREE: Final = "free"
_BEGIN: Final = re.compile(r"mm_compaction_begin: zone_start=(0x[0-9a-f]+) ")
_SCAN: Final = re.compile(
    r"mm_compaction_isolate_(migrate|free)pages: range=\((0x[0-9a-f]+) ~ (0x[0-9a-f]+)\)"
)


class Scan(NamedTuple):
    """One scan of a pageblock: which scanner, from, to."""

    scanner: str
    low: int
    high: int


class Compared(NamedTuple):
    """How far a prediction goes.

    scans     that the kernel made;  predicted  that the model makes
    equal     at the beginning, one by one;  ranges  those that occur in both at all
    """

    scans: int
    predicted: int
    equal: int
    ranges: int


def memory_of(rules: Rules, seen: SeenZone, state: MachineState) -> Memory:
    """The zone as the model has it; every movable page counts as an anonymous one that nobody holds."""
    zone = empty_zone(rules.alloc, Area(0, seen.idx, seen.start_pfn, seen.end_pfn, seen.managed), 1)
    types = tuple(int(MigrateType[name]) for name in state.migratetypes)
    lists = [list(row) for row in zone.lists]
    free: dict[int, tuple[int, int]] = {}
    for order, area in enumerate(seen.free_area):
        for kind, heads in zip(types, area.lists, strict=False):
            lists[order][kind] = heads
            free.update((head, (order, kind)) for head in heads)
    movable = [pfn for first, count in seen.movable or () for pfn in range(first, first + count)]
    zone = replace(
        zone,
        lists=tuple(map(tuple, lists)),
        free=Map(free),
        in_use=Map(dict.fromkeys(movable, (0, 1))),
        types=tuple(types[digit] for digit in seen.pageblock_types()),
        watermark=(seen.watermark[0], seen.watermark[1], seen.watermark[2]),
        nr_free=sum(1 << order for order, kind in free.values() if kind != MigrateType.ISOLATE),
        managed=seen.managed,
    )
    return Memory(zone, Map({pfn: Page(ANON, pfn) for pfn in movable}))


def scans_of(lines: Iterable[str], start: int) -> tuple[Scan, ...]:
    """The scans of the first compaction of the zone that starts there, as a trace tells of them."""
    found: list[Scan] = []
    mine = False
    for line in lines:
        begin = _BEGIN.search(line)
        if begin is not None:
            mine = int(begin[1], 16) == start
        elif mine and "mm_compaction_end" in line:
            return tuple(found)
        scan = _SCAN.search(line)
        if mine and scan is not None:
            found.append(Scan(scan[1], int(scan[2], 16), int(scan[3], 16)))
    return tuple(found)


def predict(kernel: Kernel, state: MachineState, seen: SeenZone) -> tuple[Scan, ...]:
    """The scans that compacting the whole zone makes, from the state before.

    Errors    Unmodelled for a kernel whose compaction is not described
    """
    rules = rules_for(kernel, block_order=state.pageblock_order)
    (run,) = compact_memory(rules, (memory_of(rules, seen, state),))
    return tuple(Scan(_MIGRATE if source else _FREE, low, high) for source, low, high in run.scans)


def compare(predicted: tuple[Scan, ...], observed: tuple[Scan, ...]) -> Compared:
    """How many scans are the same, from the first on."""
    equal = 0
    for one, other in zip(predicted, observed, strict=False):
        if one != other:
            break
        equal += 1
    return Compared(len(observed), len(predicted), equal, len(set(predicted) & set(observed)))
