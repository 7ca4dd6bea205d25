"""SLUB: objects from the CPU's slab, else from partial slabs, else from a new one.

Linux: mm/slub.c:slab_alloc_node, ___slab_alloc, __slab_free, deactivate_slab.  Seed 2.1.2.2 (F033).
2.6.22 to 6.12, without debugging (which gives each slab to nobody) and without pfmemalloc.
"""

from typing import Final, TypeVar

from immutables import Map

from linuxmm.model.objects.pages import PageSource, give_pages, take_pages
from linuxmm.model.objects.slub_rules import Rules, one_slab, rules_for
from linuxmm.model.objects.slub_state import (
    END,
    NOTHING,
    Cache,
    CpuSlab,
    add_partial,
    add_slab,
    cpu_count,
    cpu_first,
    doomed_first,
    drop_slab,
    following,
    give_back,
    held_by,
    load,
    node_count,
    node_first,
    node_of_cpu,
    nr_nodes,
    on_node,
    pop_cpu,
    pop_doomed,
    push_cpu,
    push_doomed,
    relink,
    remove_partial,
    set_cpu,
    slab_at,
    unfreeze,
    with_frozen,
    with_slab,
)
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.objects.sizes import PAGE_SHIFT, get_order
from linuxmm.spec.objects.slub import cpu_partial_slabs, objects_of
from linuxmm.spec.registry import verb

P = TypeVar("P", bound=PageSource)
ANY_NODE: Final = -1


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

    order = ask("objects.slub-order", size, ask("objects.slub-cpus", *2 * (len(node_of),)), max_order)
    objects = objects_of(order, size)
    partial = ask("objects.slub-cpu-partial", size)
    if rules_for(kernel).weight is one_slab:
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
    cache, pages, pfn, number = alloc_object(rules, cache, pages, cpu, node, remote)
    return cache, pages, NOTHING if pfn == NOTHING else address_of(cache, pfn, number)


def alloc_object(
    rules: Rules, cache: Cache, pages: P, cpu: int, node: int, remote: bool
) -> tuple[Cache, P, int, int]:
    """An object as its slab and number; NOTHING for both when there are no pages."""
    held = held_by(cache, cpu)
    if held.slab == NOTHING or held.head == END or not _matches(cache, held.slab, node):
        cache, pages, found = refill(rules, cache, pages, cpu, node, remote)
        if not found:
            return cache, pages, NOTHING, NOTHING
    cache, pfn, number = take_next(cache, cpu)
    return cache, pages, pfn, number


def take_next(cache: Cache, cpu: int) -> tuple[Cache, int, int]:
    """The fast path: the first object of the CPU's list.

    Requires  there is one
    """
    held = held_by(cache, cpu)
    after = following(slab_at(cache, held.slab), held.head)
    return set_cpu(cache, cpu, held.slab, after), held.slab, held.head


def _matches(cache: Cache, pfn: int, node: int) -> bool:
    return node == ANY_NODE or slab_at(cache, pfn).node == node


def refill(rules: Rules, cache: Cache, pages: P, cpu: int, node: int, remote: bool) -> tuple[Cache, P, bool]:
    """Give the CPU a slab with free objects on its list; False when there are no pages."""
    pfn = held_by(cache, cpu).slab
    if pfn != NOTHING:
        if not _matches(cache, pfn, node):
            cache, pages = discard_doomed(flush_slab(cache, cpu), pages)
        else:
            cache = _reload(cache, cpu)
            if held_by(cache, cpu).slab != NOTHING:
                return cache, pages, True
    while cpu_first(cache, cpu) != NOTHING:
        pfn = cpu_first(cache, cpu)
        cache = pop_cpu(cache, cpu)
        if _matches(cache, pfn, node):
            return _use(cache, cpu, pfn), pages, True
        cache, pages = discard_doomed(let_go(cache, pfn, True), pages)
    place = partial_node(cache, cpu, node, remote)
    if place != NOTHING:
        return _from_node(rules, cache, cpu, place), pages, True
    return _grow(cache, pages, cpu, node)


def _reload(cache: Cache, cpu: int) -> Cache:
    """Take what was freed to the CPU's slab meanwhile; a slab without anything is let go (get_freelist)."""
    pfn = held_by(cache, cpu).slab
    slab = slab_at(cache, pfn)
    if slab.head == END:
        return set_cpu(with_slab(cache, pfn, unfreeze(slab)), cpu, NOTHING, END)
    return _use(cache, cpu, pfn)


def _use(cache: Cache, cpu: int, pfn: int) -> Cache:
    """Load a slab's list for a CPU."""
    slab, head = load(slab_at(cache, pfn))
    return set_cpu(with_slab(cache, pfn, slab), cpu, pfn, head)


def partial_node(cache: Cache, cpu: int, node: int, remote: bool) -> int:
    """The node whose partial slabs serve: the wanted or own one, else another with more than it should keep.

    NOTHING when there is none
    """
    wanted = node_of_cpu(cache, cpu) if node == ANY_NODE else node
    if node_count(cache, wanted) > 0:
        return wanted
    place = 0
    while remote and node == ANY_NODE and place < nr_nodes(cache):
        if place != wanted and node_count(cache, place) > cache.min_partial:
            return place
        place += 1
    return NOTHING


def _from_node(rules: Rules, cache: Cache, cpu: int, node: int) -> Cache:
    """Take the first partial slab of a node into use, and more onto the CPU's list (get_partial_node)."""
    first = node_first(cache, node)
    count = rules.first_weight(cache, first)
    cache = remove_partial(cache, first)
    if cache.cpu_partial and rules.has_cpu_partial:
        while node_count(cache, node) > 0 and not rules.stops(count, cache.cpu_partial):
            pfn = node_first(cache, node)
            count += rules.weight(cache, pfn)
            cache = put_cpu_partial(rules, remove_partial(cache, pfn), cpu, pfn, False)
    return _use(cache, cpu, first)


def _grow(cache: Cache, pages: P, cpu: int, node: int) -> tuple[Cache, P, bool]:
    """A new slab: of the usual order, else of the least that holds an object."""
    place = node_of_cpu(cache, cpu) if node == ANY_NODE else node
    order = cache.order
    pages, pfn = take_pages(pages, order, place)
    if pfn == NOTHING:
        order = get_order(cache.size)
        pages, pfn = take_pages(pages, order, place)
    if pfn == NOTHING:
        return cache, pages, False
    cache = add_slab(cache, pfn, place, objects_of(order, cache.size), order)
    return _use(cache, cpu, pfn), pages, True


# ---- release ---------------------------------------------------------------------------------------------


@verb("F033", source="mm/slub.c:slab_free, __slab_free")
def free(rules: Rules, cache: Cache, pages: P, cpu: int, address: int) -> tuple[Cache, P]:
    """Take an object back: onto the CPU's list if it is of its slab, else onto the slab's.

    Requires  somebody holds the object
    Ensures   it is free; a slab that it empties is given back if its node has enough partial ones
    """
    pfn, number = slab_of(cache, address)
    return free_object(rules, cache, pages, cpu, pfn, number)


def free_object(rules: Rules, cache: Cache, pages: P, cpu: int, pfn: int, number: int) -> tuple[Cache, P]:
    """Take an object back, named by its slab and number."""
    return free_list(rules, cache, pages, cpu, pfn, number, number, 1)


def free_list(
    rules: Rules, cache: Cache, pages: P, cpu: int, pfn: int, head: int, tail: int, count: int
) -> tuple[Cache, P]:
    """Take `count` objects of one slab back, linked from head to tail (do_slab_free).

    Requires  those between head and tail are linked; what follows tail does not matter
    """
    held = held_by(cache, cpu)
    if held.slab == pfn:
        cache = with_slab(cache, pfn, relink(slab_at(cache, pfn), tail, held.head))
        return set_cpu(cache, cpu, pfn, head), pages
    return free_elsewhere(rules, cache, pages, cpu, pfn, head, tail, count)


def free_elsewhere(
    rules: Rules, cache: Cache, pages: P, cpu: int, pfn: int, head: int, tail: int, count: int
) -> tuple[Cache, P]:
    """The slow path: objects of a slab that is not this CPU's (__slab_free)."""
    before = slab_at(cache, pfn)
    was_full = before.head == END
    was_frozen = before.frozen
    slab = give_back(before, head, tail, count)
    cache = with_slab(cache, pfn, slab)
    if was_frozen:
        return cache, pages
    if was_full and rules.has_cpu_partial:
        return discard_doomed(put_cpu_partial(rules, cache, cpu, pfn, True), pages)
    if not was_full and not on_node(cache, pfn):
        return cache, pages
    if slab.inuse == 0 and not rules.keeps_empty(node_count(cache, slab.node), cache.min_partial):
        if not was_full:
            cache = remove_partial(cache, pfn)
        return discard(cache, pages, pfn)
    return (add_partial(cache, pfn, True) if was_full else cache), pages


def put_cpu_partial(rules: Rules, cache: Cache, cpu: int, pfn: int, drain: bool) -> Cache:
    """Put a slab on the CPU's list, which first goes to the nodes if it is full and may be drained."""
    if drain and cpu_first(cache, cpu) != NOTHING and rules.full(cpu_count(cache, cpu), cache.cpu_partial):
        cache = drain_cpu_list(cache, cpu)
    cache = push_cpu(cache, cpu, pfn, cpu_count(cache, cpu) + rules.weight(cache, pfn))
    return with_slab(cache, pfn, with_frozen(slab_at(cache, pfn), True)) if rules.stays_frozen else cache


def drain_cpu_list(cache: Cache, cpu: int) -> Cache:
    """Give every slab of a CPU's list to its node; an empty one that is too many is doomed."""
    while cpu_first(cache, cpu) != NOTHING:
        pfn = cpu_first(cache, cpu)
        cache = let_go(pop_cpu(cache, cpu), pfn, True)
    return cache


def let_go(cache: Cache, pfn: int, tail: bool) -> Cache:
    """Unfreeze a slab, and put it on its node's list if it has free objects; one empty too many is doomed."""
    slab = unfreeze(slab_at(cache, pfn))
    cache = with_slab(cache, pfn, slab)
    if slab.inuse == 0 and node_count(cache, slab.node) >= cache.min_partial:
        return push_doomed(cache, pfn)
    return cache if slab.head == END else add_partial(cache, pfn, tail)


def flush_slab(cache: Cache, cpu: int) -> Cache:
    """Take the CPU's slab from it: its list goes in front of the slab's own (deactivate_slab)."""
    pfn = held_by(cache, cpu).slab
    head = held_by(cache, cpu).head
    slab = slab_at(cache, pfn)
    freed_elsewhere = slab.head != END
    if head != END:
        tail = head
        count = 1
        while following(slab, tail) != END:
            tail = following(slab, tail)
            count += 1
        slab = give_back(slab, head, tail, count)
    cache = set_cpu(cache, cpu, NOTHING, END)
    return let_go(with_slab(cache, pfn, slab), pfn, freed_elsewhere)


def discard(cache: Cache, pages: P, pfn: int) -> tuple[Cache, P]:
    """Give an empty slab's pages back."""
    pages = give_pages(pages, pfn, slab_at(cache, pfn).order)
    return drop_slab(cache, pfn), pages


def discard_doomed(cache: Cache, pages: P) -> tuple[Cache, P]:
    """Give back the empty slabs that were found to be too many, the last one found first."""
    while doomed_first(cache) != NOTHING:
        pfn = doomed_first(cache)
        cache, pages = discard(pop_doomed(cache), pages, pfn)
    return cache, pages


@verb("F033", source="mm/slub.c:flush_cpu_slab, unfreeze_partials")
def flush(cache: Cache, pages: P, cpu: int) -> tuple[Cache, P]:
    """Take everything from a CPU."""
    if held_by(cache, cpu).slab != NOTHING:
        cache = flush_slab(cache, cpu)
    return discard_doomed(drain_cpu_list(cache, cpu), pages)
