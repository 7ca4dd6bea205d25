"""The exact state of a machine's page allocator at one mark, as `state.json` holds it.

Fields that a capture may lack have a default; a name that is not known here is ignored, so that a later
minor version may add one.  Numbers of migratetypes are the kernel's own: indices into `migratetypes`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 60)]
PageFrame = Annotated[int, msgspec.Meta(ge=0, lt=1 << 52)]
Signed = Annotated[int, msgspec.Meta(ge=-(1 << 62), le=1 << 62)]
Unsigned = Annotated[int, msgspec.Meta(ge=0)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
CpuKey = Annotated[str, msgspec.Meta(pattern=r"^\d{1,5}$")]
Frames = tuple[PageFrame, ...]

DEFAULT_PAGEBLOCK_ORDER: Final = 9
_MIGRATE_PCPTYPES: Final = 3
_COSTLY_ORDER: Final = 3


class FreeArea(msgspec.Struct, frozen=True):
    """Free blocks of one order: their number, and per migratetype their heads in list order."""

    nr_free: Count
    lists: tuple[Frames, ...]


class PerCpuPages(msgspec.Struct, frozen=True):
    """One CPU's lists of a zone; list i has order i // 3 up to 3, later ones the order of a pageblock.

    Fields of one generation of kernels only are None elsewhere.  `stat_threshold` is how much of a counter
    the CPU keeps to itself; `address` is where the kernel has this structure, as probes state it.
    """

    count: Signed
    high: Signed
    batch: Signed
    lists: tuple[Frames, ...]
    free_factor: Signed | None = None
    expire: Signed | None = None
    high_min: Signed | None = None
    high_max: Signed | None = None
    flags: Count | None = None
    free_count: Signed | None = None
    alloc_factor: Signed | None = None
    stat_threshold: Signed | None = None
    address: Unsigned | None = None


class Zone(msgspec.Struct, frozen=True):
    """One zone that has memory.

    movable     runs (first, count) of pages in use that the allocator takes for movable
    migratable  runs of those that migration would take; None where the state does not tell
    """

    name: Name
    idx: Annotated[int, msgspec.Meta(ge=0, le=7)]
    start_pfn: PageFrame
    spanned: Count
    present: Count
    managed: Count
    watermark: tuple[Count, ...]
    lowmem_reserve: tuple[Signed, ...]
    free_area: tuple[FreeArea, ...]
    pcp: dict[CpuKey, PerCpuPages]
    vm_stat: dict[Name, Signed]
    vm_stat_diff: dict[CpuKey, dict[Name, Signed]]
    pageblock_mt: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-fA-F]*$")]
    watermark_boost: Count = 0
    nr_reserved_highatomic: Count = 0
    nr_isolate_pageblock: Count = 0
    cma_pages: Count = 0
    flags: Unsigned = 0
    percpu_drift_mark: Count = 0
    compact_cached_free_pfn: Count | None = None
    compact_cached_migrate_pfn: tuple[Count, ...] = ()
    compact_init_migrate_pfn: Count | None = None
    compact_init_free_pfn: Count | None = None
    compact_considered: Count = 0
    compact_defer_shift: Count = 0
    compact_order_failed: Signed = 0
    address: Unsigned | None = None
    movable: tuple[tuple[PageFrame, Count], ...] | None = None
    migratable: tuple[tuple[PageFrame, Count], ...] | None = None

    @property
    def end_pfn(self) -> int:
        """One past the last page spanned."""
        return self.start_pfn + self.spanned

    def pageblock_types(self) -> tuple[int, ...]:
        """The migratetype number of each pageblock spanned."""
        return tuple(int(digit, 16) & 7 for digit in self.pageblock_mt)

    def pageblock_skips(self) -> tuple[bool, ...]:
        """Compaction's skip mark of each pageblock spanned."""
        return tuple(bool(int(digit, 16) & 8) for digit in self.pageblock_mt)

    def counter(self, name: str) -> int:
        """A counter with its per-CPU differences added; 0 when the capture does not have it."""
        return self.vm_stat.get(name, 0) + sum(diff.get(name, 0) for diff in self.vm_stat_diff.values())


class Node(msgspec.Struct, frozen=True):
    """One NUMA node; `lru` holds lists in order and cost counters where they were taken."""

    nid: Annotated[int, msgspec.Meta(ge=0, le=1023)]
    start_pfn: PageFrame
    spanned: Count
    zones: tuple[Zone, ...]
    kswapd_order: Signed = 0
    kswapd_highest_zoneidx: Signed = 0
    kswapd_failures: Signed = 0
    kcompactd_max_order: Signed = 0
    kcompactd_highest_zoneidx: Signed = 0
    totalreserve_pages: Count = 0
    min_unmapped_pages: Count = 0
    min_slab_pages: Count = 0
    vm_stat: dict[Name, Signed] = {}
    vm_stat_diff: dict[CpuKey, dict[Name, Signed]] = {}
    lru: dict[Name, Frames | Count] | None = None
    address: Unsigned | None = None


class MachineState(msgspec.Struct, frozen=True):
    """The page allocator of a whole machine, frozen at one instant."""

    migratetypes: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=8)]
    cpus: tuple[Annotated[int, msgspec.Meta(ge=0, le=32767)], ...]
    nodes: tuple[Node, ...]
    min_free_kbytes: Count
    watermark_scale_factor: Count = 10
    watermark_boost_factor: Count = 0
    percpu_pagelist_high_fraction: Count = 0
    page_group_by_mobility_disabled: Count = 0
    totalreserve_pages: Count = 0
    movable_zone: Count = 0
    jiffies: Unsigned = 0
    pageblock_order: Annotated[int, msgspec.Meta(ge=0, le=20)] = DEFAULT_PAGEBLOCK_ORDER
    vm_events: dict[Name, Unsigned] | None = None
    vmemmap: Unsigned | None = None
    struct_page_size: Annotated[int, msgspec.Meta(ge=16, le=1024)] | None = None

    def zones(self) -> Iterator[tuple[Node, Zone]]:
        """Every zone with its node, in the order of the capture."""
        return ((node, zone) for node in self.nodes for zone in node.zones)


def pcp_list_order(index: int, pageblock_order: int) -> int:
    """The order of the blocks on one CPU's list `index`.

    Source    mm/page_alloc.c:order_to_pindex, 5.14 to 6.12 (before: only order 0, lists 0 to 2)
    """
    order = index // _MIGRATE_PCPTYPES
    return order if order <= _COSTLY_ORDER else pageblock_order


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a state that contradicts itself.

    where   node, zone and list
    """

    where: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, found {self.found}"


def findings(state: MachineState) -> tuple[Finding, ...]:
    """What in a state contradicts itself; nothing for a state read from a machine that stood still.

    Checks    list lengths against nr_free; PCP counts against their lists; NR_FREE_PAGES with per-CPU
              differences against the free lists (isolated blocks are not counted); every page inside its
              zone's span, aligned, and on one list only; one pageblock digit per pageblock spanned
    """
    found: list[Finding] = []
    for node, zone in state.zones():
        where = f"node {node.nid} zone {zone.name}"
        found += _free_area_findings(where, zone, state)
        found += _pcp_findings(where, zone, state)
        found += _block_findings(where, zone, state)
        found += _pageblock_findings(where, zone, state.pageblock_order)
    return tuple(found)


def _free_area_findings(where: str, zone: Zone, state: MachineState) -> Iterator[Finding]:
    types = state.migratetypes
    counted = 0
    for order, area in enumerate(zone.free_area):
        if len(area.lists) != len(types):
            yield Finding(f"{where} order {order}", f"{len(types)} lists", str(len(area.lists)))
        total = sum(map(len, area.lists))
        if total != area.nr_free:
            yield Finding(f"{where} order {order}", f"nr_free {area.nr_free} blocks", f"{total} on the lists")
        kept = (mt for mt in range(len(area.lists)) if mt >= len(types) or types[mt] != "ISOLATE")
        counted += sum(len(area.lists[mt]) for mt in kept) << order
    if "NR_FREE_PAGES" in zone.vm_stat and zone.counter("NR_FREE_PAGES") != counted:
        yield Finding(where, f"NR_FREE_PAGES {zone.counter('NR_FREE_PAGES')}", f"{counted} on the free lists")


def _pcp_findings(where: str, zone: Zone, state: MachineState) -> Iterator[Finding]:
    for cpu, pcp in zone.pcp.items():
        pages = sum(
            len(frames) << pcp_list_order(index, state.pageblock_order)
            for index, frames in enumerate(pcp.lists)
        )
        if pages != pcp.count:
            yield Finding(f"{where} cpu {cpu}", f"count {pcp.count} pages", f"{pages} on the lists")


def _blocks(zone: Zone, state: MachineState) -> Iterator[tuple[int, int, str]]:
    """Head, order and place of everything on a list of the zone."""
    for order, area in enumerate(zone.free_area):
        for mt, frames in enumerate(area.lists):
            for head in frames:
                yield head, order, f"order {order} type {mt}"
    for cpu, pcp in zone.pcp.items():
        for index, frames in enumerate(pcp.lists):
            for head in frames:
                yield head, pcp_list_order(index, state.pageblock_order), f"cpu {cpu} list {index}"


def _block_findings(where: str, zone: Zone, state: MachineState) -> Iterator[Finding]:
    end_before, place_before = -1, ""
    for head, order, place in sorted(_blocks(zone, state)):
        end = head + (1 << order)
        if head < zone.start_pfn or end > zone.end_pfn:
            inside = f"pages {zone.start_pfn} to {zone.end_pfn - 1}"
            yield Finding(f"{where} {place}", inside, f"pfn {head} order {order}")
        if head & ((1 << order) - 1):
            yield Finding(f"{where} {place}", f"a head aligned to order {order}", f"pfn {head}")
        if head < end_before:
            yield Finding(f"{where} {place}", "each page on one list", f"pfn {head} also on {place_before}")
        if end > end_before:
            end_before, place_before = end, place


def _pageblock_findings(where: str, zone: Zone, order: int) -> Iterator[Finding]:
    if not zone.spanned:
        return
    expected = ((zone.end_pfn - 1) >> order) - (zone.start_pfn >> order) + 1
    if len(zone.pageblock_mt) != expected:
        yield Finding(f"{where} pageblock_mt", f"{expected} digits", str(len(zone.pageblock_mt)))


def counters(state: MachineState, name: str) -> Mapping[str, int]:
    """One zone counter, per-CPU differences added, by "node/zone"."""
    return {f"{node.nid}/{zone.name}": zone.counter(name) for node, zone in state.zones()}
