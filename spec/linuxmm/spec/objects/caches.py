"""Caches that are one: when a new cache shares the slabs of another, and what ksize answers.

Linux: mm/slab_common.c:find_mergeable, mm/slab.h:slab_ksize.  Seed 2.1.2.2 (F033).  2.6.22 to 6.12.
"""

from typing import Final

from linuxmm.spec.arith import align_up
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.objects.sizes import POINTER
from linuxmm.spec.registry import formula

RECLAIM_ACCOUNT: Final = 1
CACHE_DMA: Final = 2
ACCOUNT: Final = 4
MERGE_SAME: Final = RECLAIM_ACCOUNT | CACHE_DMA | ACCOUNT
"""SLAB_MERGE_SAME: caches that differ in these stay apart."""


@formula("F033", source="mm/slab_common.c:slab_unmergeable, SLAB_NEVER_MERGE; 6.12")
def may_merge(debugged: bool, rcu: bool, ctor: bool, copied_to_user: bool, nomerge: bool) -> bool:
    """Whether a cache may share slabs at all: its objects are plain memory to everybody."""
    return not (debugged or rcu or ctor or copied_to_user or nomerge)


@formula("F033", source="mm/slab_common.c:find_mergeable; 2.6.22 to 6.12")
def shares_slabs(size: int, align: int, flags: int, held_size: int, held_flags: int) -> bool:
    """Whether a new cache shares the slabs of one that exists: nearly its size, aligned, the same kind.

    size        of the new cache's objects; align  of calculate_alignment
    held_size   from one object of the other to the next
    """
    size = align_up(align_up(size, POINTER), align)
    return (
        size <= held_size
        and held_size - size < POINTER
        and held_size & ~(align - 1) == held_size
        and flags & MERGE_SAME == held_flags & MERGE_SAME
    )


@formula("F033", source="mm/slab.h:slab_ksize; 2.6.22 to 6.12")
def ksize(object_size: int, inuse: int, size: int, guarded: bool, kept: bool) -> int:
    """Bytes of an object that its holder may use.

    guarded  red zones or poison;  kept  SLAB_TYPESAFE_BY_RCU or owners are stored: the link stands behind
    """
    if guarded:
        return object_size
    return inuse if kept else size


@behaviour(
    "objects.krealloc-stays",
    since="2.6.22",
    until="2.6.22",
    features=("F033",),
    source="mm/slub.c:krealloc; 2.6.22",
)
def stays_in_class(usable: int, old_class: int, new_class: int, asked: int) -> bool:
    """Whether krealloc keeps the object where it is: the new size is of the same class."""
    return old_class == new_class


@behaviour(
    "objects.krealloc-stays",
    since="2.6.23",
    features=("F033",),
    source="mm/util.c:krealloc, mm/slab_common.c:__do_krealloc; read in 6.12, the first release from memory",
)
def stays_if_it_fits(usable: int, old_class: int, new_class: int, asked: int) -> bool:
    """Whether krealloc keeps the object where it is: it is large enough."""
    return usable >= asked


@behaviour(
    "objects.krealloc-spare",
    since="2.6.22",
    until="6.11",
    features=("F033",),
    source="mm/util.c:krealloc, mm/slab_common.c:__do_krealloc; the limits from memory",
    replaced_in=("6.1.192",),
)
def spare_as_it_was(usable: int, asked: int) -> int:
    """Bytes that krealloc with __GFP_ZERO clears in place: none, what is beyond the old size stays."""
    return 0


@behaviour(
    "objects.krealloc-spare",
    since="6.12",
    features=("F033",),
    source="mm/slab_common.c:__do_krealloc; read in 6.1.192 and 6.12",
    backports=("6.1.192",),
)
def zeroed_spare(usable: int, asked: int) -> int:
    """Bytes that krealloc with __GFP_ZERO clears in place: all behind those asked for.

    Requires  asked <= usable
    Ensures   a later krealloc to more bytes of the same object finds them zero
    """
    return usable - asked
