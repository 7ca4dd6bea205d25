"""vmalloc, vmap, ioremap: contiguous addresses for pages that need not be contiguous.

Linux: mm/vmalloc.c.  Seed 2.1.3.1 (F035).  2.4 to 6.12.
"""

import itertools
from dataclasses import replace
from functools import lru_cache
from typing import Any

from linuxmm.model.large import hole_tree, search
from linuxmm.model.large.search import purge_areas, purge_fragmented, unmapped
from linuxmm.model.large.state import (
    PMD_SHIFT,
    Area,
    P,
    Refused,
    Rules,
    Space,
    Waiting,
    find_area,
    fresh_tree,
    gaps,
    map_pages,
    with_area,
    without_area,
)
from linuxmm.model.objects.pages import NOTHING as NO_PAGE
from linuxmm.spec.arith import align_up
from linuxmm.spec.errors import ImpossibleProfile
from linuxmm.spec.kernel import Kernel, Version, behaviour
from linuxmm.spec.large.vmalloc import (
    BULK_MOST,
    NOTHING,
    apart,
    area_size,
    guard_kept,
    huge_shift,
    lazy_max_pages,
    reusable,
    vmap_nodes,
)
from linuxmm.spec.registry import verb
from linuxmm.spec.vocabulary import PAGE_SHIFT, PAGE_SIZE

REGISTERED = (search,)


@behaviour(
    "large.vmalloc-gap",
    since="2.4.0",
    until="2.6.27",
    features=("F035",),
    source="mm/vmalloc.c:__get_vm_area_node; read in 2.6.24",
)
def no_gap_on_list() -> int:
    """Bytes left between two areas beside the guard: none."""
    return 0


@behaviour(
    "large.vmalloc-gap",
    since="2.6.28",
    until="3.10",
    features=("F035",),
    source="mm/vmalloc.c:alloc_vmap_area; read in a kernel before 2.6.33, the last release from memory",
)
def one_page_gap() -> int:
    """Bytes left between two areas beside the guard: another page."""
    return PAGE_SIZE


@behaviour(
    "large.vmalloc-gap",
    since="3.11",
    features=("F035",),
    source="mm/vmalloc.c:alloc_vmap_area; read in 4.x, 6.1 and 6.12, the first release from memory",
)
def no_gap() -> int:
    """Bytes left between two areas beside the guard: none."""
    return 0


@behaviour(
    "large.vmalloc-fill",
    since="2.4.0",
    until="5.13",
    features=("F035",),
    source="mm/vmalloc.c:__vmalloc_area_node; read in 2.6.24, the last release from memory",
)
def fill_one_by_one(space: Space[P], order: int, count: int) -> tuple[Space[P], tuple[int, ...]]:
    """Blocks of an order, one after another, until there are enough pages or none is left."""
    frames: tuple[int, ...] = ()
    while len(frames) < count:
        pages, first = space.pages.take(order, -1)
        if first == NO_PAGE:
            break
        space = replace(space, pages=pages)
        frames += tuple(range(first, first + (1 << order)))
    return space, frames


@behaviour(
    "large.vmalloc-fill",
    since="5.14",
    features=("F035",),
    source="mm/vmalloc.c:vm_area_alloc_pages; read in 6.1 and 6.12, the first release from memory",
)
def fill_in_bulk(space: Space[P], order: int, count: int) -> tuple[Space[P], tuple[int, ...]]:
    """Single pages in bulks of at most 100; when a bulk falls short, the rest one by one."""
    frames: tuple[int, ...] = ()
    while order == 0 and len(frames) < count:
        asked = min(BULK_MOST, count - len(frames))
        space, got = fill_one_by_one(space, 0, asked)
        frames += got
        if len(got) < asked:
            break
    space, rest = fill_one_by_one(space, order, count - len(frames))
    return space, (*frames, *rest)


@behaviour(
    "large.vmalloc-huge",
    since="2.4.0",
    until="5.12",
    features=("F035",),
    source="mm/vmalloc.c:__vmalloc_node; read in 2.6.24, the last release from memory",
)
def never_huge() -> bool:
    """Whether a mapping may consist of huge pages."""
    return False


@behaviour(
    "large.vmalloc-huge",
    since="5.13",
    features=("F035",),
    source="mm/vmalloc.c:__vmalloc_node_range; read in 6.1 and 6.12, the first release from memory",
)
def may_be_huge() -> bool:
    """Whether a mapping may consist of huge pages."""
    return True


@lru_cache(maxsize=64)
def rules_for(kernel: Kernel, cpus: int = 1) -> Rules:
    """vmalloc of a kernel on a machine with so many possible CPUs."""

    def rule(name: str) -> Any:
        return kernel.behaviour(name).function

    return Rules(
        find=rule("large.vmalloc-find"),
        give_back=rule("large.vmalloc-give-back"),
        let_go=rule("large.vmalloc-let-go"),
        gap=rule("large.vmalloc-gap")(),
        ioremap_align=rule("large.ioremap-align"),
        over_limit=rule("large.vmalloc-over-limit"),
        returned=rule("large.vmalloc-returned"),
        fill=rule("large.vmalloc-fill"),
        uses_tree=kernel.version >= Version(5, 2),
        nodes=vmap_nodes(cpus) if kernel.version >= Version(6, 9) else 1,
        tries_huge=rule("large.vmalloc-huge")(),
    )


def empty_space(
    rules: Rules,
    start: int,
    end: int,
    pages: P,
    ram: int,
    cpus: int = 1,
    block_pages: int = 1024,
    limit: int | None = None,
) -> Space[P]:
    """A space without areas.

    ram    pages of the machine;  limit  pages that may wait for a purge, where lazy_max_pages is not meant
    Errors  ImpossibleProfile when the ends are no page boundaries
    """
    if start % PAGE_SIZE or end % PAGE_SIZE or not start < end:
        raise ImpossibleProfile(f"vmalloc space {start:#x}-{end:#x}: expected whole pages")
    tree = fresh_tree(start, end) if rules.uses_tree else hole_tree.empty_tree()
    pools: tuple[tuple[tuple[int, int], ...], ...] = ((),) * rules.nodes
    queues: tuple[tuple[int, ...], ...] = ((),) * cpus
    most = lazy_max_pages(cpus) if limit is None else limit
    return Space(start, end, cpus, ram, pages, block_pages, tree, pools, queues, limit=most)


@verb("F035", source="mm/vmalloc.c:alloc_vmap_area; 2.6.28 to 6.12")
def alloc_area(
    rules: Rules,
    space: Space[P],
    size: int,
    align: int,
    vstart: int,
    vend: int,
    cpu: int = 0,
    plain: bool = False,
    guard: bool = False,
) -> tuple[Space[P], Area | Refused]:
    """Addresses for an area, after one purge if need be.

    Requires  size is whole pages and above 0; align is a power of two
    Refuses   NO_ROOM
    """
    space, start, node = rules.find(rules, space, size, align, vstart, vend, cpu)
    if start == NOTHING:
        space = purge_areas(rules, purge_fragmented(rules, space), True)
        space, start, node = rules.find(rules, space, size, align, vstart, vend, cpu)
    if start == NOTHING:
        return space, Refused.NO_ROOM
    area = Area(start, start + size, guard=guard, node=node, plain=plain)
    return with_area(space, area), area


@verb("F035", source="mm/vmalloc.c:__get_vm_area_node; 2.4 to 6.12")
def get_vm_area(
    rules: Rules,
    space: Space[P],
    size: int,
    *,
    align: int = PAGE_SIZE,
    guard: bool = True,
    ioremap: bool = False,
    most_shift: int = 30,
    vstart: int | None = None,
    vend: int | None = None,
    cpu: int = 0,
) -> tuple[Space[P], Area | Refused]:
    """Addresses for `size` bytes and a guard page.

    ioremap     device memory: aligned to its size, up to `most_shift`
    vstart, vend  part of the space to choose from
    Refuses     EMPTY, NO_ROOM
    """
    if align_up(size, PAGE_SIZE) == 0:
        return space, Refused.EMPTY
    if ioremap:
        align = rules.ioremap_align(align_up(size, PAGE_SIZE), most_shift)
    low = space.start if vstart is None else vstart
    high = space.end if vend is None else vend
    return alloc_area(rules, space, area_size(size, guard), align, low, high, cpu, False, guard)


@verb("F035", source="mm/vmalloc.c:__vmalloc_node_range; 2.4 to 6.12")
def vmalloc(
    rules: Rules,
    space: Space[P],
    size: int,
    *,
    align: int = PAGE_SIZE,
    huge: bool = False,
    nodes: int = 1,
    anywhere: bool = True,
    vstart: int | None = None,
    vend: int | None = None,
    cpu: int = 0,
) -> tuple[Space[P], Area | Refused]:
    """Map fresh pages at contiguous addresses.

    huge      VM_ALLOW_HUGE_VMAP: 2 MiB pages if each node gets as many bytes; 4 KiB if not, or if it fails
    Ensures   all pages are there and mapped in order, or nothing changed but purges
    Refuses   EMPTY, BEYOND_RAM, NO_ROOM, NO_PAGES
    """
    if size <= 0:
        return space, Refused.EMPTY
    if align_up(size, PAGE_SIZE) >> PAGE_SHIFT > space.ram:
        return space, Refused.BEYOND_RAM
    shift = huge_shift(size, nodes, anywhere, PMD_SHIFT) if huge and rules.tries_huge else PAGE_SHIFT
    refused = Refused.NO_ROOM
    for attempt in (shift, PAGE_SHIFT)[: 1 if shift == PAGE_SHIFT else 2]:
        rounded = align_up(size, 1 << attempt)
        space, area = get_vm_area(
            rules, space, rounded, align=max(align, 1 << attempt), vstart=vstart, vend=vend, cpu=cpu
        )
        if isinstance(area, Refused):
            refused = area
            continue
        order = attempt - PAGE_SHIFT
        space, frames = rules.fill(space, order, rounded >> PAGE_SHIFT)
        held = replace(area, frames=frames, owned=True, order=order)
        space = with_area(without_area(space, area), held)
        if len(frames) == rounded >> PAGE_SHIFT:
            return map_pages(space, area.start, frames), held
        space, _ = vfree(rules, space, area.start)
        refused = Refused.NO_PAGES
    return space, refused


@verb("F035", source="mm/vmalloc.c:vmap; 2.4 to 6.12")
def vmap(
    rules: Rules, space: Space[P], frames: tuple[int, ...], cpu: int = 0
) -> tuple[Space[P], Area | Refused]:
    """Map pages that the caller has; it keeps them.

    Refuses   EMPTY, BEYOND_RAM, NO_ROOM
    """
    if len(frames) > space.ram:
        return space, Refused.BEYOND_RAM
    space, area = get_vm_area(rules, space, len(frames) << PAGE_SHIFT, cpu=cpu)
    if isinstance(area, Refused):
        return space, area
    mapped = replace(area, frames=frames)
    return map_pages(with_area(without_area(space, area), mapped), area.start, frames), mapped


@verb("F035", source="mm/vmalloc.c:remove_vm_area; 2.4 to 6.12")
def vunmap(rules: Rules, space: Space[P], address: int) -> tuple[Space[P], Refused | None]:
    """Take a mapping away; its pages stay with the caller.

    Ensures   nothing for address 0
    Refuses   BAD_ADDRESS, which the kernel warns of
    """
    if address == 0:
        return space, None
    area = find_area(space, address)
    if area is None or area.plain or area.start != address:
        return space, Refused.BAD_ADDRESS
    space = without_area(space, area)
    return unmapped(rules, space, Waiting(area.start, area.end, area.node)), None


@verb("F035", source="mm/vmalloc.c:vfree; 2.4 to 6.12")
def vfree(rules: Rules, space: Space[P], address: int) -> tuple[Space[P], Refused | None]:
    """Take a mapping away and give its pages back, one by one, once it is unmapped.

    Refuses   BAD_ADDRESS, which the kernel warns of
    """
    area = find_area(space, address)
    space, refused = vunmap(rules, space, address)
    if refused is None and area is not None and area.owned:
        for frame in area.frames:
            space = replace(space, pages=space.pages.give(frame, 0))
    return space, refused


@verb("F035", source="mm/vmalloc.c:vm_unmap_aliases, drain_vmap_area_work; 2.6.28 to 6.12")
def drain(rules: Rules, space: Space[P]) -> Space[P]:
    """What the worker does, or somebody who needs no stale translation to be left: a purge."""
    return purge_areas(rules, space, False)


def broken(rules: Rules, space: Space[P]) -> tuple[str, ...]:
    """The clauses that a state breaks."""
    found: list[str] = []
    areas = sorted(
        [
            *((a.start, a.end) for a in space.busy),
            *((each.start, each.end) for each in (*space.lazy, *space.purging)),
            *(each for pool in space.pools for each in pool),
        ]
    )
    if not all(apart(lower[1], upper[0]) for lower, upper in itertools.pairwise(areas)):
        found.append("large.vmalloc.disjoint")
    for area in space.busy:
        mapped = [p for p in range(area.start >> PAGE_SHIFT, area.end >> PAGE_SHIFT) if p in space.table]
        if area.guard and mapped and not guard_kept(area.end, mapped[-1] + 1 << PAGE_SHIFT):
            found.append("large.vmalloc.guard")
        if area.frames and tuple(space.table[p] for p in mapped) != area.frames:
            found.append("large.vmalloc.pages")
    free = hole_tree.holes(space.tree) if rules.uses_tree else gaps(space)
    pooled = tuple(each for pool in space.pools for each in pool)
    for page in space.stale:
        held = any(start <= page << PAGE_SHIFT < end for start, end in (*free, *pooled))
        if not reusable(held, True):
            found.append("large.vmalloc.flushed")
    edges = sorted([*areas, *free])
    whole = bool(edges) and edges[0][0] == space.start and edges[-1][1] == space.end
    if not whole or any(a[1] != b[0] for a, b in itertools.pairwise(edges)):
        found.append("large.vmalloc.tiled")
    return tuple(sorted({*found, *(text.split(" ")[0].rstrip(":") for text in hole_tree.broken(space.tree))}))
