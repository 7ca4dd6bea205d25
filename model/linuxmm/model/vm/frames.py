"""Frames for page tables and pages from the page allocator's model.

Linux: include/asm-generic/pgalloc.h:__pte_alloc_one; mm/page_alloc.c.  Seed 2.3.1, 2.1.1 (F012, F040).
"""

from dataclasses import dataclass, replace

from linuxmm.model.alloc.freelist import NOTHING
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.request import alloc_fast, alloc_min, free_pages
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.request import Request


@dataclass(frozen=True, slots=True)
class AllocatorFrames:
    """A page allocator that is asked for one page at a time.

    request  what every call asks for: order 0
    Refuses  NOTHING below the min watermark; reclaim is not asked
    """

    rules: Rules
    machine: Machine
    request: Request

    def take(self) -> "tuple[AllocatorFrames, int]":
        """A frame, or NOTHING."""
        machine, pfn, _ = alloc_fast(self.rules, self.machine, self.request)
        if pfn == NOTHING:
            machine, pfn, _ = alloc_min(self.rules, machine, self.request, False)
        return replace(self, machine=machine), pfn

    def give(self, frame: int) -> "AllocatorFrames":
        """Give a frame back to its zone."""
        machine = free_pages(self.rules, self.machine, self.request.cpu, frame, 0)
        return replace(self, machine=machine)
