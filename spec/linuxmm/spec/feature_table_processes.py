"""Features F037 to F060: defragmentation, page tables, reclaim, page cache, huge pages (seed 2.2 to 2.9)."""

from typing import Final

from linuxmm.spec.feature import Area, Feature, Status

_M = Status.MAINLINE
_R = Status.REMOVED

PROCESSES: Final[tuple[Feature, ...]] = (
    Feature(
        "F037", Area.DEFRAG, "2.2.1", "Lumpy reclaim",
        "Reclaim for a large block also takes the neighbours of the page at the tail of the list, active or "
        "not.",
        "2.6.23", "3.4", _R, "tracepoint mm_vmscan_lru_isolate",
        ("mm/vmscan.c:isolate_lru_pages", "commit 5ad333eb66f"),
    ),
    Feature(
        "F038", Area.DEFRAG, "2.2.2", "Pages grouped by mobility",
        "The policy of F016 seen from defragmentation: unmovable, reclaimable and movable pages keep to "
        "their "
        "own pageblocks.",
        "2.6.24", "", _M, "/proc/pagetypeinfo", ("mm/page_alloc.c", "commit 769848c0389"),
        "The seed says 2.6.23; that release has only the tags of requests, the grouping is in 2.6.24.",
    ),
    Feature(
        "F039", Area.DEFRAG, "2.2.3", "Memory compaction",
        "One scanner looks for movable pages upwards from the start of a zone, another for free pages "
        "downwards from its end; pages move until the two meet.",
        "2.6.35", "", _M, "/proc/vmstat (compact_*)", ("mm/compaction.c:compact_zone", "commit 748446bb6b5"),
    ),
    Feature(
        "F040", Area.VM, "2.3.1", "Four levels of page tables, and folding",
        "Generic code walks four levels (five since 4.12); a level that the hardware lacks has one entry and "
        "costs nothing.",
        "2.6.11", "", _M, "/proc/<pid>/pagemap", ("include/asm-generic/pgtable-nopud.h",),
    ),
    Feature(
        "F041", Area.VM, "2.3.2", "Lazy TLB",
        "A CPU that runs a kernel thread keeps the last address space, and is not disturbed by its flushes; "
        "since 4.14 generations tell it what it missed.",
        "2.4.0", "", _M, "tracepoint tlb_flush", ("arch/x86/mm/tlb.c",),
    ),
    Feature(
        "F042", Area.RECLAIM, "2.4.1", "Active and inactive lists",
        "Two lists with a second chance: a page referenced again is promoted, the tail of the active list is "
        "demoted.",
        "2.4.0", "", _M, "/proc/vmstat", ("mm/vmscan.c:shrink_active_list", "mm/swap.c:mark_page_accessed"),
        "The seed puts new pages at the tail of the active list; the code inserts at the head.",
    ),
    Feature(
        "F043", Area.RECLAIM, "2.4.2", "Separate lists for anonymous and file pages",
        "Four lists instead of two; swappiness and what was reclaimed of late decide how far each pair is "
        "scanned.",
        "2.6.28", "", _M, "/proc/vmstat", ("mm/vmscan.c:get_scan_count",),
    ),
    Feature(
        "F044", Area.RECLAIM, "2.4.3", "Unevictable list",
        "Locked pages leave the lists that reclaim scans.",
        "2.6.28", "", _M, "/proc/meminfo (Unevictable, Mlocked)",
        ("mm/mlock.c", "mm/vmscan.c:check_move_unevictable_folios"),
    ),
    Feature(
        "F045", Area.RECLAIM, "2.4.4", "Mapped executable pages are protected",
        "A referenced page of an executable mapping goes round the active list once more.",
        "2.6.31", "", _M, "", ("mm/vmscan.c:shrink_active_list", "commit 8cab4754d24"),
    ),
    Feature(
        "F046", Area.RECLAIM, "2.4.5", "Refaults and the working set",
        "An evicted page leaves a shadow entry; when it comes back within a distance of the active list's "
        "length, it is activated at once.",
        "3.15", "", _M, "/proc/vmstat (workingset_*)", ("mm/workingset.c",),
    ),
    Feature(
        "F047", Area.RECLAIM, "2.4.6", "MADV_FREE",
        "The contents of anonymous pages may be dropped under pressure until they are written again.",
        "4.5", "", _M, "/proc/<pid>/smaps (LazyFree)", ("mm/madvise.c:madvise_free_single_vma",),
        "The seed says that any later access keeps the old data; only a write does.",
    ),
    Feature(
        "F048", Area.CACHE, "2.5", "Background and global dirty thresholds",
        "Above one share of memory the flushers start; above a larger one writers wait.",
        "2.6.0", "", _M, "/proc/vmstat (nr_dirty*)", ("mm/page-writeback.c",),
    ),
    Feature(
        "F049", Area.CACHE, "2.5.1", "Dirty limits per device",
        "A device may hold dirty pages in proportion to what it completed of late.",
        "2.6.24", "", _M, "/sys/kernel/debug/bdi/*/stats",
        ("mm/page-writeback.c", "lib/flex_proportions.c", "commit 04fbfdc14e5"),
    ),
    Feature(
        "F050", Area.CACHE, "2.5.2", "pdflush",
        "Two to eight threads write back for all devices.",
        "2.5", "2.6.31", _R, "", ("mm/pdflush.c",),
    ),
    Feature(
        "F051", Area.CACHE, "2.5.2", "Flusher threads per device",
        "Each device has its own writer, so that a slow one holds up nobody else.",
        "2.6.32", "", _M, "threads named flush-*", ("fs/fs-writeback.c",),
    ),
    Feature(
        "F052", Area.CACHE, "2.5.3", "Throttling without I/O",
        "A writer of dirty pages sleeps instead of writing; a cubic control function holds the dirty pages "
        "at a set point.",
        "3.2", "", _M, "tracepoint balance_dirty_pages", ("mm/page-writeback.c:balance_dirty_pages",),
    ),
    Feature(
        "F053", Area.CACHE, "2.6.1", "The first readahead",
        "Two windows of at most 128 KiB prefetch for a sequential reader.",
        "2.4.0", "2.6.22", _R, "", ("mm/readahead.c",),
        "The seed describes a fixed 128 KiB; that is the cap of two windows that grow.",
    ),
    Feature(
        "F054", Area.CACHE, "2.6.2", "Readahead on demand",
        "A marked page inside the window starts the next one, which is larger; two readers of one file may "
        "interleave (2.6.24).",
        "2.6.23", "", _M, "/sys/block/*/queue/read_ahead_kb",
        ("mm/readahead.c:ondemand_readahead", "commit 122a21d11cb"),
    ),
    Feature(
        "F055", Area.HUGE, "2.7.1", "hugetlb",
        "A pool of huge pages set aside, with reservations: one fault and one TLB entry where there "
        "were 512.",
        "2.5.36", "", _M, "/proc/meminfo (HugePages_*)", ("mm/hugetlb.c", "fs/hugetlbfs/inode.c"),
    ),
    Feature(
        "F056", Area.HUGE, "2.7.2", "Transparent huge pages",
        "Anonymous memory gets a huge page when one is to be had; it is split when need be and "
        "collapsed again "
        "in the background.",
        "2.6.38", "", _M, "/proc/vmstat (thp_*)", ("mm/huge_memory.c", "mm/khugepaged.c"),
    ),
    Feature(
        "F057", Area.VM, "2.8", "Names for anonymous areas",
        "prctl names a range of anonymous memory; areas with different names do not merge.",
        "5.17", "", _M, "/proc/<pid>/maps ([anon:name])", ("mm/madvise.c:madvise_set_anon_name",),
        "The seed's description of this row is a copy of one about the scheduler.",
    ),
    Feature(
        "F058", Area.VM, "2.8", "Optimisations of sched_class",
        "A change of the scheduler: there is nothing of memory management in it to describe.",
        "5.9", "", Status.NOT_MM, "", ("seed 2.8",),
        "The row stands in the seed by mistake of copying.",
    ),
    Feature(
        "F059", Area.VM, "2.8", "Address space of a process",
        "Areas, mmap and its relatives, the heap's end, faults, fork and copy on write.",
        "1.0", "", _M, "/proc/<pid>/maps, /proc/<pid>/smaps", ("mm/mmap.c", "mm/memory.c"),
    ),
    Feature(
        "F060", Area.MEMCG, "2.9", "Memory control group",
        "Pages are charged to a tree of groups with limits; each group reclaims its own and kills its own.",
        "2.6.25", "", _M, "memory.* of the cgroup",
        ("mm/memcontrol.c", "mm/page_counter.c", "commit 8a9f3ccd247"),
    ),
)  # fmt: skip
