"""SLAB's formulas: order and management of a slab, colours, and the sizes of its queues.

A slab needs an index per object to link the free ones.  Before 3.13 these follow a struct slab of 48 bytes,
and each has four; since 4.6 they are bytes, and stand in a free object, behind the objects, or elsewhere.

Linux: mm/slab.c.  Seed 2.1.2.1 (F032).  2.6.12 to 6.7; the layouts of 3.13 to 4.5 are not described.
"""

from typing import Final, NamedTuple

from linuxmm.spec.arith import align_up
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.objects.sizes import PAGE_SIZE, SLAB_LEAST, get_order, kmalloc_class
from linuxmm.spec.registry import formula

STRUCT_SLAB: Final = 48
BUFCTL: Final = 4
MOST_BYTE_INDEXED: Final = 255
LEAST_OBJECT: Final = 16
IN_FREE_OBJECT: Final = 0
"""The indices stand in a free object: no bytes are lost (CFLGS_OBJFREELIST_SLAB)."""
OFF_SLAB: Final = 1
ON_SLAB: Final = 2
ALIEN_LIMIT: Final = 12
POINTER: Final = 8
ARRAY_HEADER: Final = 16
ALIEN_HEADER: Final = 24


class SlabLayout(NamedTuple):
    """How the slabs of a cache are laid out.

    objects    of each slab; 0 when no order will do
    left       bytes of the slab that neither objects nor management use
    placement  IN_FREE_OBJECT, OFF_SLAB or ON_SLAB
    management bytes of management, wherever they stand
    """

    order: int
    objects: int
    left: int
    placement: int
    management: int


NO_LAYOUT: Final = SlabLayout(0, 0, 0, ON_SLAB, 0)


@formula("F032", source="mm/slab.c:slab_mgmt_size; 2.6.20")
def struct_slab_bytes(objects: int, align: int) -> int:
    """Bytes of a slab's management with a struct slab, rounded up to the alignment of the objects."""
    return align_up(STRUCT_SLAB + objects * BUFCTL, align)


@formula("F032", source="mm/slab.c:cache_estimate; 2.6.20")
def estimate_with_struct(order: int, size: int, align: int, off_slab: bool) -> tuple[int, int]:
    """Objects of a slab and bytes left over, with a struct slab.

    Ensures   objects * size + management + left == bytes of the slab (management 0 off slab)
    """
    slab = PAGE_SIZE << order
    if off_slab:
        return slab // size, slab % size
    objects = (slab - STRUCT_SLAB) // (size + BUFCTL)
    if struct_slab_bytes(objects, align) + objects * size > slab:
        objects -= 1
    return objects, slab - objects * size - struct_slab_bytes(objects, align)


@formula("F032", source="mm/slab.c:cache_estimate; 4.6 to 6.7")
def estimate_with_bytes(order: int, size: int, on_slab: bool) -> tuple[int, int]:
    """Objects of a slab and bytes left over, with an index byte per object.

    Ensures   objects * (size, and 1 on slab) + left == bytes of the slab
    """
    slab = PAGE_SIZE << order
    each = size + 1 if on_slab else size
    return slab // each, slab % each


@formula("F032", source="mm/slab.c:calculate_slab_order")
def accepts(order: int, left: int, reclaimable: bool, break_order: int) -> bool:
    """Whether an order is taken: never a higher one than need be, and at most an eighth is wasted.

    break_order  slab_max_order: 1 with more than 32 MiB of memory, else 0
    """
    return reclaimable or order >= break_order or left * 8 <= PAGE_SIZE << order


@behaviour(
    "objects.slab-layout",
    since="2.6.12",
    until="3.12",
    features=("F032",),
    source="mm/slab.c:calculate_slab_order, kmem_cache_create; read in 2.6.20",
)
def layout_with_struct(
    size: int, object_size: int, align: int, reclaimable: bool, keeps: bool, break_order: int, top: int
) -> SlabLayout:
    """The layout of slabs managed by a struct slab: off slab from an eighth of a page on.

    keeps  a free object keeps its contents (a constructor, or SLAB_TYPESAFE_BY_RCU); not asked here
    top    the largest order of a block
    """
    off = size >= PAGE_SIZE // 8
    limit = (size - STRUCT_SLAB) // BUFCTL
    found = NO_LAYOUT
    for order in range(top + 1):
        objects, left = estimate_with_struct(order, size, align, off)
        if objects == 0:
            continue
        if off and objects > limit:
            break
        management = STRUCT_SLAB + objects * BUFCTL if off else struct_slab_bytes(objects, align)
        found = SlabLayout(order, objects, left, OFF_SLAB if off else ON_SLAB, management)
        if accepts(order, left, reclaimable, break_order):
            break
    if off and found.objects and found.left >= struct_slab_bytes(found.objects, align):
        room = struct_slab_bytes(found.objects, align)
        return found._replace(left=found.left - room, placement=ON_SLAB, management=room)
    return found


@behaviour(
    "objects.slab-layout",
    since="4.6",
    until="6.7",
    features=("F032",),
    source="mm/slab.c:set_objfreelist_slab_cache, set_off_slab_cache, set_on_slab_cache; 6.1",
)
def layout_with_bytes(
    size: int, object_size: int, align: int, reclaimable: bool, keeps: bool, break_order: int, top: int
) -> SlabLayout:
    """The layout of slabs with index bytes: in a free object if they fit there, off slab if that is worth it.

    Requires  size >= LEAST_OBJECT
    """
    inside = _order_of(size, IN_FREE_OBJECT, reclaimable, break_order, top)
    if not keeps and 0 < inside.objects <= object_size:
        return inside
    outside = _order_of(size, OFF_SLAB, reclaimable, break_order, top)
    if outside.objects and outside.left < outside.objects:
        return outside
    return _order_of(size, ON_SLAB, reclaimable, break_order, top)


def _order_of(size: int, placement: int, reclaimable: bool, break_order: int, top: int) -> SlabLayout:
    """The first order that is acceptable, else the last possible one."""
    found = NO_LAYOUT
    for order in range(top + 1):
        objects, left = estimate_with_bytes(order, size, placement == ON_SLAB)
        if objects == 0:
            continue
        if objects > MOST_BYTE_INDEXED:
            break
        if placement == OFF_SLAB and kmalloc_class(objects, SLAB_LEAST) > size // 2:
            continue
        found = SlabLayout(order, objects, left, placement, objects)
        if accepts(order, left, reclaimable, break_order):
            break
    return found


@formula("F032", source="mm/slab.c:kmem_cache_create")
def colours_of(left: int, colour_off: int) -> int:
    """How many different places the first object of a slab can have.

    colour_off  a cache line, or the alignment if that is larger
    """
    return left // colour_off


@formula("F032", source="mm/slab.c:cache_grow_begin")
def next_colour(colour: int, colours: int) -> int:
    """The colour of the node's next slab after one of `colour`.

    Ensures   0 <= result < max(colours, 1)
    """
    return colour + 1 if colour + 1 < colours else 0


DEBUG_LIMIT: Final = 32
"""With CONFIG_DEBUG_SLAB no array holds more objects."""


@formula("F032", source="mm/slab.c:enable_cpucache; 2.6.20 to 6.7")
def array_limit(size: int) -> int:
    """Objects that a CPU's array holds at most."""
    if size > 131072:
        return 1
    return 8 if size > PAGE_SIZE else 24 if size > 1024 else 54 if size > 256 else 120


@formula("F032", source="mm/slab.c:enable_cpucache")
def batch_count(limit: int) -> int:
    """Objects that move between an array and what is behind it at once."""
    return (limit + 1) // 2


@formula("F032", source="mm/slab.c:enable_cpucache, setup_kmem_cache_node")
def shared_limit(size: int, cpus: int) -> int:
    """Objects that a node's shared array holds at most; 0 where there is none."""
    return 8 * batch_count(array_limit(size)) if size <= PAGE_SIZE and cpus > 1 else 0


@formula("F032", source="mm/slab.c:alloc_alien_cache")
def alien_limit(limit: int) -> int:
    """Objects that a node's array for another node holds at most; limit: of a CPU's array."""
    return ALIEN_LIMIT if limit > 1 else limit


@formula("F032", source="mm/slab.c:do_tune_cpucache")
def free_limit(cpus_of_node: int, batch: int, objects: int) -> int:
    """Free objects that a node keeps on its slabs before it gives back an empty one."""
    return (1 + cpus_of_node) * batch + objects


@formula("F032", source="mm/slab.c:alloc_alien_cache, struct alien_cache; 4.0 to 6.7")
def alien_bytes(nodes: int, limit: int) -> int:
    """Bytes of one cache's arrays for objects of other nodes: they grow with the square of the nodes.

    Ensures   0 on one node
    """
    if nodes <= 1:
        return 0
    return nodes * (nodes * POINTER + (nodes - 1) * (ALIEN_HEADER + alien_limit(limit) * POINTER))


@formula("F032", source="mm/slab.c:enable_cpucache, setup_kmem_cache_node; struct array_cache")
def queue_bytes(size: int, nodes: int, cpus: int) -> int:
    """Bytes of all queues of one cache of SLAB: arrays of CPUs, shared arrays, arrays for other nodes."""
    limit = array_limit(size)
    shared = shared_limit(size, cpus)
    arrays = cpus * (ARRAY_HEADER + limit * POINTER)
    between = nodes * (ARRAY_HEADER + shared * POINTER) if shared else 0
    return arrays + between + alien_bytes(nodes, limit)


@formula("F032", "F033", source="mm/slab.c:kmem_list3; mm/slub.c:kmem_cache_node, kmem_cache_cpu; 6.1")
def slub_queue_bytes(nodes: int, cpus: int) -> int:
    """Bytes of the same for one cache of SLUB: records of CPUs and nodes, in which no object waits."""
    return cpus * 32 + nodes * (64 + POINTER)


@formula("F032", source="mm/slab.c:cache_reap, drain_array")
def reaped_from_array(limit: int, available: int) -> int:
    """Objects that the periodic reaper takes from an array that was not used since its last visit.

    Ensures   result <= available
    """
    wanted = (limit + 4) // 5
    return wanted if wanted <= available else (available + 1) // 2


@formula("F032", source="mm/slab.c:cache_reap")
def reaped_slabs(limit: int, objects: int) -> int:
    """Empty slabs that the periodic reaper gives back; limit: free_limit.

    Requires  objects > 0
    """
    return (limit + 5 * objects - 1) // (5 * objects)


@formula("F032", source="mm/slab.c:calculate_slab_order; 4.6 to 6.7")
def off_slab_bytes(objects: int) -> int:
    """Bytes that index bytes take where they stand off slab: a class of kmalloc."""
    return kmalloc_class(objects, SLAB_LEAST) if objects <= PAGE_SIZE else PAGE_SIZE << get_order(objects)
