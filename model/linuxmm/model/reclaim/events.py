"""Events of reclaim, named and shaped as the kernel's tracepoints.

Linux: include/trace/events/vmscan.h, pagemap.h, filemap.h, workingset in vmstat.
"""

from dataclasses import dataclass

from linuxmm.spec.step import Event


@dataclass(frozen=True, slots=True)
class MmLruInsertion(Event):
    """pagemap:mm_lru_insertion: a page got on a list."""

    pfn: int
    lru: int


@dataclass(frozen=True, slots=True)
class MmLruActivate(Event):
    """pagemap:mm_lru_activate: an access moved a page to the active list."""

    pfn: int


@dataclass(frozen=True, slots=True)
class MmFilemapAddToPageCache(Event):
    """filemap:mm_filemap_add_to_page_cache."""

    pfn: int
    index: int


@dataclass(frozen=True, slots=True)
class MmFilemapDeleteFromPageCache(Event):
    """filemap:mm_filemap_delete_from_page_cache."""

    pfn: int
    index: int


@dataclass(frozen=True, slots=True)
class MmVmscanLruIsolate(Event):
    """vmscan:mm_vmscan_lru_isolate."""

    nr_requested: int
    nr_scanned: int
    nr_skipped: int
    nr_taken: int
    lru: int


@dataclass(frozen=True, slots=True)
class MmVmscanLruShrinkInactive(Event):
    """vmscan:mm_vmscan_lru_shrink_inactive."""

    nr_scanned: int
    nr_reclaimed: int
    priority: int


@dataclass(frozen=True, slots=True)
class MmVmscanLruShrinkActive(Event):
    """vmscan:mm_vmscan_lru_shrink_active."""

    nr_taken: int
    nr_active: int
    nr_deactivated: int
    nr_referenced: int
    priority: int


@dataclass(frozen=True, slots=True)
class MmVmscanWriteFolio(Event):
    """vmscan:mm_vmscan_write_folio (writepage before 5.18): reclaim began to write a page."""

    pfn: int


@dataclass(frozen=True, slots=True)
class MmVmscanDirectReclaimBegin(Event):
    """vmscan:mm_vmscan_direct_reclaim_begin."""

    order: int


@dataclass(frozen=True, slots=True)
class MmVmscanDirectReclaimEnd(Event):
    """vmscan:mm_vmscan_direct_reclaim_end."""

    nr_reclaimed: int


@dataclass(frozen=True, slots=True)
class MmVmscanKswapdWake(Event):
    """vmscan:mm_vmscan_kswapd_wake."""

    order: int


@dataclass(frozen=True, slots=True)
class MmVmscanKswapdSleep(Event):
    """vmscan:mm_vmscan_kswapd_sleep."""


@dataclass(frozen=True, slots=True)
class MmShrinkSlabStart(Event):
    """vmscan:mm_shrink_slab_start."""

    shrinker: int
    nr_objects_to_shrink: int
    cache_items: int
    delta: int
    total_scan: int


@dataclass(frozen=True, slots=True)
class MmShrinkSlabEnd(Event):
    """vmscan:mm_shrink_slab_end."""

    shrinker: int
    unused_scan: int
    new_scan: int
    total_scan: int
    retval: int
