"""Which clauses a cache of SLUB breaks, given who holds which objects.

Linux: mm/slub.c:validate_slab_cache.  Seed 2.1.2.2 (F033).
"""

from collections.abc import Collection
from itertools import chain as concatenated

from linuxmm.model.objects.slub import slab_of
from linuxmm.model.objects.slub_state import END, Cache, chain
from linuxmm.spec.objects.objects import apart, counted, freelist_once, frozen_alone, listed_has_free


def broken(cache: Cache, live: Collection[int]) -> tuple[str, ...]:
    """The clauses that do not hold, each with its slab; live: addresses that somebody holds."""
    found: list[str] = []
    numbers: dict[int, list[int]] = {pfn: [] for pfn in cache.slabs}
    for address in live:
        pfn, number = slab_of(cache, address)
        numbers[pfn].append(number)
    for pfn, slab in cache.slabs.items():
        free = chain(slab, slab.head)
        users = [held for held in cache.cpus if held.slab == pfn]
        cached = tuple(
            concatenated.from_iterable(chain(slab, held.head) for held in users if held.head != END)
        )
        listing = sum(1 for held in cache.cpus for other, _ in held.partial if other == pfn)
        on_node = any(pfn in listed for listed in cache.nodes)
        checks = {
            "objects.freelist.once": freelist_once((*free, *cached), slab.objects),
            "objects.slab.count": counted(slab.inuse, free, slab.objects),
            "objects.slab.apart": apart(free, cached, numbers[pfn], slab.objects),
            "objects.slub.frozen": frozen_alone(slab.frozen, on_node, len(users) + listing),
            "objects.slub.listed": listed_has_free(on_node, len(free), bool(users or listing)),
        }
        found += [f"{id} at {pfn}" for id, holds in checks.items() if not holds]
    return tuple(found)
