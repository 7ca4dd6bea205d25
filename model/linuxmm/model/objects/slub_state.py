"""The state of a cache of SLUB, and the elementary changes of a slab.

Free objects are linked through themselves: a slab, or the CPU that uses it, knows the first one.  A CPU's
list runs through the same links as its slab's.

The primitives are all that the algorithms of `slub` know of a cache; with others in their place these run
over another representation (`linuxmm.fast.slub_arena`).

Linux: struct slab, struct kmem_cache_cpu, struct kmem_cache_node (mm/slub.c).  Seed 2.1.2.2 (F033).
"""

from dataclasses import dataclass, replace
from typing import Final

from immutables import Map

END: Final = -1
"""The link of the last free object."""
NOTHING: Final = -1


@dataclass(frozen=True, slots=True)
class Slab:
    """One slab.

    objects  how many it has; they are numbered from 0
    inuse    those not on the slab's own list: in somebody's hands or on a CPU's list
    frozen   it is a CPU's, and stays on no node's list
    head     the first free object of its own list
    next     free object -> the following one
    order    of its block of pages
    """

    node: int
    objects: int
    inuse: int
    frozen: bool
    head: int
    next: Map[int, int]
    order: int = 0


@dataclass(frozen=True, slots=True)
class CpuSlab:
    """What a CPU holds of a cache.

    slab, head  the slab in use (its first page) and the first object that is handed out next
    partial     further slabs, the next to be used first; with each the count of it and those behind it, as
                it was when it came: of slabs, or of free objects (3.2 to 5.15)
    tid         changes with every operation of the fast path
    """

    slab: int = NOTHING
    head: int = END
    partial: tuple[tuple[int, int], ...] = ()
    tid: int = 0


@dataclass(frozen=True, slots=True)
class Cache:
    """A cache.

    size, order, objects  bytes from one object to the next; order of a slab; objects of a slab
    min_partial           partial slabs that a node has before empty ones are given back
    cpu_partial           what a CPU may hold besides its slab: slabs, or objects to 5.15
    slabs                 first page -> slab
    cpus, nodes           what CPUs hold; partial slabs of each node in list order
    node_of               node of each CPU
    doomed                empty slabs on their way back, the last one first; none between two operations
    ranked                slabs off their node's list while it is sorted: (rank, slab), the last one first
    """

    size: int
    order: int
    objects: int
    min_partial: int
    cpu_partial: int
    slabs: Map[int, Slab]
    cpus: tuple[CpuSlab, ...]
    nodes: tuple[tuple[int, ...], ...]
    node_of: tuple[int, ...]
    doomed: tuple[int, ...] = ()
    ranked: tuple[tuple[int, int], ...] = ()


def new_slab(node: int, objects: int, order: int) -> Slab:
    """A slab all of whose objects are free, linked in the order of their addresses."""
    links = {number: number + 1 for number in range(objects - 1)}
    return Slab(node, objects, 0, False, 0, Map({**links, objects - 1: END}), order)


# ---- primitives of a slab --------------------------------------------------------------------------------


def following(slab: Slab, number: int) -> int:
    """The free object that follows; END after the last."""
    return slab.next[number]


def with_link(slab: Slab, number: int, after: int) -> Slab:
    """The slab with another object behind a free one."""
    return replace(slab, next=slab.next.set(number, after))


def with_list(slab: Slab, head: int, inuse: int) -> Slab:
    """The slab with another first free object, and another count of those in use."""
    return replace(slab, head=head, inuse=inuse)


def with_frozen(slab: Slab, frozen: bool) -> Slab:
    """The slab frozen or not."""
    return replace(slab, frozen=frozen)


# ---- elementary changes of a slab ------------------------------------------------------------------------


def relink(slab: Slab, number: int, head: int) -> Slab:
    """Put an object in front of a CPU's list; the counts do not change.

    Requires  it is on no list; head is the CPU's first object or END
    """
    return with_link(slab, number, head)


def load(slab: Slab) -> tuple[Slab, int]:
    """Give the slab's whole list to the CPU that owns it: the slab, and the list's first object."""
    return with_frozen(with_list(slab, END, slab.objects), True), slab.head


def give_back(slab: Slab, head: int, tail: int, count: int) -> Slab:
    """Put `count` objects, linked from head to tail, in front of the slab's own list.

    Requires  count > 0; they are on no list, or on the CPU's that gives them back
    """
    return with_list(with_link(slab, tail, slab.head), head, slab.inuse - count)


def unfreeze(slab: Slab) -> Slab:
    """Let a slab go."""
    return with_frozen(slab, False)


def chain(slab: Slab, head: int) -> tuple[int, ...]:
    """The free objects from `head` on.

    Errors    RuntimeError when the list does not end within as many as the slab has
    """
    found: list[int] = []
    while head != END:
        if len(found) >= slab.objects:
            raise RuntimeError("a list of free objects does not end")
        found.append(head)
        head = slab.next[head]
    return tuple(found)


# ---- primitives of a cache -------------------------------------------------------------------------------


def slab_at(cache: Cache, pfn: int) -> Slab:
    """The slab that begins at a page."""
    return cache.slabs[pfn]


def with_slab(cache: Cache, pfn: int, slab: Slab) -> Cache:
    """The cache with a slab changed."""
    return replace(cache, slabs=cache.slabs.set(pfn, slab))


def add_slab(cache: Cache, pfn: int, node: int, objects: int, order: int) -> Cache:
    """The cache with a new slab, on no list."""
    return with_slab(cache, pfn, new_slab(node, objects, order))


def drop_slab(cache: Cache, pfn: int) -> Cache:
    """The cache without a slab.

    Requires  it is on no list
    """
    return replace(cache, slabs=cache.slabs.delete(pfn))


def held_by(cache: Cache, cpu: int) -> CpuSlab:
    """What a CPU holds."""
    return cache.cpus[cpu]


def node_of_cpu(cache: Cache, cpu: int) -> int:
    """The node of a CPU."""
    return cache.node_of[cpu]


def nr_nodes(cache: Cache) -> int:
    """How many nodes there are."""
    return len(cache.nodes)


def nr_cpus(cache: Cache) -> int:
    """How many CPUs there are."""
    return len(cache.cpus)


def set_cpu(cache: Cache, cpu: int, pfn: int, head: int) -> Cache:
    """Give a CPU another slab and first object; its transaction id changes."""
    held = cache.cpus[cpu]
    return with_cpu(cache, cpu, replace(held, slab=pfn, head=head, tid=held.tid + 1))


def cpu_first(cache: Cache, cpu: int) -> int:
    """The first slab of a CPU's list, or NOTHING."""
    listed = cache.cpus[cpu].partial
    return listed[0][0] if listed else NOTHING


def cpu_count(cache: Cache, cpu: int) -> int:
    """The count that was noted when the first slab of a CPU's list came; 0 for an empty list."""
    listed = cache.cpus[cpu].partial
    return listed[0][1] if listed else 0


def push_cpu(cache: Cache, cpu: int, pfn: int, count: int) -> Cache:
    """Put a slab in front of a CPU's list, and note a count."""
    held = cache.cpus[cpu]
    return with_cpu(cache, cpu, replace(held, partial=((pfn, count), *held.partial)))


def pop_cpu(cache: Cache, cpu: int) -> Cache:
    """Take the first slab off a CPU's list.

    Requires  there is one
    """
    held = cache.cpus[cpu]
    return with_cpu(cache, cpu, replace(held, partial=held.partial[1:]))


def node_first(cache: Cache, node: int) -> int:
    """The first slab of a node's list, or NOTHING."""
    listed = cache.nodes[node]
    return listed[0] if listed else NOTHING


def node_count(cache: Cache, node: int) -> int:
    """How many slabs a node's list has."""
    return len(cache.nodes[node])


def node_slabs(cache: Cache, node: int) -> int:
    """How many slabs of the cache are of a node, on its list or not."""
    return sum(slab.node == node for slab in cache.slabs.values())


def on_node(cache: Cache, pfn: int) -> bool:
    """Whether a slab is on its node's list."""
    return pfn in cache.nodes[cache.slabs[pfn].node]


def add_partial(cache: Cache, pfn: int, tail: bool) -> Cache:
    """Put a slab on its node's list."""
    node = cache.slabs[pfn].node
    listed = cache.nodes[node]
    return with_node(cache, node, (*listed, pfn) if tail else (pfn, *listed))


def remove_partial(cache: Cache, pfn: int) -> Cache:
    """Take a slab off its node's list."""
    node = cache.slabs[pfn].node
    return with_node(cache, node, tuple(other for other in cache.nodes[node] if other != pfn))


def doomed_first(cache: Cache) -> int:
    """The empty slab that goes back next, or NOTHING."""
    return cache.doomed[0] if cache.doomed else NOTHING


def push_doomed(cache: Cache, pfn: int) -> Cache:
    """Let an empty slab, which is on no list, go back before the others."""
    return replace(cache, doomed=(pfn, *cache.doomed))


def pop_doomed(cache: Cache) -> Cache:
    """Take the slab that goes back next off the list of those.

    Requires  there is one
    """
    return replace(cache, doomed=cache.doomed[1:])


def ranked_first(cache: Cache, rank: int) -> int:
    """The slab of a rank that was set aside last, or NOTHING."""
    return next((pfn for held, pfn in cache.ranked if held == rank), NOTHING)


def push_ranked(cache: Cache, rank: int, pfn: int) -> Cache:
    """Set a slab, which is on no list, aside under a rank."""
    return replace(cache, ranked=((rank, pfn), *cache.ranked))


def pop_ranked(cache: Cache, rank: int) -> Cache:
    """Take back the slab of a rank that was set aside last.

    Requires  there is one
    """
    at = next(at for at, (held, _) in enumerate(cache.ranked) if held == rank)
    return replace(cache, ranked=(*cache.ranked[:at], *cache.ranked[at + 1 :]))


# ---- changes of the record -------------------------------------------------------------------------------


def with_cpu(cache: Cache, cpu: int, held: CpuSlab) -> Cache:
    """The cache with what a CPU holds changed."""
    return replace(cache, cpus=(*cache.cpus[:cpu], held, *cache.cpus[cpu + 1 :]))


def with_node(cache: Cache, node: int, partial: tuple[int, ...]) -> Cache:
    """The cache with a node's list changed."""
    return replace(cache, nodes=(*cache.nodes[:node], partial, *cache.nodes[node + 1 :]))
