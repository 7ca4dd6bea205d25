"""The state of a cache of SLUB, and the elementary changes of a slab.

Free objects are linked through themselves: a slab, or the CPU that uses it, knows the first one.  A CPU's
list runs through the same links as its slab's.

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


def new_slab(node: int, objects: int, order: int) -> Slab:
    """A slab all of whose objects are free, linked in the order of their addresses."""
    links = {number: number + 1 for number in range(objects - 1)}
    return Slab(node, objects, 0, False, 0, Map({**links, objects - 1: END}), order)


def following(slab: Slab, number: int) -> int:
    """The free object that follows; END after the last."""
    return slab.next[number]


def push(slab: Slab, number: int) -> Slab:
    """Put an object back at the head of the slab's list.

    Requires  it is on no list
    """
    return replace(slab, head=number, next=slab.next.set(number, slab.head), inuse=slab.inuse - 1)


def relink(slab: Slab, number: int, head: int) -> Slab:
    """Put an object in front of a CPU's list; the counts do not change.

    Requires  it is on no list; head is the CPU's first object or END
    """
    return replace(slab, next=slab.next.set(number, head))


def load(slab: Slab) -> tuple[Slab, int]:
    """Give the slab's whole list to the CPU that owns it: the slab, and the list's first object."""
    return replace(slab, head=END, inuse=slab.objects, frozen=True), slab.head


def give_back(slab: Slab, head: int, tail: int, count: int) -> Slab:
    """Put a CPU's list of `count` objects, from head to tail, in front of the slab's own; it stays frozen.

    Requires  count > 0
    """
    return replace(slab, head=head, next=slab.next.set(tail, slab.head), inuse=slab.inuse - count)


def unfreeze(slab: Slab) -> Slab:
    """Let a slab go."""
    return replace(slab, frozen=False)


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


def with_slab(cache: Cache, pfn: int, slab: Slab) -> Cache:
    """The cache with a slab changed."""
    return replace(cache, slabs=cache.slabs.set(pfn, slab))


def with_cpu(cache: Cache, cpu: int, held: CpuSlab) -> Cache:
    """The cache with what a CPU holds changed."""
    return replace(cache, cpus=(*cache.cpus[:cpu], held, *cache.cpus[cpu + 1 :]))


def with_node(cache: Cache, node: int, partial: tuple[int, ...]) -> Cache:
    """The cache with a node's list changed."""
    return replace(cache, nodes=(*cache.nodes[:node], partial, *cache.nodes[node + 1 :]))


def add_partial(cache: Cache, pfn: int, tail: bool) -> Cache:
    """Put a slab on its node's list."""
    node = cache.slabs[pfn].node
    listed = cache.nodes[node]
    return with_node(cache, node, (*listed, pfn) if tail else (pfn, *listed))


def remove_partial(cache: Cache, pfn: int) -> Cache:
    """Take a slab off its node's list."""
    node = cache.slabs[pfn].node
    return with_node(cache, node, tuple(other for other in cache.nodes[node] if other != pfn))
