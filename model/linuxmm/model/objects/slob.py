"""SLOB: a first-fit heap in pages, kept on lists by the size of what they serve.

Lists are searched for a page with enough free units; in it the first block that suffices is cut.  The search
goes on next time where it succeeded: the page comes to the front of its list.  A page that becomes free as a
whole goes back at once.

Linux: mm/slob.c.  Seed 2.1.2.3 (F034).  2.6.23 to 6.3; the one circular list of 2.6.16 is not described.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Generic, NamedTuple, TypeVar

from immutables import Map

from linuxmm.model.objects.pages import NOTHING, PageSource
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.objects.sizes import PAGE_SHIFT, PAGE_SIZE, get_order
from linuxmm.spec.objects.slob import UNIT, UNITS, block_inside, block_ordered, fragment, units_of
from linuxmm.spec.registry import verb

P = TypeVar("P", bound=PageSource)
Block = tuple[int, int]
"""(start, length) of a free block in units."""
LISTS: Final = 3
HEADER: Final = 8
"""Bytes in front of an object of kmalloc: its alignment."""


class Rules(NamedTuple):
    """What SLOB of one kernel does in its own way: formulas of linuxmm.spec.objects.slob.

    list_of(size)          the list whose pages serve a request
    freed_list(size)       the list that a full page joins when a block comes back
    align_of(size, least)  alignment of an object of kmalloc
    """

    list_of: Callable[[int], int]
    freed_list: Callable[[int], int]
    align_of: Callable[[int, int], int]


@dataclass(frozen=True, slots=True)
class Slob(Generic[P]):
    """The heap.

    free    page -> its free blocks in the order of addresses; a full page has none
    lists   pages with free units, the next to be searched first
    large   first page -> order, of requests that got whole pages
    sizes   address -> bytes asked for, of objects of kmalloc: what their headers hold
    """

    pages: P
    free: Map[int, tuple[Block, ...]]
    lists: tuple[tuple[int, ...], ...]
    large: Map[int, int]
    sizes: Map[int, int]


def rules_for(kernel: Kernel) -> Rules:
    """The rules of a kernel."""
    names = ("objects.slob-lists", "objects.slob-freed-list", "objects.slob-kmalloc-align")
    functions = [kernel.behaviour(name).function for name in names]
    return Rules(*functions)  # type: ignore[arg-type]


def empty(pages: P) -> Slob[P]:
    """A heap without pages."""
    return Slob(pages, Map(), ((),) * LISTS, Map(), Map())


def cut(blocks: tuple[Block, ...], units: int, align: int, offset: int) -> tuple[tuple[Block, ...], int]:
    """Take `units` from the first block that suffices: what is left, and where they begin; else NOTHING.

    align   in units; the place `offset` units into what is taken is a multiple of it
    """
    for at, (start, length) in enumerate(blocks):
        skipped = fragment(start, align, offset)
        if length >= skipped + units:
            begin = start + skipped
            left = split(start, length, begin, units)
            return (*blocks[:at], *left, *blocks[at + 1 :]), begin
    return blocks, NOTHING


def split(start: int, length: int, begin: int, units: int) -> tuple[Block, ...]:
    """What is left of a block when `units` from `begin` on are taken.

    Requires  start <= begin and begin + units <= start + length
    """
    before = ((start, begin - start),) if begin > start else ()
    after = ((begin + units, start + length - begin - units),) if begin + units < start + length else ()
    return (*before, *after)


def join(before: Block, begin: int, units: int, after: Block) -> tuple[Block, ...]:
    """A block that comes back between two free ones, joined with those that it touches.

    Requires  end of before <= begin and begin + units <= start of after
    """
    kept: tuple[Block, ...] = (before,)
    if before[0] + before[1] == begin:
        begin, units, kept = before[0], before[1] + units, ()
    if begin + units == after[0]:
        return (*kept, (begin, units + after[1]))
    return (*kept, (begin, units), after)


def insert(blocks: tuple[Block, ...], begin: int, units: int) -> tuple[Block, ...]:
    """The free blocks with one more, in order and joined."""
    at = sum(1 for start, _ in blocks if start < begin)
    outside = (-2, 1), (UNITS + 1, 1)
    before = blocks[at - 1] if at else outside[0]
    after = blocks[at] if at < len(blocks) else outside[1]
    middle = tuple(block for block in join(before, begin, units, after) if block not in outside)
    return (*blocks[: max(at - 1, 0)], *middle, *blocks[at + 1 :])


@verb("F034", source="mm/slob.c:slob_alloc, slob_page_alloc")
def alloc(rules: Rules, heap: Slob[P], size: int, align: int = UNIT, offset: int = 0) -> tuple[Slob[P], int]:
    """An address of `size` bytes, or NOTHING when there is no page.

    align, offset  bytes: the address plus offset is a multiple of align, which is one of UNIT
    Requires  0 < size, and size with alignment fits a page
    """
    units, which = units_of(size), rules.list_of(size)
    for pfn in heap.lists[which]:
        blocks = heap.free[pfn]
        if sum(length for _, length in blocks) < units:
            continue
        left, begin = cut(blocks, units, align // UNIT, offset // UNIT)
        if begin != NOTHING:
            listed = heap.lists[which]
            if left:
                at = listed.index(pfn)
                listed = listed[at:] + listed[:at]
            else:
                listed = tuple(other for other in listed if other != pfn)
            heap = replace(heap, free=heap.free.set(pfn, left), lists=_with(heap.lists, which, listed))
            return heap, (pfn << PAGE_SHIFT) + begin * UNIT
    pages, pfn = heap.pages.take(0, -1)
    if pfn == NOTHING:
        return heap, NOTHING
    left, begin = cut(((0, UNITS),), units, align // UNIT, offset // UNIT)
    if begin == NOTHING:
        raise LinuxmmError(f"{size} bytes at {align} do not fit a page: SLOB gives them whole pages")
    listed = (pfn, *heap.lists[which]) if left else heap.lists[which]
    heap = replace(heap, pages=pages, free=heap.free.set(pfn, left), lists=_with(heap.lists, which, listed))
    return heap, (pfn << PAGE_SHIFT) + begin * UNIT


def _with(
    lists: tuple[tuple[int, ...], ...], at: int, listed: tuple[int, ...]
) -> tuple[tuple[int, ...], ...]:
    return (*lists[:at], listed, *lists[at + 1 :])


@verb("F034", source="mm/slob.c:slob_free")
def free(rules: Rules, heap: Slob[P], address: int, size: int) -> Slob[P]:
    """Take `size` bytes back.

    Requires  they were handed out together
    """
    pfn, begin, units = address >> PAGE_SHIFT, address % PAGE_SIZE // UNIT, units_of(size)
    blocks = heap.free[pfn]
    if sum(length for _, length in blocks) + units == UNITS:
        lists = tuple(tuple(other for other in listed if other != pfn) for listed in heap.lists)
        return replace(heap, pages=heap.pages.give(pfn, 0), free=heap.free.delete(pfn), lists=lists)
    lists = heap.lists
    if not blocks:
        which = rules.freed_list(size)
        lists = _with(lists, which, (pfn, *lists[which]))
    return replace(heap, free=heap.free.set(pfn, insert(blocks, begin, units)), lists=lists)


@verb("F034", source="mm/slob.c:__do_kmalloc_node")
def kmalloc(rules: Rules, heap: Slob[P], size: int) -> tuple[Slob[P], int]:
    """An object behind its header, or whole pages from a page less the header on.

    Requires  size > 0
    """
    if size < PAGE_SIZE - HEADER:
        heap, address = alloc(rules, heap, size + HEADER, rules.align_of(size, HEADER), HEADER)
        if address == NOTHING:
            return heap, NOTHING
        return replace(heap, sizes=heap.sizes.set(address + HEADER, size)), address + HEADER
    order = get_order(size)
    pages, pfn = heap.pages.take(order, -1)
    if pfn == NOTHING:
        return heap, NOTHING
    return replace(heap, pages=pages, large=heap.large.set(pfn, order)), pfn << PAGE_SHIFT


@verb("F034", source="mm/slob.c:kfree")
def kfree(rules: Rules, heap: Slob[P], address: int) -> Slob[P]:
    """Take an object of kmalloc back; its header tells how large it is."""
    if address in heap.sizes:
        size = heap.sizes[address]
        heap = replace(heap, sizes=heap.sizes.delete(address))
        return free(rules, heap, address - HEADER, size + HEADER)
    pfn = address >> PAGE_SHIFT
    return replace(heap, pages=heap.pages.give(pfn, heap.large[pfn]), large=heap.large.delete(pfn))


def broken(heap: Slob[P]) -> tuple[str, ...]:
    """The clauses that do not hold, each with its page."""
    found = []
    for pfn, blocks in heap.free.items():
        ends = [*(start for start, _ in blocks[1:]), UNITS + 1]
        if not all(block_inside(start, length, UNITS) for start, length in blocks):
            found.append(f"objects.slob.inside at {pfn}")
        if not all(block_ordered(*block, end) for block, end in zip(blocks, ends, strict=False)):
            found.append(f"objects.slob.ordered at {pfn}")
    return tuple(found)
