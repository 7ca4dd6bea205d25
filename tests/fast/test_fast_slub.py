"""The compiled SLUB is the model: same objects, same slabs, lists and pages, for every generation."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map

from linuxmm.fast.arena import Int64s
from linuxmm.fast.slub import (
    ALLOC,
    FLUSH,
    FREE,
    KMALLOC,
    REMOTE,
    FastSlub,
    fields,
    kmalloc_sizes,
    many,
    operations,
)
from linuxmm.fast.slub_pack import pack, unpack_cache, unpack_heap
from linuxmm.fast.slub_rare import BULK_ALLOC, BULK_FREE, DESTROY, KREALLOC, KREALLOC_ZERO, KSIZE, SHRINK
from linuxmm.model.objects import slub, slub_bulk, slub_shrink
from linuxmm.model.objects.caches import Kmalloc, kfree, kfree_bulk, kmalloc, ksize, resize
from linuxmm.model.objects.pages import NOTHING, Heap
from linuxmm.model.objects.slub_rules import rules_for
from linuxmm.model.objects.slub_state import Cache
from linuxmm.spec.errors import BadEvidence, ImpossibleProfile
from linuxmm.spec.kernel import kernel

VERSIONS = ("2.6.22", "2.6.32", "3.2", "3.14", "3.16", "4.15", "5.15", "5.17", "6.1.192", "6.7", "6.12.117")
NODES = (0, 0, 1)
SIZES = (1024, 2048, 1408, 520)
SLOTS = 90


def caches_of(version: str, limit: int | None = None) -> list[Cache]:
    """Caches that reach every path within few operations."""
    made = []
    for size in SIZES:
        cache = replace(slub.empty_cache(kernel(version), size, NODES, 2), min_partial=1)
        few = cache.cpu_partial and min(cache.cpu_partial, 2 if limit is None else limit)
        made.append(replace(cache, cpu_partial=few))
    return made


class _Pure:
    """The same operations on the model."""

    def __init__(self, version: str, caches: list[Cache], pages: Heap) -> None:
        self.kernel = kernel(version)
        self.rules = rules_for(self.kernel)
        self.caches, self.pages = list(caches), pages
        self.slots: dict[int, tuple[int, int]] = {}
        self.failed = 0

    def run(self, words: Int64s) -> None:
        for word in words.tolist():
            code, cpu, node, which, slot = fields(word)
            if code == ALLOC:
                where = (-1, True) if node == REMOTE else (node - 1, False)
                cache, self.pages, address = slub.alloc(
                    self.rules, self.caches[which], self.pages, cpu, *where
                )
                self.caches[which] = cache
                if address == NOTHING:
                    self.failed += 1
                else:
                    self.slots[slot] = which, address
            elif code in (BULK_ALLOC, BULK_FREE, SHRINK, DESTROY):
                self.rare(code, cpu, which, slot)
            elif code == FLUSH:
                self.caches[which], self.pages = slub.flush(self.caches[which], self.pages, cpu)
            elif slot in self.slots:
                which, address = self.slots.pop(slot)
                self.caches[which], self.pages = slub.free(
                    self.rules, self.caches[which], self.pages, cpu, address
                )

    def rare(self, code: int, cpu: int, what: int, slot: int) -> None:
        if code == BULK_FREE:
            held = [self.slots.pop(at) for at in range(slot, slot + what) if at in self.slots]
            classes = Map({cache.size: cache for cache in self.caches})
            heap = Kmalloc(self.kernel, self.pages, classes, Map(), NODES)
            heap = kfree_bulk(heap, tuple(address for _, address in held), cpu)
            self.caches, self.pages = [heap.classes[size] for size in SIZES], heap.pages
            return
        which, count = (what & 0xFFF, what >> 12) if code == BULK_ALLOC else (what, 0)
        cache = self.caches[which]
        if code == BULK_ALLOC:
            cache, self.pages, found = slub_bulk.alloc_bulk(self.rules, cache, self.pages, cpu, count)
            self.failed += len(found) < count
            for at in range(count):
                self.slots.pop(slot + at, None)
            self.slots |= {slot + at: (which, address) for at, address in enumerate(found)}
        elif code == SHRINK:
            cache, self.pages = slub_shrink.shrink(self.rules, cache, self.pages)
        else:
            cache, self.pages, _ = slub_shrink.destroy(cache, self.pages)
        self.caches[which] = cache

    @property
    def addresses(self) -> list[int]:
        return [self.slots.get(slot, (0, NOTHING))[1] for slot in range(SLOTS)]


def stream(seed: int, count: int) -> Int64s:
    """Bursts of requests and of releases, from every CPU, for every node."""
    rng = np.random.default_rng(seed)
    held = np.zeros(SLOTS, bool)
    rows = []
    for number in range(count):
        cpu, which = int(rng.integers(3)), int(rng.integers(len(SIZES)))
        if rng.random() < 0.02:
            rows.append((FLUSH, cpu, which, 0, 0))
            continue
        if rng.random() < 0.03:
            rows.append((int(rng.choice([SHRINK, SHRINK, DESTROY])), cpu, which, 0, 0))
            continue
        if rng.random() < 0.06:
            many_of, first = int(rng.integers(1, 9)), int(rng.integers(SLOTS - 8))
            growing = number // 60 % 2 == 0 and not held[first : first + many_of].any()
            what = many(which, many_of) if growing else many_of
            rows.append((BULK_ALLOC if growing else BULK_FREE, cpu, what, first, 0))
            held[first : first + many_of] = growing
            continue
        growing = number // 60 % 2 == 0
        pool = np.flatnonzero(~held if growing else held)
        if not pool.size or rng.random() < 0.2:
            pool = np.arange(SLOTS)
        slot = int(rng.choice(pool))
        node = int(rng.choice([0, 0, 0, 0, 1, 2, REMOTE]))
        rows.append((FREE if held[slot] else ALLOC, cpu, which, slot, node))
        held[slot] = not held[slot]
    return operations(*np.array(rows).T)


def test_columns_of_operations() -> None:
    words = operations([ALLOC, FREE], [2, 0], [3, 0], [9, 7], [REMOTE, 0])
    assert [fields(word) for word in words.tolist()] == [(ALLOC, 2, REMOTE, 3, 9), (FREE, 0, 0, 0, 7)]
    with pytest.raises(BadEvidence, match="expected 0 to 255, got 256"):
        operations(ALLOC, [0, 256], 0, 0)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_interpreted_kernel_equals_the_model_after_every_operation(version: str) -> None:
    caches, heap = caches_of(version), Heap(30, next=1)
    pure, fast = _Pure(version, caches, heap), FastSlub(kernel(version), caches, heap, SLOTS, compiled=False)
    for word in np.split(words := stream(3, 420), words.size):
        pure.run(word)
        fast.run(word)
        assert fast.pages == pure.pages
        assert fast.caches == tuple(pure.caches)
    assert fast.totals.failed == pure.failed > 0
    assert [fast.address(slot) for slot in range(SLOTS)] == pure.addresses


@pytest.mark.parametrize("version", ["2.6.32", "4.15", "6.12.117"])
def test_the_compiled_kernel_equals_the_model(version: str) -> None:
    caches, heap = caches_of(version), Heap(30, next=1)
    pure, fast = _Pure(version, caches, heap), FastSlub(kernel(version), caches, heap, SLOTS)
    interpreted = FastSlub(kernel(version), caches, heap, SLOTS, compiled=False)
    for words in np.split(stream(5, 2000), 50):
        for runner in (pure, fast, interpreted):
            runner.run(words)
        assert (fast.caches, fast.pages) == (tuple(pure.caches), pure.pages)
        assert fast.totals == interpreted.totals
        assert [fast.address(slot) for slot in range(SLOTS)] == pure.addresses


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(VERSIONS),
    st.integers(0, 5),
    st.integers(0, 1 << 20),
    st.integers(20, 120),
    st.integers(5, 90),
)
def test_packing_loses_nothing_and_work_goes_on(
    version: str, limit: int, seed: int, count: int, pages: int
) -> None:
    pure = _Pure(version, caches_of(version, limit), Heap(pages))
    pure.run(stream(seed, count))
    arrays = pack(pure.caches, pure.pages)
    assert unpack_heap(arrays) == pure.pages
    assert tuple(unpack_cache(arrays, n, NODES) for n in range(len(SIZES))) == tuple(pure.caches)
    again = _Pure(version, pure.caches, pure.pages)
    fast = FastSlub(kernel(version), pure.caches, pure.pages, SLOTS, compiled=False)
    words = stream(seed + 1, 60)
    again.run(words)
    fast.run(words)
    assert (fast.caches, fast.pages) == (tuple(again.caches), again.pages)


@pytest.mark.parametrize(
    ("version", "compiled"),
    [("2.6.22", False), ("2.6.28", False), ("4.15", False), ("4.15", True), ("6.1.192", True)],
)
def test_kmalloc_and_krealloc_equal_the_model(version: str, compiled: bool) -> None:
    profile, node_of = kernel(version), (0, 0)
    sizes = kmalloc_sizes(profile)
    caches = [slub.empty_cache(profile, size, node_of, 1) for size in sizes]
    fast = FastSlub(profile, caches, Heap(60, next=1), SLOTS, kmalloc=0, compiled=compiled)
    heap = Kmalloc(profile, Heap(60, next=1), Map(zip(sizes, caches, strict=True)), Map(), node_of)
    rules = rules_for(profile)
    rng = np.random.default_rng(2)
    held: dict[int, int] = {}
    moves = [0, 0, 0, 0]
    for _ in range(900):
        cpu, slot, choice = int(rng.integers(2)), int(rng.integers(SLOTS)), rng.random()
        size = int(rng.choice([0, 1, 8, 9, 90, 96, 97, 129, 192, 193, 700, 3000, 5000, 8192, 8193, 20000]))
        if slot in held and choice < 0.3 and size:
            zero = choice < 0.15
            fast.run(operations([KREALLOC_ZERO if zero else KREALLOC], cpu, size, slot))
            heap, found, copied, cleared = resize(rules, heap, cpu, held[slot], size, zero)
            moves[0] += found == NOTHING
            moves[1] += found not in (NOTHING, held[slot])
            moves[2] += copied
            moves[3] += cleared
            held[slot] = held[slot] if found == NOTHING else found
        elif slot in held and choice < 0.4:
            before = fast.totals.checksum
            fast.run(operations([KSIZE], cpu, 0, slot))
            assert fast.totals.checksum == (before * 1000003 + ksize(heap, held[slot])) % (1 << 62)
        elif choice > 0.9:
            count = int(rng.integers(1, 12))
            fast.run(operations([BULK_FREE], cpu, count, slot // 2))
            gone = [held.pop(at) for at in range(slot // 2, slot // 2 + count) if at in held]
            heap = kfree_bulk(heap, tuple(gone), cpu)
        elif slot in held:
            fast.run(operations([KREALLOC if choice > 0.85 else FREE], cpu, 0, slot))
            heap = kfree(heap, held.pop(slot), cpu)
        else:
            zero = choice > 0.8
            fast.run(operations([KREALLOC_ZERO if zero else KMALLOC], cpu, size, slot))
            heap, address = kmalloc(heap, size, cpu)
            moves[0] += address == NOTHING
            if size and address != NOTHING:
                held[slot] = address
                moves[3] += ksize(heap, address) if zero else 0
        assert {s: fast.address(s) for s in range(SLOTS) if fast.address(s) != NOTHING} == held
    assert fast.caches == tuple(heap.classes[size] for size in sizes)
    assert fast.pages == heap.pages
    totals = fast.totals
    assert [totals.failed, totals.moved, totals.copied, totals.cleared] == moves
    assert min(moves) > 0


def test_operations_outside_the_machine_are_refused() -> None:
    profile = kernel("6.12.117")
    caches = caches_of("6.12.117")
    for compiled in (False, True):
        fast = FastSlub(profile, caches, Heap(70), SLOTS, compiled=compiled)
        for words, message in (
            (operations([ALLOC, ALLOC], [0, 3], 0, 0), "operations:1: cpu: expected 0 to 2, got 3"),
            (operations([ALLOC], 0, 4, 0), "what: expected 0 to 3, got 4"),
            (operations([FREE], 0, 0, SLOTS), f"slot: expected 0 to {SLOTS - 1}, got {SLOTS}"),
            (operations([ALLOC], 0, 0, 0, 3), "node: expected 0 to 2, got 3"),
            (operations([KMALLOC], 0, 8, 0), "operations:0: code: no operation 3 here"),
            (operations([SHRINK], 0, 4, 0), "what: expected 0 to 3, got 4"),
            (operations([BULK_ALLOC], 0, many(4, 1), 0), "what: expected 0 to 3, got 4"),
            (
                operations([BULK_ALLOC], 0, many(3, 9), SLOTS - 8),
                f"slot: expected 0 to {SLOTS - 1}, got {SLOTS}",
            ),
            (operations([BULK_FREE], 0, SLOTS, 1), f"slot: expected 0 to {SLOTS - 1}, got {SLOTS}"),
        ):
            with pytest.raises(BadEvidence) as caught:
                fast.run(words)
            assert message in str(caught.value)
        assert fast.totals == (0,) * 9
    with pytest.raises(ImpossibleProfile, match="expected caches of kmalloc's sizes"):
        FastSlub(profile, caches, Heap(70), 1, kmalloc=0)
    with pytest.raises(ImpossibleProfile, match="at least one cache"):
        pack([], Heap(1))
    with pytest.raises(ImpossibleProfile, match="8 bytes or more"):
        pack([replace(caches[0], size=4)], Heap(1))
