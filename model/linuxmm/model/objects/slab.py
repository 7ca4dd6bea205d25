"""SLAB: objects wait in an array of each CPU, behind it in one of each node, and behind that on slabs.

A node keeps an array for every other: what is freed far from home waits there to be brought back together.

Linux: mm/slab.c.  Seed 2.1.2.1 (F032).  The order of steps is that of 4.10 to 6.7; without debugging.
"""

from dataclasses import dataclass, replace
from typing import TypeVar

from immutables import Map

from linuxmm.model.objects.pages import NOTHING, PageSource
from linuxmm.spec.objects.objects import apart, freelist_once, listed_by_use
from linuxmm.spec.objects.sizes import CACHE_LINE, PAGE_SHIFT
from linuxmm.spec.objects.slab import (
    SlabLayout,
    alien_limit,
    array_limit,
    batch_count,
    colours_of,
    free_limit,
    next_colour,
    reaped_from_array,
    reaped_slabs,
    shared_limit,
)
from linuxmm.spec.registry import verb

P = TypeVar("P", bound=PageSource)
REFILL_LIMIT = 16
"""BATCHREFILL_LIMIT: objects taken at once by a CPU whose array rested."""


@dataclass(frozen=True, slots=True)
class Slab:
    """A slab: its node, the place of its first object, and its free objects, the last to be taken first."""

    node: int
    start: int
    free: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Array:
    """Objects that wait, the last to be handed out first; touched since the reaper came by."""

    entries: tuple[int, ...] = ()
    touched: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """What a node has of a cache.

    partial, full, free  slabs in list order
    alien                objects of each other node that were freed here
    free_touched         slabs were asked for since the reaper came by
    """

    partial: tuple[int, ...] = ()
    full: tuple[int, ...] = ()
    free: tuple[int, ...] = ()
    shared: Array = Array()
    alien: tuple[tuple[int, ...], ...] = ()
    colour: int = 0
    free_touched: bool = False


@dataclass(frozen=True, slots=True)
class Cache:
    """A cache: sizes, limits of its queues, and who holds what; objects are addresses."""

    size: int
    layout: SlabLayout
    limit: int
    batch: int
    shared_limit: int
    alien_limit: int
    slabs: Map[int, Slab]
    cpus: tuple[Array, ...]
    nodes: tuple[Node, ...]
    node_of: tuple[int, ...]


def empty_cache(size: int, layout: SlabLayout, node_of: tuple[int, ...], nodes: int) -> Cache:
    """A cache without slabs; node_of: node of each CPU."""
    limit = array_limit(size)
    aliens = ((),) * nodes if nodes > 1 else ()
    return Cache(
        size,
        layout,
        limit,
        batch_count(limit),
        shared_limit(size, len(node_of)),
        alien_limit(limit),
        Map(),
        tuple(Array() for _ in node_of),
        tuple(Node(alien=aliens) for _ in range(nodes)),
        node_of,
    )


def slab_of(cache: Cache, address: int) -> tuple[int, int]:
    """The slab and number of an object.

    Errors    KeyError when it is no object of this cache
    """
    order = cache.layout.order
    pfn = address >> PAGE_SHIFT >> order << order
    if pfn in cache.slabs:
        number, rest = divmod(address - (pfn << PAGE_SHIFT) - cache.slabs[pfn].start, cache.size)
        if not rest and 0 <= number < cache.layout.objects:
            return pfn, number
    raise KeyError(f"{address:#x} is no object of this cache")


def address_of(cache: Cache, pfn: int, number: int) -> int:
    """The address of an object."""
    return (pfn << PAGE_SHIFT) + cache.slabs[pfn].start + number * cache.size


def free_objects(cache: Cache, node: int) -> int:
    """Free objects on a node's slabs."""
    held = cache.nodes[node]
    return sum(len(cache.slabs[pfn].free) for pfn in (*held.partial, *held.free))


def free_limit_of(cache: Cache, node: int) -> int:
    """How many of them a node keeps before it gives slabs back."""
    return free_limit(cache.node_of.count(node), cache.batch, cache.layout.objects)


def with_cpu(cache: Cache, cpu: int, array: Array) -> Cache:
    """The cache with a CPU's array changed."""
    return replace(cache, cpus=(*cache.cpus[:cpu], array, *cache.cpus[cpu + 1 :]))


def with_node(cache: Cache, node: int, held: Node) -> Cache:
    """The cache with a node changed."""
    return replace(cache, nodes=(*cache.nodes[:node], held, *cache.nodes[node + 1 :]))


def _off_lists(held: Node, pfn: int) -> Node:
    lists = (
        tuple(other for other in listed if other != pfn) for listed in (held.partial, held.full, held.free)
    )
    partial, full, free = lists
    return replace(held, partial=partial, full=full, free=free)


# ---- allocation ------------------------------------------------------------------------------------------


@verb("F032", source="mm/slab.c:____cache_alloc, cache_alloc_refill")
def alloc(cache: Cache, pages: P, cpu: int) -> tuple[Cache, P, int]:
    """An object, or NOTHING when there are no pages: the last of the CPU's array, which is refilled first.

    Ensures   an object that nobody held
    """
    if not cache.cpus[cpu].entries:
        cache = refill(cache, cpu)
    if not cache.cpus[cpu].entries:
        cache, pages, grown = grow(cache, pages, cache.node_of[cpu])
        if not grown:
            return (*_from_elsewhere(cache, pages, cache.node_of[cpu]),)
        cache = refill(cache, cpu)
    entries = cache.cpus[cpu].entries
    return with_cpu(cache, cpu, Array(entries[:-1], True)), pages, entries[-1]


def refill(cache: Cache, cpu: int) -> Cache:
    """Move objects to a CPU's empty array: from the node's shared one, else from its slabs."""
    node, array = cache.node_of[cpu], cache.cpus[cpu]
    batch = cache.batch if array.touched else min(cache.batch, REFILL_LIMIT)
    held = cache.nodes[node]
    waiting = held.shared.entries
    if waiting:
        count = min(batch, len(waiting), cache.limit)
        shared = Array(waiting[: len(waiting) - count], True)
        cache = with_node(cache, node, replace(held, shared=shared))
        return with_cpu(cache, cpu, replace(array, entries=waiting[len(waiting) - count :]))
    found: tuple[int, ...] = ()
    while len(found) < batch and (cache.nodes[node].partial or cache.nodes[node].free):
        cache, taken = take_from_slab(cache, node, batch - len(found))
        found = (*found, *taken)
    return with_cpu(cache, cpu, replace(array, entries=found))


def take_from_slab(cache: Cache, node: int, most: int) -> tuple[Cache, tuple[int, ...]]:
    """Up to `most` objects of the first partial slab, else of the first free one.

    Requires  the node has one
    """
    held = cache.nodes[node]
    pfn = held.partial[0] if held.partial else held.free[0]
    slab = cache.slabs[pfn]
    count = min(most, len(slab.free))
    taken = tuple(address_of(cache, pfn, number) for number in reversed(slab.free[len(slab.free) - count :]))
    left = slab.free[: len(slab.free) - count]
    touched = held.free_touched or not held.partial
    held = replace(_off_lists(held, pfn), free_touched=touched)
    if left:
        held = replace(held, partial=(pfn, *held.partial))
    else:
        held = replace(held, full=(pfn, *held.full))
    cache = replace(cache, slabs=cache.slabs.set(pfn, replace(slab, free=left)))
    return with_node(cache, node, held), taken


def grow(cache: Cache, pages: P, node: int) -> tuple[Cache, P, bool]:
    """A new slab for a node, in the node's next colour; False when there are no pages."""
    pages, pfn = pages.take(cache.layout.order, node)
    if pfn == NOTHING:
        return cache, pages, False
    held = cache.nodes[node]
    colours = colours_of(cache.layout.left, CACHE_LINE)
    colour = next_colour(held.colour, colours)
    slab = Slab(node, colour * CACHE_LINE, tuple(range(cache.layout.objects - 1, -1, -1)))
    cache = replace(cache, slabs=cache.slabs.set(pfn, slab))
    return with_node(cache, node, replace(held, colour=colour, free=(*held.free, pfn))), pages, True


def _from_elsewhere(cache: Cache, pages: P, node: int) -> tuple[Cache, P, int]:
    """An object of another node's slabs (fallback_alloc)."""
    for other in range(len(cache.nodes)):
        if other != node and (cache.nodes[other].partial or cache.nodes[other].free):
            cache, (address,) = take_from_slab(cache, other, 1)
            return cache, pages, address
    return cache, pages, NOTHING


# ---- release ---------------------------------------------------------------------------------------------


@verb("F032", source="mm/slab.c:___cache_free, cache_flusharray, __cache_free_alien")
def free(cache: Cache, pages: P, cpu: int, address: int) -> tuple[Cache, P]:
    """Take an object back: onto the CPU's array, or into the array for its home if that is another node.

    Requires  somebody holds the object
    """
    home, here = cache.slabs[slab_of(cache, address)[0]].node, cache.node_of[cpu]
    if home != here:
        waiting = cache.nodes[here].alien[home]
        if len(waiting) >= cache.alien_limit:
            cache, pages = drain_alien(cache, pages, here, home)
        return _with_alien(cache, here, home, (*cache.nodes[here].alien[home], address)), pages
    array = cache.cpus[cpu]
    if len(array.entries) >= cache.limit:
        oldest, rest = array.entries[: cache.batch], array.entries[cache.batch :]
        array = replace(array, entries=rest)
        cache, pages = give(with_cpu(cache, cpu, array), pages, here, oldest, True)
    return with_cpu(cache, cpu, replace(array, entries=(*array.entries, address))), pages


def _with_alien(cache: Cache, here: int, home: int, waiting: tuple[int, ...]) -> Cache:
    alien = cache.nodes[here].alien
    alien = (*alien[:home], waiting, *alien[home + 1 :])
    return with_node(cache, here, replace(cache.nodes[here], alien=alien))


def drain_alien(cache: Cache, pages: P, here: int, home: int) -> tuple[Cache, P]:
    """Bring home all that waits at a node for another: into that one's shared array, the rest onto slabs."""
    waiting = cache.nodes[here].alien[home]
    cache = _with_alien(cache, here, home, ())
    held = cache.nodes[home]
    count = min(len(waiting), cache.shared_limit - len(held.shared.entries))
    if count > 0:
        shared = replace(held.shared, entries=(*held.shared.entries, *waiting[len(waiting) - count :]))
        cache = with_node(cache, home, replace(held, shared=shared))
        waiting = waiting[: len(waiting) - count]
    return give(cache, pages, home, waiting, False)


def give(cache: Cache, pages: P, node: int, objects: tuple[int, ...], share: bool) -> tuple[Cache, P]:
    """Put objects into the node's shared array as far as there is room (if `share`), or onto slabs."""
    held = cache.nodes[node]
    room = cache.shared_limit - len(held.shared.entries)
    if share and room > 0:
        into, objects = objects[:room], objects[room:]
        shared = replace(held.shared, entries=(*held.shared.entries, *into))
        cache = with_node(cache, node, replace(held, shared=shared))
    return _to_slabs(cache, pages, node, objects)


def _to_slabs(cache: Cache, pages: P, node: int, objects: tuple[int, ...]) -> tuple[Cache, P]:
    """Put objects back on their slabs, and give back empty slabs while too much is free (free_block)."""
    for address in objects:
        pfn, number = slab_of(cache, address)
        slab = cache.slabs[pfn]
        slab = replace(slab, free=(*slab.free, number))
        held = _off_lists(cache.nodes[node], pfn)
        if len(slab.free) == cache.layout.objects:
            held = replace(held, free=(pfn, *held.free))
        else:
            held = replace(held, partial=(*held.partial, pfn))
        cache = with_node(replace(cache, slabs=cache.slabs.set(pfn, slab)), node, held)
    while cache.nodes[node].free and free_objects(cache, node) > free_limit_of(cache, node):
        cache, pages = _destroy_last(cache, pages, node)
    return cache, pages


def _destroy_last(cache: Cache, pages: P, node: int) -> tuple[Cache, P]:
    """Give the last free slab of a node back."""
    held = cache.nodes[node]
    pfn = held.free[-1]
    cache = with_node(replace(cache, slabs=cache.slabs.delete(pfn)), node, replace(held, free=held.free[:-1]))
    return cache, pages.give(pfn, cache.layout.order)


@verb("F032", source="mm/slab.c:cache_reap, drain_array, reap_alien")
def reap(cache: Cache, pages: P, cpu: int, other: int) -> tuple[Cache, P]:
    """The reaper's visit at a CPU: one node's array for another, a fifth of what rested, some empty slabs.

    other  the node whose objects are brought home this time
    """
    node = cache.node_of[cpu]
    if other != node and cache.nodes[node].alien:
        cache, pages = drain_alien(cache, pages, node, other)
    cache, rest, gone = _rested(cache, cache.cpus[cpu], cache.limit)
    cache, pages = _to_slabs(with_cpu(cache, cpu, rest), pages, node, gone)
    cache, rest, gone = _rested(cache, cache.nodes[node].shared, cache.shared_limit)
    held = replace(cache.nodes[node], shared=rest)
    cache, pages = _to_slabs(with_node(cache, node, held), pages, node, gone)
    if cache.nodes[node].free_touched:
        return with_node(cache, node, replace(cache.nodes[node], free_touched=False)), pages
    for _ in range(reaped_slabs(free_limit_of(cache, node), cache.layout.objects)):
        if cache.nodes[node].free:
            cache, pages = _destroy_last(cache, pages, node)
    return cache, pages


def _rested(cache: Cache, array: Array, limit: int) -> tuple[Cache, Array, tuple[int, ...]]:
    """An array after the reaper, and what it took: the oldest, unless the array was used."""
    if array.touched:
        return cache, replace(array, touched=False), ()
    count = reaped_from_array(limit, len(array.entries))
    return cache, replace(array, entries=array.entries[count:]), array.entries[:count]


@verb("F032", source="mm/slab.c:drain_cpu_caches, __kmem_cache_shrink")
def shrink(cache: Cache, pages: P) -> tuple[Cache, P]:
    """Empty every queue and give every empty slab back."""
    for cpu, array in enumerate(cache.cpus):
        cache = with_cpu(cache, cpu, Array())
        for address in array.entries:
            home = cache.slabs[slab_of(cache, address)[0]].node
            cache, pages = _to_slabs(cache, pages, home, (address,))
    for node, held in enumerate(cache.nodes):
        for home in range(len(held.alien)):
            cache, pages = drain_alien(cache, pages, node, home)
    for node in range(len(cache.nodes)):
        waiting = cache.nodes[node].shared.entries
        cache = with_node(cache, node, replace(cache.nodes[node], shared=Array()))
        cache, pages = _to_slabs(cache, pages, node, waiting)
        while cache.nodes[node].free:
            cache, pages = _destroy_last(cache, pages, node)
    return cache, pages


def broken(cache: Cache, live: tuple[int, ...]) -> tuple[str, ...]:
    """What is wrong with a cache whose objects `live` somebody holds; clauses of linuxmm.spec.objects."""
    waiting = [address for array in cache.cpus for address in array.entries]
    waiting += [address for held in cache.nodes for address in held.shared.entries]
    waiting += [address for held in cache.nodes for entries in held.alien for address in entries]
    found = []
    for pfn, slab in cache.slabs.items():
        cached = [slab_of(cache, a)[1] for a in waiting if slab_of(cache, a)[0] == pfn]
        mine = [slab_of(cache, a)[1] for a in live if slab_of(cache, a)[0] == pfn]
        if not freelist_once(slab.free, cache.layout.objects):
            found.append(f"objects.freelist.once at {pfn}")
        if not apart(slab.free, cached, mine, cache.layout.objects):
            found.append(f"objects.slab.apart at {pfn}")
        held = cache.nodes[slab.node]
        lists = held.free.count(pfn), held.partial.count(pfn), held.full.count(pfn)
        if not listed_by_use(lists, len(slab.free), cache.layout.objects):
            found.append(f"objects.slab.listed at {pfn}")
    return tuple(found)
