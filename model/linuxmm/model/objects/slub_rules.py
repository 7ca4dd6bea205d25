"""What SLUB of one kernel does in its own way.

Linux: mm/slub.c.  Seed 2.1.2.2 (F033).  2.6.22 to 6.12.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from linuxmm.model.objects.slub_batch import Detach, detach_by_swapping
from linuxmm.model.objects.slub_state import Cache, slab_at
from linuxmm.spec.kernel import Kernel, behaviour
from linuxmm.spec.objects.caches import stays_if_it_fits, zeroed_spare

PROMOTED: Final = 32
"""SHRINK_PROMOTE_MAX"""


# ---- how a cache shrinks ---------------------------------------------------------------------------------


@behaviour(
    "objects.slub-shrink-rank",
    since="2.6.22",
    until="3.19",
    features=("F033",),
    source="mm/slub.c:kmem_cache_shrink, slabs_by_inuse; read in 2.6.39 and in the patch that ended it",
)
def rank_by_use(cache: Cache, pfn: int) -> int:
    """All slabs are sorted by their objects in use, the fullest first."""
    return cache.objects - slab_at(cache, pfn).inuse


@behaviour(
    "objects.slub-shrink-rank",
    since="4.0",
    features=("F033",),
    source="mm/slub.c:__kmem_cache_do_shrink; read in 6.1 and 6.12, the first release from memory",
)
def rank_if_fullest(cache: Cache, pfn: int) -> int:
    """Slabs with 32 free objects or fewer are sorted, the fullest first; 0: others stay as they are."""
    left = slab_at(cache, pfn).objects - slab_at(cache, pfn).inuse
    return left if left <= PROMOTED else 0


@behaviour(
    "objects.slub-shrink-ranks",
    since="2.6.22",
    until="3.19",
    features=("F033",),
    source="mm/slub.c:kmem_cache_shrink; read in 2.6.39",
)
def ranks_of_use(cache: Cache) -> int:
    """As many ranks as a slab has objects."""
    return cache.objects


@behaviour(
    "objects.slub-shrink-ranks",
    since="4.0",
    features=("F033",),
    source="mm/slub.c:SHRINK_PROMOTE_MAX; read in 6.1 and 6.12, the first release from memory",
)
def promoted_ranks(cache: Cache) -> int:
    """32 ranks."""
    return PROMOTED


# ---- the record ------------------------------------------------------------------------------------------


class Rules(NamedTuple):
    """What SLUB of one kernel does in its own way.

    weight(cache, pfn)          what a slab adds to the count of a CPU's list
    first_weight(cache, pfn)    what the slab in use adds, of those taken off a node's list together
    full(count, limit)          is the list emptied before another slab comes?
    stops(count, limit)         does taking slabs off a node's list end?
    keeps_empty(nr, least)      does a node with nr partial slabs keep one that a free has emptied?
    stays_frozen                is a slab on a CPU's list frozen?
    detach(cache, batch, size)  the objects of one slab that are freed together (see `slub_bulk`)
    rank, ranks                 how a slab is ranked when its cache shrinks (see `slub_shrink`)
    stays, spare                what krealloc does in place (see `caches`)
    """

    has_cpu_partial: bool
    weight: Callable[[Cache, int], int]
    first_weight: Callable[[Cache, int], int]
    full: Callable[[int, int], bool]
    stops: Callable[[int, int], bool]
    keeps_empty: Callable[[int, int], bool]
    stays_frozen: bool
    detach: Detach = detach_by_swapping
    rank: Callable[[Cache, int], int] = rank_if_fullest
    ranks: Callable[[Cache], int] = promoted_ranks
    stays: Callable[[int, int, int, int], bool] = stays_if_it_fits
    spare: Callable[[int, int], int] = zeroed_spare


def _no_weight(cache: Cache, pfn: int) -> int:
    return 0


def one_slab(cache: Cache, pfn: int) -> int:
    """Every slab counts alike."""
    return 1


def _free_objects(cache: Cache, pfn: int) -> int:
    return slab_at(cache, pfn).objects - slab_at(cache, pfn).inuse


def _never(nr: int, least: int) -> bool:
    return False


def _always(nr: int, least: int) -> bool:
    return True


def _up_to(nr: int, least: int) -> bool:
    return nr <= least


def _below(nr: int, least: int) -> bool:
    return nr < least


def _above(count: int, limit: int) -> bool:
    return count > limit


def _reaches(count: int, limit: int) -> bool:
    return count >= limit


def _above_half(count: int, limit: int) -> bool:
    return count > limit // 2


@behaviour(
    "objects.slub-rules",
    since="2.6.22",
    until="3.1",
    features=("F033",),
    source="mm/slub.c:__slab_free, unfreeze_slab; read in 2.6.39; 3.2 from memory",
)
def rules_without_cpu_lists() -> Rules:
    """No lists of slabs per CPU; a slab that a free empties is given back at once."""
    return Rules(False, _no_weight, _no_weight, _never, _always, _never, True)


@behaviour(
    "objects.slub-rules",
    since="3.2",
    until="3.15",
    features=("F033",),
    source="mm/slub.c:put_cpu_partial, __slab_free; read in 3.4 to 3.14",
)
def rules_counting_objects_loosely() -> Rules:
    """Lists per CPU, limited by objects; a node keeps one empty slab more than min_partial."""
    return Rules(True, _free_objects, _free_objects, _above, _above_half, _up_to, True)


@behaviour(
    "objects.slub-rules",
    since="3.16",
    until="5.15",
    features=("F033",),
    source="mm/slub.c:put_cpu_partial, __slab_free; read in 3.16 to 5.15",
)
def rules_counting_objects() -> Rules:
    """Lists per CPU, limited by objects that were free when their slab came."""
    return Rules(True, _free_objects, _free_objects, _above, _above_half, _below, True)


@behaviour(
    "objects.slub-rules",
    since="5.16",
    until="6.7",
    features=("F033",),
    source="mm/slub.c:put_cpu_partial, get_partial_node; read in 5.17 to 6.6",
)
def rules_counting_slabs() -> Rules:
    """Lists per CPU, limited by slabs."""
    return Rules(True, one_slab, _no_weight, _reaches, _above_half, _below, True)


@behaviour(
    "objects.slub-rules",
    since="6.8",
    features=("F033",),
    source="mm/slub.c:put_cpu_partial, __slab_free, freeze_slab; 6.8 to 6.12",
)
def rules_not_freezing() -> Rules:
    """As before; a slab is frozen only once a CPU begins to use it."""
    return Rules(True, one_slab, _no_weight, _reaches, _above_half, _below, False)


def rules_for(kernel: Kernel) -> Rules:
    """The rules of a kernel."""
    found = kernel.behaviour("objects.slub-rules").function()
    if not isinstance(found, Rules):
        raise TypeError(f"{found!r} is no record of rules")
    others = [kernel.behaviour(f"objects.{rule}").function for rule in _OTHERS]
    return Rules._make((*found[: -len(others)], *others))


_OTHERS: Final = ("slub-detach", "slub-shrink-rank", "slub-shrink-ranks", "krealloc-stays", "krealloc-spare")
