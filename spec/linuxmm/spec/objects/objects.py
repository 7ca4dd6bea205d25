"""What any object allocator with slabs must keep, whoever holds the free objects.

An object of a slab is its number, from 0 on.  A CPU may hold free objects of a slab; these count as in use.

Linux: mm/slub.c, mm/slab.c.  Seed 2.1.2 (F032, F033).
"""

from collections.abc import Collection, Sequence

from linuxmm.spec.invariant import clause, invariant

_FEATURES = ("F032", "F033")


@invariant(
    "objects.freelist.once", features=_FEATURES, seed="2.1.2.2", source="mm/slub.c:check_slab, on_freelist"
)
def freelist_once(free: Sequence[int], objects: int) -> bool:
    """A list of free objects ends, meets each at most once, and only objects of its slab."""
    return len(set(free)) == len(free) and all(0 <= number < objects for number in free)


@invariant("objects.slab.count", features=_FEATURES, seed="2.1.2.2", source="mm/slub.c:on_freelist")
def counted(inuse: int, free: Sequence[int], objects: int) -> bool:
    """The objects in use and those on the slab's own list are all its objects."""
    return inuse + len(free) == objects and inuse >= 0


@invariant("objects.slab.apart", features=_FEATURES, seed="2.1.2", source="mm/slub.c:___slab_alloc")
def apart(free: Sequence[int], cached: Sequence[int], live: Collection[int], objects: int) -> bool:
    """Each object is free on its slab, held free by a CPU, or somebody's: one of the three, never two."""
    everything = [*free, *cached, *live]
    return len(everything) == objects == len(set(everything))


@invariant("objects.slub.frozen", features=("F033",), seed="2.1.2.2", source="mm/slub.c:deactivate_slab")
def frozen_alone(frozen: bool, on_node: bool, holders: int) -> bool:
    """A frozen slab belongs to one CPU and is on no node's list; a slab has at most one holder."""
    return holders + int(on_node) <= 1 and (holders == 1 or not frozen)


@invariant("objects.slub.listed", features=("F033",), seed="2.1.2.2", source="mm/slub.c:add_partial")
def listed_has_free(on_node: bool, free: int, held: bool) -> bool:
    """A slab on a node's list has free objects, and one with free objects is on a list or a CPU's."""
    return free > 0 if on_node else free == 0 or held


@invariant(
    "objects.slab.listed", features=("F032",), seed="2.1.2.1", source="mm/slab.c:fixup_slab_list, free_block"
)
def listed_by_use(lists: tuple[int, int, int], free: int, objects: int) -> bool:
    """A slab of SLAB is on one list: that of free, of partial or of full slabs, by its free objects.

    lists  how often it is on each
    """
    return lists == ((1, 0, 0) if free == objects else (0, 1, 0) if free else (0, 0, 1))


HANDED_OUT_ONCE = clause(
    "objects.handed-out-once",
    "No object is handed out that somebody holds, and only held objects come back.",
    features=_FEATURES,
    source="mm/slub.c:slab_alloc_node, slab_free",
    seed="2.1.2",
)
