"""SLUB's bulk interface: many objects of a cache in one call.

Linux: mm/slub.c:kmem_cache_alloc_bulk, kmem_cache_free_bulk.  Seed 2.1.2.2 (F033).  4.3 to 6.12; before, a
caller asks for one object after another, which is what these do for such a kernel.
"""

from typing import TypeVar

from linuxmm.model.objects.pages import PageSource
from linuxmm.model.objects.slub import ANY_NODE, address_of, alloc_object, free_list, slab_of
from linuxmm.model.objects.slub_batch import Batch, batch_number, batch_slab, with_object
from linuxmm.model.objects.slub_rules import Rules
from linuxmm.model.objects.slub_state import NOTHING, Cache
from linuxmm.spec.registry import verb

P = TypeVar("P", bound=PageSource)


def alloc_batch(
    rules: Rules, cache: Cache, pages: P, cpu: int, batch: Batch, count: int
) -> tuple[Cache, P, Batch, bool]:
    """Put `count` objects into an array; False, with those that were had freed again, without pages."""
    at = 0
    while at < count:
        cache, pages, pfn, number = alloc_object(rules, cache, pages, cpu, ANY_NODE, False)
        if pfn == NOTHING:
            cache, pages = free_batch(rules, cache, pages, cpu, batch, at)
            return cache, pages, batch, False
        batch = with_object(batch, at, pfn, number)
        at += 1
    return cache, pages, batch, True


def free_batch(rules: Rules, cache: Cache, pages: P, cpu: int, batch: Batch, size: int) -> tuple[Cache, P]:
    """Take back the first `size` objects of an array, from the last, those of one slab together.

    Requires  each is of this cache, and held
    """
    while size > 0:
        pfn = batch_slab(batch, size - 1)
        if pfn == NOTHING:
            size -= 1
            continue
        tail = batch_number(batch, size - 1)
        cache, batch, size, head, count = rules.detach(cache, batch, size)
        cache, pages = free_list(rules, cache, pages, cpu, pfn, head, tail, count)
    return cache, pages


@verb("F033", source="mm/slub.c:kmem_cache_alloc_bulk")
def alloc_bulk(
    rules: Rules, cache: Cache, pages: P, cpu: int, count: int
) -> tuple[Cache, P, tuple[int, ...]]:
    """As many objects as asked for, or none."""
    empty = Batch(((NOTHING, NOTHING),) * count)
    cache, pages, batch, done = alloc_batch(rules, cache, pages, cpu, empty, count)
    return cache, pages, tuple(address_of(cache, *held) for held in batch.objects) if done else ()


@verb("F033", source="mm/slub.c:kmem_cache_free_bulk")
def free_bulk(rules: Rules, cache: Cache, pages: P, cpu: int, addresses: tuple[int, ...]) -> tuple[Cache, P]:
    """Take objects back.

    Requires  somebody holds each of them
    Ensures   they are free; a later request gets them in another order than after one call for each
    """
    batch = Batch(tuple(slab_of(cache, address) for address in addresses))
    return free_batch(rules, cache, pages, cpu, batch, len(addresses))
