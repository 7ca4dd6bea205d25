"""Features F001 to F036: pages, nodes and zones, the page allocator, slabs, large areas (seed 2 and 2.1)."""

from typing import Final

from linuxmm.spec.feature import Area, Feature, Status

_A = Area.ALLOC
_M = Status.MAINLINE
_X = Status.NEVER_MERGED
_P = Status.PARTLY_MERGED

ALLOCATORS: Final[tuple[Feature, ...]] = (
    Feature(
        "F001", _A, "2", "Pages, page frames and their descriptors",
        "Memory is handed out in frames of 4096 bytes; the frame number is the physical address shifted "
        "right "
        "by 12, and each frame has a descriptor.",
        "1.0", "", _M, "/proc/kpageflags", ("include/linux/mm_types.h:struct page",),
    ),
    Feature(
        "F002", _A, "2", "NUMA nodes and distances",
        "Each node has zones of its own; a request walks the nodes from the nearest to the farthest.",
        "2.5", "", _M, "/sys/devices/system/node/node*/numastat",
        ("mm/page_alloc.c:build_zonelists", "mm/page_alloc.c:find_next_best_node"),
    ),
    Feature(
        "F003", _A, "2", "Zones",
        "A node's memory is divided by what can address it: DMA, NORMAL and HIGHMEM at first, DMA32 since "
        "2.6.15, MOVABLE since 2.6.23, DEVICE since 4.3.",
        "2.4.0", "", _M, "/proc/zoneinfo", ("include/linux/mmzone.h:enum zone_type", "commit 2a1e274acf0"),
    ),
    Feature(
        "F004", Area.RECLAIM, "2", "Page cache, anonymous pages and swap",
        "A clean page of a file can be dropped and read again; an anonymous page has to be written to swap "
        "before its frame is free.",
        "1.0", "", _M, "/proc/meminfo", ("mm/vmscan.c", "mm/swap_state.c"),
    ),
    Feature(
        "F005", _A, "2", "Page cache limit",
        "Four sysctls cap the pages of the page cache; an insertion above the cap and a periodic worker "
        "reclaim the excess.  The amounts reclaimed are unconfirmed.",
        "", "", _X, "", ("lkml 1406.2/00142",),
        "The seed dates the posting 2016; its cover letter is of 16 June 2014, against 3.15.",
    ),
    Feature(
        "F006", _A, "2", "Mirrored memory for the buddy allocator",
        "The RFC keeps mirrored pageblocks on a migratetype of their own for requests that ask for "
        "them.  What "
        "was merged instead, in 4.6, is kernelcore=mirror: memory that is not mirrored becomes ZONE_MOVABLE.",
        "", "", _P, "boot log, /proc/zoneinfo",
        ("lkml 1506.0/03180", "mm/mm_init.c:find_zone_movable_pfns_for_nodes"),
        "The seed dates the RFC 2016; its first posting is of 4 June 2015.",
    ),
    Feature(
        "F007", Area.VM, "2", "Speculative page faults",
        "A fault is handled without the address-space lock, validated by a sequence count, and started again "
        "when the area changed meanwhile.  Per-VMA locks took its place in 6.4.",
        "", "", _X, "", ("series 'Speculative page faults', version 11 of 2018",),
    ),
    Feature(
        "F008", Area.RECLAIM, "2", "Scalable shrink_slab",
        "A bitmap per memory cgroup names the shrinkers that have objects, so that reclaim visits only "
        "those: "
        "the work falls from the square of the number of cgroups to a line.",
        "4.19", "", _M, "tracepoints mm_shrink_slab_start and mm_shrink_slab_end",
        ("mm/vmscan.c:shrink_slab_memcg",),
        "The seed's description of this row is a copy of the one about mirrored memory.",
    ),
    Feature(
        "F009", Area.VM, "2", "Range locks for the address space",
        "Readers and writers lock a range of addresses, and conflict only when the ranges overlap and one "
        "writes.  Details are unconfirmed: the cover letter was not found.",
        "", "", _X, "", ("RFC of 24 February 2020",),
    ),
    Feature(
        "F010", Area.DEFRAG, "2.1", "Kinds of fragmentation",
        "Internal, external and data fragmentation, measured by the unusable free space index and the "
        "fragmentation index.",
        "", "", Status.BACKGROUND, "/sys/kernel/debug/extfrag", ("mm/vmstat.c:unusable_free_index",),
    ),
    Feature(
        "F011", _A, "2.1", "First fit, best fit and buddies",
        "The reference heaps that the buddy system is compared with.",
        "", "", Status.BACKGROUND, "", ("seed 2.1",),
    ),
    Feature(
        "F012", _A, "2.1.1.1", "Buddy system",
        "Free memory is held as blocks of 1, 2, 4 to 1024 pages.  A request splits the smallest block that "
        "suffices; a freed block joins its buddy, whose number differs in one bit, while that is free too.",
        "1.0", "", _M, "/proc/buddyinfo",
        ("mm/page_alloc.c:__rmqueue_smallest", "mm/page_alloc.c:__free_one_page"),
    ),
    Feature(
        "F013", _A, "2.1.1.1", "Zonelist cache removed, high-order watermarks changed",
        "The bitmap of recently full zones goes; MIGRATE_RESERVE gives way to HIGHATOMIC pageblocks; a "
        "request "
        "above order 0 passes when a block of its size is free.",
        "4.4", "", _M, "/proc/pagetypeinfo", ("mm/page_alloc.c:__zone_watermark_ok",),
    ),
    Feature(
        "F014", _A, "2.1.1.1", "Faster paths of allocation and release",
        "Constant costs fall; the one change of meaning is that an order-0 request may pass a shorter "
        "watermark test.",
        "4.7", "", _M, "", ("mm/page_alloc.c:zone_watermark_fast",),
    ),
    Feature(
        "F015", Area.RECLAIM, "2.1.1.1", "Reclaim by node",
        "The lists of least recently used pages belong to the node; reclaim skips pages of zones above the "
        "one that is short.",
        "4.8", "", _M, "/proc/vmstat", ("include/linux/mmzone.h:struct lruvec",),
        "The seed says 4.7-rc1; the series targeted 4.8.",
    ),
    Feature(
        "F016", _A, "2.1.1.2", "Migrate types",
        "Each pageblock has a mobility type and each type its own free lists; a request whose lists are "
        "empty "
        "takes from another type, and takes over the block when enough of it is free.",
        "2.6.24", "", _M, "/proc/pagetypeinfo", ("mm/page_alloc.c:__rmqueue_fallback", "commit b2a0ac8875a"),
        "The seed says 2.6.32.25; the free lists by type are first in 2.6.24.",
    ),
    Feature(
        "F017", _A, "2.1.1.3", "Watermarks",
        "Three marks of free pages: below low kswapd is woken, below min the requester reclaims by itself, "
        "at high kswapd stops; a reclaimer ignores them all.",
        "2.4.0", "", _M, "/proc/zoneinfo",
        ("mm/page_alloc.c:__setup_per_zone_wmarks", "mm/page_alloc.c:__zone_watermark_ok"),
    ),
    Feature(
        "F018", _A, "2.1.1.3", "Fragmentation avoidance: boosted watermarks",
        "A request that mixes types in a pageblock raises the marks for a while, so that kswapd frees ahead.",
        "5.0", "", _M, "/proc/zoneinfo (boost)", ("mm/page_alloc.c:boost_watermark",),
    ),
    Feature(
        "F019", _A, "2.1.1.3", "Limits on reclaim caused by boosting",
        "No boost in a zone smaller than four pageblocks (5.7); a boost is dropped when the node is out of "
        "balance.  Which patches of the titled series were merged is unconfirmed.",
        "5.7", "", _P, "", ("commit 14f69140ff9c", "mm/vmscan.c:balance_pgdat"),
        "The seed says 4.4-rc1; the series was posted in February 2020.",
    ),
    Feature(
        "F020", _A, "2.1.1.4", "Lists of pages per CPU",
        "Each CPU keeps some free pages of each zone, taken from and given back to the buddy lists in "
        "batches.",
        "2.5", "", _M, "/proc/zoneinfo (pagesets)", ("include/linux/mmzone.h:struct per_cpu_pages",),
    ),
    Feature(
        "F021", _A, "2.1.1.4", "High orders on the lists per CPU, version 4",
        "Lists per CPU for orders 1 to 3, one for each order.  What was merged in 5.14 has a list for each "
        "order and type, and for huge pages.",
        "", "", _X, "", ("series 'High-order per-cpu cache' version 4 of 2016", "commit 44042b449872"),
    ),
    Feature(
        "F022", _A, "2.1.1.4", "Bulk allocation, discussed",
        "An interface that takes many pages at once, with interrupts disabled once; the RFC of 2017 had no "
        "user in the tree.",
        "", "", _X, "", ("RFC 'Fast noirq bulk page allocator' of 2017",),
    ),
    Feature(
        "F023", _A, "2.1.1.4", "Lists per CPU without disabling interrupts",
        "Only requests outside interrupts use the lists; the others take the zone lock.  In 4.11-rc1, "
        "reverted before 4.11 (from memory; the source of 4.12 disables interrupts again).",
        "", "", _P, "", ("mm/page_alloc.c:free_hot_cold_page",),
    ),
    Feature(
        "F024", _A, "2.1.1.4", "Draining the lists per CPU by static work items",
        "One drainer at a time asks every CPU through a workqueue; direct remote locking replaced it in "
        "5.19.",
        "4.11", "5.18", Status.MAINLINE, "", ("mm/page_alloc.c:drain_all_pages",),
    ),
    Feature(
        "F025", _A, "2.1.1.4", "Lists per CPU sized again after deferred initialisation",
        "Batch and high mark are computed once more when the rest of the memory has been handed over.",
        "5.4", "", _M, "/proc/zoneinfo (pagesets)", ("mm/page_alloc.c:page_alloc_init_late",),
        "The seed says 4.11-rc1 and 2017; it is in 5.4, of 2019.",
    ),
    Feature(
        "F026", _A, "2.1.1.4", "Bulk allocator",
        "Fills an array or a list with single pages from the list per CPU; may return fewer than asked, and "
        "at least one when a single request would succeed.",
        "5.13", "", _M, "", ("mm/page_alloc.c:__alloc_pages_bulk",),
        "The seed leaves the series open; it was merged in 5.13.",
    ),
    Feature(
        "F027", _A, "2.1.1.4", "A local lock for the lists per CPU",
        "The lists and the counters of a CPU part: a local lock names what protects the lists, and counters "
        "no longer share their cache lines.",
        "5.14", "", _M, "", ("mm/page_alloc.c:struct pagesets",),
        "The seed leaves the series open; it was merged in 5.14.",
    ),
    Feature(
        "F028", _A, "2.1.1.4", "Bulk allocator, corner cases",
        "An array that is filled in part, a request of none, an array that is already full.",
        "5.13", "", _M, "", ("mm/page_alloc.c:__alloc_pages_bulk",),
    ),
    Feature(
        "F029", _A, "2.1.1.5", "ALLOC_NOFRAGMENT",
        "A request prefers the next lower zone of its node to mixing types in the zone it would like.",
        "5.0", "", _M, "tracepoint mm_page_alloc_extfrag", ("mm/page_alloc.c:alloc_flags_nofragment",),
        "The seed does not say that 5.0 and 5.1 never set the flag; it works from 5.2.",
    ),
    Feature(
        "F030", _A, "2.1.1.5", "boost_watermark",
        "Each mixing event adds one pageblock to the marks, up to 150 per cent of the high mark.",
        "5.0", "", _M, "/proc/zoneinfo (boost)", ("mm/page_alloc.c:boost_watermark",),
    ),
    Feature(
        "F031", _A, "2.1.1.5", "Stalling movable requests",
        "A movable request that would fragment waits for kswapd a short while.  That it was not merged is "
        "unconfirmed.",
        "", "", _X, "", ("series 'Fragmentation avoidance improvements' version 5, patch 5",),
    ),
    Feature(
        "F032", Area.OBJECTS, "2.1.2.1", "SLAB",
        "Objects of one size on slabs, cached in arrays per CPU, with colouring; on NUMA machines each node "
        "has an array for every other.",
        "2.0", "6.7", Status.REMOVED, "/proc/slabinfo", ("mm/slab.c",),
    ),
    Feature(
        "F033", Area.OBJECTS, "2.1.2.2", "SLUB",
        "No queues: a CPU owns one slab, and a slab's free objects are linked inside it and described by its "
        "page.",
        "2.6.22", "", _M, "/sys/kernel/slab", ("mm/slub.c", "commit 81819f0fc82"),
    ),
    Feature(
        "F034", Area.OBJECTS, "2.1.2.3", "SLOB",
        "A first-fit heap for machines with little memory.",
        "2.6.16", "6.3", Status.REMOVED, "", ("mm/slob.c", "commit 10cef602950"),
    ),
    Feature(
        "F035", Area.LARGE, "2.1.3.1", "vmalloc",
        "Contiguous addresses from single pages, each area followed by a guard page; translations of freed "
        "areas are flushed later, together (2.6.28).",
        "1.0", "", _M, "/proc/vmallocinfo", ("mm/vmalloc.c",),
    ),
    Feature(
        "F036", Area.LARGE, "2.1.3.2", "Contiguous memory allocator",
        "A reserved range serves movable pages until its owner asks; they are then migrated away.",
        "3.5", "", _M, "/proc/meminfo (CmaFree)", ("mm/cma.c", "mm/page_alloc.c:alloc_contig_range"),
    ),
)  # fmt: skip
