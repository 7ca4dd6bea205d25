"""Which clauses a compaction broke, given the zone before and after.

Linux: mm/compaction.c.  Seed 2.2.3 (F039).
"""

from collections.abc import Iterator

from linuxmm.model.alloc.audit import broken_in_zone
from linuxmm.model.alloc.freelist import Zone
from linuxmm.model.defrag.rules import Rules
from linuxmm.model.defrag.state import Memory
from linuxmm.spec.defrag.defer import deferral_bounded
from linuxmm.spec.defrag.outcome import contents_kept, free_conserved, unmovable_stays
from linuxmm.spec.defrag.scanners import apart


def unused(zone: Zone) -> int:
    """Pages on free lists and on the lists of CPUs."""
    return sum(1 << order for where in (zone.free, zone.cached) for order, _ in where.values())


def stuck(memory: Memory) -> tuple[int, ...]:
    """Heads of blocks in use that compaction may not move."""
    return tuple(pfn for pfn, (_, movable) in memory.zone.in_use.items() if not movable)


def broken(
    rules: Rules, before: Memory, after: Memory, moved: tuple[tuple[int, int], ...], captured: int = 0
) -> Iterator[str]:
    """Ids of the clauses that a compaction broke.

    captured  pages of the block that was handed to the request
    """
    old, new = before.pages.values(), after.pages.values()
    deferral = after.marks.deferral
    for clause, holds in (
        (
            "defrag.contents-kept",
            contents_kept([page.content for page in old], [page.content for page in new]),
        ),
        ("defrag.free-conserved", free_conserved(unused(before.zone), unused(after.zone), captured)),
        ("defrag.unmovable-stays", unmovable_stays(stuck(before), stuck(after))),
        ("defrag.scanners.apart", all(apart(source, target) for source, target in moved)),
        ("defrag.deferral.bounded", deferral_bounded(deferral.considered, deferral.shift)),
    ):
        if not holds:
            yield clause
    yield from broken_in_zone(rules.alloc, after.zone)
