"""SLUB debugging: what the checks of older kernels did otherwise.

A broken object was freed without a word, kept without a word, or kept and named; the bytes behind the last
slot were put right at the wrong place; a slab whose object is checked at its allocation was counted full.

Linux: mm/slub.c:free_debug_processing, slab_pad_check, ___slab_alloc.  Seed 2.13.2 (F077).  2.6.23 to 6.12.
"""

from enum import Enum

from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula


class BrokenFree(Enum):
    """What becomes of a free of an object that a check found broken."""

    KEPT = "it stays in use, and nothing says so"
    FREED = "it goes to the free list as it is, with the red zone of one in use"
    NAMED = "it stays in use, and a line says so"


@behaviour(
    "debug.slub.broken-free",
    since="2.6.23",
    until="3.5",
    features=("F077",),
    source="mm/slub.c:free_debug_processing; 3.0 (2.6.23 to 2.6.39, 3.1 to 3.5 unconfirmed)",
)
def broken_is_kept() -> BrokenFree:
    """The check of the object returns failure, past the line."""
    return BrokenFree.KEPT


@behaviour(
    "debug.slub.broken-free",
    since="3.6",
    until="4.5",
    features=("F077",),
    source="mm/slub.c:free_debug_processing; 3.10 (3.6 to 3.9, 3.11 to 4.5 unconfirmed)",
)
def broken_is_freed() -> BrokenFree:
    """The check of the object returns the node, which is what success returns."""
    return BrokenFree.FREED


@behaviour(
    "debug.slub.broken-free",
    since="4.6",
    features=("F077",),
    source="mm/slub.c:free_debug_processing; 5.10, 6.1, 6.12 (4.6 to 5.9 unconfirmed)",
)
def broken_is_named() -> BrokenFree:
    """Every failed check ends at the line."""
    return BrokenFree.NAMED


class Counted(Enum):
    """What a slab's fields are while the object that is handed out is checked."""

    BEFORE = "as they were before the allocation"
    FULL = "of a slab without free objects, all in use: its list was taken whole"
    AFTER = "as they will be after it"


@behaviour(
    "debug.slub.counted",
    since="2.6.23",
    until="3.0",
    features=("F077",),
    source="mm/slub.c:__slab_alloc; 3.0 (2.6.23 to 2.6.39 unconfirmed)",
)
def counted_before() -> Counted:
    """The count and the list are set when the check is over."""
    return Counted.BEFORE


@behaviour(
    "debug.slub.counted",
    since="3.1",
    until="5.13",
    features=("F077",),
    source="mm/slub.c:acquire_slab, new_slab; 3.10 (3.1 to 3.9, 3.11 to 5.13 unconfirmed)",
)
def counted_full() -> Counted:
    """A slab is frozen whole before one of its objects is checked."""
    return Counted.FULL


@behaviour(
    "debug.slub.counted",
    since="5.14",
    features=("F077",),
    source="mm/slub.c:alloc_single_from_partial; 6.1, 6.12 (5.14 to 6.0 unconfirmed)",
)
def counted_after() -> Counted:
    """One object is taken from the slab, then checked."""
    return Counted.AFTER


@behaviour(
    "debug.slub.guards",
    since="2.6.23",
    until="5.13",
    features=("F077",),
    source="mm/slub.c:check_slab, free_debug_processing; 3.0, 3.10, 5.10 (others unconfirmed)",
)
def unguarded() -> bool:
    """Whether a slab that failed a check is disabled, and its count guarded at a free: no."""
    return False


@behaviour(
    "debug.slub.guards",
    since="5.14",
    features=("F077",),
    source="mm/slub.c:check_slab, free_debug_processing; 6.1, 6.12 (5.14 to 6.0 unconfirmed)",
)
def guarded() -> bool:
    """Whether a slab that failed a check is disabled, and its count guarded at a free: yes."""
    return True


@behaviour(
    "debug.slub.rest",
    since="2.6.23",
    until="2.6.25",
    features=("F077",),
    source="mm/slub.c:slab_pad_check; read in a kernel before 2.6.26",
)
def rest_of_the_whole(start: int, length: int, fault: int, end: int) -> tuple[int, int]:
    """Nothing of the rest was shown: the objects were, and they were overwritten up to the changed byte.

    Errors    Unmodelled: every object of the slab loses what it holds
    """
    raise Unmodelled("changed bytes behind the last slot before 2.6.26: all objects are overwritten")


@behaviour(
    "debug.slub.rest",
    since="2.6.26",
    until="4.15",
    features=("F077",),
    source="mm/slub.c:slab_pad_check; 3.0, 3.10, 4.9 (2.6.26 to 2.6.39, 4.10 to 4.15 unconfirmed)",
)
@formula("F077", source="mm/slub.c:slab_pad_check")
def rest_moved(start: int, length: int, fault: int, end: int) -> tuple[int, int]:
    """First byte shown, and first put right, of the bytes behind the last slot.

    The end was moved to the last changed byte; the start is reckoned from it.
    """
    return end - length, end - length


@behaviour(
    "debug.slub.rest",
    since="4.16",
    features=("F077",),
    source="mm/slub.c:slab_pad_check; 4.19, 5.10, 6.1, 6.12 (4.16 to 4.18 unconfirmed)",
)
@formula("F077", source="mm/slub.c:slab_pad_check")
def rest_in_place(start: int, length: int, fault: int, end: int) -> tuple[int, int]:
    """First byte shown, and first put right: where the rest begins, and where it differs."""
    return start, fault


@behaviour(
    "debug.slub.validate",
    since="2.6.23",
    until="5.4",
    features=("F077",),
    source="mm/slub.c:validate_slab; (2.6.23 to 5.4 unconfirmed)",
)
def free_objects_first() -> bool:
    """Whether all free objects of a slab are checked before those in use: yes."""
    return True


@behaviour(
    "debug.slub.validate",
    since="5.5",
    features=("F077",),
    source="mm/slub.c:validate_slab; 6.1, 6.12 (5.5 to 6.0 unconfirmed)",
)
def objects_in_order() -> bool:
    """Whether all free objects of a slab are checked before those in use: no, by address."""
    return False
