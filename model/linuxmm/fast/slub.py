"""Whole workloads on the compiled SLUB: arrays of operations in, a checksum and counters out.

An operation is one word: code (bits 0 to 3), CPU (4 to 11), node (12 to 15), what (16 to 39), slot (40 on).
What is the number of a cache, the bytes asked of kmalloc or krealloc, for BULK_FREE the number of slots from
`slot` on, for BULK_ALLOC that number and the cache's (see `many`).  A slot remembers the object that an
allocation put there until it is freed.  Node 0 stands for any, 15 for any with a look at other nodes' slabs,
n for node n - 1.

Linux: mm/slub.c; 2.6.22 to 6.12, without debugging.  Seed 2.1.2.2 (F033).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy import uintp as U  # noqa: N812
from numpy.typing import ArrayLike

from linuxmm.fast.arena import Int32s, Int64s
from linuxmm.fast.link import Linked
from linuxmm.fast.parts import kernel_of
from linuxmm.fast.slub_arena import cache_at, pages_of
from linuxmm.fast.slub_heap import HEAP_PRIMITIVES, NUMBER_BITS, FastHeap, address_at, grab_pages
from linuxmm.fast.slub_pack import pack, unpack_cache, unpack_heap
from linuxmm.fast.slub_rare import (
    ALLOCATED,
    BULK_ALLOC,
    BULK_FREE,
    CACHE_BITS,
    CHECKSUM,
    DESTROY,
    EMPTY,
    FACTOR,
    FAILED,
    FREED,
    KREALLOC,
    KREALLOC_ZERO,
    KSIZE,
    MASK,
    NR_TOTALS,
    SHRINK,
    note,
    rarely,
)
from linuxmm.model.objects.caches import free_mixed, release, resize
from linuxmm.model.objects.pages import Heap
from linuxmm.model.objects.slub import alloc_object, flush, free_list, free_object
from linuxmm.model.objects.slub_bulk import alloc_batch
from linuxmm.model.objects.slub_rules import Rules, rules_for
from linuxmm.model.objects.slub_shrink import destroy, shrink
from linuxmm.model.objects.slub_state import NOTHING, Cache
from linuxmm.spec.errors import BadEvidence, ImpossibleProfile
from linuxmm.spec.kernel import Kernel, kernel
from linuxmm.spec.objects.sizes import PAGE_SHIFT, SLUB_LEAST, kmalloc_class
from linuxmm.spec.registry import register_fast
from linuxmm.spec.relink import Function

RULES: Final[Rules] = rules_for(kernel("6.12"))
"""What a compiled entry calls the rules of its kernel; not compiled, an entry runs with these."""

ALLOC: Final = 0
FREE: Final = 1
FLUSH: Final = 2
KMALLOC: Final = 3
NR_CODES: Final = 11
ANY: Final = 0
REMOTE: Final = 15
MAX_NODES: Final = 14
_OF_A_CACHE: Final = 1 << ALLOC | 1 << FLUSH | 1 << SHRINK | 1 << DESTROY
_OF_KMALLOC: Final = 1 << KMALLOC | 1 << KREALLOC | 1 << KREALLOC_ZERO | 1 << KSIZE


def run_words(heap: FastHeap, words: Int64s, slots: Int64s, totals: Int64s) -> int:
    """Run operations in order; the number run.

    slots    places of objects, or below 0
    totals   as `Totals` names them
    """
    a = heap.arena
    checksum = int(totals[U(CHECKSUM)])
    count = words.size
    at = 0
    while at < count:
        word = int(words[U(at)])
        at += 1
        code = word & 15
        cpu = (word >> 4) & 0xFF
        slot = word >> 40
        if code == FREE:
            held = int(slots[U(slot)])
            if held >= 0:
                slots[U(slot)] = EMPTY
                totals[U(FREED)] += 1
                release(RULES, heap, cpu, held)  # type: ignore[arg-type]
            continue
        what = (word >> 16) & 0xFFFFFF
        if code > KMALLOC:
            checksum = rarely(RULES, heap, word, slots, totals, checksum)
            continue
        if code == FLUSH:
            flush(cache_at(a, what), pages_of(a), cpu)  # type: ignore[arg-type,type-var]
            continue
        if code == KMALLOC:
            if what == 0:
                slots[U(slot)] = EMPTY
                continue
            rank = (what + 7) >> 3
            if rank >= heap.classes.size:
                place = grab_pages(heap, what)
                checksum = note(heap, slots, totals, slot, place, checksum)
                continue
            what = int(heap.classes[U(rank)])
        node = (word >> 12) & 15
        cache = cache_at(a, what)
        wanted = NOTHING if node == REMOTE else node - 1
        _, _, pfn, number = alloc_object(RULES, cache, pages_of(a), cpu, wanted, node == REMOTE)  # type: ignore[arg-type,type-var]
        if pfn == NOTHING:
            totals[U(FAILED)] += 1
            slots[U(slot)] = EMPTY
            continue
        totals[U(ALLOCATED)] += 1
        slots[U(slot)] = pfn << NUMBER_BITS | number
        checksum = (checksum * FACTOR + (int(pfn) << PAGE_SHIFT) + int(number) * int(cache.size)) & MASK
    totals[U(CHECKSUM)] = checksum
    return count


_COLD: Final = frozenset({"flush", "_grow", "discard", "alloc_many", "free_many", "shrink", "destroy"})


@lru_cache(maxsize=16)
def _compiled(rules: Rules) -> Function:
    return Linked(rules, HEAP_PRIMITIVES, _COLD).entry(run_words)


def interpreted(rules: Rules) -> Function:
    """The same kernel over the same arrays, without a compiler: slow, with every index checked."""
    return Linked(rules, HEAP_PRIMITIVES, compiled=False).entry(run_words)


def operations(
    code: ArrayLike, cpu: ArrayLike, what: ArrayLike, slot: ArrayLike, node: ArrayLike = 0
) -> Int64s:
    """Operation words from columns of equal length, or numbers that hold for every operation.

    what      number of a cache, or bytes for KMALLOC
    Errors    BadEvidence for a number outside its field
    """
    columns = np.broadcast_arrays(*(np.asarray(c, np.int64) for c in (code, cpu, node, what, slot)))
    for (name, limit), column in zip(_LIMITS, columns, strict=True):
        wrong = np.flatnonzero((column < 0) | (column >= limit))
        if wrong.size:
            number = int(wrong[0])
            raise _outside(number, name, int(column.flat[number]), limit)
    kind, on, place, asked, where = columns
    return np.ascontiguousarray(kind | on << 4 | place << 12 | asked << 16 | where << 40)


def many(cache: int, count: int) -> int:
    """What a BULK_ALLOC asks for.

    Requires  cache < 4096; count < 4096
    """
    return cache | count << CACHE_BITS


_LIMITS: Final = (("code", NR_CODES), ("cpu", 1 << 8), ("node", 16), ("what", 1 << 24), ("slot", 1 << 23))


def _outside(number: int, name: str, value: int, limit: int) -> BadEvidence:
    return BadEvidence("operations", f"expected 0 to {limit - 1}, got {value}", line=number, where=name)


class Totals(NamedTuple):
    """What a run did.

    checksum         of the addresses handed out and of what ksize answered, in order
    failed           requests without pages; one for all objects of a BULK_ALLOC
    moved            objects that krealloc moved; they count as allocated and as freed, too
    copied, cleared  bytes that krealloc copied, and cleared for __GFP_ZERO
    destroyed, busy  DESTROY of a cache that had no object in use, and of one that had
    """

    checksum: int
    allocated: int
    failed: int
    freed: int
    moved: int
    copied: int
    cleared: int
    destroyed: int
    busy: int


def kmalloc_sizes(profile: Kernel) -> tuple[int, ...]:
    """The classes of kmalloc, the smallest first."""
    largest = profile.behaviour("objects.slub-kmalloc-largest").function(10)
    if not isinstance(largest, int):
        raise TypeError(f"{largest!r} is no size")
    return tuple(sorted({kmalloc_class(size, SLUB_LEAST) for size in range(8, largest + 1, 8)}))


class FastSlub:
    """Caches of one machine over one heap of pages.

    caches   by number; those of kmalloc, if there are any, have the sizes of `kmalloc_sizes`
    pages    page frames of the machine; a heap may have handed out none yet
    kmalloc  number of the smallest class's cache; the others follow
    Errors   ImpossibleProfile for what the arrays cannot hold
    """

    def __init__(
        self,
        profile: Kernel,
        caches: Sequence[Cache],
        pages: Heap,
        slots: int,
        *,
        kmalloc: int | None = None,
        compiled: bool = True,
    ) -> None:
        self.rules = rules_for(profile)
        self._node_of = caches[0].node_of
        self.arrays = pack(caches, pages)
        self.slots: Int64s = np.full(slots, EMPTY, np.int64)
        self._totals: Int64s = np.zeros(NR_TOTALS, np.int64)
        self.classes: Int32s = np.zeros(1, np.int32)
        if kmalloc is not None:
            self.classes = _class_table(profile, caches, kmalloc)
        self._kmalloc = kmalloc is not None
        self._run = _compiled(self.rules) if compiled else interpreted(self.rules)
        self._find = _first_misfit if compiled else first_misfit

    @property
    def totals(self) -> Totals:
        """Everything done so far."""
        return Totals(*(int(n) for n in self._totals))

    @property
    def caches(self) -> tuple[Cache, ...]:
        """The model's caches now."""
        return tuple(unpack_cache(self.arrays, n, self._node_of) for n in range(self.arrays.nr_caches))

    @property
    def pages(self) -> Heap:
        """The model's heap now."""
        return unpack_heap(self.arrays)

    def address(self, slot: int) -> int:
        """The address of the object in a slot; NOTHING when it has none."""
        held = int(self.slots[slot])
        return NOTHING if held < 0 else address_at(self._heap, held)

    def run(self, words: Int64s) -> None:
        """Run operations.

        Errors    BadEvidence for a slot, CPU, node, cache or code that this machine does not have
        """
        self._check(words)
        self._run(self._heap, words, self.slots, self._totals)

    @property
    def _heap(self) -> FastHeap:
        return FastHeap(self.arrays, self.classes)

    def _check(self, words: Int64s) -> None:
        a = self.arrays
        codes = (1 << NR_CODES) - 1 if self._kmalloc else (1 << NR_CODES) - 1 & ~_OF_KMALLOC
        limits = (a.nr_cpus, a.nr_nodes + 1, a.nr_caches, self.slots.size)
        number = self._find(words, codes, *limits)
        if number == words.size:
            return
        code, cpu, node, what, slot = fields(int(words[number]))
        if not codes >> code & 1:
            raise BadEvidence("operations", f"no operation {code} here", line=number, where="code")
        used = 1
        if code == BULK_ALLOC:
            used, what = what >> CACHE_BITS, what & ((1 << CACHE_BITS) - 1)
        elif code == BULK_FREE:
            used, what = what, 0
        if slot + used > limits[-1]:
            slot += used - 1
        for name, value, limit in zip(_FIELDS, (cpu, node, what, slot), limits, strict=True):
            if not 0 <= value < limit:
                raise _outside(number, name, value, limit)


_FIELDS: Final = ("cpu", "node", "what", "slot")


def fields(word: int) -> tuple[int, int, int, int, int]:
    """(code, CPU, node, what, slot) of an operation."""
    return word & 15, word >> 4 & 0xFF, word >> 12 & 15, word >> 16 & 0xFFFFFF, word >> 40


def first_misfit(words: Int64s, codes: int, cpus: int, nodes: int, caches: int, slots: int) -> int:
    """Number of the first operation with a field outside its limit, or the number of operations.

    codes  a bit for each code that there is
    """
    at = 0
    while at < words.size:
        word = int(words[U(at)])
        code = word & 15
        node = (word >> 12) & 15
        slot = word >> 40
        what = (word >> 16) & 0xFFFFFF
        used = 1
        if code == BULK_ALLOC:
            used = what >> CACHE_BITS
            what &= (1 << CACHE_BITS) - 1
        elif code == BULK_FREE:
            used = what
            what = 0
        elif not _OF_A_CACHE >> code & 1:
            what = 0
        if (
            not codes >> code & 1
            or ((word >> 4) & 0xFF) >= cpus
            or (node >= nodes and node != REMOTE)
            or what >= caches
            or slot + used > slots
            or slot < 0
        ):
            return at
        at += 1
    return at


_first_misfit: Final = kernel_of(first_misfit)


def _class_table(profile: Kernel, caches: Sequence[Cache], first: int) -> Int32s:
    """The cache of kmalloc for each number of words."""
    sizes = kmalloc_sizes(profile)
    if tuple(cache.size for cache in caches[first : first + len(sizes)]) != sizes:
        raise ImpossibleProfile(f"expected caches of kmalloc's sizes {sizes} from number {first} on")
    ranks = [0] + [sizes.index(kmalloc_class(8 * rank, SLUB_LEAST)) for rank in range(1, sizes[-1] // 8 + 1)]
    return np.array(ranks, np.int32) + np.int32(first)


_FAST: Final[tuple[Function, ...]] = (
    alloc_object,
    free_object,
    free_list,
    flush,
    alloc_batch,
    free_mixed,
    resize,
    shrink,
    destroy,
)
for _function in _FAST:
    register_fast(_function, "F033", source="mm/slub.c:slab_alloc_node, __slab_free; 2.6.22 to 6.12")
