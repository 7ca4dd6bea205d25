"""The life of one address of vmalloc space: used, unmapped, waiting, flushed, free.

Linux: mm/vmalloc.c:__purge_vmap_area_lazy.  Seed 2.1.3.1 (F035).  2.6.28 to 6.12.
"""

from dataclasses import dataclass, replace
from typing import Final

from linuxmm.spec.registry import formula

FREE: Final = 0
BUSY: Final = 1
LAZY: Final = 2
DETACHED: Final = 3
READY: Final = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where an address stands; when it was last unmapped and last flushed on all CPUs, in steps."""

    where: int
    unmapped: int
    flush: int


@formula("F035", source="mm/vmalloc.c:alloc_vmap_area; 2.6.28 to 6.12")
def used(place: Place) -> Place:
    """Somebody maps a free address."""
    return replace(place, where=BUSY) if place.where == FREE else place


@formula("F035", source="mm/vmalloc.c:free_unmap_vmap_area; 2.6.28 to 6.12")
def let_go(place: Place, now: int) -> Place:
    """Its entry is cleared; CPUs may still translate it."""
    return replace(place, where=LAZY, unmapped=now) if place.where == BUSY else place


@formula("F035", source="mm/vmalloc.c:__purge_vmap_area_lazy; 2.6.28 to 6.12")
def detached(place: Place) -> Place:
    """A purge takes what waits."""
    return replace(place, where=DETACHED) if place.where == LAZY else place


@formula("F035", source="mm/vmalloc.c:flush_tlb_kernel_range")
def flushed(place: Place, now: int) -> Place:
    """The purge flushes all CPUs over a range that holds what it detached, and whatever lies between."""
    return replace(place, where=READY if place.where == DETACHED else place.where, flush=now)


@formula("F035", source="mm/vmalloc.c:merge_or_add_vmap_area_augment; 2.6.28 to 6.12")
def freed(place: Place) -> Place:
    """The purge gives back what it detached before its flush."""
    return replace(place, where=FREE) if place.where == READY else place
