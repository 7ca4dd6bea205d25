"""Features F061 to F086: hotplug, tmem, persistent memory, debugging, KSM, HWPoison (seed 2.10 to 2.14)."""

from typing import Final

from linuxmm.spec.feature import Area, Feature, Status

_M = Status.MAINLINE
_R = Status.REMOVED

MACHINES: Final[tuple[Feature, ...]] = (
    Feature(
        "F061", Area.HOTPLUG, "2.10", "Phases of memory hotplug",
        "Memory is added, brought online, taken offline and removed: a machine with four steps and their "
        "reverse.",
        "", "", _M, "/sys/devices/system/memory/memory*/state",
        ("mm/memory_hotplug.c", "drivers/base/memory.c"),
    ),
    Feature(
        "F062", Area.HOTPLUG, "2.10.1", "Hot add",
        "New memory gets descriptors and mappings, then joins a zone when it is brought online.",
        "2.6.15", "", _M, "/sys/devices/system/memory", ("mm/memory_hotplug.c:add_memory",),
    ),
    Feature(
        "F063", Area.HOTPLUG, "2.10.2", "Taking memory offline",
        "The range is isolated, its pages are migrated, and it leaves the allocator; a page that cannot move "
        "gives EBUSY.",
        "2.6.24", "", _M, "/sys/devices/system/memory/memory*/state",
        ("mm/memory_hotplug.c:offline_pages", "mm/page_isolation.c"),
    ),
    Feature(
        "F064", Area.HOTPLUG, "2.10.3", "Nodes of movable memory",
        "A node whose memory is all ZONE_MOVABLE can be emptied and removed.",
        "3.8", "", _M, "memory*/state (online_movable)", ("mm/memory_hotplug.c",),
    ),
    Feature(
        "F065", Area.HOTPLUG, "2.10.4", "Removing memory",
        "Descriptors, mappings and at last the node itself are given up.",
        "3.9", "", _M, "ACPI notifications", ("mm/memory_hotplug.c:try_remove_memory",),
    ),
    Feature(
        "F066", Area.TMEM, "2.11", "Transcendent memory",
        "Pools to which pages are put by key: an ephemeral pool may lose them, a persistent one may refuse "
        "them.  Its last release is that of frontswap.",
        "3.0", "6.6", _R, "", ("include/linux/cleancache.h", "include/linux/frontswap.h"),
    ),
    Feature(
        "F067", Area.TMEM, "2.11.1", "cleancache",
        "Clean file pages on their way out are offered to an ephemeral pool.",
        "3.0", "5.16", _R, "debugfs cleancache", ("mm/cleancache.c",),
    ),
    Feature(
        "F068", Area.TMEM, "2.11.2", "frontswap",
        "Pages on their way to swap are offered to a persistent pool.  Whether the layer left in "
        "6.6 or 6.7 is unconfirmed; 6.1 has it and 6.12 has not.",
        "3.5", "6.6", _R, "debugfs frontswap", ("mm/frontswap.c",),
    ),
    Feature(
        "F069", Area.TMEM, "2.11.3", "zcache",
        "A compressed pool behind both front ends; it never left the staging tree.  The "
        "release that removed it is unconfirmed: 3.9 has the directory, 3.14 has not.",
        "2.6.39", "3.11", Status.STAGING, "/sys/kernel/mm/zcache", ("drivers/staging/zcache",),
    ),
    Feature(
        "F070", Area.TMEM, "2.11.4", "zram",
        "A block device that holds its contents compressed in memory; in staging since 2.6.33.",
        "3.14", "", _M, "/sys/block/zram*/mm_stat", ("drivers/block/zram/zram_drv.c",),
        "The seed lists it as a back end of frontswap; it is a block device used as swap.",
    ),
    Feature(
        "F071", Area.TMEM, "2.11.5", "zswap",
        "Pages on their way to swap are kept compressed in memory; the oldest are written out when the pool "
        "is full.",
        "3.11", "", _M, "/proc/vmstat (zswpin, zswpout)", ("mm/zswap.c",),
    ),
    Feature(
        "F072", Area.TMEM, "2.11.6", "Policies of compressed pools",
        "How densely pages are packed, which contents are not worth it, which page goes first.",
        "", "", Status.BACKGROUND, "", ("mm/zbud.c", "mm/zsmalloc.c", "mm/z3fold.c"),
    ),
    Feature(
        "F073", Area.PMEM, "2.12.1", "libnvdimm",
        "Persistent memory as regions and namespaces, with labels and a sector layer that does not tear; the "
        "windowed access was removed in 5.18.",
        "4.2", "", _M, "ndctl", ("drivers/nvdimm", "drivers/acpi/nfit"),
    ),
    Feature(
        "F074", Area.PMEM, "2.12.2", "DAX",
        "Blocks of a file on persistent memory are mapped directly, without the page cache.",
        "4.0", "", _M, "", ("fs/dax.c",),
    ),
    Feature(
        "F075", Area.DEBUG, "2.13.1", "Free pages unmapped",
        "The kernel's own mapping of a free page is taken away, so that a late access faults.",
        "2.5", "", _M, "an oops at the access", ("mm/page_alloc.c:debug_pagealloc_unmap_pages",),
    ),
    Feature(
        "F076", Area.DEBUG, "2.13.1", "Page poisoning",
        "Free pages are filled with 0xaa and checked when they are handed out.",
        "2.6.30", "", _M, "kernel log: pagealloc: memory corruption",
        ("mm/page_poison.c", "commit 6a11f75b6a1"),
    ),
    Feature(
        "F077", Area.DEBUG, "2.13.2", "Slab debugging",
        "Red zones, poison and the last user of each object, in SLAB and SLUB.",
        "2.4.0", "", _M, "kernel log", ("mm/slub.c", "mm/slab.c"),
    ),
    Feature(
        "F078", Area.DEBUG, "2.13.3", "Fault injection",
        "Requests fail with a probability, at an interval, a number of times, after an amount of memory.",
        "2.6.20", "", _M, "debugfs failslab, fail_page_alloc", ("lib/fault-inject.c", "commit 933e312e73f"),
    ),
    Feature(
        "F079", Area.DEBUG, "2.13.4", "kmemcheck",
        "A shadow byte for every byte: each access traps, is checked and single-stepped.",
        "2.6.31", "4.14", _R, "kernel log", ("arch/x86/mm/kmemcheck", "commit dfec072ecd3"),
    ),
    Feature(
        "F080", Area.DEBUG, "2.13.4", "kmemleak",
        "Mark and sweep over the kernel's memory: a block to which nothing points is reported.",
        "2.6.31", "", _M, "debugfs kmemleak", ("mm/kmemleak.c",),
    ),
    Feature(
        "F081", Area.DEBUG, "2.13.5", "KASAN",
        "One shadow byte for eight bytes, checked by code that the compiler inserts.",
        "4.0", "", _M, "kernel log", ("mm/kasan",),
    ),
    Feature(
        "F082", Area.DEBUG, "2.13.6", "Page table dump for arm64",
        "The kernel's page tables as a list of ranges with their attributes.",
        "3.19", "", _M, "debugfs kernel_page_tables", ("arch/arm64/mm/ptdump.c",),
    ),
    Feature(
        "F083", Area.DEBUG, "2.13.6", "Generic page walk and dump",
        "One walker serves user and kernel tables, and one dump all architectures.",
        "5.6", "", _M, "debugfs kernel_page_tables", ("mm/pagewalk.c", "mm/ptdump.c"),
        "The seed's author of this row is a slip; the series is Steven Price's.",
    ),
    Feature(
        "F084", Area.DEDUP, "2.14.1", "KSM",
        "Anonymous pages with equal contents become one page, copied again on a write.",
        "2.6.32", "", _M, "/sys/kernel/mm/ksm", ("mm/ksm.c", "commit f8af4da3b4c"),
    ),
    Feature(
        "F085", Area.FAILURE, "2.14.2", "HWPoison",
        "A page that the hardware reports broken is taken out of use, as its state allows.",
        "2.6.32", "", _M, "/proc/meminfo (HardwareCorrupted)", ("mm/memory-failure.c", "commit 6a46079cf57"),
    ),
    Feature(
        "F086", Area.VM, "2.14.3", "Cross memory attach",
        "process_vm_readv and process_vm_writev copy between two processes once, without shared memory.",
        "3.2", "", _M, "the system calls", ("mm/process_vm_access.c",),
    ),
)  # fmt: skip
