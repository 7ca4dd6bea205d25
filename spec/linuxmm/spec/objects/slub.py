"""SLUB's formulas: layout of an object, order of a slab, how many slabs are kept where.

Sizes are bytes; a slab is a block of 2**order pages that holds objects one after another from its start.

Linux: mm/slub.c:calculate_sizes, calculate_order, kmem_cache_open.  Seed 2.1.2.2 (F033).  2.6.22 to 6.12.
"""

from typing import Final, NamedTuple

from linuxmm.spec.arith import align_up, clamp, floor_log2
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.objects.sizes import PAGE_SIZE, POINTER, get_order
from linuxmm.spec.registry import formula

MAX_OBJECTS: Final = 32767
"""MAX_OBJS_PER_PAGE: `objects` has 15 bits."""
MIN_PARTIAL: Final = 5
MAX_PARTIAL: Final = 10
NO_ORDER: Final = -1
"""No order holds a single object."""


class CacheFlags(NamedTuple):
    """What a cache asks for, as far as its layout depends on it.

    rcu       SLAB_TYPESAFE_BY_RCU: a free object keeps its contents until a grace period is over
    poison, red_zone, store_user  slub_debug
    kmalloc   one of kmalloc's caches
    """

    rcu: bool = False
    poison: bool = False
    red_zone: bool = False
    store_user: bool = False
    ctor: bool = False
    kmalloc: bool = False


class Layout(NamedTuple):
    """The layout of one object, in bytes.

    inuse     end of the object and of the word that guards it
    offset    where a free object keeps its link
    size      from one object to the next
    red_left  bytes of red zone in front of the object
    """

    inuse: int
    offset: int
    size: int
    red_left: int


@formula("F033", source="mm/slub.c:calculate_sizes; 6.1, 6.12")
def link_outside(object_size: int, flags: CacheFlags, wide_red_zone: bool) -> bool:
    """Whether the link of a free object stands behind it: its contents are still somebody's.

    wide_red_zone  the size asked of kmalloc is kept (6.12: slub_debug_orig_size), so all behind it is guarded
    """
    guarded = flags.red_zone and (object_size < POINTER or (wide_red_zone and flags.kmalloc))
    return flags.rcu or flags.poison or flags.ctor or guarded


def layout(
    object_size: int, align: int, flags: CacheFlags, link: int, track: int, orig_size: int, wide: bool
) -> Layout:
    """The layout of an object.

    align      of the cache, a power of two of at least a word
    link       where the link stands if it may stand inside
    track      bytes of one record of who allocated or freed (two are kept with store_user)
    orig_size  bytes kept for the size asked of kmalloc, with store_user
    Ensures    offset + word <= size and inuse <= size and size is a multiple of align
    Source     mm/slub.c:calculate_sizes; 6.1, 6.12
    """
    size = align_up(object_size, POINTER)
    if flags.red_zone and size == object_size:
        size += POINTER
    inuse, offset = size, link
    if link_outside(object_size, flags, wide):
        offset = size
        size += POINTER
    if flags.store_user:
        size += 2 * track + (orig_size if flags.kmalloc else 0)
    red_left = 0
    if flags.red_zone:
        red_left = align_up(POINTER, align)
        size += POINTER + red_left
    return Layout(inuse, offset, align_up(size, align), red_left)


@formula("F033", source="mm/slub.c:order_objects")
def objects_of(order: int, size: int) -> int:
    """Objects in a slab.

    Requires  size > 0
    """
    return (PAGE_SIZE << order) // size


@formula("F033", source="mm/slub.c:calc_slab_order")
def order_within(size: int, first: int, last: int, fraction: int) -> int:
    """The lowest order from `first` to `last` whose rest is at most 1/fraction of the slab; last + 1 if none.

    Requires  size > 0, fraction > 0
    """
    order = first
    while order <= last:
        slab = PAGE_SIZE << order
        if slab % size <= slab // fraction:
            return order
        order += 1
    return max(order, first)


@formula("F033", source="mm/slub.c:calculate_order; since 2.6.26")
def min_objects_for(cpus: int) -> int:
    """How many objects a slab should hold, so that CPUs seldom meet at a list: more for more CPUs.

    Requires  cpus > 0
    """
    return 4 * (floor_log2(cpus) + 2)


@behaviour(
    "objects.slub-order",
    since="2.6.22",
    until="2.6.25",
    features=("F033",),
    source="mm/slub.c:slab_order, calculate_order; read in 2.6.22, 2.6.24, the last release from memory",
)
def slub_order_small(size: int, cpus: int, top: int) -> int:
    """The order of a cache's slabs: at most 1; four objects if they fit, an eighth or a quarter left over."""
    wanted = 4
    while wanted > 1:
        for fraction in (8, 4):
            order = order_within(size, get_order(wanted * size), 1, fraction)
            if order <= 1:
                return order
        wanted //= 2
    return _single(size, 1, top)


@behaviour(
    "objects.slub-order",
    since="2.6.26",
    until="2.6.29",
    features=("F033",),
    source="mm/slub.c:slab_order, calculate_order; read in 2.6.28, the limits of the span from memory",
)
def slub_order_halving(size: int, cpus: int, top: int) -> int:
    """The order of a cache's slabs: at most 3; objects by the number of CPUs, halved until they fit."""
    if PAGE_SIZE // size > 65535:
        return get_order(size * 65535) - 1
    wanted = min_objects_for(cpus)
    while wanted > 1:
        for fraction in (16, 8, 4):
            order = order_within(size, get_order(wanted * size), 3, fraction)
            if order <= 3:
                return order
        wanted //= 2
    return _single(size, 3, top)


@behaviour(
    "objects.slub-order",
    since="2.6.30",
    until="6.6",
    features=("F033",),
    source="mm/slub.c:calc_slab_order, calculate_order; read in 2.6.31 to 6.6, the first from memory",
)
def slub_order_stepping(size: int, cpus: int, top: int) -> int:
    """The order of a cache's slabs: at most 3; objects by the number of CPUs, one fewer until they fit."""
    if PAGE_SIZE // size > MAX_OBJECTS:
        return get_order(size * MAX_OBJECTS) - 1
    wanted = min(min_objects_for(cpus), objects_of(3, size))
    while wanted > 1:
        for fraction in (16, 8, 4):
            order = order_within(size, get_order(wanted * size), 3, fraction)
            if order <= 3:
                return order
        wanted -= 1
    return _single(size, 3, top)


@behaviour(
    "objects.slub-order",
    since="6.7",
    features=("F033",),
    source="mm/slub.c:calc_slab_order, calculate_order; read in 6.8 to 6.12, the first from memory",
)
def slub_order_by_waste(size: int, cpus: int, top: int) -> int:
    """The order of a cache's slabs: at most 3; from what the objects need, with as little waste as can be."""
    wanted = min(min_objects_for(cpus), max(objects_of(3, size), 1))
    first = get_order(wanted * size)
    if objects_of(first, size) > MAX_OBJECTS:
        return get_order(size * MAX_OBJECTS) - 1
    for fraction in (16, 8, 4, 2):
        order = order_within(size, first, 3, fraction)
        if order <= 3:
            return order
    order = get_order(size)
    return order if order <= top else NO_ORDER


def _single(size: int, preferred: int, top: int) -> int:
    """The order that holds one object; NO_ORDER if it is above `top`, the largest order of a block."""
    order = get_order(size)
    return order if order <= max(preferred, top) else NO_ORDER


@behaviour(
    "objects.slub-cpus",
    since="2.6.22",
    until="5.10",
    features=("F033",),
    source="mm/slub.c:calculate_order; 2.6.28 to 5.10",
)
def slub_cpus_possible(present: int, possible: int) -> int:
    """How many CPUs the order of slabs is made for: all that may ever be (nr_cpu_ids)."""
    return possible


@behaviour(
    "objects.slub-cpus",
    since="5.11",
    features=("F033",),
    source="mm/slub.c:calculate_order; 5.11 to 6.12",
)
def slub_cpus_present(present: int, possible: int) -> int:
    """How many CPUs the order of slabs is made for: those present, or all possible ones if it is only one."""
    return present if present > 1 else possible


@behaviour(
    "objects.slub-min-partial",
    since="2.6.22",
    until="2.6.22",
    features=("F033",),
    source="mm/slub.c:MIN_PARTIAL; 2.6.22",
)
def min_partial_two(size: int) -> int:
    """How many empty slabs a node may keep on its partial list: two."""
    return 2


@behaviour(
    "objects.slub-min-partial",
    since="2.6.23",
    until="2.6.26",
    features=("F033",),
    source="mm/slub.c:MIN_PARTIAL; read in 2.6.24, the limits of the span from memory",
)
def min_partial_five(size: int) -> int:
    """How many partial slabs a node has before an empty one is given back: five."""
    return MIN_PARTIAL


@behaviour(
    "objects.slub-min-partial",
    since="2.6.27",
    until="3.1",
    features=("F033",),
    source="mm/slub.c:set_min_partial; read in 2.6.28 to 2.6.39, the limits of the span from memory",
)
def min_partial_by_log(size: int) -> int:
    """How many partial slabs a node has before an empty one is given back: 5 to 10, by the objects' size."""
    return clamp(floor_log2(size), MIN_PARTIAL, MAX_PARTIAL)


@behaviour(
    "objects.slub-min-partial",
    since="3.2",
    features=("F033",),
    source="mm/slub.c:kmem_cache_open; read in 3.4 to 6.12, the first release from memory",
)
def min_partial_by_half_log(size: int) -> int:
    """How many partial slabs a node has before an empty one is given back: 5 to 10, half the logarithm."""
    return clamp(floor_log2(size) // 2, MIN_PARTIAL, MAX_PARTIAL)


@behaviour(
    "objects.slub-cpu-partial",
    since="2.6.22",
    until="3.1",
    features=("F033",),
    source="mm/slub.c: no lists of partial slabs per CPU",
)
def cpu_partial_none(size: int) -> int:
    """Objects that a CPU may hold on partial slabs besides its own: none."""
    return 0


@behaviour(
    "objects.slub-cpu-partial",
    since="3.2",
    until="5.15",
    features=("F033",),
    source="mm/slub.c:set_cpu_partial; read in 3.4 to 5.15, the first release from memory",
)
def cpu_partial_by_objects(size: int) -> int:
    """Objects that a CPU may hold on partial slabs besides its own, counted as slabs arrive."""
    return 2 if size >= PAGE_SIZE else 6 if size >= 1024 else 13 if size >= 256 else 30


@behaviour(
    "objects.slub-cpu-partial",
    since="5.16",
    features=("F033",),
    source="mm/slub.c:set_cpu_partial; 5.17 to 6.12",
)
def cpu_partial_by_slabs(size: int) -> int:
    """Objects that a CPU may hold on partial slabs besides its own, if these are half free."""
    return 6 if size >= PAGE_SIZE else 24 if size >= 1024 else 52 if size >= 256 else 120


@behaviour(
    "objects.slub-debug-flags",
    since="2.6.22",
    until="6.8",
    features=("F033", "F077"),
    source="include/linux/slab.h:SLAB_DEBUG_FLAGS; 6.1 (other releases unconfirmed)",
)
def debug_flags() -> int:
    """Flags of a cache that is watched, any of them: such a cache keeps no slabs on lists of CPUs."""
    return 0x100 | 0x400 | 0x800 | 0x10000 | 0x200000


@behaviour(
    "objects.slub-debug-flags",
    since="6.9",
    features=("F033", "F077"),
    source="include/linux/slab.h:_slab_flag_bits; 6.12 (6.9 to 6.11 unconfirmed)",
)
def debug_flags_by_number() -> int:
    """The same flags, numbered from 0 on: checks, red zone, poison, users, trace."""
    return 1 << 0 | 1 << 1 | 1 << 2 | 1 << 7 | 1 << 10


@formula("F033", source="mm/slub.c:slub_set_cpu_partial; 5.16 to 6.12")
def cpu_partial_slabs(objects: int, per_slab: int) -> int:
    """Slabs on a CPU's partial list before it is emptied, taking each as half free.

    Requires  per_slab > 0
    """
    return (objects * 2 + per_slab - 1) // per_slab
