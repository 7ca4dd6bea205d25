"""Memory as one unknown map from the address of an entry to the entry, behind the primitives of a walk.

Every address is served; entries of 4 and of 8 bytes are one word each, at its address.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final, Protocol, Self

from linuxmm.hardware import bus as hardware_bus
from linuxmm.hardware.bus import Bus
from linuxmm.proofs.domain import MapOf, Word
from linuxmm.proofs.sym import as_state

TABLES: Final = "QF_UFBV"


class Entries(Protocol):
    """A total map of entries: symbolic or concrete."""

    def __getitem__(self, key: Any) -> Any:
        """The entry at a physical address."""

    def set(self, key: Any, value: Any) -> Self:
        """The map with another entry at an address."""


AllEntries = Annotated[Entries, MapOf((Word(64),), Word(64), 0)]


def bus_of(entries: Entries) -> Bus:
    """The map, typed as what a walk takes."""
    return as_state(entries, Bus)


def entries_of(bus: Bus) -> Any:
    """The map behind a bus that a walk returned."""
    return as_state(bus, object)


def load_entry(bus: Bus, address: int, size: int) -> tuple[Bus, int, int]:
    return bus, entries_of(bus)[address], 0


def mark_entry(bus: Bus, address: int, size: int, old: int, new: int) -> Bus:
    return bus_of(entries_of(bus).set(address, new))


def store_entry(bus: Bus, address: int, size: int, value: int) -> Bus:
    return bus_of(entries_of(bus).set(address, value))


SERVED: Final[dict[Callable[..., Any], Callable[..., Any]]] = {
    hardware_bus.load_entry: load_entry,
    hardware_bus.mark_entry: mark_entry,
    hardware_bus.store_entry: store_entry,
}
"""Primitives of a walk -> their form over the map."""
