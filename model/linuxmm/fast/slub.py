"""Whole workloads on the compiled SLUB: arrays of operations in, a checksum and counters out.

An operation is one word: code (bits 0 to 2), CPU (3 to 10), node (11 to 14), number of a cache or bytes asked
of kmalloc (15 to 38), slot (39 to 62).  A slot remembers the object that an allocation put there until it is
freed.  Node 0 stands for any, 15 for any with a look at other nodes' slabs, n for node n - 1.

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
from linuxmm.fast.slub_arena import (
    LARGE,
    NO_SLAB,
    ORDER,
    OWNER,
    PRIMITIVES,
    RECORD,
    FastArena,
    cache_at,
    pages_of,
    word_at,
)
from linuxmm.fast.slub_pack import pack, unpack_cache, unpack_heap
from linuxmm.model.objects.pages import Heap, give_pages, take_pages
from linuxmm.model.objects.slub import (
    Rules,
    alloc_object,
    flush,
    free_object,
    rules_for,
)
from linuxmm.model.objects.slub_state import NOTHING, Cache
from linuxmm.spec.errors import BadEvidence, ImpossibleProfile
from linuxmm.spec.kernel import Kernel, kernel
from linuxmm.spec.objects.sizes import PAGE_SHIFT, SLUB_LEAST, get_order, kmalloc_class
from linuxmm.spec.registry import register_fast
from linuxmm.spec.relink import Function

RULES: Final[Rules] = rules_for(kernel("6.12"))
"""What a compiled entry calls the rules of its kernel; not compiled, an entry runs with these."""

ALLOC: Final = 0
FREE: Final = 1
FLUSH: Final = 2
KMALLOC: Final = 3
NR_CODES: Final = 4
ANY: Final = 0
REMOTE: Final = 15
MAX_NODES: Final = 14

CHECKSUM: Final = 0
ALLOCATED: Final = 1
FAILED: Final = 2
FREED: Final = 3
NR_TOTALS: Final = 4
_EMPTY: Final = -1
_MASK: Final = (1 << 62) - 1
_NUMBER_BITS: Final = 16


def run_words(a: FastArena, words: Int64s, classes: Int32s, slots: Int64s, totals: Int64s) -> int:
    """Run operations in order; the number run.

    classes  cache of kmalloc for each number of words (8 bytes) asked for
    slots    per slot: first page of the slab << 16 | number of the object, or -1
    totals   CHECKSUM of all addresses handed out, ALLOCATED, FAILED, FREED
    """
    checksum = int(totals[U(CHECKSUM)])
    count = words.size
    at = 0
    while at < count:
        word = int(words[U(at)])
        at += 1
        code = word & 7
        cpu = (word >> 3) & 0xFF
        slot = word >> 39
        if code == FREE:
            held = int(slots[U(slot)])
            if held == _EMPTY:
                continue
            slots[U(slot)] = _EMPTY
            totals[U(FREED)] += 1
            pfn = held >> _NUMBER_BITS
            owner = word_at(a.slabs, pfn * RECORD + OWNER)
            if owner == LARGE:
                a.slabs[U(pfn * RECORD + OWNER)] = NO_SLAB
                give_pages(pages_of(a), pfn, word_at(a.slabs, pfn * RECORD + ORDER))  # type: ignore[type-var]
            else:
                free_object(RULES, cache_at(a, owner), pages_of(a), cpu, pfn, held & 0xFFFF)  # type: ignore[arg-type,type-var]
            continue
        what = (word >> 15) & 0xFFFFFF
        if code == FLUSH:
            flush(cache_at(a, what), pages_of(a), cpu)  # type: ignore[arg-type,type-var]
            continue
        if code == KMALLOC:
            if what == 0:
                slots[U(slot)] = _EMPTY
                continue
            rank = (what + 7) >> 3
            if rank >= classes.size:
                order = get_order(what)
                _, pfn = take_pages(pages_of(a), order, -1)  # type: ignore[type-var]
                if pfn == NOTHING:
                    totals[U(FAILED)] += 1
                    slots[U(slot)] = _EMPTY
                    continue
                a.slabs[U(pfn * RECORD + OWNER)] = LARGE
                a.slabs[U(pfn * RECORD + ORDER)] = order
                totals[U(ALLOCATED)] += 1
                slots[U(slot)] = pfn << _NUMBER_BITS
                checksum = (checksum * 1000003 + (int(pfn) << PAGE_SHIFT)) & _MASK
                continue
            what = int(classes[U(rank)])
        place = (word >> 11) & 15
        cache = cache_at(a, what)
        node = NOTHING if place == REMOTE else place - 1
        _, _, pfn, number = alloc_object(RULES, cache, pages_of(a), cpu, node, place == REMOTE)  # type: ignore[arg-type,type-var]
        if pfn == NOTHING:
            totals[U(FAILED)] += 1
            slots[U(slot)] = _EMPTY
            continue
        totals[U(ALLOCATED)] += 1
        slots[U(slot)] = pfn << _NUMBER_BITS | number
        checksum = (checksum * 1000003 + (int(pfn) << PAGE_SHIFT) + int(number) * int(cache.size)) & _MASK
    totals[U(CHECKSUM)] = checksum
    return count


_COLD: Final = frozenset(
    {
        "flush",
        "flush_slab",
        "drain_cpu_list",
        "discard_doomed",
        "_discard",
        "_grow",
        "_from_node",
        "let_go",
    }
)


@lru_cache(maxsize=16)
def _compiled(rules: Rules) -> Function:
    return Linked(rules, PRIMITIVES, _COLD).entry(run_words)


def interpreted(rules: Rules) -> Function:
    """The same kernel over the same arrays, without a compiler: slow, with every index checked."""
    return Linked(rules, PRIMITIVES, compiled=False).entry(run_words)


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
    return np.ascontiguousarray(kind | on << 3 | place << 11 | asked << 15 | where << 39)


_LIMITS: Final = (("code", NR_CODES), ("cpu", 1 << 8), ("node", 16), ("what", 1 << 24), ("slot", 1 << 24))


def _outside(number: int, name: str, value: int, limit: int) -> BadEvidence:
    return BadEvidence("operations", f"expected 0 to {limit - 1}, got {value}", line=number, where=name)


class Totals(NamedTuple):
    """What a run did.

    checksum  of the addresses handed out, in order
    """

    checksum: int
    allocated: int
    failed: int
    freed: int


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
        self.slots: Int64s = np.full(slots, _EMPTY, np.int64)
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
        if held == _EMPTY:
            return NOTHING
        pfn = held >> _NUMBER_BITS
        owner = int(self.arrays.slabs[pfn * RECORD + OWNER])
        size = 0 if owner == LARGE else cache_at(self.arrays, owner).size
        return (pfn << PAGE_SHIFT) + (held & 0xFFFF) * size

    def run(self, words: Int64s) -> None:
        """Run operations.

        Errors    BadEvidence for a slot, CPU, node or cache that this machine does not have
        """
        self._check(words)
        self._run(self.arrays, words, self.classes, self.slots, self._totals)

    def _check(self, words: Int64s) -> None:
        a = self.arrays
        limits = (NR_CODES if self._kmalloc else KMALLOC, a.nr_cpus, a.nr_nodes + 1, a.nr_caches)
        number = self._find(words, *limits, self.slots.size)
        if number == words.size:
            return
        word = int(words[number])
        for name, value, limit in zip(_FIELDS, fields(word), (*limits, self.slots.size), strict=True):
            if not 0 <= value < limit:
                raise _outside(number, name, value, limit)


_FIELDS: Final = ("code", "cpu", "node", "what", "slot")


def fields(word: int) -> tuple[int, int, int, int, int]:
    """(code, CPU, node, number of a cache or bytes asked of kmalloc, slot) of an operation."""
    return word & 7, word >> 3 & 0xFF, word >> 11 & 15, word >> 15 & 0xFFFFFF, word >> 39


def first_misfit(words: Int64s, codes: int, cpus: int, nodes: int, caches: int, slots: int) -> int:
    """Number of the first operation with a field outside its limit, or the number of operations."""
    at = 0
    while at < words.size:
        word = int(words[U(at)])
        code = word & 7
        node = (word >> 11) & 15
        slot = word >> 39
        if (
            code >= codes
            or ((word >> 3) & 0xFF) >= cpus
            or (node >= nodes and node != REMOTE)
            or ((code == ALLOC or code == FLUSH) and ((word >> 15) & 0xFFFFFF) >= caches)
            or slot >= slots
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


for _function in (alloc_object, free_object, flush):
    register_fast(_function, "F033", source="mm/slub.c:slab_alloc_node, __slab_free; 2.6.22 to 6.12")
