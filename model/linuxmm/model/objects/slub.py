"""SLUB: objects from the CPU's slab, else from partial slabs, else from a new one.

Linux: mm/slub.c:slab_alloc_node, ___slab_alloc, __slab_free, deactivate_slab.  Seed 2.1.2.2 (F033).
2.6.22 to 6.12, without debugging (which gives each slab to nobody) and without pfmemalloc.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple, TypeVar

from immutables import Map

from linuxmm.model.objects.pages import PageSource
from linuxmm.model.objects.slub_state import (
    END,
    NOTHING,
    Cache,
    CpuSlab,
    Slab,
    add_partial,
    chain,
    following,
    give_back,
    load,
    new_slab,
    push,
    relink,
    remove_partial,
    unfreeze,
    with_cpu,
    with_node,
    with_slab,
)
from linuxmm.spec.kernel import Kernel, behaviour
from linuxmm.spec.objects.sizes import PAGE_SHIFT, get_order
from linuxmm.spec.objects.slub import cpu_partial_slabs, objects_of
from linuxmm.spec.registry import verb

P = TypeVar("P", bound=PageSource)
ANY_NODE: Final = -1
PROMOTED: Final = 32
"""SHRINK_PROMOTE_MAX."""


class Rules(NamedTuple):
    """What SLUB of one kernel does in its own way.

    weight(cache, pfn)          what a slab adds to the count of a CPU's list
    full(count, limit)          is the list emptied before another slab comes?
    stops(count, limit)         does taking slabs off a node's list end?
    keeps_empty(nr, least)      does a node with nr partial slabs keep one that a free has emptied?
    stays_frozen                is a slab on a CPU's list frozen?
    """

    has_cpu_partial: bool
    weight: Callable[[Cache, int], int]
    full: Callable[[int, int], bool]
    stops: Callable[[int, int], bool]
    keeps_empty: Callable[[int, int], bool]
    stays_frozen: bool


def _no_weight(cache: Cache, pfn: int) -> int:
    return 0


def _one_slab(cache: Cache, pfn: int) -> int:
    return 1


def _free_objects(cache: Cache, pfn: int) -> int:
    return cache.objects - cache.slabs[pfn].inuse


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
    return Rules(False, _no_weight, _never, _always, _never, True)


@behaviour(
    "objects.slub-rules",
    since="3.2",
    until="3.15",
    features=("F033",),
    source="mm/slub.c:put_cpu_partial, __slab_free; read in 3.4 to 3.14",
)
def rules_counting_objects_loosely() -> Rules:
    """Lists per CPU, limited by objects; a node keeps one empty slab more than min_partial."""
    return Rules(True, _free_objects, _above, _above_half, _up_to, True)


@behaviour(
    "objects.slub-rules",
    since="3.16",
    until="5.15",
    features=("F033",),
    source="mm/slub.c:put_cpu_partial, __slab_free; read in 3.16 to 5.15",
)
def rules_counting_objects() -> Rules:
    """Lists per CPU, limited by objects that were free when their slab came."""
    return Rules(True, _free_objects, _above, _above_half, _below, True)


@behaviour(
    "objects.slub-rules",
    since="5.16",
    until="6.7",
    features=("F033",),
    source="mm/slub.c:put_cpu_partial, get_partial_node; read in 5.17 to 6.6",
)
def rules_counting_slabs() -> Rules:
    """Lists per CPU, limited by slabs."""
    return Rules(True, _one_slab, _reaches, _above_half, _below, True)


@behaviour(
    "objects.slub-rules",
    since="6.8",
    features=("F033",),
    source="mm/slub.c:put_cpu_partial, __slab_free, freeze_slab; 6.8 to 6.12",
)
def rules_not_freezing() -> Rules:
    """As before; a slab is frozen only once a CPU begins to use it."""
    return Rules(True, _one_slab, _reaches, _above_half, _below, False)


def rules_for(kernel: Kernel) -> Rules:
    """The rules of a kernel."""
    found = kernel.behaviour("objects.slub-rules").function()
    if not isinstance(found, Rules):
        raise TypeError(f"{found!r} is no record of rules")
    return found


def empty_cache(
    kernel: Kernel, size: int, node_of: tuple[int, ...], nodes: int, max_order: int = 10
) -> Cache:
    """A cache without slabs, with the kernel's orders and limits; size: from one object to the next.

    node_of  node of each CPU
    """

    def ask(rule: str, *arguments: int) -> int:
        found = kernel.behaviour(rule).function(*arguments)
        if not isinstance(found, int):
            raise TypeError(f"{rule}: {found!r}")
        return found

    cpus = len(node_of)
    order = ask("objects.slub-order", size, ask("objects.slub-cpus", cpus, cpus), max_order)
    objects = objects_of(order, size)
    partial = ask("objects.slub-cpu-partial", size)
    if rules_for(kernel).weight is _one_slab:
        partial = cpu_partial_slabs(partial, objects)
    least = ask("objects.slub-min-partial", size)
    held = tuple(CpuSlab() for _ in node_of)
    return Cache(size, order, objects, least, partial, Map(), held, ((),) * nodes, node_of)


def address_of(cache: Cache, pfn: int, number: int) -> int:
    """The address of an object."""
    return (pfn << PAGE_SHIFT) + number * cache.size


def slab_of(cache: Cache, address: int) -> tuple[int, int]:
    """The slab and number of an object.

    Errors    KeyError when it is no object of this cache
    """
    for order in (cache.order, get_order(cache.size)):
        pfn = address >> PAGE_SHIFT >> order << order
        number, rest = divmod(address - (pfn << PAGE_SHIFT), cache.size)
        if pfn in cache.slabs and not rest and number < cache.slabs[pfn].objects:
            return pfn, number
    raise KeyError(f"{address:#x} is no object of this cache")


# ---- allocation ------------------------------------------------------------------------------------------


@verb("F033", source="mm/slub.c:slab_alloc_node, ___slab_alloc")
def alloc(
    rules: Rules, cache: Cache, pages: P, cpu: int, node: int = ANY_NODE, remote: bool = False
) -> tuple[Cache, P, int]:
    """An object, or NOTHING when there are no pages.

    node    from this node only, or ANY_NODE
    remote  the choice whether slabs of other nodes are looked at (Linux: by the clock and a ratio)
    Ensures an object that nobody held; every other object stays where it was
    """
    held = cache.cpus[cpu]
    if held.slab == NOTHING or held.head == END or not _matches(cache, held.slab, node):
        cache, pages, found = _refill(rules, cache, pages, cpu, node, remote)
        if not found:
            return cache, pages, NOTHING
    cache, address = take_next(cache, cpu)
    return cache, pages, address


def take_next(cache: Cache, cpu: int) -> tuple[Cache, int]:
    """The fast path: the first object of the CPU's list.

    Requires  there is one
    """
    held = cache.cpus[cpu]
    slab = cache.slabs[held.slab]
    cache = with_cpu(cache, cpu, replace(held, head=following(slab, held.head), tid=held.tid + 1))
    return cache, address_of(cache, held.slab, held.head)


def _matches(cache: Cache, pfn: int, node: int) -> bool:
    return node in (ANY_NODE, cache.slabs[pfn].node)


def _refill(rules: Rules, cache: Cache, pages: P, cpu: int, node: int, remote: bool) -> tuple[Cache, P, bool]:
    """Give the CPU a slab with free objects on its list; False when there are no pages."""
    held = cache.cpus[cpu]
    if held.slab != NOTHING:
        if not _matches(cache, held.slab, node):
            cache = flush_slab(cache, cpu)
            cache, pages = _discard_marked(cache, pages)
        else:
            cache = _reload(cache, cpu)
            if cache.cpus[cpu].slab != NOTHING:
                return cache, pages, True
    while cache.cpus[cpu].partial:
        held = cache.cpus[cpu]
        pfn, _ = held.partial[0]
        cache = with_cpu(cache, cpu, replace(held, partial=held.partial[1:]))
        if _matches(cache, pfn, node):
            return _use(cache, cpu, pfn), pages, True
        cache = let_go(cache, pfn, True)
    cache, found = _from_nodes(rules, cache, cpu, node, remote)
    if found:
        return cache, pages, True
    return _grow(cache, pages, cpu, node)


def _reload(cache: Cache, cpu: int) -> Cache:
    """Take what was freed to the CPU's slab meanwhile; a slab without anything is let go (get_freelist)."""
    held = cache.cpus[cpu]
    slab = cache.slabs[held.slab]
    if slab.head == END:
        cache = with_slab(cache, held.slab, unfreeze(slab))
        return with_cpu(cache, cpu, replace(held, slab=NOTHING, tid=held.tid + 1))
    return _use(cache, cpu, held.slab)


def _use(cache: Cache, cpu: int, pfn: int) -> Cache:
    """Load a slab's list for a CPU."""
    slab, head = load(cache.slabs[pfn])
    held = cache.cpus[cpu]
    return with_cpu(with_slab(cache, pfn, slab), cpu, replace(held, slab=pfn, head=head, tid=held.tid + 1))


def _from_nodes(rules: Rules, cache: Cache, cpu: int, node: int, remote: bool) -> tuple[Cache, bool]:
    """Take partial slabs of the wanted or own node, else of another one that has more than it should keep."""
    wanted = cache.node_of[cpu] if node == ANY_NODE else node
    others = [n for n in range(len(cache.nodes)) if n != wanted] if remote and node == ANY_NODE else []
    for place in (wanted, *others):
        listed = cache.nodes[place]
        if listed and (place == wanted or len(listed) > cache.min_partial):
            return _from_node(rules, cache, cpu, place), True
    return cache, False


def _from_node(rules: Rules, cache: Cache, cpu: int, node: int) -> Cache:
    """Take the first partial slab of a node into use, and more onto the CPU's list (get_partial_node)."""
    first = cache.nodes[node][0]
    count = _free_objects(cache, first) if rules.weight is _free_objects else 0
    cache = remove_partial(cache, first)
    if cache.cpu_partial and rules.has_cpu_partial:
        while cache.nodes[node] and not rules.stops(count, cache.cpu_partial):
            pfn = cache.nodes[node][0]
            count += rules.weight(cache, pfn)
            cache = put_cpu_partial(rules, remove_partial(cache, pfn), cpu, pfn, False)
    return _use(cache, cpu, first)


def _grow(cache: Cache, pages: P, cpu: int, node: int) -> tuple[Cache, P, bool]:
    """A new slab: of the usual order, else of the least that holds an object."""
    place = cache.node_of[cpu] if node == ANY_NODE else node
    for order in (cache.order, get_order(cache.size)):
        pages, pfn = pages.take(order, place)
        if pfn != NOTHING:
            cache = with_slab(cache, pfn, new_slab(place, objects_of(order, cache.size), order))
            return _use(cache, cpu, pfn), pages, True
    return cache, pages, False


# ---- release ---------------------------------------------------------------------------------------------


@verb("F033", source="mm/slub.c:slab_free, __slab_free")
def free(rules: Rules, cache: Cache, pages: P, cpu: int, address: int) -> tuple[Cache, P]:
    """Take an object back: onto the CPU's list if it is of its slab, else onto the slab's.

    Requires  somebody holds the object
    Ensures   it is free; a slab that it empties is given back if its node has enough partial ones
    """
    pfn, number = slab_of(cache, address)
    held = cache.cpus[cpu]
    if held.slab == pfn:
        slab = relink(cache.slabs[pfn], number, held.head)
        return with_cpu(with_slab(cache, pfn, slab), cpu, replace(held, head=number, tid=held.tid + 1)), pages
    before = cache.slabs[pfn]
    slab = push(before, number)
    cache = with_slab(cache, pfn, slab)
    was_full = before.head == END
    if before.frozen:
        return cache, pages
    if was_full and rules.has_cpu_partial:
        cache = put_cpu_partial(rules, cache, cpu, pfn, True)
        return _discard_marked(cache, pages)
    if not was_full and pfn not in cache.nodes[slab.node]:
        return cache, pages
    if slab.inuse == 0 and not rules.keeps_empty(len(cache.nodes[slab.node]), cache.min_partial):
        return _discard(remove_partial(cache, pfn), pages, pfn)
    return (add_partial(cache, pfn, True) if was_full else cache), pages


def put_cpu_partial(rules: Rules, cache: Cache, cpu: int, pfn: int, drain: bool) -> Cache:
    """Put a slab on the CPU's list, which first goes to the nodes if it is full and may be drained."""
    held = cache.cpus[cpu]
    count = held.partial[0][1] if held.partial else 0
    if drain and held.partial and rules.full(count, cache.cpu_partial):
        cache = drain_cpu_list(cache, cpu)
        held, count = cache.cpus[cpu], 0
    count += rules.weight(cache, pfn)
    cache = with_cpu(cache, cpu, replace(held, partial=((pfn, count), *held.partial)))
    slab = cache.slabs[pfn]
    return with_slab(cache, pfn, replace(slab, frozen=True)) if rules.stays_frozen else cache


def drain_cpu_list(cache: Cache, cpu: int) -> Cache:
    """Give every slab of a CPU's list to its node; an empty one that is too many stays nowhere."""
    held = cache.cpus[cpu]
    cache = with_cpu(cache, cpu, replace(held, partial=()))
    for pfn, _ in held.partial:
        cache = let_go(cache, pfn, True)
    return cache


def let_go(cache: Cache, pfn: int, tail: bool) -> Cache:
    """Unfreeze a slab, and put it on its node's list if it has free objects and is not one empty too many."""
    slab = unfreeze(cache.slabs[pfn])
    cache = with_slab(cache, pfn, slab)
    too_many = slab.inuse == 0 and len(cache.nodes[slab.node]) >= cache.min_partial
    return cache if too_many or slab.head == END else add_partial(cache, pfn, tail)


def flush_slab(cache: Cache, cpu: int) -> Cache:
    """Take the CPU's slab from it: its list goes in front of the slab's own (deactivate_slab)."""
    held = cache.cpus[cpu]
    slab = cache.slabs[held.slab]
    freed_elsewhere = slab.head != END
    mine = chain(slab, held.head)
    if mine:
        slab = give_back(slab, mine[0], mine[-1], len(mine))
    cache = with_cpu(cache, cpu, replace(held, slab=NOTHING, head=END, tid=held.tid + 1))
    return let_go(with_slab(cache, held.slab, slab), held.slab, freed_elsewhere)


def _discard(cache: Cache, pages: P, pfn: int) -> tuple[Cache, P]:
    """Give an empty slab's pages back."""
    order = cache.slabs[pfn].order
    return replace(cache, slabs=cache.slabs.delete(pfn)), pages.give(pfn, order)


def _discard_marked(cache: Cache, pages: P) -> tuple[Cache, P]:
    """Give back the empty slabs that nobody has: those that a drain found to be too many."""
    held = {pfn for listed in cache.nodes for pfn in listed}
    for cpu in cache.cpus:
        held |= {cpu.slab, *(pfn for pfn, _ in cpu.partial)}
    for pfn in sorted(cache.slabs):
        if cache.slabs[pfn].inuse == 0 and pfn not in held:
            cache, pages = _discard(cache, pages, pfn)
    return cache, pages


@verb("F033", source="mm/slub.c:flush_cpu_slab, unfreeze_partials")
def flush(cache: Cache, pages: P, cpu: int) -> tuple[Cache, P]:
    """Take everything from a CPU."""
    if cache.cpus[cpu].slab != NOTHING:
        cache = flush_slab(cache, cpu)
    return _discard_marked(drain_cpu_list(cache, cpu), pages)


@verb("F033", source="mm/slub.c:__kmem_cache_do_shrink; 4.0 to 6.12")
def shrink(cache: Cache, pages: P) -> tuple[Cache, P]:
    """Take everything from the CPUs, give empty slabs back, and sort each node's list: fullest first.

    Slabs with more than 32 free objects keep their order, behind the sorted ones.
    """
    for cpu in range(len(cache.cpus)):
        cache, pages = flush(cache, pages, cpu)
    for node, listed in enumerate(cache.nodes):
        kept = [pfn for pfn in listed if cache.slabs[pfn].inuse]
        for pfn in listed:
            if pfn not in kept:
                cache, pages = _discard(remove_partial(cache, pfn), pages, pfn)

        def rank(pfn: int, slabs: Map[int, Slab] = cache.slabs) -> int:
            left = slabs[pfn].objects - slabs[pfn].inuse
            return left if left <= PROMOTED else PROMOTED + 1

        cache = with_node(cache, node, tuple(sorted(kept, key=rank)))
    return cache, pages


@verb("F033", source="mm/slub.c:__kmem_cache_shutdown")
def destroy(cache: Cache, pages: P) -> tuple[Cache, P, bool]:
    """Give all slabs back; False, and a warning in the kernel, when objects are still held."""
    cache, pages = shrink(cache, pages)
    return cache, pages, not cache.slabs


@verb("F033", source="mm/slub.c:kmem_cache_alloc_bulk")
def alloc_bulk(
    rules: Rules, cache: Cache, pages: P, cpu: int, count: int
) -> tuple[Cache, P, tuple[int, ...]]:
    """As many objects as asked for, or none: those that were had are freed again when pages run out."""
    found: tuple[int, ...] = ()
    for _ in range(count):
        cache, pages, address = alloc(rules, cache, pages, cpu)
        if address == NOTHING:
            for had in found:
                cache, pages = free(rules, cache, pages, cpu, had)
            return cache, pages, ()
        found = (*found, address)
    return cache, pages, found
