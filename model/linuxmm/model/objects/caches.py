"""Named caches that may share slabs, kmalloc over SLUB, and pages that wait for readers.

Linux: mm/slab_common.c:kmem_cache_create, mm/slub.c:free_slab, kmalloc, krealloc.  Seed 2.1.2.2 (F033).
"""

from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar

from immutables import Map

from linuxmm.model.objects import slub, slub_shrink
from linuxmm.model.objects.pages import NOTHING, PageSource
from linuxmm.model.objects.slub import free_list
from linuxmm.model.objects.slub_batch import Batch, batch_number, batch_slab
from linuxmm.model.objects.slub_rules import Rules, rules_for
from linuxmm.model.objects.slub_state import Cache
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.objects.caches import may_merge, shares_slabs
from linuxmm.spec.objects.hardening import LINK_OFFSET
from linuxmm.spec.objects.sizes import (
    CACHE_LINE,
    PAGE_SHIFT,
    PAGE_SIZE,
    SLUB_LEAST,
    ZERO_SIZE_PTR,
    calculate_alignment,
    get_order,
    kmalloc_class,
)
from linuxmm.spec.objects.slub import CacheFlags, layout
from linuxmm.spec.registry import verb

P = TypeVar("P", bound=PageSource)
TRACK: Final = 32


@dataclass(frozen=True, slots=True)
class Deferred(Generic[P]):
    """A source for a cache with SLAB_TYPESAFE_BY_RCU: pages go back only after a grace period.

    An object of such a cache may be another one of the same type at once; it stays memory of that type.
    """

    source: P
    pending: tuple[tuple[int, int], ...] = ()

    def take(self, order: int, node: int) -> "tuple[Deferred[P], int]":
        """A block; never one that waits."""
        source, pfn = self.source.take(order, node)
        return replace(self, source=source), pfn

    def give(self, pfn: int, order: int) -> "Deferred[P]":
        """Let a block wait."""
        return replace(self, pending=(*self.pending, (pfn, order)))


@verb("F033", source="mm/slub.c:free_slab, rcu_free_slab")
def grace_period(pages: Deferred[P]) -> Deferred[P]:
    """Give back every block whose readers are gone."""
    source = pages.source
    for pfn, order in pages.pending:
        source = source.give(pfn, order)
    return Deferred(source)


@dataclass(frozen=True, slots=True)
class Named:
    """A cache as callers know it: how many names it has, and what the next one must match."""

    cache: Cache
    users: int
    flags: int
    mergeable: bool


@dataclass(frozen=True, slots=True)
class Caches:
    """All caches by number, the last made first tried, and the number behind each name."""

    made: Map[int, Named]
    names: Map[str, int]
    node_of: tuple[int, ...]
    nodes: int


@verb("F033", source="mm/slab_common.c:kmem_cache_create_usercopy, find_mergeable")
def create(
    kernel: Kernel,
    caches: Caches,
    name: str,
    object_size: int,
    align: int = 0,
    hwcache: bool = False,
    what: CacheFlags = CacheFlags(),  # noqa: B008
    flags: int = 0,
    nomerge: bool = False,
) -> Caches:
    """A cache, or another name for one that exists and serves as well.

    Errors    LinuxmmError when the name is taken
    """
    if name in caches.names:
        raise LinuxmmError(f"a cache is already called {name!r}")
    aligned = calculate_alignment(object_size, align, CACHE_LINE, hwcache)
    debugged = what.poison or what.red_zone or what.store_user
    mergeable = may_merge(debugged, what.rcu, what.ctor, False, nomerge)
    for number in sorted(caches.made, reverse=True):
        held = caches.made[number]
        if (
            mergeable
            and held.mergeable
            and shares_slabs(object_size, aligned, flags, held.cache.size, held.flags)
        ):
            made = caches.made.set(number, replace(held, users=held.users + 1))
            return replace(caches, made=made, names=caches.names.set(name, number))
    link = kernel.behaviour(LINK_OFFSET).function(object_size, 8)
    if not isinstance(link, int):
        raise TypeError(f"{link!r} is no offset")
    size = layout(object_size, aligned, what, link, TRACK, 8, True).size
    cache = slub.empty_cache(kernel, size, caches.node_of, caches.nodes)
    number = max(caches.made, default=-1) + 1
    made = caches.made.set(number, Named(cache, 1, flags, mergeable))
    return replace(caches, made=made, names=caches.names.set(name, number))


@verb("F033", source="mm/slab_common.c:kmem_cache_destroy")
def destroy(caches: Caches, pages: P, name: str) -> tuple[Caches, P, bool]:
    """Drop a name; with the last one the cache goes.  False when objects are still held: the cache stays."""
    number = caches.names[name]
    held = caches.made[number]
    names = caches.names.delete(name)
    if held.users > 1:
        made = caches.made.set(number, replace(held, users=held.users - 1))
        return replace(caches, made=made, names=names), pages, True
    cache, pages, gone = slub_shrink.destroy(held.cache, pages)
    if not gone:
        return replace(caches, made=caches.made.set(number, replace(held, cache=cache))), pages, False
    return replace(caches, made=caches.made.delete(number), names=names), pages, True


# ---- kmalloc ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kmalloc(Generic[P]):
    """kmalloc over SLUB: a cache for each class in use, whole pages beyond the largest one."""

    kernel: Kernel
    pages: P
    classes: Map[int, Cache]
    large: Map[int, int]
    node_of: tuple[int, ...]


def largest_class(kernel: Kernel) -> int:
    """The largest class of a kernel whose largest block has order 10."""
    found = kernel.behaviour("objects.slub-kmalloc-largest").function(10)
    if not isinstance(found, int):
        raise TypeError(f"{found!r} is no size")
    return found


def grab(rules: Rules, heap: Kmalloc[P], cpu: int, size: int) -> tuple[Kmalloc[P], int]:
    """An object of at least `size` bytes, or NOTHING.

    Requires  size > 0
    """
    if size > largest_class(heap.kernel):
        order = get_order(size)
        pages, pfn = heap.pages.take(order, -1)
        if pfn == NOTHING:
            return heap, NOTHING
        return replace(heap, pages=pages, large=heap.large.set(pfn, order)), pfn << PAGE_SHIFT
    which = kmalloc_class(size, SLUB_LEAST)
    cache = heap.classes.get(which)
    if cache is None:
        cache = slub.empty_cache(heap.kernel, which, heap.node_of, max(heap.node_of) + 1)
    cache, pages, address = slub.alloc(rules, cache, heap.pages, cpu)
    return replace(heap, pages=pages, classes=heap.classes.set(which, cache)), address


@verb("F033", source="mm/slub.c:__kmalloc, kmalloc_large_node")
def kmalloc(heap: Kmalloc[P], size: int, cpu: int = 0) -> tuple[Kmalloc[P], int]:
    """An object of at least `size` bytes; ZERO_SIZE_PTR for none, NOTHING without pages."""
    return grab(rules_for(heap.kernel), heap, cpu, size) if size else (heap, ZERO_SIZE_PTR)


def ksize(heap: Kmalloc[P], address: int) -> int:
    """Bytes of an object that its holder may use; 0 for ZERO_SIZE_PTR.

    Errors    KeyError when nobody was given the address
    """
    if address == ZERO_SIZE_PTR:
        return 0
    if address >> PAGE_SHIFT in heap.large and address % PAGE_SIZE == 0:
        return PAGE_SIZE << heap.large[address >> PAGE_SHIFT]
    return _class_of(heap, address)


def _class_of(heap: Kmalloc[P], address: int) -> int:
    for which, cache in heap.classes.items():
        try:
            slub.slab_of(cache, address)
        except KeyError:
            continue
        return which
    raise KeyError(f"{address:#x} is no object of kmalloc")


def release(rules: Rules, heap: Kmalloc[P], cpu: int, address: int) -> Kmalloc[P]:
    """Take an object back.

    Requires  somebody holds it
    """
    pfn = address >> PAGE_SHIFT
    if pfn in heap.large and address % PAGE_SIZE == 0:
        return release_pages(heap, pfn)
    which = _class_of(heap, address)
    cache, pages = slub.free(rules, heap.classes[which], heap.pages, cpu, address)
    return replace(heap, pages=pages, classes=heap.classes.set(which, cache))


@verb("F033", source="mm/slub.c:kfree")
def kfree(heap: Kmalloc[P], address: int, cpu: int = 0) -> Kmalloc[P]:
    """Take an object back; nothing happens for ZERO_SIZE_PTR and NULL."""
    return heap if address in (0, ZERO_SIZE_PTR) else release(rules_for(heap.kernel), heap, cpu, address)


# ---- many objects at once, another size ------------------------------------------------------------------


def is_large(heap: Kmalloc[P], pfn: int) -> bool:
    """Whether a page begins what was handed out whole."""
    return pfn in heap.large


def release_pages(heap: Kmalloc[P], pfn: int) -> Kmalloc[P]:
    """Take back what was handed out whole."""
    pages = heap.pages.give(pfn, heap.large[pfn])
    return replace(heap, pages=pages, large=heap.large.delete(pfn))


def cache_of(heap: Kmalloc[P], pfn: int) -> Cache:
    """The cache whose slab begins at a page."""
    return heap.classes[_class_of(heap, pfn << PAGE_SHIFT)]


def pages_in(heap: Kmalloc[P]) -> P:
    """Where slabs come from."""
    return heap.pages


def with_cache(heap: Kmalloc[P], cache: Cache, pages: P) -> Kmalloc[P]:
    """The heap with a cache and its pages changed."""
    return replace(heap, pages=pages, classes=heap.classes.set(cache.size, cache))


def free_mixed(rules: Rules, heap: Kmalloc[P], cpu: int, batch: Batch, size: int) -> Kmalloc[P]:
    """Take back the first `size` objects of an array, of any cache: from the last, those of a slab together.

    Requires  each is held
    """
    while size > 0:
        pfn = batch_slab(batch, size - 1)
        if pfn == NOTHING:
            size -= 1
        elif is_large(heap, pfn):
            heap = release_pages(heap, pfn)
            size -= 1
        else:
            tail = batch_number(batch, size - 1)
            cache, batch, size, head, count = rules.detach(cache_of(heap, pfn), batch, size)
            cache, pages = free_list(rules, cache, pages_in(heap), cpu, pfn, head, tail, count)
            heap = with_cache(heap, cache, pages)
    return heap


@verb("F033", source="mm/slub.c:kmem_cache_free_bulk without a cache (kfree_bulk); 4.6 to 6.12")
def kfree_bulk(heap: Kmalloc[P], addresses: tuple[int, ...], cpu: int = 0) -> Kmalloc[P]:
    """Take objects of any class back.

    Requires  somebody holds each of them
    """
    batch = Batch(tuple(_place(heap, address) for address in addresses))
    return free_mixed(rules_for(heap.kernel), heap, cpu, batch, len(addresses))


def _place(heap: Kmalloc[P], address: int) -> tuple[int, int]:
    """The slab and number of an object, or the first page of one beyond the largest class."""
    if address >> PAGE_SHIFT in heap.large:
        return address >> PAGE_SHIFT, 0
    return slub.slab_of(heap.classes[_class_of(heap, address)], address)


def resize(
    rules: Rules, heap: Kmalloc[P], cpu: int, address: int, size: int, zero: bool
) -> tuple[Kmalloc[P], int, int, int]:
    """krealloc of an object: where it is now, bytes copied there, bytes cleared; NOTHING without pages.

    zero      with __GFP_ZERO
    Requires  somebody holds the object; size > 0
    """
    usable = ksize(heap, address)
    if rules.stays(usable, usable, kmalloc_class(size, SLUB_LEAST), size):
        return heap, address, 0, rules.spare(usable, size) if zero else 0
    heap, found = grab(rules, heap, cpu, size)
    if found == NOTHING:
        return heap, NOTHING, 0, 0
    granted = ksize(heap, found)
    heap = release(rules, heap, cpu, address)
    return heap, found, min(usable, size), granted if zero else 0


@verb("F033", source="mm/slab_common.c:__do_krealloc; mm/slub.c:krealloc")
def krealloc(
    heap: Kmalloc[P], address: int, size: int, cpu: int = 0, zero: bool = False
) -> tuple[Kmalloc[P], int]:
    """Another size for an object: the same place if it serves, else a new one and the old comes back.

    Ensures   NOTHING leaves the old object as it was; size 0 frees it
    """
    if size == 0:
        return kfree(heap, address, cpu), ZERO_SIZE_PTR
    if address in (0, ZERO_SIZE_PTR):
        return kmalloc(heap, size, cpu)
    return resize(rules_for(heap.kernel), heap, cpu, address, size, zero)[:2]
