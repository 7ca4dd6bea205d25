"""Where object allocators get their pages: any source of aligned blocks.

Linux: mm/slub.c:alloc_slab_page, mm/slab.c:kmem_getpages, mm/slob.c:slob_new_pages.  Seed 2.1.2.
"""

from dataclasses import dataclass, replace
from typing import Final, Protocol, Self, TypeVar

from immutables import Map

from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.request import alloc_fast, alloc_min, free_pages
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.gfp import GFP_KERNEL
from linuxmm.spec.alloc.request import request

NOTHING: Final = -1


class PageSource(Protocol):
    """Blocks of 2**order pages, each handed out once until it comes back."""

    def take(self, order: int, node: int) -> tuple[Self, int]:
        """A block, aligned to its size, and the source after it; NOTHING when there is none."""

    def give(self, pfn: int, order: int) -> Self:
        """The source after a block came back."""


P = TypeVar("P", bound=PageSource)


def take_pages(pages: P, order: int, node: int) -> tuple[P, int]:
    """A block of a source: the primitive that object allocators know."""
    return pages.take(order, node)


def give_pages(pages: P, pfn: int, order: int) -> P:
    """A source after a block came back."""
    return pages.give(pfn, order)


@dataclass(frozen=True, slots=True)
class Heap:
    """A source that hands out the last block of a size that came back, or the lowest one never used.

    limit  pages that there are; held  pages handed out
    back   of each order, the blocks that came back, the last one last; no order without any
    """

    limit: int
    next: int = 0
    held: int = 0
    back: Map[int, tuple[int, ...]] = Map()  # noqa: RUF009 - immutable

    def take(self, order: int, node: int) -> tuple["Heap", int]:
        """A block of pages."""
        held = self.held + (1 << order)
        if back := self.back.get(order, ()):
            rest = self.back.set(order, back[:-1]) if back[1:] else self.back.delete(order)
            return replace(self, back=rest, held=held), back[-1]
        pfn = (self.next + (1 << order) - 1) >> order << order
        if pfn + (1 << order) > self.limit:
            return self, NOTHING
        return replace(self, next=pfn + (1 << order), held=held), pfn

    def give(self, pfn: int, order: int) -> "Heap":
        """Take a block back."""
        back = self.back.set(order, (*self.back.get(order, ()), pfn))
        return replace(self, back=back, held=self.held - (1 << order))


@dataclass(frozen=True, slots=True)
class BuddyPages:
    """The buddy allocator's model as a source; requests come from one CPU."""

    rules: Rules
    machine: Machine
    cpu: int = 0

    def take(self, order: int, node: int) -> tuple["BuddyPages", int]:
        """A block from the zones of GFP_KERNEL."""
        asked = request(order, GFP_KERNEL, cpu=self.cpu, node=max(node, 0))
        machine, pfn, _ = alloc_fast(self.rules, self.machine, asked)
        if pfn == NOTHING:
            machine, pfn, _ = alloc_min(self.rules, machine, asked, False)
        return replace(self, machine=machine), pfn

    def give(self, pfn: int, order: int) -> "BuddyPages":
        """Take a block back."""
        return replace(self, machine=free_pages(self.rules, self.machine, self.cpu, pfn, order))
