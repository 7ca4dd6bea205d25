"""The allocator's view of a machine: its zones, and for each node the order in which zones are tried.

Beside the zones stand *notes*, words that only some kernels keep between two walks of a zonelist: which zones
were full (2.6.20 to 4.3), how many pages a zone may still hand out in its turn (3.12 to 4.7), and a clock.

Linux: pg_data_t, struct zonelist (include/linux/mmzone.h).  Seed 2 intro (F002, F003).
"""

from dataclasses import dataclass, field, replace

from immutables import Map

from linuxmm.model.alloc.freelist import Zone


@dataclass(frozen=True, slots=True)
class Machine:
    """Zones and zonelists.

    zones       every populated zone, by node and then by kind
    zonelists   per node: indices into `zones`, in the order of ZONELIST_FALLBACK
    nr_nodes    online nodes
    notes       word number -> what it holds; words that hold 0 are left out
    """

    zones: tuple[Zone, ...]
    zonelists: tuple[tuple[int, ...], ...]
    nr_nodes: int = 1
    notes: Map[int, int] = field(default_factory=Map)


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


# ---- notes -----------------------------------------------------------------------------------------------


def note(machine: Machine, word: int) -> int:
    """What a word of the notes holds."""
    return machine.notes.get(word, 0)


def set_note(machine: Machine, word: int, value: int) -> Machine:
    """Change a word of the notes."""
    notes = machine.notes
    if value:
        return replace(machine, notes=notes.set(word, value))
    return replace(machine, notes=notes.delete(word)) if word in notes else machine


def clock(machine: Machine) -> int:
    """Milliseconds since some moment."""
    return note(machine, 0)


def set_clock(machine: Machine, now: int) -> Machine:
    """Let time pass."""
    return set_note(machine, 0, now)


def turn_left(machine: Machine, index: int) -> int:
    """NR_ALLOC_BATCH: pages that zone number `index` may hand out before it is another zone's turn."""
    return note(machine, 1 + index)


def set_turn_left(machine: Machine, index: int, pages: int) -> Machine:
    """Change NR_ALLOC_BATCH of a zone."""
    return set_note(machine, 1 + index, pages)


def full_zones(machine: Machine, node: int) -> int:
    """Bit n: zone number n was found full on a walk of the node's zonelist."""
    return note(machine, 1 + nr_zones(machine) + 2 * node)


def set_full_zones(machine: Machine, node: int, zones: int) -> Machine:
    """Change which zones a zonelist remembers as full."""
    return set_note(machine, 1 + nr_zones(machine) + 2 * node, zones)


def forgotten_at(machine: Machine, node: int) -> int:
    """When the node's zonelist last forgot which zones were full."""
    return note(machine, 2 + nr_zones(machine) + 2 * node)


def set_forgotten_at(machine: Machine, node: int, now: int) -> Machine:
    """Change when the node's zonelist last forgot."""
    return set_note(machine, 2 + nr_zones(machine) + 2 * node, now)
