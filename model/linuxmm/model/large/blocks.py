"""Small mappings that come and go quickly: each CPU carves them out of blocks of addresses of its own.

Linux: mm/vmalloc.c:vm_map_ram, vb_alloc, vb_free.  Seed 2.1.3.1 (F035).  2.6.28 to 6.12.
"""

from dataclasses import replace

from linuxmm.model.large.search import free_block, purge_areas, purge_fragmented, unmapped, with_queue
from linuxmm.model.large.state import (
    Block,
    P,
    Refused,
    Rules,
    Space,
    Waiting,
    find_area,
    flush,
    map_pages,
    unmap_pages,
    without_area,
)
from linuxmm.model.large.vmalloc import alloc_area
from linuxmm.spec.large.vmalloc import VMAP_MAX_ALLOC, block_counts, piece_pages
from linuxmm.spec.registry import verb
from linuxmm.spec.vocabulary import PAGE_SHIFT, PAGE_SIZE


@verb("F035", source="mm/vmalloc.c:vm_map_ram; 2.6.28 to 6.12")
def vm_map_ram(
    rules: Rules, space: Space[P], frames: tuple[int, ...], cpu: int = 0
) -> tuple[Space[P], int | Refused]:
    """Map pages that the caller has: up to 64 from a block of the CPU, more as an area without guard.

    Refuses   EMPTY, NO_ROOM
    """
    if not frames:
        return space, Refused.EMPTY
    if len(frames) <= min(VMAP_MAX_ALLOC, space.block_pages // 2):
        space, start = take_piece(rules, space, piece_pages(len(frames)), cpu)
        if isinstance(start, Refused):
            return space, start
        return map_pages(space, start, frames), start
    size = len(frames) << PAGE_SHIFT
    space, area = alloc_area(rules, space, size, PAGE_SIZE, space.start, space.end, cpu, True)
    if isinstance(area, Refused):
        return space, area
    return map_pages(space, area.start, frames), area.start


def take_piece(rules: Rules, space: Space[P], pages: int, cpu: int) -> tuple[Space[P], int | Refused]:
    """The next pages of the first block of a CPU that has so many left, else of a new block."""
    for start in space.queues[cpu]:
        block = space.blocks[start]
        if block.free >= pages:
            return _taken(space, cpu, block, pages)
    size = space.block_pages << PAGE_SHIFT
    space, area = alloc_area(rules, space, size, size, space.start, space.end, cpu, True)
    if isinstance(area, Refused):
        return space, area
    space = with_queue(space, cpu, (*space.queues[cpu], area.start))
    return _taken(space, cpu, Block(area.start, space.block_pages, 0), pages)


def _taken(space: Space[P], cpu: int, block: Block, pages: int) -> tuple[Space[P], int]:
    at = block.start + (space.block_pages - block.free << PAGE_SHIFT)
    block = block._replace(free=block.free - pages)
    space = replace(space, blocks=space.blocks.set(block.start, block))
    if block.free == 0:
        rest = tuple(start for start in space.queues[cpu] if start != block.start)
        space = with_queue(space, cpu, rest)
    return space, at


@verb("F035", source="mm/vmalloc.c:vm_unmap_ram; 2.6.28 to 6.12")
def vm_unmap_ram(rules: Rules, space: Space[P], address: int, count: int) -> Space[P]:
    """Take a mapping of vm_map_ram away.

    Requires  `count` pages were mapped at the address
    Ensures   a piece of a block is not handed out again; a block of which all came back waits for a purge
    """
    area = find_area(space, address)
    if area is None or not area.plain:
        raise ValueError(f"nothing of vm_map_ram at {address:#x}")
    if area.start not in space.blocks:
        return unmapped(rules, without_area(space, area), Waiting(area.start, area.end, area.node))
    space = unmap_pages(space, address, address + (count << PAGE_SHIFT))
    block = space.blocks[area.start]
    block = block._replace(dirty=block.dirty + piece_pages(count))
    if block.dirty == space.block_pages:
        return free_block(rules, space, area)
    return replace(space, blocks=space.blocks.set(area.start, block))


@verb("F035", source="mm/vmalloc.c:vm_unmap_aliases; 2.6.28 to 6.12")
def vm_unmap_aliases(rules: Rules, space: Space[P]) -> Space[P]:
    """Let no CPU translate anything that was unmapped: blocks that pieces came back to, and what waits."""
    low, high = _dirty_range(space)
    space = purge_areas(rules, purge_fragmented(rules, space), False)
    return flush(space, low, high) if low < high else space


def _dirty_range(space: Space[P]) -> tuple[int, int]:
    pages = [page << PAGE_SHIFT for page in space.stale]
    return (min(pages), max(pages) + PAGE_SIZE) if pages else (0, 0)


def broken_blocks(space: Space[P]) -> tuple[str, ...]:
    """Blocks whose counts do not add up, or that are not aligned to their size."""
    found = []
    for block in space.blocks.values():
        aligned = block.start % (space.block_pages << PAGE_SHIFT) == 0
        if not aligned or not block_counts(space.block_pages, block.free, block.dirty):
            found.append(f"large.vmalloc.block at {block.start:#x}")
        if (block.free > 0) != any(block.start in queue for queue in space.queues):
            found.append(f"large.vmalloc.block at {block.start:#x}: queue")
    return tuple(found)
