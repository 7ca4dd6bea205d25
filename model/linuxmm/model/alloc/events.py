"""Events of the page allocator, named and shaped as the kernel's tracepoints.

Linux: include/trace/events/kmem.h.
"""

from dataclasses import dataclass

from linuxmm.spec.step import Event


@dataclass(frozen=True, slots=True)
class MmPageAlloc(Event):
    """kmem:mm_page_alloc: a request was answered; pfn -1 when it failed."""

    pfn: int
    order: int
    gfp_flags: int
    migratetype: int


@dataclass(frozen=True, slots=True)
class MmPageFree(Event):
    """kmem:mm_page_free: a block was given back by its owner."""

    pfn: int
    order: int


@dataclass(frozen=True, slots=True)
class MmPageAllocZoneLocked(Event):
    """kmem:mm_page_alloc_zone_locked: a block left a free list under the zone's lock."""

    pfn: int
    order: int
    migratetype: int
    percpu_refill: bool


@dataclass(frozen=True, slots=True)
class MmPagePcpuDrain(Event):
    """kmem:mm_page_pcpu_drain: a block went from a CPU's list back to the free lists."""

    pfn: int
    order: int
    migratetype: int


@dataclass(frozen=True, slots=True)
class MmPageAllocExtfrag(Event):
    """kmem:mm_page_alloc_extfrag: a request took memory of another migratetype."""

    pfn: int
    alloc_order: int
    fallback_order: int
    alloc_migratetype: int
    fallback_migratetype: int
    fragmenting: bool
    change_ownership: bool


@dataclass(frozen=True, slots=True)
class WakeupKswapd(Event):
    """vmscan:mm_vmscan_wakeup_kswapd, as far as the allocator decides it."""

    node: int
    zone_kind: int
    order: int
    gfp_flags: int
