"""How a cache of SLUB shrinks, and how it ends.

Linux: mm/slub.c:__kmem_cache_do_shrink, __kmem_cache_shutdown, free_partial.  Seed 2.1.2.2 (F033).
2.6.22 to 6.12.
"""

from typing import TypeVar

from linuxmm.model.objects.pages import PageSource
from linuxmm.model.objects.slub import discard_doomed, flush
from linuxmm.model.objects.slub_rules import Rules
from linuxmm.model.objects.slub_state import (
    NOTHING,
    Cache,
    add_partial,
    node_count,
    node_first,
    node_slabs,
    nr_cpus,
    nr_nodes,
    pop_ranked,
    push_doomed,
    push_ranked,
    ranked_first,
    remove_partial,
    slab_at,
)
from linuxmm.spec.registry import verb

P = TypeVar("P", bound=PageSource)


def flush_all(cache: Cache, pages: P) -> tuple[Cache, P]:
    """Take everything from all CPUs."""
    cpu = 0
    while cpu < nr_cpus(cache):
        cache, pages = flush(cache, pages, cpu)
        cpu += 1
    return cache, pages


def take_apart(rules: Rules, cache: Cache, node: int) -> Cache:
    """Take all slabs off a node's list but those without a rank: empty ones are doomed, others set aside."""
    left = node_count(cache, node)
    while left > 0:
        left -= 1
        pfn = node_first(cache, node)
        cache = remove_partial(cache, pfn)
        rank = rules.rank(cache, pfn)
        if slab_at(cache, pfn).inuse == 0:
            cache = push_doomed(cache, pfn)
        elif rank > 0:
            cache = push_ranked(cache, rank, pfn)
        else:
            cache = add_partial(cache, pfn, True)
    return cache


def put_sorted(rules: Rules, cache: Cache, node: int) -> Cache:
    """Put what was set aside back in front: by rank, of one rank the last first."""
    behind = node_count(cache, node)
    rank = 1
    while rank <= rules.ranks(cache):
        while ranked_first(cache, rank) != NOTHING:
            pfn = ranked_first(cache, rank)
            cache = add_partial(pop_ranked(cache, rank), pfn, True)
        rank += 1
    while behind > 0 and behind < node_count(cache, node):
        behind -= 1
        pfn = node_first(cache, node)
        cache = add_partial(remove_partial(cache, pfn), pfn, True)
    return cache


@verb("F033", source="mm/slub.c:__kmem_cache_do_shrink, kmem_cache_shrink; 2.6.22 to 6.12")
def shrink(rules: Rules, cache: Cache, pages: P) -> tuple[Cache, P]:
    """Take everything from the CPUs, give empty slabs back, and sort each node's list: fullest first.

    Ensures   no object moves; no empty slab is left; slabs without a rank keep their order, behind the others
    """
    cache, pages = flush_all(cache, pages)
    node = 0
    while node < nr_nodes(cache):
        cache = put_sorted(rules, take_apart(rules, cache, node), node)
        cache, pages = discard_doomed(cache, pages)
        node += 1
    return cache, pages


@verb("F033", source="mm/slub.c:__kmem_cache_shutdown, free_partial; 2.6.22 to 6.12")
def destroy(cache: Cache, pages: P) -> tuple[Cache, P, bool]:
    """Give all slabs back, node after node, up to one of which an object is held: False, and a warning."""
    cache, pages = flush_all(cache, pages)
    node = 0
    while node < nr_nodes(cache):
        left = node_count(cache, node)
        while left > 0:
            left -= 1
            pfn = node_first(cache, node)
            cache = remove_partial(cache, pfn)
            busy = slab_at(cache, pfn).inuse > 0
            cache = add_partial(cache, pfn, True) if busy else push_doomed(cache, pfn)
        cache, pages = discard_doomed(cache, pages)
        if node_slabs(cache, node) > 0:
            return cache, pages, False
        node += 1
    return cache, pages, True
