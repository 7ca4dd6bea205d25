"""What the addresses and numbers in a recording stand for on the captured machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from linuxmm.oracle.exact.machine import kind_of
from linuxmm.oracle.formats.state import MachineState


@dataclass(frozen=True, slots=True)
class Addresses:
    """Kernel addresses and numbers of a captured machine.

    zones      address of a struct zone -> zone number of the model's machine
    nodes      address of a pglist_data -> node
    kinds      the kernel's number of a zone in its node -> ZoneType
    indices    zone number -> the kernel's number of that zone in its node
    cpu_nodes  CPU -> node; CPUs that are not named are on node 0
    """

    zones: Mapping[int, int] = field(default_factory=dict)
    nodes: Mapping[int, int] = field(default_factory=dict)
    kinds: Mapping[int, int] = field(default_factory=dict)
    indices: Mapping[int, int] = field(default_factory=dict)
    cpu_nodes: Mapping[int, int] = field(default_factory=dict)

    def cpu_node(self, cpu: int) -> int:
        """The node of a CPU."""
        return self.cpu_nodes.get(cpu, 0)


def addresses_of(state: MachineState, cpu_nodes: Mapping[int, int]) -> Addresses:
    """The addresses that a state names; columns of a recording hold them as signed words."""
    managed = [zone for _, zone in state.zones() if zone.managed]
    return Addresses(
        zones={_signed(zone.address): at for at, zone in enumerate(managed) if zone.address is not None},
        nodes={_signed(node.address): node.nid for node in state.nodes if node.address is not None},
        kinds={zone.idx: kind_of(zone) for _, zone in state.zones()},
        indices=dict(enumerate(zone.idx for zone in managed)),
        cpu_nodes=cpu_nodes,
    )


def _signed(address: int) -> int:
    return address - (1 << 64) if address >> 63 else address
