"""Where an area goes: the searches of four generations, and what it takes to free addresses again.

Linux: mm/vmalloc.c:alloc_vmap_area, __get_vm_area_node.  Seed 2.1.3.1 (F035).  2.4 to 6.12.
"""

from dataclasses import replace

from linuxmm.model.large import hole_tree
from linuxmm.model.large.state import (
    Area,
    Cache,
    P,
    Rules,
    Space,
    Waiting,
    find_area,
    flush,
    listed,
    unmap_pages,
    without_area,
)
from linuxmm.spec.arith import align_up
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.large.vmalloc import NOTHING, POOL_SIZES
from linuxmm.spec.vocabulary import PAGE_SHIFT, PAGE_SIZE

Found = tuple[Space[P], int, int]


@behaviour(
    "large.vmalloc-find",
    since="2.4.0",
    until="2.6.27",
    features=("F035",),
    source="mm/vmalloc.c:__get_vm_area_node; read in 2.6.24",
)
def find_on_list(
    rules: Rules, space: Space[P], size: int, align: int, vstart: int, vend: int, cpu: int
) -> Found[P]:
    """The first hole of the list of areas; above the last one the end is looked at only after a step.

    Ensures   no area of the list overlaps [address, address + size); behind an area that begins below an
              aligned address it may lie beyond `vend`, which only mappings of device memory meet
    """
    at = align_up(vstart, align)
    for start, end in listed(space):
        if start < at:
            at = align_up(end, align) if end >= at else at
            continue
        if at + size <= start:
            break
        at = align_up(end, align)
        if at > vend - size:
            return space, NOTHING, -1
    return space, at, -1


@behaviour(
    "large.vmalloc-find",
    since="2.6.28",
    until="2.6.39",
    features=("F035",),
    source="mm/vmalloc.c:alloc_vmap_area; read in a kernel before 2.6.33, the last release from memory",
)
def find_in_areas(
    rules: Rules, space: Space[P], size: int, align: int, vstart: int, vend: int, cpu: int
) -> Found[P]:
    """The first hole; the tree of areas only shortens the way to where the search begins."""
    at = align_up(vstart, align)
    for start, end in listed(space):
        if end >= at:
            if at + size <= start or at + size > vend:
                break
            at = align_up(end + rules.gap, align)
    return space, at if at + size <= vend else NOTHING, -1


@behaviour(
    "large.vmalloc-find",
    since="3.0",
    until="5.1",
    features=("F035",),
    source="mm/vmalloc.c:alloc_vmap_area; read in 3.x to 4.x, the first and the last release from memory",
)
def find_from_cache(
    rules: Rules, space: Space[P], size: int, align: int, vstart: int, vend: int, cpu: int
) -> Found[P]:
    """From behind the area that was handed out last, unless a hole below may do."""
    areas = listed(space)
    cache = space.cache
    if cache.area < 0 or size < cache.hole or vstart < cache.vstart or align < cache.align:
        cache = Cache()
    first = next((number for number, area in enumerate(areas) if area[0] == cache.area), NOTHING)
    at = align_up(areas[first][1] + rules.gap, align) if first >= 0 else align_up(vstart, align)
    hole = cache.hole
    if first < 0 or at < vstart:
        at, hole = align_up(vstart, align), 0
        first = next((number for number, area in enumerate(areas) if area[1] >= at), len(areas))
    while first < len(areas) and at + size > areas[first][0] and at + size <= vend:
        if at + hole < areas[first][0]:
            hole = areas[first][0] - at
        at = align_up(areas[first][1] + rules.gap, align)
        first += 1
    failed = at + size > vend
    cache = Cache(cache.area if failed else at, hole, vstart, align)
    return replace(space, cache=cache), NOTHING if failed else at, -1


@behaviour(
    "large.vmalloc-find",
    since="5.2",
    until="6.8",
    features=("F035",),
    source="mm/vmalloc.c:__alloc_vmap_area; read in 6.1, the first and the last release from memory",
)
def find_in_tree(
    rules: Rules, space: Space[P], size: int, align: int, vstart: int, vend: int, cpu: int
) -> Found[P]:
    """A hole of the tree of holes; the addresses leave it."""
    tree, at = hole_tree.take(space.tree, size, align, vstart, vend)
    return replace(space, tree=tree), at, -1


@behaviour(
    "large.vmalloc-find",
    since="6.9",
    features=("F035",),
    source="mm/vmalloc.c:node_alloc, node_pool_del_va; read in 6.12, the first release from memory",
)
def find_in_pool(
    rules: Rules, space: Space[P], size: int, align: int, vstart: int, vend: int, cpu: int
) -> Found[P]:
    """An area of the same size from the pool of the CPU's vmap node, else a hole of the tree.

    An area that is not aligned goes to the end of its pool, and no other one is looked at.
    """
    if (vstart, vend) != (space.start, space.end) or rules.nodes == 1:
        return find_in_tree(rules, space, size, align, vstart, vend, cpu)
    node = cpu % rules.nodes
    pool = space.pools[node]
    first = next((each for each in pool if each[1] - each[0] == size), None)
    if first is not None:
        rest = tuple(each for each in pool if each != first)
        if first[0] % align == 0:
            return _with_pool(space, node, rest), first[0], node
        space = _with_pool(space, node, (*rest, first))
    space, at, _ = find_in_tree(rules, space, size, align, vstart, vend, cpu)
    return space, at, node


def _with_pool(space: Space[P], node: int, pool: tuple[tuple[int, int], ...]) -> Space[P]:
    return replace(space, pools=(*space.pools[:node], pool, *space.pools[node + 1 :]))


@behaviour(
    "large.vmalloc-give-back",
    since="2.4.0",
    until="2.6.39",
    features=("F035",),
    source="mm/vmalloc.c:__remove_vm_area, __free_vmap_area; read in 2.6.24",
)
def free_by_absence(space: Space[P], start: int, end: int) -> Space[P]:
    """What is on no list is free."""
    return space


@behaviour(
    "large.vmalloc-give-back",
    since="3.0",
    until="5.1",
    features=("F035",),
    source="mm/vmalloc.c:__free_vmap_area; read in 3.x to 4.x, the first and the last release from memory",
)
def free_before_cache(space: Space[P], start: int, end: int) -> Space[P]:
    """As before; the search goes back to the area before this one if it would begin above.

    Requires  the range is on no list any more
    """
    cache = space.cache
    if cache.area < 0:
        return space
    if end < cache.vstart:
        return replace(space, cache=cache._replace(area=-1))
    if start <= cache.area:
        before = [area[0] for area in listed(space) if area[0] < start]
        return replace(space, cache=cache._replace(area=before[-1] if before else -1))
    return space


@behaviour(
    "large.vmalloc-give-back",
    since="5.2",
    features=("F035",),
    source="mm/vmalloc.c:merge_or_add_vmap_area_augment; read in 6.1 and 6.12, the first release from memory",
)
def free_into_tree(space: Space[P], start: int, end: int) -> Space[P]:
    """The range joins the holes that it touches."""
    return replace(space, tree=hole_tree.merge_or_add(space.tree, start, end))


@behaviour(
    "large.vmalloc-let-go",
    since="2.4.0",
    until="2.6.27",
    features=("F035",),
    source="mm/vmalloc.c:unmap_vm_area; read in 2.6.24",
)
def let_go_flushed(rules: Rules, space: Space[P], waiting: Waiting) -> Space[P]:
    """Every CPU is flushed, and the addresses are free at once."""
    return rules.give_back(flush(space, waiting.start, waiting.end), waiting.start, waiting.end)


@behaviour(
    "large.vmalloc-let-go",
    since="2.6.28",
    features=("F035",),
    source="mm/vmalloc.c:free_vmap_area_noflush; read in 6.1 and 6.12",
)
def let_go_lazily(rules: Rules, space: Space[P], waiting: Waiting) -> Space[P]:
    """The addresses wait for a purge; it is due when more wait than may."""
    space = replace(space, lazy=tuple(sorted((*space.lazy, waiting))))
    pages = sum(each.end - each.start for each in (*space.lazy, *space.purging)) >> PAGE_SHIFT
    return rules.over_limit(rules, space) if pages > space.limit else space


@behaviour(
    "large.vmalloc-over-limit",
    since="2.4.0",
    until="5.17",
    features=("F035",),
    source="mm/vmalloc.c:try_purge_vmap_area_lazy; read in 3.x to 4.x, the last release from memory",
)
def purge_at_once(rules: Rules, space: Space[P]) -> Space[P]:
    """The caller purges, unless a purge is going on."""
    return space if space.purging else purge_areas(rules, space, False)


@behaviour(
    "large.vmalloc-over-limit",
    since="5.18",
    features=("F035",),
    source="mm/vmalloc.c:drain_vmap_area_work; read in 6.1 and 6.12, the first release from memory",
)
def purge_by_worker(rules: Rules, space: Space[P]) -> Space[P]:
    """A worker will purge."""
    return replace(space, drain_due=True)


@behaviour(
    "large.vmalloc-returned",
    since="2.4.0",
    until="6.8",
    features=("F035",),
    source="mm/vmalloc.c:__purge_vmap_area_lazy; read in 6.1",
)
def return_to_space(rules: Rules, space: Space[P], waiting: Waiting, full: bool) -> Space[P]:
    """Purged addresses are free."""
    return rules.give_back(space, waiting.start, waiting.end)


@behaviour(
    "large.vmalloc-returned",
    since="6.9",
    features=("F035",),
    source="mm/vmalloc.c:purge_vmap_node; read in 6.12, the first release from memory",
)
def return_to_pool(rules: Rules, space: Space[P], waiting: Waiting, full: bool) -> Space[P]:
    """Up to 256 pages go to the pool of their node, in front; the rest is free.

    full  the purge is one for want of room: pools are emptied and not filled
    """
    if waiting.node < 0 or full or waiting.end - waiting.start > POOL_SIZES * PAGE_SIZE:
        return rules.give_back(space, waiting.start, waiting.end)
    pool = ((waiting.start, waiting.end), *space.pools[waiting.node])
    return _with_pool(space, waiting.node, pool)


def decay_pools(rules: Rules, space: Space[P], full: bool) -> Space[P]:
    """Give a quarter of the areas of each size back from each pool, or everything.

    Source    mm/vmalloc.c:decay_va_pool_node; 6.9 to 6.12
    """
    for node, pool in enumerate(space.pools):
        for size in sorted({end - start for start, end in pool}):
            alike = [each for each in pool if each[1] - each[0] == size]
            count = len(alike) if full else len(alike) // 4 or len(alike)
            for start, end in alike[:count]:
                rest = tuple(each for each in space.pools[node] if each != (start, end))
                space = rules.give_back(_with_pool(space, node, rest), start, end)
    return space


# ---- a purge, as the steps that other CPUs see -----------------------------------------------------------


def purge_begin(rules: Rules, space: Space[P], full: bool) -> Space[P]:
    """Detach what waits.

    Requires  no purge is going on: vmap_purge_lock
    """
    space = decay_pools(rules, space, full)
    return replace(space, purging=space.lazy, lazy=(), flushed=False, drain_due=False)


def purge_flush(space: Space[P]) -> Space[P]:
    """Flush every CPU over the whole range of what was detached."""
    if not space.purging:
        return replace(space, flushed=True)
    low, high = min(each.start for each in space.purging), max(each.end for each in space.purging)
    return replace(flush(space, low, high), flushed=True)


def purge_end(rules: Rules, space: Space[P], full: bool) -> Space[P]:
    """Give everything back that was detached.

    Requires  space.flushed
    """
    purging = space.purging
    for number, waiting in enumerate(purging):
        space = rules.returned(rules, replace(space, purging=purging[number + 1 :]), waiting, full)
    return replace(space, flushed=False)


def purge_areas(rules: Rules, space: Space[P], full: bool) -> Space[P]:
    """A whole purge, undisturbed.

    Source    mm/vmalloc.c:__purge_vmap_area_lazy; 2.6.28 to 6.12
    """
    return purge_end(rules, purge_flush(purge_begin(rules, space, full)), full)


def unmapped(rules: Rules, space: Space[P], waiting: Waiting) -> Space[P]:
    """Clear the entries of a range that is in use no more, and let its addresses go."""
    return rules.let_go(rules, unmap_pages(space, waiting.start, waiting.end), waiting)


# ---- blocks of CPUs that a purge takes -------------------------------------------------------------------


def with_queue(space: Space[P], cpu: int, queue: tuple[int, ...]) -> Space[P]:
    """The space with another list of blocks of a CPU."""
    return replace(space, queues=(*space.queues[:cpu], queue, *space.queues[cpu + 1 :]))


def free_block(rules: Rules, space: Space[P], area: Area) -> Space[P]:
    """Let the addresses of a whole block go."""
    space = without_area(replace(space, blocks=space.blocks.delete(area.start)), area)
    return rules.let_go(rules, space, Waiting(area.start, area.end, area.node))


def purge_fragmented(rules: Rules, space: Space[P]) -> Space[P]:
    """Let the blocks go of which everything handed out came back, though some was never handed out.

    Source    mm/vmalloc.c:purge_fragmented_blocks; 2.6.28 to 6.12
    """
    for cpu, queue in enumerate(space.queues):
        for start in queue:
            block = space.blocks[start]
            if block.free + block.dirty == space.block_pages and block.dirty != space.block_pages:
                area = find_area(space, start)
                if area is None:
                    raise ValueError(f"the block at {start:#x} has no area")
                rest = tuple(each for each in space.queues[cpu] if each != start)
                space = free_block(rules, with_queue(space, cpu, rest), area)
    return space
