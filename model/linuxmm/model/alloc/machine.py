"""The allocator's view of a machine: its zones, and for each node the order in which zones are tried.

Linux: pg_data_t, struct zonelist (include/linux/mmzone.h).  Seed 2 intro (F002, F003).
"""

from dataclasses import dataclass, replace

from linuxmm.model.alloc.freelist import Zone


@dataclass(frozen=True, slots=True)
class Machine:
    """Zones and zonelists.

    zones       every populated zone, by node and then by kind
    zonelists   per node: indices into `zones`, in the order of ZONELIST_FALLBACK
    nr_nodes    online nodes
    """

    zones: tuple[Zone, ...]
    zonelists: tuple[tuple[int, ...], ...]
    nr_nodes: int = 1


def zone_at(machine: Machine, index: int) -> Zone:
    """Zone number `index`."""
    return machine.zones[index]


def with_zone(machine: Machine, index: int, zone: Zone) -> Machine:
    """The machine after a change of zone number `index`."""
    return replace(machine, zones=(*machine.zones[:index], zone, *machine.zones[index + 1 :]))


def nr_zones(machine: Machine) -> int:
    """Number of populated zones."""
    return len(machine.zones)


def zonelist_length(machine: Machine, node: int) -> int:
    """Number of zones in a node's zonelist."""
    return len(machine.zonelists[node])


def zonelist_entry(machine: Machine, node: int, position: int) -> int:
    """The zone number at a position of a node's zonelist."""
    return machine.zonelists[node][position]


def nr_online_nodes(machine: Machine) -> int:
    """Number of online nodes."""
    return machine.nr_nodes


def zone_node(zone: Zone) -> int:
    """The node that a zone belongs to."""
    return zone.node


def zone_kind(zone: Zone) -> int:
    """The ZoneType number of a zone."""
    return zone.kind
