"""Hold a cache of SLAB, as /proc/slabinfo shows it, against the formulas of its slabs and of its arrays.

Linux: mm/slab.c:calculate_slab_order, enable_cpucache, get_slabinfo.  Seed 2.1.2.1 (F032).
"""

from itertools import product
from typing import Final

from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.invariant import clause
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.objects.sizes import PAGE_SIZE
from linuxmm.spec.objects.slab import DEBUG_LIMIT, SlabLayout, array_limit, batch_count
from linuxmm.spec.verdict import Judgement

LAYOUT: Final = clause(
    "objects.slab.layout",
    "The slabs of a cache of SLAB have an order, and so many objects, as the objects' size asks for.",
    features=("F032",),
    source="mm/slab.c:calculate_slab_order, set_objfreelist_slab_cache",
    seed="2.1.2.1",
).id
ARRAYS: Final = clause(
    "objects.slab.arrays",
    "Arrays of CPUs hold as many objects as their size says, and move half of them at once.",
    features=("F032",),
    source="mm/slab.c:enable_cpucache",
    seed="2.1.2.1",
).id
RED_BYTES: Final = 24
"""Bytes that red words and the last user take of an object's slot."""
SHARED: Final = 8
TOP_ORDER: Final = 10


def judge_slab_cache(
    judgement: Judgement,
    where: str,
    kernel: Kernel,
    slab: tuple[int, int, int],
    tunables: tuple[int, ...],
    cpus: int,
) -> None:
    """Compare (bytes, objects and pages of a slab) and (limit, batchcount, shared) with the formulas.

    A cache may have asked for a layout of its own (a constructor, reclaimable pages, red words: the file does
    not tell): what any such cache may have is permitted.  Of kernels whose layouts are not described
    nothing is judged.
    """
    size, objects, pages = slab
    try:
        found = {layout for layout in layouts(kernel, size) if layout[0]}
    except Unmodelled as error:
        judgement.gap(f"slabs of SLAB: {error}")
        return
    right = (objects, pages) in found
    judgement.require(
        LAYOUT, right, f"{where}, size {size}: {objects} objects in {pages} pages", str(sorted(found)), where
    )
    shared = SHARED if size <= PAGE_SIZE and cpus > 1 else 0
    limits = {array_limit(size), min(array_limit(size), DEBUG_LIMIT)}
    permitted = sorted((limit, batch_count(limit), shared) for limit in limits)
    judgement.require(
        ARRAYS, tunables in permitted, f"{where}, size {size}: {tunables}", f"one of {permitted}", where
    )


def layouts(kernel: Kernel, size: int) -> set[tuple[int, int]]:
    """(objects, pages) that slabs of objects of one size may have, whatever else their cache asks for."""
    layout = kernel.behaviour("objects.slab-layout").function
    found: set[tuple[int, int]] = set()
    for reclaimable, keeps, red, break_order in product((False, True), (False, True), (0, RED_BYTES), (0, 1)):
        each = layout(size, max(size - red, 1), 8, reclaimable, keeps, break_order, TOP_ORDER)
        if not isinstance(each, SlabLayout):
            raise TypeError(f"{each!r} is no layout")
        found.add((each.objects, 1 << each.order))
    return found
