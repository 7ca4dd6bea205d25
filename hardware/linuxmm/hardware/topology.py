"""CPUs and NUMA nodes: which CPU and which memory belong to which node, and how far nodes are apart.

Linux: drivers/acpi/numa/srat.c, mm/mm_init.c, include/linux/topology.h.  Seed 2 intro (F002).
"""

from dataclasses import dataclass
from itertools import pairwise

from linuxmm.hardware.memory import PhysicalMemory, Range, physical_memory
from linuxmm.spec.invariant import invariant
from linuxmm.spec.registry import verb
from linuxmm.spec.vocabulary import CpuId, NodeId

LOCAL_DISTANCE = 10
REMOTE_DISTANCE = 20


@dataclass(frozen=True, slots=True)
class Cpu:
    """A processor.

    apic_id  its number in firmware tables
    online   whether it runs
    """

    id: CpuId
    apic_id: int
    node: NodeId
    online: bool = True


@dataclass(frozen=True, slots=True)
class NodeRange:
    """Physical addresses start to end (exclusive) that belong to a node; hotpluggable as firmware says."""

    node: NodeId
    start: int
    end: int
    hotpluggable: bool = False


@dataclass(frozen=True, slots=True)
class Topology:
    """The machine's nodes.

    memory     ranges of the nodes, in ascending order
    distances  [from][to]; LOCAL_DISTANCE on the diagonal
    """

    cpus: tuple[Cpu, ...]
    memory: tuple[NodeRange, ...]
    distances: tuple[tuple[int, ...], ...]


@invariant(
    "hardware.numa.disjoint",
    features=("F002",),
    seed="2 intro",
    source="mm/numa_memblks.c:numa_cleanup_meminfo",
)
def disjoint(topology: Topology) -> bool:
    """No address belongs to two nodes."""
    ordered = sorted(topology.memory, key=lambda part: part.start)
    return all(one.end <= other.start for one, other in pairwise(ordered))


@invariant(
    "hardware.numa.distances",
    features=("F002",),
    seed="2 intro",
    source="drivers/acpi/numa/srat.c:slit_valid",
)
def distances_valid(topology: Topology) -> bool:
    """A node is at distance 10 from itself and farther from every other."""
    return all(
        distance == LOCAL_DISTANCE if one == other else distance > LOCAL_DISTANCE
        for one, row in enumerate(topology.distances)
        for other, distance in enumerate(row)
    )


def node_of(topology: Topology, address: int) -> NodeId | None:
    """The node that an address belongs to; None where no node claims it."""
    return next((part.node for part in topology.memory if part.start <= address < part.end), None)


@verb("F002", source="mm/page_alloc.c:find_next_best_node; 2.6 to 6.12")
def nearest_first(topology: Topology, node: NodeId) -> tuple[NodeId, ...]:
    """All nodes by their distance from `node`, itself first, equals by number."""
    row = topology.distances[node]
    return tuple(NodeId(other) for other in sorted(range(len(row)), key=lambda other: (row[other], other)))


@dataclass(frozen=True, slots=True)
class Machine:
    """What the firmware hands to a kernel: memory, and where everything is."""

    memory: PhysicalMemory
    topology: Topology


@verb("F001", "F002", source="arch/x86/kernel/setup.c:setup_arch")
def machine_of(usable: tuple[Range, ...], topology: Topology) -> Machine:
    """The machine with memory in the usable ranges.

    Errors    ValueError when usable memory belongs to no node
    """
    for part in usable:
        at = part.start
        while at < part.end:
            owner = next((n for n in topology.memory if n.start <= at < n.end), None)
            if owner is None:
                raise ValueError(f"usable memory at {at:#x} belongs to no node")
            at = owner.end
    return Machine(physical_memory(usable), topology)
