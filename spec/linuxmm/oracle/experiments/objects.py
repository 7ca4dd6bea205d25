"""H04 and H05: what the queues of SLAB and SLUB weigh, and what the three object allocators need for a mix.

Linux: mm/slab.c, mm/slub.c, mm/slob.c.  Seed 2.1.2, 2.1.2.2 (F032, F033, F034).
"""

from typing import Final, NamedTuple

from linuxmm.model.objects import slab, slob, slub
from linuxmm.model.objects.pages import Heap
from linuxmm.model.objects.slub_rules import rules_for
from linuxmm.model.objects.slub_state import Cache
from linuxmm.spec.experiment import Curve, Figure, Outcome, Scale, Standing, experiment
from linuxmm.spec.kernel import kernel
from linuxmm.spec.objects.sizes import PAGE_SIZE, SLAB_LEAST, SLUB_LEAST, kmalloc_class
from linuxmm.spec.objects.slab import OFF_SLAB, alien_bytes, layout_with_bytes, off_slab_bytes, queue_bytes
from linuxmm.spec.objects.slab import slub_queue_bytes as slub_bytes

NODES: Final = tuple(1 << n for n in range(11))
CPUS_OF_NODE: Final = 4
CACHES: Final = 150
OBJECT: Final = 192
VERSION: Final = "6.1.192"
PAGES: Final = 1 << 20
GIB: Final = 1 << 30


@experiment(
    "H04",
    title="Queues of SLAB and SLUB on machines with many nodes",
    reported="SLAB's queues grow with the square of the nodes; gigabytes on a thousand nodes (unconfirmed)",
    versions="SLAB and SLUB of 6.1, the structures of x86-64",
    workload="1 to 1024 nodes of four CPUs, 150 caches of 192-byte objects: the bytes of all queues",
    left_out=(
        "rounding of the arrays to classes of kmalloc, and the objects that wait in them",
        "caches that nobody tuned larger: /proc/slabinfo could raise SLAB's limits",
    ),
    source="mm/slab.c:enable_cpucache, setup_kmem_cache_node; mm/slub.c:struct kmem_cache_node; 6.1",
)
def queues(scale: Scale) -> Outcome:
    """Bytes of queues by the number of nodes."""
    figures: list[Figure] = []
    totals: dict[str, list[float]] = {"SLAB": [], "SLUB": []}
    for nodes in NODES:
        cpus = nodes * CPUS_OF_NODE
        setting = f"{nodes} nodes"
        found = {"SLAB": queue_bytes(OBJECT, nodes, cpus), "SLUB": slub_bytes(nodes, cpus)}
        for name, value in found.items():
            figures.append(Figure(f"{name}, one cache", setting, VERSION, float(value), "bytes"))
            totals[name].append(float(value * CACHES))
        aliens = nodes * (nodes - 1) if nodes > 1 else 0
        figures.append(Figure("SLAB, arrays for other nodes", setting, VERSION, float(aliens)))
    curves = tuple(
        Curve("queues", name, "nodes", "bytes of 150 caches", tuple(map(float, NODES)), tuple(ys), True)
        for name, ys in totals.items()
    )
    growth = alien_bytes(1024, 120) / alien_bytes(512, 120)
    twice = totals["SLUB"][-1] / totals["SLUB"][-2]
    slab_total, slub_total = totals["SLAB"][-1] / GIB, totals["SLUB"][-1] / GIB
    why = (
        f"Doubling 512 nodes makes SLAB's arrays for other nodes {growth:.2f} times as large, SLUB's "
        f"records {twice:.2f} times. With 1024 nodes and 150 caches SLAB's queues take {slab_total:.1f} GiB, "
        f"SLUB's records {slub_total:.2f} GiB."
    )
    square = 3.9 < growth < 4.1 and totals["SLUB"][-1] == 2 * totals["SLUB"][-2]
    return Outcome(tuple(figures), curves, Standing.CONFIRMED if square else Standing.NOT_CONFIRMED, why)


class Footprint(NamedTuple):
    """Bytes after a mix was placed.

    pages     that the allocator holds
    asked     by the callers
    inside    granted beyond what was asked for: rounding to classes, headers, alignment
    beside    of the rest: management and queues; free objects and units, and what no object fits in
    """

    pages: int
    asked: int
    inside: int
    beside: int


class Mix(NamedTuple):
    """A mix: the smallest and the largest request, in bytes, evenly spread; or powers of two only."""

    name: str
    least: int
    most: int
    powers: bool = False


MIXES: Final = (
    Mix("8 to 128 bytes", 8, 128),
    Mix("8 to 1024 bytes", 8, 1024),
    Mix("200 to 4000 bytes", 200, 4000),
    Mix("powers of two, 8 to 2048", 8, 2048, True),
)


class Use(NamedTuple):
    """A request of `size` bytes as object `number`, or its return."""

    number: int
    size: int
    back: bool


def uses_of(mix: Mix, count: int) -> tuple[Use, ...]:
    """A repeatable stream: `count` requests, after which every second object, by chance, comes back."""
    state = 12345
    made: list[Use] = []
    back: list[Use] = []
    for number in range(count):
        state = (state * 1103515245 + 12345) % (1 << 31)
        chance = state >> 8
        if mix.powers:
            size = mix.least << (chance % (mix.most // mix.least).bit_length())
        else:
            size = mix.least + chance % (mix.most - mix.least + 1)
        made.append(Use(number, size, False))
        if state >> 20 & 1:
            back.append(Use(number, size, True))
    return (*made, *back)


def place_slub(uses: tuple[Use, ...]) -> Footprint:
    """The mix in kmalloc's caches of SLUB on one CPU."""
    profile = kernel(VERSION)
    rules = rules_for(profile)
    caches: dict[int, Cache] = {}
    pages = Heap(PAGES)
    where: dict[int, int] = {}
    live: dict[int, int] = {}
    for use in uses:
        size = kmalloc_class(use.size, SLUB_LEAST)
        cache = caches.get(size) or slub.empty_cache(profile, size, (0,), 1)
        if use.back:
            caches[size], pages = slub.free(rules, cache, pages, 0, where.pop(use.number))
            del live[use.number]
        else:
            caches[size], pages, where[use.number] = slub.alloc(rules, cache, pages, 0)
            live[use.number] = use.size
    inside = sum(kmalloc_class(size, SLUB_LEAST) - size for size in live.values())
    return _footprint(pages.held * PAGE_SIZE + len(caches) * slub_bytes(1, 1), live, inside)


def place_slab(uses: tuple[Use, ...]) -> Footprint:
    """The mix in kmalloc's caches of SLAB on one CPU."""
    caches: dict[int, slab.Cache] = {}
    pages = Heap(PAGES)
    where: dict[int, int] = {}
    live: dict[int, int] = {}
    for use in uses:
        size = kmalloc_class(use.size, SLAB_LEAST)
        layout = layout_with_bytes(size, size, 8, False, False, 1, 10)
        cache = caches.get(size) or slab.empty_cache(size, layout, (0,), 1)
        if use.back:
            caches[size], pages = slab.free(cache, pages, 0, where.pop(use.number))
            del live[use.number]
        else:
            caches[size], pages, where[use.number] = slab.alloc(cache, pages, 0)
            live[use.number] = use.size
    inside = sum(kmalloc_class(size, SLAB_LEAST) - size for size in live.values())
    apart = sum(queue_bytes(size, 1, 1) for size in caches)
    apart += sum(
        len(cache.slabs) * off_slab_bytes(cache.layout.objects)
        for cache in caches.values()
        if cache.layout.placement == OFF_SLAB
    )
    return _footprint(pages.held * PAGE_SIZE + apart, live, inside)


def place_slob(uses: tuple[Use, ...]) -> Footprint:
    """The mix in SLOB's heap."""
    rules = slob.rules_for(kernel(VERSION))
    heap = slob.empty(Heap(PAGES))
    where: dict[int, int] = {}
    live: dict[int, int] = {}
    for use in uses:
        if use.back:
            heap = slob.kfree(rules, heap, where.pop(use.number))
            del live[use.number]
        else:
            heap, where[use.number] = slob.kmalloc(rules, heap, use.size)
            live[use.number] = use.size
    inside = sum((size + 1) // 2 * 2 - size + slob.HEADER for size in live.values())
    return _footprint(heap.pages.held * PAGE_SIZE, live, inside)


def _footprint(held: int, live: dict[int, int], inside: int) -> Footprint:
    asked = sum(live.values())
    return Footprint(held, asked, inside, held - asked - inside)


PLACES: Final = {"SLAB": place_slab, "SLUB": place_slub, "SLOB": place_slob}


@experiment(
    "H05",
    title="Bytes that SLAB, SLUB and SLOB need for a mix of objects",
    reported="SLUB wastes least at page granularity; SLOB has the smallest footprint",
    versions="all three of 6.1, one CPU",
    workload="four mixes of kmalloc requests; half of the objects come back in between",
    left_out=(
        "caches of their own for objects of one type, which have no classes to round to",
        "struct page, struct kmem_cache and names, which are alike or do not grow with the objects",
        "other CPUs, whose queues would hold more",
    ),
    source="mm/slab.c, mm/slub.c, mm/slob.c; 6.1",
)
def footprints(scale: Scale) -> Outcome:
    """Bytes held for the same mixes."""
    count = 600 if scale is Scale.QUICK else 4000
    figures: list[Figure] = []
    curves: list[Curve] = []
    wasted: dict[str, list[float]] = {name: [] for name in PLACES}
    for mix in MIXES:
        for total in (600, count) if count > 600 else (600,):
            uses = uses_of(mix, total)
            for name, place in PLACES.items():
                found = place(uses)
                setting = f"{mix.name}, {total} requests"
                named = zip(("held", "asked for", "inside objects", "beside objects"), found, strict=True)
                figures += [
                    Figure(f"{name}: {what}", setting, VERSION, float(v), "bytes") for what, v in named
                ]
                if total == count:
                    wasted[name].append(round(100 * (found.pages - found.asked) / found.asked, 1))
    xs = tuple(float(n) for n in range(1, len(MIXES) + 1))
    for name, ys in wasted.items():
        curves.append(Curve("overhead", name, "mix", "per cent of what was asked", xs, tuple(ys)))
    return Outcome(tuple(figures), tuple(curves), *_judged(wasted))


def _judged(wasted: dict[str, list[float]]) -> tuple[Standing, str]:
    slub_below_slab = sum(b <= a for a, b in zip(wasted["SLAB"], wasted["SLUB"], strict=True))
    slob_least = sum(
        o <= min(a, b) for a, b, o in zip(wasted["SLAB"], wasted["SLUB"], wasted["SLOB"], strict=True)
    )
    rows = "; ".join(
        f"{mix.name}: " + ", ".join(f"{name} {ys[n]:.0f}" for name, ys in wasted.items())
        for n, mix in enumerate(MIXES)
    )
    why = (
        f"Bytes beyond those asked for, per cent: {rows}. Of {len(MIXES)} mixes, SLOB needs the least "
        f"in {slob_least}, and SLUB no more than SLAB in {slub_below_slab}. SLOB packs any size, and "
        "loses where natural alignment of powers of two tears holes behind its headers; SLUB keeps no queues "
        "of objects, but slabs of a higher order, and CPU lists of partial slabs."
    )
    if slob_least == len(MIXES) and slub_below_slab == len(MIXES):
        return Standing.CONFIRMED, why
    return (Standing.PARTLY if slob_least + slub_below_slab else Standing.NOT_CONFIRMED), why
