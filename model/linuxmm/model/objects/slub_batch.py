"""Objects that are handed out or freed together: an array of them, and what is freed in one go.

The primitives are all that the algorithms of `slub_bulk` know of such an array.

Linux: mm/slub.c:build_detached_freelist.  Seed 2.1.2.2 (F033).  4.4 to 6.12.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from linuxmm.model.objects.slub_state import END, NOTHING, Cache, relink, slab_at, with_slab
from linuxmm.spec.kernel import behaviour

LOOK_AHEAD: Final = 3
"""Objects of other slabs at which the search for more of the same slab ends."""


@dataclass(frozen=True, slots=True)
class Batch:
    """An array of objects, each its slab's first page and its number; (NOTHING, NOTHING) is none."""

    objects: tuple[tuple[int, int], ...]


Detach: TypeAlias = Callable[[Cache, Batch, int], tuple[Cache, Batch, int, int, int]]


# ---- primitives ------------------------------------------------------------------------------------------


def batch_slab(batch: Batch, at: int) -> int:
    """The slab of an object, or NOTHING."""
    return batch.objects[at][0]


def batch_number(batch: Batch, at: int) -> int:
    """The number of an object in its slab."""
    return batch.objects[at][1]


def with_object(batch: Batch, at: int, pfn: int, number: int) -> Batch:
    """The array with another object at a place."""
    return Batch((*batch.objects[:at], (pfn, number), *batch.objects[at + 1 :]))


# ---- what is freed in one go -----------------------------------------------------------------------------


@behaviour(
    "objects.slub-detach",
    since="2.6.22",
    until="4.3",
    features=("F033",),
    source="mm/slub.c:kmem_cache_free; 4.3 has a loop of its own, from the first object to the last",
)
def detach_one(cache: Cache, batch: Batch, size: int) -> tuple[Cache, Batch, int, int, int]:
    """Only the last object: callers free one after another."""
    return cache, batch, size - 1, batch_number(batch, size - 1), 1


@behaviour(
    "objects.slub-detach",
    since="4.4",
    until="5.19",
    features=("F033",),
    source="mm/slub.c:build_detached_freelist; read in 4.4; its end in the patch that replaced it",
)
def detach_by_marking(cache: Cache, batch: Batch, size: int) -> tuple[Cache, Batch, int, int, int]:
    """As `detach_by_swapping`; what is linked is marked as gone, and others stay where they are.

    Ensures   the size that is left ends with the last object that was passed over
    """
    size -= 1
    pfn = batch_slab(batch, size)
    head = batch_number(batch, size)
    cache = with_slab(cache, pfn, relink(slab_at(cache, pfn), head, END))
    batch = with_object(batch, size, NOTHING, NOTHING)
    count = 1
    left = 0
    lookahead = LOOK_AHEAD
    while size > 0 and lookahead > 0:
        size -= 1
        held = batch_slab(batch, size)
        if held == pfn:
            number = batch_number(batch, size)
            cache = with_slab(cache, pfn, relink(slab_at(cache, pfn), number, head))
            batch = with_object(batch, size, NOTHING, NOTHING)
            head = number
            count += 1
        elif held != NOTHING:
            lookahead -= 1
            if left == 0:
                left = size + 1
    return cache, batch, left, head, count


@behaviour(
    "objects.slub-detach",
    since="6.0",
    features=("F033",),
    source="mm/slub.c:build_detached_freelist; read in 6.1 and 6.12, the first release by the patch's date",
)
def detach_by_swapping(cache: Cache, batch: Batch, size: int) -> tuple[Cache, Batch, int, int, int]:
    """Link the last object and those of the same slab before it: what is left, the first linked, how many.

    The search goes backwards and ends with the third object of another slab.
    Requires  size > 0; the last object is of this cache
    Ensures   the objects linked are no more among the first `left`; their list ends with the last one
    """
    size -= 1
    pfn = batch_slab(batch, size)
    head = batch_number(batch, size)
    cache = with_slab(cache, pfn, relink(slab_at(cache, pfn), head, END))
    count = 1
    left = size
    lookahead = LOOK_AHEAD
    while size > 0 and lookahead > 0:
        size -= 1
        if batch_slab(batch, size) != pfn:
            lookahead -= 1
            continue
        number = batch_number(batch, size)
        cache = with_slab(cache, pfn, relink(slab_at(cache, pfn), number, head))
        head = number
        count += 1
        left -= 1
        if size != left:
            moved = batch_slab(batch, left)
            batch = with_object(batch, size, moved, batch_number(batch, left))
            batch = with_object(batch, left, pfn, number)
    return cache, batch, left, head, count
