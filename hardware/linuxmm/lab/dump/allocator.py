"""The page allocator's state: zones, free lists in order, per-CPU lists in order, pageblock types, counters.

Linux: mm/page_alloc.c, include/linux/mmzone.h; x86 kernels 5.14 to 6.12 with SPARSEMEM_VMEMMAP or FLATMEM.
"""

import struct
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from linuxmm.lab.memory import KernelMemory, Struct
from linuxmm.spec.errors import LinuxmmError

MAX_NODES: Final = 64
_HAS_MAP: Final = 2
_SECTION_SHIFT: Final = 15
_PCP_FIELDS: Final = (
    "count", "high", "batch", "free_factor", "expire", "high_min", "high_max", "flags", "free_count",
    "alloc_factor",
)  # fmt: skip
_ZONE_FIELDS: Final = (
    "watermark_boost", "nr_reserved_highatomic", "nr_isolate_pageblock", "cma_pages", "flags",
    "percpu_drift_mark", "compact_cached_free_pfn", "compact_init_migrate_pfn", "compact_init_free_pfn",
    "compact_considered", "compact_defer_shift", "compact_order_failed",
)  # fmt: skip
_NODE_FIELDS: Final = (
    "kswapd_order", "kswapd_highest_zoneidx", "kswapd_failures", "kcompactd_max_order",
    "kcompactd_highest_zoneidx", "totalreserve_pages", "min_unmapped_pages", "min_slab_pages",
)  # fmt: skip
_GLOBALS: Final = {
    "movable_zone": 4,
    "min_free_kbytes": 4,
    "watermark_boost_factor": 4,
    "watermark_scale_factor": 4,
    "percpu_pagelist_high_fraction": 4,
    "page_group_by_mobility_disabled": 4,
    "totalreserve_pages": 0,
    "jiffies": 0,
}

Document = dict[str, Any]


def allocator_state(memory: KernelMemory) -> Document:
    """The machine as `state.json` holds it.

    Errors    LinuxmmError when the kernel lacks something that the state must have
    """
    names = migratetypes(memory)
    state: Document = {
        "migratetypes": names,
        "cpus": memory.cpus,
        "vmemmap": memory.memmap,
        "struct_page_size": memory.page_size,
        "pageblock_order": pageblock_order(memory),
    }
    for name, size in _GLOBALS.items():
        value = memory.variable(name, size or memory.btf.pointer)
        if value is not None:
            state[name] = value
    state["nodes"] = [_node(memory, node, len(names)) for node in nodes(memory)]
    state["vm_events"] = vm_events(memory)
    return state


def migratetypes(memory: KernelMemory) -> list[str]:
    """The names of the kernel's migratetypes by number, without MIGRATE_."""
    values = memory.btf.enumeration("migratetype")
    named = {number: name.removeprefix("MIGRATE_") for name, number in values.items()}
    named[values["MIGRATE_PCPTYPES"]] = "HIGHATOMIC"
    return [named[number] for number in range(values["MIGRATE_TYPES"])]


def pageblock_order(memory: KernelMemory) -> int:
    """The order of a pageblock: a variable where it may vary, else that of a 2 MiB page (PAE too)."""
    stated = memory.variable("pageblock_order", 4)
    return stated or 9


def nodes(memory: KernelMemory) -> list[Struct]:
    """The pglist_data of each node that has memory."""
    if "node_data" not in memory.symbols:
        return [memory.struct("pglist_data", memory.symbol("contig_page_data"))]
    base = memory.symbol("node_data")
    found = []
    for nid in range(_node_slots(memory)):
        address = memory.word(base + memory.btf.pointer * nid)
        if address:
            found.append(memory.struct("pglist_data", address))
    return found


def _node_slots(memory: KernelMemory) -> int:
    """How many nodes the kernel can have: up to what follows node_data."""
    ids = memory.variable("nr_node_ids", 4)
    return min(ids or MAX_NODES, MAX_NODES)


def _node(memory: KernelMemory, node: Struct, types: int) -> Document:
    made: Document = {
        "nid": node.number("node_id"),
        "address": node.address,
        "start_pfn": node.number("node_start_pfn"),
        "spanned": node.number("node_spanned_pages"),
    }
    made |= {name: node.number(name) for name in _NODE_FIELDS if node.has(name)}
    items = _items(memory, "node_stat_item", "NR_VM_NODE_STAT_ITEMS")
    made["vm_stat"] = _counters(node, items)
    made["vm_stat_diff"] = {
        str(cpu): _differences(
            memory.struct("per_cpu_nodestat", memory.per_cpu(node.number("per_cpu_nodestats"), cpu)),
            "vm_node_stat_diff",
            items,
        )
        for cpu in memory.cpus
    }
    zones = (node.sub(f"node_zones[{number}]") for number in range(node.count("node_zones")))
    made["zones"] = [
        _zone(memory, zone, number, types)
        for number, zone in enumerate(zones)
        if zone.number("spanned_pages") or zone.number("present_pages")
    ]
    return made


def _zone(memory: KernelMemory, zone: Struct, number: int, types: int) -> Document:
    start, spanned = zone.number("zone_start_pfn"), zone.number("spanned_pages")
    items = _items(memory, "zone_stat_item", "NR_VM_ZONE_STAT_ITEMS")
    made: Document = {
        "name": zone.text("name"),
        "idx": number,
        "address": zone.address,
        "start_pfn": start,
        "spanned": spanned,
        "present": zone.number("present_pages"),
        "managed": zone.number("managed_pages"),
        "watermark": zone.numbers("_watermark"),
        "lowmem_reserve": zone.numbers("lowmem_reserve"),
    }
    made |= {name: zone.number(name) for name in _ZONE_FIELDS if zone.has(name)}
    if zone.has("compact_cached_migrate_pfn"):
        made["compact_cached_migrate_pfn"] = zone.numbers("compact_cached_migrate_pfn")
    made["vm_stat"] = _counters(zone, items)
    made["free_area"] = [_free_area(memory, zone, order, types) for order in range(zone.count("free_area"))]
    made["pcp"] = {str(cpu): _pcp(memory, zone, cpu) for cpu in memory.cpus}
    made["vm_stat_diff"] = {
        str(cpu): _differences(_zonestat(memory, zone, cpu), "vm_stat_diff", items) for cpu in memory.cpus
    }
    made["pageblock_mt"] = _pageblocks(memory, zone, start, spanned)
    made["movable"], made["migratable"] = movable_runs(memory, start, spanned)
    return made


def _zonestat(memory: KernelMemory, zone: Struct, cpu: int) -> Struct:
    return memory.struct("per_cpu_zonestat", memory.per_cpu(zone.number("per_cpu_zonestats"), cpu))


def _free_area(memory: KernelMemory, zone: Struct, order: int, types: int) -> Document:
    offset = _list_offset(memory, "buddy_list")
    lists = [memory.pages_on(zone.at(f"free_area[{order}].free_list[{n}]"), offset) for n in range(types)]
    return {"nr_free": zone.number(f"free_area[{order}].nr_free"), "lists": lists}


def _pcp(memory: KernelMemory, zone: Struct, cpu: int) -> Document:
    pcp = memory.struct("per_cpu_pages", memory.per_cpu(zone.number("per_cpu_pageset"), cpu))
    made: Document = {name: pcp.number(name) for name in _PCP_FIELDS if pcp.has(name)}
    made["address"] = pcp.address
    offset = _list_offset(memory, "pcp_list")
    made["lists"] = [memory.pages_on(pcp.at(f"lists[{n}]"), offset) for n in range(pcp.count("lists"))]
    stat = _zonestat(memory, zone, cpu)
    if stat.has("stat_threshold"):
        made["stat_threshold"] = stat.number("stat_threshold")
    return made


def _list_offset(memory: KernelMemory, name: str) -> int:
    """Where the links of a listed page stand in struct page: under their own name, or as `lru`."""
    page = memory.btf.id_of("page")
    place = memory.btf.find(page, name) or memory.btf.find(page, "lru")
    if place is None:
        raise LinuxmmError("struct page of this kernel has no list links")
    return place.offset


def _items(memory: KernelMemory, name: str, end: str) -> dict[str, int]:
    values = memory.btf.enumeration(name)
    return {item: number for item, number in values.items() if number < values[end]}


def _counters(owner: Struct, items: Mapping[str, int]) -> dict[str, int]:
    values = owner.numbers("vm_stat")
    return {name: values[number] for name, number in items.items()}


def _differences(owner: Struct, field: str, items: Mapping[str, int]) -> dict[str, int]:
    """What one CPU has not yet added to the counters; zeros are left out."""
    values = owner.numbers(field)
    found = {name: values[number] for name, number in items.items() if number < len(values)}
    return {name: value if value < 128 else value - 256 for name, value in found.items() if value}


Pages = tuple[int, int]
_KERNEL: Final = {8: np.uint64(0xFF << 56), 4: np.uint32(0xC0 << 24)}
"""The least address of the kernel that a word of so many bytes may hold; on x86."""


def movable_runs(memory: KernelMemory, start: int, spanned: int) -> tuple[list[Pages], list[Pages]]:
    """Pages in use that look movable, and those that migration would take, as runs (first, count).

    Both are on an LRU list or have the mark of a driver's movable page.  Some slabs have that mark too, where
    a driver's page has a pointer; what is no pointer into the kernel names no driver.
    Source    mm/page_alloc.c:move_freepages, PageLRU and __PageMovable; mm/migrate.c:isolate_movable_page
    """
    page = memory.btf.id_of("page")
    size, word = memory.page_size, memory.btf.pointer
    lru = 1 << memory.btf.enumeration("pageflags")["PG_lru"]
    mapping = memory.btf.offset("page", "mapping")
    flags = memory.btf.find(page, "flags")
    assert flags is not None
    found: tuple[list[Pages], list[Pages]] = ([], [])
    lowest = _KERNEL[word]
    step = 1 << _SECTION_SHIFT
    for first in range(start, start + spanned, step):
        last = min(first + step, start + spanned)
        raw = memory.try_read(memory.memmap + first * size, (last - first) * size)
        if raw is None:
            continue
        table = np.frombuffer(raw, np.uint8).reshape(-1, size)
        kind = np.dtype("<u8" if word == 8 else "<u4")
        bits = table[:, flags.offset : flags.offset + word].copy().view(kind)[:, 0]
        links = table[:, mapping : mapping + word].copy().view(kind)[:, 0]
        on_list, marked = bits & lru != 0, links & 3 == 2
        for runs, pages in zip(found, (on_list | marked, on_list | marked & (links >= lowest)), strict=True):
            edges = np.flatnonzero(np.diff(np.concatenate(([0], pages.astype(np.int8), [0]))))
            runs += [(first + int(a), int(b - a)) for a, b in edges.reshape(-1, 2)]
    return found


# ---- pageblocks ------------------------------------------------------------------------------------------


def _pageblocks(memory: KernelMemory, zone: Struct, start: int, spanned: int) -> str:
    """One digit per pageblock that the zone spans, the first rounded down; 0 where there is no section."""
    order = pageblock_order(memory)
    first = start >> order << order
    words = (
        _flat_bits(memory, zone, first, pfn, order)
        if zone.has("pageblock_flags")
        else _section_bits(memory, pfn, order)
        for pfn in range(first, start + spanned, 1 << order)
    )
    return "".join(f"{word:x}" for word in words)


def _flat_bits(memory: KernelMemory, zone: Struct, first: int, pfn: int, order: int) -> int:
    bit = (pfn - first) >> order << 2
    (byte,) = memory.read(zone.number("pageblock_flags") + bit // 8, 1)
    return byte >> (bit & 7) & 15


def _section_bits(memory: KernelMemory, pfn: int, order: int) -> int:
    section = mem_section(memory, pfn >> _SECTION_SHIFT)
    if section is None or not section.number("section_mem_map") & _HAS_MAP:
        return 0
    usage = section.number("usage")
    if not usage:
        return 0
    flags = memory.struct("mem_section_usage", usage).at("pageblock_flags")
    bit = (pfn & ((1 << _SECTION_SHIFT) - 1)) >> order << 2
    (byte,) = memory.read(flags + bit // 8, 1)
    return byte >> (bit & 7) & 15


def mem_section(memory: KernelMemory, number: int) -> Struct | None:
    """A section of the memory map; None when there is none.

    Source    include/linux/mmzone.h:__nr_to_section, SPARSEMEM_EXTREME
    """
    size = memory.btf.size_of(memory.btf.id_of("mem_section"))
    per_root = 4096 // size
    root = memory.word(memory.word(memory.symbol("mem_section")) + memory.btf.pointer * (number // per_root))
    return memory.struct("mem_section", root + size * (number % per_root)) if root else None


def vm_events(memory: KernelMemory) -> dict[str, int]:
    """The event counters of /proc/vmstat, summed over CPUs, by the kernel's own names."""
    items = _items(memory, "vm_event_item", "NR_VM_EVENT_ITEMS")
    total = [0] * len(items)
    word = memory.btf.pointer
    for cpu in memory.cpus:
        base = memory.per_cpu(memory.symbol("vm_event_states"), cpu)
        raw = memory.read(base, word * len(total))
        values = struct.unpack(f"<{len(total)}{'Q' if word == 8 else 'I'}", raw)
        total = [have + more for have, more in zip(total, values, strict=True)]
    return {name: total[number] for name, number in items.items()}
