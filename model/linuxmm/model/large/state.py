"""The state of vmalloc space: areas, holes, addresses that wait for a flush, page tables, CPUs' blocks.

Linux: mm/vmalloc.c.  Seed 2.1.3.1 (F035).  2.4 to 6.12.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, Generic, NamedTuple, TypeVar

from immutables import Map

from linuxmm.model.large import hole_tree
from linuxmm.model.large.hole_tree import Tree
from linuxmm.model.objects.pages import PageSource
from linuxmm.spec.vocabulary import PAGE_SHIFT

P = TypeVar("P", bound=PageSource)
PMD_SHIFT: Final = 21


class Refused(Enum):
    """Why there is no mapping; the kernel answers NULL (or an error pointer inside)."""

    EMPTY = "the size is 0"
    BEYOND_RAM = "more pages than the machine has"
    NO_ROOM = "no hole fits, even after a purge"
    NO_PAGES = "not all pages could be had"
    BAD_ADDRESS = "no area begins at this address"


@dataclass(frozen=True, slots=True)
class Area:
    """An area in use: [start, end) with its guard page.

    frames  pages that it maps, in order;  owned  they are given back with it
    order   of each block that the pages were taken as;  guard  whether the last page is one
    node    vmap node whose pool it returns to, -1 for none
    plain   a block, or a large mapping of vm_map_ram: without vm_struct
    """

    start: int
    end: int
    frames: tuple[int, ...] = ()
    owned: bool = False
    order: int = 0
    guard: bool = True
    node: int = -1
    plain: bool = False


class Waiting(NamedTuple):
    """Unmapped addresses that wait for a flush, and the pool that they may return to."""

    start: int
    end: int
    node: int = -1


class Cache(NamedTuple):
    """Where the search of 3.0 to 5.1 begins: behind an area, and what it knows of holes below."""

    area: int = -1
    hole: int = 0
    vstart: int = 0
    align: int = 0


class Block(NamedTuple):
    """A CPU's block of addresses: pages never handed out, and pages that came back."""

    start: int
    free: int
    dirty: int


_UNKNOWN: Final = Cache()
_NO_TABLE: Final[Map[int, int]] = Map()
_NO_BLOCKS: Final[Map[int, Block]] = Map()


@dataclass(frozen=True, slots=True)
class Space(Generic[P]):
    """vmalloc space of one machine.

    busy       areas in use, in the order of addresses
    tree       holes as a tree, from 5.2 on (before, they are what areas leave)
    lazy       what waits for a purge;  purging  what a purge has detached;  flushed  whether it has flushed
    drain_due  more waits than may: a worker is to purge
    table      page tables: page number -> frame;  stale  page numbers that a CPU may still translate
    pools      by vmap node: (start, end) of areas that are ready for the same size again, the next one first
    queues     by CPU: its blocks with free pages, in list order
    blocks     start -> block, all of them
    flushes    how often all CPUs were flushed
    """

    start: int
    end: int
    cpus: int
    ram: int
    pages: P
    block_pages: int
    tree: Tree
    pools: tuple[tuple[tuple[int, int], ...], ...]
    queues: tuple[tuple[int, ...], ...]
    busy: tuple[Area, ...] = ()
    lazy: tuple[Waiting, ...] = ()
    purging: tuple[Waiting, ...] = ()
    flushed: bool = False
    drain_due: bool = False
    limit: int = 0
    cache: Cache = _UNKNOWN
    table: Map[int, int] = _NO_TABLE
    stale: frozenset[int] = frozenset()
    blocks: Map[int, Block] = _NO_BLOCKS
    flushes: int = 0


class Rules(NamedTuple):
    """vmalloc of one kernel.

    find           (space, size, align, vstart, vend, cpu) -> space less the addresses, start or NOTHING, node
    give_back      addresses become free again
    let_go         what happens to addresses that were just unmapped
    gap            bytes that stay free between two areas beside the guard
    ioremap_align  (size, most) -> alignment
    over_limit     what happens when more waits than may
    returned       where purged addresses go
    fill           (space, order, count) -> space, frames: pages for a mapping
    """

    find: Callable[..., tuple[Space[P], int, int]]
    give_back: Callable[..., Space[P]]
    let_go: Callable[..., Space[P]]
    gap: int
    ioremap_align: Callable[[int, int], int]
    over_limit: Callable[..., Space[P]]
    returned: Callable[..., Space[P]]
    fill: Callable[..., tuple[Space[P], tuple[int, ...]]]
    uses_tree: bool
    nodes: int
    tries_huge: bool


def listed(space: Space[P]) -> tuple[tuple[int, int], ...]:
    """Every range that is no hole, in the order of addresses."""
    pooled = (each for pool in space.pools for each in pool)
    waiting = ((each.start, each.end) for each in (*space.lazy, *space.purging))
    return tuple(sorted([*((area.start, area.end) for area in space.busy), *waiting, *pooled]))


def gaps(space: Space[P]) -> tuple[tuple[int, int], ...]:
    """What the listed ranges leave of the space."""
    found = []
    at = space.start
    for start, end in listed(space):
        if at < start:
            found.append((at, start))
        at = end
    return (*found, (at, space.end)) if at < space.end else tuple(found)


def find_area(space: Space[P], address: int) -> Area | None:
    """The area in use that holds an address.

    Source    mm/vmalloc.c:__find_vmap_area; 2.6.28 to 6.12
    """
    return next((area for area in space.busy if area.start <= address < area.end), None)


def with_area(space: Space[P], area: Area) -> Space[P]:
    """The space with one more area in use."""
    return replace(space, busy=tuple(sorted((*space.busy, area), key=lambda each: each.start)))


def without_area(space: Space[P], area: Area) -> Space[P]:
    """The space with one area less; its addresses are neither used nor free until somebody says so."""
    return replace(space, busy=tuple(each for each in space.busy if each != area))


# ---- page tables -----------------------------------------------------------------------------------------


def map_pages(space: Space[P], start: int, frames: tuple[int, ...]) -> Space[P]:
    """Enter pages from an address on.

    Requires  nothing is mapped there
    """
    table = space.table
    for number, frame in enumerate(frames):
        table = table.set((start >> PAGE_SHIFT) + number, frame)
    return replace(space, table=table)


def unmap_pages(space: Space[P], start: int, end: int) -> Space[P]:
    """Clear the entries of a range; a CPU may go on translating what was there until it is flushed."""
    table = space.table
    gone = [page for page in range(start >> PAGE_SHIFT, end >> PAGE_SHIFT) if page in table]
    for page in gone:
        table = table.delete(page)
    return replace(space, table=table, stale=space.stale.union(gone))


def flush(space: Space[P], start: int, end: int) -> Space[P]:
    """Flush the range from the TLBs of all CPUs.

    Source    flush_tlb_kernel_range
    """
    kept = frozenset(p for p in space.stale if not start >> PAGE_SHIFT <= p < end >> PAGE_SHIFT)
    return replace(space, stale=kept, flushes=space.flushes + 1)


def fresh_tree(start: int, end: int) -> Tree:
    """A tree with one hole."""
    return hole_tree.insert(hole_tree.empty_tree(), start, end)
