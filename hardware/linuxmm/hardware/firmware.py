"""Firmware tables as inputs: the memory map (e820) and the NUMA tables (SRAT, SLIT).

Maps may overlap and be out of order, as firmware leaves them; `sanitised` gives the map that Linux works
with.  What cannot be is refused by naming the table and the entry.

Linux: arch/x86/kernel/e820.c, drivers/acpi/numa/srat.c, mm/numa.c.  Seed 2 intro (F001, F002).
"""

from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Final

from linuxmm.hardware.memory import Range
from linuxmm.hardware.topology import LOCAL_DISTANCE, REMOTE_DISTANCE, Cpu, NodeRange, Topology
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.registry import verb
from linuxmm.spec.vocabulary import PAGE_SIZE, CpuId, NodeId

TOP: Final = 1 << 52
"""The first address that no CPU has."""
UNREACHABLE: Final = 255


class E820Type(IntEnum):
    """Kinds of a range; where ranges overlap Linux keeps the higher number."""

    RAM = 1
    RESERVED = 2
    ACPI = 3
    NVS = 4
    UNUSABLE = 5
    PMEM = 7


PRINTED: Final = {
    E820Type.RAM: "usable",
    E820Type.RESERVED: "reserved",
    E820Type.ACPI: "ACPI data",
    E820Type.NVS: "ACPI NVS",
    E820Type.UNUSABLE: "unusable",
    E820Type.PMEM: "persistent (type 7)",
}
"""How the kernel's log names them."""


@dataclass(frozen=True, slots=True)
class E820Entry:
    """`size` bytes from `start` on are of a kind."""

    start: int
    size: int
    type: E820Type

    @property
    def end(self) -> int:
        """The first address behind the range."""
        return self.start + self.size


@verb("F001", source="arch/x86/kernel/e820.c:e820__update_table; 2.6.11 to 6.12")
def sanitised(entries: tuple[E820Entry, ...]) -> tuple[E820Entry, ...]:
    """The map without overlaps, in ascending order, neighbours of one kind joined.

    Ensures   each address is of the highest-numbered kind that an entry gives it; others stay out
    Errors    BadEvidence for an entry beyond the addresses of any CPU; empty entries are dropped
    """
    for at, entry in enumerate(entries):
        if entry.start < 0 or entry.size < 0 or entry.end > TOP:
            raise BadEvidence(
                "e820",
                f"expected a range below {TOP:#x}, not {entry.start:#x}+{entry.size:#x}",
                where=f"entry {at}",
            )
    borders = sorted({border for entry in entries if entry.size for border in (entry.start, entry.end)})
    found: list[E820Entry] = []
    for start, end in pairwise(borders):
        kinds = [entry.type for entry in entries if entry.start <= start and end <= entry.end and entry.size]
        if not kinds:
            continue
        kind = max(kinds)
        if found and found[-1].type == kind and found[-1].end == start:
            found[-1] = E820Entry(found[-1].start, end - found[-1].start, kind)
        else:
            found.append(E820Entry(start, end - start, kind))
    return tuple(found)


@verb("F001", source="arch/x86/kernel/e820.c:e820__memblock_setup; 2.6.11 to 6.12")
def usable_ranges(entries: tuple[E820Entry, ...]) -> tuple[Range, ...]:
    """Whole frames of usable memory.

    Errors    BadEvidence, as `sanitised`, or when no frame is usable
    """
    found = []
    for entry in sanitised(entries):
        start, end = -(-entry.start // PAGE_SIZE) * PAGE_SIZE, entry.end // PAGE_SIZE * PAGE_SIZE
        if entry.type is E820Type.RAM and start < end:
            found.append(Range(start, end))
    if not found:
        raise BadEvidence("e820", "expected at least one whole frame of usable memory")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class SratMemory:
    """Memory affinity: `size` bytes from `start` on belong to a proximity domain."""

    domain: int
    start: int
    size: int
    enabled: bool = True
    hotpluggable: bool = False


@dataclass(frozen=True, slots=True)
class SratCpu:
    """Processor affinity: the processor with this APIC number belongs to a proximity domain."""

    domain: int
    apic_id: int
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Srat:
    """The affinities that the firmware states."""

    memory: tuple[SratMemory, ...]
    cpus: tuple[SratCpu, ...]


Slit = tuple[tuple[int, ...], ...]
"""Distances [from][to] by proximity domain, in one byte each; 255 is unreachable."""


@verb("F002", source="drivers/acpi/numa/srat.c:acpi_numa_memory_affinity_init, slit_valid; 2.6.12 to 6.12")
def topology_of(srat: Srat, slit: Slit | None = None) -> Topology:
    """The machine's nodes: proximity domains are numbered in the order in which the table names them.

    slit: without one, a node is at LOCAL_DISTANCE from itself and REMOTE_DISTANCE from every other

    Errors    BadEvidence for memory that two entries claim, distances that form no square or are too few, or
              distances that Linux would not believe
    """
    nodes = _nodes(srat)
    ranges = _ranges(srat, nodes)
    cpus = tuple(
        Cpu(CpuId(at), cpu.apic_id, NodeId(nodes[cpu.domain]))
        for at, cpu in enumerate(cpu for cpu in srat.cpus if cpu.enabled)
    )
    seen: dict[int, int] = {}
    for cpu in cpus:
        if cpu.apic_id in seen:
            raise BadEvidence("SRAT", f"expected APIC number {cpu.apic_id} once", where=f"CPU {cpu.id}")
        seen[cpu.apic_id] = cpu.id
    return Topology(cpus, ranges, _distances(nodes, slit))


def _nodes(srat: Srat) -> dict[int, int]:
    nodes: dict[int, int] = {}
    named = [(item.domain, item.enabled) for item in srat.memory]
    named += [(cpu.domain, cpu.enabled) for cpu in srat.cpus]
    for domain, enabled in named:
        if enabled and domain not in nodes:
            nodes[domain] = len(nodes)
    if not nodes:
        raise BadEvidence("SRAT", "expected at least one enabled entry")
    return nodes


def _ranges(srat: Srat, nodes: dict[int, int]) -> tuple[NodeRange, ...]:
    found: list[NodeRange] = []
    for at, item in enumerate(srat.memory):
        if not item.enabled:
            continue
        if item.start < 0 or item.size <= 0 or item.start + item.size > TOP:
            raise BadEvidence("SRAT", f"expected a range below {TOP:#x}", where=f"memory entry {at}")
        part = NodeRange(NodeId(nodes[item.domain]), item.start, item.start + item.size, item.hotpluggable)
        for other in found:
            if part.start < other.end and other.start < part.end:
                raise BadEvidence(
                    "SRAT",
                    f"{part.start:#x}-{part.end:#x} overlaps {other.start:#x}-{other.end:#x}: expected each "
                    "address once",
                    where=f"memory entry {at}",
                )
        found.append(part)
    return tuple(sorted(found, key=lambda part: part.start))


def _distances(nodes: dict[int, int], slit: Slit | None) -> Slit:
    if slit is None:
        return tuple(
            tuple(LOCAL_DISTANCE if one == other else REMOTE_DISTANCE for other in range(len(nodes)))
            for one in range(len(nodes))
        )
    localities = len(slit)
    for at, row in enumerate(slit):
        if len(row) != localities:
            raise BadEvidence("SLIT", f"expected {localities} distances, found {len(row)}", where=f"row {at}")
        for other, distance in enumerate(row):
            good = distance == LOCAL_DISTANCE if at == other else LOCAL_DISTANCE < distance <= UNREACHABLE
            if not good:
                wanted = "10" if at == other else "11 to 255"
                raise BadEvidence(
                    "SLIT", f"expected {wanted}, found {distance}", where=f"row {at}, column {other}"
                )
    for domain in nodes:
        if domain >= localities:
            raise BadEvidence("SLIT", f"expected a row for proximity domain {domain}; there are {localities}")
    order = sorted(nodes, key=lambda domain: nodes[domain])
    return tuple(tuple(slit[one][other] for other in order) for one in order)
