"""Where object allocators get their pages: any source of aligned blocks.

Linux: mm/slub.c:alloc_slab_page, mm/slab.c:kmem_getpages, mm/slob.c:slob_new_pages.  Seed 2.1.2.
"""

from dataclasses import dataclass, replace
from typing import Final, Protocol, Self

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


@dataclass(frozen=True, slots=True)
class Heap:
    """A source that hands out the lowest block that was never used, or the last one that came back.

    limit  pages that there are; held  pages handed out
    """

    limit: int
    next: int = 0
    held: int = 0
    back: tuple[tuple[int, int], ...] = ()

    def take(self, order: int, node: int) -> tuple["Heap", int]:
        """A block of pages."""
        for at in range(len(self.back) - 1, -1, -1):
            if self.back[at][1] == order:
                rest = self.back[:at] + self.back[at + 1 :]
                return replace(self, back=rest, held=self.held + (1 << order)), self.back[at][0]
        pfn = (self.next + (1 << order) - 1) >> order << order
        if pfn + (1 << order) > self.limit:
            return self, NOTHING
        return replace(self, next=pfn + (1 << order), held=self.held + (1 << order)), pfn

    def give(self, pfn: int, order: int) -> "Heap":
        """Take a block back."""
        return replace(self, back=(*self.back, (pfn, order)), held=self.held - (1 << order))


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
