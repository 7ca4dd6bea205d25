"""Shrinkers of caches, asked by every pass of reclaim; and which of them a pass over cgroups asks at all.

A cache is a value that counts and scans.  Since 4.19 a bit per cgroup and shrinker says that there may be
objects; whoever clears it looks once more, so that an object added meanwhile is not lost.

Linux: mm/vmscan.c:do_shrink_slab, shrink_slab_memcg; mm/shrinker.c since 6.7.  Seed, opening table (F008).
"""

from dataclasses import dataclass, replace

from immutables import Map

from linuxmm.model.reclaim.caches import Shrinker
from linuxmm.model.reclaim.counters import SLABS_SCANNED
from linuxmm.model.reclaim.events import (
    MmShrinkSlabEnd,
    MmShrinkSlabStart,
)
from linuxmm.model.reclaim.rules import Control, Rules, with_done
from linuxmm.model.reclaim.scan import shrink_lruvec
from linuxmm.model.reclaim.state import Lruvec, count, give_pages, size_below, swap_free, trace
from linuxmm.spec.invariant import invariant
from linuxmm.spec.reclaim.lists import ACTIVE_ANON, EVICTABLE, INACTIVE_ANON
from linuxmm.spec.reclaim.shrinker import Asked
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Step


@verb("F008", source="mm/vmscan.c:shrink_slab, do_shrink_slab; mm/shrinker.c")
def shrink_one(
    rules: Rules, shrinker: Shrinker, priority: int, scanned: int = 0, eligible: int = 0
) -> Step[Shrinker, int]:
    """One pass over one cache: the objects freed, and what is deferred.

    scanned, eligible  pages that the pass scanned, of how many (until 4.16)
    Ensures   the loop ends: every batch is taken off the total
    """
    freeable = shrinker.objects
    if not freeable:
        return Step(shrinker, 0)
    asked = Asked(shrinker.deferred, freeable, shrinker.seeks, shrinker.batch, scanned, eligible, priority)
    quota = rules.quota(asked)
    total, objects, looked = quota.total, shrinker.objects, 0
    while total > 0 and rules.goes_on(total, shrinker.batch, freeable) and not shrinker.stopped:
        batch = min(shrinker.batch, total)
        objects -= min(batch, objects)
        total -= batch
        looked += batch
    left = rules.deferred(quota, total, looked, freeable)
    start = MmShrinkSlabStart(shrinker.id, shrinker.deferred, freeable, quota.delta, quota.total)
    end = MmShrinkSlabEnd(shrinker.id, shrinker.deferred, left, total, freeable - objects)
    return Step(replace(shrinker, objects=objects, deferred=left), freeable - objects, (start, end))


def eligible_pages(rules: Rules, v: Lruvec, control: Control) -> int:
    """Pages of the lists that a pass may take; anonymous ones only if there is swap.

    Source    mm/vmscan.c:zone_reclaimable_pages, shrink_zones; 2.6.28 to 4.16
    """
    total = 0
    for lru in EVICTABLE:
        if lru not in (INACTIVE_ANON, ACTIVE_ANON) or swap_free(v) > 0:
            total += size_below(v, lru, control.reclaim_idx)
    return total


@verb("F008", source="mm/vmscan.c:shrink_slab; mm/shrinker.c; 2.6.0 to 6.12")
def shrink_slab(rules: Rules, v: Lruvec, control: Control, scanned: int) -> tuple[Lruvec, Control]:
    """Ask every cache for its share; pages of slab that come free count as reclaimed.

    scanned   pages of the lists that the pass looked at just before
    Permits   how many pages come free with the objects: here the caches are kept dense
    """
    eligible = eligible_pages(rules, v, control)
    for at, shrinker in enumerate(v.shrinkers):
        step = shrink_one(rules, shrinker, control.priority, scanned, eligible)
        pages = shrinker.pages - step.state.pages
        v = give_pages(v, shrinker.zone, pages)
        v = replace(v, shrinkers=(*v.shrinkers[:at], step.state, *v.shrinkers[at + 1 :]))
        for event in step.events:
            v = trace(v, event)
            if isinstance(event, MmShrinkSlabStart):
                v = count(v, SLABS_SCANNED, event.total_scan)
            elif isinstance(event, MmShrinkSlabEnd):  # what is left of it
                v = count(v, SLABS_SCANNED, -event.total_scan)
        control = with_done(control, 0, pages)
    return v, control


@verb("F008", "F042", source="mm/vmscan.c:shrink_zone, shrink_node; balance_pgdat")
def shrink_node(rules: Rules, v: Lruvec, control: Control) -> tuple[Lruvec, Control]:
    """One pass over the lists, and then over the caches."""
    before = control.scanned
    v, control = shrink_lruvec(rules, v, control)
    return shrink_slab(rules, v, control, control.scanned - before)


# ---- cgroups -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Groups:
    """Objects of every cgroup in every shrinker that knows cgroups, and the bits that point to them.

    objects  (group, shrinker) -> objects
    bits     pairs whose bit is set
    calls    times that a shrinker was asked to count: the work of a pass
    """

    groups: int
    shrinkers: int
    objects: Map[tuple[int, int], int]
    bits: frozenset[tuple[int, int]]
    calls: int = 0


@verb("F008", source="mm/list_lru.c:list_lru_add; mm/vmscan.c:set_shrinker_bit")
def add_object(groups: Groups, group: int, shrinker: int) -> Groups:
    """A cache of a group gets an object; the first one sets the bit."""
    at = (group, shrinker)
    objects = groups.objects.set(at, groups.objects.get(at, 0) + 1)
    return replace(groups, objects=objects, bits=groups.bits | {at})


@verb("F008", source="mm/vmscan.c:shrink_slab; 4.1 to 4.18")
def shrink_all(groups: Groups) -> tuple[Groups, int]:
    """A pass asks every shrinker for every group."""
    freed = sum(groups.objects.values())
    calls = groups.calls + groups.groups * groups.shrinkers
    return replace(groups, objects=Map(), calls=calls), freed


@verb("F008", source="mm/vmscan.c:shrink_slab_memcg; 4.19 to 6.12")
def shrink_by_bits(groups: Groups) -> tuple[Groups, int]:
    """A pass asks those whose bit is set, and clears the bits of the empty ones after a second look."""
    freed = 0
    for at in sorted(groups.bits):
        found = groups.objects.get(at, 0)
        groups = replace(groups, calls=groups.calls + 1)
        if found:
            freed += found
            groups = replace(groups, objects=groups.objects.delete(at))
            continue
        groups = clear_bit(groups, *at)
        groups = look_again(groups, *at)
    return groups, freed


def clear_bit(groups: Groups, group: int, shrinker: int) -> Groups:
    """A pass found nothing: it clears the bit."""
    return replace(groups, bits=groups.bits - {(group, shrinker)})


def look_again(groups: Groups, group: int, shrinker: int) -> Groups:
    """After a barrier it counts once more, and sets the bit again if an object came meanwhile."""
    at = (group, shrinker)
    groups = replace(groups, calls=groups.calls + 1)
    return replace(groups, bits=groups.bits | {at}) if groups.objects.get(at, 0) else groups


@invariant(
    "reclaim.shrinker.bits",
    features=("F008",),
    source="mm/vmscan.c:shrink_slab_memcg, set_shrinker_bit",
    seed="2",
    since="4.19",
)
def bits_cover(groups: Groups) -> bool:
    """No object is lost to reclaim: where a cgroup has objects in a shrinker, its bit is set."""
    return all(at in groups.bits for at, count in groups.objects.items() if count)
